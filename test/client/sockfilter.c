/* SPDX-License-Identifier: Apache-2.0 */
/* sockfilter.c - a client of SO_ATTACH_FILTER and SO_ATTACH_BPF that prints what it sees: run once on the kernel and once
 * under the preload, both must print the same. "packet": as root in an own network namespace, AF_PACKET on lo. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define K(c, k)		{ c, 0, 0, (unsigned int)(k) }
#define J(c, t, f, k)	{ c, t, f, (unsigned int)(k) }
#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

static int attach(int fd, const struct sock_filter *f, unsigned short n)
{
	struct sock_fprog p = { n, (struct sock_filter *)f };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p)) ? -errno : 0;
}

static void say(const char *what, long ret, const void *buf)
{
	printf("%s: ", what);
	if (ret < 0)
		printf("%s\n", strerrorname_np(errno));
	else
		printf("%ld '%.*s'\n", ret, (int)(ret > 60 ? 60 : ret), buf ? (const char *)buf : "");
}

/* keep those that begin with 'k', cut to N; drop the rest */
static void begins_with_k(struct sock_filter *f, unsigned int off, unsigned int n)
{
	const struct sock_filter p[] = { K(0x30, off), J(0x15, 0, 1, 'k'), K(6, n), K(6, 0) };

	memcpy(f, p, sizeof(p));
}

static void errors(void)
{
	static const struct sock_filter all[] = { K(6, -1) }, bad[] = { K(0x34, 0), K(6, 0) };
	int s = socket(AF_UNIX, SOCK_DGRAM, 0), map, v = 1, fd;
	struct sock_fprog p = { 1, (struct sock_filter *)all };
	struct sock_filter back[4];
	socklen_t len;

	printf("detach without: %s\n", setsockopt(s, SOL_SOCKET, SO_DETACH_FILTER, &v, sizeof(v)) ? strerrorname_np(errno) : "ok");
	printf("empty: %d\n", attach(s, all, 0));
	printf("division by zero: %d\n", attach(s, bad, 2));
	printf("short option: %d\n", setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &p, 4) ? errno : 0);
	printf("long option: %d\n", setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p) + 8) ? errno : 0);
	printf("bad option address: %d\n", setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, (void *)8, sizeof(p)) ? errno : 0);
	p.filter = (void *)8;
	printf("bad program address: %d\n", setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p)) ? errno : 0);
	len = 0;
	printf("get without: %d %u\n", getsockopt(s, SOL_SOCKET, SO_GET_FILTER, back, &len), len);
	printf("attach: %d\n", attach(s, all, 1));
	len = 0;
	printf("get size: %d", getsockopt(s, SOL_SOCKET, SO_GET_FILTER, back, &len));
	printf(" %u\n", len);
	len = 4;
	memset(back, 0, sizeof(back));
	printf("get: %d", getsockopt(s, SOL_SOCKET, SO_GET_FILTER, back, &len));
	printf(" %u %#x %#x\n", len, back[0].code, back[0].k);
	fd = -1;
	printf("SO_ATTACH_BPF of no fd: %d\n", setsockopt(s, SOL_SOCKET, SO_ATTACH_BPF, &fd, sizeof(fd)) ? errno : 0);
	map = open("/dev/null", O_RDONLY);
	printf("SO_ATTACH_BPF of a file: %d\n", setsockopt(s, SOL_SOCKET, SO_ATTACH_BPF, &map, sizeof(map)) ? errno : 0);
	printf("lock: %d\n", setsockopt(s, SOL_SOCKET, SO_LOCK_FILTER, &v, sizeof(v)));
	len = sizeof(v);
	v = 0;
	printf("locked: %d", getsockopt(s, SOL_SOCKET, SO_LOCK_FILTER, &v, &len));
	printf(" %d %u\n", v, len);
	printf("attach when locked: %d\n", attach(s, all, 1));
	printf("detach when locked: %d\n", setsockopt(s, SOL_SOCKET, SO_DETACH_FILTER, &v, sizeof(v)) ? errno : 0);
	v = 0;
	printf("unlock: %d\n", setsockopt(s, SOL_SOCKET, SO_LOCK_FILTER, &v, sizeof(v)) ? errno : 0);
	close(s);
}

static void send_all(int fd)
{
	static const char *const msgs[] = { "drop one", "keep one", "drop two", "keep two and more", "k", "" };

	for (unsigned int i = 0; i < N(msgs); i++)
		if (send(fd, msgs[i], strlen(msgs[i]), 0) < 0)
			perror("send");
}

