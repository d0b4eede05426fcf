/* SPDX-License-Identifier: Apache-2.0 */
/* cbpf_flow.h - what the translator knows about a classic program: one backward and one forward pass, both in order,
 * because jumps lead forward (where libpcap's do not, nothing is known at their targets). Sound in both directions:
 * a lower bound too low or an upper bound too high costs an instruction, never a meaning; and the verifier checks all
 * that concerns memory again. */
#ifndef SKEP_VM_CBPF_FLOW_H
#define SKEP_VM_CBPF_FLOW_H

#include "vm/cbpf.h"

#define FLOW_NEVER	UINT32_MAX	/* need: every way from here returns 0 */
#define FLOW_FAST_MAX	0x7fff		/* packet bytes that direct loads reach: a 16-bit displacement */
#define FLOW_FAST_IND	0xfff0		/* most that X + k + size may be for a direct load: the verifier's limit */

/* How A lies in its register. Loads leave it as the packet has it where all that happens to it are comparisons with
 * constants, which can be swapped beforehand. */
enum flow_rep { REP_HOST, REP_BE16, REP_BE32 };

struct flow_state {			/* before an instruction, true on every way to it */
	bool seen;
	u32 known;			/* bytes of the packet checked to be there */
	bool p_valid;			/* register P is data + X */
	u32 x_known;			/* bytes behind P checked to be there, if valid */
	u32 a_max, x_max, m_max[BPF_MEMWORDS];
	u8 rep;
};

struct flow_node {
	struct flow_state in;
	/* On every way from here to a result other than 0: */
	u32 need;			/* packet length */
	u32 x_need;			/* bytes behind data + X, for this X */
	bool raw_ok;			/* A, as it is before this instruction, is only compared with constants */
	bool a_used;			/* A, as it is before this instruction, may still be read */
	bool host;			/* ways meet here that have A in different forms */
	bool back;			/* target of a jump back */
	bool never;			/* conditional jump: its condition cannot hold */
};

struct flow {
	const struct sock_filter *f;
	u32 n, flags;
	struct flow_node *node;
	bool slow;			/* some load or helper needs a call */
};

int flow_build(struct flow *w, const struct sock_filter *f, u32 n, u32 flags);	/* 0, -ENOMEM */
void flow_free(struct flow *w);
/* Is instruction I ever executed with a result that matters? */
static inline bool flow_live(const struct flow *w, u32 i)
{
	return w->node[i].in.seen && w->node[i].need != FLOW_NEVER;
}
/* Can the load at I be a direct one? (ABS, MSH, IND.) */
bool flow_direct(const struct flow *w, u32 i);
/* Of a direct load: bytes of the packet (IND: behind data + X) to be checked in front of it, 0: they are known to be there.
 * More than it reads itself where every way to a result other than 0 reads more: one check for many loads. */
u32 flow_check_len(const struct flow *w, u32 i);
/* Does the load at I leave A as the packet has it? */
enum flow_rep flow_load_rep(const struct flow *w, u32 i);

#endif
