#!/usr/bin/env bash
# bench-filter.sh BUILD-DIR: runs bench/filter and `skep filter` beside tcpdump on a capture of PACKETS packets (10,000,000,
# 96 bytes each at most), in memory. Writes BUILD-DIR/bench/filter.json, a list of
# {"case","unit","skep","kernel","native","peer","target"} (null where there is nothing); prints the tables.
set -eu
b=$1/bench cap=examples/traffic.pcap packets=${PACKETS:-10000000}
tmp=$(mktemp -d /dev/shm/skep-bench-XXXXXX)
trap 'rm -rf "$tmp"' EXIT
export SKEP_DIR=$tmp/dir TMPDIR=$tmp
command -v "${CLANG:-clang}" > /dev/null && export FILTER_NATIVE=${CLANG:-clang}
"$b/filter" $cap > "$b/filter.ns"

# seconds of the clock, best of 3
best() {
	local min='' t0 t
	for _ in 1 2 3; do
		t0=$(date +%s%N); "$@" > /dev/null 2>&1; t=$(($(date +%s%N) - t0))
		{ [ -z "$min" ] || [ "$t" -lt "$min" ]; } && min=$t
	done
	echo "$min"
}
"$b/filter" $cap "$tmp/long.pcap" "$packets" 96
: > "$b/filter.files"
for expr in 'tcp port 80' 'ether proto 0x8892' ''; do
	ours=$(best "$1/bin/skep" filter -r "$tmp/long.pcap" -w "$tmp/out.pcap" "$expr")
	theirs=-
	command -v tcpdump > /dev/null && theirs=$(best tcpdump -r "$tmp/long.pcap" -w "$tmp/theirs.pcap" "$expr")
	[ "$theirs" = - ] || cmp "$tmp/out.pcap" "$tmp/theirs.pcap" >&2
	printf "capture: '%s'\t%s\t%s\n" "$expr" "$ours" "$theirs" >> "$b/filter.files"
done

awk -F'\t' -v packets="$packets" '
	function j(v) { return v == "-" || v == "" ? "null" : v }
	function row(name, unit, s, k, n, p, t) {
		printf "%s{\"case\":\"filter: %s\",\"unit\":\"%s\",\"skep\":%s,\"kernel\":%s,\"native\":%s,\"peer\":%s,\"target\":%s}",
			rows++ ? ",\n " : "[", name, unit, j(s), j(k), j(n), j(p), t
	}
	FNR == NR { row($1, "ns/packet", $2, $3, $4, $5, "null"); for (i = 2; i <= 5; i++) if ($i > 0) { s[i] += log($i); c[i]++ } next }
	{ row($1, "packets/s", sprintf("%.0f", packets * 1e9 / $2), "-", "-", $3 == "-" ? "-" : sprintf("%.0f", packets * 1e9 / $3), 5000000) }
	END {
		for (i = 2; i <= 5; i++) g[i] = c[i] ? sprintf("%.2f", exp(s[i] / c[i])) : "-"
		row("geometric mean", "ns/packet", g[2], g[3], g[4], g[5], 2.5); print "]"
	}' "$b/filter.ns" "$b/filter.files" > "$b/filter.json"
awk -F'\t' -v packets="$packets" '
	FNR == NR && FNR == 1 { printf "%-46s %8s %8s %8s %8s   ns per packet\n", "CASE", "SKEP", "KERNEL", "CLANG", "LIBPCAP" }
	FNR == NR {
		printf "%-46s %8s %8s %8s %8s\n", $1, $2, $3, $4, $5
		for (i = 2; i <= 5; i++) if ($i > 0) { s[i] += log($i); c[i]++ }
		next
	}
	FNR == 1 {
		printf "%-46s", "geometric mean"; for (i = 2; i <= 5; i++) printf " %8s", c[i] ? sprintf("%.2f", exp(s[i] / c[i])) : "-"
		printf "\n\n%-46s %8s %8s            M packets/s, %d packets\n", "CASE", "SKEP", "TCPDUMP", packets
	}
	{ printf "%-46s %8.1f %8s\n", $1, packets * 1e3 / $2, $3 == "-" ? "-" : sprintf("%.1f", packets * 1e3 / $3) }' "$b/filter.ns" "$b/filter.files"
