/* SPDX-License-Identifier: Apache-2.0 */
/* info.c - OBJ_GET_INFO_BY_FD: what programs, maps, BTF and links tell of themselves, and the same facts as
 * /proc/PID/fdinfo prints them. Arrays of a program's info are cut to the room the client names; the count told is
 * always the whole one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/sbuf.h"
#include "base/sha256.h"
#include "prog/prog.h"
#include "sys/cmds.h"
#include "sys/info.h"
#include "sys/sys.h"
#include "vm/insn.h"

#define SHA256_SIZE 32

int info_in(struct call *k, void *info, u32 known, u32 *len)
{
	int err = call_tail_zero(k, k->a.info.info, known, k->a.info.info_len);

	if (err)
		return err;
	*len = MIN(known, k->a.info.info_len);
	memset(info, 0, known);
	return call_in(k, info, k->a.info.info, *len);
}

int info_back(struct call *k, const void *info, u32 len)
{
	k->a.info.info_len = len;
	return call_out(k, k->a.info.info, info, len) || CALL_PUT(k, info.info_len) ? -EFAULT : 0;
}

/* ---- programs ---- */

struct prog_view {
	struct call *k;
	const struct obj *o;
	struct image_hdr h;		/* private copy, sections checked */
	const u8 *area;
	struct skep_prog_info i;
	struct prog *linked;		/* NULL until an address is asked for */
};

static int view_open(struct call *k, const struct obj *o, struct prog_view *v)
{
	v->k = k;
	v->o = o;
	v->area = o->base + o->client_size;
	memcpy(&v->h, o->hdr->kind_data, sizeof(v->h));
	for (int s = 0; s < IMG_SECS; s++)
		if ((u64)v->h.sec[s].off + v->h.sec[s].size > o->private_size)
			return -EUCLEAN;
	return 0;
}

static const void *sec(const struct prog_view *v, enum image_sec_id s)
{
	return v->area + v->h.sec[s].off;
}

static u32 sec_nr(const struct prog_view *v, enum image_sec_id s, u32 elem)
{
	return v->h.sec[s].size / elem;
}

static enum image_sec_id code_sec(void)
{
#ifdef __aarch64__
	return IMG_CODE_ARM64;
#else
	return IMG_CODE_X86;
#endif
}

/* NR elements into the client's array of ROOM; the file may change under us, hence through a copy. */
static int put_array(const struct prog_view *v, u64 dst, u32 room, const void *src, u32 nr, u32 elem)
{
	size_t n = (size_t)MIN(room, nr) * elem;
	void *copy = malloc(n + 1);
	int err;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, src, n);
	err = call_out(v->k, dst, copy, n);
	free(copy);
	return err;
}

struct map_ids {
	const struct prog_view *v;
	u32 at;
};

static int put_map_id(struct map_ids *m, u32 id)
{
	u32 n = m->at++;

	return n < m->v->i.nr_map_ids ?
		call_out(m->v->k, m->v->i.map_ids + n * sizeof(id), &id, sizeof(id)) : 0;
}

static int put_bound(void *arg, const char *name, enum obj_kind kind, u32 id)
{
	return kind == OBJ_MAP && !strncmp(name, PROG_BIND_REF, sizeof(PROG_BIND_REF) - 1) ?
		put_map_id(arg, id) : 0;
}

/* Used maps, then those that were bound later. */
static int put_map_ids(struct prog_view *v)
{
	const struct image_ref *r = sec(v, IMG_MAPS);
	u32 nr = sec_nr(v, IMG_MAPS, sizeof(*r));
	struct map_ids m = { .v = v };
	int err = 0;

	for (u32 n = 0; !err && n < nr; n++)
		err = put_map_id(&m, READ_ONCE(r[n].id));
	if (!err)
		err = obj_refs(v->o->dir, OBJ_PROG, v->o->id, put_bound, &m);
	v->i.nr_map_ids = m.at;
	return err;
}

