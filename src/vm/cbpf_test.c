/* SPDX-License-Identifier: Apache-2.0 */
/* cbpf_test.c - classic BPF: every opcode on the reference interpreter and in the kernel (SO_ATTACH_FILTER on a socket pair,
 * any user may), what the kernel accepts, and the assembler: every form round, every error with line and column. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spec/ctx.h"
#include "sys/filter.h"
#include "t.h"
#include "vm/cbpf.h"

/* ---- assembling for tests ---- */
struct text {
	struct sock_filter f[CBPF_MAX_INSNS];
	u32 n, line[CBPF_MAX_INSNS];
	struct cbpf_text_error e;
	int err;
};

static struct text *assemble(const char *fmt, ...)
{
	static struct text t;
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		abort();
	va_end(ap);
	memset(&t, 0, sizeof(t));
	t.err = cbpf_parse(s, strlen(s), NULL, 0, t.f, &t.n, t.line, &t.e);
	if (t.err)
		fprintf(stderr, "%u:%u: %s in:\n%.200s\n", t.e.line, t.e.col, t.e.text, s);
	free(s);
	return &t;
}

/* ---- values: the packet's byte at N is N ---- */
#define LEN	64

static struct skep_sk_buff packet(u8 *data)
{
	for (u32 i = 0; i < LEN; i++)
		data[i] = (u8)i;
	return (struct skep_sk_buff) {
		.data = data, .data_end = data + LEN, .len = LEN, .wire_len = LEN,
	};
}

/* What a socket with the filter receives of the packet: its length, 0 when it was dropped, -errno of attaching. */
static int kernel_run(const struct text *t)
{
	struct sock_fprog prog = { (u16)t->n, (struct sock_filter *)t->f };
	u8 data[LEN], got[LEN];
	int sv[2], ret;

	packet(data);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, sv))
		return -errno;
	if (setsockopt(sv[1], SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog))) {
		ret = -errno;
	} else {
		ret = (int)send(sv[0], data, LEN, MSG_DONTWAIT);
		ret = ret == LEN || errno == EPERM ? (int)recv(sv[1], got, LEN, MSG_DONTWAIT) : -errno;
		ret = ret < 0 && errno == EAGAIN ? 0 : ret;
	}
	close(sv[0]);
	close(sv[1]);
	return ret;
}

/* The value that the compiled program returns, directly or (PLAIN) with one LD_ABS per load. */
static s64 compiled(const struct text *t, u32 flags, struct skep_sk_buff *skb)
{
	struct cbpf_reason why;
	struct filter *f;
	struct run r;
	s64 ret;

	EQ(filter_open(t->f, t->n, flags, "test", &f, &why), 0);
	EQ(f->load_err, 0);
	EQ(f->plain, flags & CBPF_PLAIN ? 1 : 0);
	EQ(filter_enter(f, &r), 0);
	ret = filter_call(f, &r, skb);
	filter_exit(f, &r);
	filter_close(f);
	return ret;
}

#define ENDS	INT64_MAX		/* the program ends with 0 there */

