/* SPDX-License-Identifier: Apache-2.0 */
/* cbpf_text.c - classic BPF as text. Style D is libpcap's bpf_image(), byte for byte (but for `ldx #pktlen`, which
 * libpcap does not know); style ASM can be assembled again. Names and forms: spec/cbpf.def. */
#include <stdio.h>

#include "vm/cbpf.h"

static void operand_imm(struct sbuf *o, const struct cbpf_op *op, u32 k)
{
	bool hex = op->hex || (BPF_CLASS(op->code) != BPF_ALU && BPF_CLASS(op->code) != BPF_RET);

	sbuf_printf(o, hex ? "#0x%x" : "#%d", k);
}

/* The operand as libpcap and assemblers write it; what differs comes in by ASM. */
static void operand(struct sbuf *o, const struct cbpf_op *op, const struct sock_filter *in, bool as_asm)
{
	const struct cbpf_ad *ad = cbpf_ad(in);

	switch ((enum cbpf_form)op->form) {
	case CBPF_PKT:
		if (ad)
			sbuf_printf(o, as_asm ? "%s" : "[%s]", as_asm ? ad->alias : ad->text);
		else
			sbuf_printf(o, "[%d]", (s32)in->k);
		break;
	case CBPF_IND:
		sbuf_printf(o, as_asm ? "[x+%d]" : "[x + %d]", (s32)in->k);
		break;
	case CBPF_IMM:
		operand_imm(o, op, in->k);
		break;
	case CBPF_MEM:
		sbuf_printf(o, "M[%d]", (s32)in->k);
		break;
	case CBPF_LEN:
		sbuf_puts(o, as_asm ? "len" : "#pktlen");
		break;
	case CBPF_MSH:
		sbuf_printf(o, "4*([%d]&0xf)", (s32)in->k);
		break;
	case CBPF_X:
		sbuf_puts(o, "x");
		break;
	case CBPF_RA:
		sbuf_puts(o, as_asm ? "a" : "");
		break;
	case CBPF_NONE:
	case CBPF_JA:
		break;
	}
}

void cbpf_print_insn(struct sbuf *out, const struct sock_filter *in, u32 at)
{
	const struct cbpf_op *op = cbpf_op(in->code);
	struct sbuf o = {};

	if (!op) {
		sbuf_printf(out, "(%03u) unimp    0x%x", at, in->code);
		return;
	}
	operand(&o, op, in, false);
	if (op->form == CBPF_JA)
		sbuf_printf(out, "(%03u) %-8s %d", at, op->text, (s32)(at + 1 + in->k));
	else if (op->jump)
		sbuf_printf(out, "(%03u) %-8s %-16s jt %u\tjf %u", at, op->text, o.s, at + 1 + in->jt, at + 1 + in->jf);
	else
		sbuf_printf(out, "(%03u) %-8s %s", at, op->text, o.len ? o.s : "");
	sbuf_free(&o);
}

/* Whether anything jumps to AT. */
static bool is_target(const struct sock_filter *f, u32 n, u32 at)
{
	for (u32 i = 0; i < n; i++) {
		const struct cbpf_op *op = cbpf_op(f[i].code);

		if (!op)
			continue;
		if (op->form == CBPF_JA && i + 1 + f[i].k == at)
			return true;
		if (op->jump && (i + 1 + f[i].jt == at || (f[i].jf && i + 1 + f[i].jf == at)))
			return true;
	}
	return false;
}

/* jeq #1, Lt, Lf; without Lf where that is what follows. */
static void asm_jump(struct sbuf *out, const struct sock_filter *in, u32 at)
{
	sbuf_printf(out, ", L%u", at + 1 + in->jt);
	if (in->jf)
		sbuf_printf(out, ", L%u", at + 1 + in->jf);
}

static void print_asm(struct sbuf *out, const struct sock_filter *f, u32 n)
{
	char label[16];

	for (u32 i = 0; i < n; i++) {
		const struct cbpf_op *op = cbpf_op(f[i].code);

		snprintf(label, sizeof(label), "L%u:", i);
		sbuf_printf(out, "%-7s ", is_target(f, n, i) ? label : "");
		if (!op) {
			sbuf_printf(out, "; no instruction has code %#x\n", f[i].code);
			continue;
		}
		sbuf_printf(out, "%s%s", op->text, op->form == CBPF_NONE ? "" : "\t");
		operand(out, op, &f[i], true);
		if (op->form == CBPF_JA)
			sbuf_printf(out, "L%d", (s32)(i + 1 + f[i].k));
		else if (op->jump)
			asm_jump(out, &f[i], i);
		sbuf_puts(out, "\n");
	}
}

void cbpf_print(struct sbuf *out, const struct sock_filter *f, u32 n, enum cbpf_style style)
{
	if (style == CBPF_ASM) {
		print_asm(out, f, n);
		return;
	}
	if (style == CBPF_DDD || style == CBPF_COMMA)
		sbuf_printf(out, style == CBPF_DDD ? "%u\n" : "%u", n);
	for (u32 i = 0; i < n; i++) {
		const struct sock_filter *in = &f[i];

		switch (style) {
		case CBPF_DD:
			sbuf_printf(out, "{ 0x%x, %u, %u, 0x%08x },\n", in->code, in->jt, in->jf, in->k);
			break;
		case CBPF_DDD:
			sbuf_printf(out, "%u %u %u %u\n", in->code, in->jt, in->jf, in->k);
			break;
		case CBPF_COMMA:
			sbuf_printf(out, ",%u %u %u %u", in->code, in->jt, in->jf, in->k);
			break;
		default:
			cbpf_print_insn(out, in, i);
			sbuf_puts(out, "\n");
		}
	}
	if (style == CBPF_COMMA)
		sbuf_puts(out, "\n");
}
