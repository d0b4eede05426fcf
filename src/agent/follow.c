/* SPDX-License-Identifier: Apache-2.0 */
/* follow.c - agent_enter() and agent_exit(): what a system call means to the agent itself, and then to programs.
 *
 * Table: calls[] at the end, a row per number that the agent follows: before(), when programs have seen the call and nobody
 * overrode it; after(), before programs see the result.
 *
 * Processes. A fork child goes on with copies of everything; its state's token is stale. The forking thread holds rt_lock()
 * over the call, so that the child's copies are not half changed by the helper. A vfork child runs on its parent's state while
 * the parent is suspended: what is the parent's identity is put aside and put back. New threads, and children of odd
 * clones, have or get states of their own (thread.c). Between the return of a clone and our exit hook a signal handler
 * may run, or jump away: so entries of clone[] are found by sp, and are dropped when something older comes back.
 *
 * Nothing here opens anything or waits, but where it says so: a process about to execute, and a fork child. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "agent/agent.h"
#include "agent/exec.h"
#include "agent/raw.h"
#include "agent/rt.h"
#include "base/agents.h"
#include "base/fault.h"
#include "prog/task.h"

#define FORK_WAIT_MS	100		/* for the helper to finish what it is changing */
#define CREDS_WAIT_MS	20		/* for the helper to follow a change of credentials */
#define REVIVE_NS	100000000u	/* between two attempts */
#define PR_ARCH_SET_GS	0x1001
#define PR_ARCH_GET_GS	0x1004

struct call {
	void (*before)(struct agent_thread *t, struct hook_regs *r);
	void (*after)(struct agent_thread *t, struct hook_regs *r);
};
static const struct call calls[HOOK_NR_SYSCALLS];

static u64 boot_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (u64)ts.tv_sec * 1000000000u + (u64)ts.tv_nsec;
}

static bool done(const struct hook_regs *r)
{
	return (u64)r->ax < -4095ull;
}

/* ---- fork, vfork, clone ---- */

static u64 clone_flags(const struct hook_regs *r)
{
	u64 flags = 0;

	switch (r->orig_ax) {
	case SYS_vfork:
		return CLONE_VM | CLONE_VFORK;
	case SYS_clone:
		return r->di;
	case SYS_clone3:
		return fault_copy_from(&flags, (const void *)r->di, sizeof(flags)) ? 0 : flags;
	default:
		return 0;
	}
}

static void unlock_fork(struct agent_thread *t, struct agent_clone *c)
{
	if (c->locked)
		rt_fork_parent(true);
	c->locked = false;
}

static void give_up(struct agent_thread *t)
{
	for (u32 i = 0; i < AGENT_CLONES; i++)
		if (t->clone[i].locked) {
			t->clone[i].locked = false;
			rt_lock_abandoned(&t->tls);
		}
}

void agent_forks_given_up(bool all)
{
	agent_thread_each(!all, give_up);
}

/* The entry of the call that returns at SP, and gives up what was above it: those calls never came back. */
static struct agent_clone *clone_find(struct agent_thread *t, u64 sp)
{
	for (u32 i = t->nr_clones; i--;) {
		if (t->clone[i].sp != sp)
			continue;
		for (u32 k = i + 1; k < t->nr_clones; k++)
			unlock_fork(t, &t->clone[k]);
		t->nr_clones = i + 1;
		return &t->clone[i];
	}
	return NULL;
}

static void clone_before(struct agent_thread *t, struct hook_regs *r)
{
	u64 flags = clone_flags(r);
	struct agent_clone *c;

	task_pid();				/* now, while they can be told */
	task_tid();
	/* the stack grows down: entries at or below this sp were abandoned by a jump, or are of a vfork child that is gone */
	while (t->nr_clones && !t->clone[t->nr_clones - 1].vforked &&
	       (t->clone[t->nr_clones - 1].sp <= r->sp || t->nr_clones == AGENT_CLONES))
		unlock_fork(t, &t->clone[--t->nr_clones]);
	if (t->nr_clones == AGENT_CLONES)
		return;
	c = &t->clone[t->nr_clones];
	*c = (struct agent_clone){ .sp = r->sp, .flags = flags };
	if (!(flags & CLONE_VM))
		c->locked = rt_fork_prepare(FORK_WAIT_MS);
	t->nr_clones++;
	/* both would run on one state: without GS base each finds its own (thread.c) */
	if ((flags & (CLONE_VM | CLONE_VFORK | CLONE_SETTLS)) == CLONE_VM && raw_gs_base() == (u64)t)
		raw_set_gs_base(0);
}

