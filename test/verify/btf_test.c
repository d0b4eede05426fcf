/* SPDX-License-Identifier: Apache-2.0 */
/* btf_test.c - btf_parse() against BTF_LOAD of the running kernel: verdict, errno and log text, on hand-made blobs (each row
 * breaks one rule) and on thousands of mutants of what clang emits. Without the kernel the rows' own errno is checked. */
#include "base/btf.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "spec/uapi.h"
#include "t.h"

#define LOG_SIZE	(1u << 20)

struct verdict {
	int err;
	char *log;
};

static struct verdict ask_kernel(const void *blob, u32 size)
{
	static char log[LOG_SIZE];
	union bpf_attr a;
	long fd;

	memset(&a, 0, sizeof(a));
	log[0] = 0;
	a.btf = (u64)(uintptr_t)blob;
	a.btf_size = size;
	a.btf_log_buf = (u64)(uintptr_t)log;
	a.btf_log_size = sizeof(log);
	a.btf_log_level = 1;
	fd = t_kernel_bpf_call(BPF_BTF_LOAD, &a, sizeof(a));
	if (fd >= 0)
		close((int)fd);
	return (struct verdict){ fd < 0 ? -errno : 0, log };
}

static struct verdict ask_skep(const void *blob, u32 size)
{
	static struct sbuf log;
	struct btf *b;
	int err;

	sbuf_reset(&log);
	sbuf_puts(&log, "");
	err = btf_parse(blob, size, NULL, &log, &b);
	btf_free(b);
	return (struct verdict){ err, log.s ? log.s : (char *)"" };
}

/* ---- hand-made blobs ---------------------------------------------------------------------------------------- */

#define INFO(kind, kflag, vlen)	((u32)(kflag) << 31 | (u32)(kind) << 24 | (vlen))
#define T(name, kind, kflag, vlen, size)	(name), INFO(kind, kflag, vlen), (size)
#define INT_(name, size, enc, off, bits)	T(name, BTF_KIND_INT, 0, 0, size), ((enc) << 24 | (off) << 16 | (bits))
#define INT4			INT_(N_a, 4, 1, 0, 32)
#define REF(kind, to)		T(0, BTF_KIND_##kind, 0, 0, to)
#define PTR(to)			REF(PTR, to)
#define TYPEDEF(name, to)	T(name, BTF_KIND_TYPEDEF, 0, 0, to)
#define TAG(name, to)		T(name, BTF_KIND_TYPE_TAG, 0, 0, to)
#define ARRAY(elem, idx, n)	T(0, BTF_KIND_ARRAY, 0, 0, 0), (elem), (idx), (n)
#define STRUCT(name, n, size)	T(name, BTF_KIND_STRUCT, 0, n, size)
#define UNION(name, n, size)	T(name, BTF_KIND_UNION, 0, n, size)
#define M(name, type, off)	(name), (type), (off)
#define BITS(size, off)		((u32)(size) << 24 | (off))
#define PROTO(ret, n)		T(0, BTF_KIND_FUNC_PROTO, 0, n, ret)
#define FUNC(name, to, link)	T(name, BTF_KIND_FUNC, 0, link, to)
#define VAR(name, to, link)	T(name, BTF_KIND_VAR, 0, 0, to), (link)
#define SEC(name, n, size)	T(name, BTF_KIND_DATASEC, 0, n, size)
#define DTAG(name, to, idx)	T(name, BTF_KIND_DECL_TAG, 0, 0, to), (u32)(idx)

static const char strs[] = "\0a\0b\0c\0.text\0with space\0a9\0" "9a\0user";
enum { N_a = 1, N_b = 3, N_c = 5, N_dot = 7, N_space = 13, N_a9 = 24, N_9a = 27, N_user = 30, N_out = 4000 };

struct row {
	const char *name;
	int err;
	u32 n;
	u32 t[40];
};
#define ROW(name, err, ...)	{ name, err, sizeof((u32[]){ __VA_ARGS__ }) / 4, { __VA_ARGS__ } }

