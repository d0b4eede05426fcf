/* SPDX-License-Identifier: Apache-2.0 */
/* obj_pin.c - hard links that keep objects alive: pins (bpffs/) and references (ref/KID/NAME).
 *
 * A link is made only from the registry name, never from an fd: so while a name lies in dead/ no link can come
 * into being unless somebody put the name back first, and the collector sees that (doc/objects.md). */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/domain.h"
#include "base/obj_int.h"

#define TRIES	32

int obj_restore(struct obj_dir *d, enum obj_kind kind, u32 id)
{
	char name[NAME_LEN], kid[NAME_LEN];

	obj_name(name, id);
	obj_kid(kid, kind, id);
	return renameat2(d->dead_fd, kid, d->kind_fd[kind], name, RENAME_NOREPLACE) ? -errno : 0;
}

/* Link a live object under (DIRFD, PATH). */
static int link_live(struct obj_dir *d, enum obj_kind kind, u32 id, int dirfd, const char *path)
{
	char name[NAME_LEN];

	obj_name(name, id);
	for (int i = 0; i < TRIES; i++) {
		struct stat st;

		if (!linkat(d->kind_fd[kind], name, dirfd, path, 0))
			return 0;
		if (errno != ENOENT)
			return -errno;
		if (obj_restore(d, kind, id) && !fstatat(d->kind_fd[kind], name, &st, AT_SYMLINK_NOFOLLOW) && i)
			return -ENOENT;		/* the name is there: what misses is a part of PATH */
	}
	return -ENOENT;
}

/* ---- references ---- */

/* What does this link refer to? */
static int link_target(int dirfd, const char *name, enum obj_kind *kind, u32 *id)
{
	struct obj_head h;
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), err;

	if (fd < 0)
		return -errno;
	err = obj_read_head(fd, &h);
	close(fd);
	if (err)
		return err;
	*kind = h.kind;
	*id = h.id;
	return 0;
}

