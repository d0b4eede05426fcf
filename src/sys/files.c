/* SPDX-License-Identifier: Apache-2.0 */
/* files.c - what clients read below /sys to find hooks: tracefs' tracepoints (both places where it is mounted), the numbers of
 * perf's PMUs, the kernel's BTF. The content follows from spec's tables; a file is made as it is opened, as a memory file.
 * Everything below these places is answered here: what skep does not have is not there (so clients that would write to
 * kprobe_events find a kernel without it), whatever the host has. */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sbuf.h"
#include "spec/events.h"
#include "spec/vmlinux.h"
#include "sys/attach.h"
#include "sys/door.h"

#define TRACEFS		"/sys/kernel/tracing"
#define TRACEFS_OLD	"/sys/kernel/debug/tracing"
#define PMUS		"/sys/bus/event_source/devices"
#define VMLINUX		"/sys/kernel/btf/vmlinux"

enum what {
	W_DIR, W_BTF, W_EVENTS, W_FUNCTIONS, W_ID, W_FORMAT, W_TEXT,
};

struct found {
	enum what what;
	struct spec_event e;		/* W_ID, W_FORMAT */
	char text[16];			/* W_TEXT */
};

/* What follows ROOT in PATH ("" or "/..."), or NULL. */
static const char *below(const char *path, const char *root)
{
	size_t n = strlen(root);

	return !strncmp(path, root, n) && (!path[n] || path[n] == '/') ? path + n : NULL;
}

/* ---- perf's PMUs ---- */

static const struct {
	const char *name;
	u32 type;
	const char *retprobe;		/* format/retprobe */
} pmus[] = {
	{ "software", PERF_TYPE_SOFTWARE, NULL },
	{ "tracepoint", PERF_TYPE_TRACEPOINT, NULL },
	{ "kprobe", ATTACH_PMU_KPROBE, "config:0" },
};

static int find_pmu(const char *rest, struct found *f)
{
	const char *file;

	if (!*rest)
		return 0;
	for (u32 i = 0; i < ARRAY_SIZE(pmus); i++) {
		file = below(rest + 1, pmus[i].name);
		if (!file)
			continue;
		if (!*file || (pmus[i].retprobe && !strcmp(file, "/format")))
			return 0;
		f->what = W_TEXT;
		if (!strcmp(file, "/type"))
			snprintf(f->text, sizeof(f->text), "%u\n", pmus[i].type);
		else if (pmus[i].retprobe && !strcmp(file, "/format/retprobe"))
			snprintf(f->text, sizeof(f->text), "%s\n", pmus[i].retprobe);
		else
			return -ENOENT;
		return 0;
	}
	return -ENOENT;
}

/* ---- tracefs ---- */

static int is_category(void *arg, const struct spec_event *e)
{
	return !strcmp(e->category, arg);
}

/* CATEGORY[/NAME[/FILE]] */
static int find_event(const char *rest, struct found *f)
{
	char part[3][64] = { "", "", "" };
	int n = sscanf(rest, "%63[^/]/%63[^/]/%63[^/]", part[0], part[1], part[2]);

	if (n < 2)
		return n < 1 || spec_event_each(is_category, part[0]) ? 0 : -ENOENT;
	if (spec_event_find(part[0], part[1], &f->e))
		return -ENOENT;
	if (n == 2)
		return 0;
	f->what = !strcmp(part[2], "id") ? W_ID : W_FORMAT;
	return f->what == W_ID || !strcmp(part[2], "format") ? 0 : -ENOENT;
}

static int find_tracefs(const char *rest, struct found *f)
{
	const char *event = below(rest, "/events");

	if (!*rest || !strcmp(rest, "/"))
		return 0;
	if (event)
		return *event ? find_event(event + 1, f) : 0;
	if (!strcmp(rest, "/available_events"))
		f->what = W_EVENTS;
	else if (!strcmp(rest, "/available_filter_functions"))
		f->what = W_FUNCTIONS;
	else
		return -ENOENT;
	return 0;
}

