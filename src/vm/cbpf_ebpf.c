/* SPDX-License-Identifier: Apache-2.0 */
/* cbpf_ebpf.c - classic BPF to eBPF, one instruction after the other; what is merged and left out was decided by
 * cbpf_flow.c. The result is a program of CBPF_PROG_TYPE that the verifier checks like any other.
 *
 * Registers: A r0, X r4, ctx r1, data r2, data_end r3, P (data + X) r1 or r7, scratch r5; where something must be called,
 * A r7, X r8, ctx r6, P r4, scratch r5, because calls destroy r0 to r5: data and data_end are then read again. M[k] lies
 * at fp - 8 * (k + 1), 8 bytes each. Every failed check goes to one `w0 = 0; exit` at the end.
 * Jumps are fixed up when all is there; if one does not reach, all is done once more with far jumps. */
#include <errno.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "vm/cbpf_flow.h"
#include "vm/insn.h"

enum { LABEL_DROP = CBPF_MAX_INSNS };	/* labels: classic instructions, and where failed checks go */
#define NLA_AT_FP	(-8 * (BPF_MEMWORDS + 1))	/* stack: what nla() keeps */

struct regs {
	u8 a, x, ctx, data, end, p, tmp;
};

struct fixup {
	u32 at, label;
};

struct tr {
	struct flow w;
	struct regs r;
	struct bpf_insn *out;
	u32 cnt, cap;
	struct fixup *fix;
	u32 nr_fix, cap_fix;
	u32 label[CBPF_MAX_INSNS + 1];
	bool far;
	bool uses_ctx, uses_data;
	bool drop_used;
	int err;
};

/* ---- emission ---- */
static void emit(struct tr *t, struct bpf_insn in)
{
	if (t->cnt == t->cap) {
		struct bpf_insn *more = reallocarray(t->out, MAX(t->cap * 2, 256), sizeof(*more));

		if (!more) {
			t->err = -ENOMEM;
			return;
		}
		t->out = more;
		t->cap = MAX(t->cap * 2, 256);
	}
	t->out[t->cnt++] = in;
}

static void alu32_k(struct tr *t, u8 op, u8 dst, u32 k)
{
	emit(t, INSN(BPF_ALU | op | BPF_K, dst, 0, 0, (s32)k));
}

static void alu32(struct tr *t, u8 op, u8 dst, u8 src)
{
	emit(t, INSN(BPF_ALU | op | BPF_X, dst, src, 0, 0));
}

static void alu64_k(struct tr *t, u8 op, u8 dst, s32 k)
{
	emit(t, INSN(BPF_ALU64 | op | BPF_K, dst, 0, 0, k));
}

static void alu64(struct tr *t, u8 op, u8 dst, u8 src)
{
	emit(t, INSN(BPF_ALU64 | op | BPF_X, dst, src, 0, 0));
}

static void load(struct tr *t, u8 size, u8 dst, u8 src, s32 off)
{
	emit(t, INSN(BPF_LDX | BPF_MEM | size, dst, src, (s16)off, 0));
}

static void be(struct tr *t, u8 reg, s32 bits)
{
	emit(t, INSN(BPF_ALU | BPF_END | BPF_TO_BE, reg, 0, 0, bits));
}

static void to(struct tr *t, u32 label)
{
	if (t->nr_fix == t->cap_fix) {
		struct fixup *more = reallocarray(t->fix, MAX(t->cap_fix * 2, 256), sizeof(*more));

		if (!more) {
			t->err = -ENOMEM;
			return;
		}
		t->fix = more;
		t->cap_fix = MAX(t->cap_fix * 2, 256);
	}
	if (label == LABEL_DROP)
		t->drop_used = true;
	t->fix[t->nr_fix++] = (struct fixup) { t->cnt - 1, label };
}

static void go(struct tr *t, u32 label)
{
	emit(t, INSN((t->far ? BPF_JMP32 : BPF_JMP) | BPF_JA, 0, 0, 0, 0));
	to(t, label);
}

/* A conditional jump, short of its offset. */
static void branch(struct tr *t, struct bpf_insn in, u32 label)
{
	in.off = 1;
	emit(t, in);
	if (t->far) {				/* taken: over the way past the far jump */
		emit(t, INSN(BPF_JMP | BPF_JA, 0, 0, 1, 0));
		go(t, label);
	} else {
		to(t, label);
	}
}

