/* SPDX-License-Identifier: Apache-2.0 */
/* interleave_test.c - two processes at one object, orders of their system calls with two switches (sampled), and
 * random ones. Whoever got a reference has a whole, named, living object; if nobody did, nothing is left. */
#include "step.h"

struct shared {
	u32 obj, target;	/* ids: the object, and what it refers to */
	int a_fd, b_fd;		/* what the two got: an fd, or -errno */
};
static struct shared *sh;
static int held = -1;		/* inherited by the child that is to close it last */

static void prepare(bool pinned)
{
	int t;

	sh->target = make_obj(OBJ_MAP, 0, 0, &t);
	sh->obj = make_obj(OBJ_PROG, 0, 0, &held);
	obj_ref(dir, OBJ_PROG, sh->obj, "map0", OBJ_MAP, sh->target);
	close(t);
	if (pinned)
		obj_pin(dir, held, "pin");
	sh->a_fd = sh->b_fd = -1;
}

static void dead(void)
{
	prepare(false);
	close(held);
	held = -1;
}

static void pinned(void)
{
	prepare(true);
	close(held);
	held = -1;
}

static void in_hand(void)
{
	prepare(false);
}

/* ---- what the two do ---- */

static void collect(void)
{
	obj_collect(dir, OBJ_PROG, sh->obj);
}

static void gc(void)
{
	obj_gc(dir);
}

static void drop_and_collect(void)
{
	close(held);
	obj_collect(dir, OBJ_PROG, sh->obj);
}

static void drop(void)
{
	close(held);
}

static void unpin_and_collect(void)
{
	unpin("pin");
	obj_collect(dir, OBJ_PROG, sh->obj);
}

static void open_id(void)
{
	close(held);		/* the other one has it too, and drops it last */
	sh->b_fd = obj_open_id(dir, OBJ_PROG, sh->obj, O_RDWR);
}

static void open_pin(void)
{
	sh->b_fd = obj_open_pin(dir, "pin", O_RDWR);
}

static void open_pin_and_unpin(void)
{
	sh->b_fd = obj_open_pin(dir, "pin", O_RDWR);
	unpin("pin");
}

static void pin_and_drop(void)
{
	sh->b_fd = obj_pin(dir, held, "pin") ? -1 : 1000;
	close(held);
}

static void pin_moves(void)
{
	int fd = obj_open_pin(dir, "pin", O_RDWR);

	unpin("pin");
	sh->b_fd = fd >= 0 && !obj_pin(dir, fd, "pin2") ? 1000 : -1;
	close(fd);
}

static void refer_and_drop(void)
{
	sh->b_fd = obj_ref(dir, OBJ_MAP, sh->target, "slot", OBJ_PROG, sh->obj) ? -1 : 1000;
	close(held);
}

static void map_running(void)
{
	struct obj *o;
	int fd = obj_open_pin(dir, "pin", O_RDWR);

	if (fd < 0 || obj_map(dir, fd, &o) || obj_map_running(dir, OBJ_PROG, o->id, o->gen, &o))
		return;
	close(fd);
	unpin("pin");
	sh->b_fd = 1000;
}

static void open_id_pin_and_drop(void)
{
	int fd;

	close(held);
	fd = obj_open_id(dir, OBJ_PROG, sh->obj, O_RDWR);
	sh->b_fd = fd >= 0 && !obj_pin(dir, fd, "pin") ? 1000 : -1;
	close(fd);
}

enum want { MAY, MUST, NEVER };		/* does the object live when both are done? */

static const struct scenario {
	const char *name;
	void (*before)(void), (*a)(void), (*b)(void);
	enum want want;
} scenarios[] = {
	{ "two collectors of one dead object", dead, collect, collect, NEVER },
	{ "a collector and a gc", dead, collect, gc, NEVER },
	{ "last holder closes and collects, another opens by id", in_hand, drop_and_collect, open_id, MAY },
	{ "last holder closes and collects, another opens by id, pins, closes", in_hand, drop_and_collect,
	  open_id_pin_and_drop, MAY },
	{ "last holder closes, another opens by id and collects on the spot", in_hand, drop, open_id, MAY },
	{ "collector, and one who opens by pin", pinned, gc, open_pin, MUST },
	{ "collector, and one who opens by pin and unpins", pinned, gc, open_pin_and_unpin, MUST },
	{ "collector, and one who pins and closes", in_hand, drop_and_collect, pin_and_drop, MUST },
	{ "collector, and one who moves the pin by opening it", pinned, gc, pin_moves, MUST },
	{ "one unpins and collects, another opens the pin", pinned, unpin_and_collect, open_pin, MAY },
	{ "one unpins and collects, another maps it to run", pinned, unpin_and_collect, map_running, MAY },
	{ "collector, and one who refers to it and closes", in_hand, drop_and_collect, refer_and_drop, MUST },
	{ "both unpin and collect", pinned, unpin_and_collect, unpin_and_collect, NEVER },
};

