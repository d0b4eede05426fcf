/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the skep command: global options, and the table of commands. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skep.h>

#include "tool/door.h"
#include "tool/libbpf.h"
#include "tool/tool.h"

static int cmd_help_top(int argc, char **argv);
static int cmd_version(int argc, char **argv);

#define BTF_ARGS "list | dump id N | dump file FILE"

#define CC_HELP \
	"  -I DIR, -D NAME[=VALUE]  for clang, when FILE is C\n"

static const char run_help[] =
	"  --in CAPTURE             packets to run on (pcap, pcapng; -: stdin)\n"
	"  -- COMMAND ARGS...       processes to run in: this command and what it starts\n"
	"  --prog NAME              which program, if several fit; all that attach otherwise\n"
	"  --output FILE, -o FILE   print there; the command keeps standard output\n"
	"  --set NAME=VALUE         set a global variable of the program\n"
	"  --pin NAME               leave program and maps behind, pinned\n"
	"  --reuse-pins             go on with the maps that are pinned there\n"
	"  --repeat N               run over the capture N times\n"
	"  --top N                  at most N rows per map (20, in JSON all; 0: all)\n"
	"  --sort FIELD             largest first by this field of the value\n"
	"  --log-level N            print the verifier's log (1, 2) on stderr\n"
	CC_HELP;

static const char verify_help[] =
	"  -o, --output FORMAT      text, or csv as veristat prints it\n"
	"  --prog NAME              only this program\n"
	"  --target KERNEL          whose types and functions: skep, kernel (the running one), or a file of BTF\n"
	"  --log-level N            print the verifier's log (1, 2) on stderr\n"
	CC_HELP;

static const char feature_help[] =
	"  SECTION                  commands, programs, maps, attach_types, helpers, kfuncs, contexts, instructions\n"
	"  list_builtins GROUP      names only, as bpftool: prog_types, map_types, attach_types, helpers\n";

#define DUMP_HELP \
	"  -d, -dd, -ddd            listing; C; decimal numbers, as tcpdump prints them\n" \
	"  --asm                    assembler text with labels\n" \
	"  --comma                  one line, as iptables and tc take it\n" \
	"  --raw                    struct sock_filter as in memory\n"

static const char asm_help[] =
	"  FILE                     assembler text, or what -d, -dd, -ddd, --comma, --raw print; -: stdin\n"
	"  -D NAME=VALUE            define a name\n"
	"  --seccomp                check by the rules of seccomp filters\n"
	"  --no-check               print what the kernel would refuse, too\n"
	DUMP_HELP "                           (default: -ddd)\n\n"
	"  skep asm -D N=80 -d port.asm\n";

static const char disasm_help[] =
	"  FILE                     as of 'skep asm'\n"
	DUMP_HELP "                           (default: --asm)\n\n"
	"  tcpdump -ddd 'tcp port 80' | skep disasm -\n";

static const char filter_help[] =
	"  EXPRESSION               as tcpdump takes it; all words together\n"
	"  -r FILE                  packets of a capture: pcap, pcapng, either gzipped; -: stdin\n"
	"  -i INTERFACE             packets of an interface (--promisc, -s SNAPLEN; --kernel: filter there, too)\n"
	"  -w FILE                  write what matches: .pcap, .pcapng, .gz behind it; -: stdout\n"
	"  -c N                     end after N packets that match\n"
	"  -F PROGRAM, -D NAME=VALUE  a classic program instead of an expression (see 'skep help asm')\n"
	"  -O                       leave out libpcap's optimiser\n"
	"  --check                  compare optimised and plain code on these and on generated packets\n"
	"                           (--check-packets N, --witness FILE)\n"
	DUMP_HELP
	"  -E, -J                   the program as eBPF, as machine code (-y LINKTYPE: for this link type)\n\n"
	"  skep filter 'tcp port 443 and not net 10/8' -r in.pcapng -w out.pcapng\n"
	"  zcat day.pcap.gz | skep filter -r - -w - icmp6 | tcpdump -r -\n";

static const char trace_pipe_help[] =
	"  -n, --no-follow          print what is there and end\n";

static const struct cmd commands[] = {
	{ "run",     cmd_run,      "FILE [OPTIONS] [--in CAPTURE | -- COMMAND ARGS...]", "run a program on packets or in processes; print its events, or its maps", run_help },
	{ "verify",  cmd_verify,   "FILE... [OPTIONS]",              "does the verifier accept these programs?", verify_help },
	{ "prog",    cmd_prog,     "show | dump | run | pin | load ...", "loaded programs" },
	{ "map",     cmd_map,      "show | dump | lookup | update | delete | pin | create ...", "maps" },
	{ "btf",     cmd_btf,      BTF_ARGS,                         "type information" },
	{ "feature", cmd_feature,  "[probe] [SECTION...]",           "what is supported, row by row", feature_help },
	{ "filter",  cmd_filter,   "EXPRESSION (-r FILE | -i IFACE) [-w FILE] [OPTIONS]", "packets that match, as tcpdump says it", filter_help },
	{ "asm",     cmd_asm,      "FILE [-D NAME=VALUE] [OPTIONS]", "assemble a classic BPF program", asm_help },
	{ "disasm",  cmd_disasm,   "FILE [OPTIONS]",                 "show a classic BPF program", disasm_help },
	{ "seccomp", cmd_seccomp,  "explain FILE | eval FILE SYSCALL [ARGUMENT...]", "what a seccomp program does" },
	{ "doctor",  cmd_doctor,   "",                               "what this machine allows", "" },
	{ "gc",      cmd_gc,       "",                               "remove what nobody uses any more", "" },
	{ "trace-pipe", cmd_trace_pipe, "[-n]",                      "what programs print by bpf_printk()", trace_pipe_help },
	{ "version", cmd_version,  "",                               "print the version", "" },
	{ "help",    cmd_help_top, "[COMMAND]",                      "print this, or a command's help" },
	{},
};

