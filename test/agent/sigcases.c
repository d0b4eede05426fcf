/* SPDX-License-Identifier: Apache-2.0 */
/* sigcases.c - what a program can find out about signals. Each case runs in a child and prints what it saw; the parent prints
 * the case's name, that, and how the child ended. signal.test.sh compares the output with and without an agent whose
 * programs fault in every system call. Prints nothing that depends on addresses or time. sigcases [NAME...] */
#include "sigcases.h"

static void c_fault_default(void)
{
	fault();
}

static void c_fault_ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	fault();
}

static void c_fault_blocked(void)
{
	set(SIGSEGV, (void *)tell, SA_SIGINFO, 0);
	block(SIG_BLOCK, SIGSEGV);
	fault();
}

static void c_fault_all_blocked(void)
{
	block(SIG_SETMASK, 0);
	(void)getppid();
	fault();
}

static void c_fault_jump(void)
{
	for (int i = 0; i < 3; i++) {
		set(SIGSEGV, (void *)tell_and_jump, SA_SIGINFO, i == 1);
		if (!sigsetjmp(env, i != 2))
			fault();
		out_mask("after");
	}
}

static void c_fault_nodefer(void)
{
	set(SIGSEGV, (void *)tell_and_jump, SA_SIGINFO | SA_NODEFER, 0);
	for (volatile int i = 0; i < 2; i++)
		if (!sigsetjmp(env, 0))
			fault();
	out_mask("after");
}

static void c_fault_resethand(void)
{
	set(SIGSEGV, (void *)tell_and_jump, SA_SIGINFO | SA_RESETHAND, 0);
	if (!sigsetjmp(env, 1))
		fault();
	out("handler is default: %d\n", signal(SIGSEGV, SIG_DFL) == SIG_DFL);
	fault();
}

static void c_fault_twice(void)		/* inside its own handler: blocked */
{
	set(SIGSEGV, (void *)fault, SA_SIGINFO, 0);
	fault();
}

static void c_fault_mended(void)
{
	page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	set(SIGSEGV, (void *)mend, SA_SIGINFO, 0);
	for (int i = 0; i < 1000; i++) {
		page[5] = 1;
		mprotect(page, 4096, PROT_NONE);
		(void)getppid();
	}
	out("mended %d code %d\n", hits, last_code);
}

static void c_bus(void)
{
	int fd = memfd_create("x", 0);

	(void)!ftruncate(fd, 4096);
	page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	(void)!ftruncate(fd, 0);
	set(SIGBUS, (void *)tell_and_jump, SA_SIGINFO, 0);
	if (!sigsetjmp(env, 1))
		(void)*(volatile char *)page;
	signal(SIGBUS, SIG_DFL);
	(void)*(volatile char *)page;
}

static int deep(int n)
{
	volatile char frame[4096];

	frame[0] = (char)n;
	return n > 1 << 30 ? 0 : deep(n + 1) + frame[0];
}

static char alt_mem[1 << 16] __attribute__((aligned(64)));

static void use_alt(void)
{
	stack_t ss = { .ss_sp = alt_mem, .ss_size = sizeof(alt_mem) };

	out("sigaltstack %d\n", sigaltstack(&ss, NULL));
}

static void on_overflow(int sig, siginfo_t *si, void *ctx)
{
	out("overflow on alt %d code %d\n", (char *)__builtin_frame_address(0) > alt_mem &&
	    (char *)__builtin_frame_address(0) < alt_mem + sizeof(alt_mem), si->si_code);
	siglongjmp(env, 1);
}

static void c_stack_overflow(void)
{
	use_alt();
	set(SIGSEGV, (void *)on_overflow, SA_SIGINFO | SA_ONSTACK, 0);
	for (volatile int i = 0; i < 2; i++)
		if (!sigsetjmp(env, 1))
			deep(0);
	out("survived\n");
}

static void c_stack_overflow_default(void)
{
	deep(0);
}

/* ---- sent ---- */

static void c_sent_default(void)
{
	kill(getpid(), SIGSEGV);
}

static void c_sent_bus(void)
{
	raise(SIGBUS);
}

static void c_abort(void)
{
	abort();
}

static void c_sent_ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	kill(getpid(), SIGSEGV);
	raise(SIGSEGV);
	out("alive\n");
}

