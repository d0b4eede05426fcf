#!/usr/bin/env bash
# Bad input: one line that says what and where, the right exit status, nothing left behind.
. "$(dirname "$0")/lib.sh"
cc() { "${CLANG:-clang}" -target bpf -g -O2 -idirafter "/usr/include/$(gcc -print-multiarch)" -c "$1" -o "$2"; }
cc examples/flows.bpf.c "$tmp/flows.bpf.o"
cap=examples/traffic.pcap

# the command line
fails "unknown command"              2 "unknown command 'rnu': did you mean 'run'"      rnu
fails "unknown command, no neighbour" 2 "unknown command 'zzzzzz': see 'skep help'"     zzzzzz
fails "unknown subcommand"           2 "unknown command 'map dmup': did you mean 'dump'" map dmup
fails "ambiguous command"            2 "'v' is short for both 'verify' and 'version'"   v
fails "unknown global option"        2 "unknown option '--frob'"                        --frob
fails "unknown option of a verb"     2 "skep run: unknown option '--ni'"                run "$tmp/flows.bpf.o" --ni x
fails "option without its value"     2 "skep run: --in wants a value"                   run "$tmp/flows.bpf.o" --in
fails "option that wants a number"   2 "--top wants a number, not 'many'"               run "$tmp/flows.bpf.o" --top many
fails "run without a file"           2 "skep run wants a file"                          run
fails "two files for run"            2 "one file"                                       run a b
fails "xdp without a capture"        2 "runs on packets: give --in"                     run "$tmp/flows.bpf.o"
fails "no such global variable"      2 "no such global variable"                        run "$tmp/flows.bpf.o" --in $cap --set nope=1
fails "value that is no number"      2 "'x' is neither a number"                        run "$tmp/flows.bpf.o" --in $cap --set deny_port=x
fails "value that does not fit"      2 "does not fit in 2 bytes"                        run "$tmp/flows.bpf.o" --in $cap --set deny_port=65536
fails "a pin with a dot"             2 "cannot be a pin"                                run "$tmp/flows.bpf.o" --in $cap --pin ../x
fails "map without a handle"         2 "which map"                                      map dump
fails "no map of that id"            1 "no map has id 99999"                            map dump id 99999
fails "no map of that name"          1 "no map has name nobody"                         map dump name nobody
fails "no such pin"                  1 "pinned map nobody/flows: No such file"          map dump pinned nobody/flows
fails "bad tag"                      2 "is not a tag"                                   prog show tag xyz

# files
fails "no such object"               1 "/nonexistent.bpf.o: No such file or directory"  run /nonexistent.bpf.o
fails "an object that is a directory" 1 "Is a directory"                                run /tmp
: > "$tmp/empty.bpf.o"
fails "empty object"                 1 "empty.bpf.o: empty file"                        run "$tmp/empty.bpf.o"
head -c 100 "$tmp/flows.bpf.o" > "$tmp/cut.bpf.o"
fails "truncated ELF (header only)"  1 "cut.bpf.o: not a usable BPF object"             run "$tmp/cut.bpf.o" --in $cap
head -c $(($(stat -c %s "$tmp/flows.bpf.o") / 2)) "$tmp/flows.bpf.o" > "$tmp/half.bpf.o"
fails "truncated ELF (half)"         1 "half.bpf.o: not a usable BPF object"            run "$tmp/half.bpf.o" --in $cap
echo 'int x;' > "$tmp/text.bpf.o"
fails "not an ELF file"              1 "text.bpf.o: not a usable BPF object"            verify "$tmp/text.bpf.o"
fails "an ELF file without BPF"      1 "not a usable BPF object"                        run /bin/true --in $cap
if [ "$(id -u)" -ne 0 ]; then
	cp "$tmp/flows.bpf.o" "$tmp/secret.bpf.o"; chmod 0 "$tmp/secret.bpf.o"
	fails "unreadable object"    1 "secret.bpf.o: Permission denied"                run "$tmp/secret.bpf.o" --in $cap
else
	chmod 755 "$tmp"; mkdir -m 755 "$tmp/other"; cp "$tmp/flows.bpf.o" "$tmp/other/secret.bpf.o"; chmod 0 "$tmp/other/secret.bpf.o"
	cp "$skep" "$tmp/other/skep"; chmod 755 "$tmp/other/skep"
	err=$(SKEP_DIR=$tmp/none setpriv --reuid 1001 --regid 1001 --clear-groups "$tmp/other/skep" run "$tmp/other/secret.bpf.o" 2>&1)
	has "unreadable object" "$err" "secret.bpf.o: Permission denied"
