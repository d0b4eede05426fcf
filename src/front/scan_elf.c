/* SPDX-License-Identifier: Apache-2.0 */
/* scan_elf.c - what the scanner wants to know of an ELF file: its segments, where functions begin (exception frames,
 * symbols, Go's function table), and where else execution may enter them (exception tables).
 * Only program headers are needed; section headers add symbols when they are there. */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "front/scan.h"

static bool inside(u64 at, u64 n, u64 size)
{
	return at <= size && n <= size - at;
}

const u8 *scan_elf_at(const struct scan_elf *e, u64 vaddr, u64 n)
{
	for (u32 i = 0; i < e->nr_segs; i++) {
		const struct scan_seg *s = &e->seg[i];

		if (vaddr >= s->vaddr && inside(vaddr - s->vaddr, n, s->size))
			return e->img + s->off + (vaddr - s->vaddr);
	}
	return NULL;
}

bool scan_elf_off(const struct scan_elf *e, u64 vaddr, u64 *off)
{
	const u8 *p = scan_elf_at(e, vaddr, 1);

	*off = p ? (u64)(p - e->img) : 0;
	return p;
}

bool scan_elf_is_code(const struct scan_elf *e, u64 vaddr)
{
	for (u32 i = 0; i < e->nr_segs; i++) {
		const struct scan_seg *s = &e->seg[i];

		if (s->exec && vaddr >= s->vaddr && vaddr - s->vaddr < s->size)
			return true;
	}
	return false;
}

static u64 get(const u8 *p, u32 n)
{
	u64 v = 0;

	memcpy(&v, p, n);
	return v;
}

static s64 get_s32(const u8 *p)
{
	return (s32)get(p, 4);
}

/* ---- exception frames ---- */

struct cursor {
	const u8 *p, *end;
	u64 addr;				/* of p */
	bool bad;
};

static u64 take(struct cursor *c, u32 n)
{
	u64 v;

	if ((u64)(c->end - c->p) < n) {
		c->bad = true;
		return 0;
	}
	v = get(c->p, n);
	c->p += n;
	c->addr += n;
	return v;
}

static u64 take_uleb(struct cursor *c)
{
	u64 v = 0;

	for (u32 shift = 0; shift < 63; shift += 7) {
		u64 b = take(c, 1);

		v |= (b & 127) << shift;
		if (!(b & 128))
			return v;
	}
	c->bad = true;
	return 0;
}

/* A pointer in DWARF's encodings, as far as compilers use them for code: absolute and pc-relative. */
static u64 take_ptr(struct cursor *c, u8 enc)
{
	u64 base = (enc & 0x70) == 0x10 ? c->addr : 0, v;

	switch (enc & 0x0f) {
	case 0x00: case 0x04: case 0x0c: v = take(c, 8); break;
	case 0x01: v = take_uleb(c); break;
	case 0x02: v = take(c, 2); break;
	case 0x03: v = (u32)take(c, 4); break;
	case 0x0a: v = (u64)(s16)take(c, 2); break;
	case 0x0b: v = (u64)(s32)take(c, 4); break;
	default: c->bad = true; return 0;
	}
	if ((enc & 0x70) > 0x10)
		c->bad = true;
	return v && !c->bad ? v + base : 0;
}

static bool cursor_at(const struct scan_elf *e, u64 addr, struct cursor *c)
{
	for (u32 i = 0; i < e->nr_segs; i++) {
		const struct scan_seg *s = &e->seg[i];

		if (addr < s->vaddr || addr - s->vaddr >= s->size)
			continue;
		*c = (struct cursor){ e->img + s->off + (addr - s->vaddr), e->img + s->off + s->size, addr, false };
		return true;
	}
	return false;
}

/* Encodings that a CIE declares for its FDEs; whether they are of signal trampolines. */
static bool read_cie(const struct scan_elf *e, u64 addr, u8 *fde_enc, u8 *lsda_enc, bool *signal)
{
	struct cursor c;
	const char *aug;
	u8 version, enc;

	*fde_enc = 0;
	*lsda_enc = 0xff;
	*signal = false;
	if (!cursor_at(e, addr, &c))
		return false;
	take(&c, 8);
	version = take(&c, 1);
	aug = (const char *)c.p;
	while (take(&c, 1) && !c.bad)
		;
	take_uleb(&c);
	take_uleb(&c);				/* signed, but only its length matters */
	version == 1 ? (void)take(&c, 1) : (void)take_uleb(&c);
	if (c.bad || *aug != 'z')
		return !c.bad && !*aug;
	take_uleb(&c);
	while (*++aug && !c.bad) {
		switch (*aug) {
		case 'R': *fde_enc = take(&c, 1); break;
		case 'L': *lsda_enc = take(&c, 1); break;
		case 'P': enc = take(&c, 1); take_ptr(&c, enc & 0x7f); break;
		case 'S': *signal = true; break;
		case 'B': break;
		default: return false;
		}
	}
	return !c.bad;
}