/* Both stand at their ends, still holding what they got. */
static void judge(const struct scenario *s)
{
	bool got = sh->b_fd >= 0, alive;

	obj_gc(dir);
	alive = obj_alive(dir, OBJ_PROG, sh->obj);
	if (s->want == MUST)
		CHECK(got);
	if (s->want == NEVER)
		CHECK(!alive);
	EQ(alive, got);
	EQ(obj_alive(dir, OBJ_MAP, sh->target), got);
	EQ(entries("dead"), 0);
	if (got) {
		int fd = obj_open_id(dir, OBJ_PROG, sh->obj, O_RDWR);

		CHECK(fd >= 0);
		close(fd);
		CHECK(entries("ref") >= 2);
	}
}

static void begin(const struct scenario *s, struct stepper p[2])
{
	s->before();
	p[0] = step_start(s->a);
	p[1] = step_start(s->b);
	if (held >= 0)
		close(held);
	held = -1;
	for (int i = 0; i < 2; i++)
		ptrace(PTRACE_SETOPTIONS, p[i].pid, 0,
		       PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACEEXIT);
}

static void to_the_end(struct stepper *s)
{
	while (!step_at_exit(s) && step_half(s))
		;
}

static void end(const struct scenario *s, struct stepper p[2])
{
	judge(s);
	step_kill(&p[0]);
	step_kill(&p[1]);
	unpin("pin");
	unpin("pin2");
	obj_unref(dir, OBJ_MAP, sh->target, "slot");	/* the two refer to each other */
	obj_gc(dir);
	EQ(left_over(), 0);
}

static void run(const struct scenario *s, u64 (*schedule)(u64 step, void *arg), void *arg)
{
	bool done[2] = { false, false };
	struct stepper p[2];
	u64 step = 0;

	begin(s, p);
	while ((!done[0] || !done[1]) && step < 5000) {
		int i = schedule(step++, arg) & 1;

		if (done[i])
			i = !i;
		for (int half = 0; half < 2 && !done[i]; half++)
			done[i] = !step_half(&p[i]) || step_at_exit(&p[i]);
	}
	end(s, p);
}

/* One for k calls, the other for j, the one to its end, the other to its end. */
struct two { u64 k, j, first; };
static u64 two_switches(u64 step, void *arg)
{
	struct two *t = arg;

	return t->first ^ (step >= t->k && step < t->k + t->j);
}

static u64 at_random(u64 step, void *arg)
{
	static u32 left;
	static int who;

	(void)step, (void)arg;
	if (!left) {
		left = random() % 6;
		who = random() & 1;
	} else {
		left--;
	}
	return who;
}

static void setup(void)
{
	dir_setup();
	if (!sh)
		sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

TEST(two_switches)
{
	u64 stride = t_fast() ? 6 : 2, k, j;

	setup();
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
		t_row("two switches: %s", scenarios[i].name);
		for (k = 0; k < 45; k += stride)
			for (j = 1 + k / stride % stride; j < 45; j += stride)
				for (u64 first = 0; first < 2; first++)
					run(&scenarios[i], two_switches, &(struct two){ k, j, first });
	}
}

TEST(random_orders)
{
	int n = t_fast() ? 10 : 300;

	setup();
	srandom(7);
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
		t_row("random orders: %s", scenarios[i].name);
		for (int r = 0; r < n; r++)
			run(&scenarios[i], at_random, NULL);
	}
}

/* The orders that the collector's second look is there for (doc/objects.md, "deciding"). Each fails if its check
 * is taken out. */
TEST(orders_that_need_the_second_look)
{
	static const struct scenario byid = { "", in_hand, drop_and_collect, open_id, MAY };
	static const struct scenario pins = { "", in_hand, drop_and_collect, open_id_pin_and_drop, MAY };
	struct stepper p[2];

	setup();
	t_row("an opener counts between the collector's first look and its rename");
	begin(&byid, p);
	CHECK(step_before(&p[1], SYS_fcntl, F_OFD_SETLK));
	CHECK(step_before(&p[0], SYS_renameat2, 0));
	to_the_end(&p[1]);
	CHECK(sh->b_fd >= 0);
	to_the_end(&p[0]);
	end(&byid, p);

	t_row("an opener counts, the name lies in dead/, it is pinned from there");
	begin(&pins, p);
	CHECK(step_before(&p[1], SYS_fcntl, F_OFD_SETLK));
	CHECK(step_before(&p[0], SYS_renameat2, 0));
	CHECK(step_before(&p[1], SYS_linkat, 0));
	CHECK(step_before(&p[0], SYS_fcntl, F_OFD_GETLK));
	to_the_end(&p[1]);
	EQ(sh->b_fd, 1000);
	to_the_end(&p[0]);
	end(&pins, p);
}
