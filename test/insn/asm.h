/* SPDX-License-Identifier: Apache-2.0 */
/* asm.h - a small assembler for tests. It reads what vm/disasm.c prints (with or without the "(bf) " in front), so that
 * text -> instructions -> text is the identity, and a little more:
 *	label:				a label of its own line
 *	goto label, call label		instead of pc+N
 *	r1 = map#ID			LD_IMM64 with BPF_PSEUDO_MAP_FD, imm = ID
 *	r1 = map#ID+OFF			BPF_PSEUDO_MAP_VALUE
 *	r1 = func label			BPF_PSEUDO_FUNC
 * Instructions end with ';' or a newline; '#' at the start of a line begins a comment. As in the kernel's text, a
 * hexadecimal right-hand side is LD_IMM64 and a decimal one MOV. */
#ifndef SKEP_TEST_INSN_ASM_H
#define SKEP_TEST_INSN_ASM_H

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "vm/insn.h"

#define ASM_LABELS	64

struct asm_state {
	const char *p;			/* cursor */
	struct bpf_insn *out;
	int n, max;
	char line[160];
	struct { char name[24]; int at; } label[ASM_LABELS];
	int nr_labels;
	struct { char name[24]; int insn; } ref[ASM_LABELS];
	int nr_refs;
	const char *err;
};

static void asm_blank(struct asm_state *s)
{
	while (*s->p == ' ' || *s->p == '\t')
		s->p++;
}

/* Next comes TEXT (blanks in TEXT match any number)? Then go past it. */
static bool asm_eat(struct asm_state *s, const char *text)
{
	const char *was = s->p;

	for (; *text; text++) {
		asm_blank(s);
		if (*text == ' ')
			continue;
		if (*s->p != *text) {
			s->p = was;
			return false;
		}
		s->p++;
	}
	return true;
}

/* A whole word. */
static bool asm_word(struct asm_state *s, const char *word)
{
	const char *was = s->p;

	if (asm_eat(s, word) && !isalnum((unsigned char)*s->p) && *s->p != '_')
		return true;
	s->p = was;
	return false;
}

static void asm_fail(struct asm_state *s, const char *why)
{
	if (!s->err)
		s->err = why;
}

static void asm_want(struct asm_state *s, const char *text)
{
	if (!asm_eat(s, text))
		asm_fail(s, text);
}

static long long asm_num(struct asm_state *s)
{
	char *end;
	long long v;

	asm_blank(s);
	if (*s->p == '-')
		v = strtoll(s->p, &end, 0);
	else
		v = (long long)strtoull(s->p + (*s->p == '+'), &end, 0);
	if (end == s->p)
		asm_fail(s, "number expected");
	s->p = end;
	return v;
}

static int asm_reg(struct asm_state *s, char *kind)
{
	char k, *end;
	long r;

	asm_blank(s);
	k = *s->p;
	if ((k != 'r' && k != 'w') || !isdigit((unsigned char)s->p[1]))
		return -1;
	r = strtol(s->p + 1, &end, 10);
	if (isalnum((unsigned char)*end) || r > 10)
		return -1;
	s->p = end;
	if (kind)
		*kind = k;
	return (int)r;
}

static int asm_need_reg(struct asm_state *s)
{
	int r = asm_reg(s, NULL);

	if (r < 0)
		asm_fail(s, "register expected");
	return r < 0 ? 0 : r;
}

static void asm_put(struct asm_state *s, struct bpf_insn in)
{
	if (s->n < s->max)
		s->out[s->n++] = in;
	else
		asm_fail(s, "too many instructions");
}

static void asm_name(struct asm_state *s, char name[24])
{
	int n = 0;

	asm_blank(s);
	while ((isalnum((unsigned char)*s->p) || *s->p == '_' || *s->p == '.') && n < 23)
		name[n++] = *s->p++;
	name[n] = 0;
	if (!n)
		asm_fail(s, "name expected");
}

/* "pc+3" or a label, which is resolved later: into off, or into imm when IN takes it there. */
static int asm_target(struct asm_state *s)
{
	const char *was = s->p;

	if (asm_eat(s, "pc") && (*s->p == '+' || *s->p == '-'))
		return (int)asm_num(s);
	s->p = was;
	if (s->nr_refs == ASM_LABELS) {
		asm_fail(s, "too many references");
		return 0;
	}
	asm_name(s, s->ref[s->nr_refs].name);
	s->ref[s->nr_refs++].insn = s->n;
	return 0;
}

