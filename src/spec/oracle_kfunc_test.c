/* SPDX-License-Identifier: Apache-2.0 */
/* oracle_kfunc_test.c - which program types may call which kfunc: kfuncs.def against the running kernel. */
#include <bpf/btf.h>

#include "spec/oracle.h"

static bool kernel_allows(const struct spec_prog *p, u32 attach, s32 btf_id)
{
	struct bpf_insn insns[] = { { .code = 0x85, .src_reg = BPF_PSEUDO_KFUNC_CALL, .imm = btf_id },
				    mov(0, legal_r0(p, attach)), exit_insn };

	kernel_load(p->type, attach, insns, ARRAY_SIZE(insns), true);
	return !strstr(log_buf, "is not allowed");
}

static void check(const struct spec_kfunc *k, s32 btf_id)
{
	for (u32 t = 1; t < spec_nr_progs; t++) {
		u32 a = 0;

		if (!loads_alone(&spec_progs[t]))
			continue;
		while (spec_attach_at_load(t, a) != a)
			a++;
		if (kernel_allows(&spec_progs[t], a, btf_id) != !!(k->progs & BIT64(t)))
			t_fail(__FILE__, __LINE__, "%s: the row says %d", spec_progs[t].name,
			       !!(k->progs & BIT64(t)));
	}
}

TEST(kfuncs_per_type)
{
	struct btf *btf;

	NEED_KERNEL();
	btf = btf__parse(T_KERNEL_BTF, NULL);
	NEED(btf);
	for (u32 i = 0; i < spec_nr_kfuncs; i++) {
		t_row("program types of %s", spec_kfuncs[i].name);
		check(&spec_kfuncs[i], btf__find_by_name_kind(btf, spec_kfuncs[i].name, BTF_KIND_FUNC));
	}
	btf__free(btf);
}
