/* SPDX-License-Identifier: Apache-2.0 */
/* fault_sig.c - the handlers of SIGSEGV and SIGBUS in libraries, and copies when they would not run. What is not ours goes to
 * the handler that was there before. They run on any thread at any time: no locks, no malloc. (The agent owns signals in
 * another way: agent/signal.c.) */
#include <errno.h>
#include <signal.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/fault_int.h"
#include "base/rawsys.h"

/* ---- handlers ---- */

static struct sigaction before[2];		/* SIGSEGV, SIGBUS: who was there before us */
static u32 init_lock;

static struct sigaction *before_of(int sig)
{
	return &before[sig == SIGBUS];
}

/* As if we were not there: the fault happens again, or the signal is sent again, under the default. */
static void die_by(int sig, siginfo_t *si)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };

	sigaction(sig, &dfl, NULL);
	if (si->si_code <= 0)
		raw_syscall3(SYS_tgkill, getpid(), gettid(), sig);
}

static void chain(int sig, siginfo_t *si, void *uc)
{
	struct sigaction *b = before_of(sig);
	sigset_t mask = b->sa_mask, old;

	if (tls()->chaining || (!(b->sa_flags & SA_SIGINFO) && b->sa_handler == SIG_DFL)) {
		die_by(sig, si);
		return;
	}
	if (!(b->sa_flags & SA_SIGINFO) && b->sa_handler == SIG_IGN) {
		if (si->si_code > 0)
			die_by(sig, si);	/* the kernel does not let a fault be ignored either */
		return;
	}
	if (!(b->sa_flags & SA_NODEFER))
		sigaddset(&mask, sig);
	pthread_sigmask(SIG_BLOCK, &mask, &old);
	tls()->chaining = 1;
	if (b->sa_flags & SA_SIGINFO)
		b->sa_sigaction(sig, si, uc);
	else
		b->sa_handler(sig);
	tls()->chaining = 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void on_fault(int sig, siginfo_t *si, void *ctx)
{
	int saved = errno;

	if (!fault_mine(sig, si, ctx))
		chain(sig, si, ctx);
	errno = saved;
}

static int install(int sig)
{
	struct sigaction now, ours = { .sa_sigaction = on_fault };

	if (sigaction(sig, NULL, &now))
		return -errno;
	if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fault)
		return 0;
	ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
	sigemptyset(&ours.sa_mask);
	*before_of(sig) = now;
	return sigaction(sig, &ours, NULL) ? -errno : 0;
}

int fault_init(void)
{
	int err;

	while (__atomic_exchange_n(&init_lock, 1, __ATOMIC_ACQUIRE))
		;
	err = install(SIGSEGV);
	if (!err)
		err = install(SIGBUS);
	STORE_RELEASE(init_lock, 0);
	return err;
}

/* ---- copies with our handler out of reach ---- */

static bool handled(int sig)
{
	struct sigaction now;

	return !sigaction(sig, NULL, &now) && now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fault;
}

/* Handlers are replaced once in a process's life, if at all: scopes look again once per clock tick (some ms). */
static bool handled_lately(void)
{
	static u64 seen;		/* tick of the last good look; atomic */
	struct timespec t;
	u64 tick;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	tick = t.tv_sec * 1000000000ull + t.tv_nsec;
	if (READ_ONCE(seen) == tick)
		return true;
	if (!handled(SIGSEGV) || !handled(SIGBUS))
		return false;
	WRITE_ONCE(seen, tick);
	return true;
}

u8 fault_ask(bool scoped)
{
	u64 blocked = 0;

	if (raw_syscall4(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&blocked, sizeof(blocked)) ||
	    blocked & (BIT64(SIGSEGV - 1) | BIT64(SIGBUS - 1)))
		return FAULT_KERNEL;
	if (scoped ? handled_lately() : handled(SIGSEGV) && handled(SIGBUS))
		return FAULT_DIRECT;
	return FAULT_KERNEL;
}

/* The kernel copies; REMOTE is the address that may be bad. Bytes copied, or -errno. */
static ssize_t kernel_copy(void *local, void *remote, size_t n, bool in)
{
	struct iovec l = { local, n }, r = { remote, n };
	int saved = errno;
	ssize_t done;

	done = in ? process_vm_readv(getpid(), &l, 1, &r, 1, 0) : process_vm_writev(getpid(), &l, 1, &r, 1, 0);
	if (done < 0)
		done = -errno;
	errno = saved;
	return done;
}

/* process_vm_* is not there (seccomp): let faults through for a moment. */
static int copy_unblocked(void *dst, const void *src, size_t n)
{
	sigset_t faults, old;
	int err;

	sigemptyset(&faults);
	sigaddset(&faults, SIGSEGV);
	sigaddset(&faults, SIGBUS);
	pthread_sigmask(SIG_UNBLOCK, &faults, &old);
	err = fault_copy_raw(dst, src, n);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

int fault_copy_careful(void *dst, const void *src, size_t n, bool in)
{
	ssize_t done;

	done = in ? kernel_copy(dst, (void *)src, n, true) : kernel_copy((void *)src, dst, n, false);
	if (done == (ssize_t)n)
		return 0;
	if (done == -EPERM || done == -ENOSYS || done == -ENOMEM) {
		fault_init();
		return copy_unblocked(dst, src, n);
	}
	return -EFAULT;
}
