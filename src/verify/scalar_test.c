/* SPDX-License-Identifier: Apache-2.0 */
/* scalar_test.c - the scalar domain against the instruction table: whatever the row's own expression gives for members of
 * the operands must be a member of the result. Exhaustive over 4-bit tnums and over short intervals placed where bounds wrap
 * (0, the sign and width boundaries of 32 and 64 bits), random elsewhere. */
#include "verify/scalar.h"

#include <stdlib.h>
#include <string.h>

#include "spec/isa.h"
#include "spec/spec.h"
#include "spec/uapi.h"
#include "t.h"

static u64 seed = 88172645463325252ull;

static u64 rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* ---- tnum: every pair of 4-bit tnums ------------------------------------------------------------------------- */

#define TB	4
#define TFULL	BIT(TB)

static struct tnum all_tnums[128];
static u32 nr_tnums;

static void make_tnums(void)
{
	nr_tnums = 0;
	for (u64 m = 0; m < TFULL; m++)
		for (u64 v = 0; v < TFULL; v++)
			if (!(v & m))
				all_tnums[nr_tnums++] = TNUM(v, m);
}

struct tnum_row {
	const char *name;
	struct tnum (*op)(struct tnum, struct tnum);
	u64 (*f)(u64, u64);
	bool best;		/* the result is the smallest tnum that is right */
};
#define F(name, expr)	static u64 f_##name(u64 a, u64 b) { return expr; }
F(add, a + b) F(sub, a - b) F(mul, a * b) F(and, a & b) F(or, a | b) F(xor, a ^ b)

static const struct tnum_row tnum_rows[] = {
	{ "tnum add", tnum_add, f_add, true },
	{ "tnum sub", tnum_sub, f_sub, true },
	{ "tnum mul", tnum_mul, f_mul, false },
	{ "tnum and", tnum_and, f_and, true },
	{ "tnum or",  tnum_or,  f_or,  true },
	{ "tnum xor", tnum_xor, f_xor, true },
};

static void tnum_pair(const struct tnum_row *r, struct tnum a, struct tnum b)
{
	struct tnum got = r->op(a, b), best = TNUM(0, 0);
	bool first = true;

	CHECK(!(got.value & got.mask));
	for (u64 x = 0; x < TFULL; x++)
		for (u64 y = 0; y < TFULL; y++) {
			if (!tnum_has(a, x) || !tnum_has(b, y))
				continue;
			CHECK(tnum_has(got, r->f(x, y)));
			best = first ? tnum_const(r->f(x, y)) : tnum_union(best, tnum_const(r->f(x, y)));
			first = false;
		}
	if (r->best) {
		EQ(got.value, best.value);
		EQ(got.mask, best.mask);
	}
}

TEST(tnum_every_pair)
{
	make_tnums();
	for (u32 r = 0; r < ARRAY_SIZE(tnum_rows); r++) {
		t_row("%s: every pair of 4-bit operands%s", tnum_rows[r].name,
		      tnum_rows[r].best ? ", most precise" : "");
		for (u32 i = 0; i < nr_tnums; i++)
			for (u32 j = 0; j < nr_tnums; j++)
				tnum_pair(&tnum_rows[r], all_tnums[i], all_tnums[j]);
	}
}

static void tnum_sets(struct tnum a, struct tnum b)
{
	bool overlap = false, in = true;
	struct tnum u = tnum_union(a, b), m = tnum_intersect(a, b);

	for (u64 x = 0; x < TFULL; x++) {
		bool ha = tnum_has(a, x), hb = tnum_has(b, x);

		overlap |= ha && hb;
		in &= !hb || ha;
		CHECK(!(ha || hb) || tnum_has(u, x));
		CHECK(!(ha && hb) || tnum_has(m, x));
	}
	EQ(tnum_overlap(a, b), overlap);
	EQ(tnum_in(a, b), in);
}

TEST(tnum_sets_every_pair)
{
	make_tnums();
	for (u32 i = 0; i < nr_tnums; i++)
		for (u32 j = 0; j < nr_tnums; j++)
			tnum_sets(all_tnums[i], all_tnums[j]);
}

TEST(tnum_next_is_the_next_member)
{
	make_tnums();
	for (u32 i = 0; i < nr_tnums; i++)
		for (u64 v = 0; v < 2 * TFULL; v++) {
			u64 want = v + 1;

			while (want < TFULL && !tnum_has(all_tnums[i], want))
				want++;
			EQ(tnum_next(all_tnums[i], v), want < TFULL ? want : all_tnums[i].value | all_tnums[i].mask);
		}
}

