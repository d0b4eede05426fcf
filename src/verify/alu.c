/* SPDX-License-Identifier: Apache-2.0 */
/* alu.c - arithmetic: on scalars (scalar.c computes the ranges) and on pointers, where only adding to and subtracting
 * from the offset keeps a pointer a pointer. Order of the checks and their words: Linux 6.18. */
#include "verify/vfy.h"

static const char *const op_text[16] = {
	"+=", "-=", "*=", "/=", "|=", "&=", "<<=", ">>=", "neg", "%=", "^=", "=", "s>>=", "endian",
};

static bool is_ptr_value(struct vfy_env *e, u32 r)
{
	return !e->allow_ptr_leaks && cur_regs(e)[r].type != R_SCALAR;
}

/* ---- pointers ---- */
static bool sane_offset(struct vfy_env *e, const struct vfy_reg *r, u32 type)
{
	s64 val = (s64)r->s.var.value, smin = r->s.smin;

	if (tnum_is_const(r->s.var) && (val >= MAX_VAR_OFF || val <= -MAX_VAR_OFF)) {
		vfy_reject(e, VR_PTR_RANGE, -EINVAL, -1, "math between %s pointer and %lld is not allowed",
			   vfy_type_str(e, type), (long long)val);
		return false;
	}
	if (r->off >= MAX_VAR_OFF || r->off <= -MAX_VAR_OFF) {
		vfy_reject(e, VR_PTR_RANGE, -EINVAL, -1, "%s pointer offset %d is not allowed",
			   vfy_type_str(e, type), r->off);
		return false;
	}
	if (smin == INT64_MIN) {
		vfy_reject(e, VR_PTR_RANGE, -EINVAL, -1,
			   "math between %s pointer and register with unbounded min value is not allowed",
			   vfy_type_str(e, type));
		return false;
	}
	if (smin >= MAX_VAR_OFF || smin <= -MAX_VAR_OFF) {
		vfy_reject(e, VR_PTR_RANGE, -EINVAL, -1, "value %lld makes %s pointer be out of bounds",
			   (long long)smin, vfy_type_str(e, type));
		return false;
	}
	return true;
}

static bool movable(u32 type, bool known, s64 val, u8 op)
{
	switch (R_BASE(type)) {
	case R_CTX:
	case R_MAP_VALUE:
	case R_MAP_KEY:
	case R_STACK:
	case R_PKT_META:
	case R_PKT:
	case R_TP_BUFFER:
	case R_BTF_ID:
	case R_MEM:
	case R_BUF:
	case R_FUNC:
	case R_DYNPTR:
		return true;
	case R_FLOW_KEYS:
		if (known)
			return true;
		/* fall through */
	case R_CONST_MAP:
		return known && val == 0 && op == BPF_ADD;
	}
	return false;
}

/* Unprivileged: a pointer must not even leave its object in between. */
static int unpriv_bounds(struct vfy_env *e, u32 dst)
{
	const struct vfy_reg *r = &cur_regs(e)[dst];
	s64 off;

	if (e->bypass_spec)
		return 0;
	if (r->type == R_STACK) {
		if (!tnum_is_const(r->s.var))
			return vfy_reject(e, VR_UNPRIV, -EACCES, (int)dst,
					  "R%u variable stack access prohibited for !root, var_off=%s off=%d", dst,
					  vfy_tnum_str(e, r->s.var), r->off + (int)r->s.var.value);
		off = r->off + (s64)r->s.var.value;
		if (off >= 0 || off < -MAX_STACK) {
			return vfy_reject(e, VR_UNPRIV, -EACCES, (int)dst,
					  "R%u stack pointer arithmetic goes out of range, prohibited for !root; "
					  "off=%lld", dst, (long long)off);
		}
	} else if (r->type == R_MAP_VALUE && vfy_map_access(e, dst, r->off, 1, false, true)) {
		vfy_note(e, "R%u pointer arithmetic of map value goes out of range, prohibited for !root", dst);
		return -EACCES;
	}
	return 0;
}

