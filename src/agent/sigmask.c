/* SPDX-License-Identifier: Apache-2.0 */
/* sigmask.c - the target's signal masks (signal.h), and what happens to signals at system calls.
 *
 * sig.mask holds the bits of owned signals that the target thinks are blocked; all other bits are in the kernel. sig.really:
 * those of them that the kernel blocks too, because they were blocked before the attachment, or because such a signal was sent
 * meanwhile and is pending there (so that sigwait, signalfd, sigpending and other threads find it). A call with a mask of its
 * own (sigsuspend, ppoll ...) is made with the target's arguments: no hook runs inside, and a handler that interrupts it
 * unblocks owned signals first.
 *
 * Table: rows[], by number. */
#include <errno.h>
#include <signal.h>

#include "agent/agent.h"
#include "agent/raw.h"
#include "agent/sigint.h"
#include "base/fault.h"

static long raw_mask(int how, u64 set, u64 *old)
{
	return raw_syscall4(SYS_rt_sigprocmask, how, (long)&set, (long)old, 8);
}

static u64 real_mask(void)
{
	u64 m = 0;

	raw_syscall4(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&m, 8);
	return m;
}

bool signal_may_queue(void)
{
	return !agent.filtered;
}

/* ---- rt_sigprocmask ---- */

struct change {
	u64 how, set;
	bool any;
};

static u64 apply(const struct change *c, u64 mask)
{
	if (!c->any)
		return mask;
	return c->how == SIG_BLOCK ? mask | c->set : c->how == SIG_UNBLOCK ? mask & ~c->set : c->set;
}

/* The target's mask, less owned signals; then the new one. What hooks block for their own sake is no part of it. */
static u64 change_real(struct agent_thread *t, const struct change *c)
{
	u64 owned = signal_owned, ours = owned | READ_ONCE(t->deferred), before, set = c->set;

	if (t->careful) {
		before = t->hook_mask;
		t->hook_mask = (apply(c, before) & ~owned) | t->sig.really;
		return before & ~owned;
	}
	if (!c->any)
		return real_mask() & ~ours;
	if (c->how != SIG_UNBLOCK)
		set &= ~owned;
	raw_mask((int)c->how, c->how == SIG_SETMASK ? set | t->sig.really : set, &before);
	/* what the target blocks now stays pending; what it unblocks has come, and is put off again */
	if (c->how != SIG_UNBLOCK)
		__atomic_fetch_and(&t->deferred, ~set, __ATOMIC_RELAXED);
	return before & ~ours;
}

static bool sigprocmask_enter(struct agent_thread *t, struct hook_regs *r)
{
	struct change c = { .how = (u32)r->di, .any = r->si };
	u64 mine = t->sig.mask, old;

	if (r->r10 != 8 || (c.any && c.how > SIG_SETMASK))
		return false;			/* the kernel's to refuse */
	if (c.any && fault_copy_from(&c.set, (const void *)r->si, sizeof(c.set))) {
		r->ax = (u64)-EFAULT;
		return true;
	}
	/* first: a pending owned signal that gets unblocked arrives at once, and asks */
	t->sig.mask = apply(&c, mine) & signal_owned;
	if (c.any)
		t->sig.handler = 0;
	t->sig.really &= t->sig.mask;
	old = change_real(t, &c) | mine;
	r->ax = 0;
	if (r->dx && fault_copy_to((void *)r->dx, &old, sizeof(old)))
		r->ax = (u64)-EFAULT;
	return true;
}

/* A call that was made after all: on its way when the patches came, or at a site that has no room before it. */
static void sigprocmask_exit(struct agent_thread *t, struct hook_regs *r)
{
	u64 before = t->sig.mask, real, v;

	if (r->ax || r->r10 != 8)
		return;
	real = real_mask() & signal_owned;
	if (real)
		raw_mask(SIG_UNBLOCK, real, NULL);
	if (r->dx && before && !fault_copy_from(&v, (const void *)r->dx, sizeof(v))) {
		v |= before;
		fault_copy_to((void *)r->dx, &v, sizeof(v));
	}
	if (!r->si)
		return;
	t->sig.mask = real;
	if (r->di != SIG_SETMASK)
		t->sig.mask |= before;
	if (r->di == SIG_UNBLOCK && !fault_copy_from(&v, (const void *)r->si, sizeof(v)))
		t->sig.mask &= ~v;
	t->sig.really = 0;
}

/* ---- calls with a mask of their own ---- */

/* Where the pointer to the mask is: a register, or (pselect6, io_pgetevents) in a struct that a register points to. */
static u64 suspend_mask_ptr(const struct hook_regs *r)
{
	u64 p = 0;

	switch (r->orig_ax) {
	case SYS_rt_sigsuspend:
		return r->di;
	case SYS_ppoll:
		return r->r10;
	case SYS_epoll_pwait:
	case 441:				/* epoll_pwait2 */
		return r->r8;
	}
	return r->r9 && !fault_copy_from(&p, (const void *)r->r9, sizeof(p)) ? p : 0;
}

