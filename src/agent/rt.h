/* SPDX-License-Identifier: Apache-2.0 */
/* rt.h - the runtime under the agent: what takes libc's place in libskep-agent.so.
 *
 * rt_*.c define the libc functions that base..hook call, under their own names (the linker keeps them inside: nothing is
 * exported). They are small and do what those callers need, not more. errno is tls()->err.
 *
 * Who may call what. The helper process and agent_start() are `trusted`: they may open files, allocate, take mutexes. A
 * hooked thread may not: its fd table, root directory and credentials are the target's, and it may have interrupted the
 * holder of any lock. There open() and its like fail with EPERM, malloc() with ENOMEM, so that a path that
 * should not be reached does no harm. */
#ifndef SKEP_AGENT_RT_H
#define SKEP_AGENT_RT_H

#include "base/def.h"
#include "base/rawsys.h"
#include "base/tls.h"

/* System calls as errno and -1. */
static inline long rt_ret(long r)
{
	if ((u64)r < -4095ull)
		return r;
	tls()->err = (int)-r;
	return -1;
}

static inline bool rt_failed(long r)
{
	return (u64)r >= -4095ull;
}

extern bool rt_filtered;		/* the target has a seccomp filter: hooked threads neither yield nor sleep */

/* For agent_start() and the helper, first thing on their stack; false afterwards. */
static inline void rt_trust(bool on)
{
	tls()->trusted = on;
}

/* vDSO: clock_gettime and getcpu without a system call. AUXV ends with AT_NULL; NULL: system calls are used. */
void rt_time_init(const u64 *auxv);

/* One lock for the heap, all mutexes and all that a fork child must not inherit half done (the helper holds it while it
 * patches). Recursive per stack owner (tls). Waits. */
void rt_lock(void);
void rt_unlock(void);
void rt_lock_abandoned(struct tls *dead);	/* its owner (a helper) was killed: take it from it */
/* Around a fork of the target by a hooked thread. prepare waits up to MS for the lock; false: not had, and then the
 * child's copies may be half changed (it must not use them). Then one of the other two, in parent or child. */
bool rt_fork_prepare(u32 ms);
void rt_fork_parent(bool had);
void rt_fork_child(void);

/* Call FN(arg) on the stack that ends at TOP (16-aligned), return its value. */
long rt_on_stack(void *top, long (*fn)(void *arg), void *arg);
/* A stack of TLS_STACK bytes whose bottom word leads to T. Its top, or NULL. Never freed (thread.c has the others). */
void *rt_stack_new(struct tls *t);

/* Where the target's libc keeps struct rseq, as an offset from the thread pointer; 0: nowhere. The symbol __rseq_offset of
 * what AT_BASE points to (ld.so), found through its dynamic section. AUXV as above. */
s64 rt_rseq_offset(const u64 *auxv);
u64 rt_auxv(const u64 *auxv, u64 type);		/* 0: not there */

/* ---- ELF images in memory, trusted no more than their own headers allow ---- */
struct rt_elf {
	u64 base, bias;			/* where mapped; what to add to addresses in it */
	const void *symtab;
	const char *strtab;
	const u32 *gnu_hash, *sysv_hash;
	u64 strsz;
};
int rt_elf_open(u64 base, struct rt_elf *e);
u64 rt_elf_sym(const struct rt_elf *e, const char *name);	/* its address, 0: none */

#endif
