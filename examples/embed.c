/* SPDX-License-Identifier: Apache-2.0 */
/* embed.c - an application that runs BPF programs by itself: no root, no kernel bpf(2).
 *
 *	cc embed.c $(pkg-config --cflags --libs skep) -o embed && ./embed
 *
 * libbpf's own API does everything; pkg-config's flags turn its system calls to skep. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include <skep.h>

/* Returns the length of the packet (behind its Ethernet header, as socket filters see it), counts in element 0 of MAP. */
static int load(int map)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 6, .src_reg = 1 },
		{ .code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = 10, .off = -4, .imm = 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .imm = -4 },
		{ .code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map },
		{ 0 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_lookup_elem },
		{ .code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = 0, .off = 2, .imm = 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = 1 },
		{ .code = BPF_STX | BPF_ATOMIC | BPF_DW, .dst_reg = 0, .src_reg = 1, .imm = BPF_ADD },
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 0, .src_reg = 6, .off = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	char log[4096] = "";
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .log_buf = log, .log_size = sizeof(log), .log_level = 1);
	int fd = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "embedded", "GPL", insns,
			       sizeof(insns) / sizeof(insns[0]), &opts);

	if (fd < 0)
		fprintf(stderr, "refused: %s\n%s", strerror(errno), log);
	return fd;
}

int main(void)
{
	unsigned char packet[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof(packet), .repeat = 5);
	unsigned long long count = 0;
	unsigned int zero = 0;
	int map, prog;

	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "packets", sizeof(zero), sizeof(count), 1, NULL);
	if (map < 0) {
		fprintf(stderr, "no map: %s\n", strerror(errno));
		return 1;
	}
	prog = load(map);
	if (prog < 0 || bpf_prog_test_run_opts(prog, &run) || bpf_map_lookup_elem(map, &zero, &count))
		return 1;
	printf("skep %s: %llu packets, last one %u bytes\n", skep_version(), count, run.retval);
	return 0;
}
