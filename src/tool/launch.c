/* SPDX-License-Identifier: Apache-2.0 */
/* launch.c - see launch.h. The new image's agent reports the end of the call: the board tells it that one was under way. */
#include "tool/launch.h"

#include <errno.h>
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
