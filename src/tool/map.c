/* SPDX-License-Identifier: Apache-2.0 */
/* map.c - skep map: show, dump, pin, create, and element commands. bpftool's words, layout and JSON keys. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spec/spec.h"
#include "tool/door.h"
#include "tool/maps.h"
#include "tool/prog.h"

/* ---- show ---- */
static void show_json(const struct mapref *m)
{
	struct json *j = out_json();

	json_obj(j, NULL);
	json_u64(j, "id", m->info.id);
	json_str(j, "type", map_type_name(m->info.type));
	if (*m->info.name)
		json_str(j, "name", m->info.name);
	json_u64(j, "flags", m->info.map_flags);
	json_u64(j, "bytes_key", m->info.key_size);
	json_u64(j, "bytes_value", m->info.value_size);
	json_u64(j, "max_entries", m->info.max_entries);
	json_u64(j, "bytes_memlock", fd_memory(m->fd));
	json_u64(j, "frozen", fdinfo_u64(m->fd, "frozen"));
	if (m->info.btf_id)
		json_u64(j, "btf_id", m->info.btf_id);
	if (opt.paths)
		pins_show_json(m->fd);
	json_end(j, '}');
}

static void show_text(const struct mapref *m)
{
	bool frozen = fdinfo_u64(m->fd, "frozen");

	printf("%u: %s  ", m->info.id, map_type_name(m->info.type));
	if (*m->info.name)
		printf("name %s  ", m->info.name);
	printf("flags 0x%x\n\tkey %uB  value %uB  max_entries %u  memlock %lluB\n", m->info.map_flags,
	       m->info.key_size, m->info.value_size, m->info.max_entries, (unsigned long long)fd_memory(m->fd));
	if (m->info.btf_id || frozen)
		printf("\t");
	if (m->info.btf_id)
		printf("btf_id %u%s", m->info.btf_id, frozen ? "  " : "\n");
	if (frozen)
		printf("frozen\n");
	if (opt.paths)
		pins_each(m->fd, pin_text, NULL);
}

static int open_one(int *argc, char ***argv, struct mapref *m)
{
	int fd, rc = handle_one(H_MAP, argc, argv, &fd), err;

	if (rc)
		return rc;
	err = map_open(fd, m);
	return err ? fail_errno(err, "cannot read the map's info") : 0;
}

static int each_map(struct handles *h, bool list, int (*fn)(struct mapref *m))
{
	struct mapref m;
	int rc = 0, err;

	if (opt.json && list)
		json_arr(out_json(), NULL);
	for (u32 i = 0; i < h->n && !rc; i++) {
		err = map_open(h->fd[i], &m);
		h->fd[i] = -1;
		rc = err ? fail_errno(err, "cannot read a map's info") : fn(&m);
		map_close(&m);
	}
	if (opt.json && list)
		json_end(out_json(), ']');
	handles_free(h);
	return rc;
}

static int show_one(struct mapref *m)
{
	if (opt.json)
		show_json(m);
	else
		show_text(m);
	return 0;
}

static int do_show(int argc, char **argv)
{
	struct handles h;
	bool all = !argc;
	int rc = argc ? handle_get(H_MAP, &argc, &argv, true, &h) : handle_all(H_MAP, &h);

	return rc ? rc : each_map(&h, all || h.n > 1, show_one);
}

/* ---- elements ---- */
static void values_json(const struct mapref *m, const u8 *value)
{
	struct json *j = out_json();

	if (!map_percpu(m)) {
		json_bytes(j, "value", value, m->info.value_size);
		return;
	}
	json_arr(j, "values");
	for (u32 c = 0; c < m->ncpus; c++) {
		json_obj(j, NULL);
		json_u64(j, "cpu", c);
		json_bytes(j, "value", value + (size_t)c * m->stride, m->info.value_size);
		json_end(j, '}');
	}
	json_end(j, ']');
}

static void formatted_json(const struct mapref *m, const u8 *key, const u8 *value)
{
	struct json *j = out_json();

	json_obj(j, "formatted");
	if (m->info.btf_key_type_id)
		val_json(j, "key", m->btf, m->info.btf_key_type_id, key, false);
	if (!map_percpu(m)) {
		val_json(j, "value", m->btf, m->info.btf_value_type_id, value, false);
	} else {
		json_arr(j, "values");
		for (u32 c = 0; c < m->ncpus; c++) {
			json_obj(j, NULL);
			json_u64(j, "cpu", c);
			val_json(j, "value", m->btf, m->info.btf_value_type_id, value + (size_t)c * m->stride, false);
			json_end(j, '}');
		}
		json_end(j, ']');
	}
	json_end(j, '}');
}

