/* SPDX-License-Identifier: Apache-2.0 */
/* agent_sites.c - skep agent-sites: tables of system call instructions, for agents and for the curious (doc/agent.md).
 * Agents run it for files that nobody prepared; it is not among the commands that help lists. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "front/scan.h"
#include "tool/tool.h"

static int print(const char *path)
{
	struct site_hdr *h = NULL;
	size_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return fail_errno(-errno, "%s", path);
	err = scan_file(fd, &h, &n);
	close(fd);
	if (err)
		return fail_errno(err, "%s", path);
	scan_print(h, stdout);
	free(h);
	return EXIT_OK;
}

int cmd_agent_sites(int argc, char **argv)
{
	const char *dir = getenv("SKEP_DIR");
	char def[64];
	int err = 0;

	if (argc == 2 && !strcmp(argv[0], "--print"))
		return print(argv[1]);
	if (!argc)
		return fail(EXIT_USAGE, "skep agent-sites [--print] FILE...");
	if (!dir || !*dir) {
		snprintf(def, sizeof(def), "/dev/shm/skep-%u", getuid());
		dir = def;
	}
	for (int i = 0; i < argc; i++) {
		int r = sites_prepare(dir, argv[i]);

		if (r < 0)
			err = fail_errno(r, "%s", argv[i]);
	}
	return err;
}