TEST(tnum_unary_and_range)
{
	make_tnums();
	for (u32 i = 0; i < nr_tnums; i++)
		for (u64 x = 0; x < TFULL; x++) {
			struct tnum hi = tnum_lsh(all_tnums[i], 60), hi32 = tnum_lsh(all_tnums[i], 28);

			if (!tnum_has(all_tnums[i], x))
				continue;
			for (u8 n = 0; n < 6; n++) {
				CHECK(tnum_has(tnum_lsh(all_tnums[i], n), x << n));
				CHECK(tnum_has(tnum_rsh(all_tnums[i], n), x >> n));
				CHECK(tnum_has(tnum_arsh(hi, n, 64), (u64)((s64)(x << 60) >> n)));
				CHECK(tnum_has(tnum_arsh(hi32, n, 32), (u32)((s32)(x << 28) >> n)));
			}
			CHECK(tnum_has(tnum_neg(all_tnums[i]), -x));
			CHECK(tnum_has(tnum_cast(hi, 4), (u32)(x << 60)));
		}
	for (u64 lo = 0; lo < 32; lo++)
		for (u64 hi = lo; hi < 32; hi++)
			for (u64 x = lo; x <= hi; x++)
				CHECK(tnum_has(tnum_range(lo, hi), x));
}

/* ---- scalars: small sets of values and what abstracts them ---------------------------------------------------- */

struct set {
	u64 v[12];
	u32 n;
	struct vfy_scalar s;
};

static void abstract(struct set *x)
{
	struct vfy_scalar c;

	vfy_scalar_const(&x->s, x->v[0]);
	for (u32 i = 1; i < x->n; i++) {
		vfy_scalar_const(&c, x->v[i]);
		vfy_scalar_join(&x->s, &x->s, &c);
	}
	vfy_scalar_sync(&x->s);
}

/* Where some view of an interval wraps or changes sign. */
static const u64 bases[] = {
	0, (u64)-3, 0x7ffffffd, 0xfffffffd, 0x17ffffffdull, 0x7ffffffffffffffdull, 0x8000000000000000ull,
	0xffffffff7ffffffdull, 0xfffffffefffffffdull, 0x7d, 0x7ffd, 0xfd, 0x123456789abcdef0ull, 61,
};
#define SPAN	5

static struct set *sets;
static u32 nr_sets;

static void add_set(const u64 *v, u32 n)
{
	struct set *x;

	if (nr_sets % 256 == 0)
		sets = realloc(sets, sizeof(*sets) * (nr_sets + 256));
	x = &sets[nr_sets++];
	memcpy(x->v, v, n * sizeof(*v));
	x->n = n;
	abstract(x);
}

static void add_interval(u64 base, u64 step, u32 n)
{
	u64 v[SPAN + 1];

	for (u32 i = 0; i < n; i++)
		v[i] = base + i * step;
	add_set(v, n);
}

static void add_random_sets(u32 n)
{
	u64 v[6];

	for (u32 i = 0; i < n; i++) {
		u32 cnt = 1 + rnd() % ARRAY_SIZE(v), sh = rnd() % 64;
		u64 keep = rnd() | rnd();		/* bits in common */

		for (u32 j = 0; j < cnt; j++)
			v[j] = ((rnd() & ~keep)) + (keep & 0x5555aaaa12345678ull) + (rnd() >> sh);
		add_set(v, cnt);
	}
}

static void make_sets(void)
{
	if (nr_sets)
		return;
	for (u32 b = 0; b < ARRAY_SIZE(bases); b++)
		for (u32 lo = 0; lo < SPAN; lo++)
			for (u32 n = 1; n <= SPAN + 1 - lo; n += t_fast() ? 2 : 1)
				add_interval(bases[b] + lo, 1, n);
	for (u32 b = 0; b < ARRAY_SIZE(bases); b++)
		add_interval(bases[b], 8, 4), add_interval(bases[b], 1ull << 32, 3);
	add_random_sets(t_fast() ? 40 : 200);
}

TEST(members_stay_members)
{
	make_sets();
	for (u32 i = 0; i < nr_sets; i++)
		for (u32 k = 0; k < sets[i].n; k++)
			CHECK(vfy_scalar_has(&sets[i].s, sets[i].v[k]));
}

