/* SPDX-License-Identifier: Apache-2.0 */
/* fdmap_test.c - prog_array, array_of_maps, perf_event_array: each command with each kind of fd on a kernel map and on a
 * skep map; references, the private table, what the killed leave. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "maptest.h"
#include "vm/image.h"

#define PA	BPF_MAP_TYPE_PROG_ARRAY
#define PE	BPF_MAP_TYPE_PERF_EVENT_ARRAY
#define AM	BPF_MAP_TYPE_ARRAY_OF_MAPS
#define ARRAY	BPF_MAP_TYPE_ARRAY
#define HASH	BPF_MAP_TYPE_HASH
#define PARRAY	BPF_MAP_TYPE_PERCPU_ARRAY

/* A program object without a program: what a prog_array looks at. */
static int fake_prog(u32 type, u32 attach, u32 flags, u32 *id)
{
	struct image_hdr h = { .version = IMAGE_VERSION, .prog_type = type, .attach_type = attach, .prog_flags = flags };
	struct obj *o;
	int fd;

	if (obj_create(mt_dir(), OBJ_PROG, "p", 0, 4096, &o, &fd))
		return -1;
	memcpy(o->hdr->kind_data, &h, sizeof(h));
	if (obj_publish(o))
		return -1;
	if (id)
		*id = o->id;
	obj_unmap(o);
	return fd;
}

static int kernel_prog(u32 type, u32 attach, u32 flags)
{
	struct bpf_insn in[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 1 }, { .code = BPF_JMP | BPF_EXIT } };
	union bpf_attr a = { .prog_type = type, .expected_attach_type = attach, .prog_flags = flags, .insn_cnt = 2,
			     .insns = (u64)(uintptr_t)in, .license = (u64)(uintptr_t)"GPL" };

	return kbpf(BPF_PROG_LOAD, &a);
}

/* What the rows name; the same on both sides. */
enum thing { NONE, BAD, FILE_, XDP, XDP_DEV, XDP_FRAGS, FILTER, ARR4, ARR5, ARR_INNER4, ARR_INNER9, HASH4, HASH40, PARR4, PARR5,
	     PROGS, PERFS, OUTER_ARR, OUTER_INNER, OUTER_HASH, OUTER_PARR, QUEUE_, THINGS };
static int sfd[THINGS], kfd[THINGS];
static struct map *smap[THINGS];

static const struct { enum thing t; u32 type, attach, flags; } progs[] = {
	{ XDP, BPF_PROG_TYPE_XDP, 0, 0 }, { XDP_DEV, BPF_PROG_TYPE_XDP, BPF_XDP_DEVMAP, 0 },
	{ XDP_FRAGS, BPF_PROG_TYPE_XDP, 0, BPF_F_XDP_HAS_FRAGS }, { FILTER, BPF_PROG_TYPE_SOCKET_FILTER, 0, 0 },
};
static const struct { enum thing t; u32 type, value, max, flags; enum thing inner; } maps[] = {
	{ ARR4, ARRAY, 8, 4, 0, NONE }, { ARR5, ARRAY, 8, 5, 0, NONE }, { ARR_INNER4, ARRAY, 8, 4, BPF_F_INNER_MAP, NONE },
	{ ARR_INNER9, ARRAY, 8, 9, BPF_F_INNER_MAP, NONE }, { HASH4, HASH, 8, 4, 0, NONE }, { HASH40, HASH, 8, 40, 0, NONE },
	{ PARR4, PARRAY, 8, 4, 0, NONE }, { PARR5, PARRAY, 8, 5, 0, NONE }, { PROGS, PA, 4, 4, 0, NONE },
	{ PERFS, PE, 4, 4, 0, NONE }, { OUTER_ARR, AM, 4, 4, 0, ARR4 }, { OUTER_INNER, AM, 4, 4, 0, ARR_INNER4 },
	{ OUTER_HASH, AM, 4, 4, 0, HASH4 }, { OUTER_PARR, AM, 4, 4, 0, PARR4 },
};

