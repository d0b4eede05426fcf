/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_test.c - every command with bad input: skep's errno is the kernel's. Rows run on skep always and, as root, on the
 * kernel too; the sweeps have no expectation of their own but the kernel's answer. */
#include <errno.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "skep.h"
#include "spec/spec.h"
#include "t.h"

/* Placeholders in a row's attr: replaced by the side's own fds. */
enum { HASH = 0x7e5700, ARRAY, PROG_ARR, RING, RO, FROZEN, BTF, FILE_FD, CLOSED, NR_FDS };

struct side {
	bool kernel;
	int fd[NR_FDS - HASH];
};

static u32 k0, k9 = 9;
static u64 v0, out[512];
#define PTR(x)	((u64)(uintptr_t)(x))
#define BAD	0xdead000ull

static long call(const struct side *s, int cmd, union skep_attr *a, u32 size)
{
	long r;

	if (!s->kernel)
		return skep_bpf(cmd, (union bpf_attr *)a, size);
	r = t_kernel_bpf_call(cmd, a, size);
	return r < 0 ? -errno : r;
}

static int map(const struct side *s, u32 type, u32 key, u32 value, u32 max, u32 flags)
{
	union skep_attr a = { .map_type = type, .key_size = key, .value_size = value, .max_entries = max,
			      .map_flags = flags };

	return (int)call(s, BPF_MAP_CREATE, &a, sizeof(a));
}

static int load_btf(const struct side *s)
{
	/* one int, "int" */
	static const struct {
		struct btf_header h;
		u32 t[4];
		char str[8];
	} b = { { 0xeb9f, 1, 0, sizeof(b.h), 0, 16, 16, 8 }, { 1, 0x01000000, 4, 0x01000020 }, "\0int" };
	union skep_attr a = { .btf = PTR(&b), .btf_size = sizeof(b) };

	return (int)call(s, BPF_BTF_LOAD, &a, sizeof(a));
}

static bool open_side(struct side *s)
{
	union skep_attr a;

	s->fd[HASH - HASH] = map(s, BPF_MAP_TYPE_HASH, 4, 8, 4, 0);
	s->fd[ARRAY - HASH] = map(s, BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0);
	s->fd[PROG_ARR - HASH] = map(s, BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 4, 0);
	s->fd[RING - HASH] = map(s, BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0);
	s->fd[RO - HASH] = map(s, BPF_MAP_TYPE_HASH, 4, 8, 4, BPF_F_RDONLY);
	s->fd[FROZEN - HASH] = map(s, BPF_MAP_TYPE_ARRAY, 4, 8, 4, BPF_F_RDONLY_PROG);
	a = (union skep_attr){ .map_fd = (u32)s->fd[FROZEN - HASH] };
	call(s, BPF_MAP_FREEZE, &a, sizeof(a));
	s->fd[BTF - HASH] = load_btf(s);
	s->fd[FILE_FD - HASH] = open("/dev/null", O_RDWR | O_CLOEXEC);
	s->fd[CLOSED - HASH] = 9999;
	for (int i = 0; i < NR_FDS - HASH; i++)
		if (s->fd[i] < 0)
			return false;
	return true;
}

static void close_side(struct side *s)
{
	for (int i = 0; i < NR_FDS - HASH; i++)
		if (i != CLOSED - HASH && s->fd[i] >= 0)
			close(s->fd[i]);
}

struct row {
	const char *name;
	int cmd;
	int want;			/* 0, -errno; FD: a descriptor */
	union skep_attr a;
	u32 size;			/* 0: sizeof(a) */
};
#define FD 1
#define LIC PTR("GPL")

static const struct bpf_insn ret0[] = { { 0xb7, 0, 0, 0, 0 }, { 0x95, 0, 0, 0, 0 } };

