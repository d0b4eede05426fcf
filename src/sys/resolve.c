/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.c - PROG_LOAD: file descriptors in the program become objects, its BTF and records private copies.
 * Malformed LD_IMM64 pairs are left as they are: the verifier refuses them before it looks at an index. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "sys/load.h"

#define IS_LD_IMM64(i)	((i)->code == (BPF_LD | BPF_IMM | BPF_DW))
#define MAX_REC		252		/* the kernel's MAX_FUNCINFO_REC_SIZE, MAX_LINEINFO_REC_SIZE */

static void describe(const struct map *m, struct vfy_map *v)
{
	const struct map_attr *a = &m->attr;

	*v = (struct vfy_map){
		.id = m->id, .type = a->type, .key_size = a->key_size, .value_size = a->value_size,
		.max_entries = a->max_entries, .flags = a->flags,
		.btf_key_type = a->btf_key_type, .btf_value_type = a->btf_value_type,
		.gen = m->obj->gen, .direct_addr = (uintptr_t)m->data,
	};
	memcpy(v->name, a->name, sizeof(v->name));
	if (a->type == BPF_MAP_TYPE_ARRAY && a->flags & BPF_F_RDONLY_PROG && map_frozen(m))
		v->frozen = m->data;
}

/* The template of a map of maps. */
static void describe_inner(const struct map *m, struct vfy_map *v)
{
	const struct map_attr *a = &m->inner;

	*v = (struct vfy_map){
		.type = a->type, .key_size = a->key_size, .value_size = a->value_size,
		.max_entries = a->max_entries, .flags = a->flags,
	};
	memcpy(v->name, a->name, sizeof(v->name));
}

/* Owns M from here on. Index into maps[], or -errno. */
static int add_map(struct load *l, struct map *m)
{
	u32 n = l->nr_maps;
	int err;

	for (u32 i = 0; i < n; i++)
		if (l->maps[i] == m) {
			map_put(m);
			return (int)i;
		}
	if (n == LOAD_MAX_MAPS) {
		map_put(m);
		sbuf_printf(&l->early, "The total number of maps per program has reached the limit of %u\n",
			    LOAD_MAX_MAPS);
		return -E2BIG;
	}
	l->maps[l->nr_maps++] = m;
	describe(m, &l->vmaps[n]);
	if (m->attr.btf_id) {
		err = sys_btf_open_id(l->k->c->dir, m->attr.btf_id, &l->map_btf[n]);
		if (err)
			return err;
		l->vmaps[n].btf = l->map_btf[n]->btf;
	}
	if (m->attr.inner_id) {
		describe_inner(m, &l->inner[n]);
		l->vmaps[n].inner = &l->inner[n];
	}
	return (int)n;
}

static int add_map_fd(struct load *l, s32 fd)
{
	struct map *m;
	int err = call_get_map(l->k, (u32)fd, &m, NULL);

	if (err) {
		sbuf_printf(&l->early, "fd %d is not pointing to valid bpf_map\n", fd);
		return err;
	}
	return add_map(l, m);
}

/* fd_array with a count names maps and BTF objects that the program is to keep although no instruction does. */
static int take_fd_array(struct load *l)
{
	union skep_attr *a = &l->k->a;

	if (a->fd_array_cnt >= INT_MAX / sizeof(s32)) {
		sbuf_printf(&l->early, "fd_array_cnt is too big (%u)\n", a->fd_array_cnt);
		return -EINVAL;
	}
	for (u32 i = 0; i < a->fd_array_cnt; i++) {
		struct sys_btf *b;
		struct map *m;
		s32 fd;
		int err;

		if (call_in(l->k, &fd, a->fd_array + i * sizeof(fd), sizeof(fd)))
			return -EFAULT;
		err = call_get_map(l->k, (u32)fd, &m, NULL);
		if (!err) {
			err = add_map(l, m);
			if (err < 0)
				return err;
			continue;
		}
		if (!sys_btf_open_fd(l->k, (u32)fd, &b)) {
			sys_btf_put(b);
			continue;
		}
		sbuf_printf(&l->early, "fd %d is not pointing to valid bpf_map or btf\n", fd);
		return err;
	}
	return 0;
}

