/* SPDX-License-Identifier: Apache-2.0 */
/* fault.c - see fault.h. SIGSEGV and SIGBUS handlers that know two things: the instruction range of our own
 * copy routine (-EFAULT), and the watched mappings (a zero page). All else goes to the handler before us.
 *
 * The handlers run on any thread at any time: no locks, no malloc; the watch table is chunks that are never
 * freed. An entry is live while base is not 0; base is written last and cleared first. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/rawsys.h"

/* ---- the copy routine: every instruction in it that touches memory may fault; no stack is used ---- */

long fault_copy_raw(void *dst, const void *src, size_t n) __attribute__((visibility("hidden")));
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
	return ours && mmap(page, SKEP_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			    0) != MAP_FAILED;
}

/* ---- handlers ---- */

static struct sigaction before[2];		/* SIGSEGV, SIGBUS: who was there before us */
static u32 init_lock;

static struct sigaction *before_of(int sig)
{
	return &before[sig == SIGBUS];
}

/* As if we were not there: the fault happens again, or the signal is sent again, under the default. */
static void die_by(int sig, siginfo_t *si)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };

	sigaction(sig, &dfl, NULL);
	if (si->si_code <= 0)
		raw_syscall3(SYS_tgkill, getpid(), gettid(), sig);
}

static void chain(int sig, siginfo_t *si, void *uc)
{
	struct sigaction *b = before_of(sig);
	sigset_t mask = b->sa_mask, old;

	if (tls()->chaining || (!(b->sa_flags & SA_SIGINFO) && b->sa_handler == SIG_DFL)) {
		die_by(sig, si);
		return;
	}
	if (!(b->sa_flags & SA_SIGINFO) && b->sa_handler == SIG_IGN) {
		if (si->si_code > 0)
			die_by(sig, si);	/* the kernel does not let a fault be ignored either */
		return;
	}
	if (!(b->sa_flags & SA_NODEFER))
		sigaddset(&mask, sig);
	pthread_sigmask(SIG_BLOCK, &mask, &old);
	tls()->chaining = 1;
	if (b->sa_flags & SA_SIGINFO)
		b->sa_sigaction(sig, si, uc);
	else
		b->sa_handler(sig);
	tls()->chaining = 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void on_fault(int sig, siginfo_t *si, void *ctx)
{
	ucontext_t *uc = ctx;
	uintptr_t pc = UC_PC(uc);
	int saved = errno;

	if (sig == SIGBUS && si->si_code > 0 && mend(si->si_addr)) {
		errno = saved;
		return;
	}
	if (si->si_code > 0 && pc >= (uintptr_t)fault_copy_raw && pc < (uintptr_t)fault_copy_raw_end) {
		UC_PC(uc) = (uintptr_t)fault_copy_fixup;
		errno = saved;
		return;
	}
	chain(sig, si, ctx);
	errno = saved;
}

static int install(int sig)
{
	struct sigaction now, ours = { .sa_sigaction = on_fault };

	if (sigaction(sig, NULL, &now))
		return -errno;
	if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fault)
		return 0;
	ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
	sigemptyset(&ours.sa_mask);
	*before_of(sig) = now;
	return sigaction(sig, &ours, NULL) ? -errno : 0;
}

int fault_init(void)
{
	int err;

	while (__atomic_exchange_n(&init_lock, 1, __ATOMIC_ACQUIRE))
		;
	err = install(SIGSEGV);
	if (!err)
		err = install(SIGBUS);
	STORE_RELEASE(init_lock, 0);
	return err;
}

/* ---- copies ---- */

static bool handled(int sig)
{
	struct sigaction now;

	return !sigaction(sig, NULL, &now) && now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fault;
}

/* Handlers are replaced once in a process's life, if at all: scopes look again once per clock tick (some ms). */
static bool handled_lately(void)
{
	static u64 seen;		/* tick of the last good look; atomic */
	struct timespec t;
	u64 tick;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	tick = t.tv_sec * 1000000000ull + t.tv_nsec;
	if (READ_ONCE(seen) == tick)
		return true;
	if (!handled(SIGSEGV) || !handled(SIGBUS))
		return false;
	WRITE_ONCE(seen, tick);
	return true;
}

static u8 ask(bool scoped)
{
	u64 blocked = 0;

	if (raw_syscall4(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&blocked, sizeof(blocked)) ||
	    blocked & (BIT64(SIGSEGV - 1) | BIT64(SIGBUS - 1)))
		return FAULT_KERNEL;
	if (scoped ? handled_lately() : handled(SIGSEGV) && handled(SIGBUS))
		return FAULT_DIRECT;
	return FAULT_KERNEL;
}

/* Would a fault of this thread reach our handler? */
static bool direct(void)
{
	u8 how = tls()->fault_scope;

	if (likely(how == FAULT_DIRECT))
		return true;
	if (how == FAULT_KERNEL)
		return false;
	how = ask(how == FAULT_UNKNOWN);
	if (tls()->fault_scope == FAULT_UNKNOWN)
		tls()->fault_scope = how;
	return how == FAULT_DIRECT;
}

/* The kernel copies; REMOTE is the address that may be bad. Bytes copied, or -errno. */
static ssize_t kernel_copy(void *local, void *remote, size_t n, bool in)
{
	struct iovec l = { local, n }, r = { remote, n };
	int saved = errno;
	ssize_t done;

	done = in ? process_vm_readv(getpid(), &l, 1, &r, 1, 0) : process_vm_writev(getpid(), &l, 1, &r, 1, 0);
	if (done < 0)
		done = -errno;
	errno = saved;
	return done;
}

/* process_vm_* is not there (seccomp): let faults through for a moment. */
static int copy_unblocked(void *dst, const void *src, size_t n)
{
	sigset_t faults, old;
	int err;

	sigemptyset(&faults);
	sigaddset(&faults, SIGSEGV);
	sigaddset(&faults, SIGBUS);
	pthread_sigmask(SIG_UNBLOCK, &faults, &old);
	err = fault_copy_raw(dst, src, n);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

static int copy(void *dst, const void *src, size_t n, bool in)
{
	ssize_t done;

	if (likely(direct()))
		return fault_copy_raw(dst, src, n);
	done = in ? kernel_copy(dst, (void *)src, n, true) : kernel_copy((void *)src, dst, n, false);
	if (done == (ssize_t)n)
		return 0;
	if (done == -EPERM || done == -ENOSYS || done == -ENOMEM) {
		fault_init();
		return copy_unblocked(dst, src, n);
	}
	return -EFAULT;
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

	while (done < size) {
		/* never across a page that the string may not need */
		size_t room = SKEP_PAGE - ((at + done) & (SKEP_PAGE - 1));
		size_t n = MIN(MIN(size - done, room), 256ul);
		char *nul;

		if (copy(dst + done, (const void *)(at + done), n, true))
			return -EFAULT;
		nul = memchr(dst + done, 0, n);
		if (nul)
			return nul - dst;
		done += n;
	}
	return -E2BIG;
}
