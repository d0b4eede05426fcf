/* SPDX-License-Identifier: Apache-2.0 */
/* fields.c - special fields in BTF: structs with reserved names, and pointers with a kptr tag. Nested structs and arrays are
 * entered. What a kind of field looks like is a row of kinds[]. */
#include "spec/fields.h"

#include <errno.h>
#include <string.h>

#define MAX_DEPTH	32

static const struct kind {
	const char *name;
	u32 type, size, align;
	bool once;			/* one per struct at most */
} kinds[] = {
	{ "bpf_spin_lock",     SPEC_FIELD_SPIN_LOCK,  4, 4, true },
	{ "bpf_res_spin_lock", SPEC_FIELD_RES_LOCK,   4, 4, true },
	{ "bpf_timer",	       SPEC_FIELD_TIMER,     16, 8, true },
	{ "bpf_wq",	       SPEC_FIELD_WQ,	     16, 8, true },
	{ "bpf_list_head",     SPEC_FIELD_LIST,	     16, 8, false },
	{ "bpf_list_node",     SPEC_FIELD_LIST_NODE, 24, 8, false },
	{ "bpf_rb_root",       SPEC_FIELD_RBTREE,    16, 8, false },
	{ "bpf_rb_node",       SPEC_FIELD_RB_NODE,   32, 8, false },
	{ "bpf_refcount",      SPEC_FIELD_REFCOUNT,   4, 4, true },
	{ "bpf_task_work",     SPEC_FIELD_TASK_WORK,  8, 8, true },
};

static const struct { const char *tag, *name; u32 type; } tags[] = {
	{ "kptr_untrusted", "kptr", SPEC_FIELD_KPTR }, { "kptr", "kptr", SPEC_FIELD_KPTR_REF },
	{ "percpu_kptr", "percpu_kptr", SPEC_FIELD_KPTR_PERCPU }, { "uptr", "uptr", SPEC_FIELD_UPTR },
};

const char *spec_field_name(u32 type)
{
	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].type == type)
			return kinds[i].name;
	for (u32 i = 0; i < ARRAY_SIZE(tags); i++)
		if (tags[i].type == type)
			return tags[i].name;
	return "unknown";
}

const struct spec_field *spec_field_find(const struct spec_record *r, u32 type)
{
	for (u32 i = 0; i < r->nr; i++)
		if (r->f[i].type & type)
			return &r->f[i];
	return NULL;
}

static u32 kind_of(const struct btf_type *t) { return t ? BTF_INFO_KIND(t->info) : BTF_KIND_UNKN; }

static int add(struct spec_record *r, const struct spec_field *f)
{
	if (r->nr == SPEC_FIELDS_MAX)
		return -E2BIG;
	r->f[r->nr++] = *f;
	r->mask |= f->type;
	return 0;
}

/* A pointer: is it a kptr? 1: FIELD is filled, 0: no. */
static int kptr(const struct btf *b, const struct btf_type *t, u32 mask, struct spec_field *f)
{
	const struct btf_type *tag = btf_type(b, t->type), *next;
	u32 id;

	if (kind_of(tag) != BTF_KIND_TYPE_TAG || BTF_INFO_KFLAG(tag->info))
		return 0;
	next = btf_type(b, tag->type);
	if (kind_of(next) == BTF_KIND_TYPE_TAG)
		return -EINVAL;
	for (u32 i = 0; i < ARRAY_SIZE(tags); i++) {
		if (strcmp(btf_str(b, tag->name_off), tags[i].tag))
			continue;
		if (!(mask & tags[i].type))
			return 0;
		id = tag->type;
		next = id ? btf_skip_mods(b, &id) : NULL;
		if (kind_of(next) != BTF_KIND_STRUCT && kind_of(next) != BTF_KIND_UNION)
			return -EINVAL;
		f->type = tags[i].type;
		f->size = 8;
		f->btf_id = id;
		return 1;
	}
	return -EINVAL;
}

/* "contains:TYPE:NODE" of the declaration of member COMP of struct ID. */
static const char *contains(const struct btf *b, u32 id, u32 comp)
{
	for (u32 i = 1; i < btf_nr(b); i++) {
		const struct btf_type *t = btf_type(b, i);

		if (kind_of(t) == BTF_KIND_DECL_TAG && t->type == id &&
		    ((const struct btf_decl_tag *)(t + 1))->component_idx == (s32)comp &&
		    !strncmp(btf_str(b, t->name_off), "contains:", 9))
			return btf_str(b, t->name_off) + 9;
	}
	return NULL;
}

static int in_struct(const struct btf *b, u32 id, u32 base, u32 mask, u32 depth, struct spec_record *r);

