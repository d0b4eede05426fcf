/* SPDX-License-Identifier: Apache-2.0 */
/* skep.h - embedding API of libskep: the kernel side of eBPF in this process.
 *
 * Link libbpf statically with the flags of `pkg-config --libs skep` (they wrap syscall()), and libbpf's own
 * bpf_object__open/load, skeletons and map functions work against skep. Errors are negative errno.
 * Functions are thread safe unless they say otherwise. Nothing prints, nothing exits. */
#ifndef SKEP_H
#define SKEP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

union bpf_attr;

#define SKEP_VERSION_MAJOR 0
#define SKEP_VERSION_MINOR 1

const char *skep_version(void);

/* bpf(2). Same commands, attr, and return as the kernel's, but -errno instead of -1 with errno.
 * Works on the default directory ($SKEP_DIR, else /dev/shm/skep-$UID), opened at first use. */
long skep_bpf(int cmd, union bpf_attr *attr, unsigned int size);

/* Use another directory from now on (call before any object is opened). PATH is created 0700 if missing. */
int skep_dir__use(const char *path);
/* Path of the directory in use. Valid until the process ends. */
const char *skep_dir__path(void);

#ifdef __cplusplus
}
#endif
#endif
