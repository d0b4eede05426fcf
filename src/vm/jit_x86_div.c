/* SPDX-License-Identifier: Apache-2.0 */
/* jit_x86_div.c - division for the x86-64 emitter. BPF: x / 0 = 0, x % 0 = x, INT_MIN / -1 = INT_MIN, INT_MIN % -1 = 0;
 * the machine traps on all four. div and idiv want rax and rdx (r0 and r3), which are kept only when live.
 * Unsigned division by a constant is a multiplication (Granlund and Montgomery, "Division by
 * invariant integers using multiplication", 1994). */
#include "vm/x86.h"

struct division {
	bool w;				/* 64-bit operands */
	bool is_signed, mod;
	bool keep_rax, keep_rdx;
	u8 dst, by;
};

static void zero(struct jit *j, u8 r)
{
	x86_load_imm(j, r, 0);
}

/* rax / BY, unsigned; the 32-bit instruction, up to four times as fast, when both values are that small. */
static void divide_u64(struct jit *j, u8 by)
{
	u32 small, done;

	x86_move(j, RDX, RAX);
	x86_alu(j, true, X86_OR, RDX, by);
	x86_shift_imm(j, true, X86_SHR, RDX, 32);	/* rdx is zero when the next jump is taken */
	small = x86_skip(j, CC_E);
	zero(j, RDX);
	x86_rr(j, true, 0xf7, 6, by);
	done = x86_skip_always(j);
	x86_land(j, small);
	x86_rr(j, false, 0xf7, 6, by);
	x86_land(j, done);
}

/* The machine's instruction; divisor neither 0 nor (signed) -1. */
static void divide(struct jit *j, const struct division *d)
{
	u8 result = d->mod ? RDX : RAX;

	if (d->keep_rdx)
		x86_move(j, X86_TMP2, RDX);
	if (d->keep_rax)
		x86_move(j, X86_TMP3, RAX);
	x86_move(j, RAX, d->dst);
	if (d->w && !d->is_signed) {
		divide_u64(j, d->by);
	} else {
		if (d->is_signed)
			x86_op(j, d->w, 0x99, 0, 0, 0, false);		/* cdq, cqo */
		else
			zero(j, RDX);
		x86_rr(j, d->w, 0xf7, d->is_signed ? 7 : 6, d->by);
	}
	x86_move(j, d->dst, result);
	if (d->keep_rax)
		x86_move(j, RAX, X86_TMP3);
	if (d->keep_rdx)
		x86_move(j, RDX, X86_TMP2);
}

static void by_zero(struct jit *j, const struct division *d)
{
	if (!d->mod)
		zero(j, d->dst);
	else if (!d->w)
		x86_mov(j, false, d->dst, d->dst);
}

static void by_minus_one(struct jit *j, const struct division *d)
{
	if (d->mod)
		zero(j, d->dst);
	else
		x86_rr(j, d->w, 0xf7, 3, d->dst);		/* neg */
}

static void by_register(struct jit *j, const struct division *d)
{
	bool checks_dst = !(d->mod && d->w);		/* 64-bit modulo by zero leaves dst */
	u32 is_zero, is_minus = 0, done, done_minus = 0;

	x86_test(j, d->w, d->by, d->by);
	is_zero = x86_skip(j, CC_E);
	if (d->is_signed) {
		x86_alu_imm(j, d->w, X86_CMP, d->by, -1);
		is_minus = x86_skip(j, CC_E);
	}
	divide(j, d);
	if (!checks_dst && !d->is_signed) {
		x86_land(j, is_zero);
		return;
	}
	done = x86_skip_always(j);
	if (d->is_signed) {
		x86_land(j, is_minus);
		by_minus_one(j, d);
		done_minus = x86_skip_always(j);
	}
	x86_land(j, is_zero);
	by_zero(j, d);
	x86_land(j, done);
	if (d->is_signed)
		x86_land(j, done_minus);
}

/* ---- constant divisors ---- */

static void by_power(struct jit *j, const struct division *d, u32 log)
{
	if (d->mod && log == 0)
		zero(j, d->dst);
	else if (d->mod)
		x86_alu_imm(j, false, X86_AND, d->dst, (s32)(BIT(log) - 1));
	else if (log)
		x86_shift_imm(j, d->w, X86_SHR, d->dst, (u8)log);
	else if (!d->w)
		x86_mov(j, false, d->dst, d->dst);
}

/* x / by = (x * mul) >> (32 + shift) for all 32-bit x; mul may need a 33rd bit. */
static u64 reciprocal(u32 by, u32 *shift)
{
	u32 log = 32 - (u32)__builtin_clz(by - 1);

	for (u32 s = 0; s <= log; s++) {
		unsigned __int128 pow = (unsigned __int128)1 << (32 + s);
		u64 mul = (u64)((pow + by - 1) / by);

		if ((u64)(mul * (unsigned __int128)by - pow) <= BIT64(s) && (mul <= UINT32_MAX || s == log)) {
			*shift = s;
			return mul;
		}
	}
	return 0;
}

