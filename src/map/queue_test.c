/* SPDX-License-Identifier: Apache-2.0 */
/* queue_test.c - queue, stack and bloom filter next to the kernel's; queues of several processes, and of killed ones. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "maptest.h"

#define QUEUE	BPF_MAP_TYPE_QUEUE
#define STACK	BPF_MAP_TYPE_STACK
#define BLOOM	BPF_MAP_TYPE_BLOOM_FILTER

TEST(create_rules)
{
	static const struct { u32 type, key, value, max, flags, extra; int err; const char *name; } t[] = {
		{ QUEUE, 0, 4, 4, 0, 0, 0, "queue" },
		{ QUEUE, 4, 4, 4, 0, 0, -EINVAL, "queue with a key" },
		{ QUEUE, 0, 0, 4, 0, 0, -EINVAL, "queue without value" },
		{ QUEUE, 0, 4, 0, 0, 0, -EINVAL, "queue of nothing" },
		{ QUEUE, 0, 4194304, 1, 0, 0, 0, "queue: largest value" },
		{ QUEUE, 0, 4194305, 1, 0, 0, -E2BIG, "queue: value too large" },
		{ QUEUE, 0, 4, 4, BPF_F_NO_PREALLOC, 0, -EINVAL, "queue: no preallocation" },
		{ QUEUE, 0, 4, 4, BPF_F_RDONLY_PROG, 0, 0, "queue: read-only for programs" },
		{ STACK, 0, 4, 4, 0, 0, 0, "stack" },
		{ BLOOM, 0, 8, 10, 0, 0, 0, "bloom filter" },
		{ BLOOM, 4, 8, 10, 0, 0, -EINVAL, "bloom filter with a key" },
		{ BLOOM, 0, 0, 10, 0, 0, -EINVAL, "bloom filter without value" },
		{ BLOOM, 0, 8, 0, 0, 0, -EINVAL, "bloom filter of nothing" },
		{ BLOOM, 0, 8, 1, 0, 15, 0, "bloom filter: 15 hashes" },
		{ BLOOM, 0, 8, 1, 0, 16, -EINVAL, "bloom filter: 16 hashes" },
		{ BLOOM, 0, 8, 1, BPF_F_ZERO_SEED, 0, 0, "bloom filter: zero seed" },
		{ BLOOM, 0, 8, 1, BPF_F_NO_PREALLOC, 0, -EINVAL, "bloom filter: no preallocation" },
		{ BLOOM, 0, 5 << 20, 1, 0, 0, -E2BIG, "bloom filter: value too large" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct map_attr a = { .type = t[i].type, .key_size = t[i].key, .value_size = t[i].value,
				      .max_entries = t[i].max, .flags = t[i].flags, .extra = t[i].extra };
		union bpf_attr k = { .map_type = t[i].type, .key_size = t[i].key, .value_size = t[i].value,
				     .max_entries = t[i].max, .map_flags = t[i].flags, .map_extra = t[i].extra };
		struct map *m;
		int fd = mt_create(&a, &m);

		t_row("create: %s", t[i].name);
		EQ(fd < 0 ? fd : 0, t[i].err);
		drop_map(m, fd);
		if (t_kernel_bpf()) {
			fd = kbpf(BPF_MAP_CREATE, &k);
			EQ(t[i].err, fd < 0 ? fd : 0);
			if (fd >= 0)
				close(fd);
		}
	}
}

static const int cmds[] = { BPF_MAP_UPDATE_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_LOOKUP_ELEM, BPF_MAP_LOOKUP_AND_DELETE_ELEM,
			    BPF_MAP_DELETE_ELEM, BPF_MAP_GET_NEXT_KEY };

TEST(random_operations)
{
	static const struct { u32 type, value, max; const char *name; } t[] = {
		{ QUEUE, 8, 5, "queue" }, { QUEUE, 3, 1, "queue of one, value 3" }, { STACK, 8, 5, "stack" },
		{ STACK, 13, 30, "stack of 30" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct map *m;
		int fd = mk(t[i].type, 0, t[i].value, t[i].max, 0, &m), kfd;
		u64 seed = 77 + i, count;

		t_row("as the kernel's: %s", t[i].name);
		NEED(fd >= 0);
		if (!t_kernel_bpf()) {
			t_skip("no kernel bpf(2)");
			drop_map(m, fd);
			continue;
		}
		kfd = kmk(t[i].type, 0, t[i].value, t[i].max, 0);
		NEED(kfd >= 0);
		for (u32 n = 0; n < (t_fast() ? 3000u : 100000u); n++) {
			int cmd = cmds[mt_rand(&seed) % ARRAY_SIZE(cmds)], sr, kr;
			u64 flags = mt_rand(&seed) % 4 ? 0 : mt_rand(&seed) % 6, sv[2] = { mt_rand(&seed), 0 }, kv[2] = { sv[0], 0 };

			if (cmd == BPF_MAP_GET_NEXT_KEY || cmd == BPF_MAP_DELETE_ELEM)
				flags = 0;
			sr = selem(cmd, m, NULL, sv, flags);
			kr = kelem(cmd, kfd, NULL, kv, flags);
			if (sr != kr || (!sr && memcmp(sv, kv, t[i].value))) {
				t_fail(__FILE__, __LINE__, "step %u, cmd %d, flags %llu: skep %d, kernel %d", n, cmd,
				       (unsigned long long)flags, sr, kr);
				break;
			}
		}
		EQ(map_check(m, &count), 0);
		CHECK(count <= t[i].max);
		close(kfd);
		drop_map(m, fd);
	}
}

TEST(bloom_filter)
{
	struct map *m;
	u64 v, wrong = 0;
	int fd = mk(BLOOM, 0, 8, 1000, 0, &m), kfd = t_kernel_bpf() ? kmk(BLOOM, 0, 8, 1000, 0) : -1;

	NEED(fd >= 0);
	for (v = 0; v < 1000; v++)
		EQ(map_update_elem(m, NULL, &v, 0), 0);
	for (v = 0; v < 1000; v++)
		EQ(map_lookup_elem(m, NULL, &v, 0), 0);
	for (v = 1000; v < 11000; v++)
		wrong += !map_lookup_elem(m, NULL, &v, 0);
	CHECK(wrong < 600);		/* 5 hashes over 8192 bits: 1.9 % are expected, 6 % would be a bad hash */
	for (int cmd = 1; cmd < 5; cmd++) {
		static const u64 flags[] = { 0, 1, 2, 3 };

		for (int f = 0; kfd >= 0 && f < (cmd == BPF_MAP_UPDATE_ELEM ? 4 : 1); f++) {
			v = 1;
			if (cmd != BPF_MAP_LOOKUP_ELEM)
				EQ(selem(cmd, m, NULL, &v, flags[f]), kelem(cmd, kfd, NULL, &v, flags[f]));
		}
	}
	EQ(map_lookup_and_delete_elem(m, NULL, &v, 0), -ENOTSUPP);
	if (kfd >= 0) {
		EQ(kelem(BPF_MAP_LOOKUP_AND_DELETE_ELEM, kfd, NULL, &v, 0), -ENOTSUPP);
		close(kfd);
	}
	drop_map(m, fd);
}

