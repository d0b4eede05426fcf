/* SPDX-License-Identifier: Apache-2.0 */
/* obj_dir.c - opening a directory, and small things that all of obj*.c need.
 *
 * The directory is believed only after its owner and mode were checked on the open fd; from then on
 * everything goes by that fd, so nobody else can move it away or put a symlink in its place. */
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/agents.h"
#include "base/domain.h"
#include "base/obj_int.h"
#include "base/trace.h"

#define FD_MIN	600		/* the client's low fd numbers are its own */

static const char *const kind_names[OBJ_KINDS] = {
	[OBJ_MAP] = "bpf-map", [OBJ_PROG] = "bpf-prog", [OBJ_BTF] = "btf", [OBJ_LINK] = "bpf_link",
	[OBJ_PERF] = "perf_event",
};
const char obj_kind_letter[OBJ_KINDS] = {
	[OBJ_MAP] = 'm', [OBJ_PROG] = 'p', [OBJ_BTF] = 'b', [OBJ_LINK] = 'l',
	[OBJ_PERF] = 'e',
};

const char *obj_kind_name(enum obj_kind k)
{
	return k < OBJ_KINDS ? kind_names[k] : "?";
}

void obj_name(char name[NAME_LEN], u32 id)
{
	snprintf(name, NAME_LEN, "%u", id);
}

void obj_kid(char name[NAME_LEN], enum obj_kind kind, u32 id)
{
	snprintf(name, NAME_LEN, "%c%u", obj_kind_letter[kind], id);
}

bool obj_parse_name(const char *name, u32 *id)
{
	char again[NAME_LEN];
	unsigned long v;

	if (strlen(name) >= NAME_LEN)
		return false;
	v = strtoul(name, NULL, 10);
	if (!v || v > 0x7fffffff)
		return false;
	obj_name(again, v);
	*id = v;
	return !strcmp(again, name);
}

bool obj_parse_kid(const char *name, enum obj_kind *kind, u32 *id)
{
	const char *l = name[0] ? memchr(obj_kind_letter, name[0], OBJ_KINDS) : NULL;

	if (!l)
		return false;
	*kind = l - obj_kind_letter;
	return obj_parse_name(name + 1, id);
}

int obj_each(int dirfd, const char *name, int (*fn)(void *arg, const char *entry), void *arg)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), ret = 0;
	struct dirent *e;
	DIR *dir;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (!ret && (e = readdir(dir)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			ret = fn(arg, e->d_name);
	closedir(dir);
	return ret;
}

static int fd_high(int fd)
{
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FD_MIN);

	if (high < 0)
		return fd;
	close(fd);
	return high;
}

/* -EPERM unless it is this user's own directory, closed to everybody else. */
static int check_owner(int fd, struct stat *st)
{
	if (fstat(fd, st))
		return -errno;
	if (st->st_uid != geteuid() || (st->st_mode & 0777) != 0700)
		return -EPERM;
	return 0;
}

static int open_top(const char *path, struct stat *st)
{
	int fd, err;

	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	fd = fd_high(open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
	if (fd < 0) {
		err = errno;
		return !lstat(path, st) && S_ISLNK(st->st_mode) ? -EPERM : -err;
	}
	err = check_owner(fd, st);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

static int open_sub(int top, const char *name)
{
	int fd;

	if (mkdirat(top, name, 0700) && errno != EEXIST)
		return -errno;
	fd = fd_high(openat(top, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
	return fd < 0 ? -errno : fd;
}

static int *sub_fd(struct obj_dir *d, u32 i)
{
	int *extra[] = { &d->ref_fd, &d->bpffs_fd, &d->dead_fd };

	return i < OBJ_KINDS ? &d->kind_fd[i] : extra[i - OBJ_KINDS];
}

#define SUBS	(OBJ_KINDS + 3)

static int open_subs(struct obj_dir *d)
{
	static const char *const extra[] = { "ref", "bpffs", "dead" };

	for (u32 i = 0; i < SUBS; i++) {
		int fd = open_sub(d->fd, i < OBJ_KINDS ? kind_names[i] : extra[i - OBJ_KINDS]);

		if (fd < 0)
			return fd;
		*sub_fd(d, i) = fd;
	}
	return 0;
}

static bool fds_fit(struct obj_dir *d)
{
	struct stat st;

	return !fstat(READ_ONCE(d->fd), &st) && st.st_dev == d->dev && st.st_ino == d->ino;
}

/* The client closed every fd of its process. The old numbers are its own now: they are not closed. */
static int open_again(struct obj_dir *d)
{
	struct obj_dir fresh = *d;
	struct stat st;
	int err;

	fresh.fd = open_top(d->path, &st);
	if (fresh.fd < 0)
		return fresh.fd;
	if (st.st_dev != d->dev || st.st_ino != d->ino) {
		close(fresh.fd);
		return -ESTALE;
	}
	err = open_subs(&fresh);
	if (err)
		return err;
	for (u32 i = 0; i < SUBS; i++)
		*sub_fd(d, i) = *sub_fd(&fresh, i);
	WRITE_ONCE(d->fd, fresh.fd);
	return 0;
}

int obj_dir_ready(struct obj_dir *d)
{
	int err = 0;

	if (likely(fds_fit(d)))
		return 0;
	while (__atomic_exchange_n(&d->lock, 1, __ATOMIC_ACQUIRE))
		sched_yield();
	if (!fds_fit(d))
		err = open_again(d);
	STORE_RELEASE(d->lock, 0);
	return err;
}

static int default_path(const char *path, char *out, size_t n)
{
	const char *env = secure_getenv("SKEP_DIR");
	int len;

	if (!path && env && *env)
		path = env;
	if (path)
		len = snprintf(out, n, "%s", path);
	else
		len = snprintf(out, n, "/dev/shm/skep-%u", geteuid());
	return (size_t)len < n ? 0 : -ENAMETOOLONG;
}

int obj_dir_open(const char *path, struct obj_dir **out)
{
	struct obj_dir *d = calloc(1, sizeof(*d));
	struct stat st;
	int err;

	if (!d)
		return -ENOMEM;
	d->fd = -1;
	for (u32 i = 0; i < SUBS; i++)
		*sub_fd(d, i) = -1;
	err = default_path(path, d->path, sizeof(d->path));
	if (err)
		goto fail;
	d->fd = open_top(d->path, &st);
	err = d->fd;
	if (err < 0)
		goto fail;
	d->dev = st.st_dev;
	d->ino = st.st_ino;
	err = open_subs(d);
	if (err)
		goto fail;
	err = domain_open(d->fd, &d->dom);
	if (err)
		goto fail;
	*out = d;
	return 0;
fail:
	obj_dir_close(d);
	return err;
}

void obj_dir_close(struct obj_dir *d)
{
	if (!d)
		return;
	trace_close(d);
	agents_close(d);
	domain_close(d->dom);
	for (u32 i = 0; i < SUBS; i++)
		if (*sub_fd(d, i) >= 0)
			close(*sub_fd(d, i));
	if (d->fd >= 0)
		close(d->fd);
	free(d);
}
