/* SPDX-License-Identifier: Apache-2.0 */
/* proc.c CASE - ways to make, change and end processes. What it prints does not depend on pids: the same with and without
 * agent. Lines "pid N WHAT" (on stderr) say which process made a getpgid(N's own number) call, for who compares events. */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char *self;

/* A call that events can be told by, and a line that says whose it was. No stdio buffers: this runs in vfork children. */
static void mark(const char *what)
{
	char line[100];
	int n = snprintf(line, sizeof(line), "pid %ld %ld %s\n", (long)syscall(SYS_getpid), (long)syscall(SYS_gettid), what);

	getpgid(0);
	if (write(2, line, (size_t)n) != n)
		_exit(99);
}

static void say(const char *fmt, long v)
{
	printf(fmt, v);
	putchar('\n');
	fflush(stdout);
}

static void ended(const char *what, pid_t pid)
{
	int st = -1;
	pid_t got = pid > 0 ? waitpid(pid, &st, __WALL) : -1;

	printf("%s: %s %d\n", what, pid < 0 ? strerror(errno) : got == pid ? "ended" : "lost", st);
	fflush(stdout);
}

/* Nobody but those we know of is our child. */
static void no_children(void)
{
	errno = 0;
	say("wait: %ld", waitpid(-1, NULL, WNOHANG));
	say("errno %ld", errno);
	errno = 0;
	say("wait all: %ld", waitpid(-1, NULL, WNOHANG | __WALL));
	say("errno %ld", errno);
}

static void c_fork(void)
{
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();

		if (!pid) {
			mark("fork");
			no_children();
			_exit(10 + i);
		}
		ended("fork", pid);
	}
	mark("parent");
	no_children();
}

static void c_deep(void)
{
	for (int i = 0; i < 5; i++) {
		pid_t pid = fork();

		if (pid) {
			ended("deep", pid);
			_exit(i);
		}
		mark("deep");
	}
}

static void c_vfork(void)
{
	char *const argv[] = { "true", NULL }, *const bad[] = { "no", NULL };
	pid_t pid;

	mark("before");
	pid = vfork();
	if (!pid) {
		mark("vfork");
		_exit(3);
	}
	ended("vfork exit", pid);
	mark("parent");
	pid = vfork();
	if (!pid) {
		mark("vfork");
		execve("/nonexistent", bad, environ);
		mark("vfork");
		execve("/bin/true", argv, environ);
		_exit(4);
	}
	ended("vfork exec", pid);
	mark("parent");
	pid = vfork();
	if (!pid)
		for (;;)
			raise(SIGKILL);
	ended("vfork killed", pid);
	mark("parent");
}

static void c_spawn(void)
{
	char *const argv[] = { "sh", "-c", "exit 5", NULL };
	posix_spawnattr_t a;
	pid_t pid = -1;

	mark("before");
	say("spawn %ld", posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ));
	ended("spawn", pid);
	mark("parent");
	say("spawn of nothing %ld", posix_spawn(&pid, "/nonexistent", NULL, NULL, argv, environ));
	posix_spawnattr_init(&a);
	posix_spawnattr_setflags(&a, POSIX_SPAWN_SETSID | POSIX_SPAWN_RESETIDS);
	say("spawn with setsid %ld", posix_spawnp(&pid, "sh", NULL, &a, argv, environ));
	ended("spawn", pid);
	say("system %ld", system("exit 6"));
	no_children();
}

static int in_clone(void *arg)
{
	mark(arg);
	for (int i = 0; i < 100; i++)
		getpgid(0);
	return 7;
}

