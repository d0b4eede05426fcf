/* SPDX-License-Identifier: Apache-2.0 */
/* textsame.c PID - bytes of the executable mappings of files that differ from the files. Prints their number. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long compare(int mem, const char *file, unsigned long start, unsigned long end, unsigned long off)
{
	static char a[65536], b[65536];
	int fd = open(file, O_RDONLY);
	long differ = 0;

	for (unsigned long at = start; fd >= 0 && at < end;) {
		size_t n = end - at < sizeof(a) ? end - at : sizeof(a);
		ssize_t x = pread(mem, a, n, (off_t)at), y = pread(fd, b, n, (off_t)(off + (at - start)));

		if (x <= 0 || y <= 0)
			break;
		for (ssize_t i = 0; i < x && i < y; i++)
			differ += a[i] != b[i];
		at += (unsigned long)x;
	}
	if (fd >= 0)
		close(fd);
	return differ;
}

int main(int argc, char **argv)
{
	char path[64], line[1000], perms[8], file[900];
	unsigned long start, end, off;
	long differ = 0;
	FILE *maps;
	int mem;

	if (argc < 2)
		return 2;
	snprintf(path, sizeof(path), "/proc/%s/mem", argv[1]);
	mem = open(path, O_RDONLY);
	snprintf(path, sizeof(path), "/proc/%s/maps", argv[1]);
	maps = fopen(path, "r");
	if (mem < 0 || !maps)
		return 1;
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %899s", &start, &end, perms, &off, file) == 5 && perms[2] == 'x' &&
		    file[0] == '/')
			differ += compare(mem, file, start, end, off);
	printf("%ld\n", differ);
	return 0;
}
