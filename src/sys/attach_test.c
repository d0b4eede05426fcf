/* SPDX-License-Identifier: Apache-2.0 */
/* attach_test.c - attaching to tracepoints, the same on skep and on the kernel: errno of each command, what links and
 * events tell of themselves. The kernel's side needs root and tracefs (for the ids). */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/def.h"
#include "base/sbuf.h"
#include "hook/hook.h"
#include "skep.h"
#include "spec/uapi.h"
#include "sys/door.h"
#include "sys/sys.h"
#include "t.h"

struct side {
	bool kernel;
	/* ids of sys_enter_getppid, sys_enter_dup2, sys_exit_getppid, raw sys_enter, and of one that nobody else attaches to */
	u64 enter, enter2, exit, raw, quiet;
	int map;
};

static struct side skep = { .kernel = false }, host = { .kernel = true };

static long bpf_on(const struct side *s, int cmd, union skep_attr *a, u32 size)
{
	long r = s->kernel ? t_kernel_bpf_call(cmd, a, size) : skep_bpf(cmd, (union bpf_attr *)a, size);

	return s->kernel && r < 0 ? -errno : r;
}

static long ioctl_on(const struct side *s, int fd, unsigned long cmd, long arg)
{
	if (s->kernel)
		return raw_syscall(SYS_ioctl, fd, (long)cmd, arg, 0, 0, 0);
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

static int open_event(const struct side *s, u32 type, u64 config, int pid, int cpu)
{
	struct perf_event_attr a = { .type = type, .size = sizeof(a), .config = config, .sample_period = 1 };

	return (int)(s->kernel ? raw_syscall(SYS_perf_event_open, (long)&a, pid, cpu, -1, 0, 0) :
				 door_perf_event_open((u64)(uintptr_t)&a, pid, cpu, -1, 0));
}

/* A program that reads 4 (of raw tracepoints 8) bytes at OFF of its context, or nothing. */
static int load(const struct side *s, u32 type, int off, u32 flags)
{
	bool raw = type == BPF_PROG_TYPE_RAW_TRACEPOINT;
	struct bpf_insn i[] = {
		off < 0 ? (struct bpf_insn){ .code = 0xb7, .dst_reg = 2 } :
			  (struct bpf_insn){ .code = raw ? 0x79 : 0x61, .dst_reg = 2, .src_reg = 1, .off = (s16)off },
		{ .code = 0xb7 }, { .code = 0x95 },
	};
	union skep_attr a = { .prog_type = type, .insns = (u64)(uintptr_t)i, .insn_cnt = 3,
			      .license = (u64)(uintptr_t)"GPL", .prog_flags = flags };

	return (int)bpf_on(s, BPF_PROG_LOAD, &a, sizeof(a));
}

static int make_link(const struct side *s, int prog, int target, u32 flags, u64 cookie)
{
	union skep_attr a = { 0 };

	a.link_create.prog_fd = (u32)prog;
	a.link_create.target_fd = (u32)target;
	a.link_create.attach_type = BPF_PERF_EVENT;
	a.link_create.flags = flags;
	a.link_create.perf_event.bpf_cookie = cookie;
	return (int)bpf_on(s, BPF_LINK_CREATE, &a, offsetofend(union skep_attr, link_create.perf_event.bpf_cookie));
}

static int open_raw(const struct side *s, const char *name, int prog)
{
	union skep_attr a = { 0 };

	a.raw_tracepoint.name = (u64)(uintptr_t)name;
	a.raw_tracepoint.prog_fd = (u32)prog;
	return (int)bpf_on(s, BPF_RAW_TRACEPOINT_OPEN, &a, offsetofend(union skep_attr, raw_tracepoint.prog_fd));
}

/* 0 instead of an fd, which is closed. */
static int gone(const struct side *s, int fd)
{
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* ---- ids ---- */

static u64 kernel_id(const char *name)
{
	char path[300];
	u64 id = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/tracefs/events/%s/id", t_tmpdir(), name);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%lu", (unsigned long *)&id) != 1)
		id = 0;
	if (f)
		fclose(f);
	return id;
}

static u64 skep_id(const char *category, const char *name)
{
	struct spec_event e;

	return spec_event_find(category, name, &e) ? 0 : e.id;
}

static int new_map(const struct side *s)
{
	union skep_attr a = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1 };

	return (int)bpf_on(s, BPF_MAP_CREATE, &a, sizeof(a));
}

