/* SPDX-License-Identifier: Apache-2.0 */
/* attach.h - where the programs of a session attach, and why one does not. */
#ifndef SKEP_TOOL_ATTACH_H
#define SKEP_TOOL_ATTACH_H

#include "tool/libbpf.h"

/* Before loading: is there such a place? 0, or exit code after a line that offers the nearest names. */
int attach_check(const char *file, const struct bpf_program *p);
/* bpf_program__attach() failed: one line; the exit code. */
int attach_failed(const char *file, const struct bpf_program *p, int err);
u64 attach_missed(int prog_fd);			/* runs that did not take place */
/* libskep-agent.so of this build or installation: 0, or exit code after fail(). */
int agent_find(char *out, size_t size);
/* Find the system calls of COMMAND and its libraries now rather than while it waits. Exit code after fail(). */
int agent_prepare(const char *command);

#endif