static void fire_fork(s32 child)
{
	char comm[TASK_COMM_LEN];
	const char *name = task_comm(comm);

	if (agent.wants.sched_fork)
		hook_fire_sched_fork(name, task_tid(), name, child);
}

/* The slot that owner words need: taken here, because the events of a fork child that soon executes would be missed
 * otherwise. It has one thread, so nobody notices the fd that this needs for a moment. */
static void fork_child(struct agent_thread *t)
{
	agent.broken = agent.broken || READ_ONCE(agent.in_round);
	rt_fork_child();
	signal_fork_child();
	t->nr_clones = 0;
	t->tls.who.born = boot_ns();
	if (agent.broken || agent.filtered)
		return;
	rt_trust(true);
	if (agent.board)
		domain_self(agent.board->dom);
	rt_trust(false);
	agent_helper_start();
}

/* On the parent's state. What tells them apart is put aside. */
static void vfork_child(struct agent_thread *t)
{
	s32 pid = (s32)raw_syscall3(SYS_getpid, 0, 0, 0);

	fire_fork(pid);				/* the parent's event, but the parent comes back only later */
	if (t->nr_vforks < AGENT_VFORKS)
		t->vfork[t->nr_vforks] = t->tls;
	t->nr_vforks++;
	if (t->nr_clones)			/* the parent's call, although sp may be another here */
		t->clone[t->nr_clones - 1].vforked = true;
	agent_who_forget(t, WHO_IDS);
	t->tls.who.pid = pid;
	t->tls.who.born = boot_ns();
	t->tls.domain_base = 0;			/* locks it holds must be seen to be a dead thread's when it is killed */
	t->tls.domain_token = 0;
	t->tls.rseq = NULL;			/* not inherited with CLONE_VM */
	signal_vfork_child(t);
}

static void vfork_parent(struct agent_thread *t)
{
	t->nr_vforks--;
	if (t->nr_vforks < AGENT_VFORKS)
		t->tls = t->vfork[t->nr_vforks];
	else
		agent_who_forget(t, WHO_IDS);
	signal_vfork_parent(t);
}

static bool is_vfork(u64 flags)
{
	return (flags & (CLONE_VM | CLONE_VFORK)) == (CLONE_VM | CLONE_VFORK);
}

/* Before anything else in a hook: who are we? Exits cannot always be hooked (patch.c), nor are they always reached, so
 * that a fork or vfork may have happened behind our back. Nobody is inside one when his thread is here, but for a signal
 * handler that comes between the call's return and its exit hook: the lock is not needed any more then. */
static __attribute__((noinline, cold)) void settle(struct agent_thread *t)
{
	struct agent_clone *top;
	s32 pid;

	if (t->token != READ_ONCE(agent.proc->token)) {
		agent_thread_refresh(t);
		fork_child(t);
		return;
	}
	for (u32 i = 0; i < t->nr_clones; i++)
		unlock_fork(t, &t->clone[i]);
	top = &t->clone[t->nr_clones - 1];
	if (!is_vfork(top->flags))
		return;
	pid = (s32)raw_syscall3(SYS_getpid, 0, 0, 0);
	if (!top->vforked && pid != t->owner_pid && pid != t->tls.who.pid) {
		vfork_child(t);
	} else if (top->vforked && t->nr_vforks <= AGENT_VFORKS && pid == t->vfork[t->nr_vforks - 1].who.pid) {
		t->nr_clones--;
		vfork_parent(t);
	}
}

static inline void check_identity(struct agent_thread *t)
{
	if (unlikely(t->token != READ_ONCE(agent.proc->token) || t->nr_clones))
		settle(t);
}