static void make_things(void)
{
	bool k = t_kernel_bpf();

	if (sfd[XDP])
		return;
	sfd[BAD] = kfd[BAD] = -1;
	sfd[FILE_] = kfd[FILE_] = open("/dev/null", O_RDONLY);
	for (size_t i = 0; i < ARRAY_SIZE(progs); i++) {
		sfd[progs[i].t] = fake_prog(progs[i].type, progs[i].attach, progs[i].flags, NULL);
		kfd[progs[i].t] = k ? kernel_prog(progs[i].type, progs[i].attach, progs[i].flags) : -1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		struct map_attr a = { .type = maps[i].type, .key_size = 4, .value_size = maps[i].value,
				      .max_entries = maps[i].max, .flags = maps[i].flags,
				      .inner_id = maps[i].inner ? smap[maps[i].inner]->id : 0 };

		sfd[maps[i].t] = mt_create(&a, &smap[maps[i].t]);
		kfd[maps[i].t] = k ? kmk_inner(maps[i].type, 4, maps[i].value, maps[i].max, maps[i].flags,
					       kfd[maps[i].inner]) : -1;
	}
	for (int i = BAD + 1; i < QUEUE_; i++)
		if (sfd[i] < 0 || (k && kfd[i] < 0))
			t_fail(__FILE__, __LINE__, "thing %d: skep %d, kernel %d", i, sfd[i], kfd[i]);
}

