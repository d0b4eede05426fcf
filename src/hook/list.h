/* SPDX-License-Identifier: Apache-2.0 */
/* list.h - what learn.c builds and fire.c reads: the programs of a process, by point and system call.
 *
 * A set is immutable from the moment it is stored in hook_current. Runs read it between hook_run_begin() and
 * hook_run_end(); the helper swaps in another one and frees the old when every thread was outside once. A thread says
 * that it is inside by an odd number in its word of a table; the pair "store the word, load the set" of a run and "store the
 * set, load the words" of the helper is ordered by the helper's membarrier(2), so that runs have no fence. */
#ifndef SKEP_HOOK_LIST_H
#define SKEP_HOOK_LIST_H

#include "base/tls.h"
#include "hook/hook.h"
#include "prog/prog.h"

enum hook_form {			/* what the program gets as context */
	FORM_RECORD,			/* the tracepoint's record */
	FORM_RAW,			/* u64 args[] */
	FORM_REGS,			/* pt_regs of the probed function */
	HOOK_FORMS,
};

struct hook_call {
	struct prog *prog;
	u64 cookie;
	u32 form;
	u32 pad;
};

struct hook_vec {
	u32 nr;
	struct hook_call call[];
};

struct hook_set {
	/* NULL: nothing there. System calls beyond the array: *_all */
	struct hook_vec *enter[HOOK_NR_SYSCALLS], *exit[HOOK_NR_SYSCALLS];
	struct hook_vec *enter_all, *exit_all;
	struct hook_vec *sched[HOOK_POINTS - HOOK_SCHED_EXEC];
	u32 *stats;			/* domain's: somebody wants run times */
	/* learn.c's */
	struct hook_set *next;		/* swapped out, waiting */
	struct held *held;		/* by kind and id */
	u32 nr_held;
	struct hook_wants wants;
};

extern struct hook_set *hook_current;	/* NULL: nothing attached */
extern u64 hook_missed;			/* events no thread word could be had for; atomic */

#define HOOK_THREADS	16384u
struct hook_word {
	u64 v;				/* odd: inside; written by its thread only */
	struct tls *owner;		/* atomic */
	u8 pad[48];
};
/* In MADV_WIPEONFORK memory: a fork child has no words, and nobody is inside but who went in again. */
struct hook_words {
	u32 nr;				/* atomic; may exceed HOOK_THREADS */
	u8 pad[60];
	struct hook_word w[HOOK_THREADS];
};
extern struct hook_words *hook_words;	/* NULL until hook_learn() was called */

/* ---- the helper's ---- */
int hook_words_make(void);		/* -ENOMEM */
void hook_set_swap(struct hook_set *s);	/* NULL: nothing is attached. The old one waits for hook_reap() */
void hook_set_free(struct hook_set *s);
u32 hook_sets_pending(void);
/* Open what P may come to in a run: tail calls, inner maps, perf events, and theirs. hook_warm_done() after the last. */
void hook_warm(struct prog *p);
void hook_warm_done(void);

#endif
