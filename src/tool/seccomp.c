/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp.c - skep seccomp: what a seccomp program does, with one system call and with all of them.
 *
 * `explain` runs the program for each system call of x86-64 with unknown arguments, both ways where a condition depends on
 * one, and collects the actions. Names of system calls come from spec/syscalls.def; other architectures have numbers. */
#include <stdlib.h>
#include <string.h>

#include "spec/events.h"
#include "tool/classic.h"

#define PATHS_MAX	4096		/* ways through the program per system call */
#define ACTIONS_MAX	16

static const struct {
	u32 arch;
	const char *name, *macro;
} arches[] = {
	{ 0xc000003e, "x86_64", "AUDIT_ARCH_X86_64" },   { 0x40000003, "i386", "AUDIT_ARCH_I386" },
	{ 0xc00000b7, "aarch64", "AUDIT_ARCH_AARCH64" }, { 0x40000028, "arm", "AUDIT_ARCH_ARM" },
	{ 0xc00000f3, "riscv64", "AUDIT_ARCH_RISCV64" }, { 0xc0000015, "ppc64le", "AUDIT_ARCH_PPC64LE" },
	{ 0x80000016, "s390x", "AUDIT_ARCH_S390X" },
};
#define X86_64	0xc000003e

static const struct {
	u32 action;
	const char *name;
} actions[] = {
	{ SECCOMP_RET_KILL_PROCESS, "KILL_PROCESS" }, { SECCOMP_RET_KILL_THREAD, "KILL_THREAD" },
	{ SECCOMP_RET_TRAP, "TRAP" }, { SECCOMP_RET_ERRNO, "ERRNO" }, { SECCOMP_RET_USER_NOTIF, "USER_NOTIF" },
	{ SECCOMP_RET_TRACE, "TRACE" }, { SECCOMP_RET_LOG, "LOG" }, { SECCOMP_RET_ALLOW, "ALLOW" },
};

/* "ERRNO(EPERM)"; an action that Linux does not know kills the process. */
static const char *action_text(u32 ret, char buf[48])
{
	u32 data = ret & SECCOMP_RET_DATA;
	const char *e;

	for (u32 i = 0; i < ARRAY_SIZE(actions); i++) {
		if (actions[i].action != (ret & SECCOMP_RET_ACTION_FULL))
			continue;
		e = actions[i].action == SECCOMP_RET_ERRNO ? strerrorname_np((int)data) : NULL;
		if (e)
			snprintf(buf, 48, "ERRNO(%s)", e);
		else if (data)
			snprintf(buf, 48, "%s(%u)", actions[i].name, data);
		else
			snprintf(buf, 48, "%s", actions[i].name);
		return buf;
	}
	snprintf(buf, 48, "%#x (unknown: KILL_PROCESS)", ret);
	return buf;
}

static const struct spec_syscall *by_name(const char *name)
{
	const struct spec_syscall *s = spec_syscall_find(name);

	for (u32 i = 0; i < spec_nr_syscalls && !s; i++)
		if (!strcmp(spec_syscalls[i].uapi, name))
			s = &spec_syscalls[i];
	return s;
}

/* ---- ways through a program ---- */
struct value {
	u32 v;
	bool known;
};

struct state {
	u32 pc;
	struct value a, x, m[BPF_MEMWORDS];
};

struct explored {
	u32 ret[ACTIONS_MAX];
	u32 n, paths;
	bool other;			/* more values, or one that depends on an argument */
	bool too_many;
};

static void found(struct explored *e, struct value v)
{
	e->paths++;
	if (!v.known) {
		e->other = true;
		return;
	}
	for (u32 i = 0; i < e->n; i++)
		if (e->ret[i] == v.v)
			return;
	if (e->n == ACTIONS_MAX)
		e->other = true;
	else
		e->ret[e->n++] = v.v;
}

static u32 compute(u16 code, u32 a, u32 b, bool *zero)
{
	switch (BPF_OP(code)) {
#define CBPF_ALU(op, text, hex, expr)					\
	case op:							\
		if (((op) == BPF_DIV || (op) == BPF_MOD) && !b) {	\
			*zero = true;					\
			return 0;					\
		}							\
		return expr;
#include "spec/cbpf.def"
	}
	return -a;
}

static bool condition(u16 code, u32 a, u32 b)
{
	switch (BPF_OP(code)) {
#define CBPF_JMP(op, text, neg, expr) case op: return expr;
#include "spec/cbpf.def"
	}
	return false;
}

