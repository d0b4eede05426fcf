# shellcheck shell=bash
# lib.sh - for the scripts of this folder: a fresh directory per script, rows that run a command and look at its exit
# status, its output and its one-line message. Source it; $skep is the tool.
set -u
skep=$SKEP_BUILD/bin/skep
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
name=$(basename "$0" .test.sh)
tmp=$(mktemp -d "${SHM:-/dev/shm}/skep-test-XXXXXX")
export SKEP_DIR=$tmp/dir
on_exit=""
tool_env=()	# set around calls, e.g. (env PATH=/nowhere)
trap 'eval "$on_exit"; rm -rf "$tmp"' EXIT
cd "$top" || exit 1

ok()     { echo "ok - $name: $1"; }
not_ok() { echo "not ok - $name: $1"; }
skip()   { echo "skip - $name: $1"; }
# same NAME WANTED GOT
same() {
	if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1: wanted '$2', got '$3'"; fi
}
# has NAME TEXT PATTERN (extended regular expression)
has() {
	if grep -qE -e "$3" <<< "$2"; then ok "$1"; else not_ok "$1: no match for '$3' in '$(head -c 300 <<< "$2")'"; fi
}
# run_tool ARGS: sets rc, out, err
run_tool() {
	${tool_env[@]+"${tool_env[@]}"} "$skep" "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null
	rc=$?
	out=$(< "$tmp/out") err=$(< "$tmp/err")
}
# fails NAME EXIT-STATUS PATTERN ARGS...: one line on stderr that matches, nothing on stdout
fails() {
	local row=$1 want=$2 pattern=$3
	shift 3
	run_tool "$@"
	if [ "$rc" -ne "$want" ]; then
		not_ok "$row: exit status $rc, wanted $want ($err)"
	elif [ "$(wc -l < "$tmp/err")" -ne 1 ]; then
		not_ok "$row: $(wc -l < "$tmp/err") lines on stderr: $(head -c 300 <<< "$err")"
	elif [ -n "$out" ]; then
		not_ok "$row: stdout is not empty: $(head -c 100 <<< "$out")"
	elif ! grep -qE -e "$pattern" <<< "$err"; then
		not_ok "$row: '$err' does not match '$pattern'"
	else
		ok "$row"
	fi
}
