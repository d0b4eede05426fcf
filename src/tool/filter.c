/* SPDX-License-Identifier: Apache-2.0 */
/* filter.c - skep filter: packets of a capture file or an interface that an expression of tcpdump's (or a classic program)
 * lets through. The expression is compiled by libpcap for the link type, translated to eBPF, verified, compiled. */
#include "tool/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sbuf.h"
#include "tool/libpcap.h"

volatile bool filter_stop;
void (*volatile filter_wake)(void);

/* ---- compiling ---- */
static const char *link_name(u32 dlt, char buf[24])
{
	const char *n = pcap_datalink_val_to_name((int)dlt);

	if (n)
		snprintf(buf, 24, "%.20s", n);
	else
		snprintf(buf, 24, "%u", dlt);
	return buf;
}

static int load(const struct sock_filter *f, u32 n, u32 flags, struct filter **out)
{
	struct cbpf_reason why = {};
	int err = filter_open(f, n, flags, "filter", out, &why);

	if (err == -EINVAL)
		return fail(EXIT_FAILED, "the filter is not valid: instruction %d: %s", why.insn, why.text);
	if (err)
		return fail_errno(err, "the filter");
	if (!(*out)->prog)
		warn("the filter is interpreted: loading it as a program failed: %s", err_text((*out)->load_err));
	return 0;
}

static int compile(const struct filter_job *k, u32 dlt, bool optimise, struct filter **out)
{
	pcap_t *p = pcap_open_dead((int)dlt, CAP_MIN_SNAPLEN);
	struct bpf_program bp;
	char name[24];
	int rc;

	if (!p)
		return fail(EXIT_ENV, "out of memory");
	if (pcap_compile(p, &bp, k->expr, optimise, PCAP_NETMASK_UNKNOWN)) {
		rc = fail(EXIT_FAILED, "'%s' for link type %s: %s", k->expr, link_name(dlt, name), pcap_geterr(p));
	} else {
		rc = load(libpcap_insns(&bp), bp.bf_len, CBPF_LIBPCAP, out);
		pcap_freecode(&bp);
	}
	pcap_close(p);
	return rc;
}

static int compile_both(const struct filter_job *k, struct filter_code *c)
{
	int rc = 0;

	if (k->classic)
		rc = load(k->classic->f, k->classic->n, 0, &c->opt);
	else if (!k->o.no_opt)
		rc = compile(k, c->dlt, true, &c->opt);
	if (!rc && !k->classic && (k->o.no_opt || k->o.check))
		rc = compile(k, c->dlt, false, &c->plain);
	c->use = c->opt ? c->opt : c->plain;
	return rc;
}

struct filter_code *filter_code(struct filter_job *k, u32 dlt, int *rc)
{
	struct filter_code *c;

	for (c = k->codes; c; c = c->next)
		if (c->dlt == dlt)
			return c;
	c = calloc(1, sizeof(*c));
	if (!c) {
		*rc = fail(EXIT_ENV, "out of memory");
		return NULL;
	}
	c->dlt = dlt;
	c->next = k->codes;
	k->codes = c;
	*rc = compile_both(k, c);
	if (!*rc && k->o.check && c->plain && c->opt)
		filter_check_generated(k, c);
	return *rc ? NULL : c;
}

static void free_codes(struct filter_job *k)
{
	for (struct filter_code *c = k->codes, *next; c; c = next) {
		next = c->next;
		filter_close(c->opt);
		filter_close(c->plain);
		free(c);
	}
}

void filter_meta(const struct filter *f, u32 dlt, struct skep_sk_buff *skb)
{
	u32 type = 0;

	if (dlt == DLT_EN10MB && skb->len >= 14) {
		type = (u32)skb->data[12] << 8 | skb->data[13];
		skb->mac = skb->data;
		skb->pkt_type = skb->data[0] == 0xff ? 1 : skb->data[0] & 1 ? 2 : 0;
	} else if (skb->len && dlt != DLT_EN10MB) {
		type = skb->data[0] >> 4 == 4 ? 0x0800 : skb->data[0] >> 4 == 6 ? 0x86dd : 0;
		skb->mac = NULL;
		skb->pkt_type = 0;
	}
	skb->protocol = htons((u16)type);
	cbpf_prepare(skb, f->wants, dlt == DLT_EN10MB ? 1 : 0xfffe);
}

