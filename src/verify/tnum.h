/* SPDX-License-Identifier: Apache-2.0 */
/* tnum.h - tristate numbers: 64 bits, each 0, 1 or unknown. A tnum stands for the set of numbers that agree with `value`
 * in all bits outside `mask`. Invariant: value & mask == 0. The precision of each operation is Linux 6.18's, because it
 * is visible in the log. Pure functions. */
#ifndef SKEP_VERIFY_TNUM_H
#define SKEP_VERIFY_TNUM_H

#include "base/def.h"

struct tnum {
	u64 value;
	u64 mask;
};

#define TNUM(v, m)	((struct tnum){ (v), (m) })
#define TNUM_UNKNOWN	TNUM(0, ~0ull)

static inline struct tnum tnum_const(u64 v)
{
	return TNUM(v, 0);
}

static inline bool tnum_is_const(struct tnum a)
{
	return !a.mask;
}

static inline bool tnum_is_unknown(struct tnum a)
{
	return !~a.mask;
}

static inline bool tnum_equals_const(struct tnum a, u64 v)
{
	return !a.mask && a.value == v;
}

static inline bool tnum_has(struct tnum a, u64 v)
{
	return (v & ~a.mask) == a.value;
}

struct tnum tnum_range(u64 min, u64 max);		/* smallest tnum that holds all of [min, max] */
struct tnum tnum_lsh(struct tnum a, u8 n);
struct tnum tnum_rsh(struct tnum a, u8 n);
struct tnum tnum_arsh(struct tnum a, u8 n, u8 width);	/* width 32 or 64; 32: result in the low half */
struct tnum tnum_add(struct tnum a, struct tnum b);
struct tnum tnum_sub(struct tnum a, struct tnum b);
struct tnum tnum_neg(struct tnum a);
struct tnum tnum_and(struct tnum a, struct tnum b);
struct tnum tnum_or(struct tnum a, struct tnum b);
struct tnum tnum_xor(struct tnum a, struct tnum b);
struct tnum tnum_mul(struct tnum a, struct tnum b);
bool tnum_overlap(struct tnum a, struct tnum b);	/* is there a number in both? */
struct tnum tnum_intersect(struct tnum a, struct tnum b);	/* undefined when they do not overlap */
struct tnum tnum_union(struct tnum a, struct tnum b);
bool tnum_in(struct tnum big, struct tnum small);	/* small is a subset of big */
u64 tnum_next(struct tnum a, u64 v);			/* smallest member above v; the largest member if there is none */
struct tnum tnum_cast(struct tnum a, u8 bytes);		/* low bytes, zero-extended */
bool tnum_is_aligned(struct tnum a, u64 size);		/* size: a power of two, or 0 (true) */

static inline struct tnum tnum_low(struct tnum a)	/* low half, zero-extended */
{
	return TNUM((u32)a.value, (u32)a.mask);
}

static inline struct tnum tnum_high(struct tnum a)	/* a with the low half cleared */
{
	return TNUM(a.value >> 32 << 32, a.mask >> 32 << 32);
}

static inline struct tnum tnum_with_low(struct tnum a, struct tnum low)
{
	return tnum_or(tnum_high(a), tnum_low(low));
}

static inline bool tnum_low_is_const(struct tnum a)
{
	return !(u32)a.mask;
}

#endif
