/* SPDX-License-Identifier: Apache-2.0 */
/* maps.h - maps as a client sees them: by fd, with BTF, element by element; handles by the words of the command
 * line; printing. */
#ifndef SKEP_TOOL_MAPS_H
#define SKEP_TOOL_MAPS_H

#include "tool/libbpf.h"
#include "tool/val.h"

/* ---- handles: MAP and PROG := id N | pinned FILE | tag HEX | name NAME ---- */
struct handles {
	int *fd;			/* owned */
	u32 n;
};
enum handle_kind { H_MAP, H_PROG };
/* Eats two words of argv. Exit code after fail(). MANY: several objects of one name or tag are fine. */
int handle_get(enum handle_kind kind, int *argc, char ***argv, bool many, struct handles *out);
int handle_one(enum handle_kind kind, int *argc, char ***argv, int *fd);
int handle_all(enum handle_kind kind, struct handles *out);
void handles_free(struct handles *h);
/* The pins of an object, as paths below the pin directory; calls each(arg, path). */
void pins_each(int fd, void (*each)(void *arg, const char *path), void *arg);
bool pin_readable(const char *path);	/* is there a file at this pin that we may read? */
/* Where bpffs lies in the file system. */
const char *pin_dir(void);

/* ---- one map ---- */
struct mapref {
	int fd;
	bool own_fd;
	struct bpf_map_info info;
	struct btf *btf;		/* NULL: none */
	bool own_btf;
	u32 ncpus;			/* 1 if not per-CPU */
	u32 stride;			/* bytes from one CPU's value to the next */
	size_t value_len;		/* what a lookup writes */
};
/* Takes FD over. -errno. BTF is the map's own, from the "kernel". */
int map_open(int fd, struct mapref *m);
void map_close(struct mapref *m);
bool map_percpu(const struct mapref *m);
/* Calls each(arg, key, value, err) for every element, err < 0 when it cannot be read (VALUE undefined then).
 * Elements that vanish meanwhile are left out. Stops when each returns nonzero. 0 or -errno. */
int map_each(struct mapref *m, int (*each)(void *arg, const void *key, const void *value, int err), void *arg);

/* ---- printing ---- */
struct map_view {
	bool sum;			/* per-CPU values: one row with totals; else a row per CPU */
	bool nonzero;			/* leave out elements of arrays whose value is all zero */
	const char *sort;		/* leaf to sort by, largest first; NULL: the map's order; "": pick one */
	u32 top;			/* rows at most, 0: all */
};
struct map_shown {
	u64 elements, shown, zero;	/* in the map, printed, left out */
	char sorted[64];		/* by what, "" if not */
};
/* A table on stdout (without BTF: hexadecimal, as bpftool prints it). */
int map_print(struct mapref *m, const struct map_view *v, struct map_shown *shown);
int map_print_json(struct mapref *m, const char *key, const struct map_view *v);	/* forms of val.h */
void map_print_head(const struct map_shown *s, const char *name);

/* ---- bytes and words ---- */
void print_hex(const void *data, size_t n, const char *sep);
/* "key" and "value" of the command line: bytes in decimal, 0x.., or hexadecimal after the word "hex". */
int parse_bytes(int *argc, char ***argv, u8 *out, u32 n, const char *what);
const char *map_type_name(u32 type);
int map_type_from(const char *word);	/* type or -EINVAL */
const char *prog_type_name(u32 type);

#endif
