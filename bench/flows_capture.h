/* SPDX-License-Identifier: Apache-2.0 */
/* flows_capture.h - the frames of a capture in memory. Apart from flows.c because libpcap's and libbpf's struct bpf_program
 * are two things. */
struct frame {
	unsigned char *data;
	unsigned int len;
};

extern struct frame frames[];
extern int nr_frames;

void frames_load(const char *path);			/* exits when it cannot */
struct frame *frame_find(const char *filter);		/* the first that a filter of tcpdump's finds, or NULL */
