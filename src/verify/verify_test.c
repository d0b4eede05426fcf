/* SPDX-License-Identifier: Apache-2.0 */
/* verify_test.c - rows that name a rule, each judged by the verifier and, as root, by the kernel: same verdict, errno and
 * last line of the log. Rows for what the kernel accepts also check what comes out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "t.h"
#include "verify/verify.h"
#include "vm/insn.h"

#define MOV64_IMM(d, i)		INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define MOV64_REG(d, s)		INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define ALU64_IMM(op, d, i)	INSN(BPF_ALU64 | BPF_OP(op) | BPF_K, d, 0, 0, i)
#define ALU64_REG(op, d, s)	INSN(BPF_ALU64 | BPF_OP(op) | BPF_X, d, s, 0, 0)
#define LDX_MEM(sz, d, s, o)	INSN(BPF_LDX | BPF_MEM | BPF_##sz, d, s, o, 0)
#define STX_MEM(sz, d, s, o)	INSN(BPF_STX | BPF_MEM | BPF_##sz, d, s, o, 0)
#define ST_MEM(sz, d, o, i)	INSN(BPF_ST | BPF_MEM | BPF_##sz, d, 0, o, i)
#define JMP_IMM(op, d, i, o)	INSN(BPF_JMP | BPF_OP(op) | BPF_K, d, 0, o, i)
#define JMP_REG(op, d, s, o)	INSN(BPF_JMP | BPF_OP(op) | BPF_X, d, s, o, 0)
#define JA(o)			INSN(BPF_JMP | BPF_JA, 0, 0, o, 0)
#define CALL(id)		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, id)
#define CALL_FUNC(d)		INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, d)
#define EXIT()			INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define LD_MAP(d, m)		INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_MAP_FD, 0, m), INSN(0, 0, 0, 0, 0)
#define XDP			BPF_PROG_TYPE_XDP
#define SKF			BPF_PROG_TYPE_SOCKET_FILTER

enum { M_HASH, M_ARRAY, M_RINGBUF, M_PROGS, M_NR };
static const struct vfy_map maps[M_NR] = {
	{ .id = 101, .type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 8, .max_entries = 4, .name = "h" },
	{ .id = 102, .type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 16, .max_entries = 4, .name = "a" },
	{ .id = 103, .type = BPF_MAP_TYPE_RINGBUF, .max_entries = 4096, .name = "rb" },
	{ .id = 104, .type = BPF_MAP_TYPE_PROG_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 4, .name = "pa" },
};

#define LOOKUP(m)	ST_MEM(W, 10, -4, 0), MOV64_REG(2, 10), ALU64_IMM(BPF_ADD, 2, -4), LD_MAP(1, m), CALL(1)
#define RESERVE		LD_MAP(1, M_RINGBUF), MOV64_IMM(2, 8), MOV64_IMM(3, 0), CALL(131)

static const struct row {
	const char *name;
	struct bpf_insn insns[40];
	u32 type;
	int err;
	const char *log;		/* last line before the statistics */
} rows[] = {
#include "verify/verify_rows.h"
};

static int map_fds[M_NR];

static u32 row_len(const struct row *r)
{
	u32 n = 40;
	static const struct bpf_insn none;

	while (n && !memcmp(&r->insns[n - 1], &none, sizeof(none)))
		n--;
	return n;
}

/* The last line before "processed ..."; empty if there is none. */
static void last_line(const char *log, char *out, size_t n)
{
	const char *end = strstr(log, "processed "), *p;

	out[0] = 0;
	for (const char *q = end; q; q = strstr(q + 1, "\nprocessed "))
		end = q;
	if (!end || end == log)
		return;
	while (end > log && end[-1] == '\n')
		end--;
	for (p = end; p > log && p[-1] != '\n'; p--)
		;
	snprintf(out, n, "%.*s", (int)(end - p), p);
}

static void maps_make(void)
{
	for (u32 i = 0; i < M_NR; i++) {
		union bpf_attr a = { .map_type = maps[i].type, .key_size = maps[i].key_size,
				     .value_size = maps[i].value_size, .max_entries = maps[i].max_entries };

		memcpy(a.map_name, maps[i].name, 16);
		map_fds[i] = (int)t_kernel_bpf_call(BPF_MAP_CREATE, &a, sizeof(a));
	}
}

static int ask_kernel(const struct row *r, char *line, size_t n)
{
	struct bpf_insn in[40];
	u32 cnt = row_len(r);
	char *log = calloc(1, 1 << 20);
	union bpf_attr a = { .prog_type = r->type, .insns = (u64)in, .insn_cnt = cnt, .license = (u64) "GPL",
			     .log_level = 1, .log_size = 1 << 20, .log_buf = (u64)log };
	long fd;
	int err;

	memcpy(in, r->insns, sizeof(in));
	for (u32 i = 0; i < cnt; i++)
		if (in[i].code == INSN_LDIMM64 && in[i].src_reg == BPF_PSEUDO_MAP_FD)
			in[i].imm = map_fds[in[i].imm];
	fd = t_kernel_bpf_call(BPF_PROG_LOAD, &a, sizeof(a));
	err = fd < 0 ? -errno : 0;
	if (fd >= 0)
		close((int)fd);
	last_line(log, line, n);
	free(log);
	return err;
}