/* One member (or variable) of type MID at OFF. */
static int member(const struct btf *b, u32 id, u32 comp, u32 mid, u32 off, u32 mask, u32 *seen, u32 depth,
		  struct spec_record *r)
{
	const struct btf_type *t = btf_type(b, mid);
	struct spec_field f = { .off = off };
	u32 nelems = 1, align = 8;
	int got = 0, err = 0;

	for (u32 i = 0; kind_of(t) == BTF_KIND_ARRAY; i++) {
		const struct btf_array *a = (const void *)(t + 1);

		if (i == MAX_DEPTH || __builtin_mul_overflow(nelems, a->nelems, &nelems))
			return -E2BIG;
		mid = a->type;
		t = btf_type(b, mid);
	}
	if (!nelems || !t)
		return 0;
	if (kind_of(t) == BTF_KIND_STRUCT) {
		for (u32 i = 0; i < ARRAY_SIZE(kinds); i++) {
			const struct kind *k = &kinds[i];

			if (!(mask & k->type) || strcmp(btf_str(b, t->name_off), k->name))
				continue;
			if (k->once && (*seen & k->type))
				return -E2BIG;
			*seen |= k->once ? k->type : 0;
			f.type = k->type;
			f.size = k->size;
			align = k->align;
			got = t->size == k->size;
			break;
		}
		if (!f.type) {
			for (u32 i = 0; i < nelems && !err && i <= SPEC_FIELDS_MAX; i++)
				err = in_struct(b, mid, off + i * t->size, mask, depth + 1, r);
			return err;
		}
		if (f.type & (SPEC_FIELD_LIST | SPEC_FIELD_RBTREE)) {
			f.contains = contains(b, id, comp);
			if (!f.contains || !strchr(f.contains, ':'))
				return -EINVAL;
		}
	} else if (kind_of(t) == BTF_KIND_PTR) {
		got = kptr(b, t, mask, &f);
	}
	if (got <= 0 || off % align)
		return got < 0 ? got : 0;
	for (u32 i = 0; i < nelems && !err; i++, f.off += f.size)
		err = add(r, &f);
	return err;
}

static int in_struct(const struct btf *b, u32 id, u32 base, u32 mask, u32 depth, struct spec_record *r)
{
	const struct btf_type *t = btf_type(b, id);
	u32 seen = 0;
	int err = 0;

	if (depth == MAX_DEPTH)
		return -E2BIG;
	if (kind_of(t) == BTF_KIND_DATASEC) {
		const struct btf_var_secinfo *v = (const void *)(t + 1);

		for (u32 i = 0; i < BTF_INFO_VLEN(t->info) && !err; i++)
			err = member(b, v[i].type, (u32)-1, btf_type(b, v[i].type)->type, v[i].offset, mask, &seen, depth, r);
	} else {
		const struct btf_member *m = (const void *)(t + 1);

		for (u32 i = 0; i < BTF_INFO_VLEN(t->info) && !err; i++) {
			u32 bits = BTF_INFO_KFLAG(t->info) ? BTF_MEMBER_BIT_OFFSET(m[i].offset) : m[i].offset;

			if (bits % 8)
				continue;
			err = member(b, id, i, m[i].type, base + bits / 8, mask, &seen, depth, r);
		}
	}
	return err;
}

static void sort(struct spec_record *r)
{
	for (u32 i = 1; i < r->nr; i++)
		for (u32 k = i; k && r->f[k].off < r->f[k - 1].off; k--) {
			struct spec_field t = r->f[k];

			r->f[k] = r->f[k - 1];
			r->f[k - 1] = t;
		}
}

int spec_fields(const struct btf *b, u32 id, u32 mask, u32 size, struct spec_record *r)
{
	const struct btf_type *t = b ? btf_type(b, id) : NULL;
	u32 next = 0;
	int err;

	memset(r, 0, sizeof(*r));
	if (kind_of(t) != BTF_KIND_STRUCT && kind_of(t) != BTF_KIND_DATASEC)
		return 0;
	err = in_struct(b, id, 0, mask, 0, r);
	for (u32 i = 0; i < r->nr && !err; i++) {
		if (r->f[i].off + r->f[i].size > size)
			err = -EFAULT;
		else if (r->f[i].off < next)
			err = -EEXIST;
		next = r->f[i].off + r->f[i].size;
	}
	if (!err && ((r->mask & SPEC_FIELD_SPIN_LOCK && r->mask & SPEC_FIELD_RES_LOCK) ||
		     (r->mask & (SPEC_FIELD_LIST | SPEC_FIELD_RBTREE) &&
		      !(r->mask & (SPEC_FIELD_SPIN_LOCK | SPEC_FIELD_RES_LOCK))) ||
		     (r->mask & SPEC_FIELD_LIST_NODE && r->mask & SPEC_FIELD_RB_NODE && !(r->mask & SPEC_FIELD_REFCOUNT))))
		err = -EINVAL;
	if (err)
		memset(r, 0, sizeof(*r));
	sort(r);
	return err;
}
