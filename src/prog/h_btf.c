/* SPDX-License-Identifier: Apache-2.0 */
/* h_btf.c - bpf_snprintf_btf(): memory as text, by its type in the vmlinux BTF. The text is the kernel's, also where that is
 * an accident of how the kernel walks (names inside of arrays of arrays, enumerators of 0), so the state that its walk
 * keeps is kept here: see struct show. One difference: pointers are not hashed, as in fmt.c.
 *
 * Zeroes are left out unless BTF_F_ZERO is given: whether an aggregate holds anything else is found out by a dry walk in
 * front of the real one. Memory is read value by value, through fault.h. Async-signal-safe; recursion is as deep as types nest. */
#include <linux/bpf.h>

#include "base/btf.h"
#include "base/fault.h"
#include "prog/helper.h"
#include "spec/vmlinux.h"

#define NAME_ROOM	80u		/* the kernel cuts "(type)" there */
#define NAME_HOPS	10u		/* typedefs, pointers, arrays that it follows for a name */
#define INDENT_MAX	32u
#define FLAGS		(BTF_F_COMPACT | BTF_F_NONAME | BTF_F_PTR_RAW | BTF_F_ZERO)
#define ENUM64_		19u
#define TYPE_TAG_	18u

struct show {
	const struct btf *btf;
	char *buf;
	u32 room;			/* of buf, 0 once something did not fit */
	u64 len;			/* of all text */
	u32 flags, depth;
	const struct btf_member *member;	/* being shown; NULL at the top and in arrays */
	bool in_array;			/* no names: set by each element, cleared behind it, whatever is around */
	bool chars, ended;		/* an array of characters; its NUL was met */
	bool in_union;			/* what is being shown is a union and nothing inside of it was */
	bool dry, some;			/* only to learn whether there is anything to show */
	int err;
};

static void put(struct show *s, const char *text, size_t n)
{
	if (s->dry)
		return;
	s->len += n;
	if (!s->room)
		return;
	memcpy(s->buf, text, MIN(n, (size_t)s->room - 1));
	s->buf[MIN(n, (size_t)s->room - 1)] = 0;
	s->buf += n;
	s->room = n < s->room ? s->room - (u32)n : 0;
}

static void put_str(struct show *s, const char *text)
{
	put(s, text, strlen(text));
}

static bool read_mem(struct show *s, void *to, const void *from, size_t n)
{
	s->err = 0;
	if (!fault_copy_from(to, from, n))
		return true;
	s->err = probe_error((u64)(uintptr_t)from);
	return false;
}

/* ---- names ---- */

struct name {
	char s[NAME_ROOM];
	u32 n;
};

static void add(struct name *o, const char *text)
{
	while (*text && o->n < NAME_ROOM - 1)
		o->s[o->n++] = *text++;
	o->s[o->n] = 0;
}

static u32 kind_of(const struct btf_type *t)
{
	return BTF_INFO_KIND(t->info);
}

static const struct btf_type *skip_qualifiers(const struct btf *b, u32 id)
{
	const struct btf_type *t = btf_type(b, id);

	while (t && BIT64(kind_of(t)) & (BIT64(BTF_KIND_CONST) | BIT64(BTF_KIND_VOLATILE) | BIT64(BTF_KIND_RESTRICT) | BIT64(TYPE_TAG_)))
		t = btf_type(b, t->type);
	return t;
}

static const struct btf_array *array_of(const struct btf_type *t)
{
	return (const void *)(t + 1);
}

/* What the chain of typedefs, pointers and arrays from ID on comes to. */
struct chain {
	const struct btf_type *end;
	const char *alias;		/* first typedef */
	u32 stars, brackets;
};

static bool follow(const struct btf *b, u32 id, struct chain *c)
{
	const struct btf_type *t = btf_type(b, id);

	for (u32 i = 0; t && i < NAME_HOPS; i++) {
		switch (kind_of(t)) {
		case BTF_KIND_TYPEDEF:
			c->alias = c->alias ? c->alias : btf_str(b, t->name_off);
			id = t->type;
			break;
		case BTF_KIND_ARRAY:
			c->brackets++;
			id = array_of(t)->type;
			break;
		case BTF_KIND_PTR:
			c->stars++;
			id = t->type;
			break;
		default:
			id = 0;
		}
		c->end = t;
		if (!id)
			return true;
		t = skip_qualifiers(b, id);
	}
	return false;
}

