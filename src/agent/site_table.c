/* SPDX-License-Identifier: Apache-2.0 */
/* site_table.c - checking a table of sites (site.h). In the agent and in the tool; no libc. */
#include <errno.h>

#include "agent/site.h"
#include "base/sha256.h"

static char *put_hex(char *p, u64 v, char end)
{
	int shift = 60;

	while (shift && !(v >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*p++ = "0123456789abcdef"[v >> shift & 15];
	*p++ = end;
	return p;
}

void site_table_name(const struct site_ident *id, char out[SITE_NAME_MAX])
{
	char *p = put_hex(out, id->dev, '-');

	p = put_hex(p, id->ino, '-');
	p = put_hex(p, id->size, '-');
	put_hex(p, id->mtime_ns, 0);
}

static bool inside(u64 at, u64 n, u64 size)
{
	return at <= size && n <= size - at;
}

static bool check_rel(const struct site_rel *r, const struct site_win *w)
{
	return r->kind < SITE_REL_KINDS && inside(r->at, 4, w->code_len) && r->end >= r->at + 4 && r->end <= w->code_len;
}

/* A window lies in the bytes that are compared, and its first five bytes do not touch the syscall instruction. */
static bool check_win(const struct site_win *w, const struct site *s, const u8 *blob, u32 size, bool enter)
{
	const struct site_rel *r;

	if (!w->len)
		return true;
	if (w->len < SITE_JMP || w->bounds & ~0x1eu || w->code_len > SITE_CODE_MAX || w->nr_rels > SITE_RELS_MAX)
		return false;
	if (enter ? w->at + w->len != 0 : w->at < 2)
		return false;
	if (w->at < s->lo || w->at + w->len > s->lo + s->span)
		return false;
	if (!inside(w->code, w->code_len, size) || w->rels % 4 || !inside(w->rels, w->nr_rels * sizeof(*r), size))
		return false;
	r = (const struct site_rel *)(blob + w->rels);
	for (u32 i = 0; i < w->nr_rels; i++) {
		if (!check_rel(&r[i], w))
			return false;
	}
	return true;
}

static bool check_site(const struct site *s, const u8 *blob, u32 size)
{
	if (s->span > SITE_SPAN_MAX || s->lo > 0 || s->lo + s->span < 2 || !inside(s->orig, s->span, size))
		return false;
	if (s->off < (u64)-s->lo || s->off > 1ull << 40)
		return false;
	if (blob[s->orig - s->lo] != 0x0f || blob[s->orig - s->lo + 1] != 0x05)
		return false;
	return check_win(&s->enter, s, blob, size, true) && check_win(&s->exit, s, blob, size, false);
}

static bool same_file(const struct site_ident *a, const struct site_ident *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime_ns == b->mtime_ns;
}

/* Windows of neighbours must not overlap: what one displaces, the other may not patch. */
static bool in_order(const struct site *a, const struct site *b)
{
	s64 end = (s64)a->off + (a->exit.len ? a->exit.at + a->exit.len : 2);

	return a->off < b->off && end <= (s64)b->off + (b->enter.len ? b->enter.at : 0);
}

int site_table_check(const void *table, size_t n, const struct site_ident *id)
{
	const struct site_hdr *h = table;
	const struct site *s;
	const u8 *blob;
	u8 digest[32];

	if (n < sizeof(*h) || (uintptr_t)table % 8 || h->magic != SITE_MAGIC || h->version != SITE_VERSION)
		return -EINVAL;
	if (h->nr_sites > SITE_MAX || h->blob_size > SITE_BLOB_MAX || h->blob_size % 4)
		return -EINVAL;
	if (n != sizeof(*h) + h->nr_sites * sizeof(*s) + h->blob_size)
		return -EINVAL;
	if (id && !same_file(&h->id, id))
		return -ESTALE;
	sha256(h + 1, n - sizeof(*h), digest);
	if (__builtin_memcmp(digest, h->digest, sizeof(digest)))
		return -EINVAL;
	s = site_table_sites(h);
	blob = site_table_blob(h);
	for (u32 i = 0; i < h->nr_sites; i++) {
		if (!check_site(&s[i], blob, h->blob_size) || (i && !in_order(&s[i - 1], &s[i])))
			return -EINVAL;
	}
	return 0;
}
