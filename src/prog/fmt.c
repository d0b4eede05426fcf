/* SPDX-License-Identifier: Apache-2.0 */
/* fmt.c - the formatter of bpf_trace_printk, bpf_trace_vprintk and bpf_snprintf, in two passes as in the kernel: the
 * arguments are collected (strings and addresses copied from memory that may not be there, 512 bytes in all), then
 * printed. So an error leaves the output alone. The format may change between the passes (it may lie in a map): both
 * stay within its size, and whatever kind the second meets, the argument's number and text are there.
 *
 * Two things that the kernel does with addresses mean nothing here: %p is not hashed (whoever reads the lines is the
 * user who owns the memory), and %ps, %pS, %pB print the number, as the kernel does for what is no kernel symbol. */
#include <errno.h>
#include <string.h>

#include "base/fault.h"
#include "prog/fmt.h"
#include "spec/fmt.h"

#define TEXT_MAX	512

struct fmt_args {
	u64 value[FMT_MAX_ARGS];
	u16 at[FMT_MAX_ARGS];		/* of its text */
	u32 used;			/* of text, counting numbers too: the kernel's limit is on both */
	char text[TEXT_MAX + 1];
};

struct out {
	char *buf;
	u32 cap;
	u64 len;
};

static void put(struct out *o, char c)
{
	if (o->len < o->cap)
		o->buf[o->len] = c;
	o->len++;
}

static void put_mem(struct out *o, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put(o, READ_ONCE(s[i]));
}

static void pad(struct out *o, char c, s64 n)
{
	u64 room = o->len < o->cap ? o->cap - o->len : 0;

	if (n <= 0)
		return;
	if (room)
		memset(o->buf + o->len, c, MIN(room, (u64)n));
	o->len += (u64)n;
}

static void put_text(struct out *o, const char *s, size_t n, const struct fmt_spec *f)
{
	if (!(f->flags & FMT_LEFT))
		pad(o, ' ', (s64)f->width - (s64)n);
	put_mem(o, s, n);
	if (f->flags & FMT_LEFT)
		pad(o, ' ', (s64)f->width - (s64)n);
}

/* Digits of V, at the end of BUF; where they begin. */
static char *digits(char *end, u64 v, u32 base, bool upper)
{
	const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";

	do {
		*--end = set[v % base];
		v /= base;
	} while (v);
	return end;
}

static void put_number(struct out *o, u64 v, const struct fmt_spec *f)
{
	bool neg = f->kind == FMT_INT && (s64)v < 0, is_hex = f->kind == FMT_HEX || f->kind == FMT_PTR;
	char b[24], *end = b + sizeof(b), *d, sign = 0;
	s64 fill;

	if (f->kind == FMT_INT)
		sign = neg ? '-' : f->flags & FMT_PLUS ? '+' : f->flags & FMT_SPACE ? ' ' : 0;
	d = digits(end, neg ? 0 - v : v, is_hex ? 16 : 10, f->flags & FMT_UPPER);
	fill = (s64)f->width - (end - d) - (sign != 0);
	if (!(f->flags & (FMT_LEFT | FMT_ZERO)))
		pad(o, ' ', fill);
	if (sign)
		put(o, sign);
	if ((f->flags & (FMT_LEFT | FMT_ZERO)) == FMT_ZERO)
		pad(o, '0', fill);
	put_mem(o, d, (size_t)(end - d));
	if (f->flags & FMT_LEFT)
		pad(o, ' ', fill);
}

static u64 number_value(u64 v, const struct fmt_spec *f)
{
	if (f->flags & FMT_LONG)
		return v;
	return f->kind == FMT_INT ? (u64)(s64)(s32)v : (u32)v;
}

/* "0x7f..": where a symbol would be. N characters. */
static size_t address_text(char out[20], u64 v)
{
	char b[20], *end = b + sizeof(b), *d = digits(end, v, 16, false);

	*--d = 'x';
	*--d = '0';
	memcpy(out, d, (size_t)(end - d));
	return (size_t)(end - d);
}

/* ---- collecting ---- */

static size_t ip4_text(char *out, const u8 *ip, bool raw)
{
	char *p = out, b[4];

	for (u32 i = 0; i < 4; i++) {
		char *end = b + sizeof(b), *d = digits(end, ip[i], 10, false);

		while (raw && end - d < 3)
			*--d = '0';
		memcpy(p, d, (size_t)(end - d));
		p += end - d;
		if (i < 3)
			*p++ = '.';
	}
	return (size_t)(p - out);
}

static size_t ip6_text(char *out, const u8 *ip, bool raw)
{
	char *p = out;

	for (u32 i = 0; i < 16; i++) {
		*p++ = "0123456789abcdef"[ip[i] >> 4];
		*p++ = "0123456789abcdef"[ip[i] & 15];
		if (!raw && i & 1 && i < 15)
			*p++ = ':';
	}
	return (size_t)(p - out);
}

