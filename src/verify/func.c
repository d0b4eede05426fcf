/* SPDX-License-Identifier: Apache-2.0 */
/* func.c - global functions: judged once, on their own, from the types of their arguments (BTF); their callers only
 * have to pass what these types ask for. */
#include "verify/kfunc.h"

static const struct btf_type *func_proto(struct vfy_env *e, u32 sub)
{
	const struct btf *b = e->in->btf;
	const struct btf_type *f = b && e->subs[sub].func_type_id ? btf_type(b, e->subs[sub].func_type_id) : NULL;
	const struct btf_type *p;

	if (!f || BTF_INFO_KIND(f->info) != BTF_KIND_FUNC)
		return NULL;
	p = btf_type(b, f->type);
	return p && BTF_INFO_KIND(p->info) == BTF_KIND_FUNC_PROTO ? p : NULL;
}

/* One argument: a number, the context, or memory of known size. */
static int arg_type(struct vfy_env *e, u32 sub, u32 n, u32 id)
{
	const struct btf *b = e->in->btf;
	struct vfy_sub_arg *a = &e->subs[sub].args[n];
	const struct btf_type *t = btf_skip_mods(b, &id);
	u32 kind = t ? BTF_INFO_KIND(t->info) : 0;
	const char *name;
	s64 size;

	if (t && (kind == BTF_KIND_INT || kind == BTF_KIND_ENUM || kind == BTF_KIND_ENUM64)) {
		a->type = ARG_ANY;
		return 0;
	}
	if (t && kind == BTF_KIND_PTR) {
		u32 to = t->type;
		const struct btf_type *tt = btf_skip_mods(b, &to);

		name = tt ? btf_str(b, tt->name_off) : "";
		if (tt && e->prog->ctx[0] && !strcmp(name, e->prog->ctx)) {
			a->type = ARG_CTX;
			return 0;
		}
		size = tt ? btf_size(b, to) : -EINVAL;
		if (tt && size > 0 && size <= INT32_MAX) {
			a->type = ARG_MEM | ARG_MAYBE_NULL;
			a->mem_size = (u32)size;
			return 0;
		}
	}
	return vfy_reject(e, VR_BTF, -EINVAL, -1, "Arg#%u type %s in %s() is not supported yet.", n,
			  t ? btf_str(b, t->name_off) : "?", e->subs[sub].name ? e->subs[sub].name : "");
}

int vfy_sub_args(struct vfy_env *e, u32 sub)
{
	struct vfy_sub *s = &e->subs[sub];
	const struct btf_type *p = func_proto(e, sub), *ret;
	const struct btf_param *args;
	u32 rid;
	int err;

	if (s->arg_cached)
		return 0;
	if (!p)
		return vfy_reject(e, VR_BTF, -EFAULT, -1, "%s", "Verifier bug in function");
	s->nr_args = BTF_INFO_VLEN(p->info);
	if (s->nr_args > 5)
		return vfy_reject(e, VR_BTF, -EINVAL, -1, "Global function %s() with %u > %d args. Buggy compiler.",
				  s->name, s->nr_args, 5);
	rid = p->type;
	ret = rid ? btf_skip_mods(e->in->btf, &rid) : NULL;
	s->returns_void = !rid || !ret;
	if (ret && BTF_INFO_KIND(ret->info) != BTF_KIND_INT && BTF_INFO_KIND(ret->info) != BTF_KIND_ENUM &&
	    BTF_INFO_KIND(ret->info) != BTF_KIND_ENUM64)
		return vfy_reject(e, VR_BTF, -EINVAL, -1,
				  "Global function %s() return value not void or scalar. Only those are supported.",
				  s->name);
	args = (const void *)(p + 1);
	for (u32 i = 0; i < s->nr_args; i++) {
		err = arg_type(e, sub, i, args[i].type);
		if (err)
			return err;
	}
	s->arg_cached = true;
	return 0;
}

/* Registers at the entry of a global function. */
int vfy_sub_entry(struct vfy_env *e, u32 sub, struct vfy_reg *regs)
{
	struct vfy_sub *s = &e->subs[sub];
	int err = vfy_sub_args(e, sub);

	for (u32 i = 0; i < s->nr_args && !err; i++) {
		struct vfy_reg *r = &regs[i + 1];

		switch (ARG_BASE(s->args[i].type)) {
		case ARG_ANY:
			vfy_reg_unknown(e, r);
			break;
		case ARG_CTX:
			vfy_reg_ptr(r, R_CTX);
			break;
		default:
			vfy_reg_ptr(r, R_MEM | RF_MAYBE_NULL);
			r->mem_size = s->args[i].mem_size;
			r->id = ++e->id_gen;
		}
	}
	return err;
}

/* Memory of SIZE bytes may be read and written through the register (or it is NULL). */
int vfy_arg_mem(struct vfy_env *e, u32 regno, u32 size)
{
	struct vfy_reg *r = &cur_regs(e)[regno], saved = *r;
	int err;

	if (reg_is_null(r))
		return 0;
	if (r->type & RF_MAYBE_NULL)	/* if it is not NULL it must be good */
		vfy_not_null(r);
	err = vfy_helper_mem(e, regno, (int)size, ACC_READ);
	if (!err)
		err = vfy_helper_mem(e, regno, (int)size, ACC_WRITE);
	cur_regs(e)[regno] = saved;
	return err;
}

static int pass_args(struct vfy_env *e, u32 sub)
{
	struct vfy_sub *s = &e->subs[sub];
	int err = vfy_sub_args(e, sub);

	for (u32 i = 0; i < s->nr_args && !err; i++) {
		u32 regno = i + 1;
		const struct vfy_reg *r = &cur_regs(e)[regno];

		err = vfy_check_read(e, regno);
		if (err)
			return err;
		switch (ARG_BASE(s->args[i].type)) {
		case ARG_ANY:
			if (r->type != R_SCALAR)
				err = vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)regno, "R%u is not a scalar", regno);
			break;
		case ARG_CTX:
			if (r->type != R_CTX)
				err = vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)regno,
						 "arg#%u expects pointer to ctx", i);
			else
				err = vfy_ptr_off_const(e, r, regno);
			break;
		default:
			err = vfy_arg_mem(e, regno, s->args[i].mem_size);
		}
	}
	return err;
}

int vfy_call_global(struct vfy_env *e, u32 sub, u32 *idx)
{
	struct vfy_sub *s = &e->subs[sub];
	int err;

	if (s->might_sleep && (vfy_no_sleep_region(e) || !e->cur->in_sleepable)) {
		vfy_note(e, "global functions that may sleep are not allowed in non-sleepable context,");
		vfy_note(e, "i.e., in a RCU/IRQ/preempt-disabled section, or in");
		return vfy_reject(e, VR_SLEEP, -EINVAL, -1, "a non-sleepable BPF program context");
	}
	err = pass_args(e, sub);

	if (err) {
		vfy_note(e, "Caller passes invalid args into func#%u ('%s')", sub, s->name ? s->name : "");
		return err;
	}
	if (e->log_level & 3)
		vfy_log(e, "Func#%u ('%s') is global and assumed valid.\n", sub, s->name ? s->name : "");
	if (s->changes_pkt)
		vfy_pkt_invalidate(e);
	s->called = true;
	vfy_caller_saved_clear(e, cur_regs(e));
	vfy_reg_unknown(e, &cur_regs(e)[0]);
	(*idx)++;
	return 0;
}
