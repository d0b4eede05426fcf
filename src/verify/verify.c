/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c - the driver: checks of the whole program in the kernel's order (its first complaint decides the errno), then the
 * walk over all paths of the main program and of each global function, then what needs all of them. */
#include <time.h>

#include "verify/vfy.h"

/* ---- one instruction ---- */
enum step { STEP_NEXT, STEP_JUMPED, STEP_EXIT };

static int do_exit_insn(struct vfy_env *e, const struct bpf_insn *in, u32 *idx, bool *print)
{
	int err;

	if (BPF_SRC(in->code) != BPF_K || in->imm || in->src_reg || in->dst_reg || BPF_CLASS(in->code) == BPF_JMP32)
		return vfy_reject(e, VR_RESERVED, -EINVAL, -1, "BPF_EXIT uses reserved fields");
	if (e->cur->curframe) {
		*print = true;
		err = vfy_func_exit(e, idx);
		return err ? err : STEP_JUMPED;
	}
	err = vfy_leaks_check(e, "BPF_EXIT instruction in main prog", true);
	if (!err)
		err = vfy_exit_check(e);
	return err ? err : STEP_EXIT;
}

static int do_call(struct vfy_env *e, const struct bpf_insn *in, u32 *idx)
{
	int err;

	if (BPF_SRC(in->code) != BPF_K || (in->src_reg != BPF_PSEUDO_KFUNC_CALL && in->off) ||
	    in->src_reg > BPF_PSEUDO_KFUNC_CALL || in->dst_reg || BPF_CLASS(in->code) == BPF_JMP32)
		return vfy_reject(e, VR_RESERVED, -EINVAL, -1, "BPF_CALL uses reserved fields");
	err = vfy_lock_call_ok(e, in);
	if (err)
		return err;
	if (in->src_reg == BPF_PSEUDO_CALL) {
		err = vfy_call_func(e, in, idx);
		return err ? err : STEP_JUMPED;
	}
	err = in->src_reg == BPF_PSEUDO_KFUNC_CALL ? vfy_call_kfunc(e, in) : vfy_call_helper(e, in);
	return err ? err : STEP_NEXT;
}

static int do_jmp(struct vfy_env *e, const struct bpf_insn *in, u32 *idx, bool *print)
{
	u8 op = BPF_OP(in->code);
	bool wide = BPF_CLASS(in->code) == BPF_JMP;
	int err;

	e->jmps++;
	if (op == BPF_CALL)
		return do_call(e, in, idx);
	if (op == BPF_EXIT)
		return do_exit_insn(e, in, idx, print);
	if (op == BPF_JA) {
		if (BPF_SRC(in->code) != BPF_K || in->src_reg || in->dst_reg || (wide && in->imm) ||
		    (!wide && in->off))
			return vfy_reject(e, VR_RESERVED, -EINVAL, -1, "BPF_JA uses reserved fields");
		*idx = (u32)((s64)*idx + 1 + (wide ? in->off : in->imm));
		return STEP_JUMPED;
	}
	err = vfy_jmp_cond(e, in, idx);
	return err ? err : STEP_JUMPED;
}

static int do_ld(struct vfy_env *e, const struct bpf_insn *in, u32 *idx)
{
	u8 mode = BPF_MODE(in->code);
	int err;

	if (mode == BPF_ABS || mode == BPF_IND) {
		err = vfy_ld_abs(e, in);
		return err ? err : STEP_NEXT;
	}
	if (mode != BPF_IMM)
		return vfy_reject(e, VR_BAD_INSN, -EINVAL, -1, "invalid BPF_LD mode");
	err = vfy_ld_imm(e, in);
	*idx += 2;
	return err ? err : STEP_JUMPED;
}

