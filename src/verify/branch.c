/* SPDX-License-Identifier: Apache-2.0 */
/* branch.c - conditional jumps: which way is possible, and what each way teaches about both operands, about registers
 * known to hold the same value, about null-ness and about packet bounds. */
#include "verify/vfy.h"

#define AT_PKT_END	(-1)	/* range of a packet pointer known to be at or beyond the end */
#define BEYOND_PKT_END	(-2)

/* ---- is the outcome known? ---- */
static u8 flip(u8 op)		/* a OP b == b flip(OP) a */
{
	switch (op) {
	case BPF_JGE:  return BPF_JLE;
	case BPF_JGT:  return BPF_JLT;
	case BPF_JLE:  return BPF_JGE;
	case BPF_JLT:  return BPF_JGT;
	case BPF_JSGE: return BPF_JSLE;
	case BPF_JSGT: return BPF_JSLT;
	case BPF_JSLE: return BPF_JSGE;
	case BPF_JSLT: return BPF_JSGT;
	}
	return op;
}

static bool not_null(const struct vfy_reg *r)
{
	if (r->type & (RF_MAYBE_NULL | RF_UNTRUSTED))
		return false;
	switch (R_BASE(r->type)) {
	case R_SOCKET:
	case R_TCP_SOCK:
	case R_MAP_VALUE:
	case R_MAP_KEY:
	case R_SOCK_COMMON:
	case R_MEM:
	case R_CONST_MAP:
		return true;
	case R_BTF_ID:
		return vfy_reg_trusted(r);
	}
	return false;
}

static bool pkt_any(const struct vfy_reg *r)
{
	return type_is_pkt(r->type) || R_BASE(r->type) == R_PKT_END;
}

static int pkt_taken(const struct vfy_reg *a, const struct vfy_reg *b, u8 op)
{
	const struct vfy_reg *pkt = a;

	if (a->type == R_PKT_END) {
		pkt = b;
		op = flip(op);
	} else if (b->type != R_PKT_END) {
		return -1;
	}
	if (R_BASE(pkt->type) == R_PKT_END || pkt->range >= 0)
		return -1;
	if ((op == BPF_JLE || op == BPF_JGT) && pkt->range == BEYOND_PKT_END)
		return op == BPF_JGT;
	if (op == BPF_JLT || op == BPF_JGE)
		return op == BPF_JGE;
	return -1;
}

static int taken(const struct vfy_reg *a, const struct vfy_reg *b, u8 op, bool w32)
{
	if (pkt_any(a) && pkt_any(b) && !w32)
		return pkt_taken(a, b, op);
	if (!(b->type == R_SCALAR && vfy_scalar_is_const_w(&b->s, w32))) {
		const struct vfy_reg *t = a;

		a = b;
		b = t;
		op = flip(op);
	}
	if (a->type != R_SCALAR) {
		if (b->type != R_SCALAR || !vfy_scalar_is_const_w(&b->s, w32) || !not_null(a) ||
		    vfy_scalar_value(&b->s, w32) != 0)
			return -1;
		return op == BPF_JEQ ? 0 : op == BPF_JNE ? 1 : -1;
	}
	if (b->type != R_SCALAR)
		return -1;
	return vfy_scalar_taken(op, w32, &a->s, &b->s);
}

/* ---- linked registers: same id, same value (plus a constant) ---- */
#define LINKED_MAX	6

struct linked {
	u32 n;
	struct { u8 frame, n; bool reg; } at[LINKED_MAX];
};

static void linked_add(struct linked *l, struct vfy_reg *r, u32 id, u32 frame, u32 n, bool reg)
{
	if (r->type != R_SCALAR || (r->id & ~ID_ADD_CONST) != id)
		return;
	if (l->n == LINKED_MAX) {	/* no room in the history: unlink it */
		r->id = 0;
		return;
	}
	for (u32 i = 0; i < l->n; i++)
		if (l->at[i].frame == frame && l->at[i].n == n && l->at[i].reg == reg)
			return;
	l->at[l->n].frame = (u8)frame;
	l->at[l->n].n = (u8)n;
	l->at[l->n++].reg = reg;
}

static void linked_collect(struct vfy_state *st, u32 id, struct linked *l)
{
	id &= ~ID_ADD_CONST;
	for (u32 i = st->curframe + 1; i-- > 0;) {
		struct vfy_frame *f = st->frame[i];

		for (u32 r = 0; r < 10; r++)
			linked_add(l, &f->regs[r], id, i, r, true);
		for (u32 s = 0; s < f->nr_slots; s++)
			if (f->slots[s].type[SLOT - 1] == S_SPILL)
				linked_add(l, &f->slots[s].reg, id, i, s, false);
	}
}

