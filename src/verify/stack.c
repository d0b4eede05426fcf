/* SPDX-License-Identifier: Apache-2.0 */
/* stack.c - loads, stores and helper accesses on BPF stacks: spills, fills, partial and variable-offset accesses.
 * Invariants: slots[i] covers fp-8(i+1) .. fp-8i-1; a spilled register occupies the lowest bytes of its slot
 * (type[SLOT-1] downwards); slot.reg has a meaning only while type[SLOT-1] is S_SPILL (or a special type). */
#include <stdio.h>

#include "verify/vfy.h"

const char *vfy_tnum_str(struct vfy_env *e, struct tnum t)
{
	if (tnum_is_const(t))
		snprintf(e->tmp, sizeof(e->tmp), "%llu", (unsigned long long)t.value);
	else
		snprintf(e->tmp, sizeof(e->tmp), "(0x%llx; 0x%llx)", (unsigned long long)t.value,
			 (unsigned long long)t.mask);
	return e->tmp;
}

static bool slot_spilled(const struct vfy_slot *s) { return s->type[SLOT - 1] == S_SPILL; }
static bool slot_special(const struct vfy_slot *s)
{
	u8 t = s->type[SLOT - 1];

	return t == S_SPILL || t == S_DYNPTR || t == S_ITER || t == S_IRQ_FLAG;
}

/* Slots that the bytes [lo, hi) (negative offsets) lie in. */
static u64 slots_of(int lo, int hi)
{
	u32 first = (u32)(-hi) / SLOT, last = (u32)(-lo - 1) / SLOT;
	u64 m = last >= 63 ? ~0ull : BIT64(last + 1) - 1;

	return m & ~(BIT64(first) - 1);
}

/* The bytes of slots are read: no parent state may ignore them, unless they were written in between. */
bool vfy_stack_read_mark(struct vfy_state *st, u32 frameno, u64 slots)
{
	bool changed = false;

	for (; st->parent; st = st->parent) {
		struct vfy_frame *f;

		slots &= ~st->frame[frameno]->stack_written;
		if (!slots || st->parent->curframe < frameno)
			break;
		f = st->parent->frame[frameno];
		slots &= ~f->stack_read;
		f->stack_read |= slots;
		changed |= slots;
	}
	return changed;
}

static void scrub(u8 *type)
{
	if (*type == S_SPILL || *type == S_DYNPTR || *type == S_ITER || *type == S_IRQ_FLAG)
		*type = S_MISC;
}

/* ---- bounds ---- */
static int bounds_error(struct vfy_env *e, u32 regno, int off, int size, enum acc t, int err)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	const char *what = t == ACC_READ ? " read from" : " write to";

	if (tnum_is_const(r->s.var))
		return vfy_reject(e, VR_STACK_BOUNDS, err, (int)regno, "invalid%s stack R%u off=%lld size=%d",
				  what, regno, (long long)((s64)r->s.var.value + off), size);
	return vfy_reject(e, VR_STACK_BOUNDS, err, (int)regno,
			  "invalid variable-offset%s stack R%u var_off=%s off=%d size=%d", what, regno,
			  vfy_tnum_str(e, r->s.var), off, size);
}

/* The access stays inside the frame; the frame is grown to hold it. OFF includes reg.off. */
static int in_bounds(struct vfy_env *e, u32 regno, int off, int size, enum acc t)
{
	const struct vfy_reg *r = &cur_regs(e)[regno];
	struct vfy_frame *f = e->cur->frame[r->frameno];
	s64 lo, hi, lowest = -MAX_STACK;

	if (tnum_is_const(r->s.var)) {
		lo = (s64)r->s.var.value + off;
		hi = lo + size;
	} else {
		if (r->s.smax >= MAX_VAR_OFF || r->s.smin <= -MAX_VAR_OFF)
			return vfy_reject(e, VR_STACK_BOUNDS, -EACCES, (int)regno,
					  "invalid unbounded variable-offset%s stack R%u",
					  t == ACC_READ ? " read from" : " write to", regno);
		lo = r->s.smin + off;
		hi = r->s.smax + off + size;
	}
	if (t == ACC_READ && !e->allow_uninit_stack)
		lowest = -(s64)f->nr_slots * SLOT;
	if (lo < lowest || lo > -1)
		return bounds_error(e, regno, off, size, t, -EACCES);
	if (hi > 0 || size < 0)		/* reaches beyond the frame pointer */
		return bounds_error(e, regno, off, size, t, size < 0 ? -EFAULT : -EINVAL);
	return vfy_slots_grow(e, f, (u32)-lo);
}

