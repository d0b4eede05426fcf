/* SPDX-License-Identifier: Apache-2.0 */
/* btfptr.c - pointers to typed objects (R_BTF_ID): which member of a struct an access meets, what a loaded pointer is
 * worth, and which pointers may stand for which.
 * Trust: RF_TRUSTED is valid and stays so, RF_RCU is valid inside the read-side section, RF_UNTRUSTED may be
 * anything and is only read by loads that cannot fault, none of them is the old kind: loads cannot fault, some helpers take it.
 * What keeps its trust over a load is stated by types of the kernel's BTF themselves: struct S__safe_trusted and
 * so on list the members of S. Driven by BTF only. Order of the checks and words: Linux 6.18. */
#include <stdio.h>

#include "verify/vfy.h"

/* ---- types by name ---- */
static u64 name_hash(const char *s, u32 kind)
{
	u64 h = 14695981039346656037ull ^ kind;

	while (*s)
		h = (h ^ (u8)*s++) * 1099511628211ull;
	return h;
}

/* The id of vmlinux's type of this name and kind, -ENOENT. Looks through the whole BTF once per name. */
s32 vfy_btf_id(struct vfy_env *e, const char *name, u32 kind)
{
	u64 h = name_hash(name, kind);
	struct vfy_name_id *c = &e->names[h % ARRAY_SIZE(e->names)];

	if (!e->in->vmlinux)
		return -ENOENT;
	if (c->hash == h)
		return c->id;
	c->hash = h;
	c->id = btf_find(e->in->vmlinux, name, kind);
	return c->id;
}

static u32 kind_of(const struct btf_type *t) { return BTF_INFO_KIND(t->info); }

static bool is_composite(const struct btf_type *t)
{
	return t && (kind_of(t) == BTF_KIND_STRUCT || kind_of(t) == BTF_KIND_UNION);
}

/* What the first type tag behind a pointer says: "user", "percpu", "rcu". */
u32 vfy_btf_tag_flags(const struct btf *b, const struct btf_type *ptr)
{
	static const struct { const char *tag; u32 flag; } tags[] = {
		{ "user", RF_USER }, { "percpu", RF_PERCPU }, { "rcu", RF_RCU },
	};
	const struct btf_type *t = btf_type(b, ptr->type);

	if (!t || kind_of(t) != BTF_KIND_TYPE_TAG || BTF_INFO_KFLAG(t->info))
		return 0;
	for (u32 i = 0; i < ARRAY_SIZE(tags); i++)
		if (!strcmp(btf_str(b, t->name_off), tags[i].tag))
			return tags[i].flag;
	return 0;
}

static u32 member_bits(const struct btf_type *t, const struct btf_member *m)
{
	return BTF_INFO_KFLAG(t->info) ? BTF_MEMBER_BIT_OFFSET(m->offset) : m->offset;
}

static u32 member_bitfield(const struct btf_type *t, const struct btf_member *m)
{
	return BTF_INFO_KFLAG(t->info) ? BTF_MEMBER_BITFIELD_SIZE(m->offset) : 0;
}

/* ---- walking into a struct ---- */
enum walk { WALK_SCALAR, WALK_PTR, WALK_PTR_UNKNOWN, WALK_STRUCT };

struct walk_to {
	u32 id;				/* WALK_PTR: pointed-to type; WALK_STRUCT: where to go on */
	u32 flags;
	const char *field;
};

struct elem {				/* a member's type; arrays, also of arrays, as their element */
	const struct btf_type *t;
	u32 id, size, nelems;		/* size of all elements */
	bool array;
};

static bool elem_of(const struct btf *b, u32 id, struct elem *x)
{
	*x = (struct elem){ .nelems = 1 };
	for (u32 depth = 0; depth < 32; depth++) {
		x->t = btf_skip_mods(b, &id);
		if (!x->t)
			return false;
		if (kind_of(x->t) == BTF_KIND_ARRAY) {
			const struct btf_array *a = (const void *)(x->t + 1);

			x->array = true;
			if (__builtin_mul_overflow(x->nelems, a->nelems, &x->nelems))
				return false;
			id = a->type;
			continue;
		}
		x->id = id;
		switch (kind_of(x->t)) {
		case BTF_KIND_PTR:
			x->size = 8;
			break;
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
		case BTF_KIND_INT:
		case BTF_KIND_ENUM:
		case BTF_KIND_ENUM64:
		case BTF_KIND_FLOAT:
			x->size = x->t->size;
			break;
		default:
			return false;
		}
		return !__builtin_mul_overflow(x->size, x->nelems, &x->size);
	}
	return false;
}

