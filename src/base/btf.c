/* SPDX-License-Identifier: Apache-2.0 */
/* btf.c - BTF blobs: the container (header, sections, strings), and lookups in what was accepted.
 * Order of checks, errno and log text are the kernel's, since clients print the log. */
#include "base/btf.h"

#include <errno.h>
#include <stdlib.h>

#include "base/btf_priv.h"

/* ---- lookups ------------------------------------------------------------------------------------------------ */

u32 btf_nr(const struct btf *b)
{
	return b->start_id + b->nr;
}

const struct btf_type *btf_type(const struct btf *b, u32 id)
{
	while (id < b->start_id)
		b = b->base;
	id -= b->start_id;
	return id < b->nr ? b->types[id] : NULL;
}

static const char *str_at(const struct btf *b, u32 off)
{
	while (off < b->start_str)
		b = b->base;
	off -= b->start_str;
	return off < b->hdr.str_len ? b->strs + off : NULL;
}

const char *btf_str(const struct btf *b, u32 off)
{
	const char *s = str_at(b, off);

	return s ? s : "";
}

bool btf_str_exists(const struct btf *b, u32 off)
{
	return str_at(b, off);
}

const struct btf_type *btf_skip_mods(const struct btf *b, u32 *id)
{
	const struct btf_type *t = btf_type(b, *id);

	while (t && btf_props(t) & BK_MOD) {
		*id = t->type;
		t = btf_type(b, *id);
	}
	return t;
}

s64 btf_size(const struct btf *b, u32 id)
{
	u64 n = 1;

	for (int depth = 0; depth < BTF_DEPTH_MAX; depth++) {
		const struct btf_type *t = btf_skip_mods(b, &id);

		if (!t)
			return -EINVAL;
		if (btf_kind(t) == BTF_KIND_ARRAY) {
			const struct btf_array *a = (const void *)(t + 1);

			if (__builtin_mul_overflow(n, (u64)a->nelems, &n) || n > UINT32_MAX)
				return -EINVAL;
			id = a->type;
			continue;
		}
		if (btf_kind(t) == BTF_KIND_VAR) {
			id = t->type;
			continue;
		}
		if (btf_kind(t) != BTF_KIND_PTR && !(btf_props(t) & BK_SIZED))
			return -EINVAL;
		n *= btf_kind(t) == BTF_KIND_PTR ? 8 : t->size;
		return n > UINT32_MAX ? -EINVAL : (s64)n;
	}
	return -EINVAL;
}

/* ---- names of large blobs: chains by hash, the lowest id first ---- */
#define INDEX_FROM	4096		/* types */

static u32 name_slot(const struct btf *b, const char *s)
{
	u64 h = 14695981039346656037ull;

	while (*s)
		h = (h ^ (u8)*s++) * 1099511628211ull;
	return (u32)(h >> (64 - b->head_bits));
}

/* Without memory for it names are looked for one by one. */
static void index_names(struct btf *b)
{
	if (b->base || b->nr < INDEX_FROM)
		return;
	for (b->head_bits = 12; b->head_bits < 20 && 1u << b->head_bits < b->nr; b->head_bits++)
		;
	b->heads = calloc((size_t)1 << b->head_bits, sizeof(u32));
	b->chain = calloc(b->nr, sizeof(u32));
	if (!b->heads || !b->chain) {
		free(b->heads);
		free(b->chain);
		b->heads = b->chain = NULL;
		return;
	}
	for (u32 id = b->nr; id-- > 1;) {
		u32 *head = &b->heads[name_slot(b, btf_str(b, b->types[id]->name_off))];

		b->chain[id] = *head;
		*head = id;
	}
}

s32 btf_find(const struct btf *b, const char *name, u32 kind)
{
	if (b->heads) {
		for (u32 id = b->heads[name_slot(b, name)]; id; id = b->chain[id])
			if (btf_kind(b->types[id]) == kind && !strcmp(btf_str(b, b->types[id]->name_off), name))
				return (s32)id;
		return -ENOENT;
	}
	for (u32 id = 1; id < btf_nr(b); id++) {
		const struct btf_type *t = btf_type(b, id);

		if (btf_kind(t) == kind && !strcmp(btf_str(b, t->name_off), name))
			return (s32)id;
	}
	return -ENOENT;
}

