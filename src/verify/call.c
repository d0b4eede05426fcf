/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - calls between the program's own functions, callbacks, returns, and the depth of the call stack.
 * A static function is walked at each call with the caller's registers; a callback is walked from its helper any
 * number of times (prune.c makes that converge); a global function (func.c) is judged once by its BTF. */
#include "verify/vfy.h"

/* ---- leaving nothing behind ---- */
static const struct { size_t active; const char *name; } regions[] = {
	{ offsetof(struct vfy_state, active_irq), "bpf_local_irq_save" },
	{ offsetof(struct vfy_state, active_rcu), "bpf_rcu_read_lock" },
	{ offsetof(struct vfy_state, active_preempt), "bpf_preempt_disable" },
};

int vfy_leaks_check(struct vfy_env *e, const char *prefix, bool locks)
{
	struct vfy_state *st = e->cur;
	bool leak = false;

	if (locks && st->active_locks)
		return vfy_reject(e, VR_REGION, -EINVAL, -1, "%s cannot be used inside bpf_spin_lock-ed region", prefix);
	for (u32 i = 0; i < st->nr_refs; i++) {
		if (st->refs[i].type != REF_PTR)
			continue;
		vfy_note(e, "Unreleased reference id=%u alloc_insn=%u", st->refs[i].id, st->refs[i].insn);
		leak = true;
	}
	if (leak)
		return vfy_reject(e, VR_LEAK, -EINVAL, -1, "%s would lead to reference leak", prefix);
	for (u32 i = 0; i < ARRAY_SIZE(regions) && locks; i++)
		if (*(const u32 *)((const char *)st + regions[i].active))
			return vfy_reject(e, VR_REGION, -EINVAL, -1, "%s cannot be used inside %s-ed region", prefix,
					  regions[i].name);
	return 0;
}

/* ---- entering ---- */
static int enter(struct vfy_env *e, struct vfy_state *st, u32 subprog, u32 callsite)
{
	if (st->curframe + 1 >= MAX_FRAMES)
		return vfy_reject(e, VR_TOO_DEEP, -E2BIG, -1, "the call stack of %u frames is too deep",
				  st->curframe + 2);
	if (vfy_frame_new(e, st, (s32)callsite, st->curframe + 1, subprog))
		return -ENOMEM;
	st->curframe++;
	e->scratched_regs = ~0u;	/* a new frame is printed whole */
	e->scratched_slots = ~0ull;
	return 0;
}

int vfy_call_callback(struct vfy_env *e, const struct bpf_insn *insn, u32 idx, u32 subprog,
		      int (*set)(struct vfy_env *e, struct vfy_frame *caller, struct vfy_frame *callee))
{
	struct vfy_state *cb;
	int err;

	e->subs[subprog].is_cb = true;
	cb = vfy_push(e, e->subs[subprog].start, idx, false);
	if (!cb)
		return e->err_code;
	err = enter(e, cb, subprog, idx);
	if (!err)
		err = set(e, cb->frame[cb->curframe - 1], cb->frame[cb->curframe]);
	if (err)
		return err;
	cb->cb_unroll_depth++;
	cb->frame[cb->curframe - 1]->cb_depth++;
	cur_frame(e)->cb_depth = 0;
	return 0;
}

int vfy_call_func(struct vfy_env *e, const struct bpf_insn *insn, u32 *idx)
{
	u32 target = (u32)((s64)*idx + insn->imm + 1);
	s32 sub = vfy_sub_find(e, target);
	struct vfy_frame *caller = cur_frame(e), *callee;
	int err;

	if (sub < 0)
		return vfy_reject(e, VR_BAD_CALL_DEST, -EFAULT, -1, "call to invalid destination");
	if (e->subs[sub].global && e->cur->active_locks) {
		vfy_note(e, "global function calls are not allowed while holding a lock,");
		return vfy_reject(e, VR_REGION, -EINVAL, -1, "use static function instead");
	}
	if (e->subs[sub].global)
		return vfy_call_global(e, (u32)sub, idx);
	err = enter(e, e->cur, (u32)sub, *idx);
	if (err)
		return err;
	callee = cur_frame(e);
	for (u32 i = 1; i <= 5; i++)
		callee->regs[i] = caller->regs[i];
	vfy_caller_saved_clear(e, caller->regs);
	*idx = target;
	if (e->log_level & 3) {
		vfy_log(e, "caller:\n");
		vfy_state_print(e, e->cur, caller->frameno, true);
		vfy_log(e, "callee:\n");
		vfy_state_print(e, e->cur, e->cur->curframe, true);
	}
	return 0;
}

