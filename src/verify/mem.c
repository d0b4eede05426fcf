/* SPDX-License-Identifier: Apache-2.0 */
/* mem.c - loads, stores and atomics: what kind of memory a pointer leads to and whether the access stays inside.
 * Context fields are rows of ctx.def (spec_ctx_find()); rewrite.c turns the accepted access into one of the internal
 * context. Stack accesses are in stack.c. Order of the checks and their words: Linux 6.18. */
#include "verify/vfy.h"

int vfy_access_size(u8 code)
{
	switch (BPF_SIZE(code)) {
	case BPF_B: return 1;
	case BPF_H: return 2;
	case BPF_W: return 4;
	default:    return 8;
	}
}

static bool leaks(struct vfy_env *e, int regno)
{
	return regno >= 0 && !e->allow_ptr_leaks && cur_regs(e)[regno].type != R_SCALAR;
}

/* ---- alignment ---- */
int vfy_alignment(struct vfy_env *e, const struct vfy_reg *r, int regno, int off, int size, bool strict)
{
	static const char *const what[R_NR] = {
		[R_FLOW_KEYS] = "flow keys ", [R_MAP_KEY] = "key ",   [R_MAP_VALUE] = "value ",
		[R_CTX] = "context ",	      [R_STACK] = "stack ",   [R_SOCKET] = "sock ",
		[R_SOCK_COMMON] = "sock_common ", [R_TCP_SOCK] = "tcp_sock ", [R_XDP_SOCK] = "xdp_sock ",
	};
	const char *name = what[R_BASE(r->type)];
	bool pkt = type_is_pkt(r->type);
	struct tnum at;

	strict |= e->strict_align || r->type == R_STACK;
	if (!strict || size == 1 || r->type == R_ARENA)
		return 0;
	at = tnum_add(r->s.var, tnum_const((u64)(s64)(r->off + off + (pkt ? 2 : 0))));
	if (tnum_is_aligned(at, (u64)size))
		return 0;
	if (pkt)
		return vfy_reject(e, VR_MISALIGNED, -EACCES, regno,
				  "misaligned packet access off %d+%s+%d+%d size %d", 2,
				  vfy_tnum_str(e, r->s.var), r->off, off, size);
	return vfy_reject(e, VR_MISALIGNED, -EACCES, regno, "misaligned %saccess off %s+%d+%d size %d",
			  name ? name : "", vfy_tnum_str(e, r->s.var), r->off, off, size);
}

/* ---- regions of known size ---- */
static int inside(struct vfy_env *e, u32 regno, s64 off, int size, u32 mem_size, bool zero_ok, bool note)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];

	if (off >= 0 && (size > 0 || (size == 0 && zero_ok)) && (u64)off + (u64)size <= mem_size)
		return 0;
	switch (R_BASE(r->type)) {
	case R_MAP_KEY:
		vfy_note(e, "invalid access to map key, key_size=%u off=%d size=%d", mem_size, (int)off, size);
		break;
	case R_MAP_VALUE:
		vfy_note(e, "invalid access to map value, value_size=%u off=%d size=%d", mem_size, (int)off,
			 size);
		break;
	case R_PKT:
	case R_PKT_META:
	case R_PKT_END:
		vfy_note(e, "invalid access to packet, off=%d size=%d, R%u(id=%d,off=%d,r=%d)", (int)off, size,
			 regno, (int)r->id, (int)off, (int)mem_size);
		break;
	default:
		vfy_note(e, "invalid access to memory, mem_size=%u off=%d size=%d", mem_size, (int)off, size);
	}
	return -EACCES;
}

