/* SPDX-License-Identifier: Apache-2.0 */
/* FNV-1a 64 over 256 packet bytes */
#include "common.h"
static __always_inline u32 body(const u8 *d, const u8 *e) {
	NEED(1024);
	u64 h = 0xcbf29ce484222325ULL;
	NOUNROLL for (int i = 0; i < 256; i++) { h ^= d[256 + i]; h *= 0x100000001b3ULL; }
	return (u32)(h ^ (h >> 32));
}
ENTRY()