fi
# corrupt ELF: no byte of it may do more than a one-line message; every 97th byte turned over
bad=0 n=0
for at in $(seq 0 97 $(($(stat -c %s "$tmp/flows.bpf.o") - 1))); do
	[ -n "${SKEP_TEST_FAST:-}" ] && [ $((n % 8)) -ne 0 ] && { n=$((n + 1)); continue; }
	n=$((n + 1))
	cp "$tmp/flows.bpf.o" "$tmp/corrupt.bpf.o"
	printf '\xff' | dd of="$tmp/corrupt.bpf.o" bs=1 seek="$at" conv=notrunc status=none
	run_tool run "$tmp/corrupt.bpf.o" --in $cap
	[ "$rc" -le 3 ] || { bad=1; echo "byte $at: exit status $rc" >&2; }
done
same "corrupt ELF never crashes the tool" 0 $bad

# the compiler
printf 'int main(void) {\n\treturn undeclared;\n}\n' > "$tmp/broken.bpf.c"
run_tool run "$tmp/broken.bpf.c" --in $cap
same "C that does not compile: exit status" 1 "$rc"
has "C that does not compile: clang's message" "$err" "broken.bpf.c:2:9: error: use of undeclared identifier"
has "C that does not compile: the last line says it" "$(tail -n 1 <<< "$err")" "^skep: .*broken.bpf.c does not compile: .*undeclared"
run_tool run "$tmp/broken.bpf.c" --in $cap -j
has "C that does not compile: JSON" "$out" '^\{"error":".*does not compile.*"\}$'
mkdir "$tmp/nopath"
tool_env=(env "PATH=$tmp/nopath")
fails "no clang"                     3 "needs clang, which is not installed"            run examples/flows.bpf.c --in $cap
tool_env=()
CLANG=/nonexistent/clang fails "\$CLANG is not there" 3 "needs clang"                   run examples/flows.bpf.c --in $cap
printf '#include <linux/bpf.h>\n' > "$tmp/none.bpf.c"
fails "C without a program"          1 "no BPF program in it"                           run "$tmp/none.bpf.c" --in $cap

# captures
fails "no such capture"              1 "/nonexistent.pcap: No such file"                run "$tmp/flows.bpf.o" --in /nonexistent.pcap
fails "a capture that is a directory" 1 "Is a directory"                                run "$tmp/flows.bpf.o" --in /tmp
fails "a capture that is none"       1 "flows.bpf.o: .*"                                run "$tmp/flows.bpf.o" --in "$tmp/flows.bpf.o"
: > "$tmp/empty.pcap"
fails "empty capture"                1 "empty.pcap: "                                   run "$tmp/flows.bpf.o" --in "$tmp/empty.pcap"
head -c 100000 $cap > "$tmp/cut.pcap"
run_tool run "$tmp/flows.bpf.o" --in "$tmp/cut.pcap"
same "capture cut in a packet: what was read counts" 0 "$rc"
has "capture cut in a packet: a warning says which" "$err" "^skep: warning: .*cut.pcap: cut off inside packet [0-9]+:"
has "capture cut in a packet: as many packets" "$out" "cut.pcap: $(($(sed 's/.*packet \([0-9]*\):.*/\1/' <<< "$err") - 1)) packets"
{ head -c 20 $cap; printf '\xc5\0\0\0'; tail -c +25 $cap; } > "$tmp/wifi.pcap"
fails "a link type without IP"       1 "wifi.pcap: link type .* neither Ethernet"       run "$tmp/flows.bpf.o" --in "$tmp/wifi.pcap"

# rejections
cat > "$tmp/bad.bpf.c" <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("xdp") int first_byte(struct xdp_md *ctx)
{
	return *(char *)(long)ctx->data;
}
char LICENSE[] SEC("license") = "GPL";
C
run_tool run "$tmp/bad.bpf.c" --in $cap
same "rejection: exit status" 1 "$rc"
has "rejection: place and sentence" "$err" "^error\[V[0-9]+\] .*bad.bpf.c:5:[0-9]+: invalid access to packet"
run_tool verify "$tmp/bad.bpf.c"
same "verify: exit status" 1 "$rc"
has "verify: verdict" "$out" "bad.bpf.c: first_byte +rejected"
has "verify: source line" "$out" "5 \| return \*\(char \*\)"
run_tool verify "$tmp/bad.bpf.c" -j
has "verify -j: the record" "$out" '"verdict":"rejected".*"rule":"V[0-9]+".*"line":5.*"kernel":"invalid access to packet'
run_tool verify "$tmp/flows.bpf.o" "$tmp/bad.bpf.c"
has "verify: the other file is still checked" "$out" "count_flows +ok +[0-9,]+ insns, [0-9,]+ states, [0-9.]+ ms"
run_tool verify -o csv "$tmp/flows.bpf.o"
has "verify: veristat's columns" "$out" '^flows.bpf.o,count_flows,success,[0-9]+,[0-9]+,[0-9]+,[0-9]+$'

