/* SPDX-License-Identifier: Apache-2.0 */
/* patch.h - what the parts of patching share: site.c (which sites there are), stub.c (code beside the text), tramp.c (the
 * way from a stub into C), poke.c (changing text under running threads), patch.c (what is wanted). All of it but tramp.c
 * is the helper's: one thread at a time, may wait and allocate. Nothing here calls libc but memcpy() and its like.
 * doc/agent.md has the protocol and why it holds. */
#ifndef SKEP_AGENT_PATCH_H
#define SKEP_AGENT_PATCH_H

#include "agent/agent.h"
#include "agent/site.h"

/* ---- memory: mmap, for tables and lists of the helper ---- */
void *patch_alloc(size_t n);			/* zeroed, NULL */
void patch_free(void *p, size_t n);
bool patch_grow(void **p, u32 *cap, u32 need, size_t size);	/* an array of elements of SIZE, at least NEED */

/* ---- /proc/self/maps ---- */
struct patch_vma {
	u64 start, end, pgoff, ino;
	u32 prot;				/* PROT_* */
	bool shared, stack, heap;
	u32 path;				/* offset in names; 0: none */
};

struct patch_maps {
	struct patch_vma *v;
	u32 nr, cap;
	char *names;
	u32 names_len, names_cap;
};
int patch_maps_read(struct patch_maps *m);
void patch_maps_free(struct patch_maps *m);
const struct patch_vma *patch_maps_find(const struct patch_maps *m, u64 addr);

/* ---- site.c ---- */

/* Tables read so far, by file. The agent's copy: nobody else writes to it. */
struct site_file {
	struct site_ident id;			/* as stat(2) said */
	struct site_hdr *table;			/* NULL: it has none (no ELF file, no tool to make it) */
	size_t size;
};

/* A file mapped executable somewhere. */
struct site_image {
	u64 start, end, pgoff, ino;
	u32 file;				/* index */
};

/* The table of the file mapped at V, from the cache, else made by the tool; index in *file. -errno. */
int site_file_of(const struct patch_vma *v, const char *path, u32 *file);
const struct site_file *site_file(u32 file);
/* Is what the table says of S there, at address ADDR? */
bool site_bytes_fit(const struct site_hdr *h, const struct site *s, u64 addr);

/* ---- stub.c ---- */

enum stub_kind { STUB_ENTER, STUB_EXIT, STUB_MOVED };

struct stub_spec {
	enum stub_kind kind;
	u64 site;				/* address of the syscall instruction */
	const struct site *s;
	const u8 *blob;
	bool enter, exit;			/* STUB_MOVED: which hooks */
	bool records;				/* the exit is decided by a record of the entry */
};

/* Writes a stub near the site; its address. 0: no room near, or what it refers to is out of reach. */
u64 stub_make(const struct stub_spec *sp, const struct patch_maps *m);
/* Does ADDR lie in stubs? For whoever looks at threads' instruction pointers. */
bool stub_is_at(u64 addr);

#define STUB_SIZE_MAX	768

/* What a stub's return address leads to: tramp.c reads it at STUB_DESC behind that. */
struct stub_desc {
	u64 ip;					/* behind the syscall instruction */
	s32 nr;					/* -1: not known */
	u32 flags;
};
#define STUB_TAIL	48			/* bytes of the way back; a second one follows: the call is not made */
#define STUB_DESC	(2 * STUB_TAIL)
#define STUB_LIVE	BIT(0)			/* flags are live: they and 128 bytes lie on the target's stack */
#define STUB_REC	BIT(1)			/* records of calls: made at entry, looked up at exit */
#define STUB_LIVE_BYTES	136

/* What has trampolines now: links' wants and what follow.c and signal.c need. Written before the text is changed, so
 * that a hook which is entered early finds it. */
struct patch_sets {
	u64 enter[HOOK_NR_SYSCALLS / 64], exit[HOOK_NR_SYSCALLS / 64];
	bool all_enter, all_exit;		/* numbers beyond the array too */
};
extern struct patch_sets patch_now __attribute__((visibility("hidden")));

/* One byte per low half of a number: is it wanted? Read by stubs of sites whose number is not known. */
extern u8 patch_wanted[65536] __attribute__((visibility("hidden")));
/* Records of all threads, about (those of threads that ended stay): while it is 0 exits of unknown calls pass at once. */
extern u64 patch_recs __attribute__((visibility("hidden")));
extern u64 patch_missed __attribute__((visibility("hidden")));	/* hooks left out: too many signal handlers nested */
void patch_tramp_enter(void);			/* tramp.c: entered by stubs, not by C */
void patch_tramp_exit(void);
void patch_tramp_enter_flags(void);		/* where flags are live, or the direction flag may be set */
void patch_tramp_exit_flags(void);

/* ---- poke.c ---- */

struct poke {
	u64 at;
	u8 from[SITE_JMP], to[SITE_JMP];	/* what must be there, what shall be */
	u8 bounds;				/* struct site_win: live instructions inside, when FROM is original text */
	u8 first;				/* length of the first of them */
	bool done;
	u32 tag;				/* the caller's: the array may be put in another order */
};

/* Replace text as P says, other threads running. Sets done where it happened; the others can be tried again later.
 * QUIET: nobody runs (the target waits for its agent to start). 0, or -errno when nothing can be written at all. */
int poke_text(struct poke *p, u32 nr, const struct patch_maps *m, bool quiet);
/* What a helper that was killed in poke_text() left: closed windows are opened, forward; sets done by what is there. */
void poke_finish(struct poke *p, u32 nr, const struct patch_maps *m);
int poke_write(u64 at, const void *from, size_t n);	/* bytes that nobody executes; also into r-x pages */
int poke_read(u64 at, void *to, size_t n);		/* -EFAULT */
void poke_sync(void);					/* every thread's next instruction is fetched anew */

#endif
