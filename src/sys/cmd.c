/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.c - the one door: bpf(cmd, attr, size) for a caller. Rules of the attr size, the table of commands, and what
 * all commands need of a client. Driven by spec/cmds.def. Holds no state; thread safe. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "sys/cmds.h"
#include "sys/sys.h"

static const cmd_fn cmd_fns[] = {
#define CMD(name, fn, ...) [BPF_##name] = cmd_##fn,
#include "spec/cmds.def"
#undef CMD
};

int call_in(struct call *k, void *dst, u64 src, size_t n)
{
	return n ? k->c->ops->copy_in(k->c->arg, dst, src, n) : 0;
}

int call_out(struct call *k, u64 dst, const void *src, size_t n)
{
	return n ? k->c->ops->copy_out(k->c->arg, dst, src, n) : 0;
}

int call_dup(struct call *k, u64 src, size_t n, void **out)
{
	int err;

	*out = NULL;
	if (!n)
		return 0;
	*out = malloc(n);
	if (!*out)
		return -ENOMEM;
	err = call_in(k, *out, src, n);
	if (err) {
		free(*out);
		*out = NULL;
	}
	return err;
}

static bool all_zero(const void *p, size_t n)
{
	const u8 *b = p;

	for (size_t i = 0; i < n; i++)
		if (b[i])
			return false;
	return true;
}

int call_tail_zero(struct call *k, u64 addr, size_t known, size_t given)
{
	u8 buf[512];

	if (given > SKEP_PAGE)
		return -E2BIG;
	for (size_t off = known; off < given; off += sizeof(buf)) {
		size_t n = MIN(sizeof(buf), given - off);

		if (call_in(k, buf, addr + off, n))
			return -EFAULT;
		if (!all_zero(buf, n))
			return -E2BIG;
	}
	return 0;
}

bool call_capable(const struct call *k, u32 cap)
{
	/* CAP_SYS_ADMIN implies the others, as bpf_capable() has it */
	return k->c->caps & (cap | VFY_CAP_SYS_ADMIN);
}

long call_give_fd(struct call *k, int fd)
{
	if (fd < 0)
		return fd;
	return k->c->ops->fd_out(k->c->arg, fd);
}

int call_get_map(struct call *k, u32 fd, struct map **out, u32 *perms)
{
	int own = k->c->ops->fd_in(k->c->arg, (int)fd);
	int err, fl;

	if (own < 0)
		return own;
	err = map_open_fd(k->c->dir, own, out);
	if (!err && perms) {
		fl = fcntl(own, F_GETFL) & O_ACCMODE;
		*perms = (fl != O_WRONLY ? MAP_CAN_READ : 0) | (fl != O_RDONLY ? MAP_CAN_WRITE : 0);
		if (map_frozen(*out))
			*perms &= ~MAP_CAN_WRITE;
	}
	k->c->ops->fd_put(k->c->arg, own);
	return err;
}

int call_get_obj(struct call *k, u32 fd, enum obj_kind kind, struct obj **out)
{
	int own = k->c->ops->fd_in(k->c->arg, (int)fd);
	int err;

	if (own < 0)
		return own;
	err = obj_map(k->c->dir, own, out);
	if (!err && (*out)->kind != kind) {
		obj_unmap(*out);
		err = -EINVAL;
	}
	k->c->ops->fd_put(k->c->arg, own);
	return err;
}

int sys_copy_name(char dst[16], const char src[16])
{
	memset(dst, 0, 16);
	for (int i = 0; i < 16; i++) {
		char c = src[i];

		if (!c)
			return 0;
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '_' || c == '.'))
			return -EINVAL;
		dst[i] = c;
	}
	return -EINVAL;
}

int sys_open_flags(u32 map_flags)
{
	switch (map_flags & (BPF_F_RDONLY | BPF_F_WRONLY)) {
	case 0:
		return O_RDWR;
	case BPF_F_RDONLY:
		return O_RDONLY;
	case BPF_F_WRONLY:
		return O_WRONLY;
	}
	return -EINVAL;
}

static long run_cmd(struct caller *c, int cmd, u64 uattr, u32 size)
{
	struct call k = { .c = c, .uattr = uattr, .size = size };
	int err = call_tail_zero(&k, uattr, sizeof(k.a), size);

	if (err)
		return err;
	err = call_in(&k, &k.a, uattr, MIN(size, sizeof(k.a)));
	if (err)
		return err;
	k.row = cmd >= 0 ? spec_cmd((u32)cmd) : NULL;
	if (!k.row || (u32)cmd >= ARRAY_SIZE(cmd_fns) || !cmd_fns[cmd])
		return -EINVAL;
	if (!all_zero((u8 *)&k.a + k.row->attr_size, sizeof(k.a) - k.row->attr_size))
		return -EINVAL;
	return cmd_fns[cmd](&k);
}

long sys_bpf(struct caller *c, int cmd, u64 uattr, u32 size)
{
	u8 scope = fault_enter();	/* signal mask and handlers are asked for once per command, not per copy */
	long ret = run_cmd(c, cmd, uattr, size);

	fault_exit(scope);
	return ret;
}
