/* SPDX-License-Identifier: Apache-2.0 */
/* jit_x86.c - the x86-64 emitter.
 *
 * r0 rax  r1 rdi  r2 rsi  r3 rdx  r4 rcx  r5 r8  r6 rbx  r7 r13  r8 r14  r9 r15: as the kernel's, so calls of helpers move
 * nothing. r9 r10 r11 are scratch. r10 has no register: the frame is addressed by rsp, and rbp stays the caller's, so
 * that profilers walk on. Frame, from above:
 *
 *	return address | pushed r6..r9 (those written) | BPF stack | slots | rsp
 *
 * A frame is subtracted so that rsp is 16-aligned where the subprogram calls anything. The upper halves of 32-bit
 * results are zero by nature of the machine.
 * Tail calls: the run's counter lives in the C entry's frame (enter_counted()); its address travels in r10 to
 * subprograms that reach a tail call, and to the next program, whose tail entry takes it. */
#include <errno.h>

#include "spec/ctx.h"
#include "vm/x86.h"

const u8 x86_reg[11] = { RAX, RDI, RSI, RDX, RCX, R8, RBX, R13, R14, R15, NO_REG };
#define TMP		X86_TMP
#define TMP2		X86_TMP2
#define TMP3		X86_TMP3

enum site_kind { SITE_JMP = 0x10, SITE_CALL, SITE_LEA };	/* below: jcc by condition */
#define SITE_LEA_REG(r)	(SITE_LEA + (r))

void x86_jump(struct jit *j, u32 label)
{
	jit_site(j, SITE_JMP, label, 5, 2);
}

void x86_jump_if(struct jit *j, enum x86_cc cc, u32 label)
{
	jit_site(j, cc, label, 6, 2);
}

static bool reaches(u8 kind, s64 disp)
{
	return fits8(disp);
}

static void branch(u8 *p, const struct jit_site *s, s64 disp)
{
	s32 d = (s32)disp;

	if (s->is_short) {
		*p++ = s->kind == SITE_JMP ? 0xeb : 0x70 | s->kind;
		*p = (u8)d;
		return;
	}
	if (s->kind == SITE_JMP || s->kind == SITE_CALL) {
		*p++ = s->kind == SITE_JMP ? 0xe9 : 0xe8;
	} else if (s->kind >= SITE_LEA) {		/* lea disp(%rip), reg */
		u8 reg = s->kind - SITE_LEA;

		*p++ = 0x48 | (reg >> 3) << 2;
		*p++ = 0x8d;
		*p++ = (reg & 7) << 3 | 5;
	} else {
		*p++ = 0x0f;
		*p++ = 0x80 | s->kind;
	}
	memcpy(p, &d, sizeof(d));
}

/* ---- operands ---- */

/* A register that holds BPF_REG; r10 is computed into SCRATCH. */
static u8 value(struct jit *j, u32 bpf_reg, u8 scratch)
{
	if (bpf_reg != 10)
		return x86_reg[bpf_reg];
	x86_lea(j, true, scratch, x86_fp(j, 0));
	return scratch;
}

/* ---- entry and exit ---- */

static bool needs_wrapper(const struct jit *j, u32 sub)
{
	const struct ir_sub *s = &j->ir.sub[sub];

	return s->tail_calls && (sub == 0 || s->address_taken);
}

/* The tail entry lies JIT_TAIL_ENTRY bytes before the C entry: a jump to the body, or a nop into it. */
static void tail_entry(struct jit *j, bool wrapper)
{
	static const u8 nop8[8] = { 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0 };

	if (!wrapper) {
		jit_bytes(j, nop8, sizeof(nop8));
		return;
	}
	jit_site(j, SITE_JMP, jit_label_body(j, 0), 5, 5);
	jit_bytes(j, "\xcc\xcc\xcc", 3);
}

