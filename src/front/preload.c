/* SPDX-License-Identifier: Apache-2.0 */
/* preload.c - LD_PRELOAD door: bpf(2) of dynamically linked programs is answered here, in their own process.
 *
 * Interposed: syscall(2) by number (libbpf, bcc, bpftrace reach bpf(2) by it), epoll on ring maps and perf events, mmap
 * and ioctl of the latter, statfs of the pin directory, the memory-lock limit that root may raise, and geteuid for
 * clients that insist on root (SKEP_AS_ROOT=1).
 * Paths are preload_path.c's. Nothing is done before the first call that is skep's; other calls cost a compare and keep
 * errno. No locks, no allocation on the way through. */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "front/preload.h"
#include "sys/door.h"

#ifdef __x86_64__
/* As libc's, so that even calls that return twice behave, but for two numbers. The seventh argument lies at 8(%rsp)
 * both for a variadic syscall() and for door_syscall(): hence the plain jump. */
__asm__(".text\n"
	".globl syscall\n"
	".type syscall, @function\n"
	"syscall:\n"
	"	.cfi_startproc\n"
	"	cmp	$" SKEP_STR(SYS_bpf_NR) ", %rdi\n"
	"	je	door_syscall\n"
	"	cmp	$" SKEP_STR(SYS_perf_event_open_NR) ", %rdi\n"
	"	je	door_syscall\n"
	"	mov	%rdi, %rax\n"
	"	mov	%rsi, %rdi\n"
	"	mov	%rdx, %rsi\n"
	"	mov	%rcx, %rdx\n"
	"	mov	%r8, %r10\n"
	"	mov	%r9, %r8\n"
	"	mov	8(%rsp), %r9\n"
	"	syscall\n"
	"	cmp	$-4095, %rax\n"
	"	jae	1f\n"
	"	ret\n"
	"1:	mov	%rax, %rdi\n"
	"	jmp	door_errno\n"
	"	.cfi_endproc\n"
	".size syscall, . - syscall\n");
_Static_assert(SYS_bpf == SYS_bpf_NR && SYS_perf_event_open == SYS_perf_event_open_NR, "numbers in the stub");
#else
SKEP_API long syscall(long nr, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, nr);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	return door_syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}
#endif

/* ---- epoll ---- */

SKEP_API int epoll_ctl(int ep, int op, int fd, struct epoll_event *ev)
{
	return door_epoll_ctl(ep, op, fd, ev);
}

struct wait {
	int ep, n;
	struct epoll_event *ev;
	const sigset_t *mask;
};

static int real_wait(void *arg, s64 ns)
{
	const struct wait *w = arg;

	return REAL(epoll_wait)(w->ep, w->ev, w->n, door_ns_to_ms(ns));
}

static int real_pwait(void *arg, s64 ns)
{
	const struct wait *w = arg;

	return REAL(epoll_pwait)(w->ep, w->ev, w->n, door_ns_to_ms(ns), w->mask);
}

static int real_pwait2(void *arg, s64 ns)
{
	const struct wait *w = arg;
	struct timespec t = { ns / 1000000000, ns % 1000000000 };

	return REAL(epoll_pwait2)(w->ep, w->ev, w->n, ns < 0 ? NULL : &t, w->mask);
}

SKEP_API int epoll_wait(int ep, struct epoll_event *ev, int n, int timeout)
{
	struct wait w = { ep, n, ev, NULL };

	return door_epoll_wait(ep, ev, door_ms_to_ns(timeout), real_wait, &w);
}

SKEP_API int epoll_pwait(int ep, struct epoll_event *ev, int n, int timeout, const sigset_t *mask)
{
	struct wait w = { ep, n, ev, mask };

	return door_epoll_wait(ep, ev, door_ms_to_ns(timeout), real_pwait, &w);
}

