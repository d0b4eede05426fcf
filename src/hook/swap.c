/* SPDX-License-Identifier: Apache-2.0 */
/* swap.c - taking a set of lists out of use while threads may be inside (list.h says how they tell). */
#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "base/rawsys.h"
#include "hook/list.h"

#define REAP_TURNS	200		/* of 10 us: runs take microseconds; longer ones: next time */
#define DRAIN_NS	20000000	/* no store stays in a store buffer that long */

static struct hook_set *retired;

int hook_words_make(void)
{
	long p;

	if (hook_words)
		return 0;
	p = raw_mmap(sizeof(*hook_words), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	if (p < 0 && p > -4096)
		return -ENOMEM;
	raw_syscall3(SYS_madvise, p, sizeof(*hook_words), MADV_WIPEONFORK);
	STORE_RELEASE(hook_words, (struct hook_words *)p);
	return 0;
}

void hook_set_swap(struct hook_set *s)
{
	struct hook_set *old = __atomic_exchange_n(&hook_current, s, __ATOMIC_SEQ_CST);

	if (old) {
		old->next = retired;
		retired = old;
	}
}

u32 hook_sets_pending(void)
{
	u32 n = 0;

	for (const struct hook_set *s = retired; s; s = s->next)
		n++;
	return n;
}

static void nap(long ns)
{
	struct timespec t = { .tv_nsec = ns };

	raw_syscall3(SYS_nanosleep, (long)&t, 0, 0);
}

/* Every thread of this address space passes a full fence: it has read the new set, or its word says that it is inside. */
static void fence_threads(void)
{
	if (!raw_syscall3(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) &&
	    !raw_syscall3(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0))
		return;
	nap(DRAIN_NS);
}

/* Did every thread that was inside at the call go out? */
static bool all_went_out(void)
{
	struct hook_words *all = hook_words;
	u32 nr = MIN(READ_ONCE(all->nr), HOOK_THREADS);
	int turns = 0;

	for (u32 i = 0; i < nr; i++) {
		u64 was = LOAD_ACQUIRE(all->w[i].v);

		while (was & 1 && LOAD_ACQUIRE(all->w[i].v) == was) {
			if (turns++ == REAP_TURNS)
				return false;
			nap(10000);
		}
	}
	return true;
}

bool hook_reap(void)
{
	struct hook_set *list = retired, *next;

	if (!list)
		return false;
	fence_threads();			/* pairs with the signal fence in run_begin() */
	if (!all_went_out())
		return true;
	retired = NULL;
	for (; list; list = next) {
		next = list->next;
		hook_set_free(list);
	}
	return false;
}
