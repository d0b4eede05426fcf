/* SPDX-License-Identifier: Apache-2.0 */
/* trial division with 64-bit modulo, primes below 300 */
#include "common.h"
static __always_inline u32 body(const u8 *d, const u8 *e) {
	u32 count = 0;
	NOUNROLL for (u64 n = 3; n < 300; n += 2) {
		u32 p = 1;
		NOUNROLL for (u64 k = 3; k * k <= n; k += 2) {
			u64 m = n; barrier_var(m);
			if (m % k == 0) { p = 0; break; }
		}
		count += p;
	}
	return count;
}
ENTRY()
