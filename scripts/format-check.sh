#!/usr/bin/env bash
# format-check.sh FILE...: clang-format's opinion, but for alignment. Rows, comments and continuation lines are aligned by hand
# here, so blanks are squeezed on both sides before they are compared; what is left is tokens, braces, spaces around
# operators and keywords, and where lines break. Left alone: macros, initialisers, tables (lines that start with a brace or a
# dot, or hold a macro call of a row), conditional expressions over several lines, labels and assembly.
set -u
dir=$(cd "$(dirname "$0")" && pwd)
bad=0
squeeze() { sed -E 's/[ \t]+/ /g; s/^ //; s/ $//'; }
for f in "$@"; do
	out=$(diff <(squeeze < "$f") <(clang-format --style=file:"$dir/../.clang-format" "$f" | squeeze) |
		awk -v f="$f" -f "$dir/format-check.awk")
	[ -n "$out" ] && { echo "$out"; bad=1; }
done
exit $bad
