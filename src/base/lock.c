/* SPDX-License-Identifier: Apache-2.0 */
/* lock.c - the slow paths of locks and run leases: waiting, dead owners, no rseq.
 *
 * Nothing here sleeps in a futex: whoever holds a word may be killed at any instruction, so waiters look for
 * themselves. They spin, then yield, then sleep for 50 to 500 µs, asking each time whether the owner lives.
 * All of it is async-signal-safe. */
#include <linux/membarrier.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "base/domain_int.h"
#include "base/rawsys.h"

#define SPINS		64
#define YIELDS		64
#define CYCLE		32		/* turns from sleep to sleep */
#define SLEEP_MIN_NS	50000
#define SLEEP_MAX_NS	500000
#define TRY_OTHERS_NS	2000000		/* wait so long for the own CPU's slot before trying any */

struct waiter {
	u64 start;
	u32 turns;
	u32 sleep_ns;
};

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void cpu_relax(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#else
	__asm__ volatile("" ::: "memory");
#endif
}

/* First spin, then yield, then sleep; between two sleeps some spinning, else a word that is taken and given
 * back all the time is never seen free. */
static void wait_turn(struct waiter *w)
{
	struct timespec t = { 0 };
	u32 turn = w->turns++;

	if (turn < SPINS || (turn >= SPINS + YIELDS && turn % CYCLE)) {
		cpu_relax();
		return;
	}
	if (turn < SPINS + YIELDS) {
		sched_yield();
		return;
	}
	w->sleep_ns = MIN(MAX(w->sleep_ns * 2, SLEEP_MIN_NS), SLEEP_MAX_NS);
	t.tv_nsec = w->sleep_ns;
	nanosleep(&t, NULL);
}

/* Worth asking the kernel whether the owner lives? Not while it is likely to be done at once. */
static bool wait_doubts(const struct waiter *w)
{
	return w->turns >= SPINS && (w->turns - SPINS) % CYCLE == 1;
}

/* How long since the first call; starts the clock. */
static u64 wait_age(struct waiter *w)
{
	u64 t = now_ns();

	if (!w->start)
		w->start = t;
	return t - w->start;
}

static bool cas(u64 *p, u64 from, u64 to)
{
	return __atomic_compare_exchange_n(p, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

int lock_take_slow(struct domain *d, struct lock *l, u64 self)
{
	struct waiter w = { 0 };
	int saved = errno, ret;

	if (!self)
		return -EAGAIN;
	for (;;) {
		u64 owner = READ_ONCE(l->owner);

		ret = 0;
		if (!owner && cas(&l->owner, 0, self))
			break;
		ret = -EDEADLK;
		if (owner == self)
			break;
		ret = 1;
		if (owner && wait_doubts(&w) && !domain_alive(d, owner) && cas(&l->owner, owner, self))
			break;
		ret = -ETIMEDOUT;
		if (w.turns >= SPINS && wait_age(&w) >= LEASE_WAIT_NS)
			break;
		wait_turn(&w);
	}
	errno = saved;
	return ret;
}

/* ---- leases ---- */

static int membarrier(int cmd)
{
	return raw_syscall3(SYS_membarrier, cmd, 0, 0);
}

/* A fork child may have lost its parent's registration. */
void lease_process_start(struct domain_full *d)
{
	if (d->d.rseq && membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED))
		d->d.rseq = 0;
}

/* rseq is used when libc registered it and the fence of the slow side reaches this process. */
void lease_init(struct domain_full *d)
{
#ifdef LEASE_HAVE_RSEQ
#ifndef SKEP_AGENT	/* there it is known thread by thread */
	if (!&__rseq_offset || READ_ONCE(*(s32 *)(lease_rseq() + 4)) < 0)
		return;
#endif
	if (membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED))
		return;
	/* pairs with the CAS and load in lease_try_slow(): one of the two sees the other */
	__atomic_store_n(&d->ctl->rseq_seen, 1, __ATOMIC_SEQ_CST);
	FENCE(__ATOMIC_SEQ_CST);
	d->d.rseq = 1;
#endif
}