/* OFF includes reg.off. */
int vfy_mem_region(struct vfy_env *e, u32 regno, int off, int size, u32 mem_size, bool zero_ok)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	s64 lo = r->s.smin;

	if (lo < 0 && (lo == INT64_MIN || off + lo != (s64)(s32)(off + lo) || lo + off < 0))
		return vfy_reject(e, VR_NEGATIVE, -EACCES, (int)regno,
				  "R%u min value is negative, either use unsigned index or do a if (index >=0) "
				  "check.", regno);
	if (inside(e, regno, lo + off, size, mem_size, zero_ok, true))
		return vfy_reject(e, VR_OUT_OF_BOUNDS, -EACCES, (int)regno,
				  "R%u min value is outside of the allowed memory range", regno);
	if (r->s.umax >= MAX_VAR_OFF)
		return vfy_reject(e, VR_UNBOUNDED, -EACCES, (int)regno,
				  "R%u unbounded memory access, make sure to bounds check any such access",
				  regno);
	if (inside(e, regno, (s64)r->s.umax + off, size, mem_size, zero_ok, true))
		return vfy_reject(e, VR_OUT_OF_BOUNDS, -EACCES, (int)regno,
				  "R%u max value is outside of the allowed memory range", regno);
	return 0;
}

int vfy_map_access_type(struct vfy_env *e, u32 regno, int off, int size, enum acc t)
{
	const struct vfy_map *m = cur_regs(e)[regno].map;

	if (t == ACC_WRITE && (m->flags & BPF_F_RDONLY_PROG))
		return vfy_reject(e, VR_MAP_RIGHTS, -EACCES, (int)regno,
				  "write into map forbidden, value_size=%u off=%d size=%d", m->value_size, off,
				  size);
	if (t == ACC_READ && (m->flags & BPF_F_WRONLY_PROG))
		return vfy_reject(e, VR_MAP_RIGHTS, -EACCES, (int)regno,
				  "read from map forbidden, value_size=%u off=%d size=%d", m->value_size, off,
				  size);
	return 0;
}

int vfy_map_access(struct vfy_env *e, u32 regno, int off, int size, bool zero_ok, bool from_helper)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	int err = vfy_mem_region(e, regno, off, size, r->map->value_size, zero_ok);

	if (err)
		return err;
	return vfy_record_access(e, regno, off, size, from_helper);
}

int vfy_pkt_access(struct vfy_env *e, u32 regno, int off, int size, bool zero_ok)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];

	if (r->s.smin < 0)
		return vfy_reject(e, VR_NEGATIVE, -EACCES, (int)regno,
				  "R%u min value is negative, either use unsigned index or do a if (index >=0) "
				  "check.", regno);
	if (r->range < 0)
		return vfy_reject(e, VR_PKT_BOUNDS, -EINVAL, (int)regno, "R%u offset is outside of the packet",
				  regno);
	if (inside(e, regno, off, size, (u32)r->range, zero_ok, true))
		return vfy_reject(e, VR_PKT_BOUNDS, -EACCES, (int)regno, "R%u offset is outside of the packet",
				  regno);
	return 0;
}

int vfy_buf_access(struct vfy_env *e, u32 regno, int off, int size, bool zero_ok, const char *what)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];

	if (off < 0)
		return vfy_reject(e, VR_NEGATIVE, -EACCES, (int)regno,
				  "R%u invalid %s buffer access: off=%d, size=%d", regno, what, off, size);
	if (!tnum_is_const(r->s.var) || r->s.var.value)
		return vfy_reject(e, VR_PTR_MODIFIED, -EACCES, (int)regno,
				  "R%u invalid variable buffer offset: off=%d, var_off=%s", regno, off,
				  vfy_tnum_str(e, r->s.var));
	return 0;
}

