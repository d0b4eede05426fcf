#!/usr/bin/env bash
# skep run PROG -- CMD: the command is found, started, watched and ended as a shell would; its own behaviour is unchanged.
. "$(dirname "$0")/lib.sh"

cat > "$tmp/quiet.bpf.c" << 'EOF'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
__u64 calls;
SEC("raw_tp/sys_enter") int count(struct bpf_raw_tracepoint_args *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}
EOF
"${CLANG:-clang}" -target bpf -g -O2 -idirafter "/usr/include/$(gcc -print-multiarch)" -c "$tmp/quiet.bpf.c" -o "$tmp/quiet.bpf.o"
prog=$tmp/quiet.bpf.o
tool_env=(timeout --foreground 30)
# of NAME WANTED-STATUS WANTED-STDOUT-OF-THE-COMMAND ARGS
of() {
	local row=$1 status=$2 text=$3
	shift 3
	run_tool run "$prog" -o "$tmp/maps" -- "$@"
	same "$row" "$status|$text" "$rc|$out"
}
of "status 0"                        0   ""      true
of "status of the command"           7   "out"   sh -c 'echo out; exit 7'
of "killed by a signal: 128 + 15"    143 ""      sh -c 'kill -TERM $$'
of "killed by SIGKILL: 137"          137 ""      sh -c 'kill -KILL $$'
of "arguments arrive as they are"    0   "a b|*|" printf '%s|%s|' 'a b' '*'
of "options behind -- are its own"   0   "-j --json" echo -j --json
has "the maps came into the file" "$(< "$tmp/maps")" "^calls +[0-9]+$"
has "the file says where programs were attached" "$(< "$tmp/maps")" "^count \(raw_tracepoint\): [0-9]+ instructions, at raw_tp/sys_enter$"

fails "command not found: 127"            127 "^skep: nosuchcommand: command not found$"        run "$prog" -- nosuchcommand
fails "no such file: 127"                 127 "^skep: /nonexistent/x: No such file"             run "$prog" -- /nonexistent/x
fails "an empty name: 127"                127 "command not found"                               run "$prog" -- ""
printf 'echo plain script "$1"\n' > "$tmp/my-script"
fails "not executable: 126"               126 "^skep: $tmp/my-script cannot be executed: Permission denied$" run "$prog" -- "$tmp/my-script"
fails "a directory: 126"                  126 "cannot be executed: Is a directory"              run "$prog" -- "$tmp"
chmod +x "$tmp/my-script"
of "a script without #! is the shell's"   0 "plain script 1"                                    "$tmp/my-script" 1
printf '#!/nonexistent/interpreter\n' > "$tmp/bad"; chmod +x "$tmp/bad"
fails "an interpreter that is missing: 126" 126 "^skep: $tmp/bad cannot be executed: its interpreter does not exist$" run "$prog" -- "$tmp/bad"
fails "nothing behind --"                 2 "no command behind '--'"                            run "$prog" --
fails "both packets and a command"        2 "either --in CAPTURE or -- COMMAND"                 run "$prog" --in examples/traffic.pcap -- true
fails "a program that does not attach"    1 "no program in it attaches|not a usable|No such"    run "$tmp/none.bpf.o" -- true
fails "flows do not attach to processes"  2 "no program in it attaches to processes"            run examples/flows.bpf.c -- true
PATH=$PATH:$tmp of "found in \$PATH"      0 "plain script 2"                                    my-script 2

# what the command is given
mask() { grep -E '^Sig(Blk|Ign)' "$1" | xargs; }
of "signals: nothing blocked, nothing ignored" 0 "$(bash -c 'grep -E "^Sig(Blk|Ign)" /proc/self/status' | xargs)" \
	bash -c 'grep -E "^Sig(Blk|Ign)" /proc/self/status | xargs'

run_tool run "$prog" -o "$tmp/maps" -- find /proc/self/fd -type l -printf "%f "
same "descriptors of the command are those without us" "$(find /proc/self/fd -type l -printf "%f " 2> /dev/null)" "$out"
same "its environment is ours, and what names the session" "$(env | grep -vE '^(_|LD_PRELOAD|SKEP_)' | sort)" \
	"$("$skep" run "$prog" -o "$tmp/maps" -- env | grep -vE '^(_|LD_PRELOAD|SKEP_)' | sort)"
