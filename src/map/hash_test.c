/* SPDX-License-Identifier: Apache-2.0 */
/* hash_test.c - hash maps under several processes and threads, and under SIGKILL: exact counts, exact E2BIG, and after
 * each death every element exactly once where it belongs. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "map/hash.h"
#include "maptest.h"

#define HASH	BPF_MAP_TYPE_HASH
#define PHASH	BPF_MAP_TYPE_PERCPU_HASH
#define LRU	BPF_MAP_TYPE_LRU_HASH
#define PLRU	BPF_MAP_TYPE_LRU_PERCPU_HASH

/* ---- hammer ---- */

struct worker {
	struct map *m;
	u32 who, steps, bad;
	s64 *live;			/* shared: elements this worker leaves behind */
};

/* Keys of its own, so it knows what each operation must answer; E2BIG is the others' doing. */
static void *own_keys(void *arg)
{
	struct worker *w = arg;
	bool have[32] = { false };
	u64 seed = 1234567 + w->who * 7919, v, got[DOMAIN_MAX_CPUS];
	s64 live = 0;

	for (u32 i = 0; i < w->steps; i++) {
		u32 n = mt_rand(&seed) % 32, key = n * 64 + w->who;
		long r;

		v = (u64)key << 32 | key;
		switch (mt_rand(&seed) % 4) {
		case 0:
		case 1:
			r = w->m->ops->update(w->m, &key, &v, 0, 0);
			w->bad += r != 0 && (r != -E2BIG || have[n]);
			live += !r && !have[n];
			have[n] |= !r;
			break;
		case 2:
			r = map_delete_elem(w->m, &key);
			w->bad += r != (have[n] ? 0 : -ENOENT);
			live -= !r;
			have[n] = false;
			break;
		case 3:
			r = map_lookup_elem(w->m, &key, got, 0);
			w->bad += r != (have[n] ? 0 : -ENOENT) || (!r && got[0] != v);
			break;
		}
	}
	*w->live = live;
	return NULL;
}

static int run_process(struct map *m, u32 who, u32 steps, s64 *live, void *(*fn)(void *))
{
	struct worker w[2] = { { m, who, steps, 0, live + who }, { m, who + 1, steps, 0, live + who + 1 } };
	pthread_t t;

	if (pthread_create(&t, NULL, fn, &w[1]))
		return 2;
	fn(&w[0]);
	pthread_join(t, NULL);
	return w[0].bad || w[1].bad;
}

static s64 hammer(struct map *m, u32 steps, void *(*fn)(void *))
{
	s64 *live = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), sum = 0;
	int st;

	for (int i = 0; i < 4; i++)
		if (!fork())
			_exit(run_process(m, i * 2, steps, live, fn));
	for (int i = 0; i < 4; i++) {
		wait(&st);
		EQ(st, 0);
	}
	for (int i = 0; i < 8; i++)
		sum += live[i];
	munmap(live, 4096);
	return sum;
}

