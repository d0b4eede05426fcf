/* SPDX-License-Identifier: Apache-2.0 */
/* feature.c - `skep feature`: the tables of spec/ row by row, each with its honest status. Sections have bpftool's names
 * where bpftool has them; under -j its keys (have_xdp_prog_type ...) stand beside the rows. Driven by sections[]. */
#include <stdio.h>
#include <string.h>

#include "spec/spec.h"
#include "tool/table.h"
#include "tool/tool.h"

/* One row of any section. */
struct row {
	s64 id;				/* -1: none */
	char name[64];
	char detail[96];		/* may be empty */
	struct spec_status st;
};

struct section {
	const char *name, *title;
	const u32 *count;
	const char *detail;		/* header of the detail column, NULL: no such column */
	bool (*get)(u32 i, struct row *r);	/* false: no row of this number */
	const char *builtins;		/* bpftool's name in list_builtins, or NULL */
	const char *alias;		/* a shorter name, or NULL */
};

#define NAMED(r, ...)	snprintf((r)->name, sizeof((r)->name), __VA_ARGS__)
#define DETAIL(r, ...)	snprintf((r)->detail, sizeof((r)->detail), __VA_ARGS__)

static bool get_insn(u32 i, struct row *r)
{
	r->id = spec_insns[i].code;
	NAMED(r, "%s", spec_insns[i].name);
	DETAIL(r, "%s", spec_insns[i].group);
	r->st = spec_insns[i].st;
	return true;
}

static bool get_prog(u32 i, struct row *r)
{
	const struct spec_prog *p = spec_prog(i);

	if (!p)
		return false;
	r->id = i;
	NAMED(r, "%s", p->name);
	DETAIL(r, "%s", p->runs_on);
	r->st = p->st;
	return true;
}

static bool get_map(u32 i, struct row *r)
{
	const struct spec_map *m = spec_map(i);

	if (!m)
		return false;
	r->id = i;
	NAMED(r, "%s", m->name);
	r->st = m->st;
	return true;
}

static bool get_attach(u32 i, struct row *r)
{
	const struct spec_attach *a = spec_attach(i);
	size_t n = 0;

	r->id = i;
	NAMED(r, "%s", a->name);
	for (u32 t = 1; t < spec_nr_progs && n < sizeof(r->detail); t++)
		if (a->progs & BIT64(t))
			n += (size_t)snprintf(r->detail + n, sizeof(r->detail) - n, "%s%s", n ? ", " : "",
					      spec_progs[t].name);
	r->st = a->st;
	return true;
}

static u32 nr_types(u64 progs)
{
	u32 n = 0;

	for (u32 t = 1; t < spec_nr_progs; t++)
		n += !!(progs & BIT64(t));
	return n + !!(progs & (SPEC_P_ITER | SPEC_P_NOT_ITER | SPEC_P_TRAMP));	/* some tracing programs */
}

static bool get_helper(u32 i, struct row *r)
{
	const struct spec_helper *h = spec_helper((s32)i);

	if (!h)
		return false;
	r->id = i;
	NAMED(r, "bpf_%s", h->name);
	DETAIL(r, "%u", nr_types(h->progs));
	r->st = h->st;
	return true;
}

static bool get_kfunc(u32 i, struct row *r)
{
	r->id = -1;
	NAMED(r, "%s", spec_kfuncs[i].name);
	DETAIL(r, "%u", nr_types(spec_kfuncs[i].progs));
	r->st = spec_kfuncs[i].st;
	return true;
}

static bool get_ctx(u32 i, struct row *r)
{
	const struct spec_ctx_field *f = &spec_ctx_fields[i];

	r->id = f->off;
	NAMED(r, "%s%s%s", f->ctx, *f->name ? "." : "", f->name);
	DETAIL(r, "%u", f->size);
	r->st = f->st;
	return true;
}

static bool get_cmd(u32 i, struct row *r)
{
	r->id = i;
	NAMED(r, "%s", spec_cmds[i].name);
	r->st = spec_cmds[i].st;
	return true;
}