static int beyond(struct vfy_env *e, const char *name, u32 off, u32 size)
{
	return vfy_reject(e, VR_BTF_ACCESS, -EACCES, -1, "access beyond struct %s at off %u size %u", name, off, size);
}

/* An access behind the end of T is one to its last member when that is an array of no size: the element type
 * and the offset in it, NULL: it is not. *SCALAR: an array of numbers. */
static const struct btf_type *flexible(const struct btf *b, const struct btf_type *t, u32 *off, bool *scalar)
{
	const struct btf_member *m = (const void *)(t + 1);
	u32 n = BTF_INFO_VLEN(t->info), at, id;
	const struct btf_array *a;
	const struct btf_type *mt;

	if (!n)
		return NULL;
	id = m[n - 1].type;
	mt = btf_skip_mods(b, &id);
	at = member_bits(t, &m[n - 1]) / 8;
	if (!mt || kind_of(mt) != BTF_KIND_ARRAY || *off < at)
		return NULL;
	a = (const void *)(mt + 1);
	if (a->nelems)
		return NULL;
	id = a->type;
	mt = btf_skip_mods(b, &id);
	*scalar = mt && kind_of(mt) == BTF_KIND_INT;
	if (*scalar || !is_composite(mt) || !mt->size)
		return *scalar ? mt : NULL;
	*off = (*off - at) % mt->size;
	return mt;
}

static int walk_ptr(struct vfy_env *e, const struct btf *b, const struct btf_type *ptr, const char *field,
		    struct walk_to *to)
{
	u32 id = ptr->type;
	const struct btf_type *t = id ? btf_skip_mods(b, &id) : NULL;

	if (!is_composite(t))
		return WALK_PTR_UNKNOWN;
	to->id = id;
	to->flags |= vfy_btf_tag_flags(b, ptr);
	to->field = field;
	return WALK_PTR;
}

/* The member M of struct NAME at AT is a number or a pointer (or an array of them). */
static int walk_member(struct vfy_env *e, const struct btf *b, const char *name, const struct btf_member *m,
		       const struct elem *x, u32 at, u32 off, u32 size, struct walk_to *to)
{
	const char *field = btf_str(b, m->name_off);
	u32 each = x->array ? x->size / x->nelems : x->size, end = at + x->size;

	at += x->array ? (off - at) / each * each : 0;
	if (kind_of(x->t) == BTF_KIND_PTR) {
		if (each != size || off != at)
			return vfy_reject(e, VR_BTF_ACCESS, -EACCES, -1,
					  "cannot access ptr member %s with moff %u in struct %s with off %u size %u",
					  field, at, name, off, size);
		return walk_ptr(e, b, x->t, field, to);
	}
	if (off + size > end && !(to->flags & RF_UNTRUSTED))
		return vfy_reject(e, VR_BTF_ACCESS, -EACCES, -1,
				  "access beyond the end of member %s (mend:%u) in struct %s with off %u size %u", field,
				  end, name, off, size);
	return WALK_SCALAR;
}

