/* SPDX-License-Identifier: Apache-2.0 */
/* fault.h - touching memory that may not be there.
 *
 * Two uses: copying from and to addresses that somebody else gave (attr pointers, probe_read), and
 * mappings of files that another process may cut short. The first returns -EFAULT; for the second the
 * SIGBUS handler puts zero pages under the range and marks it damaged, so that nobody crashes.
 * Handlers chain to what was installed before for faults that are not ours.
 *
 * A fault while SIGSEGV is blocked, or while somebody else's handler is installed, would kill. So a copy
 * first asks the kernel whether ours would run (up to three cheap system calls); if not, it lets the kernel copy
 * (process_vm_readv). Nobody can change the answer inside a run or inside one bpf(2)
 * command, so those put fault_enter()/fault_exit() around, and it is asked for at most once in them (about the
 * handlers only once per clock tick: an application that installs a SIGSEGV handler and passes a bad pointer within
 * the same few milliseconds gets its signal instead of -EFAULT). */
#ifndef SKEP_BASE_FAULT_H
#define SKEP_BASE_FAULT_H

#include "base/def.h"
#include "base/tls.h"

enum fault_how { FAULT_UNSCOPED, FAULT_UNKNOWN, FAULT_DIRECT, FAULT_KERNEL };

/* Scopes nest (a run in a signal handler has its own). Give fault_exit() what fault_enter() returned. */
static inline u8 fault_enter(void)
{
	u8 old = tls()->fault_scope;

	tls()->fault_scope = FAULT_UNKNOWN;
	return old;
}

static inline void fault_exit(u8 old)
{
	tls()->fault_scope = old;
}

int fault_init(void);		/* idempotent, thread safe; again: puts back a handler that was replaced */
/* All async-signal-safe. What was copied before the fault is left in dst. */
int fault_copy_from(void *dst, const void *src, size_t n);	/* 0 or -EFAULT */
int fault_copy_to(void *dst, const void *src, size_t n);	/* 0 or -EFAULT */
/* Length of the string without NUL, copied with it and nothing behind; -E2BIG when size is too small, -EFAULT. */
long fault_copy_str(char *dst, const char *src, size_t size);

/* Watch a file mapping. *damaged is set when a page of it turned out not to be there. -ENOMEM. */
int fault_watch(void *base, size_t size, u32 *damaged);
void fault_unwatch(void *base);

#endif
