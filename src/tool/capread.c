/* SPDX-License-Identifier: Apache-2.0 */
/* capread.c - see capread.h. The buffer holds at least one whole record. Of plain files it is a window onto the file, which
 * spares a third of the time; else what is left of it moves to the front when more is read. Files are untrusted: every
 * length is checked against the buffer and CAP_MAX_RECORD. Formats: pcap-savefile(5), draft-ietf-opsawg-pcapng. */
#include "tool/capread.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fault.h"

#define BUF_SIZE	(512u << 10)	/* stays in the CPU's second-level cache */
#define WINDOW		(16u << 20)
#define AHEAD		4096
#define ZBUF_SIZE	(128u << 10)

static int __printf(2, 3) bad(struct cap_in *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->error, sizeof(c->error), fmt, ap);
	va_end(ap);
	return -1;
}

/* ---- bytes ---- */
/* read(2) that a signal ends when somebody wants to stop. */
static ssize_t read_some(struct cap_in *c, void *to, size_t n)
{
	ssize_t got;

	do {
		if (c->stop && *c->stop)
			return 0;
		got = read(c->fd, to, n);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return bad(c, "%s", strerror(errno));
	return got;
}

/* More of a gzip stream; members follow each other. */
static ssize_t inflate_some(struct cap_in *c, u8 *to, size_t n)
{
	z_stream *z = c->gz;
	ssize_t got;
	int r;

	z->next_out = to;
	z->avail_out = (uInt)MIN(n, (size_t)UINT32_MAX);
	while (z->next_out == to) {
		if (!z->avail_in) {
			got = read_some(c, c->zbuf, ZBUF_SIZE);
			if (got < 0)
				return got;
			if (!got) {
				if (!c->gz_end && !(c->stop && *c->stop))
					c->cut = true;
				return 0;
			}
			z->next_in = c->zbuf;
			z->avail_in = (uInt)got;
		}
		if (c->gz_end && inflateReset(z) != Z_OK)
			return bad(c, "gzip: cannot go on behind a member");
		c->gz_end = false;
		r = inflate(z, Z_NO_FLUSH);
		if (r == Z_STREAM_END)
			c->gz_end = true;
		else if (r != Z_OK && r != Z_BUF_ERROR)
			return bad(c, "gzip: damaged data%s%s", z->msg ? ": " : "", z->msg ? z->msg : "");
	}
	return z->next_out - to;
}

static void unmap(struct cap_in *c)
{
	if (c->buf) {
		fault_unwatch(c->buf);
		munmap(c->buf, c->cap);
	}
	c->buf = NULL;
}

/* Moves the window so that it begins at c->at (or the page around it). */
static int map_window(struct cap_in *c, size_t need)
{
	u64 pos = c->map_off + c->at, off = ALIGN_DOWN(pos, SKEP_PAGE);
	size_t size = MIN(c->map_size - off, MAX((u64)WINDOW, need + SKEP_PAGE));
	void *p;

	if (c->map_off + c->end == c->map_size)
		return 0;
	unmap(c);
	p = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, c->fd, (off_t)off);
	if (p == MAP_FAILED)
		return bad(c, "%s", strerror(errno));
	c->buf = p;
	c->cap = c->end = size;
	c->map_off = off;
	c->at = pos - off;
	if (fault_watch(p, size, &c->damaged))
		return bad(c, "out of memory");
	return c->end - c->at >= need;
}

/* At least NEED bytes from c->at on. 1; 0: the file has less (whatever it has is there); -1. */
static int fill(struct cap_in *c, size_t need)
{
	ssize_t got;
	u8 *b;

	if (c->before_refill)
		c->before_refill(c->refill_arg);
	if (c->map_size)
		return map_window(c, need);
	memmove(c->buf, c->buf + c->at, c->end - c->at);
	c->end -= c->at;
	c->at = 0;
	if (need > c->cap) {
		b = realloc(c->buf, need + BUF_SIZE);
		if (!b)
			return bad(c, "out of memory");
		c->buf = b;
		c->cap = need + BUF_SIZE;
	}
	while (c->end < need && !c->eof) {
		got = c->gz ? inflate_some(c, c->buf + c->end, c->cap - c->end) :
			      read_some(c, c->buf + c->end, c->cap - c->end);
		if (got < 0)
			return -1;
		c->eof = got == 0;
		c->end += (size_t)got;
	}
	return c->end >= need;
}

static inline int want(struct cap_in *c, size_t need)
{
	return likely(c->end - c->at >= need) ? 1 : fill(c, need);
}

static inline u32 u32_at(const struct cap_in *c, const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return c->swapped ? __builtin_bswap32(v) : v;
}

static inline u16 u16_at(const struct cap_in *c, const u8 *p)
{
	u16 v;

	memcpy(&v, p, sizeof(v));
	return c->swapped ? __builtin_bswap16(v) : v;
}

