/* SPDX-License-Identifier: Apache-2.0 */
/* probe.c - loads from kernel objects, which programs may follow wherever they lead. Async-signal-safe. */
#include "base/fault.h"
#include "vm/insn.h"
#include "vm/vm.h"

u64 vm_probe_load(const void *addr, u32 code)
{
	static const u8 sizes[4] = { [BPF_W >> 3] = 4, [BPF_H >> 3] = 2, [BPF_B >> 3] = 1, [BPF_DW >> 3] = 8 };
	u32 size = sizes[BPF_SIZE(code) >> 3], unused = 64 - 8 * size;
	u64 v = 0;

	if (fault_copy_from(&v, addr, size))
		return 0;
	if ((code & 0xe0) == INSN_PROBE_MEMSX)
		return (u64)((s64)(v << unused) >> unused);
	return v;
}
