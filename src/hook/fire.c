/* SPDX-License-Identifier: Apache-2.0 */
/* fire.c - an event happened on this thread: run what is attached to it. Hot, async-signal-safe, no system calls.
 *
 * Contexts are made when the first program of their form is met. A program that cannot be entered (recursion, no CPU slot)
 * is a miss, counted in its statistics by prog_enter(). */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "hook/list.h"
#include "spec/uapi.h"

struct hook_set *hook_current;
struct hook_words *hook_words;
u64 hook_missed;

/* ---- inside and outside ---- */

/* This thread's word: the one it had (threads come and go at the same addresses), or a new one. */
static __attribute__((noinline, cold)) u64 *find_word(struct tls *t)
{
	struct hook_words *all = hook_words;
	u32 nr = all ? MIN(READ_ONCE(all->nr), HOOK_THREADS) : 0, i;

	if (!all)
		return NULL;
	for (i = 0; i < nr; i++)
		if (READ_ONCE(all->w[i].owner) == t)
			break;
	if (i == nr) {
		i = __atomic_fetch_add(&all->nr, 1, __ATOMIC_RELAXED);
		if (i >= HOOK_THREADS) {
			__atomic_fetch_sub(&all->nr, 1, __ATOMIC_RELAXED);
			return NULL;
		}
		WRITE_ONCE(all->w[i].owner, t);
	}
	return t->hook_in = &all->w[i].v;
}

static inline u64 *run_begin(u64 *was)
{
	struct tls *t = tls();
	u64 *word = t->hook_in;

	if (unlikely(!word)) {
		word = find_word(t);
		if (!word) {
			__atomic_fetch_add(&hook_missed, 1, __ATOMIC_RELAXED);
			return NULL;
		}
	}
	*was = READ_ONCE(*word);
	WRITE_ONCE(*word, *was | 1);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);	/* pairs with the membarrier in hook_reap() */
	return word;
}

static inline void run_end(u64 *word, u64 was)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	/* outermost: another number, so that the helper sees that this run has ended even if the next has begun */
	STORE_RELEASE(*word, was & 1 ? was : was + 2);
}

/* ---- one program ---- */

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

static __attribute__((noinline, cold)) void timed(const struct hook_call *c, struct run *r, void *ctx)
{
	u64 start = now_ns();

	prog_call(c->prog, r, ctx);
	prog_exit(r, 1, now_ns() - start);
}

static inline void run_one(const struct hook_set *s, const struct hook_call *c, struct run *r, void *ctx)
{
	if (unlikely(prog_enter(c->prog, r)))
		return;
	r->cookie = c->cookie;
	if (unlikely(READ_ONCE(*s->stats))) {
		timed(c, r, ctx);
		return;
	}
	prog_call(c->prog, r, ctx);
	prog_exit(r, 0, 0);
}

/* ---- system calls ---- */

/* The kernel's records: struct syscall_trace_enter, _exit, and raw_syscalls'. The first 8 bytes, which programs cannot read
 * by themselves, are the address of the registers while a BPF program runs. */
struct sys_record {
	u64 regs;
	union {
		struct {
			s32 nr, pad;
		};
		s64 id;
	};
	u64 args[6];
};

/* Contexts of one event, made on demand. */
struct sys_ctx {
	const struct hook_set *set;
	struct hook_regs *regs;
	bool exit;
	bool have_record, have_regs;
	struct sys_record rec;
	u64 raw[2];
	struct hook_regs probed;
};

static inline void *record(struct sys_ctx *x)
{
	const struct hook_regs *r = x->regs;

	if (x->have_record)
		return &x->rec;
	x->have_record = true;
	x->rec.regs = (uintptr_t)r;
	x->rec.id = (s64)r->orig_ax;		/* nr and padding, or id: little endian */
	if (x->exit) {
		x->rec.args[0] = r->ax;
		return &x->rec;
	}
	x->rec.args[0] = r->di;
	x->rec.args[1] = r->si;
	x->rec.args[2] = r->dx;
	x->rec.args[3] = r->r10;
	x->rec.args[4] = r->r8;
	x->rec.args[5] = r->r9;
	return &x->rec;
}

static inline void *raw_args(struct sys_ctx *x)
{
	x->raw[0] = (uintptr_t)x->regs;
	x->raw[1] = x->exit ? x->regs->ax : x->regs->orig_ax;
	return x->raw;
}

/* What a probe on __x64_sys_NAME(const struct pt_regs *regs) sees. */
static void *probed_regs(struct sys_ctx *x)
{
	struct hook_regs *p = &x->probed;

	if (!x->have_regs) {
		memset(p, 0, sizeof(*p));
		p->orig_ax = (u64)-1;
		p->di = (uintptr_t)x->regs;
		x->have_regs = true;
	}
	p->ax = x->exit ? x->regs->ax : 0;
	return p;
}

static inline void *context(struct sys_ctx *x, u32 form)
{
	return likely(form == FORM_RECORD) ? record(x) : form == FORM_RAW ? raw_args(x) : probed_regs(x);
}

