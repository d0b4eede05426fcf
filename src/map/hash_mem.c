/* SPDX-License-Identifier: Apache-2.0 */
/* hash_mem.c - where the elements of hash maps are: buckets, magazines, journals, and repair after a kill.
 *
 * Invariant: with nobody at work, each element is exactly once in a chain, a magazine's free list, a magazine's fresh
 * range, or a magazine's spare; free + fresh + chained = max_entries, so the map is full exactly when no magazine has
 * a free element.
 *
 * A process may die between any two stores. Chains change by one store each (head or one next), so they are always
 * whole; what is not told by them is which elements are free. That is in the journal of the dead owner's magazine,
 * and decided by looking: is the element in its chain or not? The answer can be trusted because the journal's bucket
 * is still locked by the dead: whoever takes that lock over settles the journal first (hash_lock()).
 *
 * Lock order: repair, bucket, magazine (claimed without waiting). Every walk is bounded by the number of elements. */
#include <sched.h>
#include <stdlib.h>

#include "map/hash.h"

#define MAGS_MIN	8u
#define MAGS_MAX	64u

static u64 pow2_up(u64 n)
{
	return n <= 1 ? 1 : 1ull << (64 - __builtin_clzll(n - 1));
}

/* Elements that nobody can have at once are no loss: each magazine's spare is beyond max_entries. */
int hash_plan_mem(const struct map_attr *a, u32 ncpus, u32 val_size, bool percpu, bool lru, u64 *psize,
		  u64 geo[16])
{
	u64 mags = MIN(MAX(pow2_up(ncpus * 2ull), MAGS_MIN), MAGS_MAX), off = sizeof(struct hash_head), n;

	if (a->max_entries > 1u << 30)
		return a->max_entries > 1u << 31 ? -E2BIG : -ENOMEM;
	geo[GEO_BUCKETS] = pow2_up(a->max_entries);
	geo[GEO_MAGS] = mags;
	geo[GEO_ELEMS] = a->max_entries + mags;
	geo[GEO_ELEM_SIZE] = sizeof(struct elem) + ALIGN_UP((u64)a->key_size, 8) +
			     (percpu ? 0 : ALIGN_UP((u64)val_size, 8)) + (lru ? 8 : 0);
	geo[GEO_OFF_MAGS] = off;
	geo[GEO_OFF_BUCKETS] = off += mags * sizeof(struct mag);
	geo[GEO_OFF_ELEMS] = off += ALIGN_UP(geo[GEO_BUCKETS] * sizeof(struct bucket), 64);
	if (__builtin_mul_overflow(geo[GEO_ELEMS], geo[GEO_ELEM_SIZE], &n) ||
	    __builtin_add_overflow(off, ALIGN_UP(n, 128), &off))
		return -ENOMEM;
	geo[GEO_OFF_PERCPU] = off;
	geo[GEO_CPU_STRIDE] = percpu ? ALIGN_UP(geo[GEO_ELEMS] * ALIGN_UP((u64)val_size, 8), 128) : 0;
	if (__builtin_mul_overflow(geo[GEO_CPU_STRIDE], (u64)ncpus, &n) || __builtin_add_overflow(off, n, &off) ||
	    off > INT64_MAX / 2)
		return -ENOMEM;
	*psize = ALIGN_UP(off, SKEP_PAGE);
	return 0;
}

/* The file is zero: empty buckets. Elements 0 .. max_entries-1 are shared out, the others are spares. */
void hash_init_mem(struct map *m)
{
	u32 mags = m->geo[GEO_MAGS], max = m->attr.max_entries, at = 0;
	struct mag *g = (struct mag *)(m->priv_shm + m->geo[GEO_OFF_MAGS]);

	for (u32 i = 0; i < mags; i++, g++) {
		g->fresh = at;
		g->fresh_end = at += max / mags + (i < max % mags);
		g->spare = max + i + 1;
	}
}

/* ---- magazines ---- */

static bool has_free(const struct mag *g)
{
	return READ_ONCE(g->free) || READ_ONCE(g->fresh) < READ_ONCE(g->fresh_end);
}

static u32 prefer(const struct hash *h, u64 self)
{
	return ((u32)(self >> 48) * 5 + (u32)(self >> 32 & 0xffff)) & h->mag_mask;
}

/* Elements in the hands of somebody who may be dead count as busy, not as gone. */
int hash_claim(struct map *m, bool free, struct mag **out)
{
	struct hash *h = hash_of(m);
	u64 self = domain_self(m->dom);
	u32 start = prefer(h, self);
	bool busy = false;

	for (u32 i = 0; i <= h->mag_mask; i++) {
		struct mag *g = &h->mags[(start + i) & h->mag_mask];
		u64 owner = READ_ONCE(g->owner);
		u32 op = READ_ONCE(g->op);

		if (free && !has_free(g)) {
			busy |= owner && (op == MAG_INSERT || op == MAG_DELETE);
			continue;
		}
		if (!owner && __atomic_compare_exchange_n(&g->owner, &owner, self, false, __ATOMIC_ACQUIRE,
							  __ATOMIC_RELAXED)) {
			*out = g;
			if (!free || has_free(g))
				return 0;
			hash_release(g);
		}
		busy = true;
	}
	return busy ? -EAGAIN : -E2BIG;
}

