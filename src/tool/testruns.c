/* SPDX-License-Identifier: Apache-2.0 */
/* testruns.c - skep run on the packets of a capture, or on nothing: one program of the object, its test runs, and what came
 * of them.
 *
 * Each packet is one BPF_PROG_TEST_RUN by libbpf: what an unprivileged client of bpf(2) can do. The capture lies in
 * memory meanwhile. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tool/run.h"
#include "tool/table.h"

#define MIN_FRAME	14		/* shorter or longer frames are refused by test runs: not the program's fault */
#define MAX_LINEAR	3520
#define RATE_MIN_NS	50000000	/* shorter runs measure cold caches */

/* ---- what can run on what ---- */
static void why_not(const struct job *k, const struct bpf_program *p, char *out, size_t size)
{
	if (runs_on(p, "packets"))
		snprintf(out, size, k->o.in ? "on packets" : "on packets: give --in CAPTURE");
	else if (attaches(p))
		snprintf(out, size, k->o.in ? "in processes: leave --in out" : "in processes");
	else if (runs_on(p, "nothing"))
		snprintf(out, size, k->o.in ? "without input: leave --in out" : "without input");
	else
		snprintf(out, size, "no: skep cannot run %s programs", prog_type_name(bpf_program__type(p)));
}

static bool fits(const struct job *k, const struct bpf_program *p)
{
	return k->o.in ? runs_on(p, "packets") : runs_on(p, "nothing");
}

static bool runs_at_all(const struct bpf_program *p)
{
	return runs_on(p, "packets") || runs_on(p, "nothing") || attaches(p);
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
	return fail(EXIT_USAGE, "%s: '%s' %s%s", k->src.path, k->o.prog, runs_at_all(k->prog) ? "runs " : "does not run: ",
		    runs_at_all(k->prog) ? why : why + strlen("no: "));
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
	if (!k->o.in && all == 1 && runs_on(p, "packets"))
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
		if (events_drain(k->ev))
			return EXIT_FAILED;
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
		if (events_drain(k->ev))
			return EXIT_FAILED;
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

static int show(const struct job *k, const struct load_stats *ls)
{
	struct json *j = out_json();
	int rc;

	if (!opt.json) {
		if (events_count(k->ev))
			putchar('\n');
		show_head(k, ls);
		return run_show_maps(k);
	}
	json_obj(j, NULL);
	json_head(k, ls);
	rc = run_show_maps(k);
	if (k->o.pin)
		json_str(j, "pinned", k->o.pin);
	json_end(j, '}');
	return rc;
}

/* ---- all of it ---- */
static int prepare(struct job *k)
{
	int rc = choose(k);

	rc = rc ? rc : run_prepare(k);
	if (!rc && k->o.in)
		rc = capture_open(&k->cap, k->o.in);
	if (!rc && k->o.in && capture_note(&k->cap))
		note("%s: link type %s: frames get an Ethernet header with zero addresses", k->o.in,
		     capture_note(&k->cap));
	return rc;
}

int testruns(struct job *k)
{
	struct load_stats ls;
	int rc = prepare(k);

	if (rc)
		return rc;
	load_only(k->obj, k->prog);
	rc = load_object(k->obj, k->prog, &k->src, &k->log);
	if (rc)
		return rc;
	ls = load_log_stats(&k->log);
	if (k->o.pin)
		rc = load_pin(k->obj, k->prog, k->o.pin);
	rc = rc ? rc : events_open(k->ev);
	if (rc)
		return rc;
	run_trace_start(k);
	rc = k->o.in ? run_packets(k) : run_alone(k);
	trace_own_end();
	events_report(k->ev);
	return rc ? rc : show(k, &ls);
}
