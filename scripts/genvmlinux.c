/* SPDX-License-Identifier: Apache-2.0 */
/* genvmlinux.c - makes skep's vmlinux BTF: genvmlinux vmlinux.bpf.o > vmlinux_btf.c. The types of the object but for its
 * variables; and enumerations out of the tables of src/spec, of which a value exists only if skep has what it names: so
 * a program that asks (bpf_core_enum_value_exists) takes its other way where skep lacks something.
 * The output is data: the blob, and a struct btf over it that needs no parsing. */
#include <bpf/btf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/def.h"
#include "spec/uapi.h"

#define MAX_TYPES	4096

static const struct btf *src;
static struct btf *out;
static u32 new_id[MAX_TYPES];

static void need(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "genvmlinux: %s\n", what);
	exit(1);
}

/* ---- types of the object ---- */

static bool wanted(const struct btf_type *t)
{
	return !btf_is_var(t) && !btf_is_datasec(t) && !btf_is_func(t);
}

static u32 moved(u32 id)
{
	need(id < MAX_TYPES && (!id || new_id[id]), "a type refers to what is left out");
	return new_id[id];
}

/* Type numbers inside of T, a copy that still has those of the object. */
static void move_refs(struct btf_type *t)
{
	u32 n = btf_vlen(t);

	switch (btf_kind(t)) {
	case BTF_KIND_PTR: case BTF_KIND_TYPEDEF: case BTF_KIND_VOLATILE: case BTF_KIND_CONST: case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		t->type = moved(t->type);
		break;
	case BTF_KIND_ARRAY:
		btf_array(t)->type = moved(btf_array(t)->type);
		btf_array(t)->index_type = moved(btf_array(t)->index_type);
		break;
	case BTF_KIND_STRUCT: case BTF_KIND_UNION:
		for (struct btf_member *m = btf_members(t); n--; m++)
			m->type = moved(m->type);
		break;
	case BTF_KIND_FUNC_PROTO:
		t->type = moved(t->type);
		for (struct btf_param *p = btf_params(t); n--; p++)
			p->type = moved(p->type);
		break;
	}
}

/* clang's names of the integers as gcc gives them to the kernel's: programs may print them. */
static const char *const int_names[][2] = {
	{ "short", "short int" }, { "unsigned short", "short unsigned int" }, { "long", "long int" },
	{ "unsigned long", "long unsigned int" }, { "long long", "long long int" },
	{ "unsigned long long", "long long unsigned int" },
};

static void rename_int(struct btf_type *t)
{
	const char *name = btf__name_by_offset(out, t->name_off);

	for (u32 i = 0; btf_is_int(t) && i < ARRAY_SIZE(int_names); i++)
		if (!strcmp(name, int_names[i][0])) {
			t->name_off = (u32)btf__add_str(out, int_names[i][1]);
			return;
		}
}

static void copy_types(void)
{
	u32 n = btf__type_cnt(src);

	need(n < MAX_TYPES, "too many types");
	for (u32 i = 1; i < n; i++)
		if (wanted(btf__type_by_id(src, i))) {
			int id = btf__add_type(out, src, btf__type_by_id(src, i));

			need(id > 0, "btf__add_type");
			new_id[i] = (u32)id;
		}
	for (u32 i = 1; i < btf__type_cnt(out); i++)
		move_refs((struct btf_type *)btf__type_by_id(out, i));
	for (u32 i = 1; i < btf__type_cnt(out); i++)
		rename_int((struct btf_type *)btf__type_by_id(out, i));
}

/* ---- enumerations ---- */

struct value {
	const char *name;
	u64 value;
};

static bool empty(const struct value *v, u32 n)
{
	while (n && !v[n - 1].name)
		n--;
	return !n;
}

static void add_enum(const char *name, const struct value *v, u32 n, bool is64)
{
	int err;

	if (empty(v, n))
		return;
	err = is64 ? btf__add_enum64(out, name, 8, false) : btf__add_enum(out, name, 4);
	need(err > 0, "btf__add_enum");
	for (u32 i = 0; i < n; i++) {
		if (!v[i].name)
			continue;
		err = is64 ? btf__add_enum64_value(out, v[i].name, v[i].value) :
			     btf__add_enum_value(out, v[i].name, (s64)v[i].value);
		need(!err, v[i].name);
	}
}
#define ADD(name, v)	add_enum(name, v, ARRAY_SIZE(v), false)
#define ADD64(v)	add_enum(NULL, v, ARRAY_SIZE(v), true)

#define FULL		1
#define PARTIAL(what)	1
#define STUB		0
#define IF(on, n, v)	{ (on) ? n : NULL, v },

static const struct value prog_types[] = {
	{ "BPF_PROG_TYPE_UNSPEC", 0 },
#define PROG(type, name, ctx, kind, size, flags, min, max, on, status)	IF(status, "BPF_PROG_TYPE_" #type, BPF_PROG_TYPE_##type)
#include "spec/progs.def"
};

static const struct value map_types[] = {
	{ "BPF_MAP_TYPE_UNSPEC", 0 },
#define MAP(type, name, ops, flags, fields, status)	IF(status, "BPF_MAP_TYPE_" #type, BPF_MAP_TYPE_##type)
#include "spec/maps.def"
};

static const struct value helpers[] = {
	{ "BPF_FUNC_unspec", 0 },
#define HELPER(id, name, ret, args, progs, flags, status, ...)	IF(status, "BPF_FUNC_" #name, id)
#include "spec/helpers.def"
};

static const struct value attaches[] = {
#define P(type)		0
#define RET(a, b)	0
#define NORET		0
#define DEFAULT		0
#define ATTACH(type, name, progs, status, ...)	IF(status, "BPF_" #type, BPF_##type)
#include "spec/attach.def"
};

