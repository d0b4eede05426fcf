/* SPDX-License-Identifier: Apache-2.0 */
/* map_cmd.c - MAP_CREATE, the element commands, FREEZE. Checks and their order are the kernel's (kernel/bpf/syscall.c
 * is their statement); what a type does is its ops (map/map.h). The elements themselves are
 * map/user.c's. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spec/fields.h"
#include "sys/attach.h"
#include "sys/cmds.h"
#include "sys/sys.h"

/* Where values are fds, the map's ops take fds of this process. *own is to be given back by fd_put(), -1 if none. */
static int own_fd_value(struct call *k, const struct map *m, void *value, int *own)
{
	u32 fd;

	*own = -1;
	if (!(spec_map(m->attr.type)->ops & SPEC_MAP_FD_VALUE))
		return 0;
	memcpy(&fd, value, sizeof(fd));
	*own = k->c->ops->fd_in(k->c->arg, (int)fd);
	if (*own < 0)
		return *own;
	memcpy(value, own, sizeof(fd));
	return 0;
}

/* The id behind a client's fd. -EBADF, -EINVAL. */
static int fd_to_id(struct call *k, u32 fd, enum obj_kind kind, u32 *id)
{
	struct obj *o;
	int err = call_get_obj(k, fd, kind, &o);

	if (err)
		return err;
	*id = o->id;
	obj_unmap(o);
	return 0;
}

/* ---- MAP_CREATE ---- */

/* Which types nobody without this capability may create, beyond CAP_BPF. */
static u32 caps_of(u32 type)
{
	switch (type) {
	case BPF_MAP_TYPE_SOCKMAP:
	case BPF_MAP_TYPE_SOCKHASH:
	case BPF_MAP_TYPE_DEVMAP:
	case BPF_MAP_TYPE_DEVMAP_HASH:
	case BPF_MAP_TYPE_XSKMAP:
		return VFY_CAP_NET_ADMIN;
	}
	return VFY_CAP_BPF;
}

static bool is_u32(const struct btf *b, u32 id)
{
	const struct btf_type *t = btf_skip_mods(b, &id);
	u32 bits;

	if (!t || BTF_INFO_KIND(t->info) != BTF_KIND_INT || t->size != sizeof(u32))
		return false;
	bits = *(const u32 *)(t + 1);
	return BTF_INT_BITS(bits) == 32 && !BTF_INT_OFFSET(bits);
}

/* A void key is for global data only: one array element, typed by its section. */
static int check_array_btf(const struct btf *b, const struct map_attr *a)
{
	const struct btf_type *v = btf_type(b, a->btf_value_type);

	if (a->btf_key_type)
		return is_u32(b, a->btf_key_type) ? 0 : -EINVAL;
	if (a->type != BPF_MAP_TYPE_ARRAY || a->max_entries != 1)
		return -EINVAL;
	return v && BTF_INFO_KIND(v->info) == BTF_KIND_DATASEC ? 0 : -EINVAL;
}

/* Types that take no BTF (the kernel's map_check_no_btf). */
static const u64 no_btf = 1ull << BPF_MAP_TYPE_PERF_EVENT_ARRAY | 1ull << BPF_MAP_TYPE_CGROUP_ARRAY |
	1ull << BPF_MAP_TYPE_ARRAY_OF_MAPS | 1ull << BPF_MAP_TYPE_HASH_OF_MAPS |
	1ull << BPF_MAP_TYPE_STACK_TRACE | 1ull << BPF_MAP_TYPE_DEVMAP | 1ull << BPF_MAP_TYPE_DEVMAP_HASH |
	1ull << BPF_MAP_TYPE_CPUMAP | 1ull << BPF_MAP_TYPE_XSKMAP;

/* Special fields of values: only in maps that know how to treat them. Malformed ones are no fields: the verifier refuses
 * their use. */