static const struct { enum thing map; int cmd; u32 key; enum thing value; u64 flags; int err; const char *name; } rows[] = {
#define UPD	BPF_MAP_UPDATE_ELEM
#define LOOK	BPF_MAP_LOOKUP_ELEM
#define DEL	BPF_MAP_DELETE_ELEM
#define NEXT	BPF_MAP_GET_NEXT_KEY
#define TAKE	BPF_MAP_LOOKUP_AND_DELETE_ELEM
	{ PROGS, UPD, 0, XDP,	    0, 0,	 "prog_array: a program" },
	{ PROGS, UPD, 1, XDP_DEV,   0, -EINVAL,	 "prog_array: another attach type" },
	{ PROGS, UPD, 1, XDP_FRAGS, 0, -EINVAL,	 "prog_array: with frags" },
	{ PROGS, UPD, 1, FILTER,    0, -EINVAL,	 "prog_array: another type" },
	{ PROGS, UPD, 4, XDP,	    0, -E2BIG,	 "prog_array: beyond the end" },
	{ PROGS, UPD, 1, XDP,	    1, -EINVAL,	 "prog_array: NOEXIST" },
	{ PROGS, UPD, 1, XDP,	    2, -EINVAL,	 "prog_array: EXIST" },
	{ PROGS, UPD, 1, BAD,	    0, -EBADF,	 "prog_array: no fd" },
	{ PROGS, UPD, 1, FILE_,	    0, -EINVAL,	 "prog_array: a file" },
	{ PROGS, UPD, 1, ARR4,	    0, -EINVAL,	 "prog_array: a map" },
	{ PROGS, UPD, 4, BAD,	    1, -EINVAL,	 "prog_array: flags before index" },
	{ PROGS, UPD, 4, BAD,	    0, -E2BIG,	 "prog_array: index before fd" },
	{ PROGS, LOOK, 0, NONE,	    0, 0,	 "prog_array: lookup" },
	{ PROGS, LOOK, 2, NONE,	    0, -ENOENT,	 "prog_array: lookup of an empty slot" },
	{ PROGS, LOOK, 4, NONE,	    0, -ENOENT,	 "prog_array: lookup beyond the end" },
	{ PROGS, NEXT, 1, NONE,	    0, 0,	 "prog_array: next key" },
	{ PROGS, NEXT, 3, NONE,	    0, -ENOENT,	 "prog_array: no next key" },
	{ PROGS, DEL, 2, NONE,	    0, -ENOENT,	 "prog_array: delete of an empty slot" },
	{ PROGS, DEL, 4, NONE,	    0, -E2BIG,	 "prog_array: delete beyond the end" },
	{ PROGS, DEL, 0, NONE,	    0, 0,	 "prog_array: delete" },
	{ PROGS, LOOK, 0, NONE,	    0, -ENOENT,	 "prog_array: lookup after it" },
	{ PROGS, UPD, 0, FILTER,    0, -EINVAL,	 "prog_array: the type stays" },
	{ PROGS, TAKE, 0, NONE,	    0, -ENOTSUPP, "prog_array: lookup and delete" },
	{ PERFS, UPD, 0, BAD,	    0, -EBADF,	 "perf_event_array: no fd" },
	{ PERFS, UPD, 0, FILE_,	    0, -EBADF,	 "perf_event_array: a file" },
	{ PERFS, UPD, 0, ARR4,	    0, -EBADF,	 "perf_event_array: a map" },
	{ PERFS, UPD, 0, BAD,	    1, -EINVAL,	 "perf_event_array: flags" },
	{ PERFS, UPD, 9, BAD,	    0, -E2BIG,	 "perf_event_array: beyond the end" },
	{ PERFS, LOOK, 0, NONE,	    0, -ENOTSUPP, "perf_event_array: lookup" },
	{ PERFS, DEL, 0, NONE,	    0, -ENOENT,	 "perf_event_array: delete" },
	{ PERFS, DEL, 9, NONE,	    0, -E2BIG,	 "perf_event_array: delete beyond the end" },
	{ PERFS, NEXT, 0, NONE,	    0, 0,	 "perf_event_array: next key" },
	{ OUTER_ARR, UPD, 0, ARR4,  0, 0,	 "array_of_maps: a map" },
	{ OUTER_ARR, UPD, 0, ARR5,  0, -EINVAL,	 "array_of_maps: another size" },
	{ OUTER_ARR, UPD, 0, ARR_INNER4, 0, -EINVAL, "array_of_maps: other flags" },
	{ OUTER_ARR, UPD, 0, HASH4, 0, -EINVAL,	 "array_of_maps: another type" },
	{ OUTER_ARR, UPD, 0, BAD,   0, -EBADF,	 "array_of_maps: no fd" },
	{ OUTER_ARR, UPD, 0, FILE_, 0, -EINVAL,	 "array_of_maps: a file" },
	{ OUTER_ARR, UPD, 0, XDP,   0, -EINVAL,	 "array_of_maps: a program" },
	{ OUTER_ARR, UPD, 4, ARR4,  0, -E2BIG,	 "array_of_maps: beyond the end" },
	{ OUTER_ARR, UPD, 1, ARR4,  1, -EINVAL,	 "array_of_maps: NOEXIST" },
	{ OUTER_ARR, LOOK, 0, NONE, 0, 0,	 "array_of_maps: lookup" },
	{ OUTER_ARR, LOOK, 1, NONE, 0, -ENOENT,	 "array_of_maps: lookup of an empty slot" },
	{ OUTER_ARR, LOOK, 5, NONE, 0, -ENOENT,	 "array_of_maps: lookup beyond the end" },
	{ OUTER_ARR, TAKE, 0, NONE, 0, -ENOTSUPP, "array_of_maps: lookup and delete" },
	{ OUTER_ARR, DEL, 1, NONE,  0, -ENOENT,	 "array_of_maps: delete of an empty slot" },
	{ OUTER_ARR, DEL, 9, NONE,  0, -E2BIG,	 "array_of_maps: delete beyond the end" },
	{ OUTER_ARR, DEL, 0, NONE,  0, 0,	 "array_of_maps: delete" },
	{ OUTER_INNER, UPD, 0, ARR_INNER9, 0, 0, "array_of_maps: INNER_MAP arrays may differ in size" },
	{ OUTER_HASH, UPD, 0, HASH40, 0, 0,	 "array_of_maps: hashes may differ in size" },
	{ OUTER_PARR, UPD, 0, PARR5, 0, 0,	 "array_of_maps: per-CPU arrays may differ in size" },
};

