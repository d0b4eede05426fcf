/* SPDX-License-Identifier: Apache-2.0 */
/* btfinfo_test.c - func_info and line_info: each row breaks one rule. On a kernel with BPF the same program is loaded there, and
 * errno and the sentence in the log must be the same. */
#include "verify/btfinfo.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "spec/uapi.h"
#include "t.h"

/* 1 int, 2 int f(int x), 3 func "main_fn", 4 func "sub", 5 void f(void), 6 func "nothing" */
#define INFO(kind, vlen)	((u32)(kind) << 24 | (vlen))
static const char strs[] = "\0int\0x\0main_fn\0sub\0nothing\0file.c\0a line\0";
enum { S_int = 1, S_x = 5, S_main = 7, S_sub = 15, S_nothing = 19, S_file = 27, S_line = 34 };
static const u32 types[] = {
	S_int, INFO(BTF_KIND_INT, 0), 4, 1 << 24 | 32,
	0, INFO(BTF_KIND_FUNC_PROTO, 1), 1, S_x, 1,
	S_main, INFO(BTF_KIND_FUNC, 1), 2,
	S_sub, INFO(BTF_KIND_FUNC, 0), 2,
	0, INFO(BTF_KIND_FUNC_PROTO, 0), 0,
	S_nothing, INFO(BTF_KIND_FUNC, 0), 5,
};

/* 0: r1 = 1 (imm64, two slots)  2: call 4  3: exit  4: r0 = 0  5: exit */
static const struct bpf_insn insns[] = {
	{ 0x18, 1, 0, 0, 1 }, { 0, 0, 0, 0, 0 }, { 0x85, 0, 1, 0, 1 }, { 0x95, 0, 0, 0, 0 }, { 0xb7, 0, 0, 0, 0 },
	{ 0x95, 0, 0, 0, 0 },
};

struct row {
	const char *name;
	int err;
	const char *why;
	u32 nf, frec, f[8];		/* func_info */
	u32 nl, lrec, l[16];		/* line_info */
};
#define LINE(insn)	(insn), S_file, S_line, 10 << 10 | 3

static const struct row rows[] = {
	{ "both right", 0, "", 2, 8, { 0, 3, 4, 4 }, 2, 16, { LINE(0), LINE(4) } },
	{ "none", 0, "" },
	{ "functions only", 0, "", 2, 8, { 0, 3, 4, 4 } },
	{ "lines only", 0, "", 0, 0, { 0 }, 2, 16, { LINE(0), LINE(4) } },
	{ "longer records with zeros", 0, "", 2, 12, { 0, 3, 0, 4, 4, 0 } },
	{ "longer records, not zero", -E2BIG, "nonzero tailing record in func info", 2, 12, { 0, 3, 0, 4, 4, 9 } },
	{ "records too short", -EINVAL, "invalid func info rec size 4\n", 2, 4, { 0, 3, 4, 4 } },
	{ "record size not a multiple of 4", -EINVAL, "invalid func info rec size 10\n", 2, 10, { 0, 3, 4, 4 } },
	{ "first function not at 0", -EINVAL, "nonzero insn_off 4 for the first func info record",
	  2, 8, { 4, 3, 0, 4 } },
	{ "functions not in order", -EINVAL, "same or smaller insn offset (0) than previous func info record (0)",
	  2, 8, { 0, 3, 0, 4 } },
	{ "type is not a function", -EINVAL, "invalid type id 1 in func info", 2, 8, { 0, 1, 4, 4 } },
	{ "no such type", -EINVAL, "invalid type id 77 in func info", 2, 8, { 0, 77, 4, 4 } },
	{ "too few functions", -EINVAL, "number of funcs in func_info doesn't match number of subprogs\n",
	  1, 8, { 0, 3 } },
	{ "function starts elsewhere", -EINVAL, "func_info BTF section doesn't match subprog layout in BPF program\n",
	  2, 8, { 0, 3, 3, 4 } },
	{ "function that returns nothing", 0, "", 2, 8, { 0, 3, 4, 6 } },
	{ "line beyond the program", -EINVAL, "Invalid line_info[1].insn_off:9 (prev_offset:0 prog->len:6)\n",
	  2, 8, { 0, 3, 4, 4 }, 2, 16, { LINE(0), LINE(9) } },
	{ "lines not in order", -EINVAL, "Invalid line_info[2].insn_off:3 (prev_offset:4 prog->len:6)\n",
	  2, 8, { 0, 3, 4, 4 }, 3, 16, { LINE(0), LINE(4), LINE(3) } },
	{ "line inside an instruction", -EINVAL, "Invalid insn code at line_info[1].insn_off\n",
	  2, 8, { 0, 3, 4, 4 }, 3, 16, { LINE(0), LINE(1), LINE(4) } },
	{ "line text outside the strings", -EINVAL, "Invalid line_info[0].line_off or .file_name_off\n",
	  2, 8, { 0, 3, 4, 4 }, 1, 16, { 0, S_file, 9999, 0 } },
	{ "function without line", -EINVAL, "missing bpf_line_info for func#1\n",
	  2, 8, { 0, 3, 4, 4 }, 2, 16, { LINE(0), LINE(5) } },
	{ "functions at the end without line", -EINVAL, "missing bpf_line_info for 1 funcs starting from func#1\n",
	  2, 8, { 0, 3, 4, 4 }, 2, 16, { LINE(0), LINE(3) } },
	{ "first line not at 0", -EINVAL, "missing bpf_line_info for func#0\n",
	  2, 8, { 0, 3, 4, 4 }, 2, 16, { LINE(2), LINE(4) } },
	{ "line records too short", -EINVAL, "", 2, 8, { 0, 3, 4, 4 }, 2, 12, { LINE(0), LINE(4) } },
};

