/* SPDX-License-Identifier: Apache-2.0 */
/* btf.bpf.c - pointers typed by the kernel's BTF: contexts of tracing programs, loads, trust. */
#include "kern.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, int);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} of_tasks SEC(".maps");

SEC("tp_btf/sched_switch") int BPF_PROG(loads, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return prev->pid + next->tgid;
}

SEC("tp_btf/sched_switch") int BPF_PROG(rcu_parents, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return prev->real_parent->group_leader->pid;
}

SEC("tp_btf/sched_switch") int BPF_PROG(untrusted_chain, bool p, struct task_struct *prev, struct task_struct *next)
{
	return prev->last_wakee->last_wakee->mm->start_stack;
}

SEC("tp_btf/sched_switch") int BPF_PROG(null_checks, bool p, struct task_struct *prev, struct task_struct *next)
{
	struct mm_struct *mm = next->mm;

	if (!mm)
		return 0;
	if (mm->exe_file && mm->exe_file->f_inode)
		return mm->exe_file->f_inode->i_ino;
	return 1;
}

SEC("tp_btf/sched_switch") int BPF_PROG(cgroups_of_task, bool p, struct task_struct *prev, struct task_struct *next)
{
	return prev->cgroups->dfl_cgrp->level;
}

SEC("tp_btf/sched_switch") int BPF_PROG(list_members, bool p, struct task_struct *prev, struct task_struct *next)
{
	struct list_head *l = prev->children.next;

	return l->next == &prev->children;
}

SEC("tp_btf/sched_switch") int BPF_PROG(comm_bytes, bool p, struct task_struct *prev, struct task_struct *next)
{
	return *(__u32 *)prev->comm + prev->comm[15] + *(__u64 *)&prev->comm[8];
}

SEC("tp_btf/sched_switch") int BPF_PROG(spilled_pointer, bool p, struct task_struct *prev, struct task_struct *next)
{
	struct task_struct *volatile keep = prev;

	return keep->pid;
}

SEC("tp_btf/sched_switch") int BPF_PROG(storage, bool p, struct task_struct *prev, struct task_struct *next)
{
	__u64 *v = bpf_task_storage_get(&of_tasks, prev, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (v)
		*v += 1;
	return 0;
}

SEC("tp_btf/sched_switch") int BPF_PROG(storage_of_parent, bool p, struct task_struct *prev, struct task_struct *next)
{
	__u64 *v = bpf_task_storage_get(&of_tasks, prev->real_parent, 0, 0);

	return v ? *v : 0;
}

SEC("tp_btf/sched_switch") int BPF_PROG(storage_of_old_kind, bool p, struct task_struct *prev, struct task_struct *next)
{
	__u64 *v = bpf_task_storage_get(&of_tasks, prev->last_wakee, 0, 0);

	return v ? *v : 0;
}

SEC("tp_btf/sched_switch") int BPF_PROG(probe_read_of_member, bool p, struct task_struct *prev, struct task_struct *next)
{
	char comm[16];

	bpf_probe_read_kernel(comm, sizeof(comm), prev->comm);
	return comm[0];
}

SEC("tp_btf/kfree_skb") int BPF_PROG(nullable_checked, struct sk_buff *skb, void *loc, int reason, struct sock *rx)
{
	return rx ? rx->sk_mark : skb->len;
}

SEC("tp_btf/kfree_skb") int BPF_PROG(bad_nullable, struct sk_buff *skb, void *loc, int reason, struct sock *rx)
{
	return rx->sk_mark;
}

SEC("tp_btf/kfree_skb") int BPF_PROG(sock_of_skb, struct sk_buff *skb, void *loc)
{
	struct sock *sk = skb->sk;

	return sk ? sk->__sk_common.skc_family : 0;
}

SEC("tp_btf/kfree_skb") int BPF_PROG(bad_sock_of_skb_unchecked, struct sk_buff *skb, void *loc)
{
	return skb->sk->sk_mark;
}

SEC("tp_btf/kfree_skb") int BPF_PROG(void_pointer_is_a_number, struct sk_buff *skb, void *loc)
{
	return (long)loc & 1;
}

SEC("tp_btf/kfree_skb") int BPF_PROG(bad_void_pointer, struct sk_buff *skb, void *loc)
{
	return *(int *)loc;
}

SEC("tp_btf/sched_switch") int BPF_PROG(bad_write, bool p, struct task_struct *prev, struct task_struct *next)
{
	prev->prio = 1;
	return 0;
}

SEC("tp_btf/sched_switch") int bad_fifth_argument(__u64 *ctx)
{
	return ctx[4];
}

SEC("tp_btf/sched_switch") int bad_argument_far_out(__u64 *ctx)
{
	return ctx[12];
}

SEC("tp_btf/sched_switch") int bad_half_pointer(__u32 *ctx)
{
	return ctx[2];
}

SEC("tp_btf/sched_switch") int half_number(__u32 *ctx)
{
	return ctx[6];
}

SEC("tp_btf/sched_switch") int bad_half_offset(__u32 *ctx)
{
	return ctx[7];
}

SEC("tp_btf/sched_switch") int bad_context_write(__u64 *ctx)
{
	ctx[0] = 1;
	return 0;
}

SEC("tp_btf/sched_switch") int BPF_PROG(bad_beyond_struct, bool p, struct task_struct *prev, struct task_struct *next)
{
	return *(int *)((char *)prev + 100000);
}

SEC("tp_btf/sched_switch") int BPF_PROG(bad_before_struct, bool p, struct task_struct *prev, struct task_struct *next)
{
	return *(int *)((char *)prev - 8);
}

SEC("tp_btf/sched_switch") int BPF_PROG(bad_variable_offset, bool p, struct task_struct *prev, struct task_struct *next)
{
	return *(int *)((char *)prev + (bpf_get_prandom_u32() & 0xff));
}

SEC("tp_btf/sched_switch") int BPF_PROG(bad_part_of_pointer, bool p, struct task_struct *prev, struct task_struct *next)
{
	return *(int *)&prev->real_parent;
}

SEC("tp_btf/sched_switch") int BPF_PROG(bad_helper_writes_it, bool p, struct task_struct *prev, struct task_struct *next)
{
	return bpf_get_current_comm(prev->comm, 16);
}

SEC("tp_btf/sched_switch") int BPF_PROG(bad_key_in_kernel_object, bool p, struct task_struct *prev, struct task_struct *next)
{
	__u64 one = 1;

	return bpf_map_update_elem(&counts, &prev->pid, &one, 0);
}

SEC("tp_btf/sched_switch") int BPF_PROG(bad_wrong_type, bool p, struct task_struct *prev, struct task_struct *next)
{
	struct mm_struct *mm = prev->mm;

	return (long)bpf_task_storage_get(&of_tasks, (void *)mm, 0, 0);
}

SEC("tp_btf/sched_switch") int BPF_PROG(bad_moved_pointer, bool p, struct task_struct *prev, struct task_struct *next)
{
	return (long)bpf_task_storage_get(&of_tasks, (void *)prev + 8, 0, 0);
}

SEC("tp_btf/sched_switch") int BPF_PROG(current_task, bool p, struct task_struct *prev, struct task_struct *next)
{
	struct task_struct *t = bpf_get_current_task_btf();

	return t->pid == prev->pid;
}

SEC("raw_tp/sched_switch") int current_elsewhere(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();

	return t->real_parent->pid;
}

SEC("raw_tp/sched_switch") int regs_of_task(void *ctx)
{
	long *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());

	return regs[0];
}

