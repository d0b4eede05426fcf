/* SPDX-License-Identifier: Apache-2.0 */
/* interp.c - the portable engine. interp_link() turns each instruction into a predecoded operation that holds the
 * address of its handler (direct threading), with helpers, maps and subprograms resolved; exec() runs them.
 * Handlers are instantiated from isa.def; their order is that of spec_insns[], so isa_find() is the decoder.
 *
 * Invariants: an interp_prog is immutable once linked, so threads and signal handlers share it. exec() allocates
 * nothing; its BPF stack is 512 bytes over all frames, which the verifier proved to be enough (checked at calls all
 * the same: an image may come from elsewhere). A tail call out of a subprogram runs the target in a nested exec(),
 * as it has a whole stack of its own.
 * Plain loads and stores are the program's own races: not instrumented for TSan. Atomics are C11 ones. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spec/isa.h"
#include "vm/insn.h"
#include "vm/vm.h"

struct iop {
	const void *h;			/* handler */
	u8 dst, src;
	s16 off;
	s32 to;				/* branches: distance in operations, from this one */
	union {
		s64 imm;
		vm_helper fn;
		const struct interp_func *func;
	};
};

/* A subprogram; what PSEUDO_FUNC addresses point to. */
struct interp_func {
	const struct interp_prog *prog;
	const struct iop *entry;
	u32 stack;
};

struct interp_prog {
	struct iop *ops;
	struct interp_func *funcs;
	u32 nr_funcs;
	void *(*tail_call)(void *ctx, void *map, u32 index, u32 *count);
};

struct frame {
	const struct iop *ret;		/* the caller's next operation, */
	const struct interp_func *func;	/* function, */
	u64 saved[5];			/* and r6 to r10 */
	u32 budget;			/* may_goto, of this frame */
};

/* ---- what handlers there are ---- */

#define EACH_ALU(name, w, src, code, off)	H_##name##_##w##_##src,
#define EACH_JMP(name, w, src, code)		H_##name##_##w##_##src,
#define ALU(name, op, off, text, forms, ...)	ISA_FORMS(forms, EACH_ALU, name, op, off)
#define END(name, ...)		H_##name,
#define JMP(name, op, ...)	ISA_JMP_FORMS(EACH_JMP, name, op)
#define CTRL(name, ...)		H_##name,
#define LDIMM64(name, ...)	H_LD_##name,
#define LDX(name, ...)		H_##name,
#define ST(name, ...)		H_##name,
#define STX(name, ...)		H_##name,
#define LDABS(name, ...)	H_##name,
#define LDIND(name, ...)	H_##name,
#define ATOMIC(name, ...)	H_##name,
#define LOADACQ(name, ...)	H_##name,
#define STOREREL(name, ...)	H_##name,
enum handler {
#include "spec/isa.def"
	H_ROWS,
	H_TAILCALL = H_ROWS,		/* what some calls become */
	H_PROBE,			/* loads that cannot fault */
	H_LAST,
};
#undef EACH_ALU
#undef EACH_JMP

/* Memory of any alignment. */
#define LOAD(type, addr)	({ type v_; memcpy(&v_, (const void *)(addr), sizeof(v_)); v_; })
#define STORE(type, addr, val)	({ type v_ = (type)(val); memcpy((void *)(addr), &v_, sizeof(v_)); })

#define EXTEND_u8	u64
#define EXTEND_u16	u64
#define EXTEND_u32	u64
#define EXTEND_u64	u64
#define EXTEND_s8	s64
#define EXTEND_s16	s64
#define EXTEND_s32	s64

#define ATOMIC_OUT_NOFETCH(m)	(void)(m)
#define ATOMIC_OUT_SRC(m)	(r[op->src] = (m))
#define ATOMIC_OUT_R0(m)	(r[0] = (m))

static void *const *handlers;

static u64 exec(const struct interp_func *f, const u64 args[5], u32 *tail_calls);

static __attribute__((noinline)) u64 run_nested(const struct interp_prog *p, u64 ctx, u32 *tail_calls)
{
	const u64 args[5] = { ctx };

	return exec(&p->funcs[0], args, tail_calls);
}

