/* SPDX-License-Identifier: Apache-2.0 */
/* count_me.c - N rounds of system calls of every kind that programs make, the same ones each time: what count.test.sh counts
 * by strace and by programs attached to all of them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void plain(void)
{
	struct timespec t = { 0, 1000 };
	char b[8];
	int fd = open("/dev/zero", O_RDONLY), p[2];
	struct iovec v = { b, sizeof(b) };

	(void)getppid();
	(void)syscall(SYS_gettid);
	(void)syscall(SYS_getuid);
	(void)syscall(100000);			/* no such call */
	(void)!read(fd, b, sizeof(b));
	(void)!pread(fd, b, sizeof(b), 0);
	(void)!readv(fd, &v, 1);
	(void)lseek(fd, 0, SEEK_SET);
	close(fd);
	close(-1);
	(void)!pipe2(p, O_CLOEXEC);
	(void)!write(p[1], b, 1);
	(void)!read(p[0], b, 1);
	close(p[0]);
	close(p[1]);
	nanosleep(&t, NULL);
	sched_yield();
	munmap(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
	(void)!access("/nonexistent", R_OK);
	(void)umask(umask(022));
}

static void sockets(void)
{
	struct epoll_event e = { .events = EPOLLIN };
	int s[2], ep = epoll_create1(0);
	char b[4];

	(void)!socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &e);
	(void)!send(s[1], "abc", 3, 0);
	epoll_wait(ep, &e, 1, 0);
	(void)!recv(s[0], b, sizeof(b), 0);
	close(s[0]);
	close(s[1]);
	close(ep);
}

static void children(void)
{
	char *none[] = { "none", NULL };
	pid_t k = fork();

	if (!k) {
		(void)getppid();
		_exit(0);
	}
	waitpid(k, NULL, 0);
	k = vfork();
	if (!k) {
		execv("/nonexistent", none);
		_exit(1);
	}
	waitpid(k, NULL, 0);
	posix_spawn(&k, "/nonexistent", NULL, NULL, none, none);
}

static void *thread(void *arg)
{
	for (int i = 0; i < 5; i++)
		(void)getppid();
	return NULL;
}

static void handler(int sig)
{
	(void)getppid();
}

int main(int argc, char **argv)
{
	int n = atoi(argv[1]);
	pthread_t t;

	signal(SIGUSR1, handler);
	for (int i = 0; i < n; i++) {
		plain();
		sockets();
		children();
		raise(SIGUSR1);
		pthread_create(&t, NULL, thread, NULL);
		pthread_join(t, NULL);
	}
	return 0;
}
