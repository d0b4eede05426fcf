/* SPDX-License-Identifier: Apache-2.0 */
/* task.h - who runs: identity as helpers answer it, and the task_struct that programs see.
 *
 * bpf_get_current_task() gives the address of a struct task_mem of the running thread: the same as long as the thread lives,
 * readable like any memory, filled anew each time a program asks. What a thread can have without opening anything (own ids,
 * credentials, name, its parent's id) comes from system calls, or from tls()->who where that is kept (the agent). What it
 * cannot (its parent's name, start times) task_learn() reads from /proc: the agent's helper does that, which may open files;
 * in libraries whoever asks does it, once a second at most. */
#ifndef SKEP_PROG_TASK_H
#define SKEP_PROG_TASK_H

#include <sys/types.h>

#include "base/def.h"
#include "base/tls.h"
#include "spec/ktypes.h"

struct task_mem {
	struct task_struct self, leader, parent;	/* leader: used when self is not the first thread */
	struct cred cred;
	s32 owner;					/* tid; 0: free (libraries) */
};

/* This thread's, filled. NULL: no memory. Async-signal-safe, as all but task_learn(). */
const struct task_struct *task_current(void);

/* The target has a seccomp filter of its own, which may kill for any system call: none is made any more to find out who it
 * is. What is not kept then (tls()->who) comes from what was learnt last. Set by the agent before its thread goes on. */
extern bool task_quiet;

s32 task_pid(void);				/* of the thread group */
s32 task_tid(void);
u64 task_uid_gid(void);				/* gid << 32 | uid */
const char *task_comm(char buf[TASK_COMM_LEN]);	/* NUL-terminated, zeroes behind; BUF is used if need be */

/* ---- task_proc.c: what only /proc tells ---- */

struct proc_task {
	s32 pid;
	u64 start_boot;			/* ns after boot; 0: not known */
	char comm[TASK_COMM_LEN];
};

#define TASK_CGROUPS	16
struct task_known {
	struct proc_task self, parent;
	u64 pidns_dev, pidns_ino;	/* its pid namespace; 0: not known */
	u32 cgroups;			/* levels of the unified hierarchy, the root included; 0: not known */
	u64 cgroup[TASK_CGROUPS];	/* their ids */
};

/* Ask for all that of process PID, below PROC ("/proc", or where the caller sees it). Opens files. One caller at a time
 * (others return -EBUSY). 0 or -errno: what was known before stays. */
int task_learn(const char *proc, s32 pid);
/* How process PID ended, as task_struct.exit_code has it: of a zombie; 0 if that cannot be known. Opens a file. */
int task_exit_code(const char *proc, s32 pid);
/* What was learnt last, of whatever process it is; false (and zeroes): nothing. */
bool task_known(struct task_known *k);
bool task_known_lately(s32 pid, s32 ppid);
/* The same, if it holds for this process. */
bool task_known_of_self(struct task_known *k);

#endif