/* "(u32 *)": size bits of the opcode; sets *sx for s8, s16, s32. */
static int asm_size(struct asm_state *s, bool *sx)
{
	static const struct { const char *t; int size; bool sx; } sizes[] = {
		{ "u8", BPF_B, false }, { "u16", BPF_H, false }, { "u32", BPF_W, false }, { "u64", BPF_DW, false },
		{ "s8", BPF_B, true }, { "s16", BPF_H, true }, { "s32", BPF_W, true },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (!asm_word(s, sizes[i].t))
			continue;
		if (sx)
			*sx = sizes[i].sx;
		asm_want(s, "*)");
		return sizes[i].size;
	}
	asm_fail(s, "size expected");
	return 0;
}

/* "(r1 +8)" */
static void asm_addr(struct asm_state *s, int *reg, int *off)
{
	asm_want(s, "(");
	*reg = asm_need_reg(s);
	*off = (int)asm_num(s);
	asm_want(s, ")");
}

static int asm_alu_op(struct asm_state *s, int *off)
{
#define ALU(name, op, o, text, ...)						\
	if ((o) < 2 && strcmp(text, "=") && strcmp(text, "-") && text[0] != 'a' && asm_eat(s, text)) {	\
		*off = o;							\
		return op;							\
	}
#include "spec/isa.def"
	return -1;
}

static int asm_jmp_op(struct asm_state *s)
{
	int best = -1;
	size_t len = 0;

	asm_blank(s);
#define JMP(name, op, text, ...)						\
	if (!strncmp(s->p, text, strlen(text)) && strlen(text) > len) {		\
		best = op;							\
		len = strlen(text);						\
	}
#include "spec/isa.def"
	s->p += len;
	return best;
}

static void asm_cond(struct asm_state *s)
{
	char kind = 'r', kind2;
	int dst = asm_reg(s, &kind), op, src, cls;
	struct bpf_insn in = { 0 };

	op = asm_jmp_op(s);
	if (dst < 0 || op < 0)
		asm_fail(s, "condition expected");
	cls = kind == 'w' ? BPF_JMP32 : BPF_JMP;
	src = asm_reg(s, &kind2);
	in = src >= 0 ? INSN(cls | op | BPF_X, dst, src, 0, 0) :
	     INSN(cls | op | BPF_K, dst, 0, 0, (int)asm_num(s));
	asm_want(s, "goto");
	in.off = (s16)asm_target(s);
	asm_put(s, in);
}

static void asm_store(struct asm_state *s)
{
	int size, base, off, src;

	size = asm_size(s, NULL);
	asm_addr(s, &base, &off);
	asm_want(s, "=");
	src = asm_reg(s, NULL);
	if (src >= 0)
		asm_put(s, INSN(BPF_STX | BPF_MEM | size, base, src, off, 0));
	else
		asm_put(s, INSN(BPF_ST | BPF_MEM | size, base, 0, off, (int)asm_num(s)));
}

static void asm_lock(struct asm_state *s)
{
	int size, base, off, op, dummy;

	asm_want(s, "*(");
	size = asm_size(s, NULL);
	asm_addr(s, &base, &off);
	op = asm_alu_op(s, &dummy);
	asm_put(s, INSN(BPF_STX | BPF_ATOMIC | size, base, asm_need_reg(s), off, op));
}

static void asm_call(struct asm_state *s)
{
	const char *was = s->p;
	char name[24];
	int kfunc;

	kfunc = asm_eat(s, "kernel-function");
	if (!kfunc) {
		while (isalnum((unsigned char)*s->p) || *s->p == '_' || *s->p == ' ')
			s->p++;
	}
	if (*s->p == '#') {
		s->p++;
		asm_put(s, INSN(BPF_JMP | BPF_CALL, 0, kfunc ? BPF_PSEUDO_KFUNC_CALL : 0, 0, (int)asm_num(s)));
		return;
	}
	s->p = was;
	(void)name;
	asm_put(s, INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, asm_target(s)));
}

static void asm_imm64(struct asm_state *s, int dst, int pseudo, u32 lo, u32 hi)
{
	asm_put(s, INSN(INSN_LDIMM64, dst, pseudo, 0, (s32)lo));
	asm_put(s, INSN(0, 0, 0, 0, (s32)hi));
}

