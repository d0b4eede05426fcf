/* SPDX-License-Identifier: Apache-2.0 */
/* jit.h - between the compiler's driver (jit.c) and the emitters (jit_x86.c; jit_arm64.c would be the next).
 * The driver owns the buffer, labels, branches and relocations; an emitter turns one instruction (or several that
 * it fuses) into bytes. Branches to labels are recorded as sites of their longest form; when all code is there
 * the driver chooses the shortest form of each that reaches, closes the gaps, and writes the displacements. */
#ifndef SKEP_VM_JIT_H
#define SKEP_VM_JIT_H

#include "vm/insn.h"
#include "vm/ir.h"
#include "vm/vm.h"

/* A program that is tail-called is entered this many bytes before its C entry, with its run's counter
 * in the architecture's scratch register; its stack is as at the C entry. */
#define JIT_TAIL_ENTRY	8

struct jit_site {
	u32 at;				/* offset of its first byte, before sites are shortened */
	u32 label;
	u8 kind;			/* the emitter's */
	u8 len[2];			/* bytes when long, when short (equal: has no short form) */
	bool is_short;
};

struct jit;
struct jit_ops {
	/* Will insn(), seeing this call, compile it in line (IR_INLINE)? */
	bool (*inlines)(const struct jit *j, u32 i);
	/* From the first byte of a subprogram to its first instruction. */
	void (*enter)(struct jit *j, u32 sub);
	/* Emits insn[i] and what it fuses with it; returns the number of slots consumed (1 or more), or -errno. */
	int (*insn)(struct jit *j, u32 i);
	/* Does a displacement (from the end of the short form) fit the short form? */
	bool (*reaches)(u8 kind, s64 disp);
	/* Write a branch at P; disp counts from the end of the form chosen. */
	void (*branch)(u8 *p, const struct jit_site *s, s64 disp);
};
extern const struct jit_ops jit_x86_ops;

struct jit {
	const struct bpf_insn *insn;
	u32 cnt;
	struct image_subprog *subs;
	u32 nr_subs;
	const struct jit_opts *o;
	const struct jit_ops *ops;
	struct ir ir;
	u32 sub;			/* being compiled */

	u8 *buf;
	u32 len, cap;
	struct jit_site *site;
	u32 nr_sites, cap_sites;
	struct image_reloc *reloc;
	u32 *reloc_site;		/* number of sites before each relocation */
	u32 nr_relocs, cap_relocs;
	struct jit_label {
		u32 at, site;		/* offset, and number of sites before it */
	} *label;			/* cnt + 2 * nr_subs */
	u32 cpu;			/* JIT_CPU_*: may be used */
	u32 cpu_used;			/* JIT_CPU_*: what the code needs */
	int err;			/* sticky: -ENOMEM, -E2BIG */

	/* The emitter's, per subprogram. */
	u32 frame;			/* bytes subtracted from the stack pointer */
	u32 slot_count, slot_ctx, slot_budget;
	u16 pushed;
};

/* Labels 0..cnt-1 are instructions; then each subprogram has two: its entry for C callers, and its body, which
 * calls inside the program go to. The emitter's enter() places both. */
void jit_label_here(struct jit *j, u32 label);
static inline u32 jit_label_entry(const struct jit *j, u32 sub)
{
	return j->cnt + 2 * sub;
}
static inline u32 jit_label_body(const struct jit *j, u32 sub)
{
	return j->cnt + 2 * sub + 1;
}

/* Room for N more bytes; NULL (and j->err) when there is none. */
u8 *jit_room(struct jit *j, u32 n);
void jit_bytes(struct jit *j, const void *p, u32 n);
void jit_site(struct jit *j, u8 kind, u32 label, u8 len_long, u8 len_short);
/* A relocation of the bytes at j->len + DELTA. */
void jit_reloc(struct jit *j, s32 delta, u8 form, u8 kind, u16 n, s64 addend);

/* Is insn[i+n] there, in the same subprogram, and reached only from the one before? */
static inline bool jit_follows(const struct jit *j, u32 i, u32 n)
{
	for (u32 k = i + 1; k <= i + n; k++)
		if (k >= j->cnt || j->ir.fact[k].flags & IR_LEADER)
			return false;
	return true;
}

#endif
