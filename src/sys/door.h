/* SPDX-License-Identifier: Apache-2.0 */
/* door.h - what in-process doors (wrap.c, front/preload*.c) share: the directory in use, bare system calls, epoll on ring
 * maps, the pin directory as a path. Functions named after a system call return -1 and set errno, as libc's do; they
 * leave errno alone on success. */
#ifndef SKEP_SYS_DOOR_H
#define SKEP_SYS_DOOR_H

#include <sys/epoll.h>
#include <sys/types.h>
#include <sys/vfs.h>

#include "base/def.h"

struct obj_dir;

int door_dir(struct obj_dir **out);		/* opened at first use; -errno */
struct obj_dir *door_dir_peek(void);		/* NULL as long as nobody used it */

long raw_syscall(long nr, long a, long b, long c, long d, long e, long f);	/* -errno */
long door_errno(long ret);			/* -errno -> -1 and errno */
/* What syscall(2) becomes: bpf and perf_event_open are answered here, everything else goes to the kernel. */
long door_syscall(long nr, long a, long b, long c, long d, long e, long f);

/* Perf events that programs write to (perf_cmd.c). -errno. */
long door_perf_event_open(u64 uattr, long pid, long cpu, long group, unsigned long flags);
/* False: not about a perf event of ours, and errno is kept. Else *ret is what the call returns (-1 and errno). */
bool door_ioctl(int fd, unsigned long cmd, unsigned long arg, int *ret);
bool door_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off, void **ret);
/* Cheap: does the fd's name look like an object of a kind ("/bpf-map/") of any directory? */
bool door_fd_is(int fd, const char *kind);

/* Before close(2). True: that may end an attachment; call door_ended() behind it. */
bool door_closing(int fd);
void door_ended(void);				/* an attachment may have ended: tells the agents. errno is kept */

/* epoll that knows ring maps and perf events: a regular file cannot be polled, its wake FIFO can. */
int door_epoll_ctl(int ep, int op, int fd, struct epoll_event *ev);
/* A wait on EP that leaves its events in EV: WAIT(ARG, NS) is the real one (NS < 0: without end), called again for the
 * rest of the time when all that woke it are rings that were read empty before. Returns what WAIT does. */
int door_epoll_wait(int ep, struct epoll_event *ev, s64 ns, int (*wait)(void *arg, s64 ns), void *arg);
static inline s64 door_ms_to_ns(int ms)
{
	return ms < 0 ? -1 : ms * 1000000ll;
}
static inline int door_ns_to_ms(s64 ns)
{
	return ns < 0 ? -1 : (int)MIN((ns + 999999) / 1000000, INT32_MAX);
}

/* Is PATH /sys/fs/bpf or below it? */
bool door_path_is_bpffs(const char *path);
/* The place on the host for PATH: BUF when it is below /sys/fs/bpf and the directory can be used, else PATH itself. */
#define DOOR_PATH_MAX 4096
const char *door_path(const char *path, char buf[DOOR_PATH_MAX]);
/* Files below /sys that name hooks (files.c). DOOR_NOT_OURS: another path, errno is kept; else as libc's open, stat, access. */
#define DOOR_NOT_OURS	(-2)
int door_file_open(const char *path, int flags);
int door_file_stat(const char *path, mode_t *mode);
int door_file_access(const char *path, int how);
/* statfs(2) of the pin directory has the magic of a bpffs. */
int door_statfs(const char *path, struct statfs *st);
int door_fstatfs(int fd, struct statfs *st);

#endif
