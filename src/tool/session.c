/* SPDX-License-Identifier: Apache-2.0 */
/* session.c - skep run PROG [-- CMD]: attach the programs of an object where their sections say, start the command with
 * the agent, print events until it ends (without a command: until Ctrl-C), then say what was lost or not seen.
 *
 * With a command the links concern its processes only: they carry this session's number, $SKEP_SCOPE. Exit status: the
 * command's (128 + signal); what goes wrong before it starts: 1, 2, 3 as everywhere, 126, 127 as in shells. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <skep.h>

#include "tool/attach.h"
#include "tool/command.h"
#include "tool/launch.h"
#include "tool/notices.h"
#include "tool/run.h"

#define MAX_LINKS	64
#define START_NS	5000000000ull	/* an agent that has not started by then is not there */
#define END_MS		200		/* for helpers of processes that have ended to say so */
#define LOOK_MS		100		/* nothing wakes us for printed lines */

struct session {
	struct job *k;
	struct command cmd;
	struct bpf_link *links[MAX_LINKS];
	u32 nr_links;
	char agent[4096];		/* libskep-agent.so */
	bool mute;			/* nobody reads our standard output any more */
	u64 check_at;			/* has the command's agent started? 0: known */
};

/* ---- before loading ---- */
static bool chosen(const struct job *k, const struct bpf_program *p)
{
	return k->o.prog ? !strcmp(k->o.prog, bpf_program__name(p)) : attaches(p);
}

static int choose(const struct job *k)
{
	u32 n = 0, others = 0;
	struct bpf_program *p;
	int rc = 0;

	bpf_object__for_each_program(p, k->obj) {
		bool on = chosen(k, p);

		bpf_program__set_autoload(p, on);
		n += on;
		others += !on && !k->o.prog;
		if (on && !rc)
			rc = attach_check(k->src.path, p);
	}
	if (rc)
		return rc;
	if (!n && k->o.prog)
		return fail(EXIT_USAGE, "%s has no program '%s'", k->src.path, k->o.prog);
	if (!n)
		return fail(EXIT_USAGE, "%s: no program in it attaches to processes", k->src.path);
	if (n > MAX_LINKS)
		return fail(EXIT_FAILED, "%s: more than %d programs to attach", k->src.path, MAX_LINKS);
	if (others)
		note("%s: %u program%s left out: %s section says no place in a process", k->src.path, others,
		     others == 1 ? " is" : "s are", others == 1 ? "its" : "their");
	return 0;
}

/* The links that this process makes carry $SKEP_SCOPE. */
static int set_scope(struct session *s)
{
	char text[24];

	if (!s->cmd.argv) {
		unsetenv("SKEP_SCOPE");
		return 0;
	}
	if (getrandom(&s->cmd.scope, sizeof(s->cmd.scope), 0) != sizeof(s->cmd.scope))
		return fail_errno(-errno, "getrandom");
	s->cmd.scope |= 1;		/* 0 is everybody */
	snprintf(text, sizeof(text), "%016" PRIx64, s->cmd.scope);
	return setenv("SKEP_SCOPE", text, 1) ? fail_errno(-ENOMEM, "environment") : 0;
}

/* ---- attaching ---- */
static int attach(struct session *s)
{
	struct bpf_program *p;

	bpf_object__for_each_program(p, s->k->obj) {
		struct bpf_link *l;

		if (!bpf_program__autoload(p))
			continue;
		libbpf_cause();
		l = bpf_program__attach(p);
		if (!l)
			return attach_failed(s->k->src.path, p, -errno);
		s->links[s->nr_links++] = l;
	}
	return 0;
}

static void detach(struct session *s)
{
	while (s->nr_links)
		bpf_link__destroy(s->links[--s->nr_links]);
}

/* ---- while it runs ---- */
static void drain(struct session *s)
{
	if (!s->mute && events_drain(s->k->ev))
		s->mute = true;
	notices_take();
	trace_own_show();
}

static void check_start(struct session *s, bool now)
{
	if (!s->check_at || (!now && now_ns() < s->check_at))
		return;
	s->check_at = 0;
	notices_check_start();
}

static void run_loop(struct session *s)
{
	struct pollfd fds[EVENT_FDS + 1];
	u32 n = events_fds(s->k->ev, fds, EVENT_FDS);

	fds[n++] = (struct pollfd){ .fd = s->cmd.signals, .events = POLLIN };
	for (;;) {
		drain(s);
		command_watch(&s->cmd);
		check_start(s, s->cmd.ended);
		if (s->cmd.argv ? s->cmd.ended : s->cmd.interrupted || s->mute)
			return;
		poll(fds, n, LOOK_MS);
	}
}

/* ---- afterwards ---- */
static void report_missed(const struct session *s)
{
	struct bpf_program *p;

	bpf_object__for_each_program(p, s->k->obj) {
		u64 n = bpf_program__fd(p) < 0 ? 0 : attach_missed(bpf_program__fd(p));

		if (n)
			warn("%s: %s run%s missed", bpf_program__name(p), commas(n), n == 1 ? " was" : "s were");
	}
}

