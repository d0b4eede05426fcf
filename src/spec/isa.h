/* SPDX-License-Identifier: Apache-2.0 */
/* isa.h - readers of isa.def that several folders need: evaluation of one instruction's arithmetic or condition,
 * and the expansion of a row into its opcode forms. Pure functions, no state. */
#ifndef SKEP_SPEC_ISA_H
#define SKEP_SPEC_ISA_H

#include <endian.h>

#include "base/def.h"
#include "spec/uapi.h"

/* Types of width W, for the expressions. */
#define ISA_U8		u8
#define ISA_S8		s8
#define ISA_U16		u16
#define ISA_S16		s16
#define ISA_U32		u32
#define ISA_S32		s32
#define ISA_U64		u64
#define ISA_S64		s64

/* isa_ADD_64(a, b), isa_SDIV_32(a, b), ...: the value. ISA_ALU_FN instantiates a row at any width: exhaustive tests
 * use it at 8 bits. Of MOVSX32 and ASCAST only the 64-bit function belongs to an instruction. */
#define ISA_ALU_FN(name, w, expr)							\
	static inline ISA_U##w isa_##name##_##w(ISA_U##w a, ISA_U##w b)			\
	{										\
		typedef ISA_U##w U __attribute__((unused));				\
		typedef ISA_S##w S __attribute__((unused));				\
		enum { W = w };								\
		(void)a, (void)b, (void)W;						\
		return (ISA_U##w)(expr);						\
	}
#define ALU(name, op, off, text, forms, group, status, expr)				\
	ISA_ALU_FN(name, 32, expr) ISA_ALU_FN(name, 64, expr)
/* isa_BE16(a), isa_BSWAP64(a), ...: the value. */
#define END(name, code, imm, text, group, status, expr)					\
	static inline u64 isa_##name(u64 a) { return expr; }
/* isa_JSGT_32(a, b), ...: whether the jump is taken. */
#define ISA_JMP_FN(name, w, expr)							\
	static inline bool isa_##name##_##w(ISA_U##w a, ISA_U##w b)			\
	{										\
		typedef ISA_S##w S __attribute__((unused));				\
		return expr;								\
	}
#define JMP(name, op, text, rev, flip, group, status, expr)				\
	ISA_JMP_FN(name, 32, expr) ISA_JMP_FN(name, 64, expr)
#include "spec/isa.def"

/* Expansion of an ALU row into its opcode forms: ISA_FORMS(forms, F, name, op, off) calls F(name, w, src, code, off)
 * for each legal form, w being 32 or 64, src K or X. For JMP rows use ISA_JMP_FORMS(F, name, op). */
#define ISA_FORMS(forms, F, name, op, off)	ISA_FORMS_##forms(F, name, op, off)
#define ISA_FORMS_K(F, name, op, off)		F(name, 32, K, (op) | 0x04, off) F(name, 64, K, (op) | 0x07, off)
#define ISA_FORMS_X(F, name, op, off)		F(name, 32, X, (op) | 0x0c, off) F(name, 64, X, (op) | 0x0f, off)
#define ISA_FORMS_X64(F, name, op, off)		F(name, 64, X, (op) | 0x0f, off)
#define ISA_FORMS_ALL(F, name, op, off)		ISA_FORMS_K(F, name, op, off) ISA_FORMS_X(F, name, op, off)
#define ISA_JMP_FORMS(F, name, op)							\
	F(name, 32, K, (op) | 0x06) F(name, 64, K, (op) | 0x05)				\
	F(name, 32, X, (op) | 0x0e) F(name, 64, X, (op) | 0x0d)

/* Arithmetic of an ALU or ALU64 instruction on known operands: dst is the register's 64 bits; src the other operand's
 * (register, or imm sign-extended by the caller). Returns false if no row has this opcode and off. END included: then
 * src is insn->imm. */
bool isa_alu_eval(u8 code, s16 off, u64 dst, u64 src, u64 *out);
/* Condition of a JMP or JMP32 instruction: 1 taken, 0 not, -1: not a conditional jump of isa.def. */
int isa_jmp_eval(u8 code, u64 dst, u64 src);
/* op (0x10, 0x20, ...) of the row that holds exactly when op's does not; 0: none. */
u8 isa_jmp_reverse(u8 op);
/* op of the row that holds with the operands exchanged. */
u8 isa_jmp_flip(u8 op);
/* Index in spec_insns[] of the row that INSN is, by its opcode, off, src_reg and imm, or -1: no such instruction.
 * Fields that select no row are not looked at (the verifier's "reserved fields" rules are its own). */
int isa_find(const struct bpf_insn *insn);

#endif
