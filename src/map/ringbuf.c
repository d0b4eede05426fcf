/* SPDX-License-Identifier: Apache-2.0 */
/* ringbuf.c - RINGBUF.
 *
 * Client area: [consumer page][producer page][data][spill, as large as data]. A record that reaches the end of the data
 * runs on into the spill, so a consumer that maps data twice in a row (libbpf) reads it in one piece from this one
 * mapping of the file. What lies at the start of the data meanwhile is nobody's.
 *
 * Reserve gives memory of this process, from a pool reserved at attach, and only accounts the room in the ring; submit
 * copies header and payload behind the producer position and then moves that, under the lock. So records
 * stand in the order of submission (the kernel's: of reservation), are never BUSY, and a process that is stopped or
 * killed between reserve and submit halts no consumer: the room it had accounted is given back when it is missed and
 * its owner found dead. Positions are the kernel's otherwise: discarded records take their room, a query for the
 * producer position counts reservations.
 *
 * A process may die between any two stores under the lock: before the producer position is stored nothing has happened,
 * after it the record is there; the accounting is summed up anew by the next owner. A submit that cannot have
 * the lock (own thread interrupted inside it, or its owner stopped) leaves the record pending: whoever of this process
 * has the lock next writes it out.
 *
 * Positions are the clients' to write: every use of them is masked. Lock order: none beyond the ring's. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "map/priv.h"

#define HDR		8u			/* BPF_RINGBUF_HDR_SZ */
#define MAX_RECORD	(UINT32_MAX / 4)
#define KERNEL_PAGES	3u			/* pages before the data in the kernel's struct, for pg_off */
#define RESV_MAX	256u			/* reservations at a time, all processes */
#define POOL_MAX	64u			/* and of one process */
#define POOL_BYTES	(1ull << 30)		/* address space for them; at least 4 */
#define KEEP_BYTES	(256u << 10)		/* larger buffers give their pages back */
#define RECLAIM_NS	5000000ull

struct resv {				/* shared, under the lock */
	u64 owner;			/* owner word or 0 */
	u64 bytes;
};

struct ring_shm {			/* shared, private area */
	struct lock lock;
	u64 reserved;			/* sum of resv[].bytes with an owner; under the lock */
	u32 waiters;			/* 0 -> 1: somebody ever waited on the FIFO */
	u32 awake;			/* a reader is up, and looks again before it sleeps; readers write it. Atomic */
	u64 dropped;			/* records that found no room; atomic */
	u8 pad2[32];
	struct resv resv[RESV_MAX];
};

/* In front of the memory that reserve returns; process-local. */
struct staged {
	struct map *map;
	u32 size;			/* payload */
	u16 slot;			/* in resv[] */
	u16 buf;			/* in the pool */
	u64 flags;
	u64 discard;
};
_Static_assert(sizeof(struct staged) == 32, "keeps records 16-aligned");

struct pool_state {			/* own page, zero again in a fork child */
	u64 used;			/* bit per buffer; atomic */
	u64 pending;			/* submitted, not yet written out; atomic */
};

struct ring {
	u64 *cons, *prod;		/* shared, clients write too */
	u8 *data;
	struct ring_shm *shm;
	struct pool_state *pool;
	u8 *bufs;
	u64 mask, stride;
	u64 cons_seen;			/* under the lock */
	u32 nr_bufs;
	u64 last_reclaim;		/* atomic */
	char wake[288];			/* absolute path of the FIFO */
};

static struct ring *ring_of(const struct map *m)
{
	return m->priv;
}

static u32 record_room(u32 size)
{
	return ALIGN_UP(size + HDR, 8u);
}

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* ---- waking the consumer ---- */

/* The kernel's rule: when told to, or when the consumer had reached exactly this record. A reader that is up needs no
 * byte, whatever the rule says: it looks at the ring before it sleeps. */
static void wake_if_due(const struct ring *r, u64 pos, u64 flags)
{
	/* our store of the producer position before these loads: pairs with the fence in map_ring_readable() */
	FENCE(__ATOMIC_SEQ_CST);
	if (!READ_ONCE(r->shm->waiters))
		return;
	if (flags & BPF_RB_FORCE_WAKEUP)
		map_wake(r->wake);
	else if (flags & BPF_RB_NO_WAKEUP)
		return;
	else if (map_wake_later && READ_ONCE(r->shm->awake))
		map_wake_later(r->wake);	/* and the consumer's cache line is left alone */
	else if ((LOAD_ACQUIRE(*r->cons) & r->mask) == (pos & r->mask))
		map_wake(r->wake);
}

void (*map_wake)(const char *path) = map_wake_fifo;
void (*map_wake_later)(const char *path);

