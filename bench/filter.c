/* SPDX-License-Identifier: Apache-2.0 */
/* filter.c - nanoseconds per packet of a kit of five filters over the frames of a capture in memory, all in one run:
 * skep, libpcap's bpf_filter(), as root the kernel (the same eBPF by BPF_PROG_TEST_RUN, its own `duration`), and the
 * filter written as C and compiled by clang -O2 (FILTER_NATIVE=compiler). Prints "CASE<tab>skep<tab>kernel<tab>native
 * <tab>libpcap", best of ROUNDS rounds by the thread's CPU clock, "-" where there is nothing. From the kernel's figure
 * that of an empty program is taken off.
 * Usage: filter CAPTURE; filter CAPTURE OUT PACKETS SNAPLEN: writes a long capture by repeating a short one. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sys/door.h"
#include "sys/filter.h"
#include "tool/libpcap.h"

#define ROUNDS		15
#define TARGET_NS	4e6		/* of one round */
#define KERNEL_REPEAT	20000
#define MAX_FRAMES	4096

#define LONG	"((host 10.1.0.1 or host 10.3.0.1) and tcp and (port 80 or port 443 or port 22 or portrange " \
	"8000-8100)) or (udp and port 53) or (ip6 and host fd01::1 and (tcp port 22 or icmp6)) or " \
	"igmp"

static const struct {
	const char *name, *expr;
} kit[] = {
	{ "tcp port", "tcp port 80" },
	{ "host and port", "host 10.1.0.1 and port 443" },
	{ "long", LONG },
	{ "matches nothing", "ether proto 0x8892" },
	{ "vlan, ip6", "vlan and ip6 and udp" },
};

static struct frame {
	u8 *data;
	u32 len;
} frames[MAX_FRAMES];
static u32 nr_frames;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "filter: %s\n", what);
	exit(1);
}

