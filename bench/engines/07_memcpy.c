/* SPDX-License-Identifier: Apache-2.0 */
/* byte-wise copy of 256 bytes packet -> global buffer (native: becomes memcpy) */
#include "common.h"
u8 dst[512];
static __always_inline u32 body(const u8 *d, const u8 *e) {
	NEED(1024);
	NOUNROLL for (int i = 0; i < 256; i++) dst[i] = d[256 + i];
	return dst[17] + dst[200];
}
ENTRY()