/* The fd that a map pseudo names. 1: resolved, 0: no map here, -errno. */
static int pseudo_fd(struct load *l, const struct bpf_insn *i, s32 *fd)
{
	switch (i->src_reg) {
	case BPF_PSEUDO_MAP_FD:
	case BPF_PSEUDO_MAP_VALUE:
		*fd = i->imm;
		break;
	case BPF_PSEUDO_MAP_IDX:
	case BPF_PSEUDO_MAP_IDX_VALUE:
		if (!l->k->a.fd_array) {
			sbuf_printf(&l->early, "fd_idx without fd_array is invalid\n");
			return -EPROTO;
		}
		if (call_in(l->k, fd, l->k->a.fd_array + (s64)i->imm * (s64)sizeof(*fd), sizeof(*fd)))
			return -EFAULT;
		break;
	default:
		return 0;
	}
	/* a map's own address has no offset */
	return (i->src_reg == BPF_PSEUDO_MAP_FD || i->src_reg == BPF_PSEUDO_MAP_IDX) && i[1].imm ? 0 : 1;
}

static int resolve_insns(struct load *l)
{
	for (u32 n = 0; n + 1 < l->cnt; n++) {
		struct bpf_insn *i = &l->resolved[n];
		bool value;
		s32 fd;
		int got;

		if (!IS_LD_IMM64(i))
			continue;
		n++;				/* the second half is data */
		if (i[1].code || i[1].dst_reg || i[1].src_reg || i[1].off)
			continue;
		got = pseudo_fd(l, i, &fd);
		if (got < 0)
			return got;
		if (!got)
			continue;
		value = i->src_reg == BPF_PSEUDO_MAP_VALUE || i->src_reg == BPF_PSEUDO_MAP_IDX_VALUE;
		got = add_map_fd(l, fd);
		if (got < 0)
			return got;
		i->src_reg = value ? BPF_PSEUDO_MAP_VALUE : BPF_PSEUDO_MAP_FD;
		i->imm = got;
	}
	return 0;
}

/* func_info and line_info: CNT records of REC bytes, at least MIN. One more than there are instructions is as good as
 * any number: the verifier refuses them by order. */
static int take_info(struct load *l, u64 addr, u32 *cnt, u32 rec, u32 min, const char *what, void **out)
{
	if (!*cnt)
		return 0;
	if (rec < min || rec > MAX_REC || rec % sizeof(u32)) {
		sbuf_printf(&l->early, "invalid %s info rec size %u\n", what, rec);
		return -EINVAL;
	}
	*cnt = MIN(*cnt, l->cnt + 1);
	return call_dup(l->k, addr, (size_t)*cnt * rec, out);
}

static int take_btf(struct load *l)
{
	union skep_attr *a = &l->k->a;
	int err;

	if (!a->func_info_cnt && !a->line_info_cnt)
		return 0;
	err = sys_btf_open_fd(l->k, a->prog_btf_fd, &l->btf);
	if (err)
		return err;
	l->func_info_cnt = a->func_info_cnt;
	l->line_info_cnt = a->line_info_cnt;
	err = take_info(l, a->func_info, &l->func_info_cnt, a->func_info_rec_size, 8, "func",
			&l->func_info);
	if (err)
		return err;
	if (a->line_info_cnt > INT_MAX / sizeof(struct bpf_line_info))
		return -EINVAL;
	return take_info(l, a->line_info, &l->line_info_cnt, a->line_info_rec_size, 16, "line",
			 &l->line_info);
}

int load_resolve(struct load *l)
{
	int err = take_fd_array(l);

	if (!err)
		err = take_btf(l);
	if (!err && l->k->a.core_relo_cnt)
		err = -EOPNOTSUPP;		/* CO-RE by the kernel (light skeletons) */
	return err ? err : resolve_insns(l);
}

void load_release(struct load *l)
{
	for (u32 i = 0; i < l->nr_maps; i++) {
		sys_btf_put(l->map_btf[i]);
		map_put(l->maps[i]);
	}
	sys_btf_put(l->btf);
	free(l->insns);
	free(l->resolved);
	free(l->func_info);
	free(l->line_info);
	jit_code_free(&l->code);
	vfy_out_free(&l->out);
	sbuf_free(&l->early);
}
