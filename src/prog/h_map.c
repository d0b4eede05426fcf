/* SPDX-License-Identifier: Apache-2.0 */
/* h_map.c - helpers on maps: thin doors to the operations in src/map, which user space uses too. */
#include "prog/helper.h"

HELPER_FN(map_lookup_elem)
{
	struct map *m = PTR(r1);

	return (u64)(uintptr_t)m->lookup(m, PTR(r2), run_self()->cpu);
}

HELPER_FN(map_update_elem)
{
	struct map *m = PTR(r1);

	return (u64)m->ops->update(m, PTR(r2), PTR(r3), r4, run_self()->cpu);
}

HELPER_FN(map_delete_elem)
{
	struct map *m = PTR(r1);

	return (u64)m->ops->delete(m, PTR(r2));
}

HELPER_FN(map_push_elem)
{
	struct map *m = PTR(r1);

	return (u64)m->ops->push(m, PTR(r2), r3);
}

HELPER_FN(map_pop_elem)
{
	struct map *m = PTR(r1);

	return (u64)m->ops->pop(m, PTR(r2));
}

HELPER_FN(map_peek_elem)
{
	struct map *m = PTR(r1);

	return (u64)m->ops->peek(m, PTR(r2));
}

HELPER_FN(map_lookup_percpu_elem)
{
	struct map *m = PTR(r1);

	if ((u32)r3 >= m->ncpus)
		return 0;
	return (u64)(uintptr_t)m->ops->lookup(m, PTR(r2), (u32)r3);
}

struct each {
	struct map *map;
	u64 func, ctx;
};

static long each_elem(void *arg, void *key, void *value)
{
	struct each *e = arg;

	return (long)run_call(e->func, (u64)(uintptr_t)e->map, (u64)(uintptr_t)key,
			      (u64)(uintptr_t)value, e->ctx, 0);
}

HELPER_FN(for_each_map_elem)
{
	struct each e = { .map = PTR(r1), .func = r2, .ctx = r3 };

	if (r4)
		return ERR(EINVAL);
	return (u64)e.map->ops->for_each(e.map, each_elem, &e, run_self()->cpu);
}

/* Never called: both engines have tail calls built in (struct vm_link.tail_call). */
HELPER_FN(tail_call)
{
	return ERR(EOPNOTSUPP);
}

#define LOOP_MAX	(8u << 20)	/* BPF_MAX_LOOPS */

HELPER_FN(loop)
{
	u32 n = (u32)r1, i;

	if (r4)
		return ERR(EINVAL);
	if (n > LOOP_MAX)
		return (u32)-E2BIG;	/* Linux inlines the loop where FLAGS is a constant 0, and then sets R0 by a 32-bit move */
	for (i = 0; i < n; i++)
		if (run_call(r2, i, r3, 0, 0, 0))
			return i + 1;
	return i;
}

/* ---- ring buffers ---- */

HELPER_FN(ringbuf_output)
{
	if (r4 & ~(u64)(BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP))
		return ERR(EINVAL);
	return (u64)map_ring_output(PTR(r1), PTR(r2), r3, r4);
}

HELPER_FN(ringbuf_reserve)
{
	return r3 ? 0 : (u64)(uintptr_t)map_ring_reserve(PTR(r1), r2, 0);
}

HELPER_FN(ringbuf_submit)
{
	map_ring_submit(PTR(r1), r2, false);
	return 0;
}

HELPER_FN(ringbuf_discard)
{
	map_ring_submit(PTR(r1), r2, true);
	return 0;
}

HELPER_FN(ringbuf_query)
{
	return map_ring_query(PTR(r1), r2);
}
