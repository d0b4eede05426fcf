/* SPDX-License-Identifier: Apache-2.0 */
/* hook_test.c - from link objects to runs, in one process: attach by bpf(2), learn, fire, look at the maps. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <signal.h>
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

/* ---- probes of system calls ---- */

/* Notes di of the probed function's registers and, through it, the call's first argument and number. */
static int probing(int map, s32 override)
{
	struct bpf_insn p[64];
	u32 at = 0;

	p[at++] = MOV(6, 1);
	p[at++] = LDX(7, 1, 112);					/* di: the call's registers */
	for (u32 k = 0; k < 3; k++) {
		static const int off[] = { 112, 120, 80 };		/* di, orig_ax, ax of the call */

		p[at++] = INSN(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -16, 0);
		p[at++] = MOV(1, 10);
		p[at++] = ADDI(1, -16);
		p[at++] = MOVI(2, 8);
		p[at++] = MOV(3, 7);
		p[at++] = ADDI(3, off[k]);
		p[at++] = CALL(BPF_FUNC_probe_read_kernel);
		p[at++] = INSN(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, (s32)k);
		p[at++] = MOV(2, 10);
		p[at++] = ADDI(2, -4);
		p[at++] = MOV(3, 10);
		p[at++] = ADDI(3, -16);
		p[at++] = MOVI(4, 0);
		p[at++] = (struct bpf_insn[]){ MAPFD(1, map) }[0];
		p[at++] = INSN(0, 0, 0, 0, 0);
		p[at++] = CALL(BPF_FUNC_map_update_elem);
	}
	if (override) {
		p[at++] = MOV(1, 6);
		p[at++] = MOVI(2, override);
		p[at++] = CALL(BPF_FUNC_override_return);
	}
	p[at++] = MOVI(0, 0);
	p[at++] = EXIT();
	return load(BPF_PROG_TYPE_KPROBE, p, at, 0);
}

#define KPROBE	8
#define RET	1

TEST(a_probe_of_a_system_call_finds_its_registers)
{
	int map = new_array(4), p = probing(map, 0), ev = event(KPROBE, 0, "__x64_sys_openat");
	struct hook_regs r = call_of(NR_OPENAT), other = call_of(NR_GETPPID);
	struct hook_wants w;
	int link;

	NEED(p >= 0 && ev >= 0);
	link = link_event(p, ev, 0);
	NEED(link >= 0);
	w = learn();
	CHECK(has(w.enter, NR_OPENAT) && !has(w.exit, NR_OPENAT) && !has(w.enter, NR_GETPPID));
	r.di = 4242;
	CHECK(!hook_fire_sys_enter(&r));
	EQ(get(map, 0), 4242);
	EQ(get(map, 1), NR_OPENAT);
	EQ(get(map, 2), (u64)-ENOSYS);
	other.di = 1;
	hook_fire_sys_enter(&other);
	EQ(get(map, 0), 4242);
	close(link);
	close(ev);
	close(p);
	close(map);
}

TEST(a_return_probe_sees_the_result)
{
	int map = new_array(2), p = noting(BPF_PROG_TYPE_KPROBE, map, (int[]){ 80 }, 1);
	int ev = event(KPROBE, RET, "__x64_sys_getppid");
	struct hook_regs r = call_of(NR_GETPPID);
	struct hook_wants w;

	NEED(p >= 0 && ev >= 0);
	EQ(ioctl(ev, PERF_EVENT_IOC_SET_BPF, p), 0);
	w = learn();
	CHECK(!has(w.enter, NR_GETPPID) && has(w.exit, NR_GETPPID));
	r.ax = 1234;
	hook_fire_sys_exit(&r);
	EQ(get(map, 0), 1);
	EQ(get(map, 1), 1234);
	close(ev);
	close(p);
	close(map);
}

