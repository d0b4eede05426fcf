/* SPDX-License-Identifier: Apache-2.0 */
/* thread.c - a state and stacks for each thread of the target.
 *
 * Slots lie in chunks of one 4 GiB range, so that one comparison of the upper half tells a pointer into it. Chunks are
 * mapped when needed, in order; nothing is ever unmapped. A slot is claimed by compare-and-swap, published by writing fs_base
 * last. A thread's end is not watched (its stack is in use until the kernel has it): when slots run out, the kernel is asked
 * whether their owners still are.
 *
 * What makes a state this thread's: GS base points to it and fs_base is equal. Both are inherited in a fork child (which is the
 * same thread, going on with copies) and in a vfork child (which runs while its parent is suspended, on its state). A child
 * of clone(CLONE_VM) without CLONE_SETTLS and CLONE_VFORK has both too, but runs beside its parent: follow.c takes GS base away
 * before such a call, and here the thread id decides.
 *
 * No locks but proc->busy (tid of the thread inside; a signal handler that finds its own thread there leaves). Everything is
 * async-signal-safe and makes system calls only on slow paths. */
#include <errno.h>
#include <linux/membarrier.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "agent/agent.h"
#include "agent/raw.h"

#define CHUNK_SLOTS	16u
#define CHUNK_BYTES	((u64)CHUNK_SLOTS * AGENT_SLOT)
#define CHUNKS		((u32)(AGENT_ARENA / CHUNK_BYTES))
#define CHUNK_SPINS	1000u			/* yields */
#define RSEQ_UNINITIALIZED (-1)
#define BOOT_STACKS	16u
#define BOOT_SPINS	2000000		/* of agent_slow, before it gives up */

/* tramp.S and agent_slow know these by number. */
_Static_assert(offsetof(struct agent_thread, fs_base) == 0, "tramp.S");
_Static_assert(offsetof(struct agent_thread, stack) == 8, "tramp.S");
_Static_assert(offsetof(struct agent_thread, level) == 40, "tramp.S");
_Static_assert(offsetof(struct agent_thread, nr_recs) == 44, "tramp.S");
_Static_assert(offsetof(struct agent_thread, deferred) == 48, "tramp.S");
_Static_assert(offsetof(struct agent_thread, alt_base) == 56, "tramp.S");
_Static_assert(offsetof(struct agent_thread, alt_size) == 64, "tramp.S");
_Static_assert(offsetof(struct agent_thread, hook_mask) == 72, "agent_careful");
_Static_assert(offsetof(struct agent_thread, careful) == 80, "agent_careful");
_Static_assert(sizeof(struct agent_thread) <= SKEP_PAGE, "one page at the end of the slot");
_Static_assert(offsetof(struct agent_proc, boot_busy) == 8, "agent_slow");

struct agent agent;
static const int membarriers[] = {
	MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
	MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
};
static u32 chunks;			/* mapped so far, from the start of the range; atomic, only grows */
enum { CHUNK_NONE, CHUNK_BUSY, CHUNK_READY, CHUNK_BAD };
static u8 chunk_state[CHUNKS];		/* BAD: somebody else lives there. Atomic; final before `chunks` counts it */
static u32 last_token;			/* of this process or its ancestors; under proc->busy */
static struct tls boot_tls[BOOT_STACKS];
/* agent_slow reads it */
u8 *agent_boot_stacks __attribute__((visibility("hidden")));

/* ---- memory ---- */

static bool failed(long addr)
{
	return (u64)addr >= -4095ull;
}

