/* SPDX-License-Identifier: Apache-2.0 */
/* spec.h - Linux 6.18's BPF as tables. Every fact about instructions, helpers, kfuncs, map types, program
 * types, attach types, context fields and commands stands once, as a row of a .def file of this folder;
 * this header declares what the rows become. Descriptors only: no function pointers (each folder builds its
 * own function table from the same rows, so that a forgotten row fails the build).
 *
 * Row status: FULL, PARTIAL("what is missing"), STUB (known by name; nothing behind it yet).
 */
#ifndef SKEP_SPEC_H
#define SKEP_SPEC_H

#include "base/def.h"
#include "spec/uapi.h"

enum spec_state { SPEC_STUB, SPEC_PARTIAL, SPEC_FULL };

struct spec_status {
	enum spec_state state;
	const char *missing;		/* PARTIAL only */
};

/* ---- program types: progs.def -------------------------------------------------------------- */
#define P(type)	(1ull << BPF_PROG_TYPE_##type)		/* sets of program types */

/* Sets for what is no program type: a tracing program's attach type narrows its helpers ... */
#define SPEC_P_ITER		BIT64(40)	/* TRACING that is TRACE_ITER */
#define SPEC_P_NOT_ITER		BIT64(41)	/* TRACING that is not */
#define SPEC_P_TRAMP		BIT64(42)	/* TRACING that is TRACE_FENTRY, TRACE_FEXIT or MODIFY_RETURN */
/* ... and structs are also reached through pointers other than the context's. */
#define SPEC_P_SOCK		BIT64(43)	/* a full socket */
#define SPEC_P_SOCK_COMMON	BIT64(44)	/* any socket */
#define SPEC_P_FLOW_KEYS	BIT64(45)
#define SPEC_P_ALL		(BIT64(BPF_PROG_TYPE_NETFILTER + 1) - 2)	/* every program type */

enum spec_ctx_kind {			/* what R1 is at entry */
	CTX_NONE, CTX_STRUCT, CTX_RAW_ARGS, CTX_BTF_ARGS, CTX_RAW_MEM,
};

struct spec_prog {
	u32 type;			/* BPF_PROG_TYPE_* */
	const char *name;		/* libbpf's and bpftool's: "socket_filter", "xdp" */
	const char *ctx;		/* "xdp_md", "__sk_buff", "" */
	enum spec_ctx_kind ctx_kind;
	u32 ctx_size;			/* bytes visible to programs; 0: no limit known here */
	u64 flags;			/* SPEC_PROG_* */
	struct { s64 min, max; } ret;	/* legal R0 at exit when SPEC_PROG_RET; per attach type: see attach.def */
	const char *runs_on;		/* what `skep run` can feed it: "packets", "nothing", ... */
	struct spec_status st;
};
#define SPEC_PROG_RET		BIT64(0)	/* verifier checks R0 against ret */
#define SPEC_PROG_PKT		BIT64(1)	/* direct packet access (read) */
#define SPEC_PROG_PKT_WRITE	BIT64(2)	/* direct packet writes */
#define SPEC_PROG_LD_ABS	BIT64(3)	/* LD_ABS and LD_IND allowed */
#define SPEC_PROG_TEST_RUN	BIT64(4)
#define SPEC_PROG_SLEEPABLE	BIT64(5)	/* BPF_F_SLEEPABLE allowed */
#define SPEC_PROG_NET_ADMIN	BIT64(6)	/* needs CAP_NET_ADMIN */
#define SPEC_PROG_PERFMON	BIT64(7)	/* needs CAP_PERFMON */
#define SPEC_PROG_ATTACH	BIT64(9)	/* expected_attach_type must be one of attach.def's for the type, or 0
						 * if the type has none or a default */
#define SPEC_PROG_UNPRIV	BIT64(8)	/* allowed without CAP_BPF where unprivileged BPF is on */

extern const struct spec_prog spec_progs[];	/* indexed by type */
extern const u32 spec_nr_progs;

