/* SPDX-License-Identifier: Apache-2.0 */
/* jit.c - the compiler's driver: analysis (ir.c), one pass of emission, branch shortening, relocations. Works in time
 * linear in the program but for branch shortening, whose few rounds only look at branches. Same input on
 * the same machine, same code; no addresses of this process get into the result. See jit.h for how it is cut. */
#include "vm/jit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CODE_MAX	(64u << 20)

/* Grow *P of elements of SIZE to hold NEED. */
static bool grow(struct jit *j, void *p, u32 *cap, u32 need, u32 size)
{
	void **vec = p, *bigger;
	u32 want = MAX(need, *cap * 2);

	if (need <= *cap)
		return true;
	bigger = j->err ? NULL : realloc(*vec, (size_t)want * size);
	if (!bigger) {
		j->err = j->err ? j->err : -ENOMEM;
		return false;
	}
	*vec = bigger;
	*cap = want;
	return true;
}

u8 *jit_room(struct jit *j, u32 n)
{
	if (j->len > CODE_MAX)
		j->err = -E2BIG;
	return grow(j, &j->buf, &j->cap, j->len + n, 1) ? j->buf + j->len : NULL;
}

void jit_bytes(struct jit *j, const void *p, u32 n)
{
	u8 *to = jit_room(j, n);

	if (to) {
		memcpy(to, p, n);
		j->len += n;
	}
}

void jit_label_here(struct jit *j, u32 label)
{
	j->label[label] = (struct jit_label) { j->len, j->nr_sites };
}

void jit_site(struct jit *j, u8 kind, u32 label, u8 len_long, u8 len_short)
{
	if (!grow(j, &j->site, &j->cap_sites, j->nr_sites + 1, sizeof(*j->site)) ||
	    !jit_room(j, len_long))
		return;
	j->site[j->nr_sites++] = (struct jit_site) {
		.at = j->len, .label = label, .kind = kind, .len = { len_long, len_short },
		.is_short = len_short < len_long,
	};
	j->len += len_long;
}

void jit_reloc(struct jit *j, s32 delta, u8 form, u8 kind, u16 n, s64 addend)
{
	u32 cap = j->cap_relocs;

	if (!grow(j, &j->reloc, &cap, j->nr_relocs + 1, sizeof(*j->reloc)) ||
	    !grow(j, &j->reloc_site, &j->cap_relocs, j->nr_relocs + 1, sizeof(*j->reloc_site)))
		return;
	j->reloc_site[j->nr_relocs] = j->nr_sites;
	j->reloc[j->nr_relocs++] = (struct image_reloc) {
		.where = j->len + delta, .form = form, .kind = kind, .n = n, .addend = addend,
	};
}

/* ---- branch shortening ---- */

/* saved[k]: bytes that shortening the sites before k saves. */
static void sum_up(const struct jit *j, u32 *saved)
{
	saved[0] = 0;
	for (u32 k = 0; k < j->nr_sites; k++)
		saved[k + 1] = saved[k] + (j->site[k].is_short ? j->site[k].len[0] - j->site[k].len[1] : 0);
}

static u32 label_at(const struct jit *j, const u32 *saved, u32 label)
{
	return j->label[label].at - saved[j->label[label].site];
}

static s64 disp_of(const struct jit *j, const u32 *saved, u32 k)
{
	const struct jit_site *s = &j->site[k];

	return (s64)label_at(j, saved, s->label) - (s64)(s->at - saved[k] + s->len[s->is_short]);
}

/* All sites begin short; those that do not reach grow, until all do. */
static void settle(struct jit *j, u32 *saved)
{
	bool again = true;

	while (again) {
		again = false;
		sum_up(j, saved);
		for (u32 k = 0; k < j->nr_sites; k++) {
			struct jit_site *s = &j->site[k];

			if (s->is_short && !j->ops->reaches(s->kind, disp_of(j, saved, k))) {
				s->is_short = false;
				again = true;
			}
		}
	}
}

/* Move the code together and write the branches. */
static void close_gaps(struct jit *j, const u32 *saved)
{
	u32 from = 0, to = 0;

	for (u32 k = 0; k <= j->nr_sites; k++) {
		const struct jit_site *s = k < j->nr_sites ? &j->site[k] : NULL;
		u32 end = s ? s->at : j->len;

		memmove(j->buf + to, j->buf + from, end - from);
		to += end - from;
		if (!s)
			break;
		j->ops->branch(j->buf + to, s, disp_of(j, saved, k));
		to += s->len[s->is_short];
		from = s->at + s->len[0];
	}
	j->len = to;
}

