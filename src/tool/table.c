/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - aligned columns (table.h). An allocation failure ends the program: there is nothing left to print. */
#include "tool/table.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAX_COLS 64

struct table {
	char *header[MAX_COLS];
	bool right[MAX_COLS];
	u32 cols;
	char **cells;
	size_t n, cap;
};

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

struct table *table_new(void)
{
	return must(calloc(1, sizeof(struct table)));
}

void table_col(struct table *t, const char *header, bool right)
{
	char *h = must(strdup(header));

	for (char *c = h; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	if (t->cols == MAX_COLS) {
		free(h);
		return;
	}
	t->header[t->cols] = h;
	t->right[t->cols++] = right;
}

void table_cell(struct table *t, const char *fmt, ...)
{
	va_list ap;

	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 64;
		t->cells = must(reallocarray(t->cells, t->cap, sizeof(*t->cells)));
	}
	va_start(ap, fmt);
	if (vasprintf(&t->cells[t->n], fmt, ap) < 0)
		abort();
	va_end(ap);
	t->n++;
}

u32 table_rows(const struct table *t)
{
	return t->cols ? (u32)(t->n / t->cols) : 0;
}

int text_width(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static void print_row(const struct table *t, FILE *f, const char *indent, char *const *row, const int *w)
{
	u32 cols = t->cols;

	while (cols > 1 && !*row[cols - 1])	/* no blanks at the end of a line */
		cols--;
	fputs(indent, f);
	for (u32 c = 0; c < cols; c++) {
		int pad = w[c] - text_width(row[c]);

		if (t->right[c])
			fprintf(f, "%*s%s", pad, "", row[c]);
		else if (c + 1 < cols)
			fprintf(f, "%s%*s", row[c], pad, "");
		else
			fputs(row[c], f);
		fputs(c + 1 < cols ? "  " : "\n", f);
	}
}

void table_print(struct table *t, FILE *f, const char *indent)
{
	u32 rows = table_rows(t);
	int w[MAX_COLS] = {};

	for (u32 c = 0; c < t->cols; c++) {
		w[c] = text_width(t->header[c]);
		for (u32 r = 0; r < rows; r++)
			w[c] = MAX(w[c], text_width(t->cells[(size_t)r * t->cols + c]));
	}
	print_row(t, f, indent, t->header, w);
	for (u32 r = 0; r < rows; r++)
		print_row(t, f, indent, t->cells + (size_t)r * t->cols, w);
}

void table_free(struct table *t)
{
	for (u32 c = 0; c < t->cols; c++)
		free(t->header[c]);
	for (size_t i = 0; i < t->n; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}
