/* SPDX-License-Identifier: Apache-2.0 */
/* btf.c - skep btf: type information as objects: list, and dump as C. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tool/maps.h"
#include "tool/vmlinux.h"

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

static int dump(const struct btf *btf)
{
	int err = btf_write_c(btf, stdout);

	return err ? fail_errno(err, "btf dump") : 0;
}

/* An object's types, or skep's own under the name that the kernel's have. */
static int dump_file(const char *path)
{
	struct btf *btf = strcmp(path, VMLINUX_PATH) ? btf__parse(path, NULL) : vmlinux_open();
	int rc;

	if (!btf)
		return fail_errno(-errno, "%s", path);
	rc = dump(btf);
	btf__free(btf);
	return rc;
}

static int dump_id(u32 id)
{
	struct btf *btf = btf__load_from_kernel_by_id(id);
	int rc;

	if (libbpf_get_error(btf))
		return errno == ENOENT ? fail(EXIT_FAILED, "no btf has id %u", id) : fail_errno(-errno, "btf id %u", id);
	rc = dump(btf);
	btf__free(btf);
	return rc;
}

static int do_dump(int argc, char **argv)
{
	u32 id;

	if (opt.json)
		return fail(EXIT_USAGE, "btf dump prints C, not JSON");
	if (argc >= 2 && is_prefix(argv[0], "file"))
		return dump_file(argv[1]);
	if (argc >= 2 && is_prefix(argv[0], "id") && !parse_u32(argv[1], &id))
		return dump_id(id);
	return fail(EXIT_USAGE, "which? Say: btf dump id N, or btf dump file FILE");
}

static const struct cmd commands[] = {
	{ "list", do_list, "", "type information loaded" },
	{ "show", do_list, "", "the same" },
	{ "dump", do_dump, "id N | file FILE [format c]", "as C; file " VMLINUX_PATH ": skep's own types" },
	{},
};

int cmd_btf(int argc, char **argv)
{
	return cmd_dispatch(commands, "btf", argc, argv);
}