/* Every value pushed is popped once, by somebody. */
TEST(producers_and_consumers)
{
	struct map *m;
	u64 *sum = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), want = 0, v, count;
	u32 n = t_fast() ? 20000 : 300000;
	int fd = mk(QUEUE, 0, 8, 16, 0, &m), st;

	NEED(fd >= 0);
	for (u32 w = 0; w < 2; w++) {
		if (!fork()) {
			for (v = 1; v <= n; v++)
				while (m->ops->push(m, &v, 0) == -E2BIG)
					usleep(10);
			_exit(0);
		}
		if (!fork()) {
			for (u32 got = 0; got < n; got++) {
				while (m->ops->pop(m, &v) == -ENOENT)
					usleep(10);
				sum[w] += v;
			}
			_exit(0);
		}
		want += (u64)n * (n + 1) / 2;
	}
	for (int i = 0; i < 4; i++) {
		wait(&st);
		EQ(st, 0);
	}
	EQ(sum[0] + sum[1], want);
	EQ(map_check(m, &count), 0);
	EQ(count, 0);
	munmap(sum, 4096);
	drop_map(m, fd);
}

TEST(killed_users)
{
	struct map *m;
	u64 v = 3, count, seed = 9;
	int fd = mk(STACK, 0, 8, 8, 0, &m), st;

	NEED(fd >= 0);
	for (int i = 0; i < (t_fast() ? 40 : 500); i++) {
		pid_t pid = fork();

		while (!pid) {
			u64 x = 3;

			m->ops->push(m, &x, BPF_EXIST);
			m->ops->push(m, &x, 0);
			m->ops->pop(m, &x);
		}
		usleep(mt_rand(&seed) % 1500);
		kill(pid, SIGKILL);
		waitpid(pid, &st, 0);
		EQ(map_check(m, &count), 0);
		for (; count; count--) {
			EQ(m->ops->pop(m, &v), 0);
			EQ(v, 3);
		}
		EQ(m->ops->pop(m, &v), -ENOENT);
	}
	drop_map(m, fd);
}
