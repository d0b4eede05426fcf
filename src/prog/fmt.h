/* SPDX-License-Identifier: Apache-2.0 */
/* fmt.h - the formatter behind bpf_trace_printk and its family. Freestanding and async-signal-safe. */
#ifndef SKEP_PROG_FMT_H
#define SKEP_PROG_FMT_H

#include "base/def.h"

/* Prints FMT, SIZE bytes at most with its NUL, with NARGS arguments into BUF (CAP bytes; cut and NUL-terminated; may be NULL
 * when CAP is 0). The length that all of it has; -EINVAL: no NUL, or a specifier that is not legal, or too few
 * arguments; -ENOSPC: the arguments take more than the kernel's 512 bytes. BUF is left alone on error. */
int fmt_print(char *buf, u32 cap, const char *fmt, size_t size, const u64 *args, u32 nargs);

#endif
