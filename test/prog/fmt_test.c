/* SPDX-License-Identifier: Apache-2.0 */
/* fmt_test.c - bpf_snprintf, bpf_trace_vprintk and bpf_trace_printk: formats and arguments run through skep_bpf() and, as
 * root on a kernel with BPF, through the kernel's bpf(2); verdict, the log's sentence, results and text must be the same. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/def.h"
#include "skep.h"
#include "spec/uapi.h"
#include "t.h"

#define FMT_SIZE	256
#define OUT_SIZE	1200
#define DATA_SIZE	1024
#define POISON		'#'

/* An argument: a number, or (D) the address of DATA + n. */
struct arg { u64 v; bool data; };
#define N(x)	{ (u64)(x), false }
#define D(off)	{ (off), true }
#define IP4	D(0)
#define IP6	D(16)
#define HELLO	D(64)
#define EMPTY	D(80)
#define LONG300	D(100)
#define BAD	N(16)
#define HIGH	N(0xfedcba9876543210)

struct row {
	const char *fmt;
	u32 cap;		/* of the buffer; 0: OUT_SIZE */
	struct arg arg[13];
	u32 nargs;
	s32 len;		/* what the call says of the arguments' size; 0: 8 * nargs */
	u32 mask;		/* not a constant: LEN or less, as far as the verifier knows these bits */
};
#define ARGS(...) .arg = { __VA_ARGS__ }, .nargs = sizeof((struct arg[]){ __VA_ARGS__ }) / sizeof(struct arg)

