/* SPDX-License-Identifier: Apache-2.0 */
/* perf_cmd.c - perf_event_open(2) of in-process clients, and mmap and ioctl on what it returned. Events that programs
 * write to (PERF_COUNT_SW_BPF_OUTPUT) and events that they are attached to (event_cmd.c) exist here; any other kind is
 * -EOPNOTSUPP, as from a machine without the hardware: the host's own counters would be fds that no map of ours takes.
 * Checks and their order as the kernel's. */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/domain.h"
#include "base/fault.h"
#include "map/perf.h"
#include "sys/attach.h"
#include "sys/door.h"

#define IOC_PERF	'$'
#define ALL_FLAGS	(PERF_FLAG_FD_NO_GROUP | PERF_FLAG_FD_OUTPUT | PERF_FLAG_PID_CGROUP | PERF_FLAG_FD_CLOEXEC)

/* ---- opening ---- */

static int copy_attr(u64 uattr, struct perf_event_attr *a)
{
	u8 tail[4096 - sizeof(*a)], any = 0;
	const u8 *from = (const u8 *)(uintptr_t)uattr;
	u32 size, own = sizeof(*a);

	memset(a, 0, sizeof(*a));
	if (fault_copy_from(&size, from + offsetof(struct perf_event_attr, size), sizeof(size)))
		return -EFAULT;
	size = size ? size : PERF_ATTR_SIZE_VER0;
	if (size < PERF_ATTR_SIZE_VER0 || size > 4096)
		goto too_big;
	if (fault_copy_from(a, from, MIN(size, own)) || (size > own && fault_copy_from(tail, from + own, size - own)))
		return -EFAULT;
	for (u32 i = own; i < size; i++)
		any |= tail[i - own];
	if (!any)
		return 0;
too_big:
	/* the kernel says so there, and does not mind if it cannot */
	if (fault_copy_to((u8 *)(uintptr_t)uattr + offsetof(struct perf_event_attr, size), &own, sizeof(own)))
		return -EFAULT;
	return -E2BIG;
}

static int check_attr(const struct perf_event_attr *a)
{
	if (a->__reserved_1 || a->__reserved_2 || a->sample_type >= PERF_SAMPLE_MAX)
		return -EINVAL;
	if (!a->freq && a->sample_period & BIT64(63))
		return -EINVAL;
	return 0;
}

static int check_target(struct obj_dir *d, long pid, long cpu)
{
	if (cpu < -1 || cpu >= (long)domain_ncpus(d->dom) || (pid == -1 && cpu == -1))
		return -EINVAL;
	if (pid < -1)
		return -ESRCH;
	return pid > 0 && raw_syscall(SYS_kill, pid, 0, 0, 0, 0, 0) == -ESRCH ? -ESRCH : 0;
}

/* An event that programs write to: of the calling thread, or of a CPU. */
static int open_output(struct obj_dir *d, const struct perf_event_attr *a, long pid, long cpu)
{
	long self = raw_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
	struct perf_conf c = { .sample_type = a->sample_type, .wakeup = a->wakeup_events, .watermark = a->watermark,
			       .sample_id_all = a->sample_id_all, .disabled = a->disabled, .cpu = (s32)cpu,
			       .tid = pid == -1 ? -1 : (s32)self };
	int fd, err;

	if (a->type != PERF_TYPE_SOFTWARE || a->config != PERF_COUNT_SW_BPF_OUTPUT)
		return -EOPNOTSUPP;
	if (a->write_backward || a->inherit || a->use_clockid || (pid > 0 && pid != self))
		return -EOPNOTSUPP;
	err = perf_event_create(d, &c, &fd);
	return err ? err : fd;
}

long door_perf_event_open(u64 uattr, long pid, long cpu, long group, unsigned long flags)
{
	struct perf_event_attr a;
	struct obj_dir *d;
	int err = fault_init(), fd;

	if (err)
		return err;
	if (flags & ~(unsigned long)ALL_FLAGS)
		return -EINVAL;
	err = copy_attr(uattr, &a);
	if (!err)
		err = check_attr(&a);
	if (!err)
		err = (flags & PERF_FLAG_PID_CGROUP) || (int)group != -1 ? -EOPNOTSUPP : door_dir(&d);
	if (err)
		return err;
	err = check_target(d, (int)pid, (int)cpu);
	if (err)
		return err;
	fd = attach_event_kind(a.type) ? attach_event_open(d, &a) : open_output(d, &a, (int)pid, (int)cpu);
	if (fd < 0)
		return fd;
	if (!(flags & PERF_FLAG_FD_CLOEXEC))
		fcntl(fd, F_SETFD, 0);
	return fd;
}

/* ---- what is done with the fd ---- */

bool door_fd_is(int fd, const char *kind)
{
	char link[40], path[512];
	long n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = raw_syscall(SYS_readlinkat, AT_FDCWD, (long)link, (long)path, sizeof(path) - 1, 0, 0);
	if (n <= 0)
		return false;
	path[n] = 0;
	return strstr(path, kind);
}

static int event_of(int fd, struct perf_event **e)
{
	struct obj_dir *d;
	int err;

	if (fd < 0 || !door_fd_is(fd, "/perf_event/"))
		return -EBADF;
	err = door_dir(&d);
	return err ? err : perf_event_attach(d, fd, e);
}

/* Of an event that programs are attached to. False: it is none. */
static bool attached_ioctl(int fd, unsigned long cmd, unsigned long arg, int *err)
{
	struct hook_link e;
	struct obj_dir *d;

	if (!door_fd_is(fd, "/perf_event/") || door_dir(&d) || attach_event_of(d, fd, &e))
		return false;
	*err = attach_event_ioctl(d, fd, &e, cmd, arg);
	return true;
}

bool door_ioctl(int fd, unsigned long cmd, unsigned long arg, int *ret)
{
	int saved = errno, err;
	struct perf_event *e;
	bool ours = true;

	if (likely((cmd >> _IOC_TYPESHIFT & _IOC_TYPEMASK) != IOC_PERF))
		return false;
	err = event_of(fd, &e);
	if (!err) {
		err = perf_event_ioctl(e, (u32)cmd, arg);
		perf_event_detach(e);
	} else if (err == -EBADF) {
		ours = fd >= 0 && attached_ioctl(fd, cmd, arg, &err);
	}
	errno = saved;
	if (ours)
		*ret = (int)door_errno(err);
	return ours;
}

static long map_event(struct perf_event *e, void *addr, size_t len, int prot, int flags, off_t off)
{
	int fd;
	long p;

	if (off || !(flags & MAP_SHARED))
		return -EINVAL;
	fd = perf_event_ring(e, len, prot & PROT_WRITE);
	if (fd < 0)
		return fd;
	p = raw_syscall(SYS_mmap, (long)addr, (long)len, prot, flags, fd, 0);
	raw_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
	if (p > 0 || p < -4095)
		raw_syscall(SYS_madvise, p, (long)len, MADV_DONTFORK, 0, 0, 0);
	return p;
}

bool door_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off, void **ret)
{
	int saved = errno;
	struct perf_event *e;
	long p;

	if (likely(fd < 0 || flags & MAP_ANONYMOUS || !(flags & MAP_SHARED)))
		return false;
	p = event_of(fd, &e);
	if (!p) {
		p = map_event(e, addr, len, prot, flags, off);
		perf_event_detach(e);
	}
	errno = saved;
	if (p == -EBADF)
		return false;
	*ret = (void *)door_errno(p);
	return true;
}
