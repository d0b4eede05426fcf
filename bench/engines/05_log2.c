/* SPDX-License-Identifier: Apache-2.0 */
/* shift-and-compare integer log2 over 64 u32 */
#include "common.h"
static __always_inline u32 ilog2(u32 v) {
	u32 r, s;
	r = (v > 0xffff) << 4; v >>= r;
	s = (v > 0xff) << 3; v >>= s; r |= s;
	s = (v > 0xf) << 2; v >>= s; r |= s;
	s = (v > 0x3) << 1; v >>= s; r |= s;
	return r | (v >> 1);
}
static __always_inline u32 body(const u8 *d, const u8 *e) {
	NEED(1024);
	u32 t = 0;
	NOUNROLL for (int i = 0; i < 64; i++) t = t * 3 + ilog2(*(u32 *)(d + 768 + i * 4) >> (i & 31));
	return t;
}
ENTRY()
