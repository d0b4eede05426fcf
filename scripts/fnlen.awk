# Functions longer than `max` lines. A "{" in column 0 opens one, a "}" in column 0 closes it. -v except="name name".
BEGIN { n = split(except, e, " "); for (i = 1; i <= n; i++) allowed[e[i]] = 1 }
/^\{/ { start = FNR; next }
/^}/ {
	len = FNR - start - 1
	if (start && len > max && !(name in allowed))
		printf "%s:%d: %s() has %d lines (limit %d)\n", FILENAME, start, name, len, max
	if (start && len > max && name in allowed)
		printf "  (let through: %s:%d: %s(), %d lines)\n", FILENAME, start, name, len > "/dev/stderr"
	start = 0
}
/^[a-zA-Z_].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
