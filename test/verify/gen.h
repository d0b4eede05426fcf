/* SPDX-License-Identifier: Apache-2.0 */
/* gen.h - random programs with the content that verifiers have to deal with: stack, maps, packets, ring buffer records, nested
 * branches, loops, functions. The generator knows roughly what each register holds and mostly does the right thing; now and
 * then it leaves out a check, is off by a little, or takes a wrong register, so that both verdicts are frequent. */
#ifndef SKEP_TEST_GEN_H
#define SKEP_TEST_GEN_H

#include "side.h"

#define GEN_MAX		400

enum gen_kind { K_NONE, K_NUM, K_SMALL, K_CTX, K_FP, K_MAPVAL, K_OR_NULL, K_PKT, K_END, K_REC };

struct gen {
	u64 seed;
	u32 type;			/* program type */
	u32 n, evil;			/* evil: one in so many steps is wrong; 0: never */
	u32 depth, budget;
	u8 kind[11];
	u8 map[11];			/* of K_MAPVAL and K_OR_NULL */
	u32 safe[11];			/* K_PKT: bytes proved */
	u64 init;			/* stack bytes written: bit i is fp-8*(i+1) */
	u32 loops, nr_calls;
	u32 call_at[8];
	bool in_func;
	bool tame;			/* the same result wherever it runs: no addresses, time, chance, unset bytes */
	struct bpf_insn insn[GEN_MAX];
};

static inline u64 gen_rnd(struct gen *g, u64 n)
{
	g->seed ^= g->seed << 13;
	g->seed ^= g->seed >> 7;
	g->seed ^= g->seed << 17;
	return (g->seed >> 8) % n;
}

static inline bool gen_evil(struct gen *g)
{
	return g->evil && !gen_rnd(g, g->evil);
}

static inline void gen_put(struct gen *g, u8 code, u8 dst, u8 src, s32 off, s32 imm)
{
	if (g->n < GEN_MAX)
		g->insn[g->n++] = INSN(code, dst, src, (s16)off, imm);
}

static inline u32 gen_room(const struct gen *g)
{
	return GEN_MAX - g->n;
}

#define G_MOV(g, d, s)		gen_put(g, BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define G_MOVI(g, d, i)		gen_put(g, BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define G_ADDI(g, d, i)		gen_put(g, BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)

/* A register of one of the kinds in MASK, or -1. */
static inline int gen_pick(struct gen *g, u32 mask)
{
	u32 from = (u32)gen_rnd(g, 10);

	if (gen_evil(g))
		return (int)from;
	for (u32 i = 0; i < 10; i++) {
		u32 r = (from + i) % 10;

		if (BIT(g->kind[r]) & mask)
			return (int)r;
	}
	return -1;
}

#define M_NUM	(BIT(K_NUM) | BIT(K_SMALL))

/* A register to overwrite. r9 is the counter of an enclosing loop, r6 mostly the context. */
static inline u8 gen_dst(struct gen *g)
{
	u8 r;

	do
		r = (u8)gen_rnd(g, 10);
	while ((r >= 10 - g->loops) || (r == 6 && gen_rnd(g, 8)));
	return r;
}

static inline void gen_set(struct gen *g, u8 r, enum gen_kind k)
{
	g->kind[r] = (u8)k;
	g->safe[r] = 0;
}

static inline s32 gen_imm(struct gen *g)
{
	static const s32 t[] = { 0, 1, 2, 3, 7, 8, 15, 16, 31, 63, 64, 255, 256, -1, -8, 4096, 0x7fffffff, (s32)0x80000000 };

	return gen_rnd(g, 4) ? t[gen_rnd(g, ARRAY_SIZE(t))] : (s32)gen_rnd(g, 1ull << 32);
}