static const struct {
	const char *name, *text;
	s64 a;				/* A behind it */
} values[] = {
	{ "A and X begin as 0",		"add x",				0 },
	{ "ld [k]",			"ld [12]",				0x0c0d0e0f },
	{ "ldh [k]",			"ldh [12]",				0x0c0d },
	{ "ldb [k]",			"ldb [12]",				0x0c },
	{ "ld [k], last word",		"ld [60]",				0x3c3d3e3f },
	{ "ld [k], one byte outside",	"ld [61]",				ENDS },
	{ "ldh [k], one byte outside",	"ldh [63]",				ENDS },
	{ "ldb [k], outside",		"ldb [64]",				ENDS },
	{ "ld [k], far outside",	"ld [0x7fffffff]",			ENDS },
	{ "ld [x+k]",			"ldx #2\nld [x+10]",			0x0c0d0e0f },
	{ "ldh [x+k]",			"ldx #2\nldh [x+10]",			0x0c0d },
	{ "ldb [x+k]",			"ldx #2\nldb [x+10]",			0x0c },
	{ "ld [x+k], one outside",	"ldx #51\nld [x+10]",			ENDS },
	{ "ldh [x+k], one outside",	"ldx #53\nldh [x+10]",			ENDS },
	{ "ldb [x+k], outside",		"ldx #54\nldb [x+10]",			ENDS },
	{ "ldb [x+k] wraps to the front", "ldx #-3\nldb [x+10]",		7 },
	{ "ldb [x+k], X large",		"ldx #0x10000\nldb [x+0]",		ENDS },
	{ "ldb [x+k], X negative",	"ldx #-1\nldb [x+0]",			ENDS },
	{ "ld #k",			"ld #0xdeadbeef",			0xdeadbeef },
	{ "ld M[k]",			"ld #7\nst M[15]\nld #1\nld M[15]",	7 },
	{ "ld len",			"ld len",				LEN },
	{ "ldx #k, txa",		"ldx #0xfffffffe\ntxa",			0xfffffffe },
	{ "ldx M[k], stx",		"ldx #9\nstx M[0]\nldx #1\nldx M[0]\ntxa", 9 },
	{ "ldx len",			"ldx len\ntxa",				LEN },
	{ "ldxb 4*([k]&0xf)",		"ldxb 4*([5]&0xf)\ntxa",		20 },
	{ "ldxb masks",			"ldxb 4*([0x3f]&0xf)\ntxa",		60 },
	{ "ldxb keeps A",		"ld #77\nldxb 4*([5]&0xf)",		77 },
	{ "ldxb outside",		"ldxb 4*([64]&0xf)",			ENDS },
	{ "st, stx are different words", "ld #1\nst M[1]\nldx #2\nstx M[2]\nld M[1]\nldx M[2]\nlsh #8\nadd x", 0x102 },
	{ "tax",			"ld #5\ntax\nld #0\nadd x",		5 },
	{ "add #k wraps",		"ld #0xffffffff\nadd #2",		1 },
	{ "add x",			"ld #3\nldx #4\nadd x",			7 },
	{ "sub #k wraps",		"ld #1\nsub #2",			0xffffffff },
	{ "sub x",			"ld #9\nldx #4\nsub x",			5 },
	{ "mul #k wraps",		"ld #0x10001\nmul #0x10001",		0x20001 },
	{ "mul x",			"ld #6\nldx #7\nmul x",			42 },
	{ "div #k is unsigned",		"ld #0xfffffffe\ndiv #2",		0x7fffffff },
	{ "div x",			"ld #43\nldx #7\ndiv x",		6 },
	{ "div x by zero",		"ld #43\ndiv x",			ENDS },
	{ "mod #k is unsigned",		"ld #0xffffffff\nmod #10",		5 },
	{ "mod x",			"ld #43\nldx #7\nmod x",		1 },
	{ "mod x by zero",		"ld #43\nmod x",			ENDS },
	{ "and #k",			"ld #0xff00ff00\nand #0xf0f0f0f0",	0xf000f000 },
	{ "and x",			"ld #12\nldx #10\nand x",		8 },
	{ "or #k",			"ld #0xff00ff00\nor #0xf0f0f0f0",	0xfff0fff0 },
	{ "or x",			"ld #12\nldx #3\nor x",			15 },
	{ "xor #k",			"ld #0xff00ff00\nxor #0xffffffff",	0x00ff00ff },
	{ "xor x",			"ld #12\nldx #10\nxor x",		6 },
	{ "lsh #k",			"ld #3\nlsh #31",			0x80000000 },
	{ "lsh x",			"ld #3\nldx #4\nlsh x",			48 },
	{ "rsh #k is logical",		"ld #0x80000000\nrsh #31",		1 },
	{ "rsh x",			"ld #48\nldx #4\nrsh x",		3 },
	{ "lsh x, X above 31",		"ld #3\nldx #33\nlsh x",		6 },
	{ "rsh x, X above 31",		"ld #48\nldx #36\nrsh x",		3 },
	{ "neg",			"ld #1\nneg",				0xffffffff },
	{ "ja",				"ld #1\nja L\nld #2\nL: add #1",	2 },
	{ "jeq #k, true",		"ld #5\njeq #5, L\nld #9\nL: add #1",	6 },
	{ "jeq #k, false",		"ld #5\njeq #6, L\nld #9\nL: add #1",	10 },
	{ "jeq #k, large",		"ld #0xfffffff5\njeq #0xfffffff5, L\nld #9\nL: add #1", 0xfffffff6 },
	{ "jeq x",			"ld #5\nldx #5\njeq x, L\nld #9\nL: add #1", 6 },
	{ "jgt #k is unsigned",		"ld #0xffffffff\njgt #1, L\nld #9\nL: add #2", 1 },
	{ "jgt #k, equal",		"ld #5\njgt #5, L\nld #9\nL: add #1",	10 },
	{ "jgt x",			"ld #6\nldx #5\njgt x, L\nld #9\nL: add #1", 7 },
	{ "jge #k, equal",		"ld #5\njge #5, L\nld #9\nL: add #1",	6 },
	{ "jge #k, large k",		"ld #5\njge #0x80000000, L\nld #9\nL: add #1", 10 },
	{ "jge x",			"ld #4\nldx #5\njge x, L\nld #9\nL: add #1", 10 },
	{ "jset #k",			"ld #6\njset #0x12, L\nld #9\nL: add #1", 7 },
	{ "jset #k, high bit",		"ld #0x80000000\njset #0x80000000, L\nld #9\nL: add #1", 0x80000001 },
	{ "jset x, none",		"ld #6\nldx #9\njset x, L\nld #9\nL: add #1", 10 },
	{ "both ways of a jump",	"ld #5\njeq #6, A, B\nA: ld #1\nB: add #1", 6 },
	{ "jne, jlt, jle",		"ld #5\njne #5, L\njlt #5, L\njle #5, M\nL: ld #0\nM: add #1", 6 },
	{ "ancillary xor_x",		"ld #12\nldx #10\nld xor_x",		6 },
	{ "ancillary loads of any width", "ld #12\nldx #10\nldb xor_x",		6 },
	{ "below the link header",	"ldb [-0x200000]",			ENDS },
	{ "no offset is that negative",	"ldb [-0x300000]",			ENDS },
};

