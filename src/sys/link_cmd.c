/* SPDX-License-Identifier: Apache-2.0 */
/* link_cmd.c - attaching: links, PROG_ATTACH and what asks about them. Links to perf events (tracepoints, probed functions)
 * and raw tracepoints are made (attach.c); for the other targets each command checks what the kernel checks, in its order,
 * and then says -EOPNOTSUPP where the kernel would attach. */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "sys/attach.h"
#include "sys/cmds.h"

/* What target_fd or target_ifindex has to be. */
enum target { T_NONE, T_CGROUP, T_NETNS, T_PERF, T_DEV, T_MAP };

#define CGROUP_PROGS (P(CGROUP_SKB) | P(CGROUP_SOCK) | P(CGROUP_SOCK_ADDR) | P(CGROUP_SOCKOPT) | \
		      P(CGROUP_DEVICE) | P(CGROUP_SYSCTL) | P(SOCK_OPS))
#define NETNS_PROGS	(P(FLOW_DISSECTOR) | P(SK_LOOKUP))
#define PERF_PROGS	(P(PERF_EVENT) | P(TRACEPOINT) | P(KPROBE))
#define DEV_PROGS	(P(XDP) | P(SCHED_CLS))
#define SOCK_PROGS	(P(SK_MSG) | P(SK_SKB))
#define IN_SET(type, set)	((type) < 64 && (1ull << (type)) & (set))