static void load(struct state *s, const struct sock_filter *in, u32 nr, u32 arch)
{
	struct value *to = BPF_CLASS(in->code) == BPF_LDX ? &s->x : &s->a;

	switch (cbpf_op(in->code)->form) {
	case CBPF_PKT:
		*to = (struct value) { in->k == 0 ? nr : arch, in->k < 8 };
		break;
	case CBPF_IMM:
		*to = (struct value) { in->k, true };
		break;
	case CBPF_LEN:
		*to = (struct value) { sizeof(struct seccomp_data), true };
		break;
	case CBPF_MEM:
		if (BPF_CLASS(in->code) == BPF_ST || BPF_CLASS(in->code) == BPF_STX)
			s->m[in->k] = BPF_CLASS(in->code) == BPF_ST ? s->a : s->x;
		else
			*to = s->m[in->k];
		break;
	default:
		if (in->code == (BPF_MISC | BPF_TAX))
			s->x = s->a;
		else
			s->a = s->x;
	}
}

static void explore(const struct classic *c, struct state s, u32 nr, u32 arch, struct explored *e)
{
	for (;; s.pc++) {
		const struct sock_filter *in = &c->f[s.pc];
		struct value b = BPF_SRC(in->code) == BPF_X ? s.x : (struct value) { in->k, true };
		bool zero = false;

		switch (BPF_CLASS(in->code)) {
		case BPF_RET:
			found(e, in->code == (BPF_RET | BPF_A) ? s.a : (struct value) { in->k, true });
			return;
		case BPF_JMP:
			if (BPF_OP(in->code) == BPF_JA) {
				s.pc += in->k;
			} else if (s.a.known && b.known) {
				s.pc += condition(in->code, s.a.v, b.v) ? in->jt : in->jf;
			} else if (e->paths > PATHS_MAX) {
				e->too_many = true;
				return;
			} else {
				struct state other = s;

				other.pc += in->jt + 1u;
				s.pc += in->jf;
				explore(c, other, nr, arch, e);
			}
			break;
		case BPF_ALU:
			s.a.known &= b.known || BPF_OP(in->code) == BPF_NEG;
			s.a.v = s.a.known ? compute(in->code, s.a.v, b.v, &zero) : 0;
			if (zero) {
				found(e, (struct value) { 0, true });
				return;
			}
			break;
		default:
			load(&s, in, nr, arch);
		}
	}
}

static struct explored explore_call(const struct classic *c, u32 nr, u32 arch)
{
	struct state s = { .a.known = true, .x.known = true };
	struct explored e = {};

	explore(c, s, nr, arch, &e);
	return e;
}

/* ---- explain ---- */
static const char *const words[] = { "system call", "architecture", "instruction pointer, low", "instruction pointer, high" };

/* What a load of struct seccomp_data loads. */
static void word_text(u32 off, char buf[48])
{
	if (off < 16)
		snprintf(buf, 48, "%s", words[off / 4]);
	else
		snprintf(buf, 48, "argument %u, %s half", (off - 16) / 8, off & 4 ? "high" : "low");
}

/* A remark on an instruction; LAST: offset of the load before it, or ~0. */
static void remark(const struct sock_filter *in, u32 last, char buf[48])
{
	const struct spec_syscall *s;

	buf[0] = 0;
	if (in->code == (BPF_LD | BPF_W | BPF_ABS))
		word_text(in->k, buf);
	else if (in->code == (BPF_RET | BPF_K))
		action_text(in->k, buf);
	else if (in->code == (BPF_JMP | BPF_JEQ | BPF_K) && last == 0) {
		s = spec_syscall(in->k & ~0x40000000u);
		snprintf(buf, 48, "%s%s", s ? s->uapi : "", in->k & 0x40000000 ? " (x32)" : "");
	} else if (cbpf_op(in->code)->jump && BPF_SRC(in->code) == BPF_K && last == 4) {
		for (u32 i = 0; i < ARRAY_SIZE(arches); i++)
			if (arches[i].arch == in->k)
				snprintf(buf, 48, "%s", arches[i].macro);
	}
}

