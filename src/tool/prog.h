/* SPDX-License-Identifier: Apache-2.0 */
/* prog.h - shared by prog.c, prog_dump.c and map.c. */
#ifndef SKEP_TOOL_PROG_H
#define SKEP_TOOL_PROG_H

#include "base/def.h"

int prog_dump(int argc, char **argv);		/* a command */
u64 fd_memory(int fd);				/* bytes that the object's file takes */
void pin_json(void *arg, const char *path);	/* for pins_each() */
void pin_text(void *arg, const char *path);
void pins_show_json(int fd);			/* "pinned": [...] */
int pin_one(int fd, const char *path);		/* pins.c: one object at one path; exit code after fail() */

#endif
