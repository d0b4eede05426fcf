/* SPDX-License-Identifier: Apache-2.0 */
/* kfunc_args.c - arguments of kernel functions: what a parameter takes is told by its BTF type, by the suffix of its name (__sz,
 * __k, __str, ...) and by the register that is given. Order of the checks and words: Linux 6.18. */
#include "verify/kfunc.h"

enum arg_kind {
	KA_CTX, KA_NULL, KA_ALLOC, KA_DYNPTR, KA_ITER, KA_BTF, KA_CONST_STR, KA_MAP, KA_CALLBACK, KA_LATER, KA_RES_LOCK, KA_MEM, KA_MEM_SIZE,
};

static u32 kind_of(const struct btf_type *t) { return t ? BTF_INFO_KIND(t->info) : BTF_KIND_UNKN; }

static bool composite(const struct btf_type *t)
{
	return kind_of(t) == BTF_KIND_STRUCT || kind_of(t) == BTF_KIND_UNION;
}

static bool scalar(const struct btf_type *t)
{
	return kind_of(t) == BTF_KIND_INT || kind_of(t) == BTF_KIND_ENUM || kind_of(t) == BTF_KIND_ENUM64;
}

static const char *param_name(const struct kf *k, u32 n)
{
	return btf_str(k->btf, kf_params(k)[n].name_off);
}

static bool suffix(const struct kf *k, u32 n, const char *with)
{
	const char *s = param_name(k, n);
	size_t a = strlen(s), b = strlen(with);

	return a >= b && !strcmp(s + a - b, with);
}

/* Pointed-to type behind modifiers; *ID of it. NULL: void. */
static const struct btf_type *target(const struct kf *k, u32 n, u32 *id)
{
	u32 pid = kf_params(k)[n].type;
	const struct btf_type *p = btf_skip_mods(k->btf, &pid);

	*id = p ? p->type : 0;
	return *id ? btf_skip_mods(k->btf, id) : NULL;
}

static bool points_to(const struct kf *k, u32 n, const char *name)
{
	u32 id;
	const struct btf_type *t = target(k, n, &id);

	return composite(t) && !strcmp(btf_str(k->btf, t->name_off), name);
}

/* The kernel's own type of a socket or map that programs know by another name. NULL: none. */
static const char *kernel_type(u32 reg_type)
{
	switch (R_BASE(reg_type)) {
	case R_SOCKET:
		return "sock";
	case R_SOCK_COMMON:
		return "sock_common";
	case R_TCP_SOCK:
		return "tcp_sock";
	case R_CONST_MAP:
		return "bpf_map";
	}
	return NULL;
}

static bool is_size_of(struct vfy_env *e, const struct kf *k, u32 n)
{
	u32 id;
	const struct btf_type *t;

	if (n >= kf_nr(k) || n >= 5 || cur_regs(e)[n + 1].type != R_SCALAR)
		return false;
	id = kf_params(k)[n].type;
	t = btf_skip_mods(k->btf, &id);
	return scalar(t) && (suffix(k, n, "__sz") || suffix(k, n, "__szk"));
}

/* uapi name of a context and the kernel's: __sk_buff stands for sk_buff. */
static bool projection(const char *shown, const char *real)
{
	return (!strcmp(shown, "__sk_buff") && !strcmp(real, "sk_buff")) ||
	       (!strcmp(shown, "xdp_md") && !strcmp(real, "xdp_buff"));
}

static bool is_ctx(struct vfy_env *e, const struct kf *k, u32 n)
{
	const char *ctx = e->prog->ctx_kind == CTX_BTF_ARGS ? "" : e->prog->ctx, *name;
	u32 id;
	const struct btf_type *t = target(k, n, &id);

	if (!composite(t) || !*ctx)
		return false;
	name = btf_str(k->btf, t->name_off);
	return !strcmp(name, ctx) || projection(ctx, name);
}

