/* SPDX-License-Identifier: Apache-2.0 */
/* val.c - values by BTF (val.h). classify() decides a type's form once; text and JSON follow it.
 * BTF was checked by whoever loaded it (libbpf or BTF_LOAD); sizes come from it, data is at least that long. */
#include "tool/val.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <endian.h>
#include <inttypes.h>
#include <string.h>

#define MAX_NEST 32

enum form {
	F_NONE, F_INT, F_UINT, F_BOOL, F_CHAR, F_BE, F_ENUM, F_IP4, F_IP6, F_MAC, F_STR, F_PTR, F_FLOAT, F_HEX,
	F_STRUCT, F_UNION, F_ARRAY, F_SECTION,
};

struct shape {
	enum form form;
	u32 type;			/* without modifiers; F_ENUM: the enum */
	u32 size;			/* bytes */
};

static const char *name_of(const struct btf *btf, const struct btf_type *t)
{
	const char *s = btf__name_by_offset(btf, t->name_off);

	return s ? s : "";
}

/* Forms that a type's name decides. */
static const struct {
	const char *name;
	u32 kind, size;
	enum form form;
} named[] = {
	{ "__be16",   BTF_KIND_TYPEDEF, 2,  F_BE },
	{ "__be64",   BTF_KIND_TYPEDEF, 8,  F_BE },
	{ "__be32",   BTF_KIND_TYPEDEF, 4,  F_IP4 },
	{ "in_addr",  BTF_KIND_STRUCT,  4,  F_IP4 },
	{ "in6_addr", BTF_KIND_STRUCT,  16, F_IP6 },
};

static enum form by_name(const struct btf *btf, const struct btf_type *t, u32 size)
{
	const char *name = name_of(btf, t);

	for (u32 i = 0; i < ARRAY_SIZE(named); i++)
		if (btf_kind(t) == named[i].kind && size == named[i].size && !strcmp(name, named[i].name))
			return named[i].form;
	return F_NONE;
}

static enum form int_form(const struct btf_type *t)
{
	u32 enc = btf_int_encoding(t);

	if (t->size > 8)
		return F_HEX;
	return enc & BTF_INT_BOOL ? F_BOOL : enc & BTF_INT_CHAR ? F_CHAR : enc & BTF_INT_SIGNED ? F_INT : F_UINT;
}

static enum form array_form(const struct btf *btf, const struct btf_type *t)
{
	s32 elem = btf__resolve_type(btf, btf_array(t)->type);
	const struct btf_type *e = elem < 0 ? NULL : btf__type_by_id(btf, (u32)elem);
	const char *name;

	if (!e || !btf_is_int(e) || e->size != 1)
		return F_ARRAY;
	name = name_of(btf, e);
	if (btf_array(t)->nelems == 6 && !strcmp(name, "unsigned char"))
		return F_MAC;
	return !strcmp(name, "char") ? F_STR : F_ARRAY;
}

static enum form kind_form(const struct btf *btf, const struct btf_type *t)
{
	switch (btf_kind(t)) {
	case BTF_KIND_INT:	return int_form(t);
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:	return F_ENUM;
	case BTF_KIND_PTR:	return F_PTR;
	case BTF_KIND_FLOAT:	return F_FLOAT;
	case BTF_KIND_STRUCT:	return F_STRUCT;
	case BTF_KIND_UNION:	return F_UNION;
	case BTF_KIND_ARRAY:	return array_form(btf, t);
	case BTF_KIND_DATASEC:	return F_SECTION;
	default:		return F_NONE;
	}
}

static bool is_mod(const struct btf_type *t)
{
	return btf_is_mod(t) || btf_is_typedef(t);
}

static struct shape classify(const struct btf *btf, u32 id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);
	s64 size = btf__resolve_size(btf, id);
	struct shape s = { .size = size < 0 ? 0 : (u32)size, .type = id };
	s32 names = 0;

	for (int i = 0; t && is_mod(t) && i < MAX_NEST; i++) {
		if (!s.form)
			s.form = by_name(btf, t, s.size);
		if (btf_is_typedef(t) && names <= 0)
			names = btf__find_by_name_kind(btf, name_of(btf, t), BTF_KIND_ENUM);
		s.type = t->type;
		t = btf__type_by_id(btf, t->type);
	}
	if (!t || s.form)
		return s;
	s.form = by_name(btf, t, s.size);
	if (!s.form)
		s.form = kind_form(btf, t);
	if (names > 0 && btf_is_int(t)) {
		s.form = F_ENUM;
		s.type = (u32)names;
	}
	return s;
}

