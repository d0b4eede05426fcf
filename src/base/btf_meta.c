/* SPDX-License-Identifier: Apache-2.0 */
/* btf_meta.c - BTF: what can be said of a type by itself: that it is all there, and that its flags, names, ids and offsets are
 * possible. Driven by btf_kinds[] and rules[]. Every check's text is the kernel's. */
#include <errno.h>

#include "base/btf_priv.h"

#define INFO_MASK	0x9f00ffffu
#define INT_MASK	0x0fffffffu

const struct btf_kind btf_kinds[BTF_NR_KINDS] = {
	[BTF_KIND_UNKN]		= { "UNKNOWN",    BK_NOSIZE },		/* void */
	[BTF_KIND_INT]		= { "INT",        BK_SIZED },
	[BTF_KIND_PTR]		= { "PTR",        BK_RESOLVE },
	[BTF_KIND_ARRAY]	= { "ARRAY",      BK_RESOLVE },
	[BTF_KIND_STRUCT]	= { "STRUCT",     BK_SIZED | BK_RESOLVE | BK_COMPOSITE | BK_TAGGABLE },
	[BTF_KIND_UNION]	= { "UNION",      BK_SIZED | BK_RESOLVE | BK_COMPOSITE | BK_TAGGABLE },
	[BTF_KIND_ENUM]		= { "ENUM",       BK_SIZED },
	[BTF_KIND_FWD]		= { "FWD",        BK_NOSIZE },
	[BTF_KIND_TYPEDEF]	= { "TYPEDEF",    BK_MOD | BK_RESOLVE | BK_TAGGABLE },
	[BTF_KIND_VOLATILE]	= { "VOLATILE",   BK_MOD | BK_RESOLVE },
	[BTF_KIND_CONST]	= { "CONST",      BK_MOD | BK_RESOLVE },
	[BTF_KIND_RESTRICT]	= { "RESTRICT",   BK_MOD | BK_RESOLVE },
	[BTF_KIND_FUNC]		= { "FUNC",       BK_NOSIZE | BK_RESOLVE | BK_TAGGABLE },
	[BTF_KIND_FUNC_PROTO]	= { "FUNC_PROTO", BK_NOSIZE },
	[BTF_KIND_VAR]		= { "VAR",        BK_RESOLVE | BK_SOURCE | BK_TAGGABLE },
	[BTF_KIND_DATASEC]	= { "DATASEC",    BK_SIZED | BK_RESOLVE | BK_SOURCE },
	[BTF_KIND_FLOAT]	= { "FLOAT",      BK_SIZED },
	[BTF_KIND_DECL_TAG]	= { "DECL_TAG",   BK_NOSIZE | BK_RESOLVE | BK_SOURCE },
	[BTF_KIND_TYPE_TAG_]	= { "TYPE_TAG",   BK_MOD | BK_RESOLVE },
	[BTF_KIND_ENUM64_]	= { "ENUM64",     BK_SIZED },
};

static u32 vlen(const struct btf_type *t)
{
	return BTF_INFO_VLEN(t->info);
}

/* ---- log lines ---------------------------------------------------------------------------------------------- */

static const char *encoding_name(u32 enc)
{
	switch (enc) {
	case 0:
		return "(none)";
	case BTF_INT_SIGNED:
		return "SIGNED";
	case BTF_INT_CHAR:
		return "CHAR";
	case BTF_INT_BOOL:
		return "BOOL";
	default:
		return "UNKN";
	}
}

static void log_params(struct btf_env *e, const struct btf_type *t)
{
	const struct btf_param *p = (const void *)(t + 1);

	btf_log(e, "return=%u args=(", t->type);
	if (!vlen(t))
		btf_log(e, "void");
	for (u32 i = 0; i < vlen(t); i++) {
		/* Type 0 stands for "..." in the last place; elsewhere it is an error that comes later. */
		if (i == vlen(t) - 1 && !p[i].type)
			btf_log(e, "%svararg", i ? ", " : "");
		else
			btf_log(e, "%s%u %s", i ? ", " : "", p[i].type, btf_log_name(e->b, p[i].name_off));
	}
	btf_log(e, ")");
}

