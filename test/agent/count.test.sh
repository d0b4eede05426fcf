#!/usr/bin/env bash
# Programs attached to every system call see exactly what strace counts: none lost, none twice. The difference of a long and a
# short run leaves out what happens between exec and the agent's start. How often a joining thread waits (futex) and a
# stack is unmapped depends on the moment; they are left out.
. "$(dirname "$0")/../tool/lib.sh"
name=count
command -v strace > /dev/null || { skip "strace is not installed"; exit 0; }
gcc -O2 -pthread -o "$tmp/me" test/agent/count_me.c || { not_ok "count_me.c compiles"; exit 1; }
by_strace() {	# NAME CALLS
	strace -f -c -U name,calls -o "$tmp/strace" "$tmp/me" "$1" 2> /dev/null
	awk 'NF == 2 && $2 ~ /^[0-9]+$/ && $1 != "total" { print $1, $2 }' "$tmp/strace" | sort
}
declare -A nr_name
while read -r n nr; do nr_name[$nr]=$n; done < <(
	printf '#include <sys/syscall.h>\n' | gcc -E -dM - | sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$/\1 \2/p')
by_skep() {	# MAP N: NAME CALLS
	run_tool -j run --top 1000 test/agent/all.bpf.c -- "$tmp/me" "$2"
	[ "$rc" -eq 0 ] || echo "exit status $rc: $err"
	python3 - "$1" "$tmp/out" <<'PY'
import json, sys
def total(v):
    if isinstance(v, dict): return sum(total(x) for k, x in v.items() if k not in ("cpu", "key"))
    if isinstance(v, list): return sum(total(x) for x in v)
    return int(v)
for e in json.load(open(sys.argv[2]))["maps"].get(sys.argv[1], []):
    n = total(e.get("values", e.get("value")))
    if n: print(int(e["key"]), n)
PY
}
minus() {	# LONG SHORT: per name
	awk 'NR == FNR { s[$1] = $2; next } { d = $2 - s[$1]; if (d && $1 !~ /^(futex|munmap|madvise|mprotect|restart_syscall)$/) print $1, d }' "$2" "$1" | sort
}
named() { while read -r nr n; do echo "${nr_name[$nr]:-nr$nr} $n"; done | sort; }

by_strace 5 > "$tmp/s5"; by_strace 45 > "$tmp/s45"
want=$(minus "$tmp/s45" "$tmp/s5")
for map in enters exits; do
	by_skep $map 5 > "$tmp/a"; by_skep $map 45 > "$tmp/b"
	# strace has another name for numbers that do not exist; rt_sigreturn is never touched (doc/agent.md)
	got=$(minus <(named < "$tmp/b") <(named < "$tmp/a") | grep -v '^nr')
	w=$(grep -vE '^(rt_sigreturn|syscall_.*) ' <<< "$want")
	# exits: some never return; as in the kernel, a child leaves the call that made it, too
	[ $map = exits ] && w=$(grep -vE '^(exit|exit_group) ' <<< "$w" | awk '/^(clone|clone3|vfork) / { $2 *= 2 } 1')
	if [ "$w" = "$got" ]; then
		ok "$map: $(wc -l <<< "$w") kinds of calls counted as strace does"
	else
		not_ok "$map: strace (<) and skep (>) count: $(diff <(echo "$w") <(echo "$got") | grep '^[<>]' | tr '\n' ' ')"
	fi
done
