/* SPDX-License-Identifier: Apache-2.0 */
/* flows.c - how many packets per second examples/flows.bpf.o handles from memory. Built twice from this source: with
 * libskep behind libbpf, and (-DKERNEL) with the running kernel's bpf(2). Each prints "CASE<tab>packets per second",
 * medians of ROUNDS rounds. flows SKEP-OR-KERNEL-BINARY OBJECT CAPTURE.
 *
 * Cases: one packet of a kind, run by BPF_PROG_TEST_RUN with a large `repeat` (its own `duration`); the whole capture, one
 * BPF_PROG_TEST_RUN per packet, by the clock; and, skep only, the whole capture entered once and called per packet, as an
 * embedding program does. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "flows_capture.h"

#ifndef KERNEL
#include "prog/prog.h"
#include "spec/ctx.h"
#include "sys/sys.h"
#endif

#define ROUNDS		9
#define REPEAT		400000

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
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

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* The kinds of packets looked at alone: the first of the capture that a BPF filter (tcpdump's language) finds. */
static const struct {
	const char *name, *filter;
} kinds[] = {
	{ "IPv4 TCP, 1 packet repeated", "ip and tcp and len > 500" },
	{ "IPv6 UDP, 1 packet repeated", "ip6 and udp" },
	{ "IPv6 fragment, 1 packet repeated", "ip6[6] == 44" },
	{ "802.1Q IPv4 TCP, 1 packet repeated", "vlan 100 and ip and tcp" },
	{ "ARP, 1 packet repeated", "arp" },
};

static void one_packet(int fd, const char *name, const char *filter)
{
	struct frame *f = frame_find(filter);
	double v[ROUNDS];

	for (int r = 0; f && r < ROUNDS; r++) {
		struct bpf_test_run_opts t = { .sz = sizeof(t), .data_in = f->data, .data_size_in = f->len, .repeat = REPEAT };
		double t0 = now();

		if (bpf_prog_test_run_opts(fd, &t))
			die("test_run");
		/* `duration` is whole nanoseconds: too coarse here */
		v[r] = REPEAT * 1e9 / (now() - t0);
	}
	if (f)
		printf("%s\t%.0f\n", name, median(v));
}

static void whole_capture(int fd)
{
	double v[ROUNDS];
	int passes = 20000 / nr_frames + 1;

	for (int r = 0; r < ROUNDS; r++) {
		double t0 = now();

		for (int k = 0; k < passes; k++)
			for (int i = 0; i < nr_frames; i++) {
				struct bpf_test_run_opts t = { .sz = sizeof(t), .data_in = frames[i].data,
							       .data_size_in = frames[i].len };

				if (bpf_prog_test_run_opts(fd, &t))
					die("test_run");
			}
		v[r] = (double)passes * nr_frames * 1e9 / (now() - t0);
	}
	printf("whole capture, one test run per packet\t%.0f\n", median(v));
}

#ifdef KERNEL
static void embedded(int fd)
{
}
#else
/* Enter once, call per packet, 64 packets per lease. */
static double embedded_pass(struct prog *p, int passes)
{
	double t0 = now();
	struct run run;

	for (int k = 0; k < passes; k++)
		for (int i = 0; i < nr_frames;) {
			int n = nr_frames - i < 64 ? nr_frames - i : 64;

			if (prog_enter(p, &run))
				die("enter");
			for (int e = i + n; i < e; i++) {
				struct skep_xdp_buff x = {
					.data = frames[i].data, .data_meta = frames[i].data,
					.data_end = frames[i].data + frames[i].len,
					.hard_start = frames[i].data, .hard_end = frames[i].data + frames[i].len,
				};

				prog_call(p, &run, &x);
			}
			prog_exit(&run, (u64)n, 0);
		}
	return (double)passes * nr_frames * 1e9 / (now() - t0);
}

static void embedded(int fd)
{
	struct caller c;
	struct prog *p;
	double v[ROUNDS];

	if (caller_self(&c) || prog_open_fd(c.dir, fd, &p))
		die("open");
	for (int r = 0; r < ROUNDS; r++)
		v[r] = embedded_pass(p, 200000 / nr_frames + 1);
	printf("whole capture, called in process\t%.0f\n", median(v));
	prog_put(p);
}
#endif

int main(int argc, char **argv)
{
	struct bpf_object *obj;
	int fd;

	if (argc != 3)
		return 2;
	frames_load(argv[2]);
	obj = bpf_object__open(argv[1]);
	if (!obj || bpf_object__load(obj))
		die("load");
	fd = bpf_program__fd(bpf_object__next_program(obj, NULL));
	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		one_packet(fd, kinds[i].name, kinds[i].filter);
	whole_capture(fd);
	embedded(fd);
	bpf_object__close(obj);
	return 0;
}