/* ---- printing programs ---- */
static int print_classic(const struct filter_job *k, const struct filter *f)
{
	struct classic *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return fail(EXIT_ENV, "out of memory");
	memcpy(c->f, f->f, f->n * sizeof(*f->f));
	c->n = f->n;
	rc = classic_print(c, &k->o.style, CBPF_D);
	free(c);
	return rc;
}

/* As `prog dump` prints it. */
static int print_loaded(const struct filter *f, const char *what)
{
	char id[16];
	char *argv[] = { (char *)"dump", (char *)what, (char *)"id", id, NULL };

	if (!f->prog)
		return fail(EXIT_FAILED, "the program is interpreted: there is no such code");
	snprintf(id, sizeof(id), "%u", f->prog->id);
	return cmd_prog(4, argv);
}

static int print_code(struct filter_job *k)
{
	struct filter_code *c;
	int rc = 0, dlt = DLT_EN10MB;

	if (k->o.link) {
		dlt = pcap_datalink_name_to_val(k->o.link);
		if (dlt < 0)
			return fail(EXIT_USAGE, "no link type is called '%s'", k->o.link);
	} else if (k->in.nr_ifaces) {
		dlt = (int)k->in.iface[0].dlt;
	}
	c = filter_code(k, (u32)dlt, &rc);
	if (!c)
		return rc;
	if (k->o.ebpf || k->o.native)
		return print_loaded(c->use, k->o.ebpf ? "xlated" : "jited");
	return print_classic(k, c->use);
}

/* ---- files ---- */
bool filter_progress(struct filter_job *k)
{
	static int tty = -1;
	u64 now;

	if (k->o.count && k->matched >= k->o.count)
		k->done = true;
	if (tty < 0)
		tty = isatty(STDERR_FILENO) && !opt.json;
	if (!tty)
		return k->done || filter_stop;
	now = now_ns();
	if (now - k->t0 > 1000000000 && now - k->shown_at > 200000000) {
		k->shown_at = now;
		fprintf(stderr, "\rread %s  matched %s ", commas(k->read), commas(k->matched));
	}
	return k->done || filter_stop;
}

static void before_refill(void *arg)
{
	struct filter_job *k = arg;

	cap_out_flush(k->out);			/* an error stays in o->error */
}

/* What is needed of one interface, by its number; refreshed when the file describes new ones. */
struct by_iface {
	struct filter_code **v;
	u32 n;
};

static int new_ifaces(struct filter_job *k, struct by_iface *b)
{
	struct filter_code **v;
	int rc = 0;

	v = reallocarray(b->v, MAX(k->in.nr_ifaces, 1), sizeof(*v));
	if (!v)
		return fail(EXIT_ENV, "out of memory");
	b->v = v;
	b->n = 0;
	while (b->n < k->in.nr_ifaces && !rc) {
		v[b->n] = filter_code(k, k->in.iface[b->n].dlt, &rc);
		b->n += !rc;
	}
	return rc;
}

static int out_error(const struct filter_job *k)
{
	return fail(EXIT_FAILED, "%s: %s", strcmp(k->out->path, "-") ? k->out->path : "stdout", k->out->error);
}

struct runner {
	const struct filter *f;		/* entered */
	struct run run;
};

static int switch_to(struct runner *r, const struct filter *f)
{
	int err = 0;

	if (r->f)
		filter_exit(r->f, &r->run);
	r->f = NULL;
	if (f)
		err = filter_enter(f, &r->run);
	if (!err)
		r->f = f;
	return err ? fail_errno(err, "the filter does not run") : 0;
}