static const struct row rows[] = {
	{ "" }, { "plain" }, { "100%%" }, { "%%%%" }, { "a\nb\tc\r" }, { "\001" }, { "\033[1m" }, { "\177" }, { "caf\303\251" },
	{ "\200" }, { "%" }, { "%% %" }, { "% %" }, { "%\303" },
	{ "%d", ARGS(N(1)) }, { "%d", ARGS(N(-1)) }, { "%d", ARGS(HIGH) }, { "%d" }, { "%i", ARGS(N(-5)) },
	{ "%d %d", ARGS(N(1)) }, { "%d", ARGS(N(1), N(2), N(3)) }, { "x", ARGS(N(1)) },
	{ "%u", ARGS(N(-1)) }, { "%u", ARGS(HIGH) }, { "%x", ARGS(HIGH) }, { "%X", ARGS(N(0xabcdef)) },
	{ "%ld", ARGS(HIGH) }, { "%lu", ARGS(HIGH) }, { "%lx", ARGS(HIGH) }, { "%lX", ARGS(HIGH) }, { "%li", ARGS(N(-9)) },
	{ "%lld", ARGS(HIGH) }, { "%llu", ARGS(HIGH) }, { "%llx", ARGS(HIGH) }, { "%lli", ARGS(N(1ull << 63)) },
	{ "%llX", ARGS(N(0)) }, { "%llld", ARGS(N(1)) }, { "%hd", ARGS(N(1)) }, { "%zu", ARGS(N(1)) }, { "%o", ARGS(N(8)) },
	{ "%f", ARGS(N(1)) }, { "%n", ARGS(N(1)) }, { "%#x", ARGS(N(1)) }, { "%.3d", ARGS(N(1)) }, { "%*d", ARGS(N(1), N(2)) },
	{ "[%5d]", ARGS(N(42)) }, { "[%05d]", ARGS(N(42)) }, { "[%-5d]", ARGS(N(42)) }, { "[%+d]", ARGS(N(42)) },
	{ "[%+d]", ARGS(N(-42)) }, { "[% d]", ARGS(N(42)) }, { "[%+ d]", ARGS(N(42)) }, { "[%-05d]", ARGS(N(42)) },
	{ "[%0-5d]", ARGS(N(42)) }, { "[%+05d]", ARGS(N(42)) }, { "[%05d]", ARGS(N(-42)) }, { "[%2d]", ARGS(N(12345)) },
	{ "[%+u]", ARGS(N(42)) }, { "[%08x]", ARGS(N(0xbeef)) }, { "[%-8x]", ARGS(N(0xbeef)) }, { "[%020llu]", ARGS(N(7)) },
	{ "[%8lX]", ARGS(N(0xbeef)) }, { "[%0d]", ARGS(N(3)) }, { "%5", ARGS(N(3)) }, { "%-", ARGS(N(3)) }, { "%l", ARGS(N(3)) },
	{ "%9999d", ARGS(N(1)) }, { "%40000d", ARGS(N(1)) }, { "%9999999d", ARGS(N(1)) }, { "%-20000000dx", ARGS(N(1)) },
	{ "[%4294967300d]", ARGS(N(1)) }, { "[%3000000000d]", ARGS(N(1)) },
	{ "%c%c%c", ARGS(N('a'), N('b'), N(0x163)) }, { "[%3c]", ARGS(N('x')) }, { "[%-3c]", ARGS(N('x')) },
	{ "[%03c]", ARGS(N('x')) }, { "a%cb", ARGS(N(0)) }, { "%cfoo", ARGS(N('x')) }, { "%lc", ARGS(N('x')) },
	{ "%s", ARGS(HELLO) }, { "%s!", ARGS(HELLO) }, { "%s x", ARGS(HELLO) }, { "%sx", ARGS(HELLO) }, { "%s%s", ARGS(HELLO, HELLO) },
	{ "[%10s]", ARGS(HELLO) }, { "[%-10s]", ARGS(HELLO) }, { "[%010s]", ARGS(HELLO) }, { "[%2s]", ARGS(HELLO) },
	{ "[%s]", ARGS(EMPTY) }, { "[%s]", ARGS(BAD) }, { "[%s]", ARGS(N(0)) }, { "%s", ARGS(LONG300) }, { "%s\240", ARGS(HELLO) },
	{ "%s\300", ARGS(HELLO) }, { "%s|%s", ARGS(LONG300, LONG300) }, { "%s|%s|%s", ARGS(LONG300, LONG300, HELLO) },
	{ "%s|%s|%d", ARGS(LONG300, LONG300, N(1)) }, { "%s|%s|%c", ARGS(LONG300, LONG300, N(1)) },
	{ "%s|%s|%pI4", ARGS(LONG300, LONG300, IP4) }, { "%s|%s|%hd", ARGS(LONG300, LONG300, N(1)) },
	{ "%pks", ARGS(HELLO) }, { "[%10pks]", ARGS(HELLO) }, { "[%pks]", ARGS(BAD) }, { "%pksx", ARGS(HELLO) },
	{ "[%pus]", ARGS(BAD) }, { "%pus.", ARGS(N(0)) }, { "%pk", ARGS(HELLO) }, { "%pu", ARGS(HELLO) },
	{ "%p", ARGS(N(0)) }, { "[%20p]", ARGS(N(0)) }, { "[%-20p]", ARGS(N(0)) }, { "%pK", ARGS(N(0)) }, { "%p", ARGS(N(-1)) },
	{ "%pa", ARGS(N(0)) }, { "%p,", ARGS(N(0)) }, { "%px", ARGS(HIGH) }, { "%px", ARGS(N(0x12ab)) }, { "[%20px]", ARGS(N(0x12ab)) },
	{ "[%020px]", ARGS(N(0x12ab)) }, { "[%-20px]", ARGS(N(0x12ab)) }, { "[%5px]", ARGS(N(0x12ab)) }, { "%pxabc def", ARGS(N(1)) },
	{ "[%+px]", ARGS(N(1)) }, { "%ps", ARGS(N(0x1234)) }, { "%pS", ARGS(N(0x1234)) }, { "[%12ps]", ARGS(N(0x1234)) },
	{ "[%-12pS]", ARGS(N(0x1234)) }, { "%pB", ARGS(N(0x1234)) }, { "[%12pB]", ARGS(N(0x1234)) }, { "%psab.", ARGS(N(1)) },
	{ "%pBb|%d", ARGS(N(0x1234), N(5)) }, { "%ps", ARGS(N(0)) }, { "%pSR", ARGS(N(0x1234)) },
	{ "%pI4", ARGS(IP4) }, { "%pi4", ARGS(IP4) }, { "%pI6", ARGS(IP6) }, { "%pi6", ARGS(IP6) }, { "%pI4", ARGS(BAD) },
	{ "%pI6", ARGS(BAD) }, { "[%20pI4]", ARGS(IP4) }, { "%pI4h|%d", ARGS(IP4, N(7)) }, { "%pI6c", ARGS(IP6) }, { "%pI5", ARGS(IP4) },
	{ "%pI", ARGS(IP4) }, { "%pM", ARGS(IP6) }, { "%pV", ARGS(IP6) }, { "%pI4 -> %pI4 %u", ARGS(IP4, IP4, N(443)) },
	{ "%d %d %d %d %d %d %d %d %d %d %d %d", ARGS(N(1), N(2), N(3), N(4), N(5), N(6), N(7), N(8), N(9), N(10), N(11), N(12)) },
	{ "%d", ARGS(N(1), N(2), N(3), N(4), N(5), N(6), N(7), N(8), N(9), N(10), N(11), N(12), N(13)) },
	{ "%c%d%c%lld", ARGS(N('a'), N(1), N('b'), HIGH) }, { "%s%d%s%lx", ARGS(HELLO, N(1), HELLO, HIGH) },
	{ "%s", 3, ARGS(HELLO) }, { "%d", 1, ARGS(N(12345)) }, { "[%10d]", 4, ARGS(N(5)) }, { "hello", 6 }, { "hello", 5 },
	{ "ab%pI4", 2, ARGS(IP4) }, { "ab%pI4", 4, ARGS(IP4) }, { "%%%%%%", 2 }, { "%10s|", 5, ARGS(HELLO) }, { "%c%c", 1, ARGS(N(65), N(66)) },
	{ "%d", .len = 4, ARGS(N(1)) }, { "%d", .len = 12, ARGS(N(1)) }, { "x", .len = 12, ARGS(N(1)) },
	{ "%d", .len = 8, .mask = 8, ARGS(N(1)) }, { "x", .len = 8, .mask = 8, ARGS(N(1)) }, { "x", .len = 8, .mask = 12, ARGS(N(1)) },
	{ "%300d|%d", 100, ARGS(N(1), N(2)) }, { "%1100d", ARGS(N(1)) },
};

