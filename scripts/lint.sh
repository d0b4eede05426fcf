#!/usr/bin/env bash
# lint.sh - layer order, sizes, blanks, format, clang-tidy, cppcheck, shellcheck, man pages. Ends with "lint: clean" or the
# number of checks that failed. A tool that is not installed (scripts/deps.sh lint) is a failure: nothing is skipped silently.
set -u
cd "$(dirname "$0")/.." || exit 1
failed=0
mapfile -t sources < <(git ls-files 'src/*.[ch]' 'test/*.[ch]' 'include/*.h' 'bench/*.[ch]' | grep -v '^bench/engines/')
mapfile -t units < <(git ls-files 'src/*.c' | grep -vE '_(test|fuzz)\.c$')
mapfile -t scripts < <(git ls-files '*.sh' '.ci/run')
cflags=(-std=gnu11 -D_GNU_SOURCE -Isrc -Iinclude -Ibuild/gen)

check() {	# check NAME COMMAND...: the command prints what is wrong, or nothing
	local out
	out=$("${@:2}" 2> /dev/null)
	if [ -n "$out" ]; then
		echo "$out"
		echo "lint: $1: $(wc -l <<< "$out") lines"
		failed=$((failed + 1))
	else
		echo "lint: $1: ok"
	fi
}
need() { command -v "$1" > /dev/null || { echo "$1 is not installed (scripts/deps.sh lint)"; return 1; }; }

# Folders include only to the left; verify sees only base, spec and vm.
order="base spec vm map prog hook agent verify sys front tool"
layers() {
	grep -rn '#include "' src --include='*.[ch]' | awk -v order="$order" '
		BEGIN { n = split(order, o, " "); for (i = 1; i <= n; i++) rank[o[i]] = i }
		{
			split($0, f, ":"); split(f[1], dir, "/"); from = dir[2]
			to = $0; sub(/.*#include "/, "", to); sub(/\/.*/, "", to)
			if (!(to in rank) || f[1] ~ /_test\.c$/) next
			wrong = rank[to] > rank[from]
			if (from == "verify") wrong = to !~ /^(base|spec|vm|verify)$/
			if (wrong) print f[1] ":" f[2] ": " from " may not include " to
		}'
}

file_sizes() { wc -l "${sources[@]}" | awk '$2 != "total" && $1 > 1050 { print $2 ": " $1 " lines (limit about 1000)" }'; }

# Let through: the interpreter's loop (its labels are the jump table), and the printer of a register (a list of cases).
function_sizes() { awk -v max=60 -v except="exec vfy_reg_print" -f scripts/fnlen.awk $(printf '%s\n' "${units[@]}"); }

licences() { grep -L '^/\* SPDX-License-Identifier: Apache-2.0' "${sources[@]}" | sed 's/$/: no licence line/'; }

blanks() {
	grep -nE '[ 	]+$' "${sources[@]}" | sed 's/$/  <- blanks at the end/'
	grep -nE '^        ' "${sources[@]}" | sed 's/$/  <- blanks instead of a tab/'
	for f in "${sources[@]}"; do	# 100 is the aim; rows of tables and messages may be longer
		expand -t8 "$f" | awk -v f="$f" 'length($0) > 140 && !/^ *[{.A-Z"]/ { print f ":" FNR ": " length($0) " columns" }'
	done
}

format() { need clang-format && scripts/format-check.sh "${sources[@]}"; }

# What is left out: opinions on parameter order, macros and integer widths that the tables live by.
tidy_checks='-*,bugprone-*,-bugprone-easily-swappable-parameters,-bugprone-narrowing-conversions'
tidy_checks+=',-bugprone-reserved-identifier,-bugprone-macro-parentheses,-bugprone-branch-clone'
tidy_checks+=',-bugprone-implicit-widening-of-multiplication-result,-bugprone-assignment-in-if-condition'
tidy_checks+=',-bugprone-suspicious-string-compare,-bugprone-signed-char-misuse,-bugprone-sizeof-expression'
tidy_checks+=',-bugprone-misplaced-widening-cast'
tidy() {
	need clang-tidy || return
	# shellcheck disable=SC2016	# expanded by the inner shell
	printf '%s\n' "${units[@]}" | xargs -P2 -n8 bash -c \
		'clang-tidy --quiet -checks="$0" "$@" -- '"${cflags[*]}" "$tidy_checks" 2> /dev/null | grep -E 'warning:|error:'
}

# cppcheck cannot read the X-macro tables (syntaxError, unknownMacro) nor operands of asm.
static_check() {
	need cppcheck && cppcheck -q -j2 --std=c11 --enable=warning,portability --inline-suppr --suppress=missingIncludeSystem \
		--suppress=syntaxError --suppress=unknownMacro --suppress=internalAstError --suppress=arrayIndexThenCheck \
		--suppress=missingReturn:src/base/rawsys.h --suppress=invalidPrintfArgType_uint \
		--template='{file}:{line}: {id}: {message}' -Isrc -Iinclude "${units[@]}" 2>&1
}

shells() { need shellcheck && shellcheck -S warning -e SC2154,SC2034,SC2046 "${scripts[@]}" 2>&1; }
agent() { make -s build/lib/libskep-agent.so > /dev/null && scripts/agent-check.sh build/lib/libskep-agent.so; }
pages() { need mandoc && mandoc -Tlint -W warning doc/man/*.1 2>&1 | grep -vE 'outdated mandoc.db|not found'; }

check "layer order" layers
check "file sizes" file_sizes
check "function sizes" function_sizes
check "licence lines" licences
check "blanks and widths" blanks
check "format" format
check "clang-tidy" tidy
check "cppcheck" static_check
check "shellcheck" shells
check "man pages" pages
check "libskep-agent.so" agent
[ $failed -eq 0 ] && echo "lint: clean" && exit 0
echo "lint: $failed checks failed"
exit 1
