/* SPDX-License-Identifier: Apache-2.0 */
/* mapprint.c - a map as a table by its BTF, as bpftool's hexadecimal without, as JSON. Elements are gathered first:
 * sorting and column widths need them all. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tool/maps.h"
#include "tool/table.h"

#define MAX_LEAVES 48

struct elem {
	u8 *key, *value;		/* value follows key */
	int err;
};

struct view {
	struct mapref *m;
	const struct map_view *opt;
	struct val_leaf key[MAX_LEAVES], value[MAX_LEAVES];
	u32 keys, values;
	const struct val_leaf *by;	/* sort */
	struct elem *e;
	size_t n, cap;
	u64 total, zero;
};

static bool is_section(const struct mapref *m)
{
	return m->btf && btf_kind(btf__type_by_id(m->btf, m->info.btf_value_type_id)) == BTF_KIND_DATASEC;
}

static bool is_array(const struct mapref *m)
{
	return m->info.type == BPF_MAP_TYPE_ARRAY || m->info.type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static bool all_zero(const u8 *p, size_t n)
{
	return !n || (!p[0] && !memcmp(p, p + 1, n - 1));
}

static int gather(void *arg, const void *key, const void *value, int err)
{
	struct view *v = arg;
	size_t ks = v->m->info.key_size;
	struct elem *e;

	v->total++;
	if (v->opt->nonzero && !err && is_array(v->m) && !is_section(v->m) && all_zero(value, v->m->value_len)) {
		v->zero++;
		return 0;
	}
	if (v->n == v->cap) {
		v->cap = v->cap ? v->cap * 2 : 256;
		v->e = reallocarray(v->e, v->cap, sizeof(*v->e));
		if (!v->e)
			abort();
	}
	e = &v->e[v->n++];
	e->key = malloc(ks + v->m->value_len + 8);
	if (!e->key)
		abort();
	e->value = e->key + ks;
	e->err = err;
	memcpy(e->key, key, ks);
	if (!err)
		memcpy(e->value, value, v->m->value_len);
	return 0;
}

static void total_cpus(struct view *v)
{
	for (size_t i = 0; i < v->n; i++)
		for (u32 c = 1; c < v->m->ncpus && !v->e[i].err; c++)
			val_add(v->m->btf, v->value, v->values, v->e[i].value,
				v->e[i].value + (size_t)c * v->m->stride);
}

/* The leaf to sort by: the one named; else "bytes"; else the first counter. */
static const struct val_leaf *sort_leaf(const struct view *v)
{
	const struct val_leaf *first = NULL;
	const char *want = *v->opt->sort ? v->opt->sort : "bytes";

	for (u32 i = 0; i < v->values; i++) {
		if (!v->value[i].sum)
			continue;
		if (!strcmp(v->value[i].name, want))
			return &v->value[i];
		if (!first)
			first = &v->value[i];
	}
	return first;
}

static int by_leaf(const void *a, const void *b, void *arg)
{
	const struct view *v = arg;
	const struct elem *x = a, *y = b;
	bool neg;
	u64 p, q;

	if (x->err || y->err)
		return (x->err != 0) - (y->err != 0);
	p = val_int(v->m->btf, v->by, x->value, &neg);
	q = val_int(v->m->btf, v->by, y->value, &neg);
	if (p != q)
		return (neg ? (s64)p > (s64)q : p > q) ? -1 : 1;
	return memcmp(x->key, y->key, v->m->info.key_size);
}

static int view_load(struct view *v, struct mapref *m, const struct map_view *o)
{
	int err;

	memset(v, 0, sizeof(*v));
	v->m = m;
	v->opt = o;
	if (m->btf) {
		if (m->info.btf_key_type_id)
			v->keys = val_leaves(m->btf, m->info.btf_key_type_id, "key", v->key, MAX_LEAVES);
		v->values = val_leaves(m->btf, m->info.btf_value_type_id, "value", v->value, MAX_LEAVES);
	}
	err = map_each(m, gather, v);
	if (err)
		return err;
	if (m->btf && o->sum && map_percpu(m))
		total_cpus(v);
	if (m->btf && o->sort)
		v->by = sort_leaf(v);
	if (v->by)
		qsort_r(v->e, v->n, sizeof(*v->e), by_leaf, v);
	return 0;
}

static void view_free(struct view *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->e[i].key);
	free(v->e);
}

static size_t rows(const struct view *v)
{
	return v->opt->top && v->opt->top < v->n ? v->opt->top : v->n;
}

/* ---- tables ---- */
static void cells(struct table *t, const struct mapref *m, const struct val_leaf *l, u32 n, const void *data)
{
	for (u32 i = 0; i < n; i++) {
		struct sbuf b = {};

		val_text(m->btf, &l[i], data, &b);
		table_cell(t, "%s", b.len ? b.s : "");
		sbuf_free(&b);
	}
}

