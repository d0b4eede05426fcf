/* SPDX-License-Identifier: Apache-2.0 */
/* kfunc.c - calls of kernel functions by BTF id, judged by their BTF and their row of kfuncs.def: may this program call it here,
 * what becomes of references, regions and R0. What a row cannot say is its FIXUP, a row of fixups[] below; a name that is
 * not there is refused as not supported yet. Arguments: kfunc_args.c. Order of the checks and words: Linux 6.18. */
#include <stdio.h>

#include "verify/kfunc.h"

static u32 kind_of(const struct btf_type *t) { return t ? BTF_INFO_KIND(t->info) : BTF_KIND_UNKN; }

static bool composite(const struct btf_type *t)
{
	return kind_of(t) == BTF_KIND_STRUCT || kind_of(t) == BTF_KIND_UNION;
}

static bool scalar(const struct btf_type *t)
{
	return kind_of(t) == BTF_KIND_INT || kind_of(t) == BTF_KIND_ENUM || kind_of(t) == BTF_KIND_ENUM64;
}

/* ---- which function ---- */
/* Found when the program's functions are: it must be one, whoever may call it. */
int vfy_kfunc_add(struct vfy_env *e, const struct bpf_insn *insn)
{
	const struct btf_type *t, *p;

	if (!e->in->vmlinux)
		return 0;		/* refused when the walk gets there */
	if (!e->in->gpl)
		return vfy_reject(e, VR_GPL, -EINVAL, -1,
				  "cannot call kernel function from non-GPL compatible program");
	if (!insn->imm || insn->off)
		return 0;
	t = btf_type(e->in->vmlinux, (u32)insn->imm);
	if (kind_of(t) != BTF_KIND_FUNC)
		return vfy_reject(e, VR_BTF, -EINVAL, -1, "kernel btf_id %d is not a function", insn->imm);
	p = btf_type(e->in->vmlinux, t->type);
	if (kind_of(p) != BTF_KIND_FUNC_PROTO)
		return vfy_reject(e, VR_BTF, -EINVAL, -1,
				  "kernel function btf_id %d does not have a valid func_proto", insn->imm);
	return 0;
}

/* NULL: no row. */
const struct spec_kfunc *vfy_kfunc_row(struct vfy_env *e, const struct bpf_insn *insn)
{
	const struct btf_type *t;
	s32 row;

	if (!e->in->vmlinux || !insn->imm || insn->off)
		return NULL;
	t = btf_type(e->in->vmlinux, (u32)insn->imm);
	row = kind_of(t) == BTF_KIND_FUNC ? spec_kfunc_find(btf_str(e->in->vmlinux, t->name_off)) : -ENOENT;
	return row < 0 ? NULL : &spec_kfuncs[row];
}

/* Number of arguments, for liveness; 5 when not known. */
u32 vfy_kfunc_nr_args(struct vfy_env *e, const struct bpf_insn *insn)
{
	const struct btf_type *t = e->in->vmlinux && insn->imm && !insn->off ?
		btf_type(e->in->vmlinux, (u32)insn->imm) : NULL;
	const struct btf_type *p = kind_of(t) == BTF_KIND_FUNC ? btf_type(e->in->vmlinux, t->type) : NULL;

	return kind_of(p) == BTF_KIND_FUNC_PROTO ? MIN(BTF_INFO_VLEN(p->info), 5u) : 5;
}

static int find(struct vfy_env *e, const struct bpf_insn *insn, struct kf *k)
{
	const struct btf_type *t;

	*k = (struct kf){ .insn = insn, .btf = e->in->vmlinux, .ctx_id = -1 };
	if (!insn->imm)
		return vfy_reject(e, VR_BAD_INSN, -EINVAL, -1,
				  "invalid kernel function call not eliminated in verifier pass");
	if (!k->btf || insn->off)
		return vfy_unsupported(e, -1, !k->btf ? "kernel function calls without the kernel's BTF" :
							"functions of kernel modules");
	t = btf_type(k->btf, (u32)insn->imm);
	k->name = btf_str(k->btf, t->name_off);
	k->proto = btf_type(k->btf, t->type);
	k->k = vfy_kfunc_row(e, insn);
	if (k->k && !k->k->progs)
		return vfy_unsupported(e, -1, k->name);
	if (!k->k || !(k->k->progs & BIT64(e->in->prog_type)))
		return vfy_reject(e, VR_NO_HELPER, -EACCES, -1, "calling kernel function %s is not allowed", k->name);
	return 0;
}

