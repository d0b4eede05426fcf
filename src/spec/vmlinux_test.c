/* SPDX-License-Identifier: Apache-2.0 */
/* vmlinux_test.c - skep's vmlinux BTF: sound by the kernel's rules, the same as the memory it describes, and Linux 6.18's
 * layouts where programs know those without CO-RE. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/def.h"
#include "spec/ktypes.h"
#include "spec/uapi.h"
#include "spec/vmlinux.h"
#include "t.h"

/* Member NAME of struct TYPE in B, also of anonymous members; *bits: where. */
static const struct btf_member *member_of(const struct btf *b, u32 id, const char *name, u32 *bits)
{
	const struct btf_type *t = btf_type(b, id);
	const struct btf_member *m = (const void *)(t + 1), *inner;

	for (u32 i = 0; i < BTF_INFO_VLEN(t->info); i++, m++) {
		u32 at = BTF_INFO_KFLAG(t->info) ? BTF_MEMBER_BIT_OFFSET(m->offset) : m->offset;

		if (!strcmp(btf_str(b, m->name_off), name)) {
			*bits += at;
			return m;
		}
		if (m->name_off)
			continue;
		*bits += at;
		inner = member_of(b, m->type, name, bits);
		if (inner)
			return inner;
		*bits -= at;
	}
	return NULL;
}

static const struct btf_member *find(const struct btf *b, const char *type, const char *name, u32 *bits)
{
	s32 id = btf_find(b, type, BTF_KIND_STRUCT);

	*bits = 0;
	return id > 0 ? member_of(b, (u32)id, name, bits) : NULL;
}

TEST(blob_passes_the_kernels_checks)
{
	struct btf *b = NULL;

	EQ(btf_parse(spec_vmlinux.data, spec_vmlinux.size, NULL, NULL, &b), 0);
	NEED(b);
	EQ(b->nr, spec_vmlinux.nr);
	for (u32 i = 1; i < b->nr; i++)
		EQ((u8 *)b->types[i] - b->data, (u8 *)spec_vmlinux.types[i] - spec_vmlinux.data);
	btf_free(b);
}

TEST(kernel_takes_the_blob)
{
	union bpf_attr a = { .btf = (u64)(uintptr_t)spec_vmlinux.data, .btf_size = spec_vmlinux.size };
	long fd;

	if (!t_kernel_bpf()) {
		t_skip("needs the kernel's bpf(2) as oracle");
		return;
	}
	fd = t_kernel_bpf_call(BPF_BTF_LOAD, &a, sizeof(a));
	CHECK(fd >= 0);
	if (fd >= 0)
		close((int)fd);
}

#define SAME(strct, field) do {									\
	u32 bits_;										\
	const struct btf_member *m_ = find(&spec_vmlinux, #strct, #field, &bits_);		\
	t_row("%s.%s lies where the BTF says", #strct, #field);					\
	NEED(m_);										\
	EQ(bits_, 8 * offsetof(struct strct, field));						\
	EQ(btf_size(&spec_vmlinux, m_->type), sizeof_field(struct strct, field));		\
} while (0)

TEST(memory_is_as_described)
{
	SAME(task_struct, __state);
	SAME(task_struct, flags);
	SAME(task_struct, exit_state);
	SAME(task_struct, exit_code);
	SAME(task_struct, pid);
	SAME(task_struct, tgid);
	SAME(task_struct, real_parent);
	SAME(task_struct, parent);
	SAME(task_struct, group_leader);
	SAME(task_struct, start_time);
	SAME(task_struct, start_boottime);
	SAME(task_struct, real_cred);
	SAME(task_struct, cred);
	SAME(task_struct, comm);
	SAME(cred, uid);
	SAME(cred, gid);
	SAME(cred, suid);
	SAME(cred, sgid);
	SAME(cred, euid);
	SAME(cred, egid);
}

static struct btf *kernels(void)
{
	FILE *f = fopen(T_KERNEL_BTF, "r");
	u32 cap = 16u << 20, size;
	struct btf *b = NULL;
	u8 *buf = malloc(cap);

	if (f && buf) {
		size = (u32)fread(buf, 1, cap, f);
		EQ(btf_parse(buf, size, NULL, NULL, &b), 0);
	}
	if (f)
		fclose(f);
	free(buf);
	return b;
}

/* What programs may know without CO-RE: every member of ours is the kernel's, at its place and of its size. */
static const char *const as_linux[] = {
	"trace_entry", "trace_event_raw_sys_enter", "trace_event_raw_sys_exit", "syscall_trace_enter", "syscall_trace_exit",
	"trace_event_raw_sched_process_exec", "trace_event_raw_sched_process_fork", "trace_event_raw_sched_process_exit",
	"pt_regs", "xdp_md", "__sk_buff", "bpf_raw_tracepoint_args", "bpf_pidns_info", "btf_ptr",
	"bpf_perf_event_value", "bpf_spin_lock",
};

TEST(layouts_are_linux)
{
	struct btf *k = kernels();

	if (!k) {
		t_skip("this kernel shows no BTF");
		return;
	}
	for (u32 i = 0; i < ARRAY_SIZE(as_linux); i++) {
		s32 id = btf_find(&spec_vmlinux, as_linux[i], BTF_KIND_STRUCT), kid = btf_find(k, as_linux[i], BTF_KIND_STRUCT);
		const struct btf_type *t = id > 0 ? btf_type(&spec_vmlinux, (u32)id) : NULL;
		const struct btf_member *m = (const void *)(t + 1);

		t_row("struct %s is Linux 6.18's", as_linux[i]);
		CHECK(t && kid > 0);
		if (!t || kid <= 0)
			continue;
		EQ(btf_size(&spec_vmlinux, (u32)id), btf_size(k, (u32)kid));
		for (u32 n = 0; n < BTF_INFO_VLEN(t->info); n++, m++) {
			const char *name = btf_str(&spec_vmlinux, m->name_off);
			const struct btf_member *km;
			u32 bits;

			if (!*name)
				continue;
			km = find(k, as_linux[i], name, &bits);
			if (!km || bits != m->offset || btf_size(k, km->type) != btf_size(&spec_vmlinux, m->type))
				t_fail(__FILE__, __LINE__, "member %s differs", name);
		}
	}
	btf_free(k);
}
