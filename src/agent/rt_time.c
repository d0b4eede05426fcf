/* SPDX-License-Identifier: Apache-2.0 */
/* rt_time.c - clocks and the CPU's number from the vDSO, by system calls where there is none. */
#include <elf.h>
#include <sched.h>
#include <time.h>

#include "agent/rt.h"

static long (*vdso_clock)(long, struct timespec *);
static long (*vdso_getcpu)(u32 *, u32 *, void *);

void rt_time_init(const u64 *auxv)
{
	struct rt_elf e;

	if (rt_elf_open(rt_auxv(auxv, AT_SYSINFO_EHDR), &e))
		return;
	vdso_clock = (long (*)(long, struct timespec *))rt_elf_sym(&e, "__vdso_clock_gettime");
	vdso_getcpu = (long (*)(u32 *, u32 *, void *))rt_elf_sym(&e, "__vdso_getcpu");
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	return (int)rt_ret(vdso_clock ? vdso_clock(id, t) : raw_syscall3(SYS_clock_gettime, id, (long)t, 0));
}

int sched_getcpu(void)
{
	u32 cpu = 0;
	long err = vdso_getcpu ? vdso_getcpu(&cpu, NULL, NULL) : raw_syscall3(SYS_getcpu, (long)&cpu, 0, 0);

	return rt_ret(err) ? -1 : (int)cpu;
}