void map_ring_reader(struct map *m, bool awake)
{
	WRITE_ONCE(ring_of(m)->shm->awake, awake);
}

/* Edge-triggered waiters need a new byte each time; a full FIFO is emptied first. */
void map_wake_fifo(const char *path)
{
	int saved = errno, fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	char junk[4096];

	if (fd >= 0) {
		if (write(fd, "", 1) < 0 && errno == EAGAIN) {
			while (read(fd, junk, sizeof(junk)) == sizeof(junk))
				;
			if (write(fd, "", 1) < 0)
				errno = saved;
		}
		close(fd);
	}
	errno = saved;
}

/* The FIFO is among the map's references, so that it goes with the map. */
int map_ring_wake_fd(struct map *m)
{
	struct ring *r = ring_of(m);
	char dir[sizeof(r->wake)];
	int fd;

	if (m->attr.type != BPF_MAP_TYPE_RINGBUF)
		return -EINVAL;
	strcpy(dir, r->wake);
	*strrchr(dir, '/') = 0;
	if (mkdir(dir, 0700) && errno != EEXIST)
		return -errno;
	if (mkfifo(r->wake, 0600) && errno != EEXIST)
		return -errno;
	fd = open(r->wake, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	WRITE_ONCE(r->shm->awake, 0);		/* whoever set it may have been killed */
	__atomic_store_n(&r->shm->waiters, 1, __ATOMIC_SEQ_CST);
	return fd;
}

bool map_ring_readable(struct map *m)
{
	const struct ring *r = ring_of(m);

	FENCE(__ATOMIC_SEQ_CST);	/* pairs with wake_if_due() */
	return LOAD_ACQUIRE(*r->cons) != LOAD_ACQUIRE(*r->prod);
}

/* ---- accounting, all under the lock ---- */

static void sum_up(struct ring *r)
{
	u64 sum = 0;

	for (u32 i = 0; i < RESV_MAX; i++)
		if (READ_ONCE(r->shm->resv[i].owner))
			sum += READ_ONCE(r->shm->resv[i].bytes);
	WRITE_ONCE(r->shm->reserved, sum);
}

static int ring_lock(struct map *m)
{
	struct ring *r = ring_of(m);
	int err = lock_take(m->dom, &r->shm->lock);

	if (unlikely(err == 1)) {
		sum_up(r);
		return 0;
	}
	return err;
}

static void ring_unlock(struct map *m)
{
	lock_drop(m->dom, &ring_of(m)->shm->lock);
}

/* Where the consumer was seen last will mostly do: its position is a cache line that it writes all the time. */
static bool has_room(struct ring *r, u32 len)
{
	u64 end = READ_ONCE(*r->prod) + READ_ONCE(r->shm->reserved) + len;

	if (likely(end - READ_ONCE(r->cons_seen) <= r->mask))
		return true;
	WRITE_ONCE(r->cons_seen, LOAD_ACQUIRE(*r->cons));
	return end - READ_ONCE(r->cons_seen) <= r->mask;
}

/* No room: is some of it accounted to the dead? Asked every few milliseconds at most. */
static bool reclaim(struct map *m, u32 len)
{
	struct ring *r = ring_of(m);
	u64 now = now_ns();

	if (now - READ_ONCE(r->last_reclaim) < RECLAIM_NS)
		return false;
	WRITE_ONCE(r->last_reclaim, now);
	for (u32 i = 0; i < RESV_MAX; i++) {
		u64 owner = READ_ONCE(r->shm->resv[i].owner);

		if (owner && !domain_alive(m->dom, owner))
			WRITE_ONCE(r->shm->resv[i].owner, 0);
	}
	sum_up(r);
	return has_room(r, len);
}

static int free_slot(const struct ring *r, u64 self)
{
	u32 start = (u32)(self >> 48) * 3 + (u32)(self >> 32 & 0xffff);

	for (u32 i = 0; i < RESV_MAX; i++)
		if (!READ_ONCE(r->shm->resv[(start + i) % RESV_MAX].owner))
			return (start + i) % RESV_MAX;
	return -1;
}

/* ---- writing out ---- */

/* Header and payload, then the position. Consumers acquire the position. */
static u64 commit(struct ring *r, const void *payload, u32 size, bool discard)
{
	u64 pos = READ_ONCE(*r->prod), off = pos & r->mask & ~7ull;
	u8 *rec = r->data + off;

	if (!discard)
		racy_copy(rec + HDR, payload, size);
	WRITE_ONCE(*(u32 *)(rec + 4), KERNEL_PAGES + (u32)(off / SKEP_PAGE));
	WRITE_ONCE(*(u32 *)rec, size | (discard ? BPF_RINGBUF_DISCARD_BIT : 0));
	STORE_RELEASE(*r->prod, pos + record_room(size));
	return pos;
}

static struct staged *staged_of(const struct ring *r, u32 buf)
{
	return (struct staged *)(r->bufs + buf * r->stride);
}

static void free_buf(struct ring *r, u32 buf)
{
	if (staged_of(r, buf)->size > KEEP_BYTES)
		madvise(staged_of(r, buf), r->stride, MADV_DONTNEED);
	__atomic_and_fetch(&r->pool->used, ~BIT64(buf), __ATOMIC_RELEASE);
}

static u64 write_out(struct map *m, struct staged *s)
{
	struct ring *r = ring_of(m);
	struct resv *v = &r->shm->resv[s->slot];
	u64 pos = commit(r, s + 1, s->size, s->discard);

	STORE_RELEASE(v->owner, 0);
	WRITE_ONCE(r->shm->reserved, READ_ONCE(r->shm->reserved) - READ_ONCE(v->bytes));
	return pos;
}

/* What was left pending while the lock could not be had. */
static void flush_pending(struct map *m)
{
	struct ring *r = ring_of(m);
	u64 bits;

	while (unlikely(bits = LOAD_ACQUIRE(r->pool->pending))) {
		u32 buf = __builtin_ctzll(bits);
		struct staged *s = staged_of(r, buf);
		u64 pos, flags = s->flags;

		if (ring_lock(m))
			return;
		if (!(__atomic_fetch_and(&r->pool->pending, ~BIT64(buf), __ATOMIC_ACQUIRE) & BIT64(buf))) {
			ring_unlock(m);
			continue;
		}
		pos = write_out(m, s);
		ring_unlock(m);
		free_buf(r, buf);
		wake_if_due(r, pos, flags);
	}
}

/* ---- for programs ---- */

static int take_buf(struct ring *r)
{
	u64 all = r->nr_bufs == 64 ? UINT64_MAX : BIT64(r->nr_bufs) - 1, used = READ_ONCE(r->pool->used);

	while (~used & all) {
		u32 buf = __builtin_ctzll(~used & all);

		if (__atomic_compare_exchange_n(&r->pool->used, &used, used | BIT64(buf), false,
						__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return buf;
	}
	return -1;
}

/* A slot in resv[] with the room accounted, or -1. */
static int account(struct map *m, u32 room)
{
	struct ring *r = ring_of(m);
	u64 self = domain_self(m->dom);
	int slot;

	if (ring_lock(m))
		return -1;
	slot = has_room(r, room) || reclaim(m, room) ? free_slot(r, self) : -1;
	if (slot >= 0) {
		WRITE_ONCE(r->shm->resv[slot].bytes, room);
		STORE_RELEASE(r->shm->resv[slot].owner, self);
		WRITE_ONCE(r->shm->reserved, READ_ONCE(r->shm->reserved) + room);
	}
	ring_unlock(m);
	return slot;
}

static void count_drop(struct ring *r)
{
	__atomic_fetch_add(&r->shm->dropped, 1, __ATOMIC_RELAXED);
}

u64 map_ring_dropped(const struct map *m)
{
	return READ_ONCE(ring_of(m)->shm->dropped);
}

static void *reserve(struct map *m, u64 size, u64 flags)
{
	struct ring *r = ring_of(m);
	struct staged *s;
	int buf, slot;

	if (flags || size > MAX_RECORD || record_room(size) > r->mask + 1)
		return NULL;
	buf = take_buf(r);
	if (buf < 0)
		return NULL;
	slot = account(m, record_room(size));
	flush_pending(m);
	if (slot < 0) {
		__atomic_and_fetch(&r->pool->used, ~BIT64(buf), __ATOMIC_RELEASE);
		return NULL;
	}
	s = staged_of(r, buf);
	*s = (struct staged){ .map = m, .size = size, .slot = slot, .buf = buf };
	return s + 1;
}

void *map_ring_reserve(struct map *m, u64 size, u64 flags)
{
	void *rec = reserve(m, size, flags);

	if (!rec)
		count_drop(ring_of(m));
	return rec;
}

void map_ring_submit(void *rec, u64 flags, bool discard)
{
	struct staged *s = (struct staged *)rec - 1;
	struct map *m = s->map;
	struct ring *r = ring_of(m);
	u32 buf = s->buf;
	u64 pos;

	s->flags = flags;
	s->discard = discard;
	if (unlikely(ring_lock(m))) {
		__atomic_or_fetch(&r->pool->pending, BIT64(buf), __ATOMIC_RELEASE);
		return;
	}
	pos = write_out(m, s);
	ring_unlock(m);
	free_buf(r, buf);
	wake_if_due(r, pos, flags);
	flush_pending(m);
}

static long output(struct map *m, const void *data, u64 size, u64 flags)
{
	struct ring *r = ring_of(m);
	u64 pos = 0;
	bool room;

	if (size > MAX_RECORD || record_room(size) > r->mask + 1 || ring_lock(m))
		return -EAGAIN;
	room = has_room(r, record_room(size)) || reclaim(m, record_room(size));
	if (room)
		pos = commit(r, data, size, false);
	ring_unlock(m);
	if (room)
		wake_if_due(r, pos, flags);
	flush_pending(m);
	return room ? 0 : -EAGAIN;
}

long map_ring_output(struct map *m, const void *data, u64 size, u64 flags)
{
	long ret;

	if (flags & ~(u64)(BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP))
		return -EINVAL;
	ret = output(m, data, size, flags);
	if (ret)
		count_drop(ring_of(m));
	return ret;
}

u64 map_ring_query(struct map *m, u64 flags)
{
	struct ring *r = ring_of(m);
	u64 prod = LOAD_ACQUIRE(*r->prod) + READ_ONCE(r->shm->reserved), cons = LOAD_ACQUIRE(*r->cons);

	switch (flags) {
	case BPF_RB_AVAIL_DATA:
		return prod - cons;
	case BPF_RB_RING_SIZE:
		return r->mask + 1;
	case BPF_RB_CONS_POS:
		return cons;
	case BPF_RB_PROD_POS:
		return prod;
	}
	return 0;
}

/* ---- planning, attaching ---- */

static int plan(const struct map_attr *a, u32 ncpus, u64 *csize, u64 *psize, u64 geo[16])
{
	if (a->flags & ~(u32)BPF_F_NUMA_NODE)
		return -EINVAL;
	if (a->key_size || a->value_size || !a->max_entries || (a->max_entries & (a->max_entries - 1)) ||
	    a->max_entries % SKEP_PAGE)
		return -EINVAL;
	*csize = 2 * SKEP_PAGE + 2ull * a->max_entries;
	*psize = ALIGN_UP(sizeof(struct ring_shm), SKEP_PAGE);
	return 0;
}

static int map_pool(struct ring *r)
{
	r->stride = ALIGN_UP(sizeof(struct staged) + r->mask + 1, SKEP_PAGE);
	r->nr_bufs = MIN(MAX(POOL_BYTES / r->stride, 4ull), POOL_MAX);
	r->bufs = mmap(NULL, r->stride * r->nr_bufs, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r->bufs == MAP_FAILED)
		return -ENOMEM;
	r->pool = mmap(NULL, SKEP_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r->pool == MAP_FAILED) {
		munmap(r->bufs, r->stride * r->nr_bufs);
		return -ENOMEM;
	}
	/* a fork child has none of its parent's reservations */
	madvise(r->pool, SKEP_PAGE, MADV_WIPEONFORK);
	return 0;
}

static int attach(struct map *m)
{
	struct ring *r = calloc(1, sizeof(*r));
	char link[64];
	ssize_t n;
	int err;

	if (!r)
		return -ENOMEM;
	r->cons = (u64 *)m->data;
	r->prod = (u64 *)(m->data + SKEP_PAGE);
	r->data = m->data + 2 * SKEP_PAGE;
	r->shm = (struct ring_shm *)m->priv_shm;
	r->mask = m->attr.max_entries - 1;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", m->obj->dir->fd);
	n = readlink(link, r->wake, sizeof(r->wake) - 32);
	if (n < 0 || n == (ssize_t)sizeof(r->wake) - 32)
		n = 0, r->wake[0] = 0;		/* no wake-ups; polling works */
	snprintf(r->wake + n, sizeof(r->wake) - n, "/ref/m%u/wake", m->id);
	err = map_pool(r);
	if (err)
		free(r);
	else
		m->priv = r;
	return err;
}

static void detach(struct map *m)
{
	struct ring *r = ring_of(m);

	munmap(r->bufs, r->stride * r->nr_bufs);
	munmap(r->pool, SKEP_PAGE);
	free(r);
}

/* Nobody at work: no lock held, the accounting right. *count: reservations. */
static int check(struct map *m, u64 *count)
{
	struct ring *r = ring_of(m);
	u64 sum = 0;

	if (ring_lock(m))
		return -EUCLEAN;
	*count = 0;
	for (u32 i = 0; i < RESV_MAX; i++) {
		if (r->shm->resv[i].owner)
			sum += r->shm->resv[i].bytes, ++*count;
	}
	ring_unlock(m);
	return sum == r->shm->reserved && *r->prod + sum - *r->cons <= r->mask ? 0 : -EUCLEAN;
}

const struct map_ops ringbuf_ops = { .plan = plan, .attach = attach, .detach = detach, .check = check };
