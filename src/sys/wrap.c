/* SPDX-License-Identifier: Apache-2.0 */
/* wrap.c - the static door: what `-Wl,--wrap=syscall` turns a linked libbpf's calls into. */
#include <stdarg.h>
#include <sys/syscall.h>

#include "base/def.h"

long __real_syscall(long nr, ...) __attribute__((weak));
SKEP_API long __wrap_syscall(long nr, ...);

long __wrap_syscall(long nr, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, nr);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	return __real_syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}
