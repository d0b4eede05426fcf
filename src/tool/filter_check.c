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

u32 filter_check_packet(struct filter_job *k, struct filter_code *c, struct skep_sk_buff *skb)
{
	u32 plain = call(c->plain, skb), opt = call(c->opt, skb);

	k->checked++;
	if (!plain == !opt)
		return plain;
	if (!k->disagreed++) {
		write_witness(k, c->dlt, skb);
		warn("optimised and plain code disagree on a packet (libpcap#1513 is one such case); using the plain one%s%s",
		     k->witness_written ? ": see " : "", k->witness_written ? k->o.witness : "");
	}
	c->use = c->plain;
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

void filter_check_report(const struct filter_job *k)
{
	if (k->disagreed)
		note("checked %s packets: optimised and plain code disagree on %s", commas(k->checked), commas(k->disagreed));
	else
		note("checked %s packets: optimised and plain code agree", commas(k->checked));
}
