/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sbuf.h"

#include "t.h"

TEST(appends_and_grows)
{
	struct sbuf b = { 0 };

	for (int i = 0; i < 1000; i++)
		sbuf_printf(&b, "%d,", i);
	sbuf_puts(&b, "end");
	EQ(b.err, 0);
	EQ(b.len, 10 * 2 + 90 * 3 + 900 * 4 + 3);
	HAS(b.s, "998,999,end");
	sbuf_reset(&b);
	EQ(b.len, 0);
	STR_EQ(b.s, "");
	sbuf_free(&b);
}