/* One struct, and those that lie in it at other offsets than the access. */
static int walk_struct(struct vfy_env *e, const struct btf *b, const struct btf_type *t, u32 off, u32 size,
		       struct walk_to *to)
{
	const struct btf_member *m;
	const char *name;
	bool scalar;

again:
	name = btf_str(b, t->name_off);
	if (!is_composite(t))
		return vfy_reject(e, VR_BTF_ACCESS, -EINVAL, -1, "Type '%s' is not a struct", name);
	if (kind_of(t) == BTF_KIND_UNION && BTF_INFO_VLEN(t->info) != 1)
		to->flags |= RF_UNTRUSTED;	/* which member is valid nobody knows */
	if (off + size > t->size) {
		t = flexible(b, t, &off, &scalar);
		if (!t)
			return beyond(e, name, off, size);
		if (scalar)
			return WALK_SCALAR;
		goto again;
	}
	m = (const void *)(t + 1);
	for (u32 i = 0; i < BTF_INFO_VLEN(t->info); i++) {
		u32 at = member_bits(t, &m[i]) / 8, bits = member_bitfield(t, &m[i]);
		struct elem x;

		if (off + size <= at)
			break;
		if (bits) {
			if (off <= at && (member_bits(t, &m[i]) + bits + 7) / 8 <= off + size)
				return WALK_SCALAR;
			continue;
		}
		if (off < at)
			break;
		if (!elem_of(b, m[i].type, &x))
			return vfy_reject(e, VR_BTF_ACCESS, -EFAULT, -1, "field %s doesn't have size",
					  btf_str(b, m[i].name_off));
		if (off >= at + x.size)
			continue;
		if (!is_composite(x.t))
			return walk_member(e, b, name, &m[i], &x, at, off, size, to);
		at += x.array ? (off - at) / x.t->size * x.t->size : 0;
		if (off == at) {
			to->id = x.id;
			return WALK_STRUCT;
		}
		off -= at;
		t = x.t;
		goto again;
	}
	return vfy_reject(e, VR_BTF_ACCESS, -EINVAL, -1, "struct %s doesn't have field at offset %d", name, (int)off);
}

/* What lies at [off, off+size) of struct ID of B: WALK_SCALAR, WALK_PTR or WALK_PTR_UNKNOWN, or the rejection. */
static int walk(struct vfy_env *e, const struct btf *b, u32 id, u32 off, u32 size, struct walk_to *to)
{
	const struct btf_type *t = btf_skip_mods(b, &id);
	int r;

	for (u32 depth = 0; t && depth < 64; depth++) {
		r = walk_struct(e, b, t, off, size, to);
		if (r != WALK_STRUCT)
			return r;
		id = to->id;
		t = btf_skip_mods(b, &id);
		off = 0;
	}
	return vfy_reject(e, VR_BTF_ACCESS, -EINVAL, -1, NULL);
}

/* ---- one type standing for another ---- */
static bool same_type(const struct btf *a, u32 ida, const struct btf *b, u32 idb)
{
	return a == b && ida == idb;
}

/* Is the object at OFF of struct (B, ID) one of type (WANT_BTF, WANT)? STRICT: only as a whole. */
bool vfy_btf_ids_match(struct vfy_env *e, const struct btf *b, u32 id, u32 off, const struct btf *want_btf, u32 want,
		       bool strict)
{
	struct sbuf err = e->err;
	struct walk_to to = { 0 };
	u32 level = e->log_level;
	bool rejected = e->rejected, match = false;

	if (!off && same_type(b, id, want_btf, want))
		return true;
	if (strict)
		return false;
	e->log_level = 0;		/* looking, not judging */
	e->rejected = true;
	memset(&e->err, 0, sizeof(e->err));
	for (u32 depth = 0; depth < 64; depth++) {
		const struct btf_type *t = btf_skip_mods(b, &id);

		if (!t || walk_struct(e, b, t, off, 1, &to) != WALK_STRUCT)
			break;
		id = to.id;
		off = 0;
		if (same_type(b, id, want_btf, want)) {
			match = true;
			break;
		}
	}
	sbuf_free(&e->err);
	e->err = err;
	e->rejected = rejected;
	e->log_level = level;
	return match;
}

/* ---- trust ---- */
#define TRUST_FLAGS	(RF_ALLOC | RF_TRUSTED | RF_NON_OWN)

bool vfy_reg_trusted(const struct vfy_reg *r)
{
	u32 flags = r->type & RF_ALL;

	if (r->ref_obj_id)
		return true;
	switch (R_BASE(r->type)) {
	case R_SOCKET:
	case R_SOCK_COMMON:
	case R_TCP_SOCK:
	case R_CONST_MAP:
		if (!(flags & ~TRUST_FLAGS))
			return true;
	}
	return (flags & TRUST_FLAGS) && !(flags & ~TRUST_FLAGS);
}

bool vfy_in_rcu(struct vfy_env *e)
{
	return e->cur->active_rcu || e->cur->active_locks || !e->cur->in_sleepable;
}

