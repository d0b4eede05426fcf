/* SPDX-License-Identifier: Apache-2.0 */
/* fault_test.c - bad pointers with signals open and blocked, other people's handlers, files cut short. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "t.h"

#define PAGE 4096
static char *two;		/* a page that is there, and one that is not */

static void setup(void)
{
	if (!two) {
		two = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		munmap(two + PAGE, PAGE);
		memset(two, 1, PAGE);
	}
	fault_init();
}

struct bad {
	const char *name;
	void *(*addr)(void);
};

static void *null(void) { return NULL; }
static void *small(void) { return (void *)8; }
static void *noncanonical(void) { return (void *)0xdead000000000000ul; }
static void *kernel(void) { return (void *)0xffffffff81000000ul; }
static void *unmapped(void) { return two + PAGE; }
static void *crossing(void) { return two + PAGE - 5; }

static const struct bad bad[] = {
	{ "NULL", null }, { "a small number", small }, { "a non-canonical address", noncanonical },
	{ "a kernel address", kernel }, { "an unmapped page", unmapped },
	{ "eight bytes that cross into an unmapped page", crossing },
};

static void copies(const char *how)
{
	char buf[1024], out[1024];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		void *p = bad[i].addr();

		t_row("%s: from %s", how, bad[i].name);
		EQ(fault_copy_from(buf, p, 8), -EFAULT);
		EQ(fault_copy_from(buf, p, sizeof(buf)), -EFAULT);
		EQ(fault_copy_str(buf, p, sizeof(buf)), -EFAULT);
		t_row("%s: to %s", how, bad[i].name);
		EQ(fault_copy_to(p, buf, 8), -EFAULT);
		EQ(fault_copy_to(p, buf, sizeof(buf)), -EFAULT);
	}
	t_row("%s: good addresses of any length", how);
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = i * 7;
	for (size_t n = 0; n <= sizeof(buf); n += n < 40 ? 1 : 61) {
		memset(out, 0, sizeof(out));
		EQ(fault_copy_from(out, buf, n), 0);
		CHECK(!memcmp(out, buf, n) && (n == sizeof(out) || !out[n]));
		memset(out, 0, sizeof(out));
		EQ(fault_copy_to(out, buf, n), 0);
		CHECK(!memcmp(out, buf, n) && (n == sizeof(out) || !out[n]));
	}
}

TEST(bad_pointers)
{
	u8 s;

	setup();
	copies("open signals");
	s = fault_enter();
	copies("in a scope");
	fault_exit(s);
}

static void *all_blocked(void *how)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	copies(how);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return NULL;
}

TEST(bad_pointers_with_every_signal_blocked)
{
	u8 s;

	setup();
	all_blocked("all blocked");
	s = fault_enter();
	all_blocked("all blocked in a scope");
	fault_exit(s);
}

static void from_handler(int sig)
{
	(void)sig;
	u8 s = fault_enter();

	copies("in a handler that blocks all");
	fault_exit(s);
}

TEST(bad_pointers_in_a_signal_handler)
{
	struct sigaction sa = { .sa_handler = from_handler };

	setup();
	sigfillset(&sa.sa_mask);
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
}

TEST(bad_pointers_on_an_alternate_stack)
{
	stack_t alt = { .ss_sp = malloc(65536), .ss_size = 65536 }, none = { .ss_flags = SS_DISABLE };

	setup();
	sigaltstack(&alt, NULL);
	copies("alternate stack");
	sigaltstack(&none, NULL);
	free(alt.ss_sp);
}

TEST(strings)
{
	char buf[16];

	setup();
	EQ(fault_copy_str(buf, "hello", sizeof(buf)), 5);
	STR_EQ(buf, "hello");
	EQ(fault_copy_str(buf, "hello", 6), 5);
	EQ(fault_copy_str(buf, "hello", 5), -E2BIG);
	EQ(fault_copy_str(buf, "", 1), 0);
	EQ(fault_copy_str(buf, "x", 0), -E2BIG);
	strcpy(two + PAGE - 4, "end");
	EQ(fault_copy_str(buf, two + PAGE - 4, sizeof(buf)), 3);
	STR_EQ(buf, "end");
	memcpy(two + PAGE - 4, "endx", 4);
	EQ(fault_copy_str(buf, two + PAGE - 4, sizeof(buf)), -EFAULT);
	EQ(fault_copy_str(buf, two + PAGE - 4, 4), -E2BIG);
}

/* ---- other people's handlers ---- */

static sigjmp_buf back;
static volatile int theirs;

static void their_handler(int sig, siginfo_t *si, void *uc)
{
	(void)si, (void)uc;
	theirs = sig;
	siglongjmp(back, 1);
}

/* In a child: handlers are the process's. Exit status of fn. */
static int in_child(int (*fn)(void))
{
	struct rlimit none = { 0, 0 };
	int st;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		setrlimit(RLIMIT_CORE, &none);
		_exit(fn());
	}
	waitpid(pid, &st, 0);
	return WIFSIGNALED(st) ? 1000 + WTERMSIG(st) : WEXITSTATUS(st);
}

static void install_theirs(void)
{
	struct sigaction sa = { .sa_sigaction = their_handler, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

static int fresh_then_fault(void)
{
	char b[8];

	if (fault_copy_from(b, two + PAGE, 8) != -EFAULT)
		return 1;
	if (sigsetjmp(back, 1))
		return theirs == SIGSEGV ? 0 : 2;
	*(volatile char *)(two + PAGE) = 1;
	return 3;
}

static int theirs_before(void)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };

	sigaction(SIGSEGV, &dfl, NULL);
	sigaction(SIGBUS, &dfl, NULL);
	install_theirs();
	fault_init();
	return fresh_then_fault();
}