/* Made of numbers only, at any depth: any memory will do. */
static bool scalar_struct(const struct kf *k, const struct btf_type *t, u32 depth)
{
	const struct btf_member *m;

	if (!composite(t) || kind_of(t) != BTF_KIND_STRUCT || depth > 4)
		return false;
	m = (const void *)(t + 1);
	for (u32 i = 0; i < BTF_INFO_VLEN(t->info); i++) {
		u32 id = m[i].type;
		const struct btf_type *mt = btf_skip_mods(k->btf, &id);

		if (kind_of(mt) == BTF_KIND_STRUCT) {
			if (!scalar_struct(k, mt, depth + 1))
				return false;
			continue;
		}
		if (kind_of(mt) == BTF_KIND_ARRAY) {
			id = ((const struct btf_array *)(mt + 1))->type;
			mt = btf_skip_mods(k->btf, &id);
		}
		if (!scalar(mt))
			return false;
	}
	return true;
}

static int mem_kind(struct vfy_env *e, const struct kf *k, u32 n, bool sized)
{
	u32 id;
	const struct btf_type *t = target(k, n, &id);

	if (scalar(t) || scalar_struct(k, t, 0) || (sized && !t))
		return sized ? KA_MEM_SIZE : KA_MEM;
	return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)n + 1,
			  "arg#%u pointer type %s %s must point to %sscalar, or struct with scalar", n,
			  t ? vfy_btf_kind_name(t) : "UNKNOWN", t ? btf_str(k->btf, t->name_off) : "",
			  sized ? "void, " : "");
}

static int arg_kind(struct vfy_env *e, const struct kf *k, u32 n)
{
	const struct vfy_reg *r = &cur_regs(e)[n + 1];
	bool sized = is_size_of(e, k, n + 1);
	u32 id;
	const struct btf_type *t = target(k, n, &id);

	if (kf_is(k, "kern_ctx") || is_ctx(e, k, n))
		return KA_CTX;
	if (suffix(k, n, "__nullable") || suffix(k, n, "__opt"))
		if (reg_is_null(r) && !sized)
			return KA_NULL;
	if (suffix(k, n, "__alloc"))
		return KA_ALLOC;
	if (points_to(k, n, "bpf_dynptr"))
		return KA_DYNPTR;
	if (kf_arg_is_iter(k, n))
		return KA_ITER;
	if (suffix(k, n, "__str"))
		return KA_CONST_STR;
	if (suffix(k, n, "__map"))
		return KA_MAP;
	if (points_to(k, n, "bpf_wq") || points_to(k, n, "bpf_task_work"))
		return KA_LATER;
	if (points_to(k, n, "bpf_res_spin_lock"))
		return KA_RES_LOCK;
	if (R_BASE(r->type) == R_BTF_ID || kernel_type(r->type)) {
		if (!composite(t))
			return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)n + 1,
					  "kernel function %s args#%u pointer type %s %s is not supported", k->name, n,
					  t ? vfy_btf_kind_name(t) : "UNKNOWN", t ? btf_str(k->btf, t->name_off) : "");
		return KA_BTF;
	}
	if (kind_of(t) == BTF_KIND_FUNC_PROTO)
		return KA_CALLBACK;
	return mem_kind(e, k, n, sized);
}

/* ---- numbers ---- */
static int arg_scalar(struct vfy_env *e, struct kf *k, u32 n)
{
	const struct vfy_reg *r = &cur_regs(e)[n + 1];
	bool ro = !strcmp(param_name(k, n), "rdonly_buf_size"), rw = !strcmp(param_name(k, n), "rdwr_buf_size");

	if (r->type != R_SCALAR)
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)n + 1, "R%u is not a scalar", n + 1);
	if (suffix(k, n, "__k")) {
		if (!tnum_is_const(r->s.var))
			return vfy_reject(e, VR_ARG_VALUE, -EINVAL, (int)n + 1, "R%u must be a known constant", n + 1);
		k->has_const = true;
		k->constant = r->s.var.value;
		return vfy_precise(e, n + 1);
	}
	if (!ro && !rw)
		return 0;
	k->r0_rdonly |= ro;
	if (k->r0_size)
		return vfy_reject(e, VR_ARG_VALUE, -EINVAL, (int)n + 1,
				  "2 or more rdonly/rdwr_buf_size parameters for kfunc");
	if (!tnum_is_const(r->s.var))
		return vfy_reject(e, VR_ARG_VALUE, -EINVAL, (int)n + 1, "R%u is not a const", n + 1);
	k->r0_size = (u32)r->s.var.value;
	return vfy_precise(e, n + 1);
}

