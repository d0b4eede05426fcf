/* SPDX-License-Identifier: Apache-2.0 */
/* preload_path.c - paths that mean something else under skep: /sys/fs/bpf is the directory's bpffs/, /proc/self/fdinfo/N of an
 * object's fd says what the kernel's says, tracefs and some other files below /sys are sys/files.c's.
 *
 * One row per libc function that takes a path; the rest of its arguments pass through. Only absolute paths are looked
 * at: a relative one starts from a place that was itself translated. */
#define _LARGEFILE64_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <mntent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/obj.h"
#include "base/sbuf.h"
#include "front/preload.h"
#include "sys/door.h"
#include "sys/sys.h"

/* ---- /proc/self/fdinfo ---- */

/* The N of /proc/self/fdinfo/N or /proc/PID/fdinfo/N of this process, or -1. */
static int fdinfo_of(const char *path)
{
	char *end;
	long n;

	if (likely(!path || strncmp(path, "/proc/", 6)))
		return -1;
	path += 6;
	if (!strncmp(path, "self", 4)) {
		path += 4;
	} else {
		if (strtol(path, &end, 10) != getpid())
			return -1;
		path = end;
	}
	if (strncmp(path, "/fdinfo/", 8))
		return -1;
	n = strtol(path + 8, &end, 10);
	return end == path + 8 || *end || n < 0 || n > INT_MAX ? -1 : (int)n;
}

static __attribute__((noinline)) int make_fdinfo(int fd, int flags)
{
	int saved = errno, mem = -1;
	struct sbuf text = { 0 };
	struct obj_dir *d;

	if (!door_dir(&d) && !sys_fdinfo(d, fd, &text)) {
		mem = memfd_create("fdinfo", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
		if (mem >= 0 && (write(mem, text.s, text.len) != (ssize_t)text.len || lseek(mem, 0, SEEK_SET))) {
			close(mem);
			mem = -1;
		}
	}
	sbuf_free(&text);
	errno = saved;
	return mem;
}

/* An fd to read the text from, -1 and errno, or DOOR_NOT_OURS when the path or the fd is not ours: then libc is to be
 * asked, and errno is kept. */
static int open_text(const char *path, int flags)
{
	int fd = fdinfo_of(path);

	if (likely(fd < 0))
		return door_file_open(path, flags);
	fd = (flags & O_ACCMODE) != O_RDONLY ? -1 : make_fdinfo(fd, flags);
	return fd < 0 ? DOOR_NOT_OURS : fd;
}

/* ---- open and its kin ---- */

#define MODE_OF(flags) ({						\
	mode_t mode_ = 0;						\
	if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) {	\
		va_list ap_;						\
		va_start(ap_, flags);					\
		mode_ = va_arg(ap_, mode_t);				\
		va_end(ap_);						\
	}								\
	mode_; })

/* Path buffers live in functions of their own: what is not ours may be called on a signal stack of a few KiB. */
#define OURS(path) unlikely(door_path_is_bpffs(path))
#define SLOW static __attribute__((noinline))

#define OPEN(fn)								\
SLOW int slow_##fn(const char *path, int flags, mode_t mode)			\
{										\
	char buf[DOOR_PATH_MAX];						\
	return REAL(fn)(door_path(path, buf), flags, mode);			\
}										\
SKEP_API int fn(const char *path, int flags, ...)				\
{										\
	mode_t mode = MODE_OF(flags);						\
	int fd = open_text(path, flags);					\
										\
	if (unlikely(fd != DOOR_NOT_OURS))					\
		return fd;							\
	return OURS(path) ? slow_##fn(path, flags, mode) : REAL(fn)(path, flags, mode);	\
}
#define OPENAT(fn)								\
SLOW int slow_##fn(int at, const char *path, int flags, mode_t mode)		\
{										\
	char buf[DOOR_PATH_MAX];						\
	return REAL(fn)(at, door_path(path, buf), flags, mode);			\
}										\
SKEP_API int fn(int at, const char *path, int flags, ...)			\
{										\
	mode_t mode = MODE_OF(flags);						\
	int fd = open_text(path, flags);					\
										\
	if (unlikely(fd != DOOR_NOT_OURS))					\
		return fd;							\
	return OURS(path) ? slow_##fn(at, path, flags, mode) : REAL(fn)(at, path, flags, mode);	\
}
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

