/* SPDX-License-Identifier: Apache-2.0 */
/* iter.c - open-coded iterators: their state lies on the stack (S_ITER slots, the lowest address first; that slot holds the
 * reference), is made by bpf_iter_X_new(), asked by _next(), given back by _destroy().
 * A call of _next() goes two ways: it gave an element (walked later), or the iterator is drained and gave NULL. Since drained
 * iterators stay drained, a turn that starts like an earlier unfinished one proves convergence (prune.c, loop.c);
 * to get there numbers that nothing depended on are widened from turn to turn. Order of the checks and words: Linux 6.18. */
#include <stdio.h>

#include "verify/kfunc.h"

enum { ITER_INVALID, ITER_ACTIVE, ITER_DRAINED };

static const char *const state_names[] = { "<invalid>", "active", "drained", "?" };

static bool starts(const char *s, const char *with) { return !strncmp(s, with, strlen(with)); }

/* "num" of struct bpf_iter_num */
static const char *iter_name(const struct btf *b, u32 id)
{
	const struct btf_type *t = b ? btf_type(b, id) : NULL;
	const char *s = t ? btf_str(b, t->name_off) : "";

	return starts(s, "bpf_iter_") ? s + 9 : "<invalid>";
}

static bool has_suffix(const char *s, const char *with)
{
	size_t a = strlen(s), b = strlen(with);

	return a >= b && !strcmp(s + a - b, with);
}

/* The iterator struct that parameter N points to, 0: none. */
static u32 iter_struct(const struct kf *k, u32 n)
{
	u32 id = kf_params(k)[n].type;
	const struct btf_type *t = btf_skip_mods(k->btf, &id);

	if (!t || BTF_INFO_KIND(t->info) != BTF_KIND_PTR)
		return 0;
	id = t->type;
	t = id ? btf_skip_mods(k->btf, &id) : NULL;
	if (!t || BTF_INFO_KIND(t->info) != BTF_KIND_STRUCT || !starts(btf_str(k->btf, t->name_off), "bpf_iter_"))
		return 0;
	return id;
}

bool kf_arg_is_iter(const struct kf *k, u32 n)
{
	if (k->k->flags & (SPEC_KF_ITER_NEW | SPEC_KF_ITER_NEXT | SPEC_KF_ITER_DESTROY))
		return n == 0;
	return has_suffix(btf_str(k->btf, kf_params(k)[n].name_off), "__iter");
}

static struct vfy_frame *frame_of(struct vfy_env *e, u32 regno)
{
	return e->cur->frame[cur_regs(e)[regno].frameno];
}

static bool slot_is_iter(const struct vfy_slot *s)
{
	for (u32 i = 0; i < SLOT; i++)
		if (s->type[i] == S_ITER)
			return true;
	return false;
}

/* ---- new ---- */
static bool may_be_made(struct vfy_env *e, u32 regno, u32 nr)
{
	s32 spi = vfy_stack_obj(e, regno, "iter", nr);

	if (spi < 0)
		return spi == -ERANGE;
	for (u32 i = 0; i < nr; i++)
		if (slot_is_iter(&frame_of(e, regno)->slots[(u32)spi - i]))
			return false;
	return true;
}

static int make(struct vfy_env *e, struct kf *k, u32 regno, u32 id, u32 nr)
{
	s32 spi, ref;
	struct vfy_frame *f;
	u32 flags = 0;

	if (!may_be_made(e, regno, nr))
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)regno, "expected uninitialized iter_%s as arg #%u",
				  iter_name(k->btf, id), regno - 1);
	for (u32 i = 0; i < nr * SLOT; i += SLOT) {
		int err = vfy_mem(e, regno, (int)i, SLOT, ACC_WRITE, -1, false, false);

		if (err)
			return err;
	}
	spi = vfy_stack_obj(e, regno, "iter", nr);
	ref = spi < 0 ? spi : vfy_ref_acquire(e, e->insn);
	if (ref < 0)
		return ref;
	if (k->k->flags & SPEC_KF_RCU_PROTECTED)
		flags = vfy_in_rcu(e) ? RF_RCU : RF_UNTRUSTED;
	f = frame_of(e, regno);
	for (u32 i = 0; i < nr; i++) {
		struct vfy_slot *s = &f->slots[(u32)spi - i];

		memset(s->type, S_ITER, SLOT);
		vfy_reg_ptr(&s->reg, R_STACK | flags);
		s->reg.ref_obj_id = i ? 0 : (u32)ref;
		s->reg.iter_btf = k->btf;
		s->reg.iter_id = id;
		s->reg.iter_state = ITER_ACTIVE;
		scratch_slot(e, (u32)spi - i);
		f->stack_written |= BIT64((u32)spi - i);
	}
	return 0;
}

/* ---- next, destroy, and whoever else takes one ---- */
static int check_made(struct vfy_env *e, struct kf *k, u32 regno, u32 id, u32 nr)
{
	s32 spi = vfy_stack_obj(e, regno, "iter", nr);

	if (spi < 0)
		return -EINVAL;
	for (u32 i = 0; i < nr; i++) {
		const struct vfy_slot *s = &frame_of(e, regno)->slots[(u32)spi - i];

		if (s->type[0] == S_ITER && (s->reg.type & RF_UNTRUSTED))
			return -EPROTO;
		for (u32 j = 0; j < SLOT; j++)
			if (s->type[j] != S_ITER)
				return -EINVAL;
		if (!i != !!s->reg.ref_obj_id || s->reg.iter_btf != k->btf || s->reg.iter_id != id)
			return -EINVAL;
	}
	return 0;
}