TEST(opcodes)
{
	struct text *t;
	u8 data[LEN];

	for (u32 i = 0; i < ARRAY_SIZE(values); i++) {
		struct skep_sk_buff skb = packet(data);
		s64 want = values[i].a;

		t_row("value: %s", values[i].name);
		t = assemble(want == ENDS ? "%s\nret #1" : "%s\nret a", values[i].text);
		EQ(t->err, 0);
		EQ(cbpf_check(t->f, t->n, 0, NULL), 0);
		EQ(cbpf_run(t->f, t->n, 0, &skb), want == ENDS ? 0 : want);
		t_row("value compiled: %s", values[i].name);
		EQ(compiled(t, 0, &skb), want == ENDS ? 0 : want);
		t_row("value compiled without direct access: %s", values[i].name);
		EQ(compiled(t, CBPF_PLAIN, &skb), want == ENDS ? 0 : want);

		t_row("value in the kernel: %s", values[i].name);
		if (want == ENDS)
			t = assemble("%s\nret #-1", values[i].text);
		else
			t = assemble("%s\njeq #%lld, Y, N\nY: ret #-1\nN: ret #0", values[i].text, (long long)want);
		EQ(kernel_run(t), want == ENDS ? 0 : LEN);
	}
}

TEST(every_opcode_has_a_row)
{
	u32 seen = 0;

	for (u32 op = 0; op < cbpf_nr_ops; op++) {
		bool hit = BPF_CLASS(cbpf_ops[op].code) == BPF_RET;

		for (u32 i = 0; i < ARRAY_SIZE(values) && !hit; i++) {
			struct text *t = assemble("%s\nret a", values[i].text);

			for (u32 k = 0; k < t->n; k++)
				hit |= t->f[k].code == cbpf_ops[op].code;
		}
		t_row("opcode %#x %s", cbpf_ops[op].code, cbpf_ops[op].text);
		CHECK(hit);
		seen += hit;
	}
	t_row("all opcodes");
	EQ(seen, cbpf_nr_ops);
}

/* ---- ancillary loads ---- */
/* A frame with an IPv4 TCP segment, 20 bytes of options in its IP header: the payload begins at 14 + 40 + 20. Behind it, at
 * ATTR, netlink attributes: 8 bytes of type 5, then 16 of type 6 | NLA_F_NESTED that hold 8 of type 9. */
#define ATTR		96
#define FRAME		(ATTR + 24)

static struct skep_sk_buff frame(u8 *b)
{
	static const u16 attrs[] = { 8, 5, 0, 0, 16, 6 | 0x8000, 8, 9, 0, 0, 4, 10 };

	memset(b, 0, FRAME);
	b[12] = 8;
	b[14] = 0x4a;
	b[14 + 9] = 6;
	b[14 + 40 + 12] = 0x50;
	memcpy(b + ATTR, attrs, sizeof(attrs));
	return (struct skep_sk_buff) {
		.data = b, .data_end = b + FRAME, .len = FRAME, .wire_len = FRAME, .mac = b, .protocol = 0x0008, .pkt_type = 3,
		.ifindex = 7, .mark = 0xdeadbeef, .queue_mapping = 0xfffe, .hash = 0x12345678, .vlan_tci = 0x2064,
		.vlan_present = 1, .vlan_proto = 0x0081,
	};
}

static const struct {
	const char *ad, *text;
	s64 a;				/* -1: any, but see below */
} ancillary[] = {
	{ "PROTOCOL",		"ld proto",			0x0800 },
	{ "PKTTYPE",		"ld type",			3 },
	{ "IFINDEX",		"ld ifidx",			7 },
	{ "NLATTR",		"ld #96\nldx #5\nld nla",	96 },
	{ "NLATTR",		"ld #96\nldx #6\nld nla",	104 },
	{ "NLATTR",		"ld #96\nldx #7\nld nla",	0 },
	{ "NLATTR",		"ld #96\nldx #9\nld nla",	0 },
	{ "NLATTR",		"ld #117\nldx #5\nld nla",	0 },
	{ "NLATTR",		"ld #-1\nldx #5\nld nla",	0 },
	{ "NLATTR_NEST",	"ld #104\nldx #9\nld nlan",	108 },
	{ "NLATTR_NEST",	"ld #104\nldx #10\nld nlan",	116 },
	{ "NLATTR_NEST",	"ld #104\nldx #5\nld nlan",	0 },
	{ "NLATTR_NEST",	"ld #117\nldx #5\nld nlan",	0 },
	{ "MARK",		"ld mark",			0xdeadbeef },
	{ "QUEUE",		"ld queue",			0xfffe },
	{ "HATYPE",		"ld hatype",			772 },
	{ "RXHASH",		"ld rxhash",			0x12345678 },
	{ "CPU",		"ld cpu",			-1 },
	{ "ALU_XOR_X",		"ld #12\nldx #10\nld xor_x",	6 },
	{ "VLAN_TAG",		"ld vlan_tci",			0x2064 },
	{ "VLAN_TAG_PRESENT",	"ld vlan_avail",		1 },
	{ "PAY_OFFSET",		"ld poff",			74 },
	{ "RANDOM",		"ld rand",			-1 },
	{ "VLAN_TPID",		"ld vlan_tpid",			0x8100 },
	{ "link header",	"ldh [SKF_LL_OFF+12]",		0x0800 },
	{ "network header",	"ldb [SKF_NET_OFF]",		0x4a },
	{ "network header",	"ldx #9\nldb [x+SKF_NET_OFF]",	6 },
	{ "network header",	"ldxb 4*([SKF_NET_OFF]&0xf)\ntxa", 40 },
};

