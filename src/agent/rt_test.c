/* SPDX-License-Identifier: Apache-2.0 */
/* rt_test.c - the agent's runtime beside libc: same arguments, same results. It runs on an agent stack, where its tls() is;
 * its symbols are called rtt_... here (mk/agent.mk). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/rt.h"
#include "t.h"

/* The runtime's own struct tls is the one in tls.h; the tests are compiled without SKEP_AGENT, so they look at it directly. */
extern void *rtt_rt_stack_new(struct tls *t);
extern long rtt_rt_on_stack(void *top, long (*fn)(void *), void *arg);
extern void *rtt_memcpy(void *, const void *, size_t), *rtt_memmove(void *, const void *, size_t);
extern void *rtt_memset(void *, int, size_t), *rtt_memchr(const void *, int, size_t);
extern int rtt_memcmp(const void *, const void *, size_t), rtt_strncmp(const char *, const char *, size_t);
extern size_t rtt_strlen(const char *), rtt_strnlen(const char *, size_t), rtt_strspn(const char *, const char *);
extern char *rtt_strchr(const char *, int), *rtt_strrchr(const char *, int), *rtt_strstr(const char *, const char *);
extern unsigned long long rtt_strtoull(const char *, char **, int);
extern long long rtt_strtoll(const char *, char **, int);
extern void rtt_qsort(void *, size_t, size_t, int (*)(const void *, const void *));
extern int rtt_vsnprintf(char *, size_t, const char *, va_list);
extern void *rtt_malloc(size_t), *rtt_calloc(size_t, size_t), *rtt_realloc(void *, size_t);
extern void rtt_free(void *);
extern int rtt_open(const char *, int, ...), rtt_close(int), rtt_fstat(int, struct stat *), rtt_stat(const char *, struct stat *);
extern int rtt_mkdirat(int, const char *, mode_t), rtt_unlinkat(int, const char *, int);
extern ssize_t rtt_readlink(const char *, char *, size_t);
extern DIR *rtt_fdopendir(int);
extern struct dirent *rtt_readdir(DIR *);
extern int rtt_closedir(DIR *);
extern int rtt_clock_gettime(clockid_t, struct timespec *), rtt_sched_getcpu(void);
extern long rtt_sysconf(int);
extern void rtt_rt_time_init(const u64 *auxv);
extern s64 rtt_rt_rseq_offset(const u64 *auxv);
extern void rtt_rt_lock(void), rtt_rt_unlock(void), rtt_rt_lock_abandoned(struct tls *);
extern bool rtt_rt_fork_prepare(u32 ms);
extern void rtt_rt_fork_parent(bool had), rtt_rt_fork_child(void);

/* ---- getting onto a stack ---- */

static struct tls the_tls = { .trusted = 1 };

static long call(void *arg)
{
	((void (*)(void))arg)();
	return 0;
}

static void on_stack(void (*fn)(void))
{
	static void *top;

	if (!top)
		top = rtt_rt_stack_new(&the_tls);
	NEED(top);
	rtt_rt_on_stack(top, call, (void *)fn);
}