/* Every way to read. The socket holds three packets that pass. */
static void ways(const char *kind, int tx, int rx, const struct sock_filter *f, unsigned short n)
{
	char b[64], c[4][64], name[64];
	struct iovec v[2] = { { b, 3 }, { b + 3, 61 } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };
	struct mmsghdr mm[4];
	struct iovec mv[4];
	int got;

	printf("%s: attach %d\n", kind, attach(rx, f, n));
	send_all(tx);
	say("recv peek", recv(rx, b, sizeof(b), MSG_PEEK | MSG_DONTWAIT), b);
	say("recv", recv(rx, b, sizeof(b), MSG_DONTWAIT), b);
	say("recv, small, real length", recv(rx, b, 2, MSG_DONTWAIT | MSG_TRUNC), b);
	say("recv", recv(rx, b, sizeof(b), MSG_DONTWAIT), b);
	say("recv, nothing left", recv(rx, b, sizeof(b), MSG_DONTWAIT), b);
	send_all(tx);
	say("read", read(rx, b, sizeof(b)), b);
	say("recvfrom", recvfrom(rx, b, sizeof(b), 0, NULL, NULL), b);
	say("read", read(rx, b, sizeof(b)), b);
	send_all(tx);
	got = (int)recvmsg(rx, &m, 0);
	snprintf(name, sizeof(name), "recvmsg, flags %#x", m.msg_flags);
	say(name, got, b);
	v[0].iov_len = v[1].iov_len = 2;
	got = (int)recvmsg(rx, &m, 0);
	snprintf(name, sizeof(name), "recvmsg, small, flags %#x", m.msg_flags);
	say(name, got, b);
	say("readv", readv(rx, v, 2), b);
	send_all(tx);
	memset(mm, 0, sizeof(mm));
	for (int i = 0; i < 4; i++) {
		mv[i] = (struct iovec) { c[i], 64 };
		mm[i].msg_hdr.msg_iov = &mv[i];
		mm[i].msg_hdr.msg_iovlen = 1;
	}
	got = recvmmsg(rx, mm, 4, MSG_DONTWAIT, NULL);
	printf("recvmmsg: %d\n", got);
	for (int i = 0; i < got; i++)
		say("  message", mm[i].msg_len, c[i]);
	close(tx);
	close(rx);
}

static void unix_sockets(void)
{
	struct sock_filter f[4];
	int sv[2];

	begins_with_k(f, 0, 6);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, sv);
	ways("unix datagram", sv[0], sv[1], f, 4);
	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv);
	ways("unix seqpacket", sv[0], sv[1], f, 4);
}

static int udp_pair(int family, int *tx)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *a = family == AF_INET ? (void *)&a4 : (void *)&a6;
	socklen_t n = family == AF_INET ? sizeof(a4) : sizeof(a6);
	int rx = socket(family, SOCK_DGRAM, 0);

	*tx = socket(family, SOCK_DGRAM, 0);
	if (bind(rx, a, n) || getsockname(rx, a, &n) || connect(*tx, a, n))
		return -1;
	return rx;
}

static void udp(int family, const char *kind)
{
	struct sock_filter f[8];
	unsigned int mem[16];
	socklen_t len = sizeof(mem);
	int tx, rx = udp_pair(family, &tx), one;
	char b[64];

	if (rx < 0) {
		printf("%s: none here\n", kind);
		return;
	}
	begins_with_k(f, 8, 8 + 6);		/* behind the UDP header, which counts */
	ways(kind, tx, rx, f, 4);
	rx = udp_pair(family, &tx);
	begins_with_k(f, 8, 3);			/* less than the header: nothing is left but the header */
	printf("%s: attach %d\n", kind, attach(rx, f, 4));
	send_all(tx);
	say("cut to less than the header", recv(rx, b, sizeof(b), MSG_DONTWAIT), b);
	while (recv(rx, b, sizeof(b), MSG_DONTWAIT) >= 0)
		;
	getsockopt(rx, SOL_SOCKET, SO_MEMINFO, mem, &len);
	printf("drops: %u\n", mem[8]);
	one = dup(rx);
	send_all(tx);
	say("through a dup", recv(one, b, sizeof(b), MSG_DONTWAIT), b);
	close(rx);
	close(one);
	close(tx);
	rx = udp_pair(family, &tx);
	{	/* the length of the UDP header's own field, the network header, A as the value */
		const struct sock_filter p[] = { K(0x28, 4), J(0x15, 0, 5, 8 + 5), K(0x30, SKF_NET_OFF),
			K(0x54, 0xf0), J(0x15, 1, 0, 0x40), J(0x15, 0, 1, 0x60), K(6, 100), K(6, 0) };

		printf("%s: attach %d\n", kind, attach(rx, p, N(p)));
	}
	send(tx, "12345", 5, 0);
	send(tx, "1234", 4, 0);
	say("by length", recv(rx, b, sizeof(b), MSG_DONTWAIT), b);
	say("by length", recv(rx, b, sizeof(b), MSG_DONTWAIT), b);
	{	/* a blocking read waits over what is dropped, up to the socket's timeout */
		struct timeval t = { 0, 50000 };

		setsockopt(rx, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
		send(tx, "1234", 4, 0);
		say("timeout behind a drop", recv(rx, b, sizeof(b), 0), b);
	}
	close(rx);
	close(tx);
}

static void by_program(void)
{
	const struct bpf_insn insns[] = {	/* r0 = the first byte is 'k' ? 5 : 0 */
		{ .code = 0xbf, .dst_reg = 6, .src_reg = 1 }, { .code = 0x30, .imm = 0 },
		{ .code = 0x55, .dst_reg = 0, .off = 2, .imm = 'k' }, { .code = 0xb7, .dst_reg = 0, .imm = 5 },
		{ .code = 0x95 }, { .code = 0xb7, .dst_reg = 0, .imm = 0 }, { .code = 0x95 },
	};
	union bpf_attr a = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insn_cnt = N(insns) };
	struct sock_filter back[4];
	socklen_t len = 4;
	char b[64];
	int sv[2], fd;

	a.insns = (unsigned long)insns;
	a.license = (unsigned long)"GPL";
	fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &a, sizeof(a));
	socketpair(AF_UNIX, SOCK_DGRAM, 0, sv);
	printf("SO_ATTACH_BPF: %d\n", setsockopt(sv[1], SOL_SOCKET, SO_ATTACH_BPF, &fd, sizeof(fd)) ? errno : 0);
	close(fd);
	send_all(sv[0]);
	say("program", recv(sv[1], b, sizeof(b), MSG_DONTWAIT), b);
	say("program", recv(sv[1], b, sizeof(b), MSG_DONTWAIT), b);
	printf("get of a program: %d\n", getsockopt(sv[1], SOL_SOCKET, SO_GET_FILTER, back, &len) ? errno : 0);
	printf("detach: %d\n", setsockopt(sv[1], SOL_SOCKET, SO_DETACH_BPF, &fd, sizeof(fd)) ? errno : 0);
	while (recv(sv[1], b, sizeof(b), MSG_DONTWAIT) >= 0)
		;
	send_all(sv[0]);
	say("detached", recv(sv[1], b, sizeof(b), MSG_DONTWAIT), b);
	close(sv[0]);
	close(sv[1]);
}