static void log_details(struct btf_env *e, const struct btf_type *t)
{
	const struct btf_array *a = (const void *)(t + 1);
	u32 d;

	switch (btf_kind(t)) {
	case BTF_KIND_INT:
		d = btf_int_data(t);
		btf_log(e, "size=%u bits_offset=%u nr_bits=%u encoding=%s", t->size, BTF_INT_OFFSET(d), BTF_INT_BITS(d),
			encoding_name(BTF_INT_ENCODING(d)));
		break;
	case BTF_KIND_ARRAY:
		btf_log(e, "type_id=%u index_type_id=%u nr_elems=%u", a->type, a->index_type, a->nelems);
		break;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64_:
	case BTF_KIND_DATASEC:
		btf_log(e, "size=%u vlen=%u", t->size, vlen(t));
		break;
	case BTF_KIND_FWD:
		btf_log(e, "%s", BTF_INFO_KFLAG(t->info) ? "union" : "struct");
		break;
	case BTF_KIND_FUNC_PROTO:
		log_params(e, t);
		break;
	case BTF_KIND_VAR:
		btf_log(e, "type_id=%u linkage=%u", t->type, ((const struct btf_var *)(t + 1))->linkage);
		break;
	case BTF_KIND_FLOAT:
		btf_log(e, "size=%u", t->size);
		break;
	case BTF_KIND_DECL_TAG:
		btf_log(e, "type=%u component_idx=%d", t->type, ((const struct btf_decl_tag *)(t + 1))->component_idx);
		break;
	default:
		btf_log(e, "type_id=%u", t->type);
	}
}

static void log_tail(struct btf_env *e, const char *fmt, va_list ap)
{
	if (fmt && *fmt) {
		btf_log(e, " ");
		sbuf_vprintf(e->log, fmt, ap);
	}
	btf_log(e, "\n");
}

static void log_head(struct btf_env *e, const struct btf_type *t, bool details)
{
	btf_log(e, "[%u] %s %s%s", e->log_id, btf_kinds[btf_kind(t)].name, btf_log_name(e->b, t->name_off),
		details ? " " : "");
	if (details)
		log_details(e, t);
}

#define LOG_BODY(head)			\
	va_list ap;			\
	if (!e->log)			\
		return -EINVAL;		\
	head;				\
	va_start(ap, fmt);		\
	log_tail(e, fmt, ap);		\
	va_end(ap);			\
	return -EINVAL

int btf_log_type(struct btf_env *e, const struct btf_type *t, const char *fmt, ...)
{
	LOG_BODY(log_head(e, t, true));
}

int btf_log_basic(struct btf_env *e, const struct btf_type *t, const char *fmt, ...)
{
	LOG_BODY(log_head(e, t, false));
}

static void log_member_head(struct btf_env *e, const struct btf_type *s, const struct btf_member *m)
{
	const char *name = btf_log_name(e->b, m->name_off);

	if (e->resolving)
		btf_log_type(e, s, NULL);
	if (BTF_INFO_KFLAG(s->info))
		btf_log(e, "\t%s type_id=%u bitfield_size=%u bits_offset=%u", name, m->type,
			BTF_MEMBER_BITFIELD_SIZE(m->offset), BTF_MEMBER_BIT_OFFSET(m->offset));
	else
		btf_log(e, "\t%s type_id=%u bits_offset=%u", name, m->type, m->offset);
}

int btf_log_member(struct btf_env *e, const struct btf_type *s, const struct btf_member *m, const char *fmt, ...)
{
	LOG_BODY(log_member_head(e, s, m));
}

static void log_var_head(struct btf_env *e, const struct btf_type *sec, const struct btf_var_secinfo *v)
{
	if (e->resolving)
		btf_log_type(e, sec, NULL);
	btf_log(e, "\t type_id=%u offset=%u size=%u", v->type, v->offset, v->size);
}

int btf_log_var(struct btf_env *e, const struct btf_type *sec, const struct btf_var_secinfo *v, const char *fmt, ...)
{
	LOG_BODY(log_var_head(e, sec, v));
}

/* ---- parts of the rules: 0, or -EINVAL after logging --------------------------------------------------------- */

static int need(struct btf_env *e, const struct btf_type *t, u32 left, u32 bytes)
{
	return left >= bytes ? 0 : btf_log_basic(e, t, "meta_left:%u meta_needed:%u", left, bytes);
}

static int no_vlen(struct btf_env *e, const struct btf_type *t)
{
	return vlen(t) ? btf_log_type(e, t, "vlen != 0") : 0;
}

static int no_kflag(struct btf_env *e, const struct btf_type *t)
{
	return BTF_INFO_KFLAG(t->info) ? btf_log_type(e, t, "Invalid btf_info kind_flag") : 0;
}

