/* SPDX-License-Identifier: Apache-2.0 */
/* dynptr.bpf.c - dynptrs made by helpers: local memory, ring buffer records, what a user's ring holds. */
#include "kern.h"

struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } rb SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_USER_RINGBUF); __uint(max_entries, 4096); } urb SEC(".maps");
struct value { char bytes[64]; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 2); __type(key, int); __type(value, struct value); } array SEC(".maps");
int key;

SEC("raw_tp") int reserve_submit(void *ctx)
{
	struct bpf_dynptr d;

	bpf_ringbuf_reserve_dynptr(&rb, 8, 0, &d);
	bpf_ringbuf_submit_dynptr(&d, 0);
	return 0;
}

SEC("raw_tp") int bad_not_released(void *ctx)
{
	struct bpf_dynptr d;

	bpf_ringbuf_reserve_dynptr(&rb, 8, 0, &d);
	return 0;
}

SEC("raw_tp") int bad_released_twice(void *ctx)
{
	struct bpf_dynptr d;

	bpf_ringbuf_reserve_dynptr(&rb, 8, 0, &d);
	bpf_ringbuf_discard_dynptr(&d, 0);
	bpf_ringbuf_discard_dynptr(&d, 0);
	return 0;
}

SEC("raw_tp") int bad_overwritten(void *ctx)
{
	struct bpf_dynptr d;

	bpf_ringbuf_reserve_dynptr(&rb, 8, 0, &d);
	*(volatile long *)&d = 0;
	bpf_ringbuf_submit_dynptr(&d, 0);
	return 0;
}

SEC("raw_tp") int bad_read_directly(void *ctx)
{
	struct bpf_dynptr d;
	long v;

	bpf_ringbuf_reserve_dynptr(&rb, 8, 0, &d);
	v = *(volatile long *)&d;
	bpf_ringbuf_submit_dynptr(&d, 0);
	return v;
}

SEC("raw_tp") int slice_checked(void *ctx)
{
	struct bpf_dynptr d;
	long *p;

	bpf_ringbuf_reserve_dynptr(&rb, 8, 0, &d);
	p = bpf_dynptr_data(&d, 0, 8);
	if (p)
		*p = 5;
	bpf_ringbuf_submit_dynptr(&d, 0);
	return 0;
}

SEC("raw_tp") int bad_slice_unchecked(void *ctx)
{
	struct bpf_dynptr d;
	long *p;

	bpf_ringbuf_reserve_dynptr(&rb, 8, 0, &d);
	p = bpf_dynptr_data(&d, 0, 8);
	*p = 5;
	bpf_ringbuf_submit_dynptr(&d, 0);
	return 0;
}

SEC("raw_tp") int bad_slice_too_far(void *ctx)
{
	struct bpf_dynptr d;
	long *p;

	bpf_ringbuf_reserve_dynptr(&rb, 8, 0, &d);
	p = bpf_dynptr_data(&d, 0, 8);
	if (p)
		p[1] = 5;
	bpf_ringbuf_submit_dynptr(&d, 0);
	return 0;
}

SEC("raw_tp") int bad_slice_after_submit(void *ctx)
{
	struct bpf_dynptr d;
	long *p;

	bpf_ringbuf_reserve_dynptr(&rb, 8, 0, &d);
	p = bpf_dynptr_data(&d, 0, 8);
	if (!p) {
		bpf_ringbuf_submit_dynptr(&d, 0);
		return 0;
	}
	bpf_ringbuf_submit_dynptr(&d, 0);
	*p = 1;
	return 0;
}

SEC("raw_tp") int bad_slice_length_unknown(void *ctx)
{
	struct bpf_dynptr d;
	long *p;

	bpf_ringbuf_reserve_dynptr(&rb, 8, 0, &d);
	p = bpf_dynptr_data(&d, 0, bpf_get_prandom_u32() & 7);
	if (p)
		*p = 1;
	bpf_ringbuf_submit_dynptr(&d, 0);
	return 0;
}

SEC("raw_tp") int local_memory(void *ctx)
{
	struct value *v = bpf_map_lookup_elem(&array, &key);
	struct bpf_dynptr d;
	char b[8];

	if (!v)
		return 0;
	bpf_dynptr_from_mem(v, sizeof(*v), 0, &d);
	bpf_dynptr_write(&d, 3, "hello", 5, 0);
	bpf_dynptr_read(b, sizeof(b), &d, 3, 0);
	return b[0];
}

SEC("raw_tp") int local_memory_overwritten(void *ctx)
{
	struct value *v = bpf_map_lookup_elem(&array, &key);
	struct bpf_dynptr d;

	if (!v)
		return 0;
	bpf_dynptr_from_mem(v, sizeof(*v), 0, &d);
	bpf_dynptr_from_mem(v, 8, 0, &d);
	return 0;
}

