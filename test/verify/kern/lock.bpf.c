/* SPDX-License-Identifier: Apache-2.0 */
/* lock.bpf.c - special fields of map values: spin locks, timers, workqueues; callbacks that run later. */
#include "kern.h"

struct bpf_wq { __u64 __opaque[2]; } __attribute__((aligned(8)));
struct bpf_res_spin_lock { __u32 val; } __attribute__((aligned(4)));
extern int bpf_wq_init(struct bpf_wq *wq, void *p__map, unsigned int flags) __ksym;
extern int bpf_wq_start(struct bpf_wq *wq, unsigned int flags) __ksym;
extern int bpf_wq_set_callback_impl(struct bpf_wq *wq, int (*callback_fn)(void *map, int *key, void *value),
				    unsigned int flags, void *aux__ign) __ksym;
extern int bpf_res_spin_lock(struct bpf_res_spin_lock *lock) __ksym;
extern void bpf_res_spin_unlock(struct bpf_res_spin_lock *lock) __ksym;

struct locked { __u64 n; struct bpf_spin_lock l; __u32 m; };
struct timed { __u64 n; struct bpf_timer t; };
struct queued { __u64 n; struct bpf_wq w; };
struct reslocked { __u64 n; struct bpf_res_spin_lock l; };
struct plain { __u64 n; };

#define MAP(name, ty, val) struct { __uint(type, BPF_MAP_TYPE_##ty); __uint(max_entries, 4); __type(key, int); __type(value, val); } \
	name SEC(".maps")
MAP(hash, HASH, struct locked);
MAP(array, ARRAY, struct locked);
MAP(timers, ARRAY, struct timed);
MAP(timers2, ARRAY, struct timed);
MAP(queues, ARRAY, struct queued);
MAP(res, ARRAY, struct reslocked);
MAP(nolock, ARRAY, struct plain);
int key;
__u64 sum;
struct bpf_spin_lock global SEC(".data.lock");
__u64 guarded SEC(".data.lock");

#define GET(m)	struct locked *v = bpf_map_lookup_elem(&m, &key); if (!v) return 0

SEC("tc") int lock_unlock(struct __sk_buff *skb)
{
	GET(array);
	bpf_spin_lock(&v->l);
	v->n++;
	bpf_spin_unlock(&v->l);
	return 0;
}

SEC("tc") int lock_of_hash(struct __sk_buff *skb)
{
	GET(hash);
	bpf_spin_lock(&v->l);
	v->n++;
	bpf_spin_unlock(&v->l);
	return 0;
}

SEC("tc") int lock_of_data(struct __sk_buff *skb)
{
	bpf_spin_lock(&global);
	guarded++;
	bpf_spin_unlock(&global);
	return 0;
}

SEC("tc") int bad_left_locked(struct __sk_buff *skb)
{
	GET(array);
	bpf_spin_lock(&v->l);
	return 0;
}

SEC("tc") int bad_locked_twice(struct __sk_buff *skb)
{
	GET(array);
	bpf_spin_lock(&v->l);
	bpf_spin_lock(&v->l);
	return 0;
}

SEC("tc") int bad_unlocked_twice(struct __sk_buff *skb)
{
	GET(array);
	bpf_spin_lock(&v->l);
	bpf_spin_unlock(&v->l);
	bpf_spin_unlock(&v->l);
	return 0;
}

SEC("tc") int bad_two_locks(struct __sk_buff *skb)
{
	struct locked *w = bpf_map_lookup_elem(&hash, &key);
	GET(array);

	if (!w)
		return 0;
	bpf_spin_lock(&v->l);
	bpf_spin_lock(&w->l);
	bpf_spin_unlock(&w->l);
	bpf_spin_unlock(&v->l);
	return 0;
}

SEC("tc") int bad_other_unlocked(struct __sk_buff *skb)
{
	struct locked *w = bpf_map_lookup_elem(&array, &key);
	GET(array);

	if (!w)
		return 0;
	bpf_spin_lock(&v->l);
	bpf_spin_unlock(&w->l);
	return 0;
}