static const char *prefix_of(u32 kind)
{
	switch (kind) {
	case BTF_KIND_STRUCT:
		return "struct";
	case BTF_KIND_UNION:
		return "union";
	case BTF_KIND_ENUM:
	case ENUM64_:
		return "enum";
	}
	return "";
}

/* ".member = (struct type *[])[": in front of what has type ID. */
static void put_name(struct show *s, u32 id)
{
	const char *member = s->member ? btf_str(s->btf, s->member->name_off) : "", *prefix, *parens = "", *type;
	struct chain c = { 0 };
	struct name o = { .n = 0 };

	if (s->in_array || s->dry || !follow(s->btf, s->member ? s->member->type : id, &c))
		return;
	prefix = c.alias ? "" : prefix_of(kind_of(c.end));
	type = c.alias ? c.alias : btf_str(s->btf, c.end->name_off);
	if (!c.stars)
		parens = c.brackets ? "[" :
			 BIT64(kind_of(c.end)) & (BIT64(BTF_KIND_STRUCT) | BIT64(BTF_KIND_UNION)) ? "{" : "";
	if (s->flags & BTF_F_NONAME) {
		put_str(s, parens);
		return;
	}
	if (*member) {
		add(&o, ".");
		add(&o, member);
		add(&o, " = ");
	}
	add(&o, "(");
	add(&o, prefix);
	add(&o, *prefix && *type ? " " : "");
	add(&o, type);
	add(&o, c.stars ? " " : "");
	while (c.stars--)
		add(&o, "*");
	while (c.brackets--)
		add(&o, "[]");
	add(&o, ")");
	add(&o, parens);
	put(s, o.s, o.n);
}

/* ---- lines ---- */

static void put_indent(struct show *s)
{
	static const char blanks[INDENT_MAX + 1] = "                                ";

	if (!(s->flags & BTF_F_COMPACT))
		put(s, blanks, MIN(s->depth, INDENT_MAX));
}

static void put_end(struct show *s)
{
	if (s->depth)
		put_str(s, s->in_union && s->flags & BTF_F_COMPACT ? "|" : ",");
	if (!(s->flags & BTF_F_COMPACT))
		put_str(s, "\n");
}

/* A value as TEXT, left out if it is ZERO. */
static void put_value(struct show *s, u32 id, const char *text, bool zero)
{
	if (zero && s->depth && !(s->flags & BTF_F_ZERO))
		return;
	s->some = true;
	put_indent(s);
	put_name(s, id);
	put_str(s, text);
	put_end(s);
}

static char *digits(char *end, u64 v, u32 base, u32 width)
{
	char *d = end;

	*d = 0;
	while (v || width) {
		/* cppcheck-suppress zerodivcond ; base is 10 or 16 */
		*--d = "0123456789abcdef"[v % base];
		v /= base;
		width -= width > 0;
	}
	return d;
}

static void put_dec(struct show *s, u32 id, u64 v, bool is_signed)
{
	bool neg = is_signed && (s64)v < 0;
	char b[24], *d = digits(b + sizeof(b) - 1, neg ? 0 - v : v, 10, 1);

	if (neg)
		*--d = '-';
	put_value(s, id, d, !v);
}

static void put_hex(struct show *s, u32 id, u64 hi, u64 lo, u32 width)
{
	char b[40], *d = b + sizeof(b) - 1;

	d = digits(d, lo, 16, hi ? 16 : width);
	if (hi) {
		char t[20], *h = digits(t + sizeof(t) - 1, hi, 16, 1);
		size_t n = (size_t)(t + sizeof(t) - 1 - h);

		d -= n;
		memcpy(d, h, n);
	}
	*--d = 'x';
	*--d = '0';
	put_value(s, id, d, !hi && !lo);
}

/* ---- leaves ---- */

static u32 int_data(const struct btf_type *t)
{
	return *(const u32 *)(t + 1);
}

/* NR bits from bit OFF of DATA on. */
static void show_bits(struct show *s, u32 id, const u8 *data, u32 off, u32 nr)
{
	u64 v[2] = { 0 };
	u32 bytes = (off + nr + 7) / 8;
	unsigned __int128 all;

	if (off + nr > 128 || !read_mem(s, v, data, bytes))
		return;
	all = (unsigned __int128)v[1] << 64 | v[0];
	all = nr ? all << (128 - nr - off) >> (128 - nr) : 0;
	put_hex(s, id, (u64)(all >> 64), (u64)all, 1);
}

