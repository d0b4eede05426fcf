/* SPDX-License-Identifier: Apache-2.0 */
/* vfy.h - the verifier's inside: types shared by its files.
 *
 * Model: abstract interpretation, one path at a time. A state is a stack of frames; a frame has 11 registers and
 * stack slots of 8 bytes. Conditional jumps push the other way on a branch stack. States are remembered at
 * prune points; a path ends where its state is covered by a remembered one whose own exploration is
 * finished ("safe"). What may be ignored in that comparison is what the rest of the program cannot read (registers:
 * static liveness, cfg.c; stack: read marks along the parents, prune.c) and the exact value of scalars that no
 * check depended on (precision marks found by walking the history back, precise.c).
 *
 * Files: cfg (shape of the program), state (states, ids, references), alu, branch, mem + stack (accesses), call +
 * helper + kfunc, prune, precise, exit (R0 rules), log (the kernel's text), reject (why), rewrite (what runs).
 * Sources of knowledge: Linux 6.18 as an oracle; rows of src/spec. */
#ifndef SKEP_VFY_H
#define SKEP_VFY_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/btf.h"
#include "base/def.h"
#include "spec/fields.h"
#include "spec/spec.h"
#include "verify/scalar.h"
#include "verify/verify.h"
#include "vm/vm.h"

#ifndef ENOTSUPP
#define ENOTSUPP		524		/* the kernel has it, libc does not */
#endif
#define MAX_INSNS		1000000		/* instructions walked */
#define MAX_JMPS		8192		/* branches waiting */
#define MAX_FRAMES		8
#define MAX_STACK		512
#define MAX_SUBPROGS		256
#define MAX_VAR_OFF		(1 << 29)
#define MAX_PKT_OFF		0xffff
#define VFY_MAX_CPUS		8192		/* get_smp_processor_id() is below */
#define SLOT			8		/* bytes of a stack slot */
#define MAX_SLOTS		(MAX_STACK / SLOT)

/* ---- register types ---- */
enum vfy_base {
	R_NOT_INIT, R_SCALAR, R_CTX, R_CONST_MAP, R_MAP_VALUE, R_MAP_KEY, R_STACK, R_PKT_META, R_PKT,
	R_PKT_END, R_FLOW_KEYS, R_SOCKET, R_SOCK_COMMON, R_TCP_SOCK, R_TP_BUFFER, R_XDP_SOCK, R_BTF_ID, R_MEM,
	R_ARENA, R_BUF, R_FUNC, R_DYNPTR, R_NR,
};
#define R_BASE(t)	((t) & 0xff)
#define RF_MAYBE_NULL	BIT(8)
#define RF_RDONLY	BIT(9)
#define RF_RINGBUF	BIT(10)		/* memory of a ring buffer record */
#define RF_USER		BIT(11)
#define RF_PERCPU	BIT(12)
#define RF_UNTRUSTED	BIT(13)
#define RF_TRUSTED	BIT(14)
#define RF_RCU		BIT(15)
#define RF_ALLOC	BIT(16)
#define RF_NON_OWN	BIT(17)
#define RF_SLICE(kind)	((u32)(kind) << 18)	/* slices: enum vfy_dyn of the dynptr */
#define RF_SLICE_MASK	RF_SLICE(7)
#define RF_ALL		0xffffff00u

enum vfy_dyn { DYN_LOCAL = 1, DYN_RINGBUF, DYN_SKB, DYN_XDP, DYN_SKB_META };

