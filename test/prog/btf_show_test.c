/* SPDX-License-Identifier: Apache-2.0 */
/* btf_show_test.c - bpf_snprintf_btf(): types that skep's vmlinux BTF and the kernel's have in common, over several contents,
 * with all flags and with too little room; text and result must be the same. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/btf.h"
#include "skep.h"
#include "spec/uapi.h"
#include "spec/vmlinux.h"
#include "t.h"
#include "vm/insn.h"

#define TEXT_SIZE	4096
#define DATA_SIZE	512

static const struct shown {
	const char *name;
	u32 kind;
	bool pointers;			/* only raw: the kernel hashes them */
} types[] = {
	{ "u8", BTF_KIND_TYPEDEF }, { "s8", BTF_KIND_TYPEDEF }, { "u16", BTF_KIND_TYPEDEF }, { "s16", BTF_KIND_TYPEDEF },
	{ "u32", BTF_KIND_TYPEDEF }, { "s32", BTF_KIND_TYPEDEF }, { "u64", BTF_KIND_TYPEDEF }, { "s64", BTF_KIND_TYPEDEF },
	{ "bool", BTF_KIND_TYPEDEF }, { "pid_t", BTF_KIND_TYPEDEF }, { "kuid_t", BTF_KIND_TYPEDEF },
	{ "long unsigned int", BTF_KIND_INT }, { "int", BTF_KIND_INT }, { "unsigned char", BTF_KIND_INT },
	{ "xdp_action", BTF_KIND_ENUM }, { "bpf_hdr_start_off", BTF_KIND_ENUM },
	{ "trace_entry", BTF_KIND_STRUCT }, { "trace_event_raw_sys_enter", BTF_KIND_STRUCT },
	{ "trace_event_raw_sys_exit", BTF_KIND_STRUCT }, { "syscall_trace_enter", BTF_KIND_STRUCT },
	{ "trace_event_raw_sched_process_exec", BTF_KIND_STRUCT }, { "trace_event_raw_sched_process_fork", BTF_KIND_STRUCT },
	{ "trace_event_raw_sched_process_exit", BTF_KIND_STRUCT }, { "xdp_md", BTF_KIND_STRUCT },
	{ "__sk_buff", BTF_KIND_STRUCT, true }, { "bpf_raw_tracepoint_args", BTF_KIND_STRUCT },
	{ "bpf_flow_keys", BTF_KIND_STRUCT }, { "bpf_pidns_info", BTF_KIND_STRUCT }, { "btf_ptr", BTF_KIND_STRUCT, true },
	{ "bpf_perf_event_value", BTF_KIND_STRUCT }, { "bpf_spin_lock", BTF_KIND_STRUCT }, { "bpf_sock", BTF_KIND_STRUCT },
};

struct side {
	bool kernel;
	int out, data, prog;
	const struct btf *btf;
	s64 ret;
	char text[TEXT_SIZE];
};

static long bpf(const struct side *s, int cmd, union bpf_attr *a)
{
	long r = s->kernel ? t_kernel_bpf_call(cmd, a, sizeof(*a)) : skep_bpf(cmd, a, sizeof(*a));

	return s->kernel && r < 0 ? -errno : r;
}

static int map(const struct side *s, u32 size)
{
	union bpf_attr a = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = size, .max_entries = 1 };

	return (int)bpf(s, BPF_MAP_CREATE, &a);
}

static long elem(const struct side *s, int cmd, int fd, void *value)
{
	u32 key = 0;
	union bpf_attr a = { .map_fd = (u32)fd, .key = (u64)(uintptr_t)&key, .value = (u64)(uintptr_t)value };

	return bpf(s, cmd, &a);
}

#define I(c, d, s, o, i) INSN(c, d, s, o, i)