/* ---- attach types: attach.def ---------------------------------------------------------------- */
struct spec_attach {
	u32 type;
	const char *name;		/* libbpf's */
	u64 progs;			/* program types whose programs it is for */
	enum spec_attach_ret { ATTACH_RET_OF_PROG, ATTACH_RET_OWN, ATTACH_RET_FREE } ret_rule;
	struct { s64 min, max; } ret;	/* ATTACH_RET_OWN: overrides the program type's */
	bool is_default;		/* what 0 means for these program types */
	struct spec_status st;
};
extern const struct spec_attach spec_attaches[];
extern const u32 spec_nr_attaches;

/* ---- helpers: helpers.def -------------------------------------------------------------------- */
enum spec_ret {				/* the kernel's bpf_return_type, by the same meaning */
	RET_VOID, RET_INTEGER, RET_MAP_VALUE, RET_MAP_VALUE_OR_NULL, RET_SOCKET_OR_NULL,
	RET_TCP_SOCK_OR_NULL, RET_SOCK_COMMON_OR_NULL, RET_RINGBUF_MEM_OR_NULL, RET_DYNPTR_MEM_OR_NULL,
	RET_BTF_ID, RET_BTF_ID_OR_NULL, RET_BTF_ID_TRUSTED, RET_MEM_OR_BTF_ID, RET_MEM_OR_BTF_ID_OR_NULL,
	RET_NEVER_FAILS_MEM,
};
enum spec_arg_base {			/* the kernel's bpf_arg_type, by the same meaning */
	ARG_NONE, ARG_ANY, ARG_CONST_MAP, ARG_MAP_KEY, ARG_MAP_VALUE, ARG_MEM, ARG_SIZE, ARG_SIZE_OR_ZERO,
	ARG_CTX, ARG_SPIN_LOCK, ARG_SOCK_COMMON, ARG_SOCKET, ARG_BTF_ID, ARG_BTF_ID_SOCK_COMMON,
	ARG_RINGBUF_MEM, ARG_ALLOC_SIZE, ARG_PERCPU_BTF_ID, ARG_FUNC, ARG_STACK, ARG_CONST_STR, ARG_TIMER,
	ARG_KPTR, ARG_DYNPTR, ARG_ARENA,
};
#define ARG_BASE(a)		((a) & 0xff)
#define ARG_MAYBE_NULL		BIT(8)
#define ARG_MEM_UNINIT		BIT(9)		/* written by the helper; need not be initialised */
#define ARG_MEM_RDONLY		BIT(10)
#define ARG_MEM_WRITE		BIT(11)
#define ARG_OBJ_RELEASE		BIT(12)
#define ARG_MEM_ALIGNED		BIT(13)
#define ARG_MEM_FIXED_SIZE	BIT(14)		/* ARG_MEM with its size in spec_helper.arg_size, no size argument */
#define ARG_DYNPTR_LOCAL	BIT(15)
#define ARG_DYNPTR_RINGBUF	BIT(16)

struct spec_helper {
	u32 id;
	const char *name;		/* without "bpf_" */
	u8 ret;				/* enum spec_ret */
	u32 arg[5];			/* enum spec_arg_base | ARG_* flags */
	u16 arg_size[5];		/* ARG_MEM_FIXED_SIZE */
	const char *btf[6];		/* BTF type names: [0] of the return value, [1..5] of arguments; NULL if none */
	u64 progs;			/* program types that may call it (P() sets) */
	u64 not_progs, not_attaches;	/* not those types with those expected attach types */
	u32 flags;			/* SPEC_HELPER_* */
	const char *fixup;		/* the verifier's fixup_<name>, NULL if none */
	struct spec_status st;
};
#define SPEC_HELPER_GPL		BIT(0)
#define SPEC_HELPER_PKT_CHANGE	BIT(1)		/* invalidates packet pointers */
#define SPEC_HELPER_PKT_ACCESS	BIT(2)		/* packet pointers allowed as memory arguments */
#define SPEC_HELPER_ACQUIRE	BIT(3)
#define SPEC_HELPER_SLEEPS	BIT(4)		/* might_sleep */
#define SPEC_HELPER_CALLBACK	BIT(5)		/* calls back synchronously */
#define SPEC_HELPER_ASYNC_CB	BIT(6)
#define SPEC_HELPER_PERFMON	BIT(7)		/* needs CAP_PERFMON */
#define SPEC_HELPER_BPF_CAP	BIT(8)		/* needs CAP_BPF (not for unprivileged) */
#define SPEC_HELPER_TAIL_CALL	BIT(9)
#define SPEC_HELPER_FASTCALL	BIT(10)		/* allow_fastcall */
#define SPEC_HELPER_CPU		BIT(11)		/* the run needs its CPU's slot (run lease) */
#define SPEC_HELPER_TARGET	BIT(13)		/* only in programs attached to what a list names: else
						 * "helper call is not allowed in probe" */
