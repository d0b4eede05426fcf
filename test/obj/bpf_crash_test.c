/* SPDX-License-Identifier: Apache-2.0 */
/* bpf_crash_test.c - as crash_test.c, but by bpf(2) as a loader speaks it: maps of each kind that holds references, a
 * program with a tail call, pins. SIGKILL at each system call; afterwards nothing is left but what was pinned. */
#include <linux/bpf.h>

#include "skep.h"
#include "step.h"

#define INSN(c, d, s, o, i)	{ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) }

static long bpf(int cmd, union bpf_attr *a)
{
	return skep_bpf(cmd, a, sizeof(*a));
}

static int map_create(u32 type, u32 value, u32 inner)
{
	union bpf_attr a;

	memset(&a, 0, sizeof(a));
	a.map_type = type;
	a.key_size = 4;
	a.value_size = value;
	a.max_entries = 8;
	a.inner_map_fd = inner;
	strcpy(a.map_name, "crash");
	return bpf(BPF_MAP_CREATE, &a);
}

static long map_set(int map, u32 key, const void *value)
{
	union bpf_attr a;

	memset(&a, 0, sizeof(a));
	a.map_fd = map;
	a.key = (uintptr_t)&key;
	a.value = (uintptr_t)value;
	return bpf(BPF_MAP_UPDATE_ELEM, &a);
}

static long map_get_u64(int map, u32 key, u64 *value)
{
	union bpf_attr a;

	memset(&a, 0, sizeof(a));
	a.map_fd = map;
	a.key = (uintptr_t)&key;
	a.value = (uintptr_t)value;
	return bpf(BPF_MAP_LOOKUP_ELEM, &a);
}

/* Tail calls slot 0, else returns 7. */
static int prog_load(int array)
{
	struct bpf_insn p[] = {
		INSN(BPF_LD | BPF_DW | BPF_IMM, 2, BPF_PSEUDO_MAP_FD, 0, array), INSN(0, 0, 0, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_tail_call),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 7),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr a;

	memset(&a, 0, sizeof(a));
	a.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	a.insns = (uintptr_t)p;
	a.insn_cnt = ARRAY_SIZE(p);
	a.license = (uintptr_t)"GPL";
	return bpf(BPF_PROG_LOAD, &a);
}

static long pin(int fd, const char *name)
{
	union bpf_attr a;
	char path[300];

	snprintf(path, sizeof(path), "%s/bpffs/%s", skep_dir__path(), name);
	memset(&a, 0, sizeof(a));
	a.pathname = (uintptr_t)path;
	a.bpf_fd = fd;
	return bpf(BPF_OBJ_PIN, &a);
}

static int get(const char *name)
{
	union bpf_attr a;
	char path[300];

	snprintf(path, sizeof(path), "%s/bpffs/%s", skep_dir__path(), name);
	memset(&a, 0, sizeof(a));
	a.pathname = (uintptr_t)path;
	return bpf(BPF_OBJ_GET, &a);
}

struct state {
	int done;		/* steps that the victim has behind it */
	long err;		/* of the step that failed */
};
static struct state *st;

#define STEP(n, call)	do { long r_ = (call); if (r_ < 0) { st->err = r_; return; } st->done = (n); } while (0)

static void victim(void)
{
	int array, hash, outer, progs, prog;
	u64 v = 4711;
	u32 fd;

	STEP(1, array = map_create(BPF_MAP_TYPE_ARRAY, 8, 0));
	STEP(2, map_set(array, 1, &v));
	STEP(3, hash = map_create(BPF_MAP_TYPE_HASH, 8, 0));
	STEP(4, map_set(hash, 5, &v));
	STEP(5, pin(hash, "hash"));
	STEP(6, outer = map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, array));
	fd = array;
	STEP(7, map_set(outer, 0, &fd));
	STEP(8, pin(outer, "outer"));
	STEP(9, progs = map_create(BPF_MAP_TYPE_PROG_ARRAY, 4, 0));
	STEP(10, prog = prog_load(progs));
	fd = prog;
	STEP(11, map_set(progs, 0, &fd));	/* a circle: program, prog_array, program */
	STEP(12, pin(prog, "prog"));
	close(array);
	close(outer);
	close(progs);
	close(prog);
	STEP(13, 0);
}

static void check_pins(void)
{
	static const struct {
		const char *name;
		int step;
	} pins[] = { { "hash", 5 }, { "outer", 8 }, { "prog", 12 } };
	u64 v = 0;

	for (size_t i = 0; i < ARRAY_SIZE(pins); i++) {
		int fd = get(pins[i].name);

		CHECK(fd >= 0 || (fd == -ENOENT && st->done < pins[i].step));
		if (fd >= 0 && !i) {
			EQ(map_get_u64(fd, 5, &v), 0);
			EQ(v, 4711);
		}
		if (fd >= 0)
			close(fd);
	}
}

static bool round_of(long halves, long insns)
{
	struct stepper s;
	bool ended;

	memset(st, 0, sizeof(*st));
	s = step_start(victim);
	while (s.steps < halves && step_half(&s))
		;
	for (long i = 0; i < insns && step_insn(&s); i++)
		;
	ended = s.ended;
	step_kill(&s);
	EQ(st->err, 0);
	obj_gc(dir);
	check_pins();
	unpin("hash");
	unpin("outer");
	unpin("prog");
	obj_gc(dir);
	obj_gc(dir);		/* the circle was cut by the first */
	EQ(left_over(), 0);
	return !ended;
}

TEST(a_loader_killed_at_each_system_call)
{
	long n = 0, stride = t_fast() ? 3 : 1;
	int warm;

	dir_setup();
	st = mmap(NULL, sizeof(*st), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	warm = map_create(BPF_MAP_TYPE_ARRAY, 8, 0);	/* the map layer knows this directory from here on */
	NEED(warm >= 0);
	close(warm);
	while (round_of(n, 0))
		n += stride;
	CHECK(n > 100);
	EQ(st->done, 13);
}

TEST(a_loader_killed_at_sampled_instructions)
{
	NEED(st);
	srandom(11);
	for (int i = 0; i < (t_fast() ? 10 : 300); i++)
		round_of(random() % 500, random() % 3000);
}