static const struct row rows[] = {
	ROW("one int", 0, INT4),
	ROW("int of 128 bits", 0, INT_(N_a, 16, 0, 0, 128)),
	ROW("int with more than 128 bits", -EINVAL, INT_(N_a, 32, 0, 1, 128)),
	ROW("int with more bits than its size", -EINVAL, INT_(N_a, 2, 0, 0, 32)),
	ROW("int with two encodings", -524, INT_(N_a, 4, 3, 0, 32)),
	ROW("int with stray bits in its data", -EINVAL, T(N_a, BTF_KIND_INT, 0, 0, 4), 0xf0000020),
	ROW("int with vlen", -EINVAL, T(N_a, BTF_KIND_INT, 0, 1, 4), 32),
	ROW("int with kind_flag", -EINVAL, T(N_a, BTF_KIND_INT, 1, 0, 4), 32),
	ROW("int cut short", -EINVAL, T(N_a, BTF_KIND_INT, 0, 0, 4)),
	ROW("type cut short", -EINVAL, INT4, N_a, 0),
	ROW("stray bits in info", -EINVAL, N_a, 0x41000000, 4, 32),
	ROW("kind 0", -EINVAL, N_a, 0, 0),
	ROW("kind 20", -EINVAL, T(N_a, 20, 0, 0, 0)),
	ROW("name offset outside the strings", -EINVAL, INT_(N_out, 4, 0, 0, 32)),
	ROW("name offset above the limit", -EINVAL, INT_(0x01000001, 4, 0, 0, 32)),
	ROW("pointer to void", 0, PTR(0)),
	ROW("pointer to a type that is not there", -EINVAL, PTR(7)),
	ROW("pointer with a name", -EINVAL, INT4, T(N_a, BTF_KIND_PTR, 0, 0, 1)),
	ROW("pointer with vlen", -EINVAL, INT4, T(0, BTF_KIND_PTR, 0, 1, 1)),
	ROW("pointer with kind_flag", -EINVAL, INT4, T(0, BTF_KIND_PTR, 1, 0, 1)),
	ROW("pointer to itself", -EEXIST, PTR(1)),
	ROW("pointers in a circle", -EEXIST, PTR(2), PTR(1)),
	ROW("pointer and const in a circle", -EEXIST, PTR(2), REF(CONST, 1)),
	ROW("typedef of itself", -EEXIST, TYPEDEF(N_a, 1)),
	ROW("typedef without name", -EINVAL, INT4, TYPEDEF(0, 1)),
	ROW("typedef with a bad name", -EINVAL, INT4, TYPEDEF(N_space, 1)),
	ROW("typedef with a name that starts with a digit", -EINVAL, INT4, TYPEDEF(N_9a, 1)),
	ROW("typedef with a digit in its name", 0, INT4, TYPEDEF(N_a9, 1)),
	ROW("typedef of void", 0, TYPEDEF(N_a, 0)),
	ROW("type id above the limit", -EINVAL, TYPEDEF(N_a, 0x100000)),
	ROW("pointer to typedef of pointer to it", -EEXIST, PTR(2), TYPEDEF(N_a, 1)),
	ROW("pointer to a variable", -EINVAL, INT4, VAR(N_a, 1, 1), PTR(2)),
	ROW("pointer to a function", -EINVAL, PTR(2), FUNC(N_a, 3, 1), PROTO(0, 0)),
	ROW("pointer to a function that was resolved before", 0, PROTO(0, 0), FUNC(N_a, 1, 1), PTR(2)),
	ROW("const of a function type", 0, PROTO(0, 0), REF(CONST, 1)),
	ROW("forward struct", 0, T(N_a, BTF_KIND_FWD, 0, 0, 0), PTR(1)),
	ROW("forward union", 0, T(N_a, BTF_KIND_FWD, 1, 0, 0)),
	ROW("forward with type", -EINVAL, T(N_a, BTF_KIND_FWD, 0, 0, 1)),
	ROW("forward without name", -EINVAL, T(0, BTF_KIND_FWD, 0, 0, 0)),
	ROW("array", 0, INT4, ARRAY(1, 1, 10)),
	ROW("array of arrays", 0, INT4, ARRAY(1, 1, 10), ARRAY(2, 1, 10)),
	ROW("array of itself", -EEXIST, INT4, ARRAY(2, 1, 10)),
	ROW("array of void", -EINVAL, INT4, ARRAY(0, 1, 10)),
	ROW("array of const void", -EINVAL, INT4, REF(CONST, 0), ARRAY(2, 1, 10)),
	ROW("array of a forward", -EINVAL, INT4, T(N_a, BTF_KIND_FWD, 0, 0, 0), ARRAY(2, 1, 1)),
	ROW("array of bit-field ints", -EINVAL, INT4, INT_(N_b, 4, 0, 0, 7), ARRAY(2, 1, 1)),
	ROW("array indexed by a struct", -EINVAL, INT4, STRUCT(0, 0, 0), ARRAY(1, 2, 1)),
	ROW("array indexed by a typedef of int", 0, INT4, TYPEDEF(N_a, 1), ARRAY(1, 2, 1)),
	ROW("array with a name", -EINVAL, INT4, T(N_a, BTF_KIND_ARRAY, 0, 0, 0), 1, 1, 1),
	ROW("array with a size", -EINVAL, INT4, T(0, BTF_KIND_ARRAY, 0, 0, 4), 1, 1, 1),
	ROW("array larger than 4 GiB", -EINVAL, INT4, ARRAY(1, 1, 0x40000000)),
	ROW("array of arrays larger than 4 GiB", -EINVAL, INT4, ARRAY(1, 1, 0x10000), ARRAY(2, 1, 0x10000)),
	ROW("array of nothing", 0, INT4, ARRAY(1, 1, 0)),
	ROW("struct", 0, INT4, STRUCT(N_a, 2, 8), M(N_a, 1, 0), M(N_b, 1, 32)),
	ROW("struct of size 0", 0, STRUCT(0, 0, 0)),
	ROW("struct in itself", -EEXIST, STRUCT(N_a, 1, 8), M(N_a, 1, 0)),
	ROW("struct in itself through an array", -EEXIST, INT4, STRUCT(N_a, 1, 8), M(N_a, 3, 0), ARRAY(2, 1, 1)),
	ROW("struct in itself through a const", -EEXIST, STRUCT(N_a, 1, 8), M(N_a, 2, 0), REF(CONST, 1)),
	ROW("struct with a pointer to itself", 0, STRUCT(N_a, 1, 8), M(N_a, 2, 0), PTR(1)),
	ROW("struct with a const pointer to itself", 0, STRUCT(N_a, 1, 8), M(N_a, 3, 0), PTR(1), REF(CONST, 2)),
	ROW("struct with a pointer that points to itself", -EEXIST, STRUCT(N_a, 1, 8), M(N_a, 2, 0), PTR(2)),
	ROW("struct: members out of order", -EINVAL, INT4, STRUCT(N_a, 2, 8), M(N_a, 1, 32), M(N_b, 1, 0)),
	ROW("struct: members that overlap", 0, INT4, STRUCT(N_a, 2, 8), M(N_a, 1, 0), M(N_b, 1, 0)),
	ROW("struct: member beyond the end", -EINVAL, INT4, STRUCT(N_a, 1, 4), M(N_a, 1, 8)),
	ROW("struct: offset beyond the end", -EINVAL, INT4, STRUCT(N_a, 1, 4), M(N_a, 1, 64)),
	ROW("struct: member of type void", -EINVAL, STRUCT(N_a, 1, 4), M(N_a, 0, 0)),
	ROW("struct: member of a type that is not there", -EINVAL, STRUCT(N_a, 1, 4), M(N_a, 5, 0)),
	ROW("struct: member is a function", -EINVAL, STRUCT(N_a, 1, 4), M(N_a, 2, 0), FUNC(N_b, 3, 1), PROTO(0, 0)),
	ROW("struct: member is a variable", -EINVAL, INT4, STRUCT(N_a, 1, 4), M(N_a, 3, 0), VAR(N_b, 1, 1)),
	ROW("struct: member with a bad name", -EINVAL, INT4, STRUCT(N_a, 1, 4), M(N_space, 1, 0)),
	ROW("struct: member with a name outside", -EINVAL, INT4, STRUCT(N_a, 1, 4), M(N_out, 1, 0)),
	ROW("struct: bad name", -EINVAL, STRUCT(N_space, 0, 0)),
	ROW("struct: cut in its members", -EINVAL, INT4, STRUCT(N_a, 2, 8), M(N_a, 1, 0)),
	ROW("struct: pointer off a byte", -EINVAL, PTR(0), STRUCT(N_a, 1, 16), M(N_a, 1, 3)),
	ROW("struct: pointer beyond the end", -EINVAL, PTR(0), STRUCT(N_a, 1, 8), M(N_a, 1, 8)),
	ROW("struct: array beyond the end", -EINVAL, INT4, ARRAY(1, 1, 3), STRUCT(N_a, 1, 8), M(N_a, 2, 0)),
	ROW("struct: struct beyond the end", -EINVAL, STRUCT(0, 0, 8), STRUCT(N_a, 1, 8), M(N_a, 1, 8)),
	ROW("struct: struct off a byte", -EINVAL, STRUCT(0, 0, 8), STRUCT(N_a, 1, 16), M(N_a, 1, 4)),
	ROW("union", 0, INT4, UNION(N_a, 2, 4), M(N_a, 1, 0), M(N_b, 1, 0)),
	ROW("union: member not at 0", -EINVAL, INT4, UNION(N_a, 1, 8), M(N_a, 1, 8)),
	ROW("bit-field", 0, INT4, T(N_a, BTF_KIND_STRUCT, 1, 2, 4), M(N_a, 1, BITS(3, 0)), M(N_b, 1, BITS(5, 3))),
	ROW("bit-field wider than its int", -EINVAL, INT4, T(N_a, BTF_KIND_STRUCT, 1, 1, 8), M(N_a, 1, BITS(33, 0))),
	ROW("bit-field beyond the end", -EINVAL, INT4, T(N_a, BTF_KIND_STRUCT, 1, 1, 1), M(N_a, 1, BITS(7, 2))),
	ROW("bit-field of an irregular int", -EINVAL, INT_(N_a, 4, 0, 0, 7), T(N_a, BTF_KIND_STRUCT, 1, 1, 4),
	    M(N_a, 1, BITS(3, 0))),
	ROW("bit-field of size 0 off a byte", -EINVAL, INT4, T(N_a, BTF_KIND_STRUCT, 1, 1, 8), M(N_a, 1, BITS(0, 3))),
	ROW("bit-field of a pointer", -EINVAL, PTR(0), T(N_a, BTF_KIND_STRUCT, 1, 1, 8), M(N_a, 1, BITS(3, 0))),
	ROW("bit-field of an enum", 0, T(N_a, BTF_KIND_ENUM, 0, 0, 4), T(N_a, BTF_KIND_STRUCT, 1, 1, 4),
	    M(N_a, 1, BITS(3, 0))),
	ROW("bit-field of an enum, too wide", -EINVAL, T(N_a, BTF_KIND_ENUM, 0, 0, 4),
	    T(N_a, BTF_KIND_STRUCT, 1, 1, 8), M(N_a, 1, BITS(33, 0))),
	ROW("bit-field of a typedef of int", 0, INT4, TYPEDEF(N_b, 1), T(N_a, BTF_KIND_STRUCT, 1, 1, 4),
	    M(N_a, 2, BITS(3, 0))),
	ROW("int of 120 bits off a byte", 0, INT_(N_a, 16, 0, 0, 120), STRUCT(N_a, 1, 32), M(N_a, 1, 7)),
	ROW("int of 128 bits off a byte", -EINVAL, INT_(N_a, 16, 0, 0, 128), STRUCT(N_a, 1, 32), M(N_a, 1, 7)),
	ROW("enum", 0, T(N_a, BTF_KIND_ENUM, 0, 2, 4), N_a, 0, N_b, 0xffffffff),
	ROW("signed enum", 0, T(N_a, BTF_KIND_ENUM, 1, 1, 4), N_a, 0xffffffff),
	ROW("enum of 3 bytes", -EINVAL, T(N_a, BTF_KIND_ENUM, 0, 0, 3)),
	ROW("enum of 16 bytes", -EINVAL, T(N_a, BTF_KIND_ENUM, 0, 0, 16)),
	ROW("enumerator without name", -EINVAL, T(N_a, BTF_KIND_ENUM, 0, 1, 4), 0, 0),
	ROW("enumerator with a name outside", -EINVAL, T(N_a, BTF_KIND_ENUM, 0, 1, 4), N_out, 0),
	ROW("enum64", 0, T(N_a, BTF_KIND_ENUM64, 0, 1, 8), N_a, 1, 2),
	ROW("signed enum64", 0, T(N_a, BTF_KIND_ENUM64, 1, 1, 8), N_a, 0xffffffff, 0xffffffff),
	ROW("enum64 cut short", -EINVAL, T(N_a, BTF_KIND_ENUM64, 0, 1, 8), N_a, 1),
	ROW("function", 0, INT4, PROTO(1, 1), N_a, 1, FUNC(N_a, 2, 1)),
	ROW("function with unnamed argument", -EINVAL, INT4, PROTO(1, 1), 0, 1, FUNC(N_a, 2, 1)),
	ROW("function type with unnamed argument", 0, INT4, PROTO(1, 1), 0, 1),
	ROW("function of linkage 3", -EINVAL, PROTO(0, 0), FUNC(N_a, 1, 3)),
	ROW("function of linkage extern", -EINVAL, PROTO(0, 0), FUNC(N_a, 1, 2)),
	ROW("function without type", -EINVAL, FUNC(N_a, 0, 1)),
	ROW("function whose type is an int", -EINVAL, INT4, FUNC(N_a, 1, 1)),
	ROW("function without name", -EINVAL, PROTO(0, 0), FUNC(0, 1, 1)),
	ROW("function type with a name", -EINVAL, T(N_a, BTF_KIND_FUNC_PROTO, 0, 0, 0)),
	ROW("function type with kind_flag", -EINVAL, T(0, BTF_KIND_FUNC_PROTO, 1, 0, 0)),
	ROW("varargs", 0, INT4, PROTO(1, 2), N_a, 1, 0, 0),
	ROW("varargs only", 0, INT4, PROTO(1, 1), 0, 0),
	ROW("varargs with a name", -EINVAL, INT4, PROTO(1, 1), N_a, 0),
	ROW("varargs in the middle", -EINVAL, INT4, PROTO(1, 2), 0, 0, N_a, 1),
	ROW("returns a type that is not there", -EINVAL, PROTO(9, 0)),
	ROW("returns const void", -EINVAL, REF(CONST, 0), PROTO(1, 0)),
	ROW("returns a variable", -EINVAL, INT4, VAR(N_a, 1, 1), PROTO(2, 0)),
	ROW("argument of a forward type", -EINVAL, T(N_a, BTF_KIND_FWD, 0, 0, 0), PROTO(0, 1), N_a, 1),
	ROW("argument with a bad name", -EINVAL, INT4, PROTO(0, 1), N_space, 1),
	ROW("argument with a name outside", -EINVAL, INT4, PROTO(0, 1), N_out, 1),
	ROW("variable", 0, INT4, VAR(N_a, 1, 0)),
	ROW("extern variable", -EINVAL, INT4, VAR(N_a, 1, 2)),
	ROW("variable of type void", -EINVAL, VAR(N_a, 0, 1)),
	ROW("variable of a forward type", -EINVAL, T(N_a, BTF_KIND_FWD, 0, 0, 0), VAR(N_a, 1, 1)),
	ROW("variable of const void", -EINVAL, REF(CONST, 0), VAR(N_a, 1, 1)),
	ROW("variable without name", -EINVAL, INT4, VAR(0, 1, 1)),
	ROW("variable of a variable", -EINVAL, INT4, VAR(N_a, 1, 1), VAR(N_b, 2, 1)),
	ROW("section", 0, INT4, VAR(N_a, 1, 1), SEC(N_dot, 1, 4), 2, 0, 4),
	ROW("section with a space in its name", 0, INT4, VAR(N_a, 1, 1), SEC(N_space, 1, 4), 2, 0, 4),
	ROW("section without name", -EINVAL, INT4, VAR(N_a, 1, 1), SEC(0, 1, 4), 2, 0, 4),
	ROW("section of size 0", -EINVAL, SEC(N_dot, 0, 0)),
	ROW("section: variable beyond the end", -EINVAL, INT4, VAR(N_a, 1, 1), SEC(N_dot, 1, 4), 2, 2, 4),
	ROW("section: variables that overlap", -EINVAL, INT4, VAR(N_a, 1, 1), SEC(N_dot, 2, 8), 2, 0, 4, 2, 2, 4),
	ROW("section: variable smaller than its type", -EINVAL, INT4, VAR(N_a, 1, 1), SEC(N_dot, 1, 4), 2, 0, 2),
	ROW("section: variable larger than its type", 0, INT4, VAR(N_a, 1, 1), SEC(N_dot, 1, 8), 2, 0, 8),
	ROW("section: not a variable", -EINVAL, INT4, SEC(N_dot, 1, 4), 1, 0, 4),
	ROW("section: size 0 variable", -EINVAL, INT4, VAR(N_a, 1, 1), SEC(N_dot, 1, 4), 2, 0, 0),
	ROW("float", 0, T(N_a, BTF_KIND_FLOAT, 0, 0, 8)),
	ROW("float of 3 bytes", -EINVAL, T(N_a, BTF_KIND_FLOAT, 0, 0, 3)),
	ROW("float member off its alignment", -EINVAL, T(N_a, BTF_KIND_FLOAT, 0, 0, 4), STRUCT(N_a, 1, 16), M(N_a, 1, 8)),
	ROW("float member beyond the end", -EINVAL, T(N_a, BTF_KIND_FLOAT, 0, 0, 8), STRUCT(N_a, 1, 8), M(N_a, 1, 64)),
	ROW("tag on a struct", 0, STRUCT(N_a, 0, 0), DTAG(N_user, 1, -1)),
	ROW("tag on a member", 0, INT4, STRUCT(N_a, 1, 4), M(N_a, 1, 0), DTAG(N_user, 2, 0)),
	ROW("tag on a member that is not there", -EINVAL, INT4, STRUCT(N_a, 1, 4), M(N_a, 1, 0), DTAG(N_user, 2, 1)),
	ROW("tag on an argument", 0, INT4, PROTO(1, 1), N_a, 1, FUNC(N_a, 2, 1), DTAG(N_user, 3, 0)),
	ROW("tag on an int", -EINVAL, INT4, DTAG(N_user, 1, -1)),
	ROW("tag on a component of a variable", -EINVAL, INT4, VAR(N_a, 1, 1), DTAG(N_user, 2, 0)),
	ROW("tag with component -2", -EINVAL, STRUCT(N_a, 0, 0), DTAG(N_user, 1, -2)),
	ROW("tag without text", -EINVAL, STRUCT(N_a, 0, 0), DTAG(0, 1, -1)),
	ROW("tag with kind_flag", 0, STRUCT(N_a, 0, 0), T(N_user, BTF_KIND_DECL_TAG, 1, 0, 1), (u32)-1),
	ROW("type tag", 0, INT4, TAG(N_user, 1), PTR(2)),
	ROW("type tag with kind_flag", 0, INT4, T(N_user, BTF_KIND_TYPE_TAG, 1, 0, 1), PTR(2)),
	ROW("type tag behind a const", -EINVAL, INT4, REF(CONST, 3), TAG(N_user, 1)),
	ROW("type tag without text", -EINVAL, INT4, TAG(0, 1)),
	ROW("struct named struct with members resolved late", 0, STRUCT(N_a, 1, 4), M(N_a, 2, 0), INT4),
};

