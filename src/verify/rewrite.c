/* SPDX-License-Identifier: Apache-2.0 */
/* rewrite.c - from what was accepted to what runs (IMG_XLATED): context accesses go to the internal structs, map pseudos hold
 * map ids, what no path reached is left out, jumps whose outcome is known become plain ones. Jumps and calls are
 * re-targeted through a table old -> new index. */
#include "verify/vfy.h"
#include "vm/insn.h"

struct rw {
	struct vfy_env *e;
	struct bpf_insn *out;
	u32 *orig;			/* new -> old */
	u32 *start;			/* old -> new (of the first live instruction at or behind it) */
	u32 n, cap;
};

static int emit(struct rw *w, u32 old, struct bpf_insn in)
{
	if (w->n == w->cap) {
		u32 cap = w->cap * 2;
		struct bpf_insn *o = realloc(w->out, cap * sizeof(*o));
		u32 *g;

		if (!o)
			return vfy_nomem(w->e);
		w->out = o;
		g = realloc(w->orig, cap * sizeof(*g));
		if (!g)
			return vfy_nomem(w->e);
		w->orig = g;
		w->cap = cap;
	}
	w->out[w->n] = in;
	w->orig[w->n++] = old;
	return 0;
}

static u8 size_code(u32 size)
{
	return size == 1 ? BPF_B : size == 2 ? BPF_H : size == 4 ? BPF_W : BPF_DW;
}

/* ---- context fields ---- */
static int ctx_load_converted(struct rw *w, u32 i, const struct spec_ctx_field *f)
{
	const struct bpf_insn *in = &w->e->insns[i];
	u32 size = (u32)vfy_access_size(in->code), at = (u32)in->off - f->off;
	struct bpf_insn ld = *in;
	int err;

	ld.code = (u8)(BPF_LDX | BPF_MEM | size_code(f->in_size));
	ld.off = (s16)f->in_off;
	err = emit(w, i, ld);
	if (!err && at)
		err = emit(w, i, (struct bpf_insn){ .code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = in->dst_reg,
						    .imm = (s32)at * 8 });
	if (!err && size < f->size && size < 4)
		err = emit(w, i, (struct bpf_insn){ .code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = in->dst_reg,
						    .imm = (s32)(BIT(size * 8) - 1) });
	if (!err && BPF_MODE(in->code) == BPF_MEMSX && size < 8)
		err = emit(w, i, (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = in->dst_reg,
						    .src_reg = in->dst_reg, .off = (s16)(size * 8) });
	return err;
}

/* A field that nobody fills yet, or a socket's: no engine has them, nothing leads there at run time; it reads as 0. */
static int ctx_absent(struct rw *w, u32 i)
{
	const struct bpf_insn *in = &w->e->insns[i];

	if (BPF_CLASS(in->code) == BPF_LDX)
		return emit(w, i, (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = in->dst_reg });
	return emit(w, i, (struct bpf_insn){ .code = BPF_JMP | BPF_JA });
}

static int ctx_rewrite(struct rw *w, u32 i)
{
	const struct spec_ctx_field *f = w->e->aux[i].ctx_field;
	struct bpf_insn in = w->e->insns[i];

	if (f->flags & SPEC_CF_DIRECT)
		return emit(w, i, in);
	if (!f->in_size)
		return ctx_absent(w, i);
	if (f->in_size == f->size) {
		in.off = (s16)(f->in_off + (in.off - f->off));
		return emit(w, i, in);
	}
	if (BPF_CLASS(in.code) == BPF_LDX)
		return ctx_load_converted(w, i, f);
	in.code = (u8)((in.code & ~0x18) | size_code(f->in_size));
	in.off = (s16)f->in_off;
	return emit(w, i, in);
}

/* ---- instruction by instruction ---- */
static bool is_cond(const struct bpf_insn *in)
{
	u8 class = BPF_CLASS(in->code), op = BPF_OP(in->code);

	return (class == BPF_JMP || class == BPF_JMP32) && op != BPF_JA && op != BPF_CALL && op != BPF_EXIT &&
	       op != BPF_JCOND;
}

static bool is_ja(const struct bpf_insn *in)
{
	return in->code == (BPF_JMP | BPF_JA) || in->code == (BPF_JMP32 | BPF_JA);
}

static u32 target(const struct bpf_insn *in, u32 i)
{
	return (u32)((s64)i + 1 + (in->code == (BPF_JMP32 | BPF_JA) ? in->imm : in->off));
}

/* The nearest live instruction at or behind I; dead code falls away. */
static u32 next_live(const struct vfy_env *e, u32 i)
{
	while (i < e->cnt && !e->aux[i].seen)
		i++;
	return i;
}