static void c_sent_handled(void)
{
	set(SIGSEGV, (void *)tell, SA_SIGINFO, 1);
	kill(getpid(), SIGSEGV);
	raise(SIGSEGV);
	sigqueue(getpid(), SIGSEGV, (union sigval){ .sival_int = 77 });
	out_mask("after");
}

static void c_sent_blocked(void)
{
	sigset_t p;

	set(SIGSEGV, (void *)tell, SA_SIGINFO, 0);
	block(SIG_BLOCK, SIGSEGV);
	kill(getpid(), SIGSEGV);
	for (int i = 0; i < 5; i++)
		(void)getppid();
	sigpending(&p);
	out("pending %d hits %d\n", sigismember(&p, SIGSEGV), hits);
	out_mask("blocked");
	block(SIG_UNBLOCK, SIGSEGV);
	out("hits %d\n", hits);
	out_mask("after");
}

static void c_sent_blocked_waited(void)
{
	struct signalfd_siginfo fi;
	struct timespec t = { 2, 0 };
	siginfo_t si;
	sigset_t m;
	int fd;

	sigemptyset(&m);
	sigaddset(&m, SIGSEGV);
	sigaddset(&m, SIGUSR1);
	sigprocmask(SIG_BLOCK, &m, NULL);
	kill(getpid(), SIGSEGV);
	out("waited for %d", sigtimedwait(&m, &si, &t));
	out(" code %d own %d\n", si.si_code, si.si_pid == getpid());
	kill(getpid(), SIGSEGV);
	fd = signalfd(-1, &m, 0);
	(void)!read(fd, &fi, sizeof(fi));
	out("read %d own %d\n", fi.ssi_signo, fi.ssi_pid == (unsigned)getpid());
	t.tv_sec = 0;
	out("none left %d\n", sigtimedwait(&m, &si, &t) == -1 && errno == EAGAIN);
}

static void *waiter(void *arg)
{
	sigset_t m;
	int sig = 0;

	sigfillset(&m);
	sigwait(&m, &sig);
	out("thread got %d\n", sig);
	return NULL;
}

static void c_sigwait_thread(void)
{
	pthread_t t;

	block(SIG_SETMASK, 0);
	for (int i = 0; i < 3; i++) {
		pthread_create(&t, NULL, waiter, NULL);
		usleep(2000);
		kill(getpid(), i ? SIGSEGV : SIGUSR1);
		pthread_join(t, NULL);
	}
}

/* ---- masks ---- */

static void c_masks(void)
{
	sigset_t m, got;

	out_mask("start");
	block(SIG_BLOCK, SIGSEGV);
	out_mask("segv");
	block(SIG_SETMASK, 0);
	out_mask("all");
	block(SIG_UNBLOCK, SIGBUS);
	out_mask("but bus");
	sigemptyset(&m);
	sigaddset(&m, SIGSEGV);
	sigprocmask(SIG_SETMASK, &m, &got);
	out("old has segv %d bus %d\n", sigismember(&got, SIGSEGV), sigismember(&got, SIGBUS));
	out_mask("only segv");
}

static long raw_mask(long how, const void *set_, void *old, long size)
{
	return syscall(SYS_rt_sigprocmask, how, set_, old, size) ? errno : 0;
}

static void c_mask_errors(void)
{
	unsigned long m = 1ul << (SIGSEGV - 1), got = 0;

	out("how 7: %ld\n", raw_mask(7, &m, NULL, 8));
	out("how 7, no set: %ld\n", raw_mask(7, NULL, &got, 8));
	out("size 4: %ld\n", raw_mask(SIG_BLOCK, &m, NULL, 4));
	out("bad set: %ld\n", raw_mask(SIG_BLOCK, (void *)16, NULL, 8));
	out("bad old: %ld\n", raw_mask(SIG_BLOCK, &m, (void *)16, 8));
	out_mask("changed all the same");
	m = ~0ul;
	out("kill and stop: %ld\n", raw_mask(SIG_BLOCK, &m, &got, 8));
	out_mask("all");
}

static void change_frame(int sig, siginfo_t *si, void *ctx)
{
	ucontext_t *uc = ctx;

	sigaddset(&uc->uc_sigmask, SIGUSR2);
	sigaddset(&uc->uc_sigmask, SIGSEGV);
	sigdelset(&uc->uc_sigmask, SIGBUS);
}

static void c_mask_in_frame(void)
{
	set(SIGUSR1, (void *)change_frame, SA_SIGINFO, 1);
	block(SIG_BLOCK, SIGBUS);
	raise(SIGUSR1);
	out_mask("after");
}

