#!/bin/sh
# gcc gives the same object file every time: gcc.sh DIRECTORY SECONDS
{ echo '#include <stdio.h>'; i=0; while [ $i -lt 300 ]; do echo "int f$i(int x) { return x % ($i + 1) ? printf(\"%d\", x) : f$((i > 0 ? i - 1 : 0))(x - 1); }"; i=$((i + 1)); done; } > "$1/big.c"
end=$(($(date +%s) + $2)) bad=0
want=$(gcc -O2 -c "$1/big.c" -o - 2> /dev/null | cksum)
gcc -O2 -c "$1/big.c" -o "$1/big.o" && want=$(cksum < "$1/big.o")
while :; do
	gcc -O2 -pipe -c "$1/big.c" -o "$1/big.o" && [ "$(cksum < "$1/big.o")" = "$want" ] || bad=$((bad + 1))
	[ "$(date +%s)" -lt "$end" ] || break
done
echo "$want bad $bad"
