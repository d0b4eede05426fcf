/* SPDX-License-Identifier: Apache-2.0 */
/* exit.c - leaving the program: what R0 may be (rows of progs.def and attach.def), and LD_ABS/LD_IND, which may
 * leave it too. */
#include "verify/vfy.h"

int vfy_ret_range(struct vfy_env *e, const struct vfy_reg *r, struct vfy_retrange range, const char *ctx,
		  const char *name)
{
	struct sbuf b = { 0 };
	int err;

	if (range.w32 ? r->s.s32_min >= range.min && r->s.s32_max <= range.max :
			r->s.smin >= range.min && r->s.smax <= range.max)
		return 0;
	sbuf_printf(&b, "%s the register %s has", ctx, name);
	if (r->s.smin > INT64_MIN)
		sbuf_printf(&b, " smin=%lld", (long long)r->s.smin);
	if (r->s.smax < INT64_MAX)
		sbuf_printf(&b, " smax=%lld", (long long)r->s.smax);
	if (r->s.smin == INT64_MIN && r->s.smax == INT64_MAX)
		sbuf_puts(&b, " unknown scalar value");
	err = vfy_reject(e, VR_RETURN, -EINVAL, 0, "%s should have been in [%lld, %lld]", b.s ? b.s : "",
			 (long long)range.min, (long long)range.max);
	sbuf_free(&b);
	return err;
}

/* R0 at the end of the program (or of a global function judged on its own). */
int vfy_exit_check(struct vfy_env *e)
{
	const struct vfy_reg *r0 = &cur_regs(e)[0];
	struct vfy_retrange range = { 0 };
	u32 sub = cur_frame(e)->subprog;
	int err;

	if (sub && e->subs[sub].returns_void)
		return 0;
	err = vfy_check_read(e, 0);
	if (err)
		return err;
	if (r0->type != R_SCALAR && !e->allow_ptr_leaks)
		return vfy_reject(e, VR_PTR_LEAK, -EACCES, 0, "R%d leaks addr as return value", 0);
	if (cur_frame(e)->in_async_callback) {
		if (r0->type != R_SCALAR)
			return vfy_reject(e, VR_RETURN, -EINVAL, 0, "%s the register R%d is not a known value (%s)",
					  "At async callback return", 0, vfy_type_str(e, r0->type));
		err = vfy_precise(e, 0);
		return err ? err : vfy_ret_range(e, r0, cur_frame(e)->cb_ret, "At async callback return", "R0");
	}
	if (sub) {
		if (r0->type != R_SCALAR)
			return vfy_reject(e, VR_RETURN, -EINVAL, 0,
					  "At subprogram exit the register R%d is not a scalar value (%s)", 0,
					  vfy_type_str(e, r0->type));
		return 0;
	}
	if (!vfy_hook_range(e, &range) &&
	    !spec_ret_range(e->in->prog_type, e->in->attach_type, &range.min, &range.max))
		return 0;
	if (r0->type != R_SCALAR)
		return vfy_reject(e, VR_RETURN, -EINVAL, 0, "%s the register R%d is not a known value (%s)",
				  "At program exit", 0, vfy_type_str(e, r0->type));
	err = vfy_precise(e, 0);
	return err ? err : vfy_ret_range(e, r0, range, "At program exit", "R0");
}

int vfy_ld_abs(struct vfy_env *e, const struct bpf_insn *insn)
{
	bool ind = BPF_MODE(insn->code) == BPF_IND;
	int err;

	if (!(e->prog->flags & SPEC_PROG_LD_ABS))
		return vfy_reject(e, VR_LD_ABS, -EINVAL, -1,
				  "BPF_LD_[ABS|IND] instructions not allowed for this program type");
	if (insn->dst_reg || insn->off || BPF_SIZE(insn->code) == BPF_DW || (!ind && insn->src_reg))
		return vfy_reject(e, VR_RESERVED, -EINVAL, -1, "BPF_LD_[ABS|IND] uses reserved fields");
	err = vfy_check_read(e, 6);
	if (!err)
		err = vfy_leaks_check(e, "BPF_LD_[ABS|IND]", true);
	if (err)
		return err;
	if (cur_regs(e)[6].type != R_CTX)
		return vfy_reject(e, VR_LD_ABS, -EINVAL, 6, "at the time of BPF_LD_ABS|IND R6 != pointer to skb");
	err = ind ? vfy_check_read(e, insn->src_reg) : 0;
	if (!err)
		err = vfy_ptr_off_const(e, &cur_regs(e)[6], 6);
	if (err)
		return err;
	vfy_caller_saved_clear(e, cur_regs(e));
	vfy_reg_unknown(e, &cur_regs(e)[0]);
	return 0;
}
