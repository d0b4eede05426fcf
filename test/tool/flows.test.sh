#!/usr/bin/env bash
# The main job: the tables of examples/flows.bpf.c on examples/traffic.pcap are the counts that tshark makes of the capture.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin

run_tool run examples/flows.bpf.c --in examples/traffic.pcap -j
same "JSON holds all elements" 65 "$(python3 -c 'import json,sys; print(len(json.load(sys.stdin)["maps"]["flows"]))' <<< "$out")"
run_tool run examples/flows.bpf.c --in examples/traffic.pcap --top 0
same "run succeeds" 0 "$rc"
[ "$rc" -eq 0 ] || { echo "$err" >&2; exit 1; }
same "nothing on stderr" "" "$err"

# section NAME COLUMNS: rows of one table, sorted
section() { awk -v s="$1" '/^[^ ]+: .* (entry|entries)/ { on = $1 == s ":"; getline; next } !NF { on = 0 } on { $1 = $1; print }' <<< "$out" | sort; }

if ! command -v tshark > /dev/null; then
	skip "tables against tshark: tshark is not installed"
else
	# One line per frame: src dst sport dport protocol length. The first occurrence: not what an ICMP error quotes.
	tshark -r examples/traffic.pcap -o ip.defragment:FALSE -o ipv6.defragment:FALSE -T fields -E occurrence=f -E separator='|' \
		-e ip.src -e ip.dst -e ipv6.src -e ipv6.dst -e tcp.srcport -e tcp.dstport -e udp.srcport -e udp.dstport \
		-e ip.proto -e ipv6.nxt -e ipv6.hopopts.nxt -e ipv6.fraghdr.nxt -e eth.type -e arp.opcode -e frame.len \
		2> "$tmp/tshark.err" > "$tmp/frames"
	awk -F'|' '
		BEGIN { split("1 6 17 58", n, " "); split("ICMP TCP UDP ICMPV6", t, " "); for (i in n) names[n[i]] = t[i] }
		{
			p = $9 != "" ? $9 : $12 != "" ? $12 : $11 != "" ? $11 : $10
			p = p == "" ? "ARP" : names[p]
			proto[p]++; bytes[p] += $15
			if (p == "ARP") next
			f = ($1 $3) " " ($2 $4) " " ($5 $7) + 0 " " ($6 $8) + 0 " " p
			flow[f]++; fbytes[f] += $15
		}
		END {
			for (f in flow) print "flow", f, flow[f], fbytes[f]
			for (p in proto) print "proto", p, proto[p], bytes[p]
		}' "$tmp/frames" > "$tmp/want"
	same "tshark has read every frame" "$(head -n 1 <<< "$out" | sed 's/.*: \([0-9,]*\) packets.*/\1/; s/,//g')" "$(wc -l < "$tmp/frames")"
	diff <(sed -n 's/^flow //p' "$tmp/want" | sort) <(section flows) > "$tmp/diff"
	same "packets and bytes of every flow are tshark's" "" "$(head -n 4 "$tmp/diff")"
	diff <(sed -n 's/^proto //p' "$tmp/want" | sort) <(section protocols) > "$tmp/diff"
	same "packets and bytes of every protocol are tshark's" "" "$(head -n 4 "$tmp/diff")"
	# the default options drop TCP and UDP to port 23
	want=$(tshark -r examples/traffic.pcap -Y 'tcp.dstport == 23 or udp.dstport == 23' 2> /dev/null | wc -l)
	same "what goes to port 23 is dropped" "$want" "$(section verdicts | awk '$1 == "XDP_DROP" { print $2 }')"
fi

total=$(section protocols | awk '{ p += $2; b += $3 } END { print p, b }')
same "verdicts and protocols count the same packets and bytes" "$total" "$(section verdicts | awk '{ p += $2; b += $3 } END { print p, b }')"
has "the capture holds VLAN, IPv6, fragments and ICMP" "$(section flows | tr '\n' ';')" '10\.2\.0\.1 .*ICMPV6'

# the same from an object file, from pcapng, twice over, and as JSON
"${CLANG:-clang}" -target bpf -g -O2 -idirafter "/usr/include/$(gcc -print-multiarch)" -c examples/flows.bpf.c -o "$tmp/flows.bpf.o"
first=$(section flows)
run_tool run "$tmp/flows.bpf.o" --in examples/traffic.pcap --top 0
same "a compiled object counts the same" "$first" "$(section flows)"
run_tool run "$tmp/flows.bpf.o" --in examples/traffic.pcap --top 0 --repeat 2
same "--repeat 2 counts twice" "$(awk '{ $(NF-1) *= 2; $NF *= 2; print }' <<< "$first")" "$(section flows)"
if command -v tshark > /dev/null; then
	tshark -r examples/traffic.pcap -F pcapng -w "$tmp/t.pcapng" 2> /dev/null
	run_tool run "$tmp/flows.bpf.o" --in "$tmp/t.pcapng" --top 0
	same "pcapng counts the same" "$first" "$(section flows)"
