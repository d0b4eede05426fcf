/* SPDX-License-Identifier: Apache-2.0 */
/* map_test.c - arrays and hashes against the kernel's: creation rules, random operations, batches; and the table of
 * open maps. Where there is no kernel bpf(2), the same rows run on skep alone. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "maptest.h"

#define HASH	BPF_MAP_TYPE_HASH
#define ARRAY	BPF_MAP_TYPE_ARRAY
#define PHASH	BPF_MAP_TYPE_PERCPU_HASH
#define PARRAY	BPF_MAP_TYPE_PERCPU_ARRAY
#define LRU	BPF_MAP_TYPE_LRU_HASH
#define PLRU	BPF_MAP_TYPE_LRU_PERCPU_HASH

static const struct {
	u32 type, key, value, max, flags;
	int err;
	const char *name;
} rules[] = {
	{ HASH,  4, 4, 1, 0,			  0,	   "hash" },
	{ HASH,  4, 4, 0, 0,			  -EINVAL, "hash of no entries" },
	{ HASH,  0, 4, 1, 0,			  -EINVAL, "hash without key" },
	{ HASH,  4, 0, 1, 0,			  -EINVAL, "hash without value" },
	{ HASH,  4, 4194251, 1, BPF_F_NO_PREALLOC, 0,	   "hash: largest value" },
	{ HASH,  4, 4194252, 1, BPF_F_NO_PREALLOC, -E2BIG, "hash: value too large" },
	{ HASH,  4194252, 4, 1, BPF_F_NO_PREALLOC, -E2BIG, "hash: key too large" },
	{ HASH,  4, 4, 0x80000001, BPF_F_NO_PREALLOC, -E2BIG, "hash: too many entries" },
	{ HASH,  4, 4, 1, BPF_F_NO_PREALLOC,	  0,	   "hash without preallocation" },
	{ HASH,  4, 4, 1, BPF_F_ZERO_SEED,	  0,	   "hash with zero seed" },
	{ HASH,  4, 4, 1, BPF_F_NUMA_NODE,	  0,	   "hash on node 0" },
	{ HASH,  4, 4, 1, BPF_F_NO_COMMON_LRU,	  -EINVAL, "hash: LRU flag" },
	{ HASH,  4, 4, 1, BPF_F_MMAPABLE,	  -EINVAL, "hash: not mappable" },
	{ HASH,  4, 4, 1, BPF_F_INNER_MAP,	  -EINVAL, "hash: inner flag" },
	{ HASH,  4, 4, 1, BPF_F_STACK_BUILD_ID,	  -EINVAL, "hash: stack flag" },
	{ HASH,  4, 4, 1, BPF_F_RDONLY | BPF_F_WRONLY, -EINVAL, "hash: both access flags" },
	{ HASH,  4, 4, 1, BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG, -EINVAL, "hash: both program access flags" },
	{ HASH,  4, 4, 1, BPF_F_RDONLY_PROG,	  0,	   "hash: read-only for programs" },
	{ HASH,  4, 4, 1, 1u << 31,		  -EINVAL, "hash: unknown flag" },
	{ PHASH, 4, 4, 1, 0,			  0,	   "percpu hash" },
	{ PHASH, 4, 32768, 1, 0,		  0,	   "percpu hash: largest value" },
	{ PHASH, 4, 32769, 1, 0,		  -E2BIG,  "percpu hash: value too large" },
	{ PHASH, 4, 4, 1, BPF_F_NUMA_NODE,	  -EINVAL, "percpu hash: node" },
	{ ARRAY, 4, 4, 1, 0,			  0,	   "array" },
	{ ARRAY, 8, 4, 1, 0,			  -EINVAL, "array: key of 8" },
	{ ARRAY, 4, 0, 1, 0,			  -EINVAL, "array without value" },
	{ ARRAY, 4, 4, 0, 0,			  -EINVAL, "array of no entries" },
	{ ARRAY, 4, 0x80000000, 1, 0,		  -E2BIG,  "array: value too large" },
	{ ARRAY, 4, 4, 1, BPF_F_MMAPABLE,	  0,	   "array: mappable" },
	{ ARRAY, 4, 4, 1, BPF_F_INNER_MAP,	  0,	   "array: inner flag" },
	{ ARRAY, 4, 4, 1, BPF_F_NO_PREALLOC,	  -EINVAL, "array: no preallocation" },
	{ ARRAY, 4, 4, 1, BPF_F_PRESERVE_ELEMS,	  -EINVAL, "array: preserve" },
	{ ARRAY, 4, 4, 1, BPF_F_ZERO_SEED,	  -EINVAL, "array: seed" },
	{ ARRAY, 4, 4, 1, BPF_F_RDONLY,		  0,	   "array: read-only fd" },
	{ PARRAY, 4, 4, 1, 0,			  0,	   "percpu array" },
	{ PARRAY, 4, 32768, 1, 0,		  0,	   "percpu array: largest value" },
	{ PARRAY, 4, 32769, 1, 0,		  -E2BIG,  "percpu array: value too large" },
	{ PARRAY, 4, 4, 1, BPF_F_MMAPABLE,	  -EINVAL, "percpu array: mappable" },
	{ PARRAY, 4, 4, 1, BPF_F_INNER_MAP,	  -EINVAL, "percpu array: inner flag" },
	{ PARRAY, 4, 4, 1, BPF_F_NUMA_NODE,	  -EINVAL, "percpu array: node" },
	{ LRU,	 4, 8, 5, 0,			  0,	   "lru hash" },
	{ LRU,	 4, 8, 5, BPF_F_NO_COMMON_LRU,	  0,	   "lru hash, a list per CPU" },
	{ LRU,	 4, 8, 5, BPF_F_NO_PREALLOC,	  -ENOTSUPP, "lru hash without preallocation" },
	{ LRU,	 4, 8, 0, BPF_F_NO_PREALLOC,	  -ENOTSUPP, "lru hash of nothing without preallocation" },
	{ LRU,	 4, 8, 5, BPF_F_NO_PREALLOC | BPF_F_MMAPABLE, -EINVAL, "lru hash: mappable" },
	{ LRU,	 4, 8, 5, BPF_F_NUMA_NODE,	  0,	   "lru hash: node" },
	{ LRU,	 4, 8, 5, BPF_F_NUMA_NODE | BPF_F_NO_COMMON_LRU, -EINVAL, "lru hash: node, a list per CPU" },
	{ PLRU,	 4, 8, 5, 0,			  0,	   "lru percpu hash" },
	{ PLRU,	 4, 8, 5, BPF_F_NUMA_NODE,	  -EINVAL, "lru percpu hash: node" },
	{ PLRU,	 4, 8, 1, BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE, -ENOTSUPP, "lru percpu hash: node, no preallocation" },
	{ PLRU,	 4, 32769, 5, 0,		  -E2BIG,  "lru percpu hash: value too large" },
	{ 99,	 4, 4, 1, 0,			  -EINVAL, "unknown type" },
};

TEST(create_rules)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		struct map *m;
		int fd = mk(rules[i].type, rules[i].key, rules[i].value, rules[i].max, rules[i].flags, &m);

		t_row("create: %s", rules[i].name);
		EQ(fd < 0 ? fd : 0, rules[i].err);
		drop_map(m, fd);
		if (!t_kernel_bpf())
			continue;
		fd = kmk(rules[i].type, rules[i].key, rules[i].value, rules[i].max, rules[i].flags);
		EQ(rules[i].err, fd < 0 ? fd : 0);
		if (fd >= 0)
			close(fd);
	}
}

/* ---- random operations on both sides ---- */

