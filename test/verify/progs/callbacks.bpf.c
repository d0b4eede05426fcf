/* SPDX-License-Identifier: Apache-2.0 */
/* callbacks.bpf.c - functions that helpers call. */
#include "progs.h"

__u64 total;

static long each(__u64 i, void *ctx)
{
	__u64 *sum = ctx;

	*sum += i;
	return i >= 20;
}

SEC("xdp") int with_bpf_loop(struct xdp_md *c)
{
	__u64 sum = 0;

	bpf_loop(100, each, &sum, 0);
	total = sum;
	return sum & 3;
}

static long spoil(__u64 i, void *ctx)
{
	return *(__u64 *)(ctx + 8);
}

SEC("xdp") int bad_callback_reads_too_far(struct xdp_md *c)
{
	__u64 x = 0;

	bpf_loop(3, spoil, &x, 0);
	return XDP_PASS;
}

static long five(__u64 i, void *ctx)
{
	return 5;
}

SEC("xdp") int bad_callback_result(struct xdp_md *c)
{
	bpf_loop(3, five, &total, 0);
	return XDP_PASS;
}
