/* SPDX-License-Identifier: Apache-2.0 */
/* maptest.h - for the map tests: one operation on a skep map and on a kernel map, same arguments, same result type
 * (0 or -errno). */
#ifndef SKEP_MAPTEST_H
#define SKEP_MAPTEST_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "map/priv.h"
#include "t.h"

/* Single steps through ThreadSanitizer's calls take minutes. */
#ifdef __SANITIZE_THREAD__
#define MT_STEPS_TOO_SLOW	1
#else
#define MT_STEPS_TOO_SLOW	0
#endif

static inline struct obj_dir *mt_dir(void)
{
	static struct obj_dir *d;

	if (!d && obj_dir_open(NULL, &d))
		abort();
	return d;
}

static inline int mt_create(const struct map_attr *a, struct map **m)
{
	int fd, err = map_create(mt_dir(), a, m, &fd);

	return err ? err : fd;
}

static inline int mk(u32 type, u32 key, u32 value, u32 max, u32 flags, struct map **m)
{
	struct map_attr a = { .type = type, .key_size = key, .value_size = value, .max_entries = max, .flags = flags };

	return mt_create(&a, m);
}

static inline void drop_map(struct map *m, int fd)
{
	if (fd < 0)
		return;
	map_put(m);
	close(fd);
}

static inline long kbpf(int cmd, union bpf_attr *a)
{
	long r = t_kernel_bpf_call(cmd, a, sizeof(*a));

	return r < 0 ? -errno : r;
}

static inline int kmk_inner(u32 type, u32 key, u32 value, u32 max, u32 flags, int inner)
{
	union bpf_attr a = { .map_type = type, .key_size = key, .value_size = value, .max_entries = max,
			     .map_flags = flags, .inner_map_fd = inner };

	return kbpf(BPF_MAP_CREATE, &a);
}

static inline int kmk(u32 type, u32 key, u32 value, u32 max, u32 flags)
{
	return kmk_inner(type, key, value, max, flags, 0);
}

static inline int kelem(int cmd, int fd, const void *key, void *value, u64 flags)
{
	union bpf_attr a = { .map_fd = fd, .key = (u64)(uintptr_t)key, .value = (u64)(uintptr_t)value, .flags = flags };

	if (cmd == BPF_MAP_DELETE_ELEM)
		a.value = a.flags = 0;		/* beyond its last field */
	return kbpf(cmd, &a);
}

static inline int selem(int cmd, struct map *m, const void *key, void *value, u64 flags)
{
	switch (cmd) {
	case BPF_MAP_LOOKUP_ELEM:		return map_lookup_elem(m, key, value, flags);
	case BPF_MAP_UPDATE_ELEM:		return map_update_elem(m, key, value, flags);
	case BPF_MAP_DELETE_ELEM:		return map_delete_elem(m, key);
	case BPF_MAP_GET_NEXT_KEY:		return map_next_key(m, key, value);
	case BPF_MAP_LOOKUP_AND_DELETE_ELEM:	return map_lookup_and_delete_elem(m, key, value, flags);
	}
	return -EINVAL;
}

static inline int kbatch(int cmd, int fd, struct map_batch *b)
{
	union bpf_attr a = { 0 };
	int err;

	a.batch.in_batch = (u64)(uintptr_t)b->in_batch;
	a.batch.out_batch = (u64)(uintptr_t)b->out_batch;
	a.batch.keys = (u64)(uintptr_t)b->keys;
	a.batch.values = (u64)(uintptr_t)b->values;
	a.batch.count = b->count;
	a.batch.map_fd = fd;
	a.batch.elem_flags = b->elem_flags;
	a.batch.flags = b->flags;
	err = kbpf(cmd, &a);
	b->count = a.batch.count;
	return err;
}

static inline u64 mt_rand(u64 *s)
{
	*s ^= *s << 13, *s ^= *s >> 7, *s ^= *s << 17;
	return *s * 0x2545f4914f6cdd1dull;
}

#endif
