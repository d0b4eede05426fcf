#!/usr/bin/env bash
# examples/execsnoop*.bpf.c on trees of commands: the events are the execve calls that strace -f sees, as root and as an ordinary
# user; each with the right process, parent and user. And the kernel's bpf(2) has no part in it.
. "$(dirname "$0")/../tool/lib.sh"

unset MAKEFLAGS MFLAGS MAKELEVEL	# make check runs this
tool_env=(timeout --foreground 60)
# A tree that everybody may read.
mkdir -p "$tmp/tree/bin" "$tmp/tree/lib"
cp "$skep" "$tmp/tree/bin"; cp "$SKEP_BUILD/lib/libskep-agent.so" "$tmp/tree/lib"
chmod -R a+rX "$tmp"
skep=$tmp/tree/bin/skep
for v in "" -perf -raw; do
	"${CLANG:-clang}" --version > /dev/null || exit 1
	"$skep" btf dump file /sys/kernel/btf/vmlinux format c > "$tmp/vmlinux.h"
	"${CLANG:-clang}" -target bpf -g -O2 -D__TARGET_ARCH_x86 -I"$tmp" -c "examples/execsnoop$v.bpf.c" -o "$tmp/execsnoop$v.bpf.o" ||
		not_ok "execsnoop$v compiles against the dumped vmlinux.h"
done
cat > "$tmp/run.sh" << 'SH'
ls / > /dev/null
(date > /dev/null; true)
cat < /dev/null | sort | uniq
/nonexistent/program 2> /dev/null
env -i /bin/echo cleaned > /dev/null
command -v nothing > /dev/null || /bin/true
exec /bin/echo last > /dev/null
SH
cat > "$tmp/Makefile" << 'MK'
all: a b c d
a b c d:
	@/bin/echo $@ > /dev/null; /bin/true
	@sh -c 'exec /bin/true'
