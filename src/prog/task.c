/* SPDX-License-Identifier: Apache-2.0 */
/* task.c - see task.h.
 *
 * Memory of tasks: in the agent a part of the thread's state; in libraries slots of chunks that are zero again in a
 * fork child, taken by CAS on .owner and taken over from threads that are gone. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/rawsys.h"
#include "prog/task.h"

#define PF_EXITING_	0x4u		/* the kernel's task_struct.flags */
#define SLOTS		64u
#define CHUNKS		64u

/* ---- identity ---- */

bool task_quiet;
static struct cred last_cred = { { 65534 }, { 65534 }, { 65534 }, { 65534 }, { 65534 }, { 65534 } };

s32 task_pid(void)
{
	struct who *w = &tls()->who;
	s32 pid = w->pid;

	if (likely(pid))
		return pid;
	pid = (s32)raw_syscall3(SYS_getpid, 0, 0, 0);
	if (w->keep)
		w->pid = pid;
	return pid;
}

s32 task_tid(void)
{
	struct who *w = &tls()->who;
	s32 tid = w->tid;

	if (likely(tid))
		return tid;
	tid = (s32)raw_syscall3(SYS_gettid, 0, 0, 0);
	if (w->keep)
		w->tid = tid;
	return tid;
}

/* Under task_quiet those that the process had when somebody asked last. */
static void ask_creds(struct cred *c)
{
	if (unlikely(READ_ONCE(task_quiet))) {
		*c = last_cred;
		return;
	}
	raw_syscall3(SYS_getresuid, (long)&c->uid, (long)&c->euid, (long)&c->suid);
	raw_syscall3(SYS_getresgid, (long)&c->gid, (long)&c->egid, (long)&c->sgid);
	last_cred = *c;
}

/* What is kept includes what the task's cred points to. */
u64 task_uid_gid(void)
{
	struct who *w = &tls()->who;
	struct cred mine = { 0 }, *c = w->keep && w->task ? &w->task->cred : &mine;

	if (likely(w->creds_known))
		return (u64)w->gid << 32 | w->uid;
	ask_creds(c);
	if (w->keep) {
		w->uid = c->uid.val;
		w->gid = c->gid.val;
		w->creds_known = true;
	}
	return (u64)c->gid.val << 32 | c->uid.val;
}

const char *task_comm(char buf[TASK_COMM_LEN])
{
	struct who *w = &tls()->who;

	if (likely(w->comm_known))
		return w->comm;
	memset(buf, 0, TASK_COMM_LEN);
	if (unlikely(READ_ONCE(task_quiet))) {
		struct task_known k;

		task_known(&k);
		memcpy(buf, k.self.comm, TASK_COMM_LEN);
		return buf;
	}
	raw_syscall3(SYS_prctl, PR_GET_NAME, (long)buf, 0);
	if (w->keep) {
		memcpy(w->comm, buf, TASK_COMM_LEN);
		w->comm_known = true;
	}
	return buf;
}

static s32 parent_pid(void)
{
	struct task_known k;

	if (tls()->who.ppid)
		return tls()->who.ppid;
	if (likely(!READ_ONCE(task_quiet)))
		return (s32)raw_syscall3(SYS_getppid, 0, 0, 0);
	task_known(&k);
	return k.self.pid == task_pid() ? k.parent.pid : 0;
}

#ifdef SKEP_AGENT
static void learn_if_old(s32 pid, s32 ppid)
{
}
#else
static void learn_if_old(s32 pid, s32 ppid)
{
	if (!task_known_lately(pid, ppid))
		task_learn("/proc", pid);
}
#endif

/* ---- memory ---- */

#ifdef SKEP_AGENT
static struct task_mem *memory(s32 tid)
{
	return tls()->who.task;
}
#else
static struct task_mem *chunks[CHUNKS];

static struct task_mem *chunk(u32 i)
{
	struct task_mem *c = LOAD_ACQUIRE(chunks[i]), *none = NULL;
	size_t size = sizeof(struct task_mem) * SLOTS;
	long addr;