static void c_mask_in_handlers(void)
{
	for (int i = 0; i < 4; i++) {
		set(SIGUSR1, (void *)tell, SA_SIGINFO | (i & 2 ? SA_NODEFER : 0), i & 1);
		raise(SIGUSR1);
		out_mask("after");
	}
	block(SIG_BLOCK, SIGSEGV);
	raise(SIGUSR1);
	out_mask("after, blocked");
}

static void *thread_mask(void *arg)
{
	out_mask("in the thread");
	return NULL;
}

static void c_mask_of_threads(void)
{
	pthread_t t;

	block(SIG_BLOCK, SIGSEGV);
	pthread_create(&t, NULL, thread_mask, NULL);
	pthread_join(t, NULL);
	block(SIG_SETMASK, 0);
	pthread_create(&t, NULL, thread_mask, NULL);
	pthread_join(t, NULL);
	out_mask("main");
}

static void status_of(char *const argv[])
{
	int p[2];
	char buf[1000];
	ssize_t n;
	posix_spawn_file_actions_t fa;
	pid_t pid;

	(void)!pipe(p);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, p[1], 1);
	posix_spawn_file_actions_addclose(&fa, p[0]);
	if (posix_spawnp(&pid, argv[0], &fa, NULL, argv, environ))
		out("no spawn\n");
	close(p[1]);
	while ((n = read(p[0], buf, sizeof(buf))) > 0)
		(void)!write(out_fd, buf, (size_t)n);
	close(p[0]);
	waitpid(pid, NULL, 0);
}

/* Ourselves, to say what an exec leaves of signals. */
static char *const self[] = { "/proc/self/exe", "--report", NULL };

static int report(void)
{
	out_mask("blocked");
	for (int i = 1; i < 65; i++) {
		struct sigaction a;

		if (!sigaction(i, NULL, &a) && a.sa_handler != SIG_DFL)
			out("%d %s %x\n", i, a.sa_handler == SIG_IGN ? "ignored" : "handled", (unsigned)a.sa_flags);
	}
	return 0;
}

static void c_inherited_by_spawn(void)
{
	signal(SIGSEGV, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	set(SIGBUS, (void *)tell, SA_SIGINFO, 0);
	status_of(self);
	block(SIG_SETMASK, 0);
	status_of(self);
	out("still ignored %d\n", signal(SIGSEGV, SIG_IGN) == SIG_IGN);
	out_mask("parent");
}

static void c_inherited_by_exec(void)
{
	signal(SIGBUS, SIG_IGN);
	block(SIG_BLOCK, SIGSEGV);
	block(SIG_BLOCK, SIGUSR2);
	out("no such program %d\n", execv("/no/such/file", self) == -1 && errno == ENOENT);
	out_mask("after");
	dup2(out_fd, 1);
	execvp(self[0], self);
}

static void c_inherited_by_fork(void)
{
	int st;
	pid_t pid;

	block(SIG_BLOCK, SIGSEGV);
	set(SIGBUS, (void *)tell, SA_SIGINFO, 0);
	pid = fork();
	if (!pid) {
		out_mask("child");
		raise(SIGBUS);
		raise(SIGSEGV);
		out("child pending\n");
		block(SIG_UNBLOCK, SIGSEGV);
		_exit(1);
	}
	waitpid(pid, &st, 0);
	out("child %d\n", WTERMSIG(st));
	out_mask("parent");
}

static void c_vfork_child_has_its_own(void)
{
	struct sigaction old;
	int st;
	pid_t pid;

	set(SIGSEGV, (void *)tell_and_jump, SA_SIGINFO, 1);
	set(SIGUSR1, (void *)tell, SA_SIGINFO, 1);
	block(SIG_BLOCK, SIGBUS);
	pid = vfork();
	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		signal(SIGUSR1, SIG_IGN);
		block(SIG_SETMASK, 0);
		block(SIG_UNBLOCK, SIGSEGV);
		raise(SIGSEGV);
		_exit(0);
	}
	waitpid(pid, &st, 0);
	out("child %d\n", WTERMSIG(st));
	sigaction(SIGSEGV, NULL, &old);
	out("ours %d\n", old.sa_sigaction == tell_and_jump);
	sigaction(SIGUSR1, NULL, &old);
	out("ours %d\n", old.sa_sigaction == tell);
	out_mask("parent");
	if (!sigsetjmp(env, 1))
		fault();
	raise(SIGUSR1);
}

