/* SPDX-License-Identifier: Apache-2.0 */
/* helper.c - calls of helpers, judged by their row of helpers.def: may this program call it, do the five arguments fit
 * their kinds, what becomes of memory, references and R0. What a row cannot say is a fixup_<name>, named by
 * the row; a name without a function here is rejected as not supported yet. Order and words: Linux 6.18. */
#include <stdio.h>

#include "spec/fmt.h"
#include "verify/kfunc.h"

#define MAX_VAR_SIZE	(1u << 29)

struct vfy_call {			/* what the arguments told */
	const struct spec_helper *h;
	const struct bpf_insn *insn;
	const struct vfy_map *map;
	u32 map_uid;
	const struct spec_field *kptr;	/* kptr_xchg: the field */
	u32 ref_obj_id, release_regno, dynptr_regno;
	bool release_dynptr, changes_pkt, later;
	bool raw;			/* the memory argument is output: its old content does not matter */
	u32 raw_regno;
	int raw_size;
	u32 mem_size, subprog, dynptr_id;
	s64 size_max;			/* upper bound of the size argument */
	s64 const_key;			/* -1: not known */
	bool callback;			/* the fixup pushed a callback */
};

/* ---- which registers fit which argument: in the order of the kernel's message ---- */
static const u32 mem_types[] = { R_STACK, R_PKT, R_PKT_META, R_MAP_KEY, R_MAP_VALUE, R_MEM,
				 R_MEM | RF_RINGBUF, R_BUF, R_BTF_ID | RF_TRUSTED, 0 };
static const u32 map_types[] = { R_CONST_MAP, 0 };
static const u32 ctx_types[] = { R_CTX, 0 };
static const u32 scalar_types[] = { R_SCALAR, 0 };
static const u32 stack_types[] = { R_STACK, 0 };
static const u32 str_types[] = { R_MAP_VALUE, 0 };
static const u32 func_types[] = { R_FUNC, 0 };
static const u32 sock_types[] = { R_SOCK_COMMON, R_SOCKET, R_TCP_SOCK, R_XDP_SOCK, 0 };
static const u32 fullsock_types[] = { R_SOCKET, 0 };
static const u32 ringbuf_types[] = { R_MEM | RF_RINGBUF, 0 };
static const u32 btf_types[] = { R_BTF_ID, R_BTF_ID | RF_TRUSTED, R_BTF_ID | RF_RCU, 0 };
static const u32 btf_sock_types[] = { R_SOCK_COMMON, R_SOCKET, R_TCP_SOCK, R_XDP_SOCK, R_BTF_ID,
				      R_BTF_ID | RF_TRUSTED, 0 };
static const u32 lock_types[] = { R_MAP_VALUE, R_BTF_ID | RF_ALLOC, 0 };
static const u32 timer_types[] = { R_MAP_VALUE, 0 };
static const u32 dynptr_types[] = { R_STACK, R_DYNPTR, 0 };
static const u32 percpu_types[] = { R_BTF_ID | RF_PERCPU, 0 };
static const u32 *const arg_types[] = {
	[ARG_CONST_MAP] = map_types,	   [ARG_MAP_KEY] = mem_types,	[ARG_MAP_VALUE] = mem_types,
	[ARG_MEM] = mem_types,		   [ARG_SIZE] = scalar_types,	[ARG_SIZE_OR_ZERO] = scalar_types,
	[ARG_CTX] = ctx_types,		   [ARG_SPIN_LOCK] = lock_types, [ARG_SOCK_COMMON] = sock_types,
	[ARG_SOCKET] = fullsock_types,	   [ARG_BTF_ID] = btf_types,	[ARG_BTF_ID_SOCK_COMMON] = btf_sock_types,
	[ARG_RINGBUF_MEM] = ringbuf_types, [ARG_ALLOC_SIZE] = scalar_types, [ARG_PERCPU_BTF_ID] = percpu_types,
	[ARG_FUNC] = func_types,	   [ARG_STACK] = stack_types,	[ARG_CONST_STR] = str_types,
	[ARG_TIMER] = timer_types,	   [ARG_KPTR] = timer_types,	[ARG_DYNPTR] = dynptr_types,
	[ARG_ARENA] = NULL,
};

/* Their values are sockets; a lookup takes a reference. */
static bool is_sockmap(const struct vfy_map *m)
{
	return m->type == BPF_MAP_TYPE_SOCKMAP || m->type == BPF_MAP_TYPE_SOCKHASH;
}

/* A pointer to a kernel object where one of type WANT (by name) is asked for. */
static int btf_fits(struct vfy_env *e, struct vfy_call *c, u32 regno, u32 arg, const char *want)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	s32 id = want ? vfy_btf_id(e, want, BTF_KIND_STRUCT) : -ENOENT;
	bool strict = (arg & ARG_OBJ_RELEASE) && ARG_BASE(arg) != ARG_BTF_ID_SOCK_COMMON;

	if ((r->type & RF_MAYBE_NULL) && (!(arg & ARG_MAYBE_NULL) || (arg & ARG_OBJ_RELEASE)))
		return vfy_reject(e, VR_NULL, -EACCES, (int)regno, "Possibly NULL pointer passed to helper arg%u",
				  regno);
	if (c->kptr)
		return vfy_kptr_new(e, regno, c->map, c->kptr);
	if (id < 0)
		return vfy_unsupported(e, (int)regno, c->h->name);
	if (!vfy_btf_ids_match(e, r->btf, r->btf_id, (u32)r->off, e->in->vmlinux, (u32)id, strict))
		return vfy_reject(e, VR_ARG_TYPE, -EACCES, (int)regno, "R%u is of type %s but %s is expected", regno,
				  vfy_btf_name(e, r->btf, r->btf_id), want);
	return 0;
}

