#!/usr/bin/env bash
# skep feature: every table whole, bpftool's words and keys.
set -u
skep=$SKEP_BUILD/bin/skep
tmp=$(mktemp -d /dev/shm/feature.XXXXXX) || exit 1
trap 'rm -rf "$tmp"' EXIT
export SKEP_DIR=$tmp/dir
same() {	# name, expected, got
	if [ "$2" = "$3" ]; then
		echo "ok - feature: $1"
	else
		echo "not ok - feature: $1: expected '$2', got '$3'"
	fi
}

"$skep" -j feature > "$tmp/all.json"
query() {
	python3 -c "import json,sys; d=json.load(open('$tmp/all.json')); print($1)"
}
for want in instructions:180 helpers:211 kfuncs:203 map_types:33 program_types:32 attach_types:58 commands:38; do
	same "rows of ${want%:*}" "${want#*:}" "$(query "len(d['rows']['${want%:*}'])")"
done
same "each row has a status" True \
	"$(query "all(r['status'] in ('full','partial','stub') for s in d['rows'].values() for r in s)")"
same "partial rows say what is missing" True \
	"$(query "all(bool(r.get('missing')) == (r['status'] == 'partial') for s in d['rows'].values() for r in s)")"
same "bpftool's key of a program type" True "$(query "d['program_types']['have_xdp_prog_type']")"
same "bpftool's key of a map type" True "$(query "d['map_types']['have_hash_map_type']")"
same "stubs are not available" False \
	"$(query "any('bpf_' + n in d['helpers']['xdp_available_helpers'] for n in ('rc_repeat', 'bind'))")"
same "text and JSON have the same rows" "$(query "sum(len(s) for s in d['rows'].values())")" \
	"$("$skep" feature | sed '/^SUMMARY/,$d' | grep -c -E '(full|partial: .*|stub)$')"
same "the last line of the text is the summary" "instructions" "$("$skep" feature | tail -n 1 | cut -d' ' -f1)"
same "bpftool's grammar: probe kernel full" "$("$skep" feature | md5sum)" "$("$skep" feature probe kernel full | md5sum)"
same "one section" "eBPF map types:" "$("$skep" feature maps | head -n 1)"
if command -v bpftool > /dev/null; then
	for g in prog_types map_types attach_types; do
		# an older bpftool knows fewer; and its lists begin with "unspec"
		same "list_builtins $g has all of bpftool's" "" \
			"$(comm -13 <("$skep" feature list_builtins $g | sort) <(bpftool feature list_builtins $g | grep -v unspec | sort) | tr '\n' ' ')"
	done
else
	echo "skip - feature: list_builtins: no bpftool"
fi
"$skep" feature nonsense > /dev/null 2> "$tmp/err"
same "an unknown section is a usage error" 2 $?
same "an unknown section is named" 1 "$(grep -c "no section 'nonsense'" "$tmp/err")"
