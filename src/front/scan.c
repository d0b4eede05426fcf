/* SPDX-License-Identifier: Apache-2.0 */
/* scan.c - from an ELF file to its table of system call sites.
 *
 * Only functions that contain the bytes 0f 05 are decoded. What enters them from elsewhere is found without decoding the
 * rest: every byte of the text is taken for the start of a jmp, call, jcc or lea, every relocation and (in
 * fixed executables) every word of data for the address of a label. That finds too much, never too little, and too much
 * costs a window at worst. Short branches from other functions are not looked for: compilers and assemblers emit none
 * into the middle of a function of its own. */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sha256.h"
#include "front/scan.h"

#define NR_RT_SIGRETURN	15			/* never touched: debuggers and unwinders know its bytes */
#define GRAIN		64			/* bytes per bit of the filter */

/* What is known of the file while it is scanned. */
struct scan {
	struct scan_elf elf;
	struct scan_func *func;			/* those with 0f 05 inside, by address */
	u32 nr_funcs, cap_funcs;
	u64 *entry;				/* addresses inside of them that somebody else names */
	u32 nr_entries, cap_entries;
	u64 *label;				/* symbols there, in order */
	u32 nr_labels;
	u64 base, span;				/* the text */
	u8 *filter;				/* a bit per GRAIN bytes: part of a func */
	struct site *site;
	u32 nr_sites, cap_sites, nr_found, nr_bare;
	struct scan_blob blob;
	u32 *index;
};

static int grow(void **p, u32 *cap, u32 need, size_t size)
{
	u32 n = MAX(*cap * 2, 256u);
	void *q;

	if (need <= *cap)
		return 0;
	q = realloc(*p, n * size);
	if (!q)
		return -ENOMEM;
	*p = q;
	*cap = n;
	return 0;
}

/* ---- which functions ---- */

static int add_func(struct scan *s, const struct scan_func *f)
{
	int err = grow((void **)&s->func, &s->cap_funcs, s->nr_funcs + 1, sizeof(*s->func));

	if (err)
		return err;
	s->func[s->nr_funcs++] = *f;
	return 0;
}

/* Segments are in order of addresses, so functions come out in order. */
static int find_funcs(struct scan *s, const struct scan_seg *seg)
{
	const u8 *p = s->elf.img + seg->off, *end = p + seg->size;
	struct scan_func f;
	u64 done = 0, a;
	int err;

	for (; p + 1 < end; p++) {
		p = memchr(p, 0x0f, end - p - 1);
		if (!p)
			return 0;
		if (p[1] != 0x05)
			continue;
		a = seg->vaddr + (p - (s->elf.img + seg->off));
		if (a < done)
			continue;
		if (!scan_elf_func(&s->elf, a, &f))
			continue;
		if (s->nr_funcs && s->func[s->nr_funcs - 1].start == f.start) {	/* found again, with what lies behind */
			done = s->func[s->nr_funcs - 1].end = f.end;
			continue;
		}
		if (f.start < done)
			continue;
		done = f.end;
		err = add_func(s, &f);
		if (err)
			return err;
	}
	return 0;
}

static int set_filter(struct scan *s)
{
	u64 lo = ~0ull, hi = 0;

	for (u32 i = 0; i < s->nr_funcs; i++) {
		lo = MIN(lo, s->func[i].start);
		hi = MAX(hi, s->func[i].end);
	}
	s->base = lo;
	s->span = s->nr_funcs ? hi - lo : 0;
	s->filter = calloc(1, s->span / GRAIN / 8 + 2);
	if (!s->filter)
		return -ENOMEM;
	for (u32 i = 0; i < s->nr_funcs; i++) {
		for (u64 g = (s->func[i].start - lo) / GRAIN; g <= (s->func[i].end - 1 - lo) / GRAIN; g++)
			s->filter[g / 8] |= BIT(g % 8);
	}
	return 0;
}

/* ---- who enters them ---- */

