/* SPDX-License-Identifier: Apache-2.0 */
/* btf_resolve.c - BTF: the graph of types. References must exist and be of a kind that fits, sizes must be known and fit, and
 * there must be no loop other than through pointers.
 *
 * Resolution is depth first with an explicit stack of 32. A type is pushed when met and popped when all that it refers to is
 * resolved; what it resolves to (modifiers skipped), and the size of an array, is kept in res_ids and res_sizes. Where the walk
 * may stop (a sink) depends on what started it: below a pointer at anything that is neither pointer nor modifier, below a
 * struct or array also at pointers. So a struct may hold a pointer to itself, but not itself. Because of that a modifier below
 * a struct can be resolved while the pointer that it stands for is not: pointers and variables go on from there. */
#include <errno.h>
#include <stdlib.h>

#include "base/btf_priv.h"

enum { NEW, OPEN, DONE };		/* btf_env.visit */

/* ---- questions ---------------------------------------------------------------------------------------------- */

static bool is(const struct btf_type *t, u32 prop)
{
	return btf_props(t) & prop;
}

static bool nosize(const struct btf_type *t)
{
	return !t || is(t, BK_NOSIZE);
}

static bool is_sink(const struct btf_env *e, const struct btf_type *t)
{
	switch (e->sink) {
	case SINK_FOR_PTR:
		return !is(t, BK_MOD) && btf_kind(t) != BTF_KIND_PTR;
	case SINK_FOR_AGGREGATE:
		return !is(t, BK_MOD | BK_COMPOSITE) && btf_kind(t) != BTF_KIND_ARRAY;
	default:
		return !is(t, BK_RESOLVE);
	}
}

static bool resolved(const struct btf_env *e, u32 id)
{
	return id < e->b->start_id || e->visit[id - e->b->start_id] == DONE;
}

static const struct btf *owner(const struct btf *b, u32 id)
{
	while (id < b->start_id)
		b = b->base;
	return b;
}

static u32 res_id(const struct btf *b, u32 id)
{
	b = owner(b, id);
	return b->res_ids[id - b->start_id];
}

static u32 res_size(const struct btf *b, u32 id)
{
	b = owner(b, id);
	return b->res_sizes[id - b->start_id];
}

static const struct btf_type *res_type(const struct btf *b, u32 *id)
{
	*id = res_id(b, *id);
	return btf_type(b, *id);
}

static bool own_size(const struct btf *b, const struct btf_type *t, u32 id, u32 *size)
{
	if (is(t, BK_SIZED))
		*size = t->size;
	else if (btf_kind(t) == BTF_KIND_ARRAY)
		*size = res_size(b, id);
	else if (btf_kind(t) == BTF_KIND_PTR)
		*size = 8;
	else
		return false;
	return true;
}

/* The type with a size that *ID is or stands for (then *ID becomes that), or NULL. */
static const struct btf_type *sized(const struct btf *b, u32 *id, u32 *size)
{
	const struct btf_type *t = btf_type(b, *id);
	u32 i = *id;

	if (nosize(t))
		return NULL;
	if (!own_size(b, t, i, size)) {
		t = res_type(b, &i);
		if (nosize(t) || !own_size(b, t, i, size))
			return NULL;
	}
	*id = i;
	return t;
}

static bool has_size(const struct btf *b, u32 id)
{
	u32 size;

	return sized(b, &id, &size);
}

/* ---- the stack ---------------------------------------------------------------------------------------------- */

static int push(struct btf_env *e, const struct btf_type *t, u32 id)
{
	u32 own = id - e->b->start_id;

	if (e->depth == BTF_DEPTH_MAX)
		return -E2BIG;
	if (id < e->b->start_id || e->visit[own] != NEW)
		return -EEXIST;
	e->visit[own] = OPEN;
	e->stack[e->depth++] = (struct btf_vertex){ t, id, 0 };
	if (e->sink == SINK_ANY && btf_kind(t) == BTF_KIND_PTR)
		e->sink = SINK_FOR_PTR;
	else if (e->sink == SINK_ANY && (is(t, BK_COMPOSITE) || btf_kind(t) == BTF_KIND_ARRAY))
		e->sink = SINK_FOR_AGGREGATE;
	return 0;
}

static int pop(struct btf_env *e, u32 id, u32 size)
{
	u32 own = e->stack[--e->depth].id - e->b->start_id;

	e->b->res_ids[own] = id;
	e->b->res_sizes[own] = size;
	e->visit[own] = DONE;
	return 0;
}

static bool must_push(const struct btf_env *e, const struct btf_type *t, u32 id)
{
	return !is_sink(e, t) && !resolved(e, id);
}

