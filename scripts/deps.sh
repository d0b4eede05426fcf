#!/usr/bin/env bash
# Install what is missing, as root; else say which packages are missing and exit 3.
set -u
build="gcc make libc6-dev linux-libc-dev libbpf-dev libelf-dev zlib1g-dev libpcap-dev clang pkg-config"
test="bpftool tcpdump tshark procps iproute2 util-linux python3"
need=
for p in $build ${SKEP_DEPS_BUILD_ONLY:+} $( [ -n "${SKEP_DEPS_BUILD_ONLY:-}" ] || echo "$test"); do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || need="$need $p"
done
[ -z "$need" ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
	echo "missing Debian packages:$need" >&2
	echo "install them as root: apt-get install$need" >&2
	exit 3
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq && apt-get install -y -qq $need