static int elem_json(void *arg, const void *key, const void *value, int err)
{
	const struct mapref *m = arg;
	struct json *j = out_json();

	json_obj(j, NULL);
	json_bytes(j, "key", key, m->info.key_size);
	if (err) {
		json_obj(j, "value");
		json_str(j, "error", err_text(err));
		json_end(j, '}');
	} else {
		values_json(m, value);
		if (m->btf)
			formatted_json(m, key, value);
	}
	json_end(j, '}');
	return 0;
}

static bool dump_all;			/* -a, --all: zero elements of arrays as well */

static int dump_one(struct mapref *m)
{
	struct map_view v = { .nonzero = !dump_all && m->btf };
	struct map_shown s;
	int err;

	if (opt.json) {
		json_arr(out_json(), NULL);
		err = map_each(m, elem_json, m);
		json_end(out_json(), ']');
		return err ? fail_errno(err, "map %s", m->info.name) : 0;
	}
	err = map_print(m, &v, &s);
	if (err)
		return fail_errno(err, "map %u (%s) of type %s cannot be dumped", m->info.id, m->info.name,
				  map_type_name(m->info.type));
	if (m->btf && !s.elements)
		note("no element");
	else if (s.zero)
		note("%s of %s elements are all zero and not shown (--all shows them)", commas(s.zero), commas(s.elements));
	else if (!m->btf)
		printf("Found %llu element%s\n", (unsigned long long)s.elements, s.elements == 1 ? "" : "s");
	return 0;
}

static int do_dump(int argc, char **argv)
{
	const struct opt_row rows[] = { { "--all|-a", OPT_FLAG, &dump_all }, {} };
	struct handles h;
	int rc = opts_parse(rows, "map dump", &argc, argv);

	rc = rc ? rc : handle_get(H_MAP, &argc, &argv, true, &h);
	return rc ? rc : each_map(&h, h.n > 1, dump_one);
}

int parse_bytes(int *argc, char ***argv, u8 *out, u32 n, const char *what)
{
	bool hex = *argc && is_prefix((*argv)[0], "hex");
	u32 i;

	*argc -= hex;
	*argv += hex;
	for (i = 0; i < n && *argc; i++, (*argc)--, (*argv)++) {
		char *end, *word = (*argv)[0];
		unsigned long v = strtoul(word, &end, hex ? 16 : 0);

		if (*end || end == word || v > 255)
			break;
		out[i] = (u8)v;
	}
	if (i == n)
		return 0;
	return fail(EXIT_USAGE, "%s wants %u bytes (decimal, 0x.., or hexadecimal after 'hex'), there %s %u%s%s%s", what, n,
		    i == 1 ? "is" : "are", i, *argc ? " before '" : "", *argc ? (*argv)[0] : "", *argc ? "'" : "");
}

static int parse_key(int *argc, char ***argv, const struct mapref *m, u8 *key)
{
	if (!*argc || !is_prefix((*argv)[0], "key"))
		return m->info.key_size ? fail(EXIT_USAGE, "which key? Say: key BYTES") : 0;
	(*argc)--;
	(*argv)++;
	return parse_bytes(argc, argv, key, m->info.key_size, "key");
}

/* value BYTES; for maps of maps and programs: value MAP or PROG. Per-CPU: the same for every CPU. */
static int parse_value(int *argc, char ***argv, const struct mapref *m, u8 *value)
{
	const struct spec_map *s = spec_map(m->info.type);
	int fd, rc;

	if (!*argc || !is_prefix((*argv)[0], "value"))
		return fail(EXIT_USAGE, "which value? Say: value BYTES");
	(*argc)--;
	(*argv)++;
	if (s && (s->ops & SPEC_MAP_FD_VALUE) && m->info.value_size == 4) {
		rc = handle_one(s->ops & SPEC_MAP_OF_MAPS ? H_MAP : H_PROG, argc, argv, &fd);
		if (!rc)
			memcpy(value, &fd, sizeof(fd));
		return rc;	/* the fd lives until the process ends */
	}
	rc = parse_bytes(argc, argv, value, m->info.value_size, "value");
	for (u32 c = 1; c < m->ncpus; c++)
		memcpy(value + (size_t)c * m->stride, value, m->info.value_size);
	return rc;
}

static int update_flag(int argc, char **argv, u64 *flags)
{
	static const struct { const char *word; u64 flag; } f[] = {
		{ "any", BPF_ANY }, { "exist", BPF_EXIST }, { "noexist", BPF_NOEXIST },
	};

	*flags = BPF_ANY;
	for (u32 i = 0; argc && i < ARRAY_SIZE(f); i++)
		if (argc == 1 && is_prefix(argv[0], f[i].word)) {
			*flags = f[i].flag;
			return 0;
		}
	return argc ? fail(EXIT_USAGE, "map update: what is '%s'? After the value: any, exist or noexist", argv[0]) : 0;
}

