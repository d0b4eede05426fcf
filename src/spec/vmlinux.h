/* SPDX-License-Identifier: Apache-2.0 */
/* vmlinux.h - skep's vmlinux BTF: the kernel types that skep really provides (ktypes.h, contexts, enumerations of what is
 * done). Constant data made at build time (vmlinux.bpf.c, scripts/genvmlinux.c), indexed already: never given to
 * btf_free(). The blob, spec_vmlinux.data, is what clients read as /sys/kernel/btf/vmlinux. */
#ifndef SKEP_SPEC_VMLINUX_H
#define SKEP_SPEC_VMLINUX_H

#include "base/btf.h"

extern const struct btf spec_vmlinux;

#endif
