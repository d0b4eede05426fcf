/* SPDX-License-Identifier: Apache-2.0 */
/* helper.c - the helper process: all that may take time, open files or allocate is done there.
 *
 * It is a process of its own that shares the target's memory and nothing else: own fd table (all closed), root and cwd of its
 * own, own signal handlers, all signals blocked, own session, no controlling terminal. It is made through a child that ends
 * at once, so it is nobody's child: wait4(__WALL), /proc/PID/task/PID/children and rusage of the target do not show it. Its name is
 * "skep-helper"; its command line is the target's, because that lies in the shared memory.
 *
 * It must not outlive the target, whose memory (and process slot) it would keep. The kernel clears and wakes the main
 * thread's clear_child_tid word when that thread ends or any thread executes, if somebody else still uses the memory: us. So it
 * waits for that word as well. That word may belong to somebody who waits too (pthread_join), and the kernel wakes one:
 * we pass the wake on. Where the word is not known, it looks every POLL_MS.
 *
 * Death at any moment: helper_tid becomes 0 (CLONE_CHILD_CLEARTID), rt_lock() may stay taken and is freed by the next helper.
 * Whoever needs the helper and finds none starts it: agent_helper_start(). */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/raw.h"
#include "agent/rt.h"
#include "base/agents.h"
#include "base/obj_int.h"
#include "map/map.h"
#include "prog/task.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv		449
#endif
#ifndef SYS_close_range
#define SYS_close_range		436
#endif
#define CLOSE_UNSHARE		2	/* CLOSE_RANGE_UNSHARE */
#define KCMP_MEMORY		1	/* KCMP_VM */
#define STAT_FLAGS		9	/* field of /proc/PID/stat */
#define PF_EXITING		0x4u
#define WAITV_32		2	/* FUTEX2_SIZE_U32 */
#define WAITV_PRIVATE		128

#define POLL_MS			100	/* the leader's word is not known */
#define LINKS_MS		400	/* do the links still live? A killed tracer's are gone within a second */
#define IDLE_MS			5000	/* nothing attached */
#define LOCK_MS			200
#define LOCK_TRIES		5	/* then a fork under way has its child without hooks, if it succeeds at all */
#define REAP_MS			10
#define SIGNALS_MS		20	/* for a thread of the target to put its dispositions back */
#define FILTERED_MS		10	/* threads with a seccomp filter wake nobody */
#define OLD_KERNEL_MS		10	/* no futex_waitv */
#define KSIGS			8	/* bytes of the kernel's sigset */

struct waitv {				/* the kernel's struct futex_waitv */
	u64 val, uaddr;
	u32 flags, reserved;
};

static u8 *stacks;			/* the helper's, and above it the one of the child in between */
static struct tls helper_tls, between_tls;
static struct obj_dir *dir;		/* the helper's; copied by fork, opened again there by obj_dir_ready() */
static bool no_waitv;

/* ---- futexes of this process ---- */

static void futex_wake(u32 *word)
{
	raw_syscall4(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, 0x7fffffff, 0);
}

static u64 now_ms(void)
{
	struct timespec t;

	raw_syscall3(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&t, 0);
	return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

static void futex_wait(u32 *word, u32 seen, u64 ms)
{
	struct timespec t = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000 * 1000000) };

	raw_syscall4(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, seen, (long)&t);
}

/* ---- does the target still have this memory? ---- */

static long kcmp_memory(s32 tid)
{
	return raw_syscall4(SYS_kcmp, tid, (long)READ_ONCE(agent.proc->helper_tid), KCMP_MEMORY, 0);
}

static bool same_memory(s32 tid)
{
	long r = kcmp_memory(tid);

	/* forbidden or unknown: the word and the process's end are what remains */
	return r == 0 || r == -EPERM || r == -ENOSYS;
}

struct task_entry {			/* the kernel's struct linux_dirent64 */
	u64 ino, off;
	u16 len;
	u8 type;
	char name[];
};

/* A main thread that has ended has no memory, but others may go on: any of them will do. Allocates nothing: the lock may be
 * the dead's. */
