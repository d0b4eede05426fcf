/* SPDX-License-Identifier: Apache-2.0 */
/* spec.c - the tables of spec.h, made from the .def files, and look-ups in them. Constant data, no state. */
#include <errno.h>
#include <string.h>

#include "spec/ctx.h"
#include "spec/spec.h"

#define FULL		{ SPEC_FULL, NULL }
#define PARTIAL(s)	{ SPEC_PARTIAL, s }
#define STUB		{ SPEC_STUB, NULL }

/* ---- program types ---- */
#define RET		SPEC_PROG_RET
#define PKT		SPEC_PROG_PKT
#define PKT_WRITE	SPEC_PROG_PKT_WRITE
#define LD_ABS		SPEC_PROG_LD_ABS
#define TEST_RUN	SPEC_PROG_TEST_RUN
#define SLEEPABLE	SPEC_PROG_SLEEPABLE
#define NET_ADMIN	SPEC_PROG_NET_ADMIN
#define PERFMON		SPEC_PROG_PERFMON
#define UNPRIV		SPEC_PROG_UNPRIV
#define ATTACH		SPEC_PROG_ATTACH
#define PROG(t, n, c, kind, csize, fl, rmin, rmax, on, status)				\
	[BPF_PROG_TYPE_##t] = { .type = BPF_PROG_TYPE_##t, .name = #n, .ctx = c,	\
		.ctx_kind = CTX_##kind, .ctx_size = csize, .flags = fl,			\
		.ret = { rmin, rmax }, .runs_on = on, .st = status },
const struct spec_prog spec_progs[] = {
#include "spec/progs.def"
};
const u32 spec_nr_progs = ARRAY_SIZE(spec_progs);
#undef RET
#undef PKT
#undef PKT_WRITE
#undef LD_ABS
#undef TEST_RUN
#undef SLEEPABLE
#undef NET_ADMIN
#undef PERFMON
#undef UNPRIV
#undef ATTACH

