# shellcheck shell=bash
# Shared by test/client/*.test.sh: the same commands on the kernel (root, own mount namespace with its own bpffs) and on
# skep (uid 1001 without any privilege when we are root, ourselves otherwise), outputs compared.
set -u
name=$(basename "$0")
tmp=$(mktemp -d /dev/shm/skep-c-XXXXXX)
chmod 755 "$tmp"
mkdir -m 755 "$tmp/w" "$tmp/kernel" "$tmp/skep"
trap 'rm -rf "$tmp"' EXIT
cp "$SKEP_BUILD/lib/libskep-preload.so" "$tmp/preload.so"
chmod 755 "$tmp/preload.so"

# A sanitizer's runtime must be first in a process: not possible in somebody else's program.
case $SKEP_BUILD in */san-*) sanitized="sanitized builds cannot be preloaded" ;; *) sanitized= ;; esac

ok() { echo "ok - $name: $1"; }
bad() { echo "not ok - $name: $1: $(tr '\n' '|' <<< "${2:-}" | cut -c1-400)"; }
skip() { echo "skip - $name: $1: $2"; }
check() {	# NAME OUTPUT-OR-REASON COMMAND...: ok when the command succeeds
	local what=$1 out=$2; shift 2
	if "$@"; then ok "$what"; else bad "$what" "$out"; fi
}

have_kernel=
[ "$(id -u)" -eq 0 ] && unshare -m sh -c 'mount -t bpf bpf /sys/fs/bpf && bpftool map list' > /dev/null 2>&1 && have_kernel=1

unpriv=()
uid=$(id -u)
if [ "$uid" -eq 0 ]; then
	uid=1001
	unpriv=(setpriv --reuid 1001 --regid 1001 --clear-groups --inh-caps=-all --bounding-set=-all)
	chown 1001:1001 "$tmp/skep"
fi
export SKEP_DIR=$tmp/skep/dir

# Run COMMAND on skep.
on_skep() { "${unpriv[@]}" env LD_PRELOAD="$tmp/preload.so" SKEP_DIR="$SKEP_DIR" "$@"; }

# Each line of the file $1 is "NAME<TAB>COMMAND": run by sh in $tmp/w; output and status to $2/NAME.
cat > "$tmp/runner.sh" <<'R'
cd "$1/w" || exit 1
while IFS="$(printf '\t')" read -r n cmd; do
	sh -c "$cmd" > "$3/$n" 2>&1 < /dev/null
	echo "status $?" >> "$3/$n"
done < "$2"
R
run_both() {
	if [ -n "$have_kernel" ]; then
		unshare -m sh -c "mount -t bpf bpf /sys/fs/bpf && exec sh $tmp/runner.sh $tmp $1 $tmp/kernel"
	fi
	on_skep sh "$tmp/runner.sh" "$tmp" "$1" "$tmp/skep"
}

# What may differ: numbers of objects, times, places, sizes of code and locked memory, who loaded it.
normal() {
	sed -E -e 's/^[0-9]+: /ID: /' -e 's/"id": ?[0-9]+/"id":ID/g' -e 's/(btf_id|prog_id|map_id)(": ?| )[0-9]+/\1\2ID/g' \
		-e 's/(map_ids|prog_ids) [0-9,]+/\1 IDS/' -e 's/"(map_ids|prog_ids)": ?\[[^]]*\]/"\1":IDS/g' \
		-e 's/(memlock|bytes_memlock|xlated|jited|bytes_xlated|bytes_jited|uid|size)(": ?| )[0-9]+B?/\1\2N/g' \
		-e 's/(loaded_at": ?)[0-9]+/\1T/' -e 's/(loaded_at )[^ ]+/\1T/' \
		-e 's/map\[id:[0-9]+\]/map[ID]/g' -e 's/duration( \(average\))?: ?[0-9]+ns/duration\1: T/' \
		-e 's/"duration": ?[0-9]+/"duration":T/' -e 's/id [0-9]+/id ID/g' \
		-e '/^Warning: bpftool is now/,/^$/d' "$1"
}

# Compare what NAME gave on both sides; on one side alone, that it succeeded.
same() {
	local n=$1 what=$2 a b
	b=$(normal "$tmp/skep/$n")
	if [ -n "$have_kernel" ]; then
		a=$(normal "$tmp/kernel/$n")
		check "$what" "skep: $b // kernel: $a" [ "$a" = "$b" ]
	else
		check "$what (skep alone)" "$b" grep -q "^status $(cat "$tmp/want/$n" 2>/dev/null || echo 0)$" "$tmp/skep/$n"
	fi
}
