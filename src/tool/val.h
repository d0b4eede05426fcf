/* SPDX-License-Identifier: Apache-2.0 */
/* val.h - values as people read them, by BTF.
 *
 * How a field's type decides its form (skep(1), "Values"):
 *	struct in6_addr			IPv6 address; ::ffff:a.b.c.d (v4-mapped) as a.b.c.d
 *	struct in_addr, __be32		IPv4 address
 *	__be16, __be64			number, in host order
 *	array of 6 unsigned char	MAC address
 *	array of char			text, if printable; line ends and tabs as \n, \t
 *	enum, typedef of an integer
 *	  with the name of an enum	the enumerator's name
 *	bool, integers, pointers	true/false, decimal, hexadecimal */
#ifndef SKEP_TOOL_VAL_H
#define SKEP_TOOL_VAL_H

#include "base/sbuf.h"
#include "tool/libbpf.h"

/* A leaf of a key or value: one column of a table. */
struct val_leaf {
	char name[64];			/* "src", "tcp.flags"; a type's name if the whole is a leaf */
	u32 type;			/* BTF id */
	u32 off;			/* bits */
	u32 bits;			/* bitfields: their size; else 0 */
	bool number;			/* to the right */
	bool sum;			/* an integer that adds up over CPUs */
	bool text;			/* an array of char */
};

/* The leaves of TYPE, at most MAX; returns how many. WHOLE: the name if TYPE itself is one leaf. */
u32 val_leaves(const struct btf *btf, u32 type, const char *whole, struct val_leaf *out, u32 max);
void val_text(const struct btf *btf, const struct val_leaf *l, const void *data, struct sbuf *out);
/* An integer leaf's value, sign extended; *neg tells whether it is signed. */
u64 val_int(const struct btf *btf, const struct val_leaf *l, const void *data, bool *neg);
/* The value that TEXT names in an enum type (or a typedef that bears an enum's name), or -1. */
s64 val_enum(const struct btf *btf, u32 type, const char *text);
/* The whole of TYPE. NICE: forms as above; else bpftool's "formatted": nested, plain numbers. */
void val_json(struct json *j, const char *key, const struct btf *btf, u32 type, const void *data, bool nice);
/* The members of a struct TYPE, into the object that is open. Nice. */
void val_members_json(struct json *j, const struct btf *btf, u32 type, const void *data);
/* Adds every leaf of FROM that adds up into TO (per-CPU totals). */
void val_add(const struct btf *btf, const struct val_leaf *l, u32 n, void *to, const void *from);

#endif
