/* SPDX-License-Identifier: Apache-2.0 */
/* ldabs.c - the packet loads of classic BPF (LD_ABS, LD_IND) on struct skep_sk_buff. Async-signal-safe. */
#include <endian.h>
#include <linux/filter.h>
#include <string.h>

#include "spec/ctx.h"
#include "vm/vm.h"

#define ETH_HEADER	14

/* Where an offset counts from; negative ones name a header. */
static const u8 *base_of(const struct skep_sk_buff *skb, s64 *off)
{
	if (*off >= 0)
		return skb->data;
	if (!skb->mac || *off < SKF_LL_OFF)
		return NULL;
	if (*off >= SKF_NET_OFF) {
		*off -= SKF_NET_OFF;
		return skb->mac + ETH_HEADER;
	}
	*off -= SKF_LL_OFF;
	return skb->mac;
}

s64 vm_ld_abs(const void *ctx, s32 offset, u32 size)
{
	const struct skep_sk_buff *skb = ctx;
	s64 off = offset;
	const u8 *base = base_of(skb, &off);
	u16 h;
	u32 w;

	if (!base || base > skb->data_end || off + size > skb->data_end - base)
		return -1;
	switch (size) {
	case 1:
		return base[off];
	case 2:
		memcpy(&h, base + off, sizeof(h));
		return be16toh(h);
	default:
		memcpy(&w, base + off, sizeof(w));
		return be32toh(w);
	}
}
