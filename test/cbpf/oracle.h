/* SPDX-License-Identifier: Apache-2.0 */
/* oracle.h - the same classic program on the same bytes by everybody: skep's interpreter, the compiled program with and
 * without direct packet access, libpcap, and the kernel (a filter on a socket pair). */
#ifndef TEST_CBPF_ORACLE_H
#define TEST_CBPF_ORACLE_H

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/filter.h"
#include "tool/libpcap.h"

/* Ancillary loads whose value depends on where it runs; negative offsets, for which a socket pair has no headers. */
static inline bool is_local(const struct sock_filter *in)
{
	const struct cbpf_ad *ad = cbpf_ad(in);

	if (ad)
		return ad->off != SKF_AD_ALU_XOR_X && ad->off != SKF_AD_NLATTR && ad->off != SKF_AD_NLATTR_NEST;
	return (cbpf_op(in->code)->form == CBPF_PKT || cbpf_op(in->code)->form == CBPF_MSH) && (s32)in->k < 0;
}

/* X + k could name a header that only some have. */
static inline bool has_local(const struct sock_filter *f, u32 n)
{
	for (u32 i = 0; i < n; i++)
		if (is_local(&f[i]) || (cbpf_op(f[i].code)->form == CBPF_IND))
			return true;
	return false;
}

static inline bool any_local(const struct sock_filter *f, u32 n)
{
	for (u32 i = 0; i < n; i++)
		if (is_local(&f[i]))
			return true;
	return false;
}

/* Bytes that the kernel lets through: 0 to len; -errno of attaching. */
static inline int kernel_filter(const struct sock_filter *f, u32 n, const u8 *data, u32 len)
{
	struct sock_fprog p = { (u16)n, (struct sock_filter *)f };
	static u8 got[65536];
	int sv[2], ret;

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, sv))
		return -errno;
	if (setsockopt(sv[1], SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p))) {
		ret = -errno;
	} else {
		ret = (int)send(sv[0], data, len, MSG_DONTWAIT);
		ret = (int)recv(sv[1], got, sizeof(got), MSG_DONTWAIT);
		ret = ret < 0 ? 0 : ret;
	}
	close(sv[0]);
	close(sv[1]);
	return ret;
}

static inline u32 call_once(const struct filter *f, struct skep_sk_buff *skb)
{
	struct run r;
	u32 v;

	if (filter_enter(f, &r))
		return ~0u - 1;
	v = filter_call(f, &r, skb);
	filter_exit(f, &r);
	return v;
}

#endif
