/* SPDX-License-Identifier: Apache-2.0 */
/* engines.c - how long the programs of bench/engines/ take per run. Built twice from this source: with libskep behind
 * libbpf, and (-DKERNEL) with the running kernel's bpf(2). Both load the same XDP objects, verified, and let
 * BPF_PROG_TEST_RUN repeat them; the test loop is included (it is the case 01_simple). The KERNEL binary also
 * times what clang -O2 makes of the same source for the machine: the limit.
 *	engines bpf|native OBJECT...		prints "CASE<tab>nanoseconds<tab>return value", medians of ROUNDS */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS		9
#define ROUND_NS	3e6
#define PKT		1024

static uint8_t pkt[PKT];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v)
{
	qsort(v, ROUNDS, sizeof(*v), cmp);
	return v[ROUNDS / 2];
}

/* The packet that the programs expect (bench/engines/common.h): headers, random bytes, text, a copy of it. */
static void make_packet(void)
{
	static const uint8_t hdr[54] = {
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,
		0x45, 0, 3, 242, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 10, 1, 2, 3, 192, 168, 7, 9,
		0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0,
	};
	static const char text[] = "the quick brown nfox jumps over no lazy needle dogs and runs ";
	uint64_t x = 88172645463325252ULL;

	for (int i = 0; i < PKT; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		pkt[i] = (uint8_t)(x >> 24);
	}
	memcpy(pkt, hdr, sizeof(hdr));
	for (int i = 0; i < 256; i++)
		pkt[256 + i] = (uint8_t)text[i % (int)(sizeof(text) - 1)];
	memcpy(pkt + 512, pkt + 256, 256);
	pkt[712] ^= 1;
}

/* What maps hold: arrays are full, hash maps half full, by the same rule for every engine. */
struct geometry {
	uint32_t type, ks, vs, max;
};

static void prefill(const struct geometry *g, void (*put)(void *, const void *, const void *), void *arg)
{
	uint32_t n = g->type == BPF_MAP_TYPE_ARRAY ? g->max : g->max / 2;

	for (uint32_t i = 0; i < n; i++) {
		uint8_t key[64] = { 0 }, val[256] = { 0 };
		uint64_t k = (uint64_t)(i * 2) * 0x9e3779b97f4a7c15ULL, v = i * 2654435761u + 7;

		if (g->type == BPF_MAP_TYPE_ARRAY)
			memcpy(key, &i, 4);
		else
			memcpy(key, &k, 8);
		memcpy(val, &v, 8);
		put(arg, key, val);
	}
}

static void result(const char *path, double ns, uint32_t ret)
{
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

	printf("%.*s\t%.2f\t%u\n", (int)strcspn(base, "."), base, ns, ret);
	fflush(stdout);
}

/* ---- bpf(2) ---- */

static void put_fd(void *arg, const void *key, const void *val)
{
	bpf_map_update_elem(*(int *)arg, key, val, BPF_ANY);
}

static int test_run(int fd, int repeat, double *ns, uint32_t *ret)
{
	static uint8_t out[4096];
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = pkt, .data_size_in = PKT, .data_out = out,
		    .data_size_out = sizeof(out), .repeat = repeat);
	double t = now();
	int err = bpf_prog_test_run_opts(fd, &o);

#ifdef KERNEL
	(void)t;
	*ns = o.duration;	/* attaching to the XDP dispatcher costs milliseconds of CPU time */
#else
	*ns = (now() - t) / repeat;	/* not disturbed by who else wants the CPU */
#endif
	*ret = o.retval;
	return err;
}

static int bench_bpf(const char *path)
{
	struct bpf_object *o = bpf_object__open_file(path, NULL);
	struct bpf_program *prog;
	struct bpf_map *m;
	double ns, v[ROUNDS];
	uint32_t ret = 0;
	int fd, repeat = 1000;

	if (!o || bpf_object__load(o))
		return -1;
	bpf_object__for_each_map(m, o) {
		struct geometry g = { bpf_map__type(m), bpf_map__key_size(m), bpf_map__value_size(m),
				      bpf_map__max_entries(m) };

		fd = bpf_map__fd(m);
		if (!bpf_map__is_internal(m))
			prefill(&g, put_fd, &fd);
	}
	prog = bpf_object__next_program(o, NULL);
	fd = bpf_program__fd(prog);
	if (test_run(fd, repeat, &ns, &ret))
		return -1;
	repeat = (int)(ROUND_NS / (ns + 1)) + 1;
	for (int r = 0; r < ROUNDS; r++)
		if (test_run(fd, repeat, &v[r], &ret))
			return -1;
	result(path, median(v), ret);
	bpf_object__close(o);
	return 0;
}

