/* SPDX-License-Identifier: Apache-2.0 */
/* filter_live.c - skep filter -i: packets of an interface by libpcap (TPACKET_V3 on Linux), which puts VLAN tags that the
 * kernel took off back into the packet; hence the expression is compiled as for a file. With --kernel the kernel runs
 * it, too, before it copies a packet. */
#include <errno.h>
#include <string.h>

#include "tool/filter.h"
#include "tool/libpcap.h"

struct live {
	struct filter_job *k;
	struct filter_code *code;
	pcap_t *pcap;
	struct run run;
	int rc;
};

static pcap_t *looping;			/* libpcap waits on through signals: it is to be told */

static void wake(void)
{
	pcap_breakloop(looping);
}

static void on_packet(u8 *arg, const struct pcap_pkthdr *h, const u8 *data)
{
	struct live *l = (struct live *)(void *)arg;
	struct filter_job *k = l->k;
	struct skep_sk_buff skb = {
		.data = (u8 *)data, .data_end = (u8 *)data + h->caplen, .len = h->caplen, .wire_len = h->len,
	};
	struct cap_rec r = {
		.kind = CAP_PACKET, .data = data, .caplen = h->caplen, .wire = h->len, .sec = (u64)h->ts.tv_sec,
		.nsec = (u32)h->ts.tv_usec,	/* libpcap was asked for nanoseconds */
	};
	u32 v;

	if (l->rc || k->done)
		return;
	k->read++;
	k->bytes += h->caplen;
	if (l->code->use->wants)
		filter_meta(l->code->use, l->code->dlt, &skb);
	v = k->o.check ? filter_check_packet(k, l->code, &skb) : filter_call(l->code->use, &l->run, &skb);
	if (!v)
		return;
	k->matched++;
	if (k->out && cap_out_packet(k->out, &k->in, &r))
		l->rc = fail(EXIT_FAILED, "%s: %s", k->out->path, k->out->error);
	if (l->rc || (k->o.count && filter_progress(k)))
		pcap_breakloop(l->pcap);
}

static int cannot(pcap_t *p, const char *name, int err)
{
	const char *text = pcap_geterr(p);

	if (err == PCAP_ERROR_PERM_DENIED)
		return fail(EXIT_ENV, "%s: capturing needs CAP_NET_RAW: run as root, or: setcap cap_net_raw+ep on skep", name);
	return fail(EXIT_FAILED, "%s: %s", name, text && *text ? text : pcap_statustostr(err));
}

static int open_live(struct live *l)
{
	const struct filter_opts *o = &l->k->o;
	char err[PCAP_ERRBUF_SIZE] = "";
	int r;

	l->pcap = pcap_create(o->iface, err);
	if (!l->pcap)
		return fail(EXIT_FAILED, "%s: %s", o->iface, err);
	pcap_set_snaplen(l->pcap, (int)o->snaplen);
	pcap_set_promisc(l->pcap, o->promisc);
	pcap_set_timeout(l->pcap, 100);
	pcap_set_buffer_size(l->pcap, 16 << 20);
	pcap_set_tstamp_precision(l->pcap, PCAP_TSTAMP_PRECISION_NANO);
	r = pcap_activate(l->pcap);
	if (r < 0)
		return cannot(l->pcap, o->iface, r);
	if (r > 0)
		warn("%s: %s", o->iface, pcap_statustostr(r));
	return 0;
}

static int compile(struct live *l, bool optimise, struct bpf_program *bp)
{
	if (!pcap_compile(l->pcap, bp, l->k->expr, optimise, PCAP_NETMASK_UNKNOWN))
		return 0;
	return fail(EXIT_FAILED, "'%s': %s", l->k->expr, pcap_geterr(l->pcap));
}

static int kernel_filter(struct live *l)
{
	struct bpf_program opt, plain;
	int rc = compile(l, true, &opt), err;
	bool use_plain;

	if (rc)
		return rc;
	rc = compile(l, false, &plain);
	if (!rc) {
		use_plain = l->k->o.no_opt || (l->k->o.check && filter_check_live(l->k, libpcap_insns(&opt), opt.bf_len,
										  libpcap_insns(&plain), plain.bf_len));
		err = pcap_setfilter(l->pcap, use_plain ? &plain : &opt);
		if (err)
			rc = fail(EXIT_FAILED, "%s: the kernel does not take the filter: %s", l->k->o.iface, pcap_geterr(l->pcap));
		pcap_freecode(&plain);
	}
	pcap_freecode(&opt);
	return rc;
}

static int open_out(struct filter_job *k)
{
	k->out = &k->outf;
	if (cap_out_open(k->out, k->o.out, cap_out_format(k->o.out, CAP_PCAP)) || cap_out_start(k->out, &k->in, true))
		return fail(EXIT_FAILED, "%s: %s", k->out->path, k->out->error);
	return 0;
}

/* A batch of packets. Negative at the end, or with l->rc set. */
static int batch(struct live *l)
{
	struct filter_job *k = l->k;
	int n, err = filter_enter(l->code->use, &l->run);

	if (err) {
		l->rc = fail_errno(err, "the filter does not run");
		return 0;
	}
	n = pcap_dispatch(l->pcap, -1, on_packet, (u8 *)l);
	filter_exit(l->code->use, &l->run);
	if (!l->rc && k->out && cap_out_flush(k->out))	/* who watches the file sees packets as they come */
		l->rc = fail(EXIT_FAILED, "%s: %s", k->out->path, k->out->error);
	return n;
}

static int loop(struct live *l)
{
	int n = 0;

	looping = l->pcap;
	filter_wake = wake;
	while (!l->rc && n >= 0 && !filter_progress(l->k))
		n = batch(l);
	filter_wake = NULL;
	if (n == PCAP_ERROR)
		return fail(EXIT_FAILED, "%s: %s", l->k->o.iface, pcap_geterr(l->pcap));
	return l->rc;
}

int filter_live(struct filter_job *k)
{
	struct live l = { .k = k };
	struct cap_iface iface = { .snaplen = k->o.snaplen, .ts_per_sec = 1000000000 };
	struct pcap_stat st;
	int rc = open_live(&l);

	if (!rc) {
		iface.dlt = (u32)pcap_datalink(l.pcap);
		iface.linktype = cap_linktype(iface.dlt);
		k->in = (struct cap_in) { .fd = -1, .iface = &iface, .nr_ifaces = 1 };
		l.code = filter_code(k, iface.dlt, &rc);
	}
	if (!rc && k->o.kernel)
		rc = kernel_filter(&l);
	if (!rc && k->o.out)
		rc = open_out(k);
	if (!rc) {
		note("listening on %s, link type %s", k->o.iface, pcap_datalink_val_to_name((int)iface.dlt));
		rc = loop(&l);
		if (!pcap_stats(l.pcap, &st)) {
			k->dropped = st.ps_drop;
			k->if_dropped = st.ps_ifdrop;
		}
	}
	k->in = (struct cap_in) { .fd = -1 };
	if (l.pcap)
		pcap_close(l.pcap);
	return rc;
}
