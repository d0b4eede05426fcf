/* SPDX-License-Identifier: Apache-2.0 */
/* cbpf_gen.c - see cbpf_gen.h. The walk keeps A, X and M[] as the machine does, and for A also which packet bytes it
 * was loaded from and by which mask: a comparison with a constant can then be made true by writing those bytes. */
#include "vm/cbpf_gen.h"

#include <string.h>

static u32 rnd(struct cbpf_gen *g, u32 n)
{
	g->seed ^= g->seed << 13;
	g->seed ^= g->seed >> 7;
	g->seed ^= g->seed << 17;
	return n ? (u32)(g->seed >> 11) % n : 0;
}

/* ---- plausible frames ---- */
struct frame {
	u8 *b;
	u32 len;
};

static void put(struct frame *f, u32 v, u32 size)
{
	while (size--)
		f->b[f->len++] = (u8)(v >> size * 8);
}

static u32 pick(struct cbpf_gen *g, const u32 *v, u32 n)
{
	return v[rnd(g, n)];
}
#define PICK(g, ...)	pick(g, (const u32[]){ __VA_ARGS__ }, sizeof((u32[]){ __VA_ARGS__ }) / 4)

static u32 port(struct cbpf_gen *g)
{
	return rnd(g, 4) ? PICK(g, 80, 443, 53, 22, 1024, 8080, 0, 65535, 4789, 6081) : rnd(g, 65536);
}

static u32 ip4(struct cbpf_gen *g)
{
	return rnd(g, 4) ? PICK(g, 0x0a000001, 0x0a000002, 0xc0a80102, 0xac100504, 0xe0000001, 0xffffffff) :
	       rnd(g, 0x7fffffff);
}

static void ip6(struct cbpf_gen *g, struct frame *f)
{
	put(f, PICK(g, 0xfd000000, 0xfe800000, 0x20010db8, 0xff020000), 4);
	put(f, 0, 4);
	put(f, 0, 4);
	put(f, PICK(g, 1, 2, 0xfb, rnd(g, 65536)), 4);
}

static void transport(struct cbpf_gen *g, struct frame *f, u32 proto)
{
	switch (proto) {
	case 1:
	case 58:
		put(f, PICK(g, 0, 3, 8, 11, 128, 135), 1);
		put(f, PICK(g, 0, 1, 3), 1);
		put(f, rnd(g, 65536), 2);
		break;
	case 6:
		put(f, port(g), 2);
		put(f, port(g), 2);
		put(f, rnd(g, 0x7fffffff) * 2, 4);
		put(f, rnd(g, 0x7fffffff), 4);
		put(f, PICK(g, 0x50, 0x80, 0xf0, 0x00), 1);
		put(f, PICK(g, 0x02, 0x12, 0x10, 0x18, 0x04, 0x11), 1);
		put(f, rnd(g, 65536), 2);
		put(f, 0, 4);
		break;
	default:
		put(f, port(g), 2);
		put(f, port(g), 2);
		put(f, rnd(g, 1500), 2);
		put(f, rnd(g, 65536), 2);
	}
}

static void network4(struct cbpf_gen *g, struct frame *f)
{
	u32 hl = PICK(g, 5, 5, 5, 6, 15, 4), proto = PICK(g, 6, 6, 17, 17, 1, 2, 132, 47, 51, 4, rnd(g, 256));

	put(f, 0x40 | hl, 1);
	put(f, PICK(g, 0, 0x10, rnd(g, 256)), 1);
	put(f, PICK(g, 60, 576, 1500, rnd(g, 65536)), 2);
	put(f, rnd(g, 65536), 2);
	put(f, PICK(g, 0, 0, 0x4000, 0x2000, 0x00b9, 0x1fff), 2);
	put(f, PICK(g, 1, 64, 255), 1);
	put(f, proto, 1);
	put(f, rnd(g, 65536), 2);
	put(f, ip4(g), 4);
	put(f, ip4(g), 4);
	for (u32 i = 5; i < hl; i++)
		put(f, 0x01010101, 4);
	transport(g, f, proto);
}

