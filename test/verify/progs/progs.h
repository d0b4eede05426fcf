/* SPDX-License-Identifier: Apache-2.0 */
/* progs.h - what the programs of this folder share. A program whose name begins with bad_ breaks a rule on purpose. */
#ifndef SKEP_TEST_PROGS_H
#define SKEP_TEST_PROGS_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PTR(x)	((void *)(long)(x))

char LICENSE[] SEC("license") = "GPL";

#endif
