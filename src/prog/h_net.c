/* SPDX-License-Identifier: Apache-2.0 */
/* h_net.c - helpers on packets: struct skep_xdp_buff and struct skep_sk_buff, always linear.
 * Helpers that move data or data_end keep both within [hard_start, hard_end). */
#include <arpa/inet.h>
#include <linux/if_ether.h>

#include "prog/helper.h"
#include "spec/ctx.h"

/* ---- xdp ---- */

#define XDP_FRAME_ROOM	40		/* the kernel keeps struct xdp_frame at the start of the head room */

HELPER_FN(xdp_adjust_head)
{
	struct skep_xdp_buff *x = PTR(r1);
	s32 delta = (s32)r2;
	s64 meta = x->data - x->data_meta, room = x->data - x->hard_start;

	if (delta < meta + XDP_FRAME_ROOM - room || delta > x->data_end - x->data - ETH_HLEN)
		return ERR(EINVAL);
	if (meta)
		memmove(x->data_meta + delta, x->data_meta, (size_t)meta);
	x->data_meta += delta;
	x->data += delta;
	return 0;
}

HELPER_FN(xdp_adjust_tail)
{
	struct skep_xdp_buff *x = PTR(r1);
	s32 delta = (s32)r2;
	s64 len = x->data_end - x->data;

	if (delta > x->hard_end - x->data_end || len + delta < ETH_HLEN)
		return ERR(EINVAL);
	if (delta > 0)
		memset(x->data_end, 0, (size_t)delta);
	x->data_end += delta;
	return 0;
}

HELPER_FN(xdp_adjust_meta)
{
	struct skep_xdp_buff *x = PTR(r1);
	s32 delta = (s32)r2;
	s64 len = x->data - x->data_meta - (s64)delta;

	if (x->data_meta - x->hard_start + (s64)delta < XDP_FRAME_ROOM || len < 0)
		return ERR(EINVAL);
	if (len & 3 || len > 255)
		return ERR(EACCES);
	x->data_meta += delta;
	return 0;
}

HELPER_FN(xdp_get_buff_len)
{
	const struct skep_xdp_buff *x = PTR(r1);

	return (u64)(x->data_end - x->data);
}

/* [off, off + len) of the packet, or NULL. */
static u8 *xdp_span(const struct skep_xdp_buff *x, u32 off, u32 len)
{
	if (off > 0xffff || len > 0xffff || (u64)off + len > (u64)(x->data_end - x->data))
		return NULL;
	return x->data + off;
}

HELPER_FN(xdp_load_bytes)
{
	const u8 *p = xdp_span(PTR(r1), (u32)r2, (u32)r4);

	if (!p)
		return ERR(EINVAL);
	memmove(PTR(r3), p, (u32)r4);
	return 0;
}

HELPER_FN(xdp_store_bytes)
{
	u8 *p = xdp_span(PTR(r1), (u32)r2, (u32)r4);

	if (!p)
		return ERR(EINVAL);
	memmove(p, PTR(r3), (u32)r4);
	return 0;
}

/* ---- skb ---- */

static u8 *skb_span(const struct skep_sk_buff *s, u32 off, u32 len)
{
	if (off > INT32_MAX || (u64)off + len > s->len)
		return NULL;
	return s->data + off;
}

HELPER_FN(skb_load_bytes)
{
	const u8 *p = skb_span(PTR(r1), (u32)r2, (u32)r4);

	if (!p) {
		memset(PTR(r3), 0, (u32)r4);
		return ERR(EFAULT);
	}
	memmove(PTR(r3), p, (u32)r4);
	return 0;
}

HELPER_FN(skb_load_bytes_relative)
{
	const struct skep_sk_buff *s = PTR(r1);
	u32 off = (u32)r2, len = (u32)r4;
	const u8 *start = NULL, *end = s->data + s->len;

	if (off <= 0xffff && r5 == BPF_HDR_START_MAC)
		start = s->mac;
	else if (off <= 0xffff && r5 == BPF_HDR_START_NET)
		start = s->mac + ETH_HLEN;
	if (start && start + off + len <= end && start + off >= s->hard_start) {
		memmove(PTR(r3), start + off, len);
		return 0;
	}
	memset(PTR(r3), 0, len);
	return ERR(EFAULT);
}

