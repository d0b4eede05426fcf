/* SPDX-License-Identifier: Apache-2.0 */
/* maps.bpf.c - counters, structures as keys and values, ring buffers, tail calls, maps in maps. */
#include "progs.h"

struct key { __u32 id; __u16 port; __u16 pad; };
struct value { __u64 packets, bytes; __u32 first, last; };
struct event { __u32 len, kind; __u8 head[8]; };

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32);
	__type(key, struct key);
	__type(value, struct value);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct value);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} jumps SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} inner_a SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { &inner_a } };

SEC("xdp") int counter(struct xdp_md *c)
{
	__u32 i = 3, len = c->data_end - c->data;
	struct value *v = bpf_map_lookup_elem(&slots, &i);

	if (!v)
		return XDP_ABORTED;
	v->packets++;
	v->bytes += len;
	v->last = len;
	return XDP_PASS;
}

SEC("xdp") int struct_key(struct xdp_md *c)
{
	__u32 len = c->data_end - c->data;
	struct key k = { .id = len, .port = 80 };
	struct value fresh = { .packets = 1, .first = len }, *v = bpf_map_lookup_elem(&table, &k);

	if (v)
		v->packets++;
	else
		bpf_map_update_elem(&table, &k, &fresh, BPF_NOEXIST);
	return XDP_PASS;
}

SEC("xdp") int insert_and_delete(struct xdp_md *c)
{
	struct key k = { .id = 1 };
	struct value v = { .packets = 5 };

	if (bpf_map_update_elem(&table, &k, &v, BPF_ANY))
		return XDP_ABORTED;
	return bpf_map_delete_elem(&table, &k) ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int ring_record(struct xdp_md *c)
{
	__u8 *data = PTR(c->data), *end = PTR(c->data_end);
	struct event *e;

	if (data + 8 > end)
		return XDP_DROP;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return XDP_DROP;
	e->len = end - data;
	e->kind = data[0];
	__builtin_memcpy(e->head, data, 8);
	if (e->kind & 1)
		bpf_ringbuf_discard(e, 0);
	else
		bpf_ringbuf_submit(e, 0);
	return XDP_PASS;
}

SEC("xdp") int tail(struct xdp_md *c)
{
	bpf_tail_call(c, &jumps, 2);
	return XDP_TX;
}

SEC("xdp") int map_in_map(struct xdp_md *c)
{
	__u32 i = 0;
	void *m = bpf_map_lookup_elem(&outer, &i);
	__u64 *v;

	if (!m)
		return XDP_DROP;
	v = bpf_map_lookup_elem(m, &i);
	if (!v)
		return XDP_DROP;
	*v += 2;
	return XDP_PASS;
}

SEC("raw_tp/sys_enter") int pid_counter(struct bpf_raw_tracepoint_args *ctx)
{
	struct key k = { .id = bpf_get_current_pid_tgid() >> 32, .port = ctx->args[1] };
	struct value v = { .packets = 1 };

	bpf_map_update_elem(&table, &k, &v, BPF_ANY);
	return 0;
}

SEC("xdp") int bad_no_null_check(struct xdp_md *c)
{
	__u32 i = c->data_end - c->data;
	struct value *v = bpf_map_lookup_elem(&slots, &i);

	v->packets++;
	return XDP_PASS;
}

SEC("xdp") int bad_behind_value(struct xdp_md *c)
{
	__u32 i = 1;
	struct value *v = bpf_map_lookup_elem(&slots, &i);

	if (v)
		v[1].packets++;
	return XDP_PASS;
}

SEC("xdp") int bad_record_lost(struct xdp_md *c)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return XDP_DROP;
	if (c->rx_queue_index == 3)
		return XDP_DROP;
	bpf_ringbuf_submit(e, 0);
	return XDP_PASS;
}

SEC("xdp") int bad_record_after_submit(struct xdp_md *c)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return XDP_DROP;
	bpf_ringbuf_submit(e, 0);
	return e->kind;
}

SEC("xdp") int bad_helper_for_xdp(struct xdp_md *c)
{
	char buf[8];

	return bpf_skb_load_bytes(c, 0, buf, sizeof(buf));
}