/* Unprivileged: only what a processor that guesses wrong could still be kept inside of. OFF is the scalar operand. */
static int unpriv_operands(struct vfy_env *e, const struct bpf_insn *insn, const struct vfy_reg *p,
			   const struct vfy_reg *off, bool swapped)
{
	static const char *const no = "pointer arithmetic with it prohibited for !root";
	bool known = tnum_is_const(off->s.var), add = BPF_OP(insn->code) == BPF_ADD, left;
	u32 off_reg = swapped ? insn->dst_reg : insn->src_reg, ptr_reg = swapped ? insn->src_reg : insn->dst_reg;
	s64 limit, max;

	if (e->bypass_spec || BPF_SRC(insn->code) == BPF_K || (!add && BPF_OP(insn->code) != BPF_SUB))
		return 0;
	if (!known && (off->s.smin < 0) != (off->s.smax < 0))
		return vfy_reject(e, VR_UNPRIV, -EACCES, (int)off_reg,
				  "R%u has unknown scalar with mixed signed bounds, %s", off_reg, no);
	left = (add && off->s.smin < 0) || (!add && !(off->s.smin < 0));
	if (p->type == R_STACK) {
		max = MAX_STACK + left;
		limit = -((s64)p->s.var.value + p->off);
	} else if (p->type == R_MAP_VALUE) {
		max = p->map->value_size;
		limit = (left ? p->s.smin : (s64)p->s.umax) + p->off;
	} else {
		return vfy_reject(e, VR_UNPRIV, -EACCES, (int)ptr_reg,
				  "R%u has pointer with unsupported alu operation, %s", ptr_reg, no);
	}
	if (limit < 0 || limit >= max)
		return vfy_reject(e, VR_UNPRIV, -EACCES, insn->dst_reg,
				  "R%u tried to %s beyond pointer boundary, %s", insn->dst_reg, add ? "add" : "sub", no);
	return 0;
}

static int ptr_sub(struct vfy_env *e, u32 dst, const struct vfy_reg *p, const struct vfy_reg *off, bool swapped)
{
	struct vfy_reg *d = &cur_regs(e)[dst];
	bool known = tnum_is_const(off->s.var);
	s64 v = off->s.smin;

	if (swapped)
		return vfy_reject(e, VR_PTR_MATH, -EACCES, (int)dst, "R%u tried to subtract pointer from scalar",
				  dst);
	if (p->type == R_STACK)
		return vfy_reject(e, VR_PTR_MATH, -EACCES, (int)dst,
				  "R%u subtraction from stack pointer prohibited", dst);
	*d = *p;
	if (known && p->off - v == (s64)(s32)(p->off - v)) {
		d->off = (s32)(p->off - v);
		vfy_scalar_unbound32(&d->s);
		vfy_scalar_sync(&d->s);
		return 0;
	}
	vfy_scalar_ptr_sub(&d->s, &p->s, &off->s);
	if (type_is_pkt(p->type)) {
		d->id = ++e->id_gen;
		if (v < 0)
			d->raw[0] = d->raw[1] = 0;
	}
	return 0;
}

static int ptr_add(struct vfy_env *e, u32 dst, const struct vfy_reg *p, const struct vfy_reg *off)
{
	struct vfy_reg *d = &cur_regs(e)[dst];
	bool known = tnum_is_const(off->s.var);
	s64 v = off->s.smin;

	*d = *p;
	if (known && p->off + v == (s64)(s32)(p->off + v)) {
		d->off = (s32)(p->off + v);
		vfy_scalar_unbound32(&d->s);
		vfy_scalar_sync(&d->s);
		return 0;
	}
	vfy_scalar_ptr_add(&d->s, &p->s, &off->s);
	if (type_is_pkt(p->type)) {
		d->id = ++e->id_gen;
		d->raw[0] = d->raw[1] = 0;
	}
	return 0;
}

