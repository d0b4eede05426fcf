/* SPDX-License-Identifier: Apache-2.0 */
/* agents_test.c - the board: acknowledgements from several processes, dead and silent ones, executions handed over,
 * notices in order, lost and unfinished ones, processes killed anywhere, garbage, truncation. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/agents.h"
#include "base/domain.h"
#include "t.h"

#define SCOPE_A	0xaaaa000000000001ull
#define SCOPE_B	0xbbbb000000000002ull
#define EXECS	(SKEP_PAGE + 8192 * 32)	/* where the table of executions lies, and its size in words */
#define EXEC_U64S (1024 * 2)

static char path[256];

static struct obj_dir *dir(const char *name)
{
	struct obj_dir *d = NULL;

	snprintf(path, sizeof(path), "%s/%s", t_tmpdir(), name);
	EQ(obj_dir_open(path, &d), 0);
	if (d)
		EQ(agents_open(d), 0);
	return d;
}

static u64 now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

static u32 *shared(void)
{
	static u32 *p;

	if (!p)
		p = mmap(NULL, SKEP_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(p, 0, SKEP_PAGE);
	return p;
}

/* A child that joins and then acknowledges each epoch (or never does). Ready when *flag counts up. */
static pid_t agent(struct obj_dir *d, u64 scope, bool acks, u32 *flag)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (agents_join(d, scope, getpid()))
		_exit(1);
	__atomic_fetch_add(flag, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		u32 e = agents_epoch(d);

		if (acks)
			agents_ack(d, e);
		agents_wait(d, e, 1000);
	}
}

static void wait_for(u32 *flag, u32 n)
{
	for (int i = 0; i < 10000 && READ_ONCE(*flag) < n; i++)
		usleep(1000);
	EQ(*flag, n);
}

