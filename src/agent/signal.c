/* SPDX-License-Identifier: Apache-2.0 */
/* signal.c - the target's actions (rt_sigaction) and the way into its handlers. See signal.h; masks are in sigmask.c.
 *
 * Real dispositions while installed: signal_entry for owned signals and for every signal that has a handler; SIG_DFL
 * and SIG_IGN of others are the kernel's own. acts[] is what the target thinks. The kernel applies the target's flags and
 * mask, less SA_RESETHAND (done here, since a signal may be put off) and less owned signals.
 *
 * signal_entry jumps to the target's handler with registers and stack as the kernel made them (so the return address is the
 * target's own restorer, which unwinders and debuggers know), unless something must be undone behind it: then it calls it.
 *
 * act_lock: a spin lock for acts[], taken in hooks only, where no handler of the target can run. Handlers read acts[] without
 * it: an action that changes while its signal arrives is old or new. */
#include <errno.h>
#include <string.h>
#include <ucontext.h>

#include "agent/agent.h"
#include "agent/raw.h"
#include "agent/sigint.h"
#include "base/fault_int.h"

#define SA_RESTORER	0x04000000u
#define UAPI_FLAGS	(0x04000000u | 0x08000000u | 0x10000000u | 0x40000000u | 0x80000000u | 0x800u | 7u)
#define UNBLOCKABLE	(BIT64(SIGKILL - 1) | BIT64(SIGSTOP - 1))

u64 signal_owned = BIT64(SIGSEGV - 1) | BIT64(SIGBUS - 1);
u32 signal_epoch;			/* of the attachments there are; 0: none. Written by the helper */
static u32 last_epoch;
static struct ksigaction acts[65];
static u64 ours;			/* bit per signal: its real disposition is signal_entry */
static u32 installed;			/* epoch that the dispositions follow; 0: they are the target's */
static u32 act_lock;
static bool (*claims[65])(int sig, siginfo_t *si, void *uc);

u64 signal_decide(int sig, siginfo_t *si, ucontext_t *uc, u64 *call);
void signal_done(ucontext_t *uc);
void signal_entry(int sig, siginfo_t *si, void *uc);
void signal_restorer(void);

/* The handler's frame holds what must outlive the target's handler: where uc is. */
__asm__(".text\n"
	".globl signal_entry\n"
	".hidden signal_entry\n"
	".type signal_entry, @function\n"
	"signal_entry:\n"
	"	.cfi_startproc\n"
	"	pushq	%rbp\n"
	"	.cfi_def_cfa_offset 16\n"
	"	.cfi_offset %rbp, -16\n"
	"	movq	%rsp, %rbp\n"
	"	.cfi_def_cfa_register %rbp\n"
	"	pushq	%rdi\n"
	"	pushq	%rsi\n"
	"	pushq	%rdx\n"
	"	pushq	$0\n"
	"	movq	%rsp, %rcx\n"
	"	call	signal_decide\n"
	"	popq	%rcx\n"
	"	popq	%rdx\n"
	"	popq	%rsi\n"
	"	popq	%rdi\n"
	"	testq	%rax, %rax\n"
	"	jz	1f\n"
	"	testq	%rcx, %rcx\n"
	"	jnz	2f\n"
	"	popq	%rbp\n"
	"	.cfi_remember_state\n"
	"	.cfi_def_cfa %rsp, 8\n"
	"	movq	%rax, %rcx\n"
	"	xorl	%eax, %eax\n"
	"	jmp	*%rcx\n"
	"	.cfi_restore_state\n"
	"2:	pushq	%rdx\n"
	"	subq	$8, %rsp\n"
	"	movq	%rax, %rcx\n"
	"	xorl	%eax, %eax\n"
	"	call	*%rcx\n"
	"	movq	-8(%rbp), %rdi\n"
	"	call	signal_done\n"
	"1:	movq	%rbp, %rsp\n"
	"	popq	%rbp\n"
	"	.cfi_def_cfa %rsp, 8\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size signal_entry, . - signal_entry\n"
	/* for owned signals where the target gave none; unwinders know these bytes */
	".globl signal_restorer\n"
	".hidden signal_restorer\n"
	".type signal_restorer, @function\n"
	"	nop\n"
	"signal_restorer:\n"
	"	movq	$15, %rax\n"
	"	syscall\n"
	".size signal_restorer, . - signal_restorer\n");

static u32 owned_index(int sig)
{
	switch (sig) {
	case SIGSEGV: return 0;
	case SIGBUS: return 1;
	case SIGSYS: return 2;
	case SIGTRAP: return 3;
	default: return 4;		/* SIGILL */
	}
}

static bool owned(int sig)
{
	return READ_ONCE(signal_owned) & BIT64(sig - 1);
}