/* C entry of a subprogram that reaches tail calls: makes the counter, passes its address in r10. */
static void counted_entry(struct jit *j, u32 sub)
{
	jit_bytes(j, "\x6a\x00", 2);			/* push $0 */
	x86_mov(j, true, TMP2, RSP);
	jit_site(j, SITE_CALL, jit_label_body(j, sub), 5, 5);
	x86_pop(j, RCX);
	x86_1(j, 0xc3);
}

static u32 slot(struct jit *j, bool wanted)
{
	u32 at = j->frame;

	if (wanted)
		j->frame += 8;
	return at;
}

static void plan_frame(struct jit *j, u32 sub)
{
	const struct ir_sub *s = &j->ir.sub[sub];
	u32 pushes = (u32)__builtin_popcount(s->saved);

	j->frame = 0;
	j->pushed = s->saved;
	j->slot_count = slot(j, s->tail_calls);
	j->slot_ctx = slot(j, s->tail_calls);
	j->slot_budget = slot(j, s->may_goto);
	if (s->uses_fp)
		j->frame += j->subs[sub].stack;
	if (s->calls && (j->frame + 8 * pushes + 8) % 16)
		j->frame += 8;
}

static void enter(struct jit *j, u32 sub)
{
	bool wrapper = needs_wrapper(j, sub);

	if (sub == 0) {
		jit_bytes(j, "\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc", 16 - JIT_TAIL_ENTRY);
		tail_entry(j, wrapper);
	}
	jit_label_here(j, jit_label_entry(j, sub));
	if (wrapper)
		counted_entry(j, sub);
	jit_label_here(j, jit_label_body(j, sub));
	plan_frame(j, sub);
	for (u32 r = 6; r <= 9; r++)
		if (j->pushed >> r & 1)
			x86_push(j, x86_reg[r]);
	if (j->frame)
		x86_alu_imm(j, true, X86_SUB, RSP, (s32)j->frame);
	if (j->ir.sub[sub].tail_calls)
		x86_rm(j, true, 0x89, TMP2, x86_at(RSP, (s32)j->slot_count));
	if (j->ir.sub[sub].may_goto) {
		x86_rm(j, true, 0xc7, 0, x86_at(RSP, (s32)j->slot_budget));
		x86_imm(j, VM_MAY_GOTO_BUDGET, 4);
	}
}

static void drop_frame(struct jit *j)
{
	if (j->frame)
		x86_alu_imm(j, true, X86_ADD, RSP, (s32)j->frame);
	for (u32 r = 9; r >= 6; r--)
		if (j->pushed >> r & 1)
			x86_pop(j, x86_reg[r]);
}

static void leave(struct jit *j)
{
	drop_frame(j);
	x86_1(j, 0xc3);
}

/* ---- arithmetic ---- */

/* ADD, SUB, ... by BPF op, where x86 has the same two-operand form. */
static int plain_alu(u8 op)
{
	switch (op) {
	case BPF_ADD:
		return X86_ADD;
	case BPF_SUB:
		return X86_SUB;
	case BPF_AND:
		return X86_AND;
	case BPF_OR:
		return X86_OR;
	case BPF_XOR:
		return X86_XOR;
	}
	return -1;
}

static enum x86_shift shift_of(u8 op)
{
	return op == BPF_LSH ? X86_SHL : op == BPF_RSH ? X86_SHR : X86_SAR;
}

/* shlx, shrx, sarx: VEX.LZ.{66,F3,F2}.0F38 F7 /r, count in vvvv. */
static void x86_shift_bmi2(struct jit *j, bool w, enum x86_shift op, u8 dst, u8 count)
{
	u8 pp = op == X86_SHL ? 1 : op == X86_SHR ? 3 : 2;
	u8 inv = (u8)~((dst >> 3) << 7 | (dst >> 3) << 5) & 0xe0;

	x86_1(j, 0xc4);
	x86_1(j, inv | 2);
	x86_1(j, w << 7 | (~count & 15) << 3 | pp);
	x86_1(j, 0xf7);
	x86_1(j, 0xc0 | (dst & 7) << 3 | (dst & 7));
	j->cpu_used |= JIT_CPU_X86_BMI2;
}