#define SPEC_HELPER_TRACES	BIT(14)		/* writes to the directory's trace buffer */
#define SPEC_HELPER_OVERRIDES	BIT(15)	/* only for entries of functions whose calls may be replaced by an error */
#define SPEC_HELPER_IN_LOCK	BIT(15)		/* may be called while a spin lock is held */
#define SPEC_HELPER_CAST	BIT(12)		/* returns the same socket seen otherwise: shares arg 1's reference */

extern const struct spec_helper spec_helpers[];	/* indexed by id, [0] unspec */
extern const u32 spec_nr_helpers;		/* 212 */
/* The prototype that programs of this type see (some helpers have several); NULL if there is no such helper. Whether the
 * type may call it at all: spec_helper_allowed(). EXT programs: ask with their target's type. */
const struct spec_helper *spec_helper_for(s32 id, u32 prog_type, u32 attach_type);
bool spec_helper_allowed(const struct spec_helper *h, u32 prog_type, u32 attach_type);

/* ---- kfuncs: kfuncs.def ------------------------------------------------------------------------ */
struct spec_kfunc {
	const char *name;
	u64 progs;			/* 0: not known yet */
	u32 flags;			/* SPEC_KF_* */
	struct spec_status st;
	const char *fixup;		/* what the verifier does besides, NULL: nothing */
};
#define SPEC_KF_ACQUIRE		BIT(0)		/* returns a reference */
#define SPEC_KF_RELEASE		BIT(1)
#define SPEC_KF_RET_NULL	BIT(2)
#define SPEC_KF_TRUSTED_ARGS	BIT(4)		/* pointers must be valid for sure */
#define SPEC_KF_SLEEPABLE	BIT(5)
#define SPEC_KF_RCU		BIT(7)		/* or valid inside an RCU section */
#define SPEC_KF_ITER_NEW	BIT(8)
#define SPEC_KF_ITER_NEXT	BIT(9)
#define SPEC_KF_ITER_DESTROY	BIT(10)
#define SPEC_KF_RCU_PROTECTED	BIT(11)		/* only inside an RCU section */
#define SPEC_KF_FASTCALL	BIT(12)
#define SPEC_KF_IN_LOCK		BIT(16)		/* may be called while a spin lock is held (not a flag of the kernel's) */
#define SPEC_KF_ARENA_RET	BIT(13)
#define SPEC_KF_ARENA_ARG1	BIT(14)
#define SPEC_KF_ARENA_ARG2	BIT(15)
extern const struct spec_kfunc spec_kfuncs[];
extern const u32 spec_nr_kfuncs;

/* ---- map types: maps.def ------------------------------------------------------------------------ */
struct spec_map {
	u32 type;
	const char *name;		/* bpftool's: "hash", "percpu_array" */
	u32 ops;			/* SPEC_MAP_*: what user space and programs may do */
	u32 create_flags;		/* BPF_F_* accepted by MAP_CREATE */
	u32 fields;			/* SPEC_FIELD_*: special fields allowed in values */
	struct spec_status st;
};
#define SPEC_MAP_LOOKUP		BIT(0)
#define SPEC_MAP_UPDATE		BIT(1)
#define SPEC_MAP_DELETE		BIT(2)
#define SPEC_MAP_NEXT		BIT(3)
#define SPEC_MAP_BATCH		BIT(4)
#define SPEC_MAP_LOOKUP_DELETE	BIT(5)
#define SPEC_MAP_MMAP		BIT(6)
#define SPEC_MAP_PERCPU		BIT(7)		/* one value per possible CPU; the run needs a lease */
#define SPEC_MAP_FD_VALUE	BIT(8)		/* values are fds of maps, programs, perf events... */
#define SPEC_MAP_INNER		BIT(9)		/* may be an inner map */
#define SPEC_MAP_DIRECT_VALUE	BIT(10)		/* BPF_PSEUDO_MAP_VALUE */
#define SPEC_MAP_NO_KEY		BIT(11)		/* queue, stack, bloom: key_size 0 */
#define SPEC_MAP_OF_MAPS	BIT(12)
#define SPEC_MAP_ITER		BIT(13)		/* for_each_map_elem */

