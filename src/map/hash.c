/* SPDX-License-Identifier: Apache-2.0 */
/* hash.c - HASH, PERCPU_HASH and their LRU kinds: preallocated, with immediate reuse, as the kernel's.
 *
 * Lookups take no lock. What they return may be freed and used for another key while the caller holds the address;
 * it stays inside the map. A chain ends with its bucket's number, so a walker that was carried into another chain
 * starts again. Updates and deletions hold the bucket's lock; an update of an existing key links a spare element in
 * place of the old one, so that a reader sees the old value or the new one. Per-CPU values are written in place.
 *
 * LRU kinds evict when nothing is free: a hand goes round the elements and takes the first one in a chain that no program
 * looked up since it last came by (the kernel's lists do this in batches, and may evict before the map is full).
 *
 * Memory, journals and repair: hash_mem.c. Lock order: bucket, magazine. */
#include <sched.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "map/hash.h"

#define HASH_FLAGS	(BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE | F_ACCESS | BPF_F_ZERO_SEED)
#define COPY_TRIES	8
#define WALK_RESTARTS	4096		/* beyond that the chain ends are garbage, not traffic */
#define STUCK_NS	250000000ull

/* ---- hash function: 64x64->128 multiply and fold, seeded ---- */

static inline u64 fold(u64 a, u64 b)
{
	unsigned __int128 r = (unsigned __int128)a * b;

	return (u64)r ^ (u64)(r >> 64);
}

#define K0	0x9e3779b97f4a7c15ull
#define K1	0xd1b54a32d192ed03ull
#define K2	0x8cb92ba72f3d8dd7ull

static inline u64 word8(const u8 *p)
{
	u64 v;

	memcpy(&v, p, 8);
	return v;
}

static inline u64 word4(const u8 *p)
{
	u32 v;

	memcpy(&v, p, 4);
	return v;
}

/* Up to 8 bytes as one number; reads that overlap instead of a loop. */
static inline u64 short_word(const u8 *p, u32 n)
{
	if (n >= 4)
		return word4(p) | word4(p + n - 4) << 32;
	return p[0] | (u64)p[n / 2] << 8 | (u64)p[n - 1] << 16;
}

/* KSIZE is a constant in the specialised walks. */
static inline __attribute__((always_inline)) u32 hash_key(u64 seed, const void *key, u32 ksize)
{
	const u8 *p = key;
	u64 h = seed ^ K0;
	u32 n = ksize;

	if (ksize == 4)
		return fold(word4(p) ^ h, K1) >> 7;
	if (ksize == 8)
		return fold(word8(p) ^ h, K1) >> 7;
	if (ksize < 8)
		return fold(fold(short_word(p, n) ^ h, K1) ^ n, K2) >> 7;
	for (; n > 16; n -= 16, p += 16)
		h = fold(word8(p) ^ K1, word8(p + 8) ^ h);
	/* the last 16 bytes, again those before if there are fewer */
	if (n > 8)
		h = fold(word8(p) ^ K1, word8(p + n - 8) ^ h);
	else
		h = fold(word8(p + n - 8) ^ K1, K2 ^ h);
	return fold(h ^ ksize, K2) >> 7;
}

/* ---- walking ---- */

static inline __attribute__((always_inline)) struct elem *walk(const struct hash *h, const void *key, u32 ksize, u32 hash)
{
	u32 b = hash & h->mask, n = h->nr_elems, restarts = 0, link;
	struct elem *e;

again:
	link = LOAD_ACQUIRE(h->buckets[b].head);	/* pairs with hash_end_insert() */
	while ((e = elem_at(h, link))) {
		if (READ_ONCE(e->hash) == hash && racy_equal(e->key, key, ksize))
			return e;
		link = LOAD_ACQUIRE(e->next);
		if (unlikely(!n--))
			return NULL;
	}
	if (likely(!link || link == end_of(b)))
		return NULL;
	if (restarts++ < WALK_RESTARTS) {
		n = h->nr_elems;
		goto again;
	}
	return NULL;
}

static struct elem *find(const struct hash *h, const void *key, u32 *hash)
{
	*hash = hash_key(h->seed, key, h->key_size);
	return walk(h, key, h->key_size, *hash);
}

