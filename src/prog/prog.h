/* SPDX-License-Identifier: Apache-2.0 */
/* prog.h - programs of this process, and running them. A struct prog is built from an image (vm/image.h) by an object
 * id or fd: maps opened, code linked. Immutable after prog_open(); shared by threads; refcounted. */
#ifndef SKEP_PROG_H
#define SKEP_PROG_H

#include "base/def.h"
#include "base/domain.h"
#include "base/obj.h"
#include "map/map.h"
#include "vm/vm.h"

struct prog {
	struct obj *obj;
	struct image_hdr hdr;		/* checked copy */
	struct image_stats *stats;	/* shared, atomic */
	struct map **maps;
	u32 nr_maps;
	struct code *code;		/* NULL: interpreted */
	struct interp_prog *interp;
	u64 (*entry)(void *ctx);	/* code's entry, or NULL */
	bool needs_cpu;
	u32 id;
	u32 refs;
};

/* The thread's current run; helpers find it by run_self(). Nested runs (signals) chain. */
struct run {
	struct run *prev;
	struct prog *prog;
	void *ctx;
	struct obj_dir *dir;
	s32 cpu;			/* leased slot, -1: none needed */
	bool lease_nested;
	u8 depth;
	u32 tail_calls;
	u64 cookie;
};
struct run *run_self(void);
#define RUN_MAX_DEPTH 4

int prog_open_fd(struct obj_dir *d, int fd, struct prog **out);	/* cached by (dev, ino) */
int prog_open_id(struct obj_dir *d, u32 id, u64 gen, struct prog **out);
void prog_get(struct prog *p);
void prog_put(struct prog *p);

/* Use the interpreter instead of machine code (tests, --interp, no executable memory). */
extern bool prog_force_interp;

/* Run once. -EBUSY, -EDEADLK (recursion) count as misses and leave *ret alone. Async-signal-safe. */
int prog_run(struct prog *p, void *ctx, u64 *ret);
/* For batches: enter once, call many times. */
int prog_enter(struct prog *p, struct run *r);
static inline u64 prog_call(const struct prog *p, struct run *r, void *ctx)
{
	r->ctx = ctx;
	r->tail_calls = 0;
	return likely(p->entry) ? p->entry(ctx) : interp_run(p->interp, ctx);
}
void prog_exit(struct run *r, u64 runs, u64 ns);

vm_helper prog_helper(u32 id);		/* NULL: not implemented */

/* BPF_PROG_TEST_RUN, all pointers private copies. */
struct test_run {
	const void *data_in;
	void *data_out;			/* capacity data_out_size; set to the length produced */
	const void *ctx_in;
	void *ctx_out;
	u32 data_in_size, data_out_size, ctx_in_size, ctx_out_size;
	u32 repeat, flags, cpu, batch_size;
	u32 retval, duration;		/* out; ns per run */
};
int prog_test_run(struct prog *p, struct test_run *t);

#endif