static void show_char(struct show *s, u32 id, u8 c, bool is_signed)
{
	char text[4] = { '\'', (char)c, '\'', 0 };

	if (s->ended)
		return;
	if (!c)
		s->ended = true;
	else if ((c >= 32 && c < 127) || c >= 160)		/* Linux's isprint() is Latin-1's */
		put_value(s, id, text, false);
	else
		put_dec(s, id, is_signed ? (u64)(s64)(s8)c : c, is_signed);
}

static void show_int(struct show *s, const struct btf_type *t, u32 id, const u8 *data, u32 off)
{
	u32 nr = BTF_INT_BITS(int_data(t)), shift = BTF_INT_OFFSET(int_data(t)) + off, unused = 64 - nr;
	bool is_signed = BTF_INT_ENCODING(int_data(t)) & BTF_INT_SIGNED;
	u64 v[2] = { 0 };

	if (shift || nr % 8 || !(BIT64(nr / 8) & (BIT64(1) | BIT64(2) | BIT64(4) | BIT64(8) | BIT64(16)))) {
		show_bits(s, id, data + shift / 8, shift % 8, nr);
		return;
	}
	if (!read_mem(s, v, data, nr / 8))
		return;
	if (nr == 128)
		put_hex(s, id, v[1], v[0], 1);
	else if (nr == 8 && s->chars)
		show_char(s, id, (u8)v[0], is_signed);
	else
		put_dec(s, id, is_signed ? (u64)((s64)(v[0] << unused) >> unused) : v[0], is_signed);
}

static void show_ptr(struct show *s, u32 id, const u8 *data)
{
	u64 v;

	if (read_mem(s, &v, data, sizeof(v)))
		put_hex(s, id, 0, v, 16);
}

static void show_enum(struct show *s, const struct btf_type *t, u32 id, const u8 *data)
{
	const struct btf_enum *e = (const void *)(t + 1);
	bool is_signed = BTF_INFO_KFLAG(t->info);
	s32 v;

	if (!read_mem(s, &v, data, sizeof(v)))
		return;
	for (u32 i = 0; i < BTF_INFO_VLEN(t->info); i++)
		if (e[i].val == v) {
			put_value(s, id, btf_str(s->btf, e[i].name_off), false);
			return;
		}
	put_dec(s, id, is_signed ? (u64)(s64)v : (u32)v, is_signed);
}

static void show_enum64(struct show *s, const struct btf_type *t, u32 id, const u8 *data)
{
	const u32 *e = (const void *)(t + 1);		/* name, low, high */
	u64 v;

	if (!read_mem(s, &v, data, sizeof(v)))
		return;
	for (u32 i = 0; i < BTF_INFO_VLEN(t->info); i++, e += 3)
		if (((u64)e[2] << 32 | e[1]) == v) {
			put_value(s, id, btf_str(s->btf, e[0]), false);
			return;
		}
	put_dec(s, id, v, BTF_INFO_KFLAG(t->info));
}

static void show_other(struct show *s, const struct btf_type *t)
{
	char b[24], *d = digits(b + sizeof(b) - 1, kind_of(t), 10, 1);

	put_str(s, "<unsupported kind:");
	put_str(s, d);
	put_str(s, ">");
}

/* ---- aggregates ---- */

static void show(struct show *s, const struct btf_type *t, u32 id, const u8 *data, u32 off);

static void open(struct show *s, u32 id)
{
	put_indent(s);
	put_name(s, id);
	if (!(s->flags & BTF_F_COMPACT))
		put_str(s, "\n");
	s->depth++;
}

static void close(struct show *s, const char *end)
{
	s->depth--;
	put_indent(s);
	put_str(s, end);
	put_end(s);
	s->in_union = false;
}

static void show_members(struct show *s, const struct btf_type *t, u32 id, const u8 *data)
{
	const struct btf_member *m = (const void *)(t + 1);

	open(s, id);
	s->in_union = kind_of(t) == BTF_KIND_UNION;
	for (u32 i = 0; i < BTF_INFO_VLEN(t->info); i++, m++) {
		bool packed = BTF_INFO_KFLAG(t->info);
		u32 bits = packed ? BTF_MEMBER_BIT_OFFSET(m->offset) : m->offset;
		u32 width = packed ? BTF_MEMBER_BITFIELD_SIZE(m->offset) : 0;

		s->member = m;
		s->in_union = false;
		if (width)
			show_bits(s, m->type, data + bits / 8, bits % 8, width);
		else
			show(s, btf_type(s->btf, m->type), m->type, data + bits / 8, bits % 8);
		s->member = NULL;
	}
	close(s, "}");
}