/* ---- link types ---- */
static const struct {
	u32 linktype, dlt;
} renamed[] = {
	{ 100, 11 }, { 101, 12 }, { 102, 15 }, { 103, 16 }, { 106, 19 },
};

u32 cap_dlt(u32 linktype)
{
	for (u32 i = 0; i < ARRAY_SIZE(renamed); i++)
		if (renamed[i].linktype == linktype)
			return renamed[i].dlt;
	return linktype;
}

u32 cap_linktype(u32 dlt)
{
	for (u32 i = 0; i < ARRAY_SIZE(renamed); i++)
		if (renamed[i].dlt == dlt)
			return renamed[i].linktype;
	return dlt;
}

static int add_iface(struct cap_in *c, u32 linktype, u32 snaplen, u64 ts_per_sec)
{
	struct cap_iface *v;

	if (c->nr_ifaces == CAP_MAX_IFACES)
		return bad(c, "more than %u interfaces", CAP_MAX_IFACES);
	if (c->nr_ifaces == c->cap_ifaces) {
		c->cap_ifaces = MAX(4u, 2 * c->cap_ifaces);
		v = reallocarray(c->iface, c->cap_ifaces, sizeof(*v));
		if (!v)
			return bad(c, "out of memory");
		c->iface = v;
	}
	c->iface[c->nr_ifaces++] = (struct cap_iface) { cap_dlt(linktype), linktype, snaplen, ts_per_sec };
	return 0;
}

/* ---- pcap ---- */
static const struct {
	u32 magic;
	bool modified;
	u64 ts_per_sec;
} magics[] = {
	{ 0xa1b2c3d4, false, 1000000 }, { 0xa1b23c4d, false, 1000000000 }, { 0xa1b2cd34, true, 1000000 },
};

static int pcap_header(struct cap_in *c, u64 ts_per_sec)
{
	u32 linktype, snaplen;

	if (want(c, sizeof(c->header)) != 1)
		return c->error[0] ? -1 : bad(c, "cut off inside the file header");
	memcpy(c->header, c->buf + c->at, sizeof(c->header));
	c->at += sizeof(c->header);
	c->offset = sizeof(c->header);
	if (u16_at(c, c->header + 4) != 2)
		return bad(c, "pcap version %u.%u is not known", u16_at(c, c->header + 4), u16_at(c, c->header + 6));
	snaplen = u32_at(c, c->header + 16);
	linktype = u32_at(c, c->header + 20) & 0x03ffffff;	/* above: frame check sequence */
	return add_iface(c, linktype, snaplen, ts_per_sec);
}

static int damaged(struct cap_in *c, u32 len, u32 max)
{
	return bad(c, "packet %llu claims %u bytes, %u is the most: the file is damaged at byte %llu",
		   (unsigned long long)c->packets + 1, len, max, (unsigned long long)c->offset);
}

static int cut_short(struct cap_in *c)
{
	c->cut |= c->end > c->at && !(c->stop && *c->stop);
	return 0;
}

static int next_pcap(struct cap_in *c, struct cap_rec *r)
{
	u32 head = c->modified ? 24 : 16, len, max = MAX(CAP_MIN_SNAPLEN, MIN(c->iface->snaplen, CAP_MAX_RECORD - 24));
	const u8 *p;
	int got = want(c, head);

	if (unlikely(got != 1))
		return got ? got : cut_short(c);
	len = u32_at(c, c->buf + c->at + 8);
	if (unlikely(len > max))
		return damaged(c, len, max);
	got = want(c, head + len);
	if (unlikely(got != 1))
		return got ? got : cut_short(c);
	p = c->buf + c->at;
	__builtin_prefetch(p + AHEAD);		/* each record's place depends on the one before: do not wait for memory */
	__builtin_prefetch(p + AHEAD + 64);
	*r = (struct cap_rec) {
		.kind = CAP_PACKET, .raw = p, .raw_len = head + len, .data = p + head, .caplen = len,
		.wire = u32_at(c, p + 12), .sec = u32_at(c, p),
		.nsec = u32_at(c, p + 4) * (c->iface->ts_per_sec == 1000000 ? 1000 : 1),
	};
	c->at += head + len;
	c->offset += head + len;
	c->packets++;
	return 1;
}

/* ---- pcapng ---- */
enum { BLOCK_SHB = 0x0a0d0d0a, BLOCK_IDB = 1, BLOCK_PB = 2, BLOCK_SPB = 3, BLOCK_EPB = 6 };
#define BYTE_ORDER_MAGIC 0x1a2b3c4d

static int bad_block(struct cap_in *c, const char *what)
{
	return bad(c, "block at byte %llu: %s", (unsigned long long)c->offset, what);
}