/* As Go makes processes: clone() at a place whose number only its caller knows, everything blocked. */
static volatile long number = SYS_clone;

static __attribute__((noinline)) long vfork_by_number(void)
{
	register long r10 __asm__("r10") = 0, r8 __asm__("r8") = 0;
	long r;

	__asm__ volatile("syscall" : "=a"(r) : "a"(number), "D"(CLONE_VM | CLONE_VFORK | SIGCHLD), "S"(0l), "d"(0l), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	if (!r) {
		for (int i = 0; i < 5; i++)
			(void)getppid();
		signal(SIGSEGV, SIG_DFL);
		block(SIG_UNBLOCK, SIGSEGV);
		_exit(3);
	}
	return r;
}

static void c_vfork_by_number(void)
{
	int st;

	set(SIGSEGV, (void *)tell_and_jump, SA_SIGINFO, 1);
	for (int i = 0; i < 3; i++) {
		block(SIG_SETMASK, 0);
		waitpid((pid_t)vfork_by_number(), &st, 0);
		out("child %d\n", WEXITSTATUS(st));
		out_mask("parent");
		block(SIG_UNBLOCK, SIGSEGV);
		if (!sigsetjmp(env, 1))
			fault();
	}
}

/* ---- actions ---- */

static void c_actions(void)
{
	static const int flags[] = { 0, SA_SIGINFO, SA_ONSTACK | SA_RESTART, SA_NODEFER | SA_RESETHAND, SA_NOCLDSTOP, SA_NOCLDWAIT,
				     0x100000, 0x800 };
	const int sigs[] = { SIGSEGV, SIGBUS, SIGUSR1, SIGCHLD, SIGRTMIN, SIGSYS };

	for (unsigned i = 0; i < sizeof(sigs) / sizeof(*sigs); i++)
		for (unsigned j = 0; j < sizeof(flags) / sizeof(*flags); j++) {
			struct sigaction a = { .sa_flags = flags[j] }, b;

			a.sa_sigaction = tell;
			sigaddset(&a.sa_mask, SIGSEGV);
			sigaddset(&a.sa_mask, SIGKILL);
			sigaddset(&a.sa_mask, (int)j + 1);
			sigaction(sigs[i], &a, NULL);
			memset(&b, 0, sizeof(b));
			sigaction(sigs[i], NULL, &b);
			out("%d: %x %d %d%d%d\n", sigs[i], (unsigned)b.sa_flags, b.sa_sigaction == tell,
			    sigismember(&b.sa_mask, SIGSEGV), sigismember(&b.sa_mask, SIGKILL), sigismember(&b.sa_mask, (int)j + 1));
			out("%d%d", signal(sigs[i], SIG_IGN) == (void *)tell, signal(sigs[i], SIG_DFL) == SIG_IGN);
			out("%d\n", signal(sigs[i], SIG_DFL) == SIG_DFL);
		}
}

static long raw_action(long sig, const void *a, void *old, long size)
{
	return syscall(SYS_rt_sigaction, sig, a, old, size) ? errno : 0;
}

static void c_action_errors(void)
{
	unsigned long k[4] = { 1, 0, 0, 0 }, old[4];
	static const int sigs[] = { 0, 65, -1, SIGKILL, SIGSTOP, SIGSEGV, SIGUSR1 };

	for (unsigned i = 0; i < sizeof(sigs) / sizeof(*sigs); i++)
		out("%d: set %ld ask %ld bad set %ld bad old %ld size %ld\n", sigs[i], raw_action(sigs[i], k, NULL, 8),
		    raw_action(sigs[i], NULL, old, 8), raw_action(sigs[i], (void *)16, NULL, 8),
		    raw_action(sigs[i], NULL, (void *)16, 8), raw_action(sigs[i], k, NULL, 16));
	out("both bad: %ld\n", raw_action(SIGSEGV, k, (void *)16, 8));
}

/* ---- alternate stacks ---- */

static void inner(int sig)
{
	char *here = __builtin_frame_address(0);

	for (int i = 0; i < 50; i++)
		(void)getppid();
	out("inner on alt %d\n", here > alt_mem && here < alt_mem + sizeof(alt_mem));
}

static void outer(int sig)
{
	volatile unsigned char frame[2000];
	char *here = __builtin_frame_address(0);
	stack_t ss = { .ss_sp = alt_mem, .ss_size = sizeof(alt_mem) };
	int wrong = 0;

	for (unsigned i = 0; i < sizeof(frame); i++)
		frame[i] = (unsigned char)i;
	for (int i = 0; i < 50; i++)
		(void)getppid();
	out("outer on alt %d; change it: %d\n", here > alt_mem && here < alt_mem + sizeof(alt_mem),
	    sigaltstack(&ss, NULL) == -1 && errno == EPERM);
	raise(SIGUSR2);
	out_mask("outer");
	block(SIG_BLOCK, SIGUSR2);
	raise(SIGUSR2);
	out("blocked in outer\n");
	block(SIG_UNBLOCK, SIGUSR2);
	for (int i = 0; i < 50; i++)
		(void)getppid();
	for (unsigned i = 0; i < sizeof(frame); i++)
		wrong += frame[i] != (unsigned char)i;
	out("wrong %d\n", wrong);
}

static void c_altstack_nested(void)
{
	use_alt();
	set(SIGUSR1, (void *)outer, SA_ONSTACK, 0);
	set(SIGUSR2, (void *)inner, SA_ONSTACK, 0);
	set(SIGSEGV, (void *)tell, SA_ONSTACK | SA_SIGINFO, 0);	/* so that faults of hooks would land there, too */
	raise(SIGUSR1);
	out_mask("after");
}

static void *storm(void *arg)
{
	for (int i = 0; i < 400; i++)
		pthread_kill(*(pthread_t *)arg, SIGUSR2);
	return NULL;
}

static volatile int frames_wrong;

static void quiet(int sig)
{
	hits++;
	(void)getppid();
}

static void busy_outer(int sig)
{
	volatile unsigned frame[500];
	pthread_t t, self = pthread_self();

	for (unsigned i = 0; i < 500; i++)
		frame[i] = i;
	pthread_create(&t, NULL, storm, &self);
	for (int i = 0; i < 3000; i++)
		(void)getppid();
	pthread_join(t, NULL);
	for (unsigned i = 0; i < 500; i++)
		frames_wrong += frame[i] != i;
}

static void c_altstack_storm(void)
{
	use_alt();
	set(SIGUSR1, (void *)busy_outer, SA_ONSTACK, 0);
	set(SIGUSR2, (void *)quiet, SA_ONSTACK, 0);
	raise(SIGUSR1);
	out("hit %d wrong %d\n", hits > 0, frames_wrong);
}

/* ---- handlers and hooks ---- */

static void *storm_usr1(void *arg)
{
	for (int i = 0; i < 4000; i++)
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}

static void c_handlers_run_on_their_own_stack(void)
{
	pthread_t t, self = pthread_self();
	volatile int stop = 0;

	set(SIGUSR1, (void *)count, SA_RESTART, 0);
	pthread_create(&t, NULL, storm_usr1, &self);
	while (!stop) {
		for (int i = 0; i < 100; i++)
			(void)getppid();
		stop = pthread_tryjoin_np(t, NULL) == 0;
	}
	out("hit %d elsewhere %d\n", hits > 0, bad);
}

static volatile int next_value, disorder;

static void in_order(int sig, siginfo_t *si, void *ctx)
{
	if (si->si_code != SI_QUEUE || si->si_pid != getpid())
		disorder++;
	hits++;
	next_value += si->si_value.sival_int;
}

static void *queue(void *arg)
{
	block(SIG_SETMASK, 0);
	for (int i = 0; i < 2000; i++)
		while (sigqueue(getpid(), SIGRTMIN + 3, (union sigval){ .sival_int = i }))
			usleep(100);
	return NULL;
}

static void c_queued_signals_all_come(void)
{
	pthread_t t;

	set(SIGRTMIN + 3, (void *)in_order, SA_SIGINFO, 0);
	pthread_create(&t, NULL, queue, NULL);
	while (pthread_tryjoin_np(t, NULL))
		for (int i = 0; i < 100; i++)
			(void)getppid();
	for (int i = 0; i < 100 && hits < 2000; i++)
		usleep(1000);
	out("all %d sum %d wrong %d\n", hits, next_value, disorder);
}

static void c_queued_while_blocked(void)
{
	block(SIG_BLOCK, SIGRTMIN);
	set(SIGRTMIN, (void *)tell, SA_SIGINFO, 0);
	for (int i = 0; i < 4; i++)
		sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = i });
	block(SIG_UNBLOCK, SIGRTMIN);
	out("hits %d\n", hits);
}

