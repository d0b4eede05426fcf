/* SPDX-License-Identifier: Apache-2.0 */
/* thread_test.c - thread states: one per thread, found again, used again, in fork and vfork children and odd clones, beside
 * a target that uses GS base itself; agent_slow keeps registers and flags. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/raw.h"
#include "t.h"

#define THREADS 40

static pthread_barrier_t barrier;

static struct agent_thread *mine(void)
{
	EQ(agent_thread_init(), 0);
	return agent_thread_get();
}

TEST(a_thread_finds_its_state_again)
{
	struct agent_thread *t = mine();

	NEED(t);
	EQ(raw_gs_base(), (u64)t);
	EQ(t->fs_base, raw_fs_base());
	CHECK(agent_thread_get() == t);
	raw_set_gs_base(0);				/* lost: a target that loads %gs */
	CHECK(agent_thread_get() == t);
	EQ(raw_gs_base(), (u64)t);
	EQ(agent_thread_count(), 1);
}

TEST(stacks_are_aligned_and_lead_to_the_state)
{
	struct agent_thread *t = mine();

	NEED(t);
	for (int i = 0; i < AGENT_LEVELS; i++) {
		struct tls **bottom = (struct tls **)ALIGN_DOWN((u64)t->stack[i] - 1, (u64)AGENT_STACK);

		EQ((u64)t->stack[i] % 16, 0);
		CHECK(*bottom == &t->tls);
		CHECK((u8 *)t->stack[i] - (u8 *)bottom >= 48 << 10);
	}
	EQ((u64)t->stack[0] >> 32, agent.arena >> 32);
}

static struct agent_thread *seen[THREADS];
static void *worker(void *arg)
{
	u64 i = (u64)arg;

	seen[i] = agent_thread_get();			/* GS base inherited from the parent */
	pthread_barrier_wait(&barrier);
	if (agent_thread_get() != seen[i])
		seen[i] = NULL;
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void run_workers(void)
{
	pthread_t t[THREADS];

	pthread_barrier_init(&barrier, NULL, THREADS);
	for (u64 i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, worker, (void *)i);
	for (u64 i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	pthread_barrier_destroy(&barrier);
}

TEST(threads_have_a_state_each_and_the_dead_ones_states_are_used_again)
{
	struct agent_thread *t = mine();
	u32 first;

	NEED(t);
	run_workers();
	for (u32 i = 0; i < THREADS; i++) {
		NEED(seen[i]);
		CHECK(seen[i] != t);
		for (u32 k = 0; k < i; k++)
			CHECK(seen[k] != seen[i]);
	}
	first = agent_thread_count();
	CHECK(first >= THREADS + 1 && first <= THREADS + 16);
	for (int round = 0; round < 5; round++)
		run_workers();
	CHECK(agent_thread_count() <= first + 16);
}

TEST(a_fork_child_goes_on_with_its_copy_as_somebody_else)
{
	struct agent_thread *t = mine();
	int st;
	pid_t pid;

	NEED(t);
	run_workers();
	t->tls.who.pid = getpid();
	t->tls.who.tid = gettid();
	t->tls.who.creds_known = true;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		bool ok = agent_thread_get() == t && t->token != agent.proc->token;

		agent_thread_refresh(t);
		ok = ok && !t->tls.who.pid && !t->tls.who.tid && t->tls.who.creds_known;
		ok = ok && t->owner_tid == gettid() && t->owner_pid == getpid();
		ok = ok && agent_thread_count() == 1 && agent.proc->token == t->token;
		_exit(ok);
	}
	waitpid(pid, &st, 0);
	EQ(st, 1 << 8);
	EQ(t->tls.who.pid, getpid());
}

TEST(a_fork_childs_thread_without_state_gets_a_clean_one)
{
	struct agent_thread *t = mine();
	int st;
	pid_t pid;

	NEED(t);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		raw_set_gs_base(0);
		t->fs_base = 0;
		struct agent_thread *n = agent_thread_get();

		_exit(n && n->owner_tid == gettid() && n->fs_base == raw_fs_base() && agent_thread_count() == 1);
	}
	waitpid(pid, &st, 0);
	EQ(st, 1 << 8);
}

