/* SPDX-License-Identifier: Apache-2.0 */
/* learn.c - from attachments (link objects) to the lists that runs read (list.h). By one thread: the agent's helper.
 *
 * A set holds a reference of each program it names; what the programs may come to by tail calls and maps of maps is
 * opened here too, because a run opens nothing. Order at one point, as the kernel's: programs of one tracepoint run
 * together where its first one stands, raw tracepoints each where they stand, probes of a function after the entry's
 * and before the exit's tracepoints. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hook/list.h"
#include "spec/uapi.h"

struct held {
	struct hook_link l;
	struct prog *prog;		/* NULL: could not be taken */
	u64 rank;			/* of its tracepoint: when the first was attached */
};

struct learn {
	struct obj_dir *d;
	u64 scope;
	s32 pid;
	struct held *v;
	u32 nr, cap;
};

static u64 refused;

/* ---- reading ---- */

static int add_link(void *arg, const struct hook_link *l)
{
	struct learn *a = arg;
	struct held *v;

	if ((l->m.scope && l->m.scope != a->scope) || (l->m.pid != -1 && l->m.pid != a->pid))
		return 0;
	if (a->nr == a->cap) {
		v = realloc(a->v, (a->cap ? a->cap * 2 : 16) * sizeof(*v));
		if (!v)
			return -ENOMEM;
		a->v = v;
		a->cap = a->cap ? a->cap * 2 : 16;
	}
	a->v[a->nr++] = (struct held){ .l = *l };
	return 0;
}

static bool same_link(const struct held *a, const struct held *b)
{
	return a->l.kind == b->l.kind && a->l.id == b->l.id && a->l.gen == b->l.gen &&
	       a->l.m.prog_id == b->l.m.prog_id && a->l.m.prog_gen == b->l.m.prog_gen;
}

/* hook_each_link() goes by kind and id, and so does `held`. */
static bool unchanged(const struct hook_set *s, const struct learn *a)
{
	if (s->nr_held != a->nr)
		return false;
	for (u32 i = 0; i < a->nr; i++)
		if (!s->held[i].prog || !same_link(&s->held[i], &a->v[i]))
			return false;
	return true;
}

static struct prog *known_prog(const struct hook_set *s, const struct held *h)
{
	for (u32 i = 0; s && i < s->nr_held; i++)
		if (s->held[i].prog && same_link(&s->held[i], h)) {
			prog_get(s->held[i].prog);
			return s->held[i].prog;
		}
	return NULL;
}

static void take_programs(struct learn *a)
{
	refused = 0;
	for (u32 i = 0; i < a->nr; i++) {
		struct held *h = &a->v[i];

		h->prog = known_prog(hook_current, h);
		if (!h->prog && prog_open_id(a->d, h->l.m.prog_id, h->l.m.prog_gen, &h->prog))
			h->prog = NULL;
		/* the record and the program must agree on what it is */
		if (h->prog && h->prog->hdr.prog_type != h->l.m.prog_type) {
			prog_put(h->prog);
			h->prog = NULL;
		}
		refused += !h->prog;
	}
}

/* ---- order ---- */

static bool is_probe(const struct held *h)
{
	return h->l.m.point == HOOK_KSYSCALL || h->l.m.point == HOOK_KRETSYSCALL;
}

/* One tracepoint handler of the kernel serves all of these. */
static bool same_handler(const struct held *a, const struct held *b)
{
	bool raw = a->l.m.link_type == BPF_LINK_TYPE_RAW_TRACEPOINT || b->l.m.link_type == BPF_LINK_TYPE_RAW_TRACEPOINT;

	if (raw || is_probe(a) || is_probe(b))
		return a == b;
	return a->l.m.point == b->l.m.point && (a->l.m.nr < 0) == (b->l.m.nr < 0);
}

