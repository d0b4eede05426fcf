/* SPDX-License-Identifier: Apache-2.0 */
/* bloom.c - BLOOM_FILTER: push sets a few bits of a value's hash, peek asks whether all are set.
 *
 * The private area is the bits. They are only ever set, each by one atomic or, so there is no lock and nothing to repair:
 * a push that died half way through was not done. Which values collide depends on hash and seed, here as in the kernel;
 * bits per value are the kernel's (hash functions * max_entries / ln 2, rounded up to a power of two). */
#include <sys/random.h>

#include "map/priv.h"

#define BLOOM_FLAGS	(BPF_F_NUMA_NODE | BPF_F_ZERO_SEED | F_ACCESS)
#define MAX_VALUE	4194304u		/* KMALLOC_MAX_SIZE */
#define HASHES		5u			/* when map_extra does not say */

enum { GEO_BITS, GEO_HASHES, GEO_SEED = GEO_FIXED };

static u64 mix(u64 h)
{
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93ull;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93ull;
	return h ^ h >> 32;
}

static u64 hash(const struct map *m, const u8 *p)
{
	u64 h = m->geo[GEO_SEED] ^ m->attr.value_size, w;
	u32 n = m->attr.value_size;

	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&w, p, 8);
		h = mix(h ^ w) + 0x9e3779b97f4a7c15ull;
	}
	w = 0;
	memcpy(&w, p, n);
	return mix(h ^ w);
}

/* The word and bit of the N-th hash function. */
static u64 *word(const struct map *m, u64 h, u32 n, u64 *bit)
{
	u64 i = mix(h + n * 0x9e3779b97f4a7c15ull) & (m->geo[GEO_BITS] - 1);

	*bit = BIT64(i % 64);
	return (u64 *)m->priv_shm + i / 64;
}

static long push(struct map *m, const void *value, u64 flags)
{
	u64 h, bit, *w;

	if (flags != BPF_ANY)
		return -EINVAL;
	h = hash(m, value);
	for (u32 i = 0; i < m->geo[GEO_HASHES]; i++) {
		w = word(m, h, i, &bit);
		__atomic_or_fetch(w, bit, __ATOMIC_RELAXED);
	}
	return 0;
}

static long peek(struct map *m, void *value)
{
	u64 h = hash(m, value), bit, *w;

	for (u32 i = 0; i < m->geo[GEO_HASHES]; i++) {
		w = word(m, h, i, &bit);
		if (!(READ_ONCE(*w) & bit))
			return -ENOENT;
	}
	return 0;
}

static long delete(struct map *m, const void *key)
{
	return -EOPNOTSUPP;
}

static int next_key(struct map *m, const void *key, void *next)
{
	return -EOPNOTSUPP;
}

static int plan(const struct map_attr *a, u32 ncpus, u64 *csize, u64 *psize, u64 geo[16])
{
	u64 bits;

	if (a->key_size || !a->value_size || !a->max_entries || (a->flags & ~BLOOM_FLAGS) || !access_flags_ok(a->flags) ||
	    (a->extra & ~15ull))
		return -EINVAL;
	if (a->value_size > MAX_VALUE)
		return -E2BIG;
	geo[GEO_HASHES] = a->extra ? a->extra : HASHES;
	bits = MIN(a->max_entries * geo[GEO_HASHES] / 5 * 7 + 64, 1ull << 32);
	geo[GEO_BITS] = 1ull << (64 - __builtin_clzll(bits - 1));
	*csize = 0;
	*psize = ALIGN_UP(geo[GEO_BITS] / 8, SKEP_PAGE);
	return 0;
}

static int init(struct map *m)
{
	if (!(m->attr.flags & BPF_F_ZERO_SEED) && getrandom(&m->geo[GEO_SEED], sizeof(u64), 0) != sizeof(u64))
		return -ENOMEM;
	return 0;
}

const struct map_ops bloom_ops = {
	.plan = plan, .init = init, .push = push, .peek = peek, .delete = delete, .next_key = next_key,
};