static int found(struct vfy_env *e, struct vfy_call *c, u32 regno, u32 arg, const u32 *fit)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];

	if (R_BASE(r->type) != R_BTF_ID)
		return 0;
	if (fit == mem_types)
		return arg & ARG_MEM_RDONLY ? 0 :
			vfy_reject(e, VR_RDONLY, -EACCES, (int)regno, "bpf_%s() may write into memory pointed by R%u "
				   "type=%s", c->h->name, regno, vfy_type_str(e, r->type));
	if (fit == percpu_types || fit == lock_types)
		return 0;
	return btf_fits(e, c, regno, arg, fit == btf_sock_types ? "sock_common" : c->h->btf[regno]);
}

static int type_fits(struct vfy_env *e, struct vfy_call *c, u32 regno, u32 arg)
{
	const u32 *fit = ARG_BASE(arg) < ARRAY_SIZE(arg_types) ? arg_types[ARG_BASE(arg)] : NULL;
	u32 type = cur_regs(e)[regno].type;
	struct sbuf b = { 0 };
	int err;

	if (!fit)
		return vfy_unsupported(e, (int)regno, "argument kind");
	if (arg & ARG_MEM_RDONLY)
		type &= ~RF_RDONLY;
	if (arg & ARG_MAYBE_NULL)
		type &= ~RF_MAYBE_NULL;
	if (ARG_BASE(arg) == ARG_MEM)
		type &= ~RF_SLICE_MASK;
	if (c->kptr)			/* objects of the program's own are put there, too */
		type &= ~RF_ALLOC;
	for (u32 i = 0; fit[i]; i++)
		if (type == fit[i])
			return found(e, c, regno, arg, fit);
	sbuf_printf(&b, "R%u type=%s expected=", regno, vfy_type_str(e, cur_regs(e)[regno].type));
	for (u32 i = 0; fit[i]; i++)
		sbuf_printf(&b, "%s%s", i ? ", " : "", vfy_type_str(e, fit[i]));
	err = vfy_reject(e, cur_regs(e)[regno].type & RF_MAYBE_NULL ? VR_NULL : VR_ARG_TYPE, -EACCES, (int)regno,
			 "%s", b.s ? b.s : "");
	sbuf_free(&b);
	return err;
}

/* Only pointers whose offset the access check takes into account may have been moved. */
static int offset_fits(struct vfy_env *e, u32 regno, u32 arg)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];

	if ((arg & ARG_OBJ_RELEASE) && ARG_BASE(arg) == ARG_DYNPTR && r->type == R_STACK)
		return 0;
	if ((arg & ARG_OBJ_RELEASE) && r->off)
		return vfy_reject(e, VR_PTR_MODIFIED, -EINVAL, (int)regno,
				  "R%u must have zero offset when passed to release func or trusted arg to kfunc",
				  regno);
	switch (R_BASE(r->type)) {
	case R_STACK:
	case R_PKT:
	case R_PKT_META:
	case R_MAP_KEY:
	case R_MAP_VALUE:
	case R_MEM:
	case R_BUF:
	case R_SCALAR:
		if (!(arg & ARG_OBJ_RELEASE))
			return 0;
		break;
	case R_BTF_ID:
		if (!(arg & ARG_OBJ_RELEASE) && r->off >= 0 && tnum_is_const(r->s.var) && !r->s.var.value)
			return 0;
	}
	return vfy_ptr_off_const(e, r, regno);
}

/* For arguments of kernel functions. */
int vfy_arg_offset(struct vfy_env *e, u32 regno, u32 arg) { return offset_fits(e, regno, arg); }

