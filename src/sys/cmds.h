/* SPDX-License-Identifier: Apache-2.0 */
/* cmds.h - one function per row of spec/cmds.def. Each gets attr checked for size and tail; returns bpf(2)'s result. */
#ifndef SKEP_SYS_CMDS_H
#define SKEP_SYS_CMDS_H

struct call;

typedef long (*cmd_fn)(struct call *k);

#define CMD(name, fn, ...) long cmd_##fn(struct call *k);
#include "spec/cmds.def"
#undef CMD

#endif
