/* SPDX-License-Identifier: Apache-2.0 */
/* command.c - see command.h.
 *
 * Tool and command are one process group, as under time(1): the terminal sends Ctrl-C to both, and the tool waits for what
 * the command makes of it. Signals that somebody sent to the tool alone are passed on. Stops and continues reach both,
 * too, and have their default effect. */
#include "tool/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tool/launch.h"

extern char **environ;

static const int watched[] = { SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };

/* ---- finding ---- */
static int runnable(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return access(path, X_OK) ? -errno : 0;
}

/* As execvp(3): the first file that can be executed; one that cannot is remembered. */
static int search(const char *name, char *out, size_t size)
{
	const char *path = getenv("PATH"), *end;
	int err = -ENOENT, one;

	for (path = path ? path : "/usr/local/bin:/bin:/usr/bin";; path = end + 1) {
		end = strchrnul(path, ':');
		if (snprintf(out, size, "%.*s%s%s", (int)(end - path), path, end > path ? "/" : "", name) < (int)size) {
			one = runnable(out);
			if (!one)
				return 0;
			err = one == -EACCES ? one : err;
		}
		if (!*end)
			return err;
	}
}

static int cannot(const char *name, int err)
{
	if (err == -ENOENT || err == -ENOTDIR) {
		if (strchr(name, '/'))
			fail_errno(err, "%s", name);
		else
			fail(EXIT_NOT_FOUND, "%s: command not found", name);
		return EXIT_NOT_FOUND;
	}
	fail_errno(err, "%s cannot be executed", name);
	return EXIT_NOT_EXECUTABLE;
}

int command_find(struct command *c)
{
	const char *name = c->argv[0];
	int err = *name ? 0 : -ENOENT;

	if (!err && strchr(name, '/')) {
		snprintf(c->path, sizeof(c->path), "%s", name);
		err = runnable(name);
	} else if (!err) {
		err = search(name, c->path, sizeof(c->path));
	}
	return err ? cannot(name, err) : 0;
}

/* ---- signals ---- */
int command_take_signals(struct command *c)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;

	sigemptyset(&set);
	for (u32 i = 0; i < ARRAY_SIZE(watched); i++)
		if (c->argv || (watched[i] != SIGUSR1 && watched[i] != SIGUSR2))
			sigaddset(&set, watched[i]);
	sigprocmask(SIG_BLOCK, &set, &c->mask);
	sigaction(SIGPIPE, &ignore, &c->pipe);	/* a reader of the events that goes away ends the events only */
	c->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return c->signals < 0 ? fail_errno(-errno, "signalfd") : 0;
}

static void reap(struct command *c)
{
	int status;

	while (c->pid && !c->ended && waitpid(c->pid, &status, WNOHANG) == c->pid) {
		c->ended = true;
		c->status = status;
	}
}

void command_watch(struct command *c)
{
	struct signalfd_siginfo si;

	while (read(c->signals, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			continue;
		c->interrupted = true;
		if (c->pid && !c->ended && si.ssi_code != SI_KERNEL)
			kill(c->pid, (int)si.ssi_signo);
	}
	reap(c);
}

/* ---- starting ---- */
/* Returns -errno. */
static int become(const struct command *c, char *const env[])
{
	char **args = c->argv;
	u32 n = 0;
	int err;

	for (; *env; env++)
		if (putenv(*env))
			return -ENOMEM;
	if (c->out >= 0 && dup2(c->out, STDOUT_FILENO) < 0)
		return -errno;
	sigaction(SIGPIPE, &c->pipe, NULL);
	sigprocmask(SIG_SETMASK, &c->mask, NULL);
	err = launch_exec(c->scope, c->path, args, environ);
	if (err != -ENOEXEC)
		return err;
	while (args[n])
		n++;
	args = calloc(n + 2, sizeof(*args));	/* a script without #!: as execvp(3) does */
	if (!args)
		return -ENOMEM;
	args[0] = (char *)"/bin/sh";
	args[1] = (char *)c->path;
	memcpy(args + 2, c->argv + 1, n * sizeof(*args));
	launch_exec(c->scope, args[0], args, environ);
	return -ENOEXEC;
}

int command_start(struct command *c, char *const env[])
{
	int p[2], err = 0;

	fflush(NULL);
	if (pipe2(p, O_CLOEXEC))
		return fail_errno(-errno, "pipe");
	c->pid = fork();
	if (c->pid < 0) {
		close(p[0]);
		close(p[1]);
		return fail_errno(-errno, "fork");
	}
	if (!c->pid) {
		err = become(c, env);
		if (write(p[1], &err, sizeof(err)) != sizeof(err))
			_exit(EXIT_NOT_FOUND);
		_exit(EXIT_NOT_EXECUTABLE);
	}
	close(p[1]);
	if (read(p[0], &err, sizeof(err)) != sizeof(err))
		err = 0;
	close(p[0]);
	if (!err)
		return 0;
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
	c->pid = 0;
	if (err == -ENOENT && !runnable(c->path)) {
		fail(EXIT_NOT_EXECUTABLE, "%s cannot be executed: its interpreter does not exist", c->argv[0]);
		return EXIT_NOT_EXECUTABLE;
	}
	return cannot(c->argv[0], err);
}

int command_exit_code(const struct command *c)
{
	if (WIFSIGNALED(c->status))
		return EXIT_SIGNAL + WTERMSIG(c->status);
	return WEXITSTATUS(c->status);
}
