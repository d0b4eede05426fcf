/* SPDX-License-Identifier: Apache-2.0 */
/* lock.c - what works on special fields of map values: spin locks (held ones are entries of the state's references), timers,
 * workqueues and task work (their callbacks run later, on a stack of their own). Order of the checks and words: Linux 6.18. */
#include "verify/kfunc.h"

/* The argument points to the field of this kind in its map's value. LOCK: the words are those of locks. */
static int field_arg(struct vfy_env *e, u32 regno, u32 type, const char *shown)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	const struct vfy_map *m = r->map;
	const struct spec_field *f;
	u64 at = r->s.var.value + (u64)(s64)r->off;

	if (!tnum_is_const(r->s.var))
		return vfy_reject(e, VR_ARG_VALUE, -EINVAL, (int)regno,
				  "R%u doesn't have constant offset. %s has to be at the constant offset", regno, shown);
	if (!m->btf)
		return vfy_reject(e, VR_ARG_VALUE, -EINVAL, (int)regno, "map '%.16s' has to have BTF in order to use %s",
				  m->name, shown);
	f = spec_field_find(vfy_record_map(e, m), type);
	if (!f)
		return vfy_reject(e, VR_ARG_VALUE, -EINVAL, (int)regno, "map '%.16s' has no valid %s", m->name, shown);
	if (f->off != at)
		return vfy_reject(e, VR_ARG_VALUE, -EINVAL, (int)regno,
				  "off %lld doesn't point to 'struct %s' that is at %d", (long long)at, shown, (int)f->off);
	return 0;
}

/* ---- locks ---- */
static struct vfy_ref *held(struct vfy_state *st, u32 types, u32 id, const void *ptr)
{
	for (u32 i = 0; i < st->nr_refs; i++)
		if ((BIT(st->refs[i].type) & types) && st->refs[i].id == id && st->refs[i].ptr == ptr)
			return &st->refs[i];
	return NULL;
}

#define LOCKS	(BIT(REF_LOCK) | BIT(REF_RES_LOCK) | BIT(REF_RES_LOCK_IRQ))

static int take(struct vfy_env *e, u32 type, u32 id, const void *ptr)
{
	struct vfy_state *st = e->cur;
	struct vfy_ref *r;
	s32 got = vfy_ref_acquire(e, e->insn);

	if (got < 0)
		return got;
	e->id_gen--;			/* a lock has no id of its own */
	r = &st->refs[st->nr_refs - 1];
	r->type = type;
	r->id = id;
	r->ptr = ptr;
	st->active_locks++;
	st->active_lock_id = id;
	st->active_lock_ptr = ptr;
	return 0;
}

static void drop(struct vfy_state *st, struct vfy_ref *r)
{
	memmove(r, r + 1, (size_t)(st->refs + st->nr_refs - (r + 1)) * sizeof(*r));
	st->nr_refs--;
	st->active_locks--;
	st->active_lock_id = 0;
	st->active_lock_ptr = NULL;
	for (u32 i = 0; i < st->nr_refs; i++)
		if (BIT(st->refs[i].type) & LOCKS) {
			st->active_lock_id = st->refs[i].id;
			st->active_lock_ptr = st->refs[i].ptr;
		}
}

/* TYPE: enum vfy_ref_type. The register is known to be a map value. */
int vfy_lock_arg(struct vfy_env *e, u32 regno, u32 type, bool lock)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	bool res = type != REF_LOCK;
	const char *name = res ? "bpf_res_spin" : "bpf_spin";
	struct vfy_state *st = e->cur;
	struct vfy_ref *ref;
	int err = field_arg(e, regno, res ? SPEC_FIELD_RES_LOCK : SPEC_FIELD_SPIN_LOCK,
			    res ? "bpf_res_spin_lock" : "bpf_spin_lock");

	if (err)
		return err;
	if (lock) {
		if (!res && held(st, BIT(REF_LOCK), st->active_lock_id, st->active_lock_ptr))
			return vfy_reject(e, VR_REGION, -EINVAL, (int)regno, "Locking two bpf_spin_locks are not allowed");
		if (res && held(st, BIT(REF_RES_LOCK) | BIT(REF_RES_LOCK_IRQ), r->id, r->map))
			return vfy_reject(e, VR_REGION, -EINVAL, (int)regno,
					  "Acquiring the same lock again, AA deadlock detected");
		return take(e, type, r->id, r->map);
	}
	if (!st->active_locks)
		return vfy_reject(e, VR_REGION, -EINVAL, (int)regno, "%s_unlock without taking a lock", name);
	ref = held(st, BIT(type), r->id, r->map);
	if (!ref)
		return vfy_reject(e, VR_REGION, -EINVAL, (int)regno, "%s_unlock of different lock", name);
	if (r->id != st->active_lock_id || r->map != st->active_lock_ptr)
		return vfy_reject(e, VR_REGION, -EINVAL, (int)regno, "%s_unlock cannot be out of order", name);
	drop(st, ref);
	return 0;
}

/* Under a lock only what cannot take long may be called. */
int vfy_lock_call_ok(struct vfy_env *e, const struct bpf_insn *insn)
{
	const struct spec_helper *h = insn->src_reg ? NULL : spec_helper(insn->imm);
	const struct spec_kfunc *k = insn->src_reg == BPF_PSEUDO_KFUNC_CALL ? vfy_kfunc_row(e, insn) : NULL;

	if (!e->cur->active_locks || insn->src_reg == BPF_PSEUDO_CALL || (h && (h->flags & SPEC_HELPER_IN_LOCK)) ||
	    (k && (k->flags & SPEC_KF_IN_LOCK)))
		return 0;
	return vfy_reject(e, VR_REGION, -EINVAL, -1, "function calls are not allowed while holding a lock");
}

/* ---- timers, workqueues, task work ---- */
static const struct { u32 type; const char *name; } later[] = {
	{ SPEC_FIELD_TIMER, "bpf_timer" }, { SPEC_FIELD_WQ, "bpf_wq" }, { SPEC_FIELD_TASK_WORK, "bpf_task_work" },
};

int vfy_later_arg(struct vfy_env *e, u32 regno, u32 type)
{
	for (u32 i = 0; i < ARRAY_SIZE(later); i++)
		if (later[i].type == type)
			return field_arg(e, regno, type, later[i].name);
	return -EINVAL;
}

/* callback(map, key, value), called later: the walk of it starts with nothing of the caller's. */
int vfy_call_async(struct vfy_env *e, u32 subprog, const struct vfy_map *m, u32 map_uid, bool sleepable,
		   struct vfy_retrange ret)
{
	struct vfy_state *st = vfy_push_async(e, subprog, sleepable);
	struct vfy_frame *f;

	if (!st)
		return e->err_code;
	e->subs[subprog].is_cb = e->subs[subprog].is_async_cb = true;
	f = st->frame[0];
	vfy_reg_ptr(&f->regs[1], R_CONST_MAP);
	vfy_reg_ptr(&f->regs[2], R_MAP_KEY);
	vfy_reg_ptr(&f->regs[3], R_MAP_VALUE);
	for (u32 i = 1; i <= 3; i++) {
		f->regs[i].map = m;
		f->regs[i].map_uid = map_uid;
	}
	f->in_async_callback = true;
	f->async_entry = cur_frame(e)->async_entry + 1;
	f->cb_ret = ret;
	return 0;
}