/* ---- leaves ---- */
static void add_leaf(const struct shape *s, u32 id, const char *name, u32 off, u32 bits, struct val_leaf *l)
{
	snprintf(l->name, sizeof(l->name), "%s", name);
	l->type = id;
	l->off = off;
	l->bits = bits;
	l->sum = (s->form == F_INT || s->form == F_UINT) && !bits;
	l->text = s->form == F_STR;
	l->number = s->form == F_INT || s->form == F_UINT || s->form == F_BE || s->form == F_FLOAT;
}

static u32 members(const struct btf *btf, const struct btf_type *t, const char *prefix, u32 base, u32 depth,
		   struct val_leaf *out, u32 max)
{
	u32 n = 0;

	for (u32 i = 0; i < btf_vlen(t) && n < max; i++) {
		const struct btf_member *m = btf_members(t) + i;
		const char *own = btf__name_by_offset(btf, m->name_off);
		struct shape s = classify(btf, m->type);
		u32 off = base + btf_member_bit_offset(t, i), bits = btf_member_bitfield_size(t, i);
		char name[64];

		snprintf(name, sizeof(name), "%.30s%s%.30s", prefix, *prefix && own && *own ? "." : "", own ? own : "");
		if (s.form == F_STRUCT && depth < MAX_NEST)
			n += members(btf, btf__type_by_id(btf, s.type), name, off, depth + 1, out + n, max - n);
		else
			add_leaf(&s, m->type, name, off, bits, &out[n++]);
	}
	return n;
}

/* A section's variables (.bss, .data). */
static u32 variables(const struct btf *btf, const struct btf_type *t, struct val_leaf *out, u32 max)
{
	const struct btf_var_secinfo *v = btf_var_secinfos(t);
	u32 n = 0;

	for (u32 i = 0; i < btf_vlen(t) && n < max; i++) {
		const struct btf_type *var = btf__type_by_id(btf, v[i].type);
		struct shape s;

		if (!var || !btf_is_var(var))
			continue;
		s = classify(btf, var->type);
		add_leaf(&s, var->type, name_of(btf, var), v[i].offset * 8, 0, &out[n++]);
	}
	return n;
}

u32 val_leaves(const struct btf *btf, u32 type, const char *whole, struct val_leaf *out, u32 max)
{
	struct shape s = classify(btf, type);
	const struct btf_type *t = btf__type_by_id(btf, s.type);

	if (s.form == F_STRUCT)
		return members(btf, t, "", 0, 0, out, max);
	if (s.form == F_SECTION)
		return variables(btf, t, out, max);
	if (!max)
		return 0;
	add_leaf(&s, type, s.form == F_ENUM && *name_of(btf, t) ? name_of(btf, t) : whole, 0, 0, out);
	return 1;
}

/* ---- scalars ---- */
static u64 load_bits(const u8 *data, u32 off, u32 bits)
{
	u64 v = 0;

	for (u32 i = 0; i < bits && i < 64; i++)
		v |= (u64)((data[(off + i) / 8] >> ((off + i) % 8)) & 1) << i;
	return v;
}

static u64 load_int(const u8 *data, u32 off, u32 bits, u32 size)
{
	u64 v = 0;

	if (bits || off % 8)
		return load_bits(data, off, bits ? bits : size * 8);
	memcpy(&v, data + off / 8, MIN(size, 8u));
	return v;
}

static u64 extend(u64 v, u32 bits)
{
	return bits >= 64 ? v : (u64)((s64)(v << (64 - bits)) >> (64 - bits));
}

static u64 from_be(u64 v, u32 size)
{
	return size == 2 ? be16toh((u16)v) : size == 4 ? be32toh((u32)v) : be64toh(v);
}

/* The enumerator's name, or NULL. */
static const char *enum_name(const struct btf *btf, u32 id, u64 v)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	for (u32 i = 0; t && i < btf_vlen(t); i++) {
		if (btf_is_enum(t) && (u32)btf_enum(t)[i].val == (u32)v)
			return btf__name_by_offset(btf, btf_enum(t)[i].name_off);
		if (btf_is_enum64(t) && btf_enum64_value(&btf_enum64(t)[i]) == v)
			return btf__name_by_offset(btf, btf_enum64(t)[i].name_off);
	}
	return NULL;
}

