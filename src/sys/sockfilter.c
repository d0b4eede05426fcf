/* SPDX-License-Identifier: Apache-2.0 */
/* sockfilter.c - see sockfilter.h.
 *
 * The kernel filters when a packet arrives; here it is filtered when it is read: looked at by MSG_PEEK, put behind the
 * headers that a filter sees on such a socket, and then either taken off the queue and counted, or read for the caller, cut
 * to what the filter returned. Filters belong to the socket, known by its inode, so that dup() and fork() share them.
 * Locks: the table's; a socket's own from the look at a packet until it is read. Waiting is done without. */
#include "sys/sockfilter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fault.h"
#include "sys/door.h"
#include "sys/filter.h"

#ifndef SO_DETACH_BPF
#define SO_DETACH_BPF	SO_DETACH_FILTER
#endif
#define MAX_SOCKETS	4096
#define ETH		14
#define HEAD_MAX	(ETH + 40 + 8)		/* link, IPv6 and UDP header in front of the payload */

struct sockf {
	struct sockf *next;
	dev_t dev;
	ino_t ino;
	int family, type, proto;
	struct filter *classic;		/* one of the two, or none (only locked) */
	struct prog *prog;
	struct sock_filter *orig;	/* classic, as attached */
	u32 nr_orig;
	bool locked;
	u64 drops;
	pthread_mutex_t lock;
	u8 *buf;			/* HEAD_MAX + cap bytes, under the lock */
	size_t cap;
};

static struct sockf *table;
static u32 nr_sockets;
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;

bool sockf_any(void)
{
	return READ_ONCE(nr_sockets) != 0;
}

/* ---- the table ---- */
static void init_lock(pthread_mutex_t *m)
{
	pthread_mutexattr_t a;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(m, &a);
	pthread_mutexattr_destroy(&a);
}

/* Of a fork, only the forking thread lives on: nobody holds these any more. */
static void after_fork(void)
{
	pthread_mutex_init(&table_lock, NULL);
	for (struct sockf *s = table; s; s = s->next)
		init_lock(&s->lock);
}

static struct sockf *find(int fd)
{
	struct sockf *s;
	struct stat st;

	if (raw_syscall(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) || !S_ISSOCK(st.st_mode))
		return NULL;
	pthread_mutex_lock(&table_lock);
	for (s = table; s; s = s->next)
		if (s->ino == st.st_ino && s->dev == st.st_dev)
			break;
	pthread_mutex_unlock(&table_lock);
	return s;
}

static int sock_int(int fd, int name)
{
	socklen_t len = sizeof(int);
	int v = -1;

	raw_syscall(SYS_getsockopt, fd, SOL_SOCKET, name, (long)&v, (long)&len, 0);
	return v;
}

/* Entries are never freed, so that readers need no reference; a closed socket's is used again for a new one. */
static bool is_gone(const struct sockf *s)
{
	char link[40], want[40], got[64];
	long n;

	snprintf(want, sizeof(want), "socket:[%llu]", (unsigned long long)s->ino);
	for (int fd = 0; fd < 1024; fd++) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = raw_syscall(SYS_readlinkat, AT_FDCWD, (long)link, (long)got, sizeof(got) - 1, 0, 0);
		if (n <= 0)
			continue;
		got[n] = 0;
		if (!strcmp(got, want))
			return false;
	}
	return true;
}

static void drop_filter(struct sockf *s)
{
	filter_close(s->classic);
	if (s->prog)
		prog_put(s->prog);
	free(s->orig);
	s->classic = NULL;
	s->prog = NULL;
	s->orig = NULL;
	s->nr_orig = 0;
}

static struct sockf *reuse(void)
{
	if (nr_sockets % 64 && nr_sockets < MAX_SOCKETS)
		return NULL;
	for (struct sockf *s = table; s; s = s->next) {
		if (!is_gone(s) || pthread_mutex_trylock(&s->lock))
			continue;
		drop_filter(s);
		s->locked = false;
		s->drops = 0;
		pthread_mutex_unlock(&s->lock);
		return s;
	}
	return NULL;
}

static struct sockf *add(int fd)
{
	struct sockf *s = find(fd);
	static bool once;
	struct stat st;
	bool fresh;