static void init(void)
{
	char path[256];

	if (skep.enter)
		return;
	skep.enter = skep_id("syscalls", "sys_enter_getppid");
	skep.enter2 = skep_id("syscalls", "sys_enter_dup2");
	skep.exit = skep_id("syscalls", "sys_exit_getppid");
	skep.raw = skep_id("raw_syscalls", "sys_enter");
	skep.quiet = skep_id("syscalls", "sys_enter_acct");
	skep.map = new_map(&skep);
	if (!t_kernel_bpf())
		return;
	snprintf(path, sizeof(path), "%s/tracefs", t_tmpdir());
	mkdir(path, 0700);
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tracefs", path, "tracefs", 0, NULL))
		return;
	host.enter = kernel_id("syscalls/sys_enter_getppid");
	host.enter2 = kernel_id("syscalls/sys_enter_dup2");
	host.exit = kernel_id("syscalls/sys_exit_getppid");
	host.raw = kernel_id("raw_syscalls/sys_enter");
	host.quiet = kernel_id("syscalls/sys_enter_acct");
	umount(path);
	rmdir(path);
	host.map = new_map(&host);
}

/* Runs FN on skep, and on the kernel where it can be asked. */
static void both(void (*fn)(const struct side *s))
{
	init();
	fn(&skep);
	if (host.enter)
		fn(&host);
	else
		t_skip("no kernel with bpf and tracefs to compare with");
}

static const char *who(const struct side *s)
{
	return s->kernel ? "kernel" : "skep";
}

/* ---- opening ---- */

static void opens(const struct side *s)
{
	t_row("%s: perf_event_open of tracepoints", who(s));
	EQ(gone(s, open_event(s, PERF_TYPE_TRACEPOINT, s->enter, -1, 0)), 0);
	EQ(gone(s, open_event(s, PERF_TYPE_TRACEPOINT, s->enter, 0, -1)), 0);
	EQ(gone(s, open_event(s, PERF_TYPE_TRACEPOINT, s->enter, getppid(), -1)), 0);
	EQ(open_event(s, PERF_TYPE_TRACEPOINT, 60000, -1, 0), -EINVAL);
	EQ(open_event(s, PERF_TYPE_TRACEPOINT, 1ull << 40, -1, 0), -EINVAL);
	EQ(open_event(s, PERF_TYPE_TRACEPOINT, 0, -1, 0), -EINVAL);
	EQ(open_event(s, PERF_TYPE_TRACEPOINT, s->enter, -1, -1), -EINVAL);
	EQ(open_event(s, PERF_TYPE_TRACEPOINT, s->enter, 4194303, -1), -ESRCH);
	EQ(open_event(s, PERF_TYPE_TRACEPOINT, s->enter, -1, 100000), -EINVAL);
}

TEST(perf_event_open_of_tracepoints)
{
	both(opens);
}

/* ---- SET_BPF ---- */

static void context_ends(const struct side *s)
{
	/* how far into the record of a point programs may read */
	const struct { const char *name; u64 id; int last; } rows[] = {
		{ "sys_enter_getppid", s->enter, 8 }, { "sys_enter_dup2", s->enter2, 28 },
		{ "sys_exit_getppid", s->exit, 20 }, { "raw sys_enter", s->raw, 60 },
	};

	for (u32 r = 0; r < ARRAY_SIZE(rows); r++)
		for (int off = 8; off < 72; off += 4) {
			int prog = load(s, BPF_PROG_TYPE_TRACEPOINT, off, 0);
			int ev = open_event(s, PERF_TYPE_TRACEPOINT, rows[r].id, -1, 0);

			t_row("%s: %s: a program that reads at %d", who(s), rows[r].name, off);
			EQ(ioctl_on(s, ev, PERF_EVENT_IOC_SET_BPF, prog), off > rows[r].last ? -EACCES : 0);
			close(ev);
			close(prog);
		}
}

TEST(a_program_reads_no_further_than_the_record)
{
	both(context_ends);
}

