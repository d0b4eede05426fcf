/* SPDX-License-Identifier: Apache-2.0 */
/* process_test.c - objects and the ways of the world: inherited and passed fds, exec, namespaces, other users,
 * planted directories, symlinks, full and noexec file systems, garbage, many processes at once. */
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "step.h"

static u32 *shared;

static void setup(void)
{
	dir_setup();
	if (!shared)
		shared = mmap(NULL, SKEP_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(shared, 0, SKEP_PAGE);
}

/* fn in a child; its exit status, 1000 + signal if it was killed. */
static int in_child(int (*fn)(void))
{
	int st;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(fn());
	waitpid(pid, &st, 0);
	return WIFSIGNALED(st) ? 1000 + WTERMSIG(st) : WEXITSTATUS(st);
}

static void wait_dead(u32 id)
{
	for (int i = 0; i < 5000 && obj_alive(dir, OBJ_MAP, id); i++)
		usleep(1000);
}

/* ---- fds ---- */

TEST(an_inherited_fd_keeps_the_object_after_its_opener_was_killed)
{
	pid_t pid;
	int fd;
	u32 id;

	setup();
	id = make_obj(OBJ_MAP, 0, 0, &fd);
	NEED(id);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	close(fd);
	EQ(obj_gc(dir), 0);
	CHECK(obj_alive(dir, OBJ_MAP, id));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EQ(obj_gc(dir), 1);
}

TEST(exec_closes_what_is_close_on_exec)
{
	pid_t pid;
	int fd;
	u32 id;

	setup();
	id = make_obj(OBJ_MAP, 0, 0, &fd);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("sleep", "sleep", "10", NULL);
	}
	close(fd);
	wait_dead(id);
	CHECK(!obj_alive(dir, OBJ_MAP, id));
	EQ(kill(pid, 0), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	obj_gc(dir);
}

static int send_fd(int sock, int fd)
{
	char c[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec v = { "x", 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof(c) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	return sendmsg(sock, &m, 0) == 1 ? 0 : -errno;
}

static int recv_fd(int sock)
{
	char c[CMSG_SPACE(sizeof(int))], b;
	struct iovec v = { &b, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof(c) };
	int fd = -1;

	if (recvmsg(sock, &m, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&m))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

static int pair[2];
static int make_and_send(void)
{
	int fd;

	shared[0] = make_obj(OBJ_MAP, 0, 0, &fd);
	return send_fd(pair[0], fd) ? 1 : 0;
}

TEST(an_fd_in_flight_in_a_socket_keeps_the_object)
{
	struct obj *o;
	int fd;

	setup();
	NEED(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	EQ(in_child(make_and_send), 0);
	EQ(obj_gc(dir), 0);
	CHECK(obj_alive(dir, OBJ_MAP, shared[0]));
	fd = recv_fd(pair[1]);
	NEED(fd >= 0);
	EQ(obj_map(dir, fd, &o), 0);
	EQ(o->id, shared[0]);
	obj_unmap(o);
	EQ(obj_gc(dir), 0);
	close(fd);
	EQ(obj_gc(dir), 1);
	close(pair[0]);
	close(pair[1]);
}

static int close_all_and_go_on(void)
{
	u32 next;
	int fd;

	closefrom(3);
	for (int i = 0; i < 8; i++)		/* other files under our old numbers */
		if (fcntl(open("/dev/null", O_RDWR), F_DUPFD, 600) < 0)
			return 1;
	shared[0] = make_obj(OBJ_MAP, 0, 0, &fd);
	if (!shared[0] || obj_pin(dir, fd, "afterwards") || obj_next_id(dir, OBJ_MAP, 0, &next))
		return 2;
	return next == shared[0] ? 0 : 3;
}

TEST(a_client_that_closes_every_fd_of_its_process)
{
	setup();
	EQ(in_child(close_all_and_go_on), 0);
	CHECK(obj_alive(dir, OBJ_MAP, shared[0]));
	EQ(unpin("afterwards"), 0);
	EQ(obj_gc(dir), 1);
}

TEST(which_fd_is_no_object)
{
	enum obj_kind k;
	struct stat st;
	struct obj *o;
	int fd;

	setup();
	EQ(obj_identify(dir, -1, &k, &st), -EBADF);
	EQ(obj_identify(dir, 9999, &k, &st), -EBADF);
	EQ(obj_identify(dir, dir->fd, &k, &st), -EBADF);	/* O_PATH */
	fd = open("/dev/null", O_RDWR);
	EQ(obj_identify(dir, fd, &k, &st), -EINVAL);
	EQ(obj_map(dir, fd, &o), -EINVAL);
	close(fd);
	fd = openat(dir->fd, "control", O_RDWR);
	EQ(obj_identify(dir, fd, &k, &st), -EINVAL);
	close(fd);
	fd = openat(dir->fd, ".", O_RDONLY);
	EQ(obj_identify(dir, fd, &k, &st), -EINVAL);
	close(fd);
}

/* ---- the prog_array rule ---- */

static u32 gone_calls, gone_id;

static void on_gone(struct obj_dir *d, enum obj_kind kind, u32 id)
{
	gone_calls++;
	gone_id = id;
	if (kind == OBJ_MAP)
		obj_unref(d, kind, id, "slot0");	/* what the map layer does: empty it */
}

TEST(user_gone_is_told_when_the_last_fd_and_pin_went_and_breaks_cycles)
{
	u32 m, p;
	int mfd, pfd;

	setup();
	obj_on_user_gone = on_gone;
	gone_calls = 0;
	m = make_obj(OBJ_MAP, 0, OBJ_F_URELEASE, &mfd);
	p = make_obj(OBJ_PROG, 0, 0, &pfd);
	EQ(obj_ref(dir, OBJ_MAP, m, "slot0", OBJ_PROG, p), 0);
	EQ(obj_ref(dir, OBJ_PROG, p, "map0", OBJ_MAP, m), 0);
	EQ(obj_pin(dir, mfd, "array"), 0);
	close(pfd);
	obj_gc(dir);
	EQ(gone_calls, 0);			/* an fd and a pin */
	close(mfd);
	obj_gc(dir);
	EQ(gone_calls, 0);			/* a pin */
	unpin("array");
	obj_gc(dir);
	CHECK(gone_calls >= 1);
	EQ(gone_id, m);
	obj_gc(dir);
	EQ(left_over(), 0);
	obj_on_user_gone = NULL;
}

/* ---- the directory ---- */

static char path[200];

static const char *sub(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", t_tmpdir(), name);
	return path;
}

TEST(directories_that_are_refused)
{
	struct obj_dir *d;
	char target[240];
	int fd;

	t_row("group may read: -EPERM");
	mkdir(sub("g"), 0700);
	chmod(path, 0750);
	EQ(obj_dir_open(path, &d), -EPERM);
	t_row("everybody may enter: -EPERM");
	chmod(path, 0711);
	EQ(obj_dir_open(path, &d), -EPERM);
	t_row("a symlink to a good directory: -EPERM");
	mkdir(sub("good"), 0700);
	strcpy(target, path);
	NEED(!symlink(target, sub("link")));
	EQ(obj_dir_open(path, &d), -EPERM);
	t_row("a symlink to nothing: -EPERM");
	NEED(!symlink("/nonexistent/x", sub("dangling")));
	EQ(obj_dir_open(path, &d), -EPERM);
	t_row("a file: -ENOTDIR");
	fd = open(sub("file"), O_CREAT | O_RDWR, 0600);
	close(fd);
	EQ(obj_dir_open(path, &d), -ENOTDIR);
	t_row("its parent is missing: -ENOENT");
	EQ(obj_dir_open(sub("no/such"), &d), -ENOENT);
	t_row("a path that is too long: -ENAMETOOLONG");
	char longer[400];
	memset(longer, 'a', sizeof(longer) - 1);
	longer[0] = '/';
	longer[399] = 0;
	EQ(obj_dir_open(longer, &d), -ENAMETOOLONG);
	t_row("a subdirectory is a symlink: refused");
	mkdir(sub("trap"), 0700);
	snprintf(target, sizeof(target), "%s/bpf-map", path);
	NEED(!symlink("/tmp", target));
	CHECK(obj_dir_open(path, &d) < 0);
}

TEST(another_users_directory_planted_first)
{
	struct obj_dir *d;

	if (!t_is_root()) {
		t_skip("needs root to make another user's directory");
		return;
	}
	mkdir(sub("planted"), 0700);
	NEED(!chown(path, 1001, 1001));
	EQ(obj_dir_open(path, &d), -EPERM);
}

static int open_as_other(void)
{
	struct obj_dir *d;

	if (setgid(1001) || setuid(1001))
		return 1;
	return obj_dir_open(path, &d) == -EPERM ? 0 : 2;
}

TEST(root_plants_a_directory_for_a_user)
{
	if (!t_is_root()) {
		t_skip("needs root to be another user");
		return;
	}
	chmod(t_tmpdir(), 0755);
	mkdir(sub("roots"), 0700);
	EQ(in_child(open_as_other), 0);
	chmod(t_tmpdir(), 0700);
}

static int open_under_odd_umask(void)
{
	struct obj_dir *d;
	int fd;

	umask(077);
	if (obj_dir_open(sub("umask"), &d))
		return 1;
	umask(0);
	if (obj_dir_open(sub("umask0"), &d))
		return 2;
	dir = d;
	return make_obj(OBJ_MAP, 0, 0, &fd) ? 0 : 3;
}

TEST(a_umask_changes_nothing)
{
	EQ(in_child(open_under_odd_umask), 0);
}

/* ---- file systems: in a child with its own mount namespace ---- */

enum { CANNOT = 77 };

static bool put(const char *file, const char *fmt, u32 id)
{
	char text[32];
	int fd = open(file, O_WRONLY), n = snprintf(text, sizeof(text), fmt, id);
	bool ok = fd >= 0 && write(fd, text, n) == n;

	close(fd);
	return ok;
}

/* A mount namespace: as root at once, else as root of a user namespace. */
static bool own_mounts(void)
{
	u32 uid = getuid(), gid = getgid();

	if (!unshare(CLONE_NEWNS))
		return true;
	return !unshare(CLONE_NEWUSER | CLONE_NEWNS) && put("/proc/self/setgroups", "deny", 0) &&
	       put("/proc/self/uid_map", "0 %u 1", uid) && put("/proc/self/gid_map", "0 %u 1", gid);
}

static int mount_tmpfs(const char *opts, unsigned long flags)
{
	if (!own_mounts())
		return CANNOT;
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	mkdir(sub("fs"), 0700);
	if (mount("skep", path, "tmpfs", flags, opts))
		return CANNOT;
	return 0;
}

static int open_on(struct obj_dir **d)
{
	char p[240];

	snprintf(p, sizeof(p), "%s/k", sub("fs"));
	return obj_dir_open(p, d);
}

static int full_tmpfs(void)
{
	struct obj *o;
	int fd, err = mount_tmpfs("size=2m,mode=700", 0), keep;

	if (err)
		return err;
	if (open_on(&dir))
		return 1;
	if (!make_obj(OBJ_MAP, SKEP_PAGE, 0, &keep))
		return 2;
	if (obj_create(dir, OBJ_MAP, "big", 64 << 20, 0, &o, &fd) != -ENOSPC)
		return 3;
	if (left_over() != 1)			/* nothing of it is left */
		return 4;
	/* dead objects make room */
	if (!make_obj(OBJ_MAP, 1 << 20, 0, &fd))
		return 5;
	close(fd);
	if (!make_obj(OBJ_PROG, 1 << 20, 0, &fd))
		return 6;
	if (obj_create(dir, OBJ_MAP, "big", 1 << 20, 0, &o, &fd) != -ENOSPC)
		return 7;
	/* every page was reserved: writing all of it is no SIGBUS */
	if (obj_map(dir, keep, &o))
		return 8;
	memset(o->base, 1, SKEP_PAGE);
	return READ_ONCE(o->damaged) ? 9 : 0;
}

static int tiny_tmpfs(void)
{
	struct obj_dir *d;
	int err = mount_tmpfs("size=16k,mode=700", 0);

	return err ? err : open_on(&d) == -ENOSPC ? 0 : 1;
}

static int no_inodes(void)
{
	struct obj_dir *d;
	int err = mount_tmpfs("nr_inodes=5,mode=700", 0);

	return err ? err : open_on(&d) == -ENOSPC ? 0 : 1;
}

static int noexec_tmpfs(void)
{
	int fd, err = mount_tmpfs("mode=700", MS_NOEXEC | MS_NOSUID | MS_NODEV);
	struct obj *o;
	u32 id;

	if (err)
		return err;
	if (open_on(&dir))
		return 1;
	id = make_obj(OBJ_MAP, SKEP_PAGE, 0, &fd);
	if (!id || obj_pin(dir, fd, "p") || obj_map(dir, fd, &o))
		return 2;
	return 0;
}

static int read_only(void)
{
	struct obj_dir *d;
	int err = mount_tmpfs("mode=700", 0);

	if (err)
		return err;
	mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL);
	return open_on(&d) == -EROFS ? 0 : 1;
}

TEST(file_systems)
{
	static const struct {
		const char *name;
		int (*fn)(void);
	} rows[] = {
		{ "a full tmpfs is -ENOSPC at creation, dead objects make room, nothing is left", full_tmpfs },
		{ "no room for the control file: -ENOSPC", tiny_tmpfs },
		{ "no inodes: -ENOSPC", no_inodes },
		{ "a noexec tmpfs will do", noexec_tmpfs },
		{ "a read-only file system: -EROFS", read_only },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int ret;

		t_row("file systems: %s", rows[i].name);
		ret = in_child(rows[i].fn);
		if (ret == CANNOT && !t_is_root())
			t_skip("cannot mount here");
		else
			EQ(ret, 0);
	}
}

/* ---- namespaces ---- */

static int in_pid_namespace(void)
{
	pid_t pid;
	int st;

	if (unshare(CLONE_NEWPID) && unshare(CLONE_NEWUSER | CLONE_NEWPID))
		return CANNOT;
	pid = fork();
	if (!pid) {
		int fd;

		if (getpid() != 1)
			_exit(1);
		shared[1] = make_obj(OBJ_MAP, 0, 0, &fd);	/* pid 1's object, as seen from outside */
		if (!obj_alive(dir, OBJ_MAP, shared[0]) || !shared[1])
			_exit(2);
		obj_gc(dir);
		_exit(obj_alive(dir, OBJ_MAP, shared[0]) && obj_alive(dir, OBJ_MAP, shared[1]) ? 0 : 3);
	}
	waitpid(pid, &st, 0);
	return WIFEXITED(st) ? WEXITSTATUS(st) : 9;
}

TEST(pid_namespaces_do_not_hide_the_living)
{
	int fd, ret;

	setup();
	shared[0] = make_obj(OBJ_MAP, 0, 0, &fd);
	ret = in_child(in_pid_namespace);
	if (ret == CANNOT) {
		t_skip("no namespaces here");
	} else {
		EQ(ret, 0);
		CHECK(!obj_alive(dir, OBJ_MAP, shared[1]));
	}
	close(fd);
	obj_gc(dir);
	EQ(left_over(), 0);
}

/* ---- garbage ---- */

static void header_garbage(u32 *seed, int fd, off_t size)
{
	u32 buf[256];

	for (size_t i = 0; i < ARRAY_SIZE(buf); i++)
		buf[i] = *seed = *seed * 1664525 + 1013904223;
	/* mostly plausible: one field at a time, sometimes all */
	if (*seed % 4)
		CHECK(pwrite(fd, buf, 4, size - SKEP_PAGE + (*seed >> 8) % 26 * 4) == 4);
	else
		CHECK(pwrite(fd, buf, sizeof(buf), size - SKEP_PAGE) == sizeof(buf));
}

TEST(garbage_in_headers_is_an_error_or_harmless)
{
	u32 seed = 99;

	setup();
	for (int i = 0; i < (t_fast() ? 300 : 5000); i++) {
		int fd, again;
		u32 id = make_obj(OBJ_MAP, SKEP_PAGE, 0, &fd);
		enum obj_kind k;
		struct obj *o;
		struct stat st;

		NEED(id && !fstat(fd, &st));
		header_garbage(&seed, fd, st.st_size);
		again = obj_open_id(dir, OBJ_MAP, id, O_RDWR);
		EQ(obj_identify(dir, fd, &k, &st), 0);		/* its path still tells */
		EQ(k, OBJ_MAP);
		if (!obj_map(dir, fd, &o)) {
			EQ(o->size, st.st_size);
			EQ(o->client_size + o->private_size + SKEP_PAGE, o->size);
			obj_unmap(o);
		}
		if (again >= 0)
			close(again);
		close(fd);
		obj_gc(dir);
		EQ(left_over(), 0);
	}
}

TEST(a_file_cut_short_is_euclean)
{
	static const off_t sizes[] = { 0, 1, SKEP_PAGE, 2 * SKEP_PAGE, 3 * SKEP_PAGE - 1 };

	setup();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct obj *o, *mapped;
		enum obj_kind k;
		struct stat st;
		int fd;

		t_row("an object of 3 pages cut to %ld bytes is -EUCLEAN", (long)sizes[i]);
		NEED(make_obj(OBJ_MAP, SKEP_PAGE, 0, &fd));
		NEED(!obj_map(dir, fd, &mapped));
		EQ(obj_check_size(mapped), 0);
		EQ(ftruncate(fd, sizes[i]), 0);
		EQ(obj_identify(dir, fd, &k, &st), 0);
		EQ(obj_map(dir, fd, &o), -EUCLEAN);
		(void)*(volatile u8 *)(mapped->base + 2 * SKEP_PAGE);
		if (sizes[i] <= 2 * (off_t)SKEP_PAGE)
			EQ(obj_check_size(mapped), -EUCLEAN);
		obj_unmap(mapped);
		close(fd);
		obj_gc(dir);
		EQ(left_over(), 0);
	}
}

TEST(strange_things_in_the_directory_stop_nobody)
{
	int fd, at;
	u32 id, next;

	setup();
	at = dir->kind_fd[OBJ_MAP];
	mkdirat(at, "12", 0700);
	mkfifoat(at, "13", 0600);
	CHECK(!symlinkat("/etc/passwd", at, "14"));
	close(openat(at, "x", O_CREAT | O_RDWR, 0600));
	close(openat(at, "007", O_CREAT | O_RDWR, 0600));
	close(openat(at, "99999999999", O_CREAT | O_RDWR, 0600));
	close(openat(dir->dead_fd, "zzz", O_CREAT | O_RDWR, 0600));
	mkdirat(dir->dead_fd, "m15", 0700);
	id = make_obj(OBJ_MAP, 0, 0, &fd);
	NEED(id);
	EQ(obj_open_id(dir, OBJ_MAP, 12, O_RDWR), -ENOENT);
	EQ(obj_open_id(dir, OBJ_MAP, 13, O_RDWR), -ENOENT);
	EQ(obj_open_id(dir, OBJ_MAP, 14, O_RDWR), -ENOENT);
	EQ(obj_next_id(dir, OBJ_MAP, 0, &next), 0);
	EQ(next, id);
	obj_gc(dir);
	EQ(obj_open_pin(dir, "nothing", O_RDWR), -ENOENT);
	mkdirat(dir->bpffs_fd, "d", 0700);
	mkfifoat(dir->bpffs_fd, "f", 0600);
	close(openat(dir->bpffs_fd, "empty", O_CREAT | O_RDWR, 0600));
	EQ(obj_open_pin(dir, "d", O_RDWR), -EACCES);
	EQ(obj_open_pin(dir, "f", O_RDWR), -EACCES);
	EQ(obj_open_pin(dir, "empty", O_RDWR), -EACCES);
	EQ(obj_open_pin(dir, "../control", O_RDWR), -EPERM);
	EQ(obj_open_pin(dir, "/etc/passwd", O_RDWR), -EINVAL);
	EQ(obj_open_pin(dir, "", O_RDWR), -EINVAL);
	EQ(obj_pin(dir, fd, "d/in"), 0);
	EQ(unpin("d/in"), 0);
	close(fd);
	obj_gc(dir);
	unlinkat(at, "12", AT_REMOVEDIR);
	unlinkat(at, "13", 0);
	unlinkat(at, "14", 0);
	unlinkat(at, "x", 0);
	unlinkat(at, "007", 0);
	unlinkat(at, "99999999999", 0);
	unlinkat(dir->dead_fd, "zzz", 0);
	unlinkat(dir->dead_fd, "m15", AT_REMOVEDIR);
	unlinkat(dir->bpffs_fd, "d", AT_REMOVEDIR);
	unlinkat(dir->bpffs_fd, "f", 0);
	unlinkat(dir->bpffs_fd, "empty", 0);
	EQ(left_over(), 0);
}

TEST(an_id_in_use_is_never_given_again)
{
	struct obj *o;
	int fd, other;
	u32 id, second;

	setup();
	id = make_obj(OBJ_MAP, 0, 0, &fd);
	NEED(id && !obj_map(dir, fd, &o));
	int ctl = openat(dir->fd, "control", O_RDWR);
	u32 before = id - 1;

	EQ(pwrite(ctl, &before, 4, 8), 4);		/* control.last_id: somebody's garbage */
	second = make_obj(OBJ_MAP, 0, 0, &other);
	CHECK(second && second != id);
	/* also not while its name lies in dead/ */
	char name[16], kid[16];
	snprintf(name, sizeof(name), "%u", id);
	snprintf(kid, sizeof(kid), "m%u", id);
	EQ(renameat(dir->kind_fd[OBJ_MAP], name, dir->dead_fd, kid), 0);
	close(other);
	EQ(pwrite(ctl, &before, 4, 8), 4);
	second = make_obj(OBJ_MAP, 0, 0, &other);
	CHECK(second && second != id);
	obj_gc(dir);					/* puts it back: it lives */
	CHECK(obj_alive(dir, OBJ_MAP, id));
	close(other);
	close(fd);
	close(ctl);
	obj_unmap(o);
	obj_gc(dir);
	EQ(left_over(), 0);
}

/* ---- a stopped collector ---- */

static void collect_it(void)
{
	obj_collect(dir, OBJ_MAP, shared[0]);
}

TEST(a_stopped_collector_stops_nobody)
{
	setup();
	for (int n = 0; n < 60; n++) {
		struct stepper c;
		int fd, other, pinned;
		u32 next;

		/* dead when the collector starts; a pin is made from a second life (open by name in its window) */
		shared[0] = make_obj(OBJ_MAP, 0, 0, &fd);
		NEED(shared[0]);
		close(fd);
		c = step_start(collect_it);
		for (int i = 0; i < n && step_half(&c); i++)
			;
		/* stopped there for ever; the others go on */
		other = obj_open_id(dir, OBJ_MAP, shared[0], O_RDWR);
		EQ(other, -ENOENT);
		CHECK(make_obj(OBJ_MAP, 0, 0, &fd) != 0);
		EQ(obj_pin(dir, fd, "meanwhile"), 0);
		pinned = obj_open_pin(dir, "meanwhile", O_RDWR);
		CHECK(pinned >= 0);
		EQ(obj_next_id(dir, OBJ_MAP, shared[0], &next), 0);
		obj_gc(dir);
		close(pinned);
		close(fd);
		unpin("meanwhile");
		step_kill(&c);
		obj_gc(dir);
		EQ(left_over(), 0);
	}
}

/* ---- many at once ---- */

#define PROCS 8

static int cycles(void)
{
	int n = t_fast() ? 300 : 5000;

	for (int i = 0; i < n; i++) {
		char name[32];
		int fd, again, p;
		u32 m = make_obj(OBJ_MAP, SKEP_PAGE, 0, &fd), prog;

		snprintf(name, sizeof(name), "c%d", getpid() % PROCS);
		if (!m)
			return 1;
		prog = make_obj(OBJ_PROG, 0, 0, &p);
		if (!prog || obj_ref(dir, OBJ_PROG, prog, "map0", OBJ_MAP, m))
			return 2;
		close(fd);
		fd = obj_open_id(dir, OBJ_MAP, m, O_RDWR);
		if (fd < 0)
			return 3;
		if (!obj_pin(dir, p, name)) {
			close(p);
			again = obj_open_pin(dir, name, O_RDWR);
			if (again < 0 && again != -ENOENT)
				return 4;
			if (again >= 0)
				close(again);
			unpin(name);
		} else {
			close(p);		/* another has that pin: shared names collide on purpose */
		}
		close(fd);
		if (i % 16 == 0 && obj_gc(dir) < 0)
			return 5;
	}
	return 0;
}

TEST(eight_processes_leave_an_empty_directory)
{
	pid_t p[PROCS];
	int st;

	setup();
	fflush(stdout);
	for (int i = 0; i < PROCS; i++) {
		p[i] = fork();
		if (!p[i])
			_exit(cycles());
	}
	for (int i = 0; i < PROCS; i++) {
		waitpid(p[i], &st, 0);
		EQ(st, 0);
	}
	obj_gc(dir);
	EQ(left_over(), 0);
}

TEST(eight_processes_one_killed_now_and_then)
{
	int kills = t_fast() ? 20 : 300, st;
	pid_t p[PROCS];

	setup();
	fflush(stdout);
	srandom(3);
	for (int i = 0; i < PROCS; i++) {
		p[i] = fork();
		if (!p[i])
			_exit(cycles());
	}
	for (int i = 0; i < kills; i++) {
		int v = random() % PROCS;

		usleep(random() % 3000);
		kill(p[v], SIGKILL);
		waitpid(p[v], NULL, 0);
		p[v] = fork();
		if (!p[v])
			_exit(cycles());
	}
	for (int i = 0; i < PROCS; i++) {
		kill(p[i], SIGKILL);
		waitpid(p[i], &st, 0);
	}
	for (int i = 0; i < PROCS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "c%d", i);
		unpin(name);
	}
	obj_gc(dir);
	EQ(left_over(), 0);
}