/* Is FIELD of the register's struct, pointing to TO, listed in the struct's companion with this suffix? */
static bool listed(struct vfy_env *e, const struct vfy_reg *r, const char *field, u32 to, const char *suffix)
{
	const struct btf_type *t = btf_type(r->btf, r->btf_id), *safe;
	const struct btf_member *m;
	char name[160];
	s32 id;

	if (!t || !field || r->btf != e->in->vmlinux)
		return false;
	snprintf(name, sizeof(name), "%s%s", btf_str(r->btf, t->name_off), suffix);
	id = vfy_btf_id(e, name, kind_of(t));
	if (id < 0)
		return false;
	safe = btf_type(r->btf, (u32)id);
	m = (const void *)(safe + 1);
	for (u32 i = 0; i < BTF_INFO_VLEN(safe->info); i++) {
		const struct btf_type *mt = btf_type(r->btf, m[i].type);
		u32 target;

		if (!mt || kind_of(mt) != BTF_KIND_PTR || strcmp(btf_str(r->btf, m[i].name_off), field))
			continue;
		target = mt->type;
		if (btf_skip_mods(r->btf, &target) && target == to)
			return true;
	}
	return false;
}

/* Flags of a pointer loaded from FIELD of the object that R points to. */
static u32 loaded_flags(struct vfy_env *e, const struct vfy_reg *r, const struct walk_to *to)
{
	u32 flags = to->flags;
	bool or_null;

	if (r->type & RF_UNTRUSTED)
		return RF_UNTRUSTED;
	if (!vfy_reg_trusted(r) && !(r->type & RF_RCU))
		return flags & ~(RF_TRUSTED | RF_RCU);
	if (listed(e, r, to->field, to->id, "__safe_trusted"))
		return flags | RF_TRUSTED;
	if (listed(e, r, to->field, to->id, "__safe_trusted_or_null"))
		return flags | RF_TRUSTED | RF_MAYBE_NULL;
	if (!vfy_in_rcu(e) || (r->type & RF_MAYBE_NULL))
		return RF_UNTRUSTED;
	if (listed(e, r, to->field, to->id, "__safe_rcu"))
		return flags | RF_RCU;
	or_null = listed(e, r, to->field, to->id, "__safe_rcu_or_null");
	if (or_null)
		return (flags & ~RF_UNTRUSTED) | RF_RCU | RF_MAYBE_NULL;
	if (flags & RF_RCU)
		return flags | RF_MAYBE_NULL;
	if (flags & (RF_PERCPU | RF_USER))
		return flags;
	return flags & ~(RF_TRUSTED | RF_RCU);
}

/* ---- the access ---- */
static int may_access(struct vfy_env *e, const struct vfy_reg *r, u32 regno, int off, enum acc t)
{
	const char *name = vfy_btf_name(e, r->btf, r->btf_id);

	if (!e->allow_ptr_leaks)
		return vfy_reject(e, VR_CAPS, -EPERM, (int)regno,
				  "'struct %s' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN", name);
	if (!e->in->gpl && r->btf == e->in->vmlinux)
		return vfy_reject(e, VR_GPL, -EINVAL, (int)regno,
				  "Cannot access kernel 'struct %s' from non-GPL compatible program", name);
	if (off < 0)
		return vfy_reject(e, VR_NEGATIVE, -EACCES, (int)regno,
				  "R%u is ptr_%s invalid negative access: off=%d", regno, name, off);
	if (!tnum_is_const(r->s.var) || r->s.var.value)
		return vfy_reject(e, VR_PTR_MODIFIED, -EACCES, (int)regno,
				  "R%u is ptr_%s invalid variable offset: off=%d, var_off=%s", regno, name, off,
				  vfy_tnum_str(e, r->s.var));
	if (r->type & RF_USER)
		return vfy_reject(e, VR_BTF_ACCESS, -EACCES, (int)regno, "R%u is ptr_%s access user memory: off=%d",
				  regno, name, off);
	if (r->type & RF_PERCPU)
		return vfy_reject(e, VR_BTF_ACCESS, -EACCES, (int)regno,
				  "R%u is ptr_%s access percpu memory: off=%d", regno, name, off);
	if (t == ACC_WRITE && !vfy_is_own_obj(r))
		return vfy_reject(e, VR_RDONLY, -EACCES, (int)regno, "only read is supported");
	return 0;
}

bool vfy_is_own_obj(const struct vfy_reg *r)
{
	return R_BASE(r->type) == R_BTF_ID && (r->type & RF_ALLOC) && !(r->type & (RF_UNTRUSTED | RF_NON_OWN)) &&
	       r->ref_obj_id;
}