/* ---- objects ---- */
static int arg_btf(struct vfy_env *e, struct kf *k, u32 n, const char *want)
{
	const struct vfy_reg *r = &cur_regs(e)[n + 1];
	const struct btf *b = r->btf;
	u32 id, from = r->btf_id;
	s32 named;
	const struct btf_type *t = target(k, n, &id), *rt;
	bool strict = (k->k->flags & SPEC_KF_RELEASE) && r->ref_obj_id;

	if (want) {			/* __map: struct bpf_map, whatever the parameter says */
		named = vfy_btf_id(e, want, BTF_KIND_STRUCT);
		if (named < 0)
			return vfy_unsupported(e, (int)n + 1, want);
		id = (u32)named;
		t = btf_type(k->btf, id);
	}
	if ((R_BASE(r->type) != R_BTF_ID ||
	     ((r->type & RF_ALL & ~(RF_ALLOC | RF_TRUSTED | RF_NON_OWN)) && !(r->type & RF_RCU))) &&
	    !kernel_type(r->type)) {
		struct sbuf got = { 0 };
		int err;

		sbuf_puts(&got, vfy_type_str(e, r->type));
		err = vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)n + 1, "arg#%u is %s expected %s or socket", n,
				 got.s ? got.s : "", vfy_type_str(e, R_BASE(r->type) | (r->type & (RF_ALLOC | RF_TRUSTED |
											       RF_NON_OWN))));
		sbuf_free(&got);
		return err;
	}
	if (R_BASE(r->type) != R_BTF_ID) {
		named = vfy_btf_id(e, kernel_type(r->type), BTF_KIND_STRUCT);
		if (named < 0)
			return vfy_unsupported(e, (int)n + 1, kernel_type(r->type));
		b = e->in->vmlinux;
		from = (u32)named;
	}
	rt = btf_skip_mods(b, &from);
	if (!vfy_btf_ids_match(e, b, from, (u32)r->off, k->btf, id, strict) &&
	    !(rt && projection(btf_str(k->btf, t->name_off), btf_str(b, rt->name_off))))
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)n + 1,
				  "kernel function %s args#%u expected pointer to %s %s but R%u has a pointer to %s %s",
				  k->name, n, vfy_btf_kind_name(t), btf_str(k->btf, t->name_off), n + 1,
				  rt ? vfy_btf_kind_name(rt) : "?", rt ? btf_str(b, rt->name_off) : "");
	return 0;
}

static bool wants_trusted(const struct kf *k)
{
	return k->k->flags & (SPEC_KF_TRUSTED_ARGS | SPEC_KF_RELEASE);
}

static int arg_trusted(struct vfy_env *e, const struct kf *k, u32 n)
{
	const struct vfy_reg *r = &cur_regs(e)[n + 1];

	if ((!wants_trusted(k) && !(k->k->flags & SPEC_KF_RCU)) || vfy_reg_trusted(r))
		return 0;
	if (!(k->k->flags & SPEC_KF_RCU))
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)n + 1, "R%u must be referenced or trusted", n + 1);
	if (!(r->type & RF_RCU))
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)n + 1, "R%u must be a rcu pointer", n + 1);
	return 0;
}

static int arg_ctx(struct vfy_env *e, struct kf *k, u32 n)
{
	const struct vfy_reg *r = &cur_regs(e)[n + 1];
	const char *real;

	if (r->type != R_CTX)
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)n + 1, "arg#%u expected pointer to ctx, but got %s", n,
				  vfy_type_str(e, r->type));
	if (!kf_is(k, "kern_ctx"))
		return 0;
	real = !strcmp(e->prog->ctx, "__sk_buff") ? "sk_buff" : !strcmp(e->prog->ctx, "xdp_md") ? "xdp_buff" : NULL;
	k->ctx_id = real ? vfy_btf_id(e, real, BTF_KIND_STRUCT) : -ENOENT;
	return k->ctx_id < 0 ? vfy_unsupported(e, 1, "the kernel's context of this program type") : 0;
}

static u32 dynptr_made(const struct kf *k)
{
	return kf_is(k, "from_skb") ? DYN_SKB : kf_is(k, "from_xdp") ? DYN_XDP :
	       kf_is(k, "from_skb_meta") ? DYN_SKB_META : kf_is(k, "dynptr_clone") ? k->dyn.kind : 0;
}

