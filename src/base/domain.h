/* SPDX-License-Identifier: Apache-2.0 */
/* domain.h - what the processes of one directory share besides objects: process slots, owner words,
 * run leases, the id counter. All of it lives in the file "control" (doc/objects.md).
 *
 * Process slot: a process that touches shared state owns slot N by an OFD write lock on byte N of a
 * description held only by a MADV_DONTFORK mapping (its fd is closed), so it ends with the address space
 * and is not inherited. A fork child notices (its identity page is MADV_WIPEONFORK, so reads 0) and gets a
 * slot of its own when it first needs one. tids are not liveness.
 *
 * Owner word: slot:16 | thread index:16 | generation:32, never 0. Generation counts the users of a slot.
 *
 * Run lease: a run owns a CPU slot of all per-CPU data of the directory from prog_enter() to prog_exit().
 * Each slot has two words. `fast` is taken in an rseq section of its own CPU by plain stores; `slow` by CAS
 * from anywhere (no rseq in this process, or the own CPU's slot stays taken). One who holds `slow` waits
 * until `fast` is free; one who holds `fast` and then sees `slow` gives way. The store of `fast` and the
 * load of `slow` are ordered by the slow side's membarrier(GLOBAL_EXPEDITED), so the fast side has no fence.
 * A slot that stays taken for LEASE_WAIT_NS is a counted miss; a dead owner's is taken over. */
#ifndef SKEP_BASE_DOMAIN_H
#define SKEP_BASE_DOMAIN_H

#include "base/def.h"
#include "base/tls.h"

#define DOMAIN_MAX_CPUS		1024
#define LEASE_WAIT_NS		250000000ull

/* One per-CPU slot, in shared memory. Owner words or 0; atomic. */
struct lease {
	u64 fast, slow;
	u8 pad[48];			/* a cache line each */
};

struct domain {
	/* Read by the inline paths; constant after open. */
	u64 *base;			/* WIPEONFORK page: this process's slot and generation, 0: none yet */
	struct lease *lease;		/* shared */
	u32 *stats;			/* shared; see prog_stats_wanted() */
	u32 ncpus;
	u32 rseq;			/* this process may take `fast` */
};

int domain_open(int dirfd, struct domain **out);
void domain_close(struct domain *d);
u32 domain_next_id(struct domain *d);			/* 1.. INT_MAX, then round again */
/* Possible CPUs as the kernel counts them (libbpf_num_possible_cpus()): the number of per-CPU slots. */
static inline u32 domain_ncpus(const struct domain *d)
{
	return d->ncpus;
}

u64 domain_self_slow(struct domain *d);
/* Owner word of the calling thread; 0 if there is none to be had (no slot free, no memory, or a signal
 * handler interrupted the thread while it was getting one). Async-signal-safe. */
static inline u64 domain_self(struct domain *d)
{
	u64 base = READ_ONCE(*d->base);

	if (likely(base && tls()->domain_base == base))
		return tls()->domain_word;
	return domain_self_slow(d);
}
/* Does the owner still run? Its process for other processes' words, its thread for own ones. Slow (system
 * calls), async-signal-safe. */
bool domain_alive(struct domain *d, u64 owner);
/* In the agent only the helper can look at slots (the fds are its own). A hooked thread that waits for a lock leaves the
 * owner's word and calls domain_ask(); the helper answers. Till then the owner is taken to be alive. */
extern void (*domain_ask)(void);		/* async-signal-safe; set by the helper */
void domain_answer(struct domain *d);		/* by the helper, at each turn */

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#if !defined(__has_feature)
#define LEASE_HAVE_RSEQ 1
#elif !__has_feature(thread_sanitizer)
#define LEASE_HAVE_RSEQ 1
#endif
#endif

#ifdef LEASE_HAVE_RSEQ
#ifdef SKEP_AGENT
/* The thread's struct rseq: libc's or the agent's own; NULL: none is registered (then leases are taken slowly). */
static inline char *lease_rseq(void)
{
	return tls()->rseq;
}
#else
extern const ptrdiff_t __rseq_offset __attribute__((weak));
static inline char *lease_rseq(void)
{
	return (char *)__builtin_thread_pointer() + __rseq_offset;
}
#endif

