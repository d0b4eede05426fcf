/* SPDX-License-Identifier: Apache-2.0 */
/* vmlinux.c - the BTF of "the kernel" that programs are checked against: types of BTF pointers, kfuncs, tracepoints. Skep's own;
 * with
 * SKEP_TARGET_BTF=FILE it is a foreign kernel's: programs that use it are verified as that kernel would, but do not run here.
 * Parsed once per process and kept. Lock: once. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/door.h"
#include "spec/vmlinux.h"
#include "sys/sys.h"

static struct btf *target;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load_file(const char *path)
{
	/* past the doors: the host's file, whatever its name says to clients */
	int fd = (int)raw_syscall(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
	struct stat st;
	char *p = NULL;
	size_t n = 0;
	ssize_t got;

	if (fd < 0)
		return;
	if (!fstat(fd, &st) && st.st_size > 0 && st.st_size < 64 << 20)
		p = malloc((size_t)st.st_size);
	while (p && n < (size_t)st.st_size) {
		got = read(fd, p + n, (size_t)st.st_size - n);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	close(fd);
	if (n && btf_parse(p, (u32)n, NULL, NULL, &target))
		target = NULL;
	free(p);
}

static void load(void)
{
	const char *path = getenv("SKEP_TARGET_BTF");

	if (path && *path)
		load_file(path);
}

const struct btf *sys_vmlinux(bool *foreign)
{
	pthread_once(&once, load);
	*foreign = target;
	return target ? target : &spec_vmlinux;
}
