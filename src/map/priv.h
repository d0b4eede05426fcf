/* SPDX-License-Identifier: Apache-2.0 */
/* priv.h - what the map types share among themselves: creation rules, copies of memory that others write,
 * owner words of short claims. Nothing outside src/map includes it. */
#ifndef SKEP_MAP_PRIV_H
#define SKEP_MAP_PRIV_H

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

#include "base/def.h"
#include "map/map.h"

#ifndef ENOTSUPP
#define ENOTSUPP	524			/* the kernel's own; no libc name */
#endif
#define PCPU_MAX_VALUE	32768u			/* PCPU_MIN_UNIT_SIZE: largest per-CPU value */
#define HASH_MAX_ELEM	(4194304u - 48u)	/* KMALLOC_MAX_SIZE less the kernel's element header */
#define GEO_FIXED	12			/* geo[0..11] follow from attr; geo[12..15] are init's own */
#define F_ACCESS	(BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)

static inline bool access_flags_ok(u32 f)
{
	u32 u = BPF_F_RDONLY | BPF_F_WRONLY, p = BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;

	return (f & u) != u && (f & p) != p;
}

static inline bool is_percpu(const struct map *m)
{
	return m->attr.type == BPF_MAP_TYPE_PERCPU_ARRAY || m->attr.type == BPF_MAP_TYPE_PERCPU_HASH ||
	       m->attr.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

/* Values and keys in shared memory are read while others write them, as in the kernel: a reader may see a mix
 * of old and new, never anything outside. Words are copied whole, so counters do not tear. */
#if defined(__SANITIZE_THREAD__)
#define RACY	__attribute__((no_sanitize("thread"), noinline))
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RACY	__attribute__((no_sanitize("thread"), noinline))
#endif
#endif
#ifndef RACY
#define RACY	inline
#endif

typedef u64 __attribute__((may_alias, aligned(1))) racy64;
typedef u32 __attribute__((may_alias, aligned(1))) racy32;

static RACY __attribute__((unused)) void racy_copy(void *dst, const void *src, size_t n)
{
	volatile u8 *d = dst;
	const volatile u8 *s = src;

	for (; n >= 8; n -= 8, d += 8, s += 8)
		*(volatile racy64 *)d = *(const volatile racy64 *)s;
	if (n >= 4) {
		*(volatile racy32 *)d = *(const volatile racy32 *)s;
		n -= 4, d += 4, s += 4;
	}
	for (; n; n--)
		*d++ = *s++;
}

static RACY __attribute__((unused)) void racy_zero(void *dst, size_t n)
{
	volatile u8 *d = dst;

	for (; n >= 8; n -= 8, d += 8)
		*(volatile racy64 *)d = 0;
	for (; n; n--)
		*d++ = 0;
}

static RACY __attribute__((unused)) bool racy_equal(const void *a, const void *b, size_t n)
{
	const volatile u8 *p = a, *q = b;

	for (; n >= 8; n -= 8, p += 8, q += 8)
		if (*(const volatile racy64 *)p != *(const volatile racy64 *)q)
			return false;
	if (n >= 4) {
		if (*(const volatile racy32 *)p != *(const volatile racy32 *)q)
			return false;
		n -= 4, p += 4, q += 4;
	}
	for (; n; n--)
		if (*p++ != *q++)
			return false;
	return true;
}

static inline u32 load_key32(const void *key)
{
	u32 k;

	memcpy(&k, key, 4);
	return k;
}

static inline void cpu_relax(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#else
	__asm__ volatile("" ::: "memory");
#endif
}

/* A reference that a type's detach() gives up: it runs under the table's lock, so the put is done behind it. Takes R. */
struct map_ref {
	struct map_ref *next;
	struct map *m;
};
void map_put_later(struct map_ref *r);

/* Checks that several types share: 0 or -errno. */
int map_plan_numa(const struct map_attr *a);

extern const struct map_ops array_ops, percpu_array_ops, hash_ops, percpu_hash_ops, lru_hash_ops,
	lru_percpu_hash_ops, ringbuf_ops, prog_array_ops,
	perf_event_array_ops, array_of_maps_ops, queue_ops, stack_ops, bloom_ops;

#endif
