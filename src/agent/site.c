/* SPDX-License-Identifier: Apache-2.0 */
/* site.c - tables of sites for the files that this process has mapped: read from the directory's cache, or made by running
 * the tool. By the helper only. What is read is a private copy, checked whole before use (site_table_check); that the text is
 * what the table says is asked again at each site before it is patched. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "agent/patch.h"
#include "base/rawsys.h"

#define TABLE_MAX	(sizeof(struct site_hdr) + SITE_MAX * sizeof(struct site) + SITE_BLOB_MAX)

static struct site_file *files;
static u32 nr_files, cap_files;

static bool failed(long r)
{
	return (u64)r >= -4095ull;
}

void *patch_alloc(size_t n)
{
	long p = raw_syscall6(SYS_mmap, 0, (long)ALIGN_UP(n, SKEP_PAGE), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return failed(p) ? NULL : (void *)p;
}

void patch_free(void *p, size_t n)
{
	if (p)
		raw_syscall3(SYS_munmap, (long)p, (long)ALIGN_UP(n, SKEP_PAGE), 0);
}

bool patch_grow(void **p, u32 *cap, u32 need, size_t size)
{
	u32 n = MAX(*cap * 2, (u32)(SKEP_PAGE / size) + 1);
	void *q;

	if (need <= *cap)
		return true;
	n = MAX(n, need);
	q = patch_alloc(n * size);
	if (!q)
		return false;
	if (*p)
		memcpy(q, *p, *cap * size);
	patch_free(*p, *cap * size);
	*p = q;
	*cap = n;
	return true;
}

/* ---- running the tool ---- */

/* <dir of the agent>/../bin/skep, or skep beside it. */
static bool tool_path(char *out, size_t n, u32 which)
{
	static const char *const names[] = { "../bin/skep", "skep" };
	const char *slash = NULL;
	size_t len;

	for (const char *p = agent.self ? agent.self : ""; *p; p++) {
		if (*p == '/')
			slash = p + 1;
	}
	len = slash ? (size_t)(slash - agent.self) : 0;
	if (!slash || which >= ARRAY_SIZE(names) || len + 16 > n)
		return false;
	memcpy(out, agent.self, len);
	memcpy(out + len, names[which], strlen(names[which]) + 1);
	return true;
}

struct spawn {
	const char *path;
	char *const *argv, *const *envp;
	u64 mask;
};

__attribute__((used, noreturn)) static void spawned(struct spawn *s)
{
	raw_syscall4(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, (long)&s->mask, 0, 8);
	raw_syscall3(SYS_execve, (long)s->path, (long)s->argv, (long)s->envp);
	for (;;)
		raw_syscall3(SYS_exit, 127, 0, 0);
}

/* clone(CLONE_VM | CLONE_VFORK) onto another stack: this process may be huge, and the caller's stack must not be shared. */
static long spawn_on(struct spawn *s, u8 *top)
{
	register long r10 __asm__("r10") = 0, r8 __asm__("r8") = 0;
	register struct spawn *arg __asm__("r12") = s;
	long ret;

	__asm__ volatile("syscall\n"
			 "testq	%%rax, %%rax\n"
			 "jnz	1f\n"
			 "xorl	%%ebp, %%ebp\n"
			 "movq	%%r12, %%rdi\n"
			 "call	spawned\n"
			 "1:\n"
			 : "=a"(ret) : "a"((long)SYS_clone), "D"((long)(CLONE_VM | CLONE_VFORK | 17 /* SIGCHLD */)),
			 "S"(top), "d"(0l), "r"(r10), "r"(r8), "r"(arg) : "rcx", "r11", "memory", "cc");
	return ret;
}

