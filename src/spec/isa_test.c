/* SPDX-License-Identifier: Apache-2.0 */
/* isa_test.c - each row decodes uniquely; arithmetic at its corners. */
#include <string.h>

#include "spec/isa.h"
#include "spec/spec.h"
#include "t.h"

static struct bpf_insn insn_of(const struct spec_insn *s)
{
	return (struct bpf_insn){ .code = s->code, .off = s->off == SPEC_ANY ? 0 : s->off,
				  .src_reg = s->src == SPEC_ANY ? 0 : s->src,
				  .imm = s->imm == SPEC_ANY ? 0 : s->imm };
}

TEST(each_row_decodes_to_itself)
{
	for (u32 i = 0; i < spec_nr_insns; i++) {
		struct bpf_insn insn = insn_of(&spec_insns[i]);

		if (isa_find(&insn) != (int)i)
			t_fail(__FILE__, __LINE__, "%s decodes to row %d", spec_insns[i].name,
			       isa_find(&insn));
		for (u32 j = 0; j < i; j++)
			if (!strcmp(spec_insns[i].name, spec_insns[j].name))
				t_fail(__FILE__, __LINE__, "%s stands twice", spec_insns[i].name);
	}
}

TEST(unknown_opcodes_are_no_row)
{
	static const struct bpf_insn none[] = {
		{ .code = 0xff }, { .code = 0x8d }, { .code = 0xb7, .off = 8 }, { .code = 0x06, .off = 1 },
		{ .code = 0xd7, .imm = 8 }, { .code = 0xdf, .imm = 16 }, { .code = 0xc3, .imm = 2 },
		{ .code = 0xdb, .imm = 0xe0 }, { .code = 0x8f }, { .code = 0x95, .src_reg = 1 },
		{ .code = 0xd3, .imm = 0 }, { .code = 0xbc, .off = 32 }, { .code = 0x99 }, { .code = 0x38 },
	};

	for (u32 i = 0; i < ARRAY_SIZE(none); i++)
		EQ(isa_find(&none[i]), -1);
}

static const struct {
	const char *name;
	u8 code;
	s16 off;
	u64 a, b, want;
} alu_rows[] = {
	{ "add32 wraps and zero-extends", 0x0c, 0, ~0ull, 1, 0 },
	{ "sub64 wraps", 0x1f, 0, 0, 1, ~0ull },
	{ "mul32 drops the upper half", 0x2c, 0, 0xffffffffffffffff, 0xffffffff, 1 },
	{ "div64 by zero is 0", 0x3f, 0, 7, 0, 0 },
	{ "div32 looks at the low half of the divisor", 0x3c, 0, 7, 1ull << 32, 0 },
	{ "mod32 by zero keeps the low half", 0x9c, 0, 0x1234567890abcdef, 0, 0x90abcdef },
	{ "mod64 by zero keeps dst", 0x9f, 0, 0x1234567890abcdef, 0, 0x1234567890abcdef },
	{ "sdiv64 of the least by -1 wraps", 0x3f, 1, 1ull << 63, ~0ull, 1ull << 63 },
	{ "sdiv32 of the least by -1 wraps", 0x3c, 1, 1ull << 31, ~0ull, 1ull << 31 },
	{ "sdiv32 rounds toward zero", 0x3c, 1, (u32)-13, 3, (u32)-4 },
	{ "sdiv64 by zero is 0", 0x3f, 1, 5, 0, 0 },
	{ "smod64 of the least by -1 is 0", 0x9f, 1, 1ull << 63, ~0ull, 0 },
	{ "smod takes the sign of the dividend", 0x9f, 1, (u64)-13, 3, (u64)-1 },
	{ "smod32 by zero keeps the low half", 0x9c, 1, ~0ull, 0, 0xffffffff },
	{ "lsh64 masks its count with 63", 0x6f, 0, 1, 65, 2 },
	{ "lsh32 masks its count with 31", 0x6c, 0, 1, 33, 2 },
	{ "rsh32 shifts the low half only", 0x7c, 0, 0xff00000010, 4, 1 },
	{ "arsh32 spreads bit 31", 0xcc, 0, 0x80000000, 4, 0xf8000000 },
	{ "arsh64 spreads bit 63", 0xcf, 0, 1ull << 63, 63, ~0ull },
	{ "neg32 zero-extends", 0x84, 0, 1, 0, 0xffffffff },
	{ "movsx8 to 64", 0xbf, 8, 0, 0x80, 0xffffffffffffff80 },
	{ "movsx16 to 32 zero-extends", 0xbc, 16, 0, 0x8000, 0xffff8000 },
	{ "movsx32 to 64", 0xbf, 32, 0, 0x80000000, 0xffffffff80000000 },
	{ "be16", 0xdc, 0, 0x1122334455667788, 16, 0x8877 },
	{ "le32 zero-extends", 0xd4, 0, 0x1122334455667788, 32, 0x55667788 },
	{ "bswap64", 0xd7, 0, 0x1122334455667788, 64, 0x8877665544332211 },
};

