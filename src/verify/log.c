/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - the kernel's log text, byte for byte: clients parse it. The formats were read off Linux 6.18's own
 * answers. Levels: 1 the failing path, 2 everything, 4 statistics. What a path that was accepted printed is taken
 * back at level 1 (vfy_pop()).
 * Scratched registers and slots are those that the last instruction touched: only they are printed. */
#include <stdio.h>

#include "verify/vfy.h"

#define LOG_ALIGN	40
#define LOG_MIN_ALIGN	8
#define LOG_KEEP	(64u << 20)	/* bytes */

static const char *const type_names[R_NR] = {
	[R_NOT_INIT] = "?",	     [R_SCALAR] = "scalar",   [R_CTX] = "ctx",
	[R_CONST_MAP] = "map_ptr",   [R_MAP_VALUE] = "map_value", [R_MAP_KEY] = "map_key",
	[R_STACK] = "fp",	     [R_PKT_META] = "pkt_meta", [R_PKT] = "pkt",
	[R_PKT_END] = "pkt_end",     [R_FLOW_KEYS] = "flow_keys", [R_SOCKET] = "sock",
	[R_SOCK_COMMON] = "sock_common", [R_TCP_SOCK] = "tcp_sock", [R_TP_BUFFER] = "tp_buffer",
	[R_XDP_SOCK] = "xdp_sock",   [R_BTF_ID] = "ptr_",     [R_MEM] = "mem",
	[R_ARENA] = "arena",	     [R_BUF] = "buf",	      [R_FUNC] = "func",
	[R_DYNPTR] = "dynptr_ptr",
};

const char *vfy_type_str(struct vfy_env *e, u32 t)
{
	const char *null = "";

	if (t & RF_MAYBE_NULL)
		null = R_BASE(t) == R_BTF_ID ? "or_null_" : "_or_null";
	snprintf(e->tmp, 128, "%s%s%s%s%s%s%s%s%s", t & RF_RDONLY ? "rdonly_" : "",
		 t & RF_RINGBUF ? "ringbuf_" : "", t & RF_USER ? "user_" : "",
		 t & RF_PERCPU ? "percpu_" : "", t & RF_RCU ? "rcu_" : "",
		 t & RF_UNTRUSTED ? "untrusted_" : "", t & RF_TRUSTED ? "trusted_" : "",
		 R_BASE(t) < R_NR ? type_names[R_BASE(t)] : "?", null);
	return e->tmp;
}

void vfy_log(struct vfy_env *e, const char *fmt, ...)
{
	va_list ap;

	if (!e->log_level)
		return;
	va_start(ap, fmt);
	sbuf_vprintf(&e->out->log, fmt, ap);
	va_end(ap);
}

const char *vfy_btf_name(struct vfy_env *e, const struct btf *btf, u32 id)
{
	const struct btf_type *t = btf ? btf_type(btf, id) : NULL;

	return t ? btf_str(btf, t->name_off) : "";
}

