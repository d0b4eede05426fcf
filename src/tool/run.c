/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - skep run: its options; what an object runs on: packets, nothing (testruns.c), or processes (session.c); its maps at
 * the end. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spec/spec.h"
#include "tool/run.h"

#define DEFAULT_TOP	20

/* A section of nothing but pointers that name event types. */
static bool only_markers(const struct job *k, const struct bpf_map *m)
{
	const struct btf *btf = bpf_object__btf(k->obj);
	const struct btf_type *t = btf ? btf__type_by_id(btf, bpf_map__btf_value_type_id(m)) : NULL;
	u32 n = 0;

	if (!bpf_map__is_internal(m) || !t || !btf_is_datasec(t))
		return false;
	for (u32 i = 0; i < btf_vlen(t); i++)
		n += events_is_marker(btf, btf__type_by_id(btf, btf_var_secinfos(t)[i].type));
	return n && n == btf_vlen(t);
}

/* Which maps there is something to show of: those whose elements can be walked, not the constants. */
static bool shows(const struct job *k, const struct bpf_map *m)
{
	const struct spec_map *s = spec_map(bpf_map__type(m));

	if (bpf_map__fd(m) < 0 || only_markers(k, m) || !s || !(s->ops & SPEC_MAP_NEXT))
		return false;
	return !bpf_map__is_internal(m) || !(bpf_map__map_flags(m) & BPF_F_RDONLY_PROG);
}

static int show_map(const struct job *k, struct bpf_map *bm)
{
	struct map_view v = { .sum = true, .nonzero = true, .sort = k->o.sort ? k->o.sort : "", .top = k->o.top };
	const char *name = bpf_map__is_internal(bm) ? strrchr(bpf_map__name(bm), '.') : bpf_map__name(bm);
	struct map_shown shown;
	struct mapref m;
	int err = map_open(dup(bpf_map__fd(bm)), &m);

	if (err)
		return fail_errno(err, "map %s", bpf_map__name(bm));
	if (!m.btf && bpf_object__btf(k->obj) && bpf_map__btf_value_type_id(bm)) {
		m.btf = bpf_object__btf(k->obj);	/* reused pins may come without BTF */
		m.info.btf_key_type_id = bpf_map__btf_key_type_id(bm);
		m.info.btf_value_type_id = bpf_map__btf_value_type_id(bm);
	}
	if (opt.json) {
		err = map_print_json(&m, name ? name : bpf_map__name(bm), &v);
	} else {
		putchar('\n');
		err = map_print(&m, &v, &shown);
	}
	map_close(&m);
	return err ? fail_errno(err, "map %s", bpf_map__name(bm)) : 0;
}

int run_show_maps(const struct job *k)
{
	struct json *j = out_json();
	struct bpf_map *m;
	int rc = 0;

	if (opt.json)
		json_obj(j, "maps");
	bpf_object__for_each_map(m, k->obj)
		if (!rc && shows(k, m))
			rc = show_map(k, m);
	if (opt.json)
		json_end(j, '}');
	return rc;
}

int run_prepare(struct job *k)
{
	int rc = 0;

	for (u32 i = 0; i < k->o.set.n && !rc; i++)
		rc = load_set_global(k->obj, k->o.set.s[i]);
	if (!rc && k->o.pin)
		rc = k->o.reuse ? load_reuse_pins(k->obj, k->o.pin) : load_check_free(k->o.pin);
	rc = rc ? rc : events_find(k->obj, &k->ev);
	return rc ? rc : load_log_init(&k->log, k->o.log_level);
}

void run_trace_start(const struct job *k)
{
	u32 ids[64], n = 0, len;
	struct bpf_program *p;

	bpf_object__for_each_program(p, k->obj) {
		struct bpf_prog_info i = {};

		len = sizeof(i);
		if (n < ARRAY_SIZE(ids) && bpf_program__fd(p) >= 0 && !bpf_obj_get_info_by_fd(bpf_program__fd(p), &i, &len))
			ids[n++] = i.id;
	}
	trace_own_start(ids, n);
}

/* ---- what runs on what ---- */
bool attaches(const struct bpf_program *p)
{
	const struct spec_prog *s = spec_prog(bpf_program__type(p));

	return s && s->runs_on && strstr(s->runs_on, "processes") && strchr(bpf_program__section_name(p), '/');
}

