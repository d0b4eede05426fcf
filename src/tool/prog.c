/* SPDX-License-Identifier: Apache-2.0 */
/* prog.c - skep prog: show, run, pin, load. Dumps are in prog_dump.c. bpftool's words, layout and JSON keys. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tool/load.h"
#include "tool/maps.h"
#include "tool/prog.h"

/* ---- show ---- */
u64 fd_memory(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : (u64)st.st_blocks * 512;
}

void pin_json(void *arg, const char *path)
{
	json_str(out_json(), NULL, path);
}

void pins_show_json(int fd)
{
	json_arr(out_json(), "pinned");
	pins_each(fd, pin_json, NULL);
	json_end(out_json(), ']');
}

void pin_text(void *arg, const char *path)
{
	printf("\tpinned %s\n", path);
}

static s64 clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* load_time counts from boot. */
static time_t loaded_at(u64 since_boot_ns)
{
	return (time_t)((clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME) + (s64)since_boot_ns) / 1000000000);
}

struct prog_full {
	struct bpf_prog_info i;
	u32 maps[64];
	u32 nr_maps;
	u64 mem;
	char tag[2 * BPF_TAG_SIZE + 1];
};

static int prog_info(int fd, struct prog_full *p)
{
	u32 len = sizeof(p->i);

	memset(p, 0, sizeof(*p));
	p->i.map_ids = (u64)(uintptr_t)p->maps;
	p->i.nr_map_ids = ARRAY_SIZE(p->maps);
	if (bpf_obj_get_info_by_fd(fd, &p->i, &len))
		return -errno;
	p->nr_maps = MIN(p->i.nr_map_ids, (u32)ARRAY_SIZE(p->maps));
	p->mem = fd_memory(fd);
	for (u32 i = 0; i < BPF_TAG_SIZE; i++)
		snprintf(p->tag + 2 * i, 3, "%02x", p->i.tag[i]);
	return 0;
}

static void show_json(int fd, const struct prog_full *p)
{
	struct json *j = out_json();

	json_obj(j, NULL);
	json_u64(j, "id", p->i.id);
	json_str(j, "type", prog_type_name(p->i.type));
	if (*p->i.name)
		json_str(j, "name", p->i.name);
	json_str(j, "tag", p->tag);
	json_bool(j, "gpl_compatible", p->i.gpl_compatible);
	if (p->i.run_time_ns) {
		json_u64(j, "run_time_ns", p->i.run_time_ns);
		json_u64(j, "run_cnt", p->i.run_cnt);
	}
	if (p->i.recursion_misses)
		json_u64(j, "recursion_misses", p->i.recursion_misses);
	json_u64(j, "loaded_at", (u64)loaded_at(p->i.load_time));
	json_u64(j, "uid", p->i.created_by_uid);
	json_bool(j, "orphaned", false);
	json_u64(j, "bytes_xlated", p->i.xlated_prog_len);
	json_bool(j, "jited", p->i.jited_prog_len != 0);
	if (p->i.jited_prog_len)
		json_u64(j, "bytes_jited", p->i.jited_prog_len);
	json_u64(j, "bytes_memlock", p->mem);
	if (p->nr_maps) {
		json_arr(j, "map_ids");
		for (u32 i = 0; i < p->nr_maps; i++)
			json_u64(j, NULL, p->maps[i]);
		json_end(j, ']');
	}
	if (p->i.btf_id)
		json_u64(j, "btf_id", p->i.btf_id);
	if (opt.paths)
		pins_show_json(fd);
	json_end(j, '}');
}

