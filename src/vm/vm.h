/* SPDX-License-Identifier: Apache-2.0 */
/* vm.h - the engines: an interpreter and JIT compilers for one instruction table (spec/isa.def). They run only what
 * the verifier accepted and rewrote (IMG_XLATED form). */
#ifndef SKEP_VM_H
#define SKEP_VM_H

#include "base/def.h"
#include "base/sbuf.h"
#include "spec/spec.h"
#include "vm/image.h"

/* A helper as engines call it. */
typedef u64 (*vm_helper)(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5);

/* Everything process-local that linking needs, given by prog/. Return NULL when there is no such thing (-ENOENT). */
struct vm_link {
	void *arg;
	vm_helper (*helper)(void *arg, u32 id);
	vm_helper (*kfunc)(void *arg, u32 row);
	void *(*map)(void *arg, u32 index);			/* struct map * */
	void *(*map_value)(void *arg, u32 index, u32 off);
	void *(*map_data)(void *arg, u32 index);
	u32 (*map_index)(void *arg, u32 id);			/* map id in LD_IMM64 -> index in IMG_MAPS */
	/* bpf_tail_call: the engine calls it with (ctx, map, index, &count); it returns where to continue (an
	 * interp_prog, or the native entry of a program's first subprogram), NULL to fall through. count: calls
	 * so far in this run, kept by the engine over subprograms and programs; the callee counts and limits. */
	void *(*tail_call)(void *ctx, void *map, u32 index, u32 *count);
};

/* LD_ABS and LD_IND, which the verifier leaves as they are: SIZE bytes at OFF of struct skep_sk_buff CTX in host
 * order, -1 where the packet ends before. Negative offsets as SKF_LL_OFF and SKF_NET_OFF say. */
s64 vm_ld_abs(const void *ctx, s32 off, u32 size);

/* Loads that cannot fault (INSN_PROBE_MEM): the value at ADDR in the form of the instruction's CODE, 0 if it cannot be
 * read. */
u64 vm_probe_load(const void *addr, u32 code);

/* may_goto, which the verifier leaves as it is: each subprogram call may take this many before they jump. */
#define VM_MAY_GOTO_BUDGET	(8u << 20)

/* ---- interpreter ---- */
/* Decodes and links. -EINVAL: not IMG_XLATED form; -ENOENT: a helper or map is not there; -ENOMEM. */
struct interp_prog;
int interp_link(const struct bpf_insn *xlated, u32 cnt, const struct image_subprog *subs, u32 nr_subs,
		const struct vm_link *l, struct interp_prog **out);
void interp_free(struct interp_prog *p);
/* Async-signal-safe, no allocation; about 1 KiB of C stack. */
u64 interp_run(const struct interp_prog *p, void *ctx);
/* Call a PSEUDO_FUNC address (callbacks of helpers). */
u64 interp_call(u64 func, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5);

/* ---- JIT: compile once (portable result), link in each process ---- */
struct jit_code {
	u8 *code;
	u32 code_size;
	struct image_reloc *relocs;
	u32 nr_relocs;
	u32 *insn_to_off;		/* per xlated insn: code offset (jited line info, dumps) */
};
enum jit_arch { JIT_X86_64, JIT_ARM64 };
/* What the compiler may bake in about a map: constants of its file. */
struct jit_map {
	u32 id;				/* as LD_IMM64 names it */
	u32 type;			/* BPF_MAP_TYPE_*; 0: nothing is known, no specialised access */
	u32 max_entries;
	u32 value_stride;		/* bytes from one element to the next in map->data */
};
/* Optional features of the CPU. Code that needs some says so in a RELOC_CPU. */
#define JIT_CPU_X86_BMI2	BIT(0)
u32 jit_cpu_features(void);		/* of this machine */

struct jit_opts {
	enum jit_arch arch;
	u32 without;			/* JIT_CPU_* not to be used although this machine has them */
	const struct jit_map *maps;	/* in the order of IMG_MAPS: relocations hold the index */
	u32 nr_maps;
};
/* Compiles to position-independent code; fills code_off and code_size of SUBS. -EINVAL: not IMG_XLATED form,
 * -EOPNOTSUPP: no emitter for this architecture, -E2BIG, -ENOMEM. The result is the caller's: jit_code_free().
 * The code wants the C calling convention: u64 (*)(void *ctx) at subs[0].code_off. */
int jit_compile(const struct bpf_insn *xlated, u32 cnt, struct image_subprog *subs, u32 nr_subs,
		const struct jit_opts *o, struct jit_code *out);
void jit_code_free(struct jit_code *c);

/* A private, executable, relocated copy, never writable and executable at once. Entry: u64 (*)(void *ctx).
 * -EINVAL: relocations outside of the code or of an unknown kind; -ENOENT: one names nothing; -EPERM or -EACCES: no
 * executable memory to be had; -ENOEXEC: the code needs a CPU feature that this machine lacks; -ENOMEM. */
struct code;
int code_link(const u8 *code, u32 size, const struct image_reloc *r, u32 nr, const struct vm_link *l,
	      struct code **out);
void *code_entry(const struct code *c, u32 off);
void code_free(struct code *c);

/* ---- disassembler: one line as the kernel's verifier log and bpftool print it ---- */
struct disasm_names {			/* any may be NULL */
	void *arg;
	const char *(*call)(void *arg, const struct bpf_insn *insn, char *buf, size_t n);	/* "bpf_x#1", "pc+3" */
	const char *(*imm64)(void *arg, const struct bpf_insn *insn, u64 imm, char *buf, size_t n);
};
/* Appends e.g. "(bf) r2 = r10" without newline. insn[1] is read for LD_IMM64. */
void disasm_insn(struct sbuf *out, const struct bpf_insn *insn, const struct disasm_names *names);

#endif
