/* SPDX-License-Identifier: Apache-2.0 */
/* kern.h - what the programs of this folder share: members of kernel structs that they use, found by CO-RE. A program whose
 * name begins with bad_ breaks a rule on purpose. */
#ifndef SKEP_TEST_KERN_H
#define SKEP_TEST_KERN_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

typedef _Bool bool;
#define KERN	__attribute__((preserve_access_index))
#define __contains(name, node) __attribute__((btf_decl_tag("contains:" #name ":" #node)))

struct list_head { struct list_head *next, *prev; } KERN;
struct cgroup { int level; } KERN;
struct css_set { struct cgroup *dfl_cgrp; } KERN;
struct inode { unsigned long i_ino; } KERN;
struct file { unsigned int f_flags; struct inode *f_inode; } KERN;
struct mm_struct { struct file *exe_file; unsigned long start_stack; } KERN;
struct task_struct {
	int pid, tgid, prio;
	char comm[16];
	struct task_struct *real_parent, *parent, *group_leader, *last_wakee;
	struct mm_struct *mm;
	struct css_set *cgroups;
	struct list_head children;
	unsigned long stack_canary;
} KERN;
struct sock_common { unsigned short skc_family; int skc_refcnt; } KERN;
struct sock { struct sock_common __sk_common; int sk_mark; } KERN;
struct sk_buff { struct sock *sk; unsigned int len; char cb[48]; } KERN;
struct net_device { int ifindex; char name[16]; } KERN;
struct seq_file { char *buf; } KERN;
struct bpf_iter_meta { struct seq_file *seq; __u64 session_id; } KERN;
struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; } KERN;
struct bpf_iter__bpf_map_elem { struct bpf_iter_meta *meta; void *map; void *key; void *value; } KERN;
struct bpf_map___k { unsigned int max_entries; unsigned int id; } KERN;

char LICENSE[] SEC("license") = "GPL";

#endif