static inline u32 link_of(const struct hash *h, const struct elem *e)
{
	return ((const u8 *)e - h->elems) / h->elem_size + 1;
}

static inline void *value_of(const struct hash *h, struct elem *e)
{
	return (u8 *)e + h->val_off;
}

static inline void *cpu_value(const struct map *m, const struct elem *e, u32 cpu)
{
	const struct hash *h = hash_of(m);

	return h->percpu + cpu * h->cpu_stride + (u64)(link_of(h, e) - 1) * m->value_stride;
}

#define LOOKUP(name, ksize)							\
static void *name(struct map *m, const void *key, u32 cpu)			\
{										\
	const struct hash *h = hash_of(m);					\
	struct elem *e = walk(h, key, ksize, hash_key(h->seed, key, ksize));	\
										\
	return e ? (u8 *)e + sizeof(*e) + ALIGN_UP(ksize, 8u) : NULL;		\
}
LOOKUP(lookup4, 4)
LOOKUP(lookup8, 8)
LOOKUP(lookup16, 16)
LOOKUP(lookup, h->key_size)

static void *percpu_lookup(struct map *m, const void *key, u32 cpu)
{
	u32 hash;
	struct elem *e = find(hash_of(m), key, &hash);

	return e && cpu < m->ncpus ? cpu_value(m, e, cpu) : NULL;
}

static inline u32 *ref_of(const struct hash *h, struct elem *e)
{
	return (u32 *)((u8 *)e + h->ref_off);
}

static void *lru_lookup(struct map *m, const void *key, u32 cpu)
{
	const struct hash *h = hash_of(m);
	u32 hash;
	struct elem *e = find(h, key, &hash);

	if (!e || cpu >= m->ncpus)
		return NULL;
	if (!READ_ONCE(*ref_of(h, e)))
		WRITE_ONCE(*ref_of(h, e), 1);
	return h->percpu ? cpu_value(m, e, cpu) : value_of(h, e);
}

/* Under the bucket's lock: where the link to the element of KEY is, or NULL. */
static u32 *find_locked(const struct hash *h, const void *key, u32 hash, u32 *link)
{
	u32 *at = &h->buckets[hash & h->mask].head, n = h->nr_elems;
	struct elem *e;

	while (n-- && (e = elem_at(h, *link = READ_ONCE(*at)))) {
		if (READ_ONCE(e->hash) == hash && racy_equal(e->key, key, h->key_size))
			return at;
		at = &e->next;
	}
	return NULL;
}

/* ---- changing ---- */

static bool percpu(const struct map *m)
{
	return hash_of(m)->percpu;
}

/* What an operation wants; user: VALUE holds one value per CPU. */
struct change {
	const void *key, *value;
	u64 flags;
	u32 hash, bucket, cpu;
	bool user;
	void *out;			/* take: where the value goes */
};

static void fill_cpus(struct map *m, struct elem *e, const struct change *c, bool fresh)
{
	for (u32 cpu = 0; cpu < m->ncpus; cpu++) {
		void *v = cpu_value(m, e, cpu);

		if (c->user)
			racy_copy(v, (const u8 *)c->value + (u64)cpu * m->value_stride, m->value_stride);
		else if (cpu == c->cpu)
			racy_copy(v, c->value, m->attr.value_size);
		else if (fresh)
			racy_zero(v, m->value_stride);
	}
}

static void fill(struct map *m, u32 link, const struct change *c)
{
	struct hash *h = hash_of(m);
	struct elem *e = elem_at(h, link);

	FENCE(__ATOMIC_RELEASE);		/* one_left() is seen before what is written now */
	WRITE_ONCE(e->hash, c->hash);
	if (h->ref_off)
		WRITE_ONCE(*ref_of(h, e), 0);
	racy_copy(e->key, c->key, h->key_size);
	if (percpu(m))
		fill_cpus(m, e, c, true);
	else
		racy_copy(value_of(h, e), c->value, h->val_size);
}

static int insert(struct map *m, const struct change *c)
{
	struct hash *h = hash_of(m);
	struct mag *g;
	u32 link;
	int err = hash_claim(m, true, &g);

	if (err)
		return err;
	link = hash_begin_insert(h, g, c->bucket);
	if (link) {
		fill(m, link, c);
		hash_end_insert(h, g, c->bucket, link);
	}
	hash_release(g);
	return link ? 0 : -EAGAIN;
}

