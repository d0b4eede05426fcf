/* SPDX-License-Identifier: Apache-2.0 */
/* ends.c - attachments end when their last fd is closed, and nobody tells: agents would find out when they look, twice a
 * second. The in-process doors tell them earlier: fds of links and events are marked as they are given out, and closing a
 * marked one, or leaving the process, wakes the agents. A mark is a hint; lost (dup) or stale ones cost time, nothing else. */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/agents.h"
#include "sys/attach.h"
#include "sys/door.h"

#define MARKS	4096

static u64 marks[MARKS / 64];		/* atomic */
static u32 any;				/* something was marked once */

void attach_mark(int fd)
{
	if (fd < 0 || fd >= MARKS)
		return;
	__atomic_fetch_or(&marks[fd / 64], BIT64(fd % 64), __ATOMIC_RELAXED);
	WRITE_ONCE(any, 1);
}

static bool unmark(int fd)
{
	u64 bit = BIT64(fd % 64);

	return __atomic_fetch_and(&marks[fd / 64], ~bit, __ATOMIC_RELAXED) & bit;
}

/* Nobody waits: whoever detaches hundreds would wait hundreds of times. */
void door_ended(void)
{
	int saved = errno;
	struct obj_dir *d = door_dir_peek();

	if (d && !agents_open(d))
		agents_bump(d, 0, 0);
	errno = saved;
}

bool door_closing(int fd)
{
	return unlikely(READ_ONCE(any)) && fd >= 0 && fd < MARKS && unmark(fd);
}

__attribute__((destructor)) static void leave(void)
{
	bool ours = false;

	for (int fd = 0; READ_ONCE(any) && fd < MARKS; fd++)
		if (unmark(fd)) {
			raw_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
			ours = true;
		}
	if (ours)
		door_ended();
}
