/* SPDX-License-Identifier: Apache-2.0 */
/* fdmap.c - arrays whose values name objects: PROG_ARRAY, ARRAY_OF_MAPS, PERF_EVENT_ARRAY.
 *
 * A slot in shared memory holds one word, id and half of the generation, and the whole generation beside it;
 * the object lives by a hard link "INDEX.ID" among the map's references (base/obj.h). Programs read the word only and
 * find what it means in this process in a private table, whose entry is valid while its word is the slot's. Nothing
 * in shared memory is an address.
 *
 * Changes are made under the map's lock, with a journal: link the new, store the word, unlink the old. Whoever
 * takes the lock from the dead unlinks what the slot does not name.
 *
 * What a private table held before stays mapped until the map is detached here: a program may still run on it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/tls.h"
#include "map/perf.h"
#include "map/priv.h"
#include "vm/image.h"

/* In other people's processes a run opens nothing: the agent's helper comes by before it (hook/warm.c). */
#ifdef SKEP_AGENT
#define RUNS_OPEN	false
#else
#define RUNS_OPEN	true
#endif
#define FD_FLAGS	(BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY)

struct fd_slot {			/* shared */
	u64 word;			/* low half of gen : id; 0: empty; atomic */
	u64 gen;
};

struct fd_shm {				/* shared, private area; under the lock */
	struct lock lock;
	u32 busy;			/* the journal is valid */
	u32 index;
	u64 old_gen;
	u32 old_id, new_id;
	u8 pad[32];
	struct fd_slot slot[];
};
_Static_assert(sizeof(struct fd_shm) == 64, "one line");

struct fd_cache {			/* process-local, read without lock */
	u64 word;			/* 0 while being written */
	void *p;
};

struct fdmap {
	struct fd_shm *shm;
	struct fd_cache *cache;
	u32 writer;			/* 0 or 1: cache is being written; never waited for */
	struct map_ref *retired;	/* replaced in the cache; push only */
	struct perf_event *retired_events;
};

struct prog *(*map_resolve_prog)(struct obj_dir *d, u32 id, u64 gen);
void (*map_forget_prog)(struct prog *p);

static struct fdmap *fdmap_of(const struct map *m)
{
	return m->priv;
}

static u64 word_of(u32 id, u64 gen)
{
	return id ? gen << 32 | id : 0;
}

static enum obj_kind kind_of(const struct map *m)
{
	switch (m->attr.type) {
	case BPF_MAP_TYPE_PROG_ARRAY:
		return OBJ_PROG;
	case BPF_MAP_TYPE_PERF_EVENT_ARRAY:
		return OBJ_PERF;
	}
	return OBJ_MAP;
}

/* ---- changing a slot ---- */

static void ref_name(char name[32], u32 index, u32 id)
{
	snprintf(name, 32, "%u.%u", index, id);
}

static void unref(struct map *m, u32 index, u32 id)
{
	char name[32];

	ref_name(name, index, id);
	obj_unref(m->obj->dir, OBJ_MAP, m->id, name);
}

/* The dead left a change half done: keep what the slot says. */
static void settle(struct map *m)
{
	struct fd_shm *s = fdmap_of(m)->shm;
	u32 index = READ_ONCE(s->index), old = READ_ONCE(s->old_id), new = READ_ONCE(s->new_id), now;

	if (!READ_ONCE(s->busy) || index >= m->attr.max_entries)
		goto out;
	now = READ_ONCE(s->slot[index].word);
	if (now == old)
		WRITE_ONCE(s->slot[index].gen, READ_ONCE(s->old_gen));
	if (old && old != now)
		unref(m, index, old);
	if (new && new != now && new != old)
		unref(m, index, new);
out:
	STORE_RELEASE(s->busy, 0);
}

static int lock_slots(struct map *m)
{
	int err = lock_take(m->dom, &fdmap_of(m)->shm->lock);

	if (err == 1) {
		settle(m);
		return 0;
	}
	return err == -EAGAIN ? -EBUSY : err;
}

/* The lock is held. ID 0 empties. */
static int store_slot(struct map *m, u32 index, u32 id, u64 gen)
{
	struct fd_shm *s = fdmap_of(m)->shm;
	struct fd_slot *slot = &s->slot[index];
	u32 old = READ_ONCE(slot->word);
	char name[32];
	int err = 0;

	WRITE_ONCE(s->index, index);
	WRITE_ONCE(s->old_gen, READ_ONCE(slot->gen));
	WRITE_ONCE(s->old_id, old);
	WRITE_ONCE(s->new_id, id);
	STORE_RELEASE(s->busy, 1);
	if (id && READ_ONCE(slot->word) != word_of(id, gen)) {
		ref_name(name, index, id);
		err = obj_ref(m->obj->dir, OBJ_MAP, m->id, name, kind_of(m), id);
	}
	if (!err) {
		STORE_RELEASE(slot->gen, gen);
		STORE_RELEASE(slot->word, word_of(id, gen));
		if (old && old != id)
			unref(m, index, old);
	}
	STORE_RELEASE(s->busy, 0);
	return err;
}