SKEP_API int epoll_pwait2(int ep, struct epoll_event *ev, int n, const struct timespec *timeout,
			  const sigset_t *mask)
{
	struct wait w = { ep, n, ev, mask };
	s64 ns = -1;

	/* what is no time, or longer than a signed 64-bit number of nanoseconds, is the kernel's to judge */
	if (timeout && (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= 1000000000 ||
			__builtin_mul_overflow((s64)timeout->tv_sec, 1000000000ll, &ns) ||
			__builtin_add_overflow(ns, timeout->tv_nsec, &ns)))
		return REAL(epoll_pwait2)(ep, ev, n, timeout, mask);
	return door_epoll_wait(ep, ev, ns, real_pwait2, &w);
}

/* ---- perf events ---- */

SKEP_API void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	void *ret;

	if (door_mmap(addr, len, prot, flags, fd, off, &ret))
		return ret;
	return (void *)door_errno(raw_syscall(SYS_mmap, (long)addr, (long)len, prot, flags, fd, off));
}

SKEP_API void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t off)
{
	return mmap(addr, len, prot, flags, fd, off);
}

SKEP_API int ioctl(int fd, unsigned long cmd, ...)
{
	unsigned long arg;
	va_list ap;
	int ret;

	va_start(ap, cmd);
	arg = va_arg(ap, unsigned long);
	va_end(ap);
	if (door_ioctl(fd, cmd, arg, &ret))
		return ret;
	return (int)door_errno(raw_syscall(SYS_ioctl, fd, (long)cmd, (long)arg, 0, 0, 0));
}

/* ---- attachments end ---- */

static __typeof__(&close) real_close(void)
{
	return REAL(close);
}

/* close(2) is called from signal handlers, dlsym(3) must not be. */
__attribute__((constructor)) static void find_close(void)
{
	real_close();
}

SKEP_API int close(int fd)
{
	bool ours = door_closing(fd);
	int ret = real_close()(fd);

	if (unlikely(ours))
		door_ended();
	return ret;
}

/* ---- the file system that pins seem to live in ---- */

SKEP_API int statfs(const char *path, struct statfs *st)
{
	return door_statfs(path, st);
}

SKEP_API int fstatfs(int fd, struct statfs *st)
{
	return door_fstatfs(fd, st);
}

_Static_assert(sizeof(struct statfs) == sizeof(struct statfs64), "one layout");

SKEP_API int statfs64(const char *path, struct statfs64 *st)
{
	return door_statfs(path, (struct statfs *)st);
}

SKEP_API int fstatfs64(int fd, struct statfs64 *st)
{
	return door_fstatfs(fd, (struct statfs *)st);
}

/* ---- what root may do and clients do first: objects here are not locked memory ---- */

static int forgive_memlock(int resource, int ret, int saved)
{
	if (!ret || errno != EPERM || resource != RLIMIT_MEMLOCK)
		return ret;
	errno = saved;
	return 0;
}

SKEP_API int setrlimit(__rlimit_resource_t resource, const struct rlimit *lim)
{
	int saved = errno;

	return forgive_memlock((int)resource, REAL(setrlimit)(resource, lim), saved);
}

SKEP_API int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *lim)
{
	int saved = errno;

	return forgive_memlock((int)resource, REAL(setrlimit64)(resource, lim), saved);
}

SKEP_API int prlimit(pid_t pid, enum __rlimit_resource resource, const struct rlimit *lim, struct rlimit *old)
{
	int saved = errno;

	return forgive_memlock(pid ? -1 : (int)resource, REAL(prlimit)(pid, resource, lim, old), saved);
}

SKEP_API int prlimit64(pid_t pid, enum __rlimit_resource resource, const struct rlimit64 *lim,
		       struct rlimit64 *old)
{
	int saved = errno;

	return forgive_memlock(pid ? -1 : (int)resource, REAL(prlimit64)(pid, resource, lim, old), saved);
}

static bool as_root(void)
{
	static int known;	/* 0: not asked yet; races are harmless */

	if (!known) {
		const char *s = getenv("SKEP_AS_ROOT");

		known = s && *s == '1' ? 1 : -1;
	}
	return known > 0;
}

SKEP_API uid_t geteuid(void)
{
	return as_root() ? 0 : (uid_t)raw_syscall(SYS_geteuid, 0, 0, 0, 0, 0, 0);
}
