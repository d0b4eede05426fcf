/* SPDX-License-Identifier: Apache-2.0 */
/* stub.c - code beside the text: for each window of a site the displaced instructions, and the way to the thread's state
 * and onto its agent stack. At the syscall instruction rcx and r11 are free (it clobbers them), before and after.
 *
 *	enter:	displaced instructions
 *		number not known: is it wanted? movzwl %ax; table; jrcxz - no flag changes, and back to the syscall
 *	exit:	number not known: are there records at all (of any thread: no flag changes; then of this one)?
 *	both:	r11 = GS base; is it in the arena, and its fs_base ours? else agent_slow, which comes back with r11
 *		level + 1, onto the stack of that level, call tramp
 *		tail: target's stack, level - 1, go on
 *
 * Where flags are live they go onto the target's stack, below the red zone, and come from there at the end.
 * A stub is never changed nor freed while the process lives: a thread may be in it for any time (a signal handler that
 * interrupted it). It is made once per site and form, and used again by later attachments. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/patch.h"
#include "agent/raw.h"

#define NEAR_SIZE	(1u << 20)		/* of address space; pages come when written to */
#define NEAR_MAX	64
#define REACH		0x70000000ll		/* of rel32, with a margin for the image's own size */
#define STEP		(16ull << 20)		/* between places tried */
#define STACK_ROOM	(256ull << 20)		/* kept free below a stack and above the heap */

enum { SLOT_ENTER, SLOT_EXIT, SLOT_ENTER_FLAGS, SLOT_EXIT_FLAGS, SLOT_SLOW, SLOT_DEFERRED, SLOT_CAREFUL, SLOTS };

static void (*slot_target(u32 slot))(void)
{
	switch (slot) {
	case SLOT_ENTER: return patch_tramp_enter;
	case SLOT_EXIT: return patch_tramp_exit;
	case SLOT_ENTER_FLAGS: return patch_tramp_enter_flags;
	case SLOT_EXIT_FLAGS: return patch_tramp_exit_flags;
	case SLOT_SLOW: return agent_slow;
	case SLOT_CAREFUL: return agent_careful;
	default: return agent_deferred;
	}
}

struct near {
	u64 base;
	u32 used;
};

static struct near nears[NEAR_MAX];
static u32 nr_nears;

/* ---- assembling ---- */

struct code {
	u8 b[STUB_SIZE_MAX];
	u32 len;
	u64 at;				/* where it will be */
	u64 slots;			/* of the region: u64 x SLOTS */
	bool bad;
};

static void put(struct code *c, const void *p, u32 n)
{
	if (c->len + n > sizeof(c->b)) {
		c->bad = true;
		return;
	}
	memcpy(c->b + c->len, p, n);
	c->len += n;
}
#define PUT(c, ...) do { static const u8 b_[] = { __VA_ARGS__ }; put(c, b_, sizeof(b_)); } while (0)

static void put_u64(struct code *c, u64 v)
{
	put(c, &v, 8);
}

static void put_u32(struct code *c, u32 v)
{
	put(c, &v, 4);
}

static void put_rel32(struct code *c, u64 to)
{
	s64 rel = (s64)(to - (c->at + c->len + 4));

	if (rel != (s32)rel)
		c->bad = true;
	put_u32(c, (u32)rel);
}

static void put_jmp(struct code *c, u64 to)
{
	PUT(c, 0xe9);
	put_rel32(c, to);
}

/* Short jumps forward: the byte to fill in, and filling it in. */
static u32 put_short(struct code *c, u8 op)
{
	u8 b[2] = { op, 0 };

	put(c, b, 2);
	return c->len - 1;
}

static void land(struct code *c, u32 from)
{
	u32 rel = c->len - from - 1;

	if (rel > 127 || from >= sizeof(c->b))
		c->bad = true;
	else
		c->b[from] = (u8)rel;
}

/* Long ones: 32 bits to fill in. */
static u32 put_long(struct code *c, u8 cc)
{
	u8 b[6] = { 0x0f, cc };

	put(c, b, 6);
	return c->len - 4;
}

static void land_long(struct code *c, u32 from)
{
	u32 rel = c->len - from - 4;

	if (from + 4 > sizeof(c->b))
		c->bad = true;
	else
		memcpy(c->b + from, &rel, 4);
}

static void put_displaced(struct code *c, const struct stub_spec *sp, const struct site_win *w)
{
	const struct site_rel *r = (const struct site_rel *)(sp->blob + w->rels);
	u32 at = c->len;

	put(c, sp->blob + w->code, w->code_len);
	if (c->bad)
		return;
	for (u32 i = 0; i < w->nr_rels; i++) {
		u64 to = sp->site + (s64)r[i].to;
		s64 rel = (s64)(to - (c->at + at + r[i].end));
		u32 v = (u32)rel;

		if (r[i].kind == SITE_REL32 && rel != (s32)rel)
			c->bad = true;
		if (r[i].kind == SITE_ABS_LO)
			v = (u32)to;
		else if (r[i].kind == SITE_ABS_HI)
			v = (u32)(to >> 32);
		memcpy(c->b + at + r[i].at, &v, 4);
	}
}

