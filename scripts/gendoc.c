/* SPDX-License-Identifier: Apache-2.0 */
/* gendoc.c - reference pages from the tables of src/spec: gendoc DIRECTORY writes one file per page. `make doc` runs it;
 * a test sees to it that what is committed is what it writes. Statuses are left out: they are `skep feature`'s. */
#include <stdio.h>
#include <string.h>

#include "spec/spec.h"

struct word {
	u64 bit;
	const char *text;
};

/* "a, b, c": the words whose bits are set. */
static void put_words(FILE *f, const struct word *w, u32 n, u64 set)
{
	bool some = false;

	for (u32 i = 0; i < n; i++)
		if (set & w[i].bit) {
			fprintf(f, "%s%s", some ? ", " : "", w[i].text);
			some = true;
		}
}
#define PUT_WORDS(f, w, set)	put_words(f, w, ARRAY_SIZE(w), set)

static u32 bits(u64 v)
{
	return (u32)__builtin_popcountll(v);
}

static void put_type_names(FILE *f, u64 set)
{
	bool some = false;

	for (u32 t = 1; t < spec_nr_progs; t++)
		if (set & BIT64(t)) {
			fprintf(f, "%s%s", some ? ", " : "", spec_progs[t].name);
			some = true;
		}
	if (set & SPEC_P_ITER)
		fprintf(f, "%stracing (iter)", some ? ", " : "");
	if (set & SPEC_P_NOT_ITER)
		fprintf(f, "%stracing (not iter)", some ? ", " : "");
	if (set & SPEC_P_TRAMP)
		fprintf(f, "%stracing (fentry, fexit, fmod_ret)", some ? ", " : "");
	if (set & (SPEC_P_SOCK | SPEC_P_SOCK_COMMON | SPEC_P_FLOW_KEYS))
		fprintf(f, "%sthrough a pointer", some ? ", " : "");
}

/* Program types; nearly all of them as what is missing. EXT has its target's everything and is never named. */
static void put_types(FILE *f, u64 set)
{
	u64 all = SPEC_P_ALL & ~P(EXT), missing = all & ~set;

	if (!missing)
		fputs("all", f);
	else if (bits(missing) < 12) {
		fputs("all but ", f);
		put_type_names(f, missing);
	} else {
		put_type_names(f, set);
	}
}

static void title(FILE *f, const char *name, const char *source, const char *text)
{
	fprintf(f, "# %s\n\nLinux 6.18, as skep knows it. Made from `src/spec/%s` by `make doc`; do not edit. What skep does of "
		   "it today: `skep feature`.\n\n%s\n\n", name, source, text);
}

/* ---- helpers.md ---- */
static const char *const arg_names[] = {
	[ARG_ANY] = "any", [ARG_CONST_MAP] = "map", [ARG_MAP_KEY] = "key", [ARG_MAP_VALUE] = "value",
	[ARG_MEM] = "mem", [ARG_SIZE] = "size", [ARG_SIZE_OR_ZERO] = "size0", [ARG_CTX] = "ctx",
	[ARG_SPIN_LOCK] = "spin_lock", [ARG_SOCK_COMMON] = "sock_common", [ARG_SOCKET] = "sock",
	[ARG_BTF_ID] = "object", [ARG_BTF_ID_SOCK_COMMON] = "any_sock", [ARG_RINGBUF_MEM] = "record",
	[ARG_ALLOC_SIZE] = "const_size", [ARG_PERCPU_BTF_ID] = "percpu", [ARG_FUNC] = "func", [ARG_STACK] = "stack",
	[ARG_CONST_STR] = "const_str", [ARG_TIMER] = "timer", [ARG_KPTR] = "kptr", [ARG_DYNPTR] = "dynptr",
};