/* Pointers that may not be moved before they are used. */
int vfy_ptr_off_const(struct vfy_env *e, const struct vfy_reg *r, u32 regno)
{
	struct sbuf t = { 0 };
	int err = 0;

	sbuf_puts(&t, vfy_type_str(e, r->type));
	if (r->off < 0)
		err = vfy_reject(e, VR_PTR_MODIFIED, -EACCES, (int)regno,
				 "negative offset %s ptr R%u off=%d disallowed", t.s ? t.s : "", regno, r->off);
	else if (r->off)
		err = vfy_reject(e, VR_PTR_MODIFIED, -EACCES, (int)regno,
				 "dereference of modified %s ptr R%u off=%d disallowed", t.s ? t.s : "", regno,
				 r->off);
	else if (!tnum_is_const(r->s.var) || r->s.var.value)
		err = vfy_reject(e, VR_PTR_MODIFIED, -EACCES, (int)regno,
				 "variable %s access var_off=%s disallowed", t.s ? t.s : "",
				 vfy_tnum_str(e, r->s.var));
	sbuf_free(&t);
	return err;
}

bool vfy_may_pkt(struct vfy_env *e, enum acc t)
{
	if (!e->prog)
		return false;
	if (t == ACC_WRITE)
		return e->prog->flags & SPEC_PROG_PKT_WRITE;
	return e->prog->flags & (SPEC_PROG_PKT | SPEC_PROG_PKT_WRITE);
}

/* ---- context ---- */
static const u32 ctx_types[] = {
	[CF_SCALAR] = R_SCALAR, [CF_PKT] = R_PKT, [CF_PKT_END] = R_PKT_END, [CF_PKT_META] = R_PKT_META,
	[CF_SOCK_COMMON] = R_SOCK_COMMON, [CF_SOCK_OR_NULL] = R_SOCKET | RF_MAYBE_NULL, [CF_SOCK] = R_SOCKET,
	[CF_SOCK_COMMON_OR_NULL] = R_SOCK_COMMON | RF_MAYBE_NULL, [CF_BTF] = R_BTF_ID,
	[CF_FLOW_KEYS] = R_FLOW_KEYS, [CF_PTR_SCALAR] = R_SCALAR, [CF_RDONLY_BUF] = R_BUF | RF_RDONLY,
	[CF_RDWR_BUF] = R_BUF, [CF_MEM] = R_MEM, [CF_TP_BUFFER] = R_TP_BUFFER,
};

static int ctx_access(struct vfy_env *e, int off, int size, enum acc t, bool ldsx, u32 *type)
{
	const struct spec_ctx_field *f = spec_ctx_access(e->in->prog_type, e->in->attach_type, off, (u32)size,
							 t == ACC_WRITE);
	struct vfy_aux *aux = &e->aux[e->insn];

	if (f)
		*type = ctx_types[f->what];
	if (!f || (ldsx && *type != R_SCALAR))
		return vfy_reject(e, VR_CTX_ACCESS, -EACCES, -1, "invalid bpf_context access off=%d size=%d", off,
				  size);
	if (f->what == CF_MEM)
		return vfy_unsupported(e, -1, f->name);
	aux->ctx_field = f;
	e->out->max_ctx_off = MAX(e->out->max_ctx_off, (u32)(off + size));
	return 0;
}

/* The context of tracing programs: arguments, typed by BTF. */
static int btf_ctx_mem(struct vfy_env *e, int off, int size, enum acc t, int value_regno, bool ldsx)
{
	struct vfy_reg v;
	int err = -EACCES;

	if (off >= 0 && off < 8 * SPEC_MAX_FUNC_ARGS && t == ACC_READ && off % size == 0)
		err = vfy_btf_ctx(e, off, size, &v);
	if (!err && ldsx && v.type != R_SCALAR)
		err = -EACCES;
	if (err)
		return vfy_reject(e, VR_CTX_ACCESS, -EACCES, -1, "invalid bpf_context access off=%d size=%d", off, size);
	if (value_regno >= 0)
		cur_regs(e)[value_regno] = v;
	e->out->max_ctx_off = MAX(e->out->max_ctx_off, (u32)(off + size));
	return 0;
}

