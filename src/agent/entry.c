/* SPDX-License-Identifier: Apache-2.0 */
/* entry.c - the agent's start: the loader's thread runs agent_ctor() before main(), in any libc (glibc hands constructors argc,
 * argv and envp, musl nothing). From there on an agent stack: environment and auxv, clocks, rseq, then thread states and
 * the helper. Whatever fails, the target runs on as if we were not there.
 *
 * This file is linked last, so that the constructors of base..hook (they only store pointers) ran before. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "abi.h"
#include "agent/agent.h"
#include "agent/rt.h"
#include "base/agents.h"

/* What `skep run` looks for in this file (tool/agentlib.c). */
static const char version[] __attribute__((used, section(".note.skep"))) = AGENT_MARK SKEP_ABI;

#define SELF_NAME	"libskep-agent.so"
#define HWCAP2_FSGSBASE	BIT(1)
#define START_WAIT_MS	1000		/* for the helper's first round */

struct start {
	u64 sp;
	char **envp;			/* NULL: not known yet */
	const u64 *auxv;
};

static struct tls start_tls;
static char dir_path[256], self_path[4096];
static u64 auxv_copy[128];

/* ---- environment ---- */

static const char *env(const struct start *s, const char *name)
{
	size_t n = strlen(name);

	for (char **e = s->envp; e && *e; e++)
		if (!strncmp(*e, name, n) && (*e)[n] == '=')
			return *e + n + 1;
	return NULL;
}

static ssize_t read_file(const char *path, void *buf, size_t size)
{
	long fd = raw_syscall4(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0), n;
	size_t have = 0;

	if (rt_failed(fd))
		return fd;
	do {
		n = raw_syscall3(SYS_read, fd, (long)buf + (long)have, (long)(size - have));
		have += n > 0 ? (size_t)n : 0;
	} while (n > 0 && have < size);
	raw_syscall3(SYS_close, fd, 0, 0);
	return n < 0 ? n : (ssize_t)have;
}

/* Where libc handed us nothing. The block of /proc/self/environ becomes an array of pointers; one mapping, kept. */
static void env_from_proc(struct start *s)
{
	const size_t size = 4ul << 20, ptrs = 1ul << 20;	/* ARG_MAX is 2 MiB unless somebody raised the stack limit */
	long p = raw_syscall6(SYS_mmap, 0, (long)(size + ptrs), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *block = (char *)p, **list = (char **)(block + size);
	ssize_t n = rt_failed(p) ? -ENOMEM : read_file("/proc/self/environ", block, size - 1);
	u32 nr = 0;

	if (n < 0)
		return;
	for (char *at = block; at < block + n && nr + 1 < ptrs / sizeof(*list); at += strlen(at) + 1)
		list[nr++] = at;
	s->envp = list;
}

static void auxv_from_kernel(struct start *s)
{
	long n = raw_syscall6(SYS_prctl, 0x41555856 /* PR_GET_AUXV */, (long)auxv_copy, sizeof(auxv_copy) - 16, 0, 0, 0);

	if (rt_failed(n))
		n = read_file("/proc/self/auxv", auxv_copy, sizeof(auxv_copy) - 16);
	if (n > 0)
		s->auxv = auxv_copy;
}

/* Are these main()'s arguments, as the kernel laid them on the stack? Registers that nobody set must not make us read
 * anywhere: both arrays have to lie just above our own stack pointer, one behind the other. */
static void env_from_args(struct start *s, u64 argc, char **argv, char **envp)
{
	u64 at = (u64)argv;

	if (argc - 1 > 1u << 20 || at & 7 || at < s->sp || at - s->sp > 16u << 20 || envp != argv + argc + 1 || argv[argc])
		return;
	s->envp = envp;
	while (*envp)
		envp++;
	s->auxv = (const u64 *)(envp + 1);
}

/* Our own file, as LD_PRELOAD names it. */
static void find_self(const struct start *s)
{
	const char *p = env(s, "LD_PRELOAD");

	while (p && *p) {
		size_t n = strcspn(p, ": "), base = sizeof(SELF_NAME) - 1;

		if (n >= base && n < sizeof(self_path) && !memcmp(p + n - base, SELF_NAME, base)) {
			memcpy(self_path, p, n);
			agent.self = self_path;
			return;
		}
		p += n + (p[n] != 0);
	}
}

static void read_settings(const struct start *s)
{
	const char *dir = env(s, "SKEP_DIR"), *scope = env(s, "SKEP_SCOPE");

	if (dir && *dir && strlen(dir) < sizeof(dir_path))
		agent.dir = strcpy(dir_path, dir);
	agent.scope = scope ? strtoull(scope, NULL, 16) : 0;
	find_self(s);
}

/* ---- start ---- */

static long on_state(void *arg)
{
	agent_follow_start(arg);
	return 0;
}

/* Hooks run on their thread's own stack: identity and recursion live there. */
static long first_hooks(struct agent_thread *t)
{
	long err;

	t->level = 1;
	err = rt_on_stack(t->stack[0], on_state, t);
	t->level = 0;
	return err;
}

static long start(void *arg)
{
	struct agent_thread *t;
	struct start *s = arg;
	int err;

	rt_trust(true);
	if (!s->envp)
		env_from_proc(s);
	if (!s->auxv)
		auxv_from_kernel(s);
	if (!s->envp || !s->auxv || !(rt_auxv(s->auxv, AT_HWCAP2) & HWCAP2_FSGSBASE))
		return -EOPNOTSUPP;
	read_settings(s);
	rt_time_init(s->auxv);
	agent.rseq_offset = rt_rseq_offset(s->auxv);
	err = agent_thread_init();
	if (err)
		return err;
	agent.execfn = (const char *)rt_auxv(s->auxv, AT_EXECFN);
	err = agent_helper_first(START_WAIT_MS);
	if (err && err != -ETIMEDOUT)
		return err;
	t = agent_thread_get();
	return t ? first_hooks(t) : -ENOMEM;
}

__attribute__((constructor)) static void agent_ctor(u64 argc, char **argv, char **envp)
{
	struct start s = { .sp = (u64)__builtin_frame_address(0) };
	void *top = rt_stack_new(&start_tls);

	if (!top)
		return;
	env_from_args(&s, argc, argv, envp);
	rt_on_stack(top, start, &s);
	raw_syscall3(SYS_munmap, (long)((u64)top - TLS_STACK), TLS_STACK, 0);
}
