/* SPDX-License-Identifier: Apache-2.0 */
/* btf.c - skep btf: type information as objects: list, and dump as C. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tool/maps.h"

static int list_one(u32 id)
{
	struct bpf_btf_info i = {};
	u32 len = sizeof(i);
	char name[64] = "";
	struct json *j = out_json();
	int fd = bpf_btf_get_fd_by_id(id);

	if (fd < 0)
		return 0;	/* went away meanwhile */
	i.name = (u64)(uintptr_t)name;
	i.name_len = sizeof(name);
	if (bpf_obj_get_info_by_fd(fd, &i, &len)) {
		close(fd);
		return fail_errno(-errno, "btf id %u", id);
	}
	close(fd);
	if (opt.json) {
		json_obj(j, NULL);
		json_u64(j, "id", id);
		json_u64(j, "size", i.btf_size);
		json_bool(j, "kernel", i.kernel_btf);
		if (*name)
			json_str(j, "name", name);
		json_end(j, '}');
	} else {
		printf("%u: %s  size %uB\n", id, *name ? name : "name <anon>", i.btf_size);
	}
	return 0;
}

static int do_list(int argc, char **argv)
{
	u32 id = 0;
	int rc = 0;

	if (opt.json)
		json_arr(out_json(), NULL);
	while (!rc && !bpf_btf_get_next_id(id, &id))
		rc = list_one(id);
	if (opt.json)
		json_end(out_json(), ']');
	return rc;
}

static void put_c(void *ctx, const char *fmt, va_list ap)
{
	vprintf(fmt, ap);
}

static int dump_c(const struct btf *btf)
{
	struct btf_dump *d = btf_dump__new(btf, put_c, NULL, NULL);
	int err = (int)libbpf_get_error(d);

	if (err)
		return fail_errno(err, "btf dump");
	for (u32 id = 1; id < btf__type_cnt(btf) && !err; id++)
		err = btf_dump__dump_type(d, id);
	btf_dump__free(d);
	return err ? fail_errno(err, "btf dump") : 0;
}

static int do_dump(int argc, char **argv)
{
	struct btf *btf;
	int rc;
	u32 id;

	if (argc < 2 || !is_prefix(argv[0], "id") || parse_u32(argv[1], &id))
		return fail(EXIT_USAGE, "which? Say: btf dump id N");
	if (opt.json)
		return fail(EXIT_USAGE, "btf dump prints C, not JSON");
	btf = btf__load_from_kernel_by_id(id);
	if (libbpf_get_error(btf))
		return errno == ENOENT ? fail(EXIT_FAILED, "no btf has id %u", id) : fail_errno(-errno, "btf id %u", id);
	rc = dump_c(btf);
	btf__free(btf);
	return rc;
}

static const struct cmd commands[] = {
	{ "list", do_list, "", "type information loaded" },
	{ "show", do_list, "", "the same" },
	{ "dump", do_dump, "id N [format c]", "as C" },
	{},
};

int cmd_btf(int argc, char **argv)
{
	return cmd_dispatch(commands, "btf", argc, argv);
}