struct vfy_reg {
	u32 type;			/* enum vfy_base | RF_* */
	s32 off;			/* pointers: constant part of the offset; scalars with ID_ADD_CONST: delta */
	struct vfy_scalar s;		/* scalars: the value; pointers: the variable part of the offset */
	union {
		s32 range;		/* packet pointers: bytes proved readable from the pointer's id base */
		struct {
			const struct vfy_map *map;
			u32 map_uid;	/* inner maps: of which lookup */
		};
		struct {
			const struct btf *btf;
			u32 btf_id;
		};
		struct {
			u32 mem_size;
			u32 dynptr_id;	/* slices: of which dynptr */
		};
		struct {
			u32 dyn_kind;	/* R_DYNPTR: enum vfy_dyn */
			u32 dyn_first;	/* the slot of the lower address */
		};
		struct {
			const struct btf *iter_btf;	/* S_ITER */
			u32 iter_id;	/* its struct */
			u32 iter_state : 2, iter_depth : 30;
		};
		u32 subprog;		/* R_FUNC */
		u64 raw[2];
	};
	u32 id;				/* same id: same value (scalars), same null-ness (or_null), same base (packets) */
	u32 ref_obj_id;			/* reference that this pointer holds */
	u32 frameno;			/* R_STACK: whose stack */
	bool precise;
};
#define ID_ADD_CONST	BIT(31)		/* scalar id: linked, differs by .off */

/* ---- stack ---- */
enum vfy_slot_type { S_INVALID, S_SPILL, S_MISC, S_ZERO, S_DYNPTR, S_ITER, S_IRQ_FLAG };

struct vfy_slot {
	struct vfy_reg reg;		/* what was spilled (S_SPILL), dynptr, iterator */
	u8 type[SLOT];			/* [SLOT - 1] is the lowest address: the order of the log */
};

struct vfy_retrange { s64 min, max; bool w32; };	/* w32: of the low half only */

struct vfy_frame {
	struct vfy_reg regs[11];
	s32 callsite;			/* -1: main or global function */
	u32 frameno, subprog;
	u32 nr_slots;
	struct vfy_slot *slots;		/* [0] is fp-8 */
	u64 stack_read;			/* slots read by continuations of this state before they were written */
	u64 stack_written;		/* slots fully written since the parent state */
	struct vfy_retrange cb_ret;	/* legal R0 of a callback */
	u32 cb_depth, async_entry;
	bool in_callback, in_async_callback;
};

enum vfy_ref_type { REF_PTR = 1, REF_LOCK, REF_RES_LOCK, REF_RES_LOCK_IRQ, REF_IRQ };
struct vfy_ref {
	u32 type, id;
	u32 insn;			/* where acquired */
	const void *ptr;		/* locks: the object */
};

struct vfy_hist {			/* one non-linear step, or one stack access worth remembering */
	u32 idx, prev_idx;
	u32 flags;			/* HIST_* */
	u64 linked;			/* registers and slots that shared an id at a jump: packed, see precise.c */
};
#define HIST_STACK	BIT(16)		/* accessed a stack slot through another register than r10 */
#define HIST_SPI(f)	((f) & 63)
#define HIST_FRAME(f)	(((f) >> 6) & 7)

struct vfy_state {
	struct vfy_frame *frame[MAX_FRAMES];
	struct vfy_state *parent;	/* remembered state that this one continues */
	u32 curframe;
	u32 branches;			/* unfinished paths below this state */
	u32 insn, first_insn, last_insn;
	struct vfy_ref *refs;
	u32 nr_refs, cap_refs;
	u32 active_locks, active_lock_id;
	const void *active_lock_ptr;
	u32 active_preempt, active_rcu, active_irq;
	bool speculative, in_sleepable;
	bool incomplete;		/* its marks wait for back edges (loop.c) */
	bool loop_target;		/* open back edges lead here */
	struct vfy_hist *hist;
	u32 nr_hist, cap_hist;
	u32 depth;			/* dfs depth */
	u32 may_goto_depth, cb_unroll_depth;
};

struct vfy_list {			/* remembered states of one instruction */
	struct vfy_state st;
	struct vfy_list *next;
	u32 hits, misses;
};

struct vfy_pending {			/* the branch stack */
	struct vfy_state st;
	u32 insn, prev_insn;
	u64 log_len;			/* of the whole log, dropped bytes included */
	struct vfy_pending *next;
};

/* ---- per instruction, per subprogram ---- */
enum vfy_xkind { X_NONE, X_CTX, X_MAP, X_DIRECT_VALUE, X_CONST, X_PROBE };

