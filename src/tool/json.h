/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - a streaming JSON writer. KEY is NULL inside arrays. Strings are escaped; bytes that are no UTF-8 become
 * U+FFFD. Compact, or indented by two blanks. */
#ifndef SKEP_TOOL_JSON_H
#define SKEP_TOOL_JSON_H

#include <stdio.h>

#include "base/def.h"

#define JSON_DEPTH 64

struct json {
	FILE *f;
	bool pretty, started;
	u32 depth;
	bool filled[JSON_DEPTH];	/* has this level an element already? */
	bool array[JSON_DEPTH];		/* is this level one? */
};

void json_init(struct json *j, FILE *f, bool pretty);
void json_done(struct json *j);		/* closes what is open, ends the line */
void json_obj(struct json *j, const char *key);
void json_arr(struct json *j, const char *key);
void json_end(struct json *j, char close);	/* '}' or ']' */
void json_str(struct json *j, const char *key, const char *s);	/* s NULL: null */
void json_fmt(struct json *j, const char *key, const char *fmt, ...) __printf(3, 4);
void json_u64(struct json *j, const char *key, u64 v);
void json_s64(struct json *j, const char *key, s64 v);
void json_bool(struct json *j, const char *key, bool v);
void json_double(struct json *j, const char *key, double v);
/* bpftool's form of bytes: ["0x00","0xff"] */
void json_bytes(struct json *j, const char *key, const void *data, size_t n);

#endif
