/* SPDX-License-Identifier: Apache-2.0 */
/* obj_int.h - what the obj*.c files share. Rules of the game: doc/objects.md. */
#ifndef SKEP_BASE_OBJ_INT_H
#define SKEP_BASE_OBJ_INT_H

#include <errno.h>
#include <sys/stat.h>

#include "base/obj.h"
#include "base/shlock.h"

#define NAME_LEN	16		/* "2147483647", "m2147483647" */

/* The constant head of struct obj_hdr: what identification and collection need. */
struct obj_head {
	u32 magic;
	u16 version;
	u16 kind;
	u32 id;
	u32 state;
	u64 gen;
};
_Static_assert(sizeof(struct obj_head) == offsetof(struct obj_hdr, client_size), "head of obj_hdr");
_Static_assert(sizeof(struct obj_hdr) <= SKEP_PAGE, "the trailer is one page");

extern const char obj_kind_letter[OBJ_KINDS];

/* Names of an object: in its registry, and in dead/ and ref/. */
void obj_name(char name[NAME_LEN], u32 id);
void obj_kid(char name[NAME_LEN], enum obj_kind kind, u32 id);
/* Inverse, strict: only what obj_name()/obj_kid() print. */
bool obj_parse_name(const char *name, u32 *id);
bool obj_parse_kid(const char *name, enum obj_kind *kind, u32 *id);

/* Are the directory's fds still what they were? Opens them again if not. 0 or -errno. */
int obj_dir_ready(struct obj_dir *d);

int obj_read_head(int fd, struct obj_head *h);			/* -EUCLEAN when there is no valid trailer */
bool obj_same(int dirfd, const char *name, const struct stat *st);	/* does the name have this inode? */
int obj_lock_user(int fd, int oflags);
/* Neither a second link nor a USER or RUN lock of another description than FD's. In this order: see
 * doc/objects.md, "deciding". */
bool obj_looks_dead(int fd);
/* Put the name back that a collector took, on the word of a caller who knows that the object lives. */
int obj_restore(struct obj_dir *d, enum obj_kind kind, u32 id);
/* Open by registry name, take USER (oflags) or RUN, and make sure that it counts. */
int obj_open_locked(struct obj_dir *d, enum obj_kind kind, u32 id, int oflags, bool run);

/* Read a directory: calls fn for each entry but . and .., until it returns nonzero. */
int obj_each(int dirfd, const char *name, int (*fn)(void *arg, const char *entry), void *arg);
void obj_collect_some(struct obj_dir *d, enum obj_kind kind);

#endif