static int cmd_version(int argc, char **argv)
{
	if (opt.json) {
		struct json *j = out_json();

		json_obj(j, NULL);
		json_str(j, "version", skep_version());
		json_fmt(j, "libbpf_version", "%u.%u", libbpf_major_version(), libbpf_minor_version());
		json_end(j, '}');
	} else {
		printf("skep v%s\nusing libbpf v%u.%u\n", skep_version(), libbpf_major_version(),
		       libbpf_minor_version());
	}
	return EXIT_OK;
}

static void usage(FILE *f)
{
	fputs("usage: skep [OPTIONS] COMMAND ...\n\n"
	      "eBPF without the kernel: load, verify, compile and run programs, trace processes, keep and pin maps.\n\n", f);
	for (const struct cmd *c = commands; c->name; c++)
		fprintf(f, "  %-10s  %s\n", c->name, c->help);
	fputs("\n"
	      "  -j, --json      print JSON (bpftool's keys)    -p, --pretty    the same, indented\n"
	      "  -d, --debug     libbpf's messages on stderr    -f, --bpffs     show where objects are pinned\n"
	      "  -n, --nomount   ignored, as bpftool takes it   -V, --version   -h, --help\n\n"
	      "Commands may be shortened. 'skep COMMAND help' says more. Try first:\n"
	      "  skep run examples/execsnoop.bpf.c -- sh -c 'ls; date; true'\n"
	      "  skep run examples/flows.bpf.c --in examples/traffic.pcap\n", f);
}

static int cmd_help_top(int argc, char **argv)
{
	char *help[] = { (char *)"help", NULL };

	if (!argc || !strcmp(argv[0], "help")) {
		usage(stdout);
		return EXIT_OK;
	}
	return cmd_dispatch(commands, "", 2, (char *[]){ argv[0], help[0], NULL });
}

struct global {
	const char *name, *alias;
	bool *to;
};

static const struct global globals[] = {
	{ "-j", "--json",    &opt.json },
	{ "-p", "--pretty",  &opt.pretty },
	{ "-d", "--debug",   &opt.debug },
	{ "-f", "--bpffs",   &opt.paths },
	{ "-n", "--nomount", &opt.n },
};

static const struct global *global_find(const char *word)
{
	for (u32 i = 0; i < ARRAY_SIZE(globals); i++)
		if (!strcmp(word, globals[i].name) || !strcmp(word, globals[i].alias))
			return &globals[i];
	return NULL;
}

/* Takes the global options out of argv wherever they stand ("skep map show -j" is what people type), up to "--". */
static int take_globals(int argc, char **argv)
{
	int n = 0, i;

	for (i = 0; i < argc && strcmp(argv[i], "--"); i++) {
		const struct global *g = global_find(argv[i]);

		if (!g)
			argv[n++] = argv[i];
		else if (g->to)
			*g->to = true;
	}
	for (; i < argc; i++)
		argv[n++] = argv[i];
	argv[n] = NULL;
	opt.json |= opt.pretty;
	return n;
}

static int dispatch(int argc, char **argv)
{
	if (!argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[0], "-V") || !strcmp(argv[0], "--version"))
		return cmd_version(0, NULL);
	if (!strcmp(argv[0], "-h") || !strcmp(argv[0], "--help"))
		return cmd_help_top(0, NULL);
	if (argv[0][0] == '-')
		return fail(EXIT_USAGE, "unknown option '%s': see 'skep help'", argv[0]);
	if (argc && !strcmp(argv[0], "agent-sites"))	/* for agents: not in the table */
		return cmd_agent_sites(argc - 1, argv + 1);
	return cmd_dispatch(commands, "", argc, argv);
}

/* What the command loaded and did not pin goes now, not when somebody next looks for garbage. */
static void tidy(void)
{
	if (gc_used())
		gc_run();
}

/* Started with descriptors 0 to 2 closed, the first maps would get those numbers, and what is printed would go into them.
 * O_PATH: using them fails with EBADF, as if they were closed; commands do not inherit them. */
static void fill_standard_fds(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", O_PATH | O_CLOEXEC);	/* the lowest free number, so FD */
}

/* Returns RC, or a failure's if not everything could be printed. A reader that has left is told nothing: it has seen enough. */
static int end_output(int rc)
{
	struct pollfd p = { .fd = STDOUT_FILENO };

	if (!fflush(stdout) && !ferror(stdout))
		return rc;
	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLERR))
		fputs("skep: not everything could be written to the output\n", stderr);
	return rc ? rc : EXIT_FAILED;
}

int main(int argc, char **argv)
{
	int rc;

	fill_standard_fds();
	argc = take_globals(argc - 1, argv + 1);
	libbpf_init();
	rc = dispatch(argc, argv + 1);
	tidy();
	if (opt.json)
		json_done(out_json());
	return end_output(rc);
}