static void elem_rows(struct table *t, const struct view *v, const struct elem *e)
{
	bool each_cpu = map_percpu(v->m) && !v->opt->sum;

	for (u32 c = 0; c < (each_cpu ? v->m->ncpus : 1); c++) {
		const u8 *val = e->value + (size_t)c * v->m->stride;

		if (each_cpu && v->opt->nonzero && !e->err && all_zero(val, v->m->info.value_size))
			continue;
		cells(t, v->m, v->key, v->keys, e->key);
		if (each_cpu)
			table_cell(t, "%u", c);
		if (!e->err) {
			cells(t, v->m, v->value, v->values, val);
			continue;
		}
		for (u32 i = 0; i < v->values; i++)
			table_cell(t, "%s", i ? "" : err_text(e->err));
		break;
	}
}

static struct table *elem_table(const struct view *v)
{
	struct table *t = table_new();

	for (u32 i = 0; i < v->keys; i++)
		table_col(t, v->key[i].name, v->key[i].number);
	if (map_percpu(v->m) && !v->opt->sum)
		table_col(t, "cpu", true);
	for (u32 i = 0; i < v->values; i++)
		table_col(t, v->value[i].name, v->value[i].number);
	for (size_t i = 0; i < rows(v); i++)
		elem_rows(t, v, &v->e[i]);
	return t;
}

/* Global variables: one row each. */
static struct table *section_table(const struct view *v)
{
	struct table *t = table_new();

	table_col(t, "name", false);
	table_col(t, "value", false);
	for (u32 i = 0; i < v->values && v->n; i++) {
		table_cell(t, "%s", v->value[i].name);
		cells(t, v->m, &v->value[i], 1, v->e[0].value);
	}
	return t;
}

void print_hex(const void *data, size_t n, const char *sep)
{
	const u8 *p = data;

	for (size_t i = 0; i < n; i++)
		printf("%s%02x", i ? sep : "", p[i]);
}

static void plain_elem(const struct view *v, const struct elem *e)
{
	const char *nl = v->m->info.key_size + v->m->info.value_size > 24 ? "\n" : "  ";

	fputs(v->m->info.key_size > 16 ? "key:\n" : "key: ", stdout);
	print_hex(e->key, v->m->info.key_size, " ");
	fputs(nl, stdout);
	if (e->err) {
		printf("value: <%s>\n", err_text(e->err));
		return;
	}
	for (u32 c = 0; c < v->m->ncpus; c++) {
		if (map_percpu(v->m))
			printf("value (CPU %02u): ", c);
		else
			fputs(v->m->info.value_size > 16 ? "value:\n" : "value: ", stdout);
		print_hex(e->value + (size_t)c * v->m->stride, v->m->info.value_size, " ");
		putchar('\n');
	}
}

/* "flows: 42 elements, top 20 by bytes" */
void map_print_head(const struct map_shown *s, const char *name)
{
	printf("%s: %s %s", name, commas(s->elements - s->zero), s->elements - s->zero == 1 ? "entry" : "entries");
	if (*s->sorted && s->shown < s->elements - s->zero)
		printf(", the %s largest by %s", commas(s->shown), s->sorted);
	else if (*s->sorted && s->shown > 1)
		printf(", by %s", s->sorted);
	putchar('\n');
}

int map_print(struct mapref *m, const struct map_view *o, struct map_shown *shown)
{
	struct table *t;
	struct view v;
	int err = view_load(&v, m, o);

	shown->elements = v.total;
	shown->zero = v.zero;
	shown->shown = rows(&v);
	snprintf(shown->sorted, sizeof(shown->sorted), "%s", v.by ? v.by->name : "");
	if (!err && o->sum && !is_section(m))
		map_print_head(shown, m->info.name);
	else if (!err && o->sum)
		printf("%s\n", strchr(m->info.name, '.') ? strchr(m->info.name, '.') : m->info.name);
	if (!err && m->btf && rows(&v)) {
		t = is_section(m) ? section_table(&v) : elem_table(&v);
		table_print(t, stdout, "");
		table_free(t);
	} else if (!err) {
		for (size_t i = 0; i < rows(&v); i++)
			plain_elem(&v, &v.e[i]);
	}
	view_free(&v);
	return err;
}

int map_print_json(struct mapref *m, const char *key, const struct map_view *o)
{
	struct json *j = out_json();
	struct view v;
	int err = view_load(&v, m, o);

	json_arr(j, key);
	for (size_t i = 0; i < (err ? 0 : rows(&v)); i++) {
		json_obj(j, NULL);
		if (v.keys)
			val_json(j, "key", m->btf, m->info.btf_key_type_id, v.e[i].key, true);
		else
			json_bytes(j, "key", v.e[i].key, m->info.key_size);
		if (v.e[i].err)
			json_str(j, "error", err_text(v.e[i].err));
		else if (m->btf)
			val_json(j, "value", m->btf, m->info.btf_value_type_id, v.e[i].value, true);
		else
			json_bytes(j, "value", v.e[i].value, m->value_len);
		json_end(j, '}');
	}
	json_end(j, ']');
	view_free(&v);
	return err;
}