static const char *in_a_line(const char *text)
{
	static char b[128];

	snprintf(b, sizeof(b), "%s", text);
	for (char *p = b; *p; p++)
		*p = *p == '\n' ? ';' : *p;
	return b;
}

TEST(ancillary_loads)
{
	u8 b[FRAME];

	for (u32 i = 0; i < ARRAY_SIZE(ancillary); i++) {
		struct skep_sk_buff skb = frame(b);
		struct text *t = assemble("%s\nret a", ancillary[i].text);
		s64 want = ancillary[i].a;
		u32 interpreted;

		t_row("ancillary: %s", in_a_line(ancillary[i].text));
		cbpf_prepare(&skb, cbpf_wants(t->f, t->n), 772);
		interpreted = cbpf_run(t->f, t->n, 0, &skb);
		if (want < 0) {			/* a CPU's number, or random */
			CHECK(strcmp(ancillary[i].ad, "CPU") || compiled(t, 0, &skb) < 4096);
			CHECK(strcmp(ancillary[i].ad, "RANDOM") || interpreted != cbpf_run(t->f, t->n, 0, &skb) ||
			      interpreted != cbpf_run(t->f, t->n, 0, &skb));
			continue;
		}
		EQ(interpreted, want);
		EQ(compiled(t, 0, &skb), want);
		EQ(compiled(t, CBPF_PLAIN, &skb), want);
	}
	for (u32 a = 0; a < cbpf_nr_ads; a++) {
		bool hit = false;

		for (u32 i = 0; i < ARRAY_SIZE(ancillary); i++)
			hit |= !strcmp(ancillary[i].ad, cbpf_ads[a].name);
		t_row("ancillary load %s has a row", cbpf_ads[a].name);
		CHECK(hit);
	}
}

/* nla and nlan need no headers: a socket pair's packet will do. */
TEST(netlink_attributes_in_the_kernel)
{
	u8 b[FRAME];

	for (u32 i = 0; i < ARRAY_SIZE(ancillary); i++) {
		struct sock_fprog prog;
		struct text *t;
		u8 got[FRAME];
		int sv[2];

		if (strncmp(ancillary[i].ad, "NLATTR", 6))
			continue;
		t_row("ancillary in the kernel: %s", in_a_line(ancillary[i].text));
		frame(b);
		t = assemble("%s\njeq #%lld, Y, N\nY: ret #-1\nN: ret #0", ancillary[i].text, (long long)ancillary[i].a);
		NEED(!socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
		prog = (struct sock_fprog){ (u16)t->n, t->f };
		EQ(setsockopt(sv[1], SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)), 0);
		EQ(send(sv[0], b, FRAME, 0), FRAME);
		EQ(recv(sv[1], got, FRAME, MSG_DONTWAIT), FRAME);
		close(sv[0]);
		close(sv[1]);
	}
}

/* ---- what is a program ---- */
#define I(c, t, f, k)	{ c, t, f, (u32)(k) }

