/* SPDX-License-Identifier: Apache-2.0 */
/* sites.S - system call sites of every kind, for patch_test.c. Built into a shared object of its own, because the agent
 * leaves its own file alone. Each t_NAME(struct io *) loads all registers and flags from *io, goes over the site, and
 * stores them and the red zone back. */
#define IO_RED	144		/* struct io: rax rbx rcx rdx rsi rdi rbp r8..r15 flags skew pad red[16] */

	.macro site_begin name
	.p2align 6
	.globl t_\name
	.type t_\name, @function
t_\name:
	.cfi_startproc
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, %rax
	sub	128(%rdi), %rsp		/* skew: misaligned stacks */
	push	%rax
	push	%rdi
	pushq	120(%rdi)
	popfq
	.irp i, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
	movq	$(0x5a5a0000 + \i), -8 * \i(%rsp)
	.endr
	mov	(%rdi), %rax
	mov	8(%rdi), %rbx
	mov	16(%rdi), %rcx
	mov	24(%rdi), %rdx
	mov	32(%rdi), %rsi
	mov	48(%rdi), %rbp
	mov	56(%rdi), %r8
	mov	64(%rdi), %r9
	mov	72(%rdi), %r10
	mov	80(%rdi), %r11
	mov	88(%rdi), %r12
	mov	96(%rdi), %r13
	mov	104(%rdi), %r14
	mov	112(%rdi), %r15
	mov	40(%rdi), %rdi
	.endm

/* rax is out of reach of pushes that would spoil the red zone: through rcx and r11, which the call clobbers */
	.macro site_end name
	mov	(%rsp), %rcx
	mov	%rax, (%rcx)
	mov	%rbx, 8(%rcx)
	mov	%rdx, 24(%rcx)
	mov	%rsi, 32(%rcx)
	mov	%rdi, 40(%rcx)
	mov	%rbp, 48(%rcx)
	mov	%r8, 56(%rcx)
	mov	%r9, 64(%rcx)
	mov	%r10, 72(%rcx)
	mov	%r12, 88(%rcx)
	mov	%r13, 96(%rcx)
	mov	%r14, 104(%rcx)
	mov	%r15, 112(%rcx)
	.irp i, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
	mov	-8 * \i(%rsp), %r11
	mov	%r11, (IO_RED - 8 + 8 * \i)(%rcx)
	.endr
	pushfq
	popq	120(%rcx)
	cld
	mov	8(%rsp), %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret
	.cfi_endproc
	.size t_\name, . - t_\name
	.endm

	.text
site_begin plain
	mov	$110, %eax
	syscall
	cmp	$-4095, %rax
site_end plain

/* the window begins 13 bytes into a block of 16: two bytes go first */
site_begin across
	.p2align 4
	nopl	128(%rax,%rax)
	nopl	(%rax,%rax)
	mov	$110, %eax
	syscall
	nopw	128(%rax,%rax)
	cmp	$-4095, %rax
site_end across

site_begin flags
	cmp	%rsi, %rdx
	mov	$110, %eax
	syscall
	adc	$0x12345, %rbx
	setc	%dl
site_end flags

site_begin unknown
	mov	%r12, %rax
	mov	%r13, %rdi
	mov	8(%rsp), %rsi
	syscall
	cmp	$-4095, %rax
	mov	%rdx, %rsi
site_end unknown

site_begin several
	mov	%r12d, %edx
	mov	%r13, %r8
	mov	%r14d, %eax
	syscall
	mov	%rax, %rdx
	call	1f
	jmp	2f
1:	lea	5(%rdx), %rbx
	ret
2:	cmp	%rdx, %rbx		/* functions leave no flags behind */
site_end several

site_begin relative
	lea	t_data(%rip), %rsi
	mov	t_data(%rip), %r8
	mov	$110, %eax
	syscall
	cmpq	$7, t_data(%rip)
	sete	%bl
site_end relative

site_begin branch
	mov	$110, %eax
	syscall
	test	%eax, %eax
	mov	%eax, %edx
	jns	1f
	inc	%edx
1:	lea	3(%rdx), %rbx
site_end branch

/* no room behind: the branch comes back to two bytes after the call */
site_begin moved
	mov	%esi, %ebx
	mov	$110, %eax
	syscall
	inc	%ebx
1:	dec	%ebx
	test	%ebx, %ebx
	jg	1b
site_end moved

/* what is behind the call is also reached without it */
site_begin unsure
	test	%edi, %edi
	jz	1f
	mov	$110, %eax
	syscall
1:	cmp	$-4095, %rax
	mov	%rax, %rdx
site_end unsure

site_begin backwards
	std
	mov	$110, %eax
	syscall
	cmp	$-4095, %rax
site_end backwards

	.p2align 6
	.globl t_ret
	.type t_ret, @function
t_ret:
	.cfi_startproc
	mov	$110, %eax
	syscall
	ret
	.cfi_endproc
	.size t_ret, . - t_ret
	.p2align 4

	.globl t_number
	.type t_number, @function
t_number:
	.cfi_startproc
	mov	%edi, %eax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%rcx, %rdx
	nopl	8(%rax,%rax)
	syscall
	nopl	8(%rax,%rax)
	ret
	.cfi_endproc
	.size t_number, . - t_number

	.data
	.p2align 3
	.globl t_data
	.hidden t_data
t_data:	.quad 7
	.section .note.GNU-stack, "", @progbits
