#!/usr/bin/env bash
# capture-traffic.sh [OUT.pcap] - records examples/traffic.pcap: stock programs talking between two network namespaces.
#
# Needs root and these Debian packages:
#	iproute2 iputils-ping ethtool tcpdump nginx-light curl openssl dnsmasq-base bind9-dnsutils openssh-server
#	openssh-client python3
# Touches nothing but its own two namespaces, three cables (veth pairs) between them, and a temporary directory;
# removes all of them at the end, also when it is interrupted. The traffic: IPv4 and IPv6 (neighbour discovery, MLD
# with its hop-by-hop header), HTTP and TLS (nginx, curl), TLS (openssl s_server and s_client), DNS (dnsmasq, dig) over
# UDP and TCP, SSH, ping (fragments, record route option, time stamp option), a refused telnet port.
# What goes over the second and third cable gets its VLAN tags when the three captures are merged (802.1Q id 100;
# 802.1ad id 200 with 802.1Q id 300 inside), as a switch's trunk port would put them on: not every kernel has
# VLAN devices.
set -eu
out=${1:-$(dirname "$0")/../examples/traffic.pcap}
server=skep-srv-$$ client=skep-cli-$$
tmp="" pids="" dumps=""

die() { echo "capture-traffic: $*" >&2; exit 3; }

cleanup() {
	local status=$?
	trap - EXIT INT TERM
	set +e
	# shellcheck disable=SC2086	# a list of process ids
	[ -n "$pids$dumps" ] && kill $pids $dumps 2>/dev/null && wait $pids $dumps 2>/dev/null
	# what forked away from us lives in the namespaces
	for ns in "$server" "$client"; do
		ip netns pids "$ns" 2>/dev/null | xargs -r kill 2>/dev/null
		ip netns del "$ns" 2>/dev/null
	done
	[ -n "$tmp" ] && rm -rf "$tmp"
	exit $status
}

in_server() { ip netns exec "$server" "$@"; }
in_client() { ip netns exec "$client" "$@"; }

start() {	# start a server program that stays in the foreground
	in_server "$@" > "$tmp/$(basename "$1").log" 2>&1 &
	pids="$pids $!"
}

wait_port() {	# until something listens: wait_port tcp|udp PORT
	for _ in $(seq 100); do
		in_server ss -Hln"${1:0:1}" "sport = :$2" | grep -q . && return 0
		sleep 0.05
	done
	die "nothing listens on $1 port $2 ($(tail -n 3 "$tmp"/*.log))"
}

[ "$(id -u)" -eq 0 ] || die "must be root (it makes network namespaces)"
PATH=$PATH:/usr/sbin:/sbin
for p in ip ping ethtool tcpdump nginx curl openssl dnsmasq dig sshd ssh ssh-keygen ss; do
	command -v $p > /dev/null || die "$p is missing (the packages are listed at the head of this script)"
done
trap cleanup EXIT INT TERM
tmp=$(mktemp -d)
chmod 755 "$tmp"

# Two namespaces and three cables. Without offloads the capture shows frames as they would be on a wire.
ip netns add "$server"
ip netns add "$client"
for n in 0 1 2; do
	ip -n "$server" link add eth$n address 02:00:00:00:0$n:01 type veth \
		peer name eth$n address 02:00:00:00:0$n:02 netns "$client"
	for ns in "$server" "$client"; do
		ip netns exec "$ns" ethtool -K eth$n tso off gso off gro off tx off sg off > /dev/null 2>&1 || die "ethtool -K failed"
	done
	# Capture before the links come up: neighbour discovery belongs to it.
	ip -n "$server" link set eth$n up
	in_server tcpdump -i eth$n -U -s 0 -w "$tmp/eth$n.pcap" 2> "$tmp/tcpdump$n.log" &
	dumps="$dumps $!"
	for _ in $(seq 100); do grep -q 'listening on' "$tmp/tcpdump$n.log" && break; sleep 0.05; done
done

for n in 0 1 2; do
	for end in "$server 1" "$client 2"; do
		# shellcheck disable=SC2086	# namespace and host number
		set -- $end
		ip -n "$1" link set lo up
		ip -n "$1" link set eth$n up
		ip -n "$1" addr add "10.$((n + 1)).0.$2/24" dev eth$n
		ip -n "$1" addr add "fd0$((n + 1))::$2/64" dev eth$n nodad
	done
done

# Servers
mkdir "$tmp/www"
seq 1 3000 > "$tmp/www/numbers.txt"
echo 'hello' > "$tmp/www/index.html"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$tmp/key.pem" -out "$tmp/cert.pem" -days 30 \
	-subj /CN=www.example.test -addext subjectAltName=DNS:www.example.test 2> /dev/null
cat > "$tmp/nginx.conf" <<-CONF
	daemon off; pid $tmp/nginx.pid; error_log $tmp/nginx-error.log; worker_processes 1;
	events {}
	http { access_log off; client_body_temp_path $tmp/b; proxy_temp_path $tmp/p; fastcgi_temp_path $tmp/f;
		uwsgi_temp_path $tmp/u; scgi_temp_path $tmp/s;
		server { listen 80; listen [::]:80; root $tmp/www; }
		server { listen 443 ssl; listen [::]:443 ssl; root $tmp/www;
			ssl_certificate $tmp/cert.pem; ssl_certificate_key $tmp/key.pem; } }