static u32 make_blob(const struct row *r, u8 *out)
{
	struct btf_header h = { BTF_MAGIC, BTF_VERSION, 0, sizeof(h), 0, r->n * 4, r->n * 4, sizeof(strs) };

	memcpy(out, &h, sizeof(h));
	memcpy(out + sizeof(h), r->t, r->n * 4);
	memcpy(out + sizeof(h) + r->n * 4, strs, sizeof(strs));
	return (u32)(sizeof(h) + r->n * 4 + sizeof(strs));
}

TEST(rows)
{
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		u8 blob[1024];
		u32 size = make_blob(&rows[i], blob);
		struct verdict s = ask_skep(blob, size);

		t_row("%s", rows[i].name);
		EQ(s.err, rows[i].err);
		if (t_kernel_bpf()) {
			struct verdict k = ask_kernel(blob, size);

			EQ(s.err, k.err);
			STR_EQ(s.log, k.log);
		}
	}
}

/* ---- the container ------------------------------------------------------------------------------------------ */

static void container(const char *name, u32 word, u32 value, s32 grow)
{
	static const struct row good = ROW("", 0, INT4);
	u8 blob[1024] = { 0 };
	u32 size = make_blob(&good, blob);

	memcpy(blob + word * 4, &value, 4);
	size = (u32)((s32)size + grow);
	struct verdict s = ask_skep(blob, size);
	t_row("container: %s", name);
	if (t_kernel_bpf()) {
		struct verdict k = ask_kernel(blob, size);

		EQ(s.err, k.err);
		STR_EQ(s.log, k.log);
	} else {
		CHECK(s.err < 0);
	}
}