static int change_slot(struct map *m, u32 index, u32 id, u64 gen)
{
	struct fd_shm *s = fdmap_of(m)->shm;
	int err = lock_slots(m);

	if (err)
		return err;
	if (!id && !READ_ONCE(s->slot[index].word))
		err = -ENOENT;
	else
		err = store_slot(m, index, id, gen);
	lock_drop(m->dom, &s->lock);
	return err;
}

/* Word and generation that belong together; 0: empty. */
static u64 read_slot(const struct map *m, u32 index, u64 *gen)
{
	const struct fd_slot *slot = &fdmap_of(m)->shm->slot[index];
	u64 word;

	for (int i = 0; i < 100; i++) {
		word = LOAD_ACQUIRE(slot->word);
		*gen = LOAD_ACQUIRE(slot->gen);
		if (word == READ_ONCE(slot->word) && (!word || word >> 32 == (u32)*gen))
			return word;
		cpu_relax();
	}
	return 0;
}

/* ---- the private table ---- */

static void *cached(const struct map *m, u32 index, u64 word)
{
	const struct fd_cache *c = &fdmap_of(m)->cache[index];
	void *p;

	if (LOAD_ACQUIRE(c->word) != word)
		return NULL;
	p = LOAD_ACQUIRE(c->p);
	return READ_ONCE(c->word) == word ? p : NULL;	/* pairs with remember() */
}

