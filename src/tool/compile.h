/* SPDX-License-Identifier: Apache-2.0 */
/* compile.h - the outside compiler. */
#ifndef SKEP_TOOL_COMPILE_H
#define SKEP_TOOL_COMPILE_H

struct cc_opts;

int compile_c(const char *path, const struct cc_opts *cc, int out_fd);	/* exit code after fail() */
const char *compile_find_clang(void);	/* name or path; NULL if there is none */

#endif
