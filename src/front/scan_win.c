/* SPDX-License-Identifier: Apache-2.0 */
/* scan_win.c - which instructions around a `syscall` give way to a jmp, and how they read when they run elsewhere.
 *
 * The best window begins with one instruction of five bytes or more: no thread can be between its bytes, so the
 * patch is safe at any time. Next best is one that lies in an aligned block of 16 bytes (one store). Windows of several
 * instructions come last: see doc/agent.md for what live patching does with those. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "front/scan.h"

#define CHAIN_MAX	12			/* instructions of a window */
#define CHAIN_BYTES	60
#define WALK_MAX	32			/* instructions looked at for liveness of flags */

int scan_blob_add(struct scan_blob *b, const void *p, u32 n, u32 *at)
{
	u32 len = ALIGN_UP(b->len, 4u);

	if (len + n > SITE_BLOB_MAX)
		return -E2BIG;
	if (len + n + 4 > b->cap) {
		u32 cap = MAX(b->cap * 2, ALIGN_UP(len + n + 4096, 4096u));
		void *q = realloc(b->data, cap);

		if (!q)
			return -ENOMEM;
		b->data = q;
		b->cap = cap;
	}
	memset(b->data + b->len, 0, len - b->len);
	memcpy(b->data + len, p, n);
	*at = len;
	b->len = len + n;
	return 0;
}

/* ---- what a window may be ---- */

static bool ends(const struct insn *in)
{
	return in->kind == I_JMP || in->kind == I_IJMP || in->kind == I_RET || in->kind == I_STOP;
}

static bool plain(const struct insn *in)
{
	return in->kind == I_PLAIN || in->kind == I_PAD;
}

/* 0 is best: one store. 1: two bytes go first. 2, 3: the same with several instructions. 8: no two bytes that can be
 * written at once, so no running thread may be about. START: address of the window's first byte. */
static u32 rank(u64 start, u32 first_len, bool live_bounds)
{
	u32 in_block = start % 16;

	if (in_block == 15 || (first_len < 2 && live_bounds))
		return 8;
	return (in_block > 16 - SITE_JMP) + (live_bounds ? 2 : 0);
}

struct choice {
	u32 first, last;			/* instructions, inclusive */
	u32 rank;
	bool found;
	u8 bounds;
};

/* Boundaries of live instructions within the jmp that is put at FIRST. PADS: what follows `ret` is padding, not live. */
static u8 bounds_of(const struct scan_code *c, u32 first, u32 last)
{
	u32 start = c->insn[first].at;
	u8 bits = 0;

	for (u32 i = first + 1; i <= last; i++) {
		u32 n = c->insn[i].at - start;

		if (n >= SITE_JMP || ends(&c->insn[i - 1]))
			break;
		bits |= BIT(n);
	}
	return bits;
}

static void consider(const struct scan_code *c, struct choice *best, u32 first, u32 last)
{
	u8 bounds = bounds_of(c, first, last);
	u32 r = rank(c->f.start + c->insn[first].at, c->insn[first].len, bounds);

	if (best->found && best->rank <= r)
		return;
	*best = (struct choice){ .first = first, .last = last, .rank = r, .found = true, .bounds = bounds };
}

/* Windows that end at the syscall instruction I. Nobody may jump in behind their start, the syscall included. */
static struct choice choose_enter(const struct scan_code *c, u32 i, u64 floor)
{
	struct choice best = {};
	u32 at = c->insn[i].at;

	for (u32 k = i; k-- > 0 && i - k <= CHAIN_MAX;) {
		const struct insn *in = &c->insn[k];

		if (c->insn[k + 1].target || at - in->at > CHAIN_BYTES || c->f.start + in->at < floor)
			break;
		if (!plain(in) && in->kind != I_JCC)
			break;
		if (at - in->at >= SITE_JMP)
			consider(c, &best, k, i - 1);
	}
	return best;
}

/* May run between the syscall and the hook: changes nothing that the hook reads or needs. */
static bool harmless(const struct insn *in)
{
	return plain(in) && !(in->writes & (1u << REG_AX | 1u << REG_CX | 1u << REG_R11 | 1u << REG_SP));
}