struct vfy_aux {
	u16 live;			/* registers live before the instruction */
	u8 jmp_point : 1, prune_point : 1, force_checkpoint : 1, calls_callback : 1, seen : 1, iter_next : 1;
	u8 fastcall : 1, mid : 1;	/* second half of LD_IMM64 */
	u8 probe : 1;			/* the load must not fault: on some path it reads a kernel object */
	u8 ptr_kind;			/* enum vfy_base + 1 of the pointer that the access used; 0 none */
	u32 ptr_type;			/* its full type: the same on each path where rewriting depends on it */
	const struct spec_ctx_field *ctx_field;
	const struct vfy_map *map;	/* calls: the map argument; LD_IMM64: the map */
	bool map_poison;		/* different maps on different paths */
	u32 direct_off;
	u32 alu_state;
	u32 scc;
	u32 mem_size;
};

struct vfy_sub {
	u32 start;
	s32 linfo;			/* first line_info record */
	u32 stack_depth;
	u32 func_type_id;		/* BTF FUNC, 0 none */
	const char *name;		/* NULL: no BTF */
	u32 linkage;			/* enum btf_func_linkage */
	bool global, called, verified, has_tail_call, has_ld_abs, is_cb, is_async_cb, changes_pkt, tail_reachable;
	bool might_sleep, arg_cached;
	u32 nr_args;
	struct vfy_sub_arg {
		u32 type;		/* enum spec_arg_base | flags */
		u32 mem_size;
		u32 btf_id;
	} args[5];
	bool returns_void;
};

struct vfy_env {
	const struct vfy_in *in;
	struct vfy_out *out;
	struct bpf_insn *insns;		/* own copy */
	u32 cnt;
	const struct spec_prog *prog;
	struct vfy_aux *aux;
	struct vfy_sub subs[MAX_SUBPROGS + 2];
	u32 nr_subs;
	struct vfy_list **seen;		/* per instruction; indexed by callsite hash too */
	struct vfy_list *dead;		/* forgotten, still somebody's parent */
	struct vfy_pending *pending;
	u32 nr_pending;
	struct vfy_record *records;	/* record.c */
	struct vfy_backedge *backedges;	/* loop.c */
	u32 open_backedges;
	bool marks_changed;
	struct vfy_state *cur;
	u32 insn, prev_insn;
	u32 cur_hist;			/* index + 1 of this instruction's history entry, 0 none */
	u32 processed, prev_processed, jmps, prev_jmps;
	u32 max_states, total_states, peak_states;
	u32 id_gen;
	bool allow_ptr_leaks, allow_uninit_stack, bypass_spec, bpf_capable, strict_align;
	bool test_freq;		/* BPF_F_TEST_STATE_FREQ: remember a state at every prune point */
	const struct btf *attach_btf;	/* attach.c: what a tracing program is made for */
	const char *attach_name;
	u32 attach_proto, attach_skip;	/* its FUNC_PROTO; arguments in front that programs do not see */
	struct vfy_name_id {		/* ids of vmlinux's types by name, as they were asked for */
		u64 hash;
		s32 id;
	} names[64];
	bool seen_direct_write, have_calls;
	bool oom, rejected;
	int err_code;
	u32 peak_now;
	/* log */
	u32 log_level;
	size_t prev_log_pos, prev_insn_print;
	u32 scratched_regs;
	u64 scratched_slots;
	s64 prev_linfo;
	struct sbuf err;		/* text of the rejection being made */
	char tmp[320];
	/* idmap for comparisons */
	struct { u32 old, cur; } idmap[64 * 12];
	u32 idmap_tmp, nr_idmap;
};

