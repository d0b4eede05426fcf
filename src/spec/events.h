/* SPDX-License-Identifier: Apache-2.0 */
/* events.h - what programs of tracing types can be attached to: system calls (syscalls.def), tracepoints
 * (tracepoints.def). Names, ids and record layouts are interfaces: clients read them from tracefs. */
#ifndef SKEP_SPEC_EVENTS_H
#define SKEP_SPEC_EVENTS_H

#include "base/def.h"

struct sbuf;

/* Where the agent calls in. How a program is called there (tracepoint record, raw arguments, pt_regs) follows from
 * the point and the program's type. */
enum hook_point {
	HOOK_SYS_ENTER, HOOK_SYS_EXIT,		/* tracepoint/syscalls/sys_*_NAME (nr >= 0), raw_syscalls, raw_tp (nr -1) */
	HOOK_KSYSCALL, HOOK_KRETSYSCALL,	/* kprobe/kretprobe on __x64_sys_NAME */
	HOOK_SCHED_EXEC, HOOK_SCHED_FORK, HOOK_SCHED_EXIT,
	HOOK_POINTS,
};

struct spec_syscall {
	u16 nr;
	u8 nr_args;
	const char *name, *uapi;	/* "newfstat", "fstat" */
	const char *args[6];		/* "unsigned int fd" */
};
extern const struct spec_syscall spec_syscalls[];	/* by ascending nr, with gaps */
extern const u32 spec_nr_syscalls;
const struct spec_syscall *spec_syscall(u32 nr);		/* NULL: no such number */
/* NAME as the kernel has it, without "sys_". The uapi name is not looked at: the kernel does not either. */
const struct spec_syscall *spec_syscall_find(const char *name);
/* What a kprobe on SYMBOL would hit: "__x64_sys_NAME"; NULL: nothing of that name. */
const struct spec_syscall *spec_syscall_symbol(const char *symbol);

#define EVENT_SYSCALLS	1000u		/* first id of syscalls.def's tracepoints */

struct spec_event_field {
	const char *decl;		/* "pid_t pid" */
	u16 off, size;
	bool is_signed;
};

/* A tracepoint. */
struct spec_event {
	u32 id;
	const char *category;		/* "syscalls" */
	char name[48];			/* "sys_enter_execve" */
	enum hook_point point;
	s32 nr;				/* of the system call; -1: all, or none */
	u8 raw_args;			/* of the raw tracepoint of that name; 0: there is none */
	u8 nr_fields;
	struct spec_event_field field[7];	/* behind the common ones */
	const struct spec_syscall *sys;	/* nr >= 0 */
	const char *print;		/* NULL: follows from sys */
};

/* 0 or -ENOENT. */
int spec_event_by_id(u32 id, struct spec_event *out);
int spec_event_find(const char *category, const char *name, struct spec_event *out);
int spec_event_raw(const char *name, struct spec_event *out);	/* a raw tracepoint */
/* Calls FN for each, until it returns nonzero; returns that. */
int spec_event_each(int (*fn)(void *arg, const struct spec_event *e), void *arg);
/* How far into the record programs may read: the end of its last field. */
u32 spec_event_size(const struct spec_event *e);
/* The text of events/CATEGORY/NAME/format. */
void spec_event_format(const struct spec_event *e, struct sbuf *out);

#endif
