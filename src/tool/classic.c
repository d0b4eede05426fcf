/* SPDX-License-Identifier: Apache-2.0 */
/* classic.c - see classic.h. */
#include "tool/classic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX	(4u << 20)

/* ---- reading ---- */
static int read_all(const char *path, char **out, size_t *len)
{
	int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	size_t cap = 65536, n = 0;
	char *b, *bigger;
	ssize_t got = 1;

	if (fd < 0)
		return fail_errno(-errno, "%s", path);
	b = malloc(cap);
	while (b && got > 0 && n <= TEXT_MAX) {
		if (n == cap) {
			bigger = realloc(b, cap *= 2);
			if (!bigger)
				free(b);
			b = bigger;
			continue;
		}
		got = read(fd, b + n, cap - n);
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got > 0)
			n += (size_t)got;
	}
	got = got < 0 ? -errno : 0;
	if (fd != STDIN_FILENO)
		close(fd);
	if (!b)
		return fail_errno(-ENOMEM, "%s", path);
	if (got || n > TEXT_MAX) {
		free(b);
		return got ? fail_errno((int)got, "%s", path) : fail(EXIT_FAILED, "%s: larger than 4 MiB", path);
	}
	*out = b;
	*len = n;
	return 0;
}

static int parse_name(const char *def, struct cbpf_name *name)
{
	const char *eq = strchr(def, '=');
	size_t n = eq ? (size_t)(eq - def) : strlen(def);
	bool minus = eq && eq[1] == '-';
	u64 v = 1;

	if (!n || n >= sizeof(name->name))
		return fail(EXIT_USAGE, "-D %s: wants NAME=VALUE", def);
	if (eq && (parse_u64(eq + 1 + minus, &v) || v > UINT32_MAX))
		return fail(EXIT_USAGE, "-D %s: '%s' is no 32-bit number", def, eq + 1);
	memset(name, 0, sizeof(*name));
	memcpy(name->name, def, n);
	name->value = minus ? -(u32)v : (u32)v;
	return 0;
}

/* Line LINE of TEXT and a mark under column COL, on stderr. */
static void show_line(const char *text, size_t len, u32 line, u32 col)
{
	const char *end = text + len, *p = text, *eol;

	for (u32 i = 1; i < line && p < end; i++) {
		p = memchr(p, '\n', (size_t)(end - p));
		p = p ? p + 1 : end;
	}
	eol = memchr(p, '\n', (size_t)(end - p));
	if (!eol)
		eol = end;
	if (opt.json || opt.mute || p == eol || eol - p > 200)
		return;
	fprintf(stderr, "%5u | %.*s\n      | ", line, (int)(eol - p), p);
	for (u32 i = 1; i < col && p < eol; i++, p++)
		fputc(*p == '\t' ? '\t' : ' ', stderr);
	fputs("^\n", stderr);
}

static int parse(struct classic *c, const char *text, size_t len, const struct cbpf_name *names, u32 nr)
{
	struct cbpf_text_error e;
	int rc, err = cbpf_parse(text, len, names, nr, c->f, &c->n, c->line, &e);

	if (!err)
		return 0;
	if (!e.line)
		return fail_errno(err, "%s", c->path);
	rc = fail(EXIT_FAILED, "%s:%u:%u: %s", c->path, e.line, e.col, e.text);
	show_line(text, len, e.line, e.col);
	return rc;
}

/* A dump of instructions as they lie in memory. */
static int from_raw(struct classic *c, const char *b, size_t len)
{
	if (len % sizeof(c->f[0]))
		return fail(EXIT_FAILED, "%s: %zu bytes are no whole number of instructions (8 bytes each)", c->path, len);
	if (len > sizeof(c->f))
		return fail(EXIT_FAILED, "%s: %zu instructions: %u is the most", c->path, len / sizeof(c->f[0]),
			    CBPF_MAX_INSNS);
	memcpy(c->f, b, len);
	memset(c->line, 0, sizeof(c->line));
	c->n = (u32)(len / sizeof(c->f[0]));
	return 0;
}

