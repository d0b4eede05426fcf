/* SPDX-License-Identifier: Apache-2.0 */
/* cbpf_fuzz.c - classic filters, differentially: bytes as instructions (8 each) behind a byte that says how many, the rest a
 * packet. What passes the checks gives the same on the interpreter, compiled with and without direct packet access, and, as
 * the second byte says, in libpcap or in the kernel, whose verdict is compared as well. Seeds: test/fuzz/cbpf. */
#include <stdio.h>
#include <stdlib.h>

#include "../test/cbpf/oracle.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void differ(const char *who, u32 want, u32 got)
{
	fprintf(stderr, "interpreted %u, %s %u\n", want, who, got);
	abort();
}

static void run(const struct sock_filter *f, u32 n, u32 flags, u8 *packet, u32 len)
{
	struct skep_sk_buff skb = { .data = packet, .data_end = packet + len, .len = len, .wire_len = len };
	u32 want = cbpf_run(f, n, flags, &skb), got;
	struct filter *x;

	for (u32 plain = 0; plain < 2; plain++) {
		if (filter_open(f, n, flags | (plain ? CBPF_PLAIN : 0), "fuzz", &x, NULL))
			abort();
		got = call_once(x, &skb);
		if (got != want)
			differ(plain ? "compiled, plain" : "compiled", want, got);
		filter_close(x);
	}
	if (flags & CBPF_LIBPCAP) {
		got = bpf_filter((const struct sock_filter_of_libpcap *)f, packet, len, len);
		if (got != want)
			differ("libpcap", want, got);
	} else if (len && !has_local(f, n)) {
		int kernels = kernel_filter(f, n, packet, len);

		if (kernels != -ENOMEM && kernels != (int)MIN(want, len))
			differ("kernel", want, (u32)kernels);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct sock_filter f[256];
	u32 n, flags, len;
	u8 *packet;
	int err;

	if (size < 2)
		return 0;
	n = data[0];
	flags = data[1] & 1 ? CBPF_LIBPCAP : 0;
	data += 2;
	size -= 2;
	if (size < n * sizeof(*f))
		return 0;
	memcpy(f, data, n * sizeof(*f));
	for (u32 i = 0; i < n; i++)		/* codes of a byte with the rarer bits cleared pass more often */
		f[i].code &= 0xff;
	len = (u32)(size - n * sizeof(*f));
	err = cbpf_check(f, n, flags, NULL);
	if (!flags && n && kernel_filter(f, n, data, 0) != -ENOMEM && (kernel_filter(f, n, data, 0) == -EINVAL) != (err != 0))
		differ("the kernel's verdict", (u32)-err, 0);
	if (err || any_local(f, n))
		return 0;
	for (u32 i = 0; flags && i < n; i++)
		if (cbpf_ad(&f[i]) || (BPF_CLASS(f[i].code) == BPF_JMP && BPF_OP(f[i].code) == BPF_JA && (s32)f[i].k < 0))
			return 0;		/* loops need not end; libpcap has none of these loads */
	packet = malloc(len + 1);
	if (packet) {
		memcpy(packet, data + n * sizeof(*f), len);
		run(f, n, flags, packet, len);
	}
	free(packet);
	return 0;
}
