#!/usr/bin/env bash
# demo.sh SKEP - what `make demo` shows. Works in a directory of its own, which goes away at the end.
set -eu
skep=$PWD/$1
cd "$(dirname "$0")/.."
SKEP_DIR=$(mktemp -d /dev/shm/skep-demo-XXXXXX)
export SKEP_DIR
dir=$SKEP_DIR
trap 'rm -rf "$dir"' EXIT

show() {	# print a command, then run it
	printf '\n$ skep %s\n' "$*"
	"$skep" "$@"
}
quietly() {	# the same without its output
	printf '\n$ skep %s\n  ...\n' "$*"
	"$skep" "$@" > /dev/null
}

echo "A program is compiled, verified, turned into machine code, and run on every packet of a capture:"
show run examples/flows.bpf.c --in examples/traffic.pcap --top 10
printf '\nPinned, its maps stay for other processes to read, and the next run goes on with them:\n'
quietly run examples/flows.bpf.c --in examples/traffic.pcap --pin demo
show map dump pinned demo/verdicts
quietly run examples/flows.bpf.c --in examples/traffic.pcap --pin demo --reuse-pins
show map dump pinned demo/verdicts

# As an ordinary user, where root can become one that sees this folder.
printf '\nPrograms run in processes, too: which programs does this command execute? No root is needed'
run=("$skep")
if [ "$(id -u)" -eq 0 ]; then
	nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	if "${nobody[@]}" test -r examples/execsnoop.bpf.c -a -x "$skep" 2> /dev/null; then
		run=("${nobody[@]}" "$skep")
		printf ' (uid 65534)'
		export SKEP_DIR=$SKEP_DIR/user
		mkdir -m 700 "$SKEP_DIR" && chown 65534:65534 "$SKEP_DIR"
		chmod 711 "${SKEP_DIR%/user}"
	fi
fi
printf ":\n\n$ skep run examples/execsnoop.bpf.c -- sh -c 'ls; date; true'\n"
"${run[@]}" run examples/execsnoop.bpf.c -- sh -c 'ls; date; true'