static void rank_all(struct learn *a)
{
	for (u32 i = 0; i < a->nr; i++) {
		a->v[i].rank = a->v[i].l.m.attached_ns;
		for (u32 k = 0; k < a->nr; k++)
			if (same_handler(&a->v[i], &a->v[k]))
				a->v[i].rank = MIN(a->v[i].rank, a->v[k].l.m.attached_ns);
	}
}

static bool before(const struct held *a, const struct held *b)
{
	bool pa = is_probe(a), pb = is_probe(b);

	if (pa != pb)
		return a->l.m.point == HOOK_KRETSYSCALL || b->l.m.point == HOOK_KSYSCALL;
	if (a->rank != b->rank)
		return a->rank < b->rank;
	if (a->l.m.attached_ns != b->l.m.attached_ns)
		return a->l.m.attached_ns < b->l.m.attached_ns;
	return a->l.id < b->l.id;
}

static int by_order(const void *x, const void *y)
{
	const struct held *a = *(const struct held *const *)x, *b = *(const struct held *const *)y;

	return before(a, b) ? -1 : before(b, a);
}

/* ---- the set ---- */

static enum hook_form form_of(const struct held *h)
{
	switch (h->l.m.prog_type) {
	case BPF_PROG_TYPE_RAW_TRACEPOINT:
		return FORM_RAW;
	case BPF_PROG_TYPE_KPROBE:
		return FORM_REGS;
	}
	return FORM_RECORD;
}

/* Does H want events of POINT (enter, exit or a scheduling point) of system call NR (-1: one beyond the array)? */
static bool wants(const struct held *h, enum hook_point point, s32 nr)
{
	u32 p = h->l.m.point;

	p = p == HOOK_KSYSCALL ? HOOK_SYS_ENTER : p == HOOK_KRETSYSCALL ? HOOK_SYS_EXIT : p;
	return h->prog && p == point && (h->l.m.nr < 0 || h->l.m.nr == nr);
}

static struct hook_vec *make_vec(struct held *const *order, u32 n, enum hook_point point, s32 nr, int *err)
{
	struct hook_vec *v;
	u32 count = 0;

	for (u32 i = 0; i < n; i++)
		count += wants(order[i], point, nr);
	if (!count)
		return NULL;
	v = malloc(sizeof(*v) + count * sizeof(v->call[0]));
	if (!v) {
		*err = -ENOMEM;
		return NULL;
	}
	v->nr = 0;
	for (u32 i = 0; i < n; i++)
		if (wants(order[i], point, nr))
			v->call[v->nr++] = (struct hook_call){ .prog = order[i]->prog, .cookie = order[i]->l.m.cookie,
							       .form = form_of(order[i]) };
	return v;
}

static bool named(const struct learn *a, enum hook_point point, s32 nr)
{
	for (u32 i = 0; i < a->nr; i++)
		if (a->v[i].l.m.nr == nr && wants(&a->v[i], point, nr))
			return true;
	return false;
}

/* System calls that nobody names share the list of those who want all. */
static int fill_calls(const struct learn *a, struct held *const *order, enum hook_point point, struct hook_vec **v,
		      struct hook_vec **all)
{
	int err = 0;

	*all = make_vec(order, a->nr, point, -1, &err);
	for (s32 nr = 0; !err && nr < HOOK_NR_SYSCALLS; nr++)
		v[nr] = named(a, point, nr) ? make_vec(order, a->nr, point, nr, &err) : *all;
	return err;
}

static void free_calls(struct hook_vec **v, struct hook_vec *all)
{
	for (u32 nr = 0; nr < HOOK_NR_SYSCALLS; nr++)
		if (v[nr] != all)
			free(v[nr]);
	free(all);
}

void hook_set_free(struct hook_set *s)
{
	free_calls(s->enter, s->enter_all);
	free_calls(s->exit, s->exit_all);
	for (u32 i = 0; i < ARRAY_SIZE(s->sched); i++)
		free(s->sched[i]);
	for (u32 i = 0; i < s->nr_held; i++)
		if (s->held[i].prog)
			prog_put(s->held[i].prog);
	free(s->held);
	free(s);
}

