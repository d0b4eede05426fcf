#!/usr/bin/env bash
# C programs of test/verify/progs, compiled by clang and loaded by libbpf, one by one: skep's verdict, and where the kernel has BPF, the
# same verdict, errno, test-run results and map contents as the kernel's.
d=$(dirname "$0")/progs
t=$(mktemp -d); export SKEP_DIR; SKEP_DIR=$(mktemp -d /dev/shm/skep-t-XXXXXX)
trap 'rm -rf "$t" "$SKEP_DIR"' EXIT
B=${SKEP_BUILD:-build}
san=$(case $B in *asan*) echo -fsanitize=address,undefined;; *tsan*) echo -fsanitize=thread;; esac)
bad() { echo "not ok - progs: $1"; exit 1; }
for f in "$d"/*.bpf.c; do
	"${CLANG:-clang}" -g -O2 -target bpf -mcpu=v3 -I"/usr/include/$(uname -m)-linux-gnu" -c "$f" -o "$t/$(basename "$f" .c).o" \
		2> "$t/err" || bad "clang: $(head -n 1 "$t/err")"
done
wrap=$(sed -n 's/^WRAP_SYMS *:*= *//p' Makefile); wrap=${wrap:-syscall}
flags=; for w in $wrap; do flags="$flags -Wl,--wrap=$w"; done
gcc -O1 -w "$d/load.c" -l:libbpf.a -lelf -lz -o "$t/kernel" || bad "gcc"
# shellcheck disable=SC2086
gcc -O1 -w $san $flags "$d/load.c" -Wl,--start-group "$B/lib/libskep.a" -l:libbpf.a -lelf -lz -Wl,--end-group -pthread -ldl \
	-o "$t/skep" 2> "$t/err" || bad "gcc: $(tail -n 1 "$t/err")"
"$t/skep" "$t"/*.o > "$t/skep.out" 2> "$t/skep.err" || bad "the loader ended with $?: $(tail -n 1 "$t/skep.err")"
[ "$(wc -l < "$t/skep.out")" -ge 34 ] || bad "only $(wc -l < "$t/skep.out") programs"
while IFS= read -r line; do
	case $line in
	bad_*": ok"*) echo "not ok - progs: $line: accepted";;
	bad_*) echo "ok - progs: ${line%%:*} is refused";;
	*": ok"*) echo "ok - progs: ${line%%:*} is accepted";;
	*) echo "not ok - progs: $line";;
	esac
done < "$t/skep.out"
if [ "$(id -u)" != 0 ] || ! PATH=$PATH:/usr/sbin bpftool map show > /dev/null 2>&1; then
	echo "skip - progs: as the kernel: not root, or no kernel BPF"
	exit 0
fi
"$t/kernel" "$t"/*.o > "$t/kernel.out"
while IFS= read -r line; do
	name=${line%%:*}
	ours=$(grep "^$name:" "$t/skep.out")
	if [ "$ours" = "$line" ]; then echo "ok - progs: $name as the kernel"
	else echo "not ok - progs: $name: kernel '${line#*: }' skep '${ours#*: }'"; fi
done < "$t/kernel.out"
