/* SPDX-License-Identifier: Apache-2.0 */
/* handle.c - which objects the command line means: by id, pin, tag, name. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool/maps.h"

static const struct {
	const char *noun;
	int (*next)(u32 start, u32 *next);
	int (*open)(u32 id);
} kinds[] = {
	[H_MAP]  = { "map",  bpf_map_get_next_id,  bpf_map_get_fd_by_id },
	[H_PROG] = { "prog", bpf_prog_get_next_id, bpf_prog_get_fd_by_id },
};

static int add(struct handles *h, int fd)
{
	int *p = reallocarray(h->fd, h->n + 1, sizeof(*p));

	if (!p) {
		close(fd);
		return -ENOMEM;
	}
	h->fd = p;
	h->fd[h->n++] = fd;
	return 0;
}

void handles_free(struct handles *h)
{
	for (u32 i = 0; i < h->n; i++)
		if (h->fd[i] >= 0)
			close(h->fd[i]);
	free(h->fd);
	h->fd = NULL;
	h->n = 0;
}

struct match {
	const char *word, *value;	/* "name"/"tag" and what it must be; NULL: all */
	u8 tag[BPF_TAG_SIZE];
};

static bool matches(enum handle_kind kind, int fd, const struct match *m)
{
	struct bpf_prog_info p = {};
	struct bpf_map_info i = {};
	u32 len = kind == H_MAP ? sizeof(i) : sizeof(p);

	if (!m->word)
		return true;
	if (bpf_obj_get_info_by_fd(fd, kind == H_MAP ? (void *)&i : (void *)&p, &len))
		return false;
	if (!strcmp(m->word, "tag"))
		return !memcmp(m->tag, p.tag, sizeof(m->tag));
	return !strcmp(m->value, kind == H_MAP ? i.name : p.name);
}

static int collect(enum handle_kind kind, const struct match *m, struct handles *out)
{
	u32 id = 0;
	int fd, err = 0;

	while (!err && !kinds[kind].next(id, &id)) {
		fd = kinds[kind].open(id);
		if (fd < 0)
			continue;	/* went away meanwhile, or may not be seen */
		if (matches(kind, fd, m))
			err = add(out, fd);
		else
			close(fd);
	}
	if (!err && !out->n && errno != ENOENT)
		err = -errno;
	return err;
}

int handle_all(enum handle_kind kind, struct handles *out)
{
	const struct match m = {};
	int err;

	memset(out, 0, sizeof(*out));
	err = collect(kind, &m, out);
	return err ? fail_errno(err, "cannot list %ss", kinds[kind].noun) : 0;
}

static int by_id(enum handle_kind kind, const char *value, struct handles *out)
{
	u32 id;
	int fd;

	if (parse_u32(value, &id))
		return fail(EXIT_USAGE, "'%s' is not an id", value);
	fd = kinds[kind].open(id);
	if (fd < 0)
		return errno == ENOENT ? fail(EXIT_FAILED, "no %s has id %u", kinds[kind].noun, id) :
					 fail_errno(-errno, "%s id %u", kinds[kind].noun, id);
	return add(out, fd) ? fail_errno(-ENOMEM, "%s id %u", kinds[kind].noun, id) : 0;
}

/* What kind of object FD is: its registry name says (as bpftool reads it from the kernel's anonymous inodes). */
static bool is_kind(enum handle_kind kind, int fd)
{
	char link[64], name[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, name, sizeof(name) - 1);
	name[MAX(n, 0)] = 0;
	return strstr(name, kind == H_MAP ? "bpf-map" : "bpf-prog");
}

static int by_pin(enum handle_kind kind, const char *value, struct handles *out)
{
	char path[4096];
	int fd;

	pin_path(value, path, sizeof(path));
	fd = bpf_obj_get(path);
	if (fd < 0 && errno == EACCES && pin_readable(path))
		return fail(EXIT_FAILED, "pinned %s %s: the file is damaged (cut short or overwritten)", kinds[kind].noun,
			    value);
	if (fd < 0)
		return fail_errno(-errno, "pinned %s %s", kinds[kind].noun, value);
	if (!is_kind(kind, fd)) {
		close(fd);
		return fail(EXIT_FAILED, "%s is pinned, but no %s", value, kinds[kind].noun);
	}
	return add(out, fd) ? fail_errno(-ENOMEM, "%s", value) : 0;
}

static int parse_tag(const char *hex, u8 tag[BPF_TAG_SIZE])
{
	int used = 0;

	for (u32 i = 0; i < BPF_TAG_SIZE; i++, hex += 2)
		if (sscanf(hex, "%2hhx%n", &tag[i], &used) != 1 || used != 2)
			return -EINVAL;
	return *hex ? -EINVAL : 0;
}

static int by_match(enum handle_kind kind, const char *word, const char *value, struct handles *out)
{
	struct match m = { .word = word, .value = value };
	int err;

	if (!strcmp(word, "tag") && parse_tag(value, m.tag))
		return fail(EXIT_USAGE, "'%s' is not a tag (16 hexadecimal digits)", value);
	err = collect(kind, &m, out);
	if (err)
		return fail_errno(err, "cannot list %ss", kinds[kind].noun);
	return out->n ? 0 : fail(EXIT_FAILED, "no %s has %s %s", kinds[kind].noun, word, value);
}

int handle_get(enum handle_kind kind, int *argc, char ***argv, bool many, struct handles *out)
{
	const char *word, *value;
	int rc;

	memset(out, 0, sizeof(*out));
	if (*argc < 2)
		return fail(EXIT_USAGE, "which %s? Say: id N, name NAME, pinned FILE%s", kinds[kind].noun,
			    kind == H_PROG ? " or tag HEX" : "");
	word = (*argv)[0];
	value = (*argv)[1];
	*argc -= 2;
	*argv += 2;
	if (is_prefix(word, "id"))
		return by_id(kind, value, out);
	if (is_prefix(word, "pinned"))
		return by_pin(kind, value, out);
	if (is_prefix(word, "name"))
		rc = by_match(kind, "name", value, out);
	else if (kind == H_PROG && is_prefix(word, "tag"))
		rc = by_match(kind, "tag", value, out);
	else
		return fail(EXIT_USAGE, "'%s' does not name a %s: say id N, name NAME or pinned FILE", word,
			    kinds[kind].noun);
	if (!rc && out->n > 1 && !many) {
		rc = fail(EXIT_FAILED, "%u %ss are named %s: say which by id", out->n, kinds[kind].noun, value);
		handles_free(out);
	}
	return rc;
}

int handle_one(enum handle_kind kind, int *argc, char ***argv, int *fd)
{
	struct handles h;
	int rc = handle_get(kind, argc, argv, false, &h);

	if (rc)
		return rc;
	*fd = h.fd[0];
	free(h.fd);
	return 0;
}
