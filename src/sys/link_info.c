/* SPDX-License-Identifier: Apache-2.0 */
/* link_info.c - what links and perf events tell of themselves: OBJ_GET_INFO_BY_FD, fdinfo, TASK_FD_QUERY. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sbuf.h"
#include "sys/attach.h"
#include "sys/cmds.h"
#include "sys/info.h"

#define KPROBE_LIKE(type) ((type) == BPF_PERF_EVENT_KPROBE || (type) == BPF_PERF_EVENT_KRETPROBE)

/* NAME into the client's buffer of *LEN bytes; *LEN becomes the bytes it takes. -ENOSPC: cut, as the kernel does. */
static int put_name(struct call *k, u64 dst, u32 *len, const char *name)
{
	u32 room = *len, n = (u32)strlen(name) + 1;

	if (!dst != !room)
		return -EINVAL;
	if (!dst) {
		*len = n;
		return 0;
	}
	if (call_out(k, dst, name, MIN(n, room)))
		return -EFAULT;
	if (n > room)
		return call_out(k, dst + room - 1, "", 1) ? -EFAULT : -ENOSPC;
	*len = n;
	return 0;
}

static int fill(struct call *k, const struct link_meta *m, struct skep_link_info *i)
{
	if (m->link_type == BPF_LINK_TYPE_RAW_TRACEPOINT) {
		i->raw_tracepoint.cookie = m->cookie;
		return put_name(k, i->raw_tracepoint.tp_name, &i->raw_tracepoint.tp_name_len, m->name);
	}
	i->perf_event.type = m->event_type;
	if (KPROBE_LIKE(m->event_type)) {
		i->perf_event.kprobe.offset = 0;
		i->perf_event.kprobe.addr = 0;		/* as to those who may not see kernel addresses */
		i->perf_event.kprobe.missed = 0;
		i->perf_event.kprobe.cookie = m->cookie;
		return put_name(k, i->perf_event.kprobe.func_name, &i->perf_event.kprobe.name_len, m->name);
	}
	i->perf_event.tracepoint.cookie = m->cookie;
	return put_name(k, i->perf_event.tracepoint.tp_name, &i->perf_event.tracepoint.name_len, m->name);
}

long link_info(struct call *k, u32 id)
{
	struct skep_link_info i;
	struct hook_link l;
	u32 len;
	int err = info_in(k, &i, sizeof(i), &len);

	if (!err)
		err = hook_get_link(k->c->dir, OBJ_LINK, id, &l) ? -EUCLEAN : 0;
	if (err)
		return err;
	i.type = l.m.link_type;
	i.id = id;
	i.prog_id = l.m.prog_id;
	err = fill(k, &l.m, &i);
	return err ? err : info_back(k, &i, len);
}

/* ---- fdinfo ---- */

void link_text(struct obj_dir *d, enum obj_kind kind, u32 id, struct sbuf *out)
{
	bool raw;
	struct image_hdr h;
	struct obj_hdr prog;
	struct hook_link l;

	if (kind != OBJ_LINK || hook_get_link(d, kind, id, &l))
		return;				/* events tell nothing, as the kernel's */
	raw = l.m.link_type == BPF_LINK_TYPE_RAW_TRACEPOINT;
	sbuf_printf(out, "link_type:\t%s\nlink_id:\t%u\n", raw ? "raw_tracepoint" : "perf", id);
	if (!obj_peek(d, OBJ_PROG, l.m.prog_id, &prog)) {
		memcpy(&h, prog.kind_data, sizeof(h));
		sbuf_printf(out, "prog_tag:\t");
		for (size_t i = 0; i < sizeof(h.tag); i++)
			sbuf_printf(out, "%02x", h.tag[i]);
		sbuf_printf(out, "\nprog_id:\t%u\n", l.m.prog_id);
	}
	if (KPROBE_LIKE(l.m.event_type))
		sbuf_printf(out, "name:\t%s\noffset:\t0x0\nmissed:\t0\naddr:\t0x0\nevent_type:\t%s\n", l.m.name,
			    l.m.event_type == BPF_PERF_EVENT_KPROBE ? "kprobe" : "kretprobe");
	else
		sbuf_printf(out, "tp_name:\t%s\n%s", l.m.name, raw ? "" : "event_type:\ttracepoint\n");
	sbuf_printf(out, "cookie:\t%llu\n", (unsigned long long)l.m.cookie);
}

/* ---- TASK_FD_QUERY ---- */

