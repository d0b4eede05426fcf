/* SPDX-License-Identifier: Apache-2.0 */
/* precise.c - precision: when a check depended on a scalar's value, the scalar is marked in every remembered state on
 * the way back to where the value came from; comparisons (prune.c) may ignore the values of all others.
 * The walk goes through the recorded history instruction by instruction, backwards, with the set of registers and
 * stack slots still looked for per frame. What it cannot follow marks everything: correct, only slower. */
#include "verify/vfy.h"

#define ARG_MASK	0x3eu

struct bt {
	u32 frame;
	u32 regs[MAX_FRAMES];
	u64 slots[MAX_FRAMES];
};

enum { BT_OK = 0, BT_GIVE_UP = 1 };

static bool empty(const struct bt *b)
{
	for (u32 i = 0; i <= b->frame; i++)
		if (b->regs[i] || b->slots[i])
			return false;
	return true;
}

static void set(struct bt *b, u32 r)
{
	if (r < 10)
		b->regs[b->frame] |= BIT(r);
}
static void clear(struct bt *b, u32 r) { b->regs[b->frame] &= ~BIT(r); }
static bool has(const struct bt *b, u32 r) { return b->regs[b->frame] & BIT(r); }

/* Registers that were known to be equal at this jump: one precise, all precise. */
static void linked(struct bt *b, const struct vfy_hist *h)
{
	bool any = false;
	u64 v;

	if (!h || !h->linked)
		return;
	for (u32 pass = 0; pass < 2; pass++) {
		v = h->linked >> 4;
		for (u32 i = 0; i < (h->linked & 15); i++, v >>= 10) {
			u32 frame = (v >> 7) & 7, n = (v >> 1) & 63;

			if (pass && (v & 1))
				b->regs[frame] |= BIT(n);
			else if (pass)
				b->slots[frame] |= BIT64(n);
			else
				any |= v & 1 ? !!(b->regs[frame] & BIT(n)) : !!(b->slots[frame] & BIT64(n));
		}
		if (!any)
			return;
	}
}

static int back_alu(struct bt *b, const struct bpf_insn *in)
{
	u8 op = BPF_OP(in->code);

	if (!has(b, in->dst_reg))
		return BT_OK;
	if (op == BPF_END || op == BPF_NEG)
		return BT_OK;
	if (op == BPF_MOV)
		clear(b, in->dst_reg);
	if (BPF_SRC(in->code) == BPF_X)
		set(b, in->src_reg);
	return BT_OK;
}

static int back_load(struct bt *b, u32 dst, const struct vfy_hist *h)
{
	if (!has(b, dst))
		return BT_OK;
	clear(b, dst);
	if (h && (h->flags & HIST_STACK))
		b->slots[HIST_FRAME(h->flags)] |= BIT64(HIST_SPI(h->flags));
	return BT_OK;
}

static int back_store(struct bt *b, const struct bpf_insn *in, const struct vfy_hist *h)
{
	bool atomic = BPF_CLASS(in->code) == BPF_STX && BPF_MODE(in->code) == BPF_ATOMIC;
	u64 slot = h && (h->flags & HIST_STACK) ? BIT64(HIST_SPI(h->flags)) : 0;
	u32 fr = h ? HIST_FRAME(h->flags) : 0;

	if (atomic && in->imm == BPF_LOAD_ACQ)
		return back_load(b, in->dst_reg, h);
	if (atomic && in->imm != BPF_STORE_REL) {
		if (slot)
			b->slots[fr] &= ~slot;	/* read, changed and written back: unknown afterwards */
		if (in->imm & BPF_FETCH)
			return back_load(b, in->imm == BPF_CMPXCHG ? 0 : in->src_reg, h);
		return BT_OK;
	}
	if (has(b, in->dst_reg))
		return BT_GIVE_UP;
	if (!slot || !(b->slots[fr] & slot))
		return BT_OK;
	b->slots[fr] &= ~slot;
	if (BPF_CLASS(in->code) == BPF_STX)
		set(b, in->src_reg);
	return BT_OK;
}

static bool is_call(const struct bpf_insn *in, u32 src)
{
	return in->code == (BPF_JMP | BPF_CALL) && in->src_reg == src;
}

/* Backwards over the call of a static function: out of the callee, into the caller. */
static int back_enter(struct bt *b, bool args)
{
	if (!b->frame || (b->regs[b->frame] & ~ARG_MASK) || b->slots[b->frame])
		return BT_GIVE_UP;
	if (args)
		b->regs[b->frame - 1] |= b->regs[b->frame];
	b->regs[b->frame] = 0;
	b->frame--;
	return BT_OK;
}