#define SPEC_FIELD_SPIN_LOCK	BIT(0)
#define SPEC_FIELD_TIMER	BIT(1)
#define SPEC_FIELD_WQ		BIT(2)
#define SPEC_FIELD_KPTR		BIT(3)		/* all kinds, where map types are listed; else the untrusted one */
#define SPEC_FIELD_LIST		BIT(4)		/* head */
#define SPEC_FIELD_RBTREE	BIT(5)		/* root */
#define SPEC_FIELD_REFCOUNT	BIT(6)
#define SPEC_FIELD_RES_LOCK	BIT(7)
#define SPEC_FIELD_TASK_WORK	BIT(8)
#define SPEC_FIELD_UPTR		BIT(9)
#define SPEC_FIELD_LIST_NODE	BIT(10)
#define SPEC_FIELD_RB_NODE	BIT(11)
#define SPEC_FIELD_KPTR_REF	BIT(12)
#define SPEC_FIELD_KPTR_PERCPU	BIT(13)
#define SPEC_FIELD_KPTRS	(SPEC_FIELD_KPTR | SPEC_FIELD_KPTR_REF | SPEC_FIELD_KPTR_PERCPU)
/* What values of maps may hold. */
#define SPEC_FIELDS_OF_MAPS	(SPEC_FIELD_SPIN_LOCK | SPEC_FIELD_RES_LOCK | SPEC_FIELD_TIMER | SPEC_FIELD_WQ | SPEC_FIELD_KPTRS | \
				 SPEC_FIELD_LIST | SPEC_FIELD_RBTREE | SPEC_FIELD_REFCOUNT | SPEC_FIELD_UPTR | \
				 SPEC_FIELD_TASK_WORK)

extern const struct spec_map spec_maps[];	/* indexed by type */
extern const u32 spec_nr_maps;

/* ---- context fields: ctx.def -------------------------------------------------------------------- */
/* One row = verifier rule, access rewrite, documentation. What a program sees is `struct <ctx>` of the uapi;
 * what runs is the internal struct of spec/ctx.h (xdp_buff, sk_buff, ...). */
enum spec_ctx_what {
	CF_SCALAR, CF_PKT, CF_PKT_END, CF_PKT_META, CF_SOCK_COMMON, CF_SOCK_OR_NULL, CF_SOCK, CF_FLOW_KEYS,
	CF_PTR_SCALAR,			/* an address that the program sees as a number */
	CF_RDONLY_BUF, CF_RDWR_BUF, CF_MEM, CF_SOCK_COMMON_OR_NULL, CF_BTF, CF_TP_BUFFER,
};
struct spec_ctx_field {
	const char *ctx;		/* "xdp_md" */
	const char *name;
	u16 off, size;			/* as the program sees it; arrays: whole size */
	u8 what;			/* enum spec_ctx_what */
	u16 flags;			/* SPEC_CF_* */
	u64 readers, writers;		/* program types (P() sets); 0: nobody */
	u64 read_attach, write_attach;	/* only with these expected attach types (bit = type); 0: any */
	u16 in_off, in_size;		/* in the internal struct; in_size 0: nobody fills it yet. Where in_size equals
					 * size, a narrow load reads the same bytes of it; else the load is of in_size */
	struct spec_status st;
};
/* Accesses are aligned to their size. A field is read and written whole (arrays: an element), and besides: */
#define SPEC_CF_NARROW	BIT(0)		/* narrower loads anywhere inside */
#define SPEC_CF_ARRAY	BIT(1)		/* elements are u32 */
#define SPEC_CF_WIDE	BIT(2)		/* 8-byte access to two elements */
#define SPEC_CF_ANYSIZE	BIT(3)		/* any size, read or written, anywhere inside */
#define SPEC_CF_FIRST	BIT(4)		/* narrow loads at the field's start only */
#define SPEC_CF_AS_U32	BIT(5)		/* a u16 that may also be loaded as 4 bytes */
#define SPEC_CF_MIN2	BIT(6)		/* no 1-byte loads */
#define SPEC_CF_ARRAY8	BIT(7)		/* elements are u64 */
#define SPEC_CF_DIRECT	BIT(8)		/* programs see the memory itself: nothing to rewrite */