# a program's verdict is its own, also when a prog_array holds another one
cat > "$tmp/array.bpf.c" <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
int bad(struct xdp_md *ctx);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__array(values, int(void *));
} jmp SEC(".maps") = { .values = { (void *)&bad } };
SEC("xdp") int good(struct xdp_md *ctx) { bpf_tail_call(ctx, &jmp, 0); return 2; }
SEC("xdp") int bad(struct xdp_md *ctx) { return *(int *)(long)ctx->data; }
char LICENSE[] SEC("license") = "GPL";
C
run_tool verify "$tmp/array.bpf.c" --prog good
has "verify: a program beside a bad one" "$out" "^[^ ]*array.bpf.c: good +ok "
run_tool verify "$tmp/array.bpf.c"
same "verify: only the bad one is rejected" "1 bad rejected|good ok" "$rc $(sed -n 's/.*: \([a-z]*\)  \(ok\|rejected\).*/\1 \2/p' <<< "$out" | sort | paste -sd '|')"
# several programs
cat > "$tmp/many.bpf.c" <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("xdp") int on_packets(struct xdp_md *ctx) { return XDP_PASS; }
SEC("cgroup/dev") int on_device(void *ctx) { return 0; }
SEC("kprobe/x") int on_probe(void *ctx) { return 0; }
SEC("raw_tp") int on_raw(void *ctx) { return 7; }
char LICENSE[] SEC("license") = "GPL";
C
run_tool run "$tmp/many.bpf.c" --in $cap
same "several programs: the one that fits runs" 0 "$rc"
has "several programs: why not the others" "$err" "on_device +cgroup_device +no: skep cannot run cgroup_device programs"
has "several programs: what runs in processes" "$err" "on_probe +kprobe +in processes: leave --in out"
has "several programs: what another needs" "$err" "on_raw +raw_tracepoint +without input: leave --in out"
run_tool run "$tmp/many.bpf.c" --prog on_raw
has "without a capture the other one runs" "$out" "^returned: 7 1$"
fails "the program asked for does not fit" 2 "'on_device' does not run: skep cannot" run "$tmp/many.bpf.c" --in $cap --prog on_device
run_tool run "$tmp/many.bpf.c" --in $cap --prog nobody
same "no program of that name" 2 "$rc"

# the directory
ln -s "$tmp" "$tmp/link"
SKEP_DIR=$tmp/link fails "a directory that is a symlink" 1 "" map show
mkdir -m 777 "$tmp/open"
SKEP_DIR=$tmp/open fails "a directory open to others" 1 "" map show
if [ "$(id -u)" -eq 0 ]; then
	mkdir "$tmp/full"
	if unshare -m true 2> /dev/null; then
		err=$(unshare -m bash -c "mount -t tmpfs -o size=512k none $tmp/full && SKEP_DIR=$tmp/full/d '$skep' run '$tmp/flows.bpf.o' --in $cap; echo \"status \$?\"; ls $tmp/full/d/bpf-map | wc -l" 2>&1)
		has "full tmpfs: exit status" "$err" "^status 3$"
		has "full tmpfs: says no room and where" "$err" "^skep: .*no room in $tmp/full/d: .*flows.*(No space left|Cannot allocate memory)"
		has "full tmpfs: nothing is left there" "$err" "^0$"
		err=$(unshare -m bash -c "mount -t tmpfs -o size=64k none $tmp/full && SKEP_DIR=$tmp/full/d '$skep' run '$tmp/flows.bpf.o' --in $cap; echo \"status \$?\"; mount -o remount,ro $tmp/full; SKEP_DIR=$tmp/full/e '$skep' verify '$tmp/flows.bpf.o'; echo \"status \$?\"" 2>&1)
		same "tmpfs without room for the directory, and one that is read-only" "skep: the directory $tmp/full/d cannot be used: No space left on device
status 3
skep: the directory $tmp/full/e cannot be used: Read-only file system
status 3" "$err"
	else
		skip "full tmpfs: no mount namespace"
	fi
else
	skip "full tmpfs: not root"
fi
run_tool run "$tmp/flows.bpf.o" --in $cap --pin cutme
truncate -s 8192 "$SKEP_DIR/bpffs/cutme/flows"
fails "a map file cut short" 1 "cutme/flows: the file is damaged" map dump pinned cutme/flows
rm -r "$SKEP_DIR/bpffs/cutme"
run_tool gc
run_tool prog show
same "nothing is left behind" "" "$out"
