/* SPDX-License-Identifier: Apache-2.0 */
/* rt_sys.c - system calls under libc's names, for the agent (rt.h). What makes names or fds is for trusted callers: in a
 * hooked thread it fails with EPERM. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "agent/rt.h"

int *__errno_location(void)
{
	return &tls()->err;
}

#define L(x)	((long)(x))
#define CALL0(nr)			rt_ret(raw_syscall3(nr, 0, 0, 0))
#define CALL(nr, a, b, c)		rt_ret(raw_syscall3(nr, L(a), L(b), L(c)))
#define CALL4(nr, a, b, c, d)		rt_ret(raw_syscall4(nr, L(a), L(b), L(c), L(d)))
#define CALL6(nr, a, b, c, d, e, f)	rt_ret(raw_syscall6(nr, L(a), L(b), L(c), L(d), L(e), L(f)))

static bool refused(void)
{
	if (tls()->trusted)
		return false;
	errno = EPERM;
	return true;
}
#define TRUSTED(call)	(refused() ? -1 : (call))

/* ---- what only a trusted caller does ---- */

int openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return (int)TRUSTED(CALL4(SYS_openat, dir, path, flags, mode));
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return openat(AT_FDCWD, path, flags, mode);
}

int close(int fd)
{
	return (int)TRUSTED(CALL(SYS_close, fd, 0, 0));
}

int fcntl(int fd, int cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	return (int)TRUSTED(CALL(SYS_fcntl, fd, cmd, arg));
}

ssize_t read(int fd, void *buf, size_t n) { return TRUSTED(CALL(SYS_read, fd, buf, n)); }
ssize_t write(int fd, const void *buf, size_t n) { return TRUSTED(CALL(SYS_write, fd, buf, n)); }
ssize_t pread(int fd, void *buf, size_t n, off_t at) { return TRUSTED(CALL4(SYS_pread64, fd, buf, n, at)); }
ssize_t pwrite(int fd, const void *buf, size_t n, off_t at) { return TRUSTED(CALL4(SYS_pwrite64, fd, buf, n, at)); }
int fallocate(int fd, int mode, off_t at, off_t n) { return (int)TRUSTED(CALL4(SYS_fallocate, fd, mode, at, n)); }
int ftruncate(int fd, off_t n) { return (int)TRUSTED(CALL(SYS_ftruncate, fd, n, 0)); }
int mkdirat(int dir, const char *path, mode_t mode) { return (int)TRUSTED(CALL(SYS_mkdirat, dir, path, mode)); }
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
int unlinkat(int dir, const char *path, int flags) { return (int)TRUSTED(CALL(SYS_unlinkat, dir, path, flags)); }
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int mkfifo(const char *path, mode_t mode)
{
	return (int)TRUSTED(CALL4(SYS_mknodat, AT_FDCWD, path, mode | S_IFIFO, 0));
}

int linkat(int odir, const char *old, int ndir, const char *new, int flags)
{
	return (int)TRUSTED(CALL6(SYS_linkat, odir, old, ndir, new, flags, 0));
}

int renameat2(int odir, const char *old, int ndir, const char *new, unsigned int flags)
{
	return (int)TRUSTED(CALL6(SYS_renameat2, odir, old, ndir, new, flags, 0));
}

int renameat(int odir, const char *old, int ndir, const char *new)
{
	return renameat2(odir, old, ndir, new, 0);
}

/* ---- looking ---- */

int fstatat(int dir, const char *restrict path, struct stat *restrict st, int flags)
{
	return (int)TRUSTED(CALL4(SYS_newfstatat, dir, path, st, flags));
}

int fstat(int fd, struct stat *st) { return (int)TRUSTED(CALL(SYS_fstat, fd, st, 0)); }
int stat(const char *restrict path, struct stat *restrict st) { return fstatat(AT_FDCWD, path, st, 0); }
int lstat(const char *restrict path, struct stat *restrict st) { return fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW); }
int faccessat(int dir, const char *path, int mode, int flags) { return (int)TRUSTED(CALL(SYS_faccessat, dir, path, mode)); }
int access(const char *path, int mode) { return faccessat(AT_FDCWD, path, mode, 0); }

ssize_t readlinkat(int dir, const char *restrict path, char *restrict buf, size_t n)
{
	return TRUSTED(CALL4(SYS_readlinkat, dir, path, buf, n));
}

ssize_t readlink(const char *restrict path, char *restrict buf, size_t n) { return readlinkat(AT_FDCWD, path, buf, n); }

/* ---- directories ---- */

struct __dirstream {
	int fd;
	u32 at, have;
	char buf[4096] __attribute__((aligned(8)));
};
_Static_assert(offsetof(struct dirent, d_name) == 19, "struct dirent is the kernel's linux_dirent64");

DIR *fdopendir(int fd)
{
	DIR *d = malloc(sizeof(*d));

	if (d) {
		d->fd = fd;
		d->at = d->have = 0;
	}
	return d;
}

struct dirent *readdir(DIR *d)
{
	struct dirent *e;

	if (d->at >= d->have) {
		long n = TRUSTED(CALL(SYS_getdents64, d->fd, d->buf, sizeof(d->buf)));

		if (n <= 0)
			return NULL;
		d->have = (u32)n;
		d->at = 0;
	}
	e = (struct dirent *)(d->buf + d->at);
	d->at += e->d_reclen;
	return e;
}

