/* SPDX-License-Identifier: Apache-2.0 */
/* dynptr.c - dynptrs: 16 bytes of stack that describe memory whose size is known at run time only, and slices of that memory.
 * Invariants: a dynptr occupies two slots, both S_DYNPTR as a whole or not at all; the one at the lower address is its first; both
 * hold its kind, id and reference. A slice (R_MEM) carries the id: when the dynptr is overwritten its slices end; a
 * dynptr with a reference cannot be overwritten, only released. Order of the checks and words: Linux 6.18. */
#include "verify/vfy.h"

#define NR_SLOTS	2

static const struct { const char *name; bool counted, packet; } kinds[] = {
	[DYN_LOCAL] = { "local" }, [DYN_RINGBUF] = { "ringbuf", true }, [DYN_SKB] = { "skb", false, true },
	[DYN_XDP] = { "xdp", false, true }, [DYN_SKB_META] = { "skb_meta", false, true },
};

const char *vfy_dynptr_name(u32 kind) { return kind < ARRAY_SIZE(kinds) && kinds[kind].name ? kinds[kind].name : "<invalid>"; }
bool vfy_dynptr_is_packet(u32 kind) { return kinds[kind].packet; }

/* Slot of the lowest address of an object of NR slots on the stack; -EINVAL: cannot be there (said why), -ERANGE:
 * outside of what the frame holds so far. */
s32 vfy_stack_obj(struct vfy_env *e, u32 regno, const char *what, u32 nr)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	s64 off = r->off + (s64)r->s.var.value;
	s32 spi;

	if (!tnum_is_const(r->s.var))
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)regno, "%s has to be at a constant offset", what);
	spi = (s32)((-off - 1) / SLOT);
	if (off % SLOT || off >= 0 || spi + 1 < (s32)nr)
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)regno, "cannot pass in %s at an offset=%d", what, (int)off);
	return spi < (s32)e->cur->frame[r->frameno]->nr_slots ? spi : -ERANGE;
}

static s32 slot_of(struct vfy_env *e, u32 regno) { return vfy_stack_obj(e, regno, "dynptr", NR_SLOTS); }

static void slot_set(struct vfy_slot *s, u8 type)
{
	memset(s->type, type, SLOT);
}

static void forget(struct vfy_env *e, struct vfy_frame *f, u32 first)
{
	for (u32 i = first - 1; i <= first; i++) {
		slot_set(&f->slots[i], S_INVALID);
		memset(&f->slots[i].reg, 0, sizeof(f->slots[i].reg));
		scratch_slot(e, i);
		f->stack_written |= BIT64(i);
	}
}

struct slice_arg {
	struct vfy_env *e;
	u32 id;
};

static void end_slice(struct vfy_frame *f, struct vfy_reg *r, void *arg)
{
	const struct slice_arg *a = arg;

	if ((r->type & ~RF_MAYBE_NULL) == R_MEM && r->dynptr_id == a->id)
		vfy_reg_invalid(a->e, r);
}

/* Slot I is about to be written. */
int vfy_dynptr_overwrite(struct vfy_env *e, struct vfy_frame *f, u32 i)
{
	struct slice_arg a = { .e = e };

	if (i >= f->nr_slots || f->slots[i].type[0] != S_DYNPTR)
		return 0;
	if (!f->slots[i].reg.dyn_first)
		i++;
	if (kinds[f->slots[i].reg.dyn_kind].counted)
		return vfy_reject(e, VR_REFERENCE, -EINVAL, -1, "cannot overwrite referenced dynptr");
	a.id = f->slots[i].reg.id;
	forget(e, f, i);
	vfy_each_reg(e->cur, end_slice, &a);
	return 0;
}

static void slot_fill(struct vfy_slot *s, u32 kind, bool first, u32 id, u32 ref)
{
	slot_set(s, S_DYNPTR);
	vfy_reg_ptr(&s->reg, R_DYNPTR);
	s->reg.dyn_kind = kind;
	s->reg.dyn_first = first;
	s->reg.id = id;
	s->reg.ref_obj_id = ref;
}

static int make(struct vfy_env *e, u32 regno, u32 kind, u32 clone_ref)
{
	struct vfy_frame *f = e->cur->frame[cur_regs(e)[regno].frameno];
	s32 i = slot_of(e, regno), ref = (s32)clone_ref;
	int err;
	u32 id;

	if (i < 0)
		return i;
	err = vfy_dynptr_overwrite(e, f, (u32)i);
	if (!err)
		err = vfy_dynptr_overwrite(e, f, (u32)i - 1);
	if (err)
		return err;
	id = ++e->id_gen;
	if (kinds[kind].counted && !ref) {
		ref = vfy_ref_acquire(e, e->insn);
		if (ref < 0)
			return ref;
	}
	slot_fill(&f->slots[i], kind, true, id, (u32)ref);
	slot_fill(&f->slots[i - 1], kind, false, id, (u32)ref);
	scratch_slot(e, (u32)i);
	scratch_slot(e, (u32)i - 1);
	f->stack_written |= 3ull << (i - 1);
	return 0;
}

