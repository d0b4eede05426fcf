/* SPDX-License-Identifier: Apache-2.0 */
/* cbpf_flow.c - see cbpf_flow.h. */
#include "vm/cbpf_flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static u16 class_of(const struct sock_filter *in)
{
	return BPF_CLASS(in->code);
}

static bool is_jump(const struct sock_filter *in)
{
	return class_of(in) == BPF_JMP && BPF_OP(in->code) != BPF_JA;
}

static bool is_ja(const struct sock_filter *in)
{
	return in->code == (BPF_JMP | BPF_JA);
}

static enum cbpf_form form_of(const struct sock_filter *in)
{
	return cbpf_op(in->code)->form;
}

static bool is_packet_load(const struct sock_filter *in)
{
	enum cbpf_form form = form_of(in);

	return (form == CBPF_PKT && !cbpf_ad(in)) || form == CBPF_IND || form == CBPF_MSH;
}

/* Does IN give X a new value? */
static bool sets_x(const struct sock_filter *in)
{
	return class_of(in) == BPF_LDX || in->code == (BPF_MISC | BPF_TAX);
}

bool flow_direct(const struct flow *w, u32 i)
{
	const struct sock_filter *in = &w->f[i];
	u32 size = form_of(in) == CBPF_MSH ? 1 : cbpf_size(in->code);

	if (w->flags & CBPF_PLAIN)
		return false;
	if (form_of(in) == CBPF_IND)
		return in->k <= FLOW_FAST_MAX - size &&
		       (u64)w->node[i].in.x_max + in->k + size <= FLOW_FAST_IND;
	return in->k <= FLOW_FAST_MAX - size;
}

enum flow_rep flow_load_rep(const struct flow *w, u32 i)
{
	u32 size = cbpf_size(w->f[i].code);

	if (size == 1 || !flow_direct(w, i) || i + 1 >= w->n || !w->node[i + 1].raw_ok || w->node[i + 1].host)
		return REP_HOST;
	return size == 2 ? REP_BE16 : REP_BE32;
}

u32 flow_check_len(const struct flow *w, u32 i)
{
	const struct sock_filter *in = &w->f[i];
	const struct flow_node *at = &w->node[i];
	bool ind = form_of(in) == CBPF_IND;
	u32 end = in->k + (form_of(in) == CBPF_MSH ? 1 : cbpf_size(in->code)), wish;

	if ((ind && !at->in.p_valid ? 0 : ind ? at->in.x_known : at->in.known) >= end)
		return 0;
	wish = ind ? MIN(at->x_need, FLOW_FAST_IND - at->in.x_max) : at->need;
	return MAX(end, MIN(wish, FLOW_FAST_MAX));
}

/* ---- backward: what is needed ---- */
struct needs {
	u32 need, x_need;
	bool raw_ok, a_used;
};

static struct needs after(const struct flow *w, u32 i, s64 to)
{
	const struct flow_node *t = &w->node[to];

	if (to <= (s64)i)
		return (struct needs) { 0, 0, false, true };
	return (struct needs) { t->need, t->x_need, t->raw_ok && !t->host, t->a_used };
}

static struct needs of_jump(const struct flow *w, u32 i)
{
	const struct sock_filter *in = &w->f[i];
	struct needs t = after(w, i, i + 1 + in->jt), f = after(w, i, i + 1 + in->jf), r = f;

	if (!w->node[i].never) {
		r.need = MIN(t.need, f.need);
		r.x_need = MIN(t.x_need, f.x_need);
		r.raw_ok = t.raw_ok && f.raw_ok;
		r.a_used = true;
	}
	r.raw_ok &= BPF_SRC(in->code) == BPF_K && (BPF_OP(in->code) == BPF_JEQ || BPF_OP(in->code) == BPF_JSET);
	return r;
}

static struct needs of_packet_load(const struct flow *w, u32 i, struct needs r)
{
	const struct sock_filter *in = &w->f[i];
	bool ind = form_of(in) == CBPF_IND;
	u64 end = (u64)in->k + (form_of(in) == CBPF_MSH ? 1 : cbpf_size(in->code));

	if (w->flags & CBPF_LIBPCAP && in->k > INT32_MAX)
		r.need = r.x_need = FLOW_NEVER;
	/* Offsets that wrap or name headers say nothing about the length. */
	if (end > INT32_MAX || r.need == FLOW_NEVER || (ind && end > FLOW_FAST_MAX))
		return r;
	if (!ind)
		r.need = MAX(r.need, (u32)end);
	else if (r.x_need != FLOW_NEVER)
		r.x_need = MAX(r.x_need, (u32)end);
	return r;
}

