/* SPDX-License-Identifier: Apache-2.0 */
/* prune.c - not walking the same thing twice: at prune points the state is compared with those remembered there.
 * A remembered state covers the current one if everything that was checked from it would also hold from here:
 * registers that are live and precise (or pointers) lie within the old ones, stack slots that were read match, ids form
 * a consistent renaming. Only states whose paths are all finished may be compared like that; for the others:
 *	- equal in everything: an infinite loop, rejected;
 *	- at may_goto, iterators and callback calls: covered in all values and slots: the loop has converged (loop.c).
 * When to remember is a heuristic, the kernel's, since `processed N` depends on it. */
#include "verify/vfy.h"

enum exact { NOT_EXACT, EXACT, RANGE_WITHIN };

/* ---- ids ---- */
static bool ids_match(struct vfy_env *e, u32 old, u32 cur)
{
	if (!!old != !!cur)
		return false;
	if (!old)
		return true;
	for (u32 i = 0; i < e->nr_idmap; i++) {
		if (e->idmap[i].old == old)
			return e->idmap[i].cur == cur;
		if (e->idmap[i].cur == cur)
			return false;
	}
	if (e->nr_idmap == ARRAY_SIZE(e->idmap))
		return false;
	e->idmap[e->nr_idmap].old = old;
	e->idmap[e->nr_idmap++].cur = cur;
	return true;
}

static bool scalar_ids_match(struct vfy_env *e, u32 old, u32 cur)
{
	if (!old)
		return true;
	return ids_match(e, old, cur ? cur : ++e->idmap_tmp);
}

/* ---- registers ---- */
static bool within(const struct vfy_reg *old, const struct vfy_reg *cur)
{
	return vfy_scalar_in(&old->s, &cur->s) && tnum_in(old->s.var, cur->s.var);
}

static bool same_head(const struct vfy_reg *a, const struct vfy_reg *b)
{
	return a->type == b->type && a->off == b->off && a->raw[0] == b->raw[0] && a->raw[1] == b->raw[1];
}

static bool equal(struct vfy_env *e, const struct vfy_reg *a, const struct vfy_reg *b)
{
	return same_head(a, b) && vfy_scalar_equal(&a->s, &b->s) && ids_match(e, a->id, b->id) &&
	       ids_match(e, a->ref_obj_id, b->ref_obj_id);
}

static bool scalar_safe(struct vfy_env *e, const struct vfy_reg *old, const struct vfy_reg *cur, enum exact how)
{
	if (!old->precise && how == NOT_EXACT)
		return true;
	if ((old->id ^ cur->id) & ID_ADD_CONST)
		return false;
	if ((old->id & ID_ADD_CONST) && old->off != cur->off)
		return false;
	return within(old, cur) && scalar_ids_match(e, old->id, cur->id);
}

static bool reg_safe(struct vfy_env *e, const struct vfy_reg *old, const struct vfy_reg *cur, enum exact how)
{
	if (how == EXACT)
		return equal(e, old, cur) && (R_BASE(old->type) != R_STACK || old->frameno == cur->frameno);
	if (old->type == R_NOT_INIT)
		return how == NOT_EXACT || cur->type == R_NOT_INIT;
	if (old->type != cur->type)
		return false;
	switch (R_BASE(old->type)) {
	case R_SCALAR:
		return scalar_safe(e, old, cur, how);
	case R_MAP_KEY:
	case R_MAP_VALUE:
	case R_MEM:
	case R_BUF:
	case R_TP_BUFFER:
		return same_head(old, cur) && within(old, cur) && ids_match(e, old->id, cur->id) &&
		       ids_match(e, old->ref_obj_id, cur->ref_obj_id);
	case R_PKT:
	case R_PKT_META:
		return old->range <= cur->range && old->off == cur->off && ids_match(e, old->id, cur->id) &&
		       within(old, cur);
	case R_STACK:
		return equal(e, old, cur) && old->frameno == cur->frameno;
	case R_ARENA:
		return true;
	}
	return equal(e, old, cur);
}

/* ---- stack ---- */
static bool slot_is_misc(struct vfy_env *e, const struct vfy_slot *s)
{
	for (u32 i = 0; i < SLOT; i++)
		if (s->type[i] != S_MISC && !(s->type[i] == S_INVALID && e->allow_uninit_stack))
			return false;
	return true;
}

/* The scalar that an 8-byte load of the slot gives; NULL if it is not one. */
static const struct vfy_reg *slot_scalar(struct vfy_env *e, const struct vfy_slot *s, const struct vfy_reg *unknown)
{
	if (s->type[0] == S_SPILL && s->reg.type == R_SCALAR)
		return &s->reg;
	if (slot_is_misc(e, s))
		return unknown;
	return NULL;
}

