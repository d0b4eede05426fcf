/* SPDX-License-Identifier: Apache-2.0 */
/* preload_sock.c - sockets with filters (sys/sockfilter.c): setting them, and the ways to read. Sockets without one, and
 * processes that never set one, cost a compare. The functions are cancellation points, as libc's are. */
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "front/preload.h"
#include "sys/sockfilter.h"

SKEP_API int setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	int ret;

	if (sockf_setsockopt(fd, level, name, val, len, &ret))
		return ret;
	return REAL(setsockopt)(fd, level, name, val, len);
}

SKEP_API int getsockopt(int fd, int level, int name, void *restrict val, socklen_t *restrict len)
{
	int ret;

	if (sockf_getsockopt(fd, level, name, val, len, &ret))
		return ret;
	return REAL(getsockopt)(fd, level, name, val, len);
}

/* ---- reading ---- */
static bool read_into(int fd, void *buf, size_t n, int flags, ssize_t *ret)
{
	struct iovec v = { buf, n };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	return sockf_recvmsg(fd, &m, flags, ret);
}

SKEP_API ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	ssize_t ret;

	if (unlikely(sockf_any()) && sockf_recvmsg(fd, m, flags, &ret))
		return ret;
	return REAL(recvmsg)(fd, m, flags);
}

SKEP_API ssize_t recv(int fd, void *buf, size_t n, int flags)
{
	ssize_t ret;

	if (unlikely(sockf_any()) && read_into(fd, buf, n, flags, &ret))
		return ret;
	return REAL(recv)(fd, buf, n, flags);
}

SKEP_API ssize_t recvfrom(int fd, void *restrict buf, size_t n, int flags, __SOCKADDR_ARG from,
			  socklen_t *restrict len)
{
	struct sockaddr *addr = from.__sockaddr__;
	struct iovec v = { buf, n };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_name = addr, .msg_namelen = addr && len ? *len : 0 };
	ssize_t ret;

	if (likely(!sockf_any()) || !sockf_recvmsg(fd, &m, flags, &ret))
		return REAL(recvfrom)(fd, buf, n, flags, from, len);
	if (ret >= 0 && addr && len)
		*len = m.msg_namelen;
	return ret;
}

SKEP_API ssize_t read(int fd, void *buf, size_t n)
{
	ssize_t ret;

	if (unlikely(sockf_any()) && read_into(fd, buf, n, 0, &ret))
		return ret;
	return REAL(read)(fd, buf, n);
}

SKEP_API ssize_t readv(int fd, const struct iovec *v, int n)
{
	struct msghdr m = { .msg_iov = (struct iovec *)v, .msg_iovlen = (size_t)n };
	ssize_t ret;

	if (unlikely(sockf_any()) && n >= 0 && sockf_recvmsg(fd, &m, 0, &ret))
		return ret;
	return REAL(readv)(fd, v, n);
}

/* One after the other; the timeout only bounds what comes after the first, as in the kernel. */
SKEP_API int recvmmsg(int fd, struct mmsghdr *v, unsigned int n, int flags, struct timespec *timeout)
{
	unsigned int got = 0;
	ssize_t ret;

	if (likely(!sockf_any()))
		return REAL(recvmmsg)(fd, v, n, flags, timeout);
	while (got < n) {
		if (!sockf_recvmsg(fd, &v[got].msg_hdr, flags & ~MSG_WAITFORONE, &ret)) {
			if (!got)
				return REAL(recvmmsg)(fd, v, n, flags, timeout);
			break;
		}
		if (ret < 0)
			break;
		v[got++].msg_len = (unsigned int)ret;
		if (flags & MSG_WAITFORONE || timeout)
			flags |= MSG_DONTWAIT;
	}
	return got ? (int)got : -1;
}

/* What _FORTIFY_SOURCE makes of these. */
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *restrict buf, size_t n, size_t size, int flags, __SOCKADDR_ARG from,
		       socklen_t *restrict len);
ssize_t __read_chk(int fd, void *buf, size_t n, size_t size);
void __chk_fail(void) __attribute__((noreturn));

SKEP_API ssize_t __recv_chk(int fd, void *buf, size_t n, size_t size, int flags)
{
	if (n > size)
		__chk_fail();
	return recv(fd, buf, n, flags);
}

SKEP_API ssize_t __recvfrom_chk(int fd, void *restrict buf, size_t n, size_t size, int flags, __SOCKADDR_ARG from,
				socklen_t *restrict len)
{
	if (n > size)
		__chk_fail();
	return recvfrom(fd, buf, n, flags, from, len);
}

SKEP_API ssize_t __read_chk(int fd, void *buf, size_t n, size_t size)
{
	if (n > size)
		__chk_fail();
	return read(fd, buf, n);
}