static int back_call(struct vfy_env *e, struct bt *b, u32 idx, s64 next)
{
	const struct bpf_insn *in = &e->insns[idx];

	if (is_call(in, BPF_PSEUDO_CALL)) {
		s32 sub = vfy_sub_find(e, (u32)((s64)idx + in->imm + 1));

		if (sub < 0)
			return BT_GIVE_UP;
		if (!e->subs[sub].global)
			return back_enter(b, true);
		clear(b, 0);
		return b->regs[b->frame] & ARG_MASK ? BT_GIVE_UP : BT_OK;
	}
	if (e->aux[idx].calls_callback && (s64)idx != next - 1)
		return back_enter(b, false);
	clear(b, 0);
	return b->regs[b->frame] & ARG_MASK ? BT_GIVE_UP : BT_OK;
}

/* Backwards over an exit: into the callee that returned to NEXT. */
static int back_exit(struct vfy_env *e, struct bt *b, s64 next)
{
	bool r0;

	if (next >= 0 && next < e->cnt && e->aux[next].calls_callback)
		b->regs[b->frame] &= ~ARG_MASK;
	if (b->regs[b->frame] & ARG_MASK)
		return BT_GIVE_UP;
	r0 = next > 0 && is_call(&e->insns[next - 1], BPF_PSEUDO_CALL) && has(b, 0);
	clear(b, 0);
	if (b->frame + 1 >= MAX_FRAMES)
		return BT_GIVE_UP;
	b->frame++;
	b->regs[b->frame] = r0 ? BIT(0) : 0;
	b->slots[b->frame] = 0;
	return BT_OK;
}

static int back_jump(struct vfy_env *e, struct bt *b, u32 idx, s64 next)
{
	const struct bpf_insn *in = &e->insns[idx];
	u8 op = BPF_OP(in->code);

	if (op == BPF_CALL)
		return back_call(e, b, idx, next);
	if (op == BPF_EXIT)
		return back_exit(e, b, next);
	if (op == BPF_JA || op == BPF_JCOND || BPF_SRC(in->code) != BPF_X)
		return BT_OK;
	if (has(b, in->dst_reg) || has(b, in->src_reg)) {
		set(b, in->dst_reg);
		set(b, in->src_reg);
	}
	return BT_OK;
}

static void log_masks(struct vfy_env *e, const struct bt *b, u32 frame)
{
	const char *sep = "";

	vfy_log(e, "regs=");
	for (u32 i = 0; i < 10; i++)
		if (b->regs[frame] & BIT(i)) {
			vfy_log(e, "%sr%u", sep, i);
			sep = ",";
		}
	vfy_log(e, " stack=");
	sep = "";
	for (u32 i = 0; i < MAX_SLOTS; i++)
		if (b->slots[frame] & BIT64(i)) {
			vfy_log(e, "%s-%u", sep, (i + 1) * SLOT);
			sep = ",";
		}
}

