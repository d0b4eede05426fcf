/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h - the trace buffer of a directory: where programs' bpf_printk() lines go, as the kernel's trace_pipe.
 * A ring of lines in the file $DIR/trace, written by any process, read by any; the oldest lines give way. */
#ifndef SKEP_BASE_TRACE_H
#define SKEP_BASE_TRACE_H

#include "base/def.h"
#include "base/obj.h"

#define TRACE_SIZE	(256u << 10)	/* bytes of lines that are kept */
#define TRACE_TEXT	1024		/* of one line, with NUL; longer ones are cut, as in the kernel */

struct trace_line {
	u64 ns;				/* CLOCK_MONOTONIC */
	u32 pid, cpu;			/* pid: thread id */
	u32 tgid;
	u32 prog;			/* id of the program that prints */
	char comm[16];
	char text[TRACE_TEXT];
};

struct trace_pos {			/* where a reader that leaves the lines in place is */
	u64 at, lost;			/* lost: lines overwritten before it came to them */
};

/* Make the buffer of D ready; idempotent, thread safe. 0 or -errno. */
int trace_open(struct obj_dir *d);
/* Add a line. Async-signal-safe. A line that finds the buffer locked by its own thread, or by somebody stuck, is lost and
 * counted. */
void trace_write(struct obj_dir *d, u32 prog, const char *text, u32 len);
/* Take the oldest line away: 1, 0 (there is none) or -errno. *lost: lines lost since the last call. */
int trace_read(struct obj_dir *d, struct trace_line *l, u64 *lost);
/* Look at lines from now on, without taking them away. */
void trace_seek_end(struct obj_dir *d, struct trace_pos *p);
int trace_peek(struct obj_dir *d, struct trace_pos *p, struct trace_line *l);
/* Wait until there may be a new line, a signal came, or MS passed. */
void trace_wait(struct obj_dir *d, u32 ms);
void trace_close(struct obj_dir *d);

#endif