/* A pointer register to an object of struct ID. May be NULL: gets an id. */
void vfy_btf_reg(struct vfy_env *e, struct vfy_reg *r, const struct btf *b, u32 id, u32 flags)
{
	vfy_reg_ptr(r, R_BTF_ID | flags);
	r->btf = b;
	r->btf_id = id;
	if (flags & RF_MAYBE_NULL)
		r->id = ++e->id_gen;
}

/* OFF includes reg.off. */
int vfy_btf_mem(struct vfy_env *e, u32 regno, int off, int size, enum acc t, int value_regno)
{
	const struct vfy_reg r = cur_regs(e)[regno];
	struct walk_to to = { 0 };
	struct vfy_reg *v;
	int err = may_access(e, &r, regno, off, t), what;

	if (err)
		return err;
	if (r.type & RF_ALLOC) {
		err = vfy_record_touch(e, r.btf, r.btf_id, off, size);
		if (err)
			return err;
	}
	what = walk(e, r.btf, r.btf_id, (u32)off, (u32)size, &to);
	if (what < 0 || t != ACC_READ || value_regno < 0)
		return MIN(what, 0);
	v = &cur_regs(e)[value_regno];
	if (what == WALK_SCALAR || (what == WALK_PTR && (r.type & RF_ALLOC))) {
		vfy_reg_unknown(e, v);
	} else if (what == WALK_PTR_UNKNOWN) {
		vfy_reg_ptr(v, R_MEM | RF_RDONLY | RF_UNTRUSTED);
	} else {
		vfy_btf_reg(e, v, r.btf, to.id, loaded_flags(e, &r, &to));
	}
	return 0;
}

/* ---- arguments of tracing programs ---- */
static const char *const kind_names[] = {
	[BTF_KIND_UNKN] = "UNKNOWN", [BTF_KIND_INT] = "INT", [BTF_KIND_PTR] = "PTR", [BTF_KIND_ARRAY] = "ARRAY",
	[BTF_KIND_STRUCT] = "STRUCT", [BTF_KIND_UNION] = "UNION", [BTF_KIND_ENUM] = "ENUM", [BTF_KIND_FWD] = "FWD",
	[BTF_KIND_TYPEDEF] = "TYPEDEF", [BTF_KIND_VOLATILE] = "VOLATILE", [BTF_KIND_CONST] = "CONST",
	[BTF_KIND_RESTRICT] = "RESTRICT", [BTF_KIND_FUNC] = "FUNC", [BTF_KIND_FUNC_PROTO] = "FUNC_PROTO",
	[BTF_KIND_VAR] = "VAR", [BTF_KIND_DATASEC] = "DATASEC", [BTF_KIND_FLOAT] = "FLOAT",
	[BTF_KIND_DECL_TAG] = "DECL_TAG", [BTF_KIND_TYPE_TAG] = "TYPE_TAG", [BTF_KIND_ENUM64] = "ENUM64",
};

const char *vfy_btf_kind_name(const struct btf_type *t)
{
	return kind_of(t) < ARRAY_SIZE(kind_names) ? kind_names[kind_of(t)] : "?";
}

static bool scalar_arg(const struct btf_type *t)
{
	switch (kind_of(t)) {
	case BTF_KIND_INT:
		return t->size == 1 || t->size == 2 || t->size == 4 || t->size == 8;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return true;
	}
	return false;
}

static bool trusted_args(const struct vfy_env *e)
{
	const struct spec_attach *a = spec_attach(e->in->attach_type);

	if (e->in->prog_type == BPF_PROG_TYPE_TRACING)
		return a && (a->type == BPF_TRACE_RAW_TP || a->type == BPF_TRACE_ITER);
	return e->in->prog_type == BPF_PROG_TYPE_LSM || e->in->prog_type == BPF_PROG_TYPE_STRUCT_OPS;
}

static bool has_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), k = strlen(suffix);

	return n >= k && !strcmp(s + n - k, suffix);
}