static int ctx_mem(struct vfy_env *e, u32 regno, int off, int size, enum acc t, int value_regno, bool ldsx)
{
	struct vfy_reg *r = &cur_regs(e)[regno], *v;
	u32 type = R_SCALAR;
	int err;

	if (t == ACC_WRITE && leaks(e, value_regno))
		return vfy_reject(e, VR_PTR_LEAK, -EACCES, value_regno, "R%d leaks addr into ctx", value_regno);
	err = vfy_ptr_off_const(e, r, regno);
	if (!err && e->prog->ctx_kind == CTX_BTF_ARGS)
		return btf_ctx_mem(e, off, size, t, value_regno, ldsx);
	if (!err)
		err = ctx_access(e, off, size, t, ldsx, &type);
	if (err || t != ACC_READ || value_regno < 0)
		return err;
	v = &cur_regs(e)[value_regno];
	if (type == R_SCALAR) {
		vfy_reg_unknown(e, v);
		return 0;
	}
	if (R_BASE(type) == R_BTF_ID)
		return vfy_btf_ctx_field(e, e->aux[e->insn].ctx_field, v);
	vfy_reg_ptr(v, type);
	if (type & RF_MAYBE_NULL)
		v->id = ++e->id_gen;
	return 0;
}

/* ---- map values ---- */
static int map_value_mem(struct vfy_env *e, u32 regno, int off, int size, enum acc t, int value_regno, bool ldsx)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	const struct vfy_map *m = r->map;
	const struct spec_field *kptr;
	struct vfy_reg *v;
	u64 val = 0;
	int err;

	if (t == ACC_WRITE && leaks(e, value_regno))
		return vfy_reject(e, VR_PTR_LEAK, -EACCES, value_regno, "R%d leaks addr into map", value_regno);
	err = vfy_map_access_type(e, regno, off, size, t);
	if (!err)
		err = vfy_map_access(e, regno, off, size, false, false);
	kptr = err ? NULL : vfy_record_kptr(e, regno, off);
	if (kptr)
		return vfy_kptr_mem(e, regno, kptr, value_regno);
	if (err || t != ACC_READ || value_regno < 0)
		return err;
	v = &cur_regs(e)[value_regno];
	if (!m->frozen || !tnum_is_const(r->s.var)) {
		vfy_reg_unknown(e, v);
		return 0;
	}
	memcpy(&val, m->frozen + off + (s64)r->s.var.value, (size_t)size);
	if (ldsx && size < 8)
		val = (u64)((s64)(val << (64 - 8 * size)) >> (64 - 8 * size));
	vfy_reg_const(v, val);
	return 0;
}

/* ---- sized memory, packets, the rest ---- */
static int sized_mem(struct vfy_env *e, u32 regno, int off, int size, enum acc t, int value_regno)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	int err;

	if (r->type & RF_MAYBE_NULL)
		return vfy_reject(e, VR_NULL, -EACCES, (int)regno, "R%u invalid mem access '%s'", regno,
				  vfy_type_str(e, r->type));
	if (t == ACC_WRITE && (r->type & RF_RDONLY))
		return vfy_reject(e, VR_RDONLY, -EACCES, (int)regno, "R%u cannot write into %s", regno,
				  vfy_type_str(e, r->type));
	if (t == ACC_WRITE && leaks(e, value_regno))
		return vfy_reject(e, VR_PTR_LEAK, -EACCES, value_regno, "R%d leaks addr into mem", value_regno);
	/* what cannot fault needs no bounds */
	err = (r->type & RF_RDONLY) && (r->type & RF_UNTRUSTED) ? 0 :
		vfy_mem_region(e, regno, off, size, r->mem_size, false);
	if (!err && value_regno >= 0 && t == ACC_READ)
		vfy_reg_unknown(e, &cur_regs(e)[value_regno]);
	return err;
}

static int pkt_mem(struct vfy_env *e, u32 regno, int off, int size, enum acc t, int value_regno)
{
	int err;

	if (t == ACC_WRITE && !vfy_may_pkt(e, t))
		return vfy_reject(e, VR_RDONLY, -EACCES, (int)regno, "cannot write into packet");
	if (t == ACC_WRITE && leaks(e, value_regno))
		return vfy_reject(e, VR_PTR_LEAK, -EACCES, value_regno, "R%d leaks addr into packet",
				  value_regno);
	if (t == ACC_WRITE)
		e->seen_direct_write = true;
	err = vfy_pkt_access(e, regno, off, size, false);
	if (!err && t == ACC_READ && value_regno >= 0)
		vfy_reg_unknown(e, &cur_regs(e)[value_regno]);
	return err;
}