/* ---- memory arguments ---- */
static int helper_mem(struct vfy_env *e, struct vfy_call *c, u32 regno, int size, enum acc t, bool zero_ok, bool raw)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	bool is_raw = false;
	int err;

	switch (R_BASE(r->type)) {
	case R_PKT:
	case R_PKT_META:
		if (t == ACC_WRITE && !(e->prog->flags & SPEC_PROG_PKT_WRITE))
			return vfy_reject(e, VR_RDONLY, -EACCES, (int)regno, "cannot write into packet");
		return vfy_pkt_access(e, regno, r->off, size, zero_ok);
	case R_MAP_KEY:
		if (t == ACC_WRITE)
			break;
		return vfy_mem_region(e, regno, r->off, size, r->map->key_size, false);
	case R_MAP_VALUE:
		err = vfy_map_access_type(e, regno, r->off, size, t);
		return err ? err : vfy_map_access(e, regno, r->off, size, zero_ok, true);
	case R_MEM:
		if ((r->type & RF_RDONLY) && t == ACC_WRITE)
			break;
		return vfy_mem_region(e, regno, r->off, size, r->mem_size, zero_ok);
	case R_STACK:
		err = vfy_stack_helper(e, regno, 0, size, zero_ok, t, raw ? &is_raw : NULL);
		if (!err && is_raw) {
			c->raw_regno = regno;
			c->raw_size = size;
		}
		return err;
	case R_BTF_ID:
		return vfy_btf_mem(e, regno, r->off, size, t, -1);
	case R_BUF:
		if ((r->type & RF_RDONLY) && t == ACC_WRITE)
			break;
		return vfy_buf_access(e, regno, r->off, size, zero_ok, r->type & RF_RDONLY ? "rdonly" : "rdwr");
	case R_CTX:
		if (e->prog->ctx_kind == CTX_RAW_MEM) {
			if (!size)
				return zero_ok ? 0 : -EACCES;
			return vfy_mem(e, regno, size - 1, 1, t, -1, false, false);
		}
		/* fall through */
	default:
		if (zero_ok && size == 0 && reg_is_null(r))
			return 0;
		{
			char got[128];

			snprintf(got, sizeof(got), "%s", vfy_type_str(e, r->type));
			return vfy_reject(e, VR_ARG_TYPE, -EACCES, (int)regno, "R%u type=%s expected=%s", regno,
					  got, vfy_type_str(e, R_STACK));
		}
	}
	return vfy_reject(e, VR_RDONLY, -EACCES, (int)regno, "R%u cannot write into %s", regno,
			  vfy_type_str(e, r->type));
}

/* For arguments of global functions. */
int vfy_helper_mem(struct vfy_env *e, u32 regno, int size, enum acc t)
{
	struct vfy_call c = { 0 };

	return helper_mem(e, &c, regno, size, t, true, false);
}

static int mem_size_arg(struct vfy_env *e, struct vfy_call *c, u32 regno, u32 mem_arg, bool zero_ok)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	enum acc t = mem_arg & ARG_MEM_WRITE ? ACC_WRITE : ACC_READ;
	bool raw = c->raw && tnum_is_const(r->s.var);
	int err;

	c->size_max = (s64)r->s.umax;
	if (r->s.smin < 0)
		return vfy_reject(e, VR_NEGATIVE, -EACCES, (int)regno,
				  "R%u min value is negative, either use unsigned or 'var &= const'", regno);
	if (r->s.umin == 0 && !zero_ok)
		return vfy_reject(e, VR_ZERO_SIZE, -EACCES, (int)regno,
				  "R%u invalid zero-sized read: u64=[%lld,%lld]", regno, (long long)r->s.umin,
				  (long long)r->s.umax);
	if (r->s.umax >= MAX_VAR_SIZE)
		return vfy_reject(e, VR_UNBOUNDED, -EACCES, (int)regno,
				  "R%u unbounded memory access, use 'var &= const' or 'if (var < const)'", regno);
	err = helper_mem(e, c, regno - 1, (int)r->s.umax, t, zero_ok, raw);
	return err ? err : vfy_precise(e, regno);
}

/* Memory and its size for a kernel function: read and written. */
int vfy_arg_mem_size(struct vfy_env *e, u32 regno)
{
	struct vfy_reg *r = &cur_regs(e)[regno - 1], saved = *r;
	struct vfy_call c = { 0 };
	int err;

	if (r->type & RF_MAYBE_NULL)
		vfy_not_null(r);
	err = mem_size_arg(e, &c, regno, 0, true);
	if (!err)
		err = mem_size_arg(e, &c, regno, ARG_MEM_WRITE, true);
	cur_regs(e)[regno - 1] = saved;
	return err;
}

/* Is the key a known number? Then a lookup in an array cannot miss. */
static int const_key(struct vfy_env *e, struct vfy_call *c, u32 regno)
{
	const struct vfy_reg *k = &cur_regs(e)[regno];
	const struct vfy_frame *f;
	u32 slot, at, n = 0, size = c->map->key_size;
	const struct vfy_slot *s;
	u64 slots[MAX_FRAMES] = { 0 };

	if (k->type != R_STACK || !tnum_is_const(k->s.var))
		return 0;
	f = e->cur->frame[k->frameno];
	slot = (u32)(-(k->off + (s32)k->s.var.value) - 1);
	if (slot / SLOT >= f->nr_slots)
		return 0;
	s = &f->slots[slot / SLOT];
	at = slot % SLOT;
	for (s32 i = (s32)at; i >= 0 && s->type[i] == S_ZERO; i--)
		n++;
	if (n >= size) {
		c->const_key = 0;
		return 0;
	}
	if (s->type[SLOT - 1] != S_SPILL || !reg_is_const(&s->reg) || at != SLOT - 1)
		return 0;
	n = 0;
	for (s32 i = (s32)at; i >= 0 && s->type[i] == S_SPILL; i--)
		n++;
	if (n != size)
		return 0;
	c->const_key = (s64)s->reg.s.var.value;
	slots[k->frameno] = BIT64(slot / SLOT);
	return vfy_precise_state(e, NULL, slots);
}

