/* SPDX-License-Identifier: Apache-2.0 */
/* signal.h - the target's signals while something is attached.
 *
 * Two things must hold in hooks. A fault of ours (a copy from a bad address, a file cut short, a dispatched system call) must
 * reach our handler, whatever the target has blocked or installed: SIGSEGV and SIGBUS, and what signal_claim() adds, are
 * *owned*: their real disposition is ours and they are not really blocked (but for what was so before
 * the attachment). And a handler of the target must
 * not run on an agent stack: it may need megabytes of stack, look at its own stack pointer, or never come back. So all
 * handlers of the target are entered through signal_entry, which puts a signal off that arrives in a hook: blocked, sent
 * again with the same siginfo, unblocked when the hook is back on the target's stack (agent_deferred).
 *
 * What the target sees is virtual: its own actions (rt_sigaction), and its own mask, where the bits of owned signals are
 * kept in signal_thread.mask. All is the kernel's again around clone, fork, vfork and exec, so that children inherit it.
 *
 * Everything here but signal_want() is for hooked threads and handlers: no memory, no fds, no locks but one for actions. */
#ifndef SKEP_AGENT_SIGNAL_H
#define SKEP_AGENT_SIGNAL_H

#include <signal.h>

#include "base/def.h"

struct agent_thread;
struct hook_regs;

struct ksigaction {			/* the kernel's struct sigaction */
	u64 handler, flags, restorer, mask;
};

#define SIGNAL_OWNED_MAX	5	/* SIGSEGV, SIGBUS, SIGSYS, SIGTRAP, SIGILL */
#define SIGNAL_SUSPENDS		4

/* Part of a thread's state. Zero: nothing known. Only its thread writes it. */
struct signal_thread {
	u32 epoch;			/* of signal_want() that this thread has followed; 0: none */
	u8 nr_suspends, vforks;
	u64 mask;			/* owned signals that the target thinks are blocked */
	u64 really;			/* those of them that are: one is pending, and the kernel keeps it */
	u64 handler, added;		/* the innermost handler that added to the mask: its frame, what it added. 0: none */
	u64 vfork_mask;			/* of the parent, while its vfork child runs on this state */
	struct {			/* sigsuspend, ppoll and so on: the mask before */
		u64 sp, mask;
	} suspend[SIGNAL_SUSPENDS];
	struct ksigaction vfork[SIGNAL_OWNED_MAX];	/* a vfork child has dispositions of its own */
};

/* By the helper. True: before the first attachment's patches go in. False: when nothing is attached any more, before they
 * go out: waits up to MS for some thread of the target to put its dispositions back (a target whose threads all
 * sleep keeps our handlers; they pass everything on). False: it has not happened. */
bool signal_want(bool on, u32 ms);

/* A signal more to own (SIGSYS for user dispatch, SIGTRAP and SIGILL for patching), with FN deciding whether one is the
 * agent's: true: dealt with, uc may be changed. FN runs on any stack and must not use tls() or errno. Before signal_want(). */
void signal_claim(int sig, bool (*fn)(int sig, siginfo_t *si, void *uc));

/* Numbers that must be hooked, at entry and exit, while anything is attached. */
bool signal_follows(u32 nr);

/* ---- by agent_enter() and agent_exit() ---- */
/* First of all, and last of all. */
void signal_hook_begin(struct agent_thread *t, const struct hook_regs *r);
void signal_hook_end(struct agent_thread *t);
/* When programs have seen the call and nobody overrode it, and after follow.c's own. True: done here, r->ax is the result. */
bool signal_enter(struct agent_thread *t, struct hook_regs *r);
/* Before programs see the result of a call that was made, and before follow.c's own. */
void signal_exit(struct agent_thread *t, struct hook_regs *r);
/* A vfork child begins on its parent's state; the parent goes on. After signal_exit. */
void signal_vfork_child(struct agent_thread *t);
void signal_vfork_parent(struct agent_thread *t);
/* A child with a copy of this memory. */
void signal_fork_child(void);

/* ---- by stubs, on the target's stack, by jmp: after the hook, when t->deferred is not 0 ---- */
/* In: r11 = the state, rcx = where to go on. Keeps all other registers and the flags; uses 232 bytes below the red zone.
 * Signals put off are delivered inside. */
void agent_deferred(void);

/* Before the hook, when sp is on the target's alternate stack. The kernel cannot tell so while we are on ours: a signal with
 * SA_ONSTACK would start there again, from the top. Blocks all but owned signals until the way back, through agent_deferred.
 * In, kept, used: as agent_deferred. */
void agent_careful(void);

#endif
