/* SPDX-License-Identifier: Apache-2.0 */
/* map.c - the table of map types, creating and attaching, and this process's table of open maps.
 *
 * A struct map is one attached object, found by (dev, ino): its mapping holds the inode, so the pair cannot come to
 * mean something else while the entry exists. Nothing in it is taken from shared memory but what attach() checked:
 * the type's plan() is computed anew from the attr in the file, and sizes and geometry must be what it says.
 *
 * References are counted without a lock; an entry with none left stays cached (a command would otherwise map and unmap
 * the file each time) until its object is dead or room is needed. Only sweep(), under the table's lock, frees one.
 * Lock order: table lock, then whatever base/ takes. Never taken from hooks: they are handed a struct map. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "map/priv.h"

static const struct map_ops *const map_types[] = {
	[BPF_MAP_TYPE_HASH]		= &hash_ops,
	[BPF_MAP_TYPE_ARRAY]		= &array_ops,
	[BPF_MAP_TYPE_PROG_ARRAY]	= &prog_array_ops,
	[BPF_MAP_TYPE_PERF_EVENT_ARRAY]	= &perf_event_array_ops,
	[BPF_MAP_TYPE_PERCPU_HASH]	= &percpu_hash_ops,
	[BPF_MAP_TYPE_PERCPU_ARRAY]	= &percpu_array_ops,
	[BPF_MAP_TYPE_LRU_HASH]		= &lru_hash_ops,
	[BPF_MAP_TYPE_LRU_PERCPU_HASH]	= &lru_percpu_hash_ops,
	[BPF_MAP_TYPE_ARRAY_OF_MAPS]	= &array_of_maps_ops,
	[BPF_MAP_TYPE_QUEUE]		= &queue_ops,
	[BPF_MAP_TYPE_STACK]		= &stack_ops,
	[BPF_MAP_TYPE_BLOOM_FILTER]	= &bloom_ops,
	[BPF_MAP_TYPE_RINGBUF]		= &ringbuf_ops,
};

const struct map_ops *map_ops_of(u32 type)
{
	return type < ARRAY_SIZE(map_types) ? map_types[type] : NULL;
}

/* The node must exist and be online. */
int map_plan_numa(const struct map_attr *a)
{
	char path[64];

	if (!(a->flags & BPF_F_NUMA_NODE))
		return 0;
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%u", a->numa_node);
	return !a->numa_node || !access(path, F_OK) ? 0 : -EINVAL;
}

u32 map_user_value_size(const struct map *m)
{
	const struct spec_map *s = spec_map(m->attr.type);

	if (s && (s->ops & SPEC_MAP_FD_VALUE))
		return 4;
	return is_percpu(m) ? m->value_stride * m->ncpus : m->attr.value_size;
}

/* ---- attaching ---- */

static struct map_meta *shared_meta(const struct obj *o)
{
	return (struct map_meta *)o->hdr->kind_data;
}
_Static_assert(sizeof(struct map_meta) <= sizeof_field(struct obj_hdr, kind_data), "kind data");

static void detach(struct map *m)
{
	if (m->ops->detach)
		m->ops->detach(m);
	if (m->running && m->running != m->obj)
		obj_unmap(m->running);
	obj_unmap(m->obj);
	free(m);
}

/* Is what the file says of itself what plan() would have made of its attr? */
static int check_meta(const struct obj *o, const struct map_meta *meta)
{
	const struct map_ops *ops = map_ops_of(meta->attr.type);
	u64 csize, psize, geo[16] = { 0 };

	if (!ops || !meta->ncpus || meta->ncpus > DOMAIN_MAX_CPUS || o->kind != OBJ_MAP)
		return -EUCLEAN;
	if (ops->plan(&meta->attr, meta->ncpus, &csize, &psize, geo))
		return -EUCLEAN;
	if (csize != o->client_size || psize != o->private_size ||
	    memcmp(geo, meta->geometry, GEO_FIXED * sizeof(geo[0])))
		return -EUCLEAN;
	return 0;
}

