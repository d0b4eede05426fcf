/* SPDX-License-Identifier: Apache-2.0 */
/* crash_test.c - SIGKILL between any two system calls (and at sampled instructions) of whoever creates, loads,
 * pins, refers, opens or collects. Afterwards: what must live lives, a gc leaves nothing else, a bystander's
 * objects are untouched. */
#include "step.h"

struct state {
	u32 map, prog, own;	/* ids: held by us, the victim's program, the victim's map */
	int ret;
};
static struct state *st;

static int map_fd = -1, by_map, by_prog;
static u32 by_map_id, by_prog_id;

/* The bystander: a pinned map with a value in it, and a program that refers to it. */
static void bystander(void)
{
	struct obj *o;

	dir_setup();
	st = mmap(NULL, sizeof(*st), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	by_map_id = make_obj(OBJ_MAP, SKEP_PAGE, 0, &by_map);
	by_prog_id = make_obj(OBJ_PROG, 0, 0, &by_prog);
	if (!by_map_id || !by_prog_id || obj_pin(dir, by_map, "bystander") ||
	    obj_ref(dir, OBJ_PROG, by_prog_id, "map0", OBJ_MAP, by_map_id) || obj_map(dir, by_map, &o))
		abort();
	o->base[100] = 42;
	obj_unmap(o);
}

#define BYSTANDER 5		/* map, prog, ref dir, ref, pin */

static void check_bystander(void)
{
	struct obj *o;
	int fd = obj_open_pin(dir, "bystander", O_RDWR);

	CHECK(obj_alive(dir, OBJ_MAP, by_map_id) && obj_alive(dir, OBJ_PROG, by_prog_id));
	CHECK(fd >= 0);
	if (fd < 0)
		return;
	EQ(obj_map(dir, fd, &o), 0);
	EQ(o->base[100], 42);
	EQ(o->id, by_map_id);
	obj_unmap(o);
	close(fd);
}

/* ---- what victims do ---- */

static void v_create(void)
{
	int fd;

	st->own = make_obj(OBJ_MAP, 2 * SKEP_PAGE, 0, &fd);
}

static void v_load(void)
{
	struct obj *p;
	int fd, own;

	st->own = make_obj(OBJ_MAP, 0, 0, &own);
	if (obj_create(dir, OBJ_PROG, "p", 0, 2 * SKEP_PAGE, &p, &fd))
		return;
	st->prog = p->id;
	obj_ref(dir, OBJ_PROG, p->id, "map0", OBJ_MAP, st->map);
	obj_ref(dir, OBJ_PROG, p->id, "map1", OBJ_MAP, st->own);
	obj_publish(p);
	obj_pin(dir, fd, "loaded");
}

static void v_abort(void)
{
	struct obj *p;
	int fd;

	if (obj_create(dir, OBJ_PROG, "p", 0, 0, &p, &fd))
		return;
	obj_ref(dir, OBJ_PROG, p->id, "map0", OBJ_MAP, st->map);
	obj_abort(p, fd);
}

static void v_pin(void)
{
	int fd;

	st->own = make_obj(OBJ_MAP, 0, 0, &fd);
	st->ret = obj_pin(dir, fd, "victim");
	close(fd);
	st->ret = 1;
}

static void v_open(void)
{
	struct obj *o;
	int fd = obj_open_id(dir, OBJ_MAP, st->map, O_WRONLY), pin = obj_open_pin(dir, "bystander", O_RDONLY);
	u32 id = 0;

	if (fd >= 0 && !obj_map(dir, fd, &o))
		obj_map_running(dir, OBJ_MAP, o->id, o->gen, &o);
	while (!obj_next_id(dir, OBJ_MAP, id, &id))
		;
	(void)pin;
}

static void v_replace_ref(void)
{
	int fd;
	u32 id = make_obj(OBJ_MAP, 0, 0, &fd);

	obj_ref(dir, OBJ_PROG, st->prog, "slot", OBJ_MAP, id);
	obj_ref(dir, OBJ_PROG, st->prog, "slot", OBJ_MAP, st->map);
	obj_unref(dir, OBJ_PROG, st->prog, "slot");
}

static void v_collect(void)
{
	st->ret = obj_collect(dir, OBJ_PROG, st->prog);
}

static void v_gc(void)
{
	obj_gc(dir);
}

/* ---- what is there before, and what must be after ---- */

static void own_map(void)
{
	st->map = make_obj(OBJ_MAP, 0, 0, &map_fd);
}

static void dead_prog(void)
{
	int fd, own;

	own_map();
	st->own = make_obj(OBJ_MAP, 0, 0, &own);
	st->prog = make_obj(OBJ_PROG, 0, 0, &fd);
	obj_ref(dir, OBJ_PROG, st->prog, "map0", OBJ_MAP, st->map);
	obj_ref(dir, OBJ_PROG, st->prog, "map1", OBJ_MAP, st->own);
	close(own);
	close(fd);
}

static int prog_fd = -1;
static void live_prog(void)
{
	own_map();
	st->prog = make_obj(OBJ_PROG, 0, 0, &prog_fd);
}

static void map_lives(void)
{
	CHECK(obj_alive(dir, OBJ_MAP, st->map));
}

/* A pin either is there and good, or is not. Once the victim went past it, it is there. */
static void pin_whole(void)
{
	int fd = obj_open_pin(dir, "victim", O_RDWR);
	struct obj *o;

	CHECK(fd >= 0 || (fd == -ENOENT && st->ret != 1));
	if (fd < 0)
		return;
	EQ(obj_gc(dir), 0);
	EQ(obj_map(dir, fd, &o), 0);
	EQ(o->id, st->own);
	EQ(o->hdr->state, OBJ_LIVE);
	obj_unmap(o);
	close(fd);
	EQ(unpin("victim"), 0);
}

static void load_whole(void)
{
	int fd = obj_open_pin(dir, "loaded", O_RDWR);

	map_lives();
	CHECK(fd >= 0 || fd == -ENOENT);
	if (fd < 0)
		return;
	obj_gc(dir);
	CHECK(obj_alive(dir, OBJ_MAP, st->own));	/* by the program's reference alone */
	CHECK(obj_alive(dir, OBJ_PROG, st->prog));
	close(fd);
	EQ(unpin("loaded"), 0);
}

/* At most the directory and one finished reference are left of it. */
static void ref_whole(void)
{
	map_lives();
	CHECK(obj_alive(dir, OBJ_PROG, st->prog));
	obj_gc(dir);
	CHECK(entries("ref") <= 2 + 2);
	CHECK(entries("bpf-map") <= 1 + 1 + 1);
}

static const struct scenario {
	const char *name;
	void (*before)(void), (*victim)(void), (*after)(void);
} scenarios[] = {
	{ "create", own_map, v_create, map_lives },
	{ "load: a program and its references, pinned", own_map, v_load, load_whole },
	{ "abort of a load", own_map, v_abort, map_lives },
	{ "pin and close", own_map, v_pin, pin_whole },
	{ "open by id and by pin, map, list", own_map, v_open, map_lives },
	{ "replace and remove a reference", live_prog, v_replace_ref, ref_whole },
	{ "collect a program with its map", dead_prog, v_collect, map_lives },
	{ "gc", dead_prog, v_gc, map_lives },
};

/* One round: the victim runs CALLS half steps and INSNS instructions, and is killed. False: it had ended. */
static bool round_of(const struct scenario *s, long calls, long insns)
{
	struct stepper v;
	bool ended;

	memset(st, 0, sizeof(*st));
	s->before();
	v = step_start(s->victim);
	while (v.steps < calls && step_half(&v))
		;
	for (long i = 0; i < insns && step_insn(&v); i++)
		;
	ended = v.ended;
	step_kill(&v);
	s->after();
	if (map_fd >= 0)
		close(map_fd);
	if (prog_fd >= 0)
		close(prog_fd);
	map_fd = prog_fd = -1;
	obj_gc(dir);
	EQ(left_over(), BYSTANDER);
	check_bystander();
	return !ended;
}

TEST(killed_at_each_system_call)
{
	bystander();
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
		long n = 0;

		t_row("killed at each system call: %s", scenarios[i].name);
		while (round_of(&scenarios[i], n, 0))
			n++;
		CHECK(n > 10);
	}
}

