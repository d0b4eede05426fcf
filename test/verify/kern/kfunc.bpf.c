/* SPDX-License-Identifier: Apache-2.0 */
/* kfunc.bpf.c - calls of kernel functions: arguments by type and suffix, references, regions, dynptrs of packets. */
#include "kern.h"

struct bpf_cpumask;
extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern void bpf_preempt_disable(void) __ksym;
extern void bpf_preempt_enable(void) __ksym;
extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr__uninit) __ksym;
extern int bpf_dynptr_from_xdp(struct xdp_md *x, __u64 flags, struct bpf_dynptr *ptr__uninit) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *p, __u32 off, void *buffer__opt, __u32 buffer__szk) __ksym;
extern void *bpf_dynptr_slice_rdwr(const struct bpf_dynptr *p, __u32 off, void *buffer__opt, __u32 buffer__szk) __ksym;
extern int bpf_dynptr_adjust(const struct bpf_dynptr *p, __u32 start, __u32 end) __ksym;
extern __u32 bpf_dynptr_size(const struct bpf_dynptr *p) __ksym;
extern bool bpf_dynptr_is_rdonly(const struct bpf_dynptr *p) __ksym;
extern int bpf_dynptr_clone(const struct bpf_dynptr *p, struct bpf_dynptr *clone__uninit) __ksym;
extern void *bpf_cast_to_kern_ctx(void *obj) __ksym;
extern void *bpf_rdonly_cast(const void *obj__ign, __u32 btf_id__k) __ksym;
extern int bpf_copy_from_user_str(void *dst, __u32 dst__sz, const void *unsafe_ptr__ign, __u64 flags) __ksym;
extern struct cgroup *bpf_cgroup_from_id(__u64 id) __ksym;
extern void bpf_cgroup_release(struct cgroup *c) __ksym;
extern struct cgroup *bpf_cgroup_ancestor(struct cgroup *c, int level) __ksym;
extern long bpf_task_under_cgroup(struct task_struct *t, struct cgroup *c) __ksym;
extern int bpf_strcmp(const char *a, const char *b) __ksym;
struct bpf_map { __u32 id; } KERN;
extern __s64 bpf_map_sum_elem_count(const struct bpf_map *map) __ksym;

struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } rb SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, int); __type(value, int); } hash SEC(".maps");
int key;
__u64 sum;

#define TP SEC("tp_btf/sched_switch")
#define ARGS __u64 *ctx
#define PREV ((struct task_struct *)ctx[1])

TP int acquire_release(ARGS)
{
	struct task_struct *t = bpf_task_acquire(PREV);

	if (t)
		bpf_task_release(t);
	return 0;
}

TP int bad_acquired_leaks(ARGS)
{
	bpf_task_acquire(PREV);
	return 0;
}

TP int bad_release_unchecked(ARGS)
{
	struct task_struct *t = bpf_task_acquire(PREV);

	bpf_task_release(t);
	return 0;
}

TP int bad_release_unreferenced(ARGS)
{
	bpf_task_release(PREV);
	return 0;
}

TP int bad_use_after_release(ARGS)
{
	struct task_struct *t = bpf_task_acquire(PREV);

	if (!t)
		return 0;
	bpf_task_release(t);
	return t->pid;
}

TP int bad_release_twice(ARGS)
{
	struct task_struct *t = bpf_task_from_pid(1);

	if (!t)
		return 0;
	bpf_task_release(t);
	bpf_task_release(t);
	return 0;
}

TP int acquire_of_rcu_pointer(ARGS)
{
	struct task_struct *t = bpf_task_acquire(PREV->real_parent);

	if (t)
		bpf_task_release(t);
	return 0;
}

TP int bad_acquire_of_old_pointer(ARGS)
{
	struct task_struct *t = bpf_task_acquire(PREV->last_wakee);

	if (t)
		bpf_task_release(t);
	return 0;
}

TP int bad_acquire_of_null(ARGS)
{
	struct task_struct *t = bpf_task_acquire(NULL);

	if (t)
		bpf_task_release(t);
	return 0;
}

TP int bad_acquire_of_number(ARGS)
{
	struct task_struct *t = bpf_task_acquire((void *)ctx[0]);

	if (t)
		bpf_task_release(t);
	return 0;
}