/* The shortest window from instruction K on, into *LAST. `ret` and `jmp` may be followed by padding that nobody
 * reaches; it gives room. */
static bool reach(const struct scan_code *c, u32 k, u32 *last)
{
	u32 start = c->insn[k].at, i;
	bool ended = false;

	for (i = k; i < c->nr && i - k <= CHAIN_MAX; i++) {
		const struct insn *in = &c->insn[i];

		if (i > k && in->target)
			return false;
		if (ended ? in->kind != I_PAD : in->kind == I_SYSCALL || in->kind == I_ODD)
			return false;
		if ((in->kind == I_CALL || in->kind == I_ICALL) && in->at + in->len - start < SITE_JMP)
			return false;
		if (in->kind == I_ICALL && in->rsp_mem)
			return false;
		ended |= ends(in);
		if (in->at + in->len - start >= SITE_JMP) {
			*last = i;
			return true;
		}
	}
	return false;
}

static struct choice choose_exit(const struct scan_code *c, u32 i)
{
	struct choice best = {};
	u32 last;

	for (u32 k = i + 1; k < c->nr && k - i <= CHAIN_MAX; k++) {
		if (k > i + 1 && c->insn[k].target)
			break;
		if (reach(c, k, &last))
			consider(c, &best, k, last);
		if (!harmless(&c->insn[k]))
			break;
	}
	return best;
}

/* Are arithmetic flags as they are before instruction I read by anybody? Functions neither take nor return any. */
static bool flags_live(const struct scan_code *c, u32 i)
{
	u16 dead = 0;

	for (u32 n = 0; n < WALK_MAX && i < c->nr; n++) {
		const struct insn *in = &c->insn[i];

		if (in->f_reads & ~dead)
			return true;
		dead |= in->f_writes;
		if (dead == FLAGS_ARITH || in->kind == I_CALL || in->kind == I_ICALL || in->kind == I_RET ||
		    in->kind == I_STOP)
			return false;
		if (in->kind == I_JCC || in->kind == I_IJMP || in->kind == I_ODD)
			return true;
		i++;
		if (in->kind == I_JMP) {
			if (in->to < c->f.start || in->to >= c->f.end)
				return false;	/* a tail call */
			i = c->index[in->to - c->f.start] - 1;
		}
	}
	return true;
}

/* ---- the code of a window ---- */

struct emit {
	u8 code[SITE_CODE_MAX];
	u32 len;
	struct site_rel rel[SITE_RELS_MAX];
	u32 nr;
	u64 site;				/* address of the syscall instruction */
	bool full;
};

static void put(struct emit *e, const void *p, u32 n)
{
	if (n > sizeof(e->code) - e->len) {
		e->full = true;
		return;
	}
	memcpy(e->code + e->len, p, n);
	e->len += n;
}

static void put_rel(struct emit *e, u32 at, u32 end, enum site_rel_kind kind, u64 to)
{
	s64 rel = (s64)(to - e->site);

	if (e->nr == SITE_RELS_MAX || rel != (s32)rel) {
		e->full = true;
		return;
	}
	e->rel[e->nr++] = (struct site_rel){ .at = at, .end = end, .kind = kind, .to = rel };
}

static void put_branch(struct emit *e, const u8 *op, u32 n, u64 to)
{
	static const u8 zero[4];

	put(e, op, n);
	put(e, zero, 4);
	put_rel(e, e->len - 4, e->len, SITE_REL32, to);
}

/* push of the return address that the call has where it is, and a jmp. */
static void put_return(struct emit *e, u64 to)
{
	static const u8 push[] = { 0x68, 0, 0, 0, 0, 0xc7, 0x44, 0x24, 0x04, 0, 0, 0, 0 };

	put_rel(e, e->len + 1, e->len + 5, SITE_ABS_LO, to);
	put_rel(e, e->len + 9, e->len + 13, SITE_ABS_HI, to);
	put(e, push, sizeof(push));
}

