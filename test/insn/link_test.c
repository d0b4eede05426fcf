/* SPDX-License-Identifier: Apache-2.0 */
/* link_test.c - what is around the instructions: tail calls, their limit, relocations of hostile images, veneers, W^X,
 * the map from instructions to code. */
#include <pthread.h>

#include "engines.h"
#include "asm.h"

/* A program on both engines, kept for tail calls. */
struct built {
	struct prog_text p;
	struct interp_prog *ip;
	struct jit_code jc;
	struct code *code;
	u64 (*entry)(void *ctx);
};
static struct built built[4];
static bool native;

static void unbuild_slot(struct built *b)
{
	interp_free(b->ip);
	code_free(b->code);
	jit_code_free(&b->jc);
	memset(b, 0, sizeof(*b));
}

static void build(u32 slot, const char *text)
{
	struct built *b = &built[slot];
	const char *err = NULL;
	int n;

	unbuild_slot(b);
	n = asm_text(text, b->p.in, PROG_MAX, &err);
	if (n < 0) {
		t_fail(__FILE__, __LINE__, "%s: %s", text, err);
		return;
	}
	engines_init();
	b->p.cnt = (u32)n;
	find_subs(&b->p);
	EQ(interp_link(b->p.in, b->p.cnt, b->p.subs, b->p.nr_subs, &test_link, &b->ip), 0);
	EQ(jit_compile(b->p.in, b->p.cnt, b->p.subs, b->p.nr_subs, &test_opts, &b->jc), 0);
	EQ(code_link(b->jc.code, b->jc.code_size, b->jc.relocs, b->jc.nr_relocs, &test_link, &b->code), 0);
	b->entry = (u64 (*)(void *))code_entry(b->code, b->p.subs[0].code_off);
}

static void unbuild(void)
{
	for (u32 i = 0; i < ARRAY_SIZE(built); i++)
		unbuild_slot(&built[i]);
}

static void *slot_target(u32 index)
{
	if (index >= ARRAY_SIZE(built) || !built[index].ip)
		return NULL;
	return native ? (void *)built[index].entry : (void *)built[index].ip;
}

static u64 run_slot(u32 slot, bool jit)
{
	native = helpers_native = jit;
	tail_target = slot_target;
	return jit ? built[slot].entry(&skb) : interp_run(built[slot].ip, &skb);
}

#define BOTH(slot, want)	do { EQ(run_slot(slot, false), want); EQ(run_slot(slot, true), want); } while (0)

TEST(tail_call_goes_on_in_the_target)
{
	build(0, "r6 = 5; r2 = map#77; r3 = 1; call bpf_tail_call#12; r0 = 7; exit");
	build(1, "r0 = 9; r6 = 1; exit");
	BOTH(0, 9);
	unbuild();
}

TEST(tail_call_to_nothing_falls_through)
{
	build(0, "r6 = 5; r2 = map#77; r3 = 99; call bpf_tail_call#12; r0 = r6; exit");
	BOTH(0, 5);
	unbuild();
}

TEST(tail_call_keeps_the_context)
{
	build(0, "r2 = map#77; r3 = 1; call bpf_tail_call#12; r0 = 7; exit");
	build(1, "r6 = r1; r0 = *(u8 *)skb[7]; exit");
	BOTH(0, 7);
	build(1, "r6 = r1; r0 = *(u8 *)skb[9]; exit");
	BOTH(0, 9);
	unbuild();
}

/* The 34th tail call of a run does not happen. */
TEST(tail_calls_are_limited_to_33)
{
	map_values[0] = 0;
	build(0, "r6 = map#77+0; r7 = *(u64 *)(r6 +0); r7 += 1; *(u64 *)(r6 +0) = r7; r2 = map#77; r3 = 0;"
		 "call bpf_tail_call#12; r0 = *(u64 *)(r6 +0); exit");
	EQ(run_slot(0, false), 34);
	map_values[0] = 0;
	EQ(run_slot(0, true), 34);
	map_values[0] = 0;
	EQ(run_slot(0, true), 34);		/* each run counts anew */
	map_values[0] = 0;
	unbuild();
}

