/* SPDX-License-Identifier: Apache-2.0 */
/* fentry.bpf.c - programs at functions: only skep is asked, since test machines do not let every one load these. */
#include "kern.h"

#define USE(x)	asm volatile("" :: "r"(x))

SEC("fentry/vfs_read") int BPF_PROG(flags_of_file, struct file *f) { USE(f->f_flags); return 0; }
SEC("fentry/vfs_read") int BPF_PROG(bad_result, struct file *f) { return 1; }
SEC("fentry/vfs_read") int bad_return_value_at_entry(__u64 *ctx) { USE(ctx[4]); return 0; }
SEC("fexit/vfs_read") int return_value(__u64 *ctx) { USE(ctx[4]); return 0; }
SEC("fexit/vfs_read") int bad_sixth(__u64 *ctx) { USE(ctx[5]); return 0; }
SEC("fmod_ret/vfs_read") int bad_not_modifiable(__u64 *ctx) { return 0; }
SEC("fmod_ret/security_file_open") int security_hook(__u64 *ctx) { return -1; }
SEC("fentry.s/vfs_read") int bad_may_not_sleep(__u64 *ctx) { return 0; }
SEC("fentry.s/__x64_sys_getpgid") int syscalls_sleep(__u64 *ctx) { return 0; }
SEC("lsm/file_open") int BPF_PROG(lsm_hook, struct file *f) { return f->f_flags & 1 ? -1 : 0; }
SEC("lsm/file_open") int bad_lsm_result(__u64 *ctx) { return 1; }