/* What libc left of a struct rseq on a stack that is used again says nothing: it registers the new thread's soon. */
static void thread_child(struct agent_thread *t)
{
	t->tls.who.born = boot_ns();
	if (t->tls.rseq != (void *)t->rseq)
		t->tls.rseq = NULL;
}

/* ---- rseq: the kernel takes one per thread, and the target's comes first ---- */

#define RSEQ_UNREGISTER	1

static void rseq_before(struct agent_thread *t, struct hook_regs *r)
{
	if (t->tls.rseq == (void *)t->rseq)
		raw_syscall4(SYS_rseq, (long)t->rseq, 32, RSEQ_UNREGISTER, 0x53053053);
	t->tls.rseq = NULL;
}

static void rseq_after(struct agent_thread *t, struct hook_regs *r)
{
	if (!r->ax && !r->dx)
		t->tls.rseq = (void *)r->di;
}

/* ---- clone's end ---- */

static void clone_after(struct agent_thread *t, struct hook_regs *r)
{
	struct agent_clone *c = clone_find(t, r->sp);
	u64 flags = c ? c->flags : clone_flags(r);

	if (!r->ax) {
		if (is_vfork(flags) && raw_gs_base() == (u64)t)
			vfork_child(t);		/* the entry stays: the parent needs it */
		else if (flags & CLONE_VM)
			thread_child(t);
		return;
	}
	if (!c)
		return;
	unlock_fork(t, c);
	t->nr_clones--;
	if (c->vforked)
		vfork_parent(t);
	else if (done(r))
		fire_fork((s32)r->ax);
}

/* ---- execve ---- */

static void exec_before(struct agent_thread *t, struct hook_regs *r)
{
	bool at = r->orig_ax == SYS_execveat;
	struct exec_call e = {
		.dirfd = at ? (s32)r->di : AT_FDCWD, .path = at ? r->si : r->di,
		.envp = at ? r->r10 : r->dx, .flags = at ? (u32)r->r8 : 0,
	};

	if (!agent.board)
		return;
	rt_trust(true);
	agent_exec_prepare(t, &e);
	if (!READ_ONCE(agent.proc->helper_tid))
		agent_wakes_send();
	rt_trust(false);
	if (at)
		r->r10 = e.envp;
	else
		r->dx = e.envp;
	/* a vfork child leaves its parent's helper alone */
	agents_set_exec(agent.board, task_pid(), (s32)r->orig_ax,
			task_pid() == agent.proc->pid ? (s32)READ_ONCE(agent.proc->helper_tid) : 0);
}

/* It failed. */
static void exec_after(struct agent_thread *t, struct hook_regs *r)
{
	if (agent.board)
		agents_set_exec(agent.board, task_pid(), 0, 0);
}

/* ---- the end ---- */

static void exit_before(struct agent_thread *t, struct hook_regs *r)
{
	char comm[TASK_COMM_LEN];
	bool group = r->orig_ax == SYS_exit_group;
	long nice;				/* 20 - nice value, as the system call gives it */

	t->tls.who.exiting = true;
	t->tls.who.exit_code = (s32)(r->di & 0xff) << 8;
	if (agent.wants.sched_exit) {
		nice = raw_syscall3(SYS_getpriority, 0, 0, 0);
		group = group || agent_thread_count() == 1;
		hook_fire_sched_exit(task_comm(comm), task_tid(), nice > 0 ? (s32)(140 - nice) : 120, group);
		if (group && !t->nr_vforks)
			agent.proc->end_told = true;
	}
	if (!READ_ONCE(agent.proc->helper_tid) && READ_ONCE(agent.proc->wake) && !agent.filtered) {
		rt_trust(true);
		agent_wakes_send();
		rt_trust(false);
	}
}

/* ---- credentials, names, namespaces ---- */

/* The helper shares our memory: whoever gave up root must not have a root process at its mercy. It waits until the
 * helper has followed, for a moment. */