/* A tail call in a subprogram replaces that subprogram: its caller goes on with the target's r0. */
TEST(tail_call_from_a_subprogram_returns_to_the_caller)
{
	build(0, "r6 = 100; call sub; r0 += r6; exit; sub: *(u64 *)(r10 -8) = 3; r6 = 1; r2 = map#77; r3 = 1;"
		 "call bpf_tail_call#12; r0 = 7; exit");
	build(1, "r6 = 50; *(u64 *)(r10 -64) = 9; r0 = *(u64 *)(r10 -64); exit");
	BOTH(0, 109);
	unbuild();
}

/* The limit counts over subprograms: main -> sub -> tail call -> main -> sub ... */
TEST(tail_call_limit_is_shared_by_subprograms)
{
	const char *text = "call sub; r6 = map#77+0; r0 = *(u64 *)(r6 +0); exit;"
			   "sub: r6 = map#77+0; r7 = *(u64 *)(r6 +0); r7 += 1; *(u64 *)(r6 +0) = r7;"
			   "r2 = map#77; r3 = 0; call bpf_tail_call#12; r0 = 0; exit";

	for (int jit = 0; jit < 2; jit++) {
		map_values[0] = 0;
		build(0, text);
		EQ(run_slot(0, jit), 34);
		unbuild();
	}
	map_values[0] = 0;
}

TEST(tail_call_into_a_program_that_tail_calls_from_a_callback_caller)
{
	build(0, "r6 = r1; r1 = func cb; r2 = 5; call callback#1002; r7 = r0; r1 = r6; r2 = map#77; r3 = 1;"
		 "call bpf_tail_call#12; r0 = 7; exit; cb: r0 = r1; r0 += 1; exit");
	build(1, "r1 = func cb; r2 = 20; call callback#1002; exit; cb: r0 = r1; r0 += 2; exit");
	BOTH(0, 22);
	unbuild();
}

/* ---- relocations ---- */

static const u8 ret_code[32] = { [0] = 0xc3 };

static int try_reloc(struct image_reloc r)
{
	struct code *c = NULL;
	int err = code_link(ret_code, sizeof(ret_code), &r, 1, &test_link, &c);

	if (!err)
		code_free(c);
	return err;
}

TEST(relocations_outside_of_the_code_are_refused)
{
	EQ(try_reloc((struct image_reloc) { .where = 24, .form = FORM_ABS64, .kind = RELOC_MAP }), 0);
	EQ(try_reloc((struct image_reloc) { .where = 25, .form = FORM_ABS64, .kind = RELOC_MAP }), -EINVAL);
	EQ(try_reloc((struct image_reloc) { .where = 32, .form = FORM_ABS64, .kind = RELOC_MAP }), -EINVAL);
	EQ(try_reloc((struct image_reloc) { .where = UINT32_MAX, .form = FORM_ABS64, .kind = RELOC_MAP }), -EINVAL);
	EQ(try_reloc((struct image_reloc) { .where = UINT32_MAX - 3, .form = FORM_REL32,
					    .kind = RELOC_HELPER, .n = 1000 }), -EINVAL);
	EQ(try_reloc((struct image_reloc) { .where = 29, .form = FORM_REL32, .kind = RELOC_HELPER,
					    .n = 1000 }), -EINVAL);
	EQ(try_reloc((struct image_reloc) { .where = 28, .form = FORM_REL32, .kind = RELOC_HELPER,
					    .n = 1000 }), 0);
}

TEST(relocations_of_unknown_kind_or_form_are_refused)
{
	EQ(try_reloc((struct image_reloc) { .where = 0, .form = FORM_ABS64, .kind = 99 }), -EINVAL);
	EQ(try_reloc((struct image_reloc) { .where = 0, .form = 99, .kind = RELOC_MAP }), -EINVAL);
	EQ(try_reloc((struct image_reloc) { .where = 0, .form = FORM_ARM64_CALL26, .kind = RELOC_MAP }), -EINVAL);
	EQ(try_reloc((struct image_reloc) { .where = 0, .form = FORM_ABS64, .kind = RELOC_SELF,
					    .addend = 32 }), -EINVAL);
	EQ(try_reloc((struct image_reloc) { .where = 0, .form = FORM_ABS64, .kind = RELOC_SELF,
					    .addend = -1 }), -EINVAL);
	EQ(try_reloc((struct image_reloc) { .where = 0, .form = FORM_ABS64, .kind = RELOC_MAP_VALUE,
					    .addend = -1 }), -EINVAL);
}

