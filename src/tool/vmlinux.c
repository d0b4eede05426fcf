/* SPDX-License-Identifier: Apache-2.0 */
/* vmlinux.c - see vmlinux.h. */
#include "tool/vmlinux.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tool/door.h"

static void put(void *ctx, const char *fmt, va_list ap)
{
	vfprintf(ctx, fmt, ap);
}

int btf_write_c(const struct btf *btf, FILE *f)
{
	struct btf_dump *d = btf_dump__new(btf, put, f, NULL);
	int err = (int)libbpf_get_error(d);

	if (err)
		return err;
	fputs("#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n\n"
	      "#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n"
	      "#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)\n"
	      "#endif\n\n", f);
	for (u32 id = 1; id < btf__type_cnt(btf) && !err; id++)
		err = btf_dump__dump_type(d, id);
	fputs("#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n#pragma clang attribute pop\n#endif\n\n"
	      "#endif /* __VMLINUX_H__ */\n", f);
	btf_dump__free(d);
	return err;
}

struct btf *vmlinux_open(void)
{
	u32 size;
	const void *blob = vmlinux_btf(&size);

	return btf__new(blob, size);
}

int vmlinux_fd_btf(void)
{
	u32 size;
	const char *blob = vmlinux_btf(&size);
	int fd = memfd_create("vmlinux", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, blob, size) == (ssize_t)size)
		return fd;
	close(fd);
	return -EIO;
}

int vmlinux_fd_header(void)
{
	struct btf *btf = vmlinux_open();
	int fd = btf ? memfd_create("vmlinux.h", 0) : -1, err = fd < 0 ? -errno : 0;
	FILE *f = fd < 0 ? NULL : fdopen(dup(fd), "w");

	if (f) {
		err = btf_write_c(btf, f);
		err = fclose(f) ? -errno : err;
	}
	btf__free(btf);
	if (fd >= 0 && (err || !f)) {
		close(fd);
		return err ? err : -ENOMEM;
	}
	return err ? err : fd;
}
