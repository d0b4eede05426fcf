/* SPDX-License-Identifier: Apache-2.0 */
/* tnum.c - arithmetic on tristate numbers.
 * Theory: Vishwanathan et al., "Sound, precise, and fast abstract interpretation with tristate numbers" (CGO 2022): the
 * smallest member of a tnum is `value`, the largest `value | mask`; a carry into a bit is unknown exactly when the carries of
 * the smallest and of the largest sum differ there. */
#include "verify/tnum.h"

struct tnum tnum_range(u64 min, u64 max)
{
	u64 diff = min ^ max, below;

	if (!diff)
		return tnum_const(min);
	if (diff >> 63)
		return TNUM_UNKNOWN;
	below = (2ull << (63 - __builtin_clzll(diff))) - 1;
	return TNUM(min & ~below, below);
}

struct tnum tnum_lsh(struct tnum a, u8 n)
{
	return TNUM(a.value << n, a.mask << n);
}

struct tnum tnum_rsh(struct tnum a, u8 n)
{
	return TNUM(a.value >> n, a.mask >> n);
}

/* The sign bit is shifted in twice over: an unknown sign makes all copies unknown, a known one copies its value. */
struct tnum tnum_arsh(struct tnum a, u8 n, u8 width)
{
	if (width == 32)
		return TNUM((u32)((s32)a.value >> n), (u32)((s32)a.mask >> n));
	return TNUM((u64)((s64)a.value >> n), (u64)((s64)a.mask >> n));
}

struct tnum tnum_add(struct tnum a, struct tnum b)
{
	u64 low = a.value + b.value;
	u64 high = low + (a.mask + b.mask);
	u64 unknown = (low ^ high) | a.mask | b.mask;

	return TNUM(low & ~unknown, unknown);
}

struct tnum tnum_sub(struct tnum a, struct tnum b)
{
	u64 diff = a.value - b.value;
	u64 unknown = ((diff + a.mask) ^ (diff - b.mask)) | a.mask | b.mask;

	return TNUM(diff & ~unknown, unknown);
}

struct tnum tnum_neg(struct tnum a)
{
	return tnum_sub(tnum_const(0), a);
}

struct tnum tnum_and(struct tnum a, struct tnum b)
{
	u64 ones = a.value & b.value;
	u64 maybe = (a.value | a.mask) & (b.value | b.mask);

	return TNUM(ones, maybe & ~ones);
}

struct tnum tnum_or(struct tnum a, struct tnum b)
{
	u64 ones = a.value | b.value;

	return TNUM(ones, (a.mask | b.mask) & ~ones);
}

struct tnum tnum_xor(struct tnum a, struct tnum b)
{
	u64 unknown = a.mask | b.mask;

	return TNUM((a.value ^ b.value) & ~unknown, unknown);
}

/* Long multiplication; an unknown bit of A adds B or nothing, so both sums are kept in one tnum. */
struct tnum tnum_mul(struct tnum a, struct tnum b)
{
	struct tnum acc = tnum_const(0);

	for (; a.value | a.mask; a = tnum_rsh(a, 1), b = tnum_lsh(b, 1)) {
		if (a.value & 1)
			acc = tnum_add(acc, b);
		else if (a.mask & 1)
			acc = tnum_union(acc, tnum_add(acc, b));
	}
	return acc;
}

bool tnum_overlap(struct tnum a, struct tnum b)
{
	return !((a.value ^ b.value) & ~a.mask & ~b.mask);
}

struct tnum tnum_intersect(struct tnum a, struct tnum b)
{
	u64 unknown = a.mask & b.mask;

	return TNUM((a.value | b.value) & ~unknown, unknown);
}

struct tnum tnum_union(struct tnum a, struct tnum b)
{
	u64 unknown = (a.value ^ b.value) | a.mask | b.mask;

	return TNUM(a.value & ~unknown, unknown);
}

bool tnum_in(struct tnum big, struct tnum small)
{
	return !(small.mask & ~big.mask) && (small.value & ~big.mask) == big.value;
}

/* The smallest member that is at least w = v + 1. Where the highest known bit that w gets wrong is a one, w is too small there and
 * all below follows freely. Where it is a zero, w is too large there: the lowest unknown zero of w above it becomes one. */
u64 tnum_next(struct tnum a, u64 v)
{
	u64 w = v + 1, wrong = (w ^ a.value) & ~a.mask, free, bit, below;

	if (v >= (a.value | a.mask))
		return a.value | a.mask;
	if (!wrong)
		return w;
	bit = 1ull << (63 - __builtin_clzll(wrong));
	if (!(a.value & bit)) {
		free = a.mask & ~w & ~(bit | (bit - 1));
		if (!free)
			return a.value | a.mask;
		bit = free & -free;
	}
	below = bit - 1;
	return (w & ~below) | bit | (a.value & below);
}

struct tnum tnum_cast(struct tnum a, u8 bytes)
{
	u64 keep = bytes >= 8 ? ~0ull : (1ull << (bytes * 8)) - 1;

	return TNUM(a.value & keep, a.mask & keep);
}

bool tnum_is_aligned(struct tnum a, u64 size)
{
	return !size || !((a.value | a.mask) & (size - 1));
}
