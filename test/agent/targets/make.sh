#!/bin/sh
# make -j of a small C project, again and again: make.sh DIRECTORY SECONDS
set -e
mkdir "$1" && cd "$1"
for i in 1 2 3 4 5 6 7 8; do echo "int f$i(int x) { return x * $i; }" > f$i.c; done
{ echo '#include <stdio.h>'; for i in 1 2 3 4 5 6 7 8; do echo "int f$i(int);"; done
  echo 'int main(void) { int s = 0;'; for i in 1 2 3 4 5 6 7 8; do echo "s += f$i(10);"; done; echo 'printf("%d", s); return 0; }'; } > main.c
printf 'OBJ := $(patsubst %%.c,%%.o,$(wildcard *.c))\nprog: $(OBJ)\n\t@gcc -o $@ $^\n%%.o: %%.c\n\t@gcc -O1 -c $< -o $@\n' > Makefile
end=$(($(date +%s) + $2)) bad=0
while :; do
	make -s -j4 prog && [ "$(./prog)" = 360 ] || bad=$((bad + 1))
	rm -f ./*.o prog
	[ "$(date +%s)" -lt "$end" ] || break
done
echo "bad $bad"
