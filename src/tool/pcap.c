/* SPDX-License-Identifier: Apache-2.0 */
/* pcap.c - captures (pcap, pcapng) by libpcap, in chunks that lie in memory while programs run on them.
 *
 * Programs expect Ethernet. Other link types whose frames hold IP get an Ethernet header with zero addresses
 * instead of their own header; the rest is refused. Driven by the table `links`. */
#include "tool/pcap.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tool/tool.h"

#define ETH_LEN		14
#define MAX_FRAME	(1u << 20)	/* longer ones are damage */

/* Where the network protocol of a frame lies, and how much to take off. */
struct link_row {
	int dlt;
	u32 strip;
	enum { L_ETH, L_IP_VERSION, L_ETHERTYPE, L_FAMILY } how;
	u32 type_off;			/* L_ETHERTYPE */
};

static const struct link_row links[] = {
	{ DLT_EN10MB,     0,  L_ETH,        0 },
	{ DLT_RAW,        0,  L_IP_VERSION, 0 },
	{ DLT_IPV4,       0,  L_IP_VERSION, 0 },
	{ DLT_IPV6,       0,  L_IP_VERSION, 0 },
	{ DLT_NULL,       4,  L_IP_VERSION, 0 },
	{ DLT_LOOP,       4,  L_IP_VERSION, 0 },
	{ DLT_LINUX_SLL,  16, L_ETHERTYPE,  14 },
	{ DLT_LINUX_SLL2, 20, L_ETHERTYPE,  0 },
};

static int find_link(struct capture *c)
{
	const char *name;

	for (u32 i = 0; i < ARRAY_SIZE(links); i++)
		if (links[i].dlt == c->linktype)
			c->link = &links[i];
	if (c->link)
		return 0;
	name = pcap_datalink_val_to_name(c->linktype);
	return fail(EXIT_FAILED, "%s: link type %s (%d) is neither Ethernet nor plain IP: programs cannot run on it",
		    c->path, name ? name : "unknown", c->linktype);
}

static int open_file(struct capture *c)
{
	char err[PCAP_ERRBUF_SIZE] = "";
	struct stat st;

	if (strcmp(c->path, "-")) {
		if (stat(c->path, &st))
			return fail_errno(-errno, "%s", c->path);
		if (S_ISDIR(st.st_mode))
			return fail_errno(-EISDIR, "%s", c->path);
	}
	c->pcap = pcap_open_offline(c->path, err);
	if (!c->pcap)
		return fail(EXIT_FAILED, "%s%s%s", strstr(err, c->path) ? "" : c->path,
			    strstr(err, c->path) ? "" : ": ", err);
	c->linktype = pcap_datalink(c->pcap);
	return find_link(c);
}

int capture_open(struct capture *c, const char *path)
{
	int rc;

	memset(c, 0, sizeof(*c));
	c->path = path;
	rc = open_file(c);
	if (rc)
		capture_close(c);
	return rc;
}

const char *capture_note(const struct capture *c)
{
	return c->link->how == L_ETH ? NULL : pcap_datalink_val_to_name(c->linktype);
}

static int grow(void **p, size_t elem, size_t need, size_t *cap)
{
	size_t n = *cap ? *cap : 4096;
	void *q;

	if (need <= *cap)
		return 0;
	while (n < need)
		n *= 2;
	q = reallocarray(*p, n, elem);
	if (!q)
		return -ENOMEM;
	*p = q;
	*cap = n;
	return 0;
}

/* The EtherType that belongs to a frame without Ethernet header; 0 if it cannot be told. */
static u16 ethertype(const struct link_row *l, const u8 *frame, u32 len)
{
	if (len <= l->strip)
		return 0;
	if (l->how == L_ETHERTYPE)
		return (u16)(frame[l->type_off] << 8 | frame[l->type_off + 1]);
	return frame[l->strip] >> 4 == 4 ? 0x0800 : frame[l->strip] >> 4 == 6 ? 0x86dd : 0;
}

/* Room for one byte more than needed: a first packet of no bytes has an address as well. */
static int add(struct capture *c, const struct pcap_pkthdr *h, const u8 *frame)
{
	u32 strip = MIN(c->link->strip, h->caplen), head = c->link->how == L_ETH ? 0 : ETH_LEN;
	u32 len = h->caplen - strip + head;
	size_t cap = c->cap_pkts;
	struct packet *p;

	if (grow((void **)&c->pkts, sizeof(*c->pkts), (size_t)c->n + 1, &cap) ||
	    grow((void **)&c->data, 1, c->size + len + 1, &c->cap))
		return fail_errno(-ENOMEM, "%s", c->path);
	c->cap_pkts = (u32)cap;
	p = &c->pkts[c->n++];
	p->off = c->size;
	p->len = len;
	p->wire_len = h->len - MIN(strip, h->len) + head;
	if (head) {
		u16 type = ethertype(c->link, frame, h->caplen);

		memset(c->data + c->size, 0, 12);
		c->data[c->size + 12] = (u8)(type >> 8);
		c->data[c->size + 13] = (u8)type;
	}
	memcpy(c->data + c->size + head, frame + strip, h->caplen - strip);
	c->size += len;
	c->total++;
	c->snapped += h->caplen < h->len;
	return 0;
}

int capture_next(struct capture *c)
{
	struct pcap_pkthdr *h;
	const u8 *frame;
	bool first = !c->total;
	int r, rc = 0;

	c->n = 0;
	c->size = 0;
	if (c->cut || c->whole)
		return 0;
	while ((r = pcap_next_ex(c->pcap, &h, &frame)) == 1) {
		if (h->caplen > MAX_FRAME)
			return fail(EXIT_FAILED, "%s: packet %s claims %s bytes: the file is damaged", c->path,
				    commas(c->total + 1), commas(h->caplen));
		rc = add(c, h, frame);
		if (rc || c->size > CAPTURE_CHUNK)
			return rc;
	}
	if (r == PCAP_ERROR) {
		c->cut = true;
		warn("%s: cut off inside packet %s: %s", c->path, commas(c->total + 1), pcap_geterr(c->pcap));
	}
	c->whole = first && r != 1;
	return rc;
}

int capture_rewind(struct capture *c)
{
	if (c->whole)
		return 0;
	pcap_close(c->pcap);
	c->pcap = NULL;
	c->total = c->snapped = 0;
	c->cut = false;
	return open_file(c);
}

void capture_close(struct capture *c)
{
	if (c->pcap)
		pcap_close(c->pcap);
	free(c->data);
	free(c->pkts);
	memset(c, 0, sizeof(*c));
}
