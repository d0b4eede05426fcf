/* SPDX-License-Identifier: Apache-2.0 */
/* scan.h - finding `syscall` instructions in ELF files, and making tables of them (agent/site.h). Linked by the tool
 * only: it needs libzydis. Nothing read from the file is believed: all of it is bounded by the file's size. */
#ifndef SKEP_FRONT_SCAN_H
#define SKEP_FRONT_SCAN_H

#include <stdio.h>

#include "agent/site.h"
#include "base/def.h"

/* The table of the ELF file open at FD (x86-64), allocated. -ENOEXEC: no such file; -EOPNOTSUPP: built without a
 * decoder; -ENOMEM, -E2BIG, or what read said. */
int scan_file(int fd, struct site_hdr **table, size_t *len);
/* As text, a line per site. */
void scan_print(const struct site_hdr *h, FILE *f);

/* ---- sites.c: tables kept below DIR/sites ---- */

/* Make the table of the ELF file PATH unless it is there. 1: it was there; 0 or -errno. */
int sites_prepare(const char *dir, const char *path);
/* Tables of COMMAND (found in $PATH), its interpreter, and the libraries it names, as far as they are found: whatever is
 * missing is made on demand by the agent. Returns the number of files looked at, or -errno when there is no such command, or -ENOSPC. */
int sites_prepare_command(const char *dir, const char *command);

/* ---- inside scan*.c ---- */

#define SCAN_FUNC_MAX	(256u << 10)		/* bytes; larger functions are not looked at */
#define SCAN_PAD	32			/* bytes of padding looked at behind a function */

struct scan_seg {
	u64 vaddr, off, size;
	bool exec;
};

struct scan_sym {
	u64 addr, size;
};

struct scan_elf {
	const u8 *img;
	u64 size;
	bool fixed;				/* ET_EXEC: addresses are absolute */
	struct scan_seg seg[16];
	u32 nr_segs;
	u64 fde_hdr, fde_tab;			/* addresses; the table: pairs of s32 relative to fde_hdr */
	u32 nr_fdes;
	struct scan_sym *syms;			/* in executable segments, by address; NULL: none */
	u32 nr_syms;
	u64 rela, rela_size;			/* DT_RELA: address, bytes */
	char interp[256], needed[64][128], runpath[512];
	u32 nr_needed;
};

/* A function whose instructions can be decoded from its start. */
struct scan_func {
	u64 start, end;
	u64 lsda;				/* address of exception tables, 0: none */
	bool signal;				/* a signal trampoline: its frame may begin in front of it */
};

int scan_elf_open(struct scan_elf *e, const void *img, size_t n);	/* 0, -ENOEXEC, -ENOMEM */
int scan_elf_headers(struct scan_elf *e, const void *img, size_t n);	/* without symbols; needs no close */
void scan_elf_close(struct scan_elf *e);
/* File bytes at an address: N of them, or NULL. */
const u8 *scan_elf_at(const struct scan_elf *e, u64 vaddr, u64 n);
bool scan_elf_off(const struct scan_elf *e, u64 vaddr, u64 *off);
bool scan_elf_is_code(const struct scan_elf *e, u64 vaddr);
bool scan_elf_func(const struct scan_elf *e, u64 vaddr, struct scan_func *f);
/* Addresses at which the exception tables of F continue. */
void scan_elf_pads(const struct scan_elf *e, const struct scan_func *f, void (*fn)(void *arg, u64 vaddr), void *arg);

enum insn_kind { I_PLAIN, I_JCC, I_JMP, I_CALL, I_RET, I_IJMP, I_ICALL, I_SYSCALL, I_PAD, I_STOP, I_ODD };

struct insn {
	u32 at;					/* relative to the function */
	u8 len, kind;				/* enum insn_kind */
	bool target;				/* somebody may come here other than from above */
	bool rsp_mem;				/* has a memory operand based on rsp */
	u8 disp_at;				/* of a rip-relative displacement, 0: none */
	u16 reads, writes;			/* general registers, bit by number */
	u16 f_reads, f_writes;			/* arithmetic flags */
	s8 set;					/* register set to a constant, -1: none ... */
	s8 copy;				/* ... or to that of another */
	s64 value;
	u64 to;					/* of direct branches and rip-relative operands: address; else 0 */
};

struct scan_code {				/* one decoded function */
	const struct scan_elf *elf;
	struct scan_func f;
	const u8 *bytes;
	struct insn *insn;
	u32 nr, cap;
	bool df;				/* some instruction of it sets the direction flag */
	u32 *index;				/* by byte of the function: number of the instruction + 1, 0: inside */
};

#define FLAGS_ARITH	0x8d5u			/* CF PF AF ZF SF OF */
#define REG_AX		0
#define REG_CX		1
#define REG_SP		4
#define REG_R11		11

/* scan_decode.c: decode all of c->f. Branches of the function itself are marked as targets. -EILSEQ: does not decode. */
int scan_decode(struct scan_code *c);
bool scan_mark(struct scan_code *c, u64 vaddr);		/* somebody may jump to VADDR; false: no instruction is there */

struct scan_blob {
	u8 *data;
	u32 len, cap;
};

/* scan_win.c: fill S (windows, bytes) for the syscall instruction number I of C. FLOOR: address that a window may
 * not reach below (the previous site's windows). 0, -ENOMEM, -E2BIG. */
int scan_windows(const struct scan_code *c, u32 i, u64 floor, struct site *s, struct scan_blob *b);
int scan_blob_add(struct scan_blob *b, const void *p, u32 n, u32 *at);

#endif
