/* SPDX-License-Identifier: Apache-2.0 */
/* domain.h - what the processes of one directory share besides objects: process slots, owner words,
 * run leases, the id counter. All of it lives in the file "control".
 *
 * Process slot: a process that touches shared state owns slot N by an OFD write lock on byte N of a
 * description held only by a MADV_DONTFORK mapping (its fd is closed), so it ends with the address space
 * and is not inherited. tids are not liveness.
 *
 * Owner word: slot:16 | thread index:16 | generation:32, never 0. Generation counts the users of a slot.
 *
 * Run lease: a run owns "its CPU's" slot of all per-CPU data of the directory from prog_enter() to
 * prog_exit(): lease[cpu] = owner word, taken in an rseq section (plain stores), or by CAS on any free
 * slot where there is no rseq. A taken slot is waited for up to LEASE_WAIT_NS, then the run is a counted
 * miss. A dead owner's slot is taken over. */
#ifndef SKEP_BASE_DOMAIN_H
#define SKEP_BASE_DOMAIN_H

#include "base/def.h"

#define DOMAIN_MAX_CPUS		256
#define LEASE_WAIT_NS		250000000ull

struct domain;

int domain_open(int dirfd, struct domain **out);
void domain_close(struct domain *d);
u32 domain_next_id(struct domain *d);			/* 1.. INT_MAX, then round again */
/* Possible CPUs as the kernel counts them (libbpf_num_possible_cpus()): the number of per-CPU slots. */
u32 domain_ncpus(const struct domain *d);

u64 domain_self(struct domain *d);			/* owner word of the calling thread */
bool domain_alive(struct domain *d, u64 owner);		/* slow: a GETLK */

/* Returns the slot number 0..ncpus-1, or -EBUSY after LEASE_WAIT_NS. Async-signal-safe. *nested is set
 * when this thread already holds a lease (a signal handler interrupted a run): release does nothing then. */
int lease_take(struct domain *d, bool *nested);
void lease_drop(struct domain *d, int slot, bool nested);

/* A lock in shared memory. Critical sections leave consistent data at every instruction. */
struct lock {
	u64 owner;		/* owner word or 0; atomic */
};
/* 0: taken; 1: taken over from a dead owner, repair before use; -EDEADLK: own thread holds it;
 * -ETIMEDOUT: a live owner kept it for 250 ms. Async-signal-safe. */
int lock_take(struct domain *d, struct lock *l);
void lock_drop(struct domain *d, struct lock *l);

#endif
