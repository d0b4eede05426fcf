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
	u64 owner;			/* prog_array: what its first program is (atomic CAS from 0) */
	u64 geometry[16];		/* the type's own: sizes and offsets of its parts */
	struct map_attr inner;		/* maps of maps: the template; zero else */
};

/* Per-process. Owned by the table of open maps (map.c); refcounted; immutable after it was attached, but for
 * what the ops keep in `priv` and the fields that say so. */
struct map {
	const struct map_ops *ops;
	/* ops->lookup, or a faster one for this map's key size: what helpers and machine code call */
	void *(*lookup)(struct map *m, const void *key, u32 cpu);
	void *priv;			/* the type's process-local state */
	struct obj *obj;
	struct domain *dom;
	struct map_attr attr;		/* checked copy */
	struct map_attr inner;		/* checked copy of the template, maps of maps */
	u32 id;
	u32 value_stride;		/* value_size rounded up to 8 */
	u32 ncpus;
	u8 *data;			/* client area (array values, ring pages) */
	u8 *priv_shm;			/* private area of the file */
	u64 geo[16];			/* checked copy of map_meta.geometry */
	/* table of open maps */
	u32 refs;			/* atomic */
	struct obj *running;		/* holds RUN for programs; table lock */
	struct map *next;		/* table lock */
	u64 used;			/* tick of the last open; table lock */
};

/* What code generators need to reach a value without a call: the value of INDEX on CPU is at
 * data + cpu * cpu_stride + index * stride, index < max_entries. All are constants of the map. */
struct map_fast {
	bool array;			/* the rest holds only then */
	bool percpu;
	u32 stride, max_entries;
	u64 cpu_stride;
};
void map_fast(const struct map *m, struct map_fast *f);

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

	/* From user space only. VALUE is map_user_value_size() bytes; where values are fds, copy_in takes the fd
	 * (of the calling process) and copy_out gives the id. NULL: what lookup and update do. */
	int (*next_key)(struct map *m, const void *key, void *next);	/* key NULL or absent: first */
	int (*copy_out)(struct map *m, const void *key, void *value, u64 flags);
	int (*copy_in)(struct map *m, const void *key, const void *value, u64 flags);
	int (*take)(struct map *m, const void *key, void *value, u64 flags);	/* lookup and delete */
	/* Address of value + OFF for BPF_PSEUDO_MAP_VALUE. */
	int (*direct)(struct map *m, u32 off, void **addr);
	/* for_each_map_elem: calls cb(ctx, key, value) until it returns nonzero; returns the number of calls. */
	long (*for_each)(struct map *m, long (*cb)(void *ctx, void *key, void *value), void *ctx, u32 cpu);
	/* Elements of bucket *TOKEN for LOOKUP_BATCH (and deletion): fills up to ROOM keys and values, sets *N, moves
	 * *TOKEN on. -ENOSPC: *N says how many it holds; -ENOENT: no such bucket. NULL: batches go by next_key. */
	int (*bucket)(struct map *m, u32 *token, u32 room, bool take, void *keys, void *values, u32 *n);
	/* Where values are fds: store the object that sys or copy_in found behind the fd. */
	int (*set_obj)(struct map *m, u32 index, u32 id, u64 gen);
	/* The last user reference and pin went (prog_array: empty it). */
	void (*user_gone)(struct map *m);
	/* Walk everything in shared memory, nobody else running: -EUCLEAN if it does not add up. *count: elements. */
	int (*check)(struct map *m, u64 *count);
};

/* Table of implementations by BPF_MAP_TYPE_*, built from maps.def. NULL: not implemented. */
const struct map_ops *map_ops_of(u32 type);

/* Create (a new object; *fd is the client's, O_RDWR) and open. All errors as the kernel's.
 * Maps are shared in the process by (dev, ino); one that nobody uses stays cached until its object is dead or room
 * is needed. A file that was cut short or overwritten is -EUCLEAN, here and in every command. Thread safe. */
int map_create(struct obj_dir *d, const struct map_attr *a, struct map **out, int *fd);
int map_open_fd(struct obj_dir *d, int fd, struct map **out);		/* -EBADF, -EINVAL: no map of D */
/* For programs: takes a RUN reference, held until the last map_put(). */
int map_open_id(struct obj_dir *d, u32 id, u64 gen, struct map **out);
void map_get(struct map *m);
void map_put(struct map *m);		/* not from hooks when it may be a program's last */
/* Forget what is cached of D. Called before obj_dir_close(). */
void map_dir_close(struct obj_dir *d);

