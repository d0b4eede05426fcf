/* SPDX-License-Identifier: Apache-2.0 */
/* insn_test.c - every instruction form by the rows of the .data files beside it, on the interpreter, the JIT, and (as root, with
 * kernel BPF) the kernel. What the lines of the files mean stands at their heads. A line is one test. */
#include <glob.h>

#include "spec/isa.h"
#include "spec/spec.h"

#include "engines.h"
#include "asm.h"

static bool touched[512];		/* rows of isa.def */
static int kernel_runs;

static void touch(const struct prog_text *p)
{
	for (u32 i = 0; i < p->cnt; i++) {
		int row = isa_find(&p->in[i]);

		if (row >= 0)
			touched[row] = true;
		i += insn_is_ldimm64(&p->in[i]);
	}
}

static void check(const char *engine, int err, u64 got, u64 want, const char *what)
{
	if (err)
		t_fail(__FILE__, __LINE__, "%s%s: error %d: %.300s", what, engine, err,
		       engine[0] == 'k' ? kernel_log : "");
	else if (got != want)
		t_fail(__FILE__, __LINE__, "%s%s: r0 is %#llx, expected %#llx", what, engine,
		       (unsigned long long)got, (unsigned long long)want);
}

static void run_all(struct prog_text *p, u64 want, bool top, bool kernel, const char *what)
{
	u64 r0 = 0;
	int err;

	find_subs(p);
	touch(p);
	err = run_interp(p, &r0);
	check("interpreter", err, top ? (u32)r0 : r0, want, what);
	err = run_jit(p, &r0);
	check("JIT", err, top ? (u32)r0 : r0, want, what);
	if (!kernel || !t_kernel_bpf())
		return;
	err = run_kernel(p, top, &r0);
	kernel_runs++;
	check("kernel", err, r0, want, what);
}

/* ---- building programs for table lines ---- */

static void put(struct prog_text *p, struct bpf_insn in)
{
	p->in[p->cnt++] = in;
}

static void put_imm64(struct prog_text *p, u32 reg, u64 v)
{
	put(p, INSN(INSN_LDIMM64, reg, 0, 0, (s32)v));
	put(p, INSN(0, 0, 0, 0, (s32)(v >> 32)));
}

#define EXIT	INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define FILL(r)	(0x0101010101010101ull * ((r) + 0x31))

/* Every register gets a value; OP runs; the result goes to the stack; the other registers must still be what they
 * were (else r0 is a value that no line expects). */
static void build_op(struct prog_text *p, struct bpf_insn op, u64 a, u64 b, bool uses_src)
{
	u32 dst = op.dst_reg, other = dst == 9 ? 8 : 9;
	u64 sum = 0;

	p->cnt = 0;
	for (u32 r = 0; r < 10; r++)
		if (r != dst && !(uses_src && r == op.src_reg))
			put_imm64(p, r, FILL(r));
	if (uses_src)
		put_imm64(p, op.src_reg, b);
	put_imm64(p, dst, a);
	put(p, op);
	put(p, INSN(BPF_STX | BPF_MEM | BPF_DW, 10, dst, -8, 0));
	put(p, INSN(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, 0));
	for (u32 r = 0; r < 10; r++) {
		if (r == dst)
			continue;
		sum += uses_src && r == op.src_reg ? b : FILL(r);
		put(p, INSN(BPF_ALU64 | BPF_ADD | BPF_X, dst, r, 0, 0));
	}
	put_imm64(p, other, sum);
	put(p, INSN(BPF_JMP | BPF_JEQ | BPF_X, dst, other, 3, 0));
	put_imm64(p, 0, 0xbadbadbadbadull);
	put(p, EXIT);
	put(p, INSN(BPF_LDX | BPF_MEM | BPF_DW, 0, 10, -8, 0));
	put(p, EXIT);
}

/* As the instruction stands in compiled code: nothing else is live, the operands may have known widths. */
static void build_plain(struct prog_text *p, struct bpf_insn op, u64 a, u64 b, bool uses_src)
{
	p->cnt = 0;
	put_imm64(p, op.dst_reg, a);
	if (uses_src && op.src_reg != op.dst_reg)
		put_imm64(p, op.src_reg, b);
	put(p, op);
	put(p, INSN(BPF_ALU64 | BPF_MOV | BPF_X, 0, op.dst_reg, 0, 0));
	put(p, EXIT);
}

static bool kernel_takes(const struct bpf_insn *op, bool imm)
{
	u8 o = BPF_OP(op->code);
	u32 w = insn_class(op->code) == BPF_ALU64 ? 64 : 32;

	if (!imm)
		return true;
	if (o == BPF_DIV || o == BPF_MOD)
		return op->imm != 0;
	if (o == BPF_LSH || o == BPF_RSH || o == BPF_ARSH)
		return op->imm >= 0 && (u32)op->imm < w;
	return true;
}

