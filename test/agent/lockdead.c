/* SPDX-License-Identifier: Apache-2.0 */
/* lockdead.c - takes every bucket's lock of hash map ID of $SKEP_DIR and ends without giving one back. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "map/hash.h"

int main(int argc, char **argv)
{
	struct obj_dir *d;
	struct map *m;
	int fd, n = 0;

	if (argc != 2 || obj_dir_open(NULL, &d))
		return 2;
	fd = obj_open_id(d, OBJ_MAP, (u32)atoi(argv[1]), O_RDWR);
	if (fd < 0 || map_open_fd(d, fd, &m))
		return 3;
	for (u32 b = 0; b <= hash_of(m)->mask; b++)
		n += hash_lock(m, b) >= 0;
	printf("%d locked\n", n);
	fflush(stdout);
	_exit(n ? 0 : 4);
}
