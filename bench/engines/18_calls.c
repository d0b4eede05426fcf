/* SPDX-License-Identifier: Apache-2.0 */
/* 128 iterations of a two-level BPF-to-BPF call chain */
#include "common.h"
static NOINLINE u64 leaf(u64 a, u64 b) { barrier_var(a); return a * 3 + (b ^ (a >> 7)); }
static NOINLINE u64 mid(u64 a, u64 b, u64 c) { u64 x = leaf(a, b); u64 y = leaf(b + x, c); return x ^ y; }
static __always_inline u32 body(const u8 *d, const u8 *e) {
	NEED(80);
	u64 a = *(u64 *)(d + 64);
	NOUNROLL for (int i = 0; i < 128; i++) a = mid(a, i, a >> 32);
	return (u32)(a ^ (a >> 32));
}
ENTRY()