static int run_tool(const char *fd_path)
{
	char path[512], dir[320];
	char *argv[] = { (char *)"skep", (char *)"agent-sites", (char *)fd_path, NULL };
	char *envp[] = { dir, NULL };
	size_t len = agent.dir ? strlen(agent.dir) : 0, size = 2 * (size_t)AGENT_STACK;
	int status = -1;
	u8 *stack;
	long pid;

	if (!len || len + 10 > sizeof(dir))
		return -ENOENT;
	memcpy(dir, "SKEP_DIR=", 9);	/* NOLINT(bugprone-not-null-terminated-result): here and below, what follows ends it */
	memcpy(dir + 9, agent.dir, len + 1);
	stack = patch_alloc(size);
	if (!stack)
		return -ENOMEM;
	for (u32 i = 0; tool_path(path, sizeof(path), i); i++) {
		struct spawn s = { path, argv, envp, 0 };

		if (raw_syscall4(SYS_faccessat, AT_FDCWD, (long)path, 1 /* X_OK */, 0))
			continue;
		pid = spawn_on(&s, (u8 *)ALIGN_DOWN((u64)stack + size, 16ul) - 64);
		if (pid > 0) {
			while (raw_syscall4(SYS_wait4, pid, (long)&status, 0, 0) == -EINTR)
				;
		}
		break;
	}
	patch_free(stack, size);
	return status ? -ENOEXEC : 0;
}

/* ---- tables ---- */