static int section(struct cap_in *c, const u8 *p)
{
	u32 magic;

	memcpy(&magic, p + 8, sizeof(magic));
	if (magic != BYTE_ORDER_MAGIC && magic != __builtin_bswap32(BYTE_ORDER_MAGIC))
		return bad_block(c, "a section header without byte order magic");
	c->swapped = magic != BYTE_ORDER_MAGIC;
	if (u16_at(c, p + 12) != 1)
		return bad_block(c, "this version of pcapng is not known");
	c->nr_ifaces = 0;
	return 0;
}

/* if_tsresol: powers of 10, or of 2 with the top bit set. */
static u64 resolution(u8 v)
{
	u64 r = 1;

	if (v & 0x80)
		return (v & 0x7f) < 64 ? 1ull << (v & 0x7f) : 1ull << 63;
	for (u32 i = 0; i < MIN(v, 19); i++)
		r *= 10;
	return r;
}

static int interface(struct cap_in *c, const u8 *p, u32 len)
{
	u64 ts = 1000000;
	u32 at = 16;

	if (len < 20)
		return bad_block(c, "an interface description too short");
	while (at + 4 <= len - 4) {
		u16 code = u16_at(c, p + at), n = u16_at(c, p + at + 2);

		if (!code || n > len - 4 - at - 4)
			break;
		if (code == 9 && n == 1)
			ts = resolution(p[at + 4]);
		at += 4 + ALIGN_UP((u32)n, 4);
	}
	return add_iface(c, u16_at(c, p + 8), u32_at(c, p + 12), ts);
}

static void timestamp(const struct cap_in *c, struct cap_rec *r, const u8 *p)
{
	u64 t = (u64)u32_at(c, p) << 32 | u32_at(c, p + 4), per = c->iface[r->iface].ts_per_sec;

	r->sec = t / per;
	r->nsec = (u32)((unsigned __int128)(t % per) * 1000000000u / per);
}

/* A packet block: where its data begins, how long it is. */
static int packet(struct cap_in *c, struct cap_rec *r, u32 type, const u8 *p, u32 len)
{
	static const u8 heads[] = { [BLOCK_PB] = 28, [BLOCK_SPB] = 12, [BLOCK_EPB] = 28 };
	u32 head = heads[type], room, snap;

	if (len < head + 4)
		return bad_block(c, "a packet block too short");
	room = len - head - 4;
	r->kind = CAP_PACKET;
	r->iface = type == BLOCK_EPB ? u32_at(c, p + 8) : type == BLOCK_PB ? u16_at(c, p + 8) : 0;
	if (r->iface >= c->nr_ifaces)
		return bad(c, "packet %llu is of interface %u, but %u are described", (unsigned long long)c->packets + 1,
			   r->iface, c->nr_ifaces);
	r->data = p + head;
	if (type == BLOCK_SPB) {
		snap = c->iface[0].snaplen;
		r->wire = u32_at(c, p + 8);
		r->caplen = MIN(MIN(r->wire, room), snap ? snap : UINT32_MAX);
	} else {
		timestamp(c, r, p + 12);
		r->caplen = u32_at(c, p + 20);
		r->wire = u32_at(c, p + 24);
	}
	if (r->caplen > room)
		return damaged(c, r->caplen, room);
	c->packets++;
	return 0;
}

static int block_length(struct cap_in *c, u32 *type, u32 *len)
{
	int got = want(c, 12);
	const u8 *p = c->buf + c->at;
	u32 magic;

	if (got != 1)
		return got ? got : cut_short(c);
	*type = u32_at(c, p);
	if (*type == BLOCK_SHB) {		/* its length is in its own byte order */
		bool was = c->swapped;

		memcpy(&magic, p + 8, sizeof(magic));
		c->swapped = magic == __builtin_bswap32(BYTE_ORDER_MAGIC);
		*len = u32_at(c, p + 4);
		c->swapped = was;
	} else {
		*len = u32_at(c, p + 4);
	}
	if (*len < 12 || *len & 3 || *len > CAP_MAX_RECORD || (*type == BLOCK_SHB && *len < 28))
		return bad(c, "block at byte %llu claims %u bytes: the file is damaged", (unsigned long long)c->offset, *len);
	got = want(c, *len);
	return got == 0 ? cut_short(c) : got;
}