/* ---- the way in ---- */

#define FULL (WIN_FLAGS_LIVE | WIN_DF)	/* flags count, at least one of them */

/* One tail: back onto the target's stack, down a level; signals that came meanwhile; go on at TO. Padded to STUB_TAIL. */
static void put_tail(struct code *c, bool live, u64 to)
{
	u32 start = c->len;

	PUT(c, 0x48, 0x8b, 0x24, 0x24);			/* mov (%rsp), %rsp */
	PUT(c, 0x41, 0x8b, 0x4b, 0x28);			/* mov level(%r11), %ecx */
	PUT(c, 0x8d, 0x49, 0xff);			/* lea -1(%rcx), %ecx */
	PUT(c, 0x41, 0x89, 0x4b, 0x28);			/* mov %ecx, level(%r11) */
	if (live)
		PUT(c, 0x9d, 0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0);	/* popfq; lea 128(%rsp), %rsp */
	PUT(c, 0x49, 0x8b, 0x4b, 0x30);			/* mov deferred(%r11), %rcx */
	PUT(c, 0xe3, 13);				/* jrcxz 1f */
	PUT(c, 0x48, 0x8d, 0x0d, 6, 0, 0, 0);		/* lea 1f(%rip), %rcx */
	PUT(c, 0xff, 0x25);				/* jmp *slot(%rip); 1: */
	put_rel32(c, c->slots + 8 * SLOT_DEFERRED);
	put_jmp(c, to);
	while (c->len - start < STUB_TAIL && !c->bad)
		PUT(c, 0xcc);
}

/* To the trampoline. Directly where it is in reach (the kernel spoils indirect predictions at each system call). */
static void put_call(struct code *c, u32 slot)
{
	s64 rel = (s64)((u64)slot_target(slot) - (c->at + c->len + 5));

	if (rel == (s32)rel) {
		PUT(c, 0xe8);				/* call */
		put_u32(c, (u32)rel);
	} else {
		PUT(c, 0xff, 0x15);			/* call *slot(%rip) */
		put_rel32(c, c->slots + 8 * slot);
	}
}

struct way {
	u32 slot;				/* SLOT_ENTER, SLOT_EXIT, or those with flags */
	bool live, if_recs;
	u64 next, skipped;			/* where to go on; where when the call is not to be made */
	struct stub_desc desc;
};

/* No thread has a record: this cannot be the end of a call that somebody wants. Flags stay. */
static void put_recs_test(struct code *c, u64 next)
{
	PUT(c, 0x48, 0xb9);				/* movabs $patch_recs, %rcx */
	put_u64(c, (u64)&patch_recs);
	PUT(c, 0x8b, 0x09);				/* mov (%rcx), %ecx */
	PUT(c, 0xe3, 0x02, 0xeb, 0x05);			/* jrcxz 1f; jmp 2f; 1: jmp next; 2: */
	put_jmp(c, next);
}

/* Up a level, onto its stack, into C; what comes back, and what it needs to know. A signal handler in between goes up and
 * down again. */
static void put_switch(struct code *c, const struct way *w)
{
	PUT(c, 0x41, 0x8b, 0x4b, 0x28);			/* mov level(%r11), %ecx */
	PUT(c, 0x8d, 0x49, 0x01);			/* lea 1(%rcx), %ecx */
	PUT(c, 0x41, 0x89, 0x4b, 0x28);			/* mov %ecx, level(%r11) */
	PUT(c, 0x49, 0x8b, 0x0c, 0xcb);			/* mov (%r11,%rcx,8), %rcx: stack[level - 1] */
	PUT(c, 0x48, 0x89, 0x61, 0xf0);			/* mov %rsp, -16(%rcx) */
	PUT(c, 0x48, 0x8d, 0x61, 0xf0);			/* lea -16(%rcx), %rsp */
	put_call(c, w->slot);
	put_tail(c, w->live, w->next);
	put_tail(c, w->live, w->skipped);
	put(c, &w->desc, sizeof(w->desc));
}

