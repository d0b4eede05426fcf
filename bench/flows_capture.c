/* SPDX-License-Identifier: Apache-2.0 */
/* flows_capture.c - see flows_capture.h */
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flows_capture.h"

#define MAX_PACKETS	100000

struct frame frames[MAX_PACKETS];
int nr_frames;

void frames_load(const char *path)
{
	char err[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_open_offline(path, err);
	struct pcap_pkthdr *h;
	const unsigned char *d;

	if (!p) {
		fprintf(stderr, "%s\n", err);
		exit(1);
	}
	while (nr_frames < MAX_PACKETS && pcap_next_ex(p, &h, &d) == 1) {
		frames[nr_frames].data = malloc(h->caplen);
		memcpy(frames[nr_frames].data, d, h->caplen);
		frames[nr_frames++].len = h->caplen;
	}
	pcap_close(p);
}

struct frame *frame_find(const char *filter)
{
	pcap_t *p = pcap_open_dead(DLT_EN10MB, 65535);
	struct bpf_program f;
	struct frame *hit = NULL;

	if (pcap_compile(p, &f, filter, 1, PCAP_NETMASK_UNKNOWN))
		return NULL;
	for (int i = 0; i < nr_frames && !hit; i++) {
		struct pcap_pkthdr h = { .caplen = frames[i].len, .len = frames[i].len };

		if (pcap_offline_filter(&f, &h, frames[i].data))
			hit = &frames[i];
	}
	pcap_freecode(&f);
	pcap_close(p);
	return hit;
}
