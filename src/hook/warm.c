/* SPDX-License-Identifier: Apache-2.0 */
/* warm.c - what runs may come to is opened before they do: a hooked thread has the target's fds, root and rights, and opens
 * nothing. By the helper; the fd maps keep what was opened (map/fdmap.c). */
#include <stdlib.h>

#include "hook/list.h"
#include "map/perf.h"
#include "spec/uapi.h"

static struct {
	struct prog **v;
	u32 nr, cap;
} seen;

static bool first_time(struct prog *p)
{
	struct prog **v;

	for (u32 i = 0; i < seen.nr; i++)
		if (seen.v[i] == p)
			return false;
	if (seen.nr == seen.cap) {
		v = realloc(seen.v, (seen.cap ? seen.cap * 2 : 64) * sizeof(*v));
		if (!v)
			return false;
		seen.v = v;
		seen.cap = seen.cap ? seen.cap * 2 : 64;
	}
	seen.v[seen.nr++] = p;
	return true;
}

static void warm_map(struct map *m)
{
	struct perf_event *e;
	struct prog *p;

	for (u32 i = 0; i < m->attr.max_entries; i++) {
		switch (m->attr.type) {
		case BPF_MAP_TYPE_PROG_ARRAY:
			p = map_prog_slot(m, i);
			if (p)
				first_time(p);	/* its turn comes */
			break;
		case BPF_MAP_TYPE_ARRAY_OF_MAPS:
			map_inner(m, &i);
			break;
		case BPF_MAP_TYPE_PERF_EVENT_ARRAY:
			e = map_perf_slot(m, i);
			if (e)
				perf_event_warm(e);
			break;
		default:
			return;
		}
	}
}

void hook_warm(struct prog *p)
{
	u32 at = seen.nr;

	if (!first_time(p))
		return;
	for (; at < seen.nr; at++)
		for (u32 i = 0; i < seen.v[at]->nr_maps; i++)
			warm_map(seen.v[at]->maps[i]);
}

void hook_warm_done(void)
{
	free(seen.v);
	seen.v = NULL;
	seen.nr = seen.cap = 0;
}
