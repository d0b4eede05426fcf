/* SPDX-License-Identifier: Apache-2.0 */
/* step.h - run a function in a traced child, one system call (or one instruction) at a time, and kill or leave it
 * anywhere. What the child returned goes to a shared page. For the tests of this folder. */
#ifndef TEST_OBJ_STEP_H
#define TEST_OBJ_STEP_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/domain.h"
#include "base/obj.h"
#include "t.h"

struct stepper {
	pid_t pid;
	bool ended;
	int status;		/* wait status */
	long steps;
};

static inline bool step_wait(struct stepper *s)
{
	if (waitpid(s->pid, &s->status, __WALL) != s->pid || WIFEXITED(s->status) || WIFSIGNALED(s->status))
		s->ended = true;
	return !s->ended;
}

/* The child stands before fn. */
static inline struct stepper step_start(void (*fn)(void))
{
	struct stepper s = { 0 };

	fflush(stdout);
	s.pid = fork();
	if (!s.pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		fn();
		_exit(0);
	}
	step_wait(&s);
	ptrace(PTRACE_SETOPTIONS, s.pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	return s;
}

static inline int step_signal(const struct stepper *s)
{
	int sig = WIFSTOPPED(s->status) ? WSTOPSIG(s->status) : 0;

	return sig == (SIGTRAP | 0x80) || sig == SIGTRAP || sig == SIGSTOP ? 0 : sig;
}

/* On to just before or just after the next system call. False when the child has ended. */
static inline bool step_half(struct stepper *s)
{
	if (s->ended || ptrace(PTRACE_SYSCALL, s->pid, 0, (long)step_signal(s)))
		return false;
	s->steps++;
	return step_wait(s);
}

/* One system call and what is behind it, up to the next one. */
static inline bool step_call(struct stepper *s)
{
	return step_half(s) && step_half(s);
}

/* Until it stands before its next fcntl(CMD), or system call NR when CMD is 0. */
static inline bool step_before(struct stepper *s, long nr, long cmd)
{
	struct __ptrace_syscall_info i;

	while (step_half(s))
		if (ptrace(PTRACE_GET_SYSCALL_INFO, s->pid, sizeof(i), &i) > 0 &&
		    i.op == PTRACE_SYSCALL_INFO_ENTRY && (long)i.entry.nr == nr &&
		    (!cmd || (long)i.entry.args[1] == cmd))
			return true;
	return false;
}

static inline bool step_insn(struct stepper *s)
{
	if (s->ended || ptrace(PTRACE_SINGLESTEP, s->pid, 0, (long)step_signal(s)))
		return false;
	s->steps++;
	return step_wait(s);
}

/* It has done all, and its fds are still open (PTRACE_O_TRACEEXIT). */
static inline bool step_at_exit(const struct stepper *s)
{
	return !s->ended && s->status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8);
}

static inline void step_kill(struct stepper *s)
{
	if (s->ended)
		return;
	if (step_at_exit(s))			/* this stop does not end by SIGKILL */
		ptrace(PTRACE_CONT, s->pid, 0, 0L);
	else
		kill(s->pid, SIGKILL);
	while (step_wait(s))
		;
}

static inline void step_finish(struct stepper *s)
{
	while (step_half(s))
		;
}

/* ---- a directory and what is in it ---- */

static struct obj_dir *dir;

static inline void dir_setup(void)
{
	if (!dir && obj_dir_open(NULL, &dir))
		abort();
}

static inline u32 make_obj(enum obj_kind kind, u64 client, u32 flags, int *fd)
{
	struct obj *o;
	u32 id;

	if (obj_create(dir, kind, "t", client, SKEP_PAGE, &o, fd))
		return 0;
	o->hdr->flags = flags;
	obj_publish(o);
	id = o->id;
	obj_unmap(o);
	return id;
}

/* Entries of a subdirectory, two levels down for ref/. */
static inline int entries_at(int at, const char *sub)
{
	int fd = openat(at, sub, O_RDONLY | O_DIRECTORY), n = 0;
	DIR *dp = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (dp && (e = readdir(dp))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		n += 1 + (e->d_type == DT_DIR ? entries_at(fd, e->d_name) : 0);
	}
	if (dp)
		closedir(dp);
	return n;
}

static inline int entries(const char *sub)
{
	return entries_at(dir->fd, sub);
}

static inline int left_over(void)
{
	return entries("bpf-map") + entries("bpf-prog") + entries("btf") + entries("bpf_link") + entries("dead") +
	       entries("ref") + entries("bpffs");
}

static inline int unpin(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/bpffs/%s", dir->path, name);
	return unlink(path) ? -errno : 0;
}

#endif