/* True: a program replaced the call; its result is in regs->ax, and the programs behind it do not run. */
static inline bool run_sys(struct sys_ctx *x, const struct hook_vec *v)
{
	struct run r;

	for (u32 i = 0; i < v->nr; i++) {
		const struct hook_call *c = &v->call[i];

		r.overridden = false;
		run_one(x->set, c, &r, context(x, c->form));
		if (unlikely(r.overridden)) {
			x->regs->ax = r.override;
			return true;
		}
	}
	return false;
}

bool hook_fire_sys_enter(struct hook_regs *regs)
{
	const struct hook_set *s;
	const struct hook_vec *v;
	struct sys_ctx x;
	bool replaced = false;
	u64 was, *word;

	if (!READ_ONCE(hook_current))
		return false;
	word = run_begin(&was);
	if (!word)
		return false;
	s = LOAD_ACQUIRE(hook_current);		/* pairs with swap() of learn.c */
	v = !s ? NULL : regs->orig_ax < HOOK_NR_SYSCALLS ? s->enter[regs->orig_ax] : s->enter_all;
	if (v) {
		x.set = s;
		x.regs = regs;
		x.exit = x.have_record = x.have_regs = false;
		regs->ax = (u64)-ENOSYS;
		replaced = run_sys(&x, v);
	}
	run_end(word, was);
	return replaced;
}

void hook_fire_sys_exit(struct hook_regs *regs)
{
	const struct hook_set *s;
	const struct hook_vec *v;
	struct sys_ctx x;
	u64 was, *word;

	if (!READ_ONCE(hook_current))
		return;
	word = run_begin(&was);
	if (!word)
		return;
	s = LOAD_ACQUIRE(hook_current);
	v = !s ? NULL : regs->orig_ax < HOOK_NR_SYSCALLS ? s->exit[regs->orig_ax] : s->exit_all;
	if (v) {
		x.set = s;
		x.regs = regs;
		x.exit = true;
		x.have_record = x.have_regs = false;
		run_sys(&x, v);
	}
	run_end(word, was);
}

/* ---- processes ---- */

#define STRING_MAX	4096u

/* RECORD and RAW are whole. */
static void run_sched(enum hook_point point, void *record, u64 *raw)
{
	const struct hook_set *s;
	const struct hook_vec *v;
	struct run r;
	u64 was, *word = run_begin(&was);

	if (!word)
		return;
	s = LOAD_ACQUIRE(hook_current);
	v = s ? s->sched[point - HOOK_SCHED_EXEC] : NULL;
	for (u32 i = 0; v && i < v->nr; i++)
		run_one(s, &v->call[i], &r, v->call[i].form == FORM_RAW ? (void *)raw : record);
	run_end(word, was);
}

/* A __data_loc field: the string is copied to the record's end, which moves on. */
static u32 put_string(u8 *rec, u32 *end, const char *s)
{
	u32 off = *end, n = (u32)strnlen(s, STRING_MAX - 1);

	memcpy(rec + off, s, n);
	rec[off + n] = 0;
	*end = off + n + 1;
	return (n + 1) << 16 | off;
}

void hook_fire_sched_exec(const char *filename, s32 pid, s32 old_pid)
{
	struct {
		u64 head;
		u32 filename;
		s32 pid, old_pid;
		u8 data[STRING_MAX];
	} rec;
	u32 end = offsetof(__typeof__(rec), data);
	u64 raw[3] = { 0, (u64)(s64)old_pid, 0 };

	if (!READ_ONCE(hook_current))
		return;
	rec.head = 0;
	rec.filename = put_string((u8 *)&rec, &end, filename);
	rec.pid = pid;
	rec.old_pid = old_pid;
	run_sched(HOOK_SCHED_EXEC, &rec, raw);
}

void hook_fire_sched_fork(const char *parent_comm, s32 parent_pid, const char *child_comm, s32 child_pid)
{
	struct {
		u64 head;
		u32 parent_comm;
		s32 parent_pid;
		u32 child_comm;
		s32 child_pid;
		u8 data[2 * STRING_MAX];
	} rec;
	u32 end = offsetof(__typeof__(rec), data);
	u64 raw[2] = { 0, 0 };

	if (!READ_ONCE(hook_current))
		return;
	rec.head = 0;
	rec.parent_comm = put_string((u8 *)&rec, &end, parent_comm);
	rec.parent_pid = parent_pid;
	rec.child_comm = put_string((u8 *)&rec, &end, child_comm);
	rec.child_pid = child_pid;
	run_sched(HOOK_SCHED_FORK, &rec, raw);
}

void hook_fire_sched_exit(const char *comm, s32 pid, s32 prio, bool group_dead)
{
	struct {
		u64 head;
		char comm[16];
		s32 pid, prio;
		u8 group_dead, pad[7];
	} rec = { .pid = pid, .prio = prio, .group_dead = group_dead };
	u64 raw[2] = { 0, group_dead };

	if (!READ_ONCE(hook_current))
		return;
	memcpy(rec.comm, comm, strnlen(comm, sizeof(rec.comm) - 1));
	run_sched(HOOK_SCHED_EXIT, &rec, raw);
}
