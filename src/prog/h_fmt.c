/* SPDX-License-Identifier: Apache-2.0 */
/* h_fmt.c - helpers that print: into the directory's trace buffer, or into memory. */
#include "base/fault.h"
#include "base/trace.h"
#include "prog/fmt.h"
#include "prog/helper.h"
#include "prog/task.h"
#include "spec/fmt.h"

#define TRACE_PRINTK_ARGS	3

/* What a line does not take is cut; the length of all of it comes back, as in the kernel. */
static u64 trace(u64 fmt, u64 size, const u64 *args, u32 nargs)
{
	char text[TRACE_TEXT];
	int len = fmt_print(text, sizeof(text), PTR(fmt), (u32)size, args, nargs);
	char comm[TASK_COMM_LEN];

	if (tls()->who.keep && !tls()->who.comm_known) {	/* once, for this line and all later ones */
		task_pid();
		task_tid();
		task_comm(comm);
	}

	if (len >= 0)
		trace_write(run_self()->dir, run_self()->prog->id, text, MIN((u32)len, TRACE_TEXT - 1u));
	return (u64)(s64)len;
}

static bool args_ok(u64 args, u64 size)
{
	return size % 8 == 0 && size <= FMT_MAX_ARGS * 8 && (args || !size);
}

HELPER_FN(trace_printk)
{
	const u64 args[TRACE_PRINTK_ARGS] = { r3, r4, r5 };

	return trace(r1, r2, args, TRACE_PRINTK_ARGS);
}

HELPER_FN(trace_vprintk)
{
	u32 size = (u32)r4;

	return args_ok(r3, size) ? trace(r1, r2, PTR(r3), size / 8) : ERR(EINVAL);
}

/* The verifier has seen a NUL, but the map's bytes may not be the same any more. The length with NUL, or 0. */
static size_t fmt_size(const char *fmt)
{
	char part[256];

	for (size_t n = 0;; n += sizeof(part)) {
		long len = fault_copy_str(part, fmt + n, sizeof(part));

		if (len >= 0)
			return n + (size_t)len + 1;
		if (len != -E2BIG)
			return 0;
	}
}

HELPER_FN(snprintf)
{
	u32 size = (u32)r5;
	int len;

	if (!args_ok(r4, size))
		return ERR(EINVAL);
	len = fmt_print(PTR(r1), (u32)r2, PTR(r3), fmt_size(PTR(r3)), PTR(r4), size / 8);
	return (u64)(s64)(len < 0 ? len : len + 1);
}
