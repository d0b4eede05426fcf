/* SPDX-License-Identifier: Apache-2.0 */
/* ir.c - facts for compilers; see ir.h. Backwards: which registers are live. Forwards: which hold a known map, an address
 * in the frame, or a value of 32 bits. Both start from the best assumption and weaken until nothing changes.
 * The program was verified, so every instruction is reachable or harmless, and r1 to r5 are dead after a call. */
#include "vm/ir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define R(n)		(1u << (n))
#define ARGS		(R(1) | R(2) | R(3) | R(4) | R(5))
#define SAVED		(R(6) | R(7) | R(8) | R(9))

int ir_sub_at(const struct image_subprog *subs, u32 nr_subs, s64 insn)
{
	u32 lo = 0, hi = nr_subs;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (subs[mid].insn == insn)
			return (int)mid;
		if (subs[mid].insn < insn)
			lo = mid + 1;
		else
			hi = mid;
	}
	return -1;
}

/* ---- use and def ---- */

static void atomic_use_def(const struct bpf_insn *in, u16 *use, u16 *def)
{
	*use = R(in->dst_reg) | R(in->src_reg);
	if (in->imm == BPF_LOAD_ACQ) {
		*use = R(in->src_reg);
		*def = R(in->dst_reg);
	} else if (in->imm == BPF_CMPXCHG) {
		*use |= R(0);
		*def = R(0);
	} else if (in->imm & BPF_FETCH && in->imm != BPF_STORE_REL) {
		*def = R(in->src_reg);
	}
}

static void jmp_use_def(const struct bpf_insn *in, u16 *use, u16 *def)
{
	switch (BPF_OP(in->code)) {
	case BPF_CALL:
		*use = ARGS;
		*def = R(0) | ARGS;
		return;
	case BPF_EXIT:
		*use = R(0);
		return;
	case BPF_JA:
	case BPF_JCOND:
		return;
	}
	*use = R(in->dst_reg);
	if (BPF_SRC(in->code) == BPF_X)
		*use |= R(in->src_reg);
}