/* Restartable: if the word of the CPU we run on is 0, store SELF there. Returns the CPU, or -1 (taken,
 * interrupted, or a CPU beyond the table). The pointer to the section is cleared behind it, so that the code
 * may be unmapped later. */
static inline __attribute__((always_inline)) int lease_try_fast(struct domain *d, u64 self)
{
	char *rs = lease_rseq();
	u64 cpu;

#ifdef SKEP_AGENT
	if (unlikely(!rs))
		return -1;
#endif
	__asm__ volatile goto(
		".pushsection __rseq_cs, \"aw\"\n\t"
		".balign 32\n"
		"3:	.long 0, 0\n\t"
		".quad 1f, 2f - 1f, 4f\n\t"
		".popsection\n\t"
		"leaq	3b(%%rip), %[cpu]\n\t"
		"movq	%[cpu], 8(%[rs])\n"
		"1:	movl	4(%[rs]), %k[cpu]\n\t"
		"cmpl	%[n], %k[cpu]\n\t"
		"jae	%l[out]\n\t"
		"shlq	$6, %[cpu]\n\t"
		"cmpq	$0, (%[tab], %[cpu])\n\t"
		"jne	%l[out]\n\t"
		"movq	%[self], (%[tab], %[cpu])\n"
		"2:	movq	$0, 8(%[rs])\n\t"
		".pushsection __rseq_abort, \"ax\"\n\t"
		".byte	0x0f, 0xb9, 0x3d\n\t"		/* ud1: the signature in front of the abort handler */
		".long	0x53053053\n"
		"4:	jmp	%l[out]\n\t"
		".popsection"
		: [cpu] "=&r"(cpu)
		: [rs] "r"(rs), [tab] "r"(d->lease), [n] "r"(d->ncpus), [self] "r"(self)
		: "memory", "cc"
		: out);
	return cpu >> 6;
out:
	return -1;
}
#else
static inline int lease_try_fast(struct domain *d, u64 self)
{
	return -1;
}
#endif

int lease_take_slow(struct domain *d, u64 self, bool *nested);
/* Returns the slot number 0..ncpus-1, or -EBUSY after LEASE_WAIT_NS. Async-signal-safe. *nested is set
 * when this thread already holds that slot (a signal handler interrupted a run): drop does nothing then. */
static inline int lease_take(struct domain *d, bool *nested)
{
	u64 self = domain_self(d);

	*nested = false;
	if (likely(d->rseq && self)) {
		int cpu = lease_try_fast(d, self);

		/* pairs with the membarrier in lease_try_slow() */
		if (likely(cpu >= 0 && !READ_ONCE(d->lease[cpu].slow)))
			return cpu;
		if (cpu >= 0)
			STORE_RELEASE(d->lease[cpu].fast, 0);
	}
	return lease_take_slow(d, self, nested);
}

/* Only what is ours is released: a fork child that runs on with its parent's lease changes nothing. */
static inline void lease_drop(struct domain *d, int slot, bool nested)
{
	u64 self = domain_self(d);
	struct lease *l = &d->lease[slot];

	if (unlikely(nested))
		return;
	if (likely(READ_ONCE(l->fast) == self))
		STORE_RELEASE(l->fast, 0);
	else if (READ_ONCE(l->slow) == self)
		STORE_RELEASE(l->slow, 0);
}

/* A lock in shared memory. Critical sections leave consistent data at every instruction. */
struct lock {
	u64 owner;		/* owner word or 0; atomic */
};
int lock_take_slow(struct domain *d, struct lock *l, u64 self);
/* 0: taken; 1: taken over from a dead owner, repair before use; -EDEADLK: own thread holds it;
 * -ETIMEDOUT: a live owner kept it for 250 ms; -EAGAIN: this process gets no slot. Async-signal-safe. */
static inline int lock_take(struct domain *d, struct lock *l)
{
	u64 self = domain_self(d), free = 0;

	if (likely(self && __atomic_compare_exchange_n(&l->owner, &free, self, false, __ATOMIC_ACQUIRE,
						       __ATOMIC_RELAXED)))
		return 0;
	return lock_take_slow(d, l, self);
}

static inline void lock_drop(struct domain *d, struct lock *l)
{
	if (likely(READ_ONCE(l->owner) == domain_self(d)))
		STORE_RELEASE(l->owner, 0);
}

#endif
