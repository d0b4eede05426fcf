/* SPDX-License-Identifier: Apache-2.0 */
/* oracle_test.c - the tables against what the running kernel does: small generated programs are loaded into it, and
 * its verdict is compared with the row. */
#include "spec/oracle.h"

/* ---- context accesses ---- */
static int load_access(const struct spec_prog *p, u32 attach, s32 off, u32 size, bool write)
{
	static const u8 sizes[] = { [1] = BPF_B, [2] = BPF_H, [4] = BPF_W, [8] = BPF_DW };
	struct bpf_insn insns[] = {
		mov(2, 0),
		{ .code = (write ? BPF_STX : BPF_LDX) | BPF_MEM | sizes[size], .off = (s16)off,
		  .dst_reg = write ? 1 : 3, .src_reg = write ? 2 : 1 },
		mov(0, legal_r0(p, attach)),
		exit_insn,
	};

	return kernel_load(p->type, attach, insns, ARRAY_SIZE(insns), false);
}

static void check_access(const struct spec_prog *p, u32 attach, s32 off, u32 size, bool write)
{
	const struct spec_ctx_field *f = spec_ctx_access(p->type, attach, off, size, write);
	int err;

	if (oracle_bpf == oracle_skep && f && f->what == CF_BTF)
		return;				/* skep has no kernel objects to point to */
	err = load_access(p, attach, off, size, write);
	if (!err != !!f)
		t_fail(__FILE__, __LINE__, "%s of %u bytes at %d: %d, the row says %s",
		       write ? "write" : "read", size, off, err, f ? f->name : "no");
}

static void sweep(const struct spec_prog *p, u32 attach)
{
	u32 end = MIN(p->ctx_size + 8, 260);

	t_row("%s: context of %s attached as %s", oracle_name(), p->name, spec_attach(attach)->name);
	for (u32 size = 1; size <= 8; size *= 2)
		for (u32 off = 0; off < end; off += size)
			for (u32 write = 0; write < 2; write++)
				check_access(p, attach, (s32)off, size, write);
	for (u32 write = 0; write < 2; write++) {
		if (p->type != BPF_PROG_TYPE_TRACEPOINT)	/* see ctx.def */
			check_access(p, attach, -8, 8, write);
		check_access(p, attach, 1, 2, write);
		check_access(p, attach, 4, 8, write);
		if (p->ctx_size < 0x7fff) {			/* else no instruction reaches it */
			check_access(p, attach, (s32)p->ctx_size - 1, 1, write);
			check_access(p, attach, (s32)(p->ctx_size & ~7u), 8, write);
		}
	}
}

TEST(context_accesses)
{
	NEED_KERNEL();
	each_type(sweep);
}

/* ---- what the type's flags say ---- */
static int load_r0(const struct spec_prog *p, u32 attach, s32 r0)
{
	struct bpf_insn insns[] = { mov(0, r0), exit_insn };

	return kernel_load(p->type, attach, insns, ARRAY_SIZE(insns), false);
}

static void returns(const struct spec_prog *p, u32 attach)
{
	static const s32 values[] = { -4096, -4095, -1, 0, 1, 2, 3, 4, 5, 0x7fffffff };
	s64 min, max;
	bool checked = spec_ret_range(p->type, attach, &min, &max);

	t_row("%s: return value of %s attached as %s", oracle_name(), p->name, spec_attach(attach)->name);
	for (u32 i = 0; i < ARRAY_SIZE(values); i++) {
		int err = load_r0(p, attach, values[i]);

		if (!err != (!checked || (values[i] >= min && values[i] <= max)))
			t_fail(__FILE__, __LINE__, "R0 = %d: %d, the row says [%lld, %lld]%s",
			       values[i], err, (long long)min, (long long)max, checked ? "" : " unchecked");
	}
}

TEST(return_ranges)
{
	NEED_KERNEL();
	each_type(returns);
}

TEST(attach_types_at_load)
{
	NEED_KERNEL();
	for (u32 t = 1; t < spec_nr_progs; t++) {
		const struct spec_prog *p = &spec_progs[t];

		if (!loads_alone(p))
			continue;
		t_row("expected_attach_type of %s", p->name);
		for (u32 a = 0; a < spec_nr_attaches + 8; a++) {
			s64 as = spec_attach_at_load(t, a);
			int err = load_r0(p, a, legal_r0(p, as < 0 ? a : (u32)as));

			if (err != (as < 0 ? as : 0))
				t_fail(__FILE__, __LINE__, "%u: the kernel says %d, the row %lld", a, err,
				       (long long)as);
		}
	}
}

