#!/usr/bin/env bash
# bench-flows.sh BUILD-DIR: runs bench/flows on skep and, as root, on the kernel; writes BUILD-DIR/bench/flows.json, a list of
# {"case","unit","skep","kernel","native","peer","target"} (null where there is nothing).
set -eu
b=$1/bench
args=("$b/flows.bpf.o" examples/traffic.pcap)
SKEP_DIR=$(mktemp -d /dev/shm/skep-bench-XXXXXX)
export SKEP_DIR
trap 'rm -rf "$SKEP_DIR"' EXIT
"$b/flows-skep" "${args[@]}" > "$b/flows.skep"
if [ "$(id -u)" -eq 0 ] && "$b/flows-kernel" "${args[@]}" > "$b/flows.kernel" 2> "$b/flows.kernel.err"; then
	:
else
	echo "bench-flows: no kernel column ($(tail -n 1 "$b/flows.kernel.err" 2>/dev/null || echo 'not root'))" >&2
	: > "$b/flows.kernel"
fi
awk -F'\t' -v target=10000000 '
	FNR == NR { kernel[$1] = $2; next }
	{ printf "%s{\"case\":\"flows: %s\",\"unit\":\"packets/s\",\"skep\":%s,\"kernel\":%s,\"native\":null,\"peer\":null,\"target\":%s}",
		n++ ? ",\n " : "[", $1, $2, ($1 in kernel) ? kernel[$1] : "null", /one test run per packet/ ? "null" : target }
	END { print n ? "]" : "[]" }' "$b/flows.kernel" "$b/flows.skep" > "$b/flows.json"
awk -F'\t' '
	FNR == NR { kernel[$1] = $2; next }
	FNR == 1 { printf "%-42s %12s %12s   M packets/s\n", "CASE", "SKEP", "KERNEL" }
	{ printf "%-42s %12.1f %12s\n", $1, $2 / 1e6, ($1 in kernel) ? sprintf("%.1f", kernel[$1] / 1e6) : "-" }' \
	"$b/flows.kernel" "$b/flows.skep"