#define STACK_TEST(id)		\
	static void body_##id(void);	\
	TEST(id)			\
	{				\
		on_stack(body_##id);	\
	}				\
	static void body_##id(void)

static u64 rng = 88172645463325252ull;

static u32 rnd(u32 n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (u32)(rng >> 33) % n;
}

/* ---- memory and strings ---- */

TEST(memory_functions_do_as_libc_does)
{
	u8 a[300], b[300];

	for (int i = 0; i < 20000; i++) {
		u32 from = rnd(100), to = rnd(100), n = rnd(200);

		for (u32 j = 0; j < sizeof(a); j++)
			a[j] = b[j] = (u8)rnd(4);
		memmove(a + to, a + from, n);
		CHECK(rtt_memmove(b + to, b + from, n) == b + to);
		EQ(memcmp(a, b, sizeof(a)), 0);
		memset(a + to, i, n);
		rtt_memset(b + to, i, n);
		EQ(memcmp(a, b, sizeof(a)), 0);
		if (to + n <= from || from + n <= to) {
			memcpy(a + to, a + from, n);
			rtt_memcpy(b + to, b + from, n);
			EQ(memcmp(a, b, sizeof(a)), 0);
		}
		EQ(rtt_memcmp(a + to, a + from, n) < 0, memcmp(a + to, a + from, n) < 0);
		EQ(!rtt_memcmp(a + to, a + from, n), !memcmp(a + to, a + from, n));
		CHECK(rtt_memchr(a, 3, n) == memchr(a, 3, n));
	}
}

TEST(string_functions_do_as_libc_does)
{
	char s[40], t[40];

	for (int i = 0; i < 20000; i++) {
		u32 n = rnd(39), m = rnd(5);

		for (u32 j = 0; j < sizeof(s); j++) {
			s[j] = (char)('a' + rnd(3));
			t[j] = (char)('a' + rnd(3));
		}
		s[n] = t[m] = 0;
		EQ(rtt_strlen(s), strlen(s));
		EQ(rtt_strnlen(s, m), strnlen(s, m));
		CHECK(rtt_strchr(s, 'b') == strchr(s, 'b'));
		CHECK(rtt_strchr(s, 0) == strchr(s, 0));
		CHECK(rtt_strrchr(s, 'c') == strrchr(s, 'c'));
		CHECK(rtt_strstr(s, t) == strstr(s, t));
		EQ(rtt_strspn(s, t), strspn(s, t));
		EQ(rtt_strncmp(s, t, m) < 0, strncmp(s, t, m) < 0);
		EQ(!rtt_strncmp(s, t, m), !strncmp(s, t, m));
	}
}

static const char *const numbers[] = {
	"0", "1", " 42x", "-7", "+9", "0x1f", "0xg", "0x", "077", "08", "18446744073709551615", "18446744073709551616",
	"-18446744073709551615", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
	"", "-", "abc", "\t 12", "99999999999999999999999", "7fffffffffffffff", "z",
};

TEST(numbers_are_read_as_libc_reads_them)
{
	static const int bases[] = { 0, 8, 10, 16, 36 };

	for (u32 i = 0; i < ARRAY_SIZE(numbers); i++)
		for (u32 j = 0; j < ARRAY_SIZE(bases); j++) {
			char *e1, *e2;

			t_row("\"%s\" in base %d", numbers[i], bases[j]);
			EQ(rtt_strtoull(numbers[i], &e1, bases[j]), strtoull(numbers[i], &e2, bases[j]));
			CHECK(e1 == e2);
			EQ(rtt_strtoll(numbers[i], &e1, bases[j]), strtoll(numbers[i], &e2, bases[j]));
			CHECK(e1 == e2);
		}
}

static int by_value(const void *a, const void *b)
{
	return *(const int *)a < *(const int *)b ? -1 : *(const int *)a > *(const int *)b;
}

TEST(qsort_sorts)
{
	int a[200], b[200];

	for (u32 n = 0; n < ARRAY_SIZE(a); n++) {
		for (u32 i = 0; i < n; i++)
			a[i] = b[i] = (int)rnd(50) - 25;
		rtt_qsort(a, n, sizeof(*a), by_value);
		qsort(b, n, sizeof(*b), by_value);
		EQ(memcmp(a, b, n * sizeof(*a)), 0);
	}
}

/* ---- snprintf ---- */

static void format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void format(const char *fmt, ...)
{
	static const size_t sizes[] = { 0, 1, 5, 80 };
	va_list ap, again;

	va_start(ap, fmt);
	t_row("format %s", fmt);
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		char want[100], got[100];
		int n, m;

		memset(want, '#', sizeof(want));
		memset(got, '#', sizeof(got));
		va_copy(again, ap);
		n = vsnprintf(want, sizes[i], fmt, again);
		va_end(again);
		va_copy(again, ap);
		m = rtt_vsnprintf(got, sizes[i], fmt, again);
		va_end(again);
		EQ(m, n);
		CHECK(!memcmp(got, want, sizeof(got)));
	}
	va_end(ap);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat"
TEST(formats_print_as_libc_prints_them)
{
	format("plain");
	format("%d %i %u", -5, 7, 4000000000u);
	format("%ld|%lld|%zu|%jd", -5l, 1ll << 62, (size_t)9, (intmax_t)-1);
	format("%hhd %hd %hhu %hx", 300, 70000, 300, 0x12345);
	format("%x %X %#x %#X %o %#o", 0xabcu, 0xabcu, 0xabcu, 0xabcu, 8u, 8u);
	format("%#x %#o %.0d|%.0x|%#.0o", 0u, 0u, 0, 0u, 0u);
	format("[%5d] [%-5d] [%05d] [%+d] [% d] [%+5d]", 42, 42, 42, 42, 42, 42);
	format("[%8.3d] [%-8.3d] [%08.3d] [%.5d]", -42, -42, -42, -42);
	format("[%#10x] [%#010x] [%-#10x] [%#.6x]", 0xbeefu, 0xbeefu, 0xbeefu, 0xbeefu);
	format("[%*d] [%-*d] [%*d] [%.*d]", 6, 1, 6, 2, -6, 3, 3, 4);
	format("%s|%10s|%-10s|%.2s|%10.2s|%.*s", "abc", "abc", "abc", "abc", "abc", 1, "abc");
	format("%c%c|%5c|%-5c|", 'x', 'y', 'z', 'w');
	format("%p %p", (void *)0x1234, (void *)-1l);
	format("100%% and %s", "more");
	format("/proc/self/fd/%d", 613);
	format(".%s.%llx", "name", 0x12345678abcdefull);
	format("%lld %llu", (long long)INT64_MIN, (unsigned long long)UINT64_MAX);
}
#pragma GCC diagnostic pop

/* ---- the heap ---- */

STACK_TEST(blocks_keep_their_bytes_and_do_not_overlap)
{
	static struct { u8 *p; u32 n; u8 c; } b[400];

	for (u32 round = 0; round < 20000; round++) {
		u32 i = rnd(ARRAY_SIZE(b));

		for (u32 j = 0; b[i].p && j < b[i].n; j++)
			NEED(b[i].p[j] == b[i].c);
		if (rnd(3) == 0 && b[i].p) {
			u32 n = rnd(2) ? rnd(300) : rnd(100000);
			u8 *p = rtt_realloc(b[i].p, n);

			NEED(p);
			for (u32 j = 0; j < MIN(n, b[i].n); j++)
				NEED(p[j] == b[i].c);
			b[i].p = p;
			b[i].n = n;
		} else {
			rtt_free(b[i].p);
			b[i].n = rnd(8) ? rnd(600) : rnd(200000);
			b[i].p = rnd(2) ? rtt_malloc(b[i].n) : rtt_calloc(1, b[i].n);
			NEED(b[i].p);
			EQ((u64)b[i].p & 15, 0);
		}
		b[i].c = (u8)round;
		memset(b[i].p, b[i].c, b[i].n);
	}
}

STACK_TEST(calloc_clears_used_blocks_and_refuses_overflow)
{
	for (u32 i = 0; i < 100; i++) {
		u8 *p = rtt_malloc(500);

		NEED(p);
		memset(p, 0xff, 500);
		rtt_free(p);
		p = rtt_calloc(5, 100);
		NEED(p);
		for (u32 j = 0; j < 500; j++)
			NEED(!p[j]);
		rtt_free(p);
	}
	CHECK(!rtt_calloc(SIZE_MAX / 2, 3));
	EQ(the_tls.err, ENOMEM);
	CHECK(!rtt_malloc(SIZE_MAX - 5));
	CHECK(!rtt_malloc(1ul << 50));
}

STACK_TEST(hooked_threads_get_no_memory_and_no_fds)
{
	struct stat st;

	the_tls.trusted = 0;
	CHECK(!rtt_malloc(10));
	EQ(the_tls.err, ENOMEM);
	EQ(rtt_open("/dev/null", O_RDONLY), -1);
	EQ(the_tls.err, EPERM);
	EQ(rtt_close(0), -1);
	EQ(rtt_stat("/", &st), -1);
	the_tls.trusted = 1;
}

/* ---- system calls ---- */

STACK_TEST(directories_are_read_to_the_end)
{
	char path[200], seen[300] = { 0 };
	int fd, n = 0;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/rtdir", t_tmpdir());
	EQ(rtt_mkdirat(AT_FDCWD, path, 0700), 0);
	EQ(rtt_mkdirat(AT_FDCWD, path, 0700), -1);
	EQ(the_tls.err, EEXIST);
	for (int i = 0; i < 300; i++) {		/* more than one buffer full */
		snprintf(path, sizeof(path), "%s/rtdir/some-longer-name-%d", t_tmpdir(), i);
		fd = rtt_open(path, O_CREAT | O_WRONLY | O_EXCL, 0640);
		CHECK(fd >= 0);
		EQ(rtt_close(fd), 0);
	}
	snprintf(path, sizeof(path), "%s/rtdir", t_tmpdir());
	fd = rtt_open(path, O_RDONLY | O_DIRECTORY);
	d = rtt_fdopendir(fd);
	NEED(d);
	while ((e = rtt_readdir(d)))
		if (e->d_name[0] == 's') {
			seen[atoi(strrchr(e->d_name, '-') + 1)]++;
			n++;
		}
	EQ(rtt_closedir(d), 0);
	EQ(n, 300);
	for (int i = 0; i < 300; i++)
		EQ(seen[i], 1);
}

STACK_TEST(stat_and_readlink_say_what_libc_says)
{
	struct stat a, b;
	char x[100], y[100];

	EQ(stat("/proc/self/exe", &a), 0);
	EQ(rtt_stat("/proc/self/exe", &b), 0);
	CHECK(a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_size == b.st_size && a.st_mode == b.st_mode);
	EQ(fstat(1, &a), 0);
	EQ(rtt_fstat(1, &b), 0);
	CHECK(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	EQ(rtt_readlink("/proc/self/exe", x, sizeof(x)), readlink("/proc/self/exe", y, sizeof(y)));
	EQ(rtt_open("/no/such", O_RDONLY), -1);
	EQ(the_tls.err, ENOENT);
	EQ(rtt_sysconf(_SC_NPROCESSORS_ONLN), sysconf(_SC_NPROCESSORS_ONLN));
}

static u64 auxv[128];

static void read_auxv(void)
{
	int fd = open("/proc/self/auxv", O_RDONLY);

	CHECK(fd >= 0 && read(fd, auxv, sizeof(auxv) - 16) > 0);
	close(fd);
}

STACK_TEST(clocks_come_from_the_vdso)
{
	static const clockid_t ids[] = { CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_MONOTONIC_COARSE, CLOCK_TAI };

	read_auxv();
	for (int vdso = 0; vdso < 2; vdso++) {
		if (vdso)
			rtt_rt_time_init(auxv);
		for (u32 i = 0; i < ARRAY_SIZE(ids); i++) {
			struct timespec a, b, c;

			clock_gettime(ids[i], &a);
			EQ(rtt_clock_gettime(ids[i], &b), 0);
			clock_gettime(ids[i], &c);
			CHECK(a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec <= b.tv_nsec));
			CHECK(b.tv_sec < c.tv_sec || (b.tv_sec == c.tv_sec && b.tv_nsec <= c.tv_nsec));
		}
		CHECK(rtt_sched_getcpu() >= 0 && rtt_sched_getcpu() < sysconf(_SC_NPROCESSORS_CONF));
		EQ(rtt_clock_gettime(12345, &(struct timespec){ 0 }), -1);
		EQ(the_tls.err, EINVAL);
	}
}

STACK_TEST(libc_s_rseq_is_found_through_ld_so)
{
	static u64 none[2];

	read_auxv();
	EQ(rtt_rt_rseq_offset(auxv), __rseq_offset);
	EQ(rtt_rt_rseq_offset(none), 0);
}

/* ---- the lock ---- */

static struct { u64 a, b; u32 rounds; } pair;

static long add(void *arg)
{
	for (u32 i = 0; i < pair.rounds; i++) {
		rtt_rt_lock();
		rtt_rt_lock();			/* recursive */
		pair.a++;
		rtt_rt_unlock();
		pair.b += 2;
		rtt_rt_unlock();
	}
	return 0;
}

static void *adder(void *arg)
{
	static struct tls t[4];

	rtt_rt_on_stack(rtt_rt_stack_new(&t[(long)arg]), add, NULL);
	return NULL;
}

TEST(the_lock_excludes_and_is_recursive)
{
	pthread_t th[4];

	pair.rounds = t_fast() ? 20000 : 200000;
	for (long i = 0; i < 4; i++)
		pthread_create(&th[i], NULL, adder, (void *)i);
	for (int i = 0; i < 4; i++)
		pthread_join(th[i], NULL);
	EQ(pair.a, 4ull * pair.rounds);
	EQ(pair.b, 8ull * pair.rounds);
}

static struct tls other_tls;

static long lock_only(void *arg)
{
	rtt_rt_lock();
	return 0;
}

STACK_TEST(a_fork_child_finds_the_lock_free)
{
	bool had;
	int st;

	had = rtt_rt_fork_prepare(1000);
	CHECK(had);
	if (!fork()) {
		rtt_rt_fork_child();
		rtt_rt_lock();
		rtt_rt_unlock();
		_exit(rtt_malloc(100) ? 7 : 1);
	}
	rtt_rt_fork_parent(had);
	wait(&st);
	EQ(WEXITSTATUS(st), 7);
	/* somebody else has it: prepare gives up, and the lock of a dead owner can be taken away */
	rtt_rt_on_stack(rtt_rt_stack_new(&other_tls), lock_only, NULL);
	CHECK(!rtt_rt_fork_prepare(20));
	rtt_rt_lock_abandoned(&the_tls);		/* not its owner: nothing */
	CHECK(!rtt_rt_fork_prepare(20));
	rtt_rt_lock_abandoned(&other_tls);
	CHECK(rtt_rt_fork_prepare(20));
	rtt_rt_fork_parent(true);
}