/* call *X is ff /2, jmp *X ff /4: the same operand. */
static void put_indirect(struct emit *e, const struct insn *in, const u8 *p)
{
	u32 at = e->len;

	put(e, p, in->len);
	for (u32 i = at; !e->full && i + 1 < e->len; i++) {
		if (e->code[i] == 0xff && (e->code[i + 1] & 0x38) == 0x10) {
			e->code[i + 1] += 0x10;
			if (in->disp_at)
				put_rel(e, at + in->disp_at, e->len, SITE_REL32, in->to);
			return;
		}
	}
	e->full = true;
}

static void put_insn(struct emit *e, const struct scan_code *c, const struct insn *in)
{
	const u8 *p = c->bytes + in->at;
	u64 next = c->f.start + in->at + in->len;

	switch (in->kind) {
	case I_JCC:
		put_branch(e, (u8[]){ 0x0f, 0x80 | (p[in->len > 3 ? in->len - 5 : in->len - 2] & 15) }, 2, in->to);
		break;
	case I_JMP:
		put_branch(e, (u8[]){ 0xe9 }, 1, in->to);
		break;
	case I_CALL:
		put_return(e, next);
		put_branch(e, (u8[]){ 0xe9 }, 1, in->to);
		break;
	case I_ICALL:
		put_return(e, next);
		put_indirect(e, in, p);
		break;
	default:
		put(e, p, in->len);
		if (in->disp_at)
			put_rel(e, e->len - in->len + in->disp_at, e->len, SITE_REL32, in->to);
	}
}

/* A branch from inside a window back into it would miss what was displaced: targets are excluded by choose_*(). */
static int fill(const struct scan_code *c, const struct choice *ch, u64 site, struct site_win *w, struct scan_blob *b)
{
	struct emit e = { .site = site };
	int err;

	for (u32 i = ch->first; i <= ch->last && !e.full; i++) {
		const struct insn *in = &c->insn[i];

		put_insn(&e, c, in);
		if (in->kind == I_CALL || in->kind == I_ICALL)
			w->flags |= WIN_CALL | WIN_ENDS;
		if (ends(in))
			w->flags |= WIN_ENDS;
		if (w->flags & WIN_ENDS)
			break;
	}
	if (e.full)
		return 0;			/* no window, no error */
	err = scan_blob_add(b, e.code, e.len, &w->code);
	if (!err)
		err = scan_blob_add(b, e.rel, e.nr * sizeof(e.rel[0]), &w->rels);
	if (err)
		return err;
	w->flags |= c->df ? WIN_DF : 0;
	w->at = (s8)((s64)(c->f.start + c->insn[ch->first].at) - (s64)site);
	w->len = c->insn[ch->last].at + c->insn[ch->last].len - c->insn[ch->first].at;
	w->bounds = ch->bounds;
	w->nr_rels = e.nr;
	w->code_len = e.len;
	return 0;
}

int scan_windows(const struct scan_code *c, u32 i, u64 floor, struct site *s, struct scan_blob *b)
{
	u64 site = c->f.start + c->insn[i].at;
	struct choice enter = {}, exit;
	s32 lo = 0, hi = 2;
	int err = 0;

	if (!c->insn[i].target)
		enter = choose_enter(c, i, floor);
	exit = choose_exit(c, i);
	if (enter.found) {
		if (flags_live(c, i + 1))
			s->enter.flags |= WIN_FLAGS_LIVE;
		err = fill(c, &enter, site, &s->enter, b);
	}
	if (!err && exit.found) {
		if (flags_live(c, exit.first))
			s->exit.flags |= WIN_FLAGS_LIVE;
		if (c->insn[i].target || c->insn[i + 1].target)
			s->exit.flags |= WIN_UNSURE;
		err = fill(c, &exit, site, &s->exit, b);
	}
	if (err)
		return err;
	if (s->enter.len)
		lo = s->enter.at;
	if (s->exit.len)
		hi = s->exit.at + s->exit.len;
	s->lo = lo;
	s->span = hi - lo;
	return scan_blob_add(b, c->bytes + c->insn[i].at + lo, s->span, &s->orig);
}
