/* SPDX-License-Identifier: Apache-2.0 */
/* packets.bpf.c - parsers: with checks in the right places, and without. */
#include "progs.h"

struct flow { __be32 saddr, daddr; __be16 sport, dport; __u32 proto; };

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct flow);
	__type(value, __u64);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} protocols SEC(".maps");

static __always_inline void count_protocol(__u32 proto)
{
	__u64 *n = bpf_map_lookup_elem(&protocols, &proto);

	if (n)
		*n += 1;
}

SEC("xdp") int ether_type(struct xdp_md *c)
{
	void *data = PTR(c->data), *end = PTR(c->data_end);
	struct ethhdr *eth = data;

	if ((void *)(eth + 1) > end)
		return XDP_DROP;
	return eth->h_proto == bpf_htons(ETH_P_IP) ? XDP_PASS : XDP_TX;
}

SEC("xdp") int vlans(struct xdp_md *c)
{
	void *data = PTR(c->data), *end = PTR(c->data_end);
	struct ethhdr *eth = data;
	void *p = eth + 1;
	__be16 proto;

	if (p > end)
		return XDP_DROP;
	proto = eth->h_proto;
#pragma unroll
	for (int i = 0; i < 2; i++) {
		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		if (p + 4 > end)
			return XDP_DROP;
		proto = *(__be16 *)(p + 2);
		p += 4;
	}
	return proto == bpf_htons(ETH_P_IPV6) ? XDP_PASS : XDP_DROP;
}

SEC("xdp") int five_tuple(struct xdp_md *c)
{
	void *data = PTR(c->data), *end = PTR(c->data_end);
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct flow f = { 0 };
	__u64 one = 1, *n;
	struct udphdr *l4;
	__u32 len;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	len = ip->ihl * 4;
	if (len < sizeof(*ip))
		return XDP_DROP;
	l4 = (void *)ip + len;
	if ((void *)(l4 + 1) > end)
		return XDP_DROP;
	count_protocol(ip->protocol);
	f.saddr = ip->saddr;
	f.daddr = ip->daddr;
	f.sport = l4->source;
	f.dport = l4->dest;
	f.proto = ip->protocol;
	n = bpf_map_lookup_elem(&flows, &f);
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&flows, &f, &one, BPF_ANY);
	return XDP_PASS;
}

SEC("xdp") int swap_macs(struct xdp_md *c)
{
	void *data = PTR(c->data), *end = PTR(c->data_end);
	struct ethhdr *eth = data;
	__u8 tmp[ETH_ALEN];

	if ((void *)(eth + 1) > end)
		return XDP_DROP;
	__builtin_memcpy(tmp, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, tmp, ETH_ALEN);
	return XDP_TX;
}

SEC("xdp") int checksum_bytes(struct xdp_md *c)
{
	__u8 *p = PTR(c->data), *end = PTR(c->data_end);
	__u32 sum = 0;

	for (int i = 0; i < 64; i++) {
		if (p + i + 1 > end)
			break;
		sum += p[i];
	}
	return sum & 3;
}

SEC("tc") int skb_bytes(struct __sk_buff *skb)
{
	__u8 head[16] = { 0 };

	if (bpf_skb_load_bytes(skb, 0, head, sizeof(head)))
		return -1;
	skb->mark = head[12] << 8 | head[13];
	return skb->mark & 0xff;
}

SEC("tc") int skb_direct(struct __sk_buff *skb)
{
	void *data = PTR(skb->data), *end = PTR(skb->data_end);
	struct iphdr *ip = data + ETH_HLEN;

	if ((void *)(ip + 1) > end)
		return 0;
	return ip->ttl > 32 ? ip->ttl : 1;
}

SEC("socket") int len_filter(struct __sk_buff *skb)
{
	return skb->len > 60 ? skb->len : 0;
}

SEC("xdp") int bad_no_check(struct xdp_md *c)
{
	struct ethhdr *eth = PTR(c->data);

	return eth->h_proto ? XDP_PASS : XDP_DROP;
}

SEC("xdp") int bad_check_too_small(struct xdp_md *c)
{
	void *data = PTR(c->data), *end = PTR(c->data_end);
	struct iphdr *ip = data + ETH_HLEN;

	if (data + ETH_HLEN + 8 > end)
		return XDP_DROP;
	return ip->protocol == IPPROTO_TCP ? XDP_PASS : XDP_DROP;
}

SEC("xdp") int bad_length_from_packet(struct xdp_md *c)
{
	void *data = PTR(c->data), *end = PTR(c->data_end);
	struct iphdr *ip = data + ETH_HLEN;

	if ((void *)(ip + 1) > end)
		return XDP_DROP;
	return *(__u8 *)((void *)ip + ip->ihl * 4);
}

SEC("socket") int bad_direct_in_socket(struct __sk_buff *skb)
{
	return *(__u8 *)PTR(skb->data);
}

static __noinline int push_head(struct xdp_md *c) { return bpf_xdp_adjust_head(c, 4); }
__noinline int moves_packet(struct xdp_md *c) { return push_head(c); }

SEC("xdp") int bad_packet_moved_two_calls_down(struct xdp_md *c)
{
	char *p = PTR(c->data);

	if (p + 1 > (char *)PTR(c->data_end))
		return XDP_DROP;
	moves_packet(c);
	return *p & 1;
}
