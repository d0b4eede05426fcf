/* SPDX-License-Identifier: Apache-2.0 */
/* oracle_map_test.c - maps.def against the running kernel: which flags MAP_CREATE accepts, and which helpers a program
 * may call on a map of each type. */
#include <linux/btf.h>

#include "spec/oracle.h"

/* What a map of the type must have to be created at all. STRUCT_OPS is missing: it needs a kernel interface. */
static const struct recipe {
	u32 type, key, value, max, flags;
	enum { PLAIN, INNER, TYPED } with;	/* an inner map; BTF types */
} recipes[] = {
	{ BPF_MAP_TYPE_HASH, 4, 8, 1 }, { BPF_MAP_TYPE_ARRAY, 4, 8, 1 }, { BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 1 },
	{ BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 1 }, { BPF_MAP_TYPE_PERCPU_HASH, 4, 8, 1 },
	{ BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 1 }, { BPF_MAP_TYPE_STACK_TRACE, 4, 32, 1 },
	{ BPF_MAP_TYPE_CGROUP_ARRAY, 4, 4, 1 }, { BPF_MAP_TYPE_LRU_HASH, 4, 8, 16 },
	{ BPF_MAP_TYPE_LRU_PERCPU_HASH, 4, 8, 16 }, { BPF_MAP_TYPE_LPM_TRIE, 8, 8, 1, BPF_F_NO_PREALLOC },
	{ BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 1, 0, INNER }, { BPF_MAP_TYPE_HASH_OF_MAPS, 4, 4, 1, 0, INNER },
	{ BPF_MAP_TYPE_DEVMAP, 4, 4, 1 }, { BPF_MAP_TYPE_SOCKMAP, 4, 4, 1 }, { BPF_MAP_TYPE_CPUMAP, 4, 4, 1 },
	{ BPF_MAP_TYPE_XSKMAP, 4, 4, 1 }, { BPF_MAP_TYPE_SOCKHASH, 4, 4, 1 },
	{ BPF_MAP_TYPE_CGROUP_STORAGE, 8, 8, 0 }, { BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, 4, 8, 1 },
	{ BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, 8, 8, 0 }, { BPF_MAP_TYPE_QUEUE, 0, 8, 1 },
	{ BPF_MAP_TYPE_STACK, 0, 8, 1 }, { BPF_MAP_TYPE_SK_STORAGE, 4, 4, 0, BPF_F_NO_PREALLOC, TYPED },
	{ BPF_MAP_TYPE_DEVMAP_HASH, 4, 4, 1 }, { BPF_MAP_TYPE_RINGBUF, 0, 0, 4096 },
	{ BPF_MAP_TYPE_INODE_STORAGE, 4, 4, 0, BPF_F_NO_PREALLOC, TYPED },
	{ BPF_MAP_TYPE_TASK_STORAGE, 4, 4, 0, BPF_F_NO_PREALLOC, TYPED },
	{ BPF_MAP_TYPE_BLOOM_FILTER, 0, 8, 1 }, { BPF_MAP_TYPE_USER_RINGBUF, 0, 0, 4096 },
	{ BPF_MAP_TYPE_CGRP_STORAGE, 4, 4, 0, BPF_F_NO_PREALLOC, TYPED },
	{ BPF_MAP_TYPE_ARENA, 0, 0, 1, BPF_F_MMAPABLE },
};

static int inner_fd, btf_fd;

/* BTF with one type: int, 4 bytes. */
static int load_btf(void)
{
	static const struct {
		struct btf_header hdr;
		struct btf_type type;
		u32 enc;
		char str[8];
	} blob = {
		.hdr = { .magic = BTF_MAGIC, .version = BTF_VERSION, .hdr_len = sizeof(struct btf_header),
			 .type_len = sizeof(struct btf_type) + 4, .str_off = sizeof(struct btf_type) + 4,
			 .str_len = 8 },
		.type = { .name_off = 1, .info = BTF_KIND_INT << 24, .size = 4 },
		.enc = 32, .str = "\0int",
	};
	union skep_attr a = { .btf = (uintptr_t)&blob, .btf_size = sizeof(blob) };

	return (int)oracle_bpf(BPF_BTF_LOAD, &a, sizeof(a));
}

static int create(const struct recipe *r, u32 more_flags)
{
	union skep_attr a = { .map_type = r->type, .key_size = r->key, .value_size = r->value,
			      .max_entries = r->max, .map_flags = r->flags | more_flags };

	if (r->type == BPF_MAP_TYPE_ARENA)
		a.map_extra = 1ull << 44;	/* where user space is to see it */

	if (r->with == INNER)
		a.inner_map_fd = (u32)inner_fd;
	if (r->with == TYPED) {
		a.btf_fd = (u32)btf_fd;
		a.btf_key_type_id = a.btf_value_type_id = 1;
	}
	return (int)oracle_bpf(BPF_MAP_CREATE, &a, sizeof(a));
}

static void begin_maps(void)
{
	inner_fd = kernel_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1, 0);
	btf_fd = load_btf();
	CHECK(inner_fd >= 0 && btf_fd >= 0);
}

