/* SPDX-License-Identifier: Apache-2.0 */
/* 16-way dispatch on 128 packet bytes (tiny VM) */
#include "common.h"
static __always_inline u32 body(const u8 *d, const u8 *e) {
	NEED(1024);
	u32 a = 1, b = 7, c = 3;
	NOUNROLL for (int i = 0; i < 128; i++) {
		u32 op = d[768 + i];
		switch (op & 15) {
		case 0: a += b; break;
		case 1: a -= c; break;
		case 2: b ^= a; break;
		case 3: c += 11; break;
		case 4: a = a * 31; break;
		case 5: b = b << 3; break;
		case 6: c = c >> 2; break;
		case 7: a |= c; break;
		case 8: b &= 0xffffff; break;
		case 9: c = a; break;
		case 10: a = b; break;
		case 11: b = c + 1; break;
		case 12: a ^= 0x5bd1e995; break;
		case 13: c -= b; break;
		case 14: b += op; break;
		case 15: a = (a << 5) | (a >> 27); break;
		}
	}
	return a ^ b ^ c;
}
ENTRY()
