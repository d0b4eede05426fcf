/* SPDX-License-Identifier: Apache-2.0 */
/* fire.c - an event happened on this thread: run what is attached to it. Hot, async-signal-safe, no system calls.
 *
 * Contexts are made when the first program of their form is met. A program that cannot be entered (recursion, no CPU slot)
 * is a miss, counted in its statistics by prog_enter(). */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "hook/list.h"
#include "prog/run.h"
#include "prog/task.h"
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

#define HOT static inline __attribute__((always_inline))

/* False: it was not run. */
HOT bool run_one(const struct hook_set *s, const struct hook_call *c, struct run *r, void *ctx)
{
	if (unlikely(run_enter(c->prog, r, c->cookie)))
		return false;
	if (unlikely(READ_ONCE(*s->stats))) {
		timed(c, r, ctx);
		return true;
	}
	prog_call(c->prog, r, ctx);
	run_leave(r);
	return true;
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
	struct sys_record rec;
	u64 raw[2];
	struct hook_regs probed;
};

HOT void *record(struct sys_record *rec, const struct hook_regs *r, bool exit)
{
	rec->regs = (uintptr_t)r;
	rec->id = (s64)r->orig_ax;		/* nr and padding, or id: little endian */
	if (exit) {
		rec->args[0] = r->ax;
		return rec;
	}
	rec->args[0] = r->di;
	rec->args[1] = r->si;
	rec->args[2] = r->dx;
	rec->args[3] = r->r10;
	rec->args[4] = r->r8;
	rec->args[5] = r->r9;
	return rec;
}

/* What a probe on __x64_sys_NAME(const struct pt_regs *regs) sees. */
static __attribute__((noinline)) void *probed_regs(struct hook_regs *p, const struct hook_regs *r, bool exit)
{
	memset(p, 0, sizeof(*p));
	p->orig_ax = (u64)-1;
	p->di = (uintptr_t)r;
	p->ax = exit ? r->ax : 0;
	return p;
}

HOT void *context(struct sys_ctx *x, struct hook_regs *regs, u32 form, bool exit)
{
	if (likely(form == FORM_RECORD))
		return record(&x->rec, regs, exit);
	if (form == FORM_REGS)
		return probed_regs(&x->probed, regs, exit);
	x->raw[0] = (uintptr_t)regs;
	x->raw[1] = exit ? regs->ax : regs->orig_ax;
	return x->raw;
}

/* True: a program replaced the call; its result is in regs->ax, and the programs behind it do not run. */
HOT bool run_sys(const struct hook_set *s, const struct hook_vec *v, struct hook_regs *regs, bool exit)
{
	struct sys_ctx x;
	struct run r;

	for (const struct hook_call *c = v->call, *end = c + v->nr; c < end; c++)
		if (run_one(s, c, &r, context(&x, regs, c->form, exit)) && unlikely(r.overridden)) {
			regs->ax = r.override;
			return true;
		}
	return false;
}

HOT bool fire(struct hook_regs *regs, bool exit)
{
	const struct hook_set *s;
	const struct hook_vec *v;
	u64 nr = regs->orig_ax, was, *word;
	bool replaced = false;

	if (!READ_ONCE(hook_current))
		return false;
	word = run_begin(&was);
	if (!word)
		return false;
	s = LOAD_ACQUIRE(hook_current);		/* pairs with hook_set_swap() */
	v = NULL;
	if (likely(s && nr < HOOK_NR_SYSCALLS))
		v = exit ? s->exit[nr] : s->enter[nr];
	else if (s)
		v = exit ? s->exit_all : s->enter_all;
	if (v) {
		if (!exit)
			regs->ax = (u64)-ENOSYS;
		replaced = run_sys(s, v, regs, exit);
	}
	run_end(word, was);
	return replaced;
}

bool hook_fire_sys_enter(struct hook_regs *regs)
{
	return fire(regs, false);
}

void hook_fire_sys_exit(struct hook_regs *regs)
{
	fire(regs, true);
}

/* ---- processes ---- */

#define STRING_MAX	4096u

/* RECORD is whole, and RAW but for its first argument, which is the task that this is about: the running one. */
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
	raw[0] = v ? (uintptr_t)task_current() : 0;
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