static bool slot_safe(struct vfy_env *e, const struct vfy_slot *old, const struct vfy_slot *cur, enum exact how)
{
	struct vfy_reg unknown;
	const struct vfy_reg *o, *c;

	vfy_reg_unknown(e, &unknown);
	unknown.precise = false;
	if (how == EXACT && memcmp(old->type, cur->type, SLOT))
		return false;
	if (how != EXACT) {
		o = slot_scalar(e, old, &unknown);
		c = slot_scalar(e, cur, &unknown);
		if (o && c)
			return reg_safe(e, o, c, how);
	}
	for (u32 i = 0; i < SLOT; i++) {
		u8 a = old->type[i], b = cur->type[i];

		if (how != EXACT && (a == S_INVALID || (e->allow_uninit_stack && a == S_MISC)))
			continue;
		if (how != EXACT && a == S_MISC && b == S_ZERO)
			continue;
		if (a != b)
			return false;
	}
	switch (old->type[SLOT - 1]) {
	case S_SPILL:
		return reg_safe(e, &old->reg, &cur->reg, how);
	case S_DYNPTR:
		return vfy_dynptr_same(&old->reg, &cur->reg) && ids_match(e, old->reg.ref_obj_id, cur->reg.ref_obj_id);
	case S_ITER:
		return vfy_iter_same(&old->reg, &cur->reg) && ids_match(e, old->reg.ref_obj_id, cur->reg.ref_obj_id);
	}
	return true;
}

static bool slot_empty(const struct vfy_slot *s)
{
	for (u32 i = 0; i < SLOT; i++)
		if (s->type[i] != S_INVALID)
			return false;
	return true;
}

static bool stack_safe(struct vfy_env *e, const struct vfy_frame *old, const struct vfy_frame *cur, bool all,
		       enum exact how)
{
	static const struct vfy_slot none;

	for (u32 i = 0; i < old->nr_slots; i++) {
		const struct vfy_slot *c = i < cur->nr_slots ? &cur->slots[i] : &none;

		if (!all && !(old->stack_read & BIT64(i)))
			continue;
		if (how != EXACT && slot_empty(&old->slots[i]))
			continue;
		if (!slot_safe(e, &old->slots[i], c, how))
			return false;
	}
	return true;
}

/* ---- states ---- */
static bool refs_safe(struct vfy_env *e, const struct vfy_state *old, const struct vfy_state *cur)
{
	if (old->nr_refs != cur->nr_refs || old->active_locks != cur->active_locks ||
	    old->active_preempt != cur->active_preempt || old->active_rcu != cur->active_rcu || old->active_irq != cur->active_irq ||
	    !ids_match(e, old->active_lock_id, cur->active_lock_id))
		return false;
	if (old->active_lock_ptr != cur->active_lock_ptr)
		return false;
	for (u32 i = 0; i < old->nr_refs; i++)
		if (old->refs[i].type != cur->refs[i].type || old->refs[i].ptr != cur->refs[i].ptr ||
		    !ids_match(e, old->refs[i].id, cur->refs[i].id))
			return false;
	return true;
}

static bool frame_safe(struct vfy_env *e, const struct vfy_state *st, u32 fr, const struct vfy_frame *cur, u32 live,
		       enum exact how)
{
	const struct vfy_frame *old = st->frame[fr];

	if (old->callsite != cur->callsite || old->subprog != cur->subprog || old->in_callback != cur->in_callback ||
	    old->in_async_callback != cur->in_async_callback)
		return false;
	for (u32 r = 0; r < 10; r++)
		if ((live & BIT(r)) && !reg_safe(e, &old->regs[r], &cur->regs[r], how))
			return false;
	return stack_safe(e, old, cur, how != NOT_EXACT, how);
}

bool vfy_same_place(const struct vfy_state *a, const struct vfy_state *b, u32 insn)
{
	if (a->insn != insn || a->curframe != b->curframe)
		return false;
	for (u32 i = 0; i <= a->curframe; i++)
		if (a->frame[i]->callsite != b->frame[i]->callsite)
			return false;
	return true;
}

static bool states_equal(struct vfy_env *e, const struct vfy_state *old, const struct vfy_state *cur, enum exact how)
{
	if (old->curframe != cur->curframe || old->in_sleepable != cur->in_sleepable ||
	    (old->speculative && !cur->speculative))
		return false;
	e->nr_idmap = 0;
	e->idmap_tmp = e->id_gen;
	if (!refs_safe(e, old, cur))
		return false;
	for (u32 i = 0; i <= old->curframe; i++) {
		u32 at = i == old->curframe ? e->insn : (u32)old->frame[i + 1]->callsite;

		if (!frame_safe(e, old, i, cur->frame[i], e->aux[at].live, how))
			return false;
	}
	return true;
}

