/* SPDX-License-Identifier: Apache-2.0 */
/* attach.c - what a tracing program is made for: the function, tracepoint, iterator or LSM hook that attach_btf_id names in the
 * kernel's BTF. It gives the types of the context (btfptr.c) and rules of its own: may the program sleep, change
 * the return value, return what. Order of the checks and words: Linux 6.18. */
#include "verify/vfy.h"

#define TP_PREFIX	"btf_trace_"
#define ITER_PREFIX	"bpf_iter_"
#define MAX_FUNC_ARGS	12

static bool starts(const char *s, const char *with) { return !strncmp(s, with, strlen(with)); }

static int wrong(struct vfy_env *e, const char *what)
{
	return vfy_reject(e, VR_ATTACH, -EINVAL, -1, "attach_btf_id %u %s", e->in->attach_btf_id, what);
}

static int take_proto(struct vfy_env *e, u32 id)
{
	const struct btf_type *t = btf_type(e->attach_btf, id);

	if (!t || BTF_INFO_KIND(t->info) != BTF_KIND_FUNC_PROTO)
		return vfy_reject(e, VR_ATTACH, -EINVAL, -1, NULL);
	e->attach_proto = id;
	return 0;
}

static int take_tracepoint(struct vfy_env *e, const struct btf_type *t)
{
	const char *name = btf_str(e->attach_btf, t->name_off);
	const struct btf_type *p;
	int err;

	if (BTF_INFO_KIND(t->info) != BTF_KIND_TYPEDEF)
		return wrong(e, "is not a typedef");
	if (!starts(name, TP_PREFIX))
		return vfy_reject(e, VR_ATTACH, -EINVAL, -1, "attach_btf_id %u points to wrong type name %s",
				  e->in->attach_btf_id, name);
	p = btf_type(e->attach_btf, t->type);
	if (!p || BTF_INFO_KIND(p->info) != BTF_KIND_PTR)
		return vfy_reject(e, VR_ATTACH, -EINVAL, -1, NULL);
	err = take_proto(e, p->type);
	if (err)
		return err;
	e->attach_name = name + strlen(TP_PREFIX);
	e->attach_skip = BTF_INFO_VLEN(btf_type(e->attach_btf, e->attach_proto)->info) > 0;	/* void *__data */
	return 0;
}

/* Arguments that a trampoline can hand over. */
static int check_args(struct vfy_env *e)
{
	const struct btf *b = e->attach_btf;
	const struct btf_type *p = btf_type(b, e->attach_proto);
	const struct btf_param *a = (const void *)(p + 1);
	u32 n = BTF_INFO_VLEN(p->info);
	s64 size;

	if (n > MAX_FUNC_ARGS)
		return vfy_reject(e, VR_ATTACH, -EINVAL, -1, "The function %s has %u arguments. Too many.",
				  e->attach_name, n);
	for (u32 i = 0; i < n; i++) {
		if (i == n - 1 && !a[i].type)
			return vfy_reject(e, VR_ATTACH, -EINVAL, -1,
					  "The function %s with variable args is unsupported.", e->attach_name);
		size = btf_size(b, a[i].type);
		if (size < 0 || size > 16)
			return vfy_reject(e, VR_ATTACH, -EINVAL, -1, "The function %s arg%u type %s is unsupported.",
					  e->attach_name, i, vfy_btf_kind_name(btf_type(b, a[i].type)));
		if (!size)
			return vfy_reject(e, VR_ATTACH, -EINVAL, -1, "The function %s has malformed void argument.",
					  e->attach_name);
	}
	return 0;
}

static int take_func(struct vfy_env *e, const struct btf_type *t)
{
	int err;

	if (BTF_INFO_KIND(t->info) != BTF_KIND_FUNC)
		return wrong(e, "is not a function");
	err = take_proto(e, t->type);
	e->attach_name = btf_str(e->attach_btf, t->name_off);
	return err ? err : check_args(e);
}

/* Functions whose caller copes with any error in their place. */
static bool error_injectable(const char *name)
{
	return starts(name, "__x64_sys_") || starts(name, "__ia32_sys_") || starts(name, "__arm64_sys_");
}

static int sleep_and_modify(struct vfy_env *e)
{
	bool tracing = e->in->prog_type == BPF_PROG_TYPE_TRACING;

	if (e->in->prog_flags & BPF_F_SLEEPABLE) {
		if (!tracing)
			return vfy_unsupported(e, -1, "sleepable LSM programs");
		if (!error_injectable(e->attach_name))
			return vfy_reject(e, VR_SLEEP, -EINVAL, -1, "%s is not sleepable", e->attach_name);
	} else if (e->in->attach_type == BPF_MODIFY_RETURN && !error_injectable(e->attach_name) &&
		   !starts(e->attach_name, "security_")) {
		return vfy_reject(e, VR_ATTACH, -EINVAL, -1, "%s() is not modifiable", e->attach_name);
	}
	return 0;
}

