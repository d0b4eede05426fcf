/* SPDX-License-Identifier: Apache-2.0 */
/* state.c - the abstract machine: frames, registers, references, the branch stack.
 * Invariants: a state owns its frames, references and history (copies are deep); frame[0..curframe] exist, the
 * rest is NULL; st.branches counts the unfinished paths below a remembered state, so that it reaches 0 exactly
 * when everything that can follow from it was checked. Lock: none, all of it belongs to one call. */
#include <stdio.h>

#include "verify/vfy.h"

int vfy_frame_new(struct vfy_env *e, struct vfy_state *st, s32 callsite, u32 frameno, u32 subprog)
{
	struct vfy_frame *f = calloc(1, sizeof(*f));

	if (!f)
		return vfy_nomem(e);
	f->callsite = callsite;
	f->frameno = frameno;
	f->subprog = subprog;
	f->stack_written = ~0ull;	/* nothing in it comes from a parent state */
	for (u32 i = 0; i < 11; i++)
		vfy_reg_not_init(e, &f->regs[i]);
	vfy_reg_ptr(&f->regs[10], R_STACK);
	f->regs[10].frameno = frameno;
	st->frame[frameno] = f;
	return 0;
}

void vfy_frame_free(struct vfy_frame *f)
{
	if (!f)
		return;
	free(f->slots);
	free(f);
}

/* Make the frame's stack at least BYTES deep. */
int vfy_slots_grow(struct vfy_env *e, struct vfy_frame *f, u32 bytes)
{
	u32 n = ALIGN_UP(bytes, SLOT) / SLOT;
	struct vfy_slot *s;

	if (n <= f->nr_slots)
		return 0;
	s = realloc(f->slots, n * sizeof(*s));
	if (!s)
		return vfy_nomem(e);
	memset(s + f->nr_slots, 0, (n - f->nr_slots) * sizeof(*s));
	f->slots = s;
	f->nr_slots = n;
	if (e->subs[f->subprog].stack_depth < n * SLOT)
		e->subs[f->subprog].stack_depth = n * SLOT;
	return 0;
}

static int frame_copy(struct vfy_frame **dst, const struct vfy_frame *src)
{
	struct vfy_frame *f = *dst;
	struct vfy_slot *slots = NULL;

	if (src->nr_slots) {
		slots = malloc(src->nr_slots * sizeof(*slots));
		if (!slots)
			return -ENOMEM;
		memcpy(slots, src->slots, src->nr_slots * sizeof(*slots));
	}
	if (!f) {
		f = malloc(sizeof(*f));
		if (!f) {
			free(slots);
			return -ENOMEM;
		}
		*dst = f;
	} else {
		free(f->slots);
	}
	*f = *src;
	f->slots = slots;
	return 0;
}

/* DST holds a valid (possibly all-zero) state; it becomes a copy of SRC. */
int vfy_state_copy(struct vfy_env *e, struct vfy_state *dst, const struct vfy_state *src)
{
	struct vfy_frame *keep[MAX_FRAMES];
	struct vfy_ref *refs = NULL;
	struct vfy_hist *hist = NULL;

	if (src->nr_hist) {
		hist = malloc(src->nr_hist * sizeof(*hist));
		if (!hist)
			return vfy_nomem(e);
		memcpy(hist, src->hist, src->nr_hist * sizeof(*hist));
	}
	if (src->nr_refs) {
		refs = malloc(src->nr_refs * sizeof(*refs));
		if (!refs) {
			free(hist);
			return vfy_nomem(e);
		}
		memcpy(refs, src->refs, src->nr_refs * sizeof(*refs));
	}
	free(dst->refs);
	free(dst->hist);
	memcpy(keep, dst->frame, sizeof(keep));
	*dst = *src;
	memcpy(dst->frame, keep, sizeof(keep));
	dst->refs = refs;
	dst->cap_refs = src->nr_refs;
	dst->hist = hist;
	dst->cap_hist = src->nr_hist;
	for (u32 i = src->curframe + 1; i < MAX_FRAMES; i++) {
		vfy_frame_free(dst->frame[i]);
		dst->frame[i] = NULL;
	}
	for (u32 i = 0; i <= src->curframe; i++)
		if (frame_copy(&dst->frame[i], src->frame[i]))
			return vfy_nomem(e);
	return 0;
}