SEC("raw_tp") int bad_slice_of_overwritten(void *ctx)
{
	struct value *v = bpf_map_lookup_elem(&array, &key);
	struct bpf_dynptr d;
	long *p;

	if (!v)
		return 0;
	bpf_dynptr_from_mem(v, sizeof(*v), 0, &d);
	p = bpf_dynptr_data(&d, 0, 8);
	bpf_dynptr_from_mem(v, 8, 0, &d);
	return p ? *p : 0;
}

SEC("raw_tp") int bad_stack_memory(void *ctx)
{
	struct bpf_dynptr d;
	char b[8] = {};

	bpf_dynptr_from_mem(b, sizeof(b), 0, &d);
	return 0;
}

SEC("raw_tp") int bad_uninitialised_read(void *ctx)
{
	struct bpf_dynptr d = {};
	char b[8];

	return bpf_dynptr_read(b, sizeof(b), &d, 0, 0);
}

SEC("raw_tp") int bad_local_submitted(void *ctx)
{
	struct value *v = bpf_map_lookup_elem(&array, &key);
	struct bpf_dynptr d;

	if (!v)
		return 0;
	bpf_dynptr_from_mem(v, sizeof(*v), 0, &d);
	bpf_ringbuf_submit_dynptr(&d, 0);
	return 0;
}

SEC("raw_tp") int bad_dynptr_in_map(void *ctx)
{
	struct value *v = bpf_map_lookup_elem(&array, &key);

	if (v)
		bpf_ringbuf_reserve_dynptr(&rb, 8, 0, (void *)v);
	return 0;
}

SEC("raw_tp") int bad_unaligned(void *ctx)
{
	char room[32];

	bpf_ringbuf_reserve_dynptr(&rb, 8, 0, (void *)(((long)room & 0) + room + 4));
	return 0;
}

SEC("raw_tp") int bad_shifted_by_a_slot(void *ctx)
{
	struct bpf_dynptr d[2];

	bpf_ringbuf_reserve_dynptr(&rb, 8, 0, &d[0]);
	bpf_ringbuf_submit_dynptr((void *)((char *)&d[0] + 8), 0);
	return 0;
}

static __noinline int fill(struct bpf_dynptr *d)
{
	return bpf_dynptr_write(d, 0, "x", 1, 0);
}

SEC("raw_tp") int passed_to_function(void *ctx)
{
	struct bpf_dynptr d;

	bpf_ringbuf_reserve_dynptr(&rb, 8, 0, &d);
	fill(&d);
	bpf_ringbuf_submit_dynptr(&d, 0);
	return 0;
}

SEC("raw_tp") int two_branches(void *ctx)
{
	struct bpf_dynptr d;

	if (bpf_ringbuf_reserve_dynptr(&rb, 8, 0, &d))
		bpf_ringbuf_discard_dynptr(&d, 0);
	else
		bpf_ringbuf_submit_dynptr(&d, 0);
	return 0;
}

SEC("raw_tp") int bad_only_on_success(void *ctx)
{
	struct bpf_dynptr d;

	if (!bpf_ringbuf_reserve_dynptr(&rb, 8, 0, &d))
		bpf_ringbuf_submit_dynptr(&d, 0);
	return 0;
}

SEC("raw_tp") int bad_variable_offset(void *ctx)
{
	struct bpf_dynptr d[4];
	int i = bpf_get_prandom_u32() & 3;

	bpf_ringbuf_reserve_dynptr(&rb, 8, 0, &d[i]);
	return 0;
}

static long drained(struct bpf_dynptr *d, void *ctx)
{
	char b[4];

	bpf_dynptr_read(b, sizeof(b), d, 0, 0);
	return 0;
}

SEC("raw_tp") int drain(void *ctx)
{
	return bpf_user_ringbuf_drain(&urb, drained, 0, 0);
}

static long drained_written(struct bpf_dynptr *d, void *ctx)
{
	return bpf_dynptr_from_mem(ctx, 8, 0, d);
}

SEC("raw_tp") int bad_drained_dynptr_written(void *ctx)
{
	return bpf_user_ringbuf_drain(&urb, drained_written, 0, 0);
}

static long drained_kept(struct bpf_dynptr *d, void *ctx)
{
	bpf_ringbuf_submit_dynptr(d, 0);
	return 0;
}

SEC("raw_tp") int bad_drained_dynptr_released(void *ctx)
{
	return bpf_user_ringbuf_drain(&urb, drained_kept, 0, 0);
}

static long drained_result(struct bpf_dynptr *d, void *ctx) { return 2; }

SEC("raw_tp") int bad_drain_result(void *ctx)
{
	return bpf_user_ringbuf_drain(&urb, drained_result, 0, 0);
}

SEC("raw_tp") int bad_counter_forgotten_in_loop(void *ctx)
{
	struct bpf_dynptr d;

	for (int i = 0; i < 50; i++) {
		bpf_ringbuf_reserve_dynptr(&rb, 8, 0, &d);
		if (bpf_get_prandom_u32() & 1)
			bpf_dynptr_write(&d, 0, &i, 4, 0);
		bpf_ringbuf_submit_dynptr(&d, 0);
	}
	return 0;
}