static int hist_stack(struct vfy_env *e, u32 frameno, u32 spi)
{
	return vfy_hist_push(e, HIST_STACK | spi | frameno << 6, 0);
}

/* ---- writes ---- */
static void save_reg(struct vfy_slot *s, const struct vfy_reg *r, int size)
{
	int i = SLOT;

	s->reg = *r;
	for (; i > SLOT - size; i--)
		s->type[i - 1] = S_SPILL;
	for (; i; i--) {
		u8 *t = &s->type[i - 1];

		if (*t != S_ZERO && *t != S_INVALID)
			*t = S_MISC;
	}
}

void vfy_scalar_id_assign(struct vfy_env *e, struct vfy_reg *r)
{
	if (r->type != R_SCALAR || tnum_is_const(r->s.var))
		return;
	if (r->id & ID_ADD_CONST) {	/* a linked id with an offset cannot be linked again */
		r->id = 0;
		r->off = 0;
	}
	if (!r->id)
		r->id = ++e->id_gen;
}

static bool spillable(u32 t)
{
	switch (R_BASE(t)) {
	case R_NOT_INIT:
	case R_SCALAR:
	case R_NR:
		return false;
	}
	return true;
}

static int write_misc(struct vfy_env *e, struct vfy_frame *f, int off, int size, int value_regno,
		      const struct bpf_insn *insn)
{
	u32 slot = (u32)(-off - 1);
	struct vfy_slot *s = &f->slots[slot / SLOT];
	struct vfy_reg *r = value_regno >= 0 ? &cur_regs(e)[value_regno] : NULL;
	bool imm = !r && BPF_CLASS(insn->code) == BPF_ST && BPF_MODE(insn->code) == BPF_MEM;
	u8 type = S_MISC;
	int err;

	if (slot_special(s))
		for (u32 i = 0; i < SLOT; i++)
			scrub(&s->type[i]);
	memset(&s->reg, 0, sizeof(s->reg));
	if ((r && reg_is_null(r)) || (imm && insn->imm == 0)) {
		err = value_regno >= 0 ? vfy_precise(e, (u32)value_regno) : 0;
		if (err)
			return err;
		type = S_ZERO;
	}
	for (u32 i = 0; i < (u32)size; i++)
		s->type[(slot - i) % SLOT] = type;
	return 0;
}

static int write_fixed(struct vfy_env *e, struct vfy_frame *f, int off, int size, int value_regno)
{
	const struct bpf_insn *insn = &e->insns[e->insn];
	u32 spi = (u32)(-off - 1) / SLOT;
	struct vfy_slot *s = &f->slots[spi];
	struct vfy_reg *r = value_regno >= 0 ? &cur_regs(e)[value_regno] : NULL, tmp;
	bool imm = !r && BPF_CLASS(insn->code) == BPF_ST && BPF_MODE(insn->code) == BPF_MEM;

	int err;

	if (!e->allow_ptr_leaks && slot_spilled(s) && s->reg.type != R_SCALAR && size != SLOT)
		return vfy_reject(e, VR_SPILL, -EACCES, -1, "attempt to corrupt spilled pointer on stack");
	err = vfy_dynptr_overwrite(e, f, spi);
	if (err)
		return err;
	scratch_slot(e, spi);
	if (size == SLOT)
		f->stack_written |= BIT64(spi);
	if (r && !(off % SLOT) && r->type == R_SCALAR && e->bpf_capable) {
		bool fits = vfy_scalar_width(&r->s) <= 8 * (u32)size;

		if (fits)
			vfy_scalar_id_assign(e, r);
		save_reg(s, r, size);
		if (!fits)
			s->reg.id = 0;
	} else if (imm && !(off % SLOT) && e->bpf_capable) {
		vfy_reg_const(&tmp, (u64)(s64)insn->imm);
		save_reg(s, &tmp, size);
	} else if (r && spillable(r->type)) {
		if (size != SLOT)
			return vfy_reject(e, VR_SPILL, -EACCES, value_regno, "invalid size of register spill");
		if (f != cur_frame(e) && R_BASE(r->type) == R_STACK)
			return vfy_reject(e, VR_SPILL, -EINVAL, value_regno,
					  "cannot spill pointers to stack into stack frame of the caller");
		save_reg(s, r, size);
	} else {
		return write_misc(e, f, off, size, value_regno, insn);
	}
	return hist_stack(e, f->frameno, spi);
}

