/* SPDX-License-Identifier: Apache-2.0 */
/* exec.h - an execution that is about to happen: will its image have the agent? */
#ifndef SKEP_AGENT_EXEC_H
#define SKEP_AGENT_EXEC_H

#include "base/def.h"

struct agent_thread;

struct exec_call {			/* arguments of execve or execveat, untrusted */
	s32 dirfd;
	u32 flags;			/* AT_* */
	u64 path, envp;
};

/* Look at the file; say on the board if it cannot be traced; make c->envp an environment with our variables if the
 * given one lacks some, in memory of T that stays until its next call. Opens files for a moment. */
void agent_exec_prepare(struct agent_thread *t, struct exec_call *c);

/* Parts of it, for tests. What kind of notice the file deserves: enum agents_notice, 0: none. */
#define EXEC_NO_FILE	UINT32_MAX	/* it cannot be looked at, or executed */
u32 agent_exec_kind(s32 dirfd, const char *path, u32 flags);

struct exec_env {
	const char *self, *dir;		/* NULL self: not visible from there, so it is taken out */
	u64 scope;
};
/* The new environment of ENVP in *BLOCK (mapped, *SIZE; grown if need be). Returns its address, or ENVP when nothing
 * must change or nothing can be done. */
u64 agent_exec_env(u64 envp, const struct exec_env *want, void **block, u64 *size);

#endif
