/* SPDX-License-Identifier: Apache-2.0 */
/* cbpf_gen.h - packets that reach deep into a filter: plausible frames whose bytes are then changed on a random walk
 * through the program, so that its comparisons come out both ways. Same seed, same packets. */
#ifndef SKEP_VM_CBPF_GEN_H
#define SKEP_VM_CBPF_GEN_H

#include "vm/cbpf.h"

struct cbpf_gen {
	u64 seed;			/* any; advances */
	const struct sock_filter *f;	/* checked; NULL: plausible frames only */
	u32 n;
};

#define CBPF_GEN_MAX	2048		/* bytes of a packet at most */
/* Fills BUF, returns the bytes captured; *wire the packet's length, at least that. */
u32 cbpf_gen_packet(struct cbpf_gen *g, u8 buf[CBPF_GEN_MAX], u32 *wire);

#endif
