/* SPDX-License-Identifier: Apache-2.0 */
/* obj.c - creating, opening, mapping objects. Collection and pins: obj_gc.c, obj_pin.c.
 *
 * Openers lock first and look afterwards: a reference counts once its lock is taken and the registry name
 * still has the file. Every header is read by pread(2), never through a mapping that somebody may cut short. */
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/domain.h"
#include "base/fault.h"
#include "base/obj_int.h"
#include "base/rawsys.h"

#define RESERVE_STEP	(4ull << 20)	/* bytes per fallocate(2): a signal undoes no more than this */
#define ID_TRIES	1000000
#define COLLECT_TURNS	64		/* x 150 µs: how long an opener waits for a collector to look */

static int read_hdr(int fd, off_t file_size, void *buf, size_t n)
{
	ssize_t got;

	if (file_size < (off_t)SKEP_PAGE)
		return -EUCLEAN;
	got = pread(fd, buf, n, file_size - SKEP_PAGE);
	if (got < 0)
		return -errno;
	return got == (ssize_t)n ? 0 : -EUCLEAN;
}

int obj_read_head(int fd, struct obj_head *h)
{
	struct stat st;
	int err;

	if (fstat(fd, &st))
		return -errno;
	err = read_hdr(fd, st.st_size, h, sizeof(*h));
	if (err)
		return err;
	if (h->magic != OBJ_MAGIC || h->version != OBJ_VERSION || h->kind >= OBJ_KINDS || !h->id)
		return -EUCLEAN;
	return 0;
}

bool obj_same(int dirfd, const char *name, const struct stat *st)
{
	struct stat s;

	return !fstatat(dirfd, name, &s, AT_SYMLINK_NOFOLLOW) && s.st_dev == st->st_dev && s.st_ino == st->st_ino;
}

/* ---- locks ---- */

int obj_lock_user(int fd, int oflags)
{
	int err = -EAGAIN;

	if ((oflags & O_ACCMODE) != O_WRONLY)
		return ofd_lock(fd, F_RDLCK, OBJ_LK_USER, 1);
	for (int i = 0; i < 64 && err == -EAGAIN; i++) {
		u16 r;

		if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
			r = i * 977;
		err = ofd_lock(fd, F_WRLCK, OBJ_LK_USER + 1 + r % (OBJ_LK_USERS - 1), 1);
	}
	return err;
}

bool obj_looks_dead(int fd)
{
	struct stat st;

	if (fstat(fd, &st) || st.st_nlink != 1)
		return false;
	return ofd_probe(fd, F_WRLCK, OBJ_LK_RUN, 1 + OBJ_LK_USERS) == 0;
}

/* A collector holds COLLECT for microseconds; if it was stopped in there, do not wait for it. */
static void wait_collector(int fd)
{
	struct timespec t = { .tv_nsec = 100000 };

	for (int i = 0; i < COLLECT_TURNS && ofd_probe(fd, F_RDLCK, OBJ_LK_COLLECT, 1) > 0; i++) {
		if (i < 8)
			sched_yield();
		else
			nanosleep(&t, NULL);
	}
}

/* ---- opening ---- */

/* With FD's lock taken: is it a live object, still under its name? */
static int still_named(struct obj_dir *d, enum obj_kind kind, u32 id, int fd)
{
	char name[NAME_LEN];
	struct obj_head h;
	struct stat st;
	int err;

	wait_collector(fd);
	if (fstat(fd, &st))
		return -errno;
	obj_name(name, id);
	if (!obj_same(d->kind_fd[kind], name, &st))
		return -EAGAIN;
	err = obj_read_head(fd, &h);
	if (!err && (h.kind != kind || h.id != id))
		err = -EUCLEAN;
	if (!err && h.state != OBJ_LIVE)
		err = -ENOENT;
	return err;
}

static int open_name(struct obj_dir *d, enum obj_kind kind, u32 id, int oflags)
{
	char name[NAME_LEN];
	struct stat st;
	int fd;

	obj_name(name, id);
	/* O_NONBLOCK: a FIFO planted there must not stop us */
	fd = openat(d->kind_fd[kind], name, oflags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return errno == ELOOP || errno == EISDIR || errno == ENXIO ? -ENOENT : -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -ENOENT;
	}
	fcntl(fd, F_SETFL, 0);
	return fd;
}