static int check_rec(u32 nr, u32 *rec, u32 want)
{
	if ((nr || *rec) && *rec != want)
		return -EINVAL;
	*rec = want;
	return 0;
}

static int check_recs(struct skep_prog_info *i)
{
	if (check_rec(i->nr_func_info, &i->func_info_rec_size, sizeof(struct bpf_func_info)) ||
	    check_rec(i->nr_line_info, &i->line_info_rec_size, sizeof(struct bpf_line_info)) ||
	    check_rec(i->nr_jited_line_info, &i->jited_line_info_rec_size, sizeof(u64)))
		return -EINVAL;
	return 0;
}

/* Where the first function begins: readers of the code cut it by jited_func_lens, so the padding in front stays here. */
static u32 first_entry(const struct prog_view *v)
{
	const struct image_subprog *s = sec(v, IMG_SUBPROGS);
	u32 size = v->h.sec[code_sec()].size;

	return sec_nr(v, IMG_SUBPROGS, sizeof(*s)) ? MIN(READ_ONCE(s->code_off), size) : 0;
}

/* Loads that cannot fault look like all others, as in the kernel. */
static int put_xlated(const struct prog_view *v, u64 dst, u32 room, u32 size)
{
	u32 n = size / sizeof(struct bpf_insn);
	struct bpf_insn *copy = malloc(size + 1);
	int err;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, sec(v, IMG_XLATED), size);
	for (u32 i = 0; i < n; i++)
		if (insn_is_probe(&copy[i]))
			copy[i].code = (u8)((copy[i].code & ~0xe0) |
					    ((copy[i].code & 0xe0) == INSN_PROBE_MEMSX ? BPF_MEMSX : BPF_MEM));
	err = put_array(v, dst, room, copy, size, 1);
	free(copy);
	return err;
}

static int put_code(struct prog_view *v)
{
	struct skep_prog_info *i = &v->i;
	u32 room = i->xlated_prog_len, first;
	int err = 0;

	i->xlated_prog_len = v->h.sec[IMG_XLATED].size;
	if (room)
		err = put_xlated(v, i->xlated_prog_insns, room, i->xlated_prog_len);
	room = i->jited_prog_len;
	first = first_entry(v);
	i->jited_prog_len = v->h.sec[code_sec()].size - first;
	if (!err && room && i->jited_prog_len)
		err = put_array(v, i->jited_prog_insns, room, (const u8 *)sec(v, code_sec()) + first,
				i->jited_prog_len, 1);
	return err;
}

/* Where code offset OFF of the program lies in this process; 0 if it is not compiled or cannot be linked. */
static u64 address(const struct prog_view *v, u32 off)
{
	if (!v->linked || !v->linked->code || off >= v->h.sec[code_sec()].size)
		return 0;
	return (uintptr_t)code_entry(v->linked->code, off);
}

static int put_subprogs(struct prog_view *v)
{
	const struct image_subprog *s = sec(v, IMG_SUBPROGS);
	u32 nr = sec_nr(v, IMG_SUBPROGS, sizeof(*s));
	struct skep_prog_info *i = &v->i;
	u8 tag[8];

	for (u32 n = 0; n < nr; n++) {
		u32 len = READ_ONCE(s[n].code_size), off = READ_ONCE(s[n].code_off);
		u64 at = address(v, off);

		if (n < i->nr_jited_ksyms && call_out(v->k, i->jited_ksyms + n * 8, &at, sizeof(at)))
			return -EFAULT;
		if (n < i->nr_jited_func_lens && call_out(v->k, i->jited_func_lens + n * 4, &len, sizeof(len)))
			return -EFAULT;
		memcpy(tag, v->h.tag, sizeof(tag));
		if (n) {			/* a subprogram's own tag: of its rewritten instructions */
			u32 first = READ_ONCE(s[n].insn), total = sec_nr(v, IMG_XLATED, 8);
			u32 end = n + 1 < nr ? READ_ONCE(s[n + 1].insn) : total;
			u8 digest[32];

			if (first > end || end > total)
				return -EUCLEAN;
			sha256((const u8 *)sec(v, IMG_XLATED) + first * 8ul, (end - first) * 8ul, digest);
			memcpy(tag, digest, sizeof(tag));
		}
		if (n < i->nr_prog_tags && call_out(v->k, i->prog_tags + n * 8, tag, sizeof(tag)))
			return -EFAULT;
	}
	i->nr_jited_ksyms = i->nr_jited_func_lens = i->nr_prog_tags = MAX(nr, 1u);
	return 0;
}

