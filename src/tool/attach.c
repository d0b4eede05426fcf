/* SPDX-License-Identifier: Apache-2.0 */
/* attach.c - see attach.h. */
#include "tool/attach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sbuf.h"
#include "spec/events.h"
#include "tool/door.h"

#define MAX_NEAR	3

/* ---- names ---- */
/* The names nearest to a word, nearest first. */
struct near {
	const char *word;
	struct { char name[96]; u32 d; } best[MAX_NEAR];
	u32 n;
};

static void near_add(struct near *n, const char *name, u32 d)
{
	u32 i = n->n < MAX_NEAR ? n->n++ : MAX_NEAR;

	for (; i && n->best[i - 1].d > d; i--)
		if (i < MAX_NEAR)
			n->best[i] = n->best[i - 1];
	if (i == MAX_NEAR)
		return;
	snprintf(n->best[i].name, sizeof(n->best[i].name), "%s", name);
	n->best[i].d = d;
}

/* One edit in six letters is a slip of the fingers. */
static void near_try(struct near *n, const char *name)
{
	u32 d = word_distance(n->word, name);

	if (d <= MAX(2, (u32)strlen(name) / 6))
		near_add(n, name, d);
}

/* "stat" is newstat inside of the kernel. */
static void near_uapi(struct near *n, const char *lead)
{
	size_t len = strlen(lead);
	char name[96];

	for (u32 i = 0; i < spec_nr_syscalls && !strncmp(n->word, lead, len); i++) {
		const struct spec_syscall *s = &spec_syscalls[i];

		snprintf(name, sizeof(name), "%s%s", lead, s->name);
		if (!strcmp(s->uapi, n->word + len) && strcmp(s->uapi, s->name))
			near_add(n, name, 0);
	}
}

static int no_such(const char *file, const struct bpf_program *p, const char *what, const struct near *n,
		   const char *all)
{
	const char *name = bpf_program__name(p);
	struct sbuf b = {};
	int rc;

	for (u32 i = 0; i < n->n && n->best[i].d <= n->best[0].d + 1; i++)
		sbuf_printf(&b, "%s%s", i ? " or " : "", n->best[i].name);
	rc = b.len ? fail(EXIT_FAILED, "%s: %s: no %s '%s': did you mean %s?", file, name, what, n->word, b.s) :
		     fail(EXIT_FAILED, "%s: %s: no %s '%s': %s", file, name, what, n->word, all);
	sbuf_free(&b);
	return rc;
}

/* ---- places ---- */
static int near_event(void *arg, const struct spec_event *e)
{
	char name[96];

	snprintf(name, sizeof(name), "%s/%s", e->category, e->name);
	near_try(arg, name);
	return 0;
}

static int near_raw(void *arg, const struct spec_event *e)
{
	if (e->raw_args)
		near_try(arg, e->name);
	return 0;
}

static int check_tracepoint(const char *file, const struct bpf_program *p, const char *where)
{
	const char *name = strchr(where, '/');
	struct near n = { .word = where };
	struct spec_event e;
	char category[64];

	snprintf(category, sizeof(category), "%.*s", (int)(name ? name - where : 0), where);
	if (name && !spec_event_find(category, name + 1, &e))
		return 0;
	near_uapi(&n, "syscalls/sys_enter_");
	near_uapi(&n, "syscalls/sys_exit_");
	spec_event_each(near_event, &n);
	return no_such(file, p, "tracepoint", &n, "skep has syscalls/*, raw_syscalls/* and "
		       "sched/sched_process_{exec,fork,exit}");
}

static int check_raw(const char *file, const struct bpf_program *p, const char *where)
{
	struct near n = { .word = where };
	struct spec_event e;

	if (!spec_event_raw(where, &e))
		return 0;
	spec_event_each(near_raw, &n);
	return no_such(file, p, "raw tracepoint", &n, "skep has sys_enter, sys_exit and sched_process_{exec,fork,exit}");
}

static int check_syscall(const char *file, const struct bpf_program *p, const char *where)
{
	struct near n = { .word = where };

	if (spec_syscall_find(where))
		return 0;
	near_uapi(&n, "");
	for (u32 i = 0; i < spec_nr_syscalls; i++)
		near_try(&n, spec_syscalls[i].name);
	return no_such(file, p, "system call", &n, "see syscalls(2)");
}

static int check_symbol(const char *file, const struct bpf_program *p, const char *where)
{
	struct near n = { .word = where };
	char name[96];

	if (spec_syscall_symbol(where))
		return 0;
	for (u32 i = 0; i < spec_nr_syscalls; i++) {
		snprintf(name, sizeof(name), "__x64_sys_%s", spec_syscalls[i].name);
		near_try(&n, name);
	}
	return no_such(file, p, "kernel function", &n, "skep has the entries of system calls, __x64_sys_*, "
		       "for which SEC(\"ksyscall/...\") is short");
}

static const struct {
	const char *section;
	int (*check)(const char *file, const struct bpf_program *p, const char *where);
} places[] = {
	{ "tracepoint/",       check_tracepoint },	{ "tp/",          check_tracepoint },
	{ "raw_tracepoint/",   check_raw },		{ "raw_tp/",      check_raw },
	{ "raw_tracepoint.w/", check_raw },		{ "raw_tp.w/",    check_raw },
	{ "ksyscall/",         check_syscall },		{ "kretsyscall/", check_syscall },
	{ "kprobe/",           check_symbol },		{ "kretprobe/",   check_symbol },
};

int attach_check(const char *file, const struct bpf_program *p)
{
	const char *section = bpf_program__section_name(p);

	for (u32 i = 0; i < ARRAY_SIZE(places); i++)
		if (!strncmp(section, places[i].section, strlen(places[i].section)))
			return places[i].check(file, p, section + strlen(places[i].section));
	return fail(EXIT_FAILED, "%s: %s: skep has nothing to attach SEC(\"%s\") to", file, bpf_program__name(p), section);
}

int attach_failed(const char *file, const struct bpf_program *p, int err)
{
	const char *why = libbpf_cause();

	if (*why)
		return fail(EXIT_FAILED, "%s: %s", file, why);
	return fail_errno(err, "%s: %s cannot be attached (%s)", file, bpf_program__name(p), bpf_program__section_name(p));
}

u64 attach_missed(int prog_fd)
{
	struct bpf_prog_info i = {};
	u32 len = sizeof(i);

	if (bpf_obj_get_info_by_fd(prog_fd, &i, &len))
		return 0;
	return i.recursion_misses + fdinfo_u64(prog_fd, "misses");
}
