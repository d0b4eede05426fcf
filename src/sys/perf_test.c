/* SPDX-License-Identifier: Apache-2.0 */
/* perf_test.c - perf events by the static door: libbpf's perf_buffer as it is, and the bytes of the ring, errno and
 * wake-ups next to the kernel's. Every scenario runs on a side: skep's doors, or bare system calls. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/domain.h"
#include "base/obj.h"
#include "skep.h"
#include "sys/door.h"
#include "t.h"

#define CUR	BPF_F_CURRENT_CPU
#define DATA	(2 * 4096u)			/* bytes of a ring's data */

struct side {
	bool kernel;
	int map, prog, ev;
	struct perf_event_mmap_page *page;
};

static long bpf_on(const struct side *s, int cmd, union bpf_attr *a)
{
	long r = s->kernel ? t_kernel_bpf_call(cmd, a, sizeof(*a)) : skep_bpf(cmd, a, sizeof(*a));

	return s->kernel && r < 0 ? -errno : r;
}

static long perf_on(const struct side *s, struct perf_event_attr *a, int pid, int cpu, unsigned long flags)
{
	long r;

	if (s->kernel)
		return raw_syscall(SYS_perf_event_open, (long)a, pid, cpu, -1, (long)flags, 0);
	r = syscall(SYS_perf_event_open, a, pid, cpu, -1, flags);
	return r < 0 ? -errno : r;
}