TP int bad_pointer_as_number(ARGS)
{
	struct task_struct *t = bpf_task_from_pid((long)PREV);

	if (t)
		bpf_task_release(t);
	return 0;
}

TP int bad_wrong_object(ARGS)
{
	struct task_struct *t = bpf_task_acquire((void *)PREV->cgroups);

	if (t)
		bpf_task_release(t);
	return 0;
}

TP int loads_of_acquired(ARGS)
{
	struct task_struct *t = bpf_task_from_pid(1);
	int v = 0;

	if (t) {
		v = t->real_parent->pid;
		bpf_task_release(t);
	}
	return v;
}

TP int cgroups(ARGS)
{
	struct cgroup *c = bpf_cgroup_from_id(1), *up;

	if (!c)
		return 0;
	sum += bpf_task_under_cgroup(PREV, c);
	up = bpf_cgroup_ancestor(c, 0);
	if (up)
		bpf_cgroup_release(up);
	bpf_cgroup_release(c);
	return 0;
}

TP int rcu_section(ARGS)
{
	bpf_rcu_read_lock();
	sum += PREV->real_parent->pid;
	bpf_rcu_read_unlock();
	return 0;
}

TP int rcu_pointer_after_section(ARGS)
{
	struct task_struct *p;

	bpf_rcu_read_lock();
	p = PREV->real_parent;
	bpf_rcu_read_unlock();
	return p->pid;
}

TP int bad_rcu_pointer_acquired_after_section(ARGS)
{
	struct task_struct *p;

	bpf_rcu_read_lock();
	p = PREV->real_parent;
	bpf_rcu_read_unlock();
	p = bpf_task_acquire(p);
	if (p)
		bpf_task_release(p);
	return 0;
}

TP int bad_rcu_not_unlocked(ARGS)
{
	bpf_rcu_read_lock();
	return 0;
}

TP int bad_rcu_not_locked(ARGS)
{
	bpf_rcu_read_unlock();
	return 0;
}

TP int bad_rcu_nested(ARGS)
{
	bpf_rcu_read_lock();
	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	bpf_rcu_read_unlock();
	return 0;
}

static __noinline int helper_function(int x) { return x * 3 + bpf_get_prandom_u32(); }
__noinline int global_function(int x) { return x * 3; }

TP int rcu_static_call(ARGS)
{
	int v;

	bpf_rcu_read_lock();
	v = helper_function(2);
	bpf_rcu_read_unlock();
	return v;
}

TP int rcu_global_call(ARGS)
{
	int v;

	bpf_rcu_read_lock();
	v = global_function(2);
	bpf_rcu_read_unlock();
	return v;
}