static void show_text(int fd, const struct prog_full *p)
{
	time_t t = loaded_at(p->i.load_time);
	struct tm tm;
	char when[40];

	strftime(when, sizeof(when), "%FT%T%z", localtime_r(&t, &tm));
	printf("%u: %s  ", p->i.id, prog_type_name(p->i.type));
	if (*p->i.name)
		printf("name %s  ", p->i.name);
	printf("tag %s%s", p->tag, p->i.gpl_compatible ? "  gpl" : "");
	if (p->i.run_time_ns)
		printf(" run_time_ns %llu run_cnt %llu", p->i.run_time_ns, p->i.run_cnt);
	printf("\n\tloaded_at %s  uid %u\n\txlated %uB", when, p->i.created_by_uid, p->i.xlated_prog_len);
	if (p->i.jited_prog_len)
		printf("  jited %uB", p->i.jited_prog_len);
	else
		printf("  not jited");
	printf("  memlock %lluB", (unsigned long long)p->mem);
	for (u32 i = 0; i < p->nr_maps; i++)
		printf("%s%u", i ? "," : "  map_ids ", p->maps[i]);
	putchar('\n');
	if (p->i.btf_id)
		printf("\tbtf_id %u\n", p->i.btf_id);
	if (opt.paths)
		pins_each(fd, pin_text, NULL);
}

static int do_show(int argc, char **argv)
{
	struct handles h;
	struct prog_full p;
	bool all = !argc;
	int rc = argc ? handle_get(H_PROG, &argc, &argv, true, &h) : handle_all(H_PROG, &h), err;

	if (rc)
		return rc;
	if (opt.json && (all || h.n > 1))
		json_arr(out_json(), NULL);
	for (u32 i = 0; i < h.n && !rc; i++) {
		err = prog_info(h.fd[i], &p);
		if (err)
			rc = fail_errno(err, "cannot read a program's info");
		else if (opt.json)
			show_json(h.fd[i], &p);
		else
			show_text(h.fd[i], &p);
	}
	if (opt.json && (all || h.n > 1))
		json_end(out_json(), ']');
	handles_free(&h);
	return rc;
}

/* ---- run ---- */
struct file_buf {
	const char *path;
	u8 *data;
	u32 size;
};

static int read_file(struct file_buf *b, const char *what)
{
	FILE *f = strcmp(b->path, "-") ? fopen(b->path, "re") : stdin;
	size_t n, cap = 0, len = 0;

	if (!f)
		return fail_errno(-errno, "%s %s", what, b->path);
	do {
		if (len == cap) {
			cap = cap ? cap * 2 : 4096;
			b->data = realloc(b->data, cap);
			if (!b->data)
				abort();
		}
		n = fread(b->data + len, 1, cap - len, f);
		len += n;
	} while (n && len < (64u << 20));
	b->size = (u32)len;
	if (f != stdin)
		fclose(f);
	return 0;
}

static int write_out(const struct file_buf *b, const char *what)
{
	FILE *f;
	bool ok;

	if (!strcmp(b->path, "-")) {
		if (opt.json)
			json_bytes(out_json(), what, b->data, b->size);
		else
			fwrite(b->data, 1, b->size, stdout);
		return 0;
	}
	f = fopen(b->path, "we");
	ok = f && fwrite(b->data, 1, b->size, f) == b->size;
	if ((f && fclose(f)) || !ok)
		return fail_errno(-errno, "%s %s", what, b->path);
	return 0;
}

struct run_args {
	struct file_buf data_in, ctx_in, data_out, ctx_out;
	u32 data_out_size, ctx_out_size, repeat;
};

static int run_words(int argc, char **argv, struct run_args *a)
{
	const struct {
		const char *word;
		const char **str;
		u32 *num;
	} words[] = {
		{ "data_in", &a->data_in.path, NULL },   { "data_out", &a->data_out.path, NULL },
		{ "ctx_in", &a->ctx_in.path, NULL },     { "ctx_out", &a->ctx_out.path, NULL },
		{ "data_size_out", NULL, &a->data_out_size }, { "ctx_size_out", NULL, &a->ctx_out_size },
		{ "repeat", NULL, &a->repeat },
	};

	for (; argc >= 2; argc -= 2, argv += 2) {
		u32 i = 0;

		while (i < ARRAY_SIZE(words) && strcmp(words[i].word, argv[0]))
			i++;
		if (i == ARRAY_SIZE(words))
			return fail(EXIT_USAGE, "prog run: what is '%s'? see 'skep prog run help'", argv[0]);
		if (words[i].str)
			*words[i].str = argv[1];
		else if (parse_u32(argv[1], words[i].num))
			return fail(EXIT_USAGE, "prog run: %s wants a number, not '%s'", argv[0], argv[1]);
	}
	return argc ? fail(EXIT_USAGE, "prog run: '%s' wants a value", argv[0]) : 0;
}

