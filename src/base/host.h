/* SPDX-License-Identifier: Apache-2.0 */
/* host.h - what this machine allows, for `skep doctor` and for error messages. Nothing here needs root or changes
 * anything; nothing prints. */
#ifndef SKEP_BASE_HOST_H
#define SKEP_BASE_HOST_H

#include "base/def.h"

enum host_level {
	HOST_OK,		/* good, or it does not matter here */
	HOST_NOTE,		/* works, but know this */
	HOST_LIMIT,		/* some of skep does not work: `advice` says what to do */
	HOST_BAD,		/* nothing works */
};

struct host_fact {
	const char *key;	/* JSON key, constant */
	const char *title;	/* for people, constant */
	enum host_level level;
	s64 number;		/* bytes, sysctl value, 0/1; -1: not known or not there */
	char value[256];	/* the same as text, with units */
	const char *advice;	/* constant, or NULL */
};

#define HOST_FACTS_MAX	32

/* Fill OUT (HOST_FACTS_MAX entries) with the facts for the directory DIR (NULL: the default one; it need not
 * exist, and is not made). Returns their number. Not thread safe, not async-signal-safe (it forks once to try a
 * user namespace). */
u32 host_facts(const char *dir, struct host_fact *out);

#endif
