/* SPDX-License-Identifier: Apache-2.0 */
/* filter_check.c - skep filter --check: libpcap's optimised and plain code on the same packets. The optimiser is known to be
 * wrong at times (libpcap#1513); the plain code is what the expression says. The first packet that tells them apart
 * is written to a file. */
#include <string.h>

#include "tool/filter.h"
#include "vm/cbpf_gen.h"

static u32 call(const struct filter *f, struct skep_sk_buff *skb)
{
	struct run r;
	u32 v;

	if (filter_enter(f, &r))
		return cbpf_run(f->f, f->n, f->flags, skb);
	v = filter_call(f, &r, skb);
	filter_exit(f, &r);
	return v;
}

static void write_witness(struct filter_job *k, u32 dlt, const struct skep_sk_buff *skb)
{
	const struct cap_iface iface = { .dlt = dlt, .linktype = cap_linktype(dlt), .ts_per_sec = 1000000 };
	const struct cap_in in = { .fd = -1, .format = CAP_PCAP, .iface = (struct cap_iface *)&iface, .nr_ifaces = 1 };
	const struct cap_rec r = { .kind = CAP_PACKET, .data = skb->data, .caplen = skb->len, .wire = skb->wire_len };
	struct cap_out o;
	int err = cap_out_open(&o, k->o.witness, CAP_PCAP);

	err = err ? err : cap_out_start(&o, &in, false);
	err = err ? err : cap_out_packet(&o, &in, &r);
	if (cap_out_close(&o) || err)
		warn("%s: %s", k->o.witness, o.error);
	else
		k->witness_written = true;
}

/* Do the two agree once nothing that they read is missing? Plain code reads more: of a packet that ends too early it may
 * say no where optimised code never looked. */
static bool agree_on_whole(const struct filter_code *c, const struct skep_sk_buff *skb)
{
	static u8 buf[CAP_MIN_SNAPLEN + 512];
	struct skep_sk_buff whole = *skb;
	u32 n = MIN(skb->len, CAP_MIN_SNAPLEN);

	memcpy(buf, skb->data, n);
	memset(buf + n, 0, 512);
	whole.data = buf;
	whole.mac = skb->mac ? buf : NULL;
	whole.len = n + 512;
	whole.data_end = buf + whole.len;
	return !call(c->plain, &whole) == !call(c->opt, &whole);
}

u32 filter_check_packet(struct filter_job *k, struct filter_code *c, struct skep_sk_buff *skb)
{
	u32 plain = call(c->plain, skb), opt = call(c->opt, skb);

	k->checked++;
	if (!plain == !opt)
		return plain;
	k->disagreed++;
	c->use = c->plain;
	if (agree_on_whole(c, skb)) {
		k->disagreed_short++;
		return plain;
	}
	if (k->disagreed - k->disagreed_short == 1) {
		write_witness(k, c->dlt, skb);
		warn("optimised and plain code disagree on a packet (libpcap#1513 is one such case); using the plain one%s%s",
		     k->witness_written ? ": see " : "", k->witness_written ? k->o.witness : "");
	}
	return plain;
}

void filter_check_generated(struct filter_job *k, struct filter_code *c)
{
	const struct filter *which[] = { c->plain, c->opt };
	u8 buf[CBPF_GEN_MAX];

	for (u32 w = 0; w < 2; w++) {
		struct cbpf_gen g = { .seed = 1, .f = which[w]->f, .n = which[w]->n };

		for (u32 i = 0; i < k->o.check_packets / 2 && !filter_stop; i++) {
			u32 wire, len = cbpf_gen_packet(&g, buf, &wire);
			struct skep_sk_buff skb = { .data = buf, .data_end = buf + len, .len = len, .wire_len = wire };

			filter_check_packet(k, c, &skb);
		}
	}
}

bool filter_check_live(struct filter_job *k, const struct sock_filter *opt, u32 nr_opt, const struct sock_filter *plain,
		       u32 nr_plain)
{
	u64 wrong = 0, n = k->o.check_packets;
	u8 buf[CBPF_GEN_MAX];

	if (cbpf_check(opt, nr_opt, CBPF_LIBPCAP, NULL) || cbpf_check(plain, nr_plain, CBPF_LIBPCAP, NULL))
		return false;
	for (u64 i = 0; i < n && !filter_stop; i++) {
		static struct cbpf_gen g = { .seed = 1 };
		u32 wire, len;
		struct skep_sk_buff skb = {};

		g.f = i & 1 ? opt : plain;
		g.n = i & 1 ? nr_opt : nr_plain;
		len = cbpf_gen_packet(&g, buf, &wire);
		memset(buf + len, 0, sizeof(buf) - len);	/* whole: the kernel's packets are */
		skb = (struct skep_sk_buff) {
			.data = buf, .data_end = buf + sizeof(buf), .len = sizeof(buf), .wire_len = sizeof(buf),
			.vlan_present = g.seed >> 20 & 1, .vlan_tci = g.seed >> 21 & 0xfff, .vlan_proto = 0x0081,
		};
		wrong += !cbpf_run(opt, nr_opt, CBPF_LIBPCAP, &skb) != !cbpf_run(plain, nr_plain, CBPF_LIBPCAP, &skb);
	}
	k->checked += n;
	if (!wrong)
		return false;
	k->disagreed += wrong;
	warn("optimised and plain code for the kernel disagree on %s of %s packets (libpcap#1513 is one such case); "
	     "the kernel gets the plain one", commas(wrong), commas(n));
	return true;
}

void filter_check_report(const struct filter_job *k)
{
	if (!k->checked)
		return;
	if (filter_check_failed(k))
		note("checked %s packets: optimised and plain code disagree on %s", commas(k->checked),
		     commas(k->disagreed - k->disagreed_short));
	else
		note("checked %s packets: optimised and plain code agree", commas(k->checked));
	if (k->disagreed_short)
		note("they differ on %s packet%s cut short where the filter reads; the plain code is used",
		     commas(k->disagreed_short), k->disagreed_short == 1 ? "" : "s");
}