/* ---- members of structs: do they fit? ------------------------------------------------------------------------ */

static int fits(struct btf_env *e, const struct btf_type *s, const struct btf_member *m, u32 off, u32 bytes)
{
	u32 start = off / 8;		/* at most s->size: btf_meta.c */

	return s->size - start < bytes ? btf_log_member(e, s, m, "Member exceeds struct_size") : 0;
}

static int aligned_member(struct btf_env *e, const struct btf_type *s, const struct btf_member *m, u32 bytes)
{
	if (m->offset % 8)
		return btf_log_member(e, s, m, "Member is not byte aligned");
	return fits(e, s, m, m->offset, bytes);
}

static int float_member(struct btf_env *e, const struct btf_type *s, const struct btf_member *m, u32 bytes)
{
	if (m->offset % (MIN(8u, bytes) * 8))
		return btf_log_member(e, s, m, "Member is not properly aligned");
	return (u64)m->offset / 8 + bytes > s->size ? btf_log_member(e, s, m, "Member exceeds struct_size") : 0;
}

static int bits_fit(struct btf_env *e, const struct btf_type *s, const struct btf_member *m, u32 off, u32 bits)
{
	u32 copy = bits + off % 8;

	if (copy > 128)
		return btf_log_member(e, s, m, "nr_copy_bits exceeds 128");
	if (s->size < off / 8 || s->size - off / 8 < (copy + 7) / 8)
		return btf_log_member(e, s, m, "Member exceeds struct_size");
	return 0;
}

static int int_member(struct btf_env *e, const struct btf_type *s, const struct btf_member *m, const struct btf_type *t)
{
	u32 d = btf_int_data(t), off;

	if (__builtin_add_overflow(m->offset, BTF_INT_OFFSET(d), &off))
		return btf_log_member(e, s, m, "bits_offset exceeds U32_MAX");
	return bits_fit(e, s, m, off, BTF_INT_BITS(d));
}

/* kind_flag set: the member has its own bit size and offset. */
static int int_bitfield(struct btf_env *e, const struct btf_type *s, const struct btf_member *m,
			const struct btf_type *t)
{
	u32 bits = BTF_MEMBER_BITFIELD_SIZE(m->offset), off = BTF_MEMBER_BIT_OFFSET(m->offset);
	u32 int_bits = BTF_INT_BITS(btf_int_data(t));

	if (!btf_int_is_regular(t))
		return btf_log_member(e, s, m, "Invalid member base type");
	if (!bits && off % 8)
		return btf_log_member(e, s, m, "Invalid member offset");
	if (bits > int_bits)
		return btf_log_member(e, s, m, "Invalid member bitfield_size");
	return bits_fit(e, s, m, off, bits ? bits : int_bits);
}

static int enum_bitfield(struct btf_env *e, const struct btf_type *s, const struct btf_member *m)
{
	u32 bits = BTF_MEMBER_BITFIELD_SIZE(m->offset), off = BTF_MEMBER_BIT_OFFSET(m->offset);

	if (!bits && off % 8)
		return btf_log_member(e, s, m, "Member is not byte aligned");
	if (bits > 32)
		return btf_log_member(e, s, m, "Invalid member bitfield_size");
	if (s->size < (off + (bits ? bits : 32) + 7) / 8)
		return btf_log_member(e, s, m, "Member exceeds struct_size");
	return 0;
}

static int unsupported(struct btf_env *e, const struct btf_type *s, bool kflag)
{
	return btf_log_basic(e, s, kflag ? "Unsupported check_kflag_member" : "Unsupported check_member");
}

static int check_member(struct btf_env *e, const struct btf_type *s, const struct btf_member *m)
{
	bool kflag = BTF_INFO_KFLAG(s->info);
	const struct btf_type *t = btf_type(e->b, m->type);
	struct btf_member r = *m;
	u32 size = 0;

	if (is(t, BK_MOD)) {
		t = sized(e->b, &r.type, &size);
		if (!t)
			return btf_log_member(e, s, m, "Invalid member");
	} else {
		u32 id = m->type;

		sized(e->b, &id, &size);
	}
	if (btf_kind(t) == BTF_KIND_INT)
		return kflag ? int_bitfield(e, s, &r, t) : int_member(e, s, &r, t);
	if ((btf_kind(t) == BTF_KIND_ENUM || btf_kind(t) == BTF_KIND_ENUM64_) && kflag)
		return enum_bitfield(e, s, &r);
	if (is(t, BK_SOURCE | BK_NOSIZE))
		return unsupported(e, s, kflag);
	if (kflag && BTF_MEMBER_BITFIELD_SIZE(r.offset))
		return btf_log_member(e, s, &r, "Invalid member bitfield_size");
	return btf_kind(t) == BTF_KIND_FLOAT ? float_member(e, s, &r, size) : aligned_member(e, s, &r, size);
}

