/* SPDX-License-Identifier: Apache-2.0 */
/* btfinfo.h - func_info and line_info of a program against its BTF and its functions. Pure. */
#ifndef SKEP_VERIFY_BTFINFO_H
#define SKEP_VERIFY_BTFINFO_H

#include "verify/verify.h"

struct btfinfo_sub {
	u32 start;			/* in: first instruction */
	bool has_ld_abs, has_tail_call;	/* in */
	s32 linfo;			/* out: index of its first line_info record, -1 none */
	u32 func_type_id;		/* out: BTF FUNC, 0 none */
	u32 linkage;			/* out: enum btf_func_linkage */
	const char *name;		/* out: NULL none; in the BTF's strings */
};

/* What can be checked before the program's functions are known, and the rest. 0 or -errno with the kernel's sentence appended to
 * WHY (without a newline where the kernel prints none). */
int btfinfo_check_early(const struct vfy_in *in, struct sbuf *why);
int btfinfo_check(const struct vfy_in *in, struct btfinfo_sub *subs, u32 nr, struct sbuf *why);

struct btfinfo_line {
	const char *file, *text;	/* in the BTF's strings */
	u32 line, col, insn, index;	/* insn: first of the record; index: of the record */
};
/* The record that covers INSN. Only after btfinfo_check(). False: none. */
bool btfinfo_line(const struct vfy_in *in, u32 insn, struct btfinfo_line *out);

#endif