static u32 evaluate(struct filter_job *k, struct runner *r, struct filter_code *c, struct skep_sk_buff *skb)
{
	if (unlikely(c->use->wants))
		filter_meta(c->use, c->dlt, skb);
	if (unlikely(k->o.check && c->plain))
		return filter_check_packet(k, c, skb);
	return filter_call(c->use, &r->run, skb);
}

static int one_packet(struct filter_job *k, struct runner *r, struct filter_code *c, const struct cap_rec *rec,
		      struct skep_sk_buff *skb)
{
	if (unlikely(r->f != c->use) && !(k->o.check && c->plain)) {
		int rc = switch_to(r, c->use);

		if (rc)
			return rc;
	}
	skb->data = (u8 *)rec->data;
	skb->data_end = skb->data + rec->caplen;
	skb->len = rec->caplen;
	skb->wire_len = rec->wire;
	k->read++;
	k->bytes += rec->caplen;
	if (!evaluate(k, r, c, skb))
		return 0;
	k->matched++;
	return k->out && cap_out_packet(k->out, &k->in, rec) ? out_error(k) : 0;
}

static int packets(struct filter_job *k)
{
	struct skep_sk_buff skb = { .ifindex = 0 };
	struct runner run = {};
	struct by_iface by = {};
	struct cap_rec rec;
	int got, rc = new_ifaces(k, &by);

	while (!rc && (got = cap_next(&k->in, &rec)) > 0) {
		if (rec.kind == CAP_BLOCK) {
			if (k->out && cap_out_block(k->out, &rec))
				rc = out_error(k);
			if (!rc && k->in.nr_ifaces != by.n)
				rc = new_ifaces(k, &by);
			continue;
		}
		rc = one_packet(k, &run, by.v[rec.iface], &rec, &skb);
		if (!rc && (!(k->read & 0xffff) || unlikely(k->o.count)) && filter_progress(k))
			break;
	}
	if (!rc && k->out && k->out->error[0])
		rc = out_error(k);
	if (!rc && !k->done && got < 0)
		rc = fail(EXIT_FAILED, "%s: %s", k->in.path, k->in.error);
	switch_to(&run, NULL);
	free(by.v);
	return rc;
}

static int open_in(struct filter_job *k)
{
	const char *path = k->o.in;
	int fd = STDIN_FILENO;

	if (strcmp(path, "-"))
		fd = open(path, O_RDONLY | O_CLOEXEC);
	else
		path = "stdin";
	if (fd < 0)
		return fail_errno(-errno, "%s", path);
	k->in.stop = &filter_stop;
	if (cap_open(&k->in, fd, path))
		return fail(EXIT_FAILED, "%s: %s", path, k->in.error);
	return 0;
}

static int open_out(struct filter_job *k)
{
	enum cap_format f = cap_out_format(k->o.out, k->in.format);

	if (!strcmp(k->o.out, "-") && isatty(STDOUT_FILENO))
		return fail(EXIT_USAGE, "-w - writes a capture: send it to a file or a pipe");
	if (k->o.in && strcmp(k->o.in, "-") && !strcmp(k->o.in, k->o.out))
		return fail(EXIT_USAGE, "%s: cannot be read and written at once", k->o.in);
	k->out = &k->outf;
	if (cap_out_open(k->out, k->o.out, f) || cap_out_start(k->out, &k->in, k->in.nr_ifaces &&
							       k->in.iface[0].ts_per_sec != 1000000))
		return out_error(k);
	k->in.before_refill = before_refill;
	k->in.refill_arg = k;
	return 0;
}

/* ---- totals ---- */
static const char *engine(const struct filter_job *k)
{
	const struct filter *f = k->codes ? k->codes->use : NULL;

	if (!f || !f->prog)
		return "interpreted";
	return f->prog->code ? "x86-64 JIT" : "eBPF, interpreted";
}