static void show_elements(struct show *s, const struct btf_type *t, u32 id, const u8 *data, u32 off)
{
	u32 elem_id = array_of(t)->type, real = elem_id;
	const struct btf_type *elem = btf_skip_mods(s->btf, &real);
	bool sized = elem && BIT64(kind_of(elem)) & (BIT64(BTF_KIND_INT) | BIT64(BTF_KIND_STRUCT) | BIT64(BTF_KIND_UNION) |
						     BIT64(BTF_KIND_ENUM) | BIT64(BTF_KIND_FLOAT) | BIT64(ENUM64_) |
						     BIT64(BTF_KIND_DATASEC));
	u32 size = sized ? elem->size : 0;	/* of an array of pointers or arrays: the kernel shows the first one again and again */

	s->chars = elem && kind_of(elem) == BTF_KIND_INT && (size == 1 || BTF_INT_ENCODING(int_data(elem)) == BTF_INT_CHAR);
	s->ended = false;
	open(s, id);
	for (u32 i = 0; elem && i < array_of(t)->nelems && !s->ended; i++) {
		s->in_array = true;
		s->member = NULL;
		show(s, elem, elem_id, data + (u64)i * size, off);
		s->in_array = false;
		s->member = NULL;
	}
	s->chars = s->ended = false;
	close(s, "]");
}

static void show_inside(struct show *s, const struct btf_type *t, u32 id, const u8 *data, u32 off)
{
	s64 size = btf_size(s->btf, id);
	u8 first[32];		/* what the kernel copies before it begins */

	if (!read_mem(s, first, data, size > 0 ? MIN((size_t)size, s->depth ? 1 : sizeof(first)) : 0))
		return;
	if (kind_of(t) == BTF_KIND_ARRAY)
		show_elements(s, t, id, data, off);
	else
		show_members(s, t, id, data);
}

static void show_aggregate(struct show *s, const struct btf_type *t, u32 id, const u8 *data, u32 off)
{
	const struct btf_member *m = s->member;

	if (s->depth && !s->dry && !(s->flags & BTF_F_ZERO)) {
		s->dry = true;
		s->some = false;
		show_inside(s, t, id, data, off);
		s->dry = false;
		s->member = m;
		if (!s->some)
			return;
	}
	show_inside(s, t, id, data, off);
}

/* ID is what it was declared as, T that or what a typedef comes to. */
static void show(struct show *s, const struct btf_type *t, u32 id, const u8 *data, u32 off)
{
	u32 real = id;

	s->in_union = false;
	switch (kind_of(t)) {
	case BTF_KIND_INT:
		show_int(s, t, id, data, off);
		break;
	case BTF_KIND_PTR:
		show_ptr(s, id, data);
		break;
	case BTF_KIND_ENUM:
		show_enum(s, t, id, data);
		break;
	case ENUM64_:
		show_enum64(s, t, id, data);
		break;
	case BTF_KIND_ARRAY:
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		show_aggregate(s, t, id, data, off);
		break;
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_CONST:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_RESTRICT:
	case TYPE_TAG_:
		t = btf_skip_mods(s->btf, &real);
		if (t && real)
			show(s, t, id, data, off);
		else
			put_str(s, "<unsupported kind:0>");
		break;
	default:
		show_other(s, t);
	}
}

HELPER_FN(snprintf_btf)
{
	const struct btf_ptr *p = PTR(r3);
	struct show s = { .btf = &spec_vmlinux, .buf = PTR(r1), .room = (u32)r2, .flags = (u32)r5 };
	u32 id = p->type_id;

	if (r5 & ~(u64)FLAGS || (u32)r4 != sizeof(*p) || !id)
		return ERR(EINVAL);
	if (id >= btf_nr(s.btf))
		return ERR(ENOENT);
	show(&s, btf_type(s.btf, id), id, p->ptr, 0);
	return s.err ? (u64)(s64)s.err : s.len;
}
