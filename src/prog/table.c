/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - the programs that this process has built from images, found by (dev, ino).
 *
 * The table holds one reference of its own, so that a client that test-runs the same fd again and again links
 * once. An entry keeps no liveness in the directory (its program's hard links keep the maps alive while the
 * program lives); an entry whose object was collected is dropped at the next lookup that misses.
 * Lock: table_lock guards the list and all reference counts that may reach zero. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sha256.h"
#include "base/trace.h"
#include "prog/prog.h"
#include "spec/spec.h"

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct prog *table;

/* ---- linking ---- */

static vm_helper link_helper(void *arg, u32 id)
{
	const struct spec_helper *h = spec_helper(id);
	const struct prog *p = arg;

	if (h && h->flags & SPEC_HELPER_TRACES)
		trace_open(p->obj->dir);	/* now: a run cannot. Without it lines are lost, as in a full ring */
	return prog_helper(id);
}

static vm_helper link_kfunc(void *arg, u32 row)
{
	return NULL;
}

static void *link_map(void *arg, u32 index)
{
	struct prog *p = arg;

	return index < p->nr_maps ? p->maps[index] : NULL;
}

static void *link_map_value(void *arg, u32 index, u32 off)
{
	struct map *m = link_map(arg, index);
	void *addr;

	if (!m || !m->ops->direct || m->ops->direct(m, off, &addr))
		return NULL;
	return addr;
}

static void *link_map_data(void *arg, u32 index)
{
	struct map *m = link_map(arg, index);

	return m ? m->data : NULL;
}

static u32 link_map_index(void *arg, u32 id)
{
	struct prog *p = arg;

	for (u32 i = 0; i < p->nr_maps; i++)
		if (p->maps[i]->id == id)
			return i;
	return UINT32_MAX;
}

#define TAIL_CALL_MAX 33

/* bpf_tail_call(): where to go on, NULL to fall through. */
static void *tail_call(void *ctx, void *map, u32 index, u32 *count)
{
	struct run *r = run_self();
	struct map *m = map;
	struct prog *next;

	if (*count >= TAIL_CALL_MAX || index >= m->attr.max_entries)
		return NULL;
	next = map_prog_slot(m, index);
	if (!next || !next->entry != !r->prog->entry)
		return NULL;
	++*count;
	return next->entry ? (void *)next->entry : (void *)next->interp;
}

/* An image being built from: a private copy, so that what was checked is what is used. */
struct build {
	struct prog *p;
	u8 *area;
};

static const void *section(const struct build *b, enum image_sec_id s)
{
	return b->area + b->p->hdr.sec[s].off;
}

static u32 count(const struct build *b, enum image_sec_id s, u32 elem)
{
	return b->p->hdr.sec[s].size / elem;
}

static int check_sections(const struct prog *p)
{
	for (u32 i = 0; i < IMG_SECS; i++) {
		const struct image_sec *s = &p->hdr.sec[i];

		if (s->off & 7 || (u64)s->off + s->size > p->obj->private_size)
			return -EUCLEAN;
	}
	return p->hdr.sec[IMG_STATS].size < sizeof(struct image_stats) ? -EUCLEAN : 0;
}

void prog_image_digest(const struct image_hdr *hdr, const u8 *area, u8 out[32])
{
	u8 parts[IMG_SECS + 1][32] = { { 0 } };

	sha256(hdr, sizeof(*hdr), parts[0]);
	for (u32 i = 0; i < IMG_SECS; i++)
		if (i != IMG_STATS && hdr->sec[i].size)
			sha256(area + hdr->sec[i].off, hdr->sec[i].size, parts[i + 1]);
	sha256(parts, sizeof(parts), out);
}

static int copy_image(struct build *b)
{
	const struct obj *o = b->p->obj;
	u8 d[32];

	b->area = malloc(o->private_size);
	if (!b->area)
		return -ENOMEM;
	memcpy(b->area, o->base + o->client_size, o->private_size);
	prog_image_digest(&b->p->hdr, b->area, d);
	return memcmp(d, o->hdr->digest, sizeof(d)) ? -EUCLEAN : 0;
}

/* The program's hard links keep its maps alive; opening one here needs no reference of its own. */
static int open_map(struct obj_dir *d, const struct image_ref *ref, struct map **out)
{
	int fd = obj_open_id(d, OBJ_MAP, ref->id, O_RDWR), err;

	if (fd < 0)
		return fd;
	err = map_open_fd(d, fd, out);
	close(fd);
	if (err)
		return err;
	if ((*out)->obj->gen != ref->gen) {
		map_put(*out);
		return -ESTALE;
	}
	return 0;
}

static int open_maps(const struct build *b)
{
	const struct image_ref *refs = section(b, IMG_MAPS);
	u32 n = count(b, IMG_MAPS, sizeof(*refs));
	struct prog *p = b->p;
	int err;

	p->maps = calloc(n + 1, sizeof(*p->maps));
	if (!p->maps)
		return -ENOMEM;
	for (; p->nr_maps < n; p->nr_maps++) {
		err = open_map(p->obj->dir, &refs[p->nr_maps], &p->maps[p->nr_maps]);
		if (err)
			return err;
	}
	return 0;
}