/* dst <<= src: the count must be in cl, where r4 lives. */
static void shift_reg(struct jit *j, u32 i, bool w, enum x86_shift op, u8 dst, u8 src)
{
	bool keep = x86_live(j, i, 4) && dst != RCX && src != RCX;

	if (j->cpu & JIT_CPU_X86_BMI2 && (src != RCX || dst == RCX)) {
		x86_shift_bmi2(j, w, op, dst, src);
		return;
	}
	if (src == RCX && dst != RCX) {
		x86_rr(j, w, 0xd3, op, dst);
	} else if (dst == RCX) {
		x86_move(j, TMP, RCX);
		x86_move(j, RCX, src);
		x86_rr(j, w, 0xd3, op, TMP);
		x86_move(j, RCX, TMP);
	} else {
		if (keep)
			x86_move(j, TMP, RCX);
		x86_move(j, RCX, src);
		x86_rr(j, w, 0xd3, op, dst);
		if (keep)
			x86_move(j, RCX, TMP);
	}
}

static void mul(struct jit *j, bool w, const struct bpf_insn *in, u8 dst)
{
	if (BPF_SRC(in->code) == BPF_X) {
		x86_rr(j, w, 0x0faf, dst, value(j, in->src_reg, TMP));
	} else if (in->imm > 0 && !(in->imm & (in->imm - 1))) {
		x86_shift_imm(j, w, X86_SHL, dst, (u8)__builtin_ctz((u32)in->imm));
	} else {
		x86_rr(j, w, fits8(in->imm) ? 0x6b : 0x69, dst, dst);
		x86_imm(j, in->imm, fits8(in->imm) ? 1 : 4);
	}
}

static void move(struct jit *j, u32 i, const struct bpf_insn *in, bool w, u8 dst)
{
	if (BPF_SRC(in->code) == BPF_K) {
		x86_load_imm(j, dst, w ? (u64)(s64)in->imm : (u32)in->imm);
	} else if (in->src_reg == 10) {
		x86_lea(j, w, dst, x86_fp(j, 0));
	} else {
		u8 src = x86_reg[in->src_reg];

		switch (in->off) {
		case 8:
			x86_rr8(j, w, 0x0fbe, dst, src);
			break;
		case 16:
			x86_rr(j, w, 0x0fbf, dst, src);
			break;
		case 32:
			x86_rr(j, true, 0x63, dst, src);
			break;
		default:
			if (!w && x86_zext(j, i, in->src_reg))
				x86_move(j, dst, src);
			else if (!w || dst != src)
				x86_mov(j, w, dst, src);
		}
	}
}

static void swap(struct jit *j, const struct bpf_insn *in, u8 dst)
{
	bool le = in->code == (BPF_ALU | BPF_END | BPF_TO_LE);

	switch (in->imm) {
	case 16:
		if (!le)
			x86_op(j, false, 0x6600c1, 0, 0, dst, false), x86_1(j, 0xc8 | (dst & 7)), x86_1(j, 8);
		x86_rr(j, false, 0x0fb7, dst, dst);
		break;
	case 32:
		if (le)
			x86_mov(j, false, dst, dst);
		else
			x86_op(j, false, 0x0fc8 | (dst & 7), 0, 0, dst, false);
		break;
	case 64:
		if (!le)
			x86_op(j, true, 0x0fc8 | (dst & 7), 0, 0, dst, false);
		break;
	}
}

