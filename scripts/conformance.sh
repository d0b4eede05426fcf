#!/usr/bin/env bash
# conformance.sh BUILD-DIR - the kernel's own verifier tests (Debian's linux-source package, Linux 6.1) on the running kernel and on
# skep, one beside the other. Nothing of the kernel's source is kept: it is unpacked into a temporary directory, compiled there
# twice (once with libskep's syscall wrapper) and run. Differences are listed in BUILD-DIR/conformance.txt.
set -eu
B=$1
src=$(ls /usr/src/linux-source-*.tar.xz 2>/dev/null | head -n 1)
[ -n "$src" ] || { echo "conformance: no /usr/src/linux-source-*.tar.xz (apt install linux-source)" >&2; exit 3; }
[ "$(id -u)" = 0 ] || { echo "conformance: needs root, to load programs into the kernel" >&2; exit 3; }
t=$(mktemp -d)
export SKEP_TARGET_BTF=/sys/kernel/btf/vmlinux	# the same types as the kernel
export SKEP_DIR; SKEP_DIR=$(mktemp -d /dev/shm/skep-conf-XXXXXX)
trap 'rm -rf "$t" "$SKEP_DIR"' EXIT
tar -C "$t" --strip-components=1 --wildcards -xf "$src" '*/tools/testing/selftests/bpf/*.[ch]' \
	'*/tools/testing/selftests/bpf/verifier/*' '*/tools/include/linux/filter.h'
s=$t/tools/testing/selftests/bpf
mkdir "$t/inc" "$t/inc/verifier"
touch "$t/inc/autoconf.h"
for f in "$s"/verifier/*.c; do echo "#include \"$f\""; done > "$t/inc/verifier/tests.h"
# Not our code: its warnings are not our business.
for f in test_verifier cap_helpers; do
	gcc -O1 -w -I"$t/inc" -I"$s" -Du32=__u32 -Du64=__u64 -c "$s/$f.c" -o "$t/$f.o"
done
gcc "$t"/*.o -l:libbpf.a -lelf -lz -o "$t/on-kernel"
gcc -Wl,--wrap=syscall "$t"/*.o -Wl,--start-group "$B/lib/libskep.a" -l:libbpf.a -lelf -lz -Wl,--end-group -pthread -ldl -o "$t/on-skep"
cd "$t"
timeout 600 ./on-kernel > kernel.out 2>&1 || true
timeout 600 ./on-skep > skep.out 2>&1 || true
cd "$OLDPWD"
python3 - "$t/kernel.out" "$t/skep.out" > "$B/conformance.txt" <<'PY'
import re, sys

def results(path):
    out = {}
    for line in open(path, errors="replace"):
        m = re.match(r"#(\d+/[up]) (.*?)(?: Did not run the program \(not supported\))? ?(OK|FAIL|SKIP)(.*)$", line.rstrip())
        if m:
            out[m[1]] = (m[2], m[3], m[4])
    return out

def kind(r):
    if r is None:
        return "missing"
    if r[1] == "FAIL" and ("test_run error" in r[2] or "retval" in r[2]):
        return "run"                     # loaded as expected; the run could not be done or differs
    if r[1] == "FAIL" and "subsequence" in r[2]:
        return "rewrite"                 # loaded as expected; rewritten in another way
    return {"OK": "as expected", "FAIL": "verdict", "SKIP": "skipped"}[r[1]]

k, s = results(sys.argv[1]), results(sys.argv[2])
count = {}
for i in k:
    a, b = kind(k[i]), kind(s.get(i))
    count[a, b] = count.get((a, b), 0) + 1
    if a != b:
        print(f"{i} {k[i][0]} | kernel: {a} | skep: {b}{(s.get(i) or ('', '', ''))[2]}")
print()
print("expectations are Linux 6.1's; the running kernel, too, differs from some")
for (a, b), n in sorted(count.items(), key=lambda x: -x[1]):
    print(f"{n:5}  kernel: {a:12} skep: {b}")
same = sum(n for (a, b), n in count.items() if a == b or {a, b} <= {"as expected", "run", "rewrite"})
judged = sum(n for (a, b), n in count.items() if "skipped" not in (a, b))
agree = sum(n for (a, b), n in count.items() if "skipped" not in (a, b) and (a == b or {a, b} <= {"as expected", "run", "rewrite"}))
print(f"verdicts agree in {agree} of {judged} tests that both judged")
PY
tail -n 20 "$B/conformance.txt"
