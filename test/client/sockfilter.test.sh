#!/usr/bin/env bash
# Socket filters: one client (sockfilter.c), run on the kernel's filters and on skep's, prints the same.
. "$(dirname "$0")/lib.sh"
gcc -O2 -D_GNU_SOURCE -o "$tmp/client" "$(dirname "$0")/sockfilter.c" && chmod 755 "$tmp/client"
if [ -n "$sanitized" ]; then
	skip "socket filters" "$sanitized"
	exit 0
fi
on_skep timeout 60 "$tmp/client" > "$tmp/skep.out" 2>&1
check "the client ends" "$(tail -n 3 "$tmp/skep.out")" [ $? -eq 0 ]
# what it says without asking anybody: fixed by the kernel's rules
for want in "empty: -22" "division by zero: -22" "attach when locked: -1" "unlock: 1" "detach without: ENOENT" \
	"recv: 6 'keep o'" "recvmmsg: 3" "drops: 3" "program: 5 'keep '" "timeout behind a drop: EAGAIN"; do
	check "$want" "$(cat "$tmp/skep.out")" grep -qF -- "$want" "$tmp/skep.out"
done
# the kernel was never asked
cat > "$tmp/seen.c" <<'C'
#include <sys/socket.h>
#include <linux/filter.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <stdio.h>
int main(void)
{
	struct sock_filter f = { 6, 0, 0, 1 }, b[1];
	struct sock_fprog p = { 1, &f };
	int s = socket(AF_UNIX, SOCK_DGRAM, 0);
	socklen_t n = 1;

	setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p));
	syscall(SYS_getsockopt, s, SOL_SOCKET, SO_GET_FILTER, b, &n);
	printf("%u\n", n);
}
C
gcc -o "$tmp/seen" "$tmp/seen.c"; chmod 755 "$tmp/seen"
out=$(on_skep "$tmp/seen")
check "the kernel's socket has no filter" "$out" [ "$out" = 0 ]
if [ "$(id -u)" -ne 0 ]; then
	skip "the same as the kernel" "not root"
	exit 0
fi
timeout 60 "$tmp/client" > "$tmp/kernel.out" 2>&1
out=$(diff "$tmp/kernel.out" "$tmp/skep.out")
check "the same as the kernel, $(wc -l < "$tmp/kernel.out") lines" "$out" [ -z "$out" ]
timeout 60 unshare -n "$tmp/client" packet > "$tmp/kernel.out" 2>&1
timeout 60 unshare -n env LD_PRELOAD="$tmp/preload.so" SKEP_DIR="$tmp/root" "$tmp/client" packet > "$tmp/skep.out" 2>&1
out=$(diff "$tmp/kernel.out" "$tmp/skep.out")
check "AF_PACKET: the same as the kernel, $(wc -l < "$tmp/kernel.out") lines" "$out" [ -z "$out" ]
