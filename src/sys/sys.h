/* SPDX-License-Identifier: Apache-2.0 */
/* sys.h - bpf(2) as a function of a caller: who asks, how its memory is reached, where its fds live.
 *
 * A struct caller is the client. In-process it is the calling thread itself; a supervisor serves clients of other
 * processes with other ops. Commands see client memory, fds and rights through it only. A struct call is one command
 * under way: attr is copied once, before anything of it is looked at. */
#ifndef SKEP_SYS_H
#define SKEP_SYS_H

#include "base/btf.h"
#include "base/def.h"
#include "base/obj.h"
#include "map/map.h"
#include "spec/spec.h"
#include "verify/verify.h"

struct caller_ops {
	int (*copy_in)(void *arg, void *dst, u64 src, size_t n);	/* 0 or -EFAULT */
	int (*copy_out)(void *arg, u64 dst, const void *src, size_t n);	/* 0 or -EFAULT */
	long (*copy_str)(void *arg, char *dst, u64 src, size_t size);	/* as fault_copy_str() */
	int (*fd_in)(void *arg, int fd);	/* this process's fd for the client's, or -EBADF */
	void (*fd_put)(void *arg, int own);	/* done with what fd_in gave */
	int (*fd_out)(void *arg, int own);	/* moves an fd to the client: its number there, or -errno */
	int (*cwd)(void *arg, int dirfd, char *buf, size_t size);	/* path of dirfd (AT_FDCWD: working dir) */
};

struct caller {
	const struct caller_ops *ops;
	void *arg;
	struct obj_dir *dir;
	u32 caps;			/* VFY_CAP_*: what the client may do in this directory */
};

struct call {
	struct caller *c;
	const struct spec_cmd *row;
	u64 uattr;			/* where the client's attr is: outputs go there */
	u32 size;			/* as the client gave it */
	union skep_attr a;		/* private copy, zero behind the client's size */
};

/* Everything enters here. Returns what bpf(2) returns, -errno on failure. Thread safe. */
long sys_bpf(struct caller *c, int cmd, u64 uattr, u32 size);

/* The calling process as a client of the directory in use (opened on first use). -errno. */
int caller_self(struct caller *out);
/* What in-process callers may do from now on (VFY_CAP_*); default: everything, the directory is theirs. */
void caller_set_caps(u32 caps);

/* ---- helpers of the commands ---- */
int call_in(struct call *k, void *dst, u64 src, size_t n);
int call_out(struct call *k, u64 dst, const void *src, size_t n);
/* malloc + copy_in. *out is NULL when n is 0. -ENOMEM, -EFAULT. */
int call_dup(struct call *k, u64 src, size_t n, void **out);
/* Client array of ELEM-sized things that must be zero behind what we know: -E2BIG as the kernel's check. */
int call_tail_zero(struct call *k, u64 addr, size_t known, size_t given);
bool call_capable(const struct call *k, u32 cap);
/* A new object fd goes to the client; closes it on failure. */
long call_give_fd(struct call *k, int fd);
/* Writes one field of the copy back to the client's attr. */
#define CALL_PUT(k, field) \
	call_out(k, (k)->uattr + offsetof(union skep_attr, field), &(k)->a.field, sizeof((k)->a.field))

/* Objects by client fd. -EBADF: no such fd; -EINVAL: something else. */
int call_get_map(struct call *k, u32 fd, struct map **out, u32 *perms);
int call_get_obj(struct call *k, u32 fd, enum obj_kind kind, struct obj **out);
#define MAP_CAN_READ	BIT(0)
#define MAP_CAN_WRITE	BIT(1)

int sys_copy_name(char dst[16], const char src[16]);	/* object names: -EINVAL as bpf_obj_name_cpy */
int sys_open_flags(u32 map_flags);			/* BPF_F_RDONLY/WRONLY -> O_*; -EINVAL for both */
#define SYS_ENOTSUPP	524				/* the kernel's, not in errno.h */

/* ---- log into a client's buffer, with the kernel's rules ---- */
struct sys_log {
	u32 level, size;
	u64 ubuf;
	u32 true_size;			/* after sys_log_finish(): bytes needed with NUL, 0 if no text */
};
int sys_log_init(struct sys_log *l, u32 level, u64 ubuf, u32 size);	/* -EINVAL */
/* Copies TEXT (may be NULL): its tail, or its head with BPF_LOG_FIXED. 0, -ENOSPC or -EFAULT. */
int sys_log_finish(struct call *k, struct sys_log *l, const char *text, size_t len);

/* ---- BTF objects ---- */
struct btf_meta {			/* obj_hdr.kind_data of OBJ_BTF; the blob starts the private area */
	u32 size;
	u32 pad;
};
struct sys_btf {			/* a parsed BTF object of this process; shared, refcounted */
	struct btf *btf;
	u32 id;
	u64 gen;
	dev_t dev;
	ino_t ino;
	u32 refs;
	struct sys_btf *next;
};
int sys_btf_open_fd(struct call *k, u32 fd, struct sys_btf **out);
int sys_btf_open_id(struct obj_dir *d, u32 id, struct sys_btf **out);
void sys_btf_put(struct sys_btf *b);

/* The kernel's types, NULL: none. *FOREIGN: of a kernel that is not skep; what uses them cannot run here. */
const struct btf *sys_vmlinux(bool *foreign);

/* Programs refer to their BTF as "btf", to used maps as "map0", "map1", ..., to bound ones as "bind<ID>". */
#define PROG_BIND_REF	"bind"

/* ---- why the calling thread's last PROG_LOAD was refused ---- */
/* NULL if it was not, or not by the verifier. Valid until the thread's next PROG_LOAD. */
const struct vfy_reason *skep_last_reason(void);

/* ---- paths ---- */
/* PATH as a client of bpf(2) or of the file system names a pin, made relative to bpffs/ in OUT:
 * 0, or -ENOENT when it is not below the pin directory at all. CWD: its working directory, may be NULL. */
int sys_pin_path(const char *dir, const char *path, const char *cwd, char *out, size_t size);
#define SYS_BPFFS_PATH	"/sys/fs/bpf"
#define SYS_BPFFS_MAGIC	0xcafe4a11u

/* Text of /proc/PID/fdinfo/N behind the generic lines for a skep object; -EINVAL when FD is none. */
struct sbuf;
int sys_fdinfo(struct obj_dir *d, int fd, struct sbuf *out);

#endif