#define I(c, d, s, o, i) (struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) }
#define MOVR(d, s)	I(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOV(d, i)	I(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define CALL(n)		I(BPF_JMP | BPF_CALL, 0, 0, 0, n)
#define STX(d, s, o)	I(BPF_STX | BPF_MEM | BPF_DW, d, s, o, 0)

typedef long (*bpf_fn)(int cmd, void *attr, unsigned int size);	/* the two doors: a type for the parameter */

struct side {
	bpf_fn bpf;
	int fmt, data, out, prog;
	int load_err;
	s64 ret[3];			/* snprintf, trace_vprintk, trace_printk */
	char text[OUT_SIZE];
	char log[4096];
};

static long by_skep(int cmd, void *attr, unsigned int size)
{
	return skep_bpf(cmd, attr, size);
}

static long by_kernel(int cmd, void *attr, unsigned int size)
{
	long r = t_kernel_bpf_call(cmd, attr, size);

	return r < 0 ? -errno : r;
}

static int map(const struct side *s, u32 value_size, u32 flags, const void *value, bool freeze)
{
	union bpf_attr a = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = value_size, .max_entries = 1,
			     .map_flags = flags };
	int fd = (int)s->bpf(BPF_MAP_CREATE, &a, sizeof(a));
	u32 key = 0;

	a = (union bpf_attr){ .map_fd = (u32)fd, .key = (u64)(uintptr_t)&key, .value = (u64)(uintptr_t)value };
	if (fd >= 0)
		EQ(s->bpf(BPF_MAP_UPDATE_ELEM, &a, sizeof(a)), 0);
	a = (union bpf_attr){ .map_fd = (u32)fd };
	if (freeze)
		EQ(s->bpf(BPF_MAP_FREEZE, &a, sizeof(a)), 0);
	return fd;
}

static struct bpf_insn *ld64(struct bpf_insn *p, u8 reg, u8 src, u32 lo, u32 hi)
{
	*p++ = I(BPF_LD | BPF_IMM | BPF_DW, reg, src, 0, (s32)lo);
	*p++ = I(0, 0, 0, 0, (s32)hi);
	return p;
}