void vfy_state_drop(struct vfy_state *st)
{
	for (u32 i = 0; i < MAX_FRAMES; i++) {
		vfy_frame_free(st->frame[i]);
		st->frame[i] = NULL;
	}
	free(st->refs);
	free(st->hist);
	st->refs = NULL;
	st->hist = NULL;
	st->nr_refs = st->nr_hist = st->cap_refs = st->cap_hist = 0;
}

/* ---- branch stack ---- */

/* Remember to come back with the current state at INSN. Returns the state to come back with, to be refined by
 * the caller; NULL when out of memory or too complex (the rejection is recorded). */
struct vfy_state *vfy_push(struct vfy_env *e, u32 insn, u32 prev_insn, bool speculative)
{
	struct vfy_pending *p = calloc(1, sizeof(*p));

	if (!p) {
		vfy_nomem(e);
		return NULL;
	}
	p->insn = insn;
	p->prev_insn = prev_insn;
	p->log_len = e->out->log_dropped + e->out->log.len;
	p->next = e->pending;
	e->pending = p;
	e->nr_pending++;
	if (vfy_state_copy(e, &p->st, e->cur))
		return NULL;
	p->st.speculative |= speculative;
	if (p->st.parent)
		p->st.parent->branches++;
	if (e->nr_pending > MAX_JMPS) {
		vfy_reject(e, VR_TOO_COMPLEX, -EFAULT, -1, "The sequence of %d jumps is too complex.",
			   (int)e->nr_pending);
		return NULL;
	}
	return &p->st;
}

struct vfy_state *vfy_push_async(struct vfy_env *e, u32 subprog, bool sleepable)
{
	struct vfy_pending *p = calloc(1, sizeof(*p));

	if (!p) {
		vfy_nomem(e);
		return NULL;
	}
	p->insn = p->st.first_insn = e->subs[subprog].start;
	p->prev_insn = e->insn;
	p->log_len = e->out->log_dropped + e->out->log.len;
	p->next = e->pending;
	e->pending = p;
	if (++e->nr_pending > MAX_JMPS) {
		vfy_reject(e, VR_TOO_COMPLEX, -EFAULT, -1, "The sequence of %d jumps is too complex for async cb.",
			   (int)e->nr_pending);
		return NULL;
	}
	p->st.branches = 1;
	p->st.last_insn = (u32)-1;
	p->st.in_sleepable = sleepable;
	return vfy_frame_new(e, &p->st, -1, 0, subprog) ? NULL : &p->st;
}

int vfy_pop(struct vfy_env *e, bool pop_log)
{
	struct vfy_pending *p = e->pending;

	if (!p)
		return -ENOENT;
	e->pending = p->next;
	e->nr_pending--;
	vfy_state_drop(e->cur);
	*e->cur = p->st;
	e->insn = p->insn;
	e->prev_insn = p->prev_insn;
	if (pop_log)
		vfy_log_reset(e, p->log_len);
	free(p);
	return 0;
}

/* The path that ends at ST is finished. */
int vfy_branches_done(struct vfy_env *e, struct vfy_state *st)
{
	while (st && --st->branches == 0) {
		if (st->loop_target) {
			int err = vfy_backedges_close(e, st);

			if (err)
				return err;
		}
		st = st->parent;
	}
	return 0;
}

/* Note how control came to e->insn (or, with flags, that this instruction touched a stack slot). */
int vfy_hist_push(struct vfy_env *e, u32 flags, u64 linked)
{
	struct vfy_state *st = e->cur;
	struct vfy_hist *h;

	if (e->cur_hist) {
		h = &st->hist[e->cur_hist - 1];
		h->flags |= flags;
		if (linked)
			h->linked = linked;
		return 0;
	}
	if (st->nr_hist == st->cap_hist) {
		u32 cap = st->cap_hist ? st->cap_hist * 2 : 16;

		h = realloc(st->hist, cap * sizeof(*h));
		if (!h)
			return vfy_nomem(e);
		st->hist = h;
		st->cap_hist = cap;
	}
	h = &st->hist[st->nr_hist++];
	h->idx = e->insn;
	h->prev_idx = e->prev_insn;
	h->flags = flags;
	h->linked = linked;
	e->cur_hist = st->nr_hist;
	return 0;
}

/* ---- registers ---- */
void vfy_reg_not_init(struct vfy_env *e, struct vfy_reg *r)
{
	memset(r, 0, sizeof(*r));
	r->type = R_NOT_INIT;
	vfy_scalar_unknown(&r->s);
}

