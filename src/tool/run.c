/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - skep run: load an object, run one program of it on the packets of a capture (or, if it wants none, just run
 * it), show its maps.
 *
 * Each packet is one BPF_PROG_TEST_RUN by libbpf: what an unprivileged client of bpf(2) can do. The capture lies in
 * memory meanwhile. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spec/spec.h"
#include "tool/load.h"
#include "tool/maps.h"
#include "tool/pcap.h"
#include "tool/table.h"

#define DEFAULT_TOP	20
#define MIN_FRAME	14		/* shorter or longer frames are refused by test runs: not the program's fault */
#define MAX_LINEAR	3520
#define MAX_RETVALS	16
#define RATE_MIN_NS	50000000	/* shorter runs measure cold caches */

struct run_opts {
	const char *in, *prog, *pin, *sort;
	struct opt_list set;
	u32 top, repeat, log_level;
	bool reuse;
	struct cc_opts cc;
};

struct run_stats {
	u64 packets, bytes, ns;
	u64 refused, first_refused;	/* frames that a test run does not take; which packet was the first */
	u32 refused_len;
	int refused_err;
	u32 retvals;			/* distinct ones */
	struct { u32 value; u64 count; } ret[MAX_RETVALS];
	u64 other_ret;
	u32 duration;			/* of runs without packets: ns each */
	u64 shown_at;			/* progress */
};

struct job {
	struct run_opts o;
	struct source src;
	struct bpf_object *obj;
	struct bpf_program *prog;
	struct load_log log;
	struct capture cap;
	struct run_stats st;
};

/* ---- what can run on what ---- */
static const char *runs_on(const struct bpf_program *p)
{
	const struct spec_prog *s = spec_prog(bpf_program__type(p));

	return s && s->runs_on && *s->runs_on ? s->runs_on : NULL;
}

static bool takes_packets(const struct bpf_program *p)
{
	const char *on = runs_on(p);

	return on && !strcmp(on, "packets");
}

static void why_not(const struct job *k, const struct bpf_program *p, char *out, size_t size)
{
	const char *on = runs_on(p), *type = prog_type_name(bpf_program__type(p));

	if (!on)
		snprintf(out, size, "no: skep cannot run %s programs", type);
	else if (takes_packets(p))
		snprintf(out, size, k->o.in ? "on packets" : "on packets: give --in CAPTURE");
	else
		snprintf(out, size, k->o.in ? "without input: leave --in out" : "without input");
}

static bool fits(const struct job *k, const struct bpf_program *p)
{
	return runs_on(p) && takes_packets(p) == (k->o.in != NULL);
}

static void list_programs(const struct job *k)
{
	struct table *t = table_new();
	struct bpf_program *p;
	char why[128];

	table_col(t, "program", false);
	table_col(t, "type", false);
	table_col(t, "runs", false);
	bpf_object__for_each_program(p, k->obj) {
		why_not(k, p, why, sizeof(why));
		table_cell(t, "%s", bpf_program__name(p));
		table_cell(t, "%s", prog_type_name(bpf_program__type(p)));
		table_cell(t, "%s", why);
	}
	if (!opt.json)
		table_print(t, stderr, "  ");
	table_free(t);
}

static int choose_named(struct job *k)
{
	char why[128];

	k->prog = bpf_object__find_program_by_name(k->obj, k->o.prog);
	if (!k->prog) {
		list_programs(k);
		return fail(EXIT_USAGE, "%s has no program '%s'", k->src.path, k->o.prog);
	}
	if (fits(k, k->prog))
		return 0;
	why_not(k, k->prog, why, sizeof(why));
	return fail(EXIT_USAGE, "%s: '%s' %s%s", k->src.path, k->o.prog, runs_on(k->prog) ? "runs " : "does not run: ",
		    runs_on(k->prog) ? why : why + strlen("no: "));
}

