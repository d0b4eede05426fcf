/* SPDX-License-Identifier: Apache-2.0 */
/* scalar.h - what is known of a number: the set of 64-bit values that lie in all of umin..umax, smin..smax, var, and whose
 * low halves lie in u32_min..u32_max and s32_min..s32_max. Also used for the variable part of pointer offsets.
 *
 * The domain, its deductions and their order are Linux 6.18's: they decide verdicts and are printed in the log. Pure
 * functions: no allocation, no state; dst may alias src. */
#ifndef SKEP_VERIFY_SCALAR_H
#define SKEP_VERIFY_SCALAR_H

#include "base/sbuf.h"
#include "verify/tnum.h"

struct vfy_scalar {
	struct tnum var;
	u64 umin, umax;
	s64 smin, smax;
	u32 u32_min, u32_max;
	s32 s32_min, s32_max;
};

/* ---- making ---- */
void vfy_scalar_const(struct vfy_scalar *s, u64 v);
void vfy_scalar_unknown(struct vfy_scalar *s);
void vfy_scalar_unbound(struct vfy_scalar *s);		/* forget the ranges, keep var */
void vfy_scalar_unbound32(struct vfy_scalar *s);
/* Ranges from the outside (helper results): smin..smax, everything else deduced. */
void vfy_scalar_srange(struct vfy_scalar *s, s64 smin, s64 smax);
/* Let each of u64, s64, u32, s32 and var learn from the others (the kernel's fixed number of rounds). */
void vfy_scalar_sync(struct vfy_scalar *s);

/* ---- asking ---- */
static inline bool vfy_scalar_is_const(const struct vfy_scalar *s)
{
	return tnum_is_const(s->var);
}
bool vfy_scalar_is_const_w(const struct vfy_scalar *s, bool w32);	/* the low half only, when w32 */
u64 vfy_scalar_value(const struct vfy_scalar *s, bool w32);		/* of a constant */
u32 vfy_scalar_width(const struct vfy_scalar *s);	/* bits needed for umax */
bool vfy_scalar_has(const struct vfy_scalar *s, u64 v);
bool vfy_scalar_in(const struct vfy_scalar *big, const struct vfy_scalar *small);	/* bound by bound */
bool vfy_scalar_equal(const struct vfy_scalar *a, const struct vfy_scalar *b);
/* False when some range is empty or a constant's ranges disagree with it: happens on dead branches that could not be
 * predicted. The kernel then forgets the ranges. */
bool vfy_scalar_sane(const struct vfy_scalar *s);

/* ---- changing width ---- */
void vfy_scalar_zext32(struct vfy_scalar *s);		/* upper half becomes 0; synced */
void vfy_scalar_trunc(struct vfy_scalar *s, u32 bytes);	/* 1, 2, 4: as after a narrow load; synced */
void vfy_scalar_sext(struct vfy_scalar *s, u32 bytes);	/* 1, 2, 4 to 64 bits (movsx, ldx memsx) */
void vfy_scalar_sext32(struct vfy_scalar *s, u32 bytes);/* 1, 2 to 32 bits, then zero-extended (movsx32) */

/* ---- instructions ----
 * dst = dst OP src. CODE is the opcode byte (class ALU or ALU64; BPF_K/BPF_X does not matter: give immediates as constants,
 * sign-extended for ALU64), OFF the offset field (sdiv, smod, movsx). BPF_MOV takes src. Unary ones ignore src. */
void vfy_scalar_alu(u8 code, s16 off, struct vfy_scalar *dst, const struct vfy_scalar *src);
/* Linux 6.18 splits the state in front of "dst &= const" and "dst |= const" when dst is known to be one of -1 and 0 (a sign that
 * was spread by an arithmetic shift), in both halves or in the low one: with 0 the instruction is walked again later, with -1 the
 * walk goes on. True: split by vfy_scalar_fork(). */
bool vfy_scalar_forks(u8 code, const struct vfy_scalar *dst, const struct vfy_scalar *src);
void vfy_scalar_fork(const struct vfy_scalar *dst, struct vfy_scalar *zero, struct vfy_scalar *minus1);
/* The variable offset of a pointer plus or minus a scalar (64-bit ranges only; synced). */
void vfy_scalar_ptr_add(struct vfy_scalar *dst, const struct vfy_scalar *ptr, const struct vfy_scalar *off);
void vfy_scalar_ptr_sub(struct vfy_scalar *dst, const struct vfy_scalar *ptr, const struct vfy_scalar *off);

/* OP: BPF_JEQ... without class and source. 1: always taken, 0: never, -1: not known. */
int vfy_scalar_taken(u8 op, bool w32, const struct vfy_scalar *a, const struct vfy_scalar *b);
/* Narrow both operands to what holds on one edge; synced; a state that is not sane afterwards forgets its ranges.
 * a and b may be one object (a register compared with itself). */
void vfy_scalar_refine(u8 op, bool w32, bool taken, struct vfy_scalar *a, struct vfy_scalar *b);

/* ---- loops ---- */
void vfy_scalar_join(struct vfy_scalar *dst, const struct vfy_scalar *a, const struct vfy_scalar *b);
/* What is unstable from OLD to NEW goes to the next landmark (0, -1, powers of two less one, extremes): finite chains. */
void vfy_scalar_widen(struct vfy_scalar *dst, const struct vfy_scalar *old, const struct vfy_scalar *new);

/* ---- log notation ---- */
void vfy_log_snum(struct sbuf *b, s64 v);		/* decimal when it fits 16 bits, else hex */
void vfy_log_unum(struct sbuf *b, u64 v);
/* "smin=0,smax=umax=umax32=255,var_off=(0x0; 0xff)"; *SEP ("" or ",") goes before the first and becomes ",". */
void vfy_scalar_log_ranges(struct sbuf *b, const struct vfy_scalar *s, const char **sep);
/* "255" or "scalar(...)" or "scalar(id=7,...)"; ID 0: none. */
void vfy_scalar_log(struct sbuf *b, const struct vfy_scalar *s, u32 id);

#endif