TEST(override_return_replaces_the_call)
{
	int map = new_array(4), count = new_array(2), p = probing(map, -EPERM);
	int q = noting(BPF_PROG_TYPE_KPROBE, count, NULL, 0), exit = noting(BPF_PROG_TYPE_TRACEPOINT, count, (int[]){ 16 }, 1);
	int a = event(KPROBE, 0, "__x64_sys_openat"), b = event(KPROBE, 0, "__x64_sys_openat");
	int c = event(PERF_TYPE_TRACEPOINT, tp_id("syscalls", "sys_exit_openat"), NULL);
	struct hook_regs r = call_of(NR_OPENAT);

	NEED(p >= 0 && q >= 0 && exit >= 0 && a >= 0 && b >= 0 && c >= 0);
	EQ(ioctl(a, PERF_EVENT_IOC_SET_BPF, p), 0);
	EQ(ioctl(b, PERF_EVENT_IOC_SET_BPF, q), 0);
	EQ(ioctl(c, PERF_EVENT_IOC_SET_BPF, exit), 0);
	learn();
	CHECK(hook_fire_sys_enter(&r));
	EQ(r.ax, (u64)-EPERM);
	EQ(get(count, 0), 0);			/* probes behind it do not run */
	hook_fire_sys_exit(&r);
	EQ(get(count, 0), 1);
	EQ(get(count, 1), (u64)-EPERM);
	close(a);
	learn();
	r = call_of(NR_OPENAT);
	CHECK(!hook_fire_sys_enter(&r));
	EQ(get(count, 0), 2);
	t_row("only at the entry of a system call");
	a = event(KPROBE, RET, "__x64_sys_openat");
	EQ(ioctl(a, PERF_EVENT_IOC_SET_BPF, p), -1);
	EQ(errno, EINVAL);
	EQ(link_event(p, a, 0), -EINVAL);
	close(a);
	close(b);
	close(c);
	close(p);
	close(q);
	close(exit);
	close(map);
	close(count);
}

static int opened(int fd)
{
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

TEST(what_can_be_probed)
{
	static const struct { const char *symbol; int err; } rows[] = {
		{ "__x64_sys_openat", 0 }, { "__x64_sys_newfstat", 0 }, { "__x64_sys_bpf", 0 },
		{ "__x64_sys_fstat", -ENOENT }, { "__x64_sys_", -ENOENT }, { "__x64_sys_nope", -ENOENT },
		{ "sys_openat", -ENOENT }, { "do_sys_openat2", -ENOENT }, { "", -ENOENT },
	};
	struct perf_event_attr a = { .type = KPROBE, .size = sizeof(a) };
	struct bpf_insn ret0[] = { MOVI(0, 0), EXIT() };
	char name[600];
	int ev, p;

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		t_row("kprobe of '%s'", rows[i].symbol);
		EQ(opened(event(KPROBE, 0, rows[i].symbol)), rows[i].err);
		EQ(opened(event(KPROBE, RET, rows[i].symbol)), rows[i].err);
	}
	t_row("a symbol that is too long");
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = 0;
	EQ(opened(event(KPROBE, 0, name)), -E2BIG);
	t_row("a symbol that cannot be read");
	EQ(opened(event(KPROBE, 0, (void *)8)), -EFAULT);
	t_row("inside of a function");
	a.kprobe_func = (u64)(uintptr_t)"__x64_sys_openat";
	a.probe_offset = 4;
	EQ(door_perf_event_open((u64)(uintptr_t)&a, -1, 0, -1, 0), -EINVAL);
	t_row("by address");
	a.kprobe_func = 0;
	a.probe_offset = 0xffffffff81000000;
	EQ(door_perf_event_open((u64)(uintptr_t)&a, -1, 0, -1, 0), -EINVAL);
	t_row("sleepable programs are for uprobes");
	p = load(BPF_PROG_TYPE_KPROBE, ret0, 2, BPF_F_SLEEPABLE);
	ev = event(KPROBE, 0, "__x64_sys_openat");
	EQ(link_event(p, ev, 0), -EINVAL);
	close(p);
	t_row("tracepoint programs are not for probes");
	p = load(BPF_PROG_TYPE_TRACEPOINT, ret0, 2, 0);
	EQ(link_event(p, ev, 0), -EINVAL);
	close(p);
	close(ev);
}

/* ---- several programs ---- */

