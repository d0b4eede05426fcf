/* SPDX-License-Identifier: Apache-2.0 */
/* testrun_test.c - BPF_PROG_TEST_RUN: each row runs through skep_bpf() and, as root on a kernel with BPF, through
 * bpf(2) of the kernel; result, return value, data and context out must be the same. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/def.h"
#include "skep.h"
#include "spec/uapi.h"
#include "t.h"

#define R(n) (n)
#define I(c, d, s, o, i) { .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) }
#define MOV(d, i)	I(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define MOVR(d, s)	I(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define ADD(d, i)	I(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define ADDR(d, s)	I(BPF_ALU64 | BPF_ADD | BPF_X, d, s, 0, 0)
#define SUBR(d, s)	I(BPF_ALU64 | BPF_SUB | BPF_X, d, s, 0, 0)
#define LDX(sz, d, s, o) I(BPF_LDX | BPF_MEM | (sz), d, s, o, 0)
#define STX(sz, d, s, o) I(BPF_STX | BPF_MEM | (sz), d, s, o, 0)
#define ST(sz, d, o, i)	I(BPF_ST | BPF_MEM | (sz), d, 0, o, i)
#define CALL(n)		I(BPF_JMP | BPF_CALL, 0, 0, 0, n)
#define EXIT()		I(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define JGTR(d, s, o)	I(BPF_JMP | BPF_JGT | BPF_X, d, s, o, 0)
#define JNE(d, i, o)	I(BPF_JMP | BPF_JNE | BPF_K, d, 0, o, i)
#define B BPF_B
#define H BPF_H
#define W BPF_W
#define DW BPF_DW

struct row {
	const char *name;
	u32 type;
	u32 prog_flags;
	struct bpf_insn insns[40];
	u32 data_size;			/* bytes of `packet` passed in; 0: none */
	u32 out_size;			/* capacity of data_out; 0: none */
	u32 ctx_in, ctx_out;		/* sizes; 0: none */
	union {
		struct xdp_md xdp;
		struct __sk_buff skb;
		u8 bytes[256];
	} ctx;
	u32 repeat, flags, cpu, batch;
	bool no_pointer, no_size;	/* data_out missing, or its size */
};

static u8 packet[4096];

static void make_packet(void)
{
	static const u8 head[] = {
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,			/* Ethernet, IPv4 */
		0x45, 0, 0, 46, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,	/* IPv4, UDP */
		0x30, 0x39, 0, 53, 0, 26, 0, 0,
	};
	memcpy(packet, head, sizeof(head));
	for (u32 i = sizeof(head); i < sizeof(packet); i++)
		packet[i] = (u8)i;
}

#define XDP BPF_PROG_TYPE_XDP
#define SCHED BPF_PROG_TYPE_SCHED_CLS
#define SOCK BPF_PROG_TYPE_SOCKET_FILTER
#define SYSC BPF_PROG_TYPE_SYSCALL
#define RAW BPF_PROG_TYPE_RAW_TRACEPOINT
#define SLEEP BPF_F_SLEEPABLE
/* r0 = skb->FIELD */
#define SKB_FIELD(f) { LDX(W, 0, 1, offsetof(struct __sk_buff, f)), EXIT() }
#define XDP_FIELD(f) { LDX(W, 0, 1, offsetof(struct xdp_md, f)), EXIT() }
#define XDP_LEN { LDX(W, 0, 1, 4), LDX(W, 2, 1, 0), SUBR(0, 2), EXIT() }
#define HELPER2(n, a) { MOVR(6, 1), MOV(2, a), CALL(n), EXIT() }

