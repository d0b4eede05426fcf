/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h - what the libFuzzer targets of this folder share: fds of every kind, bounded files, collection. */
#ifndef SKEP_SYS_FUZZ_H
#define SKEP_SYS_FUZZ_H

#include <linux/btf.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/obj.h"
#include "skep.h"
#include "sys/door.h"
#include "sys/sys.h"

#define FUZZ_PTR(x)	((u64)(uintptr_t)(x))

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static int fuzz_fd[8];			/* hash, array, percpu array, prog_array, ringbuf, hash of 64-byte values, BTF, prog */

static inline long fuzz_bpf(int cmd, union skep_attr *a)
{
	return skep_bpf(cmd, (union bpf_attr *)a, sizeof(*a));
}

static inline int fuzz_map(u32 type, u32 key, u32 value, u32 max)
{
	union skep_attr a = { .map_type = type };

	a.key_size = key;
	a.value_size = value;
	a.max_entries = max;
	return (int)fuzz_bpf(BPF_MAP_CREATE, &a);
}

static inline int fuzz_btf(void)
{
	static const struct {
		struct btf_header h;
		u32 t[4];
		char str[8];
	} b = { { 0xeb9f, 1, 0, sizeof(b.h), 0, 16, 16, 8 }, { 1, 0x01000000, 4, 0x01000020 }, "\0int" };
	union skep_attr a = { 0 };

	a.btf = FUZZ_PTR(&b);
	a.btf_size = sizeof(b);
	return (int)fuzz_bpf(BPF_BTF_LOAD, &a);
}

static inline int fuzz_prog(void)
{
	static const struct bpf_insn ret0[] = { { 0xb7, 0, 0, 0, 0 }, { 0x95, 0, 0, 0, 0 } };
	union skep_attr a = { 0 };

	a.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	a.insn_cnt = 2;
	a.insns = FUZZ_PTR(ret0);
	a.license = FUZZ_PTR("GPL");
	return (int)fuzz_bpf(BPF_PROG_LOAD, &a);
}

/* Files stay small, so that a huge map is an error and not minutes of zeroing. */
static inline void fuzz_start(void)
{
	struct rlimit lim = { 32 << 20, 32 << 20 };
	int i = 0;

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &lim);
	fuzz_fd[i++] = fuzz_map(BPF_MAP_TYPE_HASH, 4, 8, 8);
	fuzz_fd[i++] = fuzz_map(BPF_MAP_TYPE_ARRAY, 4, 16, 4);
	fuzz_fd[i++] = fuzz_map(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 4);
	fuzz_fd[i++] = fuzz_map(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 4);
	fuzz_fd[i++] = fuzz_map(BPF_MAP_TYPE_RINGBUF, 0, 0, 4096);
	fuzz_fd[i++] = fuzz_map(BPF_MAP_TYPE_HASH, 16, 64, 4);
	fuzz_fd[i++] = fuzz_btf();
	fuzz_fd[i++] = fuzz_prog();
	while (i--)
		if (fuzz_fd[i] < 0)
			abort();
}

/* Now and then: what the inputs left behind. */
static inline void fuzz_collect(void)
{
	static unsigned int n;
	struct obj_dir *d;

	if (!(++n % 256) && !door_dir(&d))
		obj_gc(d);
}

#endif