static void program_types(const struct side *s)
{
	const struct { u32 type; u32 flags; const char *name; } rows[] = {
		{ BPF_PROG_TYPE_KPROBE, 0, "kprobe" }, { BPF_PROG_TYPE_RAW_TRACEPOINT, 0, "raw_tracepoint" },
		{ BPF_PROG_TYPE_PERF_EVENT, 0, "perf_event" }, { BPF_PROG_TYPE_XDP, 0, "xdp" },
		{ BPF_PROG_TYPE_SOCKET_FILTER, 0, "socket_filter" },
	};
	int ev = open_event(s, PERF_TYPE_TRACEPOINT, s->enter, -1, 0), prog;

	for (u32 r = 0; r < ARRAY_SIZE(rows); r++) {
		prog = load(s, rows[r].type, -1, rows[r].flags);
		t_row("%s: a %s program is not for tracepoints", who(s), rows[r].name);
		CHECK(prog >= 0);
		EQ(ioctl_on(s, ev, PERF_EVENT_IOC_SET_BPF, prog), -EINVAL);
		EQ(make_link(s, prog, ev, 0, 0), -EINVAL);
		close(prog);
	}
	t_row("%s: SET_BPF with an fd that is no program", who(s));
	EQ(ioctl_on(s, ev, PERF_EVENT_IOC_SET_BPF, -1), -EBADF);
	EQ(ioctl_on(s, ev, PERF_EVENT_IOC_SET_BPF, s->map), -EINVAL);
	EQ(ioctl_on(s, ev, PERF_EVENT_IOC_SET_BPF, 0), -EINVAL);
	t_row("%s: sleepable programs", who(s));
	EQ(load(s, BPF_PROG_TYPE_TRACEPOINT, -1, BPF_F_SLEEPABLE), -EINVAL);
	EQ(load(s, BPF_PROG_TYPE_RAW_TRACEPOINT, -1, BPF_F_SLEEPABLE), -EINVAL);
	close(ev);
}

TEST(program_types_of_tracepoints)
{
	both(program_types);
}

static void once(const struct side *s)
{
	int p = load(s, BPF_PROG_TYPE_TRACEPOINT, -1, 0), q = load(s, BPF_PROG_TYPE_TRACEPOINT, 8, 0);
	int a = open_event(s, PERF_TYPE_TRACEPOINT, s->enter, -1, 0), b = open_event(s, PERF_TYPE_TRACEPOINT, s->enter, -1, 0);
	int c = open_event(s, PERF_TYPE_TRACEPOINT, s->exit, -1, 0), link;

	t_row("%s: an event has one program, a tracepoint each program once", who(s));
	EQ(ioctl_on(s, a, PERF_EVENT_IOC_SET_BPF, p), 0);
	EQ(ioctl_on(s, a, PERF_EVENT_IOC_SET_BPF, p), -EEXIST);
	EQ(ioctl_on(s, a, PERF_EVENT_IOC_SET_BPF, q), -EEXIST);
	EQ(make_link(s, q, a, 0, 0), -EEXIST);
	EQ(ioctl_on(s, b, PERF_EVENT_IOC_SET_BPF, p), -EEXIST);
	EQ(make_link(s, p, b, 0, 0), -EEXIST);
	link = make_link(s, q, b, 0, 0);
	CHECK(link >= 0);
	EQ(make_link(s, q, b, 0, 0), -EEXIST);
	EQ(ioctl_on(s, b, PERF_EVENT_IOC_SET_BPF, q), -EEXIST);
	EQ(ioctl_on(s, c, PERF_EVENT_IOC_SET_BPF, p), 0);
	close(a);
	a = open_event(s, PERF_TYPE_TRACEPOINT, s->enter, -1, 0);
	EQ(ioctl_on(s, a, PERF_EVENT_IOC_SET_BPF, p), 0);
	close(link);
	EQ(gone(s, make_link(s, q, b, 0, 0)), 0);
	close(a);
	close(b);
	close(c);
	close(p);
	close(q);
}

TEST(a_tracepoint_has_each_program_once)
{
	both(once);
}