/* r1 = atomic64_fetch_add((u64 *)(r2 +0), r1) */
static bool asm_atomic(struct asm_state *s, int dst)
{
	static const struct { const char *name; int op; } ops[] = {
		{ "fetch_add", BPF_ADD | BPF_FETCH }, { "fetch_or", BPF_OR | BPF_FETCH },
		{ "fetch_and", BPF_AND | BPF_FETCH }, { "fetch_xor", BPF_XOR | BPF_FETCH },
		{ "xchg", BPF_XCHG }, { "cmpxchg", BPF_CMPXCHG },
	};
	const char *was = s->p;
	int size, base, off, op = -1, src;

	if (!asm_eat(s, "atomic"))
		return false;
	if (!asm_eat(s, "64_"))
		asm_want(s, "_");
	for (unsigned i = 0; i < ARRAY_SIZE(ops) && op < 0; i++)
		if (asm_word(s, ops[i].name))
			op = ops[i].op;
	if (op < 0) {
		s->p = was;
		return false;
	}
	asm_want(s, "((");
	size = asm_size(s, NULL);
	asm_addr(s, &base, &off);
	asm_want(s, op == BPF_CMPXCHG ? ",r0," : ",");
	src = asm_need_reg(s);
	asm_want(s, ")");
	if (op == BPF_CMPXCHG ? dst != 0 : dst != src)
		asm_fail(s, "wrong result register");
	asm_put(s, INSN(BPF_STX | BPF_ATOMIC | size, base, src, off, op));
	return true;
}

static void asm_load(struct asm_state *s, int dst)
{
	bool sx = false;
	int size = asm_size(s, &sx), base, off;

	if (asm_eat(s, "skb[")) {
		base = asm_reg(s, NULL);
		if (base >= 0)
			asm_want(s, "+");
		asm_put(s, INSN(BPF_LD | (base < 0 ? BPF_ABS : BPF_IND) | size, 0, base < 0 ? 0 : base, 0,
				(int)asm_num(s)));
		asm_want(s, "]");
		return;
	}
	asm_addr(s, &base, &off);
	asm_put(s, INSN(BPF_LDX | (sx ? BPF_MEMSX : BPF_MEM) | size, dst, base, off, 0));
}

static bool asm_end(struct asm_state *s, int dst)
{
#define END(name, code, imm, text, ...)						\
	if (asm_word(s, text)) {						\
		if (asm_need_reg(s) != dst)					\
			asm_fail(s, "wrong register");				\
		asm_put(s, INSN(code, dst, 0, 0, imm));				\
		return true;							\
	}
#include "spec/isa.def"
	return false;
}

static bool asm_cast(struct asm_state *s, int dst, int cls)
{
	static const struct { const char *t; int off; } casts[] = { { "(s8)", 8 }, { "(s16)", 16 }, { "(s32)", 32 } };

	for (unsigned i = 0; i < ARRAY_SIZE(casts); i++) {
		if (!asm_eat(s, casts[i].t))
			continue;
		asm_put(s, INSN(cls | BPF_MOV | BPF_X, dst, asm_need_reg(s), casts[i].off, 0));
		return true;
	}
	return false;
}

static void asm_spaces(struct asm_state *s, int dst)
{
	int src, to, from;

	asm_want(s, "(");
	src = asm_need_reg(s);
	asm_want(s, ",");
	to = (int)asm_num(s);
	asm_want(s, ",");
	from = (int)asm_num(s);
	asm_want(s, ")");
	asm_put(s, INSN(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, BPF_ADDR_SPACE_CAST, to << 16 | from));
}

static void asm_assign(struct asm_state *s, int dst, int cls)
{
	int src, base, off, size;
	const char *was = s->p;
	u64 v;
	u32 id;

	src = asm_reg(s, NULL);
	if (src >= 0) {
		asm_put(s, INSN(cls | BPF_MOV | BPF_X, dst, src, 0, 0));
	} else if (asm_eat(s, "-") && asm_reg(s, NULL) == dst) {
		asm_put(s, INSN(cls | BPF_NEG, dst, 0, 0, 0));
	} else if (s->p = was, asm_eat(s, "*(")) {
		asm_load(s, dst);
	} else if (asm_end(s, dst) || asm_atomic(s, dst) || asm_cast(s, dst, cls)) {
		return;
	} else if (asm_eat(s, "load_acquire((")) {
		size = asm_size(s, NULL);
		asm_addr(s, &base, &off);
		asm_want(s, ")");
		asm_put(s, INSN(BPF_STX | BPF_ATOMIC | size, dst, base, off, BPF_LOAD_ACQ));
	} else if (asm_eat(s, "addr_space_cast")) {
		asm_spaces(s, dst);
	} else if (asm_eat(s, "map#")) {
		id = (u32)asm_num(s);
		if (*s->p == '+')
			asm_imm64(s, dst, BPF_PSEUDO_MAP_VALUE, id, (u32)asm_num(s));
		else
			asm_imm64(s, dst, BPF_PSEUDO_MAP_FD, id, 0);
	} else if (asm_word(s, "func")) {
		asm_imm64(s, dst, BPF_PSEUDO_FUNC, (u32)asm_target(s), 0);
	} else {
		asm_blank(s);
		was = s->p;
		v = (u64)asm_num(s);
		if (was[0] == '0' && was[1] == 'x')
			asm_imm64(s, dst, 0, (u32)v, (u32)(v >> 32));
		else
			asm_put(s, INSN(cls | BPF_MOV | BPF_K, dst, 0, 0, (s32)v));
	}
}

