/* SPDX-License-Identifier: Apache-2.0 */
/* notices.c - see notices.h. The same file for the same reason is one row with a count. */
#include "tool/notices.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "agent/exec.h"
#include "base/agents.h"
#include "tool/door.h"
#include "tool/launch.h"
#include "tool/tool.h"

#define MAX_ROWS	64
#define NOT_STARTED	UINT32_MAX	/* of the tool itself */

/* What a notice means, around the file's name. */
static const struct {
	u32 kind;
	const char *before, *after;
	bool sites;			/* the most of any process; no file */
} kinds[] = {
	{ NOTICE_STATIC,   "not traced: ", ", statically linked" },
	{ NOTICE_SETUID,   "not traced: ", ", set-user-ID or with file capabilities" },
	{ NOTICE_FOREIGN,  "not traced: ", ", of another architecture" },
	{ NOTICE_NO_AGENT, "not traced: ", ", from where the agent or $SKEP_DIR cannot be reached" },
	{ NOT_STARTED,     "not traced: ", ": the agent did not start in it" },
	{ NOTICE_SITES,    "not seen: calls from up to ", " syscall instructions of a process, which have no room for a probe", true },
	{ NOTICE_SECCOMP,  "not seen in ", ": what attaches after its own seccomp filter" },
};

struct row {
	u32 kind;
	u64 count;
	char path[sizeof_field(struct agents_msg, path)];
};

static struct {
	struct obj_dir *dir;
	u64 scope, pos, lost, others;
	bool untraced;			/* the command itself, or what it became */
	const char *path;		/* its file */
	u32 pid;
	struct row row[MAX_ROWS];
	u32 rows;
} n;

void notices_start(u64 scope)
{
	if (tool_dir(&n.dir) || agents_open(n.dir)) {
		n.dir = NULL;
		return;
	}
	n.scope = scope;
	n.pos = agents_notice_pos(n.dir);
}

static void add(const struct agents_msg *m)
{
	bool sites = m->kind == NOTICE_SITES;
	u32 i = 0;

	while (i < n.rows && (n.row[i].kind != m->kind || strcmp(n.row[i].path, m->path)))
		i++;
	if (i == MAX_ROWS) {
		n.others++;
		return;
	}
	if (i == n.rows) {
		n.row[i].kind = m->kind;
		snprintf(n.row[i].path, sizeof(n.row[i].path), "%s", m->path);
		n.rows++;
	}
	n.row[i].count = sites ? MAX(n.row[i].count, m->count) : n.row[i].count + 1;
}

void notices_command(const char *path)
{
	struct agents_msg m = { .kind = agent_exec_kind(AT_FDCWD, path, 0) };

	n.path = path;
	snprintf(m.path, sizeof(m.path), "%s", path);
	n.untraced = m.kind && m.kind != EXEC_NO_FILE;
	if (n.untraced)
		add(&m);
}

void notices_take(void)
{
	struct agents_msg m;

	while (n.dir && !agents_next_notice(n.dir, n.scope, &n.pos, &m, &n.lost)) {
		n.untraced |= m.pid == n.pid && m.kind != NOTICE_SITES && m.kind != NOTICE_SECCOMP;
		add(&m);
	}
}

void notices_started(s32 pid)
{
	n.pid = (u32)pid;
}

void notices_check_start(void)
{
	struct agents_msg m = { .kind = NOT_STARTED };

	notices_take();
	snprintf(m.path, sizeof(m.path), "%s", n.path);
	if (n.dir && !n.untraced && launch_unanswered((s32)n.pid))
		add(&m);
}

static void report(const struct row *r)
{
	const char *path = *r->path ? r->path : "a program";

	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i].kind != r->kind)
			continue;
		if (kinds[i].sites)
			warn("%s%s%s", kinds[i].before, commas(r->count), kinds[i].after);
		else
			warn("%s%s%s%s%s%s", kinds[i].before, path, kinds[i].after, r->count > 1 ? " (" : "",
			     r->count > 1 ? commas(r->count) : "", r->count > 1 ? " times)" : "");
	}
}

void notices_report(void)
{
	for (u32 i = 0; i < n.rows; i++)
		report(&n.row[i]);
	if (n.others)
		warn("not traced: %s other processes", commas(n.others));
	if (n.lost)
		warn("%s messages about processes that are not traced were lost", commas(n.lost));
}
