/* SPDX-License-Identifier: Apache-2.0 */
/* testrun.c - BPF_PROG_TEST_RUN by program type, with the kernel's rules (checked against it by test/oracle).
 *
 * One difference on purpose: packets longer than a page are linear here, where the kernel puts what does not fit
 * into fragments that only programs marked xdp.frags can reach. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "prog/prog.h"
#include "spec/ctx.h"

#define ENOTSUPP	524		/* the kernel's own; user space has no name for it */
#define XDP_HEADROOM	256
#define SKB_HEADROOM	66		/* NET_SKB_PAD + NET_IP_ALIGN */
#define TAILROOM	320		/* struct skb_shared_info, cache aligned */
#define PKT_MAX		(1u << 20)
#define GSO_MAX		65536u
#define BATCH		64		/* runs per lease: a long test run stays preemptible */

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

static bool all_zero(const void *p, size_t from, size_t to)
{
	for (const u8 *b = p; from < to; from++)
		if (b[from])
			return false;
	return true;
}

/* Run `repeat` times on one context; the last return value and the mean time. */
static int repeat_run(struct prog *p, void *ctx, struct test_run *t)
{
	u32 left = t->repeat ? t->repeat : 1, total = left;
	bool stats = prog_stats_wanted(p->obj->dir);
	u64 spent = 0, ret = 0, t0;
	struct run r;
	int err;

	while (left) {
		u32 n = MIN(left, BATCH);

		err = prog_enter(p, &r);
		if (err)
			return err;
		t0 = now_ns();
		for (u32 i = 0; i < n; i++)
			ret = prog_call(p, &r, ctx);
		t0 = now_ns() - t0;
		prog_exit(&r, stats ? n : 0, t0);
		spent += t0;
		left -= n;
	}
	t->retval = (u32)ret;
	spent /= total;
	t->duration = spent > UINT32_MAX ? UINT32_MAX : (u32)spent;
	return 0;
}

/* A private copy of the client's context, zero-extended or checked for a zero tail; NULL if it has none. */
static int ctx_init(const struct test_run *t, void *ctx, u32 size, bool *given)
{
	memset(ctx, 0, size);
	*given = t->ctx_in || t->ctx_out;
	if (!t->ctx_in)
		return 0;
	if (t->ctx_in_size > size && !all_zero(t->ctx_in, size, t->ctx_in_size))
		return -E2BIG;
	memcpy(ctx, t->ctx_in, MIN(t->ctx_in_size, size));
	return 0;
}

/* Copy out as far as it fits; the size is reported whole. */
static int copy_out(void *dst, u32 *cap, const void *src, u32 size)
{
	u32 room = *cap;

	*cap = size;
	if (!dst)
		return 0;
	memcpy(dst, src, MIN(room, size));
	return room < size ? -ENOSPC : 0;
}

static int finish(struct test_run *t, const void *data, u32 size, const void *ctx, u32 ctx_size,
		  bool have_ctx)
{
	int err = copy_out(t->data_out, &t->data_out_size, data, size);

	if (err || !have_ctx)
		return err;
	return copy_out(t->ctx_out, &t->ctx_out_size, ctx, ctx_size);
}

/* [head room][data][tail room], zeroed but for the data; at least a page, as in the kernel. */
static u8 *pkt_alloc(const struct test_run *t, u32 headroom, u32 *cap)
{
	u32 need = headroom + t->data_in_size + TAILROOM;
	u8 *buf;

	*cap = MAX(need, SKEP_PAGE) - TAILROOM;
	buf = malloc(*cap);
	if (!buf)
		return NULL;
	memset(buf, 0, headroom);
	memcpy(buf + headroom, t->data_in, t->data_in_size);
	memset(buf + headroom + t->data_in_size, 0, *cap - headroom - t->data_in_size);
	return buf;
}

/* ---- xdp ---- */

static int xdp_ctx(struct test_run *t, struct xdp_md *md, struct skep_xdp_buff *x)
{
	char name[IF_NAMESIZE];

	if (md->egress_ifindex || (!md->ingress_ifindex && md->rx_queue_index))
		return -EINVAL;
	if (!md->ingress_ifindex)
		return 0;
	if (!if_indextoname(md->ingress_ifindex, name))
		return -ENODEV;
	if (md->rx_queue_index)			/* queues of host devices are not looked at */
		return -EINVAL;
	x->ingress_ifindex = md->ingress_ifindex;
	return 0;
}

