/* SPDX-License-Identifier: Apache-2.0 */
/* h_dynptr.c - dynptrs: memory whose size is known at run time only, as 16 bytes on the program's stack. The verifier keeps
 * programs from touching those bytes, and knows which dynptrs are there; what it does not know is checked here. Layout as
 * the kernel's, so that a null dynptr is all zeroes. */
#include <linux/bpf.h>

#include "map/map.h"
#include "prog/helper.h"

struct dynptr {
	u8 *data;			/* NULL: a null dynptr */
	u32 size;			/* below DYN_SIZE_MAX, and DYN_RDONLY */
	u32 offset;			/* of its beginning in data */
};
_Static_assert(sizeof(struct dynptr) == sizeof(struct bpf_dynptr), "what programs reserve");

#define DYN_SIZE_MAX	((1u << 24) - 1)
#define DYN_RDONLY	BIT(31)

static u64 dyn_make(struct dynptr *d, void *data, u64 size)
{
	*d = (struct dynptr){ .data = data, .size = data ? (u32)size : 0 };
	return 0;
}

static u64 dyn_null(struct dynptr *d, int err)
{
	dyn_make(d, NULL, 0);
	return ERR(err);
}

/* [off, off + len) of it, or NULL. */
static u8 *dyn_span(const struct dynptr *d, u64 off, u64 len)
{
	u32 size = d->size & DYN_SIZE_MAX;

	return len > size || off > size - len ? NULL : d->data + d->offset + off;
}

HELPER_FN(dynptr_from_mem)
{
	if ((u32)r2 > DYN_SIZE_MAX)
		return dyn_null(PTR(r4), E2BIG);
	return r3 ? dyn_null(PTR(r4), EINVAL) : dyn_make(PTR(r4), PTR(r1), (u32)r2);
}

/* The dynptr is made also where there is no room: the program has to end it all the same. */
HELPER_FN(ringbuf_reserve_dynptr)
{
	void *rec;

	if (r3)
		return dyn_null(PTR(r4), EINVAL);
	if ((u32)r2 > DYN_SIZE_MAX)
		return dyn_null(PTR(r4), E2BIG);
	rec = map_ring_reserve(PTR(r1), (u32)r2, 0);
	return rec ? dyn_make(PTR(r4), rec, (u32)r2) : dyn_null(PTR(r4), EINVAL);
}

static u64 dyn_end(struct dynptr *d, u64 flags, bool discard)
{
	if (d->data)
		map_ring_submit(d->data, flags, discard);
	return dyn_make(d, NULL, 0);
}

HELPER_FN(ringbuf_submit_dynptr)
{
	return dyn_end(PTR(r1), r2, false);
}

HELPER_FN(ringbuf_discard_dynptr)
{
	return dyn_end(PTR(r1), r2, true);
}

HELPER_FN(dynptr_read)
{
	const struct dynptr *d = PTR(r3);
	const u8 *from;

	if (!d->data || r5)
		return ERR(EINVAL);
	from = dyn_span(d, r4, r2);
	if (!from)
		return ERR(E2BIG);
	memmove(PTR(r1), from, r2);
	return 0;
}

HELPER_FN(dynptr_write)
{
	const struct dynptr *d = PTR(r1);
	u8 *to;

	if (!d->data || d->size & DYN_RDONLY)
		return ERR(EINVAL);
	to = dyn_span(d, r2, r4);
	if (!to)
		return ERR(E2BIG);
	if (r5)
		return ERR(EINVAL);
	memmove(to, PTR(r3), r4);
	return 0;
}

HELPER_FN(dynptr_data)
{
	const struct dynptr *d = PTR(r1);

	return d->data && !(d->size & DYN_RDONLY) ? (u64)(uintptr_t)dyn_span(d, r2, r3) : 0;
}