static void sum_up(struct hook_set *s)
{
	struct hook_wants *w = &s->wants;

	for (u32 nr = 0; nr < HOOK_NR_SYSCALLS; nr++) {
		w->enter[nr / 64] |= s->enter[nr] ? BIT64(nr % 64) : 0;
		w->exit[nr / 64] |= s->exit[nr] ? BIT64(nr % 64) : 0;
		w->any |= s->enter[nr] || s->exit[nr];
	}
	w->all_enter = s->enter_all;
	w->all_exit = s->exit_all;
	w->sched_exec = s->sched[HOOK_SCHED_EXEC - HOOK_SCHED_EXEC];
	w->sched_fork = s->sched[HOOK_SCHED_FORK - HOOK_SCHED_EXEC];
	w->sched_exit = s->sched[HOOK_SCHED_EXIT - HOOK_SCHED_EXEC];
	w->any |= w->all_enter || w->all_exit || w->sched_exec || w->sched_fork || w->sched_exit;
}

/* Takes A's array over, also when it fails. */
static int make_set(struct learn *a, struct hook_set **out)
{
	struct hook_set *s = calloc(1, sizeof(*s));
	struct held **order = calloc(a->nr + 1, sizeof(*order));
	int err = s && order ? 0 : -ENOMEM;

	if (!s) {
		free(order);
		return err;
	}
	s->stats = a->d->dom->stats;
	s->held = a->v;
	s->nr_held = a->nr;
	a->v = NULL;
	if (!err) {
		struct learn view = { .v = s->held, .nr = s->nr_held };

		rank_all(&view);
		for (u32 i = 0; i < view.nr; i++)
			order[i] = &view.v[i];
		qsort(order, view.nr, sizeof(*order), by_order);
		err = fill_calls(&view, order, HOOK_SYS_ENTER, s->enter, &s->enter_all);
		if (!err)
			err = fill_calls(&view, order, HOOK_SYS_EXIT, s->exit, &s->exit_all);
		for (u32 i = 0; !err && i < ARRAY_SIZE(s->sched); i++)
			s->sched[i] = make_vec(order, view.nr, HOOK_SCHED_EXEC + i, -1, &err);
	}
	free(order);
	if (err) {
		hook_set_free(s);
		return err;
	}
	sum_up(s);
	*out = s;
	return 0;
}

/* ---- the door ---- */

/* Each time: what their maps refer to may have changed. */
static void warm_all(void)
{
	const struct hook_set *s = hook_current;

	for (u32 i = 0; s && i < s->nr_held; i++)
		if (s->held[i].prog)
			hook_warm(s->held[i].prog);
	hook_warm_done();
}

void hook_counts(struct hook_counts *c)
{
	*c = (struct hook_counts){ .pending = hook_sets_pending(), .missed = READ_ONCE(hook_missed),
				   .refused_links = refused };
}

int hook_learn(struct obj_dir *d, u64 scope, s32 pid, struct hook_wants *w)
{
	struct learn a = { .d = d, .scope = scope, .pid = pid };
	struct hook_set *s = NULL;
	int err = hook_each_link(d, add_link, &a);

	if (!err)
		err = hook_words_make();
	if (err)
		goto out;
	if (hook_current ? !unchanged(hook_current, &a) : a.nr) {
		take_programs(&a);
		if (a.nr)
			err = make_set(&a, &s);
		if (err)
			goto out;
		hook_set_swap(s);
	}
	warm_all();
	if (hook_current)
		*w = hook_current->wants;
	else
		memset(w, 0, sizeof(*w));
out:
	free(a.v);
	return err;
}

bool hook_links_alive(struct obj_dir *d)
{
	const struct hook_set *s = hook_current;
	struct hook_link l;

	for (u32 i = 0; s && i < s->nr_held; i++)
		if (hook_get_link(d, s->held[i].l.kind, s->held[i].l.id, &l) || l.gen != s->held[i].l.gen)
			return false;
	return true;
}
