#!/usr/bin/env bash
# Tables of system call sites: the scanner next to objdump, on the C libraries and on code made to be difficult.
. "$(dirname "$0")/../tool/lib.sh"

# sites FILE: what skep finds. $tmp/table
sites() { "$skep" agent-sites --print "$1" > "$tmp/table" 2> "$tmp/err"; }
offsets() { sed -n 's/^ *\(0x[0-9a-f]*\)  nr.*/\1/p' "$tmp/table"; }
# objdump's syscall instructions; addresses equal offsets in the files used here
objdumped() { objdump -d -w --no-show-raw-insn "$1" | sed -n 's/^ *\([0-9a-f]*\):\tsyscall.*/0x\1/p'; }
count() { grep -c -- "$1" "$tmp/table"; }

libc=$(ldd "$skep" | sed -n 's/.*=> \(.*\/libc\.so[^ ]*\).*/\1/p')
sites "$libc"
objdumped "$libc" | sort > "$tmp/objdump"
offsets | sort > "$tmp/ours"
same "no site of libc that objdump does not see" "" "$(comm -13 "$tmp/objdump" "$tmp/ours")"
same "all syscall instructions of libc are found" "$(wc -l < "$tmp/objdump")" "$(sed -n 's/^\([0-9]*\) syscall instr.*/\1/p' "$tmp/table")"
all=$(wc -l < "$tmp/objdump") both=$(grep ' nr ' "$tmp/table" | grep -v 'enter none' | grep -vc 'exit none')
same "95 of 100 sites of libc have room on both sides" 1 $((both * 100 >= all * 95))
known=$(grep ' nr ' "$tmp/table" | grep -vc 'nr  -1')
same "90 of 100 numbers are known" 1 $((known * 100 >= all * 90))

