/* SPDX-License-Identifier: Apache-2.0 */
/* fault.c - see fault.h. What handlers of SIGSEGV and SIGBUS must know: the instruction range of our own copy routine
 * (-EFAULT), and the watched mappings (a zero page). The handlers themselves, and who asks whether they would run, are in
 * fault_sig.c for libraries and in agent/signal.c for the agent.
 *
 * Handlers run on any thread at any time: no locks, no malloc; the watch table is chunks that are never
 * freed. An entry is live while base is not 0; base is written last and cleared first. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/fault_int.h"
#include "base/rawsys.h"

/* ---- the copy routine: every instruction in it that touches memory may fault; no stack is used ---- */

extern char fault_copy_raw_end[] __attribute__((visibility("hidden")));
extern char fault_copy_fixup[] __attribute__((visibility("hidden")));

#ifdef __x86_64__
__asm__(".pushsection .text\n"
	".type	fault_copy_raw, @function\n"
	".hidden fault_copy_raw\n"
	".globl	fault_copy_raw\n"
	"fault_copy_raw:\n"
	"	movq	%rdx, %rcx\n"
	"	cmpq	$256, %rcx\n"
	"	jae	4f\n"
	"	subq	$8, %rcx\n"
	"	jb	2f\n"
	"1:	movq	(%rsi), %rax\n"
	"	movq	%rax, (%rdi)\n"
	"	addq	$8, %rsi\n"
	"	addq	$8, %rdi\n"
	"	subq	$8, %rcx\n"
	"	jae	1b\n"
	"2:	addq	$8, %rcx\n"
	"	jz	5f\n"
	"3:	movb	(%rsi), %al\n"
	"	movb	%al, (%rdi)\n"
	"	incq	%rsi\n"
	"	incq	%rdi\n"
	"	decq	%rcx\n"
	"	jnz	3b\n"
	"5:	xorl	%eax, %eax\n"
	"	ret\n"
	"4:	rep movsb\n"
	"	xorl	%eax, %eax\n"
	"	ret\n"
	".globl	fault_copy_raw_end\n"
	".hidden fault_copy_raw_end\n"
	"fault_copy_raw_end:\n"
	".globl	fault_copy_fixup\n"
	".hidden fault_copy_fixup\n"
	"fault_copy_fixup:\n"
	"	movq	$-14, %rax\n"
	"	ret\n"
	".size	fault_copy_raw, . - fault_copy_raw\n"
	".popsection\n");
#define UC_PC(uc)	((uc)->uc_mcontext.gregs[REG_RIP])
#elif defined(__aarch64__)
__asm__(".pushsection .text\n"
	".type	fault_copy_raw, %function\n"
	".hidden fault_copy_raw\n"
	".globl	fault_copy_raw\n"
	"fault_copy_raw:\n"
	"	subs	x2, x2, #8\n"
	"	b.lo	2f\n"
	"1:	ldr	x3, [x1], #8\n"
	"	str	x3, [x0], #8\n"
	"	subs	x2, x2, #8\n"
	"	b.hs	1b\n"
	"2:	adds	x2, x2, #8\n"
	"	b.eq	4f\n"
	"3:	ldrb	w3, [x1], #1\n"
	"	strb	w3, [x0], #1\n"
	"	subs	x2, x2, #1\n"
	"	b.ne	3b\n"
	"4:	mov	x0, #0\n"
	"	ret\n"
	".globl	fault_copy_raw_end\n"
	".hidden fault_copy_raw_end\n"
	"fault_copy_raw_end:\n"
	".globl	fault_copy_fixup\n"
	".hidden fault_copy_fixup\n"
	"fault_copy_fixup:\n"
	"	mov	x0, #-14\n"
	"	ret\n"
	".size	fault_copy_raw, . - fault_copy_raw\n"
	".popsection\n");
#define UC_PC(uc)	((uc)->uc_mcontext.pc)
#endif

/* ---- watched mappings ---- */

#define CHUNK	128

struct watch {
	u8 *base;		/* 0: free; 1: being written */
	size_t size;
	u32 *damaged;
};

struct chunk {
	struct watch w[CHUNK];
	struct chunk *next;
};

static struct chunk first_chunk;

static struct chunk *chunk_next(struct chunk *c)
{
	struct chunk *n = LOAD_ACQUIRE(c->next), *none = NULL;

