/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* execsnoop.bpf.c - which programs are executed, by whom, and how that went.
 *
 *	skep run examples/execsnoop.bpf.c -- sh -c 'ls; date; true'
 *
 * What execve(2) was asked for is known when it is entered, how it went when it returns, in the new program if it
 * succeeded. So the name waits in a hash map for its end. */
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

struct call {
	char filename[NAME_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);		/* pid */
	__type(value, struct call);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

const struct event *unused;		/* tells readers of the ring what is in it */

SEC("tracepoint/syscalls/sys_enter_execve")
int enter(struct trace_event_raw_sys_enter *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct call call = {};

	bpf_probe_read_user_str(call.filename, sizeof(call.filename), (const char *)ctx->args[0]);
	bpf_map_update_elem(&calls, &pid, &call, BPF_ANY);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_execve")
int leave(struct trace_event_raw_sys_exit *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct call *call = bpf_map_lookup_elem(&calls, &pid);
	struct task_struct *task;
	struct event *e;

	if (!call)
		return 0;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (e) {
		task = (struct task_struct *)bpf_get_current_task();
		e->pid = pid;
		e->ppid = BPF_CORE_READ(task, real_parent, tgid);
		e->uid = bpf_get_current_uid_gid();
		e->retval = ctx->ret;
		bpf_get_current_comm(e->comm, sizeof(e->comm));
		__builtin_memcpy(e->filename, call->filename, sizeof(e->filename));
		bpf_ringbuf_submit(e, 0);
	}
	bpf_map_delete_elem(&calls, &pid);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
