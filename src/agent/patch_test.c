/* SPDX-License-Identifier: Apache-2.0 */
/* patch_test.c - sites of every kind (test/agent/sites.S) under trampolines that come and go, in this process: the main thread
 * is the helper, others make system calls. The hooks are here; what agents do in them is tested elsewhere. */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <fcntl.h>

#include "agent/patch.h"
#include "agent/raw.h"
#include "t.h"

#define HOOK __attribute__((target("general-regs-only")))
#define NR_GETPPID 110

struct io {
	u64 rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15, flags, skew, pad, red[16];
};

static struct hook_regs seen[2];
static struct agent_thread *seen_by;
static u64 entered, left;
static u64 count[2][HOOK_NR_SYSCALLS];
static bool on_agent_stack, forbid, defer;

/* Spoils all that C may spoil, and more. */
#define SPOIL() __asm__ volatile("movq $-1, %%rax; movq $-2, %%rcx; movq $-3, %%rdx; movq $-4, %%rsi; movq $-5, %%rdi;"	\
	"movq $-6, %%r8; movq $-7, %%r9; movq $-8, %%r10; movq $-9, %%r11; cmpq %%rax, %%rcx"			\
	: : : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc", "memory")

HOOK static void note(int which, struct agent_thread *t, struct hook_regs *regs)
{
	u64 sp = (u64)__builtin_frame_address(0);

	if (regs->orig_ax < HOOK_NR_SYSCALLS)
		__atomic_fetch_add(&count[which][regs->orig_ax], 1, __ATOMIC_RELAXED);
	if (regs->orig_ax != NR_GETPPID)
		return;
	__atomic_fetch_add(which ? &left : &entered, 1, __ATOMIC_RELAXED);
	seen_by = t;
	on_agent_stack = sp < (u64)t->stack[0] && sp >= (u64)t->stack[0] - AGENT_STACK && (u64)regs == (u64)t->stack[0] - sizeof(*regs);
	for (u32 i = 0; i < sizeof(*regs) / 8; i++)
		((volatile u64 *)&seen[which])[i] = ((u64 *)regs)[i];
}

HOOK bool agent_enter(struct agent_thread *t, struct hook_regs *regs)
{
	note(0, t, regs);
	if (forbid && regs->orig_ax == NR_GETPPID)
		regs->ax = (u64)-1;
	t->deferred |= defer;
	SPOIL();
	return forbid && regs->orig_ax == NR_GETPPID;
}

HOOK void agent_exit(struct agent_thread *t, struct hook_regs *regs)
{
	note(1, t, regs);
	t->deferred |= defer;
	SPOIL();
}

/* Signals put off: only that the stub comes here, once, and that nothing is lost. As the real one: by jmp. */
__attribute__((used)) static u64 deferrals;
__asm__(".globl agent_deferred\n.hidden agent_deferred\n"
	"agent_deferred: movq $0, 48(%r11)\n"
	"	movq	%rcx, %r11\n"
	"	lea	-128(%rsp), %rsp\n	pushfq\n"
	"	lock incq deferrals(%rip)\n"
	"	popfq\n	lea	128(%rsp), %rsp\n"
	"	jmp	*%r11\n"
	".globl agent_careful\n.hidden agent_careful\n"
	"agent_careful: jmp *%rcx\n");

/* ---- the object with the sites ---- */

static void *lib;
static char lib_path[300];

static bool set_up(void)
{
	static char self[300], cmd[900];
	const char *build = getenv("SKEP_BUILD");

	if (lib)
		return true;
	snprintf(lib_path, sizeof(lib_path), "%s/sites.so", t_tmpdir());
	snprintf(cmd, sizeof(cmd), "cc -shared -nostdlib -o %s test/agent/sites.S", lib_path);
	if (system(cmd))
		return false;
	lib = dlopen(lib_path, RTLD_NOW);
	snprintf(self, sizeof(self), "%s/lib/libskep-agent.so", build ? build : "build");
	agent.self = self;
	agent.dir = t_tmpdir();
	return lib && !agent_thread_init();
}

