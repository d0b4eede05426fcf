/* SPDX-License-Identifier: Apache-2.0 */
/* domain_test.c - process slots, owner words, locks, run leases: among threads, signal handlers, processes,
 * namespaces; after SIGKILL, SIGSTOP, exec; with garbage in the control file. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/domain_int.h"
#include "base/obj.h"
#include "base/shlock.h"
#include "t.h"

/* What the processes of a test share besides the domain. */
struct shared {
	struct lock lock;
	u64 word[16];
	u64 count[DOMAIN_MAX_CPUS];	/* plain: only a lease protects them */
	u64 total;
	u32 go, misses;
};

static struct domain *dom;
static struct control *ctl;
static struct shared *sh;

static void setup(void)
{
	static struct obj_dir *d;

	if (!dom) {
		if (obj_dir_open(NULL, &d))
			abort();
		dom = d->dom;
		ctl = container_of(dom, struct domain_full, d)->ctl;
		sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	}
	memset(sh, 0, sizeof(*sh));
}

/* A child that runs fn and then waits for its signal; returns when fn is done. */
static pid_t child(void (*fn)(void))
{
	int p[2];
	char c;
	pid_t pid;

	if (pipe(p))
		abort();
	fflush(stdout);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(p[0]);
		fn();
		if (write(p[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(p[1]);
	if (read(p[0], &c, 1) != 1)
		t_fail(__FILE__, __LINE__, "the child ended early");
	close(p[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void note_word(void)
{
	sh->word[0] = domain_self(dom);
}

/* ---- words ---- */

static void *word_of_thread(void *arg)
{
	*(u64 *)arg = domain_self(dom);
	return NULL;
}

TEST(threads_of_a_process_differ_and_stay)
{
	u64 w, other[8];
	pthread_t t[8];

	setup();
	w = domain_self(dom);
	CHECK(w != 0);
	EQ(domain_self(dom), w);
	for (int i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, word_of_thread, &other[i]);
	for (int i = 0; i < 8; i++) {
		pthread_join(t[i], NULL);
		CHECK(other[i] && other[i] != w && other[i] >> 32 == w >> 32);
		for (int j = 0; j < i; j++)
			CHECK(other[i] != other[j]);
	}
	CHECK(domain_alive(dom, w));
	CHECK(!domain_alive(dom, other[0]));		/* its thread has ended */
}

TEST(a_fork_child_gets_a_slot_of_its_own)
{
	u64 w;
	pid_t pid;

	setup();
	w = domain_self(dom);
	pid = child(note_word);
	CHECK(sh->word[0] && (sh->word[0] & 0xffff) != (w & 0xffff));
	CHECK(domain_alive(dom, sh->word[0]));
	end(pid);
	CHECK(!domain_alive(dom, sh->word[0]));
}

static void grandchild_outlives(void)
{
	pid_t pid;

	note_word();
	pid = fork();

	if (!pid)
		for (;;)
			pause();
	sh->word[1] = pid;
}

TEST(a_child_does_not_keep_its_parents_slot)
{
	pid_t pid;

	setup();
	pid = child(grandchild_outlives);
	CHECK(domain_alive(dom, sh->word[0]));
	end(pid);
	CHECK(!domain_alive(dom, sh->word[0]));
	if ((s64)sh->word[1] > 1)
		kill(sh->word[1], SIGKILL);
}

static void *exec_sleep(void *arg)
{
	(void)arg;
	execlp("sleep", "sleep", "10", NULL);
	return NULL;
}

static void exec_by_thread(void)
{
	struct lock *l = &sh->lock;
	int p = lock_take(dom, l);

	sh->word[0] = p ? 0 : l->owner;
}

TEST(exec_by_a_thread_that_is_not_the_leader_ends_ownership)
{
	pthread_t t;
	pid_t pid;

	setup();
	fflush(stdout);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		exec_by_thread();
		pthread_create(&t, NULL, exec_sleep, NULL);
		for (;;)
			pause();
	}
	for (int i = 0; i < 5000 && (!READ_ONCE(sh->word[0]) || domain_alive(dom, sh->word[0])); i++)
		usleep(1000);
	EQ(kill(pid, 0), 0);			/* the tid that owned the lock lives */
	CHECK(sh->word[0] && !domain_alive(dom, sh->word[0]));
	EQ(lock_take(dom, &sh->lock), 1);
	end(pid);
}

TEST(a_slot_used_again_has_another_generation)
{
	u64 first;
	pid_t pid;

	setup();
	end(child(note_word));
	first = sh->word[0];
	WRITE_ONCE(ctl->slot_hint, first & 0xffff);
	pid = child(note_word);
	EQ(sh->word[0] & 0xffff, first & 0xffff);
	CHECK(sh->word[0] != first);
	CHECK(!domain_alive(dom, first));
	CHECK(domain_alive(dom, sh->word[0]));
	end(pid);
}

static pid_t fork_as(pid_t want)
{
	struct clone_args a = { .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&want, .set_tid_size = 1 };

	return syscall(SYS_clone3, &a, sizeof(a));
}

TEST(a_reused_tid_is_not_the_old_owner)
{
	pid_t pid, again;

	setup();
	pid = child(exec_by_thread);
	CHECK(sh->word[0]);
	end(pid);
	again = fork_as(pid);
	if (again < 0) {
		t_skip("clone3 with set_tid: %s (needs CAP_CHECKPOINT_RESTORE)", strerror(errno));
		return;
	}
	if (!again)
		for (;;)
			pause();
	EQ(again, pid);
	EQ(lock_take(dom, &sh->lock), 1);
	end(again);
}

static void pidns_word(int i)
{
	pid_t init;

	if (unshare(CLONE_NEWUSER | CLONE_NEWPID)) {
		WRITE_ONCE(sh->word[i], 1);
		return;
	}
	init = fork();
	if (!init) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		WRITE_ONCE(sh->count[i], getpid());
		WRITE_ONCE(sh->word[i], domain_self(dom));
		for (;;)
			pause();
	}
	while (!READ_ONCE(sh->word[i]))
		usleep(1000);
}

static void pidns0(void) { pidns_word(0); }
static void pidns1(void) { pidns_word(1); }

TEST(pid_namespaces_do_not_confuse_owners)
{
	pid_t a, b;

	setup();
	a = child(pidns0);
	b = child(pidns1);
	if (sh->word[0] == 1) {
		t_skip("no user namespaces here");
		goto out;
	}
	EQ(sh->count[0], 1);			/* both are pid 1 */
	EQ(sh->count[1], 1);
	CHECK(sh->word[0] != sh->word[1]);
	CHECK(domain_alive(dom, sh->word[0]) && domain_alive(dom, sh->word[1]));
	kill(a, SIGKILL);
	for (int i = 0; i < 5000 && domain_alive(dom, sh->word[0]); i++)
		usleep(1000);
	CHECK(!domain_alive(dom, sh->word[0]));
	CHECK(domain_alive(dom, sh->word[1]));
out:
	end(a);
	end(b);
}

/* ---- ids ---- */

#define ID_PROCS 4
#define IDS 2000
static u32 *ids;

static void take_ids(void)
{
	u32 me = __atomic_fetch_add(&sh->go, 1, __ATOMIC_RELAXED);

	for (int i = 0; i < IDS; i++)
		ids[me * IDS + i] = domain_next_id(dom);
}

static int by_id(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

TEST(ids_of_many_processes_never_collide)
{
	pid_t p[ID_PROCS];

	setup();
	ids = mmap(NULL, ID_PROCS * IDS * 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < ID_PROCS; i++)
		p[i] = child(take_ids);
	for (int i = 0; i < ID_PROCS; i++)
		end(p[i]);
	qsort(ids, ID_PROCS * IDS, 4, by_id);
	for (int i = 1; i < ID_PROCS * IDS; i++)
		CHECK(ids[i] != ids[i - 1]);
}

TEST(the_id_counter_stays_positive_whatever_is_in_it)
{
	static const u32 seeds[] = { 0x7ffffffe, 0x7fffffff, 0xfffffffe, 0xffffffff, 0x80000000 };
	u32 was;

	setup();
	was = ctl->last_id;
	for (u32 i = 0; i < ARRAY_SIZE(seeds); i++) {
		WRITE_ONCE(ctl->last_id, seeds[i]);
		for (int j = 0; j < 3; j++) {
			u32 id = domain_next_id(dom);

			CHECK(id >= 1 && id <= 0x7fffffff);
		}
	}
	WRITE_ONCE(ctl->last_id, was);
}

/* ---- locks ---- */

static volatile int in_handler;

static void handler(int sig)
{
	in_handler = lock_take(dom, &sh->lock);
}

TEST(own_lock_is_edeadlk_also_in_a_signal_handler)
{
	setup();
	signal(SIGUSR1, handler);
	EQ(lock_take(dom, &sh->lock), 0);
	EQ(lock_take(dom, &sh->lock), -EDEADLK);
	in_handler = 0;
	raise(SIGUSR1);
	EQ(in_handler, -EDEADLK);
	lock_drop(dom, &sh->lock);
	EQ(sh->lock.owner, 0);
}

#define LOCK_THREADS 4
static u64 rounds;

static void *locked_adds(void *arg)
{
	for (u64 i = 0; i < rounds; i++) {
		int err = lock_take(dom, &sh->lock);

		if (err) {
			__atomic_fetch_add(&sh->misses, 1, __ATOMIC_RELAXED);
			continue;
		}
		sh->total++;
		lock_drop(dom, &sh->lock);
	}
	return NULL;
}

TEST(a_lock_excludes)
{
	pthread_t t[LOCK_THREADS];

	setup();
	rounds = t_fast() ? 20000 : 500000;
	for (int i = 0; i < LOCK_THREADS; i++)
		pthread_create(&t[i], NULL, locked_adds, NULL);
	for (int i = 0; i < LOCK_THREADS; i++)
		pthread_join(t[i], NULL);
	EQ(sh->total + sh->misses, LOCK_THREADS * rounds);
	EQ(sh->misses, 0);
}

TEST(a_killed_holders_lock_is_taken_over)
{
	setup();
	end(child(exec_by_thread));
	CHECK(sh->lock.owner);
	EQ(lock_take(dom, &sh->lock), 1);
	EQ(sh->lock.owner, domain_self(dom));
}

TEST(a_stopped_holders_lock_is_not_stolen)
{
	pid_t pid;

	setup();
	pid = child(exec_by_thread);
	kill(pid, SIGSTOP);
	EQ(lock_take(dom, &sh->lock), -ETIMEDOUT);
	EQ(sh->lock.owner, sh->word[0]);
	end(pid);
	EQ(lock_take(dom, &sh->lock), 1);
}

static void *take_and_leave(void *arg)
{
	lock_take(dom, &sh->lock);
	return NULL;
}

TEST(a_thread_that_ended_holding_a_lock_is_dead_too)
{
	pthread_t t;

	setup();
	pthread_create(&t, NULL, take_and_leave, NULL);
	pthread_join(t, NULL);
	EQ(lock_take(dom, &sh->lock), 1);
}

static void drop_parents(void)
{
	lock_drop(dom, &sh->lock);
}

TEST(a_fork_child_cannot_drop_its_parents_lock)
{
	setup();
	EQ(lock_take(dom, &sh->lock), 0);
	end(child(drop_parents));
	EQ(sh->lock.owner, domain_self(dom));
}

TEST(garbage_in_a_lock_is_a_dead_owner)
{
	static const u64 words[] = { 1, 0xffff, ~0ull, 0x0000000100000000ull, 0xdeadbeefdeadbeefull };

	setup();
	for (u32 i = 0; i < ARRAY_SIZE(words); i++) {
		sh->lock.owner = words[i];
		EQ(lock_take(dom, &sh->lock), 1);
		lock_drop(dom, &sh->lock);
	}
}

/* ---- leases ---- */

static void leased_adds(void)
{
	for (u64 i = 0; i < rounds; i++) {
		bool nested;
		int cpu = lease_take(dom, &nested);
		u64 v;

		if (cpu < 0) {
			__atomic_fetch_add(&sh->misses, 1, __ATOMIC_RELAXED);
			continue;
		}
		v = READ_ONCE(sh->count[cpu]);
		__asm__ volatile("" : "+r"(v));
		WRITE_ONCE(sh->count[cpu], v + 1);
		lease_drop(dom, cpu, nested);
	}
}

static void *leased_thread(void *arg)
{
	leased_adds();
	return NULL;
}

static u64 counted(void)
{
	u64 n = 0;

	for (int i = 0; i < DOMAIN_MAX_CPUS; i++)
		n += sh->count[i];
	return n;
}

static void count_by_threads(u64 n)
{
	pthread_t t[6];

	rounds = n;
	for (int i = 0; i < 6; i++)
		pthread_create(&t[i], NULL, leased_thread, NULL);
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	EQ(counted() + sh->misses, 6 * rounds);		/* what was not run was reported */
	CHECK(sh->misses < rounds / 100);
}

TEST(per_cpu_counters_lose_nothing_among_threads)
{
	setup();
	count_by_threads(t_fast() ? 300000 : 5000000);
}

TEST(per_cpu_counters_lose_nothing_by_cas_alone)
{
	u32 had;

	setup();
	had = dom->rseq;
	dom->rseq = 0;
	count_by_threads(t_fast() ? 10000 : 300000);
	dom->rseq = had;
}

static void by_cas(void)
{
	dom->rseq = 0;
	leased_adds();
	WRITE_ONCE(sh->go, 1);
}

static void by_rseq(void)
{
	leased_adds();
	WRITE_ONCE(sh->go, 1);
}

TEST(a_fork_child_with_rseq_and_a_parent_without_exclude_each_other)
{
	u32 had;
	pid_t p[3];

	setup();
	if (!dom->rseq) {
		t_skip("no rseq here (or a ThreadSanitizer build)");
		return;
	}
	rounds = t_fast() ? 10000 : 300000;
	had = dom->rseq;
	for (int i = 0; i < 3; i++)
		p[i] = child(i ? by_rseq : by_cas);
	dom->rseq = 0;
	leased_adds();
	dom->rseq = had;
	for (int i = 0; i < 3; i++)
		end(p[i]);
	EQ(counted() + sh->misses, 4 * rounds);
}

TEST(processes_with_and_without_rseq_exclude_each_other)
{
	pthread_t t[3];
	pid_t pid;

	setup();
	if (!dom->rseq) {
		t_skip("no rseq here (or a ThreadSanitizer build)");
		return;
	}
	rounds = t_fast() ? 30000 : 500000;
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, leased_thread, NULL);
	pid = child(by_cas);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	EQ(counted() + sh->misses, 4 * rounds);
	end(pid);
}

static volatile int nested_slot;
static bool nested_flag;

static void lease_handler(int sig)
{
	nested_slot = lease_take(dom, &nested_flag);
	if (nested_slot >= 0)
		lease_drop(dom, nested_slot, nested_flag);
}

TEST(a_run_in_a_signal_handler_nests)
{
	cpu_set_t one, all;
	bool nested;
	int slot;

	setup();
	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	signal(SIGUSR1, lease_handler);
	slot = lease_take(dom, &nested);
	NEED(slot >= 0);
	CHECK(!nested);
	raise(SIGUSR1);
	EQ(nested_slot, slot);
	CHECK(nested_flag);
	CHECK(dom->lease[slot].fast == domain_self(dom) || dom->lease[slot].slow == domain_self(dom));
	lease_drop(dom, slot, nested);
	EQ(dom->lease[slot].fast | dom->lease[slot].slow, 0);
	sched_setaffinity(0, sizeof(all), &all);
}

static void hold_all(void)
{
	u64 self = domain_self(dom);

	for (u32 i = 0; i < dom->ncpus; i++)
		dom->lease[i].fast = self;
}

TEST(a_killed_holders_lease_is_taken_over)
{
	bool nested;
	int slot;

	setup();
	end(child(hold_all));
	slot = lease_take(dom, &nested);
	CHECK(slot >= 0 && !nested);
	lease_drop(dom, slot, nested);
	memset(dom->lease, 0, dom->ncpus * sizeof(struct lease));
}

TEST(a_live_holders_lease_is_a_miss_not_stolen)
{
	bool nested;
	pid_t pid;

	setup();
	pid = child(hold_all);
	EQ(lease_take(dom, &nested), -EBUSY);
	end(pid);
	memset(dom->lease, 0, dom->ncpus * sizeof(struct lease));
}

static void hold_one(void)
{
	bool nested;

	lease_take(dom, &nested);
}

TEST(a_stopped_holder_does_not_stop_others)
{
	bool nested;
	cpu_set_t one, all;
	pid_t pid;
	int slot;

	setup();
	if (dom->ncpus < 2) {
		t_skip("one CPU has one slot");
		return;
	}
	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);	/* the child inherits it: same CPU, same slot */
	pid = child(hold_one);
	kill(pid, SIGSTOP);
	slot = lease_take(dom, &nested);
	CHECK(slot >= 0 && !nested);
	if (slot >= 0)
		lease_drop(dom, slot, nested);
	sched_setaffinity(0, sizeof(all), &all);
	end(pid);
	memset(dom->lease, 0, dom->ncpus * sizeof(struct lease));
}

static void drop_parents_lease(void)
{
	lease_drop(dom, nested_slot, false);
}

TEST(a_fork_child_cannot_drop_its_parents_lease)
{
	bool nested;

	setup();
	nested_slot = lease_take(dom, &nested);
	NEED(nested_slot >= 0);
	end(child(drop_parents_lease));
	CHECK(dom->lease[nested_slot].fast == domain_self(dom) || dom->lease[nested_slot].slow == domain_self(dom));
	lease_drop(dom, nested_slot, nested);
}

/* ---- the file ---- */

TEST(garbage_in_control_crashes_nobody)
{
	struct control *was;
	u32 *w = (u32 *)ctl;
	u32 seed = 12345;

	setup();
	was = malloc(sizeof(*was));
	memcpy(was, ctl, sizeof(*was));
	for (int round = 0; round < 20; round++) {
		bool nested;
		int slot;

		for (u32 i = 2; i < sizeof(*ctl) / 4; i++)
			WRITE_ONCE(w[i], seed = seed * 1664525 + 1013904223);
		CHECK(domain_next_id(dom) != 0);
		slot = lease_take(dom, &nested);
		CHECK(slot == -EBUSY || (slot >= 0 && slot < (int)dom->ncpus));
		if (slot >= 0)
			lease_drop(dom, slot, nested);
		domain_alive(dom, seed * 0x100010001ull);
	}
	memcpy(ctl, was, sizeof(*was));
	free(was);
}

TEST(a_control_file_of_another_kind_is_refused)
{
	struct domain *d;
	char path[128];
	int dirfd, fd;

	snprintf(path, sizeof(path), "%s/other", t_tmpdir());
	mkdir(path, 0700);
	dirfd = open(path, O_PATH | O_DIRECTORY);
	fd = openat(dirfd, "control", O_CREAT | O_RDWR, 0600);
	NEED(write(fd, "garbage", 7) == 7);
	EQ(domain_open(dirfd, &d), -EUCLEAN);
	NEED(pwrite(fd, "\0\0\0\0\xff\xff\xff\xff", 8, 0) == 8);	/* wild number of CPUs */
	EQ(domain_open(dirfd, &d), 0);
	CHECK(domain_ncpus(d) >= 1 && domain_ncpus(d) <= DOMAIN_MAX_CPUS);
	close(fd);
	close(dirfd);
	domain_close(d);
}

TEST(a_control_file_cut_short_crashes_nobody)
{
	struct domain *d;
	struct lock l = { 0 };
	bool nested;
	char path[128];
	int dirfd, fd;

	snprintf(path, sizeof(path), "%s/cut", t_tmpdir());
	mkdir(path, 0700);
	dirfd = open(path, O_PATH | O_DIRECTORY);
	NEED(!domain_open(dirfd, &d));
	fd = openat(dirfd, "control", O_RDWR);
	EQ(ftruncate(fd, 0), 0);
	CHECK(domain_next_id(d) != 0);
	CHECK(lease_take(d, &nested) >= 0);
	EQ(lock_take(d, &l), 0);
	EQ(container_of(d, struct domain_full, d)->damaged, 1);
	close(fd);
	close(dirfd);
	domain_close(d);
}

TEST(works_after_the_client_closed_every_fd)
{
	pid_t pid;
	int st;

	setup();
	fflush(stdout);
	pid = fork();

	if (!pid) {
		closefrom(3);
		_exit(domain_self(dom) ? 0 : 1);
	}
	waitpid(pid, &st, 0);
	EQ(st, 0);
}
