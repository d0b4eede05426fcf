/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c - skep verify: each program of each object is loaded alone; one line per program, and the reason of a
 * rejection. Nothing is left behind. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool/door.h"
#include "tool/load.h"
#include "tool/maps.h"

struct verify {
	const char *format;		/* "text" or "csv" */
	const char *prog;		/* only this one */
	const char *target;		/* whose types: "skep", "kernel", or a file of BTF */
	u32 log_level;
	struct cc_opts cc;
	struct load_log log;
	u32 programs, rejected;
};

struct verdict {
	const char *path, *prog;
	u32 type;
	int err;			/* 0: accepted */
	bool rejected;			/* by the verifier; else something else went wrong */
	u64 ns;
	struct load_stats st;
	struct rejection why;
	char cause[256];
	const char *missing;		/* accepted, but this helper is not there to run it; NULL: none */
};

static void show_text(const struct verdict *v)
{
	double ms = (v->st.usec ? (double)v->st.usec : (double)v->ns / 1000) / 1000;

	if (!v->err) {
		printf("%s: %s  ok  %s insns, %s states, %.1f ms%s%s%s\n", v->path, v->prog, commas(v->st.insns),
		       commas(v->st.total_states), ms, v->missing ? "; cannot run here: bpf_" : "",
		       v->missing ? v->missing : "", v->missing ? " is a stub" : "");
		return;
	}
	if (v->rejected) {
		printf("%s: %s  rejected\n", v->path, v->prog);
		rejection_print(stdout, &v->why, v->prog);
		return;
	}
	printf("%s: %s  not loaded: %s\n", v->path, v->prog, *v->cause ? v->cause : err_text(v->err));
}

/* veristat's columns. */
static void show_csv(const struct verdict *v)
{
	const char *base = strrchr(v->path, '/');

	printf("%s,%s,%s,%" PRIu64 ",%u,%u,%u\n", base ? base + 1 : v->path, v->prog, v->err ? "failure" : "success",
	       v->st.usec ? v->st.usec : v->ns / 1000, v->st.insns, v->st.total_states, v->st.peak_states);
}

static void show_json(const struct verdict *v)
{
	struct json *j = out_json();

	json_obj(j, NULL);
	json_str(j, "file", v->path);
	json_str(j, "prog", v->prog);
	json_str(j, "type", prog_type_name(v->type));
	json_str(j, "verdict", !v->err ? "ok" : v->rejected ? "rejected" : "failed");
	json_u64(j, "duration_us", v->st.usec ? v->st.usec : v->ns / 1000);
	json_u64(j, "total_insns", v->st.insns);
	json_u64(j, "total_states", v->st.total_states);
	json_u64(j, "peak_states", v->st.peak_states);
	json_u64(j, "max_states_per_insn", v->st.max_states_per_insn);
	if (v->missing)
		json_str(j, "missing_helper", v->missing);
	if (v->rejected) {
		json_obj(j, "rejection");
		rejection_json(j, &v->why);
		json_end(j, '}');
	} else if (v->err) {
		json_str(j, "error", *v->cause ? v->cause : err_text(v->err));
	}
	json_end(j, '}');
}

static void show(const struct verify *o, const struct verdict *v)
{
	if (opt.json)
		show_json(v);
	else if (!strcmp(o->format, "csv"))
		show_csv(v);
	else
		show_text(v);
}

static struct bpf_program *prog_at(struct bpf_object *obj, u32 index)
{
	struct bpf_program *p;
	u32 i = 0;

	bpf_object__for_each_program(p, obj)
		if (i++ == index)
			return p;
	return NULL;
}