static void end_maps(void)
{
	close(inner_fd);
	close(btf_fd);
}

static void check_flags(const struct recipe *r)
{
	int fd = create(r, 0);

	if (fd < 0)
		t_fail(__FILE__, __LINE__, "cannot be created at all: %s", strerror(errno));
	else
		close(fd);
	for (u32 bit = 0; bit < 32; bit++) {
		/* These say what other fields of the attribute mean. */
		if (BIT(bit) & (BPF_F_VTYPE_BTF_OBJ_FD | BPF_F_TOKEN_FD))
			continue;
		fd = create(r, BIT(bit));
		if ((fd >= 0) != !!(spec_map(r->type)->create_flags & BIT(bit)))
			t_fail(__FILE__, __LINE__, "flag %#x is %s", BIT(bit), fd >= 0 ? "taken" : "refused");
		if (fd >= 0)
			close(fd);
	}
}

/* skep is asked about what it has. */
static bool asked_of(const struct recipe *r)
{
	return oracle_bpf != oracle_skep || spec_map(r->type)->st.state != SPEC_STUB;
}

static void all_flags(void)
{
	begin_maps();
	for (u32 i = 0; i < ARRAY_SIZE(recipes); i++) {
		if (!asked_of(&recipes[i]))
			continue;
		t_row("%s: flags of %s", oracle_name(), spec_map(recipes[i].type)->name);
		check_flags(&recipes[i]);
	}
	end_maps();
}

TEST(create_flags)
{
	NEED_KERNEL();
	all_flags();
}

TEST(skep_create_flags)
{
	oracle_bpf = oracle_skep;
	all_flags();
	oracle_bpf = t_kernel_bpf_call;
}

/* Calls the helper on the map in a program. false: cannot be asked (refused for another reason,
 * a key of no bytes for example). */
static bool kernel_takes(const struct spec_helper *h, const struct spec_prog *p, u32 attach, int fd, bool *takes)
{
	struct call c;

	begin(&c);
	for (u32 n = 0; n < 5 && h->arg[n]; n++) {
		if (h->arg[n] & ARG_MAYBE_NULL)
			put(&c, mov((u8)(n + 1), 0));
		else if (!put_right(&c, h, n, fd))
			return false;
	}
	put(&c, (struct bpf_insn){ .code = 0x85, .imm = (s32)h->id });
	put(&c, mov(0, legal_r0(p, attach)));
	put(&c, exit_insn);
	*takes = !kernel_load(p->type, attach, c.insn, c.cnt, true) || strstr(log_buf, "reference leak");
	return *takes || strstr(log_buf, "cannot pass map_type") ||
	       strstr(log_buf, "expected prog array map for tail call");
}

static bool has_map_argument(const struct spec_helper *h)
{
	return ARG_BASE(h->arg[0]) == ARG_CONST_MAP || ARG_BASE(h->arg[1]) == ARG_CONST_MAP;
}

/* A type and attach type to ask with. */
static bool asker(const struct spec_helper *h, const struct spec_prog **p, u32 *attach)
{
	for (u32 t = 1; t < spec_nr_progs; t++)
		for (u32 a = 0; loads_alone(&spec_progs[t]) && a < spec_nr_attaches; a++)
			if (spec_attach_at_load(t, a) == a && spec_helper_for((s32)h->id, t, a) == h &&
			    spec_helper_allowed(h, t, a) && !(h->flags & SPEC_HELPER_TARGET)) {
				*p = &spec_progs[t];
				*attach = a;
				return true;
			}
	return false;
}

static u32 check_helpers(const struct recipe *r, int fd)
{
	u32 asked = 0;

	for (u32 id = 1; id < spec_nr_helpers; id++) {
		const struct spec_helper *h = &spec_helpers[id];
		const struct spec_prog *p;
		u32 attach;
		bool takes;

		if (!has_map_argument(h) || !asker(h, &p, &attach) || !kernel_takes(h, p, attach, fd, &takes))
			continue;
		asked++;
		if (takes != spec_map_takes_helper(r->type, (s32)id))
			t_fail(__FILE__, __LINE__, "%s %s", h->name, takes ? "may be called" : "is refused");
	}
	return asked;
}

static void all_helpers(void)
{
	begin_maps();
	for (u32 i = 0; i < ARRAY_SIZE(recipes); i++) {
		int fd;

		if (!asked_of(&recipes[i]))
			continue;
		t_row("%s: helpers that take %s", oracle_name(), spec_map(recipes[i].type)->name);
		fd = create(&recipes[i], 0);
		CHECK(fd >= 0 && check_helpers(&recipes[i], fd) > 10);
		close(fd);
	}
	end_maps();
}

TEST(helpers_that_take_the_map)
{
	NEED_KERNEL();
	all_helpers();
}

TEST(skep_helpers_that_take_the_map)
{
	oracle_bpf = oracle_skep;
	all_helpers();
	oracle_bpf = t_kernel_bpf_call;
}
