/* SPDX-License-Identifier: Apache-2.0 */
/* exprs_test.c - filter expressions (exprs.txt: "[@LINKTYPE ]EXPRESSION") on generated packets: libpcap's bpf_filter(), the
 * reference interpreter and the compiled program say the same, of libpcap's optimised and of its plain code. */
#include <stdlib.h>
#include <string.h>

#include "sys/filter.h"
#include "t.h"
#include "tool/libpcap.h"
#include "vm/cbpf_gen.h"

#define EXPRS	"test/cbpf/exprs.txt"

struct counts {
	u32 exprs, packets, matched, differ, plain, interpreted;
};

static void compare(const char *expr, const struct bpf_program *bp, u32 packets, struct counts *c)
{
	struct cbpf_gen g = { .seed = 1 + c->exprs, .f = libpcap_insns(bp), .n = bp->bf_len };
	struct cbpf_reason why = {};
	static u8 buf[CBPF_GEN_MAX];
	struct filter *f;
	struct run r;
	int err = filter_open(libpcap_insns(bp), bp->bf_len, CBPF_LIBPCAP, "test", &f, &why);

	if (err) {
		t_fail(__FILE__, __LINE__, "%s: %d %s", expr, err, why.text);
		return;
	}
	c->plain += f->plain;
	c->interpreted += !f->prog;
	if (f->plain)
		fprintf(stderr, "%s: not direct, %d\n", expr, f->load_err);
	EQ(filter_enter(f, &r), 0);
	for (u32 i = 0; i < packets; i++) {
		u32 wire, len = cbpf_gen_packet(&g, buf, &wire), ours, theirs, plain;
		struct skep_sk_buff skb = { .data = buf, .data_end = buf + len, .len = len, .wire_len = wire };

		theirs = bpf_filter(bp->bf_insns, buf, wire, len);
		ours = filter_call(f, &r, &skb);
		plain = cbpf_run(f->f, f->n, f->flags, &skb);
		c->packets++;
		c->matched += theirs != 0;
		if ((ours != theirs || plain != theirs) && !c->differ++)
			t_fail(__FILE__, __LINE__, "'%s': libpcap %u, compiled %u, interpreted %u, packet %u", expr, theirs, ours,
			       plain, i);
	}
	filter_exit(f, &r);
	filter_close(f);
}

static void one(char *line, u32 packets, struct counts *c)
{
	int dlt = DLT_EN10MB;
	struct bpf_program bp;
	char *expr = line;
	pcap_t *p;

	if (*line == '@') {
		expr = strchr(line, ' ');
		*expr++ = 0;
		dlt = pcap_datalink_name_to_val(line + 1);
	}
	p = pcap_open_dead(dlt, 262144);
	for (int opt = 0; opt < 2; opt++) {
		if (pcap_compile(p, &bp, expr, opt, PCAP_NETMASK_UNKNOWN)) {
			if (strstr(pcap_geterr(p), "expression rejects all packets"))
				continue;
			t_fail(__FILE__, __LINE__, "'%s' (%s): %s", expr, line, pcap_geterr(p));
			break;
		}
		compare(expr, &bp, packets, c);
		pcap_freecode(&bp);
	}
	pcap_close(p);
	c->exprs++;
}

TEST(expressions)
{
	u32 packets = t_fast() ? 100 : 2000;
	struct counts c = {};
	char line[1024];
	FILE *f = fopen(EXPRS, "r");

	NEED(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		t_row("expression: %s", line);
		c.differ = 0;
		one(line, packets, &c);
	}
	fclose(f);
	t_row("at least 300 expressions, a fair share of packets matched");
	CHECK(c.exprs >= 300);
	CHECK(c.matched > c.packets / 20);
	t_row("all were verified and compiled with direct packet access");
	EQ(c.plain, 0);
	EQ(c.interpreted, 0);
	fprintf(stderr, "%u expressions, %u comparisons, %u matched\n", c.exprs, c.packets, c.matched);
}
