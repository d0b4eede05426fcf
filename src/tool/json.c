/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - the JSON writer (json.h). */
#include "tool/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/sbuf.h"

void json_init(struct json *j, FILE *f, bool pretty)
{
	memset(j, 0, sizeof(*j));
	j->f = f;
	j->pretty = pretty;
}

static void newline(struct json *j)
{
	if (!j->pretty)
		return;
	fputc('\n', j->f);
	for (u32 i = 0; i < j->depth; i++)
		fputs("  ", j->f);
}

/* How many bytes of valid UTF-8 start at S: 0 if none. */
static u32 utf8_len(const unsigned char *s)
{
	u32 n = *s < 0x80 ? 1 : *s >= 0xc2 && *s < 0xe0 ? 2 : *s >= 0xe0 && *s < 0xf0 ? 3 :
		*s >= 0xf0 && *s < 0xf5 ? 4 : 0;

	for (u32 i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if (n == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)))
		return 0;
	if (n == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)))
		return 0;
	return n;
}

static void quoted(struct json *j, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	fputc('"', j->f);
	while (*s) {
		u32 n = utf8_len(s);

		if (*s == '"' || *s == '\\')
			fprintf(j->f, "\\%c", *s);
		else if (*s == '\n')
			fputs("\\n", j->f);
		else if (*s == '\t')
			fputs("\\t", j->f);
		else if (*s < 0x20)
			fprintf(j->f, "\\u%04x", *s);
		else if (!n)
			fputs("\\ufffd", j->f);
		else
			fwrite(s, 1, n, j->f);
		s += n ? n : 1;
	}
	fputc('"', j->f);
}

/* What goes in front of a value: comma, line, key. */
static void lead(struct json *j, const char *key)
{
	if (j->depth) {
		if (j->filled[j->depth])
			fputc(',', j->f);
		j->filled[j->depth] = true;
		newline(j);
	}
	j->started = true;
	if (key) {
		quoted(j, key);
		fputs(j->pretty ? ": " : ":", j->f);
	}
}

static void open_level(struct json *j, const char *key, char c)
{
	lead(j, key);
	fputc(c, j->f);
	if (j->depth < JSON_DEPTH - 1)
		j->depth++;
	j->filled[j->depth] = false;
	j->array[j->depth] = c == '[';
}

void json_obj(struct json *j, const char *key)
{
	open_level(j, key, '{');
}

void json_arr(struct json *j, const char *key)
{
	open_level(j, key, '[');
}

void json_end(struct json *j, char close)
{
	bool filled = j->filled[j->depth];

	j->depth--;
	if (filled)
		newline(j);
	fputc(close, j->f);
}

void json_done(struct json *j)
{
	if (j->started)
		fputc('\n', j->f);
	fflush(j->f);
}

void json_str(struct json *j, const char *key, const char *s)
{
	lead(j, key);
	if (s)
		quoted(j, s);
	else
		fputs("null", j->f);
}

void json_fmt(struct json *j, const char *key, const char *fmt, ...)
{
	struct sbuf b = {};
	va_list ap;

	va_start(ap, fmt);
	sbuf_vprintf(&b, fmt, ap);
	va_end(ap);
	json_str(j, key, b.len ? b.s : "");
	sbuf_free(&b);
}

void json_u64(struct json *j, const char *key, u64 v)
{
	lead(j, key);
	fprintf(j->f, "%" PRIu64, v);
}

void json_s64(struct json *j, const char *key, s64 v)
{
	lead(j, key);
	fprintf(j->f, "%" PRId64, v);
}

void json_bool(struct json *j, const char *key, bool v)
{
	lead(j, key);
	fputs(v ? "true" : "false", j->f);
}

void json_double(struct json *j, const char *key, double v)
{
	lead(j, key);
	if (isfinite(v))
		fprintf(j->f, "%.17g", v);
	else
		fputs("null", j->f);
}

void json_bytes(struct json *j, const char *key, const void *data, size_t n)
{
	const u8 *p = data;
	bool pretty = j->pretty;

	json_arr(j, key);
	j->pretty = false;
	for (size_t i = 0; i < n; i++)
		json_fmt(j, NULL, "0x%02x", p[i]);
	json_end(j, ']');
	j->pretty = pretty;
}