has "SKEP_SCOPE is a fresh number" "$("$skep" run "$prog" -o "$tmp/maps" -- env | grep ^SKEP_SCOPE)" '^SKEP_SCOPE=[0-9a-f]{16}$'
same "two sessions have two" 2 "$(for _ in 1 2; do "$skep" run "$prog" -o "$tmp/maps" -- env | grep ^SKEP_SCOPE; done | sort -u | wc -l)"
has "its parent is the tool" "$("$skep" run "$prog" -o "$tmp/maps" -- sh -c 'cat /proc/$PPID/comm')" '^skep$'

# descriptors that are closed at the start: no map gets their numbers, nothing is printed into one
told() { grep -v 'no room for a probe'; }
at_start() { (cd "$tmp" && timeout 30 "$skep" run "$prog" -- sh -c 'for f in 0 1 2; do readlink /proc/$PPID/fd/$f; done > '"$tmp/fds" ); }
at_start <&- >&- 2>&-
same "with 0, 1, 2 closed they are nobody's" "/dev/null /dev/null /dev/null" "$(xargs < "$tmp/fds")"
timeout 30 "$skep" run "$prog" -- sh -c 'test -e /proc/$$/fd/1 || echo closed >&2' >&- 2> "$tmp/fds"
has "the command finds it closed" "$(< "$tmp/fds")" "^closed$"
if [ -c /dev/full ]; then
	timeout 30 "$skep" run "$prog" -- true > /dev/full 2> "$tmp/err"
	same "output that cannot be written: told" "1|skep: not everything could be written to the output" "$?|$(told < "$tmp/err")"
	timeout 30 "$skep" -j run "$prog" -- true > /dev/full 2> "$tmp/err"
	same "... with -j" "1|skep: not everything could be written to the output" "$?|$(told < "$tmp/err")"
else
	skip "output that cannot be written: no /dev/full"
fi
(trap '' PIPE; timeout 30 "$skep" run "$prog" -- true 2> "$tmp/err"; echo $? > "$tmp/rc") | true
same "a reader that leaves: nothing to tell" "" "$(told < "$tmp/err")"
same "a relative \$SKEP_DIR: found from elsewhere" "0|$tmp/rel/d" "$(mkdir "$tmp/rel"; cd "$tmp" || exit; SKEP_DIR=rel/d timeout 30 "$skep" run "$prog" -o maps -- \
	sh -c 'cd /; env | sed -n s/^SKEP_DIR=//p' > rel/out 2> rel/err; echo "$?|$(cat rel/out rel/err | told)")"

# ends of processes that were killed are told by helpers, at the session's end too
cat > "$tmp/ends.bpf.c" << 'EOF'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
__u64 ends;
SEC("tracepoint/sched/sched_process_exit") int count(void *ctx) { __sync_fetch_and_add(&ends, 1); return 0; }
EOF
ends() {
	for _ in 1 2 3 4 5; do
		timeout 30 "$skep" run "$tmp/ends.bpf.c" -o "$tmp/maps" -- "$@"
		awk '$1 == "ends" { print $2 }' "$tmp/maps"
	done 2> /dev/null | xargs
}
same "the end of the command is seen" "1 1 1 1 1" "$(ends sleep 0.01)"
same "... and of killed ones" "2 2 2 2 2" "$(ends sh -c 'sh -c "kill -9 \$\$"; kill -9 $$')"

# the agent's file
mkdir -p "$tmp/alone/bin"; cp "$skep" "$tmp/alone/bin"

skep_was=$skep; skep=$tmp/alone/bin/skep
fails "the agent's file is missing" 3 "^skep: $tmp/alone/lib/libskep-agent.so: No such file or directory" run "$prog" -- echo never
mkdir "$tmp/alone/lib"; echo 'int x;' | gcc -shared -x c - -o "$tmp/alone/lib/libskep-agent.so"
fails "the agent's file is something else" 3 "^skep: $tmp/alone/lib/libskep-agent.so: not the agent of this version" run "$prog" -- echo never
mkdir -p "$tmp/with blank/"; cp -r "$tmp/alone/bin" "$(dirname "$SKEP_BUILD/bin")/lib" "$tmp/with blank" 2> /dev/null
skep="$tmp/with blank/bin/skep"
fails "a path that LD_PRELOAD cannot hold" 3 "takes no path with blanks" run "$prog" -- echo never
skep=$skep_was