static int destroy(struct vfy_env *e, struct vfy_frame *f, u32 spi, u32 nr)
{
	int err = vfy_ref_release(e, f->slots[spi].reg.ref_obj_id);

	for (u32 i = 0; i < nr && !err; i++) {
		struct vfy_slot *s = &f->slots[spi - i];

		memset(s, 0, sizeof(*s));
		scratch_slot(e, spi - i);
		f->stack_written |= BIT64(spi - i);
	}
	return err;
}

int kf_iter_arg(struct vfy_env *e, struct kf *k, u32 regno)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	u32 id = iter_struct(k, regno - 1), nr;
	s32 spi;
	int err;

	if (r->type != R_STACK)
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)regno, "arg#%u expected pointer to an iterator on stack",
				  regno - 1);
	if (!id)
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)regno, "expected valid iter pointer as arg #%u", regno - 1);
	nr = btf_type(k->btf, id)->size / SLOT;
	if (k->k->flags & SPEC_KF_ITER_NEW)
		return make(e, k, regno, id, nr);
	err = check_made(e, k, regno, id, nr);
	if (err == -EPROTO)
		return vfy_reject(e, VR_REGION, err, (int)regno, "expected an RCU CS when using %s", k->name);
	if (err)
		return vfy_reject(e, VR_ARG_TYPE, err, (int)regno, "expected an initialized iter_%s as arg #%u",
				  iter_name(k->btf, id), regno - 1);
	spi = vfy_stack_obj(e, regno, "iter", nr);
	for (u32 i = 0; i < nr; i++)
		scratch_slot(e, (u32)spi - i);
	vfy_stack_read_mark(e->cur, r->frameno, (BIT64(nr) - 1) << ((u32)spi + 1 - nr));
	k->iter.frame = r->frameno;
	k->iter.spi = (u32)spi;
	k->ref_obj_id = frame_of(e, regno)->slots[spi].reg.ref_obj_id;
	return k->k->flags & SPEC_KF_ITER_DESTROY ? destroy(e, frame_of(e, regno), (u32)spi, nr) : 0;
}

const struct vfy_reg *kf_iter_reg(struct vfy_env *e, const struct kf *k)
{
	return &e->cur->frame[k->iter.frame]->slots[k->iter.spi].reg;
}

/* R0 was made as an element that may be NULL: walk the element later, now the end. */
int kf_iter_next(struct vfy_env *e, struct kf *k)
{
	struct vfy_reg *it = &e->cur->frame[k->iter.frame]->slots[k->iter.spi].reg;
	struct vfy_state *prev, *q;

	if (it->iter_state == ITER_ACTIVE) {
		prev = e->cur->parent ? e->cur->parent->parent : NULL;
		while (prev && !vfy_same_place(prev, e->cur, e->insn))
			prev = prev->parent;
		q = vfy_push(e, e->insn + 1, e->insn, false);
		if (!q)
			return e->err_code;
		q->frame[k->iter.frame]->slots[k->iter.spi].reg.iter_depth++;
		if (prev)
			vfy_widen(e, prev, q);
		vfy_not_null(&q->frame[q->curframe]->regs[0]);
	}
	it = &e->cur->frame[k->iter.frame]->slots[k->iter.spi].reg;
	it->iter_state = ITER_DRAINED;
	vfy_reg_const(&cur_regs(e)[0], 0);
	return 0;
}

/* ---- states ---- */
bool vfy_iter_same(const struct vfy_reg *a, const struct vfy_reg *b)
{
	return a->iter_btf == b->iter_btf && a->iter_id == b->iter_id && a->iter_state == b->iter_state;
}

/* Active iterators that are at different turns: not an endless loop. */
bool vfy_iter_depths_differ(const struct vfy_state *old, const struct vfy_state *cur)
{
	for (u32 f = 0; f <= old->curframe; f++)
		for (u32 i = 0; i < old->frame[f]->nr_slots; i++) {
			const struct vfy_slot *s = &old->frame[f]->slots[i];

			if (s->type[0] == S_ITER && s->reg.iter_state == ITER_ACTIVE && i < cur->frame[f]->nr_slots &&
			    cur->frame[f]->slots[i].reg.iter_depth != s->reg.iter_depth)
				return true;
		}
	return false;
}

/* The iterator that R1 of ST's frame points to is active. */
bool vfy_iter_active(const struct vfy_state *st)
{
	const struct vfy_reg *r = &st->frame[st->curframe]->regs[1];
	u32 spi = (u32)(-(r->off + (s64)r->s.var.value) - 1) / SLOT;
	const struct vfy_frame *f = r->type == R_STACK ? st->frame[r->frameno] : NULL;

	return f && spi < f->nr_slots && f->slots[spi].type[0] == S_ITER && f->slots[spi].reg.iter_state == ITER_ACTIVE;
}

/* False: nothing to print for this slot. */
bool vfy_iter_print(struct sbuf *b, const struct vfy_reg *r)
{
	if (!r->ref_obj_id)
		return false;
	sbuf_printf(b, "iter_%s(ref_id=%u,state=%s,depth=%u)", iter_name(r->iter_btf, r->iter_id), r->ref_obj_id,
		    state_names[r->iter_state], r->iter_depth);
	return true;
}
