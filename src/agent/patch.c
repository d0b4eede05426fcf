/* SPDX-License-Identifier: Apache-2.0 */
/* patch.c - making the text have trampolines for exactly the system calls that somebody wants.
 *
 * A round: read /proc/self/maps; forget sites whose mapping is gone, take in new executable mappings of files; compare what
 * each site shall have with what it has; change all of it in one batch (poke.c). Only the helper does this, or agent_start()
 * before it; a round that is cut off by the helper's death is finished by the next one: a site is looked at again as
 * long as its bytes are not what is wanted.
 *
 * Stubs are made once and never freed. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/patch.h"

enum { AT_ENTER, AT_EXIT, PLACES };
enum { FORM_NONE, FORM_ENTER, FORM_EXIT, FORM_BOTH, FORM_MOVED_EXIT, FORMS };

struct psite {
	u64 addr;				/* of the syscall instruction */
	const struct site *s;
	u32 image;
	u8 has[PLACES];				/* FORM_* in the text: at enter ENTER, BOTH, MOVED_EXIT; at exit EXIT */
	bool bad;				/* not as its table says: left alone */
	u64 stub[FORMS];			/* 0: not made yet */
};

static struct site_image *images;
static struct psite *sites;
static struct poke *pokes;
static u32 *poke_of;				/* site * PLACES + place, by poke */
static u32 in_flight;				/* pokes of a batch under way: a helper was killed in it if it is not 0 */
static u32 nr_images, cap_images, nr_sites, cap_sites, cap_pokes, cap_poke_of;

struct patch_sets patch_now;
u8 patch_wanted[65536];
u64 patch_missed, patch_recs;

/* Hooked whenever anything is attached. Tests of patching have neither followers nor signals. */
__attribute__((weak)) bool agent_follows(u32 nr)
{
	return false;
}

__attribute__((weak)) bool signal_follows(u32 nr)
{
	return false;
}

/* ---- what is wanted ---- */

static bool has_bit(const u64 *set, u32 nr)
{
	return set[nr / 64] >> (nr % 64) & 1;
}

static void sets_from(struct patch_sets *p, const struct hook_wants *w)
{
	memset(p, 0, sizeof(*p));
	if (!w->any)
		return;
	p->all_enter = w->all_enter;
	p->all_exit = w->all_exit;
	for (u32 nr = 0; nr < HOOK_NR_SYSCALLS; nr++) {
		bool follow = agent_follows(nr) || signal_follows(nr);

		if (w->all_enter || follow || has_bit(w->enter, nr))
			p->enter[nr / 64] |= BIT64(nr % 64);
		if (w->all_exit || follow || has_bit(w->exit, nr))
			p->exit[nr / 64] |= BIT64(nr % 64);
	}
}

static void set_wanted(const struct patch_sets *p)
{
	bool beyond = p->all_enter || p->all_exit;

	for (u32 nr = 0; nr < ARRAY_SIZE(patch_wanted); nr++) {
		u8 v = nr < HOOK_NR_SYSCALLS ? has_bit(p->enter, nr) || has_bit(p->exit, nr) : beyond;

		if (patch_wanted[nr] != v)	/* pages that nobody reads are not made */
			__atomic_store_n(&patch_wanted[nr], v, __ATOMIC_RELAXED);
	}
}

static bool set_any(const u64 *set, bool all)
{
	for (u32 i = 0; i < HOOK_NR_SYSCALLS / 64; i++)
		all |= set[i] != 0;
	return all;
}

static bool records(const struct site *s)
{
	return s->nr < 0 || s->exit.flags & WIN_UNSURE;
}

/* What S shall have at its places, as far as it can. */
static void shall(const struct site *s, const struct patch_sets *p, u8 form[PLACES])
{
	bool e, x;

	if (s->nr < 0) {
		x = set_any(p->exit, p->all_exit);
		e = x || set_any(p->enter, p->all_enter);
	} else if (s->nr < HOOK_NR_SYSCALLS) {
		x = has_bit(p->exit, (u32)s->nr);
		e = has_bit(p->enter, (u32)s->nr) || (x && records(s));
	} else {
		x = p->all_exit;
		e = p->all_enter || (x && records(s));
	}
	form[AT_EXIT] = FORM_NONE;
	form[AT_ENTER] = e && s->enter.len ? FORM_ENTER : FORM_NONE;
	if (x && s->exit.len && (s->enter.len || !records(s)))	/* else no record would ever be made */
		form[AT_EXIT] = FORM_EXIT;
	else if (x && !s->exit.len && s->flags & SITE_MOVABLE)
		form[AT_ENTER] = e ? FORM_BOTH : FORM_MOVED_EXIT;
}

static bool returns(s32 nr)
{
	return nr != 60 && nr != 231;		/* exit, exit_group */
}