/* The covered path ends here, but what the old one's continuation read and needed, this one's ancestors
 * must keep, too. */
int vfy_inherit_marks(struct vfy_env *e, const struct vfy_state *old)
{
	u32 regs[MAX_FRAMES] = { 0 };
	u64 slots[MAX_FRAMES] = { 0 };

	for (u32 fr = 0; fr <= old->curframe; fr++) {
		const struct vfy_frame *f = old->frame[fr];

		if (vfy_stack_read_mark(e->cur, fr, f->stack_read))
			e->marks_changed = true;
		for (u32 r = 0; r < 10; r++)
			if (f->regs[r].type == R_SCALAR && f->regs[r].precise)
				regs[fr] |= BIT(r);
		for (u32 s = 0; s < f->nr_slots; s++)
			if (f->slots[s].type[SLOT - 1] == S_SPILL && f->slots[s].reg.type == R_SCALAR &&
			    f->slots[s].reg.precise)
				slots[fr] |= BIT64(s);
	}
	return vfy_precise_state(e, regs, slots);
}

/* Loops that may end at any turn: forget scalars that nothing depended on, so that the turns become equal. */
static void widen_reg(struct vfy_env *e, const struct vfy_reg *old, struct vfy_reg *cur)
{
	if (old->type != R_SCALAR || cur->type != R_SCALAR || old->precise || cur->precise)
		return;
	if (vfy_scalar_equal(&old->s, &cur->s) && old->id == cur->id)
		return;
	vfy_reg_unknown(e, cur);
}

void vfy_widen(struct vfy_env *e, const struct vfy_state *old, struct vfy_state *cur)
{
	for (u32 fr = 0; fr <= MIN(old->curframe, cur->curframe); fr++) {
		const struct vfy_frame *o = old->frame[fr];
		struct vfy_frame *c = cur->frame[fr];

		for (u32 r = 0; r < 10; r++)
			widen_reg(e, &o->regs[r], &c->regs[r]);
		for (u32 s = 0; s < MIN(o->nr_slots, c->nr_slots); s++)
			if (o->slots[s].type[0] == S_SPILL && c->slots[s].type[0] == S_SPILL)
				widen_reg(e, &o->slots[s].reg, &c->slots[s].reg);
	}
}

/* ---- the visit ---- */
static bool maybe_looping(const struct vfy_state *old, const struct vfy_state *cur)
{
	const struct vfy_frame *a, *b;

	if (old->curframe != cur->curframe)
		return false;
	a = old->frame[old->curframe];
	b = cur->frame[cur->curframe];
	for (u32 i = 0; i < 10; i++)
		if (a->regs[i].type != b->regs[i].type || a->regs[i].off != b->regs[i].off ||
		    a->regs[i].id != b->regs[i].id || a->regs[i].ref_obj_id != b->regs[i].ref_obj_id ||
		    !vfy_scalar_equal(&a->regs[i].s, &b->regs[i].s))
			return false;
	return true;
}

static int infinite(struct vfy_env *e, const struct vfy_state *old)
{
	int err;

	vfy_linfo_print(e, e->insn, "; ");
	err = vfy_reject(e, VR_INFINITE_LOOP, -EINVAL, -1, "infinite loop detected at insn %u", e->insn);
	vfy_log(e, "cur state:");
	vfy_state_print(e, e->cur, e->cur->curframe, true);
	vfy_log(e, "old state:");
	vfy_state_print(e, old, e->cur->curframe, true);
	return err;
}

enum verdict { MISS, HIT, LOOP_HIT, NO_ADD, FAIL };

/* A remembered state with unfinished paths: only loops can be told. */
static enum verdict unfinished(struct vfy_env *e, const struct vfy_state *old)
{
	const struct bpf_insn *in = &e->insns[e->insn];
	struct vfy_state *cur = e->cur;
	bool may_goto = BPF_CLASS(in->code) == BPF_JMP && BPF_OP(in->code) == BPF_JCOND;

	if (cur->frame[cur->curframe]->in_async_callback &&
	    old->frame[old->curframe]->async_entry != cur->frame[cur->curframe]->async_entry)
		return NO_ADD;
	if (e->aux[e->insn].iter_next)
		return states_equal(e, old, cur, RANGE_WITHIN) && vfy_iter_active(cur) ? LOOP_HIT : NO_ADD;
	if (may_goto && old->may_goto_depth != cur->may_goto_depth && states_equal(e, old, cur, RANGE_WITHIN))
		return LOOP_HIT;
	if (e->aux[e->insn].calls_callback)
		return states_equal(e, old, cur, RANGE_WITHIN) ? LOOP_HIT : NO_ADD;
	if (maybe_looping(old, cur) && states_equal(e, old, cur, EXACT) &&
	    !vfy_iter_depths_differ(old, cur) && old->may_goto_depth == cur->may_goto_depth && old->cb_unroll_depth == cur->cb_unroll_depth)
		return FAIL;
	return NO_ADD;
}