void ir_use_def(const struct bpf_insn *in, u16 *use, u16 *def)
{
	u8 op = BPF_OP(in->code);

	*use = *def = 0;
	switch (insn_class(in->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		*def = R(in->dst_reg);
		if (op != BPF_MOV)
			*use |= R(in->dst_reg);
		if (op != BPF_END && BPF_SRC(in->code) == BPF_X)
			*use |= R(in->src_reg);
		return;
	case BPF_LDX:
		*use = R(in->src_reg);
		*def = R(in->dst_reg);
		return;
	case BPF_ST:
		*use = R(in->dst_reg);
		return;
	case BPF_STX:
		if (BPF_MODE(in->code) == BPF_ATOMIC)
			atomic_use_def(in, use, def);
		else
			*use = R(in->dst_reg) | R(in->src_reg);
		return;
	case BPF_LD:
		if (insn_is_ldimm64(in)) {
			*def = R(in->dst_reg);
		} else if (BPF_MODE(in->code) != BPF_IMM) {	/* packet loads */
			*use = R(6) | (BPF_MODE(in->code) == BPF_IND ? R(in->src_reg) : 0);
			*def = R(0) | ARGS;
		}
		return;
	default:
		jmp_use_def(in, use, def);
	}
}

/* ---- shape: leaders, subprograms ---- */

static int mark_insn(struct ir *ir, const struct bpf_insn *in, u32 i, u32 lo, u32 hi,
		     const struct image_subprog *subs, u32 nr_subs)
{
	struct ir_sub *s = &ir->sub[ir->sub_of[i]];
	u8 code = in[i].code;
	u16 use, def;
	int callee;

	if (in[i].dst_reg > 10 || in[i].src_reg > 10)
		return -EINVAL;
	ir_use_def(&in[i], &use, &def);
	if (def & R(10))
		return -EINVAL;
	s->saved |= def & SAVED;
	s->uses_fp |= !!(use & R(10));
	if (insn_is_branch(code)) {
		s64 to = insn_target(&in[i], i);

		if (to < lo || to >= hi)
			return -EINVAL;
		ir->fact[to].flags |= IR_LEADER;
		s->may_goto |= code == (BPF_JMP | BPF_JCOND);
	}
	if ((insn_class(code) == BPF_LD && !insn_is_ldimm64(&in[i])) || insn_is_probe(&in[i]))
		s->calls = true;
	if (code == (BPF_JMP | BPF_CALL)) {
		s->calls = true;
		s->tail_calls |= insn_is_tail_call(&in[i]);
		if (in[i].src_reg == BPF_PSEUDO_CALL &&
		    ir_sub_at(subs, nr_subs, (s64)i + 1 + in[i].imm) < 0)
			return -EINVAL;
	}
	if (insn_is_ldimm64(&in[i])) {
		if (i + 1 >= hi || in[i + 1].code || in[i].src_reg > BPF_PSEUDO_FUNC ||
		    in[i].src_reg == BPF_PSEUDO_BTF_ID)
			return -EINVAL;
		if (in[i].src_reg == BPF_PSEUDO_FUNC) {
			callee = ir_sub_at(subs, nr_subs, (s64)i + 1 + in[i].imm);
			if (callee < 0)
				return -EINVAL;
			ir->sub[callee].address_taken = true;
		}
	}
	return 0;
}

/* A caller of a subprogram that reaches a tail call reaches it, too. */
static void spread_tail_calls(struct ir *ir, const struct bpf_insn *in, u32 cnt,
			      const struct image_subprog *subs, u32 nr_subs)
{
	bool again = true;

	while (again) {
		again = false;
		for (u32 i = 0; i < cnt; i++) {
			struct ir_sub *s = &ir->sub[ir->sub_of[i]];

			if (in[i].code != (BPF_JMP | BPF_CALL) || in[i].src_reg != BPF_PSEUDO_CALL ||
			    s->tail_calls)
				continue;
			s->tail_calls = ir->sub[ir_sub_at(subs, nr_subs, (s64)i + 1 + in[i].imm)].tail_calls;
			again |= s->tail_calls;
		}
	}
}

static int mark(struct ir *ir, const struct bpf_insn *in, u32 cnt, const struct image_subprog *subs,
		u32 nr_subs)
{
	bool any_tail = false;
	int err;

	for (u32 s = 0; s < nr_subs; s++) {
		u32 hi = s + 1 < nr_subs ? subs[s + 1].insn : cnt;

		ir->fact[subs[s].insn].flags |= IR_LEADER;
		for (u32 i = subs[s].insn; i < hi; i++) {
			ir->sub_of[i] = (u16)s;
			err = mark_insn(ir, in, i, subs[s].insn, hi, subs, nr_subs);
			if (err)
				return err;
			if (insn_is_ldimm64(&in[i]))
				ir->sub_of[++i] = (u16)s;
		}
		any_tail |= ir->sub[s].tail_calls;
	}
	if (any_tail)
		spread_tail_calls(ir, in, cnt, subs, nr_subs);
	return 0;
}

/* ---- liveness ---- */

/* Has no effect but on its destination. */
static bool pure(const struct bpf_insn *in)
{
	u8 cls = insn_class(in->code);

	return cls == BPF_ALU || cls == BPF_ALU64 || cls == BPF_LDX || insn_is_ldimm64(in);
}

bool ir_dead(const struct ir *ir, const struct bpf_insn *in, u32 i)
{
	u16 use, def;

	if (!pure(&in[i]))
		return false;
	ir_use_def(&in[i], &use, &def);
	return !(def & ir->fact[i].live);
}

/* Live before instruction i, given the facts so far. What only dead instructions read is dead. */
static u16 live_in(const struct ir *ir, const struct bpf_insn *in, u32 i)
{
	const struct ir_fact *f = &ir->fact[i];
	u16 use, def;

	ir_use_def(&in[i], &use, &def);
	if (f->flags & IR_INLINE)
		use = f->key == IR_FP_UNKNOWN ? R(2) : 0;
	if (pure(&in[i]) && !(def & f->live))
		return f->live;
	return (f->live & ~def) | use;
}

/* Backwards once; returns whether anything changed. */
static bool liveness_walk(struct ir *ir, const struct bpf_insn *in, u32 cnt, bool *loops)
{
	bool changed = false;

	for (u32 i = cnt; i-- > 0;) {
		u8 code = in[i].code;
		u16 live = 0;

		if (insn_is_ldimm64(&in[i]))
			live = ir->fact[i + 1].live;
		else if (code != (BPF_JMP | BPF_EXIT) && !insn_is_ja(code) && i + 1 < cnt)
			live = live_in(ir, in, i + 1);
		if (insn_is_branch(code)) {
			u32 to = (u32)insn_target(&in[i], i);

			live |= live_in(ir, in, to);
			*loops |= to <= i;
		}
		changed |= live != ir->fact[i].live;
		ir->fact[i].live = live;
	}
	return changed;
}

/* Grows from nothing to the least solution. */
static void liveness(struct ir *ir, const struct bpf_insn *in, u32 cnt)
{
	bool loops = false;

	while (liveness_walk(ir, in, cnt, &loops) && loops)
		;
}

void ir_relive(struct ir *ir, const struct bpf_insn *in, u32 cnt)
{
	for (u32 i = 0; i < cnt; i++)
		ir->fact[i].live = 0;
	liveness(ir, in, cnt);
}

/* ---- known values ---- */

enum val_kind { VAL_ANY, VAL_MAP, VAL_FP };

struct val {
	u8 kind;
	s32 v;				/* map index; offset from r10 */
};

struct state {
	bool seen;
	u16 zext;
	struct val r[11];
};

struct values {
	struct ir *ir;
	const struct bpf_insn *in;
	u32 cnt;
	const struct jit_opts *o;
	u32 *leader;			/* instruction -> index in at[] */
	struct state *at;
	bool again;
};

static bool meet(struct state *to, const struct state *from)
{
	bool changed = false;

	if (!to->seen) {
		*to = *from;
		to->seen = true;
		return true;
	}
	if (to->zext & ~from->zext) {
		to->zext &= from->zext;
		changed = true;
	}
	for (int i = 0; i < 11; i++) {
		if (to->r[i].kind != VAL_ANY &&
		    (to->r[i].kind != from->r[i].kind || to->r[i].v != from->r[i].v)) {
			to->r[i].kind = VAL_ANY;
			changed = true;
		}
	}
	return changed;
}

static s32 map_index(const struct jit_opts *o, u32 id)
{
	for (u32 i = 0; i < o->nr_maps; i++)
		if (o->maps[i].id == id)
			return (s32)i;
	return -1;
}

static void set(struct state *s, u32 reg, enum val_kind kind, s32 v, bool zext)
{
	s->r[reg] = (struct val) { kind, v };
	s->zext = zext ? s->zext | R(reg) : s->zext & ~R(reg);
}

/* Are the upper 32 bits of a 64-bit result zero? */
static bool alu64_zext(const struct state *s, const struct bpf_insn *in)
{
	bool k = BPF_SRC(in->code) == BPF_K;
	bool a = s->zext & R(in->dst_reg), b = k ? in->imm >= 0 : !!(s->zext & R(in->src_reg));

	switch (BPF_OP(in->code)) {
	case BPF_MOV:
		return b && !in->off;
	case BPF_AND:
		return a || b;
	case BPF_OR:
	case BPF_XOR:
		return a && b;
	case BPF_RSH:
		return a || (k && (in->imm & 63) >= 32);
	case BPF_DIV:
	case BPF_MOD:
		return !in->off && a;
	case BPF_END:
		return in->imm < 64;
	}
	return false;
}

static void step_alu(struct state *s, const struct bpf_insn *in)
{
	const struct val *src = &s->r[in->src_reg], *dst = &s->r[in->dst_reg];
	bool zext = insn_class(in->code) == BPF_ALU || alu64_zext(s, in);

	if (BPF_OP(in->code) == BPF_END)		/* class ALU has the 64-bit forms, too */
		zext = in->imm < 64;
	if (in->code == (BPF_ALU64 | BPF_MOV | BPF_X) && !in->off)
		set(s, in->dst_reg, src->kind, src->v, zext);
	else if (in->code == (BPF_ALU64 | BPF_ADD | BPF_K) && dst->kind == VAL_FP &&
		 in->imm > -4096 && in->imm < 4096 && dst->v > -65536 && dst->v < 65536)
		set(s, in->dst_reg, VAL_FP, dst->v + in->imm, false);
	else
		set(s, in->dst_reg, VAL_ANY, 0, zext);
}

static void step(struct values *vs, struct state *s, u32 i)
{
	const struct bpf_insn *in = &vs->in[i];
	bool narrow = BPF_SIZE(in->code) != BPF_DW;
	u16 use, def;
	s32 map;

	switch (insn_class(in->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		step_alu(s, in);
		return;
	case BPF_LDX:
		set(s, in->dst_reg, VAL_ANY, 0, BPF_MODE(in->code) == BPF_MEM && narrow);
		return;
	case BPF_LD:
		if (!insn_is_ldimm64(in))
			break;
		map = in->src_reg == BPF_PSEUDO_MAP_FD ? map_index(vs->o, (u32)in->imm) : -1;
		set(s, in->dst_reg, map < 0 ? VAL_ANY : VAL_MAP, map, !in->src_reg && !in[1].imm);
		return;
	}
	ir_use_def(in, &use, &def);
	for (u32 r = 0; r < 10; r++)
		if (def & R(r))
			set(s, r, VAL_ANY, 0, insn_class(in->code) == BPF_STX && narrow);
}

static void record(struct values *vs, const struct state *s, u32 i)
{
	struct ir_fact *f = &vs->ir->fact[i];

	f->zext = s->zext;
	f->map = s->r[1].kind == VAL_MAP ? (u16)(s->r[1].v + 1) : 0;
	f->key = s->r[2].kind == VAL_FP ? s->r[2].v : IR_FP_UNKNOWN;
}

/* One walk over the program. Facts of unreached places stay at "nothing is known". */
static void walk(struct values *vs)
{
	struct state cur = { 0 };

	for (u32 i = 0; i < vs->cnt; i++) {
		u8 code = vs->in[i].code;

		if (vs->ir->fact[i].flags & IR_LEADER) {
			struct state *l = &vs->at[vs->leader[i]];

			if (cur.seen)
				meet(l, &cur);
			cur = *l;
		}
		if (!cur.seen)
			continue;
		record(vs, &cur, i);
		step(vs, &cur, i);
		if (insn_is_branch(code)) {
			u32 to = (u32)insn_target(&vs->in[i], i);

			if (meet(&vs->at[vs->leader[to]], &cur) && to <= i)
				vs->again = true;
		}
		if (insn_is_ja(code) || code == (BPF_JMP | BPF_EXIT))
			cur.seen = false;
		if (insn_is_ldimm64(&vs->in[i]))
			i++;
	}
}

static int values(struct ir *ir, const struct bpf_insn *in, u32 cnt, const struct image_subprog *subs,
		  u32 nr_subs, const struct jit_opts *o)
{
	struct values vs = { .ir = ir, .in = in, .cnt = cnt, .o = o };
	u32 n = 0;

	vs.leader = calloc(cnt, sizeof(*vs.leader));
	if (!vs.leader)
		return -ENOMEM;
	for (u32 i = 0; i < cnt; i++)
		if (ir->fact[i].flags & IR_LEADER)
			vs.leader[i] = n++;
	vs.at = calloc(n, sizeof(*vs.at));
	if (!vs.at) {
		free(vs.leader);
		return -ENOMEM;
	}
	for (u32 s = 0; s < nr_subs; s++) {
		struct state *st = &vs.at[vs.leader[subs[s].insn]];

		st->seen = true;
		st->r[10] = (struct val) { VAL_FP, 0 };
	}
	do {
		vs.again = false;
		walk(&vs);
	} while (vs.again);
	free(vs.leader);
	free(vs.at);
	return 0;
}

int ir_build(struct ir *ir, const struct bpf_insn *in, u32 cnt, const struct image_subprog *subs,
	     u32 nr_subs, const struct jit_opts *o)
{
	int err;

	memset(ir, 0, sizeof(*ir));
	ir->fact = calloc(cnt, sizeof(*ir->fact));
	ir->sub = calloc(nr_subs, sizeof(*ir->sub));
	ir->sub_of = calloc(cnt, sizeof(*ir->sub_of));
	if (!ir->fact || !ir->sub || !ir->sub_of)
		return -ENOMEM;
	for (u32 i = 0; i < cnt; i++)
		ir->fact[i].key = IR_FP_UNKNOWN;
	err = mark(ir, in, cnt, subs, nr_subs);
	if (err)
		return err;
	liveness(ir, in, cnt);
	return values(ir, in, cnt, subs, nr_subs, o);
}

void ir_free(struct ir *ir)
{
	free(ir->fact);
	free(ir->sub);
	free(ir->sub_of);
	memset(ir, 0, sizeof(*ir));
}