/* ---- returning ---- */
static int callback_result(struct vfy_env *e, struct vfy_frame *callee)
{
	const struct vfy_reg *r0 = &callee->regs[0];
	int err;

	if (r0->type != R_SCALAR)
		return vfy_reject(e, VR_RETURN, -EACCES, 0, "R0 not a scalar value");
	err = vfy_precise(e, 0);
	return err ? err : vfy_ret_range(e, r0, callee->cb_ret, "At callback return", "R0");
}

int vfy_func_exit(struct vfy_env *e, u32 *idx)
{
	struct vfy_state *st = e->cur, *prev;
	struct vfy_frame *callee = cur_frame(e), *caller = st->frame[st->curframe - 1];
	bool cb = callee->in_callback;
	int err;

	if (R_BASE(callee->regs[0].type) == R_STACK)
		return vfy_reject(e, VR_RETURN, -EINVAL, 0, "cannot return stack pointer to the caller");
	if (cb) {
		err = callback_result(e, callee);
		if (err)
			return err;
	} else {
		caller->regs[0] = callee->regs[0];
	}
	*idx = (u32)callee->callsite + !cb;
	if (e->log_level & 3) {
		vfy_log(e, "returning from callee:\n");
		vfy_state_print(e, st, callee->frameno, true);
		vfy_log(e, "to caller at %u:\n", *idx);
		vfy_state_print(e, st, caller->frameno, true);
	}
	vfy_frame_free(callee);
	st->frame[st->curframe--] = NULL;
	if (cb) {
		for (prev = st->parent; prev && !vfy_same_place(prev, st, *idx); prev = prev->parent)
			;
		if (prev)
			vfy_widen(e, prev, st);
	}
	return 0;
}

/* ---- depth of all call chains ---- */
static u32 rounded(u32 depth)
{
	return ALIGN_UP(depth, 16u);
}

struct chain {
	u32 sub[MAX_FRAMES], at[MAX_FRAMES], n;
};

static int chain_enter(struct vfy_env *e, struct chain *c, u32 sub, u32 *depth)
{
	const struct vfy_sub *s = &e->subs[sub];

	if (s->has_tail_call && *depth >= 256 && c->n)
		return vfy_reject(e, VR_STACK_DEPTH, -EACCES, -1,
				  "tail_calls are not allowed when call stack of previous frames is %u bytes. "
				  "Too large", *depth);
	if (c->n == MAX_FRAMES)
		return vfy_reject(e, VR_TOO_DEEP, -E2BIG, -1, "the call stack of %u frames is too deep !",
				  c->n);
	c->sub[c->n] = sub;
	c->at[c->n++] = s->start;
	*depth += rounded(s->stack_depth);
	if (*depth > MAX_STACK)
		return vfy_reject(e, VR_STACK_DEPTH, -EACCES, -1,
				  "combined stack size of %u calls is %u. Too large", c->n, *depth);
	e->out->max_stack = MAX(e->out->max_stack, *depth);
	return 0;
}

/* Every chain of calls that starts at FIRST, callbacks included. */
static int chains_from(struct vfy_env *e, u32 first, u32 *budget)
{
	struct chain c = { .n = 0 };
	u32 depth = 0;
	int err = chain_enter(e, &c, first, &depth);

	while (!err && c.n) {
		u32 sub = c.sub[c.n - 1], i = c.at[c.n - 1]++;
		const struct bpf_insn *in = &e->insns[i];
		bool call, func;
		s32 to;

		*budget -= *budget > 0;
		if (i >= e->subs[sub + 1].start) {
			depth -= rounded(e->subs[sub].stack_depth);
			c.n--;
			continue;
		}
		call = in->code == (BPF_JMP | BPF_CALL) && in->src_reg == BPF_PSEUDO_CALL;
		func = in->code == (BPF_LD | BPF_IMM | BPF_DW) && in->src_reg == BPF_PSEUDO_FUNC && !e->aux[i].mid;
		if ((!call && !func) || e->aux[i].mid)
			continue;
		if (!*budget)
			return vfy_reject(e, VR_TOO_COMPLEX, -E2BIG, -1, "too many call chains");
		to = vfy_sub_find(e, (u32)((s64)i + in->imm + 1));
		if (to >= 0 && func && e->subs[to].is_async_cb)
			continue;	/* has a stack of its own, later */
		if (to >= 0)
			err = chain_enter(e, &c, (u32)to, &depth);
	}
	return err;
}

int vfy_stack_depths(struct vfy_env *e)
{
	u32 budget = 50000000;
	int err = chains_from(e, 0, &budget);

	for (u32 i = 1; i < e->nr_subs && !err; i++)
		if (e->subs[i].is_async_cb)
			err = chains_from(e, i, &budget);
	return err;
}
