/* SPDX-License-Identifier: Apache-2.0 */
/* btfinfo.c - func_info: one record per function, in order, naming a BTF FUNC. line_info: records in order, at real
 * instructions, one at the start of each function. Records may be longer than known when the rest is zero, or shorter. */
#include "verify/btfinfo.h"

#include <errno.h>
#include <string.h>

#include "spec/uapi.h"

#define REC_MAX		252

static struct bpf_func_info func_rec(const struct vfy_in *in, u32 i)
{
	struct bpf_func_info r = { 0 };

	memcpy(&r, (const u8 *)in->func_info + (size_t)i * in->func_info_rec, MIN(sizeof(r), in->func_info_rec));
	return r;
}

static struct bpf_line_info line_rec(const struct vfy_in *in, u32 i)
{
	struct bpf_line_info r = { 0 };

	memcpy(&r, (const u8 *)in->line_info + (size_t)i * in->line_info_rec, MIN(sizeof(r), in->line_info_rec));
	return r;
}

static bool tail_is_zero(const void *recs, u32 i, u32 known, u32 rec)
{
	const u8 *p = (const u8 *)recs + (size_t)i * rec;

	for (u32 k = known; k < rec; k++)
		if (p[k])
			return false;
	return true;
}

static int fail(struct sbuf *why, int err, const char *fmt, ...) __printf(3, 4);
static int fail(struct sbuf *why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	sbuf_vprintf(why, fmt, ap);
	va_end(ap);
	return err;
}

/* ---- functions ----------------------------------------------------------------------------------------------- */

static const struct btf_type *func_of(const struct btf *b, u32 id)
{
	const struct btf_type *t = btf_type(b, id);

	return t && BTF_INFO_KIND(t->info) == BTF_KIND_FUNC ? t : NULL;
}

static int check_func_rec(const struct vfy_in *in, u32 i, u32 prev, struct sbuf *why)
{
	struct bpf_func_info r = func_rec(in, i);

	if (!tail_is_zero(in->func_info, i, sizeof(r), in->func_info_rec))
		return fail(why, -E2BIG, "nonzero tailing record in func info");
	if (!i && r.insn_off)
		return fail(why, -EINVAL, "nonzero insn_off %u for the first func info record", r.insn_off);
	if (i && r.insn_off <= prev)
		return fail(why, -EINVAL, "same or smaller insn offset (%u) than previous func info record (%u)",
			    r.insn_off, prev);
	if (!func_of(in->btf, r.type_id))
		return fail(why, -EINVAL, "invalid type id %d in func info", r.type_id);
	return 0;
}

int btfinfo_check_early(const struct vfy_in *in, struct sbuf *why)
{
	u32 rec = in->func_info_rec, prev = 0;

	if (!in->func_info_cnt && !in->line_info_cnt)
		return 0;
	if (!in->btf)
		return -EINVAL;
	if (!in->func_info_cnt)
		return 0;
	if (rec < sizeof(struct bpf_func_info) || rec > REC_MAX || rec % 4)
		return fail(why, -EINVAL, "invalid func info rec size %u\n", rec);
	for (u32 i = 0; i < in->func_info_cnt; i++) {
		int err = check_func_rec(in, i, prev, why);

		if (err)
			return err;
		prev = func_rec(in, i).insn_off;
	}
	return 0;
}

/* LD_ABS and tail calls end a function with a number: what returns to a caller must return an int. */
static bool returns_int(const struct btf *b, const struct btf_type *func)
{
	const struct btf_type *t = btf_type(b, func->type);
	u32 id = t ? t->type : 0;

	t = btf_skip_mods(b, &id);
	if (!t)
		return false;
	if (BTF_INFO_KIND(t->info) == BTF_KIND_INT)
		return t->size <= 8;
	return BTF_INFO_KIND(t->info) == BTF_KIND_ENUM || BTF_INFO_KIND(t->info) == BTF_KIND_ENUM64;
}

static int check_without_btf(const struct btfinfo_sub *subs, u32 nr, struct sbuf *why)
{
	for (u32 i = 1; i < nr; i++) {
		if (subs[i].has_ld_abs)
			return fail(why, -EINVAL, "LD_ABS is not allowed in subprogs without BTF\n");
		if (subs[i].has_tail_call)
			return fail(why, -EINVAL, "tail_call is not allowed in subprogs without BTF\n");
	}
	return 0;
}

