/* SPDX-License-Identifier: Apache-2.0 */
/* filter.c - see filter.h. */
#include "sys/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "skep.h"
#include "sys/door.h"

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

static int load(struct filter *f, u32 flags, const char *name)
{
	union bpf_attr a = { .prog_type = CBPF_PROG_TYPE };
	struct bpf_insn *insns;
	struct obj_dir *dir;
	long fd;
	int err = cbpf_translate(f->f, f->n, flags, &insns, &f->ebpf_insns);

	if (err)
		return err;
	a.insns = (u64)(uintptr_t)insns;
	a.insn_cnt = f->ebpf_insns;
	a.license = (u64)(uintptr_t)"GPL";
	strncpy(a.prog_name, name, sizeof(a.prog_name) - 1);
	fd = skep_bpf(BPF_PROG_LOAD, &a, sizeof(a));
	free(insns);
	if (fd < 0)
		return (int)fd;
	err = door_dir(&dir);
	err = err ? err : prog_open_fd(dir, (int)fd, &f->prog);
	if (err)
		close((int)fd);
	else
		f->fd = (int)fd;
	return err;
}

int filter_open(const struct sock_filter *insns, u32 n, u32 flags, const char *name, struct filter **out,
		struct cbpf_reason *why)
{
	u64 t0 = now_ns();
	int err = cbpf_check(insns, n, flags, why);
	struct filter *f;

	if (err)
		return err;
	f = calloc(1, sizeof(*f));
	if (f)
		f->f = malloc(n * sizeof(*insns));
	if (!f || !f->f) {
		free(f);
		return -ENOMEM;
	}
	memcpy(f->f, insns, n * sizeof(*insns));
	f->n = n;
	f->flags = flags;
	f->fd = -1;
	f->wants = cbpf_wants(insns, n);
	f->plain = flags & CBPF_PLAIN;
	f->load_err = load(f, flags, name);
	if (f->load_err && !f->plain) {
		f->plain = true;
		f->load_err = load(f, flags | CBPF_PLAIN, name);
	}
	f->load_ns = now_ns() - t0;
	*out = f;
	return 0;
}

void filter_close(struct filter *f)
{
	if (!f)
		return;
	if (f->prog)
		prog_put(f->prog);
	if (f->fd >= 0)
		close(f->fd);
	free(f->f);
	free(f);
}

int filter_enter(const struct filter *f, struct run *r)
{
	return f->prog ? prog_enter(f->prog, r) : 0;
}

void filter_exit(const struct filter *f, struct run *r)
{
	if (f->prog)
		prog_exit(r, 0, 0);
}
