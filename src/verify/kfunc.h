/* SPDX-License-Identifier: Apache-2.0 */
/* kfunc.h - one call of a kernel function under judgement: kfunc.c (who may call, results), kfunc_args.c (arguments),
 * iter.c (iterators). */
#ifndef SKEP_VERIFY_KFUNC_H
#define SKEP_VERIFY_KFUNC_H

#include "verify/vfy.h"

struct kf {
	const struct spec_kfunc *k;
	const struct bpf_insn *insn;
	const struct btf *btf;
	const struct btf_type *proto;
	const char *name;		/* as in BTF */
	u32 ref_obj_id, release_regno;
	u32 r0_size;			/* memory that R0 points to, from a *_buf_size argument */
	bool r0_rdonly;
	bool has_const;
	u64 constant;			/* of a __k or __szk argument */
	u32 subprog;
	const struct vfy_map *map;
	u32 map_uid;
	u32 later;			/* SPEC_FIELD_WQ or SPEC_FIELD_TASK_WORK: the field that an argument is */
	struct { u32 id, kind, ref; } dyn;	/* the initialised dynptr among the arguments */
	struct { u32 frame, spi; } iter;
	s32 ctx_id;			/* cast_to_kern_ctx: what R0 points to */
};

/* 0; 1: not there (eliminated); the rejection. QUIET: look only. */
int kf_find(struct vfy_env *e, const struct bpf_insn *insn, struct kf *k, bool quiet);
int kf_args(struct vfy_env *e, struct kf *k);
static inline const struct btf_param *kf_params(const struct kf *k) { return (const void *)(k->proto + 1); }
static inline u32 kf_nr(const struct kf *k) { return BTF_INFO_VLEN(k->proto->info); }
static inline bool kf_is(const struct kf *k, const char *fixup)
{
	return k->k->fixup && !strcmp(k->k->fixup, fixup);
}

/* iter.c */
bool kf_arg_is_iter(const struct kf *k, u32 n);
int kf_iter_arg(struct vfy_env *e, struct kf *k, u32 regno);
int kf_iter_next(struct vfy_env *e, struct kf *k);
const struct vfy_reg *kf_iter_reg(struct vfy_env *e, const struct kf *k);

/* kptr.c */
int vfy_obj_new(struct vfy_env *e, struct kf *k);
int kf_alloc_arg(struct vfy_env *e, struct kf *k, u32 regno);

/* helper.c: what arguments of kfuncs share with those of helpers */
int vfy_arg_offset(struct vfy_env *e, u32 regno, u32 arg);
int vfy_arg_const_str(struct vfy_env *e, u32 regno);
int vfy_arg_mem_size(struct vfy_env *e, u32 regno);	/* REGNO: the size; memory in the one before */
/* func.c */
int vfy_arg_mem(struct vfy_env *e, u32 regno, u32 size);

#endif
