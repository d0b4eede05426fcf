/* SPDX-License-Identifier: Apache-2.0 */
/* gen_test.c - generated programs: interpreter against JIT, and against the kernel. Programs are valid by construction:
 * registers and 64 bytes of stack are set at the start, branches go forward (or around a counted loop), memory
 * is the stack, and at the end everything is folded into r0. A failure prints the seed and the program. */
#include <stdlib.h>

#include "spec/isa.h"

#include "engines.h"

#define PRELUDE		29		/* instructions that set registers and stack */
#define FOLD		31
#define COUNTER		-72

static u64 rng;

static u64 rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng * 0x2545f4914f6cdd1dull;
}

static u32 below(u32 n)
{
	return (u32)(rnd() >> 33) % n;
}

static u64 value(void)
{
	static const u64 edge[] = {
		0, 1, 2, 7, 31, 32, 33, 63, 64, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
		0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000, -1ull, -2ull, -128ull, -129ull,
		0xffffffff80000000, 0xffffffff7fffffff,
	};

	switch (below(3)) {
	case 0:
		return edge[below(ARRAY_SIZE(edge))];
	case 1:
		return rnd() >> below(64);
	}
	return rnd();
}

struct gen {
	struct prog_text *p;
	bool kernel;			/* only what its verifier takes */
	bool in_sub;
	u32 fix[64], unit[64];		/* branches to unit boundaries further on */
	u32 nr_fix;
};

static void put(struct gen *g, struct bpf_insn in)
{
	if (g->p->cnt < PROG_MAX)
		g->p->in[g->p->cnt++] = in;
}

static void put_imm64(struct gen *g, u32 reg, u64 v)
{
	put(g, INSN(INSN_LDIMM64, reg, 0, 0, (s32)v));
	put(g, INSN(0, 0, 0, 0, (s32)(v >> 32)));
}

struct form {
	u8 code;
	s16 off;
};
static const struct form alu_forms[] = {
#define EACH(name, w, src, code, off)	{ code, off },
#define ALU(name, op, off, text, forms, group, ...)	ISA_FORMS(forms, EACH, name, op, off)
#include "spec/isa.def"
#undef EACH
};
static const struct form jmp_forms[] = {
#define EACH(name, w, src, code)	{ code, 0 },
#define JMP(name, op, ...)		ISA_JMP_FORMS(EACH, name, op)
#include "spec/isa.def"
#undef EACH
};
static const struct { u8 code; s32 imm; } end_forms[] = {
#define END(name, code, imm, ...)	{ code, imm },
#include "spec/isa.def"
}, atomic_forms[] = {
#define ATOMIC(name, code, imm, ...)	{ code, imm },
#define LOADACQ(name, code, ...)	{ code, BPF_LOAD_ACQ },
#define STOREREL(name, code, ...)	{ code, BPF_STORE_REL },
#include "spec/isa.def"
};
static const u8 load_forms[] = {
#define LDX(name, code, ...)	code,
#include "spec/isa.def"
}, store_forms[] = {
#define ST(name, code, ...)	code,
#define STX(name, code, ...)	code,
#include "spec/isa.def"
};

static void gen_alu(struct gen *g)
{
	struct form f = alu_forms[below(ARRAY_SIZE(alu_forms))];
	u32 w = insn_class(f.code) == BPF_ALU64 ? 64 : 32;
	struct bpf_insn in = INSN(f.code, below(10), 0, f.off, 0);
	u8 op = BPF_OP(f.code);

	if (op == BPF_MOV && f.off == BPF_ADDR_SPACE_CAST)
		return;
	if (BPF_SRC(f.code) == BPF_X)
		in.src_reg = below(10);
	else if (op != BPF_NEG)
		in.imm = (s32)value();
	if (BPF_SRC(f.code) == BPF_K && g->kernel) {
		if ((op == BPF_DIV || op == BPF_MOD) && !in.imm)
			in.imm = 3;
		if (op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH)
			in.imm &= w - 1;
	}
	put(g, in);
}

static s32 slot(u8 size_bits, bool aligned)
{
	static const u32 bytes[4] = { 4, 2, 1, 8 };
	u32 size = bytes[size_bits >> 3];

	return -64 + (s32)(aligned ? below(64 / size) * size : below(65 - size));
}