static int test_xdp(struct prog *p, struct test_run *t)
{
	struct skep_xdp_buff x = { .ingress_ifindex = 1 };	/* the loopback device's */
	struct xdp_md md;
	bool have_ctx;
	u32 meta = 0, cap;
	u8 *buf;
	int err;

	if (t->flags || t->batch_size)		/* live frames need a network stack */
		return t->flags == BPF_F_TEST_XDP_LIVE_FRAMES ? -ENOTSUPP : -EINVAL;
	err = ctx_init(t, &md, sizeof(md), &have_ctx);
	if (err)
		return err;
	if (have_ctx) {
		if (md.data_meta || md.data_end > t->data_in_size || md.data > md.data_end)
			return -EINVAL;
		meta = md.data;
		if (meta & 3 || meta > 255 || meta > XDP_HEADROOM - 40)
			return -EINVAL;
		if (md.data_end < t->data_in_size)
			return -EINVAL;		/* the kernel would make fragments of the rest */
	}
	if (t->data_in_size < meta + ETH_HLEN || t->data_in_size > PKT_MAX)
		return -EINVAL;
	buf = pkt_alloc(t, XDP_HEADROOM - meta, &cap);
	if (!buf)
		return -ENOMEM;
	x.hard_start = buf;
	x.hard_end = buf + cap;
	x.data_meta = buf + XDP_HEADROOM - meta;
	x.data = x.data_meta + meta;
	x.data_end = x.data_meta + t->data_in_size;
	err = xdp_ctx(t, &md, &x);
	if (!err)
		err = repeat_run(p, &x, t);
	if (!err) {
		md.data = (u32)(x.data - x.data_meta);
		md.data_end = (u32)(x.data_end - x.data_meta);
		err = finish(t, x.data_meta, (u32)(x.data_end - x.data_meta), &md, sizeof(md),
			     have_ctx);
	}
	free(buf);
	return err;
}

/* ---- programs on struct __sk_buff ---- */

static int skb_from_ctx(const struct __sk_buff *u, struct skep_sk_buff *s)
{
#define AFTER(f)	offsetofend(struct __sk_buff, f)
#define AT(f)		offsetof(struct __sk_buff, f)
	if (!all_zero(u, 0, AT(mark)) || !all_zero(u, AFTER(mark), AT(priority)) ||
	    !all_zero(u, AFTER(ifindex), AT(cb)) || !all_zero(u, AFTER(cb), AT(tstamp)) ||
	    !all_zero(u, AFTER(gso_segs), AT(gso_size)) ||
	    !all_zero(u, AFTER(gso_size), AT(hwtstamp)) ||
	    !all_zero(u, AFTER(hwtstamp), sizeof(*u)))
		return -EINVAL;
	if (u->wire_len && (u->wire_len < s->len || u->wire_len > GSO_MAX))
		return -EINVAL;
	if (u->gso_segs > 65535)
		return -EINVAL;
	s->mark = u->mark;
	s->priority = u->priority;
	s->ingress_ifindex = u->ingress_ifindex;
	s->tstamp = u->tstamp;
	memcpy(s->cb, u->cb, sizeof(s->cb));
	s->wire_len = u->wire_len ? u->wire_len : s->len;
	s->gso_segs = u->gso_segs;
	s->gso_size = u->gso_size;
	s->hwtstamp = u->hwtstamp;
	return 0;
}

static void skb_to_ctx(const struct skep_sk_buff *s, struct __sk_buff *u)
{
	u->mark = s->mark;
	u->priority = s->priority;
	u->ingress_ifindex = s->ingress_ifindex;
	u->ifindex = s->ifindex;
	u->tstamp = s->tstamp;
	memcpy(u->cb, s->cb, sizeof(u->cb));
	u->wire_len = s->wire_len;
	u->gso_segs = s->gso_segs;
	u->hwtstamp = s->hwtstamp;
}

/* What eth_type_trans() and the test's socket make of the frame. */
static int skb_classify(struct skep_sk_buff *s, const u8 *frame, u32 len)
{
	u16 proto = (u16)(frame[12] << 8 | frame[13]);
	static const u8 broadcast[6] = { 255, 255, 255, 255, 255, 255 };

	if (!memcmp(frame, broadcast, 6))
		s->pkt_type = 1;
	else if (frame[0] & 1)
		s->pkt_type = 2;
	else if (!all_zero(frame, 0, 6))
		s->pkt_type = 3;			/* the loopback device's address is zero */
	if (proto < 1536)
		proto = len >= 16 && frame[14] == 0xff && frame[15] == 0xff ? ETH_P_802_3 :
									      ETH_P_802_2;
	s->protocol = htons(proto);
	if (proto == ETH_P_IP) {
		if (len < ETH_HLEN + 20)
			return -EINVAL;
		s->family = AF_INET;
		memcpy(&s->local_ip4, frame + ETH_HLEN + 12, 4);
		memcpy(&s->remote_ip4, frame + ETH_HLEN + 16, 4);
	} else if (proto == ETH_P_IPV6) {
		if (len < ETH_HLEN + 40)
			return -EINVAL;
		s->family = AF_INET6;
		memcpy(s->local_ip6, frame + ETH_HLEN + 8, 16);
		memcpy(s->remote_ip6, frame + ETH_HLEN + 24, 16);
	}
	return 0;
}

