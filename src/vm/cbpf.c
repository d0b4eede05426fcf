/* SPDX-License-Identifier: Apache-2.0 */
/* cbpf.c - classic BPF: the table of spec/cbpf.def as data, and the kernel's checks of socket and seccomp filters
 * (bpf_check_classic(), seccomp_check_filter()), with a reason. Pure functions. */
#include "vm/cbpf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const struct cbpf_op cbpf_ops[] = {
#define CBPF(c, t, f)			{ .code = (c), .text = t, .form = CBPF_##f },
#define CBPF_ALU(c, t, h, e)		{ .code = BPF_ALU | (c) | BPF_K, .text = t, .form = CBPF_IMM, .hex = h }, \
					{ .code = BPF_ALU | (c) | BPF_X, .text = t, .form = CBPF_X },
#define CBPF_JMP(c, t, n, e)		{ BPF_JMP | (c) | BPF_K, t, n, CBPF_IMM, true, true },	\
					{ BPF_JMP | (c) | BPF_X, t, n, CBPF_X, false, true },
#include "spec/cbpf.def"
	{ .code = BPF_JMP | BPF_JA, .text = "ja", .form = CBPF_JA },
};
const u32 cbpf_nr_ops = ARRAY_SIZE(cbpf_ops);

const struct cbpf_ad cbpf_ads[] = {
#define CBPF_AD(n, off, t, a, h)	{ off, #n, t, a, h },
#include "spec/cbpf.def"
};
const u32 cbpf_nr_ads = ARRAY_SIZE(cbpf_ads);

const struct cbpf_op *cbpf_op(u16 code)
{
	for (u32 i = 0; i < cbpf_nr_ops; i++)
		if (cbpf_ops[i].code == code)
			return &cbpf_ops[i];
	return NULL;
}

static bool is_abs(u16 code)
{
	return BPF_CLASS(code) == BPF_LD && BPF_MODE(code) == BPF_ABS;
}

const struct cbpf_ad *cbpf_ad(const struct sock_filter *in)
{
	if (!is_abs(in->code) || in->k < (u32)SKF_AD_OFF)
		return NULL;
	for (u32 i = 0; i < cbpf_nr_ads; i++)
		if (in->k == (u32)SKF_AD_OFF + cbpf_ads[i].off)
			return &cbpf_ads[i];
	return NULL;
}

/* ---- checks ---- */
static int __printf(3, 4) refuse(struct cbpf_reason *why, s32 insn, const char *fmt, ...)
{
	va_list ap;

	if (why) {
		why->insn = insn;
		va_start(ap, fmt);
		vsnprintf(why->text, sizeof(why->text), fmt, ap);
		va_end(ap);
	}
	return -EINVAL;
}

static int check_alu(const struct sock_filter *in, s32 pc, struct cbpf_reason *why)
{
	u8 op = BPF_OP(in->code);

	if (BPF_SRC(in->code) == BPF_X || op == BPF_NEG)
		return 0;
	if ((op == BPF_DIV || op == BPF_MOD) && !in->k)
		return refuse(why, pc, "division by zero");
	if ((op == BPF_LSH || op == BPF_RSH) && in->k >= 32)
		return refuse(why, pc, "shift by %u: 31 is the most", in->k);
	return 0;
}

static int check_jump(const struct sock_filter *f, u32 n, u32 pc, u32 flags, struct cbpf_reason *why)
{
	const struct sock_filter *in = &f[pc];
	s64 to = (s64)pc + 1 + (s32)in->k;

	if (in->code == (BPF_JMP | BPF_JA)) {
		if (flags & CBPF_LIBPCAP && to >= 0 && to < n)
			return 0;
		if (in->k >= n - pc - 1)
			return refuse(why, (s32)pc, "jump to %lld is out of range: the program has %u instructions",
				      (s32)in->k < 0 ? (long long)to : (long long)pc + 1 + in->k, n);
		return 0;
	}
	if (pc + in->jt + 1 >= n || pc + in->jf + 1 >= n)
		return refuse(why, (s32)pc, "jump to %u is out of range: the program has %u instructions",
			      pc + 1 + MAX(in->jt, in->jf), n);
	return 0;
}