/* ---- fixups ---- */
static void unrcu(struct vfy_frame *f, struct vfy_reg *r, void *arg)
{
	if (!(r->type & RF_RCU))
		return;
	r->type &= ~(RF_RCU | RF_MAYBE_NULL);
	r->type |= RF_UNTRUSTED;
}

static int region_unmatched(struct vfy_env *e, struct kf *k, const char *what)
{
	return vfy_reject(e, VR_REGION, -EINVAL, -1, "%s (kernel function %s)", what, k->name);
}

static int fix_rcu_lock(struct vfy_env *e, struct kf *k)
{
	if (e->cur->active_rcu)
		return region_unmatched(e, k, "nested rcu read lock");
	e->cur->active_rcu = 1;
	return 0;
}

static int fix_rcu_unlock(struct vfy_env *e, struct kf *k)
{
	if (!e->cur->active_rcu)
		return region_unmatched(e, k, "unmatched rcu read unlock");
	e->cur->active_rcu = 0;
	vfy_each_reg(e->cur, unrcu, NULL);
	for (u32 i = 0; i <= e->cur->curframe; i++)
		for (u32 s = 0; s < e->cur->frame[i]->nr_slots; s++)
			if (e->cur->frame[i]->slots[s].type[0] == S_ITER)
				unrcu(NULL, &e->cur->frame[i]->slots[s].reg, NULL);
	return 0;
}

static int fix_preempt_disable(struct vfy_env *e, struct kf *k)
{
	e->cur->active_preempt++;
	return 0;
}

static int fix_preempt_enable(struct vfy_env *e, struct kf *k)
{
	if (!e->cur->active_preempt)
		return region_unmatched(e, k, "unmatched attempt to enable preemption");
	e->cur->active_preempt--;
	return 0;
}

static int fix_trap(struct vfy_env *e, struct kf *k)
{
	return vfy_reject(e, VR_BAD_INSN, -EFAULT, -1, "unexpected __bpf_trap() due to uninitialized variable?");
}

static int ret_kern_ctx(struct vfy_env *e, struct kf *k)
{
	vfy_btf_reg(e, &cur_regs(e)[0], k->btf, (u32)k->ctx_id, RF_TRUSTED);
	return 0;
}

static int ret_rdonly_cast(struct vfy_env *e, struct kf *k)
{
	const struct btf_type *t = k->constant < btf_nr(k->btf) ? btf_type(k->btf, (u32)k->constant) : NULL;
	struct vfy_reg *r0 = &cur_regs(e)[0];

	if (k->constant && !t)
		return vfy_reject(e, VR_ARG_VALUE, -EINVAL, 2, "Unknown type ID %lld passed to kfunc bpf_rdonly_cast",
				  (long long)k->constant);
	if (!k->constant) {
		vfy_reg_ptr(r0, R_MEM | RF_RDONLY | RF_UNTRUSTED);
		return 0;
	}
	if (!composite(t))
		return vfy_reject(e, VR_ARG_VALUE, -EINVAL, 2,
				  "kfunc bpf_rdonly_cast type ID argument must be of a struct or void");
	vfy_btf_reg(e, r0, k->btf, (u32)k->constant, RF_UNTRUSTED);
	return 0;
}

static int ret_slice(struct vfy_env *e, struct kf *k)
{
	struct vfy_reg *r0 = &cur_regs(e)[0];

	vfy_reg_ptr(r0, R_MEM | RF_SLICE(k->dyn.kind));
	r0->mem_size = (u32)k->constant;
	r0->dynptr_id = k->dyn.id;
	/* Linux lets slices of ring buffer records live on after submit; here the record's memory is given back then */
	r0->ref_obj_id = k->dyn.ref;
	return 0;
}

static int ret_slice_ro(struct vfy_env *e, struct kf *k)
{
	ret_slice(e, k);
	cur_regs(e)[0].type |= RF_RDONLY;
	return 0;
}

static int ret_slice_rw(struct vfy_env *e, struct kf *k)
{
	if (!(e->prog->flags & SPEC_PROG_PKT_WRITE) && vfy_dynptr_is_packet(k->dyn.kind))
		return vfy_reject(e, VR_RDONLY, -EINVAL, -1, "the prog does not allow writes to packet data");
	e->seen_direct_write = true;
	return ret_slice(e, k);
}

static int fix_none(struct vfy_env *e, struct kf *k) { return 0; }

static int fix_async_callback(struct vfy_env *e, struct kf *k)
{
	return vfy_call_async(e, k->subprog, k->map, k->map_uid, true, (struct vfy_retrange){ 0, 0 });
}

