/* SPDX-License-Identifier: Apache-2.0 */
/* h_task.c - helpers on time, CPU and the current task. */
#include <time.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "prog/helper.h"
#include "prog/task.h"

static u64 clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

HELPER_FN(ktime_get_ns)
{
	return clock_ns(CLOCK_MONOTONIC);
}

HELPER_FN(ktime_get_boot_ns)
{
	return clock_ns(CLOCK_BOOTTIME);
}

HELPER_FN(ktime_get_coarse_ns)
{
	return clock_ns(CLOCK_MONOTONIC_COARSE);
}

HELPER_FN(ktime_get_tai_ns)
{
	return clock_ns(CLOCK_TAI);
}

/* The slot that this run leases: stable over the run, as a CPU is to a kernel program. */
HELPER_FN(get_smp_processor_id)
{
	return run_self()->cpu;
}

HELPER_FN(get_numa_node_id)
{
	unsigned int cpu, node = 0;

	syscall(SYS_getcpu, &cpu, &node, NULL);
	return node;
}

/* xoshiro128++ per thread, seeded once from the host kernel. */
HELPER_FN(get_prandom_u32)
{
	u32 *s = tls()->prandom;
	u32 sum, t;

	if (!(s[0] | s[1] | s[2] | s[3]) &&
	    getrandom(s, sizeof(tls()->prandom), GRND_NONBLOCK) != (ssize_t)sizeof(tls()->prandom))
		s[0] = (u32)clock_ns(CLOCK_MONOTONIC) | 1;
	sum = s[0] + s[3];
	sum = (sum << 7 | sum >> 25) + s[0];
	t = s[1] << 9;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = s[3] << 11 | s[3] >> 21;
	return sum;
}

HELPER_FN(get_current_pid_tgid)
{
	return (u64)(u32)task_pid() << 32 | (u32)task_tid();
}

HELPER_FN(get_current_uid_gid)
{
	return task_uid_gid();
}

/* The kernel fills what it is given, and ends it with a NUL. */
HELPER_FN(get_current_comm)
{
	char buf[TASK_COMM_LEN];
	u32 n = (u32)r2;

	if (!n)
		return ERR(EINVAL);
	memset(PTR(r1), 0, n);
	memcpy(PTR(r1), task_comm(buf), MIN(n - 1, TASK_COMM_LEN - 1u));
	return 0;
}

HELPER_FN(get_current_task)
{
	return (u64)(uintptr_t)task_current();
}

HELPER_FN(get_current_task_btf)
{
	return (u64)(uintptr_t)task_current();
}