static void gen_load(struct gen *g)
{
	u8 code = load_forms[below(ARRAY_SIZE(load_forms))];

	put(g, INSN(code, below(10), 10, slot(BPF_SIZE(code), g->kernel), 0));
}

static void gen_store(struct gen *g)
{
	u8 code = store_forms[below(ARRAY_SIZE(store_forms))];
	bool st = insn_class(code) == BPF_ST;

	put(g, INSN(code, 10, st ? 0 : below(10), slot(BPF_SIZE(code), g->kernel), st ? (s32)value() : 0));
}

static void gen_atomic(struct gen *g)
{
	u32 k = below(ARRAY_SIZE(atomic_forms));
	u8 code = atomic_forms[k].code;
	s32 imm = atomic_forms[k].imm, at = slot(BPF_SIZE(code), true);
	u32 base = 10, reg = below(10);

	if (below(2)) {				/* through another register */
		base = below(10);
		put(g, INSN(BPF_ALU64 | BPF_MOV | BPF_X, base, 10, 0, 0));
		if (reg == base || (imm == BPF_CMPXCHG && base == 0)) {
			put_imm64(g, base, value());
			base = 10;
		}
	}
	if (imm == BPF_LOAD_ACQ)
		put(g, INSN(code, reg, base, at, imm));
	else
		put(g, INSN(code, base, reg, at, imm));
	if (base != 10)				/* no pointers left behind */
		put_imm64(g, base, value());
}

/* What compilers make of rotates, bit tests, byte swaps, address arithmetic: food for peepholes. */
static void gen_idiom(struct gen *g)
{
	u32 a = below(10), b = (a + 1 + below(9)) % 10, n = 1 + below(63), w = below(2) ? BPF_ALU64 : BPF_ALU;

	if (w == BPF_ALU)
		n = 1 + below(31);
	switch (below(7)) {
	case 6:					/* division by constants */
		put(g, INSN(w | (below(2) ? BPF_DIV : BPF_MOD) | BPF_K, a, 0, 0, (s32)(1 + (rnd() >> (33 + below(31))))));
		break;
	case 0:
		put(g, INSN(w | BPF_MOV | BPF_X, b, a, 0, 0));
		put(g, INSN(w | BPF_LSH | BPF_K, b, 0, 0, n));
		put(g, INSN(w | BPF_RSH | BPF_K, a, 0, 0, (w == BPF_ALU ? 32 : 64) - n));
		put(g, INSN(w | (below(2) ? BPF_OR : BPF_XOR) | BPF_X, below(2) ? a : b, below(2) ? b : a, 0, 0));
		if (below(2))
			put(g, INSN(BPF_ALU64 | BPF_MOV | BPF_K, below(2) ? a : b, 0, 0, 0));
		break;
	case 1:
		put(g, INSN(w | BPF_MOV | BPF_X, b, a, 0, 0));
		put(g, INSN(w | BPF_ADD | BPF_K, b, 0, 0, (s32)value()));
		break;
	case 2:
		put(g, INSN(w | BPF_LSH | BPF_K, a, 0, 0, below(5)));
		put(g, INSN(w | BPF_ADD | BPF_X, b, a, 0, 0));
		break;
	case 3:
		put(g, INSN(BPF_ALU64 | BPF_LSH | BPF_K, a, 0, 0, 32));
		put(g, INSN(BPF_ALU64 | (below(2) ? BPF_RSH : BPF_ARSH) | BPF_K, a, 0, 0, below(4) ? 32 : 33));
		break;
	case 4:
		put(g, INSN(w | BPF_MOV | BPF_X, b, a, 0, 0));
		put(g, INSN(w | BPF_AND | BPF_K, b, 0, 0, 1 << below(31)));
		break;
	case 5:
		put(g, INSN(w | BPF_MOV | BPF_X, b, a, 0, 0));
		put(g, INSN(w | BPF_RSH | BPF_K, b, 0, 0, n));
		put(g, INSN(w | BPF_AND | BPF_K, b, 0, 0, 1));
		break;
	}
}

