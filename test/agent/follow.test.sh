#!/usr/bin/env bash
# Processes of all sorts under the agent, with programs attached to every call that they are told by: they do and print what
# they do without, each event has the ids of the process it is of, and there are as many as strace counts.
. test/agent/lib.sh
FARM=$B/farm
watch() { timeout -k 1 60 "$FARM/watch" "$FARM/watch.bpf.o" "$AGENT" "$tmp/events" "$@"; }

# 121 is getpgid, which proc.c calls before each line "pid PID TID WHAT"
marks() { awk '$1 == "pid" { n[$2 " " $3]++ } END { for (i in n) print i, n[i] }' "$1" | sort; }
calls() { awk '$5 == "enter" && $6 == 121 { n[$1 " " $2]++ } END { for (i in n) print i, n[i] }' "$1" | sort; }

for c in $("$FARM/proc"); do
	t "$c: the same output and exit status"
	"$FARM/proc" "$c" > "$tmp/plain.out" 2> "$tmp/plain.err" < /dev/null
	plain=$?
	watch 121 "$FARM/proc" "$c" > "$tmp/out" 2> "$tmp/err" < /dev/null
	is "$?" $plain
	cmp -s "$tmp/plain.out" "$tmp/out" || fail "$(diff "$tmp/plain.out" "$tmp/out" | head -n 5)"
	is "$(cut -d' ' -f4- "$tmp/err" | sort)" "$(cut -d' ' -f4- "$tmp/plain.err" | sort)"
	case $c in
	clone | storm | unshare) ;;	# calls without marks; pids of another namespace
	chroot | seccomp) ;;		# the child gets no process slot there: its events are misses (doc/agent.md)
	*)
		t "$c: each event has its own process's ids"
		is "$(calls "$tmp/events")" "$(marks "$tmp/err")"
		grep -q '^dropped 0$' "$tmp/events" || fail "records dropped"
		;;
	esac
done

t "clone: children of all flags are told apart"
watch 121 "$FARM/proc" clone > /dev/null 2> "$tmp/err"
# in_clone() makes 100 more calls in each of ten children, their parent too
want=$(marks "$tmp/err" | awk '{ print $1, $2 }' | sort -u)
is "$(calls "$tmp/events" | awk '{ print $1, $2 }' | sort -u)" "$want"
is "$(calls "$tmp/events" | awk '{ n += $3 } END { print n }')" $(($(grep -c '^pid' "$tmp/err") + 2000))

