/* SPDX-License-Identifier: Apache-2.0 */
/* pins.c - pins: where they lie, what is pinned where, the pins of a run (bpffs/NAME/{program, maps}).
 * A client names pins below /sys/fs/bpf; the files are hard links in the directory's bpffs/. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skep.h>

#include "tool/load.h"
#include "tool/maps.h"
#include "tool/prog.h"

#define BPFFS "/sys/fs/bpf/"

const char *pin_dir(void)
{
	static char b[4096];

	snprintf(b, sizeof(b), "%s/bpffs", skep_dir__path());
	return b;
}

/* NAME as the user gives it, relative to the pin directory; NULL if it does not lie there. */
static const char *relative(const char *name)
{
	if (!strncmp(name, BPFFS, strlen(BPFFS)))
		name += strlen(BPFFS);
	return *name == '/' || !*name ? NULL : name;
}

/* mkdir -p below the pin directory. The kernel's bpffs wants mkdir(2) from its clients, too. */
static int make_pin_dir(const char *name)
{
	const char *rel = relative(name);
	char path[4096];
	size_t base;

	if (!rel || strchr(rel, '.'))
		return fail(EXIT_USAGE, "'%s' cannot be a pin: a name without dots, or a path below %s", name, BPFFS);
	base = (size_t)snprintf(path, sizeof(path), "%s/", pin_dir());
	snprintf(path + base, sizeof(path) - base, "%s/", rel);
	for (char *p = path + base; (p = strchr(p, '/')); p++) {
		*p = 0;
		if (mkdir(path, 0700) && errno != EEXIST)
			return fail_errno(-errno, "cannot make %s", path);
		*p = '/';
	}
	return 0;
}

bool pin_readable(const char *name)
{
	const char *rel = relative(name);
	char path[8192];

	snprintf(path, sizeof(path), "%s/%s", pin_dir(), rel ? rel : "");
	return rel && !access(path, R_OK);
}

int load_check_free(const char *name)
{
	const char *rel = relative(name);
	char path[8192];
	struct stat st;

	if (!rel || strchr(rel, '.'))
		return fail(EXIT_USAGE, "'%s' cannot be a pin: a name without dots, or a path below %s", name, BPFFS);
	snprintf(path, sizeof(path), "%s/%s", pin_dir(), rel);
	if (stat(path, &st))
		return 0;
	return fail(EXIT_FAILED, "%s is pinned already: --reuse-pins goes on counting, rm -r %s forgets it", rel, path);
}

static void walk(int at, const char *prefix, const struct stat *want, u32 depth,
		 void (*each)(void *arg, const char *path), void *arg)
{
	DIR *d = at < 0 ? NULL : fdopendir(at);
	struct dirent *e;
	struct stat st;
	char path[1024];

	if (!d) {
		if (at >= 0)
			close(at);
		return;
	}
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		snprintf(path, sizeof(path), "%s/%s", prefix, e->d_name);
		if (S_ISDIR(st.st_mode) && depth < 16)
			walk(openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), path, want,
			     depth + 1, each, arg);
		else if (st.st_dev == want->st_dev && st.st_ino == want->st_ino)
			each(arg, path);
	}
	closedir(d);
}

/* A pin is a hard link: it has the object's inode. */
void pins_each(int fd, void (*each)(void *arg, const char *path), void *arg)
{
	struct stat st;

	if (!fstat(fd, &st))
		walk(open(pin_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), "/sys/fs/bpf", &st, 0, each, arg);
}

static void pin_name(const char *name, const char *what, char *out, size_t size)
{
	char dir[1024];

	pin_path(name, dir, sizeof(dir));
	snprintf(out, size, "%s/%s", dir, what);
}

/* A map's name under its pins: ".rodata" and friends lose the dot, which bpffs does not allow. */
static void map_pin_name(const struct bpf_map *m, const char *name, char *out, size_t size)
{
	char what[256], *dot;

	snprintf(what, sizeof(what), "%s", bpf_map__name(m));
	while ((dot = strchr(what, '.')))
		*dot = '_';
	pin_name(name, what, out, size);
}

