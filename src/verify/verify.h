/* SPDX-License-Identifier: Apache-2.0 */
/* verify.h - the verifier's only door. Sees base, spec and vm; knows no file, no fd, no process.
 * Pure: same input, same verdict. Thread safe (all state in the call). */
#ifndef SKEP_VERIFY_H
#define SKEP_VERIFY_H

#include "base/btf.h"
#include "base/def.h"
#include "base/sbuf.h"
#include "spec/spec.h"
#include "vm/vm.h"

struct vfy_map {			/* what the verifier may know of a map */
	/* type 0: an fd that is no map (id: the fd, max_entries: the errno), answered in its turn */
	u32 id, type, key_size, value_size, max_entries, flags;
	char name[16];
	const struct btf *btf;		/* NULL: none */
	u32 btf_key_type, btf_value_type;
	const struct vfy_map *inner;	/* maps of maps: the template */
	const u8 *frozen;		/* frozen BPF_F_RDONLY_PROG array: its bytes, constants for the verifier */
	u64 direct_addr;		/* shown in the log for LD_IMM64 of values */
	u64 gen;
};

#define VFY_CAP_BPF		BIT(0)
#define VFY_CAP_PERFMON		BIT(1)
#define VFY_CAP_NET_ADMIN	BIT(2)
#define VFY_CAP_SYS_ADMIN	BIT(3)

struct vfy_in {
	const struct bpf_insn *insns;	/* private copy; LD_IMM64 with map pseudos: imm = index into maps[]
					 * (sys resolved fds and fd_array indices) */
	u32 cnt;
	u32 prog_type, attach_type, prog_flags;
	bool gpl;
	u32 caps;
	const struct vfy_map *maps;
	u32 nr_maps;
	const struct btf *btf;		/* NULL: none */
	const void *func_info, *line_info;
	u32 func_info_cnt, func_info_rec, line_info_cnt, line_info_rec;
	const struct btf *vmlinux;	/* for BTF pointers and kfuncs; NULL: none */
	bool vmlinux_foreign;		/* it is not of the kernel that skep is: what uses it cannot run here */
	const struct btf *attach_btf;	/* where attach_btf_id is; NULL: vmlinux */
	u32 attach_btf_id;
	u32 log_level;			/* BPF_LOG_* bits: 1, 2, 4 */
	bool kernel_walk;		/* exact `processed` counts */
};

/* One step on the way to a rejection, newest last. */
struct vfy_step {
	u32 insn;
	u8 taken;			/* branch: 0 fall-through, 1 taken; 2: not a branch */
	char known[120];		/* the state of what mattered, in the log's notation */
};

/* Why a program was rejected. `rule` is a stable id ("V006"), `kernel` the kernel's own last line(s). */
struct vfy_reason {
	char rule[8];
	int err;			/* -errno */
	s32 insn;			/* -1: no single instruction */
	s8 reg;				/* -1: none */
	char kernel[256];
	char reg_state[160];
	char file[128], line_text[160];	/* from line info; empty if none */
	u32 line, col;
	struct vfy_step *path;
	u32 nr_path;
};

struct vfy_out {
	struct bpf_insn *xlated;	/* malloc; in IMG_XLATED form */
	u32 xlated_cnt;
	u32 *orig;			/* xlated -> original instruction index */
	struct image_subprog *subs;
	u32 nr_subs;
	u32 image_flags;		/* IMG_F_* */
	u32 max_stack;
	u32 max_ctx_off;		/* highest context byte accessed + 1 */
	u32 verified_insns;		/* processed */
	u32 max_states_per_insn, total_states, peak_states, mark_read;
	u64 time_ns;
	struct sbuf log;		/* the kernel's text; the caller truncates into the client's buffer */
	u64 log_dropped;		/* bytes of a very long log that were in front of it */
	struct vfy_reason reason;
};

/* 0 accepted, else -errno as the kernel's with out->reason filled. Call vfy_out_free() either way. */
int vfy_check(const struct vfy_in *in, struct vfy_out *out);
void vfy_out_free(struct vfy_out *out);

#endif