# How often each call was entered. strace itself executes the command: one execve that we do not see (the stated gap).
counted() { awk '$5 == "enter" { n[$6]++ } END { for (i in n) print i, n[i] }' "$tmp/events" | sort -n; }
traced() {
	awk -v list="$1" '
		BEGIN { k = split(list, l, ","); for (i = 1; i <= k; i++) { split(l[i], p, "="); nr[p[1]] = p[2] } }
		$2 ~ /^[a-z0-9_]+\(/ { split($2, f, "("); if (f[1] in nr) n[nr[f[1]]]++ }
		# begun again by the kernel, which is no entry of ours (doc/agent.md)
		/= \? ERESTART/ { f[1] = $2 == "<..." ? $3 : f[1]; if (f[1] in nr) n[nr[f[1]]]-- }
		END { for (i in n) print i, n[i] }' "$tmp/strace" | sort -n
}
names=execve=59,execveat=322,vfork=58,clone=56,clone3=435,fork=57,getpgid=121,getppid=110
numbers=$(echo $names | sed 's/[a-z0-9]*=//g')
if command -v strace > /dev/null; then
	for c in "proc fork" "proc deep" "proc vfork" "proc spawn" "proc clone" "proc threads" "proc exec" "proc storm" \
		"sh -c ls;date;true"; do
		t "$c: as many events as strace counts"
		read -r prog arg rest <<< "$c"
		[ "$prog" = proc ] && prog=$FARM/proc
		# LD_PRELOAD makes no difference here
		strace -f -o "$tmp/strace" "$prog" "$arg" ${rest:+"$rest"} > /dev/null 2>&1
		watch "$numbers" "$prog" "$arg" ${rest:+"$rest"} > /dev/null 2>&1
		is "$(counted)" "$(traced $names | awk '$1 == 59 { $2-- } $2 { print }')"
	done
else
	t "strace"; skip "needs strace"
fi

t "an execution is told by both images: entry by the old one, result by the new one"
watch 59 sh -c '/bin/true; /bin/true; exec /bin/true' > /dev/null 2>&1
is "$(grep -c 'true exit 59 0$' "$tmp/events") $(grep -c 'sh enter 59$' "$tmp/events")" "3 3"
is "$(awk '/enter 59/ { print $1 }' "$tmp/events" | sort)" "$(awk '/exit 59 0/ { print $1 }' "$tmp/events" | sort)"

t "env -i: variables that are missing are put back, and only they"
watch 59 env -i A=b sh -c 'env; /bin/true' > "$tmp/out" 2>&1
is "$(grep -v '^PWD=' "$tmp/out" | cut -d= -f1 | sort | tr '\n' ' ')" "A LD_PRELOAD SKEP_DIR SKEP_SCOPE "
is "$(grep -c 'exit 59 0$' "$tmp/events")" 3

t "a chain of interpreters, execveat and fexecve are followed"
printf '#!/bin/sh\n. "$1"\n' > "$tmp/one"; printf '#!%s\necho deep\nexec /bin/true\n' "$tmp/one" > "$tmp/two"
chmod 755 "$tmp/one" "$tmp/two"
watch 59 sh -c "$tmp/two; true" > "$tmp/out" 2>&1
is "$(grep -c 'exit 59 0$' "$tmp/events")" 2

t "a static program is named, and what it executes is followed again"
printf '#include <unistd.h>\nint main(void) { execl("/bin/true", "true", (char *)0); return 1; }\n' > "$tmp/s.c"
if $CC -static -o "$tmp/static" "$tmp/s.c" 2> /dev/null; then
	watch 59 sh -c "$tmp/static; echo \$?" > "$tmp/out" 2> "$tmp/err"
	is "$(cat "$tmp/out" "$tmp/err")" 0
	is "$(grep '^notice 1' "$tmp/events")" "notice 1 1 $tmp/static"
	grep -q ' true exec' "$tmp/events" || fail "the program behind it is not followed"
else
	skip "no static libc"
fi

t "a set-user-ID program is named when it gains something"
if [ "$(id -u)" = 0 ] && command -v setpriv > /dev/null; then
	cp /bin/true "$tmp/suid"; chmod 4755 "$tmp/suid"; chmod 755 "$tmp"
	watch 59 sh -c "$tmp/suid" > /dev/null 2>&1
	is "$(grep -c '^notice 2' "$tmp/events")" 0
	cp "$AGENT" "$B/bin/skep" "$FARM/watch" "$FARM/watch.bpf.o" "$tmp"	# the agent finds skep beside itself
	mkdir -m 700 "$tmp/nobody"; touch "$tmp/events"; chown 65533 "$tmp/nobody" "$tmp/events"; chmod 755 "$tmp"/*.so
	SKEP_DIR=$tmp/nobody setpriv --reuid=65533 --clear-groups timeout -k 1 60 "$tmp/watch" "$tmp/watch.bpf.o" "$tmp/libskep-agent.so" \
		"$tmp/events" 59 sh -c "$tmp/suid; /bin/true" > /dev/null 2> "$tmp/err"
	is "$(cat "$tmp/err")" ""
	is "$(grep '^notice 2' "$tmp/events")" "notice 2 1 $tmp/suid"
else
	skip "needs root and setpriv"
fi

t "what is executed as a user who may not enter the directory is named"
if [ "$(id -u)" = 0 ] && command -v setpriv > /dev/null; then
	rm -f "$tmp/events"
	watch 59 setpriv --reuid=65533 --clear-groups sh -c "echo in" > "$tmp/out" 2> "$tmp/err"
	is "$(cat "$tmp/out" "$tmp/err")" in
	is "$(grep -c '^notice 4 1 .*/sh' "$tmp/events")" 1
else
	skip "needs root and setpriv"
fi

t "a 32-bit program is named"
if printf 'int main(void) { return 0; }\n' > "$tmp/m.c" && $CC -m32 -static -nostdlib -Wl,-e,main -o "$tmp/m32" "$tmp/m.c" 2> /dev/null; then
	watch 59 sh -c "$tmp/m32 2> /dev/null; true" > /dev/null 2>&1
	is "$(grep '^notice 3' "$tmp/events")" "notice 3 1 $tmp/m32"
else
	skip "no 32-bit compiler"
fi

t "in a chroot without the agent's file, programs run and ld.so says nothing"
if [ "$(id -u)" = 0 ]; then
	mkdir -p "$tmp/root/bin" "$tmp/root/lib/x86_64-linux-gnu" "$tmp/root/lib64"
	cp /bin/sh /bin/true "$tmp/root/bin"; cp /lib64/ld-linux-x86-64.so.2 "$tmp/root/lib64"
	cp /lib/x86_64-linux-gnu/libc.so.6 "$tmp/root/lib/x86_64-linux-gnu"
	watch 59 chroot "$tmp/root" /bin/sh -c '/bin/true; echo in' > "$tmp/out" 2> "$tmp/err"
	is "$(cat "$tmp/out") $(cat "$tmp/err")" "in "
	grep -q '^notice 4 1 /bin/sh' "$tmp/events" || fail "no notice"
else
	skip "needs root"
fi
finish
