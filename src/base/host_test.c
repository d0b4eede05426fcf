/* SPDX-License-Identifier: Apache-2.0 */
/* host_test.c - the facts agree with what can be seen otherwise. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/host.h"
#include "t.h"

static struct host_fact f[HOST_FACTS_MAX];

static const struct host_fact *fact(const char *dir, const char *key)
{
	u32 n = host_facts(dir, f);

	for (u32 i = 0; i < n; i++)
		if (!strcmp(f[i].key, key))
			return &f[i];
	t_fail(__FILE__, __LINE__, "no fact %s", key);
	return &f[0];
}

TEST(every_fact_says_something)
{
	u32 n = host_facts(NULL, f);

	CHECK(n >= 12 && n <= HOST_FACTS_MAX);
	for (u32 i = 0; i < n; i++) {
		t_row("fact %s", f[i].key);
		CHECK(f[i].value[0] && f[i].title[0]);
		for (u32 j = 0; j < i; j++)
			CHECK(strcmp(f[i].key, f[j].key));
	}
}

TEST(the_directory)
{
	char path[128];

	t_row("a directory not made yet is not made by asking");
	snprintf(path, sizeof(path), "%s/d", t_tmpdir());
	EQ(fact(path, "dir")->level, HOST_OK);
	CHECK(access(path, F_OK));
	t_row("one that others may enter is bad");
	mkdir(path, 0755);
	chmod(path, 0755);
	EQ(fact(path, "dir")->level, HOST_BAD);
	t_row("a good one is good");
	chmod(path, 0700);
	EQ(fact(path, "dir")->level, HOST_OK);
	EQ(fact(path, "dir")->number, 1);
	t_row("its file system is a tmpfs with room");
	EQ(fact(path, "fs")->number, 1);
	CHECK(fact(path, "fs_free")->number > 0 || fact(path, "fs_free")->number == -1);
	t_row("one whose parent is missing is bad");
	snprintf(path, sizeof(path), "%s/no/such/dir", "/proc");
	EQ(fact(path, "dir")->level, HOST_BAD);
}

TEST(kernel_bpf_agrees_with_a_call)
{
	EQ(fact(NULL, "kernel_bpf")->number, t_kernel_bpf());
}
