/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - syscalls.def and tracepoints.def as tables, and the texts that tracefs makes of them. */
#include <errno.h>
#include <string.h>

#include "base/sbuf.h"
#include "spec/events.h"

#define NARGS_(a, b, c, d, e, f, g, n, ...)	n
#define NARGS(...)	NARGS_(0, ##__VA_ARGS__, 6, 5, 4, 3, 2, 1, 0)

const struct spec_syscall spec_syscalls[] = {
#define SYSCALL(nr, name, uapi, ...) { nr, NARGS(__VA_ARGS__), #name, #uapi, { __VA_ARGS__ } },
#include "spec/syscalls.def"
};
const u32 spec_nr_syscalls = ARRAY_SIZE(spec_syscalls);

struct row {
	u32 id;
	const char *category, *name;
	enum hook_point point;
	u8 raw_args;
	const char *print;
	struct spec_event_field field[5];
};

static const struct row rows[] = {
#define FIELD(...)	{ __VA_ARGS__ }
#define TRACEPOINT(id, cat, name, point, raw, print, ...) { id, #cat, #name, HOOK_##point, raw, print, { __VA_ARGS__ } },
#include "spec/tracepoints.def"
#undef FIELD
};

/* In every record. A program sees its context from byte 8 on. */
static const struct spec_event_field common[] = {
	{ "unsigned short common_type", 0, 2, false },
	{ "unsigned char common_flags", 2, 1, false },
	{ "unsigned char common_preempt_count", 3, 1, false },
	{ "int common_pid", 4, 4, true },
};

const struct spec_syscall *spec_syscall(u32 nr)
{
	u32 lo = 0, hi = spec_nr_syscalls;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (spec_syscalls[mid].nr == nr)
			return &spec_syscalls[mid];
		if (spec_syscalls[mid].nr < nr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const struct spec_syscall *spec_syscall_find(const char *name)
{
	for (u32 i = 0; i < spec_nr_syscalls; i++)
		if (!strcmp(spec_syscalls[i].name, name))
			return &spec_syscalls[i];
	return NULL;
}

const struct spec_syscall *spec_syscall_symbol(const char *symbol)
{
	static const char prefix[] = "__x64_sys_";

	return strncmp(symbol, prefix, sizeof(prefix) - 1) ? NULL : spec_syscall_find(symbol + sizeof(prefix) - 1);
}

/* ---- tracepoints ---- */

static void add_field(struct spec_event *e, const char *decl, u32 off, u32 size, bool is_signed)
{
	e->field[e->nr_fields++] = (struct spec_event_field){ decl, (u16)off, (u16)size, is_signed };
}

static void of_syscall(const struct spec_syscall *s, bool exit, struct spec_event *e)
{
	const char *prefix = exit ? "sys_exit_" : "sys_enter_";

	*e = (struct spec_event){ .id = EVENT_SYSCALLS + 2u * s->nr + exit, .category = "syscalls",
				  .point = exit ? HOOK_SYS_EXIT : HOOK_SYS_ENTER, .nr = s->nr, .sys = s };
	strcpy(e->name, prefix);
	strncat(e->name, s->name, sizeof(e->name) - strlen(e->name) - 1);
	add_field(e, "int __syscall_nr", 8, 4, true);
	if (exit)
		add_field(e, "long ret", 16, 8, true);
	for (u32 i = 0; !exit && i < s->nr_args; i++)
		add_field(e, s->args[i], 16 + 8 * i, 8, false);
}

static void of_row(const struct row *r, struct spec_event *e)
{
	*e = (struct spec_event){ .id = r->id, .category = r->category, .point = r->point, .nr = -1,
				  .raw_args = r->raw_args, .print = r->print };
	strncpy(e->name, r->name, sizeof(e->name) - 1);
	for (u32 i = 0; i < ARRAY_SIZE(r->field) && r->field[i].decl; i++)
		e->field[e->nr_fields++] = r->field[i];
}

int spec_event_by_id(u32 id, struct spec_event *out)
{
	const struct spec_syscall *s = id < EVENT_SYSCALLS ? NULL : spec_syscall((id - EVENT_SYSCALLS) / 2);

	if (s) {
		of_syscall(s, (id - EVENT_SYSCALLS) & 1, out);
		return 0;
	}
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].id == id) {
			of_row(&rows[i], out);
			return 0;
		}
	return -ENOENT;
}