/* Is something that links want not to be had here? Where the number is not known: only if they want all. */
static bool falls_short(const struct site *s, const struct hook_wants *w, const u8 form[PLACES])
{
	bool known = s->nr >= 0 && s->nr < HOOK_NR_SYSCALLS;
	bool e = known ? w->all_enter || has_bit(w->enter, (u32)s->nr) : w->all_enter;
	bool x = known ? w->all_exit || has_bit(w->exit, (u32)s->nr) : w->all_exit;

	return (e && !form[AT_ENTER]) ||
	       (x && returns(s->nr) && !form[AT_EXIT] && form[AT_ENTER] != FORM_BOTH && form[AT_ENTER] != FORM_MOVED_EXIT);
}

/* ---- mappings ---- */

static const struct site_hdr *table_of(u32 image)
{
	return site_file(images[image].file)->table;
}

static const struct patch_vma *still_there(const struct patch_maps *m, const struct site_image *im)
{
	const struct patch_vma *v = patch_maps_find(m, im->start);

	return v && v->start == im->start && v->end == im->end && v->pgoff == im->pgoff && v->ino == im->ino &&
	       v->prot & PROT_EXEC ? v : NULL;
}

/* Sites of mappings that went away. Their stubs stay: threads may be in them. */
static void drop_image(u32 image)
{
	u32 n = 0;

	for (u32 i = 0; i < nr_sites; i++) {
		if (sites[i].image == image)
			continue;
		sites[n] = sites[i];
		if (sites[n].image > image)
			sites[n].image--;
		n++;
	}
	nr_sites = n;
	memmove(&images[image], &images[image + 1], (nr_images - image - 1) * sizeof(*images));
	nr_images--;
}

static const struct site_win *window(const struct psite *p, u32 place)
{
	return place == AT_ENTER ? &p->s->enter : &p->s->exit;
}

/* The five bytes of a place with FORM. */
static void bytes_of(const struct psite *p, u32 place, u8 form, u8 out[SITE_JMP])
{
	const struct site_win *w = window(p, place);
	u64 at = p->addr + (s64)w->at;
	u32 rel = (u32)(p->stub[form] - (at + SITE_JMP));

	if (form == FORM_NONE) {
		memcpy(out, site_table_blob(table_of(p->image)) + p->s->orig + (w->at - p->s->lo), SITE_JMP);
		return;
	}
	out[0] = 0xe9;
	memcpy(out + 1, &rel, 4);
}

/* Was it unmapped, and mapped again at the same place? Then what we wrote is gone: one place tells. */
static bool is_fresh(u32 image)
{
	u8 now[SITE_JMP], jmp[SITE_JMP];

	for (u32 i = 0; i < nr_sites; i++) {
		const struct psite *p = &sites[i];

		for (u32 place = 0; p->image == image && place < PLACES; place++) {
			if (!p->has[place])
				continue;
			bytes_of(p, place, p->has[place], jmp);
			return poke_read(p->addr + (s64)window(p, place)->at, now, sizeof(now)) ||
			       memcmp(now, jmp, sizeof(now));
		}
	}
	return false;
}

static void forget_gone(const struct patch_maps *m)
{
	for (u32 i = nr_images; i-- > 0;) {
		if (!still_there(m, &images[i]) || is_fresh(i))
			drop_image(i);
	}
}

static bool is_known(const struct patch_vma *v)
{
	for (u32 i = 0; i < nr_images; i++) {
		if (images[i].start == v->start)
			return true;
	}
	return false;
}

static bool is_ours(const struct patch_vma *v)
{
	u64 a = (u64)&agent_enter;

	return (a >= v->start && a < v->end) || stub_is_at(v->start);
}

static int add_sites(u32 image)
{
	const struct site_image *im = &images[image];
	const struct site_hdr *h = table_of(image);
	const struct site *s;

	if (!h)
		return 0;
	s = site_table_sites(h);
	if (!patch_grow((void **)&sites, &cap_sites, nr_sites + h->nr_sites, sizeof(*sites)))
		return -ENOMEM;
	for (u32 i = 0; i < h->nr_sites; i++) {
		u64 lo = s[i].off + (s64)s[i].lo;

		if (lo < im->pgoff || lo + s[i].span > im->pgoff + (im->end - im->start))
			continue;
		sites[nr_sites++] = (struct psite){ .addr = im->start + (s[i].off - im->pgoff), .s = &s[i], .image = image };
	}
	return 0;
}

static int add_image(const struct patch_vma *v, const char *path)
{
	struct site_image im = { v->start, v->end, v->pgoff, v->ino, 0 };
	int err;

	if (site_file_of(v, path, &im.file))
		return 0;			/* cannot be read any more: no sites */
	if (!patch_grow((void **)&images, &cap_images, nr_images + 1, sizeof(*images)))
		return -ENOMEM;
	images[nr_images++] = im;
	err = add_sites(nr_images - 1);
	if (err)
		drop_image(nr_images - 1);
	return err;
}

static int take_new(const struct patch_maps *m)
{
	int err = 0;

	for (u32 i = 0; i < m->nr && !err; i++) {
		const struct patch_vma *v = &m->v[i];

		if ((v->prot & (PROT_EXEC | PROT_READ)) != (PROT_EXEC | PROT_READ) || v->shared || !v->ino || !v->path ||
		    m->names[v->path] != '/' || is_known(v) || is_ours(v))
			continue;
		err = add_image(v, m->names + v->path);
	}
	return err;
}