#pragma GCC diagnostic ignored "-Wmissing-braces"	/* members of anonymous structs by name */
#define ELEM(fd, k, v, f) { .map_fd = fd, .key = k, .value = v, .flags = f }
static struct row rows[] = {
	{ "no such command", 38, -EINVAL, { 0 } },
	{ "negative command", -1, -EINVAL, { 0 } },
	{ "map_create of zeroes", BPF_MAP_CREATE, -EINVAL, { 0 } },
	{ "map_create with a short attr", BPF_MAP_CREATE, FD, { { BPF_MAP_TYPE_ARRAY, 4, 4, 1 } }, 16 },
	{ "map_create: type 99", BPF_MAP_CREATE, -EINVAL, { { 99, 4, 4, 1 } } },
	{ "map_create: hash without entries", BPF_MAP_CREATE, -EINVAL, { { BPF_MAP_TYPE_HASH, 4, 4, 0 } } },
	{ "map_create: hash without key", BPF_MAP_CREATE, -EINVAL, { { BPF_MAP_TYPE_HASH, 0, 4, 1 } } },
	{ "map_create: array with 8-byte key", BPF_MAP_CREATE, -EINVAL, { { BPF_MAP_TYPE_ARRAY, 8, 4, 1 } } },
	{ "map_create: hash with a huge value", BPF_MAP_CREATE, -E2BIG, { { BPF_MAP_TYPE_HASH, 4, 0x7fffffff, 1 } } },
	{ "map_create: name with a dash", BPF_MAP_CREATE, -EINVAL,
	  { { BPF_MAP_TYPE_ARRAY, 4, 4, 1, .map_name = "a-b" } } },
	{ "map_create: name without end", BPF_MAP_CREATE, -EINVAL,
	  { { BPF_MAP_TYPE_ARRAY, 4, 4, 1, .map_name = "aaaaaaaaaaaaaaaa" } } },
	{ "map_create: rdonly and wronly", BPF_MAP_CREATE, -EINVAL, { { BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0x18 } } },
	{ "map_create: unknown flag", BPF_MAP_CREATE, -EINVAL, { { BPF_MAP_TYPE_ARRAY, 4, 4, 1, 1u << 30 } } },
	{ "map_create: extra on an array", BPF_MAP_CREATE, -EINVAL, { { BPF_MAP_TYPE_ARRAY, 4, 4, 1, .map_extra = 1 } } },
	{ "map_create: ringbuf of 5000", BPF_MAP_CREATE, -EINVAL, { { BPF_MAP_TYPE_RINGBUF, 0, 0, 5000 } } },
	{ "map_create: btf key without value", BPF_MAP_CREATE, -EINVAL,
	  { { BPF_MAP_TYPE_HASH, 4, 4, 1, .btf_fd = BTF, .btf_key_type_id = 1 } } },
	{ "map_create: typed by BTF", BPF_MAP_CREATE, FD,
	  { { BPF_MAP_TYPE_HASH, 4, 4, 1, .btf_fd = BTF, .btf_key_type_id = 1, .btf_value_type_id = 1 } } },
	{ "map_create: BTF of another size", BPF_MAP_CREATE, -EINVAL,
	  { { BPF_MAP_TYPE_HASH, 4, 8, 1, .btf_fd = BTF, .btf_key_type_id = 1, .btf_value_type_id = 1 } } },
	{ "map_create: btf_fd is a map", BPF_MAP_CREATE, -EINVAL,
	  { { BPF_MAP_TYPE_HASH, 4, 4, 1, .btf_fd = HASH, .btf_key_type_id = 1, .btf_value_type_id = 1 } } },
	{ "map_create: btf_fd closed", BPF_MAP_CREATE, -EBADF,
	  { { BPF_MAP_TYPE_HASH, 4, 4, 1, .btf_fd = CLOSED, .btf_key_type_id = 1, .btf_value_type_id = 1 } } },
	{ "map_create: prog_array typed by BTF", BPF_MAP_CREATE, FD,
	  { { BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 1, .btf_fd = BTF, .btf_key_type_id = 1, .btf_value_type_id = 1 } } },
	{ "map_create: perf_event_array typed by BTF", BPF_MAP_CREATE, -524,
	  { { BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 1, .btf_fd = BTF, .btf_key_type_id = 1, .btf_value_type_id = 1 } } },
	{ "map_create: percpu array typed by BTF", BPF_MAP_CREATE, FD,
	  { { BPF_MAP_TYPE_PERCPU_ARRAY, 4, 4, 1, .btf_fd = BTF, .btf_key_type_id = 1, .btf_value_type_id = 1 } } },
	{ "map_create: array of maps typed by BTF", BPF_MAP_CREATE, -524,
	  { { BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 1, .inner_map_fd = HASH, .btf_fd = BTF, .btf_key_type_id = 1, .btf_value_type_id = 1 } } },
	{ "map_create: prog_array typed by BTF, no key type", BPF_MAP_CREATE, -EINVAL,
	  { { BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 1, .btf_fd = BTF, .btf_value_type_id = 1 } } },
	{ "map_create: hash typed by BTF, no key type", BPF_MAP_CREATE, -EINVAL,
	  { { BPF_MAP_TYPE_HASH, 4, 4, 1, .btf_fd = BTF, .btf_value_type_id = 1 } } },
	{ "map_create: array typed by an int alone", BPF_MAP_CREATE, -EINVAL,
	  { { BPF_MAP_TYPE_ARRAY, 4, 4, 1, .btf_fd = BTF, .btf_value_type_id = 1 } } },
	{ "map_create: type id beyond", BPF_MAP_CREATE, -EINVAL,
	  { { BPF_MAP_TYPE_ARRAY, 4, 4, 1, .btf_fd = BTF, .btf_key_type_id = 1, .btf_value_type_id = 7 } } },
	{ "map_create: array of maps without inner", BPF_MAP_CREATE, -EBADF,
	  { { BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 1, .inner_map_fd = CLOSED } } },
	{ "map_create: inner is a file", BPF_MAP_CREATE, -EINVAL,
	  { { BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 1, .inner_map_fd = FILE_FD } } },
	{ "map_create: inner is a prog_array", BPF_MAP_CREATE, -524,
	  { { BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 1, .inner_map_fd = PROG_ARR } } },
	{ "map_create: array of hashes", BPF_MAP_CREATE, FD,
	  { { BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 1, .inner_map_fd = HASH } } },
	{ "map_create: token flag without token", BPF_MAP_CREATE, -EBADF,
	  { { BPF_MAP_TYPE_ARRAY, 4, 4, 1, BPF_F_TOKEN_FD, .map_token_fd = CLOSED } } },