/* On success the map owns O; on failure the caller still does. */
static int attach(struct obj *o, bool fresh, struct map **out)
{
	struct map_meta meta;
	struct map *m;
	int err;

	racy_copy(&meta, shared_meta(o), sizeof(meta));
	err = check_meta(o, &meta);
	if (err)
		return err;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->ops = map_ops_of(meta.attr.type);
	m->lookup = m->ops->lookup;
	m->obj = o;
	m->dom = o->dir->dom;
	m->attr = meta.attr;
	m->inner = meta.inner;
	m->id = o->id;
	m->value_stride = ALIGN_UP(meta.attr.value_size, 8u);
	m->ncpus = meta.ncpus;
	m->data = o->base;
	m->priv_shm = o->base + o->client_size;
	memcpy(m->geo, meta.geometry, sizeof(m->geo));
	m->refs = 1;
	err = 0;
	if (fresh && m->ops->init) {
		err = m->ops->init(m);
		memcpy(shared_meta(o)->geometry, m->geo, sizeof(m->geo));
	}
	if (!err && m->ops->attach)
		err = m->ops->attach(m);
	if (err)
		free(m);
	else
		*out = m;
	return err;
}

/* ---- the table of open maps ---- */

#define TABLE_SIZE	256
#define IDLE_MAX	64			/* unused entries kept */
#define IDLE_BYTES	(256ull << 20)		/* and how much they may map */

static struct {
	pthread_mutex_t lock;
	struct map *bucket[TABLE_SIZE];
	u64 tick;
	struct map_ref *later;
} table = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void table_lock(void)
{
	pthread_mutex_lock(&table.lock);
}

static void unlock_only(void)
{
	pthread_mutex_unlock(&table.lock);
}

void map_put_later(struct map_ref *r)
{
	r->next = table.later;
	table.later = r;
}

static void table_unlock(void)
{
	struct map_ref *r = table.later, *next;

	table.later = NULL;
	unlock_only();
	for (; r; r = next) {
		next = r->next;
		map_put(r->m);
		free(r);
	}
}

/* base/ found that the last user reference and pin of a map went while programs keep it. */
static void on_user_gone(struct obj_dir *d, enum obj_kind kind, u32 id)
{
	struct map *m;
	int fd;

	fd = kind == OBJ_MAP ? obj_open_id(d, OBJ_MAP, id, O_RDWR) : -1;
	if (fd < 0)
		return;
	if (!map_open_fd(d, fd, &m)) {
		if (m->ops->user_gone)
			m->ops->user_gone(m);
		map_put(m);
	}
	close(fd);
}

/* A fork must not copy the lock as somebody else's. */
static void __attribute__((constructor)) table_init(void)
{
	pthread_atfork(table_lock, unlock_only, unlock_only);
	obj_on_user_gone = on_user_gone;
}

static u32 slot_of(dev_t dev, ino_t ino)
{
	return (ino ^ ino >> 8 ^ dev) % TABLE_SIZE;
}

static struct map *find(dev_t dev, ino_t ino)
{
	struct map *m = table.bucket[slot_of(dev, ino)];

	while (m && (m->obj->ino != ino || m->obj->dev != dev))
		m = m->next;
	return m;
}

static void insert(struct map *m)
{
	struct map **b = &table.bucket[slot_of(m->obj->dev, m->obj->ino)];

	m->next = *b;
	*b = m;
	m->used = ++table.tick;
}

static bool idle(const struct map *m)
{
	return !LOAD_ACQUIRE(m->refs);		/* pairs with the release in map_put() */
}

static void drop(struct map **at)
{
	struct map *m = *at;

	*at = m->next;
	detach(m);
}