SEC("raw_tp/sched_switch") int first_member_of_nested(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();

	return *(int *)(t->mm);
}

SEC("tp_btf/sched_switch") int BPF_PROG(pointer_in_map, bool p, struct task_struct *prev, struct task_struct *next)
{
	__u64 v = (long)prev;
	int key = 1;

	return bpf_map_update_elem(&counts, &key, &v, 0);
}

SEC("tp_btf/sched_switch") int BPF_PROG(same_load_two_trusts, bool p, struct task_struct *prev, struct task_struct *next)
{
	struct task_struct *t = p ? prev : prev->last_wakee;

	asm volatile("" : "+r"(t));
	return t->pid;
}

SEC("tp_btf/sched_switch") int pointer_plus_constant(__u64 *ctx)
{
	return *(int *)(ctx[1] + 4);
}

SEC("iter/task") int walks_tasks(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *t = ctx->task;

	if (!t)
		return 0;
	BPF_SEQ_PRINTF(seq, "%d\n", t->pid);
	return 0;
}

SEC("iter/task") int bad_task_unchecked(struct bpf_iter__task *ctx)
{
	return ctx->task->pid;
}

SEC("iter/task") int bad_iterator_result(struct bpf_iter__task *ctx)
{
	return 2;
}

SEC("iter/bpf_map_elem") int walks_elements(struct bpf_iter__bpf_map_elem *ctx)
{
	__u32 *key = ctx->key;
	__u64 *value = ctx->value;

	if (!key || !value)
		return 0;
	*value += *key;
	return 0;
}

SEC("iter/bpf_map_elem") int bad_key_write(struct bpf_iter__bpf_map_elem *ctx)
{
	__u32 *key = ctx->key;

	if (key)
		*key = 1;
	return 0;
}

SEC("xdp") int map_itself(struct xdp_md *c)
{
	struct bpf_map___k *m = (void *)&counts;

	return m->max_entries & 1;
}

SEC("xdp") int bad_map_itself_written(struct xdp_md *c)
{
	struct bpf_map___k *m = (void *)&counts;

	m->max_entries = 1;
	return 1;
}

SEC("tc") int socket_cast(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct sock *tp;

	if (!sk)
		return 0;
	tp = (void *)bpf_skc_to_tcp_sock(sk);
	return tp ? tp->sk_mark : 0;
}

SEC("tc") int bad_socket_cast_unchecked(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	return sk ? *(int *)bpf_skc_to_tcp_sock(sk) : 0;
}
