/* SPDX-License-Identifier: Apache-2.0 */
/* ringbuf_test.c - ring buffers: a random script of outputs, reservations and consumption on a kernel ring and on a skep
 * ring, both read through the client's own mappings; room, wake-ups, and what the killed leave. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "maptest.h"

#define RB BPF_MAP_TYPE_RINGBUF

/* What a consumer maps: the consumer page, and the producer page with twice the data. */
struct view {
	u64 *cons, *prod;
	u8 *data;
	u64 size;
};

static bool view_open(struct view *v, int fd, u64 size)
{
	u8 *p;

	v->size = size;
	v->cons = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	p = mmap(NULL, 4096 + 2 * size, PROT_READ, MAP_SHARED, fd, 4096);
	if (v->cons == MAP_FAILED || p == MAP_FAILED)
		return false;
	v->prod = (u64 *)p;
	v->data = p + 4096;
	return true;
}

static void view_close(struct view *v)
{
	munmap(v->cons, 4096);
	munmap(v->prod, 4096 + 2 * v->size);
}

/* The record at POS of both is the same; *next is behind it. */
static bool same_record(const struct view *a, const struct view *b, u64 pos, u64 *next)
{
	const u8 *ra = a->data + (pos & (a->size - 1)), *rb = b->data + (pos & (b->size - 1));
	u32 ha, hb, len;

	memcpy(&ha, ra, 4), memcpy(&hb, rb, 4);
	len = ha & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
	*next = pos + ((len + 8 + 7) & ~7u);
	if (ha != hb || memcmp(ra + 4, rb + 4, 4))
		return false;
	return (ha & BPF_RINGBUF_DISCARD_BIT) || !memcmp(ra + 8, rb + 8, len);
}

/* ---- the kernel's side: one small program per operation ---- */

#define INSN(c, d, s, o, i)	((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })
#define MOVI(d, i)		INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define MOVR(d, s)		INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define CALL(f)			INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT_()			INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define LDMAP(d, fd)		INSN(BPF_LD | BPF_DW | BPF_IMM, d, BPF_PSEUDO_MAP_FD, 0, fd), INSN(0, 0, 0, 0, 0)
#define LDVAL(d, fd)		INSN(BPF_LD | BPF_DW | BPF_IMM, d, BPF_PSEUDO_MAP_VALUE, 0, fd), INSN(0, 0, 0, 0, 0)

enum op { OUTPUT, SUBMIT, DISCARD, QUERY, OPS };		/* SUBMIT, DISCARD: reserve, query, give back */

static int run_kernel(struct bpf_insn *in, u32 n, u32 *ret)
{
	static u8 pkt[64];
	union bpf_attr a = { .prog_type = BPF_PROG_TYPE_XDP, .insns = (u64)(uintptr_t)in, .insn_cnt = n,
			     .license = (u64)(uintptr_t)"GPL" };
	int fd = kbpf(BPF_PROG_LOAD, &a), err;

	if (fd < 0)
		return fd;
	memset(&a, 0, sizeof(a));
	a.test.prog_fd = fd;
	a.test.data_in = (u64)(uintptr_t)pkt;
	a.test.data_size_in = sizeof(pkt);
	err = kbpf(BPF_PROG_TEST_RUN, &a);
	*ret = a.test.retval;
	close(fd);
	return err;
}

static int kernel_op(enum op op, int ring, int payload, u32 size, u32 flags, u32 *ret)
{
	struct bpf_insn out[] = { LDMAP(1, ring), LDVAL(2, payload), MOVI(3, size), MOVI(4, flags),
				  CALL(BPF_FUNC_ringbuf_output), EXIT_() };
	struct bpf_insn res[] = { LDMAP(1, ring), MOVI(2, size), MOVI(3, 0), CALL(BPF_FUNC_ringbuf_reserve),
				  INSN(BPF_JMP | BPF_JNE | BPF_K, 0, 0, 1, 0), EXIT_(), MOVR(6, 0),
				  INSN(BPF_ST | BPF_MEM | BPF_DW, 6, 0, 0, 77), LDMAP(1, ring), MOVI(2, flags),
				  CALL(BPF_FUNC_ringbuf_query), MOVR(7, 0), MOVR(1, 6), MOVI(2, 0),
				  CALL(op == DISCARD ? BPF_FUNC_ringbuf_discard : BPF_FUNC_ringbuf_submit),
				  MOVR(0, 7), EXIT_() };
	struct bpf_insn qry[] = { LDMAP(1, ring), MOVI(2, flags), CALL(BPF_FUNC_ringbuf_query), EXIT_() };

	switch (op) {
	case OUTPUT:	return run_kernel(out, ARRAY_SIZE(out), ret);
	case QUERY:	return run_kernel(qry, ARRAY_SIZE(qry), ret);
	default:	return run_kernel(res, ARRAY_SIZE(res), ret);
	}
}

