/* SPDX-License-Identifier: Apache-2.0 */
/* scan_decode.c - one function's instructions, decoded by libzydis from its start, and where execution may come from
 * elsewhere: its own branches, its jump tables. The caller adds what it knows of the rest of the file (scan_mark()). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#if __has_include(<Zydis/Zydis.h>)
#include <Zydis/Zydis.h>
#define HAVE_ZYDIS 1
#endif

#include "front/scan.h"

#define TABLE_MAX	4096		/* entries of a jump table */

bool scan_mark(struct scan_code *c, u64 vaddr)
{
	u32 i;

	if (vaddr < c->f.start || vaddr >= c->f.end)
		return true;
	i = c->index[vaddr - c->f.start];
	if (i)
		c->insn[i - 1].target = true;
	return i;
}

#ifdef HAVE_ZYDIS
static int reg_number(ZydisRegister r)
{
	r = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r);
	return r >= ZYDIS_REGISTER_RAX && r <= ZYDIS_REGISTER_R15 ? (int)(r - ZYDIS_REGISTER_RAX) : -1;
}

static u8 kind_of(const ZydisDecodedInstruction *d, const ZydisDecodedOperand *o)
{
	bool direct = d->operand_count && o[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;

	switch (d->mnemonic) {
	case ZYDIS_MNEMONIC_HLT: case ZYDIS_MNEMONIC_UD2: case ZYDIS_MNEMONIC_UD1: case ZYDIS_MNEMONIC_UD0:
		return I_STOP;
	case ZYDIS_MNEMONIC_INT3: case ZYDIS_MNEMONIC_NOP:
		return I_PAD;
	case ZYDIS_MNEMONIC_JCXZ: case ZYDIS_MNEMONIC_JECXZ: case ZYDIS_MNEMONIC_JRCXZ: case ZYDIS_MNEMONIC_LOOP:
	case ZYDIS_MNEMONIC_LOOPE: case ZYDIS_MNEMONIC_LOOPNE: case ZYDIS_MNEMONIC_XBEGIN:
	case ZYDIS_MNEMONIC_INT: case ZYDIS_MNEMONIC_SYSENTER: case ZYDIS_MNEMONIC_IRETQ:
		return I_ODD;
	case ZYDIS_MNEMONIC_SYSCALL:
		return I_SYSCALL;
	default:
		break;
	}
	switch (d->meta.category) {
	case ZYDIS_CATEGORY_COND_BR: return I_JCC;
	case ZYDIS_CATEGORY_UNCOND_BR: return direct ? I_JMP : I_IJMP;
	case ZYDIS_CATEGORY_CALL: return direct ? I_CALL : I_ICALL;
	case ZYDIS_CATEGORY_RET: return I_RET;
	default: return I_PLAIN;
	}
}

static void note_operand(struct insn *in, const ZydisDecodedInstruction *d, const ZydisDecodedOperand *o, u64 addr)
{
	int r;

	if (o->type == ZYDIS_OPERAND_TYPE_MEMORY) {
		r = reg_number(o->mem.base);
		in->reads |= r >= 0 ? 1u << r : 0;
		in->rsp_mem |= r == REG_SP;
		r = reg_number(o->mem.index);
		in->reads |= r >= 0 ? 1u << r : 0;
		if (o->mem.base == ZYDIS_REGISTER_RIP) {
			in->disp_at = d->raw.disp.offset;
			in->to = addr + d->length + o->mem.disp.value;
		}
	} else if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) {
		r = reg_number(o->reg.value);
		if (r < 0)
			return;
		if (o->actions & ZYDIS_OPERAND_ACTION_MASK_READ)
			in->reads |= 1u << r;
		if (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
			in->writes |= 1u << r;
	} else if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && o->imm.is_relative) {
		in->to = addr + d->length + o->imm.value.s;
	}
}

/* mov $imm,%reg; xor %reg,%reg; mov %reg,%reg: what sets system call numbers. Writes to %al keep the rest, so they
 * count only for a register that is known (value_of_low() in scan.c). */