/* Notes TAG in slot n of the map, n counted in slot 0. */
static int tagging(u32 type, int map, s32 tag)
{
	struct bpf_insn p[] = {
		INSN(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0), MOV(2, 10), ADDI(2, -4), MAPFD(1, map),
		CALL(BPF_FUNC_map_lookup_elem), INSN(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 12, 0),
		LDX(1, 0, 0), ADDI(1, 1), STX(0, 1, 0), INSN(BPF_STX | BPF_MEM | BPF_W, 10, 1, -4, 0),
		INSN(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -16, tag), MOV(2, 10), ADDI(2, -4), MOV(3, 10), ADDI(3, -16),
		MOVI(4, 0), MAPFD(1, map), CALL(BPF_FUNC_map_update_elem), MOVI(0, 0), EXIT(),
	};

	return load(type, p, ARRAY_SIZE(p), 0);
}

TEST(programs_of_a_point_run_in_the_order_they_were_attached)
{
	int map = new_array(16), prog[6], fd[6];
	struct hook_regs r = call_of(NR_GETPPID);
	static const u32 order[] = { 2, 4, 3, 5, 1 };	/* tags as they should come */

	prog[1] = tagging(BPF_PROG_TYPE_KPROBE, map, 1);
	fd[1] = event(KPROBE, 0, "__x64_sys_getppid");
	EQ(ioctl(fd[1], PERF_EVENT_IOC_SET_BPF, prog[1]), 0);
	for (int i = 2; i < 6; i++) {
		bool raw = i == 3;

		prog[i] = tagging(raw ? BPF_PROG_TYPE_RAW_TRACEPOINT : BPF_PROG_TYPE_TRACEPOINT, map, i);
		NEED(prog[i] >= 0);
		fd[i] = raw ? raw_open("sys_enter", prog[i]) :
			event(PERF_TYPE_TRACEPOINT, i == 5 ? tp_id("raw_syscalls", "sys_enter") :
							     tp_id("syscalls", "sys_enter_getppid"), NULL);
		NEED(fd[i] >= 0);
		if (!raw)
			EQ(ioctl(fd[i], PERF_EVENT_IOC_SET_BPF, prog[i]), 0);
	}
	learn();
	hook_fire_sys_enter(&r);
	EQ(get(map, 0), 5);
	for (u32 i = 0; i < 5; i++)
		EQ(get(map, i + 1), order[i]);
	for (int i = 1; i < 6; i++) {
		close(fd[i]);
		close(prog[i]);
	}
	close(map);
}

TEST(each_link_has_its_cookie)
{
	int map = new_array(4);
	struct bpf_insn p[] = {
		CALL(BPF_FUNC_get_attach_cookie), INSN(BPF_STX | BPF_MEM | BPF_DW, 10, 0, -16, 0),
		INSN(BPF_STX | BPF_MEM | BPF_W, 10, 0, -4, 0), MOV(2, 10), ADDI(2, -4), MOV(3, 10), ADDI(3, -16),
		MOVI(4, 0), MAPFD(1, map), CALL(BPF_FUNC_map_update_elem), MOVI(0, 0), EXIT(),
	};
	int tp = load(BPF_PROG_TYPE_TRACEPOINT, p, ARRAY_SIZE(p), 0), kp = load(BPF_PROG_TYPE_KPROBE, p, ARRAY_SIZE(p), 0);
	int ev[3], link[3];
	struct hook_regs r = call_of(NR_GETPPID);

	NEED(tp >= 0 && kp >= 0);
	ev[0] = event(PERF_TYPE_TRACEPOINT, tp_id("syscalls", "sys_enter_getppid"), NULL);
	ev[1] = event(KPROBE, 0, "__x64_sys_getppid");
	ev[2] = event(KPROBE, 0, "__x64_sys_getppid");
	for (int i = 0; i < 3; i++) {
		link[i] = link_event(i ? kp : tp, ev[i], (u64)i + 1);
		NEED(link[i] >= 0);
	}
	learn();
	hook_fire_sys_enter(&r);
	for (u32 i = 0; i < 4; i++)
		EQ(get(map, i), i);
	for (int i = 0; i < 3; i++) {
		close(link[i]);
		close(ev[i]);
	}
	close(tp);
	close(kp);
	close(map);
}

/* ---- processes ---- */

