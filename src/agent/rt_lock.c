/* SPDX-License-Identifier: Apache-2.0 */
/* rt_lock.c - the agent's one lock (rt.h), under the names of pthread's mutexes.
 *
 * One for all: there are two callers at most (helper, start), and a fork of the target needs all of them at once, so that
 * the child finds nothing half changed. Owner: the caller's struct tls, with a count; recursive. Waiters sleep in a futex:
 * who holds it shares our address space, and whoever finds that it was killed calls rt_lock_abandoned(). */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <time.h>

#include "agent/rt.h"

static u32 word;			/* futex. 0: free, 1: taken, 2: taken and waited for */
static struct tls *owner;
static u32 depth;

#define HANDLERS 8
static void (*child_fn[HANDLERS])(void);

/* Until TIMEOUT (NULL: for ever) from now, at each sleep. */
static bool take(const struct timespec *timeout)
{
	u32 seen = 0;

	if (READ_ONCE(owner) == tls()) {
		depth++;
		return true;
	}
	if (__atomic_compare_exchange_n(&word, &seen, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		goto mine;
	while (__atomic_exchange_n(&word, 2, __ATOMIC_ACQUIRE)) {
		long err = raw_syscall4(SYS_futex, (long)&word, FUTEX_WAIT, 2, (long)timeout);

		if (err == -ETIMEDOUT)
			return false;
	}
mine:
	WRITE_ONCE(owner, tls());
	depth = 1;
	return true;
}

void rt_lock(void)
{
	take(NULL);
}

void rt_unlock(void)
{
	if (READ_ONCE(owner) != tls() || --depth)
		return;
	WRITE_ONCE(owner, NULL);
	if (__atomic_exchange_n(&word, 0, __ATOMIC_RELEASE) == 2)
		raw_syscall3(SYS_futex, (long)&word, FUTEX_WAKE, 1);
}

void rt_lock_abandoned(struct tls *dead)
{
	if (READ_ONCE(owner) != dead)
		return;
	depth = 0;
	WRITE_ONCE(owner, NULL);
	STORE_RELEASE(word, 0);
	raw_syscall3(SYS_futex, (long)&word, FUTEX_WAKE, INT32_MAX);
}

/* ---- fork ---- */

bool rt_fork_prepare(u32 ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l };

	return take(&t);
}

void rt_fork_parent(bool had)
{
	if (had)
		rt_unlock();
}

void rt_fork_child(void)
{
	WRITE_ONCE(owner, NULL);
	depth = 0;
	STORE_RELEASE(word, 0);
	for (u32 i = 0; i < HANDLERS && child_fn[i]; i++)
		child_fn[i]();
}

/* Only the child's part: before the fork the one lock is taken. */
int pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
	for (u32 i = 0; i < HANDLERS; i++)
		if (!child_fn[i]) {
			child_fn[i] = child;
			return 0;
		}
	return ENOMEM;
}

int pthread_mutex_lock(pthread_mutex_t *m)
{
	rt_lock();
	return 0;
}

int pthread_mutex_unlock(pthread_mutex_t *m)
{
	rt_unlock();
	return 0;
}