/* Free, or a dead owner's: make it ours. */
static bool claim(struct domain *d, u64 *word, u64 self, bool doubt)
{
	u64 owner = READ_ONCE(*word);

	if (owner && (!doubt || domain_alive(d, owner)))
		return false;
	return cas(word, owner, self);
}

/* Take `slow` of a slot whose `fast` is free or left by the dead. */
static bool lease_try_slow(struct domain_full *d, u32 cpu, u64 self, bool doubt)
{
	struct lease *l = &d->d.lease[cpu];
	u64 owner = READ_ONCE(l->fast);

	if (owner && !doubt)
		return false;
	if (!claim(&d->d, &l->slow, self, doubt))
		return false;
	/* Whoever stored `fast` before this is seen by the load; whoever stores it later sees `slow`. */
	if (__atomic_load_n(&d->ctl->rseq_seen, __ATOMIC_SEQ_CST))
		membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
	owner = __atomic_load_n(&l->fast, __ATOMIC_SEQ_CST);
	if (!owner || (doubt && !domain_alive(&d->d, owner) && cas(&l->fast, owner, 0)))
		return true;
	STORE_RELEASE(l->slow, 0);
	return false;
}

static int take_any(struct domain_full *d, u64 self, bool doubt)
{
	int first = sched_getcpu();

	for (u32 i = 0; i < d->d.ncpus; i++) {
		u32 cpu = ((u32)MAX(first, 0) + i) % d->d.ncpus;

		if (lease_try_slow(d, cpu, self, doubt))
			return cpu;
	}
	return -EBUSY;
}

static bool holds(struct domain *d, u32 cpu, u64 self)
{
	return READ_ONCE(d->lease[cpu].fast) == self || READ_ONCE(d->lease[cpu].slow) == self;
}

/* A signal handler shares the slot of the run it interrupted if it runs on the same CPU, or if there is
 * nothing else to be had (ANY). */
static int find_held(struct domain *d, u64 self, bool any)
{
	int cpu = sched_getcpu();

	if (cpu >= 0 && (u32)cpu < d->ncpus && holds(d, cpu, self))
		return cpu;
	for (u32 i = 0; any && i < d->ncpus; i++)
		if (holds(d, i, self))
			return i;
	return -1;
}

/* Not on a thread that was made without libc, nor on a CPU beyond the table. */
static bool fast_here(const struct domain *d)
{
#ifdef LEASE_HAVE_RSEQ
	return d->rseq && lease_rseq() && READ_ONCE(*(u32 *)(lease_rseq() + 4)) < d->ncpus;
#else
	return false;
#endif
}

static int take_fast(struct domain *d, u64 self)
{
	int cpu = lease_try_fast(d, self);

	/* pairs with the membarrier in lease_try_slow() */
	if (cpu >= 0 && READ_ONCE(d->lease[cpu].slow)) {
		STORE_RELEASE(d->lease[cpu].fast, 0);
		return -1;
	}
	return cpu;
}

int lease_take_slow(struct domain *dom, u64 self, bool *nested)
{
	struct domain_full *d = container_of(dom, struct domain_full, d);
	struct waiter w = { 0 };
	int cpu, saved = errno;

	*nested = false;
	if (!self)
		return -EBUSY;
	for (;;) {
		u64 age = w.turns >= SPINS ? wait_age(&w) : 0;

		cpu = find_held(dom, self, age >= TRY_OTHERS_NS);
		*nested = cpu >= 0;
		if (cpu < 0 && fast_here(dom))
			cpu = take_fast(dom, self);
		if (cpu < 0 && (age >= TRY_OTHERS_NS || !fast_here(dom)))
			cpu = take_any(d, self, wait_doubts(&w));
		if (cpu >= 0 || age >= LEASE_WAIT_NS)
			break;
		wait_turn(&w);
	}
	errno = saved;
	return cpu >= 0 ? cpu : -EBUSY;
}