static void asm_alu(struct asm_state *s, int dst, char kind)
{
	int cls = kind == 'w' ? BPF_ALU : BPF_ALU64, off = 0, op = asm_alu_op(s, &off), src;
	char kind2;

	if (op < 0) {
		asm_want(s, "=");
		asm_assign(s, dst, cls);
		return;
	}
	src = asm_reg(s, &kind2);
	asm_put(s, src >= 0 ? INSN(cls | op | BPF_X, dst, src, off, 0) :
		INSN(cls | op | BPF_K, dst, 0, off, (s32)asm_num(s)));
}

static void asm_insn(struct asm_state *s)
{
	int size, base, off, t, dst;
	char kind;

	if (asm_word(s, "exit")) {
		asm_put(s, INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
	} else if (asm_word(s, "goto")) {
		t = asm_target(s);
		asm_put(s, INSN(BPF_JMP | BPF_JA, 0, 0, t, 0));
	} else if (asm_word(s, "gotol")) {
		t = asm_target(s);
		asm_put(s, INSN(BPF_JMP32 | BPF_JA, 0, 0, 0, t));
	} else if (asm_word(s, "may_goto")) {
		t = asm_target(s);
		asm_put(s, INSN(BPF_JMP | BPF_JCOND, 0, 0, t, 0));
	} else if (asm_word(s, "call")) {
		asm_call(s);
	} else if (asm_word(s, "if")) {
		asm_cond(s);
	} else if (asm_word(s, "lock")) {
		asm_lock(s);
	} else if (asm_eat(s, "store_release((")) {
		size = asm_size(s, NULL);
		asm_addr(s, &base, &off);
		asm_want(s, ",");
		asm_put(s, INSN(BPF_STX | BPF_ATOMIC | size, base, asm_need_reg(s), off, BPF_STORE_REL));
		asm_want(s, ")");
	} else if (asm_eat(s, "*(")) {
		asm_store(s);
	} else if ((dst = asm_reg(s, &kind)) >= 0) {
		asm_alu(s, dst, kind);
	} else {
		asm_fail(s, "unknown instruction");
	}
}

static void asm_resolve(struct asm_state *s)
{
	for (int r = 0; r < s->nr_refs; r++) {
		struct bpf_insn *in = &s->out[s->ref[r].insn];
		int at = -1;

		for (int l = 0; l < s->nr_labels; l++)
			if (!strcmp(s->label[l].name, s->ref[r].name))
				at = s->label[l].at;
		if (at < 0) {
			asm_fail(s, "no such label");
			return;
		}
		at -= s->ref[r].insn + 1;
		if (in->code == (BPF_JMP | BPF_CALL) || in->code == (BPF_JMP32 | BPF_JA) ||
		    in->code == INSN_LDIMM64)
			in->imm = at;
		else
			in->off = (s16)at;
	}
}

/* Number of instructions, or -1 and *err. */
static __attribute__((unused)) int asm_text(const char *text, struct bpf_insn *out, int max, const char **err)
{
	struct asm_state s = { .out = out, .max = max };

	while (*text && !s.err) {
		size_t n = strcspn(text, ";\n");
		char *colon;

		snprintf(s.line, sizeof(s.line), "%.*s", (int)n, text);
		text += n + (text[n] != 0);
		s.p = s.line;
		asm_blank(&s);
		if (!*s.p || *s.p == '#')
			continue;
		colon = strchr(s.p, ':');
		if (colon && s.nr_labels < ASM_LABELS) {
			asm_name(&s, s.label[s.nr_labels].name);
			s.label[s.nr_labels++].at = s.n;
			s.p = colon + 1;
			asm_blank(&s);
			if (!*s.p)
				continue;
		}
		if (s.p[0] == '(' && isxdigit((unsigned char)s.p[1]) && s.p[3] == ')')
			s.p += 4;
		asm_insn(&s);
		asm_blank(&s);
		if (*s.p)
			asm_fail(&s, "text behind the instruction");
	}
	if (!s.err)
		asm_resolve(&s);
	if (err)
		*err = s.err;
	return s.err ? -1 : s.n;
}

#endif
