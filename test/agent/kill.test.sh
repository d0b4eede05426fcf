#!/usr/bin/env bash
# Whoever is killed, the others go on: the tracer, the helper, the target. A killed tracer's probes are gone within a second,
# and the text is what it was.
. test/agent/lib.sh
FARM=$B/farm
rounds=10; [ -n "${SKEP_TEST_FAST:-}" ] && rounds=3

# busy in the background under the agent, its output in $tmp/busy
start_busy() {
	SKEP_SCOPE=$SCOPE LD_PRELOAD=$AGENT "$FARM/busy" > "$tmp/busy" 2>&1 &
	target=$!
	for _ in $(seq 100); do [ -n "$(helper_of "$target")" ] && break; sleep 0.02; done
}
end_busy() {
	kill $target; wait $target
	is "$? $(cat "$tmp/busy")" "0 fine"
}
# A tracer of the whole directory, all calls, until it is killed.
start_tracer() {
	"$B/bin/skep" run "$tmp/all.bpf.o" > "$tmp/tracer" 2>&1 &
	tracer=$!
	for _ in $(seq 100); do grep -q attached "$tmp/tracer" 2> /dev/null && break; sleep 0.02; done
}
patched() { "$FARM/textsame" "$target"; }
${CLANG:-clang} -target bpf -O2 -g -idirafter "/usr/include/$($CC -print-multiarch)" -c test/agent/all.bpf.c -o "$tmp/all.bpf.o"

t "a killed tracer's probes are gone within a second, the next one's come"
start_busy
is "$(patched)" 0
for _ in $(seq $rounds); do
	start_tracer
	for _ in $(seq 100); do [ "$(patched)" != 0 ] && break; sleep 0.02; done
	[ "$(patched)" != 0 ] || fail "nothing is planted"
	kill -9 $tracer; wait $tracer 2> /dev/null
	for i in $(seq 50); do [ "$(patched)" = 0 ] && break; sleep 0.02; done
	is "$(patched)" 0
done
end_busy

t "a detached tracer's probes are gone when it has ended"
start_busy
start_tracer
[ "$(patched)" != 0 ] || fail "nothing is planted"
kill -INT $tracer; wait $tracer 2> /dev/null
for _ in $(seq 10); do [ "$(patched)" = 0 ] && break; sleep 0.02; done
is "$(patched)" 0
end_busy

t "killed helpers are started again, and the target goes on"
start_busy
start_tracer
for _ in $(seq $rounds); do
	h=$(helper_of "$target")
	[ -n "$h" ] && kill -9 "$h"
	sleep "0.$((RANDOM % 3 + 1))"
done
for _ in $(seq 50); do h=$(helper_of "$target"); [ -n "$h" ] && break; sleep 0.02; done
[ -n "$h" ] || fail "no helper any more"
kill -INT $tracer; wait $tracer 2> /dev/null
for _ in $(seq 50); do [ "$(patched)" = 0 ] && break; sleep 0.02; done
is "$(patched)" 0
end_busy

t "helpers killed while they change the text"
start_busy
for _ in $(seq $((rounds * 3))); do
	start_tracer
	kill -INT $tracer
	for h in $(helper_of "$target"); do sleep "0.00$((RANDOM % 10))"; kill -9 "$h" 2> /dev/null; done
	wait $tracer 2> /dev/null
done
end_busy

t "killed targets leave the tracer alone and nothing behind"
start_tracer
for _ in $(seq $((rounds * 2))); do
	start_busy
	h=$(helper_of "$target")
	sleep "0.0$((RANDOM % 10))"
	kill -9 "$target"; wait $target 2> /dev/null
	gone "$h" || fail "its helper stays"
done
kill -0 $tracer || fail "the tracer ended"
kill -INT $tracer
wait $tracer; is $? 0
for _ in $(seq 50); do [ -z "$(helper_of_any)" ] && break; sleep 0.1; done
is "$(helper_of_any)" ""
"$B/bin/skep" gc > /dev/null
is "$(find "$SKEP_DIR"/bpf-map "$SKEP_DIR"/bpf-prog "$SKEP_DIR"/bpf_link "$SKEP_DIR"/btf "$SKEP_DIR"/dead -type f | wc -l)" 0
finish
