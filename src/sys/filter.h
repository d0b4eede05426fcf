/* SPDX-License-Identifier: Apache-2.0 */
/* filter.h - classic filters as programs of this process: checked, translated, loaded by bpf(2) (verified and compiled
 * like any other program), opened for calling. Not thread safe but for filter_call() inside of an entered run. */
#ifndef SKEP_SYS_FILTER_H
#define SKEP_SYS_FILTER_H

#include "prog/prog.h"
#include "spec/ctx.h"
#include "vm/cbpf.h"

struct filter {
	struct prog *prog;		/* NULL: interpreted */
	int fd;				/* of the program; -1 */
	u32 n, flags, wants;		/* CBPF_*; CBPF_WANTS_* */
	struct sock_filter *f;
	bool plain;			/* direct packet access was not to be had */
	int load_err;			/* why it is interpreted, -errno */
	u32 ebpf_insns;
	u64 load_ns;			/* check to machine code */
};

/* 0; -EINVAL with *why (the kernel's rules); -ENOMEM. Where programs cannot be loaded at all (no directory, no executable
 * memory) the filter is interpreted; load_err says so. */
int filter_open(const struct sock_filter *f, u32 n, u32 flags, const char *name, struct filter **out,
		struct cbpf_reason *why);
void filter_close(struct filter *f);

/* Around a batch of calls. 0 or -errno as prog_enter(). */
int filter_enter(const struct filter *f, struct run *r);
void filter_exit(const struct filter *f, struct run *r);
/* The filter's value: bytes to keep, 0 to drop. Of SKB data, data_end, mac, len (bytes that are there), wire_len and what
 * ancillary loads read are to be set. */
static inline u32 filter_call(const struct filter *f, struct run *r, struct skep_sk_buff *skb)
{
	if (unlikely(!f->prog))
		return cbpf_run(f->f, f->n, f->flags, skb);
	return (u32)prog_call(f->prog, r, skb);
}

#endif