static int put_jited_lines(struct prog_view *v)
{
	const u32 *off = sec(v, IMG_LINE_CODE);
	u32 nr = sec_nr(v, IMG_LINE_CODE, sizeof(*off)), room = v->i.nr_jited_line_info;

	for (u32 n = 0; n < MIN(nr, room); n++) {
		u64 at = address(v, READ_ONCE(off[n]));

		if (call_out(v->k, v->i.jited_line_info + n * 8, &at, sizeof(at)))
			return -EFAULT;
	}
	v->i.nr_jited_line_info = nr;
	return 0;
}

static int put_lines(struct prog_view *v)
{
	struct skep_prog_info *i = &v->i;
	u32 room = i->nr_func_info;
	int err;

	i->nr_func_info = sec_nr(v, IMG_FUNC_INFO, sizeof(struct bpf_func_info));
	err = put_array(v, i->func_info, room, sec(v, IMG_FUNC_INFO), i->nr_func_info,
			sizeof(struct bpf_func_info));
	if (err)
		return err;
	room = i->nr_line_info;
	i->nr_line_info = sec_nr(v, IMG_LINE_INFO, sizeof(struct bpf_line_info));
	err = put_array(v, i->line_info, room, sec(v, IMG_LINE_INFO), i->nr_line_info,
			sizeof(struct bpf_line_info));
	return err ? err : put_jited_lines(v);
}

static void fill_prog(struct prog_view *v)
{
	const struct image_stats *st = sec(v, IMG_STATS);
	struct skep_prog_info *i = &v->i;

	i->type = v->h.prog_type;
	i->id = v->o->id;
	memcpy(i->tag, v->h.tag, sizeof(i->tag));
	i->load_time = v->o->hdr->created_ns;
	i->created_by_uid = v->o->hdr->uid;
	memcpy(i->name, v->h.name, sizeof(i->name));
	i->ifindex = v->h.ifindex;
	i->gpl_compatible = v->h.license_gpl;
	i->btf_id = v->h.btf_id;
	i->verified_insns = v->h.verified_insns;
	i->attach_btf_obj_id = v->h.attach_btf_obj_id;
	i->attach_btf_id = v->h.attach_btf_id;
	if (v->h.sec[IMG_STATS].size < sizeof(*st))
		return;
	i->run_time_ns = READ_ONCE(st->run_time_ns);
	i->run_cnt = READ_ONCE(st->run_cnt);
	i->recursion_misses = READ_ONCE(st->recursion_misses);
}

static long prog_info(struct call *k, const struct obj *o, int own)
{
	struct prog_view v = { 0 };
	u32 len;
	int err = info_in(k, &v.i, sizeof(v.i), &len);

	if (!err)
		err = view_open(k, o, &v);
	if (err)
		return err;
	if ((v.i.nr_jited_ksyms || v.i.nr_jited_line_info) && prog_open_fd(k->c->dir, own, &v.linked))
		v.linked = NULL;		/* no addresses then */
	fill_prog(&v);
	err = put_map_ids(&v);
	if (!err)
		err = check_recs(&v.i);
	if (!err)
		err = put_code(&v);
	if (!err)
		err = put_subprogs(&v);
	if (!err)
		err = put_lines(&v);
	if (v.linked)
		prog_put(v.linked);
	return err ? err : info_back(k, &v.i, len);
}