static int check_fields(const struct btf *b, const struct map_attr *a)
{
	u32 allowed = spec_map(a->type)->fields;
	struct spec_record r;

	if (spec_fields(b, a->btf_value_type, SPEC_FIELDS_OF_MAPS, a->value_size, &r) || !r.mask)
		return 0;
	if (a->flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG))
		return -EACCES;
	if (allowed & SPEC_FIELD_KPTR)
		allowed |= SPEC_FIELD_KPTRS;
	return r.mask & ~allowed ? -EOPNOTSUPP : 0;
}

static int check_btf(const struct btf *b, const struct map_attr *a)
{
	int err;

	if (a->btf_key_type && btf_size(b, a->btf_key_type) != (s64)a->key_size)
		return -EINVAL;
	if (!a->btf_key_type && !(a->type == BPF_MAP_TYPE_ARRAY))
		return -EINVAL;
	if (btf_size(b, a->btf_value_type) != (s64)a->value_size)
		return -EINVAL;
	err = check_fields(b, a);
	if (err)
		return err;
	if (1ull << a->type & no_btf)
		return -SYS_ENOTSUPP;
	if (a->type == BPF_MAP_TYPE_ARRAY || a->type == BPF_MAP_TYPE_PERCPU_ARRAY)
		return check_array_btf(b, a);
	return 0;
}

static int take_btf(struct call *k, struct map_attr *a)
{
	struct sys_btf *b;
	int err;

	if (!k->a.btf_key_type_id && !k->a.btf_value_type_id)
		return 0;
	err = sys_btf_open_fd(k, k->a.btf_fd, &b);
	if (err)
		return err;
	a->btf_id = b->id;
	a->btf_key_type = k->a.btf_key_type_id;
	a->btf_value_type = k->a.btf_value_type_id;
	err = a->btf_value_type ? check_btf(b->btf, a) : 0;
	sys_btf_put(b);
	return err;
}

/* Checks before any type has its say. */
static int check_create(struct call *k)
{
	union skep_attr *a = &k->a;

	if (a->btf_vmlinux_value_type_id) {
		if (a->map_type != BPF_MAP_TYPE_STRUCT_OPS || a->btf_key_type_id || a->btf_value_type_id)
			return -EINVAL;
	} else if (a->btf_key_type_id && !a->btf_value_type_id) {
		return -EINVAL;
	}
	if (a->map_type != BPF_MAP_TYPE_BLOOM_FILTER && a->map_type != BPF_MAP_TYPE_ARENA && a->map_extra)
		return -EINVAL;
	if (sys_open_flags(a->map_flags) < 0)
		return -EINVAL;
	if ((a->map_flags & BPF_F_NUMA_NODE) && a->numa_node)
		return -EINVAL;			/* one node */
	if (!spec_map(a->map_type))
		return -EINVAL;
	return 0;
}

static int plan_once(struct call *k, const struct map_attr *a)
{
	const struct map_ops *ops = map_ops_of(a->type);
	u64 csize, psize, geo[16];

	if (!ops || a->ifindex)
		return -EINVAL;
	return ops->plan(a, domain_ncpus(k->c->dir->dom), &csize, &psize, geo);
}

/* The template of a map of maps: only its id is kept. */
static int take_inner(struct call *k, struct map_attr *a)
{
	if (!(spec_map(a->type)->ops & SPEC_MAP_OF_MAPS))
		return 0;
	return fd_to_id(k, k->a.inner_map_fd, OBJ_MAP, &a->inner_id);
}

/* The client's fd with the access mode it asked for. */
static int reopen(struct call *k, const struct map *m, int fd, int oflags)
{
	int ro;

	if (oflags == O_RDWR)
		return fd;
	ro = obj_open_id(k->c->dir, OBJ_MAP, m->id, oflags);
	close(fd);
	return ro;
}