static u32 make_btf(u8 *out)
{
	struct btf_header h = { BTF_MAGIC, BTF_VERSION, 0, sizeof(h), 0, sizeof(types), sizeof(types), sizeof(strs) };

	memcpy(out, &h, sizeof(h));
	memcpy(out + sizeof(h), types, sizeof(types));
	memcpy(out + sizeof(h) + sizeof(types), strs, sizeof(strs));
	return sizeof(h) + sizeof(types) + sizeof(strs);
}

static int ask_skep(const struct row *r, struct btf *b, struct sbuf *why)
{
	struct btfinfo_sub subs[2] = { { .start = 0 }, { .start = 4 } };
	struct vfy_in in = {
		.insns = insns, .cnt = ARRAY_SIZE(insns), .btf = b,
		.func_info = r->f, .func_info_cnt = r->nf, .func_info_rec = r->frec,
		.line_info = r->l, .line_info_cnt = r->nl, .line_info_rec = r->lrec,
	};
	int err = btfinfo_check_early(&in, why);

	if (!err)
		err = btfinfo_check(&in, subs, 2, why);
	if (!err && r->nf)
		STR_EQ(subs[0].name, "main_fn");
	if (!err && r->nl) {
		struct btfinfo_line l;

		EQ(subs[1].linfo, 1);
		CHECK(btfinfo_line(&in, 3, &l) && l.line == 10 && l.col == 3 && l.insn == 0);
		CHECK(btfinfo_line(&in, 5, &l) && l.insn == 4);
		STR_EQ(l.file, "file.c");
		STR_EQ(l.text, "a line");
	}
	return err;
}

static int ask_kernel(const struct row *r, int btf_fd, char *log, u32 size)
{
	union bpf_attr a;
	long fd;

	memset(&a, 0, sizeof(a));
	log[0] = 0;
	a.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	a.insns = (u64)(uintptr_t)insns;
	a.insn_cnt = ARRAY_SIZE(insns);
	a.license = (u64)(uintptr_t)"GPL";
	a.log_level = 1;
	a.log_buf = (u64)(uintptr_t)log;
	a.log_size = size;
	a.prog_btf_fd = btf_fd;
	a.func_info = (u64)(uintptr_t)r->f;
	a.func_info_cnt = r->nf;
	a.func_info_rec_size = r->frec;
	a.line_info = (u64)(uintptr_t)r->l;
	a.line_info_cnt = r->nl;
	a.line_info_rec_size = r->lrec;
	fd = t_kernel_bpf_call(BPF_PROG_LOAD, &a, sizeof(a));
	if (fd >= 0)
		close((int)fd);
	return fd < 0 ? -errno : 0;
}

static int kernel_btf(const u8 *blob, u32 size)
{
	union bpf_attr a;

	memset(&a, 0, sizeof(a));
	a.btf = (u64)(uintptr_t)blob;
	a.btf_size = size;
	return (int)t_kernel_bpf_call(BPF_BTF_LOAD, &a, sizeof(a));
}

TEST(rows)
{
	static char log[65536];
	u8 blob[512];
	u32 size = make_btf(blob);
	struct btf *b;
	int fd = t_kernel_bpf() ? kernel_btf(blob, size) : -1;

	NEED(!btf_parse(blob, size, NULL, NULL, &b));
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sbuf why = { 0 };

		t_row("%s", rows[i].name);
		EQ(ask_skep(&rows[i], b, &why), rows[i].err);
		STR_EQ(why.s ? why.s : "", rows[i].why);
		if (t_kernel_bpf()) {
			EQ(ask_kernel(&rows[i], fd, log, sizeof(log)), rows[i].err);
			if (rows[i].err && strncmp(log, rows[i].why, strlen(rows[i].why)))
				t_fail(__FILE__, __LINE__, "the kernel says \"%s\"", log);
		}
		sbuf_free(&why);
	}
	if (fd >= 0)
		close(fd);
	btf_free(b);
}