/* Size of the value buffer user space passes: value_size, or value_stride * ncpus. */
u32 map_user_value_size(const struct map *m);

/* The element commands of bpf(2), after sys/ has copied the key, checked the fd's mode (-EPERM) and map_frozen().
 * KEY and VALUE are private copies. The kernel's errno. */
int map_lookup_elem(struct map *m, const void *key, void *value, u64 flags);
int map_update_elem(struct map *m, const void *key, const void *value, u64 flags);
int map_delete_elem(struct map *m, const void *key);
int map_next_key(struct map *m, const void *key, void *next);
int map_lookup_and_delete_elem(struct map *m, const void *key, void *value, u64 flags);
bool map_frozen(const struct map *m);
int map_freeze(struct map *m);
/* The four batch commands. Pointers are the client's, touched by fault_copy only. *count in and out: the caller
 * stores it in the client's attr unless the result is -EFAULT or -EINVAL. */
struct map_batch {
	const void *in_batch;
	void *out_batch, *keys, *values;
	u32 count;
	u64 elem_flags, flags;
};
int map_batch(struct map *m, u32 cmd, struct map_batch *b);	/* cmd: BPF_MAP_*_BATCH */

/* Does everything in the shared memory add up? Only while nobody else uses the map. Not for arrays: nothing to
 * check (-ENOTSUPP). */
int map_check(struct map *m, u64 *count);

/* Ring buffers, from programs. */
void *map_ring_reserve(struct map *m, u64 size, u64 flags);
void map_ring_submit(void *rec, u64 flags, bool discard);
long map_ring_output(struct map *m, const void *data, u64 size, u64 flags);
u64 map_ring_query(struct map *m, u64 flags);
/* A consumer waits on the FIFO $DIR/ref/m<id>/wake, opened by this call (O_RDWR|O_NONBLOCK|O_CLOEXEC); producers write
 * one byte when the kernel would wake its epoll waiters. */
int map_ring_wake_fd(struct map *m);
/* One byte into a wake FIFO, an edge for who polls it. Opens it. Async-signal-safe, keeps errno. */
void map_wake_fifo(const char *path);
/* How producers do that: map_wake_fifo(), but in the agent, whose hooked threads may open nothing. PATH stays while the map
 * (or perf event) is attached. */
extern void (*map_wake)(const char *path);
/* The same where a reader is known to be up, where that can wait: in the agent until the helper's next look, half a second at
 * most. It is only for readers that are up no more (killed), or sleep where nobody told us. NULL: there is nobody to
 * do it later, so readers are always woken. */
extern void (*map_wake_later)(const char *path);
/* By doors: the ring's reader returned from a wait and will wait again; false: it is about to, and looks first
 * (map_ring_readable()). */
void map_ring_reader(struct map *m, bool awake);
bool map_ring_readable(struct map *m);
u64 map_ring_dropped(const struct map *m);	/* records that found no room, since the map was made */

/* Maps of maps: the inner map of a slot, NULL if empty or gone. Borrowed: stays mapped as long as OUTER is. */
struct map *map_inner(struct map *outer, const void *key);

/* prog_array. OWNER describes a program for bpf_prog_map_compatible(): all that must be equal among the programs of one
 * prog_array. The first program put into it, or loaded with it, decides. False: -EINVAL is due. */
struct map_prog_owner {
	u8 type, attach_type;
	bool jited, xdp_frags;
	u32 attach_func_hash;		/* tracing programs: of the target's prototype; else 0 */
};
bool map_prog_compatible(struct map *m, const struct map_prog_owner *o);

struct prog;
/* Set by prog/: turns (id, gen) into a loaded program of this process, NULL if gone. Async-signal-safe only for
 * programs already resolved; others resolve at update (acknowledged by live mappers) or by the slow path. The result is
 * borrowed: prog/ keeps it until map_forget_prog says that no slot of this process caches it. */
extern struct prog *(*map_resolve_prog)(struct obj_dir *d, u32 id, u64 gen);
extern void (*map_forget_prog)(struct prog *p);		/* may be NULL */
struct prog *map_prog_slot(struct map *m, u32 index);

#endif