static int choose(struct job *k)
{
	u32 all = 0, fit = 0;
	struct bpf_program *p;

	if (k->o.prog)
		return choose_named(k);
	bpf_object__for_each_program(p, k->obj) {
		all++;
		if (fits(k, p) && !fit++)
			k->prog = p;
	}
	if (all > 1)
		list_programs(k);
	if (fit == 1)
		return 0;
	if (fit > 1)
		return fail(EXIT_USAGE, "%s: %u programs can run: say which by --prog NAME", k->src.path, fit);
	p = bpf_object__next_program(k->obj, NULL);
	if (!k->o.in && all == 1 && takes_packets(p))
		return fail(EXIT_USAGE, "%s: '%s' runs on packets: give --in CAPTURE", k->src.path, bpf_program__name(p));
	return fail(EXIT_USAGE, "%s: no program in it can run %s", k->src.path,
		    k->o.in ? "on packets" : "without input");
}

/* ---- running ---- */
static void count_ret(struct run_stats *st, u32 value)
{
	u32 i = 0;

	while (i < st->retvals && st->ret[i].value != value)
		i++;
	if (i == MAX_RETVALS) {
		st->other_ret++;
		return;
	}
	if (i == st->retvals) {
		st->ret[i].value = value;
		st->retvals++;
	}
	st->ret[i].count++;
}

static void progress(struct run_stats *st, u64 t0)
{
	u64 now = now_ns();

	if (now - t0 < 1000000000 || now - st->shown_at < 200000000)
		return;
	st->shown_at = now;
	fprintf(stderr, "\r%s packets, %s MB ", commas(st->packets), commas(st->bytes >> 20));
}

/* One packet. 0, or an error that is not about the frame's length. */
static int run_packet(struct job *k, int fd, struct bpf_test_run_opts *t, const struct packet *p)
{
	int err;

	t->data_in = k->cap.data + p->off;
	t->data_size_in = p->len;
	t->data_size_out = 0;	/* libbpf leaves the last one's size there */
	t->ctx_size_out = 0;
	err = bpf_prog_test_run_opts(fd, t);
	if (!err) {
		count_ret(&k->st, t->retval);
		k->st.packets++;
		k->st.bytes += p->len;
		return 0;
	}
	if (p->len >= MIN_FRAME && p->len <= MAX_LINEAR)
		return err;
	if (!k->st.refused++) {
		k->st.first_refused = k->st.packets + 1;
		k->st.refused_len = p->len;
		k->st.refused_err = err;
	}
	return 0;
}

static int run_failed(const struct job *k, int err)
{
	const char *helper = err == -EOPNOTSUPP ? load_missing_helper(k->prog) : NULL;

	if (helper)
		return fail(EXIT_FAILED, "%s: calls bpf_%s, which skep verifies but cannot run yet",
			    bpf_program__name(k->prog), helper);
	return fail_errno(err, "%s: running on packet %s failed", bpf_program__name(k->prog),
			  commas(k->st.packets + k->st.refused + 1));
}

static int run_chunk(struct job *k, int fd)
{
	struct bpf_test_run_opts t = { .sz = sizeof(t) };
	bool tty = isatty(STDERR_FILENO) && !opt.json;
	u64 t0 = now_ns();
	int err = 0;

	for (u32 i = 0; i < k->cap.n && !err; i++) {
		err = run_packet(k, fd, &t, &k->cap.pkts[i]);
		trace_own_show();
		if (tty && !(i & 4095))
			progress(&k->st, t0 - k->st.ns);
	}
	k->st.ns += now_ns() - t0;
	return err ? run_failed(k, err) : 0;
}

/* The capture once. It stays in memory if it fits into one chunk. */
static int run_pass(struct job *k, int fd)
{
	int rc;

	if (k->cap.whole)
		return run_chunk(k, fd);
	do {
		rc = capture_next(&k->cap);
		rc = rc ? rc : run_chunk(k, fd);
	} while (!rc && k->cap.n && !k->cap.whole);
	return rc;
}

static int run_packets(struct job *k)
{
	int fd = bpf_program__fd(k->prog), rc = 0;

	for (u32 r = 0; r < k->o.repeat && !rc; r++) {
		rc = r ? capture_rewind(&k->cap) : 0;
		rc = rc ? rc : run_pass(k, fd);
	}
	if (k->st.shown_at)
		fputs("\r\033[K", stderr);
	if (k->cap.snapped)
		warn("%s: %s packet%s shortened by the capture's snap length; the program saw what is there",
		     k->cap.path, commas(k->cap.snapped), k->cap.snapped == 1 ? " was" : "s were");
	if (k->st.refused)
		warn("%s packet%s not run: too short or too long for a test run (first: packet %s, %s bytes: %s)",
		     commas(k->st.refused), k->st.refused == 1 ? " was" : "s were", commas(k->st.first_refused),
		     commas(k->st.refused_len), err_text(k->st.refused_err));
	return rc;
}

