/* SPDX-License-Identifier: Apache-2.0 */
/* tramp.c - from a stub into C and back. A stub (stub.c) has found the thread's state, taken a level and is on its stack:
 *
 *	in	r11 = state, rsp = top - 24: [return address][sp of the target][free]; everything else as the target left it
 *	out	the same registers, or those that the hook changed; rsp = top - 16
 *
 * The frame is a struct hook_regs that ends at the top of the level's stack. The way back is `ret`, so that the CPU's
 * return stack stays in step. STUB_TAIL bytes behind the return address is the way for calls that are not to be made.
 * Flags: dead by the scanner's word, but for the direction flag where a function sets it (the _flags entries). Stubs whose flags
 * are live keep them themselves. */
#include <sys/syscall.h>

#include "agent/patch.h"

_Static_assert(sizeof(struct hook_regs) == 168 && offsetof(struct hook_regs, orig_ax) == 120 &&
	       offsetof(struct hook_regs, flags) == 144,
	       "tramp.c");
_Static_assert(offsetof(struct agent_thread, level) == 40 && offsetof(struct agent_thread, nr_recs) == 44 &&
		       offsetof(struct agent_thread, deferred) == 48,
	       "stub.c");
_Static_assert(STUB_TAIL == 48 && STUB_DESC == 96 && offsetof(struct stub_desc, nr) == 8 &&
		       offsetof(struct stub_desc, flags) == 12,
	       "tramp.c");

/* Tests compile this with vector registers; the target's are not ours. */
#define HOOKED __attribute__((target("general-regs-only")))
#define REC_REACH	(256u << 10)	/* bytes: a record this far below cannot be of another stack */

__attribute__((used)) static bool odd_enter(struct agent_thread *t, struct hook_regs *regs, const struct stub_desc *d);
__attribute__((used)) static void odd_exit(struct agent_thread *t, struct hook_regs *regs, const struct stub_desc *d);

__asm__(".text\n"
	".macro skep_save ax, flags\n"
	"	popq	%rcx\n"			/* return address */
	"	movq	$0x2b, 8(%rsp)\n"	/* ss */
	"	.if	\\flags\n	pushfq\n	.else\n	pushq	$0x246\n	.endif\n"
	"	pushq	$0x33\n"
	"	pushq	96(%rcx)\n"		/* ip */
	"	pushq	%rax\n"			/* orig_ax */
	"	pushq	%rdi\n	pushq	%rsi\n	pushq	%rdx\n"
	"	pushq	96(%rcx)\n"		/* cx, as the instruction leaves it */
	"	pushq	\\ax\n"
	"	pushq	%r8\n	pushq	%r9\n	pushq	%r10\n"
	/* r11: flags, likewise */
	"	.if	\\flags\n	pushq	88(%rsp)\n	.else\n	pushq	$0x246\n	.endif\n"
	"	pushq	%rbx\n	pushq	%rbp\n	pushq	%r12\n	pushq	%r13\n	pushq	%r14\n	pushq	%r15\n"
	"	movq	%r11, %rbx\n"
	"	movq	%rcx, %rbp\n"
	"	movq	%rbx, %rdi\n"
	"	movq	%rsp, %rsi\n"
	"	subq	$8, %rsp\n"
	"	.if	\\flags\n	cld\n	.endif\n"	/* C wants it clear */
	".endm\n"

	".globl patch_tramp_enter_flags\n"
	".hidden patch_tramp_enter_flags\n"
	".type patch_tramp_enter_flags, @function\n"
	".p2align 4\n"
	"patch_tramp_enter_flags:\n"
	"	skep_save $-38, 1\n"
	"	jmp	1f\n"
	".size patch_tramp_enter_flags, . - patch_tramp_enter_flags\n"

	".globl patch_tramp_enter\n"
	".hidden patch_tramp_enter\n"
	".type patch_tramp_enter, @function\n"
	".p2align 4\n"
	"patch_tramp_enter:\n"
	"	skep_save $-38, 0\n"		/* ax: -ENOSYS */
	"1:	cmpl	$0, 108(%rbp)\n"
	"	jnz	2f\n"
	"	call	agent_enter\n"
	"3:	addq	$8, %rsp\n"
	"	testb	%al, %al\n"
	"	jnz	4f\n"
	"	movq	120(%rsp), %rax\n"
	"5:	testb	$4, 145(%rsp)\n"
	"	jnz	6f\n"
	"7:	movq	112(%rsp), %rdi\n"
	"	movq	104(%rsp), %rsi\n"
	"	movq	96(%rsp), %rdx\n"
	"	movq	72(%rsp), %r8\n"
	"	movq	64(%rsp), %r9\n"
	"	movq	56(%rsp), %r10\n"
	"	movq	%rbx, %r11\n"
	"	movq	%rbp, 144(%rsp)\n"
	"	movq	40(%rsp), %rbx\n"
	"	movq	32(%rsp), %rbp\n"
	"	leaq	144(%rsp), %rsp\n"
	"	ret\n"
	"2:	leaq	96(%rbp), %rdx\n"
	"	call	odd_enter\n"
	"	jmp	3b\n"
	"4:	movq	80(%rsp), %rax\n"	/* the call is not made: its result */
	"	addq	$48, %rbp\n"
	"	jmp	5b\n"
	"6:	std\n"
	"	jmp	7b\n"
	".size patch_tramp_enter, . - patch_tramp_enter\n"

	".globl patch_tramp_exit_flags\n"
	".hidden patch_tramp_exit_flags\n"
	".type patch_tramp_exit_flags, @function\n"
	".p2align 4\n"
	"patch_tramp_exit_flags:\n"
	"	skep_save %rax, 1\n"
	"	jmp	1f\n"
	".size patch_tramp_exit_flags, . - patch_tramp_exit_flags\n"

	".globl patch_tramp_exit\n"
	".hidden patch_tramp_exit\n"
	".type patch_tramp_exit, @function\n"
	".p2align 4\n"
	"patch_tramp_exit:\n"
	"	skep_save %rax, 0\n"
	"1:	movslq	104(%rbp), %rax\n"
	"	movq	%rax, 128(%rsp)\n"	/* orig_ax */
	"	cmpl	$0, 108(%rbp)\n"
	"	jnz	2f\n"
	"	call	agent_exit\n"
	"3:	addq	$8, %rsp\n"
	"	movq	80(%rsp), %rax\n"
	"	jmp	5b\n"
	"2:	leaq	96(%rbp), %rdx\n"
	"	call	odd_exit\n"
	"	jmp	3b\n"
	".size patch_tramp_exit, . - patch_tramp_exit\n");