static bool lookup_never_misses(const struct vfy_call *c)
{
	const struct spec_map *m = spec_map(c->map->type);

	/* arrays: every index below max_entries exists */
	return m && (m->ops & SPEC_MAP_LOOKUP) && !(m->ops & (SPEC_MAP_DELETE | SPEC_MAP_FD_VALUE | SPEC_MAP_NO_KEY)) &&
	       (c->map->type == BPF_MAP_TYPE_ARRAY || c->map->type == BPF_MAP_TYPE_PERCPU_ARRAY) &&
	       c->const_key >= 0 && c->const_key < c->map->max_entries;
}

static int const_str(struct vfy_env *e, u32 regno)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	s64 at;
	int err;

	if (!r->map->frozen)
		return vfy_reject(e, VR_ARG_TYPE, -EACCES, (int)regno, "R%u does not point to a readonly map'",
				  regno);
	if (!tnum_is_const(r->s.var))
		return vfy_reject(e, VR_ARG_TYPE, -EACCES, (int)regno, "R%u is not a constant address'", regno);
	err = vfy_map_access(e, regno, r->off, (int)r->map->value_size - r->off, false, true);
	if (err)
		return err;
	at = r->off + (s64)r->s.var.value;
	if (!memchr(r->map->frozen + at, 0, r->map->value_size - (size_t)at))
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)regno, "string is not zero-terminated");
	return 0;
}

int vfy_arg_const_str(struct vfy_env *e, u32 regno) { return const_str(e, regno); }

/* ---- one argument ---- */
static int arg_refs(struct vfy_env *e, struct vfy_call *c, u32 regno, u32 arg)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];

	if ((arg & ARG_OBJ_RELEASE) && ARG_BASE(arg) == ARG_DYNPTR) {
		int err = vfy_dynptr_release_arg(e, regno);

		if (err)
			return err;
		c->release_regno = regno;
		c->release_dynptr = true;
	} else if (arg & ARG_OBJ_RELEASE) {
		if (!r->ref_obj_id && !reg_is_null(r))
			return vfy_reject(e, VR_REFERENCE, -EINVAL, (int)regno,
					  "R%u must be referenced when passed to release function", regno);
		c->release_regno = regno;
	}
	if (r->ref_obj_id) {
		if (c->ref_obj_id)
			return vfy_reject(e, VR_REFERENCE, -EACCES, (int)regno,
					  "more than one arg with ref_obj_id R%u %u %u", regno, r->ref_obj_id,
					  c->ref_obj_id);
		c->ref_obj_id = r->ref_obj_id;
	}
	return 0;
}

static int arg_map(struct vfy_env *e, struct vfy_call *c, u32 regno)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];

	if (c->later && (c->map != r->map || c->map_uid != r->map_uid))
		return vfy_reject(e, VR_ARG_TYPE, -EINVAL, (int)regno,
				  "timer pointer in R1 map_uid=%u doesn't match map pointer in R2 map_uid=%u",
				  c->map_uid, r->map_uid);
	c->map = r->map;
	c->map_uid = r->map_uid;
	return 0;
}

static int arg_key_or_value(struct vfy_env *e, struct vfy_call *c, u32 regno, u32 arg)
{
	bool key = ARG_BASE(arg) == ARG_MAP_KEY;
	int err;

	if (!c->map)
		return vfy_reject(e, VR_ARG_TYPE, -EACCES, (int)regno, "invalid map_ptr to access map->%s",
				  key ? "key" : "value");
	if (!key && (arg & ARG_MAYBE_NULL) && reg_is_null(&cur_regs(e)[regno]))
		return 0;
	c->raw = !key && (arg & ARG_MEM_UNINIT);
	err = helper_mem(e, c, regno, (int)(key ? c->map->key_size : c->map->value_size),
			 !key && (arg & ARG_MEM_WRITE) ? ACC_WRITE : ACC_READ, false, c->raw);
	return err || !key ? err : const_key(e, c, regno);
}

static int arg_mem(struct vfy_env *e, struct vfy_call *c, u32 n, u32 arg)
{
	struct vfy_reg *r = &cur_regs(e)[n + 1];
	int err;

	c->raw = arg & ARG_MEM_UNINIT;
	if (!(arg & ARG_MEM_FIXED_SIZE))
		return 0;		/* checked with the size argument that follows */
	err = helper_mem(e, c, n + 1, c->h->arg_size[n], arg & ARG_MEM_WRITE ? ACC_WRITE : ACC_READ, false,
			 c->raw);
	if (!err && (arg & ARG_MEM_ALIGNED))
		err = vfy_alignment(e, r, (int)n + 1, 0, c->h->arg_size[n], true);
	return err;
}

