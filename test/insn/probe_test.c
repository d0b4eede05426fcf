/* SPDX-License-Identifier: Apache-2.0 */
/* probe_test.c - loads that cannot fault, on both engines: each size and extension, each register as source and as
 * destination with all others live, from memory that is there and from memory that is not. */
#include "engines.h"

#define REGS	10			/* r0 to r9 */

static u64 start_value(u32 reg)
{
	return 0x0101010101010101ull * (reg + 3);
}

static u64 expected(const void *addr, u8 code, bool good)
{
	s64 v = 0;

	if (!good)
		return 0;
	switch (BPF_SIZE(code)) {
	case BPF_B:
		return (code & 0xe0) == INSN_PROBE_MEMSX ? (u64)(s64) *(const s8 *)addr : *(const u8 *)addr;
	case BPF_H:
		memcpy(&v, addr, 2);
		return (code & 0xe0) == INSN_PROBE_MEMSX ? (u64)(s64)(s16)v : (u64)v;
	case BPF_W:
		memcpy(&v, addr, 4);
		return (code & 0xe0) == INSN_PROBE_MEMSX ? (u64)(s64)(s32)v : (u64)v;
	}
	memcpy(&v, addr, 8);
	return (u64)v;
}

static void put(struct prog_text *p, struct bpf_insn in)
{
	p->in[p->cnt++] = in;
}

static void put64(struct prog_text *p, u8 reg, u64 v)
{
	put(p, INSN(INSN_LDIMM64, reg, 0, 0, (s32)v));
	put(p, INSN(0, 0, 0, 0, (s32)(v >> 32)));
}

/* All registers set, one load, and a sum in which each has its own weight. */
static void build(struct prog_text *p, u8 code, u8 dst, u8 src, u64 addr, bool in_sub)
{
	memset(p, 0, sizeof(*p));
	if (in_sub) {			/* another alignment of the stack */
		put(p, INSN(BPF_STX | BPF_MEM | BPF_DW, 10, 1, -8, 0));
		put(p, INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 1));
		put(p, INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
	}
	for (u8 r = 0; r < REGS; r++)
		put64(p, r, r == src ? addr - 16 : start_value(r));
	put(p, INSN(code, dst, src, 16, 0));
	for (u8 r = 1; r < REGS; r++) {
		put(p, INSN(BPF_ALU64 | BPF_MUL | BPF_K, r, 0, 0, 2 * r + 1));
		put(p, INSN(BPF_ALU64 | BPF_ADD | BPF_X, 0, r, 0, 0));
	}
	put(p, INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
	find_subs(p);
}

static u64 sum(u8 dst, u8 src, u64 addr, u64 loaded)
{
	u64 s = 0;

	for (u8 r = 0; r < REGS; r++)
		s += (r == dst ? loaded : r == src ? addr - 16 : start_value(r)) * (r ? 2 * r + 1u : 1u);
	return s;
}

static void check(u8 code, u64 addr, bool good)
{
	static struct prog_text p;
	u64 a = 0, b = 0, want;

	for (u8 dst = 0; dst < REGS; dst++)
		for (u8 src = 0; src < REGS; src++) {
			build(&p, code, dst, src, addr, dst & 1);
			want = sum(dst, src, addr, expected((void *)addr, code, good));
			EQ(run_interp(&p, &a), 0);
			EQ(run_jit(&p, &b), 0);
			if (a != want || b != want)
				t_fail(__FILE__, __LINE__, "r%u = *(r%u): %#llx, interpreter %#llx, JIT %#llx", dst, src,
				       (unsigned long long)want, (unsigned long long)a, (unsigned long long)b);
		}
}

TEST(loads_that_cannot_fault)
{
	static const u8 sizes[] = { BPF_B, BPF_H, BPF_W, BPF_DW };
	static u8 data[24] = { 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 9 };
	u8 *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	engines_init();
	munmap(page + 4096, 4096);
	for (u32 i = 0; i < 8; i++) {
		u8 mode = i & 1 ? INSN_PROBE_MEMSX : INSN_PROBE_MEM, code = (u8)(BPF_LDX | mode | sizes[i / 2]);

		if (i == 7)
			continue;		/* no sign extension of 64 bits */
		t_row("%u bytes%s", 1u << i / 2, i & 1 ? ", sign-extended" : "");
		check(code, (u64)(uintptr_t)data, true);
		check(code, 0, false);
		check(code, 0xdeadbeefdeadbeef, false);
		check(code, (u64)(uintptr_t)page + 4096, false);
		if (i > 1)
			check(code, (u64)(uintptr_t)page + 4095, false);
	}
	munmap(page, 4096);
}