static const char *const ret_names[] = {
	[RET_VOID] = "void", [RET_INTEGER] = "int", [RET_MAP_VALUE] = "value", [RET_MAP_VALUE_OR_NULL] = "value?",
	[RET_SOCKET_OR_NULL] = "sock?", [RET_TCP_SOCK_OR_NULL] = "tcp_sock?",
	[RET_SOCK_COMMON_OR_NULL] = "sock_common?", [RET_RINGBUF_MEM_OR_NULL] = "record?",
	[RET_DYNPTR_MEM_OR_NULL] = "mem?", [RET_BTF_ID] = "object", [RET_BTF_ID_OR_NULL] = "object?",
	[RET_BTF_ID_TRUSTED] = "object", [RET_MEM_OR_BTF_ID] = "object", [RET_MEM_OR_BTF_ID_OR_NULL] = "object?",
	[RET_NEVER_FAILS_MEM] = "mem",
};

static const struct word helper_flags[] = {
	{ SPEC_HELPER_GPL, "GPL" }, { SPEC_HELPER_PKT_ACCESS, "takes packet memory" },
	{ SPEC_HELPER_PKT_CHANGE, "ends packet pointers" }, { SPEC_HELPER_ACQUIRE, "acquires" },
	{ SPEC_HELPER_SLEEPS, "sleeps" }, { SPEC_HELPER_CALLBACK, "calls back" },
	{ SPEC_HELPER_ASYNC_CB, "calls back later" }, { SPEC_HELPER_PERFMON, "CAP_PERFMON" },
	{ SPEC_HELPER_BPF_CAP, "CAP_BPF" }, { SPEC_HELPER_FASTCALL, "fastcall" },
	{ SPEC_HELPER_TARGET, "listed targets only" },
};

static void put_arg(FILE *f, const struct spec_helper *h, u32 n)
{
	u32 a = h->arg[n];
	const char *type = h->btf[n + 1];

	fprintf(f, "%s%s", n ? ", " : "", a & ARG_OBJ_RELEASE ? "release " : "");
	if (ARG_BASE(a) == ARG_MEM || ARG_BASE(a) == ARG_MAP_VALUE)
		fputs(a & ARG_MEM_UNINIT ? "out " : a & ARG_MEM_WRITE ? "inout " : "", f);
	fputs(type ?: arg_names[ARG_BASE(a)], f);
	if (a & ARG_MEM_FIXED_SIZE)
		fprintf(f, "[%u]", h->arg_size[n]);
	if (a & ARG_MAYBE_NULL)
		fputc('?', f);
}

static void put_prototype(FILE *f, const struct spec_helper *h)
{
	bool maybe = strchr(ret_names[h->ret], '?');

	fputc('`', f);
	if (h->btf[0])
		fprintf(f, "%s%s", h->btf[0], maybe ? "?" : "");
	else
		fputs(ret_names[h->ret], f);
	fputs(" (", f);
	for (u32 n = 0; n < 5 && h->arg[n]; n++)
		put_arg(f, h, n);
	fputs(")`", f);
}

static void helpers(FILE *f)
{
	title(f, "Helper functions", "helpers.def",
	      "Arguments: `ctx` the context, `map` a map known at load time, `key` and `value` memory of the map's sizes, `mem` "
	      "memory whose size is the next argument (`size` at least 1, `size0` may be 0) or stands in brackets, `out` is "
	      "written and need not be initialised, `inout` is written, `?` may be NULL, `release` ends the reference, `any` any "
	      "initialised value. Some helpers have another prototype for some program types; this is the common one.");
	fputs("| id | helper | prototype | program types | |\n|---:|---|---|---|---|\n", f);
	for (u32 i = 1; i < spec_nr_helpers; i++) {
		const struct spec_helper *h = &spec_helpers[i];

		fprintf(f, "| %u | `bpf_%s` | ", i, h->name);
		put_prototype(f, h);
		fputs(" | ", f);
		put_types(f, h->progs);
		fputs(" | ", f);
		PUT_WORDS(f, helper_flags, h->flags);
		fputs(" |\n", f);
	}
}

/* ---- maps.md ---- */
static const struct word map_ops[] = {
	{ SPEC_MAP_LOOKUP, "lookup" }, { SPEC_MAP_UPDATE, "update" }, { SPEC_MAP_DELETE, "delete" },
	{ SPEC_MAP_NEXT, "next key" }, { SPEC_MAP_BATCH, "batch" }, { SPEC_MAP_LOOKUP_DELETE, "lookup and delete" },
	{ SPEC_MAP_MMAP, "mmap" }, { SPEC_MAP_ITER, "for each" },
};

