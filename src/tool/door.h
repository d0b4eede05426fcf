/* SPDX-License-Identifier: Apache-2.0 */
/* door.h - the little that the tool asks of skep beyond bpf(2): why the verifier refused, and what a client of the kernel
 * reads from /proc. Kept apart because skep's own struct btf and libbpf's have the same name. */
#ifndef SKEP_TOOL_DOOR_H
#define SKEP_TOOL_DOOR_H

#include "base/def.h"
#include "tool/json.h"

struct rejection {
	char rule[8];
	int err;
	s32 insn;			/* -1: none */
	s8 reg;				/* -1: none */
	char kernel[256], reg_state[160], file[128], line_text[160];
	u32 line, col;
};
/* Why this thread's last PROG_LOAD was refused by the verifier; false if it was not. */
bool rejection_get(struct rejection *r);
/* "path": the steps that led there, newest last. Right after rejection_get(). */
void rejection_path_json(struct json *j, const char *key);
/* fdinfo's number for FIELD ("frozen", "memlock", "owner_prog_type"), or 0. */
u64 fdinfo_u64(int fd, const char *field);
int gc_run(void);			/* objects removed, or -errno */
const void *vmlinux_btf(u32 *size);	/* skep's own kernel types: /sys/kernel/btf/vmlinux of its clients */
struct obj_dir;
int tool_dir(struct obj_dir **out);	/* the directory that this client works on; 0 or -errno */
bool gc_used(void);			/* has this process opened the directory? */

#endif
