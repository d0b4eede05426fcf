/* SPDX-License-Identifier: Apache-2.0 */
/* btf_cmd.c - BTF objects: BTF_LOAD, and this process's parsed copies of them.
 *
 * The blob starts the object's private area, struct btf_meta says its size. It is validated again whenever a process
 * parses it: the file is not trusted. Parsed copies are immutable, shared, kept while somebody uses them (table under
 * `lock`). */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "sys/cmds.h"
#include "sys/sys.h"

#define BTF_MAX	(16u << 20)		/* the kernel's BTF_MAX_SIZE */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sys_btf *table;

/* A new object holding BLOB. Returns the fd. */
static int store(struct call *k, const void *blob, u32 size)
{
	u64 room = ALIGN_UP((u64)size, SKEP_PAGE);
	struct btf_meta *meta;
	struct obj *o;
	int fd, err;

	err = obj_create(k->c->dir, OBJ_BTF, "", 0, room, &o, &fd);
	if (err)
		return err;
	memcpy(o->base + o->client_size, blob, size);
	meta = (struct btf_meta *)o->hdr->kind_data;
	meta->size = size;
	err = obj_publish(o);
	if (err) {
		obj_abort(o, fd);
		return err;
	}
	obj_unmap(o);
	return fd;
}

static long load(struct call *k, struct sys_log *l)
{
	struct sbuf text = { 0 };
	struct btf *b = NULL;
	void *blob;
	int err, lerr;

	err = call_dup(k, k->a.btf, k->a.btf_size, &blob);
	if (!err)
		err = blob ? btf_parse(blob, k->a.btf_size, NULL, l->level ? &text : NULL, &b) : -EINVAL;
	if (b)
		btf_free(b);
	lerr = sys_log_finish(k, l, text.s, text.len);
	if (k->size >= offsetofend(union skep_attr, btf_log_true_size)) {
		k->a.btf_log_true_size = l->true_size;
		if (CALL_PUT(k, btf_log_true_size))
			lerr = -EFAULT;
	}
	if (lerr)
		err = lerr;			/* the kernel overwrites the verdict with it */
	if (!err)
		err = store(k, blob, k->a.btf_size);
	free(blob);
	sbuf_free(&text);
	return err;
}

long cmd_btf_load(struct call *k)
{
	union skep_attr *a = &k->a;
	struct sys_log l;
	int err;

	if (a->btf_flags & ~BPF_F_TOKEN_FD)
		return -EINVAL;
	if (a->btf_flags & BPF_F_TOKEN_FD)
		return -EBADF;			/* there are no tokens: no fd can be one */
	if (!call_capable(k, VFY_CAP_BPF))
		return -EPERM;
	if (a->btf_size > BTF_MAX)
		return -E2BIG;
	err = sys_log_init(&l, a->btf_log_level, a->btf_log_buf, a->btf_log_size);
	return err ? err : call_give_fd(k, (int)load(k, &l));
}

static struct sys_btf *find(const struct obj *o)
{
	for (struct sys_btf *b = table; b; b = b->next)
		if (b->dev == o->dev && b->ino == o->ino && b->gen == o->gen) {
			b->refs++;
			return b;
		}
	return NULL;
}

static int parse_obj(const struct obj *o, struct sys_btf **out)
{
	struct btf_meta meta;
	struct sys_btf *b;
	void *copy;
	int err;

	if (fault_copy_from(&meta, o->hdr->kind_data, sizeof(meta)))
		return -EUCLEAN;
	if (!meta.size || meta.size > o->private_size || meta.size > BTF_MAX)
		return -EUCLEAN;
	b = calloc(1, sizeof(*b));
	copy = malloc(meta.size);
	if (!b || !copy) {
		err = -ENOMEM;
		goto fail;
	}
	err = fault_copy_from(copy, o->base + o->client_size, meta.size) ? -EUCLEAN : 0;
	if (err)
		goto fail;
	err = btf_parse(copy, meta.size, NULL, NULL, &b->btf);
	if (err)
		goto fail;
	free(copy);
	b->id = o->id;
	b->gen = o->gen;
	b->dev = o->dev;
	b->ino = o->ino;
	b->refs = 1;
	b->next = table;
	table = *out = b;
	return 0;
fail:
	free(copy);
	free(b);
	return err;
}

static int get_parsed(const struct obj *o, struct sys_btf **out)
{
	int err = 0;

	pthread_mutex_lock(&lock);
	*out = find(o);
	if (!*out)
		err = parse_obj(o, out);
	pthread_mutex_unlock(&lock);
	return err;
}

int sys_btf_open_fd(struct call *k, u32 fd, struct sys_btf **out)
{
	struct obj *o;
	int err = call_get_obj(k, fd, OBJ_BTF, &o);

	if (err)
		return err;
	err = get_parsed(o, out);
	obj_unmap(o);
	return err;
}

int sys_btf_open_id(struct obj_dir *d, u32 id, struct sys_btf **out)
{
	struct obj *o;
	int err = obj_map_running(d, OBJ_BTF, id, 0, &o);

	if (err)
		return err;
	err = get_parsed(o, out);
	obj_unmap(o);
	return err;
}

void sys_btf_put(struct sys_btf *b)
{
	struct sys_btf **p = &table;

	if (!b)
		return;
	pthread_mutex_lock(&lock);
	if (--b->refs) {
		pthread_mutex_unlock(&lock);
		return;
	}
	while (*p != b)
		p = &(*p)->next;
	*p = b->next;
	pthread_mutex_unlock(&lock);
	btf_free(b->btf);
	free(b);
}