static int replace(struct map *m, const struct change *c, u32 *at, u32 old)
{
	struct hash *h = hash_of(m);
	struct mag *g;
	u32 link;
	int err;

	if (percpu(m)) {
		fill_cpus(m, elem_at(h, old), c, false);
		return 0;
	}
	err = hash_claim(m, false, &g);
	if (err)
		return -EAGAIN;
	link = hash_begin_replace(h, g, c->bucket, old);
	if (link) {
		fill(m, link, c);
		hash_end_replace(h, g, at, link, old);
	}
	hash_release(g);
	return link ? 0 : -EUCLEAN;
}

static int do_update(struct map *m, struct change *c)
{
	u32 link, *at = find_locked(hash_of(m), c->key, c->hash, &link);

	if (at && (c->flags & BPF_NOEXIST))
		return -EEXIST;
	if (!at && (c->flags & BPF_EXIST))
		return -ENOENT;
	return at ? replace(m, c, at, link) : insert(m, c);
}

static void copy_value(struct map *m, struct elem *e, void *out)
{
	if (!percpu(m)) {
		racy_copy(out, value_of(hash_of(m), e), m->attr.value_size);
		return;
	}
	for (u32 cpu = 0; cpu < m->ncpus; cpu++)
		racy_copy((u8 *)out + (u64)cpu * m->value_stride, cpu_value(m, e, cpu), m->value_stride);
}

static int delete_at(struct map *m, u32 bucket, u32 *at, u32 link)
{
	struct mag *g;

	if (hash_claim(m, false, &g))
		return -EAGAIN;
	hash_delete(hash_of(m), g, bucket, at, link);
	hash_release(g);
	return 0;
}

static int do_delete(struct map *m, struct change *c)
{
	u32 link, *at = find_locked(hash_of(m), c->key, c->hash, &link);

	if (!at)
		return -ENOENT;
	if (c->out)
		copy_value(m, elem_at(hash_of(m), link), c->out);
	return delete_at(m, c->bucket, at, link);
}

/* Is LINK in this chain? Where the link to it is, or NULL. LOCKED. */
static u32 *find_link(const struct hash *h, u32 bucket, u32 link)
{
	u32 *at = &h->buckets[bucket].head, n = h->nr_elems, here;
	struct elem *e;

	while (n-- && (e = elem_at(h, here = READ_ONCE(*at)))) {
		if (here == link)
			return at;
		at = &e->next;
	}
	return NULL;
}

/* LRU: free one element. No bucket is locked. */
static int evict(struct map *m)
{
	struct hash *h = hash_of(m);
	int err;

	for (u64 i = 0; i < 2ull * h->nr_elems; i++) {
		u32 link = __atomic_fetch_add(h->hand, 1, __ATOMIC_RELAXED) % h->nr_elems + 1, bucket, *at;
		struct elem *e = elem_at(h, link);

		if (READ_ONCE(*ref_of(h, e))) {
			WRITE_ONCE(*ref_of(h, e), 0);
			continue;
		}
		bucket = READ_ONCE(e->hash) & h->mask;		/* a free one's is anything: it is not in that chain */
		err = hash_lock(m, bucket);
		if (err)
			return err == -EAGAIN ? -EBUSY : err;
		at = find_link(h, bucket, link);
		err = at ? delete_at(m, bucket, at, link) : -ENOENT;
		hash_unlock(m, bucket);
		if (err != -ENOENT)
			return err;
	}
	return -EAGAIN;			/* they are all in somebody's hands just now */
}

/* -EAGAIN came back: magazines are all taken, perhaps by the dead. False: long enough. */
static bool wait_for_mags(struct map *m, u32 turn, u64 *start)
{
	struct timespec t;
	u64 now;

	if (turn < 32) {
		cpu_relax();
		return true;
	}
	if (turn % 64 == 32)
		hash_repair(m);
	clock_gettime(CLOCK_MONOTONIC, &t);
	now = t.tv_sec * 1000000000ull + t.tv_nsec;
	if (!*start)
		*start = now;
	sched_yield();
	return now - *start < STUCK_NS;
}