TEST(hammer_own_keys)
{
	static const struct { u32 type, max; const char *name; } t[] = {
		{ HASH, 1000, "room for all" }, { HASH, 60, "always full" }, { HASH, 1, "one element" },
		{ PHASH, 1000, "per-CPU, room for all" }, { PHASH, 60, "per-CPU, always full" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct map *m;
		int fd = mk(t[i].type, 4, 8, t[i].max, 0, &m);
		u64 count;
		s64 live;

		t_row("4 processes of 2 threads, own keys: %s", t[i].name);
		NEED(fd >= 0);
		live = hammer(m, t_fast() ? 10000 : 300000, own_keys);
		EQ(map_check(m, &count), 0);
		EQ(count, live);
		drop_map(m, fd);
	}
}

/* Everybody counts the same keys, created by whoever comes first. */
static void *count_shared(void *arg)
{
	struct worker *w = arg;
	u64 seed = 99 + w->who, zero = 0;

	for (u32 i = 0; i < w->steps; i++) {
		u32 key = mt_rand(&seed) % 500;
		u64 *v = w->m->lookup(w->m, &key, 0);

		if (!v) {
			long r = w->m->ops->update(w->m, &key, &zero, BPF_NOEXIST, 0);

			w->bad += r != 0 && r != -EEXIST;
			v = w->m->lookup(w->m, &key, 0);
		}
		if (v)
			__atomic_add_fetch(v, 1, __ATOMIC_RELAXED);
		w->bad += !v;
	}
	*w->live = w->steps;
	return NULL;
}

TEST(hammer_shared_counters)
{
	struct map *m;
	int fd = mk(HASH, 4, 8, 500, 0, &m);
	u64 count, sum = 0;
	s64 want;

	NEED(fd >= 0);
	want = hammer(m, t_fast() ? 20000 : 500000, count_shared);
	for (u32 k = 0; k < 500; k++) {
		u64 *v = m->lookup(m, &k, 0);

		sum += v ? *v : 0;
	}
	EQ(sum, want);
	EQ(map_check(m, &count), 0);
	EQ(count, 500);
	drop_map(m, fd);
}

/* Values are written whole: a reader never sees half of one, as old or new elements are linked, not overwritten. An element
 * that leaves its chain while it is being read may be written as another key's; the bucket's count tells. */
static void *swap_values(void *arg)
{
	struct worker *w = arg;
	u64 seed = w->who, v[8], got[8];

	for (u32 i = 0; i < w->steps; i++) {
		u32 key = mt_rand(&seed) % 4;

		if (w->who & 1) {
			for (int k = 0; k < 8; k++)
				v[k] = (u64)key << 48 | i;
			w->bad += w->m->ops->update(w->m, &key, v, 0, 0) != 0;
		} else if (!map_lookup_elem(w->m, &key, got, 0)) {
			for (int k = 0; k < 8; k++)
				w->bad += got[k] >> 48 != key;
		}
	}
	return NULL;
}

TEST(readers_get_values_of_their_key)
{
	struct map *m;
	u64 count;
	int fd = mk(HASH, 4, 64, 4, 0, &m);

	NEED(fd >= 0);
	hammer(m, t_fast() ? 10000 : 200000, swap_values);
	EQ(map_check(m, &count), 0);
	EQ(count, 4);
	drop_map(m, fd);
}

/* ---- exactly full ---- */

TEST(full_is_exactly_max_entries)
{
	static const u32 max[] = { 1, 2, 7, 8, 9, 63, 64, 65, 1000 };

	for (size_t i = 0; i < ARRAY_SIZE(max); i++) {
		struct map *m;
		int fd = mk(HASH, 4, 4, max[i], 0, &m);
		u64 count;

		t_row("E2BIG after exactly %u", max[i]);
		NEED(fd >= 0);
		for (int round = 0; round < 3; round++) {
			for (u32 k = 0; k < max[i]; k++)
				EQ(map_update_elem(m, &k, &k, 0), 0);
			EQ(map_update_elem(m, &(u32){ 123456 }, &fd, 0), -E2BIG);
			EQ(map_update_elem(m, &(u32){ 0 }, &fd, 0), 0);
			EQ(map_check(m, &count), 0);
			EQ(count, max[i]);
			for (u32 k = 0; k < max[i]; k++)
				EQ(map_delete_elem(m, &k), 0);
		}
		drop_map(m, fd);
	}
}

/* ---- LRU ---- */

TEST(lru_evicts_what_nobody_used)
{
	static const u32 types[] = { LRU, PLRU };

	for (int t = 0; t < 2; t++) {
		struct map *m;
		u64 v[DOMAIN_MAX_CPUS] = { 1 }, count;
		int fd = mk(types[t], 4, 8, 100, 0, &m);

		t_row("never full, and what is used stays: %s", t ? "percpu" : "plain");
		NEED(fd >= 0);
		for (u32 k = 0; k < 100; k++)
			EQ(map_update_elem(m, &k, v, 0), 0);
		for (u32 k = 100; k < 2000; k++) {
			for (u32 hot = 0; hot < 10; hot++)
				CHECK(m->lookup(m, &hot, 0));
			EQ(m->ops->update(m, &k, v, BPF_NOEXIST, 0), 0);
			EQ(map_lookup_elem(m, &k, v, 0), 0);
		}
		EQ(map_check(m, &count), 0);
		EQ(count, 100);
		drop_map(m, fd);
	}
}

static void *lru_ops(void *arg)
{
	struct worker *w = arg;
	u64 seed = 5 + w->who * 31, v;

	for (u32 i = 0; i < w->steps; i++) {
		u32 key = mt_rand(&seed) % 200;
		u64 *p;

		switch (mt_rand(&seed) % 4) {
		case 0:
		case 1:
			v = key;
			w->bad += w->m->ops->update(w->m, &key, &v, 0, 0) != 0;
			break;
		case 2:
			p = w->m->lookup(w->m, &key, 0);
			w->bad += p && READ_ONCE(*p) >= 200;
			break;
		case 3:
			w->m->ops->delete(w->m, &key);
			break;
		}
	}
	return NULL;
}

TEST(hammer_lru)
{
	static const u32 max[] = { 1, 16, 150, 1000 };

	for (size_t i = 0; i < ARRAY_SIZE(max); i++) {
		struct map *m;
		u64 count;
		int fd = mk(LRU, 4, 8, max[i], 0, &m);

		t_row("4 processes of 2 threads, lru of %u: updates always succeed", max[i]);
		NEED(fd >= 0);
		hammer(m, t_fast() ? 10000 : 200000, lru_ops);
		EQ(map_check(m, &count), 0);
		CHECK(count <= max[i]);
		drop_map(m, fd);
	}
}

/* ---- SIGKILL ---- */

/* M adds up, and takes exactly as many more as it should. */
static void check_after_death(struct map *m)
{
	static u64 v[DOMAIN_MAX_CPUS];
	u64 count, after;
	u32 k, n = 0;

	if (m->attr.type == LRU) {
		for (k = 1000000; k < 1000010; k++)
			EQ(map_update_elem(m, &k, v, 0), 0);
		EQ(map_check(m, &count), 0);
		EQ(count, m->attr.max_entries);
		for (k = 1000000; k < 1000010; k++)
			map_delete_elem(m, &k);
		return;
	}
	for (k = 1000000; !map_update_elem(m, &k, v, 0); k++)
		n++;			/* no check before: this must find what the dead held */
	EQ(map_check(m, &count), 0);
	EQ(count, m->attr.max_entries);
	while (k-- > 1000000)
		EQ(map_delete_elem(m, &k), 0);
	EQ(map_check(m, &after), 0);
	EQ(after + n, count);
}

static void *random_ops(void *arg)
{
	struct worker *w = arg;
	u64 seed = w->who * 31 + getpid(), v = 5;

	for (;;) {
		u32 key = mt_rand(&seed) % 24;

		if (mt_rand(&seed) % 3)
			w->m->ops->update(w->m, &key, &v, 0, 0);
		else
			w->m->ops->delete(w->m, &key);
	}
	return NULL;
}

TEST(killed_at_random)
{
	static const u32 types[] = { HASH, PHASH };

	for (int t = 0; t < 2; t++) {
		struct map *m;
		u64 seed = 7;
		s64 live[4];
		int fd = mk(types[t], 4, 8, 16, 0, &m), st;

		t_row("a killed process leaves no trace: %s", t ? "percpu hash" : "hash");
		NEED(fd >= 0);
		for (int i = 0; i < (t_fast() ? 60 : 1000); i++) {
			pid_t pid = fork();

			if (!pid)
				_exit(run_process(m, i & 3, 0, live, random_ops));
			usleep(mt_rand(&seed) % 2000);
			kill(pid, SIGKILL);
			waitpid(pid, &st, 0);
			check_after_death(m);
		}
		drop_map(m, fd);
	}
}

enum what { INSERT, INSERT_FREED, REPLACE, DELETE, TAKE };

static void one_op(struct map *m, enum what what)
{
	static u64 v[DOMAIN_MAX_CPUS] = { 22 };	/* static: each store of a fill would be a step */
	u32 old = 3, new = 9;

	switch (what) {
	case INSERT:
	case INSERT_FREED:
		m->ops->update(m, &new, v, 0, 0);
		break;
	case REPLACE:
		m->ops->update(m, &old, v, 0, 0);
		break;
	case DELETE:
		m->ops->delete(m, &old);
		break;
	case TAKE:
		map_lookup_and_delete_elem(m, &old, v, 0);
		break;
	}
}

/* A child does the operation N instructions far, then dies. Returns false when it was done before. */
static bool die_after(struct map *m, enum what what, u32 n)
{
	static u32 *done;
	pid_t pid;
	int st;

	if (!done)
		done = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	WRITE_ONCE(*done, 0);
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		domain_self(m->dom);		/* takes system calls, and is base's to test */
		raise(SIGTRAP);
		one_op(m, what);
		WRITE_ONCE(*done, 1);
		for (;;)
			pause();
	}
	waitpid(pid, &st, 0);
	for (u32 i = 0; i < n && WIFSTOPPED(st) && !READ_ONCE(*done); i++) {
		ptrace(PTRACE_SINGLESTEP, pid, 0, 0);
		waitpid(pid, &st, 0);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &st, 0);
	return !READ_ONCE(*done);
}