/* The register points to an initialised dynptr. */
static bool valid(struct vfy_env *e, u32 regno)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	const struct vfy_frame *f;
	s32 i;

	if (r->type == R_DYNPTR)
		return true;
	i = slot_of(e, regno);
	if (i < 0)
		return false;
	f = e->cur->frame[r->frameno];
	return f->slots[i].type[0] == S_DYNPTR && f->slots[i - 1].type[0] == S_DYNPTR && f->slots[i].reg.dyn_first;
}

/* What describes the dynptr that a checked register points to. */
const struct vfy_reg *vfy_dynptr_reg(struct vfy_env *e, u32 regno)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	s32 i = r->type == R_DYNPTR ? 0 : slot_of(e, regno);

	if (r->type == R_DYNPTR || i < 0)
		return r;
	return &e->cur->frame[r->frameno]->slots[i].reg;
}

static int make_uninit(struct vfy_env *e, u32 regno, u32 kind, u32 clone_ref)
{
	s32 i = cur_regs(e)[regno].type == R_STACK ? slot_of(e, regno) : -EINVAL;
	int err;

	if (i < 0 && i != -ERANGE)
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)regno, "Dynptr has to be an uninitialized dynptr");
	for (int at = 0; at < NR_SLOTS * SLOT; at += SLOT) {
		err = vfy_mem(e, regno, at, SLOT, ACC_WRITE, -1, false, false);
		if (err)
			return err;
	}
	return make(e, regno, kind, clone_ref);
}

/* An argument that is a dynptr. ARG: ARG_MEM_UNINIT: to be made, of KIND; ARG_MEM_RDONLY: the function does not change it;
 * KIND else: the only kind that the function takes, 0 any. */
int vfy_dynptr_arg(struct vfy_env *e, u32 regno, u32 arg, u32 kind, u32 clone_ref)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	s32 i;

	if (r->type != R_STACK && r->type != R_DYNPTR)
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)regno,
				  "arg#%u expected pointer to stack or const struct bpf_dynptr", regno - 1);
	if (arg & ARG_MEM_UNINIT)
		return make_uninit(e, regno, kind, clone_ref);
	if (r->type == R_DYNPTR && !(arg & ARG_MEM_RDONLY))
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)regno,
				  "cannot pass pointer to const bpf_dynptr, the helper mutates it");
	if (!valid(e, regno))
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)regno, "Expected an initialized dynptr as arg #%u",
				  regno - 1);
	if (kind && vfy_dynptr_reg(e, regno)->dyn_kind != kind)
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)regno, "Expected a dynptr of type %s as arg #%u",
				  kinds[kind].name, regno - 1);
	if (r->type == R_STACK) {
		i = slot_of(e, regno);
		scratch_slot(e, (u32)i);
		scratch_slot(e, (u32)i - 1);
		vfy_stack_read_mark(e->cur, r->frameno, 3ull << (i - 1));
	}
	return 0;
}

/* A function that ends dynptrs gets one: it must hold a reference. */
int vfy_dynptr_release_arg(struct vfy_env *e, u32 regno)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	s32 i;

	if (r->type != R_STACK)
		return vfy_reject(e, VR_REFERENCE, -EINVAL, (int)regno, "cannot release unowned const bpf_dynptr");
	i = slot_of(e, regno);
	if (i < 0 || !e->cur->frame[r->frameno]->slots[i].reg.ref_obj_id)
		return vfy_reject(e, VR_REFERENCE, -EINVAL, (int)regno, "arg %u is an unacquired reference", regno);
	return 0;
}

/* It ends: with its slices, and with the dynptrs that share its reference. */
int vfy_dynptr_release(struct vfy_env *e, u32 regno)
{
	struct vfy_frame *f = e->cur->frame[cur_regs(e)[regno].frameno];
	s32 i = slot_of(e, regno);
	u32 ref;
	int err;

	if (i < 0)
		return i;
	ref = f->slots[i].reg.ref_obj_id;
	if (!kinds[f->slots[i].reg.dyn_kind].counted) {
		forget(e, f, (u32)i);
		return 0;
	}
	err = vfy_ref_release(e, ref);
	if (err)
		return err;
	for (u32 k = 1; k < f->nr_slots; k++)
		if (f->slots[k].type[0] == S_DYNPTR && f->slots[k].reg.dyn_first && f->slots[k].reg.ref_obj_id == ref)
			forget(e, f, k);
	return 0;
}

bool vfy_dynptr_same(const struct vfy_reg *a, const struct vfy_reg *b)
{
	return a->dyn_kind == b->dyn_kind && a->dyn_first == b->dyn_first;
}

void vfy_dynptr_print(struct sbuf *b, const struct vfy_reg *r)
{
	sbuf_printf(b, "dynptr_%s(", vfy_dynptr_name(r->dyn_kind));
	if (r->id)
		sbuf_printf(b, "id=%u", r->id);
	if (r->ref_obj_id)
		sbuf_printf(b, "%sref_id=%u", r->id ? "," : "", r->ref_obj_id);
	/* the kernel prints its first-slot mark as that */
	sbuf_printf(b, "%sdynptr_id=%u)", r->id || r->ref_obj_id ? "," : "", r->dyn_first);
}