static void link_errors(const struct side *s)
{
	int p = load(s, BPF_PROG_TYPE_TRACEPOINT, -1, 0), ev = open_event(s, PERF_TYPE_TRACEPOINT, s->enter, -1, 0);
	union skep_attr a = { 0 };
	int link, r;

	t_row("%s: LINK_CREATE", who(s));
	EQ(make_link(s, p, -1, 0, 0), -EBADF);
	EQ(make_link(s, p, 0, 0, 0), -EBADF);
	EQ(make_link(s, p, p, 0, 0), -EBADF);
	EQ(make_link(s, p, ev, 1, 0), -EINVAL);
	EQ(make_link(s, -1, ev, 0, 0), -EBADF);
	EQ(make_link(s, s->map, ev, 0, 0), -EINVAL);
	link = make_link(s, p, ev, 0, 0);
	CHECK(link >= 0);
	t_row("%s: LINK_UPDATE of a perf event's link", who(s));
	a.link_update.link_fd = (u32)link;
	a.link_update.new_prog_fd = (u32)p;
	EQ(bpf_on(s, BPF_LINK_UPDATE, &a, sizeof(a.link_update)), -EINVAL);
	a.link_update.new_prog_fd = (u32)-1;
	EQ(bpf_on(s, BPF_LINK_UPDATE, &a, sizeof(a.link_update)), -EBADF);
	a.link_update.new_prog_fd = (u32)p;
	a.link_update.flags = BPF_F_REPLACE;
	a.link_update.old_prog_fd = (u32)-1;
	EQ(bpf_on(s, BPF_LINK_UPDATE, &a, sizeof(a.link_update)), -EBADF);
	a.link_update.flags = 1;
	EQ(bpf_on(s, BPF_LINK_UPDATE, &a, sizeof(a.link_update)), -EINVAL);
	t_row("%s: LINK_DETACH and ITER_CREATE of a perf event's link", who(s));
	memset(&a, 0, sizeof(a));
	a.link_detach.link_fd = (u32)link;
	EQ(bpf_on(s, BPF_LINK_DETACH, &a, 4), -EOPNOTSUPP);
	a.link_detach.link_fd = (u32)p;
	EQ(bpf_on(s, BPF_LINK_DETACH, &a, 4), -EINVAL);
	a.link_detach.link_fd = (u32)ev;
	EQ(bpf_on(s, BPF_LINK_DETACH, &a, 4), -EINVAL);
	a.iter_create.link_fd = (u32)link;
	EQ(bpf_on(s, BPF_ITER_CREATE, &a, 8), -EINVAL);
	close(link);
	t_row("%s: RAW_TRACEPOINT_OPEN", who(s));
	r = load(s, BPF_PROG_TYPE_RAW_TRACEPOINT, 0, 0);
	EQ(open_raw(s, "nope", r), -ENOENT);
	EQ(open_raw(s, "", r), -ENOENT);
	EQ(open_raw(s, NULL, r), -EFAULT);
	EQ(open_raw(s, (void *)1, r), -EFAULT);
	EQ(open_raw(s, "sys_enter", -1), -EBADF);
	EQ(open_raw(s, (void *)1, -1), -EBADF);
	EQ(open_raw(s, "sys_enter", p), -EINVAL);
	EQ(open_raw(s, "sys_enter_getppid", r), -ENOENT);
	link = open_raw(s, "sys_enter", r);
	CHECK(link >= 0);
	EQ(gone(s, open_raw(s, "sys_enter", r)), 0);
	a.link_detach.link_fd = (u32)link;
	EQ(bpf_on(s, BPF_LINK_DETACH, &a, 4), -EOPNOTSUPP);
	memset(&a, 0, sizeof(a));
	a.link_update.link_fd = (u32)link;
	a.link_update.new_prog_fd = (u32)r;
	EQ(bpf_on(s, BPF_LINK_UPDATE, &a, sizeof(a.link_update)), -EINVAL);
	close(link);
	close(r);
	close(ev);
	close(p);
}

TEST(link_commands)
{
	both(link_errors);
}

static void raw_args(const struct side *s)
{
	static const struct { const char *name; int args; } rows[] = {
		{ "sys_enter", 2 }, { "sys_exit", 2 }, { "sched_process_exec", 3 }, { "sched_process_fork", 2 },
		{ "sched_process_exit", 2 },
	};

	for (u32 r = 0; r < ARRAY_SIZE(rows); r++)
		for (int n = 0; n < 5; n++) {
			int prog = load(s, BPF_PROG_TYPE_RAW_TRACEPOINT, 8 * n, 0);

			t_row("%s: raw tracepoint %s, argument %d", who(s), rows[r].name, n);
			EQ(gone(s, open_raw(s, rows[r].name, prog)), n < rows[r].args ? 0 : -EINVAL);
			close(prog);
		}
}

TEST(arguments_of_raw_tracepoints)
{
	both(raw_args);
}

