/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-2-4 over 256 packet bytes */
#include "common.h"
#define RND do { v0 += v1; v1 = rol64(v1, 13); v1 ^= v0; v0 = rol64(v0, 32); v2 += v3; v3 = rol64(v3, 16); v3 ^= v2; \
 v0 += v3; v3 = rol64(v3, 21); v3 ^= v0; v2 += v1; v1 = rol64(v1, 17); v1 ^= v2; v2 = rol64(v2, 32); } while (0)
static __always_inline u32 body(const u8 *d, const u8 *e) {
	NEED(1024);
	u64 k0 = *(u64 *)(d + 64), k1 = *(u64 *)(d + 72);
	u64 v0 = k0 ^ 0x736f6d6570736575ULL, v1 = k1 ^ 0x646f72616e646f6dULL;
	u64 v2 = k0 ^ 0x6c7967656e657261ULL, v3 = k1 ^ 0x7465646279746573ULL;
	NOUNROLL for (int i = 0; i < 256; i += 8) { u64 m = *(u64 *)(d + 256 + i); v3 ^= m; RND; RND; v0 ^= m; }
	u64 b = 256ULL << 56; v3 ^= b; RND; RND; v0 ^= b; v2 ^= 0xff; RND; RND; RND; RND;
	u64 r = v0 ^ v1 ^ v2 ^ v3;
	return (u32)(r ^ (r >> 32));
}
ENTRY()
