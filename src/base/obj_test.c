/* SPDX-License-Identifier: Apache-2.0 */
/* obj_test.c - objects as files: life and death of one object, by one process. Crashes and many processes:
 * test/obj. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/domain.h"
#include "base/obj.h"
#include "t.h"

static struct obj_dir *dir(void)
{
	static struct obj_dir *d;

	if (!d && obj_dir_open(NULL, &d))
		abort();
	return d;
}

static u32 new_obj(enum obj_kind kind, u64 client, int *fd)
{
	struct obj *o;
	u32 id;

	if (obj_create(dir(), kind, "x", client, SKEP_PAGE, &o, fd))
		return 0;
	obj_publish(o);
	id = o->id;
	obj_unmap(o);
	return id;
}

TEST(fd_tells_kind_and_id_by_readlink)
{
	char self[64], path[300], want[300];
	int fd;
	u32 id = new_obj(OBJ_MAP, SKEP_PAGE, &fd);
	ssize_t n;

	NEED(id);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	n = readlink(self, path, sizeof(path) - 1);
	NEED(n > 0);
	path[n] = 0;
	snprintf(want, sizeof(want), "%s/bpf-map/%u", dir()->path, id);
	STR_EQ(path, want);
	EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
	obj_gc(dir());
}

TEST(lives_while_an_fd_is_open)
{
	int fd, again;
	u32 id = new_obj(OBJ_MAP, 0, &fd), next;

	NEED(id);
	CHECK(obj_alive(dir(), OBJ_MAP, id));
	EQ(obj_collect(dir(), OBJ_MAP, id), 0);
	again = obj_open_id(dir(), OBJ_MAP, id, O_RDWR);
	CHECK(again >= 0);
	close(fd);
	CHECK(obj_alive(dir(), OBJ_MAP, id));
	EQ(obj_next_id(dir(), OBJ_MAP, 0, &next), 0);
	EQ(next, id);
	close(again);
	EQ(obj_open_id(dir(), OBJ_MAP, id, O_RDWR), -ENOENT);
	EQ(obj_next_id(dir(), OBJ_MAP, 0, &next), -ENOENT);
	EQ(obj_collect(dir(), OBJ_MAP, id), -ENOENT);
}

TEST(a_half_made_object_is_not_found)
{
	struct obj *o;
	u32 next;
	int fd;

	NEED(!obj_create(dir(), OBJ_PROG, "half", 0, 0, &o, &fd));
	EQ(obj_open_id(dir(), OBJ_PROG, o->id, O_RDWR), -ENOENT);
	EQ(obj_next_id(dir(), OBJ_PROG, 0, &next), -ENOENT);
	obj_abort(o, fd);
	EQ(obj_gc(dir()), 0);
}

TEST(pin_keeps_it_and_unlink_ends_it)
{
	char path[300];
	int fd, pinned;
	u32 id = new_obj(OBJ_MAP, 0, &fd);

	NEED(id);
	EQ(obj_pin(dir(), fd, "a"), 0);
	EQ(obj_pin(dir(), fd, "a"), -EEXIST);
	EQ(obj_pin(dir(), fd, "no/a"), -ENOENT);
	EQ(obj_pin(dir(), fd, "a.b"), -EPERM);
	close(fd);
	EQ(obj_gc(dir()), 0);
	pinned = obj_open_pin(dir(), "a", O_RDWR);
	CHECK(pinned >= 0);
	close(pinned);
	snprintf(path, sizeof(path), "%s/bpffs/a", dir()->path);
	EQ(unlink(path), 0);
	EQ(obj_gc(dir()), 1);
	EQ(obj_open_pin(dir(), "a", O_RDWR), -ENOENT);
}

TEST(references_keep_targets_and_go_with_their_owner)
{
	int map, prog;
	u32 m = new_obj(OBJ_MAP, 0, &map), p = new_obj(OBJ_PROG, 0, &prog);

	NEED(m && p);
	EQ(obj_ref(dir(), OBJ_PROG, p, "map0", OBJ_MAP, m), 0);
	EQ(obj_ref(dir(), OBJ_PROG, p, "map0", OBJ_MAP, m), 0);
	close(map);
	EQ(obj_gc(dir()), 0);
	CHECK(obj_alive(dir(), OBJ_MAP, m));
	close(prog);
	EQ(obj_collect(dir(), OBJ_PROG, p), 1);
	CHECK(!obj_alive(dir(), OBJ_MAP, m));
	EQ(obj_gc(dir()), 0);
}

TEST(mapping_by_any_fd_mode_and_no_liveness_in_it)
{
	static const int modes[] = { O_RDWR, O_RDONLY, O_WRONLY };
	int fd, other;
	u32 id = new_obj(OBJ_MAP, 2 * SKEP_PAGE, &fd);
	struct obj *o;

	NEED(id);
	for (int i = 0; i < 3; i++) {
		struct stat st;
		enum obj_kind k;

		other = obj_open_id(dir(), OBJ_MAP, id, modes[i]);
		NEED(other >= 0);
		EQ(obj_identify(dir(), other, &k, &st), 0);
		EQ(k, OBJ_MAP);
		NEED(!obj_map(dir(), other, &o));
		EQ(o->id, id);
		o->base[5]++;
		close(other);
		obj_unmap(o);
	}
	NEED(!obj_map(dir(), fd, &o));
	EQ(o->base[5], 3);
	close(fd);
	EQ(obj_collect(dir(), OBJ_MAP, id), 1);
	o->base[5] = 0;
	obj_unmap(o);
}

TEST(running_reference_keeps_it_until_unmapped)
{
	int fd;
	u32 id = new_obj(OBJ_MAP, 0, &fd);
	struct obj *o, *run;

	NEED(id && !obj_map(dir(), fd, &o));
	EQ(obj_map_running(dir(), OBJ_MAP, id, o->gen + 1, &run), -ENOENT);
	NEED(!obj_map_running(dir(), OBJ_MAP, id, o->gen, &run));
	close(fd);
	EQ(obj_gc(dir()), 0);
	CHECK(obj_alive(dir(), OBJ_MAP, id));
	obj_unmap(run);
	EQ(obj_gc(dir()), 1);
	obj_unmap(o);
}

TEST(a_write_only_fd_keeps_it)
{
	int fd, wo;
	u32 id = new_obj(OBJ_MAP, 0, &fd);

	NEED(id);
	wo = obj_open_id(dir(), OBJ_MAP, id, O_WRONLY);
	EQ(fcntl(wo, F_GETFL) & O_ACCMODE, O_WRONLY);
	close(fd);
	EQ(obj_gc(dir()), 0);
	close(wo);
	EQ(obj_gc(dir()), 1);
}
