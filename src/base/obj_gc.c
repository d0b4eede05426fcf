/* SPDX-License-Identifier: Apache-2.0 */
/* obj_gc.c - collection. Any number of processes may do it at once; each may be killed or stopped anywhere.
 *
 * One object: take COLLECT (no waiting), look whether it is dead, rename it into dead/, look again (now nobody
 * can find it but through a pin, and who finds it so puts the name back), mark it DEAD, drop what it refers
 * to, unlink. The order of looking is what makes it right: doc/objects.md, "deciding". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/domain.h"
#include "base/obj_int.h"

void (*obj_on_user_gone)(struct obj_dir *d, enum obj_kind kind, u32 id);

#define SOME		2		/* objects that obj_create() looks at */

/* Objects that may have died because others did. Lost when memory is short: a later gc finds them. */
struct todo {
	struct {
		enum obj_kind kind;
		u32 id;
	} *v;
	u32 nr, cap;
};

static void todo_add(struct todo *t, enum obj_kind kind, u32 id)
{
	if (t->nr == t->cap) {
		u32 cap = t->cap ? t->cap * 2 : 16;
		void *p = realloc(t->v, cap * sizeof(*t->v));

		if (!p)
			return;
		t->v = p;
		t->cap = cap;
	}
	t->v[t->nr].kind = kind;
	t->v[t->nr++].id = id;
}

/* ---- what a dead object leaves ---- */

struct drop {
	int fd;
	struct todo *todo;
};

static int drop_one(void *arg, const char *entry)
{
	struct drop *r = arg;
	struct obj_head h;
	int fd = openat(r->fd, entry, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd >= 0 && !obj_read_head(fd, &h) && !unlinkat(r->fd, entry, 0))
		todo_add(r->todo, h.kind, h.id);
	else
		unlinkat(r->fd, entry, 0);
	if (fd >= 0)
		close(fd);
	return 0;
}

static void drop_refs(struct obj_dir *d, const char *kid, struct todo *todo)
{
	struct drop r = { .todo = todo };

	r.fd = openat(d->ref_fd, kid, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r.fd < 0)
		return;
	/* readdir may miss entries while they go: until it is empty */
	for (int i = 0; i < 16; i++) {
		obj_each(r.fd, ".", drop_one, &r);
		if (!unlinkat(d->ref_fd, kid, AT_REMOVEDIR) || errno != ENOTEMPTY)
			break;
	}
	close(r.fd);
}

static void set_dead(int fd)
{
	u32 state = OBJ_DEAD;
	struct stat st;

	/* only a hint for openers: nobody depends on its being written */
	if (!fstat(fd, &st) && st.st_size >= (off_t)SKEP_PAGE &&
	    pwrite(fd, &state, sizeof(state), st.st_size - SKEP_PAGE + offsetof(struct obj_hdr, state)) < 0)
		return;
}

/* ---- one object ---- */

/* FD, with COLLECT, lies in dead/ as KID. Decide, for good, and act. */
static int finish(struct obj_dir *d, enum obj_kind kind, u32 id, const char *kid, int fd, struct todo *todo)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!obj_looks_dead(fd)) {
		obj_restore(d, kind, id);
		return 0;
	}
	if (!obj_same(d->dead_fd, kid, &st))	/* last: was it put back meanwhile? */
		return 0;
	set_dead(fd);
	drop_refs(d, kid, todo);
	return unlinkat(d->dead_fd, kid, 0) ? 0 : 1;
}