TEST(a_vfork_child_uses_its_parents_state)
{
	static struct agent_thread *volatile child;
	struct agent_thread *t = mine();
	pid_t pid;

	NEED(t);
	pid = vfork();
	if (!pid) {
		child = agent_thread_get();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	CHECK(child == t);
}

static struct agent_thread *volatile odd;
static int odd_child(void *arg)
{
	(void)arg;
	odd = agent_thread_get();
	return odd && odd->tls.rseq ? 1 : 0;
}

/* Same fs base, at the same time: only the thread id differs. follow.c takes GS base away before the call. */
TEST(a_clone_that_shares_memory_and_tls_gets_its_own_state)
{
	struct agent_thread *t = mine();
	u8 *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	int st = -1;

	NEED(t && stack != MAP_FAILED);
	raw_set_gs_base(0);
	pid = clone(odd_child, stack + 65536, CLONE_VM | SIGCHLD, NULL);
	CHECK(agent_thread_get() == t);
	waitpid(pid, &st, 0);
	EQ(st, 0);					/* and no rseq: libc's is the parent's */
	CHECK(odd && odd != t);
	munmap(stack, 65536);
}

TEST(a_gs_base_of_the_targets_own_is_left_alone)
{
	struct agent_thread *t = mine();
	static u8 theirs[SKEP_PAGE];

	NEED(t);
	raw_set_gs_base((u64)theirs);
	CHECK(agent_thread_get() == t);
	EQ(raw_gs_base(), (u64)theirs);
	raw_set_gs_base(agent.arena + 5);		/* in the range, but no state */
	CHECK(agent_thread_get() == t);
	raw_set_gs_base(agent.arena + AGENT_ARENA - SKEP_PAGE);	/* likewise, and nothing is mapped there */
	CHECK(agent_thread_get() == t);
	raw_set_gs_base(0);
	CHECK(agent_thread_get() == t);
	EQ(raw_gs_base(), (u64)t);
}

static void *limited(void *arg)
{
	u32 *got = arg;

	if (agent_thread_get())
		__atomic_fetch_add(got, 1, __ATOMIC_RELAXED);
	pthread_barrier_wait(&barrier);
	return NULL;
}

TEST(without_memory_there_is_no_state_and_no_crash)
{
	static pthread_t t[100];
	u32 *got = mmap(NULL, SKEP_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	int st;

	NEED(mine());
	fflush(stdout);
	pid = fork();
	if (!pid) {
		pthread_attr_t a;
		struct rlimit l = { 0, 0 };

		pthread_attr_init(&a);
		pthread_attr_setstacksize(&a, 65536);
		pthread_barrier_init(&barrier, NULL, 101);
		/* threads are there before memory runs out */
		for (u32 i = 0; i < 100; i++)
			if (pthread_create(&t[i], &a, limited, got))
				_exit(2);
		setrlimit(RLIMIT_AS, &l);
		pthread_barrier_wait(&barrier);
		_exit(0);
	}
	waitpid(pid, &st, 0);
	EQ(st, 0);
	CHECK(*got > 0);
	munmap(got, SKEP_PAGE);
}

/* ---- agent_slow ---- */

struct regs_io {
	u64 in[13], out[13], flags_in, flags_out, t, went;
};

/* Loads rax rdx rsi rdi r8 r9 r10 r12 r13 r14 r15 and flags from IO, jumps to agent_slow, and stores what is there after. */
static __attribute__((noinline)) void call_slow(struct regs_io *io)
{
	__asm__ volatile(
		"pushq	%%rbx\n pushq %%rbp\n"
		"movq	%0, %%rbp\n"
		"pushq	13*8+13*8(%%rbp)\n popfq\n"
		"movq	0(%%rbp), %%rax\n movq 8(%%rbp), %%rdx\n movq 16(%%rbp), %%rsi\n movq 24(%%rbp), %%rdi\n"
		"movq	32(%%rbp), %%r8\n movq 40(%%rbp), %%r9\n movq 48(%%rbp), %%r10\n movq 56(%%rbp), %%r12\n"
		"movq	64(%%rbp), %%r13\n movq 72(%%rbp), %%r14\n movq 80(%%rbp), %%r15\n movq 88(%%rbp), %%rbx\n"
		"leaq	1f(%%rip), %%rcx\n leaq 2f(%%rip), %%r11\n"
		"jmp	agent_slow\n"
		"1:	movq $1, 13*8*2+24(%%rbp)\n jmp 3f\n"
		"2:	movq $2, 13*8*2+24(%%rbp)\n"
		"3:	movq %%r11, 13*8*2+16(%%rbp)\n"
		"pushfq\n popq 13*8*2+8(%%rbp)\n"
		"movq	%%rax, 104(%%rbp)\n movq %%rdx, 112(%%rbp)\n movq %%rsi, 120(%%rbp)\n movq %%rdi, 128(%%rbp)\n"
		"movq	%%r8, 136(%%rbp)\n movq %%r9, 144(%%rbp)\n movq %%r10, 152(%%rbp)\n movq %%r12, 160(%%rbp)\n"
		"movq	%%r13, 168(%%rbp)\n movq %%r14, 176(%%rbp)\n movq %%r15, 184(%%rbp)\n movq %%rbx, 192(%%rbp)\n"
		"popq	%%rbp\n popq %%rbx\n"
		: : "r"(io) : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
}

static bool slow_keeps_all(u64 flags, u64 went)
{
	struct regs_io io = { .flags_in = flags };

	for (u32 i = 0; i < 12; i++)
		io.in[i] = 0x1111111111111111ull * (i + 1);
	call_slow(&io);
	for (u32 i = 0; i < 12; i++)
		if (io.in[i] != io.out[i])
			return false;
	return io.flags_out == flags && io.went == went && io.t == (went == 1 ? (u64)agent_thread_get() : 0);
}

TEST(agent_slow_keeps_registers_and_flags)
{
	static const u64 flags[] = { 0x202, 0x246, 0xa93, 0xed7, 0x602 };	/* CF PF AF ZF SF OF DF in several mixtures */

	NEED(mine());
	for (u32 i = 0; i < ARRAY_SIZE(flags); i++) {
		raw_set_gs_base(0);
		CHECK(slow_keeps_all(flags[i], 1));
	}
	EQ(agent.proc->boot_busy, 0);
}

TEST(agent_slow_gives_up_when_all_boot_stacks_are_taken)
{
	NEED(mine());
	agent.proc->boot_busy = ~0ull;
	CHECK(slow_keeps_all(0x246, 2));
	agent.proc->boot_busy = 0;
}

static volatile u32 slow_bad, slow_done;
static void *slow_loop(void *arg)
{
	(void)arg;
	for (u32 i = 0; i < 2000; i++) {
		raw_set_gs_base(0);
		if (!slow_keeps_all(0x246, 1))
			__atomic_fetch_add(&slow_bad, 1, __ATOMIC_RELAXED);
	}
	__atomic_fetch_add(&slow_done, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void on_usr1(int sig)
{
	(void)sig;
	raw_set_gs_base(0);
	if (!slow_keeps_all(0x202, 1))
		__atomic_fetch_add(&slow_bad, 1, __ATOMIC_RELAXED);
}

TEST(agent_slow_from_many_threads_and_signal_handlers)
{
	struct sigaction sa = { .sa_handler = on_usr1 };
	pthread_t t[8];

	NEED(mine());
	slow_bad = slow_done = 0;
	sigaction(SIGUSR1, &sa, NULL);
	for (u32 i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, slow_loop, NULL);
	while (slow_done < 8) {
		for (u32 i = 0; i < 8; i++)
			pthread_kill(t[i], SIGUSR1);	/* glibc: no error for an ended thread */
		usleep(100);
	}
	for (u32 i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	EQ(slow_bad, 0);
	EQ(agent.proc->boot_busy, 0);
}

static u64 ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

/* Not an assertion: printed for the record. */
TEST(cost_is_shown)
{
	static u8 theirs[SKEP_PAGE];
	u64 a, b, c;

	NEED(mine());
	a = ns();
	for (u32 i = 0; i < 100000; i++)
		__asm__ volatile("" : : "r"(agent_thread_get()));
	b = ns();
	raw_set_gs_base((u64)theirs);
	for (u32 i = 0; i < 10000; i++)
		__asm__ volatile("" : : "r"(agent_thread_get()));
	c = ns();
	raw_set_gs_base(0);
	agent_thread_get();
	fprintf(stderr, "agent_thread_get: %.1f ns by GS base, %.0f ns where the target uses GS base itself (%u states)\n",
		(double)(b - a) / 1e5, (double)(c - b) / 1e4, agent_thread_count());
}