static int run_alone(struct job *k)
{
	struct bpf_test_run_opts t = { .sz = sizeof(t), .repeat = (int)k->o.repeat };
	u32 type = bpf_program__type(k->prog);
	int err;

	/* Only programs on packets and contexts know `repeat`; the kernel refuses it for these. */
	if (type == BPF_PROG_TYPE_SYSCALL || type == BPF_PROG_TYPE_RAW_TRACEPOINT)
		t.repeat = 0;
	for (u32 r = 0; r < (t.repeat ? 1 : k->o.repeat); r++) {
		err = bpf_prog_test_run_opts(bpf_program__fd(k->prog), &t);
		if (err)
			return fail_errno(err, "%s: running failed", bpf_program__name(k->prog));
		count_ret(&k->st, t.retval);
	}
	k->st.duration = t.duration;
	return 0;
}

/* ---- showing ---- */
static const struct {
	u32 type, value;
	const char *name;
} ret_names[] = {
	{ BPF_PROG_TYPE_XDP, 0, "XDP_ABORTED" },	{ BPF_PROG_TYPE_XDP, 1, "XDP_DROP" },
	{ BPF_PROG_TYPE_XDP, 2, "XDP_PASS" },		{ BPF_PROG_TYPE_XDP, 3, "XDP_TX" },
	{ BPF_PROG_TYPE_XDP, 4, "XDP_REDIRECT" },
	{ BPF_PROG_TYPE_SCHED_CLS, ~0u, "TC_ACT_UNSPEC" },	{ BPF_PROG_TYPE_SCHED_CLS, 0, "TC_ACT_OK" },
	{ BPF_PROG_TYPE_SCHED_CLS, 1, "TC_ACT_RECLASSIFY" },	{ BPF_PROG_TYPE_SCHED_CLS, 2, "TC_ACT_SHOT" },
	{ BPF_PROG_TYPE_SCHED_CLS, 3, "TC_ACT_PIPE" },		{ BPF_PROG_TYPE_SCHED_CLS, 4, "TC_ACT_STOLEN" },
	{ BPF_PROG_TYPE_SCHED_CLS, 7, "TC_ACT_REDIRECT" },
};

static const char *ret_name(u32 type, u32 value)
{
	static char b[16];

	for (u32 i = 0; i < ARRAY_SIZE(ret_names); i++)
		if (ret_names[i].type == type && ret_names[i].value == value)
			return ret_names[i].name;
	snprintf(b, sizeof(b), "%d", (s32)value);
	return b;
}

static void show_head(const struct job *k, const struct load_stats *ls)
{
	const struct run_stats *st = &k->st;
	u32 type = bpf_program__type(k->prog);

	if (k->o.in)
		printf("%s: %s packets, %s bytes\n", k->o.in, commas(st->packets), commas(st->bytes));
	printf("%s (%s): %s instructions, verified in %.1f ms", bpf_program__name(k->prog), prog_type_name(type),
	       commas(bpf_program__insn_cnt(k->prog)), (double)ls->usec / 1000);
	if (st->packets && st->ns)
		printf(", ran in %.1f ms", (double)st->ns / 1e6);
	if (st->ns > RATE_MIN_NS)
		printf(" (%.1f M packets/s)", (double)st->packets * 1e3 / (double)st->ns);
	if (!st->packets && st->duration)
		printf(", ran in %s ns", commas(st->duration));
	printf("\nreturned: ");
	for (u32 i = 0; i < st->retvals; i++)
		printf("%s%s %s", i ? ", " : "", ret_name(type, st->ret[i].value), commas(st->ret[i].count));
	if (st->other_ret)
		printf(", other values %s", commas(st->other_ret));
	puts(st->retvals ? "" : "nothing (no packet)");
}