static int arg_judge(struct vfy_env *e, struct vfy_call *c, u32 n, u32 arg)
{
	u32 regno = n + 1;
	const struct vfy_reg *r = &cur_regs(e)[regno];

	switch (ARG_BASE(arg)) {
	case ARG_CONST_MAP:
		return arg_map(e, c, regno);
	case ARG_MAP_KEY:
	case ARG_MAP_VALUE:
		return arg_key_or_value(e, c, regno, arg);
	case ARG_MEM:
		return arg_mem(e, c, n, arg);
	case ARG_SIZE:
	case ARG_SIZE_OR_ZERO:
		return mem_size_arg(e, c, regno, n ? c->h->arg[n - 1] : 0, ARG_BASE(arg) == ARG_SIZE_OR_ZERO);
	case ARG_ALLOC_SIZE:
		if (!tnum_is_const(r->s.var))
			return vfy_reject(e, VR_ARG_TYPE, -EACCES, (int)regno, "R%u is not a known constant'",
					  regno);
		c->mem_size = (u32)r->s.var.value;
		return vfy_precise(e, regno);
	case ARG_DYNPTR:
		c->dynptr_regno = regno;
		return vfy_dynptr_arg(e, regno, arg, arg & ARG_DYNPTR_LOCAL ? DYN_LOCAL :
				      arg & ARG_DYNPTR_RINGBUF ? DYN_RINGBUF : 0, 0);
	case ARG_SPIN_LOCK:
		if (r->type != R_MAP_VALUE)
			return vfy_unsupported(e, (int)regno, "locks of allocated objects");
		return vfy_lock_arg(e, regno, REF_LOCK, strcmp(c->h->fixup, "spin_unlock"));
	case ARG_KPTR:
		c->map = r->map;
		c->later = true;	/* not judged by the map's type */
		return vfy_kptr_arg(e, regno, &c->kptr);
	case ARG_TIMER:
		c->map = r->map;
		c->map_uid = r->map_uid;
		c->later = true;
		return vfy_later_arg(e, regno, SPEC_FIELD_TIMER);
	case ARG_FUNC:
		c->subprog = r->subprog;
		return 0;
	case ARG_CONST_STR:
		return const_str(e, regno);
	case ARG_CTX:
	case ARG_STACK:
	case ARG_RINGBUF_MEM:
	case ARG_SOCKET:
	case ARG_SOCK_COMMON:
	case ARG_BTF_ID_SOCK_COMMON:
	case ARG_BTF_ID:
		return 0;
	}
	return vfy_unsupported(e, (int)regno, c->h->name);
}

static int arg_check(struct vfy_env *e, struct vfy_call *c, u32 n)
{
	u32 arg = c->h->arg[n], regno = n + 1;
	struct vfy_reg *r = &cur_regs(e)[regno];
	int err;

	if (arg == ARG_NONE)
		return 0;
	err = vfy_check_read(e, regno);
	if (err)
		return err;
	if (ARG_BASE(arg) == ARG_ANY) {
		if (r->type != R_SCALAR && !e->allow_ptr_leaks)
			return vfy_reject(e, VR_PTR_LEAK, -EACCES, (int)regno,
					  "R%u leaks addr into helper function", regno);
		return 0;
	}
	if (type_is_pkt(r->type) && !((c->h->flags & SPEC_HELPER_PKT_ACCESS) && vfy_may_pkt(e, ACC_READ)))
		return vfy_reject(e, VR_ARG_TYPE, -EACCES, (int)regno, "helper access to the packet is not allowed");
	if (ARG_BASE(arg) == ARG_MAP_VALUE && c->map && is_sockmap(c->map))
		arg = ARG_BTF_ID_SOCK_COMMON | (arg & ~0xffu);
	if (!(reg_is_null(r) && (arg & ARG_MAYBE_NULL))) {
		err = type_fits(e, c, regno, arg);
		if (!err)
			err = offset_fits(e, regno, arg);
		if (err)
			return err;
	}
	err = arg_refs(e, c, regno, arg);
	return err ? err : arg_judge(e, c, n, arg);
}

/* ---- fixups: what rows cannot say ---- */
static int fixup_tail_call(struct vfy_env *e, struct vfy_call *c)
{
	if (!c->map || c->map->type != BPF_MAP_TYPE_PROG_ARRAY)
		return vfy_reject(e, VR_MAP_HELPER, -EINVAL, -1, "expected prog array map for tail call");
	e->out->image_flags |= IMG_F_TAIL_CALLS;
	return vfy_leaks_check(e, "tail_call", true);
}

static int fixup_get_local_storage(struct vfy_env *e, struct vfy_call *c)
{
	if (!reg_is_null(&cur_regs(e)[2]))
		return vfy_reject(e, VR_ARG_VALUE, -EINVAL, 2,
				  "get_local_storage() doesn't support non-zero flags");
	return 0;
}

/* The callback's R1: loop index; R2: what the caller gave. */
static int set_loop_cb(struct vfy_env *e, struct vfy_frame *caller, struct vfy_frame *callee)
{
	vfy_reg_unknown(e, &callee->regs[1]);
	callee->regs[2] = caller->regs[3];
	for (u32 i = 3; i <= 5; i++)
		vfy_reg_not_init(e, &callee->regs[i]);
	callee->in_callback = true;
	callee->cb_ret = (struct vfy_retrange){ 0, 1 };
	return 0;
}

static int fixup_loop(struct vfy_env *e, struct vfy_call *c)
{
	int err = vfy_precise(e, 1);

	if (err)
		return err;
	if (cur_frame(e)->cb_depth < cur_regs(e)[1].s.umax)
		return vfy_call_callback(e, c->insn, e->insn, c->subprog, set_loop_cb);
	cur_frame(e)->cb_depth = 0;
	if (e->log_level & 2)
		vfy_log(e, "frame%u bpf_loop iteration limit reached\n", e->cur->curframe);
	return 0;
}

