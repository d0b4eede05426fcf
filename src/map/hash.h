/* SPDX-License-Identifier: Apache-2.0 */
/* hash.h - the inside of hash maps: hash.c (operations), hash_mem.c (elements, journals, repair). See
 * doc/map-design.md for why it looks as it does. */
#ifndef SKEP_MAP_HASH_H
#define SKEP_MAP_HASH_H

#include "map/priv.h"

/* A link names an element (index + 1) or, with END, the bucket whose chain ends here: a walker that was carried into
 * another chain by an element's reuse notices. 0 is the empty head of a fresh file. */
#define LINK_END	0x80000000u

struct bucket {				/* shared */
	struct lock lock;
	u32 head;			/* written under lock, read by anybody */
	u32 left;			/* written under lock: how many elements left the chain, before they are free */
};

/* Shared. `next` stays as it was when an element is freed, so that walkers who stand on it go on. */
struct elem {
	u32 next;			/* written under the lock of the bucket it is in or goes to */
	u32 hash;			/* in a chain: of the key; free: link of the next free one (magazine's owner) */
	u8 key[];			/* rounded up to 8, then the value (not of per-CPU maps) */
};

enum mag_op { MAG_IDLE, MAG_INSERT, MAG_REPLACE, MAG_DELETE };

/* Shared. A magazine holds free elements and one spare. An operation that moves elements claims one by writing its owner
 * word; everything else in it is written by the owner only, or by who repairs after the owner's death. The journal says
 * what is under way: it is written before the first step and `op` cleared after the last, inside the bucket's lock. */
struct mag {
	u64 owner;			/* 0 or owner word; CAS */
	u32 free;			/* list through elem.hash, 0: end */
	u32 fresh, fresh_end;		/* indices never used so far */
	u32 spare;			/* link: what the next replacement uses */
	u32 op;				/* enum mag_op */
	u32 bucket;
	u32 elem;			/* INSERT: the one taken; REPLACE: the spare */
	u32 old;			/* REPLACE, DELETE: the one that leaves its chain */
	u8 pad[24];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct mag) == 64, "one line");

struct hash_head {			/* shared, start of the private area */
	struct lock repair;
	u32 hand;			/* LRU: the next element to be looked at; atomic counter */
	u8 pad[52];
};

struct hash {				/* process-local; constants */
	struct bucket *buckets;
	u8 *elems;
	u8 *percpu;			/* values of per-CPU maps */
	struct mag *mags;
	u64 seed;
	u64 cpu_stride;
	u32 mask, nr_elems, elem_size, val_off, mag_mask;
	u32 key_size, val_size;
	u32 ref_off;			/* LRU: in the element, a word that lookups set; 0: none */
	u32 *hand;
	struct lock *repair;
};

enum { GEO_BUCKETS, GEO_MAGS, GEO_ELEMS, GEO_ELEM_SIZE, GEO_OFF_MAGS, GEO_OFF_BUCKETS, GEO_OFF_ELEMS,
       GEO_OFF_PERCPU, GEO_CPU_STRIDE, GEO_SEED = GEO_FIXED };

static inline struct hash *hash_of(const struct map *m)
{
	return m->priv;
}

/* NULL for anything that is no link of an element. */
static inline struct elem *elem_at(const struct hash *h, u32 link)
{
	if (unlikely(link - 1 >= h->nr_elems))
		return NULL;
	return (struct elem *)(h->elems + (u64)(link - 1) * h->elem_size);
}

static inline u32 end_of(u32 bucket)
{
	return LINK_END | bucket;
}

/* hash_mem.c. LOCKED functions want the bucket's lock held. */
int hash_plan_mem(const struct map_attr *a, u32 ncpus, u32 val_size, bool percpu, bool lru, u64 *psize,
		  u64 geo[16]);
void hash_init_mem(struct map *m);
int hash_lock(struct map *m, u32 bucket);		/* 0, or lock_take()'s error; repairs after the dead */
void hash_unlock(struct map *m, u32 bucket);
/* A magazine; with FREE, one that has a free element. -E2BIG: no element is free; -EAGAIN: ask again. LOCKED. */
int hash_claim(struct map *m, bool free, struct mag **out);
void hash_release(struct mag *g);
/* Take the element that hash_insert() will link. LOCKED. 0: none after all. */
u32 hash_begin_insert(struct hash *h, struct mag *g, u32 bucket);
void hash_end_insert(struct hash *h, struct mag *g, u32 bucket, u32 link);
u32 hash_begin_replace(struct hash *h, struct mag *g, u32 bucket, u32 old);
void hash_end_replace(struct hash *h, struct mag *g, u32 *at, u32 link, u32 old);
void hash_delete(struct hash *h, struct mag *g, u32 bucket, u32 *at, u32 old);
int hash_repair(struct map *m);
int hash_check(struct map *m, u64 *count);

#endif