TEST(sched_records)
{
	int map = new_array(8), p[3], ev[3];
	static const char *const names[] = { "sched_process_exec", "sched_process_fork", "sched_process_exit" };
	static const int off[3][4] = { { -12, -16, -8, -20 }, { -12, -20, -8, -16 }, { -24, -28, -32, -8 } };
	struct hook_wants w;

	for (int i = 0; i < 3; i++) {
		p[i] = noting(BPF_PROG_TYPE_TRACEPOINT, map, off[i], i == 2 ? 2 : 3);
		ev[i] = event(PERF_TYPE_TRACEPOINT, tp_id("sched", names[i]), NULL);
		EQ(ioctl(ev[i], PERF_EVENT_IOC_SET_BPF, p[i]), 0);
	}
	w = learn();
	CHECK(w.sched_exec && w.sched_fork && w.sched_exit && !w.all_enter && !has(w.enter, 59));
	hook_fire_sched_exec("/bin/true", 11, 12);
	EQ(get(map, 0), 1);
	EQ(get(map, 1), 11);
	EQ(get(map, 2), 12);
	EQ(get(map, 3), 10u << 16 | 20);
	hook_fire_sched_fork("parent", 21, "child", 22);
	EQ(get(map, 0), 2);
	EQ(get(map, 1), 21);
	EQ(get(map, 2), 22);
	EQ(get(map, 3), 7u << 16 | 24);
	hook_fire_sched_exit("gone", 31, 120, true);
	EQ(get(map, 0), 3);
	EQ(get(map, 1), 31);
	EQ(get(map, 2), 120);
	for (int i = 0; i < 3; i++) {
		close(ev[i]);
		close(p[i]);
	}
	close(map);
}

TEST(the_strings_of_a_record_are_where_it_says)
{
	int map = new_array(2);
	struct bpf_insn p[] = {
		MOV(6, 1), LDX4(7, 1, 16),			/* child_comm: length << 16 | offset */
		INSN(BPF_ALU64 | BPF_AND | BPF_K, 7, 0, 0, 0xffff), INSN(BPF_ALU64 | BPF_ADD | BPF_X, 6, 7, 0, 0),
		INSN(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -16, 0), MOV(1, 10), ADDI(1, -16), MOVI(2, 8), MOV(3, 6),
		CALL(BPF_FUNC_probe_read_kernel_str), INSN(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0), MOV(2, 10), ADDI(2, -4),
		MOV(3, 10), ADDI(3, -16), MOVI(4, 0), MAPFD(1, map), CALL(BPF_FUNC_map_update_elem), MOVI(0, 0), EXIT(),
	};
	int prog = load(BPF_PROG_TYPE_TRACEPOINT, p, ARRAY_SIZE(p), 0);
	int ev = event(PERF_TYPE_TRACEPOINT, tp_id("sched", "sched_process_fork"), NULL);
	char text[9] = "";
	u64 v;

	NEED(prog >= 0);
	EQ(ioctl(ev, PERF_EVENT_IOC_SET_BPF, prog), 0);
	learn();
	hook_fire_sched_fork("a", 1, "child", 2);
	v = get(map, 0);
	memcpy(text, &v, 8);
	STR_EQ(text, "child");
	close(ev);
	close(prog);
	close(map);
}

/* ---- many threads, many changes ---- */

static u32 stop;

