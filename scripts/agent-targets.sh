#!/usr/bin/env bash
# agent-targets.sh SKEP [SECONDS] [TARGET...] - strangers' programs under the agent, while a program on every system call is
# attached to them and detached again, over and over. Each target runs plain first; under the agent it must end with the
# same exit status and print the same. Prints "ok - ", "not ok - " or "skip - " lines. A target works for about SECONDS.
set -u
skep=$(realpath "$1") seconds=${2:-5}
shift; [ $# -gt 0 ] && shift
top=$(cd "$(dirname "$0")/.." && pwd)
agent=$(cd "$(dirname "$skep")/../lib" && pwd)/libskep-agent.so
tmp=$(mktemp -d "${SHM:-/dev/shm}/skep-targets-XXXXXX")
own_home=${HOME:-/}
export SKEP_DIR=$tmp/dir HOME=$tmp/home LC_ALL=C
mkdir -p "$HOME"
churn_pid=
trap '[ -n "$churn_pid" ] && kill "$churn_pid" 2> /dev/null; wait; rm -rf "$tmp"' EXIT

ok()     { echo "ok - targets: $1"; }
not_ok() { echo "not ok - targets: $1"; }
skip()   { echo "skip - targets: $1"; }
have()   { for c in "$@"; do command -v "$c" > /dev/null || { missing=$c; return 1; }; done; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# ---- targets: what they need, and a command that prints the same every time and takes about $seconds ----

need_dash="sh";		run_dash() { sh "$top/test/agent/targets/script.sh" "$seconds"; }
need_make="make gcc";	run_make() { sh "$top/test/agent/targets/make.sh" "$tmp/make.$RANDOM" "$seconds"; }
need_git="git";		run_git() { sh "$top/test/agent/targets/git.sh" "$tmp/git.$RANDOM" "$seconds"; }
need_python="python3";	run_python() { python3 "$top/test/agent/targets/work.py" "$seconds"; }
need_node="node";	run_node() { node "$top/test/agent/targets/work.js" "$seconds"; }
need_gcc="gcc";		run_gcc() { sh "$top/test/agent/targets/gcc.sh" "$tmp" "$seconds"; }
need_cxx="g++";		run_cxx() {
	[ -x "$tmp/cxx" ] || LD_PRELOAD='' g++ -O2 "$top/test/agent/targets/throw.cc" -o "$tmp/cxx" -pthread
	"$tmp/cxx" "$seconds"
}
# seen to fail: a thread cancelled while it is in a stub unwinds without its destructors (doc/agent.md)
need_cancel="g++";	run_cancel() {
	[ -x "$tmp/cxx" ] || LD_PRELOAD='' g++ -O2 "$top/test/agent/targets/throw.cc" -o "$tmp/cxx" -pthread
	"$tmp/cxx" "$seconds" cancel
}
need_signals="gcc";	run_signals() {
	[ -x "$tmp/signals" ] || LD_PRELOAD='' gcc -O2 "$top/test/agent/targets/signals.c" -o "$tmp/signals" -pthread
	"$tmp/signals" $((seconds * 3))
}
need_musl="musl-gcc";	run_musl() {
	[ -x "$tmp/musl" ] || LD_PRELOAD='' musl-gcc -O2 "$top/test/agent/targets/signals.c" -o "$tmp/musl" -pthread
	"$tmp/musl" "$seconds"
}
need_go="go";		run_go() {
	[ -x "$tmp/gowork" ] || (LD_PRELOAD=''; cd "$top/test/agent/targets" && GOCACHE=$tmp/gocache GO111MODULE=off go build -ldflags=-linkmode=external -o "$tmp/gowork" work.go)
	"$tmp/gowork" "$seconds"
}
need_rust="rustc";	run_rust() {
	[ -x "$tmp/rustwork" ] || HOME=$own_home LD_PRELOAD='' rustc -O -o "$tmp/rustwork" "$top/test/agent/targets/work.rs"
	"$tmp/rustwork" "$seconds"
}
need_timeout="timeout";	run_timeout() { timeout 0.5 sleep 60; echo $?; timeout 60 sh -c 'exit 3'; echo $?; }
need_nginx="nginx wrk curl"; run_nginx() { sh "$top/test/agent/targets/nginx.sh" "$tmp/nginx.$RANDOM" "$(free_port)" "$seconds"; }
need_redis="redis-server redis-benchmark redis-cli"
run_redis() { sh "$top/test/agent/targets/redis.sh" "$tmp/redis.$RANDOM" "$(free_port)" "$seconds"; }
need_chromium="chromium"; run_chromium() { sh "$top/test/agent/targets/chromium.sh" "$tmp/chromium.$RANDOM"; }
need_gdb="gdb gcc";	run_gdb() {
	[ -x "$tmp/gdbme" ] || LD_PRELOAD='' gcc -O0 -g "$top/test/agent/targets/signals.c" -o "$tmp/gdbme" -pthread
	gdb -q -batch -ex 'set debuginfod enabled off' -ex 'handle all nostop noprint pass' -ex 'break masks' -ex run -ex 'print ok' \
		-ex next -ex next -ex 'info threads' -ex delete -ex continue --args "$tmp/gdbme" 1 2>&1 |
		grep -oE 'hit Breakpoint 1|^[$]1|sigfillset|sigprocmask|exited normally|^sum .*'
}
all="dash make git python node gcc cxx cancel signals musl go rust timeout nginx redis chromium gdb"

# ---- attach and detach, all the time ----

churn() {
	local n=0
	while :; do
		timeout -s INT "0.$((RANDOM % 8 + 1))" "$skep" -j run "$tmp/all.bpf.o" > "$tmp/churn.out" 2> "$tmp/churn.err"
		rc=$?
		[ $rc -le 1 ] || [ $rc -ge 124 ] || { cat "$tmp/churn.err"; echo $rc; } >> "$tmp/churn.bad"
		n=$((n + 1)); echo $n > "$tmp/churn.count"
		grep -q '"key"' "$tmp/churn.out" && echo >> "$tmp/churn.seen"
		sleep "0.0$((RANDOM % 10))"
	done
}

one() {
	local t=$1 needs=need_$1 missing='' want got wrc rc took
	have ${!needs} || { skip "$t: $missing is not installed"; return; }
	want=$("run_$t" 2>&1); wrc=$?
	took=$SECONDS
	got=$(export LD_PRELOAD=$agent; timeout -k 5 $((seconds * 6 + 60)) bash -c "$(declare -f "run_$t" free_port); top=$top tmp=$tmp own_home=$own_home seconds=$seconds; run_$t" 2>&1); rc=$?
	if [ $rc -ne $wrc ]; then
		not_ok "$t: exit status $rc, without the agent $wrc: $(tail -n 3 <<< "$got")"
	elif [ "$got" != "$want" ]; then
		not_ok "$t: prints something else: $(diff <(echo "$want") <(echo "$got") | head -n 6)"
	else
		ok "$t: same output and exit status ($(wc -l <<< "$want") lines), $((SECONDS - took)) s, $(cat "$tmp/churn.count") attachments so far"
	fi
}

[ -f "$agent" ] || { not_ok "no agent at $agent"; exit 1; }
"${CLANG:-clang}" -target bpf -O2 -g -idirafter "/usr/include/$(gcc -print-multiarch)" -c "$top/test/agent/all.bpf.c" -o "$tmp/all.bpf.o" || exit 1
churn & churn_pid=$!
[ $# -gt 0 ] || set -- $all
for t in "$@"; do
	one "$t"
done
kill "$churn_pid"; wait "$churn_pid" 2> /dev/null; churn_pid=
if [ -s "$tmp/churn.bad" ]; then
	not_ok "attaching failed: $(head -n 3 "$tmp/churn.bad")"
else
	ok "attached and detached $(cat "$tmp/churn.count") times"
	[ -s "$tmp/churn.seen" ] || not_ok "none of them saw a system call"
	[ -s "$tmp/churn.seen" ] && ok "$(wc -l < "$tmp/churn.seen") of them saw system calls"
fi