static void want(struct hook_wants *w, int nr, bool enter, bool exit)
{
	if (enter)
		w->enter[nr / 64] |= BIT64(nr % 64);
	if (exit)
		w->exit[nr / 64] |= BIT64(nr % 64);
	w->any |= enter || exit;
}

static int patch(bool enter, bool exit, u32 *missing)
{
	struct hook_wants w = {};

	want(&w, NR_GETPPID, enter, exit);
	return agent_patch(&w, missing);
}

/* ---- is the text what the files say? ---- */

static u32 changed_bytes(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[600], path[400];
	u32 bad = 0;

	while (f && fgets(line, sizeof(line), f)) {
		unsigned long start, end, off;
		char prot[8];
		u8 *p;
		int fd;

		*path = 0;
		if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %399s", &start, &end, prot, &off, path) < 4)
			continue;
		if (strchr(prot, 'w') && strchr(prot, 'x'))
			bad += 1000000;
		if (strncmp(prot, "r-x", 3) || *path != '/')
			continue;
		fd = open(path, O_RDONLY);
		p = mmap(NULL, end - start, PROT_READ, MAP_PRIVATE, fd, (off_t)off);
		for (u64 i = 0; p != MAP_FAILED && i < end - start; i++)
			bad += p[i] != *(u8 *)(start + i);
		munmap(p, end - start);
		close(fd);
	}
	if (f)
		fclose(f);
	return bad;
}

static void random_io(struct io *io)
{
	for (u32 i = 0; i < sizeof(*io) / 8; i++)
		((u64 *)io)[i] = (u64)random() << 33 ^ (u64)random() << 11 ^ (u64)random();
	io->flags = (io->flags & 0x8d5) | 0x202;
	io->skew = random() % 24;
	io->r12 = io->r14 = NR_GETPPID;			/* sites with a number from a register */
	io->rsi = io->rsi % 5 + 1;
}

static const char *const kinds[] = { "plain", "across", "flags", "unknown", "several", "relative", "branch", "moved", "unsure",
				     "backwards" };

typedef void (*site_fn)(struct io *);

static site_fn site(const char *kind)
{
	char name[32];

	snprintf(name, sizeof(name), "t_%s", kind);
	return (site_fn)dlsym(lib, name);
}

static bool same_io(const struct io *a, const struct io *b)
{
	const u64 *x = (const u64 *)a, *y = (const u64 *)b;

	for (u32 i = 0; i < sizeof(*a) / 8; i++) {
		if (i != 2 && i != 10 && x[i] != y[i]) {	/* rcx and r11 are the instruction's */
			t_fail(__FILE__, __LINE__, "value %u is %#llx, without trampoline %#llx", i, (long long)x[i], (long long)y[i]);
			return false;
		}
	}
	return true;
}

static void check_kind(const char *kind, bool enter, bool exit)
{
	site_fn fn = site(kind);
	struct io in, plain, hooked;
	long parent = getppid();
	u32 missing;

	deferrals = 0;
	for (u32 i = 0; i < 40; i++) {
		defer = i % 4 == 3;
		random_io(&in);
		plain = hooked = in;
		EQ(patch(false, false, &missing), 0);
		fn(&plain);
		EQ(patch(enter, exit, &missing), 0);
		entered = left = 0;
		fn(&hooked);
		CHECK(same_io(&hooked, &plain));
		EQ(entered, enter);
		EQ(left, exit);
		CHECK(on_agent_stack);
		if (enter) {
			EQ(seen[0].orig_ax, NR_GETPPID);
			EQ((s64)seen[0].ax, -38);
			EQ(seen[0].r15, in.r15);
			EQ(seen[0].r10, in.r10);
			EQ(seen[0].cx, seen[0].ip);
			EQ(((u8 *)seen[0].ip)[-1], 0x05);
		}
		if (exit) {
			EQ(seen[1].orig_ax, NR_GETPPID);
			EQ(seen[1].ax, parent);
			EQ(seen[1].r9, in.r9);
		}
	}
	defer = false;
	EQ(patch(false, false, &missing), 0);
	EQ(deferrals, 10 * (enter + exit));
}