static void put_hook(struct code *c, const struct way *w)
{
	u32 slow[2], full, none = 0, careful, go, go_on;

	if (w->if_recs)
		put_recs_test(c, w->next);
	if (w->live)
		PUT(c, 0x48, 0x8d, 0x64, 0x24, 0x80, 0x9c);	/* lea -128(%rsp), %rsp; pushfq */
	PUT(c, 0xf3, 0x49, 0x0f, 0xae, 0xcb);		/* rdgsbase %r11 */
	PUT(c, 0x4c, 0x89, 0xd9);			/* mov %r11, %rcx */
	PUT(c, 0x48, 0xc1, 0xe9, 0x20);			/* shr $32, %rcx */
	PUT(c, 0x81, 0xf9);				/* cmp $arena, %ecx */
	put_u32(c, (u32)(agent.arena >> 32));
	slow[0] = put_long(c, 0x85);			/* jne */
	if (w->if_recs) {
		PUT(c, 0x41, 0x83, 0x7b, 0x2c, 0);	/* cmpl $0, nr_recs(%r11) */
		none = put_long(c, 0x84);		/* je */
	}
	PUT(c, 0xf3, 0x48, 0x0f, 0xae, 0xc1);		/* rdfsbase %rcx */
	PUT(c, 0x49, 0x39, 0x0b);			/* cmp %rcx, fs_base(%r11) */
	slow[1] = put_long(c, 0x85);			/* jne */
	go = c->len;
	PUT(c, 0x41, 0x83, 0x7b, 0x28, AGENT_LEVELS);	/* cmpl $4, level(%r11) */
	full = put_long(c, 0x83);			/* jae */
	PUT(c, 0x48, 0x89, 0xe1);			/* mov %rsp, %rcx */
	PUT(c, 0x49, 0x2b, 0x4b, 0x38);			/* sub alt_base(%r11), %rcx */
	PUT(c, 0x49, 0x3b, 0x4b, 0x40);			/* cmp alt_size(%r11), %rcx */
	careful = put_long(c, 0x82);			/* jb */
	go_on = c->len;
	put_switch(c, w);
	land_long(c, careful);
	PUT(c, 0x48, 0x8d, 0x0d);			/* lea go_on(%rip), %rcx */
	put_rel32(c, c->at + go_on);
	PUT(c, 0xff, 0x25);				/* jmp *slot(%rip) */
	put_rel32(c, c->slots + 8 * SLOT_CAREFUL);
	land_long(c, slow[0]);
	land_long(c, slow[1]);
	PUT(c, 0x48, 0x8d, 0x0d);			/* lea go(%rip), %rcx */
	put_rel32(c, c->at + go);
	PUT(c, 0x4c, 0x8d, 0x1d, 6, 0, 0, 0);		/* lea 1f(%rip), %r11 */
	PUT(c, 0xff, 0x25);				/* jmp *slot(%rip) */
	put_rel32(c, c->slots + 8 * SLOT_SLOW);
	/* 1: no state, counted by agent_slow; or all levels in use */
	u32 fail = put_short(c, 0xeb);
	land_long(c, full);
	PUT(c, 0x48, 0xb9);				/* movabs $patch_missed, %rcx */
	put_u64(c, (u64)&patch_missed);
	PUT(c, 0xf0, 0x48, 0xff, 0x01);			/* lock incq (%rcx) */
	land(c, fail);
	if (w->if_recs)
		land_long(c, none);
	if (w->live)
		PUT(c, 0x9d, 0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0);
	put_jmp(c, w->next);
}

/* A number that nobody wants goes on at TO at once, flags and all. */
static void put_number_test(struct code *c, u64 to)
{
	PUT(c, 0x0f, 0xb7, 0xc8);			/* movzwl %ax, %ecx */
	PUT(c, 0x49, 0xbb);				/* movabs $table, %r11 */
	put_u64(c, (u64)patch_wanted);
	PUT(c, 0x41, 0x0f, 0xb6, 0x0c, 0x0b);		/* movzbl (%r11,%rcx), %ecx */
	PUT(c, 0xe3, 0x02, 0xeb, 0x05);			/* jrcxz 1f; jmp 2f; 1: jmp to; 2: */
	put_jmp(c, to);
}

static u32 desc_flags(const struct stub_spec *sp, const struct site_win *w)
{
	return (w->flags & WIN_FLAGS_LIVE ? STUB_LIVE : 0) | (sp->records ? STUB_REC : 0);
}

static void put_enter(struct code *c, const struct stub_spec *sp, u64 next, u64 skipped)
{
	const struct site_win *e = &sp->s->enter;
	struct way w = { .slot = e->flags & FULL ? SLOT_ENTER_FLAGS : SLOT_ENTER,
			 .live = e->flags & WIN_FLAGS_LIVE, .next = next, .skipped = skipped,
			 .desc = { sp->site + 2, sp->s->nr, desc_flags(sp, e) } };

	put_hook(c, &w);
}

static void put_exit(struct code *c, const struct stub_spec *sp, u8 flags, u64 next)
{
	bool live = flags & WIN_FLAGS_LIVE;
	struct way w = { .slot = flags & FULL ? SLOT_EXIT_FLAGS : SLOT_EXIT, .live = live,
			 .if_recs = sp->records, .next = next, .skipped = next,
			 .desc = { sp->site + 2, sp->s->nr, (live ? STUB_LIVE : 0) | (sp->records ? STUB_REC : 0) } };

	put_hook(c, &w);
}

