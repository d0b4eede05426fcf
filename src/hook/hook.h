/* SPDX-License-Identifier: Apache-2.0 */
/* hook.h - from an event to the programs attached to it. The agent says what happened (a system call entered or left, a
 * process forked, executed, ended); this layer knows which links want it, fills each program type's context and runs
 * the programs.
 *
 * Lists are built by one thread (the agent's helper, under its own lock) from link objects and swapped in whole; runs
 * read them without locks. What was swapped out is freed by hook_reap() when no thread can be inside (hook_run_begin/end
 * count per thread slot).
 *
 * Everything named hook_fire_* is async-signal-safe: no malloc, no fds, no locks but those of base/domain.h. */
#ifndef SKEP_HOOK_H
#define SKEP_HOOK_H

#include "base/def.h"
#include "base/obj.h"
#include "spec/events.h"		/* enum hook_point */

/* obj_hdr.kind_data of OBJ_LINK, and of an OBJ_PERF that programs are attached to (private_size 0, which tells it from one
 * they write to): what an attachment is. Of a link constant once it is published. An event's program is set once, by
 * PERF_EVENT_IOC_SET_BPF: what belongs to it is written before prog_id. Untrusted when read: hook_each_link() checks it.
 * References: "prog", and of a link to an event "event". */
struct link_meta {
	u32 version;			/* LINK_VERSION */
	u32 link_type;			/* BPF_LINK_TYPE_*: what LINK_GET_INFO says */
	u32 point;			/* enum hook_point */
	s32 nr;				/* HOOK_SYS_*: system call number, -1: all */
	u32 flags;			/* LINK_F_* */
	u32 prog_id;			/* 0: none yet; LINK_PROG_BUSY: being set. Atomic */
	u32 prog_type, attach_type;
	u64 prog_gen;
	u64 cookie;
	s32 pid;			/* only this process (tgid); -1: all. What perf_event_open is told is not looked at,
					 * as in the kernel, for tracepoints and kprobes */
	u32 tp_id;			/* tracepoint id, 0: none */
	u64 scope;			/* only processes with this $SKEP_SCOPE; 0: all of the directory */
	u64 attached_ns;		/* CLOCK_BOOTTIME: programs run in this order */
	u32 event_type;			/* BPF_PERF_EVENT_*, 0: no perf event */
	u32 event_id;			/* of a link: its perf event's object */
	u64 event_gen;
	char name[128];			/* "sys_enter_execve", "__x64_sys_getppid", ... for LINK_GET_INFO */
};
#define LINK_VERSION	1
#define LINK_PROG_BUSY	UINT32_MAX

/* An attachment as it was a moment ago. */
struct hook_link {
	enum obj_kind kind;		/* OBJ_LINK or OBJ_PERF */
	u32 id;
	u64 gen;
	struct link_meta m;		/* checked copy */
};
/* Calls FN for each live attachment (with a program) of D, in no order, until it returns nonzero; returns that, or -errno. */
int hook_each_link(struct obj_dir *d, int (*fn)(void *arg, const struct hook_link *l), void *arg);
/* One of them; also an event without a program. -ENOENT: not alive, or no attachment. */
int hook_get_link(struct obj_dir *d, enum obj_kind kind, u32 id, struct hook_link *out);

/* Linux's struct pt_regs on x86-64: what probes and raw tracepoints see. */
struct hook_regs {
	u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};

#define HOOK_NR_SYSCALLS 512		/* numbers above are seen by "all" links only */

/* Which system calls need entry or exit trampolines, from the current lists. Bit arrays of HOOK_NR_SYSCALLS. */
struct hook_wants {
	u64 enter[HOOK_NR_SYSCALLS / 64], exit[HOOK_NR_SYSCALLS / 64];
	bool all_enter, all_exit;	/* also numbers beyond the array */
	bool sched_exec, sched_fork, sched_exit;
	bool any;			/* anything at all is attached */
};

/* ---- the helper's side (one thread at a time; may allocate, open, wait) ---- */

/* Make the process's lists be what the link objects of D say now, for a process with SCOPE and PID. Programs are
 * opened, linked and their maps mapped here. Links that cannot be taken are left out and counted. *W: what to patch.
 * 0 or -errno (nothing changed). Idempotent; cheap when nothing changed. */
int hook_learn(struct obj_dir *d, u64 scope, s32 pid, struct hook_wants *w);
/* Are all links that we hold still alive? Looks at the objects (fcntl each). False: call hook_learn(). */
bool hook_links_alive(struct obj_dir *d);
/* Free what was swapped out and is in use by no thread any more. True: something is left, call again. */
bool hook_reap(void);
/* The number of lists waiting in hook_reap(), runs missed because a list's program could not be entered. */
struct hook_counts {
	u64 pending, missed, refused_links;
};
void hook_counts(struct hook_counts *c);

/* ---- the hooked thread's side ---- */

/* What a system call is about to do. regs->orig_ax is the number, arguments in di si dx r10 r8 r9 as at the syscall
 * instruction; ax is -ENOSYS for the programs, as in the kernel. Returns true when bpf_override_return() was called: the
 * call must not be made, regs->ax is its result. hook_fire_sys_exit() is due all the same. */
bool hook_fire_sys_enter(struct hook_regs *regs);
/* regs->ax is the result. */
void hook_fire_sys_exit(struct hook_regs *regs);
void hook_fire_sched_exec(const char *filename, s32 pid, s32 old_pid);
void hook_fire_sched_fork(const char *parent_comm, s32 parent_pid, const char *child_comm, s32 child_pid);
void hook_fire_sched_exit(const char *comm, s32 pid, s32 prio, bool group_dead);

#endif