static bool other_thread_lives(s32 pid)
{
	char path[32], buf[2048] __attribute__((aligned(8)));
	bool found = false;
	long n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd >= 0 && !found && (n = raw_syscall3(SYS_getdents64, fd, (long)buf, sizeof(buf))) > 0)
		for (long at = 0; at < n && !found;) {
			const struct task_entry *e = (const struct task_entry *)(buf + at);
			long tid = strtol(e->name, NULL, 10);

			found = tid > 0 && tid != pid && !kcmp_memory((s32)tid);
			at += e->len;
		}
	if (fd >= 0)
		close(fd);
	return found;
}

static bool target_lives(void)
{
	s32 pid = READ_ONCE(agent.proc->pid);

	if (raw_syscall3(SYS_kill, pid, 0, 0) == -ESRCH)
		return false;
	return same_memory(pid) || other_thread_lives(pid);
}

/* ---- wakes of ring buffers and perf rings ---- */

#define WAKES	64
static const char *wakes[WAKES];	/* paths of FIFOs, constant while their map is mapped; atomic */

void agent_helper_poke(void)
{
	/* Pairs with the exchange in agent_wakes_send(). A seccomp filter may kill for a futex call: the helper looks then. */
	if (!__atomic_exchange_n(&agent.proc->wake, 1, __ATOMIC_SEQ_CST) && !READ_ONCE(agent.filtered))
		futex_wake(&agent.proc->wake);
}

static bool wakes_left;			/* in wakes[], without a poke; atomic */

static void note_wake(const char *path)
{
	for (u32 i = 0; i < WAKES; i++) {
		const char *seen = NULL;

		if (LOAD_ACQUIRE(wakes[i]) == path ||
		    __atomic_compare_exchange_n(&wakes[i], &seen, path, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED) ||
		    seen == path)
			break;
	}
}

/* In place of map_wake_fifo(): hooked threads open nothing. Cheap when it is pending already. */
static void wake_soon(const char *path)
{
	note_wake(path);
	agent_helper_poke();
}

/* The helper's next look will do. */
static void wake_later(const char *path)
{
	note_wake(path);
	__atomic_store_n(&wakes_left, true, __ATOMIC_RELEASE);
}

/* Also by a fork child that has no helper yet, and is about to end or execute. */
void agent_wakes_send(void)
{
	bool left = __atomic_exchange_n(&wakes_left, false, __ATOMIC_SEQ_CST);

	if (!__atomic_exchange_n(&agent.proc->wake, 0, __ATOMIC_SEQ_CST) && !left)
		return;
	for (u32 i = 0; i < WAKES; i++) {
		const char *path = __atomic_exchange_n(&wakes[i], NULL, __ATOMIC_ACQ_REL);

		if (path)
			map_wake_fifo(path);
	}
}

/* ---- the helper's life ---- */

/* The target is dead (a zombie, or gone) or about to be, not executing something else: its memory goes, and wakes us, while
 * it is still "running". */
