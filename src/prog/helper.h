/* SPDX-License-Identifier: Apache-2.0 */
/* helper.h - how helpers are written. A helper takes five u64 and returns one; the verifier has proved its arguments
 * by the row in helpers.def (pointers valid for their sizes, maps of the right kind), so it checks only what the
 * row cannot say: flags, lengths against the packet, user addresses. Helpers are async-signal-safe: no malloc, no
 * libc state, no locks but those of base/domain.h. Errors are negative errno in the return value.
 * Source of the semantics: bpf-helpers(7) and Linux 6.18's answers. */
#ifndef SKEP_PROG_HELPER_H
#define SKEP_PROG_HELPER_H

#include <errno.h>
#include <string.h>

#include "prog/prog.h"

#define HELPER_FN(name)	u64 h_##name(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5)
#define PTR(r)		((void *)(uintptr_t)(r))
#define ERR(e)		((u64)(s64)-(e))

/* What a read of kernel memory at ADDR that failed returns: -EFAULT, or -ERANGE where no kernel memory can be. */
static inline int probe_error(u64 addr)
{
	return addr >= 0xffff800000000000ull ? -EFAULT : -ERANGE;
}

/* The prototypes, also of those that are not written (never defined or used). */
#define HELPER(id, name, ret, args, progs, flags, status, ...) HELPER_FN(name);
#include "spec/helpers.def"

#endif