void signal_claim(int sig, bool (*fn)(int sig, siginfo_t *si, void *uc))
{
	WRITE_ONCE(claims[sig], fn);
	__atomic_fetch_or(&signal_owned, BIT64(sig - 1), __ATOMIC_RELEASE);
}

static long raw_action(int sig, const struct ksigaction *new, struct ksigaction *old)
{
	return raw_syscall4(SYS_rt_sigaction, sig, (long)new, (long)old, 8);
}

static bool is_function(const struct ksigaction *a)
{
	return a->handler > (u64)SIG_IGN;
}

static void lock(void)
{
	while (__atomic_exchange_n(&act_lock, 1, __ATOMIC_ACQUIRE))
		raw_syscall3(SYS_sched_yield, 0, 0, 0);
}

static void unlock(void)
{
	STORE_RELEASE(act_lock, 0);
}

void signal_fork_child(void)
{
	unlock();
}

/* ---- real dispositions ---- */

static void real_action(int sig, const struct ksigaction *a, struct ksigaction *real)
{
	*real = *a;
	real->handler = (u64)signal_entry;
	real->flags = (real->flags | SA_SIGINFO) & ~(u64)SA_RESETHAND;
	real->mask &= ~READ_ONCE(signal_owned);
	if (owned(sig))
		real->flags |= SA_NODEFER;
	if (!is_function(a)) {
		real->flags = SA_SIGINFO | SA_NODEFER | SA_RESTORER | SA_RESTART;
		real->restorer = (u64)signal_restorer;
		real->mask = 0;
	}
}

/* Under the lock. What the target is told about SIG. */
static long view(struct agent_thread *t, int sig, struct ksigaction *a)
{
	long err = raw_action(sig, NULL, a);

	if (!err && a->handler == (u64)signal_entry)
		*a = t->sig.vforks && owned(sig) ? t->sig.vfork[owned_index(sig)] : acts[sig];
	return err;
}

/* Under the lock. */
static long set(int sig, const struct ksigaction *a)
{
	struct ksigaction before = acts[sig], real;
	long err;

	if (!owned(sig) && !is_function(a)) {
		err = raw_action(sig, a, NULL);
		ours &= err ? ~0ull : ~BIT64(sig - 1);
		return err;
	}
	acts[sig] = *a;
	real_action(sig, a, &real);
	err = raw_action(sig, &real, NULL);
	if (err)
		acts[sig] = before;
	else
		ours |= BIT64(sig - 1);
	return err;
}

/* A vfork child has dispositions of its own, but shares acts[]. Handlers it installs for other signals are entered directly. */
static long set_vfork(struct agent_thread *t, int sig, const struct ksigaction *a)
{
	struct ksigaction real = *a;

	if (owned(sig)) {
		t->sig.vfork[owned_index(sig)] = *a;
		real_action(sig, a, &real);
	} else {
		real.mask &= ~signal_owned;
	}
	return raw_action(sig, &real, NULL);
}

bool signal_sigaction(struct agent_thread *t, struct hook_regs *r)
{
	struct ksigaction new, old;
	int sig = (int)r->di;
	long err;

	if (r->r10 != 8 || sig < 1 || sig > 64 || (r->si && UNBLOCKABLE & BIT64(sig - 1)))
		return false;			/* the kernel's to refuse */
	if (r->si && fault_copy_from(&new, (const void *)r->si, sizeof(new))) {
		r->ax = (u64)-EFAULT;
		return true;
	}
	lock();
	err = view(t, sig, &old);
	if (!err && r->si) {
		new.mask &= ~UNBLOCKABLE;
		new.flags &= UAPI_FLAGS;
		err = t->sig.vforks ? set_vfork(t, sig, &new) : set(sig, &new);
	}
	unlock();
	if (!err && r->dx && fault_copy_to((void *)r->dx, &old, sizeof(old)))
		err = -EFAULT;
	r->ax = (u64)err;
	return true;
}

/* A call that was on its way when the patches came. */
void signal_sigaction_after(struct agent_thread *t, struct hook_regs *r)
{
	struct ksigaction now, told;
	int sig = (int)r->di;

	if (r->ax || sig < 1 || sig > 64 || t->sig.vforks)
		return;
	lock();
	if (r->dx && !fault_copy_from(&told, (const void *)r->dx, sizeof(told)) && told.handler == (u64)signal_entry)
		fault_copy_to((void *)r->dx, &acts[sig], sizeof(acts[sig]));
	if (r->si && !raw_action(sig, NULL, &now) && now.handler != (u64)signal_entry)
		set(sig, &now);
	unlock();
}

/* ---- with the first and last attachment ---- */