static struct needs needs_of(const struct flow *w, u32 i)
{
	const struct sock_filter *in = &w->f[i];
	struct needs r;

	if (class_of(in) == BPF_RET) {
		r.need = r.x_need = in->code == (BPF_RET | BPF_K) && !in->k ? FLOW_NEVER : 0;
		r.raw_ok = in->code == (BPF_RET | BPF_K);
		r.a_used = !r.raw_ok;
		return r;
	}
	if (is_jump(in))
		return of_jump(w, i);
	if (is_ja(in))
		return after(w, i, (s64)i + 1 + (s32)in->k);
	r = after(w, i, i + 1);
	if (sets_x(in))
		r.x_need = r.need == FLOW_NEVER ? FLOW_NEVER : 0;
	if (is_packet_load(in))
		r = of_packet_load(w, i, r);
	if (class_of(in) == BPF_LD)
		r.raw_ok = !cbpf_ad(in) || in->k == (u32)SKF_AD_OFF;	/* some read A: be careful with all but one */
	else if (class_of(in) != BPF_LDX && class_of(in) != BPF_STX)
		r.raw_ok = in->code == (BPF_MISC | BPF_TXA);
	if (class_of(in) != BPF_LDX && class_of(in) != BPF_STX)
		r.a_used = !r.raw_ok;
	return r;
}

static void backward(struct flow *w)
{
	for (u32 i = w->n; i-- > 0;) {
		struct needs r = needs_of(w, i);
		struct flow_node *at = &w->node[i];

		at->need = r.need;
		at->x_need = r.x_need;
		at->raw_ok = r.raw_ok && !at->back;
		at->a_used = r.a_used || at->back;
	}
}

/* ---- forward: what is known ---- */
static void forget(struct flow_state *s)
{
	bool seen = s->seen;

	memset(s, 0, sizeof(*s));
	s->seen = seen;
	s->a_max = s->x_max = UINT32_MAX;
	memset(s->m_max, 0xff, sizeof(s->m_max));
}

static void merge(struct flow *w, u32 from, s64 to, const struct flow_state *s, bool *conflict)
{
	struct flow_node *t = &w->node[to];
	struct flow_state *in = &t->in;

	if (to <= (s64)from || t->back)
		return;
	if (!in->seen) {
		*in = *s;
		return;
	}
	in->known = MIN(in->known, s->known);
	in->p_valid &= s->p_valid;
	in->x_known = MIN(in->x_known, s->x_known);
	in->a_max = MAX(in->a_max, s->a_max);
	in->x_max = MAX(in->x_max, s->x_max);
	for (u32 i = 0; i < BPF_MEMWORDS; i++)
		in->m_max[i] = MAX(in->m_max[i], s->m_max[i]);
	if (in->rep == s->rep)
		return;
	in->rep = REP_HOST;		/* of no interest where A is not read again */
	if (t->a_used && !t->host)
		*conflict = t->host = true;
}

static u32 ones(u32 max)			/* the smallest 2^n - 1 that is not below MAX */
{
	return max ? UINT32_MAX >> __builtin_clz(max) : 0;
}

/* No more than the verifier finds out, too: it knows nothing of quotients, and of products only where factors are small. */
static u32 alu_max(u16 code, u32 a, u32 b)
{
	bool k = BPF_SRC(code) == BPF_K;
	u64 r = UINT32_MAX;

	switch (BPF_OP(code)) {
	case BPF_ADD:
		r = (u64)a + b;
		break;
	case BPF_MUL:
		r = a <= UINT16_MAX && b <= UINT16_MAX ? (u64)a * b : UINT32_MAX;
		break;
	case BPF_AND:
		r = MIN(a, b);
		break;
	case BPF_OR:
	case BPF_XOR:
		r = ones(a | b);
		break;
	case BPF_LSH:
		r = k ? (u64)a << b : UINT32_MAX;
		break;
	case BPF_RSH:
		r = k ? a >> b : UINT32_MAX;
		break;
	}
	return r > UINT32_MAX ? UINT32_MAX : (u32)r;
}

static u32 load_max(const struct sock_filter *in, const struct flow_state *s)
{
	u32 size = cbpf_size(in->code);

	switch (form_of(in)) {
	case CBPF_IMM:
		return in->k;
	case CBPF_MEM:
		return s->m_max[in->k];
	case CBPF_MSH:
		return 60;
	case CBPF_PKT:
	case CBPF_IND:
		return cbpf_ad(in) || size == 4 ? UINT32_MAX : size == 2 ? UINT16_MAX : UINT8_MAX;
	default:
		return UINT32_MAX;
	}
}