static u64 linked_pack(const struct linked *l)
{
	u64 v = 0;

	for (u32 i = 0; i < l->n; i++)
		v = v << 10 | (u64)l->at[i].frame << 7 | (u64)l->at[i].n << 1 | l->at[i].reg;
	return v << 4 | l->n;
}

static void linked_sync(struct vfy_state *st, const struct vfy_reg *known_reg, const struct linked *l)
{
	const struct vfy_reg known = *known_reg;

	for (u32 i = 0; i < l->n; i++) {
		struct vfy_frame *f = st->frame[l->at[i].frame];
		struct vfy_reg *r = l->at[i].reg ? &f->regs[l->at[i].n] : &f->slots[l->at[i].n].reg, d;
		u32 id = r->id;
		s32 off = r->off;

		if (r->type != R_SCALAR || r == known_reg ||
		    (id & ~ID_ADD_CONST) != (known.id & ~ID_ADD_CONST))
			continue;
		if ((!(id & ID_ADD_CONST) && !(known.id & ID_ADD_CONST)) || off == known.off) {
			*r = known;
			r->id = id;
			r->off = off;
			continue;
		}
		vfy_reg_const(&d, (u64)((s64)off - (s64)known.off));
		*r = known;
		r->id = id;
		r->off = off;
		vfy_scalar_alu(BPF_ALU64 | BPF_ADD | BPF_X, 0, &r->s, &d.s);
	}
}

/* ---- null-ness ---- */
void vfy_not_null(struct vfy_reg *r)
{
	if (R_BASE(r->type) == R_MAP_VALUE && r->map->inner) {
		r->type = R_CONST_MAP;
		r->map_uid = r->id;
		r->map = r->map->inner;
		return;
	}
	if (R_BASE(r->type) == R_MAP_VALUE && r->map->type == BPF_MAP_TYPE_XSKMAP) {
		r->type = R_XDP_SOCK;
		return;
	}
	if (R_BASE(r->type) == R_MAP_VALUE &&
	    (r->map->type == BPF_MAP_TYPE_SOCKMAP || r->map->type == BPF_MAP_TYPE_SOCKHASH)) {
		r->type = R_SOCKET;
		return;
	}
	r->type &= ~RF_MAYBE_NULL;
}

struct null_arg {
	struct vfy_env *e;
	u32 id;
	bool null;
};

static void null_one(struct vfy_frame *f, struct vfy_reg *r, void *arg)
{
	const struct null_arg *a = arg;

	if (!(r->type & RF_MAYBE_NULL) || r->id != a->id)
		return;
	if (a->null) {
		r->type = R_SCALAR;
		r->off = 0;
		r->raw[0] = r->raw[1] = 0;
		vfy_scalar_const(&r->s, 0);
		r->id = 0;
		r->ref_obj_id = 0;
		return;
	}
	vfy_not_null(r);
	if (!vfy_may_hold_lock(a->e, r))
		r->id = 0;
}

static void null_all(struct vfy_env *e, struct vfy_state *st, u32 regno, bool null)
{
	const struct vfy_reg *r = &st->frame[st->curframe]->regs[regno];
	struct null_arg a = { .e = e, .id = r->id, .null = null };
	struct vfy_ref *ref = r->ref_obj_id && r->ref_obj_id == r->id ? vfy_ref_find(st, r->id) : NULL;

	if (null && ref) {		/* acquired nothing */
		memmove(ref, ref + 1, (size_t)(st->refs + st->nr_refs - (ref + 1)) * sizeof(*ref));
		st->nr_refs--;
	}
	vfy_each_reg(st, null_one, &a);
}

/* ---- packet bounds ---- */
struct good_arg {
	u32 type, id;
	s32 range;
};

static void good_one(struct vfy_frame *f, struct vfy_reg *r, void *arg)
{
	const struct good_arg *a = arg;

	if (r->type == a->type && r->id == a->id)
		r->range = MAX(r->range, a->range);
}

/* In ST, pkt <= end was shown: all pointers with the same base may be read up to there. */
static void pkt_good(struct vfy_state *st, const struct vfy_reg *p, bool right_open)
{
	struct good_arg a = { .type = p->type, .id = p->id, .range = p->off + right_open };

	if (p->off < 0 || (p->off == 0 && right_open) || p->s.umax > MAX_PKT_OFF ||
	    p->s.umax + (u64)p->off > MAX_PKT_OFF)
		return;
	vfy_each_reg(st, good_one, &a);
}

static void pkt_bad(struct vfy_state *st, u32 regno, bool beyond)
{
	struct vfy_reg *r = &st->frame[st->curframe]->regs[regno];

	if (r->type == R_PKT)
		r->range = beyond ? BEYOND_PKT_END : AT_PKT_END;
}

