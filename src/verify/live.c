/* SPDX-License-Identifier: Apache-2.0 */
/* live.c - facts about the graph that states are compared with: which registers are live before each instruction
 * (backwards data flow, a work list: each set grows at most 11 times, so the work is linear in the edges), and
 * the loops (strongly connected components, numbered as the kernel's log numbers them). */
#include "verify/vfy.h"

#define CALLER_SAVED	0x3f
#define ARG_REGS	0x3e

static u32 call_uses(struct vfy_env *e, const struct bpf_insn *in)
{
	const struct spec_helper *h = in->src_reg ? NULL : spec_helper(in->imm);
	u32 n = 0;

	if (in->src_reg == BPF_PSEUDO_KFUNC_CALL)
		return (BIT(vfy_kfunc_nr_args(e, in) + 1) - 1) & ARG_REGS;
	if (!h)
		return ARG_REGS;
	while (n < 5 && h->arg[n] != ARG_NONE)
		n++;
	return (BIT(n + 1) - 1) & ARG_REGS;
}

static void alu_use_def(const struct bpf_insn *in, u32 *use, u32 *def)
{
	u32 dst = BIT(in->dst_reg), src = BIT(in->src_reg);

	*def = dst;
	switch (BPF_OP(in->code)) {
	case BPF_END:
	case BPF_NEG:
		*use = dst;
		break;
	case BPF_MOV:
		*use = BPF_SRC(in->code) == BPF_X ? src : 0;
		break;
	default:
		*use = BPF_SRC(in->code) == BPF_X ? dst | src : dst;
	}
}

static void stx_use_def(const struct bpf_insn *in, u32 *use, u32 *def)
{
	u32 dst = BIT(in->dst_reg), src = BIT(in->src_reg);

	*use = dst | src;
	*def = 0;
	if (BPF_MODE(in->code) != BPF_ATOMIC)
		return;
	if (in->imm == BPF_CMPXCHG) {
		*use |= BIT(0);
		*def = BIT(0);
	} else if (in->imm == BPF_LOAD_ACQ) {
		*use = src;
		*def = dst;
	} else if (in->imm != BPF_STORE_REL && (in->imm & BPF_FETCH)) {
		*def = src;
	}
}

static void jmp_use_def(struct vfy_env *e, const struct bpf_insn *in, u32 *use, u32 *def)
{
	u32 dst = BIT(in->dst_reg), src = BIT(in->src_reg);

	switch (BPF_OP(in->code)) {
	case BPF_EXIT:
		*use = BIT(0);
		break;
	case BPF_CALL:
		*def = CALLER_SAVED;
		*use = call_uses(e, in);
		break;
	case BPF_JA:
	case BPF_JCOND:
		break;
	default:
		*use = BPF_SRC(in->code) == BPF_X ? dst | src : dst;
	}
}

static void use_def(struct vfy_env *e, const struct bpf_insn *in, u32 *use, u32 *def)
{
	*use = *def = 0;
	switch (BPF_CLASS(in->code)) {
	case BPF_LD:
		if (BPF_MODE(in->code) == BPF_IMM) {
			*def = BIT(in->dst_reg);
		} else {		/* LD_ABS, LD_IND: context in R6, result in R0 */
			*def = CALLER_SAVED;
			*use = BIT(6) | (BPF_MODE(in->code) == BPF_IND ? BIT(in->src_reg) : 0);
		}
		break;
	case BPF_LDX:
		*def = BIT(in->dst_reg);
		*use = BIT(in->src_reg);
		break;
	case BPF_ST:
		*use = BIT(in->dst_reg);
		break;
	case BPF_STX:
		stx_use_def(in, use, def);
		break;
	case BPF_ALU:
	case BPF_ALU64:
		alu_use_def(in, use, def);
		break;
	default:
		jmp_use_def(e, in, use, def);
	}
}

static void live_print(struct vfy_env *e)
{
	vfy_log(e, "Live regs before insn:\n");
	for (u32 i = 0; i < e->cnt; i += insn_len(&e->insns[i])) {
		if (e->aux[i].scc)
			vfy_log(e, "%3u ", e->aux[i].scc);
		else
			vfy_log(e, "    ");
		vfy_log(e, "%3u: ", i);
		for (u32 r = 0; r < 10; r++)
			if (e->aux[i].live & BIT(r))
				vfy_log(e, "%u", r);
			else
				vfy_log(e, ".");
		vfy_log(e, " ");
		vfy_insn_print(e, i);
	}
}

/* ---- work list ---- */
struct flow {
	u32 *first, *preds;		/* predecessors of i: preds[first[i] .. first[i + 1]) */
	u32 *work, n;
	u8 *queued;
};

