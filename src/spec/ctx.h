/* SPDX-License-Identifier: Apache-2.0 */
/* ctx.h - the internal contexts: what R1 points to at run time. ctx.def maps the uapi fields that programs see
 * onto these; the verifier rewrites accesses; src/prog/ctx.c fills them. Private memory of the run. */
#ifndef SKEP_SPEC_CTX_H
#define SKEP_SPEC_CTX_H

#include "base/def.h"

struct skep_xdp_buff {
	u8 *data, *data_end, *data_meta;
	u8 *hard_start, *hard_end;	/* head and tail room: [hard_start, data), [data_end, hard_end) */
	u32 ingress_ifindex, rx_queue_index, egress_ifindex;
	u32 flags;
};

struct skep_sk_buff {
	u8 *data, *data_end, *data_meta;
	u8 *hard_start, *hard_end;
	u8 *mac;			/* start of the link-layer header */
	u32 len, pkt_type, mark, protocol, vlan_present, vlan_tci, vlan_proto, priority;
	u32 ingress_ifindex, ifindex, hash, napi_id;
	u16 queue_mapping, tc_index, tc_classid;	/* as in the kernel: a store drops the upper half */
	u32 cb[5];
	u32 family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port;
	u64 tstamp, hwtstamp;
	u32 wire_len, gso_segs, gso_size;
	u8 tstamp_type;
	void *sk;
	void *flow_keys;
};

#endif
