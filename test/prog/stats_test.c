/* SPDX-License-Identifier: Apache-2.0 */
/* stats_test.c - BPF_ENABLE_STATS: counted while an fd of it is open, in skep as in the kernel. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/def.h"
#include "skep.h"
#include "spec/uapi.h"
#include "t.h"

static long call(bool kernel, int cmd, union bpf_attr *a)
{
	long r;

	if (!kernel)
		return skep_bpf(cmd, a, sizeof(*a));
	r = t_kernel_bpf_call(cmd, a, sizeof(*a));
	return r < 0 ? -errno : r;
}

static int load(bool kernel)
{
	struct bpf_insn insns[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 1 }, { .code = BPF_JMP | BPF_EXIT } };
	union bpf_attr a = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insn_cnt = 2 };

	a.insns = (uintptr_t)insns;
	a.license = (uintptr_t)"GPL";
	return (int)call(kernel, BPF_PROG_LOAD, &a);
}

static long run(bool kernel, int fd, u32 repeat)
{
	u8 pkt[64] = { 0 };
	union bpf_attr a = { 0 };

	a.test.prog_fd = (u32)fd;
	a.test.data_in = (uintptr_t)pkt;
	a.test.data_size_in = sizeof(pkt);
	a.test.repeat = repeat;
	return call(kernel, BPF_PROG_TEST_RUN, &a);
}

static u64 count(bool kernel, int fd)
{
	struct bpf_prog_info info;
	union bpf_attr a = { 0 };

	memset(&info, 0, sizeof(info));
	a.info.bpf_fd = (u32)fd;
	a.info.info = (uintptr_t)&info;
	a.info.info_len = sizeof(info);
	return call(kernel, BPF_OBJ_GET_INFO_BY_FD, &a) ? UINT64_MAX : info.run_cnt;
}

static void counted_while_open(bool kernel)
{
	union bpf_attr a = { .enable_stats = { .type = BPF_STATS_RUN_TIME } };
	int prog = load(kernel), first, second;

	NEED(prog >= 0);
	EQ(run(kernel, prog, 3), 0);
	EQ(count(kernel, prog), 0);
	first = (int)call(kernel, BPF_ENABLE_STATS, &a);
	second = (int)call(kernel, BPF_ENABLE_STATS, &a);
	NEED(first >= 0 && second >= 0);
	EQ(run(kernel, prog, 100), 0);
	EQ(count(kernel, prog), 100);
	close(first);
	EQ(run(kernel, prog, 5), 0);
	EQ(count(kernel, prog), 105);
	close(second);
	EQ(run(kernel, prog, 7), 0);
	EQ(count(kernel, prog), 105);
	close(prog);
}

TEST(runs_are_counted_while_an_fd_is_open)
{
	counted_while_open(false);
}

TEST(the_kernel_says_the_same)
{
	if (!t_kernel_bpf()) {
		t_skip("no kernel BPF to compare with");
		return;
	}
	counted_while_open(true);
}