static int alu(struct jit *j, u32 i)
{
	const struct bpf_insn *in = &j->insn[i];
	bool w = insn_class(in->code) == BPF_ALU64, x = BPF_SRC(in->code) == BPF_X;
	u8 op = BPF_OP(in->code), dst = x86_reg[in->dst_reg];
	int plain = plain_alu(op);

	if (plain >= 0) {
		if (x)
			x86_alu(j, w, plain, dst, value(j, in->src_reg, TMP));
		else
			x86_alu_imm(j, w, plain, dst, in->imm);
		return 1;
	}
	switch (op) {
	case BPF_LSH:
	case BPF_RSH:
	case BPF_ARSH:
		if (x)
			shift_reg(j, i, w, shift_of(op), dst, value(j, in->src_reg, TMP2));
		else if (in->imm & (w ? 63 : 31))
			x86_shift_imm(j, w, shift_of(op), dst, in->imm & (w ? 63 : 31));
		else if (!w)
			x86_mov(j, false, dst, dst);
		return 1;
	case BPF_NEG:
		x86_rr(j, w, 0xf7, 3, dst);
		return 1;
	case BPF_MUL:
		mul(j, w, in, dst);
		return 1;
	case BPF_DIV:
	case BPF_MOD:
		x86_divide(j, i, dst, x ? value(j, in->src_reg, TMP) : NO_REG);
		return 1;
	case BPF_MOV:
		move(j, i, in, w, dst);
		return 1;
	case BPF_END:
		swap(j, in, dst);
		return 1;
	}
	return -EINVAL;
}

/* ---- memory ---- */

int x86_load(struct jit *j, const struct bpf_insn *in, struct x86_mem m)
{
	bool sx = BPF_MODE(in->code) == BPF_MEMSX;
	u8 dst = x86_reg[in->dst_reg];

	switch (BPF_SIZE(in->code)) {
	case BPF_B:
		x86_rm(j, sx, sx ? 0x0fbe : 0x0fb6, dst, m);
		return 1;
	case BPF_H:
		x86_rm(j, sx, sx ? 0x0fbf : 0x0fb7, dst, m);
		return 1;
	case BPF_W:
		x86_rm(j, sx, sx ? 0x63 : 0x8b, dst, m);
		return 1;
	default:
		x86_rm(j, true, 0x8b, dst, m);
		return sx ? -EINVAL : 1;
	}
}

static void store_reg(struct jit *j, u8 size, u8 src, struct x86_mem m)
{
	if (size == BPF_B)
		x86_rm8(j, 0x88, src, m);
	else if (size == BPF_H)
		x86_rm(j, false, 0x660089, src, m);
	else
		x86_rm(j, size == BPF_DW, 0x89, src, m);
}

static void store_imm(struct jit *j, u8 size, s32 imm, struct x86_mem m)
{
	static const u8 len[4] = { [BPF_W >> 3] = 4, [BPF_H >> 3] = 2, [BPF_B >> 3] = 1, [BPF_DW >> 3] = 4 };

	x86_rm(j, size == BPF_DW, size == BPF_B ? 0xc6 : size == BPF_H ? 0x6600c7 : 0xc7, 0, m);
	x86_imm(j, imm, len[size >> 3]);
}

/* fetch and/or/xor: a loop around cmpxchg, which wants rax. */
static void fetch_loop(struct jit *j, u32 i, bool w, enum x86_alu op, u8 src)
{
	const struct bpf_insn *in = &j->insn[i];
	struct x86_mem m = x86_bpf_mem(j, in->dst_reg, in->off);
	bool keep = in->src_reg != 0;
	u32 again;
	s32 back;

	x86_move(j, TMP, RAX);
	if (m.base == RAX)
		m.base = TMP;
	if (src == RAX)
		src = TMP;
	x86_rm(j, w, 0x8b, RAX, m);
	again = j->len;
	x86_mov(j, w, TMP3, RAX);
	x86_alu(j, w, op, TMP3, src);
	x86_1(j, 0xf0);
	x86_rm(j, w, 0x0fb1, TMP3, m);
	x86_1(j, 0x70 | CC_NE);
	back = (s32)again - (s32)(j->len + 1);
	x86_1(j, (u8)back);
	if (keep) {
		x86_move(j, x86_reg[in->src_reg], RAX);
		x86_move(j, RAX, TMP);
	}
}

