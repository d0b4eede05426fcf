/* SPDX-License-Identifier: Apache-2.0 */
/* who.bpf.c - says, at each getpgid(MARK), who it thinks that calls. */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("tracepoint/syscalls/sys_enter_getpgid")
int who(struct trace_event_raw_sys_enter *ctx)
{
	struct task_struct *t = (void *)bpf_get_current_task(), *b = bpf_get_current_task_btf();
	__u64 ids = bpf_get_current_pid_tgid(), creds = bpf_get_current_uid_gid();
	int mark = (int)ctx->args[0];
	char comm[16];

	if (mark > -1000 || mark < -1099)
		return 0;
	bpf_get_current_comm(comm, sizeof(comm));
	bpf_printk("%d helpers %d %d %d %d %s.", -mark - 1000, ids >> 32, (__u32)ids, (__u32)creds, creds >> 32, comm);
	BPF_CORE_READ_STR_INTO(&comm, t, comm);
	bpf_printk("%d task %d %d %d %d %d %s.", -mark - 1000, BPF_CORE_READ(t, tgid), BPF_CORE_READ(t, pid),
		   BPF_CORE_READ(t, cred, uid.val), BPF_CORE_READ(t, cred, euid.val), BPF_CORE_READ(t, real_parent, tgid), comm);
	bpf_printk("%d btf %d %d %d", -mark - 1000, b->tgid, b->group_leader->pid, b->real_parent->pid);
	return 0;
}