/* One instruction backwards. NEXT: the instruction that ran after it, -1 unknown. */
static int back(struct vfy_env *e, struct bt *b, u32 idx, s64 next, const struct vfy_hist *h)
{
	const struct bpf_insn *in = &e->insns[idx];
	int r = BT_OK;

	if (e->log_level & 2) {
		vfy_log(e, "mark_precise: frame%u: ", b->frame);
		log_masks(e, b, b->frame);
		vfy_log(e, " before %u: ", idx);
		vfy_insn_print(e, idx);
	}
	linked(b, h);
	switch (BPF_CLASS(in->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		r = back_alu(b, in);
		break;
	case BPF_LDX:
		r = back_load(b, in->dst_reg, h);
		break;
	case BPF_ST:
	case BPF_STX:
		r = back_store(b, in, h);
		break;
	case BPF_JMP:
	case BPF_JMP32:
		r = back_jump(e, b, idx, next);
		break;
	case BPF_LD:
		if (BPF_MODE(in->code) == BPF_IMM)
			clear(b, in->dst_reg);
		else if (has(b, 0))
			clear(b, 0);	/* loaded from the packet: unknown, nothing behind it */
		break;
	}
	linked(b, h);
	return r;
}

static void mark_scalar(struct vfy_frame *f, struct vfy_reg *r, void *arg)
{
	struct vfy_env *e = arg;

	if (r->type != R_SCALAR || r->precise)
		return;
	r->precise = e->marks_changed = true;
}

static void mark_all_scalars(struct vfy_env *e, struct vfy_state *st)
{
	for (; st; st = st->parent)
		vfy_each_reg(st, mark_scalar, e);
}

/* Set the marks in a remembered state; what is marked already, or no scalar, is done with. */
static void mark_state(struct vfy_env *e, struct bt *b, struct vfy_state *st)
{
	for (u32 fr = b->frame + 1; fr-- > 0;) {
		struct vfy_frame *f = st->frame[fr];

		for (u32 i = 0; i < 10; i++) {
			if (!(b->regs[fr] & BIT(i)))
				continue;
			if (f->regs[i].type != R_SCALAR || f->regs[i].precise)
				b->regs[fr] &= ~BIT(i);
			else
				f->regs[i].precise = e->marks_changed = true;
		}
		for (u32 i = 0; i < MAX_SLOTS; i++) {
			struct vfy_slot *s = i < f->nr_slots ? &f->slots[i] : NULL;

			if (!(b->slots[fr] & BIT64(i)))
				continue;
			if (!s || s->type[SLOT - 1] != S_SPILL || s->reg.type != R_SCALAR || s->reg.precise)
				b->slots[fr] &= ~BIT64(i);
			else
				s->reg.precise = e->marks_changed = true;
		}
		if (e->log_level & 2) {
			vfy_log(e, "mark_precise: frame%u: parent state ", fr);
			log_masks(e, b, fr);
			vfy_log(e, ": ");
			vfy_state_print(e, st, fr, true);
		}
	}
}

/* The instruction before I on this state's path. *END: history entries not passed yet. -1: none in this state. */
static s64 step_back(const struct vfy_state *st, u32 i, u32 *end)
{
	if (i == st->first_insn && (*end == 0 || (*end == 1 && st->hist[0].idx == i)))
		return -1;
	if (*end && st->hist[*end - 1].idx == i)
		return st->hist[--*end].prev_idx;
	return (s64)i - 1;
}

static const struct vfy_hist *hist_at(const struct vfy_state *st, u32 i, u32 end)
{
	return end && st->hist[end - 1].idx == i ? &st->hist[end - 1] : NULL;
}

/* Walk back from e->insn (not included) through the current state and its parents. */
static int walk(struct vfy_env *e, struct bt *b)
{
	struct vfy_state *st = e->cur;
	s64 last = e->insn, next = -1;
	bool skip = true;

	while (!empty(b)) {
		u32 end = st->nr_hist;
		s64 i = last;

		if (e->log_level & 2)
			vfy_log(e, "mark_precise: frame%u: last_idx %d first_idx %d subseq_idx %d \n", b->frame,
				(int)last, (int)st->first_insn, (int)next);
		if (last < 0)
			break;
		for (;;) {
			if (!skip && back(e, b, (u32)i, next, hist_at(st, (u32)i, end)) != BT_OK) {
				mark_all_scalars(e, e->cur->parent);
				return 0;
			}
			skip = false;
			if (empty(b))
				return 0;
			next = i;
			i = step_back(st, (u32)i, &end);
			if (i < 0)
				break;
		}
		next = st->first_insn;
		last = (s32)st->last_insn;
		st = st->parent;
		if (!st)
			break;
		if (b->frame > st->curframe) {
			mark_all_scalars(e, e->cur->parent);
			return 0;
		}
		mark_state(e, b, st);
		last = (s32)st->last_insn;
	}
	/* arguments of the entry function have no origin; anything else was missed */
	if (!empty(b))
		mark_all_scalars(e, e->cur->parent);
	return 0;
}

int vfy_precise(struct vfy_env *e, u32 regno)
{
	struct bt b = { .frame = e->cur->curframe };

	if (!e->bpf_capable)
		return 0;
	set(&b, regno);
	return walk(e, &b);
}

/* Registers and slots of several frames at once. Either may be NULL. */
int vfy_precise_state(struct vfy_env *e, const u32 *regs, const u64 *slots)
{
	struct bt b = { .frame = e->cur->curframe };

	if (!e->bpf_capable)
		return 0;
	for (u32 i = 0; i <= b.frame; i++) {
		b.regs[i] = regs ? regs[i] : 0;
		b.slots[i] = slots ? slots[i] : 0;
	}
	return walk(e, &b);
}
