/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c OBJECT AGENT EVENTS NR[,NR...] COMMAND... - runs COMMAND under the agent with watch.bpf.c attached to it, writes
 * one line per event to the file EVENTS, and ends with the command's exit status (128 + signal).
 *	PID TID UID COMM (enter|exit) NR [RET]      PID TID UID COMM (fork|exec|end)
 * Notices of the board follow as "notice KIND COUNT PATH", then "dropped N". An honest client: libbpf over skep. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/agents.h"

struct event {
	uint32_t kind, nr, pid, tid, uid, pad;
	int64_t ret;
	char comm[16];
};

static FILE *out;

static int print(void *arg, void *data, size_t size)
{
	static const char *const kinds[] = { "enter", "exit", "fork", "exec", "end" };
	const struct event *e = data;

	fprintf(out, "%u %u %u %.16s %s", e->pid, e->tid, e->uid, e->comm, e->kind < 5 ? kinds[e->kind] : "?");
	if (e->kind < 2)
		fprintf(out, " %u", e->nr);
	if (e->kind == 1)
		fprintf(out, " %lld", (long long)e->ret);
	fputc('\n', out);
	return 0;
}

static void notices(uint64_t scope, uint64_t pos)
{
	struct obj_dir *d = NULL;
	struct agents_msg m;
	uint64_t lost = 0;

	if (obj_dir_open(NULL, &d) || agents_open(d))
		return;
	while (!agents_next_notice(d, scope, &pos, &m, &lost))
		fprintf(out, "notice %u %llu %s\n", m.kind, (unsigned long long)m.count, m.path);
	obj_dir_close(d);
}

static int attach(const char *file, const char *numbers, struct bpf_object **obj)
{
	struct bpf_program *p;
	uint32_t one = 1;
	int fd;

	*obj = bpf_object__open_file(file, NULL);
	if (!*obj || bpf_object__load(*obj))
		return -1;
	fd = bpf_object__find_map_fd_by_name(*obj, "wanted");
	for (const char *s = numbers; *s; s += strcspn(s, ","), s += *s == ',') {
		uint32_t nr = (uint32_t)strtoul(s, NULL, 10);

		bpf_map_update_elem(fd, &nr, &one, 0);
	}
	bpf_object__for_each_program(p, *obj)
		if (!bpf_program__attach(p)) {
			fprintf(stderr, "watch: %s: %s\n", bpf_program__name(p), strerror(errno));
			return -1;
		}
	return 0;
}

static uint64_t dropped(struct bpf_object *obj)
{
	uint32_t zero = 0;
	uint64_t n = 0;

	bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(obj, "dropped"), &zero, &n);
	return n;
}

int main(int argc, char **argv)
{
	struct timespec now;
	struct ring_buffer *rb;
	struct bpf_object *obj;
	char scope[32];
	int st = 0, idle = 0;
	pid_t pid;

	if (argc < 6)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(scope, sizeof(scope), "%x%09lx", (unsigned)getpid(), now.tv_nsec);
	setenv("SKEP_SCOPE", scope, 1);
	out = fopen(argv[3], "we");
	if (!out || attach(argv[1], argv[4], &obj))
		return 3;
	rb = ring_buffer__new(bpf_object__find_map_fd_by_name(obj, "events"), print, NULL, NULL);
	if (!rb)
		return 3;
	pid = fork();
	if (!pid) {
		setenv("LD_PRELOAD", argv[2], 1);
		execvp(argv[5], argv + 5);
		_exit(127);
	}
	/* children of the command may go on after it: until nothing comes for a while */
	for (int ended = 0; !ended || idle < 5;) {
		idle = ring_buffer__poll(rb, ended ? 20 : 100) > 0 ? 0 : idle + 1;
		ended = ended || waitpid(pid, &st, WNOHANG) == pid;
	}
	notices(strtoull(scope, NULL, 16), 0);
	fprintf(out, "dropped %llu\n", (unsigned long long)dropped(obj));
	fclose(out);
	return WIFSIGNALED(st) ? 128 + WTERMSIG(st) : WEXITSTATUS(st);
}
