/* SPDX-License-Identifier: Apache-2.0 */
/* sha256.c - FIPS 180-4. The names of the working variables and functions are the standard's (section 6.2.2). */
#include "base/sha256.h"

#include <string.h>

/* First 32 bits of the fractional parts of the cube roots of the first 64 primes (4.2.2). */
static const u32 K[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static u32 rotr(u32 x, u32 n)
{
	return x >> n | x << (32 - n);
}

static void schedule(const u8 *block, u32 w[64])
{
	for (u32 t = 0; t < 16; t++, block += 4)
		w[t] = (u32)block[0] << 24 | (u32)block[1] << 16 | (u32)block[2] << 8 | block[3];
	for (u32 t = 16; t < 64; t++) {
		u32 s0 = rotr(w[t - 15], 7) ^ rotr(w[t - 15], 18) ^ w[t - 15] >> 3;
		u32 s1 = rotr(w[t - 2], 17) ^ rotr(w[t - 2], 19) ^ w[t - 2] >> 10;

		w[t] = w[t - 16] + s0 + w[t - 7] + s1;
	}
}

static void compress(u32 H[8], const u8 *block)
{
	u32 w[64], v[8];			/* v: a b c d e f g h */

	schedule(block, w);
	memcpy(v, H, sizeof(v));
	for (u32 t = 0; t < 64; t++) {
		u32 S1 = rotr(v[4], 6) ^ rotr(v[4], 11) ^ rotr(v[4], 25);
		u32 S0 = rotr(v[0], 2) ^ rotr(v[0], 13) ^ rotr(v[0], 22);
		u32 ch = (v[4] & v[5]) ^ (~v[4] & v[6]);
		u32 maj = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
		u32 t1 = v[7] + S1 + ch + K[t] + w[t], t2 = S0 + maj;

		memmove(&v[1], &v[0], 7 * sizeof(*v));
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (u32 i = 0; i < 8; i++)
		H[i] += v[i];
}

/* Padding (5.1.1): a one bit, zeros, the length in bits as 64-bit big-endian number. */
static void finish(u32 H[8], const u8 *rest, size_t nr_rest, u64 nr_all)
{
	u8 tail[128] = { 0 };
	size_t end = nr_rest < 56 ? 64 : 128;

	if (nr_rest)
		memcpy(tail, rest, nr_rest);
	tail[nr_rest] = 0x80;
	for (u32 i = 0; i < 8; i++)
		tail[end - 1 - i] = (u8)(nr_all * 8 >> (8 * i));
	compress(H, tail);
	if (end == 128)
		compress(H, tail + 64);
}

void sha256(const void *data, size_t n, u8 out[32])
{
	/* First 32 bits of the fractional parts of the square roots of the first 8 primes (5.3.3). */
	u32 H[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	const u8 *p = data;
	size_t left = n;

	for (; left >= 64; left -= 64, p += 64)
		compress(H, p);
	finish(H, p, left, n);
	for (u32 i = 0; i < 32; i++)
		out[i] = (u8)(H[i / 4] >> (24 - 8 * (i % 4)));
}
