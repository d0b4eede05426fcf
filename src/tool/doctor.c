/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.c - skep doctor: what this machine allows. One row per fact: is it good, what was found, what to do. Driven by the
 * table `facts`; nothing is changed on the machine. Exit status 3 when something is missing that nothing works without. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <skep.h>

#include "tool/compile.h"
#include "tool/libbpf.h"
#include "tool/maps.h"
#include "tool/table.h"

#define ENOUGH_ROOM	(64ull << 20)

enum grade { GOOD, NOTE, BAD };

struct finding {
	enum grade grade;
	char text[256];
};

static void found(struct finding *f, enum grade g, const char *fmt, ...) __printf(3, 4);
static void found(struct finding *f, enum grade g, const char *fmt, ...)
{
	va_list ap;

	f->grade = g;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

/* First line of a file; false if it cannot be read. */
static bool line_of(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "re");
	bool ok = f && fgets(buf, (int)size, f);

	if (f)
		fclose(f);
	if (ok)
		buf[strcspn(buf, "\n")] = 0;
	return ok;
}

/* ---- facts ---- */
static void directory(struct finding *f)
{
	u32 id = 0;
	int err = bpf_map_get_next_id(0, &id) && errno != ENOENT ? errno : 0;

	if (err)
		found(f, BAD, "%s cannot be used: %s", skep_dir__path(), err_text(err));
	else
		found(f, GOOD, "%s", skep_dir__path());
}

static void room(struct finding *f)
{
	struct statvfs v;
	struct statfs s;
	u64 free;

	if (statvfs(skep_dir__path(), &v) || statfs(skep_dir__path(), &s)) {
		found(f, BAD, "%s: %s", skep_dir__path(), err_text(errno));
		return;
	}
	free = (u64)v.f_bavail * v.f_frsize;
	if (s.f_type != TMPFS_MAGIC)
		found(f, NOTE, "%s MB free, but on a disk: set SKEP_DIR to a folder on tmpfs", commas(free >> 20));
	else
		found(f, free < ENOUGH_ROOM ? NOTE : GOOD, "%s of %s MB free%s", commas(free >> 20),
		      commas(((u64)v.f_blocks * v.f_frsize) >> 20),
		      free < ENOUGH_ROOM ? ": containers get more by --shm-size" : "");
}

static void machine_code(struct finding *f)
{
	int fd = memfd_create("skep-doctor", MFD_CLOEXEC);
	void *p = fd < 0 || ftruncate(fd, 4096) ? MAP_FAILED :
		  mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		found(f, NOTE, "executable memory is refused (%s): programs are interpreted", err_text(errno));
	else
		found(f, GOOD, "allowed");
	if (p != MAP_FAILED)
		munmap(p, 4096);
	if (fd >= 0)
		close(fd);
}

static void per_cpu(struct finding *f)
{
	int n = libbpf_num_possible_cpus();

	if (__rseq_size)
		found(f, GOOD, "rseq, %d CPUs", n);
	else
		found(f, NOTE, "no rseq (glibc.pthread.rseq=0?): compare-and-swap instead, %d CPUs", n);
}

static void compiler(struct finding *f)
{
	const char *clang = compile_find_clang();

	if (clang)
		found(f, GOOD, "%s", clang);
	else
		found(f, NOTE, "no clang: only compiled objects can be run (apt-get install clang)");
}

static void sysctl_note(struct finding *f, const char *path, const char *bad, const char *why)
{
	char b[64];

	if (!line_of(path, b, sizeof(b)))
		found(f, GOOD, "not restricted");
	else if (strcmp(b, bad) >= 0 && *b != '0')
		found(f, NOTE, "%s is %s: %s", path, b, why);
	else
		found(f, GOOD, "%s", b);
}

static void ptrace_scope(struct finding *f)
{
	sysctl_note(f, "/proc/sys/kernel/yama/ptrace_scope", "1", "only children can be traced");
}

static void remove_ipc(struct finding *f)
{
	static const char *const files[] = { "/etc/systemd/logind.conf", "/run/systemd/system" };
	FILE *c = fopen(files[0], "re");
	bool off = false;
	char b[256];

	while (c && fgets(b, sizeof(b), c))
		off |= !strncmp(b, "RemoveIPC=no", 12);
	if (c)
		fclose(c);
	if (access(files[1], F_OK) || off || getuid() < 1000)
		found(f, GOOD, "pins outlive a logout");
	else
		found(f, NOTE, "logind removes /dev/shm files of a user at logout: RemoveIPC=no in %s keeps pins", files[0]);
}

static void kernel_btf(struct finding *f)
{
	if (!access("/sys/kernel/btf/vmlinux", R_OK))
		found(f, GOOD, "/sys/kernel/btf/vmlinux");
	else
		found(f, NOTE, "none: programs that need the kernel's types cannot be loaded");
}

static const struct {
	const char *name, *json, *why;
	void (*look)(struct finding *f);
} facts[] = {
	{ "directory",    "directory",    "everything is kept there",         directory },
	{ "room",         "room",         "maps take it",                     room },
	{ "machine code", "machine_code", "the JIT compiler's output",        machine_code },
	{ "per-CPU data", "per_cpu",      "restartable sequences are faster", per_cpu },
	{ "compiler",     "compiler",     "skep run FILE.c",                  compiler },
	{ "tracing",      "ptrace_scope", "attaching to other processes",     ptrace_scope },
	{ "logout",       "remove_ipc",   "pins",                             remove_ipc },
	{ "kernel types", "kernel_btf",   "CO-RE against the kernel",         kernel_btf },
};

int cmd_doctor(int argc, char **argv)
{
	static const char *const grades[] = { "ok", "note", "BAD" };
	struct table *t = table_new();
	struct json *j = out_json();
	int rc = EXIT_OK;

	table_col(t, "what", false);
	table_col(t, "", false);
	table_col(t, "found", false);
	if (opt.json)
		json_obj(j, NULL);
	for (u32 i = 0; i < ARRAY_SIZE(facts); i++) {
		struct finding f = {};

		facts[i].look(&f);
		rc = f.grade == BAD ? EXIT_ENV : rc;
		table_cell(t, "%s", facts[i].name);
		table_cell(t, "%s", grades[f.grade]);
		table_cell(t, "%s", f.text);
		if (opt.json) {
			json_obj(j, facts[i].json);
			json_str(j, "grade", f.grade == BAD ? "bad" : grades[f.grade]);
			json_str(j, "found", f.text);
			json_str(j, "why", facts[i].why);
			json_end(j, '}');
		}
	}
	if (opt.json)
		json_end(j, '}');
	else
		table_print(t, stdout, "");
	table_free(t);
	return rc;
}