/* ---- AF_PACKET ---- */
static unsigned int value_of(int rx, int tx, const struct sock_filter *f, unsigned int n)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(0x88b5), .sll_ifindex = (int)if_nametoindex("lo") };
	unsigned char frame[60] = { 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0x88, 0xb5, 'h', 'e', 'l', 'l', 'o' };
	unsigned int lo = 0, hi = 100000;
	struct sock_filter p[64];
	char b[200];

	/* which value A has behind F, by bisection */
	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;

		memcpy(p, f, n * sizeof(*f));
		p[n] = (struct sock_filter)J(0x25, 1, 0, mid);
		p[n + 1] = (struct sock_filter)K(6, 0);
		p[n + 2] = (struct sock_filter)K(6, -1);
		while (recv(rx, b, sizeof(b), MSG_DONTWAIT) >= 0)
			;
		attach(rx, p, (unsigned short)(n + 3));
		sendto(tx, frame, sizeof(frame), 0, (void *)&to, sizeof(to));
		if (recv(rx, b, sizeof(b), MSG_DONTWAIT) >= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void packet(int type)
{
	static const struct { const char *name; unsigned int off; } ads[] = {
		{ "proto", SKF_AD_PROTOCOL }, { "ifidx", SKF_AD_IFINDEX }, { "hatype", SKF_AD_HATYPE },
		{ "vlan_avail", SKF_AD_VLAN_TAG_PRESENT }, { "mark", SKF_AD_MARK }, { "queue", SKF_AD_QUEUE },
		{ "poff", SKF_AD_PAY_OFFSET },
	};
	int tx = socket(AF_PACKET, SOCK_RAW, 0), rx = socket(AF_PACKET, type, htons(0x88b5));
	struct sock_filter net[] = { K(0x30, SKF_NET_OFF + 1) }, len[] = { K(0x80, 0) }, ad[1];
	struct sock_filter link[] = { K(0x30, SKF_LL_OFF + 6) };

	if (rx < 0 || tx < 0) {
		perror("socket");
		return;
	}
	for (unsigned int i = 0; i < N(ads); i++) {
		ad[0] = (struct sock_filter)K(0x20, SKF_AD_OFF + ads[i].off);
		printf("packet %d: %s %u\n", type, ads[i].name, value_of(rx, tx, ad, 1));
	}
	printf("packet %d: len %u\n", type, value_of(rx, tx, len, 1));
	printf("packet %d: network header %u\n", type, value_of(rx, tx, net, 1));
	if (type == SOCK_RAW)
		printf("packet %d: link header %u\n", type, value_of(rx, tx, link, 1));
	close(rx);
	close(tx);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && !strcmp(argv[1], "packet")) {
		struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
		int s = socket(AF_INET, SOCK_DGRAM, 0);

		if (ioctl(s, SIOCSIFFLAGS, &r))
			perror("lo");
		packet(SOCK_RAW);
		packet(SOCK_DGRAM);
		return 0;
	}
	errors();
	unix_sockets();
	udp(AF_INET, "UDP");
	udp(AF_INET6, "UDP6");
	by_program();
	return 0;
}