MK
cat > "$tmp/spawn.py" << 'PY'
import os, subprocess, threading
subprocess.run(["/bin/true"])
subprocess.run("exit 3", shell=True)
os.posix_spawn("/bin/echo", ["echo"], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
os.wait()
ts = [threading.Thread(target=lambda: subprocess.run(["/bin/echo"], stdout=subprocess.DEVNULL)) for _ in range(4)]
[t.start() for t in ts]; [t.join() for t in ts]
if not os.fork():
    os.execvp("true", ["true"])
os.wait()
try:
    os.execv("/nonexistent", ["x"])
except OSError:
    pass
PY
printf '#!/usr/bin/env sh\n/bin/echo script > /dev/null\n' > "$tmp/script"
chmod -R a+rX "$tmp"; chmod a+rx "$tmp/script"

# calls FILES: "name result" of every execve that strace wrote down
calls() {
	python3 - "$@" << 'PY'
import errno, re, sys
for path in sys.argv[1:]:
    for line in open(path, errors="replace"):
        m = re.match(r'execve\("((?:[^"\\]|\\.)*)".*\) += (-?\d+)(?: (\w+))?', line)
        if m:
            print(m[1], -getattr(errno, m[3]) if m[3] else int(m[2]))
PY
}
as_user() { if [ -n "$user" ]; then setpriv --reuid "$user" --regid "$user" --clear-groups "$@"; else "$@"; fi; }
# tree NAME COMMAND...: the same calls, whoever looks
tree() {
	local row=$1 v; shift
	rm -rf "$tmp/st"; mkdir -m 777 "$tmp/st"
	as_user timeout 60 strace -ff -qq -e trace=execve -o "$tmp/st/s" "$@" > /dev/null 2>&1 < /dev/null
	local status=$? want variants="full -perf -raw"
	[ -n "${SKEP_TEST_FAST:-}" ] && [ "$1" != sh ] && variants="full"
	want=$(calls "$tmp"/st/s* | sort)
	for v in $variants; do
		v=${v#full}
		rm -f "$tmp/st/events"
		as_user timeout --foreground 60 "$skep" run "$tmp/execsnoop$v.bpf.o" -j -o "$tmp/st/events" -- "$@" > /dev/null 2> "$tmp/err" < /dev/null
		same "$row: status, execsnoop$v" "$status" $?
		same "$row: execsnoop$v sees what strace sees" "$(tr '\n' ' ' <<< "$want")" \
			"$(python3 -c 'import json,sys
for l in sys.stdin: e = json.loads(l); print(e["filename"], e["retval"])' < "$tmp/st/events" | sort | tr '\n' ' ')"
		grep -v "syscall instructions" "$tmp/err" > "$tmp/err2"	# of calls nobody asked for
		same "$row: nothing lost, nothing missed, execsnoop$v" "" "$(< "$tmp/err2")"
		same "$row: user and parents, execsnoop$v" "ok" "$(python3 -c '
import json, sys
ev = [json.loads(l) for l in open(sys.argv[1])]
uid = int(sys.argv[2])
ok = ev and all(e["uid"] == uid and e["pid"] > 0 and e["ppid"] > 0 and e["ppid"] != e["pid"] for e in ev)
root = ev[0]["pid"]
names = {e["comm"] for e in ev if not e["retval"]}
ok = ok and all(e["comm"] == e["filename"].split("/")[-1][:15] for e in ev if not e["retval"] and "script" not in e["filename"] and "python" not in e["filename"])
print("ok" if ok else ev)' "$tmp/st/events" "${user:-$(id -u)}")"
	done
}
users=("")
[ "$(id -u)" -eq 0 ] && users=("" 1001)
[ -n "${SKEP_TEST_FAST:-}" ] && users=("${users[-1]}")
if ! command -v strace > /dev/null; then
	skip "execsnoop against strace: strace is not installed"
	users=()
fi
for user in ${users[@]+"${users[@]}"}; do
	[ -n "$user" ] && { unset SKEP_DIR; export SKEP_DIR=$tmp/user; mkdir -m 700 "$tmp/user"; chown "$user" "$tmp/user"; }
	tree "shell script (uid ${user:-$(id -u)})" sh "$tmp/run.sh"
	tree "bash (uid ${user:-$(id -u)})" bash -c 'ls / > /dev/null; for i in 1 2 3; do /bin/true; done; x=$(/bin/echo y); exec /bin/true'
	tree "#! script (uid ${user:-$(id -u)})" "$tmp/script"
	tree "make -j (uid ${user:-$(id -u)})" make -s -j3 -f "$tmp/Makefile"
	tree "python (uid ${user:-$(id -u)})" /usr/bin/python3 "$tmp/spawn.py"
	tree "xargs (uid ${user:-$(id -u)})" sh -c 'seq 8 | xargs -P4 -n1 /bin/echo'
done
export SKEP_DIR=$tmp/dir

# what cannot be traced is named
echo 'int main(void) { return 5; }' | gcc -static -x c - -o "$tmp/static" 2> /dev/null
run_tool run "$tmp/execsnoop.bpf.o" -j -- sh -c "$tmp/static; $tmp/static; exit 4"
same "static: the status is the command's" 4 "$rc"
same "static: named once, counted" 1 "$(grep -cE "^skep: warning: not traced: $tmp/static, statically linked \(2 times\)$" <<< "$err")"
run_tool run "$tmp/execsnoop.bpf.o" -j -- "$tmp/static"
same "static as the command itself" "5 1" "$rc $(grep -cE "^skep: warning: not traced: $tmp/static, statically linked$" <<< "$err")"
if [ "$(id -u)" -eq 0 ]; then
	cp /bin/true "$tmp/setuid"; chown 1001 "$tmp/setuid"; chmod 4755 "$tmp/setuid"
	run_tool run "$tmp/execsnoop.bpf.o" -j -- sh -c "$tmp/setuid; exit 4"
	same "set-user-ID: named" "4 1" "$rc $(grep -cE "^skep: warning: not traced: $tmp/setuid, set-user-ID" <<< "$err")"
fi

# error injection: the calls are not made
echo keep > "$tmp/keep"
"${CLANG:-clang}" -target bpf -g -O2 -D__TARGET_ARCH_x86 -I"$tmp" -c examples/inject.bpf.c -o "$tmp/inject.bpf.o"
run_tool run "$tmp/inject.bpf.o" -- rm "$tmp/keep"
same "inject: rm fails and the file is there" "1 keep" "$rc $(< "$tmp/keep")"
has "inject: rm says why" "$err" "rm: cannot remove '$tmp/keep': Operation not permitted"
has "inject: counted" "$out" "^refused +1$"
run_tool run "$tmp/inject.bpf.o" --set error=28 -- rm "$tmp/keep"
has "inject: another error" "$err" "No space left on device"
run_tool run "$tmp/inject.bpf.o" --set after=1 -- sh -c "rm $tmp/keep && touch $tmp/keep && rm $tmp/keep"
same "inject: the first call is let through" "1 yes" "$rc $([ -e "$tmp/keep" ] && echo yes)"

# the kernel is not asked
if command -v strace > /dev/null; then
	timeout 60 strace -f -qq -e trace=bpf,perf_event_open,ptrace -o "$tmp/strace" "$skep" run "$tmp/execsnoop.bpf.o" -o "$tmp/events" -- sh -c 'ls / > /dev/null; date > /dev/null'
	same "no bpf(2), no perf_event_open(2), no ptrace(2)" "0 " "$? $(grep -E 'bpf|perf_event_open|ptrace' "$tmp/strace" | head -n 3)"
fi

# nothing stays behind
run_tool prog show
same "no program is left" "" "$out"