static int atomic(struct jit *j, u32 i)
{
	const struct bpf_insn *in = &j->insn[i];
	bool w = BPF_SIZE(in->code) == BPF_DW;
	struct x86_mem m = x86_bpf_mem(j, in->dst_reg, in->off);
	u8 src = in->imm == BPF_LOAD_ACQ ? 0 : value(j, in->src_reg, TMP2);
	int plain = plain_alu(in->imm & 0xf0);

	switch (in->imm) {
	case BPF_LOAD_ACQ:
	{
		struct bpf_insn ld = *in;

		ld.code = BPF_LDX | BPF_MEM | BPF_SIZE(in->code);
		return x86_load(j, &ld, x86_bpf_mem(j, in->src_reg, in->off));
	}
	case BPF_STORE_REL:
		store_reg(j, BPF_SIZE(in->code), src, m);
		return 1;
	}
	if (BPF_SIZE(in->code) != BPF_W && !w)
		return -EINVAL;
	switch (in->imm) {
	case BPF_ADD:
	case BPF_AND:
	case BPF_OR:
	case BPF_XOR:
		x86_1(j, 0xf0);
		x86_rm(j, w, (u32)plain, src, m);
		return 1;
	case BPF_ADD | BPF_FETCH:
		x86_1(j, 0xf0);
		x86_rm(j, w, 0x0fc1, src, m);
		return 1;
	case BPF_AND | BPF_FETCH:
	case BPF_OR | BPF_FETCH:
	case BPF_XOR | BPF_FETCH:
		fetch_loop(j, i, w, plain, src);
		return 1;
	case BPF_XCHG:
		x86_rm(j, w, 0x87, src, m);
		return 1;
	case BPF_CMPXCHG:
		x86_1(j, 0xf0);
		x86_rm(j, w, 0x0fb1, src, m);
		if (!w)			/* on success the machine leaves rax as it was */
			x86_mov(j, false, RAX, RAX);
		return 1;
	}
	return -EINVAL;
}

static int store(struct jit *j, u32 i)
{
	const struct bpf_insn *in = &j->insn[i];

	if (insn_class(in->code) == BPF_ST)
		store_imm(j, BPF_SIZE(in->code), in->imm, x86_bpf_mem(j, in->dst_reg, in->off));
	else if (BPF_MODE(in->code) == BPF_ATOMIC)
		return atomic(j, i);
	else
		store_reg(j, BPF_SIZE(in->code), value(j, in->src_reg, TMP),
			  x86_bpf_mem(j, in->dst_reg, in->off));
	return 1;
}

void x86_load_addr(struct jit *j, u8 dst, u8 kind, u16 n, s64 addend)
{
	x86_op(j, true, 0xb8 | (dst & 7), 0, 0, dst, false);
	jit_reloc(j, 0, FORM_ABS64, kind, n, addend);
	x86_imm(j, 0, 8);
}

static void call_rt(struct jit *j, u8 kind, u16 n)
{
	x86_1(j, 0xe8);
	jit_reloc(j, 0, FORM_REL32, kind, n, 0);
	x86_imm(j, 0, 4);
}

static int map_index(const struct jit *j, u32 id)
{
	for (u32 i = 0; i < j->o->nr_maps; i++)
		if (j->o->maps[i].id == id)
			return (int)i;
	return -1;
}

