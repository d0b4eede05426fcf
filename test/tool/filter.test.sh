#!/usr/bin/env bash
# skep filter: the same packets as tcpdump's, in every format, from files and pipes; damaged captures; totals.
. "$(dirname "$0")/lib.sh"
cap=examples/traffic.pcap
work() { "$skep" filter "$@" 2> "$tmp/err"; }

# a capture of every format
tshark -r $cap -F pcapng -w "$tmp/in.pcapng" 2> /dev/null
gzip -c $cap > "$tmp/in.pcap.gz"
gzip -c "$tmp/in.pcapng" > "$tmp/in.pcapng.gz"
frames() { tcpdump -nn -tttt -e -x -r "$1" 2> /dev/null; }

for expr in 'tcp port 80' 'not ip' 'vlan and ip' 'ip6 and udp' '' 'ether proto 0x8892'; do
	tcpdump -r $cap -w "$tmp/want.pcap" ${expr:+"$expr"} 2> /dev/null
	frames "$tmp/want.pcap" > "$tmp/want"
	work ${expr:+"$expr"} -r $cap -w "$tmp/got.pcap"
	same "'$expr': the file that tcpdump writes" "" "$(cmp "$tmp/want.pcap" "$tmp/got.pcap" 2>&1)"
	for in in "$tmp/in.pcapng" "$tmp/in.pcap.gz" "$tmp/in.pcapng.gz"; do
		for out in got.pcap got.pcapng; do
			work ${expr:+"$expr"} -r "$in" -w "$tmp/$out"
			same "'$expr': $(basename "$in") to $out" "" "$(frames "$tmp/$out" | cmp - "$tmp/want" 2>&1)"
		done
	done
	work ${expr:+"$expr"} -r - -w - < $cap | cmp -s - "$tmp/want.pcap" && ok "'$expr': through a pipe" || not_ok "'$expr': through a pipe"
	work ${expr:+"$expr"} -r $cap -w "$tmp/got.pcap.gz"
	gzip -dc "$tmp/got.pcap.gz" | cmp -s - "$tmp/want.pcap" && ok "'$expr': gzip out" || not_ok "'$expr': gzip out"
done
run_tool filter tcp port 80 -r $cap
has "totals" "$err" "^read 380  matched 54  .*Mpkt/s, cBPF -> x86-64 JIT"
same "totals: stdout is free" "" "$out"
same "totals in JSON" '380 54' "$("$skep" -j filter tcp port 80 -r $cap | sed -E 's/.*"read":([0-9]+),"matched":([0-9]+).*/\1 \2/')"
run_tool filter 'tcp port 443 and not net 10.0.0.0/8' -r $cap
long=$err
run_tool filter 'tcp port 443 and not net 10/8' -r $cap
same "net 10/8 is net 10.0.0.0/8" "0 $(grep -o 'matched [0-9]*' <<< "$long")" "$rc $(grep -o 'matched [0-9]*' <<< "$err")"
run_tool filter -c 3 tcp port 80 -r $cap -w "$tmp/three.pcap"
same "-c 3" 3 "$(tcpdump -r "$tmp/three.pcap" 2> /dev/null | wc -l)"
same "-d is tcpdump's" "$(tcpdump -y EN10MB -d 'tcp port 80' 2> /dev/null)" "$("$skep" filter -d tcp port 80)"
same "-dd is tcpdump's" "$(tcpdump -y EN10MB -dd 'ip6' 2> /dev/null)" "$("$skep" filter -dd ip6)"
same "-O -ddd is tcpdump's" "$(tcpdump -y EN10MB -O -ddd 'vlan and ip' 2> /dev/null)" "$("$skep" filter -O -ddd vlan and ip)"
has "-E: direct packet access" "$("$skep" filter -E tcp port 80)" 'r0 = \*\(u16 \*\)\(r2 \+12\)'
has "-J" "$("$skep" filter -J tcp port 80)" '0x0|^ *0:'
same "programs of a run are gone behind it" 0 "$("$skep" prog show | grep -c filter)"

