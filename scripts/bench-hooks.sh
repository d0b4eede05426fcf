#!/usr/bin/env bash
# bench-hooks.sh BUILD-DIR: runs bench/hooks on skep and, as root, on the kernel, and its target under strace; writes
# BUILD-DIR/bench/hooks.json, a list of {"case","unit","skep","kernel","native","peer","target"} (null where there is
# nothing). ns added per call; peer is strace.
set -eu
b=$(cd "$1" && pwd)/bench
SKEP_DIR=$(mktemp -d /dev/shm/skep-bench-XXXXXX)
export SKEP_DIR
trap 'rm -rf "$SKEP_DIR"' EXIT
# as skep run does: tables of sites are there before the target starts
"$b/../bin/skep" agent-sites $(ldd "$b/hooks-target" | grep -o '/[^ ]*') "$b/hooks-target"
"$b/hooks-skep" "$b" "$b/../lib/libskep-agent.so" "$b/hooks-target" > "$b/hooks.skep"
: > "$b/hooks.kernel"
# tracefs for libbpf, where nobody else sees it
# shellcheck disable=SC2016	# expanded by the inner shell
if [ "$(id -u)" -ne 0 ] || ! unshare -m sh -c 'mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing
		exec "$0" "$@"' "$b/hooks-kernel" "$b" "" "$b/hooks-target" > "$b/hooks.kernel"; then
	echo "bench-hooks: no kernel column, or not all of it" >&2
fi
: > "$b/hooks.strace"
if command -v strace > /dev/null; then
	plain=$("$b/hooks-target" libc)
	traced=$(timeout 120 strace -f -o /dev/null -e trace=getppid "$b/hooks-target" libc) &&
		awk -v a="$traced" -v b="$plain" 'BEGIN { printf "getppid, at entry and exit\t%.1f\n", a - b }' > "$b/hooks.strace"
fi
awk -F'\t' -v json="$b/hooks.json" '
	BEGIN {
		target["getppid, a counting program at its entry"] = 12
		target["getppid, at entry and exit"] = 25
		target["without a program, others attached"] = 3
		target["without a program, others attached, through syscall()"] = 3
		target["agent present, nothing attached"] = 0
		target["64-byte record to a ring, reader at work"] = 120
		target["start of a program (ns)"] = 3000000
	}
	FNR == 1 { file++ }
	FILENAME ~ /\.skep$/ { skep[$1] = $2; order[++n] = $1 }
	FILENAME ~ /\.kernel$/ { kernel[$1] = $2 }
	FILENAME ~ /\.strace$/ { peer[$1] = $2 }
	function val(v) { return v == "" ? "null" : v }
	function show(v) { return v == "" ? "-" : sprintf("%.1f", v) }
	END {
		printf "%-56s %12s %10s %10s %10s   ns added\n", "CASE", "SKEP", "KERNEL", "STRACE", "TARGET"
		for (i = 1; i <= n; i++) {
			c = order[i]
			printf "%-56s %12s %10s %10s %10s\n", c, show(skep[c]), show(kernel[c]), show(peer[c]), val(target[c])
			printf "%s{\"case\":\"hooks: %s\",\"unit\":\"ns\",\"skep\":%s,\"kernel\":%s,\"native\":null,\"peer\":%s,\"target\":%s}",
				(i > 1 ? ",\n " : "["), c, val(skep[c]), val(kernel[c]), val(peer[c]), val(target[c]) > json
		}
		print (n ? "]" : "[]") > json
	}' "$b/hooks.skep" "$b/hooks.kernel" "$b/hooks.strace"
