#!/bin/sh
# git: commits, branches, gc, clone, blame: git.sh DIRECTORY SECONDS
set -e
mkdir "$1" && cd "$1"
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z' GIT_CONFIG_NOSYSTEM=1
end=$(($(date +%s) + $2)) first=
while :; do
	rm -rf r c
	git init -q -b main r && cd r
	for i in 1 2 3 4 5; do seq 1 $((i * 100)) > f; git add f; git commit -q -m "c$i"; done
	git checkout -q -b side HEAD~2; echo side > g; git add g; git commit -q -m side
	git checkout -q main; git merge -q -m merge side
	git gc -q; git fsck --no-progress 2>&1
	id=$(git rev-parse HEAD; git blame f | wc -l); cd ..
	git clone -q r c; [ "$(git -C c rev-parse HEAD; git -C c blame f | wc -l)" = "$id" ] || echo "clone differs"
	[ "${first:=$id}" = "$id" ] || echo "another id: $id"
	[ "$(date +%s)" -lt "$end" ] || break
done
echo "$first"