/* Loads with insns in front of "r0 = legal; exit". */
static int load_body(const struct spec_prog *p, u32 attach, const struct bpf_insn *body, u32 cnt)
{
	struct bpf_insn insns[16];

	memcpy(insns, body, cnt * sizeof(*body));
	insns[cnt] = mov(0, legal_r0(p, attach));
	insns[cnt + 1] = exit_insn;
	return kernel_load(p->type, attach, insns, cnt + 2, false);
}

static const struct spec_ctx_field *field_of(const struct spec_prog *p, u8 what)
{
	for (u32 i = 0; i < spec_nr_ctx_fields; i++)
		if (spec_ctx_fields[i].what == what && (spec_ctx_fields[i].readers & BIT64(p->type)))
			return &spec_ctx_fields[i];
	return NULL;
}

/* data, data_end; if data + 1 is inside, read or write a byte there. */
static int load_packet_access(const struct spec_prog *p, u32 attach, bool write)
{
	const struct spec_ctx_field *data = field_of(p, CF_PKT), *end = field_of(p, CF_PKT_END);
	u8 ldx = BPF_LDX | BPF_MEM;

	if (!data || !end)
		return -ENOENT;
	ldx |= data->size == 8 ? BPF_DW : BPF_W;
	return load_body(p, attach, (struct bpf_insn[]){
		{ .code = ldx, .dst_reg = 2, .src_reg = 1, .off = (s16)data->off },
		{ .code = ldx, .dst_reg = 3, .src_reg = 1, .off = (s16)end->off },
		{ .code = 0xbf, .dst_reg = 4, .src_reg = 2 },
		{ .code = 0x07, .dst_reg = 4, .imm = 1 },
		{ .code = 0x2d, .dst_reg = 4, .src_reg = 3, .off = 1 },
		write ? (struct bpf_insn){ .code = BPF_ST | BPF_MEM | BPF_B, .dst_reg = 2 } :
			(struct bpf_insn){ .code = BPF_LDX | BPF_MEM | BPF_B, .dst_reg = 5, .src_reg = 2 },
	}, 6);
}

static int load_sleepable(const struct spec_prog *p, u32 attach)
{
	struct bpf_insn insns[] = { mov(0, legal_r0(p, attach)), exit_insn };
	union skep_attr a = { .prog_type = p->type, .expected_attach_type = attach, .insns = (uintptr_t)insns,
			      .insn_cnt = 2, .license = (uintptr_t)"GPL", .prog_flags = BPF_F_SLEEPABLE };
	long fd = t_kernel_bpf_call(BPF_PROG_LOAD, &a, sizeof(a));

	if (fd < 0)
		return -errno;
	close((int)fd);
	return 0;
}

/* Does PROG_TEST_RUN know the type at all? */
static bool test_runs(const struct spec_prog *p, u32 attach)
{
	struct bpf_insn insns[] = { mov(0, legal_r0(p, attach)), exit_insn };
	union skep_attr a = { .prog_type = p->type, .expected_attach_type = attach, .insns = (uintptr_t)insns,
			      .insn_cnt = 2, .license = (uintptr_t)"GPL",
			      .prog_flags = p->type == BPF_PROG_TYPE_SYSCALL ? BPF_F_SLEEPABLE : 0 };
	union skep_attr run = { 0 };
	long fd = t_kernel_bpf_call(BPF_PROG_LOAD, &a, sizeof(a)), err;

	if (fd < 0)
		return false;
	run.test.prog_fd = (u32)fd;
	err = t_kernel_bpf_call(BPF_PROG_TEST_RUN, &run, sizeof(run)) < 0 ? errno : 0;
	close((int)fd);
	return err != 524;			/* ENOTSUPP */
}