static int map_key_mem(struct vfy_env *e, u32 regno, int off, int size, enum acc t, int value_regno)
{
	int err;

	if (t == ACC_WRITE)
		return vfy_reject(e, VR_RDONLY, -EACCES, (int)regno, "write to change key R%u not allowed", regno);
	err = vfy_mem_region(e, regno, off, size, cur_regs(e)[regno].map->key_size, false);
	if (!err && value_regno >= 0)
		vfy_reg_unknown(e, &cur_regs(e)[value_regno]);
	return err;
}

/* Kernel structs without rows: all fields are u32 but for those named here. */
static const struct sk_layout {
	u32 type, size;
	u32 u64_fields[2];
} sk_layouts[] = {
	{ R_TCP_SOCK, 96, { 80, 88 } },
	{ R_XDP_SOCK, 4, { ~0u, ~0u } },
};

static bool sk_access_ok(u32 type, int off, int size)
{
	if (R_BASE(type) == R_SOCKET)
		return spec_mem_access(SPEC_P_SOCK, off, (u32)size, false);
	if (R_BASE(type) == R_SOCK_COMMON)
		return spec_mem_access(SPEC_P_SOCK_COMMON, off, (u32)size, false);
	for (u32 i = 0; i < ARRAY_SIZE(sk_layouts); i++) {
		const struct sk_layout *l = &sk_layouts[i];
		bool wide = off == (int)l->u64_fields[0] || off == (int)l->u64_fields[1];

		if (l->type == R_BASE(type))
			return off >= 0 && off < (int)l->size && off % size == 0 && size == (wide ? 8 : 4);
	}
	return false;
}

static int sk_mem(struct vfy_env *e, u32 regno, int off, int size, enum acc t, int value_regno)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];

	if (t == ACC_WRITE)
		return vfy_reject(e, VR_RDONLY, -EACCES, (int)regno, "R%u cannot write into %s", regno,
				  vfy_type_str(e, r->type));
	if (r->s.smin < 0)
		return vfy_reject(e, VR_NEGATIVE, -EACCES, (int)regno,
				  "R%u min value is negative, either use unsigned index or do a if (index >=0) "
				  "check.", regno);
	if (!tnum_is_const(r->s.var) || r->s.var.value || !sk_access_ok(r->type, off, size))
		return vfy_reject(e, VR_CTX_ACCESS, -EACCES, (int)regno, "R%u invalid %s access off=%d size=%d",
				  regno, vfy_type_str(e, r->type), off, size);
	if (value_regno >= 0)
		vfy_reg_unknown(e, &cur_regs(e)[value_regno]);
	return 0;
}

static int flow_keys_mem(struct vfy_env *e, u32 regno, int off, int size, enum acc t, int value_regno)
{
	if (t == ACC_WRITE && leaks(e, value_regno))
		return vfy_reject(e, VR_PTR_LEAK, -EACCES, value_regno, "R%d leaks addr into flow keys",
				  value_regno);
	if (!spec_mem_access(SPEC_P_FLOW_KEYS, off, (u32)size, false))
		return vfy_reject(e, VR_OUT_OF_BOUNDS, -EACCES, (int)regno,
				  "invalid access to flow keys off=%d size=%d", off, size);
	if (t == ACC_READ && value_regno >= 0)
		vfy_reg_unknown(e, &cur_regs(e)[value_regno]);
	return 0;
}

