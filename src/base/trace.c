/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - see trace.h. The file: a page with positions, then a ring of records in bytes.
 *
 * head and tail count bytes since the beginning; a record lies at its position modulo TRACE_SIZE and may wrap. Both move
 * under the lock: the writer first moves tail over what must give way, then fills, then moves head, so whoever
 * takes the lock over from the dead finds whole records. An all-zero file is a valid, empty one. Nothing in it is
 * believed: a record that does not fit between tail and head empties the ring. */
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/domain.h"
#include "base/fault.h"
#include "base/obj_int.h"
#include "base/rawsys.h"
#include "base/tls.h"
#include "base/trace.h"

#define TRACE_MAGIC	0x43525453u	/* "STRC" */

struct ring {
	u32 magic;
	u32 waiting;		/* 1: a reader sleeps on `wake`; set by readers, cleared by the writer that wakes */
	u32 wake;		/* futex; the writer counts it up */
	u32 pad0;
	struct lock lock;
	u64 head, tail;		/* under the lock */
	u64 lost;		/* lines; atomic, taken to 0 by readers */
	u8 pad[SKEP_PAGE - 48];
	u8 data[TRACE_SIZE];
};
_Static_assert(offsetof(struct ring, data) == SKEP_PAGE, "a page of positions");

struct record {
	u32 size;		/* of all of it, a multiple of 8 */
	u32 len;		/* of the text behind it, no NUL */
	u64 nr;			/* position of this record: a check */
	u64 ns;
	u32 pid, tgid, cpu, prog;
	char comm[16];
};

struct trace {
	struct ring *ring;
	u32 damaged;		/* the file was cut short; atomic */
};

/* ---- the file ---- */