static void note_constant(struct insn *in, const ZydisDecodedInstruction *d, const ZydisDecodedOperand *o)
{
	in->set = in->copy = -1;
	if (d->operand_count < 2 || o[0].type != ZYDIS_OPERAND_TYPE_REGISTER || o[0].size < 32)
		return;
	if (d->mnemonic == ZYDIS_MNEMONIC_MOV && o[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		in->set = reg_number(o[0].reg.value);
		in->value = o[0].size == 32 ? (s64)(u32)o[1].imm.value.u : o[1].imm.value.s;
	} else if ((d->mnemonic == ZYDIS_MNEMONIC_XOR || d->mnemonic == ZYDIS_MNEMONIC_SUB) &&
		   o[1].type == ZYDIS_OPERAND_TYPE_REGISTER && o[1].reg.value == o[0].reg.value) {
		in->set = reg_number(o[0].reg.value);
		in->value = 0;
	} else if (d->mnemonic == ZYDIS_MNEMONIC_MOV && o[1].type == ZYDIS_OPERAND_TYPE_REGISTER) {
		in->set = reg_number(o[0].reg.value);
		in->copy = reg_number(o[1].reg.value);
		if (in->copy < 0)
			in->set = -1;
	}
}

static void note_flags(struct insn *in, const ZydisDecodedInstruction *d)
{
	const ZydisAccessedFlags *f = d->cpu_flags;

	if (!f)
		return;
	in->f_reads = f->tested & FLAGS_ARITH;
	in->f_writes = (f->modified | f->set_0 | f->set_1 | f->undefined) & FLAGS_ARITH & ~f->tested;
	/* shifts by a register, bsf and the like leave flags alone sometimes */
	if (d->mnemonic >= ZYDIS_MNEMONIC_INVALID &&
	    (d->mnemonic == ZYDIS_MNEMONIC_SHL || d->mnemonic == ZYDIS_MNEMONIC_SHR || d->mnemonic == ZYDIS_MNEMONIC_SAR ||
	     d->mnemonic == ZYDIS_MNEMONIC_ROL || d->mnemonic == ZYDIS_MNEMONIC_ROR || d->mnemonic == ZYDIS_MNEMONIC_RCL ||
	     d->mnemonic == ZYDIS_MNEMONIC_RCR || d->mnemonic == ZYDIS_MNEMONIC_SHLD || d->mnemonic == ZYDIS_MNEMONIC_SHRD ||
	     (d->attributes & ZYDIS_ATTRIB_HAS_REP) || (d->attributes & ZYDIS_ATTRIB_HAS_REPE) ||
	     (d->attributes & ZYDIS_ATTRIB_HAS_REPNE)))
		in->f_writes = 0;
}

static struct insn *new_insn(struct scan_code *c)
{
	if (c->nr == c->cap) {
		u32 n = c->cap ? c->cap * 2 : 256;
		void *p = realloc(c->insn, n * sizeof(*c->insn));

		if (!p)
			return NULL;
		c->insn = p;
		c->cap = n;
	}
	memset(&c->insn[c->nr], 0, sizeof(*c->insn));
	return &c->insn[c->nr++];
}

/* Behind the function: nops that belong to nobody. */
static bool is_padding(const struct scan_code *c, const struct insn *in)
{
	u64 addr = c->f.start + in->at;
	struct scan_func g;

	return in->kind == I_PAD && !(scan_elf_func(c->elf, addr, &g) && g.start == addr);
}

static int decode_all(struct scan_code *c)
{
	u32 end = c->f.end - c->f.start, size = end, at = 0;
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction d;
	ZydisDecoder dec;

	if (scan_elf_at(c->elf, c->f.start, size + SCAN_PAD))
		size += SCAN_PAD;
	ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	while (at < size) {
		struct insn *in;

		if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&dec, c->bytes + at, size - at, &d, o)))
			return at < end ? -EILSEQ : 0;
		in = new_insn(c);
		if (!in)
			return -ENOMEM;
		in->at = at;
		in->len = d.length;
		in->kind = kind_of(&d, o);
		for (u32 i = 0; i < d.operand_count; i++)
			note_operand(in, &d, &o[i], c->f.start + at);
		note_constant(in, &d, o);
		note_flags(in, &d);
		if (at >= end && !is_padding(c, in)) {
			c->nr--;
			break;
		}
		c->index[at] = c->nr;
		c->df |= d.mnemonic == ZYDIS_MNEMONIC_STD || d.mnemonic == ZYDIS_MNEMONIC_POPFQ;
		at += d.length;
	}
	return 0;
}

/* A branch into the middle of an instruction means that we read the function wrongly. */
static int mark_branches(struct scan_code *c)
{
	for (u32 i = 0; i < c->nr; i++) {
		const struct insn *in = &c->insn[i];

		if (!in->to || in->to < c->f.start || in->to >= c->f.end)
			continue;
		if (!scan_mark(c, in->to) && !in->disp_at)	/* lea of a label, or data in the text */
			return -EILSEQ;
	}
	return 0;
}

/* The table at VADDR, if it is one: offsets from itself to code. It ends where they do not point to code any more;
 * reading too far marks too much, which costs at most a window. */
static void mark_table(struct scan_code *c, u64 vaddr)
{
	for (u32 i = 0; i < TABLE_MAX; i++) {
		const u8 *p = scan_elf_at(c->elf, vaddr + 4ull * i, 4);
		s32 rel;

		if (!p)
			return;
		memcpy(&rel, p, 4);
		if (!scan_elf_is_code(c->elf, vaddr + rel))
			return;
		scan_mark(c, vaddr + rel);
	}
}

static void mark_tables(struct scan_code *c)
{
	bool indirect = false;

	for (u32 i = 0; i < c->nr; i++)
		indirect |= c->insn[i].kind == I_IJMP;
	for (u32 i = 0; indirect && i < c->nr; i++) {
		const struct insn *in = &c->insn[i];

		if (in->disp_at && !scan_elf_is_code(c->elf, in->to))
			mark_table(c, in->to);
	}
}

static void mark_pad(void *arg, u64 vaddr)
{
	scan_mark(arg, vaddr);
}

int scan_decode(struct scan_code *c)
{
	int err;

	c->nr = 0;
	c->df = false;
	err = decode_all(c);
	if (err)
		return err;
	err = mark_branches(c);
	if (err)
		return err;
	mark_tables(c);
	scan_elf_pads(c->elf, &c->f, mark_pad, c);
	return 0;
}
#else
int scan_decode(struct scan_code *c)
{
	return -EOPNOTSUPP;
}
#endif