/* ---- what they tell ---- */

static u32 id_of(const struct side *s, int prog)
{
	struct skep_prog_info i = { 0 };
	union skep_attr a = { 0 };

	a.info.bpf_fd = (u32)prog;
	a.info.info_len = sizeof(i);
	a.info.info = (u64)(uintptr_t)&i;
	EQ(bpf_on(s, BPF_OBJ_GET_INFO_BY_FD, &a, sizeof(a.info)), 0);
	return i.id;
}

static long info(const struct side *s, int link, struct skep_link_info *i)
{
	union skep_attr a = { 0 };
	long r;

	a.info.bpf_fd = (u32)link;
	a.info.info_len = sizeof(*i);
	a.info.info = (u64)(uintptr_t)i;
	r = bpf_on(s, BPF_OBJ_GET_INFO_BY_FD, &a, sizeof(a.info));
	if (!r)
		EQ(a.info.info_len, 64);
	return r;
}

static void perf_info(const struct side *s)
{
	int p = load(s, BPF_PROG_TYPE_TRACEPOINT, -1, 0), ev = open_event(s, PERF_TYPE_TRACEPOINT, s->enter, -1, 0);
	int link = make_link(s, p, ev, 0, 77);
	struct skep_link_info i = { 0 };
	char name[64] = "";

	t_row("%s: info of a tracepoint's link", who(s));
	CHECK(link >= 0);
	EQ(info(s, link, &i), 0);
	EQ(i.type, BPF_LINK_TYPE_PERF_EVENT);
	EQ(i.prog_id, id_of(s, p));
	EQ(i.perf_event.type, BPF_PERF_EVENT_TRACEPOINT);
	EQ(i.perf_event.tracepoint.name_len, 18);
	EQ(i.perf_event.tracepoint.cookie, 77);
	memset(&i, 0, sizeof(i));
	i.perf_event.tracepoint.tp_name = (u64)(uintptr_t)name;
	i.perf_event.tracepoint.name_len = sizeof(name);
	EQ(info(s, link, &i), 0);
	STR_EQ(name, "sys_enter_getppid");
	EQ(i.perf_event.tracepoint.name_len, 18);
	t_row("%s: a name that does not fit", who(s));
	memset(&i, 0, sizeof(i));
	i.perf_event.tracepoint.tp_name = (u64)(uintptr_t)name;
	i.perf_event.tracepoint.name_len = 5;
	EQ(info(s, link, &i), -ENOSPC);
	STR_EQ(name, "sys_");
	i.perf_event.tracepoint.name_len = 0;
	EQ(info(s, link, &i), -EINVAL);
	i.perf_event.tracepoint.name_len = 5;
	i.perf_event.tracepoint.tp_name = 0;
	EQ(info(s, link, &i), -EINVAL);
	i.perf_event.tracepoint.tp_name = 1;
	EQ(info(s, link, &i), -EFAULT);
	close(ev);
	close(link);
	close(p);
}

static void raw_info(const struct side *s)
{
	int r = load(s, BPF_PROG_TYPE_RAW_TRACEPOINT, 0, 0), link = open_raw(s, "sys_enter", r);
	struct skep_link_info i = { 0 };
	char name[64] = "";

	t_row("%s: info of a raw tracepoint's link", who(s));
	EQ(info(s, link, &i), 0);
	EQ(i.type, BPF_LINK_TYPE_RAW_TRACEPOINT);
	EQ(i.raw_tracepoint.tp_name_len, 10);
	i.raw_tracepoint.tp_name = (u64)(uintptr_t)name;
	i.raw_tracepoint.tp_name_len = sizeof(name);
	EQ(info(s, link, &i), 0);
	STR_EQ(name, "sys_enter");
	EQ(i.raw_tracepoint.tp_name_len, 10);
	i.raw_tracepoint.tp_name_len = 5;
	EQ(info(s, link, &i), -ENOSPC);
	STR_EQ(name, "sys_");
	i.raw_tracepoint.tp_name = 0;
	EQ(info(s, link, &i), -EINVAL);
	close(link);
	close(r);
}

TEST(link_info)
{
	both(perf_info);
	both(raw_info);
}

struct told {
	long err;
	char name[32];
	u32 len, prog, type;
};

static struct told query(const struct side *s, int fd, u32 room)
{
	struct told t = { 0 };
	union skep_attr a = { 0 };

