/* SPDX-License-Identifier: Apache-2.0 */
/* capwrite.c - see capwrite.h. Records that go out as they came are not copied: they are written from the reader's buffer,
 * neighbours in one piece, before the reader moves on (cap_in.before_refill). */
#include "tool/capwrite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define BUF_SIZE	(256u << 10)

static int __printf(2, 3) bad(struct cap_out *o, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(o->error, sizeof(o->error), fmt, ap);
	va_end(ap);
	return -1;
}

/* ---- names ---- */
static bool ends_with(const char *name, size_t n, const char *tail)
{
	size_t t = strlen(tail);

	return n >= t && !strncmp(name + n - t, tail, t);
}

static bool is_gz(const char *name)
{
	return ends_with(name, strlen(name), ".gz");
}

enum cap_format cap_out_format(const char *name, enum cap_format deflt)
{
	static const struct { const char *tail; enum cap_format f; } tails[] = {
		{ ".pcapng", CAP_PCAPNG }, { ".ntar", CAP_PCAPNG }, { ".pcap", CAP_PCAP }, { ".cap", CAP_PCAP },
		{ ".dmp", CAP_PCAP },
	};
	size_t n = strlen(name) - (is_gz(name) ? 3 : 0);

	for (u32 i = 0; i < ARRAY_SIZE(tails); i++)
		if (ends_with(name, n, tails[i].tail))
			return tails[i].f;
	return deflt;
}

/* ---- bytes ---- */
/* A failed write must not leave half a record. */
static int take_back(struct cap_out *o, int err)
{
	if (lseek(o->fd, 0, SEEK_CUR) > (off_t)o->good && !ftruncate(o->fd, (off_t)o->good))
		lseek(o->fd, (off_t)o->good, SEEK_SET);
	return bad(o, "%s", strerror(err));
}

