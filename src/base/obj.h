/* SPDX-License-Identifier: Apache-2.0 */
/* obj.h - objects are files of one directory: registry names, liveness, references, pins, collection.
 *
 * A directory (a "kernel") is $SKEP_DIR or /dev/shm/skep-$UID. Below it:
 *
 *	control			process slots, run leases, id counter (domain.h)
 *	bpf-map/ID  bpf-prog/ID  btf/ID  bpf_link/ID  perf_event/ID	the objects (registry names)
 *	ref/KID/NAME		what object ID of kind letter K refers to: hard links
 *	bpffs/...		pins: hard links
 *	trace			lines of bpf_printk() (trace.h)
 *	agents			where attachers and agents meet (agents.h)
 *	dead/...		renamed here by a collector, finished by this or the next one
 *
 * File layout: [client area, offset 0, page aligned][private area][trailer page: struct obj_hdr].
 * A client's fd IS an open description of the file. Liveness is OFD locks on that description:
 * OBJ_LK_USER (a user reference), OBJ_LK_RUN (a running reference, agents), OBJ_LK_COLLECT (the collector).
 * An object lives while somebody holds USER or RUN, or a second hard link exists (st_nlink > 1: a pin or a
 * reference from another object). The creator of a half made object holds USER.
 * States, crash argument and the order of steps: doc/objects.md.
 *
 * Nothing read from a file is believed before it was checked against the file's real size.
 */
#ifndef SKEP_BASE_OBJ_H
#define SKEP_BASE_OBJ_H

#include <sys/stat.h>
#include <sys/types.h>

#include "base/def.h"

struct agents;
struct domain;
struct trace;

enum obj_kind { OBJ_MAP, OBJ_PROG, OBJ_BTF, OBJ_LINK, OBJ_PERF, OBJ_KINDS };
enum obj_state { OBJ_LOADING, OBJ_LIVE, OBJ_DEAD };

/* Lock bytes. COLLECT: one write lock. RUN: read locks. USER: read locks on its first byte; a description that
 * was opened write-only cannot take those, so it has a write lock on some byte of the rest. */
#define OBJ_LK_BASE	(1ull << 62)
#define OBJ_LK_COLLECT	(OBJ_LK_BASE + 0)
#define OBJ_LK_RUN	(OBJ_LK_BASE + 1)
#define OBJ_LK_USER	(OBJ_LK_BASE + 2)
#define OBJ_LK_USERS	0x10000ull		/* length of USER */

#define OBJ_MAGIC	0x50454b53u		/* "SKEP" */
#define OBJ_VERSION	1

/* The last page of every object file. Written by the creator before publication, constant afterwards
 * except `state` (collector, under COLLECT) and the fields that say who writes them. */
struct obj_hdr {
	u32 magic;
	u16 version;
	u16 kind;		/* enum obj_kind */
	u32 id;
	u32 state;		/* enum obj_state; atomic */
	u64 gen;		/* random, never 0: tells two users of one id apart */
	u64 client_size;	/* bytes from offset 0, multiple of SKEP_PAGE, may be 0 */
	u64 private_size;	/* bytes behind the client area, multiple of SKEP_PAGE */
	u64 created_ns;		/* CLOCK_BOOTTIME */
	u32 uid;
	u32 creator_pid;
	char name[16];		/* BPF_OBJ_NAME_LEN, NUL-terminated */
	u8 digest[32];		/* SHA-256 of what the kind declares constant; zero if none */
	u8 kind_data[3072];	/* struct map_meta (map/map.h), struct image_hdr (vm/image.h), ... */
	u32 flags;		/* OBJ_F_* */
};
/* Set by the creator: call obj_on_user_gone() when the last USER and pin went but references keep it alive. */
#define OBJ_F_URELEASE	BIT(0)

/* One directory, opened. Shared by all threads of the process. The fds (O_PATH, numbers above 600, so that they
 * stay out of the client's way) are opened again when the client closed them all (closefrom()). */
struct obj_dir {
	int fd;			/* O_PATH|O_DIRECTORY of the directory */
	int kind_fd[OBJ_KINDS];
	int ref_fd, bpffs_fd, dead_fd;
	struct domain *dom;
	dev_t dev;
	ino_t ino;
	u32 lock;		/* of the fds above, when they are opened again */
	u32 gc_pos[OBJ_KINDS];	/* where obj_create() looks for garbage next; atomic */
	struct trace *trace;	/* the trace buffer, once somebody wants it (trace.h); set once, CAS */
	struct agents *agents;	/* the board (agents.h), likewise */
	char path[256];		/* as given, for messages and readlink-based clients */
};

/* An object mapped into this process. The mapping holds no liveness; the fd that it came from, a run lock
 * or a hard link does. */
struct obj {
	struct obj_dir *dir;
	u8 *base;		/* whole file: client area, private area, trailer */
	size_t size;
	struct obj_hdr *hdr;	/* base + size - SKEP_PAGE; shared, untrusted */
	enum obj_kind kind;
	u32 id;
	u64 gen;
	u64 client_size, private_size;	/* checked copies */
	dev_t dev;
	ino_t ino;
	u32 damaged;		/* set when another process cut the file short (base/fault.h); atomic */
};