void signal_install(struct agent_thread *t)
{
	struct ksigaction now;

	lock();
	for (int sig = 1; sig <= 64 && installed != signal_epoch; sig++) {
		if (UNBLOCKABLE & BIT64(sig - 1) || raw_action(sig, NULL, &now))
			continue;
		if (now.handler == (u64)signal_entry)
			now = acts[sig];
		if (owned(sig) || is_function(&now))
			set(sig, &now);
	}
	installed = signal_epoch;
	unlock();
}

void signal_uninstall(void)
{
	struct ksigaction now;

	lock();
	for (int sig = 1; sig <= 64 && installed; sig++)
		if (ours & BIT64(sig - 1) && !raw_action(sig, NULL, &now) && now.handler == (u64)signal_entry)
			raw_action(sig, &acts[sig], NULL);
	ours = 0;
	WRITE_ONCE(installed, 0);
	unlock();
}

bool signal_want(bool on, u32 ms)
{
	struct { s64 s, ns; } t = { 0, 1000000 };

	if (on) {
		if (!signal_epoch) {
			last_epoch += 1 + (last_epoch == UINT32_MAX);
			STORE_RELEASE(signal_epoch, last_epoch);
		}
		return true;
	}
	STORE_RELEASE(signal_epoch, 0);
	for (; READ_ONCE(installed) && ms; ms--)
		raw_syscall3(SYS_nanosleep, (long)&t, 0, 0);
	return !READ_ONCE(installed);
}

/* Ignored signals stay ignored over an exec, so ours must be so too for a moment. BACK: it failed. */
void signal_exec_ignored(struct agent_thread *t, bool back)
{
	static const struct ksigaction ign = { .handler = (u64)SIG_IGN };
	struct ksigaction real, *a;

	for (int sig = 1; sig <= 64; sig++) {
		if (!owned(sig))
			continue;
		a = t->sig.vforks ? &t->sig.vfork[owned_index(sig)] : &acts[sig];
		if (a->handler != (u64)SIG_IGN)
			continue;
		real_action(sig, a, &real);
		raw_action(sig, back ? &real : &ign, NULL);
	}
}

void signal_vfork_child(struct agent_thread *t)
{
	if (!t->sig.vforks++)
		t->sig.vfork_mask = t->sig.mask;
	for (int sig = 1; sig <= 64; sig++)
		if (owned(sig))
			t->sig.vfork[owned_index(sig)] = acts[sig];
}

void signal_vfork_parent(struct agent_thread *t)
{
	if (t->sig.vforks && !--t->sig.vforks)
		t->sig.mask = t->sig.vfork_mask;
	signal_mask_take(t);
}

/* ---- a signal arrives: on whatever stack the kernel chose, so no tls() ---- */

/* The kernel's sigset is the first word. */
static u64 *mask_of(ucontext_t *uc)
{
	return (u64 *)&uc->uc_sigmask;
}

static bool in_hook(u64 sp)
{
	return agent.proc && sp >> 32 == agent.arena >> 32;
}

static struct agent_thread *state_of(u64 sp)
{
	u64 p = in_hook(sp) ? ALIGN_DOWN(sp, AGENT_SLOT) + AGENT_SLOT - SKEP_PAGE : raw_gs_base();
	struct agent_thread *t = (struct agent_thread *)p;

	if (!in_hook(p) || (p & (AGENT_SLOT - 1)) != AGENT_SLOT - SKEP_PAGE || t->fs_base != raw_fs_base())
		return NULL;
	return t;
}

/* Once more, to this thread (or process), with the same siginfo; blocked here from now on. */
static bool send_again(int sig, siginfo_t *si, ucontext_t *uc, bool to_process)
{
	u64 bit = BIT64(sig - 1);
	long pid = raw_syscall3(SYS_getpid, 0, 0, 0), err;

	if (!signal_may_queue())
		return false;
	raw_syscall4(SYS_rt_sigprocmask, SIG_BLOCK, (long)&bit, 0, 8);
	err = to_process ? raw_syscall3(SYS_rt_sigqueueinfo, pid, sig, (long)si) :
			   raw_syscall4(SYS_rt_tgsigqueueinfo, pid, raw_syscall3(SYS_gettid, 0, 0, 0), sig, (long)si);
	if (err == -EPERM && to_process)	/* only the main thread may say that somebody else sent it */
		err = raw_syscall3(SYS_kill, pid, sig, 0);
	if (!err)
		*mask_of(uc) |= bit;
	return !err;
}

static bool put_off(struct agent_thread *t, int sig, siginfo_t *si, ucontext_t *uc)
{
	if (!t || !send_again(sig, si, uc, false))
		return false;
	__atomic_fetch_or(&t->deferred, BIT64(sig - 1), __ATOMIC_RELAXED);
	if (owned(sig))				/* a fault would kill now */
		t->tls.fault_how = t->tls.fault_scope = FAULT_KERNEL;
	return true;
}

