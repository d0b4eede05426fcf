/* SPDX-License-Identifier: Apache-2.0 */
/* stats.c - who wants run-time statistics (BPF_ENABLE_STATS).
 *
 * Somebody does while a read lock on the first byte of $DIR/stats is held; the lock ends with the client's fds. A hint
 * in the control file saves the others from asking: it is set after the lock was taken, and cleared before the lock
 * is looked for, so that one who sees it clear missed nobody who was there before. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "prog/prog.h"

static int open_stats(struct obj_dir *d, int flags)
{
	int fd = openat(d->fd, "stats", flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

int prog_stats_enable(struct obj_dir *d)
{
	struct flock fl = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1 };
	int fd = open_stats(d, O_CREAT), err;

	if (fd < 0)
		return fd;
	if (fcntl(fd, F_OFD_SETLK, &fl)) {
		err = -errno;
		close(fd);
		return err;
	}
	STORE_RELEASE(*d->dom->stats, 1);
	return fd;
}

bool prog_stats_wanted(struct obj_dir *d)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	bool held;
	int fd;

	if (likely(!LOAD_ACQUIRE(*d->dom->stats)))
		return false;
	fd = open_stats(d, 0);
	if (fd < 0)
		return false;
	__atomic_exchange_n(d->dom->stats, 0, __ATOMIC_SEQ_CST);
	held = !fcntl(fd, F_OFD_GETLK, &fl) && fl.l_type != F_UNLCK;
	if (held)
		STORE_RELEASE(*d->dom->stats, 1);
	close(fd);
	return held;
}
