/* SPDX-License-Identifier: Apache-2.0 */
/* event_cmd.c - perf events that programs are attached to: tracepoints and probed functions, as perf_event_open(2) and
 * ioctl(2) have them. Such an event is an object of its own (hook/hook.h); a program comes to it by PERF_EVENT_IOC_SET_BPF
 * (then it lives with the event) or by a link. As in the kernel, its pid, cpu and enabled state do not filter runs. */
#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>

#include "base/fault.h"
#include "sys/attach.h"

#define RETPROBE	BIT64(0)	/* of attr.config; format/retprobe says so */
#define SYMBOL_MAX	512		/* KSYM_NAME_LEN */
#define QUERY_MAX	64

/* ---- opening ---- */

static int of_tracepoint(const struct perf_event_attr *a, struct link_meta *m)
{
	struct spec_event e;

	if (a->config > UINT16_MAX || spec_event_by_id((u32)a->config, &e))
		return -EINVAL;
	m->event_type = BPF_PERF_EVENT_TRACEPOINT;
	m->point = e.point;
	m->nr = e.nr;
	m->tp_id = e.id;
	strcpy(m->name, e.name);
	return 0;
}

static int of_function(const struct perf_event_attr *a, struct link_meta *m)
{
	const struct spec_syscall *s;
	char symbol[SYMBOL_MAX];
	bool ret = a->config & RETPROBE;
	long n;

	if (!a->kprobe_func)
		return -EINVAL;			/* by address: there are no kernel addresses */
	n = fault_copy_str(symbol, (const char *)(uintptr_t)a->kprobe_func, sizeof(symbol));
	if (n < 0)
		return (int)n;
	s = spec_syscall_symbol(symbol);
	if (!s)
		return -ENOENT;
	if (a->probe_offset)
		return -EINVAL;			/* functions have an entry and an exit here, nothing between */
	m->event_type = ret ? BPF_PERF_EVENT_KRETPROBE : BPF_PERF_EVENT_KPROBE;
	m->point = ret ? HOOK_KRETSYSCALL : HOOK_KSYSCALL;
	m->nr = s->nr;
	strcpy(m->name, symbol);
	return 0;
}

static int make_event(struct obj_dir *d, const struct link_meta *m)
{
	struct obj *o;
	int fd, err = obj_create(d, OBJ_PERF, "", 0, 0, &o, &fd);

	if (err)
		return err == -ENOSPC ? -ENOMEM : err;
	memcpy(o->hdr->kind_data, m, sizeof(*m));
	err = obj_publish(o);
	if (err) {
		obj_abort(o, fd);
		return err;
	}
	obj_unmap(o);
	attach_mark(fd);
	return fd;
}

bool attach_event_kind(u32 type)
{
	return type == PERF_TYPE_TRACEPOINT || type == ATTACH_PMU_KPROBE;
}

int attach_event_open(struct obj_dir *d, const struct perf_event_attr *a)
{
	struct link_meta m = { .version = LINK_VERSION, .link_type = BPF_LINK_TYPE_PERF_EVENT, .pid = -1 };
	int err;

	err = a->type == PERF_TYPE_TRACEPOINT ? of_tracepoint(a, &m) : of_function(a, &m);
	return err ? err : make_event(d, &m);
}

int attach_event_of(struct obj_dir *d, int own, struct hook_link *out)
{
	enum obj_kind kind;
	struct stat st;
	struct obj *o;
	int err = obj_identify(d, own, &kind, &st);
	u32 id;

	if (err || kind != OBJ_PERF || obj_map(d, own, &o))
		return -EBADF;
	id = o->id;
	obj_unmap(o);
	return hook_get_link(d, OBJ_PERF, id, out) ? -EBADF : 0;
}

/* ---- a program for an event ---- */

struct find {
	u32 event;
	u64 gen;
};

static int is_linked(void *arg, const struct hook_link *l)
{
	const struct find *f = arg;

	return l->m.event_id == f->event && l->m.event_gen == f->gen;
}

int attach_event_free(struct obj_dir *d, const struct hook_link *e)
{
	struct find f = { e->id, e->gen };
	int ret = e->m.prog_id ? 1 : hook_each_link(d, is_linked, &f);

	return ret > 0 ? -EEXIST : ret;
}

