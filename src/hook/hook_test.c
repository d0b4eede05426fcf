/* SPDX-License-Identifier: Apache-2.0 */
/* hook_test.c - from link objects to runs, in one process: attach by bpf(2), learn, fire, look at the maps. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hook/hook.h"
#include "skep.h"
#include "spec/uapi.h"
#include "sys/door.h"
#include "t.h"

#define INSN(c, d, s, o, i)	((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })
#define LDX(d, s, o)		INSN(BPF_LDX | BPF_MEM | BPF_DW, d, s, o, 0)
#define LDX4(d, s, o)		INSN(BPF_LDX | BPF_MEM | BPF_W, d, s, o, 0)
#define STX(d, s, o)		INSN(BPF_STX | BPF_MEM | BPF_DW, d, s, o, 0)
#define MOV(d, s)		INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOVI(d, i)		INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADDI(d, i)		INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define CALL(f)			INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define MAPFD(d, fd)		INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_MAP_FD, 0, fd), INSN(0, 0, 0, 0, 0)
#define EXIT()			INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

#define NR_GETPPID	110
#define NR_OPENAT	257

static struct obj_dir *dir(void)
{
	struct obj_dir *d = NULL;

	CHECK(!door_dir(&d));
	return d;
}

/* An array of SLOTS u64: 0 counts, the rest is what a program notes. */
static int new_array(u32 slots)
{
	union bpf_attr a = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = slots };
	int fd = skep_bpf(BPF_MAP_CREATE, &a, sizeof(a));

	CHECK(fd >= 0);
	return fd;
}

static u64 get(int map, u32 key)
{
	u64 v = 0;
	union bpf_attr a = { .map_fd = (u32)map, .key = (u64)(uintptr_t)&key };

	a.value = (u64)(uintptr_t)&v;
	CHECK(!skep_bpf(BPF_MAP_LOOKUP_ELEM, &a, sizeof(a)));
	return v;
}

static int load(u32 type, const struct bpf_insn *insns, u32 n, u32 flags)
{
	union bpf_attr a = { .prog_type = type, .insns = (u64)(uintptr_t)insns, .insn_cnt = n,
			     .license = (u64)(uintptr_t)"GPL", .prog_flags = flags };

	return skep_bpf(BPF_PROG_LOAD, &a, sizeof(a));
}

/* Counts in slot 0; stores the context's u64 (size 8) or u32 at OFF[k] in slot 1 + k. Runs once, or again with each call. */
static int noting(u32 type, int map, const int *off, u32 n)
{
	struct bpf_insn p[200];
	u32 at = 0;

	p[at++] = MOV(6, 1);
	for (u32 k = 0; k <= n; k++) {
		p[at++] = INSN(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, (s32)k);
		p[at++] = MOV(2, 10);
		p[at++] = ADDI(2, -4);
		p[at++] = (struct bpf_insn[]){ MAPFD(1, map) }[0];
		p[at++] = INSN(0, 0, 0, 0, 0);
		p[at++] = CALL(BPF_FUNC_map_lookup_elem);
		p[at++] = INSN(BPF_JMP | BPF_JNE | BPF_K, 0, 0, 2, 0);
		p[at++] = MOVI(0, 0);
		p[at++] = EXIT();
		if (!k) {
			p[at++] = MOVI(1, 1);
			p[at++] = INSN(BPF_STX | BPF_ATOMIC | BPF_DW, 0, 1, 0, BPF_ADD);
			continue;
		}
		p[at++] = off[k - 1] < 0 ? LDX4(1, 6, (s16)-off[k - 1]) : LDX(1, 6, (s16)off[k - 1]);
		p[at++] = STX(0, 1, 0);
	}
	p[at++] = MOVI(0, 0);
	p[at++] = EXIT();
	return load(type, p, at, 0);
}

static int raw_open(const char *name, int prog)
{
	union bpf_attr a = { 0 };

	a.raw_tracepoint.name = (u64)(uintptr_t)name;
	a.raw_tracepoint.prog_fd = (u32)prog;
	return skep_bpf(BPF_RAW_TRACEPOINT_OPEN, &a, sizeof(a));
}

