/* SPDX-License-Identifier: Apache-2.0 */
/* rt_str.c - memory and strings, for the agent (rt.h). Compiled without builtins, so that no loop here becomes a call of
 * itself. The compiler calls the first four for structs, too. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/rt.h"

void *memcpy(void *restrict d, const void *restrict s, size_t n)
{
	void *ret = d;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
	return ret;
}

void *memmove(void *d, const void *s, size_t n)
{
	u8 *to = d;
	const u8 *from = s;

	if ((u64)to - (u64)from >= n)
		return memcpy(d, s, n);
	while (n--)
		to[n] = from[n];
	return d;
}

void *memset(void *d, int c, size_t n)
{
	void *ret = d;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return ret;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

/* clang makes it of memcmp() == 0. */
int bcmp(const void *a, const void *b, size_t n)
{
	return memcmp(a, b, n);
}

void *memchr(const void *s, int c, size_t n)
{
	for (const u8 *p = s; n; n--, p++)
		if (*p == (u8)c)
			return (void *)p;
	return NULL;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++)
		if (*a != *b || !*a)
			return (u8)*a - (u8)*b;
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

char *strcpy(char *restrict d, const char *restrict s)
{
	memcpy(d, s, strlen(s) + 1);
	return d;
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

char *strrchr(const char *s, int c)
{
	const char *last = NULL;

	for (;; s++) {
		if (*s == (char)c)
			last = s;
		if (!*s)
			return (char *)last;
	}
}

size_t strspn(const char *s, const char *set)
{
	size_t n = 0;

	while (s[n] && strchr(set, s[n]))
		n++;
	return n;
}

size_t strcspn(const char *s, const char *set)
{
	size_t n = 0;

	while (s[n] && !strchr(set, s[n]))
		n++;
	return n;
}

char *strstr(const char *s, const char *what)
{
	size_t n = strlen(what);

	for (; *s; s++)
		if (!strncmp(s, what, n))
			return (char *)s;
	return n ? NULL : (char *)s;
}

/* ---- numbers ---- */

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
}

/* The magnitude; *over where it does not fit 64 bits, *neg for a minus sign. */
static u64 number(const char *s, char **end, int base, bool *neg, bool *over)
{
	const char *start = s, *p = s;
	u64 v = 0;

	*over = false;
	while (*p == ' ' || (*p >= '\t' && *p <= '\r'))
		p++;
	*neg = *p == '-';
	p += *p == '-' || *p == '+';
	if ((base == 0 || base == 16) && p[0] == '0' && (p[1] | 0x20) == 'x' && digit(p[2]) < 16) {
		p += 2;
		base = 16;
	} else if (!base) {
		base = *p == '0' ? 8 : 10;
	}
	for (; digit(*p) < base; p++, start = NULL)
		if (__builtin_mul_overflow(v, (u64)base, &v) || __builtin_add_overflow(v, (u64)digit(*p), &v))
			*over = true;
	if (end)
		*end = (char *)(start ? start : p);
	return *over ? ULLONG_MAX : v;
}

unsigned long long strtoull(const char *s, char **end, int base)
{
	bool neg, over;
	u64 v = number(s, end, base, &neg, &over);

	return neg && !over ? -v : v;
}

unsigned long strtoul(const char *s, char **end, int base)
{
	return strtoull(s, end, base);
}

long long strtoll(const char *s, char **end, int base)
{
	bool neg, over;
	u64 v = number(s, end, base, &neg, &over);

	if (v > (u64)LLONG_MAX + neg)
		return neg ? LLONG_MIN : LLONG_MAX;
	return (long long)(neg ? -v : v);
}

long strtol(const char *s, char **end, int base)
{
	return strtoll(s, end, base);
}

/* ---- sorting: heap sort, no memory, no worst case ---- */

static void swap(u8 *a, u8 *b, size_t size)
{
	for (; size; size--, a++, b++) {
		u8 t = *a;

		*a = *b;
		*b = t;
	}
}

static void sift(u8 *v, size_t at, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	for (size_t kid; (kid = 2 * at + 1) < n; at = kid) {
		if (kid + 1 < n && cmp(v + kid * size, v + (kid + 1) * size) < 0)
			kid++;
		if (cmp(v + at * size, v + kid * size) >= 0)
			return;
		swap(v + at * size, v + kid * size, size);
	}
}

void qsort(void *base, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	u8 *v = base;

	for (size_t i = n / 2; i-- > 0;)
		sift(v, i, n, size, cmp);
	for (size_t end = n; end-- > 1;) {
		swap(v, v + end * size, size);
		sift(v, 0, end, size, cmp);
	}
}

void *bsearch(const void *key, const void *base, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	const u8 *v = base;

	for (size_t lo = 0, hi = n; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;
		int c = cmp(key, v + mid * size);

		if (!c)
			return (void *)(v + mid * size);
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}
