/* SPDX-License-Identifier: Apache-2.0 */
/* eventprint.c - one record as a line (events.h). Widths start from what a column's type usually holds and only grow, so
 * lines stay under their header; the last column is free. With several types in one stream a header would change all the
 * time: there each line names its type and its fields. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tool/events.h"
#include "tool/table.h"

#define MAX_BYTES	32		/* of a record without type, in text */

/* ---- types ---- */
static bool is_padding(const char *name)
{
	name += strspn(name, "_");
	if (strncmp(name, "pad", 3))
		return false;
	name += strncmp(name, "padding", 7) ? 3 : 7;
	return !name[strspn(name, "_0123456789")];
}

static bool is_time(const struct btf *btf, const struct val_leaf *l)
{
	static const char *const names[] = { "ts", "ts_ns", "timestamp", "timestamp_ns", "time_ns", "ktime_ns" };

	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(l->name, names[i]))
			return l->number && btf__resolve_size(btf, l->type) == 8;
	return false;
}

/* How wide a column is at first. */
static int usual_width(const struct btf *btf, const struct val_leaf *l, bool time)
{
	s64 size = btf__resolve_size(btf, l->type);
	int w = (int)strlen(l->name);

	if (time)
		return MAX(w, (int)strlen("00:00:00.000000"));
	if (l->text)
		return MAX(w, (int)MIN(size - 1, 15));
	return MAX(w, size >= 8 ? 10 : size == 4 ? 6 : 3);
}

static bool is_struct(const struct btf *btf, s32 id)
{
	return id > 0 && btf_is_struct(btf__type_by_id(btf, (u32)id));
}

int event_type_add(struct event_printer *p, u32 btf_id)
{
	s32 id = btf__resolve_type(p->btf, btf_id);
	struct event_type *t = &p->type[p->types];
	u32 n;

	if (!is_struct(p->btf, id))
		return -1;
	for (u32 i = 0; i < p->types; i++)
		if (p->type[i].id == (u32)id)
			return (int)i;
	if (p->types == EVENT_TYPES)
		return -1;
	t->leaf = calloc(EVENT_COLS, sizeof(*t->leaf));
	if (!t->leaf)
		return -1;
	t->id = (u32)id;
	t->size = btf__type_by_id(p->btf, t->id)->size;
	t->name = btf__name_by_offset(p->btf, btf__type_by_id(p->btf, t->id)->name_off);
	n = val_leaves(p->btf, t->id, "value", t->leaf, EVENT_COLS);
	for (u32 i = 0; i < n; i++) {
		struct event_col *c = &t->col[t->cols];

		if (is_padding(t->leaf[i].name))
			continue;
		c->leaf = i;
		c->time = is_time(p->btf, &t->leaf[i]);
		c->width = usual_width(p->btf, &t->leaf[i], c->time);
		t->cols++;
	}
	return (int)p->types++;
}

void event_printer_free(struct event_printer *p)
{
	for (u32 i = 0; i < p->types; i++)
		free(p->type[i].leaf);
	free(p->copy);
}

/* The record as long as its type: what was not sent is zero. */
static const u8 *whole(struct event_printer *p, u32 want, const void *data, size_t size)
{
	if (size >= want)
		return data;
	if (p->copy_size < want) {
		free(p->copy);
		p->copy = malloc(want);
		p->copy_size = p->copy ? want : 0;
	}
	if (p->copy) {
		memcpy(p->copy, data, size);
		memset(p->copy + size, 0, want - size);
	}
	return p->copy;
}

/* ---- cells ---- */
static u64 clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

/* bpf_ktime_get_ns() as the time of day; numbers that can be no such time stay numbers. */
static bool put_time(struct sbuf *out, u64 ns)
{
	u64 now = clock_ns(CLOCK_MONOTONIC), day;
	struct tm tm;
	time_t sec;

	if (!ns || ns > now)
		return false;
	day = clock_ns(CLOCK_REALTIME) - (now - ns);
	sec = (time_t)(day / 1000000000);
	if (!localtime_r(&sec, &tm))
		return false;
	sbuf_printf(out, "%02d:%02d:%02d.%06u", tm.tm_hour, tm.tm_min, tm.tm_sec, (u32)(day % 1000000000 / 1000));
	return true;
}

