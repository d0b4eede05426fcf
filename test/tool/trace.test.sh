#!/usr/bin/env bash
# bpf_printk(): what the program of skep run prints comes on stderr, and out of skep trace-pipe, once.
. "$(dirname "$0")/lib.sh"

cat > "$tmp/hello.bpf.c" << 'EOF'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
int n;
SEC("xdp") int hello(struct xdp_md *ctx)
{
	bpf_printk("packet %d: %u bytes", n++, ctx->data_end - ctx->data);
	bpf_printk("%d %d %d %s", 1, 2, 3, "many");
	return XDP_PASS;
}
EOF
sed 's/xdp") int hello(struct xdp_md/syscall") int hello(void/; s/ctx->data_end - ctx->data/7/' "$tmp/hello.bpf.c" > "$tmp/once.bpf.c"
sed 's/"GPL"/"Proprietary"/' "$tmp/hello.bpf.c" > "$tmp/closed.bpf.c"
form='^ *skep-[0-9]+ +\[[0-9]{3}\] \.\.\.\.\. +[0-9]+\.[0-9]{6}: bpf_trace_printk: '

run_tool trace-pipe -n
same "an empty buffer prints nothing" "0  " "$rc $out $err"
run_tool run "$tmp/once.bpf.c"
has "skep run shows what its program prints, in trace_pipe's form" "$err" "${form}packet 0: 7 bytes\$"
has "more than three arguments (trace_vprintk)" "$err" "${form}1 2 3 many\$"
run_tool trace-pipe -n
same "trace-pipe has both lines" 2 "$(grep -cE "$form" <<< "$out")"
run_tool trace-pipe --no-follow
same "reading consumed them" "0 " "$rc $out"

run_tool run "$tmp/hello.bpf.c" --in examples/traffic.pcap -j
packets=$(python3 -c 'import json,sys; print(json.load(sys.stdin)["packets"])' <<< "$out")
same "-j: one document on stdout, a line per packet on stderr" "$packets" "$(grep -c 'bytes$' <<< "$err")"
run_tool trace-pipe -n -j
same "trace-pipe -j: an object per line, in order" "$((2 * packets)) comm pid cpu ts_ns text" "$(python3 -c '
import json, sys
rows = [json.loads(l) for l in sys.stdin]
lines = [r for r in rows if "text" in r]
lost = sum(r.get("lost", 0) for r in rows)
assert lines == sorted(lines, key=lambda r: r["ts_ns"])
print(len(lines) + lost, *lines[0])' <<< "$out")"

# A follower gets lines as they come, and ends with status 0 at SIGINT.
(trap - INT; exec "$skep" trace-pipe > "$tmp/followed" 2>&1) &
pid=$!
on_exit="kill $pid 2> /dev/null"
run_tool run "$tmp/once.bpf.c"
for _ in $(seq 100); do
	[ "$(wc -l < "$tmp/followed")" -ge 2 ] && break
	sleep 0.1
done
has "a follower sees lines as they come" "$(< "$tmp/followed")" "${form}packet 0: 7 bytes\$"
kill -INT $pid
wait $pid
same "interrupted: status 0" 0 $?
on_exit=""
run_tool run "$tmp/closed.bpf.c" --in examples/traffic.pcap
has "a program that is not GPL may not print" "$err" "cannot call GPL-restricted function"
fails "trace-pipe takes no argument" 2 "takes no argument" trace-pipe all
head -c 100 /dev/zero > "$SKEP_DIR/trace"
run_tool run "$tmp/once.bpf.c"
same "a trace file cut short harms nobody" 0 "$rc"