static int change(struct map *m, int (*op)(struct map *m, struct change *c), struct change *c)
{
	struct hash *h = hash_of(m);
	u64 start = 0;
	int err;

	c->hash = hash_key(h->seed, c->key, h->key_size);
	c->bucket = c->hash & h->mask;
	for (u32 turn = 0;; turn++) {
		err = hash_lock(m, c->bucket);
		if (unlikely(err))
			return err == -EAGAIN ? -EBUSY : err;
		err = op(m, c);
		hash_unlock(m, c->bucket);
		if (unlikely(err == -E2BIG && h->ref_off))
			err = evict(m) ?: -EAGAIN;
		if (likely(err != -EAGAIN))
			return err;
		if (!wait_for_mags(m, turn, &start))
			return -ETIMEDOUT;
	}
}

/* BPF_F_LOCK needs a bpf_spin_lock in the value: none here has one. */
static inline bool bad_flags(u64 flags)
{
	return flags > BPF_EXIST;
}

static long update(struct map *m, const void *key, const void *value, u64 flags, u32 cpu)
{
	struct change c = { .key = key, .value = value, .flags = flags, .cpu = cpu };

	return bad_flags(flags) ? -EINVAL : change(m, do_update, &c);
}

static long delete(struct map *m, const void *key)
{
	struct change c = { .key = key };

	return change(m, do_delete, &c);
}

static int copy_in(struct map *m, const void *key, const void *value, u64 flags)
{
	struct change c = { .key = key, .value = value, .flags = flags, .user = true };

	return bad_flags(flags) ? -EINVAL : change(m, do_update, &c);
}

static int take(struct map *m, const void *key, void *value, u64 flags)
{
	struct change c = { .key = key, .out = value };

	return change(m, do_delete, &c);
}

/* Copies without the lock; if the element came to be another key's meanwhile, again. */
static int copy_locked(struct map *m, const void *key, u32 hash, void *value)
{
	struct hash *h = hash_of(m);
	u32 link, bucket = hash & h->mask;
	int err = hash_lock(m, bucket);

	if (err)
		return err;
	if (find_locked(h, key, hash, &link))
		copy_value(m, elem_at(h, link), value);
	else
		err = -ENOENT;
	hash_unlock(m, bucket);
	return err;
}

/* The value of KEY as it was at one moment: without the lock if no element leaves the chain meanwhile (one that left may be
 * written as another key's), else with it. */
static int copy_out(struct map *m, const void *key, void *value, u64 flags)
{
	struct hash *h = hash_of(m);
	u32 hash = hash_key(h->seed, key, h->key_size), left;
	const struct bucket *b = &h->buckets[hash & h->mask];

	for (u32 i = 0; i < COPY_TRIES; i++) {
		struct elem *e;

		left = LOAD_ACQUIRE(b->left);		/* pairs with one_left() */
		e = find(h, key, &hash);
		if (!e)
			return -ENOENT;
		copy_value(m, e, value);
		FENCE(__ATOMIC_ACQUIRE);
		if (READ_ONCE(b->left) == left && READ_ONCE(e->hash) == hash &&
		    racy_equal(e->key, key, h->key_size))
			return 0;
	}
	return copy_locked(m, key, hash, value);
}

/* ---- going through ---- */

/* The first element of a bucket from B on, not behind the last one. */
static struct elem *first_from(const struct hash *h, u32 b)
{
	struct elem *e;

	for (; b <= h->mask; b++) {
		e = elem_at(h, LOAD_ACQUIRE(h->buckets[b].head));
		if (e)
			return e;
	}
	return NULL;
}

static int next_key(struct map *m, const void *key, void *next)
{
	struct hash *h = hash_of(m);
	struct elem *e = NULL, *n;
	u32 hash = 0;

	if (key)
		e = find(h, key, &hash);
	if (!e) {
		n = first_from(h, 0);
	} else {
		n = elem_at(h, LOAD_ACQUIRE(e->next));
		if (!n)
			n = first_from(h, (hash & h->mask) + 1);
	}
	if (!n)
		return -ENOENT;
	racy_copy(next, n->key, h->key_size);
	return 0;
}

