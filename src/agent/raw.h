/* SPDX-License-Identifier: Apache-2.0 */
/* raw.h - instructions of x86-64 that C has no words for. Needs FSGSBASE (Linux 5.9, HWCAP2 bit 1): agent_start() refuses
 * to run without. */
#ifndef SKEP_AGENT_RAW_H
#define SKEP_AGENT_RAW_H

#include "base/rawsys.h"

static inline u64 raw_fs_base(void)
{
	u64 v;

	__asm__ volatile("rdfsbase %0" : "=r"(v));
	return v;
}

static inline u64 raw_gs_base(void)
{
	u64 v;

	__asm__ volatile("rdgsbase %0" : "=r"(v));
	return v;
}

static inline void raw_set_gs_base(u64 v)
{
	__asm__ volatile("wrgsbase %0" : : "r"(v) : "memory");
}

#endif
