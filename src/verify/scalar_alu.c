/* SPDX-License-Identifier: Apache-2.0 */
/* scalar_alu.c - transfer functions of the ALU instructions on the scalar domain.
 *
 * Each operation is written once for a width: struct range holds the unsigned and the signed bounds of the whole register or
 * of its low half. Additions and the like are computed in both widths, because either may be the sharper view afterwards;
 * shifts only in the instruction's own. What has no row in ops[] (division, modulo, byte swaps) leaves nothing known, as in
 * Linux 6.18. */
#include "verify/scalar.h"

#include "spec/uapi.h"

struct range {
	u64 umin, umax;
	s64 smin, smax;
};

static struct range unbounded(u32 w)
{
	return w == 64 ? (struct range){ 0, UINT64_MAX, INT64_MIN, INT64_MAX }
		       : (struct range){ 0, UINT32_MAX, INT32_MIN, INT32_MAX };
}

static struct range get(const struct vfy_scalar *s, u32 w)
{
	return w == 64 ? (struct range){ s->umin, s->umax, s->smin, s->smax }
		       : (struct range){ s->u32_min, s->u32_max, s->s32_min, s->s32_max };
}

static void put(struct vfy_scalar *s, u32 w, struct range r)
{
	if (w == 64) {
		s->umin = r.umin;
		s->umax = r.umax;
		s->smin = r.smin;
		s->smax = r.smax;
	} else {
		s->u32_min = (u32)r.umin;
		s->u32_max = (u32)r.umax;
		s->s32_min = (s32)r.smin;
		s->s32_max = (s32)r.smax;
	}
}

/* The signed bounds are the unsigned ones read as signed, when these do not cross the sign boundary of the width. */
static void signed_from_unsigned(struct range *r, u32 w)
{
	s64 lo = w == 64 ? (s64)r->umin : (s32)r->umin, hi = w == 64 ? (s64)r->umax : (s32)r->umax;
	struct range all = unbounded(w);

	r->smin = lo <= hi ? lo : all.smin;
	r->smax = lo <= hi ? hi : all.smax;
}

/* ---- add, sub, mul: overflow at the width ------------------------------------------------------------------- */