static bool followed(u8 code)		/* the domain follows the operation (scalar_alu.c has a row) */
{
	return BPF_OP(code) != BPF_DIV && BPF_OP(code) != BPF_MOD && BPF_OP(code) != BPF_END;
}

static void check_alu(u8 code, s16 off, const struct set *a, const struct set *b)
{
	struct vfy_scalar r = a->s;
	u64 want = 0;

	vfy_scalar_alu(code, off, &r, &b->s);
	CHECK(vfy_scalar_sane(&r));
	for (u32 i = 0; i < a->n; i++)
		for (u32 j = 0; j < b->n; j++) {
			CHECK(isa_alu_eval(code, off, a->v[i], b->v[j], &want));
			if (!vfy_scalar_has(&r, want))
				t_fail(__FILE__, __LINE__, "code %#x off %d: %#llx op %#llx = %#llx is not in [%#llx,%#llx]",
				       code, off, (long long)a->v[i], (long long)b->v[j], (long long)want,
				       (long long)r.umin, (long long)r.umax);
		}
	bool shift = BPF_OP(code) == BPF_LSH || BPF_OP(code) == BPF_RSH || BPF_OP(code) == BPF_ARSH;
	u64 w = BPF_CLASS(code) == BPF_ALU ? 32 : 64;
	if (a->n == 1 && b->n == 1 && followed(code) && !(shift && b->v[0] >= w)) {
		CHECK(vfy_scalar_is_const(&r));
		EQ(r.var.value, want);
	}
}

TEST(alu_rows)
{
	make_sets();
	for (u32 i = 0; i < spec_nr_insns; i++) {
		const struct spec_insn *in = &spec_insns[i];
		u8 class = BPF_CLASS(in->code);

		if ((class != BPF_ALU && class != BPF_ALU64) || BPF_OP(in->code) == BPF_END || in->off == 1)
			continue;
		if (BPF_OP(in->code) == BPF_DIV || BPF_OP(in->code) == BPF_MOD)
			continue;		/* nothing is known of the result: alu_unfollowed */
		t_row("%s: every result of members is in the result", in->name);
		for (u32 x = 0; x < nr_sets; x++)
			for (u32 y = 0; y < nr_sets; y++)
				check_alu(in->code, in->off == SPEC_ANY ? 0 : in->off, &sets[x], &sets[y]);
	}
}

TEST(alu_unfollowed)
{
	static const u8 codes[] = { BPF_ALU | BPF_DIV, BPF_ALU64 | BPF_DIV, BPF_ALU | BPF_MOD, BPF_ALU64 | BPF_MOD,
				    BPF_ALU | BPF_END, BPF_ALU64 | BPF_END };
	struct vfy_scalar a, k, all;

	vfy_scalar_unknown(&all);
	for (u32 i = 0; i < ARRAY_SIZE(codes); i++) {
		vfy_scalar_const(&a, 100);
		vfy_scalar_const(&k, 7);
		vfy_scalar_alu(codes[i], 0, &a, &k);
		CHECK(vfy_scalar_equal(&a, &all));
	}
}

static void check_jump(u8 code, const struct set *a, const struct set *b)
{
	bool w32 = BPF_CLASS(code) == BPF_JMP32;
	int known = vfy_scalar_taken(BPF_OP(code), w32, &a->s, &b->s);
	struct vfy_scalar ra[2], rb[2];

	for (int e = 0; e < 2; e++) {
		ra[e] = a->s;
		rb[e] = b->s;
		vfy_scalar_refine(BPF_OP(code), w32, e, &ra[e], &rb[e]);
	}
	for (u32 i = 0; i < a->n; i++)
		for (u32 j = 0; j < b->n; j++) {
			int e = isa_jmp_eval(code, a->v[i], b->v[j]);

			CHECK(known < 0 || known == e);
			CHECK(known >= 0 || (vfy_scalar_has(&ra[e], a->v[i]) && vfy_scalar_has(&rb[e], b->v[j])));
		}
	if (a->n == 1 && b->n == 1)
		EQ(known, isa_jmp_eval(code, a->v[0], b->v[0]));
}

