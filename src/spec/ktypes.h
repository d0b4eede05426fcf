/* SPDX-License-Identifier: Apache-2.0 */
/* ktypes.h - what skep provides of the kernel's own types, under the kernel's names. The same text makes skep's vmlinux BTF
 * (vmlinux.bpf.c, compiled for bpf) and the memory that bpf_get_current_task() points to (prog/task.h), so that what CO-RE
 * resolves is what is there. A member is here only if something fills it: see doc/btf.md. Layouts are skep's own where
 * nobody but CO-RE knows them; those of tracepoint records and pt_regs are Linux 6.18's.
 *
 * Needs u8..u64, bool, pid_t, uid_t and gid_t. Nothing may be included here. */
#ifndef SKEP_SPEC_KTYPES_H
#define SKEP_SPEC_KTYPES_H

#define TASK_COMM_LEN	16

/* ---- tasks ---- */
typedef struct {
	uid_t val;
} kuid_t;

typedef struct {
	gid_t val;
} kgid_t;

typedef struct {
	u64 val;
} kernel_cap_t;

struct cred {
	kuid_t uid;
	kgid_t gid;
	kuid_t suid;
	kgid_t sgid;
	kuid_t euid;
	kgid_t egid;
};

struct task_struct {
	unsigned int __state;
	unsigned int flags;
	int exit_state;
	int exit_code;
	pid_t pid;
	pid_t tgid;
	struct task_struct *real_parent;
	struct task_struct *parent;
	struct task_struct *group_leader;
	u64 start_time;
	u64 start_boottime;
	const struct cred *real_cred;
	const struct cred *cred;
	char comm[TASK_COMM_LEN];
};

/* ---- tracepoint records ---- */
struct trace_entry {
	unsigned short type;
	unsigned char flags;
	unsigned char preempt_count;
	int pid;
};

struct trace_event_raw_sys_enter {
	struct trace_entry ent;
	long id;
	unsigned long args[6];
	char __data[0];
};

struct trace_event_raw_sys_exit {
	struct trace_entry ent;
	long id;
	long ret;
	char __data[0];
};

/* syscalls:sys_enter_*: nr and six arguments, whatever the call takes. */
struct syscall_trace_enter {
	struct trace_entry ent;
	int nr;
	unsigned long args[0];
};

struct syscall_trace_exit {
	struct trace_entry ent;
	int nr;
	long ret;
};

struct trace_event_raw_sched_process_exec {
	struct trace_entry ent;
	u32 __data_loc_filename;
	pid_t pid;
	pid_t old_pid;
	char __data[0];
};

struct trace_event_raw_sched_process_fork {
	struct trace_entry ent;
	u32 __data_loc_parent_comm;
	pid_t parent_pid;
	u32 __data_loc_child_comm;
	pid_t child_pid;
	char __data[0];
};

struct trace_event_raw_sched_process_exit {
	struct trace_entry ent;
	char comm[TASK_COMM_LEN];
	pid_t pid;
	int prio;
	bool group_dead;
	char __data[0];
};

#endif