SEC("iter.s/task") int bad_sleeps_in_rcu(struct bpf_iter__task *c)
{
	char b[8];

	bpf_rcu_read_lock();
	bpf_copy_from_user_str(b, sizeof(b), 0, 0);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("iter.s/task") int bad_helper_sleeps_in_rcu(struct bpf_iter__task *c)
{
	char b[8];

	bpf_rcu_read_lock();
	bpf_copy_from_user(b, sizeof(b), 0);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("iter.s/task") int sleeps(struct bpf_iter__task *c)
{
	char b[8];

	bpf_copy_from_user_str(b, sizeof(b), 0, 0);
	return 0;
}

TP int bad_sleeps_where_it_may_not(ARGS)
{
	char b[8];

	bpf_copy_from_user_str(b, sizeof(b), 0, 0);
	return 0;
}

TP int preempt(ARGS)
{
	bpf_preempt_disable();
	bpf_preempt_disable();
	bpf_preempt_enable();
	bpf_preempt_enable();
	return 0;
}

TP int bad_preempt_left_disabled(ARGS)
{
	bpf_preempt_disable();
	return 0;
}

TP int bad_preempt_enabled(ARGS)
{
	bpf_preempt_enable();
	return 0;
}

SEC("iter.s/task") int bad_sleeps_without_preemption(struct bpf_iter__task *c)
{
	char b[8];

	bpf_preempt_disable();
	bpf_copy_from_user_str(b, sizeof(b), 0, 0);
	bpf_preempt_enable();
	return 0;
}

SEC("iter.s/task") int bad_helper_sleeps_without_preemption(struct bpf_iter__task *c)
{
	char b[8];

	bpf_preempt_disable();
	bpf_copy_from_user(b, sizeof(b), 0);
	bpf_preempt_enable();
	return 0;
}

SEC("xdp") int bad_not_for_this_type(struct xdp_md *c)
{
	bpf_copy_from_user_str(&key, 4, 0, 0);
	return bpf_strcmp("a", "b");
}

TP int strings(ARGS)
{
	return bpf_strcmp("a", "b");
}

TP int string_on_stack(ARGS)
{
	volatile char b[4] = "a";

	return bpf_strcmp((char *)b, "b");
}

TP int count_of_map(ARGS)
{
	return bpf_map_sum_elem_count((void *)&hash);
}

TP int bad_map_that_is_none(ARGS)
{
	return bpf_map_sum_elem_count((void *)PREV);
}

/* ---- dynptrs of packets ---- */
SEC("xdp") int xdp_slice(struct xdp_md *c)
{
	struct bpf_dynptr d;
	struct ethhdr room, *eth;

	bpf_dynptr_from_xdp(c, 0, &d);
	eth = bpf_dynptr_slice(&d, 0, &room, sizeof(room));
	return eth ? eth->h_proto & 1 : 1;
}

SEC("xdp") int bad_xdp_slice_unchecked(struct xdp_md *c)
{
	struct bpf_dynptr d;
	struct ethhdr room, *eth;

	bpf_dynptr_from_xdp(c, 0, &d);
	eth = bpf_dynptr_slice(&d, 0, &room, sizeof(room));
	return eth->h_proto & 1;
}

SEC("xdp") int bad_xdp_slice_written(struct xdp_md *c)
{
	struct bpf_dynptr d;
	struct ethhdr room, *eth;

	bpf_dynptr_from_xdp(c, 0, &d);
	eth = bpf_dynptr_slice(&d, 0, &room, sizeof(room));
	if (eth)
		eth->h_proto = 1;
	return 1;
}

SEC("xdp") int xdp_slice_written(struct xdp_md *c)
{
	struct bpf_dynptr d;
	struct ethhdr room, *eth;

	bpf_dynptr_from_xdp(c, 0, &d);
	eth = bpf_dynptr_slice_rdwr(&d, 0, &room, sizeof(room));
	if (eth)
		eth->h_proto = 1;
	return 1;
}

SEC("xdp") int bad_xdp_slice_too_far(struct xdp_md *c)
{
	struct bpf_dynptr d;
	struct ethhdr room, *eth;

	bpf_dynptr_from_xdp(c, 0, &d);
	eth = bpf_dynptr_slice(&d, 0, &room, sizeof(room));
	return eth ? *((char *)eth + 14) & 1 : 1;
}

SEC("xdp") int bad_xdp_slice_after_change(struct xdp_md *c)
{
	struct bpf_dynptr d;
	struct ethhdr room, *eth;

	bpf_dynptr_from_xdp(c, 0, &d);
	eth = bpf_dynptr_slice(&d, 0, &room, sizeof(room));
	if (!eth)
		return 1;
	bpf_xdp_adjust_head(c, 4);
	return eth->h_proto & 1;
}

SEC("xdp") int bad_slice_size_unknown(struct xdp_md *c)
{
	struct bpf_dynptr d;
	char room[64], *p;

	bpf_dynptr_from_xdp(c, 0, &d);
	p = bpf_dynptr_slice(&d, 0, room, (bpf_get_prandom_u32() & 31) + 1);
	return p ? *p & 1 : 1;
}

SEC("xdp") int slice_without_room(struct xdp_md *c)
{
	struct bpf_dynptr d;
	char *p;

	bpf_dynptr_from_xdp(c, 0, &d);
	p = bpf_dynptr_slice(&d, 0, NULL, 8);
	return p ? *p & 1 : 1;
}

SEC("xdp") int bad_slice_room_too_small(struct xdp_md *c)
{
	struct bpf_dynptr d;
	char room[4], *p;

	bpf_dynptr_from_xdp(c, 0, &d);
	p = bpf_dynptr_slice(&d, 0, room, 600);
	return p ? *p & 1 : 1;
}

SEC("xdp") int bad_skb_in_xdp(struct xdp_md *c)
{
	struct bpf_dynptr d;

	bpf_dynptr_from_skb((void *)c, 0, &d);
	return 1;
}

SEC("tc") int skb_slice(struct __sk_buff *skb)
{
	struct bpf_dynptr d;
	struct ethhdr room, *eth;

	bpf_dynptr_from_skb(skb, 0, &d);
	eth = bpf_dynptr_slice(&d, 0, &room, sizeof(room));
	return eth ? eth->h_proto & 1 : 1;
}

SEC("tc") int bad_skb_slice_after_write(struct __sk_buff *skb)
{
	struct bpf_dynptr d;
	struct ethhdr room, *eth;

	bpf_dynptr_from_skb(skb, 0, &d);
	eth = bpf_dynptr_slice(&d, 0, &room, sizeof(room));
	if (!eth)
		return 0;
	bpf_dynptr_write(&d, 0, &room, 4, 0);
	return eth->h_proto & 1;
}

SEC("socket") int bad_skb_slice_rdwr_in_filter(struct __sk_buff *skb)
{
	struct bpf_dynptr d;
	char room[8], *p;

	bpf_dynptr_from_skb(skb, 0, &d);
	p = bpf_dynptr_slice_rdwr(&d, 0, room, sizeof(room));
	return p ? *p : 0;
}

SEC("tc") int adjust_and_size(struct __sk_buff *skb)
{
	struct bpf_dynptr d;

	bpf_dynptr_from_skb(skb, 0, &d);
	bpf_dynptr_adjust(&d, 4, 20);
	return bpf_dynptr_size(&d) + bpf_dynptr_is_rdonly(&d);
}

SEC("raw_tp") int clone_of_ringbuf(void *ctx)
{
	struct bpf_dynptr d, c;

	bpf_ringbuf_reserve_dynptr(&rb, 64, 0, &d);
	bpf_dynptr_clone(&d, &c);
	bpf_ringbuf_submit_dynptr(&c, 0);
	return 0;
}

SEC("raw_tp") int bad_clone_after_submit(void *ctx)
{
	struct bpf_dynptr d, c;

	bpf_ringbuf_reserve_dynptr(&rb, 64, 0, &d);
	bpf_dynptr_clone(&d, &c);
	bpf_ringbuf_submit_dynptr(&d, 0);
	return bpf_dynptr_size(&c);
}

SEC("raw_tp") int bad_both_submitted(void *ctx)
{
	struct bpf_dynptr d, c;

	bpf_ringbuf_reserve_dynptr(&rb, 64, 0, &d);
	bpf_dynptr_clone(&d, &c);
	bpf_ringbuf_submit_dynptr(&d, 0);
	bpf_ringbuf_submit_dynptr(&c, 0);
	return 0;
}

SEC("raw_tp") int bad_clone_of_nothing(void *ctx)
{
	struct bpf_dynptr d, c;

	bpf_dynptr_clone(&d, &c);
	return 0;
}

/* ---- casts ---- */
SEC("tc") int kernel_skb(struct __sk_buff *skb)
{
	struct sk_buff *k = bpf_cast_to_kern_ctx(skb);

	return k->len;
}

SEC("tc") int bad_kernel_skb_written(struct __sk_buff *skb)
{
	struct sk_buff *k = bpf_cast_to_kern_ctx(skb);

	k->len = 1;
	return 0;
}

SEC("tc") int cast_to_type(struct __sk_buff *skb)
{
	struct task_struct *t = bpf_rdonly_cast((void *)(long)skb->hash, bpf_core_type_id_kernel(struct task_struct));

	return t->real_parent->pid;
}

SEC("tc") int cast_to_bytes(struct __sk_buff *skb)
{
	char *p = bpf_rdonly_cast((void *)(long)skb->hash, 0);

	return p[1000] + p[skb->len];
}

SEC("tc") int bad_cast_written(struct __sk_buff *skb)
{
	char *p = bpf_rdonly_cast((void *)(long)skb->hash, 0);

	*p = 1;
	return 0;
}

SEC("tc") int bad_cast_to_number(struct __sk_buff *skb)
{
	return *(int *)bpf_rdonly_cast((void *)(long)skb->hash, bpf_core_type_id_kernel(int));
}
