/* SPDX-License-Identifier: Apache-2.0 */
/* helpers_test.c - helpers called on both sides: the rows of helpers.data through skep_bpf() and, as root on a kernel with BPF,
 * through the kernel's bpf(2); result and memory written must be the same. And what does not fit into a row: signals. */
#include <errno.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../insn/asm.h"
#include "base/def.h"
#include "skep.h"
#include "spec/uapi.h"
#include "t.h"

#define OUT_SIZE	512
#define MAX_CODE	128
#define POISON		0xee

struct side {
	bool kernel;
	int map[6];			/* [0] unused */
	int btf;
	int prog, err;
	u64 r0;
	u8 out[OUT_SIZE];
	char log[4096];
};

static long bpf(const struct side *s, int cmd, union bpf_attr *a)
{
	long r = s->kernel ? t_kernel_bpf_call(cmd, a, sizeof(*a)) : skep_bpf(cmd, a, sizeof(*a));

	return s->kernel && r < 0 ? -errno : r;
}

static int map(const struct side *s, u32 type, u32 value_size, u32 entries, u32 flags)
{
	union bpf_attr a = { .map_type = type, .key_size = 4, .value_size = value_size, .max_entries = entries, .map_flags = flags };

	return (int)bpf(s, BPF_MAP_CREATE, &a);
}

static void set(const struct side *s, int fd, u32 key, const void *value)
{
	union bpf_attr a = { .map_fd = (u32)fd, .key = (u64)(uintptr_t)&key, .value = (u64)(uintptr_t)value };

	EQ(bpf(s, BPF_MAP_UPDATE_ELEM, &a), 0);
}

/* Callbacks need to be known to BTF: int main(), static int callback(). */
static int btf(const struct side *s)
{
	static const struct {
		struct btf_header h;
		u32 types[4 + 3 + 3 + 3];
		char strs[20];
	} blob = {
		{ .magic = BTF_MAGIC, .version = 1, .hdr_len = sizeof(struct btf_header), .type_len = 52, .str_off = 52, .str_len = 20 },
		{ 1, BTF_KIND_INT << 24, 4, BTF_INT_SIGNED << 24 | 32, 0, BTF_KIND_FUNC_PROTO << 24, 1,
		  5, BTF_KIND_FUNC << 24 | BTF_FUNC_GLOBAL, 2, 10, BTF_KIND_FUNC << 24, 2 },
		"\0int\0main\0callback",
	};
	union bpf_attr a = { .btf = (u64)(uintptr_t)&blob, .btf_size = sizeof(blob.h) + 72 };

	return (int)bpf(s, BPF_BTF_LOAD, &a);
}

static void make_maps(struct side *s)
{
	union bpf_attr a = { 0 };
	u8 in[OUT_SIZE] = { 0 };

	s->map[1] = map(s, BPF_MAP_TYPE_ARRAY, OUT_SIZE, 1, 0);
	s->map[2] = map(s, BPF_MAP_TYPE_ARRAY, OUT_SIZE, 1, BPF_F_RDONLY_PROG);
	s->map[3] = map(s, BPF_MAP_TYPE_HASH, 8, 8, 0);
	s->map[4] = map(s, BPF_MAP_TYPE_ARRAY, 8, 4, 0);
	a = (union bpf_attr){ .map_type = BPF_MAP_TYPE_RINGBUF, .max_entries = 4096 };
	s->map[5] = (int)bpf(s, BPF_MAP_CREATE, &a);
	memset(&a, 0, sizeof(a));
	strcpy((char *)in, "hello");
	strcpy((char *)in + 16, "-12x");
	strcpy((char *)in + 32, " 077");
	strcpy((char *)in + 48, "0x1fZ");
	strcpy((char *)in + 64, "18446744073709551615");
	strcpy((char *)in + 96, "abc");
	strcpy((char *)in + 104, "abd");
	strcpy((char *)in + 112, " 18446744073709551616");
	set(s, s->map[2], 0, in);
	s->btf = btf(s);
	CHECK(s->btf >= 0);
	a.map_fd = (u32)s->map[2];
	EQ(bpf(s, BPF_MAP_FREEZE, &a), 0);
	for (u64 i = 1; i <= 3; i++) {
		u64 v = i * 10;

		set(s, s->map[3], (u32)i, &v);
	}
}

