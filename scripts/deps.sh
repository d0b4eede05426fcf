#!/usr/bin/env bash
# deps.sh [SET...] - install the Debian packages that are missing, as root; else say which are missing and exit 3.
# Sets: build (the default together with test), test, soak (servers, which Debian starts when it installs them), lint, fuzz,
# capture (scripts/capture-traffic.sh). "build" includes
# clang because `skep run FILE.c` calls it.
set -u
# shellcheck disable=SC2034	# used by name below
{
build="gcc make libc6-dev linux-libc-dev libbpf-dev libelf-dev zlib1g-dev libpcap-dev libzydis-dev pkg-config clang"
test="musl-tools bpftool tcpdump tshark procps iproute2 util-linux python3 strace git g++ gdb"
soak="nodejs golang-go rustc nginx-light wrk curl redis-server redis-tools chromium"
fuzz="clang libclang-rt-14-dev"
lint="clang-format clang-tidy cppcheck shellcheck mandoc"
capture="iproute2 iputils-ping ethtool tcpdump nginx-light curl openssl dnsmasq-base bind9-dnsutils openssh-server openssh-client python3"
}

want=
for set in "${@:-build test}"; do
	for name in $set; do
		case $name in
		build|test|soak|lint|fuzz|capture) want="$want ${!name}" ;;
		*) echo "deps.sh: unknown set '$name' (build, test, soak, lint, fuzz, capture)" >&2; exit 2 ;;
		esac
	done
done
need=
for p in $want; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' && continue
	case " $need " in *" $p "*) ;; *) need="$need $p" ;; esac
done
[ -z "$need" ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
	echo "missing Debian packages:$need" >&2
	echo "install them as root: apt-get install$need" >&2
	exit 3
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086	# a list of packages
apt-get update -qq && apt-get install -y -qq --no-install-recommends $need > /dev/null