/* A command on one element: parse, act, clean up. */
static int on_element(int argc, char **argv, int (*act)(struct mapref *m, u8 *key, u8 *value, int argc, char **argv))
{
	struct mapref m;
	u8 *key, *value;
	int rc = open_one(&argc, &argv, &m);

	if (rc)
		return rc;
	key = calloc(1, m.info.key_size + 8);
	value = calloc(1, m.value_len + 8);
	if (!key || !value)
		rc = fail_errno(-ENOMEM, "map %s", m.info.name);
	else
		rc = act(&m, key, value, argc, argv);
	free(key);
	free(value);
	map_close(&m);
	return rc;
}

static int no_more(int argc, char **argv)
{
	return argc ? fail(EXIT_USAGE, "what is '%s'?", argv[0]) : 0;
}

static void done_json(void)
{
	if (!opt.json)
		return;
	json_str(out_json(), NULL, NULL);	/* bpftool answers null */
}

static int act_lookup(struct mapref *m, u8 *key, u8 *value, int argc, char **argv)
{
	int rc = parse_key(&argc, &argv, m, key);

	rc = rc ? rc : no_more(argc, argv);
	if (rc)
		return rc;
	if (bpf_map_lookup_elem(m->fd, m->info.key_size ? key : NULL, value)) {
		if (errno != ENOENT)
			return fail_errno(-errno, "lookup in %s", m->info.name);
		return fail(EXIT_FAILED, "no such element in %s", m->info.name);
	}
	if (opt.json)
		return elem_json(m, key, value, 0);
	fputs("key: ", stdout);
	print_hex(key, m->info.key_size, " ");
	putchar('\n');
	for (u32 c = 0; c < m->ncpus; c++) {
		const u8 *val = value + (size_t)c * m->stride;
		struct val_leaf l[48];
		u32 n = m->btf ? val_leaves(m->btf, m->info.btf_value_type_id, "value", l, ARRAY_SIZE(l)) : 0;

		if (map_percpu(m))
			printf("value (CPU %02u): ", c);
		else
			fputs("value: ", stdout);
		print_hex(val, m->info.value_size, " ");
		for (u32 i = 0; i < n; i++) {
			struct sbuf b = {};

			val_text(m->btf, &l[i], val, &b);
			printf("%s%s %s", i ? ", " : "  # ", l[i].name, b.len ? b.s : "");
			sbuf_free(&b);
		}
		putchar('\n');
	}
	return EXIT_OK;
}

static int act_update(struct mapref *m, u8 *key, u8 *value, int argc, char **argv)
{
	int rc = parse_key(&argc, &argv, m, key);
	u64 flags = 0;

	rc = rc ? rc : parse_value(&argc, &argv, m, value);
	rc = rc ? rc : update_flag(argc, argv, &flags);
	if (rc)
		return rc;
	if (bpf_map_update_elem(m->fd, m->info.key_size ? key : NULL, value, flags))
		return fail_errno(-errno, "update of %s", m->info.name);
	done_json();
	return EXIT_OK;
}

static int act_delete(struct mapref *m, u8 *key, u8 *value, int argc, char **argv)
{
	int rc = parse_key(&argc, &argv, m, key);

	rc = rc ? rc : no_more(argc, argv);
	if (rc)
		return rc;
	if (bpf_map_delete_elem(m->fd, key))
		return errno == ENOENT ? fail(EXIT_FAILED, "no such element in %s", m->info.name) :
					 fail_errno(-errno, "delete in %s", m->info.name);
	done_json();
	return EXIT_OK;
}

static int act_getnext(struct mapref *m, u8 *key, u8 *value, int argc, char **argv)
{
	bool first = !argc;
	int rc = first ? 0 : parse_key(&argc, &argv, m, key);
	u8 *next;

	rc = rc ? rc : no_more(argc, argv);
	if (rc)
		return rc;
	next = calloc(1, m->info.key_size + 8);
	if (!next || bpf_map_get_next_key(m->fd, first ? NULL : key, next)) {
		rc = errno == ENOENT ? fail(EXIT_FAILED, "no key behind this one in %s", m->info.name) :
				       fail_errno(-errno, "getnext in %s", m->info.name);
	} else if (opt.json) {
		json_obj(out_json(), NULL);
		if (!first)
			json_bytes(out_json(), "key", key, m->info.key_size);
		json_bytes(out_json(), "next_key", next, m->info.key_size);
		json_end(out_json(), '}');
	} else {
		printf("next key:\n");
		print_hex(next, m->info.key_size, " ");
		putchar('\n');
	}
	free(next);
	return rc;
}

