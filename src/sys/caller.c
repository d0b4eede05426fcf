/* SPDX-License-Identifier: Apache-2.0 */
/* caller.c - the calling process as a client: its memory through base/fault.h, its fds as they are. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "skep.h"
#include "sys/door.h"
#include "sys/sys.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct obj_dir *dir;		/* atomic; set once under lock, never closed: objects hang on it */
static char *wanted;			/* skep_dir__use(); under lock */
static u32 self_caps = VFY_CAP_BPF | VFY_CAP_PERFMON | VFY_CAP_NET_ADMIN | VFY_CAP_SYS_ADMIN;	/* atomic */

static int self_in(void *arg, void *dst, u64 src, size_t n)
{
	return fault_copy_from(dst, (const void *)(uintptr_t)src, n);
}

static int self_out(void *arg, u64 dst, const void *src, size_t n)
{
	return fault_copy_to((void *)(uintptr_t)dst, src, n);
}

static long self_str(void *arg, char *dst, u64 src, size_t size)
{
	return fault_copy_str(dst, (const char *)(uintptr_t)src, size);
}

static int self_fd_in(void *arg, int fd)
{
	return fd < 0 || fcntl(fd, F_GETFD) < 0 ? -EBADF : fd;
}

static void self_fd_put(void *arg, int own)
{
}

static int self_fd_out(void *arg, int own)
{
	return own;
}

static int self_cwd(void *arg, int dirfd, char *buf, size_t size)
{
	char link[32];
	ssize_t n;

	if (dirfd == AT_FDCWD)
		return getcwd(buf, size) ? 0 : -errno;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
	n = readlink(link, buf, size - 1);
	if (n < 0)
		return -EBADF;
	buf[n] = 0;
	return 0;
}

static const struct caller_ops self_ops = {
	.copy_in = self_in,
	.copy_out = self_out,
	.copy_str = self_str,
	.fd_in = self_fd_in,
	.fd_put = self_fd_put,
	.fd_out = self_fd_out,
	.cwd = self_cwd,
};

static int open_dir(struct obj_dir **out)
{
	int err = 0;

	pthread_mutex_lock(&lock);
	if (!dir) {
		struct obj_dir *d;

		err = fault_init();
		if (!err)
			err = obj_dir_open(wanted, &d);
		if (!err)
			STORE_RELEASE(dir, d);		/* pairs with door_dir() */
	}
	*out = dir;
	pthread_mutex_unlock(&lock);
	return err;
}

struct obj_dir *door_dir_peek(void)
{
	return LOAD_ACQUIRE(dir);
}

int door_dir(struct obj_dir **out)
{
	*out = LOAD_ACQUIRE(dir);		/* pairs with open_dir() */
	return *out ? 0 : open_dir(out);
}

void caller_set_caps(u32 caps)
{
	WRITE_ONCE(self_caps, caps);
}

int caller_self(struct caller *out)
{
	*out = (struct caller){ .ops = &self_ops, .caps = READ_ONCE(self_caps) };
	return door_dir(&out->dir);
}

SKEP_API long skep_bpf(int cmd, union bpf_attr *attr, unsigned int size)
{
	struct caller c;
	int err = caller_self(&c);

	return err ? err : sys_bpf(&c, cmd, (uintptr_t)attr, size);
}

SKEP_API int skep_dir__use(const char *path)
{
	char *copy = strdup(path);
	int err = 0;

	if (!copy)
		return -ENOMEM;
	pthread_mutex_lock(&lock);
	if (dir) {
		err = -EBUSY;			/* objects of the old one may be open */
		free(copy);
	} else {
		free(wanted);
		wanted = copy;
	}
	pthread_mutex_unlock(&lock);
	if (!err) {
		struct obj_dir *d;

		err = door_dir(&d);
	}
	return err;
}

SKEP_API const char *skep_dir__path(void)
{
	struct obj_dir *d;

	return door_dir(&d) ? NULL : d->path;
}

SKEP_API const char *skep_version(void)
{
	return "0.1";
}
