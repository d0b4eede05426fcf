/* SPDX-License-Identifier: Apache-2.0 */
/* shlock.h - OFD byte-range locks: the only thing here that counts as being alive. A lock belongs to an open
 * description, so dup, fork, SCM_RIGHTS, close and SIGKILL are accounted by the host's kernel. */
#ifndef SKEP_BASE_SHLOCK_H
#define SKEP_BASE_SHLOCK_H

#include <errno.h>
#include <fcntl.h>

#include "base/def.h"

/* Never waits. 0, -EAGAIN (somebody else holds it), -errno. */
static inline int ofd_lock(int fd, short type, u64 start, u64 len)
{
	struct flock f = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };

	if (!fcntl(fd, F_OFD_SETLK, &f))
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

/* Would a lock of TYPE conflict with somebody else's description? 1, 0, -errno. */
static inline int ofd_probe(int fd, short type, u64 start, u64 len)
{
	struct flock f = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };

	if (fcntl(fd, F_OFD_GETLK, &f))
		return -errno;
	return f.l_type != F_UNLCK;
}

#endif