/* What _FORTIFY_SOURCE makes of open without a mode. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int at, const char *path, int flags);
int __openat64_2(int at, const char *path, int flags);

#define FOPEN(fn)								\
SKEP_API FILE *fn(const char *path, const char *mode)				\
{										\
	char buf[DOOR_PATH_MAX];						\
	int fd = open_text(path, mode[0] == 'r' ? O_RDONLY : O_WRONLY);		\
										\
	if (unlikely(fd != DOOR_NOT_OURS))					\
		return fd < 0 ? NULL : fdopen(fd, "r");				\
	return REAL(fn)(door_path(path, buf), mode);				\
}
FOPEN(fopen)
FOPEN(fopen64)

/* The mount table has a bpffs on /sys/fs/bpf, whether the host mounted one or not: bpftool -f looks for pins below it. */
SKEP_API FILE *setmntent(const char *path, const char *mode)
{
	static const char ours[] = "bpf /sys/fs/bpf bpf rw 0 0\n";
	FILE *table = REAL(setmntent)(path, mode), *all;
	char buf[1024];
	struct mntent e;
	size_t n;

	if (!table || (strcmp(path, "/proc/mounts") && strcmp(path, "/proc/self/mounts")))
		return table;
	while (getmntent_r(table, &e, buf, sizeof(buf)))
		if (!strcmp(e.mnt_dir, "/sys/fs/bpf") && !strcmp(e.mnt_type, "bpf")) {
			rewind(table);
			return table;
		}
	rewind(table);
	all = tmpfile();
	if (!all)
		return table;
	while ((n = fread(buf, 1, sizeof(buf), table)))
		fwrite(buf, 1, n, all);
	fwrite(ours, 1, sizeof(ours) - 1, all);
	endmntent(table);
	rewind(all);
	return all;
}

/* ---- everything else that begins with a path, or an fd and a path ---- */

/* NAME(result, function, parameters behind the path, arguments behind the path) */
#define ON_PATH(ret, fn, params, args)						\
SLOW ret slow_##fn(const char *path PARAMS params)				\
{										\
	char buf[DOOR_PATH_MAX];						\
	return REAL(fn)(door_path(path, buf) PARAMS args);			\
}										\
SKEP_API ret fn(const char *path PARAMS params)					\
{										\
	return OURS(path) ? slow_##fn(path PARAMS args) : REAL(fn)(path PARAMS args);	\
}
#define ON_PATH_AT(ret, fn, params, args)					\
SLOW ret slow_##fn(int at, const char *path PARAMS params)			\
{										\
	char buf[DOOR_PATH_MAX];						\
	return REAL(fn)(at, door_path(path, buf) PARAMS args);			\
}										\
SKEP_API ret fn(int at, const char *path PARAMS params)				\
{										\
	return OURS(path) ? slow_##fn(at, path PARAMS args) : REAL(fn)(at, path PARAMS args);	\
}
#define PARAMS(...)	__VA_OPT__(,) __VA_ARGS__

/* The same, where the path may name one of sys/files.c's. */
static int file_stat(const char *path, struct stat *st)
{
	mode_t mode = 0;
	int ret = door_file_stat(path, &mode);

	if (unlikely(!ret))
		*st = (struct stat){ .st_mode = mode, .st_nlink = 1 };
	return ret;
}

static int file_statx(const char *path, struct statx *st)
{
	mode_t mode = 0;
	int ret = door_file_stat(path, &mode);

	if (unlikely(!ret))
		*st = (struct statx){ .stx_mask = STATX_TYPE | STATX_MODE | STATX_NLINK, .stx_mode = (u16)mode, .stx_nlink = 1 };
	return ret;
}
#define ON_FILE(fn, ask, params, args)						\
SLOW int slow_##fn(const char *path PARAMS params)				\
{										\
	char buf[DOOR_PATH_MAX];						\
	return REAL(fn)(door_path(path, buf) PARAMS args);			\
}										\
SKEP_API int fn(const char *path PARAMS params)					\
{										\
	int ret = ask;								\
										\
	if (unlikely(ret != DOOR_NOT_OURS))					\
		return ret;							\
	return OURS(path) ? slow_##fn(path PARAMS args) : REAL(fn)(path PARAMS args);	\
}
#define ON_FILE_AT(fn, ask, params, args)					\
SLOW int slow_##fn(int at, const char *path PARAMS params)			\
{										\
	char buf[DOOR_PATH_MAX];						\
	return REAL(fn)(at, door_path(path, buf) PARAMS args);			\
}										\
SKEP_API int fn(int at, const char *path PARAMS params)				\
{										\
	int ret = ask;								\
										\
	if (unlikely(ret != DOOR_NOT_OURS))					\
		return ret;							\
	return OURS(path) ? slow_##fn(at, path PARAMS args) : REAL(fn)(at, path PARAMS args);	\
}

