/* SPDX-License-Identifier: Apache-2.0 */
/* filter.h - what the files of `skep filter` share: a job, its expression compiled for each link type, its totals. */
#ifndef SKEP_TOOL_FILTER_H
#define SKEP_TOOL_FILTER_H

#include "sys/filter.h"
#include "tool/capread.h"
#include "tool/capwrite.h"
#include "tool/classic.h"

struct filter_opts {
	const char *in, *out, *iface, *program, *link, *witness;
	struct opt_list names;
	u32 count, snaplen, check_packets;
	bool no_opt, check, ebpf, native, promisc, kernel;
	struct classic_style style;
};

/* The expression (or program) for one link type: optimised and not, as libpcap has it. */
struct filter_code {
	u32 dlt;
	struct filter *opt, *plain;	/* plain: NULL unless --check (or with -O, where it is the only one) */
	struct filter *use;
	struct filter_code *next;
};

struct filter_job {
	struct filter_opts o;
	char *expr;
	struct classic *classic;	/* instead of an expression */
	struct filter_code *codes;
	struct cap_in in;
	struct cap_out outf;
	struct cap_out *out;		/* NULL: count only */
	u64 read, matched, bytes;
	u64 t0, shown_at;
	u64 dropped, if_dropped;	/* live */
	bool done;			/* --count reached */
	/* --check */
	u64 checked, disagreed;
	u64 disagreed_short;		/* of these: on packets cut short inside of what the filter reads */
	bool witness_written;
};

/* Set by SIGINT, SIGTERM, SIGHUP. */
extern volatile bool filter_stop;
extern void (*volatile filter_wake)(void);	/* called with it, in the handler; NULL: nobody to be woken */

/* The code for DLT, compiled at first use. NULL after fail(), *rc being the exit code. */
struct filter_code *filter_code(struct filter_job *k, u32 dlt, int *rc);
/* What ancillary loads read of a packet without a socket. */
void filter_meta(const struct filter *f, u32 dlt, struct skep_sk_buff *skb);
bool filter_progress(struct filter_job *k);	/* called now and then; true: --count reached or stopped */

int filter_live(struct filter_job *k);		/* -i */

/* --check: both codes on one packet; the value to use. Remembers and reports the first difference. */
u32 filter_check_packet(struct filter_job *k, struct filter_code *c, struct skep_sk_buff *skb);
/* Both codes on generated packets. */
void filter_check_generated(struct filter_job *k, struct filter_code *c);
/* Code for the kernel (--kernel), which also reads VLAN tags that were taken off: does the optimised one differ? */
bool filter_check_live(struct filter_job *k, const struct sock_filter *opt, u32 nr_opt, const struct sock_filter *plain,
		       u32 nr_plain);
void filter_check_report(const struct filter_job *k);
/* Is the optimised code wrong on a packet that is whole? */
static inline bool filter_check_failed(const struct filter_job *k)
{
	return k->disagreed > k->disagreed_short;
}

#endif