TEST(alu_corners)
{
	for (u32 i = 0; i < ARRAY_SIZE(alu_rows); i++) {
		u64 got = 0x5a5a;

		t_row("%s", alu_rows[i].name);
		CHECK(isa_alu_eval(alu_rows[i].code, alu_rows[i].off, alu_rows[i].a, alu_rows[i].b, &got));
		EQ(got, alu_rows[i].want);
	}
}

TEST(no_such_arithmetic)
{
	u64 v;

	CHECK(!isa_alu_eval(0x07, 1, 1, 1, &v));
	CHECK(!isa_alu_eval(0xbc, 32, 1, 1, &v));
	CHECK(!isa_alu_eval(0xe7, 0, 1, 1, &v));
	CHECK(!isa_alu_eval(0xd7, 0, 1, 8, &v));
	CHECK(!isa_alu_eval(0x05, 0, 1, 1, &v));
	EQ(isa_jmp_eval(0x05, 0, 0), -1);
	EQ(isa_jmp_eval(0x95, 0, 0), -1);
	EQ(isa_jmp_eval(0xe5, 0, 0), -1);
}

TEST(jumps_reverse_and_flip)
{
	static const u64 v[] = { 0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32, 1ull << 63,
				 ~0ull >> 1, ~0ull, 0xffffffff00000001 };

	for (u32 op = 0x10; op < 0x100; op += 0x10)
		for (u32 cls = BPF_JMP; cls <= BPF_JMP32; cls++)
			for (u32 i = 0; i < ARRAY_SIZE(v); i++)
				for (u32 j = 0; j < ARRAY_SIZE(v); j++) {
					int t = isa_jmp_eval(op | cls, v[i], v[j]);

					if (t < 0)
						continue;
					EQ(isa_jmp_eval(isa_jmp_flip(op) | cls, v[j], v[i]), t);
					if (isa_jmp_reverse(op))
						EQ(isa_jmp_eval(isa_jmp_reverse(op) | cls, v[i], v[j]), !t);
				}
	EQ(isa_jmp_eval(0x65, ~0ull, 0), 0);
	EQ(isa_jmp_eval(0x25, ~0ull, 0), 1);
	EQ(isa_jmp_eval(0xc6, 0x80000000, 0), 1);
	EQ(isa_jmp_eval(0xc5, 0x80000000, 0), 0);
}

/* The same expressions at 8 bits, against plain wide arithmetic. */
#define ALU(name, op, off, text, forms, group, status, expr) ISA_ALU_FN(name, 8, expr)
#include "spec/isa.def"

TEST(expressions_hold_at_8_bits)
{
	for (int a = 0; a < 256; a++)
		for (int b = 0; b < 256; b++) {
			int sa = (s8)a, sb = (s8)b;

			if (isa_MUL_8(a, b) != (u8)(a * b) || isa_SUB_8(a, b) != (u8)(a - b) ||
			    isa_SDIV_8(a, b) != (u8)(sb ? sa / sb : 0) ||
			    isa_SMOD_8(a, b) != (u8)(sb ? sa % sb : sa) ||
			    isa_LSH_8(a, b) != (u8)(a << (b & 7)) ||
			    isa_ARSH_8(a, b) != (u8)(sa >> (b & 7)))
				t_fail(__FILE__, __LINE__, "a %d, b %d", a, b);
		}
}

TEST(groups_are_those_of_rfc_9669)
{
	static const char *const groups[] = { "base32", "base64", "divmul32", "divmul64", "atomic32", "atomic64",
					      "packet", "linux" };

	for (u32 i = 0; i < spec_nr_insns; i++) {
		bool known = false;

		for (u32 g = 0; g < ARRAY_SIZE(groups); g++)
			known |= !strcmp(spec_insns[i].group, groups[g]);
		if (!known)
			t_fail(__FILE__, __LINE__, "%s: %s", spec_insns[i].name, spec_insns[i].group);
	}
}
