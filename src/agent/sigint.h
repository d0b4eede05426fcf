/* SPDX-License-Identifier: Apache-2.0 */
/* sigint.h - between signal.c (actions, handlers), sigmask.c (masks) and sigfault.c (copies). */
#ifndef SKEP_AGENT_SIGINT_H
#define SKEP_AGENT_SIGINT_H

#include "agent/agent.h"

extern u64 signal_owned;		/* set of signals; only grows */
extern u32 signal_epoch;

/* ---- signal.c ---- */
void signal_install(struct agent_thread *t);		/* all dispositions, if nobody has yet */
void signal_uninstall(void);
bool signal_sigaction(struct agent_thread *t, struct hook_regs *r);
void signal_sigaction_after(struct agent_thread *t, struct hook_regs *r);
void signal_exec_ignored(struct agent_thread *t, bool back);

/* ---- sigmask.c ---- */
/* A handler that blocks MORE begins over code at SP; *FRAME is the mask that the kernel saved, and will be what the target
 * would see. True: signal_mask_leave() has to follow. No tls(). */
bool signal_mask_enter(struct agent_thread *t, u64 sp, u64 more, u64 *frame);
void signal_mask_leave(struct agent_thread *t, u64 *frame);
/* The real mask has what the target thinks is blocked: no more. */
void signal_mask_take(struct agent_thread *t);
/* Does the target's own seccomp filter let us send signals to ourselves? */
bool signal_may_queue(void);

#endif
