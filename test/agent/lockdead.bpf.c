/* SPDX-License-Identifier: Apache-2.0 */
/* lockdead.bpf.c - updates a hash map at every getppid(); counts what came of it. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} locked_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} results SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_getppid")
int enter(void *ctx)
{
	__u32 key = 1;
	__u64 v = 1, *n;

	key = bpf_map_update_elem(&locked_map, &key, &v, BPF_ANY) ? 1 : 0;
	n = bpf_map_lookup_elem(&results, &key);
	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
