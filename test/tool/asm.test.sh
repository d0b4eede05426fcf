#!/usr/bin/env bash
# skep asm, skep disasm: the textbook filter as written, tcpdump's dump forms there and back, errors with line and column.
. "$(dirname "$0")/lib.sh"

cat > "$tmp/port.asm" <<'A'
        ldh     [12]
        jeq     #ETHERPROTO_IP, L1, L5
L1:     ldb     [23]
        jeq     #IPPROTO_TCP, L2, L5
L2:     ldh     [20]
        jset    #0x1fff, L5, L3
L3:     ldx     4*([14]&0xf)
        ldh     [x+16]
        jeq     #N, L4, L5
L4:     ret     #TRUE
L5:     ret     #0
A
run_tool asm -D N=80 "$tmp/port.asm"
same "the textbook filter assembles as written" "0 11 40" "$rc $(head -n 2 "$tmp/out" | cut -d' ' -f1 | tr '\n' ' ' | sed 's/ $//')"
for form in -d -dd -ddd --comma --asm --raw; do
	"$skep" asm -D N=80 "$tmp/port.asm" $form > "$tmp/form"
	same "asm $form, disasm -ddd" "$out" "$("$skep" disasm -ddd "$tmp/form")"
done
n=0 bad=
while read -r expr; do
	case $expr in @*) continue;; esac
	for form in -d -dd -ddd; do
		tcpdump -y EN10MB $form "$expr" > "$tmp/theirs" 2> /dev/null || continue
		n=$((n + 1))
		"$skep" disasm - $form < "$tmp/theirs" | cmp -s - "$tmp/theirs" || bad="$bad; $form $expr"
	done
done < <(awk -v step="${SKEP_TEST_FAST:+20}" '!step || NR % step == 0' test/cbpf/exprs.txt)
same "tcpdump's dumps, read and printed again, are the same" "" "$bad"
[ "$n" -gt 20 ] && ok "there were dumps to compare" || not_ok "there were dumps to compare: $n"
same "JSON" 11 "$("$skep" asm -j -D N=80 "$tmp/port.asm" | grep -o '"code":' | wc -l)"

run_tool asm "$tmp/port.asm"
same "an undefined name: exit status" 1 "$rc"
has "an undefined name: line and column" "$err" "port.asm:9:18: undefined name 'N' .-D N=VALUE"
has "an undefined name: the line" "$err" "^ +9 \|.*jeq +#N, L4, L5"
printf 'ldh [12]\njeq #1, nowhere\nret #0\n' > "$tmp/label.asm"
run_tool asm "$tmp/label.asm"
has "an undefined label: line and column" "$err" "label.asm:2:9: undefined label 'nowhere'"
printf 'ld #1\ndiv #0\nret a\n' > "$tmp/div.asm"
fails "division by zero"	1 "div.asm:2: division by zero: .001. div +#0"		asm "$tmp/div.asm"
printf 'st M[16]\nret a\n' > "$tmp/mem.asm"
fails "scratch out of range"	1 "mem.asm:1: M.16.: M has 16 words"			asm "$tmp/mem.asm"
printf '2\n21 0 5 1\n6 0 0 0\n' > "$tmp/jump.txt"
fails "jump out of range"	1 "jump.txt:2: jump to 6 is out of range"		asm "$tmp/jump.txt"
{ echo 4097; for _ in $(seq 4097); do echo "6 0 0 0"; done; } > "$tmp/long.txt"
run_tool asm "$tmp/long.txt"
has "more than 4,096 instructions" "$err" "long.txt:1:1: the number of instructions is 4097: 4096 is the most"
printf '\0\0\0' > "$tmp/odd.bin"
fails "a dump cut short"	1 "3 bytes are no whole number of instructions"		disasm "$tmp/odd.bin"
fails "no such file"		1 "/nonexistent: No such file"				asm /nonexistent
fails "no file"			2 "skep asm wants a file"				asm
fails "two files"		2 "takes one file"					disasm a b
fails "a bad definition"	2 "'x' is no 32-bit number"				asm -D "N=x" "$tmp/port.asm"
fails "two forms"		2 "exclude each other"					asm -D N=1 --comma --asm "$tmp/port.asm"
printf 'ldh [0]\nret a\n' > "$tmp/half.asm"
fails "seccomp's rules"		1 "half.asm:1: seccomp programs load words"		asm --seccomp "$tmp/half.asm"