static int fix_task_work(struct vfy_env *e, struct kf *k)
{
	return vfy_call_async(e, k->subprog, k->map, k->map_uid, true, (struct vfy_retrange){ INT32_MIN, INT32_MAX });
}

/* A lock that may not be got: that way is walked later, without it. */
static int res_lock_fails(struct vfy_env *e)
{
	struct vfy_state *st = vfy_push(e, e->insn + 1, e->insn, false);
	struct vfy_reg *r;

	if (!st)
		return e->err_code;
	r = st->frame[st->curframe]->regs;
	for (u32 i = 0; i <= 5; i++)
		vfy_reg_not_init(e, &r[i]);
	vfy_reg_unknown(e, &r[0]);
	vfy_scalar_srange(&r[0].s, -4095, -1);
	return 0;
}

static int ret_res_lock(struct vfy_env *e, struct kf *k)
{
	vfy_reg_const(&cur_regs(e)[0], 0);
	return 0;
}

/* call: after the arguments; ret: makes R0 (where the BTF type says too little). */
static const struct kf_fixup {
	const char *name;
	int (*call)(struct vfy_env *e, struct kf *k);
	int (*ret)(struct vfy_env *e, struct kf *k);
} fixups[] = {
	{ "rcu_lock", fix_rcu_lock },
	{ "rcu_unlock", fix_rcu_unlock },
	{ "preempt_disable", fix_preempt_disable },
	{ "preempt_enable", fix_preempt_enable },
	{ "trap", fix_trap },
	{ "kern_ctx", fix_none, ret_kern_ctx },
	{ "rdonly_cast", fix_none, ret_rdonly_cast },
	{ "slice", fix_none, ret_slice_ro },
	{ "slice_rdwr", fix_none, ret_slice_rw },
	{ "dynptr_clone", fix_none },
	{ "from_skb", fix_none },
	{ "from_xdp", fix_none },
	{ "from_skb_meta", fix_none },
	{ "kmem_cache", fix_none },
	{ "pkt_change", fix_none },
	{ "obj_new", fix_none, vfy_obj_new },
	{ "obj_drop", fix_none },
	{ "async_callback", fix_async_callback },
	{ "task_work", fix_task_work },
	{ "res_lock", fix_none, ret_res_lock },
	{ "res_unlock", fix_none },
};

static const struct kf_fixup *fixup_of(const struct kf *k)
{
	for (u32 i = 0; k->k->fixup && i < ARRAY_SIZE(fixups); i++)
		if (!strcmp(k->k->fixup, fixups[i].name))
			return &fixups[i];
	return NULL;
}

/* ---- what regions ask for ---- */
const char *vfy_no_sleep_region(struct vfy_env *e)
{
	if (e->cur->active_rcu)
		return "rcu_read_lock region";
	if (e->cur->active_preempt)
		return "non-preemptible region";
	if (e->cur->active_irq)
		return "IRQ-disabled region";
	return NULL;
}

static int regions(struct vfy_env *e, struct kf *k)
{
	const char *in = k->k->flags & SPEC_KF_SLEEPABLE ? vfy_no_sleep_region(e) : NULL;

	if (in)
		return vfy_reject(e, VR_SLEEP, -EACCES, -1, "kernel func %s is sleepable within %s", k->name, in);
	if ((k->k->flags & SPEC_KF_RCU_PROTECTED) && !vfy_in_rcu(e))
		return vfy_reject(e, VR_REGION, -EACCES, -1, "kernel func %s requires RCU critical section protection",
				  k->name);
	return 0;
}

/* ---- R0 ---- */
static int ret_mem(struct vfy_env *e, struct kf *k, const struct btf_type *to, u32 id)
{
	struct vfy_reg *r0 = &cur_regs(e)[0];
	s64 size = btf_size(k->btf, id);

	if (!k->r0_size && size > 0) {
		k->r0_size = (u32)size;
		k->r0_rdonly = true;
	}
	if (!k->r0_size)
		return vfy_reject(e, VR_BTF, -EINVAL, 0, "kernel function %s returns pointer type %s %s is not supported",
				  k->name, vfy_btf_kind_name(to), btf_str(k->btf, to->name_off));
	vfy_reg_ptr(r0, R_MEM | (k->r0_rdonly ? RF_RDONLY : 0) |
		    (k->k->flags & SPEC_KF_RCU_PROTECTED ? RF_RCU : 0));
	r0->mem_size = k->r0_size;
	r0->ref_obj_id = k->ref_obj_id;
	return 0;
}