static int no_name(struct btf_env *e, const struct btf_type *t)
{
	return t->name_off ? btf_log_type(e, t, "Invalid name") : 0;
}

static int named(struct btf_env *e, const struct btf_type *t)
{
	return t->name_off && btf_ident_ok(e->b, t->name_off) ? 0 : btf_log_type(e, t, "Invalid name");
}

static int maybe_named(struct btf_env *e, const struct btf_type *t)
{
	return t->name_off ? named(e, t) : 0;
}

static bool id_ok(u32 id)
{
	return id <= BTF_MAX_TYPE_ID;
}

bool btf_int_is_regular(const struct btf_type *t)
{
	u32 d = btf_int_data(t), bits = BTF_INT_BITS(d);

	return !BTF_INT_OFFSET(d) && (bits == 8 || bits == 16 || bits == 32 || bits == 64 || bits == 128);
}

/* ---- one function per kind or group of kinds: 0 or -errno ---------------------------------------------------- */

static int meta_int(struct btf_env *e, const struct btf_type *t)
{
	u32 d = btf_int_data(t), enc = BTF_INT_ENCODING(d), bits = BTF_INT_BITS(d) + BTF_INT_OFFSET(d);

	if (no_vlen(e, t) || no_kflag(e, t))
		return -EINVAL;
	if (d & ~INT_MASK)
		return btf_log_basic(e, t, "Invalid int_data:%x", d);
	if (bits > 128)
		return btf_log_type(e, t, "nr_bits exceeds 128");
	if ((bits + 7) / 8 > t->size)
		return btf_log_type(e, t, "nr_bits exceeds type_size");
	if (enc && enc != BTF_INT_SIGNED && enc != BTF_INT_CHAR && enc != BTF_INT_BOOL) {
		btf_log_type(e, t, "Unsupported encoding");
		return -ENOTSUPP_;
	}
	btf_log_type(e, t, NULL);
	return 0;
}

static int meta_ref(struct btf_env *e, const struct btf_type *t)
{
	u32 kind = btf_kind(t);
	int err;

	if (no_vlen(e, t) || (kind != BTF_KIND_TYPE_TAG_ && no_kflag(e, t)))
		return -EINVAL;
	if (!id_ok(t->type))
		return btf_log_type(e, t, "Invalid type_id");
	if (kind == BTF_KIND_TYPEDEF)
		err = named(e, t);
	else if (kind == BTF_KIND_TYPE_TAG_)
		err = *btf_str(e->b, t->name_off) ? 0 : btf_log_type(e, t, "Invalid name");
	else
		err = no_name(e, t);
	if (!err)
		btf_log_type(e, t, NULL);
	return err;
}

static int meta_fwd(struct btf_env *e, const struct btf_type *t)
{
	if (no_vlen(e, t))
		return -EINVAL;
	if (t->type)
		return btf_log_type(e, t, "type != 0");
	if (named(e, t))
		return -EINVAL;
	btf_log_type(e, t, NULL);
	return 0;
}

static int meta_array(struct btf_env *e, const struct btf_type *t)
{
	const struct btf_array *a = (const void *)(t + 1);

	if (no_name(e, t) || no_vlen(e, t) || no_kflag(e, t))
		return -EINVAL;
	if (t->size)
		return btf_log_type(e, t, "size != 0");
	if (!a->type || !id_ok(a->type))
		return btf_log_type(e, t, "Invalid elem");
	if (!a->index_type || !id_ok(a->index_type))
		return btf_log_type(e, t, "Invalid index");
	btf_log_type(e, t, NULL);
	return 0;
}

static int meta_member(struct btf_env *e, const struct btf_type *t, const struct btf_member *m, u32 last)
{
	u32 off = btf_bit_offset(t, m);

	if (!btf_str_ok(e->b, m->name_off))
		return btf_log_member(e, t, m, "Invalid member name_offset:%u", m->name_off);
	if (m->name_off && !btf_ident_ok(e->b, m->name_off))
		return btf_log_member(e, t, m, "Invalid name");
	if (!m->type || !id_ok(m->type))
		return btf_log_member(e, t, m, "Invalid type_id");
	if ((btf_kind(t) == BTF_KIND_UNION && off) || off < last)
		return btf_log_member(e, t, m, "Invalid member bits_offset");
	if (off / 8 + !!(off % 8) > t->size)
		return btf_log_member(e, t, m, "Member bits_offset exceeds its struct size");
	btf_log_member(e, t, m, NULL);
	return 0;
}

