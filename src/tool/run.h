/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - what the files of skep run share. */
#ifndef SKEP_TOOL_RUN_H
#define SKEP_TOOL_RUN_H

#include "tool/events.h"
#include "tool/load.h"
#include "tool/maps.h"
#include "tool/pcap.h"

#define MAX_RETVALS	16

struct run_opts {
	const char *in, *prog, *pin, *sort, *output;
	struct opt_list set;
	u32 top, repeat, log_level;
	bool reuse;
	struct cc_opts cc;
	char **cmd;			/* behind "--"; NULL: none */
	int terminal;			/* what was standard output before --output; -1: still is */
};

struct run_stats {
	u64 packets, bytes, ns;
	u64 refused, first_refused;	/* frames that a test run does not take; which packet was the first */
	u32 refused_len;
	int refused_err;
	u32 retvals;			/* distinct ones */
	struct { u32 value; u64 count; } ret[MAX_RETVALS];
	u64 other_ret;
	u32 duration;			/* of runs without packets: ns each */
	u64 shown_at;			/* progress */
};

struct job {
	struct run_opts o;
	struct source src;
	struct bpf_object *obj;
	struct bpf_program *prog;
	struct load_log log;
	struct capture cap;
	struct run_stats st;
	struct events *ev;		/* NULL: no map of the object carries any */
};

/* Can the type of P be fed with WHAT (progs.def: "packets", "nothing", "processes")? */
bool runs_on(const struct bpf_program *p, const char *what);
bool attaches(const struct bpf_program *p);	/* its section says where */
int run_prepare(struct job *k);			/* before loading: --set, --pin, --reuse-pins, the maps for events */
void run_trace_start(const struct job *k);	/* show what the loaded programs print */
int run_show_maps(const struct job *k);		/* under -j into the object that is open */

int testruns(struct job *k);
int session(struct job *k);

#endif