static const struct {
	const char *name;
	struct sock_filter f[6];
	u32 n;
	const char *why;		/* NULL: accepted */
} checks[] = {
	{ "ret alone", { I(6, 0, 0, 1) }, 1 },
	{ "no ret at the end", { I(6, 0, 0, 1), I(0, 0, 0, 0) }, 2, "not a ret" },
	{ "unknown opcode", { I(0xff, 0, 0, 1), I(6, 0, 0, 0) }, 2, "no instruction has code 0xff" },
	{ "ret x", { I(0x0e, 0, 0, 0) }, 1, "no instruction" },
	{ "code above 8 bits", { I(0x100, 0, 0, 0), I(6, 0, 0, 0) }, 2, "no instruction" },
	{ "division by constant zero", { I(0x34, 0, 0, 0), I(6, 0, 0, 0) }, 2, "division by zero" },
	{ "remainder by constant zero", { I(0x94, 0, 0, 0), I(6, 0, 0, 0) }, 2, "division by zero" },
	{ "shift left by 32", { I(0x64, 0, 0, 32), I(6, 0, 0, 0) }, 2, "shift by 32" },
	{ "shift left by 31", { I(0x64, 0, 0, 31), I(6, 0, 0, 0) }, 2 },
	{ "shift right by 32", { I(0x74, 0, 0, 32), I(6, 0, 0, 0) }, 2, "shift by 32" },
	{ "M[16] written", { I(2, 0, 0, 16), I(6, 0, 0, 0) }, 2, "M[16]" },
	{ "M[15] written", { I(2, 0, 0, 15), I(6, 0, 0, 0) }, 2 },
	{ "M read before it was written", { I(0x60, 0, 0, 3), I(6, 0, 0, 0) }, 2, "read before it was written" },
	{ "M written, then read", { I(2, 0, 0, 3), I(0x60, 0, 0, 3), I(6, 0, 0, 0) }, 3 },
	{ "M written on one way only",
	  { I(0x15, 0, 1, 1), I(2, 0, 0, 3), I(0x60, 0, 0, 3), I(6, 0, 0, 0) }, 4, "read before it was written" },
	{ "M written on both ways",
	  { I(0x15, 0, 2, 1), I(2, 0, 0, 3), I(5, 0, 0, 1), I(2, 0, 0, 3), I(0x61, 0, 0, 3), I(6, 0, 0, 0) }, 6 },
	{ "M read in dead code", { I(5, 0, 0, 1), I(0x60, 0, 0, 3), I(6, 0, 0, 0) }, 3 },
	{ "ja to the end", { I(5, 0, 0, 0), I(6, 0, 0, 0) }, 2 },
	{ "ja past the end", { I(5, 0, 0, 1), I(6, 0, 0, 0) }, 2, "out of range" },
	{ "ja back", { I(5, 0, 0, -1), I(6, 0, 0, 0) }, 2, "out of range" },
	{ "jt past the end", { I(0x15, 1, 0, 0), I(6, 0, 0, 0) }, 2, "out of range" },
	{ "jf past the end", { I(0x15, 0, 1, 0), I(6, 0, 0, 0) }, 2, "out of range" },
	{ "jump as last instruction", { I(0x15, 0, 0, 0) }, 1, "out of range" },
	{ "ancillary load", { I(0x20, 0, 0, -0x1000), I(6, 0, 0, 0) }, 2 },
	{ "ancillary load, unknown", { I(0x20, 0, 0, -0x1000 + 64), I(6, 0, 0, 0) }, 2, "no ancillary load" },
	{ "ancillary load, odd", { I(0x20, 0, 0, -0x1000 + 1), I(6, 0, 0, 0) }, 2, "no ancillary load" },
	{ "indirect load may have that offset", { I(0x40, 0, 0, -1), I(6, 0, 0, 0) }, 2 },
	{ "ldxb may have that offset", { I(0xb1, 0, 0, -1), I(6, 0, 0, 0) }, 2 },
	{ "negative network offset", { I(0x20, 0, 0, -0x100000), I(6, 0, 0, 0) }, 2 },
	{ "ret a", { I(0x16, 0, 0, 0) }, 1 },
	{ "ldx len", { I(0x81, 0, 0, 0), I(6, 0, 0, 0) }, 2 },
	{ "ldh #k", { I(0x08, 0, 0, 0), I(6, 0, 0, 0) }, 2, "no instruction" },
	{ "neg with k", { I(0x84, 1, 1, 9), I(6, 0, 0, 0) }, 2 },
};

static int kernel_attach(const struct sock_filter *f, u32 n)
{
	struct sock_fprog prog = { (u16)n, (struct sock_filter *)f };
	int s = socket(AF_UNIX, SOCK_DGRAM, 0), ret;

	ret = setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) ? -errno : 0;
	close(s);
	return ret;
}

TEST(checks)
{
	struct cbpf_reason why;

	for (u32 i = 0; i < ARRAY_SIZE(checks); i++) {
		t_row("check: %s", checks[i].name);
		memset(&why, 0, sizeof(why));
		EQ(cbpf_check(checks[i].f, checks[i].n, 0, &why), checks[i].why ? -EINVAL : 0);
		if (checks[i].why)
			HAS(why.text, checks[i].why);
		t_row("check in the kernel: %s", checks[i].name);
		EQ(kernel_attach(checks[i].f, checks[i].n), checks[i].why ? -EINVAL : 0);
	}
}

TEST(longest_program)
{
	struct sock_filter *f = calloc(CBPF_MAX_INSNS + 1, sizeof(*f));
	struct cbpf_reason why;

	NEED(f);
	for (u32 i = 0; i <= CBPF_MAX_INSNS; i++)
		f[i] = (struct sock_filter) { BPF_RET | BPF_K };
	t_row("4096 instructions are a program");
	EQ(cbpf_check(f, CBPF_MAX_INSNS, 0, NULL), 0);
	EQ(kernel_attach(f, CBPF_MAX_INSNS), 0);
	t_row("4097 are not");
	EQ(cbpf_check(f, CBPF_MAX_INSNS + 1, 0, &why), -EINVAL);
	HAS(why.text, "4096 is the most");
	EQ(kernel_attach(f, CBPF_MAX_INSNS + 1), -EINVAL);
	t_row("0 are not");
	EQ(cbpf_check(f, 0, 0, &why), -EINVAL);
	EQ(kernel_attach(f, 0), -EINVAL);
	free(f);
}

