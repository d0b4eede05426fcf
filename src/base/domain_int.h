/* SPDX-License-Identifier: Apache-2.0 */
/* domain_int.h - the control file's layout, and a domain as domain.c and lock.c see it. */
#ifndef SKEP_BASE_DOMAIN_INT_H
#define SKEP_BASE_DOMAIN_INT_H

#include <errno.h>
#include <sys/types.h>

#include "base/domain.h"

#define CTL_MAGIC	0x31746b73u		/* "skt1": layout version in the last digit */
#define CTL_SLOTS	8192			/* process slots; 0 is never given */
#define CTL_SLOT_LK	(1ull << 61)		/* lock byte of slot N: CTL_SLOT_LK + N */

struct control {
	u32 magic;		/* 0 -> CTL_MAGIC, CAS */
	u32 ncpus;		/* 0 -> number of possible CPUs, CAS */
	u32 last_id;		/* atomic counter; masked at use */
	u32 slot_hint;		/* atomic counter: where to look for a free slot next */
	u32 rseq_seen;		/* 0 -> 1 before a process of this directory first takes a `fast` word */
	u32 stats;		/* 1: somebody may hold $DIR/stats (ENABLE_STATS); a hint */
	u8 pad[SKEP_PAGE - 24];
	struct lease lease[DOMAIN_MAX_CPUS];
	struct {
		u32 gen;	/* written by who holds the slot's lock */
		u32 pid;	/* for people only */
	} slot[CTL_SLOTS];
};
_Static_assert(sizeof(struct lease) == 64, "a cache line");
_Static_assert(CTL_SLOTS <= 65536, "16 bits of an owner word");
_Static_assert(sizeof(struct control) % SKEP_PAGE == 0, "whole pages");

struct domain_full {
	struct domain d;		/* first part: what inline code reads */
	struct control *ctl;
	void *hold;			/* this process's mapping that holds the slot's lock; valid if *d.base */
	int fd;				/* probes; holds no lock */
	u32 damaged;
	dev_t dev;
	ino_t ino;
	char path[256];
};

void lease_init(struct domain_full *d);			/* at open */
void lease_process_start(struct domain_full *d);	/* once in each process, before its first lease */

#endif
