#!/usr/bin/env bash
# Run every test program and test script, count their lines, end with "N passed, N failed, N skipped".
# run.sh [--fast] BUILD-DIR [NAME-PART]. Scripts are test/*/*.test.sh; they print the same lines as test/lib/t.h;
# scripts named *.slow.test.sh are left out by --fast.
set -u
fast=
[ "${1:-}" = --fast ] && { fast=1; shift; }
B=$1; only=${2:-}
export SKEP_BUILD=$PWD/$B
[ -n "$fast" ] && export SKEP_TEST_FAST=1
log=$B/test/log; mkdir -p "$log"
pass=0 fail=0 skip=0
: > "$log/skips"
run_one() {
	local name=$1 limit=$2; shift 2
	local out=$log/$name.out rc ok nok sk
	timeout -k 5 "$limit" "$@" > "$out" 2> "$log/$name.err" < /dev/null
	rc=$?
	ok=$(grep -c '^ok - ' "$out"); nok=$(grep -c '^not ok - ' "$out"); sk=$(grep -c '^skip - ' "$out")
	if [ $rc -ne 0 ] && [ "$nok" -eq 0 ]; then
		echo "not ok - $name: exit status $rc$([ $rc -eq 124 ] && echo " (timed out after $limit s)")" | tee -a "$out"
		tail -n 5 "$log/$name.err"
		nok=1
	elif [ $((ok + nok + sk)) -eq 0 ]; then
		echo "not ok - $name: printed no result"
		nok=1
	else
		grep '^not ok - ' "$out"
	fi
	grep '^skip - ' "$out" >> "$log/skips"
	pass=$((pass + ok)); fail=$((fail + nok)); skip=$((skip + sk))
	printf '%-44s %6d passed %3d failed %3d skipped  %3d s\n' "$name" "$ok" "$nok" "$sk" $((SECONDS - t0))
}
for t in "$B"/test/src.* "$B"/test/test.*; do
	[ -x "$t" ] && [ ! -d "$t" ] || continue
	case $t in *.d) continue;; esac
	[ -f "$(basename "$t" | tr . /).c" ] || continue	# left behind by another branch
	case $t in *"$only"*) ;; *) continue;; esac
	t0=$SECONDS
	run_one "$(basename "$t")" "${SKEP_TEST_TIMEOUT:-300}" "$t"
done
for t in test/*/*.test.sh; do
	[ -f "$t" ] || continue
	case $t in *.slow.test.sh) [ -n "$fast" ] && continue;; esac
	case $t in *"$only"*) ;; *) continue;; esac
	t0=$SECONDS
	run_one "$(echo "$t" | tr / .)" "${SKEP_TEST_TIMEOUT:-600}" bash "$t"
done
[ -s "$log/skips" ] && { echo; echo "skipped:"; sed 's/^skip - /  /' "$log/skips"; }
echo
echo "$pass passed, $fail failed, $skip skipped"
[ "$fail" -eq 0 ] && [ "$pass" -gt 0 ]