static int write_var(struct vfy_env *e, u32 regno, struct vfy_frame *f, int off, int size, int value_regno)
{
	const struct bpf_insn *insn = &e->insns[e->insn];
	const struct vfy_reg *p = &cur_regs(e)[regno];
	struct vfy_reg *r = value_regno >= 0 ? &cur_regs(e)[value_regno] : NULL;
	int lo = (int)p->s.smin + off, hi = (int)p->s.smax + off + size;
	bool zero, zero_used = false;

	for (int i = lo; i < hi; i++) {
		int err = vfy_dynptr_overwrite(e, f, (u32)(-i - 1) / SLOT);

		if (err)
			return err;
	}
	zero = r ? reg_is_null(r) :
		   BPF_CLASS(insn->code) == BPF_ST && BPF_MODE(insn->code) == BPF_MEM && insn->imm == 0;
	for (int i = lo; i < hi; i++) {
		u32 slot = (u32)(-i - 1), spi = slot / SLOT;
		struct vfy_slot *s = &f->slots[spi];
		u8 *t = &s->type[slot % SLOT], new = S_MISC;

		scratch_slot(e, spi);
		if (!e->allow_ptr_leaks && *t != S_MISC && *t != S_ZERO)
			return vfy_reject(e, VR_SPILL, -EINVAL, -1,
					  "spilled ptr in range of var-offset stack write; insn %u, ptr off: %d",
					  e->insn, i);
		if (zero && *t == S_SPILL && slot_spilled(s) && reg_is_null(&s->reg)) {
			zero_used = true;
			continue;
		}
		if (slot_special(s))
			for (u32 j = 0; j < SLOT; j++)
				scrub(&s->type[j]);
		memset(&s->reg, 0, sizeof(s->reg));
		if (zero && *t == S_ZERO) {
			new = S_ZERO;
			zero_used = true;
		}
		if (*t == S_INVALID && !e->allow_uninit_stack)
			return vfy_reject(e, VR_UNINIT_STACK, -EINVAL, -1,
					  "uninit stack in range of var-offset write prohibited for !root; "
					  "insn %u, off: %d", e->insn, i);
		*t = new;
	}
	return zero_used && value_regno >= 0 ? vfy_precise(e, (u32)value_regno) : 0;
}

/* ---- reads ---- */
static int read_bytes(struct vfy_env *e, const struct vfy_slot *s, int off, int size, bool spill_ok)
{
	u32 slot = (u32)(-off - 1);

	for (u32 i = 0; i < (u32)size; i++) {
		u8 t = s->type[(slot - i) % SLOT];

		if (t == S_MISC || t == S_ZERO || (t == S_SPILL && spill_ok) ||
		    (t == S_INVALID && e->allow_uninit_stack))
			continue;
		return vfy_reject(e, VR_UNINIT_STACK, -EACCES, -1, "invalid read from stack off %d+%u size %d",
				  off, i, size);
	}
	return 0;
}