static void network6(struct cbpf_gen *g, struct frame *f)
{
	u32 proto = PICK(g, 6, 6, 17, 17, 58, 132, 0, 44, 60, 43, 51), next;

	put(f, 0x60000000, 4);
	put(f, rnd(g, 1500), 2);
	put(f, proto, 1);
	put(f, 64, 1);
	ip6(g, f);
	ip6(g, f);
	for (u32 i = 0; i < 3 && (proto == 0 || proto == 44 || proto == 60 || proto == 43 || proto == 51); i++) {
		next = PICK(g, 6, 17, 58, 60, 44);
		put(f, next, 1);
		put(f, proto == 44 ? 0 : rnd(g, 3), 1);
		put(f, rnd(g, 65536), 2);
		put(f, 0, 4);
		proto = next;
	}
	transport(g, f, proto);
}

static void arp(struct cbpf_gen *g, struct frame *f)
{
	put(f, 0x00010800, 4);
	put(f, 0x06040000 | PICK(g, 1, 2, 3), 4);
	put(f, 0x02000000, 4);
	put(f, 1, 2);
	put(f, ip4(g), 4);
	put(f, 0, 4);
	put(f, 0, 2);
	put(f, ip4(g), 4);
}

static void ethernet(struct cbpf_gen *g, struct frame *f)
{
	u32 type;

	put(f, PICK(g, 0x0200, 0xffff, 0x0100, 0x3333, 0x0180), 2);
	put(f, PICK(g, 0x00000001, 0x00000002, 0xffffffff, 0xc2000000), 4);
	put(f, 0x0200, 2);
	put(f, PICK(g, 1, 2), 4);
	for (u32 i = rnd(g, 4) ? 0 : 1 + rnd(g, 2); i; i--) {
		put(f, PICK(g, 0x8100, 0x88a8, 0x9100), 2);
		put(f, PICK(g, 10, 20, 100, 0, 4095, rnd(g, 65536)), 2);
	}
	type = PICK(g, 0x0800, 0x0800, 0x0800, 0x86dd, 0x86dd, 0x0806, 0x8035, 0x8847, 0x8864, 0x8863, 0x8892, 0x88cc,
		    rnd(g, 1500), rnd(g, 65536));
	put(f, type, 2);
	if (type == 0x8847)
		put(f, PICK(g, 100, 200, 16) << 12 | PICK(g, 0x140, 0x040), 4);
	if (type == 0x8864) {
		put(f, 0x1100, 2);
		put(f, PICK(g, 5, 1), 2);
		put(f, 60, 2);
		put(f, PICK(g, 0x0021, 0x0057), 2);
	}
	if (type == 0x86dd || (type == 0x8864 && f->b[f->len - 1] == 0x57))
		network6(g, f);
	else if (type == 0x0806 || type == 0x8035)
		arp(g, f);
	else if (type == 0x0800 || type == 0x8847 || type == 0x8864)
		network4(g, f);
}

/* ---- the walk ---- */
struct walk {
	struct cbpf_gen *g;
	u8 *b;
	u32 len;
	u32 a, x, m[BPF_MEMWORDS];
	u32 off, size, mask;		/* A = bytes at off & mask; size 0: not from the packet */
};

static u32 get(const struct walk *w, u32 off, u32 size)
{
	u32 v = 0;

	for (u32 i = 0; i < size; i++)
		v = v << 8 | w->b[off + i];
	return v;
}

static bool load(struct walk *w, const struct sock_filter *in, bool ind, u32 size, u32 *to)
{
	u64 off = (u64)in->k + (ind ? w->x : 0);

	if (off + size > w->len)
		return false;
	*to = get(w, (u32)off, size);
	w->off = (u32)off;
	return true;
}

/* Makes A, if it came from the packet, into V. */
static void force(struct walk *w, u32 v)
{
	u32 old, new;

	if (!w->size)
		return;
	old = get(w, w->off, w->size);
	new = (old & ~w->mask) | (v & w->mask);
	for (u32 i = 0; i < w->size; i++)
		w->b[w->off + i] = (u8)(new >> (w->size - 1 - i) * 8);
	w->a = new & w->mask;
}

static bool holds(const struct sock_filter *in, u32 a, u32 b)
{
	switch (BPF_OP(in->code)) {
#define CBPF_JMP(op, text, neg, expr) case op: return expr;
#include "spec/cbpf.def"
	}
	return false;
}

static void compare(struct walk *w, const struct sock_filter *in)
{
	u32 b = BPF_SRC(in->code) == BPF_X ? w->x : in->k;

	switch (rnd(w->g, 4)) {
	case 0:
		force(w, b);
		break;
	case 1:
		force(w, b + PICK(w->g, 1, 0xffffffff));
		break;
	case 2:
		force(w, BPF_OP(in->code) == BPF_JSET ? ~b : rnd(w->g, 0x7fffffff));
		break;
	}
}