static inline void gen_alu(struct gen *g)
{
	static const u8 ops[] = { BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND, BPF_LSH, BPF_RSH, BPF_MOD, BPF_XOR,
				  BPF_ARSH, BPF_MOV, BPF_AND, BPF_RSH, BPF_NEG };
	u8 op = ops[gen_rnd(g, ARRAY_SIZE(ops))], class = gen_rnd(g, 3) ? BPF_ALU64 : BPF_ALU;
	int d = gen_pick(g, M_NUM), s = gen_pick(g, M_NUM);
	s32 imm = gen_imm(g);

	if (d < 0 || s < 0 || d >= (int)(10 - g->loops))
		return;
	if (op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH)
		imm = (s32)gen_rnd(g, class == BPF_ALU64 ? 64 : 32);
	if ((op == BPF_DIV || op == BPF_MOD) && !imm && !gen_evil(g))
		imm = 5;
	if (op == BPF_NEG)
		gen_put(g, class | op, (u8)d, 0, 0, 0);
	else if (gen_rnd(g, 3))
		gen_put(g, class | op | BPF_K, (u8)d, 0, 0, imm);
	else
		gen_put(g, class | op | BPF_X, (u8)d, (u8)s, 0, 0);
	gen_set(g, (u8)d, K_NUM);
}

/* A number of [0, max]: by mask, or by a comparison that skips the rest of the block (patched by the caller's goto). */
static inline int gen_small(struct gen *g, u32 max)
{
	int r = gen_pick(g, M_NUM);

	if (r < 0 || r >= (int)(10 - g->loops))
		return -1;
	if (gen_evil(g))
		max += (u32)gen_rnd(g, 3);
	gen_put(g, (gen_rnd(g, 3) ? BPF_ALU64 : BPF_ALU) | BPF_AND | BPF_K, (u8)r, 0, 0, (s32)max);
	gen_set(g, (u8)r, K_SMALL);
	return r;
}

static inline void gen_num(struct gen *g)
{
	u8 d = gen_dst(g);
	int c = gen_pick(g, BIT(K_CTX));

	if (gen_rnd(g, 3) == 0 || c < 0 || (g->tame && g->type == BPF_PROG_TYPE_XDP)) {
		G_MOVI(g, d, gen_imm(g));
	} else if (g->tame) {
		gen_put(g, BPF_LDX | BPF_MEM | BPF_W, d, (u8)c, 0, 0);	/* len */
	} else if (g->type == BPF_PROG_TYPE_RAW_TRACEPOINT) {
		gen_put(g, BPF_LDX | BPF_MEM | BPF_DW, d, (u8)c, (s32)gen_rnd(g, 12) * 8, 0);
	} else {
		gen_put(g, BPF_LDX | BPF_MEM | BPF_W, d, (u8)c, g->type == BPF_PROG_TYPE_XDP ? 12 + 4 * (s32)gen_rnd(g, 2) :
			4 * (s32)gen_rnd(g, 5), 0);
	}
	gen_set(g, d, K_NUM);
}

static inline void gen_mov(struct gen *g)
{
	int s = gen_pick(g, ~BIT(K_NONE));
	u8 d = gen_dst(g);

	if (s < 0)
		return;
	G_MOV(g, d, (u8)s);
	g->kind[d] = g->kind[s];
	g->map[d] = g->map[s];
	g->safe[d] = g->safe[s];
}

/* ---- stack: eight slots of eight bytes, and what helpers need below ---- */
static inline s32 gen_slot(struct gen *g)
{
	return -8 * (1 + (s32)gen_rnd(g, gen_evil(g) ? 70 : 8));
}

static inline void gen_store(struct gen *g)
{
	static const u8 sizes[] = { BPF_DW, BPF_DW, BPF_W, BPF_H, BPF_B };
	u8 size = sizes[gen_rnd(g, 5)];
	s32 off = gen_slot(g);
	int r = gen_pick(g, size == BPF_DW && !g->tame ? ~BIT(K_NONE) : M_NUM);

	if (size != BPF_DW)
		off += (s32)gen_rnd(g, 2) * 4;
	if (gen_rnd(g, 3) == 0 || r < 0)
		gen_put(g, BPF_ST | BPF_MEM | size, 10, 0, off, gen_imm(g));
	else
		gen_put(g, BPF_STX | BPF_MEM | size, 10, (u8)r, off, 0);
	if (size == BPF_DW && off >= -64)
		g->init |= BIT64(-off / 8 - 1);
}

