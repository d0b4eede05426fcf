/* SPDX-License-Identifier: Apache-2.0 */
/* scalar_oracle_test.c - the scalar domain against the running kernel: random straight-line programs over four numbers, with
 * conditional jumps, are loaded there with a full log; what the log says of each register after each instruction and on each
 * edge must be what scalar.c computes and prints. */
#include "verify/scalar.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spec/uapi.h"
#include "t.h"

#define NR_REGS		4		/* r6..r9 */
#define FIRST_REG	6
#define BODY		14
#define LOG_SIZE	(1u << 20)

struct model {
	struct vfy_scalar r[NR_REGS];
};

struct gen {
	struct bpf_insn insn[256];
	struct model after[256];	/* state behind the instruction, on the way straight on */
	struct model edge[256];		/* state at the target of the jump */
	s8 taken[256];			/* -2: not a conditional jump */
	u32 n;
	struct model cur;
	bool done;
};

static u64 seed;
static u64 rnd(u64 n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

static s32 rnd_imm(void)
{
	static const s32 t[] = { 0, 1, 2, 7, 8, 255, 256, -1, -2, 0x7fffffff, (s32)0x80000000, 0x7ffffffe, 0xffff, -128 };

	switch (rnd(4)) {
	case 0:
		return t[rnd(ARRAY_SIZE(t))];
	case 1:
		return (s32)(1u << rnd(32));
	case 2:
		return (s32)rnd(1000) - 300;
	default:
		return (s32)rnd(1ull << 32);
	}
}

static void emit(struct gen *g, u8 code, u8 dst, u8 src, s16 off, s32 imm)
{
	g->insn[g->n] = (struct bpf_insn){ code, dst & 15, src & 15, off, imm };
	g->taken[g->n] = -2;
	g->after[g->n++] = g->cur;
}

static const u8 alu_ops[] = { BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND, BPF_LSH, BPF_RSH, BPF_NEG,
			      BPF_MOD, BPF_XOR, BPF_ARSH, BPF_AND, BPF_ADD, BPF_SUB, BPF_MOV, BPF_MOV };
static const u8 jmp_ops[] = { BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET, BPF_JNE, BPF_JSGT, BPF_JSGE, BPF_JLT, BPF_JLE,
			      BPF_JSLT, BPF_JSLE };

static bool is_shift(u8 op)
{
	return op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH;
}

/* A copy links the two registers in the kernel; an operation on the source cuts the link again. */
static void gen_mov(struct gen *g, u8 class, u8 d, u8 s)
{
	static const s16 offs[] = { 0, 8, 16, 32 };
	s16 off = offs[rnd(class == BPF_ALU64 ? 4 : 3)];
	struct vfy_scalar zero;

	vfy_scalar_alu(class | BPF_MOV, off, &g->cur.r[d], &g->cur.r[s]);
	emit(g, class | BPF_MOV | BPF_X, FIRST_REG + d, FIRST_REG + s, off, 0);
	vfy_scalar_const(&zero, 0);
	vfy_scalar_alu(BPF_ALU64 | BPF_XOR, 0, &g->cur.r[s], &zero);
	emit(g, BPF_ALU64 | BPF_XOR | BPF_K, FIRST_REG + s, 0, 0, 0);
}

static void gen_alu(struct gen *g)
{
	u8 class = rnd(2) ? BPF_ALU64 : BPF_ALU, op = alu_ops[rnd(ARRAY_SIZE(alu_ops))];
	u8 d = (u8)rnd(NR_REGS), s = (u8)rnd(NR_REGS);
	bool x = rnd(3) == 0 && op != BPF_NEG;
	s32 imm = rnd_imm();
	struct vfy_scalar k;

	if (op == BPF_MOV && s != d && rnd(2)) {
		gen_mov(g, class, d, s);
		return;
	}
	if (op == BPF_MOV)
		x = false;
	if (is_shift(op))
		imm = (s32)rnd(class == BPF_ALU ? 32 : 64);
	if ((op == BPF_DIV || op == BPF_MOD) && !imm)
		imm = 3;
	if (op == BPF_NEG)
		imm = 0;
	vfy_scalar_const(&k, class == BPF_ALU ? (u32)imm : (u64)(s64)imm);
	if (vfy_scalar_forks(class | op, &g->cur.r[d], x ? &g->cur.r[s] : &k))
		return;				/* the kernel goes on with two states */
	vfy_scalar_alu(class | op, 0, &g->cur.r[d], x ? &g->cur.r[s] : &k);
	emit(g, class | op | (x ? BPF_X : BPF_K), FIRST_REG + d, x ? FIRST_REG + s : 0, 0, x ? 0 : imm);
}

static void gen_jmp(struct gen *g)
{
	bool w32 = rnd(2), x = rnd(3) == 0;
	u8 op = jmp_ops[rnd(ARRAY_SIZE(jmp_ops))], d = (u8)rnd(NR_REGS), s = (u8)rnd(NR_REGS);
	s32 imm = rnd_imm();
	struct vfy_scalar k, *b[2], kk[2];
	struct model m[2] = { g->cur, g->cur };
	int taken;

	if (x && s == d)
		return;
	vfy_scalar_const(&k, (u64)(s64)imm);
	taken = vfy_scalar_taken(op, w32, &g->cur.r[d], x ? &g->cur.r[s] : &k);
	for (int e = 0; e < 2; e++) {
		kk[e] = k;
		b[e] = x ? &m[e].r[s] : &kk[e];
		if (taken < 0)
			vfy_scalar_refine(op, w32, e, &m[e].r[d], b[e]);
	}
	g->cur = m[0];
	emit(g, (w32 ? BPF_JMP32 : BPF_JMP) | op | (x ? BPF_X : BPF_K), FIRST_REG + d, x ? FIRST_REG + s : 0, 0,
	     x ? 0 : imm);
	g->edge[g->n - 1] = m[1];
	g->taken[g->n - 1] = (s8)taken;
	g->done = taken == 1;
}

static void generate(struct gen *g)
{
	u32 end;

	memset(g, 0, sizeof(*g));
	for (u8 i = 0; i < NR_REGS; i++) {
		emit(g, BPF_JMP | BPF_CALL, 0, 0, 0, 5);	/* ktime_get_ns */
		vfy_scalar_unknown(&g->cur.r[i]);
		emit(g, BPF_ALU64 | BPF_MOV | BPF_X, FIRST_REG + i, 0, 0, 0);
		emit(g, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0);	/* cut the link with r0 */
	}
	for (u32 i = 0; i < BODY && !g->done; i++) {
		if (rnd(3))
			gen_alu(g);
		else
			gen_jmp(g);
	}
	emit(g, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0);
	emit(g, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	/* An own end for each jump: the kernel would take a shared one for covered, and not print it. */
	end = g->n;
	for (u32 i = 0; i < end; i++)
		if (g->taken[i] != -2) {
			g->insn[i].off = (s16)(g->n - i - 1);
			emit(g, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0);
			emit(g, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
		}
}

static int load(const struct gen *g, char *log)
{
	union bpf_attr a;
	long fd;

	memset(&a, 0, sizeof(a));
	log[0] = 0;
	a.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	a.insns = (u64)(uintptr_t)g->insn;
	a.insn_cnt = g->n;
	a.license = (u64)(uintptr_t)"GPL";
	a.log_level = 2;
	a.log_buf = (u64)(uintptr_t)log;
	a.log_size = LOG_SIZE;
	fd = t_kernel_bpf_call(BPF_PROG_LOAD, &a, sizeof(a));
	if (fd >= 0)
		close((int)fd);
	return fd < 0 ? -errno : 0;
}

/* "scalar(id=3+5,smin=1)" -> "scalar(smin=1)", "Pscalar()" -> "scalar()", "P7" -> "7". */
static void plain(char *v)
{
	char *id = strstr(v, "(id=");

	if (v[0] == 'P')
		memmove(v, v + 1, strlen(v));
	id = strstr(v, "(id=");
	if (id) {
		char *e = id + 1 + strcspn(id + 1, ",)");

		memmove(id + 1, *e == ',' ? e + 1 : e, strlen(*e == ',' ? e + 1 : e) + 1);
	}
}

static u32 compared;

/* Each " R6=..." in the line against the model. */
static bool check_line(const char *line, const struct model *m, u32 insn)
{
	for (const char *p = line; (p = strstr(p, " R")); p += 2) {
		u32 r = (u32)(p[2] - '0') - FIRST_REG;
		struct sbuf b = { 0 };
		char v[512];
		size_t n;
		bool same;

		if (r >= NR_REGS || p[3] != '=')
			continue;
		n = 0;
		for (const char *q = p + 4; *q && n < sizeof(v) - 1; q++) {
			if (*q == ' ' && !(q[-1] == ';'))	/* "var_off=(0x0; 0xff)" holds a blank */
				break;
			v[n++] = *q;
		}
		v[n] = 0;
		plain(v);
		vfy_scalar_log(&b, &m->r[r], 0);
		same = !strcmp(b.s, v);
		if (!same)
			t_fail(__FILE__, __LINE__, "insn %u, r%u: skep %s, kernel %s", insn, r + FIRST_REG, b.s, v);
		sbuf_free(&b);
		compared++;
		if (!same)
			return false;
	}
	return true;
}

static bool check_log(const struct gen *g, char *log)
{
	char *save, *line;

	for (line = strtok_r(log, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		u32 from, to;
		char *semi;

		if (sscanf(line, "from %u to %u:", &from, &to) == 2) {
			if (from < g->n && !check_line(line, &g->edge[from], from))
				return false;
		} else if (isdigit((unsigned char)line[0]) && (semi = strstr(line, "; R"))) {
			from = (u32)atoi(line);
			if (from < g->n && g->taken[from] == 1)
				continue;	/* prints what it did not change */
			if (from < g->n && !check_line(semi, &g->after[from], from))
				return false;
		}
	}
	return true;
}

static void print_program(const struct gen *g, const char *log)
{
	(void)g;
	printf("# %s\n", log);
}

TEST(random_programs_have_the_kernels_ranges)
{
	static char log[LOG_SIZE], copy[LOG_SIZE];
	static struct gen g;
	u32 n = t_fast() ? 300 : 20000;

	if (!t_kernel_bpf()) {
		t_skip("no kernel bpf(2) to compare with");
		return;
	}
	for (u32 i = 0; i < n; i++) {
		seed = 0x9e3779b97f4a7c15ull * (i + 1);
		generate(&g);
		EQ(load(&g, log), 0);
		if (getenv("VERBOSE"))
			memcpy(copy, log, strlen(log) + 1);
		if (!check_log(&g, log)) {
			if (getenv("VERBOSE"))
				print_program(&g, copy);
			break;
		}
	}
	CHECK(compared > n * 10);
}
