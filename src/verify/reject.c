/* SPDX-License-Identifier: Apache-2.0 */
/* reject.c - why a program was rejected: the kernel's sentence for the log, and a structured record (rule, instruction,
 * register and what was known of it, source line, the branches that led there) for everybody else. */
#include <stdio.h>

#include "verify/vfy.h"

static const struct { const char *id, *text; } rules[VR_LAST] = {
#define RULE(id, name, text) [VR_##name] = { id, text },
#include "verify/rules.def"
#undef RULE
};

const char *vfy_rule_text(const char *id)
{
	for (u32 i = 0; i < VR_LAST; i++)
		if (!strcmp(rules[i].id, id))
			return rules[i].text;
	return NULL;
}

static void line(struct vfy_env *e, const char *fmt, va_list ap)
{
	va_list again;

	va_copy(again, ap);
	if (e->err.len < 4096) {
		sbuf_vprintf(&e->err, fmt, ap);
		sbuf_puts(&e->err, "\n");
	}
	if (e->log_level) {
		sbuf_vprintf(&e->out->log, fmt, again);
		sbuf_puts(&e->out->log, "\n");
	}
	va_end(again);
}

void vfy_note(struct vfy_env *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(e, fmt, ap);
	va_end(ap);
}

int vfy_reject(struct vfy_env *e, enum vfy_rule rule, int err, int reg, const char *fmt, ...)
{
	struct vfy_reason *r = &e->out->reason;
	va_list ap;

	if (fmt) {
		va_start(ap, fmt);
		line(e, fmt, ap);
		va_end(ap);
	}
	if (e->rejected)
		return err;
	e->rejected = true;
	e->err_code = err;
	snprintf(r->rule, sizeof(r->rule), "%s", rules[rule].id);
	r->insn = (s32)e->insn;
	r->reg = (s8)reg;
	if (reg >= 0 && reg <= 10 && e->cur && e->cur->frame[e->cur->curframe]) {
		struct vfy_frame *f = cur_frame(e);
		struct sbuf b = { 0 };

		vfy_reg_print(e, &b, f, &f->regs[reg]);
		snprintf(r->reg_state, sizeof(r->reg_state), "R%d=%s", reg, b.s ? b.s : "");
		sbuf_free(&b);
	}
	return err;
}

int vfy_unsupported(struct vfy_env *e, int reg, const char *what)
{
	return vfy_reject(e, VR_UNSUPPORTED, -EOPNOTSUPP, reg, "skep: not supported yet: %s", what);
}

int vfy_nomem(struct vfy_env *e)
{
	e->oom = true;
	return vfy_reject(e, VR_NOMEM, -ENOMEM, -1, NULL);
}

/* ---- the path: newest last ---- */
#define PATH_MAX_STEPS	256

/* Did control come to the entry's instruction by a jump, a call or a return? */
static bool is_step(struct vfy_env *e, const struct vfy_hist *h)
{
	return h->prev_idx < e->cnt && (BPF_CLASS(e->insns[h->prev_idx].code) == BPF_JMP ||
					BPF_CLASS(e->insns[h->prev_idx].code) == BPF_JMP32);
}

static void step_fill(struct vfy_env *e, const struct vfy_hist *h, struct vfy_step *s)
{
	u8 op = BPF_OP(e->insns[h->prev_idx].code);

	s->insn = h->prev_idx;
	s->taken = 2;
	if (op != BPF_CALL && op != BPF_EXIT && op != BPF_JA)
		s->taken = h->idx != h->prev_idx + 1;
}

static void path_fill(struct vfy_env *e)
{
	struct vfy_reason *r = &e->out->reason;
	const struct vfy_state *st;
	u32 n = 0;

	for (st = e->cur; st; st = st->parent)
		for (u32 h = 0; h < st->nr_hist; h++)
			n += is_step(e, &st->hist[h]);
	n = MIN(n, PATH_MAX_STEPS);
	r->path = n ? calloc(n, sizeof(*r->path)) : NULL;
	if (!r->path)
		return;
	r->nr_path = n;
	for (st = e->cur; st && n; st = st->parent)
		for (u32 h = st->nr_hist; h-- > 0 && n;)
			if (is_step(e, &st->hist[h]))
				step_fill(e, &st->hist[h], &r->path[--n]);
}

static void source_fill(struct vfy_env *e)
{
	struct vfy_reason *r = &e->out->reason;
	const struct bpf_line_info *l;

	if (r->insn < 0 || !e->in->btf)
		return;
	vfy_linfo_find(e, (u32)r->insn, &l);
	if (!l)
		return;
	snprintf(r->file, sizeof(r->file), "%s", btf_str(e->in->btf, l->file_name_off));
	snprintf(r->line_text, sizeof(r->line_text), "%s", btf_str(e->in->btf, l->line_off));
	r->line = BPF_LINE_INFO_LINE_NUM(l->line_col);
	r->col = BPF_LINE_INFO_LINE_COL(l->line_col);
}

/* Complete the record of a rejection with ERR (also one without a sentence). */
void vfy_reason_finish(struct vfy_env *e, int err)
{
	struct vfy_reason *r = &e->out->reason;
	size_t n = e->err.len, from;

	if (!e->rejected)
		vfy_reject(e, VR_BAD_INSN, err, -1, NULL);
	r->err = err;
	from = n > sizeof(r->kernel) - 1 ? n - (sizeof(r->kernel) - 1) : 0;
	if (n)
		memcpy(r->kernel, e->err.s + from, n - from);
	if (n - from && r->kernel[n - from - 1] == '\n')
		r->kernel[n - from - 1] = 0;
	source_fill(e);
	path_fill(e);
}