static bool init_pkt(const struct vfy_reg *r)
{
	return r->type == R_PKT && !r->off && tnum_equals_const(r->s.var, 0) && !r->id;
}

/* One row per operator for pkt OP end: which branch proves access, is the bound open, where is pkt at the end. */
static const struct pkt_rule {
	u8 op;
	bool good_taken, open, beyond;
} pkt_rules[] = {
	{ BPF_JGT, false, false, true  },	/* pkt >  end: fall-through may access up to pkt */
	{ BPF_JLT, true,  true,  false },	/* pkt <  end: taken may access one byte more */
	{ BPF_JGE, false, true,  false },
	{ BPF_JLE, true,  false, true  },
};

static bool pkt_compare(const struct bpf_insn *insn, const struct vfy_reg *d, const struct vfy_reg *s,
			struct vfy_state *fall, struct vfy_state *jump)
{
	bool forward, backward;
	u8 op = BPF_OP(insn->code);
	const struct vfy_reg *p;
	u32 regno;

	if (BPF_SRC(insn->code) != BPF_X || BPF_CLASS(insn->code) == BPF_JMP32)
		return false;
	forward = (d->type == R_PKT && s->type == R_PKT_END) || (d->type == R_PKT_META && init_pkt(s));
	backward = (d->type == R_PKT_END && s->type == R_PKT) || (init_pkt(d) && s->type == R_PKT_META);
	if (!forward && !backward)
		return false;
	if (backward)
		op = flip(op);
	p = forward ? d : s;
	regno = forward ? insn->dst_reg : insn->src_reg;
	for (u32 i = 0; i < ARRAY_SIZE(pkt_rules); i++) {
		const struct pkt_rule *r = &pkt_rules[i];
		struct vfy_reg copy = *p;

		if (r->op != op)
			continue;
		pkt_good(r->good_taken ? jump : fall, &copy, r->open);
		pkt_bad(r->good_taken ? fall : jump, regno, r->beyond);
		return true;
	}
	return false;
}

/* ---- the instruction ---- */
static bool leaks(struct vfy_env *e, const struct vfy_reg *r)
{
	return !e->allow_ptr_leaks && r->type != R_SCALAR;
}

static void refine(u8 op, bool w32, bool is_taken, struct vfy_reg *a, struct vfy_reg *b)
{
	if (a->type == R_SCALAR && b->type == R_SCALAR)
		vfy_scalar_refine(op, w32, is_taken, &a->s, &b->s);
}

/* pointer == pointer where only one may be NULL: on the equal way neither is. */
static void lift_null(const struct bpf_insn *insn, struct vfy_reg *fall, struct vfy_reg *jump)
{
	struct vfy_reg *d = &fall[insn->dst_reg], *s = &fall[insn->src_reg], *eq;
	u8 op = BPF_OP(insn->code);

	if (d->type == R_SCALAR || s->type == R_SCALAR ||
	    !((d->type ^ s->type) & RF_MAYBE_NULL) || R_BASE(d->type) == R_BTF_ID ||
	    R_BASE(s->type) == R_BTF_ID || (op != BPF_JEQ && op != BPF_JNE))
		return;
	/* Only when the other one is known not to be NULL by its type. */
	eq = op == BPF_JEQ ? jump : fall;
	vfy_not_null(&eq[s->type & RF_MAYBE_NULL ? insn->src_reg : insn->dst_reg]);
}

static int may_goto(struct vfy_env *e, const struct bpf_insn *insn, u32 *idx)
{
	struct vfy_state *prev, *q;

	if (insn->code != (BPF_JMP | BPF_JCOND) || insn->src_reg != BPF_MAY_GOTO || insn->dst_reg || insn->imm)
		return vfy_reject(e, VR_RESERVED, -EINVAL, -1, "invalid may_goto imm %d", insn->imm);
	for (prev = e->cur->parent; prev && prev->insn != *idx; prev = prev->parent)
		;
	q = vfy_push(e, *idx + 1, *idx, false);
	if (!q)
		return e->err_code;
	q->may_goto_depth++;
	if (prev)
		vfy_widen(e, prev, q);
	*idx = (u32)((s64)*idx + 1 + insn->off);
	return 0;
}