void vfy_reg_print(struct vfy_env *e, struct sbuf *b, const struct vfy_frame *f, const struct vfy_reg *r)
{
	u32 t = r->type, base = R_BASE(t);
	const char *sep = "";

	if (t == R_SCALAR && r->precise)
		sbuf_puts(b, "P");
	if (reg_is_const(r)) {
		vfy_log_snum(b, (s64)r->s.var.value);
		return;
	}
	sbuf_puts(b, vfy_type_str(e, t));
	if (base == R_ARENA)
		return;
	if (base == R_STACK) {
		if (f && f->frameno != r->frameno)
			sbuf_printf(b, "[%u]", r->frameno);
		if (tnum_is_const(r->s.var)) {
			vfy_log_snum(b, (s64)r->s.var.value + r->off);
			return;
		}
	}
	if (base == R_BTF_ID)
		sbuf_puts(b, vfy_btf_name(e, r->btf, r->btf_id));
	sbuf_puts(b, "(");
#define SEP()	do { sbuf_puts(b, sep); sep = ","; } while (0)
	if (r->id) {
		SEP();
		sbuf_printf(b, "id=%d", (int)(r->id & ~ID_ADD_CONST));
		if (r->id & ID_ADD_CONST)
			sbuf_printf(b, "%+d", r->off);
	}
	if (r->ref_obj_id) {
		SEP();
		sbuf_printf(b, "ref_obj_id=%d", (int)r->ref_obj_id);
	}
	if (t & RF_NON_OWN) {
		SEP();
		sbuf_puts(b, "non_own_ref");
	}
	if (base == R_CONST_MAP || base == R_MAP_KEY || base == R_MAP_VALUE) {
		if (r->map->name[0]) {
			SEP();
			sbuf_printf(b, "map=%.16s", r->map->name);
		}
		SEP();
		sbuf_printf(b, "ks=%u,vs=%u", r->map->key_size, r->map->value_size);
	}
	if (t != R_SCALAR && r->off) {
		SEP();
		sbuf_puts(b, "off=");
		vfy_log_snum(b, r->off);
	}
	if (type_is_pkt(t)) {
		SEP();
		sbuf_puts(b, "r=");
		vfy_log_unum(b, (u64)(s64)r->range);
	}
	if (base == R_MEM) {
		SEP();
		sbuf_puts(b, "sz=");
		vfy_log_unum(b, r->mem_size);
	}
	if (base == R_DYNPTR) {
		SEP();
		sbuf_printf(b, "type=%s", vfy_dynptr_name(r->dyn_kind));
	}
	if (tnum_is_const(r->s.var)) {
		if (r->s.var.value) {
			SEP();
			sbuf_puts(b, "imm=");
			vfy_log_snum(b, (s64)r->s.var.value);
		}
	} else {
		vfy_scalar_log_ranges(b, &r->s, &sep);
	}
#undef SEP
	sbuf_puts(b, ")");
}

static void print_slot(struct vfy_env *e, struct sbuf *b, const struct vfy_frame *f, u32 i)
{
	static const char chars[] = { [S_INVALID] = '?', [S_SPILL] = 'r', [S_MISC] = 'm', [S_ZERO] = '0',
				      [S_DYNPTR] = 'd', [S_ITER] = 'i', [S_IRQ_FLAG] = 'f' };
	const struct vfy_slot *s = &f->slots[i];
	char types[SLOT + 1] = { 0 };
	bool valid = false;

	for (u32 j = 0; j < SLOT; j++) {
		types[j] = chars[s->type[j]];
		valid |= s->type[j] != S_INVALID;
	}
	if (!valid)
		return;
	if (s->type[SLOT - 1] == S_DYNPTR) {
		if (s->reg.dyn_first) {
			sbuf_printf(b, " fp%d=", -(int)(i + 1) * SLOT);
			vfy_dynptr_print(b, &s->reg);
		}
		return;
	}
	if (s->type[SLOT - 1] == S_ITER) {
		if (s->reg.ref_obj_id) {
			sbuf_printf(b, " fp%d=", -(int)(i + 1) * SLOT);
			vfy_iter_print(b, &s->reg);
		}
		return;
	}
	if (s->type[SLOT - 1] != S_SPILL) {
		sbuf_printf(b, " fp%d=%s", -(int)(i + 1) * SLOT, types);
		return;
	}
	for (u32 j = 0; j < SLOT; j++)
		if (s->type[j] == S_SPILL) {
			types[j] = 0;
			break;
		}
	sbuf_printf(b, " fp%d=%s", -(int)(i + 1) * SLOT, types);
	vfy_reg_print(e, b, f, &s->reg);
}

static void clean_scratch(struct vfy_env *e)
{
	e->scratched_regs = 0;
	e->scratched_slots = 0;
}

