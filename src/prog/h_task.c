/* SPDX-License-Identifier: Apache-2.0 */
/* h_task.c - helpers on time, CPU and the current task. */
#include <linux/bpf.h>
#include <signal.h>
#include <time.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/rawsys.h"
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

/* The kernel's counter of timer ticks began five minutes before it would have run over in 32 bits. Ticks are what the coarse
 * clock moves by. */
HELPER_FN(jiffies64)
{
	static u32 hz;				/* atomic; the race is harmless */
	struct timespec res;

	if (unlikely(!READ_ONCE(hz))) {
		raw_syscall3(SYS_clock_getres, CLOCK_MONOTONIC_COARSE, (long)&res, 0);
		WRITE_ONCE(hz, 1000000000u / (u32)MAX(res.tv_nsec, 1l));
	}
	return (u32)(0u - 300 * hz) + clock_ns(CLOCK_MONOTONIC_COARSE) / (1000000000u / hz);
}

/* The slot that this run leases: stable over the run, as a CPU is to a kernel program. */
HELPER_FN(get_smp_processor_id)
{
	return run_self()->cpu;
}

HELPER_FN(get_numa_node_id)
{
	unsigned int cpu, node = 0;

	raw_syscall3(SYS_getcpu, (long)&cpu, (long)&node, 0);
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

HELPER_FN(get_ns_current_pid_tgid)
{
	struct bpf_pidns_info *info = PTR(r3);
	struct task_known k;

	memset(info, 0, (u32)r4);
	if ((u32)r4 != sizeof(*info) || (u32)r1 != r1 || !task_known_of_self(&k) || !k.pidns_ino || k.pidns_dev != r1 ||
	    k.pidns_ino != r2)
		return ERR(EINVAL);
	info->pid = (u32)task_tid();
	info->tgid = (u32)task_pid();
	return 0;
}

HELPER_FN(get_current_cgroup_id)
{
	struct task_known k;

	return task_known_of_self(&k) && k.cgroups ? k.cgroup[k.cgroups - 1] : 0;
}

HELPER_FN(get_current_ancestor_cgroup_id)
{
	struct task_known k;
	u32 level = (u32)r1;

	return task_known_of_self(&k) && level < k.cgroups ? k.cgroup[level] : 0;
}

/* As the kernel sends it: from itself. Delivered before the hooked call is made, not after it. */
static u64 signal_self(u32 sig, bool thread)
{
	siginfo_t info = { .si_code = SI_KERNEL };

	if (sig > _NSIG - 1)
		return ERR(EINVAL);
	if (tls()->who.exiting || task_pid() == 1 || task_quiet)
		return ERR(EPERM);
	info.si_signo = (int)sig;
	if (thread)
		return (u64)raw_syscall4(SYS_rt_tgsigqueueinfo, task_pid(), task_tid(), (long)sig, (long)&info);
	return (u64)raw_syscall3(SYS_rt_sigqueueinfo, task_pid(), (long)sig, (long)&info);
}

HELPER_FN(send_signal)
{
	return signal_self((u32)r1, false);
}

HELPER_FN(send_signal_thread)
{
	return signal_self((u32)r1, true);
}

HELPER_FN(get_current_task)
{
	return (u64)(uintptr_t)task_current();
}

HELPER_FN(get_current_task_btf)
{
	return (u64)(uintptr_t)task_current();
}
