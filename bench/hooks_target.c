/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_target.c - what bench/hooks.c traces. libc: getppid() of libc, whose number is known where it is; syscall: the same
 * through syscall(), whose number is not; paced: about a million calls a second; true: nothing. Prints the best time of many
 * short windows, in ns a call. */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WINDOW	2000
#define WINDOWS	600
#define PAUSE	2500		/* rounds of a loop: most of a microsecond */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv)
{
	int by_number = argc > 1 && !strcmp(argv[1], "syscall"), paced = argc > 1 && !strcmp(argv[1], "paced");
	double best = 1e18, t;

	if (argc > 1 && !strcmp(argv[1], "true"))
		return 0;
	for (int w = 0; w < WINDOWS; w++) {
		t = now();
		for (int i = 0; i < WINDOW; i++) {
			by_number ? (void)syscall(SYS_getppid) : (void)getppid();
			for (int k = 0; paced && k < PAUSE; k++)
				__asm__ volatile("");
		}
		t = (now() - t) / WINDOW;
		best = t < best ? t : best;
	}
	printf("%.2f\n", best);
	return 0;
}
