#!/usr/bin/env bash
# Debian's bpftool, unmodified, as an unprivileged user under libskep-preload.so: the kernel's output.
. "$(dirname "$0")/lib.sh"
[ -n "$sanitized" ] && { skip bpftool "$sanitized"; exit 0; }
command -v bpftool > /dev/null || { skip bpftool "not installed"; exit 0; }

cat > "$tmp/w/p.bpf.c" <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 16); __type(key, __u32); __type(value, __u64); } m SEC(".maps");
int counter = 5;
const volatile int step = 3;
static __attribute__((noinline)) int add(int a) { counter += a; return counter; }
SEC("xdp") int xp(struct xdp_md *c)
{
	__u32 k = c->data_end - c->data;
	__u64 one = 1, *v = bpf_map_lookup_elem(&m, &k);
	if (v)
		__sync_fetch_and_add(v, 1);
	else
		bpf_map_update_elem(&m, &k, &one, 0);
	add(step);
	return XDP_PASS;
}
SEC("socket") int filter(struct __sk_buff *s) { return s->len; }
char LICENSE[] SEC("license") = "GPL";
C
clang -O2 -g -target bpf -I"/usr/include/$(uname -m)-linux-gnu" -c "$tmp/w/p.bpf.c" -o "$tmp/w/p.o" || { bad "compile" ""; exit 1; }
head -c 64 /dev/zero > "$tmp/w/in.bin"

