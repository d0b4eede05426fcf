/* SPDX-License-Identifier: Apache-2.0 */
/* straight-line eth(+vlan)/ipv4/tcp parse with bounds checks and byte swaps, returns a flow hash (no loop) */
#include "common.h"
static __always_inline u32 body(const u8 *d, const u8 *e) {
	if (d + 14 > e) return 1;
	u16 proto = *(u16 *)(d + 12); const u8 *p = d + 14;
	if (proto == bs16(0x8100)) { if (p + 4 > e) return 1; proto = *(u16 *)(p + 2); p += 4; }
	if (proto != bs16(0x0800)) return 2;
	if (p + 20 > e) return 1;
	if ((p[0] >> 4) != 4 || (p[0] & 15) < 5) return 1;
	if (*(u16 *)(p + 6) & bs16(0x3fff)) return 3;
	u32 len = bs16(*(u16 *)(p + 2)); if (len < 40) return 1;
	u32 sa = bs32(*(u32 *)(p + 12)), da = bs32(*(u32 *)(p + 16)); u8 pr = p[9];
	p += 20;
	if (pr != 6 && pr != 17) return 4;
	if (p + 20 > e) return 1;
	u32 sp = bs16(*(u16 *)p), dp = bs16(*(u16 *)(p + 2));
	u32 fl = p[13]; if (pr == 6 && (fl & 0x3f) == 0x3f) return 5;
	if (dp == 22 || dp == 23 || (dp >= 6000 && dp < 6100)) return 6;
	u32 h = sa * 2654435761u ^ rol32(da, 13) * 0x85ebca6b ^ ((sp << 16) | dp); h ^= h >> 16; h *= 0xc2b2ae35; h ^= h >> 13;
	return h | 1;
}
ENTRY()
