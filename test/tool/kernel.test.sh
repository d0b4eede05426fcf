#!/usr/bin/env bash
# skep leaves the kernel's BPF alone: its map and program id counters do not move while the main job is done (root, and a
# kernel with BPF). The counters are the machine's: somebody else may use them meanwhile, hence several attempts.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin
if [ "$(id -u)" -ne 0 ] || ! bpftool map show > /dev/null 2>&1; then
	skip "the kernel's id counters: not root, or no kernel BPF"
	exit 0
fi
mnt=$tmp/bpf
mkdir "$mnt"
on_exit="umount '$mnt' 2> /dev/null"
mount -t bpf none "$mnt" || { skip "the kernel's id counters: no bpffs"; exit 0; }

next_ids() {	# ids that the kernel gives to a map and a program made now
	bpftool map create "$mnt/m" type array key 4 value 4 entries 1 name skep_ids &&
	bpftool -j map show pinned "$mnt/m" | sed 's/.*"id":\([0-9]*\).*/\1/' &&
	bpftool prog load "$tmp/one.bpf.o" "$mnt/p" &&
	bpftool -j prog show pinned "$mnt/p" | sed 's/.*"id":\([0-9]*\).*/\1/'
	rm -f "$mnt/m" "$mnt/p"
}
cat > "$tmp/one.bpf.c" <<'C'
__attribute__((section("xdp"), used)) int one(void *ctx) { return 2; }
char LICENSE[] __attribute__((section("license"), used)) = "GPL";
C
"${CLANG:-clang}" -target bpf -O2 -c "$tmp/one.bpf.c" -o "$tmp/one.bpf.o"

moved=unknown
next_ids > /dev/null	# bpftool's own probing settles
for _ in 1 2 3 4 5 6 7 8; do
	base=$(next_ids | tr '\n' ' ')
	still=$(next_ids | tr '\n' ' ')
	run_tool run examples/flows.bpf.c --in examples/traffic.pcap
	[ "$rc" -eq 0 ] || break
	after=$(next_ids | tr '\n' ' ')
	# what bpftool itself takes between two readings, measured, and then with the job in between
	moved=$(echo "$base $still $after" | awk '{ print ($5 - $3) - ($3 - $1), ($6 - $4) - ($4 - $2) }')
	[ "$moved" = "0 0" ] && break
	sleep 0.3
done
same "run succeeds" 0 "$rc"
same "ids of the kernel's maps and programs do not advance" "0 0" "$moved"