static long map_at(u64 addr, u64 size, int flags)
{
	return raw_syscall6(SYS_mmap, (long)addr, (long)size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}

static struct agent_thread *slot_at(u32 i)
{
	return (struct agent_thread *)(agent.arena + (u64)(i + 1) * AGENT_SLOT - SKEP_PAGE);
}

static bool chunk_map(u32 n)
{
	u64 at = agent.arena + n * CHUNK_BYTES;
	long p = map_at(at, CHUNK_BYTES, MAP_FIXED_NOREPLACE);

	if (!failed(p) && (u64)p != at) {	/* a kernel before 4.17 takes the address for a hint */
		raw_syscall3(SYS_munmap, p, CHUNK_BYTES, 0);
		p = -EEXIST;
	}
	if (!failed(p))
		raw_syscall3(SYS_madvise, p, CHUNK_BYTES, MADV_NOHUGEPAGE);
	/* -EEXIST: somebody else lives there; anything else may be better next time */
	STORE_RELEASE(chunk_state[n], !failed(p) ? CHUNK_READY : p == -EEXIST ? CHUNK_BAD : CHUNK_NONE);
	return !failed(p) || p == -EEXIST;
}

/* One more chunk, by us or by another thread meanwhile. One thread maps it; others wait, but not for ever: a signal handler
 * may have interrupted the one that does. */
static bool chunk_add(void)
{
	u32 n = LOAD_ACQUIRE(chunks), seen;

	for (u32 spins = 0; n < CHUNKS && spins < CHUNK_SPINS; spins++) {
		u8 state = CHUNK_NONE;

		if (__atomic_compare_exchange_n(&chunk_state[n], &state, CHUNK_BUSY, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED)) {
			if (!chunk_map(n))
				return false;
			state = READ_ONCE(chunk_state[n]);
		}
		if (state == CHUNK_BUSY) {
			raw_syscall3(SYS_sched_yield, 0, 0, 0);
			continue;
		}
		seen = n;
		__atomic_compare_exchange_n(&chunks, &seen, n + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
		if (state == CHUNK_READY)
			return true;
		n = LOAD_ACQUIRE(chunks);
	}
	return false;
}

/* A free address range far below where the kernel puts mappings, so that the target's do not get in the way. */
static int arena_place(void)
{
	long hint = map_at(0, SKEP_PAGE, 0);

	if (failed(hint))
		return (int)hint;
	raw_syscall3(SYS_munmap, hint, SKEP_PAGE, 0);
	for (u32 i = 1; i < 64; i++) {
		agent.arena = ALIGN_DOWN((u64)hint, AGENT_ARENA) - i * (AGENT_ARENA << 4);
		chunks = 0;
		chunk_state[0] = CHUNK_NONE;
		if (agent.arena > (u64)hint)
			break;
		if (chunk_add() && chunk_state[0] == CHUNK_READY)
			return 0;
	}
	return -ENOMEM;
}

static int boot_init(void)
{
	long p = map_at(0, (BOOT_STACKS + 1) * (u64)AGENT_STACK, 0);

	if (failed(p))
		return (int)p;
	agent_boot_stacks = (u8 *)ALIGN_UP((u64)p, (u64)AGENT_STACK);
	for (u32 i = 0; i < BOOT_STACKS; i++)
		*(struct tls **)(agent_boot_stacks + i * (u64)AGENT_STACK) = &boot_tls[i];
	return 0;
}

int agent_thread_init(void)
{
	long p;
	int err;

	if (agent.proc)
		return 0;
	p = map_at(0, SKEP_PAGE, 0);
	if (failed(p))
		return (int)p;
	if (raw_syscall3(SYS_madvise, p, SKEP_PAGE, MADV_WIPEONFORK))
		return -ENOSYS;
	err = boot_init();
	if (!err)
		err = arena_place();
	if (err)
		return err;
	/* What base, hook and patch.c use, while we are alone: as soon as another thread or the helper shares the memory,
	 * the first registration of a kind waits for RCU, 13 ms here. */
	for (u32 i = 0; i < ARRAY_SIZE(membarriers); i++)
		raw_syscall3(SYS_membarrier, membarriers[i], 0, 0);
	agent.proc = (struct agent_proc *)p;
	agent.proc->token = ++last_token;
	return 0;
}

/* ---- states ---- */

static void *bottom(u32 slot, u32 level)
{
	return (void *)(agent.arena + (u64)slot * AGENT_SLOT + level * (u64)AGENT_STACK);
}

/* libc's struct rseq of this thread, else one of our own, else none (leases are taken slowly then). Where several threads
 * have one fs base, libc's may be another's. */
static void *rseq_of(struct agent_thread *t, u64 fs, bool shared)
{
	s32 *libc = agent.rseq_offset ? (s32 *)(fs + (u64)agent.rseq_offset) : NULL;

	if (shared)
		return NULL;

	if (libc && READ_ONCE(libc[1]) >= 0)
		return libc;
	if (libc && READ_ONCE(libc[1]) == RSEQ_UNINITIALIZED)
		return NULL;			/* libc is about to, and would not live with ours (follow.c hears of it) */
	memset(t->rseq, 0, sizeof(t->rseq));
	((s32 *)t->rseq)[1] = RSEQ_UNINITIALIZED;
	return raw_syscall4(SYS_rseq, (long)t->rseq, 32, 0, 0x53053053) ? NULL : t->rseq;
}

/* Make a claimed slot the calling thread's. */
static struct agent_thread *setup(u32 slot, u64 fs, s32 pid, s32 tid, bool shared)
{
	struct agent_thread *t = slot_at(slot);

	t->fs_base = 0;
	for (u32 i = 0; i < AGENT_LEVELS; i++) {
		*(struct tls **)bottom(slot, i) = &t->tls;
		t->stack[i] = i + 1 < AGENT_LEVELS ? bottom(slot, i + 1) : (u8 *)t;
	}
	memset(&t->level, 0, offsetof(struct agent_thread, tls) - offsetof(struct agent_thread, level));
	memset(&t->tls, 0, sizeof(t->tls));
	memset(&t->task, 0, sizeof(t->task));
	t->tls.who = (struct who){ .keep = true, .task = &t->task, .pid = pid, .tid = tid };
	t->nr_clones = t->nr_vforks = 0;
	t->owner_pid = pid;
	t->owner_tid = tid;
	t->token = READ_ONCE(agent.proc->token);
	t->tls.rseq = rseq_of(t, fs, shared);
	STORE_RELEASE(t->fs_base, fs);
	return t;
}

static bool slot_usable(u32 slot)
{
	return READ_ONCE(chunk_state[slot / CHUNK_SLOTS]) == CHUNK_READY;
}

static u32 slots(void)
{
	return LOAD_ACQUIRE(chunks) * CHUNK_SLOTS;
}

static bool owner_gone(const struct agent_thread *t)
{
	return raw_syscall3(SYS_tgkill, t->owner_pid, t->owner_tid, 0) == -ESRCH;
}

static bool claim(struct agent_thread *t, u32 from)
{
	return __atomic_compare_exchange_n(&t->claimed, &from, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* A slot nobody has; with GONE also one whose thread ended unseen. Of several threads that find the same one gone, the
 * one whose id gets into owner_tid has it. */
static s32 slot_find(bool gone, s32 tid)
{
	for (u32 i = 0, n = slots(); i < n; i++) {
		struct agent_thread *t = slot_at(i);
		s32 owner;

		if (!slot_usable(i))
			continue;
		if (!READ_ONCE(t->claimed) && claim(t, 0))
			return (s32)i;
		owner = READ_ONCE(t->owner_tid);
		if (gone && READ_ONCE(t->fs_base) && owner_gone(t) &&
		    __atomic_compare_exchange_n(&t->owner_tid, &owner, tid, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return (s32)i;
	}
	return -1;
}

/* The state of the thread that has FS and TID; or one with that FS whose thread is gone (libc uses stacks again).
 * *shared: a living thread has that FS too. */
static s32 slot_of(u64 fs, s32 tid, bool *shared)
{
	for (u32 i = 0, n = slots(); i < n; i++) {
		struct agent_thread *t = slot_at(i);
		s32 owner;

		if (!slot_usable(i) || READ_ONCE(t->fs_base) != fs)
			continue;
		owner = READ_ONCE(t->owner_tid);
		if (owner == tid)
			return (s32)i;
		if (owner_gone(t) &&
		    __atomic_compare_exchange_n(&t->owner_tid, &owner, tid, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
			STORE_RELEASE(t->fs_base, 0);
			return (s32)i;
		}
		*shared = true;
	}
	return -1;
}

static bool in_arena(u64 gs)
{
	return gs >> 32 == agent.arena >> 32 && (gs & (AGENT_SLOT - 1)) == AGENT_SLOT - SKEP_PAGE &&
	       (gs - agent.arena) / AGENT_SLOT < slots() && slot_usable((u32)((gs - agent.arena) / AGENT_SLOT));
}

struct agent_thread *agent_thread_get(void)
{
	u64 fs = raw_fs_base(), gs = raw_gs_base();
	struct agent_thread *t = (struct agent_thread *)gs;
	bool shared = false;
	s32 pid, tid, slot;

	if (in_arena(gs) && t->fs_base == fs)
		return t;
	pid = (s32)raw_syscall3(SYS_getpid, 0, 0, 0);
	tid = (s32)raw_syscall3(SYS_gettid, 0, 0, 0);
	if (!READ_ONCE(agent.proc->token))
		agent_thread_refresh(NULL);
	slot = slot_of(fs, tid, &shared);
	t = slot >= 0 ? slot_at((u32)slot) : NULL;
	if (!t || t->fs_base != fs) {
		if (slot < 0)
			slot = slot_find(false, tid);
		if (slot < 0)
			slot = slot_find(true, tid);
		while (slot < 0 && chunk_add())
			slot = slot_find(false, tid);
		if (slot < 0)
			return NULL;
		t = setup((u32)slot, fs, pid, tid, shared);
	}
	if (!gs || in_arena(gs))		/* else it is the target's own */
		raw_set_gs_base((u64)t);
	return t;
}

u32 agent_thread_count(void)
{
	u32 used = 0;

	for (u32 i = 0, n = slots(); i < n; i++)
		used += slot_usable(i) && READ_ONCE(slot_at(i)->fs_base);
	return used;
}

/* ---- fork ---- */

/* The first hook in a new process: its one thread (or its first) frees the copies of the others' states. States with
 * a run under way stay: their thread may be this one, in a signal handler. */
static void process_setup(struct agent_thread *mine)
{
	for (u32 i = 0, n = slots(); i < n; i++) {
		struct agent_thread *t = slot_at(i);

		if (!slot_usable(i) || t == mine || t->level)
			continue;
		WRITE_ONCE(t->fs_base, 0);
		STORE_RELEASE(t->claimed, 0);
	}
	if (LOAD_ACQUIRE(chunks) < CHUNKS && chunk_state[chunks] == CHUNK_BUSY)	/* by a thread that is not here */
		chunk_state[chunks] = CHUNK_NONE;
	if (!++last_token)
		last_token = 1;
	STORE_RELEASE(agent.proc->token, last_token);
}

static bool proc_enter(u32 tid)
{
	u32 seen = 0;

	while (!__atomic_compare_exchange_n(&agent.proc->busy, &seen, tid, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		if (seen == tid)
			return false;
		seen = 0;
		raw_syscall3(SYS_sched_yield, 0, 0, 0);
	}
	return true;
}

void agent_thread_refresh(struct agent_thread *t)
{
	s32 tid = (s32)raw_syscall3(SYS_gettid, 0, 0, 0);

	if (!proc_enter((u32)tid))
		return;
	if (!agent.proc->token)
		process_setup(t);
	STORE_RELEASE(agent.proc->busy, 0);
	if (!t)
		return;
	agent_who_forget(t, WHO_IDS);
	t->owner_pid = (s32)raw_syscall3(SYS_getpid, 0, 0, 0);
	t->owner_tid = tid;
	t->nr_vforks = 0;
	WRITE_ONCE(t->token, agent.proc->token);
}

struct agent_thread *agent_thread_of(s32 tid)
{
	for (u32 i = 0, n = slots(); i < n; i++)
		if (slot_usable(i) && READ_ONCE(slot_at(i)->fs_base) && READ_ONCE(slot_at(i)->owner_tid) == tid)
			return slot_at(i);
	return NULL;
}

void agent_thread_each(bool only_gone, void (*fn)(struct agent_thread *t))
{
	for (u32 i = 0, n = slots(); i < n; i++)
		if (slot_usable(i) && READ_ONCE(slot_at(i)->fs_base) && (!only_gone || owner_gone(slot_at(i))))
			fn(slot_at(i));
}

/* ---- agent_slow ---- */

/* rbx, rbp: kept by C, so they carry the boot stack's number and the target's sp over the call. */
__asm__(".text\n"
	".globl agent_slow\n"
	".hidden agent_slow\n"
	".type agent_slow, @function\n"
	"agent_slow:\n"
	"	leaq	-128(%rsp), %rsp\n"
	"	pushfq\n"
	"	pushq	%rax\n	pushq	%rdx\n	pushq	%rsi\n	pushq	%rdi\n"
	"	pushq	%r8\n	pushq	%r9\n	pushq	%r10\n	pushq	%rbx\n	pushq	%rbp\n"
	"	pushq	%rcx\n	pushq	%r11\n"
	"	cld\n"
	"	movq	agent(%rip), %rsi\n"			/* agent.proc */
	"	movl	$" "2000000" ", %edx\n"
	"	xorl	%ebx, %ebx\n"
	"1:	lock btsl %ebx, 8(%rsi)\n"			/* boot_busy */
	"	jnc	2f\n"
	"	incl	%ebx\n"
	"	andl	$15, %ebx\n"
	"	pause\n"
	"	decl	%edx\n"
	"	jnz	1b\n"
	"	xorl	%eax, %eax\n"
	"	jmp	3f\n"
	"2:	movq	%rsp, %rbp\n"
	"	leal	1(%rbx), %ecx\n"
	"	shlq	$16, %rcx\n"
	"	addq	agent_boot_stacks(%rip), %rcx\n"
	"	movq	%rcx, %rsp\n"
	"	call	agent_thread_get\n"
	"	movq	%rbp, %rsp\n"
	"	movq	agent(%rip), %rsi\n"
	"	lock btrl %ebx, 8(%rsi)\n"
	"3:	popq	%r11\n	popq	%rcx\n"
	"	testq	%rax, %rax\n"
	"	cmovzq	%r11, %rcx\n"
	"	movq	%rax, %r11\n"
	"	popq	%rbp\n	popq	%rbx\n	popq	%r10\n	popq	%r9\n	popq	%r8\n"
	"	popq	%rdi\n	popq	%rsi\n	popq	%rdx\n	popq	%rax\n"
	"	popfq\n"
	"	leaq	128(%rsp), %rsp\n"
	"	jmp	*%rcx\n"
	".size agent_slow, . - agent_slow\n");
_Static_assert(offsetof(struct agent, proc) == 0, "agent_slow");
_Static_assert(BOOT_STACKS == 16 && AGENT_STACK == 1u << 16 && BOOT_SPINS == 2000000, "agent_slow");
