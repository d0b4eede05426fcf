/* SPDX-License-Identifier: Apache-2.0 */
/* iter.bpf.c - open-coded iterators: loops that converge, iterators that are made, asked and given back. */
#include "kern.h"

struct bpf_iter_num { __u64 __opaque[1]; } __attribute__((aligned(8)));
struct bpf_iter_bits { __u64 __opaque[2]; } __attribute__((aligned(8)));
struct bpf_iter_task { __u64 __opaque[3]; } __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
extern int bpf_iter_bits_new(struct bpf_iter_bits *it, const __u64 *p, __u32 nr) __ksym;
extern int *bpf_iter_bits_next(struct bpf_iter_bits *it) __ksym;
extern void bpf_iter_bits_destroy(struct bpf_iter_bits *it) __ksym;
extern int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task, unsigned int flags) __ksym;
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
extern void bpf_iter_task_destroy(struct bpf_iter_task *it) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;

#define N	((struct bpf_iter_num *)&it)
#define EACH(i, from, to)	struct bpf_iter_num it; int *i; \
	for (bpf_iter_num_new(N, from, to); (i = bpf_iter_num_next(N)); )
#define END	bpf_iter_num_destroy(N)

__u32 squares[256];
__u64 sum;

SEC("raw_tp") int counts_to_ten(void *ctx)
{
	int n = 0;

	EACH(i, 0, 10)
		n += *i;
	END;
	return n;
}

SEC("raw_tp") int counts_to_a_million(void *ctx)
{
	EACH(i, 0, 1000000)
		sum += *i;
	END;
	return 0;
}

SEC("raw_tp") int index_checked(void *ctx)
{
	EACH(i, 0, 1000)
		if (*i >= 0 && *i < 256)
			squares[*i] = *i * *i;
	END;
	return 0;
}

SEC("raw_tp") int bad_index_unchecked(void *ctx)
{
	EACH(i, 0, 256)
		squares[*i] = 1;
	END;
	return 0;
}

SEC("raw_tp") int nested(void *ctx)
{
	struct bpf_iter_num a, b;
	int *i, *j;

	bpf_iter_num_new((void *)&a, 0, 10);
	while ((i = bpf_iter_num_next((void *)&a))) {
		bpf_iter_num_new((void *)&b, 0, *i);
		while ((j = bpf_iter_num_next((void *)&b)))
			if (*j == 5)
				sum += *i;
		bpf_iter_num_destroy((void *)&b);
	}
	bpf_iter_num_destroy((void *)&a);
	return 0;
}

SEC("raw_tp") int early_break(void *ctx)
{
	EACH(i, 0, 100)
		if (*i == bpf_get_prandom_u32())
			break;
	END;
	return 0;
}

SEC("raw_tp") int bad_many_branches_too_complex(void *ctx)
{
	__u32 a = 0, b = 0, c = 0;

	EACH(i, 0, 100) {
		__u32 r = bpf_get_prandom_u32();

		if (r & 1)
			a++;
		if (r & 2)
			b += 2;
		if (r & 4)
			c = a;
		if (r & 8 && c < 256)
			squares[c] = b;
	}
	END;
	return a + b;
}

SEC("raw_tp") int state_machine(void *ctx)
{
	int state = 0;

	EACH(i, 0, 1000) {
		switch (state) {
		case 0: state = bpf_get_prandom_u32() & 1 ? 1 : 2; break;
		case 1: state = 3; break;
		case 2: state = 3; break;
		default: state = 0;
		}
		sum += state;
	}
	END;
	return state;
}

SEC("raw_tp") int bad_not_destroyed(void *ctx)
{
	EACH(i, 0, 10)
		sum++;
	return 0;
}

SEC("raw_tp") int bad_destroyed_twice(void *ctx)
{
	EACH(i, 0, 10)
		sum++;
	END;
	END;
	return 0;
}

SEC("raw_tp") int bad_next_without_new(void *ctx)
{
	struct bpf_iter_num it = {};

	return bpf_iter_num_next(N) != 0;
}

SEC("raw_tp") int bad_made_twice(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(N, 0, 1);
	bpf_iter_num_new(N, 0, 1);
	END;
	return 0;
}

SEC("raw_tp") int bad_element_unchecked(void *ctx)
{
	struct bpf_iter_num it;
	int v;

	bpf_iter_num_new(N, 0, 1);
	v = *bpf_iter_num_next(N);
	END;
	return v;
}

SEC("raw_tp") int bad_element_after_destroy(void *ctx)
{
	struct bpf_iter_num it;
	int *p;

	bpf_iter_num_new(N, 0, 1);
	p = bpf_iter_num_next(N);
	END;
	return p ? *p : 0;
}

SEC("raw_tp") int bad_element_written(void *ctx)
{
	EACH(i, 0, 10)
		*i = 1;
	END;
	return 0;
}

SEC("raw_tp") int bad_overwritten(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(N, 0, 1);
	*(volatile __u64 *)&it = 0;
	END;
	return 0;
}