static inline void gen_load(struct gen *g)
{
	static const u8 sizes[] = { BPF_DW, BPF_DW, BPF_W, BPF_H, BPF_B };
	u8 size = sizes[gen_rnd(g, 5)], d = gen_dst(g);
	s32 off = gen_slot(g);

	gen_put(g, BPF_LDX | (size != BPF_DW && gen_rnd(g, 4) == 0 ? BPF_MEMSX : BPF_MEM) | size, d, 10, off, 0);
	gen_set(g, d, K_NUM);
}

static inline void gen_var_stack(struct gen *g)
{
	u8 p = gen_dst(g);
	int i;

	G_MOV(g, p, 10);
	G_ADDI(g, p, -32);
	gen_set(g, p, K_FP);
	i = gen_small(g, 15);
	if (i < 0 || i == p)
		return;
	gen_put(g, BPF_ALU64 | BPF_ADD | BPF_X, p, (u8)i, 0, 0);
	if (gen_rnd(g, 2))
		gen_put(g, BPF_ST | BPF_MEM | BPF_B, p, 0, 0, 7);
	else
		gen_put(g, BPF_LDX | BPF_MEM | BPF_B, p, p, 0, 0), gen_set(g, p, K_NUM);
}

/* ---- calls ---- */
static inline void gen_clobber(struct gen *g)
{
	for (u8 r = 0; r < 6; r++)
		gen_set(g, r, K_NONE);
}

static const u8 gen_lookup_maps[] = { SM_HASH, SM_ARRAY, SM_PERCPU, SM_RDONLY, SM_HASH16 };

