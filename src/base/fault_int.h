/* SPDX-License-Identifier: Apache-2.0 */
/* fault_int.h - between fault.c and those who own the handlers (fault_sig.c, agent/signal.c). */
#ifndef SKEP_BASE_FAULT_INT_H
#define SKEP_BASE_FAULT_INT_H

#include <signal.h>

#include "base/fault.h"

/* A fault of the copy routine (it goes on at its end, with -EFAULT) or of a watched mapping (it has its page now).
 * False: somebody else's. Async-signal-safe; touches neither errno nor tls(). */
bool fault_mine(int sig, const siginfo_t *si, void *uc);

/* 0 or -EFAULT. Whatever it touches may fault. */
long fault_copy_raw(void *dst, const void *src, size_t n) __attribute__((visibility("hidden")));

/* By the owner of the handlers: would a fault of this thread reach fault_mine()? FAULT_DIRECT or FAULT_KERNEL; SCOPED: the
 * answer is kept until fault_exit(). */
u8 fault_ask(bool scoped);
/* A copy when it would not. SRC is the address that may be bad when IN, else DST. 0 or -EFAULT. */
int fault_copy_careful(void *dst, const void *src, size_t n, bool in);

#endif