void vfy_state_print(struct vfy_env *e, const struct vfy_state *st, u32 frameno, bool all)
{
	const struct vfy_frame *f = st->frame[frameno];
	struct sbuf *b = &e->out->log;
	bool refs = false;

	if (!e->log_level)
		return;
	if (f->frameno)
		sbuf_printf(b, " frame%u:", f->frameno);
	for (u32 i = 0; i < 11; i++) {
		if (f->regs[i].type == R_NOT_INIT || (!all && !(e->scratched_regs & BIT(i))))
			continue;
		sbuf_printf(b, " R%u=", i);
		vfy_reg_print(e, b, f, &f->regs[i]);
	}
	for (u32 i = 0; i < f->nr_slots; i++)
		if (all || (e->scratched_slots & BIT64(i)))
			print_slot(e, b, f, i);
	for (u32 i = 0; i < st->nr_refs && st->refs[0].id; i++) {
		if (st->refs[i].id)
			sbuf_printf(b, refs ? ",%u" : " refs=%u", st->refs[i].id);
		refs = true;
	}
	if (f->in_callback)
		sbuf_puts(b, " cb");
	if (f->in_async_callback)
		sbuf_puts(b, " async_cb");
	sbuf_puts(b, "\n");
	if (!all)
		clean_scratch(e);
}

static u32 log_pad(u32 pos)
{
	u32 want = MAX(pos + LOG_MIN_ALIGN / 2, (u32)LOG_ALIGN);

	return ALIGN_UP(want, LOG_MIN_ALIGN) - pos - 1;
}

/* What the previous instruction changed: on its own line if nothing was printed since, else on a new one. */
void vfy_insn_state_print(struct vfy_env *e)
{
	struct sbuf *b = &e->out->log;

	if (e->prev_log_pos && e->prev_log_pos == b->len && b->s) {
		b->len--;		/* the newline behind the instruction */
		sbuf_printf(b, "%*c;", (int)log_pad((u32)e->prev_insn_print), ' ');
	} else {
		vfy_log(e, "%u:", e->insn);
	}
	vfy_state_print(e, e->cur, e->cur->curframe, false);
}

static const char *call_name(void *arg, const struct bpf_insn *insn, char *buf, size_t n)
{
	if (insn->src_reg == BPF_PSEUDO_CALL) {
		snprintf(buf, n, "pc%+d", insn->imm);
		return buf;
	}
	if (insn->src_reg == BPF_PSEUDO_KFUNC_CALL && !insn->off) {
		const struct vfy_env *e = arg;

		return vfy_btf_name(arg, e->in->vmlinux, (u32)insn->imm);
	}
	return NULL;
}

static const char *imm64_name(void *arg, const struct bpf_insn *insn, u64 imm, char *buf, size_t n)
{
	struct vfy_env *e = arg;
	u32 idx = (u32)(insn - e->insns);

	if (insn->src_reg == BPF_PSEUDO_MAP_FD || insn->src_reg == BPF_PSEUDO_MAP_IDX ||
	    insn->src_reg == BPF_PSEUDO_MAP_VALUE || insn->src_reg == BPF_PSEUDO_MAP_IDX_VALUE) {
		const struct vfy_map *m = idx < e->cnt ? e->aux[idx].map : NULL;
		u64 addr = m ? m->direct_addr : 0;

		if (m && !addr)
			addr = 0xffff888000000000ull + (u64)m->id * 0x400;
		if (insn->src_reg == BPF_PSEUDO_MAP_VALUE || insn->src_reg == BPF_PSEUDO_MAP_IDX_VALUE)
			addr += e->aux[idx].direct_off;
		if (!e->allow_ptr_leaks)
			addr = 0;
		snprintf(buf, n, "0x%llx", (unsigned long long)addr);
		return buf;
	}
	return NULL;
}

void vfy_insn_print(struct vfy_env *e, u32 idx)
{
	struct disasm_names names = { .arg = e, .call = call_name, .imm64 = imm64_name };

	if (!e->log_level)
		return;
	disasm_insn(&e->out->log, &e->insns[idx], &names);
	sbuf_puts(&e->out->log, "\n");
}

