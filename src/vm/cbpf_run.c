/* SPDX-License-Identifier: Apache-2.0 */
/* cbpf_run.c - the reference interpreter of classic BPF: plain, one instruction at a time, for checked programs.
 * Filters run compiled (cbpf_ebpf.c); this is what they are compared with, and what evaluates seccomp programs.
 * Meaning of arithmetic and jumps: the expressions of spec/cbpf.def. */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <sched.h>
#include <string.h>
#include <sys/random.h>

#include "spec/ctx.h"
#include "vm/cbpf.h"
#include "vm/vm.h"

#define NLA_TYPE	0x3fff		/* without the flags "nested" and "network byte order" */

struct machine {
	u32 a, x, m[BPF_MEMWORDS];
	const struct skep_sk_buff *skb;		/* NULL: seccomp */
	const struct seccomp_data *sd;
	u32 flags;
};

/* False: division by zero. */
static bool alu(u16 code, u32 flags, u32 *acc, u32 b)
{
	u32 a = *acc;

	if (flags & CBPF_LIBPCAP && b > 31 && (BPF_OP(code) == BPF_LSH || BPF_OP(code) == BPF_RSH)) {
		*acc = 0;
		return true;
	}
	switch (BPF_OP(code)) {
#define CBPF_ALU(op, text, hex, expr)					\
	case op:							\
		if (((op) == BPF_DIV || (op) == BPF_MOD) && !b)		\
			return false;					\
		*acc = expr;						\
		return true;
#include "spec/cbpf.def"
	case BPF_NEG:
		*acc = -a;
		return true;
	}
	return false;
}

static bool taken(u16 code, u32 a, u32 b)
{
	switch (BPF_OP(code)) {
#define CBPF_JMP(op, text, neg, expr)					\
	case op:							\
		return expr;
#include "spec/cbpf.def"
	}
	return false;
}

static u32 ancillary(const struct machine *m, u32 off)
{
	const struct skep_sk_buff *s = m->skb;
	u32 r = 0;

	switch (off) {
	case SKF_AD_PROTOCOL:
		return ntohs((u16)s->protocol);
	case SKF_AD_PKTTYPE:
		return s->pkt_type & 7;
	case SKF_AD_IFINDEX:
		return s->ifindex;
	case SKF_AD_NLATTR:
	case SKF_AD_NLATTR_NEST:
		return cbpf_nla(s, m->a, m->x, off == SKF_AD_NLATTR_NEST);
	case SKF_AD_MARK:
		return s->mark;
	case SKF_AD_QUEUE:
		return s->queue_mapping;
	case SKF_AD_HATYPE:
		return s->cb[CBPF_CB_HATYPE];
	case SKF_AD_RXHASH:
		return s->hash;
	case SKF_AD_CPU:
		return (u32)sched_getcpu();
	case SKF_AD_ALU_XOR_X:
		return m->a ^ m->x;
	case SKF_AD_VLAN_TAG:
		return s->vlan_tci;
	case SKF_AD_VLAN_TAG_PRESENT:
		return s->vlan_present;
	case SKF_AD_PAY_OFFSET:
		return s->cb[CBPF_CB_POFF];
	case SKF_AD_RANDOM:
		return getrandom(&r, sizeof(r), 0) == sizeof(r) ? r : 0;
	case SKF_AD_VLAN_TPID:
		return ntohs((u16)s->vlan_proto);
	}
	return 0;
}

/* A packet load into *to. False: outside. */
static bool load(const struct machine *m, const struct sock_filter *in, u32 *to)
{
	bool ind = BPF_MODE(in->code) == BPF_IND;
	u32 off = ind ? m->x + in->k : in->k;
	s64 v;

	if (!m->skb) {
		memcpy(to, (const u8 *)m->sd + in->k, sizeof(*to));
		return true;
	}
	if (cbpf_ad(in)) {
		*to = ancillary(m, in->k - (u32)SKF_AD_OFF);
		return true;
	}
	if (m->flags & CBPF_LIBPCAP && (u64)in->k + (ind ? m->x : 0) > INT32_MAX)
		return false;
	v = vm_ld_abs(m->skb, (s32)off, cbpf_size(in->code));
	if (v < 0)
		return false;
	*to = (u32)v;
	return true;
}

static u32 length(const struct machine *m)
{
	return m->skb ? m->skb->wire_len : (u32)sizeof(*m->sd);
}