TEST(container)
{
	container("wrong magic", 0, 0x0001eb9e, 0);
	container("other byte order", 0, 0x00019feb, 0);
	container("version 2", 0, 0x0002eb9f, 0);
	container("flags", 0, 0x0101eb9f, 0);
	container("header length 0", 1, 0, 0);
	container("header length 4", 1, 4, 0);
	container("header length 8", 1, 8, 0);
	container("header length 22", 1, 22, 0);
	container("header longer than the blob", 1, 4000, 0);
	container("header longer than known", 1, 28, 0);
	container("type section starts off", 2, 4, 0);
	container("type section empty", 3, 0, 0);
	container("type section too long", 3, 4000, 0);
	container("string section starts early", 4, 12, 0);
	container("string section starts late", 4, 20, 0);
	container("string section short", 5, 4, 0);
	container("offsets that wrap", 4, 0xfffffff0, 0);
	container("blob cut short", 0, 0x0001eb9f, -3);
	container("bytes behind the blob", 0, 0x0001eb9f, 5);
	container("cut in the header", 0, 0x0001eb9f, -(int)sizeof(strs) - 20);
	container("shorter than a header length", 0, 0x0001eb9f, -(int)sizeof(strs) - 35);
}

/* ---- mutants of what clang emits ----------------------------------------------------------------------------- */