static void preds_fill(struct vfy_env *e, struct flow *f)
{
	struct vfy_succ s;

	for (u32 i = 0; i < e->cnt; i++) {
		if (e->aux[i].mid)
			continue;
		vfy_cfg_succ(e, i, &s);
		for (u32 k = 0; k < s.n; k++)
			f->first[s.to[k] + 1]++;
	}
	for (u32 i = 0; i < e->cnt; i++)
		f->first[i + 1] += f->first[i];
	for (u32 i = e->cnt; i-- > 0;) {
		if (e->aux[i].mid)
			continue;
		vfy_cfg_succ(e, i, &s);
		for (u32 k = 0; k < s.n; k++)
			f->preds[f->first[s.to[k]] + f->work[s.to[k]]++] = i;
	}
}

static void flow_run(struct vfy_env *e, struct flow *f)
{
	for (u32 i = 0; i < e->cnt; i++) {
		if (e->aux[i].mid)
			continue;
		f->work[f->n++] = i;	/* the last instruction is taken first */
		f->queued[i] = 1;
	}
	while (f->n) {
		u32 i = f->work[--f->n], use, def, live = 0;
		struct vfy_succ s;

		f->queued[i] = 0;
		vfy_cfg_succ(e, i, &s);
		for (u32 k = 0; k < s.n; k++)
			live |= e->aux[s.to[k]].live;
		use_def(e, &e->insns[i], &use, &def);
		live = (live & ~def) | use;
		if (live == e->aux[i].live)
			continue;
		e->aux[i].live = (u16)live;
		for (u32 k = f->first[i]; k < f->first[i + 1]; k++)
			if (!f->queued[f->preds[k]]) {
				f->queued[f->preds[k]] = 1;
				f->work[f->n++] = f->preds[k];
			}
	}
}

static int live_find(struct vfy_env *e)
{
	struct flow f = { 0 };
	int err = 0;

	f.first = calloc((size_t)e->cnt + 1, sizeof(u32));
	f.preds = calloc((size_t)e->cnt * 2, sizeof(u32));
	f.work = calloc((size_t)e->cnt, sizeof(u32));
	f.queued = calloc(e->cnt, 1);
	if (f.first && f.preds && f.work && f.queued) {
		preds_fill(e, &f);
		flow_run(e, &f);
	} else {
		err = vfy_nomem(e);
	}
	free(f.first);
	free(f.preds);
	free(f.work);
	free(f.queued);
	return err;
}

/* ---- loops: Tarjan's algorithm with an explicit stack ---- */
struct scc {
	u32 *pre, *low, *stack, *walk;
	u8 *edge;
	u32 n_stack, n_walk, next_pre, next_id;
};

static void scc_close(struct vfy_env *e, struct scc *c, u32 i)
{
	struct vfy_succ s;
	bool loop = c->stack[c->n_stack - 1] != i;

	vfy_cfg_succ(e, i, &s);
	for (u32 k = 0; k < s.n; k++)
		loop |= s.to[k] == i;
	for (;;) {
		u32 j = c->stack[--c->n_stack];

		c->low[j] = UINT32_MAX;
		if (loop)
			e->aux[j].scc = c->next_id;
		if (j == i)
			break;
	}
	if (loop)
		c->next_id++;
}

static void scc_walk(struct vfy_env *e, struct scc *c, u32 root)
{
	c->walk[c->n_walk++] = root;
	while (c->n_walk) {
		u32 i = c->walk[c->n_walk - 1];
		struct vfy_succ s;

		vfy_cfg_succ(e, i, &s);
		if (!c->pre[i]) {
			c->pre[i] = c->low[i] = ++c->next_pre;
			c->stack[c->n_stack++] = i;
		}
		if (c->edge[i] < s.n) {
			u32 to = s.to[c->edge[i]];

			if (!c->pre[to]) {
				c->walk[c->n_walk++] = to;	/* the edge is looked at again */
				continue;
			}
			c->low[i] = MIN(c->low[i], c->low[to]);
			c->edge[i]++;
			continue;
		}
		c->n_walk--;
		if (c->low[i] == c->pre[i])
			scc_close(e, c, i);
	}
}

static int scc_find(struct vfy_env *e)
{
	struct scc c = { .next_id = 1 };
	int err = 0;

	c.pre = calloc(e->cnt, 4 * sizeof(u32));
	c.edge = calloc(e->cnt, 1);
	if (c.pre && c.edge) {
		c.low = c.pre + e->cnt;
		c.stack = c.low + e->cnt;
		c.walk = c.stack + e->cnt;
		for (u32 i = 0; i < e->cnt; i++)
			if (!c.pre[i] && !e->aux[i].mid)
				scc_walk(e, &c, i);
	} else {
		err = vfy_nomem(e);
	}
	free(c.pre);
	free(c.edge);
	return err;
}

int vfy_cfg_live(struct vfy_env *e)
{
	int err = scc_find(e);

	if (!err)
		err = live_find(e);
	if (!err && (e->log_level & 2))
		live_print(e);
	return err;
}