/* Between two system calls there are stores to shared memory as well. */
TEST(killed_at_sampled_instructions)
{
	int samples = t_fast() ? 12 : 150;

	srandom(1);
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
		t_row("killed at sampled instructions: %s", scenarios[i].name);
		for (int n = 0; n < samples; n++)
			round_of(&scenarios[i], random() % 120, random() % (t_fast() ? 200 : 2000));
	}
	close(by_map);
	close(by_prog);
	unpin("bystander");
	obj_gc(dir);
	EQ(left_over(), 0);
}

/* ---- the directory itself ---- */

static char fresh[128];

static void v_dir_open(void)
{
	struct obj_dir *d;

	st->ret = obj_dir_open(fresh, &d);
	if (!st->ret)
		domain_self(d->dom);
}

TEST(killed_while_the_directory_is_made)
{
	bool more = true;

	for (long n = 0; more; n++) {
		struct obj_dir *d;
		struct stepper v;
		int err;

		snprintf(fresh, sizeof(fresh), "%s/fresh%ld", t_tmpdir(), n);
		v = step_start(v_dir_open);
		while (v.steps < n && step_half(&v))
			;
		more = !v.ended;
		step_kill(&v);
		err = obj_dir_open(fresh, &d);
		EQ(err, 0);
		if (err)
			return;
		CHECK(domain_self(d->dom) != 0);
		obj_dir_close(d);
	}
}
