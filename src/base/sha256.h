/* SPDX-License-Identifier: Apache-2.0 */
/* sha256.h - FIPS 180-4 SHA-256. Program tags (the kernel's since 6.18) and image digests. */
#ifndef SKEP_BASE_SHA256_H
#define SKEP_BASE_SHA256_H

#include "base/def.h"

void sha256(const void *data, size_t n, u8 out[32]);

#endif