static const struct row rows[] = {
	{ "xdp: the return value comes back", XDP, 0, { MOV(0, 2), EXIT() }, 60, 0 },
	{ "xdp: any return value comes back", XDP, 0, { MOV(0, -1), EXIT() }, 60, 0 },
	{ "xdp: data comes out", XDP, 0, { MOV(0, 1), EXIT() }, 60, 100 },
	{ "xdp: data_out too small is ENOSPC", XDP, 0, { MOV(0, 1), EXIT() }, 60, 20 },
	{ "xdp: a size without data_out is checked all the same", XDP, 0, { MOV(0, 1), EXIT() }, 60, 20, .no_pointer = true },
	{ "xdp: a large size without data_out", XDP, 0, { MOV(0, 1), EXIT() }, 60, 100, .no_pointer = true },
	{ "xdp: data_out without a size takes everything", XDP, 0, { MOV(0, 1), EXIT() }, 60, 100, .no_size = true },
	{ "tc: a size without data_out is checked all the same", SCHED, 0, SKB_FIELD(len), 64, 20, .no_pointer = true },
	{ "xdp: packets shorter than an Ethernet header are refused", XDP, 0, { MOV(0, 1), EXIT() }, 13, 0 },
	{ "xdp: 14 bytes are enough", XDP, 0, XDP_LEN, 14, 0 },
	{ "xdp: no data is refused", XDP, 0, { MOV(0, 1), EXIT() }, 0, 0 },
	{ "xdp: length", XDP, 0, XDP_LEN, 1000, 0 },
	{ "xdp: default ifindex is the loopback's", XDP, 0, XDP_FIELD(ingress_ifindex), 60, 0 },
	{ "xdp: default queue is 0", XDP, 0, XDP_FIELD(rx_queue_index), 60, 0 },
	{ "xdp: context in and out", XDP, 0, XDP_LEN, 64, 64, 24, 24, { .xdp = { .data_end = 64 } } },
	{ "xdp: metadata by context", XDP, 0,
	  { LDX(W, 0, 1, 0), LDX(W, 2, 1, 8), SUBR(0, 2), EXIT() }, 64, 64, 24, 24,
	  { .xdp = { .data = 8, .data_end = 64 } } },
	{ "xdp: metadata must be a multiple of 4", XDP, 0, XDP_LEN, 64, 64, 24, 24,
	  { .xdp = { .data = 6, .data_end = 64 } } },
	{ "xdp: data_meta in the context is refused", XDP, 0, XDP_LEN, 64, 64, 24, 24,
	  { .xdp = { .data_meta = 4, .data_end = 64 } } },
	{ "xdp: data_end beyond the data is refused", XDP, 0, XDP_LEN, 64, 64, 24, 24,
	  { .xdp = { .data_end = 65 } } },
	{ "xdp: egress_ifindex is refused", XDP, 0, XDP_LEN, 64, 64, 24, 24,
	  { .xdp = { .data_end = 64, .egress_ifindex = 1 } } },
	{ "xdp: queue without interface is refused", XDP, 0, XDP_LEN, 64, 64, 24, 24,
	  { .xdp = { .data_end = 64, .rx_queue_index = 1 } } },
	{ "xdp: unknown interface is ENODEV", XDP, 0, XDP_LEN, 64, 64, 24, 24,
	  { .xdp = { .data_end = 64, .ingress_ifindex = 99999 } } },
	{ "xdp: a short context is zero-extended", XDP, 0, XDP_LEN, 64, 64, 8, 24,
	  { .xdp = { .data_end = 64 } } },
	{ "xdp: a long context must end in zeroes", XDP, 0, XDP_LEN, 64, 64, 32, 24,
	  { .bytes = { [4] = 64, [30] = 1 } } },
	{ "xdp: a long context with zeroes is taken", XDP, 0, XDP_LEN, 64, 64, 32, 24,
	  { .bytes = { [4] = 64 } } },
	{ "xdp: unknown flags are refused", XDP, 0, XDP_LEN, 64, 0, .flags = 1 },
	{ "xdp: batch size without live frames is refused", XDP, 0, XDP_LEN, 64, 0, .batch = 1 },
	{ "xdp: adjust_head takes a header off", XDP, 0, HELPER2(44, 14), 64, 100 },
	{ "xdp: adjust_head makes room", XDP, 0, HELPER2(44, -100), 64, 200 },
	{ "xdp: adjust_head to the edge of the head room", XDP, 0, HELPER2(44, -216), 64, 400 },
	{ "xdp: adjust_head beyond the head room", XDP, 0, HELPER2(44, -217), 64, 400 },
	{ "xdp: adjust_head must leave an Ethernet header", XDP, 0, HELPER2(44, 51), 64, 100 },
	{ "xdp: adjust_tail cuts", XDP, 0, HELPER2(65, -20), 64, 100 },
	{ "xdp: adjust_tail cuts to 14 at most", XDP, 0, HELPER2(65, -51), 64, 100 },
	{ "xdp: adjust_tail grows", XDP, 0, HELPER2(65, 100), 64, 200 },
	{ "xdp: adjust_tail grows to the edge", XDP, 0, HELPER2(65, 3456), 64, 4000 },
	{ "xdp: adjust_tail beyond the edge", XDP, 0, HELPER2(65, 3457), 64, 4000 },
	{ "xdp: adjust_meta opens 8 bytes", XDP, 0, HELPER2(54, -8), 64, 100 },
	{ "xdp: adjust_meta not by 6", XDP, 0, HELPER2(54, -6), 64, 100 },
	{ "xdp: adjust_meta not beyond data", XDP, 0, HELPER2(54, 4), 64, 100 },
	{ "xdp: adjust_meta too much", XDP, 0, HELPER2(54, -256), 64, 100 },
	{ "xdp: get_buff_len", XDP, 0, { CALL(188), EXIT() }, 777, 0 },
	{ "xdp: load_bytes", XDP, 0,
	  { MOV(2, 12), MOVR(3, 10), ADD(3, -8), MOV(4, 2), ST(DW, 10, -8, 0), CALL(189),
	    LDX(H, 0, 10, -8), EXIT() }, 64, 0 },
	{ "xdp: load_bytes past the end", XDP, 0,
	  { MOV(2, 63), MOVR(3, 10), ADD(3, -8), MOV(4, 2), ST(DW, 10, -8, 0), CALL(189), EXIT() }, 64, 0 },
	{ "xdp: store_bytes", XDP, 0,
	  { MOV(2, 0), MOVR(3, 10), ADD(3, -8), MOV(4, 6), ST(DW, 10, -8, 0x11223344), CALL(190),
	    EXIT() }, 64, 64 },
	{ "xdp: direct packet write", XDP, 0,
	  { LDX(W, 2, 1, 0), LDX(W, 3, 1, 4), MOVR(4, 2), ADD(4, 14), MOV(0, 1), JGTR(4, 3, 2),
	    ST(W, 2, 0, 0x01020304), MOV(0, 2), EXIT() }, 64, 64 },

	{ "tc: sees the Ethernet header", SCHED, 0, SKB_FIELD(len), 64, 100 },
	{ "socket: sees the network header", SOCK, 0, SKB_FIELD(len), 64, 100 },
	{ "tc: protocol", SCHED, 0, SKB_FIELD(protocol), 64, 0 },
	{ "socket: protocol", SOCK, 0, SKB_FIELD(protocol), 64, 0 },
	{ "tc: pkt_type", SCHED, 0, SKB_FIELD(pkt_type), 64, 0 },
	{ "tc: ifindex", SCHED, 0, SKB_FIELD(ifindex), 64, 0 },
	{ "tc: ingress_ifindex", SCHED, 0, SKB_FIELD(ingress_ifindex), 64, 0 },
	{ "tc: queue_mapping", SCHED, 0, SKB_FIELD(queue_mapping), 64, 0 },
	{ "tc: vlan_present", SCHED, 0, SKB_FIELD(vlan_present), 64, 0 },
	{ "tc: vlan_proto", SCHED, 0, SKB_FIELD(vlan_proto), 64, 0 },
	{ "tc: hash", SCHED, 0, SKB_FIELD(hash), 64, 0 },
	{ "tc: tc_index", SCHED, 0, SKB_FIELD(tc_index), 64, 0 },
	{ "tc: tc_classid", SCHED, 0, SKB_FIELD(tc_classid), 64, 0 },
	{ "tc: wire_len", SCHED, 0, SKB_FIELD(wire_len), 64, 0 },
	{ "tc: gso_segs", SCHED, 0, SKB_FIELD(gso_segs), 64, 0 },
	{ "tc: gso_size", SCHED, 0, SKB_FIELD(gso_size), 64, 0 },
	{ "tc: napi_id", SCHED, 0, SKB_FIELD(napi_id), 64, 0 },
	{ "tc: mark comes in and goes out", SCHED, 0,
	  { LDX(W, 0, 1, 8), MOV(2, 77), STX(W, 1, 2, 8), EXIT() }, 64, 100, 192, 192,
	  { .skb = { .mark = 42 } } },
	{ "tc: cb comes in and goes out", SCHED, 0,
	  { LDX(W, 0, 1, 52), MOV(2, 5), STX(W, 1, 2, 60), EXIT() }, 64, 100, 192, 192,
	  { .skb = { .cb = { 1, 2, 3, 4, 5 } } } },
	{ "tc: priority", SCHED, 0, SKB_FIELD(priority), 64, 100, 192, 192, { .skb = { .priority = 9 } } },
	{ "tc: wire_len of the context", SCHED, 0, SKB_FIELD(wire_len), 64, 0, 192, 192,
	  { .skb = { .wire_len = 100 } } },
	{ "tc: wire_len below the length is refused", SCHED, 0, SKB_FIELD(wire_len), 64, 0, 192, 192,
	  { .skb = { .wire_len = 10 } } },
	{ "tc: gso fields of the context", SCHED, 0, SKB_FIELD(gso_size), 64, 0, 192, 192,
	  { .skb = { .gso_segs = 3, .gso_size = 8 } } },
	{ "tc: too many segments", SCHED, 0, SKB_FIELD(gso_size), 64, 0, 192, 192,
	  { .skb = { .gso_segs = 65536 } } },
	{ "tc: len in the context is refused", SCHED, 0, SKB_FIELD(len), 64, 0, 192, 192,
	  { .skb = { .len = 1 } } },
	{ "tc: hash in the context is refused", SCHED, 0, SKB_FIELD(len), 64, 0, 192, 192,
	  { .skb = { .hash = 1 } } },
	{ "tc: unknown interface is ENODEV", SCHED, 0, SKB_FIELD(len), 64, 0, 192, 192,
	  { .skb = { .ifindex = 99999 } } },
	{ "tc: an IPv4 frame without its header is refused", SCHED, 0, SKB_FIELD(len), 30, 0 },
	{ "tc: cpu is refused", SCHED, 0, SKB_FIELD(len), 64, 0, .cpu = 1 },
	{ "tc: short frames are refused", SCHED, 0, SKB_FIELD(len), 13, 0 },
	{ "tc: direct packet access", SCHED, 0,
	  { LDX(W, 2, 1, 76), LDX(W, 3, 1, 80), MOVR(4, 2), ADD(4, 14), MOV(0, 1), JGTR(4, 3, 1),
	    LDX(H, 0, 2, 12), EXIT() }, 64, 0 },
	{ "tc: load_bytes", SCHED, 0,
	  { MOV(2, 14), MOVR(3, 10), ADD(3, -8), MOV(4, 4), ST(DW, 10, -8, 0), CALL(26),
	    LDX(W, 0, 10, -8), EXIT() }, 64, 0 },
	{ "tc: load_bytes past the end", SCHED, 0,
	  { MOV(2, 61), MOVR(3, 10), ADD(3, -8), MOV(4, 4), ST(DW, 10, -8, -1), CALL(26), EXIT() }, 64, 0 },
	{ "socket: load_bytes starts at the network header", SOCK, 0,
	  { MOV(2, 0), MOVR(3, 10), ADD(3, -8), MOV(4, 4), ST(DW, 10, -8, 0), CALL(26),
	    LDX(W, 0, 10, -8), EXIT() }, 64, 0 },
	{ "socket: load_bytes_relative to the MAC header", SOCK, 0,
	  { MOV(2, 12), MOVR(3, 10), ADD(3, -8), MOV(4, 4), ST(DW, 10, -8, 0), MOV(5, 0), CALL(68),
	    LDX(W, 0, 10, -8), EXIT() }, 64, 0 },
	{ "socket: load_bytes_relative to the network header", SOCK, 0,
	  { MOV(2, 12), MOVR(3, 10), ADD(3, -8), MOV(4, 4), ST(DW, 10, -8, 0), MOV(5, 1), CALL(68),
	    LDX(W, 0, 10, -8), EXIT() }, 64, 0 },
	{ "tc: store_bytes", SCHED, 0,
	  { MOV(2, 14), MOVR(3, 10), ADD(3, -8), MOV(4, 4), ST(DW, 10, -8, 0x0a0b0c0d), MOV(5, 0), CALL(9),
	    EXIT() }, 64, 64 },
	{ "tc: l3_csum_replace of 4 bytes", SCHED, 0,
	  { MOV(2, 24), MOV(3, 0x0100000a), MOV(4, 0x0a0a0a0a), MOV(5, 4), CALL(10), EXIT() }, 64, 64 },
	{ "tc: l3_csum_replace of 2 bytes", SCHED, 0,
	  { MOV(2, 24), MOV(3, 0x3412), MOV(4, 0xfffe), MOV(5, 2), CALL(10), EXIT() }, 64, 64 },
	{ "tc: l3_csum_replace by difference", SCHED, 0,
	  { MOV(2, 24), MOV(3, 0), MOV(4, 0x12345), MOV(5, 0), CALL(10), EXIT() }, 64, 64 },
	{ "tc: l3_csum_replace at an odd offset", SCHED, 0,
	  { MOV(2, 25), MOV(3, 0), MOV(4, 0x12345), MOV(5, 0), CALL(10), EXIT() }, 64, 64 },
	{ "tc: l4_csum_replace of 2 bytes", SCHED, 0,
	  { MOV(2, 40), MOV(3, 0x3412), MOV(4, 0xfffe), MOV(5, 2), CALL(11), EXIT() }, 64, 64 },
	{ "tc: l4_csum_replace leaves 0 with MARK_MANGLED_0", SCHED, 0,
	  { MOV(2, 40), MOV(3, 0x3412), MOV(4, 0xfffe), MOV(5, 0x22), CALL(11), EXIT() }, 64, 64 },
	{ "tc: csum_diff", SCHED, 0,
	  { ST(DW, 10, -8, 0x12345678), ST(DW, 10, -16, -2), MOVR(1, 10), ADD(1, -8), MOV(2, 8), MOVR(3, 10),
	    ADD(3, -16), MOV(4, 8), MOV(5, 0x1234567), CALL(28), EXIT() }, 64, 0 },
	{ "tc: csum_diff of what was added only", SCHED, 0,
	  { ST(DW, 10, -8, 0x12345678), MOV(1, 0), MOV(2, 0), MOVR(3, 10), ADD(3, -8), MOV(4, 4), MOV(5, 0),
	    CALL(28), EXIT() }, 64, 0 },
	{ "tc: csum_diff of 3 bytes", SCHED, 0,
	  { ST(DW, 10, -8, 0x12345678), MOV(1, 0), MOV(2, 0), MOVR(3, 10), ADD(3, -8), MOV(4, 3), MOV(5, 0),
	    CALL(28), EXIT() }, 64, 0 },
	{ "tc: csum_diff of nothing", SCHED, 0,
	  { MOV(1, 0), MOV(2, 0), MOV(3, 0), MOV(4, 0), MOV(5, -1), CALL(28), EXIT() }, 64, 0 },
	{ "tc: csum_diff of what was taken away only", SCHED, 0,
	  { ST(DW, 10, -8, 0x12345678), MOVR(1, 10), ADD(1, -8), MOV(2, 8), MOV(3, 0), MOV(4, 0), MOV(5, 0),
	    CALL(28), EXIT() }, 64, 0 },
	{ "tc: csum_diff of the same is no difference", SCHED, 0,
	  { ST(DW, 10, -8, 0x12345678), MOVR(1, 10), ADD(1, -8), MOV(2, 8), MOVR(3, 10), ADD(3, -8), MOV(4, 8),
	    MOV(5, 0), CALL(28), EXIT() }, 64, 0 },
	{ "tc: pull_data", SCHED, 0, HELPER2(39, 60), 64, 0 },
	{ "tc: pull_data of more than there is", SCHED, 0, HELPER2(39, 65), 64, 0 },

	{ "syscall: context in and back", SYSC, SLEEP,
	  { LDX(W, 0, 1, 0), ST(W, 1, 4, 99), EXIT() }, 0, 0, 16, 0, { .bytes = { 7 } } },
	{ "syscall: context shorter than what is read", SYSC, SLEEP,
	  { LDX(W, 0, 1, 16), EXIT() }, 0, 0, 16, 0, { .bytes = { 7 } } },
	{ "syscall: no context", SYSC, SLEEP, { MOV(0, 3), EXIT() } },
	{ "syscall: data is refused", SYSC, SLEEP, { MOV(0, 3), EXIT() }, 64 },
	{ "syscall: repeat is refused", SYSC, SLEEP, { MOV(0, 3), EXIT() }, .repeat = 1 },
	{ "syscall: flags are refused", SYSC, SLEEP, { MOV(0, 3), EXIT() }, .flags = 1 },
	{ "raw_tp: arguments", RAW, 0, { LDX(DW, 0, 1, 8), EXIT() }, 0, 0, 16, 0, { .bytes = { [8] = 5 } } },
	{ "raw_tp: too few arguments", RAW, 0, { LDX(DW, 0, 1, 16), EXIT() }, 0, 0, 16, 0 },
	{ "raw_tp: too many arguments", RAW, 0, { MOV(0, 0), EXIT() }, 0, 0, 104, 0 },
	{ "raw_tp: on CPU 0", RAW, 0, { MOV(0, 1), EXIT() }, 0, 0, 16, 0, .flags = 1 },
	{ "raw_tp: a cpu without the flag is refused", RAW, 0, { MOV(0, 1), EXIT() }, .cpu = 1 },
	{ "raw_tp: a cpu that is not there", RAW, 0, { MOV(0, 1), EXIT() }, .cpu = 9999, .flags = 1 },
	{ "raw_tp: repeat is refused", RAW, 0, { MOV(0, 1), EXIT() }, .repeat = 2 },
	{ "tracepoint: has no test run", BPF_PROG_TYPE_TRACEPOINT, 0, { MOV(0, 1), EXIT() } },
	{ "cgroup_skb: length", BPF_PROG_TYPE_CGROUP_SKB, 0, { MOV(0, 1), EXIT() }, 64, 64 },
};

