#!/usr/bin/env bash
# bench-verify.sh BUILD-DIR - the verifier beside the kernel's, over the same objects: time (best of five, by the log's own figure),
# states, memory. Prints a table, writes BUILD-DIR/bench/verify.json. Needs root and kernel BPF for the kernel's columns.
set -eu
B=$1
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
mkdir -p "$B/bench"
for f in bench/verify/*.bpf.c test/verify/progs/*.bpf.c test/verify/kern/*.bpf.c examples/*.bpf.c; do
	"${CLANG:-clang}" -g -O2 -target bpf -D__TARGET_ARCH_x86 -mcpu=v3 -Iinclude -I"/usr/include/$(uname -m)-linux-gnu" -c "$f" \
		-o "$t/$(basename "$f" .c).o" 2> /dev/null || echo "left out: $f (does not compile alone)" >&2
done
gcc -O1 -w bench/verify/load.c -l:libbpf.a -lelf -lz -o "$t/kernel"
gcc -O1 -w -Isrc -DSHIM_BEFORE=shim_before -Wl,--wrap=syscall bench/verify/load.c test/verify/kern/shim.c -Wl,--start-group \
	"$B/lib/libskep.a" -l:libbpf.a -lelf -lz -Wl,--end-group -pthread -ldl -o "$t/skep"
"$t/skep" "$t"/*.o > "$t/skep.out"
"$t/kernel" "$t"/*.o > "$t/kernel.out" || true
python3 - "$t/skep.out" "$t/kernel.out" "$B/bench/verify.json" <<'PY'
import json, sys

def rows(path):
    out = {}
    for line in open(path):
        obj, prog, *n = line.split()
        out[obj, prog] = dict(zip(("err", "usec", "insns", "states", "peak_states", "kib"), map(int, n)))
    return out

s, k = rows(sys.argv[1]), rows(sys.argv[2])
both = [i for i in s if i in k and (s[i]["err"] == 0) == (k[i]["err"] == 0) and k[i]["usec"] > 0]

def figures(r):
    t = sorted(r[i]["usec"] for i in both)
    return {"total_us": sum(t), "p50_us": t[len(t) // 2], "p99_us": t[len(t) * 99 // 100], "max_us": t[-1],
            "states": sum(r[i]["states"] for i in both)}

out = {"programs": len(s), "compared": len(both), "memory_max_kib": max(r["kib"] for r in s.values())}
if both:
    out.update(skep=figures(s), kernel=figures(k))
    print(f"{'':10}{'total us':>12}{'p50':>8}{'p99':>8}{'max':>10}{'states':>10}   ({len(both)} programs, same verdict)")
    for name in ("kernel", "skep"):
        f = out[name]
        print(f"{name:10}{f['total_us']:12,}{f['p50_us']:8,}{f['p99_us']:8,}{f['max_us']:10,}{f['states']:10,}")
    small = [i for i in both if k[i]["err"] == 0]
    a, b = sum(k[i]["usec"] for i in small), sum(s[i]["usec"] for i in small)
    out["accepted"] = {"kernel_us": a, "skep_us": b, "ratio": round(a / max(b, 1), 2)}
    print(f"accepted programs: kernel {a:,} us, skep {b:,} us: {a / max(b, 1):.2f} times (target 3)")
print(f"memory of one verification: at most {out['memory_max_kib']:,} KiB (target 65,536)")
print("slowest:")
out["slowest"] = []
for i in sorted(s, key=lambda i: -s[i]["usec"])[:6]:
    out["slowest"].append({"object": i[0], "program": i[1], **s[i]})
    print(f"  {i[0]}/{i[1]}: {s[i]['usec']:,} us, {s[i]['insns']:,} insns, {s[i]['kib']:,} KiB, errno {-s[i]['err']}"
          + (f"; kernel {k[i]['usec']:,} us, errno {-k[i]['err']}" if i in k else ""))
json.dump(out, open(sys.argv[3], "w"), indent=1)
PY