	{ "lookup: missing", BPF_MAP_LOOKUP_ELEM, -ENOENT, ELEM(HASH, PTR(&k9), PTR(out), 0) },
	{ "lookup: flags", BPF_MAP_LOOKUP_ELEM, -EINVAL, ELEM(HASH, PTR(&k9), PTR(out), 1) },
	{ "lookup: F_LOCK without a lock", BPF_MAP_LOOKUP_ELEM, -EINVAL, ELEM(HASH, PTR(&k9), PTR(out), BPF_F_LOCK) },
	{ "lookup: NULL key", BPF_MAP_LOOKUP_ELEM, -EFAULT, ELEM(HASH, 0, PTR(out), 0) },
	{ "lookup: bad key", BPF_MAP_LOOKUP_ELEM, -EFAULT, ELEM(HASH, BAD, PTR(out), 0) },
	{ "lookup: bad value", BPF_MAP_LOOKUP_ELEM, -EFAULT, ELEM(ARRAY, PTR(&k0), BAD, 0) },
	{ "lookup: array", BPF_MAP_LOOKUP_ELEM, 0, ELEM(ARRAY, PTR(&k0), PTR(out), 0) },
	{ "lookup: array beyond", BPF_MAP_LOOKUP_ELEM, -ENOENT, ELEM(ARRAY, PTR(&k9), PTR(out), 0) },
	{ "lookup: a file", BPF_MAP_LOOKUP_ELEM, -EINVAL, ELEM(FILE_FD, PTR(&k0), PTR(out), 0) },
	{ "lookup: closed", BPF_MAP_LOOKUP_ELEM, -EBADF, ELEM(CLOSED, PTR(&k0), PTR(out), 0) },
	{ "lookup: BTF fd", BPF_MAP_LOOKUP_ELEM, -EINVAL, ELEM(BTF, PTR(&k0), PTR(out), 0) },
	{ "lookup: ringbuf with a key", BPF_MAP_LOOKUP_ELEM, -EINVAL, ELEM(RING, PTR(&k0), PTR(out), 0) },
	{ "lookup: ringbuf", BPF_MAP_LOOKUP_ELEM, -524, ELEM(RING, 0, PTR(out), 0) },
	{ "lookup: prog_array empty slot", BPF_MAP_LOOKUP_ELEM, -ENOENT, ELEM(PROG_ARR, PTR(&k0), PTR(out), 0) },
	{ "lookup: read-only fd", BPF_MAP_LOOKUP_ELEM, -ENOENT, ELEM(RO, PTR(&k9), PTR(out), 0) },
	{ "update: read-only fd", BPF_MAP_UPDATE_ELEM, -EPERM, ELEM(RO, PTR(&k9), PTR(&v0), 0) },
	{ "update: frozen", BPF_MAP_UPDATE_ELEM, -EPERM, ELEM(FROZEN, PTR(&k0), PTR(&v0), 0) },
	{ "update: flags 3", BPF_MAP_UPDATE_ELEM, -EINVAL, ELEM(HASH, PTR(&k9), PTR(&v0), 3) },
	{ "update: F_LOCK", BPF_MAP_UPDATE_ELEM, -EINVAL, ELEM(HASH, PTR(&k9), PTR(&v0), BPF_F_LOCK) },
	{ "update: EXIST missing", BPF_MAP_UPDATE_ELEM, -ENOENT, ELEM(HASH, PTR(&k9), PTR(&v0), BPF_EXIST) },
	{ "update: NULL value", BPF_MAP_UPDATE_ELEM, -EFAULT, ELEM(HASH, PTR(&k9), 0, 0) },
	{ "update: array NOEXIST", BPF_MAP_UPDATE_ELEM, -EEXIST, ELEM(ARRAY, PTR(&k0), PTR(&v0), BPF_NOEXIST) },
	{ "update: array beyond", BPF_MAP_UPDATE_ELEM, -E2BIG, ELEM(ARRAY, PTR(&k9), PTR(&v0), 0) },
	{ "update: prog_array with stdin", BPF_MAP_UPDATE_ELEM, -EINVAL, ELEM(PROG_ARR, PTR(&k0), PTR(&v0), 0) },
	{ "update: prog_array beyond", BPF_MAP_UPDATE_ELEM, -E2BIG, ELEM(PROG_ARR, PTR(&k9), PTR(&v0), 0) },
	{ "update: prog_array NOEXIST", BPF_MAP_UPDATE_ELEM, -EINVAL, ELEM(PROG_ARR, PTR(&k0), PTR(&v0), 1) },
	{ "update: ringbuf", BPF_MAP_UPDATE_ELEM, -524, ELEM(RING, 0, PTR(&v0), 0) },
	{ "delete: missing", BPF_MAP_DELETE_ELEM, -ENOENT, { { .map_type = HASH } } },
	{ "delete: array", BPF_MAP_DELETE_ELEM, -EINVAL, ELEM(ARRAY, PTR(&k0), 0, 0) },
	{ "delete: frozen", BPF_MAP_DELETE_ELEM, -EPERM, ELEM(FROZEN, PTR(&k0), 0, 0) },
	{ "delete: prog_array empty", BPF_MAP_DELETE_ELEM, -ENOENT, ELEM(PROG_ARR, PTR(&k0), 0, 0) },
	{ "delete: value given", BPF_MAP_DELETE_ELEM, -EINVAL, ELEM(HASH, PTR(&k9), PTR(&v0), 0) },
	{ "next: empty", BPF_MAP_GET_NEXT_KEY, -ENOENT, ELEM(HASH, 0, PTR(out), 0) },
	{ "next: array first", BPF_MAP_GET_NEXT_KEY, 0, ELEM(ARRAY, 0, PTR(out), 0) },
	{ "next: bad out", BPF_MAP_GET_NEXT_KEY, -EFAULT, ELEM(ARRAY, 0, BAD, 0) },
	{ "next: bad key", BPF_MAP_GET_NEXT_KEY, -EFAULT, ELEM(ARRAY, BAD, PTR(out), 0) },
	{ "next: ringbuf", BPF_MAP_GET_NEXT_KEY, -524, ELEM(RING, 0, PTR(out), 0) },
	{ "lookup_and_delete: missing", BPF_MAP_LOOKUP_AND_DELETE_ELEM, -ENOENT, ELEM(HASH, PTR(&k9), PTR(out), 0) },
	{ "lookup_and_delete: array", BPF_MAP_LOOKUP_AND_DELETE_ELEM, -524, ELEM(ARRAY, PTR(&k0), PTR(out), 0) },
	{ "lookup_and_delete: frozen", BPF_MAP_LOOKUP_AND_DELETE_ELEM, -EPERM, ELEM(FROZEN, PTR(&k0), PTR(out), 0) },
	{ "freeze: read-only fd", BPF_MAP_FREEZE, -EPERM, { { .map_type = RO } } },
	{ "freeze: again", BPF_MAP_FREEZE, -EPERM, { { .map_type = FROZEN } } },
	{ "lookup_batch: none wanted", BPF_MAP_LOOKUP_BATCH, 0, { .batch = { .map_fd = HASH } } },
	{ "lookup_batch: empty hash", BPF_MAP_LOOKUP_BATCH, -ENOENT,
	  { .batch = { .map_fd = HASH, .count = 2, .out_batch = PTR(out), .keys = PTR(out), .values = PTR(out) } } },
	{ "lookup_batch: bad out_batch", BPF_MAP_LOOKUP_BATCH, -EFAULT,
	  { .batch = { .map_fd = HASH, .count = 2, .out_batch = BAD, .keys = PTR(out), .values = PTR(out) } } },
	{ "lookup_batch: bad in_batch", BPF_MAP_LOOKUP_BATCH, -EFAULT,
	  { .batch = { .map_fd = HASH, .count = 2, .in_batch = BAD, .out_batch = PTR(out), .keys = PTR(out) } } },
	{ "lookup_batch: elem_flags", BPF_MAP_LOOKUP_BATCH, -EINVAL, { .batch = { .map_fd = HASH, .count = 1, .elem_flags = 1 } } },
	{ "lookup_batch: flags", BPF_MAP_LOOKUP_BATCH, -EINVAL, { .batch = { .map_fd = HASH, .count = 1, .flags = 1 } } },
	{ "lookup_batch: array", BPF_MAP_LOOKUP_BATCH, 0,
	  { .batch = { .map_fd = ARRAY, .count = 2, .out_batch = PTR(out), .keys = PTR(out + 8), .values = PTR(out + 16) } } },
	{ "lookup_batch: prog_array", BPF_MAP_LOOKUP_BATCH, -524, { .batch = { .map_fd = PROG_ARR, .count = 1 } } },
	{ "delete_batch: array", BPF_MAP_DELETE_BATCH, -524, { .batch = { .map_fd = ARRAY, .count = 1, .keys = PTR(&k0) } } },
	{ "delete_batch: missing", BPF_MAP_DELETE_BATCH, -ENOENT, { .batch = { .map_fd = HASH, .count = 1, .keys = PTR(&k9) } } },
	{ "update_batch: bad keys", BPF_MAP_UPDATE_BATCH, -EFAULT, { .batch = { .map_fd = HASH, .count = 1, .keys = BAD } } },
	{ "update_batch: frozen", BPF_MAP_UPDATE_BATCH, -EPERM, { .batch = { .map_fd = FROZEN, .count = 1, .keys = PTR(&k0) } } },