static bool read_fde(const struct scan_elf *e, u64 addr, struct scan_func *f)
{
	u8 enc, lsda_enc;
	struct cursor c;
	u64 cie, len;

	if (!cursor_at(e, addr, &c))
		return false;
	len = take(&c, 4);
	cie = c.addr - (u32)take(&c, 4);
	if (c.bad || !len || len == 0xffffffff || !read_cie(e, cie, &enc, &lsda_enc, &f->signal))
		return false;
	f->start = take_ptr(&c, enc);
	f->end = f->start + take_ptr(&c, enc & 0x0f);
	f->lsda = 0;
	if (lsda_enc != 0xff) {
		take_uleb(&c);
		f->lsda = take_ptr(&c, lsda_enc & 0x7f);
	}
	return !c.bad && f->start && f->end > f->start;
}

static u64 fde_start(const struct scan_elf *e, u32 i)
{
	return e->fde_hdr + get_s32(scan_elf_at(e, e->fde_tab + 8ull * i, 8));
}

/* GAP: behind the frame's end, up to the next one's start: assembler ends frames early (clone), or has none. */
static bool fde_of(const struct scan_elf *e, u64 vaddr, struct scan_func *f, bool gap)
{
	u32 lo = 0, hi = e->nr_fdes;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (fde_start(e, mid) <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return false;
	if (!read_fde(e, e->fde_hdr + get_s32(scan_elf_at(e, e->fde_tab + 8ull * (lo - 1), 8) + 4), f))
		return false;
	if (gap && lo < e->nr_fdes)
		f->end = fde_start(e, lo);
	return f->start == fde_start(e, lo - 1) && vaddr < f->end;
}

void scan_elf_pads(const struct scan_elf *e, const struct scan_func *f, void (*fn)(void *arg, u64 vaddr), void *arg)
{
	struct cursor c;
	u64 base = f->start, len;
	u8 enc;

	if (!f->lsda || !cursor_at(e, f->lsda, &c))
		return;
	enc = take(&c, 1);
	if (enc != 0xff)
		base = take_ptr(&c, enc);
	if ((u8)take(&c, 1) != 0xff)
		take_uleb(&c);
	enc = take(&c, 1);
	len = take_uleb(&c);
	if (!c.bad && len < (u64)(c.end - c.p))
		c.end = c.p + len;
	while (!c.bad && c.p < c.end) {
		u64 pad;

		take_ptr(&c, enc);
		take_ptr(&c, enc);
		pad = take_ptr(&c, enc);
		take_uleb(&c);
		if (pad)
			fn(arg, base + pad);
	}
}

/* ---- symbols ---- */

/* GAP: static functions of a stripped file lie behind the end of the last symbol that is left. */
static bool sym_of(const struct scan_elf *e, u64 vaddr, struct scan_func *f, bool gap)
{
	u32 lo = 0, hi = e->nr_syms, i;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (e->syms[mid].addr <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return false;
	for (i = lo - 1; i && e->syms[i - 1].addr == e->syms[i].addr && !e->syms[i].size; i--)
		;
	*f = (struct scan_func){ .start = e->syms[i].addr, .end = e->syms[i].addr + e->syms[i].size };
	if (!e->syms[i].size || gap)
		f->end = lo < e->nr_syms ? e->syms[lo].addr : f->start + SCAN_FUNC_MAX;
	return vaddr < f->end;
}

bool scan_elf_func(const struct scan_elf *e, u64 vaddr, struct scan_func *f)
{
	struct scan_func g;

	if (!fde_of(e, vaddr, f, false) && !sym_of(e, vaddr, f, false)) {
		bool fde = fde_of(e, vaddr, f, true), sym = sym_of(e, vaddr, &g, true);

		if (!fde && !sym)
			return false;
		if (!fde || (sym && g.start > f->start))
			*f = g;
	}
	return f->end - f->start <= SCAN_FUNC_MAX && scan_elf_at(e, f->start, f->end - f->start);
}

static int add_sym(struct scan_elf *e, u32 *cap, u64 addr, u64 size)
{
	if (!scan_elf_is_code(e, addr))
		return 0;
	if (e->nr_syms == *cap) {
		u32 n = *cap ? *cap * 2 : 1024;
		void *p = realloc(e->syms, n * sizeof(*e->syms));

		if (!p)
			return -ENOMEM;
		e->syms = p;
		*cap = n;
	}
	e->syms[e->nr_syms++] = (struct scan_sym){ addr, size };
	return 0;
}

static int add_symtab(struct scan_elf *e, u32 *cap, u64 off, u64 n)
{
	for (u64 i = 0; i < n / sizeof(Elf64_Sym); i++) {
		Elf64_Sym s;
		u32 type;

		memcpy(&s, e->img + off + i * sizeof(s), sizeof(s));
		type = ELF64_ST_TYPE(s.st_info);
		if (s.st_shndx == SHN_UNDEF || (type != STT_FUNC && type != STT_NOTYPE && type != STT_GNU_IFUNC))
			continue;
		if (add_sym(e, cap, s.st_value, type == STT_NOTYPE ? 0 : s.st_size))
			return -ENOMEM;
	}
	return 0;
}

/* Go's table of functions, sorted, whatever was stripped: layout of Go 1.18 and later. */
static int add_gopclntab(struct scan_elf *e, u32 *cap, u64 off, u64 n)
{
	const u8 *p = e->img + off;
	u64 nr, text, tab;
	u32 magic;

	if (n < 72)
		return 0;
	magic = get(p, 4);
	if ((magic != 0xfffffff0 && magic != 0xfffffff1) || p[7] != 8)
		return 0;
	nr = get(p + 8, 8);
	text = get(p + 24, 8);
	tab = get(p + 64, 8);
	if (nr > n / 8 || !inside(tab, nr * 8, n))
		return 0;
	for (u64 i = 0; i < nr; i++) {
		if (add_sym(e, cap, text + get(p + tab + i * 8, 4), 0))
			return -ENOMEM;
	}
	return 0;
}

static int by_addr(const void *a, const void *b)
{
	const struct scan_sym *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return x->size < y->size ? -1 : x->size > y->size;
}

static int read_sections(struct scan_elf *e, const Elf64_Ehdr *h)
{
	const char *names = NULL;
	u64 names_size = 0;
	u32 cap = 0;
	int err = 0;

	if (h->e_shentsize != sizeof(Elf64_Shdr) || !inside(h->e_shoff, (u64)h->e_shnum * sizeof(Elf64_Shdr), e->size))
		return 0;
	for (u32 pass = 0; pass < 2; pass++) {
		for (u32 i = 0; i < h->e_shnum && !err; i++) {
			Elf64_Shdr s;

			memcpy(&s, e->img + h->e_shoff + (u64)i * sizeof(s), sizeof(s));
			if (s.sh_type == SHT_NOBITS || !inside(s.sh_offset, s.sh_size, e->size))
				continue;
			if (!pass) {
				if (i == h->e_shstrndx) {
					names = (const char *)e->img + s.sh_offset;
					names_size = s.sh_size;
				}
			} else if (s.sh_type == SHT_SYMTAB || s.sh_type == SHT_DYNSYM) {
				err = add_symtab(e, &cap, s.sh_offset, s.sh_size);
			} else if (names && inside(s.sh_name, 11, names_size) &&
				   !memcmp(names + s.sh_name, ".gopclntab", 11)) {
				err = add_gopclntab(e, &cap, s.sh_offset, s.sh_size);
			}
		}
	}
	if (e->nr_syms)
		qsort(e->syms, e->nr_syms, sizeof(*e->syms), by_addr);
	return err;
}

/* ---- program headers ---- */

static void read_fde_hdr(struct scan_elf *e, u64 vaddr)
{
	const u8 *p = scan_elf_at(e, vaddr, 12);
	u64 n;

	/* version 1, .eh_frame pc-relative, count and sorted table as every linker writes them */
	if (!p || p[0] != 1 || p[1] != 0x1b || p[2] != 0x03 || p[3] != 0x3b)
		return;
	n = get(p + 8, 4);
	if (!scan_elf_at(e, vaddr + 12, n * 8))
		return;
	e->fde_hdr = vaddr;
	e->fde_tab = vaddr + 12;
	e->nr_fdes = n;
}

static void copy_string(const struct scan_elf *e, u64 strtab, u64 off, char *out, u32 n)
{
	for (u32 i = 0; i < n - 1; i++) {
		const u8 *p = scan_elf_at(e, strtab + off + i, 1);

		out[i] = p ? (char)*p : 0;
		out[i + 1] = 0;
		if (!out[i])
			return;
	}
}

static void read_dynamic(struct scan_elf *e, u64 off, u64 n)
{
	u64 strtab = 0, runpath = 0, needed[ARRAY_SIZE(e->needed)];
	u32 nr = 0;
	Elf64_Dyn d;

	for (u64 i = 0; i < n / sizeof(d); i++) {
		memcpy(&d, e->img + off + i * sizeof(d), sizeof(d));
		switch (d.d_tag) {
		case DT_NULL: n = 0; break;
		case DT_STRTAB: strtab = d.d_un.d_ptr; break;
		case DT_RELA: e->rela = d.d_un.d_ptr; break;
		case DT_RELASZ: e->rela_size = d.d_un.d_val; break;
		case DT_RPATH: case DT_RUNPATH: runpath = d.d_un.d_val; break;
		case DT_NEEDED:
			if (nr < ARRAY_SIZE(needed))
				needed[nr++] = d.d_un.d_val;
			break;
		}
	}
	for (u32 i = 0; strtab && i < nr; i++)
		copy_string(e, strtab, needed[i], e->needed[i], sizeof(e->needed[i]));
	if (strtab && runpath)
		copy_string(e, strtab, runpath, e->runpath, sizeof(e->runpath));
	e->nr_needed = strtab ? nr : 0;
}

static void read_phdrs(struct scan_elf *e, const Elf64_Ehdr *h)
{
	Elf64_Phdr p;

	for (u32 pass = 0; pass < 2; pass++) {
		for (u32 i = 0; i < h->e_phnum; i++) {
			memcpy(&p, e->img + h->e_phoff + (u64)i * sizeof(p), sizeof(p));
			if (!inside(p.p_offset, p.p_filesz, e->size) || p.p_vaddr > 1ull << 47)
				continue;
			if (!pass && p.p_type == PT_LOAD && e->nr_segs < ARRAY_SIZE(e->seg))
				e->seg[e->nr_segs++] = (struct scan_seg){ p.p_vaddr, p.p_offset, p.p_filesz,
									 p.p_flags & PF_X };
			else if (pass && p.p_type == PT_GNU_EH_FRAME)
				read_fde_hdr(e, p.p_vaddr);
			else if (pass && p.p_type == PT_DYNAMIC)
				read_dynamic(e, p.p_offset, p.p_filesz);
			else if (pass && p.p_type == PT_INTERP)
				memcpy(e->interp, e->img + p.p_offset, MIN(p.p_filesz, sizeof(e->interp) - 1));
		}
	}
}

int scan_elf_headers(struct scan_elf *e, const void *img, size_t n)
{
	Elf64_Ehdr h;

	memset(e, 0, sizeof(*e));
	if (n < sizeof(h))
		return -ENOEXEC;
	memcpy(&h, img, sizeof(h));
	if (memcmp(h.e_ident, ELFMAG, SELFMAG) || h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_machine != EM_X86_64 ||
	    (h.e_type != ET_EXEC && h.e_type != ET_DYN) || h.e_phentsize != sizeof(Elf64_Phdr) ||
	    !inside(h.e_phoff, (u64)h.e_phnum * sizeof(Elf64_Phdr), n))
		return -ENOEXEC;
	e->img = img;
	e->size = n;
	e->fixed = h.e_type == ET_EXEC;
	read_phdrs(e, &h);
	return 0;
}

int scan_elf_open(struct scan_elf *e, const void *img, size_t n)
{
	int err = scan_elf_headers(e, img, n);
	Elf64_Ehdr h;

	if (err)
		return err;
	memcpy(&h, img, sizeof(h));
	return read_sections(e, &h);
}

void scan_elf_close(struct scan_elf *e)
{
	free(e->syms);
	e->syms = NULL;
}
