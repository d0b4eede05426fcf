/* SPDX-License-Identifier: Apache-2.0 */
/* capfuzz.h - shared by the fuzz targets of capture files: reads a file by window and by pipe-like reads, writes what it holds
 * as pcap and as pcapng, reads that again. */
#ifndef SKEP_TOOL_CAPFUZZ_H
#define SKEP_TOOL_CAPFUZZ_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tool/capwrite.h"

static inline int capfuzz_file(const u8 *data, size_t size)
{
	int fd = memfd_create("capture", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET))
		abort();
	return fd;
}

static inline int capfuzz_pipe(const u8 *data, size_t size)
{
	int p[2];

	if (pipe(p) || write(p[1], data, size) != (ssize_t)size)
		abort();
	close(p[1]);
	return p[0];
}

/* Packets that the file holds, their bytes summed up; written to OUT unless NULL. -1: not a capture, or damaged. */
static inline s64 capfuzz_read(int fd, struct cap_out *out, u64 *sum)
{
	struct cap_in in = {};
	struct cap_rec r;
	s64 n = 0;
	int got = 0;

	*sum = 0;
	if (cap_open(&in, fd, "fuzz")) {
		if (!in.error[0])
			abort();
		return -1;
	}
	if (out && cap_out_start(out, &in, false))
		got = -2;
	while (got != -2 && (got = cap_next(&in, &r)) == 1) {
		for (u32 i = 0; i < r.caplen; i++)
			*sum += r.data[i];
		n += r.kind == CAP_PACKET;
		if (out && (r.kind == CAP_BLOCK ? cap_out_block(out, &r) : cap_out_packet(out, &in, &r)))
			break;			/* two link types, or no room */
		if (out && cap_out_flush(out))	/* records go with the next read */
			break;
	}
	if (got == -1 && !in.error[0])
		abort();
	cap_close(&in);
	return n;
}

static inline void capfuzz_one(const u8 *data, size_t size)
{
	u64 sum, again;
	s64 n = capfuzz_read(capfuzz_file(data, size), NULL, &sum), m;

	if (size <= 32768) {			/* what a pipe takes at once */
		m = capfuzz_read(capfuzz_pipe(data, size), NULL, &again);
		if (m != n || again != sum)
			abort();
	}
	for (int f = CAP_PCAP; n > 0 && f <= CAP_PCAPNG; f++) {
		struct cap_out out = {};
		char path[40];
		int fd = memfd_create("out", 0);

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (cap_out_open(&out, path, (enum cap_format)f))
			abort();
		capfuzz_read(capfuzz_file(data, size), &out, &sum);
		m = (s64)out.packets;
		if (!cap_out_close(&out) && !out.error[0] && capfuzz_read(fd, NULL, &again) != m)
			abort();
		else if (out.error[0])
			close(fd);
	}
}

#endif