static u32 rnd_state;

static u32 rnd(u32 n)
{
	rnd_state = rnd_state * 1103515245 + 12345;
	return (rnd_state >> 8) % n;
}

/* Random programs that look like programs: skep and the kernel agree on which are. */
TEST(random_verdicts)
{
	u32 rounds = t_fast() ? 3000 : 40000, differ = 0, good = 0;
	struct sock_filter f[12];

	rnd_state = 12345;
	for (u32 r = 0; r < rounds; r++) {
		u32 n = 1 + rnd(11);
		int ours, kernels;

		for (u32 i = 0; i < n; i++) {
			static const u32 k[] = { 0, 1, 3, 15, 16, 31, 32, 0xfffff000, 0xfffff03c, 0xfffff040, 0x7fffffff };

			f[i].code = cbpf_ops[rnd(cbpf_nr_ops)].code ^ (rnd(40) ? 0 : 1u << rnd(9));
			f[i].jt = rnd(3);
			f[i].jf = rnd(3);
			f[i].k = k[rnd(ARRAY_SIZE(k))];
			if (BPF_CLASS(f[i].code) == BPF_JMP)
				f[i].k = rnd(3);
		}
		if (rnd(8))
			f[n - 1] = (struct sock_filter) { BPF_RET | BPF_A };
		ours = cbpf_check(f, n, 0, NULL);
		kernels = kernel_attach(f, n);
		good += !kernels;
		if (ours != kernels && !differ++)
			for (u32 i = 0; i < n; i++)
				fprintf(stderr, "{ %#x, %u, %u, %#x },\n", f[i].code, f[i].jt, f[i].jf, f[i].k);
	}
	t_row("%u random programs: the kernel's verdict", rounds);
	EQ(differ, 0);
	CHECK(good > rounds / 20);
}

/* ---- seccomp ---- */
/* In a child: installs the program, makes getppid(ARG); its errno, or that of installing. */
static int kernel_seccomp(const struct sock_filter *f, u32 n, u64 arg)
{
	struct sock_fprog prog = { (u16)n, (struct sock_filter *)f };
	pid_t pid = fork();
	int status = 0;

	if (!pid) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
			_exit(errno);
		_exit(syscall(SYS_getppid, arg) < 0 ? errno : 0);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(seccomp_arguments)
{
	static const struct { const char *name, *text; } rows[] = {
		{ "low half", "ld [16]\njne #0xddeeff00, no" },
		{ "high half", "ld [20]\njne #0x99aabbcc, no" },
		{ "number", "ld [0]\njne #110, no" },
		{ "length", "ld len\njne #64, no" },
		{ "wrong value", "ld [16]\njne #1, no" },
	};
	struct seccomp_data d = { .nr = SYS_getppid, .arch = 0xc000003e, .args = { 0x99aabbccddeeff00 } };

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		struct text *t = assemble("%s\nld [0]\njeq #%d, yes, other\nyes: ret #SECCOMP_RET_ERRNO+77\n"
					  "no: ld [0]\njeq #%d, bad, other\nbad: ret #SECCOMP_RET_ERRNO+33\n"
					  "other: ret #SECCOMP_RET_ALLOW", rows[i].text, SYS_getppid, SYS_getppid);
		u32 last, ours = cbpf_run_seccomp(t->f, t->n, &d, &last) & SECCOMP_RET_DATA;

		t_row("seccomp in the kernel, argument: %s", rows[i].name);
		EQ(t->err, 0);
		EQ(ours, strcmp(rows[i].name, "wrong value") ? 77 : 33);
		EQ(kernel_seccomp(t->f, t->n, 0x99aabbccddeeff00), ours);
	}
}

TEST(seccomp_rules)
{
	static const struct { const char *name; struct sock_filter f; const char *why; } rows[] = {
		{ "ld [0]", I(0x20, 0, 0, 0), NULL },
		{ "ld [60]", I(0x20, 0, 0, 60), NULL },
		{ "ld [64]", I(0x20, 0, 0, 64), "no word of struct seccomp_data" },
		{ "ld [2]", I(0x20, 0, 0, 2), "no word of struct seccomp_data" },
		{ "ldh [0]", I(0x28, 0, 0, 0), "words at constant offsets" },
		{ "ld [x+0]", I(0x40, 0, 0, 0), "words at constant offsets" },
		{ "ldxb", I(0xb1, 0, 0, 0), "have no ldxb" },
		{ "mod #3", I(0x94, 0, 0, 3), "have no mod" },
		{ "ld len", I(0x80, 0, 0, 0), NULL },
	};
	struct cbpf_reason why;

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sock_filter f[2] = { rows[i].f, { BPF_RET | BPF_A } };

		t_row("seccomp: %s", rows[i].name);
		EQ(cbpf_check(f, 2, CBPF_SECCOMP, &why), rows[i].why ? -EINVAL : 0);
		if (rows[i].why)
			HAS(why.text, rows[i].why);
		t_row("seccomp in the kernel: %s", rows[i].name);
		f[1] = (struct sock_filter) { BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW };
		EQ(kernel_seccomp(f, 2, 0), rows[i].why ? EINVAL : 0);
	}
}

