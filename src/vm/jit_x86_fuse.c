/* SPDX-License-Identifier: Apache-2.0 */
/* jit_x86_fuse.c - groups of BPF instructions that x86-64 says shorter: addresses (lea, indexed operands), rotates, the
 * shift pairs that extend 32 bits, bit tests, lookups in array maps. Each matcher looks at the instructions from i on;
 * none but the first may be a branch target; intermediate results must be dead or are produced as well. */
#include "vm/x86.h"

#define OP(cls, op, src)	((cls) | (op) | (src))

static const struct bpf_insn *at(const struct jit *j, u32 i, u32 n)
{
	return jit_follows(j, i, n) ? &j->insn[i + n] : NULL;
}

/* Is REG read from instruction I on? */
static bool live_in(const struct jit *j, u32 i, u32 reg)
{
	u16 use, def;

	ir_use_def(&j->insn[i], &use, &def);
	return (use | (j->ir.fact[i].live & ~def)) >> reg & 1;
}

/* ---- addresses ---- */

static bool add_disp(struct x86_mem *m, s64 v)
{
	s64 d = m->disp + v;

	if (d != (s32)d)
		return false;
	m->disp = (s32)d;
	return true;
}

/* Take IN, an operation on register D whose value so far is M, into M. */
static bool extend(struct x86_mem *m, const struct bpf_insn *in, u32 d, u8 cls)
{
	u8 code = in->code;

	if (in->dst_reg != d || in->off)
		return false;
	if (code == OP(cls, BPF_ADD, BPF_K))
		return add_disp(m, in->imm);
	if (code == OP(cls, BPF_LSH, BPF_K) && in->imm > 0 && in->imm <= 3 && m->index == NO_REG &&
	    !m->disp && m->base != RSP && m->base != NO_REG) {
		m->index = m->base;
		m->scale = (u8)(1 << in->imm);
		m->base = NO_REG;
		return true;
	}
	if (code != OP(cls, BPF_ADD, BPF_X) || in->src_reg == d || in->src_reg == 10)
		return false;
	if (m->base == NO_REG)
		m->base = x86_reg[in->src_reg];
	else if (m->index == NO_REG)
		m->index = x86_reg[in->src_reg];
	else
		return false;
	return true;
}

/* A load through D that is D's last use. */
static int load_through(struct jit *j, u32 i, u32 n, u32 d, struct x86_mem m)
{
	const struct bpf_insn *in = at(j, i, n);
	u8 mode;

	if (!in || insn_class(in->code) != BPF_LDX || in->src_reg != d)
		return 0;
	mode = BPF_MODE(in->code);
	if ((mode != BPF_MEM && mode != BPF_MEMSX) || (in->dst_reg != d && x86_live(j, i + n, d)) ||
	    !add_disp(&m, in->off))
		return 0;
	return x86_load(j, in, m) < 0 ? 0 : (int)n + 1;
}

/* d = s; d <<= 1..3; d += r; d += imm; *(d + off): as many as fit. */
static int address(struct jit *j, u32 i)
{
	const struct bpf_insn *in = &j->insn[i], *next;
	u8 cls = insn_class(in->code);
	u32 n = 1, good = 1, d = in->dst_reg;
	struct x86_mem m, best;
	int used;

	if (in->code != OP(cls, BPF_MOV, BPF_X) || in->off || in->src_reg == d)
		return 0;
	m = best = in->src_reg == 10 ? x86_fp(j, 0) : x86_at(x86_reg[in->src_reg], 0);
	while ((next = at(j, i, n)) && extend(&m, next, d, cls)) {
		n++;
		if (m.base != NO_REG) {
			best = m;
			good = n;
		}
	}
	if (cls == BPF_ALU64) {
		used = load_through(j, i, good, d, best);
		if (used)
			return used;
	}
	if (good == 1)
		return 0;
	x86_lea(j, cls == BPF_ALU64, x86_reg[d], best);
	return (int)good;
}

/* x <<= 1..3; y += x, x dead */
static int scaled_add(struct jit *j, u32 i)
{
	const struct bpf_insn *in = &j->insn[i], *add = at(j, i, 1);
	u8 cls = insn_class(in->code);
	struct x86_mem m;

	if (!add || in->code != OP(cls, BPF_LSH, BPF_K) || in->imm < 1 || in->imm > 3 ||
	    add->code != OP(cls, BPF_ADD, BPF_X) || add->src_reg != in->dst_reg ||
	    add->dst_reg == in->dst_reg || x86_live(j, i + 1, in->dst_reg))
		return 0;
	m = (struct x86_mem) { x86_reg[add->dst_reg], x86_reg[in->dst_reg], (u8)(1 << in->imm), 0 };
	x86_lea(j, cls == BPF_ALU64, x86_reg[add->dst_reg], m);
	return 2;
}

/* ---- rotates ---- */

struct half {				/* one side of a rotate: reg = x shifted */
	u32 reg, x, n;
	bool left;
};

