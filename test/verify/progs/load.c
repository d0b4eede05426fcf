/* SPDX-License-Identifier: Apache-2.0 */
/* load.c OBJECT... - load each program of each object by itself, run it on packets made here, print verdicts, results and what the
 * maps hold. Linked once with and once without libskep's wrapper: both must print the same. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

static unsigned char packets[3][128];
static const unsigned lens[3] = { 14, 60, 128 };

static void make_packets(void)
{
	static const unsigned char ip[] = { 0x45, 0, 0, 46, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 53, 4, 0 };

	for (int k = 0; k < 3; k++) {
		for (unsigned i = 0; i < sizeof(packets[k]); i++)
			packets[k][i] = (unsigned char)(i * 7 + k * 3);
		packets[k][12] = 8;
		packets[k][13] = 0;
		memcpy(packets[k] + 14, ip, sizeof(ip));
	}
	memcpy(packets[2] + 50, "GET / HTTP/1.1", 14);
	memcpy(packets[1] + 36, "HTTP", 4);
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level, (void)fmt, (void)ap;
	return 0;
}

static unsigned long long hash(unsigned long long h, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const unsigned char *)p)[i]) * 1099511628211ull;
	return h;
}

/* The sum over the elements does not depend on their order. */
static void print_map(const struct bpf_map *m)
{
	enum bpf_map_type t = bpf_map__type(m);
	unsigned char key[64], next[64], value[4096];
	unsigned long long sum = 0;
	unsigned n = 0;
	int fd = bpf_map__fd(m), err;

	if ((t != BPF_MAP_TYPE_HASH && t != BPF_MAP_TYPE_ARRAY) || strstr(bpf_map__name(m), "rodata"))
		return;
	for (err = bpf_map_get_next_key(fd, NULL, next); !err; err = bpf_map_get_next_key(fd, key, next)) {
		memcpy(key, next, sizeof(key));
		if (bpf_map_lookup_elem(fd, key, value))
			continue;
		sum += hash(hash(14695981039346656037ull, key, bpf_map__key_size(m)), value, bpf_map__value_size(m));
		n++;
	}
	printf(" %s:%u:%llx", strchr(bpf_map__name(m), '.') ? strchr(bpf_map__name(m), '.') : bpf_map__name(m), n, sum);
}

static void run(struct bpf_object *o, struct bpf_program *p)
{
	struct bpf_map *m;

	for (int k = 0; k < 3; k++) {
		unsigned char out[256] = { 0 };
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packets[k], .data_size_in = lens[k], .data_out = out,
			    .data_size_out = sizeof(out), .repeat = 1);

		int err = bpf_prog_test_run_opts(bpf_program__fd(p), &opts);

		printf(" %d/%u/%llx", err, opts.retval, hash(1, out, opts.data_size_out));
	}
	bpf_object__for_each_map(m, o)
		print_map(m);
}

static void one(const char *path, const char *name)
{
	struct bpf_object *o = bpf_object__open_file(path, NULL);
	struct bpf_program *p, *it;
	int err;

	bpf_object__for_each_program(it, o)
		bpf_program__set_autoload(it, !strcmp(bpf_program__name(it), name));
	p = bpf_object__find_program_by_name(o, name);
	err = bpf_object__load(o);
	printf("%s: %s", name, err ? strerror(-err) : "ok");
	if (!err && bpf_program__type(p) != BPF_PROG_TYPE_RAW_TRACEPOINT)
		run(o, p);
	printf("\n");
	bpf_object__close(o);
}

int main(int argc, char **argv)
{
	make_packets();
	libbpf_set_print(quiet);
	for (int i = 1; i < argc; i++) {
		struct bpf_object *o = bpf_object__open_file(argv[i], NULL);
		struct bpf_program *p;

		if (!o) {
			printf("%s: cannot open\n", argv[i]);
			continue;
		}
		bpf_object__for_each_program(p, o)
			one(argv[i], bpf_program__name(p));
		bpf_object__close(o);
	}
	return 0;
}
