/* SPDX-License-Identifier: Apache-2.0 */
/* scalar_branch.c - conditional jumps on the scalar domain: is the outcome known, and what each edge teaches.
 * a > b is b < a, so refinement is written for ==, !=, &, !&, <, <=, signed and unsigned; the rest swaps the operands
 * (mirror[]). The not-taken edge of an operator is the taken edge of its inverse (inverse[]). */
#include "verify/scalar.h"

#include "spec/uapi.h"

#define JNSET	0x01		/* not an opcode: (a & b) == 0 */

struct view {			/* one operand at the width of the jump */
	u64 umin, umax;
	s64 smin, smax;
	struct tnum var;
};

static struct view view(const struct vfy_scalar *s, bool w32)
{
	if (w32)
		return (struct view){ s->u32_min, s->u32_max, s->s32_min, s->s32_max, tnum_low(s->var) };
	return (struct view){ s->umin, s->umax, s->smin, s->smax, s->var };
}

/* ---- is it taken? -------------------------------------------------------------------------------------------- */

static bool disjoint(const struct view *a, const struct view *b)
{
	return a->umin > b->umax || a->umax < b->umin || a->smin > b->smax || a->smax < b->smin;
}

static bool never_equal(const struct vfy_scalar *a, const struct vfy_scalar *b, bool w32)
{
	struct view va = view(a, w32), vb = view(b, w32);

	if (!tnum_overlap(va.var, vb.var) || disjoint(&va, &vb))
		return true;
	if (w32)
		return false;
	va = view(a, true);
	vb = view(b, true);
	return disjoint(&va, &vb);
}

static int equal_taken(const struct vfy_scalar *a, const struct vfy_scalar *b, bool w32)
{
	struct view va = view(a, w32), vb = view(b, w32);

	if (tnum_is_const(va.var) && tnum_is_const(vb.var))
		return va.var.value == vb.var.value;
	return never_equal(a, b, w32) ? 0 : -1;
}

static int set_taken(const struct view *a, const struct view *b)
{
	if (!tnum_is_const(b->var)) {
		const struct view *t = a;

		a = b;
		b = t;
		if (!tnum_is_const(b->var))
			return -1;
	}
	if (a->var.value & b->var.value)
		return 1;
	return (a->var.value | a->var.mask) & b->var.value ? -1 : 0;
}

static int less_taken(const struct view *a, const struct view *b, bool sgn, bool or_equal)
{
	bool sure = sgn ? a->smax < b->smin || (or_equal && a->smax == b->smin)
			: a->umax < b->umin || (or_equal && a->umax == b->umin);
	bool never = sgn ? a->smin > b->smax || (!or_equal && a->smin == b->smax)
			 : a->umin > b->umax || (!or_equal && a->umin == b->umax);

	return sure ? 1 : never ? 0 : -1;
}

int vfy_scalar_taken(u8 op, bool w32, const struct vfy_scalar *a, const struct vfy_scalar *b)
{
	struct view va = view(a, w32), vb = view(b, w32);
	int eq;

	switch (op) {
	case BPF_JEQ:
		return equal_taken(a, b, w32);
	case BPF_JNE:
		eq = equal_taken(a, b, w32);
		return eq < 0 ? -1 : !eq;
	case BPF_JSET:
		return set_taken(&va, &vb);
	case BPF_JLT:
		return less_taken(&va, &vb, false, false);
	case BPF_JLE:
		return less_taken(&va, &vb, false, true);
	case BPF_JSLT:
		return less_taken(&va, &vb, true, false);
	case BPF_JSLE:
		return less_taken(&va, &vb, true, true);
	case BPF_JGT:
		return less_taken(&vb, &va, false, false);
	case BPF_JGE:
		return less_taken(&vb, &va, false, true);
	case BPF_JSGT:
		return less_taken(&vb, &va, true, false);
	case BPF_JSGE:
		return less_taken(&vb, &va, true, true);
	default:
		return -1;
	}
}

/* ---- what an edge teaches ------------------------------------------------------------------------------------ */

static void put_view(struct vfy_scalar *s, bool w32, const struct view *v)
{
	if (w32) {
		s->u32_min = (u32)v->umin;
		s->u32_max = (u32)v->umax;
		s->s32_min = (s32)v->smin;
		s->s32_max = (s32)v->smax;
		s->var = tnum_with_low(s->var, v->var);
	} else {
		s->umin = v->umin;
		s->umax = v->umax;
		s->smin = v->smin;
		s->smax = v->smax;
		s->var = v->var;
	}
}

static void refine_equal(struct view *a, struct view *b)
{
	struct view m = {
		MAX(a->umin, b->umin), MIN(a->umax, b->umax), MAX(a->smin, b->smin), MIN(a->smax, b->smax),
		tnum_intersect(a->var, b->var),
	};

	*a = *b = m;
}