static const char *cell(const struct event_printer *p, const struct event_type *t, u32 col, const u8 *data,
			struct sbuf *b)
{
	const struct event_col *c = &t->col[col];
	const struct val_leaf *l = &t->leaf[c->leaf];
	bool neg;

	sbuf_reset(b);
	if (!c->time || !put_time(b, val_int(p->btf, l, data, &neg)))
		val_text(p->btf, l, data, b);
	return b->len ? b->s : "";
}

static void put_cell(const struct event_type *t, u32 col, const char *text)
{
	const struct event_col *c = &t->col[col];
	bool right = t->leaf[c->leaf].number && !c->time, last = col + 1 == t->cols;
	int pad = c->width - text_width(text);

	if (right)
		printf("%*s%s", MAX(pad, 0), "", text);
	else
		printf("%s%*s", text, last ? 0 : MAX(pad, 0), "");
	fputs(last ? "\n" : "  ", stdout);
}

/* ---- lines ---- */
static void put_header(struct event_type *t)
{
	char name[sizeof(t->leaf->name)];

	for (u32 i = 0; i < t->cols; i++) {
		snprintf(name, sizeof(name), "%s", t->leaf[t->col[i].leaf].name);
		for (char *c = name; *c; c++)
			*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
		put_cell(t, i, name);
	}
	t->headed = true;
}

static void print_columns(struct event_printer *p, struct event_type *t, const u8 *data)
{
	struct sbuf b = {};

	for (u32 i = 0; i < t->cols; i++) {
		int w = text_width(cell(p, t, i, data, &b));

		t->col[i].width = MAX(t->col[i].width, w);
	}
	if (!t->headed)
		put_header(t);
	for (u32 i = 0; i < t->cols; i++)
		put_cell(t, i, cell(p, t, i, data, &b));
	sbuf_free(&b);
}

/* "exec  pid=7 comm=sh": several types share the stream. */
static void print_named(const struct event_printer *p, const struct event_type *t, const u8 *data)
{
	struct sbuf b = {};
	size_t w = 0;

	for (u32 i = 0; i < p->types; i++)
		w = MAX(w, strlen(p->type[i].name));
	printf("%-*s ", (int)w, t->name);
	for (u32 i = 0; i < t->cols; i++)
		printf(" %s=%s", t->leaf[t->col[i].leaf].name, cell(p, t, i, data, &b));
	putchar('\n');
	sbuf_free(&b);
}

static void print_bytes(struct event_printer *p, const u8 *data, size_t size)
{
	if (!p->raw_headed)
		printf("%6s  %s\n", "SIZE", "DATA");
	p->raw_headed = true;
	printf("%6zu  ", size);
	for (size_t i = 0; i < size && i < MAX_BYTES; i++)
		printf("%s%02x", i ? " " : "", data[i]);
	puts(size > MAX_BYTES ? " ..." : "");
}

static void print_json(const struct event_printer *p, const struct event_type *t, const u8 *data, size_t size)
{
	struct json j;

	json_init(&j, stdout, opt.pretty);
	json_obj(&j, NULL);
	if (t && p->types > 1)
		json_str(&j, "event", t->name);
	if (t)
		val_members_json(&j, p->btf, t->id, data);
	else
		json_bytes(&j, "data", data, size);
	json_end(&j, '}');
	json_done(&j);
}

void event_print(struct event_printer *p, int type, const void *data, size_t size)
{
	struct event_type *t = type < 0 ? NULL : &p->type[type];
	const u8 *rec = t ? whole(p, t->size, data, size) : data;

	if (!rec)
		return;
	if (opt.json)
		print_json(p, t, rec, size);
	else if (!t)
		print_bytes(p, rec, size);
	else if (p->types > 1)
		print_named(p, t, rec);
	else
		print_columns(p, t, rec);
}