void vfy_reg_unknown(struct vfy_env *e, struct vfy_reg *r)
{
	memset(r, 0, sizeof(*r));
	r->type = R_SCALAR;
	r->precise = !e->bpf_capable;
	vfy_scalar_unknown(&r->s);
}

/* A pointer that leads nowhere any more. The number itself must not be seen by the unprivileged. */
void vfy_reg_invalid(struct vfy_env *e, struct vfy_reg *r)
{
	if (e->allow_ptr_leaks)
		vfy_reg_unknown(e, r);
	else
		vfy_reg_not_init(e, r);
}

void vfy_reg_const(struct vfy_reg *r, u64 v)
{
	memset(r, 0, sizeof(*r));
	r->type = R_SCALAR;
	vfy_scalar_const(&r->s, v);
}

void vfy_reg_ptr(struct vfy_reg *r, u32 type)
{
	memset(r, 0, sizeof(*r));
	r->type = type;
	vfy_scalar_const(&r->s, 0);
}

int vfy_check_read(struct vfy_env *e, u32 r)
{
	if (r > 10)
		return vfy_reject(e, VR_BAD_REG, -EINVAL, -1, "R%u is invalid", r);
	scratch_reg(e, r);
	if (cur_regs(e)[r].type == R_NOT_INIT)
		return vfy_reject(e, VR_UNINIT_REG, -EACCES, (int)r, "R%u !read_ok", r);
	return 0;
}

int vfy_check_write(struct vfy_env *e, u32 r)
{
	if (r > 10)
		return vfy_reject(e, VR_BAD_REG, -EINVAL, -1, "R%u is invalid", r);
	scratch_reg(e, r);
	if (r == 10)
		return vfy_reject(e, VR_FRAME_PTR, -EACCES, 10, "frame pointer is read only");
	return 0;
}

void vfy_caller_saved_clear(struct vfy_env *e, struct vfy_reg *regs)
{
	for (u32 i = 0; i <= 5; i++) {
		vfy_reg_not_init(e, &regs[i]);
		scratch_reg(e, i);
	}
}

void vfy_each_reg(struct vfy_state *st, void (*fn)(struct vfy_frame *f, struct vfy_reg *r, void *arg), void *arg)
{
	for (u32 i = 0; i <= st->curframe; i++) {
		struct vfy_frame *f = st->frame[i];

		for (u32 r = 0; r < 11; r++)
			fn(f, &f->regs[r], arg);
		for (u32 s = 0; s < f->nr_slots; s++)
			if (f->slots[s].type[SLOT - 1] == S_SPILL)
				fn(f, &f->slots[s].reg, arg);
	}
}

/* ---- references ---- */
s32 vfy_ref_acquire(struct vfy_env *e, u32 insn)
{
	struct vfy_state *st = e->cur;

	if (st->nr_refs == st->cap_refs) {
		u32 cap = st->cap_refs ? st->cap_refs * 2 : 4;
		struct vfy_ref *r = realloc(st->refs, cap * sizeof(*r));

		if (!r)
			return vfy_nomem(e);
		st->refs = r;
		st->cap_refs = cap;
	}
	st->refs[st->nr_refs++] = (struct vfy_ref){ .type = REF_PTR, .id = ++e->id_gen, .insn = insn };
	return (s32)e->id_gen;
}

struct vfy_ref *vfy_ref_find(struct vfy_state *st, u32 id)
{
	for (u32 i = 0; i < st->nr_refs; i++)
		if (st->refs[i].type == REF_PTR && st->refs[i].id == id)
			return &st->refs[i];
	return NULL;
}

static void forget_ref(struct vfy_frame *f, struct vfy_reg *r, void *arg)
{
	void **a = arg;

	if (r->ref_obj_id == *(u32 *)a[1])
		vfy_reg_invalid(a[0], r);
}

/* Drop the reference; every copy of the pointer becomes an unknown number. */
int vfy_ref_release(struct vfy_env *e, u32 id)
{
	struct vfy_state *st = e->cur;
	struct vfy_ref *r = vfy_ref_find(st, id);
	void *arg[2] = { e, &id };

	if (!r)
		return -EINVAL;
	memmove(r, r + 1, (size_t)(st->refs + st->nr_refs - (r + 1)) * sizeof(*r));
	st->nr_refs--;
	vfy_each_reg(st, forget_ref, arg);
	return 0;
}