TEST(commands)
{
	make_things();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		u32 sv = sfd[rows[i].value], kv = kfd[rows[i].value];

		t_row("%s", rows[i].name);
		EQ(selem(rows[i].cmd, smap[rows[i].map], &rows[i].key, &sv, rows[i].flags), rows[i].err);
		if (rows[i].cmd == LOOK && !rows[i].err)
			CHECK(sv && obj_alive(mt_dir(), rows[i].map == PROGS ? OBJ_PROG : OBJ_MAP, sv));
		if (t_kernel_bpf())
			EQ(rows[i].err, kelem(rows[i].cmd, kfd[rows[i].map], &rows[i].key, &kv, rows[i].flags));
	}
}

TEST(batches)
{
	static const struct { enum thing t; int cmd, err; } b[] = {
		{ PROGS, BPF_MAP_LOOKUP_BATCH, -ENOTSUPP }, { PROGS, BPF_MAP_UPDATE_BATCH, -ENOTSUPP },
		{ PROGS, BPF_MAP_DELETE_BATCH, -ENOTSUPP }, { PERFS, BPF_MAP_LOOKUP_BATCH, -ENOTSUPP },
		{ OUTER_ARR, BPF_MAP_LOOKUP_BATCH, -ENOENT }, { OUTER_ARR, BPF_MAP_LOOKUP_AND_DELETE_BATCH, -ENOTSUPP },
		{ OUTER_ARR, BPF_MAP_DELETE_BATCH, -ENOTSUPP },
	};

	make_things();
	for (size_t i = 0; i < ARRAY_SIZE(b); i++) {
		u32 k[8] = { 0 }, v[8] = { 0 }, tok[2];
		struct map_batch sb = { .keys = k, .values = v, .out_batch = tok, .count = 1 }, kb = sb;

		t_row("batch %d on %s", b[i].cmd, spec_map(smap[b[i].t]->attr.type)->name);
		EQ(map_batch(smap[b[i].t], b[i].cmd, &sb), b[i].err);
		if (t_kernel_bpf())
			EQ(b[i].err, kbatch(b[i].cmd, kfd[b[i].t], &kb));
	}
}

TEST(create_rules)
{
	static const struct { u32 type, key, value, max, flags; enum thing inner; int err; const char *name; } t[] = {
		{ PA, 4, 8, 1, 0, NONE, -EINVAL, "prog_array: value of 8" },
		{ PA, 8, 4, 1, 0, NONE, -EINVAL, "prog_array: key of 8" },
		{ PA, 4, 4, 0, 0, NONE, -EINVAL, "prog_array of nothing" },
		{ PA, 4, 4, 1, BPF_F_RDONLY_PROG, NONE, -EINVAL, "prog_array: program access flags" },
		{ PA, 4, 4, 1, BPF_F_RDONLY, NONE, 0, "prog_array: read-only" },
		{ PA, 4, 4, 1, BPF_F_NUMA_NODE, NONE, 0, "prog_array: node" },
		{ PA, 4, 4, 1, BPF_F_MMAPABLE, NONE, -EINVAL, "prog_array: mappable" },
		{ PE, 4, 4, 1, BPF_F_PRESERVE_ELEMS, NONE, 0, "perf_event_array: preserve" },
		{ PE, 4, 8, 1, 0, NONE, -EINVAL, "perf_event_array: value of 8" },
		{ PE, 4, 4, 1, BPF_F_RDONLY_PROG, NONE, -EINVAL, "perf_event_array: program access flags" },
		{ AM, 4, 4, 4, 0, PROGS, -ENOTSUPP, "array_of_maps: of prog_arrays" },
		{ AM, 4, 4, 4, 0, PERFS, 0, "array_of_maps: of perf_event_arrays" },
		{ AM, 4, 4, 4, 0, OUTER_ARR, -EINVAL, "array_of_maps: of array_of_maps" },
		{ AM, 4, 8, 4, 0, ARR4, -EINVAL, "array_of_maps: value of 8" },
		{ AM, 8, 4, 4, 0, ARR4, -EINVAL, "array_of_maps: key of 8" },
		{ AM, 4, 4, 0, 0, ARR4, -EINVAL, "array_of_maps of nothing" },
		{ AM, 4, 4, 4, BPF_F_RDONLY_PROG, ARR4, -EINVAL, "array_of_maps: program access flags" },
		{ AM, 4, 4, 4, BPF_F_RDONLY, ARR4, 0, "array_of_maps: read-only" },
	};

	make_things();
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct map_attr a = { .type = t[i].type, .key_size = t[i].key, .value_size = t[i].value, .max_entries = t[i].max,
				      .flags = t[i].flags, .inner_id = t[i].inner ? smap[t[i].inner]->id : 0 };
		struct map *m;
		int fd = mt_create(&a, &m);

		t_row("create: %s", t[i].name);
		EQ(fd < 0 ? fd : 0, t[i].err);
		drop_map(m, fd);
		if (t_kernel_bpf()) {
			fd = kmk_inner(t[i].type, t[i].key, t[i].value, t[i].max, t[i].flags, kfd[t[i].inner]);
			EQ(t[i].err, fd < 0 ? fd : 0);
			if (fd >= 0)
				close(fd);
		}
	}
}