	{ "prog_load: nothing", BPF_PROG_LOAD, -E2BIG, { 0 } },
	{ "prog_load: unknown flag", BPF_PROG_LOAD, -EINVAL, { .prog_type = 1, .prog_flags = 1u << 30 } },
#define LOAD(t, n, i, l, ...) { .prog_type = t, .insn_cnt = n, .insns = i, .license = l, __VA_ARGS__ }
	{ "prog_load: type 0", BPF_PROG_LOAD, -EINVAL, LOAD(0, 2, PTR(ret0), LIC) },
	{ "prog_load: type 99", BPF_PROG_LOAD, -EINVAL, LOAD(99, 2, PTR(ret0), LIC) },
	{ "prog_load: bad insns", BPF_PROG_LOAD, -EFAULT, LOAD(1, 2, BAD, LIC) },
	{ "prog_load: too many insns", BPF_PROG_LOAD, -E2BIG, LOAD(1, 1000001, PTR(ret0), LIC) },
	{ "prog_load: NULL license", BPF_PROG_LOAD, -EFAULT, LOAD(1, 2, PTR(ret0), 0) },
	{ "prog_load: bad name", BPF_PROG_LOAD, -EINVAL, LOAD(1, 2, PTR(ret0), LIC, .prog_name = "a b") },
	{ "prog_load: log level without buffer", BPF_PROG_LOAD, FD, LOAD(1, 2, PTR(ret0), LIC, .log_level = 1) },
	{ "prog_load: log size without buffer", BPF_PROG_LOAD, -EINVAL, LOAD(1, 2, PTR(ret0), LIC, .log_level = 1, .log_size = 64) },
	{ "prog_load: log buffer without level", BPF_PROG_LOAD, -EINVAL,
	  LOAD(1, 2, PTR(ret0), LIC, .log_buf = PTR(out), .log_size = 256) },
	{ "prog_load: log level 16", BPF_PROG_LOAD, -EINVAL, LOAD(1, 2, PTR(ret0), LIC, .log_level = 16) },
	{ "prog_load: bad log buffer", BPF_PROG_LOAD, -EFAULT, LOAD(1, 2, PTR(ret0), LIC, .log_level = 1, .log_buf = BAD, .log_size = 256) },
	{ "prog_load: attach type of syscall", BPF_PROG_LOAD, -EINVAL, LOAD(31, 2, PTR(ret0), LIC, .expected_attach_type = 1) },
	{ "prog_load: attach type of cgroup_sock", BPF_PROG_LOAD, -EINVAL, LOAD(9, 2, PTR(ret0), LIC, .expected_attach_type = 37) },
	{ "prog_load: attach_prog_fd closed", BPF_PROG_LOAD, -EINVAL, LOAD(1, 2, PTR(ret0), LIC, .attach_prog_fd = CLOSED) },
	{ "prog_load: attach to loaded BTF", BPF_PROG_LOAD, -524, LOAD(26, 2, PTR(ret0), LIC, .attach_btf_obj_fd = BTF, .attach_btf_id = 1) },
	{ "prog_load: attach_btf_id on a filter", BPF_PROG_LOAD, -EINVAL, LOAD(1, 2, PTR(ret0), LIC, .attach_btf_id = 1) },
	{ "prog_load: ifindex of no device", BPF_PROG_LOAD, -EINVAL, LOAD(6, 2, PTR(ret0), LIC, .prog_ifindex = 99999) },
	{ "prog_load: func_info, BTF closed", BPF_PROG_LOAD, -EBADF,
	  LOAD(1, 2, PTR(ret0), LIC, .prog_btf_fd = CLOSED, .func_info_cnt = 1, .func_info_rec_size = 8, .func_info = PTR(out)) },
	{ "prog_load: func_info record too small", BPF_PROG_LOAD, -EINVAL,
	  LOAD(1, 2, PTR(ret0), LIC, .prog_btf_fd = BTF, .func_info_cnt = 1, .func_info_rec_size = 4, .func_info = PTR(out)) },
	{ "prog_load: func_info unreadable", BPF_PROG_LOAD, -EFAULT,
	  LOAD(1, 2, PTR(ret0), LIC, .prog_btf_fd = BTF, .func_info_cnt = 1, .func_info_rec_size = 8, .func_info = BAD) },
	{ "prog_load: token flag without token", BPF_PROG_LOAD, -EBADF, LOAD(1, 2, PTR(ret0), LIC, .prog_flags = BPF_F_TOKEN_FD, .prog_token_fd = CLOSED) },

