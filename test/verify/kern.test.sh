#!/usr/bin/env bash
# C programs of test/verify/kern that use the kernel's types, kfuncs and special map fields: judged by skep's verifier (shim.c, against
# the running kernel's BTF), and by the kernel: same verdict, errno and sentence. bad_: refused.
d=$(dirname "$0")/kern
B=${SKEP_BUILD:-build}
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
bad() { echo "not ok - kern: $1"; exit 1; }
[ -r /sys/kernel/btf/vmlinux ] || { echo "skip - kern: no /sys/kernel/btf/vmlinux"; exit 0; }
for f in "$d"/*.bpf.c; do
	"${CLANG:-clang}" -g -O2 -target bpf -D__TARGET_ARCH_x86 -mcpu=v3 -I"/usr/include/$(uname -m)-linux-gnu" -c "$f" \
		-o "$t/$(basename "$f" .c).o" 2> "$t/err" || bad "clang: $(head -n 1 "$t/err")"
done
san=$(case $B in *asan*) echo -fsanitize=address,undefined;; *tsan*) echo -fsanitize=thread;; esac)
gcc -O1 -w "$d/load.c" -l:libbpf.a -lelf -lz -o "$t/kernel" || bad "gcc"
# shellcheck disable=SC2086
gcc -O1 -w $san -Isrc -Wl,--wrap=syscall "$d/load.c" "$d/shim.c" -Wl,--start-group "$B/lib/libskep.a" -l:libbpf.a -lelf -lz \
	-Wl,--end-group -pthread -ldl -o "$t/skep" 2> "$t/err" || bad "gcc: $(tail -n 1 "$t/err")"
"$t/skep" "$t"/*.o > "$t/skep.out" 2> "$t/skep.err" || bad "the loader ended with $?: $(tail -n 1 "$t/skep.err")"
[ "$(wc -l < "$t/skep.out")" -ge 50 ] || bad "only $(wc -l < "$t/skep.out") programs"
while IFS= read -r line; do
	case $line in
	*"not supported yet"*) echo "not ok - kern: $line";;
	*/bad_*": ok"*) echo "not ok - kern: $line: accepted";;
	*/bad_*) echo "ok - kern: ${line%%:*} is refused";;
	*": ok"*) echo "ok - kern: ${line%%:*} is accepted";;
	*) echo "not ok - kern: $line";;
	esac
done < "$t/skep.out"
if [ "$(id -u)" != 0 ] || ! PATH=$PATH:/usr/sbin bpftool map show > /dev/null 2>&1; then
	echo "skip - kern: as the kernel: not root, or no kernel BPF"
	exit 0
fi
rm -f "$t/fentry.bpf.o"	# test machines do not let everybody load these
"$t/kernel" "$t"/*.o > "$t/kernel.out"
while IFS= read -r line; do
	name=${line%%:*}
	ours=$(grep "^$name:" "$t/skep.out")
	if [ "$ours" = "$line" ]; then echo "ok - kern: $name as the kernel"
	else echo "not ok - kern: $name: kernel '${line#*: }' skep '${ours#*: }'"; fi
done < "$t/kernel.out"