static u32 skep_op(enum op op, struct map *m, const u8 *payload, u32 size, u32 flags)
{
	u64 *rec, q;

	switch (op) {
	case OUTPUT:
		return map_ring_output(m, payload, size, flags);
	case QUERY:
		return map_ring_query(m, flags);
	default:
		rec = map_ring_reserve(m, size, 0);
		if (!rec)
			return 0;
		memset(rec, 0, size);
		*rec = 77;
		q = map_ring_query(m, flags);
		map_ring_submit(rec, 0, op == DISCARD);
		return q;
	}
}

/* Records of reserve carry what the kernel's memory held before: the script reserves 8 bytes, all written. */
static void script(struct map *m, int sfd, int kring, int kpay, u32 ring_size, u32 steps)
{
	static u8 payload[8192];
	struct view s, k;
	u64 seed = 0x9e3779b97f4a7c15ull + ring_size, next;
	u32 zero = 0;

	NEED(view_open(&s, sfd, ring_size) && view_open(&k, kring, ring_size));
	for (u32 i = 0; i < sizeof(payload); i++)
		payload[i] = mt_rand(&seed) >> 33;
	EQ(kelem(BPF_MAP_UPDATE_ELEM, kpay, &zero, payload, 0), 0);
	for (u32 i = 0; i < steps; i++) {
		enum op op = mt_rand(&seed) % OPS;
		bool big = mt_rand(&seed) % 4 == 0;
		u32 size = op == OUTPUT ? 1 + mt_rand(&seed) % (big ? 4089 : 300) : 8;
		u32 flags = op == OUTPUT ? mt_rand(&seed) % 4 : mt_rand(&seed) % 5, kret = 0, sret;

		EQ(kernel_op(op, kring, kpay, size, flags, &kret), 0);
		sret = skep_op(op, m, payload, size, flags);
		if (sret != kret || *s.prod != *k.prod) {
			t_fail(__FILE__, __LINE__, "step %u, operation %d, size %u, flags %u: %d, kernel %d; producer %llu, kernel %llu",
			       i, op, size, flags, sret, kret, (unsigned long long)*s.prod, (unsigned long long)*k.prod);
			break;
		}
		while (*k.cons < *k.prod && mt_rand(&seed) % 8) {
			if (!same_record(&s, &k, *k.cons, &next)) {
				t_fail(__FILE__, __LINE__, "record at %llu differs", (unsigned long long)*k.cons);
				i = steps;
				break;
			}
			*s.cons = *k.cons = next;
		}
	}
	view_close(&s);
	view_close(&k);
}

TEST(as_the_kernels)
{
	static const u32 sizes[] = { 4096, 16384 };

	for (int i = 0; i < 2; i++) {
		struct map *m;
		int fd = mk(RB, 0, 0, sizes[i], 0, &m), kring, kpay;

		t_row("records, positions and answers as the kernel's: ring of %u", sizes[i]);
		NEED(fd >= 0);
		if (!t_kernel_bpf()) {
			t_skip("no kernel bpf(2)");
			drop_map(m, fd);
			continue;
		}
		kring = kmk(RB, 0, 0, sizes[i], 0);
		kpay = kmk(BPF_MAP_TYPE_ARRAY, 4, 8192, 1, 0);
		NEED(kring >= 0 && kpay >= 0);
		script(m, fd, kring, kpay, sizes[i], t_fast() ? 600 : 6000);
		close(kring);
		close(kpay);
		drop_map(m, fd);
	}
}