static void gen_branch(struct gen *g, u32 unit)
{
	struct form f = jmp_forms[below(ARRAY_SIZE(jmp_forms))];
	bool x = BPF_SRC(f.code) == BPF_X;

	if (g->nr_fix == ARRAY_SIZE(g->fix))
		return;
	g->fix[g->nr_fix] = g->p->cnt;
	g->unit[g->nr_fix++] = unit + 1 + below(6);
	if (!g->kernel && below(12) == 0)
		put(g, INSN(BPF_JMP | BPF_JA, 0, 0, 0, 0));
	else
		put(g, INSN(f.code, below(10), x ? below(10) : 0, 0, x ? 0 : (s32)value()));
}

static void gen_call(struct gen *g)
{
	put(g, INSN(BPF_JMP | BPF_CALL, 0, 0, 0, 1000));
	for (u32 r = 1; r <= 5; r++)
		put_imm64(g, r, value());
}

static void gen_unit(struct gen *g, u32 unit)
{
	u32 k = below(100);

	if (k < 40)
		gen_alu(g);
	else if (k < 46)
		put(g, INSN(end_forms[k % ARRAY_SIZE(end_forms)].code, below(10), 0, 0,
			    end_forms[k % ARRAY_SIZE(end_forms)].imm));
	else if (k < 54)
		gen_load(g);
	else if (k < 62)
		gen_store(g);
	else if (k < 68)
		gen_atomic(g);
	else if (k < 80)
		gen_idiom(g);
	else if (k < 84)
		put_imm64(g, below(10), value());
	else if (k < 97 || g->kernel)
		gen_branch(g, unit);
	else
		gen_call(g);
}

/* Branches that reach here, or go on to the end. */
static void land(struct gen *g, u32 unit, bool all)
{
	for (u32 i = 0; i < g->nr_fix; i++) {
		if (g->unit[i] != unit && !(all && g->unit[i] > unit))
			continue;
		g->p->in[g->fix[i]].off = (s16)(g->p->cnt - g->fix[i] - 1);
	}
}

/* A counted loop around the units since START; the counter lies in the stack, so that whatever they do it ends. */
static void close_loop(struct gen *g, u32 start)
{
	u32 r = below(10);

	put(g, INSN(BPF_LDX | BPF_MEM | BPF_DW, r, 10, COUNTER, 0));
	put(g, INSN(BPF_ALU64 | BPF_SUB | BPF_K, r, 0, 0, 1));
	put(g, INSN(BPF_STX | BPF_MEM | BPF_DW, 10, r, COUNTER, 0));
	put(g, INSN(BPF_JMP | BPF_JSGT | BPF_K, r, 0, (s16)(start - g->p->cnt - 1), 0));
}

