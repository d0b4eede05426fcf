#!/usr/bin/env bash
# The text of running processes: changed while something is attached, the file's again after; no page is ever both writable
# and executable; code that is loaded later, Go's and musl's.
. test/agent/lib.sh

cat > "$tmp/text.py" << 'EOF'
import sys
pid, differ, rwx, code = sys.argv[1], 0, 0, 0
mem = open(f'/proc/{pid}/mem', 'rb', 0)
for line in open(f'/proc/{pid}/maps'):
    f = line.split(None, 5)
    start, end = (int(x, 16) for x in f[0].split('-'))
    path = f[5].strip() if len(f) > 5 else ''
    rwx += 'w' in f[1] and 'x' in f[1]
    if f[1][2] != 'x' or path.startswith('['):
        continue
    code += not path
    if not path.startswith('/'):
        continue
    mem.seek(start)
    now = mem.read(end - start)
    file = open(path, 'rb')
    file.seek(int(f[2], 16))
    was = file.read(end - start).ljust(len(now), b'\0')
    differ += now != was and sum(a != b for a, b in zip(now, was))
print('changed' if differ else 'as in the files', rwx, code)
EOF
text() { python3 "$tmp/text.py" "$target" 2>&1 | tail -1; }
prog() {	# FILE SECTION...: a program per section that counts its runs
	{
		echo '#include <linux/bpf.h>'
		echo '#include <bpf/bpf_helpers.h>'
		echo 'char LICENSE[] SEC("license") = "GPL";'
		echo 'struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } runs SEC(".maps");'
		echo 'static int count(void) { __u32 k = 0; __u64 *n = bpf_map_lookup_elem(&runs, &k); if (n) __sync_fetch_and_add(n, 1); return 0; }'
	} > "$1"
	local f=$1 i=0
	shift
	for s in "$@"; do echo "SEC(\"$s\") int p$((i++))(void *ctx) { return count(); }" >> "$f"; done
}
prog "$tmp/all.bpf.c" raw_tp/sys_enter raw_tp/sys_exit
prog "$tmp/ppid.bpf.c" tracepoint/syscalls/sys_enter_getppid
# counts COMMAND...: how often ppid.bpf.c ran
counts() { timeout -k 1 60 "$B/bin/skep" run "$tmp/ppid.bpf.c" -- "$@" 2> "$tmp/err" | awk '/^KEY/ { getline; print $2 }'; }
attach() { SKEP_SCOPE=$SCOPE "$B/bin/skep" run "$tmp/all.bpf.c" > /dev/null 2> "$tmp/err" & tracer=$!; }
# until COMMAND...: true within 5 s
until_true() { for _ in $(seq 250); do "$@" && return; sleep 0.02; done; return 1; }
is_changed() { case $(text) in changed*) ;; *) false;; esac; }
is_file() { case $(text) in as*) ;; *) false;; esac; }

t "attached: text is changed, nothing is writable and executable"
start_agent python3 -c 'import os, time, threading
def f():
	while True: os.getppid()
threading.Thread(target=f, daemon=True).start()
while True: time.sleep(0.001)'
is "$(text)" "as in the files 0 0"
attach
until_true is_changed || fail "$(text)"
first=$(text)
case $first in "changed 0 "*) ;; *) fail "$first";; esac

t "detached: it is the file's again, byte for byte"
kill -INT $tracer; wait $tracer
until_true is_file || fail "$(text)"

t "again and again, and what lies beside the text does not grow"
for _ in 1 2 3 4; do
	attach
	until_true is_changed || fail "not attached: $(text)"
	kill -INT $tracer; wait $tracer
	until_true is_file || fail "not detached: $(text)"
done
is "$(text | cut -d' ' -f5-)" "$(cut -d' ' -f2- <<< "$first")"
kill -0 $target || fail "the target is gone"

t "a tracer that is killed leaves nothing"
attach
until_true is_changed || fail "not attached"
kill -9 $tracer; wait $tracer 2> /dev/null
until_true is_file || fail "$(text)"
kill $target; wait $target 2> /dev/null

t "libraries loaded later are seen from their first call, each time they come back"
cat > "$tmp/dl.c" << 'EOF'
#include <dlfcn.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	for (int i = 0; i < 5; i++) {
		void *l = dlopen(argv[1], RTLD_NOW);
		long (*f)(void) = l ? (long (*)(void))dlsym(l, "t_ret") : 0;
		if (!f || f() != getppid())
			return 1;
		dlclose(l);
	}
	return 0;
}
EOF
$CC -shared -nostdlib -o "$tmp/sites.so" test/agent/sites.S && $CC -O1 -o "$tmp/dl" "$tmp/dl.c"
is "$(counts "$tmp/dl" "$tmp/sites.so")" 10

cat > "$tmp/many.c" << 'EOF'
#include <pthread.h>
#include <unistd.h>
static void *f(void *a) { getppid(); return a; }
int main(void)
{
	for (int i = 0; i < 50; i++) {
		pthread_t t[4];
		for (int k = 0; k < 4; k++)
			if (pthread_create(&t[k], 0, f, 0))
				return 1;
		for (int k = 0; k < 4; k++)
			pthread_join(t[k], 0);
	}
	return 0;
}
EOF
t "calls of short-lived threads"
$CC -O1 -pthread -o "$tmp/many" "$tmp/many.c"
is "$(counts "$tmp/many")" 200

t "the same with musl"
if command -v musl-gcc > /dev/null; then
	musl-gcc -O1 -o "$tmp/many-musl" "$tmp/many.c"
	is "$(counts "$tmp/many-musl")" 200
else
	skip "no musl-gcc"
fi

[ -n "${SKEP_TEST_FAST:-}" ] && finish	# building takes long
t "Go makes its own system calls"
if command -v go > /dev/null; then
	mkdir "$tmp/go"
	cat > "$tmp/go/w.go" << 'EOF'
package main

import "C"
import (
	"os"
	"sync"
)

func main() {
	var wg sync.WaitGroup
	for g := 0; g < 4; g++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; i < 1000; i++ {
				os.Getppid()
			}
		}()
	}
	wg.Wait()
}
EOF
	(cd "$tmp/go" && go build -o "$tmp/wgo" w.go) 2> "$tmp/err" || fail "$(tail -1 "$tmp/err")"
	is "$(counts "$tmp/wgo")" 4000
else
	skip "no go"
fi
finish