/* ---- one step of each kind: 0 (popped, or something pushed) or -errno ---------------------------------------- */

static int step_struct(struct btf_env *e, struct btf_vertex *v)
{
	const struct btf_member *m = (const void *)(v->t + 1);
	u32 n = BTF_INFO_VLEN(v->t->info);
	int err = v->next ? check_member(e, v->t, &m[v->next - 1]) : 0;

	for (u32 i = v->next; !err && i < n; i++) {
		const struct btf_type *t = btf_type(e->b, m[i].type);

		if (nosize(t) || is(t, BK_SOURCE))
			return btf_log_member(e, v->t, &m[i], "Invalid member");
		if (must_push(e, t, m[i].type)) {
			v->next = i + 1;
			return push(e, t, m[i].type);
		}
		err = check_member(e, v->t, &m[i]);
	}
	return err ? err : pop(e, 0, 0);
}

static int step_array(struct btf_env *e, struct btf_vertex *v)
{
	const struct btf_array *a = (const void *)(v->t + 1);
	const struct btf_type *t = btf_type(e->b, a->index_type);
	u32 id = a->index_type, size;

	if (nosize(t) || is(t, BK_SOURCE))
		return btf_log_type(e, v->t, "Invalid index");
	if (must_push(e, t, id))
		return push(e, t, id);
	t = sized(e->b, &id, &size);
	if (!t || btf_kind(t) != BTF_KIND_INT || !btf_int_is_regular(t))
		return btf_log_type(e, v->t, "Invalid index");
	id = a->type;
	t = btf_type(e->b, id);
	if (nosize(t) || is(t, BK_SOURCE))
		return btf_log_type(e, v->t, "Invalid elem");
	if (must_push(e, t, id))
		return push(e, t, id);
	t = sized(e->b, &id, &size);
	if (!t)
		return btf_log_type(e, v->t, "Invalid elem");
	if (btf_kind(t) == BTF_KIND_INT && !btf_int_is_regular(t))
		return btf_log_type(e, v->t, "Invalid array of int");
	if (__builtin_mul_overflow(size, a->nelems, &size))
		return btf_log_type(e, v->t, "Array size overflows U32_MAX");
	return pop(e, id, size);
}

/* What t->type stands for when it has no size: void, a forward declaration or a function type may be behind a modifier or a
 * pointer; nothing else. */
static int pop_sizeless(struct btf_env *e, struct btf_vertex *v, const struct btf_type *t, u32 id)
{
	u32 size;

	if (!sized(e->b, &id, &size)) {
		if (resolved(e, id))
			t = res_type(e->b, &id);
		if (!t || (id && btf_kind(t) != BTF_KIND_FWD && btf_kind(t) != BTF_KIND_FUNC_PROTO))
			return btf_log_type(e, v->t, "Invalid type_id");
	}
	return pop(e, id, 0);
}

/* A modifier may have been resolved only up to a pointer that is still to be followed. True: *ID is that pointer. */
static bool pointer_left(struct btf_env *e, const struct btf_type *t, u32 *id)
{
	const struct btf_type *p;
	u32 i = *id;

	if (!is(t, BK_MOD))
		return false;
	p = res_type(e->b, &i);
	if (!p || btf_kind(p) != BTF_KIND_PTR || !must_push(e, p, i))
		return false;
	*id = i;
	return true;
}

static int step_ref(struct btf_env *e, struct btf_vertex *v)
{
	const struct btf_type *t = btf_type(e->b, v->t->type);
	u32 id = v->t->type, kind = btf_kind(v->t);

	if (!t || is(t, BK_SOURCE))
		return btf_log_type(e, v->t, "Invalid type_id");
	if (must_push(e, t, id))
		return push(e, t, id);
	if (kind == BTF_KIND_PTR || kind == BTF_KIND_VAR) {
		u32 ptr = id;

		if (pointer_left(e, t, &ptr))
			return push(e, btf_type(e->b, ptr), ptr);
	}
	if (kind == BTF_KIND_VAR) {
		u32 size;

		return sized(e->b, &id, &size) ? pop(e, id, 0) : btf_log_type(e, v->t, "Invalid type_id");
	}
	return pop_sizeless(e, v, t, id);
}

