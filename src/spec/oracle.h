/* SPDX-License-Identifier: Apache-2.0 */
/* oracle.h - for tests: ask the running kernel with small generated programs. Included by one test program each. */
#ifndef SKEP_SPEC_ORACLE_H
#define SKEP_SPEC_ORACLE_H

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "spec/spec.h"
#include "t.h"

static char log_buf[8192];

/* Loads into the kernel; 0 or -errno. The log's text is in log_buf if wanted. */
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
	fd = t_kernel_bpf_call(BPF_PROG_LOAD, &a, sizeof(a));
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

#endif