static u32 object_flags(struct vfy_env *e, struct kf *k)
{
	if (kf_is(k, "kmem_cache"))
		return RF_UNTRUSTED;
	if (k->k->flags & SPEC_KF_RCU_PROTECTED)
		return RF_RCU;
	if ((k->k->flags & SPEC_KF_ITER_NEXT) && (kf_iter_reg(e, k)->type & RF_RCU))
		return RF_RCU;
	return RF_TRUSTED;
}

static int ret_ptr(struct vfy_env *e, struct kf *k, const struct kf_fixup *fix, const struct btf_type *ptr)
{
	u32 id = ptr->type, size = 0;
	const struct btf_type *to = id ? btf_skip_mods(k->btf, &id) : NULL;
	struct vfy_reg *r0 = &cur_regs(e)[0];
	int err = 0;

	(void)size;
	if (fix && fix->ret)
		err = fix->ret(e, k);
	else if (!to || !kind_of(to))
		vfy_reg_unknown(e, r0);
	else if (!composite(to))
		err = ret_mem(e, k, to, id);
	else
		vfy_btf_reg(e, r0, k->btf, id, object_flags(e, k));
	if (err)
		return err;
	if (k->k->flags & SPEC_KF_RET_NULL) {
		r0->type |= RF_MAYBE_NULL;
		r0->id = ++e->id_gen;
	}
	if (k->k->flags & SPEC_KF_ACQUIRE) {
		s32 ref = vfy_ref_acquire(e, e->insn);

		if (ref < 0)
			return ref;
		if (k->k->flags & SPEC_KF_RET_NULL)
			r0->id = (u32)ref;
		r0->ref_obj_id = (u32)ref;
	}
	return 0;
}

static int set_r0(struct vfy_env *e, struct kf *k, const struct kf_fixup *fix)
{
	u32 id = k->proto->type;
	const struct btf_type *t = id ? btf_skip_mods(k->btf, &id) : NULL;

	if (!t || !kind_of(t))
		return 0;		/* void: R0 stays unreadable */
	if (scalar(t)) {
		vfy_reg_unknown(e, &cur_regs(e)[0]);
		return fix && fix->ret ? fix->ret(e, k) : 0;
	}
	if (kind_of(t) != BTF_KIND_PTR)
		return vfy_unsupported(e, 0, k->name);
	return ret_ptr(e, k, fix, t);
}

/* ---- the call ---- */
static int release(struct vfy_env *e, struct kf *k)
{
	int err;

	if (!k->release_regno)
		return 0;
	if (k->dyn.ref)
		return vfy_dynptr_release(e, k->release_regno);
	err = vfy_ref_release(e, cur_regs(e)[k->release_regno].ref_obj_id);
	if (err)
		return vfy_reject(e, VR_REFERENCE, err, -1, "kfunc %s#%d reference has not been acquired before", k->name,
				  k->insn->imm);
	return 0;
}

int vfy_call_kfunc(struct vfy_env *e, const struct bpf_insn *insn)
{
	const struct kf_fixup *fix;
	struct kf k;
	int err = find(e, insn, &k);

	if (err)
		return err;
	fix = fixup_of(&k);
	if (k.k->fixup && !fix)
		return vfy_unsupported(e, -1, k.name);
	if (kf_is(&k, "trap"))
		return fix_trap(e, &k);
	if (kf_is(&k, "res_lock")) {
		err = res_lock_fails(e);
		if (err)
			return err;
	}
	if ((k.k->flags & SPEC_KF_SLEEPABLE) && !e->cur->in_sleepable)
		return vfy_reject(e, VR_SLEEP, -EACCES, -1, "program must be sleepable to call sleepable kfunc %s", k.name);
	err = kf_args(e, &k);
	if (!err && fix)
		err = fix->call(e, &k);
	if (!err)
		err = regions(e, &k);
	if (!err)
		err = release(e, &k);
	if (err)
		return err;
	vfy_caller_saved_clear(e, cur_regs(e));
	err = set_r0(e, &k, fix);
	if (err)
		return err;
	if (kf_is(&k, "pkt_change"))
		vfy_pkt_invalidate(e);
	if (k.k->flags & SPEC_KF_ITER_NEXT)
		err = kf_iter_next(e, &k);
	if (k.k->st.state == SPEC_STUB)
		e->out->image_flags |= IMG_F_STUBS;
	return err;
}