static const struct section sections[] = {
	{ "commands",       "bpf(2) commands",       &spec_nr_cmds,       NULL,            get_cmd,    NULL, NULL },
	{ "program_types",  "eBPF program types",    &spec_nr_progs,      "RUN ON",        get_prog,   "prog_types", "programs" },
	{ "map_types",      "eBPF map types",        &spec_nr_maps,       NULL,            get_map,    "map_types", "maps" },
	{ "attach_types",   "eBPF attach types",     &spec_nr_attaches,   "PROGRAM TYPES", get_attach, "attach_types", NULL },
	{ "helpers",        "eBPF helper functions", &spec_nr_helpers,    "TYPES",         get_helper, "helpers", NULL },
	{ "kfuncs",         "kernel functions",      &spec_nr_kfuncs,     "TYPES",         get_kfunc,  NULL, NULL },
	{ "context_fields", "context fields",        &spec_nr_ctx_fields, "SIZE",          get_ctx,    NULL, "contexts" },
	{ "instructions",   "instructions",          &spec_nr_insns,      "GROUP",         get_insn,   NULL, NULL },
};

/* ---- text ---- */
static void count(const struct section *s, u32 n[3])
{
	for (u32 i = 0; i < *s->count; i++) {
		struct row r = { 0 };

		if (s->get(i, &r))
			n[r.st.state]++;
	}
}

static const char *id_header(const struct section *s)
{
	return s->get == get_insn ? "CODE" : s->get == get_ctx ? "OFFSET" : s->get == get_kfunc ? NULL : "ID";
}

static void print_section(const struct section *s)
{
	struct table *t = table_new();
	const char *id = id_header(s);

	if (id)
		table_col(t, id, true);
	table_col(t, "NAME", false);
	if (s->detail)
		table_col(t, s->detail, s->get == get_helper || s->get == get_kfunc || s->get == get_ctx);
	table_col(t, "STATUS", false);
	for (u32 i = 0; i < *s->count; i++) {
		struct row r = { 0 };

		if (!s->get(i, &r))
			continue;
		if (id)
			table_cell(t, s->get == get_insn ? "0x%02llx" : "%lld", (long long)r.id);
		table_cell(t, "%s", r.name);
		if (s->detail)
			table_cell(t, "%s", r.detail);
		table_cell(t, "%s%s%s", spec_state_name(r.st.state), r.st.missing ? ": " : "", r.st.missing ?: "");
	}
	printf("%s:\n", s->title);
	table_print(t, stdout, "  ");
	table_free(t);
	printf("\n");
}

static void print_summary(const bool *want)
{
	static const char *const headers[] = { "ROWS", "FULL", "PARTIAL", "STUB" };
	struct table *t = table_new();

	table_col(t, "SUMMARY", false);
	for (u32 i = 0; i < ARRAY_SIZE(headers); i++)
		table_col(t, headers[i], true);
	for (u32 i = 0; i < ARRAY_SIZE(sections); i++) {
		u32 n[3] = { 0 };

		if (!want[i])
			continue;
		count(&sections[i], n);
		table_cell(t, "%s", sections[i].title);
		table_cell(t, "%u", n[SPEC_STUB] + n[SPEC_PARTIAL] + n[SPEC_FULL]);
		table_cell(t, "%u", n[SPEC_FULL]);
		table_cell(t, "%u", n[SPEC_PARTIAL]);
		table_cell(t, "%u", n[SPEC_STUB]);
	}
	table_print(t, stdout, "");
	table_free(t);
}

/* ---- JSON ---- */
static void json_have(struct json *j, const char *key, const char *suffix, const struct section *s)
{
	char have[96];

	json_obj(j, key);
	for (u32 i = 0; i < *s->count; i++) {
		struct row r = { 0 };

		if (!s->get(i, &r))
			continue;
		snprintf(have, sizeof(have), "have_%s_%s", r.name, suffix);
		json_bool(j, have, r.st.state != SPEC_STUB);
	}
	json_end(j, '}');
}

static void json_helpers(struct json *j)
{
	char key[64];

	json_obj(j, "helpers");
	for (u32 t = 1; t < spec_nr_progs; t++) {
		snprintf(key, sizeof(key), "%s_available_helpers", spec_progs[t].name);
		json_arr(j, key);
		for (u32 id = 1; id < spec_nr_helpers; id++)
			if ((spec_helpers[id].progs & BIT64(t)) && spec_helpers[id].st.state != SPEC_STUB)
				json_fmt(j, NULL, "bpf_%s", spec_helpers[id].name);
		json_end(j, ']');
	}
	json_end(j, '}');
}