void hash_release(struct mag *g)
{
	STORE_RELEASE(g->owner, 0);
}

static void begin(struct mag *g, enum mag_op op, u32 bucket, u32 elem, u32 old)
{
	WRITE_ONCE(g->bucket, bucket);
	WRITE_ONCE(g->elem, elem);
	WRITE_ONCE(g->old, old);
	STORE_RELEASE(g->op, op);
}

static void end(struct mag *g)
{
	STORE_RELEASE(g->op, MAG_IDLE);
}

static void push(struct hash *h, struct mag *g, u32 link)
{
	WRITE_ONCE(elem_at(h, link)->hash, READ_ONCE(g->free));
	STORE_RELEASE(g->free, link);
}

u32 hash_begin_insert(struct hash *h, struct mag *g, u32 bucket)
{
	u32 link = READ_ONCE(g->free);
	struct elem *e;

	if (!link) {
		u32 i = READ_ONCE(g->fresh);

		if (i >= READ_ONCE(g->fresh_end) || !elem_at(h, i + 1))
			return 0;
		begin(g, MAG_INSERT, bucket, i + 1, 0);
		STORE_RELEASE(g->fresh, i + 1);
		return i + 1;
	}
	e = elem_at(h, link);
	if (!e) {			/* garbage: what it led to is lost, nothing else */
		WRITE_ONCE(g->free, 0);
		return 0;
	}
	begin(g, MAG_INSERT, bucket, link, 0);
	STORE_RELEASE(g->free, READ_ONCE(e->hash));
	return link;
}

static u32 first_of(const struct hash *h, u32 bucket)
{
	u32 link = READ_ONCE(h->buckets[bucket].head);

	return link ? link : end_of(bucket);
}

/* The element was filled in between. Walkers see all of it: pairs with the acquire in walks. */
void hash_end_insert(struct hash *h, struct mag *g, u32 bucket, u32 link)
{
	STORE_RELEASE(elem_at(h, link)->next, first_of(h, bucket));
	STORE_RELEASE(h->buckets[bucket].head, link);
	end(g);
}

u32 hash_begin_replace(struct hash *h, struct mag *g, u32 bucket, u32 old)
{
	u32 link = READ_ONCE(g->spare);

	if (!elem_at(h, link))
		return 0;
	begin(g, MAG_REPLACE, bucket, link, old);
	return link;
}

/* Between unlinking an element and giving it away: who reads it finds out that it may be another one by now.
 * Pairs with the acquires in copy_out() of hash.c. */
static void one_left(struct hash *h, u32 bucket)
{
	struct bucket *b = &h->buckets[bucket & h->mask];

	STORE_RELEASE(b->left, READ_ONCE(b->left) + 1);
}

void hash_end_replace(struct hash *h, struct mag *g, u32 *at, u32 link, u32 old)
{
	STORE_RELEASE(elem_at(h, link)->next, READ_ONCE(elem_at(h, old)->next));
	STORE_RELEASE(*at, link);
	one_left(h, READ_ONCE(g->bucket));
	STORE_RELEASE(g->spare, old);
	end(g);
}

void hash_delete(struct hash *h, struct mag *g, u32 bucket, u32 *at, u32 old)
{
	begin(g, MAG_DELETE, bucket, 0, old);
	STORE_RELEASE(*at, READ_ONCE(elem_at(h, old)->next));
	one_left(h, bucket);
	push(h, g, old);
	end(g);
}

/* ---- after a death ---- */

static bool linked(const struct hash *h, u32 bucket, u32 link)
{
	u32 at = first_of(h, bucket), n = h->nr_elems;
	const struct elem *e;

	while (n-- && (e = elem_at(h, at))) {
		if (at == link)
			return true;
		at = READ_ONCE(e->next);
	}
	return false;
}

/* Was the element not even taken yet? It was to come from the head of the list or of the fresh ones. */
static bool still_has(const struct mag *g, u32 link)
{
	u32 fresh = READ_ONCE(g->fresh);

	return READ_ONCE(g->free) == link || (fresh == link - 1 && fresh < READ_ONCE(g->fresh_end));
}