/* ---- calls that wait ---- */

static void arm(int us)
{
	struct itimerval it = { .it_value = { 0, us } };

	setitimer(ITIMER_REAL, &it, NULL);
}

static void c_interrupted(void)
{
	struct timespec t = { 5, 0 }, left = { 0 };
	int p[2];
	char c;

	(void)!pipe(p);
	set(SIGALRM, (void *)count, 0, 1);
	arm(3000);
	out("read %d\n", read(p[0], &c, 1) == -1 && errno == EINTR);
	arm(3000);
	out("nanosleep %d", nanosleep(&t, &left) == -1 && errno == EINTR);
	out(" left %d\n", left.tv_sec == 4);
	arm(3000);
	out("poll %d\n", poll(NULL, 0, 5000) == -1 && errno == EINTR);
	arm(3000);
	out("pause %d\n", pause() == -1 && errno == EINTR);
	out("hits %d elsewhere %d\n", hits, bad);
}

static int wake_fd;

static void wake(int sig)
{
	hits++;
	(void)!write(wake_fd, "x", 1);
}

static void c_restarted(void)
{
	int p[2], n;
	char c = 0;

	(void)!pipe(p);
	wake_fd = p[1];
	set(SIGALRM, (void *)wake, SA_RESTART, 1);
	arm(3000);
	n = (int)read(p[0], &c, 1);
	out("read %d %c hits %d\n", n, c, hits);
}

