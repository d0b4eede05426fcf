/* SPDX-License-Identifier: Apache-2.0 */
/* notices.h - what the agents of a session say: processes that are not traced, calls that are not seen. */
#ifndef SKEP_TOOL_NOTICES_H
#define SKEP_TOOL_NOTICES_H

#include "base/def.h"

void notices_start(u64 scope);			/* those of SCOPE (0: all) from now on */
void notices_command(const char *path);		/* the command's own file, before it is executed */
void notices_started(s32 pid);			/* it runs */
void notices_check_start(void);			/* its agent had time to start: did it? */
void notices_take(void);
void notices_report(void);			/* on stderr: each file once, counted */

#endif