__attribute__((no_sanitize("thread")))
static u64 exec(const struct interp_func *f, const u64 args[5], u32 *tail_calls)
{
#define EACH_ALU(name, w, src, code, off)	&&do_##name##_##w##_##src,
#define EACH_JMP(name, w, src, code)		&&do_##name##_##w##_##src,
#define ALU(name, op, off, text, forms, ...)	ISA_FORMS(forms, EACH_ALU, name, op, off)
#define END(name, ...)		&&do_##name,
#define JMP(name, op, ...)	ISA_JMP_FORMS(EACH_JMP, name, op)
#define CTRL(name, ...)		&&do_##name,
#define LDIMM64(name, ...)	&&do_LD,
#define LDX(name, ...)		&&do_##name,
#define ST(name, ...)		&&do_##name,
#define STX(name, ...)		&&do_##name,
#define LDABS(name, ...)	&&do_##name,
#define LDIND(name, ...)	&&do_##name,
#define ATOMIC(name, ...)	&&do_##name,
#define LOADACQ(name, ...)	&&do_##name,
#define STOREREL(name, ...)	&&do_##name,
	static void *const labels[H_LAST] = {
#include "spec/isa.def"
		&&do_TAILCALL,
		&&do_PROBE,
	};
#undef EACH_ALU
#undef EACH_JMP
	struct frame frames[VM_MAX_FRAMES], *fr = frames;
	u8 stack[VM_STACK] __attribute__((aligned(16)));
	const struct interp_prog *next;
	const struct iop *op;
	u64 r[11] = { 0 };
	s64 ld;

	if (!f) {
		handlers = labels;
		return 0;
	}
	memcpy(&r[1], args, 5 * sizeof(u64));
	r[10] = (u64)(stack + sizeof(stack));
enter:
	if (f->stack > r[10] - (u64)stack)
		return 0;
	fr->budget = VM_MAY_GOTO_BUDGET;
	op = f->entry;
	goto *op->h;

#define NEXT		goto *(++op)->h
#define GOTO(n)		do { op += (n); goto *op->h; } while (0)
#define DST		r[op->dst]
#define SRC		r[op->src]
#define ARG_K		op->imm
#define ARG_X		SRC

#define EACH_ALU(name, w, src, code, off)						\
	do_##name##_##w##_##src:							\
		DST = isa_##name##_##w((u##w)DST, (u##w)ARG_##src);			\
		NEXT;
#define ALU(name, op, off, text, forms, ...)	ISA_FORMS(forms, EACH_ALU, name, op, off)
#define END(name, ...)									\
	do_##name:									\
		DST = isa_##name(DST);							\
		NEXT;
#define EACH_JMP(name, w, src, code)							\
	do_##name##_##w##_##src:							\
		if (isa_##name##_##w((u##w)DST, (u##w)ARG_##src))			\
			GOTO(op->to);							\
		NEXT;
#define JMP(name, op, ...)	ISA_JMP_FORMS(EACH_JMP, name, op)
#define LDX(name, code, type, ...)							\
	do_##name:									\
		DST = (u64)(EXTEND_##type)LOAD(type, SRC + op->off);			\
		NEXT;
#define ST(name, code, type, ...)							\
	do_##name:									\
		STORE(type, DST + op->off, op->imm);					\
		NEXT;
#define STX(name, code, type, ...)							\
	do_##name:									\
		STORE(type, DST + op->off, SRC);					\
		NEXT;
#define LDPKT(name, type, at)								\
	do_##name:									\
		ld = vm_ld_abs((void *)r[6], (s32)(at), sizeof(type));			\
		r[0] = ld < 0 ? 0 : (u64)ld;						\
		if (ld < 0)								\
			goto do_EXIT;							\
		NEXT;
#define LDABS(name, code, type, ...)	LDPKT(name, type, op->imm)
#define LDIND(name, code, type, ...)	LDPKT(name, type, SRC + (u64)op->imm)
#define ATOMIC(name, code, imm, type, fetch, text, group, st, expr)			\
	do_##name: {									\
		type *p = (type *)(DST + op->off), s = (type)SRC, c = (type)r[0], n;	\
		type m = __atomic_load_n(p, __ATOMIC_RELAXED);				\
		(void)s, (void)c;							\
		do {									\
			n = (expr);							\
		} while (!__atomic_compare_exchange_n(p, &m, n, true, __ATOMIC_SEQ_CST,	\
						      __ATOMIC_RELAXED));		\
		ATOMIC_OUT_##fetch(m);							\
		NEXT;									\
	}
#define LOADACQ(name, code, type, ...)							\
	do_##name:									\
		DST = __atomic_load_n((type *)(SRC + op->off), __ATOMIC_ACQUIRE);	\
		NEXT;
#define STOREREL(name, code, type, ...)							\
	do_##name:									\
		__atomic_store_n((type *)(DST + op->off), (type)SRC, __ATOMIC_RELEASE);	\
		NEXT;
#include "spec/isa.def"

do_LD:
	DST = (u64)op->imm;
	op++;				/* the second slot */
	NEXT;
do_JA:
do_JA32:
	GOTO(op->to);
do_MAYGOTO:
	if (!fr->budget)
		GOTO(op->to);
	fr->budget--;
	NEXT;
do_CALL:
do_CALL_KFN:
	r[0] = op->fn(r[1], r[2], r[3], r[4], r[5]);
	NEXT;
do_CALL_REL:
	if (fr == &frames[VM_MAX_FRAMES - 1])
		return 0;
	fr++;
	fr->ret = op + 1;
	fr->func = f;
	memcpy(fr->saved, &r[6], sizeof(fr->saved));
	r[10] -= f->stack;
	f = op->func;
	goto enter;
do_EXIT:
	if (fr == frames)
		return r[0];
	memcpy(&r[6], fr->saved, sizeof(fr->saved));
	op = fr->ret;
	f = fr->func;
	fr--;
	goto *op->h;
do_PROBE:
	DST = vm_probe_load((void *)(SRC + op->off), (u32)op->imm);
	NEXT;
do_TAILCALL:
	next = f->prog->tail_call((void *)r[1], (void *)r[2], (u32)r[3], tail_calls);
	if (!next)
		NEXT;
	if (fr != frames) {
		r[0] = run_nested(next, r[1], tail_calls);
		goto do_EXIT;
	}
	f = &next->funcs[0];
	r[10] = (u64)(stack + sizeof(stack));
	goto enter;
}

u64 interp_run(const struct interp_prog *p, void *ctx)
{
	const u64 args[5] = { (u64)ctx };
	u32 tail_calls = 0;

	return exec(&p->funcs[0], args, &tail_calls);
}

u64 interp_call(u64 func, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5)
{
	const u64 args[5] = { r1, r2, r3, r4, r5 };
	u32 tail_calls = 0;

	return exec((const struct interp_func *)func, args, &tail_calls);
}

/* ---- linking ---- */

struct linking {
	struct interp_prog *p;
	const struct bpf_insn *insns;
	u32 cnt;
	const struct image_subprog *subs;
	const struct vm_link *l;
};

static const struct interp_func *func_at(const struct linking *k, s64 insn)
{
	for (u32 i = 0; i < k->p->nr_funcs; i++)
		if (k->subs[i].insn == insn)
			return &k->p->funcs[i];
	return NULL;
}

static int link_imm64(const struct linking *k, u32 i, struct iop *op)
{
	const struct bpf_insn *in = &k->insns[i];
	u32 map;

	if (i + 1 >= k->cnt || in[1].code)
		return -EINVAL;
	switch (in->src_reg) {
	case 0:
		op->imm = (s64)insn_imm64(in);
		return 0;
	case BPF_PSEUDO_FUNC:
		op->func = func_at(k, (s64)i + 1 + in->imm);
		return op->func ? 0 : -EINVAL;
	case BPF_PSEUDO_MAP_FD:
	case BPF_PSEUDO_MAP_VALUE:
		map = k->l->map_index ? k->l->map_index(k->l->arg, (u32)in->imm) : UINT32_MAX;
		if (map == UINT32_MAX)
			return -ENOENT;
		op->imm = (s64)(in->src_reg == BPF_PSEUDO_MAP_FD ? k->l->map(k->l->arg, map) :
				k->l->map_value(k->l->arg, map, (u32)in[1].imm));
		return op->imm ? 0 : -ENOENT;
	}
	return -EINVAL;
}

static int link_call(const struct linking *k, u32 i, struct iop *op)
{
	const struct bpf_insn *in = &k->insns[i];

	if (in->src_reg == BPF_PSEUDO_CALL) {
		op->func = func_at(k, (s64)i + 1 + in->imm);
		return op->func ? 0 : -EINVAL;
	}
	if (insn_is_tail_call(in)) {
		op->h = handlers[H_TAILCALL];
		return k->l->tail_call ? 0 : -ENOENT;
	}
	op->fn = NULL;
	if (in->src_reg == 0 && k->l->helper)
		op->fn = k->l->helper(k->l->arg, (u32)in->imm);
	else if (in->src_reg == BPF_PSEUDO_KFUNC_CALL && k->l->kfunc)
		op->fn = k->l->kfunc(k->l->arg, (u32)in->imm);
	return op->fn ? 0 : -ENOENT;
}

static int link_insn(const struct linking *k, u32 i)
{
	const struct bpf_insn *in = &k->insns[i];
	struct iop *op = &k->p->ops[i];
	int row = insn_is_probe(in) ? H_PROBE : isa_find(in);

	if (row < 0 || in->dst_reg > 10 || in->src_reg > 10)
		return -EINVAL;
	*op = (struct iop) { .h = handlers[row], .dst = in->dst_reg, .src = in->src_reg,
			     .off = in->off, .imm = row == H_PROBE ? in->code : in->imm };
	if (insn_is_branch(in->code)) {
		s64 to = insn_target(in, i);

		if (to < 0 || to >= k->cnt)
			return -EINVAL;
		op->to = (s32)(to - i);
		return 0;
	}
	if (in->code == (BPF_JMP | BPF_CALL))
		return link_call(k, i, op);
	return insn_is_ldimm64(in) ? link_imm64(k, i, op) : 0;
}

static int link_all(const struct linking *k)
{
	int err;

	for (u32 i = 0; i < k->cnt; i++) {
		err = link_insn(k, i);
		if (err)
			return err;
		if (insn_is_ldimm64(&k->insns[i])) {
			i++;
			k->p->ops[i].h = handlers[H_EXIT];	/* a jump into the middle does no harm */
		}
	}
	return 0;
}

int interp_link(const struct bpf_insn *xlated, u32 cnt, const struct image_subprog *subs, u32 nr_subs,
		const struct vm_link *l, struct interp_prog **out)
{
	struct linking k = { .insns = xlated, .cnt = cnt, .subs = subs, .l = l };
	int err = insn_check_shape(xlated, cnt, subs, nr_subs);

	if (err)
		return err;
	exec(NULL, NULL, NULL);			/* publishes the handlers */
	k.p = calloc(1, sizeof(*k.p));
	if (!k.p)
		return -ENOMEM;
	k.p->ops = calloc(cnt, sizeof(*k.p->ops));
	k.p->funcs = calloc(nr_subs, sizeof(*k.p->funcs));
	if (!k.p->ops || !k.p->funcs) {
		interp_free(k.p);
		return -ENOMEM;
	}
	k.p->nr_funcs = nr_subs;
	k.p->tail_call = l->tail_call;
	for (u32 i = 0; i < nr_subs; i++)
		k.p->funcs[i] = (struct interp_func) { k.p, &k.p->ops[subs[i].insn], subs[i].stack };
	err = link_all(&k);
	if (err)
		interp_free(k.p);
	else
		*out = k.p;
	return err;
}

void interp_free(struct interp_prog *p)
{
	if (!p)
		return;
	free(p->ops);
	free(p->funcs);
	free(p);
}
