/* SPDX-License-Identifier: Apache-2.0 */
/* side.h - one program, judged by skep's verifier and by the running kernel. Programs of tests name maps by small numbers (enum
 * side_map); the kernel gets fds for them, the verifier descriptions. */
#ifndef SKEP_TEST_SIDE_H
#define SKEP_TEST_SIDE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spec/uapi.h"
#include "t.h"
#include "verify/verify.h"
#include "vm/insn.h"

#define SIDE_LOG	(64u << 20)

enum side_map {
	SM_HASH = 1, SM_ARRAY, SM_RINGBUF, SM_PROGS, SM_PERCPU, SM_PERF, SM_OUTER, SM_RDONLY, SM_WRONLY, SM_HASH16,
	SM_ONE, SM_NR,
};

struct side_map_row {
	u32 type, key, value, max, flags;
};
static const struct side_map_row side_maps[SM_NR] = {
	[SM_HASH]    = { BPF_MAP_TYPE_HASH, 4, 8, 16, 0 },
	[SM_ARRAY]   = { BPF_MAP_TYPE_ARRAY, 4, 16, 4, 0 },
	[SM_RINGBUF] = { BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0 },
	[SM_PROGS]   = { BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 4, 0 },
	[SM_PERCPU]  = { BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 4, 0 },
	[SM_PERF]    = { BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 2, 0 },
	[SM_OUTER]   = { BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 2, 0 },
	[SM_RDONLY]  = { BPF_MAP_TYPE_ARRAY, 4, 16, 4, BPF_F_RDONLY_PROG },
	[SM_WRONLY]  = { BPF_MAP_TYPE_ARRAY, 4, 16, 4, BPF_F_WRONLY_PROG },
	[SM_HASH16]  = { BPF_MAP_TYPE_HASH, 16, 64, 16, 0 },
	[SM_ONE]     = { BPF_MAP_TYPE_ARRAY, 4, 16, 1, 0 },
};

struct side {
	bool kernel;
	int fd[SM_NR];
	struct vfy_map map[SM_NR];
	char *log;			/* of the last load */
};

static inline int side_map_create(struct side *s, const struct side_map_row *r)
{
	union bpf_attr a;
	long fd;

	memset(&a, 0, sizeof(a));
	a.map_type = r->type;
	a.key_size = r->key;
	a.value_size = r->value;
	a.max_entries = r->max;
	a.map_flags = r->flags;
	a.inner_map_fd = r->type == BPF_MAP_TYPE_ARRAY_OF_MAPS ? (u32)s->fd[SM_ARRAY] : 0;
	fd = t_kernel_bpf_call(BPF_MAP_CREATE, &a, sizeof(a));
	return fd < 0 ? -errno : (int)fd;
}

/* 0, or -errno of the first map that could not be made. */
static inline int side_open(struct side *s, bool kernel)
{
	memset(s, 0, sizeof(*s));
	s->kernel = kernel;
	s->log = calloc(1, SIDE_LOG);
	for (int i = 1; i < SM_NR; i++) {
		const struct side_map_row *r = &side_maps[i];

		s->map[i] = (struct vfy_map){ .id = (u32)i, .type = r->type, .key_size = r->key, .value_size = r->value,
					      .max_entries = r->max, .flags = r->flags, .gen = (u64)i };
		if (r->type == BPF_MAP_TYPE_ARRAY_OF_MAPS)
			s->map[i].inner = &s->map[SM_ARRAY];
		s->fd[i] = kernel ? side_map_create(s, r) : -1;
		if (kernel && s->fd[i] < 0)
			return s->fd[i];
	}
	return 0;
}

static inline void side_close(struct side *s)
{
	for (int i = 1; i < SM_NR; i++)
		if (s->kernel)
			close(s->fd[i]);
	free(s->log);
	memset(s, 0, sizeof(*s));
}

static inline int side_load_kernel(struct side *s, u32 type, const struct bpf_insn *insns, u32 cnt, u32 log_level)
{
	struct bpf_insn *in = malloc(cnt * sizeof(*in));
	union bpf_attr a;
	long fd;

	memcpy(in, insns, cnt * sizeof(*in));
	for (u32 i = 0; i < cnt; i++) {
		if (in[i].code != INSN_LDIMM64)
			continue;
		if ((in[i].src_reg == BPF_PSEUDO_MAP_FD || in[i].src_reg == BPF_PSEUDO_MAP_VALUE) &&
		    in[i].imm > 0 && in[i].imm < SM_NR)
			in[i].imm = s->fd[in[i].imm];
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
	a.prog_flags = type == BPF_PROG_TYPE_SYSCALL ? BPF_F_SLEEPABLE : 0;
	fd = t_kernel_bpf_call(BPF_PROG_LOAD, &a, sizeof(a));
	free(in);
	return fd < 0 ? -errno : (int)fd;
}

static inline int side_load_skep(struct side *s, u32 type, const struct bpf_insn *insns, u32 cnt, u32 log_level)
{
	struct vfy_in in = {
		.insns = insns, .cnt = cnt, .prog_type = type, .gpl = true, .maps = s->map, .nr_maps = SM_NR,
		.caps = VFY_CAP_BPF | VFY_CAP_PERFMON | VFY_CAP_NET_ADMIN | VFY_CAP_SYS_ADMIN, .log_level = log_level,
		.prog_flags = type == BPF_PROG_TYPE_SYSCALL ? BPF_F_SLEEPABLE : 0,
	};
	struct vfy_out out;
	int err = vfy_check(&in, &out);

	snprintf(s->log, SIDE_LOG, "%s", out.log.s ? out.log.s : "");
	vfy_out_free(&out);
	return err;
}

/* Is it accepted? 0 or -errno; the log is in s->log. */
static inline int side_verdict(struct side *s, u32 type, const struct bpf_insn *insns, u32 cnt, u32 log_level)
{
	int fd;

	if (!s->kernel)
		return side_load_skep(s, type, insns, cnt, log_level);
	fd = side_load_kernel(s, type, insns, cnt, log_level);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
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