# a program instead of an expression
printf 'ldh [12]\njne #ETHERPROTO_IP, no\nldb [23]\njne #P, no\nret #-1\nno: ret #0\n' > "$tmp/p.asm"
work -F "$tmp/p.asm" -D P=6 -r $cap -w "$tmp/got.pcap"
same "-F: assembler" "$(tcpdump -r $cap ip proto 6 2> /dev/null | wc -l)" "$(tcpdump -r "$tmp/got.pcap" 2> /dev/null | wc -l)"
run_tool filter -F "$tmp/p.asm" -r $cap
has "-F: errors have a line" "$err" "p.asm:4:6: undefined name 'P'"

# --check
run_tool filter --check 'tcp port 80 or (vlan and ip6)' -r $cap
has "--check: both codes agree" "$err" "checked [0-9,]+ packets: optimised and plain code agree"
same "--check: exit status" 0 "$rc"

# bad input
fails "no packets named"	2 "wants packets"				filter tcp
fails "-r and -i"		2 "exclude each other"				filter -r $cap -i lo tcp
fails "not an expression"	1 "'tcp frob 80' for link type EN10MB: .*syntax error" filter tcp frob 80 -r $cap
fails "no such file"		1 "/nonexistent.pcap: No such file"		filter tcp -r /nonexistent.pcap
fails "no such interface"	1 "nonexistent0: "				filter -i nonexistent0 tcp
fails "reading what is written"	2 "cannot be read and written at once"		filter tcp -r $cap -w $cap
fails "no such link type"	2 "no link type is called 'FROB'"		filter -d -y FROB tcp
: > "$tmp/empty.pcap"
fails "an empty file"		1 "empty.pcap: the file is empty"		filter tcp -r "$tmp/empty.pcap"
echo hello > "$tmp/text.pcap"
fails "not a capture"		1 "no capture file: it begins with 68 65 6c 6c"	filter tcp -r "$tmp/text.pcap"
head -c 20 $cap > "$tmp/head.pcap"
fails "cut off in the file header" 1 "cut off inside the file header"		filter tcp -r "$tmp/head.pcap"

# damaged later: what came before is written whole
damaged() {	# NAME PATTERN FILE: at least one packet of it comes through
	run_tool filter -r "$3" -w "$tmp/part.pcap"
	same "$1: exit status" 1 "$rc"
	has "$1: message" "$err" "$2"
	has "$1: totals" "$err" "^read [1-9]"
	[ "$(tcpdump -r "$tmp/part.pcap" 2> "$tmp/tcpdump.err" | wc -l)" -ge 1 ] && ! grep -qi truncated "$tmp/tcpdump.err" &&
		ok "$1: the output is complete up to its last packet" || not_ok "$1: the output is complete up to its last packet"
}
head -c 5000 $cap > "$tmp/cut.pcap"
damaged "a packet cut short" "cut off inside packet" "$tmp/cut.pcap"
head -c 5000 "$tmp/in.pcap.gz" > "$tmp/cut.pcap.gz"
damaged "gzip cut short" "cut off inside packet" "$tmp/cut.pcap.gz"
{ head -c 3000 "$tmp/in.pcap.gz"; head -c 3000 /dev/zero; } > "$tmp/bad.pcap.gz"
damaged "gzip damaged" "damaged" "$tmp/bad.pcap.gz"
head -c 5000 "$tmp/in.pcapng" > "$tmp/cut.pcapng"
run_tool filter -r "$tmp/cut.pcapng" -w "$tmp/part.pcapng"
has "pcapng cut short: message" "$err" "cut off inside packet"
[ "$(tcpdump -r "$tmp/part.pcapng" 2> /dev/null | wc -l)" -gt 5 ] && ok "pcapng cut short: packets" || not_ok "pcapng cut short: packets"
poke() { cp "$1" "$2"; printf '%b' "$4" | dd of="$2" bs=1 seek="$3" conv=notrunc status=none; }
len=$(od -An -tu4 -j32 -N4 $cap | tr -d ' ')
poke $cap "$tmp/long.pcap" $((24 + 16 + len + 8)) '\xff\xff\xff\x7f'
damaged "a packet too long" "packet 2 claims 2147483647 bytes, 262144 is the most: the file is damaged at byte" "$tmp/long.pcap"
shb=$(od -An -tu4 -j4 -N4 "$tmp/in.pcapng" | tr -d ' ')
poke "$tmp/in.pcapng" "$tmp/blk.pcapng" $((shb + 4)) '\x0d\x00\x00\x00'
fails "a block length that is no multiple of 4" 1 "block at byte $shb claims 13 bytes" filter tcp -r "$tmp/blk.pcapng"
poke "$tmp/in.pcapng" "$tmp/bom.pcapng" 8 '\x00\x00\x00\x00'
run_tool filter tcp -r "$tmp/bom.pcapng"
has "no byte order magic" "$err" "block at byte 0: .*byte order magic|claims"
poke $cap "$tmp/dlt.pcap" 20 '\x93\x00\x00\x00'
run_tool filter tcp -r "$tmp/dlt.pcap"
has "a link type without expressions" "$err" "for link type (USER0|147): "
poke $cap "$tmp/snap.pcap" 16 '\x00\x00\x00\x00'
run_tool filter tcp -r "$tmp/snap.pcap"
has "snap length 0 in the header" "$err" "^read 380 "