int classic_read(struct classic *c, const char *path, const struct opt_list *names)
{
	struct cbpf_name def[ARRAY_SIZE(names->s)];
	char *text = NULL;
	size_t len = 0;
	int rc;

	c->path = strcmp(path, "-") ? path : "stdin";
	for (u32 i = 0; i < names->n; i++) {
		rc = parse_name(names->s[i], &def[i]);
		if (rc)
			return rc;
	}
	rc = read_all(path, &text, &len);
	if (rc)
		return rc;
	if (memchr(text, 0, len))
		rc = from_raw(c, text, len);
	else
		rc = parse(c, text, len, def, names->n);
	free(text);
	return rc;
}

int classic_check(const struct classic *c, u32 flags)
{
	struct cbpf_reason why;
	struct sbuf b = {};
	int rc, err = cbpf_check(c->f, c->n, flags, &why);

	if (!err)
		return 0;
	if (err != -EINVAL)
		return fail_errno(err, "%s", c->path);
	if (why.insn < 0)
		return fail(EXIT_FAILED, "%s: %s", c->path, why.text);
	cbpf_print_insn(&b, &c->f[why.insn], (u32)why.insn);
	if (c->line[why.insn])
		rc = fail(EXIT_FAILED, "%s:%u: %s: %s", c->path, c->line[why.insn], why.text, b.s);
	else
		rc = fail(EXIT_FAILED, "%s: %s: %s", c->path, why.text, b.s);
	sbuf_free(&b);
	return rc;
}

/* ---- printing ---- */
void classic_take_d(struct classic_style *s, int *argc, char **argv)
{
	int n = 0;

	s->d = opt.debug;
	for (int i = 0; i < *argc; i++) {
		if (!strcmp(argv[i], "-dd") || !strcmp(argv[i], "-ddd"))
			s->d = (u32)strlen(argv[i]) - 1;
		else
			argv[n++] = argv[i];
	}
	*argc = n;
}

static void print_json(const struct classic *c)
{
	struct json *j = out_json();

	json_obj(j, NULL);
	json_arr(j, "insns");
	for (u32 i = 0; i < c->n; i++) {
		struct sbuf b = {};

		cbpf_print_insn(&b, &c->f[i], i);
		json_obj(j, NULL);
		json_u64(j, "code", c->f[i].code);
		json_u64(j, "jt", c->f[i].jt);
		json_u64(j, "jf", c->f[i].jf);
		json_u64(j, "k", c->f[i].k);
		json_str(j, "text", b.s + strlen("(000) "));
		json_end(j, '}');
		sbuf_free(&b);
	}
	json_end(j, ']');
	json_end(j, '}');
}

int classic_print(const struct classic *c, const struct classic_style *s, enum cbpf_style deflt)
{
	static const enum cbpf_style by_d[] = { CBPF_D, CBPF_DD, CBPF_DDD };
	enum cbpf_style style = s->d ? by_d[s->d - 1] : s->comma ? CBPF_COMMA : s->assembly ? CBPF_ASM : deflt;
	struct sbuf b = {};

	if ((s->d != 0) + s->comma + s->raw + s->assembly > 1)
		return fail(EXIT_USAGE, "-d, -dd, -ddd, --comma, --asm and --raw exclude each other");
	if (s->raw) {
		if (isatty(STDOUT_FILENO))
			return fail(EXIT_USAGE, "--raw prints binary data: send it to a file");
		fwrite(c->f, sizeof(c->f[0]), c->n, stdout);
		return EXIT_OK;
	}
	if (opt.json) {
		print_json(c);
		return EXIT_OK;
	}
	cbpf_print(&b, c->f, c->n, style);
	fputs(b.len ? b.s : "", stdout);
	sbuf_free(&b);
	return EXIT_OK;
}