SEC("tc") int bad_call_under_lock(struct __sk_buff *skb)
{
	GET(array);
	bpf_spin_lock(&v->l);
	v->n = bpf_get_prandom_u32();
	bpf_spin_unlock(&v->l);
	return 0;
}

static __noinline void bump(struct locked *v) { v->n += 2; }
__noinline int global_bump(int n) { return n + 2; }

SEC("tc") int static_call_under_lock(struct __sk_buff *skb)
{
	GET(array);
	bpf_spin_lock(&v->l);
	bump(v);
	bpf_spin_unlock(&v->l);
	return 0;
}

SEC("tc") int bad_global_call_under_lock(struct __sk_buff *skb)
{
	GET(array);
	bpf_spin_lock(&v->l);
	v->n = global_bump(1);
	bpf_spin_unlock(&v->l);
	return 0;
}

SEC("tc") int bad_lock_written(struct __sk_buff *skb)
{
	GET(array);
	*(__u32 *)&v->l = 0;
	return 0;
}

SEC("tc") int bad_lock_read(struct __sk_buff *skb)
{
	GET(array);
	return *(volatile __u32 *)&v->l;
}

SEC("tc") int neighbours_of_lock(struct __sk_buff *skb)
{
	GET(array);
	v->n = 1;
	v->m = 2;
	return 0;
}

SEC("tc") int bad_helper_over_lock(struct __sk_buff *skb)
{
	GET(array);
	return bpf_skb_load_bytes(skb, 0, v, sizeof(*v));
}

SEC("tc") int bad_not_the_lock(struct __sk_buff *skb)
{
	GET(array);
	bpf_spin_lock((void *)&v->n);
	bpf_spin_unlock((void *)&v->n);
	return 0;
}

SEC("tc") int bad_map_without_lock(struct __sk_buff *skb)
{
	struct plain *v = bpf_map_lookup_elem(&nolock, &key);

	if (v) {
		bpf_spin_lock((void *)v);
		bpf_spin_unlock((void *)v);
	}
	return 0;
}

SEC("tc") int bad_lock_on_stack(struct __sk_buff *skb)
{
	struct bpf_spin_lock l = {};

	bpf_spin_lock(&l);
	bpf_spin_unlock(&l);
	return 0;
}

SEC("raw_tp") int bad_lock_while_tracing(void *ctx)
{
	GET(array);
	bpf_spin_lock(&v->l);
	bpf_spin_unlock(&v->l);
	return 0;
}

SEC("socket") int bad_lock_in_filter(struct __sk_buff *skb)
{
	GET(array);
	bpf_spin_lock(&v->l);
	bpf_spin_unlock(&v->l);
	return 0;
}

SEC("tc") int lock_one_branch(struct __sk_buff *skb)
{
	GET(array);
	if (skb->len > 100) {
		bpf_spin_lock(&v->l);
		v->n++;
		bpf_spin_unlock(&v->l);
	}
	return 0;
}

SEC("tc") int bad_lock_one_branch_unlock_both(struct __sk_buff *skb)
{
	GET(array);
	if (skb->len > 100)
		bpf_spin_lock(&v->l);
	bpf_spin_unlock(&v->l);
	return 0;
}

SEC("tc") int lock_in_loop(struct __sk_buff *skb)
{
	GET(array);
	for (int i = 0; i < 10; i++) {
		bpf_spin_lock(&v->l);
		v->n += i;
		bpf_spin_unlock(&v->l);
	}
	return 0;
}

/* ---- timers ---- */
static int tick(void *map, int *k, struct timed *v)
{
	v->n += *k;
	return 0;
}

static int bad_tick(void *map, int *k, struct timed *v) { return 1; }

#define TIMER	struct timed *v = bpf_map_lookup_elem(&timers, &key); if (!v) return 0

SEC("tc") int timer(struct __sk_buff *skb)
{
	TIMER;
	bpf_timer_init(&v->t, &timers, 1);
	bpf_timer_set_callback(&v->t, tick);
	bpf_timer_start(&v->t, 1000, 0);
	return 0;
}

SEC("tc") int timer_cancelled(struct __sk_buff *skb)
{
	TIMER;
	return bpf_timer_cancel(&v->t);
}