static int one(struct rw *w, u32 i)
{
	struct vfy_env *e = w->e;
	struct bpf_insn in = e->insns[i];

	if (is_cond(&in)) {
		u32 to = target(&in, i);

		if (!e->aux[to].seen)		/* never taken */
			return 0;
		if (!e->aux[i + 1].seen)	/* always taken */
			in = (struct bpf_insn){ .code = BPF_JMP | BPF_JA, .off = in.off };
	}
	if (is_ja(&in) && next_live(e, i + 1) == target(&in, i))
		return 0;
	if (insn_len(&in) == 2) {
		struct bpf_insn second = e->insns[i + 1];
		int err;

		if (e->aux[i].map) {
			bool value = in.src_reg == BPF_PSEUDO_MAP_VALUE || in.src_reg == BPF_PSEUDO_MAP_IDX_VALUE;

			in.src_reg = value ? BPF_PSEUDO_MAP_VALUE : BPF_PSEUDO_MAP_FD;
			in.imm = (s32)e->aux[i].map->id;
			second.imm = value ? (s32)e->aux[i].direct_off : 0;
		}
		if (in.src_reg == BPF_PSEUDO_FUNC && !e->aux[(s64)i + 1 + in.imm].seen)
			in.src_reg = 0, in.imm = 0;	/* a callback that is never called is not there any more */
		err = emit(w, i, in);
		return err ? err : emit(w, i, second);
	}
	if (in.code == (BPF_JMP | BPF_CALL) && in.src_reg == BPF_PSEUDO_KFUNC_CALL)
		in.imm = (s32)(vfy_kfunc_row(e, &in) - spec_kfuncs);
	if (e->aux[i].ctx_field)
		return ctx_rewrite(w, i);
	/* our maps and tasks are not that kernel's; load-acquire has no form that cannot fault */
	if (e->aux[i].probe && (R_BASE(e->aux[i].ptr_type) == R_CONST_MAP || e->in->vmlinux_foreign ||
				BPF_CLASS(in.code) != BPF_LDX))
		e->out->image_flags |= IMG_F_STUBS;
	else if (e->aux[i].probe)
		in.code = (u8)((in.code & ~0xe0) | (BPF_MODE(in.code) == BPF_MEMSX ? INSN_PROBE_MEMSX : INSN_PROBE_MEM));
	if (type_is_sk(e->aux[i].ptr_type) && BPF_CLASS(in.code) == BPF_LDX)
		return ctx_absent(w, i);
	return emit(w, i, in);
}

static int body(struct rw *w)
{
	struct vfy_env *e = w->e;
	int err = 0;

	for (u32 i = 0; i < e->cnt && !err; i += insn_len(&e->insns[i])) {
		w->start[i] = w->n;
		if (insn_len(&e->insns[i]) == 2)
			w->start[i + 1] = w->n;
		if (e->aux[i].seen)
			err = one(w, i);
	}
	w->start[e->cnt] = w->n;
	return err;
}

static int fix_jump(struct rw *w, u32 n, u32 old)
{
	struct bpf_insn *in = &w->out[n];
	u32 to = w->start[target(&w->e->insns[old], old)];
	s64 d = (s64)to - n - 1;

	if (in->code == (BPF_JMP32 | BPF_JA)) {
		in->imm = (s32)d;
		return 0;
	}
	if (d < INT16_MIN || d > INT16_MAX) {
		if (in->code != (BPF_JMP | BPF_JA))
			return vfy_reject(w->e, VR_TOO_COMPLEX, -ERANGE, -1, NULL);
		*in = (struct bpf_insn){ .code = BPF_JMP32 | BPF_JA, .imm = (s32)d };
		return 0;
	}
	in->off = (s16)d;
	return 0;
}

static int fix_targets(struct rw *w)
{
	struct vfy_env *e = w->e;
	int err = 0;

	for (u32 n = 0; n < w->n && !err; n++) {
		struct bpf_insn *in = &w->out[n];
		u32 old = w->orig[n];

		if (n && insn_len(&w->out[n - 1]) == 2 && w->orig[n - 1] == old)
			continue;	/* second half */
		e->insn = old;
		if ((is_cond(in) || is_ja(in) || in->code == (BPF_JMP | BPF_JCOND)) && !e->aux[old].ctx_field)
			err = fix_jump(w, n, old);
		else if ((in->code == (BPF_JMP | BPF_CALL) && in->src_reg == BPF_PSEUDO_CALL) ||
			 (insn_len(in) == 2 && in->src_reg == BPF_PSEUDO_FUNC))
			in->imm = (s32)(w->start[(s64)old + e->insns[old].imm + 1] - n - 1);
	}
	return err;
}

static int subs(struct rw *w)
{
	struct vfy_env *e = w->e;
	struct vfy_out *out = e->out;

	out->subs = calloc(e->nr_subs, sizeof(*out->subs));
	if (!out->subs)
		return vfy_nomem(e);
	for (u32 i = 0; i < e->nr_subs; i++) {
		struct image_subprog *s;

		if (w->start[e->subs[i].start] == w->start[e->subs[i + 1].start])
			continue;	/* dead */
		s = &out->subs[out->nr_subs++];
		s->insn = w->start[e->subs[i].start];
		s->stack = ALIGN_UP(e->subs[i].stack_depth, 8);
	}
	return 0;
}

int vfy_rewrite(struct vfy_env *e)
{
	struct rw w = { .e = e, .cap = e->cnt + 16 };
	int err;

	w.out = malloc(w.cap * sizeof(*w.out));
	w.orig = malloc(w.cap * sizeof(*w.orig));
	w.start = calloc((size_t)e->cnt + 1, sizeof(*w.start));
	err = w.out && w.orig && w.start ? body(&w) : vfy_nomem(e);
	if (!err)
		err = fix_targets(&w);
	if (!err)
		err = subs(&w);
	free(w.start);
	if (err) {
		free(w.out);
		free(w.orig);
		return err;
	}
	e->out->xlated = w.out;
	e->out->orig = w.orig;
	e->out->xlated_cnt = w.n;
	return 0;
}