/* ---- the batch ---- */

static u64 stub_of(struct psite *p, u8 form, const struct patch_maps *m)
{
	struct stub_spec sp = { .kind = form == FORM_ENTER ? STUB_ENTER : form == FORM_EXIT ? STUB_EXIT : STUB_MOVED,
				.site = p->addr, .s = p->s, .blob = site_table_blob(table_of(p->image)),
				.enter = form == FORM_BOTH, .exit = true, .records = records(p->s) };

	if (!p->stub[form])
		p->stub[form] = stub_make(&sp, m);
	return p->stub[form];
}

/* Length of the first instruction: the first boundary, or all of what is replaced. */
static u8 first_of(const struct site_win *w)
{
	for (u8 n = 1; n < SITE_JMP; n++) {
		if (w->bounds & BIT(n))
			return n;
	}
	return SITE_JMP;
}

static int add_poke(u32 site, u32 place, u8 form, u32 *nr)
{
	struct psite *p = &sites[site];
	const struct site_win *w = window(p, place);
	struct poke *k;

	if (!patch_grow((void **)&pokes, &cap_pokes, *nr + 1, sizeof(*pokes)) ||
	    !patch_grow((void **)&poke_of, &cap_poke_of, *nr + 1, sizeof(*poke_of)))
		return -ENOMEM;
	k = &pokes[*nr];
	*k = (struct poke){ .at = p->addr + (s64)w->at, .first = first_of(w), .tag = *nr };
	k->bounds = p->has[place] == FORM_NONE ? w->bounds : 0;
	bytes_of(p, place, p->has[place], k->from);
	bytes_of(p, place, form, k->to);
	poke_of[(*nr)++] = (site * PLACES + place) * FORMS + form;
	return 0;
}

/* Exits before entries when something goes, so that no record is left waiting; the other way round is harmless. */
static int plan(const struct hook_wants *w, const struct patch_sets *p, const struct patch_maps *m, u32 *nr, u32 *missing)
{
	*nr = *missing = 0;
	for (u32 i = 0; i < nr_sites; i++) {
		struct psite *ps = &sites[i];
		bool short_of;
		u8 form[PLACES];

		shall(ps->s, p, form);
		short_of = falls_short(ps->s, w, form);
		for (u32 place = 0; place < PLACES; place++) {
			if (form[place] == ps->has[place] || ps->bad)
				continue;
			if (form[place] && !ps->has[AT_ENTER] && !ps->has[AT_EXIT] &&
			    !site_bytes_fit(table_of(ps->image), ps->s, ps->addr)) {
				ps->bad = short_of = true;
				break;
			}
			if (form[place] && !stub_of(ps, form[place], m))
				short_of = true;
			else if (add_poke(i, place, form[place], nr))
				return -ENOMEM;
		}
		*missing += short_of;
	}
	return 0;
}

/* Sites without a way in at all do not come from tables: they are counted in the headers. */
static u32 bare(void)
{
	u32 n = 0;

	for (u32 i = 0; i < nr_images; i++)
		n += table_of(i) ? table_of(i)->nr_bare : 0;
	return n;
}

/* The number of windows that were put off: threads were in the way. */
static u32 note_done(u32 nr)
{
	u32 off = 0;

	for (u32 i = 0; i < nr; i++) {
		u32 of = poke_of[pokes[i].tag];

		if (pokes[i].done)
			sites[of / FORMS / PLACES].has[of / FORMS % PLACES] = (u8)(of % FORMS);
		else
			off++;
	}
	return off;
}

int agent_patch_quietly(const struct hook_wants *w, u32 *missing, bool quiet)
{
	struct patch_maps m = {};
	struct patch_sets next;
	u32 nr = 0, less = 0, off = 0;
	int err;

	sets_from(&next, w);
	if (!w->any && !nr_images) {
		*missing = 0;
		return 0;
	}
	err = patch_maps_read(&m);
	if (err)
		return err;
	if (in_flight) {
		poke_finish(pokes, in_flight, &m);
		note_done(in_flight);
		in_flight = 0;
	}
	forget_gone(&m);
	if (w->any)
		err = take_new(&m);
	if (!err)
		err = plan(w, &next, &m, &nr, &less);
	if (!err && nr) {
		patch_now = next;
		set_wanted(&next);
		STORE_RELEASE(in_flight, nr);
		err = poke_text(pokes, nr, &m, quiet);
		off = note_done(nr);
		STORE_RELEASE(in_flight, 0);
	} else if (!err) {
		patch_now = next;
		set_wanted(&next);
	}
	if (w->all_enter || w->all_exit)
		less += bare();
	*missing = less;
	patch_maps_free(&m);
	return err ? err : off ? 1 : 0;
}

int agent_patch(const struct hook_wants *w, u32 *missing)
{
	return agent_patch_quietly(w, missing, false);
}