B=/sys/fs/bpf
cat > "$tmp/cmds" <<C
create-hash	bpftool map create $B/h type hash key 4 value 8 entries 16 name hh
create-again	bpftool map create $B/h type hash key 4 value 8 entries 16 name hh
create-bad	bpftool map create $B/bad type hash key 0 value 8 entries 16 name hh
create-array	bpftool map create $B/a type array key 4 value 4 entries 3 name aa
create-percpu	bpftool map create $B/pa type percpu_array key 4 value 8 entries 2 name pa
create-pcpuhash	bpftool map create $B/ph type percpu_hash key 4 value 8 entries 2 name ph
create-ring	bpftool map create $B/rb type ringbuf key 0 value 0 entries 4096 name rb
show	bpftool map show pinned $B/h
show-json	bpftool -j map show pinned $B/h
show-ring	bpftool -j map show pinned $B/rb
update	bpftool map update pinned $B/h key 1 0 0 0 value 1 2 3 4 5 6 7 8
update-noexist	bpftool map update pinned $B/h key 1 0 0 0 value 1 2 3 4 5 6 7 8 noexist
update-array	bpftool map update pinned $B/a key 2 0 0 0 value 9 9 9 9
update-beyond	bpftool map update pinned $B/a key 3 0 0 0 value 9 9 9 9
update-percpu	bpftool map update pinned $B/pa key 1 0 0 0 value 7 0 0 0 0 0 0 0
lookup	bpftool map lookup pinned $B/h key 1 0 0 0
lookup-json	bpftool -j map lookup pinned $B/h key 1 0 0 0
lookup-none	bpftool map lookup pinned $B/h key 2 0 0 0
getnext	bpftool map getnext pinned $B/h
getnext-last	bpftool map getnext pinned $B/h key 1 0 0 0
dump	bpftool map dump pinned $B/h
dump-json	bpftool -j map dump pinned $B/h
dump-array	bpftool map dump pinned $B/a
dump-percpu	bpftool map dump pinned $B/pa
dump-percpuhash	bpftool -j map dump pinned $B/ph
dump-ring	bpftool map dump pinned $B/rb
delete	bpftool map delete pinned $B/h key 1 0 0 0
delete-none	bpftool map delete pinned $B/h key 1 0 0 0
delete-array	bpftool map delete pinned $B/a key 1 0 0 0
freeze	bpftool map freeze pinned $B/a
update-frozen	bpftool map update pinned $B/a key 1 0 0 0 value 9 9 9 9
pin	bpftool map pin pinned $B/h $B/h2
pin-again	bpftool map pin pinned $B/h $B/h2
pin-elsewhere	bpftool map pin pinned $B/h /nonexistent/h2
bpffs	bpftool -f map show name hh | grep -o 'pinned /sys/fs/bpf/h.*' | sort -u
unpin	rm $B/h2
pinned-missing	bpftool map show pinned $B/nothing
list	ls $B | grep -v debug
load	bpftool prog load p.o $B/x type xdp
loadall	bpftool prog loadall p.o $B/all pinmaps $B/maps
prog-show	bpftool prog show pinned $B/all/xp
prog-show-json	bpftool -j prog show pinned $B/all/filter
prog-list-json	bpftool -j prog show pinned $B/all/xp
run	bpftool prog run pinned $B/all/xp data_in in.bin repeat 10
run-json	bpftool -j prog run pinned $B/all/xp data_in in.bin repeat 1
run-out	bpftool prog run pinned $B/all/xp data_in in.bin data_out - repeat 1
run-filter	bpftool prog run pinned $B/all/filter data_in in.bin
run-short	printf 'aaaa' > /dev/shm/skep-short-\$\$; bpftool prog run pinned $B/all/xp data_in /dev/shm/skep-short-\$\$; s=\$?; rm /dev/shm/skep-short-\$\$; exit \$s
map-counts	bpftool map dump pinned $B/maps/m
map-counts-json	bpftool -j map dump pinned $B/maps/m
data	ls $B/maps
btf-map	bpftool btf dump map pinned $B/maps/m kv
btf-prog	bpftool btf dump prog pinned $B/all/xp format c
btf-raw	bpftool btf dump prog pinned $B/all/xp
prog-pin	bpftool prog pin pinned $B/all/xp $B/y
prog-pin-again	bpftool prog pin pinned $B/all/xp $B/y
prog-missing	bpftool prog show id 99999999
map-missing	bpftool map show id 99999999
xlated	bpftool prog dump xlated pinned $B/all/filter | sed 's/r1 +[0-9]*/r1 +OFF/'
xlated-lines	bpftool prog dump xlated pinned $B/all/xp | grep '^;' | sort -u
xlated-funcs	bpftool prog dump xlated pinned $B/all/xp | grep '^int'
xlated-json	bpftool -j prog dump xlated pinned $B/all/filter | tr ',' '\n' | grep -c disasm
fdinfo	exec 5< $B; cat /proc/self/fdinfo/5 | grep -c pos
C
# Exit statuses that are not 0, as the kernel's bpftool has them: for where there is no kernel to compare with.
mkdir "$tmp/want"
want() { local v=$1 n; shift; for n in "$@"; do echo "$v" > "$tmp/want/$n"; done; }
want 234 delete-array run-short
want 239 create-again pin-again prog-pin-again update-noexist
want 244 dump-ring
want 249 update-beyond
want 254 delete-none getnext-last lookup-none
want 255 create-bad map-missing pin-elsewhere pinned-missing prog-missing update-frozen
run_both "$tmp/cmds"
while IFS=$'\t' read -r n cmd; do
	same "$n" "$cmd"
done < "$tmp/cmds"

# The kernel's object counters stand still meanwhile. Others may use the kernel's bpf(2) too: so a few tries.
if [ -n "$have_kernel" ]; then
	fresh_id() { unshare -m sh -c 'mount -t bpf bpf /sys/fs/bpf && bpftool map create /sys/fs/bpf/c type array key 4 value 4 entries 1 name c && bpftool -j map show pinned /sys/fs/bpf/c' | sed -E 's/.*"id":([0-9]+).*/\1/'; }
	still=
	for _ in $(seq 10); do
		one=$(fresh_id)
		on_skep bpftool map create /sys/fs/bpf/count type array key 4 value 4 entries 1 name c
		on_skep rm -f /sys/fs/bpf/count
		two=$(fresh_id)
		# bpftool's own probes create nothing between the two of them but what fresh_id makes
		base=$(( $(fresh_id) - two ))
		[ $((two - one)) -eq $base ] && { still=1; break; }
	done
	check "the kernel's ids stand still while skep creates" "from $one to $two, step $base" [ -n "$still" ]
else
	skip "the kernel's ids stand still while skep creates" "needs root and the kernel's bpf(2)"
fi
