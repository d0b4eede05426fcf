/* SPDX-License-Identifier: Apache-2.0 */
/* fields.h - special fields of map values and of objects that programs allocate: bpf_spin_lock, bpf_timer, kptrs, ...,
 * found in BTF with Linux 6.18's rules. Pure, no state. */
#ifndef SKEP_SPEC_FIELDS_H
#define SKEP_SPEC_FIELDS_H

#include "base/btf.h"
#include "spec/spec.h"

#define SPEC_FIELDS_MAX	11

struct spec_field {
	u32 type;			/* one SPEC_FIELD_* bit */
	u32 off, size;
	u32 btf_id;			/* kptrs: the struct pointed to, in the same BTF */
	const char *contains;		/* list heads and trees: "type:node" */
};

struct spec_record {
	u32 nr, mask;
	struct spec_field f[SPEC_FIELDS_MAX];	/* by offset */
};

/* Fields of the kinds MASK in type ID (a struct or DATASEC) of SIZE bytes. 0; -E2BIG: too many, or two where one is allowed;
 * -EEXIST: overlapping; -EINVAL: malformed, or a combination that may not be. */
int spec_fields(const struct btf *b, u32 id, u32 mask, u32 size, struct spec_record *out);
const struct spec_field *spec_field_find(const struct spec_record *r, u32 type);
const char *spec_field_name(u32 type);

#endif