/* Unused entries: of dead objects, all of D, the eldest when there are too many. */
static void sweep(const struct obj_dir *all_of)
{
	struct map **at, **eldest;
	u64 bytes;
	u32 n;

	do {
		eldest = NULL, bytes = n = 0;
		for (u32 i = 0; i < TABLE_SIZE; i++) {
			for (at = &table.bucket[i]; *at;) {
				struct map *m = *at;

				if (idle(m) && (m->obj->dir == all_of ||
						READ_ONCE(m->obj->hdr->state) == OBJ_DEAD)) {
					drop(at);
					continue;
				}
				if (idle(m)) {
					n++, bytes += m->obj->size;
					if (!eldest || m->used < (*eldest)->used)
						eldest = at;
				}
				at = &m->next;
			}
		}
		if (n <= IDLE_MAX && bytes <= IDLE_BYTES)
			return;
		drop(eldest);
	} while (true);
}

void map_dir_close(struct obj_dir *d)
{
	table_lock();
	sweep(d);
	table_unlock();
}

void map_get(struct map *m)
{
	__atomic_add_fetch(&m->refs, 1, __ATOMIC_RELAXED);
}

/* Nobody here uses it any more: give RUN back. */
static void drop_running(dev_t dev, ino_t ino)
{
	struct map **at, *m;

	table_lock();
	at = &table.bucket[slot_of(dev, ino)];
	while ((m = *at) && (m->obj->ino != ino || m->obj->dev != dev))
		at = &m->next;
	if (m && idle(m) && m->running) {
		if (m->running == m->obj) {
			m->running = NULL;
			drop(at);
		} else {
			obj_unmap(m->running);
			WRITE_ONCE(m->running, NULL);
		}
	}
	table_unlock();
}

void map_put(struct map *m)
{
	bool running = READ_ONCE(m->running);
	dev_t dev = m->obj->dev;
	ino_t ino = m->obj->ino;

	if (!__atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) && running)
		drop_running(dev, ino);
}

static int healthy(const struct map *m, u64 size)
{
	return obj_check_size(m->obj) || size < m->obj->size ? -EUCLEAN : 0;
}

static int open_slow(struct obj_dir *d, int fd, struct map **out)
{
	enum obj_kind kind;
	struct stat st;
	struct obj *o;
	int err;

	err = obj_identify(d, fd, &kind, &st);
	if (err)
		return err;
	if (kind != OBJ_MAP)
		return -EINVAL;
	sweep(NULL);
	err = obj_map(d, fd, &o);
	if (err)
		return err;
	err = attach(o, false, out);
	if (err)
		obj_unmap(o);
	else
		insert(*out);
	return err;
}

int map_open_fd(struct obj_dir *d, int fd, struct map **out)
{
	struct stat st;
	struct map *m;
	int err = 0;

	if (fstat(fd, &st))
		return -errno;
	table_lock();
	m = find(st.st_dev, st.st_ino);
	if (m) {
		err = m->obj->dir == d ? healthy(m, st.st_size) : -EINVAL;
		if (!err) {
			map_get(m);
			m->used = ++table.tick;
			*out = m;
		}
	} else {
		err = open_slow(d, fd, out);
	}
	table_unlock();
	return err;
}

static struct map *find_id(const struct obj_dir *d, u32 id, u64 gen)
{
	for (u32 i = 0; i < TABLE_SIZE; i++)
		for (struct map *m = table.bucket[i]; m; m = m->next)
			if (m->obj->dir == d && m->id == id && m->obj->gen == gen &&
			    READ_ONCE(m->obj->hdr->state) != OBJ_DEAD)
				return m;
	return NULL;
}

int map_open_id(struct obj_dir *d, u32 id, u64 gen, struct map **out)
{
	struct obj *o = NULL;
	struct map *m;
	int err = 0;

	table_lock();
	m = find_id(d, id, gen);
	if (m && m->running) {
		map_get(m);
		goto found;
	}
	sweep(NULL);
	m = find_id(d, id, gen);
	err = obj_map_running(d, OBJ_MAP, id, gen, &o);
	if (err)
		goto unlock;
	if (m) {
		WRITE_ONCE(m->running, o);
		map_get(m);
	} else {
		err = attach(o, false, &m);
		if (err) {
			obj_unmap(o);
			goto unlock;
		}
		m->running = o;
		insert(m);
	}
found:
	m->used = ++table.tick;
	*out = m;
unlock:
	table_unlock();
	return err;
}

