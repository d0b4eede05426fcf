/* SPDX-License-Identifier: Apache-2.0 */
/* exec_file.c - what kind of file is executed: can its image have the agent? Also of the tool, which starts the first one. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent/exec.h"
#include "base/agents.h"

#define HEAD		4096u		/* of a file, looked at */
#define INTERPRETERS	5u		/* of interpreters; the kernel's limit */
#define PHDRS		64u

/* As the target would be seen by it: nobody's privileges are gained, or they are. */
static bool gains(int fd, const struct stat *st)
{
	char cap[32];

	if (st->st_mode & S_ISUID && st->st_uid != geteuid())
		return true;
	if ((st->st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && st->st_gid != getegid())
		return true;
	return geteuid() && fgetxattr(fd, "security.capability", cap, sizeof(cap)) > 0;
}

static u32 elf_kind(int fd, const u8 *head, ssize_t n)
{
	Elf64_Ehdr h;
	Elf64_Phdr p;

	if (n < (ssize_t)sizeof(h))
		return 0;
	memcpy(&h, head, sizeof(h));
	if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_machine != EM_X86_64)
		return NOTICE_FOREIGN;
	if (h.e_phentsize != sizeof(p) || (h.e_type != ET_EXEC && h.e_type != ET_DYN))
		return 0;
	for (u32 i = 0; i < MIN(h.e_phnum, PHDRS); i++) {
		if (pread(fd, &p, sizeof(p), (off_t)(h.e_phoff + i * sizeof(p))) != sizeof(p))
			return 0;
		if (p.p_type == PT_INTERP)
			return 0;
	}
	return NOTICE_STATIC;
}

/* "#! /bin/sh -x": the path, cut out in place; NULL: none. */
static char *interpreter(char *head, ssize_t n)
{
	char *p = head + 2, *end;

	head[n] = 0;
	end = p + strcspn(p, "\n");
	*end = 0;
	p += strspn(p, " \t");
	p[strcspn(p, " \t")] = 0;
	return *p ? p : NULL;
}

u32 agent_exec_kind(s32 dirfd, const char *path, u32 flags)
{
	char head[HEAD + 1];
	u32 kind = 0;
	struct stat st;
	ssize_t n;
	int fd;

	for (u32 i = 0; i < INTERPRETERS && path; i++) {
		if (!*path && flags & AT_EMPTY_PATH)
			fd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
		else
			fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd < 0)
			return EXEC_NO_FILE;
		path = NULL;
		n = fstat(fd, &st) || !S_ISREG(st.st_mode) || !(st.st_mode & 0111) ? -1 : pread(fd, head, HEAD, 0);
		if (n > 4 && !memcmp(head, ELFMAG, SELFMAG))
			kind = gains(fd, &st) ? NOTICE_SETUID : elf_kind(fd, (u8 *)head, n);
		else if (n > 2 && head[0] == '#' && head[1] == '!')
			path = interpreter(head, n);
		close(fd);
		if (n < 0)
			return EXEC_NO_FILE;
		dirfd = AT_FDCWD;
		flags = 0;
	}
	return kind;
}