static bool target_died(s32 pid)
{
	unsigned long flags = 0;
	char buf[512], *p;
	ssize_t n;
	int fd;

	snprintf(buf, sizeof(buf), "/proc/%d/stat", pid);
	fd = open(buf, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[MAX(n, 0)] = 0;
	p = strrchr(buf, ')');
	if (!p || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
		return true;
	p += 2;
	for (u32 field = 3; field < STAT_FLAGS && p; field++)
		p = strchr(p + 1, ' ');
	for (p = p ? p + 1 : buf + n; *p >= '0' && *p <= '9'; p++)
		flags = flags * 10 + (unsigned long)(*p - '0');
	return flags & PF_EXITING;
}

/* The end that nobody inside could tell of: killed, or by an exit_group() without a trampoline. Told here, as the target. */
static void tell_end(void)
{
	static struct task_mem task;
	struct who *w = &tls()->who;
	struct agent_thread *t;
	struct task_known known;
	s32 pid = agent.proc->pid;

	if (!agent.wants.sched_exit || READ_ONCE(agent.proc->end_told) || !target_died(pid))
		return;
	t = agent_thread_of(pid);
	task_known(&known);
	*w = (struct who){ .keep = true, .pid = pid, .tid = pid, .exiting = true, .task = &task };
	w->ppid = known.self.pid == pid ? known.parent.pid : known.self.pid;	/* a fork child that was never looked at */
	w->exit_code = task_exit_code("/proc", pid);
	if (t)
		w->born = t->tls.who.born;
	if (t && t->tls.who.comm_known)
		memcpy(w->comm, t->tls.who.comm, sizeof(w->comm));
	w->comm_known = t && t->tls.who.comm_known;
	w->creds_known = t && t->tls.who.creds_known;
	w->uid = w->creds_known ? t->tls.who.uid : 0;
	w->gid = w->creds_known ? t->tls.who.gid : 0;
	if (!w->comm_known)
		snprintf(w->comm, sizeof(w->comm), "%s", agent.proc->comm);
	w->comm_known = true;
	hook_fire_sched_exit(w->comm, pid, 120, true);
}

static void __attribute__((noreturn)) leave(void)
{
	tell_end();
	agent_wakes_send();
	for (;;)
		raw_syscall3(SYS_exit_group, 0, 0, 0);
}

/* Nothing of the target's is held open: its pipes must end when it closes them, its files must not be busy. In the child in
 * between, for which the target waits: not even for a moment. */
static void leave_files(void)
{
	raw_syscall3(SYS_chdir, (long)"/", 0, 0);
	if (!raw_syscall3(SYS_close_range, 0, ~0u, CLOSE_UNSHARE))
		return;
	raw_syscall3(SYS_unshare, CLONE_FILES, 0, 0);
	if (raw_syscall3(SYS_close_range, 0, ~0u, 0))
		for (long fd = 0; fd < 65536; fd++)
			raw_syscall3(SYS_close, fd, 0, 0);
}

/* The helper of the image before this one's: it ends by itself, but sooner so. The id may be somebody else's by now. */
static void end_old_helper(s32 old)
{
	char path[32], name[16] = "";
	ssize_t n;
	int fd;

	if (old <= 1 || old == (s32)agent.proc->helper_tid)
		return;
	snprintf(path, sizeof(path), "/proc/%d/comm", old);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, name, sizeof(name) - 1);
	close(fd);
	if (n == sizeof(HELPER_NAME) && !memcmp(name, HELPER_NAME "\n", sizeof(HELPER_NAME)))
		raw_syscall3(SYS_kill, old, SIGKILL, 0);
}

static int open_directory(void)
{
	int err = dir ? obj_dir_ready(dir) : obj_dir_open(agent.dir, &dir);

	if (!err && !agent.dir)
		agent.dir = dir->path;			/* the default one */
	if (!err)
		err = agents_open(dir);
	if (!err)
		err = agents_join(dir, agent.scope, agent.proc->pid);
	return err;
}

/* Around all that allocates: the lock may be held by a thread that died, or jumped out of a signal handler, between a fork
 * and its end; malloc() would wait for it for ever. */
static void work_begin(void)
{
	for (u32 tries = 0; !rt_fork_prepare(LOCK_MS); tries++) {
		agent_forks_given_up(tries >= LOCK_TRIES);
		if (!target_lives())
			leave();
	}
	WRITE_ONCE(agent.in_round, 1);
}

static void work_end(void)
{
	WRITE_ONCE(agent.in_round, 0);
	rt_unlock();
}

/* The target waits for its start, and has no thread but that one. */
static bool quiet_begin(void)
{
	char path[32];
	struct stat st;
	u32 waits = QUIET_WAITS;

	snprintf(path, sizeof(path), "/proc/%d/task", agent.proc->pid);
	return READ_ONCE(agent.quiet) == QUIET_WAITS && !stat(path, &st) && st.st_nlink == 3 &&
	       __atomic_compare_exchange_n(&agent.quiet, &waits, QUIET_TAKEN, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* For bpf_get_current_task() and its like: what hooked threads cannot look up. */
static void learn_who(bool now)
{
	static u64 next;		/* ms */
	struct timespec t;
	u64 ms;

	clock_gettime(CLOCK_MONOTONIC, &t);
	ms = (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
	if (!now && ms < next)
		return;
	next = ms + LINKS_MS;
	task_learn("/proc", agent.proc->pid);
}

static u64 patch_again;			/* threads were in the way: try again after so many ms; 0: they were not */

static void do_round(u32 request)
{
	u32 epoch = agents_epoch(dir), missing = 0;
	bool quiet, again;

	work_begin();
	learn_who(true);
	if (!hook_learn(dir, agent.scope, agent.proc->pid, &agent.wants)) {
		signal_want(agent.wants.any, SIGNALS_MS);
		quiet = agent.wants.any && quiet_begin();
		again = agent_patch_quietly(&agent.wants, &missing, quiet) > 0;
		patch_again = again ? MIN(MAX(patch_again * 2, (u64)REAP_MS), (u64)LINKS_MS) : 0;
		if (quiet)
			STORE_RELEASE(agent.quiet, QUIET_OVER);
	}
	work_end();
	agents_ack(dir, epoch);
	STORE_RELEASE(agent.proc->done, request);
	futex_wake(&agent.proc->done);
	agent_notice_sites(dir, missing);
}

/* The target gave up its user for good: so must we, who share its memory. Before the groups, while we may. */
static void follow_creds(void)
{
	u32 seen = LOAD_ACQUIRE(agent.proc->creds), *id = agent.proc->ids, me = geteuid();

	if (seen == agent.proc->creds_done)
		return;
	if (id[0] != me && id[1] != me && id[2] != me) {
		raw_syscall3(SYS_setgroups, 0, 0, 0);
		raw_syscall3(SYS_setresgid, id[3], id[4], id[5]);
		raw_syscall3(SYS_setresuid, id[0], id[1], id[2]);
	}
	STORE_RELEASE(agent.proc->creds_done, seen);
	futex_wake(&agent.proc->creds_done);
}

static bool wait_old(u32 epoch, u32 request, u64 ms)
{
	u32 *word = agents_epoch_word(dir);

	for (u64 end = now_ms() + ms; now_ms() < end;) {
		if (READ_ONCE(*word) != epoch || READ_ONCE(agent.proc->request) != request || READ_ONCE(agent.proc->wake))
			return true;
		if (!target_lives())
			leave();
		futex_wait(&agent.proc->request, request, OLD_KERNEL_MS);
	}
	return false;
}

/* Wait until the board or this process wants something, or MS passed (false). */
static bool wait_for_work(u32 epoch, u32 request, u64 ms)
{
	u32 *leader = READ_ONCE(agent.proc->leader_word), seen = leader ? READ_ONCE(*leader) : 0;
	struct waitv v[] = {
		{ epoch, (u64)agents_epoch_word(dir), WAITV_32, 0 },
		{ request, (u64)&agent.proc->request, WAITV_32 | WAITV_PRIVATE, 0 },
		{ 0, (u64)&agent.proc->wake, WAITV_32 | WAITV_PRIVATE, 0 },
		{ seen, (u64)leader, WAITV_32, 0 },
	};
	struct timespec t;
	long r;

	if (seen != agent.proc->leader_seen && !target_lives())
		leave();
	agent.proc->leader_seen = seen;
	if (no_waitv)
		return wait_old(epoch, request, ms);
	if (READ_ONCE(agent.filtered))
		ms = MIN(ms, FILTERED_MS);
	if (!leader || !seen)		/* musl's word is 0 anyway: a wake between two waits would not be seen */
		ms = MIN(ms, POLL_MS);
	raw_syscall3(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&t, 0);
	t.tv_nsec += (long)(ms % 1000 * 1000000);
	t.tv_sec += (time_t)(ms / 1000) + t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	r = raw_syscall6(SYS_futex_waitv, (long)v, leader ? 4 : 3, 0, (long)&t, CLOCK_MONOTONIC, 0);
	if (r == 3)				/* it may have been meant for somebody who joins that thread */
		raw_syscall4(SYS_futex, (long)leader, FUTEX_WAKE, 1, 0);
	if ((r == 3 || r == -ETIMEDOUT) && !target_lives())
		leave();
	if (r == -EFAULT)
		WRITE_ONCE(agent.proc->leader_word, NULL);
	no_waitv = r == -ENOSYS || r == -EPERM;
	return r != -ETIMEDOUT;
}

static bool links_died(void)
{
	bool alive;

	work_begin();
	alive = hook_links_alive(dir);
	work_end();
	return !alive;
}

static u64 round_ms(bool pending)
{
	if (pending || patch_again)
		return pending ? REAP_MS : patch_again;
	return agent.wants.any ? LINKS_MS : IDLE_MS;
}

static void serve(void)
{
	u32 epoch = 0, request = READ_ONCE(agent.proc->request) - 1;
	bool learn = true, pending, woken;

	for (;;) {
		if (learn) {
			epoch = agents_epoch(dir);
			request = READ_ONCE(agent.proc->request);
			do_round(request);
		}
		agent_wakes_send();
		domain_answer(dir->dom);
		follow_creds();
		work_begin();
		pending = hook_reap();
		if (agent.wants.any)
			learn_who(false);
		work_end();
		woken = wait_for_work(epoch, request, round_ms(pending));
		learn = woken ? agents_epoch(dir) != epoch || READ_ONCE(agent.proc->request) != request :
				patch_again || (agent.wants.any && links_died());
	}
}

static void __attribute__((noreturn)) helper_main(void)
{
	s32 old = 0;

	rt_trust(true);
	tls()->helper = true;
	tls()->fault_how = 0;				/* of a helper before us */
	raw_syscall3(SYS_prctl, PR_SET_NAME, (long)HELPER_NAME, 0);
	raw_syscall3(SYS_setsid, 0, 0, 0);
	rt_lock_abandoned(&helper_tls);			/* by a helper that was killed */
	if (dir)
		WRITE_ONCE(dir->lock, 0);		/* likewise, or by the parent's helper while it forked: only helpers take it */
	work_begin();
	agent.proc->helper_err = open_directory();
	work_end();
	if (!agent.proc->helper_err) {
		/* not in a fork child: it may be about to execute, and what it left is for its next image */
		if (READ_ONCE(agent.quiet) != QUIET_OVER &&
		    !agents_take_exec(dir, agent.proc->pid, &agent.exec_nr, &old))
			end_old_helper(old);
		agent.board = dir;
		serve();
	}
	WRITE_ONCE(agent.proc->done, agent.proc->request);
	futex_wake(&agent.proc->done);
	leave();
}

/* ---- starting ---- */

/* clone() onto STACK, to run FN there, which does not return. */
static long clone_to(u64 flags, u8 *stack, u32 *parent_tid, u32 *child_tid, void (*fn)(void))
{
	register long r10 __asm__("r10") = (long)child_tid;
	long ret;

	stack -= 16;
	*(void (**)(void))stack = fn;
	__asm__ volatile("syscall\n"
			 "	testq	%%rax, %%rax\n"
			 "	jnz	1f\n"
			 "	xorl	%%ebp, %%ebp\n"
			 "	call	*(%%rsp)\n"
			 "	hlt\n"
			 "1:"
			 : "=a"(ret)
			 : "a"((long)SYS_clone), "D"(flags), "S"(stack), "d"(parent_tid), "r"(r10)
			 : "rcx", "r11", "memory", "cc");
	return ret;
}

/* The child in between: nobody waits for it but us, and what it leaves is an orphan. */
static void between(void)
{
	u32 *tid = &agent.proc->helper_tid;
	long r;

	leave_files();
	r = clone_to(CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_UNTRACED | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID,
		     stacks + AGENT_STACK, tid, tid, helper_main);
	agent.proc->helper_err = r < 0 ? (int)r : 0;
	for (;;)
		raw_syscall3(SYS_exit, 0, 0, 0);
}

static int stacks_init(void)
{
	long p;

	if (!stacks) {
		p = raw_syscall6(SYS_mmap, 0, 3 * (long)AGENT_STACK, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p < 0)
			return (int)p;
		stacks = (u8 *)ALIGN_UP((u64)p, (u64)AGENT_STACK);
	}
	memset(&helper_tls, 0, sizeof(helper_tls));
	*(struct tls **)stacks = &helper_tls;
	*(struct tls **)(stacks + AGENT_STACK) = &between_tls;
	return 0;
}

static int start_locked(void)
{
	u64 all = ~0ull, old;
	s32 pid = (s32)raw_syscall3(SYS_getpid, 0, 0, 0);
	int err = stacks_init();
	long child;

	if (err)
		return err;
	agent.proc->pid = pid;
	raw_syscall3(SYS_prctl, PR_GET_NAME, (long)agent.proc->comm, 0);
	if (raw_syscall3(SYS_gettid, 0, 0, 0) == pid &&
	    raw_syscall3(SYS_prctl, PR_GET_TID_ADDRESS, (long)&agent.proc->leader_word, 0))
		agent.proc->leader_word = NULL;
	agent.proc->leader_seen = agent.proc->leader_word ? READ_ONCE(*agent.proc->leader_word) : 0;
	map_wake = wake_soon;
	map_wake_later = wake_later;
	domain_ask = agent_helper_poke;
	raw_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&old, KSIGS);
	child = clone_to(CLONE_VM | CLONE_FILES | CLONE_VFORK | CLONE_UNTRACED,
			 stacks + AGENT_STACK + AGENT_STACK / 2, NULL, NULL, between);
	if (child > 0)
		while (raw_syscall4(SYS_wait4, child, 0, __WCLONE, 0) == -EINTR)
			;
	raw_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&old, 0, KSIGS);
	return child < 0 ? (int)child : agent.proc->helper_err;
}

int agent_helper_start(void)
{
	u32 none = 0;
	int err = 0;

	if (READ_ONCE(agent.proc->helper_tid))
		return 0;
	if (READ_ONCE(agent.proc->no_clone))
		return -EPERM;
	/* one at a time; who finds it taken (a signal handler, too) has its helper soon */
	if (!__atomic_compare_exchange_n(&agent.proc->helper_lock, &none, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return -EBUSY;
	if (!READ_ONCE(agent.proc->helper_tid))
		err = start_locked();
	STORE_RELEASE(agent.proc->helper_lock, 0);
	return err;
}

int agent_helper_first(u32 timeout_ms)
{
	u32 waits = QUIET_WAITS;
	int err;

	agent.quiet = QUIET_WAITS;
	err = agent_helper_start();
	if (!err)
		err = agent_helper_ask(timeout_ms);
	if (__atomic_compare_exchange_n(&agent.quiet, &waits, QUIET_OVER, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return err;
	while (LOAD_ACQUIRE(agent.quiet) == QUIET_TAKEN && READ_ONCE(agent.proc->helper_tid))
		futex_wait(&agent.proc->done, READ_ONCE(agent.proc->done), OLD_KERNEL_MS);
	agent.quiet = QUIET_OVER;
	return err;
}

int agent_helper_ask(u32 timeout_ms)
{
	u32 request = __atomic_add_fetch(&agent.proc->request, 1, __ATOMIC_ACQ_REL), done;
	u64 end = now_ms() + timeout_ms, now;

	futex_wake(&agent.proc->request);
	for (;;) {
		done = LOAD_ACQUIRE(agent.proc->done);
		if ((s32)(done - request) >= 0)
			return agent.proc->helper_err;
		now = now_ms();
		if (now >= end)
			return -ETIMEDOUT;
		if (!READ_ONCE(agent.proc->helper_tid))
			return -ESRCH;
		futex_wait(&agent.proc->done, done, MIN(end - now, 20ull));
	}
}