	if (s || raw_syscall(SYS_fstat, fd, (long)&st, 0, 0, 0, 0))
		return s;
	pthread_mutex_lock(&table_lock);
	if (!once)
		pthread_atfork(NULL, NULL, after_fork);
	once = true;
	s = reuse();
	fresh = !s;
	if (fresh && nr_sockets < MAX_SOCKETS)
		s = calloc(1, sizeof(*s));
	if (s) {
		s->ino = st.st_ino;
		s->dev = st.st_dev;
		s->family = sock_int(fd, SO_DOMAIN);
		s->type = sock_int(fd, SO_TYPE);
		s->proto = sock_int(fd, SO_PROTOCOL);
	}
	if (s && fresh) {
		init_lock(&s->lock);
		s->next = table;
		STORE_RELEASE(table, s);
		WRITE_ONCE(nr_sockets, nr_sockets + 1);
	}
	pthread_mutex_unlock(&table_lock);
	return s;
}

/* ---- attaching ---- */
static int replace(struct sockf *s, struct filter *classic, struct prog *prog, struct sock_filter *orig, u32 nr)
{
	int err = pthread_mutex_lock(&s->lock);

	if (err)
		return -err;
	drop_filter(s);
	s->classic = classic;
	s->prog = prog;
	s->orig = orig;
	s->nr_orig = nr;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int attach_classic(int fd, const void *val, socklen_t len)
{
	struct sock_fprog p;
	struct sock_filter *f;
	struct filter *compiled;
	struct sockf *s;
	int err;

	if (len != sizeof(p))
		return -EINVAL;
	if (fault_copy_from(&p, val, sizeof(p)))
		return -EFAULT;
	if (!p.filter || !p.len || p.len > CBPF_MAX_INSNS)
		return -EINVAL;
	f = malloc(p.len * sizeof(*f));
	if (!f)
		return -ENOMEM;
	err = fault_copy_from(f, p.filter, p.len * sizeof(*f));
	err = err ? err : filter_open(f, p.len, 0, "socket", &compiled, NULL);
	if (err) {
		free(f);
		return err;
	}
	if (compiled->fd >= 0)			/* this process has its own copy: no descriptor that it did not open */
		close(compiled->fd);
	compiled->fd = -1;
	s = add(fd);
	err = s ? replace(s, compiled, NULL, f, p.len) : -ENOMEM;
	if (err) {
		filter_close(compiled);
		free(f);
	}
	return err;
}

static int attach_bpf(int fd, const void *val, socklen_t len)
{
	struct obj_dir *dir;
	struct sockf *s;
	struct prog *p;
	int prog_fd, err;

	if (len != sizeof(prog_fd))
		return -EINVAL;
	if (fault_copy_from(&prog_fd, val, sizeof(prog_fd)))
		return -EFAULT;
	if (fcntl(prog_fd, F_GETFD) < 0)
		return -EBADF;
	err = door_dir(&dir);
	err = err ? err : prog_open_fd(dir, prog_fd, &p);
	if (err)
		return err == -EBADF ? err : -EINVAL;
	s = p->hdr.prog_type == BPF_PROG_TYPE_SOCKET_FILTER ? add(fd) : NULL;
	err = p->hdr.prog_type != BPF_PROG_TYPE_SOCKET_FILTER ? -EINVAL : s ? replace(s, NULL, p, NULL, 0) : -ENOMEM;
	if (err)
		prog_put(p);
	return err;
}

static int detach(int fd)
{
	struct sockf *s = find(fd);

	if (!s || (!s->classic && !s->prog))
		return -ENOENT;
	return replace(s, NULL, NULL, NULL, 0);
}

static int lock_filter(int fd, bool on)
{
	struct sockf *s = on ? add(fd) : find(fd);

	if (s && s->locked && !on)
		return -EPERM;
	if (on && !s)
		return -ENOMEM;
	if (s)
		s->locked = on;
	return 0;
}

/* Stream sockets have no packets to see here: their filters are the kernel's business. */
static bool is_ours(int fd)
{
	int type = sock_int(fd, SO_TYPE);

	return type == SOCK_DGRAM || type == SOCK_RAW || type == SOCK_SEQPACKET || type == SOCK_RDM;
}

static int set(int fd, int name, const void *val, socklen_t len)
{
	struct sockf *s = find(fd);
	int on;

	if (len < sizeof(on))
		return -EINVAL;
	if (fault_copy_from(&on, val, sizeof(on)))
		return -EFAULT;
	if (s && s->locked && name != SO_LOCK_FILTER)
		return -EPERM;
	switch (name) {
	case SO_ATTACH_FILTER:
		return attach_classic(fd, val, len);
	case SO_ATTACH_BPF:
		return attach_bpf(fd, val, len);
	case SO_LOCK_FILTER:
		return lock_filter(fd, on);
	default:
		return detach(fd);
	}
}

bool sockf_setsockopt(int fd, int level, int name, const void *val, socklen_t len, int *ret)
{
	int saved = errno;

	if (level != SOL_SOCKET || (name != SO_ATTACH_FILTER && name != SO_ATTACH_BPF && name != SO_DETACH_FILTER &&
				    name != SO_LOCK_FILTER) || !is_ours(fd)) {
		errno = saved;
		return false;
	}
	fault_init();
	*ret = set(fd, name, val, len);
	errno = saved;
	*ret = (int)door_errno(*ret);
	return true;
}

/* The number of instructions, not of bytes, is what comes and goes in *len. */
static int get_filter(const struct sockf *s, void *val, socklen_t *len)
{
	u32 room = *len;

	if (!s || (!s->classic && !s->prog)) {
		*len = 0;
		return 0;
	}
	if (s->prog)
		return -EACCES;
	*len = s->nr_orig;
	if (!room)
		return 0;
	if (room < s->nr_orig) {
		*len = room;
		return -EINVAL;
	}
	return fault_copy_to(val, s->orig, s->nr_orig * sizeof(*s->orig));
}

#define MEMINFO_DROPS	8

bool sockf_getsockopt(int fd, int level, int name, void *val, socklen_t *len, int *ret)
{
	int saved = errno, v;
	struct sockf *s;

	if (level != SOL_SOCKET || !sockf_any() ||
	    (name != SO_GET_FILTER && name != SO_LOCK_FILTER && name != SO_MEMINFO))
		return false;
	s = find(fd);
	errno = saved;
	if (!s)
		return false;
	if (name == SO_GET_FILTER) {
		*ret = (int)door_errno(get_filter(s, val, len));
	} else if (name == SO_LOCK_FILTER) {
		v = s->locked;
		*len = MIN(*len, (socklen_t)sizeof(v));
		*ret = (int)door_errno(fault_copy_to(val, &v, *len));
	} else {
		*ret = (int)door_errno(raw_syscall(SYS_getsockopt, fd, level, name, (long)val, (long)len, 0));
		if (!*ret && *len >= (MEMINFO_DROPS + 1) * sizeof(u32))
			((u32 *)val)[MEMINFO_DROPS] += (u32)READ_ONCE(s->drops);
	}
	return true;
}

u64 sockf_drops(int fd)
{
	struct sockf *s = sockf_any() ? find(fd) : NULL;

	return s ? READ_ONCE(s->drops) : 0;
}

/* ---- what a filter sees ---- */
struct seen {
	struct skep_sk_buff skb;
	u32 head;			/* bytes in front of what the caller reads */
	u32 hatype;
};

static u8 *put(u8 *p, const void *v, size_t n)
{
	return mempcpy(p, v, n);
}

static u8 *put16(u8 *p, u32 v)
{
	*p++ = (u8)(v >> 8);
	*p++ = (u8)v;
	return p;
}

/* The network header, written to P; returns its end. What nobody tells (TTL, id, checksums) is 0. */
static u8 *ip_header(u8 *p, const struct sockaddr_storage *from, const struct sockaddr_storage *to, u8 proto, u32 len)
{
	const struct sockaddr_in *f4 = (const void *)from, *t4 = (const void *)to;
	const struct sockaddr_in6 *f6 = (const void *)from, *t6 = (const void *)to;

	if (from->ss_family == AF_INET6) {
		p = put(p, "\x60\0\0\0", 4);
		p = put16(p, len);
		*p++ = proto;
		*p++ = 0;
		p = put(p, &f6->sin6_addr, 16);
		return put(p, &t6->sin6_addr, 16);
	}
	p = put(p, "\x45\0", 2);
	p = put16(p, len + 20);
	p = put(p, "\0\0\0\0\0", 5);
	*p++ = proto;
	p = put16(p, 0);
	p = put(p, &f4->sin_addr, 4);
	return put(p, &t4->sin_addr, 4);
}

static u16 port_of(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)a)->sin6_port :
					  ((const struct sockaddr_in *)a)->sin_port;
}

