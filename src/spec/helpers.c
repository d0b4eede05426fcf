/* SPDX-License-Identifier: Apache-2.0 */
/* helpers.c - the helper tables of spec.h. Driven by helpers.def. */
#include "spec/spec.h"

#define FULL		{ SPEC_FULL, NULL }
#define PARTIAL(s)	{ SPEC_PARTIAL, s }
#define STUB		{ SPEC_STUB, NULL }

/* helpers.def's words for argument kinds, marks and flags. FIXED keeps its bytes in the upper quarter. */
enum {
	ANY = ARG_ANY, CTX = ARG_CTX, CONST_MAP = ARG_CONST_MAP, MAP_KEY = ARG_MAP_KEY, MAP_VALUE = ARG_MAP_VALUE,
	MEM = ARG_MEM, SIZE = ARG_SIZE, SIZE0 = ARG_SIZE_OR_ZERO, SPIN_LOCK = ARG_SPIN_LOCK,
	SOCK_COMMON = ARG_SOCK_COMMON, SOCKET = ARG_SOCKET, BTF_ID = ARG_BTF_ID, BTF_SOCK = ARG_BTF_ID_SOCK_COMMON,
	RINGBUF_MEM = ARG_RINGBUF_MEM, ALLOC_SIZE = ARG_ALLOC_SIZE, PERCPU_BTF_ID = ARG_PERCPU_BTF_ID,
	FUNC = ARG_FUNC, STACK = ARG_STACK, CONST_STR = ARG_CONST_STR, TIMER = ARG_TIMER, KPTR = ARG_KPTR,
	DYNPTR = ARG_DYNPTR,

	RO = ARG_MEM_RDONLY, WR = ARG_MEM_WRITE, UNINIT = ARG_MEM_UNINIT, NULLABLE = ARG_MAYBE_NULL,
	RELEASE = ARG_OBJ_RELEASE, ALIGNED = ARG_MEM_ALIGNED, LOCAL = ARG_DYNPTR_LOCAL, RINGBUF = ARG_DYNPTR_RINGBUF,
	UNINIT_MEM = ARG_MEM | ARG_MEM_UNINIT | ARG_MEM_WRITE,
#define FIXED(bytes)	(ARG_MEM | ARG_MEM_FIXED_SIZE | (bytes) << 24)

	GPL = SPEC_HELPER_GPL, PKT = SPEC_HELPER_PKT_ACCESS, CHANGE = SPEC_HELPER_PKT_CHANGE,
	ACQUIRE = SPEC_HELPER_ACQUIRE, CAST = SPEC_HELPER_CAST, SLEEPS = SPEC_HELPER_SLEEPS,
	CB = SPEC_HELPER_CALLBACK, ASYNC = SPEC_HELPER_ASYNC_CB, TAIL = SPEC_HELPER_TAIL_CALL,
	FAST = SPEC_HELPER_FASTCALL, CPU = SPEC_HELPER_CPU, CAP_BPF = SPEC_HELPER_BPF_CAP,
	PERFMON = SPEC_HELPER_PERFMON, TRACES = SPEC_HELPER_TRACES, IN_LOCK = SPEC_HELPER_IN_LOCK, TARGET = SPEC_HELPER_TARGET,
	OVERRIDES = SPEC_HELPER_OVERRIDES,
};

/* Five elements from a tuple of up to five, filled up with zeros. */
#define FIVE(f, ...)			FIVE_(f, __VA_ARGS__ __VA_OPT__(,) 0, 0, 0, 0, 0)
#define FIVE_(f, a, b, c, d, e, ...)	{ f(a), f(b), f(c), f(d), f(e) }
#define UNPAREN(...)			__VA_ARGS__
#define KIND(x)				((x) & 0xffffff)
#define BYTES(x)			((x) >> 24)
#define BTF(n, type)			.btf[n] = type,
#define FIXUP(f)			.fixup = #f,
#define NOT(p, a)			.not_progs = p, .not_attaches = a,
#define ROW(n, nm, r, args, p, fl, status, ...)						\
	{ .id = n, .name = #nm, .ret = RET_##r, .arg = FIVE(KIND, UNPAREN args),	\
	  .arg_size = FIVE(BYTES, UNPAREN args), .progs = p, .flags = fl, .st = status, __VA_ARGS__ },

#define HELPER(n, ...)	[n] = ROW(n, __VA_ARGS__)
const struct spec_helper spec_helpers[] = {
	[0] = { .name = "unspec" },
#include "spec/helpers.def"
};
const u32 spec_nr_helpers = ARRAY_SIZE(spec_helpers);

#define HELPER(...)
#define VARIANT(...)	ROW(__VA_ARGS__)
static const struct spec_helper variants[] = {
	{ .id = 0 },
#include "spec/helpers.def"
};

const struct spec_helper *spec_helper(s32 id)
{
	return id > 0 && (u32)id < spec_nr_helpers ? &spec_helpers[id] : NULL;
}

bool spec_helper_allowed(const struct spec_helper *h, u32 prog_type, u32 attach_type)
{
	u64 may = BIT64(prog_type);

	if (prog_type >= BPF_PROG_TYPE_NETFILTER + 1)
		return false;
	if (prog_type == BPF_PROG_TYPE_TRACING) {
		may |= attach_type == BPF_TRACE_ITER ? SPEC_P_ITER : SPEC_P_NOT_ITER;
		if (attach_type == BPF_TRACE_FENTRY || attach_type == BPF_TRACE_FEXIT ||
		    attach_type == BPF_MODIFY_RETURN)
			may |= SPEC_P_TRAMP;
	}
	if ((h->not_progs & BIT64(prog_type)) && attach_type < 64 && (h->not_attaches & BIT64(attach_type)))
		return false;
	return h->progs & may;
}

const struct spec_helper *spec_helper_for(s32 id, u32 prog_type, u32 attach_type)
{
	for (u32 i = 1; i < ARRAY_SIZE(variants); i++)
		if ((s32)variants[i].id == id && spec_helper_allowed(&variants[i], prog_type, attach_type))
			return &variants[i];
	return spec_helper(id);
}