static int check_load(const struct sock_filter *in, s32 pc, u32 flags, struct cbpf_reason *why)
{
	if (flags & CBPF_SECCOMP) {
		if (in->code != (BPF_LD | BPF_W | BPF_ABS))
			return refuse(why, pc, "seccomp programs load words at constant offsets only");
		if (in->k >= sizeof(struct seccomp_data) || in->k & 3)
			return refuse(why, pc, "offset %u is no word of struct seccomp_data (0 to 60 by 4)", in->k);
		return 0;
	}
	if (is_abs(in->code) && in->k >= (u32)SKF_AD_OFF && !cbpf_ad(in) && !(flags & CBPF_LIBPCAP))
		return refuse(why, pc, "no ancillary load has offset %d", (s32)in->k);
	return 0;
}

static int check_insn(const struct sock_filter *f, u32 n, u32 pc, u32 flags, struct cbpf_reason *why)
{
	const struct sock_filter *in = &f[pc];
	const struct cbpf_op *op = cbpf_op(in->code);

	if (!op)
		return refuse(why, (s32)pc, "no instruction has code %#x", in->code);
	if (flags & CBPF_SECCOMP && (op->form == CBPF_MSH || (BPF_CLASS(in->code) == BPF_ALU &&
				     BPF_OP(in->code) == BPF_MOD)))
		return refuse(why, (s32)pc, "seccomp programs have no %s", op->text);
	if (op->form == CBPF_MEM && in->k >= BPF_MEMWORDS)
		return refuse(why, (s32)pc, "M[%u]: M has %u words", in->k, BPF_MEMWORDS);
	switch (BPF_CLASS(in->code)) {
	case BPF_ALU:
		return check_alu(in, (s32)pc, why);
	case BPF_JMP:
		return check_jump(f, n, pc, flags, why);
	case BPF_LD:
		return op->form == CBPF_PKT || op->form == CBPF_IND ? check_load(in, (s32)pc, flags, why) : 0;
	}
	return 0;
}

/* M[k] is read only where every way to it has written it. Jumps lead forward: one pass. */
static int check_mem(const struct sock_filter *f, u32 n, struct cbpf_reason *why)
{
	u16 *at = malloc(n * sizeof(*at)), now = 0;
	int err = 0;

	if (!at)
		return -ENOMEM;
	for (u32 i = 0; i < n; i++)
		at[i] = 0xffff;
	for (u32 pc = 0; pc < n && !err; pc++) {
		const struct sock_filter *in = &f[pc];
		const struct cbpf_op *op = cbpf_op(in->code);
		bool store = BPF_CLASS(in->code) == BPF_ST || BPF_CLASS(in->code) == BPF_STX;

		now &= at[pc];
		if (store) {
			now |= (u16)(1 << in->k);
		} else if (op->form == CBPF_MEM && !(now >> in->k & 1)) {
			err = refuse(why, (s32)pc, "M[%u] is read before it was written", in->k);
		} else if (op->form == CBPF_JA) {
			at[pc + 1 + in->k] &= now;
			now = 0xffff;
		} else if (op->jump) {
			at[pc + 1 + in->jt] &= now;
			at[pc + 1 + in->jf] &= now;
			now = 0xffff;
		}
	}
	free(at);
	return err;
}

int cbpf_check(const struct sock_filter *f, u32 n, u32 flags, struct cbpf_reason *why)
{
	int err;

	if (!f || !n)
		return refuse(why, -1, "the program is empty");
	if (n > CBPF_MAX_INSNS)
		return refuse(why, -1, "%u instructions: %u is the most", n, CBPF_MAX_INSNS);
	for (u32 pc = 0; pc < n; pc++) {
		err = check_insn(f, n, pc, flags, why);
		if (err)
			return err;
	}
	if (BPF_CLASS(f[n - 1].code) != BPF_RET)
		return refuse(why, (s32)n - 1, "the last instruction is not a ret");
	return flags & CBPF_LIBPCAP ? 0 : check_mem(f, n, why);
}
