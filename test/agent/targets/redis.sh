#!/bin/sh
# redis-server under redis-benchmark, with a background save: redis.sh DIRECTORY PORT SECONDS
mkdir -p "$1" && cd "$1" || exit 1
redis-server --port "$2" --bind 127.0.0.1 --dir "$1" --daemonize yes --logfile "$1/log" --save '' --pidfile "$1/pid" > /dev/null
i=0; while ! redis-cli -p "$2" ping > /dev/null 2>&1 && [ $i -lt 100 ]; do sleep 0.05; i=$((i + 1)); done
end=$(($(date +%s) + $3))
while :; do
	redis-benchmark -p "$2" -q -n 4000 -c 20 -t set,get,incr,lpush -r 1000 > /dev/null || echo "benchmark failed"
	[ "$(date +%s)" -lt "$end" ] || break
done
redis-cli -p "$2" set k v; redis-cli -p "$2" save; redis-cli -p "$2" bgsave > /dev/null; sleep 0.5
redis-cli -p "$2" info persistence | grep -c rdb_last_bgsave_status:ok
redis-cli -p "$2" shutdown nosave
i=0; while redis-cli -p "$2" ping > /dev/null 2>&1 && [ $i -lt 100 ]; do sleep 0.05; i=$((i + 1)); done
grep -c 'crashed by signal' log
[ -e pid ] && kill "$(cat pid)" 2> /dev/null && echo "still there"
true