	a.task_fd_query.pid = (u32)getpid();
	a.task_fd_query.fd = (u32)fd;
	a.task_fd_query.buf = room ? (u64)(uintptr_t)t.name : 0;
	a.task_fd_query.buf_len = room;
	t.err = bpf_on(s, BPF_TASK_FD_QUERY, &a, sizeof(a.task_fd_query));
	t.len = a.task_fd_query.buf_len;
	t.prog = a.task_fd_query.prog_id;
	t.type = a.task_fd_query.fd_type;
	return t;
}

static void queries(const struct side *s)
{
	int p = load(s, BPF_PROG_TYPE_TRACEPOINT, -1, 0), ev = open_event(s, PERF_TYPE_TRACEPOINT, s->enter, -1, 0);
	int r = load(s, BPF_PROG_TYPE_RAW_TRACEPOINT, 0, 0), raw = open_raw(s, "sys_enter", r), link;
	struct told t;

	t_row("%s: TASK_FD_QUERY", who(s));
	EQ(query(s, ev, 32).err, -ENOENT);
	EQ(query(s, p, 32).err, -524);
	EQ(query(s, 1000, 32).err, -EBADF);
	EQ(ioctl_on(s, ev, PERF_EVENT_IOC_SET_BPF, p), 0);
	t = query(s, ev, 32);
	EQ(t.err, 0);
	STR_EQ(t.name, "sys_enter_getppid");
	EQ(t.len, 17);
	EQ(t.prog, id_of(s, p));
	EQ(t.type, BPF_FD_TYPE_TRACEPOINT);
	t = query(s, ev, 5);
	EQ(t.err, -ENOSPC);
	STR_EQ(t.name, "sys_");
	EQ(t.len, 17);
	EQ(t.prog, id_of(s, p));
	t = query(s, ev, 0);
	EQ(t.err, 0);
	EQ(t.len, 17);
	t = query(s, raw, 32);
	EQ(t.err, 0);
	STR_EQ(t.name, "sys_enter");
	EQ(t.prog, id_of(s, r));
	EQ(t.type, BPF_FD_TYPE_RAW_TRACEPOINT);
	close(ev);
	ev = open_event(s, PERF_TYPE_TRACEPOINT, s->exit, -1, 0);
	link = make_link(s, p, ev, 0, 0);
	EQ(query(s, link, 32).err, -524);
	t = query(s, ev, 32);
	EQ(t.err, 0);
	STR_EQ(t.name, "sys_exit_getppid");
	EQ(t.prog, id_of(s, p));
	close(link);
	close(ev);
	close(raw);
	close(r);
	close(p);
}

TEST(task_fd_query)
{
	both(queries);
}

static void asked(const struct side *s)
{
	struct {
		struct perf_event_query_bpf q;
		u32 ids[8];
	} x;
	int p[3], ev[3], lock = open("/tmp", O_RDONLY | O_CLOEXEC);

	flock(lock, LOCK_EX);		/* the kernel's tracepoint is everybody's: other runs of this test wait */
	t_row("%s: PERF_EVENT_IOC_QUERY_BPF", who(s));
	for (int i = 0; i < 3; i++) {
		p[i] = load(s, BPF_PROG_TYPE_TRACEPOINT, i ? 8 : -1, 0);
		ev[i] = open_event(s, PERF_TYPE_TRACEPOINT, s->quiet, -1, 0);
	}
	memset(&x, 0xff, sizeof(x));
	x.q.ids_len = 8;
	EQ(ioctl_on(s, ev[0], PERF_EVENT_IOC_QUERY_BPF, (long)&x), 0);
	EQ(x.q.prog_cnt, 0);
	for (int i = 2; i >= 0; i--)
		EQ(ioctl_on(s, ev[i], PERF_EVENT_IOC_SET_BPF, p[i]), 0);
	EQ(ioctl_on(s, ev[0], PERF_EVENT_IOC_QUERY_BPF, (long)&x), 0);
	EQ(x.q.prog_cnt, 3);
	for (int i = 0; i < 3; i++)
		EQ(x.q.ids[i], id_of(s, p[2 - i]));
	memset(&x, 0xff, sizeof(x));
	x.q.ids_len = 2;
	EQ(ioctl_on(s, ev[1], PERF_EVENT_IOC_QUERY_BPF, (long)&x), -ENOSPC);
	EQ(x.q.prog_cnt, 3);
	EQ(x.q.ids[1], id_of(s, p[1]));
	EQ(x.q.ids[2], -1u);
	x.q.ids_len = 0;
	EQ(ioctl_on(s, ev[1], PERF_EVENT_IOC_QUERY_BPF, (long)&x), 0);
	EQ(x.q.prog_cnt, 3);
	x.q.ids_len = 65;
	EQ(ioctl_on(s, ev[1], PERF_EVENT_IOC_QUERY_BPF, (long)&x), -E2BIG);
	EQ(ioctl_on(s, ev[1], PERF_EVENT_IOC_QUERY_BPF, 1), -EFAULT);
	for (int i = 0; i < 3; i++) {
		close(ev[i]);
		close(p[i]);
	}
	close(lock);
}

