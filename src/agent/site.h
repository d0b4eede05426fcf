/* SPDX-License-Identifier: Apache-2.0 */
/* site.h - tables of system call sites: where the `syscall` instructions of an ELF file are, and how to lead each of them
 * through a trampoline. Written by the tool (front/scan.c, which has a disassembler), read by the agent (site.c, which
 * has none). One file per ELF file, below sites/ of the object directory, named by site_table_name().
 *
 *	[struct site_hdr][struct site x nr_sites, by offset][blob]
 *
 * A site has up to two windows: whole instructions that run in a trampoline instead of where they are. The first five
 * bytes of a window are replaced by a jmp; what lies behind them stays and is no longer reached.
 *
 *	enter	[at, at + len): ends at the syscall instruction. Displaced instructions, hook, then back to the syscall.
 *	exit	[at, at + len): begins behind it (not necessarily at once: at > 2). Hook, displaced instructions, back.
 *
 * The code of a window is what runs in the trampoline: instructions as they were, short branches made long, calls made
 * push and jmp (so that their return address stays the original one), with relocations for all that is relative.
 *
 * The reader believes nothing: identity, digest, all sizes, and the bytes at the site are checked. A table whose digest
 * is right but whose instructions are lies can only come from somebody with the user's own rights. */
#ifndef SKEP_AGENT_SITE_H
#define SKEP_AGENT_SITE_H

#include "base/def.h"

#define SITE_MAGIC	0x53544953u	/* "SITS" */
#define SITE_VERSION	2
#define SITE_MAX	65536		/* sites of one file */
#define SITE_BLOB_MAX	(16u << 20)
#define SITE_JMP	5		/* bytes of jmp rel32 */
#define SITE_CODE_MAX	192		/* displaced instructions of a window, relocated */
#define SITE_SPAN_MAX	128		/* bytes that are compared with the text */
#define SITE_RELS_MAX	12

/* Which file it is. All of stat(2), so that a file that is replaced or written to has another table. */
struct site_ident {
	u64 dev, ino, size, mtime_ns;
};

struct site_hdr {
	u32 magic, version;
	struct site_ident id;
	u32 nr_sites, blob_size;
	u32 nr_found;			/* syscall instructions, those without any window included */
	u32 nr_bare;			/* without a way in: no enter window */
	u8 digest[32];			/* SHA-256 of what follows */
};

enum site_rel_kind {
	SITE_REL32,			/* 32 bits: target - end of the instruction */
	SITE_ABS_LO, SITE_ABS_HI,	/* halves of the target's address (return addresses of calls) */
	SITE_REL_KINDS
};

/* A field of a window's code that depends on addresses. */
struct site_rel {
	u8 at, end;			/* of the field; of its instruction: offsets in the code */
	u8 kind, pad;
	s32 to;				/* the target, relative to the syscall instruction */
};

#define WIN_FLAGS_LIVE	BIT(0)		/* arithmetic flags are read later: the hook must keep them */
#define WIN_UNSURE	BIT(1)		/* exit: also reached without the call: a record of the call decides */
#define WIN_ENDS	BIT(2)		/* the code never falls out at its end (jmp, ret, call) */
#define WIN_DF		BIT(4)		/* the function sets the direction flag somewhere: it may be set here */
#define WIN_CALL	BIT(3)		/* ... it is a call: unusable with shadow stacks */

struct site_win {
	s8 at;				/* relative to the syscall instruction */
	u8 len;				/* whole instructions; 0: no such window */
	u8 flags;			/* WIN_* */
	u8 bounds;			/* bit n: a live instruction begins at at + n, 0 < n < 5 */
	u8 nr_rels, pad;
	u16 code_len;
	u32 code;			/* offset in the blob */
	u32 rels;			/* offset in the blob, multiple of 4 */
};

#define SITE_MOVABLE	BIT(0)		/* no exit window, but the syscall may be made in the trampoline instead */

struct site {
	u64 off;			/* of the syscall instruction in the file */
	s32 nr;				/* known number, -1: not known */
	u16 flags;			/* SITE_* */
	s8 lo;				/* bytes [lo, lo + span) around the instruction are ... */
	u8 span;
	u32 orig;			/* ... these, in the blob */
	u32 pad;
	struct site_win enter, exit;
};

/* "DEV-INO-SIZE-MTIME" in hexadecimal, below sites/ of the object directory. */
#define SITE_NAME_MAX	80
void site_table_name(const struct site_ident *id, char out[SITE_NAME_MAX]);

/* A table of N bytes, of the file ID (NULL: of any). 0, -EINVAL, or -ESTALE: of another file. After that every
 * offset inside is good. The memory must not change meanwhile and after: a private copy. */
int site_table_check(const void *table, size_t n, const struct site_ident *id);
/* Where the parts of a checked table are. */
static inline const struct site *site_table_sites(const struct site_hdr *h)
{
	return (const struct site *)(h + 1);
}
static inline const u8 *site_table_blob(const struct site_hdr *h)
{
	return (const u8 *)(site_table_sites(h) + h->nr_sites);
}

#endif