/* Before or after the operation, never between; and then check_after_death(). */
static void check_outcome(struct map *m, enum what what)
{
	u64 v[DOMAIN_MAX_CPUS];
	u32 old = 3, new = 9;
	int r;

	r = map_lookup_elem(m, &new, v, 0);
	CHECK(r == -ENOENT || (what <= INSERT_FREED && !r && v[0] == 22));
	r = map_lookup_elem(m, &old, v, 0);
	CHECK(r == 0 || what >= DELETE || (m->attr.type == LRU && what == INSERT));
	CHECK(r || v[0] == 11 || (what == REPLACE && v[0] == 22));
}

TEST(killed_at_each_instruction)
{
	static const char *const names[] = { "insert", "insert of a freed element", "replace", "delete", "take" };
	static const u32 types[] = { HASH, PHASH, LRU };

	for (int i = 0; i < 15; i++) {
		enum what what = i % 5;
		struct map *m;
		u32 old = 3, n = 0, stride = t_fast() ? 23 : 1;
		u64 v[DOMAIN_MAX_CPUS] = { 11 };
		int fd = mk(types[i / 5], 4, 8, 4, 0, &m);

		t_row("single-stepped, then killed: %s of %s", names[what],
		      spec_map(types[i / 5])->name);
		NEED(fd >= 0);
		if (MT_STEPS_TOO_SLOW) {
			t_skip("single steps through ThreadSanitizer take minutes");
			drop_map(m, fd);
			continue;
		}
		for (n = t_fast() ? (u32)i : 0;; n += stride) {
			for (u32 k = 0; k < 12; k++)
				if (k != 3)
					map_delete_elem(m, &k);
			if (what == INSERT_FREED) {		/* the free lists hold something, not only fresh ones */
				EQ(map_update_elem(m, &(u32){ 4 }, v, 0), 0);
				EQ(map_delete_elem(m, &(u32){ 4 }), 0);
			}
			if (types[i / 5] == LRU && what == INSERT)	/* full: it must evict */
				for (u32 k = 0; k < 3; k++)
					EQ(map_update_elem(m, &k, v, 0), 0);
			EQ(map_update_elem(m, &old, v, 0), 0);
			if (!die_after(m, what, n))
				break;
			check_outcome(m, what);
			check_after_death(m);
		}
		CHECK(n > 100);		/* it did step through something */
		drop_map(m, fd);
	}
}

