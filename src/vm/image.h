/* SPDX-License-Identifier: Apache-2.0 */
/* image.h - a verified program as it lies in its object file: everything a process needs to build its own copy.
 * The file's private area holds the sections; obj_hdr.kind_data holds struct image_hdr; obj_hdr.digest is the
 * SHA-256 of image_hdr and all sections except `stats`, checked before anything of the file is executed. */
#ifndef SKEP_VM_IMAGE_H
#define SKEP_VM_IMAGE_H

#include "base/def.h"

struct image_sec {
	u32 off, size;			/* in the private area; bytes */
};

enum image_sec_id {
	IMG_INSNS,			/* as loaded by the client (struct bpf_insn[]) */
	IMG_XLATED,			/* verified and rewritten (struct bpf_insn[]); objects by id, see below */
	IMG_CODE_X86, IMG_CODE_ARM64,	/* machine code, position-independent but for relocations */
	IMG_RELOC_X86, IMG_RELOC_ARM64,	/* struct image_reloc[] */
	IMG_SUBPROGS,			/* struct image_subprog[] */
	IMG_MAPS,			/* struct image_ref[]: used maps, in order of first use */
	IMG_FUNC_INFO, IMG_LINE_INFO,	/* as loaded, insn_off moved to IMG_XLATED */
	IMG_FACTS,			/* what the verifier proved, for the compiler (later) */
	IMG_STATS,			/* struct image_stats; shared, atomic */
	IMG_LINE_CODE,			/* u32 per line_info record: code offset of its instruction */
	IMG_SECS = 16,
};

/* In IMG_XLATED, BPF_LD_IMM64 keeps its pseudo source: PSEUDO_MAP_FD: imm = map id; PSEUDO_MAP_VALUE: imm = map
 * id, next imm = offset; PSEUDO_FUNC: imm = instruction offset relative as in PSEUDO_CALL. Helper calls keep the
 * helper id; kfunc calls (src 2) hold the index in kfuncs.def. Loads may have the modes of insn_is_probe(). */

struct image_ref {
	u32 id;
	u32 type;			/* BPF_MAP_TYPE_* */
	u64 gen;
};

struct image_subprog {
	u32 insn;			/* first instruction in IMG_XLATED */
	u32 code_off;			/* in the machine code */
	u32 stack;			/* bytes of BPF stack, 8-aligned */
	u32 code_size;
};

enum image_reloc_kind {
	RELOC_HELPER,			/* n = helper id: address of the function */
	RELOC_KFUNC,			/* n = row */
	RELOC_MAP,			/* n = index in IMG_MAPS: address of the process-local struct map */
	RELOC_MAP_VALUE,		/* n = index, addend = offset into the value */
	RELOC_MAP_DATA,			/* n = index: map->data */
	RELOC_SELF,			/* addend = offset in the code */
	RELOC_RT,			/* n = enum image_rt: a runtime routine (tail call, ...) */
	RELOC_CPU,			/* n = JIT_CPU_* that the code needs; changes nothing */
};
enum image_reloc_form { FORM_ABS64, FORM_REL32, FORM_ARM64_MOV4, FORM_ARM64_CALL26 };
enum image_rt { RT_TAIL_CALL, RT_LD_ABS, RT_PROBE, RT_LAST };

struct image_reloc {
	u32 where;			/* byte offset in the code */
	u8 form, kind;
	u16 n;
	s64 addend;
};

struct image_stats {
	u64 run_cnt, run_time_ns, misses, recursion_misses;
};

struct image_hdr {
	u32 version;			/* IMAGE_VERSION */
	u32 prog_type, attach_type;
	u32 flags;			/* IMG_F_* */
	u32 prog_flags;			/* BPF_F_* given at load */
	u32 verified_insns;
	u32 max_stack;			/* of the deepest call chain, bytes */
	u32 btf_id;
	u32 func_info_rec, line_info_rec;
	u32 ifindex;
	u32 attach_btf_id, attach_btf_obj_id;
	u32 max_ctx_off;		/* highest context byte read + 1 */
	u8 tag[8];
	char license_gpl;
	u8 pad[3];
	char name[16];
	struct image_sec sec[IMG_SECS];
};
#define IMAGE_VERSION	1
#define IMG_F_NEEDS_CPU		BIT(0)	/* uses per-CPU data: takes a run lease */
#define IMG_F_TAIL_CALLS	BIT(1)
#define IMG_F_SLEEPABLE		BIT(2)
#define IMG_F_PKT_CHANGES	BIT(3)
#define IMG_F_STUBS		BIT(4)	/* calls helpers whose rows are STUB: verified, cannot run here */
#define IMG_F_OVERRIDES		BIT(5)	/* calls bpf_override_return() */

#endif
