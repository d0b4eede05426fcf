/* SPDX-License-Identifier: Apache-2.0 */
/* insn.h - taking instructions apart and putting them together. Names as in the kernel's filter.h, which programs
 * and tests of the field use. */
#ifndef SKEP_VM_INSN_H
#define SKEP_VM_INSN_H

#include "base/def.h"
#include "spec/spec.h"

#define INSN_LDIMM64		0x18
#define INSN_MAX		1000000		/* instructions of a program after rewriting; the kernel's */
#define VM_MAX_FRAMES		8		/* subprogram calls, the entry included */
#define VM_STACK		512		/* bytes of BPF stack over all frames of a call chain */

#define INSN(c, d, s, o, i)	\
	((struct bpf_insn) { .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })

/* Loads that cannot fault, as the verifier makes them of loads from kernel objects: what cannot be read is 0. Modes of
 * BPF_LDX that exist only in IMG_XLATED; the kernel's numbers. */
#define INSN_PROBE_MEM		0x20
#define INSN_PROBE_MEMSX	0x40

static inline u8 insn_class(u8 code)
{
	return code & 0x07;
}

static inline bool insn_is_probe(const struct bpf_insn *in)
{
	u8 mode = in->code & 0xe0;

	return insn_class(in->code) == BPF_LDX && (mode == INSN_PROBE_MEM || mode == INSN_PROBE_MEMSX);
}

static inline bool insn_is_ldimm64(const struct bpf_insn *in)
{
	return in->code == INSN_LDIMM64;
}

static inline u64 insn_imm64(const struct bpf_insn *in)
{
	return (u64)(u32)in[1].imm << 32 | (u32)in[0].imm;
}

static inline bool insn_is_jmp_class(u8 code)
{
	return insn_class(code) == BPF_JMP || insn_class(code) == BPF_JMP32;
}

/* JA, JA32, may_goto and the conditional jumps: whatever has a target inside the subprogram. */
static inline bool insn_is_branch(u8 code)
{
	return insn_is_jmp_class(code) && (code & 0xf0) != BPF_CALL && (code & 0xf0) != BPF_EXIT;
}

static inline bool insn_is_ja(u8 code)
{
	return code == (BPF_JMP | BPF_JA) || code == (BPF_JMP32 | BPF_JA);
}

/* A helper to the verifier but a jump to the engines (helpers.def's TAIL_CALL flag). */
static inline bool insn_is_tail_call(const struct bpf_insn *in)
{
	const struct spec_helper *h;

	if (in->code != (BPF_JMP | BPF_CALL) || in->src_reg)
		return false;
	h = spec_helper(in->imm);
	return h && h->flags & SPEC_HELPER_TAIL_CALL;
}

/* Index of the instruction that the branch at I goes to; may lie outside of the program. */
static inline s64 insn_target(const struct bpf_insn *in, u32 i)
{
	return (s64)i + 1 + (in->code == (BPF_JMP32 | BPF_JA) ? in->imm : in->off);
}

struct image_subprog;
/* What engines rely on before they look at instructions: 0, or -EINVAL when subprograms are not in order from 0, have
 * impossible stacks, or when one could run on past its end. */
int insn_check_shape(const struct bpf_insn *in, u32 cnt, const struct image_subprog *subs, u32 nr_subs);

#endif