struct pair {
	struct map *m;
	int sfd, kfd;
	u32 type, ksize, vsize, uvsize, max, keys;
	u64 seed;
};

#define BUF	(64 * 1024)
static u8 va[BUF], vb[BUF], ka[BUF];

static void make_key(const struct pair *p, u32 n, u8 *key)
{
	memset(key, 0, p->ksize);
	for (u32 i = 0; i < p->ksize; i++)
		key[i] = i < 4 ? n >> 8 * i : p->type != ARRAY && p->type != PARRAY ? n * (i + 3) : 0;
	if (p->ksize < 4)
		memcpy(key, &n, p->ksize);
}

static void make_value(struct pair *p, u8 *v)
{
	for (u32 i = 0; i < p->uvsize; i++)
		v[i] = mt_rand(&p->seed) >> 40;
}

static bool open_pair(struct pair *p, u32 flags)
{
	p->sfd = mk(p->type, p->ksize, p->vsize, p->max, flags, &p->m);
	p->kfd = t_kernel_bpf() ? kmk(p->type, p->ksize, p->vsize, p->max, flags) : -1;
	if (p->sfd < 0 || (t_kernel_bpf() && p->kfd < 0)) {
		t_fail(__FILE__, __LINE__, "skep %d kernel %d", p->sfd, p->kfd);
		return false;
	}
	p->uvsize = map_user_value_size(p->m);
	p->seed = 88172645463325252ull + p->type + p->ksize;
	return true;
}

