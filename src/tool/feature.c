/* SPDX-License-Identifier: Apache-2.0 */
/* feature.c - skep feature: every row of the spec tables with its status. Driven by `sections`: one row per table. */
#include <stdlib.h>
#include <string.h>

#include "spec/spec.h"
#include "tool/table.h"
#include "tool/tool.h"

struct row {
	const char *name;		/* NULL: a hole in the table's numbering */
	u32 id;
	struct spec_status st;
};

#define ROW(array, nr, idfield)										\
	static bool row_##array(u32 i, struct row *r)							\
	{												\
		if (i >= (nr))										\
			return false;									\
		*r = (struct row){ .name = array[i].name, .id = (u32)array[i].idfield, .st = array[i].st };	\
		return true;										\
	}

ROW(spec_insns, spec_nr_insns, code)
ROW(spec_helpers, spec_nr_helpers, id)
ROW(spec_maps, spec_nr_maps, type)
ROW(spec_progs, spec_nr_progs, type)
ROW(spec_attaches, spec_nr_attaches, type)
ROW(spec_cmds, spec_nr_cmds, cmd)

static bool row_kfuncs(u32 i, struct row *r)
{
	if (i >= spec_nr_kfuncs)
		return false;
	*r = (struct row){ .name = spec_kfuncs[i].name, .id = i, .st = spec_kfuncs[i].st };
	return true;
}

static bool row_fields(u32 i, struct row *r)
{
	static char name[96];

	if (i >= spec_nr_ctx_fields)
		return false;
	snprintf(name, sizeof(name), "%s.%s", spec_ctx_fields[i].ctx, spec_ctx_fields[i].name);
	*r = (struct row){ .name = name, .id = spec_ctx_fields[i].off, .st = spec_ctx_fields[i].st };
	return true;
}

static const struct section {
	const char *name, *json, *id;	/* id: what the number is */
	bool (*row)(u32 i, struct row *r);
} sections[] = {
	{ "instructions",   "instructions",   "opcode", row_spec_insns },
	{ "commands",       "commands",       "number", row_spec_cmds },
	{ "maps",           "map_types",      "type",   row_spec_maps },
	{ "programs",       "program_types",  "type",   row_spec_progs },
	{ "attach",         "attach_types",   "type",   row_spec_attaches },
	{ "contexts",       "context_fields", "offset", row_fields },
	{ "helpers",        "helpers",        "id",     row_spec_helpers },
	{ "kfuncs",         "kfuncs",         "row",    row_kfuncs },
};

/* Row 0 of tables indexed by id is "unspec": no feature. */
static bool is_feature(const struct row *r)
{
	return r->name && *r->name && strcmp(r->name, "unspec");
}

static void count(const struct section *s, u32 n[3])
{
	struct row r;

	memset(n, 0, 3 * sizeof(*n));
	for (u32 i = 0; s->row(i, &r); i++)
		if (is_feature(&r))
			n[r.st.state]++;
}

static int summary(void)
{
	struct table *t = table_new();
	u32 n[3];

	table_col(t, "what", false);
	table_col(t, "rows", true);
	table_col(t, "full", true);
	table_col(t, "partial", true);
	table_col(t, "stub", true);
	for (u32 i = 0; i < ARRAY_SIZE(sections); i++) {
		count(&sections[i], n);
		table_cell(t, "%s", sections[i].name);
		table_cell(t, "%u", n[0] + n[1] + n[2]);
		table_cell(t, "%u", n[SPEC_FULL]);
		table_cell(t, "%u", n[SPEC_PARTIAL]);
		table_cell(t, "%u", n[SPEC_STUB]);
	}
	table_print(t, stdout, "");
	table_free(t);
	note("rows of one: skep feature WHAT");
	return EXIT_OK;
}

static void list(const struct section *s)
{
	struct table *t = table_new();
	struct row r;

	table_col(t, s->id, true);
	table_col(t, "name", false);
	table_col(t, "status", false);
	table_col(t, "missing", false);
	for (u32 i = 0; s->row(i, &r); i++) {
		if (!is_feature(&r))
			continue;
		table_cell(t, s->row == row_spec_insns ? "0x%02x" : "%u", r.id);
		table_cell(t, "%s", r.name);
		table_cell(t, "%s", spec_state_name(r.st.state));
		table_cell(t, "%s", r.st.missing ? r.st.missing : "");
	}
	table_print(t, stdout, "");
	table_free(t);
}

static void list_json(const struct section *s)
{
	struct json *j = out_json();
	struct row r;

	json_arr(j, s->json);
	for (u32 i = 0; s->row(i, &r); i++) {
		if (!is_feature(&r))
			continue;
		json_obj(j, NULL);
		json_u64(j, s->id, r.id);
		json_str(j, "name", r.name);
		json_str(j, "status", spec_state_name(r.st.state));
		if (r.st.missing)
			json_str(j, "missing", r.st.missing);
		json_end(j, '}');
	}
	json_end(j, ']');
}

int cmd_feature(int argc, char **argv)
{
	const struct section *only = NULL;

	if (argc > 1)
		return fail(EXIT_USAGE, "skep feature takes one word: what is '%s'?", argv[1]);
	for (u32 i = 0; argc && i < ARRAY_SIZE(sections) && !only; i++)
		if (is_prefix(argv[0], sections[i].name))
			only = &sections[i];
	if (argc && !only)
		return fail(EXIT_USAGE, "no table '%s': instructions, commands, maps, programs, attach, contexts, helpers, kfuncs",
			    argv[0]);
	if (opt.json) {
		json_obj(out_json(), NULL);
		for (u32 i = 0; i < ARRAY_SIZE(sections); i++)
			if (!only || only == &sections[i])
				list_json(&sections[i]);
		json_end(out_json(), '}');
		return EXIT_OK;
	}
	if (!only)
		return summary();
	list(only);
	return EXIT_OK;
}
