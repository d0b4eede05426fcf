/* SPDX-License-Identifier: Apache-2.0 */
/* door.c - see door.h. Does not include libbpf. */
#include "tool/door.h"

#include <stdlib.h>
#include <string.h>

#include <skep.h>

#include "base/obj.h"
#include "base/sbuf.h"
#include "spec/vmlinux.h"
#include "sys/door.h"
#include "sys/sys.h"

bool rejection_get(struct rejection *r)
{
	const struct vfy_reason *v = skep_last_reason();

	memset(r, 0, sizeof(*r));
	if (!v)
		return false;
	r->err = v->err;
	r->insn = v->insn;
	r->reg = v->reg;
	r->line = v->line;
	r->col = v->col;
	snprintf(r->rule, sizeof(r->rule), "%s", v->rule);
	snprintf(r->kernel, sizeof(r->kernel), "%s", v->kernel);
	snprintf(r->reg_state, sizeof(r->reg_state), "%s", v->reg_state);
	snprintf(r->file, sizeof(r->file), "%s", v->file);
	snprintf(r->line_text, sizeof(r->line_text), "%s", v->line_text);
	return true;
}

void rejection_path_json(struct json *j, const char *key)
{
	static const char *const taken[] = { "no", "yes" };
	const struct vfy_reason *v = skep_last_reason();

	json_arr(j, key);
	for (u32 i = 0; v && i < v->nr_path; i++) {
		json_obj(j, NULL);
		json_u64(j, "insn", v->path[i].insn);
		if (v->path[i].taken < ARRAY_SIZE(taken))
			json_bool(j, "taken", v->path[i].taken);
		if (v->path[i].known[0])
			json_str(j, "known", v->path[i].known);
		json_end(j, '}');
	}
	json_end(j, ']');
}

const void *vmlinux_btf(u32 *size)
{
	*size = spec_vmlinux.size;
	return spec_vmlinux.data;
}

static struct obj_dir *dir(void)
{
	struct caller c;

	return caller_self(&c) ? NULL : c.dir;
}

int tool_dir(struct obj_dir **out)
{
	struct caller c;
	int err = caller_self(&c);

	*out = err ? NULL : c.dir;
	return err;
}

u64 fdinfo_u64(int fd, const char *field)
{
	struct obj_dir *d = dir();
	struct sbuf b = {};
	size_t n = strlen(field);
	u64 v = 0;

	if (d && !sys_fdinfo(d, fd, &b) && b.len)
		for (char *p = b.s; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
			if (!strncmp(p, field, n) && p[n] == ':')
				v = strtoull(p + n + 1, NULL, 0);
	sbuf_free(&b);
	return v;
}

bool gc_used(void)
{
	return door_dir_peek();
}

int gc_run(void)
{
	struct obj_dir *d = dir();
	struct caller c;

	return d ? obj_gc(d) : caller_self(&c);
}