/* A stopped process holds a bucket's lock: others get an error in bounded time, reads go on, and go on all the better once
 * it continues. */
TEST(stopped_owner)
{
	struct map *m;
	u32 k = 1;
	u64 v = 1;
	int fd = mk(HASH, 4, 8, 4, 0, &m), st;
	pid_t pid;

	NEED(fd >= 0);
	EQ(map_update_elem(m, &k, &v, 0), 0);
	pid = fork();
	if (!pid) {
		for (u32 b = 0; b <= hash_of(m)->mask; b++)
			hash_lock(m, b);
		raise(SIGSTOP);
		for (u32 b = 0; b <= hash_of(m)->mask; b++)
			hash_unlock(m, b);
		_exit(0);
	}
	waitpid(pid, &st, WUNTRACED);
	EQ(map_update_elem(m, &k, &v, 0), -ETIMEDOUT);
	EQ(map_lookup_elem(m, &k, &v, 0), 0);
	kill(pid, SIGCONT);
	waitpid(pid, &st, 0);
	EQ(map_update_elem(m, &k, &v, 0), 0);
	drop_map(m, fd);
}

/* A signal handler interrupted this thread inside a bucket: its updates there are refused, elsewhere they work. */
TEST(nested_in_the_same_bucket)
{
	struct map *m;
	u32 in = 0, out = 0;
	u64 v = 1, count;
	int fd = mk(HASH, 4, 8, 64, 0, &m);

	NEED(fd >= 0);
	for (u32 b = 0; b <= hash_of(m)->mask; b++) {
		EQ(hash_lock(m, b), 0);
		for (u32 k = 0; k < 64; k++) {
			int r = map_update_elem(m, &k, &v, 0);

			in += r == -EDEADLK;
			out += !r;
		}
		hash_unlock(m, b);
	}
	EQ(in, 64);			/* each key is in one bucket */
	EQ(out, 63 * 64);
	EQ(map_check(m, &count), 0);
	EQ(count, 64);
	drop_map(m, fd);
}