static const u8 pairs[][2] = {
	{ 0, 1 }, { 1, 0 }, { 3, 0 }, { 0, 3 }, { 4, 0 }, { 0, 4 }, { 3, 4 }, { 4, 3 }, { 6, 4 }, { 4, 6 },
	{ 5, 9 }, { 9, 5 }, { 8, 3 }, { 7, 2 },
};

/* One operation with several choices of registers; the kernel gets the first. */
static void run_op(struct bpf_insn op, u64 a, u64 b, bool uses_src, u64 want, const char *what)
{
	static struct prog_text p;

	for (u32 i = 0; i < ARRAY_SIZE(pairs); i++) {
		op.dst_reg = pairs[i][0];
		op.src_reg = uses_src ? pairs[i][1] : 0;
		build_op(&p, op, a, b, uses_src);
		run_all(&p, want, false, i == 0 && kernel_takes(&op, !uses_src), what);
		build_plain(&p, op, a, b, uses_src);
		run_all(&p, want, false, false, what);
	}
	if (!uses_src || a != b)
		return;
	for (u32 r = 0; r < 10; r++) {
		op.dst_reg = op.src_reg = (u8)r;
		build_plain(&p, op, a, b, true);
		run_all(&p, want, false, false, what);
	}
}

/* ---- the kinds of lines ---- */

struct section {
	char kind[8];
	char op[16];
};

static char *next_word(char **line)
{
	char *w;

	*line += strspn(*line, " \t");
	w = *line;
	*line += strcspn(*line, " \t");
	if (**line)
		*(*line)++ = 0;
	return w;
}

static u64 number(char **line)
{
	char *w = next_word(line);

	return w[0] == '-' ? (u64)strtoll(w, NULL, 0) : strtoull(w, NULL, 0);
}

static int alu_op(const char *text, int *off)
{
#define ALU(name, op, o, t, ...)		\
	if (!strcmp(text, t)) {			\
		*off = o;			\
		return op;			\
	}
#include "spec/isa.def"
	return -1;
}

static void alu_line(const struct section *s, char *line)
{
	u64 a = number(&line), b = number(&line), v64, v32;
	int off = 0, op = alu_op(s->op, &off);

	NEED(op >= 0 && !strcmp(next_word(&line), "=>"));
	v64 = number(&line);
	v32 = number(&line);
	run_op(INSN(BPF_ALU64 | op | BPF_X, 0, 0, off, 0), a, b, true, v64, "64 X ");
	run_op(INSN(BPF_ALU | op | BPF_X, 0, 0, off, 0), a, b, true, v32, "32 X ");
	if ((s64)b == (s32)b)
		run_op(INSN(BPF_ALU64 | op | BPF_K, 0, 0, off, (s32)b), a, b, false, v64, "64 K ");
	run_op(INSN(BPF_ALU | op | BPF_K, 0, 0, off, (s32)b), a, b, false, v32, "32 K ");
}

static void un_line(const struct section *s, char *line)
{
	u64 a = number(&line);
	int off = 0, op = alu_op(s->op, &off);
	bool neg = op == BPF_NEG;
	char *v64, *v32;

	NEED(op >= 0 && !strcmp(next_word(&line), "=>"));
	v64 = next_word(&line);
	v32 = next_word(&line);
	op |= neg ? BPF_K : BPF_X;
	if (strcmp(v64, "-"))
		run_op(INSN(BPF_ALU64 | op, 0, 0, off, 0), a, a, !neg, strtoull(v64, NULL, 0), "64 ");
	if (strcmp(v32, "-"))
		run_op(INSN(BPF_ALU | op, 0, 0, off, 0), a, a, !neg, strtoull(v32, NULL, 0), "32 ");
}

static void end_line(const struct section *s, char *line)
{
	u64 a = number(&line), v;

	NEED(!strcmp(next_word(&line), "=>"));
	v = number(&line);
#define END(name, code, imm, text, ...)	\
	if (!strcmp(text, s->op))	\
		run_op(INSN(code, 0, 0, 0, imm), a, 0, false, v, "");
#include "spec/isa.def"
}

static void run_jmp(struct bpf_insn op, u64 a, u64 b, bool uses_src, u64 taken, const char *what)
{
	static struct prog_text p;

	for (u32 i = 0; i < 6; i++) {
		op.dst_reg = pairs[i][0];
		op.src_reg = uses_src ? pairs[i][1] : 0;
		op.off = 2;
		p.cnt = 0;
		put_imm64(&p, op.dst_reg, a);
		if (uses_src)
			put_imm64(&p, op.src_reg, b);
		put(&p, op);
		put(&p, INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0));
		put(&p, EXIT);
		put(&p, INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1));
		put(&p, EXIT);
		run_all(&p, taken, false, i == 0, what);
	}
}

