/* SPDX-License-Identifier: Apache-2.0 */
/* agent.h - what the files of the agent share. The agent (libskep-agent.so) lives in other people's processes: it needs
 * no library, has no undefined symbol and no TLS relocation, leaves nothing in the fd table, and runs on stacks of its own.
 *
 * Three kinds of code run here:
 *  - hooked threads: in trampolines, on their thread's agent stack, with whatever signals, credentials, root directory
 *    and seccomp filter the target has at that moment. No malloc, no fds, no waiting except where said.
 *  - the helper process: clone(CLONE_VM) only. Same memory, but its own fd table, root, credentials, signal handlers. Opens
 *    the directory, learns links, builds programs, reads site tables, patches text.
 *  - agent_start(): the loader's thread, before main().
 *
 * Files: entry.c start; rt_*.c the few libc functions that base..hook use; thread.c thread states; helper.c; follow.c
 * fork, exec, clone; site.c tables of syscall instructions; patch.c and tramp.S; sud.c; signal.c. */
#ifndef SKEP_AGENT_H
#define SKEP_AGENT_H

#include "base/def.h"
#include "base/domain.h"
#include "base/tls.h"
#include "hook/hook.h"

#define AGENT_LEVELS		4		/* RUN_MAX_DEPTH: signal handlers nest */
#define AGENT_STACK		(64u << 10)	/* one level's stack; aligned to its size. tls() is found by masking sp */
#define AGENT_RECS		16		/* system calls under way on one thread whose exit somebody wants */

/* A call whose number is not known at its exit site. Dropped when sp has passed it (siglongjmp). */
struct agent_rec {
	u64 sp;
	s64 nr;
};

/* One per thread of the target. In MADV_WIPEONFORK memory: a fork child finds zeros, so none of it is valid there.
 * Found by GS base; valid when fs_base is the thread's own (new threads inherit their parent's GS base). A vfork child
 * or other CLONE_VM child without its own TLS gets a state of its own when it leaves the clone's syscall instruction. */
struct agent_thread {
	/* what trampolines read: offsets are in tramp.S */
	u64 fs_base;			/* 0: not valid */
	u8 *stack[AGENT_LEVELS];	/* top of each level's stack */
	u32 level;			/* of the run under way; 0: none. Signal handlers count on */
	u32 nr_recs;
	struct agent_rec rec[AGENT_RECS];
	/* the rest */
	struct tls tls;			/* the bottom of each level's stack points to it: levels share it, as signal
					 * handlers share their thread's TLS (owner words must be the same) */
	s32 pid, tid;			/* 0: ask (fork, vfork and clone children; dropped by follow.c) */
	u32 uid, gid;			/* in_creds: as last seen */
	bool creds_known, comm_known;
	char comm[16];
	bool vfork_child;		/* shares its parent's fs_base: gs decides */
	struct agent_thread *next;	/* all; free ones have fs_base 0 */
};

extern struct agent {
	u64 scope;			/* $SKEP_SCOPE */
	const char *dir;		/* $SKEP_DIR as given, private copy */
	const char *self;		/* path of this library */
	u32 helper_tid;			/* CLONE_CHILD_CLEARTID: 0 when it is not running */
	u32 request, done;		/* futexes: work for the helper, work it did */
	u32 wake;			/* ring wakes pending for the helper; see agent_wake() */
	struct hook_wants wants;	/* written by the helper before it patches */
} agent;

/* ---- thread.c ---- */
/* This thread's state, made when there is none; NULL if that is impossible (the event is a counted miss). On an agent
 * stack or not. */
struct agent_thread *agent_thread_get(void);
void agent_thread_drop(struct agent_thread *t);

/* ---- called by trampolines (tramp.S), on the agent stack of the current level ---- */
/* Before the instruction. May change regs (execve's envp). True: do not make the call, regs->ax is the result. */
bool agent_enter(struct agent_thread *t, struct hook_regs *regs);
/* After it. */
void agent_exit(struct agent_thread *t, struct hook_regs *regs);

/* ---- helper.c ---- */
int agent_helper_start(void);		/* from any thread, also in hooks; 0 or -errno */
/* Ask the helper to do its round, and wait up to TIMEOUT_MS until it has (0: do not wait). -ETIMEDOUT, -ESRCH. */
int agent_helper_ask(u32 timeout_ms);

/* ---- site.c, patch.c ---- */
/* By the helper: make the text of this process have trampolines for exactly what W wants (plus what follow.c and
 * signal.c need while anything is attached). New mappings are found in /proc/self/maps. 0 or -errno; *missing counts
 * syscall instructions that could not be given a trampoline. */
int agent_patch(const struct hook_wants *w, u32 *missing);

#endif
