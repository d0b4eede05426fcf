/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - loading objects through libbpf, and saying why it failed. */
#include "spec/spec.h"
#include "tool/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skep.h>

#include "tool/door.h"
#include "tool/maps.h"

/* ---- the verifier's log ---- */
int load_log_init(struct load_log *l, u32 level)
{
	l->level = level;
	l->buf = calloc(1, LOAD_LOG_SIZE);
	return l->buf ? 0 : fail_errno(-ENOMEM, "verifier log");
}

void load_log_free(struct load_log *l)
{
	free(l->buf);
	l->buf = NULL;
}

void load_log_attach(struct load_log *l, struct bpf_program *p)
{
	bpf_program__set_log_level(p, l->level | 4);
	bpf_program__set_log_buf(p, l->buf, LOAD_LOG_SIZE);
	l->buf[0] = 0;
}

struct load_stats load_log_stats(const struct load_log *l)
{
	struct load_stats s = {};
	const char *p = strstr(l->buf, "verification time "), *q = NULL, *next = l->buf;

	while ((next = strstr(next, "processed ")))
		q = next++;
	if (p)
		s.usec = strtoull(p + strlen("verification time "), NULL, 10);
	if (q)
		(void)!sscanf(q, "processed %u insns (limit %*u) max_states_per_insn %u total_states %u peak_states %u "
			      "mark_read %u", &s.insns, &s.max_states_per_insn, &s.total_states, &s.peak_states,
			      &s.mark_read);
	return s;
}

/* ---- rejections ---- */
/* A source file below the working directory by its short name, as compilers print it. */
static const char *short_name(const char *file)
{
	static char cwd[4096];
	size_t n = getcwd(cwd, sizeof(cwd)) ? strlen(cwd) : 0;

	return n > 1 && !strncmp(file, cwd, n) && file[n] == '/' ? file + n + 1 : file;
}

void rejection_print(FILE *f, const struct rejection *r, const char *prog)
{
	const char *red = color(fileno(f)) ? "\033[1;31m" : "", *off = *red ? "\033[0m" : "";
	const char *text = r->line_text, *rest = strchr(r->kernel, '\n');
	int len = rest ? (int)(rest - r->kernel) : (int)strlen(r->kernel);	/* the kernel says some things in two lines */

	fprintf(f, "%serror%s%s%s%s ", red, *r->rule ? "[" : "", r->rule, *r->rule ? "]" : "", off);
	if (*r->file)
		fprintf(f, "%s:%u:%u: %.*s\n", short_name(r->file), r->line, r->col, len, r->kernel);
	else
		fprintf(f, "%s, insn %d: %.*s\n", prog, r->insn, len, r->kernel);
	while (*text == ' ' || *text == '\t')
		text++;
	if (*text)
		fprintf(f, "%5u | %s\n", r->line, text);
	if (r->insn >= 0)
		fprintf(f, "      = in %s at insn %d%s%s\n", prog, r->insn, *r->reg_state ? " with " : "", r->reg_state);
	if (rest)
		fprintf(f, "      = %s\n", rest + 1);
}

void rejection_json(struct json *j, const struct rejection *r)
{
	json_str(j, "rule", r->rule);
	json_s64(j, "errno", -r->err);
	json_s64(j, "insn", r->insn);
	if (r->reg >= 0)
		json_s64(j, "reg", r->reg);
	if (*r->reg_state)
		json_str(j, "reg_state", r->reg_state);
	if (*r->file) {
		json_str(j, "file", r->file);
		json_u64(j, "line", r->line);
		json_u64(j, "column", r->col);
		json_str(j, "source", r->line_text);
	}
	json_str(j, "kernel", r->kernel);
	rejection_path_json(j, "path");
}

static int say_rejected(const struct rejection *r, const struct source *s, const char *prog)
{
	if (opt.json) {
		struct json *j = out_json();

		json_obj(j, NULL);
		json_fmt(j, "error", "%s: %s is rejected: %.*s", s->path, prog, (int)strcspn(r->kernel, "\n"), r->kernel);
		json_obj(j, "rejection");
		rejection_json(j, r);
		json_end(j, '}');
		json_end(j, '}');
		return EXIT_FAILED;
	}
	fprintf(stderr, "%s: %s is rejected\n", s->path, prog);
	rejection_print(stderr, r, prog);
	return EXIT_FAILED;
}

/* The first command opens the directory. Asked for before libbpf, which would speak of RLIMIT_MEMLOCK instead. */
int dir_usable(void)
{
	struct { u32 start, next, flags; } a = { .start = ~0u - 1 };
	const char *path = getenv("SKEP_DIR");
	char own[64];
	long err;

	if (skep_dir__path())
		return 0;
	err = skep_bpf(BPF_PROG_GET_NEXT_ID, (union bpf_attr *)&a, sizeof(a));
	snprintf(own, sizeof(own), "/dev/shm/skep-%u", getuid());
	fail_errno(err < 0 ? (int)err : -EIO, "the directory %s cannot be used", path && *path ? path : own);
	return EXIT_ENV;
}

