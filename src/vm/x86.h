/* SPDX-License-Identifier: Apache-2.0 */
/* x86.h - x86-64 encodings for jit_x86.c. Registers are hardware numbers; `w` is 1 for 64-bit operands.
 *
 *	[66] [REX: 0100 WRXB] opcode [ModRM: mod reg rm] [SIB: scale index base] [disp8|disp32] [imm]
 *
 * A byte operand in rsp, rbp, rsi, rdi needs an empty REX to mean spl, bpl, sil, dil. */
#ifndef SKEP_VM_X86_H
#define SKEP_VM_X86_H

#include <string.h>

#include "vm/jit.h"

enum x86_reg {
	RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15,
	NO_REG = 0xff,
};

/* Registers that no BPF register lives in and that calls destroy anyway. */
#define X86_TMP		R11
#define X86_TMP2	R10
#define X86_TMP3	R9

enum x86_cc {				/* cc ^ 1 is the opposite */
	CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_NS, CC_P, CC_NP, CC_L, CC_GE, CC_LE, CC_G,
};

/* Opcode of a two-operand arithmetic instruction "op r/m, r"; /n of its immediate form is X86_EXT. */
enum x86_alu { X86_ADD = 0x01, X86_OR = 0x09, X86_AND = 0x21, X86_SUB = 0x29, X86_XOR = 0x31, X86_CMP = 0x39 };
#define X86_EXT(alu)	((alu) >> 3)

enum x86_shift { X86_ROL = 0, X86_ROR = 1, X86_SHL = 4, X86_SHR = 5, X86_SAR = 7 };

/* Where in memory: base + index * scale + disp. */
struct x86_mem {
	u8 base, index, scale;		/* index NO_REG: none; scale 1, 2, 4, 8 */
	s32 disp;
};

static inline struct x86_mem x86_at(u8 base, s32 disp)
{
	return (struct x86_mem) { base, NO_REG, 1, disp };
}

static inline bool fits8(s64 v)
{
	return v == (s8)v;
}

static inline void x86_1(struct jit *j, u8 a)
{
	jit_bytes(j, &a, 1);
}

static inline void x86_imm(struct jit *j, s64 v, u32 size)
{
	jit_bytes(j, &v, size);
}

