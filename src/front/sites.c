/* SPDX-License-Identifier: Apache-2.0 */
/* sites.c - tables of system call sites kept below DIR/sites, one file each, named by what stat(2) says of the ELF file.
 * Written whole under another name and renamed: a reader sees a whole table or none, writers of the same one do no
 * harm to each other. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "front/scan.h"

#define FILES_MAX	128			/* of one command: libraries of libraries included */

static int write_all(int fd, const void *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w ? -errno : -EIO;
		p = (const char *)p + w;
		n -= w;
	}
	return 0;
}

static int store(int dfd, const char *name, const void *table, size_t n)
{
	char tmp[SITE_NAME_MAX + 16];
	u64 salt = 0;
	int fd, err;

	if (getrandom(&salt, sizeof(salt), GRND_NONBLOCK) < 0)
		salt = getpid();
	snprintf(tmp, sizeof(tmp), ".%llx", (unsigned long long)salt);
	fd = openat(dfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = write_all(fd, table, n);
	close(fd);
	if (!err && renameat(dfd, tmp, dfd, name))
		err = -errno;
	if (err)
		unlinkat(dfd, tmp, 0);
	return err;
}

static int open_cache(const char *dir)
{
	char path[512];
	int fd;

	if (snprintf(path, sizeof(path), "%s/sites", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (mkdir(path, 0700) && errno == ENOENT) {	/* the first in a new directory */
		if (mkdir(dir, 0700) && errno != EEXIST)
			return -errno;
		mkdir(path, 0700);
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool good(int dfd, const char *name, const struct site_ident *id)
{
	int fd = openat(dfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	void *p = NULL;
	bool ok;

	if (fd < 0)
		return false;
	ok = !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size >= (off_t)sizeof(struct site_hdr) &&
	     st.st_size <= (off_t)(SITE_BLOB_MAX + SITE_MAX * sizeof(struct site) + sizeof(struct site_hdr));
	if (ok)
		p = malloc(st.st_size);
	ok = p && read(fd, p, st.st_size) == st.st_size && !site_table_check(p, st.st_size, id);
	free(p);
	close(fd);
	return ok;
}

static int prepare_fd(int dfd, int fd)
{
	char name[SITE_NAME_MAX];
	struct site_ident id;
	struct site_hdr *h;
	struct stat st;
	size_t n;
	int err;

	if (fstat(fd, &st))
		return -errno;
	id = (struct site_ident){ st.st_dev, st.st_ino, st.st_size,
				  st.st_mtim.tv_sec * 1000000000ull + st.st_mtim.tv_nsec };
	site_table_name(&id, name);
	if (good(dfd, name, &id))
		return 1;
	err = scan_file(fd, &h, &n);
	if (err)
		return err;
	site_table_name(&h->id, name);
	err = store(dfd, name, h, n);
	free(h);
	return err;
}

int sites_prepare(const char *dir, const char *path)
{
	int dfd = open_cache(dir), fd, err;

	if (dfd < 0)
		return dfd;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	err = fd < 0 ? -errno : prepare_fd(dfd, fd);
	if (fd >= 0)
		close(fd);
	close(dfd);
	return err;
}

/* ---- a command and what it is linked with ---- */

struct files {
	int dfd;
	struct {
		dev_t dev;
		ino_t ino;
	} seen[FILES_MAX];
	u32 nr;
	bool full;				/* no room for a table */
};

static void take_file(struct files *fs, const char *path);

static bool try_dir(struct files *fs, const char *dir, size_t n, const char *origin, const char *name)
{
	char path[1024];
	int len;

	if (n >= 7 && !strncmp(dir, "$ORIGIN", 7))
		len = snprintf(path, sizeof(path), "%.*s/%.*s/%s", (int)(strrchr(origin, '/') - origin), origin, (int)n - 7,
			       dir + 7, name);
	else
		len = snprintf(path, sizeof(path), "%.*s/%s", (int)n, dir, name);
	if (!n || len >= (int)sizeof(path) || access(path, R_OK))
		return false;
	take_file(fs, path);
	return true;
}

static bool try_list(struct files *fs, const char *list, const char *origin, const char *name)
{
	while (list && *list) {
		size_t n = strcspn(list, ":");

		if (try_dir(fs, list, n, origin, name))
			return true;
		list += n + (list[n] == ':');
	}
	return false;
}

/* Where the loader usually finds libraries. It has a cache and more rules; whatever is missed here costs the first
 * process a few milliseconds. */
static void take_library(struct files *fs, const struct scan_elf *e, const char *origin, const char *name)
{
	static const char usual[] = "/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:/lib64:/usr/lib64:/lib:/usr/lib:"
				    "/usr/local/lib:/lib/x86_64-linux-musl:/usr/lib/musl/lib";

	if (strchr(name, '/'))
		take_file(fs, name);
	else if (!try_list(fs, e->runpath, origin, name) && !try_list(fs, getenv("LD_LIBRARY_PATH"), origin, name))
		try_list(fs, usual, origin, name);
}

static bool is_new(struct files *fs, const struct stat *st)
{
	for (u32 i = 0; i < fs->nr; i++) {
		if (fs->seen[i].dev == st->st_dev && fs->seen[i].ino == st->st_ino)
			return false;
	}
	if (fs->nr == FILES_MAX)
		return false;
	fs->seen[fs->nr].dev = st->st_dev;
	fs->seen[fs->nr++].ino = st->st_ino;
	return true;
}

static void take_interpreter(struct files *fs, const u8 *p, size_t n)
{
	char path[256];
	size_t i = 2, k = 0;

	while (i < n && (p[i] == ' ' || p[i] == '\t'))
		i++;
	while (i < n && k < sizeof(path) - 1 && p[i] != ' ' && p[i] != '\t' && p[i] != '\n')
		path[k++] = p[i++];
	path[k] = 0;
	if (k)
		take_file(fs, path);
}

static void take_file(struct files *fs, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct scan_elf *e = calloc(1, sizeof(*e));
	void *img = MAP_FAILED;
	struct stat st;

	if (!e || fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size < 4 || !is_new(fs, &st))
		goto out;
	img = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (img == MAP_FAILED)
		goto out;
	if (!memcmp(img, "#!", 2)) {
		take_interpreter(fs, img, st.st_size);
		goto out;
	}
	if (scan_elf_headers(e, img, st.st_size))
		goto out;
	fs->full |= prepare_fd(fs->dfd, fd) == -ENOSPC;
	if (*e->interp)
		take_file(fs, e->interp);
	for (u32 i = 0; i < e->nr_needed; i++)
		take_library(fs, e, strchr(path, '/') ? path : "/", e->needed[i]);
out:
	if (img != MAP_FAILED)
		munmap(img, st.st_size);
	if (fd >= 0)
		close(fd);
	free(e);
}

int sites_prepare_command(const char *dir, const char *command)
{
	const char *list = getenv("PATH");
	struct files fs = {};
	bool found = true;

	fs.dfd = open_cache(dir);
	if (fs.dfd < 0)
		return fs.dfd;
	if (strchr(command, '/'))
		take_file(&fs, command);
	else
		found = try_list(&fs, list ? list : "/bin:/usr/bin", "/", command);
	close(fs.dfd);
	if (fs.full)
		return -ENOSPC;
	return found && fs.nr ? (int)fs.nr : -ENOENT;
}
