/* SPDX-License-Identifier: Apache-2.0 */
/* capread.h - capture files record by record at the speed of reading: pcap and pcapng of either byte order, plain or gzip,
 * from files and pipes. A record points into the reader's buffer. Prints nothing; errors are text. */
#ifndef SKEP_TOOL_CAPREAD_H
#define SKEP_TOOL_CAPREAD_H

#include "base/def.h"

#define CAP_MAX_IFACES	4096
#define CAP_MAX_RECORD	(16u << 20)	/* bytes; larger ones are damage */
#define CAP_MIN_SNAPLEN	262144u		/* packets up to this long are believed whatever the header says */

struct cap_iface {
	u32 dlt;			/* DLT_*, as libpcap's functions want it */
	u32 linktype;			/* as in the file */
	u32 snaplen;			/* 0: none */
	u64 ts_per_sec;
};

enum cap_format { CAP_PCAP, CAP_PCAPNG };
enum cap_kind { CAP_PACKET, CAP_BLOCK };	/* BLOCK: pcapng, whatever is no packet */

struct cap_rec {
	enum cap_kind kind;
	const u8 *raw;			/* as in the file, headers included */
	u32 raw_len;
	const u8 *data;			/* PACKET: of which CAPLEN bytes are there */
	u32 caplen, wire;
	u32 iface;
	u64 sec;
	u32 nsec;
};

struct cap_in {
	const char *path;
	int fd;
	enum cap_format format;
	bool swapped, modified;		/* modified: Kuznetzov's pcap, 8 bytes more per record */
	u8 header[24];			/* pcap: of the file */
	struct cap_iface *iface;
	u32 nr_ifaces, cap_ifaces;
	u64 packets;			/* read so far */
	u64 offset;			/* in the (uncompressed) file, of the next record */
	u8 *buf;
	size_t at, end, cap;
	bool eof;
	u64 map_off, map_size;		/* plain files: where in the file the window that is `buf` begins; the file's size */
	u32 damaged;			/* the file was cut under the window (fault_watch) */
	void *gz;			/* z_stream, when compressed */
	u8 *zbuf;
	bool gz_end;			/* between members */
	void (*before_refill)(void *arg);	/* records handed out so far are about to go; may be NULL */
	void *refill_arg;
	const volatile bool *stop;	/* ends reading as at the end of the file; may be NULL */
	bool cut;			/* the file ends inside of a record: what came before was handed out */
	char error[200];
};

/* FD is taken over, also on failure; PATH is for messages. 0, or -1 with c->error. */
int cap_open(struct cap_in *c, int fd, const char *path);
/* 1: *r is the next record; 0: the end; -1: c->error says why it cannot go on. */
int cap_next(struct cap_in *c, struct cap_rec *r);
void cap_close(struct cap_in *c);

/* LINKTYPE_* of files and DLT_* of libpcap differ for a few old types. */
u32 cap_dlt(u32 linktype);
u32 cap_linktype(u32 dlt);

#endif
