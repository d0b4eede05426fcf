/* SPDX-License-Identifier: Apache-2.0 */
/* wrap.c - the static door: what `-Wl,--wrap=...` (skep.pc) turns a statically linked libbpf's calls into. The list of
 * wrapped names is WRAP_SYMS in the Makefile. libskep.so exports these too, for executables that link it. */
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <fcntl.h>

#include "sys/door.h"

void *__real_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off) __attribute__((weak));
int __real_ioctl(int fd, unsigned long cmd, ...) __attribute__((weak));
int __real_faccessat(int at, const char *path, int mode, int flags) __attribute__((weak));
int __real_open(const char *path, int flags, ...) __attribute__((weak));
int __real_close(int fd) __attribute__((weak));
FILE *__real_fopen(const char *path, const char *mode) __attribute__((weak));
int __real_epoll_wait(int ep, struct epoll_event *ev, int n, int timeout) __attribute__((weak));

SKEP_API long __wrap_syscall(long nr, ...);
SKEP_API int __wrap_epoll_ctl(int ep, int op, int fd, struct epoll_event *ev);
SKEP_API int __wrap_epoll_wait(int ep, struct epoll_event *ev, int n, int timeout);
SKEP_API void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off);
SKEP_API void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);
SKEP_API int __wrap_ioctl(int fd, unsigned long cmd, ...);
SKEP_API void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	void *ret;

	if (door_mmap(addr, len, prot, flags, fd, off, &ret))
		return ret;
	return __real_mmap ? __real_mmap(addr, len, prot, flags, fd, off) : mmap(addr, len, prot, flags, fd, off);
}

_Static_assert(sizeof(off_t) == 8, "mmap is mmap64");

void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	return __wrap_mmap(addr, len, prot, flags, fd, off);
}

int __wrap_ioctl(int fd, unsigned long cmd, ...)
{
	unsigned long arg;
	va_list ap;
	int ret;

	va_start(ap, cmd);
	arg = va_arg(ap, unsigned long);
	va_end(ap);
	if (door_ioctl(fd, cmd, arg, &ret))
		return ret;
	return __real_ioctl ? __real_ioctl(fd, cmd, arg) : ioctl(fd, cmd, arg);
}

int __wrap_statfs(const char *path, struct statfs *st);
SKEP_API int __wrap_statfs64(const char *path, struct statfs *st);
SKEP_API int __wrap_mkdir(const char *path, mode_t mode);
SKEP_API int __wrap_unlink(const char *path);
SKEP_API int __wrap_rmdir(const char *path);
SKEP_API int __wrap_access(const char *path, int mode);
SKEP_API int __wrap_faccessat(int at, const char *path, int mode, int flags);
SKEP_API int __wrap_close(int fd);
SKEP_API int __wrap_open(const char *path, int flags, ...);
SKEP_API int __wrap_open64(const char *path, int flags, ...);
SKEP_API FILE *__wrap_fopen(const char *path, const char *mode);
SKEP_API FILE *__wrap_fopen64(const char *path, const char *mode);

long __wrap_syscall(long nr, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, nr);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	return door_syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int __wrap_epoll_ctl(int ep, int op, int fd, struct epoll_event *ev)
{
	return door_epoll_ctl(ep, op, fd, ev);
}

struct wait {
	int ep, n;
	struct epoll_event *ev;
};

/* A cancellation point, as epoll_wait is: hence libc's. */
static int real_wait(void *arg, s64 ns)
{
	const struct wait *w = arg;
	int ms = door_ns_to_ms(ns);

	return __real_epoll_wait ? __real_epoll_wait(w->ep, w->ev, w->n, ms) : epoll_wait(w->ep, w->ev, w->n, ms);
}

int __wrap_epoll_wait(int ep, struct epoll_event *ev, int n, int timeout)
{
	struct wait w = { ep, n, ev };

	return door_epoll_wait(ep, ev, door_ms_to_ns(timeout), real_wait, &w);
}

int __wrap_statfs(const char *path, struct statfs *st)
{
	return door_statfs(path, st);
}

int __wrap_statfs64(const char *path, struct statfs *st)
{
	return door_statfs(path, st);
}

static int on_path(long nr, const char *path, long a, long b)
{
	char buf[DOOR_PATH_MAX];

	return (int)door_errno(raw_syscall(nr, AT_FDCWD, (long)door_path(path, buf), a, b, 0, 0));
}

int __wrap_mkdir(const char *path, mode_t mode)
{
	return on_path(SYS_mkdirat, path, mode, 0);
}

int __wrap_unlink(const char *path)
{
	int ret = on_path(SYS_unlinkat, path, 0, 0);

	if (!ret && door_path_is_bpffs(path))
		door_ended();
	return ret;
}

int __wrap_rmdir(const char *path)
{
	return on_path(SYS_unlinkat, path, AT_REMOVEDIR, 0);
}

int __wrap_access(const char *path, int mode)
{
	int ret = door_file_access(path, mode);

	if (unlikely(ret != DOOR_NOT_OURS))
		return ret;
	return on_path(SYS_faccessat, path, mode, 0);
}

int __wrap_faccessat(int at, const char *path, int mode, int flags)
{
	int ret = door_file_access(path, mode);

	if (unlikely(ret != DOOR_NOT_OURS))
		return ret;
	return __real_faccessat ? __real_faccessat(at, path, mode, flags) : faccessat(at, path, mode, flags);
}

int __wrap_open(const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;
	int fd = door_file_open(path, flags);

	if (unlikely(fd != DOOR_NOT_OURS))
		return fd;
	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	return __real_open ? __real_open(path, flags, mode) : open(path, flags, mode);
}

int __wrap_open64(const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	return __wrap_open(path, flags, mode);
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
	int fd = door_file_open(path, mode[0] == 'r' ? O_RDONLY : O_WRONLY);

	if (unlikely(fd != DOOR_NOT_OURS))
		return fd < 0 ? NULL : fdopen(fd, "r");
	return __real_fopen ? __real_fopen(path, mode) : fopen(path, mode);
}

FILE *__wrap_fopen64(const char *path, const char *mode)
{
	return __wrap_fopen(path, mode);
}

int __wrap_close(int fd)
{
	bool ours = door_closing(fd);
	int ret = __real_close ? __real_close(fd) : close(fd);

	if (unlikely(ours))
		door_ended();
	return ret;
}