static void print_listing(const struct classic *c)
{
	u32 last = ~0u;
	char text[48];

	for (u32 i = 0; i < c->n; i++) {
		struct sbuf b = {};
		int width = 0;

		cbpf_print_insn(&b, &c->f[i], i);
		for (char *p = b.s; *p; p++)
			width = *p == '\t' ? (width / 8 + 1) * 8 : width + 1;
		remark(&c->f[i], last, text);
		if (text[0])
			printf("%s%*s; %s\n", b.s, MAX(56 - width, 1), "", text);
		else
			printf("%s\n", b.s);
		if (BPF_CLASS(c->f[i].code) == BPF_LD)
			last = c->f[i].code == (BPF_LD | BPF_W | BPF_ABS) ? c->f[i].k : ~0u;
		sbuf_free(&b);
	}
}

static void explored_text(const struct explored *e, struct sbuf *out)
{
	char text[48];

	for (u32 i = 0; i < e->n; i++)
		sbuf_printf(out, "%s%s", i ? " or " : "", action_text(e->ret[i], text));
	if (e->other || e->too_many)
		sbuf_printf(out, "%ssomething else", e->n ? " or " : "");
	if (e->n + e->other > 1)
		sbuf_puts(out, ", by arguments");
}

struct group {
	char *actions;
	struct sbuf names;
	u32 n;
};

static void json_groups(const struct group *g, u32 n)
{
	struct json *j = out_json();

	json_obj(j, NULL);
	json_arr(j, "x86_64");
	for (u32 i = 0; i < n; i++) {
		char *save = NULL;

		json_obj(j, NULL);
		json_str(j, "action", g[i].actions);
		json_arr(j, "syscalls");
		for (char *s = strtok_r(g[i].names.s, " ", &save); s; s = strtok_r(NULL, " ", &save))
			json_str(j, NULL, s);
		json_end(j, ']');
		json_end(j, '}');
	}
	json_end(j, ']');
	json_end(j, '}');
}