static bool is_shift(const struct bpf_insn *in, u8 cls, struct half *h)
{
	u32 width = cls == BPF_ALU64 ? 64 : 32;

	if (!in || in->imm <= 0 || (u32)in->imm >= width ||
	    (in->code != OP(cls, BPF_LSH, BPF_K) && in->code != OP(cls, BPF_RSH, BPF_K)))
		return false;
	h->reg = in->dst_reg;
	h->n = (u32)in->imm;
	h->left = BPF_OP(in->code) == BPF_LSH;
	return true;
}

/* t = x; t <<= n; [d = x;] d >>= W - n; d |= t, shifts in either order, the sum in either register. */
static int rotate(struct jit *j, u32 i)
{
	const struct bpf_insn *in = &j->insn[i], *second, *sum;
	u8 cls = insn_class(in->code), op;
	u32 n = 2, dead, width = cls == BPF_ALU64 ? 64 : 32;
	struct half a, b;

	if (in->code != OP(cls, BPF_MOV, BPF_X) || in->off || in->src_reg == 10 ||
	    !is_shift(at(j, i, 1), cls, &a) || a.reg != in->dst_reg || in->src_reg == a.reg)
		return 0;
	a.x = b.x = in->src_reg;
	second = at(j, i, 2);
	if (second && second->code == in->code && !second->off && second->src_reg == a.x &&
	    second->dst_reg != a.reg) {
		b.x = second->dst_reg;
		n++;
	}
	if (!is_shift(at(j, i, n), cls, &b) || b.reg != b.x || b.left == a.left || a.n + b.n != width)
		return 0;
	sum = at(j, i, n + 1);
	if (!sum || insn_class(sum->code) != cls || BPF_SRC(sum->code) != BPF_X || sum->off)
		return 0;
	op = BPF_OP(sum->code);
	if ((op != BPF_OR && op != BPF_XOR && op != BPF_ADD) ||
	    !((sum->dst_reg == a.reg && sum->src_reg == b.reg) ||
	      (sum->dst_reg == b.reg && sum->src_reg == a.reg)))
		return 0;
	dead = sum->src_reg;
	if (x86_live(j, i + n + 1, dead))
		return 0;
	if (sum->dst_reg != a.x)
		x86_mov(j, cls == BPF_ALU64, x86_reg[sum->dst_reg], x86_reg[a.x]);
	x86_shift_imm(j, cls == BPF_ALU64, X86_ROL, x86_reg[sum->dst_reg], (u8)(a.left ? a.n : b.n));
	return (int)n + 2;
}

/* ---- widths ---- */

/* [d = s;] d <<= 32; d >>= 32.. (or s>>=): the low half, extended. */
static int extend32(struct jit *j, u32 i)
{
	const struct bpf_insn *in = &j->insn[i], *up = in, *down;
	u32 n = 1, src = in->dst_reg;
	u8 dst;

	if (in->code == OP(BPF_ALU64, BPF_MOV, BPF_X) && !in->off && in->src_reg != 10) {
		up = at(j, i, 1);
		src = in->src_reg;
		n = 2;
	}
	down = at(j, i, n);
	if (!up || !down || up->code != OP(BPF_ALU64, BPF_LSH, BPF_K) || up->imm != 32 ||
	    up->dst_reg != in->dst_reg || down->dst_reg != in->dst_reg || down->imm < 32 || down->imm > 63)
		return 0;
	dst = x86_reg[in->dst_reg];
	if (down->code == OP(BPF_ALU64, BPF_RSH, BPF_K)) {
		if (!x86_zext(j, i, src))
			x86_mov(j, false, dst, x86_reg[src]);
		else
			x86_move(j, dst, x86_reg[src]);
		if (down->imm > 32)
			x86_shift_imm(j, false, X86_SHR, dst, (u8)(down->imm - 32));
	} else if (down->code == OP(BPF_ALU64, BPF_ARSH, BPF_K)) {
		x86_rr(j, true, 0x63, dst, x86_reg[src]);
		if (down->imm > 32)
			x86_shift_imm(j, true, X86_SAR, dst, (u8)(down->imm - 32));
	} else {
		return 0;
	}
	return (int)n + 1;
}

/* ---- bit tests ---- */

/* [t = x;] t >>= n; t &= 1; if t == 0 (or != 0) goto, t dead */
static int bit_test(struct jit *j, u32 i)
{
	const struct bpf_insn *in = &j->insn[i], *and, *jmp;
	u32 n = 0, x = in->dst_reg;
	struct half h;
	u8 op;

	if (insn_class(in->code) != BPF_ALU && insn_class(in->code) != BPF_ALU64)
		return 0;
	if (BPF_OP(in->code) == BPF_MOV) {
		if (BPF_SRC(in->code) != BPF_X || in->off || in->src_reg == 10)
			return 0;
		x = in->src_reg;
		n = 1;
	}
	in = n ? at(j, i, n) : in;
	if (!in || !is_shift(in, insn_class(in->code), &h) || h.left || h.reg != j->insn[i].dst_reg)
		return 0;
	if (n && insn_class(in->code) == BPF_ALU64 && insn_class(j->insn[i].code) == BPF_ALU && h.n > 31)
		return 0;
	and = at(j, i, n + 1);
	jmp = at(j, i, n + 2);
	if (!and || !jmp || and->dst_reg != h.reg || and->imm != 1 ||
	    (and->code != OP(BPF_ALU, BPF_AND, BPF_K) && and->code != OP(BPF_ALU64, BPF_AND, BPF_K)) ||
	    !insn_is_jmp_class(jmp->code) || BPF_SRC(jmp->code) != BPF_K || jmp->dst_reg != h.reg ||
	    jmp->imm || x86_live(j, i + n + 2, h.reg))
		return 0;
	op = BPF_OP(jmp->code);
	if (op != BPF_JEQ && op != BPF_JNE)
		return 0;
	x86_rr(j, h.n > 31, 0x0fba, 4, x86_reg[x]);		/* bt $n, x */
	x86_1(j, (u8)h.n);
	x86_jump_if(j, op == BPF_JEQ ? CC_AE : CC_B, (u32)insn_target(jmp, i + n + 2));
	return (int)n + 3;
}