static int meta_struct(struct btf_env *e, const struct btf_type *t)
{
	const struct btf_member *m = (const void *)(t + 1);
	u32 last = 0;
	int err = maybe_named(e, t);

	if (err)
		return err;
	btf_log_type(e, t, NULL);
	for (u32 i = 0; i < vlen(t) && !err; i++) {
		err = meta_member(e, t, &m[i], last);
		last = btf_bit_offset(t, &m[i]);
	}
	return err;
}

static int meta_enumerator(struct btf_env *e, const struct btf_type *t, u32 name)
{
	if (!btf_str_ok(e->b, name)) {
		btf_log(e, "\tInvalid name_offset:%u", name);
		return -EINVAL;
	}
	return name && btf_ident_ok(e->b, name) ? 0 : btf_log_type(e, t, "Invalid name");
}

static int meta_enum(struct btf_env *e, const struct btf_type *t)
{
	bool sgn = BTF_INFO_KFLAG(t->info), wide = btf_kind(t) == BTF_KIND_ENUM64_;
	const u32 *p = (const void *)(t + 1);		/* name, value (or its low and high half) */
	int err;

	if (t->size > 8 || !t->size || (t->size & (t->size - 1)))
		return btf_log_type(e, t, "Unexpected size");
	err = maybe_named(e, t);
	if (err)
		return err;
	btf_log_type(e, t, NULL);
	for (u32 i = 0; i < vlen(t) && !err; i++, p += wide ? 3 : 2) {
		err = meta_enumerator(e, t, p[0]);
		if (err)
			return err;
		btf_log(e, "\t%s val=", btf_log_name(e->b, p[0]));
		if (wide)
			btf_log(e, sgn ? "%lld\n" : "%llu\n", (unsigned long long)p[2] << 32 | p[1]);
		else
			btf_log(e, sgn ? "%d\n" : "%u\n", p[1]);
	}
	return err;
}

static int meta_func_proto(struct btf_env *e, const struct btf_type *t)
{
	if (no_name(e, t) || no_kflag(e, t))
		return -EINVAL;
	btf_log_type(e, t, NULL);
	return 0;
}

static int meta_func(struct btf_env *e, const struct btf_type *t)
{
	if (named(e, t))
		return -EINVAL;
	if (vlen(t) > BTF_FUNC_GLOBAL)
		return btf_log_type(e, t, "Invalid func linkage");
	if (no_kflag(e, t))
		return -EINVAL;
	btf_log_type(e, t, NULL);
	return 0;
}

static int meta_var(struct btf_env *e, const struct btf_type *t)
{
	const struct btf_var *v = (const void *)(t + 1);

	if (no_vlen(e, t) || no_kflag(e, t) || named(e, t))
		return -EINVAL;
	if (!t->type || !id_ok(t->type))
		return btf_log_type(e, t, "Invalid type_id");
	if (v->linkage != BTF_VAR_STATIC && v->linkage != BTF_VAR_GLOBAL_ALLOCATED)
		return btf_log_type(e, t, "Linkage not supported");
	btf_log_type(e, t, NULL);
	return 0;
}

static int meta_secvar(struct btf_env *e, const struct btf_type *t, const struct btf_var_secinfo *v, u64 last)
{
	if (!v->type || !id_ok(v->type))
		return btf_log_var(e, t, v, "Invalid type_id");
	if (v->offset < last || v->offset >= t->size)
		return btf_log_var(e, t, v, "Invalid offset");
	if (!v->size || v->size > t->size)
		return btf_log_var(e, t, v, "Invalid size");
	if (v->offset + v->size > t->size)
		return btf_log_var(e, t, v, "Invalid offset+size");
	btf_log_var(e, t, v, NULL);
	return 0;
}

/* Names of sections may hold anything printable. */
static bool section_name_ok(const struct btf *b, u32 off)
{
	const char *s = btf_str(b, off);
	size_t n = strlen(s);

	if (!n || n >= 512)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((u8)s[i] < ' ' || ((u8)s[i] >= 0x7f && (u8)s[i] < 0xa0))	/* Latin-1 */
			return false;
	return true;
}