static int event(u32 type, u64 config, const char *func)
{
	struct perf_event_attr a = { .type = type, .size = sizeof(a), .config = config };
	long fd;

	a.kprobe_func = (u64)(uintptr_t)func;
	fd = door_perf_event_open((u64)(uintptr_t)&a, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	return (int)fd;
}

static int link_event(int prog, int ev, u64 cookie)
{
	union bpf_attr a = { 0 };

	a.link_create.prog_fd = (u32)prog;
	a.link_create.target_fd = (u32)ev;
	a.link_create.attach_type = BPF_PERF_EVENT;
	a.link_create.perf_event.bpf_cookie = cookie;
	return skep_bpf(BPF_LINK_CREATE, &a, sizeof(a));
}

static u64 tp_id(const char *category, const char *name)
{
	struct spec_event e;

	return spec_event_find(category, name, &e) ? 0 : e.id;
}

static struct hook_wants learn(void)
{
	struct hook_wants w;

	EQ(hook_learn(dir(), 0, getpid(), &w), 0);
	while (hook_reap())
		;
	return w;
}

static struct hook_regs call_of(u64 nr)
{
	return (struct hook_regs){ .orig_ax = nr, .ax = 4711, .di = 1, .si = 2, .dx = 3, .r10 = 4, .r8 = 5, .r9 = 6 };
}

static bool has(const u64 *bits, u32 nr)
{
	return bits[nr / 64] >> nr % 64 & 1;
}

TEST(a_raw_tracepoint_runs_as_long_as_its_link_lives)
{
	int map = new_array(3), prog = noting(BPF_PROG_TYPE_RAW_TRACEPOINT, map, (int[]){ 8 }, 1);
	struct hook_regs r = call_of(NR_GETPPID);
	struct hook_wants w;
	int link;

	NEED(prog >= 0);
	link = raw_open("sys_enter", prog);
	NEED(link >= 0);
	CHECK(!hook_fire_sys_enter(&r));
	EQ(get(map, 0), 0);
	w = learn();
	CHECK(w.any && w.all_enter && !w.all_exit && has(w.enter, 0) && !has(w.exit, 0));
	CHECK(!hook_fire_sys_enter(&r));
	EQ(get(map, 0), 1);
	EQ(get(map, 1), NR_GETPPID);
	EQ(r.ax, (u64)-ENOSYS);
	r.orig_ax = 100000;
	hook_fire_sys_enter(&r);
	EQ(get(map, 1), 100000);
	hook_fire_sys_exit(&r);
	EQ(get(map, 0), 2);
	CHECK(hook_links_alive(dir()));
	close(link);
	CHECK(!hook_links_alive(dir()));
	w = learn();
	CHECK(!w.any);
	hook_fire_sys_enter(&r);
	EQ(get(map, 0), 2);
	close(prog);
	close(map);
}

TEST(a_tracepoint_has_the_kernels_record)
{
	static const int enter_off[] = { -8, 16, 24, 32, 40 }, exit_off[] = { -8, 16 };
	int in = new_array(8), out = new_array(8);
	int p_in = noting(BPF_PROG_TYPE_TRACEPOINT, in, enter_off, 5), p_out = noting(BPF_PROG_TYPE_TRACEPOINT, out, exit_off, 2);
	int e_in = event(PERF_TYPE_TRACEPOINT, tp_id("syscalls", "sys_enter_openat"), NULL);
	int e_out = event(PERF_TYPE_TRACEPOINT, tp_id("syscalls", "sys_exit_openat"), NULL);
	struct hook_regs r = call_of(NR_OPENAT), other = call_of(NR_GETPPID);
	struct hook_wants w;
	int link;

	NEED(p_in >= 0 && p_out >= 0 && e_in >= 0 && e_out >= 0);
	link = link_event(p_in, e_in, 0);
	NEED(link >= 0);
	EQ(ioctl(e_out, PERF_EVENT_IOC_SET_BPF, p_out), 0);
	w = learn();
	CHECK(has(w.enter, NR_OPENAT) && has(w.exit, NR_OPENAT) && !has(w.enter, NR_GETPPID) && !w.all_enter);
	hook_fire_sys_enter(&r);
	hook_fire_sys_enter(&other);
	r.ax = 77;
	hook_fire_sys_exit(&r);
	hook_fire_sys_exit(&other);
	EQ(get(in, 0), 1);
	EQ(get(in, 1), NR_OPENAT);
	for (u32 i = 0; i < 4; i++)
		EQ(get(in, 2 + i), i + 1);
	EQ(get(out, 0), 1);
	EQ(get(out, 1), NR_OPENAT);
	EQ(get(out, 2), 77);
	close(e_in);				/* the link keeps the event */
	CHECK(hook_links_alive(dir()));
	close(link);
	w = learn();
	CHECK(!has(w.enter, NR_OPENAT) && has(w.exit, NR_OPENAT));
	close(e_out);
	w = learn();
	CHECK(!w.any);
	close(p_in);
	close(p_out);
	close(in);
	close(out);
}