static bool suspend_enter(struct agent_thread *t, struct hook_regs *r)
{
	struct signal_thread *s = &t->sig;
	u64 p = suspend_mask_ptr(r), m;

	if (!p || fault_copy_from(&m, (const void *)p, sizeof(m)) || !((m | s->mask) & signal_owned))
		return false;
	while (s->nr_suspends && (s->suspend[s->nr_suspends - 1].sp <= r->sp || s->nr_suspends == SIGNAL_SUSPENDS))
		s->nr_suspends--;		/* left by a jump */
	s->suspend[s->nr_suspends].sp = r->sp;
	s->suspend[s->nr_suspends].mask = s->mask;
	s->nr_suspends++;
	s->mask = m & signal_owned;
	return false;
}

static void suspend_exit(struct agent_thread *t, struct hook_regs *r)
{
	struct signal_thread *s = &t->sig;

	for (u32 i = s->nr_suspends; i-- > 0;) {
		if (s->suspend[i].sp != r->sp)
			continue;
		s->mask = s->suspend[i].mask;
		s->nr_suspends = (u8)i;
	}
}

/* ---- handlers of the target ---- */

bool signal_mask_enter(struct agent_thread *t, u64 sp, u64 more, u64 *frame)
{
	struct signal_thread *s = &t->sig;
	u64 shown = s->mask;

	if (s->nr_suspends && s->suspend[s->nr_suspends - 1].sp == sp) {
		shown = s->suspend[s->nr_suspends - 1].mask;
		if (s->mask)
			raw_mask(SIG_UNBLOCK, signal_owned, NULL);
	}
	if (!(shown | s->mask | more))
		return false;
	s->mask |= more;
	*frame |= shown;
	return true;
}

void signal_mask_leave(struct agent_thread *t, u64 *frame)
{
	struct signal_thread *s = &t->sig;

	s->mask = *frame & signal_owned;
	s->handler = 0;
	s->really &= s->mask;
	*frame = (*frame & ~signal_owned) | s->really;
}

/* ---- what children inherit ---- */

void signal_mask_take(struct agent_thread *t)
{
	if (!t->sig.mask)
		return;
	t->sig.really = 0;			/* what is pending comes again */
	raw_mask(SIG_UNBLOCK, t->sig.mask, NULL);
}

static bool clone_enter(struct agent_thread *t, struct hook_regs *r)
{
	if (t->sig.mask)
		raw_mask(SIG_BLOCK, t->sig.mask, NULL);
	return false;
}

static void clone_exit(struct agent_thread *t, struct hook_regs *r)
{
	signal_mask_take(t);
}

static bool exec_enter(struct agent_thread *t, struct hook_regs *r)
{
	clone_enter(t, r);
	signal_exec_ignored(t, false);
	return false;
}

static void exec_exit(struct agent_thread *t, struct hook_regs *r)
{
	signal_exec_ignored(t, true);
	signal_mask_take(t);
}

/* ---- the alternate stack ---- */

static void altstack_ask(struct agent_thread *t)
{
	stack_t ss = { 0 };
	bool there = !raw_syscall3(SYS_sigaltstack, 0, (long)&ss, 0) && !(ss.ss_flags & SS_DISABLE);

	t->alt_base = there ? (u64)ss.ss_sp : 0;
	t->alt_size = there ? ss.ss_size : 0;
}

static void altstack_exit(struct agent_thread *t, struct hook_regs *r)
{
	if (r->di && !r->ax)
		altstack_ask(t);
}

/* ---- rows ---- */

static const struct row {
	bool (*enter)(struct agent_thread *t, struct hook_regs *r);
	void (*exit)(struct agent_thread *t, struct hook_regs *r);
} rows[HOOK_NR_SYSCALLS] = {
	[SYS_rt_sigaction] = { signal_sigaction, signal_sigaction_after },
	[SYS_rt_sigprocmask] = { sigprocmask_enter, sigprocmask_exit },
	[SYS_sigaltstack] = { NULL, altstack_exit },
	[SYS_rt_sigsuspend] = { suspend_enter, suspend_exit },
	[SYS_ppoll] = { suspend_enter, suspend_exit },
	[SYS_pselect6] = { suspend_enter, suspend_exit },
	[SYS_epoll_pwait] = { suspend_enter, suspend_exit },
	[441] = { suspend_enter, suspend_exit },	/* epoll_pwait2 */
	[SYS_io_pgetevents] = { suspend_enter, suspend_exit },
	[SYS_fork] = { clone_enter, clone_exit },
	[SYS_vfork] = { clone_enter, clone_exit },
	[SYS_clone] = { clone_enter, clone_exit },
	[SYS_clone3] = { clone_enter, clone_exit },
	[SYS_execve] = { exec_enter, exec_exit },
	[SYS_execveat] = { exec_enter, exec_exit },
};

bool signal_follows(u32 nr)
{
	return nr < HOOK_NR_SYSCALLS && (rows[nr].enter || rows[nr].exit);
}

bool signal_enter(struct agent_thread *t, struct hook_regs *r)
{
	return t->sig.epoch && r->orig_ax < HOOK_NR_SYSCALLS && rows[r->orig_ax].enter && rows[r->orig_ax].enter(t, r);
}