/* Buffers whose size is only known where the program is attached. */
static int buf_mem(struct vfy_env *e, u32 regno, int off, int size, enum acc t, int value_regno)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	const char *what = R_BASE(r->type) == R_TP_BUFFER ? "tracepoint" : r->type & RF_RDONLY ? "rdonly" : "rdwr";
	int err;

	if (t == ACC_WRITE && (r->type & RF_RDONLY))
		return vfy_reject(e, VR_RDONLY, -EACCES, (int)regno, "R%u cannot write into %s", regno,
				  vfy_type_str(e, r->type));
	err = vfy_buf_access(e, regno, off, size, false, what);
	if (!err && t == ACC_READ && value_regno >= 0)
		vfy_reg_unknown(e, &cur_regs(e)[value_regno]);
	return err;
}

static int other_mem(struct vfy_env *e, u32 regno, int off, int size, enum acc t, int value_regno)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	u32 base = R_BASE(r->type);

	if (!(r->type & RF_MAYBE_NULL)) {
		if (type_is_sk(r->type))
			return sk_mem(e, regno, off, size, t, value_regno);
		if (base == R_FLOW_KEYS)
			return flow_keys_mem(e, regno, off, size, t, value_regno);
		if (base == R_TP_BUFFER || base == R_BUF)
			return buf_mem(e, regno, off, size, t, value_regno);
		if (base == R_CONST_MAP)
			return vfy_btf_map_mem(e, regno, off, size, t, value_regno);
		if (base == R_BTF_ID)
			return vfy_btf_mem(e, regno, off, size, t, value_regno);
		if (base == R_ARENA)
			return vfy_unsupported(e, (int)regno, vfy_type_str(e, r->type));
	}
	return vfy_reject(e, r->type & RF_MAYBE_NULL ? VR_NULL : VR_BAD_POINTER, -EACCES, (int)regno,
			  "R%u invalid mem access '%s'", regno, vfy_type_str(e, r->type));
}

/* Access SIZE bytes at reg + OFF; for reads the result goes into VALUE_REGNO (-1: nowhere). */
int vfy_mem(struct vfy_env *e, u32 regno, int off, int size, enum acc t, int value_regno, bool strict, bool ldsx)
{
	struct vfy_reg *r = &cur_regs(e)[regno], *v;
	int err = vfy_alignment(e, r, (int)regno, off, size, strict), with = off + r->off;

	if (err)
		return err;
	if (r->type == R_MAP_KEY)
		err = map_key_mem(e, regno, with, size, t, value_regno);
	else if (r->type == R_MAP_VALUE)
		err = map_value_mem(e, regno, with, size, t, value_regno, ldsx);
	else if (R_BASE(r->type) == R_MEM)
		err = sized_mem(e, regno, with, size, t, value_regno);
	else if (r->type == R_CTX)
		err = ctx_mem(e, regno, off, size, t, value_regno, ldsx);
	else if (r->type == R_STACK)
		err = vfy_stack_rw(e, regno, off, size, t, value_regno);
	else if (r->type == R_PKT || r->type == R_PKT_META)
		err = pkt_mem(e, regno, with, size, t, value_regno);
	else
		err = other_mem(e, regno, with, size, t, value_regno);
	if (err || size == 8 || value_regno < 0 || t != ACC_READ)
		return err;
	v = &cur_regs(e)[value_regno];
	if (v->type == R_SCALAR) {
		if (ldsx)
			vfy_scalar_sext(&v->s, (u32)size);
		else
			vfy_scalar_trunc(&v->s, (u32)size);
	}
	return 0;
}

/* ---- instructions ---- */
static bool rewrite_depends(u32 type)
{
	u32 b = R_BASE(type);

	return b == R_CTX || b == R_BTF_ID || b == R_ARENA || type_is_sk(type);
}

/* Objects of the kernel, where loads must not fault. */
static bool kernel_memory(u32 type)
{
	u32 b = R_BASE(type);

	return (b == R_BTF_ID && !(type & RF_ALLOC)) || b == R_CONST_MAP || (type & RF_UNTRUSTED);
}