# SIGINT: ends cleanly, totals, a complete file
mkfifo "$tmp/fifo"
{ cat $cap; exec sleep 20; } > "$tmp/fifo" & feeder=$!
timeout 30 "$skep" filter tcp -r "$tmp/fifo" -w "$tmp/int.pcap" 2> "$tmp/int.err" & pid=$!
for _ in $(seq 100); do [ -s "$tmp/int.pcap" ] && break; sleep 0.05; done
sleep 0.2
pkill_child() { kill -INT "$(cat "/proc/$1/task/$1/children" 2> /dev/null | tr -d ' ')" 2> /dev/null; }
pkill_child $pid
wait $pid
same "SIGINT: exit status" 0 $?
kill $feeder 2> /dev/null
has "SIGINT: totals" "$(cat "$tmp/int.err")" "^read 380  matched"
same "SIGINT: the file is complete" "$(tcpdump -r $cap tcp 2> /dev/null | wc -l)" "$(tcpdump -r "$tmp/int.pcap" 2> /dev/null | wc -l)"

# a pipe that closes early, a full disk
"$skep" filter -r $cap -w - 2> "$tmp/pipe.err" | head -c 10 > /dev/null
[ -e /dev/full ] && { run_tool filter -r $cap -w /dev/full; has "no space left" "$err" "/dev/full: No space left on device"; }

# live, on a loopback interface of our own
if [ "$(id -u)" -ne 0 ]; then
	skip "live capture" "not root"
	exit 0
fi
cat > "$tmp/live.sh" <<'L'
ip link set lo up
"$1" filter -i lo -c 4 -w "$2/live.pcap" 'udp port 5353' 2> "$2/live.err" & p=$!
for _ in $(seq 100); do grep -q listening "$2/live.err" && break; sleep 0.05; done
for _ in $(seq 40); do
	echo hello > /dev/udp/127.0.0.1/5353; echo no > /dev/udp/127.0.0.1/5354
	kill -0 $p 2> /dev/null || break
	sleep 0.05
done
wait $p; echo "$?" > "$2/live.rc"
timeout -s INT 2 "$1" filter -i lo --kernel --check 'ether proto 0x8892 or (vlan and ether proto 0x8892)' 2> "$2/kernel.err"
L
timeout 60 unshare -n bash "$tmp/live.sh" "$skep" "$tmp"
same "live: exit status" 0 "$(cat "$tmp/live.rc")"
same "live: what matches, and no more" 4 "$(tcpdump -nr "$tmp/live.pcap" udp port 5353 2> /dev/null | wc -l)"
has "live: totals" "$(cat "$tmp/live.err")" "^read [0-9]+  matched 4 "
has "live: SIGINT ends an idle capture, with totals" "$(cat "$tmp/kernel.err")" "^read 0  matched 0"
if grep -q vlanp <<< "$(unshare -n sh -c 'ip link set lo up; tcpdump -i lo -O -d vlan' 2> /dev/null)"; then
	has "--kernel --check: libpcap's wrong code (#1513) is found" "$(cat "$tmp/kernel.err")" "disagree on [0-9,]+ of .*the kernel gets the plain one"
fi