static void tell_helper(void)
{
	u32 *id = agent.proc->ids, seq, seen;
	struct timespec ts = { .tv_nsec = CREDS_WAIT_MS * 1000000l };

	if (agent.filtered || raw_syscall3(SYS_getresuid, (long)&id[0], (long)&id[1], (long)&id[2]) ||
	    raw_syscall3(SYS_getresgid, (long)&id[3], (long)&id[4], (long)&id[5]))
		return;
	seq = __atomic_add_fetch(&agent.proc->creds, 1, __ATOMIC_ACQ_REL);
	agent_helper_poke();
	seen = LOAD_ACQUIRE(agent.proc->creds_done);
	if ((s32)(seen - seq) < 0 && READ_ONCE(agent.proc->helper_tid))
		raw_syscall4(SYS_futex, (long)&agent.proc->creds_done, 128 /* FUTEX_WAIT_PRIVATE */, seen, (long)&ts);
}

static void creds_after(struct agent_thread *t, struct hook_regs *r)
{
	if (!done(r))
		return;
	agent_who_forget(t, WHO_CREDS);
	if (!t->nr_vforks)			/* a vfork child's are its own */
		tell_helper();
}

static void filter_set(void)
{
	if (!agent.filtered)
		agent_notice(NOTICE_SECCOMP, 0, "");
	agent.filtered = rt_filtered = true;
	WRITE_ONCE(task_quiet, true);
}

static void prctl_after(struct agent_thread *t, struct hook_regs *r)
{
	if (r->di == PR_SET_NAME)
		agent_who_forget(t, WHO_COMM);
	if (r->di == PR_SET_SECCOMP && done(r))
		filter_set();
}

static void seccomp_after(struct agent_thread *t, struct hook_regs *r)
{
	if (r->di <= 1 && done(r))		/* SECCOMP_SET_MODE_STRICT, _FILTER */
		filter_set();
}

static void unshare_after(struct agent_thread *t, struct hook_regs *r)
{
	u64 flags = r->orig_ax == SYS_unshare ? r->di : r->si;

	/* setns: 0 is "whatever this fd is" */
	if (done(r) && (flags & CLONE_NEWPID || (r->orig_ax == SYS_setns && !flags)) && !t->nr_vforks)
		agent.proc->no_clone = true;
	agent_who_forget(t, WHO_CREDS);
}

/* GS base is ours; whoever asks has not set it and finds 0, as without us. */
static void arch_prctl_after(struct agent_thread *t, struct hook_regs *r)
{
	u64 zero = 0, got;

	if (r->di == PR_ARCH_GET_GS && done(r) && !fault_copy_from(&got, (const void *)r->si, sizeof(got)) && got == (u64)t)
		fault_copy_to((void *)r->si, &zero, sizeof(zero));
}

/* ---- code that comes later (dlopen): its system calls are given trampolines before anything there can run ---- */

#define NEW_CODE_MS	50

static void code_after(struct agent_thread *t, struct hook_regs *r)
{
	if (r->dx & PROT_EXEC && r->ax < -4095ull && (r->orig_ax != SYS_mmap || !(r->r10 & MAP_ANONYMOUS)))
		agent_helper_ask(NEW_CODE_MS);
}

static const struct call calls[HOOK_NR_SYSCALLS] = {
	[SYS_mmap] = { NULL, code_after },
	[SYS_mprotect] = { NULL, code_after },
	[SYS_pkey_mprotect] = { NULL, code_after },
	[SYS_rseq] = { rseq_before, rseq_after },
	[SYS_fork] = { clone_before, clone_after },
	[SYS_vfork] = { clone_before, clone_after },
	[SYS_clone] = { clone_before, clone_after },
	[SYS_clone3] = { clone_before, clone_after },
	[SYS_execve] = { exec_before, exec_after },
	[SYS_execveat] = { exec_before, exec_after },
	[SYS_exit] = { exit_before, NULL },
	[SYS_exit_group] = { exit_before, NULL },
	[SYS_setuid] = { NULL, creds_after },
	[SYS_setgid] = { NULL, creds_after },
	[SYS_setreuid] = { NULL, creds_after },
	[SYS_setregid] = { NULL, creds_after },
	[SYS_setresuid] = { NULL, creds_after },
	[SYS_setresgid] = { NULL, creds_after },
	[SYS_setgroups] = { NULL, creds_after },
	[SYS_setfsuid] = { NULL, creds_after },
	[SYS_setfsgid] = { NULL, creds_after },
	[SYS_prctl] = { NULL, prctl_after },
	[SYS_seccomp] = { NULL, seccomp_after },
	[SYS_unshare] = { NULL, unshare_after },
	[SYS_setns] = { NULL, unshare_after },
	[SYS_arch_prctl] = { NULL, arch_prctl_after },
};