SEC("raw_tp") int bad_read_directly(void *ctx)
{
	struct bpf_iter_num it;
	__u64 v;

	bpf_iter_num_new(N, 0, 1);
	v = *(volatile __u64 *)&it;
	END;
	return v;
}

SEC("raw_tp") int bad_wrong_kind(void *ctx)
{
	struct bpf_iter_bits it;

	bpf_iter_num_new(N, 0, 1);
	bpf_iter_bits_next((void *)&it);
	END;
	return 0;
}

SEC("raw_tp") int bits_of_a_word(void *ctx)
{
	struct bpf_iter_bits it;
	__u64 word = bpf_get_prandom_u32();
	int *bit;

	bpf_iter_bits_new((void *)&it, &word, 1);
	while ((bit = bpf_iter_bits_next((void *)&it)))
		sum += *bit;
	bpf_iter_bits_destroy((void *)&it);
	return 0;
}

SEC("raw_tp") int precise_in_second_turn(void *ctx)
{
	__u32 i = 0, seen = 0;

	EACH(n, 0, 10) {
		if (seen && i < 256)
			squares[i] = 1;
		i = bpf_get_prandom_u32();
		seen = 1;
	}
	END;
	return 0;
}

SEC("raw_tp") int bad_precise_in_second_turn(void *ctx)
{
	volatile __u32 room = 0;
	__u32 i = 0, seen = 0;

	EACH(n, 0, 10) {
		if (seen)
			squares[i] = 1;
		if (*n == 7)
			i = bpf_get_prandom_u32();
		seen = 1;
	}
	END;
	return room;
}

SEC("raw_tp") int bad_stack_read_in_second_turn(void *ctx)
{
	char b[8];
	int seen = 0;

	EACH(n, 0, 10) {
		if (seen)
			sum += bpf_map_lookup_elem((void *)(long)b[0], b) != 0;
		seen = 1;
	}
	END;
	return 0;
}

static __noinline int walk_some(int n)
{
	int s = 0;

	EACH(i, 0, n)
		s += *i;
	END;
	return s;
}

SEC("raw_tp") int in_functions(void *ctx)
{
	return walk_some(10) + walk_some(bpf_get_prandom_u32());
}

static __noinline void step(struct bpf_iter_num *it)
{
	int *i = bpf_iter_num_next(it);

	if (i)
		sum += *i;
}

SEC("raw_tp") int passed_to_function(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(N, 0, 10);
	step(N);
	step(N);
	END;
	return 0;
}

static long in_callback(__u32 n, void *ctx)
{
	EACH(i, 0, n)
		sum += *i;
	END;
	return 0;
}

SEC("raw_tp") int inside_a_callback(void *ctx)
{
	return bpf_loop(10, in_callback, NULL, 0);
}

SEC("tp_btf/sched_switch") int tasks(void *ctx)
{
	struct bpf_iter_task it;
	struct task_struct *t;

	bpf_iter_task_new((void *)&it, NULL, 0);
	while ((t = bpf_iter_task_next((void *)&it)))
		sum += t->pid;
	bpf_iter_task_destroy((void *)&it);
	return 0;
}

SEC("iter.s/task") int tasks_when_sleepable(struct bpf_iter__task *ctx)
{
	struct bpf_iter_task it;
	struct task_struct *t;

	bpf_rcu_read_lock();
	bpf_iter_task_new((void *)&it, NULL, 0);
	while ((t = bpf_iter_task_next((void *)&it)))
		sum += t->pid;
	bpf_iter_task_destroy((void *)&it);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("iter.s/task") int bad_tasks_without_rcu(struct bpf_iter__task *ctx)
{
	struct bpf_iter_task it;

	bpf_iter_task_new((void *)&it, NULL, 0);
	bpf_iter_task_next((void *)&it);
	bpf_iter_task_destroy((void *)&it);
	return 0;
}

SEC("iter.s/task") int bad_tasks_after_rcu(struct bpf_iter__task *ctx)
{
	struct bpf_iter_task it;

	bpf_rcu_read_lock();
	bpf_iter_task_new((void *)&it, NULL, 0);
	bpf_rcu_read_unlock();
	bpf_iter_task_next((void *)&it);
	bpf_iter_task_destroy((void *)&it);
	return 0;
}

/* sorts in rounds; indices are masked */
SEC("raw_tp") int bubbles(void *ctx)
{
	__u32 a[16];
	struct bpf_iter_num x;
	int *i;

	for (int k = 0; k < 16; k++)
		a[k] = bpf_get_prandom_u32();
	bpf_iter_num_new((void *)&x, 0, 256);
	while ((i = bpf_iter_num_next((void *)&x))) {
		__u32 k = *i & 15, t;

		if (k < 15 && a[k] > a[k + 1]) {
			t = a[k];
			a[k] = a[k + 1];
			a[k + 1] = t;
		}
	}
	bpf_iter_num_destroy((void *)&x);
	return a[0];
}