int closedir(DIR *d)
{
	int err = close(d->fd);

	free(d);
	return err;
}

/* ---- memory, as any thread may ---- */

void *mmap(void *at, size_t n, int prot, int flags, int fd, off_t off)
{
	return (void *)CALL6(SYS_mmap, at, n, prot, flags, fd, off);
}

int munmap(void *p, size_t n) { return (int)CALL(SYS_munmap, p, n, 0); }
int mprotect(void *p, size_t n, int prot) { return (int)CALL(SYS_mprotect, p, n, prot); }
int madvise(void *p, size_t n, int what) { return (int)CALL(SYS_madvise, p, n, what); }

ssize_t process_vm_readv(pid_t pid, const struct iovec *l, unsigned long ln, const struct iovec *r, unsigned long rn,
			 unsigned long flags)
{
	return CALL6(SYS_process_vm_readv, pid, l, ln, r, rn, flags);
}

ssize_t process_vm_writev(pid_t pid, const struct iovec *l, unsigned long ln, const struct iovec *r, unsigned long rn,
			  unsigned long flags)
{
	return CALL6(SYS_process_vm_writev, pid, l, ln, r, rn, flags);
}

/* ---- who, when ---- */

pid_t getpid(void) { return (pid_t)raw_syscall3(SYS_getpid, 0, 0, 0); }
pid_t getppid(void) { return (pid_t)raw_syscall3(SYS_getppid, 0, 0, 0); }
pid_t gettid(void) { return (pid_t)raw_syscall3(SYS_gettid, 0, 0, 0); }
uid_t getuid(void) { return (uid_t)raw_syscall3(SYS_getuid, 0, 0, 0); }
gid_t getgid(void) { return (gid_t)raw_syscall3(SYS_getgid, 0, 0, 0); }
uid_t geteuid(void) { return (uid_t)raw_syscall3(SYS_geteuid, 0, 0, 0); }
gid_t getegid(void) { return (gid_t)raw_syscall3(SYS_getegid, 0, 0, 0); }
/* A hooked thread of a target with a seccomp filter makes no call that the filter may kill for: it spins. */
bool rt_filtered;

static bool filtered(void)
{
	if (!READ_ONCE(rt_filtered) || tls()->trusted)
		return false;
	for (u32 i = 0; i < 100; i++)
		__builtin_ia32_pause();
	return true;
}

int sched_yield(void) { return filtered() ? 0 : (int)CALL0(SYS_sched_yield); }
int nanosleep(const struct timespec *t, struct timespec *left) { return filtered() ? 0 : (int)CALL(SYS_nanosleep, t, left, 0); }
ssize_t getrandom(void *buf, size_t n, unsigned int flags) { return CALL(SYS_getrandom, buf, n, flags); }
int kill(pid_t pid, int sig) { return (int)CALL(SYS_kill, pid, sig, 0); }

int prctl(int what, ...)
{
	va_list ap;
	long a, b, c, d;

	va_start(ap, what);
	a = va_arg(ap, long);
	b = va_arg(ap, long);
	c = va_arg(ap, long);
	d = va_arg(ap, long);
	va_end(ap);
	return (int)CALL6(SYS_prctl, what, a, b, c, d, 0);
}

long syscall(long nr, ...)
{
	va_list ap;
	long v[6];

	va_start(ap, nr);
	for (u32 i = 0; i < ARRAY_SIZE(v); i++)
		v[i] = va_arg(ap, long);
	va_end(ap);
	return CALL6(nr, v[0], v[1], v[2], v[3], v[4], v[5]);
}

/* Only what control files are made for: the number of CPUs when sysfs does not say. */
long sysconf(int what)
{
	u64 mask[128];
	long n = what == _SC_NPROCESSORS_CONF || what == _SC_NPROCESSORS_ONLN ?
			 raw_syscall3(SYS_sched_getaffinity, 0, sizeof(mask), (long)mask) : -EINVAL, cpus = 0;

	for (long i = 0; i < n / 8; i++)
		for (u64 m = mask[i]; m; m &= m - 1)
			cpus++;
	return n < 0 ? rt_ret(n) : cpus;
}

/* The agent is never where secure_getenv() would look: its directory comes from agent_start(). */
char *secure_getenv(const char *name)
{
	return NULL;
}

void _exit(int code)
{
	for (;;)
		raw_syscall3(SYS_exit_group, code, 0, 0);
}

/* ---- signal masks: the kernel's, 8 bytes of the set ---- */

int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return (int)-raw_syscall4(SYS_rt_sigprocmask, how, (long)set, (long)old, 8);
}

int sigemptyset(sigset_t *set)
{
	memset(set, 0, sizeof(*set));
	return 0;
}

int sigaddset(sigset_t *set, int sig)
{
	*(u64 *)set |= BIT64(sig - 1);
	return 0;
}

/* ---- extended attributes: follow.c looks for file capabilities ---- */

ssize_t fgetxattr(int fd, const char *name, void *value, size_t size)
{
	return CALL4(SYS_fgetxattr, fd, name, value, size);
}
