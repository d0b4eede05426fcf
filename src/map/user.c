/* SPDX-License-Identifier: Apache-2.0 */
/* user.c - the element and batch commands of bpf(2), for every map type, over its ops. Rights, attr and single keys and
 * values are sys/'s business; here the kernel's order of checks from the flags on. */
#include <stdlib.h>

#include "base/fault.h"
#include "map/priv.h"

static int healthy(const struct map *m)
{
	return obj_check_size(m->obj);
}

/* The answer of an operation that ran into a file cut short meanwhile is worth nothing. */
static int done(const struct map *m, int err)
{
	return obj_check_size(m->obj) ? -EUCLEAN : err;
}

/* No value has a bpf_spin_lock yet, so BPF_F_LOCK is refused whatever the type. */
static int check(const struct map *m, u64 flags)
{
	return flags & BPF_F_LOCK ? -EINVAL : healthy(m);
}

int map_lookup_elem(struct map *m, const void *key, void *value, u64 flags)
{
	int err = flags & ~(u64)BPF_F_LOCK ? -EINVAL : check(m, flags);

	if (err)
		return err;
	if (m->ops->copy_out)
		err = m->ops->copy_out(m, key, value, flags);
	else
		err = m->ops->peek ? m->ops->peek(m, value) : -ENOTSUPP;
	return done(m, err);
}

int map_update_elem(struct map *m, const void *key, const void *value, u64 flags)
{
	int err = check(m, flags);

	if (err)
		return err;
	if (m->ops->copy_in)
		err = m->ops->copy_in(m, key, value, flags);
	else
		err = m->ops->push ? m->ops->push(m, value, flags) : -ENOTSUPP;
	return done(m, err);
}

int map_delete_elem(struct map *m, const void *key)
{
	int err = healthy(m);

	if (err)
		return err;
	return done(m, m->ops->delete ? m->ops->delete(m, key) : -ENOTSUPP);
}

int map_next_key(struct map *m, const void *key, void *next)
{
	int err = healthy(m);

	if (err)
		return err;
	return done(m, m->ops->next_key ? m->ops->next_key(m, key, next) : -ENOTSUPP);
}

int map_lookup_and_delete_elem(struct map *m, const void *key, void *value, u64 flags)
{
	int err = flags & ~(u64)BPF_F_LOCK ? -EINVAL : check(m, flags);

	if (err)
		return err;
	if (m->ops->pop)
		err = flags ? -EINVAL : m->ops->pop(m, value);
	else
		err = m->ops->take ? m->ops->take(m, key, value, flags) : -ENOTSUPP;
	return done(m, err);
}

int map_check(struct map *m, u64 *count)
{
	int err = healthy(m);

	if (err)
		return err;
	return done(m, m->ops->check ? m->ops->check(m, count) : -ENOTSUPP);
}

/* ---- batches ---- */

#define BATCH_ROOM	64		/* elements of a bucket at first; grows to the longest chain */

struct batch {
	struct map *m;
	struct map_batch *b;
	u32 ksize, vsize, max, room;
	u8 *keys, *values;
};

static int make_room(struct batch *x, u32 room)
{
	u64 k, v;

	free(x->keys);
	free(x->values);
	x->keys = x->values = NULL;
	if (!__builtin_mul_overflow((u64)room, (u64)x->ksize, &k) && !__builtin_mul_overflow((u64)room, (u64)x->vsize, &v)) {
		x->keys = malloc(k + 8);
		x->values = malloc(v + 8);
	}
	x->room = room;
	return x->keys && x->values ? 0 : -ENOMEM;
}

/* The client's addresses may be anything: numbers until fault_copy touches them. */
static void *at(const void *base, u64 off)
{
	return (void *)((uintptr_t)base + off);
}

static int deliver(struct batch *x, u32 n)
{
	struct map_batch *b = x->b;

	if (fault_copy_to(at(b->keys, (u64)b->count * x->ksize), x->keys, (u64)n * x->ksize) ||
	    fault_copy_to(at(b->values, (u64)b->count * x->vsize), x->values, (u64)n * x->vsize))
		return -EFAULT;
	b->count += n;
	return 0;
}

/* One bucket after the other. 0: the next one does not fit. */
static int by_bucket(struct batch *x, bool take, u32 *token)
{
	const struct map_ops *ops = x->m->ops;

	for (;;) {
		u32 left = x->max - x->b->count, n;
		int err = ops->bucket(x->m, token, MIN(left, x->room), take, x->keys, x->values, &n);

		if (err == -ENOSPC && n <= left) {
			err = make_room(x, n);
			if (err)
				return err;
			continue;
		}
		if (err == -ENOSPC)
			return x->b->count ? 0 : -ENOSPC;
		if (!err)
			err = deliver(x, n);
		if (err)
			return err;
	}
}

