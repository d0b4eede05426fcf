/* SPDX-License-Identifier: Apache-2.0 */
/* command.h - the command of `skep run PROG -- CMD`: found as a shell finds it, started with the agent, watched. It has
 * the terminal and its own way with signals; the tool only passes on what was sent to itself. */
#ifndef SKEP_TOOL_COMMAND_H
#define SKEP_TOOL_COMMAND_H

#include <signal.h>
#include <sys/types.h>

#include "tool/tool.h"

enum { EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127, EXIT_SIGNAL = 128 };

struct command {
	char **argv;			/* NULL: there is none, the session ends with a signal */
	char path[4096];		/* what argv[0] stands for */
	u64 scope;			/* of the links whose programs see it start; 0: none */
	pid_t pid;
	sigset_t mask;			/* the tool's at first, which is the command's */
	struct sigaction pipe;		/* likewise */
	int signals;			/* signalfd */
	int out;			/* its standard output, when it is not the tool's; else -1 */
	bool ended, interrupted;
	int status;			/* as waitpid(2) */
};

/* Sets path. 0, or 126 or 127 after fail(). */
int command_find(struct command *c);
/* From now on signals are read by command_watch(). 0 or exit code after fail(). */
int command_take_signals(struct command *c);
/* Fork and execute; ENV are "NAME=value" to set for it, up to NULL.. 0, or 126 or 127 after fail(). */
int command_start(struct command *c, char *const env[]);
/* Handle the signals that have come: pass them on, reap. Sets ended, interrupted. */
void command_watch(struct command *c);
int command_exit_code(const struct command *c);

#endif
