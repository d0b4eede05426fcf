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

s32 task_pid(void);				/* of the thread group */
s32 task_tid(void);
u64 task_uid_gid(void);				/* gid << 32 | uid */
const char *task_comm(char buf[TASK_COMM_LEN]);	/* NUL-terminated, zeroes behind; BUF is used if need be */

/* Read names and start times of process PID and of its parent below PROC ("/proc", or where the caller sees it). Opens files.
 * One caller at a time (others return -EBUSY). 0 or -errno: what was known before stays. */
int task_learn(const char *proc, s32 pid);

#endif
