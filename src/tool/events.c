/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - the maps of an object that carry events, their types, their records (events.h). All through libbpf's own
 * ring_buffer and perf_buffer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tool/door.h"
#include "tool/events.h"

#define MAX_SOURCES	32
#define PERF_PAGES	64		/* of 4096 bytes, per CPU */

struct source_map {
	struct events *ev;
	struct bpf_map *map;
	int type;			/* of the printer; -1: by the record's size among the types from globals */
	bool perf;
	struct perf_buffer *pb;
	u64 lost;			/* perf: as its records say */
	u64 dropped;			/* ring: what its counter was at the start */
};

struct events {
	struct event_printer printer;
	struct source_map src[MAX_SOURCES];
	u32 n;
	u32 from, to;			/* types of the printer that globals name */
	struct ring_buffer *rb;		/* all ring buffers */
	u64 count;
};

/* ---- types ---- */
/* `const struct X *unused`: the struct's id, or 0. */
static u32 named_struct(const struct btf *btf, const struct btf_type *var)
{
	const char *name = btf__name_by_offset(btf, var->name_off);
	const struct btf_type *t = btf__type_by_id(btf, var->type);

	if (!name || !strstr(name, "unused") || !btf_is_ptr(t))
		return 0;
	return t->type;
}

bool events_is_marker(const struct btf *btf, const struct btf_type *var)
{
	return btf_is_var(var) && named_struct(btf, var);
}

static void types_of_globals(struct events *ev)
{
	const struct btf *btf = ev->printer.btf;

	ev->from = ev->printer.types;
	for (u32 id = 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);
		u32 s = btf_is_var(t) ? named_struct(btf, t) : 0;

		if (s)
			event_type_add(&ev->printer, s);
	}
	ev->to = ev->printer.types;
}

/* The value type is for readers: bpf(2) wants rings without, and fds as values of perf event arrays. */
static int clear_sizes(struct source_map *s)
{
	u32 size = s->perf ? sizeof(int) : 0;
	int err = bpf_map__set_key_size(s->map, size);

	return err ? err : bpf_map__set_value_size(s->map, size);
}

static int add_map(struct events *ev, struct bpf_map *m)
{
	struct source_map *s = &ev->src[ev->n];
	u32 value = bpf_map__btf_value_type_id(m);
	int err;

	if (ev->n == MAX_SOURCES)
		return fail(EXIT_FAILED, "more than %d maps for events", MAX_SOURCES);
	s->ev = ev;
	s->map = m;
	s->perf = bpf_map__type(m) == BPF_MAP_TYPE_PERF_EVENT_ARRAY;
	s->type = value && ev->printer.btf ? event_type_add(&ev->printer, value) : -1;
	if (s->type >= 0) {
		err = clear_sizes(s);
		if (err)
			return fail_errno(err, "map %s", bpf_map__name(m));
	}
	ev->n++;
	return 0;
}

int events_find(struct bpf_object *obj, struct events **out)
{
	struct events *ev = calloc(1, sizeof(*ev));
	struct bpf_map *m;
	bool bare = false;
	int rc = 0;

	*out = NULL;
	if (!ev)
		return fail_errno(-ENOMEM, "events");
	ev->printer.btf = bpf_object__btf(obj);
	bpf_object__for_each_map(m, obj)
		if (!rc && (bpf_map__type(m) == BPF_MAP_TYPE_RINGBUF ||
			    bpf_map__type(m) == BPF_MAP_TYPE_PERF_EVENT_ARRAY))
			rc = add_map(ev, m);
	for (u32 i = 0; i < ev->n; i++)
		bare |= ev->src[i].type < 0;
	if (bare && ev->printer.btf)
		types_of_globals(ev);
	if (rc || !ev->n)
		events_close(ev);
	else
		*out = ev;
	return rc;
}

/* A perf sample is padded so that it and its length fill 8-byte words. */
static bool fits(const struct source_map *s, u32 type_size, size_t size)
{
	return type_size == size || (s->perf && ALIGN_UP(type_size + 4, 8u) - 4 == size);
}

