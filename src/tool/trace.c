/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - skep trace-pipe: the lines that programs print by bpf_printk(), as /sys/kernel/tracing/trace_pipe gives them;
 * and, for skep run, those of its own program, left in place for others. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/trace.h"
#include "tool/door.h"
#include "tool/tool.h"

#define WAIT_MS		1000
#define MAX_PROGS	64u

static volatile sig_atomic_t stopped;

static void on_stop(int sig)
{
	stopped = 1;
}

static void print_line(FILE *f, const struct trace_line *l)
{
	fprintf(f, "%16s-%-7u [%03u] ..... %5llu.%06llu: bpf_trace_printk: %s\n", l->comm, l->pid, l->cpu,
		(unsigned long long)(l->ns / 1000000000), (unsigned long long)(l->ns / 1000 % 1000000), l->text);
}

/* One document per line. */
static void json_line(const struct trace_line *l, u64 lost)
{
	struct json j;

	json_init(&j, stdout, opt.pretty);
	json_obj(&j, NULL);
	if (l) {
		json_str(&j, "comm", l->comm);
		json_u64(&j, "pid", l->pid);
		json_u64(&j, "cpu", l->cpu);
		json_u64(&j, "ts_ns", l->ns);
		json_str(&j, "text", l->text);
	} else {
		json_u64(&j, "lost", lost);
	}
	json_end(&j, '}');
	json_done(&j);
}

static void show_lost(u64 lost)
{
	if (opt.json)
		json_line(NULL, lost);
	else
		printf("[LOST %llu EVENTS]\n", (unsigned long long)lost);
}

static int follow(struct obj_dir *d, bool on)
{
	struct trace_line l;
	u64 lost;
	int n;

	while (!stopped) {
		n = trace_read(d, &l, &lost);
		if (n < 0)
			return fail_errno(n, "the trace buffer %s/trace", d->path);
		if (lost)
			show_lost(lost);
		if (n && opt.json)
			json_line(&l, 0);
		else if (n)
			print_line(stdout, &l);
		if (n)
			continue;
		if (fflush(stdout))
			return EXIT_FAILED;
		if (!on)
			return EXIT_OK;
		trace_wait(d, WAIT_MS);
	}
	return EXIT_OK;
}

int cmd_trace_pipe(int argc, char **argv)
{
	const struct sigaction stop = { .sa_handler = on_stop };	/* no SA_RESTART: the wait ends */
	bool once = false;
	const struct opt_row rows[] = { { "--no-follow", OPT_FLAG, &once }, {} };
	struct obj_dir *d;
	int rc = opts_parse(rows, "trace-pipe", &argc, argv);

	if (rc)
		return rc;
	if (argc)
		return fail(EXIT_USAGE, "skep trace-pipe takes no argument: what is '%s'?", argv[0]);
	rc = tool_dir(&d);
	if (rc)
		return fail_errno(rc, "the directory cannot be opened");
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	return follow(d, !once && !opt.n);
}

/* ---- skep run ---- */
static struct obj_dir *own_dir;
static struct trace_pos own_pos;
static u32 own_progs[MAX_PROGS], own_nr;

void trace_own_start(const u32 *ids, u32 n)
{
	own_nr = MIN(n, MAX_PROGS);
	memcpy(own_progs, ids, own_nr * sizeof(*ids));
	if (!tool_dir(&own_dir))
		trace_seek_end(own_dir, &own_pos);
	else
		own_dir = NULL;
}

static bool is_own(u32 prog)
{
	for (u32 i = 0; i < own_nr; i++)
		if (own_progs[i] == prog)
			return true;
	return false;
}

/* Directories are shared: only what these programs print is shown. */
void trace_own_show(void)
{
	struct trace_line l;

	while (own_dir && trace_peek(own_dir, &own_pos, &l) == 1)
		if (is_own(l.prog))
			print_line(stderr, &l);
}

void trace_own_end(void)
{
	trace_own_show();
	if (own_pos.lost)
		warn("lines of bpf_printk() were overwritten before they were shown");
}
