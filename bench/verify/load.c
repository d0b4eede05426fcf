/* SPDX-License-Identifier: Apache-2.0 */
/* load.c OBJECT... - loads each program of each object alone with log_level 4 and prints a line per program: object, name, errno,
 * microseconds and states by the log, and by how many KiB the process grew at most. Linked as it is, and with
 * test/verify/kern/shim.c for skep's verifier. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#define BEST_OF	5

static char log_buf[1 << 20];

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap) { return 0; }

static long peak_kib(void)
{
	char line[128];
	FILE *f = fopen("/proc/self/status", "r");
	long kib = 0;

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "VmHWM: %ld", &kib);
	if (f)
		fclose(f);
	return kib;
}

static void reset_peak(void)
{
	FILE *f = fopen("/proc/self/clear_refs", "w");

	if (f) {
		fputs("5", f);
		fclose(f);
	}
}

/* Called by the shim around the verifier. */
static long before;
void shim_before(void)
{
	reset_peak();
	before = peak_kib();
}

static unsigned number(const char *what)
{
	const char *p = strstr(log_buf, what);

	return p ? (unsigned)strtoul(p + strlen(what), NULL, 10) : 0;
}

static void one(const char *path, const char *name)
{
	unsigned usec = ~0u, insns = 0, states = 0, peak = 0;
	long grew = 0;
	int err = 0;

	for (int i = 0; i < BEST_OF; i++) {
		struct bpf_object *o = bpf_object__open_file(path, NULL);
		struct bpf_program *p;
		unsigned t;

		bpf_object__for_each_program(p, o) {
			int this = !strcmp(bpf_program__name(p), name);

			bpf_program__set_autoload(p, this);
			if (this) {
				bpf_program__set_log_level(p, 4);
				bpf_program__set_log_buf(p, log_buf, sizeof(log_buf));
			}
		}
		log_buf[0] = 0;
		before = 0;
		err = bpf_object__load(o);
		grew = before && peak_kib() - before > grew ? peak_kib() - before : grew;
		bpf_object__close(o);
		t = number("verification time ");
		usec = t < usec ? t : usec;
		insns = number("processed ");
		states = number("total_states ");
		peak = number("peak_states ");
		if (usec > 200000)
			break;
	}
	printf("%s %s %d %u %u %u %u %ld\n", strrchr(path, '/') ? strrchr(path, '/') + 1 : path, name, err, usec, insns, states,
	       peak, grew);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	libbpf_set_print(quiet);
	for (int i = 1; i < argc; i++) {
		struct bpf_object *o = bpf_object__open_file(argv[i], NULL);
		struct bpf_program *p;

		if (!o)
			continue;
		bpf_object__for_each_program(p, o)
			if (!fork()) {
				alarm(60);
				one(argv[i], bpf_program__name(p));
				_exit(0);
			} else {
				wait(NULL);
			}
		bpf_object__close(o);
	}
	return 0;
}