static int check_funcs(const struct vfy_in *in, struct btfinfo_sub *subs, u32 nr, struct sbuf *why)
{
	if (!in->func_info_cnt)
		return check_without_btf(subs, nr, why);
	if (in->func_info_cnt != nr)
		return fail(why, -EINVAL, "number of funcs in func_info doesn't match number of subprogs\n");
	for (u32 i = 0; i < nr; i++) {
		struct bpf_func_info r = func_rec(in, i);
		const struct btf_type *t = func_of(in->btf, r.type_id);
		bool num;

		if (subs[i].start != r.insn_off)
			return fail(why, -EINVAL,
				    "func_info BTF section doesn't match subprog layout in BPF program\n");
		num = !i || returns_int(in->btf, t);
		if (!num && subs[i].has_ld_abs)
			return fail(why, -EINVAL, "LD_ABS is only allowed in functions that return 'int'.\n");
		if (!num && subs[i].has_tail_call)
			return fail(why, -EINVAL, "tail_call is only allowed in functions that return 'int'.\n");
		subs[i].func_type_id = r.type_id;
		subs[i].linkage = BTF_INFO_VLEN(t->info);
		subs[i].name = btf_str(in->btf, t->name_off);
	}
	return 0;
}

/* ---- lines --------------------------------------------------------------------------------------------------- */

static int check_line_rec(const struct vfy_in *in, u32 i, u32 prev, struct sbuf *why)
{
	struct bpf_line_info r = line_rec(in, i);

	if (!tail_is_zero(in->line_info, i, sizeof(r), in->line_info_rec))
		return fail(why, -E2BIG, "nonzero tailing record in line_info");
	if ((i && r.insn_off <= prev) || r.insn_off >= in->cnt)
		return fail(why, -EINVAL, "Invalid line_info[%u].insn_off:%u (prev_offset:%u prog->len:%u)\n", i,
			    r.insn_off, prev, in->cnt);
	if (!in->insns[r.insn_off].code)
		return fail(why, -EINVAL, "Invalid insn code at line_info[%u].insn_off\n", i);
	if (!btf_str_exists(in->btf, r.line_off) || !btf_str_exists(in->btf, r.file_name_off))
		return fail(why, -EINVAL, "Invalid line_info[%u].line_off or .file_name_off\n", i);
	return 0;
}

static int check_lines(const struct vfy_in *in, struct btfinfo_sub *subs, u32 nr, struct sbuf *why)
{
	u32 rec = in->line_info_rec, prev = 0, s = 0;

	if (!in->line_info_cnt)
		return 0;
	if (in->line_info_cnt > INT32_MAX / sizeof(struct bpf_line_info) || rec < sizeof(struct bpf_line_info) ||
	    rec > REC_MAX || rec % 4)
		return -EINVAL;
	for (u32 i = 0; i < in->line_info_cnt; i++) {
		int err = check_line_rec(in, i, prev, why);

		if (err)
			return err;
		prev = line_rec(in, i).insn_off;
		if (s < nr && prev == subs[s].start)
			subs[s++].linfo = (s32)i;
		else if (s < nr && prev > subs[s].start)
			return fail(why, -EINVAL, "missing bpf_line_info for func#%u\n", s);
	}
	if (s != nr)
		return fail(why, -EINVAL, "missing bpf_line_info for %u funcs starting from func#%u\n", nr - s, s);
	return 0;
}

int btfinfo_check(const struct vfy_in *in, struct btfinfo_sub *subs, u32 nr, struct sbuf *why)
{
	int err;

	for (u32 i = 0; i < nr; i++) {
		subs[i].linfo = -1;
		subs[i].func_type_id = subs[i].linkage = 0;
		subs[i].name = NULL;
	}
	if (!in->func_info_cnt && !in->line_info_cnt)
		return check_without_btf(subs, nr, why);
	err = check_funcs(in, subs, nr, why);
	return err ? err : check_lines(in, subs, nr, why);
}

bool btfinfo_line(const struct vfy_in *in, u32 insn, struct btfinfo_line *out)
{
	u32 lo = 0, hi = in->line_info_cnt;
	struct bpf_line_info r;

	if (!in->btf || in->line_info_rec < sizeof(r))
		return false;
	while (lo < hi) {		/* lo: first record behind INSN */
		u32 mid = lo + (hi - lo) / 2;

		if (line_rec(in, mid).insn_off <= insn)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return false;
	r = line_rec(in, lo - 1);
	*out = (struct btfinfo_line){
		btf_str(in->btf, r.file_name_off), btf_str(in->btf, r.line_off),
		BPF_LINE_INFO_LINE_NUM(r.line_col), BPF_LINE_INFO_LINE_COL(r.line_col), r.insn_off, lo - 1,
	};
	return true;
}
