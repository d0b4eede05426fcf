#!/usr/bin/env bash
# An unmodified program on the dynamic libbpf (perf_buffer: samples, packet bytes, lost records) says the same on both sides.
. "$(dirname "$0")/lib.sh"
[ -n "$sanitized" ] && { skip perf_buffer "$sanitized"; exit 0; }
cat > "$tmp/w/p.bpf.c" <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } events SEC(".maps");
__u32 seq;
SEC("xdp") int emit(struct xdp_md *c)
{
	struct { __u32 magic, seq; } e = { 0xabcd, seq++ };
	__u64 len = c->data_end - c->data;

	return bpf_perf_event_output(c, &events, BPF_F_CURRENT_CPU | (len & 0xfffff) << 32, &e, sizeof(e));
}
char LICENSE[] SEC("license") = "GPL";
C
cat > "$tmp/w/p.c" <<'C'
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sched.h>
#include <stdio.h>
static int quiet, samples;
static unsigned long long lost;
static void on_sample(void *ctx, int cpu, void *data, __u32 size)
{
	const unsigned *u = data;

	samples++;
	if (!quiet)
		printf("sample: %u bytes %x %u %02x\n", size, u[0], u[1], ((unsigned char *)data)[8]);
}
static void on_lost(void *ctx, int cpu, __u64 n)
{
	lost += n;
	printf("lost %llu\n", (unsigned long long)n);
}
int main(void)
{
	unsigned char pkt[64] = { 0x42 };
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = pkt, .data_size_in = sizeof(pkt));
	struct bpf_object *obj = bpf_object__open_file("p.bpf.o", NULL);
	struct perf_buffer *pb;
	int prog, full = 0;
	cpu_set_t c;

	CPU_ZERO(&c);
	CPU_SET(0, &c);
	sched_setaffinity(0, sizeof(c), &c);
	if (!obj || bpf_object__load(obj))
		return 1;
	prog = bpf_program__fd(bpf_object__find_program_by_name(obj, "emit"));
	pb = perf_buffer__new(bpf_object__find_map_fd_by_name(obj, "events"), 1, on_sample, on_lost, NULL, NULL);
	if (!pb)
		return 2;
	printf("nothing: %d\n", perf_buffer__poll(pb, 0));
	for (int i = 0; i < 3; i++) {
		bpf_prog_test_run_opts(prog, &o);
		printf("ret %d\n", (int)o.retval);
	}
	printf("poll %d\n", perf_buffer__poll(pb, 5000));
	printf("again %d\n", perf_buffer__poll(pb, 0));
	quiet = 1;
	for (int i = 0; i < 100; i++) {
		bpf_prog_test_run_opts(prog, &o);
		full += (int)o.retval < 0;
	}
	printf("refused %d\n", full);
	printf("poll %d\n", perf_buffer__poll(pb, 5000));
	bpf_prog_test_run_opts(prog, &o);
	printf("ret %d\n", (int)o.retval);
	printf("poll %d\n", perf_buffer__poll(pb, 5000));
	printf("samples %d lost %llu\n", samples, lost);
	perf_buffer__free(pb);
	bpf_object__close(obj);
	return 0;
}
C
(cd "$tmp/w" && clang -O2 -g -target bpf -I"/usr/include/$(uname -m)-linux-gnu" -c p.bpf.c -o p.bpf.o && cc -g p.c -o p -lbpf -lelf -lz) > "$tmp/build" 2>&1 ||
	{ bad "the client builds" "$(cat "$tmp/build")"; exit 0; }
chmod -R a+rX "$tmp/w"
printf 'perf\t./p\n' > "$tmp/cmds"
run_both "$tmp/cmds"
same perf "a client with a perf_buffer"
check "it saw samples and losses" "$(cat "$tmp/skep/perf")" grep -q '^samples [1-9][0-9]* lost [1-9]' "$tmp/skep/perf"
