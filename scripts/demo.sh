#!/usr/bin/env bash
# demo.sh SKEP - what `make demo` shows. Works in a directory of its own, which goes away at the end.
set -eu
skep=$PWD/$1
cd "$(dirname "$0")/.."
SKEP_DIR=$(mktemp -d /dev/shm/skep-demo-XXXXXX)
export SKEP_DIR
trap 'rm -rf "$SKEP_DIR"' EXIT

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