static void json_rows(struct json *j, const struct section *s)
{
	json_arr(j, s->name);
	for (u32 i = 0; i < *s->count; i++) {
		struct row r = { 0 };

		if (!s->get(i, &r))
			continue;
		json_obj(j, NULL);
		if (r.id >= 0)
			json_s64(j, s->get == get_insn ? "code" : s->get == get_ctx ? "offset" : "id", r.id);
		json_str(j, "name", r.name);
		if (*r.detail && s->get != get_helper && s->get != get_kfunc)
			json_str(j, "detail", r.detail);
		json_str(j, "status", spec_state_name(r.st.state));
		if (r.st.missing)
			json_str(j, "missing", r.st.missing);
		json_end(j, '}');
	}
	json_end(j, ']');
}

static void print_json(const bool *want)
{
	struct json *j = out_json();

	json_obj(j, NULL);
	json_obj(j, "syscall_config");
	json_bool(j, "have_bpf_syscall", true);
	json_end(j, '}');
	for (u32 i = 0; i < ARRAY_SIZE(sections); i++) {
		const struct section *s = &sections[i];

		if (!want[i])
			continue;
		if (s->get == get_prog)
			json_have(j, s->name, "prog_type", s);
		else if (s->get == get_map)
			json_have(j, s->name, "map_type", s);
		else if (s->get == get_helper)
			json_helpers(j);
	}
	json_obj(j, "rows");
	for (u32 i = 0; i < ARRAY_SIZE(sections); i++)
		if (want[i])
			json_rows(j, &sections[i]);
	json_end(j, '}');
	json_end(j, '}');
}

/* ---- list_builtins GROUP: names only, as bpftool ---- */
static int list_builtins(const char *group)
{
	for (u32 i = 0; group && i < ARRAY_SIZE(sections); i++) {
		const struct section *s = &sections[i];

		if (!s->builtins || !is_prefix(group, s->builtins))
			continue;
		if (opt.json)
			json_arr(out_json(), NULL);
		for (u32 k = 0; k < *s->count; k++) {
			struct row r = { 0 };

			if (!s->get(k, &r))
				continue;
			if (opt.json)
				json_str(out_json(), NULL, r.name);
			else
				printf("%s\n", r.name);
		}
		if (opt.json)
			json_end(out_json(), ']');
		return EXIT_OK;
	}
	return fail(EXIT_USAGE, "list_builtins: expected prog_types, map_types, attach_types or helpers%s%s",
		    group ? ", not " : "", group ?: "");
}

static bool want_section(const char *word, bool *want)
{
	for (u32 i = 0; i < ARRAY_SIZE(sections); i++)
		if (is_prefix(word, sections[i].name) || (sections[i].alias && is_prefix(word, sections[i].alias)))
			return want[i] = true;
	return false;
}

int cmd_feature(int argc, char **argv)
{
	bool want[ARRAY_SIZE(sections)] = { 0 }, some = false;

	if (argc && is_prefix(argv[0], "list_builtins"))
		return list_builtins(argc > 1 ? argv[1] : NULL);
	for (int i = 0; i < argc; i++) {
		/* bpftool's words that change nothing here: this "kernel" is always asked whole */
		if (!i && !strcmp(argv[i], "probe"))
			continue;
		if (!strcmp(argv[i], "kernel") || !strcmp(argv[i], "full"))
			continue;
		if (!want_section(argv[i], want))
			return fail(EXIT_USAGE, "feature: no section '%s': commands, programs, maps, attach_types, "
				    "helpers, kfuncs, contexts, instructions", argv[i]);
		some = true;
	}
	if (!some)
		memset(want, true, sizeof(want));
	if (opt.json) {
		print_json(want);
		return EXIT_OK;
	}
	for (u32 i = 0; i < ARRAY_SIZE(sections); i++)
		if (want[i])
			print_section(&sections[i]);
	print_summary(want);
	return EXIT_OK;
}