/* ---- maps ---- */

/* The kernel's map hash: SHA-256 of a frozen array's values. */
static int put_hash(struct call *k, const struct map *m, const struct skep_map_info *i)
{
	u8 digest[SHA256_SIZE];

	if (!i->hash)
		return i->hash_size ? -EINVAL : 0;
	if (m->attr.type != BPF_MAP_TYPE_ARRAY || i->hash_size != SHA256_SIZE)
		return -EINVAL;
	if (!map_frozen(m))
		return -EPERM;
	sha256(m->data, (size_t)m->value_stride * m->attr.max_entries, digest);
	return call_out(k, i->hash, digest, sizeof(digest));
}

static long map_info(struct call *k, int own)
{
	struct skep_map_info i;
	struct map *m;
	u32 len;
	int err = info_in(k, &i, sizeof(i), &len);

	if (!err)
		err = map_open_fd(k->c->dir, own, &m);
	if (err)
		return err;
	i.type = m->attr.type;
	i.id = m->id;
	i.key_size = m->attr.key_size;
	i.value_size = m->attr.value_size;
	i.max_entries = m->attr.max_entries;
	i.map_flags = m->attr.flags;
	i.map_extra = m->attr.extra;
	memcpy(i.name, m->attr.name, sizeof(i.name));
	i.btf_id = m->attr.btf_id;
	i.btf_key_type_id = m->attr.btf_key_type;
	i.btf_value_type_id = m->attr.btf_value_type;
	i.btf_vmlinux_value_type_id = m->attr.btf_vmlinux_value_type;
	err = put_hash(k, m, &i);
	map_put(m);
	return err ? err : info_back(k, &i, len);
}

/* ---- BTF ---- */

static long btf_info(struct call *k, const struct obj *o)
{
	struct skep_btf_info i;
	struct btf_meta meta;
	u32 len;
	int err = info_in(k, &i, sizeof(i), &len), ret = 0;
	void *copy;

	if (err)
		return err;
	memcpy(&meta, o->hdr->kind_data, sizeof(meta));
	if (meta.size > o->private_size)
		return -EUCLEAN;
	copy = malloc(meta.size + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, o->base + o->client_size, meta.size);
	err = call_out(k, i.btf, copy, MIN(meta.size, i.btf_size));
	free(copy);
	if (err)
		return err;
	i.id = o->id;
	i.btf_size = meta.size;
	i.kernel_btf = 0;
	if (!i.name != !i.name_len)
		return -EINVAL;
	if (i.name)				/* BTF of programs has no name */
		err = call_out(k, i.name, "", 1);
	i.name_len = 0;
	err = err ? err : info_back(k, &i, len);
	return err ? err : ret;
}

static long info_of(struct call *k, int own)
{
	struct obj *o;
	u32 damaged = 0;
	long ret;
	int err = obj_map(k->c->dir, own, &o);

	if (err)
		return err;
	/* it may be cut short while we read */
	err = fault_watch(o->base, o->size, &damaged);
	if (err) {
		obj_unmap(o);
		return err;
	}
	switch (o->kind) {
	case OBJ_PROG:
		ret = prog_info(k, o, own);
		break;
	case OBJ_MAP:
		ret = map_info(k, own);
		break;
	case OBJ_BTF:
		ret = btf_info(k, o);
		break;
	case OBJ_LINK:
		ret = link_info(k, o->id);
		break;
	default:
		ret = -EINVAL;
	}
	fault_unwatch(o->base);
	obj_unmap(o);
	return READ_ONCE(damaged) ? -EUCLEAN : ret;
}

long cmd_obj_get_info_by_fd(struct call *k)
{
	int own = k->c->ops->fd_in(k->c->arg, (int)k->a.info.bpf_fd);
	long ret;

	if (own < 0)
		return -EBADFD;			/* the kernel's own exception */
	ret = info_of(k, own);
	k->c->ops->fd_put(k->c->arg, own);
	return ret;
}

