/* SPDX-License-Identifier: Apache-2.0 */
/* pcapng_fuzz.c - pcapng files through skep's own reader and writer: a section header goes in front unless there is one.
 * Seeds: test/fuzz/pcapng. */
#include <stdio.h>

#include "tool/capfuzz.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const u32 head[] = { 0x0a0d0d0a, 28, 0x1a2b3c4d, 1, ~0u, ~0u, 28, 1, 20, 1, 65535, 20 };
	u8 *b;

	if (size >= 4 && !memcmp(data, head, 4)) {
		capfuzz_one(data, size);
		return 0;
	}
	b = malloc(sizeof(head) + size);
	if (!b)
		return 0;
	memcpy(b, head, sizeof(head));
	memcpy(b + sizeof(head), data, size);
	capfuzz_one(b, sizeof(head) + size);
	free(b);
	return 0;
}
