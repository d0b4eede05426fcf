#!/usr/bin/env bash
# A lock whose owner died is taken over by hooked threads, which may not look at process slots themselves: the helper does.
# shellcheck source=test/agent/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/../.." || exit 1
skep=$B/bin/skep
t "locks of a process that died are taken over"
gcc -std=gnu11 -D_GNU_SOURCE -Isrc -O2 -o "$tmp/lockdead" test/agent/lockdead.c "$B/lib/libskep.a" -pthread || fail "lockdead.c"
cat > "$tmp/loop.c" <<'C'
#include <unistd.h>
int main(void)
{
	for (int i = 0; i < 3000; i++) {
		getppid();
		usleep(1000);
	}
	return 0;
}
C
gcc -O2 -o "$tmp/loop" "$tmp/loop.c"
timeout 60 "$skep" run test/agent/lockdead.bpf.c -o "$tmp/maps" -- "$tmp/loop" 2> "$tmp/err" &
run=$!
id=
for _ in $(seq 200); do
	id=$("$skep" -j map list 2> /dev/null | tr '{' '\n' | sed -n 's/.*"id":\([0-9]*\).*"name":"locked_map".*/\1/p')
	[ -n "$id" ] && break
	sleep 0.02
done
sleep 0.5
for _ in 1 2 3; do
	locked=$("$tmp/lockdead" "$id") || fail "locker: $? $locked"
	sleep 0.3
done
wait "$run"
made=$(awk '/^results/ { on = 1 } on && $1 == "0" { print $2 }' "$tmp/maps")
failed_ones=$(awk '/^results/ { on = 1 } on && $1 == "1" { print $2 }' "$tmp/maps")
is "3000" "$made"
is "" "$failed_ones"
finish
