/* SPDX-License-Identifier: Apache-2.0 */
/* hooks.bpf.c - the programs of bench/hooks.c; compiled once per case: ENTER, BOTH, OTHER, RING. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} calls SEC(".maps");

static __always_inline int count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&calls, &which);

	if (n)
		++*n;
	return 0;
}

#if defined(ENTER) || defined(BOTH)
SEC("tracepoint/syscalls/sys_enter_getppid") int enter(void *ctx)
{
	return count(0);
}
#endif

#ifdef BOTH
SEC("tracepoint/syscalls/sys_exit_getppid") int leave(void *ctx)
{
	return count(1);
}
#endif

#ifdef OTHER
SEC("tracepoint/syscalls/sys_enter_getuid") int enter(void *ctx)
{
	return count(0);
}
SEC("tracepoint/syscalls/sys_exit_getuid") int leave(void *ctx)
{
	return count(1);
}
#endif

#ifdef RING
struct event {
	__u64 v[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} ring SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_getppid") int enter(void *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);

	if (!e)
		return count(1);		/* lost */
	for (int i = 0; i < 8; i++)
		e->v[i] = i;
	bpf_ringbuf_submit(e, 0);
	return count(0);
}
#endif