/* Which program libbpf speaks of: "prog 'NAME': ...". */
static const char *prog_of(const char *why, const struct bpf_program *prog)
{
	static char name[64];

	if (prog)
		return bpf_program__name(prog);
	if (sscanf(why, "prog '%63[^']'", name) != 1)
		return "a program";
	return name;
}

static int load_failed(int err, const struct bpf_program *prog, const struct source *s)
{
	const char *why = libbpf_cause();
	struct rejection r;

	if (rejection_get(&r))
		return say_rejected(&r, s, prog_of(why, prog));
	if (!*why)
		return fail_errno(err, "%s: %s cannot be loaded", s->path, prog_of(why, prog));
	if (err == -ENOSPC || err == -ENOMEM)
		return fail(EXIT_ENV, "%s: no room in %s: %s", s->path, skep_dir__path(), why);
	return fail(EXIT_FAILED, "%s: %s", s->path, why);
}

int load_object(struct bpf_object *obj, struct bpf_program *prog, const struct source *s, struct load_log *l)
{
	struct bpf_program *p;
	int err = dir_usable();

	if (err)
		return err;
	libbpf_cause();
	bpf_object__for_each_program(p, obj)
		if (prog ? p == prog : bpf_program__autoload(p))
			load_log_attach(l, p);
	err = bpf_object__load(obj);
	if (l->level && l->buf[0])
		fputs(l->buf, stderr);
	return err ? load_failed(err, prog, s) : 0;
}

/* ---- what to load ---- */
void load_only(struct bpf_object *obj, struct bpf_program *prog)
{
	struct bpf_program *p;
	struct bpf_map *m;
	bool arrays = false;

	bpf_object__for_each_map(m, obj)
		arrays |= bpf_map__type(m) == BPF_MAP_TYPE_PROG_ARRAY;
	bpf_object__for_each_program(p, obj)
		bpf_program__set_autoload(p, p == prog ||
					  (arrays && bpf_program__type(p) == bpf_program__type(prog)));
}

static const struct val_leaf *find_var(const struct btf *btf, u32 section, const char *name, struct val_leaf *l, u32 max)
{
	u32 n = val_leaves(btf, section, "", l, max);

	for (u32 i = 0; i < n; i++)
		if (!strcmp(l[i].name, name))
			return &l[i];
	return NULL;
}

static int set_var(const struct btf *btf, const struct val_leaf *v, const char *text, u8 *data, size_t size)
{
	s64 len = btf__resolve_size(btf, v->type), num;
	char *end;

	if (len <= 0 || len > 8 || v->off / 8 + (u64)len > size)
		return fail(EXIT_USAGE, "--set %s: only integers and enums can be set", v->name);
	num = val_enum(btf, v->type, text);
	if (num < 0) {
		errno = 0;
		num = strtoll(text, &end, 0);
		if (errno || !*text || *end)
			return fail(EXIT_USAGE, "--set %s: '%s' is neither a number nor a name of its type", v->name, text);
	}
	if (len < 8 && (num >= 1ll << (len * 8) || num < -(1ll << (len * 8 - 1))))
		return fail(EXIT_USAGE, "--set %s: %s does not fit in %d bytes", v->name, text, (int)len);
	memcpy(data + v->off / 8, &num, (size_t)len);
	return 0;
}

int load_set_global(struct bpf_object *obj, const char *assign)
{
	const struct btf *btf = bpf_object__btf(obj);
	const char *eq = strchr(assign, '=');
	const struct val_leaf *v;
	struct val_leaf l[256];
	struct bpf_map *m;
	char name[64];

	if (!eq)
		return fail(EXIT_USAGE, "--set wants NAME=VALUE, not '%s'", assign);
	snprintf(name, sizeof(name), "%.*s", (int)(eq - assign), assign);
	bpf_object__for_each_map(m, obj) {
		size_t size = 0;
		void *data = bpf_map__is_internal(m) ? (void *)bpf_map__initial_value(m, &size) : NULL;

		v = data && btf ? find_var(btf, bpf_map__btf_value_type_id(m), name, l, ARRAY_SIZE(l)) : NULL;
		if (v)
			return set_var(btf, v, eq + 1, data, size);
	}
	return fail(EXIT_USAGE, "--set %s: the object has no such global variable", name);
}

const char *load_missing_helper(const struct bpf_program *prog)
{
	const struct bpf_insn *in = bpf_program__insns(prog);

	for (size_t i = 0; i < bpf_program__insn_cnt(prog); i++) {
		const struct spec_helper *h = NULL;

		if (in[i].code == (BPF_JMP | BPF_CALL) && !in[i].src_reg)
			h = spec_helper(in[i].imm);
		if (h && h->st.state == SPEC_STUB)
			return h->name;
	}
	return NULL;
}
