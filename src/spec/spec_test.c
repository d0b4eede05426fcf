/* SPDX-License-Identifier: Apache-2.0 */
/* spec_test.c - the tables against the running kernel's BTF and against measured data (test/data). */
#include <bpf/btf.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spec/spec.h"
#include "t.h"

/* ---- the running kernel's BTF ---- */
static struct btf *kernel_btf(void)
{
	static struct btf *btf;

	if (!btf && !access(T_KERNEL_BTF, R_OK))
		btf = btf__parse(T_KERNEL_BTF, NULL);
	return btf;
}

#define NEED_BTF(btf)									\
	struct btf *btf = kernel_btf();							\
	if (!btf) {									\
		t_skip("no /sys/kernel/btf/vmlinux");					\
		return;									\
	}

/* Calls FN for each enumerator of the kernel's enum NAME, its prefix cut off, in lower case. */
static u32 each_enumerator(const struct btf *btf, const char *name, const char *prefix,
			   void (*fn)(u32 val, const char *name))
{
	s32 id = btf__find_by_name_kind(btf, name, BTF_KIND_ENUM);
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, id) : NULL;
	u32 n = 0;

	for (u32 i = 0; t && i < btf_vlen(t); i++) {
		const struct btf_enum *e = &btf_enum(t)[i];
		const char *s = btf__name_by_offset(btf, e->name_off);
		char low[64] = "";

		if (!strncmp(s, "__", 2))		/* __MAX_BPF_CMD */
			continue;
		if (!strncmp(s, prefix, strlen(prefix)))
			s += strlen(prefix);
		for (u32 k = 0; s[k] && k < sizeof(low) - 1; k++)
			low[k] = (char)tolower(s[k]);
		fn(e->val, low);
		n++;
	}
	return n;
}

static void helper_is(u32 val, const char *name)
{
	const struct spec_helper *h = val ? spec_helper(val) : &spec_helpers[0];

	t_row("helper %u is %s", val, name);
	NEED(h && h->name);
	STR_EQ(h->name, name);
	EQ(h->id, val);
}

TEST(helpers_are_the_kernels)
{
	NEED_BTF(btf);
	EQ(each_enumerator(btf, "bpf_func_id", "BPF_FUNC_", helper_is), spec_nr_helpers);
	EQ(spec_nr_helpers, 212);
}

static void map_is(u32 val, const char *name)
{
	if (!val || strstr(name, "_deprecated"))
		return;
	t_row("map type %u is %s", val, name);
	NEED(spec_map(val));
	STR_EQ(spec_map(val)->name, name);
	EQ(spec_map(val)->type, val);
}

TEST(map_types_are_the_kernels)
{
	NEED_BTF(btf);
	CHECK(each_enumerator(btf, "bpf_map_type", "BPF_MAP_TYPE_", map_is));
	EQ(spec_nr_maps, 34);
}

static void prog_is(u32 val, const char *name)
{
	if (!val)
		return;
	t_row("program type %u is %s", val, name);
	NEED(spec_prog(val));
	STR_EQ(spec_prog(val)->name, name);
	EQ(spec_prog(val)->type, val);
}

TEST(program_types_are_the_kernels)
{
	NEED_BTF(btf);
	EQ(each_enumerator(btf, "bpf_prog_type", "BPF_PROG_TYPE_", prog_is), spec_nr_progs);
	EQ(spec_nr_progs, 33);
}

static void attach_is(u32 val, const char *name)
{
	t_row("attach type %u is %s", val, name);
	NEED(spec_attach(val));
	STR_EQ(spec_attach(val)->name, name);
	EQ(spec_attach(val)->type, val);
}

TEST(attach_types_are_the_kernels)
{
	NEED_BTF(btf);
	EQ(each_enumerator(btf, "bpf_attach_type", "BPF_", attach_is), spec_nr_attaches);
}

static void cmd_is(u32 val, const char *name)
{
	if (!strcmp(name, "prog_run"))		/* the other name of 10 */
		return;
	t_row("command %u is %s", val, name);
	NEED(spec_cmd(val));
	STR_EQ(spec_cmd(val)->name, name);
	EQ(spec_cmd(val)->cmd, val);
}