/* The last line_info record at or before the instruction. */
void vfy_linfo_find(struct vfy_env *e, u32 idx, const struct bpf_line_info **out)
{
	const struct vfy_in *in = e->in;
	u32 lo = 0, hi = in->line_info_cnt;

	*out = NULL;
	if (!in->line_info || !in->btf || in->line_info_rec < sizeof(struct bpf_line_info))
		return;
	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;
		const struct bpf_line_info *l = (const void *)((const u8 *)in->line_info +
							       (size_t)mid * in->line_info_rec);

		if (l->insn_off <= idx) {
			*out = l;
			lo = mid + 1;
		} else {
			hi = mid;
		}
	}
}

static const char *skip_space(const char *s)
{
	while (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\r')
		s++;
	return s;
}

void vfy_linfo_print(struct vfy_env *e, u32 idx, const char *prefix)
{
	const struct bpf_line_info *l, *prev;
	const char *file;

	if (!e->log_level)
		return;
	vfy_linfo_find(e, idx, &l);
	prev = e->prev_linfo >= 0 ? (const void *)((const u8 *)e->in->line_info + e->prev_linfo) : NULL;
	if (!l || l == prev)
		return;
	if (prev && l->file_name_off == prev->file_name_off &&
	    BPF_LINE_INFO_LINE_NUM(l->line_col) == BPF_LINE_INFO_LINE_NUM(prev->line_col))
		return;			/* records that differ in the column only are one line */
	e->prev_linfo = (const u8 *)l - (const u8 *)e->in->line_info;
	vfy_log(e, "%s%s", prefix, skip_space(btf_str(e->in->btf, l->line_off)));
	file = btf_str(e->in->btf, l->file_name_off);
	if (strrchr(file, '/'))
		file = strrchr(file, '/') + 1;
	vfy_log(e, " @ %s:%u\n", file, BPF_LINE_INFO_LINE_NUM(l->line_col));
}

/* Memory is bounded: of a very long log the last part is kept, as it is in a client's buffer that is too small. */
static void log_trim(struct vfy_env *e)
{
	struct sbuf *b = &e->out->log;
	size_t drop = b->len / 2;

	if (b->len < LOG_KEEP)
		return;
	memmove(b->s, b->s + drop, b->len - drop + 1);
	b->len -= drop;
	e->out->log_dropped += drop;
	e->prev_log_pos = 0;
}

/* Back to LEN bytes of the whole log. */
void vfy_log_reset(struct vfy_env *e, u64 len)
{
	struct sbuf *b = &e->out->log;

	if (!b->s)
		return;
	if (len < e->out->log_dropped)
		e->out->log_dropped = len;
	b->len = (size_t)(len - e->out->log_dropped);
	b->s[b->len] = 0;
}

/* "N: (op) text" of the instruction about to be judged. */
void vfy_insn_log(struct vfy_env *e)
{
	log_trim(e);
	if (e->scratched_regs || e->scratched_slots)
		vfy_insn_state_print(e);
	vfy_linfo_print(e, e->insn, "; ");
	e->prev_log_pos = e->out->log.len;
	vfy_log(e, "%u: ", e->insn);
	vfy_insn_print(e, e->insn);
	e->prev_insn_print = e->out->log.len - e->prev_log_pos;
	e->prev_log_pos = e->out->log.len;
}

void vfy_stats_print(struct vfy_env *e)
{
	if (e->log_level & 4) {
		vfy_log(e, "verification time %llu usec\nstack depth ",
			(unsigned long long)e->out->time_ns / 1000);
		for (u32 i = 0; i < e->nr_subs; i++)
			vfy_log(e, "%s%u", i ? "+" : "", e->subs[i].stack_depth);
		vfy_log(e, "\n");
	}
	vfy_log(e, "processed %u insns (limit %d) max_states_per_insn %u total_states %u peak_states %u "
		   "mark_read %d\n",
		e->processed, MAX_INSNS, e->max_states, e->total_states, e->peak_states, 0);
}