/* ---- garbage ---- */

/* Anything may stand in shared memory: every operation ends, inside the map. */
TEST(garbage)
{
	u64 seed = 3;

	for (int i = 0; i < (t_fast() ? 40 : 1000); i++) {
		struct map *m;
		int fd = mk(i & 1 ? PHASH : HASH, 4, 8, 32, 0, &m);
		u64 v[DOMAIN_MAX_CPUS], count;
		u8 *p;

		NEED(fd >= 0);
		for (u32 k = 0; k < 32; k++)
			map_update_elem(m, &k, v, 0);
		p = m->priv_shm + m->geo[GEO_OFF_MAGS];
		for (int n = 0; n < 200; n++) {
			u64 at = mt_rand(&seed) % (m->obj->private_size - m->geo[GEO_OFF_MAGS]) & ~3ull;
			u32 w = mt_rand(&seed) % 4 ? mt_rand(&seed) % 64 : mt_rand(&seed);

			/* no owner words: a live stranger's would cost 250 ms each, and is the truth about a lock */
			if (p + at < (u8 *)hash_of(m)->buckets ? at % 64 < 8 :
			    p + at < hash_of(m)->elems ? (p + at - (u8 *)hash_of(m)->buckets) % 16 < 8 : false)
				continue;
			memcpy(p + at, &w, 4);
		}
		for (u32 k = 0; k < 64; k++) {
			map_lookup_elem(m, &k, v, 0);
			map_update_elem(m, &k, v, 0);
			map_next_key(m, &k, &(u32){ 0 });
			map_delete_elem(m, &k);
		}
		map_check(m, &count);
		drop_map(m, fd);
	}
}