static int load_imm64(struct jit *j, u32 i)
{
	const struct bpf_insn *in = &j->insn[i];
	u8 dst = x86_reg[in->dst_reg];
	int map;

	switch (in->src_reg) {
	case 0:
		x86_load_imm(j, dst, insn_imm64(in));
		return 2;
	case BPF_PSEUDO_FUNC:
		jit_site(j, SITE_LEA_REG(dst),
			 jit_label_entry(j, (u32)ir_sub_at(j->subs, j->nr_subs, (s64)i + 1 + in->imm)), 7, 7);
		return 2;
	case BPF_PSEUDO_MAP_FD:
	case BPF_PSEUDO_MAP_VALUE:
		map = map_index(j, (u32)in->imm);
		if (map < 0)
			return -EINVAL;
		if (in->src_reg == BPF_PSEUDO_MAP_FD)
			x86_load_addr(j, dst, RELOC_MAP, (u16)map, 0);
		else
			x86_load_addr(j, dst, RELOC_MAP_VALUE, (u16)map, (u32)in[1].imm);
		return 2;
	}
	return -EINVAL;
}

/* rdi = data, rdx = bytes of it. */
static void packet_bounds(struct jit *j)
{
	x86_rm(j, true, 0x8b, RDI, x86_at(RBX, offsetof(struct skep_sk_buff, data)));
	x86_rm(j, true, 0x8b, RDX, x86_at(RBX, offsetof(struct skep_sk_buff, data_end)));
	x86_alu(j, true, X86_SUB, RDX, RDI);
}

/* r0 = SIZE bytes at M in host order. */
static void packet_value(struct jit *j, u32 size, struct x86_mem m)
{
	if (size == 4) {
		x86_rm(j, false, 0x8b, RAX, m);
		x86_op(j, false, 0x0fc8 | RAX, 0, 0, RAX, false);	/* bswap */
	} else {
		x86_rm(j, false, size == 2 ? 0x0fb7 : 0x0fb6, RAX, m);
	}
	if (size == 2)
		jit_bytes(j, "\x66\xc1\xc8\x08", 4);			/* ror $8, %ax */
}

/* The load lies outside: leave with 0. Jumped over by the condition CC. */
static void leave_unless(struct jit *j, enum x86_cc cc)
{
	u32 ok = x86_skip(j, cc);

	x86_load_imm(j, RAX, 0);
	leave(j);
	x86_land(j, ok);
}

/* Packet loads: linear data is read here; what has a negative offset, and IND beyond the end, is for vm_ld_abs(). */
static int load_packet(struct jit *j, u32 i)
{
	const struct bpf_insn *in = &j->insn[i];
	u32 size = BPF_SIZE(in->code) == BPF_W ? 4 : BPF_SIZE(in->code) == BPF_H ? 2 : 1;
	u32 slow = 0, done = 0;

	if (BPF_MODE(in->code) == BPF_ABS && in->imm >= 0 && in->imm <= INT32_MAX - 4) {
		packet_bounds(j);
		x86_alu_imm(j, true, X86_CMP, RDX, in->imm + (s32)size);
		leave_unless(j, CC_GE);
		packet_value(j, size, x86_at(RDI, in->imm));
		return 1;
	}
	if (BPF_MODE(in->code) == BPF_IND) {
		x86_mov(j, false, RSI, value(j, in->src_reg, TMP));
		if (in->imm)
			x86_alu_imm(j, false, X86_ADD, RSI, in->imm);
		packet_bounds(j);
		x86_lea(j, true, RAX, x86_at(RSI, (s32)size));
		x86_alu(j, true, X86_CMP, RAX, RDX);
		slow = x86_skip(j, CC_G);
		packet_value(j, size, (struct x86_mem) { RDI, RSI, 1, 0 });
		done = x86_skip_always(j);
		x86_land(j, slow);
	} else {
		x86_load_imm(j, RSI, (u32)in->imm);
	}
	x86_move(j, RDI, RBX);
	x86_load_imm(j, RDX, size);
	call_rt(j, RELOC_RT, RT_LD_ABS);
	x86_test(j, true, RAX, RAX);
	leave_unless(j, CC_NS);
	if (done)
		x86_land(j, done);
	return 1;
}

