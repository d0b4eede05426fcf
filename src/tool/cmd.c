/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.c - command tables: dispatch by unique prefix, help, nearest names; option rows; errors; small parsers. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/sbuf.h"
#include "tool/tool.h"

struct tool_opts opt;

struct json *out_json(void)
{
	static struct json j;

	if (!j.f)
		json_init(&j, stdout, opt.pretty);
	return &j;
}

/* ---- errors ---- */
static void vsay(const char *lead, const char *fmt, va_list ap)
{
	if (opt.mute)
		return;
	fflush(stdout);
	fputs(lead, stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

static void vfail(const char *tail, const char *fmt, va_list ap)
{
	struct json *j = out_json();
	struct sbuf b = {};

	if (opt.mute)
		return;
	sbuf_vprintf(&b, fmt, ap);
	if (tail)
		sbuf_printf(&b, ": %s", tail);
	fflush(stdout);
	if (opt.json && (!j->started || (j->depth && j->array[j->depth]))) {
		json_obj(j, NULL);
		json_str(j, "error", b.s);
		json_end(j, '}');
	} else {
		fprintf(stderr, "skep: %s\n", b.s);
	}
	sbuf_free(&b);
}

int fail(int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfail(NULL, fmt, ap);
	va_end(ap);
	return code;
}

const char *err_text(int err)
{
	static char b[64];

	err = err < 0 ? -err : err;
	if (err == 524)
		return "Operation not supported (ENOTSUPP)";
	if (!strerrordesc_np(err)) {
		snprintf(b, sizeof(b), "error %d", err);
		return b;
	}
	return strerrordesc_np(err);
}

int fail_errno(int err, const char *fmt, ...)
{
	static const int env[] = { ENOSPC, ENOMEM, EMFILE, ENFILE, EROFS, EDQUOT };
	int code = EXIT_FAILED;
	va_list ap;

	for (u32 i = 0; i < ARRAY_SIZE(env); i++)
		if (abs(err) == env[i])
			code = EXIT_ENV;
	va_start(ap, fmt);
	vfail(err_text(err), fmt, ap);
	va_end(ap);
	return code;
}

void warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay("skep: warning: ", fmt, ap);
	va_end(ap);
}

void note(const char *fmt, ...)
{
	va_list ap;

	if (opt.json)
		return;
	va_start(ap, fmt);
	vsay("", fmt, ap);
	va_end(ap);
}

/* ---- dispatch ---- */
bool is_prefix(const char *word, const char *name)
{
	return *word && !strncmp(word, name, strlen(word));
}

u32 word_distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	u32 row[96];

	if (la >= ARRAY_SIZE(row) || lb >= ARRAY_SIZE(row))
		return ~0u;
	for (u32 j = 0; j <= lb; j++)
		row[j] = j;
	for (u32 i = 1; i <= la; i++) {
		u32 diag = row[0];

		row[0] = i;
		for (u32 j = 1; j <= lb; j++) {
			u32 best = MIN(row[j], row[j - 1]) + 1;

			best = MIN(best, diag + (a[i - 1] != b[j - 1]));
			diag = row[j];
			row[j] = best;
		}
	}
	return row[lb];
}

static const char *nearest(const struct cmd *table, const char *word)
{
	const char *best = NULL;
	u32 d, min = 3;

	for (; table->name; table++) {
		d = word_distance(word, table->name);
		if (d < min && d < strlen(table->name)) {
			min = d;
			best = table->name;
		}
	}
	return best;
}

static int unknown(const struct cmd *table, const char *noun, const char *word)
{
	const char *near = nearest(table, word), *gap = *noun ? " " : "";

	if (near)
		return fail(EXIT_USAGE, "unknown command '%s%s%s': did you mean '%s'?", noun, gap, word, near);
	return fail(EXIT_USAGE, "unknown command '%s%s%s': see 'skep%s%s help'", noun, gap, word, gap, noun);
}

static const struct cmd *find(const struct cmd *table, const char *noun, const char *word, int *rc)
{
	const struct cmd *hit = NULL;

	for (const struct cmd *c = table; c->name; c++) {
		if (!strcmp(c->name, word))
			return c;
		if (!is_prefix(word, c->name))
			continue;
		if (hit && hit->fn != c->fn) {
			*rc = fail(EXIT_USAGE, "'%s' is short for both '%s' and '%s'", word, hit->name, c->name);
			return NULL;
		}
		hit = hit ? hit : c;
	}
	if (!hit)
		*rc = unknown(table, noun, word);
	return hit;
}