/* dst = pointer OP scalar, or scalar OP pointer when SWAPPED. P and OFF are copies. */
static int ptr_alu(struct vfy_env *e, const struct bpf_insn *insn, const struct vfy_reg *p,
		   const struct vfy_reg *off, bool swapped)
{
	u32 dst = insn->dst_reg;
	struct vfy_reg *d = &cur_regs(e)[dst];
	u8 op = BPF_OP(insn->code);
	bool known = tnum_is_const(off->s.var);
	int err;

	if ((known && (off->s.smin != off->s.smax || off->s.umin != off->s.umax)) || off->s.smin > off->s.smax ||
	    off->s.umin > off->s.umax) {	/* a dead branch that was not recognised as one */
		vfy_reg_unknown(e, d);
		return 0;
	}
	if (BPF_CLASS(insn->code) != BPF_ALU64) {
		if (op == BPF_SUB && e->allow_ptr_leaks) {
			vfy_reg_unknown(e, d);
			return 0;
		}
		return vfy_reject(e, VR_PTR_MATH, -EACCES, (int)dst, "R%u 32-bit pointer arithmetic prohibited",
				  dst);
	}
	if (p->type & RF_MAYBE_NULL)
		return vfy_reject(e, VR_NULL, -EACCES, (int)dst,
				  "R%u pointer arithmetic on %s prohibited, null-check it first", dst,
				  vfy_type_str(e, p->type));
	if (!movable(p->type, known, off->s.smin, op))
		return vfy_reject(e, VR_PTR_MATH, -EACCES, (int)dst, "R%u pointer arithmetic on %s prohibited",
				  dst, vfy_type_str(e, p->type));
	if (!sane_offset(e, off, p->type) || !sane_offset(e, p, p->type))
		return -EINVAL;
	err = unpriv_operands(e, insn, p, off, swapped);
	if (err)
		return err;
	switch (op) {
	case BPF_ADD:
		err = ptr_add(e, dst, p, off);
		break;
	case BPF_SUB:
		err = ptr_sub(e, dst, p, off, swapped);
		break;
	case BPF_AND:
	case BPF_OR:
	case BPF_XOR:
		return vfy_reject(e, VR_PTR_MATH, -EACCES, (int)dst, "R%u bitwise operator %s on pointer prohibited",
				  dst, op_text[op >> 4]);
	default:
		return vfy_reject(e, VR_PTR_MATH, -EACCES, (int)dst,
				  "R%u pointer arithmetic with %s operator prohibited", dst, op_text[op >> 4]);
	}
	if (err)
		return err;
	if (!sane_offset(e, &cur_regs(e)[dst], p->type))
		return -EINVAL;
	return unpriv_bounds(e, dst);
}

/* ---- scalars ---- */
/* A number known to be -1 or 0 is walked as two constants, when the next step would blur it. */
static int maybe_fork(struct vfy_env *e, const struct bpf_insn *insn, struct vfy_reg *d, const struct vfy_scalar *s)
{
	struct vfy_state *other;

	if (!vfy_scalar_forks(insn->code, &d->s, s))
		return 0;
	other = vfy_push(e, e->insn, e->insn, false);
	if (!other)
		return e->err_code;
	vfy_scalar_fork(&d->s, &other->frame[other->curframe]->regs[insn->dst_reg].s, &d->s);
	return 0;
}

static int scalar_alu(struct vfy_env *e, const struct bpf_insn *insn, const struct vfy_reg *src)
{
	struct vfy_reg *d = &cur_regs(e)[insn->dst_reg];
	bool wide = BPF_CLASS(insn->code) == BPF_ALU64;
	struct vfy_scalar s = src->s;
	int err = maybe_fork(e, insn, d, &s);

	if (err)
		return err;
	d->type = R_SCALAR;
	vfy_scalar_alu(insn->code, insn->off, &d->s, &s);
	/* rX = rY + const: remember the distance, so that a bound found for one holds for the other */
	if (e->bpf_capable && BPF_OP(insn->code) == BPF_ADD && wide && d->id && vfy_scalar_is_const(&s)) {
		if ((d->id & ID_ADD_CONST) || s.var.value > INT32_MAX) {
			d->off = 0;
			d->id = 0;
		} else {
			d->id |= ID_ADD_CONST;
			d->off = (s32)s.var.value;
		}
	} else {
		d->id = 0;
		d->off = 0;
	}
	return 0;
}

