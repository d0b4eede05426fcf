/* SPDX-License-Identifier: Apache-2.0 */
/* Jenkins lookup3 (kernel jhash) over 252 packet bytes */
#include "common.h"
static __always_inline u32 body(const u8 *d, const u8 *e) {
	NEED(1024);
	u32 a, b, c; a = b = c = 0xdeadbeef + 252;
	NOUNROLL for (int i = 0; i < 252; i += 12) {
		a += *(u32 *)(d + 256 + i); b += *(u32 *)(d + 260 + i); c += *(u32 *)(d + 264 + i);
		a -= c; a ^= rol32(c, 4); c += b;
		b -= a; b ^= rol32(a, 6); a += c;
		c -= b; c ^= rol32(b, 8); b += a;
		a -= c; a ^= rol32(c, 16); c += b;
		b -= a; b ^= rol32(a, 19); a += c;
		c -= b; c ^= rol32(b, 4); b += a;
	}
	c ^= b; c -= rol32(b, 14); a ^= c; a -= rol32(c, 11); b ^= a; b -= rol32(a, 25);
	c ^= b; c -= rol32(b, 16); a ^= c; a -= rol32(c, 4); b ^= a; b -= rol32(a, 14);
	c ^= b; c -= rol32(b, 24);
	return c;
}
ENTRY()