static bool mem_or_btf(u32 type) { return R_BASE(type) == R_MEM || R_BASE(type) == R_BTF_ID; }

/* What is rewritten according to the pointer's type must see one type on all paths. A load from a kernel object that is
 * trusted on one path only becomes one that cannot fault (aux.probe). */
static int save_ptr_type(struct vfy_env *e, u32 type, bool load)
{
	struct vfy_aux *aux = &e->aux[e->insn];

	if (load && kernel_memory(type))
		aux->probe = 1;

	if (aux->ptr_type == R_NOT_INIT) {
		aux->ptr_type = type;
		return 0;
	}
	if (load && mem_or_btf(type) && mem_or_btf(aux->ptr_type))
		return 0;
	if (type != aux->ptr_type && (rewrite_depends(type) || rewrite_depends(aux->ptr_type)))
		return vfy_reject(e, VR_MIXED_POINTERS, -EINVAL, -1,
				  "same insn cannot be used with different pointers");
	return 0;
}

int vfy_load(struct vfy_env *e, const struct bpf_insn *insn, bool strict, bool ldsx)
{
	u32 type;
	int err;

	err = vfy_check_read(e, insn->src_reg);
	if (!err)
		err = vfy_check_write(e, insn->dst_reg);
	if (err)
		return err;
	type = cur_regs(e)[insn->src_reg].type;
	err = vfy_mem(e, insn->src_reg, insn->off, vfy_access_size(insn->code), ACC_READ, insn->dst_reg, strict,
		      ldsx);
	return err ? err : save_ptr_type(e, type, true);
}

static int store_reg(struct vfy_env *e, const struct bpf_insn *insn, bool strict)
{
	u32 type;
	int err;

	err = vfy_check_read(e, insn->src_reg);
	if (!err)
		err = vfy_check_read(e, insn->dst_reg);
	if (err)
		return err;
	type = cur_regs(e)[insn->dst_reg].type;
	err = vfy_mem(e, insn->dst_reg, insn->off, vfy_access_size(insn->code), ACC_WRITE, insn->src_reg, strict,
		      false);
	return err ? err : save_ptr_type(e, type, false);
}

int vfy_store(struct vfy_env *e, const struct bpf_insn *insn)
{
	u32 type;
	int err;

	if (BPF_CLASS(insn->code) == BPF_STX) {
		if (BPF_MODE(insn->code) != BPF_MEM || insn->imm)
			return vfy_reject(e, VR_RESERVED, -EINVAL, -1, "BPF_STX uses reserved fields");
		return store_reg(e, insn, false);
	}
	if (BPF_MODE(insn->code) != BPF_MEM || insn->src_reg)
		return vfy_reject(e, VR_RESERVED, -EINVAL, -1, "BPF_ST uses reserved fields");
	err = vfy_check_read(e, insn->dst_reg);
	if (err)
		return err;
	type = cur_regs(e)[insn->dst_reg].type;
	err = vfy_mem(e, insn->dst_reg, insn->off, vfy_access_size(insn->code), ACC_WRITE, -1, false, false);
	return err ? err : save_ptr_type(e, type, false);
}

/* ---- atomics ---- */
static bool atomic_ptr_ok(u32 type)
{
	u32 b = R_BASE(type);

	return !(b == R_CTX || type_is_pkt(type) || b == R_FLOW_KEYS || type_is_sk(type) || b == R_PKT_END);
}

