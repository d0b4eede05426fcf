/* SPDX-License-Identifier: Apache-2.0 */
/* poke.c - changing five bytes of text that other threads execute meanwhile. doc/agent.md says why this holds; in short:
 *
 *  - Nobody may see half of a jmp. Bytes in one aligned block of 16 are replaced by one locked store: processors fetch
 *    such blocks at once. Across two blocks, first two bytes become `jmp .` (eb fe): whoever comes, waits there. Then, after
 *    a barrier that makes every core fetch anew (membarrier SYNC_CORE), the tail; after another one, the head.
 *  - Nobody may stand where the tail is written. A window of one instruction has no such place. In others, a thread that
 *    was preempted between its instructions may: with the head waiting nobody new gets in, and each thread is waited
 *    for until it sleeps in the kernel or has run on. If that takes too long the window is left alone, to be tried again.
 *
 * No instruction that traps is ever written, so it does not matter which signals a thread blocks, nor whether a debugger
 * is attached. Text is made writable for the time of a batch (mprotect of whole mappings: none is split). */
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "agent/patch.h"
#include "base/rawsys.h"

#define BLOCK		16u
#define TASKS_MAX	256u
#define WAIT_ROUNDS	40u		/* of a millisecond */

static bool failed(long r)
{
	return (u64)r >= -4095ull;
}

/* ---- /proc/self/mem: past permissions, without changing them ---- */

static long mem_open(void)
{
	return raw_syscall4(SYS_openat, AT_FDCWD, (long)"/proc/self/mem", O_RDWR | O_CLOEXEC, 0);
}

int poke_read(u64 at, void *to, size_t n)
{
	struct { void *p; size_t n; } l = { to, n }, r = { (void *)at, n };
	long got = raw_syscall6(SYS_process_vm_readv, raw_syscall3(SYS_getpid, 0, 0, 0), (long)&l, 1, (long)&r, 1, 0);

	return got == (long)n ? 0 : -EFAULT;
}

int poke_write(u64 at, const void *from, size_t n)
{
	long fd = mem_open(), w;

	if (failed(fd))
		return (int)fd;
	w = raw_syscall4(SYS_pwrite64, fd, (long)from, (long)n, (long)at);
	raw_syscall3(SYS_close, fd, 0, 0);
	return w == (long)n ? 0 : failed(w) ? (int)w : -EIO;
}

