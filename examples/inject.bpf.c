/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* inject.bpf.c - error injection: removing files and directories fails, and the calls are not made. What does a program do
 * then?
 *
 *	skep run examples/inject.bpf.c -- rm -r build
 *	skep run examples/inject.bpf.c --set error=28 --set after=10 -- make clean
 *
 * The counter that is printed at the end says how many calls were refused. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

const volatile int error = 1;		/* EPERM */
const volatile __u32 after = 0;		/* so many calls are let through first */

__u32 calls, refused;

static int refuse(struct pt_regs *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	if (calls <= after)
		return 0;
	__sync_fetch_and_add(&refused, 1);
	bpf_override_return(ctx, -error);
	return 0;
}

SEC("ksyscall/unlink")
int no_unlink(struct pt_regs *ctx)
{
	return refuse(ctx);
}

SEC("ksyscall/unlinkat")
int no_unlinkat(struct pt_regs *ctx)
{
	return refuse(ctx);
}

SEC("ksyscall/rmdir")
int no_rmdir(struct pt_regs *ctx)
{
	return refuse(ctx);
}

char LICENSE[] SEC("license") = "GPL";
