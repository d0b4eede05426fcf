/* SPDX-License-Identifier: Apache-2.0 */
/* rt_fmt.c - snprintf for the agent (rt.h): integers, strings, characters, pointers, with flags, width, precision and length
 * as in C. No floating point (agent code has no vector registers), no %n, no positions. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/rt.h"

struct out {
	char *buf;
	size_t size, len;		/* len goes on past size, as the return value wants */
};

struct spec {
	bool left, zero, alt, plus, space;
	int width, prec;		/* prec -1: none */
	int length;			/* bytes of the integer */
	char conv;
};

static void put(struct out *o, char c, int n)
{
	for (; n > 0; n--, o->len++)
		if (o->len + 1 < o->size)
			o->buf[o->len] = c;
}

static void put_str(struct out *o, const char *s, size_t n)
{
	for (; n; n--)
		put(o, *s++, 1);
}

static void put_padded(struct out *o, const struct spec *f, const char *s, size_t n)
{
	int pad = f->width > 0 && (size_t)f->width > n ? f->width - (int)n : 0;

	if (!f->left)
		put(o, ' ', pad);
	put_str(o, s, n);
	if (f->left)
		put(o, ' ', pad);
}

static void put_int(struct out *o, const struct spec *f, u64 v, bool neg)
{
	const char *digits = f->conv == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	unsigned int base = f->conv == 'o' ? 8 : f->conv == 'x' || f->conv == 'X' || f->conv == 'p' ? 16 : 10;
	char buf[24] = "", sign[3] = "";
	int n = 0, zeros, pad, signs = 0;

	if (neg || f->plus || f->space)
		sign[signs++] = neg ? '-' : f->plus ? '+' : ' ';
	if (base == 16 && (f->conv == 'p' || (f->alt && v))) {
		sign[signs++] = '0';
		sign[signs++] = f->conv == 'X' ? 'X' : 'x';
	}
	for (u64 left = v; left || (!n && f->prec); left /= base)
		buf[sizeof(buf) - ++n] = digits[left % base];
	zeros = MAX(f->prec - n, 0);
	if (base == 8 && f->alt && !zeros && (!n || buf[sizeof(buf) - n] != '0'))
		zeros = 1;
	pad = MAX(f->width - n - zeros - signs, 0);
	if (f->zero && !f->left && f->prec < 0) {
		zeros += pad;
		pad = 0;
	}
	if (!f->left)
		put(o, ' ', pad);
	put_str(o, sign, signs);
	put(o, '0', zeros);
	put_str(o, buf + sizeof(buf) - n, n);
	if (f->left)
		put(o, ' ', pad);
}

static const char *parse_number(const char *p, int *v)
{
	*v = 0;
	for (; *p >= '0' && *p <= '9'; p++)
		*v = MIN(*v * 10 + (*p - '0'), 1 << 20);
	return p;
}

static const char *parse_flags(const char *p, struct spec *f)
{
	for (;; p++) {
		switch (*p) {
		case '-': f->left = true; break;
		case '0': f->zero = true; break;
		case '#': f->alt = true; break;
		case '+': f->plus = true; break;
		case ' ': f->space = true; break;
		default: return p;
		}
	}
}

static const char *parse_length(const char *p, struct spec *f)
{
	f->length = 4;
	if (p[0] == 'h') {
		f->length = p[1] == 'h' ? 1 : 2;
		return p + (p[1] == 'h' ? 2 : 1);
	}
	for (; *p == 'l' || *p == 'z' || *p == 'j' || *p == 't'; p++)
		f->length = 8;
	return p;
}

static u64 shorten(u64 v, int length, bool is_signed)
{
	switch (length) {
	case 1: return is_signed ? (u64)(s8)v : (u8)v;
	case 2: return is_signed ? (u64)(s16)v : (u16)v;
	case 4: return is_signed ? (u64)(s32)v : (u32)v;
	}
	return v;
}

/* Everything but the arguments, which only vsnprintf() itself can take (va_list may be an array). */
static const char *parse(const char *p, struct spec *f, int (*star)(void *), void *arg)
{
	*f = (struct spec){ .prec = -1 };
	p = parse_flags(p, f);
	if (*p == '*') {
		f->width = star(arg);
		f->left |= f->width < 0;
		f->width = f->width < 0 ? -f->width : f->width;
		p++;
	} else {
		p = parse_number(p, &f->width);
	}
	if (*p == '.') {
		if (*++p == '*') {
			f->prec = star(arg);
			p++;
		} else {
			p = parse_number(p, &f->prec);
		}
	}
	p = parse_length(p, f);
	f->conv = *p;
	return *p ? p + 1 : p;
}

struct args {
	va_list ap;
};

static int next_int(void *arg)
{
	return va_arg(((struct args *)arg)->ap, int);
}

static void convert(struct out *o, struct spec *f, struct args *a)
{
	const char *s;
	char c;
	s64 v;

	switch (f->conv) {
	case 'd': case 'i':
		v = f->length == 8 ? va_arg(a->ap, s64) : va_arg(a->ap, int);
		v = (s64)shorten((u64)v, f->length, true);
		put_int(o, f, v < 0 ? 0 - (u64)v : (u64)v, v < 0);
		break;
	case 'p':
		f->length = 8;
		/* fallthrough */
	case 'u': case 'x': case 'X': case 'o':
		f->plus = f->space = false;
		put_int(o, f, f->length == 8 ? va_arg(a->ap, u64) : shorten(va_arg(a->ap, u32), f->length, false), false);
		break;
	case 'c':
		c = (char)va_arg(a->ap, int);
		put_padded(o, f, &c, 1);
		break;
	case 's':
		s = va_arg(a->ap, const char *);
		if (!s)
			s = "(null)";
		put_padded(o, f, s, f->prec >= 0 ? strnlen(s, (size_t)f->prec) : strlen(s));
		break;
	default:
		put(o, f->conv, f->conv != 0);
	}
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = { .buf = buf, .size = size };
	struct spec f;
	struct args a;

	va_copy(a.ap, ap);
	while (*fmt) {
		const char *pc = strchr(fmt, '%');
		size_t n = pc ? (size_t)(pc - fmt) : strlen(fmt);

		put_str(&o, fmt, n);
		fmt += n;
		if (!pc)
			break;
		fmt = parse(fmt + 1, &f, next_int, &a);
		convert(&o, &f, &a);
	}
	va_end(a.ap);
	if (size)
		buf[MIN(o.len, size - 1)] = 0;
	return (int)o.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
