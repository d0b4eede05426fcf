/* SPDX-License-Identifier: Apache-2.0 */
/* sha256_test.c - the standard's examples, and every length around the padding's edges against sha256sum(1). */
#include "base/sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "t.h"

static void hex(const u8 d[32], char s[65])
{
	for (int i = 0; i < 32; i++)
		sprintf(s + 2 * i, "%02x", d[i]);
}

static const struct {
	const char *name, *msg, *want;
	u32 repeat;
} rows[] = {
	{ "empty message", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 1 },
	{ "one block: abc", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 1 },
	{ "two blocks by padding", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", 1 },
	{ "112 bytes", "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrs"
	  "mnopqrstnopqrstu", "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1", 1 },
	{ "a million times a", "a", "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", 1000000 },
};

TEST(standard_examples)
{
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t n = strlen(rows[i].msg) * rows[i].repeat;
		char *m = calloc(1, n + 1), got[65];
		u8 d[32];

		t_row("%s", rows[i].name);
		for (u32 k = 0; k < rows[i].repeat; k++)
			strcpy(m + k * strlen(rows[i].msg), rows[i].msg);
		sha256(m, n, d);
		hex(d, got);
		STR_EQ(got, rows[i].want);
		free(m);
	}
}

TEST(lengths_around_a_block_agree_with_sha256sum)
{
	for (u32 n = 54; n <= 66; n++) {
		char cmd[128], want[65] = "", got[65];
		u8 m[66], d[32];
		FILE *f;

		memset(m, 'x', sizeof(m));
		snprintf(cmd, sizeof(cmd), "head -c %u /dev/zero | tr '\\0' x | sha256sum", n);
		f = popen(cmd, "r");
		NEED(f && fscanf(f, "%64s", want) == 1);
		pclose(f);
		sha256(m, n, d);
		hex(d, got);
		STR_EQ(got, want);
	}
}
