/* SPDX-License-Identifier: Apache-2.0 */
/* fault.h - touching memory that may not be there.
 *
 * Two uses: copying from and to addresses that somebody else gave (attr pointers, probe_read), and
 * mappings of files that another process may cut short. The first returns -EFAULT; for the second the
 * SIGBUS handler puts zero pages under the range and marks it damaged, so that nobody crashes.
 * Handlers chain to what was installed before for faults that are not ours. */
#ifndef SKEP_BASE_FAULT_H
#define SKEP_BASE_FAULT_H

#include "base/def.h"

int fault_init(void);					/* idempotent, thread safe */
int fault_copy_from(void *dst, const void *src, size_t n);	/* 0 or -EFAULT */
int fault_copy_to(void *dst, const void *src, size_t n);	/* 0 or -EFAULT */
/* Length of the string without NUL, copied with it; -E2BIG when size is too small, -EFAULT. */
long fault_copy_str(char *dst, const char *src, size_t size);

/* Watch a file mapping. *damaged is set when a page of it turned out not to be there. */
int fault_watch(void *base, size_t size, u32 *damaged);
void fault_unwatch(void *base);

#endif
