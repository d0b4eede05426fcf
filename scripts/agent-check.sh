#!/usr/bin/env bash
# agent-check.sh FILE - what must hold of libskep-agent.so, which enters strangers' processes of any libc. Prints what is
# wrong, one line each, or nothing; exit status 1 when something is.
set -u
f=$1
[ -r "$f" ] || { echo "$f: not there"; exit 1; }
wrong=$(
	readelf -dW "$f" | grep -E '\(NEEDED\)|TEXTREL|\(RPATH\)|\(RUNPATH\)'
	readelf -lW "$f" | grep -E '^ *(TLS|INTERP)|GNU_STACK.*E *0x' | sed 's/^/segment: /'
	readelf -lW "$f" | awk '/LOAD/ && / RWE /' | sed 's/^/writable and executable: /'
	# any undefined dynamic symbol, weak ones too; any exported one
	readelf --dyn-syms -W "$f" | awk 'NR > 3 && $1 != "0:" && NF >= 8 { print "dynamic symbol: " $0 }'
	readelf -rW "$f" | awk '/R_X86_64_/ && $3 != "R_X86_64_RELATIVE" { print "relocation: " $0 }'
	objdump -d --no-show-raw-insn "$f" | grep -E '%(x|y|z)mm[0-9]|%mm[0-9]|%st[^a-z0-9_]|[[:space:]]f(ld|st|ild|ist)[a-z]*[[:space:]]' | sed 's/^/vector or FPU register: /' | head -n 5
	# %fs and %gs are the target's
	objdump -d --no-show-raw-insn "$f" | grep -E '%[fg]s:' | sed 's/^/segment access: /' | head -n 5
)
[ -z "$wrong" ] && exit 0
printf '%s\n' "$wrong"
exit 1