void signal_exit(struct agent_thread *t, struct hook_regs *r)
{
	if (t->sig.epoch && r->orig_ax < HOOK_NR_SYSCALLS && rows[r->orig_ax].exit)
		rows[r->orig_ax].exit(t, r);
}

/* ---- each hook ---- */

/* Attachments have come or gone since this thread's last hook. */
static void follow_epoch(struct agent_thread *t)
{
	u32 epoch = LOAD_ACQUIRE(signal_epoch);

	if (t->sig.vforks)
		return;				/* its parent's: when that goes on */
	if (!epoch) {
		signal_uninstall();
		raw_mask(SIG_BLOCK, t->sig.mask, NULL);
		t->sig.mask = t->sig.really = 0;
		t->tls.fault_how = FAULT_KERNEL;
	} else {
		signal_install(t);
		/* What is blocked now stays so: it may be for the time of a handler that was entered before the attachment, whose
		 * return no hook will see. What we remember of an attachment before may be as stale. */
		t->sig.mask = t->sig.really = real_mask() & signal_owned;
		t->sig.handler = 0;
		altstack_ask(t);
		t->tls.fault_how = FAULT_DIRECT;
	}
	t->sig.epoch = epoch;
}

/* What is really blocked, the kernel knows: a handler that returned has put its frame's mask back. */
static void ask_kernel(struct agent_thread *t)
{
	u64 stale = t->sig.really & ~(t->careful ? t->hook_mask : real_mask());

	t->sig.mask &= ~stale;
	t->sig.really &= ~stale;
}

void signal_hook_begin(struct agent_thread *t, const struct hook_regs *r)
{
	if (unlikely(t->sig.epoch != READ_ONCE(signal_epoch)))
		follow_epoch(t);
	if (!t->sig.epoch)
		return;
	if (unlikely(t->sig.really))
		ask_kernel(t);
	t->tls.fault_how = likely(!t->sig.really && !t->careful) ? FAULT_DIRECT : FAULT_KERNEL;
}

void signal_hook_end(struct agent_thread *t)
{
	if (likely(!t->careful))
		return;
	t->careful = 0;
	t->tls.fault_how = FAULT_DIRECT;
	/* unblocked when we are back on the target's stack */
	__atomic_fetch_or(&t->deferred, ~t->hook_mask & ~signal_owned, __ATOMIC_RELAXED);
}

/* ---- signals put off, and kept away ---- */

__asm__(".text\n"
	".globl agent_careful\n"
	".hidden agent_careful\n"
	".type agent_careful, @function\n"
	"agent_careful:\n"
	"	leaq	-128(%rsp), %rsp\n"
	"	pushfq\n"
	"	pushq	%rax\n	pushq	%rdx\n	pushq	%rsi\n	pushq	%rdi\n	pushq	%r10\n"
	"	pushq	%rcx\n	pushq	%r11\n"
	"	movq	signal_owned(%rip), %rax\n"
	"	notq	%rax\n"
	"	pushq	%rax\n"
	"	movl	$14, %eax\n"
	"	movl	$2, %edi\n"		/* SIG_SETMASK */
	"	movq	%rsp, %rsi\n"
	"	leaq	72(%r11), %rdx\n"
	"	movl	$8, %r10d\n"
	"	syscall\n"
	"	popq	%rax\n"
	"	popq	%r11\n	popq	%rcx\n"
	"	movq	$1, 80(%r11)\n"
	"	popq	%r10\n	popq	%rdi\n	popq	%rsi\n	popq	%rdx\n	popq	%rax\n"
	"	popfq\n"
	"	leaq	128(%rsp), %rsp\n"
	"	jmp	*%rcx\n"
	".size agent_careful, . - agent_careful\n"

	".globl agent_deferred\n"
	".hidden agent_deferred\n"
	".type agent_deferred, @function\n"
	"agent_deferred:\n"
	"	leaq	-128(%rsp), %rsp\n"
	"	pushfq\n"
	"	pushq	%rax\n	pushq	%rdx\n	pushq	%rsi\n	pushq	%rdi\n	pushq	%r10\n"
	"	pushq	%rcx\n	pushq	%r11\n"
	"	xorl	%eax, %eax\n"
	"	xchgq	%rax, 48(%r11)\n"
	"	pushq	%rax\n"
	"	movl	$14, %eax\n"		/* rt_sigprocmask */
	"	movl	$1, %edi\n"		/* SIG_UNBLOCK */
	"	movq	%rsp, %rsi\n"
	"	xorl	%edx, %edx\n"
	"	movl	$8, %r10d\n"
	"	syscall\n"
	"	popq	%rax\n"
	"	popq	%r11\n	popq	%rcx\n"
	"	popq	%r10\n	popq	%rdi\n	popq	%rsi\n	popq	%rdx\n	popq	%rax\n"
	"	popfq\n"
	"	leaq	128(%rsp), %rsp\n"
	"	jmp	*%rcx\n"
	".size agent_deferred, . - agent_deferred\n");
_Static_assert(offsetof(struct agent_thread, deferred) == 48, "agent_deferred");
