/* SPDX-License-Identifier: Apache-2.0 */
/* uapi.h - <linux/bpf.h> of the build machine (at least Linux 6.1) plus what Linux 6.18 has beyond it. */
#ifndef SKEP_SPEC_UAPI_H
#define SKEP_SPEC_UAPI_H

#include <linux/bpf.h>

#define BPF_MEMSX		0x80	/* load with sign extension */
#define BPF_LOAD_ACQ		0x100
#define BPF_STORE_REL		0x110
#define BPF_JCOND		0xe0
#define BPF_MAY_GOTO		0
#define BPF_ADDR_SPACE_CAST	1

#endif
