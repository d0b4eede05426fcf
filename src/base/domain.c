/* SPDX-License-Identifier: Apache-2.0 */
/* domain.c - the file "control": process slots, owner words, the id counter (leases: lease.c).
 *
 * An all-zero file is a valid, empty control file, so creating it needs no order among processes. Nothing
 * in it is believed: a garbage id is masked, a garbage owner word is a dead owner, a garbage generation is
 * only a start value.
 * Two mappings: the shared data, inherited by fork; and one page of the description that holds the slot's
 * lock, MADV_DONTFORK and never touched. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/domain_int.h"
#include "base/fault.h"
#include "base/rawsys.h"
#include "base/shlock.h"

#define MAX_THREADS	8192

/* One page, wiped at fork, for all domains of the process. */
struct proc_page {
	u32 token;			/* nonzero once this process has set up its thread table */
	u32 busy;			/* tid of the thread that sets it up, or that acquires a slot */
};

static struct proc_page *proc_page;	/* set once, CAS */
static u32 last_token;			/* of this process or its ancestors; under proc_page->busy */
static u64 thread_ids[MAX_THREADS];	/* [index]: process id << 32 | thread id, 0: free; atomic. Others may share our
					 * memory: vfork children, the agent's helper */
static u32 thread_hint;

static u32 self_tid(void)
{
	return gettid();
}