	if (c)
		return c;
	addr = raw_mmap(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (addr < 0 && addr > -4096)
		return NULL;
	c = (struct task_mem *)addr;
	madvise(c, size, MADV_WIPEONFORK);
	if (__atomic_compare_exchange_n(&chunks[i], &none, c, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return c;
	munmap(c, size);
	return none;
}

/* A slot of chunk C that is free, or (DEAD) whose thread is gone. */
static struct task_mem *take_slot(struct task_mem *c, s32 tid, bool dead)
{
	for (u32 i = 0; i < SLOTS; i++) {
		s32 owner = READ_ONCE(c[i].owner);

		if (owner && owner != tid &&
		    (!dead || raw_syscall3(SYS_tgkill, getpid(), owner, 0) != -ESRCH))
			continue;
		if (__atomic_compare_exchange_n(&c[i].owner, &owner, tid, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
			memset(&c[i], 0, offsetof(struct task_mem, owner));
			return &c[i];
		}
	}
	return NULL;
}

static struct task_mem *memory(s32 tid)
{
	struct task_mem *m = tls()->who.task, *c;

	if (likely(m && READ_ONCE(m->owner) == tid))
		return m;
	m = NULL;
	for (u32 i = 0; !m && i < CHUNKS && (c = chunk(i)); i++) {
		m = take_slot(c, tid, false);
		if (!m)
			m = take_slot(c, tid, true);
	}
	tls()->who.task = m;
	return m;
}
#endif

/* ---- filling ---- */

static u64 clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

/* The two clocks differ by the time that the machine slept. */
static void fill_start(struct task_struct *t, u64 start_boot)
{
	t->start_boottime = start_boot;
	t->start_time = start_boot;
	if (start_boot)
		t->start_time -= clock_ns(CLOCK_BOOTTIME) - clock_ns(CLOCK_MONOTONIC);
}

static void fill_from(struct task_struct *t, const struct proc_task *p)
{
	memcpy(t->comm, p->comm, sizeof(t->comm));
	if (t->start_boottime != p->start_boot)
		fill_start(t, p->start_boot);
}

static void fill_parent(struct task_mem *m, s32 ppid, const struct task_known *k)
{
	static const struct proc_task nothing;
	struct task_struct *p = &m->parent;
	const struct proc_task *from = &nothing;

	if (k->parent.pid == ppid && k->self.pid == m->self.tgid)
		from = &k->parent;
	else if (k->self.pid == ppid)
		from = &k->self;		/* a fork or vfork child, before its own helper has looked */
	p->pid = p->tgid = ppid;
	p->group_leader = p;
	fill_from(p, from);
}

static void fill_creds(struct task_mem *m)
{
	if (tls()->who.keep)
		task_uid_gid();
	else
		ask_creds(&m->cred);
	m->self.cred = m->self.real_cred = &m->cred;
	m->leader.cred = m->leader.real_cred = &m->cred;
}

static void fill_self(struct task_mem *m, s32 pid, s32 tid, const struct proc_task *self)
{
	const struct who *w = &tls()->who;
	struct task_struct *t = &m->self;
	char comm[TASK_COMM_LEN];

	t->pid = tid;
	t->tgid = pid;
	t->real_parent = t->parent = &m->parent;
	t->group_leader = tid == pid ? t : &m->leader;
	t->flags = w->exiting ? PF_EXITING_ : 0;
	t->exit_code = w->exiting ? w->exit_code : 0;
	memcpy(t->comm, task_comm(comm), TASK_COMM_LEN);
	if (w->born && t->start_boottime != w->born)
		fill_start(t, w->born);
	else if (!w->born && tid == pid && self->pid == pid && t->start_boottime != self->start_boot)
		fill_start(t, self->start_boot);
}

static void fill_leader(struct task_mem *m, const struct proc_task *self)
{
	static const struct proc_task nothing;
	struct task_struct *l = &m->leader;

	l->pid = l->tgid = m->self.tgid;
	l->real_parent = l->parent = &m->parent;
	l->group_leader = l;
	fill_from(l, self->pid == l->pid ? self : &nothing);
}

const struct task_struct *task_current(void)
{
	s32 pid = task_pid(), tid = task_tid(), ppid = parent_pid();
	struct task_mem *m = memory(tid);
	struct task_known k;

	if (!m)
		return NULL;
	learn_if_old(pid, ppid);
	task_known(&k);
	fill_self(m, pid, tid, &k.self);
	if (tid != pid)
		fill_leader(m, &k.self);
	fill_parent(m, ppid, &k);
	fill_creds(m);
	return &m->self;
}

/* What is known of this process; in a fork child before its own helper has looked, its parent's, which it has inherited (a
 * parent that it cannot see, getppid() 0, may be of another pid namespace). */
bool task_known_of_self(struct task_known *k)
{
	s32 pid = task_pid(), ppid = parent_pid();

	learn_if_old(pid, ppid);
	return task_known(k) && (k->self.pid == pid || (ppid && k->self.pid == ppid));
}
