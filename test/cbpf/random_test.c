/* SPDX-License-Identifier: Apache-2.0 */
/* random_test.c - random classic programs that pass the checks, on generated packets: the compiled program, with and without
 * direct packet access, the interpreter, libpcap (for its machine) and the kernel agree. */
#include <stdlib.h>

#include "oracle.h"
#include "t.h"
#include "vm/cbpf_gen.h"

static u64 state;

static u32 rnd(u32 n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (u32)(state >> 11) % n;
}

static u32 any_k(void)
{
	static const u32 ks[] = { 0, 1, 2, 4, 8, 15, 16, 31, 60, 64, 255, 256, 0x800, 0x86dd, 0xffff, 0x10000, 0x7fffffff,
				  0x80000000, 0xfffffff0, 0xffffffff };

	return rnd(3) ? rnd(70) : ks[rnd(ARRAY_SIZE(ks))];
}

/* A program of N instructions; jumps lead forward, to the end at most. */
static void make(struct sock_filter *f, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		const struct cbpf_op *op = &cbpf_ops[rnd(cbpf_nr_ops)];
		u32 left = n - i - 1;

		if (!left)
			op = cbpf_op(rnd(2) ? BPF_RET | BPF_A : BPF_RET | BPF_K);
		else if (BPF_CLASS(op->code) == BPF_RET && rnd(4))
			op = cbpf_op(BPF_LD | BPF_H | BPF_ABS);
		f[i] = (struct sock_filter) { op->code, .k = any_k() };
		if (op->form == CBPF_MEM)
			f[i].k = rnd(4);
		if (op->form == CBPF_JA)
			f[i].k = rnd(MIN(left, 6));
		if (op->jump) {
			f[i].jt = (u8)rnd(MIN(left, 8));
			f[i].jf = (u8)rnd(MIN(left, 8));
		}
		if (BPF_CLASS(op->code) == BPF_ALU && op->form == CBPF_IMM) {
			u8 o = BPF_OP(op->code);

			f[i].k = o == BPF_LSH || o == BPF_RSH ? rnd(32) : f[i].k ? f[i].k : 1;
		}
		if (op->form == CBPF_PKT && !rnd(8))
			f[i].k = (u32)SKF_AD_OFF + (rnd(2) ? SKF_AD_ALU_XOR_X : rnd(2) ? SKF_AD_NLATTR : SKF_AD_NLATTR_NEST);
	}
}

static void say(const struct sock_filter *f, u32 n)
{
	struct sbuf b = {};

	cbpf_print(&b, f, n, CBPF_DDD);
	fputs(b.s, stderr);
	sbuf_free(&b);
}

struct tally {
	u32 programs, packets, plain, interpreted, kernel, nonzero;
};

static bool one(const struct sock_filter *f, u32 n, u32 flags, u32 packets, struct tally *t)
{
	struct cbpf_gen g = { .seed = state, .f = f, .n = n };
	struct filter *direct, *plain;
	static u8 buf[CBPF_GEN_MAX];
	bool good = true;

	if (filter_open(f, n, flags, "test", &direct, NULL) || filter_open(f, n, flags | CBPF_PLAIN, "test", &plain, NULL))
		return false;
	t->programs++;
	t->plain += direct->plain;
	t->interpreted += !direct->prog || !plain->prog;
	if (direct->plain || !plain->prog)
		say(f, n);
	for (u32 i = 0; i < packets && good; i++) {
		u32 wire, len = cbpf_gen_packet(&g, buf, &wire), want;
		struct skep_sk_buff skb = { .data = buf, .data_end = buf + len, .len = len };

		len = len ? len : 1;
		skb.data_end = buf + len;
		skb.len = len;
		skb.wire_len = wire = len;
		want = cbpf_run(f, n, flags, &skb);
		good &= call_once(direct, &skb) == want && call_once(plain, &skb) == want;
		if (!good)
			fprintf(stderr, "want %u direct %u plain %u\n", want, call_once(direct, &skb), call_once(plain, &skb));
		if (flags & CBPF_LIBPCAP && good) {
			u32 theirs = bpf_filter((const struct sock_filter_of_libpcap *)f, buf, wire, len);

			good &= theirs == want;
			if (!good)
				fprintf(stderr, "want %u libpcap %u\n", want, theirs);
		} else if (good && i < 4) {
			int kernels = kernel_filter(f, n, buf, len);

			t->kernel += kernels >= 0;	/* -ENOMEM: too long for its optmem_max */
			good &= kernels == -ENOMEM || kernels == (int)MIN(want, len);
			if (!good)
				fprintf(stderr, "want %u kernel %d of %u\n", want, kernels, len);
		}
		t->packets++;
		t->nonzero += want != 0;
	}
	filter_close(direct);
	filter_close(plain);
	return good;
}

