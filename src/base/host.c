/* SPDX-License-Identifier: Apache-2.0 */
/* host.c - see host.h. One probe function per row of the table at the end; where a thing can be tried, it is tried
 * rather than guessed from a sysctl. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/host.h"
#include "base/rawsys.h"

#define SMALL_FS	(64ll << 20)
#define SYS_UID_MAX	999

static char dir_path[256];	/* the directory asked about */
static char fs_path[256];	/* it, or the nearest parent that exists */

static void say(struct host_fact *f, enum host_level level, s64 number, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void say(struct host_fact *f, enum host_level level, s64 number, const char *fmt, ...)
{
	va_list ap;

	f->level = level;
	f->number = number;
	va_start(ap, fmt);
	vsnprintf(f->value, sizeof(f->value), fmt, ap);
	va_end(ap);
}

/* First number in a file of /proc or /sys; -1 if there is none. */
static s64 read_number(const char *path)
{
	char buf[64];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return -1;
	buf[n] = 0;
	return strtoll(buf, NULL, 10);
}

static void bytes(char *out, size_t n, u64 v)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double x = v;
	u32 u = 0;

	while (x >= 1024 && u + 1 < ARRAY_SIZE(units)) {
		x /= 1024;
		u++;
	}
	snprintf(out, n, "%.*f %s", u && x < 10 ? 1 : 0, x, units[u]);
}

/* ---- the directory ---- */

static void set_paths(const char *dir)
{
	const char *env = secure_getenv("SKEP_DIR");
	char *slash;

	if (!dir && env && *env)
		dir = env;
	if (dir)
		snprintf(dir_path, sizeof(dir_path), "%s", dir);
	else
		snprintf(dir_path, sizeof(dir_path), "/dev/shm/skep-%u", geteuid());
	strcpy(fs_path, dir_path);
	while (access(fs_path, F_OK) && (slash = strrchr(fs_path, '/'))) {
		if (slash == fs_path)
			slash++;
		*slash = 0;
		if (!strcmp(fs_path, "/"))
			break;
	}
}

/* Is PATH the directory that dir_path would be made in? */
static bool parent_is(const char *path)
{
	const char *slash = strrchr(dir_path, '/');
	size_t n = slash ? slash - dir_path : 0;

	return !slash || !n || (strlen(path) == n && !strncmp(path, dir_path, n));
}

static void probe_dir(struct host_fact *f)
{
	struct stat st;

	if (!lstat(dir_path, &st)) {
		if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 0777) == 0700) {
			say(f, HOST_OK, 1, "%.200s", dir_path);
			return;
		}
		say(f, HOST_BAD, 0, "%.160s: %s", dir_path,
		    !S_ISDIR(st.st_mode) ? "not a directory" :
		    st.st_uid != geteuid() ? "belongs to another user" : "others may enter it (mode is not 0700)");
		return;
	}
	if (!parent_is(fs_path))
		say(f, HOST_BAD, 0, "%.160s cannot be made: its parent does not exist", dir_path);
	else if (access(fs_path, W_OK | X_OK))
		say(f, HOST_BAD, 0, "%.160s cannot be made: %s", dir_path, strerror(errno));
	else
		say(f, HOST_OK, 0, "%.200s (made at first use)", dir_path);
}

static void probe_fs(struct host_fact *f)
{
	struct statfs s;

	if (statfs(fs_path, &s))
		say(f, HOST_BAD, -1, "%s", strerror(errno));
	else if (s.f_type == TMPFS_MAGIC)
		say(f, HOST_OK, 1, "tmpfs");
	else
		say(f, HOST_NOTE, 0, "not a tmpfs (type %#lx): objects survive a reboot half-written and cost disk",
		    (long)s.f_type);
}

static void probe_size(struct host_fact *f)
{
	struct statvfs s;
	char total[32];

	if (statvfs(fs_path, &s) || !s.f_blocks) {
		say(f, HOST_OK, -1, "unlimited");
		return;
	}
	bytes(total, sizeof(total), (u64)s.f_blocks * s.f_frsize);
	say(f, (s64)(s.f_blocks * s.f_frsize) < SMALL_FS ? HOST_NOTE : HOST_OK, s.f_blocks * s.f_frsize, "%s", total);
}

static void probe_free(struct host_fact *f)
{
	struct statvfs s;
	char avail[32];

	if (statvfs(fs_path, &s) || !s.f_blocks) {
		say(f, HOST_OK, -1, "unlimited");
		return;
	}
	bytes(avail, sizeof(avail), (u64)s.f_bavail * s.f_frsize);
	say(f, s.f_bavail * s.f_frsize < 1 << 20 ? HOST_BAD : HOST_OK, s.f_bavail * s.f_frsize, "%s, %llu files",
	    avail, (unsigned long long)s.f_favail);
}