/* Loads: lengths that are known behind them. Everything is forgotten behind a call. */
static void step_load(struct flow *w, u32 i, struct flow_state *s)
{
	u32 len = flow_direct(w, i) ? flow_check_len(w, i) : 0;

	if (!flow_direct(w, i)) {
		w->slow = true;
		s->known = 0;
		s->p_valid = false;
	} else if (form_of(&w->f[i]) == CBPF_IND) {
		s->p_valid = true;
		s->x_known = len ? len : s->x_known;
	} else {
		s->known = len ? len : s->known;
	}
}

static void step_ancillary(struct flow *w, const struct cbpf_ad *ad, struct flow_state *s)
{
	switch (ad->off) {
	case SKF_AD_NLATTR:
	case SKF_AD_NLATTR_NEST:
	case SKF_AD_CPU:
	case SKF_AD_RANDOM:
		w->slow = true;
		s->known = 0;
		s->p_valid = false;
	}
}

static void step(struct flow *w, u32 i, struct flow_state *s)
{
	const struct sock_filter *in = &w->f[i];

	if (is_packet_load(in))
		step_load(w, i, s);
	else if (cbpf_ad(in))
		step_ancillary(w, cbpf_ad(in), s);
	switch (class_of(in)) {
	case BPF_LD:
		s->rep = is_packet_load(in) ? flow_load_rep(w, i) : REP_HOST;
		s->a_max = is_packet_load(in) && !flow_direct(w, i) ? UINT32_MAX : load_max(in, s);
		return;
	case BPF_LDX:
		s->x_max = load_max(in, s);
		break;
	case BPF_ST:
		s->m_max[in->k] = s->a_max;
		return;
	case BPF_STX:
		s->m_max[in->k] = s->x_max;
		return;
	case BPF_ALU:
		s->a_max = BPF_OP(in->code) == BPF_NEG ? UINT32_MAX :
			   alu_max(in->code, s->a_max, BPF_SRC(in->code) == BPF_X ? s->x_max : in->k);
		return;
	case BPF_MISC:
		if (in->code == (BPF_MISC | BPF_TAX)) {
			s->x_max = s->a_max;
			break;
		}
		s->a_max = s->x_max;
		s->rep = REP_HOST;
		return;
	}
	s->p_valid = false;		/* X is a new one */
}

/* Conditions that no value up to A_MAX fulfils. */
static bool never(const struct sock_filter *in, u32 a_max)
{
	if (BPF_SRC(in->code) == BPF_X)
		return false;
	switch (BPF_OP(in->code)) {
	case BPF_JEQ:
	case BPF_JGE:
		return in->k > a_max;
	case BPF_JGT:
		return in->k >= a_max;
	case BPF_JSET:
		return !(in->k & ones(a_max));
	}
	return false;
}

/* FINAL: needs are known, ways into what returns 0 anyway are not followed. True: forms of A met. */
static bool forward(struct flow *w, bool final)
{
	bool conflict = false;

	w->slow = false;
	for (u32 i = 0; i < w->n; i++)
		memset(&w->node[i].in, 0, sizeof(w->node[i].in));
	w->node[0].in.seen = true;
	for (u32 i = 0; i < w->n; i++) {
		if (w->node[i].back) {
			w->node[i].in.seen = true;
			forget(&w->node[i].in);
		}
	}
	for (u32 i = 0; i < w->n; i++) {
		const struct sock_filter *in = &w->f[i];
		struct flow_state s = w->node[i].in;

		if (!s.seen || (final && w->node[i].need == FLOW_NEVER))
			continue;
		if (is_jump(in)) {
			if (!final)
				w->node[i].never = never(in, s.a_max);
			if (!w->node[i].never)
				merge(w, i, i + 1 + in->jt, &s, &conflict);
			merge(w, i, i + 1 + in->jf, &s, &conflict);
		} else if (is_ja(in)) {
			merge(w, i, (s64)i + 1 + (s32)in->k, &s, &conflict);
		} else if (class_of(in) != BPF_RET) {
			step(w, i, &s);
			merge(w, i, i + 1, &s, &conflict);
		}
	}
	return conflict;
}

int flow_build(struct flow *w, const struct sock_filter *f, u32 n, u32 flags)
{
	*w = (struct flow) { .f = f, .n = n, .flags = flags, .node = calloc(n, sizeof(*w->node)) };
	if (!w->node)
		return -ENOMEM;
	for (u32 i = 0; i < n; i++)
		if (is_ja(&f[i]) && (s32)f[i].k < 0)
			w->node[(s64)i + 1 + (s32)f[i].k].back = true;
	forward(w, false);		/* bounds, and with them conditions that never hold */
	do {
		backward(w);
	} while (forward(w, true));	/* once more for each round of joins that want A in host order */
	return 0;
}

void flow_free(struct flow *w)
{
	free(w->node);
}
