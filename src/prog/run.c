/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - entering and leaving a program (run.h has the inline part).
 *
 * A run belongs to a thread. Runs nest when a signal handler fires a hook while its thread is inside another
 * run: up to RUN_MAX_DEPTH deep; the same program inside itself is a counted recursion miss, as in the kernel.
 * A program that touches per-CPU data holds the run lease of one CPU slot from entry to exit (base/domain.h).
 *
 * Everything here is async-signal-safe. Order matters: the run is linked before it is visible to helpers and
 * unlinked after its lease is gone, so that a handler always sees a whole chain. */
#include <errno.h>

#include "prog/run.h"

bool prog_force_interp;

int prog_miss(struct prog *p, int err)
{
	u64 *counter = err == -EDEADLK ? &p->stats->recursion_misses : &p->stats->misses;

	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
	return err;
}

int prog_enter(struct prog *p, struct run *r)
{
	return run_enter(p, r, 0);
}

void prog_exit(struct run *r, u64 runs, u64 ns)
{
	struct image_stats *st = r->prog->stats;

	run_leave(r);
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
