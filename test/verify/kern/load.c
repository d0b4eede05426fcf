/* SPDX-License-Identifier: Apache-2.0 */
/* load.c [-v PROGRAM] OBJECT... - load each program of each object by itself; print its verdict, and the sentence of the log when it
 * is refused. Linked once as it is and once with shim.c: both must print the same. -v: the whole log of one program. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

static char log_buf[16 << 20];
static const char *only;

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return only ? vfprintf(stderr, fmt, ap) : 0;
}

/* The last line in front of the statistics. */
static const char *sentence(void)
{
	char *end = strstr(log_buf, "\nprocessed "), *line;

	if (end)
		*end = 0;
	line = strrchr(log_buf, '\n');
	return line ? line + 1 : log_buf;
}

static const char *base(const char *path)
{
	const char *s = strrchr(path, '/');

	return s ? s + 1 : path;
}

static void one(const char *path, const char *name)
{
	struct bpf_object *o = bpf_object__open_file(path, NULL);
	struct bpf_program *p;
	int err;

	bpf_object__for_each_program(p, o) {
		int this = !strcmp(bpf_program__name(p), name);

		bpf_program__set_autoload(p, this);
		if (this) {
			bpf_program__set_log_level(p, only ? 2 : 1);
			bpf_program__set_log_buf(p, log_buf, sizeof(log_buf));
		}
	}
	log_buf[0] = 0;
	err = bpf_object__load(o);
	if (only)
		printf("%s", log_buf);
	printf("%.*s/%s: %s", (int)strcspn(base(path), "."), base(path), name, err ? strerror(-err) : "ok");
	if (err)
		printf(": %s", sentence());
	printf("\n");
	bpf_object__close(o);
}

int main(int argc, char **argv)
{
	int i = 1;

	if (argc > 2 && !strcmp(argv[1], "-v")) {
		only = argv[2];
		i = 3;
	}
	libbpf_set_print(quiet);
	for (; i < argc; i++) {
		struct bpf_object *o = bpf_object__open_file(argv[i], NULL);
		struct bpf_program *p;

		if (!o) {
			printf("%s: cannot open\n", argv[i]);
			return 1;
		}
		bpf_object__for_each_program(p, o)
			if (!only || !strcmp(only, bpf_program__name(p)))
				one(argv[i], bpf_program__name(p));
		bpf_object__close(o);
	}
	return 0;
}
