/* SPDX-License-Identifier: Apache-2.0 */
/* cbpf.h - classic BPF: the table read once, the kernel's checks, a reference interpreter, text in and out,
 * translation to eBPF. Nothing here prints, allocates behind the caller's back, or knows a file. Thread safe. */
#ifndef SKEP_VM_CBPF_H
#define SKEP_VM_CBPF_H

#include "spec/uapi.h"		/* first: it includes linux/bpf.h, whose macros linux/filter.h builds on */

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "base/def.h"
#include "base/sbuf.h"

struct skep_sk_buff;

/* ---- the table (spec/cbpf.def) ---- */
enum cbpf_form {
	CBPF_NONE, CBPF_PKT, CBPF_IND, CBPF_IMM, CBPF_MEM, CBPF_LEN, CBPF_MSH, CBPF_RA,
	CBPF_X,			/* ALU or jump with X */
	CBPF_JA,
};

struct cbpf_op {
	u16 code;
	const char *text, *neg;		/* neg: jumps, assembler's word for the opposite; NULL or "" if none */
	u8 form;			/* enum cbpf_form: of a jump that of its operand */
	bool hex, jump;			/* jump: conditional */
};
struct cbpf_ad {
	u32 off;			/* behind SKF_AD_OFF */
	const char *name, *text, *alias, *help;
};

extern const struct cbpf_op cbpf_ops[];
extern const u32 cbpf_nr_ops;
extern const struct cbpf_ad cbpf_ads[];
extern const u32 cbpf_nr_ads;

const struct cbpf_op *cbpf_op(u16 code);		/* NULL: no such instruction */
/* The ancillary load that IN is, or NULL. */
const struct cbpf_ad *cbpf_ad(const struct sock_filter *in);
static inline u32 cbpf_size(u16 code)			/* bytes of a packet load */
{
	return BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
}

/* ---- the kernel's rules ---- */
#define CBPF_MAX_INSNS	4096
#define CBPF_SECCOMP	BIT(0)		/* the rules of seccomp filters */
/* libpcap's machine, for which its expressions are compiled: `ja` may lead back (ip6 protochain), M[] starts as 0,
 * shifts by 32 and more give 0, x + k does not wrap, and of negative offsets only the ancillary ones mean anything. */
#define CBPF_LIBPCAP	BIT(1)
#define CBPF_PLAIN	BIT(2)		/* of cbpf_translate(): no direct packet access, one LD_ABS per load */

struct cbpf_reason {
	s32 insn;			/* -1: of the whole */
	char text[160];
};
/* 0; -EINVAL with *why filled (WHY may be NULL); -ENOMEM. */
int cbpf_check(const struct sock_filter *f, u32 n, u32 flags, struct cbpf_reason *why);

/* ---- reference interpreter: of checked programs ---- */
/* `len` is skb->wire_len; hatype and poff are where cbpf_prepare() put them. FLAGS: those of cbpf_check(). */
u32 cbpf_run(const struct sock_filter *f, u32 n, u32 flags, const struct skep_sk_buff *skb);
/* The value of a seccomp program; *last is the instruction that returned. */
u32 cbpf_run_seccomp(const struct sock_filter *f, u32 n, const struct seccomp_data *d, u32 *last);
/* Does the program read what cbpf_prepare() has to look for in each packet (CBPF_WANTS_*)? */
#define CBPF_WANTS_POFF		BIT(0)
#define CBPF_WANTS_HATYPE	BIT(1)
#define CBPF_WANTS_META		BIT(2)		/* any ancillary load: protocol, pkt_type, ... are to be set */
#define CBPF_CB_HATYPE		0	/* index in skb->cb */
#define CBPF_CB_POFF		1
u32 cbpf_wants(const struct sock_filter *f, u32 n);
void cbpf_prepare(struct skep_sk_buff *skb, u32 wants, u32 hatype);
/* Start of the payload as the kernel's flow dissector finds it from skb->protocol and the network header. */
u32 cbpf_payload_offset(const struct skep_sk_buff *skb);
/* A netlink attribute of type X at or (NEST) in offset A; its offset or 0. */
u32 cbpf_nla(const struct skep_sk_buff *skb, u32 a, u32 x, bool nest);

/* ---- text ---- */
enum cbpf_style {
	CBPF_D,				/* (000) ldh [12]: tcpdump -d */
	CBPF_DD,			/* { 0x28, 0, 0, 0x0000000c }, */
	CBPF_DDD,			/* decimal, the count first */
	CBPF_COMMA,			/* 4,40 0 0 12,...: one line, as iptables and tc take it */
	CBPF_ASM,			/* with labels, to be assembled again */
};
void cbpf_print(struct sbuf *out, const struct sock_filter *f, u32 n, enum cbpf_style style);
void cbpf_print_insn(struct sbuf *out, const struct sock_filter *in, u32 at);	/* style D, no newline */

struct cbpf_name {			/* a constant for the assembler */
	char name[32];
	u32 value;
};
struct cbpf_text_error {
	u32 line, col;			/* from 1; 0: of the whole */
	char text[160];
};
/* Reads any of the styles, told apart by how the text begins. Names: the caller's first, then built-in ones. The
 * program is not checked. LINE (may be NULL): where each instruction came from. 0, -EINVAL with *e filled, -E2BIG (more
 * than CBPF_MAX_INSNS; *e as well). */
int cbpf_parse(const char *text, size_t len, const struct cbpf_name *names, u32 nr_names,
	       struct sock_filter out[CBPF_MAX_INSNS], u32 *n, u32 *line, struct cbpf_text_error *e);
/* Built-in names: ETHERPROTO_IP, IPPROTO_TCP, TRUE, ... by index; NULL at the end. */
const struct cbpf_name *cbpf_builtin(u32 i);

/* ---- translation ---- */
#define CBPF_PROG_TYPE	BPF_PROG_TYPE_SCHED_CLS		/* reads packets directly and by LD_ABS */
/* eBPF of type CBPF_PROG_TYPE with the meaning of a program that cbpf_check() passed with the same FLAGS. The result is
 * malloc()ed. -E2BIG: longer than branches reach; -ENOMEM. */
int cbpf_translate(const struct sock_filter *f, u32 n, u32 flags, struct bpf_insn **out, u32 *cnt);

#endif
