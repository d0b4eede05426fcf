/* SPDX-License-Identifier: Apache-2.0 */
/* sigcases.h - what the cases of sigcases.c share: saying what was seen, handlers that tell, masks. */
#ifndef SKEP_TEST_SIGCASES_H
#define SKEP_TEST_SIGCASES_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

extern char **environ;

static int out_fd = 1;
static char *stack_low, *stack_high;		/* of the main thread */
static sigjmp_buf env;
static volatile int hits, bad;
static volatile sig_atomic_t last_code;

static void out(const char *fmt, ...)
{
	char buf[600];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	(void)!write(out_fd, buf, (size_t)n);
}

static void out_mask(const char *what)
{
	sigset_t m;
	char s[65] = "";

	sigemptyset(&m);
	sigprocmask(SIG_BLOCK, NULL, &m);
	for (int i = 1; i < 65; i++)
		s[i - 1] = sigismember(&m, i) == 1 ? 'x' : '.';
	out("%s %s\n", what, s);
}

static void set(int sig, void *fn, int flags, int full)
{
	struct sigaction sa = { .sa_flags = flags };

	sa.sa_sigaction = (void (*)(int, siginfo_t *, void *))fn;
	if (full)
		sigfillset(&sa.sa_mask);
	if (sigaction(sig, &sa, NULL))
		out("sigaction %d: %d\n", sig, errno);
}

static void block(int how, int sig)
{
	sigset_t m;

	sigemptyset(&m);
	if (sig)
		sigaddset(&m, sig);
	else
		sigfillset(&m);
	sigprocmask(how, &m, NULL);
}

static void fault(void)
{
	static volatile int *volatile nowhere = (int *)16;

	*nowhere = 1;
}

static int own_stack(void)
{
	char *here = __builtin_frame_address(0);

	return here > stack_low && here < stack_high;
}

/* ---- handlers ---- */

static void count(int sig)
{
	hits++;
	if (!own_stack())
		bad++;
	(void)getppid();
}

static void tell(int sig, siginfo_t *si, void *ctx)
{
	ucontext_t *uc = ctx;
	stack_t ss;

	sigaltstack(NULL, &ss);
	out("signal %d code %d addr %d value %d own stack %d alt %d masked %d%d%d\n", sig, si->si_code,
	    si->si_code > 0 ? si->si_addr == (void *)16 : 0, si->si_code == SI_QUEUE ? si->si_value.sival_int : 0, own_stack(),
	    ss.ss_flags, sigismember(&uc->uc_sigmask, SIGSEGV), sigismember(&uc->uc_sigmask, SIGBUS),
	    sigismember(&uc->uc_sigmask, SIGUSR1));
	out_mask("inside");
	hits++;
}

static void tell_and_jump(int sig, siginfo_t *si, void *ctx)
{
	tell(sig, si, ctx);
	siglongjmp(env, 1);
}

static char *page;

static void mend(int sig, siginfo_t *si, void *ctx)
{
	hits++;
	last_code = si->si_code;
	mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

/* ---- faults ---- */

#endif