static int do_insn(struct vfy_env *e, u32 *idx, bool *print)
{
	const struct bpf_insn *in = &e->insns[*idx];
	int err;

	switch (BPF_CLASS(in->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		err = vfy_alu(e, in);
		break;
	case BPF_LDX:
		err = vfy_load(e, in, false, BPF_MODE(in->code) == BPF_MEMSX);
		break;
	case BPF_STX:
		if (BPF_MODE(in->code) == BPF_ATOMIC) {
			err = vfy_atomic(e, in);
			break;
		}
		/* fall through */
	case BPF_ST:
		err = vfy_store(e, in);
		break;
	case BPF_LD:
		return do_ld(e, in, idx);
	default:
		return do_jmp(e, in, idx, print);
	}
	return err ? err : STEP_NEXT;
}

/* ---- all paths from the current state ---- */
static void from_to(struct vfy_env *e)
{
	vfy_log(e, "\nfrom %d to %u%s:", (int)e->prev_insn, e->insn,
		e->cur->speculative ? " (speculative execution)" : "");
}

/* 1: the path ends here, 0: go on with the instruction. */
static int before_insn(struct vfy_env *e, bool *print)
{
	int r;

	if (e->insn >= e->cnt)
		return vfy_reject(e, VR_JUMP_RANGE, -EFAULT, -1, "invalid insn idx %u insn_cnt %u", e->insn, e->cnt);
	if (++e->processed > MAX_INSNS) {
		e->processed = MAX_INSNS + 1;
		return vfy_reject(e, VR_TOO_COMPLEX, -E2BIG, -1, "BPF program is too large. Processed %u insn",
				  e->processed);
	}
	e->cur_hist = 0;
	e->cur->last_insn = e->prev_insn;
	e->cur->insn = e->insn;
	if (e->aux[e->insn].prune_point) {
		r = vfy_visit(e);
		if (r == 1 && (e->log_level & 3)) {
			if (*print) {
				from_to(e);
				vfy_log(e, " safe\n");
			} else {
				vfy_log(e, "%u: safe\n", e->insn);
			}
		}
		if (r)
			return r;
	}
	if (e->aux[e->insn].jmp_point) {
		r = vfy_hist_push(e, 0, 0);
		if (r)
			return r;
	}
	if ((e->log_level & 3) && *print) {
		from_to(e);
		vfy_state_print(e, e->cur, e->cur->curframe, true);
		*print = false;
	}
	if (e->log_level & 3)
		vfy_insn_log(e);
	e->aux[e->insn].seen = 1;
	return 0;
}

static int next_path(struct vfy_env *e, bool *print)
{
	int err;

	e->scratched_regs = ~0u;
	e->scratched_slots = ~0ull;
	err = vfy_branches_done(e, e->cur);
	if (err)
		return err;
	err = vfy_pop(e, !(e->log_level & 2));
	*print = true;
	return err;
}

static int walk(struct vfy_env *e)
{
	bool print = false;
	int r;

	for (;;) {
		r = before_insn(e, &print);
		if (r < 0)
			return r;
		if (r == 0) {
			u32 next = e->insn;

			r = do_insn(e, &next, &print);
			if (r < 0)
				return r;
			if (r != STEP_EXIT) {
				e->prev_insn = e->insn;
				e->insn = r == STEP_JUMPED ? next : e->insn + 1;
				continue;
			}
		}
		r = next_path(e, &print);
		if (r == -ENOENT)
			return 0;
		if (r)
			return r;
	}
}

static void walk_cleanup(struct vfy_env *e)
{
	while (e->pending) {
		struct vfy_pending *p = e->pending;

		e->pending = p->next;
		vfy_state_drop(&p->st);
		free(p);
	}
	e->nr_pending = 0;
	for (u32 i = 0; i <= e->cnt; i++) {
		struct vfy_list *l = i < e->cnt ? e->seen[i] : e->dead, *next;

		for (; l; l = next) {
			next = l->next;
			vfy_state_drop(&l->st);
			free(l);
		}
		if (i < e->cnt)
			e->seen[i] = NULL;
	}
	e->dead = NULL;
	vfy_backedges_free(e);
	if (e->cur) {
		vfy_state_drop(e->cur);
		free(e->cur);
		e->cur = NULL;
	}
}

static int walk_sub(struct vfy_env *e, u32 sub)
{
	u64 log_at = e->out->log_dropped + e->out->log.len;
	int err;

	e->cur = calloc(1, sizeof(*e->cur));
	if (!e->cur || vfy_frame_new(e, e->cur, -1, 0, sub))
		return vfy_nomem(e);
	e->cur->branches = 1;
	e->cur->in_sleepable = e->in->prog_flags & BPF_F_SLEEPABLE;
	e->insn = e->subs[sub].start;
	e->prev_insn = (u32)-1;
	e->cur->first_insn = e->insn;
	e->cur->last_insn = (u32)-1;
	e->prev_linfo = -1;
	e->scratched_regs = e->scratched_slots = 0;
	if (sub) {
		err = vfy_sub_entry(e, sub, cur_regs(e));
		if (err)
			return err;
	} else {
		vfy_reg_ptr(&cur_regs(e)[1], R_CTX);
	}
	e->scratched_regs = ~0u;
	err = walk(e);
	if (err)
		return err;
	if (!(e->log_level & 2))
		vfy_log_reset(e, log_at);
	walk_cleanup(e);
	return 0;
}

/* Global functions that a checked function calls, until none is left. */
static int walk_globals(struct vfy_env *e)
{
	bool again = true;

	while (again) {
		again = false;
		for (u32 i = 1; i < e->nr_subs; i++) {
			int err;

			if (!e->subs[i].global || !e->subs[i].called || e->subs[i].verified)
				continue;
			if (e->log_level & 3)
				vfy_log(e, "Validating %s() func#%u...\n", e->subs[i].name, i);
			err = walk_sub(e, i);
			if (err)
				return err;
			e->subs[i].verified = true;
			if (e->log_level & 3)
				vfy_log(e, "Func#%u ('%s') is safe for any args that match its prototype\n", i,
					e->subs[i].name);
			again = true;
		}
	}
	return 0;
}

/* ---- the program ---- */
static void rights(struct vfy_env *e)
{
	u32 caps = e->in->caps;
	bool admin = caps & VFY_CAP_SYS_ADMIN, perfmon = admin || (caps & VFY_CAP_PERFMON);

	e->bpf_capable = admin || (caps & VFY_CAP_BPF);
	e->allow_ptr_leaks = e->allow_uninit_stack = e->bypass_spec = perfmon;
	e->test_freq = (e->in->prog_flags & BPF_F_TEST_STATE_FREQ) && perfmon;
	e->strict_align = e->in->prog_flags & BPF_F_STRICT_ALIGNMENT;
}

static int check(struct vfy_env *e)
{
	int err = vfy_btf_early(e);

	if (!err)
		err = vfy_cfg_subprogs(e);
	if (!err)
		err = vfy_btf_check(e);
	if (!err)
		err = vfy_pseudo_resolve(e);
	if (!err)
		err = vfy_cfg_check(e);
	if (!err)
		err = vfy_attach_check(e);
	if (!err)
		err = vfy_cfg_live(e);
	if (!err)
		err = walk_sub(e, 0);
	if (!err)
		err = walk_globals(e);
	if (!err)
		err = vfy_stack_depths(e);
	if (!err)
		err = vfy_rewrite(e);
	return err;
}

static int env_init(struct vfy_env *e, const struct vfy_in *in, struct vfy_out *out)
{
	e->in = in;
	e->out = out;
	e->log_level = in->log_level;
	e->prog = spec_prog(in->prog_type);
	e->cnt = in->cnt;
	if (!e->prog || !in->cnt || in->cnt > MAX_INSNS)
		return !e->prog ? -EINVAL : -E2BIG;
	e->insns = malloc((size_t)in->cnt * sizeof(*e->insns));
	e->aux = calloc((size_t)in->cnt + 1, sizeof(*e->aux));
	e->seen = calloc(in->cnt, sizeof(*e->seen));
	if (!e->insns || !e->aux || !e->seen)
		return -ENOMEM;
	memcpy(e->insns, in->insns, (size_t)in->cnt * sizeof(*e->insns));
	rights(e);
	return 0;
}

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

static void results(struct vfy_env *e)
{
	struct vfy_out *out = e->out;

	out->verified_insns = e->processed;
	out->max_states_per_insn = e->max_states;
	out->total_states = e->total_states;
	out->peak_states = e->peak_states;
}

int vfy_check(const struct vfy_in *in, struct vfy_out *out)
{
	struct vfy_env *e = calloc(1, sizeof(*e));
	u64 t0 = now_ns();
	int err;

	memset(out, 0, sizeof(*out));
	out->reason.insn = out->reason.reg = -1;
	if (!e)
		return -ENOMEM;
	err = env_init(e, in, out);
	if (!err)
		err = check(e);
	if (!err && (e->oom || out->log.err))
		err = -ENOMEM;
	out->time_ns = now_ns() - t0;
	if (err)
		vfy_reason_finish(e, err);
	results(e);
	vfy_stats_print(e);
	vfy_records_free(e);
	if (e->seen)
		walk_cleanup(e);
	sbuf_free(&e->err);
	free(e->insns);
	free(e->aux);
	free(e->seen);
	free(e);
	return err;
}

void vfy_out_free(struct vfy_out *out)
{
	free(out->xlated);
	free(out->orig);
	free(out->subs);
	free(out->reason.path);
	sbuf_free(&out->log);
	memset(out, 0, sizeof(*out));
}
