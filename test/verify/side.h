/* SPDX-License-Identifier: Apache-2.0 */
/* side.h - the same bpf(2) calls on skep and on the running kernel. A side is a function like bpf(2) and the maps made with it;
 * programs of tests name maps by small numbers (enum side_map), which loading replaces by that side's fds. */
#ifndef SKEP_TEST_SIDE_H
#define SKEP_TEST_SIDE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "skep.h"
#include "spec/uapi.h"
#include "t.h"
#include "vm/insn.h"

#define SIDE_LOG	(64u << 20)

enum side_map {
	SM_HASH = 1, SM_ARRAY, SM_RINGBUF, SM_PROGS, SM_PERCPU, SM_PERF, SM_OUTER, SM_RDONLY, SM_WRONLY, SM_HASH16,
	SM_ONE, SM_NR,
};

struct side {
	const char *name;
	long (*bpf)(int cmd, union bpf_attr *attr, unsigned int size);	/* result or -errno */
	int map[SM_NR];
	char *log;
};

static inline long side_kernel_bpf(int cmd, union bpf_attr *attr, unsigned int size)
{
	long r = t_kernel_bpf_call(cmd, attr, size);

	return r < 0 ? -errno : r;
}

static inline int side_map_create(struct side *s, u32 type, u32 key, u32 value, u32 max, u32 flags, int inner)
{
	union bpf_attr a;

	memset(&a, 0, sizeof(a));
	a.map_type = type;
	a.key_size = key;
	a.value_size = value;
	a.max_entries = max;
	a.map_flags = flags;
	a.inner_map_fd = (u32)inner;
	return (int)s->bpf(BPF_MAP_CREATE, &a, sizeof(a));
}

/* 0 or the errno of the first map that could not be made. */
static inline int side_open(struct side *s, bool kernel)
{
	s->name = kernel ? "kernel" : "skep";
	s->bpf = kernel ? side_kernel_bpf : skep_bpf;
	s->log = calloc(1, SIDE_LOG);
	s->map[SM_HASH] = side_map_create(s, BPF_MAP_TYPE_HASH, 4, 8, 16, 0, 0);
	s->map[SM_ARRAY] = side_map_create(s, BPF_MAP_TYPE_ARRAY, 4, 16, 4, 0, 0);
	s->map[SM_RINGBUF] = side_map_create(s, BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0, 0);
	s->map[SM_PROGS] = side_map_create(s, BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 4, 0, 0);
	s->map[SM_PERCPU] = side_map_create(s, BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 4, 0, 0);
	s->map[SM_PERF] = side_map_create(s, BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 2, 0, 0);
	s->map[SM_OUTER] = side_map_create(s, BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 2, 0, s->map[SM_ARRAY]);
	s->map[SM_RDONLY] = side_map_create(s, BPF_MAP_TYPE_ARRAY, 4, 16, 4, BPF_F_RDONLY_PROG, 0);
	s->map[SM_WRONLY] = side_map_create(s, BPF_MAP_TYPE_ARRAY, 4, 16, 4, BPF_F_WRONLY_PROG, 0);
	s->map[SM_HASH16] = side_map_create(s, BPF_MAP_TYPE_HASH, 16, 64, 16, 0, 0);
	s->map[SM_ONE] = side_map_create(s, BPF_MAP_TYPE_ARRAY, 4, 16, 1, 0, 0);
	for (int i = 1; i < SM_NR; i++)
		if (s->map[i] < 0)
			return s->map[i];
	return 0;
}

static inline void side_close(struct side *s)
{
	for (int i = 1; i < SM_NR; i++)
		if (s->map[i] > 0)
			close(s->map[i]);
	free(s->log);
	memset(s, 0, sizeof(*s));
}

/* fd or -errno; the log is in s->log. */
static inline int side_load(struct side *s, u32 type, const struct bpf_insn *insns, u32 cnt, u32 log_level)
{
	struct bpf_insn *in = malloc(cnt * sizeof(*in));
	union bpf_attr a;
	int fd;

	memcpy(in, insns, cnt * sizeof(*in));
	for (u32 i = 0; i < cnt; i++) {
		if (in[i].code != INSN_LDIMM64)
			continue;
		if ((in[i].src_reg == BPF_PSEUDO_MAP_FD || in[i].src_reg == BPF_PSEUDO_MAP_VALUE) &&
		    in[i].imm > 0 && in[i].imm < SM_NR)
			in[i].imm = s->map[in[i].imm];
		i++;
	}
	memset(&a, 0, sizeof(a));
	s->log[0] = 0;
	a.prog_type = type;
	a.insns = (u64)(uintptr_t)in;
	a.insn_cnt = cnt;
	a.license = (u64)(uintptr_t)"GPL";
	a.log_level = log_level;
	a.log_buf = log_level ? (u64)(uintptr_t)s->log : 0;
	a.log_size = log_level ? SIDE_LOG : 0;
	if (type == BPF_PROG_TYPE_SYSCALL)
		a.prog_flags = BPF_F_SLEEPABLE;
	fd = (int)s->bpf(BPF_PROG_LOAD, &a, sizeof(a));
	free(in);
	return fd;
}

/* The sentence: the last line of the log before the statistics. In one of two static buffers. */
static inline const char *side_sentence(const struct side *s)
{
	static char line[2][512];
	static int turn;
	char *out = line[turn ^= 1];
	const char *p, *end = s->log + strlen(s->log);

	out[0] = 0;
	for (p = end; p > s->log && strncmp(p, "processed ", 10); p--)
		;
	end = p > s->log ? p : end;
	for (p = end - 1; p > s->log && end - p < 400; p--)
		if (!strncmp(p, "verification time", 17))
			end = p;
	while (end > s->log && end[-1] == '\n')
		end--;
	for (p = end; p > s->log && p[-1] != '\n'; p--)
		;
	snprintf(out, sizeof(line[0]), "%.*s", (int)(end - p), p);
	return out;
}

#endif
