/* SPDX-License-Identifier: Apache-2.0 */
/* cfg.c - the shape of the program before any value is looked at: where functions start, that jumps stay inside
 * their function, that every instruction is reachable, where states are remembered (prune points) and where
 * history is needed (jump points). All walks are iterative and linear. */
#include "verify/vfy.h"

/* ---- functions ---- */
s32 vfy_sub_find(struct vfy_env *e, u32 insn)
{
	for (u32 i = 0; i < e->nr_subs; i++)
		if (e->subs[i].start == insn)
			return (s32)i;
	return -ENOENT;
}

u32 vfy_sub_of(struct vfy_env *e, u32 insn)
{
	u32 lo = 0, hi = e->nr_subs;

	while (hi - lo > 1) {
		u32 mid = (lo + hi) / 2;

		if (e->subs[mid].start <= insn)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static int sub_cmp(const void *a, const void *b)
{
	const struct vfy_sub *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int sub_add(struct vfy_env *e, s64 start)
{
	if (start < 0 || start >= e->cnt)
		return vfy_reject(e, VR_BAD_CALL_DEST, -EINVAL, -1, "call to invalid destination");
	if (vfy_sub_find(e, (u32)start) >= 0)
		return 0;
	if (e->nr_subs >= MAX_SUBPROGS)
		return vfy_reject(e, VR_TOO_COMPLEX, -E2BIG, -1, "too many subprograms");
	e->subs[e->nr_subs++] = (struct vfy_sub){ .start = (u32)start };
	return 0;
}

static bool is_func_ref(const struct bpf_insn *i)
{
	return i->code == (BPF_LD | BPF_IMM | BPF_DW) && i->src_reg == BPF_PSEUDO_FUNC;
}

static bool is_call(const struct bpf_insn *i, u32 src)
{
	return i->code == (BPF_JMP | BPF_CALL) && i->src_reg == src;
}

static int subs_collect(struct vfy_env *e)
{
	int err = sub_add(e, 0);

	for (u32 i = 0; i < e->cnt && !err; i++) {
		const struct bpf_insn *in = &e->insns[i];

		if (!is_call(in, BPF_PSEUDO_CALL) && !is_call(in, BPF_PSEUDO_KFUNC_CALL) && !is_func_ref(in))
			continue;
		e->insn = i;
		if (!e->bpf_capable)
			return vfy_reject(e, VR_CAPS, -EPERM, -1,
					  "loading/calling other bpf or kernel functions are allowed for "
					  "CAP_BPF and CAP_SYS_ADMIN");
		if (is_call(in, BPF_PSEUDO_KFUNC_CALL))
			err = vfy_kfunc_add(e, in);
		else
			err = sub_add(e, (s64)i + in->imm + 1);
	}
	return err;
}

/* Jumps stay in their function, and no function runs into the next. */
static int subs_check(struct vfy_env *e)
{
	u32 sub = 0;

	for (u32 i = 0; i < e->cnt; i++) {
		const struct bpf_insn *in = &e->insns[i];
		u8 class = BPF_CLASS(in->code), op = BPF_OP(in->code);
		bool jump = (class == BPF_JMP || class == BPF_JMP32) && op != BPF_EXIT && op != BPF_CALL;
		u32 end;

		while (i >= e->subs[sub + 1].start)
			sub++;
		end = e->subs[sub + 1].start;
		e->insn = i;
		if (is_call(in, 0) && spec_helper(in->imm) &&
		    (spec_helper(in->imm)->flags & SPEC_HELPER_TAIL_CALL))
			e->subs[sub].has_tail_call = true;
		if (class == BPF_LD && (BPF_MODE(in->code) == BPF_ABS || BPF_MODE(in->code) == BPF_IND))
			e->subs[sub].has_ld_abs = true;
		if (jump) {
			s64 to = (s64)i + 1 + (in->code == (BPF_JMP32 | BPF_JA) ? in->imm : in->off);

			if (to < e->subs[sub].start || to >= end)
				return vfy_reject(e, VR_JUMP_RANGE, -EINVAL, -1,
						  "jump out of range from insn %u to %d", i, (int)to);
		}
		if (i == end - 1 && in->code != (BPF_JMP | BPF_EXIT) && in->code != (BPF_JMP | BPF_JA) &&
		    in->code != (BPF_JMP32 | BPF_JA))
			return vfy_reject(e, VR_NO_EXIT, -EINVAL, -1, "last insn is not an exit or jmp");
	}
	return 0;
}

int vfy_cfg_subprogs(struct vfy_env *e)
{
	int err = subs_collect(e);

	if (err)
		return err;
	qsort(e->subs, e->nr_subs, sizeof(e->subs[0]), sub_cmp);
	e->subs[e->nr_subs].start = e->cnt;
	if (e->log_level & 2)
		for (u32 i = 0; i < e->nr_subs; i++)
			vfy_log(e, "func#%u @%u\n", i, e->subs[i].start);
	return subs_check(e);
}

/* ---- successors ---- */
static void succ_add(struct vfy_succ *s, s64 to)
{
	s->to[s->n++] = (u32)to;
}

/* Where control goes inside the function (calls return): fall-through first. */
void vfy_cfg_succ(struct vfy_env *e, u32 i, struct vfy_succ *s)
{
	const struct bpf_insn *in = &e->insns[i];
	u8 class = BPF_CLASS(in->code), op = BPF_OP(in->code);

	s->n = 0;
	if (class != BPF_JMP && class != BPF_JMP32) {
		succ_add(s, i + insn_len(in));
	} else if (op == BPF_CALL) {
		succ_add(s, i + 1);
	} else if (op == BPF_JA) {
		succ_add(s, (s64)i + 1 + (class == BPF_JMP32 ? in->imm : in->off));
	} else if (op != BPF_EXIT) {
		succ_add(s, i + 1);
		succ_add(s, (s64)i + 1 + in->off);
	}
}

static void prune_point(struct vfy_env *e, u32 i, bool jmp)
{
	if (i >= e->cnt)
		return;
	e->aux[i].prune_point = 1;
	if (jmp)
		e->aux[i].jmp_point = 1;
}

static void mark_call(struct vfy_env *e, u32 i)
{
	const struct bpf_insn *in = &e->insns[i];
	const struct spec_helper *h = in->src_reg ? NULL : spec_helper(in->imm);

	const struct spec_kfunc *k = in->src_reg == BPF_PSEUDO_KFUNC_CALL ? vfy_kfunc_row(e, in) : NULL;

	if (k && (k->flags & SPEC_KF_ITER_NEXT)) {
		e->aux[i].iter_next = 1;
		e->aux[i].force_checkpoint = 1;
		prune_point(e, i, false);
	}
	if (k && k->fixup && (!strcmp(k->fixup, "async_callback") || !strcmp(k->fixup, "task_work")))
		prune_point(e, i, true);
	if (k && (k->flags & SPEC_KF_SLEEPABLE))
		e->subs[vfy_sub_of(e, i)].might_sleep = true;
	if (h && (h->flags & SPEC_HELPER_ASYNC_CB))
		prune_point(e, i, true);
	if (h && (h->flags & SPEC_HELPER_CALLBACK)) {
		e->aux[i].calls_callback = 1;
		e->aux[i].force_checkpoint = 1;
		prune_point(e, i, true);
	}
	if (h && (h->flags & SPEC_HELPER_PKT_CHANGE))
		e->subs[vfy_sub_of(e, i)].changes_pkt = true;
	if (h && (h->flags & SPEC_HELPER_SLEEPS))
		e->subs[vfy_sub_of(e, i)].might_sleep = true;
	prune_point(e, i + 1, true);
	if (in->src_reg == BPF_PSEUDO_CALL)
		prune_point(e, i, false);
}

static void mark_points(struct vfy_env *e, u32 i, const struct vfy_succ *s)
{
	const struct bpf_insn *in = &e->insns[i];
	u8 class = BPF_CLASS(in->code), op = BPF_OP(in->code);

	if (is_func_ref(in)) {
		prune_point(e, i + 2, true);
		return;
	}
	if (class != BPF_JMP && class != BPF_JMP32)
		return;
	if (op == BPF_CALL) {
		mark_call(e, i);
	} else if (op == BPF_JA) {
		prune_point(e, s->to[0], true);
	} else if (op != BPF_EXIT) {
		prune_point(e, i, false);
		if (op == BPF_JCOND)
			e->aux[i].force_checkpoint = 1;
		prune_point(e, s->to[1], true);
	}
}

/* ---- reachability: depth first ---- */
enum { WHITE, GREY, BLACK };

struct dfs {
	u8 *color, *edge;
	u32 *stack, n;
};

static void dfs_push(struct dfs *d, u32 i)
{
	d->color[i] = GREY;
	d->stack[d->n++] = i;
}

/* One more edge of the instruction on top; 0 when it has none left. */
static int dfs_step(struct vfy_env *e, struct dfs *d, u32 i)
{
	const struct bpf_insn *in = &e->insns[i];
	struct vfy_succ s;
	u32 k = d->edge[i]++, to;

	vfy_cfg_succ(e, i, &s);
	if (k == 0)
		mark_points(e, i, &s);
	if (k >= s.n) {
		if (k > s.n || !(is_call(in, BPF_PSEUDO_CALL) || is_func_ref(in)))
			return 0;
		to = (u32)((s64)i + in->imm + 1);
		prune_point(e, to, true);
		if (d->color[to] == WHITE)
			dfs_push(d, to);
		return 1;
	}
	to = s.to[k];
	e->insn = i;
	if (to >= e->cnt)
		return vfy_reject(e, VR_JUMP_RANGE, -EINVAL, -1, "jump out of range from insn %u to %u", i, to);
	if (d->color[to] == GREY && !e->bpf_capable)
		return vfy_reject(e, VR_BACK_EDGE, -EINVAL, -1, "back-edge from insn %u to %u", i, to);
	if (d->color[to] == WHITE)
		dfs_push(d, to);
	return 1;
}

/* Everything was reached, and no jump goes into the second half of a 16-byte instruction. */
static int all_reached(struct vfy_env *e, const struct dfs *d)
{
	for (u32 i = 0; i < e->cnt; i += insn_len(&e->insns[i])) {
		e->insn = i;
		if (d->color[i] == WHITE)
			return vfy_reject(e, VR_UNREACHABLE, -EINVAL, -1, "unreachable insn %u", i);
		if (insn_len(&e->insns[i]) == 2) {
			if (d->color[i + 1] != WHITE)
				return vfy_reject(e, VR_JUMP_RANGE, -EINVAL, -1,
						  "jump into the middle of ldimm64 insn %u", i);
			e->aux[i + 1].mid = 1;
		}
	}
	return 0;
}

static int reach(struct vfy_env *e, struct dfs *d)
{
	dfs_push(d, 0);
	while (d->n) {
		u32 i = d->stack[d->n - 1];
		int r;

		e->insn = i;
		if (BPF_CLASS(e->insns[i].code) == BPF_JMP && BPF_OP(e->insns[i].code) == BPF_JA &&
		    BPF_SRC(e->insns[i].code) == BPF_X)
			return vfy_reject(e, VR_BAD_INSN, -EINVAL, -1, NULL);
		r = dfs_step(e, d, i);
		if (r < 0)
			return r;
		if (r == 0) {
			d->color[i] = BLACK;
			d->n--;
		}
	}
	return all_reached(e, d);
}

/* What a function does its callers do. */
static void effects_merge(struct vfy_env *e)
{
	bool again = true;

	while (again) {
		again = false;
		for (u32 i = 0; i < e->cnt; i++) {
			struct vfy_sub *caller, *callee;
			s32 to;

			if (!is_call(&e->insns[i], BPF_PSEUDO_CALL) || e->aux[i].mid)
				continue;
			to = vfy_sub_find(e, (u32)((s64)i + e->insns[i].imm + 1));
			if (to < 0)
				continue;
			caller = &e->subs[vfy_sub_of(e, i)];
			callee = &e->subs[to];
			if ((callee->changes_pkt && !caller->changes_pkt) || (callee->might_sleep && !caller->might_sleep))
				again = true;
			caller->changes_pkt |= callee->changes_pkt;
			caller->might_sleep |= callee->might_sleep;
		}
	}
}

int vfy_cfg_check(struct vfy_env *e)
{
	struct dfs d = { 0 };
	int err = 0;

	d.color = calloc(e->cnt + 1, 1);
	d.edge = calloc(e->cnt, 1);
	d.stack = calloc(e->cnt, sizeof(u32));
	if (!d.color || !d.edge || !d.stack)
		err = vfy_nomem(e);
	else
		err = reach(e, &d);
	if (!err)
		effects_merge(e);
	free(d.color);
	free(d.edge);
	free(d.stack);
	return err;
}