static int run_test(int fd, struct run_args *a, struct bpf_test_run_opts *t)
{
	int err;

	if (a->data_out.path) {
		a->data_out.size = a->data_out_size ? a->data_out_size : MAX(a->data_in.size, 1u) + 4096;
		a->data_out.data = calloc(1, a->data_out.size);
	}
	if (a->ctx_out.path) {
		a->ctx_out.size = a->ctx_out_size ? a->ctx_out_size : MAX(a->ctx_in.size, 1u);
		a->ctx_out.data = calloc(1, a->ctx_out.size);
	}
	t->data_in = a->data_in.data;
	t->data_size_in = a->data_in.size;
	t->ctx_in = a->ctx_in.data;
	t->ctx_size_in = a->ctx_in.size;
	t->data_out = a->data_out.data;
	t->data_size_out = a->data_out.size;
	t->ctx_out = a->ctx_out.data;
	t->ctx_size_out = a->ctx_out.size;
	t->repeat = (int)a->repeat;
	err = bpf_prog_test_run_opts(fd, t);
	a->data_out.size = MIN(a->data_out.size, t->data_size_out);
	a->ctx_out.size = MIN(a->ctx_out.size, t->ctx_size_out);
	return err;
}

static int run_report(struct run_args *a, const struct bpf_test_run_opts *t)
{
	struct json *j = out_json();
	int rc = 0;

	if (opt.json)
		json_obj(j, NULL);
	if (a->data_out.path)
		rc = write_out(&a->data_out, "data_out");
	if (a->ctx_out.path && !rc)
		rc = write_out(&a->ctx_out, "ctx_out");
	if (opt.json) {
		json_u64(j, "retval", t->retval);
		json_u64(j, "duration", t->duration);
		json_end(j, '}');
	} else if (!rc) {
		printf("Return value: %u, duration%s: %uns\n", t->retval, a->repeat > 1 ? " (average)" : "", t->duration);
	}
	return rc;
}

static int do_run(int argc, char **argv)
{
	struct bpf_test_run_opts t = { .sz = sizeof(t) };
	struct run_args a = { .repeat = 1 };
	int fd, rc = handle_one(H_PROG, &argc, &argv, &fd), err;

	if (rc)
		return rc;
	rc = run_words(argc, argv, &a);
	if (!rc && a.data_in.path)
		rc = read_file(&a.data_in, "data_in");
	if (!rc && a.ctx_in.path)
		rc = read_file(&a.ctx_in, "ctx_in");
	if (!rc) {
		err = run_test(fd, &a, &t);
		rc = err ? fail_errno(err, "running the program failed") : run_report(&a, &t);
	}
	free(a.data_in.data);
	free(a.ctx_in.data);
	free(a.data_out.data);
	free(a.ctx_out.data);
	close(fd);
	return rc;
}

/* ---- pin, load ---- */
static int do_pin(int argc, char **argv)
{
	int fd, rc = handle_one(H_PROG, &argc, &argv, &fd);

	if (rc)
		return rc;
	rc = argc == 1 ? pin_one(fd, argv[0]) : fail(EXIT_USAGE, "prog pin wants PROG and one FILE");
	close(fd);
	return rc;
}

struct load_args {
	const char *type, *pinmaps;
	enum bpf_prog_type t;
	enum bpf_attach_type attach;
};

