/* SPDX-License-Identifier: Apache-2.0 */
/* epoll.c - epoll on ring buffer maps and perf events. Their fd is a regular file, which epoll refuses (-EPERM): instead the ring's wake
 * FIFO goes into the set, edge-triggered (nobody reads it empty), with the client's own event data. So that a ring that
 * has records already wakes its waiter (level), every wait is preceded by a look, and a kick of the FIFO where needed:
 * without it consumers that stop in the middle of a burst hang. And an edge from records that the waiter has read meanwhile is
 * no event: a level-triggered fd would not show it, and clients take a wait without records for the end of their time.
 *
 * Watches are kept in a list under `lock`. A watch ends by EPOLL_CTL_DEL, or is found stale (the fd or the epoll set is
 * another one now) when it is next looked at; closing is not intercepted. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "map/map.h"
#include "map/perf.h"
#include "sys/door.h"

struct watch {
	struct watch *next;
	int ep, fd, wake;
	struct map *m;			/* one of the two */
	struct perf_event *e;
	dev_t dev;
	ino_t ino;
	struct epoll_event ev;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct watch *watches;
static u32 nr_watches;		/* atomic: read without the lock to leave fast */

static long sys_epoll_ctl(int ep, int op, int fd, struct epoll_event *ev)
{
	return raw_syscall(SYS_epoll_ctl, ep, op, fd, (long)ev, 0, 0);
}

static void release(struct watch *w)
{
	if (w->m)
		map_put(w->m);
	if (w->e)
		perf_event_detach(w->e);
}

static void drop(struct watch **p)
{
	struct watch *w = *p;

	*p = w->next;
	close(w->wake);
	release(w);
	free(w);
	__atomic_fetch_sub(&nr_watches, 1, __ATOMIC_RELAXED);
}

static bool same_file(const struct watch *w)
{
	struct stat st;

	return !fstat(w->fd, &st) && st.st_dev == w->dev && st.st_ino == w->ino;
}

/* The watch of (ep, fd), after dropping it if it is stale. */
static struct watch **find(int ep, int fd)
{
	for (struct watch **p = &watches; *p; p = &(*p)->next) {
		if ((*p)->ep != ep || (*p)->fd != fd)
			continue;
		if (!same_file(*p) || sys_epoll_ctl(ep, EPOLL_CTL_MOD, (*p)->wake, &(*p)->ev)) {
			drop(p);
			return NULL;
		}
		return p;
	}
	return NULL;
}

static void kick(const struct watch *w)
{
	char sink[4096];

	while (write(w->wake, "k", 1) < 0 && errno == EAGAIN)
		while (read(w->wake, sink, sizeof(sink)) == sizeof(sink))
			;
}

/* What is behind the fd, and the FIFO of it. */
static int take(struct obj_dir *d, int fd, struct watch *w)
{
	int err = perf_event_attach(d, fd, &w->e);

	if (!err)
		return perf_event_wake_fd(w->e);
	if (err == -EBADF)
		err = map_open_fd(d, fd, &w->m);
	if (err)
		return err;
	return w->m->attr.type == BPF_MAP_TYPE_RINGBUF ? map_ring_wake_fd(w->m) : -EPERM;
}

/* Rings wake as long as they hold records; perf events once per wake-up, which the FIFO's edges are, but for those
 * from before it was watched, and those held back while their reader was up. */
static bool due(const struct watch *w, bool fresh)
{
	bool missed = false;

	if (w->m)
		map_ring_reader(w->m, false);
	else
		missed = perf_event_reader(w->e, false);
	return w->m ? map_ring_readable(w->m) : missed || (fresh && perf_event_polled(w->e));
}

static int add(int ep, int fd, const struct epoll_event *ev)
{
	struct watch *w = calloc(1, sizeof(*w));
	struct obj_dir *d;
	struct stat st;
	int err = w ? door_dir(&d) : -ENOMEM;

	if (!err)
		err = fstat(fd, &st) ? -errno : 0;
	if (err)
		goto free_watch;
	err = w->wake = take(d, fd, w);
	if (err < 0)
		goto put_map;
	w->ep = ep;
	w->fd = fd;
	w->dev = st.st_dev;
	w->ino = st.st_ino;
	w->ev = *ev;
	w->ev.events |= EPOLLET;
	err = (int)sys_epoll_ctl(ep, EPOLL_CTL_ADD, w->wake, &w->ev);
	if (err)
		goto close_wake;
	w->next = watches;
	watches = w;
	if (w->e && due(w, true))
		kick(w);
	__atomic_fetch_add(&nr_watches, 1, __ATOMIC_RELEASE);
	return 0;
close_wake:
	close(w->wake);
put_map:
	release(w);
free_watch:
	free(w);
	return err == -EINVAL || err == -EBADF ? -EPERM : err;
}