static inline void gen_lookup(struct gen *g)
{
	u8 m = gen_lookup_maps[gen_rnd(g, ARRAY_SIZE(gen_lookup_maps))];
	bool sloppy;
	u8 r;

	gen_put(g, BPF_ST | BPF_MEM | BPF_DW, 10, 0, -16, (s32)gen_rnd(g, 5));
	gen_put(g, BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8, 0);
	G_MOV(g, 2, 10);
	G_ADDI(g, 2, -16);
	gen_put(g, INSN_LDIMM64, 1, BPF_PSEUDO_MAP_FD, 0, m);
	gen_put(g, 0, 0, 0, 0, 0);
	gen_put(g, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
	gen_clobber(g);
	gen_set(g, 0, K_OR_NULL);
	g->map[0] = m;
	sloppy = gen_evil(g);
	if (sloppy)
		gen_set(g, 0, K_MAPVAL);
	r = (u8)(7 + gen_rnd(g, 3));
	if (gen_rnd(g, 2) && r < 10 - g->loops) {
		G_MOV(g, r, 0);
		g->kind[r] = g->kind[0];
		g->map[r] = m;
	}
}

static inline void gen_helper(struct gen *g)
{
	static const s32 plain[] = { BPF_FUNC_ktime_get_ns, BPF_FUNC_get_prandom_u32, BPF_FUNC_get_numa_node_id };	/* the kernel
		 * bounds get_smp_processor_id by its machine */
	u8 m = gen_rnd(g, 2) ? SM_HASH : SM_ARRAY;

	if (gen_rnd(g, 3) && !g->tame) {
		gen_put(g, BPF_JMP | BPF_CALL, 0, 0, 0, plain[gen_rnd(g, 3)]);
	} else {
		gen_put(g, BPF_ST | BPF_MEM | BPF_DW, 10, 0, -16, (s32)gen_rnd(g, 5));
		gen_put(g, BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8, 1);
		G_MOV(g, 2, 10);
		G_ADDI(g, 2, -16);
		G_MOV(g, 3, 10);
		G_ADDI(g, 3, m == SM_HASH && !gen_evil(g) ? -8 : -16);
		G_MOVI(g, 4, 0);
		gen_put(g, INSN_LDIMM64, 1, BPF_PSEUDO_MAP_FD, 0, m);
		gen_put(g, 0, 0, 0, 0, 0);
		gen_put(g, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_update_elem);
	}
	gen_clobber(g);
	gen_set(g, 0, K_NUM);
}

static inline u32 gen_value_size(const struct gen *g, u8 r)
{
	return side_maps[g->map[r] < SM_NR ? g->map[r] : 0].value;
}

static inline void gen_value(struct gen *g)
{
	int r = gen_pick(g, BIT(K_MAPVAL)), i;
	u32 size;
	s32 off;
	u8 d;

	if (r < 0)
		return;
	size = gen_value_size(g, (u8)r);
	if (size < 8)
		size = 8;
	off = (s32)gen_rnd(g, size / 8) * 8 + (gen_evil(g) ? 8 : 0);
	d = gen_dst(g);
	if (gen_rnd(g, 4) == 0 && d != r) {		/* variable offset */
		i = gen_small(g, size - 1 > 7 ? 7 : 3);
		if (i < 0 || i == r || i == d)
			return;
		G_MOV(g, d, (u8)r);
		gen_put(g, BPF_ALU64 | BPF_ADD | BPF_X, d, (u8)i, 0, 0);
		gen_put(g, BPF_LDX | BPF_MEM | BPF_B, d, d, 0, 0);
		gen_set(g, d, K_NUM);
	} else if (gen_rnd(g, 2) && g->map[r] != SM_RDONLY) {
		i = gen_pick(g, M_NUM);
		if (i < 0)
			return;
		if (gen_rnd(g, 3))
			gen_put(g, BPF_STX | BPF_MEM | BPF_DW, (u8)r, (u8)i, off, 0);
		else
			gen_put(g, BPF_STX | BPF_ATOMIC | BPF_DW, (u8)r, (u8)i, off, gen_rnd(g, 2) ? BPF_ADD : BPF_ADD | BPF_FETCH);
	} else {
		gen_put(g, BPF_LDX | BPF_MEM | (gen_rnd(g, 2) ? BPF_DW : BPF_W), d, (u8)r, off, 0);
		gen_set(g, d, K_NUM);
	}
}

/* ---- blocks ---- */
static inline void gen_block(struct gen *g, u32 len);

static inline void gen_patch(struct gen *g, u32 at)
{
	g->insn[at].off = (s16)(g->n - at - 1);
}

struct gen_save {
	u8 kind[11], map[11];
	u32 safe[11];
};

static inline struct gen_save gen_save(const struct gen *g)
{
	struct gen_save s;

	memcpy(s.kind, g->kind, sizeof(s.kind));
	memcpy(s.map, g->map, sizeof(s.map));
	memcpy(s.safe, g->safe, sizeof(s.safe));
	return s;
}

/* What holds on both ways. */
static inline void gen_meet(struct gen *g, const struct gen_save *s)
{
	for (u8 r = 0; r < 10; r++) {
		bool same = g->kind[r] == s->kind[r] && g->map[r] == s->map[r];

		if (!same && (BIT(g->kind[r]) & M_NUM) && (BIT(s->kind[r]) & M_NUM))
			g->kind[r] = K_NUM;
		else if (!same)
			gen_set(g, r, K_NONE);
		g->safe[r] = MIN(g->safe[r], s->safe[r]);
	}
}

static inline void gen_null_check(struct gen *g)
{
	int r = gen_pick(g, BIT(K_OR_NULL));
	struct gen_save before, other;
	u32 at = g->n;

	if (r < 0 || gen_room(g) < 60)
		return;
	before = gen_save(g);
	gen_put(g, BPF_JMP | BPF_JEQ | BPF_K, (u8)r, 0, 0, 0);
	for (u8 i = 0; i < 10; i++)
		if (g->kind[i] == K_OR_NULL && g->map[i] == g->map[r])
			g->kind[i] = g->kind[r] == K_OR_NULL ? K_MAPVAL : g->kind[i];
	gen_block(g, 3);
	gen_patch(g, at);
	other = before;
	for (u8 i = 0; i < 10; i++)
		if (other.kind[i] == K_OR_NULL)
			other.kind[i] = K_NONE;
	gen_meet(g, &other);
}

static inline void gen_if(struct gen *g)
{
	static const u8 ops[] = { BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET, BPF_JNE, BPF_JSGT, BPF_JSGE, BPF_JLT, BPF_JLE, BPF_JSLT,
				  BPF_JSLE };
	u8 op = ops[gen_rnd(g, ARRAY_SIZE(ops))], class = gen_rnd(g, 3) ? BPF_JMP : BPF_JMP32;
	int r = gen_pick(g, M_NUM), s = gen_pick(g, M_NUM);
	struct gen_save before, then;
	u32 at = g->n, over;

	if (r < 0 || s < 0 || gen_room(g) < 80)
		return;
	if (gen_rnd(g, 3))
		gen_put(g, class | op | BPF_K, (u8)r, 0, 0, gen_imm(g));
	else
		gen_put(g, class | op | BPF_X, (u8)r, (u8)s, 0, 0);
	before = gen_save(g);
	gen_block(g, 3);
	if (gen_rnd(g, 2)) {
		gen_patch(g, at);
		gen_meet(g, &before);
		return;
	}
	over = g->n;
	gen_put(g, BPF_JMP | BPF_JA, 0, 0, 0, 0);
	gen_patch(g, at);
	then = gen_save(g);
	memcpy(g->kind, before.kind, sizeof(before.kind));
	memcpy(g->map, before.map, sizeof(before.map));
	memcpy(g->safe, before.safe, sizeof(before.safe));
	gen_block(g, 2);
	if (g->n == over + 1)
		gen_num(g);
	gen_patch(g, over);
	gen_meet(g, &then);
}

static inline void gen_loop(struct gen *g)
{
	u8 c = (u8)(9 - g->loops);
	u32 top, turns = 1 + (u32)gen_rnd(g, 5), down = (u32)gen_rnd(g, 2);

	if (g->loops >= 2 || gen_room(g) < 80)
		return;
	G_MOVI(g, c, down ? (s32)turns : 0);
	gen_set(g, c, K_NUM);
	g->loops++;
	for (u8 r = 0; r < 10 - g->loops; r++)		/* what lasts through the turns is not followed */
		if (BIT(g->kind[r]) & (BIT(K_OR_NULL) | BIT(K_MAPVAL) | BIT(K_PKT) | BIT(K_REC)))
			gen_set(g, r, K_NONE);
	for (u8 r = 0; r < 6; r++)
		gen_set(g, r, K_NONE);
	top = g->n;
	gen_block(g, 3);
	G_ADDI(g, c, down ? -1 : 1);
	if (gen_evil(g) && !gen_rnd(g, 4))
		g->insn[g->n - 1].imm = (s32)gen_rnd(g, 3);
	gen_put(g, BPF_JMP | (down ? BPF_JNE : BPF_JLT) | BPF_K, c, 0, (s32)top - (s32)g->n - 1, down ? 0 : (s32)turns);
	g->loops--;
	for (u8 r = 6; r < 9; r++)
		if (g->kind[r] != K_CTX && g->kind[r] != K_NUM)
			gen_set(g, r, K_NONE);
}

static inline void gen_packet(struct gen *g)
{
	bool xdp = g->type == BPF_PROG_TYPE_XDP;
	int c = gen_pick(g, BIT(K_CTX));
	u32 need = 1 + (u32)gen_rnd(g, 16), at;
	u8 p = (u8)(7 + gen_rnd(g, 2));
	struct gen_save before;
	s32 off;

	if (c < 0 || (!xdp && g->type != BPF_PROG_TYPE_SCHED_CLS) || g->loops > 1 || gen_room(g) < 60 || c == p || c < 6)
		return;
	gen_put(g, BPF_LDX | BPF_MEM | BPF_W, p, (u8)c, xdp ? 0 : 76, 0);
	gen_put(g, BPF_LDX | BPF_MEM | BPF_W, 3, (u8)c, xdp ? 4 : 80, 0);
	gen_set(g, 3, K_END);
	gen_set(g, p, K_PKT);
	if (gen_rnd(g, 3) == 0) {		/* somewhere in the packet */
		int i = gen_small(g, 63);

		if (i < 0 || i == p || i == 3)
			return;
		gen_put(g, BPF_ALU64 | BPF_ADD | BPF_X, p, (u8)i, 0, 0);
	}
	G_MOV(g, 4, p);
	G_ADDI(g, 4, (s32)need);
	at = g->n;
	gen_put(g, BPF_JMP | (gen_evil(g) ? BPF_JGE : BPF_JGT) | BPF_X, 4, 3, 0, 0);
	before = gen_save(g);
	gen_set(g, 4, K_NONE);
	off = (s32)gen_rnd(g, need) + (gen_evil(g) ? 1 : 0);
	if (gen_rnd(g, 3))
		gen_put(g, BPF_LDX | BPF_MEM | BPF_B, 0, p, off, 0), gen_set(g, 0, K_NUM);
	else
		gen_put(g, BPF_ST | BPF_MEM | BPF_B, p, 0, off, 9);
	gen_block(g, 2);
	gen_patch(g, at);
	gen_meet(g, &before);
	gen_set(g, p, K_NONE);
	gen_set(g, 3, K_NONE);
	gen_set(g, 4, K_NONE);
}

static inline void gen_record(struct gen *g)
{
	u32 at;
	struct gen_save before;
	u8 r = (u8)(7 + gen_rnd(g, 2));

	if (g->loops > 1 || gen_room(g) < 60)
		return;
	gen_put(g, INSN_LDIMM64, 1, BPF_PSEUDO_MAP_FD, 0, SM_RINGBUF);
	gen_put(g, 0, 0, 0, 0, 0);
	G_MOVI(g, 2, 16);
	G_MOVI(g, 3, 0);
	gen_put(g, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ringbuf_reserve);
	gen_clobber(g);
	before = gen_save(g);
	at = g->n;
	gen_put(g, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 0, 0);
	G_MOV(g, r, 0);
	gen_set(g, r, K_REC);
	gen_put(g, BPF_ST | BPF_MEM | BPF_DW, r, 0, gen_evil(g) ? 16 : 8 * (s32)gen_rnd(g, 2), 3);
	if (gen_rnd(g, 2))
		gen_block(g, 1);
	if (!gen_evil(g)) {
		G_MOV(g, 1, r);
		G_MOVI(g, 2, 0);
		gen_put(g, BPF_JMP | BPF_CALL, 0, 0, 0, gen_rnd(g, 2) ? BPF_FUNC_ringbuf_submit : BPF_FUNC_ringbuf_discard);
	}
	gen_clobber(g);
	gen_patch(g, at);
	gen_meet(g, &before);
	gen_set(g, r, K_NONE);
}

static inline void gen_call(struct gen *g)
{
	int a = gen_pick(g, g->tame ? M_NUM : M_NUM | BIT(K_CTX) | BIT(K_MAPVAL));

	if (g->in_func || g->nr_calls == ARRAY_SIZE(g->call_at) || a < 0)
		return;
	G_MOV(g, 1, (u8)a);
	if (gen_rnd(g, 2) && !g->tame) {
		G_MOV(g, 2, 10);
		G_ADDI(g, 2, -8 * (1 + (s32)gen_rnd(g, 4)));
		gen_put(g, BPF_ST | BPF_MEM | BPF_DW, 2, 0, 0, 5);
	} else {
		G_MOVI(g, 2, (s32)gen_rnd(g, 9));
	}
	g->call_at[g->nr_calls++] = g->n;
	gen_put(g, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 0);
	gen_clobber(g);
	gen_set(g, 0, K_NUM);
}

static inline void gen_step(struct gen *g)
{
	static void (*const steps[])(struct gen *) = {
		gen_alu, gen_alu, gen_alu, gen_num, gen_mov, gen_store, gen_store, gen_load, gen_load, gen_var_stack, gen_lookup,
		gen_lookup, gen_null_check, gen_null_check, gen_value, gen_value, gen_value, gen_helper, gen_if, gen_if, gen_loop,
		gen_packet, gen_packet, gen_record, gen_call,
	};

	steps[gen_rnd(g, ARRAY_SIZE(steps))](g);
}

static inline void gen_block(struct gen *g, u32 len)
{
	if (g->depth >= 4)
		len = 1;
	g->depth++;
	for (u32 i = 0; i < len && g->budget && gen_room(g) > 50; i++) {
		g->budget--;
		gen_step(g);
	}
	g->depth--;
}

static inline void gen_end(struct gen *g)
{
	int r = gen_pick(g, M_NUM);

	if (g->kind[0] != K_NUM && r > 0 && gen_rnd(g, 2))
		G_MOV(g, 0, (u8)r);
	else if (!gen_evil(g))
		G_MOVI(g, 0, 0);
	gen_put(g, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static inline void gen_zero_stack(struct gen *g)
{
	for (s32 off = -8; off >= -64; off -= 8)
		gen_put(g, BPF_ST | BPF_MEM | BPF_DW, 10, 0, off, 0);
}

static inline void gen_function(struct gen *g, u32 call)
{
	memset(g->kind, 0, sizeof(g->kind));
	g->in_func = true;
	g->loops = 0;
	g->insn[call].imm = (s32)(g->n - call - 1);
	gen_set(g, 1, K_NUM);
	gen_set(g, 2, gen_rnd(g, 2) ? K_NUM : K_NONE);
	G_MOV(g, 6, 1);
	gen_set(g, 6, K_NUM);
	if (g->tame)
		gen_zero_stack(g);
	g->budget = 6;
	gen_block(g, 1 + (u32)gen_rnd(g, 4));
	gen_end(g);
}

/* The program of a seed. */
static inline void gen_program(struct gen *g, u64 seed, bool tame)
{
	static const u32 types[] = { BPF_PROG_TYPE_SOCKET_FILTER, BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_SCHED_CLS,
				     BPF_PROG_TYPE_RAW_TRACEPOINT };
	static const u32 evils[] = { 0, 0, 0, 300, 150, 60 };

	memset(g, 0, sizeof(*g));
	g->seed = (seed + 1) * 0x9e3779b97f4a7c15ull;
	for (int i = 0; i < 4; i++)
		gen_rnd(g, 2);
	g->type = types[gen_rnd(g, ARRAY_SIZE(types))];
	g->evil = evils[gen_rnd(g, ARRAY_SIZE(evils))];
	g->budget = 45;
	if (tame) {
		g->tame = true;
		g->type = types[gen_rnd(g, 3)];
		g->evil = 0;
		gen_zero_stack(g);
	}
	G_MOV(g, 6, 1);
	gen_set(g, 6, K_CTX);
	gen_set(g, 1, K_CTX);
	gen_num(g);
	gen_block(g, 4 + (u32)gen_rnd(g, 14));
	gen_end(g);
	for (u32 i = 0; i < g->nr_calls; i++)
		gen_function(g, g->call_at[i]);
}

#endif