static struct bpf_insn *arg(const struct side *s, struct bpf_insn *p, u8 reg, const struct arg *a)
{
	if (a->data)
		return ld64(p, reg, BPF_PSEUDO_MAP_VALUE, (u32)s->data, (u32)a->v);
	return ld64(p, reg, 0, (u32)a->v, (u32)(a->v >> 32));
}

static struct bpf_insn *args_size(struct bpf_insn *p, u8 reg, const struct row *r)
{
	if (!r->mask) {
		*p++ = MOV(reg, r->len ? r->len : (s32)r->nargs * 8);
		return p;
	}
	*p++ = I(BPF_LDX | BPF_MEM | BPF_W, reg, 6, 0, 0);	/* skb->len: 50 */
	*p++ = I(BPF_ALU64 | BPF_AND | BPF_K, reg, 0, 0, (s32)r->mask);
	return p;
}

/* out: [text OUT_SIZE][r0 of each] */
static struct bpf_insn *call(const struct side *s, struct bpf_insn *p, const struct row *r, u32 which)
{
	static const u32 ids[] = { 165, 177, 6 };
	u32 size = (u32)strlen(r->fmt) + 1;

	if (which == 0) {
		p = ld64(p, 1, BPF_PSEUDO_MAP_VALUE, (u32)s->out, 0);
		*p++ = MOV(2, r->cap ? (s32)r->cap : OUT_SIZE);
		p = ld64(p, 3, BPF_PSEUDO_MAP_VALUE, (u32)s->fmt, 0);
		*p++ = MOVR(4, 10);
		*p++ = I(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, -104);
		p = args_size(p, 5, r);
	} else {
		p = ld64(p, 1, BPF_PSEUDO_MAP_VALUE, (u32)s->fmt, 0);
		*p++ = MOV(2, (s32)size);
		*p++ = MOVR(3, 10);
		*p++ = I(BPF_ALU64 | BPF_ADD | BPF_K, 3, 0, 0, -104);
		p = args_size(p, 4, r);
	}
	if (which == 2)
		for (u8 i = 0; i < 3; i++)
			p = arg(s, p, (u8)(3 + i), &r->arg[i]);
	*p++ = CALL((s32)ids[which]);
	p = ld64(p, 1, BPF_PSEUDO_MAP_VALUE, (u32)s->out, OUT_SIZE + which * 8);
	*p++ = STX(1, 0, 0);
	return p;
}

static void load(struct side *s, const struct row *r, u32 from)
{
	struct bpf_insn insns[160], *p = insns;
	union bpf_attr a = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insns = (u64)(uintptr_t)insns,
			     .license = (u64)(uintptr_t)"GPL", .log_buf = (u64)(uintptr_t)s->log,
			     .log_size = sizeof(s->log), .log_level = 1 };

	*p++ = MOVR(6, 1);
	for (u32 i = 0; i < 13; i++) {
		p = arg(s, p, 1, &r->arg[i]);
		*p++ = STX(10, 1, (s16)(-104 + (s32)i * 8));
	}
	for (u32 w = from; w < 3; w++)
		p = call(s, p, r, w);
	*p++ = MOV(0, 0);
	*p++ = I(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	a.insn_cnt = (u32)(p - insns);
	s->log[0] = 0;
	s->prog = (int)s->bpf(BPF_PROG_LOAD, &a, sizeof(a));
}

static void run(struct side *s, const struct row *r)
{
	static u8 packet[64];
	u8 value[OUT_SIZE + 24];
	u32 key = 0;
	union bpf_attr a = {};

	a.test.prog_fd = (u32)s->prog;
	a.test.data_in = (u64)(uintptr_t)packet;
	a.test.data_size_in = sizeof(packet);
	EQ(s->bpf(BPF_PROG_TEST_RUN, &a, sizeof(a)), 0);
	a = (union bpf_attr){ .map_fd = (u32)s->out, .key = (u64)(uintptr_t)&key, .value = (u64)(uintptr_t)value };
	EQ(s->bpf(BPF_MAP_LOOKUP_ELEM, &a, sizeof(a)), 0);
	memcpy(s->text, value, OUT_SIZE);
	memcpy(s->ret, value + OUT_SIZE, 24);
}