/* callback(map, key, value, ctx) */
static int set_map_elem_cb(struct vfy_env *e, struct vfy_frame *caller, struct vfy_frame *callee)
{
	const struct vfy_map *m = caller->regs[1].map;
	u32 uid = caller->regs[1].map_uid;

	callee->regs[1] = caller->regs[1];
	vfy_reg_ptr(&callee->regs[2], R_MAP_KEY);
	callee->regs[2].map = m;
	callee->regs[2].map_uid = uid;
	vfy_reg_ptr(&callee->regs[3], R_MAP_VALUE);
	callee->regs[3].map = m;
	callee->regs[3].map_uid = uid;
	callee->regs[4] = caller->regs[3];
	vfy_reg_not_init(e, &callee->regs[5]);
	callee->in_callback = true;
	callee->cb_ret = (struct vfy_retrange){ 0, 1 };
	return 0;
}

static int fixup_for_each_map_elem(struct vfy_env *e, struct vfy_call *c)
{
	const struct spec_map *m = spec_map(c->map->type);

	if (!m || !(m->ops & SPEC_MAP_ITER))
		return 0;		/* the map does not fit: said below */
	return vfy_call_callback(e, c->insn, e->insn, c->subprog, set_map_elem_cb);
}

static int fixup_snprintf(struct vfy_env *e, struct vfy_call *c)
{
	const struct vfy_reg *n = &cur_regs(e)[5], *fmt = &cur_regs(e)[3];
	const char *bytes = (const char *)fmt->map->frozen, *end = bytes + fmt->map->value_size;
	const char *at = bytes + fmt->off + (s64)fmt->s.var.value;

	/* Of a size that is no constant the kernel looks at the known bits; the helper checks what it really is. */
	if (n->s.var.value % 8) {
		int err = vfy_reject(e, VR_ARG_VALUE, -EINVAL, 5, NULL);	/* the kernel has no sentence for it */

		snprintf(e->out->reason.kernel, sizeof(e->out->reason.kernel),
			 "bpf_snprintf: the size of its arguments is not a multiple of 8");
		return err;
	}
	if (spec_fmt_check(at, end, (u32)(n->s.var.value / 8)))
		return vfy_reject(e, VR_ARG_VALUE, -EINVAL, 3, "Invalid format string");
	return 0;
}

static int fixup_dynptr_from_mem(struct vfy_env *e, struct vfy_call *c)
{
	u32 type = cur_regs(e)[1].type;

	if (type != R_MAP_VALUE)
		return vfy_reject(e, VR_ARG_TYPE, -EACCES, 1, "Unsupported reg type %s for bpf_dynptr_from_mem data",
				  vfy_type_str(e, type));
	return 0;
}

static int fixup_dynptr_write(struct vfy_env *e, struct vfy_call *c)
{
	u32 kind = vfy_dynptr_reg(e, c->dynptr_regno)->dyn_kind;

	c->changes_pkt = kind == DYN_SKB || kind == DYN_SKB_META;
	return 0;
}

static int fixup_dynptr_data(struct vfy_env *e, struct vfy_call *c)
{
	const struct vfy_reg *d = vfy_dynptr_reg(e, c->dynptr_regno);

	c->dynptr_id = d->id;
	c->ref_obj_id = d->ref_obj_id;
	return 0;
}

static void ret_dynptr_data(struct vfy_env *e, struct vfy_call *c)
{
	cur_regs(e)[0].dynptr_id = c->dynptr_id;
	cur_regs(e)[0].ref_obj_id = c->ref_obj_id;
}

static int fixup_timer_set_callback(struct vfy_env *e, struct vfy_call *c)
{
	return vfy_call_async(e, c->subprog, c->map, c->map_uid, false, (struct vfy_retrange){ 0, 0 });
}

/* callback(dynptr, ctx) */
static int set_user_ringbuf_cb(struct vfy_env *e, struct vfy_frame *caller, struct vfy_frame *callee)
{
	vfy_reg_ptr(&callee->regs[1], R_DYNPTR);
	callee->regs[1].dyn_kind = DYN_LOCAL;
	callee->regs[1].dyn_first = 1;
	callee->regs[1].id = ++e->id_gen;
	callee->regs[2] = caller->regs[3];
	for (u32 i = 3; i <= 5; i++)
		vfy_reg_not_init(e, &callee->regs[i]);
	callee->in_callback = true;
	callee->cb_ret = (struct vfy_retrange){ 0, 1 };
	return 0;
}

static int fixup_user_ringbuf_drain(struct vfy_env *e, struct vfy_call *c)
{
	return vfy_call_callback(e, c->insn, e->insn, c->subprog, set_user_ringbuf_cb);
}

/* Results that are bounded: set after R0 was made. */
static void ret_cpu_id(struct vfy_env *e, struct vfy_call *c)
{
	vfy_scalar_srange(&cur_regs(e)[0].s, 0, VFY_MAX_CPUS - 1);
}

static void ret_stack_size(struct vfy_env *e, struct vfy_call *c)
{
	vfy_scalar_srange(&cur_regs(e)[0].s, -4095, c->size_max);
}