/* Loads, stores and moves. False: the program ends with 0. */
static bool move(struct machine *m, const struct sock_filter *in, enum cbpf_form form)
{
	u32 *to = BPF_CLASS(in->code) == BPF_LDX ? &m->x : &m->a;
	struct sock_filter byte = { BPF_LD | BPF_B | BPF_ABS, .k = in->k };

	switch (form) {
	case CBPF_PKT:
	case CBPF_IND:
		return load(m, in, to);
	case CBPF_MSH:
		if (byte.k >= (u32)SKF_AD_OFF || !load(m, &byte, to))
			return false;
		*to = (*to & 15) << 2;
		return true;
	case CBPF_IMM:
		*to = in->k;
		return true;
	case CBPF_LEN:
		*to = length(m);
		return true;
	case CBPF_MEM:
		if (BPF_CLASS(in->code) == BPF_ST || BPF_CLASS(in->code) == BPF_STX)
			m->m[in->k] = BPF_CLASS(in->code) == BPF_ST ? m->a : m->x;
		else
			*to = m->m[in->k];
		return true;
	default:
		if (in->code == (BPF_MISC | BPF_TAX))
			m->x = m->a;
		else
			m->a = m->x;
		return true;
	}
}

static u32 run(struct machine *m, const struct sock_filter *f, u32 n, u32 *last)
{
	for (u32 pc = 0; pc < n; pc++) {
		const struct sock_filter *in = &f[pc];
		u32 b = BPF_SRC(in->code) == BPF_X ? m->x : in->k;

		*last = pc;
		switch (BPF_CLASS(in->code)) {
		case BPF_RET:
			return in->code == (BPF_RET | BPF_A) ? m->a : in->k;
		case BPF_JMP:
			if (BPF_OP(in->code) == BPF_JA)
				pc += in->k;
			else
				pc += taken(in->code, m->a, b) ? in->jt : in->jf;
			break;
		case BPF_ALU:
			if (!alu(in->code, m->flags, &m->a, b))
				return 0;
			break;
		default:
			if (!move(m, in, cbpf_op(in->code)->form))
				return 0;
		}
	}
	return 0;
}

u32 cbpf_run(const struct sock_filter *f, u32 n, u32 flags, const struct skep_sk_buff *skb)
{
	struct machine m = { .skb = skb, .flags = flags };
	u32 last;

	return run(&m, f, n, &last);
}

u32 cbpf_run_seccomp(const struct sock_filter *f, u32 n, const struct seccomp_data *d, u32 *last)
{
	struct machine m = { .sd = d };

	return run(&m, f, n, last);
}

/* ---- what ancillary loads need of a packet ---- */
u32 cbpf_wants(const struct sock_filter *f, u32 n)
{
	u32 wants = 0;

	for (u32 i = 0; i < n; i++) {
		const struct cbpf_ad *ad = cbpf_ad(&f[i]);

		if (ad)
			wants |= CBPF_WANTS_META;
		if (ad && ad->off == SKF_AD_PAY_OFFSET)
			wants |= CBPF_WANTS_POFF;
		if (ad && ad->off == SKF_AD_HATYPE)
			wants |= CBPF_WANTS_HATYPE;
	}
	return wants;
}

void cbpf_prepare(struct skep_sk_buff *skb, u32 wants, u32 hatype)
{
	if (wants & CBPF_WANTS_POFF)
		skb->cb[CBPF_CB_POFF] = cbpf_payload_offset(skb);
	skb->cb[CBPF_CB_HATYPE] = hatype;
}

/* struct nlattr: length (its own 4 bytes included), type; host order; padded to 4. */
u32 cbpf_nla(const struct skep_sk_buff *skb, u32 a, u32 x, bool nest)
{
	u64 len = (u64)(skb->data_end - skb->data), end = len, at = a;
	u16 h[2];

	if (len < sizeof(h) || a > len - sizeof(h))
		return 0;
	if (nest) {
		memcpy(h, skb->data + at, sizeof(h));
		if (h[0] > len - a)
			return 0;
		end = at + h[0];
		at += sizeof(h);
	}
	while (at + sizeof(h) <= end) {
		memcpy(h, skb->data + at, sizeof(h));
		if (h[0] < sizeof(h) || h[0] > end - at)
			break;
		if ((h[1] & NLA_TYPE) == x)
			return (u32)at;
		at += ALIGN_UP((u32)h[0], 4);
	}
	return 0;
}