static void c_clone(void)
{
	static const struct { const char *name; int flags; } f[] = {
		{ "plain", SIGCHLD }, { "files", CLONE_FILES | SIGCHLD }, { "fs files", CLONE_FS | CLONE_FILES | SIGCHLD },
		{ "vm", CLONE_VM | SIGCHLD }, { "vm vfork", CLONE_VM | CLONE_VFORK | SIGCHLD },
		{ "vfork", CLONE_VFORK | SIGCHLD }, { "vm sighand", CLONE_VM | CLONE_SIGHAND | SIGCHLD },
		{ "no signal", 0 }, { "vm no signal", CLONE_VM }, { "other signal", SIGUSR1 },
	};
	struct clone_args a = { .exit_signal = SIGCHLD };
	pid_t pid;

	signal(SIGUSR1, SIG_IGN);
	for (size_t i = 0; i < sizeof(f) / sizeof(*f); i++) {
		char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		pid = clone(in_clone, stack + 65536, f[i].flags, (void *)f[i].name);
		for (int k = 0; k < 100; k++)		/* beside the child */
			getpgid(0);
		ended(f[i].name, pid);
		mark("parent");
		munmap(stack, 65536);
	}
	pid = (pid_t)syscall(SYS_clone3, &a, sizeof(a));
	if (!pid) {
		mark("clone3");
		_exit(8);
	}
	ended("clone3", pid);
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (!pid) {
		mark("raw clone");
		_exit(9);
	}
	ended("raw clone", pid);
	pid = (pid_t)syscall(SYS_fork);
	if (!pid) {
		mark("raw fork");
		_exit(10);
	}
	ended("raw fork", pid);
	no_children();
}

static void *in_thread(void *arg)
{
	pid_t pid;

	mark("thread");
	if ((long)arg % 5 == 0) {
		pid = fork();
		if (!pid) {
			mark("fork in thread");
			_exit(11);
		}
		waitpid(pid, NULL, 0);
	}
	if ((long)arg % 5 == 1) {
		char *const argv[] = { "true", NULL };

		if (!posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ))
			waitpid(pid, NULL, 0);
	}
	mark("thread");
	return arg;
}

static void c_threads(void)
{
	for (int round = 0; round < 3; round++) {
		pthread_t t[20];
		void *v;
		long sum = 0;

		for (long i = 0; i < 20; i++)
			pthread_create(&t[i], NULL, in_thread, (void *)i);
		for (long i = 0; i < 20; i++) {
			pthread_join(t[i], &v);
			sum += (long)v;
		}
		say("threads %ld", sum);
	}
	no_children();
}

static void *exec_thread(void *arg)
{
	execl("/bin/sh", "sh", "-c", "echo executed by a thread; kill -0 $$ && echo same process", NULL);
	return arg;
}

static void c_thread_exec(void)
{
	pthread_t t;

	pthread_create(&t, NULL, exec_thread, NULL);
	for (;;)
		pause();
}

static void run(char *const argv[], char *const envp[], int how)
{
	bool temporary = !strncmp(argv[0], "/tmp", 4);
	pid_t pid = fork();

	if (!pid) {
		int fd = open(argv[0], how == 2 ? O_PATH | O_CLOEXEC : O_RDONLY);

		if (!how)
			execve(argv[0], argv, envp);
		else
			syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
		_exit(errno);
	}
	ended(temporary ? "script" : argv[0], pid);
}

static void c_exec(void)
{
	char *const none[] = { NULL }, *const one[] = { "A=1", NULL };
	char *const sh[] = { "/bin/sh", "-c", "echo $A$B; exec /bin/true", NULL };
	char *const tr[] = { "/bin/true", NULL }, *const missing[] = { "/nonexistent/x", NULL };
	char script[] = "/tmp/skep-script-XXXXXX", *const sc[] = { script, "x", NULL };
	int fd = mkstemp(script);

	run(sh, none, 0);
	run(sh, one, 0);
	run(tr, NULL, 0);
	run(tr, none, 1);
	run(tr, none, 2);
	run(missing, environ, 0);
	dprintf(fd, "#!/bin/sh\necho script $1\n");
	fchmod(fd, 0700);
	close(fd);
	run(sc, none, 0);
	run(sc, environ, 1);
	unlink(script);
	/* bad pointers */
	for (int i = 0; i < 4; i++) {
		pid_t pid = fork();

		if (!pid) {
			syscall(SYS_execve, i == 0 ? (char *)8 : "/bin/true", i == 1 ? (void *)8 : tr, i >= 2 ? (void *)8 : none);
			_exit(errno);
		}
		ended("bad pointer", pid);
	}
}