TEST(create_rules)
{
	static const struct { u32 key, value, max, flags; int err; const char *name; } t[] = {
		{ 0, 0, 4096, 0, 0, "one page" },
		{ 0, 0, 4097, 0, -EINVAL, "no power of two" },
		{ 0, 0, 12288, 0, -EINVAL, "three pages" },
		{ 0, 0, 2048, 0, -EINVAL, "half a page" },
		{ 0, 0, 0, 0, -EINVAL, "nothing" },
		{ 4, 0, 4096, 0, -EINVAL, "with a key" },
		{ 0, 4, 4096, 0, -EINVAL, "with a value" },
		{ 0, 0, 8192, BPF_F_NUMA_NODE, 0, "on a node" },
		{ 0, 0, 8192, BPF_F_MMAPABLE, -EINVAL, "mappable" },
		{ 0, 0, 8192, BPF_F_RDONLY, -EINVAL, "read-only" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct map *m;
		int fd = mk(RB, t[i].key, t[i].value, t[i].max, t[i].flags, &m);

		t_row("create: %s", t[i].name);
		EQ(fd < 0 ? fd : 0, t[i].err);
		drop_map(m, fd);
		if (t_kernel_bpf()) {
			fd = kmk(RB, t[i].key, t[i].value, t[i].max, t[i].flags);
			EQ(t[i].err, fd < 0 ? fd : 0);
			if (fd >= 0)
				close(fd);
		}
	}
}

TEST(element_commands_are_refused)
{
	struct map *m;
	u8 b[8];
	int fd = mk(RB, 0, 0, 4096, 0, &m);

	NEED(fd >= 0);
	EQ(map_lookup_elem(m, NULL, b, 0), -ENOTSUPP);
	EQ(map_update_elem(m, NULL, b, 0), -ENOTSUPP);
	EQ(map_delete_elem(m, NULL), -ENOTSUPP);
	EQ(map_next_key(m, NULL, b), -ENOTSUPP);
	drop_map(m, fd);
}

TEST(reservations_take_room)
{
	struct map *m;
	void *r[4];
	u64 n;
	int fd = mk(RB, 0, 0, 4096, 0, &m);

	NEED(fd >= 0);
	for (int i = 0; i < 3; i++)
		CHECK((r[i] = map_ring_reserve(m, 1000, 0)));
	CHECK(!map_ring_reserve(m, 1100, 0));
	EQ(map_ring_output(m, r[0], 1100, 0), -EAGAIN);
	CHECK((r[3] = map_ring_reserve(m, 1000, 0)));
	EQ(map_ring_query(m, BPF_RB_AVAIL_DATA), 4 * 1008);
	EQ(map_check(m, &n), 0);
	EQ(n, 4);
	for (int i = 0; i < 4; i++)
		map_ring_submit(r[i], 0, i & 1);
	EQ(map_check(m, &n), 0);
	EQ(n, 0);
	CHECK(!map_ring_reserve(m, 4096, 0));
	CHECK(!map_ring_reserve(m, UINT64_MAX, 0));
	CHECK(!map_ring_reserve(m, 8, 1));
	EQ(map_ring_output(m, r, 8, 4), -EINVAL);
	drop_map(m, fd);
}

/* A byte in the FIFO is a wake-up; the kernel is asked by an edge-triggered epoll on its ring. */
TEST(wake_rules)
{
	static const struct { u32 flags; bool behind, wakes; const char *name; } t[] = {
		{ 0, false, true, "consumer has caught up" },
		{ 0, true, false, "consumer is behind" },
		{ BPF_RB_NO_WAKEUP, false, false, "NO_WAKEUP" },
		{ BPF_RB_FORCE_WAKEUP, true, true, "FORCE_WAKEUP, behind" },
		{ BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP, false, true, "both" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct map *m;
		struct view v;
		struct pollfd p = { .events = POLLIN };
		char junk[64];
		u64 x = 1;
		int fd = mk(RB, 0, 0, 4096, 0, &m);

		t_row("wake-up: %s", t[i].name);
		NEED(fd >= 0 && view_open(&v, fd, 4096));
		CHECK(!map_ring_readable(m));
		EQ(map_ring_output(m, &x, 8, BPF_RB_NO_WAKEUP), 0);
		CHECK(map_ring_readable(m));
		if (!t[i].behind)
			*v.cons = *v.prod;
		p.fd = map_ring_wake_fd(m);
		NEED(p.fd >= 0);
		while (read(p.fd, junk, sizeof(junk)) > 0)
			;
		EQ(map_ring_output(m, &x, 8, t[i].flags), 0);
		EQ(poll(&p, 1, 0), t[i].wakes);
		close(p.fd);
		view_close(&v);
		drop_map(m, fd);
		if (t_kernel_bpf()) {
			int ring = kmk(RB, 0, 0, 4096, 0), pay = kmk(BPF_MAP_TYPE_ARRAY, 4, 8, 1, 0), ep = epoll_create1(0);
			struct epoll_event e = { .events = EPOLLIN | EPOLLET };
			u32 ret;

			NEED(ring >= 0 && pay >= 0 && view_open(&v, ring, 4096));
			EQ(kernel_op(OUTPUT, ring, pay, 8, BPF_RB_NO_WAKEUP, &ret), 0);
			if (!t[i].behind)
				*v.cons = *v.prod;
			EQ(epoll_ctl(ep, EPOLL_CTL_ADD, ring, &e), 0);
			epoll_wait(ep, &e, 1, 0);
			EQ(kernel_op(OUTPUT, ring, pay, 8, t[i].flags, &ret), 0);
			EQ(epoll_wait(ep, &e, 1, t[i].wakes ? 1000 : 20), t[i].wakes);
			close(ring), close(pay), close(ep);
			view_close(&v);
		}
	}
}

TEST(full_fifo_still_wakes)
{
	struct map *m;
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };
	u64 x = 1;
	int fd = mk(RB, 0, 0, 65536, 0, &m), w, ep = epoll_create1(0);
	char junk[4096] = { 0 };

	NEED(fd >= 0);
	w = map_ring_wake_fd(m);
	NEED(w >= 0);
	while (write(w, junk, sizeof(junk)) > 0)
		;
	while (write(w, junk, 1) > 0)
		;
	EQ(epoll_ctl(ep, EPOLL_CTL_ADD, w, &e), 0);
	EQ(epoll_wait(ep, &e, 1, 0), 1);
	EQ(epoll_wait(ep, &e, 1, 0), 0);
	EQ(map_ring_output(m, &x, 8, BPF_RB_FORCE_WAKEUP), 0);
	EQ(epoll_wait(ep, &e, 1, 1000), 1);
	close(w), close(ep);
	drop_map(m, fd);
}

TEST(the_fifo_goes_with_the_map)
{
	struct map *m;
	char path[512];
	int fd = mk(RB, 0, 0, 4096, 0, &m), w;
	u32 id;

	NEED(fd >= 0);
	id = m->id;
	w = map_ring_wake_fd(m);
	NEED(w >= 0);
	snprintf(path, sizeof(path), "%s/ref/m%u/wake", mt_dir()->path, id);
	EQ(access(path, F_OK), 0);
	close(w);
	drop_map(m, fd);
	EQ(obj_collect(mt_dir(), OBJ_MAP, id), 1);
	EQ(access(path, F_OK), -1);
}

/* Positions are the client's to destroy: nothing may leave the ring's pages. */
TEST(garbage_positions)
{
	static const u64 bad[] = { 1, 3, 0xfff, 4097, UINT64_MAX, 1ull << 63, 0xdeadbeefcafebabeull };
	struct map *m;
	u8 buf[3000] = { 0 };
	int fd = mk(RB, 0, 0, 4096, 0, &m);

	NEED(fd >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		for (size_t j = 0; j < ARRAY_SIZE(bad); j++) {
			void *r;

			*(u64 *)m->data = bad[i];
			*(u64 *)(m->data + 4096) = bad[j];
			map_ring_output(m, buf, sizeof(buf), BPF_RB_FORCE_WAKEUP);
			r = map_ring_reserve(m, 2000, 0);
			if (r)
				map_ring_submit(r, 0, false);
			map_ring_query(m, 0);
		}
	EQ(obj_check_size(m->obj), 0);
	drop_map(m, fd);
}

/* ---- several producers, and death ---- */

static void produce(struct map *m, u32 who, u32 n)
{
	for (u32 i = 0; i < n;) {
		u64 v[2] = { who, i }, *r;

		if (i & 1) {
			r = map_ring_reserve(m, sizeof(v), 0);
			if (r) {
				memcpy(r, v, sizeof(v));
				map_ring_submit(r, BPF_RB_NO_WAKEUP, false);
			}
		} else {
			r = map_ring_output(m, v, sizeof(v), BPF_RB_NO_WAKEUP) ? NULL : v;
		}
		if (r)
			i++;
		else
			sched_yield();
	}
}

struct prod { struct map *m; u32 who, n; };
static void *prod_thread(void *arg)
{
	struct prod *p = arg;

	produce(p->m, p->who, p->n);
	return NULL;
}

static pid_t start_producer(struct map *m, u32 who, u32 n)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	pthread_t t;
	struct prod p = { m, who + 1, n };

	if (pthread_create(&t, NULL, prod_thread, &p))
		_exit(1);
	produce(m, who, n);
	pthread_join(t, NULL);
	_exit(0);
}

/* Everything arrives once, in order per producer. */
static u64 consume(struct view *v, u64 *next_of, u32 producers, bool gaps)
{
	u64 n = 0, cons = *v->cons;

	while (cons < LOAD_ACQUIRE(*v->prod)) {
		const u8 *rec = v->data + (cons & (v->size - 1));
		u32 len = LOAD_ACQUIRE(*(u32 *)rec);
		u64 p[2];

		if (len & BPF_RINGBUF_BUSY_BIT)
			t_fail(__FILE__, __LINE__, "a busy record at %llu", (unsigned long long)cons);
		if (len == 16) {
			memcpy(p, rec + 8, 16);
			if (p[0] >= producers || (gaps ? p[1] < next_of[p[0]] : p[1] != next_of[p[0]]))
				t_fail(__FILE__, __LINE__, "producer %llu: %llu", (unsigned long long)p[0], (unsigned long long)p[1]);
			else
				next_of[p[0]] = p[1] + 1;
			n++;
		}
		cons += ((len & 0x3fffffff) + 8 + 7) & ~7u;
		STORE_RELEASE(*v->cons, cons);
	}
	return n;
}

TEST(four_producers_lose_nothing)
{
	struct map *m;
	struct view v;
	u64 next_of[4] = { 0 }, n = 0, total;
	u32 each = t_fast() ? 20000 : 400000;
	int fd = mk(RB, 0, 0, 16384, 0, &m), left = 2, st;
	pid_t pid[2];

	NEED(fd >= 0 && view_open(&v, fd, 16384));
	for (int i = 0; i < 2; i++)
		pid[i] = start_producer(m, 2 * i, each);
	while (left) {
		n += consume(&v, next_of, 4, false);
		if (waitpid(-1, &st, WNOHANG) > 0) {
			EQ(st, 0);
			left--;
		}
	}
	n += consume(&v, next_of, 4, false);
	EQ(n, 4ull * each);
	EQ(map_check(m, &total), 0);
	(void)pid;
	view_close(&v);
	drop_map(m, fd);
}

/* Killed anywhere, also between reserve and submit: the ring goes on, and all room comes back. */
TEST(killed_producers)
{
	struct map *m;
	struct view v;
	u64 seed = 42;
	int fd = mk(RB, 0, 0, 4096, 0, &m), st;

	NEED(fd >= 0 && view_open(&v, fd, 4096));
	for (int i = 0; i < (t_fast() ? 30 : 400); i++) {
		u64 next_of[2] = { 0 }, end;
		pid_t pid = start_producer(m, 0, UINT32_MAX);

		for (u32 k = mt_rand(&seed) % 300; k; k--)
			consume(&v, next_of, 2, false);
		kill(pid, SIGKILL);
		waitpid(pid, &st, 0);
		consume(&v, next_of, 2, false);
		end = *v.cons;
		void *r = map_ring_reserve(m, 4080, 0);

		if (!r) {			/* asked for the dead less than 5 ms ago */
			usleep(6000);
			r = map_ring_reserve(m, 4080, 0);
		}
		CHECK(r);
		if (r)
			map_ring_submit(r, 0, true);
		EQ(*v.prod, end + 4088);
		*v.cons = *v.prod;
	}
	view_close(&v);
	drop_map(m, fd);
}

TEST(a_stopped_producer_halts_nobody)
{
	struct map *m;
	struct view v;
	u64 next_of[2] = { 0 }, x[2] = { 0, 0 };
	int fd = mk(RB, 0, 0, 4096, 0, &m), pipefd[2], st;
	char c;
	pid_t pid;

	NEED(fd >= 0 && view_open(&v, fd, 4096) && !pipe(pipefd));
	pid = fork();
	if (!pid) {
		if (!map_ring_reserve(m, 100, 0) || write(pipefd[1], "r", 1) != 1)
			_exit(1);
		raise(SIGSTOP);
		_exit(0);
	}
	EQ(read(pipefd[0], &c, 1), 1);
	waitpid(pid, &st, WUNTRACED);
	EQ(map_ring_output(m, x, 16, 0), 0);
	EQ(consume(&v, next_of, 2, false), 1);
	kill(pid, SIGKILL);
	waitpid(pid, &st, 0);
	close(pipefd[0]), close(pipefd[1]);
	view_close(&v);
	drop_map(m, fd);
}

/* The lock cannot be had by this thread (a handler interrupted it there): the record is not lost, the next operation of this
 * process writes it out. */
TEST(a_submit_without_the_lock_is_kept)
{
	struct map *m;
	struct view v;
	u64 next_of[2] = { 0 }, *r, x[2] = { 1, 0 }, n;
	int fd = mk(RB, 0, 0, 4096, 0, &m);

	NEED(fd >= 0 && view_open(&v, fd, 4096));
	r = map_ring_reserve(m, 16, 0);
	NEED(r);
	r[0] = r[1] = 0;
	EQ(lock_take(m->dom, (struct lock *)m->priv_shm), 0);
	map_ring_submit(r, 0, false);
	EQ(*v.prod, 0);
	EQ(map_ring_output(m, x, 16, 0), -EAGAIN);
	CHECK(!map_ring_reserve(m, 16, 0));
	lock_drop(m->dom, (struct lock *)m->priv_shm);
	EQ(map_ring_output(m, x, 16, 0), 0);
	EQ(consume(&v, next_of, 2, false), 2);
	EQ(map_check(m, &n), 0);
	EQ(n, 0);
	view_close(&v);
	drop_map(m, fd);
}

static void ring_op(struct map *m, int what)
{
	static u64 v[2] = { 0, 5 };
	void *r;

	switch (what) {
	case 0:
		map_ring_output(m, v, 16, 0);
		break;
	default:
		r = map_ring_reserve(m, 16, 0);
		if (r) {
			memcpy(r, v, 16);
			map_ring_submit(r, 0, what == 2);
		}
		break;
	}
}

/* As in hash_test.c: false when the operation was done before N instructions. */
static bool die_after(struct map *m, int what, u32 n)
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
		domain_self(m->dom);
		raise(SIGTRAP);
		ring_op(m, what);
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

TEST(killed_at_each_instruction)
{
	static const char *const names[] = { "output", "reserve and submit", "reserve and discard" };

	for (int what = 0; what < 3; what++) {
		struct map *m;
		struct view v;
		u64 next_of[1] = { 5 }, count;
		u32 n = 0, records = 0;
		int fd = mk(RB, 0, 0, 4096, 0, &m);

		t_row("single-stepped, then killed: %s", names[what]);
		NEED(fd >= 0 && view_open(&v, fd, 4096));
		if (MT_STEPS_TOO_SLOW)
			t_skip("single steps through ThreadSanitizer take minutes");
		for (; !MT_STEPS_TOO_SLOW; n += t_fast() ? 17 : 1) {
			u64 before = *v.prod, got;
			bool died = die_after(m, what, n);

			/* room for all of the ring, whatever the dead had accounted */
			while (died) {
				void *r = map_ring_reserve(m, 4080 - (*v.prod - before), 0);

				if (r) {
					map_ring_submit(r, 0, true);
					break;
				}
				usleep(1000);		/* the dead are looked for every 5 ms */
			}
			next_of[0] = 5;
			got = consume(&v, next_of, 1, false);
			CHECK(got <= 1 && (what < 2 || !got));
			records += got;
			EQ(map_check(m, &count), 0);
			EQ(count, 0);
			if (!died)
				break;
		}
		CHECK(MT_STEPS_TOO_SLOW || (n > 60 && (records || what == 2)));
		view_close(&v);
		drop_map(m, fd);
	}
}