/* ---- small facts ---- */
static inline bool is_scalar(const struct vfy_reg *r) { return r->type == R_SCALAR; }
static inline bool type_is_pkt(u32 t) { return R_BASE(t) == R_PKT || R_BASE(t) == R_PKT_META; }
static inline bool reg_is_const(const struct vfy_reg *r)
{
	return r->type == R_SCALAR && tnum_is_const(r->s.var);
}
static inline bool reg_is_null(const struct vfy_reg *r)
{
	return reg_is_const(r) && r->s.var.value == 0;
}
static inline bool type_is_sk(u32 t)
{
	t = R_BASE(t);
	return t == R_SOCKET || t == R_SOCK_COMMON || t == R_TCP_SOCK || t == R_XDP_SOCK;
}
static inline struct vfy_frame *cur_frame(struct vfy_env *e) { return e->cur->frame[e->cur->curframe]; }
static inline struct vfy_reg *cur_regs(struct vfy_env *e) { return cur_frame(e)->regs; }

/* ---- reject.c: rules ---- */
enum vfy_rule {
#define RULE(id, name, text) VR_##name,
#include "verify/rules.def"
#undef RULE
	VR_LAST
};
/* Record the rejection and write the kernel's sentence (without newline; one is added). Returns ERR. */
int vfy_reject(struct vfy_env *e, enum vfy_rule rule, int err, int reg, const char *fmt, ...)
	__printf(5, 6);
/* A line of the kernel's that comes before or after the decisive one. */
void vfy_note(struct vfy_env *e, const char *fmt, ...) __printf(2, 3);
/* The kernel would accept or judge this; skep cannot yet. Clean rejection that says so. */
int vfy_unsupported(struct vfy_env *e, int reg, const char *what);
void vfy_reason_finish(struct vfy_env *e, int err);
int vfy_nomem(struct vfy_env *e);

/* ---- log.c ---- */
void vfy_log(struct vfy_env *e, const char *fmt, ...) __printf(2, 3);
const char *vfy_rule_text(const char *id);
const char *vfy_type_str(struct vfy_env *e, u32 type);
void vfy_reg_print(struct vfy_env *e, struct sbuf *b, const struct vfy_frame *f, const struct vfy_reg *r);
void vfy_state_print(struct vfy_env *e, const struct vfy_state *st, u32 frameno, bool all);
void vfy_insn_state_print(struct vfy_env *e);
void vfy_insn_print(struct vfy_env *e, u32 idx);
void vfy_insn_log(struct vfy_env *e);
void vfy_log_reset(struct vfy_env *e, u64 len);
void vfy_linfo_print(struct vfy_env *e, u32 idx, const char *prefix);
void vfy_stats_print(struct vfy_env *e);
const char *vfy_btf_name(struct vfy_env *e, const struct btf *btf, u32 id);
static inline void scratch_reg(struct vfy_env *e, u32 r) { e->scratched_regs |= BIT(r); }
static inline void scratch_slot(struct vfy_env *e, u32 i) { e->scratched_slots |= BIT64(i & 63); }
void vfy_linfo_find(struct vfy_env *e, u32 idx, const struct bpf_line_info **out);

/* ---- cfg.c, live.c ---- */
struct vfy_succ { u32 n, to[2]; };
void vfy_cfg_succ(struct vfy_env *e, u32 i, struct vfy_succ *s);
int vfy_cfg_subprogs(struct vfy_env *e);	/* find functions, jumps stay inside */
int vfy_cfg_check(struct vfy_env *e);		/* reachability, prune points */
int vfy_cfg_live(struct vfy_env *e);		/* live registers */
s32 vfy_sub_find(struct vfy_env *e, u32 insn);	/* subprogram starting at, or -ENOENT */
u32 vfy_sub_of(struct vfy_env *e, u32 insn);	/* subprogram containing */
static inline u32 insn_len(const struct bpf_insn *i) { return i->code == (BPF_LD | BPF_IMM | BPF_DW) ? 2 : 1; }

/* ---- btfinfo.c (func_info and line_info against BTF) ---- */
int vfy_btf_early(struct vfy_env *e);
int vfy_btf_check(struct vfy_env *e);