static void c_creds(void)
{
	pid_t pid;

	if (geteuid()) {
		say("setresuid %ld", setresuid(geteuid(), geteuid(), geteuid()));
		return;
	}
	pid = fork();
	if (!pid) {
		say("seteuid %ld", seteuid(65534));
		mark("euid");
		say("back %ld", seteuid(0));
		mark("root again");
		say("setgroups %ld", setgroups(0, NULL));
		say("setresgid %ld", setresgid(65534, 65534, 65534));
		say("setresuid %ld", setresuid(65534, 65534, 65534));
		mark("nobody");
		say("uid %ld", getuid());
		say("root is %ld", setuid(0));
		say("errno %ld", errno);
		say("open %ld", open("/etc/shadow", O_RDONLY));
		execl("/bin/sh", "sh", "-c", "id -u; id -g", NULL);
		_exit(1);
	}
	ended("drop", pid);
}

static void c_name(void)
{
	mark("first name");
	prctl(PR_SET_NAME, "other");
	mark("other name");
}

static void c_chroot(void)
{
	char dir[] = "/tmp/skep-root-XXXXXX";
	pid_t pid;

	if (geteuid()) {
		say("not root %ld", 0);
		return;
	}
	say("mkdtemp %ld", mkdtemp(dir) != NULL);
	pid = fork();
	if (!pid) {
		say("chroot %ld", chroot(dir));
		say("chdir %ld", chdir("/"));
		mark("chroot");
		pid = fork();
		if (!pid) {
			mark("child in chroot");
			execl("/bin/sh", "sh", "-c", "echo not there", NULL);
			_exit(errno);
		}
		ended("in chroot", pid);
		_exit(0);
	}
	ended("chroot", pid);
	rmdir(dir);
}

static void c_unshare(void)
{
	static const struct { const char *name; int flags; } f[] = {
		{ "user", CLONE_NEWUSER }, { "fs", CLONE_FS }, { "files", CLONE_FILES }, { "mount", CLONE_NEWNS },
		{ "uts ipc", CLONE_NEWUTS | CLONE_NEWIPC }, { "user mount", CLONE_NEWUSER | CLONE_NEWNS },
		{ "net", CLONE_NEWUSER | CLONE_NEWNET },
	};
	pid_t pid;

	for (size_t i = 0; i < sizeof(f) / sizeof(*f); i++) {
		pid = fork();
		if (!pid) {
			say("unshare %ld", unshare(f[i].flags));
			mark(f[i].name);
			_exit(0);
		}
		ended(f[i].name, pid);
	}
	pid = fork();
	if (!pid) {
		say("unshare pid %ld", unshare(CLONE_NEWPID));
		pid = fork();
		if (!pid) {
			say("pid in it %ld", getpid());
			pid = fork();
			if (!pid) {
				/* which it is depends on who else is there (doc/agent.md) */
				say("a small pid in it %ld", getpid() < 50);
				execl("/bin/sh", "sh", "-c", "[ $$ -lt 50 ]", NULL);
				_exit(1);
			}
			ended("in pid namespace", pid);
			_exit(0);
		}
		ended("its init", pid);
		_exit(0);
	}
	ended("pid", pid);
}

static void c_fds(void)
{
	int fd;

	close_range(3, ~0u, 0);
	fd = open("/dev/null", O_RDONLY);
	say("first fd %ld", fd);
	for (int i = 3; i < 1024; i++)
		close(i);
	system("ls /proc/self/fd | wc -l");
	fd = open("/dev/null", O_RDONLY);
	say("first fd %ld", fd);
	mark("after");
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();

		if (!pid) {
			int n = dup(0);

			mark("child");
			_exit(n);
		}
		ended("first free fd of a child", pid);
	}
}