static void sender(int sig)
{
	pid_t pid = getpid();

	if (!fork()) {
		usleep(3000);
		kill(pid, sig);
		_exit(0);
	}
}

static void c_masks_of_waiting_calls(void)
{
	static const int sigs[] = { SIGUSR1, SIGSEGV };
	struct timespec ts = { 3, 0 };
	struct epoll_event ev;
	int ep = epoll_create1(0);
	sigset_t none;

	sigemptyset(&none);
	block(SIG_SETMASK, 0);
	block(SIG_UNBLOCK, SIGCHLD);
	for (int i = 0; i < 2; i++) {
		set(sigs[i], (void *)tell, SA_SIGINFO, i);
		sender(sigs[i]);
		out("sigsuspend %d\n", sigsuspend(&none) == -1 && errno == EINTR);
		out_mask("after");
		sender(sigs[i]);
		out("ppoll %d\n", ppoll(NULL, 0, &ts, &none) == -1 && errno == EINTR);
		sender(sigs[i]);
		out("pselect %d\n", pselect(0, NULL, NULL, NULL, &ts, &none) == -1 && errno == EINTR);
		sender(sigs[i]);
		out("epoll_pwait %d\n", epoll_pwait(ep, &ev, 1, 3000, &none) == -1 && errno == EINTR);
		out_mask("after");
	}
	while (wait(NULL) > 0)
		;
}

static void c_blocking_mask_of_waiting_calls(void)
{
	struct timespec ts = { 3, 0 };
	sigset_t m;

	sigfillset(&m);
	sigdelset(&m, SIGUSR1);
	set(SIGUSR1, (void *)tell, SA_SIGINFO, 0);
	sender(SIGUSR1);
	out("sigsuspend %d\n", sigsuspend(&m) == -1 && errno == EINTR);
	out_mask("after");
	sender(SIGUSR1);
	out("ppoll %d\n", ppoll(NULL, 0, &ts, &m) == -1 && errno == EINTR);
	out_mask("after");
	while (wait(NULL) > 0)
		;
}

/* ---- threads ---- */

static int pipes[2];

static void cleanup(void *arg) { out("cleanup\n"); }