long cmd_map_create(struct call *k)
{
	union skep_attr *a = &k->a;
	bool token = a->map_flags & BPF_F_TOKEN_FD;
	struct map_attr ma = { 0 };
	struct map *m;
	int err, fd;

	a->map_flags &= ~BPF_F_TOKEN_FD;
	err = check_create(k);
	if (err)
		return err;
	ma = (struct map_attr){
		.type = a->map_type, .key_size = a->key_size, .value_size = a->value_size,
		.max_entries = a->max_entries, .flags = a->map_flags, .extra = a->map_extra,
		.numa_node = a->numa_node, .ifindex = a->map_ifindex,
	};
	err = plan_once(k, &ma);
	if (err)
		return err;
	if (token)
		return -EBADF;			/* there are no tokens: no fd can be one */
	if (!call_capable(k, VFY_CAP_BPF) || !call_capable(k, caps_of(ma.type)))
		return -EPERM;
	err = take_inner(k, &ma);
	if (err)
		return err;
	err = sys_copy_name(ma.name, a->map_name);
	if (err)
		return err;
	err = take_btf(k, &ma);
	if (err)
		return err;
	if (a->excl_prog_hash || a->excl_prog_hash_size)
		return -EINVAL;			/* exclusive maps: not known here */
	err = map_create(k->c->dir, &ma, &m, &fd);
	if (err)
		return err;
	fd = reopen(k, m, fd, sys_open_flags(a->map_flags));
	map_put(m);
	return call_give_fd(k, fd);
}

/* ---- elements ---- */

/* The key as the client passed it: needed when the map has one, forbidden when it has none. */
static int copy_key(struct call *k, const struct map *m, u64 ukey, void **key)
{
	*key = NULL;
	if (!m->attr.key_size)
		return ukey ? -EINVAL : 0;
	return call_dup(k, ukey, m->attr.key_size, key);
}

/* What the kernel looks at before it copies a key: no value here has a bpf_spin_lock. */
static int check_lock_flag(u64 flags)
{
	return flags & BPF_F_LOCK ? -EINVAL : 0;
}

long cmd_map_lookup_elem(struct call *k)
{
	union skep_attr *a = &k->a;
	void *key, *value = NULL;
	struct map *m;
	u32 perms, vsize;
	int err;

	if (a->flags & ~(u64)BPF_F_LOCK)
		return -EINVAL;
	err = call_get_map(k, a->map_fd, &m, &perms);
	if (err)
		return err;
	err = perms & MAP_CAN_READ ? check_lock_flag(a->flags) : -EPERM;
	if (err)
		goto put_map;
	err = copy_key(k, m, a->key, &key);
	if (err)
		goto put_map;
	vsize = map_user_value_size(m);
	value = calloc(1, vsize + 8);
	if (!value) {
		err = -ENOMEM;
		goto free_key;
	}
	if (m->attr.type == BPF_MAP_TYPE_BLOOM_FILTER)
		err = call_in(k, value, a->value, vsize);
	if (!err)
		err = map_lookup_elem(m, key, value, a->flags);
	if (!err)
		err = call_out(k, a->value, value, vsize);
	free(value);
free_key:
	free(key);
put_map:
	map_put(m);
	return err;
}

long cmd_map_update_elem(struct call *k)
{
	union skep_attr *a = &k->a;
	void *key, *value;
	struct map *m;
	u32 perms;
	int err, own = -1;

	err = call_get_map(k, a->map_fd, &m, &perms);
	if (err)
		return err;
	err = perms & MAP_CAN_WRITE ? check_lock_flag(a->flags) : -EPERM;
	if (err)
		goto put_map;
	err = copy_key(k, m, a->key, &key);
	if (err)
		goto put_map;
	err = call_dup(k, a->value, map_user_value_size(m), &value);
	if (!err)
		err = own_fd_value(k, m, value, &own);
	if (!err)
		err = map_update_elem(m, key, value, a->flags);
	if (own >= 0) {
		k->c->ops->fd_put(k->c->arg, own);
		if (!err)		/* runs in other processes find it only if their agents opened it */
			attach_changed(k->c->dir, 0);
	}
	free(value);
	free(key);
put_map:
	map_put(m);
	return err;
}