/* ---- ld_imm64, maps: pseudo.c ---- */
int vfy_pseudo_resolve(struct vfy_env *e);
int vfy_ld_imm(struct vfy_env *e, const struct bpf_insn *insn);

/* ---- record.c ---- */
int vfy_record_access(struct vfy_env *e, u32 regno, int off, int size, bool helper);
const struct spec_record *vfy_record_map(struct vfy_env *e, const struct vfy_map *m);
void vfy_records_free(struct vfy_env *e);
bool vfy_may_hold_lock(struct vfy_env *e, const struct vfy_reg *r);
const struct spec_field *vfy_record_kptr(struct vfy_env *e, u32 regno, int off);
/* ---- kptr.c ---- */
int vfy_kptr_mem(struct vfy_env *e, u32 regno, const struct spec_field *f, int value_regno);
int vfy_kptr_arg(struct vfy_env *e, u32 regno, const struct spec_field **f);
int vfy_kptr_new(struct vfy_env *e, u32 regno, const struct vfy_map *m, const struct spec_field *f);
int vfy_kptr_old(struct vfy_env *e, const struct vfy_map *m, const struct spec_field *f);
/* ---- lock.c ---- */
int vfy_lock_arg(struct vfy_env *e, u32 regno, u32 type, bool lock);
int vfy_lock_call_ok(struct vfy_env *e, const struct bpf_insn *insn);
int vfy_later_arg(struct vfy_env *e, u32 regno, u32 type);
int vfy_call_async(struct vfy_env *e, u32 subprog, const struct vfy_map *m, u32 map_uid, bool sleepable,
		   struct vfy_retrange ret);
int vfy_record_usable(struct vfy_env *e, const struct vfy_map *m);
/* Loads and stores stay away from the special fields of struct ID (program allocated objects). */
int vfy_record_touch(struct vfy_env *e, const struct btf *b, u32 id, int off, int size);

/* ---- state.c ---- */
int vfy_frame_new(struct vfy_env *e, struct vfy_state *st, s32 callsite, u32 frameno, u32 subprog);
void vfy_frame_free(struct vfy_frame *f);
int vfy_slots_grow(struct vfy_env *e, struct vfy_frame *f, u32 bytes);
int vfy_state_copy(struct vfy_env *e, struct vfy_state *dst, const struct vfy_state *src);
void vfy_state_drop(struct vfy_state *st);	/* frees what it holds, not itself */
struct vfy_state *vfy_push(struct vfy_env *e, u32 insn, u32 prev_insn, bool speculative);
struct vfy_state *vfy_push_async(struct vfy_env *e, u32 subprog, bool sleepable);	/* a callback that runs later */
int vfy_pop(struct vfy_env *e, bool pop_log);	/* -ENOENT: nothing left */
int vfy_branches_done(struct vfy_env *e, struct vfy_state *st);
int vfy_hist_push(struct vfy_env *e, u32 flags, u64 linked);
void vfy_reg_not_init(struct vfy_env *e, struct vfy_reg *r);
void vfy_reg_unknown(struct vfy_env *e, struct vfy_reg *r);
void vfy_reg_invalid(struct vfy_env *e, struct vfy_reg *r);
void vfy_reg_const(struct vfy_reg *r, u64 v);
void vfy_reg_ptr(struct vfy_reg *r, u32 type);	/* known zero offset, no ids */
int vfy_check_read(struct vfy_env *e, u32 r);	/* is the register initialised? */
int vfy_check_write(struct vfy_env *e, u32 r);
s32 vfy_ref_acquire(struct vfy_env *e, u32 insn);	/* id or -ENOMEM */
int vfy_ref_release(struct vfy_env *e, u32 id);	/* -EINVAL: no such */
struct vfy_ref *vfy_ref_find(struct vfy_state *st, u32 id);
void vfy_caller_saved_clear(struct vfy_env *e, struct vfy_reg *regs);
/* All registers and spilled slots of all frames. */
void vfy_each_reg(struct vfy_state *st, void (*fn)(struct vfy_frame *f, struct vfy_reg *r, void *arg), void *arg);

