/* SPDX-License-Identifier: Apache-2.0 */
/* rt_mem.c - malloc for the agent (rt.h): classes of powers of two from 32 bytes to 32 KiB, cut from chunks of 256 KiB that
 * are never given back; larger blocks are mappings of their own. A block has a 16-byte header with its class, so free() needs
 * no table. Lock: rt_lock(). Trusted callers only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/rt.h"

#define HEADER		16u
#define CLASS_MIN	5u			/* 32 bytes, header included */
#define CLASS_MAX	15u
#define CHUNK		(256u << 10)
#define MAPPED		0xffu
#define MARK		0x6b73u			/* a block of ours */

struct block {
	u16 class, mark;
	u32 pad;
	u64 size;				/* of the mapping; next free block while free */
};
_Static_assert(sizeof(struct block) == HEADER, "malloc returns multiples of 16");

static struct block *free_list[CLASS_MAX + 1];
static u8 *chunk, *chunk_end;

static void *map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static struct block *map_block(size_t n)
{
	struct block *b;
	size_t size;

	if (__builtin_add_overflow(n, HEADER + SKEP_PAGE - 1, &size))
		return NULL;
	size = ALIGN_DOWN(size, SKEP_PAGE);
	b = map(size);
	if (!b)
		return NULL;
	b->class = MAPPED;
	b->size = size;
	return b;
}

/* Under rt_lock(). What is left of the old chunk, at most 32 KiB, is lost. */
static struct block *cut_block(u32 class)
{
	struct block *b = free_list[class];
	size_t size = 1ul << class;

	if (b) {
		free_list[class] = (struct block *)b->size;
		return b;
	}
	if ((size_t)(chunk_end - chunk) < size) {
		u8 *c = map(CHUNK);

		if (!c)
			return NULL;
		chunk = c;
		chunk_end = c + CHUNK;
	}
	b = (struct block *)chunk;
	chunk += size;
	b->class = class & 0xff;
	return b;
}

void *malloc(size_t n)
{
	struct block *b = NULL;
	u32 class;

	if (tls()->trusted && n > (1ul << CLASS_MAX) - HEADER) {
		b = map_block(n);
	} else if (tls()->trusted) {
		class = MAX(64u - (u32)__builtin_clzll(n + HEADER - 1), CLASS_MIN);
		rt_lock();
		b = cut_block(class);
		rt_unlock();
	}
	if (!b) {
		errno = ENOMEM;
		return NULL;
	}
	b->mark = MARK;
	return b + 1;
}

void free(void *p)
{
	struct block *b = p ? (struct block *)p - 1 : NULL;

	if (!b || b->mark != MARK || !tls()->trusted)
		return;
	b->mark = 0;
	if (b->class == MAPPED) {
		munmap(b, b->size);
		return;
	}
	rt_lock();
	b->size = (u64)free_list[b->class];
	free_list[b->class] = b;
	rt_unlock();
}

void *calloc(size_t n, size_t size)
{
	size_t all;
	void *p;

	if (__builtin_mul_overflow(n, size, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	p = malloc(all);
	/* a fresh mapping is zero */
	if (p && ((struct block *)p - 1)->class != MAPPED)
		memset(p, 0, all);
	return p;
}

void *realloc(void *old, size_t n)
{
	struct block *b = old ? (struct block *)old - 1 : NULL;
	size_t have = !b ? 0 : (b->class == MAPPED ? b->size : 1ul << b->class) - HEADER;
	void *p;

	if (old && n <= have)
		return old;
	p = malloc(n);
	if (!p)
		return NULL;
	if (old)
		memcpy(p, old, have);
	free(old);
	return p;
}
