/* SPDX-License-Identifier: Apache-2.0 */
/* source.c - BPF objects from files, and what libbpf had to say about them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool/elfbtf.h"
#include "tool/compile.h"
#include "tool/libbpf.h"
#include "tool/vmlinux.h"

#define MAX_OBJECT	(1ull << 30)	/* larger files are no BPF objects */

static char cause[256];

static int on_message(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char *nl;

	if (opt.debug)
		return vfprintf(stderr, fmt, ap);
	if (level != LIBBPF_WARN || cause[0])
		return 0;
	vsnprintf(cause, sizeof(cause), fmt, ap);
	if (strstr(cause, "Retrying without BTF"))
		cause[0] = 0;	/* what comes of it is said next */
	nl = strchr(cause, '\n');
	if (nl)
		*nl = 0;
	return 0;
}

void libbpf_init(void)
{
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	libbpf_set_print(on_message);
}

const char *libbpf_cause(void)
{
	static char last[256];
	const char *s = cause;

	if (!strncmp(s, "libbpf: ", 8))
		s += 8;
	snprintf(last, sizeof(last), "%s", s);
	cause[0] = 0;
	return last;
}

static int read_all(const char *path, int fd, struct source *s)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st))
		return fail_errno(-errno, "%s", path);
	if (S_ISDIR(st.st_mode))
		return fail_errno(-EISDIR, "%s", path);
	if (!st.st_size)
		return fail(EXIT_FAILED, "%s: empty file, not a BPF object", path);
	if (!S_ISREG(st.st_mode) || (u64)st.st_size > MAX_OBJECT)
		return fail(EXIT_FAILED, "%s: not a BPF object", path);
	s->data = malloc((size_t)st.st_size);
	if (!s->data)
		return fail_errno(-ENOMEM, "%s", path);
	for (s->size = 0; s->size < (size_t)st.st_size; s->size += (size_t)n) {
		n = pread(fd, (char *)s->data + s->size, (size_t)st.st_size - s->size, (off_t)s->size);
		if (n < 0)
			return fail_errno(-errno, "%s", path);
		if (!n)
			break;
	}
	return 0;
}

static void set_name(struct source *s, const char *path)
{
	const char *base = strrchr(path, '/');
	char *dot;

	snprintf(s->name, sizeof(s->name), "%s", base ? base + 1 : path);
	dot = strchr(s->name, '.');
	if (dot && dot != s->name)
		*dot = 0;
}

static bool is_c(const char *path)
{
	size_t n = strlen(path);

	return n > 2 && !strcmp(path + n - 2, ".c");
}

static int get_compiled(const char *path, const struct cc_opts *cc, struct source *s)
{
	u64 t0 = now_ns();
	int fd, rc;

	fd = memfd_create("skep-bpf-object", MFD_CLOEXEC);
	if (fd < 0)
		return fail_errno(-errno, "%s: no room for the compiler's output", path);
	rc = compile_c(path, cc, fd);
	if (!rc)
		rc = read_all(path, fd, s);
	s->compile_ns = now_ns() - t0;
	close(fd);
	return rc;
}

int source_get(const char *path, const struct cc_opts *cc, struct source *s)
{
	int fd, rc;

	memset(s, 0, sizeof(*s));
	s->path = path;
	set_name(s, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(-errno, "%s", path);
	rc = is_c(path) ? get_compiled(path, cc, s) : read_all(path, fd, s);
	close(fd);
	if (rc)
		source_free(s);
	return rc;
}

void source_free(struct source *s)
{
	free(s->data);
	s->data = NULL;
}

/* The last line of BTF_LOAD's log says what is wrong. */
static bool btf_refused(const struct source *s)
{
	struct sbuf why = {};
	char *line;
	int err = elfbtf_check(s->data, s->size, &why);

	if (err) {
		while (why.len && why.s[why.len - 1] == '\n')
			why.s[--why.len] = 0;
		line = why.len ? strrchr(why.s, '\n') : NULL;
		fail(EXIT_FAILED, "%s: not a usable BPF object: .BTF: %s", s->path,
		     line ? line + 1 : why.len ? why.s : strerror(-err));
	}
	sbuf_free(&why);
	return err;
}

/* What CO-RE is resolved against: a memory file that stays open. */
static const char *vmlinux_path(void)
{
	static char path[32];
	int fd;

	if (getenv("SKEP_TARGET_BTF") && *getenv("SKEP_TARGET_BTF"))
		return getenv("SKEP_TARGET_BTF");
	if (!*path && (fd = vmlinux_fd_btf()) >= 0)
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return *path ? path : NULL;
}

struct bpf_object *source_open(const struct source *s, int *rc)
{
	LIBBPF_OPTS(bpf_object_open_opts, o, .object_name = s->name, .btf_custom_path = vmlinux_path());
	struct bpf_object *obj;
	const char *why;
	int err;

	if (btf_refused(s)) {
		*rc = EXIT_FAILED;
		return NULL;
	}
	libbpf_cause();
	obj = bpf_object__open_mem(s->data, s->size, &o);
	err = -errno;
	if (obj && bpf_object__next_program(obj, NULL))
		return obj;
	why = libbpf_cause();
	if (obj) {
		bpf_object__close(obj);
		*rc = fail(EXIT_FAILED, "%s: no BPF program in it", s->path);
	} else if (*why) {
		*rc = fail(EXIT_FAILED, "%s: not a usable BPF object: %s", s->path, why);
	} else {
		*rc = fail_errno(err, "%s: not a usable BPF object", s->path);
	}
	return NULL;
}

void pin_path(const char *name, char *out, size_t size)
{
	snprintf(out, size, "%s%s", *name == '/' ? "" : "/sys/fs/bpf/", name);
}
