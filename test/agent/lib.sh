# shellcheck shell=bash
# For the scripts of this folder: a directory, the agent, targets, lines as test/lib/t.h prints them. No child or helper
# is left behind.
set -u
B=${SKEP_BUILD:-$PWD/build}
CC=${CC:-gcc}
AGENT=$B/lib/libskep-agent.so
name=$(echo "$0" | tr / .)
tmp=$(mktemp -d /dev/shm/skep-t-XXXXXX)
export SKEP_DIR=$tmp/dir
mkdir -m 700 "$SKEP_DIR"
SCOPE=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
# as skep run does, so that no agent has to have tables made while its target waits (at most a second)
"$B/bin/skep" agent-sites $(ldd "$B/bin/skep" | grep -o '/[^ ]*/\(libc\.so\|ld-\)[^ ]*') 2> /dev/null
row='' why='' failed=0 target=

# shellcheck disable=SC2317	# called by the trap
clean() {
	[ -n "$target" ] && kill -9 "$target" 2> /dev/null
	rm -rf "$tmp"
}
trap clean EXIT

end_row() {
	[ -n "$row" ] || return
	if [ -n "$why" ]; then echo "not ok - $name: $row: $why"; failed=1; else echo "ok - $name: $row"; fi
	row='' why=''
}
t() { end_row; row=$1; }
fail() { [ -n "$why" ] || why=$(echo "$*" | tr '\n' '|'); }
is() { [ "$1" = "$2" ] || fail "\"$1\", expected \"$2\""; }
skip() { echo "skip - $name: $row: $1"; row=''; }
finish() { end_row; exit $failed; }

# run_agent COMMAND...: under the agent, at most half a minute
run_agent() { SKEP_SCOPE=$SCOPE timeout -k 1 30 env "LD_PRELOAD=$AGENT" "$@"; }
# The same in the background; its pid in $target.
start_agent() {
	SKEP_SCOPE=$SCOPE LD_PRELOAD=$AGENT "$@" > /dev/null 2>&1 &
	target=$!
	for _ in $(seq 100); do [ -n "$(helper_of $target)" ] && break; sleep 0.02; done
}
# Helpers of this directory, by the slots' lock holder: those whose command line is the target's.
helpers() { grep -lx skep-helper /proc/[0-9]*/comm 2> /dev/null | cut -d/ -f3; }
ours() { grep -qF "$SKEP_DIR" "/proc/$1/maps" 2> /dev/null; }
helper_of_any() { for h in $(helpers); do ours "$h" && echo "$h"; done; }
# The helper that shares TARGET's memory: its stack begins at the same place.
helper_of() {
	local start
	start=$(sed 's/.*) //' "/proc/$1/stat" 2> /dev/null | cut -d' ' -f26)
	cat /proc/[0-9]*/stat 2> /dev/null | awk -v s="${start:-none}" '/\(skep-helper\)/ { pid = $1; sub(/.*\) /, ""); if ($26 == s && s) print pid }'
}
# gone PID: not running any more (or a zombie that its parent has not fetched), within 2 s
gone() {
	[ $# = 1 ] || return 1
	for _ in $(seq 100); do
		[ -d "/proc/$1" ] && [ "$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2> /dev/null)" != Z ] || return 0
		sleep 0.02
	done
	return 1
}