int __xstat(int ver, const char *path, struct stat *st);
int __lxstat(int ver, const char *path, struct stat *st);
int __xstat64(int ver, const char *path, struct stat64 *st);
int __lxstat64(int ver, const char *path, struct stat64 *st);

_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "one layout");
#define ST	((struct stat *)st)

ON_FILE(__open_2, open_text(path, flags), (int flags), (flags))
ON_FILE(__open64_2, open_text(path, flags), (int flags), (flags))
ON_FILE_AT(__openat_2, open_text(path, flags), (int flags), (flags))
ON_FILE_AT(__openat64_2, open_text(path, flags), (int flags), (flags))
ON_FILE(stat, file_stat(path, st), (struct stat *st), (st))
ON_FILE(lstat, file_stat(path, st), (struct stat *st), (st))
ON_FILE(stat64, file_stat(path, ST), (struct stat64 *st), (st))
ON_FILE(lstat64, file_stat(path, ST), (struct stat64 *st), (st))
ON_FILE_AT(fstatat, file_stat(path, st), (struct stat *st, int flags), (st, flags))
ON_FILE_AT(fstatat64, file_stat(path, ST), (struct stat64 *st, int flags), (st, flags))
ON_FILE_AT(statx, file_statx(path, st), (int flags, unsigned int mask, struct statx *st), (flags, mask, st))
ON_FILE_AT(__xstat, file_stat(path, st), (struct stat *st), (st))
ON_FILE_AT(__lxstat, file_stat(path, st), (struct stat *st), (st))
ON_FILE_AT(__xstat64, file_stat(path, ST), (struct stat64 *st), (st))
ON_FILE_AT(__lxstat64, file_stat(path, ST), (struct stat64 *st), (st))
ON_FILE(access, door_file_access(path, mode), (int mode), (mode))
ON_FILE(euidaccess, door_file_access(path, mode), (int mode), (mode))
ON_FILE(eaccess, door_file_access(path, mode), (int mode), (mode))
ON_FILE_AT(faccessat, door_file_access(path, mode), (int mode, int flags), (mode, flags))
ON_PATH(int, mkdir, (mode_t mode), (mode))
ON_PATH_AT(int, mkdirat, (mode_t mode), (mode))
SLOW int slow_unlink(const char *path)
{
	char buf[DOOR_PATH_MAX];
	int ret = REAL(unlink)(door_path(path, buf));

	if (!ret)
		door_ended();
	return ret;
}

SKEP_API int unlink(const char *path)
{
	return OURS(path) ? slow_unlink(path) : REAL(unlink)(path);
}

ON_PATH_AT(int, unlinkat, (int flags), (flags))
ON_PATH(int, rmdir, (), ())
ON_PATH(int, remove, (), ())
ON_PATH(int, chdir, (), ())
ON_PATH(int, chmod, (mode_t mode), (mode))
ON_PATH(int, chown, (uid_t u, gid_t g), (u, g))
ON_PATH(int, truncate, (off_t n), (n))
ON_PATH(DIR *, opendir, (), ())
ON_PATH(ssize_t, readlink, (char *out, size_t size), (out, size))
ON_PATH_AT(ssize_t, readlinkat, (char *out, size_t size), (out, size))

/* ---- two paths ---- */

#define TWO_PATHS(fn)								\
SLOW int slow_##fn(const char *from, const char *to)				\
{										\
	char a[DOOR_PATH_MAX], b[DOOR_PATH_MAX];				\
	return REAL(fn)(door_path(from, a), door_path(to, b));			\
}										\
SKEP_API int fn(const char *from, const char *to)				\
{										\
	return OURS(from) || OURS(to) ? slow_##fn(from, to) : REAL(fn)(from, to);	\
}
TWO_PATHS(rename)
TWO_PATHS(link)