static const char source[] =
	"typedef unsigned int u32; typedef unsigned long long u64; typedef u32 vec[3];\n"
	"enum color { RED, GREEN = 7, BLUE }; enum big { HUGE = 0x123456789abULL, TINY };\n"
	"struct fwd; union pick { u32 i; char c[4]; float f; };\n"
	"struct item { struct item *next; const volatile char *name; u32 a:3, b:5; enum color col; union pick p;\n"
	"	int (*cmp)(const struct item *, const struct item *); struct fwd *hidden; double d; vec v[2]; };\n"
	"#define tag(x) __attribute__((btf_decl_tag(x)))\n"
	"#define ttag(x) __attribute__((btf_type_tag(x)))\n"
	"struct item table[4] __attribute__((section(\".data.table\"))); static volatile u32 counter tag(\"hot\");\n"
	"const volatile enum big mode = HUGE; int ttag(\"user\") *uptr;\n"
	"static __attribute__((noinline)) int walk(struct item *i, u32 n tag(\"n\")) { counter += n; return i->a + (int)n; }\n"
	"__attribute__((section(\"tc\"))) int entry(void *ctx)\n"
	"{ return walk(&table[counter & 3], mode == HUGE) + (uptr ? 1 : 0); }\n"
	"char lic[] __attribute__((section(\"license\"))) = \"GPL\";\n";

