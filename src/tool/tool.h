/* SPDX-License-Identifier: Apache-2.0 */
/* tool.h - what the files of the command-line tool share: options, command tables, errors, exit codes.
 *
 * The tool is an ordinary client: libbpf's calls end in skep_bpf() (sys/wrap.c). Data goes to stdout, everything
 * else to stderr. Under -j one JSON document goes to stdout, errors included. Single-threaded. */
#ifndef SKEP_TOOL_H
#define SKEP_TOOL_H

#include "base/def.h"
#include "tool/json.h"

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_ENV };

struct tool_opts {
	bool json, pretty, debug, paths;	/* -j, -p, -d, -f */
	bool n;					/* -n: nothing to mount; of trace-pipe: do not follow */
	bool mute;				/* no messages: fuzz targets */
};
extern struct tool_opts opt;

/* A row of a command table; tables end with an empty row. */
struct cmd {
	const char *name;
	int (*fn)(int argc, char **argv);	/* argv[0] is the word behind the command; returns an exit code */
	const char *args;			/* one line of usage */
	const char *help;			/* what it does, one line */
	const char *more;			/* of a verb: its options, line by line; NULL: a noun with a table of its own */
};

/* Runs the row that argv[0] names (a unique prefix is enough). NOUN: "" at top level. */
int cmd_dispatch(const struct cmd *table, const char *noun, int argc, char **argv);
int cmd_help(const struct cmd *table, const char *noun);
/* Is WORD a prefix of NAME? As bpftool: "pin" for "pinned". */
bool is_prefix(const char *word, const char *name);
u32 word_distance(const char *a, const char *b);	/* edits between two short words (Levenshtein) */

/* Prints "skep: ..." on stderr (under -j {"error":"..."} on stdout); returns CODE, to be returned. */
int fail(int code, const char *fmt, ...) __printf(2, 3);
/* fail() with the exit code that fits errno ERR (< 0) and its text behind the message. */
int fail_errno(int err, const char *fmt, ...) __printf(2, 3);
const char *err_text(int err);			/* strerror, and the kernel's own numbers */
void warn(const char *fmt, ...) __printf(1, 2);	/* "skep: warning: ..." on stderr */
void note(const char *fmt, ...) __printf(1, 2);	/* a line on stderr, human mode only */

/* 1234567 -> "1,234,567". Valid until the eighth call after. */
const char *commas(u64 n);
int parse_u32(const char *word, u32 *out);	/* -EINVAL; decimal, 0x, 0 */
int parse_u64(const char *word, u64 *out);
u64 now_ns(void);
bool color(int fd);				/* a terminal, and NO_COLOR unset */

/* The document that goes to stdout under -j. */
struct json *out_json(void);

/* Option parser of the verbs. */
struct opt_row {
	const char *name;			/* "--in"; a single-dash alias behind '|': "--output|-o" */
	enum { OPT_FLAG, OPT_STR, OPT_U32, OPT_LIST } kind;
	void *to;				/* bool *, const char **, u32 *, struct opt_list * */
};
struct opt_list {
	const char *s[16];
	u32 n;
};
/* Takes the options out of argv, leaves the words, sets *argc. 0, or an exit code after fail(). */
int opts_parse(const struct opt_row *rows, const char *verb, int *argc, char **argv);

/* Commands */
int cmd_run(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_prog(int argc, char **argv);
int cmd_map(int argc, char **argv);
int cmd_btf(int argc, char **argv);
int cmd_filter(int argc, char **argv);
int cmd_asm(int argc, char **argv);
int cmd_disasm(int argc, char **argv);
int cmd_seccomp(int argc, char **argv);
int cmd_feature(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_gc(int argc, char **argv);
int cmd_agent_sites(int argc, char **argv);
int cmd_trace_pipe(int argc, char **argv);

/* The lines that these programs print by bpf_printk(), in whatever process, on stderr as they come. */
void trace_own_start(const u32 *ids, u32 n);
void trace_own_show(void);
void trace_own_end(void);

#endif