/* A collector was killed or stopped, and the name lies in dead/. */
static int collect_dead(struct obj_dir *d, enum obj_kind kind, u32 id, struct todo *todo)
{
	char kid[NAME_LEN];
	int fd, ret;

	obj_kid(kid, kind, id);
	fd = openat(d->dead_fd, kid, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	ret = ofd_lock(fd, F_WRLCK, OBJ_LK_COLLECT, 1);
	ret = ret ? 0 : finish(d, kind, id, kid, fd, todo);
	close(fd);
	return ret;
}

/* With COLLECT, FD being the registry name's file at some time before. */
static int collect_named(struct obj_dir *d, enum obj_kind kind, u32 id, int fd, struct todo *todo)
{
	char name[NAME_LEN], kid[NAME_LEN];
	struct obj_head h;
	struct stat st;

	obj_name(name, id);
	obj_kid(kid, kind, id);
	if (fstat(fd, &st) || !obj_same(d->kind_fd[kind], name, &st) || !obj_looks_dead(fd))
		return 0;
	if (!renameat2(d->kind_fd[kind], name, d->dead_fd, kid, RENAME_NOREPLACE))
		return finish(d, kind, id, kid, fd, todo);
	if (errno != EEXIST)
		return -errno;
	/* Another file of this id lies in dead/: ours was made by a creator killed before it saw that. Nobody but
	 * the creator can have opened it, and it goes without passing through dead/. */
	if (obj_read_head(fd, &h) || h.state != OBJ_LOADING)
		return collect_dead(d, kind, id, todo);
	return unlinkat(d->kind_fd[kind], name, 0) ? -errno : 1;
}

/* ---- user references gone, references left ---- */

struct count {
	struct obj_dir *d;
	struct stat st;
	char dir[NAME_LEN];
	u32 links;
};

static int count_link(void *arg, const char *entry)
{
	struct count *c = arg;
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", c->dir, entry);
	c->links += obj_same(c->d->ref_fd, path, &c->st);
	return 0;
}

static int count_owner(void *arg, const char *entry)
{
	struct count *c = arg;
	enum obj_kind kind;
	u32 id;

	if (!obj_parse_kid(entry, &kind, &id))
		return 0;
	strcpy(c->dir, entry);
	obj_each(c->d->ref_fd, entry, count_link, c);
	return 0;
}

/* No USER lock, and each link but the registry name is a reference. */
static bool user_gone(struct obj_dir *d, int fd)
{
	struct count c = { .d = d };
	struct obj_hdr h;

	if (!obj_on_user_gone || fstat(fd, &c.st) || c.st.st_size < (off_t)SKEP_PAGE ||
	    pread(fd, &h, sizeof(h), c.st.st_size - SKEP_PAGE) != sizeof(h) || h.state != OBJ_LIVE ||
	    !(h.flags & OBJ_F_URELEASE) || ofd_probe(fd, F_WRLCK, OBJ_LK_USER, OBJ_LK_USERS))
		return false;
	obj_each(d->ref_fd, ".", count_owner, &c);
	return c.links + 1 == c.st.st_nlink && ofd_probe(fd, F_WRLCK, OBJ_LK_USER, OBJ_LK_USERS) == 0;
}

/* ---- */

static int collect_one(struct obj_dir *d, enum obj_kind kind, u32 id, struct todo *todo)
{
	char name[NAME_LEN];
	bool gone = false;
	int fd, ret = 0;

	obj_name(name, id);
	fd = openat(d->kind_fd[kind], name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? collect_dead(d, kind, id, todo) : -errno;
	if (!obj_looks_dead(fd))
		gone = user_gone(d, fd);
	else if (!ofd_lock(fd, F_WRLCK, OBJ_LK_COLLECT, 1))
		ret = collect_named(d, kind, id, fd, todo);
	close(fd);
	if (gone)
		obj_on_user_gone(d, kind, id);
	return ret;
}

static int collect_all(struct obj_dir *d, struct todo *t)
{
	int total = 0;

	while (t->nr) {
		u32 i = --t->nr;

		total += collect_one(d, t->v[i].kind, t->v[i].id, t) == 1;
	}
	free(t->v);
	*t = (struct todo){ 0 };
	return total;
}

int obj_collect(struct obj_dir *d, enum obj_kind kind, u32 id)
{
	struct todo t = { 0 };
	int err = obj_dir_ready(d), ret;

	if (err)
		return err;
	if (kind >= OBJ_KINDS)
		return -EINVAL;
	ret = collect_one(d, kind, id, &t);
	collect_all(d, &t);
	return ret;
}

/* ---- everything ---- */

struct sweep {
	struct obj_dir *d;
	enum obj_kind kind;
	int fd;
	struct todo todo;
};

static int sweep_name(void *arg, const char *entry)
{
	struct sweep *s = arg;
	u32 id;

	if (obj_parse_name(entry, &id))
		todo_add(&s->todo, s->kind, id);
	return 0;
}

static int sweep_kid(void *arg, const char *entry)
{
	struct sweep *s = arg;
	enum obj_kind kind;
	u32 id;

	if (obj_parse_kid(entry, &kind, &id))
		todo_add(&s->todo, kind, id);
	return 0;
}

/* A reference that was being made when its maker was killed: ".NAME.OWNER-WORD" */
static int sweep_tmp(void *arg, const char *entry)
{
	struct sweep *s = arg;
	const char *word = strrchr(entry, '.');
	struct drop r = { s->fd, &s->todo };

	if (entry[0] != '.' || word == entry || domain_alive(s->d->dom, strtoull(word + 1, NULL, 16)))
		return 0;
	return drop_one(&r, entry);
}

/* References of an object that is not there: a creator was killed between removing names and references. An
 * object's name is in its registry or in dead/, and moves only between the two. */
static int sweep_refs(void *arg, const char *entry)
{
	struct sweep *s = arg;
	enum obj_kind kind;
	struct stat st;
	u32 id;

	if (!obj_parse_kid(entry, &kind, &id))
		return 0;
	if (fstatat(s->d->kind_fd[kind], entry + 1, &st, AT_SYMLINK_NOFOLLOW) &&
	    fstatat(s->d->dead_fd, entry, &st, AT_SYMLINK_NOFOLLOW) &&
	    fstatat(s->d->kind_fd[kind], entry + 1, &st, AT_SYMLINK_NOFOLLOW)) {
		drop_refs(s->d, entry, &s->todo);
		return 0;
	}
	s->fd = openat(s->d->ref_fd, entry, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->fd >= 0) {
		obj_each(s->fd, ".", sweep_tmp, s);
		close(s->fd);
	}
	return 0;
}

int obj_gc(struct obj_dir *d)
{
	struct sweep s = { .d = d };
	int err = obj_dir_ready(d), total;

	if (err)
		return err;
	for (s.kind = 0; s.kind < OBJ_KINDS; s.kind++)
		obj_each(d->kind_fd[s.kind], ".", sweep_name, &s);
	obj_each(d->dead_fd, ".", sweep_kid, &s);
	total = collect_all(d, &s.todo);
	obj_each(d->ref_fd, ".", sweep_refs, &s);
	return total + collect_all(d, &s.todo);
}

struct some {
	struct obj_dir *d;
	enum obj_kind kind;
	u32 skip, left;
};

static int some_name(void *arg, const char *entry)
{
	struct some *s = arg;
	u32 id;

	if (s->skip) {
		s->skip--;
		return 0;
	}
	if (obj_parse_name(entry, &id))
		obj_collect(s->d, s->kind, id);
	return --s->left ? 0 : 1;
}

/* Look at a few objects, going round. */
void obj_collect_some(struct obj_dir *d, enum obj_kind kind)
{
	struct some s = { d, kind, READ_ONCE(d->gc_pos[kind]), SOME };
	u32 pos = s.skip;

	obj_each(d->kind_fd[kind], ".", some_name, &s);
	WRITE_ONCE(d->gc_pos[kind], s.left ? 0 : pos + SOME);
}