/* ---- names -------------------------------------------------------------------------------------------------- */

const char *btf_log_name(const struct btf *b, u32 off)
{
	const char *s;

	if (!off)
		return "(anon)";
	s = str_at(b, off);
	return s ? s : "(invalid-name-offset)";
}

bool btf_str_ok(const struct btf *b, u32 off)
{
	return off <= BTF_MAX_NAME_OFF && str_at(b, off);
}

/* The kernel's character classes are those of Latin-1, whatever the locale. */
static bool letter(u8 c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c != 0xd7 && c != 0xf7);
}

static bool ident_char(char c)
{
	return letter((u8)c) || c == '_' || c == '.';
}

#define NAME_MAX_LEN	512		/* KSYM_NAME_LEN */

bool btf_ident_ok(const struct btf *b, u32 off)
{
	const char *s = btf_str(b, off);
	u32 n = 1;

	if (!ident_char(s[0]))
		return false;
	for (; s[n] && n < NAME_MAX_LEN; n++)
		if (!ident_char(s[n]) && !(s[n] >= '0' && s[n] <= '9'))
			return false;
	return !s[n];
}

/* ---- log ---------------------------------------------------------------------------------------------------- */

void btf_log(struct btf_env *e, const char *fmt, ...)
{
	va_list ap;

	if (!e->log)
		return;
	va_start(ap, fmt);
	sbuf_vprintf(e->log, fmt, ap);
	va_end(ap);
}

static void log_hdr(struct btf_env *e)
{
	const struct btf_header *h = &e->b->hdr;

	btf_log(e, "magic: 0x%x\nversion: %u\nflags: 0x%x\nhdr_len: %u\n", h->magic, h->version, h->flags, h->hdr_len);
	btf_log(e, "type_off: %u\ntype_len: %u\nstr_off: %u\nstr_len: %u\nbtf_total_size: %u\n", h->type_off,
		h->type_len, h->str_off, h->str_len, e->b->size);
}

static int fail(struct btf_env *e, int err, const char *msg)
{
	btf_log(e, "%s", msg);
	return err;
}

/* ---- container ---------------------------------------------------------------------------------------------- */

struct sec {
	u32 off, len;
};

/* The two sections fill what follows the header: no gap, no overlap, nothing else. */
static int check_sections(struct btf_env *e)
{
	const struct btf_header *h = &e->b->hdr;
	struct sec s[2] = { { h->type_off, h->type_len }, { h->str_off, h->str_len } };
	u32 total = 0, want = e->b->size - h->hdr_len;
	s32 order = (s32)(s[0].off - s[1].off);

	if (order > 0 || (!order && (s32)(s[0].len - s[1].len) > 0)) {
		struct sec t = s[0];

		s[0] = s[1];
		s[1] = t;
	}
	for (u32 i = 0; i < 2; i++) {
		if (s[i].off > want)
			return fail(e, -EINVAL, "Invalid section offset");
		if (s[i].off > total)
			return fail(e, -EINVAL, "Unsupported section found");
		if (s[i].off < total)
			return fail(e, -EINVAL, "Section overlap found");
		if (s[i].len > want - total)
			return fail(e, -EINVAL, "Total section length too long");
		total += s[i].len;
	}
	return total == want ? 0 : fail(e, -EINVAL, "Unsupported section found");
}

static int check_hdr(struct btf_env *e, const u8 *data, u32 size)
{
	struct btf_header *h = &e->b->hdr;
	u32 len;

	if (size < offsetofend(struct btf_header, hdr_len))
		return fail(e, -EINVAL, "hdr_len not found");
	memcpy(&len, data + offsetof(struct btf_header, hdr_len), sizeof(len));
	if (size < len)
		return fail(e, -EINVAL, "btf_header not found");
	for (u32 i = sizeof(*h); i < len; i++)
		if (data[i])
			return fail(e, -E2BIG, "Unsupported btf_header");
	memcpy(h, data, MIN(len, sizeof(*h)));
	log_hdr(e);
	if (h->magic != BTF_MAGIC)
		return fail(e, -EINVAL, "Invalid magic");
	if (h->version != BTF_VERSION)
		return fail(e, -ENOTSUPP_, "Unsupported version");
	if (h->flags)
		return fail(e, -ENOTSUPP_, "Unsupported flags");
	if (!e->b->base && size == h->hdr_len)
		return fail(e, -EINVAL, "No data");
	return check_sections(e);
}