/* ---- creating ---- */

/* What an inner map may be, and what the template keeps of it. */
static int take_template(struct obj_dir *d, const struct map_attr *a, struct map_attr *inner)
{
	const struct spec_map *s = spec_map(a->type);
	struct map *m;
	int fd, err;

	memset(inner, 0, sizeof(*inner));
	if (!s || !(s->ops & SPEC_MAP_OF_MAPS))
		return 0;
	fd = obj_open_id(d, OBJ_MAP, a->inner_id, O_RDWR);
	if (fd < 0)
		return -EBADF;
	err = map_open_fd(d, fd, &m);
	close(fd);
	if (err)
		return err;
	s = spec_map(m->attr.type);
	if (s && (s->ops & SPEC_MAP_OF_MAPS))
		err = -EINVAL;
	else if (!s || !(s->ops & SPEC_MAP_INNER))
		err = -ENOTSUPP;
	else
		*inner = m->attr;
	map_put(m);
	return err;
}

static int create(struct obj_dir *d, const struct map_attr *a, const struct map_meta *meta, u64 csize,
		  u64 psize, struct map **out, int *fd)
{
	struct obj *o;
	int err;

	err = obj_create(d, OBJ_MAP, a->name, csize, psize, &o, fd);
	if (err)
		return err == -ENOSPC ? -ENOMEM : err;
	racy_copy(shared_meta(o), meta, sizeof(*meta));
	if (map_ops_of(a->type)->user_gone)
		o->hdr->flags |= OBJ_F_URELEASE;
	err = a->btf_id ? obj_ref(d, OBJ_MAP, o->id, "btf", OBJ_BTF, a->btf_id) : 0;
	if (!err)
		err = attach(o, true, out);
	if (err) {
		obj_abort(o, *fd);
		return err;
	}
	err = obj_publish(o);
	if (err) {
		if ((*out)->ops->detach)
			(*out)->ops->detach(*out);
		free(*out);
		obj_abort(o, *fd);
	}
	return err;
}

int map_create(struct obj_dir *d, const struct map_attr *a, struct map **out, int *fd)
{
	const struct map_ops *ops = map_ops_of(a->type);
	struct map_meta meta = { .attr = *a };
	u64 csize, psize;
	int err;

	if (!ops || a->ifindex)
		return -EINVAL;
	meta.ncpus = domain_ncpus(d->dom);
	if ((a->flags & BPF_F_NO_COMMON_LRU) && a->max_entries < UINT32_MAX - DOMAIN_MAX_CPUS)
		meta.attr.max_entries += (meta.ncpus - a->max_entries % meta.ncpus) % meta.ncpus;
	err = map_plan_numa(a);
	if (!err)
		err = ops->plan(&meta.attr, meta.ncpus, &csize, &psize, meta.geometry);
	if (!err)
		err = take_template(d, a, &meta.inner);
	if (!err)
		err = create(d, a, &meta, csize, psize, out, fd);
	if (err)
		return err;
	table_lock();
	sweep(NULL);
	insert(*out);
	table_unlock();
	return 0;
}

bool map_frozen(const struct map *m)
{
	return LOAD_ACQUIRE(shared_meta(m->obj)->frozen);
}

int map_freeze(struct map *m)
{
	u32 no = 0;

	return __atomic_compare_exchange_n(&shared_meta(m->obj)->frozen, &no, 1, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE) ? 0 : -EPERM;
}

void map_fast(const struct map *m, struct map_fast *f)
{
	bool array = m->attr.type == BPF_MAP_TYPE_ARRAY || m->attr.type == BPF_MAP_TYPE_PERCPU_ARRAY;

	*f = (struct map_fast){ .array = array };
	if (!array)
		return;
	f->percpu = is_percpu(m);
	f->stride = m->value_stride;
	f->max_entries = m->attr.max_entries;
	f->cpu_stride = m->geo[0];
}