static void *reader(void *arg)
{
	char c;

	pthread_cleanup_push(cleanup, NULL);
	(void)!read(pipes[0], &c, 1);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *spinner(void *arg)
{
	pthread_cleanup_push(cleanup, NULL);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	for (;;)
		(void)getppid();
	pthread_cleanup_pop(0);
	return NULL;
}

static void c_cancel(void)
{
	pthread_t t;
	void *r;

	(void)!pipe(pipes);
	for (int i = 0; i < 6; i++) {
		pthread_create(&t, NULL, i & 1 ? spinner : reader, NULL);
		usleep(3000);
		pthread_cancel(t);
		pthread_join(t, &r);
		out("cancelled %d\n", r == PTHREAD_CANCELED);
	}
}

static void c_setuid_in_all_threads(void)	/* SIGSETXID */
{
	pthread_t t;

	(void)!pipe(pipes);
	pthread_create(&t, NULL, reader, NULL);
	usleep(3000);
	out("setgid %d\n", setgid(getgid()));
	(void)!write(pipes[1], "x", 1);
	pthread_join(t, NULL);
	out("done\n");
}

/* ---- others ---- */

static void trap_handler(int sig, siginfo_t *si, void *ctx)
{
	ucontext_t *uc = ctx;

	out("signal %d code %d\n", sig, si->si_code);
	if (sig == SIGILL)
		uc->uc_mcontext.gregs[REG_RIP] += 2;
	if (sig == SIGSYS)
		uc->uc_mcontext.gregs[REG_RAX] = 1234;
}

static void c_traps(void)
{
	set(SIGTRAP, (void *)trap_handler, SA_SIGINFO, 0);
	set(SIGILL, (void *)trap_handler, SA_SIGINFO, 1);
	__asm__ volatile("int3");
	__asm__ volatile("ud2");
	(void)getppid();
	__asm__ volatile("int3");
	signal(SIGTRAP, SIG_DFL);
	__asm__ volatile("int3");
}

static void filter_getpriority(void)
{
	static struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { 4, f };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	out("filter %d\n", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p));
}

static void c_seccomp_trap(void)
{
	filter_getpriority();
	set(SIGSYS, (void *)trap_handler, SA_SIGINFO, 0);
	out("result %ld\n", syscall(SYS_getpriority, 0, 0));
	set(SIGSEGV, (void *)tell_and_jump, SA_SIGINFO, 0);
	if (!sigsetjmp(env, 1))
		fault();
	block(SIG_SETMASK, 0);
	(void)getppid();
	syscall(SYS_getpriority, 0, 0);
}

static struct { const char *name; void (*fn)(void); } cases[] = {
#define C(n) { #n, c_##n }
	C(fault_default), C(fault_ignored), C(fault_blocked), C(fault_all_blocked), C(fault_jump), C(fault_nodefer),
	C(fault_resethand), C(fault_twice), C(fault_mended), C(bus), C(stack_overflow), C(stack_overflow_default),
	C(sent_default), C(sent_bus), C(abort), C(sent_ignored), C(sent_handled), C(sent_blocked), C(sent_blocked_waited),
	C(sigwait_thread), C(masks), C(mask_errors), C(mask_in_frame), C(mask_in_handlers), C(mask_of_threads),
	C(inherited_by_spawn), C(inherited_by_exec), C(inherited_by_fork), C(vfork_child_has_its_own), C(vfork_by_number), C(actions),
	C(action_errors), C(altstack_nested), C(altstack_storm), C(handlers_run_on_their_own_stack),
	C(queued_signals_all_come), C(queued_while_blocked), C(interrupted), C(restarted), C(masks_of_waiting_calls),
	C(blocking_mask_of_waiting_calls), C(cancel), C(setuid_in_all_threads), C(traps), C(seccomp_trap),
};

static void find_stack(void)
{
	pthread_attr_t a;
	size_t size;
	void *low;

	pthread_getattr_np(pthread_self(), &a);
	pthread_attr_getstack(&a, &low, &size);
	stack_low = low;
	stack_high = stack_low + size;
}

static void run(const char *name, void (*fn)(void))
{
	int p[2], st;
	char buf[4096];
	ssize_t n;
	pid_t pid;

	(void)!pipe(p);
	printf("== %s\n", name);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(p[0]);
		out_fd = p[1];
		alarm(20);
		fn();
		_exit(0);
	}
	close(p[1]);
	while ((n = read(p[0], buf, sizeof(buf))) > 0)
		fwrite(buf, 1, (size_t)n, stdout);
	close(p[0]);
	waitpid(pid, &st, 0);
	if (WIFSIGNALED(st))
		printf("-- signal %d core %d\n", WTERMSIG(st), !!WCOREDUMP(st));
	else
		printf("-- exit %d\n", WEXITSTATUS(st));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	find_stack();
	if (argc > 1 && !strcmp(argv[1], "--report"))
		return report();
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bool wanted = argc == 1;

		for (int j = 1; j < argc; j++)
			wanted |= !strcmp(argv[j], cases[i].name);
		if (wanted)
			run(cases[i].name, cases[i].fn);
	}
	return 0;
}
