/* SPDX-License-Identifier: Apache-2.0 */
/* perf.c - perf events of software BPF output: the object, its ring, samples.
 *
 * Event file: no client area; private page struct event_shm; kind data struct perf_conf. Ring file ref/e<ID>/ring.<SEQ>:
 * [struct perf_event_mmap_page][data, 2^n pages], made when a client maps the event; whoever maps it holds a read lock on
 * a description that only the mapping keeps, so a ring nobody maps any more is recognised and replaced.
 *
 * The producer position is the event's; the mmap page has a copy for the consumer, who may write anything into that page:
 * of it only data_tail is read, and used in a masked difference alone. A sample, the record of what was lost before it
 * and the new positions are one change: the bytes lie behind the position, then a journal of both counters, then they.
 * Whoever takes the lock from the dead finishes the journal. A record that finds no room, or not the lock, is counted
 * in `lost` by one atomic add; `reported` is how many of these LOST records have told.
 *
 * Everything local that outputs use (mapping of the ring) changes under the event's lock only. */
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/rawsys.h"
#include "base/shlock.h"
#include "map/perf.h"
#include "map/priv.h"

#define PERF_FIELDS	(PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ID | \
			 PERF_SAMPLE_STREAM_ID | PERF_SAMPLE_CPU | PERF_SAMPLE_PERIOD | PERF_SAMPLE_RAW)
#define MAX_PAGES	(1u << 18)		/* 1 GB of data */

struct event_shm {				/* shared */
	struct lock lock;
	u32 enabled, paused;			/* atomic */
	u32 waiters;				/* 0 -> 1: somebody ever waited on the FIFO */
	u32 polled;				/* woken since a poller last asked; atomic */
	u32 seq;				/* of the ring, 0: none; atomic, under the lock */
	u32 last_seq;				/* under the lock, as what follows */
	u32 pages, overwrite;
	u32 awake;				/* a reader is up (map.h: map_ring_reader()); readers write it. Atomic */
	u32 missed;				/* it was not woken because of that; atomic */
	u64 head, reported;
	u64 woken;				/* position (watermark) that was woken for */
	u64 events;				/* since the last wake-up */
	u64 lost;				/* atomic; only grows while the ring is the same */
	u32 busy, pad;				/* the journal holds: */
	u64 new_head, new_reported;
};

struct perf_event {
	struct perf_event *next;		/* retired */
	struct obj *obj;
	struct perf_conf conf;			/* checked copy */
	struct event_shm *shm;
	u8 *page;				/* the ring, attached here; under the event's lock */
	size_t ring_size;
	u32 ring_seq;
	u32 damaged;				/* somebody cut the ring short */
	char dir[288];				/* absolute path of the event's references; "": none */
	char wake[320];				/* and of its FIFO */
};

struct out {					/* a record being written, at POS */
	u8 *data;
	u64 mask, pos;
};

/* ---- the object ---- */

static int check_conf(const struct perf_conf *c)
{
	return (c->sample_type & ~(u64)PERF_FIELDS) || (c->cpu < 0 && c->tid < 0) ? -EOPNOTSUPP : 0;
}

static int attach(struct obj *o, struct perf_event **out)
{
	struct perf_event *e = calloc(1, sizeof(*e));
	char link[64];
	ssize_t n;

	if (!e)
		return -ENOMEM;
	racy_copy(&e->conf, o->hdr->kind_data, sizeof(e->conf));
	if (o->kind != OBJ_PERF || o->private_size < sizeof(struct event_shm) || check_conf(&e->conf)) {
		free(e);
		return -EBADF;
	}
	e->obj = o;
	e->shm = (struct event_shm *)(o->base + o->client_size);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", o->dir->fd);
	n = readlink(link, e->dir, sizeof(e->dir) - 48);
	if (n > 0 && n < (ssize_t)sizeof(e->dir) - 48)
		snprintf(e->dir + n, sizeof(e->dir) - n, "/ref/e%u", o->id);
	else
		e->dir[0] = 0;
	snprintf(e->wake, sizeof(e->wake), "%s/wake", e->dir);
	*out = e;
	return 0;
}