/* Operands of the jump are readable and comparable; the source operand (or constant) goes to *SRC. */
static int operands(struct vfy_env *e, const struct bpf_insn *insn, struct vfy_reg *fake, struct vfy_reg **src)
{
	struct vfy_reg *regs = cur_regs(e);
	int err = vfy_check_read(e, insn->dst_reg);

	if (err)
		return err;
	if (BPF_SRC(insn->code) == BPF_K) {
		if (insn->src_reg)
			return vfy_reject(e, VR_RESERVED, -EINVAL, -1, "BPF_JMP/JMP32 uses reserved fields");
		vfy_reg_const(fake, (u64)(s64)insn->imm);
		*src = fake;
		return 0;
	}
	if (insn->imm)
		return vfy_reject(e, VR_RESERVED, -EINVAL, -1, "BPF_JMP/JMP32 uses reserved fields");
	err = vfy_check_read(e, insn->src_reg);
	if (err)
		return err;
	*src = &regs[insn->src_reg];
	if (!(pkt_any(&regs[insn->dst_reg]) && pkt_any(*src)) && leaks(e, *src))
		return vfy_reject(e, VR_PTR_LEAK, -EACCES, insn->src_reg, "R%u pointer comparison prohibited",
				  insn->src_reg);
	return 0;
}

static int known_way(struct vfy_env *e, const struct bpf_insn *insn, u32 *idx, int pred)
{
	struct vfy_reg *regs = cur_regs(e);
	int err = 0;

	if (regs[insn->dst_reg].type == R_SCALAR)
		err = vfy_precise(e, insn->dst_reg);
	if (!err && BPF_SRC(insn->code) == BPF_X && regs[insn->src_reg].type == R_SCALAR)
		err = vfy_precise(e, insn->src_reg);
	if (err)
		return err;
	if (e->log_level & 3)
		vfy_insn_state_print(e);
	*idx = (u32)((s64)*idx + 1 + (pred ? insn->off : 0));
	return 0;
}

static int both_ways(struct vfy_env *e, const struct bpf_insn *insn, u32 idx, struct vfy_reg *src)
{
	struct vfy_reg *regs = cur_regs(e), *d = &regs[insn->dst_reg], *oregs, ofake, *osrc;
	bool w32 = BPF_CLASS(insn->code) == BPF_JMP32, reg = BPF_SRC(insn->code) == BPF_X;
	u8 op = BPF_OP(insn->code);
	struct linked l = { 0 };
	struct vfy_state *other;
	int err;

	if (reg && src->type == R_SCALAR && src->id)
		linked_collect(e->cur, src->id, &l);
	if (d->type == R_SCALAR && d->id)
		linked_collect(e->cur, d->id, &l);
	if (l.n > 1) {
		err = vfy_hist_push(e, 0, linked_pack(&l));
		if (err)
			return err;
	}
	other = vfy_push(e, (u32)((s64)idx + 1 + insn->off), idx, false);
	if (!other)
		return e->err_code;
	oregs = other->frame[other->curframe]->regs;
	ofake = *src;
	osrc = reg ? &oregs[insn->src_reg] : &ofake;
	refine(op, w32, true, &oregs[insn->dst_reg], osrc);
	refine(op, w32, false, d, src);
	if (reg && src->type == R_SCALAR && src->id) {
		linked_sync(e->cur, src, &l);
		linked_sync(other, osrc, &l);
	}
	if (d->type == R_SCALAR && d->id) {
		linked_sync(e->cur, d, &l);
		linked_sync(other, &oregs[insn->dst_reg], &l);
	}
	if (!w32 && reg)
		lift_null(insn, regs, oregs);
	if (!w32 && !reg && insn->imm == 0 && (op == BPF_JEQ || op == BPF_JNE) && (d->type & RF_MAYBE_NULL)) {
		null_all(e, e->cur, insn->dst_reg, op == BPF_JNE);
		null_all(e, other, insn->dst_reg, op == BPF_JEQ);
	} else if (!pkt_compare(insn, d, src, e->cur, other) && leaks(e, d)) {
		return vfy_reject(e, VR_PTR_LEAK, -EACCES, insn->dst_reg, "R%u pointer comparison prohibited",
				  insn->dst_reg);
	}
	if (e->log_level & 3)
		vfy_insn_state_print(e);
	return 0;
}

int vfy_jmp_cond(struct vfy_env *e, const struct bpf_insn *insn, u32 *idx)
{
	bool w32 = BPF_CLASS(insn->code) == BPF_JMP32;
	u8 op = BPF_OP(insn->code);
	struct vfy_reg fake, *src = NULL;
	int err, pred;

	if (op == BPF_JA || op > BPF_JCOND)
		return vfy_reject(e, VR_BAD_INSN, -EINVAL, -1, "invalid BPF_JMP/JMP32 opcode %x", op);
	if (op == BPF_JCOND)
		return may_goto(e, insn, idx);
	err = operands(e, insn, &fake, &src);
	if (err)
		return err;
	pred = taken(&cur_regs(e)[insn->dst_reg], src, op, w32);
	if (pred >= 0)
		return known_way(e, insn, idx, pred);
	err = both_ways(e, insn, *idx, src);
	(*idx)++;
	return err;
}
