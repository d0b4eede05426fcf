/* SPDX-License-Identifier: Apache-2.0 */
/* launch.c - see launch.h. The new image's agent reports the end of the call: the board tells it that one was under way. */
#include "tool/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/agents.h"
#include "hook/hook.h"
#include "tool/door.h"

#define USER_CS	0x33u
#define USER_DS	0x2bu

/* The child's lists: its pid is the command's. */
static bool learn(u64 scope, struct obj_dir **d)
{
	struct hook_wants w;

	if (tool_dir(d) || agents_open(*d) || hook_learn(*d, scope, getpid(), &w))
		return false;
	agents_set_exec(*d, getpid(), SYS_execve, 0);
	return w.any;
}

int launch_exec(u64 scope, const char *path, char *const argv[], char *const envp[])
{
	struct hook_regs r = {
		.orig_ax = SYS_execve, .ax = (u64)-ENOSYS, .di = (u64)path, .si = (u64)argv, .dx = (u64)envp,
		.ip = (u64)launch_exec, .sp = (u64)__builtin_frame_address(0), .cs = USER_CS, .ss = USER_DS,
	};
	struct obj_dir *d = NULL;
	bool on = scope && learn(scope, &d);

	if (!on || !hook_fire_sys_enter(&r)) {
		execve(path, argv, envp);
		r.ax = (u64)-errno;
	}
	if (on)
		hook_fire_sys_exit(&r);
	if (d)
		agents_set_exec(d, getpid(), 0, 0);
	return (int)(s64)r.ax;
}

bool launch_unanswered(s32 pid)
{
	struct obj_dir *d;
	s32 nr, helper;

	return !tool_dir(&d) && !agents_open(d) && !agents_take_exec(d, pid, &nr, &helper);
}

/* A process that is gone or a zombie, whose helper still lives. */
static int ending(void *arg, s32 pid, u64 scope, u32 epoch)
{
	const u64 *want = arg;
	char path[32], stat[512], *p;
	ssize_t n;
	int fd;

	(void)epoch;
	if (scope != *want)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 1;
	n = read(fd, stat, sizeof(stat) - 1);
	close(fd);
	stat[MAX(n, 0)] = 0;
	p = strrchr(stat, ')');
	return !p || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X';
}

void launch_wait_ends(u64 scope, u32 ms)
{
	struct obj_dir *d;

	if (tool_dir(&d) || agents_open(d))
		return;
	for (; ms && agents_each(d, ending, &scope); ms--)
		usleep(1000);
}
