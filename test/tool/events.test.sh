#!/usr/bin/env bash
# What programs send through ring buffers and perf event arrays: columns, JSON, types, several of them.
. "$(dirname "$0")/lib.sh"
cap=examples/traffic.pcap
n=380	# packets in it

cat > "$tmp/ring.bpf.c" << 'EOF'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
struct event { __u64 ts; __u32 pid; __u32 pad; __s32 retval; char comm[16]; char filename[40]; };
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 256 * 1024); __type(value, struct event); } events SEC(".maps");
int n;
SEC("xdp") int go(struct xdp_md *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return XDP_DROP;
	__builtin_memset(e, 0, sizeof(*e));
	e->ts = bpf_ktime_get_ns();
	e->pid = ++n % 2 ? 7 : 1234567890;
	e->retval = -2;
	__builtin_memcpy(e->comm, "sh", 2);
	__builtin_memcpy(e->filename, "/bin/a \n\tb\"x\\", 13);
	bpf_ringbuf_submit(e, 0);
	return XDP_PASS;
}
EOF
run_tool run "$tmp/ring.bpf.c" --in $cap
same "ring: exit status" "0 " "$rc $err"
same "ring: the header once, upper case, no padding" "1 TS PID RETVAL COMM FILENAME" \
	"$(grep -c TS <<< "$out") $(head -n 1 <<< "$out" | xargs)"
same "ring: a line per record" $n "$(grep -cE '^[0-9:.]{15} +(7|1234567890) +-2  sh +/bin/a \\n\\tb"x\\$' <<< "$out")"
same "ring: numbers end and texts begin under their header from the widest record on" "1" \
	"$(sed -n "3,$((n + 1))p" <<< "$out" | sed 's/[^ ].*-2  sh.*/&/' | awk '{ print index($0, "sh ") }' | sort -u | wc -l)"
has "ring: the counters of the run follow" "$out" "returned: XDP_PASS $n"
run_tool run "$tmp/ring.bpf.c" --in $cap -j
same "ring -j: an object per record with the text as it is, then the run" "$n 380" "$(python3 -c '
import json, sys
rows = [json.loads(l) for l in sys.stdin]
ev = rows[:-1]
assert all(list(e) == ["ts", "pid", "pad", "retval", "comm", "filename"] for e in ev)
assert all(e["filename"] == "/bin/a \n\tb\"x\\" and e["retval"] == -2 for e in ev)
print(len(ev), rows[-1]["packets"])' <<< "$out")"

# perf event array, type from a global; the sample is padded behind its end
cat > "$tmp/perf.bpf.c" << 'EOF'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
struct event { __u32 a; char b[5]; } __attribute__((packed));
const struct event *unused __attribute__((unused));
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } events SEC(".maps");
SEC("xdp") int go(struct xdp_md *ctx)
{
	struct event e = { 42, "abcd" };

	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &e, sizeof(e));
	return XDP_PASS;
}
EOF
run_tool run "$tmp/perf.bpf.c" --in $cap
same "perf: type from the unused global" "$n A B" "$(grep -cE '^ +42  abcd$' <<< "$out") $(head -n 1 <<< "$out" | xargs)"
same "perf: the global that names the type is no variable to show" 0 "$(grep -c unused <<< "$out")"

# two types in one ring, told apart by their size; one record of no known size takes the first
cat > "$tmp/two.bpf.c" << 'EOF'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
struct open { __u32 pid; char name[8]; };
struct exit_event { __u64 code; __u64 more; };
const struct open *unused_open;
const struct exit_event *unused_exit;
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 256 * 1024); } events SEC(".maps");
SEC("syscall") int go(void *ctx)
{
	struct open o = { 3, "file" };
	struct exit_event x = { 9, 0 };

	bpf_ringbuf_output(&events, &o, sizeof(o), 0);
	bpf_ringbuf_output(&events, &x, sizeof(x), 0);
	bpf_ringbuf_output(&events, &o, 4, 0);
	return 0;
}
EOF
run_tool run "$tmp/two.bpf.c"
same "two types: each line names its own" "open        pid=3 name=file
exit_event  code=9 more=0
open        pid=3 name=" "$(head -n 3 <<< "$out")"
run_tool run "$tmp/two.bpf.c" -j
same "two types -j" '{"event":"open","pid":3,"name":"file"}
{"event":"exit_event","code":9,"more":0}
{"event":"open","pid":3,"name":""}' "$(head -n 3 <<< "$out")"

# no type: bytes
sed '/unused/d' "$tmp/two.bpf.c" > "$tmp/none.bpf.c"
run_tool run "$tmp/none.bpf.c"
same "no type: bytes" "SIZE DATA|12 03 00 00 00 66 69 6c 65 00 00 00 00|16 09 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00|4 03 00 00 00" \
	"$(head -n 4 <<< "$out" | sed 's/^ *//; s/  */ /g' | paste -sd '|')"
run_tool run "$tmp/none.bpf.c" -j
same "no type -j" '{"data":["0x03","0x00","0x00","0x00"]}' "$(sed -n 3p <<< "$out")"

# events are counted where they are lost: nobody reads while one run sends more than the buffer holds
sed 's/	bpf_ringbuf_output(&events, &o, 4, 0);/	for (int i = 0; i < 20000; i++)\n		bpf_ringbuf_output(\&events, \&x, sizeof(x), 0);/' "$tmp/two.bpf.c" > "$tmp/many.bpf.c"
run_tool run "$tmp/many.bpf.c"
got=$(grep -cE '^(open|exit_event) ' <<< "$out")
same "lost records are counted" "0 skep: warning: events: $(printf "%'d" $((20002 - got)) | sed ':a;s/\B[0-9]\{3\}\>/,&/;ta') events were lost: there was no room" "$rc $err"

# a reader that goes away ends the events, not the run
"$skep" run "$tmp/ring.bpf.c" --in $cap 2> "$tmp/err" | head -n 1 > /dev/null
has "a closed pipe is no crash" "${PIPESTATUS[0]}" '^(0|1|141)$'