static int type_of(const struct source_map *s, size_t size)
{
	const struct events *ev = s->ev;

	if (s->type >= 0)
		return s->type;
	for (u32 i = ev->from; i < ev->to; i++)
		if (fits(s, ev->printer.type[i].size, size))
			return (int)i;
	return ev->to > ev->from ? (int)ev->from : -1;
}

/* ---- records ---- */
static int on_record(void *arg, void *data, size_t size)
{
	struct source_map *s = arg;

	s->ev->count++;
	event_print(&s->ev->printer, type_of(s, size), data, size);
	return 0;
}

static void on_sample(void *arg, int cpu, void *data, u32 size)
{
	on_record(arg, data, size);
}

static void on_lost(void *arg, int cpu, unsigned long long n)
{
	struct source_map *s = arg;

	s->lost += n;
}

static int open_ring(struct source_map *s)
{
	struct events *ev = s->ev;
	int fd = bpf_map__fd(s->map);

	s->dropped = fdinfo_u64(fd, "dropped");
	if (ev->rb)
		return ring_buffer__add(ev->rb, fd, on_record, s);
	ev->rb = ring_buffer__new(fd, on_record, s, NULL);
	return ev->rb ? 0 : -errno;
}

static int open_perf(struct source_map *s)
{
	s->pb = perf_buffer__new(bpf_map__fd(s->map), PERF_PAGES, on_sample, on_lost, s, NULL);
	return s->pb ? 0 : -errno;
}

int events_open(struct events *ev)
{
	int err;

	for (u32 i = 0; ev && i < ev->n; i++) {
		struct source_map *s = &ev->src[i];

		if (bpf_map__fd(s->map) < 0)
			continue;
		err = s->perf ? open_perf(s) : open_ring(s);
		if (err)
			return fail_errno(err, "map %s: its events cannot be read", bpf_map__name(s->map));
	}
	return 0;
}

/* Twice: libbpf's poll also takes the wake-ups off its epoll set, its consume sees records that woke nobody. */
int events_drain(struct events *ev)
{
	if (!ev)
		return 0;
	if (ev->rb) {
		ring_buffer__consume(ev->rb);
		ring_buffer__poll(ev->rb, 0);
	}
	for (u32 i = 0; i < ev->n; i++) {
		if (!ev->src[i].pb)
			continue;
		perf_buffer__consume(ev->src[i].pb);
		perf_buffer__poll(ev->src[i].pb, 0);
	}
	return fflush(stdout) || ferror(stdout) ? EXIT_FAILED : 0;
}

u32 events_fds(const struct events *ev, struct pollfd *fds, u32 max)
{
	u32 n = 0;

	if (ev && ev->rb && n < max)
		fds[n++] = (struct pollfd){ .fd = ring_buffer__epoll_fd(ev->rb), .events = POLLIN };
	for (u32 i = 0; ev && i < ev->n; i++)
		if (ev->src[i].pb && n < max)
			fds[n++] = (struct pollfd){ .fd = perf_buffer__epoll_fd(ev->src[i].pb), .events = POLLIN };
	return n;
}

u64 events_count(const struct events *ev)
{
	return ev ? ev->count : 0;
}

void events_report(const struct events *ev)
{
	for (u32 i = 0; ev && i < ev->n; i++) {
		const struct source_map *s = &ev->src[i];
		u64 n = s->perf ? s->lost : fdinfo_u64(bpf_map__fd(s->map), "dropped") - s->dropped;

		if (n)
			warn("%s: %s event%s lost: there was no room", bpf_map__name(s->map), commas(n),
			     n == 1 ? " was" : "s were");
	}
}

void events_close(struct events *ev)
{
	if (!ev)
		return;
	ring_buffer__free(ev->rb);
	for (u32 i = 0; i < ev->n; i++)
		perf_buffer__free(ev->src[i].pb);
	event_printer_free(&ev->printer);
	free(ev);
}
