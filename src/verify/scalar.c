/* SPDX-License-Identifier: Apache-2.0 */
/* scalar.c - the scalar domain: making, deducing, changing width, comparing sets, printing.
 * Invariant kept by all but vfy_scalar_refine() on dead branches: every concrete value that the state stands for lies within
 * each of the five views (u64, s64, u32, s32, var). scalar_alu.c and scalar_branch.c hold the instructions. */
#include "verify/scalar.h"

#include <inttypes.h>

#define SYNC_ROUNDS	3	/* Linux >= 6.17; not a full fixpoint, and visible in the log */

/* ---- making ------------------------------------------------------------------------------------------------- */

void vfy_scalar_const(struct vfy_scalar *s, u64 v)
{
	*s = (struct vfy_scalar){ tnum_const(v), v, v, (s64)v, (s64)v, (u32)v, (u32)v, (s32)v, (s32)v };
}

void vfy_scalar_unbound32(struct vfy_scalar *s)
{
	s->u32_min = 0;
	s->u32_max = UINT32_MAX;
	s->s32_min = INT32_MIN;
	s->s32_max = INT32_MAX;
}

void vfy_scalar_unbound(struct vfy_scalar *s)
{
	s->umin = 0;
	s->umax = UINT64_MAX;
	s->smin = INT64_MIN;
	s->smax = INT64_MAX;
	vfy_scalar_unbound32(s);
}

void vfy_scalar_unknown(struct vfy_scalar *s)
{
	s->var = TNUM_UNKNOWN;
	vfy_scalar_unbound(s);
}

void vfy_scalar_srange(struct vfy_scalar *s, s64 smin, s64 smax)
{
	vfy_scalar_unknown(s);
	s->smin = smin;
	s->smax = smax;
	vfy_scalar_sync(s);
}

/* ---- deducing ----------------------------------------------------------------------------------------------- */

#define RAISE(min, v)	((min) = MAX((min), (__typeof__(min))(v)))
#define LOWER(max, v)	((max) = MIN((max), (__typeof__(max))(v)))

/* var and the unsigned range may have only one number in common. */
static void single_member(struct vfy_scalar *s)
{
	u64 next = tnum_next(s->var, s->umin);

	if (tnum_has(s->var, s->umin)) {
		if (next > s->umax)
			vfy_scalar_const(s, s->umin);
	} else if (next == (s->var.value | s->var.mask) ||
		   (next <= s->umax && tnum_next(s->var, next) > s->umax)) {
		vfy_scalar_const(s, next);
	}
}

static void bounds_from_var(struct vfy_scalar *s)
{
	struct tnum l = tnum_low(s->var), v = s->var;

	/* The smallest signed member has an unknown sign bit set, the largest has it clear. */
	RAISE(s->s32_min, (s32)(l.value | (l.mask & BIT(31))));
	LOWER(s->s32_max, (s32)(l.value | (l.mask & INT32_MAX)));
	RAISE(s->u32_min, l.value);
	LOWER(s->u32_max, l.value | l.mask);
	RAISE(s->smin, v.value | (v.mask & BIT64(63)));
	LOWER(s->smax, v.value | (v.mask & INT64_MAX));
	RAISE(s->umin, v.value);
	LOWER(s->umax, v.value | v.mask);
	single_member(s);
}

/* [LO, HI] is a range of 64-bit values: what follows for the low halves. */
static void low_from_range(struct vfy_scalar *s, u64 lo, u64 hi, bool is_signed)
{
	u32 l = (u32)lo, h = (u32)hi, lo_top = (u32)(lo >> 32), hi_top = (u32)(hi >> 32);

	if (lo_top == hi_top) {
		if (!is_signed || l <= h) {
			RAISE(s->u32_min, l);
			LOWER(s->u32_max, h);
		}
		if ((s32)l <= (s32)h) {
			RAISE(s->s32_min, l);
			LOWER(s->s32_max, h);
		}
	} else if ((u32)(lo_top + 1) == hi_top && (s32)l < 0 && (s32)h >= 0) {
		/* The low half wraps once, through -1 to 0: contiguous as a signed number. */
		RAISE(s->s32_min, l);
		LOWER(s->s32_max, h);
	}
}

/* As unsigned numbers a signed range through -1 and 0 is [0, smax] and [smin, max]; when the unsigned range touches only one
 * of these, both shrink to it: the last two cases of deduce32() and deduce64(). */
