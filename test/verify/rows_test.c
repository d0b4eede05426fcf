/* SPDX-License-Identifier: Apache-2.0 */
/* rows_test.c - rows.data on skep and, where it has BPF, on the running kernel: verdict, errno and the decisive sentence of the
 * log. */
#include "side.h"

#include <stdio.h>

#include "../insn/asm.h"

#define MAX_INSNS_	256

struct row {
	const char *name, *text, *verdict, *sentence, *partial;	/* in line */
	u32 type;
	bool is_row;
	char line[4096], raw[4096];
};

static const struct { const char *name; int err; } errnos[] = {
	{ "ok", 0 }, { "EACCES", -EACCES }, { "EINVAL", -EINVAL }, { "E2BIG", -E2BIG }, { "EPERM", -EPERM },
	{ "EFAULT", -EFAULT }, { "ENOENT", -ENOENT }, { "EOPNOTSUPP", -EOPNOTSUPP }, { "ELOOP", -ELOOP }, { "ENOTSUPP", -524 }, { "ENOSPC", -ENOSPC },
};

static int errno_of(const char *name)
{
	for (u32 i = 0; i < ARRAY_SIZE(errnos); i++)
		if (!strcmp(errnos[i].name, name))
			return errnos[i].err;
	return 1;
}

static const char *name_of(int err)
{
	for (u32 i = 0; i < ARRAY_SIZE(errnos); i++)
		if (errnos[i].err == err)
			return errnos[i].name;
	return "?";
}

static char *field(char **p)
{
	char *s = *p, *e;

	if (!s)
		return (char *)"";
	e = strstr(s, " | ");
	if (e)
		*e = 0;
	*p = e ? e + 3 : NULL;
	return s;
}

/* Next line of the file into R. False at the end. */
static bool next_row(FILE *f, struct row *r)
{
	char *p = r->line;

	if (!fgets(r->raw, sizeof(r->raw), f))
		return false;
	r->raw[strcspn(r->raw, "\n")] = 0;
	memcpy(r->line, r->raw, sizeof(r->line));
	r->is_row = false;
	if (!strncmp(p, "%type ", 6)) {
		for (r->type = 0; r->type < spec_nr_progs; r->type++)
			if (spec_progs[r->type].name && !strcmp(spec_progs[r->type].name, p + 6))
				break;
	} else if (p[0] && p[0] != '#') {
		r->is_row = true;
		r->name = field(&p);
		r->text = field(&p);
		r->verdict = field(&p);
		r->sentence = field(&p);
		r->partial = field(&p);
	}
	return true;
}

static int load(struct side *s, const struct row *r)
{
	static struct bpf_insn insns[MAX_INSNS_];
	const char *why = NULL;
	int n = asm_text(r->text, insns, MAX_INSNS_, &why);

	if (n < 0) {
		t_fail(__FILE__, __LINE__, "cannot assemble: %s", why ? why : "?");
		return 1;
	}
	return side_verdict(s, r->type, insns, (u32)n, strcmp(r->verdict, "E2BIG") ? 1 : 4);
}

static FILE *rows_open(void)
{
	return fopen("test/verify/rows.data", "r");
}

/* ROWS_WRITE=1: the file again, with the kernel's verdicts and sentences. */
static void write_rows(struct side *k)
{
	struct row r = { 0 };
	FILE *f = rows_open();

	while (next_row(f, &r)) {
		int err;

		if (!r.is_row) {
			printf("%s\n", r.raw);
			continue;
		}
		err = load(k, &r);
		if (err != errno_of(r.verdict))
			fprintf(stderr, "%s: expected %s, kernel says %s\n%s\n", r.name, r.verdict, name_of(err), k->log);
		printf("%s | %s | %s%s%s", r.name, r.text, name_of(err), err || r.partial[0] ? " | " : "", err ? side_sentence(k) : "");
		if (r.partial[0])
			printf(" | %s", r.partial);
		printf("\n");
	}
	fclose(f);
}

TEST(rows)
{
	struct row r = { 0 };
	struct side k = { 0 }, s = { 0 };
	FILE *f = rows_open();

	NEED(f);
	if (t_kernel_bpf())
		NEED(!side_open(&k, true));
	if (getenv("ROWS_WRITE")) {
		write_rows(&k);
		return;
	}
	NEED(!side_open(&s, false));
	while (next_row(f, &r)) {
		if (!r.is_row)
			continue;
		t_row("%s: %s", spec_prog(r.type)->name, r.name);
		if (r.partial[0]) {
			EQ(load(&s, &r), -EOPNOTSUPP);
			HAS(s.log, r.partial);
		} else {
			EQ(load(&s, &r), errno_of(r.verdict));
			if (errno_of(r.verdict))
				STR_EQ(side_sentence(&s), r.sentence);
		}
		if (k.log && !(t_fast() && !strcmp(r.verdict, "E2BIG"))) {	/* a million steps */
			EQ(load(&k, &r), errno_of(r.verdict));
			if (errno_of(r.verdict))
				STR_EQ(side_sentence(&k), r.sentence);
		}
	}
	fclose(f);
	side_close(&s);
	side_close(&k);
}
