/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - entering and leaving a program.
 *
 * A run belongs to a thread. Runs nest when a signal handler fires a hook while its thread is inside another
 * run: up to RUN_MAX_DEPTH deep; the same program inside itself is a counted recursion miss, as in the kernel.
 * A program that touches per-CPU data holds the run lease of one CPU slot from entry to exit (base/domain.h).
 *
 * Everything here is async-signal-safe. Order matters: the run is linked before it is visible to helpers and
 * unlinked after its lease is gone, so that a handler always sees a whole chain. */
#include <errno.h>

#include "base/fault.h"
#include "prog/prog.h"

bool prog_force_interp;

static int miss(struct prog *p, u64 *counter, int err)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
	return err;
}

int prog_enter(struct prog *p, struct run *r)
{
	struct run *prev = tls()->run;
	int slot;

	for (const struct run *q = prev; q; q = q->prev)
		if (q->prog == p)
			return miss(p, &p->stats->recursion_misses, -EDEADLK);
	r->depth = prev ? prev->depth + 1 : 0;
	if (r->depth >= RUN_MAX_DEPTH)
		return miss(p, &p->stats->misses, -EBUSY);
	r->prev = prev;
	r->prog = p;
	r->ctx = NULL;
	r->dir = p->obj->dir;
	r->cpu = 0;
	r->leased = false;
	r->cookie = 0;
	r->overridden = false;
	if (p->needs_cpu) {
		slot = lease_take(r->dir->dom, &r->lease_nested);
		if (slot < 0)
			return miss(p, &p->stats->misses, -EBUSY);
		r->cpu = slot;
		r->leased = true;
	}
	r->fault = fault_enter();
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	tls()->run = r;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return 0;
}

void prog_exit(struct run *r, u64 runs, u64 ns)
{
	struct image_stats *st = r->prog->stats;

	if (r->leased)
		lease_drop(r->dir->dom, r->cpu, r->lease_nested);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	tls()->run = r->prev;
	fault_exit(r->fault);
	if (runs) {
		__atomic_fetch_add(&st->run_cnt, runs, __ATOMIC_RELAXED);
		__atomic_fetch_add(&st->run_time_ns, ns, __ATOMIC_RELAXED);
	}
}

int prog_run(struct prog *p, void *ctx, u64 *ret)
{
	struct run r;
	int err = prog_enter(p, &r);

	if (err)
		return err;
	*ret = prog_call(p, &r, ctx);
	prog_exit(&r, 0, 0);
	return 0;
}

u64 run_call(u64 func, u64 a, u64 b, u64 c, u64 d, u64 e)
{
	const struct run *r = run_self();

	if (r->prog->entry)
		return ((vm_helper)(uintptr_t)func)(a, b, c, d, e);
	return interp_call(func, a, b, c, d, e);
}