/* ---- references ---- */

TEST(a_slot_keeps_its_map_alive)
{
	struct map *outer, *in, *got;
	int ofd, ifd = mk(ARRAY, 4, 8, 4, 0, &in);
	struct map_attr a = { .type = AM, .key_size = 4, .value_size = 4, .max_entries = 2 };
	u32 k = 1, one = 1, id;
	u64 v = 7;

	NEED(ifd >= 0);
	id = a.inner_id = in->id;
	ofd = mt_create(&a, &outer);
	NEED(ofd >= 0);
	EQ(map_update_elem(outer, &k, &ifd, 0), 0);
	EQ(map_update_elem(in, &one, &v, 0), 0);
	drop_map(in, ifd);
	map_dir_close(mt_dir());
	EQ(obj_collect(mt_dir(), OBJ_MAP, id), 0);
	got = map_inner(outer, &k);
	NEED(got);
	EQ(*(u64 *)got->lookup(got, &one, 0), 7);
	CHECK(map_inner(outer, &k) == got);
	CHECK(!map_inner(outer, &(u32){ 0 }));
	CHECK(!map_inner(outer, &(u32){ 2 }));
	CHECK(outer->lookup(outer, &k, 0) == got);
	EQ(map_delete_elem(outer, &k), 0);
	CHECK(!map_inner(outer, &k));
	EQ(*(u64 *)got->lookup(got, &one, 0), 7);	/* somebody may still run on it */
	drop_map(outer, ofd);
	map_dir_close(mt_dir());
	CHECK(!obj_alive(mt_dir(), OBJ_MAP, id));
}

TEST(replaced_inner_maps_are_found)
{
	struct map *outer, *in[2];
	int ofd, ifd[2];
	struct map_attr a = { .type = AM, .key_size = 4, .value_size = 4, .max_entries = 1 };
	u32 k = 0;

	for (int i = 0; i < 2; i++)
		NEED((ifd[i] = mk(ARRAY, 4, 8, 4, 0, &in[i])) >= 0);
	a.inner_id = in[0]->id;
	NEED((ofd = mt_create(&a, &outer)) >= 0);
	for (int i = 0; i < 20; i++) {
		EQ(map_update_elem(outer, &k, &ifd[i % 2], 0), 0);
		CHECK(map_inner(outer, &k) == in[i % 2]);
	}
	drop_map(outer, ofd);
	drop_map(in[0], ifd[0]);
	drop_map(in[1], ifd[1]);
}

static int resolved;
static struct prog *resolve(struct obj_dir *d, u32 id, u64 gen)
{
	resolved++;
	return (struct prog *)(uintptr_t)(id * 16ul + gen % 16);
}