static int atomic_rmw(struct vfy_env *e, const struct bpf_insn *insn)
{
	int size = vfy_access_size(insn->code), load = -1, err;
	struct vfy_reg *regs = cur_regs(e);

	if (size < 4)
		return vfy_reject(e, VR_BAD_INSN, -EINVAL, -1, "invalid atomic operand size");
	err = vfy_check_read(e, insn->src_reg);
	if (!err)
		err = vfy_check_read(e, insn->dst_reg);
	if (!err && insn->imm == BPF_CMPXCHG) {
		err = vfy_check_read(e, 0);
		if (!err && leaks(e, 0))
			return vfy_reject(e, VR_PTR_LEAK, -EACCES, 0, "R%d leaks addr into mem", 0);
	}
	if (err)
		return err;
	if (leaks(e, insn->src_reg))
		return vfy_reject(e, VR_PTR_LEAK, -EACCES, insn->src_reg, "R%d leaks addr into mem",
				  insn->src_reg);
	if (!atomic_ptr_ok(regs[insn->dst_reg].type))
		return vfy_reject(e, VR_ATOMIC, -EACCES, insn->dst_reg, "BPF_ATOMIC stores into R%d %s is not allowed",
				  insn->dst_reg, vfy_type_str(e, regs[insn->dst_reg].type));
	if (insn->imm & BPF_FETCH) {
		load = insn->imm == BPF_CMPXCHG ? 0 : insn->src_reg;
		err = vfy_check_write(e, (u32)load);
		if (err)
			return err;
	}
	err = vfy_mem(e, insn->dst_reg, insn->off, size, ACC_READ, -1, true, false);
	if (!err && load >= 0) {
		struct vfy_reg dst = regs[insn->dst_reg];

		err = vfy_mem(e, insn->dst_reg, insn->off, size, ACC_READ, load, true, false);
		if (!err && load == insn->dst_reg) {	/* the address register was the value register */
			struct vfy_reg got = regs[load];

			regs[load] = dst;
			err = vfy_mem(e, insn->dst_reg, insn->off, size, ACC_WRITE, -1, true, false);
			cur_regs(e)[load] = got;
			return err ? err : save_ptr_type(e, dst.type, false);
		}
	}
	if (err)
		return err;
	err = vfy_mem(e, insn->dst_reg, insn->off, size, ACC_WRITE, -1, true, false);
	return err ? err : save_ptr_type(e, regs[insn->dst_reg].type, false);
}

int vfy_atomic(struct vfy_env *e, const struct bpf_insn *insn)
{
	u32 base = insn->imm == BPF_LOAD_ACQ ? insn->src_reg : insn->dst_reg;
	int err;

	switch (insn->imm) {
	case BPF_ADD:
	case BPF_AND:
	case BPF_OR:
	case BPF_XOR:
	case BPF_ADD | BPF_FETCH:
	case BPF_AND | BPF_FETCH:
	case BPF_OR | BPF_FETCH:
	case BPF_XOR | BPF_FETCH:
	case BPF_XCHG:
	case BPF_CMPXCHG:
		return atomic_rmw(e, insn);
	case BPF_LOAD_ACQ:
	case BPF_STORE_REL:
		break;
	default:
		return vfy_reject(e, VR_BAD_INSN, -EINVAL, -1, "BPF_ATOMIC uses invalid atomic opcode %02x",
				  (u32)insn->imm);
	}
	err = vfy_check_read(e, base);
	if (err)
		return err;
	if (!atomic_ptr_ok(cur_regs(e)[base].type))
		return vfy_reject(e, VR_ATOMIC, -EACCES, (int)base, "BPF_ATOMIC %s R%u %s is not allowed",
				  insn->imm == BPF_LOAD_ACQ ? "loads from" : "stores into", base,
				  vfy_type_str(e, cur_regs(e)[base].type));
	return insn->imm == BPF_LOAD_ACQ ? vfy_load(e, insn, true, false) : store_reg(e, insn, true);
}

/* ---- packet data moved or freed ---- */
static void pkt_forget(struct vfy_frame *f, struct vfy_reg *r, void *arg)
{
	u32 slice = (r->type & RF_SLICE_MASK) / RF_SLICE(1);

	if (type_is_pkt(r->type) || R_BASE(r->type) == R_PKT_END || (slice && vfy_dynptr_is_packet(slice)))
		vfy_reg_invalid(arg, r);
}

void vfy_pkt_invalidate(struct vfy_env *e)
{
	vfy_each_reg(e->cur, pkt_forget, e);
}