/* Returns what was there before, to be given up by the caller; -EBUSY when somebody else is writing. */
static int remember(struct map *m, u32 index, u64 word, void *p, void **before)
{
	struct fdmap *f = fdmap_of(m);
	struct fd_cache *c = &f->cache[index];
	u32 free = 0;

	if (!__atomic_compare_exchange_n(&f->writer, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return -EBUSY;
	*before = READ_ONCE(c->p);
	__atomic_store_n(&c->word, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&c->p, p, __ATOMIC_RELEASE);
	STORE_RELEASE(c->word, word);
	STORE_RELEASE(f->writer, 0);
	return 0;
}

/* What slot INDEX holds, as an object of this process; RESOLVE makes one that was not met before. */
static inline __attribute__((always_inline)) void *slot_object(struct map *m, u32 index,
							       void *(*resolve)(struct map *m, u32 index))
{
	void *p;
	u64 word;

	if (index >= m->attr.max_entries)
		return NULL;
	word = LOAD_ACQUIRE(fdmap_of(m)->shm->slot[index].word);
	if (!word)
		return NULL;
	p = cached(m, index, word);
	if (likely(p))
		return p;
	return RUNS_OPEN || !tls()->run ? resolve(m, index) : NULL;
}

static void *resolve_prog(struct map *m, u32 index)
{
	u64 gen, word = read_slot(m, index, &gen);
	void *before = NULL;
	struct prog *p;

	if (!word || !map_resolve_prog)
		return NULL;
	p = map_resolve_prog(m->obj->dir, (u32)word, gen);
	if (p && !remember(m, index, word, p, &before) && before && before != p && map_forget_prog)
		map_forget_prog(before);
	return p;
}

struct prog *map_prog_slot(struct map *m, u32 index)
{
	return slot_object(m, index, resolve_prog);
}

static void retire(struct fdmap *f, struct map *m)
{
	struct map_ref *r = malloc(sizeof(*r));

	if (!r)
		return;			/* stays mapped for good */
	r->m = m;
	r->next = __atomic_load_n(&f->retired, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&f->retired, &r->next, r, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

static void *resolve_map(struct map *m, u32 index)
{
	u64 gen, word = read_slot(m, index, &gen);
	struct map *inner;
	void *before = NULL;

	if (!word || map_open_id(m->obj->dir, (u32)word, gen, &inner))
		return NULL;
	if (remember(m, index, word, inner, &before))
		before = inner;		/* used, not kept in the table */
	if (before)
		retire(fdmap_of(m), before);
	return inner;
}

struct map *map_inner(struct map *outer, const void *key)
{
	return slot_object(outer, load_key32(key), resolve_map);
}

static void *resolve_event(struct map *m, u32 index)
{
	u64 gen, word = read_slot(m, index, &gen);
	struct perf_event *e;
	void *before = NULL;

	if (!word || perf_event_attach_id(m->obj->dir, (u32)word, gen, &e))
		return NULL;
	if (remember(m, index, word, e, &before))
		before = e;		/* used, not kept in the table */
	if (before)
		perf_event_retire(&fdmap_of(m)->retired_events, before);
	return e;
}

struct perf_event *map_perf_slot(struct map *m, u32 index)
{
	return slot_object(m, index, resolve_event);
}

static void *lookup_inner(struct map *m, const void *key, u32 cpu)
{
	return map_inner(m, key);
}

static void *lookup_none(struct map *m, const void *key, u32 cpu)
{
	return NULL;
}

/* ---- which programs go together ---- */

bool map_prog_compatible(struct map *m, const struct map_prog_owner *o)
{
	struct map_meta *meta = (struct map_meta *)m->obj->hdr->kind_data;
	u64 mine = BIT64(63) | (u64)o->attach_func_hash << 24 | (u64)o->xdp_frags << 17 | (u64)o->jited << 16 |
		   (u64)o->attach_type << 8 | o->type, theirs = 0;

	return __atomic_compare_exchange_n(&meta->owner, &theirs, mine, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE) || theirs == mine;
}

static int check_prog(struct map *m, u32 id, u64 gen)
{
	struct obj_dir *d = m->obj->dir;
	struct map_prog_owner own = { .jited = true };
	int fd = obj_open_id(d, OBJ_PROG, id, O_RDONLY), err;
	struct image_hdr h;
	struct obj *o;

	if (fd < 0)
		return fd;
	err = obj_map(d, fd, &o);
	close(fd);
	if (err)
		return err;
	racy_copy(&h, o->hdr->kind_data, sizeof(h));
	err = o->gen == gen ? 0 : -EBADF;
	obj_unmap(o);
	own.type = h.prog_type;
	own.attach_type = h.attach_type;
	own.xdp_frags = h.prog_flags & BPF_F_XDP_HAS_FRAGS;
	if (!err && h.flags & IMG_F_STUBS)
		err = -EOPNOTSUPP;	/* a tail call would fall through without a word */
	if (!err && !map_prog_compatible(m, &own))
		err = -EINVAL;
	return err;
}

/* As like the template as the kernel asks for. */
static int check_inner(struct map *m, u32 id, u64 gen)
{
	const struct map_attr *t = &m->inner, *a;
	int fd = obj_open_id(m->obj->dir, OBJ_MAP, id, O_RDWR), err;
	struct map *inner;

	if (fd < 0)
		return fd;
	err = map_open_fd(m->obj->dir, fd, &inner);
	close(fd);
	if (err)
		return err;
	a = &inner->attr;
	if (inner->obj->gen != gen)
		err = -EBADF;
	else if (a->type != t->type || a->key_size != t->key_size || a->value_size != t->value_size ||
		 a->flags != t->flags)
		err = -EINVAL;
	else if (a->type == BPF_MAP_TYPE_ARRAY && !(a->flags & BPF_F_INNER_MAP) && a->max_entries != t->max_entries)
		err = -EINVAL;
	map_put(inner);
	return err;
}

static int set_obj(struct map *m, u32 index, u32 id, u64 gen)
{
	int err = 0;

	if (index >= m->attr.max_entries)
		return -E2BIG;
	if (id)
		err = kind_of(m) == OBJ_PROG ? check_prog(m, id, gen) : check_inner(m, id, gen);
	return err ? err : change_slot(m, index, id, gen);
}

/* ---- commands ---- */

static int fd_to_obj(const struct map *m, int fd, u32 *id, u64 *gen)
{
	struct obj_dir *d = m->obj->dir;
	enum obj_kind kind;
	struct stat st;
	struct obj *o;
	int err = obj_identify(d, fd, &kind, &st);

	if (err)
		return err;
	if (kind != kind_of(m))
		return -EINVAL;
	err = obj_map(d, fd, &o);
	if (err)
		return err;
	*id = o->id;
	*gen = o->gen;
	obj_unmap(o);
	return 0;
}

static int copy_in(struct map *m, const void *key, const void *value, u64 flags)
{
	u32 index = load_key32(key), id;
	u64 gen;
	int err;

	if (flags != BPF_ANY)
		return -EINVAL;
	if (index >= m->attr.max_entries)
		return -E2BIG;
	err = fd_to_obj(m, (int)load_key32(value), &id, &gen);
	return err ? err : set_obj(m, index, id, gen);
}

static int copy_out(struct map *m, const void *key, void *value, u64 flags)
{
	u32 index = load_key32(key), id;

	if (index >= m->attr.max_entries)
		return -ENOENT;
	id = READ_ONCE(fdmap_of(m)->shm->slot[index].word);
	if (!id)
		return -ENOENT;
	memcpy(value, &id, 4);
	return 0;
}

static long delete(struct map *m, const void *key)
{
	u32 index = load_key32(key);

	return index >= m->attr.max_entries ? -E2BIG : change_slot(m, index, 0, 0);
}

static int next_key(struct map *m, const void *key, void *next)
{
	return array_ops.next_key(m, key, next);
}

static void user_gone(struct map *m)
{
	/* A writer that was killed between link and store left a link that no slot names: the lock settles it. */
	if (lock_slots(m))
		return;
	lock_drop(m->dom, &fdmap_of(m)->shm->lock);
	for (u32 i = 0; i < m->attr.max_entries; i++)
		if (READ_ONCE(fdmap_of(m)->shm->slot[i].word))
			change_slot(m, i, 0, 0);
}

static int perf_copy_in(struct map *m, const void *key, const void *value, u64 flags)
{
	u32 index = load_key32(key), id;
	u64 gen;
	int err;

	if (flags != BPF_ANY)
		return -EINVAL;
	if (index >= m->attr.max_entries)
		return -E2BIG;
	err = fd_to_obj(m, (int)load_key32(value), &id, &gen);
	if (err)
		return err == -EINVAL ? -EBADF : err;
	return change_slot(m, index, id, gen);
}

/* The kernel takes away what was stored by a description of the map when that is closed; here, with the last one. */
static void perf_user_gone(struct map *m)
{
	if (!(m->attr.flags & BPF_F_PRESERVE_ELEMS))
		user_gone(m);
}

static int perf_copy_out(struct map *m, const void *key, void *value, u64 flags)
{
	return -ENOTSUPP;
}

/* ---- planning, attaching ---- */

static int plan_flags(const struct map_attr *a, u32 flags, u64 *csize, u64 *psize)
{
	if (!a->max_entries || a->key_size != 4 || a->value_size != 4 || (a->flags & ~flags) || !access_flags_ok(a->flags))
		return -EINVAL;
	*csize = 0;
	*psize = ALIGN_UP(sizeof(struct fd_shm) + (u64)a->max_entries * sizeof(struct fd_slot), SKEP_PAGE);
	return 0;
}

static int plan(const struct map_attr *a, u32 ncpus, u64 *csize, u64 *psize, u64 geo[16])
{
	return plan_flags(a, FD_FLAGS, csize, psize);
}

static int perf_plan(const struct map_attr *a, u32 ncpus, u64 *csize, u64 *psize, u64 geo[16])
{
	return plan_flags(a, FD_FLAGS | BPF_F_PRESERVE_ELEMS, csize, psize);
}

static int attach(struct map *m)
{
	struct fdmap *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->shm = (struct fd_shm *)m->priv_shm;
	f->cache = calloc(m->attr.max_entries, sizeof(*f->cache));
	if (!f->cache) {
		free(f);
		return -ENOMEM;
	}
	m->priv = f;
	return 0;
}

static void detach(struct map *m)
{
	struct fdmap *f = fdmap_of(m);
	struct map_ref *r;

	for (u32 i = 0; i < m->attr.max_entries; i++) {
		if (!f->cache[i].p)
			continue;
		if (kind_of(m) == OBJ_MAP)
			retire(f, f->cache[i].p);
		else if (kind_of(m) == OBJ_PERF)
			perf_event_detach(f->cache[i].p);
		else if (map_forget_prog)
			map_forget_prog(f->cache[i].p);
	}
	while ((r = f->retired)) {
		f->retired = r->next;
		map_put_later(r);
	}
	perf_event_detach_all(f->retired_events);
	free(f->cache);
	free(f);
}

const struct map_ops prog_array_ops = {
	.plan = plan, .attach = attach, .detach = detach, .lookup = lookup_none, .delete = delete,
	.next_key = next_key, .copy_out = copy_out, .copy_in = copy_in, .set_obj = set_obj, .user_gone = user_gone,
};

const struct map_ops array_of_maps_ops = {
	.plan = plan, .attach = attach, .detach = detach, .lookup = lookup_inner, .delete = delete,
	.next_key = next_key, .copy_out = copy_out, .copy_in = copy_in, .set_obj = set_obj,
};

const struct map_ops perf_event_array_ops = {
	.plan = perf_plan, .attach = attach, .detach = detach, .lookup = lookup_none, .delete = delete,
	.next_key = next_key, .copy_out = perf_copy_out, .copy_in = perf_copy_in, .user_gone = perf_user_gone,
};