int cmd_help(const struct cmd *table, const char *noun)
{
	FILE *f = stdout;

	for (const struct cmd *c = table; c->name; c++) {
		fprintf(f, "  skep %s%s%s%s%s\n", noun, *noun ? " " : "", c->name, *c->args ? " " : "", c->args);
		if (*c->help)
			fprintf(f, "        %s\n", c->help);
		if (c->more && *c->more)
			fprintf(f, "\n%s", c->more);
	}
	return EXIT_OK;
}

int cmd_dispatch(const struct cmd *table, const char *noun, int argc, char **argv)
{
	const struct cmd *c;
	int rc = EXIT_USAGE;

	if (!argc)
		return fail(EXIT_USAGE, "skep %s needs a command: see 'skep %s help'", noun, noun);
	if (!strcmp(argv[0], "help") && *noun)
		return cmd_help(table, noun);
	c = find(table, noun, argv[0], &rc);
	if (!c)
		return rc;
	if (argc > 1 && (*noun || c->more) && !strcmp(argv[1], "help")) {
		const struct cmd one[] = { *c, {} };

		return cmd_help(one, noun);
	}
	return c->fn(argc - 1, argv + 1);
}

/* ---- options ---- */
static bool opt_is(const char *names, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = names; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
		if (!strncmp(p, word, n) && (p[n] == '|' || !p[n]))
			return true;
	return false;
}

static int opt_value(const struct opt_row *r, const char *verb, const char *word, const char *val)
{
	struct opt_list *l = r->to;

	switch (r->kind) {
	case OPT_STR:
		*(const char **)r->to = val;
		return 0;
	case OPT_U32:
		if (parse_u32(val, r->to))
			return fail(EXIT_USAGE, "skep %s: %s wants a number, not '%s'", verb, word, val);
		return 0;
	case OPT_LIST:
		if (l->n == ARRAY_SIZE(l->s))
			return fail(EXIT_USAGE, "skep %s: too many %s", verb, word);
		l->s[l->n++] = val;
		return 0;
	default:
		return 0;
	}
}

/* One option at argv[*i]; *i moves over its value. "--name=value" and "-Ivalue" work as well. */
static int opt_one(const struct opt_row *rows, const char *verb, int argc, char **argv, int *i)
{
	char *word = argv[*i], *eq = strchr(word, '=');
	char name[32];

	snprintf(name, sizeof(name), "%.*s", eq ? (int)(eq - word) : word[1] == '-' ? 31 : 2, word);
	for (; rows->name; rows++) {
		if (!opt_is(rows->name, name))
			continue;
		if (rows->kind == OPT_FLAG) {
			if (strcmp(name, word))
				break;
			*(bool *)rows->to = true;
			return 0;
		}
		if (strlen(word) > strlen(name))
			return opt_value(rows, verb, name, word + strlen(name) + (eq != NULL));
		if (*i + 1 >= argc)
			return fail(EXIT_USAGE, "skep %s: %s wants a value", verb, name);
		return opt_value(rows, verb, name, argv[++*i]);
	}
	return fail(EXIT_USAGE, "skep %s: unknown option '%s': see 'skep help %s'", verb, word, verb);
}

int opts_parse(const struct opt_row *rows, const char *verb, int *argc, char **argv)
{
	int n = 0, err;

	for (int i = 0; i < *argc; i++) {
		if (argv[i][0] != '-' || !argv[i][1]) {
			argv[n++] = argv[i];
			continue;
		}
		if (!strcmp(argv[i], "--")) {
			for (i++; i < *argc; i++)
				argv[n++] = argv[i];
			break;
		}
		err = opt_one(rows, verb, *argc, argv, &i);
		if (err)
			return err;
	}
	*argc = n;
	return 0;
}

/* ---- small things ---- */
int parse_u64(const char *word, u64 *out)
{
	char *end;

	if (*word < '0' || *word > '9')
		return -EINVAL;
	errno = 0;
	*out = strtoull(word, &end, 0);
	return *end || errno ? -EINVAL : 0;
}

int parse_u32(const char *word, u32 *out)
{
	u64 v;

	if (parse_u64(word, &v) || v > UINT32_MAX)
		return -EINVAL;
	*out = (u32)v;
	return 0;
}

const char *commas(u64 n)
{
	static char bufs[8][32];
	static u32 turn;
	char *b = bufs[turn++ % 8], digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n), o = 0;

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			b[o++] = ',';
		b[o++] = digits[i];
	}
	b[o] = 0;
	return b;
}

u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

bool color(int fd)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return !(no && *no) && term && strcmp(term, "dumb") && isatty(fd);
}