static int write_spans(struct cap_out *o, struct iovec *v, int n)
{
	u64 sum = 0;
	ssize_t w;

	for (int i = 0; i < n; i++)
		sum += v[i].iov_len;
	while (n) {
		w = writev(o->fd, v, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return take_back(o, errno);
		while (n && (size_t)w >= v->iov_len) {
			w -= (ssize_t)v->iov_len;
			v++;
			n--;
		}
		if (n) {
			v->iov_base = (u8 *)v->iov_base + w;
			v->iov_len -= (size_t)w;
		}
	}
	o->good += sum;
	return 0;
}

int cap_out_flush(struct cap_out *o)
{
	int n = o->nr_spans;

	o->nr_spans = 0;
	if (n)
		return write_spans(o, o->span, n);
	if (!o->len)
		return 0;
	n = (int)o->len;
	o->len = 0;
	if (o->gz) {
		if (gzwrite(o->gz, o->buf, (unsigned int)n) == n)
			return 0;
		return bad(o, "%s", errno ? strerror(errno) : "cannot compress");
	}
	return write_spans(o, &(struct iovec) { o->buf, (size_t)n }, 1);
}

/* A whole record of up to BUF_SIZE bytes, to be filled by the caller; NULL after an error. */
static u8 *room(struct cap_out *o, size_t n)
{
	u8 *p;

	if (o->len + n > BUF_SIZE && cap_out_flush(o))
		return NULL;
	p = o->buf + o->len;
	o->len += n;
	return p;
}

static int put(struct cap_out *o, const void *data, size_t n)
{
	u8 *p;

	if (n > BUF_SIZE) {			/* a record larger than the buffer, by itself */
		if (cap_out_flush(o))
			return -1;
		if (o->gz)
			return gzwrite(o->gz, data, (unsigned int)n) == (int)n ? 0 : bad(o, "cannot compress");
		return write_spans(o, &(struct iovec) { (void *)data, n }, 1);
	}
	p = room(o, n);
	if (!p)
		return -1;
	memcpy(p, data, n);
	return 0;
}

/* A record as it lies in the reader's buffer. */
static int span(struct cap_out *o, const struct cap_rec *r)
{
	struct iovec *last = o->nr_spans ? &o->span[o->nr_spans - 1] : NULL;

	if (o->gz)
		return put(o, r->raw, r->raw_len);
	if (o->len && cap_out_flush(o))		/* the header */
		return -1;
	if (last && (u8 *)last->iov_base + last->iov_len == r->raw) {
		last->iov_len += r->raw_len;
		return 0;
	}
	if (o->nr_spans == CAP_OUT_SPANS && cap_out_flush(o))
		return -1;
	o->span[o->nr_spans++] = (struct iovec) { (void *)r->raw, r->raw_len };
	return 0;
}

/* ---- open ---- */
int cap_out_open(struct cap_out *o, const char *path, enum cap_format format)
{
	memset(o, 0, sizeof(*o));
	o->path = path;
	o->format = format;
	o->fd = strcmp(path, "-") ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : dup(STDOUT_FILENO);
	if (o->fd < 0)
		return bad(o, "%s", strerror(errno));
	o->buf = malloc(BUF_SIZE);
	if (is_gz(path))
		o->gz = gzdopen(o->fd, "wb6");
	if (!o->buf || (is_gz(path) && !o->gz))
		return bad(o, "out of memory");
	return 0;
}

/* ---- headers ---- */
struct pcap_head {
	u32 magic;
	u16 major, minor;
	u32 zone, sigfigs, snaplen, linktype;
};

static int pcap_head(struct cap_out *o, bool nano)
{
	struct pcap_head h = {
		.magic = nano ? 0xa1b23c4d : 0xa1b2c3d4, .major = 2, .minor = 4,
		.snaplen = o->iface.snaplen ? o->iface.snaplen : CAP_MIN_SNAPLEN, .linktype = o->iface.linktype,
	};

	o->started = true;
	o->iface.ts_per_sec = nano ? 1000000000 : 1000000;
	return put(o, &h, sizeof(h));
}

/* One section, one interface with nanoseconds. */
static int pcapng_head(struct cap_out *o)
{
	const u32 h[] = {
		0x0a0d0d0a, 28, 0x1a2b3c4d, 1, ~0u, ~0u, 28,
		1, 32, o->iface.linktype & 0xffff, o->iface.snaplen, 0x00010009, 9, 0, 32,
	};

	o->started = true;
	return put(o, h, sizeof(h));
}

int cap_out_start(struct cap_out *o, const struct cap_in *in, bool nano)
{
	o->verbatim = in->format == o->format && in->fd >= 0;
	if (in->nr_ifaces)
		o->iface = in->iface[0];
	if (o->verbatim && in->format == CAP_PCAP) {
		o->started = true;
		return put(o, in->header, sizeof(in->header));
	}
	if (o->verbatim)
		return 0;			/* the section header comes as a block */
	if (o->format == CAP_PCAPNG)
		return pcapng_head(o);
	return in->nr_ifaces ? pcap_head(o, nano) : 0;	/* else with the first packet */
}

/* ---- records ---- */
int cap_out_block(struct cap_out *o, const struct cap_rec *r)
{
	return o->verbatim ? span(o, r) : 0;
}

static int as_pcapng(struct cap_out *o, const struct cap_rec *r)
{
	u32 pad = ALIGN_UP(r->caplen, 4) - r->caplen, total = 32 + r->caplen + pad;
	u64 t = r->sec * 1000000000u + r->nsec;
	const u32 head[] = { 6, total, 0, (u32)(t >> 32), (u32)t, r->caplen, r->wire };
	u8 *whole, *p;
	int err = -1;

	whole = total <= BUF_SIZE ? room(o, total) : malloc(total);
	if (!whole)
		return o->error[0] ? -1 : bad(o, "out of memory");
	p = mempcpy(whole, head, sizeof(head));
	p = mempcpy(p, r->data, r->caplen);
	memset(p, 0, pad);
	memcpy(p + pad, &total, sizeof(total));
	if (total <= BUF_SIZE)
		return 0;
	err = put(o, whole, total);
	free(whole);
	return err;
}

static int as_pcap(struct cap_out *o, const struct cap_rec *r)
{
	const u32 head[] = {
		(u32)r->sec, o->iface.ts_per_sec == 1000000 ? r->nsec / 1000 : r->nsec, r->caplen, r->wire,
	};
	u32 total = (u32)sizeof(head) + r->caplen;
	u8 *whole = total <= BUF_SIZE ? room(o, total) : malloc(total);
	int err;

	if (!whole)
		return o->error[0] ? -1 : bad(o, "out of memory");
	memcpy(mempcpy(whole, head, sizeof(head)), r->data, r->caplen);
	if (total <= BUF_SIZE)
		return 0;
	err = put(o, whole, total);
	free(whole);
	return err;
}

int cap_out_packet(struct cap_out *o, const struct cap_in *in, const struct cap_rec *r)
{
	const struct cap_iface *i = &in->iface[r->iface];

	o->packets++;
	if (o->verbatim)
		return span(o, r);
	if (!o->started) {
		o->iface = *i;
		if (pcap_head(o, i->ts_per_sec != 1000000))
			return -1;
	}
	if (i->linktype != o->iface.linktype)
		return bad(o, "packets of link types %u and %u do not fit into one file of this kind: write pcapng", o->iface.linktype,
			   i->linktype);
	return o->format == CAP_PCAPNG ? as_pcapng(o, r) : as_pcap(o, r);
}

int cap_out_close(struct cap_out *o)
{
	int err = o->error[0] ? -1 : 0, rc;

	if (!err && !o->started && !o->verbatim) {	/* no packet came: an empty file is one with a header */
		o->iface.linktype = o->iface.linktype ? o->iface.linktype : 1;
		err = o->format == CAP_PCAP ? pcap_head(o, false) : pcapng_head(o);
	}
	err = err ? err : cap_out_flush(o);
	errno = 0;
	rc = o->gz ? gzclose(o->gz) : o->fd >= 0 ? close(o->fd) : 0;
	if (rc && !err)
		err = bad(o, "%s", errno ? strerror(errno) : "cannot compress");
	free(o->buf);
	o->buf = NULL;
	o->gz = NULL;
	o->fd = -1;
	return err;
}