int perf_event_create(struct obj_dir *d, const struct perf_conf *c, int *fd)
{
	struct obj *o;
	int err = check_conf(c);

	if (!err)
		err = obj_create(d, OBJ_PERF, "", 0, ALIGN_UP(sizeof(struct event_shm), SKEP_PAGE), &o, fd);
	if (err)
		return err == -ENOSPC ? -ENOMEM : err;
	memcpy(o->hdr->kind_data, c, sizeof(*c));
	((struct event_shm *)(o->base + o->client_size))->enabled = !c->disabled;
	err = obj_publish(o);
	if (err)
		obj_abort(o, *fd);
	else
		obj_unmap(o);
	return err;
}

int perf_event_attach(struct obj_dir *d, int fd, struct perf_event **out)
{
	enum obj_kind kind;
	struct stat st;
	struct obj *o;
	int err = obj_identify(d, fd, &kind, &st);

	if (err || kind != OBJ_PERF)
		return !err || err == -EINVAL ? -EBADF : err;
	err = obj_map(d, fd, &o);
	if (err)
		return err;
	err = attach(o, out);
	if (err)
		obj_unmap(o);
	return err;
}

int perf_event_attach_id(struct obj_dir *d, u32 id, u64 gen, struct perf_event **out)
{
	int fd = obj_open_id(d, OBJ_PERF, id, O_RDWR), err;

	if (fd < 0)
		return fd;
	err = perf_event_attach(d, fd, out);
	close(fd);
	if (!err && (*out)->obj->gen != gen) {
		perf_event_detach(*out);
		err = -ENOENT;
	}
	return err;
}

static void drop_ring(struct perf_event *e)
{
	if (e->page) {
		fault_unwatch(e->page);
		munmap(e->page, e->ring_size);
	}
	e->page = NULL;
	e->ring_seq = 0;
}

void perf_event_detach(struct perf_event *e)
{
	drop_ring(e);
	obj_unmap(e->obj);
	free(e);
}