/* ---- payload offset ---- */
struct walk {
	const u8 *data;
	u32 len, off;			/* off: of the header to look at */
	u16 proto;			/* EtherType, while in front of a network header */
	u8 ip_proto;
	bool fragment;			/* of a datagram, not the first */
	u32 budget;			/* headers to go */
};

static const u8 *head(const struct walk *w, u32 n)
{
	return w->off <= w->len && n <= w->len - w->off ? w->data + w->off : NULL;
}

static bool ipv4(struct walk *w)
{
	const u8 *h = head(w, 20);
	u16 frag;

	if (!h || (h[0] & 15) < 5)
		return false;
	frag = (u16)(h[6] << 8 | h[7]);
	w->ip_proto = h[9];
	w->off += (u32)(h[0] & 15) * 4;
	w->fragment = frag & 0x1fff;
	return true;
}

/* Extension headers of IPv6, and what IP may hold inside of IP. False: cut short. *more: go on. */
static bool inner(struct walk *w, bool *more)
{
	const u8 *h;

	*more = !w->fragment;
	switch (w->fragment ? 255 : w->ip_proto) {
	case IPPROTO_IPIP:
		w->proto = ETH_P_IP;
		return true;
	case IPPROTO_IPV6:
		w->proto = ETH_P_IPV6;
		return true;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_FRAGMENT:
		h = w->proto == ETH_P_IPV6 ? head(w, 8) : NULL;
		*more = h != NULL;
		if (!h)
			return w->proto != ETH_P_IPV6;
		if (w->ip_proto == IPPROTO_FRAGMENT) {
			w->fragment = (h[2] << 8 | h[3]) & 0xfff8;
			*more = !w->fragment;
		}
		w->off += w->ip_proto == IPPROTO_FRAGMENT ? 8 : ((u32)h[1] + 1) * 8;
		w->ip_proto = h[0];
		w->proto = ETH_P_IPV6;
		return true;
	}
	*more = false;
	return true;
}

static bool ipv6(struct walk *w)
{
	const u8 *h = head(w, 40);

	if (!h)
		return false;
	w->ip_proto = h[6];
	w->off += 40;
	return true;
}

static bool network(struct walk *w)
{
	const u8 *h;

	while (w->proto == ETH_P_8021Q || w->proto == ETH_P_8021AD) {
		h = head(w, 4);
		if (!h || !w->budget--)
			return false;
		w->proto = (u16)(h[2] << 8 | h[3]);
		w->off += 4;
	}
	return w->proto == ETH_P_IP ? ipv4(w) : w->proto == ETH_P_IPV6 ? ipv6(w) : false;
}

/* From the network header to the transport header. */
static bool dissect(struct walk *w)
{
	bool more = true;

	if (!network(w))
		return false;
	while (more && w->budget--) {
		u8 was = w->ip_proto;

		if (!inner(w, &more))
			return false;
		if (more && (was == IPPROTO_IPIP || was == IPPROTO_IPV6) && !network(w))
			return false;
	}
	return true;
}

u32 cbpf_payload_offset(const struct skep_sk_buff *skb)
{
	u32 len = (u32)(skb->data_end - skb->data);
	struct walk w = {
		.data = skb->data, .len = len, .budget = 15, .proto = ntohs((u16)skb->protocol),
		.off = skb->mac ? (u32)(skb->mac + ETH_HLEN - skb->data) : 0,
	};
	static const struct { u8 proto, len; } transport[] = {
		{ IPPROTO_UDP, 8 }, { IPPROTO_UDPLITE, 8 }, { IPPROTO_ICMP, 8 }, { IPPROTO_ICMPV6, 8 },
		{ IPPROTO_IGMP, 8 }, { IPPROTO_DCCP, 12 }, { IPPROTO_SCTP, 12 },
	};
	const u8 *h;

	if (!dissect(&w))
		return 0;
	if (w.fragment)
		return w.off;
	if (w.ip_proto == IPPROTO_TCP) {
		h = head(&w, 13);
		return h ? w.off + MAX(20u, (u32)(h[12] & 0xf0) >> 2) : w.off;
	}
	for (u32 i = 0; i < ARRAY_SIZE(transport); i++)
		if (transport[i].proto == w.ip_proto)
			return w.off + transport[i].len;
	return w.off;
}