static void put_addr(struct sbuf *out, const u8 *p, bool v6)
{
	static const u8 mapped[12] = { [10] = 0xff, [11] = 0xff };
	char b[INET6_ADDRSTRLEN];

	if (v6 && !memcmp(p, mapped, sizeof(mapped))) {
		v6 = false;
		p += sizeof(mapped);
	}
	sbuf_puts(out, inet_ntop(v6 ? AF_INET6 : AF_INET, p, b, sizeof(b)));
}

/* Control characters that texts hold; what else is not printable makes a text bytes. */
static const char escaped[] = "\n\t\r\033", escapes[] = "ntre";

static u32 text_len(const u8 *p, u32 n)
{
	return (u32)strnlen((const char *)p, n);
}

static bool is_text(const u8 *p, u32 n)
{
	u32 len = text_len(p, n);

	for (u32 i = 0; i < len; i++)
		if (!isprint(p[i]) && p[i] < 0x80 && !strchr(escaped, p[i]))
			return false;
	return true;
}

static void put_bytes(struct sbuf *out, const u8 *p, u32 n)
{
	sbuf_puts(out, "0x");
	for (u32 k = 0; k < n; k++)
		sbuf_printf(out, "%02x", p[k]);
}

static void put_str(struct sbuf *out, const u8 *p, u32 n)
{
	u32 len = text_len(p, n), from = 0;

	if (!is_text(p, n)) {
		put_bytes(out, p, n);
		return;
	}
	for (u32 i = 0; i < len; i++) {
		const char *e = strchr(escaped, p[i]);

		if (!e)
			continue;
		sbuf_printf(out, "%.*s\\%c", (int)(i - from), (const char *)p + from, escapes[e - escaped]);
		from = i + 1;
	}
	sbuf_printf(out, "%.*s", (int)(len - from), (const char *)p + from);
}

static void put_hex(struct sbuf *out, const u8 *p, u32 n)
{
	sbuf_puts(out, "0x");
	for (u32 i = n; i > 0; i--)
		sbuf_printf(out, "%02x", p[i - 1]);
}

static double load_float(const u8 *p, u32 size)
{
	float f = 0;
	double d = 0;

	if (size == 4)
		memcpy(&f, p, 4);
	else if (size == 8)
		memcpy(&d, p, 8);
	return size == 4 ? (double)f : d;
}

static void put(const struct btf *btf, u32 id, const u8 *data, u32 off, u32 bits, u32 depth, struct sbuf *out);

static void put_members(const struct btf *btf, const struct shape *s, const u8 *data, u32 off, u32 depth,
			struct sbuf *out)
{
	const struct btf_type *t = btf__type_by_id(btf, s->type);

	sbuf_puts(out, "{");
	for (u32 i = 0; i < btf_vlen(t); i++) {
		const char *name = btf__name_by_offset(btf, btf_members(t)[i].name_off);

		sbuf_printf(out, "%s%s%s", i ? "," : "", name ? name : "", name && *name ? "=" : "");
		put(btf, btf_members(t)[i].type, data, off + btf_member_bit_offset(t, i),
		    btf_member_bitfield_size(t, i), depth + 1, out);
	}
	sbuf_puts(out, "}");
}

static void put_array(const struct btf *btf, const struct shape *s, const u8 *data, u32 off, u32 depth,
		      struct sbuf *out)
{
	const struct btf_array *a = btf_array(btf__type_by_id(btf, s->type));
	s64 size = btf__resolve_size(btf, a->type);

	sbuf_puts(out, "[");
	for (u32 i = 0; i < a->nelems && size > 0; i++) {
		sbuf_puts(out, i ? "," : "");
		put(btf, a->type, data, off + i * (u32)size * 8, 0, depth + 1, out);
	}
	sbuf_puts(out, "]");
}

static void put_scalar(const struct btf *btf, const struct shape *s, u64 v, u32 bits, struct sbuf *out)
{
	const char *name = s->form == F_ENUM ? enum_name(btf, s->type, v) : NULL;

	switch (s->form) {
	case F_BOOL:	sbuf_puts(out, v ? "true" : "false"); break;
	case F_CHAR:
	case F_INT:	sbuf_printf(out, "%" PRId64, (s64)extend(v, bits ? bits : s->size * 8)); break;
	case F_BE:	sbuf_printf(out, "%" PRIu64, from_be(v, s->size)); break;
	case F_PTR:	sbuf_printf(out, "0x%" PRIx64, v); break;
	case F_ENUM:
		if (name)
			sbuf_puts(out, name);
		else
			sbuf_printf(out, "%" PRIu64, v);
		break;
	default:	sbuf_printf(out, "%" PRIu64, v);
	}
}