static int change(int ep, int op, int fd, const struct epoll_event *ev)
{
	struct watch **p = find(ep, fd);
	int err;

	if (op == EPOLL_CTL_ADD)
		return p ? -EEXIST : add(ep, fd, ev);
	if (!p)
		return -ENOENT;
	if (op == EPOLL_CTL_DEL) {
		sys_epoll_ctl(ep, EPOLL_CTL_DEL, (*p)->wake, NULL);
		drop(p);
		return 0;
	}
	(*p)->ev = *ev;
	(*p)->ev.events |= EPOLLET;
	err = (int)sys_epoll_ctl(ep, EPOLL_CTL_MOD, (*p)->wake, &(*p)->ev);
	return err;
}

int door_epoll_ctl(int ep, int op, int fd, struct epoll_event *ev)
{
	int saved = errno;
	long ret = sys_epoll_ctl(ep, op, fd, ev);

	if (ret == -EPERM && (door_fd_is(fd, "/bpf-map/") || door_fd_is(fd, "/perf_event/"))) {
		pthread_mutex_lock(&lock);
		ret = change(ep, op, fd, ev);
		pthread_mutex_unlock(&lock);
	}
	errno = saved;
	return (int)door_errno(ret);
}

/* ---- waiting ---- */

#define SHORT_NS	50000		/* a wait that took no longer is a sign of many records */
#define SPIN_NS		10000

static __thread s64 wait_began;
static s64 waited = INT64_MAX;		/* the last wait of any thread, ns; atomic */

static s64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static bool any_ready(int ep)
{
	for (const struct watch *w = watches; w; w = w->next)
		if (w->ep == ep && (w->m ? map_ring_readable(w->m) : perf_event_missed(w->e)))
			return true;
	return false;
}

/* When records come every few microseconds, a look for some more of them costs less than the sleep, and than the wake-up
 * costs whoever writes them. */
static void spin(int ep)
{
	s64 end;

	if (READ_ONCE(waited) > SHORT_NS)
		return;
	end = now_ns() + SPIN_NS;
	while (!any_ready(ep) && now_ns() < end)
		;
}

/* Wakes the wait for rings that hold records already (level), also those of other sets: a thread that sleeps on another set
 * may be what would have come back to this one. */
static void before_wait(int ep, s64 ns)
{
	int saved = errno;

	if (likely(!__atomic_load_n(&nr_watches, __ATOMIC_ACQUIRE)))
		return;
	pthread_mutex_lock(&lock);
	if (ns)
		spin(ep);
	for (struct watch **p = &watches; *p;) {
		if ((*p)->ep == ep && !same_file(*p)) {
			drop(p);
			continue;
		}
		if (due(*p, false))
			kick(*p);
		p = &(*p)->next;
	}
	pthread_mutex_unlock(&lock);
	wait_began = now_ns();
	errno = saved;
}

/* Up until the next wait, if there will be one: a look without waiting is not the sign of a loop that comes back here. */
static void after_wait(int ep, s64 ns)
{
	int saved = errno;

	if (likely(!__atomic_load_n(&nr_watches, __ATOMIC_ACQUIRE)) || !ns)
		return;
	WRITE_ONCE(waited, now_ns() - wait_began);
	pthread_mutex_lock(&lock);
	for (struct watch *w = watches; w; w = w->next) {
		if (w->ep != ep)
			continue;
		if (w->m)
			map_ring_reader(w->m, true);
		else
			perf_event_reader(w->e, true);
	}
	pthread_mutex_unlock(&lock);
	errno = saved;
}

/* Does EV come from a ring of EP that is empty by now? Under the lock. */
static bool stale(int ep, const struct epoll_event *ev)
{
	bool any = false;

	for (const struct watch *w = watches; w; w = w->next) {
		if (w->ep != ep || w->ev.data.u64 != ev->data.u64)
			continue;
		if (!w->m || ev->events != EPOLLIN || map_ring_readable(w->m))
			return false;
		any = true;
	}
	return any;
}

static int sift(int ep, struct epoll_event *ev, int n)
{
	int kept = 0;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < n; i++)
		if (!stale(ep, &ev[i]))
			ev[kept++] = ev[i];
	pthread_mutex_unlock(&lock);
	return kept;
}

#define MAX_STALE 64		/* a client that gives one datum to a ring and to another fd must not spin here */

int door_epoll_wait(int ep, struct epoll_event *ev, s64 ns, int (*wait)(void *arg, s64 ns), void *arg)
{
	bool watched = __atomic_load_n(&nr_watches, __ATOMIC_ACQUIRE);
	s64 end = watched && ns > 0 ? now_ns() + ns : 0;

	for (int round = 0;; round++) {
		int n, kept;

		before_wait(ep, ns);
		n = wait(arg, ns);
		after_wait(ep, ns);
		if (n <= 0 || !__atomic_load_n(&nr_watches, __ATOMIC_ACQUIRE) || round == MAX_STALE)
			return n;
		kept = sift(ep, ev, n);
		if (kept || !ns)
			return kept;
		if (ns > 0) {
			ns = end ? end - now_ns() : 0;
			if (ns <= 0)
				return 0;
		}
	}
}
