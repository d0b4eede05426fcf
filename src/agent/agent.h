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

#include "agent/signal.h"
#include "base/def.h"
#include "base/domain.h"
#include "base/tls.h"
#include "hook/hook.h"
#include "prog/task.h"

#define AGENT_LEVELS		4		/* RUN_MAX_DEPTH: signal handlers nest */
#define AGENT_STACK		(64u << 10)	/* one level's stack; aligned to its size. tls() is found by masking sp */
#define AGENT_RECS		16		/* system calls under way on one thread whose exit somebody wants */

/* A call whose number is not known at its exit site. Dropped when sp has passed it (siglongjmp). */
struct agent_rec {
	u64 sp;
	s64 nr;
};

#define AGENT_CLONES	4
#define AGENT_VFORKS	2

/* One per thread of the target, at the end of its slot in the arena. A slot is AGENT_SLOT bytes, aligned to them: the stacks
 * of levels 0 to 3 one behind the other, and in the last page of the last one this. Found by GS base (rdgsbase): valid when
 * its upper 32 bits are those of agent.arena and fs_base here is the thread's own (a new thread inherits its parent's
 * GS base); everything else is for agent_slow. Ordinary memory: a fork child goes on with its copy, whose `token` is stale. */
struct agent_thread {
	/* what trampolines read: offsets are in tramp.S, checked in thread.c */
	u64 fs_base;			/* 0: free */
	u8 *stack[AGENT_LEVELS];	/* top of each level's stack, 16-aligned; constant */
	u32 level;			/* levels in use: the next hook runs on stack[level]. Signal handlers count on */
	u32 nr_recs;
	u64 deferred;			/* signals put off during hooks: a stub that finds it nonzero when it is back on the
					 * target's stack goes on through agent_deferred (signal.h) */
	u64 alt_base, alt_size;		/* the target's alternate stack: on it stubs go on through agent_careful (signal.h) */
	u64 hook_mask, careful;		/* which did: the target's real mask, all is blocked; copies must not fault */
	struct agent_rec rec[AGENT_RECS];
	struct signal_thread sig;
	/* the rest */
	struct tls tls;			/* the bottom of each level's stack points to it: levels share it, as signal
					 * handlers share their thread's TLS (owner words must be the same) */
	u32 token;			/* of the process (agent_proc.token): stale in a fork child */
	u32 claimed;			/* atomic; 1: somebody's */
	s32 owner_pid, owner_tid;	/* to find out whether the thread still is */
	/* tls.who: pid, tid, credentials, comm. Its .keep and .task are set with the state, and kept in fork and vfork
	 * children; the rest is 0 there, and dropped by follow.c */
	struct task_mem task;		/* tls.who.task points to it */
	/* follow.c: calls under way that make processes, and what they need at their end */
	u64 overridden;			/* sp of a call that was not made; 0: none */
	u32 nr_clones, nr_vforks;
	struct agent_clone {
		u64 sp, flags;
		bool locked;		/* we hold rt_lock() until the call returns */
		bool vforked;		/* its child runs, or ran, on this state */
	} clone[AGENT_CLONES];
	/* A vfork child runs on its parent's state, for the parent is suspended. What is the parent's meanwhile: */
	struct tls vfork[AGENT_VFORKS];
	void *env;			/* an environment made for execve; mapped, kept for the next */
	u64 env_size;
	u8 rseq[128] __attribute__((aligned(128)));	/* the agent's own struct rseq, where libc registered none */
};
#define AGENT_SLOT	(AGENT_LEVELS * AGENT_STACK)	/* 256 KiB */
#define AGENT_ARENA	(1ull << 32)			/* address range of all slots, aligned to its size */

/* What a fork child must not believe: one MADV_WIPEONFORK page. */
struct agent_proc {
	u32 token;			/* 0: this process has not been looked at yet. Else different from its ancestors' */
	u32 busy;			/* tid of the thread that looks; atomic */
	u64 boot_busy;			/* bit per boot stack (agent_slow); atomic */
	u32 helper_tid;			/* CLONE_CHILD_CLEARTID: 0 when it is not running; futex */
	u32 helper_lock;		/* 1: somebody is starting one; atomic */
	u32 request, done;		/* futexes: rounds asked of the helper, rounds it finished */
	u32 wake;			/* futex: ring wakes for the helper */
	s32 pid;			/* the target's; set before the helper starts */
	char comm[16];			/* of the thread that started it */
	bool end_told;			/* programs have seen sched_process_exit of the process */
	u64 started_ns;			/* when a hook last started a helper in place of a killed one */
	s32 helper_err;			/* why it could not start, or works without the directory */
	bool no_clone;			/* unshare(CLONE_NEWPID): the next child would be somebody's init */
	u32 *leader_word, leader_seen;	/* the main thread's clear_child_tid, and its value last time; helper.c */
	u32 creds, creds_done;		/* futexes: changes of credentials, and those the helper made too */
	u32 ids[6];			/* the target's: real, effective, saved uid, then gid; before `creds` */
};
#define HELPER_NAME	"skep-helper"

