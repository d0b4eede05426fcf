/* SPDX-License-Identifier: Apache-2.0 */
/* perf.h - perf events that programs write to (PERF_COUNT_SW_BPF_OUTPUT): what perf_event_open(2), its mmap, ioctl and
 * epoll become, and what bpf_perf_event_output() does. An event is an object file (OBJ_PERF); its ring is a file of its own
 * among the event's references, because its size is known only when the client maps it. */
#ifndef SKEP_MAP_PERF_H
#define SKEP_MAP_PERF_H

#include "base/def.h"
#include "base/obj.h"

struct perf_event;		/* of this process: an event attached */

/* What a client asked for; kind data of the object, constant. Samples may hold PERF_FIELDS of perf.c. */
struct perf_conf {
	u64 sample_type;
	u32 wakeup;		/* events, or bytes when `watermark` */
	s32 cpu;		/* -1: any, then tid is not */
	s32 tid;		/* -1: any */
	u8 watermark, sample_id_all, disabled, pad;
};

/* All: 0 or -errno, as perf_event_open(2) and friends; thread safe. */
int perf_event_create(struct obj_dir *d, const struct perf_conf *c, int *fd);
/* -EBADF: no perf event of D. The result holds the mapping, not the event: that lives by its fds and by maps. */
int perf_event_attach(struct obj_dir *d, int fd, struct perf_event **out);
int perf_event_attach_id(struct obj_dir *d, u32 id, u64 gen, struct perf_event **out);
void perf_event_detach(struct perf_event *e);
/* A description to map LEN bytes of, [struct perf_event_mmap_page][data], and to close then. The ring lives while it is
 * mapped; mapped again it is the same one, with the same LEN only (-EINVAL). */
int perf_event_ring(struct perf_event *e, size_t len, bool writable);
int perf_event_ioctl(struct perf_event *e, u32 cmd, u64 arg);
/* As map_ring_wake_fd(): a FIFO that gets a byte when the kernel would wake its pollers. */
int perf_event_wake_fd(struct perf_event *e);
/* Was there a wake-up since this was asked last? */
bool perf_event_polled(struct perf_event *e);

/* As map_ring_reader(); true: it was not woken for what came meanwhile, so it must not sleep now. */
bool perf_event_reader(struct perf_event *e, bool awake);
bool perf_event_missed(const struct perf_event *e);	/* the same, only a look */

/* From programs, async-signal-safe: one sample with [data][more] as its raw part. CPU: slot of the run.
 * -EOPNOTSUPP: not active on CPU; -ENOSPC: no ring, or no room (counted as lost); -E2BIG: no record is that long. */
struct perf_raw {
	const void *data, *more;
	u64 size, more_size;
};
long perf_event_output(struct perf_event *e, u32 cpu, const struct perf_raw *raw);

/* Map its ring now, if it has one: where programs run in hooks nothing can be opened. */
void perf_event_warm(struct perf_event *e);

struct map;
/* The event of a slot; NULL: empty or gone. Borrowed: stays attached as long as M is. */
struct perf_event *map_perf_slot(struct map *m, u32 index);
/* Replaced events of a map's private table wait in a list until the map is detached. */
void perf_event_retire(struct perf_event **list, struct perf_event *e);
void perf_event_detach_all(struct perf_event *list);

#endif
