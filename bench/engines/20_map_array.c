/* SPDX-License-Identifier: Apache-2.0 */
/* 64 array-map lookups with a read-modify-write of the value's second word */
#include "common.h"
struct aval { u64 c, k; };
DEFINE_MAP(arr, MAP_ARRAY, u32, struct aval, 1024)
static __always_inline u32 body(const u8 *d, const u8 *e) {
	NEED(1024);
	u64 t = 0;
	NOUNROLL for (int i = 0; i < 64; i++) {
		u32 key = *(u32 *)(d + 768 + i * 4) & 1023;
		struct aval *v = bpf_map_lookup_elem(MAP(arr), &key);
		if (!v) continue;
		t = t * 31 + v->c; v->k += 1;
	}
	return (u32)t;
}
ENTRY()