static int ring_map(int dirfd, struct trace *t)
{
	int fd = openat(dirfd, "trace", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600), err = 0;
	struct stat st;
	u32 magic = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		err = -EUCLEAN;
	while (!err && fallocate(fd, 0, 0, sizeof(struct ring)))
		err = errno == EINTR ? 0 : -errno;
	if (!err) {
		t->ring = mmap(NULL, sizeof(struct ring), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		err = t->ring == MAP_FAILED ? -ENOMEM : fault_watch(t->ring, sizeof(struct ring), &t->damaged);
	}
	close(fd);
	if (err || __atomic_compare_exchange_n(&t->ring->magic, &magic, TRACE_MAGIC, false, __ATOMIC_ACQ_REL,
					       __ATOMIC_ACQUIRE))
		return err;
	return magic == TRACE_MAGIC ? 0 : -EUCLEAN;
}

static void ring_unmap(struct trace *t)
{
	if (t->ring && t->ring != MAP_FAILED) {
		fault_unwatch(t->ring);
		munmap(t->ring, sizeof(struct ring));
	}
	free(t);
}

int trace_open(struct obj_dir *d)
{
	struct trace *t, *none = NULL;
	int err;

	if (LOAD_ACQUIRE(d->trace))
		return 0;
	err = obj_dir_ready(d);
	if (err)
		return err;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	err = ring_map(d->fd, t);
	if (err || !__atomic_compare_exchange_n(&d->trace, &none, t, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		ring_unmap(t);
	return err;
}

void trace_close(struct obj_dir *d)
{
	if (d->trace)
		ring_unmap(d->trace);
	d->trace = NULL;
}

/* ---- bytes of the ring; under the lock ---- */

static void ring_get(const struct ring *r, u64 at, void *to, u32 n)
{
	u32 o = at % TRACE_SIZE, first = MIN(n, TRACE_SIZE - o);

	memcpy(to, r->data + o, first);
	memcpy((u8 *)to + first, r->data, n - first);
}

static void ring_put(struct ring *r, u64 at, const void *from, u32 n)
{
	u32 o = at % TRACE_SIZE, first = MIN(n, TRACE_SIZE - o);

	memcpy(r->data + o, from, first);
	memcpy(r->data, (const u8 *)from + first, n - first);
}

/* The record at AT, below HEAD. False: garbage. */
static bool record_at(const struct ring *r, u64 at, u64 head, struct record *rec)
{
	u64 left = head - at;

	if (left < sizeof(*rec) || left > TRACE_SIZE)
		return false;
	ring_get(r, at, rec, sizeof(*rec));
	return rec->nr == at && rec->len < TRACE_TEXT && rec->size <= left &&
	       rec->size == ALIGN_UP(sizeof(*rec) + rec->len, 8u);
}

static void lose(struct ring *r, u64 n)
{
	__atomic_fetch_add(&r->lost, n, __ATOMIC_RELAXED);
}

static u64 tail_next(struct ring *r, u64 tail, u64 head)
{
	struct record rec;

	lose(r, 1);
	return record_at(r, tail, head, &rec) ? tail + rec.size : head;
}

/* ---- writing ---- */

static void append(struct ring *r, const struct record *rec, const char *text)
{
	u64 head = READ_ONCE(r->head), tail = READ_ONCE(r->tail);
	struct record at = *rec;

	head = ALIGN_UP(head, 8ul);
	while (head != tail && head + rec->size - tail > TRACE_SIZE)
		tail = tail_next(r, tail, head);
	STORE_RELEASE(r->tail, tail);
	at.nr = head;
	ring_put(r, head, &at, sizeof(at));
	ring_put(r, head + sizeof(at), text, rec->len);
	STORE_RELEASE(r->head, head + rec->size);
}

/* Who writes: as kept for the thread (tls.h), else as the kernel says. */
static void stamp(struct record *rec)
{
	const struct who *w = &tls()->who;

	rec->pid = w->tid ? (u32)w->tid : (u32)raw_syscall3(SYS_gettid, 0, 0, 0);
	rec->tgid = w->pid ? (u32)w->pid : (u32)raw_syscall3(SYS_getpid, 0, 0, 0);
	if (w->comm_known)
		memcpy(rec->comm, w->comm, sizeof(rec->comm));
	else if (!w->keep)		/* else there is nothing to be had (task_quiet) */
		raw_syscall3(SYS_prctl, PR_GET_NAME, (long)rec->comm, 0);
}

static void wake_readers(struct ring *r)
{
	__atomic_fetch_add(&r->wake, 1, __ATOMIC_SEQ_CST);
	/* pairs with the store of `waiting` in trace_wait(): one of the two sees the other */
	if (__atomic_load_n(&r->waiting, __ATOMIC_SEQ_CST) && __atomic_exchange_n(&r->waiting, 0, __ATOMIC_SEQ_CST))
		raw_syscall3(SYS_futex, (long)&r->wake, FUTEX_WAKE, INT_MAX);
}

void trace_write(struct obj_dir *d, u32 prog, const char *text, u32 len)
{
	struct trace *t = LOAD_ACQUIRE(d->trace);
	struct record rec = { .len = MIN(len, TRACE_TEXT - 1u), .prog = prog };
	struct timespec now;
	int cpu, err;

	if (!t || READ_ONCE(t->damaged))
		return;
	rec.size = (u32)ALIGN_UP(sizeof(rec) + rec.len, 8u);
	clock_gettime(CLOCK_MONOTONIC, &now);
	rec.ns = (u64)now.tv_sec * 1000000000u + (u64)now.tv_nsec;
	stamp(&rec);
	cpu = sched_getcpu();
	rec.cpu = cpu < 0 ? 0 : (u32)cpu;
	err = lock_take(d->dom, &t->ring->lock);
	if (err < 0) {
		lose(t->ring, 1);
		return;
	}
	append(t->ring, &rec, text);
	lock_drop(d->dom, &t->ring->lock);
	wake_readers(t->ring);
}

/* ---- reading ---- */

static void line_fill(const struct ring *r, u64 at, const struct record *rec, struct trace_line *l)
{
	*l = (struct trace_line){ .ns = rec->ns, .pid = rec->pid, .tgid = rec->tgid, .cpu = rec->cpu,
				   .prog = rec->prog };
	memcpy(l->comm, rec->comm, sizeof(l->comm) - 1);
	ring_get(r, at + sizeof(*rec), l->text, rec->len);
}

static int enter(struct obj_dir *d, struct ring **r)
{
	int err = trace_open(d);

	if (err)
		return err;
	if (READ_ONCE(d->trace->damaged))
		return -EUCLEAN;
	*r = d->trace->ring;
	err = lock_take(d->dom, &(*r)->lock);
	return err < 0 ? err : 0;
}

int trace_read(struct obj_dir *d, struct trace_line *l, u64 *lost)
{
	struct record rec;
	u64 head, tail;
	struct ring *r;
	int ret = enter(d, &r);

	*lost = 0;
	if (ret)
		return ret;
	head = READ_ONCE(r->head);
	tail = READ_ONCE(r->tail);
	if (head != tail && record_at(r, tail, head, &rec)) {
		line_fill(r, tail, &rec, l);
		STORE_RELEASE(r->tail, tail + rec.size);
		ret = 1;
	} else if (head != tail) {
		lose(r, 1);
		STORE_RELEASE(r->tail, head);
	}
	lock_drop(d->dom, &r->lock);
	*lost = __atomic_exchange_n(&r->lost, 0, __ATOMIC_RELAXED);
	return ret;
}

void trace_seek_end(struct obj_dir *d, struct trace_pos *p)
{
	*p = (struct trace_pos){ 0 };
	if (!faccessat(d->fd, "trace", F_OK, 0) && !trace_open(d))	/* none yet: begins at 0 */
		p->at = LOAD_ACQUIRE(d->trace->ring->head);
}

int trace_peek(struct obj_dir *d, struct trace_pos *p, struct trace_line *l)
{
	struct trace *t = LOAD_ACQUIRE(d->trace);
	struct record rec;
	struct ring *r;
	u64 head;
	int ret;

	if (!t && (faccessat(d->fd, "trace", F_OK, 0) || trace_open(d)))
		return 0;			/* none yet: nobody has printed a line */
	t = LOAD_ACQUIRE(d->trace);
	if (LOAD_ACQUIRE(t->ring->head) == p->at)
		return 0;
	ret = enter(d, &r);
	if (ret)
		return ret;
	head = READ_ONCE(r->head);
	if (head - p->at > TRACE_SIZE || !record_at(r, p->at, head, &rec)) {
		p->lost++;
		p->at = READ_ONCE(r->tail);
		if (!record_at(r, p->at, head, &rec))
			p->at = head;
	}
	if (p->at != head) {
		line_fill(r, p->at, &rec, l);
		p->at += rec.size;
		ret = 1;
	}
	lock_drop(d->dom, &r->lock);
	return ret;
}

void trace_wait(struct obj_dir *d, u32 ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l };
	struct ring *r;
	u32 seen;

	if (trace_open(d))
		return;
	r = d->trace->ring;
	seen = __atomic_load_n(&r->wake, __ATOMIC_SEQ_CST);
	__atomic_store_n(&r->waiting, 1, __ATOMIC_SEQ_CST);
	if (LOAD_ACQUIRE(r->head) == LOAD_ACQUIRE(r->tail))
		raw_syscall4(SYS_futex, (long)&r->wake, FUTEX_WAIT, seen, (long)&t);
}