static int skb_run(struct prog *p, struct test_run *t, u8 *buf, u32 cap, struct __sk_buff *u,
		   bool have_ctx)
{
	bool l2 = BIT64(p->hdr.prog_type) & (P(SCHED_CLS) | P(SCHED_ACT));
	u8 *frame = buf + SKB_HEADROOM;
	struct skep_sk_buff s = {
		.hard_start = buf, .hard_end = buf + cap, .mac = frame,
		.data = frame + (l2 ? 0 : ETH_HLEN), .data_end = frame + t->data_in_size,
		.len = t->data_in_size - (l2 ? 0 : ETH_HLEN), .ifindex = 1,
	};
	char name[IF_NAMESIZE];
	int err;

	s.data_meta = s.data;
	if (have_ctx && u->ifindex > 1) {
		if (!if_indextoname(u->ifindex, name))
			return -ENODEV;
		s.ifindex = u->ifindex;
	}
	err = skb_classify(&s, frame, t->data_in_size);
	if (!err && have_ctx)
		err = skb_from_ctx(u, &s);
	if (!err)
		err = repeat_run(p, &s, t);
	if (err)
		return err;
	if (!l2) {
		s.data -= ETH_HLEN;
		s.len += ETH_HLEN;
		memset(s.data, 0, ETH_HLEN);
	}
	skb_to_ctx(&s, u);
	return finish(t, s.data, s.len, u, sizeof(*u), have_ctx);
}

static int test_skb(struct prog *p, struct test_run *t)
{
	struct __sk_buff u;
	bool have_ctx;
	u32 cap;
	u8 *buf;
	int err;

	if (t->flags || t->cpu || t->batch_size)
		return -EINVAL;
	if (t->data_in_size < ETH_HLEN || t->data_in_size > PKT_MAX)
		return -EINVAL;
	err = ctx_init(t, &u, sizeof(u), &have_ctx);
	if (err)
		return err;
	buf = pkt_alloc(t, SKB_HEADROOM, &cap);
	if (!buf)
		return -ENOMEM;
	err = skb_run(p, t, buf, cap, &u, have_ctx);
	free(buf);
	return err;
}

/* ---- programs without packets ---- */

static int test_syscall(struct prog *p, struct test_run *t)
{
	u32 repeat = t->repeat;
	int err;

	if (t->data_in_size || t->data_in || t->data_out || t->ctx_out || t->in_duration || repeat ||
	    t->flags || t->batch_size)
		return -EINVAL;
	if (t->ctx_in_size < p->hdr.max_ctx_off || t->ctx_in_size > 65535)
		return -EINVAL;
	err = repeat_run(p, t->ctx_in, t);
	t->duration = 0;
	t->ctx_changed = t->ctx_in_size != 0;
	return err;
}

#define RAW_TP_ARGS	12

static int test_raw_tp(struct prog *p, struct test_run *t)
{
	bool on_cpu = t->flags & BPF_F_TEST_RUN_ON_CPU;
	int err;

	if (t->data_in || t->data_out || t->ctx_out || t->in_duration || t->repeat || t->batch_size)
		return -EINVAL;
	if (t->ctx_in_size < p->hdr.max_ctx_off || t->ctx_in_size > RAW_TP_ARGS * sizeof(u64))
		return -EINVAL;
	if (t->flags & ~BPF_F_TEST_RUN_ON_CPU || (!on_cpu && t->cpu))
		return -EINVAL;
	if (on_cpu && t->cpu >= domain_ncpus(p->obj->dir->dom))
		return -ENXIO;
	err = repeat_run(p, t->ctx_in, t);
	t->duration = 0;
	return err;
}

static int (*const by_type[])(struct prog *, struct test_run *) = {
	[BPF_PROG_TYPE_XDP] = test_xdp,
	[BPF_PROG_TYPE_SOCKET_FILTER] = test_skb,
	[BPF_PROG_TYPE_SCHED_CLS] = test_skb,
	[BPF_PROG_TYPE_SCHED_ACT] = test_skb,
	[BPF_PROG_TYPE_CGROUP_SKB] = test_skb,
	[BPF_PROG_TYPE_SYSCALL] = test_syscall,
	[BPF_PROG_TYPE_RAW_TRACEPOINT] = test_raw_tp,
};

int prog_test_run(struct prog *p, struct test_run *t)
{
	u32 type = p->hdr.prog_type;

	if (type >= ARRAY_SIZE(by_type) || !by_type[type])
		return -ENOTSUPP;
	return by_type[type](p, t);
}