static const struct scan_func *func_at(const struct scan *s, u64 vaddr)
{
	u32 lo = 0, hi = s->nr_funcs;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (s->func[mid].start <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && vaddr < s->func[lo - 1].end ? &s->func[lo - 1] : NULL;
}

static inline bool maybe(const struct scan *s, u64 vaddr)
{
	u64 g = (vaddr - s->base) / GRAIN;

	return vaddr - s->base < s->span && s->filter[g / 8] & BIT(g % 8);
}

static int note_entry(struct scan *s, u64 vaddr)
{
	int err;

	if (!maybe(s, vaddr) || !func_at(s, vaddr))
		return 0;
	err = grow((void **)&s->entry, &s->cap_entries, s->nr_entries + 1, sizeof(*s->entry));
	if (!err)
		s->entry[s->nr_entries++] = vaddr;
	return err;
}

/* Every byte may begin a relative instruction: opcode, then 32 bits (lea: with a ModRM byte between). */
static int text_entries(struct scan *s, const struct scan_seg *seg)
{
	static const u8 skip[256] = {
		[0xe8] = 1, [0xe9] = 1, [0x8d] = 2,
		[0x80] = 1, [0x81] = 1, [0x82] = 1, [0x83] = 1, [0x84] = 1, [0x85] = 1, [0x86] = 1, [0x87] = 1,
		[0x88] = 1, [0x89] = 1, [0x8a] = 1, [0x8b] = 1, [0x8c] = 1, [0x8e] = 1, [0x8f] = 1,
	};
	const u8 *p = s->elf.img + seg->off;
	s32 rel;

	for (u64 i = 1; i + 6 < seg->size; i++) {
		u32 n = skip[p[i]];
		u64 to;

		if (!n || (n == 1 && p[i] < 0xe8 && p[i - 1] != 0x0f))
			continue;
		/* 8d is lea, and after 0f jge */
		if (p[i] == 0x8d && p[i - 1] == 0x0f)
			n = 1;
		memcpy(&rel, p + i + n, 4);
		to = seg->vaddr + i + n + 4 + rel;
		if (maybe(s, to) && note_entry(s, to))
			return -ENOMEM;
	}
	return 0;
}

static int reloc_entries(struct scan *s)
{
	Elf64_Rela r;

	for (u64 i = 0; i < s->elf.rela_size / sizeof(r); i++) {
		const u8 *p = scan_elf_at(&s->elf, s->elf.rela + i * sizeof(r), sizeof(r));

		if (!p)
			return 0;
		memcpy(&r, p, sizeof(r));
		if (note_entry(s, r.r_addend))
			return -ENOMEM;
	}
	return 0;
}

static int data_entries(struct scan *s, const struct scan_seg *seg)
{
	u64 v;

	for (u64 i = 0; i + 8 <= seg->size; i += 8) {
		memcpy(&v, s->elf.img + seg->off + i, 8);
		if (maybe(s, v) && note_entry(s, v))
			return -ENOMEM;
	}
	return 0;
}

static int by_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static int copy_labels(struct scan *s)
{
	s->label = malloc((s->elf.nr_syms + 1) * sizeof(*s->label));
	if (!s->label)
		return -ENOMEM;
	for (u32 i = 0; i < s->elf.nr_syms; i++) {
		if (maybe(s, s->elf.syms[i].addr))
			s->label[s->nr_labels++] = s->elf.syms[i].addr;
	}
	return 0;
}

static int find_entries(struct scan *s)
{
	int err = reloc_entries(s);

	for (u32 i = 0; i < s->elf.nr_segs && !err; i++) {
		const struct scan_seg *seg = &s->elf.seg[i];

		if (seg->exec)
			err = text_entries(s, seg);
		else if (s->elf.fixed)
			err = data_entries(s, seg);
	}
	if (!err)
		err = copy_labels(s);
	if (s->nr_entries)
		qsort(s->entry, s->nr_entries, sizeof(*s->entry), by_u64);
	return err;
}

/* ---- sites ---- */

/* Constants that registers hold, followed through straight code. */
struct known {
	u16 set;
	s64 value[16];
};

static void step(struct known *k, const struct insn *in, const u8 *p)
{
	u16 was = k->set;

	if (in->target)
		was = k->set = 0;
	k->set &= ~in->writes;
	if (in->kind == I_CALL || in->kind == I_ICALL || in->kind == I_ODD)
		k->set = 0;
	if (in->kind == I_JMP || in->kind == I_IJMP || in->kind == I_RET || in->kind == I_STOP)
		k->set = 0;
	if (in->kind == I_SYSCALL)
		k->set &= ~(1u << REG_AX | 1u << REG_CX | 1u << REG_R11);
	if (in->set >= 0 && in->copy < 0) {
		k->set |= 1u << in->set;
		k->value[in->set] = in->value;
	} else if (in->set >= 0 && was >> in->copy & 1) {
		k->set |= 1u << in->set;
		k->value[in->set] = k->value[in->copy];
	} else if (in->len == 2 && p[0] == 0xb0 && was >> REG_AX & 1) {	/* mov $imm8,%al */
		k->set |= 1u << REG_AX;
		k->value[REG_AX] = (k->value[REG_AX] & ~0xffll) | p[1];
	}
}

/* push $imm8; pop %rax: the short way that size-minded code takes. */
static bool pushed(const struct scan_code *c, u32 i, s64 *v)
{
	const struct insn *in = &c->insn[i];
	const u8 *p = c->bytes + in->at;

	if (!i || in->len != 1 || p[0] != 0x58 || in->target || c->insn[i - 1].len != 2 || p[-2] != 0x6a)
		return false;
	*v = (s8)p[-1];
	return true;
}

/* These must not be made elsewhere: fork and clone return twice, a thread that ends never leaves. Unknown numbers may
 * be any of them, and are often cancellation points, whose handlers look at the address (musl). */
static bool movable(s32 nr)
{
	return nr >= 0 && nr != 56 && nr != 57 && nr != 58 && nr != 60 && nr != 231 && nr != 435;
}

static int add_site(struct scan *s, const struct scan_code *c, u32 i, s32 nr)
{
	struct site *site, *prev;
	u64 floor = 0, a = c->f.start + c->insn[i].at, off;
	int err;

	s->nr_found++;
	if (nr == NR_RT_SIGRETURN) {
		s->nr_bare++;
		return 0;
	}
	if (s->nr_sites >= SITE_MAX)
		return -E2BIG;
	err = grow((void **)&s->site, &s->cap_sites, s->nr_sites + 1, sizeof(*s->site));
	if (err)
		return err;
	site = &s->site[s->nr_sites];
	memset(site, 0, sizeof(*site));
	scan_elf_off(&s->elf, a, &off);
	site->off = off;
	site->nr = nr;
	prev = s->nr_sites ? site - 1 : NULL;
	if (prev && off - prev->off < 256)
		floor = a - (off - prev->off) + (prev->exit.len ? prev->exit.at + prev->exit.len : 2);
	err = scan_windows(c, i, floor, site, &s->blob);
	if (err)
		return err;
	if (!site->enter.len)
		s->nr_bare++;
	if (!site->exit.len && site->enter.len && movable(nr))
		site->flags |= SITE_MOVABLE;
	if (site->enter.len || site->exit.len)
		s->nr_sites++;
	return 0;
}

/* First of N sorted values that is not below V. */
static u32 lower(const u64 *a, u32 n, u64 v)
{
	u32 lo = 0, hi = n;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (a[mid] < v)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* A symbol inside of what we took for one instruction: we read the function wrongly. */
static int mark_entries(const struct scan *s, struct scan_code *c)
{
	u32 i;

	for (i = lower(s->entry, s->nr_entries, c->f.start); i < s->nr_entries && s->entry[i] < c->f.end; i++)
		scan_mark(c, s->entry[i]);
	for (i = lower(s->label, s->nr_labels, c->f.start); i < s->nr_labels && s->label[i] < c->f.end; i++) {
		if (!scan_mark(c, s->label[i]))
			return -EILSEQ;
	}
	return 0;
}

/* What looks like a system call in a function that does not decode, or must not be touched. */
static void count_bare(struct scan *s, const struct scan_code *c)
{
	for (u64 i = 0; i + 1 < c->f.end - c->f.start; i++) {
		if (c->bytes[i] == 0x0f && c->bytes[i + 1] == 0x05) {
			s->nr_found++;
			s->nr_bare++;
		}
	}
}

static int scan_func(struct scan *s, struct scan_code *c)
{
	struct known k = {};
	s64 v;
	int err;

	memset(c->index, 0, (c->f.end - c->f.start + SCAN_PAD) * sizeof(*c->index));
	c->bytes = scan_elf_at(&s->elf, c->f.start, c->f.end - c->f.start);
	err = c->f.signal ? -EILSEQ : scan_decode(c);
	if (!err)
		err = mark_entries(s, c);
	if (err == -EILSEQ) {
		count_bare(s, c);
		return 0;
	}
	if (err)
		return err;
	for (u32 i = 0; i < c->nr && !err; i++) {
		const struct insn *in = &c->insn[i];

		if (in->kind == I_SYSCALL) {
			bool is = k.set & 1 && !in->target && k.value[REG_AX] == (s32)k.value[REG_AX] &&
				  k.value[REG_AX] >= 0;

			err = add_site(s, c, i, is ? (s32)k.value[REG_AX] : -1);
		}
		step(&k, in, c->bytes + in->at);
		if (pushed(c, i, &v)) {
			k.set |= 1;
			k.value[REG_AX] = v;
		}
	}
	return err;
}

static int scan_all(struct scan *s)
{
	struct scan_code c = { .elf = &s->elf };
	int err = 0;

	for (u32 i = 0; i < s->elf.nr_segs && !err; i++) {
		if (s->elf.seg[i].exec)
			err = find_funcs(s, &s->elf.seg[i]);
	}
	if (!err)
		err = set_filter(s);
	if (!err)
		err = find_entries(s);
	c.index = calloc(SCAN_FUNC_MAX + SCAN_PAD, sizeof(*c.index));
	if (!c.index)
		err = -ENOMEM;
	for (u32 i = 0; i < s->nr_funcs && !err; i++) {
		c.f = s->func[i];
		err = scan_func(s, &c);
	}
	free(c.insn);
	free(c.index);
	return err;
}

static int make_table(const struct scan *s, const struct site_ident *id, struct site_hdr **out, size_t *len)
{
	u32 blob = ALIGN_UP(s->blob.len, 4u);
	size_t n = sizeof(**out) + s->nr_sites * sizeof(struct site) + blob;
	struct site_hdr *h = calloc(1, n);

	if (!h)
		return -ENOMEM;
	*h = (struct site_hdr){ .magic = SITE_MAGIC, .version = SITE_VERSION, .id = *id, .nr_sites = s->nr_sites,
				.blob_size = blob, .nr_found = s->nr_found, .nr_bare = s->nr_bare };
	if (s->nr_sites)
		memcpy(h + 1, s->site, s->nr_sites * sizeof(struct site));
	if (s->blob.len)
		memcpy((u8 *)(h + 1) + s->nr_sites * sizeof(struct site), s->blob.data, s->blob.len);
	sha256(h + 1, n - sizeof(*h), h->digest);
	*out = h;
	*len = n;
	return 0;
}

static int scan_image(const void *img, size_t n, const struct site_ident *id, struct site_hdr **out, size_t *len)
{
	struct scan s = {};
	int err = scan_elf_open(&s.elf, img, n);

	if (!err)
		err = scan_all(&s);
	if (!err)
		err = make_table(&s, id, out, len);
	scan_elf_close(&s.elf);
	free(s.func);
	free(s.entry);
	free(s.label);
	free(s.filter);
	free(s.site);
	free(s.blob.data);
	return err;
}

int scan_file(int fd, struct site_hdr **table, size_t *len)
{
	struct site_ident id;
	struct stat st;
	void *img;
	int err;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || !st.st_size)
		return -ENOEXEC;
	img = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (img == MAP_FAILED)
		return -errno;
	id = (struct site_ident){ st.st_dev, st.st_ino, st.st_size,
				  st.st_mtim.tv_sec * 1000000000ull + st.st_mtim.tv_nsec };
	err = scan_image(img, st.st_size, &id, table, len);
	munmap(img, st.st_size);
	return err;
}

static void print_win(FILE *f, const char *name, const struct site_win *w, u64 off)
{
	if (!w->len) {
		fprintf(f, "  %s none", name);
		return;
	}
	fprintf(f, "  %s %+d..%+d%s%s%s%s", name, w->at, w->at + w->len, w->bounds ? " several" : "",
		(off + w->at) % 16 > 11 ? " across" : "", w->flags & WIN_FLAGS_LIVE ? " flags" : "",
		w->flags & WIN_UNSURE ? " unsure" : "");
}

void scan_print(const struct site_hdr *h, FILE *f)
{
	const struct site *s = site_table_sites(h);

	for (u32 i = 0; i < h->nr_sites; i++) {
		fprintf(f, "%#8llx  nr %3d", (unsigned long long)s[i].off, s[i].nr);
		print_win(f, "enter", &s[i].enter, s[i].off);
		print_win(f, "exit", &s[i].exit, s[i].off);
		fputs(s[i].flags & SITE_MOVABLE ? "  movable\n" : "\n", f);
	}
	fprintf(f, "%u syscall instructions, %u without a way in\n", h->nr_found, h->nr_bare);
}
