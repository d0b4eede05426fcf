/* SPDX-License-Identifier: Apache-2.0 */
/* rt_elf.c - symbols of images that are mapped (the vDSO, ld.so), found by their own dynamic sections; what auxv says.
 * Read only at start, before the target runs: images are as the kernel and ld.so left them. */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "agent/rt.h"

u64 rt_auxv(const u64 *auxv, u64 type)
{
	for (; auxv && auxv[0] != AT_NULL; auxv += 2)
		if (auxv[0] == type)
			return auxv[1];
	return 0;
}

/* Addresses in the dynamic section are relocated in ld.so (by itself, in some libcs), not in the vDSO. */
static const void *at(const struct rt_elf *e, u64 value)
{
	return (const void *)(value >= e->base ? value : value + e->bias);
}

static void read_dynamic(struct rt_elf *e, const Elf64_Dyn *d)
{
	for (; d->d_tag != DT_NULL; d++) {
		switch (d->d_tag) {
		case DT_SYMTAB: e->symtab = at(e, d->d_un.d_ptr); break;
		case DT_STRTAB: e->strtab = at(e, d->d_un.d_ptr); break;
		case DT_STRSZ: e->strsz = d->d_un.d_val; break;
		case DT_GNU_HASH: e->gnu_hash = at(e, d->d_un.d_ptr); break;
		case DT_HASH: e->sysv_hash = at(e, d->d_un.d_ptr); break;
		}
	}
}

int rt_elf_open(u64 base, struct rt_elf *e)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)base;
	const Elf64_Phdr *p, *dynamic = NULL;
	bool loaded = false;

	memset(e, 0, sizeof(*e));
	if (!base || memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_phentsize != sizeof(*p) || h->e_phoff > SKEP_PAGE || h->e_phnum > 40)
		return -ENOEXEC;
	p = (const Elf64_Phdr *)(base + h->e_phoff);
	e->base = base;
	for (u32 i = 0; i < h->e_phnum; i++, p++) {
		if (p->p_type == PT_LOAD && !loaded) {
			e->bias = base + p->p_offset - p->p_vaddr;
			loaded = true;
		}
		if (p->p_type == PT_DYNAMIC)
			dynamic = p;
	}
	if (!loaded || !dynamic)
		return -ENOEXEC;
	read_dynamic(e, (const Elf64_Dyn *)(e->bias + dynamic->p_vaddr));
	return e->symtab && e->strtab && (e->gnu_hash || e->sysv_hash) ? 0 : -ENOEXEC;
}

static const Elf64_Sym *check(const struct rt_elf *e, u32 i, const char *name)
{
	const Elf64_Sym *s = (const Elf64_Sym *)e->symtab + i;

	if (s->st_shndx == SHN_UNDEF || s->st_name >= e->strsz || strcmp(e->strtab + s->st_name, name))
		return NULL;
	return s;
}

static const Elf64_Sym *by_gnu_hash(const struct rt_elf *e, const char *name)
{
	const u32 *h = e->gnu_hash;
	u32 nbuckets = h[0], first = h[1], bloom = h[2], hash = 5381, i;
	const u32 *buckets = h + 4 + bloom * 2, *chain = buckets + nbuckets;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (u8)*c;
	i = nbuckets ? buckets[hash % nbuckets] : 0;
	if (i < first)
		return NULL;
	for (;; i++) {
		const Elf64_Sym *s = (chain[i - first] | 1) == (hash | 1) ? check(e, i, name) : NULL;

		if (s || chain[i - first] & 1)
			return s;
	}
}

static const Elf64_Sym *by_sysv_hash(const struct rt_elf *e, const char *name)
{
	u32 n = e->sysv_hash[1];

	for (u32 i = 1; i < n; i++) {
		const Elf64_Sym *s = check(e, i, name);

		if (s)
			return s;
	}
	return NULL;
}

u64 rt_elf_sym(const struct rt_elf *e, const char *name)
{
	const Elf64_Sym *s = e->gnu_hash ? by_gnu_hash(e, name) : by_sysv_hash(e, name);

	return s ? e->bias + s->st_value : 0;
}

s64 rt_rseq_offset(const u64 *auxv)
{
	struct rt_elf e;
	u64 sym;

	if (rt_elf_open(rt_auxv(auxv, AT_BASE), &e))
		return 0;
	sym = rt_elf_sym(&e, "__rseq_offset");
	return sym ? *(const s64 *)sym : 0;
}
