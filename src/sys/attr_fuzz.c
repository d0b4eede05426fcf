/* SPDX-License-Identifier: Apache-2.0 */
/* attr_fuzz.c - libFuzzer: sequences of bpf(2) commands with hostile attributes.
 *
 * An input is a row of [command][length][bytes of attr]. Words of the form 0xfd00000N become fds (of all kinds, then
 * those that the input itself made), and 0x5050ooooooooffff-like pointers are cut to a scratch area, so that mutation
 * finds the way past the first checks; everything else goes in as it is. */
#include "sys/fuzz.h"

#define MAX_CMDS	24
#define SCRATCH		(64u << 10)

static u8 scratch[SCRATCH];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	fuzz_start();
	return 0;
}

static void substitute(u32 *w, size_t n, const int *made, u32 nr_made)
{
	for (size_t i = 0; i < n; i++) {
		if (w[i] >> 8 == 0xfd0000) {
			u32 k = w[i] & 0xff;

			w[i] = (u32)(k < 8 ? fuzz_fd[k] : nr_made ? made[k % nr_made] : -1);
		} else if (i + 1 < n && !(i & 1) && w[i + 1] >> 16 == 0x5050) {
			u64 p = FUZZ_PTR(scratch) + w[i] % (SCRATCH - 8192);

			memcpy(w + i, &p, sizeof(p));
			i++;
		}
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	int made[MAX_CMDS];
	u32 nr_made = 0;

	memset(scratch, 0, sizeof(scratch));
	for (u32 n = 0; n < MAX_CMDS && size >= 2; n++) {
		u32 w[64] = { 0 };
		u32 cmd = data[0] % 40, len = MIN((size_t)data[1], size - 2);
		long r;

		len = MIN(len, (u32)sizeof(w));
		memcpy(w, data + 2, len);
		/* the bytes are also what pointers point to */
		memcpy(scratch + n * 64, data + 2, MIN(len, 64u));
		data += 2 + len;
		size -= 2 + len;
		substitute(w, ARRAY_SIZE(w), made, nr_made);
		if (cmd == BPF_PROG_TEST_RUN)
			w[8] &= 0xff;			/* repeat */
		r = skep_bpf((int)cmd, (union bpf_attr *)w, sizeof(union skep_attr));
		if (r > 2)
			made[nr_made++] = (int)r;
	}
	while (nr_made)
		close(made[--nr_made]);
	fuzz_collect();
	return 0;
}
