/* SPDX-License-Identifier: Apache-2.0 */
/* prog.h - programs of this process, and running them. A struct prog is built from an image (vm/image.h) by an object
 * id or fd: maps opened, code linked. Immutable after prog_open(); shared by threads; refcounted. */
#ifndef SKEP_PROG_H
#define SKEP_PROG_H

#include "base/def.h"
#include "base/domain.h"
#include "base/obj.h"
#include "base/tls.h"
#include "map/map.h"
#include "vm/vm.h"

struct prog {
	struct prog *next;		/* in the process's table */
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
	u64 cookie;
	/* one word, so that a run begins with one store for all of it */
	u32 cpu;			/* leased slot; 0 when the program needs none */
	u8 depth;
	bool leased, lease_nested;
	bool overridden;		/* bpf_override_return(): the hooked call is not to be made, but ... */
	u64 override;			/* ... this returned */
	u8 fault;			/* fault_exit() wants it */
	u64 scratch[4];			/* of helpers that must hand out memory (LD_ABS, ...) */
};
#define RUN_MAX_DEPTH 4

/* Innermost run of this thread; NULL outside of runs. */
static inline struct run *run_self(void)
{
	return tls()->run;
}

int prog_open_fd(struct obj_dir *d, int fd, struct prog **out);	/* cached by (dev, ino) */
int prog_open_id(struct obj_dir *d, u32 id, u64 gen, struct prog **out);
void prog_get(struct prog *p);
void prog_put(struct prog *p);

/* BPF_ENABLE_STATS: a description of $DIR/stats with a read lock on its first byte, so that it ends with its fds.
 * -errno. Wanted while anybody holds one. */
int prog_stats_enable(struct obj_dir *d);
bool prog_stats_wanted(struct obj_dir *d);

/* What obj_hdr.digest must hold for an image whose sections lie in AREA. */
void prog_image_digest(const struct image_hdr *hdr, const u8 *area, u8 out[32]);

/* Use the interpreter instead of machine code (tests, --interp, no executable memory). */
extern bool prog_force_interp;

/* Run once. -EBUSY, -EDEADLK (recursion) count as misses and leave *ret alone. Async-signal-safe. */
int prog_run(struct prog *p, void *ctx, u64 *ret);
/* For batches: enter once, call many times. */
int prog_enter(struct prog *p, struct run *r);
static inline u64 prog_call(const struct prog *p, struct run *r, void *ctx)
{
	r->ctx = ctx;
	return likely(p->entry) ? p->entry(ctx) : interp_run(p->interp, ctx);
}
/* runs, ns: for the statistics; 0 where nobody wants them. */
void prog_exit(struct run *r, u64 runs, u64 ns);

vm_helper prog_helper(u32 id);		/* NULL: not implemented */

/* Call a PSEUDO_FUNC address (a helper's callback) on the engine of the current run. */
u64 run_call(u64 func, u64 a, u64 b, u64 c, u64 d, u64 e);

/* BPF_PROG_TEST_RUN; every pointer is to a private copy that the caller owns. The caller has checked what does not
 * depend on the program type (pairs of pointer and size). -ENOTSUPP (524) where the type has no test run. */
struct test_run {
	const void *data_in;
	void *data_out;			/* NULL: not wanted; data_out_size is then ignored */
	void *ctx_in;			/* copied back to the client when ctx_changed */
	void *ctx_out;
	u32 data_in_size, ctx_in_size;
	u32 data_out_size, ctx_out_size;	/* in: capacity; out: length produced (may exceed: -ENOSPC) */
	u32 repeat, flags, cpu, batch_size;
	u32 in_duration;		/* what the client passed: some types want 0 */
	u32 retval, duration;		/* out; duration in ns per run */
	bool ctx_changed;		/* out */
};
int prog_test_run(struct prog *p, struct test_run *t);

#endif
