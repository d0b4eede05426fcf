/* SPDX-License-Identifier: Apache-2.0 */
/* h_probe.c - helpers about the hook that runs the program. What they say or do there is the run's (prog.h); the hook layer
 * sets it before and acts on it after. */
#include "prog/helper.h"

/* Only programs at the entry of a system call get here (sys/attach.c). */
HELPER_FN(override_return)
{
	struct run *r = run_self();

	r->override = r2;
	r->overridden = true;
	return 0;
}

HELPER_FN(get_attach_cookie)
{
	return run_self()->cookie;
}