static void flags(const struct spec_prog *p, u32 attach)
{
	struct bpf_insn ld_abs[] = { { .code = 0xbf, .dst_reg = 6, .src_reg = 1 }, { .code = 0x30 } };

	t_row("flags of %s attached as %s", p->name, spec_attach(attach)->name);
	EQ(!load_body(p, attach, ld_abs, 2), !!(p->flags & SPEC_PROG_LD_ABS));
	EQ(!load_packet_access(p, attach, false), !!(p->flags & SPEC_PROG_PKT));
	EQ(!load_packet_access(p, attach, true), !!(p->flags & SPEC_PROG_PKT_WRITE));
	EQ(!load_sleepable(p, attach), !!(p->flags & SPEC_PROG_SLEEPABLE));
	EQ(test_runs(p, attach), !!(p->flags & SPEC_PROG_TEST_RUN));
}

TEST(type_flags)
{
	NEED_KERNEL();
	each_type(flags);
}

/* ---- memory behind pointers that a context gives ---- */
static u8 mem_code(u32 size, bool write)
{
	return (u8)((write ? BPF_STX : BPF_LDX) | BPF_MEM |
		    (size == 1 ? BPF_B : size == 2 ? BPF_H : size == 4 ? BPF_W : BPF_DW));
}

/* R2 = what the context has at AT; SK: its full socket; then one access to it. */
static int load_behind(const struct spec_prog *p, u32 at, bool full_sock, s32 off, u32 size, bool write)
{
	struct bpf_insn insns[16];
	u32 n = 0, null[2] = { 0, 0 };

	insns[n++] = (struct bpf_insn){ .code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = 1, .src_reg = 1,
					.off = (s16)at };
	insns[n++] = mov(0, 0);
	null[0] = n;
	insns[n++] = (struct bpf_insn){ .code = 0x15, .dst_reg = 1 };
	if (full_sock) {
		insns[n++] = (struct bpf_insn){ .code = 0x85, .imm = BPF_FUNC_sk_fullsock };
		null[1] = n;
		insns[n++] = (struct bpf_insn){ .code = 0x15, .dst_reg = 0 };
		insns[n++] = (struct bpf_insn){ .code = 0xbf, .dst_reg = 1, .src_reg = 0 };
	}
	insns[n++] = mov(2, 0);
	insns[n++] = (struct bpf_insn){ .code = mem_code(size, write), .dst_reg = write ? 1 : 2,
					.src_reg = write ? 2 : 1, .off = (s16)off };
	insns[n++] = mov(0, 0);
	insns[null[0]].off = (s16)(n - null[0] - 1);
	if (full_sock)
		insns[null[1]].off = (s16)(n - null[1] - 1);
	insns[n++] = exit_insn;
	return kernel_load(p->type, 0, insns, n, false);
}

static const struct {
	const char *name;
	u64 who;
	u32 type, at;
	bool full_sock;
	u32 end;
} pointers[] = {
	{ "any socket", SPEC_P_SOCK_COMMON, BPF_PROG_TYPE_SCHED_CLS, offsetof(struct __sk_buff, sk), false, 88 },
	{ "full socket", SPEC_P_SOCK, BPF_PROG_TYPE_SCHED_CLS, offsetof(struct __sk_buff, sk), true, 88 },
	{ "flow keys", SPEC_P_FLOW_KEYS, BPF_PROG_TYPE_FLOW_DISSECTOR, offsetof(struct __sk_buff, flow_keys), false,
	  64 },
};

TEST(memory_behind_pointers)
{
	NEED_KERNEL();
	for (u32 i = 0; i < ARRAY_SIZE(pointers); i++) {
		const struct spec_prog *p = spec_prog(pointers[i].type);

		t_row("accesses to %s", pointers[i].name);
		for (u32 size = 1; size <= 8; size *= 2)
			for (u32 off = 0; off < pointers[i].end; off += size)
				for (u32 write = 0; write < 2; write++) {
					int err = load_behind(p, pointers[i].at, pointers[i].full_sock, (s32)off,
							      size, write);
					const struct spec_ctx_field *f;

					f = spec_mem_access(pointers[i].who, (s32)off, size, write);
					if (!err != !!f)
						t_fail(__FILE__, __LINE__, "%s of %u bytes at %u: kernel %d, row %s",
						       write ? "write" : "read", size, off, err,
						       f ? f->name : "no");
				}
	}
}

/* ---- skep's own verdicts, against the same rows ---- */
TEST(skep_context_accesses)
{
	oracle_bpf = oracle_skep;
	each_type(sweep);
	oracle_bpf = t_kernel_bpf_call;
}

TEST(skep_return_ranges)
{
	oracle_bpf = oracle_skep;
	each_type(returns);
	oracle_bpf = t_kernel_bpf_call;
}
