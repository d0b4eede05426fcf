/* SPDX-License-Identifier: Apache-2.0 */
/* maps.c - a map as a client sees it: opening by fd with its BTF, walking its elements. */
#include "tool/maps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spec/spec.h"

bool map_percpu(const struct mapref *m)
{
	const struct spec_map *s = spec_map(m->info.type);

	return s && (s->ops & SPEC_MAP_PERCPU);
}

const char *map_type_name(u32 type)
{
	const struct spec_map *s = spec_map(type);

	return s && s->name ? s->name : "unknown";
}

int map_type_from(const char *word)
{
	for (u32 i = 1; i < spec_nr_maps; i++)
		if (spec_maps[i].name && !strcmp(spec_maps[i].name, word))
			return (int)i;
	return -EINVAL;
}

const char *prog_type_name(u32 type)
{
	const struct spec_prog *p = spec_prog(type);

	return p && p->name ? p->name : "unknown";
}

static void load_btf(struct mapref *m)
{
	if (!m->info.btf_id || !m->info.btf_value_type_id)
		return;
	m->btf = btf__load_from_kernel_by_id(m->info.btf_id);
	if (libbpf_get_error(m->btf))
		m->btf = NULL;
	m->own_btf = m->btf;
}

int map_open(int fd, struct mapref *m)
{
	u32 len = sizeof(m->info);
	int n;

	memset(m, 0, sizeof(*m));
	m->fd = fd;
	m->own_fd = true;
	if (bpf_obj_get_info_by_fd(fd, &m->info, &len)) {
		n = -errno;
		map_close(m);
		return n;
	}
	m->ncpus = 1;
	m->stride = m->info.value_size;
	if (map_percpu(m)) {
		n = libbpf_num_possible_cpus();
		if (n <= 0)			/* no /sys here: count as base/domain.c does */
			n = (int)sysconf(_SC_NPROCESSORS_CONF);
		m->ncpus = n > 0 ? (u32)n : 1;
		m->stride = ALIGN_UP(m->info.value_size, 8u);
	}
	m->value_len = (size_t)m->stride * m->ncpus;
	load_btf(m);
	return 0;
}

void map_close(struct mapref *m)
{
	if (m->own_btf)
		btf__free(m->btf);
	if (m->own_fd && m->fd >= 0)
		close(m->fd);
	m->fd = -1;
	m->btf = NULL;
	m->own_btf = false;
}

int map_each(struct mapref *m, int (*each)(void *arg, const void *key, const void *value, int err), void *arg)
{
	u8 *key = calloc(3, MAX(m->info.key_size, 1u)), *value = calloc(1, MAX(m->value_len, (size_t)8));
	u8 *next = key + m->info.key_size, *last = NULL;
	int err = key && value ? 0 : -ENOMEM, got;

	while (!err) {
		if (bpf_map_get_next_key(m->fd, last, next)) {
			err = errno == ENOENT ? 0 : -errno;
			break;
		}
		memcpy(key, next, m->info.key_size);
		last = key;
		got = bpf_map_lookup_elem(m->fd, key, value) ? -errno : 0;
		if (got == -ENOENT)
			continue;		/* gone meanwhile, or an empty place of programs or maps: as bpftool */
		if (each(arg, key, value, got))
			break;
	}
	free(key);
	free(value);
	return err;
}
