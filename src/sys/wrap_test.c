/* SPDX-License-Identifier: Apache-2.0 */
/* wrap_test.c - the static door: libbpf.a linked with the --wrap flags, as embedders do. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/door.h"
#include "sys/sys.h"
#include "t.h"

#define PIN "/sys/fs/bpf/wrapped/map"

TEST(libbpf_pins_below_sys_fs_bpf)
{
	struct statfs st;
	int fd, again;

	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "w", 4, 8, 1, NULL);
	NEED(fd >= 0);
	NEED(!mkdir("/sys/fs/bpf/wrapped", 0700));
	EQ(statfs("/sys/fs/bpf/wrapped", &st), 0);
	EQ(st.f_type, SYS_BPFFS_MAGIC);
	EQ(bpf_obj_pin(fd, PIN), 0);
	EQ(access(PIN, F_OK), 0);
	close(fd);
	again = bpf_obj_get(PIN);
	CHECK(again >= 0);
	close(again);
	EQ(unlink(PIN), 0);
	EQ(bpf_obj_get(PIN), -ENOENT);
	EQ(rmdir("/sys/fs/bpf/wrapped"), 0);
	t_row("other places are the host's");
	EQ(statfs("/", &st), 0);
	CHECK(st.f_type != SYS_BPFFS_MAGIC);
	EQ(unlink("/nonexistent/x"), -1);
	EQ(errno, ENOENT);
}

static int load_emitter(int ring)
{
	struct bpf_insn i[] = {
		{ 0x18, 1, 1, 0, ring }, { 0 },
		{ 0xb7, 2, 0, 0, 7 }, { 0x7b, 10, 2, -8, 0 },		/* *(u64 *)(r10 - 8) = 7 */
		{ 0xbf, 2, 10, 0, 0 }, { 0x07, 2, 0, 0, -8 },
		{ 0xb7, 3, 0, 0, 8 }, { 0xb7, 4, 0, 0, 0 },
		{ 0x85, 0, 0, 0, BPF_FUNC_ringbuf_output },
		{ 0xb7, 0, 0, 0, 0 }, { 0x95, 0, 0, 0, 0 },
	};

	return bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "emit", "GPL", i, sizeof(i) / sizeof(i[0]), NULL);
}

static int emit(int prog, int n)
{
	char pkt[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = pkt, .data_size_in = sizeof(pkt), .repeat = n);

	return bpf_prog_test_run_opts(prog, &o);
}

static int count(void *ctx, void *data, size_t size)
{
	*(int *)ctx += size == 8 && *(u64 *)data == 7;
	return 0;
}

TEST(ring_buffer_by_epoll)
{
	struct epoll_event ev;
	struct ring_buffer *rb;
	int ring, prog, seen = 0, status;
	pid_t child;

	ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "rb", 0, 0, 4096, NULL);
	prog = load_emitter(ring);
	NEED(ring >= 0 && prog >= 0);
	t_row("records from before anybody waited");
	EQ(emit(prog, 3), 0);
	rb = ring_buffer__new(ring, count, &seen, NULL);
	NEED(rb);
	EQ(ring_buffer__poll(rb, 5000), 3);
	t_row("nothing there: the wait ends by time");
	EQ(ring_buffer__poll(rb, 10), 0);
	t_row("records of another process wake the waiter");
	child = fork();
	if (!child) {
		usleep(20000);
		_exit(emit(prog, 2) ? 1 : 0);
	}
	while (seen < 5 && ring_buffer__poll(rb, 5000) > 0)
		;
	EQ(waitpid(child, &status, 0), child);
	EQ(status, 0);
	EQ(seen, 5);
	t_row("records read without waiting leave no event behind");
	EQ(ring_buffer__poll(rb, 0), 0);
	for (int i = 0; i < 20; i++) {
		EQ(emit(prog, 1), 0);
		EQ(ring_buffer__consume(rb), 1);
		EQ(epoll_wait(ring_buffer__epoll_fd(rb), &ev, 1, 0), 0);
	}
	t_row("nor do they end a wait before its time");
	EQ(emit(prog, 1), 0);
	EQ(ring_buffer__consume(rb), 1);
	child = fork();
	if (!child) {
		usleep(50000);
		_exit(emit(prog, 1) ? 1 : 0);
	}
	EQ(ring_buffer__poll(rb, 5000), 1);
	EQ(waitpid(child, &status, 0), child);
	EQ(status, 0);
	t_row("a watch ends with its set, another one begins");
	ring_buffer__free(rb);
	rb = ring_buffer__new(ring, count, &seen, NULL);
	NEED(rb);
	EQ(emit(prog, 1), 0);
	EQ(ring_buffer__poll(rb, 5000), 1);
	ring_buffer__free(rb);
	close(prog);
	close(ring);
}

