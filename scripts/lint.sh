#!/usr/bin/env bash
# Layer order, sizes; later clang-format, clang-tidy, cppcheck.
set -u
bad=0
order=(base spec vm map prog hook agent verify sys front tool)
allowed() {	# may folder $1 include folder $2?
	local a=-1 b=-1 i
	for i in "${!order[@]}"; do
		[ "${order[$i]}" = "$1" ] && a=$i
		[ "${order[$i]}" = "$2" ] && b=$i
	done
	[ $b -lt 0 ] && return 0
	[ "$1" = verify ] && { case $2 in base|spec|vm|verify) return 0;; *) return 1;; esac; }
	[ $b -le $a ]
}
while IFS=: read -r file line text; do
	from=${file#src/}; from=${from%%/*}
	to=$(sed -n 's/.*#include "\([a-z]*\)\/.*/\1/p' <<< "$text")
	case $file in *_test.c) continue;; esac
	[ -n "$to" ] && ! allowed "$from" "$to" && { echo "$file:$line: $from may not include $to"; bad=1; }
done < <(grep -rn '#include "' src --include='*.[ch]')
while read -r n f; do
	[ "$f" != total ] && [ "$n" -gt 1050 ] && { echo "$f: $n lines (limit about 1000)"; bad=1; }
done < <(find src -name '*.[ch]' -exec wc -l {} +)
exit $bad
