/* SPDX-License-Identifier: Apache-2.0 */
/* pin_cmd.c - OBJ_PIN and OBJ_GET: names below the directory's bpffs/, which clients know as /sys/fs/bpf. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/attach.h"
#include "sys/cmds.h"
#include "sys/sys.h"

/* What follows PREFIX in PATH ("" or "/..."), or NULL. */
static const char *below(const char *path, const char *prefix)
{
	size_t n = strlen(prefix);

	return !strncmp(path, prefix, n) && (!path[n] || path[n] == '/') ? path + n : NULL;
}

/* Resolves "." and ".." and doubled slashes by text; the pin directory holds no symlinks of ours. */
static int normalise(const char *in, char *out, size_t size)
{
	size_t n = 0;

	while (*in) {
		const char *end;
		size_t len;

		while (*in == '/')
			in++;
		end = strchrnul(in, '/');
		len = end - in;
		if (len == 2 && in[0] == '.' && in[1] == '.') {
			while (n && out[n - 1] != '/')
				n--;
			if (n)
				n--;
		} else if (len && !(len == 1 && in[0] == '.')) {
			if (n + len + 2 > size)
				return -ENAMETOOLONG;
			out[n++] = '/';
			memcpy(out + n, in, len);
			n += len;
		}
		in = end;
	}
	out[n] = 0;
	return 0;
}

static int strip(const char *abs, const char *dir, char *out, size_t size)
{
	const char *rest = below(abs, SYS_BPFFS_PATH);

	if (!rest) {
		rest = below(abs, dir);
		rest = rest ? below(rest, "/bpffs") : NULL;
	}
	if (!rest)
		return -ENOENT;
	if (*rest == '/')
		rest++;
	if (strlen(rest) >= size)
		return -ENAMETOOLONG;
	memmove(out, rest, strlen(rest) + 1);
	return 0;
}

int sys_pin_path(const char *dir, const char *path, const char *cwd, char *out, size_t size)
{
	char joined[2 * PATH_MAX], abs[2 * PATH_MAX];
	int err;

	if (path[0] == '/') {
		err = normalise(path, abs, sizeof(abs));
		return err ? err : strip(abs, dir, out, size);
	}
	/* a client standing in the pin directory means its own place; others name from the root of it */
	if (cwd && snprintf(joined, sizeof(joined), "%s/%s", cwd, path) < (int)sizeof(joined) &&
	    !normalise(joined, abs, sizeof(abs)) && !strip(abs, dir, out, size))
		return 0;
	snprintf(joined, sizeof(joined), "%s/%s", SYS_BPFFS_PATH, path);
	err = normalise(joined, abs, sizeof(abs));
	return err ? err : strip(abs, dir, out, size);
}

/* The client's pathname, relative to bpffs/. OUTSIDE is the answer for existing places elsewhere. */
static int take_path(struct call *k, int outside, char *out, size_t size)
{
	char path[PATH_MAX], cwd[PATH_MAX], parent[PATH_MAX];
	bool at = k->a.file_flags & BPF_F_PATH_FD;
	struct stat st;
	long n;
	int err;

	n = k->c->ops->copy_str(k->c->arg, path, k->a.pathname, sizeof(path));
	if (n < 0)
		return n == -E2BIG ? -ENAMETOOLONG : (int)n;
	if (!n)
		return -ENOENT;
	err = k->c->ops->cwd(k->c->arg, at ? k->a.path_fd : AT_FDCWD, cwd, sizeof(cwd));
	if (err && at && path[0] != '/')
		return err;
	err = sys_pin_path(k->c->dir->path, path, err ? NULL : cwd, out, size);
	if (err != -ENOENT)
		return err;
	strcpy(parent, path);
	if (outside == -EPERM) {		/* pinning needs the folder, getting the file */
		char *slash = strrchr(parent, '/');

		if (slash)
			slash[slash == parent] = 0;
	}
	return stat(parent, &st) ? -errno : outside;
}

static int any_object(struct call *k, int own, enum obj_kind *kind)
{
	struct stat st;
	int err = obj_identify(k->c->dir, own, kind, &st);

	if (!err && *kind == OBJ_BTF)
		err = -EINVAL;			/* BTF cannot be pinned */
	return err;
}

long cmd_obj_pin(struct call *k)
{
	char rel[PATH_MAX];
	enum obj_kind kind;
	int own, err;

	if (k->a.file_flags & ~BPF_F_PATH_FD || (!(k->a.file_flags & BPF_F_PATH_FD) && k->a.path_fd))
		return -EINVAL;
	own = k->c->ops->fd_in(k->c->arg, (int)k->a.bpf_fd);
	if (own < 0)
		return -EINVAL;			/* even for -EBADF: the kernel tries kind after kind */
	err = any_object(k, own, &kind);
	if (!err)
		err = take_path(k, -EPERM, rel, sizeof(rel));
	if (!err)
		err = rel[0] ? obj_pin(k->c->dir, own, rel) : -EEXIST;
	k->c->ops->fd_put(k->c->arg, own);
	return err;
}

long cmd_obj_get(struct call *k)
{
	u32 valid = BPF_F_PATH_FD | BPF_F_RDONLY | BPF_F_WRONLY;
	char rel[PATH_MAX];
	enum obj_kind kind;
	int err, oflags;

	if (k->a.bpf_fd || k->a.file_flags & ~valid ||
	    (!(k->a.file_flags & BPF_F_PATH_FD) && k->a.path_fd))
		return -EINVAL;
	oflags = sys_open_flags(k->a.file_flags);
	if (oflags < 0)
		return oflags;
	err = take_path(k, -EACCES, rel, sizeof(rel));
	if (err)
		return err;
	err = rel[0] ? obj_open_pin(k->c->dir, rel, oflags) : -EACCES;
	if (err >= 0 && !any_object(k, err, &kind) && kind == OBJ_LINK)
		attach_mark(err);
	return call_give_fd(k, err);
}