/* ---- addresses in rows ---- */

static char hello[512] = "hello";
static char *edge;			/* "page" that ends with its page; no page behind */
static struct stat pidns;

static u64 at_hello(void) { return (u64)(uintptr_t)hello; }
static u64 at_edge(void) { return (u64)(uintptr_t)edge; }
static u64 at_bad(void) { return (u64)(uintptr_t)edge + 16384; }
static u64 at_high(void) { return 0xdeadbeef12345678; }
static u64 ns_dev(void) { return pidns.st_dev; }
static u64 ns_ino(void) { return pidns.st_ino; }

static const struct {
	const char *name;
	u64 (*value)(void);
} words[] = {
	{ "$hello", at_hello }, { "$edge", at_edge }, { "$bad", at_bad }, { "$high", at_high }, { "$nsdev", ns_dev }, { "$nsino", ns_ino },
};

static void setup(void)
{
	char *p = mmap(NULL, 4 * 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(p + 4096, 4 * 16384 - 4096, PROT_NONE);	/* not unmapped: it would be mapped again by somebody */
	edge = p + 4096 - 5;
	strcpy(edge, "page");
	prctl(PR_SET_NAME, "helpers_test");
	EQ(stat("/proc/self/ns/pid", &pidns), 0);
}

static void expand(const char *text, char *out, size_t size)
{
	size_t n = 0;

	for (const char *p = text; *p && n + 24 < size;) {
		u32 i;

		for (i = 0; i < ARRAY_SIZE(words) && strncmp(p, words[i].name, strlen(words[i].name)); i++)
			;
		if (i == ARRAY_SIZE(words)) {
			out[n++] = *p++;
			continue;
		}
		n += (size_t)sprintf(out + n, "0x%llx", (unsigned long long)words[i].value());
		p += strlen(words[i].name);
	}
	out[n] = 0;
}

/* ---- one row, one side ---- */

static int load(struct side *s, const char *text)
{
	static const char keep[] = "; r1 = map#1+0; *(u64 *)(r1 +0) = r0; r0 = 0; exit";
	char *at;
	union bpf_attr a = { .prog_type = BPF_PROG_TYPE_SYSCALL, .prog_flags = BPF_F_SLEEPABLE };
	struct bpf_insn insns[MAX_CODE];
	u32 funcs[] = { 0, 3, 0, 4 };
	char full[2048];
	const char *why = NULL;
	int n;

	expand(text, full, sizeof(full) - sizeof(keep));
	at = strchr(full, '@');
	if (at) {
		memmove(at + sizeof(keep) - 1, at + 1, strlen(at));
		memcpy(at, keep, sizeof(keep) - 1);
	} else {
		strcat(full, keep);
	}
	n = asm_text(full, insns, MAX_CODE, &why);
	if (n < 0) {
		t_fail(__FILE__, __LINE__, "cannot assemble: %s", why ? why : "?");
		return -1;
	}
	a.prog_btf_fd = (u32)s->btf;
	a.func_info_rec_size = 8;
	a.func_info = (u64)(uintptr_t)funcs;
	a.func_info_cnt = 1;
	for (int i = 0; i < n; i++) {
		u8 src = insns[i].src_reg;

		if (insns[i].code != INSN_LDIMM64)
			continue;
		if (src == BPF_PSEUDO_MAP_FD || src == BPF_PSEUDO_MAP_VALUE)
			insns[i].imm = s->map[insns[i].imm];
		if (src == BPF_PSEUDO_FUNC) {
			funcs[2] = (u32)(i + 1 + insns[i].imm);
			a.func_info_cnt = 2;
		}
		i++;
	}
	a.insns = (u64)(uintptr_t)insns;
	a.insn_cnt = (u32)n;
	a.license = (u64)(uintptr_t)"GPL";
	a.log_buf = (u64)(uintptr_t)s->log;
	a.log_size = sizeof(s->log);
	a.log_level = 1;
	s->log[0] = 0;
	return (int)bpf(s, BPF_PROG_LOAD, &a);
}

static void run(struct side *s)
{
	u32 key = 0;
	union bpf_attr a = { 0 };

	memset(s->out, POISON, OUT_SIZE);
	set(s, s->map[1], 0, s->out);
	a.test.prog_fd = (u32)s->prog;
	s->err = (int)bpf(s, BPF_PROG_TEST_RUN, &a);
	a = (union bpf_attr){ .map_fd = (u32)s->map[1], .key = (u64)(uintptr_t)&key, .value = (u64)(uintptr_t)s->out };
	EQ(bpf(s, BPF_MAP_LOOKUP_ELEM, &a), 0);
	memcpy(&s->r0, s->out, 8);
}

static bool one_side(struct side *s, const char *text)
{
	s->prog = load(s, text);
	if (s->prog < 0) {
		t_fail(__FILE__, __LINE__, "%s: does not load: %d: %s", s->kernel ? "kernel" : "skep", s->prog, s->log);
		return false;
	}
	run(s);
	close(s->prog);
	EQ(s->err, 0);
	return true;
}

static void one_row(struct side *s, struct side *k, const char *text, const char *want)
{
	bool ok = one_side(s, text);

	if (ok && strcmp(want, "-"))
		EQ((s64)s->r0, strtoll(want, NULL, 0));
	if (!k || !one_side(k, text) || !ok)
		return;
	EQ(s->r0, k->r0);
	for (u32 i = 8; i < OUT_SIZE; i++)
		if (s->out[i] != k->out[i]) {
			t_fail(__FILE__, __LINE__, "byte %u: skep %#x, kernel %#x", i, s->out[i], k->out[i]);
			break;
		}
}

TEST(rows_as_the_kernel)
{
	struct side s = { 0 }, k = { .kernel = true };
	FILE *f = fopen("test/prog/helpers.data", "r");
	char line[2048], *text, *want;

	NEED(f);
	setup();
	make_maps(&s);
	if (t_kernel_bpf())
		make_maps(&k);
	while (fgets(line, sizeof(line), f)) {
		text = strstr(line, " | ");
		if (line[0] == '#' || !text)
			continue;
		*text = 0;
		text += 3;
		want = strstr(text, " | ");
		NEED(want);
		*want = 0;
		want[3 + strcspn(want + 3, "\n")] = 0;
		t_row("%s", line);
		one_row(&s, t_kernel_bpf() ? &k : NULL, text, want + 3);
	}
	fclose(f);
}

static volatile sig_atomic_t got, code;
static volatile pid_t by;

static void on_signal(int sig, siginfo_t *si, void *uc)
{
	got++;
	code = si->si_code;
	by = gettid();
}

static void signals(struct side *s)
{
	struct sigaction act = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO }, was;
	static const char *const texts[] = { "r1 = 10; call #109", "r1 = 10; call #117" };

	if (!s->map[1])
		make_maps(s);
	sigaction(SIGUSR1, &act, &was);
	for (u32 i = 0; i < 2; i++) {
		t_row("%s: %s arrives as from the kernel", s->kernel ? "kernel" : "skep", i ? "send_signal_thread" : "send_signal");
		got = code = by = 0;
		if (!one_side(s, texts[i]))
			continue;
		EQ(s->r0, 0);
		EQ(got, 1);
		EQ(code, SI_KERNEL);
		EQ(by, gettid());
	}
	sigaction(SIGUSR1, &was, NULL);
}

TEST(signals)
{
	struct side s = { 0 }, k = { .kernel = true };

	signals(&s);
	if (t_kernel_bpf())
		signals(&k);
}