static int link_code(const struct build *b)
{
	struct prog *p = b->p;
	const struct vm_link l = {
		.arg = p, .helper = link_helper, .kfunc = link_kfunc, .map = link_map,
		.map_value = link_map_value, .map_data = link_map_data,
		.map_index = link_map_index, .tail_call = tail_call,
	};
	const struct image_subprog *subs = section(b, IMG_SUBPROGS);
#if defined(__x86_64__)
	const enum image_sec_id code = IMG_CODE_X86, reloc = IMG_RELOC_X86;
#else
	const enum image_sec_id code = IMG_CODE_ARM64, reloc = IMG_RELOC_ARM64;
#endif
	int err;

	if (p->hdr.sec[code].size && !prog_force_interp) {
		err = code_link(section(b, code), p->hdr.sec[code].size, section(b, reloc),
				count(b, reloc, sizeof(struct image_reloc)), &l, &p->code);
		if (!err) {
			p->entry = (u64 (*)(void *))code_entry(p->code, subs[0].code_off);
			return 0;
		}
		/* no executable memory here, or code for another CPU: interpret */
		if (err != -EPERM && err != -EACCES && err != -ENOEXEC)
			return err;
	}
	return interp_link(section(b, IMG_XLATED), count(b, IMG_XLATED, sizeof(struct bpf_insn)),
			   subs, count(b, IMG_SUBPROGS, sizeof(*subs)), &l, &p->interp);
}

/* ---- the table ---- */

static void destroy(struct prog *p)
{
	if (p->code)
		code_free(p->code);
	if (p->interp)
		interp_free(p->interp);
	for (u32 i = 0; i < p->nr_maps; i++)
		map_put(p->maps[i]);
	free(p->maps);
	if (p->obj)
		obj_unmap(p->obj);
	free(p);
}

static int build_from(struct build *b)
{
	struct prog *p = b->p;
	int err;

	memcpy(&p->hdr, p->obj->hdr->kind_data, sizeof(p->hdr));
	p->id = p->obj->id;
	p->refs = 1;
	if (p->obj->kind != OBJ_PROG || p->hdr.version != IMAGE_VERSION)
		return -EINVAL;
	if (p->hdr.flags & IMG_F_STUBS)
		return -EOPNOTSUPP;
	err = check_sections(p);
	if (err)
		return err;
	p->stats = (struct image_stats *)(p->obj->base + p->obj->client_size +
					  p->hdr.sec[IMG_STATS].off);
	p->needs_cpu = p->hdr.flags & (IMG_F_NEEDS_CPU | IMG_F_TAIL_CALLS);
	err = copy_image(b);
	if (err)
		return err;
	err = open_maps(b);
	return err ? err : link_code(b);
}

static int build(struct obj_dir *d, int fd, struct prog **out)
{
	struct build b = { .p = calloc(1, sizeof(*b.p)) };
	enum obj_kind kind;
	struct stat st;
	int err;

	if (!b.p)
		return -ENOMEM;
	err = obj_identify(d, fd, &kind, &st);
	if (!err)
		err = kind == OBJ_PROG ? obj_map(d, fd, &b.p->obj) : -EINVAL;
	if (!err)
		err = build_from(&b);
	free(b.area);
	if (err)
		destroy(b.p);
	else
		*out = b.p;
	return err;
}

/* Under table_lock: unlink entries that only the table holds and whose object is gone. */
static struct prog *sweep(void)
{
	struct prog **pp = &table, *gone = NULL, *p;

	while ((p = *pp)) {
		if (p->refs == 1 && (READ_ONCE(p->obj->hdr->state) == OBJ_DEAD || READ_ONCE(p->obj->damaged))) {
			*pp = p->next;
			p->next = gone;
			gone = p;
		} else {
			pp = &p->next;
		}
	}
	return gone;
}

static struct prog *find(const struct stat *st)
{
	for (struct prog *p = table; p; p = p->next)
		if (p->obj->ino == st->st_ino && p->obj->dev == st->st_dev && !READ_ONCE(p->obj->damaged)) {
			p->refs++;
			return p;
		}
	return NULL;
}

int prog_open_fd(struct obj_dir *d, int fd, struct prog **out)
{
	struct prog *p, *gone;
	struct stat st;
	int err;

	if (fstat(fd, &st))
		return -EBADF;
	pthread_mutex_lock(&table_lock);
	p = find(&st);
	pthread_mutex_unlock(&table_lock);
	if (p) {
		*out = p;
		return 0;
	}
	err = build(d, fd, &p);
	if (err)
		return err;
	pthread_mutex_lock(&table_lock);
	gone = sweep();
	*out = find(&st);			/* another thread may have been faster */
	if (!*out) {
		p->refs++;
		p->next = table;
		table = p;
		*out = p;
		p = NULL;
	}
	pthread_mutex_unlock(&table_lock);
	if (p)
		destroy(p);
	while (gone) {
		p = gone->next;
		destroy(gone);
		gone = p;
	}
	return 0;
}

int prog_open_id(struct obj_dir *d, u32 id, u64 gen, struct prog **out)
{
	int fd = obj_open_id(d, OBJ_PROG, id, O_RDONLY), err;

	if (fd < 0)
		return fd;
	err = prog_open_fd(d, fd, out);
	close(fd);
	if (!err && gen && (*out)->obj->gen != gen) {
		prog_put(*out);
		return -ENOENT;
	}
	return err;
}

void prog_get(struct prog *p)
{
	pthread_mutex_lock(&table_lock);
	p->refs++;
	pthread_mutex_unlock(&table_lock);
}

/* The table's own reference keeps an entry until sweep(); nobody else frees. */
void prog_put(struct prog *p)
{
	pthread_mutex_lock(&table_lock);
	p->refs--;
	pthread_mutex_unlock(&table_lock);
}

/* A tail call's target. Its reference is never given back: a run may be inside of it, and nobody knows yet when none
 * is (that comes with the agent). What stays mapped is bounded by the programs that were in a prog_array. */
static struct prog *resolve(struct obj_dir *d, u32 id, u64 gen)
{
	struct prog *p;

	return prog_open_id(d, id, gen, &p) ? NULL : p;
}

__attribute__((constructor)) static void install(void)
{
	map_resolve_prog = resolve;
}