static void build_enter(struct code *c, const struct stub_spec *sp)
{
	put_displaced(c, sp, &sp->s->enter);
	if (sp->s->nr < 0)
		put_number_test(c, sp->site);
	put_enter(c, sp, sp->site, sp->site + 2);
}

/* Displaced instructions come first in memory, so that their address is known. */
static u32 build_exit(struct code *c, const struct stub_spec *sp)
{
	const struct site_win *x = &sp->s->exit;
	u32 entry;

	put_displaced(c, sp, x);
	if (!(x->flags & WIN_ENDS))
		put_jmp(c, sp->site + x->at + x->len);
	entry = c->len;
	put_exit(c, sp, x->flags, c->at);
	return entry;
}

/* [exit hook][syscall; jmp exit hook][displaced][enter hook]: each knows the one before it. */
static u32 build_moved(struct code *c, const struct stub_spec *sp)
{
	u64 exit = c->at, call;
	u32 entry;

	if (sp->exit)
		put_exit(c, sp, sp->s->enter.flags, sp->site + 2);
	else
		put_jmp(c, sp->site + 2);
	call = c->at + c->len;
	PUT(c, 0x0f, 0x05);
	put_jmp(c, exit);
	entry = c->len;
	put_displaced(c, sp, &sp->s->enter);
	if (sp->enter)
		put_enter(c, sp, call, exit);
	else
		put_jmp(c, call);
	return entry;
}

/* ---- places ---- */

static bool reaches(u64 a, u64 b)
{
	s64 d = (s64)(a - b);

	return d > -REACH && d < REACH;
}

/* Is [at, at + NEAR_SIZE) free, and not where a stack or the heap wants to grow? */
static bool is_free(const struct patch_maps *m, u64 at)
{
	if (at < 1u << 16 || at > 1ull << 47)
		return false;
	for (u32 i = 0; i < m->nr; i++) {
		const struct patch_vma *v = &m->v[i];

		if (at < v->end + (v->heap ? STACK_ROOM : 0) && at + NEAR_SIZE + (v->stack ? STACK_ROOM : 0) > v->start)
			return false;
	}
	return true;
}

static bool near_map(u64 at)
{
	u64 slots[SLOTS];
	long p = raw_syscall6(SYS_mmap, (long)at, NEAR_SIZE, PROT_READ | PROT_EXEC,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	if ((u64)p >= -4095ull)
		return false;
	for (u32 i = 0; i < SLOTS; i++)
		slots[i] = (u64)slot_target(i);
	if ((u64)p != at || poke_write(at, slots, sizeof(slots))) {
		raw_syscall3(SYS_munmap, p, NEAR_SIZE, 0);
		return false;
	}
	nears[nr_nears++] = (struct near){ .base = at, .used = ALIGN_UP((u32)sizeof(slots), 64u) };
	return true;
}

static struct near *near_for(u64 site, const struct patch_maps *m)
{
	for (u32 i = 0; i < nr_nears; i++) {
		if (reaches(nears[i].base, site) && nears[i].used + STUB_SIZE_MAX <= NEAR_SIZE)
			return &nears[i];
	}
	if (nr_nears == NEAR_MAX)
		return NULL;
	for (s64 k = 1; k < REACH / (s64)STEP; k++) {
		u64 base = ALIGN_DOWN(site, STEP);
		u64 below = base - (u64)k * STEP, above = base + (u64)k * STEP;

		if (below < base && reaches(below, site) && is_free(m, below) && near_map(below))
			return &nears[nr_nears - 1];
		if (reaches(above, site) && is_free(m, above) && near_map(above))
			return &nears[nr_nears - 1];
	}
	return NULL;
}

bool stub_is_at(u64 addr)
{
	for (u32 i = 0; i < nr_nears; i++) {
		if (addr - nears[i].base < NEAR_SIZE)
			return true;
	}
	return false;
}

u64 stub_make(const struct stub_spec *sp, const struct patch_maps *m)
{
	struct near *n = near_for(sp->site, m);
	struct code c = {};
	u32 entry = 0;

	if (!n)
		return 0;
	c.at = n->base + n->used;
	c.slots = n->base;
	switch (sp->kind) {
	case STUB_ENTER: build_enter(&c, sp); break;
	case STUB_EXIT: entry = build_exit(&c, sp); break;
	case STUB_MOVED: entry = build_moved(&c, sp); break;
	}
	if (c.bad || poke_write(c.at, c.b, c.len))
		return 0;
	n->used += ALIGN_UP(c.len, 16u);
	return c.at + entry;
}