static int theirs_after(void)
{
	fault_init();
	install_theirs();
	return fresh_then_fault();
}

static int theirs_after_and_init_again(void)
{
	fault_init();
	install_theirs();
	fault_init();
	return fresh_then_fault();
}

static int nobodys(void)
{
	signal(SIGSEGV, SIG_DFL);
	fault_init();
	*(volatile char *)(two + PAGE) = 1;
	return 0;
}

static int sent_by_kill(void)
{
	signal(SIGSEGV, SIG_DFL);
	fault_init();
	raise(SIGSEGV);
	return 0;
}

static int ignored_and_sent(void)
{
	signal(SIGSEGV, SIG_IGN);
	fault_init();
	raise(SIGSEGV);
	return 0;
}

static void *their_old;

static void chains_back(int sig, siginfo_t *si, void *uc)
{
	struct sigaction *old = their_old;

	old->sa_sigaction(sig, si, uc);
}

/* They put their handler over ours and call ours; we put ours over theirs: no endless circle. */
static int circle(void)
{
	struct sigaction sa = { .sa_sigaction = chains_back, .sa_flags = SA_SIGINFO }, old;

	signal(SIGSEGV, SIG_DFL);
	fault_init();
	their_old = &old;
	sigaction(SIGSEGV, &sa, &old);
	fault_init();
	*(volatile char *)(two + PAGE) = 1;
	return 0;
}

TEST(handlers_of_the_application)
{
	static const struct {
		const char *name;
		int (*fn)(void);
		int want;
	} rows[] = {
		{ "installed before ours get faults that are not ours", theirs_before, 0 },
		{ "installed after ours do not see ours", theirs_after, 0 },
		{ "installed after ours, then ours again", theirs_after_and_init_again, 0 },
		{ "none: a real fault still kills by SIGSEGV", nobodys, 1000 + SIGSEGV },
		{ "none: SIGSEGV sent by kill still kills", sent_by_kill, 1000 + SIGSEGV },
		{ "SIG_IGN: SIGSEGV sent by kill is still ignored", ignored_and_sent, 0 },
		{ "that call ours, called by ours: ends", circle, 1000 + SIGSEGV },
	};

	setup();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		t_row("handlers %s", rows[i].name);
		EQ(in_child(rows[i].fn), rows[i].want);
	}
}

/* ---- files cut short ---- */

static int cut_file(size_t size)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/cut", t_tmpdir());
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (ftruncate(fd, size))
		abort();
	return fd;
}

TEST(a_watched_file_cut_short_reads_zero_and_is_marked)
{
	u32 damaged = 0;
	int fd = cut_file(4 * PAGE);
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char b[8] = "xxxxxxx";

	setup();
	memset(p, 1, 4 * PAGE);
	EQ(fault_watch(p, 4 * PAGE, &damaged), 0);
	EQ(ftruncate(fd, PAGE), 0);
	EQ(p[0], 1);
	EQ(READ_ONCE(damaged), 0);
	EQ(*(volatile char *)(p + 2 * PAGE), 0);
	EQ(READ_ONCE(damaged), 1);
	p[3 * PAGE] = 7;
	EQ(p[3 * PAGE], 7);
	EQ(fault_copy_from(b, p + PAGE, 8), 0);
	EQ(b[0], 0);
	fault_unwatch(p);
	munmap(p, 4 * PAGE);
	close(fd);
}

static int unwatched_bus(void)
{
	u32 damaged = 0;
	int fd = cut_file(2 * PAGE);
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	signal(SIGBUS, SIG_DFL);
	fault_init();
	fault_watch(p, PAGE, &damaged);		/* the first page only */
	if (ftruncate(fd, 0))
		return 1;
	*(volatile char *)(p + PAGE) = 1;
	return 2;
}

TEST(a_file_that_is_not_watched_still_kills)
{
	setup();
	EQ(in_child(unwatched_bus), 1000 + SIGBUS);
}

static char *shared_page;
static void *reader(void *arg)
{
	u64 sum = 0;

	for (int i = 0; i < 20000; i++)
		sum += *(volatile char *)(shared_page + (i % 64) * PAGE);
	*(u64 *)arg = sum;
	return NULL;
}

TEST(threads_that_read_while_the_file_is_cut)
{
	u32 damaged = 0;
	u64 sum[4];
	pthread_t t[4];
	int fd = cut_file(64 * PAGE);

	setup();
	shared_page = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	EQ(fault_watch(shared_page, 64 * PAGE, &damaged), 0);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, reader, &sum[i]);
	EQ(ftruncate(fd, 0), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 64; i++)
		EQ(*(volatile char *)(shared_page + i * PAGE), 0);
	EQ(READ_ONCE(damaged), 1);
	fault_unwatch(shared_page);
	munmap(shared_page, 64 * PAGE);
	close(fd);
}

TEST(more_mappings_than_one_chunk)
{
	enum { N = 1000 };
	static u32 damaged[N];
	static char *p[N];
	int fd = cut_file(PAGE);

	setup();
	for (int i = 0; i < N; i++) {
		p[i] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		EQ(fault_watch(p[i], PAGE, &damaged[i]), 0);
	}
	EQ(ftruncate(fd, 0), 0);
	EQ(*(volatile char *)p[N - 1], 0);
	EQ(READ_ONCE(damaged[N - 1]), 1);
	EQ(READ_ONCE(damaged[0]), 0);
	for (int i = 0; i < N; i++) {
		fault_unwatch(p[i]);
		munmap(p[i], PAGE);
	}
	close(fd);
}