static int binary(struct vfy_env *e, const struct bpf_insn *insn)
{
	struct vfy_reg *regs = cur_regs(e), *d = &regs[insn->dst_reg], src, dst = *d;
	int err;

	if (BPF_SRC(insn->code) == BPF_K) {
		vfy_reg_const(&src, BPF_CLASS(insn->code) == BPF_ALU64 ? (u64)(s64)insn->imm : (u64)(s64)insn->imm);
		return dst.type == R_SCALAR ? scalar_alu(e, insn, &src) : ptr_alu(e, insn, &dst, &src, false);
	}
	src = regs[insn->src_reg];
	if (src.type != R_SCALAR && dst.type != R_SCALAR) {
		if (BPF_OP(insn->code) == BPF_SUB && e->allow_ptr_leaks) {
			vfy_reg_unknown(e, d);
			return 0;
		}
		return vfy_reject(e, VR_PTR_MATH, -EACCES, insn->dst_reg, "R%u pointer %s pointer prohibited",
				  insn->dst_reg, op_text[BPF_OP(insn->code) >> 4]);
	}
	if (src.type != R_SCALAR) {
		err = vfy_precise(e, insn->dst_reg);
		return err ? err : ptr_alu(e, insn, &src, &dst, true);
	}
	if (dst.type != R_SCALAR) {
		err = vfy_precise(e, insn->src_reg);
		return err ? err : ptr_alu(e, insn, &dst, &src, false);
	}
	if (dst.precise) {
		err = vfy_precise(e, insn->src_reg);
		if (err)
			return err;
	}
	return scalar_alu(e, insn, &src);
}

static int unary(struct vfy_env *e, const struct bpf_insn *insn)
{
	bool neg = BPF_OP(insn->code) == BPF_NEG, wide = BPF_CLASS(insn->code) == BPF_ALU64;
	struct vfy_reg *d;
	int err;

	if (neg && (BPF_SRC(insn->code) != BPF_K || insn->src_reg || insn->off || insn->imm))
		return vfy_reject(e, VR_RESERVED, -EINVAL, -1, "BPF_NEG uses reserved fields");
	if (!neg && (insn->src_reg || insn->off || (insn->imm != 16 && insn->imm != 32 && insn->imm != 64) ||
		     (wide && BPF_SRC(insn->code) != BPF_TO_LE)))
		return vfy_reject(e, VR_RESERVED, -EINVAL, -1, "BPF_END uses reserved fields");
	err = vfy_check_read(e, insn->dst_reg);
	if (err)
		return err;
	if (is_ptr_value(e, insn->dst_reg))
		return vfy_reject(e, VR_PTR_MATH, -EACCES, insn->dst_reg, "R%u pointer arithmetic prohibited",
				  insn->dst_reg);
	err = vfy_check_write(e, insn->dst_reg);
	if (err)
		return err;
	d = &cur_regs(e)[insn->dst_reg];
	if (d->type == R_SCALAR && neg) {
		struct vfy_reg src = *d;

		vfy_scalar_alu(insn->code, insn->off, &d->s, &src.s);
		d->id = 0;
		d->off = 0;
	} else {
		vfy_reg_unknown(e, d);
	}
	return 0;
}

/* ---- moves ---- */
static int mov_reg64(struct vfy_env *e, const struct bpf_insn *insn)
{
	struct vfy_reg *regs = cur_regs(e), *s = &regs[insn->src_reg], *d = &regs[insn->dst_reg];
	bool keeps;

	if (!insn->off) {
		vfy_scalar_id_assign(e, s);
		*d = *s;
		return 0;
	}
	if (is_ptr_value(e, insn->src_reg))
		return vfy_reject(e, VR_PTR_MATH, -EACCES, insn->src_reg, "R%u sign-extension part of pointer",
				  insn->src_reg);
	if (s->type != R_SCALAR) {
		vfy_reg_unknown(e, d);
		return 0;
	}
	keeps = s->s.umax < 1ull << (insn->off - 1);
	if (keeps)
		vfy_scalar_id_assign(e, s);
	*d = *s;
	if (!keeps)
		d->id = 0;
	vfy_scalar_sext(&d->s, (u32)insn->off / 8);
	return 0;
}