static void run(u32 flags, u32 rounds, u32 packets, const char *what)
{
	struct tally t = {};
	struct sock_filter f[40];
	u32 bad = 0, n;

	for (u32 r = 0; r < rounds; r++) {
		state = 0x9e3779b97f4a7c15ull * (r + 1);
		do {
			n = 2 + rnd(38);
			make(f, n);
		} while (cbpf_check(f, n, 0, NULL) || (flags & CBPF_LIBPCAP ? false : has_local(f, n) && rnd(2)) ||
			 any_local(f, n));
		if (flags & CBPF_LIBPCAP)
			for (u32 i = 0; i < n; i++)
				if (cbpf_ad(&f[i]))
					f[i].k = rnd(64);
		if (!one(f, n, flags, packets, &t) && !bad++)
			say(f, n);
	}
	t_row("%u random programs%s: compiled, interpreted and %s agree", rounds, flags ? " of libpcap's machine" : "", what);
	EQ(bad, 0);
	CHECK(t.nonzero > t.packets / 20);
	CHECK(flags || t.kernel > rounds);
	t_row("%u random programs%s: all verified and compiled with direct access", rounds, flags ? " of libpcap's machine" : "");
	EQ(t.plain, 0);
	EQ(t.interpreted, 0);
}

TEST(kernels_machine)
{
	run(0, t_fast() ? 150 : 4000, 20, "the kernel");
}

TEST(libpcaps_machine)
{
	run(CBPF_LIBPCAP, t_fast() ? 150 : 4000, 20, "libpcap");
}

/* The longest programs there can be, far jumps included. */
TEST(long_programs)
{
	struct sock_filter *f = calloc(CBPF_MAX_INSNS, sizeof(*f));
	struct tally t = {};

	NEED(f);
	t_row("4096 loads at different places");
	for (u32 i = 0; i < CBPF_MAX_INSNS; i++)
		f[i] = (struct sock_filter) { BPF_LD | BPF_B | BPF_ABS, .k = i % 1000 };
	f[CBPF_MAX_INSNS - 1] = (struct sock_filter) { BPF_RET | BPF_A };
	CHECK(one(f, CBPF_MAX_INSNS, 0, 20, &t));
	EQ(t.plain, 0);
	t_row("a jump over 4000 instructions that become many more");
	for (u32 i = 0; i < CBPF_MAX_INSNS; i++)
		f[i] = i & 1 ? (struct sock_filter) { BPF_LD | BPF_W | BPF_ABS, .k = i % 60 } :
			       (struct sock_filter) { BPF_ALU | BPF_ADD | BPF_X };
	f[0] = (struct sock_filter) { BPF_LD | BPF_B | BPF_ABS };
	f[1] = (struct sock_filter) { BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 2 };
	f[2] = (struct sock_filter) { BPF_JMP | BPF_JA, .k = CBPF_MAX_INSNS - 4 };
	f[CBPF_MAX_INSNS - 1] = (struct sock_filter) { BPF_RET | BPF_A };
	CHECK(one(f, CBPF_MAX_INSNS, 0, 20, &t));
	t_row("2000 conditions one after the other");
	for (u32 i = 0; i < CBPF_MAX_INSNS; i += 2) {
		f[i] = (struct sock_filter) { BPF_LD | BPF_H | BPF_ABS, .k = i % 200 };
		f[i + 1] = (struct sock_filter) { BPF_JMP | BPF_JGT | BPF_K, 0, i + 20 < CBPF_MAX_INSNS ? 17 : 0, i * 7 };
	}
	f[CBPF_MAX_INSNS - 2] = (struct sock_filter) { BPF_LD | BPF_IMM, .k = 7 };
	f[CBPF_MAX_INSNS - 1] = (struct sock_filter) { BPF_RET | BPF_A };
	for (u32 i = CBPF_MAX_INSNS - 22; i < CBPF_MAX_INSNS - 1; i++)
		if (BPF_CLASS(f[i].code) == BPF_JMP)
			f[i].jt = f[i].jf = 0;
	CHECK(one(f, CBPF_MAX_INSNS, 0, 20, &t));
	EQ(t.interpreted, 0);
	free(f);
}
