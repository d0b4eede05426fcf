#!/usr/bin/env bash
# Run libFuzzer targets one after the other: fuzz.sh SECONDS NAME... Exit 1 when one found something.
set -u
seconds=$1; shift
bad=0
# the leak checker would stop at what the library keeps for the process's life
export ASAN_OPTIONS=detect_leaks=0:handle_segv=1:allow_user_segv_handler=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1
for name in "$@"; do
	work=$PWD/build/fuzz/$name
	mkdir -p "$work/corpus" "$work/crashes"
	seeds=; [ -d "test/fuzz/$name" ] && seeds=$PWD/test/fuzz/$name
	dir=$(mktemp -d /dev/shm/skep-fuzz-XXXXXX)
	echo "fuzz $name, $seconds s"
	SKEP_DIR=$dir/skep timeout -k 10 $((seconds + 120)) "build/fuzz/$name.fuzz" -max_total_time="$seconds" \
		-handle_xfsz=0 -artifact_prefix="$work/crashes/" -max_len=4096 -timeout=120 -rss_limit_mb=2048 \
		-print_final_stats=1 "$work/corpus" $seeds > "$work/log" 2>&1
	rc=$?
	rm -rf "$dir"
	grep -E 'stat::number_of_executed_units|cov:' "$work/log" | tail -n 2
	[ $rc -eq 0 ] || { echo "fuzz $name: FAILED (status $rc), see $work/log"; grep -E 'ERROR|runtime error|SUMMARY' "$work/log" | head -5; bad=1; }
done
exit $bad
