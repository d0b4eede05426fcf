/* SPDX-License-Identifier: Apache-2.0 */
/* agents.c - see agents.h. The file: counters, a row per process slot, a table of executions under way, a ring of notices.
 *
 * Nobody waits for anybody but in agents_bump(), which is bounded: whoever writes here may be killed between any two stores.
 *  - A row is its slot owner's alone. `gen` is written last, and must be the slot's generation, whose owner must live.
 *  - An execution is one word, changed by compare-and-swap, beside the time it was entered. Process ids are used again, so an
 *    entry counts only for a process that is older than the entry.
 *  - A notice is a cell of its own: number 0, text, number. A reader that meets an unfinished cell waits for its
 *    writer until a later cell has been finished for NOTICE_LATE_NS, then counts it as lost.
 * An all-zero file is a valid, empty board. Garbage gives wrong answers, never a crash or an endless loop. */
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/agents.h"
#include "base/domain.h"
#include "base/fault.h"
#include "base/obj_int.h"
#include "base/rawsys.h"

#define AGENTS_MAGIC	0x31424153u	/* "SAB1" */
#define SLOTS		8192u		/* process slots (domain_int.h) */
#define EXEC_SETS	256u
#define EXEC_WAYS	4u
#define EXEC_STALE_NS	60000000000ull	/* where the process's age cannot be told */
#define NOTICES		256u
#define NOTICE_LATE_NS	50000000ull
#define RECHECK_MS	20u		/* one that we wait for may have died */

struct row {
	u32 gen;			/* of the slot; 0: none */
	s32 pid;
	u64 scope;
	u32 acked;			/* atomic */
	u32 pad[3];
};

struct exec {
	u64 word;			/* pid:22 | helper:22 | nr:10, 0: free; CAS */
	u64 when;			/* CLOCK_BOOTTIME, ns */
};

struct cell {
	u64 nr;				/* position + 1; 0: being written */
	u64 when;
	struct agents_msg m;
};

struct board {
	u32 magic;
	u32 epoch;			/* futex; attachers count it up */
	u32 acks;			/* futex; agents count it up */
	u32 waiting;			/* 1: somebody sleeps on acks */
	u64 notices;			/* ever claimed; atomic */
	u8 pad[SKEP_PAGE - 24];
	struct row row[SLOTS];
	struct exec exec[EXEC_SETS][EXEC_WAYS];
	struct cell cell[NOTICES];
};
_Static_assert(sizeof(struct row) == 32, "rows do not share cache lines with three others' halves");

struct agents {
	struct board *board;
	u32 damaged;			/* the file was cut short; atomic */
	u64 base;			/* our slot and generation when we joined; 0: not joined */
};

static u64 boot_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

/* ---- the file ---- */

static int board_map(int dirfd, struct agents *a)
{
	int fd = openat(dirfd, "agents", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600), err = 0;
	struct stat st;
	u32 magic = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		err = -EUCLEAN;
	while (!err && fallocate(fd, 0, 0, sizeof(struct board)))
		err = errno == EINTR ? 0 : -errno;
	if (!err) {
		a->board = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		err = a->board == MAP_FAILED ? -ENOMEM : fault_watch(a->board, sizeof(struct board), &a->damaged);
	}
	close(fd);
	if (err || __atomic_compare_exchange_n(&a->board->magic, &magic, AGENTS_MAGIC, false, __ATOMIC_ACQ_REL,
					       __ATOMIC_ACQUIRE))
		return err;
	return magic == AGENTS_MAGIC ? 0 : -EUCLEAN;
}

static void board_unmap(struct agents *a)
{
	if (a->board && a->board != MAP_FAILED) {
		fault_unwatch(a->board);
		munmap(a->board, sizeof(struct board));
	}
	free(a);
}

