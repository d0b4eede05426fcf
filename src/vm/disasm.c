/* SPDX-License-Identifier: Apache-2.0 */
/* disasm.c - one instruction as Linux 6.18's verifier log and bpftool print it. Clients and tests compare these texts
 * byte by byte. Driven by isa.def's `text` columns; the frame around them is per instruction class. Unknown
 * encodings print as the kernel's "BUG_.." forms. */
#include <stdio.h>
#include <string.h>

#include "spec/spec.h"
#include "vm/insn.h"
#include "vm/vm.h"

static const char *const size_text[4] = { "u32", "u16", "u8", "u64" };
static const char *const sx_text[4] = { "s32", "s16", "s8", "BUG" };

static const char *size_of(u8 code)
{
	return size_text[BPF_SIZE(code) >> 3];
}

/* ---- text of rows, by op and off ---- */

static const char *alu_text(u8 op, s16 off)
{
	switch ((u32)op << 16 | (u16)off) {
#define ALU(name, op, off, text, ...)	case (u32)(op) << 16 | (off): return text;
#include "spec/isa.def"
	}
	return NULL;
}

static const char *jmp_text(u8 op)
{
	switch (op) {
#define JMP(name, op, text, ...)	case op: return text;
#include "spec/isa.def"
	}
	return NULL;
}

static const char *end_text(u8 code, s32 imm)
{
	switch ((u64)code << 32 | (u32)imm) {
#define END(name, code, imm, text, ...)	case (u64)(code) << 32 | (imm): return text;
#include "spec/isa.def"
	}
	return NULL;
}

/* ---- by class ---- */

static void alu(struct sbuf *out, const struct bpf_insn *in)
{
	u8 op = BPF_OP(in->code);
	bool wide = insn_class(in->code) == BPF_ALU64, src = BPF_SRC(in->code) == BPF_X;
	char r = wide ? 'r' : 'w';
	const char *text = op == BPF_END ? end_text(in->code, in->imm) : alu_text(op, in->off);

	if (op == BPF_END) {
		if (text)
			sbuf_printf(out, "r%d = %s r%d", in->dst_reg, text, in->dst_reg);
		else
			sbuf_printf(out, "r%d = %s%d r%d", in->dst_reg,
				    wide ? "bswap" : src ? "be" : "le", in->imm, in->dst_reg);
	} else if (!text) {
		sbuf_printf(out, "BUG_alu_%02x", in->code);
	} else if (op == BPF_NEG) {
		sbuf_printf(out, "%c%d = -%c%d", r, in->dst_reg, r, in->dst_reg);
	} else if (op == BPF_MOV && src && in->off == BPF_ADDR_SPACE_CAST) {
		sbuf_printf(out, "r%d = %s(r%d, %u, %u)", in->dst_reg, text, in->src_reg,
			    (u32)in->imm >> 16, (u32)in->imm & 0xffff);
	} else if (op == BPF_MOV && src && in->off) {
		sbuf_printf(out, "%c%d = %s%c%d", r, in->dst_reg, text, r, in->src_reg);
	} else if (src) {
		sbuf_printf(out, "%c%d %s %c%d", r, in->dst_reg, text, r, in->src_reg);
	} else {
		sbuf_printf(out, "%c%d %s %d", r, in->dst_reg, text, in->imm);
	}
}

static void atomic(struct sbuf *out, const struct bpf_insn *in)
{
	static const char *const fetch[16] = { [0] = "add", [4] = "or", [5] = "and", [10] = "xor" };
	const char *w = BPF_SIZE(in->code) == BPF_DW ? "64" : "", *sz = size_of(in->code);
	u8 op = BPF_OP(in->imm);

	if (in->imm == BPF_LOAD_ACQ)
		sbuf_printf(out, "r%d = load_acquire((%s *)(r%d %+d))", in->dst_reg, sz,
			    in->src_reg, in->off);
	else if (in->imm == BPF_STORE_REL)
		sbuf_printf(out, "store_release((%s *)(r%d %+d), r%d)", sz, in->dst_reg, in->off,
			    in->src_reg);
	else if (in->imm == BPF_CMPXCHG)
		sbuf_printf(out, "r0 = atomic%s_cmpxchg((%s *)(r%d %+d), r0, r%d)", w, sz,
			    in->dst_reg, in->off, in->src_reg);
	else if (in->imm == BPF_XCHG)
		sbuf_printf(out, "r%d = atomic%s_xchg((%s *)(r%d %+d), r%d)", in->src_reg, w, sz,
			    in->dst_reg, in->off, in->src_reg);
	else if ((in->imm & ~0xf0) == 0 && fetch[op >> 4])
		sbuf_printf(out, "lock *(%s *)(r%d %+d) %s r%d", sz, in->dst_reg, in->off,
			    alu_text(op, 0), in->src_reg);
	else if ((in->imm & ~0xf0) == BPF_FETCH && fetch[op >> 4])
		sbuf_printf(out, "r%d = atomic%s_fetch_%s((%s *)(r%d %+d), r%d)", in->src_reg, w,
			    fetch[op >> 4], sz, in->dst_reg, in->off, in->src_reg);
	else
		sbuf_printf(out, "BUG_%02x", in->code);
}