static int mov_reg32(struct vfy_env *e, const struct bpf_insn *insn)
{
	struct vfy_reg *regs = cur_regs(e), *s = &regs[insn->src_reg], *d = &regs[insn->dst_reg];
	bool keeps;

	if (is_ptr_value(e, insn->src_reg))
		return vfy_reject(e, VR_PTR_MATH, -EACCES, insn->src_reg, "R%u partial copy of pointer",
				  insn->src_reg);
	if (s->type != R_SCALAR) {
		vfy_reg_unknown(e, d);
		vfy_scalar_zext32(&d->s);
		return 0;
	}
	keeps = insn->off ? s->s.umax < 1ull << (insn->off - 1) : vfy_scalar_width(&s->s) <= 32;
	if (keeps)
		vfy_scalar_id_assign(e, s);
	*d = *s;
	if (!keeps)
		d->id = 0;
	if (insn->off)
		vfy_scalar_sext32(&d->s, (u32)insn->off / 8);
	vfy_scalar_zext32(&d->s);
	return 0;
}

static int mov(struct vfy_env *e, const struct bpf_insn *insn)
{
	bool wide = BPF_CLASS(insn->code) == BPF_ALU64;
	s16 off = insn->off;
	int err;

	if (BPF_SRC(insn->code) == BPF_X) {
		if (wide && off == BPF_ADDR_SPACE_CAST)
			return vfy_reject(e, VR_ARENA, -EINVAL, -1,
					  "addr_space_cast insn can only be used in a program that has an "
					  "associated arena");
		if (insn->imm || (off && off != 8 && off != 16 && !(wide && off == 32)))
			return vfy_reject(e, VR_RESERVED, -EINVAL, -1, "BPF_MOV uses reserved fields");
		err = vfy_check_read(e, insn->src_reg);
		if (!err)
			err = vfy_check_write(e, insn->dst_reg);
		if (err)
			return err;
		return wide ? mov_reg64(e, insn) : mov_reg32(e, insn);
	}
	if (insn->src_reg || off)
		return vfy_reject(e, VR_RESERVED, -EINVAL, -1, "BPF_MOV uses reserved fields");
	err = vfy_check_write(e, insn->dst_reg);
	if (err)
		return err;
	vfy_reg_const(&cur_regs(e)[insn->dst_reg], wide ? (u64)(s64)insn->imm : (u32)insn->imm);
	return 0;
}

int vfy_alu(struct vfy_env *e, const struct bpf_insn *insn)
{
	u8 op = BPF_OP(insn->code);
	bool divmod = op == BPF_DIV || op == BPF_MOD, imm = BPF_SRC(insn->code) == BPF_K;
	int err, bits = BPF_CLASS(insn->code) == BPF_ALU64 ? 64 : 32;

	if (op == BPF_END || op == BPF_NEG)
		return unary(e, insn);
	if (op == BPF_MOV)
		return mov(e, insn);
	if (op > BPF_END)
		return vfy_reject(e, VR_BAD_INSN, -EINVAL, -1, "invalid BPF_ALU opcode %x", op);
	if ((imm ? insn->src_reg != 0 : insn->imm != 0) || (u16)insn->off > 1 || (insn->off == 1 && !divmod))
		return vfy_reject(e, VR_RESERVED, -EINVAL, -1, "BPF_ALU uses reserved fields");
	err = imm ? 0 : vfy_check_read(e, insn->src_reg);
	if (!err)
		err = vfy_check_read(e, insn->dst_reg);
	if (err)
		return err;
	if (divmod && imm && insn->imm == 0)
		return vfy_reject(e, VR_DIV_ZERO, -EINVAL, -1, "div by zero");
	if ((op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH) && imm && (insn->imm < 0 || insn->imm >= bits))
		return vfy_reject(e, VR_SHIFT, -EINVAL, -1, "invalid shift %d", insn->imm);
	err = vfy_check_write(e, insn->dst_reg);
	return err ? err : binary(e, insn);
}