static int meta_datasec(struct btf_env *e, const struct btf_type *t)
{
	const struct btf_var_secinfo *v = (const void *)(t + 1);
	u64 last = 0, sum = 0;

	if (!t->size)
		return btf_log_type(e, t, "size == 0");
	if (no_kflag(e, t))
		return -EINVAL;
	if (!t->name_off || !section_name_ok(e->b, t->name_off))
		return btf_log_type(e, t, "Invalid name");
	btf_log_type(e, t, NULL);
	for (u32 i = 0; i < vlen(t); i++) {
		int err = meta_secvar(e, t, &v[i], last);

		if (err)
			return err;
		last = (u64)v[i].offset + v[i].size;
		sum += v[i].size;
	}
	return sum > t->size ? btf_log_type(e, t, "Invalid btf_info size") : 0;
}

static int meta_float(struct btf_env *e, const struct btf_type *t)
{
	if (no_vlen(e, t) || no_kflag(e, t))
		return -EINVAL;
	if (t->size != 2 && t->size != 4 && t->size != 8 && t->size != 12 && t->size != 16)
		return btf_log_type(e, t, "Invalid type_size");
	btf_log_type(e, t, NULL);
	return 0;
}

static int meta_decl_tag(struct btf_env *e, const struct btf_type *t)
{
	if (!*btf_str(e->b, t->name_off))
		return btf_log_type(e, t, "Invalid value");
	if (no_vlen(e, t))
		return -EINVAL;
	if (((const struct btf_decl_tag *)(t + 1))->component_idx < -1)
		return btf_log_type(e, t, "Invalid component_idx");
	btf_log_type(e, t, NULL);
	return 0;
}

static const struct rule {
	int (*check)(struct btf_env *e, const struct btf_type *t);
	u8 fixed, per_vlen;		/* bytes behind the type: once, and for each of its vlen elements */
} rules[BTF_NR_KINDS] = {
	[BTF_KIND_INT]		= { meta_int,        4,  0 },
	[BTF_KIND_PTR]		= { meta_ref,        0,  0 },
	[BTF_KIND_ARRAY]	= { meta_array,      12, 0 },
	[BTF_KIND_STRUCT]	= { meta_struct,     0,  12 },
	[BTF_KIND_UNION]	= { meta_struct,     0,  12 },
	[BTF_KIND_ENUM]		= { meta_enum,       0,  8 },
	[BTF_KIND_FWD]		= { meta_fwd,        0,  0 },
	[BTF_KIND_TYPEDEF]	= { meta_ref,        0,  0 },
	[BTF_KIND_VOLATILE]	= { meta_ref,        0,  0 },
	[BTF_KIND_CONST]	= { meta_ref,        0,  0 },
	[BTF_KIND_RESTRICT]	= { meta_ref,        0,  0 },
	[BTF_KIND_FUNC]		= { meta_func,       0,  0 },
	[BTF_KIND_FUNC_PROTO]	= { meta_func_proto, 0,  8 },
	[BTF_KIND_VAR]		= { meta_var,        4,  0 },
	[BTF_KIND_DATASEC]	= { meta_datasec,    0,  12 },
	[BTF_KIND_FLOAT]	= { meta_float,      0,  0 },
	[BTF_KIND_DECL_TAG]	= { meta_decl_tag,   4,  0 },
	[BTF_KIND_TYPE_TAG_]	= { meta_ref,        0,  0 },
	[BTF_KIND_ENUM64_]	= { meta_enum,       0,  12 },
};

static int bad(struct btf_env *e, const char *what, u32 v, bool hex)
{
	btf_log(e, hex ? "[%u] Invalid %s:%x" : "[%u] Invalid %s:%u", e->log_id, what, v);
	return -EINVAL;
}

s64 btf_check_meta(struct btf_env *e, const struct btf_type *t, u32 left)
{
	const struct rule *r;
	u32 more;
	int err;

	if (left < sizeof(*t)) {
		btf_log(e, "[%u] meta_left:%u meta_needed:%zu", e->log_id, left, sizeof(*t));
		return -EINVAL;
	}
	if (t->info & ~INFO_MASK)
		return bad(e, "btf_info", t->info, true);
	if (btf_kind(t) >= BTF_NR_KINDS || btf_kind(t) == BTF_KIND_UNKN)
		return bad(e, "kind", btf_kind(t), false);
	if (!btf_str_ok(e->b, t->name_off))
		return bad(e, "name_offset", t->name_off, false);
	r = &rules[btf_kind(t)];
	more = r->fixed + r->per_vlen * vlen(t);
	err = need(e, t, left - (u32)sizeof(*t), more);
	if (!err)
		err = r->check(e, t);
	return err ? err : (s64)(sizeof(*t) + more);
}
