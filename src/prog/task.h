/* SPDX-License-Identifier: Apache-2.0 */
/* task.h - the task_struct that programs see, and what is known of this process.
 *
 * bpf_get_current_task() gives the address of a struct task_mem of the running thread: stable as long as the thread lives,
 * readable like any memory, written by that thread only, each time a program asks. What a hooked thread can have
 * without opening anything (own ids, credentials, name) it asks the kernel for, once, or finds in tls()->who. What it
 * cannot (its parent's name, start times) task_learn() reads from /proc, in a process that may open files. */
#ifndef SKEP_PROG_TASK_H
#define SKEP_PROG_TASK_H

#include <sys/types.h>

#include "base/def.h"
#include "base/tls.h"
#include "spec/ktypes.h"

struct task_mem {
	struct task_struct self, leader, parent;	/* leader: used when self is not the first thread */
	struct cred cred;
};

/* This thread's, filled. NULL: no memory. Async-signal-safe. */
const struct task_struct *task_current(void);

/* Identity, as bpf_get_current_*() answer. Async-signal-safe; no system call where tls()->who keeps it. */
s32 task_pid(void);			/* thread group */
s32 task_tid(void);
void task_comm(char comm[TASK_COMM_LEN]);
u64 task_uid_gid(void);			/* gid << 32 | uid */

/* Read names and start times of process PID and its parent from PROC (a directory fd of procfs; -1: "/proc"). Opens files: by
 * the agent's helper each round, by agent_start() and TEST_RUN. One caller at a time. 0 or -errno. */
int task_learn(int proc, s32 pid);

/* For the exit hooks: the task's exit_code and flags say that it is going. */
void task_exiting(int exit_code);

#endif
