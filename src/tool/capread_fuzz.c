/* SPDX-License-Identifier: Apache-2.0 */
/* capread_fuzz.c - pcap files, plain and gzip, through skep's own reader and writer. Seeds: test/fuzz/capread. */
#include <stdio.h>

#include "tool/capfuzz.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	capfuzz_one(data, size);
	return 0;
}