static void keep(struct fmt_args *a, const char *s, size_t n)
{
	n = MIN(n, (size_t)(TEXT_MAX - a->used));
	memcpy(a->text + a->used, s, n);
	a->used = (u32)MIN(a->used + n + 1, (size_t)TEXT_MAX);
	a->text[a->used - 1] = 0;
}

static int take_ip(struct fmt_args *a, u64 addr, const struct fmt_spec *f)
{
	u32 size = f->flags & FMT_IP6 ? 16 : 4;
	bool raw = f->flags & FMT_IP_RAW;
	u8 ip[16] = { 0 };
	char text[40];
	size_t n;

	if (TEXT_MAX - a->used < size)
		return -ENOSPC;
	if (fault_copy_from(ip, (const void *)(uintptr_t)addr, size))
		memset(ip, 0, size);
	n = f->flags & FMT_IP6 ? ip6_text(text, ip, raw) : ip4_text(text, ip, raw);
	keep(a, text, n);
	return 0;
}

static int take_str(struct fmt_args *a, u64 addr)
{
	u32 room = TEXT_MAX - a->used;
	long n;

	if (!room)
		return -ENOSPC;
	n = fault_copy_str(a->text + a->used, (const char *)(uintptr_t)addr, room);
	if (n == -E2BIG)
		n = room - 1;
	if (n < 0)
		n = 0;
	a->text[a->used + n] = 0;
	a->used += (u32)n + 1;
	return 0;
}

static int take_number(struct fmt_args *a, u32 size)
{
	u32 at = size > 1 ? ALIGN_UP(a->used, 4u) : a->used;

	if (at + size > TEXT_MAX)
		return -ENOSPC;
	a->used = at + size;
	return 0;
}

static int take(struct fmt_args *a, u32 n, u64 v, const struct fmt_spec *f)
{
	char text[20];

	a->value[n] = v;
	a->at[n] = (u16)a->used;
	switch (f->kind) {
	case FMT_STR:
	case FMT_PROBE_STR:
		return take_str(a, v);
	case FMT_IP:
		return take_ip(a, v, f);
	case FMT_BACKTRACE:
		if (a->used == TEXT_MAX)
			return -ENOSPC;
		keep(a, text, address_text(text, v));
		return 0;
	case FMT_CHAR:
		return take_number(a, 1);
	}
	return take_number(a, f->flags & FMT_LONG ? 8 : 4);
}

static int collect(struct fmt_args *a, const char *fmt, const char *end, const u64 *args, u32 nargs)
{
	struct fmt_spec f;
	u32 n = 0;
	int err;

	for (;;) {
		err = spec_fmt_next(&fmt, end, &f);
		if (err || f.kind == FMT_END)
			return err;
		if (f.kind == FMT_PERCENT)
			continue;
		if (n >= nargs)
			return -EINVAL;
		err = take(a, n, READ_ONCE(args[n]), &f);
		if (err)
			return err;
		n++;
	}
}

/* ---- printing ---- */

static void print_arg(struct out *o, const struct fmt_args *a, u32 n, struct fmt_spec *f)
{
	const char *text = a->text + a->at[n];
	char sym[20], c = (char)a->value[n];

	switch (f->kind) {
	case FMT_CHAR:
		put_text(o, &c, 1, f);
		return;
	case FMT_STR:
		put_text(o, text, strlen(text), f);
		return;
	case FMT_PROBE_STR:
	case FMT_BACKTRACE:
	case FMT_IP:
		if (o->len < o->cap)	/* what lies behind the end is not counted, and takes no width */
			put_mem(o, text, strlen(text));
		return;
	case FMT_SYM:
		put_text(o, sym, address_text(sym, a->value[n]), f);
		return;
	case FMT_PTR:
		if (f->width < 0) {
			f->width = 16;
			f->flags |= FMT_ZERO;
		}
		break;
	}
	put_number(o, number_value(a->value[n], f), f);
}

static void print(struct out *o, const struct fmt_args *a, const char *fmt, const char *end)
{
	struct fmt_spec f;
	u32 n = 0;

	for (;;) {
		int err = spec_fmt_next(&fmt, end, &f);

		put_mem(o, f.text, f.text_len);
		if (err || f.kind == FMT_END)
			return;
		if (f.kind == FMT_PERCENT)
			put(o, '%');
		else if (n < FMT_MAX_ARGS)
			print_arg(o, a, n++, &f);
	}
}

int fmt_print(char *buf, u32 cap, const char *fmt, size_t size, const u64 *args, u32 nargs)
{
	struct out o = { .buf = buf, .cap = cap };
	const char *end = memchr(fmt, 0, size);
	struct fmt_args a;
	int err;

	if (!end || nargs > FMT_MAX_ARGS)
		return -EINVAL;
	memset(&a, 0, sizeof(a));
	err = collect(&a, fmt, end, args, nargs);
	if (err)
		return err;
	print(&o, &a, fmt, end);
	if (cap)
		buf[MIN(o.len, (u64)cap - 1)] = 0;
	return (int)o.len;
}