static void deduce32(struct vfy_scalar *s)
{
	low_from_range(s, s->umin, s->umax, false);
	low_from_range(s, (u64)s->smin, (u64)s->smax, true);
	if ((s32)s->u32_min <= (s32)s->u32_max) {
		RAISE(s->s32_min, s->u32_min);
		LOWER(s->s32_max, s->u32_max);
	}
	if ((u32)s->s32_min <= (u32)s->s32_max) {
		RAISE(s->u32_min, s->s32_min);
		LOWER(s->u32_max, s->s32_max);
	} else if (s->u32_max < (u32)s->s32_min) {
		s->s32_min = (s32)s->u32_min;
		LOWER(s->u32_max, s->s32_max);
	} else if (s->u32_min > (u32)s->s32_max) {
		s->s32_max = (s32)s->u32_max;
		RAISE(s->u32_min, s->s32_min);
	}
}

static void deduce64(struct vfy_scalar *s)
{
	if ((s64)s->umin <= (s64)s->umax) {
		RAISE(s->smin, s->umin);
		LOWER(s->smax, s->umax);
	}
	if ((u64)s->smin <= (u64)s->smax) {
		RAISE(s->umin, s->smin);
		LOWER(s->umax, s->smax);
	} else if (s->umax < (u64)s->smin) {
		s->smin = (s64)s->umin;
		LOWER(s->umax, s->smax);
	} else if (s->umin > (u64)s->smax) {
		s->smax = (s64)s->umax;
		RAISE(s->umin, s->smin);
	}
}

/* The low half's range put under the upper halves of the 64-bit bounds. */
static void deduce_mixed(struct vfy_scalar *s)
{
	const u64 top = ~(u64)UINT32_MAX;

	RAISE(s->umin, (s->umin & top) | s->u32_min);
	LOWER(s->umax, (s->umax & top) | s->u32_max);
	RAISE(s->smin, ((u64)s->smin & top) | s->u32_min);
	LOWER(s->smax, ((u64)s->smax & top) | s->u32_max);
	/* A value that fits 32 bits signed and whose low half is not negative is that low half. */
	if (s->s32_min >= 0 && s->smin >= INT32_MIN && s->smax <= INT32_MAX) {
		s->smin = s->s32_min;
		s->smax = s->s32_max;
		s->umin = (u64)s->s32_min;
		s->umax = (u64)s->s32_max;
		s->var = tnum_intersect(s->var, tnum_range(s->umin, s->umax));
	}
}

static void var_from_bounds(struct vfy_scalar *s)
{
	struct tnum v = tnum_intersect(s->var, tnum_range(s->umin, s->umax));
	struct tnum l = tnum_intersect(tnum_low(v), tnum_range(s->u32_min, s->u32_max));

	s->var = tnum_with_low(v, l);
}

void vfy_scalar_sync(struct vfy_scalar *s)
{
	bounds_from_var(s);
	for (int i = 0; i < SYNC_ROUNDS; i++) {
		deduce32(s);
		deduce64(s);
		deduce_mixed(s);
	}
	var_from_bounds(s);
	bounds_from_var(s);
}

/* ---- asking ------------------------------------------------------------------------------------------------- */

bool vfy_scalar_is_const_w(const struct vfy_scalar *s, bool w32)
{
	return w32 ? tnum_low_is_const(s->var) : tnum_is_const(s->var);
}

u64 vfy_scalar_value(const struct vfy_scalar *s, bool w32)
{
	return w32 ? (u32)s->var.value : s->var.value;
}

u32 vfy_scalar_width(const struct vfy_scalar *s)
{
	return s->umax ? 64 - (u32)__builtin_clzll(s->umax) : 0;
}

bool vfy_scalar_has(const struct vfy_scalar *s, u64 v)
{
	return tnum_has(s->var, v) && v >= s->umin && v <= s->umax && (s64)v >= s->smin && (s64)v <= s->smax &&
	       (u32)v >= s->u32_min && (u32)v <= s->u32_max && (s32)v >= s->s32_min && (s32)v <= s->s32_max;
}

bool vfy_scalar_in(const struct vfy_scalar *big, const struct vfy_scalar *small)
{
	return tnum_in(big->var, small->var) && big->umin <= small->umin && big->umax >= small->umax &&
	       big->smin <= small->smin && big->smax >= small->smax && big->u32_min <= small->u32_min &&
	       big->u32_max >= small->u32_max && big->s32_min <= small->s32_min && big->s32_max >= small->s32_max;
}

bool vfy_scalar_equal(const struct vfy_scalar *a, const struct vfy_scalar *b)
{
	return vfy_scalar_in(a, b) && vfy_scalar_in(b, a);
}

bool vfy_scalar_sane(const struct vfy_scalar *s)
{
	u64 v = s->var.value;

	if (s->umin > s->umax || s->smin > s->smax || s->u32_min > s->u32_max || s->s32_min > s->s32_max)
		return false;
	if (tnum_is_const(s->var) && (s->umin != v || s->umax != v || (u64)s->smin != v || (u64)s->smax != v))
		return false;
	return !tnum_low_is_const(s->var) ||
	       (s->u32_min == (u32)v && s->u32_max == (u32)v && s->s32_min == (s32)v && s->s32_max == (s32)v);
}