static int fixup_none(struct vfy_env *e, struct vfy_call *c) { return 0; }

static const struct {
	const char *name;
	int (*fn)(struct vfy_env *e, struct vfy_call *c);
	void (*ret)(struct vfy_env *e, struct vfy_call *c);
} fixups[] = {
	{ "tail_call", fixup_tail_call },
	{ "cpu_id", fixup_none, ret_cpu_id },
	{ "stack_size", fixup_none, ret_stack_size },
	{ "get_local_storage", fixup_get_local_storage },
	{ "for_each_map_elem", fixup_for_each_map_elem },
	{ "loop", fixup_loop },
	{ "snprintf", fixup_snprintf },
	{ "dynptr", fixup_none },
	{ "spin_lock", fixup_none },
	{ "spin_unlock", fixup_none },
	{ "kptr_xchg", fixup_none },
	{ "timer", fixup_none },
	{ "timer_set_callback", fixup_timer_set_callback },
	{ "dynptr_from_mem", fixup_dynptr_from_mem },
	{ "dynptr_write", fixup_dynptr_write },
	{ "dynptr_data", fixup_dynptr_data, ret_dynptr_data },
	{ "user_ringbuf_drain", fixup_user_ringbuf_drain },
};

static int fixup_find(const struct spec_helper *h)
{
	for (u32 i = 0; h->fixup && i < ARRAY_SIZE(fixups); i++)
		if (!strcmp(h->fixup, fixups[i].name))
			return (int)i;
	return -1;
}

/* ---- R0 ---- */
static const struct { u32 type; bool null; } ret_ptrs[] = {
	[RET_MAP_VALUE] = { R_MAP_VALUE },	      [RET_MAP_VALUE_OR_NULL] = { R_MAP_VALUE, true },
	[RET_SOCKET_OR_NULL] = { R_SOCKET, true },    [RET_TCP_SOCK_OR_NULL] = { R_TCP_SOCK, true },
	[RET_SOCK_COMMON_OR_NULL] = { R_SOCK_COMMON, true },
	[RET_RINGBUF_MEM_OR_NULL] = { R_MEM | RF_RINGBUF, true },
	[RET_DYNPTR_MEM_OR_NULL] = { R_MEM, true },
	[RET_NEVER_FAILS_MEM] = { 0 },
};

/* A pointer to the kernel object that the row names. */
static int r0_btf(struct vfy_env *e, struct vfy_call *c)
{
	const struct spec_helper *h = c->h;
	s32 id;

	if (c->kptr)
		return vfy_kptr_old(e, c->map, c->kptr);
	id = h->btf[0] ? vfy_btf_id(e, h->btf[0], BTF_KIND_STRUCT) : -ENOENT;

	if (id < 0)
		return vfy_unsupported(e, 0, h->name);
	vfy_btf_reg(e, &cur_regs(e)[0], e->in->vmlinux, (u32)id, h->ret == RET_BTF_ID_TRUSTED ? RF_TRUSTED :
		    h->ret == RET_BTF_ID_OR_NULL ? RF_MAYBE_NULL : 0);
	return 0;
}

static int set_r0(struct vfy_env *e, struct vfy_call *c)
{
	const struct spec_helper *h = c->h;
	struct vfy_reg *r0 = &cur_regs(e)[0];
	bool null;

	if (h->ret == RET_VOID)
		return 0;
	if (h->ret == RET_INTEGER) {
		vfy_reg_unknown(e, r0);
		return 0;
	}
	if (h->ret == RET_BTF_ID || h->ret == RET_BTF_ID_OR_NULL || h->ret == RET_BTF_ID_TRUSTED) {
		int err = r0_btf(e, c);

		if (err)
			return err;
		null = false;		/* has its id */
		goto refs;
	}
	if (h->ret >= ARRAY_SIZE(ret_ptrs) || !ret_ptrs[h->ret].type)
		return vfy_unsupported(e, 0, h->name);
	null = ret_ptrs[h->ret].null;
	vfy_reg_ptr(r0, ret_ptrs[h->ret].type);
	if (R_BASE(r0->type) == R_MAP_VALUE) {
		if (!c->map)
			return vfy_unsupported(e, 0, h->name);
		if (h->ret == RET_MAP_VALUE_OR_NULL && h->arg[1] == ARG_MAP_KEY && lookup_never_misses(c))
			null = false;
		r0->map = c->map;
		r0->map_uid = c->map_uid;
		if (!null && vfy_may_hold_lock(e, r0))
			r0->id = ++e->id_gen;
	} else if (R_BASE(r0->type) == R_MEM) {
		r0->mem_size = c->mem_size;
	}
	if (null) {
		r0->type |= RF_MAYBE_NULL;
		r0->id = ++e->id_gen;
	}
refs:
	if (h->flags & SPEC_HELPER_CAST) {
		r0->ref_obj_id = c->ref_obj_id;
	} else if ((h->flags & SPEC_HELPER_ACQUIRE) || (R_BASE(r0->type) == R_MAP_VALUE && is_sockmap(c->map))) {
		s32 id = vfy_ref_acquire(e, e->insn);

		if (id < 0)
			return id;
		r0->id = r0->ref_obj_id = (u32)id;
	}
	return 0;
}

