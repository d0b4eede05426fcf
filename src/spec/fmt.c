/* SPDX-License-Identifier: Apache-2.0 */
/* fmt.c - see fmt.h. Nothing is read beyond END, whatever the bytes are: formats lie in maps that others can write. */
#include <errno.h>

#include "spec/fmt.h"

#define WIDTH_MAX	((1 << 23) - 1)	/* larger ones count as this; numbers wrap at 32 bits before */

static u8 peek(const char *p, const char *end, u32 n)
{
	return n < (size_t)(end - p) ? (u8)READ_ONCE(p[n]) : 0;
}

/* The kernel's character classes are those of Latin-1. */
static bool is_space(u8 c)
{
	return c == ' ' || (c >= 9 && c <= 13) || c == 0xa0;
}

static bool is_alnum(u8 c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z' && c < 0x80) ||
	       (c >= 0xc0 && c != 0xd7 && c != 0xf7);
}

static bool is_control(u8 c)
{
	return (c < 0x20 && !is_space(c)) || c == 0x7f;
}

/* May stand right behind %p or a string: the end, a blank, punctuation. */
static bool ends_word(u8 c)
{
	return !c || (!is_control(c) && !is_alnum(c) && (c < 0x80 || c >= 0xa0));
}

static void flags_and_width(const char **at, const char *end, struct fmt_spec *s)
{
	static const u8 flag[256] = {
		['-'] = FMT_LEFT, ['+'] = FMT_PLUS, [' '] = FMT_SPACE, ['0'] = FMT_ZERO,
	};
	u32 width = 0;
	u8 c;

	while (flag[c = peek(*at, end, 0)]) {
		s->flags |= flag[c];
		++*at;
	}
	if (c < '1' || c > '9')
		return;
	for (; c >= '0' && c <= '9'; c = peek(++*at, end, 0))
		width = width * 10 + (c - '0');
	s->width = MIN((s32)width, WIDTH_MAX);
}

/* What may follow %p, in the kernel's order; behind all but the strings letters and digits are swallowed. */
static const struct { char text[3]; u8 kind, flags; } pointers[] = {
	{ "ks", FMT_PROBE_STR },	{ "us", FMT_PROBE_STR },
	{ "K",  FMT_PTR },		{ "x",  FMT_PTR },
	{ "s",  FMT_SYM },		{ "S",  FMT_SYM },	{ "B", FMT_BACKTRACE },
	{ "i4", FMT_IP, FMT_IP_RAW },	{ "i6", FMT_IP, FMT_IP_RAW | FMT_IP6 },
	{ "I4", FMT_IP },		{ "I6", FMT_IP, FMT_IP6 },
};

static int pointer(const char **at, const char *end, struct fmt_spec *s)
{
	u8 a = peek(*at, end, 0), b = peek(*at, end, 1);

	s->flags |= FMT_LONG;
	s->kind = FMT_PTR;
	if (ends_word(a))
		return 0;
	for (u32 i = 0; i < ARRAY_SIZE(pointers); i++) {
		const char *t = pointers[i].text;

		if (a != (u8)t[0] || (t[1] && b != (u8)t[1]))
			continue;
		*at += t[1] ? 2 : 1;
		s->kind = pointers[i].kind;
		s->flags |= pointers[i].flags;
		if (s->kind == FMT_PROBE_STR)
			return ends_word(peek(*at, end, 0)) ? 0 : -EINVAL;
		while (is_alnum(peek(*at, end, 0)))
			++*at;
		return 0;
	}
	return -EINVAL;
}

static int integer(const char **at, const char *end, struct fmt_spec *s)
{
	static const u8 kinds[256] = {
		['d'] = FMT_INT, ['i'] = FMT_INT, ['u'] = FMT_UINT, ['x'] = FMT_HEX, ['X'] = FMT_HEX,
	};
	u8 c;

	for (u32 i = 0; i < 2 && peek(*at, end, 0) == 'l'; i++) {
		s->flags |= FMT_LONG;
		++*at;
	}
	c = peek(*at, end, 0);
	if (!kinds[c])
		return -EINVAL;
	++*at;
	s->kind = kinds[c];
	s->flags |= c == 'X' ? FMT_UPPER : 0;
	return 0;
}

/* Behind the '%'. */
static int specifier(const char **at, const char *end, struct fmt_spec *s)
{
	if (peek(*at, end, 0) == '%') {
		++*at;
		s->kind = FMT_PERCENT;
		return 0;
	}
	flags_and_width(at, end, s);
	switch (peek(*at, end, 0)) {
	case 'p':
		++*at;
		return pointer(at, end, s);
	case 's':
		++*at;
		s->kind = FMT_STR;
		return ends_word(peek(*at, end, 0)) ? 0 : -EINVAL;
	case 'c':
		++*at;
		s->kind = FMT_CHAR;
		return 0;
	}
	return integer(at, end, s);
}

int spec_fmt_next(const char **at, const char *end, struct fmt_spec *s)
{
	const char *p = *at;
	u8 c;

	*s = (struct fmt_spec){ .text = p, .width = -1 };
	while ((c = peek(p, end, 0)) && c != '%') {
		if (is_control(c))
			return -EINVAL;
		p++;
	}
	s->text_len = (u32)(p - s->text);
	*at = p;
	if (!c)
		return 0;
	++*at;
	return specifier(at, end, s);
}

int spec_fmt_check(const char *fmt, const char *end, u32 nargs)
{
	struct fmt_spec s;
	u32 n = 0;
	int err;

	do {
		err = spec_fmt_next(&fmt, end, &s);
		n += s.kind > FMT_PERCENT;
		if (err || n > nargs)
			return -EINVAL;
	} while (s.kind != FMT_END);
	return 0;
}
