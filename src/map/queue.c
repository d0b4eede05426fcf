/* SPDX-License-Identifier: Apache-2.0 */
/* queue.c - QUEUE and STACK: values without keys, last or first in, first out.
 *
 * Private area: lock, head, tail, then max_entries + 1 values in a circle; it is empty when head is tail, so it can never be
 * full of them all. A push writes the value behind the head and then moves the head; a pop copies and then moves tail (queue)
 * or head (stack). Each is one store, so a process may die anywhere and nothing needs repair; a push that was to replace the
 * oldest (BPF_EXIST) may have dropped it only. Head and tail are bounded at each use. */
#include "map/priv.h"

#define QUEUE_FLAGS	(BPF_F_NUMA_NODE | F_ACCESS)
#define MAX_VALUE	4194304u		/* KMALLOC_MAX_SIZE */

struct queue_shm {			/* shared; under the lock */
	struct lock lock;
	u32 head, tail;			/* next free; oldest */
	u8 pad[48];
};

static struct queue_shm *shm_of(const struct map *m)
{
	return (struct queue_shm *)m->priv_shm;
}

static u32 slots(const struct map *m)
{
	return m->attr.max_entries + 1;
}

static u32 bounded(const struct map *m, const u32 *at)
{
	u32 i = READ_ONCE(*at);

	return i < slots(m) ? i : 0;
}

static u32 after(const struct map *m, u32 i)
{
	return i + 1 < slots(m) ? i + 1 : 0;
}

static u32 before(const struct map *m, u32 i)
{
	return i ? i - 1 : slots(m) - 1;
}

static void *slot(const struct map *m, u32 i)
{
	return m->priv_shm + sizeof(struct queue_shm) + (u64)i * m->value_stride;
}

static int lock(struct map *m)
{
	return lock_take(m->dom, &shm_of(m)->lock) < 0 ? -EBUSY : 0;
}

static void unlock(struct map *m)
{
	lock_drop(m->dom, &shm_of(m)->lock);
}

static long push(struct map *m, const void *value, u64 flags)
{
	struct queue_shm *q = shm_of(m);
	u32 head, tail;
	long err;

	if (flags != BPF_ANY && flags != BPF_EXIST)
		return -EINVAL;
	err = lock(m);
	if (err)
		return err;
	head = bounded(m, &q->head), tail = bounded(m, &q->tail);
	if (after(m, head) == tail) {
		if (flags == BPF_EXIST)
			STORE_RELEASE(q->tail, after(m, tail));
		else
			err = -E2BIG;
	}
	if (!err) {
		racy_copy(slot(m, head), value, m->attr.value_size);
		STORE_RELEASE(q->head, after(m, head));
	}
	unlock(m);
	return err;
}

/* The oldest or newest value; REMOVE it. An empty one gives zeroes. */
static long get(struct map *m, void *value, bool oldest, bool remove)
{
	struct queue_shm *q = shm_of(m);
	u32 head, tail, i;
	long err = lock(m);

	if (err)
		return err;
	head = bounded(m, &q->head), tail = bounded(m, &q->tail);
	if (head == tail) {
		memset(value, 0, m->attr.value_size);
		err = -ENOENT;
	} else {
		i = oldest ? tail : before(m, head);
		racy_copy(value, slot(m, i), m->attr.value_size);
		if (remove && oldest)
			STORE_RELEASE(q->tail, after(m, tail));
		else if (remove)
			STORE_RELEASE(q->head, i);
	}
	unlock(m);
	return err;
}

static long queue_pop(struct map *m, void *value)
{
	return get(m, value, true, true);
}

static long queue_peek(struct map *m, void *value)
{
	return get(m, value, true, false);
}

static long stack_pop(struct map *m, void *value)
{
	return get(m, value, false, true);
}

static long stack_peek(struct map *m, void *value)
{
	return get(m, value, false, false);
}

static long delete(struct map *m, const void *key)
{
	return -EINVAL;
}

static int next_key(struct map *m, const void *key, void *next)
{
	return -EINVAL;
}

static int plan(const struct map_attr *a, u32 ncpus, u64 *csize, u64 *psize, u64 geo[16])
{
	if (!a->max_entries || a->key_size || !a->value_size || (a->flags & ~QUEUE_FLAGS) || !access_flags_ok(a->flags))
		return -EINVAL;
	if (a->value_size > MAX_VALUE)
		return -E2BIG;
	if (a->max_entries > INT32_MAX)
		return -ENOMEM;
	*csize = 0;
	*psize = ALIGN_UP(sizeof(struct queue_shm) + (a->max_entries + 1ull) * ALIGN_UP((u64)a->value_size, 8), SKEP_PAGE);
	return 0;
}

/* *count: values. Any head and tail are legal ones once bounded. */
static int check(struct map *m, u64 *count)
{
	const struct queue_shm *q = shm_of(m);

	if (lock(m))
		return -EUCLEAN;
	*count = (bounded(m, &q->head) + slots(m) - bounded(m, &q->tail)) % slots(m);
	unlock(m);
	return q->head < slots(m) && q->tail < slots(m) ? 0 : -EUCLEAN;
}

const struct map_ops queue_ops = {
	.plan = plan, .push = push, .pop = queue_pop, .peek = queue_peek, .delete = delete, .next_key = next_key, .check = check,
};

const struct map_ops stack_ops = {
	.plan = plan, .push = push, .pop = stack_pop, .peek = stack_peek, .delete = delete, .next_key = next_key, .check = check,
};