/* ---- attach types ---- */
#define RET(lo, hi)	.ret_rule = ATTACH_RET_OWN, .ret = { lo, hi }
#define NORET		.ret_rule = ATTACH_RET_FREE
#define DEFAULT		.is_default = true
#define ATTACH(t, n, p, status, ...)							\
	[BPF_##t] = { .type = BPF_##t, .name = #n, .progs = p, .st = status, __VA_ARGS__ },
const struct spec_attach spec_attaches[] = {
#include "spec/attach.def"
};
const u32 spec_nr_attaches = ARRAY_SIZE(spec_attaches);
#undef RET
#undef NORET
#undef DEFAULT

/* ---- map types ---- */
#define M(op)	op = SPEC_MAP_##op
#define C(f)	f = BPF_F_##f
#define V(f)	f = SPEC_FIELD_##f
enum {
	M(LOOKUP), M(UPDATE), M(DELETE), M(NEXT), M(BATCH), M(LOOKUP_DELETE), M(MMAP), M(PERCPU), M(FD_VALUE),
	M(INNER), M(DIRECT_VALUE), M(NO_KEY), M(OF_MAPS), M(ITER),
	C(NO_PREALLOC), C(NO_COMMON_LRU), C(NUMA_NODE), C(RDONLY), C(WRONLY), C(STACK_BUILD_ID), C(ZERO_SEED),
	C(RDONLY_PROG), C(WRONLY_PROG), C(CLONE), C(MMAPABLE), C(PRESERVE_ELEMS), C(INNER_MAP),
	C(SEGV_ON_FAULT), C(NO_USER_CONV),
	V(SPIN_LOCK), V(TIMER), V(WQ), V(KPTR), V(LIST), V(RBTREE), V(REFCOUNT), V(RES_LOCK), V(TASK_WORK), V(UPTR),
};
#define MAP(t, n, op, cf, fl, status)							\
	[BPF_MAP_TYPE_##t] = { .type = BPF_MAP_TYPE_##t, .name = #n, .ops = op,		\
		.create_flags = cf, .fields = fl, .st = status },
const struct spec_map spec_maps[] = {
#include "spec/maps.def"
};
const u32 spec_nr_maps = ARRAY_SIZE(spec_maps);

#define MAX_TAKES	8
#define H(h)		BPF_FUNC_##h,
#define TAKES(t, helpers)	[BPF_MAP_TYPE_##t] = { helpers },
static const u8 takes[][MAX_TAKES] = {
#include "spec/maps.def"
	[ARRAY_SIZE(spec_maps) - 1] = { 0 },
};

#define KSTRUCT(t, n)	[BPF_MAP_TYPE_##t] = #n,
static const char *const kernel_structs[] = {
#include "spec/maps.def"
	[ARRAY_SIZE(spec_maps)] = NULL,
};

/* ---- commands ---- */
#define CMD(c, n, last, status)								\
	[BPF_##c] = { .cmd = BPF_##c, .name = #n,					\
		.attr_size = offsetofend(union skep_attr, last), .st = status },
const struct spec_cmd spec_cmds[] = {
#include "spec/cmds.def"
};
const u32 spec_nr_cmds = ARRAY_SIZE(spec_cmds);

/* ---- kfuncs ---- */
#define F(f)	f = SPEC_KF_##f
enum {
	F(ACQUIRE), F(RELEASE), F(RET_NULL), F(TRUSTED_ARGS), F(SLEEPABLE), F(RCU), F(ITER_NEW), F(ITER_NEXT), F(ITER_DESTROY),
	F(RCU_PROTECTED), F(FASTCALL), F(IN_LOCK), F(ARENA_RET), F(ARENA_ARG1), F(ARENA_ARG2),
};
#define FIXUP(f)	.fixup = #f
#define KFUNC(n, p, fl, status, ...)	{ .name = #n, .progs = p, .flags = fl, .st = status, __VA_ARGS__ },
const struct spec_kfunc spec_kfuncs[] = {
#include "spec/kfuncs.def"
};
const u32 spec_nr_kfuncs = ARRAY_SIZE(spec_kfuncs);

/* ---- context fields ---- */
#define IN(s, m)	.in_off = offsetof(struct skep_##s, m), .in_size = sizeof_field(struct skep_##s, m)
#define NOIN		.in_size = 0
#define NARROW		SPEC_CF_NARROW
#define ARRAY		SPEC_CF_ARRAY
#define WIDE		SPEC_CF_WIDE
#define ANYSIZE		SPEC_CF_ANYSIZE
#define FIRST		SPEC_CF_FIRST
#define AS_U32		SPEC_CF_AS_U32
#define MIN2		SPEC_CF_MIN2
#define ARRAY8		SPEC_CF_ARRAY8
#define DIRECT		SPEC_CF_DIRECT
#define ONLY(r, w)	.read_attach = r, .write_attach = w
#define CTX(c, f, o, sz, w, fl, r, wr, in, status, ...)					\
	{ .ctx = #c, .name = #f, .off = o, .size = sz, .what = CF_##w, .flags = fl,	\
	  .readers = r, .writers = wr, in, .st = status, __VA_ARGS__ },
const struct spec_ctx_field spec_ctx_fields[] = {
#include "spec/ctx.def"
};
const u32 spec_nr_ctx_fields = ARRAY_SIZE(spec_ctx_fields);
#undef ARRAY
#undef NARROW
#undef WIDE
#undef ANYSIZE
#undef FIRST
#undef AS_U32
#undef MIN2
#undef ARRAY8
#undef DIRECT

/* ---- look-ups ---- */
const char *spec_state_name(enum spec_state s)
{
	static const char *const names[] = { "stub", "partial", "full" };

	return names[s];
}

const struct spec_prog *spec_prog(u32 type)
{
	return type && type < spec_nr_progs && spec_progs[type].name ? &spec_progs[type] : NULL;
}

const struct spec_map *spec_map(u32 type)
{
	return type && type < spec_nr_maps && spec_maps[type].name ? &spec_maps[type] : NULL;
}

const struct spec_attach *spec_attach(u32 type)
{
	return type < spec_nr_attaches ? &spec_attaches[type] : NULL;
}

const struct spec_cmd *spec_cmd(u32 cmd)
{
	return cmd < spec_nr_cmds ? &spec_cmds[cmd] : NULL;
}

const char *spec_map_struct(u32 map_type)
{
	return spec_map(map_type) ? kernel_structs[map_type] : NULL;
}

bool spec_map_takes_helper(u32 map_type, s32 helper)
{
	if (!spec_map(map_type) || helper <= 0)
		return false;
	for (u32 i = 0; i < MAX_TAKES; i++)
		if (takes[map_type][i] == helper)
			return true;
	return false;
}

s32 spec_kfunc_find(const char *name)
{
	u32 lo = 0, hi = spec_nr_kfuncs;

	while (lo < hi) {		/* kfuncs.def is sorted: a test sees to it */
		u32 mid = (lo + hi) / 2;
		int c = strcmp(name, spec_kfuncs[mid].name);

		if (!c)
			return (s32)mid;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return -ENOENT;
}

s64 spec_attach_at_load(u32 prog_type, u32 attach_type)
{
	const struct spec_prog *p = spec_prog(prog_type);
	bool any = false;

	if (!p)
		return -EINVAL;
	if (!(p->flags & SPEC_PROG_ATTACH))
		return attach_type;
	for (u32 a = 0; a < spec_nr_attaches; a++) {
		if (!(spec_attaches[a].progs & BIT64(prog_type)))
			continue;
		if (a == attach_type || (!attach_type && spec_attaches[a].is_default))
			return a;
		any = true;
	}
	return any || attach_type ? -EINVAL : 0;
}

bool spec_ret_range(u32 prog_type, u32 attach_type, s64 *min, s64 *max)
{
	const struct spec_prog *p = spec_prog(prog_type);
	const struct spec_attach *a = spec_attach(attach_type);

	if (!p)
		return false;
	if (a && (a->progs & BIT64(prog_type)) && a->ret_rule != ATTACH_RET_OF_PROG) {
		*min = a->ret.min;
		*max = a->ret.max;
		return a->ret_rule == ATTACH_RET_OWN;
	}
	*min = p->ret.min;
	*max = p->ret.max;
	return p->flags & SPEC_PROG_RET;
}

/* Is [off, off+size), size a power of two, off a multiple of it, an access that the field's flags allow? */
static bool fits(const struct spec_ctx_field *f, u32 off, u32 size, bool write)
{
	u32 elem = f->flags & SPEC_CF_ARRAY ? 4 : f->flags & SPEC_CF_ARRAY8 ? 8 : f->size;
	u32 rel = off - f->off;

	if (f->flags & SPEC_CF_ANYSIZE)
		return rel + size <= f->size;
	if (size == elem && rel % elem == 0)
		return true;
	if ((f->flags & SPEC_CF_WIDE) && size == 2 * elem && rel + size <= f->size)
		return true;
	if (write)
		return false;
	if ((f->flags & SPEC_CF_AS_U32) && size == 4 && !rel)
		return true;
	if ((f->flags & SPEC_CF_FIRST) && rel)
		return false;
	if ((f->flags & SPEC_CF_MIN2) && size < 2)
		return false;
	return (f->flags & SPEC_CF_NARROW) && size <= elem;
}

static const struct spec_ctx_field *find(const char *ctx, u64 who, u64 attach, s32 off, u32 size, bool write)
{
	if (off < 0 || (size != 1 && size != 2 && size != 4 && size != 8) || (u32)off % size)
		return NULL;
	for (u32 i = 0; i < spec_nr_ctx_fields; i++) {
		const struct spec_ctx_field *f = &spec_ctx_fields[i];
		u64 only = write ? f->write_attach : f->read_attach;

		if ((u32)off < f->off || (u32)off >= (u32)f->off + f->size)
			continue;
		if (!((write ? f->writers : f->readers) & who) || (only && !(only & attach)))
			continue;
		if (strcmp(f->ctx, ctx) || !fits(f, (u32)off, size, write))
			continue;
		return f;
	}
	return NULL;
}

const struct spec_ctx_field *spec_ctx_access(u32 prog_type, u32 attach_type, s32 off, u32 size, bool write)
{
	const struct spec_prog *p = spec_prog(prog_type);

	if (!p || attach_type >= 64)
		return NULL;
	return find(*p->ctx ? p->ctx : p->name, BIT64(prog_type), BIT64(attach_type), off, size, write);
}

const struct spec_ctx_field *spec_mem_access(u64 who, s32 off, u32 size, bool write)
{
	return find(who == SPEC_P_FLOW_KEYS ? "bpf_flow_keys" : "bpf_sock", who, 0, off, size, write);
}