static long for_each(struct map *m, long (*cb)(void *ctx, void *key, void *value), void *ctx, u32 cpu)
{
	struct hash *h = hash_of(m);
	long n = 0;

	for (u32 b = 0; b <= h->mask; b++) {
		u32 link = LOAD_ACQUIRE(h->buckets[b].head), steps = h->nr_elems;
		struct elem *e;

		while (steps-- && (e = elem_at(h, link))) {
			link = LOAD_ACQUIRE(e->next);		/* the callback may delete it */
			n++;
			if (cb(ctx, e->key, percpu(m) ? cpu_value(m, e, cpu) : value_of(h, e)))
				return n;
		}
	}
	return n;
}

static u32 chain_length(const struct hash *h, u32 bucket)
{
	u32 n = 0, link = READ_ONCE(h->buckets[bucket].head);
	struct elem *e;

	while (n < h->nr_elems && (e = elem_at(h, link))) {
		link = READ_ONCE(e->next);
		n++;
	}
	return n;
}

/* The chain is locked and has N elements. */
static int copy_chain(struct map *m, u32 bucket, bool take, u8 *keys, u8 *values, u32 n)
{
	struct hash *h = hash_of(m);
	u32 *at = &h->buckets[bucket].head, size = map_user_value_size(m);

	for (u32 i = 0; i < n; i++) {
		u32 link = READ_ONCE(*at);
		struct elem *e = elem_at(h, link);

		if (!e)
			return -EUCLEAN;
		racy_copy(keys + (u64)i * h->key_size, e->key, h->key_size);
		copy_value(m, e, values + (u64)i * size);
		if (!take)
			at = &e->next;
		else
			while (delete_at(m, bucket, at, link))
				sched_yield();
	}
	return 0;
}

static int bucket(struct map *m, u32 *token, u32 room, bool take, void *keys, void *values, u32 *n)
{
	struct hash *h = hash_of(m);
	u32 b = *token;
	int err;

	*n = 0;
	if (b > h->mask)
		return -ENOENT;
	while (b < h->mask && !elem_at(h, LOAD_ACQUIRE(h->buckets[b].head)))
		b++;
	*token = b;
	err = hash_lock(m, b);
	if (err)
		return err == -EAGAIN ? -EBUSY : err;
	*n = chain_length(h, b);
	err = *n > room ? -ENOSPC : copy_chain(m, b, take, keys, values, *n);
	hash_unlock(m, b);
	if (!err)
		*token = b + 1;
	return err;
}

/* ---- planning, attaching ---- */

static int check_attr(const struct map_attr *a)
{
	if ((a->flags & ~HASH_FLAGS) || !access_flags_ok(a->flags))
		return -EINVAL;
	if (!a->max_entries || !a->key_size || !a->value_size)
		return -EINVAL;
	return (u64)a->key_size + a->value_size >= HASH_MAX_ELEM ? -E2BIG : 0;
}

static int plan(const struct map_attr *a, u32 ncpus, u64 *csize, u64 *psize, u64 geo[16])
{
	int err = check_attr(a);

	*csize = 0;
	return err ? err : hash_plan_mem(a, ncpus, a->value_size, false, false, psize, geo);
}

static int check_percpu(const struct map_attr *a)
{
	if (a->flags & BPF_F_NUMA_NODE)
		return -EINVAL;
	return ALIGN_UP(a->value_size, 8u) > PCPU_MAX_VALUE ? -E2BIG : 0;
}

static int percpu_plan(const struct map_attr *a, u32 ncpus, u64 *csize, u64 *psize, u64 geo[16])
{
	int err = check_attr(a);

	*csize = 0;
	if (!err)
		err = check_percpu(a);
	return err ? err : hash_plan_mem(a, ncpus, a->value_size, true, false, psize, geo);
}

/* NO_COMMON_LRU gives the kernel a list per CPU; here there is one hand in either case. */
static int check_lru(const struct map_attr *a)
{
	struct map_attr b = *a;

	b.flags &= ~(u32)BPF_F_NO_COMMON_LRU;
	if ((b.flags & BPF_F_NO_PREALLOC) && !(b.flags & ~HASH_FLAGS) && access_flags_ok(b.flags))
		return -ENOTSUPP;
	return check_attr(&b);
}

