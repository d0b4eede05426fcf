/* SPDX-License-Identifier: Apache-2.0 */
/* load.h - loading objects for run, verify and prog load: options, pins, and why it failed. */
#ifndef SKEP_TOOL_LOAD_H
#define SKEP_TOOL_LOAD_H

#include "tool/libbpf.h"

/* What the verifier's statistics line says (log_level 4). */
struct load_stats {
	u32 insns, total_states, peak_states, max_states_per_insn, mark_read;
	u64 usec;
};

#define LOAD_LOG_SIZE (1u << 20)
struct load_log {
	char *buf;			/* LOAD_LOG_SIZE */
	u32 level;			/* of the user; statistics are always asked for */
};
int load_log_init(struct load_log *l, u32 level);
void load_log_free(struct load_log *l);
void load_log_attach(struct load_log *l, struct bpf_program *p);
struct load_stats load_log_stats(const struct load_log *l);

/* Only PROG is to be loaded; with prog_arrays in the object, everything of its type (they may hold it). */
void load_only(struct bpf_object *obj, struct bpf_program *prog);
/* --set NAME=VALUE on a global variable. Exit code after fail(). */
int load_set_global(struct bpf_object *obj, const char *assign);
/* EXIT_ENV with a message if the directory of objects cannot be opened, else 0. */
int dir_usable(void);
/* Loads; PROG: the one whose log is kept, NULL: all that are to be loaded. 0, or an exit code after the message: a
 * rejection with its place and the kernel's sentence. */
int load_object(struct bpf_object *obj, struct bpf_program *prog, const struct source *s, struct load_log *l);
/* Pins of a run: bpffs/NAME/{program, maps}. */
int load_reuse_pins(struct bpf_object *obj, const char *name);	/* before load */
int load_check_free(const char *name);		/* nothing pinned there yet? */
/* The first helper that PROG calls whose row says STUB (why a run is -EOPNOTSUPP); NULL: none. */
const char *load_missing_helper(const struct bpf_program *prog);
int load_pin(struct bpf_object *obj, struct bpf_program *prog, const char *name);	/* PROG NULL: all loaded */
int load_pin_maps(struct bpf_object *obj, const char *dir);

/* Prints "error[V006] file.c:15:2: ..." and where it is. */
struct rejection;
void rejection_print(FILE *f, const struct rejection *r, const char *prog);
void rejection_json(struct json *j, const struct rejection *r);

#endif