TEST(prog_slots_are_resolved_once)
{
	struct map *m;
	u32 k = 1, id, id2;
	int fd = mk(PA, 4, 4, 4, 0, &m), p = fake_prog(BPF_PROG_TYPE_XDP, 0, 0, &id), q = fake_prog(BPF_PROG_TYPE_XDP, 0, 0, &id2);
	struct prog *got;

	NEED(fd >= 0 && p >= 0 && q >= 0);
	map_resolve_prog = resolve;
	resolved = 0;
	CHECK(!map_prog_slot(m, 1));
	CHECK(!map_prog_slot(m, 99));
	EQ(map_update_elem(m, &k, &p, 0), 0);
	got = map_prog_slot(m, 1);
	EQ((uintptr_t)got / 16, id);
	CHECK(map_prog_slot(m, 1) == got);
	EQ(resolved, 1);
	EQ(map_update_elem(m, &k, &q, 0), 0);
	EQ((uintptr_t)map_prog_slot(m, 1) / 16, id2);
	EQ(resolved, 2);
	map_resolve_prog = NULL;
	drop_map(m, fd);
	close(p), close(q);
}

/* The kernel's rule: with its last user reference and pin a prog_array loses its programs, even while one of them uses it. */
TEST(prog_array_is_emptied_with_its_last_user)
{
	struct map *m;
	u32 k = 0, pid, mid;
	int fd = mk(PA, 4, 4, 1, 0, &m), p = fake_prog(BPF_PROG_TYPE_XDP, 0, 0, &pid);

	NEED(fd >= 0 && p >= 0);
	mid = m->id;
	EQ(map_update_elem(m, &k, &p, 0), 0);
	EQ(obj_ref(mt_dir(), OBJ_PROG, pid, "map0", OBJ_MAP, mid), 0);	/* a cycle */
	close(p);
	drop_map(m, fd);
	obj_gc(mt_dir());
	obj_gc(mt_dir());
	map_dir_close(mt_dir());
	CHECK(!obj_alive(mt_dir(), OBJ_PROG, pid));
	CHECK(!obj_alive(mt_dir(), OBJ_MAP, mid));
}

/* Killed at any place of an update, the slot and its references agree once somebody else has been there. */
TEST(killed_updates)
{
	struct map *outer, *in[2];
	int ofd, ifd[2], st;
	struct map_attr a = { .type = AM, .key_size = 4, .value_size = 4, .max_entries = 2 };
	u32 k = 0, ids[2], got;
	u64 seed = 5;

	for (int i = 0; i < 2; i++) {
		NEED((ifd[i] = mk(ARRAY, 4, 8, 4, 0, &in[i])) >= 0);
		ids[i] = in[i]->id;
	}
	a.inner_id = ids[0];
	NEED((ofd = mt_create(&a, &outer)) >= 0);
	for (int round = 0; round < (t_fast() ? 25 : 300); round++) {
		pid_t pid = fork();
		struct stat sb[2];

		if (!pid) {
			for (int i = 0;; i++)
				if (i % 3 == 2)
					map_delete_elem(outer, &k);
				else
					map_update_elem(outer, &k, &ifd[i % 3], 0);
		}
		usleep(mt_rand(&seed) % 1500);
		kill(pid, SIGKILL);
		waitpid(pid, &st, 0);
		/* the next change settles what is left of the last one */
		EQ(map_update_elem(outer, &(u32){ 1 }, &ifd[0], 0), 0);
		EQ(map_delete_elem(outer, &(u32){ 1 }), 0);
		st = map_lookup_elem(outer, &k, &got, 0);
		for (int i = 0; i < 2; i++) {
			fstat(ifd[i], &sb[i]);
			EQ(sb[i].st_nlink, 1 + (!st && got == ids[i]));
		}
		if (st && st != -ENOENT)
			EQ(st, 0);
	}
	drop_map(outer, ofd);
	drop_map(in[0], ifd[0]);
	drop_map(in[1], ifd[1]);
}