int agents_open(struct obj_dir *d)
{
	struct agents *a, *none = NULL;
	int err;

	if (LOAD_ACQUIRE(d->agents))
		return 0;
	err = obj_dir_ready(d);
	if (err)
		return err;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	err = board_map(d->fd, a);
	if (err || !__atomic_compare_exchange_n(&d->agents, &none, a, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		board_unmap(a);
	return err;
}

void agents_close(struct obj_dir *d)
{
	if (d->agents)
		board_unmap(d->agents);
	d->agents = NULL;
}

static struct board *board_of(struct obj_dir *d)
{
	return d->agents->board;
}

/* ---- rows ---- */

static bool row_read(struct obj_dir *d, u32 slot, struct row *r)
{
	const struct row *p = &board_of(d)->row[slot];

	r->gen = LOAD_ACQUIRE(p->gen);
	if (!r->gen)
		return false;
	r->pid = READ_ONCE(p->pid);
	r->scope = READ_ONCE(p->scope);
	r->acked = READ_ONCE(p->acked);
	return true;
}

/* Of this process's own row the slot is known to be alive. */
static bool row_is_own(struct obj_dir *d, u32 slot, const struct row *r)
{
	return ((u64)r->gen << 32 | slot) == READ_ONCE(*d->dom->base);
}

static bool row_alive(struct obj_dir *d, u32 slot, const struct row *r)
{
	return row_is_own(d, slot, r) || domain_alive(d->dom, (u64)r->gen << 32 | slot);
}

int agents_join(struct obj_dir *d, u64 scope, s32 pid)
{
	u64 base = domain_self(d->dom) ? READ_ONCE(*d->dom->base) : 0;
	struct row *r;

	if (!base)
		return -EAGAIN;
	r = &board_of(d)->row[base & (SLOTS - 1)];
	STORE_RELEASE(r->gen, 0);
	WRITE_ONCE(r->pid, pid);
	WRITE_ONCE(r->scope, scope);
	WRITE_ONCE(r->acked, READ_ONCE(board_of(d)->epoch) - 1);
	STORE_RELEASE(r->gen, (u32)(base >> 32));
	return 0;
}

void agents_ack(struct obj_dir *d, u32 epoch)
{
	struct board *b = board_of(d);
	u64 base = READ_ONCE(*d->dom->base);

	if (!base)
		return;
	WRITE_ONCE(b->row[base & (SLOTS - 1)].acked, epoch);
	__atomic_fetch_add(&b->acks, 1, __ATOMIC_SEQ_CST);
	/* pairs with the store of `waiting` in wait_acks(): one of the two sees the other */
	if (__atomic_load_n(&b->waiting, __ATOMIC_SEQ_CST) && __atomic_exchange_n(&b->waiting, 0, __ATOMIC_SEQ_CST))
		raw_syscall3(SYS_futex, (long)&b->acks, FUTEX_WAKE, INT_MAX);
}

int agents_each(struct obj_dir *d, int (*fn)(void *arg, s32 pid, u64 scope, u32 epoch), void *arg)
{
	struct row r;
	int ret = 0;

	for (u32 s = 1; s < SLOTS && !ret; s++)
		if (row_read(d, s, &r) && row_alive(d, s, &r))
			ret = fn(arg, r.pid, r.scope, r.acked);
	return ret;
}

/* ---- the epoch ---- */

static void futex_wait_ms(u32 *word, u32 seen, u32 ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l };

	raw_syscall4(SYS_futex, (long)word, FUTEX_WAIT, seen, (long)&t);
}

u32 agents_epoch(struct obj_dir *d)
{
	return LOAD_ACQUIRE(board_of(d)->epoch);
}

u32 *agents_epoch_word(struct obj_dir *d)
{
	return &board_of(d)->epoch;
}

void agents_wait(struct obj_dir *d, u32 seen, u32 timeout_ms)
{
	futex_wait_ms(&board_of(d)->epoch, seen, timeout_ms);
}

/* Rows that matter and have not acknowledged EPOCH. Their owners are asked for only where somebody is behind. */
static u32 count_laggards(struct obj_dir *d, u64 scope, u32 epoch)
{
	struct row r;
	u32 n = 0;

	for (u32 s = 1; s < SLOTS; s++)
		if (row_read(d, s, &r) && (!scope || r.scope == scope) && (s32)(r.acked - epoch) < 0 &&
		    !row_is_own(d, s, &r) && row_alive(d, s, &r))
			n++;
	return n;
}

static u32 wait_acks(struct obj_dir *d, u64 scope, u32 epoch, u32 wait_ms)
{
	u64 end = boot_ns() + wait_ms * 1000000ull, now;
	struct board *b = board_of(d);
	u32 seen, n;

	for (;;) {
		seen = __atomic_load_n(&b->acks, __ATOMIC_SEQ_CST);
		__atomic_store_n(&b->waiting, 1, __ATOMIC_SEQ_CST);	/* pairs with agents_ack() */
		n = count_laggards(d, scope, epoch);
		now = boot_ns();
		if (!n || now >= end)
			return n;
		futex_wait_ms(&b->acks, seen, (u32)MIN((end - now) / 1000000 + 1, RECHECK_MS));
	}
}

u32 agents_bump(struct obj_dir *d, u64 scope, u32 wait_ms)
{
	struct board *b = board_of(d);
	u32 epoch = __atomic_add_fetch(&b->epoch, 1, __ATOMIC_SEQ_CST);

	raw_syscall3(SYS_futex, (long)&b->epoch, FUTEX_WAKE, INT_MAX);
	return wait_ms ? wait_acks(d, scope, epoch, wait_ms) : 0;
}

/* ---- executions under way ---- */

#define PID_BITS	22		/* PID_MAX_LIMIT is 2^22 */
#define PID_MASK	((1u << PID_BITS) - 1)

static u32 exec_pid(u64 word)
{
	return word & PID_MASK;
}

static bool exec_swap(struct exec *e, u64 from, u64 to)
{
	return __atomic_compare_exchange_n(&e->word, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* PID's entry, else a free one, else the oldest. */
static struct exec *exec_place(struct exec *set, u32 pid)
{
	struct exec *best = set;

	for (struct exec *e = set; e < set + EXEC_WAYS; e++) {
		u64 w = READ_ONCE(e->word);

		if (exec_pid(w) == pid)
			return e;
		if (READ_ONCE(best->word) && (!w || READ_ONCE(e->when) < READ_ONCE(best->when)))
			best = e;
	}
	return best;
}

void agents_set_exec(struct obj_dir *d, s32 pid, s32 nr, s32 helper)
{
	u64 word = nr ? (u64)(nr & 1023) << (2 * PID_BITS) | (u64)(helper & PID_MASK) << PID_BITS | (pid & PID_MASK) : 0;
	struct exec *set = board_of(d)->exec[(u32)pid % EXEC_SETS];

	for (u32 tries = 0; tries < 16; tries++) {
		struct exec *e = exec_place(set, pid & PID_MASK);
		u64 old = READ_ONCE(e->word);

		if (!nr && exec_pid(old) != ((u32)pid & PID_MASK))
			return;
		WRITE_ONCE(e->when, boot_ns());		/* who loses the race wrote about the same time */
		if (exec_swap(e, old, word))
			return;
	}
}

/* When the process PID began, CLOCK_BOOTTIME ns, rounded down to a clock tick; 0: cannot be told. */
static u64 process_start(s32 pid)
{
	char buf[1024], *p;
	ssize_t n;
	int fd;

	snprintf(buf, sizeof(buf), "/proc/%d/stat", pid);
	fd = open(buf, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	if (fd >= 0)
		close(fd);
	buf[MAX(n, 0)] = 0;
	p = strrchr(buf, ')');
	/* the 22nd field: 20 blanks behind the name's bracket */
	for (u32 i = 0; p && i < 20; i++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p + 1, NULL, 10) * 10000000ull : 0;
}

int agents_take_exec(struct obj_dir *d, s32 pid, s32 *nr, s32 *helper)
{
	struct exec *set = board_of(d)->exec[(u32)pid % EXEC_SETS];
	u64 started, when, w;

	for (struct exec *e = set; e < set + EXEC_WAYS; e++) {
		w = LOAD_ACQUIRE(e->word);
		if (exec_pid(w) != ((u32)pid & PID_MASK))
			continue;
		when = READ_ONCE(e->when);
		started = process_start(pid);
		if (!exec_swap(e, w, 0))
			return -ENOENT;
		if (started ? when < started : boot_ns() - when > EXEC_STALE_NS)
			return -ENOENT;			/* of an earlier process with this id */
		*nr = w >> (2 * PID_BITS) & 1023;
		*helper = w >> PID_BITS & PID_MASK;
		return 0;
	}
	return -ENOENT;
}

/* ---- notices ---- */

void agents_notify(struct obj_dir *d, const struct agents_msg *m)
{
	struct board *b = board_of(d);
	u64 at = __atomic_fetch_add(&b->notices, 1, __ATOMIC_RELAXED);
	struct cell *c = &b->cell[at % NOTICES];

	WRITE_ONCE(c->nr, 0);
	FENCE(__ATOMIC_RELEASE);	/* pairs with the acquire in cell_read(): old number, old text */
	memcpy(&c->m, m, sizeof(*m));
	WRITE_ONCE(c->when, boot_ns());
	STORE_RELEASE(c->nr, at + 1);
}

u64 agents_notice_pos(struct obj_dir *d)
{
	return LOAD_ACQUIRE(board_of(d)->notices);
}

/* The message AT: 0, -EAGAIN (unfinished), -ESTALE (overwritten). */
static int cell_read(struct board *b, u64 at, struct agents_msg *m)
{
	const struct cell *c = &b->cell[at % NOTICES];
	u64 nr = LOAD_ACQUIRE(c->nr);

	if (nr != at + 1)
		return nr > at ? -ESTALE : -EAGAIN;
	memcpy(m, &c->m, sizeof(*m));
	FENCE(__ATOMIC_ACQUIRE);
	m->path[sizeof(m->path) - 1] = 0;
	return READ_ONCE(c->nr) == at + 1 ? 0 : -ESTALE;
}

/* Has the writer of AT been given up? */
static bool cell_late(struct board *b, u64 at, u64 head)
{
	u64 now = boot_ns();

	for (u64 i = at + 1; i < head; i++) {
		const struct cell *c = &b->cell[i % NOTICES];

		if (LOAD_ACQUIRE(c->nr) > at && now - READ_ONCE(c->when) > NOTICE_LATE_NS)
			return true;
	}
	return false;
}

int agents_next_notice(struct obj_dir *d, u64 scope, u64 *pos, struct agents_msg *m, u64 *lost)
{
	struct board *b = board_of(d);
	u64 head = LOAD_ACQUIRE(b->notices);

	if (*pos > head)
		*pos = head;				/* somebody wrote garbage there */
	if (head - *pos > NOTICES) {
		*lost += head - NOTICES - *pos;
		*pos = head - NOTICES;
	}
	while (*pos < head) {
		int err = cell_read(b, *pos, m);

		if (err == -EAGAIN && !cell_late(b, *pos, head))
			return err;
		++*pos;
		if (err)
			++*lost;
		else if (!scope || m->scope == scope)
			return 0;
	}
	return -EAGAIN;
}