	{ "obj_pin: closed fd", BPF_OBJ_PIN, -EINVAL, { .pathname = PTR("/sys/fs/bpf/x"), .bpf_fd = CLOSED } },
	{ "obj_pin: a file", BPF_OBJ_PIN, -EINVAL, { .pathname = PTR("/sys/fs/bpf/x"), .bpf_fd = FILE_FD } },
	{ "obj_pin: BTF", BPF_OBJ_PIN, -EINVAL, { .pathname = PTR("/sys/fs/bpf/x"), .bpf_fd = BTF } },
	{ "obj_pin: elsewhere", BPF_OBJ_PIN, -EPERM, { .pathname = PTR("/tmp/skep-no-bpffs"), .bpf_fd = HASH } },
	{ "obj_pin: into no folder", BPF_OBJ_PIN, -ENOENT, { .pathname = PTR("/nonexistent/x"), .bpf_fd = HASH } },
	{ "obj_pin: bad path", BPF_OBJ_PIN, -EFAULT, { .pathname = BAD, .bpf_fd = HASH } },
	{ "obj_pin: empty path", BPF_OBJ_PIN, -ENOENT, { .pathname = PTR(""), .bpf_fd = HASH } },
	{ "obj_pin: flags", BPF_OBJ_PIN, -EINVAL, { .pathname = PTR("/sys/fs/bpf/x"), .bpf_fd = HASH, .file_flags = 1 } },
	{ "obj_get: elsewhere", BPF_OBJ_GET, -EACCES, { .pathname = PTR("/dev/null") } },
	{ "obj_get: missing", BPF_OBJ_GET, -ENOENT, { .pathname = PTR("/nonexistent/x") } },
	{ "obj_get: fd given", BPF_OBJ_GET, -EINVAL, { .pathname = PTR("/dev/null"), .bpf_fd = HASH } },
	{ "obj_get: bad path", BPF_OBJ_GET, -EFAULT, { .pathname = BAD } },
	{ "obj_get: flags", BPF_OBJ_GET, -EINVAL, { .pathname = PTR("/dev/null"), .file_flags = 1 } },