static void gen_program(struct prog_text *p, bool kernel)
{
	struct gen g = { .p = p, .kernel = kernel };
	u32 units = 5 + below(kernel ? 25 : 60), callee = UINT32_MAX, loop = UINT32_MAX;

	p->cnt = 0;
	for (u32 r = 0; r < 10; r++)
		put_imm64(&g, r, value());
	for (s32 at = -64; at < 0; at += 8)
		put(&g, INSN(BPF_STX | BPF_MEM | BPF_DW, 10, below(10), at, 0));
	put(&g, INSN(BPF_ST | BPF_MEM | BPF_DW, 10, 0, COUNTER, 0));
	for (u32 u = 0; u < units; u++) {
		land(&g, u, false);
		if (callee == UINT32_MAX && below(40) == 0) {
			callee = p->cnt;
			put(&g, INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 0));
			for (u32 r = 1; r <= 5; r++)
				put_imm64(&g, r, value());
		}
		if (!kernel && loop == UINT32_MAX && below(12) == 0) {
			put(&g, INSN(BPF_ST | BPF_MEM | BPF_DW, 10, 0, COUNTER, 1 + below(4)));
			loop = p->cnt;
		}
		gen_unit(&g, u);
		if (loop != UINT32_MAX && below(6) == 0) {
			close_loop(&g, loop);
			loop = UINT32_MAX;
		}
	}
	land(&g, units, true);
	for (u32 r = 1; r < 10; r++) {
		put(&g, INSN(BPF_ALU64 | BPF_MUL | BPF_K, 0, 0, 0, FOLD));
		put(&g, INSN(BPF_ALU64 | BPF_XOR | BPF_X, 0, r, 0, 0));
	}
	for (s32 at = -64; at < 0; at += 8) {
		put(&g, INSN(BPF_LDX | BPF_MEM | BPF_DW, 1, 10, at, 0));
		put(&g, INSN(BPF_ALU64 | BPF_MUL | BPF_K, 0, 0, 0, FOLD));
		put(&g, INSN(BPF_ALU64 | BPF_ADD | BPF_X, 0, 1, 0, 0));
	}
	put(&g, INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
	if (callee == UINT32_MAX)
		return;
	p->in[callee].imm = (s32)(p->cnt - callee - 1);
	put_imm64(&g, 0, value());
	for (u32 r = 6; r < 10; r++)
		if (below(2))
			put_imm64(&g, r, value());
		else
			put(&g, INSN(BPF_ALU64 | BPF_MOV | BPF_X, r, 1 + below(5), 0, 0));
	for (u32 r = 1; r < 10; r++)
		put(&g, INSN(BPF_ALU64 | (below(2) ? BPF_ADD : BPF_XOR) | BPF_X, 0, r, 0, 0));
	put(&g, INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
}

static void print_program(const struct prog_text *p)
{
	struct sbuf out = { 0 };

	for (u32 i = 0; i < p->cnt; i++) {
		if (p->in[i].code == (BPF_JMP | BPF_JA) && !p->in[i].off)
			continue;
		sbuf_printf(&out, "%u: ", i);
		disasm_insn(&out, &p->in[i], NULL);
		sbuf_puts(&out, "\n");
		i += insn_is_ldimm64(&p->in[i]);
	}
	fputs(out.s, stderr);
	sbuf_free(&out);
}

static bool differs(struct prog_text *p, bool kernel)
{
	u64 a = 0, b = 0;

	return !run_interp(p, &a) && !(kernel ? run_kernel(p, false, &b) : run_jit(p, &b)) && a != b;
}

/* Replace what does not matter by "goto pc+0". */
static void shrink(struct prog_text *p, bool kernel)
{
	for (u32 i = PRELUDE; i < p->cnt; i++) {
		struct bpf_insn was[2] = { p->in[i], p->in[MIN(i + 1, p->cnt - 1)] };
		u32 n = 1 + insn_is_ldimm64(was);

		if (was->code == (BPF_ALU64 | BPF_MUL | BPF_K) && was->imm == FOLD)
			return;
		if (was->code == (BPF_JMP | BPF_EXIT) || was->src_reg == 10 || insn_is_ldimm64(was)) {
			i += n - 1;
			continue;
		}
		for (u32 k = 0; k < n; k++)
			p->in[i + k] = INSN(BPF_JMP | BPF_JA, 0, 0, 0, 0);
		if (!differs(p, kernel))
			memcpy(p->in + i, was, n * sizeof(*was));
		i += n - 1;
	}
}

static bool one(struct prog_text *p, u64 seed, bool kernel)
{
	u64 a = 0, b = 0;
	int err;

	rng = seed * 0x9e3779b97f4a7c15ull + 1;
	gen_program(p, kernel);
	find_subs(p);
	err = run_interp(p, &a);
	if (err) {
		t_fail(__FILE__, __LINE__, "seed %llu: interpreter: %d", (unsigned long long)seed, err);
		return false;
	}
	err = kernel ? run_kernel(p, false, &b) : run_jit(p, &b);
	if (err || a != b) {
		t_fail(__FILE__, __LINE__, "seed %llu: error %d, interpreter %#llx, %s %#llx %.300s",
		       (unsigned long long)seed, err, (unsigned long long)a, kernel ? "kernel" : "JIT",
		       (unsigned long long)b, kernel ? kernel_log : "");
		shrink(p, kernel);
		print_program(p);
		return false;
	}
	return true;
}

TEST(generated_programs_interpreter_and_jit_agree)
{
	static struct prog_text p;
	const char *n = getenv("SKEP_GEN");
	u64 count = n ? strtoull(n, NULL, 0) : t_fast() ? 5000 : 100000;

	engines_init();
	for (u64 seed = 1; seed <= count; seed++)
		if (!one(&p, seed, false))
			return;
}

TEST(generated_programs_interpreter_and_kernel_agree)
{
	static struct prog_text p;

	engines_init();
	if (!t_kernel_bpf()) {
		t_skip("needs root and a kernel with bpf(2)");
		return;
	}
	for (u64 seed = 1; seed <= (t_fast() ? 200 : 600); seed++)
		if (!one(&p, seed, true))
			return;
}