static int arg_dynptr(struct vfy_env *e, struct kf *k, u32 n)
{
	bool uninit = suffix(k, n, "__uninit");
	const struct vfy_reg *d;
	int err;

	err = vfy_dynptr_arg(e, n + 1, (cur_regs(e)[n + 1].type == R_DYNPTR ? ARG_MEM_RDONLY : 0) |
			     (uninit ? ARG_MEM_UNINIT : 0), uninit ? dynptr_made(k) : 0, uninit ? k->dyn.ref : 0);
	if (err || uninit)
		return err;
	d = vfy_dynptr_reg(e, n + 1);
	k->dyn.id = d->id;
	k->dyn.kind = d->dyn_kind;
	k->dyn.ref = d->ref_obj_id;
	return 0;
}

/* ---- memory ---- */
static int arg_mem(struct vfy_env *e, struct kf *k, u32 n)
{
	u32 id;
	const struct btf_type *t = target(k, n, &id);
	s64 size = btf_size(k->btf, id);

	if (size < 0)
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)n + 1,
				  "arg#%u reference type('%s %s') size cannot be determined: %d", n, vfy_btf_kind_name(t),
				  btf_str(k->btf, t->name_off), (int)size);
	return vfy_arg_mem(e, n + 1, (u32)size);
}

static int arg_mem_pair(struct vfy_env *e, struct kf *k, u32 n)
{
	const struct vfy_reg *r = &cur_regs(e)[n + 1], *size = &cur_regs(e)[n + 2];
	bool may_be_null = suffix(k, n, "__nullable") || suffix(k, n, "__opt");
	int err;

	if (!(reg_is_null(r) && may_be_null)) {
		err = vfy_arg_mem_size(e, n + 2);
		if (err) {
			vfy_note(e, "arg#%u arg#%u memory, len pair leads to invalid memory access", n, n + 1);
			return err;
		}
	}
	if (!suffix(k, n + 1, "__szk"))
		return 0;
	if (!tnum_is_const(size->s.var))
		return vfy_reject(e, VR_ARG_VALUE, -EINVAL, (int)n + 2, "R%u must be a known constant", n + 2);
	k->has_const = true;
	k->constant = size->s.var.value;
	return vfy_precise(e, n + 2);
}

/* ---- one argument ---- */
static int arg_ref(struct vfy_env *e, struct kf *k, u32 n)
{
	const struct vfy_reg *r = &cur_regs(e)[n + 1];

	if (!r->ref_obj_id)
		return 0;
	if ((k->k->flags & SPEC_KF_RELEASE) && k->ref_obj_id)
		return vfy_reject(e, VR_REFERENCE, -EFAULT, (int)n + 1, "more than one arg with ref_obj_id R%u %u %u", n + 1,
				  r->ref_obj_id, k->ref_obj_id);
	k->ref_obj_id = r->ref_obj_id;
	if (k->k->flags & SPEC_KF_RELEASE)
		k->release_regno = n + 1;
	return 0;
}

/* Work for later, or a lock: in a map value. */
static int arg_field(struct vfy_env *e, struct kf *k, u32 n, int kind)
{
	const struct vfy_reg *r = &cur_regs(e)[n + 1];
	bool wq = points_to(k, n, "bpf_wq");

	if (r->type != R_MAP_VALUE)
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)n + 1, kind == KA_LATER ?
				  "arg#%u doesn't point to a map value" :
				  "arg#%u doesn't point to map value or allocated object", n);
	if (kind == KA_RES_LOCK)
		return vfy_lock_arg(e, n + 1, REF_RES_LOCK, kf_is(k, "res_lock"));
	k->map = r->map;
	k->map_uid = r->map_uid;
	k->later = wq ? SPEC_FIELD_WQ : SPEC_FIELD_TASK_WORK;
	return vfy_later_arg(e, n + 1, k->later);
}

static int arg_map(struct vfy_env *e, struct kf *k, u32 n)
{
	const struct vfy_reg *r = &cur_regs(e)[n + 1];

	if (k->later && (k->map != r->map || k->map_uid != r->map_uid))
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)n + 1, k->later == SPEC_FIELD_WQ ?
				  "workqueue pointer in R1 map_uid=%u doesn't match map pointer in R2 map_uid=%u" :
				  "bpf_task_work pointer in R2 map_uid=%u doesn't match map pointer in R3 map_uid=%u",
				  k->map_uid, r->map_uid);
	k->map = r->map;
	k->map_uid = r->map_uid;
	return arg_btf(e, k, n, "bpf_map");
}