static void put(const struct btf *btf, u32 id, const u8 *data, u32 off, u32 bits, u32 depth, struct sbuf *out)
{
	struct shape s = classify(btf, id);
	const u8 *p = data + off / 8;

	if (depth > MAX_NEST)
		return;
	switch (s.form) {
	case F_STRUCT:
	case F_UNION:	put_members(btf, &s, data, off, depth, out); break;
	case F_ARRAY:	put_array(btf, &s, data, off, depth, out); break;
	case F_IP4:	put_addr(out, p, false); break;
	case F_IP6:	put_addr(out, p, true); break;
	case F_MAC:
		sbuf_printf(out, "%02x:%02x:%02x:%02x:%02x:%02x", p[0], p[1], p[2], p[3], p[4], p[5]);
		break;
	case F_STR:	put_str(out, p, s.size); break;
	case F_HEX:	put_hex(out, p, s.size); break;
	case F_FLOAT:	sbuf_printf(out, "%g", load_float(p, s.size)); break;
	case F_NONE:	sbuf_puts(out, "?"); break;
	default:	put_scalar(btf, &s, load_int(data, off, bits, s.size), bits, out);
	}
}

void val_text(const struct btf *btf, const struct val_leaf *l, const void *data, struct sbuf *out)
{
	put(btf, l->type, data, l->off, l->bits, 0, out);
}

u64 val_int(const struct btf *btf, const struct val_leaf *l, const void *data, bool *neg)
{
	struct shape s = classify(btf, l->type);
	u64 v = load_int(data, l->off, l->bits, MIN(s.size, 8u));

	*neg = s.form == F_INT;
	return *neg ? extend(v, l->bits ? l->bits : s.size * 8) : v;
}

s64 val_enum(const struct btf *btf, u32 type, const char *text)
{
	struct shape s = classify(btf, type);
	const struct btf_type *t = s.form == F_ENUM ? btf__type_by_id(btf, s.type) : NULL;

	for (u32 i = 0; t && btf_is_enum(t) && i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, btf_enum(t)[i].name_off), text))
			return (u32)btf_enum(t)[i].val;
	return -1;
}

void val_add(const struct btf *btf, const struct val_leaf *l, u32 n, void *to, const void *from)
{
	for (u32 i = 0; i < n; i++) {
		s64 size = btf__resolve_size(btf, l[i].type);
		u32 at = l[i].off / 8;
		u64 a = 0, b = 0;

		if (!l[i].sum || size <= 0 || size > 8)
			continue;
		memcpy(&a, (u8 *)to + at, (size_t)size);
		memcpy(&b, (const u8 *)from + at, (size_t)size);
		a += b;
		memcpy((u8 *)to + at, &a, (size_t)size);
	}
}

/* ---- JSON ---- */
static void json_val(struct json *j, const char *key, const struct btf *btf, u32 id, const u8 *data, u32 off,
		     u32 bits, u32 depth, bool nice);

static void json_members(struct json *j, const struct btf *btf, const struct shape *s, const u8 *data, u32 off,
			 u32 depth, bool nice)
{
	const struct btf_type *t = btf__type_by_id(btf, s->type);

	for (u32 i = 0; i < btf_vlen(t); i++) {
		const char *name = btf__name_by_offset(btf, btf_members(t)[i].name_off);

		json_val(j, name && *name ? name : "(anon)", btf, btf_members(t)[i].type, data,
			 off + btf_member_bit_offset(t, i), btf_member_bitfield_size(t, i), depth + 1, nice);
	}
}

static void json_struct(struct json *j, const char *key, const struct btf *btf, const struct shape *s,
			const u8 *data, u32 off, u32 depth, bool nice)
{
	json_obj(j, key);
	json_members(j, btf, s, data, off, depth, nice);
	json_end(j, '}');
}

static void json_array(struct json *j, const char *key, const struct btf *btf, const struct shape *s,
		       const u8 *data, u32 off, u32 depth, bool nice)
{
	const struct btf_array *a = btf_array(btf__type_by_id(btf, s->type));
	s64 size = btf__resolve_size(btf, a->type);

	json_arr(j, key);
	for (u32 i = 0; i < a->nelems && size > 0; i++)
		json_val(j, NULL, btf, a->type, data, off + i * (u32)size * 8, 0, depth + 1, nice);
	json_end(j, ']');
}

