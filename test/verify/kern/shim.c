/* SPDX-License-Identifier: Apache-2.0 */
/* shim.c - libbpf's bpf(2), answered by nothing but the verifier: maps of every type are descriptions, BTF is parsed, programs are
 * judged by vfy_check() against the running kernel's BTF. Nothing runs. So the verifier can be compared with the kernel also
 * where skep has no such map, hook or helper yet. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spec/uapi.h"
#include "verify/verify.h"

#define MAX_FD	4096

long __wrap_syscall(long nr, ...);
long __real_syscall(long nr, ...);

#ifdef SHIM_BEFORE
void SHIM_BEFORE(void);
#endif

static struct thing {			/* by fd */
	struct btf *btf;
	struct vfy_map map;
	u8 *data;
} things[MAX_FD];
static struct btf *vmlinux;

static void load_vmlinux(void)
{
	FILE *f = fopen("/sys/kernel/btf/vmlinux", "r");
	size_t room = 64 << 20, n;
	char *p = malloc(room);

	n = f && p ? fread(p, 1, room, f) : 0;
	if (!n || btf_parse(p, (u32)n, NULL, NULL, &vmlinux))
		vmlinux = NULL;
	free(p);
	if (f)
		fclose(f);
}

static int new_fd(void)
{
	int fd = (int)__real_syscall(SYS_memfd_create, "shim", 1);

	if (fd >= MAX_FD)
		abort();
	memset(&things[fd], 0, sizeof(things[fd]));
	return fd;
}

static int map_create(const union skep_attr *a)
{
	int fd = new_fd();
	struct vfy_map *m = &things[fd].map;

	*m = (struct vfy_map){ .id = (u32)fd, .type = a->map_type, .key_size = a->key_size, .value_size = a->value_size,
			       .max_entries = a->max_entries, .flags = a->map_flags, .gen = (u64)fd,
			       .btf_key_type = a->btf_key_type_id, .btf_value_type = a->btf_value_type_id };
	memcpy(m->name, a->map_name, sizeof(m->name));
	if (a->btf_fd && a->btf_fd < MAX_FD)
		m->btf = things[a->btf_fd].btf;
	if (a->inner_map_fd)
		m->inner = &things[a->inner_map_fd].map;
	things[fd].data = calloc(1, a->value_size + 8);
	return fd;
}

static int map_write(const union skep_attr *a, int cmd)
{
	struct thing *t = &things[a->map_fd];

	if (cmd == BPF_MAP_UPDATE_ELEM && t->map.max_entries == 1)
		memcpy(t->data, (void *)(uintptr_t)a->value, t->map.value_size);
	if (cmd == BPF_MAP_FREEZE && t->map.flags & BPF_F_RDONLY_PROG)
		t->map.frozen = t->data;
	return 0;
}

/* Map fds become indices. */
static u32 resolve(struct bpf_insn *in, u32 cnt, struct vfy_map *maps)
{
	u32 n = 1;

	for (u32 i = 0; i + 1 < cnt; i++) {
		if (in[i].code != (BPF_LD | BPF_IMM | BPF_DW))
			continue;
		if (in[i].src_reg == BPF_PSEUDO_MAP_FD || in[i].src_reg == BPF_PSEUDO_MAP_VALUE) {
			u32 k;

			for (k = 1; k < n && maps[k].id != (u32)in[i].imm; k++)
				;
			if (k == n)
				maps[n++] = things[in[i].imm].map;
			in[i].imm = (s32)k;
		}
		i++;
	}
	return n;
}

static int prog_load(const union skep_attr *a)
{
	static struct vfy_map maps[65];
	size_t size = (size_t)a->insn_cnt * sizeof(struct bpf_insn);
	struct bpf_insn *in = malloc(size);
	struct vfy_out out;
	int err;

	memcpy(in, (void *)(uintptr_t)a->insns, size);
	if (!vmlinux)
		load_vmlinux();
	{
		struct vfy_in i = {
			.insns = in, .cnt = a->insn_cnt, .prog_type = a->prog_type, .attach_type = a->expected_attach_type,
			.prog_flags = a->prog_flags, .gpl = !strcmp((char *)(uintptr_t)a->license, "GPL"),
			.caps = VFY_CAP_BPF | VFY_CAP_PERFMON | VFY_CAP_NET_ADMIN | VFY_CAP_SYS_ADMIN, .maps = maps,
			.nr_maps = resolve(in, a->insn_cnt, maps), .btf = a->prog_btf_fd ? things[a->prog_btf_fd].btf : NULL,
			.func_info = (void *)(uintptr_t)a->func_info, .func_info_cnt = a->func_info_cnt,
			.func_info_rec = a->func_info_rec_size, .line_info = (void *)(uintptr_t)a->line_info,
			.line_info_cnt = a->line_info_cnt, .line_info_rec = a->line_info_rec_size, .vmlinux = vmlinux,
			.vmlinux_foreign = true, .attach_btf_id = a->attach_btf_id, .log_level = a->log_level,
		};

#ifdef SHIM_BEFORE
		SHIM_BEFORE();
#endif
		err = vfy_check(&i, &out);
	}
	if (a->log_buf && out.log.s)
		snprintf((char *)(uintptr_t)a->log_buf, a->log_size, "%s", out.log.s);
	vfy_out_free(&out);
	free(in);
	return err ? err : new_fd();
}

static int btf_load(const union skep_attr *a)
{
	struct btf *b;
	int err = btf_parse((void *)(uintptr_t)a->btf, a->btf_size, NULL, NULL, &b), fd;

	if (err)
		return err;
	fd = new_fd();
	things[fd].btf = b;
	return fd;
}

static int bpf(int cmd, const void *uattr, u32 size)
{
	union skep_attr a;

	memset(&a, 0, sizeof(a));
	memcpy(&a, uattr, size < sizeof(a) ? size : sizeof(a));
	switch (cmd) {
	case BPF_MAP_CREATE:
		return map_create(&a);
	case BPF_PROG_LOAD:
		return prog_load(&a);
	case BPF_BTF_LOAD:
		return btf_load(&a);
	case BPF_MAP_UPDATE_ELEM:
	case BPF_MAP_FREEZE:
		return map_write(&a, cmd);
	}
	return -EINVAL;
}

long __wrap_syscall(long nr, ...)
{
	va_list ap;
	long v[6];
	int r;

	va_start(ap, nr);
	for (int i = 0; i < 6; i++)
		v[i] = va_arg(ap, long);
	va_end(ap);
	if (nr != SYS_bpf)
		return __real_syscall(nr, v[0], v[1], v[2], v[3], v[4], v[5]);
	r = bpf((int)v[0], (const void *)v[1], (u32)v[2]);
	if (r < 0)
		errno = -r;
	return r < 0 ? -1 : r;
}
