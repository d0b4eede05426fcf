/* SPDX-License-Identifier: Apache-2.0 */
/* rawsys.h - system calls that go past libc's syscall(), which our own fronts interpose, and past errno. */
#ifndef SKEP_BASE_RAWSYS_H
#define SKEP_BASE_RAWSYS_H

#include <sys/syscall.h>

#include "base/def.h"

/* The kernel's return: a value, or -errno. Async-signal-safe. */
static inline long raw_syscall4(long nr, long a, long b, long c, long e)
{
#ifdef __x86_64__
	register long r10 __asm__("r10") = e;
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return ret;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = nr, x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b, x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = e;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
#endif
}

static inline long raw_syscall6(long nr, long a, long b, long c, long e, long f, long g)
{
#ifdef __x86_64__
	register long r10 __asm__("r10") = e, r8 __asm__("r8") = f, r9 __asm__("r9") = g;
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = nr, x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = e;
	register long x4 __asm__("x4") = f, x5 __asm__("x5") = g;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
#endif
}

/* Past mmap() as clients see it, which fronts interpose too. */
static inline long raw_mmap(unsigned long size, int prot, int flags, int fd)
{
#ifdef __x86_64__
	register long r10 __asm__("r10") = flags, r8 __asm__("r8") = fd, r9 __asm__("r9") = 0;
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"((long)SYS_mmap), "D"(0l), "S"(size), "d"((long)prot), "r"(r10), "r"(r8),
			 "r"(r9) : "rcx", "r11", "memory");
	return ret;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = SYS_mmap, x0 __asm__("x0") = 0, x1 __asm__("x1") = (long)size;
	register long x2 __asm__("x2") = prot, x3 __asm__("x3") = flags, x4 __asm__("x4") = fd, x5 __asm__("x5") = 0;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
#endif
}

static inline long raw_syscall3(long nr, long a, long b, long c)
{
	return raw_syscall4(nr, a, b, c, 0);
}

#endif
