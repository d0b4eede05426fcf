/* SPDX-License-Identifier: Apache-2.0 */
/* insn.c - see insn.h. */
#include "vm/insn.h"

#include <errno.h>

#include "vm/image.h"

int insn_check_shape(const struct bpf_insn *in, u32 cnt, const struct image_subprog *subs, u32 nr_subs)
{
	if (!cnt || cnt > INSN_MAX || !nr_subs || subs[0].insn)
		return -EINVAL;
	for (u32 i = 0; i < nr_subs; i++) {
		u32 end = i + 1 < nr_subs ? subs[i + 1].insn : cnt;
		u8 last;

		if (end > cnt || end <= subs[i].insn || subs[i].stack > VM_STACK || subs[i].stack & 7)
			return -EINVAL;
		last = in[end - 1].code;
		if (last != (BPF_JMP | BPF_EXIT) && !insn_is_ja(last))
			return -EINVAL;
	}
	return 0;
}