static void branch_k(struct tr *t, u8 op, u8 reg, u32 k, u32 label)
{
	branch(t, INSN(BPF_JMP32 | op | BPF_K, reg, 0, 0, (s32)k), label);
}

static void call(struct tr *t, s32 helper)
{
	emit(t, INSN(BPF_JMP | BPF_CALL, 0, 0, 0, helper));
}

static void exit_with(struct tr *t, u32 k)
{
	alu32_k(t, BPF_MOV, 0, k);
	emit(t, INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
}

/* ---- the packet ---- */
static void field(struct tr *t, u8 dst, u32 off)
{
	load(t, BPF_W, dst, t->r.ctx, (s32)off);
}

static void load_bounds(struct tr *t)
{
	field(t, t->r.data, offsetof(struct __sk_buff, data));
	field(t, t->r.end, offsetof(struct __sk_buff, data_end));
}

/* Behind a call. */
static void reload_bounds(struct tr *t)
{
	if (t->uses_data)
		load_bounds(t);
}

/* BASE + LEN must not lie past the end. */
static void check_len(struct tr *t, u8 base, u32 len)
{
	alu64(t, BPF_MOV, t->r.tmp, base);
	alu64_k(t, BPF_ADD, t->r.tmp, (s32)len);
	branch(t, INSN(BPF_JMP | BPF_JGT | BPF_X, t->r.tmp, t->r.end, 0, 0), LABEL_DROP);
}

static void direct_load(struct tr *t, u32 i, u8 dst)
{
	const struct sock_filter *in = &t->w.f[i];
	bool ind = BPF_MODE(in->code) == BPF_IND;
	u32 len = flow_check_len(&t->w, i);
	u8 base = ind ? t->r.p : t->r.data;

	if (ind && !t->w.node[i].in.p_valid) {
		alu64(t, BPF_MOV, base, t->r.data);
		alu64(t, BPF_ADD, base, t->r.x);
	}
	if (len)
		check_len(t, base, len);
	load(t, BPF_SIZE(in->code), dst, base, (s32)in->k);
	if (BPF_SIZE(in->code) == BPF_B || flow_load_rep(&t->w, i) != REP_HOST)
		return;
	be(t, dst, BPF_SIZE(in->code) == BPF_H ? 16 : 32);
	if (BPF_SIZE(in->code) == BPF_H)
		alu32_k(t, BPF_AND, dst, 0xffff);	/* to the verifier, a swap gives anything */
}

/* libpcap's x + k does not wrap: it must lie in what a packet can have. (Larger k: flow_live() says no.) */
static void no_wrap(struct tr *t, u32 k)
{
	alu64(t, BPF_MOV, t->r.tmp, t->r.x);
	alu64_k(t, BPF_ADD, t->r.tmp, (s32)k);
	alu64_k(t, BPF_RSH, t->r.tmp, 31);
	branch(t, INSN(BPF_JMP | BPF_JNE | BPF_K, t->r.tmp, 0, 0, 0), LABEL_DROP);
}

/* LD_ABS, LD_IND; the result goes to DST. */
static void called_load(struct tr *t, u32 i, u8 dst)
{
	const struct sock_filter *in = &t->w.f[i];
	bool ind = BPF_MODE(in->code) == BPF_IND;

	if (t->w.flags & CBPF_LIBPCAP && ind)
		no_wrap(t, in->k);
	emit(t, INSN(BPF_LD | (ind ? BPF_IND : BPF_ABS) | BPF_SIZE(in->code), 0, ind ? t->r.x : 0, 0, (s32)in->k));
	alu32(t, BPF_MOV, dst, 0);
	reload_bounds(t);
}

static void packet_load(struct tr *t, u32 i)
{
	const struct sock_filter *in = &t->w.f[i];
	bool msh = BPF_CLASS(in->code) == BPF_LDX;
	u8 dst = msh ? t->r.x : t->r.a;

	if (flow_direct(&t->w, i))
		direct_load(t, i, dst);
	else
		called_load(t, i, dst);
	if (msh) {
		alu32_k(t, BPF_AND, dst, 15);
		alu32_k(t, BPF_LSH, dst, 2);
	}
}

/* ---- netlink attributes ---- */
/* A = offset of the attribute of type X from offset A on (NEST: in the attribute at A), or 0, as cbpf_nla() does it.
 * fp + NLA_AT_FP: 4 bytes for an attribute's head; below: end, position. */
enum { NLA_HEAD = NLA_AT_FP, NLA_END = NLA_AT_FP - 8, NLA_POS = NLA_AT_FP - 16 };

#define JMP_K(op, reg, k)	INSN(BPF_JMP | (op) | BPF_K, reg, 0, 0, k)
#define JMP_X(op, reg, src)	INSN(BPF_JMP | (op) | BPF_X, reg, src, 0, 0)
#define STORE(reg, off)		INSN(BPF_STX | BPF_MEM | BPF_DW, 10, reg, off, 0)

/* Reads N bytes at the offset in r2 to the head. */
static void nla_read(struct tr *t, u32 n)
{
	alu64(t, BPF_MOV, 1, t->r.ctx);
	alu64(t, BPF_MOV, 3, 10);
	alu64_k(t, BPF_ADD, 3, NLA_HEAD);
	alu64_k(t, BPF_MOV, 4, (s32)n);
	call(t, BPF_FUNC_skb_load_bytes);
}

/* Stores r2 as a number of which the verifier knows nothing: each turn of the loop begins in the same state. */
static void nla_store_pos(struct tr *t)
{
	be(t, 2, 64);
	be(t, 2, 64);
	emit(t, STORE(2, NLA_POS));
}

/* A jump to be landed at T->cnt later; its index. */
static u32 skip(struct tr *t, struct bpf_insn in)
{
	emit(t, in);
	return t->cnt - 1;
}

static void land(struct tr *t, u32 at)
{
	if (!t->err)
		t->out[at].off = (s16)(t->cnt - at - 1);
}

static void nla(struct tr *t, bool nest)
{
	u32 none[10], n = 0, found, loop;

	field(t, 5, offsetof(struct __sk_buff, len));
	alu32(t, BPF_MOV, 2, t->r.a);
	none[n++] = skip(t, JMP_K(BPF_JLT, 5, 4));
	alu64(t, BPF_MOV, 1, 5);
	alu64_k(t, BPF_SUB, 1, 4);
	none[n++] = skip(t, JMP_X(BPF_JGT, 2, 1));
	emit(t, STORE(5, NLA_END));
	if (nest) {
		nla_read(t, 2);
		none[n++] = skip(t, JMP_K(BPF_JNE, 0, 0));
		load(t, BPF_DW, 5, 10, NLA_END);
		load(t, BPF_H, 1, 10, NLA_HEAD);
		alu64(t, BPF_SUB, 5, t->r.a);
		none[n++] = skip(t, JMP_X(BPF_JGT, 1, 5));
		alu64(t, BPF_ADD, 1, t->r.a);
		emit(t, STORE(1, NLA_END));
		alu32(t, BPF_MOV, 2, t->r.a);
		alu64_k(t, BPF_ADD, 2, 4);
	}
	nla_store_pos(t);
	loop = t->cnt;
	none[n++] = skip(t, INSN(BPF_JMP | BPF_JCOND, 0, BPF_MAY_GOTO, 0, 0));
	load(t, BPF_DW, 2, 10, NLA_POS);
	load(t, BPF_DW, 5, 10, NLA_END);
	alu64(t, BPF_MOV, 1, 2);
	alu64_k(t, BPF_ADD, 1, 4);
	none[n++] = skip(t, JMP_X(BPF_JGT, 1, 5));
	nla_read(t, 4);
	none[n++] = skip(t, JMP_K(BPF_JNE, 0, 0));
	load(t, BPF_DW, 2, 10, NLA_POS);
	load(t, BPF_DW, 5, 10, NLA_END);
	alu64(t, BPF_SUB, 5, 2);
	load(t, BPF_H, 1, 10, NLA_HEAD);
	none[n++] = skip(t, JMP_K(BPF_JLT, 1, 4));
	none[n++] = skip(t, JMP_X(BPF_JGT, 1, 5));
	load(t, BPF_H, 3, 10, NLA_HEAD + 2);
	alu32_k(t, BPF_AND, 3, 0x3fff);
	found = skip(t, INSN(BPF_JMP32 | BPF_JEQ | BPF_X, 3, t->r.x, 0, 0));
	alu64_k(t, BPF_ADD, 1, 3);
	alu64_k(t, BPF_AND, 1, -4);
	alu64(t, BPF_ADD, 2, 1);
	nla_store_pos(t);
	emit(t, INSN(BPF_JMP | BPF_JA, 0, 0, (s16)((s32)loop - (s32)t->cnt - 1), 0));
	for (u32 i = 0; i < n; i++)
		land(t, none[i]);
	alu64_k(t, BPF_MOV, 2, 0);
	land(t, found);
	alu32(t, BPF_MOV, t->r.a, 2);
	reload_bounds(t);
}

/* ---- ancillary loads ---- */
enum ad_how { AD_FIELD, AD_FIELD16, AD_BE16, AD_CB, AD_CALL, AD_XOR, AD_NLA };

static const struct ad_row {
	enum ad_how how;
	s32 arg;			/* offset in struct __sk_buff; helper; of NLA: nested? */
} ad_rows[SKF_AD_MAX / 4] = {
#define AT(field)	offsetof(struct __sk_buff, field)
	[SKF_AD_PROTOCOL / 4] = { AD_BE16, AT(protocol) },
	[SKF_AD_PKTTYPE / 4] = { AD_FIELD, AT(pkt_type) },
	[SKF_AD_IFINDEX / 4] = { AD_FIELD, AT(ifindex) },
	[SKF_AD_NLATTR / 4] = { AD_NLA, false },
	[SKF_AD_NLATTR_NEST / 4] = { AD_NLA, true },
	[SKF_AD_MARK / 4] = { AD_FIELD, AT(mark) },
	[SKF_AD_QUEUE / 4] = { AD_FIELD16, AT(queue_mapping) },
	[SKF_AD_HATYPE / 4] = { AD_FIELD, AT(cb[CBPF_CB_HATYPE]) },
	[SKF_AD_RXHASH / 4] = { AD_FIELD, AT(hash) },
	[SKF_AD_CPU / 4] = { AD_CALL, BPF_FUNC_get_smp_processor_id },
	[SKF_AD_ALU_XOR_X / 4] = { AD_XOR, 0 },
	[SKF_AD_VLAN_TAG / 4] = { AD_FIELD, AT(vlan_tci) },
	[SKF_AD_VLAN_TAG_PRESENT / 4] = { AD_FIELD, AT(vlan_present) },
	[SKF_AD_PAY_OFFSET / 4] = { AD_FIELD, AT(cb[CBPF_CB_POFF]) },
	[SKF_AD_RANDOM / 4] = { AD_CALL, BPF_FUNC_get_prandom_u32 },
	[SKF_AD_VLAN_TPID / 4] = { AD_BE16, AT(vlan_proto) },
};

static void ancillary(struct tr *t, const struct cbpf_ad *ad)
{
	const struct ad_row *row = &ad_rows[ad->off / 4];

	switch (row->how) {
	case AD_FIELD:
	case AD_FIELD16:
	case AD_BE16:
	case AD_CB:
		field(t, t->r.a, (u32)row->arg);
		if (row->how == AD_FIELD16)
			alu32_k(t, BPF_AND, t->r.a, 0xffff);
		if (row->how == AD_BE16)
			be(t, t->r.a, 16);
		break;
	case AD_CALL:
		call(t, row->arg);
		alu32(t, BPF_MOV, t->r.a, 0);
		reload_bounds(t);
		break;
	case AD_XOR:
		alu32(t, BPF_XOR, t->r.a, t->r.x);
		break;
	case AD_NLA:
		nla(t, row->arg);
		break;
	}
}

/* ---- the rest ---- */
static void length(struct tr *t, u8 dst)
{
	field(t, dst, offsetof(struct __sk_buff, wire_len));
}

static void mem(struct tr *t, const struct sock_filter *in)
{
	s16 off = (s16)(-8 * (s32)(in->k + 1));
	u8 cls = BPF_CLASS(in->code);

	if (cls == BPF_ST || cls == BPF_STX)
		emit(t, STORE(cls == BPF_ST ? t->r.a : t->r.x, off));
	else
		load(t, BPF_DW, cls == BPF_LD ? t->r.a : t->r.x, 10, off);
}

static void move(struct tr *t, u32 i)
{
	const struct sock_filter *in = &t->w.f[i];
	u8 dst = BPF_CLASS(in->code) == BPF_LDX ? t->r.x : t->r.a;
	const struct cbpf_ad *ad = cbpf_ad(in);

	switch ((enum cbpf_form)cbpf_op(in->code)->form) {
	case CBPF_PKT:
	case CBPF_IND:
	case CBPF_MSH:
		if (ad)
			ancillary(t, ad);
		else
			packet_load(t, i);
		break;
	case CBPF_IMM:
		alu32_k(t, BPF_MOV, dst, in->k);
		break;
	case CBPF_LEN:
		length(t, dst);
		break;
	case CBPF_MEM:
		mem(t, in);
		break;
	default:
		if (in->code == (BPF_MISC | BPF_TAX))
			alu32(t, BPF_MOV, t->r.x, t->r.a);
		else
			alu32(t, BPF_MOV, t->r.a, t->r.x);
	}
}

static void arith(struct tr *t, const struct sock_filter *in)
{
	u8 op = BPF_OP(in->code);

	if (op == BPF_NEG) {
		emit(t, INSN(BPF_ALU | BPF_NEG, t->r.a, 0, 0, 0));
		return;
	}
	if (BPF_SRC(in->code) == BPF_K) {
		alu32_k(t, op, t->r.a, in->k);
		return;
	}
	if (op == BPF_DIV || op == BPF_MOD)
		branch_k(t, BPF_JEQ, t->r.x, 0, LABEL_DROP);
	if (t->w.flags & CBPF_LIBPCAP && (op == BPF_LSH || op == BPF_RSH)) {
		emit(t, INSN(BPF_JMP32 | BPF_JLE | BPF_K, t->r.x, 0, 1, 31));
		alu32_k(t, BPF_MOV, t->r.a, 0);		/* stays so whatever the shift */
	}
	alu32(t, op, t->r.a, t->r.x);
}

static u8 opposite(u8 op)
{
	return op == BPF_JEQ ? BPF_JNE : op == BPF_JGT ? BPF_JLE : op == BPF_JGE ? BPF_JLT : 0;
}

static u32 label_of(const struct tr *t, s64 to)
{
	return t->w.node[to].need == FLOW_NEVER ? LABEL_DROP : (u32)to;
}

/* Is LABEL what comes next after instruction I? Instructions that are left out lie between. */
static bool is_next(const struct tr *t, u32 i, u32 label)
{
	u32 k = i + 1;

	while (k < t->w.n && !flow_live(&t->w, k))
		k++;
	return k < t->w.n && label == k;
}

static void jump(struct tr *t, u32 i)
{
	const struct sock_filter *in = &t->w.f[i];
	u32 yes = label_of(t, i + 1 + in->jt), no = label_of(t, i + 1 + in->jf), k = in->k;
	bool x = BPF_SRC(in->code) == BPF_X;
	u8 op = BPF_OP(in->code);
	struct bpf_insn c;

	if (t->w.node[i].in.rep == REP_BE16)
		k = __builtin_bswap16((u16)k);
	else if (t->w.node[i].in.rep == REP_BE32)
		k = __builtin_bswap32(k);
	c = INSN(BPF_JMP32 | op | (x ? BPF_X : BPF_K), t->r.a, x ? t->r.x : 0, 0, x ? 0 : (s32)k);
	if (yes == no || t->w.node[i].never) {
		if (!is_next(t, i, no))
			go(t, no);
		return;
	}
	if (is_next(t, i, yes) && opposite(op)) {
		c.code = (u8)((c.code & 0x0f) | opposite(op));
		branch(t, c, no);
		return;
	}
	branch(t, c, yes);
	if (!is_next(t, i, no))
		go(t, no);
}

static void ja(struct tr *t, u32 i)
{
	s64 dest = (s64)i + 1 + (s32)t->w.f[i].k;
	u32 label = label_of(t, dest);

	if (dest <= (s64)i)			/* libpcap's loops: bounded */
		branch(t, INSN(BPF_JMP | BPF_JCOND, 0, BPF_MAY_GOTO, 0, 0), LABEL_DROP);
	if (!is_next(t, i, label))
		go(t, label);
}

static void ret(struct tr *t, const struct sock_filter *in)
{
	if (in->code == (BPF_RET | BPF_K)) {
		exit_with(t, in->k);
		return;
	}
	if (t->r.a != 0)
		alu32(t, BPF_MOV, 0, t->r.a);
	emit(t, INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
}

static void insn(struct tr *t, u32 i)
{
	const struct sock_filter *in = &t->w.f[i];

	switch (BPF_CLASS(in->code)) {
	case BPF_ALU:
		arith(t, in);
		break;
	case BPF_JMP:
		if (BPF_OP(in->code) == BPF_JA)
			ja(t, i);
		else
			jump(t, i);
		break;
	case BPF_RET:
		ret(t, in);
		break;
	default:
		move(t, i);
	}
}

/* ---- all of it ---- */
static void plan(struct tr *t)
{
	const struct flow *w = &t->w;

	t->uses_ctx = t->uses_data = false;
	for (u32 i = 0; i < w->n; i++) {
		const struct cbpf_op *op = cbpf_op(w->f[i].code);

		if (!flow_live(w, i))
			continue;
		if (op->form == CBPF_LEN || cbpf_ad(&w->f[i]))
			t->uses_ctx = true;
		else if (op->form == CBPF_PKT || op->form == CBPF_IND || op->form == CBPF_MSH)
			t->uses_data |= flow_direct(w, i);
	}
	if (w->slow)
		t->r = (struct regs) { .a = 7, .x = 8, .ctx = 6, .data = 2, .end = 3, .p = 4, .tmp = 5 };
	else
		t->r = (struct regs) { .a = 0, .x = 4, .ctx = 1, .data = 2, .end = 3, .p = t->uses_ctx ? 7 : 1, .tmp = 5 };
}

static void prologue(struct tr *t)
{
	u32 read = 0;

	if (t->w.slow)
		alu64(t, BPF_MOV, 6, 1);
	if (t->uses_data)
		load_bounds(t);
	alu32_k(t, BPF_MOV, t->r.a, 0);
	alu32_k(t, BPF_MOV, t->r.x, 0);
	for (u32 i = 0; i < t->w.n && t->w.flags & CBPF_LIBPCAP; i++) {
		const struct sock_filter *in = &t->w.f[i];

		if (cbpf_op(in->code)->form == CBPF_MEM && BPF_CLASS(in->code) != BPF_ST && BPF_CLASS(in->code) != BPF_STX)
			read |= 1u << in->k;
	}
	for (u32 k = 0; k < BPF_MEMWORDS; k++)
		if (read >> k & 1)
			emit(t, INSN(BPF_ST | BPF_MEM | BPF_DW, 10, 0, (s16)(-8 * (s32)(k + 1)), 0));
}

/* False: a jump does not reach. */
static bool fix(struct tr *t)
{
	for (u32 i = 0; i < t->nr_fix; i++) {
		struct bpf_insn *in = &t->out[t->fix[i].at];
		s32 d = (s32)t->label[t->fix[i].label] - (s32)t->fix[i].at - 1;

		if (in->code == (BPF_JMP32 | BPF_JA)) {
			in->imm = d;
		} else {
			if (d != (s16)d)
				return false;
			in->off = (s16)d;
		}
	}
	return true;
}

static void generate(struct tr *t)
{
	t->cnt = t->nr_fix = 0;
	t->drop_used = false;
	prologue(t);
	if (t->w.node[0].need == FLOW_NEVER) {
		exit_with(t, 0);
		return;
	}
	for (u32 i = 0; i < t->w.n; i++) {
		t->label[i] = t->cnt;
		if (flow_live(&t->w, i))
			insn(t, i);
	}
	t->label[LABEL_DROP] = t->cnt;
	if (t->drop_used)
		exit_with(t, 0);
}

int cbpf_translate(const struct sock_filter *f, u32 n, u32 flags, struct bpf_insn **out, u32 *cnt)
{
	struct tr *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	err = flow_build(&t->w, f, n, flags);
	if (!err) {
		plan(t);
		generate(t);
		if (!t->err && !fix(t)) {
			t->far = true;
			generate(t);
			if (!t->err && !fix(t))
				t->err = -E2BIG;
		}
		err = t->err;
	}
	flow_free(&t->w);
	free(t->fix);
	if (err) {
		free(t->out);
	} else {
		*out = t->out;
		*cnt = t->cnt;
	}
	free(t);
	return err;
}
