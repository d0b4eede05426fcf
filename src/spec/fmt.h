/* SPDX-License-Identifier: Apache-2.0 */
/* fmt.h - the format language of bpf_trace_printk, bpf_trace_vprintk, bpf_snprintf: which specifiers are legal. The verifier
 * asks it of constant formats, the formatter (prog/fmt.c) at each call. Source: Linux 6.18's answers. */
#ifndef SKEP_SPEC_FMT_H
#define SKEP_SPEC_FMT_H

#include "base/def.h"

#define FMT_MAX_ARGS	12

enum fmt_kind {
	FMT_END,			/* no specifier, only the text in front of the end */
	FMT_PERCENT,			/* %%: takes no argument */
	FMT_INT, FMT_UINT, FMT_HEX,	/* %d %i, %u, %x %X */
	FMT_CHAR, FMT_STR,
	FMT_PROBE_STR,			/* %pks %pus: no width */
	FMT_PTR,			/* %p %px %pK */
	FMT_SYM,			/* %ps %pS */
	FMT_BACKTRACE,			/* %pB: no width */
	FMT_IP,				/* %pi4 %pI4 %pi6 %pI6: no width */
};

#define FMT_LEFT	BIT(0)
#define FMT_PLUS	BIT(1)
#define FMT_SPACE	BIT(2)
#define FMT_ZERO	BIT(3)
#define FMT_UPPER	BIT(4)		/* %X */
#define FMT_LONG	BIT(5)		/* the argument has 8 bytes, not 4 */
#define FMT_IP6		BIT(6)
#define FMT_IP_RAW	BIT(7)		/* %pi4, %pi6 */

struct fmt_spec {
	const char *text;		/* plain text in front */
	u32 text_len;
	u8 kind, flags;
	s32 width;			/* -1: none */
};

/* The next specifier of the string [*AT, END), which need not end in NUL and may change meanwhile; moves *AT behind it.
 * 0 or -EINVAL. */
int spec_fmt_next(const char **at, const char *end, struct fmt_spec *s);
/* Is [FMT, END) legal for NARGS arguments? 0 or -EINVAL. */
int spec_fmt_check(const char *fmt, const char *end, u32 nargs);

#endif
