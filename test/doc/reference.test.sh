#!/usr/bin/env bash
# The generated reference pages are those that the tables give.
set -u
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
if ! "$SKEP_BUILD/gendoc" "$tmp"; then
	echo "not ok - doc: gendoc failed"
	exit 1
fi
for f in "$tmp"/*.md; do
	name=${f##*/}
	if diff -q "doc/$name" "$f" > /dev/null; then
		echo "ok - doc: doc/$name is up to date"
	else
		echo "not ok - doc: doc/$name is not what the tables say: run make doc and commit"
	fi
done