static int lru_plan(const struct map_attr *a, u32 ncpus, u64 *csize, u64 *psize, u64 geo[16])
{
	int err = check_lru(a);

	*csize = 0;
	if (!err && (a->flags & BPF_F_NO_COMMON_LRU) && (a->flags & BPF_F_NUMA_NODE))
		err = -EINVAL;
	return err ? err : hash_plan_mem(a, ncpus, a->value_size, false, true, psize, geo);
}

static int lru_percpu_plan(const struct map_attr *a, u32 ncpus, u64 *csize, u64 *psize, u64 geo[16])
{
	int err = check_lru(a);

	*csize = 0;
	if (!err)
		err = check_percpu(a);
	return err ? err : hash_plan_mem(a, ncpus, a->value_size, true, true, psize, geo);
}

static int init(struct map *m)
{
	hash_init_mem(m);
	if (!(m->attr.flags & BPF_F_ZERO_SEED) &&
	    getrandom(&m->geo[GEO_SEED], sizeof(u64), 0) != sizeof(u64))
		return -ENOMEM;
	return 0;
}

static int attach(struct map *m)
{
	struct hash *h = calloc(1, sizeof(*h));
	u8 *p = m->priv_shm;

	if (!h)
		return -ENOMEM;
	h->repair = &((struct hash_head *)p)->repair;
	h->mags = (struct mag *)(p + m->geo[GEO_OFF_MAGS]);
	h->buckets = (struct bucket *)(p + m->geo[GEO_OFF_BUCKETS]);
	h->elems = p + m->geo[GEO_OFF_ELEMS];
	h->percpu = is_percpu(m) ? p + m->geo[GEO_OFF_PERCPU] : NULL;
	h->cpu_stride = m->geo[GEO_CPU_STRIDE];
	h->seed = m->geo[GEO_SEED];
	h->mask = m->geo[GEO_BUCKETS] - 1;
	h->mag_mask = m->geo[GEO_MAGS] - 1;
	h->nr_elems = m->geo[GEO_ELEMS];
	h->elem_size = m->geo[GEO_ELEM_SIZE];
	h->key_size = m->attr.key_size;
	h->val_size = m->attr.value_size;
	h->val_off = sizeof(struct elem) + ALIGN_UP(h->key_size, 8u);
	h->hand = &((struct hash_head *)p)->hand;
	if (m->ops->lookup == lru_lookup)
		h->ref_off = h->elem_size - 8;
	m->priv = h;
	if (m->ops->lookup == lookup)
		m->lookup = h->key_size == 4 ? lookup4 : h->key_size == 8 ? lookup8 :
			    h->key_size == 16 ? lookup16 : lookup;
	return 0;
}

static void detach(struct map *m)
{
	free(m->priv);
}

const struct map_ops hash_ops = {
	.plan = plan, .init = init, .attach = attach, .detach = detach,
	.lookup = lookup, .update = update, .delete = delete, .next_key = next_key, .copy_out = copy_out,
	.copy_in = copy_in, .take = take, .for_each = for_each, .bucket = bucket, .check = hash_check,
};

const struct map_ops percpu_hash_ops = {
	.plan = percpu_plan, .init = init, .attach = attach, .detach = detach,
	.lookup = percpu_lookup, .update = update, .delete = delete, .next_key = next_key, .copy_out = copy_out,
	.copy_in = copy_in, .take = take, .for_each = for_each, .bucket = bucket, .check = hash_check,
};

const struct map_ops lru_hash_ops = {
	.plan = lru_plan, .init = init, .attach = attach, .detach = detach,
	.lookup = lru_lookup, .update = update, .delete = delete, .next_key = next_key, .copy_out = copy_out,
	.copy_in = copy_in, .take = take, .for_each = for_each, .bucket = bucket, .check = hash_check,
};

const struct map_ops lru_percpu_hash_ops = {
	.plan = lru_percpu_plan, .init = init, .attach = attach, .detach = detach,
	.lookup = lru_lookup, .update = update, .delete = delete, .next_key = next_key, .copy_out = copy_out,
	.copy_in = copy_in, .take = take, .for_each = for_each, .bucket = bucket, .check = hash_check,
};
