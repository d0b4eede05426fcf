/* SPDX-License-Identifier: Apache-2.0 */
/* id_cmd.c - *_GET_NEXT_ID and *_GET_FD_BY_ID: the registry. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "sys/attach.h"
#include "sys/cmds.h"
#include "sys/sys.h"

static long next_id(struct call *k, enum obj_kind kind)
{
	int err;

	if (k->a.start_id >= INT_MAX)
		return -EINVAL;
	if (!call_capable(k, VFY_CAP_SYS_ADMIN))
		return -EPERM;
	err = obj_next_id(k->c->dir, kind, k->a.start_id, &k->a.next_id);
	return err ? err : CALL_PUT(k, next_id);
}

static long fd_by_id(struct call *k, enum obj_kind kind, u32 id, int oflags)
{
	if (!call_capable(k, VFY_CAP_SYS_ADMIN))
		return -EPERM;
	if (!id)
		return -ENOENT;
	if (oflags < 0)
		return oflags;
	return call_give_fd(k, obj_open_id(k->c->dir, kind, id, oflags));
}

long cmd_prog_get_next_id(struct call *k)
{
	return next_id(k, OBJ_PROG);
}

long cmd_map_get_next_id(struct call *k)
{
	return next_id(k, OBJ_MAP);
}

long cmd_btf_get_next_id(struct call *k)
{
	return next_id(k, OBJ_BTF);
}

long cmd_link_get_next_id(struct call *k)
{
	return next_id(k, OBJ_LINK);
}

long cmd_prog_get_fd_by_id(struct call *k)
{
	return fd_by_id(k, OBJ_PROG, k->a.prog_id, O_RDWR);
}

long cmd_map_get_fd_by_id(struct call *k)
{
	if (k->a.open_flags & ~(BPF_F_RDONLY | BPF_F_WRONLY))
		return -EINVAL;
	return fd_by_id(k, OBJ_MAP, k->a.map_id, sys_open_flags(k->a.open_flags));
}

long cmd_btf_get_fd_by_id(struct call *k)
{
	if (k->a.open_flags & ~BPF_F_TOKEN_FD)
		return -EINVAL;
	if (k->a.open_flags & BPF_F_TOKEN_FD)
		return -EBADF;		/* there are no tokens: no fd can be one */
	return fd_by_id(k, OBJ_BTF, k->a.btf_id, O_RDWR);
}

long cmd_link_get_fd_by_id(struct call *k)
{
	long fd = fd_by_id(k, OBJ_LINK, k->a.link_id, O_RDWR);

	attach_mark((int)fd);
	return fd;
}
