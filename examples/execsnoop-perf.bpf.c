/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* execsnoop-perf.bpf.c - execsnoop.bpf.c for kernels before ring buffers (Linux 5.8): events go through a perf event array,
 * one buffer per CPU, and are made on the stack.
 *
 *	skep run examples/execsnoop-perf.bpf.c -- sh -c 'ls; date; true' */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define NAME_LEN	128

struct event {
	__u32 pid, ppid, uid;
	int retval;			/* 0 or -errno */
	char comm[16];
	char filename[NAME_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);		/* pid */
	__type(value, struct event);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");

const struct event *unused;		/* tells readers of the buffers what is in them */

SEC("tracepoint/syscalls/sys_enter_execve")
int enter(struct trace_event_raw_sys_enter *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct event e = {};

	e.pid = bpf_get_current_pid_tgid() >> 32;
	e.ppid = BPF_CORE_READ(task, real_parent, tgid);
	e.uid = bpf_get_current_uid_gid();
	bpf_probe_read_user_str(e.filename, sizeof(e.filename), (const char *)ctx->args[0]);
	bpf_map_update_elem(&calls, &e.pid, &e, BPF_ANY);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_execve")
int leave(struct trace_event_raw_sys_exit *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct event *e = bpf_map_lookup_elem(&calls, &pid);

	if (!e)
		return 0;
	e->retval = ctx->ret;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, e, sizeof(*e));
	bpf_map_delete_elem(&calls, &pid);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