/* ---- alu.c, branch.c ---- */
int vfy_alu(struct vfy_env *e, const struct bpf_insn *insn);
int vfy_jmp_cond(struct vfy_env *e, const struct bpf_insn *insn, u32 *idx);
void vfy_not_null(struct vfy_reg *r);

/* ---- mem.c, stack.c ---- */
enum acc { ACC_READ = 1, ACC_WRITE = 2 };
int vfy_mem(struct vfy_env *e, u32 regno, int off, int size, enum acc t, int value_regno, bool strict, bool ldsx);
int vfy_load(struct vfy_env *e, const struct bpf_insn *insn, bool strict, bool ldsx);
int vfy_store(struct vfy_env *e, const struct bpf_insn *insn);
int vfy_atomic(struct vfy_env *e, const struct bpf_insn *insn);
int vfy_mem_region(struct vfy_env *e, u32 regno, int off, int size, u32 mem_size, bool zero_ok);
int vfy_map_access_type(struct vfy_env *e, u32 regno, int off, int size, enum acc t);
int vfy_alignment(struct vfy_env *e, const struct vfy_reg *r, int regno, int off, int size, bool strict);
int vfy_map_access(struct vfy_env *e, u32 regno, int off, int size, bool zero_ok, bool from_helper);
int vfy_pkt_access(struct vfy_env *e, u32 regno, int off, int size, bool zero_ok);
int vfy_buf_access(struct vfy_env *e, u32 regno, int off, int size, bool zero_ok, const char *what);
int vfy_ptr_off_const(struct vfy_env *e, const struct vfy_reg *r, u32 regno);
bool vfy_may_pkt(struct vfy_env *e, enum acc t);
int vfy_access_size(u8 code);
void vfy_pkt_invalidate(struct vfy_env *e);
int vfy_stack_rw(struct vfy_env *e, u32 regno, int off, int size, enum acc t, int value_regno);
int vfy_stack_helper(struct vfy_env *e, u32 regno, int off, int size, bool zero_ok, enum acc t, bool *raw);
void vfy_scalar_id_assign(struct vfy_env *e, struct vfy_reg *r);
const char *vfy_tnum_str(struct vfy_env *e, struct tnum t);
bool vfy_stack_read_mark(struct vfy_state *st, u32 frameno, u64 slots);	/* did it change anything? */

/* ---- btfptr.c, attach.c ---- */
s32 vfy_btf_id(struct vfy_env *e, const char *name, u32 kind);
u32 vfy_btf_tag_flags(const struct btf *b, const struct btf_type *ptr);
bool vfy_btf_ids_match(struct vfy_env *e, const struct btf *b, u32 id, u32 off, const struct btf *want_btf, u32 want,
		       bool strict);
bool vfy_reg_trusted(const struct vfy_reg *r);
bool vfy_in_rcu(struct vfy_env *e);
bool vfy_is_own_obj(const struct vfy_reg *r);
void vfy_btf_reg(struct vfy_env *e, struct vfy_reg *r, const struct btf *b, u32 id, u32 flags);
int vfy_btf_mem(struct vfy_env *e, u32 regno, int off, int size, enum acc t, int value_regno);
int vfy_btf_map_mem(struct vfy_env *e, u32 regno, int off, int size, enum acc t, int value_regno);
const char *vfy_btf_kind_name(const struct btf_type *t);
int vfy_btf_ctx(struct vfy_env *e, int off, int size, struct vfy_reg *v);
int vfy_btf_ctx_field(struct vfy_env *e, const struct spec_ctx_field *f, struct vfy_reg *v);
int vfy_attach_check(struct vfy_env *e);
bool vfy_hook_range(struct vfy_env *e, struct vfy_retrange *range);
u32 vfy_iter_arg(struct vfy_env *e, u32 n);