/* Which object of the directory is fd N of process PID? By the name that it was opened by, if that is still its. */
static int find_fd(struct obj_dir *d, u32 pid, u32 n, enum obj_kind *kind, u32 *id)
{
	char path[64], name[512], *slash;
	struct stat st, own;
	ssize_t len;
	int fd, err = -SYS_ENOTSUPP;

	snprintf(path, sizeof(path), "/proc/%u/fd/%u", pid, n);
	len = readlink(path, name, sizeof(name) - 1);
	if (len < 0)
		return errno == ENOENT ? -EBADF : -errno;
	name[len] = 0;
	slash = strrchr(name, '/');
	if (!slash || stat(path, &st))
		return err;
	*id = (u32)strtoul(slash + 1, NULL, 10);
	*slash = 0;
	slash = strrchr(name, '/');
	*kind = slash && !strcmp(slash + 1, obj_kind_name(OBJ_LINK)) ? OBJ_LINK : OBJ_PERF;
	fd = obj_open_id(d, *kind, *id, O_RDONLY);
	if (fd < 0)
		return err;
	if (!fstat(fd, &own) && own.st_dev == st.st_dev && own.st_ino == st.st_ino)
		err = 0;
	close(fd);
	return err;
}

struct find {
	const struct hook_link *event;
	struct hook_link link;
};

static int of_event(void *arg, const struct hook_link *l)
{
	struct find *f = arg;

	f->link = *l;
	return l->m.event_id == f->event->id && l->m.event_gen == f->event->gen;
}

/* The attachment that the fd stands for: a raw tracepoint's link, or an event with a program. */
static int find_attachment(struct obj_dir *d, enum obj_kind kind, u32 id, struct hook_link *l)
{
	struct find f = { .event = l };
	int ret;

	if (hook_get_link(d, kind, id, l))
		return -SYS_ENOTSUPP;
	if (kind == OBJ_LINK)
		return l->m.link_type == BPF_LINK_TYPE_RAW_TRACEPOINT ? 0 : -SYS_ENOTSUPP;
	if (l->m.prog_id)
		return 0;
	ret = hook_each_link(d, of_event, &f);
	if (ret <= 0)
		return ret ? ret : -ENOENT;
	*l = f.link;
	return 0;
}

static u32 fd_type_of(const struct link_meta *m)
{
	switch (m->event_type) {
	case BPF_PERF_EVENT_TRACEPOINT:
		return BPF_FD_TYPE_TRACEPOINT;
	case BPF_PERF_EVENT_KPROBE:
		return BPF_FD_TYPE_KPROBE;
	case BPF_PERF_EVENT_KRETPROBE:
		return BPF_FD_TYPE_KRETPROBE;
	}
	return BPF_FD_TYPE_RAW_TRACEPOINT;
}

/* As bpf_task_fd_query_copy(): a name that does not fit is cut, and the rest is told all the same. */
static int tell(struct call *k, const struct link_meta *m)
{
	union skep_attr *a = &k->a;
	u32 room = a->task_fd_query.buf_len, len = (u32)strlen(m->name), n = MIN(room, len + 1);

	a->task_fd_query.buf_len = len;
	a->task_fd_query.prog_id = m->prog_id;
	a->task_fd_query.fd_type = fd_type_of(m);
	a->task_fd_query.probe_offset = a->task_fd_query.probe_addr = 0;
	if (CALL_PUT(k, task_fd_query.buf_len))
		return -EFAULT;
	if (room && a->task_fd_query.buf &&
	    (call_out(k, a->task_fd_query.buf, m->name, n) ||
	     call_out(k, a->task_fd_query.buf + n - 1, "", 1)))
		return -EFAULT;
	if (CALL_PUT(k, task_fd_query.prog_id) || CALL_PUT(k, task_fd_query.fd_type) ||
	    CALL_PUT(k, task_fd_query.probe_offset) || CALL_PUT(k, task_fd_query.probe_addr))
		return -EFAULT;
	return room && a->task_fd_query.buf && n <= len ? -ENOSPC : 0;
}

long cmd_task_fd_query(struct call *k)
{
	u32 pid = k->a.task_fd_query.pid, id = 0;
	enum obj_kind kind = OBJ_LINK;
	struct hook_link l;
	char path[64];
	struct stat st;
	int err;

	if (!call_capable(k, VFY_CAP_SYS_ADMIN))
		return -EPERM;
	if (k->a.task_fd_query.flags)
		return -EINVAL;
	snprintf(path, sizeof(path), "/proc/%u", pid);
	if (!pid || stat(path, &st))
		return -ENOENT;
	err = find_fd(k->c->dir, pid, k->a.task_fd_query.fd, &kind, &id);
	if (!err)
		err = find_attachment(k->c->dir, kind, id, &l);
	return err ? err : tell(k, &l.m);
}
