/* SPDX-License-Identifier: Apache-2.0 */
/* ir.h - what compilers know about a program beyond its instructions: one linear analysis, a few rounds where there are
 * loops. Today the emitters walk BPF instructions and ask these facts; an optimising intermediate form (value
 * numbering, selective cmov, the verifier's IMG_FACTS) would be built here, between ir_build() and the emitter,
 * and hand the emitter its own operations through struct jit_ops (jit.h). */
#ifndef SKEP_VM_IR_H
#define SKEP_VM_IR_H

#include "vm/insn.h"
#include "vm/vm.h"

#define IR_LEADER	BIT(0)		/* something jumps here, or a subprogram begins */
#define IR_INLINE	BIT(1)		/* a call that the emitter compiles in line: of its arguments it reads only
					 * r2, and that only when `key` is unknown */
#define IR_FP_UNKNOWN	INT32_MIN

struct ir_fact {			/* of one instruction */
	u8 flags;			/* IR_LEADER, IR_INLINE */
	u16 live;			/* registers (bit n: r<n>) that are read later, after this instruction */
	u16 zext;			/* registers whose upper 32 bits are zero, before it */
	u16 map;			/* calls: 1 + index of the map that r1 holds; 0 unknown */
	s32 key;			/* calls: r2 = r10 + key; IR_FP_UNKNOWN */
};

struct ir_sub {
	u16 saved;			/* r6 to r9 that it writes */
	bool calls;			/* any call: C alignment of the stack is needed */
	bool tail_calls;		/* reaches a tail call, itself or through others */
	bool may_goto;
	bool address_taken;		/* PSEUDO_FUNC */
	bool uses_fp;
};

struct ir {
	struct ir_fact *fact;
	struct ir_sub *sub;
	u16 *sub_of;			/* instruction -> subprogram */
};

int ir_build(struct ir *ir, const struct bpf_insn *in, u32 cnt, const struct image_subprog *subs,
	     u32 nr_subs, const struct jit_opts *o);
/* Liveness once more, after IR_INLINE was set on some calls. */
void ir_relive(struct ir *ir, const struct bpf_insn *in, u32 cnt);
void ir_free(struct ir *ir);
/* Does insn[i] only compute a value that nobody reads? */
bool ir_dead(const struct ir *ir, const struct bpf_insn *in, u32 i);
/* Registers that IN reads and writes; calls read r1 to r5 and destroy r0 to r5. */
void ir_use_def(const struct bpf_insn *in, u16 *use, u16 *def);
/* Index of the subprogram that starts at INSN, or -1. */
int ir_sub_at(const struct image_subprog *subs, u32 nr_subs, s64 insn);

#endif
