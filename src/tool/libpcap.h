/* SPDX-License-Identifier: Apache-2.0 */
/* libpcap.h - libpcap's header beside the kernel's: both have a struct bpf_insn, libpcap's being struct sock_filter. */
#ifndef SKEP_TOOL_LIBPCAP_H
#define SKEP_TOOL_LIBPCAP_H

#include "vm/cbpf.h"

#define bpf_insn sock_filter_of_libpcap
#include <pcap/pcap.h>
#undef bpf_insn

_Static_assert(sizeof(struct sock_filter_of_libpcap) == sizeof(struct sock_filter), "one layout");

static inline const struct sock_filter *libpcap_insns(const struct bpf_program *p)
{
	return (const struct sock_filter *)p->bf_insns;
}

#endif