/* A load that cannot fault: by a call that keeps all registers but its destination. */
static int probe_load(struct jit *j, u32 i)
{
	const struct bpf_insn *in = &j->insn[i];
	u32 kept = 0, pad;

	if (in->src_reg == 10)
		return -EINVAL;
	x86_lea(j, true, TMP, x86_bpf_mem(j, in->src_reg, in->off));
	for (u32 r = 0; r <= 5; r++)
		if (r != in->dst_reg && x86_live(j, i, r)) {
			x86_push(j, x86_reg[r]);
			kept |= BIT(r);
		}
	pad = (u32)__builtin_popcount(kept) % 2 * 8;
	if (pad)
		x86_alu_imm(j, true, X86_SUB, RSP, (s32)pad);
	x86_move(j, RDI, TMP);
	x86_load_imm(j, RSI, in->code);
	call_rt(j, RELOC_RT, RT_PROBE);
	x86_move(j, TMP, RAX);
	if (pad)
		x86_alu_imm(j, true, X86_ADD, RSP, (s32)pad);
	for (s32 r = 5; r >= 0; r--)
		if (kept >> r & 1)
			x86_pop(j, x86_reg[r]);
	x86_move(j, x86_reg[in->dst_reg], TMP);
	return 1;
}

/* ---- jumps and calls ---- */

static int cc_of(u8 op)
{
	static const struct { u8 op, cc; } table[] = {
		{ BPF_JEQ, CC_E }, { BPF_JNE, CC_NE }, { BPF_JSET, CC_NE }, { BPF_JGT, CC_A }, { BPF_JGE, CC_AE },
		{ BPF_JLT, CC_B }, { BPF_JLE, CC_BE }, { BPF_JSGT, CC_G }, { BPF_JSGE, CC_GE },
		{ BPF_JSLT, CC_L }, { BPF_JSLE, CC_LE },
	};

	for (u32 i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].op == op)
			return table[i].cc;
	return -EINVAL;
}

static void test_imm(struct jit *j, bool w, u8 dst, s32 imm)
{
	if (imm >= 0 && imm < 128 && (dst == RAX || dst == RBX || dst == RCX || dst == RDX)) {
		x86_rr8(j, false, 0xf6, 0, dst);
		x86_imm(j, imm, 1);
	} else {
		x86_rr(j, w && imm < 0, 0xf7, 0, dst);
		x86_imm(j, imm, 4);
	}
}

static void compare(struct jit *j, const struct bpf_insn *in)
{
	bool w = insn_class(in->code) == BPF_JMP, x = BPF_SRC(in->code) == BPF_X;
	u8 dst = value(j, in->dst_reg, TMP), src = x ? value(j, in->src_reg, TMP2) : 0;

	if (BPF_OP(in->code) == BPF_JSET) {
		if (x)
			x86_test(j, w, dst, src);
		else
			test_imm(j, w, dst, in->imm);
	} else if (x) {
		x86_alu(j, w, X86_CMP, dst, src);
	} else if (in->imm == 0) {
		x86_test(j, w, dst, dst);
	} else {
		x86_alu_imm(j, w, X86_CMP, dst, in->imm);
	}
}

static int tail_call(struct jit *j)
{
	u32 fell;

	x86_rm(j, true, 0x89, RDI, x86_at(RSP, (s32)j->slot_ctx));
	x86_rm(j, true, 0x8b, RCX, x86_at(RSP, (s32)j->slot_count));
	call_rt(j, RELOC_RT, RT_TAIL_CALL);
	x86_test(j, true, RAX, RAX);
	fell = x86_skip(j, CC_E);
	x86_rm(j, true, 0x8b, RDI, x86_at(RSP, (s32)j->slot_ctx));
	x86_rm(j, true, 0x8b, TMP2, x86_at(RSP, (s32)j->slot_count));
	drop_frame(j);
	x86_alu_imm(j, true, X86_SUB, RAX, JIT_TAIL_ENTRY);
	jit_bytes(j, "\xff\xe0", 2);			/* jmp *%rax */
	x86_land(j, fell);
	return 1;
}