static void stx(struct sbuf *out, const struct bpf_insn *in)
{
	if (BPF_MODE(in->code) == BPF_ATOMIC)
		atomic(out, in);
	else if (BPF_MODE(in->code) == BPF_MEM)
		sbuf_printf(out, "*(%s *)(r%d %+d) = r%d", size_of(in->code), in->dst_reg, in->off,
			    in->src_reg);
	else
		sbuf_printf(out, "BUG_%02x", in->code);
}

static void st(struct sbuf *out, const struct bpf_insn *in)
{
	if (BPF_MODE(in->code) == BPF_MEM)
		sbuf_printf(out, "*(%s *)(r%d %+d) = %d", size_of(in->code), in->dst_reg, in->off,
			    in->imm);
	else
		sbuf_printf(out, "BUG_st_%02x", in->code);
}

static void ldx(struct sbuf *out, const struct bpf_insn *in)
{
	u8 mode = BPF_MODE(in->code);

	if (mode == BPF_MEM || mode == BPF_MEMSX)
		sbuf_printf(out, "r%d = *(%s *)(r%d %+d)", in->dst_reg,
			    mode == BPF_MEM ? size_of(in->code) : sx_text[BPF_SIZE(in->code) >> 3],
			    in->src_reg, in->off);
	else
		sbuf_printf(out, "BUG_ldx_%02x", in->code);
}

static void ld(struct sbuf *out, const struct bpf_insn *in, const struct disasm_names *names)
{
	const char *text = NULL;
	char buf[128];

	if (BPF_MODE(in->code) == BPF_ABS) {
		sbuf_printf(out, "r0 = *(%s *)skb[%d]", size_of(in->code), in->imm);
	} else if (BPF_MODE(in->code) == BPF_IND) {
		sbuf_printf(out, "r0 = *(%s *)skb[r%d + %d]", size_of(in->code), in->src_reg, in->imm);
	} else if (insn_is_ldimm64(in)) {
		if (names && names->imm64)
			text = names->imm64(names->arg, in, insn_imm64(in), buf, sizeof(buf));
		if (text)
			sbuf_printf(out, "r%d = %s", in->dst_reg, text);
		else
			sbuf_printf(out, "r%d = 0x%llx", in->dst_reg,
				    (unsigned long long)insn_imm64(in));
	} else {
		sbuf_printf(out, "BUG_ld_%02x", in->code);
	}
}

static void call(struct sbuf *out, const struct bpf_insn *in, const struct disasm_names *names)
{
	const struct spec_helper *h;
	const char *text = NULL;
	char buf[128];

	if (names && names->call)
		text = names->call(names->arg, in, buf, sizeof(buf));
	if (text) {
		sbuf_printf(out, "call %s", text);
	} else if (in->src_reg == BPF_PSEUDO_CALL) {
		sbuf_printf(out, "call pc%+d", in->imm);
	} else if (in->src_reg == BPF_PSEUDO_KFUNC_CALL) {
		sbuf_printf(out, "call kernel-function#%d", in->imm);
	} else {
		h = spec_helper(in->imm);
		sbuf_printf(out, "call %s%s#%d", h ? "bpf_" : "", h ? h->name : "unknown", in->imm);
	}
}

static void jmp(struct sbuf *out, const struct bpf_insn *in, const struct disasm_names *names)
{
	char r = insn_class(in->code) == BPF_JMP32 ? 'w' : 'r';
	const char *text = jmp_text(BPF_OP(in->code));

	if (BPF_OP(in->code) == BPF_CALL)
		call(out, in, names);
	else if (in->code == (BPF_JMP | BPF_JA))
		sbuf_printf(out, "goto pc%+d", in->off);
	else if (in->code == (BPF_JMP32 | BPF_JA))
		sbuf_printf(out, "gotol pc%+d", in->imm);
	else if (in->code == (BPF_JMP | BPF_JCOND) && in->src_reg == BPF_MAY_GOTO)
		sbuf_printf(out, "may_goto pc%+d", in->off);
	else if (in->code == (BPF_JMP | BPF_EXIT))
		sbuf_puts(out, "exit");
	else if (!text)
		sbuf_printf(out, "BUG_jmp_%02x", in->code);
	else if (BPF_SRC(in->code) == BPF_X)
		sbuf_printf(out, "if %c%d %s %c%d goto pc%+d", r, in->dst_reg, text, r, in->src_reg,
			    in->off);
	else
		sbuf_printf(out, "if %c%d %s 0x%x goto pc%+d", r, in->dst_reg, text, (u32)in->imm,
			    in->off);
}

void disasm_insn(struct sbuf *out, const struct bpf_insn *in, const struct disasm_names *names)
{
	sbuf_printf(out, "(%02x) ", in->code);
	switch (insn_class(in->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		alu(out, in);
		break;
	case BPF_LD:
		ld(out, in, names);
		break;
	case BPF_LDX:
		ldx(out, in);
		break;
	case BPF_ST:
		st(out, in);
		break;
	case BPF_STX:
		stx(out, in);
		break;
	default:
		jmp(out, in, names);
	}
}