static int check_one(struct verify *o, const struct source *s, struct bpf_object *obj, struct bpf_program *prog)
{
	struct verdict v = { .path = s->path, .prog = bpf_program__name(prog), .type = bpf_program__type(prog) };
	struct bpf_program *p;
	u64 t0;

	bpf_object__for_each_program(p, obj)
		bpf_program__set_autoload(p, p == prog);
	libbpf_cause();
	load_log_attach(&o->log, prog);
	t0 = now_ns();
	v.err = bpf_object__load(obj);
	v.ns = now_ns() - t0;
	v.st = load_log_stats(&o->log);
	v.rejected = v.err && rejection_get(&v.why);
	if (!v.rejected && v.st.insns)
		v.err = 0;	/* what fails behind the verifier: a prog_array wants the others as well */
	snprintf(v.cause, sizeof(v.cause), "%s", libbpf_cause());
	if (o->log_level && o->log.buf[0])
		fputs(o->log.buf, stderr);
	o->programs++;
	o->rejected += v.err != 0;
	v.missing = v.err ? NULL : load_missing_helper(prog);
	show(o, &v);
	return v.err == -ENOSPC || v.err == -ENOMEM ? EXIT_ENV : v.err ? EXIT_FAILED : EXIT_OK;
}

static int check_file(struct verify *o, const char *path)
{
	struct source s;
	struct bpf_object *obj;
	struct bpf_program *p;
	int rc = source_get(path, &o->cc, &s), one;

	for (u32 i = 0; rc != EXIT_USAGE && s.data; i++) {
		obj = source_open(&s, &one);
		rc = MAX(rc, obj ? EXIT_OK : one);
		p = obj ? prog_at(obj, i) : NULL;
		one = p && (!o->prog || !strcmp(o->prog, bpf_program__name(p))) ? check_one(o, &s, obj, p) : EXIT_OK;
		rc = MAX(rc, one);
		bpf_object__close(obj);
		if (!p)
			break;
	}
	source_free(&s);
	return rc;
}

/* Programs are checked against the types of another kernel; those that use them do not run here. */
static int use_target(const char *target)
{
	const char *path = !strcmp(target, "kernel") ? "/sys/kernel/btf/vmlinux" : target;

	if (!strcmp(target, "skep"))
		return EXIT_OK;
	if (access(path, R_OK))
		return fail_errno(-errno, "skep verify: --target wants skep, kernel or a file of BTF: %s", path);
	setenv("SKEP_TARGET_BTF", path, 1);
	return EXIT_OK;
}

int cmd_verify(int argc, char **argv)
{
	struct verify o = { .format = "text", .target = "skep" };
	const struct opt_row rows[] = {
		{ "--output|-o",  OPT_STR,  &o.format },
		{ "--prog",       OPT_STR,  &o.prog },
		{ "--target",     OPT_STR,  &o.target },
		{ "--log-level",  OPT_U32,  &o.log_level },
		{ "-I",           OPT_LIST, &o.cc.include },
		{ "-D",           OPT_LIST, &o.cc.define },
		{},
	};
	int rc = opts_parse(rows, "verify", &argc, argv), one;

	if (rc)
		return rc;
	if (!argc)
		return fail(EXIT_USAGE, "skep verify wants a file: an object (.bpf.o) or BPF C (.bpf.c)");
	if (strcmp(o.format, "text") && strcmp(o.format, "csv"))
		return fail(EXIT_USAGE, "skep verify: --output is text or csv, not '%s'", o.format);
	rc = use_target(o.target);
	rc = rc ? rc : dir_usable();
	rc = rc ? rc : load_log_init(&o.log, o.log_level);
	if (rc)
		return rc;
	if (opt.json)
		json_arr(out_json(), NULL);
	else if (!strcmp(o.format, "csv"))
		puts("file_name,prog_name,verdict,duration,total_insns,total_states,peak_states");
	for (int i = 0; i < argc; i++) {
		one = check_file(&o, argv[i]);
		rc = MAX(rc, one);
	}
	if (opt.json)
		json_end(out_json(), ']');
	load_log_free(&o.log);
	if (!o.programs && !rc)
		return fail(EXIT_FAILED, "no program%s%s in %s", o.prog ? " " : "", o.prog ? o.prog : "", argv[0]);
	return rc;
}
