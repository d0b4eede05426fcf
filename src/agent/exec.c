/* SPDX-License-Identifier: Apache-2.0 */
/* exec.c - see exec.h. Everything that the target gave is copied before it is looked at, with care for faults. The
 * target's own memory is not changed: it is another environment that the kernel is given, and only where variables are missing
 * (`env -i`, a program that cleans up) or where the agent's file cannot be seen (chroot: ld.so would complain on stderr). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/exec.h"
#include "agent/raw.h"
#include "base/agents.h"
#include "base/fault.h"

#define ENV_MAX		(1u << 20)	/* variables */
#define PRELOAD_MAX	8192u
#define OURS		"libskep-agent.so"

/* ---- the environment ---- */

struct scan {
	u32 nr;				/* variables */
	s32 preload;			/* index of LD_PRELOAD, -1: none */
	bool dir, scope;
	char old[PRELOAD_MAX];		/* its value */
};

static bool begins(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

static int scan_one(struct scan *s, u32 i, u64 var)
{
	char name[16];
	long n = fault_copy_str(name, (const char *)var, sizeof(name));

	if (n == -EFAULT)
		return -EFAULT;
	name[sizeof(name) - 1] = 0;
	s->dir = s->dir || begins(name, "SKEP_DIR=");
	s->scope = s->scope || begins(name, "SKEP_SCOPE=");
	if (s->preload < 0 && begins(name, "LD_PRELOAD=")) {
		s->preload = (s32)i;
		n = fault_copy_str(s->old, (const char *)var + sizeof("LD_PRELOAD=") - 1, sizeof(s->old));
	}
	return n == -E2BIG || n >= 0 ? 0 : (int)n;
}

static int scan(struct scan *s, u64 envp)
{
	u64 var;
	int err = 0;

	s->nr = 0;
	s->preload = -1;
	s->dir = s->scope = false;
	s->old[0] = 0;
	for (; envp && s->nr < ENV_MAX && !err; s->nr++) {
		if (fault_copy_from(&var, (const void *)(envp + s->nr * 8ul), sizeof(var)))
			return -EFAULT;
		if (!var)
			return 0;
		err = scan_one(s, s->nr, var);
	}
	return err ? err : envp ? -E2BIG : 0;
}

/* The entry of LIST (separated by blanks or colons) that is our file; its length. */
static const char *find_ours(const char *list, size_t *len)
{
	size_t n, ours = sizeof(OURS) - 1;

	for (; *list; list += n + (list[n] != 0)) {
		n = strcspn(list, ": ");
		if (n >= ours && !memcmp(list + n - ours, OURS, ours)) {
			*len = n;
			return list;
		}
	}
	return NULL;
}

static bool block_fits(void **block, u64 *size, u64 need)
{
	long p;

	if (*block && *size >= need)
		return true;
	need = ALIGN_UP(need, SKEP_PAGE);
	p = raw_syscall6(SYS_mmap, 0, (long)need, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if ((u64)p >= -4095ull)
		return false;
	if (*block)
		raw_syscall3(SYS_munmap, (long)*block, (long)*size, 0);
	*block = (void *)p;
	*size = need;
	return true;
}

/* LD_PRELOAD as it shall be; "" when nothing is left of it. */
static void preload_text(char *out, size_t room, const struct scan *s, const struct exec_env *want)
{
	size_t len = 0, head;
	const char *ours = find_ours(s->old, &len);

	if (want->self && !ours) {
		snprintf(out, room, "LD_PRELOAD=%s%s%s", want->self, s->old[0] ? ":" : "", s->old);
		return;
	}
	if (want->self || !ours) {
		snprintf(out, room, "LD_PRELOAD=%s", s->old);
		return;
	}
	head = (size_t)(ours - s->old);
	len += ours[len] != 0;
	snprintf(out, room, "LD_PRELOAD=%.*s%s", (int)head, s->old, ours + len);
	if (!strcmp(out, "LD_PRELOAD="))
		out[0] = 0;
}

u64 agent_exec_env(u64 envp, const struct exec_env *want, void **block, u64 *size)
{
	static const size_t text_room = PRELOAD_MAX + 4096 + 512;
	struct scan s;
	size_t len;
	u64 *list;
	char *text;
	u32 n;

	if (scan(&s, envp) || (!want->self && !find_ours(s.old, &len)))
		return envp;
	if (want->self && find_ours(s.old, &len) && s.dir && s.scope)
		return envp;
	if (!block_fits(block, size, (s.nr + 4ul) * 8 + text_room))
		return envp;
	list = *block;
	if (fault_copy_from(list, (const void *)envp, s.nr * 8ul))
		return envp;
	n = s.nr;
	text = (char *)(list + n + 4);
	preload_text(text, PRELOAD_MAX + 4096, &s, want);
	if (!text[0] && s.preload >= 0)
		list[s.preload] = list[--n];
	else if (text[0])
		list[s.preload >= 0 ? (u32)s.preload : n++] = (u64)text;
	text += strlen(text) + 1;
	if (want->self && !s.dir && want->dir) {
		list[n++] = (u64)text;
		text += snprintf(text, 300, "SKEP_DIR=%s", want->dir) + 1;
	}
	if (want->self && !s.scope) {
		list[n++] = (u64)text;
		snprintf(text, 64, "SKEP_SCOPE=%llx", (unsigned long long)want->scope);
	}
	list[n] = 0;
	return (u64)list;
}

/* ---- both ---- */

void agent_exec_prepare(struct agent_thread *t, struct exec_call *c)
{
	struct exec_env want = { .self = agent.self, .dir = agent.dir, .scope = agent.scope };
	char path[4096] = "";
	u32 kind;

	if (agent.filtered || fault_copy_str(path, (const char *)c->path, sizeof(path)) < 0)
		return;
	kind = agent_exec_kind(c->dirfd, path, c->flags);
	if (want.self && access(want.self, R_OK))
		want.self = NULL;
	if (!kind && (!want.self || access(want.dir ? want.dir : "/", X_OK)))
		kind = NOTICE_NO_AGENT;
	if (kind && kind != EXEC_NO_FILE)
		agent_notice(kind, 1, path);
	if (agent.self)
		c->envp = agent_exec_env(c->envp, &want, &t->env, &t->env_size);
}
