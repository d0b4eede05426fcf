#!/bin/sh
# A shell script as people write them: forks, pipes, subshells, here-documents, background jobs.
end=$(($(date +%s) + $1)) bad=0
while [ "$(date +%s)" -lt "$end" ]; do
	a=$(seq 1 50 | while read -r n; do echo $((n * n)); done | sort -n | tail -n 1)
	b=$(printf 'x\ny\n' | cat | wc -l)
	(exit 7) & wait $!; c=$?
	d=$(cat <<-E | tr a-z A-Z
	here
	E
	)
	[ "$a $b $c $d" = "2500 2 7 HERE" ] || { bad=$((bad + 1)); echo "got: $a $b $c $d"; }
done
echo "bad $bad"
