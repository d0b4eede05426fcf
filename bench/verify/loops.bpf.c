/* SPDX-License-Identifier: Apache-2.0 */
/* loops.bpf.c - bounded loops that a verifier walking turn by turn finds too large: a sieve over a bit set on the stack, binary
 * searches, an insertion sort. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

#define BITS	3968	/* as much as fits beside the spilled registers */

SEC("raw_tp") int sieve(void *ctx)
{
	__u64 set[BITS / 64] = {};
	__u32 primes = 0;

	for (__u32 i = 2; i < BITS; i++) {
		if (set[(i / 64) % (BITS / 64)] >> (i % 64) & 1)
			continue;
		primes++;
		for (__u32 k = i * 2; k < BITS; k += i)
			set[(k / 64) % (BITS / 64)] |= 1ull << (k % 64);
	}
	return primes;
}

__u32 table[1024];

SEC("raw_tp") int binary_searches(void *ctx)
{
	__u32 found = 0;

	for (int n = 0; n < 32; n++) {
		__u32 want = bpf_get_prandom_u32(), lo = 0, hi = 1023;

		for (int i = 0; i < 10; i++) {
			__u32 mid = (lo + hi) / 2;

			if (table[mid & 1023] < want)
				lo = mid + 1;
			else
				hi = mid;
		}
		found += lo;
	}
	return found;
}

SEC("raw_tp") int insertion_sort(void *ctx)
{
	__u32 a[32];

	for (int i = 0; i < 32; i++)
		a[i] = bpf_get_prandom_u32();
	for (int i = 1; i < 32; i++) {
		__u32 v = a[i & 31];
		int k = i;

		while (k > 0 && a[(k - 1) & 31] > v) {
			a[k & 31] = a[(k - 1) & 31];
			k--;
		}
		a[k & 31] = v;
	}
	return a[0];
}