static u8 *section(Elf *elf, const char *want, u32 *size)
{
	size_t names;
	Elf_Scn *s = NULL;

	if (elf_getshdrstrndx(elf, &names))
		return NULL;
	while ((s = elf_nextscn(elf, s))) {
		GElf_Shdr h;
		Elf_Data *d = elf_getdata(s, NULL);

		if (gelf_getshdr(s, &h) && d && !strcmp(elf_strptr(elf, names, h.sh_name), want)) {
			u8 *copy = malloc(d->d_size);

			memcpy(copy, d->d_buf, d->d_size);
			*size = (u32)d->d_size;
			return copy;
		}
	}
	return NULL;
}

/* clang leaves section sizes and offsets at 0 for the loader: give them what a loader would. */
static u8 *compile(u32 *size)
{
	char cmd[512], src[128], obj[128];
	u8 *blob = NULL;
	FILE *f;

	snprintf(src, sizeof(src), "%s/m.c", t_tmpdir());
	snprintf(obj, sizeof(obj), "%s/m.o", t_tmpdir());
	f = fopen(src, "w");
	fputs(source, f);
	fclose(f);
	snprintf(cmd, sizeof(cmd), "clang -g -O1 -target bpf -mcpu=v3 -c %s -o %s", src, obj);
	if (system(cmd))
		return NULL;
	elf_version(EV_CURRENT);
	int fd = open(obj, O_RDONLY | O_CLOEXEC);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	if (elf)
		blob = section(elf, ".BTF", size);
	elf_end(elf);
	close(fd);
	return blob;
}