static int read_buckets(struct batch *x, bool take)
{
	struct map_batch *b = x->b;
	u32 token = 0;
	int err;

	if (b->flags)
		return -EINVAL;
	if (!x->max)
		return 0;
	b->count = 0;
	if (b->in_batch && fault_copy_from(&token, b->in_batch, sizeof(token)))
		return -EFAULT;
	err = make_room(x, MIN(x->max, BATCH_ROOM));
	if (err)
		return err;
	if (x->m->ops->bucket(x->m, &token, 0, false, NULL, NULL, &(u32){ 0 }) == -ENOENT)
		return -ENOENT;
	err = by_bucket(x, take, &token);
	if (err != -EFAULT && fault_copy_to(b->out_batch, &token, sizeof(token)))
		err = -EFAULT;
	return err;
}

/* Types without buckets go from key to key; the token is the last one. */
static int read_keys(struct batch *x)
{
	struct map_batch *b = x->b;
	u8 *key, *next;
	bool more;
	int err;

	if (!x->max)
		return 0;
	b->count = 0;
	err = make_room(x, 2);
	if (err)
		return err;
	key = x->keys + x->ksize, next = x->keys;
	more = b->in_batch;
	if (more && fault_copy_from(key, b->in_batch, x->ksize))
		return -EFAULT;
	while (b->count < x->max) {
		err = x->m->ops->next_key(x->m, more ? key : NULL, next);
		if (err)
			break;
		err = map_lookup_elem(x->m, next, x->values, 0);
		if (!err)
			err = deliver(x, 1);
		if (err && err != -ENOENT)
			return err;
		memcpy(key, next, x->ksize);
		more = true, err = 0;
	}
	if (b->count && fault_copy_to(b->out_batch, key, x->ksize))
		return -EFAULT;
	return err;
}

static int write_keys(struct batch *x, bool update)
{
	struct map_batch *b = x->b;
	int err;

	if (!x->max)
		return 0;
	b->count = 0;
	err = make_room(x, 1);
	while (!err && b->count < x->max) {
		if (fault_copy_from(x->keys, at(b->keys, (u64)b->count * x->ksize), x->ksize) ||
		    (update && fault_copy_from(x->values, at(b->values, (u64)b->count * x->vsize), x->vsize)))
			return -EFAULT;
		err = update ? map_update_elem(x->m, x->keys, x->values, b->elem_flags) :
			       map_delete_elem(x->m, x->keys);
		b->count += !err;
	}
	return err;
}

/* Which of the four a type has is the kernel's choice: hash types all, arrays (of maps too) lookup and update. */
static bool has_batch(const struct map *m, u32 cmd)
{
	const struct spec_map *s = spec_map(m->attr.type);

	if (!s || !(s->ops & SPEC_MAP_BATCH))
		return false;
	switch (cmd) {
	case BPF_MAP_LOOKUP_BATCH:
	case BPF_MAP_UPDATE_BATCH:
		return true;
	case BPF_MAP_DELETE_BATCH:
		return m->ops->bucket || (s->ops & (SPEC_MAP_DELETE | SPEC_MAP_OF_MAPS)) == SPEC_MAP_DELETE;
	case BPF_MAP_LOOKUP_AND_DELETE_BATCH:
		return m->ops->bucket;
	}
	return false;
}

int map_batch(struct map *m, u32 cmd, struct map_batch *b)
{
	struct batch x = { .m = m, .b = b, .ksize = m->attr.key_size, .vsize = map_user_value_size(m), .max = b->count };
	bool take = cmd == BPF_MAP_LOOKUP_AND_DELETE_BATCH;
	int err;

	if (!has_batch(m, cmd))
		return -ENOTSUPP;
	err = b->elem_flags & ~(u64)BPF_F_LOCK ? -EINVAL : check(m, b->elem_flags);
	if (err)
		return err;
	if (cmd == BPF_MAP_UPDATE_BATCH || cmd == BPF_MAP_DELETE_BATCH)
		err = write_keys(&x, cmd == BPF_MAP_UPDATE_BATCH);
	else
		err = m->ops->bucket ? read_buckets(&x, take) : read_keys(&x);
	free(x.keys);
	free(x.values);
	return done(m, err);
}
