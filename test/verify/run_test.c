/* SPDX-License-Identifier: Apache-2.0 */
/* run_test.c - random programs (gen.h, tame: their result depends on nothing but packet and maps) are loaded into skep and into the
 * kernel and run there by BPF_PROG_TEST_RUN: same result, same packet afterwards, same map contents. */
#include "gen.h"

#include <stdio.h>

#include "skep.h"
#include "vm/vm.h"

#define PKT	96

struct host {
	long (*bpf)(int cmd, union bpf_attr *attr, unsigned int size);	/* result or -errno */
	int map[SM_NR];
};

static long kernel_bpf(int cmd, union bpf_attr *attr, unsigned int size)
{
	long r = t_kernel_bpf_call(cmd, attr, size);

	return r < 0 ? -errno : r;
}

static int host_open(struct host *h, long (*bpf)(int, union bpf_attr *, unsigned int))
{
	h->bpf = bpf;
	for (int i = 1; i < SM_NR; i++) {
		const struct side_map_row *r = &side_maps[i];
		union bpf_attr a;

		memset(&a, 0, sizeof(a));
		a.map_type = r->type;
		a.key_size = r->key;
		a.value_size = r->value;
		a.max_entries = r->max;
		a.map_flags = r->flags;
		a.inner_map_fd = r->type == BPF_MAP_TYPE_ARRAY_OF_MAPS ? (u32)h->map[SM_ARRAY] : 0;
		h->map[i] = (int)bpf(BPF_MAP_CREATE, &a, sizeof(a));
		if (h->map[i] < 0)
			return h->map[i];
	}
	return 0;
}

static void host_close(struct host *h)
{
	for (int i = 1; i < SM_NR; i++)
		close(h->map[i]);
}

static int load(struct host *h, const struct gen *g)
{
	static struct bpf_insn in[GEN_MAX];
	union bpf_attr a;

	memcpy(in, g->insn, g->n * sizeof(*in));
	for (u32 i = 0; i < g->n; i++) {
		if (in[i].code != INSN_LDIMM64)
			continue;
		in[i].imm = h->map[in[i].imm];
		i++;
	}
	memset(&a, 0, sizeof(a));
	a.prog_type = g->type;
	a.insns = (u64)(uintptr_t)in;
	a.insn_cnt = g->n;
	a.license = (u64)(uintptr_t)"GPL";
	return (int)h->bpf(BPF_PROG_LOAD, &a, sizeof(a));
}

struct result {
	int err;
	u32 retval, size;
	u8 out[256];
};

static struct result run(struct host *h, int prog, u32 seed)
{
	static u8 in[PKT];
	struct result r = { 0 };
	union bpf_attr a;

	for (u32 i = 0; i < PKT; i++)
		in[i] = (u8)(i * 13 + seed * 7 + (i * seed >> 3));
	in[12] = 8;
	in[13] = 0;
	memset(&a, 0, sizeof(a));
	a.test.prog_fd = (u32)prog;
	a.test.data_in = (u64)(uintptr_t)in;
	a.test.data_size_in = PKT;
	a.test.data_out = (u64)(uintptr_t)r.out;
	a.test.data_size_out = sizeof(r.out);
	a.test.repeat = 1;
	r.err = (int)h->bpf(BPF_PROG_TEST_RUN, &a, sizeof(a));
	r.retval = a.test.retval;
	r.size = a.test.data_size_out;
	return r;
}

/* A sum over the elements of the hash maps and arrays, whatever their order. */
static u64 contents(struct host *h)
{
	static const u8 which[] = { SM_HASH, SM_ARRAY, SM_HASH16 };
	u64 sum = 0;

	for (u32 m = 0; m < ARRAY_SIZE(which); m++) {
		u8 key[16], next[16], value[64];
		union bpf_attr a;
		bool first = true;

		for (;;) {
			u64 x = which[m];

			memset(&a, 0, sizeof(a));
			a.map_fd = (u32)h->map[which[m]];
			a.key = first ? 0 : (u64)(uintptr_t)key;
			a.next_key = (u64)(uintptr_t)next;
			if (h->bpf(BPF_MAP_GET_NEXT_KEY, &a, sizeof(a)))
				break;
			first = false;
			memcpy(key, next, sizeof(key));
			memset(&a, 0, sizeof(a));
			a.map_fd = (u32)h->map[which[m]];
			a.key = (u64)(uintptr_t)key;
			a.value = (u64)(uintptr_t)value;
			if (h->bpf(BPF_MAP_LOOKUP_ELEM, &a, sizeof(a)))
				continue;
			for (u32 i = 0; i < side_maps[which[m]].key; i++)
				x = (x ^ key[i]) * 1099511628211ull;
			for (u32 i = 0; i < side_maps[which[m]].value; i++)
				x = (x ^ value[i]) * 1099511628211ull;
			sum += x;
		}
	}
	return sum;
}

static void show(const struct gen *g)
{
	struct sbuf b = { 0 };

	for (u32 i = 0; getenv("RUN_SHOW") && i < g->n; i++) {
		sbuf_reset(&b);
		disasm_insn(&b, &g->insn[i], NULL);
		printf("# %u: %s\n", i, b.s);
		i += g->insn[i].code == INSN_LDIMM64;
	}
	sbuf_free(&b);
}

TEST(random_programs_run_as_on_the_kernel)
{
	u32 count = t_fast() ? 150 : (u32)(getenv("RUN_COUNT") ? atoi(getenv("RUN_COUNT")) : 4000), ran = 0;
	struct host s = { 0 }, k = { 0 };
	static struct gen g;

	if (!t_kernel_bpf()) {
		t_skip("no kernel bpf(2) to compare with");
		return;
	}
	NEED(!host_open(&s, skep_bpf));
	NEED(!host_open(&k, kernel_bpf));
	for (u32 i = 0; i < count; i++) {
		struct result rs, rk;
		int ps, pk;

		gen_program(&g, i, true);
		ps = load(&s, &g);
		pk = load(&k, &g);
		EQ(ps < 0 ? ps : 0, pk < 0 ? pk : 0);
		for (u32 p = 0; p < 3 && ps >= 0 && pk >= 0; p++) {
			bool same;

			rs = run(&s, ps, p);
			rk = run(&k, pk, p);
			same = rs.err == rk.err && rs.retval == rk.retval && rs.size == rk.size &&
			       !memcmp(rs.out, rk.out, sizeof(rs.out)) && contents(&s) == contents(&k);
			if (!same) {
				t_fail(__FILE__, __LINE__, "seed %u packet %u: skep %d/%#x/%u, kernel %d/%#x/%u, packet %s, maps %s", i,
				       p, rs.err, rs.retval, rs.size, rk.err, rk.retval, rk.size,
				       memcmp(rs.out, rk.out, sizeof(rs.out)) ? "differs" : "same",
				       contents(&s) == contents(&k) ? "same" : "differ");
				show(&g);
				return;
			}
			ran++;
		}
		if (ps >= 0)
			close(ps);
		if (pk >= 0)
			close(pk);
	}
	CHECK(ran > count);
	host_close(&s);
	host_close(&k);
}
