/* SPDX-License-Identifier: Apache-2.0 */
/* insns_fuzz.c - libFuzzer: PROG_LOAD of arbitrary instructions; what the verifier accepts is run.
 *
 * An input is [program type][flags][instructions]. Map pseudos get fds of real maps. */
#include "sys/fuzz.h"

static const u32 types[] = {
	BPF_PROG_TYPE_SOCKET_FILTER, BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_SYSCALL,
	BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_PROG_TYPE_KPROBE,
};

static char log_buf[64 << 10];
static u8 packet[128], big[512];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	fuzz_start();
	return 0;
}

static void run(int fd, u32 type)
{
	union skep_attr a = { 0 };

	a.test.prog_fd = (u32)fd;
	if (type == BPF_PROG_TYPE_SYSCALL || type == BPF_PROG_TYPE_RAW_TRACEPOINT) {
		a.test.ctx_in = FUZZ_PTR(big);
		a.test.ctx_size_in = 96;
	} else {
		a.test.data_in = FUZZ_PTR(packet);
		a.test.data_size_in = sizeof(packet);
		a.test.data_out = FUZZ_PTR(big);
		a.test.data_size_out = sizeof(big);
	}
	fuzz_bpf(BPF_PROG_TEST_RUN, &a);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct bpf_insn insns[512];
	union skep_attr a = { 0 };
	size_t n;
	long fd;

	if (size < 2 + sizeof(insns[0]))
		return 0;
	n = MIN((size - 2) / sizeof(insns[0]), ARRAY_SIZE(insns));
	memcpy(insns, data + 2, n * sizeof(insns[0]));
	for (size_t i = 0; i + 1 < n; i++)
		if (insns[i].code == (BPF_LD | BPF_IMM | BPF_DW) && insns[i].src_reg &&
		    insns[i].src_reg <= BPF_PSEUDO_MAP_VALUE)
			insns[i].imm = fuzz_fd[(u32)insns[i].imm % 6];
	a.prog_type = types[data[0] % ARRAY_SIZE(types)];
	a.insns = FUZZ_PTR(insns);
	a.insn_cnt = (u32)n;
	a.license = FUZZ_PTR("GPL");
	if (data[1] & 1) {
		a.log_level = 1 + (data[1] >> 1 & 1);
		a.log_buf = FUZZ_PTR(log_buf);
		a.log_size = sizeof(log_buf);
	}
	fd = fuzz_bpf(BPF_PROG_LOAD, &a);
	if (fd >= 0) {
		run((int)fd, a.prog_type);
		close((int)fd);
	}
	fuzz_collect();
	return 0;
}