void perf_event_retire(struct perf_event **list, struct perf_event *e)
{
	e->next = __atomic_load_n(list, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(list, &e->next, e, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

void perf_event_detach_all(struct perf_event *list)
{
	struct perf_event *next;

	for (; list; list = next) {
		next = list->next;
		perf_event_detach(list);
	}
}

/* ---- lock and journal ---- */

static void settle(struct event_shm *s)
{
	if (LOAD_ACQUIRE(s->busy)) {
		WRITE_ONCE(s->head, READ_ONCE(s->new_head));
		WRITE_ONCE(s->reported, READ_ONCE(s->new_reported));
		STORE_RELEASE(s->busy, 0);
	}
}

static int event_lock(struct perf_event *e)
{
	int err = lock_take(e->obj->dir->dom, &e->shm->lock);

	if (err == 1) {
		settle(e->shm);
		err = 0;
	}
	return err;
}

static void event_unlock(struct perf_event *e)
{
	lock_drop(e->obj->dir->dom, &e->shm->lock);
}

/* ---- the ring ---- */

static bool ring_name(const struct perf_event *e, u32 seq, char path[320])
{
	snprintf(path, 320, "%s/ring.%u", e->dir, seq);
	return e->dir[0] && seq;
}

static int open_ring(const struct perf_event *e, u32 seq)
{
	char path[320];
	int fd = ring_name(e, seq, path) ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;

	return fd;
}

/* Ours may differ from the event's: make it the same. False: there is none. The lock is held. */
static bool have_ring(struct perf_event *e)
{
	u32 seq = READ_ONCE(e->shm->seq);
	struct stat st;
	void *p;
	int fd;

	if (likely(seq && seq == e->ring_seq))
		return !READ_ONCE(e->damaged);
	drop_ring(e);
	fd = open_ring(e, seq);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size < (off_t)SKEP_PAGE ||
	    st.st_size % SKEP_PAGE || st.st_size / SKEP_PAGE > MAX_PAGES + 1 ||
	    (st.st_size / SKEP_PAGE - 1) & (st.st_size / SKEP_PAGE - 2)) {
		close(fd);
		return false;
	}
	p = (void *)raw_mmap(st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	close(fd);
	if ((unsigned long)p > -4096ul)
		return false;
	e->damaged = 0;
	if (fault_watch(p, st.st_size, &e->damaged)) {
		munmap(p, st.st_size);
		return false;
	}
	e->page = p;
	e->ring_size = st.st_size;
	e->ring_seq = seq;
	return true;
}

void perf_event_warm(struct perf_event *e)
{
	if (event_lock(e))
		return;
	have_ring(e);
	event_unlock(e);
}

static int fill_ring(int fd, u32 pages)
{
	struct perf_event_mmap_page p = {
		.cap_bit0_is_deprecated = 1, .size = offsetof(struct perf_event_mmap_page, __reserved),
		.data_offset = SKEP_PAGE, .data_size = (u64)pages * SKEP_PAGE,
	};
	int err;

	do {
		err = fallocate(fd, 0, 0, ((u64)pages + 1) * SKEP_PAGE) ? -errno : 0;
	} while (err == -EINTR);
	if (!err && pwrite(fd, &p, sizeof(p), 0) != (ssize_t)sizeof(p))
		err = -EIO;
	return err == -ENOSPC ? -ENOMEM : err;
}

/* The lock is held; nobody maps the old one. */
static int new_ring(struct perf_event *e, u32 pages, bool writable)
{
	struct event_shm *s = e->shm;
	u32 old = READ_ONCE(s->seq), seq = READ_ONCE(s->last_seq) + 1;
	char path[320];
	int fd, err;

	if (!ring_name(e, seq ? seq : 1, path))
		return -ENOMEM;
	seq = seq ? seq : 1;
	WRITE_ONCE(s->last_seq, seq);
	STORE_RELEASE(s->seq, 0);
	if (mkdir(e->dir, 0700) && errno != EEXIST)
		return -errno;
	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	err = fill_ring(fd, pages);
	if (!err)
		err = ofd_lock(fd, F_RDLCK, 0, 1);
	if (err) {
		close(fd);
		unlink(path);
		return err;
	}
	WRITE_ONCE(s->pages, pages);
	WRITE_ONCE(s->overwrite, !writable);
	WRITE_ONCE(s->paused, !pages);
	WRITE_ONCE(s->head, 0);
	WRITE_ONCE(s->woken, 0);
	WRITE_ONCE(s->events, 0);
	WRITE_ONCE(s->reported, 0);
	WRITE_ONCE(s->lost, 0);
	STORE_RELEASE(s->seq, seq);
	if (old && ring_name(e, old, path))
		unlink(path);
	return fd;
}

static int ring_locked(struct perf_event *e, u32 pages, bool writable)
{
	int fd = open_ring(e, READ_ONCE(e->shm->seq)), err = 0;

	if (fd >= 0 && ofd_probe(fd, F_WRLCK, 0, 1) == 1) {
		if (READ_ONCE(e->shm->pages) != pages)
			err = -EINVAL;
		else
			err = ofd_lock(fd, F_RDLCK, 0, 1);
		if (!err)
			return fd;
		close(fd);
		return err;
	}
	if (fd >= 0)
		close(fd);
	return new_ring(e, pages, writable);
}

int perf_event_ring(struct perf_event *e, size_t len, bool writable)
{
	u64 pages = len / SKEP_PAGE - 1;
	int fd;

	if (!len || len % SKEP_PAGE || pages & (pages - 1))
		return -EINVAL;
	if (pages > MAX_PAGES)
		return -ENOMEM;
	fd = event_lock(e);
	if (fd)
		return -EBUSY;
	fd = ring_locked(e, pages, writable);
	event_unlock(e);
	return fd;
}

/* ---- commands ---- */

static int pause_output(struct perf_event *e, bool on)
{
	int err = event_lock(e);

	if (err)
		return -EBUSY;
	if (!READ_ONCE(e->shm->seq) || !READ_ONCE(e->shm->pages))
		err = -EINVAL;
	else
		WRITE_ONCE(e->shm->paused, on);
	event_unlock(e);
	return err;
}

int perf_event_ioctl(struct perf_event *e, u32 cmd, u64 arg)
{
	u64 id = e->obj->id;

	switch (cmd) {
	case PERF_EVENT_IOC_ENABLE:
	case PERF_EVENT_IOC_DISABLE:
		__atomic_store_n(&e->shm->enabled, cmd == PERF_EVENT_IOC_ENABLE, __ATOMIC_SEQ_CST);
		return 0;
	case PERF_EVENT_IOC_RESET:
		return 0;			/* of the count, which nobody keeps */
	case PERF_EVENT_IOC_ID:
		return fault_copy_to((void *)(uintptr_t)arg, &id, sizeof(id));
	case PERF_EVENT_IOC_PAUSE_OUTPUT:
		return pause_output(e, arg);
	case PERF_EVENT_IOC_SET_BPF:
	case PERF_EVENT_IOC_QUERY_BPF:
		return -EINVAL;			/* no program hangs on a software event of this kind */
	case PERF_EVENT_IOC_REFRESH:
	case PERF_EVENT_IOC_PERIOD:
	case PERF_EVENT_IOC_SET_OUTPUT:
	case PERF_EVENT_IOC_MODIFY_ATTRIBUTES:
		return -EOPNOTSUPP;
	}
	return -ENOTTY;
}

/* ---- waking ---- */

int perf_event_wake_fd(struct perf_event *e)
{
	int fd;

	if (!e->dir[0])
		return -ENOENT;
	if (mkdir(e->dir, 0700) && errno != EEXIST)
		return -errno;
	if (mkfifo(e->wake, 0600) && errno != EEXIST)
		return -errno;
	fd = open(e->wake, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	WRITE_ONCE(e->shm->awake, 0);		/* whoever set it may have been killed */
	__atomic_store_n(&e->shm->waiters, 1, __ATOMIC_SEQ_CST);	/* pairs with wake() */
	return fd;
}

bool perf_event_polled(struct perf_event *e)
{
	return __atomic_exchange_n(&e->shm->polled, 0, __ATOMIC_SEQ_CST);
}

static void wake(struct perf_event *e)
{
	__atomic_store_n(&e->shm->polled, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&e->shm->waiters, __ATOMIC_SEQ_CST) || !e->dir[0])
		return;
	if (!map_wake_later || !READ_ONCE(e->shm->awake)) {
		map_wake(e->wake);
		return;
	}
	__atomic_store_n(&e->shm->missed, 1, __ATOMIC_SEQ_CST);
	FENCE(__ATOMIC_SEQ_CST);		/* pairs with the one in perf_event_reader() */
	(READ_ONCE(e->shm->awake) ? map_wake_later : map_wake)(e->wake);
}

bool perf_event_missed(const struct perf_event *e)
{
	return READ_ONCE(e->shm->missed);
}

bool perf_event_reader(struct perf_event *e, bool awake)
{
	WRITE_ONCE(e->shm->awake, awake);
	if (awake)
		return false;
	FENCE(__ATOMIC_SEQ_CST);
	return __atomic_exchange_n(&e->shm->missed, 0, __ATOMIC_SEQ_CST);
}

/* Watermark in bytes; the kernel's rule without one is half of the ring. */
static bool passed_watermark(struct perf_event *e, u64 size)
{
	u64 mark = e->conf.watermark && e->conf.wakeup ? MIN((u64)e->conf.wakeup, size) : size / 2;
	u64 head = READ_ONCE(e->shm->head), woken = READ_ONCE(e->shm->woken);

	if (head - woken <= mark)
		return false;
	WRITE_ONCE(e->shm->woken, woken + mark);
	return true;
}

static bool wake_due(struct perf_event *e, u64 size)
{
	bool due = passed_watermark(e, size);
	u64 n;

	if (e->conf.watermark || !e->conf.wakeup)
		return due;
	n = READ_ONCE(e->shm->events) + 1;
	if (n >= e->conf.wakeup) {
		n -= MIN(n, (u64)e->conf.wakeup);
		WRITE_ONCE(e->shm->woken, READ_ONCE(e->shm->woken) + 1);	/* the kernel counts both in one word */
		due = true;
	}
	WRITE_ONCE(e->shm->events, n);
	return due;
}

/* ---- writing ---- */

static void put(struct out *o, const void *src, u64 n)
{
	u64 at = o->pos & o->mask, part = MIN(n, o->mask + 1 - at);

	racy_copy(o->data + at, src, part);
	racy_copy(o->data, (const u8 *)src + part, n - part);
	o->pos += n;
}

static void put64(struct out *o, u64 v)
{
	put(o, &v, sizeof(v));
}

struct stamp {
	u64 tid, time, id, cpu;
};

static void stamp(const struct perf_event *e, u32 cpu, struct stamp *s)
{
	struct timespec t;

	*s = (struct stamp){ .id = e->obj->id, .cpu = cpu };
	if (e->conf.sample_type & PERF_SAMPLE_TID)
		s->tid = (u64)raw_syscall3(SYS_gettid, 0, 0, 0) << 32 | (u32)raw_syscall3(SYS_getpid, 0, 0, 0);
	if (e->conf.sample_type & PERF_SAMPLE_TIME) {
		clock_gettime(CLOCK_MONOTONIC, &t);
		s->time = t.tv_sec * 1000000000ull + t.tv_nsec;
	}
}

/* Fields as samples have them in front of the raw part, and as other records have them at the end. In their order. */
static void put_fields(struct out *o, u64 type, const struct stamp *s, bool sample)
{
	const struct {
		u64 bit, value;
		bool in_sample, in_id;
	} f[] = {
		{ PERF_SAMPLE_IDENTIFIER, s->id, true, false }, { PERF_SAMPLE_TID, s->tid, true, true },
		{ PERF_SAMPLE_TIME, s->time, true, true }, { PERF_SAMPLE_ID, s->id, true, true },
		{ PERF_SAMPLE_STREAM_ID, s->id, true, true }, { PERF_SAMPLE_CPU, s->cpu, true, true },
		{ PERF_SAMPLE_PERIOD, 0, true, false }, { PERF_SAMPLE_IDENTIFIER, s->id, false, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(f); i++)
		if ((type & f[i].bit) && (sample ? f[i].in_sample : f[i].in_id))
			put64(o, f[i].value);
}

static u64 fields_size(u64 type, bool sample)
{
	u64 all = PERF_FIELDS & ~(u64)PERF_SAMPLE_RAW;

	return 8u * __builtin_popcountll(type & (sample ? all : all & ~(u64)PERF_SAMPLE_PERIOD));
}

static u64 lost_size(const struct perf_event *e)
{
	return 24 + (e->conf.sample_id_all ? fields_size(e->conf.sample_type, false) : 0);
}

static void put_header(struct out *o, u32 type, u16 misc, u64 size)
{
	struct perf_event_header h = { .type = type, .misc = misc, .size = (u16)size };

	put(o, &h, sizeof(h));
}

/* Length of the raw part without its own length word. */
static u32 raw_size(const struct perf_raw *raw)
{
	return (u32)(ALIGN_UP(raw->size + raw->more_size + 4, 8ull) - 4);
}

static void put_raw(struct out *o, const struct perf_raw *raw)
{
	u32 size = raw_size(raw);
	u64 zero = 0;

	put(o, &size, sizeof(size));
	put(o, raw->data, raw->size);
	if (raw->more_size)
		put(o, raw->more, raw->more_size);
	put(o, &zero, size - raw->size - raw->more_size);
}

static u64 sample_size(const struct perf_event *e, const struct perf_raw *raw)
{
	return 8 + fields_size(e->conf.sample_type, true) +
	       (e->conf.sample_type & PERF_SAMPLE_RAW ? 4ull + raw_size(raw) : 0);
}

/* The kernel never fills a ring to the last byte. */
static bool has_room(const struct perf_event *e, const struct out *o, u64 len)
{
	const struct perf_event_mmap_page *p = (void *)e->page;

	if (READ_ONCE(e->shm->overwrite))
		return len <= o->mask;
	return ((LOAD_ACQUIRE(p->data_tail) - (o->pos + 1)) & o->mask) >= len;
}

static void publish(struct perf_event *e, u64 head, u64 reported)
{
	struct event_shm *s = e->shm;

	WRITE_ONCE(s->new_head, head);
	WRITE_ONCE(s->new_reported, reported);
	STORE_RELEASE(s->busy, 1);
	WRITE_ONCE(s->head, head);
	WRITE_ONCE(s->reported, reported);
	STORE_RELEASE(s->busy, 0);
	STORE_RELEASE(((struct perf_event_mmap_page *)e->page)->data_head, head);
}

/* Who died behind the journal, or a client that wrote there, left another one: then nobody would ever make room. */
static void show_head(struct perf_event *e, u64 head)
{
	struct perf_event_mmap_page *p = (void *)e->page;

	if (unlikely(READ_ONCE(p->data_head) != head))
		STORE_RELEASE(p->data_head, head);
}

static long lose(struct perf_event *e)
{
	__atomic_fetch_add(&e->shm->lost, 1, __ATOMIC_RELAXED);
	return -ENOSPC;
}

/* The lock is held. *due: somebody is to be woken. */
static long output(struct perf_event *e, u32 cpu, const struct perf_raw *raw, bool *due)
{
	u64 lost, gone, len = sample_size(e, raw), extra;
	struct stamp st;
	struct out o;

	if (!have_ring(e))
		return -ENOSPC;
	if (e->ring_size == SKEP_PAGE)
		return -ENOSPC;
	if (READ_ONCE(e->shm->paused))
		return lose(e);
	o = (struct out){ e->page + SKEP_PAGE, e->ring_size - SKEP_PAGE - 1, READ_ONCE(e->shm->head) & ~7ull };
	show_head(e, o.pos);
	lost = READ_ONCE(e->shm->lost);
	gone = lost - READ_ONCE(e->shm->reported);
	extra = gone ? lost_size(e) : 0;
	if (!has_room(e, &o, len + extra))
		return lose(e);
	stamp(e, cpu, &st);
	if (gone) {
		put_header(&o, PERF_RECORD_LOST, 0, extra);
		put64(&o, st.id);
		put64(&o, gone);
		if (e->conf.sample_id_all)
			put_fields(&o, e->conf.sample_type, &st, false);
	}
	put_header(&o, PERF_RECORD_SAMPLE, PERF_RECORD_MISC_KERNEL, len);
	put_fields(&o, e->conf.sample_type, &st, true);
	if (e->conf.sample_type & PERF_SAMPLE_RAW)
		put_raw(&o, raw);
	publish(e, o.pos, lost);
	*due = wake_due(e, o.mask + 1);
	return 0;
}

static bool active(const struct perf_event *e, u32 cpu)
{
	if (!READ_ONCE(e->shm->enabled) || (e->conf.cpu >= 0 && (u32)e->conf.cpu != cpu))
		return false;
	return e->conf.tid < 0 || raw_syscall3(SYS_gettid, 0, 0, 0) == e->conf.tid;
}

long perf_event_output(struct perf_event *e, u32 cpu, const struct perf_raw *raw)
{
	bool due = false;
	long ret;

	if (!active(e, cpu))
		return -EOPNOTSUPP;
	if (!READ_ONCE(e->shm->seq))
		return -ENOSPC;
	if (raw->size > UINT16_MAX || raw->more_size > UINT16_MAX || sample_size(e, raw) > UINT16_MAX)
		return -E2BIG;
	if (unlikely(event_lock(e)))
		return lose(e);		/* a handler in the midst of its own thread's output, or a stopped owner */
	ret = output(e, cpu, raw, &due);
	event_unlock(e);
	if (due)
		wake(e);
	return ret;
}