static int do_lookup(int argc, char **argv)  { return on_element(argc, argv, act_lookup); }
static int do_update(int argc, char **argv)  { return on_element(argc, argv, act_update); }
static int do_delete(int argc, char **argv)  { return on_element(argc, argv, act_delete); }
static int do_getnext(int argc, char **argv) { return on_element(argc, argv, act_getnext); }

/* ---- whole maps ---- */
static int do_pin(int argc, char **argv)
{
	int fd, rc = handle_one(H_MAP, &argc, &argv, &fd);

	if (rc)
		return rc;
	rc = argc == 1 ? pin_one(fd, argv[0]) : fail(EXIT_USAGE, "map pin wants MAP and one FILE");
	close(fd);
	return rc;
}

static int do_freeze(int argc, char **argv)
{
	int fd, rc = handle_one(H_MAP, &argc, &argv, &fd);

	rc = rc ? rc : no_more(argc, argv);
	if (!rc && bpf_map_freeze(fd))
		rc = fail_errno(-errno, "freeze");
	return rc;
}

struct create_args {
	const char *type, *name;
	u32 key, value, entries, flags;
	int inner;
};

static int create_words(int *argc, char ***argv, struct create_args *a)
{
	while (*argc >= 2) {
		const char *w = (*argv)[0], *v = (*argv)[1];
		u32 *num = is_prefix(w, "key") ? &a->key : is_prefix(w, "value") ? &a->value :
			   is_prefix(w, "entries") ? &a->entries : is_prefix(w, "flags") ? &a->flags : NULL;
		int rc;

		if (is_prefix(w, "inner_map")) {
			(*argc)--;
			(*argv)++;
			rc = handle_one(H_MAP, argc, argv, &a->inner);
			if (rc)
				return rc;
			continue;
		}
		if (is_prefix(w, "type"))
			a->type = v;
		else if (is_prefix(w, "name"))
			a->name = v;
		else if (!num)
			return fail(EXIT_USAGE, "map create: what is '%s'? see 'skep map create help'", w);
		else if (parse_u32(v, num))
			return fail(EXIT_USAGE, "map create: %s wants a number, not '%s'", w, v);
		*argc -= 2;
		*argv += 2;
	}
	return no_more(*argc, *argv);
}

static int do_create(int argc, char **argv)
{
	struct create_args a = { .inner = -1 };
	LIBBPF_OPTS(bpf_map_create_opts, o);
	const char *file = argc ? argv[0] : NULL;
	int type, fd, rc;

	if (!file)
		return fail(EXIT_USAGE, "map create wants the FILE to pin it to, then its type and sizes");
	argc--;
	argv++;
	rc = create_words(&argc, &argv, &a);
	if (rc)
		return rc;
	type = a.type ? map_type_from(a.type) : -1;
	if (type < 0)
		return fail(EXIT_USAGE, "map create: %s%s%s", a.type ? "unknown type '" : "which type? Say: type TYPE",
			    a.type ? a.type : "", a.type ? "' (see 'skep feature maps')" : "");
	o.map_flags = a.flags;
	if (a.inner >= 0)
		o.inner_map_fd = (u32)a.inner;
	fd = bpf_map_create((enum bpf_map_type)type, a.name, a.key, a.value, a.entries, &o);
	if (fd < 0)
		return fail_errno(-errno, "cannot create a %s map", a.type);
	rc = pin_one(fd, file);
	close(fd);
	return rc;
}

#define MAP "id N | name NAME | pinned FILE"

static const struct cmd commands[] = {
	{ "show",    do_show,    "[MAP]", "list maps. MAP := " MAP },
	{ "list",    do_show,    "[MAP]", "the same" },
	{ "dump",    do_dump,    "MAP [--all]", "every element, by BTF" },
	{ "lookup",  do_lookup,  "MAP key BYTES", "one element" },
	{ "update",  do_update,  "MAP key BYTES value BYTES|MAP|PROG [any|exist|noexist]", "set one element" },
	{ "delete",  do_delete,  "MAP key BYTES", "remove one element" },
	{ "getnext", do_getnext, "MAP [key BYTES]", "the key behind this one; without key, the first" },
	{ "pin",     do_pin,     "MAP FILE", "keep it under bpffs" },
	{ "freeze",  do_freeze,  "MAP", "no more updates from user space" },
	{ "create",  do_create,  "FILE type TYPE key BYTES value BYTES entries N name NAME [flags N] [inner_map MAP]",
	  "make a map, pinned at FILE" },
	{},
};

int cmd_map(int argc, char **argv)
{
	static char *show[] = { (char *)"show", NULL };

	return argc ? cmd_dispatch(commands, "map", argc, argv) : cmd_dispatch(commands, "map", 1, show);
}