/* As if we were not there: a fault happens again, anything else is sent again, under the default action. */
static void die_by(int sig, siginfo_t *si, ucontext_t *uc)
{
	static const struct ksigaction dfl = { .handler = (u64)SIG_DFL };

	raw_action(sig, &dfl, NULL);
	if (si->si_code <= 0 || sig == SIGSYS || sig == SIGTRAP) {
		if (!send_again(sig, si, uc, false))
			raw_syscall3(SYS_tgkill, raw_syscall3(SYS_getpid, 0, 0, 0), raw_syscall3(SYS_gettid, 0, 0, 0), sig);
	}
	*mask_of(uc) &= ~BIT64(sig - 1);
}

/* The target's handler. *call: signal_done() has something to undo. */
static u64 deliver(struct agent_thread *t, int sig, ucontext_t *uc, struct ksigaction *slot, u64 *call)
{
	struct ksigaction a = *slot;
	u64 bit = BIT64(sig - 1), more;

	if (a.flags & SA_RESETHAND) {
		slot->handler = (u64)SIG_DFL;
		if (!owned(sig))
			raw_action(sig, slot, NULL);
	}
	if (!t || !READ_ONCE(signal_epoch) || t->sig.epoch != signal_epoch)
		return a.handler;
	more = a.mask & signal_owned;
	if (owned(sig) && !(a.flags & SA_NODEFER))
		more |= bit;
	if (more & ~t->sig.mask) {
		t->sig.handler = (u64)uc;
		t->sig.added = more & ~t->sig.mask;
	}
	if (signal_mask_enter(t, (u64)uc->uc_mcontext.gregs[REG_RSP], more, mask_of(uc)))
		*call = 1;
	return a.handler;
}

/* Bits of the mask that are no more: blocked by the kernel until a handler returned that no hook saw, or by a handler that was
 * left by a jump while its rt_sigprocmask had no hook (attachments come and go at any moment). */
static void forget_stale(struct agent_thread *t, u64 bit, u64 sp)
{
	struct signal_thread *s = &t->sig;
	u64 alt = t->alt_base, size = t->alt_size;

	if (s->really & bit) {			/* the kernel would not have let it through */
		s->mask &= ~bit;
		s->really &= ~bit;
	}
	if (s->handler && (sp > s->handler || (sp - alt < size) != (s->handler - alt < size))) {
		s->mask &= ~s->added;
		s->handler = 0;
	}
}

static u64 decide_owned(struct agent_thread *t, int sig, siginfo_t *si, ucontext_t *uc, u64 *call)
{
	bool sync = si->si_code > 0, blocked, inside = in_hook((u64)uc->uc_mcontext.gregs[REG_RSP]);
	struct ksigaction *a = t && t->sig.vforks ? &t->sig.vfork[owned_index(sig)] : &acts[sig];

	if (fault_mine(sig, si, uc) || (claims[sig] && claims[sig](sig, si, uc)))
		return 0;
	if (t)
		forget_stale(t, BIT64(sig - 1), (u64)uc->uc_mcontext.gregs[REG_RSP]);
	blocked = t && READ_ONCE(signal_epoch) && t->sig.epoch == signal_epoch && t->sig.mask & BIT64(sig - 1);
	if (sync ? blocked || !is_function(a) : a->handler == (u64)SIG_DFL && !blocked) {
		die_by(sig, si, uc);
		return 0;
	}
	if (blocked) {				/* the kernel keeps it: for sigwait, signalfd, or until it is unblocked */
		if (send_again(sig, si, uc, si->si_code != SI_TKILL))
			t->sig.really |= BIT64(sig - 1);
		return 0;
	}
	if (!is_function(a) || (inside && !sync && put_off(t, sig, si, uc)))
		return 0;
	return deliver(t, sig, uc, a, call);
}

__attribute__((used)) u64 signal_decide(int sig, siginfo_t *si, ucontext_t *uc, u64 *call)
{
	u64 sp = (u64)uc->uc_mcontext.gregs[REG_RSP];
	struct agent_thread *t = state_of(sp);
	struct ksigaction *a = &acts[sig];

	if (owned(sig))
		return decide_owned(t, sig, si, uc, call);
	if (a->handler == (u64)SIG_IGN || (in_hook(sp) && put_off(t, sig, si, uc)))
		return 0;
	if (a->handler == (u64)SIG_DFL) {	/* somebody has just changed it */
		die_by(sig, si, uc);
		return 0;
	}
	return deliver(t, sig, uc, a, call);
}

__attribute__((used)) void signal_done(ucontext_t *uc)
{
	struct agent_thread *t = state_of((u64)__builtin_frame_address(0));

	if (t)
		signal_mask_leave(t, mask_of(uc));
}