/* Builds the headers of a UDP datagram in front of the payload at HEAD_MAX. */
static void see_udp(const struct sockf *s, int fd, struct seen *v, u32 len, const struct sockaddr_storage *from)
{
	u32 ip = from->ss_family == AF_INET6 ? 40 : 20;
	u8 *payload = s->buf + HEAD_MAX, *p = payload - 8 - ip;
	struct sockaddr_storage to = {};
	socklen_t n = sizeof(to);
	u16 ports[2];

	raw_syscall(SYS_getsockname, fd, (long)&to, (long)&n, 0, 0, 0);
	memset(p - ETH, 0, ETH);
	v->skb.mac = p - ETH;
	p = ip_header(p, from, &to, IPPROTO_UDP, len + 8);
	ports[0] = port_of(from);
	ports[1] = port_of(&to);
	p = put(p, ports, sizeof(ports));
	p = put16(p, len + 8);
	put16(p, 0);
	v->skb.data = payload - 8;
	v->head = 8;
	v->skb.protocol = htons(ip == 40 ? 0x86dd : 0x0800);
}

static void see_packet(const struct sockf *s, struct seen *v, const struct sockaddr_ll *from)
{
	v->skb.protocol = from->sll_protocol;
	v->skb.pkt_type = from->sll_pkttype;
	v->skb.ifindex = (u32)from->sll_ifindex;
	v->hatype = from->sll_hatype;
	if (s->type == SOCK_RAW) {
		v->skb.mac = v->skb.data;
	} else {				/* the link header is gone: zeros */
		memset(v->skb.data - ETH, 0, ETH);
		v->skb.mac = v->skb.data - ETH;
	}
}

