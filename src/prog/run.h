/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - prog_enter() and prog_exit() inline, for hooks: an event costs a few nanoseconds in all, and calls count. What they
 * mean is in prog.h and run.c. */
#ifndef SKEP_PROG_RUN_H
#define SKEP_PROG_RUN_H

#include <errno.h>

#include "base/fault.h"
#include "prog/prog.h"

/* Counts a miss; returns ERR. */
int prog_miss(struct prog *p, int err) __attribute__((cold));

static inline bool run_in_chain(const struct run *q, const struct prog *p)
{
	for (; q; q = q->prev)
		if (q->prog == p)
			return true;
	return false;
}

static inline __attribute__((always_inline)) int run_enter(struct prog *p, struct run *r, u64 cookie)
{
	struct tls *t = tls();
	struct run *prev = t->run;
	int slot;

	r->dir = p->obj->dir;
	r->prev = prev;
	r->prog = p;
	r->cookie = cookie;
	r->cpu = 0;
	r->depth = 0;
	r->leased = r->lease_nested = r->overridden = false;
	if (unlikely(prev)) {
		if (run_in_chain(prev, p))
			return prog_miss(p, -EDEADLK);
		r->depth = prev->depth + 1;
		if (r->depth >= RUN_MAX_DEPTH)
			return prog_miss(p, -EBUSY);
	}
	if (p->needs_cpu) {
		slot = lease_take(r->dir->dom, &r->lease_nested);
		if (unlikely(slot < 0))
			return prog_miss(p, -EBUSY);
		r->cpu = (u32)slot;
		r->leased = true;
	}
	r->fault = fault_enter();
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	t->run = r;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return 0;
}

static inline __attribute__((always_inline)) void run_leave(struct run *r)
{
	if (r->leased)
		lease_drop(r->dir->dom, (int)r->cpu, r->lease_nested);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	tls()->run = r->prev;
	fault_exit(r->fault);
}

#endif