TEST(seccomp_values)
{
	struct seccomp_data d = { .nr = 257, .arch = 0xc000003e, .instruction_pointer = 0x1122334455667788,
				  .args = { 0x99aabbccddeeff00 } };
	u32 last;
	struct text *t;

	t_row("seccomp: words are in host order");
	t = assemble("ld [0]\njne #257, bad\nld [4]\njne #AUDIT_ARCH_X86_64, bad\nld [16]\njne #0xddeeff00, bad\n"
		     "ret #SECCOMP_RET_ALLOW\nbad: ret #SECCOMP_RET_KILL_PROCESS");
	EQ(t->err, 0);
	EQ(cbpf_check(t->f, t->n, CBPF_SECCOMP, NULL), 0);
	EQ(cbpf_run_seccomp(t->f, t->n, &d, &last), SECCOMP_RET_ALLOW);
	EQ(last, 6);
	t_row("seccomp: len is that of struct seccomp_data");
	t = assemble("ld len\nret a");
	EQ(cbpf_run_seccomp(t->f, t->n, &d, &last), 64);
}

/* ---- text ---- */
static const char textbook[] =
	"        ldh     [12]\n"
	"        jeq     #ETHERPROTO_IP, L1, L5\n"
	"L1:     ldb     [23]\n"
	"        jeq     #IPPROTO_TCP, L2, L5\n"
	"L2:     ldh     [20]\n"
	"        jset    #0x1fff, L5, L3\n"
	"L3:     ldx     4*([14]&0xf)\n"
	"        ldh     [x+16]\n"
	"        jeq     #N, L4, L5\n"
	"L4:     ret     #TRUE\n"
	"L5:     ret     #0\n";

TEST(textbook_filter)
{
	static const struct cbpf_name n80 = { "N", 80 };
	static const char dump[] =
		"11,40 0 0 12,21 0 8 2048,48 0 0 23,21 0 6 6,40 0 0 20,69 4 0 8191,177 0 0 14,72 0 0 16,21 0 1 80,"
		"6 0 0 4294967295,6 0 0 0\n";
	struct text t = {};
	struct sbuf b = {};

	t_row("textbook: N is undefined unless given");
	EQ(cbpf_parse(textbook, sizeof(textbook) - 1, NULL, 0, t.f, &t.n, t.line, &t.e), -EINVAL);
	EQ(t.e.line, 9);
	EQ(t.e.col, 18);
	HAS(t.e.text, "undefined name 'N'");
	t_row("textbook: assembled");
	EQ(cbpf_parse(textbook, sizeof(textbook) - 1, &n80, 1, t.f, &t.n, t.line, &t.e), 0);
	cbpf_print(&b, t.f, t.n, CBPF_COMMA);
	STR_EQ(b.s, dump);
	EQ(t.line[10], 11);
	sbuf_free(&b);
}

TEST(round_trips)
{
	static const struct { enum cbpf_style style; const char *name; } styles[] = {
		{ CBPF_D, "-d" }, { CBPF_DD, "-dd" }, { CBPF_DDD, "-ddd" }, { CBPF_COMMA, "--comma" }, { CBPF_ASM, "--asm" },
	};
	struct sock_filter f[128], back[CBPF_MAX_INSNS];
	struct cbpf_text_error e;
	u32 n = 0, got;

	/* every opcode and every ancillary load, with small and large k; all jumps lead somewhere */
	for (u32 i = 0; i < cbpf_nr_ops; i++) {
		const struct cbpf_op *op = &cbpf_ops[i];

		f[n] = (struct sock_filter) { op->code, .k = op->form == CBPF_NONE || op->form == CBPF_X ||
					      op->form == CBPF_RA || op->form == CBPF_LEN ? 0 :
					      op->form == CBPF_JA ? 2 : i & 1 ? i : 0x80000000 + i };
		f[n].jt = op->jump ? 3 : 0;
		f[n].jf = op->jump ? i & 1 : 0;
		n++;
	}
	for (u32 i = 0; i < cbpf_nr_ads; i++)
		f[n++] = (struct sock_filter) { BPF_LD | BPF_H | BPF_ABS, .k = (u32)SKF_AD_OFF + cbpf_ads[i].off };
	for (u32 i = 0; i < 5; i++)
		f[n++] = (struct sock_filter) { BPF_RET | BPF_A };
	for (u32 i = 0; i < ARRAY_SIZE(styles); i++) {
		struct sbuf b = {};

		t_row("round trip: %s", styles[i].name);
		cbpf_print(&b, f, n, styles[i].style);
		EQ(cbpf_parse(b.s, b.len, NULL, 0, back, &got, NULL, &e), 0);
		if (e.line)
			fprintf(stderr, "%u:%u %s in\n%s", e.line, e.col, e.text, b.s);
		EQ(got, n);
		for (u32 k = 0; k < n && k < got; k++)
			if (memcmp(&f[k], &back[k], sizeof(f[k])))
				fprintf(stderr, "%u: { %#x, %u, %u, %#x } became { %#x, %u, %u, %#x }\n", k, f[k].code,
					f[k].jt, f[k].jf, f[k].k, back[k].code, back[k].jt, back[k].jf, back[k].k);
		CHECK(!memcmp(f, back, n * sizeof(f[0])));
		sbuf_free(&b);
	}
}

