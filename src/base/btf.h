/* SPDX-License-Identifier: Apache-2.0 */
/* btf.h - BTF blobs: validation with the kernel's rules, and lookups. Private memory only.
 * A struct btf is immutable after btf_parse(); readers need no lock. */
#ifndef SKEP_BASE_BTF_H
#define SKEP_BASE_BTF_H

#include <linux/btf.h>

#include "base/def.h"
#include "base/sbuf.h"

struct btf {
	u8 *data;			/* own copy */
	u32 size;
	struct btf_header hdr;		/* checked copy */
	const struct btf_type **types;	/* [0..nr): type start_id + i; without a base [0] is void */
	u32 nr;
	const char *strs;
	const struct btf *base;		/* split BTF: ids below start_id live there; NULL otherwise */
	u32 start_id, start_str;	/* both 0 without a base */
	void *mem;			/* private: what data lies in */
	u32 *heads, *chain, head_bits;	/* private: ids by name, of large blobs; NULL: none */
	u32 *res_ids, *res_sizes;	/* private: per type, what it resolves to, and an array's size */
};

/* Validate and index (copies DATA). The kernel's errno for each defect (-EINVAL, -E2BIG, ...); the
 * kernel's log text goes to LOG when not NULL. */
int btf_parse(const void *data, u32 size, const struct btf *base, struct sbuf *log, struct btf **out);
void btf_free(struct btf *b);

u32 btf_nr(const struct btf *b);					/* number of ids, base and void included */
const struct btf_type *btf_type(const struct btf *b, u32 id);		/* NULL if out of range */
const char *btf_str(const struct btf *b, u32 off);			/* never NULL */
bool btf_str_exists(const struct btf *b, u32 off);
const struct btf_type *btf_skip_mods(const struct btf *b, u32 *id);	/* through typedef, const, ... */
s64 btf_size(const struct btf *b, u32 id);				/* bytes, or -EINVAL */
s32 btf_find(const struct btf *b, const char *name, u32 kind);		/* id, or -ENOENT */

#endif