TEST(epoll_of_others)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC), file = open("/proc/self/exe", O_RDONLY), p[2];
	int hash = bpf_map_create(BPF_MAP_TYPE_HASH, "h", 4, 4, 1, NULL);

	NEED(ep >= 0 && file >= 0 && hash >= 0 && !pipe(p));
	t_row("a regular file cannot be polled");
	EQ(epoll_ctl(ep, EPOLL_CTL_ADD, file, &ev), -1);
	EQ(errno, EPERM);
	t_row("nor can a hash map");
	EQ(epoll_ctl(ep, EPOLL_CTL_ADD, hash, &ev), -1);
	EQ(errno, EPERM);
	t_row("a pipe is none of ours");
	EQ(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev), 0);
	EQ(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev), -1);
	EQ(errno, EEXIST);
	EQ(write(p[1], "x", 1), 1);
	EQ(epoll_wait(ep, &ev, 1, 0), 1);
	EQ(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL), 0);
	EQ(epoll_ctl(ep, EPOLL_CTL_DEL, 9999, NULL), -1);
	EQ(errno, EBADF);
	close(p[0]);
	close(p[1]);
	close(ep);
	close(file);
	close(hash);
}

TEST(ring_watch_can_be_changed_and_dropped)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 77 }, got;
	int ep = epoll_create1(EPOLL_CLOEXEC), ring, prog;

	ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "rb", 0, 0, 4096, NULL);
	prog = load_emitter(ring);
	NEED(ep >= 0 && ring >= 0 && prog >= 0);
	EQ(epoll_ctl(ep, EPOLL_CTL_MOD, ring, &ev), -1);
	EQ(errno, ENOENT);
	EQ(epoll_ctl(ep, EPOLL_CTL_ADD, ring, &ev), 0);
	EQ(epoll_ctl(ep, EPOLL_CTL_ADD, ring, &ev), -1);
	EQ(errno, EEXIST);
	t_row("the event carries the client's data, again and again while records wait");
	EQ(emit(prog, 1), 0);
	for (int i = 0; i < 3; i++) {
		memset(&got, 0, sizeof(got));
		EQ(epoll_wait(ep, &got, 1, 2000), 1);
		EQ(got.data.u64, 77);
	}
	t_row("changed data");
	ev.data.u64 = 78;
	EQ(epoll_ctl(ep, EPOLL_CTL_MOD, ring, &ev), 0);
	EQ(epoll_wait(ep, &got, 1, 2000), 1);
	EQ(got.data.u64, 78);
	t_row("dropped");
	EQ(epoll_ctl(ep, EPOLL_CTL_DEL, ring, NULL), 0);
	EQ(epoll_wait(ep, &got, 1, 10), 0);
	EQ(epoll_ctl(ep, EPOLL_CTL_DEL, ring, NULL), -1);
	EQ(errno, ENOENT);
	close(ep);
	close(ring);
	close(prog);
}

TEST(calls_by_number)
{
	t_row("other calls by number are the kernel's, errno is kept");
	errno = 123;
	EQ(syscall(SYS_getpid), getpid());
	EQ(errno, 123);
	EQ(syscall(SYS_close, 9999), -1);
	EQ(errno, EBADF);
	errno = 123;
	EQ(syscall(SYS_bpf, BPF_MAP_GET_NEXT_ID, &(union bpf_attr){ 0 }, sizeof(union bpf_attr)) <= 0, 1);
}

TEST(a_forked_child_shares_maps)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "f", 4, 8, 4, NULL), status;
	u32 key = 1;
	u64 value = 0;
	pid_t child;

	NEED(fd >= 0);
	child = fork();
	if (!child) {
		value = 42;
		_exit(bpf_map_update_elem(fd, &key, &value, 0) ? 1 : 0);
	}
	EQ(waitpid(child, &status, 0), child);
	EQ(status, 0);
	EQ(bpf_map_lookup_elem(fd, &key, &value), 0);
	EQ(value, 42);
	close(fd);
}

TEST(pin_paths)
{
	static const struct { const char *path, *cwd, *rel; int err; } rows[] = {
		{ "/sys/fs/bpf/x", NULL, "x", 0 }, { "/sys/fs/bpf//a/./b/../x", NULL, "a/x", 0 },
		{ "/sys/fs/bpf", NULL, "", 0 }, { "/sys/fs/bpfx/y", NULL, NULL, -ENOENT },
		{ "/sys/fs/bpf/../x", NULL, NULL, -ENOENT }, { "/d/bpffs/x", NULL, "x", 0 },
		{ "/d/x", NULL, NULL, -ENOENT }, { "x", NULL, "x", 0 }, { "x", "/d/bpffs/sub", "sub/x", 0 },
		{ "x", "/home", "x", 0 }, { "../../../x", NULL, NULL, -ENOENT }, { "/tmp/x", "/d/bpffs", NULL, -ENOENT },
	};
	char out[256];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int err = sys_pin_path("/d", rows[i].path, rows[i].cwd, out, sizeof(out));

		t_row("pin path %s from %s", rows[i].path, rows[i].cwd ? rows[i].cwd : "anywhere");
		EQ(err, rows[i].err);
		if (!err)
			STR_EQ(out, rows[i].rel);
	}
}
