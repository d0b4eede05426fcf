/* SPDX-License-Identifier: Apache-2.0 */
/* task_test.c - identity and the task_struct that programs see: first threads, others, fork children, what goes away. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "prog/task.h"
#include "t.h"

static void check_self(const struct task_struct *t)
{
	NEED(t);
	EQ(t->pid, gettid());
	EQ(t->tgid, getpid());
	EQ(t->group_leader->pid, getpid());
	EQ(t->real_parent->tgid, getppid());
	EQ(t->parent->pid, getppid());
	EQ(t->cred->uid.val, getuid());
	EQ(t->real_cred->egid.val, getegid());
	EQ(t->real_parent->group_leader, t->real_parent);
}

static void read_file(const char *fmt, int pid, char *out, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), fmt, pid);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? 0 : read(fd, out, size - 1);
	out[n > 0 ? n : 0] = 0;
	out[strcspn(out, "\n")] = 0;
	close(fd);
}

TEST(first_thread)
{
	const struct task_struct *t = task_current();
	char comm[32];

	check_self(t);
	EQ(t, task_current());
	EQ(t->group_leader, t);
	prctl(PR_SET_NAME, "renamed");
	STR_EQ(task_current()->comm, "renamed");
	read_file("/proc/%d/comm", getppid(), comm, sizeof(comm));
	STR_EQ(t->real_parent->comm, comm);
}

TEST(start_times)
{
	const struct task_struct *t = task_current();
	struct timespec boot, mono;
	s64 now_boot, now_mono;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	now_boot = boot.tv_sec * 1000000000ll + boot.tv_nsec;
	now_mono = mono.tv_sec * 1000000000ll + mono.tv_nsec;
	CHECK(t->start_boottime && (s64)t->start_boottime <= now_boot);
	CHECK((s64)t->start_boottime > now_boot - 600 * 1000000000ll);
	/* the same distance from now on either clock, but for the time between the two questions */
	CHECK(llabs((now_boot - (s64)t->start_boottime) - (now_mono - (s64)t->start_time)) < 50000000);
	CHECK(t->real_parent->start_boottime <= t->start_boottime);
}

static const struct task_struct *first, *second;

static void *thread(void *arg)
{
	const struct task_struct **out = arg;

	prctl(PR_SET_NAME, "second");
	*out = task_current();
	check_self(*out);
	STR_EQ((*out)->comm, "second");
	STR_EQ((*out)->group_leader->comm, "leader");
	CHECK((*out)->group_leader != *out);
	CHECK((*out)->group_leader->real_parent == (*out)->real_parent);
	return NULL;
}

static void *idle(void *arg)
{
	task_current();
	return NULL;
}

TEST(other_threads)
{
	pthread_t t;

	prctl(PR_SET_NAME, "leader");
	task_learn("/proc", getpid());
	first = task_current();
	NEED(!pthread_create(&t, NULL, thread, &second));
	pthread_join(t, NULL);
	CHECK(first != second);
	check_self(first);
	for (int i = 0; i < 300; i++) {		/* more than a chunk of slots: those of threads that are gone are taken over */
		NEED(!pthread_create(&t, NULL, idle, NULL));
		pthread_join(t, NULL);
	}
}

/* Exit status of a child that runs FN. */
static int in_child(int (*fn)(void))
{
	int st = -1, pid = fork();

	if (!pid)
		_exit(fn());
	waitpid(pid, &st, 0);
	return WIFEXITED(st) ? WEXITSTATUS(st) : -1;
}

static int child(void)
{
	const struct task_struct *t = task_current();

	if (!t || t->pid != getpid() || t->tgid != getpid() || t->group_leader != t)
		return 1;
	if (t->real_parent->pid != getppid() || strcmp(t->real_parent->comm, "father"))
		return 2;
	return strcmp(t->comm, "father") ? 3 : 0;
}

static int drop_ids(void)
{
	const struct task_struct *t = task_current();

	if (t->cred->uid.val != 0)
		return 1;
	if (setresgid(1234, 1234, 1234) || setresuid(4321, 4322, 4323))
		return 2;
	task_current();
	if (t->cred->uid.val != 4321 || t->cred->euid.val != 4322 || t->cred->suid.val != 4323 || t->cred->gid.val != 1234)
		return 3;
	return task_uid_gid() != (1234ull << 32 | 4321) ? 4 : 0;
}

TEST(fork_child)
{
	prctl(PR_SET_NAME, "father");
	task_current();
	EQ(in_child(child), 0);
	if (t_is_root())
		EQ(in_child(drop_ids), 0);
}

/* As the agent keeps it: no system call, and what is dropped is asked for again. */
TEST(kept_identity)
{
	struct who *w = &tls()->who, was = *w;
	char buf[TASK_COMM_LEN];

	*w = (struct who){ .keep = true, .task = was.task };
	EQ(task_pid(), getpid());
	EQ(task_tid(), gettid());
	EQ(task_uid_gid(), (u64)getgid() << 32 | getuid());
	prctl(PR_SET_NAME, "one");
	STR_EQ(task_comm(buf), "one");
	prctl(PR_SET_NAME, "two");
	STR_EQ(task_comm(buf), "one");
	w->comm_known = false;
	STR_EQ(task_comm(buf), "two");
	w->pid = 77;
	EQ(task_pid(), 77);
	w->exiting = true;
	w->exit_code = 3 << 8;
	w->pid = 0;
	EQ(task_current()->exit_code, 3 << 8);
	EQ(task_current()->flags, 4);
	*w = was;
	EQ(task_current()->flags, 0);
}
