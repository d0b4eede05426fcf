/* SPDX-License-Identifier: Apache-2.0 */
/* pcap.h - packets of a capture file, read ahead into memory. */
#ifndef SKEP_TOOL_PCAP_H
#define SKEP_TOOL_PCAP_H

#include "base/def.h"

struct packet {
	u64 off;			/* in capture.data */
	u32 len;			/* bytes to run on: what was captured, with an Ethernet header */
	u32 wire_len;
};

struct capture {
	const char *path;
	void *pcap;			/* pcap_t */
	int linktype;			/* DLT_* */
	const struct link_row *link;
	u8 *data;
	size_t size, cap;
	struct packet *pkts;
	u32 n, cap_pkts;
	bool whole;			/* the whole file is in memory */
	bool cut;			/* the file ends inside a packet */
	u64 total, snapped;		/* packets read so far; shortened by the capture's snap length */
};

/* Exit code after fail(). */
int capture_open(struct capture *c, const char *path);
/* Reads the next packets, about CAPTURE_CHUNK bytes of them, in the place of those before. c->n is 0 at the end. */
int capture_next(struct capture *c);
int capture_rewind(struct capture *c);	/* from the start again; free when c->whole */
void capture_close(struct capture *c);
/* A note for the user when frames get a made-up Ethernet header; NULL if they have their own. */
const char *capture_note(const struct capture *c);
#define CAPTURE_CHUNK	(64u << 20)

#endif