static const struct word map_kinds[] = {
	{ SPEC_MAP_PERCPU, "a value per CPU" }, { SPEC_MAP_FD_VALUE, "values are fds" },
	{ SPEC_MAP_INNER, "may be an inner map" }, { SPEC_MAP_DIRECT_VALUE, "direct value addresses" },
	{ SPEC_MAP_NO_KEY, "no key" }, { SPEC_MAP_OF_MAPS, "holds maps" },
};

static const struct word map_flags[] = {
	{ BPF_F_NO_PREALLOC, "NO_PREALLOC" }, { BPF_F_NO_COMMON_LRU, "NO_COMMON_LRU" },
	{ BPF_F_NUMA_NODE, "NUMA_NODE" }, { BPF_F_RDONLY, "RDONLY" }, { BPF_F_WRONLY, "WRONLY" },
	{ BPF_F_STACK_BUILD_ID, "STACK_BUILD_ID" }, { BPF_F_ZERO_SEED, "ZERO_SEED" },
	{ BPF_F_RDONLY_PROG, "RDONLY_PROG" }, { BPF_F_WRONLY_PROG, "WRONLY_PROG" }, { BPF_F_CLONE, "CLONE" },
	{ BPF_F_MMAPABLE, "MMAPABLE" }, { BPF_F_PRESERVE_ELEMS, "PRESERVE_ELEMS" }, { BPF_F_INNER_MAP, "INNER_MAP" },
	{ BPF_F_SEGV_ON_FAULT, "SEGV_ON_FAULT" }, { BPF_F_NO_USER_CONV, "NO_USER_CONV" },
};

static void maps(FILE *f)
{
	title(f, "Map types", "maps.def",
	      "Operations are those of user space and programs together; flags are what `MAP_CREATE` accepts (`BPF_F_`); "
	      "helpers are those with a map argument that a program may call on such a map.");
	fputs("| id | type | operations | properties | flags | helpers |\n|---:|---|---|---|---|---|\n", f);
	for (u32 i = 1; i < spec_nr_maps; i++) {
		const struct spec_map *m = &spec_maps[i];
		bool some = false;

		fprintf(f, "| %u | `%s` | ", i, m->name);
		PUT_WORDS(f, map_ops, m->ops);
		fputs(" | ", f);
		PUT_WORDS(f, map_kinds, m->ops);
		fputs(" | ", f);
		PUT_WORDS(f, map_flags, m->create_flags);
		fputs(" | ", f);
		for (s32 h = 1; h < (s32)spec_nr_helpers; h++)
			if (spec_map_takes_helper(i, h)) {
				fprintf(f, "%s%s", some ? ", " : "", spec_helpers[h].name);
				some = true;
			}
		fputs(" |\n", f);
	}
}

/* ---- programs.md ---- */
static const struct word prog_flags[] = {
	{ SPEC_PROG_PKT, "reads packets" }, { SPEC_PROG_PKT_WRITE, "writes packets" },
	{ SPEC_PROG_LD_ABS, "LD_ABS, LD_IND" }, { SPEC_PROG_TEST_RUN, "test run" }, { SPEC_PROG_SLEEPABLE, "may sleep" },
	{ SPEC_PROG_NET_ADMIN, "CAP_NET_ADMIN" }, { SPEC_PROG_PERFMON, "CAP_PERFMON" },
	{ SPEC_PROG_ATTACH, "attach type at load" }, { SPEC_PROG_UNPRIV, "unprivileged" },
};

static const struct word ctx_flags[] = {
	{ SPEC_CF_NARROW, "narrow loads" }, { SPEC_CF_ARRAY, "array of u32" }, { SPEC_CF_ARRAY8, "array of u64" },
	{ SPEC_CF_WIDE, "8-byte pairs" }, { SPEC_CF_ANYSIZE, "any size" }, { SPEC_CF_FIRST, "narrow loads at its start" },
	{ SPEC_CF_AS_U32, "also as u32" }, { SPEC_CF_MIN2, "2 bytes at least" },
};

