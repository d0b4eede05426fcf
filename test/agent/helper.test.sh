#!/usr/bin/env bash
# The helper process: there while its target is, gone after it, by whatever end; no trace of it in the target's fd table,
# children, process group or locks; killed and started again.
. test/agent/lib.sh

# executed NAME: the target is that program now
executed() {
	for _ in $(seq 400); do
		[ "$(cat /proc/$target/comm)" = "$1" ] && return
		sleep 0.02
	done
	fail "the target did not become $1"
}

t "a program runs as without the agent"
run_agent sh -c 'echo out; echo err >&2; exit 7' > "$tmp/o" 2> "$tmp/e"
is "$? $(cat "$tmp/o") $(cat "$tmp/e")" "7 out err"

t "the helper is nobody's child, in a session of its own, without fds"
start_agent sleep 60
h=$(helper_of $target)
[ -n "$h" ] || fail "no helper"
is "$(cat /proc/$h/comm)" skep-helper
is "$(cat /proc/$target/task/$target/children)" ""
read -r _ _ _ ppid pgrp sid _ < <(sed 's/(.*)/x/' /proc/$h/stat)
[ "$ppid" != $target ] || fail "the target is its parent"
is "$pgrp $sid" "$h $h"
for f in /proc/$target/fd/*; do case $(readlink "$f") in *skep*) fail "fd of ours: $(readlink "$f")";; esac; done
for f in /proc/$h/fd/*; do
	case $(readlink "$f") in "$SKEP_DIR"*) ;; *) fail "the helper holds $(readlink "$f")";; esac
done
is "$(readlink /proc/$h/cwd)" /
kill $target; wait $target 2> /dev/null
gone "$h" || fail "it outlives its target"

t "it ends when the target is killed"
start_agent sleep 60
h=$(helper_of $target)
kill -9 $target; wait $target 2> /dev/null
gone "$h" || fail "it outlives its target"

t "it ends when the target executes something else, with and without agent"
mkfifo "$tmp/go"
start_agent sh -c "read x < $tmp/go; exec env -u LD_PRELOAD sleep 60"
h=$(helper_of $target)
echo > "$tmp/go"
executed sleep
gone "$h" || fail "it outlives its image"
is "$(helper_of $target)" ""
kill $target; wait $target 2> /dev/null
start_agent sh -c "read x < $tmp/go; exec sleep 60"
h=$(helper_of $target)
echo > "$tmp/go"
executed sleep
gone "$h" || fail "it outlives its image"
h2=$(helper_of $target)
[ -n "$h2" ] && [ "$h2" != "$h" ] || fail "the new image has none"
kill $target; wait $target 2> /dev/null

t "the end of a pipe is seen although a helper lives"
is "$( { run_agent sh -c 'echo x; exec > /dev/null; sleep 0.2' & } | { cat; echo end; })" "$(printf 'x\nend')"

t "killed, it leaves the target alone"
start_agent sleep 60
h=$(helper_of $target)
kill -9 $h
gone "$h"
sleep 0.1
kill -0 $target || fail "the target is gone"
kill $target; wait $target 2> /dev/null

t "a main thread that ends before the others keeps it"
$CC -O1 -pthread -o "$tmp/leader" test/agent/leader.c || fail "compile"
SKEP_SCOPE=$SCOPE LD_PRELOAD=$AGENT "$tmp/leader" &
target=$!
sleep 0.4
h=$(helper_of_any)
[ -n "$h" ] || fail "it left with the main thread"
wait $target
gone "$h" || fail "it outlives the process"

t "hundreds of short processes leave no process and no slot behind"
for _ in 1 2 3; do run_agent sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do /bin/true; done'; done
for _ in $(seq 50); do [ -z "$(helper_of_any)" ] && break; sleep 0.1; done
is "$(helper_of_any)" ""

t "the directory missing, unreadable or garbage: the program runs all the same"
is "$(SKEP_DIR=/nonexistent/x run_agent echo hello)" hello
mkdir -m 755 "$tmp/open"
is "$(SKEP_DIR=$tmp/open run_agent echo hello)" hello
mkdir -m 700 "$tmp/bad"; head -c 400000 /dev/urandom > "$tmp/bad/agents"; head -c 200000 /dev/urandom > "$tmp/bad/control"
is "$(SKEP_DIR=$tmp/bad run_agent echo hello)" hello
is "$(SKEP_DIR=$(head -c 300 /dev/zero | tr '\0' x) run_agent echo hello)" hello

t "where no process can be made, the program runs all the same"
if [ "$(id -u)" = 0 ] && command -v setpriv > /dev/null; then
	cp "$AGENT" "$tmp/agent.so"; chmod 755 "$tmp" "$tmp/agent.so"
	is "$(setpriv --reuid=65533 --clear-groups bash -c "ulimit -u 0; LD_PRELOAD=$tmp/agent.so exec /bin/echo hello" 2>&1)" hello
else
	skip "needs root and setpriv"
fi
finish
