/* SPDX-License-Identifier: Apache-2.0 */
/* capwrite.h - captures out: records of the same format as they came, others converted. What lies in the file is always a
 * whole number of records, but while a write is under way; one that fails is taken back where the file can be cut. */
#ifndef SKEP_TOOL_CAPWRITE_H
#define SKEP_TOOL_CAPWRITE_H

#include <sys/uio.h>

#include "tool/capread.h"

#define CAP_OUT_SPANS	128

struct cap_out {
	const char *path;
	int fd;
	enum cap_format format;
	void *gz;			/* gzFile, when NAME ends with .gz */
	bool verbatim;			/* records go out as they came */
	bool started;			/* the header is written */
	struct cap_iface iface;		/* what a converted file says of its packets */
	u64 packets;
	u64 good;			/* bytes of whole records in the file */
	struct iovec span[CAP_OUT_SPANS];	/* in the reader's buffer, not yet written */
	int nr_spans;
	u8 *buf;			/* converted or compressed records */
	size_t len;
	char error[200];
};

/* By NAME: .pcapng, .ntar: pcapng; .pcap, .cap, .dmp: pcap; anything else: DEFLT. .gz behind it compresses. */
enum cap_format cap_out_format(const char *name, enum cap_format deflt);

/* Creates PATH ("-": stdout). All return 0, or -1 with o->error. */
int cap_out_open(struct cap_out *o, const char *path, enum cap_format format);
/* Once the reader is open and whenever it was opened anew; before any record. NANO: keep nanoseconds (converted pcap). */
int cap_out_start(struct cap_out *o, const struct cap_in *in, bool nano);
int cap_out_block(struct cap_out *o, const struct cap_rec *r);		/* of pcapng; dropped by a pcap file */
int cap_out_packet(struct cap_out *o, const struct cap_in *in, const struct cap_rec *r);
int cap_out_flush(struct cap_out *o);
int cap_out_close(struct cap_out *o);	/* flushes */

#endif