/* Where FUNC of each 8-byte argument starts when structs by value take several: the argument at OFF. */
static u32 arg_index(const struct btf *b, const struct btf_type *proto, u32 off, u32 skip)
{
	const struct btf_param *p = (const void *)(proto + 1);
	u32 n = BTF_INFO_VLEN(proto->info), at = 0, i;
	s64 size;

	for (i = skip; i < n; i++) {
		size = btf_size(b, p[i].type);
		at += size <= 0 ? 8 : (u32)ALIGN_UP((u64)size, 8u);
		if (off < at)
			return i - skip;
	}
	/* the return value comes last */
	size = proto->type ? btf_size(b, proto->type) : 0;
	at += size <= 0 ? 0 : (u32)ALIGN_UP((u64)size, 8u);
	return off < at ? n - skip : n - skip + 1;
}

static int no_arg(struct vfy_env *e, u32 n)
{
	vfy_note(e, "func '%s' doesn't have %u-th argument", e->attach_name, n + 1);
	return -EACCES;
}

/* The type of the argument (or return value) at OFF. 0: T is set, NULL: a number. */
static int arg_type(struct vfy_env *e, u32 off, u32 *n, const struct btf_param **param, u32 *id)
{
	const struct btf *b = e->attach_btf;
	const struct btf_type *proto = btf_type(b, e->attach_proto), *t;
	const struct btf_param *p = (const void *)(proto + 1);
	u32 skip = e->attach_skip, nr = BTF_INFO_VLEN(proto->info) - skip;

	*n = arg_index(b, proto, off, skip);
	*param = NULL;
	if (*n > nr)
		return no_arg(e, *n);
	if (*n < nr) {
		*param = &p[*n + skip];
		*id = (*param)->type;
		return 0;
	}
	*id = proto->type;
	switch (e->in->attach_type) {
	case BPF_LSM_MAC:
	case BPF_LSM_CGROUP:
	case BPF_TRACE_FEXIT:
		return 0;
	case BPF_MODIFY_RETURN:
		t = *id ? btf_skip_mods(b, id) : NULL;
		if (t && kind_of(t) == BTF_KIND_INT && scalar_arg(t))
			return 0;
		vfy_note(e, "ret type %s not allowed for fmod_ret", t ? vfy_btf_kind_name(t) : "UNKNOWN");
		return -EACCES;
	}
	return no_arg(e, *n);
}

/* Argument N is the pointer type T; ROW: what ITER rows say of it. */
static int ctx_ptr(struct vfy_env *e, const struct btf_type *t, const struct btf_param *param, u32 n, u32 row,
		   struct vfy_reg *v)
{
	const struct btf *b = e->attach_btf;
	u32 to = t->type, flags;
	const struct btf_type *t2 = to ? btf_skip_mods(b, &to) : NULL;

	if (t2 && (kind_of(t2) == BTF_KIND_FUNC_PROTO || kind_of(t2) == BTF_KIND_FWD)) {
		vfy_note(e, "func '%s' arg%u type %s is not a struct", e->attach_name, n, vfy_btf_kind_name(t2));
		return -EACCES;
	}
	if (!is_composite(t2)) {
		vfy_reg_unknown(e, v);
		return 0;
	}
	if (row & SPEC_ARG_PTR) {
		vfy_btf_reg(e, v, b, to, (row & SPEC_ARG_TRUSTED ? RF_TRUSTED : 0) |
			    (row & SPEC_ARG_NULL ? RF_MAYBE_NULL : 0));
		return 0;
	}
	flags = trusted_args(e) ? RF_TRUSTED : 0;
	flags |= vfy_btf_tag_flags(b, t) & (RF_USER | RF_PERCPU);
	if (param && has_suffix(btf_str(b, param->name_off), "__nullable"))
		flags |= RF_MAYBE_NULL;
	row = e->in->attach_type == BPF_TRACE_RAW_TP ? spec_rawtp_arg(e->attach_name, n) : 0;
	flags |= row & SPEC_ARG_NULL ? RF_MAYBE_NULL : 0;
	if (e->log_level)
		vfy_log(e, "func '%s' arg%u has btf_id %u type %s '%s'\n", e->attach_name, n, to,
			vfy_btf_kind_name(btf_type(b, to)), vfy_btf_name(e, b, to));
	if (row & SPEC_ARG_ERR) {
		if (e->log_level)
			vfy_log(e, "marking pointer arg%u as scalar as it may encode error", n);
		vfy_reg_unknown(e, v);
		return 0;
	}
	vfy_btf_reg(e, v, b, to, flags);
	return 0;
}

