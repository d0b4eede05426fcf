#!/usr/bin/env bash
# skep seccomp: remarks, what becomes of each system call, one system call.
. "$(dirname "$0")/lib.sh"

cat > "$tmp/policy.asm" <<'A'
        ld [4]                  /* offsetof(struct seccomp_data, arch) */
        jne #AUDIT_ARCH_X86_64, bad
        ld [0]
        jeq #0, good            ; read
        jeq #231, good          // exit_group
        jeq #257, maybe
        ret #SECCOMP_RET_ERRNO+1
maybe:  ld [32]
        jset #3, deny, good
deny:   ret #SECCOMP_RET_ERRNO+13
bad:    ret #SECCOMP_RET_KILL_PROCESS
good:   ret #SECCOMP_RET_ALLOW
A
run_tool seccomp explain "$tmp/policy.asm"
has "explain: the architecture"	"$out" 'jeq +#0xc000003e +jt 2.*; AUDIT_ARCH_X86_64'
has "explain: a system call"	"$out" 'jeq +#0xe7 .*; exit_group'
has "explain: an argument"	"$out" 'ld +\[32\] +; argument 2, low half'
has "explain: an action"	"$out" 'ret +#327681 +; ERRNO\(EPERM\)'
has "explain: by arguments"	"$out" '^ERRNO\(EACCES\) or ALLOW, by arguments \(1\):'
has "explain: always allowed"	"$out" '^        read exit_group'
has "explain: the rest"		"$out" '^ERRNO\(EPERM\): the other 3[0-9][0-9]'
run_tool seccomp eval "$tmp/policy.asm" openat -100 0 0
has "eval: allowed" "$out" '^openat: ALLOW'
run_tool seccomp eval "$tmp/policy.asm" openat -100 0 0x241
has "eval: refused by an argument" "$out" '^openat: ERRNO\(EACCES\)'
has "eval: where" "$out" 'policy.asm:10'
run_tool seccomp eval "$tmp/policy.asm" --arch i386 3
has "eval: another architecture" "$out" '^3: KILL_PROCESS'
has "eval: a dump in memory's form" "$("$skep" asm --seccomp --raw "$tmp/policy.asm" | "$skep" seccomp eval - exit_group)" 'ALLOW'
same "eval: JSON" '{"nr":0,"arch":3221225534,"ret":2147418112,"action":"ALLOW","insn":11}' "$("$skep" -j seccomp eval "$tmp/policy.asm" read)"
fails "no such system call"	2 "x86_64 has no system call 'frob'"	seccomp eval "$tmp/policy.asm" frob
fails "no such architecture"	2 "no architecture is called 'pdp11'"	seccomp eval --arch pdp11 "$tmp/policy.asm" read
fails "too many arguments"	2 "six arguments at most"		seccomp eval "$tmp/policy.asm" read 1 2 3 4 5 6 7
printf 'ldh [0]\nret a\n' > "$tmp/half.asm"
fails "not a seccomp program"	1 "half.asm:1: seccomp programs load words" seccomp explain "$tmp/half.asm"
