/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - special fields of map values and allocated objects, as the verifier uses them: where they are (spec/fields.c), that
 * loads and stores stay away from them, and which programs may use a map that has them. Records are computed
 * once per type and kept for the call. */
#include "verify/vfy.h"

static const struct spec_record none;

struct vfy_record {
	const struct btf *btf;
	u32 id;
	struct spec_record rec;
	struct vfy_record *next;
};

/* Never NULL; malformed types have no fields. */
static const struct spec_record *record_of(struct vfy_env *e, const struct btf *b, u32 id, u32 mask, u32 size)
{
	struct vfy_record *r;

	if (!b || !id)
		return &none;
	for (r = e->records; r; r = r->next)
		if (r->btf == b && r->id == id)
			return &r->rec;
	r = calloc(1, sizeof(*r));
	if (!r) {
		vfy_nomem(e);
		return &none;
	}
	r->btf = b;
	r->id = id;
	spec_fields(b, id, mask, size, &r->rec);
	r->next = e->records;
	e->records = r;
	return &r->rec;
}

const struct spec_record *vfy_record_map(struct vfy_env *e, const struct vfy_map *m)
{
	return record_of(e, m->btf, m->btf_value_type, SPEC_FIELDS_OF_MAPS, m->value_size);
}

void vfy_records_free(struct vfy_env *e)
{
	while (e->records) {
		struct vfy_record *r = e->records;

		e->records = r->next;
		free(r);
	}
}

/* The pointer may lead to a lock: its id must be kept, it says which. */
bool vfy_may_hold_lock(struct vfy_env *e, const struct vfy_reg *r)
{
	return R_BASE(r->type) == R_MAP_VALUE &&
	       (vfy_record_map(e, r->map)->mask & (SPEC_FIELD_SPIN_LOCK | SPEC_FIELD_RES_LOCK));
}

static int kptr_access(struct vfy_env *e, const struct spec_field *f, u32 regno, int off, int size, bool helper)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	const char *name = spec_field_name(f->type);

	if (helper)
		return vfy_reject(e, VR_SPECIAL_FIELD, -EACCES, (int)regno, "%s cannot be accessed indirectly by helper", name);
	if (!tnum_is_const(r->s.var))
		return vfy_reject(e, VR_SPECIAL_FIELD, -EACCES, (int)regno, "%s access cannot have variable offset", name);
	if (f->off != (u64)off + r->s.var.value)
		return vfy_reject(e, VR_SPECIAL_FIELD, -EACCES, (int)regno, "%s access misaligned expected=%u off=%llu", name,
				  f->off, (unsigned long long)((u64)off + r->s.var.value));
	if (size != 8)
		return vfy_reject(e, VR_SPECIAL_FIELD, -EACCES, (int)regno, "%s access size must be BPF_DW", name);
	return 0;
}

/* The kptr field that an access which was found good is to, NULL: none. OFF includes reg.off. */
const struct spec_field *vfy_record_kptr(struct vfy_env *e, u32 regno, int off)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	const struct spec_record *rec = vfy_record_map(e, r->map);

	for (u32 i = 0; i < rec->nr && tnum_is_const(r->s.var); i++)
		if ((rec->f[i].type & (SPEC_FIELD_KPTRS | SPEC_FIELD_UPTR)) &&
		    rec->f[i].off == (u64)(s64)off + r->s.var.value)
			return &rec->f[i];
	return NULL;
}

/* The access was found inside of the value. OFF includes reg.off. */
int vfy_record_access(struct vfy_env *e, u32 regno, int off, int size, bool helper)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	const struct spec_record *rec = vfy_record_map(e, r->map);

	for (u32 i = 0; i < rec->nr; i++) {
		const struct spec_field *f = &rec->f[i];

		if (r->s.smin + off >= (s64)f->off + f->size || f->off >= (s64)r->s.umax + off + size)
			continue;
		if (f->type & (SPEC_FIELD_KPTRS | SPEC_FIELD_UPTR))
			return kptr_access(e, f, regno, off, size, helper);
		return vfy_reject(e, VR_SPECIAL_FIELD, -EACCES, (int)regno, "%s cannot be accessed directly by load/store",
				  spec_field_name(f->type));
	}
	return 0;
}

#define OBJECTS	(SPEC_FIELD_SPIN_LOCK | SPEC_FIELD_RES_LOCK | SPEC_FIELD_LIST | SPEC_FIELD_LIST_NODE | SPEC_FIELD_RBTREE | \
		 SPEC_FIELD_RB_NODE | SPEC_FIELD_REFCOUNT | SPEC_FIELD_KPTRS)

int vfy_record_touch(struct vfy_env *e, const struct btf *b, u32 id, int off, int size)
{
	const struct btf_type *t = btf_type(b, id);
	const struct spec_record *rec;

	if (!t || BTF_INFO_KIND(t->info) != BTF_KIND_STRUCT)
		return 0;
	rec = record_of(e, b, id, OBJECTS, t->size);
	for (u32 i = 0; i < rec->nr; i++)
		if (off < (s64)rec->f[i].off + rec->f[i].size && rec->f[i].off < (s64)off + size)
			return vfy_reject(e, VR_SPECIAL_FIELD, -EACCES, -1, "direct access to %s is disallowed",
					  spec_field_name(rec->f[i].type));
	return 0;
}

/* Tracing programs that may interrupt anything. */
#define TRACING	(P(KPROBE) | P(TRACEPOINT) | P(PERF_EVENT) | P(RAW_TRACEPOINT) | P(RAW_TRACEPOINT_WRITABLE))

static const struct { u32 fields; u64 progs; const char *text; } not_for[] = {
	{ SPEC_FIELD_LIST | SPEC_FIELD_RBTREE, TRACING, "tracing progs cannot use bpf_{list_head,rb_root} yet" },
	{ SPEC_FIELD_SPIN_LOCK | SPEC_FIELD_RES_LOCK, P(SOCKET_FILTER), "socket filter progs cannot use bpf_spin_lock yet" },
	{ SPEC_FIELD_SPIN_LOCK | SPEC_FIELD_RES_LOCK, TRACING, "tracing progs cannot use bpf_spin_lock yet" },
	{ SPEC_FIELD_TIMER, TRACING, "tracing progs cannot use bpf_timer yet" },
	{ SPEC_FIELD_WQ, TRACING, "tracing progs cannot use bpf_wq yet" },
};

/* May this program use a map with such values? */
int vfy_record_usable(struct vfy_env *e, const struct vfy_map *m)
{
	u32 mask = vfy_record_map(e, m)->mask;

	for (u32 i = 0; i < ARRAY_SIZE(not_for); i++)
		if ((mask & not_for[i].fields) && (BIT64(e->in->prog_type) & not_for[i].progs))
			return vfy_reject(e, VR_BAD_MAP, -EINVAL, -1, "%s", not_for[i].text);
	return 0;
}