static long ioctl_on(const struct side *s, int fd, unsigned long cmd, void *arg)
{
	if (s->kernel)
		return raw_syscall(SYS_ioctl, fd, (long)cmd, (long)arg, 0, 0, 0);
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

static long mmap_on(const struct side *s, int fd, size_t len, int prot, int flags)
{
	void *p;

	if (s->kernel)
		return raw_syscall(SYS_mmap, 0, (long)len, prot, flags, fd, 0);
	p = mmap(NULL, len, prot, flags, fd, 0);
	return p == MAP_FAILED ? -errno : (long)p;
}

static struct perf_event_attr output_attr(void)
{
	return (struct perf_event_attr){ .type = PERF_TYPE_SOFTWARE, .size = sizeof(struct perf_event_attr),
		.config = PERF_COUNT_SW_BPF_OUTPUT, .sample_type = PERF_SAMPLE_RAW, .sample_period = 1, .wakeup_events = 1 };
}

/* Writes SIZE of 64 bytes 1, 2, 3, ... and returns what the helper does. */
static int load_output(const struct side *s, u32 type, u64 flags, u32 size)
{
	struct bpf_insn i[64];
	union bpf_attr a = { 0 };
	u32 n = 0;

	i[n++] = (struct bpf_insn){ 0xbf, 6, 1, 0, 0 };
	for (int k = 0; k < 8; k++)
		i[n++] = (struct bpf_insn){ 0x7a, 10, 0, (s16)(-64 + 8 * k), 0x01010101 * (k + 1) };
	i[n++] = (struct bpf_insn){ 0xbf, 1, 6, 0, 0 };
	i[n++] = (struct bpf_insn){ 0x18, 2, 1, 0, s->map };
	i[n++] = (struct bpf_insn){ 0 };
	i[n++] = (struct bpf_insn){ 0x18, 3, 0, 0, (s32)flags };
	i[n++] = (struct bpf_insn){ 0, 0, 0, 0, (s32)(flags >> 32) };
	i[n++] = (struct bpf_insn){ 0xbf, 4, 10, 0, 0 };
	i[n++] = (struct bpf_insn){ 0x07, 4, 0, 0, -64 };
	i[n++] = (struct bpf_insn){ 0xb7, 5, 0, 0, (s32)size };
	i[n++] = (struct bpf_insn){ 0x85, 0, 0, 0, BPF_FUNC_perf_event_output };
	i[n++] = (struct bpf_insn){ 0x95, 0, 0, 0, 0 };
	a.prog_type = type;
	a.insns = (u64)(uintptr_t)i;
	a.insn_cnt = n;
	a.license = (u64)(uintptr_t)"GPL";
	return (int)bpf_on(s, BPF_PROG_LOAD, &a);
}

static int run(const struct side *s, int prog)
{
	u8 pkt[64];
	union bpf_attr a = { 0 };
	long err;

	for (u32 i = 0; i < sizeof(pkt); i++)
		pkt[i] = (u8)(0x80 + i);
	a.test.prog_fd = (u32)prog;
	a.test.data_in = (u64)(uintptr_t)pkt;
	a.test.data_size_in = sizeof(pkt);
	err = bpf_on(s, BPF_PROG_TEST_RUN, &a);
	return err ? (int)err : (int)a.test.retval;
}

static int output(const struct side *s, u32 type, u64 flags, u32 size)
{
	int prog = load_output(s, type, flags, size), ret = prog < 0 ? prog : run(s, prog);

	if (prog >= 0)
		close(prog);
	return ret;
}

static long update(const struct side *s, u32 key, int fd, u64 flags)
{
	union bpf_attr a = { 0 };

	a.map_fd = (u32)s->map;
	a.key = (u64)(uintptr_t)&key;
	a.value = (u64)(uintptr_t)&fd;
	a.flags = flags;
	return bpf_on(s, BPF_MAP_UPDATE_ELEM, &a);
}

static long delete(const struct side *s, u32 key)
{
	union bpf_attr a = { 0 };

	a.map_fd = (u32)s->map;
	a.key = (u64)(uintptr_t)&key;
	return bpf_on(s, BPF_MAP_DELETE_ELEM, &a);
}

static void stay_on_cpu0(void)
{
	cpu_set_t c;

	CPU_ZERO(&c);
	CPU_SET(0, &c);
	sched_setaffinity(0, sizeof(c), &c);
}

static bool begin(struct side *s, bool kernel, struct perf_event_attr *pa)
{
	union bpf_attr a = { 0 };

	stay_on_cpu0();
	*s = (struct side){ .kernel = kernel };
	a.map_type = BPF_MAP_TYPE_PERF_EVENT_ARRAY;
	a.key_size = a.value_size = 4;
	a.max_entries = 3;
	s->map = (int)bpf_on(s, BPF_MAP_CREATE, &a);
	s->ev = (int)perf_on(s, pa, -1, 0, PERF_FLAG_FD_CLOEXEC);
	s->page = s->ev >= 0 ? (void *)mmap_on(s, s->ev, 4096 + DATA, PROT_READ | PROT_WRITE, MAP_SHARED) : NULL;
	return s->map >= 0 && s->ev >= 0 && (long)s->page > 0 && !update(s, 0, s->ev, 0);
}

static void end(struct side *s)
{
	munmap(s->page, 4096 + DATA);
	close(s->ev);
	close(s->map);
}

/* ---- bytes and errno ---- */

struct result {
	int ret[64];
	u32 nr;
	u64 head, lost_runs;
	u8 data[DATA];
	struct perf_event_mmap_page page;
};

static const struct { u32 type; u64 flags; u32 size; int err; const char *name; } outputs[] = {
	{ BPF_PROG_TYPE_XDP, CUR, 16, 0, "16 bytes" },
	{ BPF_PROG_TYPE_XDP, CUR, 0, 0, "nothing" },
	{ BPF_PROG_TYPE_XDP, CUR, 1, 0, "one byte" },
	{ BPF_PROG_TYPE_XDP, CUR, 13, 0, "13 bytes" },
	{ BPF_PROG_TYPE_XDP, 0, 64, 0, "by index" },
	{ BPF_PROG_TYPE_XDP, CUR | 14ull << 32, 4, 0, "a header of the frame behind it" },
	{ BPF_PROG_TYPE_XDP, CUR | 64ull << 32, 3, 0, "all of the frame" },
	{ BPF_PROG_TYPE_XDP, CUR | 65ull << 32, 4, -EFAULT, "more than the frame" },
	{ BPF_PROG_TYPE_XDP, CUR | 0xfffffull << 32, 4, -EFAULT, "much more" },
	{ BPF_PROG_TYPE_SCHED_CLS, CUR | 20ull << 32, 8, 0, "of an skb" },
	{ BPF_PROG_TYPE_SCHED_CLS, CUR | 65ull << 32, 8, -EFAULT, "more than the skb" },
	{ BPF_PROG_TYPE_SOCKET_FILTER, CUR | 50ull << 32, 8, 0, "of a filter's packet" },
	{ BPF_PROG_TYPE_SOCKET_FILTER, CUR | 51ull << 32, 8, -EFAULT, "whose header is pulled" },
	{ BPF_PROG_TYPE_XDP, 1, 4, -ENOENT, "an empty slot" },
	{ BPF_PROG_TYPE_XDP, 3, 4, -E2BIG, "beyond the map" },
	{ BPF_PROG_TYPE_XDP, CUR | 1ull << 52, 4, -EINVAL, "unknown flags" },
	{ BPF_PROG_TYPE_XDP, 1ull << 63, 4, -EINVAL, "unknown flags and index" },
};

static void write_all(struct side *s, struct result *r)
{
	for (u32 i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++)
		r->ret[r->nr++] = output(s, outputs[i].type, outputs[i].flags, outputs[i].size);
}

/* Fill the ring, lose some, read all, write again: what was lost is told. */
static void overflow(struct side *s, struct result *r)
{
	int prog = load_output(s, BPF_PROG_TYPE_XDP, CUR, 60), err = 0;

	for (int i = 0; i < 1000 && r->lost_runs < 7; i++) {
		err = run(s, prog);
		r->lost_runs += err == -ENOSPC;
		if (err && err != -ENOSPC)
			break;
	}
	r->ret[r->nr++] = err;
	__atomic_store_n(&s->page->data_tail, __atomic_load_n(&s->page->data_head, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
	r->ret[r->nr++] = run(s, prog);
	r->ret[r->nr++] = run(s, prog);
	close(prog);
}

/* The id in LOST records is whatever it is. */
static void forget_ids(struct result *r, u64 id)
{
	for (u32 i = 0; i < DATA; i += 8) {
		struct perf_event_header *h = (void *)(r->data + i);
		u8 *at = r->data + (i + 8) % DATA;

		if (h->type == PERF_RECORD_LOST && h->size == 24 && !memcmp(at, &id, 8))
			memset(at, 0, 8);
	}
}

static void scenario(bool kernel, struct result *r)
{
	struct perf_event_attr a = output_attr();
	struct side s;
	u64 id = 0;

	memset(r, 0, sizeof(*r));
	NEED(begin(&s, kernel, &a));
	memcpy(&r->page, s.page, sizeof(r->page));
	write_all(&s, r);
	overflow(&s, r);
	r->head = s.page->data_head;
	EQ(ioctl_on(&s, s.ev, PERF_EVENT_IOC_ID, &id), 0);
	CHECK(id);
	memcpy(r->data, (u8 *)s.page + 4096, DATA);
	forget_ids(r, id);
	r->ret[r->nr++] = (int)ioctl_on(&s, s.ev, PERF_EVENT_IOC_DISABLE, NULL);
	r->ret[r->nr++] = output(&s, BPF_PROG_TYPE_XDP, CUR, 4);
	r->ret[r->nr++] = (int)ioctl_on(&s, s.ev, PERF_EVENT_IOC_ENABLE, NULL);
	r->ret[r->nr++] = (int)ioctl_on(&s, s.ev, PERF_EVENT_IOC_RESET, NULL);
	r->ret[r->nr++] = output(&s, BPF_PROG_TYPE_XDP, CUR, 4);
	r->ret[r->nr++] = (int)ioctl_on(&s, s.ev, PERF_EVENT_IOC_PAUSE_OUTPUT, (void *)1);
	r->ret[r->nr++] = output(&s, BPF_PROG_TYPE_XDP, CUR, 4);
	r->ret[r->nr++] = (int)delete(&s, 0);
	r->ret[r->nr++] = output(&s, BPF_PROG_TYPE_XDP, CUR, 4);
	r->ret[r->nr++] = (int)delete(&s, 0);
	r->ret[r->nr++] = (int)update(&s, 0, s.ev, 1);
	r->ret[r->nr++] = (int)update(&s, 3, s.ev, 0);
	r->ret[r->nr++] = (int)update(&s, 0, s.map, 0);
	r->ret[r->nr++] = (int)update(&s, 0, 9999, 0);
	r->ret[r->nr++] = (int)mmap_on(&s, s.ev, 4096 + 2 * DATA, PROT_READ | PROT_WRITE, MAP_SHARED);
	r->ret[r->nr++] = (int)mmap_on(&s, s.ev, 4096 * 4, PROT_READ | PROT_WRITE, MAP_SHARED);
	end(&s);
}

static struct result mine, theirs;

TEST(rings_hold_the_same_bytes)
{
	scenario(false, &mine);
	for (u32 i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++) {
		t_row("output: %s", outputs[i].name);
		EQ(mine.ret[i], outputs[i].err);
	}
	t_row("what was lost is told");
	EQ(mine.lost_runs, 7);
	if (!t_kernel_bpf())
		return t_skip("no kernel BPF to compare with");
	t_row("as the kernel: returns");
	scenario(true, &theirs);
	EQ(mine.nr, theirs.nr);
	for (u32 i = 0; i < mine.nr; i++)
		if (mine.ret[i] != theirs.ret[i])
			t_fail(__FILE__, __LINE__, "step %u: skep %d, kernel %d", i, mine.ret[i], theirs.ret[i]);
	t_row("as the kernel: positions and bytes");
	EQ(mine.head, theirs.head);
	EQ(mine.lost_runs, theirs.lost_runs);
	for (u32 i = 0; i < DATA; i += 8)
		if (memcmp(mine.data + i, theirs.data + i, 8)) {
			t_fail(__FILE__, __LINE__, "byte %u: %llx, kernel %llx", i,
			       *(unsigned long long *)(mine.data + i), *(unsigned long long *)(theirs.data + i));
			break;
		}
	t_row("as the kernel: the mmap page");
	EQ(mine.page.size, theirs.page.size);
	EQ(mine.page.data_offset, theirs.page.data_offset);
	EQ(mine.page.data_size, theirs.page.data_size);
}

/* ---- samples with more than the raw part ---- */

#define FIELDS	(PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ID | PERF_SAMPLE_STREAM_ID | \
		 PERF_SAMPLE_CPU | PERF_SAMPLE_PERIOD | PERF_SAMPLE_RAW)

struct fields {
	u64 head, sample[10], lost[9];
};

static void fields_run(bool kernel, struct fields *f)
{
	struct perf_event_attr a = output_attr();
	struct side s;
	u64 id = 0, *w, *lost;
	int prog;

	a.sample_type = FIELDS;
	a.sample_id_all = 1;
	NEED(begin(&s, kernel, &a));
	prog = load_output(&s, BPF_PROG_TYPE_XDP, CUR, 12);
	ioctl_on(&s, s.ev, PERF_EVENT_IOC_ID, &id);
	while (!run(&s, prog))
		;
	f->head = s.page->data_head;
	w = (u64 *)((u8 *)s.page + 4096);
	memcpy(f->sample, w, sizeof(f->sample));
	s.page->data_tail = f->head;
	EQ(run(&s, prog), 0);
	lost = (u64 *)((u8 *)s.page + 4096);
	for (int i = 0; i < 9; i++)
		f->lost[i] = lost[(f->head / 8 + (u64)i) % (DATA / 8)];
	CHECK(f->sample[3] && f->lost[4]);		/* times, which differ */
	f->sample[3] = f->lost[4] = 0;
	EQ(f->sample[1], id);
	EQ(f->lost[1], id);
	EQ(f->lost[2], 1);
	for (int i = 0; i < 10; i++)
		f->sample[i] = f->sample[i] == id && i != 6 ? 0 : f->sample[i];
	for (int i = 0; i < 9; i++)
		f->lost[i] = f->lost[i] == id ? 0 : f->lost[i];
	close(prog);
	end(&s);
}

TEST(fields_of_samples)
{
	struct fields ours = { 0 }, its = { 0 };

	fields_run(false, &ours);
	EQ(ours.sample[2], (u64)getpid() << 32 | (u32)getpid());
	if (!t_kernel_bpf())
		return t_skip("no kernel BPF to compare with");
	t_row("fields: as the kernel");
	fields_run(true, &its);
	EQ(ours.head, its.head);
	for (int i = 0; i < 10; i++)
		if (ours.sample[i] != its.sample[i])
			t_fail(__FILE__, __LINE__, "word %d of a sample: %llx, kernel %llx", i,
			       (unsigned long long)ours.sample[i], (unsigned long long)its.sample[i]);
	for (int i = 0; i < 9; i++)
		if (ours.lost[i] != its.lost[i])
			t_fail(__FILE__, __LINE__, "word %d of a LOST record: %llx, kernel %llx", i,
			       (unsigned long long)ours.lost[i], (unsigned long long)its.lost[i]);
}

/* ---- waking ---- */

static const struct { u32 watermark, wakeup, size; bool overwrite, lazy; const char *name; } wakes[] = {
	{ 0, 1, 60, false, false, "each sample" },
	{ 0, 3, 60, false, false, "every third" },
	{ 0, 0, 60, false, false, "half of the ring" },
	{ 1, 1, 60, false, false, "a byte" },
	{ 1, 200, 44, false, false, "200 bytes" },
	{ 1, 7000, 60, false, true, "7000 bytes, read when woken" },
	{ 1, 100000, 60, false, true, "more than the ring" },
	{ 0, 5, 60, true, false, "a ring mapped for reading only: overwritten" },
};

static int poll_now(const struct side *s, int ep)
{
	struct epoll_event ev;

	return s->kernel ? (int)raw_syscall(SYS_epoll_wait, ep, (long)&ev, 1, 0, 0, 0) : epoll_wait(ep, &ev, 1, 0);
}

/* What output and a look at epoll after it gave, 300 times. */
static void wake_run(bool kernel, u32 row, char *log)
{
	struct perf_event_attr a = output_attr();
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC), prog, prot = wakes[row].overwrite ? PROT_READ : PROT_READ | PROT_WRITE;
	struct side s;

	a.watermark = wakes[row].watermark;
	a.wakeup_events = wakes[row].wakeup;
	NEED(begin(&s, kernel, &a));
	munmap(s.page, 4096 + DATA);
	s.page = (void *)mmap_on(&s, s.ev, 4096 + DATA, prot, MAP_SHARED);
	NEED((long)s.page > 0);
	prog = load_output(&s, BPF_PROG_TYPE_XDP, CUR, wakes[row].size);
	if (kernel)
		EQ(raw_syscall(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, s.ev, (long)&ev, 0, 0), 0);
	else
		EQ(epoll_ctl(ep, EPOLL_CTL_ADD, s.ev, &ev), 0);
	for (int i = 0; i < 300; i++) {
		int err = run(&s, prog), woken = poll_now(&s, ep);

		*log++ = (char)((err ? 'x' : 'a') - (woken ? 32 : 0));
		if (prot & PROT_WRITE && (woken || (i % 50 == 49 && !wakes[row].lazy)))
			s.page->data_tail = s.page->data_head;
	}
	*log = 0;
	close(prog);
	close(ep);
	end(&s);
}

TEST(wakes_as_the_kernel)
{
	char ours[301], its[301];

	for (u32 i = 0; i < sizeof(wakes) / sizeof(wakes[0]); i++) {
		t_row("wakes: %s", wakes[i].name);
		wake_run(false, i, ours);
		EQ(strlen(ours), 300);
		EQ(ours[0], wakes[i].wakeup == 1 ? 'A' : 'a');
		if (!t_kernel_bpf())
			continue;
		wake_run(true, i, its);
		STR_EQ(ours, its);
	}
}

/* The last fd of the map goes while a program keeps it. */
static int after_close(bool kernel, u32 flags)
{
	struct side s = { .kernel = kernel };
	struct perf_event_attr pa = output_attr();
	union bpf_attr a = { .map_type = BPF_MAP_TYPE_PERF_EVENT_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1,
			     .map_flags = flags };
	struct obj_dir *d;
	int ret = -1;

	stay_on_cpu0();
	s.map = (int)bpf_on(&s, BPF_MAP_CREATE, &a);
	s.ev = (int)perf_on(&s, &pa, -1, 0, PERF_FLAG_FD_CLOEXEC);
	s.page = (void *)mmap_on(&s, s.ev, 4096 + DATA, PROT_READ | PROT_WRITE, MAP_SHARED);
	s.prog = load_output(&s, BPF_PROG_TYPE_XDP, CUR, 4);
	if ((long)s.page > 0 && s.prog >= 0 && !update(&s, 0, s.ev, 0)) {
		close(s.map);
		if (!kernel && !door_dir(&d))
			obj_gc(d);
		ret = run(&s, s.prog);
		munmap(s.page, 4096 + DATA);
	}
	close(s.ev);
	close(s.prog);
	return ret;
}

TEST(elements_go_with_the_map)
{
	t_row("closed: empty");
	EQ(after_close(false, 0), -ENOENT);
	t_row("closed: kept on demand");
	EQ(after_close(false, BPF_F_PRESERVE_ELEMS), 0);
	if (!t_kernel_bpf())
		return t_skip("no kernel BPF to compare with");
	t_row("closed: as the kernel");
	EQ(after_close(true, 0), -ENOENT);
	EQ(after_close(true, BPF_F_PRESERVE_ELEMS), 0);
}

/* ---- opening ---- */

static const struct { struct perf_event_attr a; int pid, cpu; unsigned long flags; int err; const char *name; } opens[] = {
#define OUT	.type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_BPF_OUTPUT, .sample_type = PERF_SAMPLE_RAW
	{ { OUT, .size = 64 }, -1, 0, 0, 0, "the first size of attr" },
	{ { OUT }, -1, 0, 0, 0, "size 0 is that too" },
	{ { OUT, .size = 63 }, -1, 0, 0, -E2BIG, "smaller" },
	{ { OUT, .size = 4097 }, -1, 0, 0, -E2BIG, "larger than a page" },
	{ { OUT, .size = 112 }, -1, -1, 0, -EINVAL, "everybody everywhere" },
	{ { OUT, .size = 112 }, -1, 5000, 0, -EINVAL, "no such CPU" },
	{ { OUT, .size = 112 }, 0, -1, 0, 0, "this thread" },
	{ { OUT, .size = 112 }, 0x3fffff, -1, 0, -ESRCH, "no such process" },
	{ { OUT, .size = 112 }, -1, 0, 1 << 8, -EINVAL, "unknown flag" },
	{ { OUT, .size = 112, .sample_period = 1ull << 63 }, -1, 0, 0, -EINVAL, "negative period" },
};

TEST(opening)
{
	struct side s = { 0 }, k = { .kernel = true };
	struct perf_event_attr a;

	for (u32 i = 0; i < sizeof(opens) / sizeof(opens[0]); i++) {
		long ret;

		t_row("open: %s", opens[i].name);
		a = opens[i].a;
		ret = perf_on(&s, &a, opens[i].pid, opens[i].cpu, opens[i].flags);
		EQ(ret < 0 ? ret : 0, opens[i].err);
		if (ret >= 0)
			close((int)ret);
		if (!t_kernel_bpf())
			continue;
		a = opens[i].a;
		ret = perf_on(&k, &a, opens[i].pid, opens[i].cpu, opens[i].flags);
		EQ(ret < 0 ? ret : 0, opens[i].err);
		if (ret >= 0)
			close((int)ret);
	}
	t_row("other kinds of event are not ours to give");
	a = (struct perf_event_attr){ .type = PERF_TYPE_HARDWARE, .size = sizeof(a) };
	EQ(perf_on(&s, &a, 0, -1, 0), -EOPNOTSUPP);
	a = (struct perf_event_attr){ .type = PERF_TYPE_BREAKPOINT, .size = sizeof(a) };
	EQ(perf_on(&s, &a, 0, -1, 0), -EOPNOTSUPP);
}

/* ---- libbpf, as it is ---- */

struct seen {
	int samples, bad;
	u64 lost;
};

static void on_sample(void *ctx, int cpu, void *data, __u32 size)
{
	struct seen *n = ctx;

	n->samples++;
	n->bad += size < 8 || *(u32 *)data != 0x01010101;
}

static void on_lost(void *ctx, int cpu, __u64 cnt)
{
	((struct seen *)ctx)->lost += cnt;
}

TEST(libbpf_perf_buffer)
{
	struct side s = { .map = bpf_map_create(BPF_MAP_TYPE_PERF_EVENT_ARRAY, "pb", 4, 4,
						(u32)libbpf_num_possible_cpus(), NULL) };
	struct seen n = { 0 };
	struct perf_buffer *pb;
	int prog, status, runs = 3;
	pid_t child;

	NEED(s.map >= 0);
	prog = load_output(&s, BPF_PROG_TYPE_XDP, CUR, 64);
	NEED(prog >= 0);
	pb = perf_buffer__new(s.map, 1, on_sample, on_lost, &n, NULL);
	NEED(pb);
	t_row("perf_buffer: samples wake the poller once");
	for (int i = 0; i < 3; i++)
		EQ(run(&s, prog), 0);
	CHECK(perf_buffer__poll(pb, 5000) > 0);
	EQ(n.samples, 3);
	EQ(perf_buffer__poll(pb, 10), 0);
	t_row("perf_buffer: of another process");
	child = fork();
	if (!child) {
		usleep(20000);
		_exit(run(&s, prog) ? 1 : 0);
	}
	CHECK(perf_buffer__poll(pb, 10000) > 0);
	EQ(waitpid(child, &status, 0), child);
	EQ(status, 0);
	EQ(n.samples, 4);
	t_row("perf_buffer: each sample is seen or counted as lost");
	for (int i = 0; i < 400; i++, runs++)
		run(&s, prog);
	EQ(perf_buffer__consume(pb), 0);
	for (int i = 0; i < 20; i++, runs++)
		EQ(run(&s, prog), 0);
	EQ(perf_buffer__consume(pb), 0);
	CHECK(n.lost > 0);
	EQ(n.samples + (int)n.lost, runs + 1);
	EQ(n.bad, 0);
	perf_buffer__free(pb);
	close(prog);
	close(s.map);
}

/* ---- what others may do to us ---- */

TEST(garbage_in_the_page_harms_nobody)
{
	static const u64 wrong[] = { 1, 7, 0xfff, DATA, DATA + 8, UINT64_MAX, UINT64_MAX / 2, 1ull << 63 };
	struct perf_event_attr a = output_attr();
	struct side s;
	int prog;

	NEED(begin(&s, false, &a));
	prog = load_output(&s, BPF_PROG_TYPE_XDP, CUR | 64ull << 32, 61);
	for (u32 i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		for (int k = 0; k < 100; k++) {
			int ret;

			s.page->data_tail = wrong[i] + (u64)k * 8;
			s.page->data_head = wrong[i] * 3;
			s.page->data_offset = wrong[i];
			s.page->data_size = wrong[i];
			ret = run(&s, prog);
			CHECK(!ret || ret == -ENOSPC);
		}
	}
	t_row("a reader who behaves again goes on");
	s.page->data_tail = s.page->data_head;
	run(&s, prog);
	s.page->data_tail = s.page->data_head;
	EQ(run(&s, prog), 0);
	close(prog);
	end(&s);
}

TEST(killed_writers_leave_whole_records)
{
	struct perf_event_attr a = output_attr();
	struct side s;
	int prog, rounds = t_fast() ? 20 : 200;

#ifndef LEASE_HAVE_RSEQ
	return t_skip("without rseq a run after a death may lease the slot of a CPU that has no event here");
#endif
	NEED(begin(&s, false, &a));
	prog = load_output(&s, BPF_PROG_TYPE_XDP, CUR, 60);
	NEED(prog >= 0);
	for (int i = 0; i < rounds; i++) {
		u64 head, at;
		pid_t child = fork();

		if (!child)
			for (;;)
				run(&s, prog);
		usleep(1000 + (unsigned int)(i * 137 % 1500));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		run(&s, prog);		/* takes over, finishes what was begun */
		head = s.page->data_head;
		for (at = s.page->data_tail; at < head;) {
			struct perf_event_header *h = (void *)((u8 *)s.page + 4096 + (at & (DATA - 1)));

			CHECK((h->type == PERF_RECORD_SAMPLE && h->size == 72) || (h->type == PERF_RECORD_LOST && h->size == 24));
			if (!h->size || h->size & 7)
				break;
			at += h->size;
		}
		EQ(at, head);
		s.page->data_tail = head;
		EQ(run(&s, prog), 0);
	}
	close(prog);
	end(&s);
}