static int next_pcapng(struct cap_in *c, struct cap_rec *r)
{
	u32 type, len;
	int got = block_length(c, &type, &len), err = 0;
	const u8 *p;

	if (got != 1)
		return got;
	p = c->buf + c->at;
	__builtin_prefetch(p + AHEAD);		/* each record's place depends on the one before: do not wait for memory */
	__builtin_prefetch(p + AHEAD + 64);
	*r = (struct cap_rec) { .kind = CAP_BLOCK, .raw = p, .raw_len = len };
	if (type == BLOCK_SHB)
		err = section(c, p);
	if (!err && u32_at(c, p + len - 4) != len)
		err = bad_block(c, "its two lengths differ: the file is damaged");
	if (!err && type == BLOCK_IDB)
		err = interface(c, p, len);
	else if (!err && (type == BLOCK_EPB || type == BLOCK_SPB || type == BLOCK_PB))
		err = packet(c, r, type, p, len);
	if (err)
		return err;
	c->at += len;
	c->offset += len;
	return 1;
}

/* ---- all formats ---- */
int cap_next(struct cap_in *c, struct cap_rec *r)
{
	if (unlikely(c->stop && *c->stop))
		return 0;
	if (unlikely(READ_ONCE(c->damaged)))
		return bad(c, "the file was cut short while it was read");
	return c->format == CAP_PCAP ? next_pcap(c, r) : next_pcapng(c, r);
}

static int start_gzip(struct cap_in *c)
{
	z_stream *z = calloc(1, sizeof(*z));

	c->zbuf = malloc(ZBUF_SIZE);
	if (!z || !c->zbuf || inflateInit2(z, 15 + 16) != Z_OK) {
		free(z);
		return bad(c, "out of memory");
	}
	c->gz = z;
	/* what was read so far (it fits: the first bytes of the file) goes through it first */
	z->avail_in = (uInt)MIN(c->end, (size_t)ZBUF_SIZE);
	memcpy(c->zbuf, c->buf, z->avail_in);
	z->next_in = c->zbuf;
	c->at = c->end = 0;
	c->eof = false;
	return 0;
}

static int recognise(struct cap_in *c)
{
	u32 magic;

	if (want(c, 4) < 0)
		return -1;
	if (c->end - c->at < 4)
		return bad(c, c->end > c->at || c->cut ? "no capture file: too short" : "the file is empty");
	memcpy(&magic, c->buf + c->at, sizeof(magic));
	if (magic == BLOCK_SHB) {
		c->format = CAP_PCAPNG;
		return 0;
	}
	for (u32 i = 0; i < ARRAY_SIZE(magics); i++) {
		if (magic != magics[i].magic && magic != __builtin_bswap32(magics[i].magic))
			continue;
		c->swapped = magic != magics[i].magic;
		c->modified = magics[i].modified;
		return pcap_header(c, magics[i].ts_per_sec);
	}
	return bad(c, "no capture file: it begins with %02x %02x %02x %02x", c->buf[c->at], c->buf[c->at + 1],
		   c->buf[c->at + 2], c->buf[c->at + 3]);
}

/* The first read is a small one: should it be gzip, it is to be handed on whole. */
static int first_bytes(struct cap_in *c)
{
	ssize_t got = 1;

	while (c->end < 4 && got > 0) {
		got = read_some(c, c->buf + c->end, 4 - c->end);
		if (got < 0)
			return -1;
		c->end += (size_t)got;
	}
	return c->end >= 2 && c->buf[0] == 0x1f && c->buf[1] == 0x8b ? start_gzip(c) : 0;
}

/* Is it a plain file, not compressed? Then windows onto it, from the descriptor's position on. */
static bool map_file(struct cap_in *c)
{
	off_t pos = lseek(c->fd, 0, SEEK_CUR);
	struct stat st;
	u8 magic[2];

	if (pos < 0 || fstat(c->fd, &st) || !S_ISREG(st.st_mode) || st.st_size - pos < 4 ||
	    pread(c->fd, magic, 2, pos) != 2 || (magic[0] == 0x1f && magic[1] == 0x8b))
		return false;
	c->map_size = (u64)st.st_size;
	c->map_off = (u64)pos;
	c->eof = true;
	return true;
}

int cap_open(struct cap_in *c, int fd, const char *path)
{
	const volatile bool *stop = c->stop;
	int err;

	memset(c, 0, sizeof(*c));
	c->stop = stop;
	c->fd = fd;
	c->path = path;
	if (map_file(c)) {
		err = 0;
	} else {
		c->cap = BUF_SIZE;
		c->buf = malloc(c->cap);
		err = c->buf ? first_bytes(c) : bad(c, "out of memory");
	}
	err = err ? err : recognise(c);
	if (err)
		cap_close(c);
	return err;
}

void cap_close(struct cap_in *c)
{
	if (c->gz)
		inflateEnd(c->gz);
	free(c->gz);
	free(c->zbuf);
	if (c->map_size)
		unmap(c);
	else
		free(c->buf);
	free(c->iface);
	if (c->fd > 2)
		close(c->fd);
	c->gz = NULL;
	c->zbuf = c->buf = NULL;
	c->iface = NULL;
	c->fd = -1;
}