/* [r0][text] of snprintf_btf(text, ROOM, { data, ID }, PTR_SIZE, FLAGS); BAD: of an address where nothing is. */
static int load(const struct side *s, u32 id, u32 room, u32 ptr_size, u32 flags, bool bad)
{
	const struct bpf_insn insns[] = {
		I(INSN_LDIMM64, 1, bad ? 0 : BPF_PSEUDO_MAP_VALUE, 0, bad ? 0x1000 : s->data), I(0, 0, 0, 0, 0),
		I(BPF_STX | BPF_MEM | BPF_DW, 10, 1, -24, 0), I(BPF_ALU | BPF_MOV | BPF_K, 1, 0, 0, (s32)id),
		I(BPF_STX | BPF_MEM | BPF_DW, 10, 1, -16, 0), I(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8, 0),
		I(INSN_LDIMM64, 1, BPF_PSEUDO_MAP_VALUE, 0, s->out), I(0, 0, 0, 0, 8),
		I(BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, (s32)room), I(BPF_ALU64 | BPF_MOV | BPF_X, 3, 10, 0, 0),
		I(BPF_ALU64 | BPF_ADD | BPF_K, 3, 0, 0, -24), I(BPF_ALU64 | BPF_MOV | BPF_K, 4, 0, 0, (s32)ptr_size),
		I(BPF_ALU64 | BPF_MOV | BPF_K, 5, 0, 0, (s32)flags), I(BPF_JMP | BPF_CALL, 0, 0, 0, 149),
		I(INSN_LDIMM64, 1, BPF_PSEUDO_MAP_VALUE, 0, s->out), I(0, 0, 0, 0, 0),
		I(BPF_STX | BPF_MEM | BPF_DW, 1, 0, 0, 0), I(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0),
		I(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr a = { .prog_type = BPF_PROG_TYPE_SYSCALL, .prog_flags = BPF_F_SLEEPABLE, .insn_cnt = ARRAY_SIZE(insns) };

	a.insns = (u64)(uintptr_t)insns;
	a.license = (u64)(uintptr_t)"GPL";
	return (int)bpf(s, BPF_PROG_LOAD, &a);
}

static void run(struct side *s, u32 id, u32 room, u32 ptr_size, u32 flags, bool bad)
{
	static u8 out[8 + TEXT_SIZE];
	union bpf_attr a = { 0 };
	int fd = load(s, id, room, ptr_size, flags, bad);

	memset(out, 0xee, sizeof(out));
	EQ(elem(s, BPF_MAP_UPDATE_ELEM, s->out, out), 0);
	CHECK(fd >= 0);
	a.test.prog_fd = (u32)fd;
	if (fd >= 0)
		EQ(bpf(s, BPF_PROG_TEST_RUN, &a), 0);
	close(fd);
	EQ(elem(s, BPF_MAP_LOOKUP_ELEM, s->out, out), 0);
	memcpy(&s->ret, out, 8);
	memcpy(s->text, out + 8, TEXT_SIZE);
}

static void compare(const struct side *s, const struct side *k, const char *how)
{
	if (s->ret == k->ret && !memcmp(s->text, k->text, TEXT_SIZE))
		return;
	t_fail(__FILE__, __LINE__, "%s: skep %lld '%.900s', kernel %lld '%.900s'", how, (long long)s->ret, s->text,
	       (long long)k->ret, k->text);
}

static void fill(u8 *data, u32 content, u32 seed)
{
	static const char text[] = "text\0 and more \x01\xff";

	memset(data, 0, DATA_SIZE);
	srandom(seed);
	for (u32 i = 0; i < DATA_SIZE; i++) {
		if (content == 1)
			data[i] = (u8)random();
		else if (content == 2)
			data[i] = random() % 8 ? 0 : (u8)random();
		else if (content == 3)
			data[i] = (u8)text[i % sizeof(text)];
		else if (content == 4)
			data[i] = i % 4 == 0;
	}
}

static struct btf *kernels(void)
{
	FILE *f = fopen(T_KERNEL_BTF, "r");
	u32 cap = 16u << 20;
	struct btf *b = NULL;
	u8 *buf = malloc(cap);

	if (f && buf)
		EQ(btf_parse(buf, (u32)fread(buf, 1, cap, f), NULL, NULL, &b), 0);
	if (f)
		fclose(f);
	free(buf);
	return b;
}

static void one_type(struct side *s, struct side *k, const struct shown *t)
{
	s32 id = btf_find(s->btf, t->name, t->kind), kid = btf_find(k->btf, t->name, t->kind);
	static const u32 rooms[] = { TEXT_SIZE, 1, 2, 40, 41 };
	u8 data[DATA_SIZE];
	char how[64];

	CHECK(id > 0 && kid > 0);
	for (u32 content = 0; content < 5 && id > 0 && kid > 0; content++) {
		fill(data, content, content + t->kind);
		EQ(elem(s, BPF_MAP_UPDATE_ELEM, s->data, data), 0);
		EQ(elem(k, BPF_MAP_UPDATE_ELEM, k->data, data), 0);
		for (u32 n = 0; n < 16 + ARRAY_SIZE(rooms); n++) {
			u32 flags = (n < 16 ? n : content) | (t->pointers ? BTF_F_PTR_RAW : 0);
			u32 room = n < 16 ? TEXT_SIZE : rooms[n - 16];

			if (t_fast() && n % 3)
				continue;
			snprintf(how, sizeof(how), "content %u, flags %u, room %u", content, flags, room);
			run(s, (u32)id, room, 16, flags, false);
			run(k, (u32)kid, room, 16, flags, false);
			compare(s, k, how);
		}
	}
}

static bool open_sides(struct side *s, struct side *k)
{
	s->btf = &spec_vmlinux;
	s->out = map(s, 8 + TEXT_SIZE);
	s->data = map(s, DATA_SIZE);
	k->kernel = true;
	if (!t_kernel_bpf()) {
		t_skip("needs the kernel's bpf(2) as oracle");
		return false;
	}
	k->btf = kernels();
	k->out = map(k, 8 + TEXT_SIZE);
	k->data = map(k, DATA_SIZE);
	return k->btf != NULL;
}

TEST(types_as_the_kernel_shows_them)
{
	static struct side s, k;

	if (!open_sides(&s, &k))
		return;
	for (u32 i = 0; i < ARRAY_SIZE(types); i++) {
		t_row("%s", types[i].name);
		one_type(&s, &k, &types[i]);
	}
	btf_free((struct btf *)k.btf);
}

TEST(what_is_refused)
{
	static const struct {
		const char *name;
		s32 id;			/* -1: of u32 */
		u32 ptr_size, flags;
		bool bad;
		s64 want;
	} rows[] = {
		{ "no type", 0, 16, 0, false, -EINVAL }, { "a type that there is not", 0x7ffffff, 16, 0, false, -ENOENT },
		{ "a negative type", INT32_MIN, 16, 0, false, -ENOENT }, { "a short struct btf_ptr", -1, 12, 0, false, -EINVAL },
		{ "unknown flags", -1, 16, 16, false, -EINVAL }, { "memory that is not there", -1, 16, 0, true, -ERANGE },
	};
	static struct side s, k;
	bool both = open_sides(&s, &k);

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		s32 id = rows[i].id;

		t_row("%s is refused", rows[i].name);
		run(&s, id == -1 ? (u32)btf_find(s.btf, "u32", BTF_KIND_TYPEDEF) : (u32)id, 64, rows[i].ptr_size, rows[i].flags,
		    rows[i].bad);
		EQ(s.ret, rows[i].want);
		if (!both)
			continue;
		run(&k, id == -1 ? (u32)btf_find(k.btf, "u32", BTF_KIND_TYPEDEF) : (u32)id, 64, rows[i].ptr_size, rows[i].flags,
		    rows[i].bad);
		EQ(k.ret, rows[i].want);
	}
}