# first FROM TO: the first line of the table in that range, without its offset
first() {
	local o nr rest
	while read -r o nr rest; do
		[ "$nr" = nr ] && [ $((o)) -ge "$1" ] && [ $((o)) -lt "$2" ] && { tr -s ' ' <<< "nr $rest"; return; }
	done < "$tmp/table"
}
# numbers: where a function is one system call, the table must have that call's number
number_of() {	# FUNCTION: number of the first site in it
	local start size
	read -r start size < <(nm -DS --defined-only "$libc" | awk -v f="$1" '{ sub(/@.*/, "", $4) } $4 == f { print $1, $2; exit }')
	first $((16#$start)) $((16#$start + 16#$size)) | sed 's/^nr \([^ ]*\).*/\1/'
}
for row in getppid:110 getuid:102 umask:95 setsid:112 getpgid:121 epoll_create1:291 read:0 write:1 close:3 dup:32; do
	same "libc's ${row%:*}() is system call ${row#*:}" "${row#*:}" "$(number_of "${row%:*}")"
done

for lib in "/lib/ld-musl-x86_64.so.1" "$(readelf -l "$skep" | sed -n 's/.*interpreter: \(.*\)\]/\1/p')"; do
	[ -e "$lib" ] || { skip "$(basename "$lib"): not here"; continue; }
	sites "$lib"
	objdumped "$lib" | sort > "$tmp/objdump"
	same "$(basename "$lib"): only what objdump sees" "" "$(comm -13 "$tmp/objdump" <(offsets | sort))"
	found=$(sed -n 's/^\([0-9]*\) syscall instr.*/\1/p' "$tmp/table")
	same "$(basename "$lib"): 98 of 100 are found" 1 $((found * 100 >= $(wc -l < "$tmp/objdump") * 98))
done

# code made to be difficult: one function each, 16-aligned, at known places
cat > "$tmp/odd.s" << 'EOF'
	.macro fn name
	.p2align 6
	.globl \name
	.type \name, @function
\name:
	.cfi_startproc
	.endm
	.macro end name
	.cfi_endproc
	.size \name, . - \name
	.endm
	.text
fn plain
	mov $39, %eax
	syscall
	cmp $-4095, %rax
	ret
end plain
fn target_at_syscall
	mov $39, %eax
	test %edi, %edi
	jz 1f
	mov $110, %eax
1:	syscall
	cmp $-4095, %rax
	ret
end target_at_syscall
fn target_behind
	mov $39, %eax
	test %edi, %edi
	jz 1f
	mov $40, %eax
	syscall
1:	cmp $-4095, %rax
	ret
end target_behind
fn target_inside
	xor %eax, %eax
	inc %esi
1:	dec %edi
	syscall
	test %edi, %edi
	jnz 1b
	ret
end target_inside
fn from_afar
	test %edi, %edi
	xor %eax, %eax
	xor %edx, %edx
from_afar_label:
	xor %esi, %esi
	syscall
	cmp $-4095, %rax
	ret
end from_afar
fn flags
	cmp %rsi, %rdi
	mov $39, %eax
	syscall
	cmovb %rdx, %rsi
	lea 16(%rsi,%rdx), %rax
	ret
end flags
fn switches
	cmp $3, %edi
	ja 9f
	lea table(%rip), %rdx
	movslq (%rdx,%rdi,4), %rax
	add %rdx, %rax
	jmp *%rax
c0:	mov $39, %eax
c1:	xor %edi, %edi
c2:	syscall
c3:	cmp $-4095, %rax
9:	ret
end switches
fn data_inside
	jmp 1f
	.byte 0xb8, 0x0f, 0x05, 0xc3, 0xc3
1:	ret
end data_inside
fn immediate
	mov $0x050f, %eax
	ret
end immediate
fn pushes
	push $24
	pop %rax
	nopl 0(%rax)
	syscall
	ret
	nop
	nop
	nop
	nop
end pushes
fn caller
	jmp from_afar_label
end caller
	.section .rodata
	.p2align 2
table:	.long c0 - table, c1 - table, c2 - table, c3 - table
	.section .note.GNU-stack, "", @progbits
EOF
if gcc -shared -nostdlib -o "$tmp/odd.so" "$tmp/odd.s" 2> "$tmp/err"; then
	sites "$tmp/odd.so"
	line() {
		local a
		a=$(nm "$tmp/odd.so" | awk -v f="$1" '$3 == f { print $1 }')
		first $((16#$a)) $((16#$a + 64))
	}
	has "a plain site: number, one instruction on either side" "$(line plain)" '^nr 39 enter -5..\+0 exit \+2..\+8$'
	has "a syscall that is jumped to has no way in, and no number" "$(line target_at_syscall)" '^nr -1 enter none exit .* unsure$'
	has "what is behind is jumped to: the exit is unsure" "$(line target_behind)" '^nr 40 enter .* unsure$'
	same "a branch into both windows leaves the site alone" "" "$(line target_inside | grep -v 'enter none')"
	has "a branch from another function counts" "$(line from_afar)" '^nr -1 enter none'
	has "live flags are seen" "$(line flags)" 'enter -5..\+0 flags exit \+6..\+11'
	has "entries of a jump table are targets" "$(line switches)" 'enter none'
	same "bytes in data are no instruction" "" "$(line data_inside)"
	same "bytes of an immediate are no instruction" "" "$(line immediate)"
	has "push and pop set a number; padding behind ret gives room" "$(line pushes)" '^nr 24 enter .* exit \+2'
else
	not_ok "assemble: $(head -1 "$tmp/err")"
fi

# the cache
mkdir -p "$SKEP_DIR" && chmod 700 "$SKEP_DIR"
run_tool agent-sites "$libc"
same "a table is stored" "0 1" "$rc $(find "$SKEP_DIR/sites" -type f | wc -l)"
file=$(find "$SKEP_DIR/sites" -type f)
before=$(stat -c %i "$file")
run_tool agent-sites "$libc"
same "and not made again" "$before" "$(stat -c %i "$file")"
printf 'X' | dd of="$file" bs=1 seek=4000 conv=notrunc 2> /dev/null
run_tool agent-sites "$libc"
same "a damaged one is" 1 "$([ "$(stat -c %i "$file")" != "$before" ] && echo 1)"
head -c 3000 "$file" > "$tmp/cut" && cat "$tmp/cut" > "$file"
run_tool agent-sites "$libc"
same "so is one cut short" 0 "$rc"
cp "$file" "$tmp/again"
printf 'not an ELF file' > "$tmp/text"
run_tool agent-sites "$tmp/text"
has "no ELF file: one line" "$rc $err" "^1 skep: $tmp/text: Exec format error\$"
head -c 5000 "$libc" > "$tmp/cutlib"
run_tool agent-sites "$tmp/cutlib"
has "an ELF file cut short does no harm" "$rc" '^[01]$'