static u32 count_type(const struct vfy_slot *s, int off, int size, u8 type)
{
	u32 slot = (u32)(-off - 1), n = 0;

	for (u32 i = 0; i < (u32)size; i++)
		n += s->type[(slot - i) % SLOT] == type;
	return n;
}

/* A load of a part of a spilled scalar, or of a spill narrower than the slot. */
static int fill_part(struct vfy_env *e, struct vfy_frame *f, u32 spi, int off, int size, int dst)
{
	struct vfy_slot *s = &f->slots[spi];
	struct vfy_reg *r = &s->reg, *d = &cur_regs(e)[dst];
	int spilled = 1, err;

	for (int i = SLOT - 1; i > 0 && s->type[i - 1] == S_SPILL; i--)
		spilled++;
	if (size <= spilled && !(off % SLOT)) {
		if (e->bpf_capable && size == 4 && spilled == 4 && vfy_scalar_width(&r->s) <= 32)
			vfy_scalar_id_assign(e, r);
		*d = *r;
		if (vfy_scalar_width(&r->s) > (u32)size * 8)
			d->id = 0;
		return hist_stack(e, f->frameno, spi);
	}
	err = read_bytes(e, s, off, size, true);
	if (err)
		return err;
	if (count_type(s, off, size, S_SPILL) == (u32)size && reg_is_null(r)) {
		vfy_reg_const(d, 0);
		return hist_stack(e, f->frameno, spi);
	}
	if (count_type(s, off, size, S_ZERO) == (u32)size)
		vfy_reg_const(d, 0);
	else
		vfy_reg_unknown(e, d);
	return 0;
}

/* Bytes [lo, hi) were found initialised: zero if all are, else unknown. */
static void load_bytes(struct vfy_env *e, const struct vfy_frame *f, int lo, int hi, int dst)
{
	for (int i = lo; i < hi; i++)
		scratch_slot(e, (u32)(-i - 1) / SLOT);
	for (int i = lo; i < hi; i++) {
		u32 slot = (u32)(-i - 1);

		if (f->slots[slot / SLOT].type[slot % SLOT] != S_ZERO) {
			vfy_reg_unknown(e, &cur_regs(e)[dst]);
			return;
		}
	}
	vfy_reg_const(&cur_regs(e)[dst], 0);
}

static int read_fixed(struct vfy_env *e, struct vfy_frame *f, int off, int size, int dst)
{
	u32 spi = (u32)(-off - 1) / SLOT;
	struct vfy_slot *s = &f->slots[spi];
	int err;

	scratch_slot(e, spi);
	vfy_stack_read_mark(e->cur, f->frameno, BIT64(spi));
	if (!slot_spilled(s)) {
		err = read_bytes(e, s, off, size, false);
		if (!err && dst >= 0)
			load_bytes(e, f, off, off + size, dst);
		return err;
	}
	if (size != SLOT || s->type[0] != S_SPILL) {
		if (s->reg.type != R_SCALAR)
			return vfy_reject(e, VR_SPILL, -EACCES, -1, "invalid size of register fill");
		return dst < 0 ? 0 : fill_part(e, f, spi, off, size, dst);
	}
	if (dst >= 0) {
		if (e->bpf_capable)
			vfy_scalar_id_assign(e, &s->reg);
		cur_regs(e)[dst] = s->reg;
	} else if (s->reg.type != R_SCALAR && !e->allow_ptr_leaks) {
		return vfy_reject(e, VR_PTR_LEAK, -EACCES, -1, "leaking pointer from stack off %d", off);
	}
	return hist_stack(e, f->frameno, spi);
}

