/* SPDX-License-Identifier: Apache-2.0 */
/* gc.c - skep gc: collect what nobody holds, pins or refers to (crashed loaders leave such things). */
#include "tool/door.h"
#include "tool/tool.h"

int cmd_gc(int argc, char **argv)
{
	int n;

	if (argc)
		return fail(EXIT_USAGE, "skep gc takes no argument: what is '%s'?", argv[0]);
	n = gc_run();
	if (n < 0)
		return fail_errno(n, "collection failed");
	if (opt.json) {
		json_obj(out_json(), NULL);
		json_u64(out_json(), "removed", (u64)n);
		json_end(out_json(), '}');
	} else {
		printf("%d object%s removed\n", n, n == 1 ? "" : "s");
	}
	return EXIT_OK;
}