/* ---- changing width ----------------------------------------------------------------------------------------- */

void vfy_scalar_zext32(struct vfy_scalar *s)
{
	s->var = tnum_low(s->var);
	s->umin = s->u32_min;
	s->umax = s->u32_max;
	s->smin = s->s32_min >= 0 ? s->s32_min : 0;
	s->smax = s->s32_min >= 0 ? s->s32_max : (s64)UINT32_MAX;
	vfy_scalar_sync(s);
}

void vfy_scalar_trunc(struct vfy_scalar *s, u32 bytes)
{
	u64 keep = (1ull << (bytes * 8)) - 1;

	s->var = tnum_cast(s->var, (u8)bytes);
	if ((s->umin & ~keep) == (s->umax & ~keep)) {
		s->umin &= keep;
		s->umax &= keep;
	} else {
		s->umin = 0;
		s->umax = keep;
	}
	s->smin = (s64)s->umin;
	s->smax = (s64)s->umax;
	if (bytes < 4)
		vfy_scalar_unbound32(s);
	vfy_scalar_sync(s);
}

static s64 sext(u64 v, u32 bytes)
{
	u32 n = 64 - bytes * 8;

	return (s64)(v << n) >> n;
}

/* Sign extension maps [lo, hi] to a range when the bits above the kept ones are the same at both ends, and so is the sign of
 * the extended ends. */
static bool sext_range(s64 lo, s64 hi, u32 bytes, s64 *min, s64 *max)
{
	s64 a = sext((u64)lo, bytes), b = sext((u64)hi, bytes);

	if (lo >> (bytes * 8) != hi >> (bytes * 8) || (a < 0) != (b < 0))
		return false;
	*min = MIN(a, b);
	*max = MAX(a, b);
	return true;
}

void vfy_scalar_sext(struct vfy_scalar *s, u32 bytes)
{
	s64 min, max;

	if (tnum_is_const(s->var)) {
		vfy_scalar_const(s, (u64)sext(s->var.value, bytes));
		return;
	}
	if (sext_range(s->smin, s->smax, bytes, &min, &max)) {
		*s = (struct vfy_scalar){ tnum_range((u64)min, (u64)max), (u64)min, (u64)max, min, max,
					  (u32)min, (u32)max, (s32)min, (s32)max };
		return;
	}
	vfy_scalar_unknown(s);
	s->smax = (s64)((1ull << (bytes * 8 - 1)) - 1);
	s->smin = -s->smax - 1;
	s->s32_min = (s32)s->smin;
	s->s32_max = (s32)s->smax;
}

/* As vfy_scalar_sext(), on the low half; the 64-bit ranges are then rebuilt by zero extension. */
static void sext_low(struct vfy_scalar *s, u32 bytes)
{
	s64 min, max;

	if (tnum_is_const(s->var)) {
		min = max = (s32)sext(s->var.value, bytes);
		s->var = tnum_const((u64)min);
	} else if (sext_range(s->s32_min, s->s32_max, bytes, &min, &max)) {
		s->var = tnum_low(tnum_range((u64)min, (u64)max));
	} else {
		vfy_scalar_unbound32(s);
		s->s32_max = (s32)((1u << (bytes * 8 - 1)) - 1);
		s->s32_min = -s->s32_max - 1;
		s->var = tnum_low(TNUM_UNKNOWN);
		return;
	}
	s->s32_min = (s32)min;
	s->s32_max = (s32)max;
	s->u32_min = (u32)min;
	s->u32_max = (u32)max;
}

void vfy_scalar_sext32(struct vfy_scalar *s, u32 bytes)
{
	sext_low(s, bytes);
	vfy_scalar_zext32(s);
}

/* ---- loops -------------------------------------------------------------------------------------------------- */

void vfy_scalar_join(struct vfy_scalar *dst, const struct vfy_scalar *a, const struct vfy_scalar *b)
{
	*dst = (struct vfy_scalar){
		tnum_union(a->var, b->var),
		MIN(a->umin, b->umin), MAX(a->umax, b->umax), MIN(a->smin, b->smin), MAX(a->smax, b->smax),
		MIN(a->u32_min, b->u32_min), MAX(a->u32_max, b->u32_max),
		MIN(a->s32_min, b->s32_min), MAX(a->s32_max, b->s32_max),
	};
}

/* The landmark at or above v: 0 or 2^n - 1. */
static u64 landmark(u64 v)
{
	return v ? ~0ull >> __builtin_clzll(v) : 0;
}

static s64 landmark_up(s64 v)
{
	return v >= 0 ? (s64)landmark((u64)v) : ~(s64)(landmark(~(u64)v) >> 1);
}