static char *put_num(char *p, u64 v)
{
	char tmp[20];
	u32 n = 0;

	do {
		tmp[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	while (n)
		*p++ = tmp[--n];
	*p = 0;
	return p;
}

static int read_table(const struct site_ident *id, struct site_file *f)
{
	char path[512];
	size_t len = agent.dir ? strlen(agent.dir) : 0, done = 0;
	struct stat st;
	long fd, n;
	u8 *p;
	int err;

	if (!len || len + 8 + SITE_NAME_MAX > sizeof(path))
		return -ENOENT;
	memcpy(path, agent.dir, len);
	memcpy(path + len, "/sites/", 7);	/* NOLINT(bugprone-not-null-terminated-result) */
	site_table_name(id, path + len + 7);
	fd = raw_syscall4(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (failed(fd))
		return (int)fd;
	err = (int)raw_syscall3(SYS_fstat, fd, (long)&st, 0);
	if (!err && (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(struct site_hdr) || st.st_size > (off_t)TABLE_MAX))
		err = -EINVAL;
	p = err ? NULL : patch_alloc((size_t)st.st_size);
	while (p && done < (size_t)st.st_size && (n = raw_syscall3(SYS_read, fd, (long)(p + done), st.st_size - (long)done)) > 0)
		done += (size_t)n;
	raw_syscall3(SYS_close, fd, 0, 0);
	if (!err && !p)
		err = -ENOMEM;
	if (!err)
		err = done == (size_t)st.st_size ? site_table_check(p, done, id) : -EINVAL;
	if (err) {
		patch_free(p, p ? (size_t)st.st_size : 0);
		return err;
	}
	f->table = (struct site_hdr *)p;
	f->size = done;
	return 0;
}

static void make_table(long fd)
{
	char path[32];

	memcpy(path, "/proc/self/fd/", 14);	/* NOLINT(bugprone-not-null-terminated-result) */
	put_num(path + 14, (u64)fd);
	raw_syscall3(SYS_fcntl, fd, F_SETFD, 0);
	run_tool(path);
}

const struct site_file *site_file(u32 file)
{
	return &files[file];
}

static bool same_ident(const struct site_ident *a, const struct site_ident *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime_ns == b->mtime_ns;
}

static int add_file(const struct site_ident *id, long fd, u32 *file)
{
	struct site_file f = { .id = *id };
	int err;

	for (u32 i = 0; i < nr_files; i++) {
		if (same_ident(&files[i].id, id)) {
			*file = i;
			return 0;
		}
	}
	if (!patch_grow((void **)&files, &cap_files, nr_files + 1, sizeof(*files)))
		return -ENOMEM;
	err = read_table(id, &f);
	if (err) {
		make_table(fd);
		read_table(id, &f);		/* else the file is known as one without */
	}
	files[nr_files] = f;
	*file = nr_files++;
	return 0;
}

int site_file_of(const struct patch_vma *v, const char *path, u32 *file)
{
	long fd = raw_syscall4(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
	struct site_ident id;
	struct stat st;
	int err;

	if (failed(fd))
		return (int)fd;
	err = (int)raw_syscall3(SYS_fstat, fd, (long)&st, 0);
	if (!err && (!S_ISREG(st.st_mode) || st.st_ino != v->ino))
		err = -ESTALE;			/* replaced since it was mapped */
	id = (struct site_ident){ st.st_dev, st.st_ino, (u64)st.st_size,
				  (u64)st.st_mtim.tv_sec * 1000000000ull + (u64)st.st_mtim.tv_nsec };
	if (!err)
		err = add_file(&id, fd, file);
	raw_syscall3(SYS_close, fd, 0, 0);
	return err;
}

bool site_bytes_fit(const struct site_hdr *h, const struct site *s, u64 addr)
{
	u8 now[SITE_SPAN_MAX];

	return !poke_read(addr + (s64)s->lo, now, s->span) && !memcmp(now, site_table_blob(h) + s->orig, s->span);
}

/* ---- /proc/self/maps ---- */

struct reader {
	long fd;
	char buf[4096];
	u32 at, n;
	bool eof;
};

static int next_char(struct reader *r)
{
	if (r->at == r->n) {
		long n = r->eof ? 0 : raw_syscall3(SYS_read, r->fd, (long)r->buf, sizeof(r->buf));

		r->eof = n <= 0;
		if (r->eof)
			return -1;
		r->n = (u32)n;
		r->at = 0;
	}
	return (u8)r->buf[r->at++];
}

static u64 next_num(struct reader *r, u32 base, int *end)
{
	u64 v = 0;
	int c;

	while ((c = next_char(r)) >= 0) {
		u32 d = c >= '0' && c <= '9' ? (u32)(c - '0') : c >= 'a' && c <= 'f' ? (u32)(c - 'a' + 10) : 99;

		if (d >= base)
			break;
		v = v * base + d;
	}
	*end = c;
	return v;
}

static int read_name(struct reader *r, struct patch_maps *m, struct patch_vma *v)
{
	u32 start = m->names_len;
	int c = next_char(r);

	while (c == ' ')
		c = next_char(r);
	for (; c >= 0 && c != '\n'; c = next_char(r)) {
		if (!patch_grow((void **)&m->names, &m->names_cap, m->names_len + 2, 1))
			return -ENOMEM;
		m->names[m->names_len++] = (char)c;
	}
	if (m->names_len == start)
		return 0;
	m->names[m->names_len++] = 0;
	v->path = start;
	v->heap = !strcmp(m->names + start, "[heap]");
	v->stack = !strcmp(m->names + start, "[stack]");
	return 0;
}

/* A line: START-END rwxp OFFSET MAJOR:MINOR INODE PATH. 1: the end. */
static int read_line(struct reader *r, struct patch_maps *m)
{
	struct patch_vma v = {};
	int c, err;

	v.start = next_num(r, 16, &c);
	if (c < 0)
		return 1;
	v.end = next_num(r, 16, &c);
	v.prot |= next_char(r) == 'r' ? PROT_READ : 0;
	v.prot |= next_char(r) == 'w' ? PROT_WRITE : 0;
	v.prot |= next_char(r) == 'x' ? PROT_EXEC : 0;
	v.shared = next_char(r) == 's';
	next_char(r);
	v.pgoff = next_num(r, 16, &c);
	next_num(r, 16, &c);
	next_num(r, 16, &c);
	v.ino = next_num(r, 10, &c);
	if (c == ' ') {
		err = read_name(r, m, &v);
		if (err)
			return err;
	}
	if (!patch_grow((void **)&m->v, &m->cap, m->nr + 1, sizeof(*m->v)))
		return -ENOMEM;
	m->v[m->nr++] = v;
	return 0;
}

int patch_maps_read(struct patch_maps *m)
{
	struct reader r = { .fd = raw_syscall4(SYS_openat, AT_FDCWD, (long)"/proc/self/maps", O_RDONLY | O_CLOEXEC, 0) };
	int err = 0;

	if (failed(r.fd))
		return (int)r.fd;
	m->nr = 0;
	m->names_len = 1;			/* 0: no name */
	if (!patch_grow((void **)&m->names, &m->names_cap, 2, 1))
		err = -ENOMEM;
	while (!err)
		err = read_line(&r, m);
	raw_syscall3(SYS_close, r.fd, 0, 0);
	return err == 1 ? 0 : err;
}

void patch_maps_free(struct patch_maps *m)
{
	patch_free(m->v, m->cap * sizeof(*m->v));
	patch_free(m->names, m->names_cap);
	memset(m, 0, sizeof(*m));
}

const struct patch_vma *patch_maps_find(const struct patch_maps *m, u64 addr)
{
	for (u32 i = 0; i < m->nr; i++) {
		if (addr >= m->v[i].start && addr < m->v[i].end)
			return &m->v[i];
	}
	return NULL;
}