static void list_free_one(struct vfy_env *e, struct vfy_list *l)
{
	if (l->st.branches || l->st.incomplete) {	/* still an ancestor of unfinished paths, or part of a loop */
		l->next = e->dead;
		e->dead = l;
		return;
	}
	vfy_state_drop(&l->st);
	free(l);
	e->peak_now--;
}

/* Forgotten states that have become nobody's ancestors. */
static void dead_sweep(struct vfy_env *e)
{
	struct vfy_list **p = &e->dead;

	while (*p) {
		struct vfy_list *l = *p;

		if (l->st.branches || l->st.incomplete) {
			p = &l->next;
			continue;
		}
		*p = l->next;
		vfy_state_drop(&l->st);
		free(l);
		e->peak_now--;
	}
}

static int covered(struct vfy_env *e, struct vfy_list *l, bool loop)
{
	int err = 0;

	l->hits++;
	if (e->aux[e->insn].jmp_point)
		err = vfy_hist_push(e, 0, 0);
	if (err)
		return err;
	err = vfy_inherit_marks(e, &l->st);
	if (!err && loop)
		err = vfy_backedge_add(e, &l->st);
	return err ? err : 1;
}

static void forget_precise(struct vfy_frame *f, struct vfy_reg *r, void *arg)
{
	if (r->type == R_SCALAR)
		r->precise = false;
}

static int remember(struct vfy_env *e)
{
	struct vfy_state *cur = e->cur;
	struct vfy_list *l = calloc(1, sizeof(*l));

	if (!l)
		return vfy_nomem(e);
	e->total_states++;
	e->peak_now++;
	e->peak_states = MAX(e->peak_states, e->peak_now);
	e->prev_jmps = e->jmps;
	e->prev_processed = e->processed;
	if (e->bpf_capable)
		vfy_each_reg(cur, forget_precise, NULL);
	l->next = e->seen[e->insn];
	e->seen[e->insn] = l;
	l->st.branches = 0;
	if (vfy_state_copy(e, &l->st, cur))
		return -ENOMEM;
	l->st.insn = e->insn;
	l->st.branches = 1;
	l->st.incomplete = l->st.loop_target = false;
	cur->parent = &l->st;
	cur->first_insn = e->insn;
	cur->depth++;
	cur->nr_hist = 0;
	e->cur_hist = 0;
	for (u32 i = 0; i <= cur->curframe; i++) {
		cur->frame[i]->stack_written = 0;
		cur->frame[i]->stack_read = 0;
		l->st.frame[i]->stack_read = 0;
	}
	return 0;
}

/* 1: this path is covered. 0: walk on. */
int vfy_visit(struct vfy_env *e)
{
	bool force = e->test_freq || e->aux[e->insn].force_checkpoint || e->cur->nr_hist > 40, add = force;
	struct vfy_list **p = &e->seen[e->insn], *l;
	u32 n = 0;

	if (e->jmps - e->prev_jmps >= 2 && e->processed - e->prev_processed >= 8)
		add = true;
	if (e->dead && !(e->processed & 1023))
		dead_sweep(e);
	while ((l = *p)) {
		enum verdict v = MISS;
		u32 keep = 3;

		if (!vfy_same_place(&l->st, e->cur, e->insn)) {
			p = &l->next;
			continue;
		}
		n++;
		if (l->st.branches)
			v = unfinished(e, &l->st);
		else if (states_equal(e, &l->st, e->cur, l->st.incomplete ? RANGE_WITHIN : NOT_EXACT))
			v = l->st.incomplete ? LOOP_HIT : HIT;
		if (v == FAIL)
			return infinite(e, &l->st);
		if (v == HIT || v == LOOP_HIT)
			return covered(e, l, v == LOOP_HIT);
		if (v == NO_ADD && !force && e->jmps - e->prev_jmps < 20 && e->processed - e->prev_processed < 100)
			add = false;
		if (add) {
			l->misses++;
			if (e->aux[e->insn].force_checkpoint && l->st.branches)
				keep = 64;
			if (l->misses > l->hits * keep + keep) {
				*p = l->next;
				list_free_one(e, l);
				continue;
			}
		}
		p = &l->next;
	}
	e->max_states = MAX(e->max_states, n);
	if ((!e->bpf_capable && n > 64) || !add)
		return 0;
	return remember(e);
}
