/* SPDX-License-Identifier: Apache-2.0 */
/* attach.c - see attach.h. */
#include "tool/attach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool/door.h"

#define AGENT	"libskep-agent.so"

int attach_check(const char *file, const struct bpf_program *p)
{
	return 0;
}

int attach_failed(const char *file, const struct bpf_program *p, int err)
{
	const char *why = libbpf_cause();

	if (*why)
		return fail(EXIT_FAILED, "%s: %s", file, why);
	return fail_errno(err, "%s: %s cannot be attached (%s)", file, bpf_program__name(p), bpf_program__section_name(p));
}

u64 attach_missed(int prog_fd)
{
	struct bpf_prog_info i = {};
	u32 len = sizeof(i);

	if (bpf_obj_get_info_by_fd(prog_fd, &i, &len))
		return 0;
	return i.recursion_misses + fdinfo_u64(prog_fd, "misses");
}

/* ---- the agent's file ---- */
/* Beside the tool: in a build tree bin/ and lib/, installed likewise. */
int agent_find(char *out, size_t size)
{
	char exe[4096], *slash;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n < 0)
		return fail_errno(-errno, "/proc/self/exe");
	exe[n] = 0;
	for (int i = 0; i < 2; i++) {
		slash = strrchr(exe, '/');
		if (slash)
			*slash = 0;
	}
	if (snprintf(out, size, "%s/lib/" AGENT, exe) >= (int)size)
		return fail_errno(-ENAMETOOLONG, "%s", exe);
	if (access(out, R_OK))
		return fail(EXIT_ENV, "%s: %s: processes cannot be traced without it (make, or make install)", out, err_text(errno));
	if (strpbrk(out, " :"))
		return fail(EXIT_ENV, "%s: LD_PRELOAD takes no path with blanks or colons", out);
	return 0;
}