	{ "map_get_next_id: beyond", BPF_MAP_GET_NEXT_ID, -ENOENT, { .start_id = 0x7ffffffe } },
	{ "map_get_next_id: INT_MAX", BPF_MAP_GET_NEXT_ID, -EINVAL, { .start_id = 0x7fffffff } },
	{ "prog_get_next_id: beyond", BPF_PROG_GET_NEXT_ID, -ENOENT, { .start_id = 0x7ffffffe } },
	{ "btf_get_next_id: beyond", BPF_BTF_GET_NEXT_ID, -ENOENT, { .start_id = 0x7ffffffe } },
	{ "link_get_next_id: beyond", BPF_LINK_GET_NEXT_ID, -ENOENT, { .start_id = 0x7ffffffe } },
	{ "map_get_fd_by_id: 0", BPF_MAP_GET_FD_BY_ID, -ENOENT, { .map_id = 0 } },
	{ "map_get_fd_by_id: none", BPF_MAP_GET_FD_BY_ID, -ENOENT, { .map_id = 0x7ffffff0 } },
	{ "map_get_fd_by_id: flags", BPF_MAP_GET_FD_BY_ID, -EINVAL, { .map_id = 1, .open_flags = 1 } },
	{ "prog_get_fd_by_id: none", BPF_PROG_GET_FD_BY_ID, -ENOENT, { .prog_id = 0x7ffffff0 } },
	{ "btf_get_fd_by_id: none", BPF_BTF_GET_FD_BY_ID, -ENOENT, { .btf_id = 0x7ffffff0 } },
	{ "btf_get_fd_by_id: flags", BPF_BTF_GET_FD_BY_ID, -EINVAL, { .btf_id = 0x7ffffff0, .open_flags = 1 } },
	{ "link_get_fd_by_id: none", BPF_LINK_GET_FD_BY_ID, -ENOENT, { .link_id = 0x7ffffff0 } },
	{ "info: closed fd", BPF_OBJ_GET_INFO_BY_FD, -EBADFD, { .info = { CLOSED, 32, PTR(out) } } },
	{ "info: a file", BPF_OBJ_GET_INFO_BY_FD, -EINVAL, { .info = { FILE_FD, 32, PTR(out) } } },
	{ "info: bad address", BPF_OBJ_GET_INFO_BY_FD, -EFAULT, { .info = { HASH, 88, BAD } } },
	{ "info: longer than a page", BPF_OBJ_GET_INFO_BY_FD, -E2BIG, { .info = { HASH, 5000, PTR(out) } } },
	{ "info: nothing wanted", BPF_OBJ_GET_INFO_BY_FD, 0, { .info = { HASH, 0, PTR(out) } } },
	{ "info: BTF", BPF_OBJ_GET_INFO_BY_FD, 0, { .info = { BTF, 32, PTR(out + 256) } } },

	{ "btf_load: nothing", BPF_BTF_LOAD, -EINVAL, { .btf_size = 0 } },
	{ "btf_load: too big", BPF_BTF_LOAD, -E2BIG, { .btf = PTR(out), .btf_size = 17 << 20 } },
	{ "btf_load: unreadable", BPF_BTF_LOAD, -EFAULT, { .btf = BAD, .btf_size = 64 } },
	{ "btf_load: no magic", BPF_BTF_LOAD, -EINVAL, { .btf = PTR(out), .btf_size = 64 } },
	{ "btf_load: log level without buffer", BPF_BTF_LOAD, -EINVAL, { .btf = PTR(out), .btf_size = 64, .btf_log_level = 1, .btf_log_size = 9 } },
	{ "btf_load: flags", BPF_BTF_LOAD, -EINVAL, { .btf = PTR(out), .btf_size = 64, .btf_flags = 1 } },

