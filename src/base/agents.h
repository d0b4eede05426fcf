/* SPDX-License-Identifier: Apache-2.0 */
/* agents.h - the board on which a directory's attachers and agents meet: the file "agents", shared memory.
 *
 * An attacher bumps `epoch` (futex) after it published, changed or closed a link, and may wait until every live agent
 * that matters has acknowledged it. Agents have a row each, by process slot (domain.h): who they are, what they have
 * acknowledged. Notices are short messages to whoever runs `skep run`: children that are not traced.
 * Nothing read here is believed: rows count only while their slot's owner lives. All calls need agents_open() first. */
#ifndef SKEP_BASE_AGENTS_H
#define SKEP_BASE_AGENTS_H

#include "base/def.h"
#include "base/obj.h"

#define AGENT_MARK	"skep agent, version "	/* in the agent's file, in front of mk/abi.mk's digest */

enum agents_notice {
	NOTICE_STATIC = 1,	/* a statically linked program was executed: not traced */
	NOTICE_SETUID,		/* set-user-ID or file capabilities: the loader takes no agent */
	NOTICE_FOREIGN,		/* another architecture or class */
	NOTICE_NO_AGENT,	/* the agent's file cannot be seen from there (chroot) */
	NOTICE_SITES,		/* count = syscall instructions without a trampoline */
	NOTICE_SECCOMP,		/* the target's own filter: later attachments are not seen */
};

struct agents_msg {
	u32 kind, pid;
	u64 scope, count;
	char path[200];		/* NUL-terminated, cut */
};

int agents_open(struct obj_dir *d);				/* idempotent, thread safe; 0 or -errno */
void agents_close(struct obj_dir *d);				/* by obj_dir_close() */

/* Something about links changed. Async-signal-safe. Then wait (WAIT_MS, 0: do not) until all live agents with that
 * scope (0: all) acknowledged; this process's own row is not waited for. Returns how many did not. */
u32 agents_bump(struct obj_dir *d, u64 scope, u32 wait_ms);
u32 agents_epoch(struct obj_dir *d);
/* The epoch itself, a futex in shared memory (no FUTEX_PRIVATE_FLAG), for who waits for several things. */
u32 *agents_epoch_word(struct obj_dir *d);
void agents_wait(struct obj_dir *d, u32 seen, u32 timeout_ms);	/* until epoch != seen, a signal, or the time */

/* An agent's own row. The helper calls these. */
int agents_join(struct obj_dir *d, u64 scope, s32 pid);		/* takes the slot if need be; -EAGAIN: none to be had */
void agents_ack(struct obj_dir *d, u32 epoch);

/* What outlives an exec. Before the call: process PID (which may be a vfork child and have no row) is about to execute; NR is
 * the number of the call under way, HELPER its helper's pid; NR 0: the call failed, forget it. Async-signal-safe. */
void agents_set_exec(struct obj_dir *d, s32 pid, s32 nr, s32 helper);
/* By the next image: take what its previous image left; -ENOENT: that had no agent. The helper's pid is a hint: check it. */
int agents_take_exec(struct obj_dir *d, s32 pid, s32 *nr, s32 *helper);

/* Async-signal-safe; never waits. */
void agents_notify(struct obj_dir *d, const struct agents_msg *m);
/* Where notices stand now: a *POS to begin with. */
u64 agents_notice_pos(struct obj_dir *d);
/* Messages of SCOPE (0: all) since *POS, which moves on; 0 or -EAGAIN: none. *lost grows by what was overwritten. */
int agents_next_notice(struct obj_dir *d, u64 scope, u64 *pos, struct agents_msg *m, u64 *lost);

/* For `skep run`, doctor: each live agent, until FN returns nonzero; returns that. */
int agents_each(struct obj_dir *d, int (*fn)(void *arg, s32 pid, u64 scope, u32 epoch), void *arg);

#endif
