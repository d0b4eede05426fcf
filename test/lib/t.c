/* SPDX-License-Identifier: Apache-2.0 */
/* t.c - see t.h. */
#include "t.h"

#include <errno.h>
#include <ftw.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct t_case *cases, **tail = &cases;
static const char *prog;
static char row[256], why[1024], tmp[64];
static bool in_row, skipped;
static int failures;

void t_register(struct t_case *c)
{
	*tail = c;
	tail = &c->next;
}

static void finish(void)
{
	if (!in_row)
		return;
	if (why[0]) {
		printf("not ok - %s: %s: %s\n", prog, row, why);
		failures++;
	} else if (!skipped) {
		printf("ok - %s: %s\n", prog, row);
	}
	fflush(stdout);
	in_row = skipped = false;
	why[0] = 0;
}

void t_row(const char *fmt, ...)
{
	va_list ap;

	finish();
	va_start(ap, fmt);
	vsnprintf(row, sizeof(row), fmt, ap);
	va_end(ap);
	in_row = true;
}

void t_fail(const char *file, int line, const char *fmt, ...)
{
	char msg[640];
	va_list ap;

	if (why[0])
		return;				/* the first failure of a row tells most */
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	for (char *p = msg; *p; p++)
		if (*p == '\n')
			*p = '|';
	snprintf(why, sizeof(why), "%s (%s:%d)", msg, file, line);
	in_row = true;
}

void t_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("skip - %s: %s: ", prog, row);
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
	skipped = in_row = true;
}

bool t_fast(void)
{
	return getenv("SKEP_TEST_FAST") != NULL;
}

bool t_is_root(void)
{
	return geteuid() == 0;
}

long t_kernel_bpf_call(int cmd, void *attr, unsigned int size)
{
	long ret;
#ifdef __x86_64__
	__asm__ volatile("syscall" : "=a"(ret) : "a"(SYS_bpf), "D"((long)cmd), "S"(attr), "d"((long)size)
			 : "rcx", "r11", "memory");
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = SYS_bpf, x0 __asm__("x0") = cmd;
	register long x1 __asm__("x1") = (long)attr, x2 __asm__("x2") = size;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	ret = x0;
#endif
	if (ret < 0 && ret > -4096) {
		errno = -ret;
		return -1;
	}
	return ret;
}

bool t_kernel_bpf(void)
{
	union bpf_attr a = { 0 };
	static int known = -1;

	if (known >= 0)
		return known;
	a.map_type = BPF_MAP_TYPE_ARRAY;
	a.key_size = a.value_size = 4;
	a.max_entries = 1;
	long fd = t_is_root() ? t_kernel_bpf_call(BPF_MAP_CREATE, &a, sizeof(a)) : -1;
	if (fd >= 0)
		close(fd);
	known = fd >= 0;
	return known;
}

static int rm_one(const char *p, const struct stat *st, int type, struct FTW *f)
{
	(void)st, (void)type, (void)f;
	return remove(p);
}

static pid_t tmp_owner;
static void rm_tmp(void)
{
	if (getpid() == tmp_owner)
		nftw(tmp, rm_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *t_tmpdir(void)
{
	if (!tmp[0]) {
		strcpy(tmp, "/dev/shm/skep-t-XXXXXX");
		if (!mkdtemp(tmp)) {
			perror("mkdtemp");
			exit(3);
		}
		tmp_owner = getpid();
		atexit(rm_tmp);
	}
	return tmp;
}

int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : NULL;
	const char *slash = strrchr(argv[0], '/');

	prog = slash ? slash + 1 : argv[0];
	if (!getenv("SKEP_DIR")) {
		char dir[96];
		snprintf(dir, sizeof(dir), "%s/skep", t_tmpdir());
		setenv("SKEP_DIR", dir, 1);
	}
	for (struct t_case *c = cases; c; c = c->next) {
		if (only && !strstr(c->name, only))
			continue;
		t_row("%s", c->name);
		c->fn();
		finish();
	}
	return failures ? 1 : 0;
}
