#!/bin/sh
# nginx with two workers under wrk: nginx.sh DIRECTORY PORT SECONDS
mkdir -p "$1/www" && cd "$1" || exit 1
chmod 755 "$1"; head -c 20000 /dev/zero | tr '\0' x > www/f; chmod -R a+rX .
cat > conf <<E
worker_processes 2; daemon on; pid $1/pid; error_log $1/error.log error; events { worker_connections 256; }
$([ "$(id -u)" = 0 ] && echo "user root;")
http { access_log $1/access.log; client_body_temp_path $1; proxy_temp_path $1; fastcgi_temp_path $1; uwsgi_temp_path $1; scgi_temp_path $1;
 server { listen 127.0.0.1:$2; root $1/www; } }
E
nginx -c "$1/conf" -e "$1/error.log" || exit 1
wrk -t2 -c32 -d"$3s" "http://127.0.0.1:$2/f" > wrk.out
grep -cE 'Non-2xx|Socket errors' wrk.out
nginx -c "$1/conf" -e "$1/error.log" -s reload; sleep 0.3
curl -s "http://127.0.0.1:$2/f" | cksum
nginx -c "$1/conf" -e "$1/error.log" -s quit
i=0; while [ -e pid ] && [ $i -lt 100 ]; do sleep 0.05; i=$((i + 1)); done
[ -e pid ] && echo "still there"
grep -c emerg error.log
grep -E 'exited on signal' error.log
true