static int step_func(struct btf_env *e, struct btf_vertex *v)
{
	const struct btf_type *proto = btf_type(e->b, v->t->type);
	const struct btf_param *p;

	if (!proto || btf_kind(proto) != BTF_KIND_FUNC_PROTO)
		return btf_log_type(e, v->t, "Invalid type_id");
	p = (const void *)(proto + 1);
	for (u32 i = 0; i < BTF_INFO_VLEN(proto->info); i++)
		if (!p[i].name_off && p[i].type)
			return btf_log_type(e, v->t, "Invalid arg#%u", i + 1);
	return pop(e, v->t->type, 0);
}

static int step_datasec(struct btf_env *e, struct btf_vertex *v)
{
	const struct btf_var_secinfo *s = (const void *)(v->t + 1);

	e->sink = SINK_ANY;
	for (u32 i = v->next; i < BTF_INFO_VLEN(v->t->info); i++) {
		const struct btf_type *t = btf_type(e->b, s[i].type);
		u32 id, size;

		if (!t || btf_kind(t) != BTF_KIND_VAR)
			return btf_log_var(e, v->t, &s[i], "Not a VAR kind member");
		if (must_push(e, t, s[i].type)) {
			v->next = i + 1;
			return push(e, t, s[i].type);
		}
		id = t->type;
		if (!sized(e->b, &id, &size))
			return btf_log_var(e, v->t, &s[i], "Invalid type");
		if (s[i].size < size)
			return btf_log_var(e, v->t, &s[i], "Invalid size");
	}
	return pop(e, 0, 0);
}

static int step_decl_tag(struct btf_env *e, struct btf_vertex *v)
{
	const struct btf_type *t = btf_type(e->b, v->t->type);
	s32 component = ((const struct btf_decl_tag *)(v->t + 1))->component_idx;

	if (!t || !is(t, BK_TAGGABLE))
		return btf_log_type(e, v->t, "Invalid type_id");
	if (must_push(e, t, v->t->type))
		return push(e, t, v->t->type);
	if (component != -1) {
		if (btf_kind(t) == BTF_KIND_VAR || btf_kind(t) == BTF_KIND_TYPEDEF)
			return btf_log_type(e, v->t, "Invalid component_idx");
		if (btf_kind(t) == BTF_KIND_FUNC)	/* its proto: it is resolved by now */
			t = btf_type(e->b, t->type);
		if ((u32)component >= BTF_INFO_VLEN(t->info))
			return btf_log_type(e, v->t, "Invalid component_idx");
	}
	return pop(e, v->t->type, 0);
}

static int (*const steps[BTF_NR_KINDS])(struct btf_env *e, struct btf_vertex *v) = {
	[BTF_KIND_PTR]       = step_ref,
	[BTF_KIND_ARRAY]     = step_array,
	[BTF_KIND_STRUCT]    = step_struct,
	[BTF_KIND_UNION]     = step_struct,
	[BTF_KIND_TYPEDEF]   = step_ref,
	[BTF_KIND_VOLATILE]  = step_ref,
	[BTF_KIND_CONST]     = step_ref,
	[BTF_KIND_RESTRICT]  = step_ref,
	[BTF_KIND_FUNC]      = step_func,
	[BTF_KIND_VAR]       = step_ref,
	[BTF_KIND_DATASEC]   = step_datasec,
	[BTF_KIND_DECL_TAG]  = step_decl_tag,
	[BTF_KIND_TYPE_TAG_] = step_ref,
};

static int step(struct btf_env *e, struct btf_vertex *v)
{
	int (*f)(struct btf_env *, struct btf_vertex *) = steps[btf_kind(v->t)];

	return f ? f(e, v) : btf_log_basic(e, v->t, "Unsupported resolve");
}

/* What a finished resolution must have left behind. */
static bool valid(const struct btf *b, const struct btf_type *t, u32 id)
{
	const struct btf_type *to;
	u32 size, r;

	if (is(t, BK_COMPOSITE) || btf_kind(t) == BTF_KIND_DATASEC)
		return !res_id(b, id) && !res_size(b, id);
	if (btf_kind(t) == BTF_KIND_DECL_TAG || btf_kind(t) == BTF_KIND_FUNC)
		return res_id(b, id) && !res_size(b, id);
	if (btf_kind(t) == BTF_KIND_ARRAY) {
		const struct btf_array *a = (const void *)(t + 1);

		r = a->type;
		to = sized(b, &r, &size);
		return to && !is(to, BK_MOD) && a->nelems * size == res_size(b, id);
	}
	r = id;
	to = res_type(b, &r);
	return to && !is(to, BK_MOD) && btf_kind(to) != BTF_KIND_VAR && btf_kind(to) != BTF_KIND_DATASEC;
}