static int ask_skep(const struct row *r, char *line, size_t n, struct vfy_out *out)
{
	struct vfy_in in = { .insns = r->insns, .cnt = row_len(r), .prog_type = r->type, .gpl = true,
			     .caps = VFY_CAP_BPF | VFY_CAP_PERFMON | VFY_CAP_NET_ADMIN | VFY_CAP_SYS_ADMIN,
			     .maps = maps, .nr_maps = M_NR, .log_level = 1 };
	int err = vfy_check(&in, out);

	last_line(out->log.s ? out->log.s : "", line, n);
	return err;
}

TEST(rows)
{
	char ours[512], theirs[512];

	if (t_kernel_bpf())
		maps_make();
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		struct vfy_out out;

		t_row("%s", r->name);
		EQ(ask_skep(r, ours, sizeof(ours), &out), r->err);
		STR_EQ(ours, r->log ? r->log : "");
		if (r->err) {
			CHECK(out.reason.rule[0] == 'V');
			EQ(out.reason.err, r->err);
			CHECK(out.reason.kernel[0]);
		} else {
			CHECK(out.xlated && out.xlated_cnt && out.nr_subs);
		}
		vfy_out_free(&out);
		if (t_kernel_bpf()) {
			EQ(ask_kernel(r, theirs, sizeof(theirs)), r->err);
			STR_EQ(theirs, r->log ? r->log : "");
		}
	}
}

static int check_level(const struct bpf_insn *insns, u32 n, u32 type, u32 level, u32 caps, struct vfy_out *out)
{
	struct vfy_in in = { .insns = insns, .cnt = n, .prog_type = type, .gpl = true, .caps = caps,
			     .maps = maps, .nr_maps = M_NR, .log_level = level };

	return vfy_check(&in, out);
}

TEST(context_accesses_are_rewritten)
{
	static const struct bpf_insn prog[] = { LDX_MEM(W, 2, 1, 4), LDX_MEM(W, 1, 1, 0), MOV64_REG(3, 1),
						ALU64_IMM(BPF_ADD, 3, 14), JMP_REG(BPF_JGT, 3, 2, 1),
						LDX_MEM(B, 0, 1, 13), MOV64_IMM(0, 2), EXIT() };
	struct vfy_out out;

	EQ(check_level(prog, ARRAY_SIZE(prog), XDP, 0, 15, &out), 0);
	NEED(out.xlated_cnt == ARRAY_SIZE(prog));
	EQ(BPF_SIZE(out.xlated[0].code), BPF_DW);
	EQ(BPF_SIZE(out.xlated[1].code), BPF_DW);
	CHECK(out.xlated[0].off != out.xlated[1].off);
	EQ(out.max_ctx_off, 8);
	EQ(out.log.len, 0);
	vfy_out_free(&out);
}

TEST(dead_code_and_known_jumps_are_left_out)
{
	static const struct bpf_insn prog[] = { MOV64_IMM(0, 1), JMP_IMM(BPF_JEQ, 0, 1, 2), MOV64_IMM(0, 7),
						MOV64_IMM(0, 8), EXIT() };
	struct vfy_out out;

	EQ(check_level(prog, ARRAY_SIZE(prog), SKF, 0, 15, &out), 0);
	EQ(out.xlated_cnt, 2);
	EQ(out.orig[1], 4);
	vfy_out_free(&out);
}

TEST(uninitialised_stack_depends_on_rights)
{
	static const struct bpf_insn prog[] = { LDX_MEM(DW, 0, 10, -8), EXIT() };
	struct vfy_out out;

	EQ(check_level(prog, 2, SKF, 0, VFY_CAP_BPF | VFY_CAP_PERFMON, &out), 0);
	vfy_out_free(&out);
	EQ(check_level(prog, 2, SKF, 1, VFY_CAP_BPF, &out), -EACCES);
	HAS(out.reason.kernel, "invalid read from stack R10 off=-8 size=8");
	vfy_out_free(&out);
}

TEST(a_rejection_tells_its_path)
{
	static const struct bpf_insn prog[] = { LDX_MEM(W, 2, 1, 8), MOV64_IMM(0, 0), JMP_IMM(BPF_JEQ, 2, 7, 1), EXIT(),
						LDX_MEM(DW, 0, 0, 0), EXIT() };
	struct vfy_out out;

	EQ(check_level(prog, ARRAY_SIZE(prog), SKF, 0, 15, &out), -EACCES);
	STR_EQ(out.reason.rule, "V009");
	EQ(out.reason.insn, 4);
	EQ(out.reason.reg, 0);
	STR_EQ(out.reason.reg_state, "R0=0");
	STR_EQ(out.reason.kernel, "R0 invalid mem access 'scalar'");
	NEED(out.reason.nr_path >= 1);
	EQ(out.reason.path[out.reason.nr_path - 1].insn, 2);
	EQ(out.reason.path[out.reason.nr_path - 1].taken, 1);
	vfy_out_free(&out);
}