static void show_programs(const struct session *s)
{
	struct json *j = out_json();
	struct bpf_program *p;

	if (opt.json)
		json_arr(j, "programs");
	bpf_object__for_each_program(p, s->k->obj) {
		if (bpf_program__fd(p) < 0)
			continue;
		if (!opt.json) {
			printf("%s (%s): %s instructions, at %s\n", bpf_program__name(p),
			       prog_type_name(bpf_program__type(p)), commas(bpf_program__insn_cnt(p)),
			       bpf_program__section_name(p));
			continue;
		}
		json_obj(j, NULL);
		json_str(j, "prog", bpf_program__name(p));
		json_str(j, "type", prog_type_name(bpf_program__type(p)));
		json_str(j, "section", bpf_program__section_name(p));
		json_u64(j, "insns", bpf_program__insn_cnt(p));
		json_end(j, '}');
	}
	if (opt.json)
		json_end(j, ']');
}

/* Without events the maps are the result. */
static int show_maps(const struct session *s)
{
	struct json *j = out_json();
	int rc;

	if (opt.json) {
		json_obj(j, NULL);
		json_str(j, "file", s->k->src.path);
	}
	show_programs(s);
	rc = run_show_maps(s->k);
	if (opt.json && s->k->o.pin)
		json_str(j, "pinned", s->k->o.pin);
	if (opt.json)
		json_end(j, '}');
	return rc;
}

/* The end of a process that was killed is told by its helper, which learns of it when we do. */
static void wait_for_ends(const struct session *s)
{
	struct bpf_program *p;

	bpf_object__for_each_program(p, s->k->obj) {
		if (s->cmd.pid && bpf_program__autoload(p) && strstr(bpf_program__section_name(p), "sched_process_exit")) {
			launch_wait_ends(s->cmd.scope, END_MS);
			return;
		}
	}
}

static int finish(struct session *s)
{
	u64 n;
	int rc = 0;

	if (s->cmd.interrupted && isatty(STDERR_FILENO))
		fputc('\n', stderr);	/* behind the terminal's ^C */
	wait_for_ends(s);
	detach(s);
	drain(s);
	n = events_count(s->k->ev);
	if (!s->k->ev && !s->mute)
		rc = show_maps(s);
	fflush(stdout);
	if (s->k->ev && (s->cmd.interrupted || !n))
		note("skep: %s event%s", n ? commas(n) : "no", n == 1 ? "" : "s");
	events_report(s->k->ev);
	report_missed(s);
	trace_own_end();
	notices_report();
	return rc;
}

/* ---- all of it ---- */
static int prepare(struct session *s)
{
	struct job *k = s->k;
	int rc = s->cmd.argv ? command_find(&s->cmd) : 0;

	rc = rc ? rc : choose(k);
	if (!rc && s->cmd.argv)
		rc = agent_find(s->agent, sizeof(s->agent));
	rc = rc ? rc : run_prepare(k);
	rc = rc ? rc : set_scope(s);
	return rc ? rc : load_object(k->obj, NULL, &k->src, &k->log);
}

static int start(struct session *s)
{
	char preload[8192], dir[PATH_MAX + 16] = "SKEP_DIR=";
	char *env[] = { preload, dir, NULL };		/* $SKEP_SCOPE is set already */
	const char *old = getenv("LD_PRELOAD");
	int rc = agent_prepare(s->cmd.path);

	if (rc)
		return rc;
	notices_command(s->cmd.path);
	if (old && !strncmp(old, s->agent, strlen(s->agent))) {
		old += strlen(s->agent);	/* the tool runs under another session */
		old += *old == ':';
	}
	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s%s%s", s->agent, old && *old ? ":" : "", old ? old : "");
	if (!realpath(skep_dir__path(), dir + strlen(dir)))	/* its children have directories of their own */
		return fail_errno(-errno, "%s", skep_dir__path());
	rc = command_start(&s->cmd, env);
	notices_started(s->cmd.pid);
	s->check_at = now_ns() + START_NS;
	return rc;
}

static int go(struct session *s)
{
	struct job *k = s->k;
	int rc = k->o.pin ? load_pin(k->obj, NULL, k->o.pin) : 0;

	rc = rc ? rc : events_open(k->ev);
	rc = rc ? rc : command_take_signals(&s->cmd);
	if (rc)
		return rc;
	notices_start(s->cmd.scope);
	run_trace_start(k);
	rc = attach(s);
	if (!rc && s->cmd.argv)
		rc = start(s);
	else if (!rc)
		note("skep: attached %u program%s; Ctrl-C ends", s->nr_links, s->nr_links == 1 ? "" : "s");
	if (rc) {
		detach(s);
		return rc;
	}
	run_loop(s);
	rc = finish(s);
	return s->cmd.argv ? command_exit_code(&s->cmd) : rc;
}

int session(struct job *k)
{
	struct session s = { .k = k, .cmd = { .argv = k->o.cmd, .signals = -1, .out = k->o.terminal } };
	int rc = prepare(&s);

	rc = rc ? rc : go(&s);
	if (s.cmd.signals >= 0)
		close(s.cmd.signals);
	return rc;
}