static int resolve(struct btf_env *e, const struct btf_type *t, u32 id)
{
	u32 log_id = e->log_id;
	int err;

	e->sink = SINK_ANY;
	err = push(e, t, id);
	while (!err && e->depth) {
		e->log_id = e->stack[e->depth - 1].id;
		err = step(e, &e->stack[e->depth - 1]);
	}
	e->log_id = id;
	if (err == -E2BIG)
		btf_log_type(e, t, "Exceeded max resolving depth:%u", BTF_DEPTH_MAX);
	else if (err == -EEXIST)
		btf_log_type(e, t, "Loop detected");
	if (!err && !(resolved(e, id) && valid(e->b, t, id)))
		err = btf_log_type(e, t, "Invalid resolve state");
	e->log_id = log_id;
	return err;
}

/* ---- function types: may refer to anything with a size, and are not resolved themselves ----------------------- */

static int use(struct btf_env *e, const struct btf_type *proto, u32 id, const char *what, u32 n)
{
	const struct btf_type *t = btf_type(e->b, id);
	int err = 0;

	if (!t || is(t, BK_SOURCE))
		return btf_log_type(e, proto, what, n);
	if (is(t, BK_RESOLVE) && !resolved(e, id))
		err = resolve(e, t, id);
	if (err)
		return err;
	return has_size(e->b, id) ? 0 : btf_log_type(e, proto, what, n);
}

static int check_proto(struct btf_env *e, const struct btf_type *t)
{
	const struct btf_param *p = (const void *)(t + 1);
	u32 n = BTF_INFO_VLEN(t->info);
	int err = t->type ? use(e, t, t->type, "Invalid return type", 0) : 0;

	if (!err && n && !p[n - 1].type) {
		if (p[n - 1].name_off)
			return btf_log_type(e, t, "Invalid arg#%u", n);
		n--;
	}
	for (u32 i = 0; !err && i < n; i++) {
		const struct btf_type *a = btf_type(e->b, p[i].type);
		bool name_ok = !p[i].name_off || (btf_str_ok(e->b, p[i].name_off) && btf_ident_ok(e->b, p[i].name_off));

		if (!a || is(a, BK_SOURCE) || !name_ok)
			return btf_log_type(e, t, "Invalid arg#%u", i + 1);
		err = use(e, t, p[i].type, "Invalid arg#%u", i + 1);
	}
	return err;
}

/* ---- type tags come first in a chain of modifiers; chains are short ------------------------------------------- */

#define CHAIN_MAX	32

static int check_chain(struct btf_env *e, u32 id, u32 good)
{
	const struct btf_type *t = btf_type(e->b, id);
	bool tags = btf_kind(t) == BTF_KIND_TYPE_TAG_;

	for (u32 n = 0; is(t, BK_MOD); n++) {
		if (n == CHAIN_MAX) {
			btf_log(e, "Max chain length or cycle detected");
			return -ELOOP;
		}
		if (btf_kind(t) != BTF_KIND_TYPE_TAG_) {
			tags = false;
		} else if (!tags) {
			btf_log(e, "Type tags don't precede modifiers");
			return -EINVAL;
		}
		if (id <= good)
			break;
		id = t->type;
		t = btf_type(e->b, id);
		if (!t)
			return -EINVAL;
	}
	return 0;
}

static int check_chains(struct btf_env *e)
{
	u32 first = MAX(e->b->start_id, 1u), good = first - 1;
	int err = 0;

	for (u32 id = first; !err && id < btf_nr(e->b); id++) {
		if (!is(btf_type(e->b, id), BK_MOD))
			continue;
		err = check_chain(e, id, good);
		good = id;
	}
	return err;
}

int btf_check_graph(struct btf_env *e)
{
	struct btf *b = e->b;
	int err = 0;

	b->res_ids = calloc(b->nr + 1, sizeof(*b->res_ids));
	b->res_sizes = calloc(b->nr + 1, sizeof(*b->res_sizes));
	e->visit = calloc(b->nr + 1, sizeof(*e->visit));
	if (!b->res_ids || !b->res_sizes || !e->visit)
		return -ENOMEM;
	e->resolving = true;
	for (u32 id = MAX(b->start_id, 1u); !err && id < btf_nr(b); id++) {
		const struct btf_type *t = btf_type(b, id);

		e->log_id = id;
		if (is(t, BK_RESOLVE) && !resolved(e, id))
			err = resolve(e, t, id);
		if (!err && btf_kind(t) == BTF_KIND_FUNC_PROTO)
			err = check_proto(e, t);
	}
	return err ? err : check_chains(e);
}
