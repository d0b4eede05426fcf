/* SPDX-License-Identifier: Apache-2.0 */
/* hooks.c - what a program at a system call costs the traced process. Built twice from this source: on skep (with its agent in the
 * target) and on the kernel (KERNEL). hooks OBJECT-DIR AGENT TARGET prints "case<tab>ns added" lines.
 * A figure is the best of many short windows with programs, less the best without, taken in turns. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define ROUNDS	4
#define STARTS	40

struct row {
	const char *name, *object, *mode;	/* object NULL: nothing is attached */
	int skep_only;
};

static const struct row rows[] = {
	{ "getppid, a counting program at its entry", "enter", "libc" },
	{ "getppid, at entry and exit", "both", "libc" },
	{ "getppid through syscall(), at entry and exit", "both", "syscall" },
	{ "without a program, others attached", "other", "libc" },
	{ "without a program, others attached, through syscall()", "other", "syscall" },
	{ "agent present, nothing attached", NULL, "libc", 1 },
	{ "64-byte record to a ring, reader at work", "ring", "paced" },
	{ "start of a program (ns)", "enter", "true", 1 },
};

static const char *objects, *agent, *target;
static unsigned long long records;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

/* The target with MODE, our agent in it or not; its output comes out of *FD. */
static pid_t start(const char *mode, int with_agent, int *fd)
{
	int p[2];
	pid_t pid;

	if (pipe(p))
		return -1;
	pid = fork();
	if (!pid) {
		dup2(p[1], 1);
		close(p[0]);
		close(p[1]);
		if (with_agent && *agent)
			setenv("LD_PRELOAD", agent, 1);
		execl(target, target, mode, (char *)NULL);
		_exit(127);
	}
	close(p[1]);
	*fd = p[0];
	return pid;
}

static double start_time(int with_agent)
{
	double best = 1e18, t;
	int fd;

	for (int i = 0; i < STARTS; i++) {
		t = now();
		waitpid(start("true", with_agent, &fd), NULL, 0);
		t = now() - t;
		close(fd);
		best = t < best ? t : best;
	}
	return best;
}

static double run(const char *mode, int with_agent, struct ring_buffer *rb)
{
	char line[64] = "";
	double v = 1e18;
	pid_t pid;
	int fd;

	if (!strcmp(mode, "true"))
		return start_time(with_agent);
	pid = start(mode, with_agent, &fd);
	while (rb && !waitpid(pid, NULL, WNOHANG))
		ring_buffer__poll(rb, 10);
	if (read(fd, line, sizeof(line) - 1) > 0)
		v = atof(line);
	close(fd);
	if (!rb)
		waitpid(pid, NULL, 0);
	return v;
}

static int on_record(void *ctx, void *data, size_t size)
{
	records++;
	return 0;
}

static struct bpf_object *attach(const char *name)
{
	struct bpf_object *o;
	struct bpf_program *p;
	char path[512];

	snprintf(path, sizeof(path), "%s/hooks-%s.o", objects, name);
	o = bpf_object__open_file(path, NULL);
	if (!o || bpf_object__load(o)) {
		fprintf(stderr, "hooks: %s: %s\n", path, strerror(errno));
		_exit(1);
	}
	bpf_object__for_each_program(p, o) {
		if (!bpf_program__attach(p)) {
			fprintf(stderr, "hooks: attach %s: %s\n", bpf_program__name(p), strerror(errno));
			_exit(1);
		}
	}
	return o;
}

static unsigned long long counted(struct bpf_object *o, unsigned int which)
{
	unsigned long long v[512] = {}, sum = 0;

	bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(o, "calls"), &which, v);
	for (int i = 0; i < libbpf_num_possible_cpus() && i < 512; i++)
		sum += v[i];
	return sum;
}

/* In a child: its programs go with it. Prints the best figure with programs to OUT. */
static void with_programs(const struct row *r, int out)
{
	struct bpf_object *o = r->object ? attach(r->object) : NULL;
	int ring = o ? bpf_object__find_map_fd_by_name(o, "ring") : -1;
	struct ring_buffer *rb = ring >= 0 ? ring_buffer__new(ring, on_record, NULL, NULL) : NULL;
	double best = run(r->mode, 1, rb);

	/* what nobody sees is quick */
	if (o && !strcmp(r->object, "enter") && strcmp(r->mode, "true") && counted(o, 0) < 100000)
		fprintf(stderr, "hooks: %s: only %llu calls were seen\n", r->name, counted(o, 0));
	if (rb && counted(o, 1) * 100 > records)
		fprintf(stderr, "hooks: %s: %llu records lost, %llu read\n", r->name, counted(o, 1), records);
	dprintf(out, "%.2f\n", best);
	_exit(0);
}

static double child(const struct row *r)
{
	char line[64] = "";
	double v = 1e18;
	int p[2];

	if (pipe(p))
		return v;
	fflush(stdout);
	if (!fork())
		with_programs(r, p[1]);
	close(p[1]);
	if (read(p[0], line, sizeof(line) - 1) > 0)
		v = atof(line);
	close(p[0]);
	wait(NULL);
	return v;
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: hooks OBJECT-DIR AGENT TARGET\n");
		return 2;
	}
	objects = argv[1];
	agent = argv[2];
	target = argv[3];
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		double plain = 1e18, with = 1e18, v;

		if (rows[i].skep_only && !*agent)
			continue;
		for (int k = 0; k < ROUNDS; k++) {
			v = run(rows[i].mode, 0, NULL);
			plain = v < plain ? v : plain;
			v = child(&rows[i]);
			with = v < with ? v : with;
		}
		if (with > 1e17)
			return 1;
		printf("%s\t%.1f\n", rows[i].name, with - plain);
		fflush(stdout);
	}
	return 0;
}