static void c_seccomp(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_uname, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { sizeof(f) / sizeof(*f), f };
	char buf[400];
	pid_t pid;

	mark("before");
	say("no new privs %ld", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	say("filter %ld", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p));
	say("uname %ld", syscall(SYS_uname, buf));
	say("errno %ld", errno);
	mark("filtered");
	pid = fork();
	if (!pid) {
		mark("child of filtered");
		execl("/bin/sh", "sh", "-c", "echo filtered shell", NULL);
		_exit(1);
	}
	ended("child", pid);
}

/* Only what is in the list; anything else kills. What the agent does on its own in a hook must not show. */
static void c_strict(void)
{
	static const int allowed[] = {
		SYS_read, SYS_write, SYS_getpgid, SYS_getpid, SYS_gettid, SYS_exit_group, SYS_exit, SYS_rt_sigreturn, SYS_brk,
		SYS_newfstatat, SYS_fstat,
	};
	enum { N = sizeof(allowed) / sizeof(*allowed) };
	struct sock_filter f[N + 3];
	struct sock_fprog p = { N + 3, f };
	pid_t pid = fork();

	if (!pid) {
		mark("before");
		f[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
		for (unsigned char i = 0; i < N; i++)
			f[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], (unsigned char)(N - i), 0);
		f[N + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
		f[N + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p, 0, 0))
			_exit(1);
		for (int i = 0; i < 1000; i++)
			mark("strict");
		_exit(0);
	}
	ended("strict", pid);
}

static void c_daemon(void)
{
	int p[2], go[2];
	pid_t pid;
	char c;

	if (pipe(p) || pipe(go))
		_exit(1);
	pid = fork();
	if (!pid) {
		setsid();
		if (fork())
			_exit(0);
		if (chdir("/"))
			_exit(1);
		close(p[0]);
		if (read(go[0], &c, 1) != 1)
			_exit(1);
		mark("daemon");
		say("session is its parent's %ld", getsid(0) != getpid());
		if (write(p[1], "x", 1) != 1)
			_exit(1);
		_exit(0);
	}
	close(p[1]);
	ended("first", pid);
	if (write(go[1], "x", 1) != 1)
		_exit(1);
	say("from the daemon %ld", read(p[0], &c, 1));
	say("end of file %ld", read(p[0], &c, 1));
}

static void c_storm(void)
{
	for (int i = 0; i < 200; i++) {
		pid_t pid = i % 3 == 2 ? vfork() : fork();

		if (!pid) {
			getpgid(0);
			if (i % 2)
				execl("/bin/true", "true", NULL);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	say("storm %ld", 200);
}

static void c_usage(void)
{
	struct rusage u;

	for (int i = 0; i < 3; i++)
		ended("child", ({ pid_t p = fork(); if (!p) _exit(0); p; }));
	getrusage(RUSAGE_CHILDREN, &u);
	say("children's time is small %ld", u.ru_utime.tv_sec == 0);
	system("grep -c . /proc/self/task/*/children 2> /dev/null; ls /proc/self/task | wc -l");
}

static const struct { const char *name; void (*fn)(void); } cases[] = {
	{ "fork", c_fork }, { "deep", c_deep }, { "vfork", c_vfork }, { "spawn", c_spawn }, { "clone", c_clone },
	{ "threads", c_threads }, { "thread-exec", c_thread_exec }, { "exec", c_exec }, { "creds", c_creds },
	{ "name", c_name }, { "chroot", c_chroot }, { "unshare", c_unshare }, { "fds", c_fds }, { "seccomp", c_seccomp },
	{ "strict", c_strict }, { "daemon", c_daemon }, { "storm", c_storm }, { "usage", c_usage },
};

int main(int argc, char **argv)
{
	self = argv[0];
	alarm(60);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (argc < 2 || !strcmp(argv[1], cases[i].name)) {
			if (argc < 2) {
				puts(cases[i].name);
				continue;
			}
			cases[i].fn();
			return 0;
		}
	return argc < 2 ? 0 : 2;
}
