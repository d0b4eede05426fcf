/* SPDX-License-Identifier: Apache-2.0 */
/* disasm_test.c - the disassembler against the kernel's own text: every row of isa.def, and forms that are no
 * instruction, are loaded with log_level 2; the verifier prints an instruction before it judges it. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "spec/spec.h"
#include "vm/insn.h"
#include "vm/vm.h"

#include "t.h"

static char log_buf[65536];

/* The kernel's text of IN, in a program around it; NULL: rejected before it was printed. */
static const char *kernel_text(const struct bpf_insn *in, u32 n)
{
	const struct bpf_insn r0 = INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0);
	const struct bpf_insn leave = INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	bool call = in->code == (BPF_JMP | BPF_CALL) && in->src_reg == BPF_PSEUDO_CALL;
	/* the jump in front keeps everything reachable */
	struct bpf_insn prog[8] = { INSN(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, n, 0) };
	union bpf_attr a = { 0 };
	char *at, *end;
	long fd;

	memcpy(prog + 1, in, n * sizeof(*in));
	prog[n + 1] = r0;
	prog[n + 2] = call ? leave : r0;
	prog[n + 3] = r0;
	prog[n + 4] = leave;
	a.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	a.insns = (u64)prog;
	a.insn_cnt = n + 5;
	a.license = (u64)"GPL";
	a.log_level = 2;
	a.log_buf = (u64)log_buf;
	a.log_size = sizeof(log_buf);
	log_buf[0] = 0;
	fd = t_kernel_bpf_call(BPF_PROG_LOAD, &a, sizeof(a));
	if (fd >= 0)
		close((int)fd);
	at = strstr(log_buf, "\n1: (");
	if (!at)
		return NULL;
	at += 4;
	end = strpbrk(at, ";\n");
	while (end && end > at && end[-1] == ' ')
		end--;
	if (end)
		*end = 0;
	return at;
}

static int compared;

static void against_kernel(const struct bpf_insn *in, u32 n)
{
	const char *k = kernel_text(in, n);
	struct sbuf mine = { 0 };

	disasm_insn(&mine, in, NULL);
	if (k) {
		STR_EQ(mine.s, k);
		compared++;
	}
	sbuf_free(&mine);
}

static void row_forms(const struct spec_insn *s)
{
	static const struct { u8 dst, src; s16 off; s32 imm; } v[] = {
		{ 0, 1, 2, 0 }, { 9, 5, 1, 7 }, { 3, 3, 0, -1 }, { 1, 2, 2, 0x7fffffff }, { 2, 8, 1, -2147483647 - 1 },
		{ 1, 10, -8, 1 }, { 10, 1, -16, 16 },
	};

	for (u32 i = 0; i < ARRAY_SIZE(v); i++) {
		struct bpf_insn in[2] = { INSN(s->code, v[i].dst, v[i].src, v[i].off, v[i].imm) };
		u32 n = s->code == INSN_LDIMM64 ? 2 : 1;

		if (s->off != SPEC_ANY)
			in[0].off = s->off;
		if (s->src != SPEC_ANY)
			in[0].src_reg = (u8)s->src;
		if (s->imm != SPEC_ANY)
			in[0].imm = s->imm;
		if (n == 2)
			in[0].off = 0, in[1].imm = (s32)(0x12345678u * i);
		/* reserved fields are checked before anything is printed */
		if (insn_is_branch(s->code) && in[0].code != (BPF_JMP32 | BPF_JA))
			in[0].imm = BPF_SRC(s->code) == BPF_K && BPF_OP(s->code) && BPF_OP(s->code) != BPF_JCOND ?
				    in[0].imm : 0;
		if (in[0].code == (BPF_JMP32 | BPF_JA))
			in[0].imm = 1;
		if (insn_is_ja(s->code))
			in[0].dst_reg = in[0].src_reg = 0;
		if (BPF_SRC(s->code) == BPF_K && insn_class(s->code) >= BPF_ALU && s->src == SPEC_ANY)
			in[0].src_reg = 0;
		if (s->code == (BPF_JMP | BPF_CALL))
			in[0].dst_reg = 0, in[0].off = 0, in[0].imm = s->src == 1 ? 2 : (s32)(i + 1);
		if (s->code == (BPF_JMP | BPF_EXIT))
			in[0].dst_reg = in[0].src_reg = in[0].imm = 0;
		if (insn_class(s->code) == BPF_LD && n == 1)
			in[0].dst_reg = 0;
		against_kernel(in, n);
	}
}

TEST(every_row_prints_as_in_the_kernel)
{
	if (!t_kernel_bpf()) {
		t_skip("needs root and a kernel with bpf(2)");
		return;
	}
	for (u32 i = 0; i < spec_nr_insns; i++) {
		t_row("row %s", spec_insns[i].name);
		row_forms(&spec_insns[i]);
	}
	t_row("the kernel printed the forms");
	CHECK(compared > 1000);			/* the rest it refuses before it prints: fds, BTF ids */
}

static const char *name_call(void *arg, const struct bpf_insn *insn, char *buf, size_t n)
{
	snprintf(buf, n, "%s#%d", (char *)arg, insn->imm);
	return buf;
}

static const char *name_imm(void *arg, const struct bpf_insn *insn, u64 imm, char *buf, size_t n)
{
	return insn->src_reg == BPF_PSEUDO_MAP_FD ? "map[id:7]" : NULL;
}

TEST(names_are_the_callers)
{
	const struct disasm_names names = { "mine", name_call, name_imm };
	const struct bpf_insn call = INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, 5);
	const struct bpf_insn map[2] = { INSN(INSN_LDIMM64, 1, BPF_PSEUDO_MAP_FD, 0, 7) };
	const struct bpf_insn num[2] = { INSN(INSN_LDIMM64, 1, 0, 0, 7) };
	struct sbuf b = { 0 };

	disasm_insn(&b, &call, &names);
	STR_EQ(b.s, "(85) call mine#5");
	sbuf_reset(&b);
	disasm_insn(&b, map, &names);
	STR_EQ(b.s, "(18) r1 = map[id:7]");
	sbuf_reset(&b);
	disasm_insn(&b, num, &names);
	STR_EQ(b.s, "(18) r1 = 0x7");
	sbuf_free(&b);
}

TEST(what_is_no_instruction_prints_as_bug)
{
	static const struct { u8 code; const char *text; } rows[] = {
		{ 0xb9, "(b9) BUG_ldx_b9" }, { 0x80, "(80) BUG_ld_80" }, { 0xc2, "(c2) BUG_st_c2" },
		{ 0x83, "(83) BUG_83" },
	};
	struct sbuf b = { 0 };

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct bpf_insn in = INSN(rows[i].code, 0, 0, 0, 0);

		sbuf_reset(&b);
		disasm_insn(&b, &in, NULL);
		STR_EQ(b.s, rows[i].text);
	}
	sbuf_free(&b);
}