TEST(commands_are_the_kernels)
{
	NEED_BTF(btf);
	EQ(each_enumerator(btf, "bpf_cmd", "BPF_", cmd_is), spec_nr_cmds + 1);
	EQ(spec_nr_cmds, 38);
}

TEST(kfuncs_are_the_kernels)
{
	NEED_BTF(btf);
	char line[128];
	FILE *f = fopen("test/data/kfuncs_6.18.txt", "r");
	u32 n = 0;

	NEED(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		EQ(spec_kfunc_find(line), n++);
		if (btf__find_by_name_kind(btf, line, BTF_KIND_FUNC) <= 0)
			t_fail(__FILE__, __LINE__, "the kernel has no function %s", line);
	}
	fclose(f);
	EQ(n, spec_nr_kfuncs);
	EQ(n, 203);
	CHECK(spec_kfunc_find("bpf_no_such_thing") < 0);
}

/* ---- sizes and offsets of our own uapi structures ---- */
static s64 kernel_size(const struct btf *btf, const char *name, u32 kind)
{
	s32 id = btf__find_by_name_kind(btf, name, kind);

	return id > 0 ? btf__resolve_size(btf, id) : -1;
}

/* Byte offset of a member of struct NAME, looked for in unnamed members too; "a.b" goes into a named one. */
static s64 member_off(const struct btf *btf, const struct btf_type *t, const char *path, s64 *size)
{
	size_t len = strcspn(path, ".");
	const struct btf_member *m = btf_members(t);

	for (u32 i = 0; i < btf_vlen(t); i++) {
		const char *s = btf__name_by_offset(btf, m[i].name_off);
		const struct btf_type *mt = btf__type_by_id(btf, btf__resolve_type(btf, m[i].type));
		s64 off = btf_member_bit_offset(t, i) / 8, in;

		if (strlen(s) == len && !strncmp(s, path, len)) {
			*size = btf__resolve_size(btf, m[i].type);
			if (!path[len])
				return off;
			in = member_off(btf, mt, path + len + 1, size);
			return in < 0 ? in : off + in;
		}
		if (!*s && btf_is_composite(mt)) {
			in = member_off(btf, mt, path, size);
			if (in >= 0)
				return off + in;
		}
	}
	return -1;
}

static s64 kernel_off(const struct btf *btf, const char *name, u32 kind, const char *path, s64 *size)
{
	s32 id = btf__find_by_name_kind(btf, name, kind);

	return id > 0 ? member_off(btf, btf__type_by_id(btf, id), path, size) : -1;
}

TEST(info_structs_have_the_kernels_size)
{
	NEED_BTF(btf);
	s64 size;

	EQ(kernel_size(btf, "bpf_attr", BTF_KIND_UNION), sizeof(union skep_attr));
	EQ(kernel_size(btf, "bpf_prog_info", BTF_KIND_STRUCT), sizeof(struct skep_prog_info));
	EQ(kernel_size(btf, "bpf_map_info", BTF_KIND_STRUCT), sizeof(struct skep_map_info));
	EQ(kernel_size(btf, "bpf_btf_info", BTF_KIND_STRUCT), sizeof(struct skep_btf_info));
	EQ(kernel_size(btf, "bpf_link_info", BTF_KIND_STRUCT), sizeof(struct skep_link_info));
#define SAME(kind, name, field)	EQ(kernel_off(btf, "bpf_" #name, kind, #field, &size), OFF(name, field))
#define OFF(name, field)	offsetof(struct skep_##name, field)
	SAME(BTF_KIND_STRUCT, prog_info, run_cnt);
	SAME(BTF_KIND_STRUCT, prog_info, attach_btf_id);
	SAME(BTF_KIND_STRUCT, map_info, hash_size);
	SAME(BTF_KIND_STRUCT, map_info, map_extra);
	SAME(BTF_KIND_STRUCT, btf_info, kernel_btf);
	SAME(BTF_KIND_STRUCT, link_info, perf_event.kprobe.cookie);
	SAME(BTF_KIND_STRUCT, link_info, perf_event.event.cookie);
	SAME(BTF_KIND_STRUCT, link_info, perf_event.tracepoint.cookie);
	SAME(BTF_KIND_STRUCT, link_info, uprobe_multi.pid);
	SAME(BTF_KIND_STRUCT, link_info, iter.task.pid);
	SAME(BTF_KIND_STRUCT, link_info, tracing.cookie);
}

