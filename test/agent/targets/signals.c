/* SPDX-License-Identifier: Apache-2.0 */
/* signals.c - signals of every sort between system calls: handlers on other stacks, siglongjmp out of blocked calls, signalfd,
 * restarts, faults that the program expects, masks, threads. Prints the same whatever the timing. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static sigjmp_buf env;
static volatile sig_atomic_t alarms;
static volatile int on_alt;
static char alt[65536];
static atomic_long usr1;

static void on_alarm(int sig)
{
	alarms++;
	(void)getppid();
}

static void jump(int sig)
{
	(void)getppid();
	siglongjmp(env, 1);
}

static void segv(int sig, siginfo_t *si, void *uc)
{
	char here;

	on_alt = &here >= alt && &here < alt + sizeof(alt) && si->si_addr == (void *)16 && si->si_code == SEGV_MAPERR;
	siglongjmp(env, 2);
}
static void on_usr1(int sig)
{
	usr1++;
	(void)getppid();
}

static int set(int sig, void *fn, int flags, int full)
{
	struct sigaction sa = { .sa_flags = flags };

	sa.sa_sigaction = (void (*)(int, siginfo_t *, void *))fn;
	if (full)
		sigfillset(&sa.sa_mask);
	return sigaction(sig, &sa, NULL);
}

static void arm(int us)
{
	struct itimerval it = { .it_value = { 0, us } };

	setitimer(ITIMER_REAL, &it, NULL);
}

static int fault(void)
{
	stack_t st = { .ss_sp = alt, .ss_size = sizeof(alt) }, was;
	struct sigaction old;

	sigaltstack(&st, NULL);
	set(SIGSEGV, (void *)segv, SA_SIGINFO | SA_ONSTACK, 1);
	on_alt = 0;
	if (!sigsetjmp(env, 1))
		*(volatile int *)16 = 1;
	sigaction(SIGSEGV, NULL, &old);
	sigaltstack(NULL, &was);
	return on_alt && old.sa_sigaction == segv && old.sa_flags & SA_ONSTACK && sigismember(&old.sa_mask, SIGBUS) == 1 &&
	       was.ss_sp == alt;
}

static int interrupted(void)
{
	int p[2], r;
	char c;

	if (pipe(p))
		return 0;
	set(SIGALRM, (void *)on_alarm, 0, 1);
	arm(2000);
	r = read(p[0], &c, 1) == -1 && errno == EINTR;
	set(SIGALRM, (void *)jump, 0, 0);
	if (!sigsetjmp(env, 1)) {
		arm(2000);
		for (;;)
			(void)!read(p[0], &c, 1);
	}
	close(p[0]);
	close(p[1]);
	return r;
}

static int by_signalfd(void)
{
	struct signalfd_siginfo si;
	sigset_t m, old;
	int fd, ok;

	sigemptyset(&m);
	sigaddset(&m, SIGUSR2);
	sigprocmask(SIG_BLOCK, &m, &old);
	fd = signalfd(-1, &m, SFD_CLOEXEC);
	kill(getpid(), SIGUSR2);
	ok = read(fd, &si, sizeof(si)) == sizeof(si) && si.ssi_signo == SIGUSR2 && si.ssi_pid == (unsigned)getpid();
	close(fd);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return ok;
}

static int masks(void)
{
	sigset_t m, old, got;
	int ok = 1;

	sigfillset(&m);
	sigprocmask(SIG_SETMASK, &m, &old);
	sigprocmask(SIG_BLOCK, NULL, &got);
	for (int s = 1; s < 32; s++)
		ok &= s == SIGKILL || s == SIGSTOP || sigismember(&got, s) == 1;
	for (int i = 0; i < 20; i++)
		(void)getppid();
	sigprocmask(SIG_SETMASK, &old, NULL);
	return ok;
}

static int dies_of(int how)
{
	int st;
	pid_t k = fork();
	sigset_t m;

	if (!k) {
		signal(SIGSEGV, how == 1 ? SIG_IGN : SIG_DFL);
		if (how == 2) {
			sigfillset(&m);
			sigprocmask(SIG_SETMASK, &m, NULL);
		}
		(void)getppid();
		*(volatile int *)16 = 1;
		_exit(0);
	}
	waitpid(k, &st, 0);
	return WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV;
}

static void *storm(void *arg)
{
	for (int i = 0; i < 300; i++) {
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
		(void)getppid();
	}
	return NULL;
}

static int threads(void)
{
	pthread_t self = pthread_self(), t[3];
	long before = usr1;

	set(SIGUSR1, (void *)on_usr1, SA_RESTART, 0);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, storm, &self);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	return usr1 > before;
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + atoi(argv[1]);
	long sum = 0, rounds = 0;

	do {
		sum += fault() + interrupted() + by_signalfd() + masks() + threads() + dies_of(0) + dies_of(1) + dies_of(2);
		rounds++;
	} while (time(NULL) < end);
	printf("sum %s\n", sum == rounds * 8 ? "right" : "wrong");
	return sum != rounds * 8;
}
