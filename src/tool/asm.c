/* SPDX-License-Identifier: Apache-2.0 */
/* asm.c - skep asm and skep disasm: classic BPF from any of its texts to any other. They differ in what they print by
 * default, and in that asm wants a program that the kernel would take. */
#include <stdlib.h>
#include <string.h>

#include "tool/classic.h"

struct asm_opts {
	struct classic_style style;
	struct opt_list names;
	bool seccomp, unchecked;
};

static int parse_args(const char *verb, struct asm_opts *o, int *argc, char **argv)
{
	const struct opt_row rows[] = {
		{ "-D|--define", OPT_LIST, &o->names },
		{ "--comma",     OPT_FLAG, &o->style.comma },
		{ "--asm",       OPT_FLAG, &o->style.assembly },
		{ "--raw",       OPT_FLAG, &o->style.raw },
		{ "--seccomp",   OPT_FLAG, &o->seccomp },
		{ "--no-check",  OPT_FLAG, &o->unchecked },
		{},
	};
	int rc;

	classic_take_d(&o->style, argc, argv);
	rc = opts_parse(rows, verb, argc, argv);
	if (rc)
		return rc;
	if (*argc > 1)
		return fail(EXIT_USAGE, "skep %s takes one file: what is '%s'?", verb, argv[1]);
	if (!*argc)
		return fail(EXIT_USAGE, "skep %s wants a file (-: stdin): see 'skep help %s'", verb, verb);
	return 0;
}

static int convert(const char *verb, enum cbpf_style deflt, bool check, int argc, char **argv)
{
	struct asm_opts o = {};
	struct classic *c;
	int rc = parse_args(verb, &o, &argc, argv);

	if (rc)
		return rc;
	c = calloc(1, sizeof(*c));
	if (!c)
		return fail(EXIT_ENV, "out of memory");
	rc = classic_read(c, argv[0], &o.names);
	if (!rc && check && !o.unchecked)
		rc = classic_check(c, o.seccomp ? CBPF_SECCOMP : 0);
	if (!rc)
		rc = classic_print(c, &o.style, deflt);
	free(c);
	return rc;
}

int cmd_asm(int argc, char **argv)
{
	return convert("asm", CBPF_DDD, true, argc, argv);
}

int cmd_disasm(int argc, char **argv)
{
	return convert("disasm", CBPF_ASM, false, argc, argv);
}