TEST(attr_fields_are_where_the_kernel_has_them)
{
	NEED_BTF(btf);
	s64 size;

#define CMD(c, n, last, status)								\
	t_row("last field of " #n);							\
	EQ(kernel_off(btf, "bpf_attr", BTF_KIND_UNION, #last, &size), offsetof(union skep_attr, last));	\
	EQ(kernel_off(btf, "bpf_attr", BTF_KIND_UNION, #last, &size) + size, spec_cmds[BPF_##c].attr_size);
#include "spec/cmds.def"
}

/* ---- helpers per program type, measured ---- */
struct column {
	const char *name;		/* in the data's first line */
	u32 type, attach;
};

static const struct column columns[] = {
	{ "socket_filter", BPF_PROG_TYPE_SOCKET_FILTER }, { "kprobe", BPF_PROG_TYPE_KPROBE },
	{ "sched_cls", BPF_PROG_TYPE_SCHED_CLS }, { "sched_act", BPF_PROG_TYPE_SCHED_ACT },
	{ "tracepoint", BPF_PROG_TYPE_TRACEPOINT }, { "xdp", BPF_PROG_TYPE_XDP },
	{ "perf_event", BPF_PROG_TYPE_PERF_EVENT }, { "cgroup_skb", BPF_PROG_TYPE_CGROUP_SKB },
	{ "cgroup_sock", BPF_PROG_TYPE_CGROUP_SOCK }, { "lwt_in", BPF_PROG_TYPE_LWT_IN },
	{ "lwt_out", BPF_PROG_TYPE_LWT_OUT }, { "lwt_xmit", BPF_PROG_TYPE_LWT_XMIT },
	{ "sock_ops", BPF_PROG_TYPE_SOCK_OPS }, { "sk_skb", BPF_PROG_TYPE_SK_SKB },
	{ "cgroup_device", BPF_PROG_TYPE_CGROUP_DEVICE }, { "sk_msg", BPF_PROG_TYPE_SK_MSG },
	{ "raw_tp", BPF_PROG_TYPE_RAW_TRACEPOINT }, { "cg_sock_addr", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT },
	{ "lwt_seg6local", BPF_PROG_TYPE_LWT_SEG6LOCAL }, { "sk_reuseport", BPF_PROG_TYPE_SK_REUSEPORT },
	{ "flow_dissector", BPF_PROG_TYPE_FLOW_DISSECTOR }, { "cgroup_sysctl", BPF_PROG_TYPE_CGROUP_SYSCTL, BPF_CGROUP_SYSCTL },
	{ "raw_tp_w", BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE },
	{ "cgroup_sockopt", BPF_PROG_TYPE_CGROUP_SOCKOPT },
	{ "tp_btf", BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP }, { "iter", BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER },
	{ "sk_lookup", BPF_PROG_TYPE_SK_LOOKUP }, { "syscall", BPF_PROG_TYPE_SYSCALL },
	{ "netfilter", BPF_PROG_TYPE_NETFILTER },
};

static const struct column *column(const char *name)
{
	for (u32 i = 0; i < ARRAY_SIZE(columns); i++)
		if (!strcmp(columns[i].name, name))
			return &columns[i];
	return NULL;
}

TEST(helpers_per_type_as_measured)
{
	const struct column *cols[64] = { 0 };
	char line[1024], *save, *tok;
	FILE *f = fopen("test/data/helpers_by_progtype_6.18.csv", "r");
	u32 nr = 0, seen = 0;

	NEED(f && fgets(line, sizeof(line), f));
	line[strcspn(line, "\n")] = 0;
	strtok_r(line, ",", &save);
	while ((tok = strtok_r(NULL, ",", &save)))
		if (!(cols[nr++] = column(tok)))
			t_fail(__FILE__, __LINE__, "unknown column %s", tok);
	while (fgets(line, sizeof(line), f)) {
		const struct spec_helper *h = spec_helper(atoi(line));

		if (!h)				/* TOTAL, and one row beyond the last id */
			continue;
		t_row("program types of %s", h->name);
		strtok_r(line, ",", &save);
		for (u32 i = 0; (tok = strtok_r(NULL, ",\n", &save)); i++)
			if (cols[i] && !(h->flags & SPEC_HELPER_OVERRIDES) &&	/* measured without its option */
			    spec_helper_allowed(h, cols[i]->type, cols[i]->attach) != (*tok == '1'))
				t_fail(__FILE__, __LINE__, "%s: measured %s", cols[i]->name, tok);
		seen++;
	}
	fclose(f);
	EQ(seen, 211);
}

/* ---- the tables in themselves ---- */
TEST(no_row_stands_twice)
{
	for (u32 i = 1; i < spec_nr_helpers; i++)
		CHECK(spec_helpers[i].id == i && spec_helpers[i].name);
	for (u32 i = 1; i < spec_nr_kfuncs; i++)
		if (strcmp(spec_kfuncs[i - 1].name, spec_kfuncs[i].name) >= 0)
			t_fail(__FILE__, __LINE__, "%s is out of order", spec_kfuncs[i].name);
	for (u32 i = 0; i < spec_nr_ctx_fields; i++)
		for (u32 j = 0; j < i; j++) {
			const struct spec_ctx_field *a = &spec_ctx_fields[i], *b = &spec_ctx_fields[j];

			if (b->what == CF_TP_BUFFER)	/* only whole; narrower loads from 1 on are numbers */
				continue;
			if (!strcmp(a->ctx, b->ctx) && (a->readers & b->readers) &&
			    a->off < b->off + b->size && b->off < a->off + a->size)
				t_fail(__FILE__, __LINE__, "%s: %s overlaps %s", a->ctx, a->name, b->name);
		}
}

TEST(arguments_are_well_formed)
{
	for (u32 i = 1; i < spec_nr_helpers; i++) {
		const struct spec_helper *h = &spec_helpers[i];
		bool ended = false;

		t_row("arguments of %s", h->name);
		for (u32 k = 0; k < 5; k++) {
			u32 base = ARG_BASE(h->arg[k]), next = k < 4 ? ARG_BASE(h->arg[k + 1]) : ARG_NONE;
			bool sized = next == ARG_SIZE || next == ARG_SIZE_OR_ZERO;

			if (base == ARG_NONE)
				ended = true;
			else if (ended)
				t_fail(__FILE__, __LINE__, "argument %u behind the last", k + 1);
			if (base == ARG_MEM)
				CHECK(!(h->arg[k] & ARG_MEM_FIXED_SIZE) == !h->arg_size[k] &&
				      (h->arg_size[k] || sized));
			else
				CHECK(!h->arg_size[k]);
			if (base == ARG_BTF_ID && h->id != BPF_FUNC_kptr_xchg)
				CHECK(h->btf[k + 1]);
		}
	}
}

TEST(context_fields_are_the_kernels)
{
	NEED_BTF(btf);
	for (u32 i = 0; i < spec_nr_ctx_fields; i++) {
		const struct spec_ctx_field *f = &spec_ctx_fields[i];
		s64 size, off;

		if (btf__find_by_name_kind(btf, f->ctx, BTF_KIND_STRUCT) <= 0)
			continue;		/* tracepoint, syscall, lirc_mode2: no struct */
		if (f->flags & SPEC_CF_DIRECT || !*f->name || !strcmp(f->name, "padding") ||
		    f->what == CF_TP_BUFFER)
			continue;
		t_row("%s.%s", f->ctx, f->name);
		off = kernel_off(btf, f->ctx, BTF_KIND_STRUCT, f->name, &size);
		EQ(f->off, off + (!strcmp(f->name, "args") ? 4 : 0));
		EQ(f->size, size - (!strcmp(f->name, "args") ? 4 : 0));
	}
}
