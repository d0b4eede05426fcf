/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.c - skep doctor: what this machine allows (base/host.h's facts), and what the tool itself calls for. Exit
 * status 3 when nothing would work. */
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/host.h"
#include "tool/attach.h"
#include "tool/compile.h"
#include "tool/table.h"
#include "tool/tool.h"

#define HWCAP2_FSGSBASE	BIT(1)

static const char *const levels[] = {
	[HOST_OK] = "ok", [HOST_NOTE] = "note", [HOST_LIMIT] = "limit", [HOST_BAD] = "bad",
};

static void agent_fact(struct host_fact *f)
{
	bool mute = opt.mute, have, fsgsbase = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
	char path[4096];

	opt.mute = true;		/* it would say why not */
	have = !agent_find(path, sizeof(path));
	opt.mute = mute;
	memset(f, 0, sizeof(*f));
	f->key = "agent";
	f->title = "agent";
	f->number = have && fsgsbase;
	f->level = f->number ? HOST_OK : HOST_LIMIT;
	snprintf(f->value, sizeof(f->value), "%s", !have ? "none" : fsgsbase ? "libskep-agent.so of this build" :
		 "no FSGSBASE instructions");
	f->advice = !have ? "programs run in processes by libskep-agent.so, which make and make install put beside the tool" :
		    fsgsbase ? NULL : "programs run in processes on Linux 5.9 and later, on processors with FSGSBASE";
}

/* Facts about the tool's helpers, in the same form. */
static u32 own_facts(struct host_fact *f)
{
	const char *clang = compile_find_clang();

	memset(f, 0, sizeof(*f));
	f->key = "compiler";
	f->title = "C compiler";
	f->number = clang != NULL;
	f->level = clang ? HOST_OK : HOST_LIMIT;
	snprintf(f->value, sizeof(f->value), "%s", clang ? clang : "none");
	f->advice = clang ? NULL : "skep run FILE.c needs clang: apt-get install clang";
	agent_fact(f + 1);
	return 2;
}

static void show_json(const struct host_fact *f, u32 n)
{
	struct json *j = out_json();

	json_obj(j, NULL);
	for (u32 i = 0; i < n; i++) {
		json_obj(j, f[i].key);
		json_str(j, "level", levels[f[i].level]);
		json_str(j, "value", f[i].value);
		if (f[i].number >= 0)
			json_s64(j, "number", f[i].number);
		if (f[i].advice)
			json_str(j, "advice", f[i].advice);
		json_end(j, '}');
	}
	json_end(j, '}');
}

static void show_text(const struct host_fact *f, u32 n)
{
	struct table *t = table_new();
	bool gap = false;

	table_col(t, "what", false);
	table_col(t, "state", false);
	table_col(t, "found", false);
	for (u32 i = 0; i < n; i++) {
		table_cell(t, "%s", f[i].title);
		table_cell(t, "%s", levels[f[i].level]);
		table_cell(t, "%s", f[i].value);
	}
	table_print(t, stdout, "");
	table_free(t);
	for (u32 i = 0; i < n; i++) {
		if (!f[i].advice || f[i].level == HOST_OK)
			continue;
		printf("%s%s: %s\n", gap ? "" : "\n", f[i].title, f[i].advice);
		gap = true;
	}
}

int cmd_doctor(int argc, char **argv)
{
	static struct host_fact f[HOST_FACTS_MAX + 2];
	int rc = EXIT_OK;
	u32 n;

	if (argc)
		return fail(EXIT_USAGE, "skep doctor takes no argument: what is '%s'?", argv[0]);
	n = host_facts(NULL, f);
	n += own_facts(f + n);
	for (u32 i = 0; i < n; i++)
		rc = f[i].level == HOST_BAD ? EXIT_ENV : rc;
	if (opt.json)
		show_json(f, n);
	else
		show_text(f, n);
	return rc;
}
