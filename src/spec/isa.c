/* SPDX-License-Identifier: Apache-2.0 */
/* isa.c - the instruction rows as a list, and evaluation of one instruction. Driven by isa.def. */
#include "spec/isa.h"
#include "spec/spec.h"

#define ANY		SPEC_ANY
#define NONE		0
#define FULL		{ SPEC_FULL, NULL }
#define PARTIAL(s)	{ SPEC_PARTIAL, s }
#define STUB		{ SPEC_STUB, NULL }
#define NAME_K(name)	name " imm"
#define NAME_X(name)	name " src"

/* Conformance group of a row and width. */
#define GROUP(group, w)		GROUP_##group(w)
#define GROUP_base(w)		"base" #w
#define GROUP_divmul(w)		"divmul" #w
#define GROUP_atomic(w)		"atomic" #w
#define GROUP_packet(w)		"packet"
#define GROUP_lnx(w)		"linux"
#define GROUP_OF(group, w)	GROUP(group, w)
#define W_u8	32
#define W_u16	32
#define W_u32	32
#define W_u64	64
#define W_s8	64
#define W_s16	64
#define W_s32	64
#define W_16	32
#define W_32	32
#define W_64	64

/* The status is each macro's last argument: it expands to something with a comma. */
#define ROW(code, off, src, imm, name, group, ...)	{ code, off, src, imm, name, group, __VA_ARGS__ },
#define ALU_ROW(name, w, s, code, off, group, ...)					\
	ROW(code, off, ANY, ANY, NAME_##s(#name #w), GROUP(group, w), __VA_ARGS__)
#define ALU_K(name, op, off, group, ...)						\
	ALU_ROW(name, 32, K, (op) | 0x04, off, group, __VA_ARGS__)			\
	ALU_ROW(name, 64, K, (op) | 0x07, off, group, __VA_ARGS__)
#define ALU_X64(name, op, off, group, ...)						\
	ALU_ROW(name, 64, X, (op) | 0x0f, off, group, __VA_ARGS__)
#define ALU_X(name, op, off, group, ...)						\
	ALU_ROW(name, 32, X, (op) | 0x0c, off, group, __VA_ARGS__)			\
	ALU_X64(name, op, off, group, __VA_ARGS__)
#define ALU_ALL(name, op, off, group, ...)						\
	ALU_K(name, op, off, group, __VA_ARGS__) ALU_X(name, op, off, group, __VA_ARGS__)
#define JMP_ROW(name, w, s, code, group, ...)						\
	ROW(code, ANY, ANY, ANY, NAME_##s(#name #w), GROUP(group, w), __VA_ARGS__)
#define JMP_ROWS(name, op, group, ...)							\
	JMP_ROW(name, 32, K, (op) | 0x06, group, __VA_ARGS__)				\
	JMP_ROW(name, 64, K, (op) | 0x05, group, __VA_ARGS__)				\
	JMP_ROW(name, 32, X, (op) | 0x0e, group, __VA_ARGS__)				\
	JMP_ROW(name, 64, X, (op) | 0x0d, group, __VA_ARGS__)
#define MEM(name, code, imm, type, group, ...)						\
	ROW(code, ANY, ANY, imm, #name, GROUP_OF(group, W_##type), __VA_ARGS__)

#define ALU(name, op, off, text, forms, group, st, expr)	ALU_##forms(name, op, off, group, st)
#define END(name, code, imm, text, group, st, expr)	ROW(code, ANY, ANY, imm, #name, GROUP_OF(group, W_##imm), st)
#define JMP(name, op, text, rev, flip, group, st, expr)	JMP_ROWS(name, op, group, st)
#define CTRL(name, code, src, off, text, group, st)	ROW(code, off, src, ANY, #name, GROUP(group, 32), st)
#define LDIMM64(name, src, text, group, st)	ROW(0x18, ANY, src, ANY, "LD_" #name, GROUP(group, 64), st)
#define LDX(name, code, type, text, group, st)	MEM(name, code, ANY, type, group, st)
#define ST(name, code, type, text, group, st)	MEM(name, code, ANY, type, group, st)
#define STX(name, code, type, text, group, st)	MEM(name, code, ANY, type, group, st)
#define LDABS(name, code, type, group, st)	MEM(name, code, ANY, type, group, st)
#define LDIND(name, code, type, group, st)	MEM(name, code, ANY, type, group, st)
#define ATOMIC(name, code, imm, type, fetch, text, group, st, expr)	MEM(name, code, imm, type, group, st)
#define LOADACQ(name, code, type, text, group, st)	MEM(name, code, 0x100, type, group, st)
#define STOREREL(name, code, type, text, group, st)	MEM(name, code, 0x110, type, group, st)

const struct spec_insn spec_insns[] = {
#include "spec/isa.def"
};
const u32 spec_nr_insns = ARRAY_SIZE(spec_insns);

int isa_find(const struct bpf_insn *insn)
{
	for (u32 i = 0; i < spec_nr_insns; i++) {
		const struct spec_insn *s = &spec_insns[i];

		if (s->code == insn->code && (s->off == SPEC_ANY || s->off == insn->off) &&
		    (s->src == SPEC_ANY || s->src == insn->src_reg) &&
		    (s->imm == SPEC_ANY || s->imm == insn->imm))
			return (int)i;
	}
	return -1;
}

#define ALU_KEY(op, off)	((u32)(op) << 16 | (u16)(off))

static bool end_eval(u8 code, s32 imm, u64 a, u64 *out)
{
	switch ((u32)code << 8 | (u8)imm) {
#define END(name, code, imm, ...) case (code) << 8 | (imm): *out = isa_##name(a); return true;
#include "spec/isa.def"
	}
	return false;
}

static bool alu32_eval(u8 op, s16 off, u32 a, u32 b, u64 *out)
{
	switch (ALU_KEY(op, off)) {
#define EVAL(name, op, off)	case ALU_KEY(op, off): *out = isa_##name##_32(a, b); return true;
#define EVAL_K(...)	EVAL(__VA_ARGS__)
#define EVAL_X(...)	EVAL(__VA_ARGS__)
#define EVAL_ALL(...)	EVAL(__VA_ARGS__)
#define EVAL_X64(...)
#define ALU(name, op, off, text, forms, ...)	EVAL_##forms(name, op, off)
#include "spec/isa.def"
	}
	return false;
}

static bool alu64_eval(u8 op, s16 off, u64 a, u64 b, u64 *out)
{
	switch (ALU_KEY(op, off)) {
#define ALU(name, op, off, ...)	case ALU_KEY(op, off): *out = isa_##name##_64(a, b); return true;
#include "spec/isa.def"
	}
	return false;
}

bool isa_alu_eval(u8 code, s16 off, u64 dst, u64 src, u64 *out)
{
	if (BPF_OP(code) == BPF_END)
		return end_eval(code, (s32)src, dst, out);
	if (BPF_CLASS(code) == BPF_ALU)
		return alu32_eval(BPF_OP(code), off, (u32)dst, (u32)src, out);
	if (BPF_CLASS(code) == BPF_ALU64)
		return alu64_eval(BPF_OP(code), off, dst, src, out);
	return false;
}

static int jmp32_eval(u8 op, u32 a, u32 b)
{
	switch (op) {
#define JMP(name, op, ...) case op: return isa_##name##_32(a, b);
#include "spec/isa.def"
	}
	return -1;
}

static int jmp64_eval(u8 op, u64 a, u64 b)
{
	switch (op) {
#define JMP(name, op, ...) case op: return isa_##name##_64(a, b);
#include "spec/isa.def"
	}
	return -1;
}

int isa_jmp_eval(u8 code, u64 dst, u64 src)
{
	if (BPF_CLASS(code) == BPF_JMP32)
		return jmp32_eval(BPF_OP(code), (u32)dst, (u32)src);
	return BPF_CLASS(code) == BPF_JMP ? jmp64_eval(BPF_OP(code), dst, src) : -1;
}

enum {
#define JMP(name, op, ...) OP_##name = op,
#include "spec/isa.def"
	OP_NONE = 0,
};

u8 isa_jmp_reverse(u8 op)
{
	switch (op) {
#define JMP(name, op, text, rev, ...) case op: return OP_##rev;
#include "spec/isa.def"
	}
	return 0;
}

u8 isa_jmp_flip(u8 op)
{
	switch (op) {
#define JMP(name, op, text, rev, flip, ...) case op: return OP_##flip;
#include "spec/isa.def"
	}
	return 0;
}
