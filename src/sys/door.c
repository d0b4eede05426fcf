/* SPDX-License-Identifier: Apache-2.0 */
/* door.c - bare system calls, bpf(2) of in-process clients, the pin directory by its two names. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/obj.h"
#include "skep.h"
#include "sys/door.h"
#include "sys/sys.h"

#define TMPFS_MAGIC 0x01021994

long raw_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	long ret;
#ifdef __x86_64__
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	ret = x0;
#else
#error "no system call stub for this architecture"
#endif
	return ret;
}

long door_errno(long ret)
{
	if (ret >= 0 || ret < -4095)
		return ret;
	errno = (int)-ret;
	return -1;
}

long door_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	int saved = errno;
	long ret;

	if (nr == SYS_bpf)
		ret = skep_bpf((int)a, (union bpf_attr *)b, (unsigned int)c);
	else if (nr == SYS_perf_event_open)
		ret = door_perf_event_open((u64)a, b, c, d, (unsigned long)e);
	else
		ret = raw_syscall(nr, a, b, c, d, e, f);
	errno = saved;
	return door_errno(ret);
}

bool door_path_is_bpffs(const char *path)
{
	size_t n = sizeof(SYS_BPFFS_PATH) - 1;

	return path && path[0] == '/' && path[1] == 's' && !strncmp(path, SYS_BPFFS_PATH, n) &&
	       (!path[n] || path[n] == '/');
}

const char *door_path(const char *path, char buf[DOOR_PATH_MAX])
{
	int saved = errno;
	struct obj_dir *d;

	if (likely(!door_path_is_bpffs(path)))
		return path;
	if (!door_dir(&d) && snprintf(buf, DOOR_PATH_MAX, "%s/bpffs%s", d->path,
				      path + sizeof(SYS_BPFFS_PATH) - 1) < DOOR_PATH_MAX)
		path = buf;
	errno = saved;
	return path;
}

/* Is what /proc/self/fd/FD names the pin directory or something in it? */
static bool fd_in_bpffs(int fd)
{
	char link[40], path[DOOR_PATH_MAX], root[sizeof(((struct obj_dir *)0)->path) + 8];
	struct obj_dir *d;
	long n;
	size_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = raw_syscall(SYS_readlinkat, AT_FDCWD, (long)link, (long)path, sizeof(path) - 1, 0, 0);
	if (n <= 0 || door_dir(&d))
		return false;
	path[n] = 0;
	len = (size_t)snprintf(root, sizeof(root), "%s/bpffs", d->path);
	return !strncmp(path, root, len) && (!path[len] || path[len] == '/');
}

int door_fstatfs(int fd, struct statfs *st)
{
	int saved = errno;
	long ret = raw_syscall(SYS_fstatfs, fd, (long)st, 0, 0, 0, 0);

	if (!ret && st->f_type == TMPFS_MAGIC && fd_in_bpffs(fd))
		st->f_type = SYS_BPFFS_MAGIC;
	errno = saved;
	return (int)door_errno(ret);
}

int door_statfs(const char *path, struct statfs *st)
{
	char buf[DOOR_PATH_MAX];
	int saved = errno;
	long fd, ret;

	path = door_path(path, buf);
	ret = raw_syscall(SYS_statfs, (long)path, (long)st, 0, 0, 0, 0);
	if (!ret && st->f_type == TMPFS_MAGIC) {
		fd = raw_syscall(SYS_openat, AT_FDCWD, (long)path, O_PATH | O_CLOEXEC, 0, 0, 0);
		if (fd >= 0) {
			if (fd_in_bpffs((int)fd))
				st->f_type = SYS_BPFFS_MAGIC;
			raw_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
		}
	}
	errno = saved;
	return (int)door_errno(ret);
}
