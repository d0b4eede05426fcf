/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* flows.bpf.c - counts packets and bytes per flow, per protocol and per verdict, at XDP.
 *
 * Understands Ethernet with up to two VLAN tags (802.1Q, 802.1ad), IPv4 with options, IPv6 with extension
 * headers, TCP, UDP, ICMP and ICMPv6. Run it on a capture:
 *
 *	skep run examples/flows.bpf.c --in examples/traffic.pcap
 *
 * or build it with `clang -O2 -g -target bpf` and attach it to an interface of a Linux machine.
 *
 * Flows of both address families lie in one map: an IPv4 address is kept as the IPv6 address ::ffff:a.b.c.d
 * (RFC 4291, 2.5.5.2). All of a frame is counted, from its Ethernet header to its last captured byte. A
 * fragment that is not the first one has no ports: they count as 0, as do the ports of anything but TCP
 * and UDP. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define MAX_VLANS	2
#define MAX_EXTENSIONS	6	/* IPv6 extension headers followed: all that RFC 8200 knows */
#define MAX_FLOWS	65536

/* IANA's protocol numbers, and from 256 on what has none. */
enum ip_proto {
	HOPOPT = 0, ICMP = 1, IGMP = 2, TCP = 6, UDP = 17, ROUTING = 43, FRAGMENT = 44, GRE = 47,
	ESP = 50, AH = 51, ICMPV6 = 58, NO_NEXT = 59, DSTOPTS = 60, OSPF = 89, SCTP = 132,
	ARP = 256, NOT_IP, CUT_SHORT,
	PROTOS
};

/* Options: set before loading, constants to the verifier (skep run --set NAME=VALUE). */
const volatile enum xdp_action verdict = XDP_PASS;		/* of what is understood */
const volatile enum xdp_action verdict_cut = XDP_DROP;		/* of packets that end inside a header */
const volatile __u16 deny_port = 23;				/* TCP or UDP to this port is dropped; 0: none */

struct flow {
	struct in6_addr src, dst;
	__be16 sport, dport;
	enum ip_proto proto;
};

struct counter {
	__u64 packets, bytes;
};

/* Indices of the arrays below. A typedef that bears the name of an enum says how to print it. */
typedef __u32 ip_proto;
typedef __u32 xdp_action;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_FLOWS);
	__type(key, struct flow);
	__type(value, struct counter);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PROTOS);
	__type(key, ip_proto);
	__type(value, struct counter);
} protocols SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XDP_REDIRECT + 1);
	__type(key, xdp_action);
	__type(value, struct counter);
} verdicts SEC(".maps");

__u64 untracked;	/* packets of flows for which `flows` had no room */

struct vlan_tag {
	__be16 tci, proto;
};

/* Where parsing is: [pos, end) is what is left of the packet. */
struct cursor {
	void *pos, *end;
};

/* The next `size` bytes, or NULL if the packet ends before. */
static __always_inline void *take(struct cursor *c, __u32 size)
{
	void *p = c->pos;

	if (p + size > c->end)
		return 0;
	c->pos = p + size;
	return p;
}

static __always_inline void map_v4(struct in6_addr *a, __be32 v4)
{
	a->in6_u.u6_addr32[0] = 0;
	a->in6_u.u6_addr32[1] = 0;
	a->in6_u.u6_addr32[2] = bpf_htonl(0xffff);
	a->in6_u.u6_addr32[3] = v4;
}

/* Each parse function returns an enum ip_proto: what the packet is, or CUT_SHORT. */
static __always_inline int parse_ports(struct cursor *c, struct flow *f)
{
	struct udphdr *h;	/* TCP's ports lie at the same place */

	if (f->proto != TCP && f->proto != UDP)
		return f->proto;
	h = take(c, 2 * sizeof(h->source));
	if (!h)
		return CUT_SHORT;
	f->sport = h->source;
	f->dport = h->dest;
	return f->proto;
}