/* ---- fdinfo ---- */

static void prog_text(const struct obj *o, struct sbuf *out)
{
	struct call none = { 0 };
	struct prog_view v = { 0 };

	if (view_open(&none, o, &v))
		return;
	fill_prog(&v);
	sbuf_printf(out, "prog_type:\t%u\nprog_jited:\t%u\nprog_tag:\t", v.i.type,
		    v.h.sec[code_sec()].size != 0);
	for (size_t i = 0; i < sizeof(v.i.tag); i++)
		sbuf_printf(out, "%02x", v.i.tag[i]);
	sbuf_printf(out, "\nmemlock:\t%llu\nprog_id:\t%u\nrun_time_ns:\t%llu\nrun_cnt:\t%llu\n"
		    "recursion_misses:\t%llu\nverified_insns:\t%u\n", (unsigned long long)o->size, v.i.id,
		    (unsigned long long)v.i.run_time_ns, (unsigned long long)v.i.run_cnt,
		    (unsigned long long)v.i.recursion_misses, v.i.verified_insns);
	if (v.h.sec[IMG_STATS].size >= sizeof(struct image_stats))	/* ours: on Linux a run is never late */
		sbuf_printf(out, "misses:\t%llu\n",
			    (unsigned long long)READ_ONCE(((const struct image_stats *)sec(&v, IMG_STATS))->misses));
}

static void map_text(struct obj_dir *d, const struct obj *o, int fd, struct sbuf *out)
{
	struct map_prog_owner owner;
	struct map *m;
	u64 racy;

	if (map_open_fd(d, fd, &m))
		return;
	sbuf_printf(out, "map_type:\t%u\nkey_size:\t%u\nvalue_size:\t%u\nmax_entries:\t%u\nmap_flags:\t%#x\n"
		    "map_extra:\t%#llx\nmemlock:\t%llu\nmap_id:\t%u\nfrozen:\t%u\n", m->attr.type,
		    m->attr.key_size, m->attr.value_size, m->attr.max_entries, m->attr.flags,
		    (unsigned long long)m->attr.extra, (unsigned long long)o->size, m->id, map_frozen(m));
	racy = READ_ONCE(((struct map_meta *)m->obj->hdr->kind_data)->owner);
	memcpy(&owner, &racy, sizeof(owner));
	if (m->attr.type == BPF_MAP_TYPE_PROG_ARRAY && owner.type)
		sbuf_printf(out, "owner_prog_type:\t%u\nowner_jited:\t%u\n", owner.type, owner.jited);
	if (m->attr.type == BPF_MAP_TYPE_RINGBUF)	/* ours: Linux does not count them */
		sbuf_printf(out, "dropped:\t%llu\n", (unsigned long long)map_ring_dropped(m));
	map_put(m);
}

int sys_fdinfo(struct obj_dir *d, int fd, struct sbuf *out)
{
	struct obj *o;
	u32 damaged = 0;
	int err = obj_map(d, fd, &o);

	if (err)
		return err;
	err = fault_watch(o->base, o->size, &damaged);
	if (err) {
		obj_unmap(o);
		return err;
	}
	sbuf_printf(out, "pos:\t0\nflags:\t0%o\nmnt_id:\t15\nino:\t%lu\n",
		    fcntl(fd, F_GETFL) | (fcntl(fd, F_GETFD) & FD_CLOEXEC ? O_CLOEXEC : 0),
		    (unsigned long)o->ino);
	if (o->kind == OBJ_PROG)
		prog_text(o, out);
	else if (o->kind == OBJ_MAP)
		map_text(d, o, fd, out);
	else if (o->kind == OBJ_BTF)
		sbuf_printf(out, "btf_id:\t%u\n", o->id);
	else
		link_text(d, o->kind, o->id, out);
	fault_unwatch(o->base);
	obj_unmap(o);
	return READ_ONCE(damaged) ? -EUCLEAN : out->err;
}