TEST(relocations_that_name_nothing_are_refused)
{
	EQ(try_reloc((struct image_reloc) { .where = 0, .form = FORM_ABS64, .kind = RELOC_MAP, .n = 1 }), -ENOENT);
	EQ(try_reloc((struct image_reloc) { .where = 0, .form = FORM_REL32, .kind = RELOC_HELPER, .n = 5 }),
	   -ENOENT);
	EQ(try_reloc((struct image_reloc) { .where = 0, .form = FORM_REL32, .kind = RELOC_KFUNC, .n = 5 }),
	   -ENOENT);
	EQ(try_reloc((struct image_reloc) { .where = 0, .form = FORM_REL32, .kind = RELOC_RT, .n = 99 }), -ENOENT);
}

/* Helpers out of reach are called through a veneer. */
static u8 *far_page;

static vm_helper far_helper(void *arg, u32 id)
{
	return id == 1000 ? h_sum : (vm_helper)far_page;
}

TEST(calls_out_of_reach_go_through_a_veneer)
{
	struct vm_link l = test_link;
	struct prog_text *p = &built[0].p;
	struct jit_code jc;
	struct code *c;

	far_page = mmap((void *)0x100000000000, 4096, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(far_page != MAP_FAILED);
	memcpy(far_page, "\xb8\x2a\x00\x00\x00\xc3", 6);		/* mov $42, %eax; ret */
	NEED(!mprotect(far_page, 4096, PROT_READ | PROT_EXEC));
	l.helper = far_helper;
	p->cnt = (u32)asm_text("r1 = 1; r2 = 2; r3 = 3; r4 = 4; r5 = 5; call near#1000; r6 = r0; call far#5; r6 += r0;"
			       "call far#6; r0 += r6; exit", p->in, PROG_MAX, NULL);
	find_subs(p);
	NEED(!jit_compile(p->in, p->cnt, p->subs, p->nr_subs, &test_opts, &jc));
	NEED(!code_link(jc.code, jc.code_size, jc.relocs, jc.nr_relocs, &l, &c));
	EQ(((u64 (*)(void *))code_entry(c, p->subs[0].code_off))(NULL), 15 + 42 + 42);
	code_free(c);
	jit_code_free(&jc);
	munmap(far_page, 4096);
}

TEST(code_is_never_writable_and_executable)
{
	char line[256];
	bool seen = false;
	FILE *f;

	build(0, "r0 = 0; exit");
	f = fopen("/proc/self/maps", "r");
	NEED(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long lo, hi;
		char prot[5];

		if (sscanf(line, "%lx-%lx %4s", &lo, &hi, prot) != 3)
			continue;
		if ((unsigned long)built[0].entry >= lo && (unsigned long)built[0].entry < hi) {
			STR_EQ(prot, "r-xp");
			seen = true;
		}
		CHECK(!(prot[1] == 'w' && prot[2] == 'x'));
	}
	fclose(f);
	CHECK(seen);
	unbuild();
}

TEST(the_same_program_gives_the_same_code)
{
	struct jit_code again;
	struct prog_text *p = &built[0].p;

	build(0, "r1 = map#77+8; r0 = *(u64 *)(r1 +0); if r0 == 0 goto out; r0 += 1; call sub; out: exit; sub: r0 = 3; exit");
	NEED(!jit_compile(p->in, p->cnt, p->subs, p->nr_subs, &test_opts, &again));
	EQ(again.code_size, built[0].jc.code_size);
	CHECK(!memcmp(again.code, built[0].jc.code, again.code_size));
	CHECK(!memcmp(again.relocs, built[0].jc.relocs, again.nr_relocs * sizeof(*again.relocs)));
	jit_code_free(&again);
	unbuild();
}

TEST(instructions_are_found_in_the_code)
{
	const struct prog_text *p = &built[0].p;

	build(0, "r0 = 1; r1 = 0x1234567812345678; r0 += r1; if r0 != 0 goto far; r0 *= r0; far: call sub; exit; sub: r0 = 7; exit");
	for (u32 i = 1; i < p->cnt; i++)
		CHECK(built[0].jc.insn_to_off[i] >= built[0].jc.insn_to_off[i - 1]);
	CHECK(built[0].jc.insn_to_off[p->cnt - 1] < built[0].jc.code_size);
	EQ(p->subs[0].code_off + p->subs[0].code_size, p->subs[1].code_off);
	EQ(p->subs[1].code_off + p->subs[1].code_size, built[0].jc.code_size);
	CHECK(built[0].jc.insn_to_off[8] >= p->subs[1].code_off);
	unbuild();
}

/* ---- programs that are no programs ---- */

TEST(shapes_that_cannot_run_are_refused)
{
	static const struct { const char *name, *text; } rows[] = {
		{ "runs on past the end", "r0 = 1" },
		{ "jumps beyond the end", "if r0 == 0 goto pc+5; exit" },
		{ "jumps before the start", "goto pc-5; exit" },
		{ "calls into the middle of nothing", "call pc+77; exit" },
	};
	static struct prog_text p;
	struct interp_prog *ip;
	struct jit_code jc;

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		t_row("refused: %s", rows[i].name);
		p.cnt = (u32)asm_text(rows[i].text, p.in, PROG_MAX, NULL);
		find_subs(&p);
		EQ(interp_link(p.in, p.cnt, p.subs, p.nr_subs, &test_link, &ip), -EINVAL);
		EQ(jit_compile(p.in, p.cnt, p.subs, p.nr_subs, &test_opts, &jc), -EINVAL);
	}
	t_row("refused: no instructions");
	EQ(interp_link(p.in, 0, p.subs, 1, &test_link, &ip), -EINVAL);
	EQ(jit_compile(p.in, 0, p.subs, 1, &test_opts, &jc), -EINVAL);
	t_row("refused: an architecture without an emitter");
	{
		struct jit_opts o = test_opts;

		o.arch = JIT_ARM64;
		p.cnt = (u32)asm_text("r0 = 0; exit", p.in, PROG_MAX, NULL);
		find_subs(&p);
		EQ(jit_compile(p.in, p.cnt, p.subs, p.nr_subs, &o, &jc), -EOPNOTSUPP);
	}
}