static int load_words(int argc, char **argv, struct load_args *a)
{
	int err;

	for (; argc >= 2; argc -= 2, argv += 2) {
		if (is_prefix(argv[0], "type"))
			a->type = argv[1];
		else if (is_prefix(argv[0], "pinmaps"))
			a->pinmaps = argv[1];
		else
			return fail(EXIT_USAGE, "prog load: what is '%s'? see 'skep prog load help'", argv[0]);
	}
	if (argc)
		return fail(EXIT_USAGE, "prog load: '%s' wants a value", argv[0]);
	if (!a->type)
		return 0;
	err = libbpf_prog_type_by_name(a->type, &a->t, &a->attach);
	if (err) {
		char slash[64];

		snprintf(slash, sizeof(slash), "%s/", a->type);
		err = libbpf_prog_type_by_name(slash, &a->t, &a->attach);
	}
	return err ? fail(EXIT_USAGE, "prog load: unknown program type '%s'", a->type) : 0;
}

static int load_all(struct bpf_object *obj, const struct source *s, const char *path, const struct load_args *a,
		    bool all)
{
	struct bpf_program *p, *first = bpf_object__next_program(obj, NULL);
	struct load_log log;
	char pin[2048];
	int rc = load_log_init(&log, 0);

	if (rc)
		return rc;
	bpf_object__for_each_program(p, obj) {
		if (a->type) {
			bpf_program__set_type(p, a->t);
			bpf_program__set_expected_attach_type(p, a->attach);
		}
		if (!all)
			bpf_program__set_autoload(p, p == first);
	}
	rc = load_object(obj, first, s, &log);
	load_log_free(&log);
	bpf_object__for_each_program(p, obj) {
		snprintf(pin, sizeof(pin), all ? "%s/%s" : "%s", path, bpf_program__name(p));
		if (!rc && (all || p == first))
			rc = pin_one(bpf_program__fd(p), pin);
	}
	if (!rc && a->pinmaps)
		rc = load_pin_maps(obj, a->pinmaps);
	return rc;
}

static int load(int argc, char **argv, bool all)
{
	static const struct cc_opts cc;
	struct load_args a = {};
	struct bpf_object *obj;
	struct source s;
	int rc;

	if (argc < 2)
		return fail(EXIT_USAGE, "prog load wants OBJECT and the %s to pin %s", all ? "folder" : "file",
			    all ? "all programs in" : "its first program to");
	rc = load_words(argc - 2, argv + 2, &a);
	rc = rc ? rc : source_get(argv[0], &cc, &s);
	if (rc)
		return rc;
	obj = source_open(&s, &rc);
	if (obj)
		rc = load_all(obj, &s, argv[1], &a, all);
	bpf_object__close(obj);
	source_free(&s);
	return rc;
}

static int do_load(int argc, char **argv)
{
	return load(argc, argv, false);
}

static int do_loadall(int argc, char **argv)
{
	return load(argc, argv, true);
}

#define PROG "id N | name NAME | tag HEX | pinned FILE"

static const struct cmd commands[] = {
	{ "show",    do_show,    "[PROG]", "list loaded programs. PROG := " PROG },
	{ "list",    do_show,    "[PROG]", "the same" },
	{ "dump",    prog_dump,  "xlated|jited PROG [file FILE] [opcodes]", "instructions after the verifier, or machine code" },
	{ "run",     do_run,     "PROG [data_in FILE] [data_out FILE] [ctx_in FILE] [ctx_out FILE] [repeat N]",
	  "one test run; FILE - is stdin or stdout" },
	{ "pin",     do_pin,     "PROG FILE", "keep it under bpffs" },
	{ "load",    do_load,    "OBJECT FILE [type TYPE] [pinmaps DIR]", "load an object, pin its first program" },
	{ "loadall", do_loadall, "OBJECT DIR [type TYPE] [pinmaps DIR]", "load an object, pin all its programs" },
	{},
};

int cmd_prog(int argc, char **argv)
{
	static char *show[] = { (char *)"show", NULL };

	return argc ? cmd_dispatch(commands, "prog", argc, argv) : cmd_dispatch(commands, "prog", 1, show);
}