static void see(const struct sockf *s, int fd, struct seen *v, u32 len, const struct sockaddr_storage *from)
{
	memset(v, 0, sizeof(*v));
	v->hatype = 0xfffe;
	v->skb.data = s->buf + HEAD_MAX;
	v->skb.data_end = v->skb.data + len;
	if (s->family == AF_PACKET)
		see_packet(s, v, (const struct sockaddr_ll *)from);
	else if ((s->family == AF_INET || s->family == AF_INET6) && s->type == SOCK_DGRAM && s->proto == IPPROTO_UDP)
		see_udp(s, fd, v, len, from);
	v->skb.len = v->skb.wire_len = (u32)(v->skb.data_end - v->skb.data);
}

/* Bytes that the filter keeps of what the caller would read; -1: none, drop it. At least CAP bytes are kept. */
static s64 verdict(const struct sockf *s, struct seen *v)
{
	u32 keep = 0, cap = v->head ? v->head : 1;
	struct run r;
	u64 ret = 0;

	v->skb.cb[CBPF_CB_HATYPE] = v->hatype;
	if (s->prog) {
		if (!prog_run(s->prog, &v->skb, &ret))
			keep = (u32)ret;
	} else {
		if (s->classic->wants)
			cbpf_prepare(&v->skb, s->classic->wants, v->hatype);
		if (!filter_enter(s->classic, &r)) {
			keep = filter_call(s->classic, &r, &v->skb);
			filter_exit(s->classic, &r);
		}
	}
	if (!keep)
		return -1;
	if (s->family == AF_PACKET)
		cap = 0;
	keep = MIN(MAX(keep, cap), v->skb.len);
	return keep - v->head;
}

/* ---- reading ---- */
static long recvmsg_raw(int fd, struct msghdr *m, int flags)
{
	return raw_syscall(SYS_recvmsg, fd, (long)m, flags, 0, 0, 0);
}