static int finish(struct jit *j, struct jit_code *out)
{
	u32 *saved = calloc(j->nr_sites + 1, sizeof(*saved));

	out->insn_to_off = calloc(j->cnt, sizeof(*out->insn_to_off));
	if (!saved || !out->insn_to_off) {
		free(saved);
		return -ENOMEM;
	}
	settle(j, saved);
	close_gaps(j, saved);
	for (u32 i = 0; i < j->nr_relocs; i++)
		j->reloc[i].where -= saved[j->reloc_site[i]];
	for (u32 i = 0; i < j->cnt; i++)
		out->insn_to_off[i] = label_at(j, saved, i);
	for (u32 s = 0; s < j->nr_subs; s++) {
		j->subs[s].code_off = label_at(j, saved, jit_label_entry(j, s));
		if (s)
			j->subs[s - 1].code_size = j->subs[s].code_off - j->subs[s - 1].code_off;
	}
	j->subs[j->nr_subs - 1].code_size = j->len - j->subs[j->nr_subs - 1].code_off;
	free(saved);
	out->code = j->buf;
	out->code_size = j->len;
	out->relocs = j->reloc;
	out->nr_relocs = j->nr_relocs;
	j->buf = NULL;
	j->reloc = NULL;
	return 0;
}

/* ---- emission ---- */

static int emit_sub(struct jit *j, u32 sub)
{
	u32 end = sub + 1 < j->nr_subs ? j->subs[sub + 1].insn : j->cnt;
	int n;

	j->sub = sub;
	j->ops->enter(j, sub);
	for (u32 i = j->subs[sub].insn; i < end; i += (u32)n) {
		jit_label_here(j, i);
		n = ir_dead(&j->ir, j->insn, i) ? 1 + insn_is_ldimm64(&j->insn[i]) : j->ops->insn(j, i);
		if (n < 0)
			return n;
		for (u32 k = 1; k < (u32)n; k++)
			j->label[i + k] = j->label[i];
		if (j->err)
			return j->err;
	}
	return 0;
}

static void mark_inline(struct jit *j)
{
	bool any = false;

	for (u32 i = 0; i < j->cnt; i++) {
		if (j->insn[i].code != (BPF_JMP | BPF_CALL) || !j->ops->inlines(j, i))
			continue;
		j->ir.fact[i].flags |= IR_INLINE;
		any = true;
	}
	if (any)
		ir_relive(&j->ir, j->insn, j->cnt);
}

static int emit_all(struct jit *j)
{
	int err;

	j->label = calloc((size_t)j->cnt + 2 * j->nr_subs, sizeof(*j->label));
	if (!j->label)
		return -ENOMEM;
	for (u32 s = 0; s < j->nr_subs && !j->err; s++) {
		err = emit_sub(j, s);
		if (err)
			return err;
	}
	if (j->cpu_used)
		jit_reloc(j, 0, FORM_ABS64, RELOC_CPU, (u16)j->cpu_used, 0);
	return j->err;
}

static const struct jit_ops *ops_of(enum jit_arch arch)
{
	return arch == JIT_X86_64 ? &jit_x86_ops : NULL;
}

int jit_compile(const struct bpf_insn *xlated, u32 cnt, struct image_subprog *subs, u32 nr_subs,
		const struct jit_opts *o, struct jit_code *out)
{
	struct jit j = {
		.insn = xlated, .cnt = cnt, .subs = subs, .nr_subs = nr_subs, .o = o, .ops = ops_of(o->arch),
		.cpu = jit_cpu_features() & ~o->without,
	};
	int err;

	memset(out, 0, sizeof(*out));
	if (!j.ops)
		return -EOPNOTSUPP;
	err = insn_check_shape(xlated, cnt, subs, nr_subs);
	if (err)
		return err;
	if (nr_subs > UINT16_MAX || o->nr_maps >= UINT16_MAX)
		return -E2BIG;
	err = ir_build(&j.ir, xlated, cnt, subs, nr_subs, o);
	if (!err) {
		mark_inline(&j);
		err = emit_all(&j);
	}
	if (!err)
		err = finish(&j, out);
	ir_free(&j.ir);
	free(j.buf);
	free(j.site);
	free(j.reloc);
	free(j.reloc_site);
	free(j.label);
	if (err)
		jit_code_free(out);
	return err;
}

void jit_code_free(struct jit_code *c)
{
	free(c->code);
	free(c->relocs);
	free(c->insn_to_off);
	memset(c, 0, sizeof(*c));
}