# names that do not exist
at() { sed "s#raw_tp/sys_enter#$1#" "$tmp/quiet.bpf.c" > "$tmp/at.bpf.c"; }
at tp/syscalls/sys_enter_execv
fails "no such tracepoint: the nearest" 1 "at.bpf.c: count: no tracepoint 'syscalls/sys_enter_execv': did you mean syscalls/sys_enter_execve\?$" run "$tmp/at.bpf.c" -- true
at tp/syscalls/sys_enter_stat
fails "the kernel's own name of a call" 1 "did you mean syscalls/sys_enter_newstat" run "$tmp/at.bpf.c" -- true
at tp/sched/sched_switch
fails "a tracepoint that skep has not" 1 "no tracepoint 'sched/sched_switch': skep has syscalls/\*" run "$tmp/at.bpf.c" -- true
at raw_tp/sys_entry
fails "no such raw tracepoint" 1 "no raw tracepoint 'sys_entry': did you mean sys_enter\?" run "$tmp/at.bpf.c" -- true
at ksyscall/opnat
fails "no such system call" 1 "no system call 'opnat': did you mean openat" run "$tmp/at.bpf.c" -- true
at kprobe/vfs_read
fails "no such kernel function" 1 "no kernel function 'vfs_read': skep has the entries of system calls" run "$tmp/at.bpf.c" -- true
at uprobe//bin/sh:main
fails "a section for something else" 1 "nothing to attach SEC\(\"uprobe//bin/sh:main\"\) to" run "$tmp/at.bpf.c" -- true

# signals
python3 - "$skep" "$prog" "$tmp/maps" << 'PY'
import os, pty, signal, subprocess, sys, time
skep, prog, maps = sys.argv[1:]

def result(row, want, got):
    print(("ok - command: %s" if want == got else "not ok - command: %s: wanted %r, got %r") % ((row,) if want == got else (row, want, got)))

def until(f, what):
    for _ in range(600):
        if f():
            return
        time.sleep(0.02)
    raise SystemExit("not ok - command: waited for " + what)

def child_of(pid):
    out = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [l.split(None, 1) for l in out.splitlines()]

# kill -TERM to the tool alone: passed on
p = subprocess.Popen([skep, "run", prog, "-o", maps, "--", "sleep", "1000"], stderr=subprocess.PIPE)
until(lambda: any(c[1] == "sleep" for c in child_of(p.pid)), "sleep")
p.send_signal(signal.SIGTERM)
result("SIGTERM is passed on: 143", 143, p.wait(20))

p = subprocess.Popen([skep, "run", prog, "-o", maps, "--", "sh", "-c", "trap 'echo got; exit 5' USR1; echo ready; while :; do sleep 0.05; done"],
                     stdout=subprocess.PIPE, text=True)
result("the command's first line", "ready\n", p.stdout.readline())
p.send_signal(signal.SIGUSR1)
result("SIGUSR1 is passed on to who handles it", "got\n", p.stdout.readline())
result("... and the status is the handler's", 5, p.wait(20))

def in_terminal(argv, ready, keys, more=b""):
    pid, fd = pty.fork()
    if not pid:
        os.execv(argv[0], argv)
    out = b""
    def read():
        nonlocal out
        try:
            b = os.read(fd, 4096)
        except OSError:
            b = b""
        out += b
        return b
    while ready not in out and read():
        pass
    os.write(fd, keys)
    while read():
        pass
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out.decode(errors="replace").replace("\r\n", "\n")

code, out = in_terminal([skep, "run", prog, "--", "sh", "-c", "echo ready; exec sleep 1000"], b"ready", b"\x03")
result("Ctrl-C ends the command: 130", 130, code)
result("... and the totals come", True, "calls" in out and "instructions, at raw_tp/sys_enter" in out)
code, out = in_terminal([skep, "run", prog, "--", "sh", "-c", "trap 'echo caught; exit 4' INT; echo ready; while :; do sleep 0.1; done"], b"ready", b"\x03")
result("Ctrl-C is the command's: what it makes of it counts", (4, True), (code, "caught" in out))
code, out = in_terminal([skep, "run", prog, "--", "sh", "-c", "read x; echo \"[$x]\"; tty -s && echo tty"], b"", b"typed\n")
result("the terminal is the command's", (0, True), (code, "[typed]\ntty" in out))
code, out = in_terminal([skep, "run", prog], b"Ctrl-C ends", b"\x03")
result("without a command: until Ctrl-C, status 0, with totals", (0, True), (code, "calls" in out))
PY
