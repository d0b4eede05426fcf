#!/usr/bin/env bash
# Signals under the agent: each case of sigcases.c sees what it sees without (programs fault at every system call meanwhile), and
# dispositions are the target's own again after the last detach.
# shellcheck source=test/agent/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/../.." || exit 1
ulimit -c 0
skep=$B/bin/skep
gcc -O2 -Wall -pthread -o "$tmp/sigcases" test/agent/sigcases.c || { t "sigcases.c"; fail "does not compile"; finish; }

# sections FILE CASE: what the case printed
section() { awk -v c="== $2" '/^== / { on = $0 == c } on' "$1"; }

timeout 60 "$tmp/sigcases" > "$tmp/want"
timeout 120 "$skep" run test/agent/badprobe.bpf.c -o "$tmp/maps" -- "$tmp/sigcases" > "$tmp/got" 2> "$tmp/err"
for c in $(sed -n 's/^== //p' "$tmp/want"); do
	t "$c"
	d=$(diff <(section "$tmp/want" "$c") <(section "$tmp/got" "$c")) || fail "$d"
done
t "copies from bad addresses were answered, in all of it"
runs=$(awk '/^seen/ { on = 1 } on && $1 == "0" { print $2 }' "$tmp/maps")
bad=$(awk '/^seen/ { on = 1 } on && $1 == "1" { print $2 }' "$tmp/maps")
other=$(awk '/^seen/ { on = 1 } on && $1 == "3" { print $2 }' "$tmp/maps")
[ "${runs:-0}" -gt 10000 ] || fail "only ${runs:-no} runs: $(cat "$tmp/err")"
[ $((runs - bad)) -le 20 ] || fail "$runs runs, $bad answers"	# threads that exit_group() ended in between
is "" "$other"

cat > "$tmp/loop.c" <<'C'
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
static void h(int sig) {}
int main(void)
{
	sigset_t m;

	signal(SIGUSR1, h);
	signal(SIGSEGV, h);
	signal(SIGBUS, SIG_IGN);
	sigemptyset(&m);
	sigaddset(&m, SIGSYS);
	sigaddset(&m, SIGBUS);
	sigprocmask(SIG_BLOCK, &m, NULL);
	for (;;) {
		getppid();
		usleep(500);
	}
}
C
gcc -O2 -o "$tmp/loop" "$tmp/loop.c"
state() { grep -E '^Sig(Blk|Ign|Cgt)' "/proc/$1/status" | tr -d '\n'; }
t "attached: ours; detached: the target's own"
start_agent "$tmp/loop"
sleep 0.1
before=$(state "$target")
for round in 1 2 3; do
	timeout -s INT 1 "$skep" run test/agent/badprobe.bpf.c -o "$tmp/maps" > /dev/null 2> "$tmp/err" &
	run=$!
	during=$before
	for _ in $(seq 50); do
		during=$(state "$target")
		[ "$during" != "$before" ] && break
		sleep 0.02
	done
	[ "$during" != "$before" ] || fail "round $round: never attached: $(cat "$tmp/err")"
	wait "$run" 2> /dev/null
	after=$during
	for _ in $(seq 50); do
		after=$(state "$target")
		[ "$after" = "$before" ] && break
		sleep 0.02
	done
	is "$after" "$before"
done
kill -0 "$target" 2> /dev/null || fail "the target died"
finish