static s64 landmark_down(s64 v)
{
	return v < 0 ? ~(s64)landmark(~(u64)v) : 0;
}

void vfy_scalar_widen(struct vfy_scalar *dst, const struct vfy_scalar *old, const struct vfy_scalar *new)
{
	struct vfy_scalar s;

	vfy_scalar_join(&s, old, new);
	/* Unknown bits grow from the bottom without holes, so that var changes at most 64 times. */
	s.var.mask |= landmark(s.var.mask ^ old->var.mask);
	s.var.value &= ~s.var.mask;
	if (s.umin < old->umin)
		s.umin = 0;
	if (s.umax > old->umax)
		s.umax = landmark(s.umax);
	if (s.smin < old->smin)
		s.smin = landmark_down(s.smin);
	if (s.smax > old->smax)
		s.smax = landmark_up(s.smax);
	if (s.u32_min < old->u32_min)
		s.u32_min = 0;
	if (s.u32_max > old->u32_max)
		s.u32_max = (u32)landmark(s.u32_max);
	if (s.s32_min < old->s32_min)
		s.s32_min = (s32)landmark_down(s.s32_min);
	if (s.s32_max > old->s32_max)
		s.s32_max = (s32)landmark_up(s.s32_max);
	*dst = s;
}

/* ---- log notation ------------------------------------------------------------------------------------------- */

#define SHORT_SNUM(v)	((s64)(v) >= INT16_MIN && (s64)(v) <= INT16_MAX)

void vfy_log_snum(struct sbuf *b, s64 v)
{
	if (SHORT_SNUM(v))
		sbuf_printf(b, "%" PRId64, v);
	else
		sbuf_printf(b, "0x%" PRIx64, (u64)v);
}

void vfy_log_unum(struct sbuf *b, u64 v)
{
	if (v <= UINT16_MAX)
		sbuf_printf(b, "%" PRIu64, v);
	else
		sbuf_printf(b, "0x%" PRIx64, v);
}

struct bound {
	const char *name;
	bool is_signed, done;		/* done: unbounded, or printed with an earlier one of its value */
	u64 v;
};

/* 32-bit signed bounds are sign-extended only when decimal: in hex they show the 8 digits that they have. */
static u64 show32(s32 v)
{
	return SHORT_SNUM(v) ? (u64)(s64)v : (u32)v;
}

static void log_bounds(struct sbuf *b, struct bound *t, u32 n, const char **sep)
{
	for (u32 i = 0; i < n; i++) {
		bool neg = t[i].is_signed && (s64)t[i].v < 0;

		if (t[i].done)
			continue;
		sbuf_printf(b, "%s%s=", *sep, t[i].name);
		*sep = ",";
		for (u32 j = i + 2; j < n; j += 2) {
			if (t[j].done || t[j].v != t[i].v || (t[j].is_signed && (s64)t[j].v < 0) != neg)
				continue;
			t[j].done = true;
			sbuf_printf(b, "%s=", t[j].name);
		}
		if (t[i].is_signed)
			vfy_log_snum(b, (s64)t[i].v);
		else
			vfy_log_unum(b, t[i].v);
	}
}

void vfy_scalar_log_ranges(struct sbuf *b, const struct vfy_scalar *s, const char **sep)
{
	struct bound t[] = {		/* minima and maxima alternate */
		{ "smin",   true,  s->smin == INT64_MIN,     (u64)s->smin },
		{ "smax",   true,  s->smax == INT64_MAX,     (u64)s->smax },
		{ "umin",   false, !s->umin,                 s->umin },
		{ "umax",   false, s->umax == UINT64_MAX,    s->umax },
		{ "smin32", true,  s->s32_min == INT32_MIN,  show32(s->s32_min) },
		{ "smax32", true,  s->s32_max == INT32_MAX,  show32(s->s32_max) },
		{ "umin32", false, !s->u32_min,              s->u32_min },
		{ "umax32", false, s->u32_max == UINT32_MAX, s->u32_max },
	};

	log_bounds(b, t, ARRAY_SIZE(t), sep);
	if (!tnum_is_unknown(s->var)) {
		sbuf_printf(b, "%svar_off=(0x%" PRIx64 "; 0x%" PRIx64 ")", *sep, s->var.value, s->var.mask);
		*sep = ",";
	}
}

void vfy_scalar_log(struct sbuf *b, const struct vfy_scalar *s, u32 id)
{
	const char *sep = "";

	if (vfy_scalar_is_const(s)) {
		vfy_log_snum(b, (s64)s->var.value);
		return;
	}
	sbuf_puts(b, "scalar(");
	if (id) {
		sbuf_printf(b, "id=%u", id);
		sep = ",";
	}
	vfy_scalar_log_ranges(b, s, &sep);
	sbuf_puts(b, ")");
}