TEST(sites_of_every_kind)
{
	NEED(set_up());
	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++) {
		for (u32 how = 1; how < 4; how++) {
			t_row("%s: registers, flags, red zone kept; %s%s seen", kinds[i], how & 1 ? "entry" : "",
			      how == 3 ? " and exit" : how & 2 ? "exit" : "");
			check_kind(kinds[i], how & 1, how & 2);
		}
	}
	t_row("afterwards the text is the file's");
	EQ(changed_bytes(), 0);
}

TEST(unsure_without_the_call)
{
	struct io io = {};
	u32 missing;

	NEED(set_up());
	EQ(patch(true, true, &missing), 0);
	entered = left = 0;
	site("unsure")(&io);
	EQ(entered, 0);
	EQ(left, 0);
	EQ(patch(false, false, &missing), 0);
}

TEST(a_call_that_is_not_made)
{
	struct io io;
	u32 missing;

	NEED(set_up());
	EQ(patch(true, true, &missing), 0);
	forbid = true;
	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++) {
		t_row("%s: an overridden call returns what the hook says, and is seen to return", kinds[i]);
		random_io(&io);
		entered = left = 0;
		site(kinds[i])(&io);
		EQ(entered, 1);
		EQ(left, 1);
		EQ((s64)seen[1].ax, -1);
	}
	t_row("padding behind ret");
	EQ(((long (*)(void))dlsym(lib, "t_ret"))(), -1);
	forbid = false;
	EQ(((long (*)(void))dlsym(lib, "t_ret"))(), getppid());
	EQ(patch(false, false, &missing), 0);
	EQ(changed_bytes(), 0);
}

TEST(numbers_not_known)
{
	long (*fn)(int nr, long a, long b, long c) = dlsym(lib, "t_number");
	u32 missing;

	NEED(set_up());
	fn = (long (*)(int, long, long, long))dlsym(lib, "t_number");
	EQ(patch(true, true, &missing), 0);
	memset(count, 0, sizeof(count));
	for (int i = 0; i < 10; i++) {
		EQ(fn(SYS_getpid, 0, 0, 0), getpid());
		EQ(fn(NR_GETPPID, 0, 0, 0), getppid());
	}
	EQ(count[0][SYS_getpid], 0);
	EQ(count[0][NR_GETPPID], 20);
	EQ(count[1][NR_GETPPID], 20);
	EQ(patch(true, false, &missing), 0);
	fn(NR_GETPPID, 0, 0, 0);
	EQ(count[0][NR_GETPPID], 21);
	EQ(count[1][NR_GETPPID], 20);
	EQ(patch(false, false, &missing), 0);
}

TEST(all_of_libc)
{
	struct hook_wants w = { .any = true, .all_enter = true, .all_exit = true };
	u32 missing;
	char b[64];
	int p[2];

	NEED(set_up());
	EQ(agent_patch(&w, &missing), 0);
	memset(count, 0, sizeof(count));
	EQ(pipe2(p, 0), 0);
	EQ(write(p[1], "abc", 3), 3);
	EQ(read(p[0], b, 3), 3);
	close(p[0]);
	close(p[1]);
	CHECK(getppid() > 0);
	EQ(agent_patch(&(struct hook_wants){}, &missing), 0);
	for (int which = 0; which < 2; which++) {
		t_row("all system calls of libc: %s", which ? "exits" : "entries");
		EQ(count[which][SYS_pipe2], 1);
		EQ(count[which][SYS_write], 1);
		EQ(count[which][SYS_read], 1);
		EQ(count[which][SYS_close], 2);
		EQ(count[which][SYS_getppid], 1);
	}
	t_row("the text is the file's again");
	EQ(changed_bytes(), 0);
}

