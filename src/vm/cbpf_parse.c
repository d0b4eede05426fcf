/* SPDX-License-Identifier: Apache-2.0 */
/* cbpf_parse.c - classic BPF from text: assembler (the syntax of McCanne and Jacobson's paper and of the kernel's
 * bpf_asm), tcpdump's -d, -dd, -ddd, and the comma form. Every error has a line and a column.
 *
 *	line     = { label ":" | "(" number ")" } [ mnemonic [ operand ] [ "," target [ "," target ] ] ]
 *	target   = label | "jt" number "jf" number (in listings, with "(number)" in front of instructions)
 *	operand  = "#" value | "[" value "]" | "[" "x" "+" value "]" | "M" "[" value "]" | "x" | "a" | extension
 *	         | value "*" "(" "[" value "]" "&" value ")"
 *	value    = [ "-" ] ( number | name ) { ( "+" | "-" ) ... }
 * Comments: ; // and # at the start of a line up to its end, and C's. A line may be broken after a comma. Targets are
 * kept as fixups until all labels are known. Input is untrusted. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "vm/cbpf.h"

static const struct cbpf_name builtin[] = {
	{ "TRUE", 0xffffffff }, { "FALSE", 0 },
	{ "ETHERPROTO_IP", 0x800 }, { "ETHERPROTO_ARP", 0x806 }, { "ETHERPROTO_REVARP", 0x8035 },
	{ "ETHERPROTO_IPV6", 0x86dd }, { "ETHERPROTO_VLAN", 0x8100 },
	{ "ETHERTYPE_IP", 0x800 }, { "ETHERTYPE_ARP", 0x806 }, { "ETHERTYPE_REVARP", 0x8035 },
	{ "ETHERTYPE_IPV6", 0x86dd }, { "ETHERTYPE_VLAN", 0x8100 },
	{ "ETH_P_IP", 0x800 }, { "ETH_P_ARP", 0x806 }, { "ETH_P_IPV6", 0x86dd }, { "ETH_P_8021Q", 0x8100 },
	{ "ETH_P_8021AD", 0x88a8 }, { "ETH_P_ALL", 3 },
	{ "IPPROTO_ICMP", 1 }, { "IPPROTO_IGMP", 2 }, { "IPPROTO_IPIP", 4 }, { "IPPROTO_TCP", 6 },
	{ "IPPROTO_UDP", 17 }, { "IPPROTO_IPV6", 41 }, { "IPPROTO_GRE", 47 }, { "IPPROTO_ESP", 50 },
	{ "IPPROTO_AH", 51 }, { "IPPROTO_ICMPV6", 58 }, { "IPPROTO_SCTP", 132 },
#define CBPF_AD(name, off, text, alias, help) { "SKF_AD_" #name, off },
#include "spec/cbpf.def"
	{ "SKF_AD_OFF", (u32)SKF_AD_OFF }, { "SKF_NET_OFF", (u32)SKF_NET_OFF }, { "SKF_LL_OFF", (u32)SKF_LL_OFF },
	{ "SECCOMP_RET_KILL_PROCESS", 0x80000000 }, { "SECCOMP_RET_KILL_THREAD", 0 }, { "SECCOMP_RET_KILL", 0 },
	{ "SECCOMP_RET_TRAP", 0x30000 }, { "SECCOMP_RET_ERRNO", 0x50000 }, { "SECCOMP_RET_USER_NOTIF", 0x7fc00000 },
	{ "SECCOMP_RET_TRACE", 0x7ff00000 }, { "SECCOMP_RET_LOG", 0x7ffc0000 }, { "SECCOMP_RET_ALLOW", 0x7fff0000 },
	{ "AUDIT_ARCH_X86_64", 0xc000003e }, { "AUDIT_ARCH_I386", 0x40000003 }, { "AUDIT_ARCH_AARCH64", 0xc00000b7 },
	{ "AUDIT_ARCH_ARM", 0x40000028 }, { "AUDIT_ARCH_RISCV64", 0xc00000f3 },
};

const struct cbpf_name *cbpf_builtin(u32 i)
{
	return i < ARRAY_SIZE(builtin) ? &builtin[i] : NULL;
}

struct place {
	u32 line, col;
};

enum fix_field { FIX_JT, FIX_JF, FIX_K };

struct label {
	char name[32];
	u32 at;				/* instruction; of a fixup: the one to be filled */
	struct place where;
	enum fix_field field;		/* fixups */
};