/* Whatever the bytes: an error or a program, never a crash. */
TEST(garbage_does_no_harm_to_the_compilers)
{
	static struct prog_text p;
	u64 x = 88172645463325252ull;
	u32 linked = 0;

	for (u32 n = 0; n < (t_fast() ? 20000 : 200000); n++) {
		struct interp_prog *ip;
		struct jit_code jc;

		p.cnt = 2 + n % 7;
		for (u32 i = 0; i < p.cnt; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			memcpy(&p.in[i], &x, sizeof(x));
			p.in[i].code &= x >> 60 ? 0xff : 0x1f;
			p.in[i].off = (s16)(p.in[i].off % 8);
			p.in[i].imm = x >> 59 & 1 ? p.in[i].imm : p.in[i].imm % 8;
			if (x >> 58 & 1)
				p.in[i].dst_reg %= 11, p.in[i].src_reg %= 11;
		}
		p.in[p.cnt - 1] = INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
		find_subs(&p);
		if (!interp_link(p.in, p.cnt, p.subs, p.nr_subs, &test_link, &ip)) {
			interp_free(ip);
			linked++;
		}
		if (!jit_compile(p.in, p.cnt, p.subs, p.nr_subs, &test_opts, &jc))
			jit_code_free(&jc);
	}
	CHECK(linked > 100);
}

/* ---- threads ---- */

#define THREADS	4
#define ADDS	20000

static void *add_much(void *jit)
{
	for (u32 i = 0; i < ADDS; i++) {
		if (jit)
			built[0].entry(&skb);
		else
			interp_run(built[0].ip, &skb);
	}
	return NULL;
}

TEST(atomics_of_several_threads_lose_nothing)
{
	pthread_t t[THREADS];

	build(0, "r1 = map#77+0; r2 = 1; lock *(u64 *)(r1 +0) += r2; r3 = 1; r3 = atomic_fetch_add((u32 *)(r1 +8), r3);"
		 "again: r0 = *(u64 *)(r1 +16); r4 = r0; r4 += 1; r5 = r0; r0 = atomic64_cmpxchg((u64 *)(r1 +16), r0, r4);"
		 "if r0 != r5 goto again; r0 = 0; exit");
	map_values[0] = map_values[1] = map_values[2] = 0;
	for (long i = 0; i < THREADS; i++)
		NEED(!pthread_create(&t[i], NULL, add_much, (void *)(i & 1)));
	for (u32 i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (u32 i = 0; i < 3; i++) {
		EQ(map_values[i], THREADS * ADDS);
		map_values[i] = i;
	}
	unbuild();
}
