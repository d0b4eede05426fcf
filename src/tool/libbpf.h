/* SPDX-License-Identifier: Apache-2.0 */
/* libbpf.h - libbpf as the tool uses it: messages kept for the one-line cause, objects from files or from C. */
#ifndef SKEP_TOOL_LIBBPF_H
#define SKEP_TOOL_LIBBPF_H

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "tool/tool.h"

void libbpf_init(void);			/* messages go to stderr under -d, else they are kept */
/* The first warning since the last call, without libbpf's name; "" if none. Valid until the next warning. */
const char *libbpf_cause(void);

/* A BPF object file in memory: read as it is, or compiled from C. */
struct source {
	const char *path;		/* as the user named it */
	char name[64];			/* "flows": the object's name */
	void *data;
	size_t size;
	u64 compile_ns;			/* 0: was not compiled */
};
struct cc_opts {
	struct opt_list include, define;	/* -I, -D */
};
/* 0, or an exit code after fail(). */
int source_get(const char *path, const struct cc_opts *cc, struct source *s);
void source_free(struct source *s);
/* NULL after fail(), *rc is the exit code. */
struct bpf_object *source_open(const struct source *s, int *rc);

/* A pin as the user names it ("NAME/flows", or a path): the path to give to bpf(2). */
void pin_path(const char *name, char *out, size_t size);

#endif