static void probe_noexec(struct host_fact *f)
{
	struct statvfs s;
	bool noexec = !statvfs(fs_path, &s) && s.f_flag & ST_NOEXEC;

	say(f, HOST_OK, noexec, noexec ? "noexec: machine code is put into private memory instead" : "exec allowed");
}

/* ---- RemoveIPC: logind empties /dev/shm of a user who logs out ---- */

/* Last assignment in the file; -1 if there is none. */
static int remove_ipc_in(const char *path, int before)
{
	FILE *fp = fopen(path, "re");
	char line[256], *p;

	while (fp && fgets(line, sizeof(line), fp)) {
		p = line + strspn(line, " \t");
		if (strncmp(p, "RemoveIPC=", 10))
			continue;
		p += 10;
		before = !(!strncasecmp(p, "no", 2) || !strncasecmp(p, "false", 5) || !strncasecmp(p, "off", 3) ||
			   *p == '0');
	}
	if (fp)
		fclose(fp);
	return before;
}

static int conf_only(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return n > 5 && !strcmp(e->d_name + n - 5, ".conf");
}

static int remove_ipc_conf(void)
{
	static const char *const dirs[] = { "/usr/lib/systemd/logind.conf.d", "/run/systemd/logind.conf.d",
					    "/etc/systemd/logind.conf.d" };
	int v = remove_ipc_in("/etc/systemd/logind.conf", 1);	/* logind's default is yes */

	for (u32 i = 0; i < ARRAY_SIZE(dirs); i++) {
		struct dirent **e;
		int n = scandir(dirs[i], &e, conf_only, alphasort);

		for (int j = 0; j < n; j++) {
			char path[512];

			snprintf(path, sizeof(path), "%s/%s", dirs[i], e[j]->d_name);
			v = remove_ipc_in(path, v);
			free(e[j]);
		}
		if (n >= 0)
			free(e);
	}
	return v;
}

static void probe_remove_ipc(struct host_fact *f)
{
	int v;

	if (access("/run/systemd/system", F_OK)) {
		say(f, HOST_OK, -1, "no systemd here");
		return;
	}
	v = remove_ipc_conf();
	if (!v || geteuid() <= SYS_UID_MAX || strncmp(dir_path, "/dev/shm/", 9))
		say(f, HOST_OK, v, v ? "yes, but not for this user or directory" : "no");
	else
		say(f, HOST_LIMIT, 1, "yes: pins are gone when you log out");
}

/* ---- the kernel ---- */

static void probe_ptrace(struct host_fact *f)
{
	static const char *const words[] = { "0: own processes", "1: own children only", "2: root only", "3: nobody" };
	s64 v = read_number("/proc/sys/kernel/yama/ptrace_scope");

	if (v < 0 || v >= (s64)ARRAY_SIZE(words))
		say(f, HOST_OK, v, "no yama: own processes");
	else
		say(f, !v || (v < 3 && !geteuid()) ? HOST_OK : HOST_LIMIT, v, "%s", words[v]);
}

static int try_userns(void)
{
	pid_t pid = fork();
	int st = 0;

	if (!pid)
		_exit(unshare(CLONE_NEWUSER | CLONE_NEWNS) ? errno & 0xff : 0);
	if (pid < 0 || waitpid(pid, &st, 0) != pid || !WIFEXITED(st))
		return EAGAIN;
	return WEXITSTATUS(st);
}

