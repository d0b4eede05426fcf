/* SPDX-License-Identifier: Apache-2.0 */
/* gen_test.c - random structured programs (gen.h): skep's verdict, errno and sentence are the kernel's. A program that skep
 * accepts and the kernel refuses is the worst case, and is said apart.
 * GEN_DUMP=DIR writes what differs; GEN_FROM, GEN_COUNT choose seeds. */
#include "gen.h"

#include <stdio.h>

#include "vm/vm.h"

static u64 env_num(const char *name, u64 otherwise)
{
	return getenv(name) ? strtoull(getenv(name), NULL, 0) : otherwise;
}

static void dump(const struct gen *g, u64 seed, const char *what, const struct side *s, int es,
		 const struct side *k, int ek)
{
	char path[256];
	struct sbuf b = { 0 };
	FILE *f;

	if (!getenv("GEN_DUMP"))
		return;
	snprintf(path, sizeof(path), "%s/%s-%llu", getenv("GEN_DUMP"), what, (unsigned long long)seed);
	f = fopen(path, "w");
	if (!f)
		return;
	for (u32 i = 0; i < g->n; i++) {
		sbuf_reset(&b);
		disasm_insn(&b, &g->insn[i], NULL);
		fprintf(f, "%u: %s\n", i, b.s);
		i += g->insn[i].code == INSN_LDIMM64;
	}
	fprintf(f, "type %u\n==== skep %d\n%s\n==== kernel %d\n%s\n", g->type, es, s->log, ek, k->log);
	sbuf_free(&b);
	fclose(f);
}

TEST(random_programs_get_the_kernels_verdict)
{
	u64 from = env_num("GEN_FROM", 0), count = env_num("GEN_COUNT", t_fast() ? 1500 : 20000);
	u32 level = (u32)env_num("GEN_LEVEL", 1), accepted = 0, unsound = 0, refused = 0, other_errno = 0, other_text = 0, partial = 0;
	struct side s, k;
	static struct gen g;

	if (!t_kernel_bpf()) {
		t_skip("no kernel bpf(2) to compare with");
		return;
	}
	NEED(!side_open(&s, false));
	NEED(!side_open(&k, true));
	for (u64 i = from; i < from + count; i++) {
		int es, ek;

		gen_program(&g, i, false);
		es = side_verdict(&s, g.type, g.insn, g.n, level);
		ek = side_verdict(&k, g.type, g.insn, g.n, level);
		accepted += !ek;
		if (es == -EOPNOTSUPP && ek != es) {
			partial++;
			dump(&g, i, "partial", &s, es, &k, ek);
		} else if (!es && ek) {
			unsound++;
			dump(&g, i, "unsound", &s, es, &k, ek);
		} else if (es && !ek) {
			refused++;
			dump(&g, i, "refused", &s, es, &k, ek);
		} else if (es != ek) {
			other_errno++;
			dump(&g, i, "errno", &s, es, &k, ek);
		} else if (es && strcmp(side_sentence(&s), side_sentence(&k))) {
			other_text++;
			dump(&g, i, "text", &s, es, &k, ek);
		}
	}
	if (getenv("GEN_COUNT"))
		printf("# %llu programs, kernel accepts %u; skep: accepts what the kernel refuses %u, refuses what it accepts %u, "
		       "other errno %u, other sentence %u, not supported %u\n", (unsigned long long)count, accepted, unsound,
		       refused, other_errno, other_text, partial);
	EQ(unsound, 0);
	EQ(refused, 0);
	EQ(other_errno, 0);
	EQ(other_text, 0);
	EQ(partial, 0);
	CHECK(accepted > count / 5 && accepted < count);
	side_close(&s);
	side_close(&k);
}