static void close_pair(struct pair *p)
{
	drop_map(p->m, p->sfd);
	if (p->kfd >= 0)
		close(p->kfd);
}

static const int cmds[] = { BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_UPDATE_ELEM,
			    BPF_MAP_DELETE_ELEM, BPF_MAP_LOOKUP_AND_DELETE_ELEM };
static const u64 flag_set[] = { 0, 0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 8, 1ull << 32, 1ull << 63 };

static bool step(struct pair *p)
{
	int cmd = cmds[mt_rand(&p->seed) % ARRAY_SIZE(cmds)], sr, kr;
	u32 n = mt_rand(&p->seed) % p->keys;
	u64 flags = cmd == BPF_MAP_UPDATE_ELEM ? flag_set[mt_rand(&p->seed) % ARRAY_SIZE(flag_set)] :
					       (mt_rand(&p->seed) % 16 ? 0 : mt_rand(&p->seed) % 8);

	if (cmd == BPF_MAP_DELETE_ELEM)
		flags = 0;
	make_key(p, n, ka);
	make_value(p, va);
	memcpy(vb, va, p->uvsize);
	sr = selem(cmd, p->m, ka, va, flags);
	kr = kelem(cmd, p->kfd, ka, vb, flags);
	if (sr != kr || (!sr && memcmp(va, vb, p->uvsize))) {
		t_fail(__FILE__, __LINE__, "cmd %d key %u flags %#llx: skep %d, kernel %d", cmd, n,
		       (unsigned long long)flags, sr, kr);
		return false;
	}
	return true;
}

static u32 walk_count(struct pair *p, bool kernel)
{
	u32 n = 0;
	int err = kernel ? kelem(BPF_MAP_GET_NEXT_KEY, p->kfd, NULL, ka, 0) : map_next_key(p->m, NULL, ka);

	for (; !err && n < 100000; n++)
		err = kernel ? kelem(BPF_MAP_GET_NEXT_KEY, p->kfd, ka, ka, 0) : map_next_key(p->m, ka, ka);
	return err == -ENOENT ? n : UINT32_MAX;
}

static bool same_contents(struct pair *p)
{
	u32 n = walk_count(p, false);

	if (n != walk_count(p, true))
		t_fail(__FILE__, __LINE__, "next_key: %u keys, kernel %u", n, walk_count(p, true));
	for (u32 i = 0; i < p->keys; i++) {
		int sr, kr;

		make_key(p, i, ka);
		memset(va, 0, p->uvsize), memset(vb, 0, p->uvsize);
		sr = map_lookup_elem(p->m, ka, va, 0);
		kr = kelem(BPF_MAP_LOOKUP_ELEM, p->kfd, ka, vb, 0);
		if (sr != kr || memcmp(va, vb, p->uvsize)) {
			t_fail(__FILE__, __LINE__, "key %u: skep %d, kernel %d, or values differ", i, sr, kr);
			return false;
		}
	}
	return true;
}

