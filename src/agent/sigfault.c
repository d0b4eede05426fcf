/* SPDX-License-Identifier: Apache-2.0 */
/* sigfault.c - copies that may fault, in the agent (base/fault.h): who has handlers, and how to copy without.
 *
 * tls()->fault_how is FAULT_DIRECT where a fault is sure to reach fault_mine(): in hooked threads since signal.c installed
 * the handlers and never lets owned signals be blocked; in the helper since fault_init(). Else (a thread on its alternate
 * stack, the start, a vfork child made before the attachment) addresses are asked for first, in a way that every seccomp
 * filter lets through: rt_sigprocmask with a set there and an unknown HOW is -EFAULT or -EINVAL, and does nothing. */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "agent/agent.h"
#include "agent/rt.h"
#include "base/fault_int.h"

#define SA_RESTORER	0x04000000u

static void on_fault(int sig, siginfo_t *si, void *uc)
{
	/* Not the default action: before Linux 5.16 a core dump takes everybody along who shares the memory. */
	if (!fault_mine(sig, si, uc))
		raw_syscall3(SYS_exit_group, 128 + sig, 0, 0);
}

/* signal.c's, with the restorer that every kernel handler needs. */
extern void signal_restorer(void);

/* For whoever is trusted and has dispositions of its own: the helper. (The start shares the target's, and leaves them.) */
int fault_init(void)
{
	const struct ksigaction a = {
		.handler = (u64)on_fault, .flags = SA_SIGINFO | SA_NODEFER | SA_RESTORER, .restorer = (u64)signal_restorer,
	};
	u64 faults = BIT64(SIGSEGV - 1) | BIT64(SIGBUS - 1);

	if (!tls()->helper || tls()->fault_how == FAULT_DIRECT)
		return 0;
	if (raw_syscall4(SYS_rt_sigaction, SIGSEGV, (long)&a, 0, 8) || raw_syscall4(SYS_rt_sigaction, SIGBUS, (long)&a, 0, 8) ||
	    raw_syscall4(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&faults, 0, 8))
		return 0;
	tls()->fault_how = FAULT_DIRECT;
	return 0;
}

u8 fault_ask(bool scoped)
{
	return tls()->fault_how == FAULT_DIRECT ? FAULT_DIRECT : FAULT_KERNEL;
}

static bool readable(u64 at)
{
	return raw_syscall4(SYS_rt_sigprocmask, -1, (long)ALIGN_DOWN(at, 8ul), 0, 8) != -EFAULT;
}

static int copy_in(u8 *dst, u64 src, size_t n)
{
	while (n) {
		size_t part = MIN(n, SKEP_PAGE - (src & (SKEP_PAGE - 1)));

		if (!readable(src))
			return -EFAULT;
		fault_copy_raw(dst, (const void *)src, part);
		dst += part;
		src += part;
		n -= part;
	}
	return 0;
}

int fault_copy_careful(void *dst, const void *src, size_t n, bool in)
{
	struct iovec l = { (void *)src, n }, r = { dst, n };

	if (in)
		return copy_in(dst, (u64)src, n);
	if (agent.filtered)
		return -EFAULT;
	return raw_syscall6(SYS_process_vm_writev, raw_syscall3(SYS_getpid, 0, 0, 0), (long)&l, 1, (long)&r, 1, 0) == (long)n ?
		       0 : -EFAULT;
}