static void totals(const struct filter_job *k)
{
	double s = (double)(now_ns() - k->t0) / 1e9;

	if (k->shown_at)
		fputs("\r\033[K", stderr);
	if (opt.json) {
		struct json *j = out_json();

		json_obj(j, NULL);
		json_u64(j, "read", k->read);
		json_u64(j, "matched", k->matched);
		json_u64(j, "bytes", k->bytes);
		json_double(j, "seconds", s);
		json_str(j, "engine", engine(k));
		if (k->o.iface) {
			json_u64(j, "dropped", k->dropped);
			json_u64(j, "if_dropped", k->if_dropped);
		}
		if (k->o.check) {
			json_u64(j, "checked", k->checked);
			json_u64(j, "disagreed", k->disagreed - k->disagreed_short);
			json_u64(j, "disagreed_short", k->disagreed_short);
		}
		json_end(j, '}');
		return;
	}
	fprintf(stderr, "read %s  matched %s  %.2f s (%.1f Mpkt/s, cBPF -> %s)\n", commas(k->read), commas(k->matched), s,
		s > 0 ? (double)k->read / s / 1e6 : 0, engine(k));
	if (k->dropped || k->if_dropped)
		fprintf(stderr, "dropped by the kernel %s, by the interface %s\n", commas(k->dropped), commas(k->if_dropped));
}

static void on_signal(int sig)
{
	void (*wake)(void) = filter_wake;

	filter_stop = true;
	if (wake)
		wake();
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };	/* no SA_RESTART: a read is to end */

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);		/* write(2) says it */
}

/* ---- all of it ---- */
static bool prints(const struct filter_opts *o)
{
	return o->style.d || o->style.comma || o->style.raw || o->style.assembly || o->ebpf || o->native;
}

static int run_file(struct filter_job *k)
{
	int rc;

	if (k->o.out) {
		rc = open_out(k);
		if (rc)
			return rc;
	}
	rc = packets(k);
	if (k->in.cut)
		warn("%s: cut off inside packet %s: what comes before it is complete", k->in.path, commas(k->in.packets + 1));
	return rc ? rc : k->in.cut ? EXIT_FAILED : 0;
}

static int check_alone(struct filter_job *k)
{
	int rc = 0, dlt = k->o.link ? pcap_datalink_name_to_val(k->o.link) : DLT_EN10MB;

	if (dlt < 0)
		return fail(EXIT_USAGE, "no link type is called '%s'", k->o.link);
	if (filter_code(k, (u32)dlt, &rc))
		rc = filter_check_failed(k) ? EXIT_FAILED : 0;
	return rc;
}

static int work(struct filter_job *k)
{
	int rc = 0, rc2;

	if (k->o.in)
		rc = open_in(k);
	if (rc)
		return rc;
	if (prints(&k->o))
		return print_code(k);
	catch_signals();
	k->t0 = now_ns();
	rc = k->o.in ? run_file(k) : k->o.iface ? filter_live(k) : check_alone(k);
	if (k->out && !k->out->error[0]) {
		rc2 = cap_out_close(k->out) ? out_error(k) : 0;
		rc = rc ? rc : rc2;
	} else if (k->out) {
		cap_out_close(k->out);
	}
	if (k->o.check)
		filter_check_report(k);
	if (rc != EXIT_USAGE && rc != EXIT_ENV && (k->read || !rc) && (k->o.in || k->o.iface))
		totals(k);
	return rc;
}