/* ---- the call ---- */
static int may_call(struct vfy_env *e, s32 id, const struct spec_helper **out)
{
	const struct spec_helper *h = spec_helper_for(id, e->in->prog_type, e->in->attach_type);
	bool capable;

	if (!id)
		return vfy_reject(e, VR_NO_HELPER, -EINVAL, -1, "program of this type cannot use helper bpf_unspec#0");
	if (id < 0 || !h)
		return vfy_reject(e, VR_NO_HELPER, -EINVAL, -1, "invalid func %s#%d",
				  "unknown", id);
	capable = (!(h->flags & SPEC_HELPER_BPF_CAP) || e->bpf_capable) &&
		  (!(h->flags & SPEC_HELPER_PERFMON) || (e->in->caps & (VFY_CAP_PERFMON | VFY_CAP_SYS_ADMIN)));
	if (!capable || !spec_helper_allowed(h, e->in->prog_type, e->in->attach_type))
		return vfy_reject(e, VR_NO_HELPER, -EINVAL, -1, "program of this type cannot use helper bpf_%s#%d",
				  h->name, id);
	if (!e->in->gpl && (h->flags & SPEC_HELPER_GPL))
		return vfy_reject(e, VR_GPL, -EINVAL, -1,
				  "cannot call GPL-restricted function from non-GPL compatible program");
	if (!e->cur->in_sleepable && (h->flags & SPEC_HELPER_SLEEPS))
		return vfy_reject(e, VR_SLEEP, -EINVAL, -1, "helper call might sleep in a non-sleepable prog");
	if ((h->flags & SPEC_HELPER_SLEEPS) && vfy_no_sleep_region(e))
		return vfy_reject(e, VR_SLEEP, -EINVAL, -1, "sleepable helper bpf_%s#%d in %s", h->name, id,
				  vfy_no_sleep_region(e));
	*out = h;
	return 0;
}

static int remember_map(struct vfy_env *e, const struct vfy_map *m)
{
	struct vfy_aux *aux = &e->aux[e->insn];

	if (!m)
		return 0;
	if (!aux->map && !aux->map_poison)
		aux->map = m;
	else if (aux->map != m)
		aux->map_poison = true;
	return 0;
}

static int release(struct vfy_env *e, struct vfy_call *c, s32 id)
{
	int err = -EINVAL;

	if (!c->release_regno)
		return 0;
	if (c->release_dynptr)
		err = vfy_dynptr_release(e, c->release_regno);
	else if (c->ref_obj_id)
		err = vfy_ref_release(e, c->ref_obj_id);
	else if (reg_is_null(&cur_regs(e)[c->release_regno]))
		err = 0;
	if (err)
		return vfy_reject(e, VR_REFERENCE, err, -1, "func bpf_%s#%d reference has not been acquired before",
				  c->h->name, id);
	return 0;
}

int vfy_call_helper(struct vfy_env *e, const struct bpf_insn *insn)
{
	struct vfy_call c = { .insn = insn, .const_key = -1 };
	int err = may_call(e, insn->imm, &c.h), fix;

	if (err)
		return err;
	fix = fixup_find(c.h);
	for (u32 i = 0; i < 5; i++) {
		err = arg_check(e, &c, i);
		if (err)
			return err;
	}
	remember_map(e, c.map);
	for (int i = 0; i < c.raw_size; i++) {	/* the helper writes all of it */
		err = vfy_mem(e, c.raw_regno, i, 1, ACC_WRITE, -1, false, false);
		if (err)
			return err;
	}
	err = release(e, &c, insn->imm);
	if (err)
		return err;
	if (c.h->fixup && fix < 0)
		return vfy_unsupported(e, -1, c.h->name);
	if (fix >= 0) {
		err = fixups[fix].fn(e, &c);
		if (err)
			return err;
	}
	vfy_caller_saved_clear(e, cur_regs(e));
	err = set_r0(e, &c);
	if (err)
		return err;
	if (fix >= 0 && fixups[fix].ret)
		fixups[fix].ret(e, &c);
	if (c.map && !c.later && !spec_map_takes_helper(c.map->type, insn->imm))
		return vfy_reject(e, VR_MAP_HELPER, -EINVAL, -1, "cannot pass map_type %u into func bpf_%s#%d",
				  c.map->type, c.h->name, insn->imm);
	if (c.changes_pkt)
		vfy_pkt_invalidate(e);
	if (c.h->flags & SPEC_HELPER_PKT_CHANGE) {
		vfy_pkt_invalidate(e);
		if (!(c.h->flags & SPEC_HELPER_TAIL_CALL))
			e->out->image_flags |= IMG_F_PKT_CHANGES;
	}
	if (c.h->flags & SPEC_HELPER_CPU)
		e->out->image_flags |= IMG_F_NEEDS_CPU;
	if (c.h->flags & SPEC_HELPER_OVERRIDES)
		e->out->image_flags |= IMG_F_OVERRIDES;
	if (c.h->st.state == SPEC_STUB)
		e->out->image_flags |= IMG_F_STUBS;
	return 0;
}