SEC("tc") int bad_timer_result(struct __sk_buff *skb)
{
	TIMER;
	bpf_timer_set_callback(&v->t, bad_tick);
	return 0;
}

SEC("tc") int bad_timer_of_other_map(struct __sk_buff *skb)
{
	TIMER;
	bpf_timer_init(&v->t, &timers2, 1);
	return 0;
}

SEC("tc") int bad_timer_missed(struct __sk_buff *skb)
{
	TIMER;
	bpf_timer_cancel((void *)&v->n);
	return 0;
}

SEC("tc") int bad_timer_written(struct __sk_buff *skb)
{
	TIMER;
	*(volatile long *)&v->t = 0;
	return 0;
}

SEC("raw_tp") int bad_timer_while_tracing(void *ctx)
{
	TIMER;
	bpf_timer_init(&v->t, &timers, 1);
	return 0;
}

static int tick_again(void *map, int *k, struct timed *v)
{
	bpf_timer_start(&v->t, 5, 0);
	bpf_timer_set_callback(&v->t, tick_again);
	return 0;
}

SEC("tc") int timer_that_sets_itself(struct __sk_buff *skb)
{
	TIMER;
	bpf_timer_init(&v->t, &timers, 1);
	bpf_timer_set_callback(&v->t, tick_again);
	return 0;
}

static int tick_key(void *map, int *k, struct timed *v)
{
	*k = 1;
	return 0;
}

SEC("tc") int bad_timer_writes_key(struct __sk_buff *skb)
{
	TIMER;
	bpf_timer_set_callback(&v->t, tick_key);
	return 0;
}

/* ---- workqueues ---- */
static int work(void *map, int *k, void *v)
{
	sum++;
	return 0;
}

#define WORK	struct queued *v = bpf_map_lookup_elem(&queues, &key); if (!v) return 0

SEC("tc") int workqueue(struct __sk_buff *skb)
{
	WORK;
	bpf_wq_init(&v->w, &queues, 0);
	bpf_wq_set_callback_impl(&v->w, work, 0, NULL);
	bpf_wq_start(&v->w, 0);
	return 0;
}

SEC("tc") int bad_workqueue_missed(struct __sk_buff *skb)
{
	WORK;
	bpf_wq_start((void *)&v->n, 0);
	return 0;
}

static int work_sleeps(void *map, int *k, void *v)
{
	char b[8];

	bpf_copy_from_user(b, sizeof(b), 0);
	return 0;
}

SEC("tc") int workqueue_may_sleep(struct __sk_buff *skb)
{
	WORK;
	bpf_wq_set_callback_impl(&v->w, work_sleeps, 0, NULL);
	return 0;
}

static int tick_sleeps(void *map, int *k, struct timed *v)
{
	char b[8];

	bpf_copy_from_user(b, sizeof(b), 0);
	return 0;
}

SEC("tc") int bad_timer_sleeps(struct __sk_buff *skb)
{
	TIMER;
	bpf_timer_set_callback(&v->t, tick_sleeps);
	return 0;
}

/* ---- resilient locks ---- */
#define RES	struct reslocked *v = bpf_map_lookup_elem(&res, &key); if (!v) return 0

SEC("tc") int resilient(struct __sk_buff *skb)
{
	RES;
	if (bpf_res_spin_lock(&v->l))
		return 1;
	v->n++;
	bpf_res_spin_unlock(&v->l);
	return 0;
}

SEC("tc") int bad_resilient_unchecked(struct __sk_buff *skb)
{
	RES;
	bpf_res_spin_lock(&v->l);
	bpf_res_spin_unlock(&v->l);
	return 0;
}

SEC("tc") int bad_resilient_twice(struct __sk_buff *skb)
{
	RES;
	if (bpf_res_spin_lock(&v->l))
		return 1;
	if (!bpf_res_spin_lock(&v->l))
		bpf_res_spin_unlock(&v->l);
	bpf_res_spin_unlock(&v->l);
	return 0;
}

SEC("tc") int bad_resilient_left(struct __sk_buff *skb)
{
	RES;
	return bpf_res_spin_lock(&v->l);
}