void poke_sync(void)
{
	static bool registered;

	if (!registered)
		registered = !raw_syscall3(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
	raw_syscall3(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
}

/* ---- stores ---- */

/* N bytes at AT, all in one block, replaced at once; what else is in the block stays. */
static void store_block(u64 at, const u8 *bytes, u32 n)
{
	u64 block = ALIGN_DOWN(at, (u64)BLOCK);
	union {
		u64 q[2];
		u8 b[BLOCK];
	} old, new;
	bool ok;

	memcpy(old.b, (void *)block, BLOCK);
	do {					/* NOLINT(bugprone-infinite-loop): ok is an output of the asm */
		new = old;
		memcpy(new.b + (at - block), bytes, n);
		__asm__ volatile("lock cmpxchg16b %1"
				 : "=@ccz"(ok), "+m"(*(u8(*)[BLOCK])block), "+a"(old.q[0]), "+d"(old.q[1])
				 : "b"(new.q[0]), "c"(new.q[1]) : "memory");
		/* cppcheck-suppress uninitvar ; an output of the asm */
	} while (!ok);
}

static bool one_block(u64 at, u32 n)
{
	return at % BLOCK + n <= BLOCK;
}

static void store_bytes(u64 at, const u8 *bytes, u32 n)
{
	for (u32 i = 0; i < n; i++)
		__atomic_store_n((u8 *)at + i, bytes[i], __ATOMIC_RELEASE);
}

/* ---- where threads are ---- */

struct task {
	s32 tid;
	bool past;			/* has left, or sleeps in a system call */
	u64 ran;			/* ns on a CPU */
};

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
	return p;
}

static char *put_str(char *p, const char *s)
{
	while (*s)
		*p++ = *s++;
	*p = 0;
	return p;
}

static long read_task(s32 pid, s32 tid, const char *file, char *buf, u32 n)
{
	char path[64], *p = put_str(path, "/proc/");
	long fd, got;

	p = put_num(p, (u64)pid);
	p = put_str(p, "/task/");
	p = put_num(p, (u64)tid);
	put_str(p, file);
	fd = raw_syscall4(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
	if (failed(fd))
		return fd;
	got = raw_syscall3(SYS_read, fd, (long)buf, n - 1);
	raw_syscall3(SYS_close, fd, 0, 0);
	buf[failed(got) ? 0 : got] = 0;
	return got;
}

/* Sleeping in the kernel on purpose: in a system call (its instruction is no window), not in the middle of text. A page
 * fault sleeps as D, a debugger's stop is t or T: those may be anywhere. Gone is as good. */
static bool task_sleeps(s32 pid, s32 tid)
{
	char buf[512], *end = NULL;

	if (failed(read_task(pid, tid, "/stat", buf, sizeof(buf))))
		return true;
	for (char *p = buf; *p; p++) {
		if (*p == ')')
			end = p;
	}
	return end && end[1] && (end[2] == 'S' || end[2] == 'Z' || end[2] == 'X');
}

static u64 task_ran(s32 pid, s32 tid)
{
	char buf[128];
	u64 v = 0;

	if (failed(read_task(pid, tid, "/schedstat", buf, sizeof(buf))))
		return 0;
	for (char *p = buf; *p >= '0' && *p <= '9'; p++)
		v = v * 10 + (u64)(*p - '0');
	return v;
}

/* The process whose text this is: the helper's target, or the caller's own. */
static s32 target_pid(void)
{
	s32 tid = (s32)raw_syscall3(SYS_gettid, 0, 0, 0);

	if (agent.proc && agent.proc->helper_tid == (u32)tid)
		return agent.proc->pid;
	return (s32)raw_syscall3(SYS_getpid, 0, 0, 0);
}

static struct task tasks[TASKS_MAX];

struct dirent64 {
	u64 ino;
	s64 off;
	u16 len;
	u8 type;
	char name[];
};

/* Threads of PID but the caller, or -1: too many, or no /proc. */
static s32 list_tasks(s32 pid, struct task *t)
{
	char path[64], buf[2048] __attribute__((aligned(8))), *p = put_str(path, "/proc/");
	s32 self = (s32)raw_syscall3(SYS_gettid, 0, 0, 0), nr = 0;
	long fd, n;

	put_str(put_num(p, (u64)pid), "/task");
	fd = raw_syscall4(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (failed(fd))
		return -1;
	while ((n = raw_syscall3(SYS_getdents64, fd, (long)buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n && nr >= 0;) {
			const struct dirent64 *d = (const struct dirent64 *)(buf + at);
			s32 tid = 0;

			at += d->len;
			for (const char *c = d->name; *c >= '0' && *c <= '9'; c++)
				tid = tid * 10 + (*c - '0');
			if (!tid || tid == self)
				continue;
			if (nr == (s32)TASKS_MAX)
				nr = -1;
			else
				t[nr++] = (struct task){ .tid = tid };
		}
		if (nr < 0)
			break;
	}
	raw_syscall3(SYS_close, fd, 0, 0);
	return n < 0 ? -1 : nr;
}

/* Has every thread moved on since the heads were closed? A thread that starts now begins outside. */
static bool wait_past(void)
{
	struct task *t = tasks;
	struct timespec ms = { 0, 1000000 };
	s32 pid = target_pid(), nr = list_tasks(pid, t), left = nr;

	if (nr < 0)
		return false;
	for (s32 i = 0; i < nr; i++) {
		t[i].ran = task_ran(pid, t[i].tid);
		t[i].past = task_sleeps(pid, t[i].tid);
		left -= t[i].past;
	}
	for (u32 round = 0; left && round < WAIT_ROUNDS; round++) {
		raw_syscall4(SYS_nanosleep, (long)&ms, 0, 0, 0);
		for (s32 i = 0; i < nr; i++) {
			if (t[i].past || (!task_sleeps(pid, t[i].tid) && task_ran(pid, t[i].tid) == t[i].ran))
				continue;
			t[i].past = true;
			left--;
		}
	}
	return !left;
}

/* Nobody runs at this moment: what could come upon half of a jmp would have to wake up first. */
static bool all_sleep(void)
{
	s32 pid = target_pid(), nr = list_tasks(pid, tasks);

	for (s32 i = 0; i < nr; i++) {
		if (!task_sleeps(pid, tasks[i].tid))
			return false;
	}
	return nr >= 0;
}

/* ---- a batch ---- */

static const u8 wait_here[2] = { 0xeb, 0xfe };

enum how { HOW_STORE, HOW_CLOSE, HOW_CLOSE_WAIT, HOW_QUIET, HOW_ASLEEP };

static enum how how(const struct poke *p, bool quiet)
{
	if (quiet)
		return HOW_QUIET;
	if (p->bounds)
		return p->first >= 2 && one_block(p->at, 2) ? HOW_CLOSE_WAIT : HOW_ASLEEP;
	if (one_block(p->at, SITE_JMP))
		return HOW_STORE;
	return one_block(p->at, 2) ? HOW_CLOSE : HOW_ASLEEP;
}

/* The mappings that P touches, made writable, or put back. */
static int protect(const struct poke *p, u32 nr, const struct patch_maps *m, bool writable)
{
	for (u32 i = 0; i < m->nr; i++) {
		const struct patch_vma *v = &m->v[i];
		u32 prot = v->prot | (writable ? PROT_WRITE : 0);
		bool touched = false;
		long r;

		for (u32 k = 0; k < nr && !touched; k++)
			touched = p[k].at >= v->start && p[k].at < v->end;
		if (!touched || v->prot & PROT_WRITE)
			continue;
		r = raw_syscall3(SYS_mprotect, (long)v->start, (long)(v->end - v->start), prot);
		if (failed(r) && writable)
			return (int)r;
	}
	return 0;
}

/* No two bytes of these can be written at once. They wait until all threads sleep; then it is a matter of nanoseconds. */
static void run_asleep(struct poke *p, u32 nr)
{
	if (!all_sleep())
		return;
	for (u32 i = 0; i < nr; i++) {
		if (how(&p[i], false) != HOW_ASLEEP)
			continue;
		store_bytes(p[i].at, p[i].to, SITE_JMP);
		p[i].done = true;
	}
}

static void run(struct poke *p, u32 nr, bool quiet)
{
	bool closed = false, wait = false, asleep = false, past;

	for (u32 i = 0; i < nr; i++) {
		enum how h = how(&p[i], quiet);

		if (h == HOW_STORE)
			store_block(p[i].at, p[i].to, SITE_JMP);
		else if (h == HOW_QUIET)
			store_bytes(p[i].at, p[i].to, SITE_JMP);
		else if (h != HOW_ASLEEP)
			store_block(p[i].at, wait_here, 2);
		closed |= h == HOW_CLOSE || h == HOW_CLOSE_WAIT;
		wait |= h == HOW_CLOSE_WAIT;
		asleep |= h == HOW_ASLEEP;
		p[i].done = h != HOW_ASLEEP;
	}
	if (asleep)
		run_asleep(p, nr);
	poke_sync();
	if (!closed)
		return;
	/* those that need not wait must not: threads are at their heads */
	for (u32 pass = 0; pass < (wait ? 2u : 1u); pass++) {
		enum how now = pass ? HOW_CLOSE_WAIT : HOW_CLOSE;

		past = !pass || wait_past();
		for (u32 i = 0; i < nr; i++) {
			if (how(&p[i], quiet) != now)
				continue;
			p[i].done = past;
			if (past)
				store_bytes(p[i].at + 2, p[i].to + 2, SITE_JMP - 2);
		}
		poke_sync();
		for (u32 i = 0; i < nr; i++) {
			if (how(&p[i], quiet) == now)
				store_block(p[i].at, past ? p[i].to : p[i].from, 2);
		}
		poke_sync();
	}
}

int poke_text(struct poke *p, u32 nr, const struct patch_maps *m, bool quiet)
{
	u32 good = 0;
	int err;

	for (u32 i = 0; i < nr; i++) {
		u8 now[SITE_JMP];
		struct poke t = p[i];

		p[i].done = false;
		if (poke_read(t.at, now, sizeof(now)) || memcmp(now, t.from, sizeof(now)))
			continue;
		p[i] = p[good];
		p[good++] = t;
	}
	if (!good)
		return 0;
	err = protect(p, good, m, true);
	if (!err)
		run(p, good, quiet);
	protect(p, good, m, false);
	return err;
}

static bool is_closed(const struct poke *p)
{
	u8 now[2];

	return !poke_read(p->at, now, sizeof(now)) && !memcmp(now, wait_here, sizeof(now));
}

/* Whoever waits at a closed head waits until a helper comes back: another thread's hook starts one. */
static void open_closed(struct poke *p, u32 nr)
{
	bool any = false;

	for (u32 i = 0; i < nr; i++) {
		p[i].done = is_closed(&p[i]);
		any |= p[i].done;
	}
	if (!any)
		return;
	wait_past();
	for (u32 i = 0; i < nr; i++) {
		if (p[i].done)
			store_bytes(p[i].at + 2, p[i].to + 2, SITE_JMP - 2);
	}
	poke_sync();
	for (u32 i = 0; i < nr; i++) {
		if (p[i].done)
			store_block(p[i].at, p[i].to, 2);
	}
	poke_sync();
}

void poke_finish(struct poke *p, u32 nr, const struct patch_maps *m)
{
	u8 now[SITE_JMP];

	if (!protect(p, nr, m, true))
		open_closed(p, nr);
	for (u32 i = 0; i < nr; i++)
		p[i].done = !poke_read(p[i].at, now, sizeof(now)) && !memcmp(now, p[i].to, sizeof(now));
	for (u32 i = 0; i < m->nr; i++) {
		const struct patch_vma *v = &m->v[i];
		bool touched = false;

		for (u32 k = 0; k < nr && !touched; k++)
			touched = p[k].at >= v->start && p[k].at < v->end;
		if (touched)			/* text has no other permissions */
			raw_syscall3(SYS_mprotect, (long)v->start, (long)(v->end - v->start), v->prot & ~PROT_WRITE);
	}
}