static void json_head(const struct job *k, const struct load_stats *ls)
{
	const struct run_stats *st = &k->st;
	u32 type = bpf_program__type(k->prog);
	struct json *j = out_json();

	json_str(j, "file", k->src.path);
	json_str(j, "prog", bpf_program__name(k->prog));
	json_str(j, "type", prog_type_name(type));
	json_u64(j, "insns", bpf_program__insn_cnt(k->prog));
	json_u64(j, "verified_us", ls->usec);
	if (k->o.in) {
		json_str(j, "capture", k->o.in);
		json_u64(j, "packets", st->packets);
		json_u64(j, "bytes", st->bytes);
		json_u64(j, "not_run", st->refused);
		json_bool(j, "capture_cut", k->cap.cut);
		json_u64(j, "run_ns", st->ns);
	}
	json_obj(j, "returned");
	for (u32 i = 0; i < st->retvals; i++)
		json_u64(j, ret_name(type, st->ret[i].value), st->ret[i].count);
	json_end(j, '}');
}

/* Which maps there is something to show of: those whose elements can be walked, not the constants. */
static bool shows(const struct bpf_map *m)
{
	const struct spec_map *s = spec_map(bpf_map__type(m));

	if (bpf_map__fd(m) < 0 || !s || !(s->ops & SPEC_MAP_NEXT))
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

static int show(const struct job *k, const struct load_stats *ls)
{
	struct json *j = out_json();
	struct bpf_map *m;
	int rc = 0;

	if (opt.json) {
		json_obj(j, NULL);
		json_head(k, ls);
		json_obj(j, "maps");
	} else {
		show_head(k, ls);
	}
	bpf_object__for_each_map(m, k->obj)
		if (!rc && shows(m))
			rc = show_map(k, m);
	if (opt.json) {
		json_end(j, '}');
		if (k->o.pin)
			json_str(j, "pinned", k->o.pin);
		json_end(j, '}');
	}
	return rc;
}

/* ---- all of it ---- */
static int prepare(struct job *k)
{
	int rc = choose(k);

	for (u32 i = 0; i < k->o.set.n && !rc; i++)
		rc = load_set_global(k->obj, k->o.set.s[i]);
	if (!rc && k->o.pin)
		rc = k->o.reuse ? load_reuse_pins(k->obj, k->o.pin) : load_check_free(k->o.pin);
	if (!rc && k->o.in)
		rc = capture_open(&k->cap, k->o.in);
	if (!rc && k->o.in && capture_note(&k->cap))
		note("%s: link type %s: frames get an Ethernet header with zero addresses", k->o.in,
		     capture_note(&k->cap));
	return rc;
}

static int work(struct job *k)
{
	struct load_stats ls;
	int rc = prepare(k);

	rc = rc ? rc : load_log_init(&k->log, k->o.log_level);
	if (rc)
		return rc;
	load_only(k->obj, k->prog);
	rc = load_object(k->obj, k->prog, &k->src, &k->log);
	if (rc)
		return rc;
	ls = load_log_stats(&k->log);
	if (k->o.pin)
		rc = load_pin(k->obj, k->prog, k->o.pin);
	if (rc)
		return rc;
	trace_own_start();
	rc = k->o.in ? run_packets(k) : run_alone(k);
	trace_own_end();
	return rc ? rc : show(k, &ls);
}

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
	if (o->reuse && !o->pin)
		return fail(EXIT_USAGE, "--reuse-pins goes with --pin NAME");
	return o->repeat ? 0 : fail(EXIT_USAGE, "--repeat wants 1 or more");
}

int cmd_run(int argc, char **argv)
{
	struct job k = { .o = { .top = DEFAULT_TOP, .repeat = 1 } };
	int rc = parse(&k, &argc, argv);

	rc = rc ? rc : source_get(argv[0], &k.o.cc, &k.src);
	if (rc)
		return rc;
	k.obj = source_open(&k.src, &rc);
	if (k.obj)
		rc = work(&k);
	capture_close(&k.cap);
	bpf_object__close(k.obj);
	load_log_free(&k.log);
	source_free(&k.src);
	return rc;
}