static int open_once(struct obj_dir *d, enum obj_kind kind, u32 id, int oflags, bool run)
{
	int fd = open_name(d, kind, id, oflags), err;

	if (fd < 0)
		return fd;
	if (obj_looks_dead(fd)) {
		close(fd);
		err = obj_collect(d, kind, id);
		return err < 0 ? err : -ENOENT;
	}
	err = run ? ofd_lock(fd, F_RDLCK, OBJ_LK_RUN, 1) : obj_lock_user(fd, oflags);
	if (!err)
		err = still_named(d, kind, id, fd);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int obj_open_locked(struct obj_dir *d, enum obj_kind kind, u32 id, int oflags, bool run)
{
	int fd = -EAGAIN, guard = -1;
	int readable = (oflags & O_ACCMODE) == O_WRONLY ? O_RDWR : oflags;

	for (int i = 0; i < 32 && fd == -EAGAIN; i++)
		fd = open_once(d, kind, id, readable, run);
	if (fd < 0)
		return fd == -EAGAIN ? -ENOENT : fd;
	if (readable == oflags)
		return fd;
	/* a write-only description cannot read the header: the readable one guards it meanwhile */
	guard = fd;
	fd = open_name(d, kind, id, oflags);
	if (fd >= 0) {
		int err = obj_lock_user(fd, oflags);

		if (err) {
			close(fd);
			fd = err;
		}
	}
	close(guard);
	return fd;
}

int obj_open_id(struct obj_dir *d, enum obj_kind kind, u32 id, int oflags)
{
	int err = obj_dir_ready(d);

	if (err)
		return err;
	if (kind >= OBJ_KINDS || !id || id > INT_MAX)
		return -ENOENT;
	return obj_open_locked(d, kind, id, oflags & O_ACCMODE, false);
}

bool obj_alive(struct obj_dir *d, enum obj_kind kind, u32 id)
{
	struct obj_head h;
	bool alive;
	int fd;

	if (obj_dir_ready(d) || kind >= OBJ_KINDS)
		return false;
	fd = open_name(d, kind, id, O_RDONLY);
	if (fd < 0)
		return false;
	alive = !obj_read_head(fd, &h) && h.state == OBJ_LIVE && !obj_looks_dead(fd);
	close(fd);
	return alive;
}

int obj_peek(struct obj_dir *d, enum obj_kind kind, u32 id, struct obj_hdr *out)
{
	int err = obj_dir_ready(d), fd;
	struct stat st;

	if (err || kind >= OBJ_KINDS)
		return err ? err : -EINVAL;
	fd = open_name(d, kind, id, O_RDONLY);
	if (fd < 0)
		return -ENOENT;
	if (fstat(fd, &st) || read_hdr(fd, st.st_size, out, sizeof(*out)) || out->magic != OBJ_MAGIC ||
	    out->version != OBJ_VERSION || out->kind != kind || out->id != id || out->state != OBJ_LIVE ||
	    obj_looks_dead(fd))
		err = -ENOENT;
	close(fd);
	return err;
}

/* ---- listing ---- */

struct id_list {
	u32 *id;
	u32 nr, cap, above;
};

static int add_id(void *arg, const char *entry)
{
	struct id_list *l = arg;
	u32 id;

	if (!obj_parse_name(entry, &id) || id <= l->above)
		return 0;
	if (l->nr == l->cap) {
		u32 cap = l->cap ? l->cap * 2 : 64;
		u32 *p = realloc(l->id, cap * sizeof(*p));

		if (!p)
			return -ENOMEM;
		l->id = p;
		l->cap = cap;
	}
	l->id[l->nr++] = id;
	return 0;
}

static int by_id(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

static int list_ids(struct obj_dir *d, enum obj_kind kind, struct id_list *l)
{
	int err = obj_dir_ready(d);

	if (!err && kind >= OBJ_KINDS)
		err = -EINVAL;
	if (!err)
		err = obj_each(d->kind_fd[kind], ".", add_id, l);
	if (!err && l->nr)
		qsort(l->id, l->nr, sizeof(*l->id), by_id);
	return err;
}

int obj_ids(struct obj_dir *d, enum obj_kind kind, u32 **ids, u32 *nr)
{
	struct id_list l = { 0 };
	int err = list_ids(d, kind, &l);

	if (err) {
		free(l.id);
		return err;
	}
	*ids = l.id;
	*nr = l.nr;
	return 0;
}

int obj_next_id(struct obj_dir *d, enum obj_kind kind, u32 start, u32 *next)
{
	struct id_list l = { .above = start };
	int err = list_ids(d, kind, &l);

	if (!err)
		err = -ENOENT;
	for (u32 i = 0; i < l.nr && err == -ENOENT; i++) {
		if (!obj_alive(d, kind, l.id[i])) {
			obj_collect(d, kind, l.id[i]);
			continue;
		}
		*next = l.id[i];
		err = 0;
	}
	free(l.id);
	return err;
}

/* ---- which object is this fd? ---- */

/* Without a trailer that can be read: by the last two parts of the path it was opened by. */
static int head_by_path(struct obj_dir *d, int fd, const struct stat *st, struct obj_head *h)
{
	char self[32], path[PATH_MAX], *slash;
	ssize_t n;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	n = readlink(self, path, sizeof(path) - 1);
	if (n <= 0)
		return -EINVAL;
	path[n] = 0;
	slash = strrchr(path, '/');
	if (!slash || !obj_parse_name(slash + 1, &h->id))
		return -EINVAL;
	for (u32 k = 0; k < OBJ_KINDS; k++) {
		if (!obj_same(d->kind_fd[k], slash + 1, st))
			continue;
		h->kind = k;
		return 0;
	}
	return -EINVAL;
}

static int identify(struct obj_dir *d, int fd, struct obj_head *h, struct stat *st)
{
	char name[NAME_LEN], kid[NAME_LEN];
	int err = obj_dir_ready(d), fl;

	if (err)
		return err;
	if (fstat(fd, st))
		return -EBADF;
	fl = fcntl(fd, F_GETFL);
	if (fl < 0 || fl & O_PATH)
		return -EBADF;
	if (!S_ISREG(st->st_mode) || st->st_dev != d->dev)
		return -EINVAL;
	err = (fl & O_ACCMODE) == O_WRONLY ? -EINVAL : obj_read_head(fd, h);
	if (err)
		return head_by_path(d, fd, st, h);
	obj_name(name, h->id);
	obj_kid(kid, h->kind, h->id);
	if (obj_same(d->kind_fd[h->kind], name, st) || obj_same(d->dead_fd, kid, st))
		return 0;
	return head_by_path(d, fd, st, h);
}

int obj_identify(struct obj_dir *d, int fd, enum obj_kind *kind, struct stat *st)
{
	struct obj_head h;
	int err = identify(d, fd, &h, st);

	if (!err)
		*kind = h.kind;
	return err;
}

/* ---- mapping ---- */

static int sizes_fit(const struct obj_hdr *h, u64 file_size)
{
	u64 sum;

	if (h->client_size % SKEP_PAGE || h->private_size % SKEP_PAGE ||
	    __builtin_add_overflow(h->client_size, h->private_size, &sum) ||
	    __builtin_add_overflow(sum, SKEP_PAGE, &sum) || sum != file_size)
		return -EUCLEAN;
	return 0;
}

/* Map the file behind FD. The mapping keeps FD's description, and so its locks, until obj_unmap(). */
static int map_file(struct obj_dir *d, int fd, struct obj **out)
{
	struct obj_hdr hdr;
	struct stat st;
	struct obj *o;
	int err;

	if (fstat(fd, &st))
		return -errno;
	err = read_hdr(fd, st.st_size, &hdr, sizeof(hdr));
	if (!err && (hdr.magic != OBJ_MAGIC || hdr.version != OBJ_VERSION || hdr.kind >= OBJ_KINDS || !hdr.id))
		err = -EUCLEAN;
	if (!err)
		err = sizes_fit(&hdr, st.st_size);
	if (err)
		return err;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	*o = (struct obj){ .dir = d, .size = st.st_size, .kind = hdr.kind, .id = hdr.id, .gen = hdr.gen,
			   .client_size = hdr.client_size, .private_size = hdr.private_size,
			   .dev = st.st_dev, .ino = st.st_ino };
	o->base = (u8 *)raw_mmap(o->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	if ((unsigned long)o->base > -4096ul) {
		free(o);
		return -ENOMEM;
	}
	o->hdr = (struct obj_hdr *)(o->base + o->size - SKEP_PAGE);
	err = fault_watch(o->base, o->size, &o->damaged);
	if (err) {
		munmap(o->base, o->size);
		free(o);
		return err;
	}
	*out = o;
	return 0;
}

/* A description of the same file without locks, whatever FD may do. */
static int reopen(struct obj_dir *d, int fd, const struct obj_head *h, const struct stat *st)
{
	char self[32];
	struct stat now;
	int new;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	new = open(self, O_RDWR | O_CLOEXEC);
	if (new < 0)			/* no /proc */
		new = open_name(d, h->kind, h->id, O_RDWR);
	if (new < 0)
		return -EUCLEAN;
	if (fstat(new, &now) || now.st_dev != st->st_dev || now.st_ino != st->st_ino) {
		close(new);
		return -EUCLEAN;
	}
	return new;
}

int obj_map(struct obj_dir *d, int fd, struct obj **out)
{
	struct obj_head h;
	struct stat st;
	int err = identify(d, fd, &h, &st), file;

	if (err)
		return err;
	file = reopen(d, fd, &h, &st);
	if (file < 0)
		return file;
	err = map_file(d, file, out);
	close(file);
	if (!err && ((*out)->kind != h.kind || (*out)->id != h.id)) {
		obj_unmap(*out);
		err = -EUCLEAN;
	}
	return err;
}

int obj_map_running(struct obj_dir *d, enum obj_kind kind, u32 id, u64 gen, struct obj **out)
{
	int err = obj_dir_ready(d), fd;

	if (err)
		return err;
	if (kind >= OBJ_KINDS)
		return -EINVAL;
	fd = obj_open_locked(d, kind, id, O_RDWR, true);
	if (fd < 0)
		return fd;
	err = map_file(d, fd, out);
	close(fd);
	if (!err && ((*out)->kind != kind || (*out)->id != id || (gen && (*out)->gen != gen))) {
		obj_unmap(*out);
		err = -ENOENT;
	}
	return err;
}

void obj_unmap(struct obj *o)
{
	if (!o)
		return;
	fault_unwatch(o->base);
	munmap(o->base, o->size);
	free(o);
}

int obj_check_size(const struct obj *o)
{
	return READ_ONCE(o->damaged) ? -EUCLEAN : 0;
}

/* ---- creating ---- */

static int reserve(int fd, u64 size)
{
	for (u64 at = 0; at < size; at += RESERVE_STEP) {
		while (fallocate(fd, 0, at, MIN(RESERVE_STEP, size - at)))
			if (errno != EINTR)
				return -errno;
	}
	return 0;
}

static u64 fresh_gen(void)
{
	u64 gen = 0;

	while (getrandom(&gen, sizeof(gen), 0) != sizeof(gen) || !gen)
		;
	return gen;
}

static void fill_hdr(struct obj_hdr *h, enum obj_kind kind, const char *name, u64 client, u64 private)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	memset(h, 0, sizeof(*h));
	h->magic = OBJ_MAGIC;
	h->version = OBJ_VERSION;
	h->kind = kind;
	h->state = OBJ_LOADING;
	h->gen = fresh_gen();
	h->client_size = client;
	h->private_size = private;
	h->created_ns = t.tv_sec * 1000000000ull + t.tv_nsec;
	h->uid = getuid();
	h->creator_pid = getpid();
	if (name)
		memcpy(h->name, name, strnlen(name, sizeof(h->name) - 1));
}

static int link_fd(int fd, int dirfd, const char *name)
{
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (!linkat(AT_FDCWD, self, dirfd, name, AT_SYMLINK_FOLLOW))
		return 0;
	if (errno != ENOENT)
		return -errno;
	return linkat(fd, "", dirfd, name, AT_EMPTY_PATH) ? -errno : 0;		/* no /proc */
}

/* Give the file a number and its registry name. An id that still lies in dead/ is not given again: its owner
 * may have to be put back. */
static int name_file(struct obj_dir *d, int fd, struct obj_hdr *h, u64 at)
{
	char name[NAME_LEN], kid[NAME_LEN];
	struct stat st;
	int err = -EEXIST;

	for (u32 i = 0; i < ID_TRIES && err == -EEXIST; i++) {
		h->id = domain_next_id(d->dom);
		obj_name(name, h->id);
		obj_kid(kid, h->kind, h->id);
		if (!fstatat(d->kind_fd[h->kind], name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		if (pwrite(fd, h, sizeof(*h), at) != sizeof(*h))
			return -EIO;
		err = link_fd(fd, d->kind_fd[h->kind], name);
		if (!err && !fstatat(d->dead_fd, kid, &st, AT_SYMLINK_NOFOLLOW)) {
			unlinkat(d->kind_fd[h->kind], name, 0);
			return -EEXIST;		/* nlink is 0 now: it cannot be linked again */
		}
	}
	return err;
}

/* The client's description, opened by the registry name so that readlink of it tells kind and id, and one
 * without locks for the mapping. FD guards the file meanwhile. */
static int open_created(struct obj_dir *d, const struct obj_hdr *h, int *client, struct obj **out)
{
	int file, err;

	*client = open_name(d, h->kind, h->id, O_RDWR);
	if (*client < 0)
		return *client;
	file = open_name(d, h->kind, h->id, O_RDWR);
	err = file < 0 ? file : obj_lock_user(*client, O_RDWR);
	if (!err)
		err = map_file(d, file, out);
	if (file >= 0)
		close(file);
	if (!err && (*out)->gen != h->gen) {
		obj_unmap(*out);
		err = -EUCLEAN;
	}
	if (err)
		close(*client);
	return err;
}

static int create_once(struct obj_dir *d, struct obj_hdr *h, u64 size, struct obj **out, int *client)
{
	int fd = openat(d->kind_fd[h->kind], ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), err;

	if (fd < 0)
		return -errno;
	err = obj_lock_user(fd, O_RDWR);
	if (!err)
		err = reserve(fd, size);
	if (!err)
		err = name_file(d, fd, h, size - SKEP_PAGE);
	if (err) {
		close(fd);
		return err;
	}
	err = open_created(d, h, client, out);
	close(fd);
	if (err)
		obj_collect(d, h->kind, h->id);
	return err;
}

int obj_create(struct obj_dir *d, enum obj_kind kind, const char *name, u64 client_size, u64 private_size,
	       struct obj **out, int *fd)
{
	struct obj_hdr h;
	u64 size;
	int err = obj_dir_ready(d);

	if (err)
		return err;
	if (kind >= OBJ_KINDS || client_size % SKEP_PAGE || private_size % SKEP_PAGE)
		return -EINVAL;
	if (__builtin_add_overflow(client_size, private_size, &size) ||
	    __builtin_add_overflow(size, SKEP_PAGE, &size) || size > INT64_MAX)
		return -E2BIG;
	obj_collect_some(d, kind);
	fill_hdr(&h, kind, name, client_size, private_size);
	err = create_once(d, &h, size, out, fd);
	for (int i = 0; i < 8 && err == -EEXIST; i++)
		err = create_once(d, &h, size, out, fd);
	if (err == -ENOSPC && obj_gc(d) > 0)
		err = create_once(d, &h, size, out, fd);
	return err;
}

int obj_publish(struct obj *o)
{
	__atomic_store_n(&o->hdr->state, OBJ_LIVE, __ATOMIC_RELEASE);
	return obj_check_size(o);
}

void obj_abort(struct obj *o, int fd)
{
	struct obj_dir *d = o->dir;
	enum obj_kind kind = o->kind;
	u32 id = o->id;

	obj_unmap(o);
	close(fd);
	obj_collect(d, kind, id);
}