	if (n)
		return n;
	n = mmap(NULL, sizeof(*n), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (n == MAP_FAILED)
		return NULL;
	if (__atomic_compare_exchange_n(&c->next, &none, n, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return n;
	munmap(n, sizeof(*n));
	return none;
}

int fault_watch(void *base, size_t size, u32 *damaged)
{
	int err = fault_init();

	if (err)
		return err;
	for (struct chunk *c = &first_chunk; c; c = chunk_next(c)) {
		for (struct watch *w = c->w; w < c->w + CHUNK; w++) {
			u8 *none = NULL;

			if (READ_ONCE(w->base) ||
			    !__atomic_compare_exchange_n(&w->base, &none, (u8 *)1, false, __ATOMIC_ACQUIRE,
							 __ATOMIC_RELAXED))
				continue;
			WRITE_ONCE(w->size, size);
			WRITE_ONCE(w->damaged, damaged);
			STORE_RELEASE(w->base, base);
			return 0;
		}
	}
	return -ENOMEM;
}

void fault_unwatch(void *base)
{
	for (struct chunk *c = &first_chunk; c; c = LOAD_ACQUIRE(c->next)) {
		for (struct watch *w = c->w; w < c->w + CHUNK; w++) {
			if (READ_ONCE(w->base) == base) {
				STORE_RELEASE(w->base, NULL);
				return;
			}
		}
	}
}

/* Put a zero page where the file has none any more. Two threads may do it at once: both pages are zero. */
static bool mend(u8 *addr)
{
	u8 *page = (u8 *)ALIGN_DOWN((uintptr_t)addr, SKEP_PAGE);
	bool ours = false;

	for (struct chunk *c = &first_chunk; c; c = LOAD_ACQUIRE(c->next)) {
		for (struct watch *w = c->w; w < c->w + CHUNK; w++) {
			u8 *base = LOAD_ACQUIRE(w->base);

			if (base <= (u8 *)1 || addr < base || addr >= base + READ_ONCE(w->size))
				continue;
			ours = true;
			if (w->damaged)
				WRITE_ONCE(*w->damaged, 1);
		}
	}
	return ours && raw_syscall6(SYS_mmap, (long)page, SKEP_PAGE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == (long)page;
}

bool fault_mine(int sig, const siginfo_t *si, void *ctx)
{
	ucontext_t *uc = ctx;
	uintptr_t pc = UC_PC(uc);

	if (si->si_code <= 0)
		return false;
	if (sig == SIGBUS && mend(si->si_addr))
		return true;
	if (pc < (uintptr_t)fault_copy_raw || pc >= (uintptr_t)fault_copy_raw_end)
		return false;
	UC_PC(uc) = (uintptr_t)fault_copy_fixup;
	return true;
}

/* ---- copies ---- */

/* Would a fault of this thread reach our handler? */
static bool direct(void)
{
	u8 how = tls()->fault_scope;

	if (likely(how == FAULT_DIRECT))
		return true;
	if (how == FAULT_KERNEL)
		return false;
	how = fault_ask(how == FAULT_UNKNOWN);
	if (tls()->fault_scope == FAULT_UNKNOWN)
		tls()->fault_scope = how;
	return how == FAULT_DIRECT;
}

static int copy(void *dst, const void *src, size_t n, bool in)
{
	if (likely(direct()))
		return fault_copy_raw(dst, src, n);
	return fault_copy_careful(dst, src, n, in);
}

int fault_copy_from(void *dst, const void *src, size_t n)
{
	return n ? copy(dst, src, n, true) : 0;
}

int fault_copy_to(void *dst, const void *src, size_t n)
{
	return n ? copy(dst, src, n, false) : 0;
}

long fault_copy_str(char *dst, const char *src, size_t size)
{
	uintptr_t at = (uintptr_t)src;		/* anything at all: no pointer arithmetic on it */
	size_t done = 0;
	char part[64];				/* what lies behind the string is not dst's */

	while (done < size) {
		/* never across a page that the string may not need */
		size_t room = SKEP_PAGE - ((at + done) & (SKEP_PAGE - 1));
		size_t n = MIN(MIN(size - done, room), sizeof(part)), len;

		if (copy(part, (const void *)(at + done), n, true))
			return -EFAULT;
		len = strnlen(part, n);
		memcpy(dst + done, part, len + (len < n));
		if (len < n)
			return (long)(done + len);
		done += n;
	}
	return -E2BIG;
}
