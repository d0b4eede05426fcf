/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - PROG_LOAD: the verified program becomes an image (vm/image.h) in an object file, with hard links to what it
 * uses, published last. Record offsets (func_info, line_info) are moved to the rewritten program, as the kernel's are. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prog/prog.h"
#include "sys/load.h"

struct part {
	enum image_sec_id id;
	const void *data;
	u64 size;
};

#define MAX_PARTS IMG_SECS

struct image_build {
	struct part part[MAX_PARTS];
	u32 nr;
	u64 room;
	struct image_ref refs[LOAD_MAX_MAPS];
	void *func_info, *line_info;
	u32 *line_code;
	struct image_stats zero;
};

static void add(struct image_build *b, enum image_sec_id id, const void *data, u64 size)
{
	b->part[b->nr++] = (struct part){ id, data, size };
	b->room += ALIGN_UP(size, 64ul);
}

/* The place of original instruction OFF in the rewritten program: the first that comes from it or a later one. */
static u32 moved(const struct vfy_out *o, u32 off)
{
	u32 lo = 0, hi = o->xlated_cnt;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (o->orig[mid] < off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* A copy of CNT records of REC bytes cut to KNOWN, whose first u32 is an instruction offset. */
static void *move_records(const struct vfy_out *o, const void *recs, u32 cnt, u32 rec, u32 known)
{
	u8 *out = calloc(MAX(cnt, 1u), known);

	for (u32 i = 0; out && i < cnt; i++) {
		u32 at;

		memcpy(out + (size_t)i * known, (const u8 *)recs + (size_t)i * rec, MIN(rec, known));
		memcpy(&at, out + (size_t)i * known, sizeof(at));
		at = o->orig ? moved(o, at) : at;
		memcpy(out + (size_t)i * known, &at, sizeof(at));
	}
	return out;
}

/* Where an instruction's code begins. A subprogram's first one begins with its prologue: readers find functions by it. */
static u32 code_of(const struct load *l, u32 insn)
{
	for (u32 s = 0; s < l->out.nr_subs; s++)
		if (l->out.subs[s].insn == insn)
			return l->out.subs[s].code_off;
	return l->code.insn_to_off[insn];
}

static u32 *line_code(const struct load *l, const struct bpf_line_info *li)
{
	u32 *out = calloc(MAX(l->line_info_cnt, 1u), sizeof(*out));

	for (u32 i = 0; out && i < l->line_info_cnt; i++)
		if (l->code.insn_to_off && li[i].insn_off < l->out.xlated_cnt)
			out[i] = code_of(l, li[i].insn_off);
	return out;
}

static int build(struct load *l, struct image_build *b)
{
	const struct vfy_out *o = &l->out;
	bool x86 = true;

#ifdef __aarch64__
	x86 = false;
#endif
	b->func_info = move_records(o, l->func_info, l->func_info_cnt, l->k->a.func_info_rec_size,
				    sizeof(struct bpf_func_info));
	b->line_info = move_records(o, l->line_info, l->line_info_cnt, l->k->a.line_info_rec_size,
				    sizeof(struct bpf_line_info));
	b->line_code = b->line_info ? line_code(l, b->line_info) : NULL;
	if (!b->func_info || !b->line_info || !b->line_code)
		return -ENOMEM;
	for (u32 i = 0; i < l->nr_maps; i++)
		b->refs[i] = (struct image_ref){ l->maps[i]->id, l->maps[i]->attr.type, l->maps[i]->obj->gen };
	add(b, IMG_INSNS, l->insns, (u64)l->cnt * sizeof(*l->insns));
	add(b, IMG_XLATED, o->xlated, (u64)o->xlated_cnt * sizeof(*o->xlated));
	add(b, IMG_SUBPROGS, o->subs, (u64)o->nr_subs * sizeof(*o->subs));
	add(b, IMG_MAPS, b->refs, (u64)l->nr_maps * sizeof(*b->refs));
	add(b, IMG_FUNC_INFO, b->func_info, (u64)l->func_info_cnt * sizeof(struct bpf_func_info));
	add(b, IMG_LINE_INFO, b->line_info, (u64)l->line_info_cnt * sizeof(struct bpf_line_info));
	if (l->code.code) {
		add(b, x86 ? IMG_CODE_X86 : IMG_CODE_ARM64, l->code.code, l->code.code_size);
		add(b, x86 ? IMG_RELOC_X86 : IMG_RELOC_ARM64, l->code.relocs,
		    (u64)l->code.nr_relocs * sizeof(*l->code.relocs));
		add(b, IMG_LINE_CODE, b->line_code, (u64)l->line_info_cnt * sizeof(u32));
	}
	add(b, IMG_STATS, &b->zero, sizeof(b->zero));
	return 0;
}

static void fill_hdr(const struct load *l, struct image_hdr *h)
{
	const union skep_attr *a = &l->k->a;

	*h = (struct image_hdr){
		.version = IMAGE_VERSION,
		.prog_type = a->prog_type, .attach_type = a->expected_attach_type,
		.flags = l->out.image_flags, .prog_flags = a->prog_flags,
		.verified_insns = l->out.verified_insns, .max_stack = l->out.max_stack,
		.max_ctx_off = l->out.max_ctx_off,
		.btf_id = l->btf ? l->btf->id : 0,
		.func_info_rec = sizeof(struct bpf_func_info), .line_info_rec = sizeof(struct bpf_line_info),
		.ifindex = a->prog_ifindex, .attach_btf_id = a->attach_btf_id, .license_gpl = l->gpl,
	};
	memcpy(h->tag, l->tag, sizeof(h->tag));
	memcpy(h->name, l->name, sizeof(h->name));
}

static void write_parts(const struct image_build *b, struct image_hdr *h, u8 *area)
{
	u64 at = 0;

	for (u32 i = 0; i < b->nr; i++) {
		const struct part *p = &b->part[i];

		h->sec[p->id] = (struct image_sec){ (u32)at, (u32)p->size };
		if (p->size)
			memcpy(area + at, p->data, p->size);
		at += ALIGN_UP(p->size, 64ul);
	}
}

static int link_all(const struct load *l, const struct obj *o)
{
	char name[16] = "btf";
	int err = 0;

	if (l->btf)
		err = obj_ref(o->dir, OBJ_PROG, o->id, name, OBJ_BTF, l->btf->id);
	for (u32 i = 0; !err && i < l->nr_maps; i++) {
		snprintf(name, sizeof(name), "map%u", i);
		err = obj_ref(o->dir, OBJ_PROG, o->id, name, OBJ_MAP, l->maps[i]->id);
	}
	return err;
}

static int store(struct load *l, const struct image_build *b)
{
	struct image_hdr h;
	struct obj *o;
	int fd, err;

	if (b->room > UINT32_MAX)
		return -E2BIG;
	err = obj_create(l->k->c->dir, OBJ_PROG, l->name, 0, ALIGN_UP(b->room, SKEP_PAGE), &o, &fd);
	if (err)
		return err;
	fill_hdr(l, &h);
	write_parts(b, &h, o->base + o->client_size);
	memcpy(o->hdr->kind_data, &h, sizeof(h));
	prog_image_digest(&h, o->base + o->client_size, o->hdr->digest);
	err = link_all(l, o);
	if (!err)
		err = obj_publish(o);
	if (err) {
		obj_abort(o, fd);
		return err;
	}
	obj_unmap(o);
	return fd;
}

int load_store(struct load *l)
{
	struct image_build b = { 0 };
	int err = build(l, &b);

	if (!err)
		err = store(l, &b);
	free(b.func_info);
	free(b.line_info);
	free(b.line_code);
	return err;
}