static void reap(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int count(void *arg, s32 pid, u64 scope, u32 epoch)
{
	(void)pid, (void)scope, (void)epoch;
	++*(u32 *)arg;
	return 0;
}

static u32 living(struct obj_dir *d)
{
	u32 n = 0;

	agents_each(d, count, &n);
	return n;
}

TEST(a_bump_waits_for_all_agents_of_its_scope_and_for_no_others)
{
	struct obj_dir *d = dir("scopes");
	u32 *flag = shared();
	pid_t a, b, silent;

	NEED(d);
	EQ(agents_bump(d, 0, 5000), 0);			/* nobody there */
	a = agent(d, SCOPE_A, true, flag);
	b = agent(d, SCOPE_A, true, flag);
	silent = agent(d, SCOPE_B, false, flag);
	wait_for(flag, 3);
	EQ(living(d), 3);
	EQ(agents_bump(d, SCOPE_A, 60000), 0);
	EQ(agents_bump(d, SCOPE_B, 30), 1);
	EQ(agents_bump(d, 0, 30), 1);
	EQ(agents_bump(d, 0, 0), 0);			/* asked not to wait */
	reap(a);
	reap(b);
	reap(silent);
	obj_dir_close(d);
}

TEST(a_killed_agent_is_not_waited_for)
{
	struct obj_dir *d = dir("killed");
	u32 *flag = shared();
	pid_t silent, pid;
	u64 t;
	int st;

	NEED(d);
	silent = agent(d, SCOPE_A, false, flag);
	wait_for(flag, 1);
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit((int)agents_bump(d, SCOPE_A, 60000));
	usleep(20000);
	t = now_ms();
	reap(silent);
	EQ(waitpid(pid, &st, 0), pid);
	EQ(WEXITSTATUS(st), 0);
	CHECK(now_ms() - t < 30000);			/* not the whole minute */
	EQ(living(d), 0);
	obj_dir_close(d);
}

TEST(a_slot_of_a_dead_agent_used_again_by_somebody_else_has_no_row)
{
	struct obj_dir *d = dir("reuse");
	u32 *flag = shared(), *control, hint;
	char file[300];
	pid_t pid;
	int fd;

	NEED(d);
	snprintf(file, sizeof(file), "%s/control", path);
	fd = open(file, O_RDWR);
	control = mmap(NULL, SKEP_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	NEED(control != MAP_FAILED);
	hint = control[3] = 77;				/* the next slot that is given */
	pid = agent(d, SCOPE_A, false, flag);
	wait_for(flag, 1);
	EQ(control[3], 78);
	reap(pid);
	control[3] = hint;
	CHECK(domain_self(d->dom));
	EQ(*d->dom->base & 0xffff, 77);
	EQ(living(d), 0);
	munmap(control, SKEP_PAGE);
	obj_dir_close(d);
}

static void *bump_later(void *arg)
{
	usleep(20000);
	agents_bump(arg, 0, 0);
	return NULL;
}

TEST(a_wait_ends_at_the_next_bump_and_not_before)
{
	struct obj_dir *d = dir("wait");
	pthread_t t;
	u32 e;

	NEED(d);
	e = agents_epoch(d);
	agents_wait(d, e, 1);
	EQ(agents_epoch(d), e);
	pthread_create(&t, NULL, bump_later, d);
	while (agents_epoch(d) == e)
		agents_wait(d, e, 60000);
	EQ(agents_epoch(d), e + 1);
	agents_wait(d, e, 60000);			/* already passed: returns at once */
	pthread_join(t, NULL);
	obj_dir_close(d);
}

TEST(own_row_is_not_waited_for)
{
	struct obj_dir *d = dir("own");

	NEED(d);
	EQ(agents_join(d, SCOPE_A, getpid()), 0);
	EQ(living(d), 1);
	EQ(agents_bump(d, SCOPE_A, 60000), 0);
	obj_dir_close(d);
}

/* ---- executions ---- */

TEST(an_execution_is_taken_once_by_its_process)
{
	struct obj_dir *d = dir("exec");
	s32 nr = 0, helper = 0, me = getpid();

	NEED(d);
	EQ(agents_take_exec(d, me, &nr, &helper), -ENOENT);
	agents_set_exec(d, me, 59, 4194303);
	EQ(agents_take_exec(d, me + 1, &nr, &helper), -ENOENT);
	EQ(agents_take_exec(d, me, &nr, &helper), 0);
	EQ(nr, 59);
	EQ(helper, 4194303);
	EQ(agents_take_exec(d, me, &nr, &helper), -ENOENT);
	agents_set_exec(d, me, 322, 7);
	agents_set_exec(d, me, 59, 8);
	EQ(agents_take_exec(d, me, &nr, &helper), 0);
	EQ(nr, 59);
	EQ(helper, 8);
	obj_dir_close(d);
}

TEST(a_failed_execution_leaves_nothing)
{
	struct obj_dir *d = dir("failed");
	s32 nr, helper, me = getpid();

	NEED(d);
	agents_set_exec(d, me, 59, 1);
	agents_set_exec(d, me, 0, 0);
	EQ(agents_take_exec(d, me, &nr, &helper), -ENOENT);
	agents_set_exec(d, me, 0, 0);
	obj_dir_close(d);
}

static u8 *board(size_t *size)
{
	char file[300];
	int fd;
	u8 *p;

	snprintf(file, sizeof(file), "%s/agents", path);
	fd = open(file, O_RDWR);
	*size = (size_t)lseek(fd, 0, SEEK_END);
	p = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

TEST(an_entry_older_than_the_process_is_of_another_one)
{
	struct obj_dir *d = dir("older");
	s32 nr = 0, helper;
	size_t size;
	u64 *b;

	NEED(d);
	b = (u64 *)board(&size);
	NEED(b);
	agents_set_exec(d, getpid(), 59, 1);
	for (u32 i = 1; i < EXEC_U64S; i += 2)
		b[EXECS / 8 + i] = b[EXECS / 8 + i] ? 1 : 0;	/* a nanosecond after the machine's start */
	EQ(agents_take_exec(d, getpid(), &nr, &helper), -ENOENT);
	agents_set_exec(d, getpid(), 322, 1);
	EQ(agents_take_exec(d, getpid(), &nr, &helper), 0);
	EQ(nr, 322);
	munmap(b, size);
	obj_dir_close(d);
}

TEST(many_processes_execute_at_once)
{
	struct obj_dir *d = dir("many");
	u32 got = 0;

	NEED(d);
	fflush(stdout);
	for (int i = 0; i < 64; i++) {
		if (fork())
			continue;
		s32 nr = 0, helper = 0, ok = 1, me = getpid();

		for (int k = 0; k < 200 && ok; k++) {
			agents_set_exec(d, me, 59, k);
			ok = !agents_take_exec(d, me, &nr, &helper) && nr == 59 && helper == k;
		}
		_exit(ok);
	}
	for (int i = 0, st; i < 64; i++)
		if (wait(&st) > 0 && WIFEXITED(st) && WEXITSTATUS(st) == 1)
			got++;
	EQ(got, 64);
	obj_dir_close(d);
}

/* ---- notices ---- */

static void say(struct obj_dir *d, u64 scope, u64 n, const char *what)
{
	struct agents_msg m = { .kind = NOTICE_STATIC, .pid = (u32)getpid(), .scope = scope, .count = n };

	snprintf(m.path, sizeof(m.path), "%s", what);
	agents_notify(d, &m);
}

TEST(notices_come_in_order_to_their_scope)
{
	struct obj_dir *d = dir("notices");
	struct agents_msg m;
	u64 pos, lost = 0;

	NEED(d);
	pos = agents_notice_pos(d);
	EQ(agents_next_notice(d, 0, &pos, &m, &lost), -EAGAIN);
	for (u32 i = 0; i < 20; i++)
		say(d, i % 2 ? SCOPE_A : SCOPE_B, i, i % 2 ? "/a" : "/b");
	for (u32 i = 1; i < 20; i += 2) {
		EQ(agents_next_notice(d, SCOPE_A, &pos, &m, &lost), 0);
		EQ(m.count, i);
		STR_EQ(m.path, "/a");
		EQ(m.kind, NOTICE_STATIC);
		EQ(m.pid, getpid());
	}
	EQ(agents_next_notice(d, SCOPE_A, &pos, &m, &lost), -EAGAIN);
	EQ(lost, 0);
	obj_dir_close(d);
}

TEST(overwritten_notices_are_counted)
{
	struct obj_dir *d = dir("overwritten");
	struct agents_msg m;
	u64 pos = 0, lost = 0, got = 0;

	NEED(d);
	for (u32 i = 0; i < 1000; i++)
		say(d, SCOPE_A, i, "x");
	for (; !agents_next_notice(d, 0, &pos, &m, &lost); got++)
		EQ(m.count, lost + got);
	EQ(got + lost, 1000);
	CHECK(got >= 200);
	obj_dir_close(d);
}

TEST(notices_from_many_processes_all_arrive)
{
	struct obj_dir *d = dir("writers");
	struct agents_msg m;
	u64 pos, lost = 0, sum = 0, got = 0;

	NEED(d);
	pos = agents_notice_pos(d);
	fflush(stdout);
	for (u32 i = 0; i < 8; i++)
		if (!fork()) {
			for (u32 k = 0; k < 30; k++)
				say(d, SCOPE_A, i * 30 + k, "w");
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	for (; !agents_next_notice(d, SCOPE_A, &pos, &m, &lost); got++)
		sum += m.count;
	EQ(got, 240);
	EQ(lost, 0);
	EQ(sum, 239 * 240 / 2);
	obj_dir_close(d);
}

/* The counter moved, the cell was never filled: what a writer leaves that is killed between the two. */
TEST(a_killed_writers_notice_is_waited_for_and_then_lost)
{
	struct obj_dir *d = dir("unfinished");
	struct agents_msg m;
	u64 pos = 0, lost = 0;
	size_t size;
	u8 *b;

	NEED(d);
	b = board(&size);
	NEED(b);
	say(d, SCOPE_A, 1, "first");
	EQ(*(u64 *)(b + 16), 1);				/* the counter is where this test writes */
	*(u64 *)(b + 16) = 2;
	say(d, SCOPE_A, 3, "third");
	EQ(agents_next_notice(d, 0, &pos, &m, &lost), 0);
	EQ(agents_next_notice(d, 0, &pos, &m, &lost), -EAGAIN);	/* its writer may be about to */
	usleep(60000);
	EQ(agents_next_notice(d, 0, &pos, &m, &lost), 0);
	STR_EQ(m.path, "third");
	EQ(lost, 1);
	munmap(b, size);
	obj_dir_close(d);
}

/* ---- the bad days ---- */

TEST(processes_killed_anywhere_harm_nobody)
{
	struct obj_dir *d = dir("kills");
	u32 *flag = shared(), rounds = t_fast() ? 40 : 400;
	struct agents_msg m;
	u64 pos, lost = 0;
	s32 nr, helper;

	NEED(d);
	pos = agents_notice_pos(d);
	for (u32 i = 0; i < rounds; i++) {
		pid_t pid;

		fflush(stdout);
		*flag = 0;
		pid = fork();
		if (!pid) {
			agents_join(d, SCOPE_A, getpid());
			*flag = 1;
			for (u32 k = 1;; k++) {
				agents_ack(d, agents_epoch(d));
				agents_set_exec(d, (s32)k, k % 2 ? 59 : 0, 1);
				say(d, SCOPE_A, k, "killed");
				agents_bump(d, SCOPE_A, 0);
			}
		}
		wait_for(flag, 1);
		usleep(rand() % 2000);
		reap(pid);
		EQ(agents_bump(d, SCOPE_A, 60000), 0);
		agents_set_exec(d, getpid(), 59, 2);
		EQ(agents_take_exec(d, getpid(), &nr, &helper), 0);
		say(d, SCOPE_B, i, "alive");
		usleep(i ? 0 : 60000);
	}
	usleep(60000);
	say(d, SCOPE_B, 9999, "last");
	for (m.count = 0; m.count != 9999 && pos < agents_notice_pos(d); usleep(1000))
		agents_next_notice(d, SCOPE_B, &pos, &m, &lost);
	EQ(m.count, 9999);
	obj_dir_close(d);
}

TEST(garbage_in_the_file_neither_crashes_nor_hangs)
{
	struct obj_dir *d = dir("garbage");
	u32 rounds = t_fast() ? 20 : 200;
	struct agents_msg m;
	size_t size;
	u8 *b;

	NEED(d);
	b = board(&size);
	NEED(b);
	srand(7);
	for (u32 i = 0; i < rounds; i++) {
		u64 pos = i % 3 ? 0 : 0x1122334455667788ull, lost = 0, n = 0;
		s32 nr, helper;

		for (size_t k = 0; k < size; k += i % 2 ? 1 : 37)
			b[k] = i % 5 ? (u8)rand() : 0xff;
		agents_bump(d, 0, 2);
		agents_bump(d, SCOPE_A, 2);
		agents_wait(d, agents_epoch(d), 1);
		EQ(agents_join(d, SCOPE_A, getpid()), 0);
		agents_ack(d, agents_epoch(d));
		agents_set_exec(d, getpid(), 59, 2);
		agents_take_exec(d, getpid(), &nr, &helper);
		agents_take_exec(d, (s32)rand(), &nr, &helper);
		agents_set_exec(d, getpid(), 0, 0);
		say(d, SCOPE_A, 1, "in between");
		while (n < 1000 && !agents_next_notice(d, 0, &pos, &m, &lost)) {
			n++;
			CHECK(strlen(m.path) < sizeof(m.path));
		}
		CHECK(n < 1000);
		living(d);
	}
	munmap(b, size);
	obj_dir_close(d);
}

TEST(a_board_of_another_kind_is_refused)
{
	struct obj_dir *d = NULL;
	char file[300];
	int fd;

	snprintf(path, sizeof(path), "%s/foreign", t_tmpdir());
	EQ(obj_dir_open(path, &d), 0);
	NEED(d);
	snprintf(file, sizeof(file), "%s/agents", path);
	fd = open(file, O_CREAT | O_RDWR, 0600);
	EQ(write(fd, "not a board", 11), 11);
	close(fd);
	EQ(agents_open(d), -EUCLEAN);
	unlink(file);
	EQ(mkdir(file, 0700), 0);
	CHECK(agents_open(d) < 0);
	rmdir(file);
	EQ(agents_open(d), 0);
	obj_dir_close(d);
}

TEST(a_board_cut_short_answers_and_does_not_kill)
{
	struct obj_dir *d = dir("cut");
	struct agents_msg m;
	u64 pos = 0, lost = 0;
	s32 nr, helper;
	char file[300];

	NEED(d);
	snprintf(file, sizeof(file), "%s/agents", path);
	EQ(truncate(file, 0), 0);
	agents_bump(d, 0, 5);
	agents_join(d, SCOPE_A, getpid());
	agents_ack(d, 1);
	agents_set_exec(d, getpid(), 59, 1);
	agents_take_exec(d, getpid(), &nr, &helper);
	say(d, SCOPE_A, 1, "x");
	agents_next_notice(d, 0, &pos, &m, &lost);
	living(d);
	obj_dir_close(d);
}