/* ---- native ---- */

/* As bench/engines/common.h declares it: arrays are looked up in line there. */
struct umap {
	uint32_t type, ks, vs, max, mask, stride;
	uint8_t *data;
};

void *native_map_lookup_elem_slow(void *map, const void *key);
long native_map_update_elem(void *map, const void *key, const void *val, uint64_t flags);

static void *slot_of(struct umap *m, const void *key, int create)
{
	uint64_t k, h;

	if (m->type == BPF_MAP_TYPE_ARRAY) {
		uint32_t i;

		memcpy(&i, key, 4);
		return i < m->max ? m->data + (size_t)i * m->stride : NULL;
	}
	memcpy(&k, key, 8);
	h = ((8 * 0x9e3779b97f4a7c15ULL) ^ k) * 0xff51afd7ed558ccdULL;
	h ^= h >> 32;
	h ^= h >> 29;
	for (uint32_t i = h & m->mask;; i = (i + 1) & m->mask) {
		uint64_t *s = (uint64_t *)(m->data + (size_t)i * m->stride);

		if (!s[0] && !create)
			return NULL;
		if (!s[0]) {
			s[0] = 1;
			s[1] = k;
		}
		if (s[1] == k)
			return s + 2;
	}
}

void *native_map_lookup_elem_slow(void *map, const void *key)
{
	return slot_of(map, key, 0);
}

long native_map_update_elem(void *map, const void *key, const void *val, uint64_t flags)
{
	(void)flags;
	memcpy(slot_of(map, key, 1), val, ((struct umap *)map)->vs);
	return 0;
}

static void put_native(void *arg, const void *key, const void *val)
{
	native_map_update_elem(arg, key, val, 0);
}

static struct umap *umap_new(const struct geometry *g)
{
	struct umap *m = calloc(1, sizeof(*m));
	uint32_t cap = 1;

	*m = (struct umap) { g->type, g->ks, g->vs, g->max, 0, (g->vs + 7) & ~7u, NULL };
	if (g->type == BPF_MAP_TYPE_ARRAY) {
		m->data = calloc(g->max, m->stride);
		return m;
	}
	while (cap < g->max * 2)
		cap <<= 1;
	m->mask = cap - 1;
	m->stride += 16;
	m->data = calloc(cap, m->stride);
	return m;
}

/* The maps' geometry comes from the BPF object beside the shared object. */
static void native_maps(const char *path, void *lib)
{
	char kern[512], sym[128];
	struct bpf_object *o;
	struct bpf_map *m;

	snprintf(kern, sizeof(kern), "%.*s.kern.o", (int)(strlen(path) - strlen(".native.so")), path);
	o = bpf_object__open_file(kern, NULL);
	if (!o)
		return;
	bpf_object__for_each_map(m, o) {
		struct geometry g = { bpf_map__type(m), bpf_map__key_size(m), bpf_map__value_size(m),
				      bpf_map__max_entries(m) };
		void **var;

		snprintf(sym, sizeof(sym), "%s_umap", bpf_map__name(m));
		var = dlsym(lib, sym);
		if (!var)
			continue;
		*var = umap_new(&g);
		prefill(&g, put_native, *var);
	}
	bpf_object__close(o);
}

static int bench_native(const char *path)
{
	void *lib = dlopen(path, RTLD_NOW);
	uint64_t (*entry)(const uint8_t *, uint64_t) =
		lib ? (uint64_t (*)(const uint8_t *, uint64_t))dlsym(lib, "entry") : NULL;
	double v[ROUNDS], t;
	uint64_t ret = 0;
	long n = 100;

	if (!entry)
		return -1;
	native_maps(path, lib);
	t = now();
	for (long i = 0; i < n; i++)
		ret = entry(pkt, PKT);
	n = (long)(ROUND_NS * (double)n / (now() - t + 1)) + 1;
	for (int r = 0; r < ROUNDS; r++) {
		t = now();
		for (long i = 0; i < n; i++)
			ret = entry(pkt, PKT);
		v[r] = (now() - t) / (double)n;
	}
	result(path, median(v), (uint32_t)ret);
	return 0;
}

static int quiet(enum libbpf_print_level l, const char *fmt, va_list ap)
{
	return getenv("V") ? vfprintf(stderr, fmt, ap) : 0;
}

int main(int argc, char **argv)
{
	int failed = 0;

	if (argc < 3)
		return 2;
	libbpf_set_print(quiet);
	make_packet();
	for (int i = 2; i < argc; i++) {
		if ((argv[1][0] == 'n' ? bench_native : bench_bpf)(argv[i])) {
			perror(argv[i]);
			failed = 1;
		}
	}
	return failed;
}
