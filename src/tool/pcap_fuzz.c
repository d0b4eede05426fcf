/* SPDX-License-Identifier: Apache-2.0 */
/* pcap_fuzz.c - libFuzzer target: captures of any content are read or refused, whatever libpcap makes of them. Each packet's
 * bytes are summed up, so that a length that lies is caught by ASan. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tool/pcap.h"
#include "tool/tool.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static u32 sum(const struct capture *c)
{
	u32 s = 0;

	for (u32 i = 0; i < c->n; i++)
		for (u32 k = 0; k < c->pkts[i].len; k++)
			s += c->data[c->pkts[i].off + k];
	return s;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static volatile u32 sink;
	struct capture c;
	char path[64];
	int fd = memfd_create("capture", MFD_CLOEXEC);

	opt.mute = true;
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!capture_open(&c, path)) {
		do {
			if (capture_next(&c))
				break;
			sink += sum(&c);
		} while (c.n && !c.whole);
		capture_rewind(&c);
		capture_close(&c);
	}
	close(fd);
	return 0;
}