	{ "link_create: closed prog", BPF_LINK_CREATE, -EBADF, { .link_create = { .prog_fd = CLOSED } } },
	{ "link_create: prog is a map", BPF_LINK_CREATE, -EINVAL, { .link_create = { .prog_fd = HASH } } },
	{ "link_create: struct_ops, closed map", BPF_LINK_CREATE, -EBADF, { .link_create = { .map_fd = CLOSED, .attach_type = 44 } } },
	{ "link_create: struct_ops, a hash", BPF_LINK_CREATE, -EINVAL, { .link_create = { .map_fd = HASH, .attach_type = 44 } } },
	{ "link_update: closed", BPF_LINK_UPDATE, -EBADF, { .link_update = { .link_fd = CLOSED } } },
	{ "link_update: a map", BPF_LINK_UPDATE, -EINVAL, { .link_update = { .link_fd = HASH } } },
	{ "link_update: flags", BPF_LINK_UPDATE, -EINVAL, { .link_update = { .link_fd = CLOSED, .flags = 1 } } },
	{ "link_detach: closed", BPF_LINK_DETACH, -EBADF, { .link_detach = { CLOSED } } },
	{ "link_detach: a map", BPF_LINK_DETACH, -EINVAL, { .link_detach = { HASH } } },
	{ "iter_create: closed", BPF_ITER_CREATE, -EBADF, { .iter_create = { CLOSED } } },
	{ "iter_create: flags", BPF_ITER_CREATE, -EINVAL, { .iter_create = { CLOSED, 1 } } },
	{ "iter_create: a map", BPF_ITER_CREATE, -EINVAL, { .iter_create = { HASH } } },
	{ "prog_bind_map: closed prog", BPF_PROG_BIND_MAP, -EBADF, { .prog_bind_map = { CLOSED, HASH } } },
	{ "prog_bind_map: prog is a map", BPF_PROG_BIND_MAP, -EINVAL, { .prog_bind_map = { HASH, HASH } } },
	{ "prog_bind_map: flags", BPF_PROG_BIND_MAP, -EINVAL, { .prog_bind_map = { CLOSED, HASH, 1 } } },
	{ "raw_tracepoint_open: closed", BPF_RAW_TRACEPOINT_OPEN, -EBADF, { .raw_tracepoint = { PTR("x"), CLOSED } } },
	{ "test_run: closed", BPF_PROG_TEST_RUN, -EBADF, { .test = { .prog_fd = CLOSED } } },
	{ "test_run: a map", BPF_PROG_TEST_RUN, -EINVAL, { .test = { .prog_fd = HASH } } },
	{ "test_run: ctx without size", BPF_PROG_TEST_RUN, -EINVAL, { .test = { .prog_fd = CLOSED, .ctx_in = PTR(out) } } },
	{ "test_run: size without ctx", BPF_PROG_TEST_RUN, -EINVAL, { .test = { .prog_fd = CLOSED, .ctx_size_out = 8 } } },
	{ "prog_attach: closed", BPF_PROG_ATTACH, -EBADF, { .attach_bpf_fd = CLOSED, .attach_type = BPF_CGROUP_INET_INGRESS } },
	{ "prog_attach: type 99", BPF_PROG_ATTACH, -EINVAL, { .attach_bpf_fd = CLOSED, .attach_type = 99 } },
	{ "prog_query: cgroup closed", BPF_PROG_QUERY, -EBADF, { .query = { .target_fd = CLOSED } } },
	{ "prog_query: type 99", BPF_PROG_QUERY, -EINVAL, { .query = { .target_fd = CLOSED, .attach_type = 99 } } },
	{ "task_fd_query: no task", BPF_TASK_FD_QUERY, -ENOENT, { .task_fd_query = { .pid = 0x3fffffff } } },
	{ "task_fd_query: flags", BPF_TASK_FD_QUERY, -EINVAL, { .task_fd_query = { .pid = 1, .flags = 1 } } },
	{ "enable_stats: type 9", BPF_ENABLE_STATS, -EINVAL, { .enable_stats = { 9 } } },
	{ "enable_stats", BPF_ENABLE_STATS, FD, { .enable_stats = { BPF_STATS_RUN_TIME } } },
	{ "token_create: closed", BPF_TOKEN_CREATE, -EBADF, { .token_create = { .bpffs_fd = CLOSED } } },
	{ "token_create: flags", BPF_TOKEN_CREATE, -EINVAL, { .token_create = { .flags = 1 } } },
	{ "token_create: a file", BPF_TOKEN_CREATE, -EINVAL, { .token_create = { .bpffs_fd = FILE_FD } } },
	{ "stream_read: closed", BPF_PROG_STREAM_READ_BY_FD, -EBADF, { .prog_stream_read = { .prog_fd = CLOSED } } },
	{ "stream_read: a map", BPF_PROG_STREAM_READ_BY_FD, -EINVAL, { .prog_stream_read = { .prog_fd = HASH } } },
};

static long run_row(const struct side *s, const struct row *r)
{
	union skep_attr a = r->a;
	u32 w[sizeof(a) / 4];
	long ret;

	memcpy(w, &a, sizeof(w));
	for (size_t i = 0; i < ARRAY_SIZE(w); i++)
		if (w[i] >= HASH && w[i] < NR_FDS)
			w[i] = (u32)s->fd[w[i] - HASH];
	memcpy(&a, w, sizeof(w));
	if (r->cmd == BPF_OBJ_GET_INFO_BY_FD || r->cmd == BPF_BTF_LOAD)
		memset(out, 0, sizeof(out));
	ret = call(s, r->cmd, &a, r->size ? r->size : sizeof(a));
	if (r->want == FD && ret > 0) {
		close((int)ret);
		return FD;
	}
	return ret;
}

