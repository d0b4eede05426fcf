/* SPDX-License-Identifier: Apache-2.0 */
/* map.h - maps. A map is a file in shared memory (base/obj.h) and, in each process that uses it, a private
 * struct map. Geometry (sizes, masks, offsets) is copied once from the file, checked against its real size,
 * and never read from shared memory again; indices and links that live in shared memory are masked or bounded
 * at each use. A map update from user space and from a program meet in the same function.
 *
 * Program-side operations are async-signal-safe: no malloc, no locks other than base/domain.h's.
 */
#ifndef SKEP_MAP_H
#define SKEP_MAP_H

#include "base/def.h"
#include "base/domain.h"
#include "base/obj.h"
#include "spec/spec.h"

struct map;
struct map_ops;

/* What MAP_CREATE asks for; copied out of the client's attr by sys. */
struct map_attr {
	u32 type, key_size, value_size, max_entries, flags;
	u32 inner_id;			/* maps of maps: object id of the template, else 0 */
	u32 numa_node;
	u64 extra;			/* map_extra */
	char name[16];
	u32 btf_id, btf_key_type, btf_value_type, btf_vmlinux_value_type;
	u32 ifindex;
};

/* Kind data in the object's trailer (obj_hdr.kind_data). Constant after creation, except `frozen`. */
struct map_meta {
	struct map_attr attr;
	u32 ncpus;			/* of per-CPU maps */
	u32 frozen;			/* atomic, 0 -> 1 by MAP_FREEZE */
	u32 owner_type, owner_jited;	/* prog_array: first program's type (atomic CAS from 0) */
	u64 geometry[16];		/* the type's own: sizes and offsets of its parts */
};

/* Per-process. Owned by the map table (map_table_*); refcounted; immutable after map_attach() but for what the
 * ops keep in `priv`. */
struct map {
	const struct map_ops *ops;
	struct obj *obj;
	struct domain *dom;
	struct map_attr attr;		/* checked copy */
	u32 id;
	u32 value_stride;		/* value_size rounded up to 8 */
	u32 ncpus;
	u8 *data;			/* client area (array values, ring pages) */
	u8 *priv_shm;			/* private area of the file */
	u32 damaged;			/* set by base/fault.h: the file was cut short */
	u32 refs;
	void *priv;			/* the type's process-local state */
	u64 geo[16];			/* checked copy of map_meta.geometry */
};

struct map_ops {
	/* Check attr as the kernel's alloc_check does (-EINVAL, -E2BIG, ...), and say how much room it takes. */
	int (*plan)(const struct map_attr *a, u32 ncpus, u64 *client_size, u64 *private_size, u64 geo[16]);
	int (*init)(struct map *m);			/* fill a fresh file (zeroed) */
	int (*attach)(struct map *m);			/* check geo against the file; process-local state */
	void (*detach)(struct map *m);

	/* From programs (and, through the wrappers below, from user space). KEY and VALUE were proved to be
	 * readable for key_size/value_size. lookup returns the value's address or NULL. cpu: slot of the lease */
	void *(*lookup)(struct map *m, const void *key, u32 cpu);
	long (*update)(struct map *m, const void *key, const void *value, u64 flags, u32 cpu);
	long (*delete)(struct map *m, const void *key);
	long (*push)(struct map *m, const void *value, u64 flags);
	long (*pop)(struct map *m, void *value);
	long (*peek)(struct map *m, void *value);

	/* From user space only. VALUE is value_stride * ncpus bytes for per-CPU types. */
	int (*next_key)(struct map *m, const void *key, void *next);	/* key NULL or absent: first */
	int (*copy_out)(struct map *m, const void *key, void *value, u64 flags);
	int (*copy_in)(struct map *m, const void *key, const void *value, u64 flags);
	int (*take)(struct map *m, const void *key, void *value, u64 flags);	/* lookup and delete */
	/* Address of value + OFF for BPF_PSEUDO_MAP_VALUE. */
	int (*direct)(struct map *m, u32 off, void **addr);
	/* for_each_map_elem: calls cb(ctx, key, value) until it returns nonzero; returns the number of calls. */
	long (*for_each)(struct map *m, long (*cb)(void *ctx, void *key, void *value), void *ctx, u32 cpu);
	/* Values that are fds: attach by object id (0: clear). */
	int (*set_obj)(struct map *m, u32 index, u32 id, u64 gen);
	/* The last user reference and pin went (prog_array: empty it). */
	void (*user_gone)(struct map *m);
};

/* Table of implementations by BPF_MAP_TYPE_*, built from maps.def. NULL: not implemented. */
const struct map_ops *map_ops_of(u32 type);

/* Create (a new object; *fd is the client's) and open. All errors as the kernel's. */
int map_create(struct obj_dir *d, const struct map_attr *a, struct map **out, int *fd);
int map_open_fd(struct obj_dir *d, int fd, struct map **out);		/* shared, cached by (dev, ino) */
int map_open_id(struct obj_dir *d, u32 id, u64 gen, struct map **out);	/* for programs: RUN reference */
void map_get(struct map *m);
void map_put(struct map *m);

/* Size of the value buffer user space passes: value_size, or value_stride * ncpus. */
u32 map_user_value_size(const struct map *m);

/* Ring buffers, from programs. */
void *map_ring_reserve(struct map *m, u64 size, u64 flags);
void map_ring_submit(void *rec, u64 flags, bool discard);
long map_ring_output(struct map *m, const void *data, u64 size, u64 flags);
u64 map_ring_query(struct map *m, u64 flags);
/* A consumer waits on the FIFO $DIR/wake/<id>, opened by this call (O_RDWR|O_NONBLOCK|O_CLOEXEC); producers write
 * one byte when the kernel would wake its epoll waiters. */
int map_ring_wake_fd(struct map *m);
bool map_ring_readable(struct map *m);

/* Maps of maps and prog_array: what a slot holds, as a process-local object resolved through a per-process
 * table; NULL if empty or gone. */
struct map *map_inner(struct map *outer, const void *key);

struct prog;
/* Set by prog/: turns (id, gen) into a loaded program of this process, NULL if gone. Async-signal-safe only for
 * programs already resolved; others resolve at update (acknowledged by live mappers) or by the slow path. */
extern struct prog *(*map_resolve_prog)(struct obj_dir *d, u32 id, u64 gen);
struct prog *map_prog_slot(struct map *m, u32 index);

#endif