int vfy_stack_rw(struct vfy_env *e, u32 regno, int off, int size, enum acc t, int value_regno)
{
	struct vfy_reg *r = &cur_regs(e)[regno];
	struct vfy_frame *f = e->cur->frame[r->frameno];
	bool var = !tnum_is_const(r->s.var);
	int err;

	off += r->off;
	err = in_bounds(e, regno, off, size, t);
	if (err)
		return err;
	if (!var) {
		off += (int)r->s.var.value;
		return t == ACC_READ ? read_fixed(e, f, off, size, value_regno) :
				       write_fixed(e, f, off, size, value_regno);
	}
	if (t == ACC_WRITE && e->bypass_spec)
		return write_var(e, regno, f, off, size, value_regno);
	if (t == ACC_READ && value_regno < 0)
		return vfy_reject(e, VR_STACK_BOUNDS, -EACCES, (int)regno,
				  "variable offset stack pointer cannot be passed into helper function; "
				  "var_off=%s off=%d size=%d", vfy_tnum_str(e, r->s.var), off, size);
	if (!e->bypass_spec)
		return vfy_reject(e, VR_STACK_BOUNDS, -EACCES, (int)regno,
				  "R%u variable offset stack access prohibited for !root, var_off=%s", regno,
				  vfy_tnum_str(e, r->s.var));
	{
		int lo = (int)r->s.smin + off, hi = (int)r->s.smax + off + size;

		err = vfy_stack_helper(e, regno, off - r->off, size, false, ACC_READ, NULL);
		if (!err)
			load_bytes(e, f, lo, hi, value_regno);
	}
	return err;
}

/* One byte that a helper (or a load with unknown offset) reads or writes. */
static bool touch_byte(struct vfy_env *e, struct vfy_slot *s, u8 *t, bool clobber)
{
	if (*t == S_MISC)
		return true;
	if (*t == S_ZERO || (*t == S_INVALID && e->allow_uninit_stack)) {
		if (clobber)
			*t = S_MISC;
		return true;
	}
	if (!slot_spilled(s) || (s->reg.type != R_SCALAR && !e->allow_ptr_leaks))
		return false;
	if (clobber) {
		memset(&s->reg, 0, sizeof(s->reg));
		for (u32 j = 0; j < SLOT; j++)
			scrub(&s->type[j]);
	}
	return true;
}

/* A helper accesses SIZE bytes. RAW non-NULL: the memory need not be initialised and is written as a whole;
 * *RAW is set when the caller has to simulate those writes. */
int vfy_stack_helper(struct vfy_env *e, u32 regno, int off, int size, bool zero_ok, enum acc t, bool *raw)
{
	struct vfy_reg *r = &cur_regs(e)[regno];
	struct vfy_frame *f = e->cur->frame[r->frameno];
	int lo, hi, err;

	if (size == 0 && !zero_ok)
		return vfy_reject(e, VR_ZERO_SIZE, -EACCES, (int)regno, "invalid zero-sized read");
	off += r->off;
	err = in_bounds(e, regno, off, size, t);
	if (err)
		return err;
	if (tnum_is_const(r->s.var)) {
		lo = hi = (int)r->s.var.value + off;
		if (raw) {
			*raw = true;
			return 0;
		}
	} else {
		if (!e->bypass_spec)
			return vfy_reject(e, VR_STACK_BOUNDS, -EACCES, (int)regno,
					  "R%u variable offset stack access prohibited for !root, var_off=%s",
					  regno, vfy_tnum_str(e, r->s.var));
		lo = (int)r->s.smin + off;
		hi = (int)r->s.smax + off;
	}
	for (int i = lo; i < hi + size; i++) {
		u32 slot = (u32)(-i - 1);
		struct vfy_slot *s = &f->slots[slot / SLOT];

		if (!touch_byte(e, s, &s->type[slot % SLOT], t == ACC_WRITE)) {
			if (tnum_is_const(r->s.var))
				return vfy_reject(e, VR_UNINIT_STACK, -EACCES, (int)regno,
						  "invalid read from stack R%u off %d+%d size %d", regno, lo,
						  i - lo, size);
			return vfy_reject(e, VR_UNINIT_STACK, -EACCES, (int)regno,
					  "invalid read from stack R%u var_off %s+%d size %d", regno,
					  vfy_tnum_str(e, r->s.var), i - lo, size);
		}
	}
	if (size)
		vfy_stack_read_mark(e->cur, f->frameno, slots_of(lo, hi + size));
	return 0;
}
