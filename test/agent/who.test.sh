#!/usr/bin/env bash
# Who a program says that calls is who calls: first thread, others, children of every kind, after new names and ids, in the next
# image, and under a filter of the target's own that kills for whatever the helpers would ask.
. test/agent/lib.sh

$CC -O1 -Wall -pthread test/agent/who.c -o "$tmp/who" || exit 1

watch() {	# watch WANT ARGUMENTS: the lines that programs printed, in $tmp/got
	"$B/bin/skep" trace-pipe -n > /dev/null
	timeout -k 1 60 "$B/bin/skep" run test/agent/who.bpf.c -- "$tmp/who" "${@:2}" 3> "$1" > "$tmp/out" 2> "$tmp/err"
	is "$?" 0
	"$B/bin/skep" trace-pipe -n | sed 's/.*bpf_trace_printk: //' > "$tmp/got"
}
lines() { grep -E "^($1) $2" "$3" | sort; }
row() {		# row NAME MARKS
	local what
	for what in helpers task btf; do
		t "$1: $what"
		[ -n "$(lines "$2" $what "$tmp/want")" ] || fail "the target said nothing"
		is "$(lines "$2" $what "$tmp/got")" "$(lines "$2" $what "$tmp/want")"
	done
}

t "a process in many states"
watch "$tmp/want"
row "first thread, also renamed" "[014]"
row "another thread, also renamed" "[23]"
row "fork children" "1[012]"
row "a vfork child, and its parent afterwards" "2[01]"
row "clone children, with memory of their own and shared" "3[012]"
[ "$(id -u)" != 0 ] || row "after setresuid() and seteuid(), in the child only" "4[012]"
row "the image that it executes" 50

t "a process whose filter kills for most calls lives"
watch "$tmp/want" filtered
row "what is said of it" "6[01]"
finish
