#!/usr/bin/env bash
# make install into a fresh prefix; an embedding program built with nothing but pkg-config's flags runs there.
. "$(dirname "$0")/lib.sh"
[ -n "$sanitized" ] && { skip install "needs the plain build"; exit 0; }
root=$PWD
case $root/build in "$SKEP_BUILD") ;; *) skip install "build directory is elsewhere"; exit 0 ;; esac
[ -w "$SKEP_BUILD" ] || { skip install "the build directory is somebody else's"; exit 0; }
env -u MAKEFLAGS -u MAKELEVEL make -s install PREFIX="$tmp/usr" > "$tmp/log" 2>&1 || { bad "make install" "$(tail -n 5 "$tmp/log")"; exit 1; }
for f in bin/skep lib/libskep.a lib/libskep.so lib/libskep.so.0 lib/libskep-preload.so lib/libskep-agent.so \
	lib/pkgconfig/skep.pc include/skep.h share/man/man1/skep.1 share/man/man1/skep-run.1; do
	check "installs $f" "$(ls -R "$tmp/usr" | tr '\n' ' ')" [ -e "$tmp/usr/$f" ]
done
export PKG_CONFIG_PATH=$tmp/usr/lib/pkgconfig
cp "$root/examples/embed.c" "$tmp/w/"
cd "$tmp/w" || exit 1
# shellcheck disable=SC2046
if cc -Wall -Werror embed.c $(pkg-config --cflags --libs skep) -o embed > "$tmp/log" 2>&1; then
	ok "embed.c builds with pkg-config's flags"
else
	bad "embed.c builds with pkg-config's flags" "$(head -n 5 "$tmp/log")"
fi
out=$("${unpriv[@]}" env SKEP_DIR="$SKEP_DIR" LD_LIBRARY_PATH="$tmp/usr/lib" ./embed 2>&1)
check "embed runs without privileges" "$out" [ "$out" = "skep 0.1: 5 packets, last one 50 bytes" ]
check "embed needs no libbpf.so" "$(ldd embed)" sh -c "! ldd embed | grep -q libbpf"
sed -e 's/-lskep/-l:libskep.a/' "$PKG_CONFIG_PATH/skep.pc" > "$tmp/w/static.pc"
# shellcheck disable=SC2046
if cc embed.c $(PKG_CONFIG_PATH=$tmp/w pkg-config --cflags --libs static) -o embed-a > "$tmp/log" 2>&1; then
	out=$("${unpriv[@]}" env SKEP_DIR="$SKEP_DIR" ./embed-a 2>&1)
else
	out=$(head -n 5 "$tmp/log")
fi
check "embed runs with libskep.a" "$out" [ "$out" = "skep 0.1: 5 packets, last one 50 bytes" ]
out=$("${unpriv[@]}" env SKEP_DIR="$SKEP_DIR" "$tmp/usr/bin/skep" run "$root/examples/execsnoop.bpf.c" -j -- sh -c '/bin/true; exit 6' 2> "$tmp/err")
check "the installed tool finds its agent; the command's status" "$? $(cat "$tmp/err")" grep -q '"retval":0,"comm":"true","filename":"/bin/true"' <<< "$out"