static const struct {
	const char *text, *message;
	u32 line, col;
} errors[] = {
	{ "ldh [12]\njeq #1, L1\nret #0\n", "undefined label 'L1'", 2, 9 },
	{ "L1: ret #0\nL1: ret #1\n", "defined twice, first in line 1", 2, 1 },
	{ "frob #1\n", "'frob' is no instruction", 1, 1 },
	{ "ldh\t#1\n", "'ldh' takes no such operand", 1, 5 },
	{ "ld\nret #0\n", "'ld' wants an operand", 1, 3 },
	{ "ld [12\n", "expected ']', found the end of the line", 1, 7 },
	{ "ld [FOO]\n", "undefined name 'FOO'", 1, 5 },
	{ "ld #0x1g\n", "not a number", 1, 5 },
	{ "ld #08\n", "not a number", 1, 5 },
	{ "ld #4294967296\n", "does not fit 32 bits", 1, 5 },
	{ "ldx 5*([14]&0xf)\n", "only 4*([k]&0xf) exists", 1, 5 },
	{ "ldx 4*([14]&0x1f)\n", "only 4*([k]&0xf) exists", 1, 5 },
	{ "ret #0 ret #1\n", "'ret' behind the instruction", 1, 8 },
	{ "L: ld #1\njeq #1, L, M\nM: ret #0\n", "jumps lead forward only", 2, 9 },
	{ "jeq #1\nret #0\n", "expected ',', found the end of the line", 1, 7 },
	{ "jeq #1, 5x\nret #0\n", "not a number", 1, 9 },
	{ "/* no end\nret #0\n", "comment without end", 1, 1 },
	{ "ld #TRUE\nret TRUE\n", "a constant is written #TRUE", 2, 5 },
	{ "", "no instructions", 1, 1 },
	{ "; nothing\n", "no instructions", 2, 1 },
	{ "ld \x80\n", "found a byte that is not ASCII", 1, 4 },
	{ "a234567890123456789012345678901234567890: ret #0\n", "31 is the most", 1, 1 },
	{ "3\n6 0 0 0\n", "the count says 3, but only 1 instructions follow", 1, 1 },
	{ "1\n6 0 0 0\n6 0 0 0\n", "the count says 1, but there is more", 3, 1 },
	{ "1\n6 256 0 0\n", "jt is 256: 255 is the most", 2, 3 },
	{ "1\n70000 0 0 0\n", "a code is 70000", 2, 1 },
	{ "5000\n", "4096 is the most", 1, 1 },
	{ "{ 6, 0, 0 }\n", "expected ',', found '}'", 1, 11 },
	{ "{ 6, 0, 0, 0 \n", "expected '}', found the end", 2, 1 },
};

TEST(text_errors)
{
	struct text t;

	for (u32 i = 0; i < ARRAY_SIZE(errors); i++) {
		t_row("error: %s, line %u", errors[i].message, errors[i].line);
		memset(&t, 0, sizeof(t));
		EQ(cbpf_parse(errors[i].text, strlen(errors[i].text), NULL, 0, t.f, &t.n, t.line, &t.e), -EINVAL);
		HAS(t.e.text, errors[i].message);
		EQ(t.e.line, errors[i].line);
		EQ(t.e.col, errors[i].col);
	}
}

TEST(far_jumps)
{
	struct sbuf b = {};
	struct text *t;

	sbuf_puts(&b, "jeq #1, far\n");
	for (u32 i = 0; i < 256; i++)
		sbuf_puts(&b, "ld #1\n");
	sbuf_puts(&b, "far: ret #0\n");
	t_row("a conditional jump over 256 instructions is refused");
	t = assemble("%s", b.s);
	EQ(t->err, -EINVAL);
	HAS(t->e.text, "label 'far' is 256 instructions away");
	t_row("over 255 it is not");
	sbuf_reset(&b);
	sbuf_puts(&b, "jeq #1, far\n");
	for (u32 i = 0; i < 255; i++)
		sbuf_puts(&b, "ld #1\n");
	sbuf_puts(&b, "far: ret #0\n");
	t = assemble("%s", b.s);
	EQ(t->err, 0);
	EQ(t->f[0].jt, 255);
	sbuf_reset(&b);
	for (u32 i = 0; i <= CBPF_MAX_INSNS; i++)
		sbuf_puts(&b, "ret #0\n");
	t_row("4097 instructions of text are refused");
	t = assemble("%s", b.s);
	EQ(t->err, -E2BIG);
	EQ(t->e.line, 4097);
	sbuf_free(&b);
}
