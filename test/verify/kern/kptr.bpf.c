/* SPDX-License-Identifier: Apache-2.0 */
/* kptr.bpf.c - pointers kept in map values, and objects that programs allocate. */
#include "kern.h"

#define __kptr		__attribute__((btf_type_tag("kptr")))
#define __kptr_untrusted	__attribute__((btf_type_tag("kptr_untrusted")))

extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern void *bpf_obj_new_impl(__u64 local_type_id__k, void *meta__ign) __ksym;
extern void bpf_obj_drop_impl(void *p__alloc, void *meta__ign) __ksym;

struct own_object { __u64 a; int b[4]; struct own_object *other; };
typedef struct task_struct task_t;	/* clang 14 loses tags of pointers straight to structs */
typedef struct own_object object_t;
struct value { __u64 n; task_t __kptr *task; task_t __kptr_untrusted *loose; object_t __kptr *obj; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, int); __type(value, struct value); } map SEC(".maps");
int key;
__u64 sum;

#define NEW(t)	((t *)bpf_obj_new_impl(bpf_core_type_id_local(t), NULL))
#define DROP(p)	bpf_obj_drop_impl(p, NULL)
#define TP	SEC("tp_btf/sched_switch")
#define PREV	((struct task_struct *)ctx[1])
#define GET	struct value *v = bpf_map_lookup_elem(&map, &key); if (!v) return 0

TP int put(__u64 *ctx)
{
	struct task_struct *t, *old;
	GET;

	t = bpf_task_acquire(PREV);
	if (!t)
		return 0;
	old = bpf_kptr_xchg(&v->task, t);
	if (old)
		bpf_task_release(old);
	return 0;
}

TP int take(__u64 *ctx)
{
	struct task_struct *old;
	GET;

	old = bpf_kptr_xchg(&v->task, NULL);
	if (old) {
		sum += old->pid;
		bpf_task_release(old);
	}
	return 0;
}

TP int bad_old_leaks(__u64 *ctx)
{
	GET;
	bpf_kptr_xchg(&v->task, NULL);
	return 0;
}

TP int bad_put_unreferenced(__u64 *ctx)
{
	struct task_struct *old;
	GET;

	old = bpf_kptr_xchg(&v->task, PREV);
	if (old)
		bpf_task_release(old);
	return 0;
}

TP int bad_use_after_put(__u64 *ctx)
{
	struct task_struct *t, *old;
	GET;

	t = bpf_task_acquire(PREV);
	if (!t)
		return 0;
	old = bpf_kptr_xchg(&v->task, t);
	if (old)
		bpf_task_release(old);
	return t->pid;
}

TP int load_of_kptr(__u64 *ctx)
{
	struct task_struct *t;
	GET;

	t = v->task;
	return t ? t->pid : 0;
}

TP int bad_load_unchecked(__u64 *ctx)
{
	GET;
	return v->task->pid;
}

TP int acquire_of_kptr(__u64 *ctx)
{
	struct task_struct *t;
	GET;

	t = v->task;
	if (!t)
		return 0;
	t = bpf_task_acquire(t);
	if (t)
		bpf_task_release(t);
	return 0;
}

TP int bad_store_to_referenced(__u64 *ctx)
{
	GET;
	*(volatile long *)&v->task = 0;
	return 0;
}

TP int store_to_loose(__u64 *ctx)
{
	GET;
	v->loose = PREV;
	return 0;
}

TP int bad_store_of_number(__u64 *ctx)
{
	GET;
	v->loose = (void *)5;
	return 0;
}

TP int bad_store_of_other_type(__u64 *ctx)
{
	GET;
	v->loose = (void *)PREV->cgroups;
	return 0;
}

TP int load_of_loose(__u64 *ctx)
{
	struct task_struct *t;
	GET;

	t = v->loose;
	return t ? t->real_parent->pid : 0;
}

TP int bad_acquire_of_loose(__u64 *ctx)
{
	struct task_struct *t;
	GET;

	t = v->loose;
	if (!t)
		return 0;
	t = bpf_task_acquire(t);
	if (t)
		bpf_task_release(t);
	return 0;
}

TP int bad_exchange_loose(__u64 *ctx)
{
	struct task_struct *old;
	GET;

	old = bpf_kptr_xchg(&v->loose, NULL);
	if (old)
		bpf_task_release(old);
	return 0;
}

TP int bad_exchange_number(__u64 *ctx)
{
	struct task_struct *old;
	GET;

	old = bpf_kptr_xchg(&v->n, NULL);
	if (old)
		bpf_task_release(old);
	return 0;
}

TP int bad_half_load(__u64 *ctx)
{
	GET;
	return *(volatile int *)&v->task;
}

TP int bad_helper_reads_it(__u64 *ctx)
{
	GET;
	return bpf_map_update_elem(&map, &key, v, 0);
}

SEC("tc") int object_new_drop(struct __sk_buff *skb)
{
	struct own_object *o = NEW(struct own_object);

	if (!o)
		return 0;
	o->a = 1;
	o->b[3] = 2;
	sum += o->a;
	DROP(o);
	return 0;
}

SEC("tc") int bad_object_leaks(struct __sk_buff *skb)
{
	NEW(struct own_object);
	return 0;
}

SEC("tc") int bad_object_unchecked(struct __sk_buff *skb)
{
	struct own_object *o = NEW(struct own_object);

	o->a = 1;
	DROP(o);
	return 0;
}

SEC("tc") int bad_object_after_drop(struct __sk_buff *skb)
{
	struct own_object *o = NEW(struct own_object);

	if (!o)
		return 0;
	DROP(o);
	return o->a;
}

SEC("tc") int bad_object_too_far(struct __sk_buff *skb)
{
	struct own_object *o = NEW(struct own_object);

	if (!o)
		return 0;
	((__u64 *)o)[5] = 1;
	DROP(o);
	return 0;
}

SEC("tc") int object_in_map(struct __sk_buff *skb)
{
	struct own_object *o;
	GET;

	o = NEW(struct own_object);
	if (!o)
		return 0;
	o->a = 7;
	o = bpf_kptr_xchg(&v->obj, o);
	if (o)
		DROP(o);
	return 0;
}

SEC("tc") int object_loaded_from_map(struct __sk_buff *skb)
{
	struct own_object *o;
	GET;

	o = v->obj;
	return o ? o->a : 0;
}

SEC("tc") int object_pointer_is_number(struct __sk_buff *skb)
{
	struct own_object *o = NEW(struct own_object);
	__u64 n;

	if (!o)
		return 0;
	n = (long)o->other;
	DROP(o);
	return n & 1;
}

SEC("tc") int bad_drop_of_map_value(struct __sk_buff *skb)
{
	GET;
	DROP(v);
	return 0;
}