/* 0: *F says what it is; -ENOENT: ours, but not there; DOOR_NOT_OURS. */
static int find(const char *path, struct found *f)
{
	const char *rest;

	if (likely(!path || strncmp(path, "/sys/", 5)))
		return DOOR_NOT_OURS;
	f->what = W_DIR;
	rest = below(path, TRACEFS);
	rest = rest ? rest : below(path, TRACEFS_OLD);
	if (rest)
		return find_tracefs(rest, f);
	rest = below(path, PMUS);
	if (rest)
		return find_pmu(rest, f);
	f->what = W_BTF;
	return strcmp(path, VMLINUX) ? DOOR_NOT_OURS : 0;
}

/* ---- content ---- */

static int add_event(void *arg, const struct spec_event *e)
{
	sbuf_printf(arg, "%s:%s\n", e->category, e->name);
	return 0;
}

static void make_text(const struct found *f, struct sbuf *out)
{
	switch (f->what) {
	case W_EVENTS:
		spec_event_each(add_event, out);
		break;
	case W_FUNCTIONS:
		for (u32 i = 0; i < spec_nr_syscalls; i++)
			sbuf_printf(out, "__x64_sys_%s\n", spec_syscalls[i].name);
		break;
	case W_ID:
		sbuf_printf(out, "%u\n", f->e.id);
		break;
	case W_FORMAT:
		spec_event_format(&f->e, out);
		break;
	case W_TEXT:
		sbuf_puts(out, f->text);
		break;
	default:
		break;
	}
}

static int put_all(int fd, const void *data, size_t n)
{
	for (size_t at = 0; at < n;) {
		long got = raw_syscall(SYS_pwrite64, fd, (long)data + (long)at, (long)(n - at), (long)at, 0, 0);

		if (got <= 0)
			return got ? (int)got : -EIO;
		at += (size_t)got;
	}
	return 0;
}

static int make_file(const struct found *f, int flags)
{
	struct sbuf text = { 0 };
	int err, fd = (int)raw_syscall(SYS_memfd_create, (long)"skep", flags & O_CLOEXEC ? MFD_CLOEXEC : 0, 0, 0, 0, 0);
	const struct btf *vmlinux;
	bool foreign;

	if (fd < 0)
		return fd;
	if (f->what == W_BTF) {
		vmlinux = sys_vmlinux(&foreign);
		vmlinux = vmlinux ? vmlinux : &spec_vmlinux;
		err = put_all(fd, vmlinux->data, vmlinux->size);
	} else {
		make_text(f, &text);
		err = text.err ? text.err : put_all(fd, text.s, text.len);
		sbuf_free(&text);
	}
	if (!err)
		return fd;
	raw_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
	return err;
}

/* ---- what the doors ask ---- */

int door_file_open(const char *path, int flags)
{
	struct found f;
	int saved = errno, ret = find(path, &f);

	if (likely(ret == DOOR_NOT_OURS))
		return ret;
	if (!ret)
		ret = (flags & O_ACCMODE) != O_RDONLY ? -EACCES : f.what == W_DIR ? -EISDIR : make_file(&f, flags);
	errno = saved;
	return (int)door_errno(ret);
}

int door_file_stat(const char *path, mode_t *mode)
{
	struct found f;
	int saved = errno, ret = find(path, &f);

	if (likely(ret == DOOR_NOT_OURS))
		return ret;
	*mode = f.what == W_DIR ? S_IFDIR | 0555 : S_IFREG | 0444;
	errno = saved;
	return (int)door_errno(ret);
}

int door_file_access(const char *path, int how)
{
	mode_t mode;
	int ret = door_file_stat(path, &mode);

	if (ret)
		return ret;
	return how & W_OK || (how & X_OK && !S_ISDIR(mode)) ? (int)door_errno(-EACCES) : 0;
}
