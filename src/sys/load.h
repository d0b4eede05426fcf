/* SPDX-License-Identifier: Apache-2.0 */
/* load.h - one PROG_LOAD under way: what prog_cmd.c (order, rights, verdict), resolve.c (fds -> objects) and store.c
 * (image -> object file) hand to each other. Everything in it is private memory. */
#ifndef SKEP_SYS_LOAD_H
#define SKEP_SYS_LOAD_H

#include "sys/sys.h"
#include "vm/image.h"
#include "vm/vm.h"

#define LOAD_MAX_MAPS	64		/* the kernel's MAX_USED_MAPS */

struct load {
	struct call *k;
	struct bpf_insn *insns;		/* as loaded */
	struct bpf_insn *resolved;	/* map pseudos hold an index into maps[] */
	u32 cnt;
	bool gpl;
	char name[16];
	u8 tag[8];
	struct map *maps[LOAD_MAX_MAPS];
	struct vfy_map vmaps[LOAD_MAX_MAPS];
	struct sys_btf *map_btf[LOAD_MAX_MAPS];
	struct vfy_map inner[LOAD_MAX_MAPS];
	u32 nr_maps;
	struct sys_btf *btf;
	void *func_info, *line_info;
	u32 func_info_cnt, line_info_cnt;
	struct vfy_out out;
	struct jit_code code;		/* code NULL: to be interpreted */
	struct sys_log log;
	struct sbuf early;		/* text of refusals before the verifier proper */
};

/* Map fds of the instructions and of fd_array become maps[]; BTF and its info are copied. -errno, text in early. */
int load_resolve(struct load *l);
void load_release(struct load *l);

/* Writes the verified, compiled program into a new object. Returns the fd. */
int load_store(struct load *l);

#endif