static void fix_sections(u8 *blob)
{
	struct btf_header *h = (void *)blob;
	u32 *p = (void *)(blob + h->hdr_len), *end = p + h->type_len / 4;
	static const u8 fixed[20] = { [1] = 1, [3] = 3, [14] = 1, [17] = 1 };
	static const u8 per[20] = { [4] = 3, [5] = 3, [6] = 2, [13] = 2, [15] = 3, [19] = 3 };

	while (p < end) {
		u32 kind = BTF_INFO_KIND(p[1]), n = BTF_INFO_VLEN(p[1]);

		for (u32 i = 0, off = 0; kind == BTF_KIND_DATASEC && i < n; i++) {
			u32 *v = p + 3 + 3 * i;

			v[1] = off;
			off += v[2];
			p[2] = off;
		}
		p += 3 + fixed[kind] + per[kind] * n;
	}
}

static u64 seed = 0x9e3779b97f4a7c15ull;
static u32 rnd(u32 n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (u32)(seed % n);
}

static void mutate(u8 *m, u32 size)
{
	static const u32 values[] = { 0, 1, 2, 3, 4, 5, 8, 0xffffffff, 0x7fffffff, 0x80000000, 0x0f000000, 0x84000002, 0x100 };
	const struct btf_header *h = (const void *)m;
	u32 n = 1 + rnd(3), types = h->type_len / 4;

	for (u32 i = 0; i < n; i++) {
		u32 *w = (u32 *)(m + sizeof(*h)) + rnd(types);
		u32 how = rnd(10);

		if (how == 0)
			((u32 *)m)[rnd(6)] = values[rnd(ARRAY_SIZE(values))];
		else if (how == 1)
			m[rnd(size)] ^= (u8)(1 << rnd(8));
		else if (how < 5)
			*w = rnd(60);
		else if (how < 7)
			*w ^= 1u << rnd(32);
		else if (how == 7)
			*w = values[rnd(ARRAY_SIZE(values))];
		else
			*w += rnd(3) - 1;
	}
}