/* Open or create the directory at PATH (NULL: $SKEP_DIR or /dev/shm/skep-$UID), mode 0700.
 * Refuses (-EPERM) a symlink, another owner, or group/other permission bits. -errno. Thread safe. */
int obj_dir_open(const char *path, struct obj_dir **out);
void obj_dir_close(struct obj_dir *d);

/* Creating: obj_create() makes an unnamed, locked (USER) file of the given sizes with all pages reserved
 * (a full tmpfs is -ENOSPC here, not a SIGBUS later), already named in the registry as LOADING, mapped.
 * The caller fills it, adds references with obj_ref(), then calls obj_publish(). *fd is the client's
 * description (O_CLOEXEC, opened by the registry name). On failure between, obj_abort(). */
int obj_create(struct obj_dir *d, enum obj_kind kind, const char *name, u64 client_size,
	       u64 private_size, struct obj **out, int *fd);
int obj_publish(struct obj *o);
void obj_abort(struct obj *o, int fd);

/* Opening: a client fd for an id (-ENOENT when dead or absent). oflags: O_RDWR, O_RDONLY or O_WRONLY. */
int obj_open_id(struct obj_dir *d, enum obj_kind kind, u32 id, int oflags);
int obj_next_id(struct obj_dir *d, enum obj_kind kind, u32 start, u32 *next);	/* -ENOENT at the end */
/* The names of a registry, ascending; some may be dead. The caller frees *IDS. */
int obj_ids(struct obj_dir *d, enum obj_kind kind, u32 **ids, u32 *nr);
bool obj_alive(struct obj_dir *d, enum obj_kind kind, u32 id);
/* A live object's header as it is now, by a look that nobody notices: no reference is taken. -ENOENT: not alive. */
int obj_peek(struct obj_dir *d, enum obj_kind kind, u32 id, struct obj_hdr *out);

/* Which object of D is this fd? -EBADF: not an open fd; -EINVAL: open, but no object of D of that kind.
 * Fills dev/ino; does not map. */
int obj_identify(struct obj_dir *d, int fd, enum obj_kind *kind, struct stat *st);

/* Map an object by an fd of it, checking magic, version, kind, sizes against fstat (-EUCLEAN if they
 * do not fit: cut short or overwritten). Caller unmaps with obj_unmap(). */
int obj_map(struct obj_dir *d, int fd, struct obj **out);
/* Map by id without a client fd, taking a running reference (RUN) held by the mapping itself. GEN 0: any. */
int obj_map_running(struct obj_dir *d, enum obj_kind kind, u32 id, u64 gen, struct obj **out);
void obj_unmap(struct obj *o);
/* Has the file shrunk below what was mapped? (-EUCLEAN) */
int obj_check_size(const struct obj *o);

/* References from object OWNER to TARGET under NAME (hard link in ref/); replaced atomically. The caller holds
 * both alive (an fd, a running mapping, or OWNER's reference to TARGET). What was referred to before is
 * collected if that was its last reference. */
int obj_ref(struct obj_dir *d, enum obj_kind okind, u32 oid, const char *name,
	    enum obj_kind tkind, u32 tid);
int obj_unref(struct obj_dir *d, enum obj_kind okind, u32 oid, const char *name);

/* Calls FN for each reference of object OWNER, in no order, until it returns nonzero; returns that, or -errno. */
int obj_refs(struct obj_dir *d, enum obj_kind okind, u32 oid,
	     int (*fn)(void *arg, const char *name, enum obj_kind kind, u32 id), void *arg);

/* Pins. PATH is relative to bpffs/ (no leading slash, no ".."). Errors as the kernel's bpffs: -EEXIST, -ENOENT,
 * -EPERM for a component with a dot, -EINVAL for a kind that cannot be pinned, -EACCES when opening what is no
 * object. Unpinning is unlink(2), as in bpffs. */
int obj_pin(struct obj_dir *d, int fd, const char *path);
int obj_open_pin(struct obj_dir *d, const char *path, int oflags);	/* a client fd */

/* Collection. obj_collect(): try one object; 1 collected (with what only it referred to), 0 alive or somebody else
 * collects it, -errno. obj_gc(): everything dead or half made; returns how many went. Never waits; safe to be
 * killed or stopped in at any instruction, and to be run by any number of processes. obj_on_user_gone (may be
 * NULL) is called by collectors, holding nothing, for an object with OBJ_F_URELEASE whose last USER reference and
 * pin went while references keep it alive (the prog_array rule); it may be called again, and must be idempotent. */
int obj_collect(struct obj_dir *d, enum obj_kind kind, u32 id);
int obj_gc(struct obj_dir *d);
extern void (*obj_on_user_gone)(struct obj_dir *d, enum obj_kind kind, u32 id);

const char *obj_kind_name(enum obj_kind k);	/* "bpf-map", "bpf-prog", "btf", "bpf_link", "perf_event" */

#endif