HELPER_FN(skb_store_bytes)
{
	struct skep_sk_buff *s = PTR(r1);
	u8 *p;

	if (r5 & ~(u64)(BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH))
		return ERR(EINVAL);
	if ((u32)r2 > INT32_MAX)
		return ERR(EFAULT);
	p = skb_span(s, (u32)r2, (u32)r4);
	if (!p)
		return ERR(EFAULT);
	memmove(p, PTR(r3), (u32)r4);
	if (r5 & BPF_F_INVALIDATE_HASH)
		s->hash = 0;
	return 0;
}

HELPER_FN(skb_pull_data)
{
	const struct skep_sk_buff *s = PTR(r1);

	return (u32)r2 > s->len ? ERR(ENOMEM) : 0;	/* always linear */
}

/* ---- checksums (RFC 1071, RFC 1624) ---- */

static u32 fold(u64 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (u32)sum;
}

static u64 sum_bytes(const u8 *p, u32 len, u64 sum)
{
	u16 w;

	for (; len >= 2; len -= 2, p += 2) {
		memcpy(&w, p, 2);
		sum += w;
	}
	if (len) {
		w = 0;
		memcpy(&w, p, 1);
		sum += w;
	}
	return sum;
}

/* Any sizes: Linux 6.18 no longer wants multiples of four. */
HELPER_FN(csum_diff)
{
	u64 minus = fold(sum_bytes(PTR(r1), (u32)r2, 0));

	return fold(sum_bytes(PTR(r3), (u32)r4, (u64)(u32)r5 + (u16)~minus));
}

/* Fold two sums into a checksum field; what is taken away comes complemented. */
static void csum_update(u8 *field, u64 a, u64 b)
{
	u16 c;

	memcpy(&c, field, 2);
	c = (u16)~fold((u64)(u16)~c + fold(a) + fold(b));
	memcpy(field, &c, 2);
}

HELPER_FN(l3_csum_replace)
{
	u8 *p = skb_span(PTR(r1), (u32)r2, 2);

	if (r5 & ~(u64)BPF_F_HDR_FIELD_MASK)
		return ERR(EINVAL);
	if ((u32)r2 > 0xffff || (u32)r2 & 1 || !p)
		return ERR(EFAULT);
	switch (r5 & BPF_F_HDR_FIELD_MASK) {
	case 0:
		if (r3)
			return ERR(EINVAL);
		csum_update(p, 0, (u32)r4);
		return 0;
	case 2:
		csum_update(p, (u16)~r3, (u16)r4);
		return 0;
	case 4:
		csum_update(p, (u32)~r3, (u32)r4);
		return 0;
	}
	return ERR(EINVAL);
}

HELPER_FN(l4_csum_replace)
{
	bool mangled_0 = r5 & BPF_F_MARK_MANGLED_0, enforce = r5 & BPF_F_MARK_ENFORCE;
	u8 *p = skb_span(PTR(r1), (u32)r2, 2);
	static const u8 zero[2];
	u16 all_ones = 0xffff;

	if (r5 & ~(u64)(BPF_F_MARK_MANGLED_0 | BPF_F_MARK_ENFORCE | BPF_F_PSEUDO_HDR |
			BPF_F_HDR_FIELD_MASK))
		return ERR(EINVAL);
	if ((u32)r2 > 0xffff || (u32)r2 & 1 || !p)
		return ERR(EFAULT);
	if (mangled_0 && !enforce && !memcmp(p, zero, 2))
		return 0;
	switch (r5 & BPF_F_HDR_FIELD_MASK) {
	case 0:
		if (r3)
			return ERR(EINVAL);
		csum_update(p, 0, (u32)r4);
		break;
	case 2:
		csum_update(p, ~(u32)(u16)r3, (u16)r4);
		break;
	case 4:
		csum_update(p, (u32)~r3, (u32)r4);
		break;
	default:
		return ERR(EINVAL);
	}
	if (mangled_0 && !memcmp(p, zero, 2))
		memcpy(p, &all_ones, 2);
	return 0;
}