/* Names of one action, in lines. */
static void print_group(const struct group *g)
{
	size_t col = 8;

	printf("%s (%u):\n       ", g->actions, g->n);
	for (char *save = NULL, *s = strtok_r(g->names.s, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		if (col + strlen(s) > 98) {
			printf("\n       ");
			col = 8;
		}
		printf(" %s", s);
		col += strlen(s) + 1;
	}
	printf("\n");
}

static int by_size(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	return x->n < y->n ? -1 : x->n > y->n;
}

/* System calls by what happens to them; the largest group last, of which only the number is told. */
static void summary(const struct classic *c)
{
	struct group *g = calloc(spec_nr_syscalls + 1, sizeof(*g));
	u32 n = 0, i;

	for (u32 k = 0; g && k < spec_nr_syscalls; k++) {
		struct explored e = explore_call(c, spec_syscalls[k].nr, X86_64);
		struct sbuf text = {};

		explored_text(&e, &text);
		for (i = 0; i < n && strcmp(g[i].actions, text.s); i++)
			;
		if (i == n)
			g[n++].actions = strdup(text.s);
		sbuf_printf(&g[i].names, "%s ", spec_syscalls[k].uapi);
		g[i].n++;
		sbuf_free(&text);
	}
	if (n)
		qsort(g, n, sizeof(*g), by_size);
	if (opt.json)
		json_groups(g, n);
	for (i = 0; i < n; i++) {
		if (!opt.json && (i + 1 < n || n == 1))
			print_group(&g[i]);
		else if (!opt.json)
			printf("%s: the other %u\n", g[i].actions, g[i].n);
		free(g[i].actions);
		sbuf_free(&g[i].names);
	}
	free(g);
}

static int read_program(struct classic **c, const char *path, const struct opt_list *names)
{
	int rc;

	*c = calloc(1, sizeof(**c));
	if (!*c)
		return fail(EXIT_ENV, "out of memory");
	rc = classic_read(*c, path, names);
	return rc ? rc : classic_check(*c, CBPF_SECCOMP);
}

static int explain(int argc, char **argv)
{
	struct opt_list names = {};
	const struct opt_row rows[] = { { "-D|--define", OPT_LIST, &names }, {} };
	struct classic *c = NULL;
	int rc = opts_parse(rows, "seccomp explain", &argc, argv);

	if (rc)
		return rc;
	if (argc != 1)
		return fail(EXIT_USAGE, "skep seccomp explain wants one file (-: stdin)");
	rc = read_program(&c, argv[0], &names);
	if (!rc) {
		if (!opt.json) {
			print_listing(c);
			printf("\nx86_64:\n");
		}
		summary(c);
	}
	free(c);
	return rc;
}

/* ---- eval ---- */
static int parse_arch(const char *word, u32 *arch)
{
	for (u32 i = 0; i < ARRAY_SIZE(arches); i++) {
		if (!strcmp(word, arches[i].name) || !strcmp(word, arches[i].macro)) {
			*arch = arches[i].arch;
			return 0;
		}
	}
	if (!parse_u32(word, arch))
		return 0;
	return fail(EXIT_USAGE, "no architecture is called '%s' (x86_64, i386, aarch64, arm, ..., or a number)", word);
}

static int parse_call(const char *word, u32 arch, struct seccomp_data *d)
{
	const struct spec_syscall *s = arch == X86_64 ? by_name(word) : NULL;
	u32 nr;

	if (s) {
		d->nr = s->nr;
		return 0;
	}
	if (parse_u32(word, &nr))
		return fail(EXIT_USAGE, arch == X86_64 ? "x86_64 has no system call '%s'" :
			    "'%s': system calls of other architectures are given by number", word);
	d->nr = (int)nr;
	return 0;
}

static int parse_args(struct seccomp_data *d, int argc, char **argv)
{
	if (argc > 6)
		return fail(EXIT_USAGE, "a system call has six arguments at most");
	for (int i = 0; i < argc; i++) {
		bool minus = argv[i][0] == '-';
		u64 v;

		if (parse_u64(argv[i] + minus, &v))
			return fail(EXIT_USAGE, "argument %d is no number: '%s'", i, argv[i]);
		d->args[i] = minus ? -v : v;
	}
	return 0;
}

static void print_verdict(const struct classic *c, const struct seccomp_data *d, const char *call)
{
	struct json *j = out_json();
	struct sbuf b = {};
	char text[48];
	u32 last, ret = cbpf_run_seccomp(c->f, c->n, d, &last);

	cbpf_print_insn(&b, &c->f[last], last);
	action_text(ret, text);
	if (opt.json) {
		json_obj(j, NULL);
		json_u64(j, "nr", (u32)d->nr);
		json_u64(j, "arch", d->arch);
		json_u64(j, "ret", ret);
		json_str(j, "action", text);
		json_u64(j, "insn", last);
		json_end(j, '}');
	} else {
		printf("%s: %s\n        %s", call, text, b.s);
		if (c->line[last])
			printf("  (%s:%u)", c->path, c->line[last]);
		printf("\n");
	}
	sbuf_free(&b);
}

static int eval(int argc, char **argv)
{
	const char *arch = "x86_64";
	struct opt_list names = {};
	u64 ip = 0;
	const char *ip_word = NULL;
	const struct opt_row rows[] = {
		{ "-D|--define", OPT_LIST, &names }, { "--arch", OPT_STR, &arch }, { "--ip", OPT_STR, &ip_word }, {},
	};
	struct seccomp_data d = {};
	struct classic *c = NULL;
	int rc, args = 0;

	/* negative arguments are no options: everything behind the system call's name is taken first */
	for (int i = 0, words = 0; i < argc && !args; i++) {
		if (argv[i][0] == '-' && argv[i][1])
			i += !strchr(argv[i], '=') && strcmp(argv[i], "--");
		else if (++words == 2)
			args = i + 1;
	}
	args = args ? args : argc;
	int head = args;
	rc = opts_parse(rows, "seccomp eval", &head, argv);
	if (rc)
		return rc;
	if (head != 2)
		return fail(EXIT_USAGE, "skep seccomp eval wants a file and a system call: see 'skep seccomp help'");
	if (ip_word && parse_u64(ip_word, &ip))
		return fail(EXIT_USAGE, "--ip wants a number, not '%s'", ip_word);
	d.instruction_pointer = ip;
	rc = parse_arch(arch, &d.arch);
	rc = rc ? rc : parse_call(argv[1], d.arch, &d);
	rc = rc ? rc : parse_args(&d, argc - args, argv + args);
	rc = rc ? rc : read_program(&c, argv[0], &names);
	if (!rc)
		print_verdict(c, &d, argv[1]);
	free(c);
	return rc;
}

int cmd_seccomp(int argc, char **argv)
{
	static const struct cmd table[] = {
		{ "explain", explain, "FILE [-D NAME=VALUE]", "the program with remarks, and what becomes of each system call" },
		{ "eval", eval, "FILE [--arch ARCH] [--ip N] SYSCALL [ARGUMENT...]", "what becomes of this system call" },
		{},
	};

	return cmd_dispatch(table, "seccomp", argc, argv);
}