#define S_OVERFLOWS(op, a, b, r, w)	\
	(__builtin_##op##_overflow((s64)(a), (s64)(b), (r)) || ((w) == 32 && *(r) != (s32)*(r)))
#define U_OVERFLOWS(op, a, b, r, w)	\
	(__builtin_##op##_overflow((u64)(a), (u64)(b), (r)) || ((w) == 32 && *(r) > UINT32_MAX))

/* Unsigned ends that wrap both, or neither, are still the ends of a range. */
static void put_unsigned_ends(struct range *d, u64 lo, bool lo_wraps, u64 hi, bool hi_wraps, u32 w)
{
	u64 all = w == 64 ? UINT64_MAX : UINT32_MAX;

	d->umin = lo_wraps == hi_wraps ? lo & all : 0;
	d->umax = lo_wraps == hi_wraps ? hi & all : all;
}

static void range_add(struct range *d, const struct range *s, u32 w)
{
	struct range all = unbounded(w), r;
	bool lo = U_OVERFLOWS(add, d->umin, s->umin, &r.umin, w);
	bool hi = U_OVERFLOWS(add, d->umax, s->umax, &r.umax, w);

	put_unsigned_ends(d, r.umin, lo, r.umax, hi, w);
	if (S_OVERFLOWS(add, d->smin, s->smin, &r.smin, w) || S_OVERFLOWS(add, d->smax, s->smax, &r.smax, w)) {
		r.smin = all.smin;
		r.smax = all.smax;
	}
	d->smin = r.smin;
	d->smax = r.smax;
}

static void range_sub(struct range *d, const struct range *s, u32 w)
{
	struct range all = unbounded(w), r;
	u64 umin = d->umin - s->umax, umax = d->umax - s->umin;

	put_unsigned_ends(d, umin, d->umin < s->umax, umax, d->umax < s->umin, w);
	if (S_OVERFLOWS(sub, d->smin, s->smax, &r.smin, w) || S_OVERFLOWS(sub, d->smax, s->smin, &r.smax, w)) {
		r.smin = all.smin;
		r.smax = all.smax;
	}
	d->smin = r.smin;
	d->smax = r.smax;
}

static void range_mul(struct range *d, const struct range *s, u32 w)
{
	struct range r = unbounded(w);
	u64 lo, hi;
	s64 p[4];

	if (!U_OVERFLOWS(mul, d->umax, s->umax, &hi, w) && !U_OVERFLOWS(mul, d->umin, s->umin, &lo, w)) {
		r.umin = lo;
		r.umax = hi;
	}
	if (!S_OVERFLOWS(mul, d->smin, s->smin, &p[0], w) && !S_OVERFLOWS(mul, d->smin, s->smax, &p[1], w) &&
	    !S_OVERFLOWS(mul, d->smax, s->smin, &p[2], w) && !S_OVERFLOWS(mul, d->smax, s->smax, &p[3], w)) {
		r.smin = MIN(MIN(p[0], p[1]), MIN(p[2], p[3]));
		r.smax = MAX(MAX(p[0], p[1]), MAX(p[2], p[3]));
	}
	*d = r;
}

/* ---- and, or, xor: VAR is the result's tnum at the width ----------------------------------------------------- */

static void range_and(struct range *d, const struct range *s, struct tnum var)
{
	d->umin = var.value;
	d->umax = MIN(d->umax, s->umax);
}

static void range_or(struct range *d, const struct range *s, struct tnum var)
{
	d->umin = MAX(d->umin, s->umin);
	d->umax = var.value | var.mask;
}

static void range_xor(struct range *d, const struct range *s, struct tnum var)
{
	d->umin = var.value;
	d->umax = var.value | var.mask;
}

/* ---- shifts by a constant N ---------------------------------------------------------------------------------- */

static void range_lsh(struct range *d, u32 n, u32 w)
{
	struct range all = unbounded(w);

	if (n >= w || d->umax > 1ull << (w - 1 - n)) {	/* the top bit may be shifted out */
		d->umin = all.umin;
		d->umax = all.umax;
	} else {
		d->umin <<= n;
		d->umax <<= n;
	}
	d->smin = all.smin;
	d->smax = all.smax;
}

static void range_rsh(struct range *d, u32 n, u32 w)
{
	struct range all = unbounded(w);

	d->umin >>= n;
	d->umax >>= n;
	d->smin = all.smin;
	d->smax = all.smax;
}

static void range_arsh(struct range *d, u32 n, u32 w)
{
	struct range all = unbounded(w);

	d->smin >>= n;
	d->smax >>= n;
	d->umin = all.umin;
	d->umax = all.umax;
}

/* ---- registers ----------------------------------------------------------------------------------------------- */

struct alu_op {
	void (*arith)(struct range *d, const struct range *s, u32 w);
	void (*bits)(struct range *d, const struct range *s, struct tnum var);
	void (*shift)(struct range *d, u32 n, u32 w);
	struct tnum (*var)(struct tnum a, struct tnum b);	/* arith and bits */
};

static const struct alu_op ops[16] = {
	[BPF_ADD >> 4]  = { .arith = range_add,  .var = tnum_add },
	[BPF_SUB >> 4]  = { .arith = range_sub,  .var = tnum_sub },
	[BPF_NEG >> 4]  = { .arith = range_sub,  .var = tnum_sub },	/* 0 - dst */
	[BPF_MUL >> 4]  = { .arith = range_mul,  .var = tnum_mul },
	[BPF_AND >> 4]  = { .bits  = range_and,  .var = tnum_and },
	[BPF_OR >> 4]   = { .bits  = range_or,   .var = tnum_or },
	[BPF_XOR >> 4]  = { .bits  = range_xor,  .var = tnum_xor },
	[BPF_LSH >> 4]  = { .shift = range_lsh },
	[BPF_RSH >> 4]  = { .shift = range_rsh },
	[BPF_ARSH >> 4] = { .shift = range_arsh },
};

static void apply_arith(const struct alu_op *op, struct vfy_scalar *d, const struct vfy_scalar *s)
{
	for (u32 w = 32; w <= 64; w += 32) {
		struct range rd = get(d, w), rs = get(s, w);

		op->arith(&rd, &rs, w);
		put(d, w, rd);
	}
	d->var = op->var(d->var, s->var);
}

static void apply_bits(const struct alu_op *op, struct vfy_scalar *d, const struct vfy_scalar *s)
{
	d->var = op->var(d->var, s->var);
	for (u32 w = 32; w <= 64; w += 32) {
		struct range rd = get(d, w), rs = get(s, w);
		struct tnum var = w == 32 ? tnum_low(d->var) : d->var;

		if (tnum_is_const(var))
			rd.umin = rd.umax = var.value;
		else
			op->bits(&rd, &rs, var);
		signed_from_unsigned(&rd, w);
		put(d, w, rd);
	}
}

static struct tnum shift_var(u8 op, struct tnum v, u32 n, u32 w)
{
	if (w == 32)
		v = tnum_low(v);
	switch (op) {
	case BPF_LSH:
		return w == 32 ? tnum_low(tnum_lsh(v, (u8)n)) : tnum_lsh(v, (u8)n);
	case BPF_RSH:
		return tnum_rsh(v, (u8)n);
	default:
		return tnum_arsh(v, (u8)n, (u8)w);
	}
}

/* A 64-bit shift says nothing of the low half by itself, except that a left shift is one of the low half too. */
static void apply_shift64(u8 op, const struct alu_op *o, struct vfy_scalar *d, u32 n)
{
	struct range low = get(d, 32), r = get(d, 64);

	o->shift(&r, n, 64);
	if (op == BPF_LSH && n == 32) {		/* half of a sign extension: the low half's sign becomes the sign */
		r.smin = (s64)((u64)low.smin << 32);
		r.smax = (s64)((u64)low.smax << 32);
	}
	put(d, 64, r);
	if (op == BPF_LSH) {
		range_lsh(&low, n, 32);
		put(d, 32, low);
	} else {
		vfy_scalar_unbound32(d);
	}
	d->var = shift_var(op, d->var, n, 64);
}

static void apply_shift32(u8 op, const struct alu_op *o, struct vfy_scalar *d, u32 n)
{
	struct range r = get(d, 32);

	o->shift(&r, n, 32);
	put(d, 32, r);
	put(d, 64, unbounded(64));
	d->var = shift_var(op, d->var, n, 32);
}

static void mov(s16 off, bool w32, struct vfy_scalar *d, const struct vfy_scalar *s)
{
	*d = *s;
	if (w32 && off)
		vfy_scalar_sext32(d, (u32)off / 8);
	else if (w32)
		vfy_scalar_zext32(d);
	else if (off)
		vfy_scalar_sext(d, (u32)off / 8);
}

/* Shifts are followed only by an amount that is known and below the width: the whole register must be below it, also where only
 * the low half counts (as in Linux). */
static bool shift_known(const struct vfy_scalar *s, u32 w)
{
	struct range r = get(s, w);

	return vfy_scalar_is_const_w(s, w == 32) && r.umin == r.umax && r.smin == r.smax && s->umax < w;
}

void vfy_scalar_alu(u8 code, s16 off, struct vfy_scalar *dst, const struct vfy_scalar *src)
{
	u32 w = BPF_CLASS(code) == BPF_ALU ? 32 : 64;
	u8 op = BPF_OP(code);
	const struct alu_op *o = &ops[op >> 4];
	struct vfy_scalar s = *src;

	if (op == BPF_MOV) {
		mov(off, w == 32, dst, &s);
		return;
	}
	if (op == BPF_NEG) {
		s = *dst;
		vfy_scalar_const(dst, 0);
	}
	if (o->arith) {
		apply_arith(o, dst, &s);
	} else if (o->bits) {
		apply_bits(o, dst, &s);
	} else if (o->shift && shift_known(&s, w)) {
		if (w == 32)
			apply_shift32(op, o, dst, (u32)s.var.value);
		else
			apply_shift64(op, o, dst, (u32)s.var.value);
	} else {
		vfy_scalar_unknown(dst);
		return;
	}
	if (w == 32)
		vfy_scalar_zext32(dst);
	else
		vfy_scalar_sync(dst);
}

static bool is_sign64(const struct vfy_scalar *s)
{
	return s->smin == -1 && s->smax == 0;
}

bool vfy_scalar_forks(u8 code, const struct vfy_scalar *dst, const struct vfy_scalar *src)
{
	if ((BPF_OP(code) != BPF_AND && BPF_OP(code) != BPF_OR) || !tnum_is_const(src->var))
		return false;
	return is_sign64(dst) || (dst->s32_min == -1 && dst->s32_max == 0);
}

static void set_low(struct vfy_scalar *s, u32 v)
{
	s->var = tnum_with_low(s->var, tnum_const(v));
	s->u32_min = s->u32_max = v;
	s->s32_min = s->s32_max = (s32)v;
}

void vfy_scalar_fork(const struct vfy_scalar *dst, struct vfy_scalar *zero, struct vfy_scalar *minus1)
{
	struct vfy_scalar d = *dst;

	*zero = *minus1 = d;
	if (is_sign64(&d)) {
		vfy_scalar_const(zero, 0);
		vfy_scalar_const(minus1, ~0ull);
	} else {
		set_low(zero, 0);
		set_low(minus1, ~0u);
	}
}

void vfy_scalar_ptr_add(struct vfy_scalar *dst, const struct vfy_scalar *ptr, const struct vfy_scalar *off)
{
	struct range all = unbounded(64), p = get(ptr, 64), o = get(off, 64), r;

	if (S_OVERFLOWS(add, p.smin, o.smin, &r.smin, 64) || S_OVERFLOWS(add, p.smax, o.smax, &r.smax, 64)) {
		r.smin = all.smin;
		r.smax = all.smax;
	}
	if (U_OVERFLOWS(add, p.umin, o.umin, &r.umin, 64) || U_OVERFLOWS(add, p.umax, o.umax, &r.umax, 64)) {
		r.umin = all.umin;
		r.umax = all.umax;
	}
	dst->var = tnum_add(ptr->var, off->var);
	put(dst, 64, r);
	put(dst, 32, unbounded(32));
	vfy_scalar_sync(dst);
}

void vfy_scalar_ptr_sub(struct vfy_scalar *dst, const struct vfy_scalar *ptr, const struct vfy_scalar *off)
{
	struct range all = unbounded(64), p = get(ptr, 64), o = get(off, 64), r = all;

	if (S_OVERFLOWS(sub, p.smin, o.smax, &r.smin, 64) || S_OVERFLOWS(sub, p.smax, o.smin, &r.smax, 64)) {
		r.smin = all.smin;
		r.smax = all.smax;
	}
	if (p.umin >= o.umax) {
		r.umin = p.umin - o.umax;
		r.umax = p.umax - o.umin;
	}
	dst->var = tnum_sub(ptr->var, off->var);
	put(dst, 64, r);
	put(dst, 32, unbounded(32));
	vfy_scalar_sync(dst);
}
