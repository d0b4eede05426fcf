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
	/* bpf_tail_call: the engine calls it with (ctx, map, index, &count); it returns the address to continue
	 * at (an interp_prog or a native entry), NULL to fall through. */
	void *(*tail_call)(void *ctx, void *map, u32 index, u32 *count);
};

/* ---- interpreter ---- */
struct interp_prog;
int interp_link(const struct bpf_insn *xlated, u32 cnt, const struct image_subprog *subs, u32 nr_subs,
		const struct vm_link *l, struct interp_prog **out);
void interp_free(struct interp_prog *p);
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
struct jit_opts {
	enum jit_arch arch;
	const struct image_ref *maps;	/* for relocation indices and specialised map access */
	u32 nr_maps;
};
int jit_compile(const struct bpf_insn *xlated, u32 cnt, struct image_subprog *subs, u32 nr_subs,
		const struct jit_opts *o, struct jit_code *out);
void jit_code_free(struct jit_code *c);

/* A private, executable, relocated copy. Entry: u64 (*)(void *ctx). */
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
