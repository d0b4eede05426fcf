#!/usr/bin/env bash
# bench-engines.sh BUILD-DIR: runs the programs of bench/engines on skep, natively and, as root, on the kernel; writes
# BUILD-DIR/bench/engines.json, a list of {"case","unit","skep","kernel","native","peer","target"} (null where there is
# nothing). ns per run, medians; the test loop included. The target is the kernel's figure.
set -eu
b=$1/bench
SKEP_DIR=$(mktemp -d /dev/shm/skep-bench-XXXXXX)
export SKEP_DIR
trap 'rm -rf "$SKEP_DIR"' EXIT
"$b/engines-skep" bpf "$b"/engines.d/*.kern.o > "$b/engines.skep" || echo "bench-engines: some programs did not run on skep" >&2
"$b/engines-kernel" native "$b"/engines.d/*.native.so > "$b/engines.native"
: > "$b/engines.kernel"
if [ "$(id -u)" -ne 0 ] || ! "$b/engines-kernel" bpf "$b"/engines.d/*.kern.o > "$b/engines.kernel"; then
	echo "bench-engines: no kernel column, or not all of it" >&2
fi
# columns: file, case, ns, return value
awk -F'\t' -v json="$b/engines.json" '
	FNR == 1 { which++ }
	which == 1 { skep[$1] = $2; ret[$1] = $3; order[++n] = $1 }
	which == 2 { native[$1] = $2; if (($1 in ret) && ret[$1] != $3) wrong[$1] = wrong[$1] " native says " $3 }
	which == 3 { kernel[$1] = $2; if (($1 in ret) && ret[$1] != $3) wrong[$1] = wrong[$1] " the kernel says " $3 }
	function val(v) { return v == "" ? "null" : v }
	END {
		printf "%-16s %10s %10s %10s   ns per run\n", "CASE", "SKEP", "KERNEL", "NATIVE"
		for (i = 1; i <= n; i++) {
			c = order[i]
			note = ""
			if (c in wrong) { note = "   WRONG: " ret[c] "," wrong[c]; bad = 1 }
			printf "%-16s %10.1f %10s %10s%s\n", c, skep[c], kernel[c], native[c], note
			printf "%s{\"case\":\"engine: %s\",\"unit\":\"ns\",\"skep\":%s,\"kernel\":%s,\"native\":%s,\"peer\":null,\"target\":%s}",
				(i > 1 ? ",\n " : "["), c, val(skep[c]), val(kernel[c]), val(native[c]), val(kernel[c]) > json
		}
		print (n ? "]" : "[]") > json
		exit bad
	}' "$b/engines.skep" "$b/engines.native" "$b/engines.kernel"