/* ---- stubs that need more ---- */

HOOKED static void live_begin(struct hook_regs *regs, const struct stub_desc *d)
{
	if (!(d->flags & STUB_LIVE))
		return;
	regs->flags = *(u64 *)regs->sp;
	regs->r11 = regs->flags;
	regs->sp += STUB_LIVE_BYTES;
}

HOOKED static void live_end(struct hook_regs *regs, const struct stub_desc *d)
{
	if (d->flags & STUB_LIVE)
		regs->sp -= STUB_LIVE_BYTES;
}

HOOKED static bool makes_process(s64 nr)
{
	return nr == SYS_vfork || nr == SYS_clone || nr == SYS_clone3;
}

/* Records are a stack: calls under way below a signal handler's, and so on. One at this sp or a little below it was left
 * by siglongjmp(). Those of another stack (sigaltstack), and of a suspended vfork parent, are kept. */
HOOKED static void rec_push(struct agent_thread *t, u64 sp, s64 nr)
{
	u32 was = t->nr_recs, n = was;

	while (n && t->rec[n - 1].sp <= sp && sp - t->rec[n - 1].sp < REC_REACH &&
	       !(t->nr_vforks && makes_process(t->rec[n - 1].nr)))
		n--;
	if (n == AGENT_RECS) {
		for (u32 i = 1; i < AGENT_RECS; i++) {
			t->rec[i - 1].sp = t->rec[i].sp;
			t->rec[i - 1].nr = t->rec[i].nr;
		}
		n--;
	}
	t->rec[n].sp = sp;
	t->rec[n].nr = nr;
	__atomic_fetch_add(&patch_recs, (u64)n + 1 - was, __ATOMIC_RELAXED);
	__atomic_store_n(&t->nr_recs, n + 1, __ATOMIC_RELEASE);
}

HOOKED static bool rec_pop(struct agent_thread *t, u64 sp, s64 *nr)
{
	u32 was = t->nr_recs;

	for (u32 n = was; n-- > 0;) {
		if (t->rec[n].sp != sp)
			continue;
		*nr = t->rec[n].nr;
		__atomic_fetch_sub(&patch_recs, was - n, __ATOMIC_RELAXED);
		__atomic_store_n(&t->nr_recs, n, __ATOMIC_RELEASE);
		return true;
	}
	return false;
}

HOOKED static bool bit_of(const u64 *set, bool all, s64 nr)
{
	if (nr < 0 || nr >= HOOK_NR_SYSCALLS)
		return all;
	return set[nr / 64] >> (nr % 64) & 1;
}

HOOKED static bool odd_enter(struct agent_thread *t, struct hook_regs *regs, const struct stub_desc *d)
{
	bool skip = false;
	s64 nr = (s64)regs->orig_ax;

	live_begin(regs, d);
	if (bit_of(patch_now.enter, patch_now.all_enter, nr))
		skip = agent_enter(t, regs);
	if (d->flags & STUB_REC && bit_of(patch_now.exit, patch_now.all_exit, nr))
		rec_push(t, regs->sp, nr);
	live_end(regs, d);
	return skip;
}

HOOKED static void odd_exit(struct agent_thread *t, struct hook_regs *regs, const struct stub_desc *d)
{
	u32 vforks = t->nr_vforks;
	s64 nr = d->nr;

	live_begin(regs, d);
	if (!(d->flags & STUB_REC) || rec_pop(t, regs->sp, &nr)) {
		regs->orig_ax = (u64)nr;
		agent_exit(t, regs);
	}
	/* a vfork child comes first: its parent, on the same state, needs the record too */
	if (d->flags & STUB_REC && t->nr_vforks > vforks)
		rec_push(t, regs->sp, nr);
	live_end(regs, d);
}