long cmd_map_delete_elem(struct call *k)
{
	union skep_attr *a = &k->a;
	struct map *m;
	void *key;
	u32 perms;
	int err;

	err = call_get_map(k, a->map_fd, &m, &perms);
	if (err)
		return err;
	err = perms & MAP_CAN_WRITE ? copy_key(k, m, a->key, &key) : -EPERM;
	if (!err) {
		err = map_delete_elem(m, key);
		free(key);
	}
	map_put(m);
	return err;
}

long cmd_map_get_next_key(struct call *k)
{
	union skep_attr *a = &k->a;
	void *key = NULL, *next = NULL;
	struct map *m;
	u32 perms;
	int err;

	err = call_get_map(k, a->map_fd, &m, &perms);
	if (err)
		return err;
	err = perms & MAP_CAN_READ ? 0 : -EPERM;
	if (!err && a->key)
		err = copy_key(k, m, a->key, &key);
	if (err)
		goto put_map;
	next = calloc(1, m->attr.key_size + 8);
	err = next ? map_next_key(m, key, next) : -ENOMEM;
	if (!err)
		err = call_out(k, a->next_key, next, m->attr.key_size);
	free(next);
	free(key);
put_map:
	map_put(m);
	return err;
}

long cmd_map_lookup_and_delete_elem(struct call *k)
{
	union skep_attr *a = &k->a;
	void *key, *value;
	struct map *m;
	u32 perms;
	int err;

	if (a->flags & ~(u64)BPF_F_LOCK)
		return -EINVAL;
	err = call_get_map(k, a->map_fd, &m, &perms);
	if (err)
		return err;
	err = perms == (MAP_CAN_READ | MAP_CAN_WRITE) ? check_lock_flag(a->flags) : -EPERM;
	if (err)
		goto put_map;
	err = copy_key(k, m, a->key, &key);
	if (err)
		goto put_map;
	value = calloc(1, map_user_value_size(m) + 8);
	err = value ? map_lookup_and_delete_elem(m, key, value, a->flags) : -ENOMEM;
	if (!err)
		err = call_out(k, a->value, value, map_user_value_size(m));
	free(value);
	free(key);
put_map:
	map_put(m);
	return err;
}

long cmd_map_freeze(struct call *k)
{
	struct map *m;
	u32 perms;
	int err = call_get_map(k, k->a.map_fd, &m, &perms);

	if (err)
		return err;
	err = perms & MAP_CAN_WRITE ? map_freeze(m) : -EPERM;
	map_put(m);
	return err;
}

/* ---- batches ---- */

static void *ptr(u64 p)
{
	return (void *)(uintptr_t)p;
}

/* The arrays are reached by map/user.c with fault_copy: so far for clients in this process only. */
static long batch(struct call *k, u32 need)
{
	union skep_attr *a = &k->a;
	struct map_batch b = {
		.in_batch = ptr(a->batch.in_batch), .out_batch = ptr(a->batch.out_batch),
		.keys = ptr(a->batch.keys), .values = ptr(a->batch.values), .count = a->batch.count,
		.elem_flags = a->batch.elem_flags, .flags = a->batch.flags,
	};
	struct map *m;
	u32 perms;
	int err = call_get_map(k, a->batch.map_fd, &m, &perms);

	if (err)
		return err;
	if ((perms & need) != need) {
		err = -EPERM;
	} else {
		err = map_batch(m, k->row->cmd, &b);
		a->batch.count = b.count;
		if (err != -EFAULT && err != -EINVAL && err != -SYS_ENOTSUPP && CALL_PUT(k, batch.count))
			err = -EFAULT;
	}
	map_put(m);
	return err;
}

long cmd_map_lookup_batch(struct call *k)
{
	return batch(k, MAP_CAN_READ);
}

long cmd_map_lookup_and_delete_batch(struct call *k)
{
	return batch(k, MAP_CAN_READ | MAP_CAN_WRITE);
}

long cmd_map_update_batch(struct call *k)
{
	return batch(k, MAP_CAN_WRITE);
}

long cmd_map_delete_batch(struct call *k)
{
	return batch(k, MAP_CAN_WRITE);
}
