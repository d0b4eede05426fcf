/* SPDX-License-Identifier: Apache-2.0 */
/* vmlinux.h - skep's kernel types (spec/vmlinux.h) as clients and compilers want them. */
#ifndef SKEP_TOOL_VMLINUX_H
#define SKEP_TOOL_VMLINUX_H

#include <stdio.h>

#include "tool/libbpf.h"

#define VMLINUX_PATH	"/sys/kernel/btf/vmlinux"

/* The types of BTF as a C header, as bpftool writes it. 0 or -errno. */
int btf_write_c(const struct btf *btf, FILE *f);
struct btf *vmlinux_open(void);		/* btf__free(); NULL and errno */
int vmlinux_fd_btf(void);		/* a memory file of the blob, or -errno */
int vmlinux_fd_header(void);		/* a memory file of the C header, or -errno */

#endif
