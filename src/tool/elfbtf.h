/* SPDX-License-Identifier: Apache-2.0 */
/* elfbtf.h - see elfbtf.c. */
#ifndef SKEP_TOOL_ELFBTF_H
#define SKEP_TOOL_ELFBTF_H

#include <stddef.h>

#include "base/sbuf.h"

/* 0: sound, or there is none; else -errno of BTF_LOAD, and its log in WHY. */
int elfbtf_check(const void *data, size_t size, struct sbuf *why);

#endif
