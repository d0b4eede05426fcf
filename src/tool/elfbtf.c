/* SPDX-License-Identifier: Apache-2.0 */
/* elfbtf.c - is the type information of an object file sound? libbpf 1.1 follows type ids of .BTF without looking, and so
 * would we when we print by them: nothing of a file is believed before btf_parse() has. Apart, because libbpf has
 * a struct btf of its own. */
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>

#include "base/btf.h"
#include "tool/elfbtf.h"

static Elf_Data *section(Elf *e, const char *want)
{
	size_t strs;
	Elf_Scn *s = NULL;

	if (elf_getshdrstrndx(e, &strs))
		return NULL;
	while ((s = elf_nextscn(e, s))) {
		GElf_Shdr h;
		const char *name;

		if (!gelf_getshdr(s, &h) || h.sh_type == SHT_NOBITS)
			continue;
		name = elf_strptr(e, strs, h.sh_name);
		if (name && !strcmp(name, want))
			return elf_getdata(s, NULL);
	}
	return NULL;
}

/* ---- what compilers leave for the loader to fill in ---- */

/* Bytes behind struct btf_type, as the kind and the number of elements say. */
static size_t tail_size(u32 kind, u32 vlen)
{
	switch (kind) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:		return 4;
	case BTF_KIND_ARRAY:		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_ENUM64:
	case BTF_KIND_DATASEC:		return 12 * (size_t)vlen;
	case BTF_KIND_ENUM:
	case BTF_KIND_FUNC_PROTO:	return 8 * (size_t)vlen;
	}
	return 0;
}

/* Sizes and offsets of sections are zero, externs have a linkage of their own and arguments without names until libbpf
 * knows better, and the kernel's rules are for what libbpf makes of that. A section becomes an enum64 of the same length, once its
 * variables were looked at; NAME is the offset of some identifier. */
static bool settle(struct btf_type *t, u32 kind, u32 vlen, u32 name, const u8 *kinds, u32 nr)
{
	u32 *elem = (u32 *)(t + 1);

	if (kind == BTF_KIND_FUNC && vlen == BTF_FUNC_EXTERN)
		t->info = t->info - vlen + BTF_FUNC_GLOBAL;
	if (kind == BTF_KIND_VAR && *elem == BTF_VAR_GLOBAL_EXTERN)
		*elem = BTF_VAR_GLOBAL_ALLOCATED;
	for (u32 i = 0; kind == BTF_KIND_FUNC_PROTO && i < vlen; i++)
		if (elem[2 * i + 1] && !elem[2 * i])
			elem[2 * i] = name;
	if (kind != BTF_KIND_DATASEC)
		return true;
	for (u32 i = 0; i < vlen; i++, elem += 3) {
		if (elem[0] >= nr || (kinds[elem[0]] != BTF_KIND_VAR && kinds[elem[0]] != BTF_KIND_FUNC))
			return false;
		elem[0] = name;
	}
	t->name_off = 0;
	t->info = BTF_KIND_ENUM64 << 24 | vlen;
	t->size = 8;
	return true;
}

/* An identifier in the strings, for enumerators; 0: none. */
static u32 some_name(const char *strs, u32 len)
{
	for (u32 i = 1; i + 1 < len; i++)
		if (!strs[i - 1] && ((strs[i] | 0x20) >= 'a' && (strs[i] | 0x20) <= 'z') && !strs[i + 1])
			return i;
	for (u32 i = 1; i + 1 < len; i++) {		/* the end of a longer one */
		bool letter = (strs[i] | 0x20) >= 'a' && (strs[i] | 0x20) <= 'z';

		if (letter && !strs[i + 1])
			return i;
	}
	return 0;
}

/* Two walks over the types of a private copy: kinds first, then settle(). What does not parse is left to
 * btf_parse() to name. */
static bool settle_all(u8 *types, u32 len, u32 name, const char **why)
{
	u8 *kinds = calloc(len / (u32)sizeof(struct btf_type) + 2, 1);
	u32 nr = 1;
	bool ok = true;

	for (int pass = 0; kinds && pass < 2; pass++) {
		u32 id = 1;

		for (size_t at = 0; at + sizeof(struct btf_type) <= len; id++) {
			struct btf_type *t = (struct btf_type *)(types + at);
			u32 kind = BTF_INFO_KIND(t->info), vlen = BTF_INFO_VLEN(t->info);
			size_t n = sizeof(*t) + tail_size(kind, vlen);

			if (at + n > len)
				break;
			if (!pass)
				kinds[id] = (u8)kind;
			else if (!settle(t, kind, vlen, name, kinds, nr))
				ok = false;
			at += n;
		}
		nr = id;
	}
	free(kinds);
	if (!ok)
		*why = "a section names what is no variable";
	return ok;
}

static int check(const Elf_Data *d, struct sbuf *why)
{
	struct btf_header h;
	struct btf *btf = NULL;
	const char *bad = NULL;
	u8 *copy;
	int err = 0;

	if (d->d_size < sizeof(h) || d->d_size > UINT32_MAX)
		return -EINVAL;
	copy = malloc(d->d_size);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, d->d_buf, d->d_size);
	memcpy(&h, copy, sizeof(h));
	if ((u64)h.hdr_len + h.type_off + h.type_len <= d->d_size &&
	    (u64)h.hdr_len + h.str_off + h.str_len <= d->d_size && !((h.hdr_len + h.type_off) & 3) &&
	    !settle_all(copy + h.hdr_len + h.type_off, h.type_len,
			some_name((char *)copy + h.hdr_len + h.str_off, h.str_len), &bad)) {
		sbuf_puts(why, bad);
		err = -EINVAL;
	}
	if (!err)
		err = btf_parse(copy, (u32)d->d_size, NULL, why, &btf);
	if (!err)
		btf_free(btf);
	free(copy);
	return err;
}

int elfbtf_check(const void *data, size_t size, struct sbuf *why)
{
	Elf_Data *d;
	int err = 0;
	Elf *e;

	elf_version(EV_CURRENT);
	e = elf_memory((char *)data, size);
	if (!e)
		return 0;			/* libbpf says what is wrong with it */
	d = section(e, ".BTF");
	if (d && d->d_buf)
		err = check(d, why);
	elf_end(e);
	return err;
}