/* ---- threads ---- */

static bool stop;
static u64 calls, wrong;

static void *hammer(void *arg)
{
	site_fn fn[ARRAY_SIZE(kinds)];
	long parent = getppid();
	u64 n = 0, bad = 0;
	struct io io = {};

	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++)
		fn[i] = site(kinds[i]);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		u32 k = n % ARRAY_SIZE(kinds);

		memset(&io, 0, sizeof(io));
		io.r12 = io.r14 = NR_GETPPID;
		io.rdi = io.rsi = 1;
		io.r15 = n;
		fn[k](&io);
		bad += (long)io.rax != parent || io.r15 != n || io.red[2] != 0x5a5a0003;
		if (n % 16 == 0)
			bad += ((long (*)(int, long, long, long))arg)(SYS_gettid, 0, 0, 0) <= 0;
		n++;
	}
	__atomic_fetch_add(&calls, n, __ATOMIC_RELAXED);
	__atomic_fetch_add(&wrong, bad, __ATOMIC_RELAXED);
	return NULL;
}

static void on_signal(int sig)
{
	syscall(SYS_getppid);
}

static void *poke_signals(void *arg)
{
	pthread_t *t = arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		pthread_kill(t[0], SIGUSR1);
		pthread_kill(t[1], SIGUSR1);
		usleep(100);
	}
	return NULL;
}

TEST(attachments_come_and_go_under_threads)
{
	u32 rounds = t_fast() ? 300 : 3000, missing, left_out = 0;
	pthread_t t[4], s;

	NEED(set_up());
	signal(SIGUSR1, on_signal);
	stop = false;
	for (u32 i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, hammer, dlsym(lib, "t_number"));
	pthread_create(&s, NULL, poke_signals, t);
	for (u32 i = 0; i < rounds; i++) {
		int again = patch(i % 3 != 1, i % 3 != 2, &missing);

		CHECK(again >= 0);
		EQ(missing, 0);
		left_out += (u32)again;
		if (i % 7 == 0)
			usleep(200);
		EQ(patch(false, false, &missing), 0);
	}
	stop = true;
	for (u32 i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	pthread_join(s, NULL);
	signal(SIGUSR1, SIG_DFL);
	CHECK(calls > 1000);
	EQ(wrong, 0);
	EQ(patch(false, false, &missing), 0);
	EQ(changed_bytes(), 0);
	EQ(patch_missed, 0);
	if (getenv("PATCH_TEST_VERBOSE"))
		printf("# %llu calls, %u rounds put something off\n", (unsigned long long)calls, left_out);
}

static void *one_call(void *arg)
{
	struct io io = {};

	site("plain")(&io);
	return (void *)io.rax;
}

TEST(a_helper_killed_halfway)
{
	static const u8 mov[SITE_JMP] = { 0xb8, NR_GETPPID };
	struct poke p = { .first = SITE_JMP };
	const struct patch_vma *v;
	struct patch_maps m = {};
	pthread_t t;
	void *ret;
	u8 *at;

	NEED(set_up());
	at = memmem((void *)site("plain"), 600, mov, sizeof(mov));
	NEED(at);
	EQ(patch_maps_read(&m), 0);
	v = patch_maps_find(&m, (u64)at);
	NEED(v);
	EQ(mprotect((void *)v->start, v->end - v->start, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
	memcpy(at, "\xeb\xfe\1\2\3", SITE_JMP);
	p.at = (u64)at;
	memcpy(p.to, mov, sizeof(mov));
	pthread_create(&t, NULL, one_call, NULL);
	usleep(20000);				/* it waits at the closed head */
	EQ(patch_maps_read(&m), 0);
	poke_finish(&p, 1, &m);
	pthread_join(t, &ret);
	EQ((long)ret, getppid());
	CHECK(p.done);
	EQ(changed_bytes(), 0);
	patch_maps_free(&m);
}