TEST(bad_input)
{
	struct side us = { .kernel = false }, them = { .kernel = true };
	bool oracle = t_kernel_bpf();

	NEED(open_side(&us));
	NEED(!oracle || open_side(&them));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].cmd == BPF_MAP_DELETE_ELEM && !rows[i].a.key)
			rows[i].a.key = PTR(&k9);
		t_row("%s", rows[i].name);
		EQ(run_row(&us, &rows[i]), rows[i].want);
		if (oracle) {
			long theirs = run_row(&them, &rows[i]);

			if (theirs != rows[i].want)
				t_fail(__FILE__, __LINE__, "the kernel says %ld, the row %d", theirs, rows[i].want);
		}
	}
	close_side(&us);
	if (oracle)
		close_side(&them);
}

static bool id_cmd(u32 cmd)
{
	return strstr(spec_cmd(cmd)->name, "next_id");
}

/* Each word of a zeroed attr set to VALUE, for each command: the same answers. */
static void sweep(u32 cmd, u32 value)
{
	struct side us = { .kernel = false }, them = { .kernel = true };
	union skep_attr a;

	for (u32 w = 0; w < sizeof(a) / 4; w++) {
		long x, y;

		memset(&a, 0, sizeof(a));
		memcpy((char *)&a + w * 4, &value, 4);
		y = call(&them, (int)cmd, &a, sizeof(a));
		memset(&a, 0, sizeof(a));
		memcpy((char *)&a + w * 4, &value, 4);
		x = call(&us, (int)cmd, &a, sizeof(a));
		if (x >= 0 && y >= 0 && cmd == BPF_ENABLE_STATS) {
			close((int)x);
			close((int)y);
			continue;
		}
		if (id_cmd(cmd) && (!x || x == -ENOENT) && (!y || y == -ENOENT))
			continue;		/* what exists differs */
		if (x != y)
			t_fail(__FILE__, __LINE__, "word %u = %#x: skep %ld, kernel %ld", w, value, x, y);
	}
}

TEST(one_word_sweep)
{
	int null, saved;

	if (!t_kernel_bpf()) {
		t_skip("needs root and the kernel's bpf(2)");
		return;
	}
	/* fd 0 must be no object, and not a terminal either */
	saved = dup(0);
	null = open("/dev/null", O_RDWR);
	dup2(null, 0);
	for (u32 cmd = 0; cmd < spec_nr_cmds; cmd++) {
		t_row("%s: one word of attr set", spec_cmd(cmd)->name);
		sweep(cmd, 0xffffffff);
		if (!strstr(spec_cmd(cmd)->name, "by_id") && cmd != BPF_TASK_FD_QUERY)
			sweep(cmd, 1);		/* id 1 and pid 1 are somebody's */
		sweep(cmd, 0x40000000);
	}
	dup2(saved, 0);
	close(saved);
	close(null);
}

TEST(attr_size)
{
	struct side us = { .kernel = false }, them = { .kernel = true };
	long page = sysconf(_SC_PAGESIZE);
	u8 *buf = calloc(1, (size_t)page * 2);
	union skep_attr a = { { BPF_MAP_TYPE_ARRAY, 4, 4, 1 } };
	struct { u32 size, dirty; int want; } sizes[] = {
		{ 0, 0, -EINVAL }, { 12, 0, -EINVAL }, { 16, 0, FD }, { 200, 0, FD }, { 4096, 0, FD },
		{ 4097, 0, -E2BIG }, { 200, 199, -E2BIG }, { 4096, 4095, -E2BIG }, { sizeof(a) + 1, sizeof(a), -E2BIG }, { sizeof(a), sizeof(a) - 1, -EINVAL },
		{ 0xffffffff, 0, -E2BIG },
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(buf, 0, (size_t)page * 2);
		memcpy(buf, &a, sizeof(a));
		if (sizes[i].dirty)
			buf[sizes[i].dirty] = 1;
		t_row("attr of %u bytes%s", sizes[i].size, sizes[i].dirty ? ", last one not zero" : "");
		for (int s = 0; s < 1 + t_kernel_bpf(); s++) {
			long r = call(s ? &them : &us, BPF_MAP_CREATE, (union skep_attr *)buf, sizes[i].size);

			if (r > 0)
				close((int)r);
			EQ(r > 0 ? FD : r, sizes[i].want);
		}
	}
	free(buf);
	t_row("attr that cannot be read");
	EQ(call(&us, BPF_MAP_CREATE, (union skep_attr *)BAD, 72), -EFAULT);
	EQ(call(&us, BPF_MAP_CREATE, (union skep_attr *)BAD, 4096), -EFAULT);
	if (t_kernel_bpf())
		EQ(call(&them, BPF_MAP_CREATE, (union skep_attr *)BAD, 4096), -EFAULT);
}