static void put_ret(FILE *f, u32 type, u32 attach)
{
	s64 min, max;

	if (spec_ret_range(type, attach, &min, &max))
		fprintf(f, "%lld..%lld", (long long)min, (long long)max);
	else
		fputs("any", f);
}

static void attach_types(FILE *f)
{
	fputs("\n## Attach types\n\n| id | attach type | program types | returns |\n|---:|---|---|---|\n", f);
	for (u32 i = 0; i < spec_nr_attaches; i++) {
		const struct spec_attach *a = &spec_attaches[i];

		fprintf(f, "| %u | `%s` | ", i, a->name);
		put_type_names(f, a->progs);
		fputs(" | ", f);
		put_ret(f, (u32)__builtin_ctzll(a->progs), i);
		fputs(" |\n", f);
	}
}

static void contexts(FILE *f)
{
	const char *last = "";

	fputs("\n## Contexts\n\nLoads and stores are whole and aligned unless said otherwise.\n", f);
	for (u32 i = 0; i < spec_nr_ctx_fields; i++) {
		const struct spec_ctx_field *c = &spec_ctx_fields[i];

		if (strcmp(last, c->ctx))
			fprintf(f, "\n### %s\n\n| offset | size | field | read by | written by | |\n|---:|---:|---|---|---|---|\n",
				c->ctx);
		last = c->ctx;
		fprintf(f, "| %u | %u | `%s` | ", c->off, c->size, *c->name ? c->name : "(all)");
		put_type_names(f, c->readers);
		fputs(" | ", f);
		put_type_names(f, c->writers);
		fputs(" | ", f);
		PUT_WORDS(f, ctx_flags, c->flags);
		fputs(c->read_attach || c->write_attach ? " (some attach types only) |\n" : " |\n", f);
	}
}

static void programs(FILE *f)
{
	title(f, "Program types", "progs.def, attach.def, ctx.def",
	      "Returns: what the verifier demands of R0 at exit, where the attach type does not say otherwise.");
	fputs("| id | type | context | returns | |\n|---:|---|---|---|---|\n", f);
	for (u32 i = 1; i < spec_nr_progs; i++) {
		const struct spec_prog *p = &spec_progs[i];

		fprintf(f, "| %u | `%s` | %s%s%s | ", i, p->name, *p->ctx ? "`" : "", p->ctx, *p->ctx ? "`" : "");
		put_ret(f, i, ~0u);
		fputs(" | ", f);
		PUT_WORDS(f, prog_flags, p->flags);
		fputs(" |\n", f);
	}
	attach_types(f);
	contexts(f);
}

/* ---- instructions.md ---- */
static void instructions(FILE *f)
{
	title(f, "Instructions", "isa.def",
	      "One row per opcode and form. `off`, `src` and `imm` are given where they select the instruction. Groups are the "
	      "conformance groups of RFC 9669; `linux` is what Linux 6.18 has beyond them.");
	fputs("| opcode | off | src | imm | instruction | group |\n|---|---:|---:|---:|---|---|\n", f);
	for (u32 i = 0; i < spec_nr_insns; i++) {
		const struct spec_insn *s = &spec_insns[i];

		fprintf(f, "| `0x%02x` | ", s->code);
		if (s->off > 0)
			fprintf(f, "%d", s->off);
		fputs(" | ", f);
		if (s->src != SPEC_ANY)
			fprintf(f, "%d", s->src);
		fputs(" | ", f);
		if (s->imm != SPEC_ANY)
			fprintf(f, "%#x", (u32)s->imm);
		fprintf(f, " | %s | %s |\n", s->name, s->group);
	}
}

static const struct page {
	const char *file;
	void (*write)(FILE *f);
} pages[] = {
	{ "helpers.md", helpers }, { "maps.md", maps }, { "programs.md", programs }, { "instructions.md", instructions },
};

int main(int argc, char **argv)
{
	char path[512];

	if (argc != 2) {
		fputs("usage: gendoc DIRECTORY\n", stderr);
		return 2;
	}
	for (u32 i = 0; i < ARRAY_SIZE(pages); i++) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", argv[1], pages[i].file);
		f = fopen(path, "w");
		if (!f) {
			perror(path);
			return 1;
		}
		pages[i].write(f);
		if (fclose(f)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}