/* Settle what G's owner left undone. The bucket's lock is held. May be interrupted and begun anew. */
static void settle(struct hash *h, struct mag *g, u32 bucket)
{
	u32 e = READ_ONCE(g->elem), old = READ_ONCE(g->old);

	one_left(h, bucket);			/* perhaps; once more hurts nobody */
	switch (READ_ONCE(g->op)) {
	case MAG_INSERT:
		/* taken, but not linked: give it back */
		if (elem_at(h, e) && !still_has(g, e) && !linked(h, bucket, e))
			push(h, g, e);
		break;
	case MAG_REPLACE:
		if (elem_at(h, e) && elem_at(h, old))
			WRITE_ONCE(g->spare, linked(h, bucket, e) ? old : e);
		break;
	case MAG_DELETE:
		if (elem_at(h, old) && READ_ONCE(g->free) != old && !linked(h, bucket, old))
			push(h, g, old);
		break;
	}
	end(g);
}

/* We hold the lock, so a journal that names this bucket is a dead owner's: live ones clear theirs before they unlock. */
static void settle_bucket(struct map *m, u32 bucket)
{
	struct hash *h = hash_of(m);

	for (u32 i = 0; i <= h->mag_mask; i++) {
		struct mag *g = &h->mags[i];

		if (LOAD_ACQUIRE(g->op) != MAG_IDLE && READ_ONCE(g->bucket) == bucket)
			settle(h, g, bucket);
	}
}

int hash_lock(struct map *m, u32 bucket)
{
	int err = lock_take(m->dom, &hash_of(m)->buckets[bucket].lock);

	if (likely(!err))
		return 0;
	if (err == 1) {
		settle_bucket(m, bucket);
		return 0;
	}
	return err;
}

void hash_unlock(struct map *m, u32 bucket)
{
	lock_drop(m->dom, &hash_of(m)->buckets[bucket].lock);
}

/* Give the magazines of the dead back. No bucket may be locked by the caller. */
int hash_repair(struct map *m)
{
	struct hash *h = hash_of(m);
	int err = lock_take(m->dom, h->repair);

	if (err < 0)
		return err;
	for (u32 i = 0; i <= h->mag_mask; i++) {
		struct mag *g = &h->mags[i];
		u64 owner = LOAD_ACQUIRE(g->owner);
		u32 bucket = READ_ONCE(g->bucket);

		if (!owner || domain_alive(m->dom, owner))
			continue;
		if (LOAD_ACQUIRE(g->op) != MAG_IDLE && bucket <= h->mask) {
			if (hash_lock(m, bucket))
				continue;
			if (READ_ONCE(g->op) != MAG_IDLE)
				settle(h, g, bucket);
			hash_unlock(m, bucket);
		}
		end(g);
		__atomic_compare_exchange_n(&g->owner, &owner, 0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
	}
	lock_drop(m->dom, h->repair);
	return 0;
}

/* ---- the checker ---- */

struct tally {
	const struct hash *h;
	u8 *seen;			/* per element */
	u64 chained, free;
};

static int see(struct tally *t, u32 link)
{
	if (!elem_at(t->h, link) || t->seen[link - 1]++)
		return -EUCLEAN;
	return 0;
}

static int check_chain(struct tally *t, u32 bucket)
{
	u32 link = first_of(t->h, bucket);

	for (; !(link & LINK_END); link = elem_at(t->h, link)->next) {
		if (see(t, link) || (elem_at(t->h, link)->hash & t->h->mask) != bucket)
			return -EUCLEAN;
		t->chained++;
	}
	return link == end_of(bucket) && !t->h->buckets[bucket].lock.owner ? 0 : -EUCLEAN;
}

static int check_mag(struct tally *t, const struct mag *g)
{
	if (g->owner || g->op != MAG_IDLE || see(t, g->spare))
		return -EUCLEAN;
	for (u32 link = g->free; link; link = elem_at(t->h, link)->hash) {
		if (see(t, link))
			return -EUCLEAN;
		t->free++;
	}
	for (u32 i = g->fresh; i < g->fresh_end; i++, t->free++)
		if (see(t, i + 1))
			return -EUCLEAN;
	return 0;
}

int hash_check(struct map *m, u64 *count)
{
	struct hash *h = hash_of(m);
	struct tally t = { .h = h, .seen = calloc(h->nr_elems, 1) };
	int err = t.seen ? hash_repair(m) : -ENOMEM;

	for (u32 i = 0; !err && i <= h->mask; i++) {
		err = hash_lock(m, i);		/* settles what the dead left here */
		if (err)
			break;
		hash_unlock(m, i);
		err = check_chain(&t, i);
	}
	for (u32 i = 0; !err && i <= h->mag_mask; i++)
		err = check_mag(&t, &h->mags[i]);
	if (!err && (t.chained + t.free != m->attr.max_entries || t.chained + t.free + h->mag_mask + 1 != h->nr_elems))
		err = -EUCLEAN;
	*count = t.chained;
	free(t.seen);
	return err;
}
