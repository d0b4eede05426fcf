/* SPDX-License-Identifier: Apache-2.0 */
/* prog_test.c - PROG_LOAD's log buffer, tags and what OBJ_GET_INFO_BY_FD tells of a program, next to the kernel's. */
#include <errno.h>
#include <linux/btf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "skep.h"
#include "spec/spec.h"
#include "sys/sys.h"
#include "t.h"

#define PTR(x)	((u64)(uintptr_t)(x))

static long call(bool kernel, int cmd, union skep_attr *a)
{
	long r;

	if (!kernel)
		return skep_bpf(cmd, (union bpf_attr *)a, sizeof(*a));
	r = t_kernel_bpf_call(cmd, a, sizeof(*a));
	return r < 0 ? -errno : r;
}

static int sides(void)
{
	return t_kernel_bpf() ? 2 : 1;
}

static int array(bool kernel)
{
	union skep_attr a = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 16, .max_entries = 1 };

	return (int)call(kernel, BPF_MAP_CREATE, &a);
}

static const struct bpf_insn ret0[] = { { 0xb7, 0, 0, 0, 0 }, { 0x95, 0, 0, 0, 0 } };
/* r2 = *(u32 *)(r1 + 9999): refused with a line for each instruction before it */
static const struct bpf_insn bad[] = {
	{ 0xb7, 0, 0, 0, 0 }, { 0xb7, 3, 0, 0, 7 }, { 0x61, 2, 1, 9999, 0 }, { 0x95, 0, 0, 0, 0 },
};

static union skep_attr load(const struct bpf_insn *i, size_t n)
{
	union skep_attr a = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insn_cnt = (u32)n, .insns = PTR(i),
			      .license = PTR("GPL") };

	return a;
}
#define LOAD(i)	load(i, ARRAY_SIZE(i))

struct log {
	char text[8192];
	long ret;
	u32 true_size;
};

static void load_log(bool kernel, const struct bpf_insn *i, size_t n, u32 level, u32 size, struct log *l)
{
	union skep_attr a = load(i, n);

	memset(l->text, '?', sizeof(l->text));
	a.log_level = level;
	a.log_size = size;
	a.log_buf = size ? PTR(l->text) : 0;
	l->ret = call(kernel, BPF_PROG_LOAD, &a);
	l->true_size = a.log_true_size;
	if (l->ret >= 0) {
		close((int)l->ret);
		l->ret = 0;
	}
	l->text[sizeof(l->text) - 1] = 0;
}

TEST(log_buffer)
{
	static struct log whole, got, theirs;
	static const struct { const char *name; u32 level, size; } rows[] = {
		{ "whole", 1, 8192 }, { "exactly as long", 1, 0 }, { "one byte short", 1, 1 },
		{ "tail of 64", 1, 64 }, { "a byte", 1, 3 }, { "head of 64", 1 | 8, 64 }, { "head of one", 1 | 8, 3 },
		{ "fixed, whole", 1 | 8, 8192 }, { "none, size told", 1, 9 },
	};

	load_log(false, bad, ARRAY_SIZE(bad), 1, sizeof(whole.text), &whole);
	t_row("a refused program's log");
	EQ(whole.ret, -EACCES);
	EQ(whole.true_size, strlen(whole.text) + 1);
	HAS(whole.text, "invalid bpf_context access off=9999 size=4\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		u32 size = rows[i].size, n, len = whole.true_size - 1;
		bool fixed = rows[i].level & 8;

		if (i == 1)
			size = whole.true_size;
		if (i == 2)
			size = whole.true_size - 1;
		if (i == 8)
			size = 0;
		t_row("log buffer: %s", rows[i].name);
		load_log(false, bad, ARRAY_SIZE(bad), rows[i].level, size, &got);
		EQ(got.true_size, whole.true_size);
		EQ(got.ret, size && size < whole.true_size ? -ENOSPC : -EACCES);
		n = size ? MIN(size - 1, len) : 0;
		if (size) {
			CHECK(!memcmp(got.text, whole.text + (fixed ? 0 : len - n), n));
			EQ(got.text[n], 0);
		}
		if (!t_kernel_bpf())
			continue;
		load_log(true, bad, ARRAY_SIZE(bad), rows[i].level, size, &theirs);
		EQ(got.ret, theirs.ret);
		EQ(got.true_size, theirs.true_size);
		if (size)
			STR_EQ(got.text, theirs.text);
	}
}