extern const struct spec_ctx_field spec_ctx_fields[];
extern const u32 spec_nr_ctx_fields;
/* The row that lets a program of this type read or write [off, off+size) of its context, or NULL: invalid access. */
const struct spec_ctx_field *spec_ctx_access(u32 prog_type, u32 attach_type, s32 off, u32 size, bool write);
/* The same for memory behind a pointer: who is SPEC_P_SOCK, SPEC_P_SOCK_COMMON or SPEC_P_FLOW_KEYS. */
const struct spec_ctx_field *spec_mem_access(u64 who, s32 off, u32 size, bool write);

/* ---- arguments typed by BTF: btfargs.def ------------------------------------------------------- */
#define SPEC_ARG_NULL		BIT(0)		/* may be NULL */
#define SPEC_ARG_ERR		BIT(1)		/* may encode an error: programs see a number */
#define SPEC_ARG_PTR		BIT(2)
#define SPEC_ARG_TRUSTED	BIT(3)
#define SPEC_ARG_BUF		BIT(4)
#define SPEC_ARG_RDONLY		BIT(5)
#define SPEC_MAX_FUNC_ARGS	12
u32 spec_rawtp_arg(const char *tp, u32 arg);		/* of a tracepoint, beyond what its BTF says; 0: nothing */
u32 spec_iter_arg(const char *target, u32 arg);		/* of an iterator; 0: as its BTF says */
bool spec_iter_known(const char *target);

/* ---- commands: cmds.def -------------------------------------------------------------------------- */
struct spec_cmd {
	u32 cmd;
	const char *name;		/* "map_create" */
	u16 attr_size;			/* end of the last field used: the tail behind it must be zero */
	struct spec_status st;
};
extern const struct spec_cmd spec_cmds[];
extern const u32 spec_nr_cmds;

/* ---- instructions: isa.def ------------------------------------------------------------------------ */
/* isa.def is read with the reader's own macros (engines need the expressions), see its head. For
 * listing: */
struct spec_insn {
	u8 code;
	s16 off;			/* selects movsx, sdiv, ...; SPEC_ANY: selects nothing */
	s8 src;				/* src_reg likewise */
	s32 imm;			/* likewise */
	const char *name;		/* "ADD64 imm", "LDXB", "CMPXCHG32": isa.def's, with width and source */
	const char *group;		/* RFC 9669 conformance group, or "linux" */
	struct spec_status st;
};
#define SPEC_ANY	-1
extern const struct spec_insn spec_insns[];
extern const u32 spec_nr_insns;

const char *spec_state_name(enum spec_state s);
const struct spec_prog *spec_prog(u32 type);		/* NULL if unknown */
const struct spec_map *spec_map(u32 type);
const struct spec_helper *spec_helper(s32 id);
const struct spec_attach *spec_attach(u32 type);
const struct spec_cmd *spec_cmd(u32 cmd);
const char *spec_map_struct(u32 map_type);	/* the kernel's struct that loads from the map itself see */
bool spec_map_takes_helper(u32 map_type, s32 helper);	/* may this helper be called on such a map? */
/* expected_attach_type of PROG_LOAD: what it means for the type, or -EINVAL. (64 and above pass where Linux looks not.) */
s64 spec_attach_at_load(u32 prog_type, u32 attach_type);
/* Legal R0 of a program at exit: true and *min, *max if the verifier checks it (LSM and struct_ops: by their hook, not here). */
bool spec_ret_range(u32 prog_type, u32 attach_type, s64 *min, s64 *max);
s32 spec_kfunc_find(const char *name);			/* index, or -ENOENT */

#endif