/* B is a constant: it can only be cut off the ends of A. Where that empties a range the edge is dead; put_view() cuts to the
 * width what wraps. */
static void refine_unequal(struct view *a, u64 uval, s64 sval)
{
	if (a->umin == uval)
		a->umin++;
	if (a->umax == uval)
		a->umax--;
	if (a->smin == sval)
		a->smin = (s64)((u64)a->smin + 1);
	if (a->smax == sval)
		a->smax = (s64)((u64)a->smax - 1);
}

static u64 uwrap(u64 v, bool w32)
{
	return w32 ? (u32)v : v;
}

static s64 swrap(u64 v, bool w32)
{
	return w32 ? (s32)v : (s64)v;
}

/* a < b (STRICT 1) or a <= b (STRICT 0). */
static void refine_less(struct view *a, struct view *b, bool sgn, u64 strict, bool w32)
{
	if (sgn) {
		s64 max = swrap((u64)b->smax - strict, w32), min = swrap((u64)a->smin + strict, w32);

		a->smax = MIN(a->smax, max);
		b->smin = MAX(b->smin, min);
	} else {
		u64 max = uwrap(b->umax - strict, w32), min = uwrap(a->umin + strict, w32);

		a->umax = MIN(a->umax, max);
		b->umin = MAX(b->umin, min);
	}
}

/* (s & val) != 0 teaches something when val is one bit; (s & val) == 0 clears all of its bits. */
static void refine_bits(bool set, struct vfy_scalar *s, bool w32, u64 val)
{
	struct tnum t = w32 ? tnum_low(s->var) : s->var;

	if (set) {
		if (!val || (val & (val - 1)))
			return;
		t = tnum_or(t, tnum_const(val));
	} else {
		/* The old ranges may contradict the new bits when the edge is dead. */
		vfy_scalar_unbound(s);
		t = tnum_and(t, tnum_const(~val));
	}
	s->var = w32 ? tnum_with_low(s->var, t) : t;
}

static void refine_views(u8 op, bool w32, struct vfy_scalar *a, struct vfy_scalar *b)
{
	struct view va = view(a, w32), vb = view(b, w32), *pb = a == b ? &va : &vb;

	switch (op) {
	case BPF_JEQ:
		refine_equal(&va, pb);
		break;
	case BPF_JNE:
		refine_unequal(&va, uwrap(b->var.value, w32), swrap(b->var.value, w32));
		break;
	case BPF_JLT:
		refine_less(&va, pb, false, 1, w32);
		break;
	case BPF_JLE:
		refine_less(&va, pb, false, 0, w32);
		break;
	case BPF_JSLT:
		refine_less(&va, pb, true, 1, w32);
		break;
	case BPF_JSLE:
		refine_less(&va, pb, true, 0, w32);
		break;
	}
	put_view(a, w32, &va);
	put_view(b, w32, pb);
}

static const u8 inverse[256] = {
	[BPF_JEQ]  = BPF_JNE,  [BPF_JNE]  = BPF_JEQ,  [BPF_JSET] = JNSET,
	[BPF_JLT]  = BPF_JGE,  [BPF_JGE]  = BPF_JLT,  [BPF_JLE]  = BPF_JGT,  [BPF_JGT]  = BPF_JLE,
	[BPF_JSLT] = BPF_JSGE, [BPF_JSGE] = BPF_JSLT, [BPF_JSLE] = BPF_JSGT, [BPF_JSGT] = BPF_JSLE,
};

static const u8 mirror[256] = {		/* the operator for swapped operands, of those not handled themselves */
	[BPF_JGT] = BPF_JLT, [BPF_JGE] = BPF_JLE, [BPF_JSGT] = BPF_JSLT, [BPF_JSGE] = BPF_JSLE,
};

static void refine(u8 op, bool w32, struct vfy_scalar *a, struct vfy_scalar *b)
{
	bool bits = op == BPF_JSET || op == JNSET;

	if ((bits || op == BPF_JNE) && !vfy_scalar_is_const_w(b, w32)) {
		struct vfy_scalar *t = a;

		a = b;
		b = t;
		if (!vfy_scalar_is_const_w(b, w32))
			return;
	}
	if (bits)
		refine_bits(op == BPF_JSET, a, w32, vfy_scalar_value(b, w32));
	else
		refine_views(op, w32, a, b);
}

static void settle(struct vfy_scalar *s)
{
	vfy_scalar_sync(s);
	if (!vfy_scalar_sane(s))
		vfy_scalar_unbound(s);
}

void vfy_scalar_refine(u8 op, bool w32, bool taken, struct vfy_scalar *a, struct vfy_scalar *b)
{
	if (!taken)
		op = inverse[op];
	if (mirror[op])
		refine(mirror[op], w32, b, a);
	else
		refine(op, w32, a, b);
	settle(a);
	settle(b);
}