/* A load of SIZE bytes at OFF of the arguments: V gets its type. -EACCES: not possible, the sentence why is noted. */
int vfy_btf_ctx(struct vfy_env *e, int off, int size, struct vfy_reg *v)
{
	const struct btf *b = e->attach_btf;
	const struct btf_param *param;
	const struct btf_type *t;
	u32 n, id, row;
	int err;

	if (off % 8) {
		vfy_note(e, "func '%s' offset %d is not multiple of 8", e->attach_name, off);
		return -EACCES;
	}
	err = arg_type(e, (u32)off, &n, &param, &id);
	if (err)
		return err;
	t = id ? btf_skip_mods(b, &id) : NULL;
	if (t && scalar_arg(t)) {
		vfy_reg_unknown(e, v);
		return 0;
	}
	if (!t || kind_of(t) != BTF_KIND_PTR) {
		vfy_note(e, "func '%s' arg%u '%s' has type %s. Only pointer access is allowed", e->attach_name, n,
			 t ? btf_str(b, t->name_off) : "(anon)", t ? vfy_btf_kind_name(t) : "UNKNOWN");
		return -EACCES;
	}
	if (size != 8) {
		vfy_note(e, "func '%s' size %d must be 8", e->attach_name, size);
		return -EACCES;
	}
	row = vfy_iter_arg(e, n);
	if (row & SPEC_ARG_BUF) {
		vfy_reg_ptr(v, R_BUF | RF_MAYBE_NULL | (row & SPEC_ARG_RDONLY ? RF_RDONLY : 0));
		v->id = ++e->id_gen;
		return 0;
	}
	return ctx_ptr(e, t, param, n, row, v);
}

/* A pointer that a field of another context holds: its type is the one of the kernel's struct of that name. */
int vfy_btf_ctx_field(struct vfy_env *e, const struct spec_ctx_field *f, struct vfy_reg *v)
{
	s32 id = vfy_btf_id(e, f->ctx, BTF_KIND_STRUCT);
	struct walk_to to = { 0 };
	int what;

	if (id < 0)
		return vfy_unsupported(e, -1, f->name);
	what = walk(e, e->in->vmlinux, (u32)id, f->off, f->size, &to);
	if (what < 0)
		return what;
	if (what != WALK_PTR)
		return vfy_unsupported(e, -1, f->name);
	vfy_btf_reg(e, v, e->in->vmlinux, to.id, RF_TRUSTED);
	return 0;
}

/* A load from a map itself: the kernel's struct of this type of map. OFF includes reg.off. */
int vfy_btf_map_mem(struct vfy_env *e, u32 regno, int off, int size, enum acc t, int value_regno)
{
	const char *name = spec_map_struct(cur_regs(e)[regno].map->type);
	struct walk_to to = { 0 };
	struct vfy_reg *v;
	s32 id;
	int what;

	if (!name)
		return vfy_reject(e, VR_BTF_ACCESS, -ENOTSUPP, (int)regno, "map_ptr access not supported for map type %u",
				  cur_regs(e)[regno].map->type);
	if (!e->allow_ptr_leaks)
		return vfy_reject(e, VR_CAPS, -EPERM, (int)regno,
				  "'struct %s' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN", name);
	if (off < 0)
		return vfy_reject(e, VR_NEGATIVE, -EACCES, (int)regno,
				  "R%u is %s invalid negative access: off=%d", regno, name, off);
	if (t == ACC_WRITE)
		return vfy_reject(e, VR_RDONLY, -EACCES, (int)regno, "only read from %s is supported", name);
	id = vfy_btf_id(e, name, BTF_KIND_STRUCT);
	if (id < 0)
		return vfy_unsupported(e, (int)regno, "loads from the map itself");
	what = walk(e, e->in->vmlinux, (u32)id, (u32)off, (u32)size, &to);
	if (what < 0 || value_regno < 0)
		return MIN(what, 0);
	v = &cur_regs(e)[value_regno];
	if (what == WALK_SCALAR)
		vfy_reg_unknown(e, v);
	else if (what == WALK_PTR_UNKNOWN)
		vfy_reg_ptr(v, R_MEM | RF_RDONLY | RF_UNTRUSTED);
	else
		vfy_btf_reg(e, v, e->in->vmlinux, to.id, to.flags);
	return 0;
}