static enum target target_of(u32 prog_type)
{
	static const struct { u64 set; enum target t; } rows[] = {
		{ CGROUP_PROGS, T_CGROUP }, { NETNS_PROGS, T_NETNS }, { PERF_PROGS, T_PERF },
		{ DEV_PROGS, T_DEV }, { SOCK_PROGS, T_MAP },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (IN_SET(prog_type, rows[i].set))
			return rows[i].t;
	return T_NONE;
}

/* The program type that attaches with this attach type, as the kernel's attach_type_to_prog_type(). */
static u32 prog_type_of(u32 attach_type)
{
	const struct spec_attach *s = spec_attach(attach_type);
	u64 none = P(KPROBE) | P(STRUCT_OPS) | P(SK_REUSEPORT) | P(PERF_EVENT) | P(TRACEPOINT);

	if (!s || !s->progs || s->progs & none || attach_type == BPF_XDP_DEVMAP ||
	    attach_type == BPF_XDP_CPUMAP)
		return BPF_PROG_TYPE_UNSPEC;
	return (u32)__builtin_ctzll(s->progs);
}

/* Would the kernel find its target? 0 if so. */
static int check_target(struct call *k, enum target t, u32 target)
{
	char name[IF_NAMESIZE];
	struct map *m;
	struct stat st;
	int own, err;

	switch (t) {
	case T_DEV:
		return if_indextoname(target, name) ? 0 : -EINVAL;
	case T_MAP:
		err = call_get_map(k, target, &m, NULL);
		if (!err)
			map_put(m);
		return err ? err : -EINVAL;
	case T_CGROUP:
		own = k->c->ops->fd_in(k->c->arg, (int)target);
		if (own < 0)
			return own;
		err = fstat(own, &st) || !S_ISDIR(st.st_mode) ? -EBADF : 0;
		k->c->ops->fd_put(k->c->arg, own);
		return err;
	case T_NETNS:
		own = k->c->ops->fd_in(k->c->arg, (int)target);
		if (own >= 0)
			k->c->ops->fd_put(k->c->arg, own);
		return own < 0 ? own : -EINVAL;
	case T_PERF:
		return -EBADF;			/* of PROG_ATTACH: no attach type of its leads here */
	default:
		return -EINVAL;
	}
}

static int prog_types(struct call *k, u32 fd, u32 *type, u32 *expected)
{
	struct image_hdr h = { 0 };
	struct obj *o;
	int err = call_get_obj(k, fd, OBJ_PROG, &o);

	if (err)
		return err;
	err = fault_copy_from(&h, o->hdr->kind_data, sizeof(h)) ? -EUCLEAN : 0;
	obj_unmap(o);
	*type = h.prog_type;
	*expected = h.attach_type;
	return err;
}

/* bpf_prog_attach_check_attach_type(). */
static int check_attach_type(u32 type, u32 expected, u32 attach)
{
	u64 exact = P(CGROUP_SOCK) | P(CGROUP_SOCK_ADDR) | P(CGROUP_SOCKOPT) | P(SK_LOOKUP);

	if (IN_SET(type, exact))
		return attach == expected ? 0 : -EINVAL;
	if (type == BPF_PROG_TYPE_EXT)
		return 0;
	if (type == BPF_PROG_TYPE_NETFILTER)
		return attach == BPF_NETFILTER ? 0 : -EINVAL;
	if (type == BPF_PROG_TYPE_PERF_EVENT || type == BPF_PROG_TYPE_TRACEPOINT)
		return attach == BPF_PERF_EVENT ? 0 : -EINVAL;
	if (type == BPF_PROG_TYPE_KPROBE) {
		bool multi = attach == BPF_TRACE_KPROBE_MULTI || attach == BPF_TRACE_UPROBE_MULTI ||
			     attach == BPF_TRACE_KPROBE_SESSION || attach == BPF_TRACE_UPROBE_SESSION;

		if (multi)
			return attach == expected ? 0 : -EINVAL;
		return attach == BPF_PERF_EVENT ? 0 : -EINVAL;
	}
	if (type == BPF_PROG_TYPE_SCHED_CLS)
		return attach == BPF_TCX_INGRESS || attach == BPF_TCX_EGRESS ||
		       attach == BPF_NETKIT_PRIMARY || attach == BPF_NETKIT_PEER ? 0 : -EINVAL;
	return prog_type_of(attach) == type ? 0 : -EINVAL;
}

/* A link of the program at OWN to the perf event at TARGET. */
static int link_event(struct call *k, int own, const struct attach_prog *p)
{
	int target = k->c->ops->fd_in(k->c->arg, (int)k->a.link_create.target_fd), err;
	struct hook_link e;
	struct link_meta m;

	if (target < 0)
		return -EBADF;
	err = attach_event_of(k->c->dir, target, &e);
	k->c->ops->fd_put(k->c->arg, target);
	if (!err)
		err = attach_event_free(k->c->dir, &e);
	m = e.m;
	if (!err)
		err = attach_prog_check(k->c->dir, &m, p, own);
	if (err)
		return err;
	attach_fill(&m, p, k->a.link_create.perf_event.bpf_cookie);
	return attach_make_link(k->c->dir, &m, p, &e);
}

static int create(struct call *k, int own)
{
	union skep_attr *a = &k->a;
	struct attach_prog p;
	enum target t;
	int err = attach_prog_of(k->c->dir, own, &p);

	if (!err)
		err = check_attach_type(p.h.prog_type, p.h.attach_type, a->link_create.attach_type);
	if (err)
		return err;
	t = target_of(p.h.prog_type);
	/* cgroup and tcx links have flags of their own; the others take none */
	if (a->link_create.flags && t != T_CGROUP && p.h.prog_type != BPF_PROG_TYPE_SCHED_CLS)
		return -EINVAL;
	if (t == T_PERF && a->link_create.attach_type == BPF_PERF_EVENT)
		return link_event(k, own, &p);
	err = t == T_PERF ? 0 : check_target(k, t, a->link_create.target_fd);
	return err ? err : -EOPNOTSUPP;
}

long cmd_link_create(struct call *k)
{
	union skep_attr *a = &k->a;
	int own, err;

	if (a->link_create.attach_type == BPF_STRUCT_OPS) {
		struct map *m;

		err = call_get_map(k, a->link_create.map_fd, &m, NULL);
		if (!err)
			map_put(m);
		return err ? err : -EINVAL;
	}
	own = k->c->ops->fd_in(k->c->arg, (int)a->link_create.prog_fd);
	if (own < 0)
		return own;
	err = create(k, own);
	k->c->ops->fd_put(k->c->arg, own);
	return err < 0 ? err : call_give_fd(k, err);
}

static int need_link(struct call *k, u32 fd)
{
	struct obj *o;
	int err = call_get_obj(k, fd, OBJ_LINK, &o);

	if (!err)
		obj_unmap(o);
	return err;
}

/* No kind of link that can be made here takes another program. */
long cmd_link_update(struct call *k)
{
	union skep_attr *a = &k->a;
	u32 type, expected;
	int err;

	if (a->link_update.flags & ~BPF_F_REPLACE)
		return -EINVAL;
	err = need_link(k, a->link_update.link_fd);
	if (!err)
		err = prog_types(k, a->link_update.new_prog_fd, &type, &expected);
	if (!err && a->link_update.flags & BPF_F_REPLACE)
		err = prog_types(k, a->link_update.old_prog_fd, &type, &expected);
	return err ? err : -EINVAL;
}

/* Nor can one be ended but by closing it. */
long cmd_link_detach(struct call *k)
{
	int err = need_link(k, k->a.link_detach.link_fd);

	return err ? err : -EOPNOTSUPP;
}

long cmd_iter_create(struct call *k)
{
	int err;

	if (k->a.iter_create.flags)
		return -EINVAL;
	err = need_link(k, k->a.iter_create.link_fd);
	return err ? err : -EINVAL;
}

#ifndef BPF_F_BEFORE			/* newer than the headers of Linux 6.1 */
#define BPF_F_BEFORE	BIT(3)
#define BPF_F_AFTER	BIT(4)
#define BPF_F_ID	BIT(5)
#define BPF_F_PREORDER	BIT(6)
#define BPF_F_LINK	BIT(13)
#endif
#define ATTACH_FLAGS (BPF_F_ALLOW_OVERRIDE | BPF_F_ALLOW_MULTI | BPF_F_REPLACE | BPF_F_PREORDER)
#define MPROG_FLAGS (BPF_F_REPLACE | BPF_F_BEFORE | BPF_F_AFTER | BPF_F_ID | BPF_F_LINK)

/* Flags that PROG_ATTACH and PROG_DETACH take for programs of TYPE. */
static int check_flags(u32 type, u32 flags, u32 relative, u64 revision)
{
	if (type == BPF_PROG_TYPE_SCHED_CLS)
		return flags & ~MPROG_FLAGS ? -EINVAL : 0;
	if (IN_SET(type, CGROUP_PROGS) || type == BPF_PROG_TYPE_LSM)
		return flags & ~(ATTACH_FLAGS | MPROG_FLAGS) ? -EINVAL : 0;
	return flags & ~ATTACH_FLAGS || relative || revision ? -EINVAL : 0;
}

long cmd_prog_attach(struct call *k)
{
	union skep_attr *a = &k->a;
	u32 want = prog_type_of(a->attach_type), type, expected;
	int err;

	if (want == BPF_PROG_TYPE_UNSPEC)
		return -EINVAL;
	err = check_flags(want, a->attach_flags, a->relative_fd, a->expected_revision);
	if (err)
		return err;
	err = prog_types(k, a->attach_bpf_fd, &type, &expected);
	if (err)
		return err;
	if (type != want || check_attach_type(type, expected, a->attach_type))
		return -EINVAL;
	err = check_target(k, target_of(type), a->target_fd);
	return err ? err : -EOPNOTSUPP;
}

long cmd_prog_detach(struct call *k)
{
	union skep_attr *a = &k->a;
	u32 want = prog_type_of(a->attach_type);
	int err;

	if (target_of(want) == T_NONE || want == BPF_PROG_TYPE_XDP)
		return want == BPF_PROG_TYPE_LIRC_MODE2 ? -EBADF : -EINVAL;
	err = check_flags(want, a->attach_flags, a->relative_fd, a->expected_revision);
	if (!err && IN_SET(want, CGROUP_PROGS) && (a->attach_flags || a->relative_fd))
		err = -EINVAL;
	if (err)
		return err;
	if (want == BPF_PROG_TYPE_FLOW_DISSECTOR || want == BPF_PROG_TYPE_SK_LOOKUP) {
		if (a->attach_flags || a->target_fd || a->replace_bpf_fd)
			return -EINVAL;
		return want == BPF_PROG_TYPE_SK_LOOKUP ? -EOPNOTSUPP : -ENOENT;
	}
	err = check_target(k, target_of(want), a->target_fd);
	return err ? err : -ENOENT;
}

long cmd_prog_query(struct call *k)
{
	u32 want = prog_type_of(k->a.query.attach_type);
	int err;

	if (!call_capable(k, VFY_CAP_NET_ADMIN))
		return -EPERM;
	if (k->a.query.query_flags & ~BPF_F_QUERY_EFFECTIVE)
		return -EINVAL;
	if (target_of(want) == T_NONE || want == BPF_PROG_TYPE_XDP)
		return -EINVAL;
	err = check_target(k, target_of(want), k->a.query.target_fd);
	return err ? err : -EOPNOTSUPP;
}

static int open_raw(struct call *k, int own)
{
	struct attach_prog p;
	struct link_meta m;
	char name[128];
	long n;
	int err = attach_prog_of(k->c->dir, own, &p);
	u32 type = p.h.prog_type;

	if (err)
		return err;
	if (type == BPF_PROG_TYPE_TRACING || type == BPF_PROG_TYPE_EXT || type == BPF_PROG_TYPE_LSM)
		return k->a.raw_tracepoint.name ? -EINVAL : -EOPNOTSUPP;
	if (type != BPF_PROG_TYPE_RAW_TRACEPOINT && type != BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE)
		return -EINVAL;
	n = k->c->ops->copy_str(k->c->arg, name, k->a.raw_tracepoint.name, sizeof(name));
	if (n < 0)
		return n == -E2BIG ? -ENOENT : (int)n;
	err = attach_raw_meta(name, &m);
	if (!err)
		err = attach_prog_check(k->c->dir, &m, &p, own);
	if (err)
		return err;
	attach_fill(&m, &p, k->a.raw_tracepoint.cookie);
	return attach_make_link(k->c->dir, &m, &p, NULL);
}

long cmd_raw_tracepoint_open(struct call *k)
{
	int own = k->c->ops->fd_in(k->c->arg, (int)k->a.raw_tracepoint.prog_fd), err;

	if (own < 0)
		return own;
	err = open_raw(k, own);
	k->c->ops->fd_put(k->c->arg, own);
	return err < 0 ? err : call_give_fd(k, err);
}