static bool alu(struct walk *w, const struct sock_filter *in)
{
	u32 a = w->a, b = BPF_SRC(in->code) == BPF_X ? w->x : in->k;

	if (BPF_OP(in->code) == BPF_AND && BPF_SRC(in->code) == BPF_K)
		w->mask &= in->k;
	else
		w->size = 0;
	if (BPF_OP(in->code) == BPF_NEG) {
		w->a = -a;
		return true;
	}
	switch (BPF_OP(in->code)) {
#define CBPF_ALU(op, text, hex, expr)					\
	case op:							\
		if (((op) == BPF_DIV || (op) == BPF_MOD) && !b)		\
			return false;					\
		w->a = expr;						\
		break;
#include "spec/cbpf.def"
	}
	return true;
}

/* False: outside of the packet. */
static bool move(struct walk *w, const struct sock_filter *in, u32 wire)
{
	bool to_x = BPF_CLASS(in->code) == BPF_LDX;
	u32 *to = to_x ? &w->x : &w->a, size = cbpf_size(in->code);

	if (!to_x)
		w->size = 0;
	switch (cbpf_op(in->code)->form) {
	case CBPF_PKT:
	case CBPF_IND:
		if (!load(w, in, BPF_MODE(in->code) == BPF_IND, size, to))
			return false;
		w->size = size;
		w->mask = size == 4 ? 0xffffffff : (1u << size * 8) - 1;
		return true;
	case CBPF_MSH:
		if (!load(w, in, false, 1, to))
			return false;
		*to = (*to & 15) << 2;
		return true;
	case CBPF_IMM:
		*to = in->k;
		return true;
	case CBPF_LEN:
		*to = wire;
		return true;
	case CBPF_MEM:
		if (BPF_CLASS(in->code) == BPF_ST || BPF_CLASS(in->code) == BPF_STX)
			w->m[in->k] = BPF_CLASS(in->code) == BPF_ST ? w->a : w->x;
		else
			*to = w->m[in->k];
		return true;
	}
	if (in->code == (BPF_MISC | BPF_TAX))
		w->x = w->a;
	else
		w->a = w->x;
	return true;
}

static void wander(struct walk *w, const struct sock_filter *f, u32 n, u32 wire)
{
	u32 steps = 0;

	for (u32 pc = 0; pc < n && steps < 2 * CBPF_MAX_INSNS; pc++, steps++) {
		const struct sock_filter *in = &f[pc];

		switch (BPF_CLASS(in->code)) {
		case BPF_RET:
			return;
		case BPF_JMP:
			if (BPF_OP(in->code) == BPF_JA) {
				pc += in->k;
				break;
			}
			compare(w, in);
			pc += holds(in, w->a, BPF_SRC(in->code) == BPF_X ? w->x : in->k) ? in->jt : in->jf;
			break;
		case BPF_ALU:
			if (!alu(w, in))
				return;
			break;
		default:
			if (!move(w, in, wire))
				return;
		}
	}
}

u32 cbpf_gen_packet(struct cbpf_gen *g, u8 buf[CBPF_GEN_MAX], u32 *wire)
{
	struct frame f = { .b = buf };
	struct walk w = { .g = g, .b = buf };
	u32 fill;

	g->seed = g->seed ? g->seed : 88172645463325252ull;
	switch (rnd(g, 8)) {
	case 0:				/* no link header */
		network4(g, &f);
		break;
	case 1:
		network6(g, &f);
		break;
	case 2:				/* a header of which nothing is known */
		f.len = rnd(g, 40);
		for (u32 i = 0; i < f.len; i++)
			buf[i] = (u8)rnd(g, 256);
		network4(g, &f);
		break;
	default:
		ethernet(g, &f);
	}
	fill = PICK(g, 0, 6, 40, rnd(g, 1400));
	while (fill-- && f.len < CBPF_GEN_MAX - 4)
		buf[f.len++] = (u8)rnd(g, 256);
	if (!rnd(g, 4))
		f.len = rnd(g, f.len + 1);
	*wire = f.len + (rnd(g, 4) ? 0 : rnd(g, 1500));
	w.len = f.len;
	if (g->f && rnd(g, 4))
		wander(&w, g->f, g->n, *wire);
	return f.len;
}