TEST(programs_of_a_tracepoint)
{
	both(asked);
}

static void ioctls(const struct side *s)
{
	int ev = open_event(s, PERF_TYPE_TRACEPOINT, s->enter, -1, 0);
	u64 id = 0;

	t_row("%s: ioctls of an event that programs are attached to", who(s));
	EQ(ioctl_on(s, ev, PERF_EVENT_IOC_ENABLE, 0), 0);
	EQ(ioctl_on(s, ev, PERF_EVENT_IOC_DISABLE, 0), 0);
	EQ(ioctl_on(s, ev, PERF_EVENT_IOC_RESET, 0), 0);
	EQ(ioctl_on(s, ev, PERF_EVENT_IOC_ID, (long)&id), 0);
	CHECK(id);
	EQ(ioctl_on(s, ev, PERF_EVENT_IOC_ID, 1), -EFAULT);
	EQ(ioctl_on(s, ev, PERF_EVENT_IOC_SET_FILTER, (long)"a==1"), -EINVAL);
	close(ev);
}

TEST(ioctls_of_tracepoint_events)
{
	both(ioctls);
}

/* What fdinfo says from link_type on, with the ids and the tag (which must be there) struck out. */
static void fdinfo(const struct side *s, int link, char *out, size_t size)
{
	char path[64], *p;
	struct sbuf b = { 0 };
	struct obj_dir *d;
	ssize_t n;
	int fd;

	if (s->kernel) {
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", link);
		fd = open(path, O_RDONLY);
		n = read(fd, out, size - 1);
		close(fd);
		out[n > 0 ? n : 0] = 0;
	} else {
		CHECK(!door_dir(&d) && !sys_fdinfo(d, link, &b));
		snprintf(out, size, "%s", b.s);
		sbuf_free(&b);
	}
	p = strstr(out, "link_type:");
	CHECK(p);
	memmove(out, p ? p : out, p ? strlen(p) + 1 : 1);
	for (p = out; (p = strstr(p, "_id:\t")); *p = '#')
		for (p += 5; *p >= '0' && *p <= '9';)
			memmove(p, p + 1, strlen(p));
	p = strstr(out, "prog_tag:\t");
	if (p && strcspn(p + 10, "\n") == 16)
		memset(p + 10, 't', 16);
}

TEST(fdinfo_of_links)
{
	const struct side *sides[] = { &skep, &host };
	char text[2][2][512] = { 0 };

	init();
	for (u32 k = 0; k < 2; k++) {
		const struct side *s = sides[k];
		int p, r, ev, links[2];

		if (!s->enter) {
			t_skip("no kernel with bpf and tracefs to compare with");
			return;
		}
		p = load(s, BPF_PROG_TYPE_TRACEPOINT, -1, 0);
		r = load(s, BPF_PROG_TYPE_RAW_TRACEPOINT, 0, 0);
		ev = open_event(s, PERF_TYPE_TRACEPOINT, s->enter, -1, 0);
		links[0] = make_link(s, p, ev, 0, 7);
		links[1] = open_raw(s, "sys_exit", r);
		for (u32 i = 0; i < 2; i++) {
			fdinfo(s, links[i], text[k][i], sizeof(text[k][i]));
			close(links[i]);
		}
		close(ev);
		close(r);
		close(p);
	}
	STR_EQ(text[0][0], text[1][0]);
	STR_EQ(text[0][1], text[1][1]);
	HAS(text[0][0], "tp_name:\tsys_enter_getppid\n");
}