/* TMP = dst / by; dst has 32 bits. */
static void quotient(struct jit *j, u8 dst, u32 by, bool zext)
{
	u32 shift = 0;
	u64 mul = reciprocal(by, &shift);

	if (mul <= INT32_MAX && zext) {
		x86_rr(j, true, 0x69, X86_TMP, dst);
		x86_imm(j, (s64)mul, 4);
		x86_shift_imm(j, true, X86_SHR, X86_TMP, (u8)(32 + shift));
		return;
	}
	x86_mov(j, false, X86_TMP, dst);
	x86_load_imm(j, X86_TMP2, mul & UINT32_MAX);
	x86_rr(j, true, 0x0faf, X86_TMP, X86_TMP2);
	if (mul <= UINT32_MAX) {
		x86_shift_imm(j, true, X86_SHR, X86_TMP, (u8)(32 + shift));
		return;
	}
	/* 33 bits: t = high half; (((x - t) >> 1) + t) >> (shift - 1) */
	x86_shift_imm(j, true, X86_SHR, X86_TMP, 32);
	x86_mov(j, false, X86_TMP2, dst);
	x86_alu(j, false, X86_SUB, X86_TMP2, X86_TMP);
	x86_shift_imm(j, false, X86_SHR, X86_TMP2, 1);
	x86_alu(j, false, X86_ADD, X86_TMP, X86_TMP2);
	if (shift > 1)
		x86_shift_imm(j, false, X86_SHR, X86_TMP, (u8)(shift - 1));
}

static void by_reciprocal(struct jit *j, const struct division *d, u32 by, bool zext)
{
	quotient(j, d->dst, by, zext);
	if (!d->mod) {
		x86_move(j, d->dst, X86_TMP);
		return;
	}
	x86_rr(j, false, fits8((s32)by) ? 0x6b : 0x69, X86_TMP, X86_TMP);
	x86_imm(j, (s32)by, fits8((s32)by) ? 1 : 4);
	x86_alu(j, false, X86_SUB, d->dst, X86_TMP);
}

/* x / by = (x * mul) >> (64 + shift) for all 64-bit x and by < 2^31; *wide: mul has a 65th bit besides. */
static u64 reciprocal64(u32 by, u32 *shift, bool *wide)
{
	u32 log = 32 - (u32)__builtin_clz(by - 1);

	for (u32 s = 0; s <= log; s++) {
		unsigned __int128 pow = (unsigned __int128)1 << (64 + s), mul = (pow + by - 1) / by;

		if (mul * by - pow > BIT64(s) || (mul > UINT64_MAX && s < log))
			continue;
		*shift = s;
		*wide = mul > UINT64_MAX;
		return (u64)mul;
	}
	return 0;
}

/* 64-bit dst by a constant: the high half of a product, in rdx. */
static void by_reciprocal64(struct jit *j, const struct division *d, u32 by)
{
	u32 shift = 0;
	bool wide = false;
	u64 mul = reciprocal64(by, &shift, &wide);

	x86_move(j, X86_TMP, d->dst);
	if (d->keep_rdx)
		x86_move(j, X86_TMP2, RDX);
	if (d->keep_rax)
		x86_move(j, X86_TMP3, RAX);
	x86_load_imm(j, RAX, mul);
	x86_rr(j, true, 0xf7, 4, X86_TMP);			/* mul */
	if (wide) {						/* (((x - high) >> 1) + high) >> (shift - 1) */
		x86_move(j, RAX, X86_TMP);
		x86_alu(j, true, X86_SUB, RAX, RDX);
		x86_shift_imm(j, true, X86_SHR, RAX, 1);
		x86_alu(j, true, X86_ADD, RDX, RAX);
		shift--;
	}
	if (shift)
		x86_shift_imm(j, true, X86_SHR, RDX, (u8)shift);
	if (d->mod) {
		x86_rr(j, true, fits8((s32)by) ? 0x6b : 0x69, RDX, RDX);
		x86_imm(j, (s32)by, fits8((s32)by) ? 1 : 4);
		x86_alu(j, true, X86_SUB, X86_TMP, RDX);
	}
	x86_move(j, d->dst, d->mod ? X86_TMP : RDX);
	if (d->keep_rax)
		x86_move(j, RAX, X86_TMP3);
	if (d->keep_rdx)
		x86_move(j, RDX, X86_TMP2);
}

static void by_constant(struct jit *j, struct division *d, s32 imm, bool zext)
{
	u64 by = d->w ? (u64)(s64)imm : (u32)imm;

	if (!imm) {
		by_zero(j, d);
	} else if (d->is_signed && imm == -1) {
		by_minus_one(j, d);
	} else if (!d->is_signed && !(by & (by - 1))) {
		by_power(j, d, (u32)__builtin_ctzll(by));
	} else if (!d->is_signed && (!d->w || zext) && by <= UINT32_MAX) {
		by_reciprocal(j, d, (u32)by, zext);
	} else if (!d->is_signed && d->w && imm > 0) {
		by_reciprocal64(j, d, (u32)imm);
	} else {
		d->by = X86_TMP;
		x86_load_imm(j, X86_TMP, by);
		divide(j, d);
	}
}

void x86_divide(struct jit *j, u32 i, u8 dst, u8 src)
{
	const struct bpf_insn *in = &j->insn[i];
	const struct ir_fact *f = &j->ir.fact[i];
	bool zext = f->zext >> in->dst_reg & 1;
	struct division d = {
		.w = insn_class(in->code) == BPF_ALU64, .is_signed = in->off == 1,
		.mod = BPF_OP(in->code) == BPF_MOD, .dst = dst, .by = src,
		.keep_rax = dst != RAX && f->live & BIT(0), .keep_rdx = dst != RDX && f->live & BIT(3),
	};

	if (src == NO_REG) {
		by_constant(j, &d, in->imm, zext);
		return;
	}
	if (d.w && !d.is_signed && zext && f->zext >> in->src_reg & 1)
		d.w = false;		/* both have 32 bits: the shorter instruction */
	if (src == RAX || src == RDX) {
		x86_move(j, X86_TMP, src);
		d.by = X86_TMP;
	}
	by_register(j, &d);
}