/* REX when needed, and an opcode of up to three bytes, the escape 0x0f in the higher ones: 0x0fb6. */
static inline void x86_op(struct jit *j, bool w, u32 opcode, u8 reg, u8 index, u8 base, bool force_rex)
{
	u8 rex = 0x40 | w << 3 | (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | (base >> 3 & 1);

	if (opcode >> 16 & 0xff)		/* mandatory prefix: before REX */
		x86_1(j, opcode >> 16);
	if (rex != 0x40 || force_rex)
		x86_1(j, rex);
	if (opcode >> 8 & 0xff)
		x86_1(j, opcode >> 8);
	x86_1(j, opcode);
}

static inline void x86_rr(struct jit *j, bool w, u32 opcode, u8 reg, u8 rm)
{
	x86_op(j, w, opcode, reg, 0, rm, false);
	x86_1(j, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

/* With byte registers. */
static inline void x86_rr8(struct jit *j, bool w, u32 opcode, u8 reg, u8 rm)
{
	x86_op(j, w, opcode, reg, 0, rm, rm >= RSP || reg >= RSP);
	x86_1(j, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static inline void x86_modrm_mem(struct jit *j, u8 reg, struct x86_mem m)
{
	bool sib = m.index != NO_REG || (m.base & 7) == RSP;
	u8 mod = m.disp == 0 && (m.base & 7) != RBP ? 0 : fits8(m.disp) ? 1 : 2;

	x86_1(j, mod << 6 | (reg & 7) << 3 | (sib ? 4 : m.base & 7));
	if (sib)
		x86_1(j, (u8)__builtin_ctz(m.scale) << 6 | (m.index == NO_REG ? 4 : m.index & 7) << 3 |
		      (m.base & 7));
	if (mod)
		x86_imm(j, m.disp, mod == 1 ? 1 : 4);
}

static inline void x86_rm(struct jit *j, bool w, u32 opcode, u8 reg, struct x86_mem m)
{
	x86_op(j, w, opcode, reg, m.index == NO_REG ? 0 : m.index, m.base, false);
	x86_modrm_mem(j, reg, m);
}

static inline void x86_rm8(struct jit *j, u32 opcode, u8 reg, struct x86_mem m)
{
	x86_op(j, false, opcode, reg, m.index == NO_REG ? 0 : m.index, m.base, reg >= RSP);
	x86_modrm_mem(j, reg, m);
}

static inline void x86_alu(struct jit *j, bool w, enum x86_alu op, u8 dst, u8 src)
{
	x86_rr(j, w, op, src, dst);
}

static inline void x86_alu_imm(struct jit *j, bool w, enum x86_alu op, u8 dst, s32 imm)
{
	if (fits8(imm)) {
		x86_rr(j, w, 0x83, X86_EXT(op), dst);
	} else if (dst == RAX) {
		x86_op(j, w, op + 4, 0, 0, 0, false);
	} else {
		x86_rr(j, w, 0x81, X86_EXT(op), dst);
	}
	x86_imm(j, imm, fits8(imm) ? 1 : 4);
}

static inline void x86_mov(struct jit *j, bool w, u8 dst, u8 src)
{
	x86_rr(j, w, 0x89, src, dst);
}

/* Copy unless it is the same 64-bit register. */
static inline void x86_move(struct jit *j, u8 dst, u8 src)
{
	if (dst != src)
		x86_mov(j, true, dst, src);
}

static inline void x86_test(struct jit *j, bool w, u8 a, u8 b)
{
	x86_rr(j, w, 0x85, b, a);
}

/* The shortest that loads V; changes the flags. */
static inline void x86_load_imm(struct jit *j, u8 dst, u64 v)
{
	if (!v) {
		x86_alu(j, false, X86_XOR, dst, dst);
	} else if (v <= UINT32_MAX) {
		x86_op(j, false, 0xb8 | (dst & 7), 0, 0, dst, false);
		x86_imm(j, (s64)v, 4);
	} else if ((s64)v == (s32)v) {
		x86_rr(j, true, 0xc7, 0, dst);
		x86_imm(j, (s64)v, 4);
	} else {
		x86_op(j, true, 0xb8 | (dst & 7), 0, 0, dst, false);
		x86_imm(j, (s64)v, 8);
	}
}

static inline void x86_shift_imm(struct jit *j, bool w, enum x86_shift op, u8 dst, u8 n)
{
	if (n == 1) {
		x86_rr(j, w, 0xd1, op, dst);
		return;
	}
	x86_rr(j, w, 0xc1, op, dst);
	x86_1(j, n);
}

static inline void x86_push(struct jit *j, u8 r)
{
	x86_op(j, false, 0x50 | (r & 7), 0, 0, r, false);
}

static inline void x86_pop(struct jit *j, u8 r)
{
	x86_op(j, false, 0x58 | (r & 7), 0, 0, r, false);
}

static inline void x86_lea(struct jit *j, bool w, u8 dst, struct x86_mem m)
{
	x86_rm(j, w, 0x8d, dst, m);
}

/* DIV, SDIV, MOD, SMOD of insn[i] on hardware registers (jit_x86_div.c); src NO_REG: the divisor is imm. Uses the scratch
 * registers; src may be X86_TMP. */
void x86_divide(struct jit *j, u32 i, u8 dst, u8 src);

/* A short forward jump inside the code of one instruction: x86_skip() returns what x86_land() wants. No site may
 * lie between the two. */
static inline u32 x86_skip(struct jit *j, enum x86_cc cc)
{
	x86_1(j, 0x70 | cc);
	x86_1(j, 0);
	return j->len;
}

static inline u32 x86_skip_always(struct jit *j)
{
	x86_1(j, 0xeb);
	x86_1(j, 0);
	return j->len;
}

static inline void x86_land(struct jit *j, u32 from)
{
	if (!j->err)
		j->buf[from - 1] = (u8)(j->len - from);
}

/* ---- what the emitter's files share (jit_x86.c) ---- */

extern const u8 x86_reg[11];			/* BPF register -> hardware; r10 has none */

/* The frame pointer r10, plus OFF. */
static inline struct x86_mem x86_fp(const struct jit *j, s32 off)
{
	return x86_at(RSP, (s32)j->frame + off);
}

static inline struct x86_mem x86_bpf_mem(const struct jit *j, u32 bpf_base, s32 off)
{
	return bpf_base == 10 ? x86_fp(j, off) : x86_at(x86_reg[bpf_base], off);
}

static inline bool x86_live(const struct jit *j, u32 i, u32 bpf_reg)
{
	return j->ir.fact[i].live >> bpf_reg & 1;
}

static inline bool x86_zext(const struct jit *j, u32 i, u32 bpf_reg)
{
	return j->ir.fact[i].zext >> bpf_reg & 1;
}

void x86_jump(struct jit *j, u32 label);
void x86_jump_if(struct jit *j, enum x86_cc cc, u32 label);
/* movabs of an address that is known when the code is linked. */
void x86_load_addr(struct jit *j, u8 dst, u8 kind, u16 n, s64 addend);
/* The load IN, from M. 1 or -EINVAL. */
int x86_load(struct jit *j, const struct bpf_insn *in, struct x86_mem m);
/* Several instructions at once (jit_x86_fuse.c): how many were emitted, 0 if none fit. */
int x86_fuse(struct jit *j, u32 i);
bool x86_inlines(const struct jit *j, u32 i);

#endif
