/* SPDX-License-Identifier: Apache-2.0 */
/* agentlib.c - the agent's file: where it is, whether it is of this build, and what to do before a command is run with it
 * (attach.h). */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skep.h>

#include "abi.h"
#include "base/agents.h"
#include "front/scan.h"
#include "tool/attach.h"

#define AGENT	"libskep-agent.so"

static int is_ours(const char *path)
{
	static const char mark[] = AGENT_MARK SKEP_ABI;
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = fd < 0 ? -errno : 0;
	struct stat st;
	void *p = MAP_FAILED;

	if (!err && !fstat(fd, &st) && st.st_size > 0)
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (!err && (p == MAP_FAILED || !memmem(p, (size_t)st.st_size, mark, sizeof(mark))))
		err = -ENOEXEC;
	if (p != MAP_FAILED)
		munmap(p, (size_t)st.st_size);
	if (fd >= 0)
		close(fd);
	return err;
}

/* Beside the tool: in a build tree bin/ and lib/, installed likewise. */
int agent_find(char *out, size_t size)
{
	char exe[4096], *slash;
	int err;
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
	err = is_ours(out);
	if (err == -ENOEXEC)
		return fail(EXIT_ENV, "%s: not the agent of this version: make, or make install, brings both", out);
	if (err)
		return fail(EXIT_ENV, "%s: %s: processes cannot be traced without it", out, err_text(err));
	if (strpbrk(out, " :"))
		return fail(EXIT_ENV, "%s: LD_PRELOAD takes no path with blanks or colons", out);
	return 0;
}

int agent_prepare(const char *command)
{
	int err = sites_prepare_command(skep_dir__path(), command);

	if (err != -ENOSPC)
		return 0;		/* what else fails is tried again on demand */
	return fail_errno(err, "no room in %s for tables of system calls", skep_dir__path());
}
