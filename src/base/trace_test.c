/* SPDX-License-Identifier: Apache-2.0 */
/* trace_test.c - the trace buffer: order, overwriting with a count, several writers, dead writers, garbage, truncation. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <fcntl.h>

#include "base/trace.h"
#include "t.h"

static struct obj_dir *dir(const char *name)
{
	struct obj_dir *d = NULL;
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", t_tmpdir(), name);
	EQ(obj_dir_open(path, &d), 0);
	if (d)
		EQ(trace_open(d), 0);
	return d;
}

static void say(struct obj_dir *d, const char *s)
{
	trace_write(d, 1, s, (u32)strlen(s));
}

TEST(lines_come_out_once_in_order)
{
	struct obj_dir *d = dir("order");
	struct trace_line l;
	u64 lost;

	NEED(d);
	say(d, "one");
	say(d, "two");
	EQ(trace_read(d, &l, &lost), 1);
	STR_EQ(l.text, "one");
	EQ(l.tgid, getpid());
	CHECK(l.ns && l.comm[0]);
	EQ(trace_read(d, &l, &lost), 1);
	STR_EQ(l.text, "two");
	EQ(trace_read(d, &l, &lost), 0);
	EQ(lost, 0);
	obj_dir_close(d);
}

TEST(old_lines_give_way_and_are_counted)
{
	struct obj_dir *d = dir("full");
	struct trace_line l;
	u64 lost, n = 0, first = 0;
	char text[64];

	NEED(d);
	for (u32 i = 0; i < 10000; i++) {
		snprintf(text, sizeof(text), "line %u %.*s", i, (int)(i % 40), "........................................");
		say(d, text);
	}
	EQ(trace_read(d, &l, &lost), 1);
	first = strtoull(l.text + 5, NULL, 10);
	CHECK(first > 0);
	EQ(lost, first);
	for (n = first + 1; trace_read(d, &l, &lost) == 1; n++) {
		EQ(strtoull(l.text + 5, NULL, 10), n);
		EQ(lost, 0);
	}
	EQ(n, 10000);
	obj_dir_close(d);
}

TEST(peeking_leaves_lines_and_notices_what_it_missed)
{
	struct obj_dir *d = dir("peek");
	struct trace_pos p;
	struct trace_line l;
	u64 lost;

	NEED(d);
	say(d, "before");
	trace_seek_end(d, &p);
	EQ(trace_peek(d, &p, &l), 0);
	say(d, "after");
	EQ(trace_peek(d, &p, &l), 1);
	STR_EQ(l.text, "after");
	EQ(trace_peek(d, &p, &l), 0);
	EQ(trace_read(d, &l, &lost), 1);
	STR_EQ(l.text, "before");
	for (u32 i = 0; i < 10000; i++)
		say(d, "many lines that push out the ones before");
	EQ(trace_peek(d, &p, &l), 1);
	CHECK(p.lost > 0);
	obj_dir_close(d);
}

TEST(long_text_is_cut_and_empty_text_is_a_line)
{
	struct obj_dir *d = dir("long");
	char text[2000];
	struct trace_line l;
	u64 lost;

	NEED(d);
	memset(text, 'x', sizeof(text));
	trace_write(d, 1, text, sizeof(text));
	trace_write(d, 1, text, 0);
	EQ(trace_read(d, &l, &lost), 1);
	EQ(strlen(l.text), TRACE_TEXT - 1);
	EQ(trace_read(d, &l, &lost), 1);
	EQ(strlen(l.text), 0);
	obj_dir_close(d);
}

/* Killed at a random instruction, again and again: what is left is whole lines, and the lock is taken over. */
TEST(writers_killed_at_any_time_leave_whole_lines)
{
	struct obj_dir *d = dir("killed");
	u32 rounds = t_fast() ? 20 : 200, whole = 0;
	struct trace_line l;
	u64 lost;

	NEED(d);
	for (u32 i = 0; i < rounds; i++) {
		pid_t pid = fork();

		if (!pid)
			for (;;)
				say(d, "abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz");
		usleep(1000 + i * 37 % 1000);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		say(d, "survivor");
	}
	while (trace_read(d, &l, &lost) == 1) {
		CHECK(!strcmp(l.text, "survivor") ||
		      !strcmp(l.text, "abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz"));
		whole++;
	}
	STR_EQ(l.text, "survivor");
	CHECK(whole > 0);
	obj_dir_close(d);
}

TEST(garbage_in_the_file_empties_it)
{
	struct obj_dir *d = dir("garbage");
	static u8 junk[TRACE_SIZE];
	struct trace_line l;
	char path[400];
	u64 lost;
	int fd;

	NEED(d);
	say(d, "lost");
	memset(junk, 0xa5, sizeof(junk));
	snprintf(path, sizeof(path), "%s/trace", d->path);
	fd = open(path, O_RDWR);
	EQ(pwrite(fd, junk, sizeof(junk), SKEP_PAGE), sizeof(junk));
	EQ(trace_read(d, &l, &lost), 0);
	CHECK(lost > 0);
	say(d, "goes on");
	EQ(trace_read(d, &l, &lost), 1);
	STR_EQ(l.text, "goes on");
	EQ(pwrite(fd, junk, 24, 24), 24);	/* head, tail, lost */
	say(d, "and on");
	trace_read(d, &l, &lost);
	say(d, "still");
	EQ(trace_read(d, &l, &lost), 1);
	STR_EQ(l.text, "still");
	EQ(ftruncate(fd, 0), 0);
	say(d, "into nothing");
	CHECK(trace_read(d, &l, &lost) <= 0);
	close(fd);
	obj_dir_close(d);
}
