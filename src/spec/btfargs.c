/* SPDX-License-Identifier: Apache-2.0 */
/* btfargs.c - look-ups in btfargs.def: arguments of tracepoints and iterators. Constant data, no state. */
#include <string.h>

#include "spec/spec.h"

struct row {
	const char *name;
	u8 arg, what;
};

enum { NULLABLE = SPEC_ARG_NULL, ERRPTR = SPEC_ARG_ERR, OLD = SPEC_ARG_PTR, TRUSTED = SPEC_ARG_PTR | SPEC_ARG_TRUSTED,
       OLD_OR_NULL = OLD | SPEC_ARG_NULL, TRUSTED_OR_NULL = TRUSTED | SPEC_ARG_NULL,
       BUF = SPEC_ARG_BUF | SPEC_ARG_NULL, RDONLY_BUF = BUF | SPEC_ARG_RDONLY };

#define RAWTP(tp, n, w)	{ #tp, n, w },
static const struct row rawtps[] = {
#include "spec/btfargs.def"
};

#define ITER(t, n, w)	{ #t, n, w },
static const struct row iters[] = {
#include "spec/btfargs.def"
};

u32 spec_rawtp_arg(const char *tp, u32 arg)
{
	for (u32 i = 0; i < ARRAY_SIZE(rawtps); i++)
		if (rawtps[i].arg == arg && !strcmp(rawtps[i].name, tp))
			return rawtps[i].what;
	return 0;
}

u32 spec_iter_arg(const char *target, u32 arg)
{
	for (u32 i = 0; i < ARRAY_SIZE(iters); i++)
		if (iters[i].arg == arg && !strcmp(iters[i].name, target))
			return iters[i].what;
	return 0;
}

bool spec_iter_known(const char *target)
{
	for (u32 i = 0; i < ARRAY_SIZE(iters); i++)
		if (!strcmp(iters[i].name, target))
			return true;
	return false;
}
