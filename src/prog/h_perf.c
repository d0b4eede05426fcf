/* SPDX-License-Identifier: Apache-2.0 */
/* h_perf.c - output to perf events: src/map/perf.c does it; here flags and the bytes of the packet that may follow. */
#include <linux/bpf.h>

#include "map/perf.h"
#include "prog/helper.h"
#include "spec/ctx.h"

#define CTXLEN_SHIFT	32

/* LEN bytes from the start of the packet, NULL if it is shorter. */
static const void *xdp_bytes(const void *ctx, u64 len)
{
	const struct skep_xdp_buff *x = ctx;

	return len <= (u64)(x->data_end - x->data) ? x->data : NULL;
}

static const void *skb_bytes(const void *ctx, u64 len)
{
	const struct skep_sk_buff *s = ctx;

	return len <= s->len ? s->data : NULL;
}

/* Types whose context is a packet; others have no BPF_F_CTXLEN_MASK. */
static const void *(*const packet_of[])(const void *ctx, u64 len) = {
	[BPF_PROG_TYPE_SOCKET_FILTER] = skb_bytes,
	[BPF_PROG_TYPE_SCHED_CLS] = skb_bytes,
	[BPF_PROG_TYPE_SCHED_ACT] = skb_bytes,
	[BPF_PROG_TYPE_XDP] = xdp_bytes,
	[BPF_PROG_TYPE_CGROUP_SKB] = skb_bytes,
};

HELPER_FN(perf_event_output)
{
	const struct run *run = run_self();
	u32 type = run->prog->hdr.prog_type;
	bool packet = type < ARRAY_SIZE(packet_of) && packet_of[type];
	struct perf_raw raw = { .data = PTR(r4), .size = r5 };
	struct map *m = PTR(r2);
	struct perf_event *e;
	u32 index = (u32)r3;

	if (r3 & ~(u64)(BPF_F_INDEX_MASK | (packet ? BPF_F_CTXLEN_MASK : 0)))
		return ERR(EINVAL);
	raw.more_size = (r3 & BPF_F_CTXLEN_MASK) >> CTXLEN_SHIFT;
	if (raw.more_size) {
		raw.more = packet_of[type](PTR(r1), raw.more_size);
		if (!raw.more)
			return ERR(EFAULT);
	}
	if (index == (u32)BPF_F_CURRENT_CPU)
		index = run->cpu;
	if (index >= m->attr.max_entries)
		return ERR(E2BIG);
	e = map_perf_slot(m, index);
	return e ? (u64)perf_event_output(e, run->cpu, &raw) : ERR(ENOENT);
}
