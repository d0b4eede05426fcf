/* SPDX-License-Identifier: Apache-2.0 */
/* loops.bpf.c - loops, strings, tables in read-only data, functions. */
#include "progs.h"

const volatile __u32 rounds = 7;
static const char needle[] = "HTTP";
static const __u16 weights[16] = { 1, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53 };
__u64 total;
__u32 histogram[8];

SEC("xdp") int constant_loop(struct xdp_md *c)
{
	__u64 sum = 0;

#pragma nounroll
	for (__u32 i = 0; i < 200; i++)
		sum = sum * 31 + i;
	total = sum;
	return sum & 3;
}

SEC("xdp") int loop_bounded_by_rodata(struct xdp_md *c)
{
	__u32 n = 0;

	for (__u32 i = 0; i < rounds && i < 64; i++)
		n += i;
	return n & 3;
}

SEC("xdp") int table(struct xdp_md *c)
{
	__u32 i = (c->data_end - c->data) & 15;

	return weights[i] & 3;
}

SEC("xdp") int global_histogram(struct xdp_md *c)
{
	__u32 i = ((c->data_end - c->data) >> 4) & 7;

	histogram[i]++;
	total += i;
	return XDP_PASS;
}

SEC("xdp") int find_string(struct xdp_md *c)
{
	char *p = PTR(c->data), *end = PTR(c->data_end);

	for (int i = 0; i < 40; i++) {
		if (p + i + 4 > end)
			return XDP_DROP;
		if (p[i] == needle[0] && p[i + 1] == needle[1] && p[i + 2] == needle[2] && p[i + 3] == needle[3])
			return XDP_PASS;
	}
	return XDP_DROP;
}

static __noinline __u32 mix(__u32 a, __u32 b)
{
	a ^= b << 7;
	return a * 2654435761u + (b >> 3);
}

static __noinline __u32 twice(__u32 a)
{
	return mix(a, 1) + mix(a, 2);
}

SEC("xdp") int calls(struct xdp_md *c)
{
	__u32 v = c->data_end - c->data;

	for (int i = 0; i < 5; i++)
		v = twice(v + i);
	total = v;
	return v & 3;
}

static __noinline int fill(char *buf, __u32 n)
{
	for (__u32 i = 0; i < 16; i++)
		buf[i] = (char)(n + i);
	return buf[n & 15];
}

SEC("xdp") int buffer_to_function(struct xdp_md *c)
{
	char buf[16];

	return fill(buf, c->data_end - c->data) & 3;
}

SEC("xdp") int bubble_sort(struct xdp_md *c)
{
	__u32 a[8];

	for (int i = 0; i < 8; i++)
		a[i] = (i * 7919u + 13) & 63;
	for (int i = 0; i < 7; i++)
		for (int j = 0; j < 7 - i; j++)
			if (a[j & 7] > a[(j + 1) & 7]) {
				__u32 t = a[j & 7];

				a[j & 7] = a[(j + 1) & 7];
				a[(j + 1) & 7] = t;
			}
	total = (__u64)a[0] << 32 | a[7];
	return XDP_PASS;
}

SEC("xdp") int bad_index(struct xdp_md *c)
{
	__u32 i = c->data_end - c->data;

	return histogram[i];
}

SEC("xdp") int bad_write_rodata(struct xdp_md *c)
{
	*(volatile __u32 *)&rounds = 1;
	return XDP_PASS;
}

SEC("xdp") int bad_endless(struct xdp_md *c)
{
	volatile __u32 n = 0;

	while (n < 10)
		total++;
	return XDP_PASS;
}
