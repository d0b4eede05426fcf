/* SPDX-License-Identifier: Apache-2.0 */
/* vmlinux.bpf.c - the types of skep's vmlinux BTF. Compiled for bpf with -g; scripts/genvmlinux.c takes the .BTF of it, adds
 * the enumerations of the tables and makes the blob that clients find as /sys/kernel/btf/vmlinux.
 * A type is there in full if a variable has it; the variables themselves are left out of the blob. */
#include <linux/bpf.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
typedef _Bool bool;
typedef int __kernel_pid_t;
typedef __kernel_pid_t pid_t;
typedef unsigned int __kernel_uid32_t;
typedef unsigned int __kernel_gid32_t;
typedef __kernel_uid32_t uid_t;
typedef __kernel_gid32_t gid_t;
typedef unsigned long size_t;
typedef long ssize_t;
typedef long long loff_t;
typedef unsigned short umode_t;

#include "spec/ktypes.h"

#ifdef SKEP_ARCH_x86_64
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip;
	union {
		u16 cs;
		u64 csx;
	};
	unsigned long flags, sp;
	union {
		u16 ss;
		u64 ssx;
	};
};
typedef struct pt_regs bpf_user_pt_regs_t;
#else
struct user_pt_regs {
	__u64 regs[31], sp, pc, pstate;
};

struct pt_regs {
	union {
		struct user_pt_regs user_regs;
		struct {
			u64 regs[31], sp, pc, pstate;
		};
	};
	u64 orig_x0;
	s32 syscallno;
	u32 pmr;
};
typedef struct user_pt_regs bpf_user_pt_regs_t;
#endif

struct bpf_perf_event_data {
	bpf_user_pt_regs_t regs;
	__u64 sample_period;
	__u64 addr;
};

/* Programs look whether the type is there before they use a ring buffer. */
struct bpf_ringbuf {
	u64 mask;
};

/* What raw tracepoints pass: also names tp_btf programs by. */
typedef void (*btf_trace_sys_enter)(void *, struct pt_regs *, long);
typedef void (*btf_trace_sys_exit)(void *, struct pt_regs *, long);
typedef void (*btf_trace_sched_process_fork)(void *, struct task_struct *, struct task_struct *);
typedef void (*btf_trace_sched_process_exit)(void *, struct task_struct *, bool);

#define T(type, name)	type v_##name
T(u8, u8); T(u16, u16); T(u32, u32); T(u64, u64);
T(s8, s8); T(s16, s16); T(s32, s32); T(s64, s64);
T(bool, bool); T(pid_t, pid); T(uid_t, uid); T(gid_t, gid); T(kuid_t, kuid); T(kgid_t, kgid);
T(size_t, size); T(ssize_t, ssize); T(loff_t, loff); T(umode_t, umode); T(kernel_cap_t, cap);
T(__be16, be16); T(__be32, be32); T(__be64, be64); T(__wsum, wsum); T(__sum16, sum16);
T(long, long); T(unsigned long, ulong); T(void *, ptr);

T(struct task_struct, task); T(struct cred, cred); T(struct pt_regs, pt_regs);
T(struct trace_entry, ent); T(struct trace_event_raw_sys_enter, raw_enter); T(struct trace_event_raw_sys_exit, raw_exit);
T(struct syscall_trace_enter, enter); T(struct syscall_trace_exit, exit);
T(struct trace_event_raw_sched_process_exec, exec); T(struct trace_event_raw_sched_process_fork, fork);
T(struct trace_event_raw_sched_process_exit, sched_exit);
T(btf_trace_sys_enter, bt_enter); T(btf_trace_sys_exit, bt_exit);
T(btf_trace_sched_process_fork, bt_fork); T(btf_trace_sched_process_exit, bt_sched_exit);

/* what programs are called with, and what helpers and maps take */
T(struct xdp_md, xdp_md); T(struct __sk_buff, sk_buff); T(struct bpf_raw_tracepoint_args, raw_tp);
T(struct bpf_perf_event_data, perf_data); T(struct bpf_ringbuf, ringbuf); T(bpf_user_pt_regs_t, user_regs);
T(struct bpf_sock, sock); T(struct bpf_spin_lock, spin_lock); T(struct bpf_timer, timer); T(struct bpf_dynptr, dynptr);
T(struct bpf_flow_keys, flow_keys); T(struct bpf_perf_event_value, perf_value);
T(struct bpf_pidns_info, pidns_info); T(struct btf_ptr, btf_ptr);
T(enum xdp_action, xdp_action); T(enum sk_action, sk_action); T(enum bpf_hdr_start_off, hdr_start);
T(enum bpf_ret_code, ret_code);
