/* SPDX-License-Identifier: Apache-2.0 */
/* attach.h - what the commands that attach programs to hooks share: links (link_cmd.c), perf events (event_cmd.c). */
#ifndef SKEP_SYS_ATTACH_H
#define SKEP_SYS_ATTACH_H

#include "hook/hook.h"
#include "sys/sys.h"
#include "vm/image.h"

/* The program behind an fd of ours. */
struct attach_prog {
	u32 id;
	u64 gen;
	struct image_hdr h;
};
int attach_prog_of(struct obj_dir *d, int own, struct attach_prog *p);	/* -EBADF, -EINVAL: no program */

/* What M (a tracepoint or a probed function, without program) says to P: 0, or the kernel's -EINVAL, -EACCES, -EEXIST,
 * -E2BIG; -EOPNOTSUPP when the program calls what skep has no code for. OWN: P's fd. */
int attach_prog_check(struct obj_dir *d, const struct link_meta *m, const struct attach_prog *p, int own);
/* Fills what M says of its program, but for prog_id. */
void attach_fill(struct link_meta *m, const struct attach_prog *p, u64 cookie);
/* A raw tracepoint by its name: -ENOENT. */
int attach_raw_meta(const char *name, struct link_meta *m);
/* A link of M for program P, and the event it goes to (NULL: none), as a client's fd, or -errno. */
int attach_make_link(struct obj_dir *d, const struct link_meta *m, const struct attach_prog *p,
		     const struct hook_link *event);
/* Something was attached, or may have ended: tell the agents, and wait for them for as long as a client can bear. */
void attach_changed(struct obj_dir *d, u64 scope);
void attach_mark(int fd);		/* an fd given out that keeps an attachment; see ends.c */
u64 attach_scope(void);			/* $SKEP_SCOPE of this process, 0: none */

/* -EEXIST: the event has a program already, its own or a link's. */
int attach_event_free(struct obj_dir *d, const struct hook_link *e);
/* The event behind an fd; -EBADF: no event that programs are attached to. */
int attach_event_of(struct obj_dir *d, int own, struct hook_link *out);
/* perf_event_open() of a tracepoint or probe (attr.type), after the checks that all events share: an fd, or -errno. */
struct perf_event_attr;
bool attach_event_kind(u32 type);
int attach_event_open(struct obj_dir *d, const struct perf_event_attr *a);
int attach_event_ioctl(struct obj_dir *d, int own, const struct hook_link *e, unsigned long cmd, unsigned long arg);

/* Numbers of perf's dynamic PMUs, ours; clients read them from /sys/bus/event_source/devices. */
#define ATTACH_PMU_KPROBE	8u

#endif
