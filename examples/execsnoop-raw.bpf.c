/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* execsnoop-raw.bpf.c - execsnoop.bpf.c at the raw tracepoints of all system calls: the programs pick out execve and execveat
 * themselves and read the arguments from the registers.
 *
 *	skep run examples/execsnoop-raw.bpf.c -- sh -c 'ls; date; true' */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define NAME_LEN	128
#define NR_EXECVE	59		/* x86-64 */
#define NR_EXECVEAT	322

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

/* args[0]: the registers, args[1]: the number of the call */
SEC("raw_tp/sys_enter")
int enter(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	struct call call = {};
	const char *name;

	if (ctx->args[1] == NR_EXECVE)
		name = (const char *)PT_REGS_PARM1_CORE_SYSCALL(regs);
	else if (ctx->args[1] == NR_EXECVEAT)
		name = (const char *)PT_REGS_PARM2_CORE_SYSCALL(regs);
	else
		return 0;
	bpf_probe_read_user_str(call.filename, sizeof(call.filename), name);
	bpf_map_update_elem(&calls, &pid, &call, BPF_ANY);
	return 0;
}

/* args[1]: the result */
SEC("raw_tp/sys_exit")
int leave(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	__u64 nr = BPF_CORE_READ(regs, orig_ax);
	struct task_struct *task;
	struct call *call;
	struct event *e;

	if (nr != NR_EXECVE && nr != NR_EXECVEAT)
		return 0;
	call = bpf_map_lookup_elem(&calls, &pid);
	if (!call)
		return 0;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (e) {
		task = (struct task_struct *)bpf_get_current_task();
		e->pid = pid;
		e->ppid = BPF_CORE_READ(task, real_parent, tgid);
		e->uid = bpf_get_current_uid_gid();
		e->retval = ctx->args[1];
		bpf_get_current_comm(e->comm, sizeof(e->comm));
		__builtin_memcpy(e->filename, call->filename, sizeof(e->filename));
		bpf_ringbuf_submit(e, 0);
	}
	bpf_map_delete_elem(&calls, &pid);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
