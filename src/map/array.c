/* SPDX-License-Identifier: Apache-2.0 */
/* array.c - ARRAY and PERCPU_ARRAY.
 *
 * The file's client area is the values: of an array at offset 0 (what a client mmaps, and what
 * BPF_PSEUDO_MAP_VALUE points into), of a per-CPU array one block per possible CPU. The value of INDEX on CPU is at
 * cpu * cpu_stride + index * value_stride; all of it constants of the map. No locks: values are words that anybody
 * may write at any time, as in the kernel. */
#include "map/priv.h"

#define ARRAY_FLAGS	(BPF_F_NUMA_NODE | BPF_F_MMAPABLE | F_ACCESS | BPF_F_INNER_MAP)
#define CPU_ALIGN	128ull		/* blocks of two CPUs share no line and no prefetched pair */

enum { GEO_CPU_STRIDE };

static int check_attr(const struct map_attr *a)
{
	if (!a->max_entries || a->key_size != 4 || !a->value_size || (a->flags & ~ARRAY_FLAGS) ||
	    !access_flags_ok(a->flags))
		return -EINVAL;
	return a->value_size > INT32_MAX ? -E2BIG : 0;
}

static int plan(const struct map_attr *a, u32 ncpus, u64 *csize, u64 *psize, u64 geo[16])
{
	u64 n;
	int err = check_attr(a);

	if (err)
		return err;
	if (__builtin_mul_overflow(ALIGN_UP((u64)a->value_size, 8), (u64)a->max_entries, &n) || n > INT64_MAX / 2)
		return -ENOMEM;
	geo[GEO_CPU_STRIDE] = 0;
	*csize = ALIGN_UP(n, SKEP_PAGE);
	*psize = 0;
	return 0;
}

static int percpu_plan(const struct map_attr *a, u32 ncpus, u64 *csize, u64 *psize, u64 geo[16])
{
	u64 n;
	int err = check_attr(a);

	if (err)
		return err;
	if (a->flags & (BPF_F_NUMA_NODE | BPF_F_MMAPABLE | BPF_F_INNER_MAP))
		return -EINVAL;
	if (ALIGN_UP(a->value_size, 8u) > PCPU_MAX_VALUE)
		return -E2BIG;
	n = ALIGN_UP((u64)a->value_size, 8) * a->max_entries;		/* < 2^47 */
	geo[GEO_CPU_STRIDE] = ALIGN_UP(n, CPU_ALIGN);
	if (__builtin_mul_overflow(geo[GEO_CPU_STRIDE], (u64)ncpus, &n) || n > INT64_MAX / 2)
		return -ENOMEM;
	*csize = ALIGN_UP(n, SKEP_PAGE);
	*psize = 0;
	return 0;
}

/* cpu_stride is 0 in plain arrays. */
static void *lookup(struct map *m, const void *key, u32 cpu)
{
	u32 i = load_key32(key);

	if (unlikely(i >= m->attr.max_entries))
		return NULL;
	return m->data + (u64)i * m->value_stride;
}

static void *percpu_lookup(struct map *m, const void *key, u32 cpu)
{
	u32 i = load_key32(key);

	if (unlikely(i >= m->attr.max_entries || cpu >= m->ncpus))
		return NULL;
	return m->data + cpu * m->geo[GEO_CPU_STRIDE] + (u64)i * m->value_stride;
}

static long check_update(const struct map *m, const void *key, u64 flags)
{
	if (flags > BPF_EXIST)
		return -EINVAL;
	if (load_key32(key) >= m->attr.max_entries)
		return -E2BIG;
	return flags & BPF_NOEXIST ? -EEXIST : 0;
}

static long update(struct map *m, const void *key, const void *value, u64 flags, u32 cpu)
{
	long err;

	if ((flags & BPF_F_LOCK) && (flags & ~(u64)BPF_F_LOCK) <= BPF_EXIST) {
		err = check_update(m, key, flags & ~(u64)BPF_F_LOCK);
		return err ? err : -EINVAL;		/* no value here has a bpf_spin_lock */
	}
	err = check_update(m, key, flags);
	if (!err)
		racy_copy(m->ops->lookup(m, key, cpu), value, m->attr.value_size);
	return err;
}

static long percpu_update(struct map *m, const void *key, const void *value, u64 flags, u32 cpu)
{
	long err = check_update(m, key, flags);
	void *p;

	if (err)
		return err;
	p = percpu_lookup(m, key, cpu);
	if (!p)
		return -EINVAL;
	racy_copy(p, value, m->attr.value_size);
	return 0;
}

static long delete(struct map *m, const void *key)
{
	return -EINVAL;
}

static int next_key(struct map *m, const void *key, void *next)
{
	u32 max = m->attr.max_entries, i = key ? load_key32(key) : UINT32_MAX;

	if (i == max - 1)
		return -ENOENT;
	i = i >= max ? 0 : i + 1;
	memcpy(next, &i, 4);
	return 0;
}

static int copy_out(struct map *m, const void *key, void *value, u64 flags)
{
	const void *p = lookup(m, key, 0);

	if (!p)
		return -ENOENT;
	racy_copy(value, p, m->attr.value_size);
	return 0;
}

static int copy_in(struct map *m, const void *key, const void *value, u64 flags)
{
	return update(m, key, value, flags, 0);
}

static int percpu_copy_out(struct map *m, const void *key, void *value, u64 flags)
{
	for (u32 cpu = 0; cpu < m->ncpus; cpu++) {
		const void *p = percpu_lookup(m, key, cpu);

		if (!p)
			return -ENOENT;
		racy_copy((u8 *)value + (u64)cpu * m->value_stride, p, m->value_stride);
	}
	return 0;
}

static int percpu_copy_in(struct map *m, const void *key, const void *value, u64 flags)
{
	long err = check_update(m, key, flags);

	for (u32 cpu = 0; !err && cpu < m->ncpus; cpu++)
		racy_copy(percpu_lookup(m, key, cpu), (const u8 *)value + (u64)cpu * m->value_stride,
			  m->value_stride);
	return err;
}

static int direct(struct map *m, u32 off, void **addr)
{
	if (m->attr.max_entries != 1)
		return -ENOTSUPP;
	if (off >= m->attr.value_size)
		return -EINVAL;
	*addr = m->data + off;
	return 0;
}

static long for_each(struct map *m, long (*cb)(void *ctx, void *key, void *value), void *ctx, u32 cpu)
{
	long n = 0;

	for (u32 i = 0; i < m->attr.max_entries; i++) {
		u32 key = i;

		n++;
		if (cb(ctx, &key, m->ops->lookup(m, &i, cpu)))
			break;
	}
	return n;
}

const struct map_ops array_ops = {
	.plan = plan, .lookup = lookup, .update = update, .delete = delete, .next_key = next_key,
	.copy_out = copy_out, .copy_in = copy_in, .direct = direct, .for_each = for_each,
};

const struct map_ops percpu_array_ops = {
	.plan = percpu_plan, .lookup = percpu_lookup, .update = percpu_update, .delete = delete, .next_key = next_key,
	.copy_out = percpu_copy_out, .copy_in = percpu_copy_in, .for_each = for_each,
};