TEST(jump_rows)
{
	make_sets();
	for (u32 i = 0; i < spec_nr_insns; i++) {
		const struct spec_insn *in = &spec_insns[i];
		u8 class = BPF_CLASS(in->code);

		if ((class != BPF_JMP && class != BPF_JMP32) || BPF_SRC(in->code) != BPF_X ||
		    isa_jmp_eval(in->code, 0, 0) < 0)
			continue;
		t_row("%s: outcome and both edges agree with every pair of members", in->name);
		for (u32 x = 0; x < nr_sets; x++)
			for (u32 y = 0; y < nr_sets; y++)
				check_jump(in->code, &sets[x], &sets[y]);
	}
}

TEST(width_changes)
{
	make_sets();
	for (u32 i = 0; i < nr_sets; i++)
		for (u32 bytes = 1; bytes <= 4; bytes *= 2) {
			struct vfy_scalar t = sets[i].s, x = sets[i].s;
			u32 sh = 64 - bytes * 8;

			vfy_scalar_trunc(&t, bytes);
			vfy_scalar_sext(&x, bytes);
			for (u32 k = 0; k < sets[i].n; k++) {
				CHECK(vfy_scalar_has(&t, sets[i].v[k] << sh >> sh));
				CHECK(vfy_scalar_has(&x, (u64)((s64)(sets[i].v[k] << sh) >> sh)));
			}
		}
}

TEST(pointer_offsets)
{
	struct vfy_scalar r;

	make_sets();
	for (u32 i = 0; i < nr_sets; i++)
		for (u32 j = 0; j < nr_sets; j++)
			for (u32 k = 0; k < sets[i].n; k++) {
				vfy_scalar_ptr_add(&r, &sets[i].s, &sets[j].s);
				CHECK(vfy_scalar_has(&r, sets[i].v[k] + sets[j].v[0]));
				vfy_scalar_ptr_sub(&r, &sets[i].s, &sets[j].s);
				CHECK(vfy_scalar_has(&r, sets[i].v[k] - sets[j].v[0]));
			}
}

TEST(join_holds_both_and_widening_ends)
{
	struct vfy_scalar w, n;

	make_sets();
	for (u32 i = 0; i < nr_sets; i++) {
		int steps = 0;

		w = sets[i].s;
		for (u32 j = 0; j < nr_sets; j++) {
			const struct vfy_scalar *b = &sets[(i * 7 + j) % nr_sets].s;

			vfy_scalar_widen(&n, &w, b);
			CHECK(vfy_scalar_in(&n, &w));
			CHECK(vfy_scalar_in(&n, b));
			steps += !vfy_scalar_equal(&n, &w);
			w = n;
		}
		CHECK(steps < 256);
	}
}

/* ---- the log's notation --------------------------------------------------------------------------------------- */

struct log_row {
	const char *name, *want;
	struct vfy_scalar s;
	u32 id;
};

static const struct log_row log_rows[] = {
	{ "nothing known", "scalar()", { TNUM_UNKNOWN, 0, UINT64_MAX, INT64_MIN, INT64_MAX, 0, UINT32_MAX,
	  INT32_MIN, INT32_MAX } },
	{ "equal bounds share a value", "scalar(smin=smin32=0,smax=umax=smax32=umax32=255,var_off=(0x0; 0xff))",
	  { TNUM(0, 255), 0, 255, 0, 255, 0, 255, 0, 255 } },
	{ "an id comes first", "scalar(id=7,smin=smin32=0,smax=umax=smax32=umax32=255,var_off=(0x0; 0xff))",
	  { TNUM(0, 255), 0, 255, 0, 255, 0, 255, 0, 255 }, 7 },
	{ "small constants are decimal", "-7", { TNUM(-7ull, 0), -7ull, -7ull, -7, -7, -7u, -7u, -7, -7 } },
	{ "large constants are hex", "0x8000", { TNUM(0x8000, 0), 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000,
	  0x8000, 0x8000 } },
	{ "32-bit signed bounds in hex have 8 digits",
	  "scalar(smin=0xffffffff80000000,smax=0x7fffffff)",
	  { TNUM_UNKNOWN, 0, UINT64_MAX, INT32_MIN, INT32_MAX, 0, UINT32_MAX, INT32_MIN, INT32_MAX } },
};

TEST(log_rows)
{
	for (u32 i = 0; i < ARRAY_SIZE(log_rows); i++) {
		struct sbuf b = { 0 };

		t_row("log: %s", log_rows[i].name);
		vfy_scalar_log(&b, &log_rows[i].s, log_rows[i].id);
		STR_EQ(b.s, log_rows[i].want);
		sbuf_free(&b);
	}
}