static int judge(struct vfy_env *e, struct kf *k, u32 n, int kind)
{
	const struct vfy_reg *r = &cur_regs(e)[n + 1];

	switch (kind) {
	case KA_CTX:
		return arg_ctx(e, k, n);
	case KA_DYNPTR:
		return arg_dynptr(e, k, n);
	case KA_ITER:
		return kf_iter_arg(e, k, n + 1);
	case KA_ALLOC:
		return kf_alloc_arg(e, k, n + 1);
	case KA_MAP:
		return arg_map(e, k, n);
	case KA_LATER:
	case KA_RES_LOCK:
		return arg_field(e, k, n, kind);
	case KA_BTF:
		return arg_btf(e, k, n, NULL);
	case KA_CONST_STR:
		if (r->type != R_MAP_VALUE)
			return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)n + 1, "arg#%u doesn't point to a const string", n);
		return vfy_arg_const_str(e, n + 1);
	case KA_CALLBACK:
		if (r->type != R_FUNC)
			return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)n + 1, "arg%u expected pointer to func", n);
		k->subprog = r->subprog;
		return 0;
	case KA_MEM:
		return arg_mem(e, k, n);
	case KA_MEM_SIZE:
		return arg_mem_pair(e, k, n);
	}
	return vfy_unsupported(e, (int)n + 1, k->name);
}

static int one(struct vfy_env *e, struct kf *k, u32 n, bool *pair)
{
	struct vfy_reg *r = &cur_regs(e)[n + 1];
	u32 id = kf_params(k)[n].type;
	const struct btf_type *t = btf_skip_mods(k->btf, &id);
	int kind, err;

	if (suffix(k, n, "__ign"))
		return 0;
	if (suffix(k, n, "__prog"))
		return 0;		/* filled in by the kernel */
	if (scalar(t))
		return arg_scalar(e, k, n);
	if (kind_of(t) != BTF_KIND_PTR)
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)n + 1, "Unrecognized arg#%u type %s", n,
				  t ? vfy_btf_kind_name(t) : "UNKNOWN");
	if ((wants_trusted(k) || (k->k->flags & SPEC_KF_RCU)) && (reg_is_null(r) || (r->type & RF_MAYBE_NULL)) &&
	    !suffix(k, n, "__nullable") && !suffix(k, n, "__opt"))
		return vfy_reject(e, VR_NULL, -EACCES, (int)n + 1, "Possibly NULL pointer passed to trusted arg%u", n);
	err = arg_ref(e, k, n);
	if (err)
		return err;
	kind = arg_kind(e, k, n);
	if (kind < 0 || kind == KA_NULL)
		return MIN(kind, 0);
	if (kind == KA_MAP && R_BASE(r->type) != R_CONST_MAP)
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)n + 1, "pointer in R%u isn't map pointer", n + 1);
	if (kind == KA_MAP || kind == KA_ALLOC || kind == KA_BTF) {
		err = arg_trusted(e, k, n);
		if (err)
			return err;
	}
	err = vfy_arg_offset(e, n + 1, (k->k->flags & SPEC_KF_RELEASE) && r->ref_obj_id ? ARG_OBJ_RELEASE : 0);
	if (err)
		return err;
	*pair = kind == KA_MEM_SIZE;
	return judge(e, k, n, kind);
}

int kf_args(struct vfy_env *e, struct kf *k)
{
	u32 nr = kf_nr(k);
	int err;

	if (nr > 5)
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, -1, "Function %s has %u > %d args", k->name, nr, 5);
	for (u32 n = 0; n < nr; n++) {
		bool pair = false;

		err = one(e, k, n, &pair);
		if (err)
			return err;
		n += pair;
	}
	if ((k->k->flags & SPEC_KF_RELEASE) && !k->release_regno)
		return vfy_reject(e, VR_REFERENCE, -EINVAL, -1,
				  "release kernel function %s expects refcounted PTR_TO_BTF_ID", k->name);
	return 0;
}
