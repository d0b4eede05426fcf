/* SPDX-License-Identifier: Apache-2.0 */
/* preload.c - LD_PRELOAD door: bpf(2) of dynamic programs goes to skep. */
#include <sys/syscall.h>
