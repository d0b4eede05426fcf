/* SPDX-License-Identifier: Apache-2.0 */
/* classic.h - classic BPF programs as the verbs asm, disasm, filter and seccomp read and print them. */
#ifndef SKEP_TOOL_CLASSIC_H
#define SKEP_TOOL_CLASSIC_H

#include "tool/tool.h"
#include "vm/cbpf.h"

struct classic {
	const char *path;
	u32 n;
	struct sock_filter f[CBPF_MAX_INSNS];
	u32 line[CBPF_MAX_INSNS];	/* of the text; 0: read from a binary dump */
};

/* Reads PATH ("-": stdin): text in any style, or a dump of struct sock_filter. NAMES: NAME=VALUE. Not checked yet.
 * 0, or an exit code after fail(), which shows line and column. */
int classic_read(struct classic *c, const char *path, const struct opt_list *names);
int classic_check(const struct classic *c, u32 flags);	/* the kernel's rules; likewise */

/* The options that say how to print. -d is the tool's own letter (opt.debug), -dd and -ddd are no options to a parser
 * of one-letter names: they are taken out of argv first. */
struct classic_style {
	u32 d;				/* how many */
	bool comma, raw, assembly;
};
void classic_take_d(struct classic_style *s, int *argc, char **argv);
/* 0, or an exit code after fail(): more than one style. DEFLT: when none was asked for. */
int classic_print(const struct classic *c, const struct classic_style *s, enum cbpf_style deflt);

#endif