static void differ(struct pair *p, u32 flags, u32 steps)
{
	u64 count;

	if (!open_pair(p, flags))
		return;
	if (p->kfd < 0)
		t_skip("no kernel bpf(2)");
	for (u32 i = 0; p->kfd >= 0 && i < steps; i++)
		if (!step(p) || (i % 500 == 499 && !same_contents(p)))
			break;
	if (p->m->ops->check) {
		EQ(map_check(p->m, &count), 0);
		EQ(count, walk_count(p, false));
	}
	close_pair(p);
}

TEST(random_operations)
{
	static const struct { u32 type, ksize, vsize, max, keys, flags; const char *name; } t[] = {
		{ HASH,   4,  8, 16, 24, 0, "hash, key 4" },
		{ HASH,   8,  8, 16, 24, 0, "hash, key 8" },
		{ HASH,  16,  4, 100, 130, 0, "hash, key 16" },
		{ HASH,   3,  5, 7, 12, 0, "hash, key 3, value 5" },
		{ HASH,  37, 41, 64, 70, 0, "hash, key 37, value 41" },
		{ HASH,   4,  8, 1, 3, 0, "hash of one" },
		{ HASH,   4,  8, 16, 24, BPF_F_NO_PREALLOC, "hash without preallocation" },
		{ HASH,   1,  1, 200, 256, 0, "hash, key 1" },
		{ PHASH,  4,  8, 16, 24, 0, "percpu hash" },
		{ PHASH, 12, 20, 50, 60, 0, "percpu hash, key 12, value 20" },
		{ LRU,    4,  8, 4096, 24, 0, "lru hash, far from full" },
		{ PLRU,   8,  8, 4096, 24, 0, "lru percpu hash, far from full" },
		{ ARRAY,  4,  8, 16, 20, 0, "array" },
		{ ARRAY,  4, 13, 16, 20, BPF_F_MMAPABLE, "mappable array, value 13" },
		{ PARRAY, 4,  8, 16, 20, 0, "percpu array" },
		{ PARRAY, 4,  5, 3, 6, 0, "percpu array, value 5" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct pair p = { .type = t[i].type, .ksize = t[i].ksize, .vsize = t[i].vsize, .max = t[i].max,
				  .keys = t[i].keys };

		t_row("as the kernel's: %s", t[i].name);
		differ(&p, t[i].flags, t_fast() ? 2000 : 40000);
	}
}

/* ---- batches ---- */

static u32 sort_ks;
static int by_key(const void *a, const void *b)
{
	return memcmp(a, b, sort_ks);
}

/* Fill both sides with N elements, read all in batches of COUNT, compare as sets. */
static void batch_dump(struct pair *p, u32 n, u32 count, int cmd)
{
	u32 esize = p->ksize + p->uvsize, got[2] = { 0 };
	u8 *set[2] = { calloc(n + 64, esize), calloc(n + 64, esize) }, *k = calloc(count + 1, p->ksize),
	   *v = calloc(count + 1, p->uvsize);
	int end[2] = { 0 };

	for (u32 i = 0; i < n; i++) {
		make_key(p, i, ka);
		make_value(p, va);
		EQ(map_update_elem(p->m, ka, va, 0), 0);
		EQ(kelem(BPF_MAP_UPDATE_ELEM, p->kfd, ka, va, 0), 0);
	}
	for (int side = 0; side < 2; side++) {
		u8 token[64];
		bool more = false;

		for (u32 rounds = 0; rounds < 1000 && !end[side]; rounds++) {
			struct map_batch b = { .in_batch = more ? token : NULL, .out_batch = token, .keys = k,
					       .values = v, .count = count };
			int err = side ? kbatch(cmd, p->kfd, &b) : map_batch(p->m, cmd, &b);

			for (u32 i = 0; i < b.count && got[side] < n + 64; i++, got[side]++) {
				memcpy(set[side] + got[side] * esize, k + i * p->ksize, p->ksize);
				memcpy(set[side] + got[side] * esize + p->ksize, v + i * p->uvsize, p->uvsize);
			}
			end[side] = err;
			more = true;
		}
		sort_ks = p->ksize;
		qsort(set[side], got[side], esize, by_key);
	}
	EQ(end[0], end[1]);
	EQ(got[0], got[1]);
	EQ(got[0], n);
	CHECK(!memcmp(set[0], set[1], (u64)n * esize));
	EQ(walk_count(p, false), walk_count(p, true));
	free(set[0]), free(set[1]), free(k), free(v);
}

TEST(batch_read)
{
	static const struct { u32 type, ksize, vsize, max, n, count; int cmd; const char *name; } t[] = {
		{ HASH,   4, 8, 300, 300, 40, BPF_MAP_LOOKUP_BATCH, "hash" },
		{ HASH,   4, 8, 300, 300, 1000, BPF_MAP_LOOKUP_BATCH, "hash at once" },
		{ HASH,   4, 8, 300, 300, 40, BPF_MAP_LOOKUP_AND_DELETE_BATCH, "hash, deleting" },
		{ PHASH,  8, 12, 100, 90, 30, BPF_MAP_LOOKUP_BATCH, "percpu hash" },
		{ PHASH,  8, 12, 100, 90, 30, BPF_MAP_LOOKUP_AND_DELETE_BATCH, "percpu hash, deleting" },
		{ ARRAY,  4, 8, 50, 50, 7, BPF_MAP_LOOKUP_BATCH, "array" },
		{ ARRAY,  4, 8, 50, 50, 50, BPF_MAP_LOOKUP_BATCH, "array, exactly all" },
		{ PARRAY, 4, 8, 50, 50, 51, BPF_MAP_LOOKUP_BATCH, "percpu array" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct pair p = { .type = t[i].type, .ksize = t[i].ksize, .vsize = t[i].vsize, .max = t[i].max };

		t_row("batches read everything once: %s", t[i].name);
		if (!t_kernel_bpf()) {
			t_skip("no kernel bpf(2)");
			continue;
		}
		if (!open_pair(&p, 0))
			continue;
		batch_dump(&p, t[i].n, t[i].count, t[i].cmd);
		close_pair(&p);
	}
}

/* Edge cases: result and count of both sides. */
TEST(batch_rules)
{
	static u32 tok_big = 0x7fffffff;
	static u8 keys[4096], values[4096], token[64];
	static const struct { u32 type; int cmd; struct map_batch b; const char *name; } t[] = {
		{ HASH, BPF_MAP_LOOKUP_BATCH, { .count = 0 }, "count 0" },
		{ HASH, BPF_MAP_LOOKUP_BATCH, { .out_batch = token, .keys = keys, .values = values, .count = 8, .flags = 1 }, "flags" },
		{ HASH, BPF_MAP_LOOKUP_BATCH, { .out_batch = token, .keys = keys, .values = values, .count = 8, .elem_flags = 1 }, "elem flags" },
		{ HASH, BPF_MAP_LOOKUP_BATCH, { .out_batch = token, .keys = keys, .values = values, .count = 8, .elem_flags = BPF_F_LOCK }, "F_LOCK" },
		{ HASH, BPF_MAP_LOOKUP_BATCH, { .out_batch = token, .keys = keys, .values = values, .count = 64 }, "all and the end" },
		{ HASH, BPF_MAP_LOOKUP_BATCH, { .in_batch = &tok_big, .out_batch = token, .keys = keys, .values = values, .count = 8 }, "token beyond" },
		{ HASH, BPF_MAP_LOOKUP_BATCH, { .in_batch = (void *)8, .out_batch = token, .keys = keys, .values = values, .count = 8 }, "bad token pointer" },
		{ HASH, BPF_MAP_LOOKUP_BATCH, { .out_batch = (void *)8, .keys = keys, .values = values, .count = 64 }, "bad out token pointer" },
		{ HASH, BPF_MAP_LOOKUP_BATCH, { .out_batch = token, .keys = (void *)8, .values = values, .count = 64 }, "bad keys pointer" },
		{ HASH, BPF_MAP_UPDATE_BATCH, { .keys = (void *)8, .values = values, .count = 2 }, "update: bad keys pointer" },
		{ HASH, BPF_MAP_UPDATE_BATCH, { .keys = keys, .values = values, .count = 1, .elem_flags = BPF_NOEXIST }, "update: NOEXIST" },
		{ HASH, BPF_MAP_UPDATE_BATCH, { .keys = keys, .values = values, .count = 1, .flags = 7 }, "update: flags" },
		{ HASH, BPF_MAP_UPDATE_BATCH, { .keys = keys, .values = values, .count = 0 }, "update: count 0" },
		{ HASH, BPF_MAP_DELETE_BATCH, { .keys = keys, .count = 8 }, "delete: some missing" },
		{ HASH, BPF_MAP_DELETE_BATCH, { .keys = keys, .count = 1, .elem_flags = 2 }, "delete: elem flags" },
		{ ARRAY, BPF_MAP_DELETE_BATCH, { .keys = keys, .count = 1 }, "array: delete" },
		{ ARRAY, BPF_MAP_LOOKUP_AND_DELETE_BATCH, { .out_batch = token, .keys = keys, .values = values, .count = 1 }, "array: take" },
		{ ARRAY, BPF_MAP_LOOKUP_BATCH, { .out_batch = token, .keys = keys, .values = values, .count = 8, .flags = 1 }, "array: flags" },
		{ ARRAY, BPF_MAP_LOOKUP_BATCH, { .in_batch = &tok_big, .out_batch = token, .keys = keys, .values = values, .count = 2 }, "array: token beyond" },
		{ ARRAY, BPF_MAP_LOOKUP_BATCH, { .out_batch = token, .keys = keys, .values = (void *)8, .count = 8 }, "array: bad values pointer" },
		{ ARRAY, BPF_MAP_UPDATE_BATCH, { .keys = keys, .values = values, .count = 9 }, "array: update" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct pair p = { .type = t[i].type, .ksize = 4, .vsize = 8, .max = 8, .keys = 8 };
		struct map_batch sb = t[i].b, kb2 = t[i].b;
		int sr, kr;

		t_row("batch: %s", t[i].name);
		if (!open_pair(&p, 0))
			continue;
		for (u32 k = 0; k < 4; k++) {
			map_update_elem(p.m, &k, values, 0);
			kelem(BPF_MAP_UPDATE_ELEM, p.kfd, &k, values, 0);
		}
		for (u32 k = 0; k < 16; k++)
			memcpy(keys + 4 * k, &k, 4);
		sr = map_batch(p.m, t[i].cmd, &sb);
		for (u32 k = 0; k < 16; k++)
			memcpy(keys + 4 * k, &k, 4);
		if (p.kfd >= 0) {
			kr = kbatch(t[i].cmd, p.kfd, &kb2);
			EQ(sr, kr);
			if (kr != -EFAULT && kr != -EINVAL)
				EQ(sb.count, kb2.count);
		} else {
			t_skip("no kernel bpf(2)");
		}
		close_pair(&p);
	}
}

/* ---- the rest ---- */

/* The table of types says what works; this folder must agree. */
TEST(status_of_types)
{
	for (u32 t = 1; t < spec_nr_maps; t++) {
		const struct spec_map *s = spec_map(t);
		const struct map_ops *o = map_ops_of(t);

		t_row("maps.def and the operations agree: %s", s ? s->name : "?");
		NEED(s);
		EQ(!!o, s->st.state != SPEC_STUB);
		if (!o)
			continue;
		CHECK(o->plan && (o->lookup || (s->ops & SPEC_MAP_NO_KEY)));
		if (s->ops & SPEC_MAP_NEXT)
			CHECK(o->next_key);
		if (s->ops & SPEC_MAP_DELETE)
			CHECK(o->delete);
		if (s->ops & SPEC_MAP_ITER)
			CHECK(o->for_each);
		if (s->ops & SPEC_MAP_DIRECT_VALUE)
			CHECK(o->direct);
		if ((s->ops & SPEC_MAP_LOOKUP_DELETE) && !(s->ops & SPEC_MAP_FD_VALUE))
			CHECK(o->take || o->pop);
	}
}

TEST(fast_access)
{
	struct map *m;
	struct map_fast f;
	int fd = mk(PARRAY, 4, 5, 10, 0, &m);
	u32 k = 7;

	NEED(fd >= 0);
	map_fast(m, &f);
	CHECK(f.array && f.percpu);
	CHECK(m->lookup(m, &k, 1 % m->ncpus) == m->data + 1 % m->ncpus * f.cpu_stride + 7 * f.stride);
	drop_map(m, fd);
	fd = mk(ARRAY, 4, 5, 10, 0, &m);
	NEED(fd >= 0);
	map_fast(m, &f);
	CHECK(f.array && !f.percpu && f.max_entries == 10);
	CHECK(m->lookup(m, &k, 0) == m->data + 7 * f.stride);
	drop_map(m, fd);
	fd = mk(HASH, 4, 5, 10, 0, &m);
	NEED(fd >= 0);
	map_fast(m, &f);
	CHECK(!f.array);
	drop_map(m, fd);
}

TEST(lru_list_per_cpu_rounds_up)
{
	struct map *m;
	int fd = mk(LRU, 4, 8, 5, BPF_F_NO_COMMON_LRU, &m);
	u32 n = domain_ncpus(mt_dir()->dom);

	NEED(fd >= 0);
	EQ(m->attr.max_entries, (5 + n - 1) / n * n);
	drop_map(m, fd);
}

TEST(next_key_absent_is_first)
{
	struct map *m;
	u32 k = 5, first, n;
	u64 v = 1;
	int fd = mk(HASH, 4, 8, 8, 0, &m);

	NEED(fd >= 0);
	EQ(map_next_key(m, NULL, &first), -ENOENT);
	for (k = 1; k <= 3; k++)
		EQ(map_update_elem(m, &k, &v, 0), 0);
	EQ(map_next_key(m, NULL, &first), 0);
	k = 99;
	EQ(map_next_key(m, &k, &n), 0);
	EQ(n, first);
	drop_map(m, fd);
}

TEST(update_leaves_old_pointers_alone)
{
	struct map *m;
	u32 k = 1;
	u64 v = 1, *old;
	int fd = mk(HASH, 4, 8, 1, 0, &m);

	NEED(fd >= 0);
	EQ(m->ops->update(m, &k, &v, 0, 0), 0);
	old = m->lookup(m, &k, 0);
	NEED(old);
	v = 2;
	EQ(m->ops->update(m, &k, &v, 0, 0), 0);
	EQ(*old, 1);
	EQ(*(u64 *)m->lookup(m, &k, 0), 2);
	drop_map(m, fd);
}

TEST(percpu_program_side)
{
	static const u32 types[] = { PHASH, PARRAY };

	for (int i = 0; i < 2; i++) {
		struct map *m;
		u32 k = 2;
		u64 v = 7, all[DOMAIN_MAX_CPUS];
		int fd = mk(types[i], 4, 8, 4, 0, &m);

		t_row("a program's update touches its CPU only: %s", i ? "array" : "hash");
		NEED(fd >= 0);
		EQ(m->ops->update(m, &k, &v, 0, m->ncpus - 1), 0);
		EQ(map_lookup_elem(m, &k, all, 0), 0);
		EQ(all[m->ncpus - 1], 7);
		for (u32 c = 0; c + 1 < m->ncpus; c++)
			EQ(all[c], 0);
		CHECK(m->lookup(m, &k, 0) && m->lookup(m, &k, m->ncpus - 1));
		CHECK(!m->lookup(m, &k, m->ncpus));
		drop_map(m, fd);
	}
}

TEST(mmap_of_an_array)
{
	struct map *m;
	u32 k = 3;
	u64 v = 0x1122334455667788ull, *p;
	int fd = mk(ARRAY, 4, 8, 600, BPF_F_MMAPABLE, &m);

	NEED(fd >= 0);
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	NEED(p != MAP_FAILED);
	EQ(map_update_elem(m, &k, &v, 0), 0);
	EQ(p[3], v);
	p[599] = 5;
	k = 599;
	EQ(map_lookup_elem(m, &k, &v, 0), 0);
	EQ(v, 5);
	munmap(p, 8192);
	drop_map(m, fd);
}

TEST(direct_value)
{
	struct map *m;
	void *a;
	int fd = mk(ARRAY, 4, 24, 1, 0, &m);

	NEED(fd >= 0);
	EQ(m->ops->direct(m, 23, &a), 0);
	CHECK(a == m->data + 23);
	EQ(m->ops->direct(m, 24, &a), -EINVAL);
	drop_map(m, fd);
	fd = mk(ARRAY, 4, 24, 2, 0, &m);
	NEED(fd >= 0);
	EQ(m->ops->direct(m, 0, &a), -ENOTSUPP);
	drop_map(m, fd);
}

TEST(freeze)
{
	struct map *m;
	int fd = mk(ARRAY, 4, 4, 1, 0, &m);

	NEED(fd >= 0);
	CHECK(!map_frozen(m));
	EQ(map_freeze(m), 0);
	CHECK(map_frozen(m));
	EQ(map_freeze(m), -EPERM);
	drop_map(m, fd);
}

TEST(open_is_shared)
{
	struct map *m, *n;
	u32 id;
	int fd = mk(HASH, 4, 4, 10, 0, &m), nul = open("/dev/null", O_RDWR);

	NEED(fd >= 0);
	EQ(map_open_fd(mt_dir(), fd, &n), 0);
	CHECK(m == n);
	map_put(n);
	EQ(map_open_fd(mt_dir(), -1, &n), -EBADF);
	EQ(map_open_fd(mt_dir(), nul, &n), -EINVAL);
	id = m->id;
	EQ(map_open_id(mt_dir(), id, m->obj->gen, &n), 0);
	CHECK(m == n);
	drop_map(m, fd);
	CHECK(obj_alive(mt_dir(), OBJ_MAP, id));	/* N runs on it */
	map_put(n);
	CHECK(!obj_alive(mt_dir(), OBJ_MAP, id));
	EQ(obj_collect(mt_dir(), OBJ_MAP, id), 1);
	EQ(map_open_id(mt_dir(), id, 0, &n), -ENOENT);
	close(nul);
}

/* Nothing in a file is believed: sizes, geometry, a file cut short. */
TEST(damaged_files)
{
	static const struct { int what; const char *name; } t[] = {
		{ 0, "max_entries grown" }, { 1, "type changed" }, { 2, "geometry changed" }, { 3, "no cpus" },
		{ 4, "cut to half" }, { 5, "value_size grown" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct map *m, *n;
		struct map_meta *meta;
		u32 k = 1;
		u64 v;
		struct stat st;
		int fd = mk(HASH, 4, 8, 1000, 0, &m);

		t_row("refused: %s", t[i].name);
		NEED(fd >= 0);
		for (u32 j = 0; j < 1000; j++)
			EQ(map_update_elem(m, &j, &(u64){ j }, 0), 0);
		meta = (struct map_meta *)m->obj->hdr->kind_data;
		switch (t[i].what) {
		case 0: meta->attr.max_entries = 100000; break;
		case 1: meta->attr.type = ARRAY; break;
		case 2: meta->geometry[3] = 8; break;
		case 3: meta->ncpus = 0; break;
		case 4: fstat(fd, &st); EQ(ftruncate(fd, st.st_size / 2), 0); break;
		case 5: meta->attr.value_size = 800; break;
		}
		map_put(m);
		if (t[i].what == 4) {
			EQ(map_open_fd(mt_dir(), fd, &n), -EUCLEAN);
			map_get(m);
			EQ(map_check(m, &v), -EUCLEAN);		/* touches every page */
			EQ(map_lookup_elem(m, &k, &v, 0), -EUCLEAN);
			map_put(m);
		}
		map_dir_close(mt_dir());
		EQ(map_open_fd(mt_dir(), fd, &n), -EUCLEAN);
		close(fd);
	}
}