/* The whole packet at the head of the queue into the buffer, without waiting. Its length or -errno. */
static long look(struct sockf *s, int fd, struct sockaddr_storage *from)
{
	struct iovec v;
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_name = from };
	u8 *b;
	long n;

	for (;;) {
		v = (struct iovec) { s->buf ? s->buf + HEAD_MAX : NULL, s->buf ? s->cap : 0 };
		m.msg_namelen = sizeof(*from);
		m.msg_control = NULL;
		m.msg_controllen = 0;
		n = recvmsg_raw(fd, &m, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
		if (n < 0 || (s->buf && (size_t)n <= s->cap))
			return n;
		b = realloc(s->buf, HEAD_MAX + (size_t)n + 65536);
		if (!b)
			return -ENOMEM;
		s->buf = b;
		s->cap = (size_t)n + 65536;
	}
}

/* Reads the packet that was looked at, cut to KEEP bytes. */
static long read_cut(int fd, struct msghdr *m, int flags, size_t keep, size_t whole)
{
	struct iovec cut[64], *v = m->msg_iov;
	size_t n = m->msg_iovlen, room = 0, left = keep;
	long ret;

	if (keep == whole || n > ARRAY_SIZE(cut))
		return recvmsg_raw(fd, m, flags | MSG_DONTWAIT);
	for (size_t i = 0; i < n; i++) {
		room += v[i].iov_len;
		cut[i] = (struct iovec) { v[i].iov_base, MIN(v[i].iov_len, left) };
		left -= cut[i].iov_len;
	}
	m->msg_iov = cut;
	ret = recvmsg_raw(fd, m, flags | MSG_DONTWAIT);
	m->msg_iov = v;
	if (ret < 0)
		return ret;
	if (room >= keep)			/* that the rest is missing is the filter's doing, not the caller's */
		m->msg_flags &= ~MSG_TRUNC;
	return flags & MSG_TRUNC ? (long)keep : ret;
}

/* One packet that passes, without waiting. -EAGAIN: there is none. */
static long next(struct sockf *s, int fd, struct msghdr *m, int flags)
{
	struct sockaddr_storage from;
	struct iovec none = {};
	struct msghdr drop = { .msg_iov = &none };
	struct seen v;
	s64 keep;
	long n;

	if (!s->classic && !s->prog)
		return recvmsg_raw(fd, m, flags | MSG_DONTWAIT);
	for (;;) {
		memset(&from, 0, sizeof(from));
		n = look(s, fd, &from);
		if (n < 0)
			return n;
		see(s, fd, &v, (u32)n, &from);
		keep = verdict(s, &v);
		if (keep >= 0)
			return read_cut(fd, m, flags, (size_t)keep, (size_t)n);
		n = recvmsg_raw(fd, &drop, MSG_DONTWAIT);
		if (n < 0)
			return n;
		__atomic_fetch_add(&s->drops, 1, __ATOMIC_RELAXED);
	}
}

static bool waits(int fd, int flags)
{
	return !(flags & MSG_DONTWAIT) && !(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

bool sockf_recvmsg(int fd, struct msghdr *m, int flags, ssize_t *ret)
{
	int saved = errno;
	struct sockf *s;
	char byte;
	long n;

	if (likely(!sockf_any()) || flags & (MSG_ERRQUEUE | MSG_OOB))
		return false;
	s = find(fd);
	errno = saved;
	if (!s || pthread_mutex_lock(&s->lock))		/* not ours, or we are in a handler over a read under way */
		return false;
	while ((n = next(s, fd, m, flags)) == -EAGAIN && waits(fd, flags)) {
		struct iovec v = { &byte, 1 };
		struct msghdr peek = { .msg_iov = &v, .msg_iovlen = 1 };

		pthread_mutex_unlock(&s->lock);
		n = recvmsg_raw(fd, &peek, MSG_PEEK);	/* waits, with the socket's timeout */
		if (n < 0 || pthread_mutex_lock(&s->lock))
			goto out;
	}
	pthread_mutex_unlock(&s->lock);
out:
	errno = saved;
	*ret = door_errno(n);
	return true;
}