static void load_frames(const char *path)
{
	char err[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_open_offline(path, err);
	struct pcap_pkthdr *h;
	const u8 *data;

	if (!p)
		die(err);
	while (nr_frames < MAX_FRAMES && pcap_next_ex(p, &h, &data) == 1) {
		frames[nr_frames].data = malloc(h->caplen + 1);
		frames[nr_frames].len = h->caplen;
		memcpy(frames[nr_frames++].data, data, h->caplen);
	}
	pcap_close(p);
}

/* ---- the engines: one pass over the frames, packets matched ---- */
struct engine {
	struct filter *f;
	struct bpf_program bp;
	u32 (*native)(const u8 *data, u32 len, u32 wire);
};

static u32 pass_skep(struct engine *e)
{
	struct skep_sk_buff skb = {};
	struct run r;
	u32 hits = 0;

	if (filter_enter(e->f, &r))
		die("enter");
	for (u32 i = 0; i < nr_frames; i++) {
		skb.data = frames[i].data;
		skb.data_end = frames[i].data + frames[i].len;
		skb.len = skb.wire_len = frames[i].len;
		hits += filter_call(e->f, &r, &skb) != 0;
	}
	filter_exit(e->f, &r);
	return hits;
}

static u32 pass_libpcap(struct engine *e)
{
	u32 hits = 0;

	for (u32 i = 0; i < nr_frames; i++)
		hits += bpf_filter(e->bp.bf_insns, frames[i].data, frames[i].len, frames[i].len) != 0;
	return hits;
}

static u32 pass_native(struct engine *e)
{
	u32 hits = 0;

	for (u32 i = 0; i < nr_frames; i++)
		hits += e->native(frames[i].data, frames[i].len, frames[i].len) != 0;
	return hits;
}

static double best(u32 (*pass)(struct engine *), struct engine *e, u32 *hits)
{
	double min = 1e18, t0;
	u32 passes = 1;

	t0 = now();
	*hits = pass(e);
	passes = (u32)(TARGET_NS / (now() - t0 + 1)) + 1;
	for (u32 r = 0; r < ROUNDS; r++) {
		t0 = now();
		for (u32 k = 0; k < passes; k++)
			pass(e);
		t0 = (now() - t0) / passes / nr_frames;
		min = t0 < min ? t0 : min;
	}
	return min;
}

/* ---- kernel ---- */
static double kernel_run(const struct sock_filter *f, u32 len, u32 *hits)
{
	union bpf_attr a = { .prog_type = CBPF_PROG_TYPE };
	struct bpf_insn *insns;
	double sum = 0;
	u32 n, ran = 0;
	long fd;

	if (cbpf_translate(f, len, CBPF_LIBPCAP, &insns, &n))
		return -1;
	a.insns = (u64)(uintptr_t)insns;
	a.insn_cnt = n;
	a.license = (u64)(uintptr_t)"GPL";
	fd = raw_syscall(SYS_bpf, BPF_PROG_LOAD, (long)&a, sizeof(a), 0, 0, 0);
	free(insns);
	*hits = 0;
	for (u32 i = 0; fd >= 0 && i < nr_frames; i++) {
		union bpf_attr t = {};

		t.test.prog_fd = (u32)fd;
		t.test.data_in = (u64)(uintptr_t)frames[i].data;
		t.test.data_size_in = frames[i].len;
		t.test.repeat = KERNEL_REPEAT;
		if (raw_syscall(SYS_bpf, BPF_PROG_TEST_RUN, (long)&t, sizeof(t), 0, 0, 0))
			continue;
		sum += t.test.duration;
		*hits += t.test.retval != 0;
		ran++;
	}
	if (fd >= 0)
		close((int)fd);
	return ran ? sum / ran : -1;
}

static double kernel_ns(const struct engine *e, u32 *hits)
{
	static const struct sock_filter nothing = { BPF_RET | BPF_K, 0, 0, 0 };
	static double empty = -1;
	double v;

	if (empty < 0)
		empty = kernel_run(&nothing, 1, hits);
	v = kernel_run(e->f->f, e->f->n, hits);
	return v < 0 || empty < 0 ? -1 : v - empty;
}

/* ---- native: the filter as C ---- */
static void c_insn(FILE *o, const struct sock_filter *in, u32 i)
{
	static const char *const ops[16] = { "+", "-", "*", "/", "|", "&", "<<", ">>", "", "%", "^" };
	const char *to = BPF_CLASS(in->code) == BPF_LDX ? "x" : "a";
	const struct cbpf_op *op = cbpf_op(in->code);
	char k[32];

	snprintf(k, sizeof(k), BPF_SRC(in->code) == BPF_X ? "x" : "%uu", in->k);
	fprintf(o, "L%u: ", i);
	if (op->form == CBPF_JA)
		fprintf(o, "goto L%u;\n", i + 1 + in->k);
	else if (op->jump)
		fprintf(o, "if (a %s %s) goto L%u; goto L%u;\n", BPF_OP(in->code) == BPF_JEQ ? "==" : BPF_OP(in->code) == BPF_JGT ?
			">" : BPF_OP(in->code) == BPF_JGE ? ">=" : "&", k, i + 1 + in->jt, i + 1 + in->jf);
	else if (BPF_CLASS(in->code) == BPF_RET)
		fprintf(o, "return %s;\n", in->code == (BPF_RET | BPF_A) ? "a" : k);
	else if (op->form == CBPF_PKT || op->form == CBPF_IND)
		fprintf(o, "LOAD%u(%uu + %s);\n", cbpf_size(in->code), in->k, op->form == CBPF_IND ? "x" : "0");
	else if (op->form == CBPF_MSH)
		fprintf(o, "if (len < %uu) return 0; x = (d[%u] & 15) << 2;\n", in->k + 1, in->k);
	else if (op->form == CBPF_MEM)
		fprintf(o, BPF_CLASS(in->code) == BPF_ST || BPF_CLASS(in->code) == BPF_STX ? "m[%u] = %s;\n" : "%2$s = m[%1$u];\n",
			in->k, BPF_CLASS(in->code) == BPF_STX ? "x" : to);
	else if (op->form == CBPF_LEN)
		fprintf(o, "%s = wire;\n", to);
	else if (BPF_CLASS(in->code) == BPF_ALU)
		fprintf(o, "a = a %s %s;\n", ops[BPF_OP(in->code) >> 4], k);
	else if (BPF_CLASS(in->code) == BPF_MISC)
		fprintf(o, "%s;\n", in->code == (BPF_MISC | BPF_TAX) ? "x = a" : "a = x");
	else
		fprintf(o, "%s = %s;\n", to, k);
}

static void build_native(struct engine *e, u32 nr)
{
	const char *cc = getenv("FILTER_NATIVE"), *tmp = getenv("TMPDIR");
	char c[256], so[256], cmd[1024];
	void *h;
	FILE *o;

	if (!cc || !*cc)
		return;
	snprintf(c, sizeof(c), "%s/filter%u.c", tmp ? tmp : "/tmp", nr);
	snprintf(so, sizeof(so), "%s/filter%u.so", tmp ? tmp : "/tmp", nr);
	o = fopen(c, "w");
	if (!o)
		return;
	fputs("typedef unsigned int u32; typedef unsigned short u16;\n"
	      "#define LOAD(n, v) if ((unsigned long)(n) > len) return 0; a = v;\n"
	      "#define LOAD1(o) LOAD((unsigned long)(o) + 1, d[o])\n"
	      "#define LOAD2(o) LOAD((unsigned long)(o) + 2, __builtin_bswap16(*(u16 *)(d + (o))))\n"
	      "#define LOAD4(o) LOAD((unsigned long)(o) + 4, __builtin_bswap32(*(u32 *)(d + (o))))\n"
	      "u32 filter(const unsigned char *d, u32 len, u32 wire)\n{\nu32 a = 0, x = 0, m[16];\n", o);
	for (u32 i = 0; i < e->f->n; i++)
		c_insn(o, &e->f->f[i], i);
	fputs("}\n", o);
	fclose(o);
	snprintf(cmd, sizeof(cmd), "%s -w -O2 -fPIC -shared -fno-strict-aliasing -o %s %s", cc, so, c);
	h = system(cmd) ? NULL : dlopen(so, RTLD_NOW);
	e->native = h ? (u32 (*)(const u8 *, u32, u32))dlsym(h, "filter") : NULL;
}

/* ---- */
static void column(double v)
{
	if (v < 0)
		printf("\t-");
	else
		printf("\t%.3f", v);
}

static void one(pcap_t *p, u32 nr)
{
	u32 hits[4] = {};
	struct engine e = {};
	struct cbpf_reason why;
	double kernel = -1, native = -1, skep, libpcap;
	char name[64];

	if (pcap_compile(p, &e.bp, kit[nr].expr, 1, PCAP_NETMASK_UNKNOWN))
		die(pcap_geterr(p));
	if (filter_open(libpcap_insns(&e.bp), e.bp.bf_len, CBPF_LIBPCAP, "bench", &e.f, &why) || e.f->plain)
		die("the filter does not load");
	build_native(&e, nr);
	skep = best(pass_skep, &e, &hits[0]);
	libpcap = best(pass_libpcap, &e, &hits[1]);
	if (e.native)
		native = best(pass_native, &e, &hits[2]);
	if (!geteuid())
		kernel = kernel_ns(&e, &hits[3]);
	if (hits[0] != hits[1] || (e.native && hits[0] != hits[2]))
		die("the engines disagree");
	snprintf(name, sizeof(name), "%s (%u insns, %u of %u match)", kit[nr].name, e.bp.bf_len, hits[0], nr_frames);
	printf("%s", name);
	column(skep);
	column(kernel);
	column(native);
	column(libpcap);
	printf("\n");
	filter_close(e.f);
	pcap_freecode(&e.bp);
}

static int make_long(char **argv)
{
	u32 n = (u32)atoi(argv[3]), snap = (u32)atoi(argv[4]);
	pcap_t *p = pcap_open_dead(DLT_EN10MB, (int)snap);
	pcap_dumper_t *d = pcap_dump_open(p, argv[2]);

	if (!d)
		die(pcap_geterr(p));
	for (u32 i = 0; i < n; i++) {
		struct frame *f = &frames[i % nr_frames];
		struct pcap_pkthdr h = { .len = f->len, .caplen = f->len < snap ? f->len : snap, .ts.tv_sec = i };

		pcap_dump((u8 *)d, &h, f->data);
	}
	pcap_dump_close(d);
	return 0;
}

int main(int argc, char **argv)
{
	pcap_t *p = pcap_open_dead(DLT_EN10MB, 262144);

	if (argc != 2 && argc != 5)
		die("usage: filter CAPTURE [OUT PACKETS SNAPLEN]");
	load_frames(argv[1]);
	if (argc == 5)
		return make_long(argv);
	for (u32 i = 0; i < ARRAY_SIZE(kit); i++)
		one(p, i);
	pcap_close(p);
	return 0;
}