static void jmp_line(const struct section *s, char *line)
{
	u64 a = number(&line), b = number(&line), t64, t32;
	int op = -1;

#define JMP(name, o, text, ...)		\
	if (!strcmp(text, s->op))	\
		op = o;
#include "spec/isa.def"
	NEED(op >= 0 && !strcmp(next_word(&line), "=>"));
	t64 = number(&line);
	t32 = number(&line);
	run_jmp(INSN(BPF_JMP | op | BPF_X, 0, 0, 0, 0), a, b, true, t64, "64 X ");
	run_jmp(INSN(BPF_JMP32 | op | BPF_X, 0, 0, 0, 0), a, b, true, t32, "32 X ");
	if ((s64)b == (s32)b)
		run_jmp(INSN(BPF_JMP | op | BPF_K, 0, 0, 0, (s32)b), a, b, false, t64, "64 K ");
	run_jmp(INSN(BPF_JMP32 | op | BPF_K, 0, 0, 0, (s32)b), a, b, false, t32, "32 K ");
}

static void refused(struct prog_text *p, const char *flags)
{
	const char *src = strstr(flags, "src=");
	u64 r0;

	for (u32 i = 0; i < p->cnt && src; i++)
		if (insn_is_ldimm64(&p->in[i]))
			p->in[i].src_reg = atoi(src + 4) & 15;
	find_subs(p);
	touch(p);
	EQ(run_interp(p, &r0), -EINVAL);
	EQ(run_jit(p, &r0), -EINVAL);
}

/* text -> instructions -> text -> instructions changes nothing */
static void round_trip(const struct prog_text *p)
{
	static struct bpf_insn again[PROG_MAX];
	struct sbuf out = { 0 };
	const char *err = NULL;
	int n;

	for (u32 i = 0; i < p->cnt; i++) {
		if (insn_is_ldimm64(&p->in[i]) && p->in[i].src_reg)
			goto out;			/* pseudo sources print as plain numbers */
		disasm_insn(&out, &p->in[i], NULL);
		sbuf_puts(&out, "\n");
		i += insn_is_ldimm64(&p->in[i]);
	}
	n = asm_text(out.s, again, PROG_MAX, &err);
	if (n != (int)p->cnt || memcmp(again, p->in, p->cnt * sizeof(*again)))
		t_fail(__FILE__, __LINE__, "round trip (%s): %s", err ? err : "differs", out.s);
out:
	sbuf_free(&out);
}

static void prog_line(char *line)
{
	static struct prog_text p;
	char *text = strstr(line, " | "), *want = text ? strstr(text + 3, " | ") : NULL;
	const char *flags = "";
	char *bar = want ? strstr(want + 3, " | ") : NULL;
	const char *err = NULL;
	int n;

	NEED(want);
	*text = *want = 0;
	text += 3;
	want += 3;
	if (bar) {
		*bar = 0;
		flags = bar + 3;
	}
	n = asm_text(text, p.in, PROG_MAX, &err);
	if (n < 0) {
		t_fail(__FILE__, __LINE__, "cannot assemble: %s", err);
		return;
	}
	p.cnt = (u32)n;
	if (strstr(flags, "refused")) {
		refused(&p, flags);
		return;
	}
	round_trip(&p);
	run_all(&p, strtoull(want, NULL, 0), strstr(flags, "top"), !strstr(flags, "nokernel"), "");
}

static void one_line(struct section *s, char *line, const char *file, int nr)
{
	line[strcspn(line, "\n")] = 0;
	if (!line[0] || line[0] == '#')
		return;
	if (line[0] == '%') {
		s->op[0] = 0;
		sscanf(line + 1, "%7s %15s", s->kind, s->op);
		return;
	}
	t_row("%s:%d %s %.*s", file, nr, s->op, (int)(strstr(line, " | ") ? strstr(line, " | ") - line : (long)strlen(line)), line);
	if (!strcmp(s->kind, "alu"))
		alu_line(s, line);
	else if (!strcmp(s->kind, "un"))
		un_line(s, line);
	else if (!strcmp(s->kind, "end"))
		end_line(s, line);
	else if (!strcmp(s->kind, "jmp"))
		jmp_line(s, line);
	else if (!strcmp(s->kind, "prog"))
		prog_line(line);
	else
		t_fail(__FILE__, __LINE__, "line outside of a section");
}

static void one_file(const char *path)
{
	static char line[8192];
	struct section s = { "", "" };
	const char *base = strrchr(path, '/') + 1;
	FILE *f = fopen(path, "r");
	int nr = 0;

	NEED(f);
	while (fgets(line, sizeof(line), f))
		one_line(&s, line, base, ++nr);
	fclose(f);
}

TEST(data_files)
{
	glob_t g;

	engines_init();
	NEED(!glob("test/insn/*.data", 0, NULL, &g) && g.gl_pathc >= 5);
	for (size_t i = 0; i < g.gl_pathc; i++)
		one_file(g.gl_pathv[i]);
	globfree(&g);
	t_row("the kernel ran the rows, too");
	if (t_kernel_bpf())
		CHECK(kernel_runs > 500);
	else
		t_skip("needs root and a kernel with bpf(2)");
}

TEST(every_row_of_isa_def_is_touched)
{
	for (u32 i = 0; i < spec_nr_insns; i++)
		if (!touched[i])
			t_fail(__FILE__, __LINE__, "no line touches %s", spec_insns[i].name);
}
