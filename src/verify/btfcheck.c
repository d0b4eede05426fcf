/* SPDX-License-Identifier: Apache-2.0 */
/* btfcheck.c - what func_info and line_info say (btfinfo.c checks them), put where the walk looks for it. */
#include "verify/btfinfo.h"
#include "verify/vfy.h"

static int sentence(struct vfy_env *e, struct sbuf *why, int err)
{
	if (err && why->len && why->s[why->len - 1] == '\n')
		why->s[--why->len] = 0;
	if (err)
		vfy_reject(e, VR_BTF, err, -1, why->len ? "%s" : NULL, why->s);
	sbuf_free(why);
	return err;
}

int vfy_btf_early(struct vfy_env *e)
{
	struct sbuf why = { 0 };

	return sentence(e, &why, btfinfo_check_early(e->in, &why));
}

int vfy_btf_check(struct vfy_env *e)
{
	struct btfinfo_sub *subs = calloc(e->nr_subs, sizeof(*subs));
	struct sbuf why = { 0 };
	int err;

	if (!subs)
		return vfy_nomem(e);
	for (u32 i = 0; i < e->nr_subs; i++) {
		subs[i].start = e->subs[i].start;
		subs[i].has_ld_abs = e->subs[i].has_ld_abs;
		subs[i].has_tail_call = e->subs[i].has_tail_call;
	}
	err = sentence(e, &why, btfinfo_check(e->in, subs, e->nr_subs, &why));
	for (u32 i = 0; i < e->nr_subs && !err; i++) {
		e->subs[i].func_type_id = subs[i].func_type_id;
		e->subs[i].linkage = subs[i].linkage;
		e->subs[i].name = subs[i].name;
		e->subs[i].global = i && subs[i].func_type_id && subs[i].linkage == BTF_FUNC_GLOBAL;
	}
	free(subs);
	return err;
}
