# Reads `diff` of a squeezed file and its squeezed clang-format; prints hunks that are not hand alignment.
function flush() {
	# a wrapped condition that clang-format would put on one long line: its own limit is off
	if (olds > 1 && news == 1 && length(new) > 70)
		skip = 1
	# clang-format takes these for declarations or C++
	if (new ~ /\| :|, \| [a-z]+ = 0;$|[a-z] &&[a-z]|\) "|\) \* \(|[a-z0-9]\(\*\)\(/)
		skip = 1
	if (olds && !skip)
		printf "%s:%d: clang-format would write: %s\n", f, at, (news ? substr(new, 1, 160) : "nothing")
	old = new = ""; skip = olds = news = 0
}
/^[0-9]/ { flush(); at = $1 + 0; next }
/^< / {
	t = substr($0, 3)
	old = old t; olds++
	# macros, rows, initialisers, lists, wrapped ?:, labels, asm, attributes, comments
	if (t ~ /\\$|^#|^[{.}]|^["\[]|\?|: [^;]*$|^[A-Z_0-9]+\(|__asm|asm |__attribute__|\*\/|^\/\*|case .*:|default:|(enum|struct|union) .*\{|= \{|delete|goto|, \{|,$|ATOMIC/)
		skip = 1
	next
}
/^> / { new = new (new == "" ? "" : " | ") substr($0, 3); news++; next }
END { flush() }
