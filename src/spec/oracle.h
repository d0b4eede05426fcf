/* SPDX-License-Identifier: Apache-2.0 */
/* oracle.h - for tests: ask the running kernel with small generated programs. Included by one test program each. */
#ifndef SKEP_SPEC_ORACLE_H
#define SKEP_SPEC_ORACLE_H

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <skep.h>

#include "spec/spec.h"
#include "t.h"

static char log_buf[8192];

/* Who is asked: the host's kernel, or skep (-errno made -1 and errno). */
static long (*oracle_bpf)(int cmd, void *attr, unsigned int size) = t_kernel_bpf_call;

__attribute__((unused)) static long oracle_skep(int cmd, void *attr, unsigned int size)
{
	long r = skep_bpf(cmd, attr, size);

	if (r >= 0)
		return r;
	errno = (int)-r;
	return -1;
}

__attribute__((unused)) static const char *oracle_name(void)
{
	return oracle_bpf == oracle_skep ? "skep" : "kernel";
}

/* Loads a program; 0 or -errno. The log's text is in log_buf if wanted. */
__attribute__((unused)) static int kernel_load(u32 type, u32 attach, const struct bpf_insn *insns, u32 cnt, bool log)
{
	union skep_attr a = {
		.prog_type = type,
		.expected_attach_type = attach,
		.insns = (uintptr_t)insns,
		.insn_cnt = cnt,
		.license = (uintptr_t)"GPL",
		.prog_flags = type == BPF_PROG_TYPE_SYSCALL ? BPF_F_SLEEPABLE : 0,
	};
	long fd;

	if (log) {
		a.log_level = 1;
		a.log_buf = (uintptr_t)log_buf;
		a.log_size = sizeof(log_buf);
		log_buf[0] = 0;
	}
	fd = oracle_bpf(BPF_PROG_LOAD, &a, sizeof(a));
	if (fd < 0)
		return -errno;
	close((int)fd);
	return 0;
}

#define NEED_KERNEL()									\
	do {										\
		if (!t_kernel_bpf()) {							\
			t_skip("not root, or this kernel has no bpf(2)");		\
			return;								\
		}									\
	} while (0)

static struct bpf_insn mov(u8 reg, s32 imm)
{
	return (struct bpf_insn){ .code = 0xb7, .dst_reg = reg, .imm = imm };
}

static const struct bpf_insn exit_insn = { .code = 0x95 };

/* Program types without BTF arguments, whose programs load without a target. */
static bool loads_alone(const struct spec_prog *p)
{
	return p->name && (p->ctx_kind == CTX_STRUCT || p->ctx_kind == CTX_RAW_ARGS || p->ctx_kind == CTX_RAW_MEM) &&
	       p->type != BPF_PROG_TYPE_LIRC_MODE2;
}

/* Calls FN for each program type that loads alone, with each of its expected attach types (0 where it has none). */
__attribute__((unused)) static void each_type(void (*fn)(const struct spec_prog *p, u32 attach))
{
	for (u32 t = 1; t < spec_nr_progs; t++) {
		bool any = false;

		if (!loads_alone(&spec_progs[t]))
			continue;
		for (u32 a = 0; a < spec_nr_attaches; a++)
			if (spec_attaches[a].progs & BIT64(t)) {
				any = true;
				fn(&spec_progs[t], a);
			}
		if (!any)
			fn(&spec_progs[t], 0);
	}
}

__attribute__((unused)) static s32 legal_r0(const struct spec_prog *p, u32 attach)
{
	s64 min = 0, max = 0;

	spec_ret_range(p->type, attach, &min, &max);
	return (s32)min;
}

/* ---- programs that call a helper ---- */
#define MAX_INSNS 64

struct call {
	struct bpf_insn insn[MAX_INSNS];
	u32 cnt;
};

__attribute__((unused)) static void put(struct call *c, struct bpf_insn i)
{
	if (c->cnt < MAX_INSNS)
		c->insn[c->cnt++] = i;
}

__attribute__((unused)) static void put_mov(struct call *c, u8 dst, u8 src)
{
	put(c, (struct bpf_insn){ .code = 0xbf, .dst_reg = dst, .src_reg = src });
}

__attribute__((unused)) static void put_stack(struct call *c, u8 dst, s32 off)
{
	put_mov(c, dst, 10);
	put(c, (struct bpf_insn){ .code = 0x07, .dst_reg = dst, .imm = off });
}

__attribute__((unused)) static void put_imm64(struct call *c, u8 dst, u8 src, s32 lo, s32 hi)
{
	put(c, (struct bpf_insn){ .code = 0x18, .dst_reg = dst, .src_reg = src, .imm = lo });
	put(c, (struct bpf_insn){ .imm = hi });
}

__attribute__((unused)) static int kernel_map(u32 type, u32 key, u32 value, u32 max, u32 flags)
{
	union skep_attr a = { .map_type = type, .key_size = key, .value_size = value, .max_entries = max,
			      .map_flags = flags };

	return (int)oracle_bpf(BPF_MAP_CREATE, &a, sizeof(a));
}

/* A right value for the helper's argument N in its register; false: cannot be made here. */
__attribute__((unused)) static bool put_right(struct call *c, const struct spec_helper *h, u32 n, int map_fd)
{
	u8 reg = (u8)(n + 1);

	switch (ARG_BASE(h->arg[n])) {
	case ARG_ANY:
		put(c, mov(reg, 0));
		return true;
	case ARG_CTX:
		put_mov(c, reg, 6);
		return true;
	case ARG_CONST_MAP:
		put_imm64(c, reg, BPF_PSEUDO_MAP_FD, map_fd, 0);
		return true;
	case ARG_MAP_KEY:
	case ARG_MAP_VALUE:
	case ARG_MEM:
	case ARG_STACK:
		put_stack(c, reg, -64);
		return true;
	case ARG_SIZE:
	case ARG_SIZE_OR_ZERO:
	case ARG_ALLOC_SIZE:
		put(c, mov(reg, 8));
		return true;
	}
	return false;
}

__attribute__((unused)) static void begin(struct call *c)
{
	c->cnt = 0;
	put_mov(c, 6, 1);
	for (s32 off = -64; off < 0; off += 8)
		put(c, (struct bpf_insn){ .code = 0x7a, .dst_reg = 10, .off = (s16)off });
}

#endif
