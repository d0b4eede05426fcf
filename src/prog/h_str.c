/* SPDX-License-Identifier: Apache-2.0 */
/* h_str.c - helpers on memory that may not be there, and on strings. */
#include "base/fault.h"
#include "prog/helper.h"

/* Both address spaces are this process's here. Two things tell them apart all the same: what a read beyond them says
 * (an address that cannot be the kernel's is -ERANGE to readers of kernel memory), and what is left behind a string. */
enum space { USER, KERNEL };

static u64 bad_address(u64 addr, enum space where)
{
	return where == USER ? ERR(EFAULT) : (u64)(s64)probe_error(addr);
}

/* What cannot be read comes out as zeroes. */
static u64 probe(u64 dst, u64 size, u64 src, enum space where)
{
	if (!(u32)size)
		return 0;
	if (!fault_copy_from(PTR(dst), PTR(src), (u32)size))
		return 0;
	memset(PTR(dst), 0, (u32)size);
	return bad_address(src, where);
}

/* The kernel copies strings of user space in words of eight bytes and puts zeroes behind the NUL in the last one, where all of
 * that word can be read; its own strings byte by byte. What lies behind stays as it was: programs use such buffers as keys. */
static void end_word(char *d, u64 src, u32 len, u32 n)
{
	u32 end = ALIGN_UP(len + 1, 8u);
	char junk[8];

	if (end > n || fault_copy_from(junk, PTR(src + end - 8), 8))
		return;
	for (u32 i = len + 1; i < end; i++)
		d[i] = 0;
}

static u64 probe_str(u64 dst, u64 size, u64 src, enum space where)
{
	u32 n = (u32)size;
	char *d = PTR(dst);
	long len;

	if (!n)
		return 0;
	len = fault_copy_str(d, PTR(src), n);
	if (len == -E2BIG) {
		d[n - 1] = 0;
		return n;
	}
	if (len < 0) {
		memset(d, 0, n);
		return bad_address(src, where);
	}
	if (where == USER)
		end_word(d, src, (u32)len, n);
	return (u64)len + 1;
}

/* What they do with user space's addresses and with all others, before there were two of each. */
static enum space by_address(u64 src)
{
	return src < 0x7ffffffff000ull ? USER : KERNEL;
}

HELPER_FN(probe_read) { return probe(r1, r2, r3, by_address(r3)); }
HELPER_FN(probe_read_user) { return probe(r1, r2, r3, USER); }
HELPER_FN(probe_read_kernel) { return probe(r1, r2, r3, KERNEL); }
HELPER_FN(probe_read_str) { return probe_str(r1, r2, r3, by_address(r3)); }
HELPER_FN(probe_read_user_str) { return probe_str(r1, r2, r3, USER); }
HELPER_FN(probe_read_kernel_str) { return probe_str(r1, r2, r3, KERNEL); }

HELPER_FN(copy_from_user)
{
	return probe(r1, r2, r3, USER);
}

HELPER_FN(probe_write_user)
{
	return fault_copy_to(PTR(r1), PTR(r2), (u32)r3) ? ERR(EFAULT) : 0;
}

HELPER_FN(strncmp)
{
	const u8 *a = PTR(r1), *b = PTR(r3);

	for (u32 i = 0; i < (u32)r2; i++) {
		if (a[i] != b[i])
			return (u64)(s64)(a[i] < b[i] ? -1 : 1);
		if (!a[i])
			break;
	}
	return 0;
}

/* ---- strtol, strtoul ---- */

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
}

static bool space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == (char)0xa0;
}

/* Parses [space][-][0x|0]digits within LEN bytes; the number of bytes used, or -errno. */
static s64 parse(const char *s, u32 len, u64 flags, bool *neg, u64 *value)
{
	u32 base = flags & 0x1f, i = 0, first;

	if (!len || (base != 0 && base != 8 && base != 10 && base != 16) || flags & ~0x1full)
		return -EINVAL;
	while (i < len && space(s[i]))
		i++;
	*neg = i < len && s[i] == '-';
	i += *neg;
	if (i >= len)
		return -EINVAL;
	if ((!base || base == 16) && i + 2 < len && s[i] == '0' && (s[i + 1] | 0x20) == 'x' &&
	    digit(s[i + 2]) < 16) {
		base = 16;
		i += 2;
	} else if (!base) {
		base = s[i] == '0' ? 8 : 10;
	}
	*value = 0;
	for (first = i; i < len && digit(s[i]) < (int)base; i++)
		if (__builtin_mul_overflow(*value, base, value) ||
		    __builtin_add_overflow(*value, (u64)digit(s[i]), value))
			return -ERANGE;
	return i == first ? -EINVAL : (s64)i;
}

HELPER_FN(strtol)
{
	s64 n, *res = PTR(r4);
	bool neg;
	u64 v;

	*res = 0;
	n = parse(PTR(r1), (u32)r2, r3, &neg, &v);
	if (n < 0)
		return (u64)n;
	if (v > (u64)INT64_MAX + neg)
		return ERR(ERANGE);
	*res = neg ? (s64)(0 - v) : (s64)v;
	return (u64)n;
}

HELPER_FN(strtoul)
{
	u64 v, *res = PTR(r4);
	bool neg;
	s64 n;

	*res = 0;
	n = parse(PTR(r1), (u32)r2, r3, &neg, &v);
	if (n < 0)
		return (u64)n;
	if (neg)
		return ERR(EINVAL);
	*res = v;
	return (u64)n;
}