static int ref_dir(struct obj_dir *d, enum obj_kind okind, u32 oid, bool make)
{
	char kid[NAME_LEN];
	int fd;

	obj_kid(kid, okind, oid);
	if (make && mkdirat(d->ref_fd, kid, 0700) && errno != EEXIST)
		return -errno;
	fd = openat(d->ref_fd, kid, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool ref_name_ok(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/') && strlen(name) < 200;
}

/* rename(2) of two links to one file does nothing and leaves both: that case is done already. */
static int ref_replace(int fd, const char *name, const char *tmp)
{
	struct stat st;

	if (renameat(fd, tmp, fd, name))
		return -errno;
	if (!fstatat(fd, tmp, &st, AT_SYMLINK_NOFOLLOW))
		unlinkat(fd, tmp, 0);
	return 0;
}

struct ref_walk {
	int fd;
	int (*fn)(void *arg, const char *name, enum obj_kind kind, u32 id);
	void *arg;
};

static int ref_entry(void *arg, const char *name)
{
	struct ref_walk *w = arg;
	enum obj_kind kind;
	u32 id;

	if (*name == '.' || link_target(w->fd, name, &kind, &id))
		return 0;			/* half made, or gone meanwhile */
	return w->fn(w->arg, name, kind, id);
}

int obj_refs(struct obj_dir *d, enum obj_kind okind, u32 oid,
	     int (*fn)(void *arg, const char *name, enum obj_kind kind, u32 id), void *arg)
{
	struct ref_walk w = { .fn = fn, .arg = arg };
	int err = okind < OBJ_KINDS ? obj_dir_ready(d) : -EINVAL;

	if (err)
		return err;
	w.fd = ref_dir(d, okind, oid, false);
	if (w.fd < 0)
		return w.fd == -ENOENT ? 0 : w.fd;
	err = obj_each(w.fd, ".", ref_entry, &w);
	close(w.fd);
	return err;
}

int obj_ref(struct obj_dir *d, enum obj_kind okind, u32 oid, const char *name, enum obj_kind tkind, u32 tid)
{
	char tmp[256];
	enum obj_kind old_kind;
	int err = obj_dir_ready(d), fd;
	bool had;
	u32 old;

	if (err)
		return err;
	if (okind >= OBJ_KINDS || tkind >= OBJ_KINDS || !ref_name_ok(name))
		return -EINVAL;
	fd = ref_dir(d, okind, oid, true);
	if (fd < 0)
		return fd;
	had = !link_target(fd, name, &old_kind, &old);
	if (!had) {			/* a free name needs no second one */
		err = link_live(d, tkind, tid, fd, name);
		if (err != -EEXIST) {
			close(fd);
			return err;
		}
	}
	/* the owner word tells a gc whether somebody is still at it */
	snprintf(tmp, sizeof(tmp), ".%s.%llx", name, (unsigned long long)domain_self(d->dom));
	err = link_live(d, tkind, tid, fd, tmp);
	if (!err) {
		err = ref_replace(fd, name, tmp);
		if (err)
			unlinkat(fd, tmp, 0);
	}
	close(fd);
	if (!err && had && (old_kind != tkind || old != tid))
		obj_collect(d, old_kind, old);
	return err;
}

int obj_unref(struct obj_dir *d, enum obj_kind okind, u32 oid, const char *name)
{
	enum obj_kind kind;
	int err = obj_dir_ready(d), fd;
	bool known;
	u32 id;

	if (err)
		return err;
	if (okind >= OBJ_KINDS || !ref_name_ok(name))
		return -EINVAL;
	fd = ref_dir(d, okind, oid, false);
	if (fd < 0)
		return fd;
	known = !link_target(fd, name, &kind, &id);
	err = unlinkat(fd, name, 0) ? -errno : 0;
	close(fd);
	if (!err && known)
		obj_collect(d, kind, id);
	return err;
}

/* ---- pins ---- */

/* bpffs refuses names with a dot; so ".." and the temporary names of others are out as well. */
static int pin_path_ok(const char *path)
{
	if (!*path || *path == '/')
		return -EINVAL;
	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	return strchr(path, '.') ? -EPERM : 0;
}

int obj_pin(struct obj_dir *d, int fd, const char *path)
{
	enum obj_kind kind;
	struct obj_head h;
	struct stat st;
	int err, file;

	err = obj_identify(d, fd, &kind, &st);
	if (!err)
		err = pin_path_ok(path);
	if (err)
		return err;
	if (kind == OBJ_BTF)
		return -EINVAL;
	err = obj_read_head(fd, &h);
	if (err == -EBADF) {			/* write-only */
		char self[32];

		snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
		file = open(self, O_RDONLY | O_CLOEXEC);
		err = file < 0 ? -errno : obj_read_head(file, &h);
		if (file >= 0)
			close(file);
	}
	if (err)
		return err;
	return link_live(d, kind, h.id, d->bpffs_fd, path);
}

/* With FD's lock taken: the object lives if its registry name or this pin has the file. A name that a
 * collector took is put back, since the pin proves that the collector will not go on. */
static int pin_counts(struct obj_dir *d, const char *path, int fd, const struct obj_head *h)
{
	char name[NAME_LEN];
	struct stat st, now;

	if (fstat(fd, &st))
		return -errno;
	obj_name(name, h->id);
	for (int i = 0; i < TRIES; i++) {
		if (obj_same(d->kind_fd[h->kind], name, &st))
			return 0;
		if (fstatat(d->bpffs_fd, path, &now, 0) || now.st_ino != st.st_ino || now.st_dev != st.st_dev)
			return -EAGAIN;
		obj_restore(d, h->kind, h->id);
	}
	return -ENOENT;
}

static int open_pin_once(struct obj_dir *d, const char *path, int oflags)
{
	struct obj_head h, again;
	struct stat st;
	int guard, fd, err;

	guard = openat(d->bpffs_fd, path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (guard < 0)
		return errno == EISDIR || errno == ENXIO ? -EACCES : -errno;
	err = fstat(guard, &st) || !S_ISREG(st.st_mode) || st.st_dev != d->dev ? -EACCES : 0;
	if (!err && obj_read_head(guard, &h))
		err = -EACCES;
	if (!err)
		err = obj_lock_user(guard, O_RDWR);
	if (!err)
		err = pin_counts(d, path, guard, &h);
	if (!err)
		err = obj_read_head(guard, &again);
	if (!err && again.state != OBJ_LIVE)
		err = -ENOENT;
	/* guard counts from here on, so the name stays what it is */
	fd = err ? err : obj_open_locked(d, h.kind, h.id, oflags, false);
	close(guard);
	return fd;
}

int obj_open_pin(struct obj_dir *d, const char *path, int oflags)
{
	int err = obj_dir_ready(d), fd = -EAGAIN;

	if (!err)
		err = pin_path_ok(path);
	if (err)
		return err;
	for (int i = 0; i < TRIES && fd == -EAGAIN; i++)
		fd = open_pin_once(d, path, oflags & O_ACCMODE);
	return fd == -EAGAIN ? -ENOENT : fd;
}