/* While agent_start() waits, nothing of the target runs, and text can be changed without care. Whoever gets it away from
 * QUIET_WAITS decides: the helper takes it and the start waits as long as that takes; or the start has waited enough. */
enum agent_quiet { QUIET_OVER, QUIET_WAITS, QUIET_TAKEN };

extern struct agent {
	struct agent_proc *proc;	/* constant after agent_thread_init() */
	u64 arena;			/* base of the slots' range */
	s64 rseq_offset;		/* of libc's struct rseq from a thread's fs base (glibc's __rseq_offset); 0: none */
	u64 scope;			/* $SKEP_SCOPE */
	const char *dir;		/* $SKEP_DIR as given, private copy */
	const char *self;		/* path of this library, absolute */
	const char *execfn;		/* AT_EXECFN */
	struct hook_wants wants;	/* written by the helper before it patches */
	struct obj_dir *board;		/* the directory once the helper has joined; hooked threads use its mappings only */
	s32 exec_nr;			/* the call that made this image, as the one before left it; 0: not known */
	u32 quiet;			/* enum agent_quiet; atomic, futex */
	u32 in_round;			/* 1: the helper is changing what a fork child inherits */
	bool broken;			/* this is a fork child made in such a moment: no hooks */
	bool filtered;			/* the target has a seccomp filter of its own */
} agent;

/* ---- thread.c ---- */
int agent_thread_init(void);		/* by agent_start(), once; 0 or -errno */
/* This thread's state, made when there is none; NULL if that is impossible (the event is a counted miss). On an agent
 * stack or not; async-signal-safe. */
struct agent_thread *agent_thread_get(void);
/* In a fork child, on the state that it inherited (its token is stale): what it says of the parent is forgotten. */
void agent_thread_refresh(struct agent_thread *t);
/* What a state remembers of its thread goes: because it is another process's now, or because that changed. */
enum { WHO_IDS = 1, WHO_CREDS = 2, WHO_COMM = 4, WHO_ALL = 7 };
static inline void agent_who_forget(struct agent_thread *t, u32 what)
{
	struct who *w = &t->tls.who;

	if (what & WHO_IDS) {
		w->pid = w->tid = 0;
		w->exiting = false;
		w->born = 0;		/* whoever saw it begin says so after this */
	}
	if (what & WHO_CREDS)
		w->creds_known = false;
	if (what & WHO_COMM)
		w->comm_known = false;
}
struct agent_thread *agent_thread_of(s32 tid);		/* for the helper; NULL: it has none */
/* States, or only those whose thread has ended. For the helper. */
void agent_thread_each(bool only_gone, void (*fn)(struct agent_thread *t));
/* States in use, for tests and doctor. */
u32 agent_thread_count(void);

/* For trampolines, by jmp, when GS base does not lead to the thread's state. In: rcx = where to go on, r11 = where to go
 * when there is no state to be had. Out, there: r11 = the state (also where the target uses GS base itself, which is
 * left alone then). Keeps all other registers and the flags; uses 232 bytes below the red zone of the target's stack. */
void agent_slow(void);

/* ---- called by trampolines (tramp.S), on the agent stack of the current level ---- */
/* Before the instruction. May change regs (execve's envp). True: do not make the call, regs->ax is the result. */
bool agent_enter(struct agent_thread *t, struct hook_regs *regs);
/* After it. */
void agent_exit(struct agent_thread *t, struct hook_regs *regs);

/* ---- follow.c ---- */
/* By agent_start(), on stack[0] of T, when the helper has done its first round: this image was executed. */
void agent_follow_start(struct agent_thread *t);
/* By the helper: syscall instructions without trampoline, told once. */
void agent_notice_sites(struct obj_dir *d, u32 missing);
void agent_notice(u32 kind, u64 count, const char *path);	/* from this process; async-signal-safe */
bool agent_follows(u32 nr);		/* is the number hooked whenever anything is attached? */

/* By the helper: locks that threads held over a fork from which they never came back are given up; ALL: any. */
void agent_forks_given_up(bool all);

/* ---- helper.c ---- */
void agent_helper_poke(void);		/* there is something to do besides a round */
void agent_wakes_send(void);		/* ring wakes that are pending; opens FIFOs: helper, or a fork child that has none */
int agent_helper_start(void);		/* from any thread, also in hooks; 0 or -errno */
/* Ask the helper to do its round, and wait up to TIMEOUT_MS until it has (0: do not wait). -ETIMEDOUT, -ESRCH. */
int agent_helper_ask(u32 timeout_ms);
/* By agent_start(): start the helper and wait for its first round, TIMEOUT_MS unless it is changing text then. */
int agent_helper_first(u32 timeout_ms);

/* ---- site.c, patch.c ---- */
/* By the helper: make the text of this process have trampolines for exactly what W wants (plus what follow.c and
 * signal.c need while anything is attached). New mappings are found in /proc/self/maps. 0; 1: threads were in the way of
 * something, call again soon; or -errno. *missing counts syscall instructions that links want and that have no trampoline. */
int agent_patch(const struct hook_wants *w, u32 *missing);
/* The same. QUIET: no thread of the target runs until it returns. */
int agent_patch_quietly(const struct hook_wants *w, u32 *missing, bool quiet);

#endif