SKEP_API int renameat(int fa, const char *from, int fb, const char *to)
{
	char a[DOOR_PATH_MAX], b[DOOR_PATH_MAX];

	return REAL(renameat)(fa, door_path(from, a), fb, door_path(to, b));
}

SKEP_API int renameat2(int fa, const char *from, int fb, const char *to, unsigned int flags)
{
	char a[DOOR_PATH_MAX], b[DOOR_PATH_MAX];

	return REAL(renameat2)(fa, door_path(from, a), fb, door_path(to, b), flags);
}

SKEP_API int linkat(int fa, const char *from, int fb, const char *to, int flags)
{
	char a[DOOR_PATH_MAX], b[DOOR_PATH_MAX];

	return REAL(linkat)(fa, door_path(from, a), fb, door_path(to, b), flags);
}

/* ---- results that are paths, mounts ---- */

/* A host path in RES back to the name that the client used, if that was ours. */
static char *unmap(const char *asked, char *res)
{
	struct obj_dir *d = door_dir_peek();
	char root[DOOR_PATH_MAX];
	size_t n;

	if (!res || !d || !door_path_is_bpffs(asked))
		return res;
	n = (size_t)snprintf(root, sizeof(root), "%s/bpffs", d->path);
	if (n < sizeof(SYS_BPFFS_PATH) - 1 || strncmp(res, root, n))
		return res;
	memmove(res + sizeof(SYS_BPFFS_PATH) - 1, res + n, strlen(res + n) + 1);
	memcpy(res, SYS_BPFFS_PATH, sizeof(SYS_BPFFS_PATH) - 1);
	return res;
}

/* A walk over the pin directory names what it meets as the client knows it. One walk per thread at a time is
 * translated; one inside of it sees host names. */
static __thread struct {
	void *fn;
	char path[DOOR_PATH_MAX];
} walk;

static const char *walk_name(const char *path, struct FTW *ftw)	/* FTW: a copy, libc goes on with its own */
{
	size_t was = strlen(path);

	if (was >= sizeof(walk.path))
		return path;
	memcpy(walk.path, path, was + 1);
	unmap(SYS_BPFFS_PATH, walk.path);
	ftw->base += (int)strlen(walk.path) - (int)was;
	return walk.path;
}

static int walk_step(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	struct FTW copy = *ftw;

	return ((__nftw_func_t)walk.fn)(walk_name(path, &copy), st, type, &copy);
}

static int walk_step64(const char *path, const struct stat64 *st, int type, struct FTW *ftw)
{
	struct FTW copy = *ftw;

	return ((__nftw64_func_t)walk.fn)(walk_name(path, &copy), st, type, &copy);
}

#define WALK(name, type, step)							\
SKEP_API int name(const char *path, type f, int fds, int flags)		\
{										\
	char buf[DOOR_PATH_MAX];						\
	const char *host = door_path(path, buf);				\
	int ret;								\
										\
	if (host == path || walk.fn)						\
		return REAL(name)(host, f, fds, flags);				\
	walk.fn = (void *)f;							\
	ret = REAL(name)(host, step, fds, flags);				\
	walk.fn = NULL;								\
	return ret;								\
}
WALK(nftw, __nftw_func_t, walk_step)
WALK(nftw64, __nftw64_func_t, walk_step64)

SKEP_API char *realpath(const char *path, char *out)
{
	char buf[DOOR_PATH_MAX];

	return unmap(path, REAL(realpath)(door_path(path, buf), out));
}

SKEP_API char *canonicalize_file_name(const char *path)
{
	char buf[DOOR_PATH_MAX];

	return unmap(path, REAL(canonicalize_file_name)(door_path(path, buf)));
}

/* The pin directory is mounted as far as clients can see. */
SKEP_API int mount(const char *src, const char *target, const char *type, unsigned long flags, const void *data)
{
	char buf[DOOR_PATH_MAX];

	if (door_path_is_bpffs(target) && door_path(target, buf) == buf &&
	    (!type || !strcmp(type, "bpf") || !*type))
		return 0;
	return REAL(mount)(src, target, type, flags, data);
}