struct outcome {
	long load, run;			/* 0 or -errno */
	u32 retval, data_size, ctx_size;
	u8 data[4096], ctx[256];
};

static long call(bool kernel, int cmd, union bpf_attr *a, u32 size)
{
	long r;

	if (!kernel)
		return skep_bpf(cmd, a, size);
	r = t_kernel_bpf_call(cmd, a, size);
	return r < 0 ? -errno : r;
}

static void go(const struct row *row, bool kernel, struct outcome *o)
{
	union bpf_attr a = { 0 };
	u8 ctx[256];
	u32 n = 40;
	long fd;

	memset(o, 0, sizeof(*o));
	while (n && !row->insns[n - 1].code)
		n--;
	a.prog_type = row->type;
	a.insns = (uintptr_t)row->insns;
	a.insn_cnt = n;
	a.license = (uintptr_t)"GPL";
	a.prog_flags = row->prog_flags;
	fd = call(kernel, BPF_PROG_LOAD, &a, sizeof(a));
	o->load = fd < 0 ? fd : 0;
	if (fd < 0)
		return;
	memcpy(ctx, row->ctx.bytes, sizeof(ctx));
	memset(&a, 0, sizeof(a));
	a.test.prog_fd = (u32)fd;
	a.test.data_size_in = row->data_size;
	a.test.data_in = row->data_size ? (uintptr_t)packet : 0;
	a.test.data_size_out = row->no_size ? 0 : row->out_size;
	a.test.data_out = row->out_size && !row->no_pointer ? (uintptr_t)o->data : 0;
	a.test.ctx_size_in = row->ctx_in;
	a.test.ctx_in = row->ctx_in ? (uintptr_t)ctx : 0;
	a.test.ctx_size_out = row->ctx_out;
	a.test.ctx_out = row->ctx_out ? (uintptr_t)o->ctx : 0;
	a.test.repeat = row->repeat;
	a.test.flags = row->flags;
	a.test.cpu = row->cpu;
	a.test.batch_size = row->batch;
	o->run = call(kernel, BPF_PROG_TEST_RUN, &a, sizeof(a));
	o->retval = a.test.retval;
	o->data_size = a.test.data_size_out;
	o->ctx_size = a.test.ctx_size_out;
	if (row->type == SYSC)
		memcpy(o->ctx, ctx, sizeof(ctx));
	close((int)fd);
}

static void compare(const struct row *row)
{
	struct outcome s, k;

	go(row, false, &s);
	EQ(s.load, 0);
	if (!t_kernel_bpf()) {
		t_skip("no kernel BPF to compare with");
		return;
	}
	go(row, true, &k);
	EQ(s.load, k.load);
	EQ(s.run, k.run);
	EQ(s.retval, k.retval);
	EQ(s.data_size, k.data_size);
	EQ(s.ctx_size, k.ctx_size);
	CHECK(!memcmp(s.data, k.data, sizeof(s.data)));
	CHECK(!memcmp(s.ctx, k.ctx, sizeof(s.ctx)));
}

TEST(rows)
{
	make_packet();
	for (u32 i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		t_row("%s", rows[i].name);
		compare(&rows[i]);
	}
}
