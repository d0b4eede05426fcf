#!/usr/bin/env bash
# An unmodified program on the dynamic libbpf (skeleton, globals, ring buffer, TEST_RUN) says the same on both sides.
. "$(dirname "$0")/lib.sh"
[ -n "$sanitized" ] && { skip skeleton "$sanitized"; exit 0; }
cat > "$tmp/w/s.bpf.c" <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct event { __u32 len, seq; __u64 total; };
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 16384); } rb SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } pc SEC(".maps");
const volatile __u32 scale = 1;
__u64 total;
__u32 seq = 100, dropped;
SEC("xdp") int emit(struct xdp_md *c)
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&pc, &zero);
	struct event *e;

	if (n)
		*n += 1;
	e = bpf_ringbuf_reserve(&rb, sizeof(*e), 0);
	if (!e) {
		dropped++;
		return XDP_DROP;
	}
	e->len = (c->data_end - c->data) * scale;
	e->seq = seq++;
	total += e->len;
	e->total = total;
	bpf_ringbuf_submit(e, 0);
	return XDP_PASS;
}
char LICENSE[] SEC("license") = "GPL";
C
cat > "$tmp/w/s.c" <<'C'
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "s.skel.h"
struct event { unsigned int len, seq; unsigned long long total; };
static struct s *s;
static int seen, bad;
static int on_event(void *ctx, void *data, size_t size)
{
	struct event *e = data;
	if (size != sizeof(*e) || e->seq != 100u + seen)
		bad++;
	if (seen++ < 3)
		printf("event %u: %u bytes, %llu in all\n", e->seq, e->len, e->total);
	return 0;
}
static int run(int n)
{
	char pkt[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = pkt, .data_size_in = sizeof(pkt), .repeat = n);
	int err = bpf_prog_test_run_opts(bpf_program__fd(s->progs.emit), &o);
	return err ? err : (int)o.retval;
}
static void *producer(void *arg)
{
	for (int i = 0; i < 40; i++) {
		run(5);
		usleep(1000);
	}
	return NULL;
}
int main(void)
{
	struct ring_buffer *rb;
	pthread_t t;
	int full, n, ret;

	s = s__open();
	if (!s)
		return 1;
	s->rodata->scale = 2;
	if (s__load(s))
		return 2;
	ret = run(3);
	printf("run: %d, seq %u, total %llu\n", ret, s->data->seq, (unsigned long long)s->bss->total);
	rb = ring_buffer__new(bpf_map__fd(s->maps.rb), on_event, NULL, NULL);
	if (!rb)
		return 3;
	/* records that were there before anybody waited */
	n = ring_buffer__poll(rb, 2000);
	printf("poll: %d\n", n);
	pthread_create(&t, NULL, producer, NULL);
	while (seen < 203 && (n = ring_buffer__poll(rb, 3000)) > 0)
		;
	pthread_join(t, NULL);
	printf("seen %d, bad %d, last poll %s\n", seen, bad, n > 0 ? "ok" : "failed");
	/* nothing there: the wait ends by time */
	printf("empty: %d\n", ring_buffer__poll(rb, 10));
	run(1000);
	full = s->bss->dropped > 0;
	printf("full: %s, drained %d\n", full ? "yes" : "no", ring_buffer__consume(rb) > 100);
	printf("after: retval %d\n", run(1));
	ring_buffer__free(rb);
	s__destroy(s);
	return 0;
}
C
cd "$tmp/w" || exit 1
inc=-I/usr/include/$(uname -m)-linux-gnu
{ clang -O2 -g -target bpf "$inc" -c s.bpf.c -o s.bpf.o && bpftool gen skeleton s.bpf.o name s > s.skel.h &&
	gcc -O1 -Wall -Werror s.c -o s -lbpf -lelf -lz -pthread; } > build.log 2>&1 || { bad compile "$(cat build.log)"; exit 1; }
cat > "$tmp/cmds" <<C
skel	./s
again	./s
C
run_both "$tmp/cmds"
same skel "skeleton with globals, ring buffer and TEST_RUN"
same again "a second time in the same directory"
check "its epoll woke for every record" "$(cat "$tmp/skep/skel")" grep -q 'seen 203, bad 0, last poll ok' "$tmp/skep/skel"
