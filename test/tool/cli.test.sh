#!/usr/bin/env bash
# Element and object commands, in bpftool's words; JSON keys are compared with bpftool's own where it may run.
. "$(dirname "$0")/lib.sh"

run_tool help
has "help lists the commands" "$out" "run +run a program"
for c in run verify prog map btf feature doctor trace-pipe gc; do
	run_tool help $c
	[ "$rc" -eq 0 ] && [ -n "$out" ] && ok "help $c" || not_ok "help $c: status $rc"
done
run_tool version
has "version" "$out" "^skep v[0-9]"
"$skep" > /dev/null 2> "$tmp/usage"
same "no command: usage, status 2" "2 usage:" "$? $(head -c 6 "$tmp/usage")"

run_tool map create t/counts type hash key 4 value 8 entries 16 name counts
same "map create" "0 " "$rc $err"
run_tool map update name counts key 1 0 0 0 value 7 0 0 0 0 0 0 0
same "map update" 0 "$rc"
run_tool map update name counts key hex 02 00 00 00 value hex ff 00 00 00 00 00 00 01 noexist
same "map update, hexadecimal" 0 "$rc"
fails "update noexist of a key that is there" 1 "update of counts: File exists" map update name counts key 1 0 0 0 value 7 0 0 0 0 0 0 0 noexist
fails "key of the wrong size" 2 "key wants 4 bytes" map lookup name counts key 1 0
run_tool map lookup name counts key 2 0 0 0
has "map lookup" "$out" "value: ff 00 00 00 00 00 00 01"
run_tool map lookup name counts key 1 0 0 0 -j
same "map lookup -j" '{"key":["0x01","0x00","0x00","0x00"],"value":["0x07","0x00","0x00","0x00","0x00","0x00","0x00","0x00"]}' "$out"
run_tool map dump name counts
has "map dump" "$out" "Found 2 elements"
run_tool map delete name counts key 1 0 0 0
same "map delete" 0 "$rc"
fails "map delete of an absent key" 1 "no such element in counts" map delete name counts key 1 0 0 0
fails "map lookup of an absent key" 1 "no such element in counts" map lookup name counts key 1 0 0 0
run_tool map getnext name counts -j
same "map getnext" '{"next_key":["0x02","0x00","0x00","0x00"]}' "$out"
fails "getnext at the end" 1 "no key behind" map getnext name counts key 2 0 0 0
run_tool map pin name counts t/again
same "map pin" 0 "$rc"
run_tool -f map show pinned t/again
has "pins are shown with -f" "$out" "pinned /sys/fs/bpf/t/(again|counts)"
run_tool -j map show
keys=$(python3 -c 'import json,sys; print(" ".join(json.load(sys.stdin)[0]))' <<< "$out")
same "map show -j: bpftool's keys" "id type name flags bytes_key bytes_value max_entries bytes_memlock frozen" "$keys"
run_tool map create t/jumps type prog_array key 4 value 4 entries 3 name jumps
run_tool map dump pinned t/jumps
same "map dump: empty places of a prog_array are no elements" "Found 0 elements" "$out"
run_tool map freeze name counts
fails "a frozen map takes no update" 1 "Operation not permitted" map update name counts key 1 0 0 0 value 7 0 0 0 0 0 0 0

printf '%s\n' '#include <linux/bpf.h>' '#include <bpf/bpf_helpers.h>' \
	'SEC("tc") int oneline(struct __sk_buff *s) { s->mark = s->len; return s->len > 100 ? 2 : 0; }' > "$tmp/oneline.bpf.c"
run_tool verify "$tmp/oneline.bpf.c" --log-level 2
same "the log names a line once while it lasts, as Linux" 1 "$(sed '/^from /,$d' <<< "$err" | grep -c '^; SEC("tc")')"

run_tool prog load examples/flows.bpf.c t/flows pinmaps t/maps
same "prog load" "0 " "$rc $err"
run_tool prog show pinned t/flows
has "prog show: first line" "$out" "^[0-9]+: xdp  name count_flows  tag [0-9a-f]{16}  gpl$"
has "prog show: loaded_at of this hour" "$out" "loaded_at $(date +%FT%H)"
run_tool prog dump xlated pinned t/flows
has "prog dump xlated: source lines" "$out" "^; .*ctx->data"
has "prog dump xlated: instructions" "$out" "^ *0: \([0-9a-f]{2}\) r[0-9]"
has "prog dump xlated: helpers by name" "$out" "call bpf_map_lookup_elem#1"
run_tool prog dump xlated pinned t/flows -j
same "prog dump xlated -j" True "$(python3 -c 'import json,sys; print(all("disasm" in i for i in json.load(sys.stdin)))' <<< "$out")"
run_tool prog dump jited pinned t/flows
has "prog dump jited" "$out" "^ *[0-9a-f]+:.*"
same "prog dump jited: no padding in front" 0 "$(sed -n 2p <<< "$out" | grep -cE 'int3|cc')"
run_tool prog dump xlated pinned t/flows file "$tmp/x"
same "prog dump file: whole instructions" 0 "$(($(stat -c %s "$tmp/x") % 8))"
head -c 60 /dev/zero > "$tmp/pkt"
run_tool prog run pinned t/flows data_in "$tmp/pkt" data_out "$tmp/pkt2" repeat 3
has "prog run" "$out" "^Return value: 2, duration \(average\): [0-9]+ns$"
cmp -s "$tmp/pkt" "$tmp/pkt2" && ok "prog run: data_out" || not_ok "prog run: data_out differs"
run_tool prog run pinned t/flows data_in "$tmp/pkt" -j
has "prog run -j" "$out" '^\{"retval":2,"duration":[0-9]+\}$'
run_tool map dump pinned t/maps/verdicts
has "map dump by BTF" "$out" "^XDP_ACTION +CPU +PACKETS +BYTES$"
run_tool map dump pinned t/maps/verdicts --all -j
same "map dump -j: bpftool's form of per-CPU values" "formatted key values" "$(python3 -c 'import json,sys; print(" ".join(sorted(json.load(sys.stdin)[2])))' <<< "$out")"
run_tool btf list
has "btf list" "$out" "^[0-9]+: .*size [0-9]+B"
run_tool btf dump id "$(cut -d: -f1 <<< "$out" | head -n 1)"
has "btf dump" "$out" "^struct flow \{"
run_tool feature
same "feature" 0 "$rc"
run_tool feature -j
same "feature -j is JSON" 0 "$(python3 -m json.tool <<< "$out" > /dev/null 2>&1; echo $?)"
run_tool doctor
same "doctor" 0 "$rc"
run_tool doctor -j
same "doctor -j is JSON" 0 "$(python3 -m json.tool <<< "$out" > /dev/null 2>&1; echo $?)"
run_tool bogus -j
has "errors under -j" "$out" '^\{"error":"unknown command'
same "errors under -j: nothing on stderr" "" "$err"
rm -r "$SKEP_DIR/bpffs/t"
run_tool gc -j
has "gc" "$out" '^\{"removed":[0-9]+\}$'
