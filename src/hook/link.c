/* SPDX-License-Identifier: Apache-2.0 */
/* link.c - attachments as objects: reading them from a directory. A look takes no reference, so that those who only
 * follow attachments (agents) do not keep them alive. Nothing read is believed: a record that does not make sense is
 * passed over, as if its object were not there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hook/hook.h"
#include "spec/uapi.h"

_Static_assert(sizeof(struct link_meta) <= sizeof_field(struct obj_hdr, kind_data), "kind data");

/* Which programs a point takes, and how far system call numbers make sense there. */
static bool point_fits(const struct link_meta *m)
{
	bool kprobe = m->point == HOOK_KSYSCALL || m->point == HOOK_KRETSYSCALL;

	if (m->point >= HOOK_POINTS || m->nr < -1 || m->nr >= HOOK_NR_SYSCALLS)
		return false;
	if (kprobe)
		return m->nr >= 0 && m->prog_type == BPF_PROG_TYPE_KPROBE;
	if (m->point >= HOOK_SCHED_EXEC && m->nr != -1)
		return false;
	return m->prog_type == BPF_PROG_TYPE_TRACEPOINT ||
	       (m->prog_type == BPF_PROG_TYPE_RAW_TRACEPOINT && m->nr == -1);
}

static int take(const struct obj_hdr *h, struct hook_link *l)
{
	*l = (struct hook_link){ .kind = h->kind, .id = h->id, .gen = h->gen };
	memcpy(&l->m, h->kind_data, sizeof(l->m));
	l->m.name[sizeof(l->m.name) - 1] = 0;
	if (l->m.version != LINK_VERSION || (h->kind == OBJ_PERF && h->private_size))
		return -ENOENT;
	if (l->m.prog_id == LINK_PROG_BUSY)
		l->m.prog_id = 0;
	return !l->m.prog_id || point_fits(&l->m) ? 0 : -ENOENT;
}

int hook_get_link(struct obj_dir *d, enum obj_kind kind, u32 id, struct hook_link *out)
{
	struct obj_hdr h;
	int err = kind != OBJ_LINK && kind != OBJ_PERF ? -ENOENT : obj_peek(d, kind, id, &h);

	return err ? err : take(&h, out);
}

int hook_each_link(struct obj_dir *d, int (*fn)(void *arg, const struct hook_link *l), void *arg)
{
	static const enum obj_kind kinds[] = { OBJ_LINK, OBJ_PERF };
	struct hook_link l;
	u32 *ids, nr;
	int ret = 0;

	for (u32 k = 0; !ret && k < ARRAY_SIZE(kinds); k++) {
		ret = obj_ids(d, kinds[k], &ids, &nr);
		if (ret)
			return ret;
		for (u32 i = 0; !ret && i < nr; i++)
			if (!hook_get_link(d, kinds[k], ids[i], &l) && l.m.prog_id)
				ret = fn(arg, &l);
		free(ids);
	}
	return ret;
}
