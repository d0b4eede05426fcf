/* SPDX-License-Identifier: Apache-2.0 */
/* agents.h - the board on which a directory's attachers and agents meet: the file "agents", shared memory.
 *
 * An attacher bumps `epoch` (futex) after it published, changed or closed a link, and may wait until every live agent
 * that matters has acknowledged it. Agents have a row each, by process slot (domain.h): who they are, what they have
 * acknowledged, what they could not do. Notices are short messages to whoever runs `skep run`: children that are not traced.
 * Nothing read here is believed: rows count only while their slot's owner lives. */
#ifndef SKEP_BASE_AGENTS_H
#define SKEP_BASE_AGENTS_H

#include "base/def.h"
#include "base/obj.h"

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
	char path[200];
};

int agents_open(struct obj_dir *d);				/* idempotent, thread safe */
/* Something about links changed. Async-signal-safe. Then wait (WAIT_MS, 0: do not) until all live agents with that
 * scope (0: all) acknowledged. Returns how many did not. */
u32 agents_bump(struct obj_dir *d, u64 scope, u32 wait_ms);
u32 agents_epoch(struct obj_dir *d);
void agents_wait(struct obj_dir *d, u32 seen, u32 timeout_ms);	/* until epoch != seen (futex) */

/* An agent's own row. The helper calls these. */
int agents_join(struct obj_dir *d, u64 scope, s32 pid);		/* after the slot was taken */
void agents_ack(struct obj_dir *d, u32 epoch);
/* What outlives an exec: the next image's agent takes it by its pid. NR: the call under way, 0: it failed. */
void agents_set_exec(struct obj_dir *d, s32 nr);
/* NR and old helper's pid of the previous image of this process; -ENOENT: it had no agent. */
int agents_take_exec(struct obj_dir *d, s32 pid, s32 *nr, s32 *old_helper);

void agents_notify(struct obj_dir *d, const struct agents_msg *m);
/* Messages of SCOPE since *POS, which moves on; -EAGAIN: none. *lost counts what was overwritten. */
int agents_next_notice(struct obj_dir *d, u64 scope, u64 *pos, struct agents_msg *m, u64 *lost);

/* For `skep run`, doctor: each live agent. */
int agents_each(struct obj_dir *d, int (*fn)(void *arg, s32 pid, u64 scope, u32 epoch), void *arg);

#endif