/* ---- dynptr.c ---- */
s32 vfy_stack_obj(struct vfy_env *e, u32 regno, const char *what, u32 nr);
const char *vfy_dynptr_name(u32 kind);
bool vfy_dynptr_is_packet(u32 kind);
int vfy_dynptr_overwrite(struct vfy_env *e, struct vfy_frame *f, u32 slot);
int vfy_dynptr_arg(struct vfy_env *e, u32 regno, u32 arg, u32 kind, u32 clone_ref);
const struct vfy_reg *vfy_dynptr_reg(struct vfy_env *e, u32 regno);
int vfy_dynptr_release_arg(struct vfy_env *e, u32 regno);
int vfy_dynptr_release(struct vfy_env *e, u32 regno);
bool vfy_dynptr_same(const struct vfy_reg *a, const struct vfy_reg *b);
void vfy_dynptr_print(struct sbuf *b, const struct vfy_reg *r);

/* ---- call.c, helper.c, kfunc.c, exit.c ---- */
int vfy_call_helper(struct vfy_env *e, const struct bpf_insn *insn);
int vfy_call_func(struct vfy_env *e, const struct bpf_insn *insn, u32 *idx);
int vfy_call_callback(struct vfy_env *e, const struct bpf_insn *insn, u32 idx, u32 subprog,
		      int (*set)(struct vfy_env *e, struct vfy_frame *caller, struct vfy_frame *callee));
const char *vfy_no_sleep_region(struct vfy_env *e);	/* that the walk is in, NULL: none */
int vfy_call_kfunc(struct vfy_env *e, const struct bpf_insn *insn);
int vfy_kfunc_add(struct vfy_env *e, const struct bpf_insn *insn);
const struct spec_kfunc *vfy_kfunc_row(struct vfy_env *e, const struct bpf_insn *insn);
u32 vfy_kfunc_nr_args(struct vfy_env *e, const struct bpf_insn *insn);
bool vfy_iter_same(const struct vfy_reg *a, const struct vfy_reg *b);
bool vfy_iter_depths_differ(const struct vfy_state *old, const struct vfy_state *cur);
bool vfy_iter_active(const struct vfy_state *st);
bool vfy_iter_print(struct sbuf *b, const struct vfy_reg *r);
int vfy_func_exit(struct vfy_env *e, u32 *idx);
int vfy_exit_check(struct vfy_env *e);		/* R0 at the end of the program */
int vfy_ret_range(struct vfy_env *e, const struct vfy_reg *r, struct vfy_retrange range, const char *ctx,
		  const char *name);
int vfy_ld_abs(struct vfy_env *e, const struct bpf_insn *insn);
int vfy_leaks_check(struct vfy_env *e, const char *prefix, bool exit);
int vfy_stack_depths(struct vfy_env *e);
int vfy_sub_args(struct vfy_env *e, u32 sub);	/* global functions: arguments from BTF */
int vfy_call_global(struct vfy_env *e, u32 sub, u32 *idx);
int vfy_helper_mem(struct vfy_env *e, u32 regno, int size, enum acc t);
int vfy_sub_entry(struct vfy_env *e, u32 sub, struct vfy_reg *regs);

/* ---- prune.c, precise.c ---- */
int vfy_visit(struct vfy_env *e);		/* 1: covered, end of path; 0: go on */
int vfy_precise(struct vfy_env *e, u32 regno);	/* mark the register precise along its history */
int vfy_precise_state(struct vfy_env *e, const u32 *regs, const u64 *slots);
void vfy_widen(struct vfy_env *e, const struct vfy_state *old, struct vfy_state *cur);
bool vfy_same_place(const struct vfy_state *a, const struct vfy_state *b, u32 insn);
int vfy_inherit_marks(struct vfy_env *e, const struct vfy_state *old);
/* ---- loop.c ---- */
int vfy_backedge_add(struct vfy_env *e, struct vfy_state *to);
int vfy_backedges_close(struct vfy_env *e, struct vfy_state *st);
void vfy_backedges_free(struct vfy_env *e);

/* ---- rewrite.c ---- */
int vfy_rewrite(struct vfy_env *e);

#endif
