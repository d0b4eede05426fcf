/* SPDX-License-Identifier: Apache-2.0 */
/* who.c - a process in many states: at each it writes down (fd 3) who it is, in the words of who.bpf.c, and makes the call
 * that is watched. */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void mark(int n)
{
	int pid = (int)syscall(SYS_getpid), tid = (int)syscall(SYS_gettid), ppid = (int)syscall(SYS_getppid);
	char comm[16] = "", line[256];
	int len;

	prctl(PR_GET_NAME, comm);
	len = snprintf(line, sizeof(line), "%d helpers %d %d %d %d %s.\n%d task %d %d %d %d %d %s.\n%d btf %d %d %d\n", n, pid, tid,
		       getuid(), getgid(), comm, n, pid, tid, getuid(), geteuid(), ppid, comm, n, pid, pid, ppid);
	if (write(3, line, (size_t)len) != len)
		_exit(99);
	syscall(SYS_getpgid, -1000 - n);
}

static void *thread(void *arg)
{
	mark(2);
	prctl(PR_SET_NAME, "other");
	mark(3);
	return NULL;
}

static void wait_for(int pid)
{
	if (pid < 0 || waitpid(pid, NULL, __WALL) != pid)
		exit(98);
}

static int cloned(void *arg)
{
	mark((int)(long)arg);
	_exit(0);
}

static void children(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	int pid = fork();

	if (!pid) {
		mark(10);
		pid = fork();
		if (!pid) {
			mark(11);
			_exit(0);
		}
		wait_for(pid);
		mark(12);
		_exit(0);
	}
	wait_for(pid);
	pid = vfork();
	if (!pid) {
		mark(20);
		_exit(0);
	}
	wait_for(pid);
	mark(21);
	wait_for(clone(cloned, stack + sizeof(stack), SIGCHLD, (void *)30));
	wait_for(clone(cloned, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)31));
	mark(32);
}

static void credentials(void)
{
	int pid = fork();

	if (!pid) {
		if (setresgid(1002, 1002, 1002) || setresuid(1001, 1003, 1001))
			_exit(0);
		mark(40);
		if (seteuid(1001))
			_exit(97);
		mark(41);
		_exit(0);
	}
	wait_for(pid);
	mark(42);
}

/* Its own filter kills for nearly everything. What it expects is written before. */
static int filtered(void)
{
#define ALLOW(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)), ALLOW(SYS_getpgid), ALLOW(SYS_exit_group),
		ALLOW(SYS_exit), ALLOW(SYS_rt_sigreturn), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(*code), code };

	mark(60);
	dprintf(3, "61 btf %d %d %d\n61 helpers %d %d %d %d %s.\n61 task %d %d %d %d %d %s.\n", getpid(), getpid(), getppid(), getpid(),
		getpid(), getuid(), getgid(), "who", getpid(), getpid(), getuid(), geteuid(), getppid(), "who");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		return 95;
	syscall(SYS_getpgid, -1061);
	syscall(SYS_exit_group, 0);
	return 94;
}

int main(int argc, char **argv)
{
	pthread_t t;

	if (argc > 1 && !strcmp(argv[1], "filtered"))
		return filtered();
	if (argc > 1) {			/* the image that it executes */
		mark(50);
		return 0;
	}
	mark(0);
	prctl(PR_SET_NAME, "renamed");
	mark(1);
	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, NULL);
	mark(4);
	children();
	credentials();
	execl("/proc/self/exe", "who", "again", NULL);
	return 96;
}
