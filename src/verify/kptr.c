/* SPDX-License-Identifier: Apache-2.0 */
/* kptr.c - pointers kept in map values (kptrs) and objects that programs allocate. A referenced kptr owns its object: it
 * is only exchanged (bpf_kptr_xchg), never overwritten; what is loaded from it is untrusted, or valid inside an RCU section if the
 * object's type is freed after one. Order of the checks and words: Linux 6.18. */
#include <stdio.h>

#include "verify/kfunc.h"

/* Types of the kernel that referenced kptrs may own: they have a destructor, and are freed after an RCU grace period. */
static const char *const owned[] = { "task_struct", "cgroup", "bpf_cpumask", "bpf_crypto_ctx" };

struct target {
	const struct btf *btf;
	u32 id;
	const char *name;
	bool kernel, rcu;
};

/* What the field points to: the kernel's type of that name, else the program's own. */
static int target_of(struct vfy_env *e, const struct vfy_map *m, const struct spec_field *f, struct target *t)
{
	const struct btf_type *s = btf_type(m->btf, f->btf_id);
	s32 id;

	t->name = btf_str(m->btf, s->name_off);
	id = vfy_btf_id(e, t->name, BTF_INFO_KIND(s->info));
	t->kernel = id >= 0;
	t->btf = t->kernel ? e->in->vmlinux : m->btf;
	t->id = t->kernel ? (u32)id : f->btf_id;
	t->rcu = !t->kernel;
	for (u32 i = 0; i < ARRAY_SIZE(owned) && t->kernel; i++)
		t->rcu |= !strcmp(owned[i], t->name);
	if (f->type == SPEC_FIELD_KPTR_REF && t->kernel && !t->rcu)
		return vfy_unsupported(e, -1, "referenced kptrs to this type");
	if (f->type & (SPEC_FIELD_KPTR_PERCPU | SPEC_FIELD_UPTR))
		return vfy_unsupported(e, -1, spec_field_name(f->type));
	return 0;
}

static int bad_type(struct vfy_env *e, u32 regno, const struct spec_field *f, const char *name, const char *want)
{
	char got[64], plain[64];

	snprintf(got, sizeof(got), "%s", vfy_type_str(e, cur_regs(e)[regno].type));
	snprintf(plain, sizeof(plain), "%s", vfy_type_str(e, R_BTF_ID));
	if (f->type == SPEC_FIELD_KPTR)
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)regno, "invalid kptr access, R%u type=%s%s expected=%s%s or %s%s",
				  regno, got, name, plain, want, vfy_type_str(e, R_BTF_ID | RF_UNTRUSTED), want);
	return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)regno, "invalid kptr access, R%u type=%s%s expected=%s%s", regno, got,
			  name, plain, want);
}

/* May the register's pointer be put into the field? */
static int match(struct vfy_env *e, const struct spec_field *f, const struct target *t, u32 regno)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	u32 may = RF_MAYBE_NULL;
	int err;

	if (R_BASE(r->type) != R_BTF_ID)
		return bad_type(e, regno, f, "", t->name);
	if (r->btf == e->in->vmlinux)
		may |= RF_TRUSTED | RF_RCU | (f->type == SPEC_FIELD_KPTR ? RF_UNTRUSTED : 0);
	else
		may |= RF_ALLOC;
	if (r->type & RF_ALL & ~may)
		return bad_type(e, regno, f, "", t->name);
	err = vfy_arg_offset(e, regno, 0);
	if (err)
		return err;
	if (!vfy_btf_ids_match(e, r->btf, r->btf_id, (u32)r->off, t->btf, t->id, f->type != SPEC_FIELD_KPTR))
		return bad_type(e, regno, f, vfy_btf_name(e, r->btf, r->btf_id), t->name);
	return 0;
}

/* ---- loads and stores ---- */
static int load(struct vfy_env *e, const struct spec_field *f, const struct target *t, int value_regno)
{
	u32 flags = RF_MAYBE_NULL;

	if (f->type == SPEC_FIELD_KPTR_REF && t->rcu && vfy_in_rcu(e))
		flags |= RF_RCU | (t->kernel ? 0 : RF_ALLOC);
	else
		flags |= RF_UNTRUSTED;
	if (value_regno >= 0)
		vfy_btf_reg(e, &cur_regs(e)[value_regno], t->btf, t->id, flags);
	return 0;
}

