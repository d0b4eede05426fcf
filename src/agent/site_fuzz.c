/* SPDX-License-Identifier: Apache-2.0 */
/* site_fuzz.c - libFuzzer: tables of sites as agents read them. The first byte says whether the digest is made to fit, so that
 * what lies behind it is reached; then everything that a table leads to is read as site.c and stub.c do. */
#include <stdlib.h>
#include <string.h>

#include "agent/site.h"
#include "base/sha256.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static u64 read_win(const struct site_win *w, const u8 *blob)
{
	const struct site_rel *r = (const struct site_rel *)(blob + w->rels);
	u8 code[SITE_CODE_MAX];
	u64 sum = 0;

	if (!w->len)
		return 0;
	memcpy(code, blob + w->code, w->code_len);
	for (u32 i = 0; i < w->nr_rels; i++) {
		s64 to = (s64)r[i].to - r[i].end;
		u32 v = (u32)to;

		memcpy(code + r[i].at, &v, 4);
	}
	for (u32 i = 0; i < w->code_len; i++)
		sum += code[i];
	return sum;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct site_hdr *h;
	u64 sum = 0;

	if (size < 1 + sizeof(*h))
		return 0;
	h = malloc(size - 1);			/* exactly: reads behind it are seen */
	if (!h)
		return 0;
	memcpy(h, data + 1, size - 1);
	if (data[0] & 1) {
		h->magic = SITE_MAGIC;
		h->version = SITE_VERSION;
		sha256(h + 1, size - 1 - sizeof(*h), h->digest);
	}
	if (!site_table_check(h, size - 1, NULL)) {
		const struct site *s = site_table_sites(h);
		const u8 *blob = site_table_blob(h);

		for (u32 i = 0; i < h->nr_sites; i++) {
			for (u32 k = 0; k < s[i].span; k++)
				sum += blob[s[i].orig + k];
			sum += read_win(&s[i].enter, blob) + read_win(&s[i].exit, blob);
			if (s[i].enter.len)
				sum += blob[s[i].orig + (s[i].enter.at - s[i].lo) + SITE_JMP - 1];
		}
	}
	free(h);
	*(volatile u64 *)&sum = sum;		/* all of it was read */
	return 0;
}
