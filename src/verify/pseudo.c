/* SPDX-License-Identifier: Apache-2.0 */
/* pseudo.c - before any value is looked at: is every opcode one of the instruction table's, and what do the LD_IMM64
 * pseudo forms name (maps, map values, functions)? The caller has put map indices where the client gave fds. */
#include "verify/vfy.h"

static void opcodes_fill(u8 known[32])
{
	memset(known, 0, 32);
	for (u32 i = 0; i < spec_nr_insns; i++)
		known[spec_insns[i].code / 8] |= (u8)(1 << spec_insns[i].code % 8);
}

static int direct_value(struct vfy_env *e, u32 i, const struct vfy_map *m)
{
	u32 off = (u32)e->insns[i + 1].imm;
	const struct spec_map *row = spec_map(m->type);

	if (off >= MAX_VAR_OFF)
		return vfy_reject(e, VR_BAD_MAP, -EINVAL, -1, "direct value offset of %u is not allowed", off);
	if (!row || !(row->ops & SPEC_MAP_DIRECT_VALUE))
		return vfy_reject(e, VR_BAD_MAP, -EINVAL, -1, "no direct value access support for this map type");
	if (m->max_entries != 1 || off >= m->value_size)
		return vfy_reject(e, VR_BAD_MAP, m->max_entries != 1 ? -ENOTSUPP : -EINVAL, -1,
				  "invalid access to map value pointer, value_size=%u off=%u", m->value_size, off);
	e->aux[i].direct_off = off;
	return 0;
}

static int map_usable(struct vfy_env *e, const struct vfy_map *m)
{
	const struct spec_map *row = spec_map(m->type);

	if (row && (row->ops & SPEC_MAP_PERCPU))
		e->out->image_flags |= IMG_F_NEEDS_CPU;
	if (m->inner && spec_map(m->inner->type) && (spec_map(m->inner->type)->ops & SPEC_MAP_PERCPU))
		e->out->image_flags |= IMG_F_NEEDS_CPU;
	return vfy_record_usable(e, m);
}

static int ld_imm64(struct vfy_env *e, u32 i)
{
	const struct bpf_insn *in = &e->insns[i];
	const struct vfy_map *m;
	int err;

	if (i == e->cnt - 1 || in[1].code || in[1].dst_reg || in[1].src_reg || in[1].off)
		return vfy_reject(e, VR_BAD_INSN, -EINVAL, -1, "invalid bpf_ld_imm64 insn");
	switch (in->src_reg) {
	case 0:
	case BPF_PSEUDO_FUNC:
		return 0;
	case BPF_PSEUDO_BTF_ID:
		return vfy_unsupported(e, -1, "BPF_PSEUDO_BTF_ID");
	case BPF_PSEUDO_MAP_VALUE:
	case BPF_PSEUDO_MAP_IDX_VALUE:
		break;
	case BPF_PSEUDO_MAP_FD:
	case BPF_PSEUDO_MAP_IDX:
		if (in[1].imm == 0)
			break;
		/* fall through */
	default:
		return vfy_reject(e, VR_BAD_INSN, -EINVAL, -1, "unrecognized bpf_ld_imm64 insn");
	}
	if (in->off)
		return 0;		/* not resolved; refused when the walk gets there */
	if (in->imm < 0 || (u32)in->imm >= e->in->nr_maps)
		return vfy_reject(e, VR_BAD_MAP, -EBADF, -1, "fd %d is not pointing to valid bpf_map", in->imm);
	m = &e->in->maps[in->imm];
	if (!m->type)
		return vfy_reject(e, VR_BAD_MAP, -(int)m->max_entries, -1, "fd %d is not pointing to valid bpf_map",
				  (int)m->id);
	err = map_usable(e, m);
	if (err)
		return err;
	e->aux[i].map = m;
	if (in->src_reg == BPF_PSEUDO_MAP_VALUE || in->src_reg == BPF_PSEUDO_MAP_IDX_VALUE)
		return direct_value(e, i, m);
	return 0;
}

int vfy_pseudo_resolve(struct vfy_env *e)
{
	u8 known[32];
	int err;

	opcodes_fill(known);
	for (u32 i = 0; i < e->cnt; i++) {
		const struct bpf_insn *in = &e->insns[i];

		e->insn = i;
		if (BPF_CLASS(in->code) == BPF_LDX &&
		    ((BPF_MODE(in->code) != BPF_MEM && BPF_MODE(in->code) != BPF_MEMSX) || in->imm))
			return vfy_reject(e, VR_RESERVED, -EINVAL, -1, "BPF_LDX uses reserved fields");
		if (insn_len(in) == 2) {
			err = ld_imm64(e, i);
			if (err)
				return err;
			i++;
			continue;
		}
		if (!(known[in->code / 8] & (1 << in->code % 8)))
			return vfy_reject(e, VR_BAD_INSN, -EINVAL, -1, "unknown opcode %02x", in->code);
	}
	return 0;
}

/* LD_IMM64 when the walk reaches it. */
int vfy_ld_imm(struct vfy_env *e, const struct bpf_insn *insn)
{
	const struct vfy_aux *aux = &e->aux[e->insn];
	struct vfy_reg *d;
	int err;

	if (BPF_SIZE(insn->code) != BPF_DW)
		return vfy_reject(e, VR_BAD_INSN, -EINVAL, -1, "invalid BPF_LD_IMM insn");
	if (insn->off)
		return vfy_reject(e, VR_RESERVED, -EINVAL, -1, "BPF_LD_IMM64 uses reserved fields");
	err = vfy_check_write(e, insn->dst_reg);
	if (err)
		return err;
	d = &cur_regs(e)[insn->dst_reg];
	switch (insn->src_reg) {
	case 0:
		vfy_reg_const(d, (u64)(u32)insn[1].imm << 32 | (u32)insn->imm);
		return 0;
	case BPF_PSEUDO_FUNC: {
		s32 sub = vfy_sub_find(e, (u32)((s64)e->insn + insn->imm + 1));

		if (sub < 0)
			return vfy_reject(e, VR_BAD_CALL_DEST, -EFAULT, -1, "call to invalid destination");
		if (!e->subs[sub].func_type_id)
			return vfy_reject(e, VR_BTF, -EINVAL, -1, "missing btf func_info");
		if (e->subs[sub].linkage != BTF_FUNC_STATIC)
			return vfy_reject(e, VR_BTF, -EINVAL, -1, "callback function not static");
		vfy_reg_ptr(d, R_FUNC);
		d->subprog = (u32)sub;
		return 0;
	}
	}
	if (insn->src_reg == BPF_PSEUDO_MAP_VALUE || insn->src_reg == BPF_PSEUDO_MAP_IDX_VALUE) {
		vfy_reg_ptr(d, R_MAP_VALUE);
		d->off = (s32)aux->direct_off;
	} else {
		vfy_reg_ptr(d, R_CONST_MAP);
	}
	d->map = aux->map;
	return 0;
}