/* The access is one to the whole field (record.c). */
int vfy_kptr_mem(struct vfy_env *e, u32 regno, const struct spec_field *f, int value_regno)
{
	const struct bpf_insn *in = &e->insns[e->insn];
	u8 class = BPF_CLASS(in->code);
	struct target t;
	int err;

	if (BPF_MODE(in->code) != BPF_MEM)
		return vfy_reject(e, VR_SPECIAL_FIELD, -EACCES, (int)regno,
				  "kptr in map can only be accessed using BPF_MEM instruction mode");
	if (class != BPF_LDX && (f->type & (SPEC_FIELD_KPTR_REF | SPEC_FIELD_KPTR_PERCPU)))
		return vfy_reject(e, VR_SPECIAL_FIELD, -EACCES, (int)regno, "store to referenced kptr disallowed");
	err = target_of(e, cur_regs(e)[regno].map, f, &t);
	if (err)
		return err;
	if (class == BPF_LDX)
		return load(e, f, &t, value_regno);
	if (class == BPF_ST)
		return !in->imm ? 0 : vfy_reject(e, VR_SPECIAL_FIELD, -EACCES, (int)regno,
						 "BPF_ST imm must be 0 when storing to kptr at off=%u", f->off);
	if (reg_is_null(&cur_regs(e)[value_regno]))
		return 0;
	/* the store's own errno */
	return match(e, f, &t, (u32)value_regno) ? -EACCES : 0;
}

/* ---- bpf_kptr_xchg() ---- */
static const struct spec_field *field_at(const struct spec_record *rec, u64 off)
{
	for (u32 i = 0; i < rec->nr; i++)
		if ((rec->f[i].type & SPEC_FIELD_KPTRS) && rec->f[i].off == off)
			return &rec->f[i];
	return NULL;
}

/* The first argument: the field in a map value, found in *F. */
int vfy_kptr_arg(struct vfy_env *e, u32 regno, const struct spec_field **f)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	const struct spec_record *rec;
	s32 off = r->off + (s32)r->s.var.value;

	if (r->type != R_MAP_VALUE)
		return vfy_unsupported(e, (int)regno, "kptrs in allocated objects");
	if (!r->map->btf)
		return vfy_reject(e, VR_ARG_VALUE, -EINVAL, (int)regno,
				  "map '%.16s' has to have BTF in order to use bpf_kptr_xchg", r->map->name);
	rec = vfy_record_map(e, r->map);
	if (!tnum_is_const(r->s.var))
		return vfy_reject(e, VR_ARG_VALUE, -EINVAL, (int)regno,
				  "R%u doesn't have constant offset. kptr has to be at the constant offset", regno);
	if (!(rec->mask & SPEC_FIELD_KPTRS))
		return vfy_reject(e, VR_ARG_VALUE, -EINVAL, (int)regno, "R%u has no valid kptr", regno);
	*f = field_at(rec, (u64)(s64)off);
	if (!*f)
		return vfy_reject(e, VR_ARG_VALUE, -EACCES, (int)regno, "off=%d doesn't point to kptr", off);
	if ((*f)->type == SPEC_FIELD_KPTR)
		return vfy_reject(e, VR_ARG_VALUE, -EACCES, (int)regno, "off=%d kptr isn't referenced kptr", off);
	return 0;
}

/* The second argument fits the field. */
int vfy_kptr_new(struct vfy_env *e, u32 regno, const struct vfy_map *m, const struct spec_field *f)
{
	struct target t;
	int err = target_of(e, m, f, &t);

	if (err)
		return err;
	return match(e, f, &t, regno) ? -EACCES : 0;
}

/* R0: what was in the field; the caller takes the reference. */
int vfy_kptr_old(struct vfy_env *e, const struct vfy_map *m, const struct spec_field *f)
{
	struct target t;
	int err = target_of(e, m, f, &t);

	if (!err)
		vfy_btf_reg(e, &cur_regs(e)[0], t.btf, t.id, RF_MAYBE_NULL | (t.kernel ? 0 : RF_ALLOC));
	return err;
}

/* ---- objects that programs allocate ---- */
int vfy_obj_new(struct vfy_env *e, struct kf *k)
{
	const struct btf *b = e->in->btf;
	const struct btf_type *t;

	if (k->constant != (u32)k->constant)
		return vfy_reject(e, VR_ARG_VALUE, -EINVAL, 1, "local type ID argument must be in range [0, U32_MAX]");
	if (!b)
		return vfy_reject(e, VR_BTF, -EINVAL, 1, "bpf_obj_new/bpf_percpu_obj_new requires prog BTF");
	t = k->constant < btf_nr(b) ? btf_type(b, (u32)k->constant) : NULL;
	if (!t || BTF_INFO_KIND(t->info) != BTF_KIND_STRUCT)
		return vfy_reject(e, VR_ARG_VALUE, -EINVAL, 1,
				  "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct");
	vfy_btf_reg(e, &cur_regs(e)[0], b, (u32)k->constant, RF_ALLOC);
	return 0;
}

/* An object that a function frees. */
int kf_alloc_arg(struct vfy_env *e, struct kf *k, u32 regno)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];

	if (r->type != (R_BTF_ID | RF_ALLOC))
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)regno, "arg#%u expected pointer to allocated object", regno - 1);
	if (!r->ref_obj_id)
		return vfy_reject(e, VR_REFERENCE, -EINVAL, (int)regno, "allocated object must be referenced");
	return 0;
}