/* The program goes into the event's record under a claim that nobody else can have. */
static int store_prog(struct obj_dir *d, struct obj *o, const struct attach_prog *p, const struct link_meta *full)
{
	struct link_meta *m = (struct link_meta *)o->hdr->kind_data;
	u32 none = 0;
	int err;

	if (!__atomic_compare_exchange_n(&m->prog_id, &none, LINK_PROG_BUSY, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return -EEXIST;
	err = obj_ref(d, OBJ_PERF, o->id, "prog", OBJ_PROG, p->id);
	if (!err) {
		m->prog_type = full->prog_type;
		m->attach_type = full->attach_type;
		m->prog_gen = full->prog_gen;
		m->cookie = full->cookie;
		m->scope = full->scope;
		m->attached_ns = full->attached_ns;
	}
	STORE_RELEASE(m->prog_id, err ? 0 : p->id);	/* pairs with the copy in hook_get_link() */
	return err;
}

static int set_prog(struct obj_dir *d, int own, const struct hook_link *e, int prog_fd)
{
	struct link_meta m = e->m;
	struct attach_prog p;
	struct obj *o;
	int err = attach_prog_of(d, prog_fd, &p);

	if (!err)
		err = attach_event_free(d, e);
	if (!err)
		err = attach_prog_check(d, &m, &p, prog_fd);
	if (!err)
		err = obj_map(d, own, &o);
	if (err)
		return err;
	attach_fill(&m, &p, 0);
	err = store_prog(d, o, &p, &m);
	obj_unmap(o);
	if (!err)
		attach_changed(d, m.scope);
	return err;
}

/* ---- which programs a tracepoint has ---- */

struct query {
	u32 tp_id, nr;
	u32 ids[QUERY_MAX];
	u64 when[QUERY_MAX];
};

static int add_id(void *arg, const struct hook_link *l)
{
	struct query *q = arg;
	u32 i = q->nr;

	if (l->m.tp_id != q->tp_id || l->m.link_type == BPF_LINK_TYPE_RAW_TRACEPOINT || i == QUERY_MAX)
		return 0;
	for (; i && q->when[i - 1] > l->m.attached_ns; i--) {
		q->ids[i] = q->ids[i - 1];
		q->when[i] = q->when[i - 1];
	}
	q->ids[i] = l->m.prog_id;
	q->when[i] = l->m.attached_ns;
	q->nr++;
	return 0;
}

static int query_progs(struct obj_dir *d, const struct hook_link *e, unsigned long arg)
{
	struct perf_event_query_bpf *to = (void *)(uintptr_t)arg, head;
	struct query q = { .tp_id = e->m.tp_id };
	u32 n;
	int err;

	if (!q.tp_id)
		return -EINVAL;
	if (fault_copy_from(&head, to, sizeof(head)))
		return -EFAULT;
	if (head.ids_len > QUERY_MAX)
		return -E2BIG;
	err = hook_each_link(d, add_id, &q);
	if (err)
		return err;
	n = MIN(q.nr, head.ids_len);
	if (fault_copy_to(&to->prog_cnt, &q.nr, sizeof(q.nr)) || fault_copy_to(to->ids, q.ids, n * sizeof(u32)))
		return -EFAULT;
	return n && n < q.nr ? -ENOSPC : 0;
}

int attach_event_ioctl(struct obj_dir *d, int own, const struct hook_link *e, unsigned long cmd, unsigned long arg)
{
	u64 id = e->id;

	switch (cmd) {
	case PERF_EVENT_IOC_SET_BPF:
		return set_prog(d, own, e, (int)arg);
	case PERF_EVENT_IOC_QUERY_BPF:
		return query_progs(d, e, arg);
	case PERF_EVENT_IOC_ID:
		return fault_copy_to((void *)(uintptr_t)arg, &id, sizeof(id)) ? -EFAULT : 0;
	case PERF_EVENT_IOC_ENABLE:
	case PERF_EVENT_IOC_DISABLE:
	case PERF_EVENT_IOC_RESET:
		return 0;			/* programs run as long as the event is there, enabled or not */
	}
	return -EINVAL;
}
