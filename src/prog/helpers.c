/* SPDX-License-Identifier: Apache-2.0 */
/* helpers.c - the function table of helpers, from the rows of spec/helpers.def: a row whose status is FULL or PARTIAL
 * needs its h_<name>() or the build fails; STUB rows have none and cannot be linked. */
#include "prog/helper.h"

#define FN_FULL(name)		h_##name
#define FN_STUB(name)		NULL
#define FN_PARTIAL(missing)	FN_FULL

static const vm_helper table[] = {
#define HELPER(id, name, ret, args, progs, flags, status, ...) [id] = FN_##status(name),
#include "spec/helpers.def"
};

vm_helper prog_helper(u32 id)
{
	return id < ARRAY_SIZE(table) ? table[id] : NULL;
}