/* A page that reads zero in a fork child, or NULL. */
static void *wiped_page(void)
{
	void *p = mmap(NULL, SKEP_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (madvise(p, SKEP_PAGE, MADV_WIPEONFORK)) {
		munmap(p, SKEP_PAGE);
		return NULL;
	}
	return p;
}

static int proc_page_init(void)
{
	struct proc_page *p, *none = NULL;

	if (LOAD_ACQUIRE(proc_page))
		return 0;
	p = wiped_page();
	if (!p)
		return -ENOMEM;
	if (!__atomic_compare_exchange_n(&proc_page, &none, p, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		munmap(p, SKEP_PAGE);
	return 0;
}

/* One thread of the process at a time. False if a signal handler interrupted the one that is inside. */
static bool proc_enter(void)
{
	u32 tid = self_tid(), seen = 0;

	for (u32 n = 1; !__atomic_compare_exchange_n(&proc_page->busy, &seen, tid, false, __ATOMIC_ACQUIRE,
						     __ATOMIC_RELAXED);
	     n++) {
		if (seen == tid)
			return false;
		/* one that was killed inside: a thread by exec, or the agent's helper. Not tgkill: a helper is no thread of ours. */
		if (!(n % 64) && raw_syscall3(SYS_tkill, seen, 0, 0) == -ESRCH)
			__atomic_compare_exchange_n(&proc_page->busy, &seen, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
		seen = 0;
		sched_yield();
	}
	return true;
}

static void proc_exit(void)
{
	STORE_RELEASE(proc_page->busy, 0);
}

static bool thread_gone(u64 id)
{
	return raw_syscall3(SYS_tgkill, (long)(id >> 32), (u32)id, 0) == -ESRCH;
}

/* An index that no other living thread of this process has. Under proc_enter(). */
static int thread_index(u32 *out)
{
	u64 id = (u64)getpid() << 32 | self_tid();

	for (int pass = 0; pass < 2; pass++) {
		for (u32 n = 0; n < MAX_THREADS; n++) {
			u32 i = (thread_hint + n) % MAX_THREADS;
			u64 old = READ_ONCE(thread_ids[i]);

			if (old && (!pass || !thread_gone(old)))
				continue;
			WRITE_ONCE(thread_ids[i], id);
			thread_hint = i + 1;
			*out = i;
			return 0;
		}
	}
	return -EAGAIN;
}

/* Under proc_enter(): the process's thread table and this thread's row in it. */
static int proc_setup(void)
{
	if (!proc_page->token) {
		memset(thread_ids, 0, sizeof(thread_ids));
		if (!++last_token)
			last_token = 1;
		STORE_RELEASE(proc_page->token, last_token);
	}
	if (tls()->domain_token != proc_page->token) {
		int err = thread_index(&tls()->domain_index);

		if (err)
			return err;
		tls()->domain_token = proc_page->token;
	}
	return 0;
}

/* The control file again, as a new description. Works when the client closed every fd it has. */
static int control_reopen(struct domain_full *d)
{
	char self[32];
	struct stat st;
	int fd;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", d->fd);
	for (int i = 0; i < 2; i++) {
		fd = open(i ? d->path : self, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (!fstat(fd, &st) && st.st_dev == d->dev && st.st_ino == d->ino)
			return fd;
		close(fd);
	}
	return -ENOENT;
}

/* Take a free slot for this process. Under proc_enter(). */
static int slot_acquire(struct domain_full *d)
{
	struct control *c = d->ctl;
	u32 n, s = 0, gen;
	void *hold;
	int fd, err = -EAGAIN;

	fd = control_reopen(d);
	if (fd < 0)
		return fd;
	/* DONTFORK before the lock: a child forked in between has nothing that matters. */
	hold = mmap(NULL, SKEP_PAGE, PROT_NONE, MAP_SHARED, fd, 0);
	if (hold == MAP_FAILED) {
		close(fd);
		return -ENOMEM;
	}
	madvise(hold, SKEP_PAGE, MADV_DONTFORK);
	for (n = 0; n < CTL_SLOTS && err; n++) {
		s = __atomic_fetch_add(&c->slot_hint, 1, __ATOMIC_RELAXED) % CTL_SLOTS;
		if (s)				/* slot 0 is nobody's: words are never 0 */
			err = ofd_lock(fd, F_WRLCK, CTL_SLOT_LK + s, 1);
	}
	close(fd);
	if (err) {
		munmap(hold, SKEP_PAGE);
		return err;
	}
	gen = READ_ONCE(c->slot[s].gen) + 1;
	gen += !gen;
	WRITE_ONCE(c->slot[s].pid, getpid());
	STORE_RELEASE(c->slot[s].gen, gen);
	d->hold = hold;
	lease_process_start(d);
	STORE_RELEASE(*d->d.base, (u64)gen << 32 | s);
	return 0;
}

u64 domain_self_slow(struct domain *dom)
{
	struct domain_full *d = container_of(dom, struct domain_full, d);
	int err, saved = errno;
	u64 base = 0;

#ifdef SKEP_AGENT
	if (!tls()->trusted && !READ_ONCE(*dom->base))	/* the helper takes the slot */
		return 0;
#endif
	if (!proc_enter())
		return 0;
	err = proc_setup();
	if (!err && !*dom->base)
		err = slot_acquire(d);
	if (!err)
		base = *dom->base;
	proc_exit();
	errno = saved;
	if (err)
		return 0;
	/* base last: a signal handler between the two stores takes the slow path and stores the same */
	WRITE_ONCE(tls()->domain_base, 0);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	tls()->domain_word = base | tls()->domain_index << 16;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	WRITE_ONCE(tls()->domain_base, base);
	return base | tls()->domain_index << 16;
}

/* A description that holds no lock, to probe with; the kept one, or another if the client closed it. */
static int probe_fd(struct domain_full *d, bool *mine)
{
	struct stat st;

	*mine = false;
	if (!fstat(d->fd, &st) && st.st_dev == d->dev && st.st_ino == d->ino)
		return d->fd;
	*mine = true;
	return control_reopen(d);
}

void (*domain_ask)(void);
static u64 asked, dead;			/* owner words; a dead owner's stays dead */

#ifdef SKEP_AGENT
static bool ask_helper(u64 owner)
{
	if (READ_ONCE(dead) == owner)
		return false;
	if (__atomic_exchange_n(&asked, owner, __ATOMIC_ACQ_REL) != owner && domain_ask)
		domain_ask();
	return true;
}
#endif

void domain_answer(struct domain *d)
{
	u64 owner = LOAD_ACQUIRE(asked);

	if (!owner)
		return;
	if (!domain_alive(d, owner))
		WRITE_ONCE(dead, owner);
	__atomic_compare_exchange_n(&asked, &owner, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

bool domain_alive(struct domain *dom, u64 owner)
{
	struct domain_full *d = container_of(dom, struct domain_full, d);
	u32 s = owner & 0xffff, index = owner >> 16 & 0xffff, gen = owner >> 32;
	int fd, held, saved = errno;
	bool mine;

	if (!s || s >= CTL_SLOTS || !gen)
		return false;
	if (((u64)gen << 32 | s) == READ_ONCE(*dom->base)) {
		u64 id = index < MAX_THREADS ? READ_ONCE(thread_ids[index]) : 0;
		bool gone = !id || thread_gone(id);

		errno = saved;
		return !gone;
	}
	if (gen != LOAD_ACQUIRE(d->ctl->slot[s].gen))
		return false;
#ifdef SKEP_AGENT
	if (!tls()->trusted)
		return ask_helper(owner);
#endif
	fd = probe_fd(d, &mine);
	held = fd < 0 ? 1 : ofd_probe(fd, F_WRLCK, CTL_SLOT_LK + s, 1);
	if (fd >= 0 && mine)
		close(fd);
	errno = saved;
	return held != 0;		/* in doubt it lives: a lock is never stolen */
}

u32 domain_next_id(struct domain *dom)
{
	struct domain_full *d = container_of(dom, struct domain_full, d);
	u32 id;

	do {
		id = (__atomic_fetch_add(&d->ctl->last_id, 1, __ATOMIC_RELAXED) + 1) & 0x7fffffff;
	} while (!id);
	return id;
}

/* "0-3,8-11\n" -> 12, as libbpf_num_possible_cpus() counts: the number of CPUs named. */
static u32 count_cpus(void)
{
	char buf[512], *p = buf;
	u32 n = 0;
	int fd = open("/sys/devices/system/cpu/possible", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (fd >= 0)
		close(fd);
	if (len > 0) {
		buf[len] = 0;
		while (*p >= '0' && *p <= '9') {
			unsigned long a = strtoul(p, &p, 10), b = a;

			if (*p == '-')
				b = strtoul(p + 1, &p, 10);
			n += b - a + 1;
			p += *p == ',';
		}
	}
	if (!n)
		n = MAX(sysconf(_SC_NPROCESSORS_CONF), 1);
	return MIN(n, DOMAIN_MAX_CPUS);
}

static int control_size(int fd, struct stat *st)
{
	if (fstat(fd, st))
		return -errno;
	if (!S_ISREG(st->st_mode))
		return -EUCLEAN;
	if (st->st_size >= (off_t)sizeof(struct control) && st->st_blocks >= (blkcnt_t)sizeof(struct control) / 512)
		return 0;
	while (fallocate(fd, 0, 0, sizeof(struct control)))
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* Agree with the other processes on what the file is: the first one's words stand. */
static int control_agree(struct domain_full *d)
{
	struct control *c = d->ctl;
	u32 magic = 0, ncpus = 0, mine = count_cpus();

	if (!__atomic_compare_exchange_n(&c->magic, &magic, CTL_MAGIC, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE) && magic != CTL_MAGIC)
		return -EUCLEAN;
	__atomic_compare_exchange_n(&c->ncpus, &ncpus, mine, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	d->d.ncpus = ncpus && ncpus <= DOMAIN_MAX_CPUS ? ncpus : mine;
	return 0;
}

static int control_map(struct domain_full *d)
{
	struct stat st;
	int err;

	err = control_size(d->fd, &st);
	if (err)
		return err;
	d->dev = st.st_dev;
	d->ino = st.st_ino;
	d->ctl = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 0);
	if (d->ctl == MAP_FAILED) {
		d->ctl = NULL;
		return -ENOMEM;
	}
	err = fault_watch(d->ctl, sizeof(struct control), &d->damaged);
	if (err)
		return err;
	d->d.lease = d->ctl->lease;
	d->d.stats = &d->ctl->stats;
	return control_agree(d);
}

/* The client's low fd numbers are its own. */
static int fd_high(int fd)
{
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 600);

	if (high < 0)
		return fd;
	close(fd);
	return high;
}

int domain_open(int dirfd, struct domain **out)
{
	struct domain_full *d;
	char self[32];
	ssize_t n;
	int err = -ENOMEM;

	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->fd = fd_high(openat(dirfd, "control", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
	if (d->fd < 0) {
		err = -errno;
		goto fail;
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", d->fd);
	n = readlink(self, d->path, sizeof(d->path) - 1);
	d->path[n > 0 ? n : 0] = 0;
	d->d.base = wiped_page();
	if (!d->d.base)
		goto fail;
	err = proc_page_init();
	if (!err)
		err = control_map(d);
	if (err)
		goto fail;
	lease_init(d);
	*out = &d->d;
	return 0;
fail:
	domain_close(&d->d);
	return err;
}

void domain_close(struct domain *dom)
{
	struct domain_full *d = container_of(dom, struct domain_full, d);

	if (!dom)
		return;
	if (d->ctl) {
		fault_unwatch(d->ctl);
		munmap(d->ctl, sizeof(struct control));
	}
	if (dom->base) {
		if (*dom->base)		/* 0 in a fork child: the mapping is not there */
			munmap(d->hold, SKEP_PAGE);
		munmap(dom->base, SKEP_PAGE);
	}
	if (d->fd >= 0)
		close(d->fd);
	free(d);
}