CONF
start nginx -e "$tmp/nginx-error.log" -c "$tmp/nginx.conf"
start openssl s_server -accept 4433 -www -key "$tmp/key.pem" -cert "$tmp/cert.pem"
start dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --pid-file= --user=root \
	--bind-interfaces --listen-address=10.1.0.1 --listen-address=fd01::1 --listen-address=10.3.0.1 \
	--address=/www.example.test/10.1.0.1 --address=/www.example.test/fd01::1 \
	--txt-record=long.example.test,"$(seq -s, 1 60)" --mx-host=example.test,www.example.test,10
ssh-keygen -q -t ed25519 -N '' -f "$tmp/hostkey"
ssh-keygen -q -t ed25519 -N '' -f "$tmp/userkey"
mkdir -p /run/sshd
start /usr/sbin/sshd -D -e -f /dev/null -h "$tmp/hostkey" -p 22 -o PidFile=none -o UsePAM=no \
	-o AuthorizedKeysFile="$tmp/userkey.pub" -o StrictModes=no -o PermitRootLogin=yes
for p in 80 443 4433 22; do wait_port tcp $p; done
wait_port udp 53

# The traffic
quiet() { "$@" > /dev/null 2>> "$tmp/client.log" || echo "capture-traffic: $* failed" >&2; }
web="--resolve www.example.test:80:10.1.0.1 --resolve www.example.test:443:10.1.0.1 --cacert $tmp/cert.pem -s -o /dev/null"
quiet in_client ping -q -c 5 -i 0.1 10.1.0.1
quiet in_client ping -q -c 3 -i 0.1 fd01::1
quiet in_client ping -q -c 2 -i 0.1 -s 4000 10.1.0.1
quiet in_client ping -q -c 2 -i 0.1 -s 4000 fd01::1
quiet in_client ping -q -c 2 -i 0.1 -R 10.1.0.1
quiet in_client ping -q -c 2 -i 0.1 -T tsandaddr 10.1.0.1
for name in www.example.test example.test nothing.example.test; do
	quiet in_client dig +tries=1 +time=2 @10.1.0.1 "$name" A
	quiet in_client dig +tries=1 +time=2 @fd01::1 "$name" AAAA
done
quiet in_client dig +tries=1 +time=2 @10.1.0.1 example.test MX
quiet in_client dig +tries=1 +time=2 +tcp @10.1.0.1 long.example.test TXT
# shellcheck disable=SC2086	# $web is a list of options
{
	quiet in_client curl $web http://www.example.test/ http://www.example.test/numbers.txt http://www.example.test/missing
	quiet in_client curl $web https://www.example.test/numbers.txt
	quiet in_client curl -s -o /dev/null "http://[fd01::1]/numbers.txt"
	quiet in_client curl $web -k "https://[fd01::1]/"
	quiet in_client curl -s -o /dev/null http://10.2.0.1/numbers.txt
	quiet in_client curl -s -o /dev/null "http://[fd02::1]/numbers.txt"
	quiet in_client curl -s -o /dev/null http://10.3.0.1/numbers.txt
}
quiet in_client sh -c "printf 'GET / HTTP/1.0\r\n\r\n' | openssl s_client -quiet -connect 10.1.0.1:4433 -servername www.example.test"
quiet in_client ssh -F /dev/null -i "$tmp/userkey" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
	root@10.1.0.1 'seq 1 500'
quiet in_client dig +tries=1 +time=2 @10.3.0.1 www.example.test A
quiet in_client ping -q -c 3 -i 0.1 10.2.0.1
quiet in_client ping -q -c 3 -i 0.1 10.3.0.1
quiet in_client ping -q -c 2 -i 0.1 fd02::1
in_client curl -s --max-time 2 telnet://10.1.0.1:23 > /dev/null 2>&1 || true	# refused, as it should be
sleep 0.3
# shellcheck disable=SC2086	# a list of process ids
{ kill $dumps; wait $dumps || true; }	# TERM: background jobs of a script ignore INT
dumps=""
python3 - "$tmp/merged.pcap" "$tmp/eth0.pcap" "" "$tmp/eth1.pcap" 81000064 "$tmp/eth2.pcap" 88a800c88100012c <<'PY'
# Merge captures by time; each is followed by the hex of the tags that its frames get behind the addresses.
import struct, sys
out, args = sys.argv[1], sys.argv[2:]
frames = []
for path, tags in zip(args[::2], map(bytes.fromhex, args[1::2])):
    data = open(path, 'rb').read()
    head, at = data[:24], 24
    while at < len(data):
        sec, usec, size, _ = struct.unpack_from('<IIII', data, at)
        frame = data[at + 16:at + 16 + size]
        frames.append((sec, usec, frame[:12] + tags + frame[12:]))
        at += 16 + size
frames.sort(key=lambda f: f[:2])
with open(out, 'wb') as f:
    f.write(head)
    for sec, usec, frame in frames:
        f.write(struct.pack('<IIII', sec, usec, len(frame), len(frame)) + frame)
PY
install -m 644 "$tmp/merged.pcap" "$out"
echo "$out: $(stat -c %s "$out") bytes" >&2