static int take_lsm(struct vfy_env *e)
{
	if (!e->in->gpl)
		return vfy_reject(e, VR_GPL, -EINVAL, -1, "LSM programs must have a GPL compatible license");
	if (!starts(e->attach_name, "bpf_lsm_"))
		return vfy_reject(e, VR_ATTACH, -EINVAL, -1, "attach_btf_id %u points to wrong type name %s",
				  e->in->attach_btf_id, e->attach_name);
	return 0;
}

static int take_target(struct vfy_env *e)
{
	const struct btf_type *t;
	int err;

	if (!e->in->attach_btf_id)
		return vfy_reject(e, VR_ATTACH, -EINVAL, -1, "Tracing programs must provide btf_id");
	if (!e->attach_btf)
		return vfy_unsupported(e, -1, "programs typed by the kernel's BTF, without one");
	t = btf_type(e->attach_btf, e->in->attach_btf_id);
	if (!t)
		return wrong(e, "is invalid");
	if (!t->name_off)
		return wrong(e, "doesn't have a name");
	if (e->in->prog_type == BPF_PROG_TYPE_EXT)
		return vfy_reject(e, VR_ATTACH, -EINVAL, -1, "Cannot replace kernel functions");
	switch (e->in->attach_type) {
	case BPF_TRACE_RAW_TP:
		return take_tracepoint(e, t);
	case BPF_TRACE_ITER:
		err = take_func(e, t);
		if (!err && (!starts(e->attach_name, ITER_PREFIX) ||
			     !spec_iter_known(e->attach_name + strlen(ITER_PREFIX))))
			err = vfy_reject(e, VR_ATTACH, -EINVAL, -1, NULL);
		return err;
	case BPF_MODIFY_RETURN:
	case BPF_LSM_MAC:
	case BPF_LSM_CGROUP:
	case BPF_TRACE_FENTRY:
	case BPF_TRACE_FEXIT:
		err = take_func(e, t);
		if (!err)
			err = sleep_and_modify(e);
		return err;
	}
	return vfy_reject(e, VR_ATTACH, -EINVAL, -1, NULL);
}

static bool may_be_sleepable(const struct vfy_env *e)
{
	const struct spec_attach *a = spec_attach(e->in->attach_type);

	if (!(e->prog->flags & SPEC_PROG_SLEEPABLE))
		return false;
	return e->in->prog_type != BPF_PROG_TYPE_TRACING ||
	       (a && a->type != BPF_TRACE_RAW_TP && (a->progs & P(TRACING)));
}

int vfy_attach_check(struct vfy_env *e)
{
	int err;

	e->attach_btf = e->in->attach_btf ? e->in->attach_btf : e->in->vmlinux;
	if (e->in->prog_type == BPF_PROG_TYPE_SYSCALL)
		return e->in->prog_flags & BPF_F_SLEEPABLE ? 0 :
			vfy_reject(e, VR_SLEEP, -EINVAL, -1, "Syscall programs can only be sleepable");
	if ((e->in->prog_flags & BPF_F_SLEEPABLE) && !may_be_sleepable(e))
		return vfy_reject(e, VR_SLEEP, -EINVAL, -1,
				  "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable");
	if (e->prog->ctx_kind != CTX_BTF_ARGS && e->in->prog_type != BPF_PROG_TYPE_EXT)
		return 0;
	if (e->in->prog_type == BPF_PROG_TYPE_STRUCT_OPS)
		return vfy_unsupported(e, -1, "struct_ops");
	err = take_target(e);
	if (!err && e->in->prog_type == BPF_PROG_TYPE_LSM)
		err = take_lsm(e);
	return err;
}

/* What may be returned where the hook itself decides: an LSM hook's errors. */
bool vfy_hook_range(struct vfy_env *e, struct vfy_retrange *range)
{
	const struct btf_type *t;

	if (e->in->prog_type != BPF_PROG_TYPE_LSM || e->in->attach_type == BPF_LSM_CGROUP)
		return false;
	t = btf_type(e->attach_btf, e->attach_proto);
	if (!t->type)
		return false;		/* returns nothing: any value is ignored */
	*range = (struct vfy_retrange){ -4095, 0, true };
	return true;
}

/* What ITER rows say of argument N, 0: nothing. */
u32 vfy_iter_arg(struct vfy_env *e, u32 n)
{
	if (e->in->prog_type != BPF_PROG_TYPE_TRACING || e->in->attach_type != BPF_TRACE_ITER)
		return 0;
	return spec_iter_arg(e->attach_name + strlen(ITER_PREFIX), n);
}
