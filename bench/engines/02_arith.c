/* SPDX-License-Identifier: Apache-2.0 */
/* 1000 iterations of dependent 64-bit mul/add/shift/xor */
#include "common.h"
static __always_inline u32 body(const u8 *d, const u8 *e) {
	NEED(80);
	u64 a = *(u64 *)(d + 64), b = *(u64 *)(d + 72);
	NOUNROLL for (int i = 0; i < 1000; i++) {
		a = a * 6364136223846793005ULL + i;
		b ^= a >> 13;
		b += b << 7;
	}
	return (u32)(b ^ (b >> 32));
}
ENTRY()
