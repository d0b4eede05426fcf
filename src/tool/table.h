/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - aligned columns: upper-case headers, text to the left, numbers to the right, two blanks between. */
#ifndef SKEP_TOOL_TABLE_H
#define SKEP_TOOL_TABLE_H

#include <stdio.h>

#include "base/def.h"

struct table;

int text_width(const char *s);	/* columns on the screen: code points, good enough for what names hold */
struct table *table_new(void);
void table_col(struct table *t, const char *header, bool right);	/* before the first cell; copies */
void table_cell(struct table *t, const char *fmt, ...) __printf(2, 3);	/* rows fill from left to right */
void table_print(struct table *t, FILE *f, const char *indent);
u32 table_rows(const struct table *t);
void table_free(struct table *t);

#endif
