/* SPDX-License-Identifier: Apache-2.0 */
/* t.h - the test harness. A test program is a set of TEST() bodies; each prints one line:
 *	ok - FILE: NAME | not ok - FILE: NAME: WHY | skip - FILE: NAME: REASON
 * test/run.sh counts them. Rows of a table are tests of their own: t_row() names the row in what follows. */
#ifndef SKEP_T_H
#define SKEP_T_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct t_case {
	const char *name;
	void (*fn)(void);
	struct t_case *next;
};
void t_register(struct t_case *c);

#define TEST(id)									\
	static void t_fn_##id(void);							\
	__attribute__((constructor)) static void t_reg_##id(void)			\
	{										\
		static struct t_case c = { #id, t_fn_##id };				\
		t_register(&c);								\
	}										\
	static void t_fn_##id(void)

/* Ends the current row or test with its result so far, and starts a new row of that name. */
void t_row(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void t_fail(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Ends the current row (or test) as skipped. The reason is printed and counted. */
void t_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool t_fast(void);		/* make check: leave the long forms out (not the rows) */
bool t_is_root(void);
bool t_kernel_bpf(void);	/* root, and this kernel has bpf(2): oracle rows must not be skipped */
/* The host kernel's bpf(2), never skep's, although test programs wrap syscall(). -1 and errno. */
long t_kernel_bpf_call(int cmd, void *attr, unsigned int size);
/* The host kernel's BTF; its usual name is skep's own in test programs, which wrap open(). */
#define T_KERNEL_BTF	"/proc/self/root/sys/kernel/btf/vmlinux"
const char *t_tmpdir(void);	/* fresh private directory on tmpfs, removed at exit; SKEP_DIR of the program */

#define CHECK(c)	do { if (!(c)) t_fail(__FILE__, __LINE__, "%s", #c); } while (0)
#define EQ(a, b)	do { long long a_ = (long long)(a), b_ = (long long)(b);	\
	if (a_ != b_) t_fail(__FILE__, __LINE__, "%s is %lld (%#llx), expected %s = %lld (%#llx)",	\
		#a, a_, a_, #b, b_, b_); } while (0)
#define STR_EQ(a, b)	do { const char *a_ = (a), *b_ = (b); if (__builtin_strcmp(a_, b_))	\
	t_fail(__FILE__, __LINE__, "%s is \"%s\", expected \"%s\"", #a, a_, b_); } while (0)
#define HAS(s, sub)	do { const char *s_ = (s), *u_ = (sub); if (!__builtin_strstr(s_, u_))	\
	t_fail(__FILE__, __LINE__, "\"%s\" does not contain \"%s\"", s_, u_); } while (0)
/* For what the rest of the test needs: leaves the test function. */
#define NEED(c)		do { if (!(c)) { t_fail(__FILE__, __LINE__, "%s", #c); return; } } while (0)

#endif
