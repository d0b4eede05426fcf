/* SPDX-License-Identifier: Apache-2.0 */
/* oracle_cmd_test.c - attr_size of cmds.def against the running kernel: a word behind the last field must be zero, the
 * last field may be anything. Each command is asked for something that fails otherwise: a bad fd, an unused id. */
#include <skep.h>

#include "spec/oracle.h"

#define BAD		0xfffffff0u		/* no fd, no id */
#define AT(field)	offsetof(union skep_attr, field)

static const struct sample {
	u32 cmd;
	struct { u16 off; u32 val; } set[3];	/* u32 fields; the rest is zero */
	int err;				/* the kernel's answer while the tail is zero */
} samples[] = {
	{ BPF_MAP_CREATE, { { AT(map_type), BPF_MAP_TYPE_ARRAY }, { AT(key_size), 8 }, { AT(max_entries), 1 } }, EINVAL },
	{ BPF_MAP_LOOKUP_ELEM, { { AT(map_fd), BAD } }, EBADF },
	{ BPF_MAP_UPDATE_ELEM, { { AT(map_fd), BAD } }, EBADF },
	{ BPF_MAP_DELETE_ELEM, { { AT(map_fd), BAD } }, EBADF },
	{ BPF_MAP_GET_NEXT_KEY, { { AT(map_fd), BAD } }, EBADF },
	{ BPF_PROG_LOAD, { { AT(prog_type), BPF_PROG_TYPE_XDP } }, E2BIG },
	{ BPF_OBJ_PIN, { { AT(bpf_fd), BAD } }, EINVAL },
	{ BPF_OBJ_GET, { { 0 } }, EFAULT },
	{ BPF_PROG_ATTACH, { { AT(attach_bpf_fd), BAD } }, EBADF },
	{ BPF_PROG_DETACH, { { AT(attach_type), BPF_CGROUP_DEVICE }, { AT(target_fd), BAD } }, EBADF },
	{ BPF_PROG_TEST_RUN, { { AT(test.prog_fd), BAD } }, EBADF },
	{ BPF_PROG_GET_NEXT_ID, { { AT(start_id), 0x7ffffff0 } }, ENOENT },
	{ BPF_MAP_GET_NEXT_ID, { { AT(start_id), 0x7ffffff0 } }, ENOENT },
	{ BPF_PROG_GET_FD_BY_ID, { { AT(prog_id), 0x7ffffff0 } }, ENOENT },
	{ BPF_MAP_GET_FD_BY_ID, { { AT(map_id), 0x7ffffff0 } }, ENOENT },
	{ BPF_OBJ_GET_INFO_BY_FD, { { AT(info.bpf_fd), BAD } }, EBADFD },
	{ BPF_PROG_QUERY, { { AT(query.attach_type), BPF_CGROUP_DEVICE }, { AT(query.target_fd), BAD } }, EBADF },
	{ BPF_RAW_TRACEPOINT_OPEN, { { AT(raw_tracepoint.prog_fd), BAD } }, EBADF },
	{ BPF_BTF_LOAD, { { AT(btf_size), 0x7fffffff } }, E2BIG },
	{ BPF_BTF_GET_FD_BY_ID, { { AT(btf_id), 0x7ffffff0 } }, ENOENT },
	{ BPF_TASK_FD_QUERY, { { AT(task_fd_query.pid), 0x7ffffff0 } }, ENOENT },
	{ BPF_MAP_LOOKUP_AND_DELETE_ELEM, { { AT(map_fd), BAD } }, EBADF },
	{ BPF_MAP_FREEZE, { { AT(map_fd), BAD } }, EBADF },
	{ BPF_BTF_GET_NEXT_ID, { { AT(start_id), 0x7ffffff0 } }, ENOENT },
	{ BPF_MAP_LOOKUP_BATCH, { { AT(batch.map_fd), BAD } }, EBADF },
	{ BPF_MAP_LOOKUP_AND_DELETE_BATCH, { { AT(batch.map_fd), BAD } }, EBADF },
	{ BPF_MAP_UPDATE_BATCH, { { AT(batch.map_fd), BAD } }, EBADF },
	{ BPF_MAP_DELETE_BATCH, { { AT(batch.map_fd), BAD } }, EBADF },
	{ BPF_LINK_CREATE, { { AT(link_create.prog_fd), BAD } }, EBADF },
	{ BPF_LINK_UPDATE, { { AT(link_update.link_fd), BAD } }, EBADF },
	{ BPF_LINK_GET_FD_BY_ID, { { AT(link_id), 0x7ffffff0 } }, ENOENT },
	{ BPF_LINK_GET_NEXT_ID, { { AT(start_id), 0x7ffffff0 } }, ENOENT },
	{ BPF_ITER_CREATE, { { AT(iter_create.link_fd), BAD } }, EBADF },
	{ BPF_LINK_DETACH, { { AT(link_detach.link_fd), BAD } }, EBADF },
	{ BPF_PROG_BIND_MAP, { { AT(prog_bind_map.prog_fd), BAD } }, EBADF },
	{ BPF_TOKEN_CREATE, { { AT(token_create.bpffs_fd), BAD } }, EBADF },
	{ BPF_PROG_STREAM_READ_BY_FD, { { AT(prog_stream_read.prog_fd), BAD } }, EBADF },
};

static long skep(int cmd, void *attr, unsigned int size)
{
	return skep_bpf(cmd, attr, size);
}

/* Errno of a bpf(2) with one word of the attribute set besides; word beyond the attribute: none. */
static int ask(long (*bpf)(int cmd, void *attr, unsigned int size), const struct sample *s, u32 word)
{
	union {
		union skep_attr attr;
		u32 word[sizeof(union skep_attr) / 4];
	} a;
	long r;

	memset(&a, 0, sizeof(a));
	for (u32 i = 0; i < ARRAY_SIZE(s->set); i++)
		a.word[s->set[i].off / 4] |= s->set[i].val;
	if (word < ARRAY_SIZE(a.word))
		a.word[word] = 1;
	r = bpf((int)s->cmd, &a, sizeof(a));
	if (r < 0)
		return bpf == skep ? (int)-r : errno;
	close((int)r);
	return 0;
}

TEST(attributes_end_where_the_row_says)
{
	NEED_KERNEL();
	for (u32 i = 0; i < ARRAY_SIZE(samples); i++) {
		const struct sample *s = &samples[i];
		const struct spec_cmd *c = spec_cmd(s->cmd);

		t_row("attribute of %s", c->name);
		EQ(ask(t_kernel_bpf_call, s, ~0u), s->err);
		for (u32 w = c->attr_size / 4; w < sizeof(union skep_attr) / 4; w++)
			EQ(ask(t_kernel_bpf_call, s, w), EINVAL);
	}
}

/* The same samples, answered by skep where the row says that it does: the kernel's errno, and nothing behind the last
 * field. */
TEST(skep_answers_as_the_kernel)
{
	for (u32 i = 0; i < ARRAY_SIZE(samples); i++) {
		const struct sample *s = &samples[i];
		const struct spec_cmd *c = spec_cmd(s->cmd);

		if (c->st.state == SPEC_STUB)
			continue;
		t_row("skep's %s", c->name);
		EQ(ask(skep, s, ~0u), s->err);
		for (u32 w = c->attr_size / 4; w < sizeof(union skep_attr) / 4; w++)
			EQ(ask(skep, s, w), EINVAL);
	}
}