static int parse(struct filter_opts *o, int *argc, char **argv)
{
	const struct opt_row rows[] = {
		{ "-r|--in",          OPT_STR,  &o->in },
		{ "-w|--out",         OPT_STR,  &o->out },
		{ "-i|--interface",   OPT_STR,  &o->iface },
		{ "-c|--count",       OPT_U32,  &o->count },
		{ "-s|--snaplen",     OPT_U32,  &o->snaplen },
		{ "-y|--link-type",   OPT_STR,  &o->link },
		{ "-F|--program",     OPT_STR,  &o->program },
		{ "-D|--define",      OPT_LIST, &o->names },
		{ "-O|--no-optimize", OPT_FLAG, &o->no_opt },
		{ "-E|--ebpf",        OPT_FLAG, &o->ebpf },
		{ "-J|--native",      OPT_FLAG, &o->native },
		{ "--comma",          OPT_FLAG, &o->style.comma },
		{ "--asm",            OPT_FLAG, &o->style.assembly },
		{ "--raw",            OPT_FLAG, &o->style.raw },
		{ "--check",          OPT_FLAG, &o->check },
		{ "--check-packets",  OPT_U32,  &o->check_packets },
		{ "--witness",        OPT_STR,  &o->witness },
		{ "--promisc",        OPT_FLAG, &o->promisc },
		{ "--kernel",         OPT_FLAG, &o->kernel },
		{},
	};

	classic_take_d(&o->style, argc, argv);
	return opts_parse(rows, "filter", argc, argv);
}

static int usage(const struct filter_job *k, int words)
{
	const struct filter_opts *o = &k->o;

	if (o->in && o->iface)
		return fail(EXIT_USAGE, "-r and -i exclude each other");
	if (o->program && words)
		return fail(EXIT_USAGE, "-F gives the program: what is '%s'?", k->expr);
	if (o->program && (o->check || o->no_opt))
		return fail(EXIT_USAGE, "--check and -O are about expressions, not programs");
	if (o->check && o->no_opt)
		return fail(EXIT_USAGE, "--check compares what -O leaves out");
	if (!o->in && !o->iface && !prints(o) && !o->check)
		return fail(EXIT_USAGE, "skep filter wants packets (-r FILE or -i INTERFACE), or -d to print the program");
	if (o->out && !o->in && !o->iface)
		return fail(EXIT_USAGE, "-w goes with -r or -i");
	return 0;
}

/* All words are the expression, as in tcpdump. */
static char *join(int argc, char **argv)
{
	struct sbuf b = {};

	sbuf_puts(&b, "");
	for (int i = 0; i < argc; i++)
		sbuf_printf(&b, "%s%s", i ? " " : "", argv[i]);
	return b.s ? b.s : strdup("");
}

/* "net 10/8": people write it, libpcap takes a lone number for a whole address and refuses the slash. As "net 10.0.0.0/8". */
static char *spell_nets(char *expr)
{
	struct sbuf b = {};
	const char *done = expr, *at = expr;
	char *out;

	sbuf_puts(&b, "");
	while ((at = strstr(at, "net "))) {
		const char *n = at + 4 + strspn(at + 4, " "), *end = n + strspn(n, "0123456789");
		bool word = at == expr || strchr(" (!", at[-1]);

		if (word && end > n && *end == '/' && end[1] >= '0' && end[1] <= '9') {
			sbuf_printf(&b, "%.*s.0.0.0", (int)(end - done), done);
			done = end;
		}
		at = end;
	}
	sbuf_puts(&b, done);
	out = b.s ? b.s : strdup(expr);
	free(expr);
	return out;
}

int cmd_filter(int argc, char **argv)
{
	struct filter_job k = { .o = { .check_packets = 20000, .witness = "witness.pcap", .snaplen = CAP_MIN_SNAPLEN } };
	int rc = parse(&k.o, &argc, argv);

	if (rc)
		return rc;
	k.expr = spell_nets(join(argc, argv));
	rc = usage(&k, argc);
	if (!rc && k.o.program) {
		k.classic = calloc(1, sizeof(*k.classic));
		rc = k.classic ? classic_read(k.classic, k.o.program, &k.o.names) : fail(EXIT_ENV, "out of memory");
		rc = rc ? rc : classic_check(k.classic, 0);
	}
	if (!rc)
		rc = work(&k);
	if (k.in.buf)
		cap_close(&k.in);
	free_codes(&k);
	free(k.classic);
	free(k.expr);
	return rc;
}
