/* SPDX-License-Identifier: Apache-2.0 */
/* rt_stack.c - agent stacks outside of thread states, and getting onto one (rt.h). */
#include <sys/mman.h>

#include "agent/rt.h"

__asm__(".text\n"
	".globl rt_on_stack\n"
	".hidden rt_on_stack\n"
	".type rt_on_stack, @function\n"
	"rt_on_stack:\n"
	"	.cfi_startproc\n"
	"	pushq	%rbp\n"
	"	.cfi_def_cfa_offset 16\n"
	"	.cfi_offset %rbp, -16\n"
	"	movq	%rsp, %rbp\n"
	"	.cfi_def_cfa_register %rbp\n"
	"	movq	%rdi, %rsp\n"
	"	movq	%rdx, %rdi\n"
	"	call	*%rsi\n"
	"	movq	%rbp, %rsp\n"
	"	popq	%rbp\n"
	"	.cfi_def_cfa %rsp, 8\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size rt_on_stack, . - rt_on_stack\n");

/* Runs on the target's stack: no tls(), so no errno. */
void *rt_stack_new(struct tls *t)
{
	long p = raw_syscall6(SYS_mmap, 0, 2 * TLS_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			      0);
	u64 base = ALIGN_UP((u64)p, TLS_STACK);

	if (rt_failed(p))
		return NULL;
	*(struct tls **)base = t;
	return (void *)(base + TLS_STACK);
}