static bool is_const(const struct bpf_map *m)
{
	return bpf_map__is_internal(m) && (bpf_map__map_flags(m) & BPF_F_RDONLY_PROG);
}

static int same_shape(const struct bpf_map *m, const struct bpf_map_info *i, const char *path)
{
	const struct { const char *what; u32 have, want; } f[] = {
		{ "type", i->type, bpf_map__type(m) },
		{ "key size", i->key_size, bpf_map__key_size(m) },
		{ "value size", i->value_size, bpf_map__value_size(m) },
		{ "max_entries", i->max_entries, bpf_map__max_entries(m) },
		{ "flags", i->map_flags, bpf_map__map_flags(m) },
	};

	for (u32 k = 0; k < ARRAY_SIZE(f); k++)
		if (f[k].have != f[k].want)
			return fail(EXIT_FAILED, "%s: pinned with %s %u, the program's has %u", path, f[k].what, f[k].have,
				    f[k].want);
	return 0;
}

static int reuse_one(struct bpf_map *m, const char *path)
{
	struct bpf_map_info info = {};
	u32 len = sizeof(info);
	int fd = bpf_obj_get(path), rc, err;

	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(-errno, "%s", path);
	rc = bpf_obj_get_info_by_fd(fd, &info, &len) ? fail_errno(-errno, "%s", path) : same_shape(m, &info, path);
	if (!rc) {
		err = bpf_map__reuse_fd(m, fd);
		rc = err ? fail_errno(err, "%s", path) : 0;
	}
	close(fd);
	return rc;
}

int load_reuse_pins(struct bpf_object *obj, const char *name)
{
	struct bpf_map *m;
	char path[2048];
	int rc = 0;

	bpf_object__for_each_map(m, obj) {
		map_pin_name(m, name, path, sizeof(path));
		if (!rc && !is_const(m))
			rc = reuse_one(m, path);
	}
	return rc;
}

static int pin_fd(int fd, const char *path, bool replace)
{
	if (!bpf_obj_pin(fd, path))
		return 0;
	if (errno == EEXIST && replace) {
		char real[8192];

		snprintf(real, sizeof(real), "%s/%s", pin_dir(), path + strlen(BPFFS));
		if (!unlink(real) && !bpf_obj_pin(fd, path))
			return 0;
	}
	return fail_errno(-errno, "cannot pin %s", path);
}

static bool same_map(int fd, const char *path)
{
	struct bpf_map_info a = {}, b = {};
	u32 la = sizeof(a), lb = sizeof(b);
	int other = bpf_obj_get(path);
	bool same;

	if (other < 0)
		return false;
	same = !bpf_obj_get_info_by_fd(fd, &a, &la) && !bpf_obj_get_info_by_fd(other, &b, &lb) && a.id == b.id;
	close(other);
	return same;
}

int load_pin_maps(struct bpf_object *obj, const char *name)
{
	struct bpf_map *m;
	char path[2048];
	int rc = make_pin_dir(name);

	bpf_object__for_each_map(m, obj) {
		map_pin_name(m, name, path, sizeof(path));
		if (!rc && !same_map(bpf_map__fd(m), path))
			rc = pin_fd(bpf_map__fd(m), path, is_const(m));
	}
	return rc;
}

int load_pin(struct bpf_object *obj, struct bpf_program *prog, const char *name)
{
	int rc = load_pin_maps(obj, name);
	struct bpf_program *p;
	char path[2048];

	bpf_object__for_each_program(p, obj) {
		if (rc || (prog ? p != prog : bpf_program__fd(p) < 0))
			continue;
		pin_name(name, bpf_program__name(p), path, sizeof(path));
		rc = pin_fd(bpf_program__fd(p), path, true);
	}
	return rc;
}

int pin_one(int fd, const char *name)
{
	char path[2048], parent[2048], *slash;
	int rc = 0;

	pin_path(name, path, sizeof(path));
	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	*slash = 0;
	if (strlen(parent) > strlen(BPFFS) && !strncmp(parent, BPFFS, strlen(BPFFS)))
		rc = make_pin_dir(parent);
	return rc ? rc : pin_fd(fd, path, false);
}
