/* SPDX-License-Identifier: Apache-2.0 */
/* busy.c [SECONDS] - system calls in threads, fork and vfork children, signal handlers; checks each result. Prints "fine" at the
 * end (after SECONDS, or at SIGTERM), or what was wrong. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile int stop, over;
static volatile long handled;
static pid_t me;

static void bad(const char *what)
{
	printf("bad: %s\n", what);
	fflush(stdout);
	_exit(1);
}

static void on_alarm(int sig)
{
	int saved = errno;

	if (getppid() <= 0 || close(-1) != -1 || errno != EBADF)
		bad("in a handler");
	handled++;
	errno = saved;
}

static void on_term(int sig)
{
	(void)sig;
	over = 1;
}

static void *calls(void *arg)
{
	char buf[16];
	int p[2];

	if (pipe(p))
		bad("pipe");
	while (!stop) {
		if (getpgid(0) < 0 || (pid_t)syscall(SYS_getpid) != me || close(-1) != -1 || errno != EBADF)
			bad("call");
		if (write(p[1], "0123456789", 10) != 10 || read(p[0], buf, 10) != 10 || memcmp(buf, "0123456789", 10))
			bad("pipe's bytes");
	}
	close(p[0]);
	close(p[1]);
	return arg;
}

int main(int argc, char **argv)
{
	struct itimerval tick = { { 0, 3000 }, { 0, 3000 } };
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 60);
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	pthread_t t[3];
	int st;

	me = getpid();
	sigaction(SIGALRM, &sa, NULL);
	signal(SIGTERM, on_term);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, calls, NULL);
	setitimer(ITIMER_REAL, &tick, NULL);
	while (time(NULL) < end && !over) {
		pid_t pid = fork();

		if (!pid) {
			if (getppid() != me || getpgid(0) < 0)
				_exit(1);
			_exit(7);
		}
		if (pid < 0 || waitpid(pid, &st, 0) != pid || st != 7 << 8)
			bad("fork child");
		pid = vfork();
		if (!pid) {
			execl("/bin/true", "true", NULL);
			_exit(1);
		}
		if (pid < 0 || waitpid(pid, &st, 0) != pid || st)
			bad("vfork child");
		if (getpid() != me)
			bad("pid after vfork");
		usleep(500);
	}
	stop = 1;
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	if (!handled)
		bad("no signal came");
	puts("fine");
	return 0;
}