static const struct value commands[] = {
#define CMD(cmd, name, last, status)	IF(status, "BPF_" #cmd, BPF_##cmd)
#include "spec/cmds.def"
};

#define V(name)	{ #name, (u64)(name) }
/* The kernel's enumerations without a name, which vmlinux.h is there for as well. */
static const struct value elem_flags[] = { V(BPF_ANY), V(BPF_NOEXIST), V(BPF_EXIST), V(BPF_F_LOCK) };
static const struct value map_flags[] = {
	V(BPF_F_NO_PREALLOC), V(BPF_F_NO_COMMON_LRU), V(BPF_F_NUMA_NODE), V(BPF_F_RDONLY), V(BPF_F_WRONLY),
	V(BPF_F_STACK_BUILD_ID), V(BPF_F_ZERO_SEED), V(BPF_F_RDONLY_PROG), V(BPF_F_WRONLY_PROG), V(BPF_F_CLONE),
	V(BPF_F_MMAPABLE), V(BPF_F_PRESERVE_ELEMS), V(BPF_F_INNER_MAP), { "BPF_F_LINK", 1u << 13 }, V(BPF_F_PATH_FD),
	V(BPF_F_VTYPE_BTF_OBJ_FD), V(BPF_F_TOKEN_FD), V(BPF_F_SEGV_ON_FAULT), V(BPF_F_NO_USER_CONV),
};
static const struct value csum_flags[] = {
	V(BPF_F_RECOMPUTE_CSUM), V(BPF_F_INVALIDATE_HASH), V(BPF_F_HDR_FIELD_MASK), V(BPF_F_PSEUDO_HDR),
	V(BPF_F_MARK_MANGLED_0), V(BPF_F_MARK_ENFORCE),
};
static const struct value stack_flags[] = {
	V(BPF_F_SKIP_FIELD_MASK), V(BPF_F_USER_STACK), V(BPF_F_FAST_STACK_CMP), V(BPF_F_REUSE_STACKID), V(BPF_F_USER_BUILD_ID),
};
static const struct value output_flags[] = { V(BPF_F_INDEX_MASK), V(BPF_F_CURRENT_CPU), V(BPF_F_CTXLEN_MASK) };
static const struct value ring_flags[] = { V(BPF_RB_NO_WAKEUP), V(BPF_RB_FORCE_WAKEUP) };
static const struct value ring_queries[] = {
	V(BPF_RB_AVAIL_DATA), V(BPF_RB_RING_SIZE), V(BPF_RB_CONS_POS), V(BPF_RB_PROD_POS),
};
static const struct value ring_bits[] = { V(BPF_RINGBUF_BUSY_BIT), V(BPF_RINGBUF_DISCARD_BIT), V(BPF_RINGBUF_HDR_SZ) };
static const struct value btf_flags[] = { V(BTF_F_COMPACT), V(BTF_F_NONAME), V(BTF_F_PTR_RAW), V(BTF_F_ZERO) };

static void add_enums(void)
{
	ADD("bpf_prog_type", prog_types);
	ADD("bpf_map_type", map_types);
	ADD("bpf_func_id", helpers);
	ADD("bpf_attach_type", attaches);
	ADD("bpf_cmd", commands);
	ADD(NULL, elem_flags);
	ADD(NULL, map_flags);
	ADD(NULL, csum_flags);
	ADD(NULL, stack_flags);
	ADD64(output_flags);
	ADD(NULL, ring_flags);
	ADD(NULL, ring_queries);
	ADD(NULL, ring_bits);
	ADD(NULL, btf_flags);
}

/* ---- output ---- */

static void put_bytes(const u8 *p, u32 size)
{
	for (u32 i = 0; i < size; i++)
		printf("%s%u,", i % 24 ? "" : "\n", p[i]);
}

int main(int argc, char **argv)
{
	const struct btf_header *h;
	const u8 *raw;
	u32 size;

	need(argc == 2, "usage: genvmlinux OBJECT");
	src = btf__parse(argv[1], NULL);
	need(src != NULL, "the object has no BTF");
	out = btf__new_empty();
	need(out != NULL, "btf__new_empty");
	copy_types();
	add_enums();
	raw = btf__raw_data(out, &size);
	need(raw != NULL, "btf__raw_data");
	out = btf__new(raw, size);		/* one whose types lie in its blob */
	need(out != NULL, "btf__new");
	raw = btf__raw_data(out, &size);
	h = (const void *)raw;
	printf("/* Made by scripts/genvmlinux.c. */\n#include \"spec/vmlinux.h\"\n\n"
	       "static const u8 blob[%u] __attribute__((aligned(8))) = {", size);
	put_bytes(raw, size);
	printf("\n};\nstatic const struct btf_type void_type;\nstatic const struct btf_type *types[] = { &void_type");
	for (u32 i = 1; i < btf__type_cnt(out); i++)
		printf(",\n\t(const void *)(blob + %u)", (u32)((const u8 *)btf__type_by_id(out, i) - raw));
	printf("\n};\n\nconst struct btf spec_vmlinux = {\n\t.data = (u8 *)blob, .size = %u, .types = types, .nr = %u,\n"
	       "\t.strs = (const char *)blob + %u,\n\t.hdr = { %#x, %u, %u, %u, %u, %u, %u, %u },\n};\n", size, btf__type_cnt(out),
	       h->hdr_len + h->str_off, h->magic, h->version, h->flags, h->hdr_len, h->type_off, h->type_len, h->str_off,
	       h->str_len);
	return ferror(stdout) ? 1 : 0;
}
