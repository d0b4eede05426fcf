/* SPDX-License-Identifier: Apache-2.0 */
/* code.c - executable memory: a private copy of a program's machine code, relocated for this process.
 *
 * The copy is anonymous memory (a noexec /dev/shm does not matter), written while it is writable and then made
 * executable and read-only: it is never both. It lies near the helpers, so that calls are direct; where that
 * fails, calls go through a veneer behind the code. Relocations may come from a damaged or hostile file: each is
 * bounds-checked, none can write outside of the copy. No locks: a struct code is immutable once linked. */
#ifdef __x86_64__
#include <cpuid.h>
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vm/vm.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE	0x100000
#endif
#define CODE_MAX	(256u << 20)
#define NEAR_STEP	(16ul << 20)		/* between places tried */
#define NEAR_MAX	(1ul << 30)		/* rel32 reaches 2 GiB; leaves room for the code itself */
#define VENEER		16			/* bytes: jmp *0(%rip); .quad target */

struct code {
	u8 *base;
	u32 size;				/* of the program's code */
	size_t mapped;
	u32 veneers;				/* bytes used behind it */
};

/* ---- where ---- */

static u8 *map_at(u64 addr, size_t size)
{
	void *p = mmap((void *)addr, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | (addr ? MAP_FIXED_NOREPLACE : 0), -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Writable memory within reach of NEAR when there is some, anywhere else. */
static u8 *map_near(u64 near, size_t size)
{
	u64 at = ALIGN_DOWN(near, NEAR_STEP);
	u8 *p;

	for (u64 d = NEAR_STEP; near && d < NEAR_MAX; d += NEAR_STEP) {
		p = at > d + (64u << 10) ? map_at(at - d, size) : NULL;
		if (!p)
			p = map_at(at + d, size);
		if (p)
			return p;
	}
	return map_at(0, size);
}

/* ---- relocations ---- */

static bool is_call(const struct image_reloc *r)
{
	return r->kind == RELOC_HELPER || r->kind == RELOC_KFUNC || r->kind == RELOC_RT;
}

static void *runtime(const struct vm_link *l, u32 n)
{
	switch (n) {
	case RT_TAIL_CALL:
		return (void *)l->tail_call;
	case RT_LD_ABS:
		return (void *)vm_ld_abs;
	case RT_PROBE:
		return (void *)vm_probe_load;
	}
	return NULL;
}

/* Address that R names in this process; the base of the code for RELOC_SELF. */
static int target_of(const struct image_reloc *r, const struct vm_link *l, const struct code *c, u64 *out)
{
	void *p = NULL;

	switch (r->kind) {
	case RELOC_HELPER:
		p = l->helper ? (void *)l->helper(l->arg, r->n) : NULL;
		break;
	case RELOC_KFUNC:
		p = l->kfunc ? (void *)l->kfunc(l->arg, r->n) : NULL;
		break;
	case RELOC_MAP:
		p = l->map ? l->map(l->arg, r->n) : NULL;
		break;
	case RELOC_MAP_VALUE:
		if (r->addend < 0 || r->addend > UINT32_MAX)
			return -EINVAL;
		p = l->map_value ? l->map_value(l->arg, r->n, (u32)r->addend) : NULL;
		break;
	case RELOC_MAP_DATA:
		p = l->map_data ? l->map_data(l->arg, r->n) : NULL;
		break;
	case RELOC_SELF:
		if (r->addend < 0 || r->addend >= c->size)
			return -EINVAL;
		p = c->base + r->addend;
		break;
	case RELOC_RT:
		p = r->n < RT_LAST ? runtime(l, r->n) : NULL;
		break;
	default:
		return -EINVAL;
	}
	*out = (u64)p;
	return p ? 0 : -ENOENT;
}

/* A jump to TARGET that is in reach of the code: one made before for it, or a new one. */
static u64 veneer(struct code *c, u64 target)
{
	static const u8 jmp_rip[6] = { 0xff, 0x25 };
	u8 *area = c->base + ALIGN_UP(c->size, VENEER), *p;
	u64 have;

	for (p = area; p < area + c->veneers; p += VENEER) {
		memcpy(&have, p + sizeof(jmp_rip), sizeof(have));
		if (have == target)
			return (u64)p;
	}
	memcpy(p, jmp_rip, sizeof(jmp_rip));
	memcpy(p + sizeof(jmp_rip), &target, sizeof(target));
	c->veneers += VENEER;
	return (u64)p;
}

static int apply_rel32(struct code *c, const struct image_reloc *r, u64 target)
{
	u64 next = (u64)c->base + r->where + 4;
	s64 d = (s64)(target - next);
	s32 d32;

	if (d != (s32)d) {
		if (!is_call(r))
			return -EINVAL;
		d = (s64)(veneer(c, target) - next);
	}
	d32 = (s32)d;
	memcpy(c->base + r->where, &d32, sizeof(d32));
	return 0;
}

u32 jit_cpu_features(void)
{
	u32 have = 0;
#ifdef __x86_64__
	u32 a, b, c, d;

	if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_BMI2)
		have |= JIT_CPU_X86_BMI2;
#endif
	return have;
}

static int apply(struct code *c, const struct image_reloc *r, const struct vm_link *l)
{
	u32 width = r->form == FORM_ABS64 ? 8 : 4;
	u64 target;
	int err;

	if (r->kind == RELOC_CPU)
		return r->n & ~jit_cpu_features() ? -ENOEXEC : 0;
	if ((r->form != FORM_ABS64 && r->form != FORM_REL32) || r->where > c->size ||
	    c->size - r->where < width)
		return -EINVAL;
	err = target_of(r, l, c, &target);
	if (err)
		return err;
	if (r->form == FORM_REL32)
		return apply_rel32(c, r, target);
	memcpy(c->base + r->where, &target, sizeof(target));
	return 0;
}

/* Something that calls will go to, as a hint where to put the code. */
static u64 near_what(const struct image_reloc *r, u32 nr, const struct vm_link *l, u32 *calls)
{
	const struct code none = { 0 };
	u64 near = (u64)vm_ld_abs, t;

	*calls = 0;
	for (u32 i = 0; i < nr; i++) {
		if (!is_call(&r[i]))
			continue;
		if (!*calls && !target_of(&r[i], l, &none, &t))
			near = t;
		++*calls;
	}
	return near;
}

static int link_at(struct code *c, const u8 *code, const struct image_reloc *r, u32 nr,
		   const struct vm_link *l)
{
	int err;

	memcpy(c->base, code, c->size);
	for (u32 i = 0; i < nr; i++) {
		err = apply(c, &r[i], l);
		if (err)
			return err;
	}
	if (mprotect(c->base, c->mapped, PROT_READ | PROT_EXEC))
		return -errno;
	__builtin___clear_cache((char *)c->base, (char *)c->base + c->mapped);
	return 0;
}

int code_link(const u8 *code, u32 size, const struct image_reloc *r, u32 nr, const struct vm_link *l,
	      struct code **out)
{
	u32 calls;
	u64 near = near_what(r, nr, l, &calls);
	struct code *c;
	int err;

	if (!size || size > CODE_MAX || calls > CODE_MAX / VENEER)
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->size = size;
	c->mapped = ALIGN_UP((size_t)ALIGN_UP(size, VENEER) + (size_t)calls * VENEER, SKEP_PAGE);
	c->base = map_near(near, c->mapped);
	if (!c->base) {
		free(c);
		return -ENOMEM;
	}
	err = link_at(c, code, r, nr, l);
	if (err)
		code_free(c);
	else
		*out = c;
	return err;
}

void *code_entry(const struct code *c, u32 off)
{
	return off < c->size ? c->base + off : NULL;
}

void code_free(struct code *c)
{
	if (!c)
		return;
	munmap(c->base, c->mapped);
	free(c);
}
