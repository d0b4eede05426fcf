/* SPDX-License-Identifier: Apache-2.0 */
/* misc_cmd.c - commands that belong to no object alone: ENABLE_STATS, TOKEN_CREATE, PROG_STREAM_READ. */
#include <errno.h>

#include "prog/prog.h"
#include "sys/cmds.h"
#include "sys/sys.h"

long cmd_enable_stats(struct call *k)
{
	int fd;

	if (!call_capable(k, VFY_CAP_SYS_ADMIN))
		return -EPERM;
	if (k->a.enable_stats.type != BPF_STATS_RUN_TIME)
		return -EINVAL;
	fd = prog_stats_enable(k->c->dir);
	return fd < 0 ? fd : call_give_fd(k, fd);
}

long cmd_token_create(struct call *k)
{
	int own;

	if (k->a.token_create.flags)
		return -EINVAL;
	own = k->c->ops->fd_in(k->c->arg, (int)k->a.token_create.bpffs_fd);
	if (own < 0)
		return own;
	k->c->ops->fd_put(k->c->arg, own);
	return -EINVAL;				/* no bpffs of ours is mounted, still less with delegation */
}

#define STREAM_STDOUT	1
#define STREAM_STDERR	2

long cmd_prog_stream_read_by_fd(struct call *k)
{
	struct obj *o;
	u32 id = k->a.prog_stream_read.stream_id;
	int err = call_get_obj(k, k->a.prog_stream_read.prog_fd, OBJ_PROG, &o);

	if (err)
		return err;
	obj_unmap(o);
	return id == STREAM_STDOUT || id == STREAM_STDERR ? 0 : -ENOENT;	/* nothing was written to it */
}
