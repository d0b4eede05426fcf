/* SPDX-License-Identifier: Apache-2.0 */
/* launch.h - the execve(2) that turns a child of the tool into the command. The tool has no agent: what programs want to see
 * of that call it fires itself, so that the command's own start is an event as that of each of its children. */
#ifndef SKEP_TOOL_LAUNCH_H
#define SKEP_TOOL_LAUNCH_H

#include "base/def.h"

/* In the child: execve(2), seen by the programs whose links carry SCOPE (0: by none). Returns only on failure: -errno, or
 * what a program put there. */
int launch_exec(u64 scope, const char *path, char *const argv[], char *const envp[]);

/* Later: has no agent of process PID asked what its execve was? Then there is none. */
bool launch_unanswered(s32 pid);

/* At the end: wait, at most MS milliseconds, for the helpers of SCOPE whose process has ended: they tell of ends that nobody
 * inside could tell of. */
void launch_wait_ends(u64 scope, u32 ms);

#endif
