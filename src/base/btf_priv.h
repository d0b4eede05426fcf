/* SPDX-License-Identifier: Apache-2.0 */
/* btf_priv.h - what the BTF checks share. btf.c: container, header, strings, lookups. btf_meta.c: each type by itself.
 * btf_resolve.c: the graph of types. */
#ifndef SKEP_BASE_BTF_PRIV_H
#define SKEP_BASE_BTF_PRIV_H

#include <string.h>

#include "base/btf.h"

#define BTF_KIND_TYPE_TAG_	18		/* values newer than the build machine's header may have */
#define BTF_KIND_ENUM64_	19
#define BTF_NR_KINDS		20
#define BTF_MAX_TYPE_ID		0x000fffffu
#define BTF_MAX_NAME_OFF	0x00ffffffu
#define BTF_SIZE_MAX		(16u << 20)
#define BTF_DEPTH_MAX		32
#define ENOTSUPP_		524		/* kernel-internal errno that bpf(2) lets out */

/* Properties of kinds: btf_kinds[]. */
#define BK_SIZED	BIT(0)		/* t->size is its size */
#define BK_MOD		BIT(1)		/* refers to t->type and has that one's size */
#define BK_RESOLVE	BIT(2)		/* refers to other types */
#define BK_SOURCE	BIT(3)		/* may refer, may not be referred to by other types (but datasec to var) */
#define BK_NOSIZE	BIT(4)
#define BK_COMPOSITE	BIT(5)		/* struct, union */
#define BK_TAGGABLE	BIT(6)		/* decl_tag may point to it */

struct btf_kind {
	const char *name;
	u32 props;
};
extern const struct btf_kind btf_kinds[BTF_NR_KINDS];

struct btf_vertex {			/* one type on the way of resolution */
	const struct btf_type *t;
	u32 id;
	u32 next;			/* member to go on with */
};

enum btf_sink { SINK_ANY, SINK_FOR_PTR, SINK_FOR_AGGREGATE };

struct btf_env {
	struct btf *b;
	struct sbuf *log;
	u32 log_id;
	bool resolving;			/* second phase: log lines of members repeat their struct */
	enum btf_sink sink;
	u8 *visit;			/* enum in btf_resolve.c, per own type */
	struct btf_vertex stack[BTF_DEPTH_MAX];
	u32 depth;
};

static inline u32 btf_kind(const struct btf_type *t)
{
	return BTF_INFO_KIND(t->info);
}

static inline u32 btf_props(const struct btf_type *t)
{
	return btf_kinds[btf_kind(t)].props;
}

static inline u32 btf_bit_offset(const struct btf_type *s, const struct btf_member *m)
{
	return BTF_INFO_KFLAG(s->info) ? BTF_MEMBER_BIT_OFFSET(m->offset) : m->offset;
}

static inline u32 btf_int_data(const struct btf_type *t)
{
	return *(const u32 *)(t + 1);
}

bool btf_int_is_regular(const struct btf_type *t);
const char *btf_log_name(const struct btf *b, u32 off);
bool btf_str_ok(const struct btf *b, u32 off);		/* the offset lies in a string section */
bool btf_ident_ok(const struct btf *b, u32 off);	/* an identifier; the offset is ok */

void btf_log(struct btf_env *e, const char *fmt, ...) __printf(2, 3);
/* "[7] STRUCT name details FMT\n"; FMT NULL: none. Returns -EINVAL, so that a check can be one line. */
int btf_log_type(struct btf_env *e, const struct btf_type *t, const char *fmt, ...) __printf(3, 4);
int btf_log_basic(struct btf_env *e, const struct btf_type *t, const char *fmt, ...) __printf(3, 4);
int btf_log_member(struct btf_env *e, const struct btf_type *s, const struct btf_member *m, const char *fmt, ...)
	__printf(4, 5);
int btf_log_var(struct btf_env *e, const struct btf_type *sec, const struct btf_var_secinfo *v, const char *fmt, ...)
	__printf(4, 5);

/* Bytes of the type at T (with what follows it), or -errno. LEFT: bytes to the end of the section. */
s64 btf_check_meta(struct btf_env *e, const struct btf_type *t, u32 left);
int btf_check_graph(struct btf_env *e);

#endif