struct labels {
	struct label *v;
	u32 n, cap;
};

struct parser {
	const char *p, *end, *line_start;
	u32 line;
	const struct cbpf_name *names;
	u32 nr_names;
	struct sock_filter *out;
	u32 n, *lines;
	struct labels labels, fixups;
	struct cbpf_text_error *e;
};

static struct place here(const struct parser *s)
{
	return (struct place) { s->line, (u32)(s->p - s->line_start) + 1 };
}

static int __printf(3, 4) bad(struct parser *s, struct place at, const char *fmt, ...)
{
	va_list ap;

	s->e->line = at.line;
	s->e->col = at.col;
	va_start(ap, fmt);
	vsnprintf(s->e->text, sizeof(s->e->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- characters ---- */
static int peek(const struct parser *s)
{
	return s->p < s->end ? (unsigned char)*s->p : -1;
}

static void next_line(struct parser *s)
{
	s->line++;
	s->line_start = s->p;
}

static bool at_line_start(const struct parser *s)
{
	for (const char *q = s->p; q > s->line_start; q--)
		if (q[-1] != ' ' && q[-1] != '\t')
			return false;
	return true;
}

static bool word_at(const struct parser *s, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(s->end - s->p) >= n && !memcmp(s->p, word, n);
}

static int block_comment(struct parser *s)
{
	struct place from = here(s);

	for (s->p += 2; s->p < s->end; s->p++) {
		if (word_at(s, "*/")) {
			s->p += 2;
			return 0;
		}
		if (*s->p == '\n') {
			s->line++;
			s->line_start = s->p + 1;
		}
	}
	return bad(s, from, "comment without end");
}

/* Blanks and comments; newlines, too, if LINES. */
static int skip(struct parser *s, bool lines)
{
	int err = 0;

	while (!err && s->p < s->end) {
		if (word_at(s, "/*")) {
			err = block_comment(s);
		} else if (*s->p == ';' || word_at(s, "//") || (*s->p == '#' && at_line_start(s))) {
			while (s->p < s->end && *s->p != '\n')
				s->p++;
		} else if (*s->p == '\n' && lines) {
			s->p++;
			next_line(s);
		} else if (*s->p == ' ' || *s->p == '\t' || *s->p == '\r') {
			s->p++;
		} else {
			break;
		}
	}
	return err;
}

static bool take(struct parser *s, char c)
{
	if (skip(s, false) || peek(s) != c)
		return false;
	s->p++;
	return true;
}

/* What stands at P, for messages: a word, or one character. */
static const char *found(const struct parser *s, char buf[24])
{
	u32 n = 0;

	if (s->p >= s->end)
		return "the end";
	if (*s->p == '\n')
		return "the end of the line";
	while (s->p + n < s->end && n < 20 && (isalnum((unsigned char)s->p[n]) || s->p[n] == '_'))
		n++;
	if (!n && (unsigned char)*s->p >= 0x80)
		return "a byte that is not ASCII";
	if (!n && !isprint((unsigned char)*s->p))
		return "a control character";
	snprintf(buf, 24, "'%.*s'", (int)MAX(n, 1), s->p);
	return buf;
}

static int want(struct parser *s, char c)
{
	char b[24];

	if (take(s, c))
		return 0;
	return bad(s, here(s), "expected '%c', found %s", c, found(s, b));
}

static bool is_word(int c)
{
	return isalnum(c) || c == '_' || c == '.';
}

/* An identifier; empty if there is none. -EINVAL when it is too long. */
static int word(struct parser *s, char name[32], struct place *at)
{
	const char *q;
	int err = skip(s, false);

	*at = here(s);
	name[0] = 0;
	if (err || peek(s) < 0 || !is_word(peek(s)) || isdigit(peek(s)))
		return err;
	for (q = s->p; q < s->end && is_word((unsigned char)*q);)
		q++;
	if (q - s->p > 31)
		return bad(s, *at, "a name of %zu characters: 31 is the most", (size_t)(q - s->p));
	memcpy(name, s->p, (size_t)(q - s->p));
	name[q - s->p] = 0;
	s->p = q;
	return 0;
}

/* ---- values ---- */
static int digits(struct parser *s, u32 *v)
{
	struct place at = here(s);
	u32 base = 10, d;
	const char *start;
	u64 sum = 0;

	if (word_at(s, "0x") || word_at(s, "0X")) {
		base = 16;
		s->p += 2;
	} else if (*s->p == '0') {
		base = 8;
	}
	for (start = s->p; s->p < s->end && isxdigit((unsigned char)*s->p); s->p++) {
		d = isdigit((unsigned char)*s->p) ? (u32)(*s->p - '0') : (u32)(tolower(*s->p) - 'a') + 10;
		if (d >= base)
			break;
		sum = sum * base + d;
		if (sum > UINT32_MAX)
			return bad(s, at, "number does not fit 32 bits");
	}
	if (s->p == start || is_word(peek(s)))
		return bad(s, at, "not a number");
	*v = (u32)sum;
	return 0;
}

static int lookup(struct parser *s, const char *name, struct place at, u32 *v)
{
	for (u32 i = 0; i < s->nr_names; i++) {
		if (!strcmp(s->names[i].name, name)) {
			*v = s->names[i].value;
			return 0;
		}
	}
	for (u32 i = 0; i < ARRAY_SIZE(builtin); i++) {
		if (!strcmp(builtin[i].name, name)) {
			*v = builtin[i].value;
			return 0;
		}
	}
	return bad(s, at, "undefined name '%s' (-D %s=VALUE defines it)", name, name);
}

static int term(struct parser *s, u32 *v)
{
	bool minus = take(s, '-');
	struct place at;
	char name[32], b[24];
	int err = skip(s, false);

	if (err)
		return err;
	if (peek(s) >= 0 && isdigit(peek(s))) {
		err = digits(s, v);
	} else {
		err = word(s, name, &at);
		if (!err && !name[0])
			return bad(s, at, "expected a number or a name, found %s", found(s, b));
		err = err ? err : lookup(s, name, at, v);
	}
	if (minus)
		*v = -*v;
	return err;
}

static int value(struct parser *s, u32 *v)
{
	int err = term(s, v);
	u32 t;

	while (!err) {
		bool minus = take(s, '-');

		if (!minus && !take(s, '+'))
			break;
		err = term(s, &t);
		*v += minus ? -t : t;
	}
	return err;
}

/* ---- operands ---- */
struct operand {
	enum cbpf_form form;
	u32 k;
	struct place at;
};

static const struct cbpf_ad *extension(const char *name)
{
	for (u32 i = 0; i < cbpf_nr_ads; i++)
		if (!strcmp(name, cbpf_ads[i].alias) || !strcmp(name, cbpf_ads[i].text))
			return &cbpf_ads[i];
	return !strcmp(name, "vlan_pr") ? extension("vlan_avail") : NULL;
}

/* A word that is an operand of its own: x, a, len, an ancillary load. False: it is none. */
static bool plain_word(const char *name, struct operand *o)
{
	const struct cbpf_ad *ad = extension(name);

	if (!strcmp(name, "x"))
		o->form = CBPF_X;
	else if (!strcmp(name, "a"))
		o->form = CBPF_RA;
	else if (!strcmp(name, "len") || !strcmp(name, "pktlen"))
		o->form = CBPF_LEN;
	else if (ad)
		*o = (struct operand) { CBPF_PKT, (u32)SKF_AD_OFF + ad->off, o->at };
	else
		return false;
	return true;
}

/* Behind '[': a value, "x + value", or the name of an ancillary load, and "]". */
static int in_brackets(struct parser *s, struct operand *o)
{
	const char *p;
	char name[32];
	struct place at;
	int err;

	o->form = CBPF_PKT;
	take(s, '%');
	p = s->p;
	err = word(s, name, &at);
	if (err)
		return err;
	if (!strcmp(name, "x")) {
		o->form = CBPF_IND;
		o->k = 0;
		if (take(s, ']'))
			return 0;
		err = want(s, '+');
		err = err ? err : value(s, &o->k);
	} else if (!extension(name) || !plain_word(name, o)) {
		s->p = p;
		err = value(s, &o->k);
	}
	return err ? err : want(s, ']');
}

/* 4*([k]&0xf) */
static int header_length(struct parser *s, struct operand *o)
{
	struct place at = here(s);
	u32 four, mask;
	int err = value(s, &four);

	o->form = CBPF_MSH;
	err = err ? err : want(s, '*');
	err = err ? err : want(s, '(');
	err = err ? err : want(s, '[');
	err = err ? err : value(s, &o->k);
	err = err ? err : want(s, ']');
	err = err ? err : want(s, '&');
	err = err ? err : value(s, &mask);
	err = err ? err : want(s, ')');
	if (!err && (four != 4 || mask != 15))
		return bad(s, at, "only 4*([k]&0xf) exists");
	return err;
}

static int operand(struct parser *s, struct operand *o)
{
	struct place at;
	char name[32], b[24];
	const char *p;
	int err = skip(s, false);

	*o = (struct operand) { .at = here(s) };
	if (err || peek(s) < 0 || peek(s) == '\n')
		return err;
	if (take(s, '[')) {
		return in_brackets(s, o);
	} else if (isdigit(peek(s))) {
		return header_length(s, o);
	} else if (take(s, '#')) {
		p = s->p;
		err = word(s, name, &at);
		if (!err && name[0] && strcmp(name, "x") && strcmp(name, "a") && plain_word(name, o))
			return 0;
		s->p = p;
		o->form = CBPF_IMM;
		return err ? err : value(s, &o->k);
	}
	take(s, '%');
	err = word(s, name, &at);
	if (err)
		return err;
	if (!strcmp(name, "M") || !strcmp(name, "m")) {
		o->form = CBPF_MEM;
		err = want(s, '[');
		err = err ? err : value(s, &o->k);
		return err ? err : want(s, ']');
	}
	if (name[0] && plain_word(name, o))
		return 0;
	if (name[0])
		return bad(s, at, "'%s' is no operand (a constant is written #%s)", name, name);
	return bad(s, at, "expected an operand, found %s", found(s, b));
}

/* ---- labels ---- */
static int add_label(struct parser *s, struct labels *l, const char *name, u32 at, struct place where,
		     enum fix_field field)
{
	struct label *v;

	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		v = reallocarray(l->v, l->cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		l->v = v;
	}
	v = &l->v[l->n++];
	*v = (struct label) { .at = at, .where = where, .field = field };
	memcpy(v->name, name, sizeof(v->name));
	return 0;
}

static int define(struct parser *s, const char name[32], struct place at)
{
	if (s->labels.n == 2 * CBPF_MAX_INSNS)
		return bad(s, at, "more than %u labels", 2 * CBPF_MAX_INSNS);
	for (u32 i = 0; i < s->labels.n; i++)
		if (!strcmp(s->labels.v[i].name, name))
			return bad(s, at, "label '%s' is defined twice, first in line %u", name,
				   s->labels.v[i].where.line);
	return add_label(s, &s->labels, name, s->n, at, FIX_K);
}

/* Jump targets by number, in listings: labels with names that nobody can write. */
static void numbered(char name[32], u32 n)
{
	snprintf(name, 32, "(%u)", n);
}

static int target(struct parser *s, enum fix_field field)
{
	struct place at;
	char name[32], b[24];
	u32 k;
	int err = skip(s, false);

	at = here(s);
	if (err)
		return err;
	memset(name, 0, sizeof(name));
	if (peek(s) >= 0 && isdigit(peek(s))) {
		err = digits(s, &k);
		numbered(name, k);
	} else {
		err = word(s, name, &at);
		if (!err && !name[0])
			return bad(s, at, "expected a label, found %s", found(s, b));
	}
	return err ? err : add_label(s, &s->fixups, name, s->n, at, field);
}

/* jt 2 jf 8 */
static int listed_targets(struct parser *s)
{
	char name[32], b[24];
	struct place at;
	int err = target(s, FIX_JT);

	err = err ? err : word(s, name, &at);
	if (!err && strcmp(name, "jf"))
		return bad(s, at, "expected 'jf', found %s", found(s, b));
	return err ? err : target(s, FIX_JF);
}

/* Behind the operand of a conditional jump. NEG: "jne" and its kind, whose targets change places. */
static int targets(struct parser *s, bool neg)
{
	struct place at;
	char name[32];
	const char *p = s->p;
	int err = word(s, name, &at);

	if (!err && !strcmp(name, "jt"))
		return listed_targets(s);
	s->p = p;
	err = err ? err : want(s, ',');
	err = err ? err : skip(s, true);
	err = err ? err : target(s, neg ? FIX_JF : FIX_JT);
	if (err || !take(s, ','))
		return err;
	err = skip(s, true);
	return err ? err : target(s, neg ? FIX_JT : FIX_JF);
}

/* ---- instructions ---- */
static const struct {
	const char *alias, *text;
	enum cbpf_form form;		/* what a bare value means */
} aliases[] = {
	{ "ldi", "ld", CBPF_IMM }, { "ldxi", "ldx", CBPF_IMM }, { "jmp", "ja", CBPF_JA }, { "jneq", "jne", CBPF_NONE },
};

static const struct cbpf_op *find_op(const char *text, enum cbpf_form form, bool *known, bool *neg)
{
	*known = false;
	for (u32 i = 0; i < cbpf_nr_ops; i++) {
		const struct cbpf_op *op = &cbpf_ops[i];
		bool opposite = op->neg && *op->neg && !strcasecmp(op->neg, text);

		/* 4*([k]&0xf) belongs to ldx as well as to ldxb */
		if (strcasecmp(op->text, text) && !opposite &&
		    !(op->form == CBPF_MSH && !strcasecmp(text, "ldx")))
			continue;
		*known = true;
		*neg = opposite;
		if (op->form == form)
			return op;
	}
	return NULL;
}

static int emit(struct parser *s, const struct cbpf_op *op, u32 k, struct place at)
{
	if (s->n == CBPF_MAX_INSNS) {
		bad(s, at, "more than %u instructions", CBPF_MAX_INSNS);
		return -E2BIG;
	}
	s->out[s->n] = (struct sock_filter) { .code = op->code, .k = k };
	if (s->lines)
		s->lines[s->n] = at.line;
	return 0;
}

static int bare_value(struct parser *s, struct operand *o)
{
	o->form = CBPF_IMM;
	o->at = here(s);
	take(s, '#');
	return value(s, &o->k);
}

static int instruction(struct parser *s, const char *mnemonic, struct place at)
{
	const char *text = mnemonic;
	enum cbpf_form bare = CBPF_NONE;
	const struct cbpf_op *op;
	struct operand o;
	bool known, neg;
	int err;

	for (u32 i = 0; i < ARRAY_SIZE(aliases); i++) {
		if (!strcasecmp(aliases[i].alias, mnemonic)) {
			text = aliases[i].text;
			bare = aliases[i].form;
		}
	}
	if (bare == CBPF_JA || !strcasecmp(text, "ja")) {
		err = emit(s, cbpf_op(BPF_JMP | BPF_JA), 0, at);
		err = err ? err : target(s, FIX_K);
		s->n += !err;
		return err;
	}
	find_op(text, CBPF_NONE, &known, &neg);
	if (!known)
		return bad(s, at, "'%s' is no instruction", mnemonic);
	err = bare == CBPF_IMM ? bare_value(s, &o) : operand(s, &o);
	if (err)
		return err;
	if (o.form == CBPF_NONE && !strcasecmp(text, "ret"))	/* as listings print it */
		o.form = CBPF_RA;
	op = find_op(text, o.form, &known, &neg);
	if (!op)
		return bad(s, o.at, o.form == CBPF_NONE ? "'%s' wants an operand" : "'%s' takes no such operand", mnemonic);
	err = emit(s, op, o.k, at);
	if (!err && op->jump)
		err = targets(s, neg);
	s->n += !err;
	return err;
}

static int number(struct parser *s, u32 max, const char *what, u32 *v)
{
	struct place at = here(s);
	char b[24];
	int err;

	if (peek(s) < 0 || !isdigit(peek(s)))
		return bad(s, at, "expected %s, found %s", what, found(s, b));
	err = digits(s, v);
	if (!err && *v > max)
		return bad(s, at, "%s is %u: %u is the most", what, *v, max);
	return err;
}

static int statement(struct parser *s)
{
	struct place at;
	char name[32], b[24];
	u32 k;
	int err;

	memset(name, 0, sizeof(name));
	if (take(s, '(')) {
		at = here(s);
		while (peek(s) == '0' && s->p + 1 < s->end && isdigit((unsigned char)s->p[1]))
			s->p++;			/* (012) is no octal number */
		err = number(s, CBPF_MAX_INSNS, "a number", &k);
		err = err ? err : want(s, ')');
		numbered(name, k);
		return err ? err : define(s, name, at);
	}
	err = word(s, name, &at);
	if (err)
		return err;
	if (!name[0])
		return bad(s, at, "expected an instruction, found %s", found(s, b));
	if (take(s, ':'))
		return define(s, name, at);
	err = instruction(s, name, at);
	err = err ? err : skip(s, false);
	if (!err && peek(s) >= 0 && peek(s) != '\n')
		return bad(s, here(s), "%s behind the instruction", found(s, b));
	return err;
}

/* ---- fixups ---- */
static int fix(struct parser *s, const struct label *f)
{
	struct sock_filter *in = &s->out[f->at];
	const struct label *l = NULL;
	s64 d;

	for (u32 i = 0; i < s->labels.n && !l; i++)
		if (!strcmp(s->labels.v[i].name, f->name))
			l = &s->labels.v[i];
	if (!l)
		return bad(s, f->where, "undefined label '%s'", f->name);
	d = (s64)l->at - f->at - 1;
	if (f->field == FIX_K) {
		in->k = (u32)d;
		return 0;
	}
	if (d < 0)
		return bad(s, f->where, "label '%s' lies behind: jumps lead forward only", f->name);
	if (d > 255)
		return bad(s, f->where, "label '%s' is %lld instructions away: 255 is the most, ja goes further", f->name,
			   (long long)d);
	if (f->field == FIX_JT)
		in->jt = (u8)d;
	else
		in->jf = (u8)d;
	return 0;
}

static int assemble(struct parser *s)
{
	int err = skip(s, true);

	while (!err && s->p < s->end) {
		err = statement(s);
		err = err ? err : skip(s, true);
	}
	for (u32 i = 0; i < s->fixups.n && !err; i++)
		err = fix(s, &s->fixups.v[i]);
	if (!err && !s->n)
		err = bad(s, here(s), "no instructions");
	return err;
}

/* ---- numbers ---- */
static int four(struct parser *s, bool commas)
{
	static const struct { const char *what; u32 max; } field[4] = {
		{ "a code", UINT16_MAX }, { "jt", UINT8_MAX }, { "jf", UINT8_MAX }, { "k", UINT32_MAX },
	};
	struct place at = here(s);
	u32 v[4] = {};
	int err = 0;

	for (u32 i = 0; i < 4 && !err; i++) {
		err = skip(s, true);
		err = err ? err : number(s, field[i].max, field[i].what, &v[i]);
		if (!err && commas && i < 3)
			err = want(s, ',');
	}
	if (err)
		return err;
	if (s->n == CBPF_MAX_INSNS) {
		bad(s, at, "more than %u instructions", CBPF_MAX_INSNS);
		return -E2BIG;
	}
	if (s->lines)
		s->lines[s->n] = at.line;
	s->out[s->n++] = (struct sock_filter) { (u16)v[0], (u8)v[1], (u8)v[2], v[3] };
	return 0;
}

/* 4\n40 0 0 12\n... or 4,40 0 0 12,... */
static int decimal(struct parser *s)
{
	struct place at = here(s);
	u32 count;
	int err = number(s, CBPF_MAX_INSNS, "the number of instructions", &count);

	for (u32 i = 0; i < count && !err; i++) {
		take(s, ',');
		err = skip(s, true);
		if (!err && s->p >= s->end)
			return bad(s, at, "the count says %u, but only %u instructions follow", count, i);
		err = err ? err : four(s, false);
	}
	if (!err) {
		take(s, ',');
		err = skip(s, true);
	}
	if (!err && s->p < s->end)
		return bad(s, here(s), "the count says %u, but there is more", count);
	return !err && !count ? bad(s, at, "no instructions") : err;
}

/* { 0x28, 0, 0, 0x0000000c }, ... */
static int c_rows(struct parser *s)
{
	int err = 0;

	while (!err && s->p < s->end) {
		err = want(s, '{');
		err = err ? err : four(s, true);
		err = err ? err : skip(s, true);
		err = err ? err : want(s, '}');
		take(s, ',');
		err = err ? err : skip(s, true);
	}
	return err;
}

int cbpf_parse(const char *text, size_t len, const struct cbpf_name *names, u32 nr_names,
	       struct sock_filter out[CBPF_MAX_INSNS], u32 *n, u32 *line, struct cbpf_text_error *e)
{
	struct parser s = {
		.p = text, .end = text + len, .line_start = text, .line = 1, .names = names, .nr_names = nr_names,
		.out = out, .lines = line, .e = e,
	};
	struct parser start;
	int err;

	memset(e, 0, sizeof(*e));
	start = s;
	err = skip(&s, true);
	if (!err && peek(&s) == '{')
		err = c_rows(&s);
	else if (!err && peek(&s) >= 0 && isdigit(peek(&s)))
		err = decimal(&s);
	else if (!err) {
		s = start;
		err = assemble(&s);
	}
	free(s.labels.v);
	free(s.fixups.v);
	*n = err ? 0 : s.n;
	return err;
}
