/* SPDX-License-Identifier: Apache-2.0 */
/* stub_test.c - a program that calls a helper which is only a row: it verifies, and whoever would run it is told. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "skep.h"
#include "spec/spec.h"
#include "t.h"

/* A STUB helper of sched_cls that takes the context and numbers. */
static s32 some_stub(void)
{
	for (u32 id = 1; id < spec_nr_helpers; id++) {
		const struct spec_helper *h = &spec_helpers[id];
		bool plain = ARG_BASE(h->arg[0]) == ARG_CTX;

		for (u32 i = 1; i < 5; i++)
			plain &= ARG_BASE(h->arg[i]) == ARG_ANY || ARG_BASE(h->arg[i]) == ARG_NONE;
		if (plain && h->st.state == SPEC_STUB && h->ret == RET_INTEGER &&
		    h->progs & BIT64(BPF_PROG_TYPE_SCHED_CLS))
			return (s32)id;
	}
	return -1;
}

static int load(s32 helper)
{
	struct bpf_insn insns[7] = { { 0 } };
	union bpf_attr a = { .prog_type = BPF_PROG_TYPE_SCHED_CLS, .insn_cnt = 6 };

	for (u8 r = 2; r < 6; r++)
		insns[r - 2] = (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = r };
	insns[4] = (struct bpf_insn){ .code = BPF_JMP | BPF_CALL, .imm = helper };
	insns[5] = (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT };
	a.insns = (uintptr_t)insns;
	a.license = (uintptr_t)"GPL";
	return (int)skep_bpf(BPF_PROG_LOAD, &a, sizeof(a));
}

static int prog_array(void)
{
	union bpf_attr a = { .map_type = BPF_MAP_TYPE_PROG_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 2 };

	return (int)skep_bpf(BPF_MAP_CREATE, &a, sizeof(a));
}

TEST(a_stub_is_verified_and_refused_where_it_would_run)
{
	union bpf_attr a = { 0 };
	u8 pkt[64] = { 0 };
	u32 key = 0;
	int prog, map;

	if (some_stub() < 0) {
		t_skip("no stub of that form is left");
		return;
	}
	prog = load(some_stub());
	map = prog_array();
	NEED(prog >= 0 && map >= 0);
	a.test.prog_fd = (u32)prog;
	a.test.data_in = (uintptr_t)pkt;
	a.test.data_size_in = sizeof(pkt);
	EQ(skep_bpf(BPF_PROG_TEST_RUN, &a, sizeof(a)), -EOPNOTSUPP);
	memset(&a, 0, sizeof(a));
	a.map_fd = (u32)map;
	a.key = (uintptr_t)&key;
	a.value = (uintptr_t)&prog;
	EQ(skep_bpf(BPF_MAP_UPDATE_ELEM, &a, sizeof(a)), -EOPNOTSUPP);
	close(prog);
	close(map);
}
