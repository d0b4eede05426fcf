/* SPDX-License-Identifier: Apache-2.0 */
/* task_proc.c - what only /proc tells of a process: its parent's name, start times, pid namespace, cgroup.
 *
 * One record behind a sequence count: readers try a few times, then do without (its writer may have been killed in the
 * middle). In a fork or vfork child it still is the parent's record, and readers make use of that: see task.c.
 * No libc but string functions: the agent's helper runs this. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "base/rawsys.h"
#include "prog/task.h"

#define TICK_NS		10000000ull	/* USER_HZ is 100 on every architecture that skep knows */
#define OLD_NS		1000000000ull	/* how old a library's record may be */
#define PATH_SIZE	512u
#define CGROUP2_MAGIC	0x63677270

static struct {
	u32 seq;			/* odd: being written; 0: nothing known */
	u32 busy;
	u64 when;			/* CLOCK_MONOTONIC_COARSE */
	struct task_known k;
} known;

static u64 now_coarse(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

/* ---- paths and files ---- */

struct path {
	char s[PATH_SIZE];
	u32 n;
	bool cut;
};

static void add(struct path *p, const char *s, size_t n)
{
	if (p->n + n >= sizeof(p->s)) {
		p->cut = true;
		return;
	}
	memcpy(p->s + p->n, s, n);
	p->n += (u32)n;
	p->s[p->n] = 0;
}

static void add_str(struct path *p, const char *s)
{
	add(p, s, strlen(s));
}

static void add_num(struct path *p, u32 v)
{
	char b[12], *d = b + sizeof(b);

	do
		*--d = (char)('0' + v % 10);
	while (v /= 10);
	add(p, d, (size_t)(b + sizeof(b) - d));
}

/* PROC/PID/FILE into TEXT, NUL-terminated. 0 or -errno. */
static int read_proc(const char *proc, s32 pid, const char *file, char *text, size_t size)
{
	struct path p = { .n = 0 };
	size_t got = 0;
	long fd, n;

	add_str(&p, proc);
	add_str(&p, "/");
	add_num(&p, (u32)pid);
	add_str(&p, file);
	if (p.cut)
		return -ENAMETOOLONG;
	fd = raw_syscall4(SYS_openat, AT_FDCWD, (long)p.s, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return (int)fd;
	do {
		n = raw_syscall3(SYS_read, fd, (long)(text + got), (long)(size - 1 - got));
		got += n > 0 ? (size_t)n : 0;
	} while (n > 0 && got < size - 1);
	raw_syscall3(SYS_close, fd, 0, 0);
	text[got] = 0;
	return n < 0 ? (int)n : 0;
}

static bool stat_of(const char *path, u64 *dev, u64 *ino)
{
	struct stat st;

	if (raw_syscall4(SYS_newfstatat, AT_FDCWD, (long)path, (long)&st, 0))
		return false;
	*dev = st.st_dev;
	*ino = st.st_ino;
	return true;
}

/* ---- stat ---- */

static u64 number(const char **s)
{
	u64 v = 0;

	while (**s >= '0' && **s <= '9')
		v = v * 10 + (u64)(*(*s)++ - '0');
	return v;
}

/* "PID (NAME) S PPID ... field 22": the name may hold anything, so its end is the last parenthesis. */
static int parse_stat(const char *s, struct proc_task *t, s32 *ppid)
{
	const char *open = strchr(s, '('), *close = strrchr(s, ')');
	size_t n;

	if (!open || !close || close < open || strlen(close) < 5)
		return -EUCLEAN;
	n = MIN((size_t)(close - open - 1), (size_t)TASK_COMM_LEN - 1);
	memset(t->comm, 0, sizeof(t->comm));
	memcpy(t->comm, open + 1, n);
	s = close + 4;
	*ppid = (s32)number(&s);
	for (u32 field = 4; field < 22; field++) {
		s = strchr(s, ' ');
		if (!s)
			return -EUCLEAN;
		s++;
	}
	t->start_boot = number(&s) * TICK_NS;
	return 0;
}

static int read_stat(const char *proc, s32 pid, struct proc_task *t, s32 *ppid)
{
	char text[1024];
	int err = read_proc(proc, pid, "/stat", text, sizeof(text));

	t->pid = pid;
	return err ? err : parse_stat(text, t, ppid);
}

/* Field 52, the last one. */
int task_exit_code(const char *proc, s32 pid)
{
	char text[1024], *s;
	size_t n;

	if (read_proc(proc, pid, "/stat", text, sizeof(text)))
		return 0;
	for (n = strlen(text); n && (text[n - 1] < '0' || text[n - 1] > '9'); n--)
		text[n - 1] = 0;
	s = strrchr(text, ' ');
	return s ? (int)number(&(const char *){ s + 1 }) : 0;
}

/* ---- cgroup ---- */

static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

static const char *cgroup_mount(void)
{
	struct statfs fs;

	for (u32 i = 0; i < ARRAY_SIZE(mounts); i++)
		if (!raw_syscall3(SYS_statfs, (long)mounts[i], (long)&fs, 0) && fs.f_type == CGROUP2_MAGIC)
			return mounts[i];
	return NULL;
}

/* The inode numbers of the unified hierarchy's directories, from the root to PID's: the kernel's cgroup ids. */
static void read_cgroup(const char *proc, s32 pid, struct task_known *k)
{
	const char *root = cgroup_mount(), *s, *end;
	struct path p = { .n = 0 };
	char text[4096];
	u64 dev;

	k->cgroups = 0;
	if (!root || read_proc(proc, pid, "/cgroup", text, sizeof(text)))
		return;
	s = strncmp(text, "0::/", 4) ? strstr(text, "\n0::/") : text;
	if (!s)
		return;
	s += *s == '\n' ? 5 : 4;		/* behind the first slash */
	end = s + strcspn(s, "\n");
	add_str(&p, root);
	for (;;) {
		size_t n = strcspn(s, "/\n");

		if (k->cgroups == TASK_CGROUPS || p.cut || !stat_of(p.s, &dev, &k->cgroup[k->cgroups]))
			break;
		k->cgroups++;
		if (s >= end || !n)
			return;
		add_str(&p, "/");
		add(&p, s, n);
		s += n + (s[n] == '/');
	}
	k->cgroups = 0;
}

/* ---- the record ---- */

int task_learn(const char *proc, s32 pid)
{
	struct task_known k = { 0 };
	s32 ppid, dontcare;
	int err;

	if (__atomic_exchange_n(&known.busy, 1, __ATOMIC_ACQUIRE))
		return -EBUSY;
	err = read_stat(proc, pid, &k.self, &ppid);
	if (!err) {
		if (!ppid || read_stat(proc, ppid, &k.parent, &dontcare))
			k.parent = (struct proc_task){ .pid = ppid };
		if (!stat_of("/proc/self/ns/pid", &k.pidns_dev, &k.pidns_ino))
			k.pidns_ino = 0;
		read_cgroup(proc, pid, &k);
		WRITE_ONCE(known.seq, known.seq | 1);
		FENCE(__ATOMIC_SEQ_CST);		/* pairs with the one in task_known() */
		known.k = k;
		WRITE_ONCE(known.when, now_coarse());
		STORE_RELEASE(known.seq, known.seq + 1);
	}
	STORE_RELEASE(known.busy, 0);
	return err;
}

bool task_known(struct task_known *k)
{
	for (u32 i = 0; i < 4; i++) {
		u32 seq = LOAD_ACQUIRE(known.seq);

		*k = known.k;
		FENCE(__ATOMIC_SEQ_CST);
		if (!(seq & 1) && READ_ONCE(known.seq) == seq && seq)
			return true;
	}
	memset(k, 0, sizeof(*k));
	return false;
}

bool task_known_lately(s32 pid, s32 ppid)
{
	return known.k.self.pid == pid && known.k.parent.pid == ppid && now_coarse() - READ_ONCE(known.when) <= OLD_NS;
}
