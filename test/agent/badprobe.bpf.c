/* SPDX-License-Identifier: Apache-2.0 */
/* badprobe.bpf.c - at every system call's entry and exit: copies that fault and copies that do not. seen[0] runs, [1] bad
 * addresses answered with -EFAULT, [2] good ones answered with 0, [3] anything else. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define BAD	((const void *)16)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

static void add(__u32 i)
{
	__u64 *n = bpf_map_lookup_elem(&seen, &i);

	if (n)
		__sync_fetch_and_add(n, 1);
}

static int probe(void)
{
	__u64 v = 0;
	char s[16];

	add(0);
	add(bpf_probe_read_user(&v, sizeof(v), BAD) == -14 && bpf_probe_read_user_str(s, sizeof(s), BAD) == -14 ? 1 : 3);
	return 0;
}

SEC("tracepoint/raw_syscalls/sys_enter")
int enter(void *ctx)
{
	return probe();
}

SEC("tracepoint/raw_syscalls/sys_exit")
int leave(void *ctx)
{
	return probe();
}

/* write(2)'s buffer is there */
SEC("tracepoint/syscalls/sys_enter_write")
int write_enter(struct { __u64 common; __s64 id; __u64 fd; const void *buf; __u64 count; } *ctx)
{
	char c;

	if (ctx->count)
		add(bpf_probe_read_user(&c, 1, ctx->buf) ? 3 : 2);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
