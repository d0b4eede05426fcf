/* SPDX-License-Identifier: Apache-2.0 */
/* events.h - the records that programs send through ring buffers and perf event arrays, printed as they come: aligned
 * columns under upper-case names, or one JSON object per line.
 *
 * A record's type is its map's value type (__type(value, struct event)), else a struct that a global
 * `const struct X *unused` names; among several of these the one of the record's size. Without any: bytes. */
#ifndef SKEP_TOOL_EVENTS_H
#define SKEP_TOOL_EVENTS_H

#include <poll.h>

#include "tool/libbpf.h"
#include "tool/val.h"

/* ---- where they come from (events.c) ---- */
struct events;

/* Is this variable one of those `unused`, which say nothing but a type? */
bool events_is_marker(const struct btf *btf, const struct btf_type *var);
/* Before the object is loaded. *EV is NULL if it has no map for events. Exit code after fail(). */
int events_find(struct bpf_object *obj, struct events **ev);
int events_open(struct events *ev);		/* after it was loaded */
/* Print what has come. 0, or EXIT_FAILED when standard output is gone. NULL is fine. */
int events_drain(struct events *ev);
#define EVENT_FDS	33
u32 events_fds(const struct events *ev, struct pollfd *fds, u32 max);	/* readable when something may have come */
u64 events_count(const struct events *ev);
void events_report(const struct events *ev);	/* what was lost, on stderr */
void events_close(struct events *ev);

/* ---- how they look (eventprint.c) ---- */
#define EVENT_TYPES	16
#define EVENT_COLS	64

struct event_col {
	u32 leaf;
	int width;
	bool time;			/* nanoseconds of CLOCK_MONOTONIC */
};

struct event_type {
	const char *name;		/* the struct's; BTF's */
	u32 id, size;
	struct val_leaf *leaf;
	struct event_col col[EVENT_COLS];
	u32 cols;
	bool headed;			/* the header stands already */
};

struct event_printer {
	const struct btf *btf;
	struct event_type type[EVENT_TYPES];
	u32 types;
	u8 *copy;			/* of the record, as long as its type */
	u32 copy_size;
	bool raw_headed;
};

/* The type's index, or -1: not a struct, or too many. */
int event_type_add(struct event_printer *p, u32 btf_id);
/* TYPE -1: none. */
void event_print(struct event_printer *p, int type, const void *data, size_t size);
void event_printer_free(struct event_printer *p);

#endif