/* The verifier's sentence: the last line but the statistics. */
static void sentence(char *log)
{
	char *end = strstr(log, "processed ");
	char *p;

	if (end)
		*end = 0;
	for (p = log + strlen(log); p > log && p[-1] == '\n';)
		*--p = 0;
	p = strrchr(log, '\n');
	if (p)
		memmove(log, p + 1, strlen(p));
}

static void one_side(struct side *s, const struct row *r, bpf_fn bpf)
{
	char fmt[FMT_SIZE] = { 0 };
	u8 data[DATA_SIZE] = { 192, 168, 1, 20 }, out[OUT_SIZE + 24];

	memset(s, 0, sizeof(*s));
	s->bpf = bpf;
	strcpy(fmt, r->fmt);
	memcpy(data + 16, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\x12\xab\x01", 16);
	strcpy((char *)data + 64, "hello");
	memset(data + 100, 'L', 300);
	memset(out, POISON, sizeof(out));
	s->fmt = map(s, FMT_SIZE, BPF_F_RDONLY_PROG, fmt, true);
	s->data = map(s, DATA_SIZE, 0, data, false);
	s->out = map(s, OUT_SIZE + 24, 0, out, false);
	load(s, r, 0);
	s->load_err = s->prog < 0 ? s->prog : 0;
	sentence(s->log);
	if (s->prog < 0) {	/* the others do not know the format before they run */
		char keep[sizeof(s->log)];

		memcpy(keep, s->log, sizeof(keep));
		load(s, r, 1);
		CHECK(s->prog >= 0);
		memcpy(s->log, keep, sizeof(keep));
	}
	if (s->prog >= 0)
		run(s, r);
	close(s->prog);
	close(s->fmt);
	close(s->data);
	close(s->out);
}

static void compare(const struct row *r)
{
	static struct side ours, theirs;

	one_side(&ours, r, by_skep);
	if (!t_kernel_bpf()) {
		t_skip("needs the kernel's bpf(2) as oracle");
		return;
	}
	one_side(&theirs, r, by_kernel);
	EQ(ours.load_err, theirs.load_err);
	STR_EQ(ours.log, theirs.log);
	for (u32 i = 0; i < 3; i++)
		if (i || !ours.load_err)
			EQ(ours.ret[i], theirs.ret[i]);
	ours.text[OUT_SIZE - 1] = theirs.text[OUT_SIZE - 1] = 0;
	STR_EQ(ours.text, theirs.text);
	CHECK(!memcmp(ours.text, theirs.text, OUT_SIZE));
}

static bool printable(const char *s)
{
	while (*s >= 32 && *s < 127)
		s++;
	return !*s;
}

TEST(formats_as_the_kernel)
{
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		t_row("format %u \"%s\", %u arguments, room %u", i, printable(rows[i].fmt) ? rows[i].fmt : "(bytes)",
		      rows[i].nargs, rows[i].cap);
		compare(&rows[i]);
	}
}

/* Formats put together from the language's pieces, good and bad, with a fixed seed. */
TEST(random_formats_as_the_kernel)
{
	static const char *const pieces[] = { "%", "%", "%", "%d", "%s", "%c", "%px", "%ps", "%pI4", "%pi6", "%pks", "%lx", "l", "ll",
		"d", "u", "x", "X", "i", "c", "s", "p", "K", "I4", "i6", "ks", "us", "S", "B", "0", "+", "-", " ", "5", "12", "%%",
		"a", ".", "\n", ",", "\302\240", "\303" };
	u32 seed = 12345;

	if (!t_kernel_bpf()) {
		t_skip("needs the kernel's bpf(2) as oracle");
		return;
	}
	for (u32 i = 0; i < (t_fast() ? 100 : 3000); i++) {
		struct row r = { .nargs = 4 };
		char fmt[FMT_SIZE] = "";

		for (u32 n = 0; n < 2 + i % 8; n++) {
			seed = seed * 1103515245 + 12345;
			strcat(fmt, pieces[(seed >> 16) % ARRAY_SIZE(pieces)]);
		}
		/* addresses differ on the two sides, and %p of others than these is hashed there */
		for (u32 n = 0; n < 4; n++)
			r.arg[n] = strchr(fmt, 'p') ? (struct arg)N(-1) : (struct arg)HIGH;
		r.fmt = fmt;
		compare(&r);
	}
}