fi
run_tool run "$tmp/flows.bpf.o" --in examples/traffic.pcap --top 0 -j
json() { python3 -c "import json,sys; d=json.load(sys.stdin); print($1)" <<< "$out"; }
same "JSON: as many flows" "$(wc -l <<< "$first")" "$(json 'len(d["maps"]["flows"])')"
same "JSON: the same packets" "${total% *}" "$(json 'sum(e["value"]["packets"] for e in d["maps"]["flows"]) + sum(e["value"]["packets"] for e in d["maps"]["protocols"] if e["key"] == "ARP")')"
run_tool run "$tmp/flows.bpf.o" --in examples/traffic.pcap --set deny_port=0 --set verdict=XDP_TX
has "--set changes constants of the program" "$out" '^XDP_TX +380 '

# captures without Ethernet: the IP packets of the first cable, as raw IP (101), as Linux cooked (113, 276), as loopback (0)
python3 - "$tmp" <<'PY'
import struct, sys
data = open('examples/traffic.pcap', 'rb').read()
kinds = { 101: lambda t: b'', 113: lambda t: bytes(14) + t, 276: lambda t: t + bytes(18), 0: lambda t: struct.pack('<I', 2 if t == b'\x08\0' else 10) }
files = { k: open(f'{sys.argv[1]}/link{k}.pcap', 'wb') for k in kinds }
eth = open(f'{sys.argv[1]}/eth.pcap', 'wb')
eth.write(data[:24])
for k, f in files.items():
    f.write(data[:20] + struct.pack('<I', k))
at = 24
while at < len(data):
    head, size = data[at:at + 8], struct.unpack_from('<I', data, at + 8)[0]
    frame = data[at + 16:at + 16 + size]
    at += 16 + size
    if frame[12:14] not in (b'\x08\0', b'\x86\xdd'):
        continue
    eth.write(head + struct.pack('<II', size, size) + frame)
    for k, f in files.items():
        out = kinds[k](frame[12:14]) + frame[14:]
        f.write(head + struct.pack('<II', len(out), len(out)) + out)
PY
run_tool run "$tmp/flows.bpf.o" --in "$tmp/eth.pcap" --top 0
eth=$(section flows)
for k in 101 113 276 0; do
	run_tool run "$tmp/flows.bpf.o" --in "$tmp/link$k.pcap" --top 0
	same "link type $k counts the same flows" "$eth" "$(section flows)"
	has "link type $k: a note says that headers are made up" "$err" "link type .*: frames get an Ethernet header"
done
# frames that a test run does not take are counted and named; all others run
python3 - "$tmp" <<'PY'
import struct, sys
data = open('examples/traffic.pcap', 'rb').read()
with open(f'{sys.argv[1]}/odd.pcap', 'wb') as f:
    f.write(data[:24])
    for frame in (b'short', data[40:40 + 90], bytes(12) + b'\x08\0' + bytes(60000)):
        f.write(struct.pack('<IIII', 0, 0, len(frame), len(frame)) + frame)
PY
run_tool run "$tmp/flows.bpf.o" --in "$tmp/odd.pcap"
has "a frame that is too short is named" "$err" "^skep: warning: 1 packet was not run: .*first: packet 1, 5 bytes"
has "a frame of 60,014 bytes runs" "$out" "odd.pcap: 2 packets, 60,104 bytes"

# pins: left behind, read by another process, gone on with
run_tool run "$tmp/flows.bpf.o" --in examples/traffic.pcap --pin job
same "--pin succeeds" 0 "$rc"
run_tool map dump pinned job/flows -j
same "another process sees the pinned map" "$(wc -l <<< "$first")" "$(json 'len(d)')"
run_tool run "$tmp/flows.bpf.o" --in examples/traffic.pcap --pin job
same "a second --pin of the name is refused" 1 "$rc"
run_tool run "$tmp/flows.bpf.o" --in examples/traffic.pcap --pin job --reuse-pins --top 0
same "--reuse-pins goes on counting" "$(awk '{ $(NF-1) *= 2; $NF *= 2; print }' <<< "$first")" "$(section flows)"
run_tool prog show pinned job/count_flows
has "the program is pinned as well" "$out" 'xdp +name count_flows'
rm -r "$SKEP_DIR/bpffs/job"
run_tool gc
run_tool map show
same "nothing is left when the pins are gone" "" "$out"