/* The own copy, with what follows the header aligned for struct btf_type whatever the header's length. */
static int copy_data(struct btf *b, const void *data, u32 size)
{
	u32 pad = -b->hdr.hdr_len & 7;

	b->mem = malloc((size_t)size + 8);
	if (!b->mem)
		return -ENOMEM;
	b->data = (u8 *)b->mem + pad;
	memcpy(b->data, data, size);
	return 0;
}

static int check_strings(struct btf_env *e)
{
	struct btf *b = e->b;
	const struct btf_header *h = &b->hdr;

	if ((u64)h->hdr_len + h->str_off + h->str_len != b->size)
		return fail(e, -EINVAL, "String section is not at the end");
	b->strs = (const char *)b->data + h->hdr_len + h->str_off;
	if (b->base && !h->str_len)
		return 0;
	if (!h->str_len || h->str_len - 1 > BTF_MAX_NAME_OFF || b->strs[h->str_len - 1] || (!b->base && b->strs[0]))
		return fail(e, -EINVAL, "Invalid string section");
	return 0;
}

static const struct btf_type void_type;

static int add_type(struct btf *b, const struct btf_type *t, u32 *cap)
{
	if (b->nr == *cap) {
		u32 n = MAX(*cap * 2, 64u);
		const struct btf_type **p = realloc(b->types, n * sizeof(*p));

		if (!p)
			return -ENOMEM;
		b->types = p;
		*cap = n;
	}
	b->types[b->nr++] = t;
	return 0;
}

static int check_types(struct btf_env *e)
{
	struct btf *b = e->b;
	const u8 *p = b->data + b->hdr.hdr_len + b->hdr.type_off, *end = p + b->hdr.type_len;
	u32 cap = 0;
	int err;

	if (b->hdr.type_off & 3)
		return fail(e, -EINVAL, "Unaligned type_off");
	if (!b->base && !b->hdr.type_len)
		return fail(e, -EINVAL, "No type found");
	err = b->base ? 0 : add_type(b, &void_type, &cap);
	e->log_id = b->base ? b->start_id : 1;
	for (; !err && p < end; e->log_id++) {
		s64 n = btf_check_meta(e, (const void *)p, (u32)(end - p));

		if (n < 0)
			return (int)n;
		if (btf_nr(b) > BTF_MAX_TYPE_ID)
			return fail(e, -E2BIG, "Exceeded max num of types");
		err = add_type(b, (const void *)p, &cap);
		p += n;
	}
	return err ? err : btf_check_graph(e);
}

static int parse(struct btf_env *e, const void *data, u32 size)
{
	int err = check_hdr(e, data, size);

	if (!err)
		err = copy_data(e->b, data, size);
	if (!err)
		err = check_strings(e);
	if (!err)
		err = check_types(e);
	if (!err && e->log && e->log->err)
		err = e->log->err;
	return err;
}

int btf_parse(const void *data, u32 size, const struct btf *base, struct sbuf *log, struct btf **out)
{
	struct btf_env *e;
	struct btf *b;
	int err;

	*out = NULL;
	if (size > BTF_SIZE_MAX)
		return -E2BIG;
	b = calloc(1, sizeof(*b));
	e = calloc(1, sizeof(*e));
	if (!b || !e) {
		free(b);
		free(e);
		return -ENOMEM;
	}
	e->b = b;
	e->log = log;
	b->size = size;
	b->base = base;
	if (base) {
		b->start_id = btf_nr(base);
		b->start_str = base->start_str + base->hdr.str_len;
	}
	err = parse(e, data, size);
	free(e->visit);
	free(e);
	if (err) {
		btf_free(b);
		return err;
	}
	index_names(b);
	*out = b;
	return 0;
}

void btf_free(struct btf *b)
{
	if (!b)
		return;
	free(b->mem);
	free(b->types);
	free(b->heads);
	free(b->chain);
	free(b->res_ids);
	free(b->res_sizes);
	free(b);
}