/* ---- lookups in array maps ---- */

/* rax = element of the array, for the index in eax. */
static void element(struct jit *j, const struct jit_map *map, u16 n)
{
	u32 stride = map->value_stride;
	bool power = !(stride & (stride - 1));

	if (map->max_entries == 1) {
		x86_load_addr(j, RAX, RELOC_MAP_DATA, n, 0);
		return;
	}
	x86_load_addr(j, X86_TMP, RELOC_MAP_DATA, n, 0);
	if (stride == 8) {
		x86_lea(j, true, RAX, (struct x86_mem) { X86_TMP, RAX, 8, 0 });
		return;
	}
	if (power) {
		x86_shift_imm(j, true, X86_SHL, RAX, (u8)__builtin_ctz(stride));
	} else {
		x86_rr(j, true, fits8((s32)stride) ? 0x6b : 0x69, RAX, RAX);
		x86_imm(j, (s32)stride, fits8((s32)stride) ? 1 : 4);
	}
	x86_alu(j, true, X86_ADD, RAX, X86_TMP);
}

static bool array_lookup_fits(const struct jit *j, u32 i)
{
	const struct ir_fact *f = &j->ir.fact[i];
	const struct jit_map *map = f->map ? &j->o->maps[f->map - 1] : NULL;

	return map && map->type == BPF_MAP_TYPE_ARRAY && map->max_entries && map->value_stride &&
	       map->value_stride <= INT32_MAX && map->max_entries <= INT32_MAX;
}

/* r0 = address of the element or NULL; a check of r0 that follows is merged with the check of the index. */
static int array_lookup(struct jit *j, u32 i)
{
	const struct ir_fact *f = &j->ir.fact[i];
	const struct jit_map *map = &j->o->maps[f->map - 1];
	const struct bpf_insn *test = at(j, i, 1);
	u32 miss, done;

	x86_rm(j, false, 0x8b, RAX, f->key == IR_FP_UNKNOWN ? x86_at(RSI, 0) : x86_fp(j, f->key));
	x86_alu_imm(j, false, X86_CMP, RAX, (s32)map->max_entries);
	if (test && test->code == (BPF_JMP | BPF_JEQ | BPF_K) && test->dst_reg == 0 && !test->imm &&
	    !live_in(j, (u32)insn_target(test, i + 1), 0)) {
		x86_jump_if(j, CC_AE, (u32)insn_target(test, i + 1));
		element(j, map, (u16)(f->map - 1));
		return 2;
	}
	miss = x86_skip(j, CC_AE);
	element(j, map, (u16)(f->map - 1));
	done = x86_skip_always(j);
	x86_land(j, miss);
	x86_load_imm(j, RAX, 0);
	x86_land(j, done);
	return 1;
}

/* Helpers that are compiled instead of called. */
static const struct inlined {
	s32 helper;
	bool (*fits)(const struct jit *j, u32 i);
	int (*emit)(struct jit *j, u32 i);
} inlined[] = {
	{ BPF_FUNC_map_lookup_elem, array_lookup_fits, array_lookup },
};

static const struct inlined *inlined_call(const struct jit *j, u32 i)
{
	const struct bpf_insn *in = &j->insn[i];

	for (u32 k = 0; k < ARRAY_SIZE(inlined); k++)
		if (!in->src_reg && in->imm == inlined[k].helper)
			return inlined[k].fits(j, i) ? &inlined[k] : NULL;
	return NULL;
}

bool x86_inlines(const struct jit *j, u32 i)
{
	return inlined_call(j, i) != NULL;
}

int x86_fuse(struct jit *j, u32 i)
{
	static int (*const alu[])(struct jit *j, u32 i) = { rotate, bit_test, extend32, address, scaled_add };
	u8 code = j->insn[i].code;
	int n = 0;

	if (code == (BPF_JMP | BPF_CALL))
		return j->ir.fact[i].flags & IR_INLINE ? inlined_call(j, i)->emit(j, i) : 0;
	if (insn_class(code) != BPF_ALU && insn_class(code) != BPF_ALU64)
		return 0;
	for (u32 k = 0; k < ARRAY_SIZE(alu) && !n; k++)
		n = alu[k](j, i);
	return n;
}