bool agent_follows(u32 nr)
{
	return nr < HOOK_NR_SYSCALLS && (calls[nr].before || calls[nr].after || signal_follows(nr));
}

/* ---- what trampolines call ---- */

/* The helper was killed. Whoever is here starts another, but not all the time. */
static __attribute__((noinline, cold)) void revive(struct agent_thread *t)
{
	u64 now = boot_ns();

	if (agent.filtered || t->nr_vforks || READ_ONCE(agent.proc->helper_err) ||
	    now - READ_ONCE(agent.proc->started_ns) < REVIVE_NS || task_pid() != agent.proc->pid)
		return;
	WRITE_ONCE(agent.proc->started_ns, now);
	agent_helper_start();
}

static bool enter(struct agent_thread *t, struct hook_regs *r)
{
	if (likely(!agent.broken)) {
		if (unlikely(!READ_ONCE(agent.proc->helper_tid)))
			revive(t);
		if (hook_fire_sys_enter(r))
			return true;
		if (r->orig_ax < HOOK_NR_SYSCALLS && calls[r->orig_ax].before)
			calls[r->orig_ax].before(t, r);
	}
	return signal_enter(t, r);
}

bool agent_enter(struct agent_thread *t, struct hook_regs *r)
{
	bool skip;

	check_identity(t);
	signal_hook_begin(t, r);
	skip = enter(t, r);
	if (skip)
		t->overridden = r->sp;
	signal_hook_end(t);
	return skip;
}

void agent_exit(struct agent_thread *t, struct hook_regs *r)
{
	bool followed = r->orig_ax < HOOK_NR_SYSCALLS && calls[r->orig_ax].after;

	/* of a clone's exit clone_after() knows more */
	if (!followed || calls[r->orig_ax].after != clone_after || t->token != READ_ONCE(agent.proc->token))
		check_identity(t);
	signal_hook_begin(t, r);
	if (t->overridden != r->sp)
		signal_exit(t, r);
	if (likely(!agent.broken)) {
		if (followed && t->overridden != r->sp)
			calls[r->orig_ax].after(t, r);
		t->overridden = 0;
		hook_fire_sys_exit(r);
	}
	signal_hook_end(t);
}

/* ---- this image's beginning ---- */

void agent_follow_start(struct agent_thread *t)
{
	struct hook_regs r = { .orig_ax = (u64)agent.exec_nr };
	s32 pid = task_pid();

	if (!agent.wants.any)
		return;
	signal_hook_begin(t, &r);
	if (agent.wants.sched_exec)
		hook_fire_sched_exec(agent.execfn ? agent.execfn : "", pid, pid);
	if (agent.exec_nr > 0)
		hook_fire_sys_exit(&r);
}

/* ---- notices ---- */

void agent_notice(u32 kind, u64 count, const char *path)
{
	struct agents_msg m = { .kind = kind, .pid = (u32)task_pid(), .scope = agent.scope, .count = count };

	if (!agent.board)
		return;
	for (u32 i = 0; i < sizeof(m.path) - 1 && path[i]; i++)
		m.path[i] = path[i];
	agents_notify(agent.board, &m);
}

void agent_notice_sites(struct obj_dir *d, u32 missing)
{
	static u32 told;
	struct agents_msg m = { .kind = NOTICE_SITES, .pid = (u32)agent.proc->pid, .scope = agent.scope, .count = missing };

	if (missing > told)
		agents_notify(d, &m);
	told = MAX(told, missing);
}
