/* SPDX-License-Identifier: Apache-2.0 */
/* attach.c - may this program be attached there, and the link that says so.
 *
 * A link is an object (hook/hook.h: struct link_meta) that refers to its program and, if it goes to a perf event, to that;
 * it ends with its last fd and pin. What runs where is decided by those who read the objects (hook/learn.c). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/agents.h"
#include "base/fault.h"
#include "prog/prog.h"
#include "sys/attach.h"

#define MAX_PROGS	64		/* of one tracepoint, as in the kernel */
#define ACK_MS		50		/* agents that are slower learn of it later */

int attach_prog_of(struct obj_dir *d, int own, struct attach_prog *p)
{
	struct obj *o;
	int err = obj_map(d, own, &o);

	if (err)
		return err;
	p->id = o->id;
	p->gen = o->gen;
	if (o->kind != OBJ_PROG)
		err = -EINVAL;
	else if (fault_copy_from(&p->h, o->hdr->kind_data, sizeof(p->h)))
		err = -EUCLEAN;
	obj_unmap(o);
	return err;
}

struct same {
	const struct link_meta *m;
	const struct attach_prog *p;
	u32 nr;
};

static int count_same(void *arg, const struct hook_link *l)
{
	struct same *s = arg;

	if (l->m.tp_id != s->m->tp_id || l->m.link_type == BPF_LINK_TYPE_RAW_TRACEPOINT)
		return 0;
	s->nr++;
	return l->m.prog_id == s->p->id && l->m.prog_gen == s->p->gen ? -EEXIST : 0;
}

/* A tracepoint has each program once. (Each probe is a tracepoint of its own.) */
static int check_twice(struct obj_dir *d, const struct link_meta *m, const struct attach_prog *p)
{
	struct same s = { m, p, 0 };
	int err = m->tp_id ? hook_each_link(d, count_same, &s) : 0;

	return err ? err : s.nr >= MAX_PROGS ? -E2BIG : 0;
}

static int check_probe(const struct link_meta *m, const struct attach_prog *p)
{
	if (p->h.prog_type != BPF_PROG_TYPE_KPROBE || p->h.prog_flags & BPF_F_SLEEPABLE)
		return -EINVAL;		/* only uprobes may sleep */
	return p->h.flags & IMG_F_OVERRIDES && m->point != HOOK_KSYSCALL ? -EINVAL : 0;
}

static int check_event(const struct link_meta *m, const struct attach_prog *p)
{
	struct spec_event e;

	if (m->link_type == BPF_LINK_TYPE_RAW_TRACEPOINT) {
		if (p->h.prog_type != BPF_PROG_TYPE_RAW_TRACEPOINT || spec_event_by_id(m->tp_id, &e))
			return -EINVAL;
		return p->h.max_ctx_off > e.raw_args * 8u ? -EINVAL : 0;
	}
	if (!m->tp_id)
		return check_probe(m, p);
	if (p->h.prog_type != BPF_PROG_TYPE_TRACEPOINT || spec_event_by_id(m->tp_id, &e))
		return -EINVAL;
	return p->h.max_ctx_off > spec_event_size(&e) ? -EACCES : 0;
}

int attach_prog_check(struct obj_dir *d, const struct link_meta *m, const struct attach_prog *p, int own)
{
	struct prog *linked;
	int err = check_event(m, p);

	if (!err && m->link_type != BPF_LINK_TYPE_RAW_TRACEPOINT)
		err = check_twice(d, m, p);
	if (err)
		return err;
	err = prog_open_fd(d, own, &linked);	/* what agents will do: better to hear it now */
	if (!err)
		prog_put(linked);
	return err;
}

u64 attach_scope(void)
{
	const char *s = getenv("SKEP_SCOPE");

	return s ? strtoull(s, NULL, 16) : 0;
}

void attach_fill(struct link_meta *m, const struct attach_prog *p, u64 cookie)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	m->prog_type = p->h.prog_type;
	m->attach_type = p->h.attach_type;
	m->prog_gen = p->gen;
	m->cookie = cookie;
	m->attached_ns = (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
	m->scope = attach_scope();
}

int attach_raw_meta(const char *name, struct link_meta *m)
{
	struct spec_event e;

	if (spec_event_raw(name, &e))
		return -ENOENT;
	*m = (struct link_meta){ .version = LINK_VERSION, .link_type = BPF_LINK_TYPE_RAW_TRACEPOINT,
				 .point = e.point, .nr = -1, .pid = -1, .tp_id = e.id };
	strcpy(m->name, e.name);
	return 0;
}

static int fill_link(struct obj *o, const struct link_meta *m, const struct hook_link *event)
{
	int err = obj_ref(o->dir, OBJ_LINK, o->id, "prog", OBJ_PROG, m->prog_id);

	if (!err && event)
		err = obj_ref(o->dir, OBJ_LINK, o->id, "event", OBJ_PERF, event->id);
	memcpy(o->hdr->kind_data, m, sizeof(*m));
	return err ? err : obj_publish(o);
}

int attach_make_link(struct obj_dir *d, const struct link_meta *from, const struct attach_prog *p,
		     const struct hook_link *event)
{
	struct link_meta m = *from;
	struct obj *o;
	int fd, err = obj_create(d, OBJ_LINK, "", 0, 0, &o, &fd);

	if (err)
		return err;
	m.prog_id = p->id;
	m.event_id = event ? event->id : 0;
	m.event_gen = event ? event->gen : 0;
	err = fill_link(o, &m, event);
	if (err) {
		obj_abort(o, fd);
		return err;
	}
	obj_unmap(o);
	attach_mark(fd);
	attach_changed(d, m.scope);
	return fd;
}

void attach_changed(struct obj_dir *d, u64 scope)
{
	if (!agents_open(d))
		agents_bump(d, scope, ACK_MS);
}