/* bpftool: {".bss":[{"name":value},...]}; nice: {"name":value,...} */
static void json_section(struct json *j, const char *key, const struct btf *btf, const struct shape *s,
			 const u8 *data, u32 depth, bool nice)
{
	const struct btf_type *t = btf__type_by_id(btf, s->type);
	struct val_leaf l[256];
	u32 n = variables(btf, t, l, ARRAY_SIZE(l));

	json_obj(j, key);
	if (!nice)
		json_arr(j, name_of(btf, t));
	for (u32 i = 0; i < n; i++) {
		if (!nice)
			json_obj(j, NULL);
		json_val(j, l[i].name, btf, l[i].type, data, l[i].off, 0, depth + 1, nice);
		if (!nice)
			json_end(j, '}');
	}
	if (!nice)
		json_end(j, ']');
	json_end(j, '}');
}

/* bpftool knows neither addresses nor byte order: for it these are what they are made of. */
static void plain(const struct btf *btf, u32 id, struct shape *s)
{
	const struct btf_type *t;
	s32 r;

	if (s->form != F_BE && s->form != F_IP4 && s->form != F_IP6 && s->form != F_MAC && s->form != F_ENUM)
		return;
	r = btf__resolve_type(btf, id);
	t = r < 0 ? NULL : btf__type_by_id(btf, (u32)r);
	if (!t)
		return;
	s->type = (u32)r;
	s->form = s->form == F_MAC ? F_ARRAY : kind_form(btf, t);
}

static void json_text(struct json *j, const char *key, const struct btf *btf, u32 id, const u8 *data, u32 off,
		      u32 bits)
{
	struct sbuf b = {};

	put(btf, id, data, off, bits, 0, &b);
	json_str(j, key, b.len ? b.s : "");
	sbuf_free(&b);
}

/* JSON has its own escapes. */
static void json_chars(struct json *j, const char *key, const u8 *p, u32 n)
{
	struct sbuf b = {};

	if (is_text(p, n))
		sbuf_printf(&b, "%.*s", (int)text_len(p, n), (const char *)p);
	else
		put_bytes(&b, p, n);
	json_str(j, key, b.len ? b.s : "");
	sbuf_free(&b);
}

static void json_scalar(struct json *j, const char *key, const struct btf *btf, const struct shape *s, u64 v,
			u32 bits)
{
	const char *name = s->form == F_ENUM ? enum_name(btf, s->type, v) : NULL;

	if (s->form == F_BOOL)
		json_bool(j, key, v != 0);
	else if (s->form == F_INT || s->form == F_CHAR)
		json_s64(j, key, (s64)extend(v, bits ? bits : s->size * 8));
	else if (s->form == F_BE)
		json_u64(j, key, from_be(v, s->size));
	else if (name)
		json_str(j, key, name);
	else
		json_u64(j, key, v);
}

static void json_val(struct json *j, const char *key, const struct btf *btf, u32 id, const u8 *data, u32 off,
		     u32 bits, u32 depth, bool nice)
{
	struct shape s = classify(btf, id);

	if (!nice)
		plain(btf, id, &s);
	if (depth > MAX_NEST) {
		json_str(j, key, NULL);
		return;
	}
	switch (s.form) {
	case F_STRUCT:
	case F_UNION:	json_struct(j, key, btf, &s, data, off, depth, nice); break;
	case F_ARRAY:	json_array(j, key, btf, &s, data, off, depth, nice); break;
	case F_SECTION:	json_section(j, key, btf, &s, data, depth, nice); break;
	case F_FLOAT:	json_double(j, key, load_float(data + off / 8, s.size)); break;
	case F_STR:	json_chars(j, key, data + off / 8, s.size); break;
	case F_IP4: case F_IP6: case F_MAC: case F_HEX: case F_PTR:
		json_text(j, key, btf, id, data, off, bits);
		break;
	case F_NONE:	json_str(j, key, NULL); break;
	default:	json_scalar(j, key, btf, &s, load_int(data, off, bits, s.size), bits);
	}
}

void val_json(struct json *j, const char *key, const struct btf *btf, u32 type, const void *data, bool nice)
{
	json_val(j, key, btf, type, data, 0, 0, 0, nice);
}

void val_members_json(struct json *j, const struct btf *btf, u32 type, const void *data)
{
	struct shape s = classify(btf, type);

	if (s.form == F_STRUCT)
		json_members(j, btf, &s, data, 0, 0, true);
}