bool runs_on(const struct bpf_program *p, const char *what)
{
	const struct spec_prog *s = spec_prog(bpf_program__type(p));

	return s && s->runs_on && strstr(s->runs_on, what) && !attaches(p);
}

/* Processes, unless packets are asked for or nothing of the object attaches. */
static bool wants_session(const struct job *k)
{
	struct bpf_program *p;

	if (k->o.in)
		return false;
	bpf_object__for_each_program(p, k->obj)
		if (attaches(p) && (!k->o.prog || !strcmp(k->o.prog, bpf_program__name(p))))
			return true;
	return k->o.cmd;
}

/* ---- the command line ---- */
static int parse(struct job *k, int *argc, char **argv)
{
	struct run_opts *o = &k->o;
	const struct opt_row rows[] = {
		{ "--in|-r",      OPT_STR,  &o->in },
		{ "--prog",       OPT_STR,  &o->prog },
		{ "--pin",        OPT_STR,  &o->pin },
		{ "--reuse-pins", OPT_FLAG, &o->reuse },
		{ "--repeat",     OPT_U32,  &o->repeat },
		{ "--set",        OPT_LIST, &o->set },
		{ "--sort",       OPT_STR,  &o->sort },
		{ "--top",        OPT_U32,  &o->top },
		{ "--output|-o",  OPT_STR,  &o->output },
		{ "--log-level",  OPT_U32,  &o->log_level },
		{ "-I",           OPT_LIST, &o->cc.include },
		{ "-D",           OPT_LIST, &o->cc.define },
		{},
	};
	int rc = opts_parse(rows, "run", argc, argv);

	if (rc)
		return rc;
	if (*argc != 1)
		return fail(EXIT_USAGE, *argc ? "skep run takes one file, then options: what is '%s'?" :
			    "skep run wants a file: an object (.bpf.o) or BPF C (.bpf.c)", *argc ? argv[1] : "");
	if (o->top == UINT32_MAX)
		o->top = opt.json ? 0 : DEFAULT_TOP;
	if (o->in && o->cmd)
		return fail(EXIT_USAGE, "skep run: either --in CAPTURE or -- COMMAND");
	if (o->reuse && !o->pin)
		return fail(EXIT_USAGE, "--reuse-pins goes with --pin NAME");
	return o->repeat ? 0 : fail(EXIT_USAGE, "--repeat wants 1 or more");
}

/* The words behind "--" are the command to run. */
static int take_command(struct job *k, int *argc, char **argv)
{
	for (int i = 0; i < *argc; i++) {
		if (strcmp(argv[i], "--"))
			continue;
		argv[i] = NULL;
		*argc = i;
		k->o.cmd = argv + i + 1;
		return *k->o.cmd ? 0 : fail(EXIT_USAGE, "skep run: no command behind '--'");
	}
	return 0;
}

/* --output: what we print goes there, the command keeps standard output. */
static int redirect(struct run_opts *o)
{
	int fd;

	/* without --output the command writes to the same file: nothing but whole lines, at once */
	setvbuf(stdout, NULL, o->output ? _IOFBF : _IOLBF, 1 << 18);
	if (!o->output)
		return 0;
	fd = open(o->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return fail_errno(-errno, "%s", o->output);
	o->terminal = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (o->terminal < 0 || dup2(fd, STDOUT_FILENO) < 0)
		return fail_errno(-errno, "%s", o->output);
	close(fd);
	return 0;
}

int cmd_run(int argc, char **argv)
{
	struct job k = { .o = { .top = UINT32_MAX, .repeat = 1, .terminal = -1 } };
	int rc = take_command(&k, &argc, argv);

	rc = rc ? rc : parse(&k, &argc, argv);

	rc = rc ? rc : redirect(&k.o);
	rc = rc ? rc : source_get(argv[0], &k.o.cc, &k.src);
	if (rc)
		return rc;
	k.obj = source_open(&k.src, &rc);
	if (k.obj)
		rc = wants_session(&k) ? session(&k) : testruns(&k);
	events_close(k.ev);
	capture_close(&k.cap);
	bpf_object__close(k.obj);
	load_log_free(&k.log);
	source_free(&k.src);
	return rc;
}