static void probe_userns(struct host_fact *f)
{
	const char *why = "";
	int err = try_userns();

	if (!err) {
		say(f, HOST_OK, 1, "allowed");
		return;
	}
	if (!read_number("/proc/sys/user/max_user_namespaces"))
		why = " (user.max_user_namespaces is 0)";
	else if (!read_number("/proc/sys/kernel/unprivileged_userns_clone"))
		why = " (kernel.unprivileged_userns_clone is 0)";
	else if (read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") > 0)
		why = " (kernel.apparmor_restrict_unprivileged_userns is 1)";
	say(f, HOST_LIMIT, 0, "refused: %s%s", strerror(err), why);
}

extern const unsigned int __rseq_size __attribute__((weak));
extern const ptrdiff_t __rseq_offset __attribute__((weak));

static void probe_rseq(struct host_fact *f)
{
	bool have = &__rseq_size && __rseq_size &&
		    *(volatile s32 *)((char *)__builtin_thread_pointer() + __rseq_offset + 4) >= 0;
	bool fence = raw_syscall3(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) & MEMBARRIER_CMD_GLOBAL_EXPEDITED;

	if (have && fence)
		say(f, HOST_OK, 1, "registered by libc");
	else
		say(f, HOST_NOTE, 0, "%s: runs lease their CPU slot by compare-and-swap (slower)",
		    have ? "no membarrier" : "not registered by libc");
}

static void probe_memfd(struct host_fact *f)
{
	s64 v = read_number("/proc/sys/vm/memfd_noexec");

	say(f, v >= 2 ? HOST_LIMIT : HOST_OK, v, v < 0 ? "no such sysctl: memfds may be executable" :
	    v == 0 ? "0: memfds may be executable" : v == 1 ? "1: memfds are noexec unless asked" :
	    "2: executable memfds are refused");
}

static void probe_exec_memory(struct host_fact *f)
{
	void *p = mmap(NULL, SKEP_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err = p == MAP_FAILED || mprotect(p, SKEP_PAGE, PROT_READ | PROT_EXEC) ? errno : 0;

	if (p != MAP_FAILED)
		munmap(p, SKEP_PAGE);
	if (err)
		say(f, HOST_LIMIT, 0, "refused (%s): programs are interpreted", strerror(err));
	else
		say(f, HOST_OK, 1, "allowed");
}

static void probe_kernel_bpf(struct host_fact *f)
{
	union bpf_attr a = { 0 };
	long ret = raw_syscall3(SYS_bpf, BPF_PROG_GET_NEXT_ID, (long)&a, sizeof(a));

	if (!ret || ret == -ENOENT)
		say(f, HOST_OK, 1, "usable by this user (skep does not use it)");
	else if (ret == -ENOSYS)
		say(f, HOST_OK, 0, "not in this kernel (skep does not need it)");
	else
		say(f, HOST_OK, 0, "not for this user: %s (skep does not need it)", strerror(-ret));
}

static void probe_unpriv_bpf(struct host_fact *f)
{
	static const char *const words[] = { "0: allowed", "1: off until reboot", "2: off" };
	s64 v = read_number("/proc/sys/kernel/unprivileged_bpf_disabled");

	say(f, HOST_OK, v, "%s", v >= 0 && v < 3 ? words[v] : "no such sysctl");
}

static void probe_kernel_btf(struct host_fact *f)
{
	struct stat st;
	bool have = !stat("/sys/kernel/btf/vmlinux", &st);

	say(f, HOST_OK, have ? st.st_size : -1, have ? "/sys/kernel/btf/vmlinux, %lld bytes" : "none%.0lld",
	    have ? (long long)st.st_size : 0ll);
}

static void probe_proc(struct host_fact *f)
{
	bool have = !access("/proc/self/fd", X_OK);

	say(f, have ? HOST_OK : HOST_LIMIT, have, have ? "mounted" : "not mounted");
}

/* ---- */

static const struct {
	const char *key, *title;
	void (*probe)(struct host_fact *f);
	const char *advice;		/* given when the level is not HOST_OK */
} facts[] = {
	{ "dir",		"object directory",	probe_dir,	   "set SKEP_DIR to a directory of yours, mode 0700" },
	{ "fs",			"its file system",	probe_fs,	   "set SKEP_DIR to a directory on a tmpfs" },
	{ "fs_size",		"its size",		probe_size,	   "in a container: docker run --shm-size=1g; else remount,size=" },
	{ "fs_free",		"free in it",		probe_free,	   "skep gc; or remove pins that are not needed" },
	{ "noexec",		"noexec",		probe_noexec,	   NULL },
	{ "remove_ipc",		"RemoveIPC of logind",	probe_remove_ipc,  "RemoveIPC=no in logind.conf, or loginctl enable-linger, or another SKEP_DIR" },
	{ "proc",		"/proc",		probe_proc,	   "mount /proc: fds cannot be told apart without it" },
	{ "exec_memory",	"executable memory",	probe_exec_memory, "SELinux: allow execmem" },
	{ "memfd_noexec",	"vm.memfd_noexec",	probe_memfd,	   "sysctl vm.memfd_noexec=1" },
	{ "rseq",		"restartable sequences", probe_rseq,	   "glibc 2.35 or newer, without GLIBC_TUNABLES=glibc.pthread.rseq=0" },
	{ "ptrace_scope",	"ptrace (yama)",	probe_ptrace,	   "start targets under skep, or sysctl kernel.yama.ptrace_scope=0" },
	{ "user_namespaces",	"user namespaces",	probe_userns,	   "without them clients' /sys paths are rewritten by the preload only" },
	{ "kernel_bpf",		"the kernel's bpf(2)",	probe_kernel_bpf,  NULL },
	{ "unprivileged_bpf_disabled", "unprivileged bpf(2)", probe_unpriv_bpf, NULL },
	{ "kernel_btf",		"the kernel's BTF",	probe_kernel_btf,  NULL },
};
_Static_assert(ARRAY_SIZE(facts) <= HOST_FACTS_MAX, "HOST_FACTS_MAX");

u32 host_facts(const char *dir, struct host_fact *out)
{
	set_paths(dir);
	for (u32 i = 0; i < ARRAY_SIZE(facts); i++) {
		out[i] = (struct host_fact){ .key = facts[i].key, .title = facts[i].title };
		facts[i].probe(&out[i]);
		if (out[i].level != HOST_OK)
			out[i].advice = facts[i].advice;
	}
	return ARRAY_SIZE(facts);
}