static void *firing(void *arg)
{
	struct hook_regs r = call_of(NR_GETPPID);
	u64 *n = arg;

	while (!READ_ONCE(stop)) {
		hook_fire_sys_enter(&r);
		r.ax = 1;
		hook_fire_sys_exit(&r);
		__atomic_fetch_add(n, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST(lists_are_swapped_while_threads_are_inside)
{
	int map = new_array(2), p = noting(BPF_PROG_TYPE_TRACEPOINT, map, NULL, 0);
	int other = noting(BPF_PROG_TYPE_RAW_TRACEPOINT, map, NULL, 0), rounds = t_fast() ? 100 : 2000;
	struct hook_counts c;
	struct hook_wants w;
	pthread_t t[3];
	u64 n = 0;

	NEED(p >= 0 && other >= 0);
	WRITE_ONCE(stop, 0);
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_create(&t[i], NULL, firing, &n));
	for (int i = 0; i < rounds; i++) {
		int ev = event(PERF_TYPE_TRACEPOINT, tp_id("syscalls", "sys_enter_getppid"), NULL), raw;
		u64 was = get(map, 0);

		EQ(ioctl(ev, PERF_EVENT_IOC_SET_BPF, p), 0);
		EQ(hook_learn(dir(), 0, getpid(), &w), 0);
		raw = raw_open("sys_exit", other);
		while (get(map, 0) == was)
			;
		EQ(hook_learn(dir(), 0, getpid(), &w), 0);
		close(ev);
		close(raw);
		EQ(hook_learn(dir(), 0, getpid(), &w), 0);
		CHECK(!w.any);
		while (hook_reap())
			;
		was = get(map, 0);
		EQ(get(map, 0), was);		/* nobody runs what was freed */
	}
	WRITE_ONCE(stop, 1);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	hook_counts(&c);
	EQ(c.pending, 0);
	EQ(c.missed, 0);
	CHECK(n);
	close(p);
	close(other);
	close(map);
}

TEST(a_link_ends_with_the_process_that_held_it)
{
	int map = new_array(2), p = noting(BPF_PROG_TYPE_RAW_TRACEPOINT, map, NULL, 0), to[2], status;
	struct hook_regs r = call_of(NR_GETPPID);
	char ready;
	pid_t pid;

	NEED(p >= 0 && !pipe(to));
	pid = fork();
	if (!pid) {
		ready = raw_open("sys_enter", p) >= 0;
		if (write(to[1], &ready, 1) == 1)
			pause();
		_exit(0);
	}
	EQ(read(to[0], &ready, 1), 1);
	CHECK(ready == 1);
	learn();
	hook_fire_sys_enter(&r);
	EQ(get(map, 0), 1);
	CHECK(hook_links_alive(dir()));
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	CHECK(!hook_links_alive(dir()));
	learn();
	hook_fire_sys_enter(&r);
	EQ(get(map, 0), 1);
	close(to[0]);
	close(to[1]);
	close(p);
	close(map);
}

TEST(a_link_of_another_session_is_not_ours)
{
	int map = new_array(2), p = noting(BPF_PROG_TYPE_RAW_TRACEPOINT, map, NULL, 0), link;
	struct hook_wants w;

	NEED(p >= 0);
	setenv("SKEP_SCOPE", "abc", 1);
	link = raw_open("sys_enter", p);
	unsetenv("SKEP_SCOPE");
	NEED(link >= 0);
	EQ(hook_learn(dir(), 0, getpid(), &w), 0);
	CHECK(!w.any);
	EQ(hook_learn(dir(), 0xabc, getpid(), &w), 0);
	CHECK(w.all_enter);
	close(link);
	learn();
	close(p);
	close(map);
}

TEST(a_pin_keeps_a_link)
{
	int map = new_array(2), p = noting(BPF_PROG_TYPE_RAW_TRACEPOINT, map, NULL, 0), link = raw_open("sys_enter", p);
	union bpf_attr a = { .pathname = (u64)(uintptr_t)"/sys/fs/bpf/a_link", .bpf_fd = (u32)link };
	struct hook_regs r = call_of(NR_GETPPID);

	NEED(p >= 0 && link >= 0);
	EQ(skep_bpf(BPF_OBJ_PIN, &a, sizeof(a)), 0);
	close(link);
	close(p);
	CHECK(learn().all_enter);
	hook_fire_sys_enter(&r);
	EQ(get(map, 0), 1);
	a.bpf_fd = 0;
	link = skep_bpf(BPF_OBJ_GET, &a, sizeof(a));
	CHECK(link >= 0);
	close(link);
	EQ(unlink("/sys/fs/bpf/a_link"), 0);
	CHECK(!learn().any);
	close(map);
}

TEST(raw_sched_programs_get_the_running_task)
{
	int map = new_array(4), p = noting(BPF_PROG_TYPE_RAW_TRACEPOINT, map, (int[]){ 0, 8 }, 2);
	int link = raw_open("sched_process_exec", p);

	NEED(link >= 0);
	learn();
	hook_fire_sched_exec("x", 1, 77);
	CHECK(get(map, 1));
	EQ(get(map, 2), 77);
	close(link);
	close(p);
	close(map);
}