static int call(struct jit *j, u32 i)
{
	const struct bpf_insn *in = &j->insn[i];
	u32 sub;

	if (insn_is_tail_call(in))
		return tail_call(j);
	switch (in->src_reg) {
	case 0:
	case BPF_PSEUDO_KFUNC_CALL:
		if (in->imm < 0 || in->imm > UINT16_MAX)
			return -EINVAL;
		call_rt(j, in->src_reg ? RELOC_KFUNC : RELOC_HELPER, (u16)in->imm);
		return 1;
	case BPF_PSEUDO_CALL:
		sub = (u32)ir_sub_at(j->subs, j->nr_subs, (s64)i + 1 + in->imm);
		if (j->ir.sub[sub].tail_calls)
			x86_rm(j, true, 0x8b, TMP2, x86_at(RSP, (s32)j->slot_count));
		jit_site(j, SITE_CALL, jit_label_body(j, sub), 5, 5);
		return 1;
	}
	return -EINVAL;
}

static void may_goto(struct jit *j, u32 to)
{
	struct x86_mem budget = x86_at(RSP, (s32)j->slot_budget);

	x86_rm(j, false, 0x83, 7, budget);		/* cmp $0 */
	x86_1(j, 0);
	x86_jump_if(j, CC_E, to);
	x86_rm(j, false, 0xff, 1, budget);		/* dec */
}

static int jmp(struct jit *j, u32 i)
{
	const struct bpf_insn *in = &j->insn[i];
	u8 op = BPF_OP(in->code);
	u32 to;
	int cc;

	if (op == BPF_CALL || op == BPF_EXIT || op == BPF_JCOND)
		if (in->code != (BPF_JMP | op))
			return -EINVAL;
	if (op == BPF_CALL)
		return call(j, i);
	if (op == BPF_EXIT) {
		leave(j);
		return 1;
	}
	to = (u32)insn_target(in, i);
	if (op == BPF_JA) {
		if (to != i + 1)
			x86_jump(j, to);
		return 1;
	}
	if (op == BPF_JCOND) {
		may_goto(j, to);
		return 1;
	}
	cc = cc_of(op);
	if (cc < 0)
		return -EINVAL;
	compare(j, in);
	if (to == i + 2 && jit_follows(j, i, 1) && insn_is_ja(in[1].code)) {	/* a jump over a jump */
		x86_jump_if(j, cc ^ 1, (u32)insn_target(&in[1], i + 1));
		return 2;
	}
	x86_jump_if(j, cc, to);
	return 1;
}

static int insn(struct jit *j, u32 i)
{
	const struct bpf_insn *in = &j->insn[i];
	u8 mode = BPF_MODE(in->code);
	int fused = x86_fuse(j, i);

	if (fused)
		return fused;
	switch (insn_class(in->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		return alu(j, i);
	case BPF_LDX:
		if (insn_is_probe(in))
			return probe_load(j, i);
		return mode == BPF_MEM || mode == BPF_MEMSX ?
		       x86_load(j, in, x86_bpf_mem(j, in->src_reg, in->off)) : -EINVAL;
	case BPF_ST:
		return mode == BPF_MEM ? store(j, i) : -EINVAL;
	case BPF_STX:
		return mode == BPF_MEM || mode == BPF_ATOMIC ? store(j, i) : -EINVAL;
	case BPF_LD:
		return insn_is_ldimm64(in) ? load_imm64(j, i) :
		       mode == BPF_ABS || mode == BPF_IND ? load_packet(j, i) : -EINVAL;
	default:
		return jmp(j, i);
	}
}

const struct jit_ops jit_x86_ops = { x86_inlines, enter, insn, reaches, branch };