static void dump(const char *name, const void *p, u32 n)
{
	FILE *f = fopen(name, "w");

	if (f) {
		fwrite(p, 1, n, f);
		fclose(f);
	}
}

TEST(mutants_of_real_btf)
{
	u32 size, n = t_fast() ? 3000 : 60000, accepted = 0;
	u8 *blob = compile(&size), *m;

	NEED(blob);
	fix_sections(blob);
	EQ(ask_skep(blob, size).err, 0);
	if (!t_kernel_bpf()) {
		t_skip("no kernel bpf(2) to compare with");
		return;
	}
	EQ(ask_kernel(blob, size).err, 0);
	STR_EQ(ask_skep(blob, size).log, ask_kernel(blob, size).log);
	m = malloc(size);
	for (u32 i = 0; i < n; i++) {
		struct verdict s, k;

		memcpy(m, blob, size);
		mutate(m, size);
		s = ask_skep(m, size);
		k = ask_kernel(m, size);
		accepted += !k.err;
		EQ(s.err, k.err);
		STR_EQ(s.log, k.log);
		if (getenv("BTF_DUMP") && (s.err != k.err || strcmp(s.log, k.log))) {
			dump(getenv("BTF_DUMP"), m, size);
			printf("# skep %d: %s\n# kernel %d: %s\n", s.err, s.log, k.err, k.log);
			break;
		}
	}
	CHECK(accepted > n / 20);		/* the mutations are not all of one kind */
	free(m);
	free(blob);
}

/* ---- lookups ------------------------------------------------------------------------------------------------- */

TEST(lookups)
{
	static const struct row r = ROW("", 0, INT4, TYPEDEF(N_b, 1), ARRAY(2, 1, 5), STRUCT(N_c, 1, 20), M(N_a, 3, 0));
	u8 blob[1024];
	u32 size = make_blob(&r, blob), id = 2;
	struct btf *b;

	NEED(!btf_parse(blob, size, NULL, NULL, &b));
	EQ(btf_nr(b), 5);
	EQ(btf_find(b, "c", BTF_KIND_STRUCT), 4);
	EQ(btf_find(b, "c", BTF_KIND_UNION), -ENOENT);
	EQ(btf_size(b, 3), 20);
	EQ(btf_size(b, 0), -EINVAL);
	EQ(btf_size(b, 99), -EINVAL);
	CHECK(btf_skip_mods(b, &id) == btf_type(b, 1));
	EQ(id, 1);
	STR_EQ(btf_str(b, 99999), "");
	CHECK(!btf_type(b, 5));
	btf_free(b);
}

TEST(split_btf_goes_on_where_its_base_ends)
{
	static const struct row base = ROW("", 0, INT4);
	static const struct row more = ROW("", 0, TYPEDEF(N_b, 1), STRUCT(sizeof(strs) + N_c, 1, 4), M(N_a, 2, 0));
	u8 blob[1024];
	struct btf *b, *s;

	NEED(!btf_parse(blob, make_blob(&base, blob), NULL, NULL, &b));
	EQ(btf_parse(blob, make_blob(&more, blob), b, NULL, &s), 0);
	NEED(s);
	EQ(btf_nr(s), 4);
	EQ(btf_find(s, "c", BTF_KIND_STRUCT), 3);
	EQ(btf_size(s, 2), 4);
	STR_EQ(btf_str(s, btf_type(s, 2)->name_off), "b");
	btf_free(s);
	btf_free(b);
}
