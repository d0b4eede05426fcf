/* SPDX-License-Identifier: Apache-2.0 */
/* watch.bpf.c - what test/agent/watch.c prints: system calls whose number is in `wanted`, and tasks that begin, execute, end. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct event {
	__u32 kind, nr;
	__u32 pid, tid, uid, pad;
	__s64 ret;
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 512);
	__type(key, __u32);
	__type(value, __u32);
} wanted SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} dropped SEC(".maps");

static int emit(__u32 kind, __u32 nr, __s64 ret)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	__u64 ids = bpf_get_current_pid_tgid(), *n;
	__u32 zero = 0;

	if (!e) {
		n = bpf_map_lookup_elem(&dropped, &zero);
		if (n)
			__sync_fetch_and_add(n, 1);
		return 0;
	}
	e->kind = kind;
	e->nr = nr;
	e->pid = ids >> 32;
	e->tid = (__u32)ids;
	e->uid = (__u32)bpf_get_current_uid_gid();
	e->pad = 0;
	e->ret = ret;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bpf_ringbuf_submit(e, 0);
	return 0;
}

static int want(__u32 nr)
{
	__u32 *w = bpf_map_lookup_elem(&wanted, &nr);

	return w && *w;
}

SEC("tracepoint/raw_syscalls/sys_enter")
int enter(struct { __u64 common; __s64 id; __u64 args[6]; } *ctx)
{
	return want(ctx->id) ? emit(0, ctx->id, 0) : 0;
}

SEC("tracepoint/raw_syscalls/sys_exit")
int leave(struct { __u64 common; __s64 id; __s64 ret; } *ctx)
{
	return want(ctx->id) ? emit(1, ctx->id, ctx->ret) : 0;
}

SEC("raw_tp/sched_process_fork")
int on_fork(struct bpf_raw_tracepoint_args *ctx)
{
	return emit(2, 0, 0);
}

SEC("raw_tp/sched_process_exec")
int on_exec(struct bpf_raw_tracepoint_args *ctx)
{
	return emit(3, 0, 0);
}

SEC("raw_tp/sched_process_exit")
int on_exit(struct bpf_raw_tracepoint_args *ctx)
{
	return emit(4, 0, 0);
}

char LICENSE[] SEC("license") = "GPL";