TEST(stats_level)
{
	static struct log l;

	for (int s = 0; s < sides(); s++) {
		t_row("log level 4 (%s)", s ? "kernel" : "skep");
		load_log(s, ret0, 2, 4, sizeof(l.text), &l);
		EQ(l.ret, 0);
		HAS(l.text, "verification time ");
		HAS(l.text, " usec\nstack depth 0\nprocessed 2 insns (limit 1000000) max_states_per_insn 0 ");
	}
}

TEST(early_refusals)
{
	static struct log l[2];
	struct bpf_insn ld[] = { { 0x18, 1, 1, 0, 9999 }, { 0 }, { 0xb7, 0, 0, 0, 0 }, { 0x95, 0, 0, 0, 0 } };
	static const struct { const char *name; u8 src; s32 imm, off; u8 second; } rows[] = {
		{ "map fd not open", 1, 9999, 0, 0 }, { "map fd is stdin", 1, 0, 0, 0 },
		{ "index without fd_array", 5, 0, 0, 0 }, { "value index without fd_array", 6, 0, 0, 0 },
		{ "map fd with an offset", 1, 9999, 4, 0 }, { "unknown pseudo", 9, 1, 0, 0 },
		{ "second half is not one", 1, 9999, 0, 0xb7 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ld[0].src_reg = rows[i].src & 15;
		ld[0].imm = rows[i].imm;
		ld[1].imm = rows[i].off;
		ld[1].code = rows[i].second;
		t_row("LD_IMM64: %s", rows[i].name);
		for (int s = 0; s < sides(); s++)
			load_log(s, ld, 4, 1, sizeof(l[s].text), &l[s]);
		CHECK(l[0].ret < 0);
		if (!t_kernel_bpf())
			continue;
		EQ(l[0].ret, l[1].ret);
		STR_EQ(l[0].text, l[1].text);
	}
}

/* Programs that use a map by fd and by value: the tag leaves both out. */
static int load_tagged(bool kernel, int map, int kind, struct skep_prog_info *info)
{
	struct bpf_insn i[] = {
		{ 0x18, 1, (u8)(kind == 2 ? 2 : 1), 0, map }, { 0, 0, 0, 0, kind == 2 ? 8 : 0 },
		{ 0xb7, 0, 0, 0, kind }, { 0x95, 0, 0, 0, 0 },
	};
	union skep_attr a = LOAD(i);
	long fd = call(kernel, BPF_PROG_LOAD, &a);

	if (fd < 0)
		return (int)fd;
	memset(info, 0, sizeof(*info));
	a = (union skep_attr){ .info = { (u32)fd, sizeof(*info), PTR(info) } };
	if (call(kernel, BPF_OBJ_GET_INFO_BY_FD, &a)) {
		close((int)fd);
		return -EINVAL;
	}
	return (int)fd;
}

TEST(tags)
{
	static const char *const names[] = { "map fd", "another constant", "map value" };
	struct skep_prog_info info[2];

	for (int kind = 0; kind < 3; kind++) {
		t_row("tag: %s", names[kind]);
		for (int s = 0; s < sides(); s++) {
			int map = array(s), fd;

			NEED(map >= 0);
			fd = load_tagged(s, map, kind, &info[s]);
			NEED(fd >= 0);
			close(fd);
			close(map);
		}
		CHECK(info[0].xlated_prog_len);
		EQ(info[0].nr_map_ids, 1);
		if (!t_kernel_bpf())
			continue;
		CHECK(!memcmp(info[0].tag, info[1].tag, sizeof(info[0].tag)));
		EQ(info[0].nr_map_ids, info[1].nr_map_ids);
		EQ(info[0].nr_prog_tags, info[1].nr_prog_tags);
		EQ(info[0].nr_jited_ksyms, info[1].nr_jited_ksyms);
		EQ(info[0].gpl_compatible, info[1].gpl_compatible);
		EQ(info[0].verified_insns, info[1].verified_insns);
		EQ(info[0].func_info_rec_size, info[1].func_info_rec_size);
		EQ(info[0].line_info_rec_size, info[1].line_info_rec_size);
		EQ(info[0].jited_line_info_rec_size, info[1].jited_line_info_rec_size);
	}
}

TEST(info_arrays)
{
	struct skep_prog_info i;
	u64 xlated[8], ksyms[2], tags[2];
	u32 ids[2], lens[2];
	u8 code[4096];
	union skep_attr a;

	for (int s = 0; s < sides(); s++) {
		int map = array(s), fd;

		t_row("arrays of a program's info (%s)", s ? "kernel" : "skep");
		NEED(map >= 0);
		fd = load_tagged(s, map, 0, &i);
		NEED(fd >= 0);
		memset(&i, 0, sizeof(i));
		i.nr_map_ids = 2, i.map_ids = PTR(ids);
		i.xlated_prog_len = sizeof(xlated), i.xlated_prog_insns = PTR(xlated);
		i.jited_prog_len = sizeof(code), i.jited_prog_insns = PTR(code);
		i.nr_jited_ksyms = 2, i.jited_ksyms = PTR(ksyms);
		i.nr_jited_func_lens = 2, i.jited_func_lens = PTR(lens);
		i.nr_prog_tags = 2, i.prog_tags = PTR(tags);
		a = (union skep_attr){ .info = { (u32)fd, sizeof(i), PTR(&i) } };
		EQ(call(s, BPF_OBJ_GET_INFO_BY_FD, &a), 0);
		EQ(a.info.info_len, sizeof(i));
		EQ(i.nr_map_ids, 1);
		EQ(i.xlated_prog_len, 32);
		EQ((u32)(xlated[0] >> 32), ids[0]);		/* map fd shown as the map's id */
		EQ(i.nr_jited_func_lens, 1);
		EQ(lens[0], i.jited_prog_len);			/* readers cut the code by the lengths... */
		CHECK(code[0] != 0xcc);				/* ...so it begins with the first function */
		CHECK(ksyms[0]);
		CHECK(!memcmp(&tags[0], i.tag, sizeof(i.tag)));

		t_row("a wrong record size is refused (%s)", s ? "kernel" : "skep");
		memset(&i, 0, sizeof(i));
		i.func_info_rec_size = 4;
		EQ(call(s, BPF_OBJ_GET_INFO_BY_FD, &a), -EINVAL);
		t_row("an unwritable array is refused (%s)", s ? "kernel" : "skep");
		memset(&i, 0, sizeof(i));
		i.xlated_prog_len = 32, i.xlated_prog_insns = 0xdead000;
		EQ(call(s, BPF_OBJ_GET_INFO_BY_FD, &a), -EFAULT);
		close(fd);
		close(map);
	}
}

TEST(fd_array)
{
	struct bpf_insn idx[] = { { 0x18, 1, 5, 0, 1 }, { 0 }, { 0xb7, 0, 0, 0, 0 }, { 0x95, 0, 0, 0, 0 } };
	struct skep_prog_info i;
	union skep_attr a;

	for (int s = 0; s < sides(); s++) {
		int fds[2] = { array(s), array(s) };
		long fd;

		t_row("map by index into fd_array (%s)", s ? "kernel" : "skep");
		a = LOAD(idx);
		a.fd_array = PTR(fds);
		fd = call(s, BPF_PROG_LOAD, &a);
		NEED(fd >= 0);
		close((int)fd);
		t_row("fd_array_cnt binds maps that no instruction names (%s)", s ? "kernel" : "skep");
		a = LOAD(ret0);
		a.fd_array = PTR(fds);
		a.fd_array_cnt = 2;
		fd = call(s, BPF_PROG_LOAD, &a);
		NEED(fd >= 0);
		memset(&i, 0, sizeof(i));
		a = (union skep_attr){ .info = { (u32)fd, sizeof(i), PTR(&i) } };
		EQ(call(s, BPF_OBJ_GET_INFO_BY_FD, &a), 0);
		EQ(i.nr_map_ids, 2);
		close((int)fd);
		t_row("fd_array with what is neither map nor BTF (%s)", s ? "kernel" : "skep");
		a = LOAD(ret0);
		a.fd_array = PTR(((int[]){ 9999 }));
		a.fd_array_cnt = 1;
		EQ(call(s, BPF_PROG_LOAD, &a), -EBADF);
		close(fds[0]);
		close(fds[1]);
	}
}

TEST(binding)
{
	struct skep_prog_info i = { 0 };
	union skep_attr a;

	for (int s = 0; s < sides(); s++) {
		int map = array(s);
		long fd;

		t_row("PROG_BIND_MAP adds a map once (%s)", s ? "kernel" : "skep");
		a = LOAD(ret0);
		fd = call(s, BPF_PROG_LOAD, &a);
		NEED(fd >= 0 && map >= 0);
		for (int n = 0; n < 2; n++) {
			a = (union skep_attr){ .prog_bind_map = { (u32)fd, (u32)map, 0 } };
			EQ(call(s, BPF_PROG_BIND_MAP, &a), 0);
		}
		memset(&i, 0, sizeof(i));
		a = (union skep_attr){ .info = { (u32)fd, sizeof(i), PTR(&i) } };
		EQ(call(s, BPF_OBJ_GET_INFO_BY_FD, &a), 0);
		EQ(i.nr_map_ids, 1);
		close((int)fd);
		close(map);
	}
}

/* The client's fd is the file itself: it may cut it short, and gets an error for it, not a signal. */
TEST(objects_cut_short)
{
	static const struct {
		struct btf_header h;
		u32 t[4];
		char str[8];
	} blob = { { 0xeb9f, 1, 0, sizeof(blob.h), 0, 16, 16, 8 }, { 1, 0x01000000, 4, 0x01000020 }, "\0int" };
	static const char *const names[] = { "program", "map", "BTF" };
	u64 buf[64], value[2];
	u32 key = 0;
	union skep_attr a;

	for (int kind = 0; kind < 3; kind++)
		for (int keep = 0; keep < 2; keep++) {
			long fd;

			t_row("%s cut to %s", names[kind], keep ? "its first page" : "nothing");
			a = LOAD(ret0);
			if (kind == 2)
				a = (union skep_attr){ .btf = PTR(&blob), .btf_size = sizeof(blob) };
			fd = kind == 1 ? array(false) : call(false, kind ? BPF_BTF_LOAD : BPF_PROG_LOAD, &a);
			NEED(fd >= 0);
			NEED(!ftruncate((int)fd, keep ? 4096 : 0));
			memset(buf, 0, sizeof(buf));
			a = (union skep_attr){ .info = { (u32)fd, 88, PTR(buf) } };
			EQ(call(false, BPF_OBJ_GET_INFO_BY_FD, &a), -EUCLEAN);
			a = (union skep_attr){ .test = { .prog_fd = (u32)fd } };
			CHECK(call(false, BPF_PROG_TEST_RUN, &a) < 0);
			memset(&a, 0, sizeof(a));
			a.map_fd = (u32)fd;
			a.key = PTR(&key);
			a.value = PTR(value);
			CHECK(call(false, BPF_MAP_LOOKUP_ELEM, &a) < 0);
			CHECK(call(false, BPF_MAP_UPDATE_ELEM, &a) < 0);
			close((int)fd);
		}
}

TEST(reason_is_kept_per_thread)
{
	static struct log l;

	load_log(false, bad, ARRAY_SIZE(bad), 0, 0, &l);
	NEED(skep_last_reason());
	EQ(skep_last_reason()->err, -EACCES);
	EQ(skep_last_reason()->insn, 2);
	HAS(skep_last_reason()->kernel, "invalid bpf_context access");
	load_log(false, ret0, 2, 0, 0, &l);
	CHECK(!skep_last_reason());
}

TEST(capabilities_are_an_input)
{
	union skep_attr a = LOAD(ret0);

	t_row("without CAP_BPF nothing is loaded");
	caller_set_caps(0);
	EQ(call(false, BPF_PROG_LOAD, &a), -EPERM);
	EQ(array(false), -EPERM);
	a = (union skep_attr){ .start_id = 0 };
	EQ(call(false, BPF_MAP_GET_NEXT_ID, &a), -EPERM);
	t_row("XDP wants CAP_NET_ADMIN");
	caller_set_caps(VFY_CAP_BPF);
	a = LOAD(ret0);
	a.prog_type = BPF_PROG_TYPE_XDP;
	EQ(call(false, BPF_PROG_LOAD, &a), -EPERM);
	t_row("kprobe wants CAP_PERFMON");
	a = LOAD(ret0);
	a.prog_type = BPF_PROG_TYPE_KPROBE;
	EQ(call(false, BPF_PROG_LOAD, &a), -EPERM);
	caller_set_caps(VFY_CAP_BPF | VFY_CAP_PERFMON | VFY_CAP_NET_ADMIN | VFY_CAP_SYS_ADMIN);
}
