/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - special fields of map values (bpf_spin_lock, bpf_timer, ...): where they are according to the map's BTF,
 * and that loads and stores stay away from them. What works on these fields is judged by helper.c. */
#include "verify/vfy.h"

static const struct {
	const char *type, *text;
	u32 field;
} specials[] = {
	{ "bpf_spin_lock", "bpf_spin_lock", SPEC_FIELD_SPIN_LOCK },
	{ "bpf_res_spin_lock", "bpf_res_spin_lock", SPEC_FIELD_RES_LOCK },
	{ "bpf_timer", "bpf_timer", SPEC_FIELD_TIMER },
	{ "bpf_wq", "bpf_wq", SPEC_FIELD_WQ },
	{ "bpf_list_head", "bpf_list_head", SPEC_FIELD_LIST },
	{ "bpf_list_node", "bpf_list_node", SPEC_FIELD_LIST },
	{ "bpf_rb_root", "bpf_rb_root", SPEC_FIELD_RBTREE },
	{ "bpf_rb_node", "bpf_rb_node", SPEC_FIELD_RBTREE },
	{ "bpf_refcount", "bpf_refcount", SPEC_FIELD_REFCOUNT },
	{ "bpf_task_work", "bpf_task_work", SPEC_FIELD_TASK_WORK },
};

/* Calls FN for each special member at the top of the value's struct (members of array or struct type are entered once). */
static int each_special(const struct vfy_map *m, int (*fn)(void *arg, const char *text, u32 off, u32 size), void *arg)
{
	u32 id = m->btf_value_type;
	const struct btf_type *t;
	const struct btf_member *mem;

	if (!m->btf || !id)
		return 0;
	t = btf_skip_mods(m->btf, &id);
	if (!t || BTF_INFO_KIND(t->info) != BTF_KIND_STRUCT)
		return 0;
	mem = (const void *)(t + 1);
	for (u32 i = 0; i < BTF_INFO_VLEN(t->info); i++) {
		u32 mid = mem[i].type, off = BTF_INFO_KFLAG(t->info) ? BTF_MEMBER_BIT_OFFSET(mem[i].offset) :
								      mem[i].offset;
		const struct btf_type *mt = btf_skip_mods(m->btf, &mid);
		const char *name = mt ? btf_str(m->btf, mt->name_off) : "";

		if (!mt || BTF_INFO_KIND(mt->info) != BTF_KIND_STRUCT)
			continue;
		for (u32 k = 0; k < ARRAY_SIZE(specials); k++)
			if (!strcmp(name, specials[k].type)) {
				int err = fn(arg, specials[k].text, off / 8, mt->size);

				if (err)
					return err;
			}
	}
	return 0;
}

struct overlap {
	struct vfy_env *e;
	s64 lo, hi;
};

static int overlaps(void *arg, const char *text, u32 off, u32 size)
{
	struct overlap *o = arg;

	if (o->lo >= (s64)off + size || off >= o->hi)
		return 0;
	return vfy_reject(o->e, VR_SPECIAL_FIELD, -EACCES, -1, "%s cannot be accessed directly by load/store", text);
}

/* The access was found inside of the value. OFF includes reg.off. */
int vfy_record_access(struct vfy_env *e, u32 regno, int off, int size)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	struct overlap o = { e, r->s.smin + off, (s64)r->s.umax + off + size };

	if (!r->map->btf)
		return 0;
	return each_special(r->map, overlaps, &o);
}

int vfy_record_touch(struct vfy_env *e, const struct btf *b, u32 id, int off, int size)
{
	return 0;
}

int vfy_record_usable(struct vfy_env *e, const struct vfy_map *m)
{
	return 0;
}
