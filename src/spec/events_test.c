/* SPDX-License-Identifier: Apache-2.0 */
/* events_test.c - syscalls.def and tracepoints.def against the running kernel's tracefs: every format file, text for text,
 * but for the id. */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sbuf.h"
#include "spec/events.h"
#include "t.h"

/* Built into kernels with options that the measured one may lack. */
static const char *const optional[] = {
	"init_module", "delete_module", "finit_module", "kexec_load", "kexec_file_load", "map_shadow_stack",
};

static bool is_optional(const struct spec_event *e)
{
	for (u32 i = 0; e->sys && i < ARRAY_SIZE(optional); i++)
		if (!strcmp(e->sys->name, optional[i]))
			return true;
	return false;
}

static char tracefs[256];		/* mounted in a namespace of this process */

static bool mount_tracefs(void)
{
	snprintf(tracefs, sizeof(tracefs), "%s/tracefs", t_tmpdir());
	mkdir(tracefs, 0700);
	return !unshare(CLONE_NEWNS) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("tracefs", tracefs, "tracefs", 0, NULL);
}

/* The kernel's text without its "ID:" line, or NULL. */
static char *kernel_format(const struct spec_event *e)
{
	static char text[16384];
	char path[512], *id, *end;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/events/%s/%s/format", tracefs, e->category, e->name);
	f = fopen(path, "r");
	if (!f)
		return NULL;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	id = strstr(text, "ID: ");
	end = id ? strchr(id, '\n') : NULL;
	if (end)
		memmove(id, end, strlen(end) + 1);
	return text;
}

static u32 compared;

static int compare(void *arg, const struct spec_event *e)
{
	struct sbuf b = { 0 };
	char *k = kernel_format(e), *id, *end;

	t_row("format of %s/%s is the kernel's", e->category, e->name);
	if (!k) {
		CHECK(is_optional(e));
		return 0;
	}
	spec_event_format(e, &b);
	id = strstr(b.s, "ID: ");
	end = strchr(id, '\n');
	memmove(id, end, strlen(end) + 1);
	STR_EQ(b.s, k);
	sbuf_free(&b);
	compared++;
	return 0;
}

TEST(formats)
{
	u32 missing = 0;
	char path[512];
	struct dirent *e;
	struct spec_event x;
	DIR *d;

	if (!t_is_root() || !mount_tracefs()) {
		t_skip("needs root and tracefs");
		return;
	}
	spec_event_each(compare, NULL);
	t_row("no tracepoint of a system call is missing");
	CHECK(compared > 700);
	snprintf(path, sizeof(path), "%s/events/syscalls", tracefs);
	d = opendir(path);
	NEED(d);
	while ((e = readdir(d)))
		if (!strncmp(e->d_name, "sys_", 4) && spec_event_find("syscalls", e->d_name, &x)) {
			t_fail(__FILE__, __LINE__, "%s", e->d_name);
			missing++;
		}
	closedir(d);
	EQ(missing, 0);
	umount(tracefs);
	rmdir(tracefs);
}

static int by_id_and_name(void *arg, const struct spec_event *e)
{
	struct spec_event a, b;

	CHECK(!spec_event_by_id(e->id, &a) && !strcmp(a.name, e->name) && !strcmp(a.category, e->category));
	CHECK(!spec_event_find(e->category, e->name, &b) && b.id == e->id);
	CHECK(e->id <= UINT16_MAX && spec_event_size(e) <= 8192);
	return 0;
}

TEST(every_tracepoint_is_found_by_its_id_and_its_name)
{
	struct spec_event e;

	spec_event_each(by_id_and_name, NULL);
	EQ(spec_event_find("syscalls", "sys_enter_stat", &e), -ENOENT);		/* newstat, in the kernel */
	EQ(spec_event_find("syscalls", "sys_between_read", &e), -ENOENT);
	EQ(spec_event_find("sched", "sched_switch", &e), -ENOENT);
	EQ(spec_event_by_id(0, &e), -ENOENT);
	EQ(spec_event_by_id(EVENT_SYSCALLS + 2 * 5000, &e), -ENOENT);
	EQ(spec_event_raw("sys_enter_read", &e), -ENOENT);
	CHECK(!spec_event_raw("sched_process_exec", &e) && e.raw_args == 3);
	CHECK(spec_syscall_symbol("__x64_sys_newfstat") && !spec_syscall_symbol("__x64_sys_fstat") &&
	      !spec_syscall_symbol("sys_newfstat"));
}

TEST(system_calls_ascend)
{
	for (u32 i = 1; i < spec_nr_syscalls; i++)
		CHECK(spec_syscalls[i - 1].nr < spec_syscalls[i].nr);
	CHECK(spec_syscall(59) && !strcmp(spec_syscall(59)->uapi, "execve") && spec_syscall(59)->nr_args == 3);
	CHECK(!spec_syscall(400) && !spec_syscall(100000));
}