static __always_inline int parse_v4(struct cursor *c, struct flow *f)
{
	struct iphdr *h = take(c, sizeof(*h));

	if (!h || h->ihl < 5 || !take(c, h->ihl * 4 - sizeof(*h)))
		return CUT_SHORT;
	map_v4(&f->src, h->saddr);
	map_v4(&f->dst, h->daddr);
	f->proto = h->protocol;
	if (h->frag_off & bpf_htons(0x1fff))	/* not the first fragment */
		return f->proto;
	return parse_ports(c, f);
}

static __always_inline int parse_v6(struct cursor *c, struct flow *f)
{
	struct ipv6hdr *h = take(c, sizeof(*h));
	__u8 next;
	int i;

	if (!h)
		return CUT_SHORT;
	f->src = h->saddr;
	f->dst = h->daddr;
	next = h->nexthdr;
	for (i = 0; i < MAX_EXTENSIONS; i++) {
		struct { __u8 next, len; __be16 off; __be32 id; } *e;	/* the shortest extension header */

		f->proto = next;
		if (next != HOPOPT && next != ROUTING && next != FRAGMENT && next != AH && next != DSTOPTS)
			return parse_ports(c, f);
		e = take(c, sizeof(*e));
		if (!e)
			return CUT_SHORT;
		if (next == FRAGMENT && (e->off & bpf_htons(0xfff8))) {
			f->proto = e->next;
			return f->proto;
		}
		if (next == AH && !take(c, (e->len + 2) * 4 - sizeof(*e)))
			return CUT_SHORT;
		if (next != AH && next != FRAGMENT && !take(c, e->len * 8))
			return CUT_SHORT;
		next = e->next;
	}
	f->proto = next;
	return f->proto;
}

static __always_inline int parse(struct cursor *c, struct flow *f)
{
	struct ethhdr *eth = take(c, sizeof(*eth));
	__be16 type;
	int i;

	if (!eth)
		return CUT_SHORT;
	type = eth->h_proto;
	for (i = 0; i < MAX_VLANS; i++) {
		struct vlan_tag *tag;

		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		tag = take(c, sizeof(*tag));
		if (!tag)
			return CUT_SHORT;
		type = tag->proto;
	}
	if (type == bpf_htons(ETH_P_IP))
		return parse_v4(c, f);
	if (type == bpf_htons(ETH_P_IPV6))
		return parse_v6(c, f);
	return type == bpf_htons(ETH_P_ARP) ? ARP : NOT_IP;
}

static __always_inline void count_flow(struct flow *f, __u64 bytes)
{
	struct counter *c = bpf_map_lookup_elem(&flows, f), first = {};

	if (!c) {
		/* Another CPU may have put it there meanwhile: both then count in one entry. */
		bpf_map_update_elem(&flows, f, &first, BPF_NOEXIST);
		c = bpf_map_lookup_elem(&flows, f);
	}
	if (!c) {
		__sync_fetch_and_add(&untracked, 1);
		return;
	}
	__sync_fetch_and_add(&c->packets, 1);
	__sync_fetch_and_add(&c->bytes, bytes);
}

static __always_inline void count(void *array, __u32 index, __u64 bytes)
{
	struct counter *c = bpf_map_lookup_elem(array, &index);

	if (c) {
		c->packets++;
		c->bytes += bytes;
	}
}

static __always_inline int judge(const struct flow *f, int proto)
{
	if (proto == CUT_SHORT)
		return verdict_cut;
	if ((proto == TCP || proto == UDP) && deny_port && f->dport == bpf_htons(deny_port))
		return XDP_DROP;
	return verdict;
}

SEC("xdp")
int count_flows(struct xdp_md *ctx)
{
	struct cursor c = { (void *)(long)ctx->data, (void *)(long)ctx->data_end };
	__u64 bytes = c.end - c.pos;
	struct flow f = {};
	int proto = parse(&c, &f), action = judge(&f, proto);

	if (proto < ARP)
		count_flow(&f, bytes);
	count(&protocols, proto, bytes);
	count(&verdicts, action, bytes);
	return action;
}

char LICENSE[] SEC("license") = "GPL";
