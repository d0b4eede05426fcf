/* SPDX-License-Identifier: Apache-2.0 */
/* all.bpf.c - every system call of every process, entered and left, counted by number: what scripts/agent-targets.sh
 * attaches and detaches while strangers' programs work. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define NR_MAX 512

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NR_MAX);
	__type(key, __u32);
	__type(value, __u64);
} enters SEC(".maps"), exits SEC(".maps");

static int count(void *map, long nr)
{
	__u32 key = nr >= 0 && nr < NR_MAX ? (__u32)nr : NR_MAX - 1;
	__u64 *n = bpf_map_lookup_elem(map, &key);

	if (n)
		++*n;
	return 0;
}

SEC("tracepoint/raw_syscalls/sys_enter")
int enter(struct { __u64 common; __s64 id; __u64 args[6]; } *ctx)
{
	return count(&enters, ctx->id);
}

SEC("tracepoint/raw_syscalls/sys_exit")
int leave(struct { __u64 common; __s64 id; __s64 ret; } *ctx)
{
	return count(&exits, ctx->id);
}

char LICENSE[] SEC("license") = "GPL";