static const char *behind(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(s, prefix, n) ? NULL : s + n;
}

int spec_event_find(const char *category, const char *name, struct spec_event *out)
{
	const char *enter = behind(name, "sys_enter_"), *exit = behind(name, "sys_exit_");
	const struct spec_syscall *s;

	if (!strcmp(category, "syscalls")) {
		s = enter || exit ? spec_syscall_find(enter ? enter : exit) : NULL;
		if (s)
			of_syscall(s, exit, out);
		return s ? 0 : -ENOENT;
	}
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].category, category) && !strcmp(rows[i].name, name)) {
			of_row(&rows[i], out);
			return 0;
		}
	return -ENOENT;
}

int spec_event_raw(const char *name, struct spec_event *out)
{
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].raw_args && !strcmp(rows[i].name, name)) {
			of_row(&rows[i], out);
			return 0;
		}
	return -ENOENT;
}

int spec_event_each(int (*fn)(void *arg, const struct spec_event *e), void *arg)
{
	struct spec_event e;
	int ret = 0;

	for (u32 i = 0; !ret && i < ARRAY_SIZE(rows); i++) {
		of_row(&rows[i], &e);
		ret = fn(arg, &e);
	}
	for (u32 i = 0; !ret && i < 2 * spec_nr_syscalls; i++) {
		of_syscall(&spec_syscalls[i / 2], i & 1, &e);
		ret = fn(arg, &e);
	}
	return ret;
}

u32 spec_event_size(const struct spec_event *e)
{
	u32 end = 8;

	for (u32 i = 0; i < e->nr_fields; i++)
		end = MAX(end, (u32)e->field[i].off + e->field[i].size);
	return end;
}

/* ---- the format file ---- */

static void put_field(struct sbuf *out, const struct spec_event_field *f)
{
	sbuf_printf(out, "\tfield:%s;\toffset:%u;\tsize:%u;\tsigned:%u;\n", f->decl, f->off, f->size, f->is_signed);
}

static const char *arg_name(const char *decl)
{
	const char *blank = strrchr(decl, ' ');

	return blank ? blank + 1 : decl;
}

static void put_print(struct sbuf *out, const struct spec_event *e)
{
	const struct spec_syscall *s = e->sys;

	if (e->print) {
		sbuf_printf(out, "%s", e->print);
		return;
	}
	if (e->point == HOOK_SYS_EXIT) {
		sbuf_printf(out, "\"0x%%lx\", REC->ret");
		return;
	}
	sbuf_printf(out, "\"");
	for (u32 i = 0; i < s->nr_args; i++)
		sbuf_printf(out, "%s%s: 0x%%08lx", i ? ", " : "", arg_name(s->args[i]));
	sbuf_printf(out, "\"");
	for (u32 i = 0; i < s->nr_args; i++)
		sbuf_printf(out, ", ((unsigned long)(REC->%s))", arg_name(s->args[i]));
}

void spec_event_format(const struct spec_event *e, struct sbuf *out)
{
	sbuf_printf(out, "name: %s\nID: %u\nformat:\n", e->name, e->id);
	for (u32 i = 0; i < ARRAY_SIZE(common); i++)
		put_field(out, &common[i]);
	sbuf_printf(out, "\n");
	for (u32 i = 0; i < e->nr_fields; i++)
		put_field(out, &e->field[i]);
	sbuf_printf(out, "\nprint fmt: ");
	put_print(out, e);
	sbuf_printf(out, "\n");
}
